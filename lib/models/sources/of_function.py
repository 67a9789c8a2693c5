"""Anybody's network: a function of a module that gives an `nn.Module` of images to features or logits.

What the module or the function must say, as attributes of either or behind the name (`?size=224&normalisation=clip`):

| attribute | what it is |
|---|---|
| size | side of the images in pixels |
| mean, std | three numbers each, of pixels in [0, 1] |
| normalisation | in their place one of `NORMALISATIONS`, "none" where the network normalises by itself |
| logits | True where its outputs are a classifier's, False where they are features |
| resize | shorter side before the central crop, 256 / 224 of the size unless stated |
| interpolation | of that resizing, bilinear unless stated |
| classes | for logits, the classes' names in their order, or "imagenet" for its thousand; not needed |

An `Encoder` of lib normalises by itself and gives features: it needs its size alone.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable

from torch import nn

from lib.errors import BadInput
from lib.inputs import told
from lib.models.encoder import Encoder
from lib.models.sources.asked import Asked, Named, known, stated, stated_classes, yes_no
from lib.models.sources.wrapped import WrappedEncoder, counted, probed, separated

PATTERN = re.compile(r"^[A-Za-z_]\w*([.][A-Za-z_]\w*)*:[A-Za-z_]\w*$")
ATTRIBUTES = ("size", "resize", "interpolation", "normalisation", "mean", "std", "logits", "classes")
WHERE = "as attributes of the function or of its network"


def open_function(asked: Asked) -> Named:
    """`package.module:function`; the function takes nothing and returns the network, or it is the network."""
    function = _found(asked)
    network = function if isinstance(function, nn.Module) else _called(function, asked.name)
    attributes = {key: _attribute(key, network, function) for key in ATTRIBUTES}
    if isinstance(network, Encoder):
        attributes |= {"mean": None, "std": None, "normalisation": "none", "logits": attributes["logits"] or False}
    logits = asked.options.get("logits", attributes["logits"])
    preprocessing = stated(asked, attributes, WHERE, missing=["logits=yes"] if logits is None else [])
    encoder = WrappedEncoder(asked.name, network.eval(), preprocessing)
    count = counted(network)
    head = separated(encoder) if yes_no(logits, "value of logits") else None
    features, differentiable = probed(encoder)
    classes = stated_classes(asked.options.get("classes", attributes["classes"])) if head is not None else None
    outputs = head.out_features if isinstance(head, nn.Linear) else features.shape[1]
    if classes is not None and len(classes) != outputs:
        raise BadInput(f"{asked.name} states {len(classes)} classes and gives {outputs} logits; they are as many")
    said = "features are its outputs"
    if head is not None:
        whole = isinstance(head, nn.Identity)
        said = "features are its logits" if whole else "features are what its last linear layer reads"
    source = f"{asked.body}, {type(network).__name__} with the weights that it comes with, {count}; {said}"
    return Named(asked.name, encoder, preprocessing, head, classes, differentiable, source)


def _found(asked: Asked) -> Callable | nn.Module:
    module, _, name = asked.body.partition(":")
    try:
        inside = importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            f"{module} of {asked.name} cannot be imported ({error}); start where it lies, install it or set PYTHONPATH"
        ) from error
    callables = [key for key, value in vars(inside).items() if callable(value) and not key.startswith("_")]
    known(name, [*callables, *([name] if hasattr(inside, name) else [])], f"function of {module}")
    return getattr(inside, name)


def _called(function: object, name: str) -> nn.Module:
    if not callable(function):
        raise BadInput(f"{name} is {told(function)}; name an nn.Module or a function that returns one")
    try:
        network = function()
    except TypeError as error:
        raise BadInput(f"{name} is called without arguments, which fails ({error})") from error
    if not isinstance(network, nn.Module):
        raise BadInput(f"{name} returns {told(network)}; it returns an nn.Module of images to features")
    return network


def _attribute(key: str, network: nn.Module, function: object) -> object:
    """What the network or the function says; a method or a part by that name says nothing."""
    for holder in (network, function):
        value = getattr(holder, key, None)
        if value is not None and not callable(value):
            return value
    return None
