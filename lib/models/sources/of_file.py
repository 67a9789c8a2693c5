"""A file of weights in the layouts that `lib.models.load_checkpoint` knows, in one of our own encoders."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch

from lib.errors import BadInput, one_of
from lib.models import ENCODERS, build_encoder
from lib.models.checkpoints import Report, load_checkpoint
from lib.models.encoder import Encoder
from lib.models.imagenet import SIDE
from lib.models.outside import read
from lib.models.preprocessing import Preprocessing
from lib.models.sources.asked import Asked, Named, overridden
from lib.models.sources.of_timm import open_timm
from lib.models.sources.wrapped import WrappedEncoder, counted, probed

ENDINGS = (".pth", ".pt", ".tar", ".ckpt", ".bin", ".safetensors")
TIMM = "timm:"
LARGE = "_224"
OWN_PADDING = "_solo_learn"  # the same weights fit the plain network: a variant is certain by the layout alone


def open_file(asked: Asked) -> Named:
    """`FILE` or `FILE@ENCODER`, one of `lib.models.ENCODERS`, which is found by the file's keys where one alone fits;
    or `FILE@timm:NAME`, with the preprocessing that timm has for that name and the file's own classifier, if any.

    An ImageNet network is fed as its authors feed it: shorter side to 256 px, central crop of 224 px, bicubic for
    transformers and bilinear for others. One of small images is fed 32 px.
    """
    place, _, chosen = asked.body.partition("@")
    path = Path(place)
    if not path.is_file():
        raise BadInput(f"there is no file {path}")
    entries = read(path)
    if chosen.startswith(TIMM):
        return open_timm(replace(asked, body=chosen.removeprefix(TIMM)), entries)
    if not chosen:
        chosen = _recognised(path, entries)
    encoder = build_encoder(one_of(chosen, ENCODERS, "encoder"))
    report = load_checkpoint(encoder, entries)
    encoder.mean.zero_(), encoder.std.fill_(1)  # the wrapper normalises, once
    preprocessing = overridden(_preprocessing(encoder, chosen, report), asked)
    own = WrappedEncoder(asked.name, encoder, preprocessing)
    _, differentiable = probed(own)
    source = f"{path.name}, {chosen} with {report}, {counted(encoder)}; features are the encoder's, without any head"
    return Named(asked.name, own, preprocessing, None, None, differentiable, source)


def _recognised(path: Path, entries: Mapping) -> str:
    """The one encoder of `ENCODERS` that the file's keys and shapes fit; tried without memory or arithmetic."""
    fits = []
    for name, build in ENCODERS.items():
        with torch.device("meta"):
            encoder = build()
        try:
            with warnings.catch_warnings(action="ignore"):  # that nothing is copied
                report = load_checkpoint(encoder, entries)
        except BadInput:
            continue
        if not name.endswith(OWN_PADDING) or report.layout == "solo_learn":
            fits.append(name)
    if len(fits) != 1:
        what = f"fits {' and '.join(fits)} alike" if fits else "fits none of our encoders by its keys alone"
        example = fits[0] if fits else "resnet50_224"
        raise BadInput(
            f"{path} {what}; name the one that it holds, as in '{path}@{example}'; all: {', '.join(ENCODERS)}"
        )
    return fits[0]


def _preprocessing(encoder: Encoder, name: str, report: Report) -> Preprocessing:
    large = name.endswith(LARGE) or "_224_" in name
    size, resize = (SIDE, 256) if large else (32, 32)
    interpolation = "bicubic" if encoder.transformer else "bilinear"
    source = f"mean and std of the {report.layout} layout or the file, size and resizing by the field's convention"
    return Preprocessing(size, resize, interpolation, report.mean, report.std, source)
