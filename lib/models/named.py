"""Encoders by name: whatever trained network there is, behind one door, with the preprocessing of its own source::

    timm:resnet50.a1_in1k               a network of timm
    torchvision:resnet50:IMAGENET1K_V2  of torchvision, with the default weights where none are named
    hf:facebook/dinov2-base             a vision model of transformers, on the hub or in a local folder
    onnx:network.onnx                   a file of ONNX, without gradients
    weights.pth@resnet50_224            a file of weights in one of lib.models.LAYOUTS, and the encoder that it fits
    weights.pth@timm:resnet50           a file of weights for a network of timm
    package.module:function             anybody's network
    small:simclr                        this book's own

Behind a name, `?key=value&key=value` says something else than the source does: size, resize, interpolation,
normalisation (or mean and std), logits, classes, output, and weights=random for controls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from lib.errors import BadInput
from lib.models import build_encoder, handed
from lib.models.preprocessing import Preprocessing, prepared
from lib.models.sources.asked import NORMALISATIONS, Asked, Named, asked, overridden
from lib.models.sources.of_file import ENDINGS, open_file
from lib.models.sources.of_function import PATTERN, open_function
from lib.models.sources.of_onnx import open_onnx
from lib.models.sources.of_timm import open_timm
from lib.models.sources.of_torchvision import open_torchvision
from lib.models.sources.of_transformers import open_transformers
from lib.models.sources.wrapped import WrappedEncoder, counted, probed

PREFIXES = {"timm": open_timm, "torchvision": open_torchvision, "hf": open_transformers, "onnx": open_onnx}
FORMS = (
    "timm:NAME, torchvision:NAME[:WEIGHTS], hf:ORG/NAME or a folder of transformers, onnx:FILE, "
    f"FILE[@ENCODER] ending in {', '.join(ENDINGS)}, package.module:function, or small:METHOD"
)


def open_encoder(name: str, pretrained: bool = True) -> Named:
    """The encoder of a name above, with its weights, or with random ones where `pretrained` is False.

    Raises BadInput where the name is none, where its library or weights are missing or do not fit, where the source
    does not say how images come to it, and where the network gives no finite features (N, D) of its own images.
    """
    wish = asked(str(name), pretrained)
    prefix, colon, body = wish.body.partition(":")
    if colon and prefix == "small":
        return _open_own(replace(wish, body=body))
    if colon and prefix in PREFIXES:
        if not body:
            raise BadInput(f"{name!r} names nothing behind {prefix}:; encoders are {FORMS}")
        return PREFIXES[prefix](replace(wish, body=body))
    if wish.body.partition("@")[0].endswith(ENDINGS):
        return open_file(wish)
    if wish.body and Path(wish.body).is_dir():
        return open_transformers(wish)
    if PATTERN.match(wish.body):
        return open_function(wish)
    raise BadInput(f"{name!r} is no name of an encoder; they are {FORMS}{_hint(wish.body)}")


def _open_own(asked: Asked) -> Named:
    """One of this book's own, whose features are its encoder's; see `lib.models.handed`."""
    encoder, _, card = handed.read(asked.body)
    mean, std = (tuple(buffer.flatten().tolist()) for buffer in (encoder.mean, encoder.std))
    if not asked.pretrained:
        encoder = build_encoder(card["config"]["encoder"])
    encoder.mean.zero_(), encoder.std.fill_(1)  # the wrapper normalises, once
    side = 32
    preprocessing = overridden(Preprocessing(side, side, "bilinear", mean, std, "mean and std of its file"), asked)
    own = WrappedEncoder(asked.name, encoder, preprocessing)
    _, differentiable = probed(own)
    config, (accuracy, *_) = card["config"], card["probe"]["accuracy"]
    source = (
        f"{config['method']} on {config['dataset']}, {config['training']['epochs']} epochs, {config['encoder']}, "
        f"{counted(encoder)}; {accuracy:.1f} % by the probe there"
    )
    return Named(asked.name, own, preprocessing, None, None, differentiable, source)


def normalised_by(named: Named, mean: Sequence[float], std: Sequence[float]) -> Named:
    """The same network and head behind another normalisation, as a control; weights are shared, not copied."""
    source = "normalisation changed as a control; the rest as it was"
    preprocessing = replace(named.preprocessing, mean=tuple(mean), std=tuple(std), source=source)
    return replace(named, encoder=named.encoder.behind(preprocessing), preprocessing=preprocessing)


def head_rows(named: Named, classes: Sequence[str]) -> Tensor:
    """Which outputs of the head are the data's `classes`, int64 (len(classes),), in their order.

    By name where the head's classes have names; by place where they have none and are as many. Raises BadInput where
    the encoder has no head, or one whose classes are others.
    """
    if named.head is None:
        raise BadInput(f"{named.name} has no head of its own: fit a probe instead")
    if named.classes is not None:
        place = {name: index for index, name in enumerate(named.classes)}
        strange = [name for name in classes if name not in place]
        if not strange:
            return torch.tensor([place[name] for name in classes], dtype=torch.int64)
        raise BadInput(
            f"the head of {named.name} has {len(place)} classes ({', '.join(named.classes[:3])}, ...), and "
            f"{len(strange)} of the data's {len(classes)} are not among them ({', '.join(strange[:3])}): fit a "
            "probe instead"
        )
    outputs = _outputs(named)
    if outputs != len(classes):
        raise BadInput(
            f"the head of {named.name} has {outputs} outputs without names, and the data have {len(classes)} classes: "
            "fit a probe instead, or state the head's classes"
        )
    return torch.arange(outputs)


def _outputs(named: Named) -> int:
    with torch.no_grad():
        where = named.encoder.mean.device
        return named.head(torch.zeros(1, named.encoder.features, device=where)).shape[1]


def _hint(body: str) -> str:
    """Where a bare name is one of torchvision's, how it is written."""
    from torchvision import models

    known = body in models.list_models(models)
    return f"; did you mean torchvision:{body} or timm:{body}?" if known else ""


__all__ = [
    "NORMALISATIONS",
    "Asked",
    "Named",
    "Preprocessing",
    "head_rows",
    "normalised_by",
    "open_encoder",
    "prepared",
]
