"""timm's networks: any that `timm.create_model` builds, with the preprocessing of its pretrained configuration.

The features are those of `create_model(num_classes=0)`: pooled as the network's own classifier reads them (the mean of
a convolutional network's map, a transformer's class token or mean of tokens, behind the last norm).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import ModuleType

import torch
from torch import nn

from lib.errors import BadInput
from lib.models.checkpoints import COUNTER, NAMED, WRAPPERS, weights_of
from lib.models.outside import some
from lib.models.preprocessing import Preprocessing
from lib.models.sources.asked import Asked, Named, known, overridden
from lib.models.sources.library import imported, weights_only
from lib.models.sources.wrapped import WrappedEncoder, close, counted, fetching, probed, trial_images
from lib.shifts.wnids import WNIDS

HUB = "hf-hub:"
PREFIXES = ("backbone.", "encoder.", "base_encoder.", "encoder_q.")  # of a network inside somebody's module


def open_timm(asked: Asked, file: Mapping | None = None) -> Named:
    """`timm:NAME` or `timm:NAME.TAG`, or timm's own `timm:hf-hub:ORG/NAME`, whose configuration is data and no code.

    `file` is what a file of weights for that network holds, in the place of timm's own.
    """
    timm = imported("timm", asked.name)
    if not asked.body.startswith(HUB):
        _check_name(timm, asked.body)
    network = _built(timm, asked) if file is None else _filled(timm, asked, file)
    config = timm.data.resolve_model_data_config(network)
    preprocessing = overridden(_preprocessing(config, network, asked.name), asked)
    encoder = WrappedEncoder(asked.name, network.eval(), preprocessing)
    count = counted(network)
    head, said = _head(timm, encoder, own=file is not None)
    _, differentiable = probed(encoder)
    tag = network.pretrained_cfg.get("tag") or "its default"
    weights = f"weights {tag}" if asked.pretrained else "random weights"
    weights = weights if file is None else "weights of the file"
    source = f"timm {timm.__version__}, {asked.body}, {weights}, {count}; {said}"
    classes = None
    if head is not None:
        classes = (
            None
            if file is not None
            else WNIDS
            if head.out_features == len(WNIDS)
            else _other_classes(timm, head.out_features)
        )
    return Named(asked.name, encoder, preprocessing, head, classes, differentiable, source)


def _check_name(timm: ModuleType, body: str) -> None:
    name, _, tag = body.partition(".")
    known(name, timm.list_models(), "network of timm", "; timm.list_models() has all")
    if tag:
        tagged = timm.list_models(f"{name}.*", pretrained=True)
        if body not in tagged:
            raise BadInput(f"timm has no weights {tag!r} for {name}; allowed: {', '.join(tagged) or 'none'}")


def _built(timm: ModuleType, asked: Asked) -> nn.Module:
    """The network in timm's own words; a size that is asked for is handed on where the network has one."""
    options = {"img_size": int(asked.options["size"])} if asked.options.get("size", "").isdigit() else {}
    with fetching(asked.name), weights_only():
        try:
            return timm.create_model(asked.body, pretrained=asked.pretrained, **options)
        except TypeError:
            if not options:
                raise
            return timm.create_model(asked.body, pretrained=asked.pretrained)


def _filled(timm: ModuleType, asked: Asked, file: Mapping) -> nn.Module:
    """The network with the weights of a file, all of which it needs, and with its classifier where the file has one.

    Weights may lie behind one of `PREFIXES`, and what is beside them there is left out.
    """
    _, weights, _ = weights_of(file)
    plain = {WRAPPERS.sub("", key): value for key, value in weights.items()}
    prefix = next((prefix for prefix in PREFIXES if any(key.startswith(prefix) for key in plain)), "")
    inside = {key.removeprefix(prefix): value for key, value in plain.items() if key.startswith(prefix)}
    config = timm.get_pretrained_cfg(asked.body)
    last = inside.get(f"{config.classifier}.weight")
    network = timm.create_model(asked.body, pretrained=False, num_classes=0 if last is None else len(last))
    state = network.state_dict()
    wrong = {
        "missing": [key for key in state if key not in inside and not key.endswith(COUNTER)],
        "unexpected": [key for key in inside if key not in state],
        "of another shape": [key for key in state if key in inside and state[key].shape != inside[key].shape],
    }
    if any(wrong.values()):
        what = "; ".join(f"{some(keys, NAMED)} {word}" for word, keys in wrong.items() if keys)
        raise BadInput(f"the weights of {asked.name} do not fit {asked.body} of timm: {what}")
    network.load_state_dict(state | inside)
    return network


def _preprocessing(config: dict, network: nn.Module, name: str) -> Preprocessing:
    """timm's own evaluation transform in numbers (`timm.data.create_transform`)."""
    channels, height, width = config["input_size"]
    mode = config.get("crop_mode") or "center"
    if channels != 3 or height != width or mode not in ("center", "squash"):
        raise BadInput(
            f"{name} takes {channels} x {height} x {width} with crop mode {mode!r}; encoders take three channels and "
            "squares, cropped by center or squash"
        )
    source = "all by timm's pretrained configuration"
    test = network.pretrained_cfg.get("test_input_size")
    if test and tuple(test) != tuple(config["input_size"]):
        source += f" for its training size (its test size is {test[-1]} px)"
    resize = math.floor(height / config["crop_pct"])
    mean, std = tuple(config["mean"]), tuple(config["std"])
    return Preprocessing(height, resize, config["interpolation"], mean, std, source, squash=mode == "squash")


def _head(timm: ModuleType, encoder: WrappedEncoder, own: bool) -> tuple[nn.Module | None, str]:
    """The network's own classifier, taken off it, and what was done in words; None where there is none to evaluate.

    Any number of outputs is a classifier's in a file of one's `own`; in timm's it may be a projection's.
    """
    network = encoder.network
    features = "features of num_classes=0"
    if not network.num_classes:
        return None, f"{features}, no classifier"
    head = network.get_classifier()
    images = trial_images(encoder.side)
    with torch.no_grad():
        logits = network(encoder.normalised(images))
    network.reset_classifier(0)
    network.eval().requires_grad_(False)
    if not own and timm.data.infer_imagenet_subset({"num_classes": logits.shape[-1]}) is None:
        return None, f"{features}; its last layer of {logits.shape[-1]} outputs is no known classifier and left out"
    if isinstance(head, nn.Linear):
        with torch.no_grad():
            if close(head(encoder(images)), logits):
                return head, f"{features}, its own classifier of {logits.shape[-1]} classes"
    return None, f"{features}; its classifier is no linear layer of these features and left out"


def _other_classes(timm: ModuleType, count: int) -> tuple[str, ...]:
    subset = timm.data.infer_imagenet_subset({"num_classes": count})
    return tuple(timm.data.ImageNetInfo(subset).label_names())
