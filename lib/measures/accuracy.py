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
    """Metrics "knn accuracy" and "probe accuracy" on all test images; neighbours come from the training images."""

    training_images: ClassVar[int] = knn.NEIGHBOURS  # it needs so many

    @property
    def identity(self) -> str:
        return f"accuracy()#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        labels, features = subject.split("test").labels, subject.features("test")
        neighbours = knn.knn_predict(subject.features("train"), subject.split("train").labels, features)
        predicted = subject.probe.predict(features)
        return as_rows(
            [
                row(CLEAN, "knn accuracy", (neighbours == labels).cpu().numpy()),
                row(CLEAN, "probe accuracy", (predicted == labels).cpu().numpy()),
            ]
        )
