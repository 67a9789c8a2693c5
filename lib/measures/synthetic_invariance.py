"""How little an encoder's features move when an image is transformed: the 18 transforms of arXiv 2111.11398."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from lib.measures.invariance import chance_distance, chance_similarity, cosine, effective_invariance
from lib.measures.outcomes import ratio
from lib.measures.probe import PROTOCOL as PROBE_PROTOCOL
from lib.measures.rows import CLEAN, Level, as_rows, number, row
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.transforms import TRANSFORMS, image_distance, transform

PROTOCOL = f"{PROBE_PROTOCOL}.1"
_BATCH = 4096  # transformed images of 32 px at a time


@dataclass(frozen=True)
class SyntheticInvariance:
    """Invariance to each of `TRANSFORMS`, on the first `images` test images and at most `parameters` settings of each.

    A setting's value on one image is averaged over the settings; the standard error is that over images. Metrics, in
    hundredths, without a level:

    - "whitened similarity" and "similarity": cosine of the features of image and transformed image, whitened by the
      training images or as they are;
    - "Mahalanobis distance", where 100 is that of two different images, and "feature distance" likewise, Euclidean;
    - "effective invariance" of the probe's predictions;
    - "image distance": root mean square difference of pixels, which knows nothing of any encoder;
    - "sensitivity": 1 - whitened similarity, divided by the image distance, so that transforms of different
      strength compare.

    For transforms of one parameter, "whitened similarity along" and "similarity along" at each value of it, which
    is the level. Shift "none" has what different images score: "whitened similarity" and
    "similarity".
    """

    images: int = 1_000
    parameters: int = 256

    @property
    def identity(self) -> str:
        return f"synthetic_invariance(images={self.images}, parameters={self.parameters})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        shown = subject.split("test", self.images).images
        whiten = subject.whitening
        clean = subject.extract(shown)
        white = whiten(clean)
        far, far_white = chance_distance(clean), chance_distance(white)
        logits = subject.probe.scores(clean)
        rows = [_chance("whitened similarity", white), _chance("similarity", clean)]
        for name, kind in TRANSFORMS.items():
            grid = kind.grid(shown.shape[-1], self.parameters)
            chunks = []
            for moved, distance in transformed(subject, shown, name, grid):  # (k, N, D), (k, N)
                moved_white = whiten(moved)
                scores = subject.probe.scores(moved.flatten(0, 1))
                chunks.append(
                    {
                        "whitened similarity": cosine(white.expand_as(moved_white), moved_white),
                        "similarity": cosine(clean.expand_as(moved), moved),
                        "Mahalanobis distance": (moved_white - white).norm(dim=-1) / far_white,
                        "feature distance": (moved - clean).norm(dim=-1) / far,
                        "effective invariance": effective_invariance(logits.repeat(len(moved), 1), scores).view(
                            distance.shape
                        ),
                        "image distance": distance,
                    }
                )
            per_image = {metric: torch.cat([chunk[metric] for chunk in chunks]) for metric in chunks[0]}  # (K, N)
            means = {metric: values.mean(dim=0).cpu().numpy() for metric, values in per_image.items()}
            rows += [row(name, metric, values) for metric, values in means.items()]
            sensitivity = ratio(1 - means["whitened similarity"], means["image distance"])
            rows.append(row(name, "sensitivity", sensitivity))
            if grid.shape[1] == 1 and len(grid) > 1:
                levels = [Level(value, unit_of(name)) for value in grid[:, 0].tolist()]
                for metric in ("whitened similarity", "similarity"):
                    for level, along in zip(levels, per_image[metric], strict=True):
                        rows.append(row(name, f"{metric} along", along.cpu().numpy(), level))
        return as_rows(rows)


def transformed(subject: Subject, images: Tensor, name: str, grid: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Features (k, N, D) of every image at the next k settings of `grid` (K, P), and how far its pixels moved (k, N).

    All at once, as many images and settings as the paper has would be gigabytes.
    """
    batch = _BATCH * 32**2 // max(32, images.shape[-1]) ** 2
    for settings in grid.split(max(1, batch // len(images))):
        many = images.repeat(len(settings), 1, 1, 1)
        changed = transform(many, name, settings.repeat_interleave(len(images), dim=0))
        shape = (len(settings), len(images))
        yield subject.extract(changed).unflatten(0, shape), image_distance(many, changed).view(shape)


def unit_of(name: str) -> str:
    """Of the one parameter of a transform; of a pure number what it is called, such as "factor"."""
    kind = TRANSFORMS[name]
    return kind.units[0] or kind.names[0]


def _chance(metric: str, features: Tensor) -> tuple:
    return number(CLEAN, metric, 100 * chance_similarity(features), len(features))
