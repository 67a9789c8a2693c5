"""Accuracy on versions of the test images that keep one cue: which cue the linear probe reads a class from."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from lib.images import Split, load
from lib.measures import probe
from lib.measures.rows import CLEAN, NO_LEVEL, Level, as_rows, row
from lib.measures.subject import Subject
from lib.memory import kept
from lib.precision import own_precision
from lib.randomness import derive
from lib.shifts import cues
from lib.shifts.textures import PROTOCOL as TEXTURES_PROTOCOL
from lib.shifts.textures import textures
from lib.views.negatives import patch_negatives

# Bump the last number when rows change for other reasons.
PROTOCOL = f"{cues.PROTOCOL}.{TEXTURES_PROTOCOL}.{probe.PROTOCOL}.1"
PIECES, A_SIDE = (2, 4, 8), "pieces a side"
CUTOFFS, CYCLES = (2, 4, 8), "cycles an image"
TEXTURE = "texture"
_KEPT = 1 << 24  # numbers in a set of images whose versions are small enough to be kept for the next encoder
_AT_ONCE = 1 << 19  # numbers in as many images as are changed together


@dataclass(frozen=True)
class CueAccuracy:
    """Metric "accuracy" of the standard linear probe on versions of the first `images` test images (None: all).

    Shift and level say what is left of an image, which keeps its label (see `lib.shifts.cues`):

    - "none": everything;
    - "texture": a texture made of two patches of it (see `lib.shifts.textures`); "patch": a grid of patches of it, the
      patch negative of `lib.views.negatives`;
    - "patch_shuffle" at 2, 4, 8: cut into so many pieces a side, shuffled; where they divide the side;
    - "low_pass" and "high_pass" at 2, 4, 8: what lies below or above so many cycles an image;
    - "silhouette", exact for scenes and a guess for photographs; "edges";
    - "recoloured": in the colours of another test image; "stylised": its coarse layout, in the colours and under the
      texture of another test image (see `donors`).

    For shifts "none" and "texture" the same on each subset: a class that has two images or more, by its name.
    """

    images: int | None = 1_000

    @property
    def identity(self) -> str:
        return f"cue_accuracy(images={self.images or 'all'})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        test = subject.split("test", self.images)
        if test.images.numel() > _KEPT or not subject.named:
            made = versions(subject.dataset, test, functools.partial(subject.textures, len(test.images)))
        else:
            made = _kept_versions(subject.dataset, self.images, test.checksum, subject.device)
        labels, rows = test.labels.cpu().numpy(), []
        for shift, level, shown in made:
            right = ~subject.wrong(shown, test.labels)
            rows.append(row(shift, "accuracy", right, level))
            for label, name in enumerate(test.classes if shift in (CLEAN, TEXTURE) else ()):
                if (labels == label).sum() > 1:
                    rows.append(row(shift, "accuracy", right[labels == label], level, subset=name))
        return as_rows(rows)


@kept
def _kept_versions(
    dataset: str, count: int | None, checksum: str, device: torch.device
) -> tuple[tuple[str, Level, Tensor], ...]:
    return tuple(versions(dataset, load(dataset, "test", count, device)))


def versions(
    dataset: str, test: Split, make: Callable[[], Tensor] | None = None
) -> Iterator[tuple[str, Level, Tensor]]:
    """Shift, level and images, uint8 (N, 3, S, S), of each version of the first N test images of `dataset`.

    `make` gives their textures, where the set is none of `lib.images.load`.
    """
    images, device, side = test.images, test.images.device, test.images.shape[-1]
    yield CLEAN, NO_LEVEL, images
    texture = textures(dataset, "test", len(images), device) if make is None else make()
    yield TEXTURE, NO_LEVEL, texture
    # On the CPU, whose generator gives the same patches whatever the encoder runs on.
    generator = torch.Generator().manual_seed(0)
    yield "patch", NO_LEVEL, patch_negatives(images.cpu(), generator).to(device)
    seeds = derive(0, torch.arange(len(images), device=device))
    for pieces in PIECES:
        if side % pieces == 0:
            yield "patch_shuffle", Level(pieces, A_SIDE), cues.patch_shuffle(images, pieces, seeds)
    for function in (cues.low_pass, cues.high_pass):
        for cutoff in CUTOFFS:
            shown = _in_parts(functools.partial(function, cutoff=cutoff), images)
            yield function.__name__, Level(cutoff, CYCLES), shown
    masks = () if test.masks is None else (test.masks.to(device),)
    yield "silhouette", NO_LEVEL, _in_parts(cues.silhouette, images, *masks)
    yield "edges", NO_LEVEL, _in_parts(cues.edges, images)
    donor = donors(test.labels)
    yield "recoloured", NO_LEVEL, _in_parts(cues.recolour, images, images[donor])
    yield "stylised", NO_LEVEL, _in_parts(cues.stylise, images, images[donor], texture[donor])


def donors(labels: Tensor) -> Tensor:
    """For each of `labels` (N,) the index of the next with another value, the first being next to the last: (N,).

    Where all are equal, that of the one before.
    """
    here = torch.arange(len(labels), device=labels.device)
    chosen = here.clone()
    for step in range(1, len(labels)):
        alike = labels[chosen] == labels
        if not alike.any():
            break
        chosen[alike] = (here[alike] + step) % len(labels)
    return chosen


def _in_parts(function: Callable[..., Tensor], images: Tensor, *others: Tensor) -> Tensor:
    """`function` of a few images at once, so that its floats need no more memory than theirs."""
    size = max(1, _AT_ONCE // images[0].numel())
    return torch.cat([function(*part) for part in zip(*(x.split(size) for x in (images, *others)), strict=True)])
