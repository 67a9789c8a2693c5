"""Error on other photographs of the same classes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from lib.images import Split
from lib.images.sources import CIFAR10_CLASSES
from lib.measures import probe
from lib.measures.rows import CLEAN, as_rows, row
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.natural import NATURAL, available, natural

PROTOCOL = f"{probe.PROTOCOL}.1"


@dataclass(frozen=True)
class NaturalShift:
    """Metric "balanced error" of the probe: its error in each class, averaged over the classes.

    On the clean test images (shift "none") and on each of `sets` that is on this machine; nothing is downloaded. Only
    encoders whose classes are CIFAR-10's have rows of `sets`. A class that a set lacks is left out of its mean.
    """

    sets: tuple[str, ...] = tuple(NATURAL)

    @property
    def identity(self) -> str:
        return f"natural_shift(sets={' '.join(self.sets)})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        labels = subject.labels("test")
        clean = (subject.probe.predict(subject.features("test")) != labels).cpu().numpy()
        rows = [row(CLEAN, "balanced error", balanced(clean, labels.cpu().numpy()))]
        for name, split in natural_splits(subject.classes, subject.device, self.sets).items():
            wrong = subject.wrong(split.images, split.labels)
            rows.append(row(name, "balanced error", balanced(wrong, split.labels.cpu().numpy())))
        return as_rows(rows)


def natural_splits(classes: tuple[str, ...], device: torch.device, sets: Iterable[str] = NATURAL) -> dict[str, Split]:
    """Those of `sets` that are on this machine and have these `classes`; none for other classes than CIFAR-10's."""
    here = available() if classes == CIFAR10_CLASSES else ()
    return {name: natural(name, device) for name in sets if name in here}


def balanced(outcomes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """`outcomes` (N,) weighted so that their mean is that of the classes' means."""
    sizes = np.bincount(labels)
    return outcomes * (len(labels) / (np.count_nonzero(sizes) * sizes[labels]))
