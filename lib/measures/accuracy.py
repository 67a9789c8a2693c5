"""Accuracy on clean test images, by nearest neighbours and by the linear probe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from lib.measures import knn, probe
from lib.measures.rows import CLEAN, as_rows, row
from lib.measures.subject import Subject
from lib.precision import own_precision

PROTOCOL = f"{knn.PROTOCOL}.{probe.PROTOCOL}"


@dataclass(frozen=True)
class Accuracy:
    """Metrics "knn accuracy" and "probe accuracy" on all test images; neighbours come from the training images.

    Without `neighbours` there is only the latter, as of training sets that have fewer images than neighbours.
    """

    training_images: ClassVar[int] = knn.NEIGHBOURS  # it needs so many

    neighbours: bool = True

    @property
    def identity(self) -> str:
        return f"accuracy({'' if self.neighbours else 'neighbours=no'})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        features, rows = subject.features("test"), []
        labels = subject.labels("test")
        if self.neighbours:
            neighbours = knn.knn_predict(subject.features("train"), subject.labels("train"), features)
            rows.append(row(CLEAN, "knn accuracy", (neighbours == labels).cpu().numpy()))
        predicted = subject.probe.predict(features)
        return as_rows([*rows, row(CLEAN, "probe accuracy", (predicted == labels).cpu().numpy())])
