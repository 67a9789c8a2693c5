r"""Shape or texture: which of the two decides, where they name different classes.

A decision is for the shape's class, for the texture's, or for another (Geirhos et al. 2019, arXiv 1811.12231):

.. math:: \mathrm{shape\ bias} =
          \frac{\mathrm{shape\ decisions}}{\mathrm{shape\ decisions} + \mathrm{texture\ decisions}}

It says nothing of how many images are decided either way: with few, a bias is an opinion on few images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib import paths
from lib.images import load, scenes
from lib.images.sources import CIFAR10_CLASSES
from lib.measures import probe
from lib.measures.outcomes import keep, ratio
from lib.measures.probe import fit_probe
from lib.measures.rows import NO_LEVEL, as_rows, cell_of, row
from lib.measures.subject import Subject
from lib.memory import kept
from lib.precision import own_precision
from lib.shifts.cue_conflict import CIFAR10_NAMED, CONFLICT, EDGES, SILHOUETTES, CueConflict, available, cue_conflict

PROTOCOL = f"{scenes.PROTOCOL}.{probe.PROTOCOL}.1"
SHARED = tuple(CIFAR10_NAMED)  # the classes among which a cue-conflict image is decided


@dataclass(frozen=True)
class ShapeBias:
    """Metrics "shape bias" (of the images decided either way), "shape decisions" and "texture decisions" (of all).

    Shift "scenes conflict", for any encoder whatever it was trained on: a probe on frozen features learns the classes
    of `scenes` rendered solids, each in the texture of its class, so that both cues tell all of the class and nothing
    in the training favours either; its decay is chosen on half as many. It decides `scenes` images of the split
    "test-conflict", where every solid wears the texture of another class.

    Shift "cue-conflict", for encoders whose classes are CIFAR-10's and where the set is on this machine: the standard
    probe decides among the seven classes that the set shares with CIFAR-10. Shifts "cue silhouettes" and "cue edges":
    metric "accuracy" of the same decisions. Images of this set share shapes and textures, so its standard errors,
    which take images as independent, are too small. Outcomes of conflicts are kept with their sources: the classes of
    shape and of texture, coarser than the single photographs, which a packed set does not name.

    There is no "shape bias" of fewer than two images decided either way: one has no standard error.
    """

    scenes: int = 2_000

    @property
    def identity(self) -> str:
        return f"shape_bias(scenes={self.scenes})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        rows = _of_scenes(subject, self.scenes)
        if subject.classes == CIFAR10_CLASSES and available():
            size = subject.split("test", 1).images.shape[-1]
            rows += _of_cue_conflict(subject, _cue_conflict(size, subject.device, paths.data(), paths.cache()))
        return as_rows(rows)


def decision_rows(
    shift: str, decided: np.ndarray, shape: np.ndarray, texture: np.ndarray, sources: np.ndarray | None = None
) -> list[tuple]:
    """Rows from the class decided for each image, the class of its shape and that of its texture: (N,) each.

    The bias, a ratio, has outcomes of all images: which are decided either way differs from encoder to encoder.
    """
    for_shape, for_texture = decided == shape, decided == texture
    rows = [
        row(shift, "shape decisions", for_shape, sources=sources),
        row(shift, "texture decisions", for_texture, sources=sources),
    ]
    either = for_shape | for_texture
    if either.sum() < 2:
        return rows
    bias = row(shift, "shape bias", for_shape[either])
    keep(cell_of(shift, "", *NO_LEVEL, "shape bias"), ratio(for_shape, either), sources)
    return [bias, *rows]


def _of_scenes(subject: Subject, count: int) -> list[tuple]:
    (train, labels), (validation, validation_labels) = (
        (subject.extract(images), labels)
        for images, labels in (
            _agreeing(split, number, subject.device) for split, number in (("train", count), ("validation", count // 2))
        )
    )
    fitted = fit_probe(train, labels, validation, validation_labels)
    conflict = load("scenes", "test-conflict", count, subject.device)
    decided = fitted.predict(subject.extract(conflict.images)).cpu().numpy()
    shape, texture = (conflict.factors[name].cpu().numpy() for name in ("shape", "object_texture"))
    return decision_rows("scenes conflict", decided, shape, texture)


@kept
def _agreeing(split: str, count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images (N, 3, 32, 32) and labels (N,) of scenes whose texture, kind i, is that of their shape, class i.

    Not the nine in ten of `textured=True`: there the label follows the shape in the tenth, and a probe that is right
    has been taught which cue to trust. Rendered once for all encoders.
    """
    factors = scenes.draw_factors(count, split=split)
    drawn = scenes.render_factors(factors | {"object_texture": factors["shape"]})
    return drawn.images.to(device), drawn.labels.to(device)


def _of_cue_conflict(subject: Subject, cues: CueConflict) -> list[tuple]:
    shape, texture = (_numbers(names) for names in (cues.shape, cues.texture))
    columns = [CIFAR10_CLASSES.index(CIFAR10_NAMED[name]) for name in SHARED]

    def decided(chosen: np.ndarray) -> np.ndarray:
        images = cues.images[torch.from_numpy(chosen).to(cues.images.device)]
        return subject.probe.scores(subject.extract(images))[:, columns].argmax(dim=1).cpu().numpy()

    conflict = (cues.kind == CONFLICT) & (shape >= 0) & (texture >= 0)
    sources = np.stack([shape, texture], axis=1)[conflict]
    rows = decision_rows("cue-conflict", decided(conflict), shape[conflict], texture[conflict], sources)
    for kind in (SILHOUETTES, EDGES):
        chosen = (cues.kind == kind) & (shape >= 0)
        if chosen.any():
            rows.append(row(f"cue {kind}", "accuracy", decided(chosen) == shape[chosen]))
    return rows


def _numbers(names: np.ndarray) -> np.ndarray:
    """The place of each name (N,) in SHARED, -1 where it is not there."""
    return np.array([SHARED.index(name) if name in SHARED else -1 for name in names])


@kept
def _cue_conflict(size: int, device: torch.device, _data: Path | None, _cache: Path) -> CueConflict:
    """The set, read once for all encoders; the folders are those that it may lie in."""
    return cue_conflict(size, device)
