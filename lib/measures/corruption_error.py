"""Corruption error: how often a probe is wrong on corrupted test images, and its summaries.

The `shift` of a row is "none" (clean images), a corruption, one of the four groups, or "all"; a
severity of 0 stands for the mean over the five. Means over corruptions weigh each one equally.
On CIFAR-10-C "all" at severity 0 is the field's number, the unnormalised mean over 15 x 5
(RobustBench). Groups and "all" also have the metric "relative error": the error less the error of
the same images without corruption.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.measures import probe
from lib.measures.rows import CLEAN, COLUMNS, row
from lib.measures.subject import Subject
from lib.randomness import seed_of
from lib.shifts.corruptions import CORRUPTIONS, GROUPS, SEVERITIES, corrupt
from lib.shifts.corruptions import PROTOCOL as CORRUPTIONS_PROTOCOL

PROTOCOL = f"{CORRUPTIONS_PROTOCOL}.{probe.PROTOCOL}.1"  # bump the last number when rows change for other reasons
ALL = "all"


@dataclass(frozen=True)
class CorruptionError:
    """The linear probe's errors on `images` test images (None: all), clean and corrupted."""

    images: int | None = None

    @property
    def identity(self) -> str:
        return f"corruption_error(images={self.images or 'all'})#{PROTOCOL}"

    def rows(self, subject: Subject) -> pd.DataFrame:
        return error_rows(*self.outcomes(subject))

    def outcomes(self, subject: Subject) -> tuple[np.ndarray, np.ndarray]:
        """Whether each prediction is wrong: bool (N,) on clean images, (15, 5, N) on corrupted ones."""
        test = subject.split("test", self.images)

        def wrong(pictures: Tensor) -> np.ndarray:
            return (subject.probe.predict(subject.extract(pictures)) != test.labels).cpu().numpy()

        grid = [[wrong(corrupted(test.images, name, level)) for level in SEVERITIES] for name in CORRUPTIONS]
        return wrong(test.images), np.array(grid)


def corrupted(images: Tensor, name: str, severity: int) -> Tensor:
    """`images` under one corruption, with the same noise in every run: methods are compared on equal pictures."""
    seed = seed_of(CORRUPTIONS.index(name), severity)
    return corrupt(images, name, severity, generator=torch.Generator().manual_seed(seed))


def error_rows(clean: np.ndarray, grid: np.ndarray) -> pd.DataFrame:
    """Rows from outcomes (N,) and (15, 5, N), as the module's docstring describes them."""
    rows = [row(CLEAN, 0, "error", clean)]
    for shift in (*CORRUPTIONS, *GROUPS, ALL):
        members = GROUPS.get(shift, CORRUPTIONS if shift == ALL else (shift,))
        outcomes = grid[[CORRUPTIONS.index(name) for name in members]].mean(axis=0)  # (5, N)
        for severity, of_images in [(0, outcomes.mean(axis=0)), *zip(SEVERITIES, outcomes, strict=True)]:
            rows.append(row(shift, severity, "error", of_images))
            if shift not in CORRUPTIONS:
                rows.append(row(shift, severity, "relative error", of_images - clean))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def mean_corruption_error(errors: pd.DataFrame, baseline: pd.DataFrame) -> float:
    r"""mCE in percent (Hendrycks and Dietterich, arXiv 1903.12261, section 4): a named baseline divides.

    .. math:: \mathrm{mCE} = \frac{1}{C} \sum_c \frac{\sum_s E_{c,s}}{\sum_s E^{\mathrm{base}}_{c,s}}

    `errors` and `baseline` have corruptions as index and severities as columns.
    """
    return float(100 * (errors.sum(axis=1) / baseline.sum(axis=1)[errors.index]).mean())


def relative_mean_corruption_error(
    errors: pd.DataFrame, clean: float, baseline: pd.DataFrame, baseline_clean: float
) -> float:
    r"""Relative mCE in percent: the clean error is subtracted at every severity, not once.

    .. math:: \frac{1}{C} \sum_c \frac{\sum_s (E_{c,s} - E_{\mathrm{clean}})}
              {\sum_s (E^{\mathrm{base}}_{c,s} - E^{\mathrm{base}}_{\mathrm{clean}})}
    """
    return mean_corruption_error(errors - clean, baseline - baseline_clean)
