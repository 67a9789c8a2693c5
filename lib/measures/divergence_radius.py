"""How large a ball holds the features of an image and of its edits, and whether that tells what the edits cost.

Source: the divergence radius of Liu, Jiang, Hong and Gong 2026 (arXiv 2604.14973), which they want to lie in a bounded
range, to grow with the set of edits, to be 0 for a perfectly robust encoder and at the end of its range for the least
robust one, and not to change when the feature space is rotated. It is written here from its abstract and from summaries
of it, which say that it is the radius of the smallest ball around the features of an image's edits. What they leave
open is our choice:

- features are divided by their length, so that the radius is from 0 to 1: the range is bounded only so, and 1 means
  edits that no half of the sphere holds;
- the image itself is one of the points, so that a single edit has a radius already, half of its distance;
- the edits are corruptions at their five severities, by default the 15 of the benchmark; theirs are nine common edits;
- what an image's radius is held against is the share of its edits at which the probe is wrong, less whether it is
  wrong on the image itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadInput
from lib.measures import probe
from lib.measures.enclosing_ball import smallest_ball
from lib.measures.rows import SEVERITY, Level, as_rows, number, row
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.corruptions import CORRUPTIONS, SEVERITIES
from lib.shifts.corruptions import PROTOCOL as CORRUPTIONS_PROTOCOL

PROTOCOL = f"{CORRUPTIONS_PROTOCOL}.{probe.PROTOCOL}.1"
ALL = "all"
LEVELS = tuple(Level(severity, SEVERITY) for severity in SEVERITIES)
_NUMBERS = 1 << 25  # of features in one go: 256 MiB as float64


def divergence_radius(features: Tensor) -> Tensor:
    """Radius of the smallest ball around the directions of each image's M versions: (N, M, D) -> (N,), 0..1, float64.

    The features of an image and of its edits, in any order, each divided by its length; zeros stay at the origin.

    >>> divergence_radius(torch.tensor([[[2.0, 0.0], [-3.0, 0.0]], [[1.0, 1.0], [5.0, 5.0]]]))
    tensor([1., 0.], dtype=torch.float64)
    """
    if features.ndim != 3 or 0 in features.shape[1:] or not features.isfinite().all():
        raise BadInput(f"features are finite numbers (N, M, D), M and D at least 1, not {tuple(features.shape)}")
    parts = features.split(max(1, _NUMBERS // features.shape[1:].numel()))
    return torch.cat([smallest_ball(F.normalize(part.double(), dim=2, eps=1e-300))[1] for part in parts])


@dataclass(frozen=True)
class DivergenceRadius:
    """Divergence radius of the first `images` test images under each of some corruptions and under all of these.

    The `shift` is a corruption or "all", the level the highest severity of the edits that are in the ball: at 5 it is
    the ball of all, and it grows with the level. Metrics, in hundredths:

    - "divergence radius", where 100 is the radius of the whole sphere;
    - "accuracy drop": the share of these edits on which the probe is wrong, less whether it is on the image;
    - "drop that the radius tells": the correlation of the two over images. There is no row where one of the two is the
      same for all images.
    """

    images: int = 1_000
    corruptions: tuple[str, ...] = CORRUPTIONS

    @property
    def identity(self) -> str:
        chosen = "" if self.corruptions == CORRUPTIONS else f", corruptions={' '.join(self.corruptions)}"
        return f"divergence_radius(images={self.images}{chosen})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        test = subject.split("test", self.images)
        clean = subject.extract(test.images)
        wrong = (subject.probe.predict(clean) != test.labels).cpu().numpy().astype(float)
        edits, missed = {}, {}  # of each corruption: features (severities, N, D), whether the probe is wrong (s, N)
        for name in self.corruptions:
            each = [subject.extract(subject.corrupted(name, level, self.images)) for level in SEVERITIES]
            edits[name] = torch.stack(each)
            missed[name] = np.stack([(subject.probe.predict(one) != test.labels).cpu().numpy() for one in each])
        rows = []
        for shift in (*self.corruptions, ALL):
            names = self.corruptions if shift == ALL else (shift,)
            for level in LEVELS:
                shown = [edits[name][: int(level.value)] for name in names]
                radius = divergence_radius(torch.cat((clean[None], *shown)).transpose(0, 1)).cpu().numpy()
                drop = np.concatenate([missed[name][: int(level.value)] for name in names]).mean(axis=0) - wrong
                rows += [row(shift, "divergence radius", radius, level), row(shift, "accuracy drop", drop, level)]
                rows += _told(shift, radius, drop, level)
        return as_rows(rows)


def _told(shift: str, radius: np.ndarray, drop: np.ndarray, level: Level) -> list[tuple]:
    """The row of the correlation with its standard error, that of a normal pair; none where one does not vary."""
    if np.ptp(radius) == 0 or np.ptp(drop) == 0:
        return []
    found = float(np.corrcoef(radius, drop)[0, 1])
    error = (1 - found**2) / np.sqrt(max(1, len(drop) - 1))
    return [number(shift, "drop that the radius tells", 100 * found, len(drop), level, standard_error=100 * error)]
