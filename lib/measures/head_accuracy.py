"""Accuracy of a classifier's own head on untouched test images."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lib.measures.rows import CLEAN, as_rows, row
from lib.measures.subject import Subject
from lib.precision import own_precision

PROTOCOL = 1
BEST = 5


@dataclass(frozen=True)
class HeadAccuracy:
    """Metrics "top-1 accuracy" and "top-5 accuracy": the share of all test images whose class scores highest, or is
    among the five that do. The latter is left out where there are five scores or fewer, and it is always right.

    For subjects whose probe gives the scores of a head.
    """

    @property
    def identity(self) -> str:
        return f"head_accuracy()#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        scores, labels = subject.probe.scores(subject.features("test")), subject.labels("test")
        rows = [row(CLEAN, "top-1 accuracy", (scores.argmax(dim=1) == labels).cpu().numpy())]
        if scores.shape[1] > BEST:
            best = scores.topk(BEST, dim=1).indices
            rows.append(row(CLEAN, "top-5 accuracy", (best == labels[:, None]).any(dim=1).cpu().numpy()))
        return as_rows(rows)
