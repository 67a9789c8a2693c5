"""The error over images of a sum of cells: measured where runs kept what they did on each image, else bounded."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lib.measures.outcomes import Outcome, paired_variances

# How much of the error over images, in standard deviations, systems have for themselves with whatever seed; see
# `_bound`. Measured once, on outcomes that are not kept, of 13 methods that were trained with two learning rates each
# (CIFAR-10, four epochs): between 0.25 (probe, noise) and this (nearest neighbours), on average over pairs of methods.
PAIRED = 0.35


@dataclass(frozen=True)
class Part:
    """What one cell of one system weighs in a sum, its standard error over images, in percentage points, and its
    outcomes, one a seed, where all of its seeds have them."""

    weight: float
    error: float
    outcomes: Sequence[Outcome] | None = None


Systems = Mapping[Hashable, Mapping[Hashable, Part]]  # system -> a name of each cell, whatever the system -> its part


def over_images(systems: Systems) -> float:
    r"""The variance over images, in squared percentage points, that the seeds' spread of a sum does not hold.

    Cells of which every system that has a part kept outcomes on equally many images stand together: they are summed
    image by image, and :math:`V` is the paired variance of that sum (`lib.measures.outcomes.paired_variances`). Were
    the images not the same, their order would be by chance, and so would what they seem to have in common. For all
    other cells, such as of two systems that saw other numbers of images, a bound stands, see `_bound`.

    Sums of several kinds are added as if they went together entirely, :math:`(\sqrt{V_i} + \sqrt{V_j})^2`, unless the
    weights of their systems have opposite signs: then as independent. Both err on the wide side.
    """
    kinds: dict[Hashable, list[Hashable]] = {}
    for key in dict.fromkeys(key for cells in systems.values() for key in cells):
        kinds.setdefault(_images([cells[key] for cells in systems.values() if key in cells]), []).append(key)
    variances, weights = list[float](), []
    for images, keys in kinds.items():
        own = {name: {key: cells[key] for key in keys if key in cells} for name, cells in systems.items()}
        variances.append(_bound(own) if images is None else _paired(own))
        weights.append([sum(part.weight for part in cells.values()) for cells in own.values()])
    if len(variances) == 1:
        return variances[0]
    signs = np.array(weights)
    agree = signs @ signs.T + np.outer(signs.sum(axis=1), signs.sum(axis=1)) > -1e-9
    errors = np.sqrt(variances)
    return float(errors @ np.where(agree | np.eye(len(errors), dtype=bool), 1.0, 0.0) @ errors)


def _images(parts: Sequence[Part]) -> Hashable:
    """What tells the images of a cell from those of others; None where they have no paired error."""
    if any(part.outcomes is None for part in parts):
        return None
    outcomes = [own for part in parts for own in part.outcomes or ()]
    sources = {b"" if own.sources is None else own.sources.tobytes() for own in outcomes}
    counts = {own.images for own in outcomes}
    if len(counts) != 1 or len(sources) != 1:
        return None
    known = outcomes[0].sources
    if known is not None and (np.ptp(known.reshape(len(known), -1), axis=0) == 0).any():
        return None  # of one source alone nobody knows how others differ
    return (*counts, *sources)


def _paired(systems: Systems) -> float:
    """The paired variance of cells on the same images, of as many as all of them kept."""
    kept = [own for cells in systems.values() for part in cells.values() for own in part.outcomes or ()]
    count = min(len(own.values) for own in kept)
    sums = {
        name: sum(
            part.weight * np.stack([own.first(count) for own in part.outcomes or ()]).astype(float)
            for part in cells.values()
        )
        for name, cells in systems.items()
        if cells
    }
    variance = paired_variances(sums, dict.fromkeys(sums, 1.0), kept[0].sources)
    return 100**2 * variance * count / kept[0].images


def _bound(systems: Systems) -> float:
    r"""The variance over images from the standard errors of the cells alone.

    What a run does on an image is the sum of what the image asks of all systems, of what it asks of this system with
    whatever seed, and of what this seed made of it. All seeds and systems saw the same images. So the last part differs
    between seeds and is in their spread already; the first is common to two systems and leaves their difference; only
    the second is missing there. Its deviation is taken to be `PAIRED` of a cell's whole error over images e, and that
    of the first to be the rest:

    .. math:: (1 - r^2) \, \Big[\sum_k \sum_g w_{gk} e_{gk}\Big]^2_\pm + r^2 \sum_g \Big[\sum_k w_{gk} e_{gk}\Big]^2_\pm

    :math:`[\cdot]^2_\pm` adds what has one sign as if it went together entirely, and takes squares of what has
    opposite signs as if they did not go together at all: both err on the wide side. So the interval of a single cell
    has all of e, that of two cells of one system both, and that of two systems `PAIRED` of each.
    """
    places = {key: place for place, key in enumerate(dict.fromkeys(key for own in systems.values() for key in own))}
    errors = np.zeros((len(systems), len(places)))
    for line, cells in zip(errors, systems.values(), strict=True):
        for key, part in cells.items():
            line[places[key]] = part.weight * part.error

    def joint(parts: np.ndarray) -> np.ndarray:
        return np.maximum(parts, 0).sum(axis=-1) ** 2 + np.minimum(parts, 0).sum(axis=-1) ** 2

    return float((1 - PAIRED**2) * joint(errors.sum(axis=0)) + PAIRED**2 * joint(errors).sum())
