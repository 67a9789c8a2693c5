"""Corruption error: how often a probe is wrong on corrupted test images, and its summaries.

The `shift` of a row is "none" (clean images), a corruption, one of the four groups, or "all", at one of five severities
or, without a level, in the mean over them. Groups and "all" are those of the benchmark, the 15 without the four
held back for validation, each corruption weighing the same: on CIFAR-10-C the mean of "all" is the field's number,
the unnormalised mean over 15 x 5 (RobustBench). The metrics:

- "error" of the probe;
- "error step": the error less that of the same images one severity below, below 1 without corruption;
- "relative error" of groups and "all": the error less that of the same images without corruption;
- "calibration error" of clean images and "all": the mean of the cells' ECE (see `lib.measures.calibration`), which
  grows as images get fewer;
- "debiased calibration error" of the same: the root of the mean of the cells' squared error, which does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from lib.measures import probe
from lib.measures.calibration import calibration_gaps, root_outcomes, squared_gaps
from lib.measures.rows import CLEAN, MEAN_SEVERITY, OVER_SEVERITIES, SEVERITY, Level, Rows, as_rows, row
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.corruptions import BAR, CORRUPTIONS, EVERY, GROUPS, SEVERITIES
from lib.shifts.corruptions import PROTOCOL as CORRUPTIONS_PROTOCOL

PROTOCOL = f"{CORRUPTIONS_PROTOCOL}.{probe.PROTOCOL}.3"  # bump the last number when rows change for other reasons
ALL = "all"
DEBIASED = "debiased calibration error"
LEVELS = tuple(Level(severity, SEVERITY) for severity in SEVERITIES)
MEASURED = tuple(name for name in EVERY if name not in BAR)  # C-bar's are out of distribution: see that measure


def held(rows: pd.DataFrame) -> list[str]:
    """Those of `MEASURED` that `rows` hold: published rows may be older than a corruption."""
    shifts = set(rows["shift"])
    return [name for name in MEASURED if name in shifts]


@dataclass(frozen=True)
class CorruptionError:
    """The linear probe's errors on `images` test images (None: all), clean and corrupted.

    Of fewer `severities` than five, the level of a mean over them says which they are, and a step is from the one
    before among them.
    """

    images: int | None = None
    severities: tuple[int, ...] = SEVERITIES

    @property
    def identity(self) -> str:
        some = "" if self.severities == SEVERITIES else f", severities={' '.join(map(str, self.severities))}"
        return f"corruption_error(images={self.images or 'all'}{some})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        test = subject.split("test", self.images)

        def outcomes(features: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """Of each image, whether the prediction is wrong, and its parts of the two calibration errors."""
            confidence, predicted = subject.probe.scores(features).softmax(dim=1).max(dim=1)
            right = (predicted == test.labels).cpu().numpy()
            confidence = confidence.cpu().numpy()
            return ~right, calibration_gaps(confidence, right), squared_gaps(confidence, right)

        clean, clean_gaps, clean_squares = outcomes(subject.extract(test.images))
        cells = [
            outcomes(subject.corrupted_features(name, level, self.images))
            for name in MEASURED
            for level in self.severities
        ]
        shape, levels = (len(MEASURED), len(self.severities), -1), levels_of(self.severities)
        grid, gaps, squares = (np.reshape(values, shape) for values in zip(*cells, strict=True))
        return pd.concat(
            [
                error_rows(clean, grid, levels),
                calibration_rows(clean_gaps, gaps, levels),
                debiased_rows(clean_squares, squares, levels),
            ],
            ignore_index=True,
        )


@dataclass(frozen=True)
class Levels:
    """The severities that were measured, and how the mean over them is named."""

    each: tuple[Level, ...] = LEVELS
    mean: Level = OVER_SEVERITIES


def levels_of(severities: tuple[int, ...]) -> Levels:
    if severities == SEVERITIES:
        return Levels()
    unit = f"{MEAN_SEVERITY.replace('severities', 'severity')} {' '.join(map(str, severities))}"
    return Levels(tuple(Level(severity, SEVERITY) for severity in severities), Level(math.nan, unit))


def error_rows(clean: np.ndarray, grid: np.ndarray, levels: Levels = Levels()) -> Rows:
    """Rows from whether predictions are wrong, (N,) and (M, S, N) for the M of `MEASURED`, as the module says."""
    rows = [row(CLEAN, "error", clean)]
    for shift in (*MEASURED, *GROUPS, ALL):
        outcomes = _mean_over(shift, grid)  # (5, N)
        steps = np.diff(outcomes, axis=0, prepend=clean[None].astype(float))
        rows.append(row(shift, "error", outcomes.mean(axis=0), levels.mean))
        for level, of_images, step in zip(levels.each, outcomes, steps, strict=True):
            rows += [row(shift, "error", of_images, level), row(shift, "error step", step, level)]
        if shift not in MEASURED:
            rows += [row(shift, "relative error", cell - clean, level) for level, cell in _and_mean(outcomes, levels)]
    return as_rows(rows)


def calibration_rows(clean: np.ndarray, grid: np.ndarray, levels: Levels = Levels()) -> Rows:
    """Rows from the gaps (N,) and (M, S, N) of `calibration_gaps`."""
    cells = _and_mean(_mean_over(ALL, grid), levels)
    rows = [row(ALL, "calibration error", gaps, level) for level, gaps in cells]
    return as_rows([row(CLEAN, "calibration error", clean), *rows])


def debiased_rows(clean: np.ndarray, grid: np.ndarray, levels: Levels = Levels()) -> Rows:
    """Rows from the squares (N,) and (M, S, N) of `squared_gaps`: roots of the means over cells."""
    cells = _and_mean(_mean_over(ALL, grid), levels)
    rows = [row(ALL, DEBIASED, root_outcomes(gaps), level) for level, gaps in cells]
    return as_rows([row(CLEAN, DEBIASED, root_outcomes(clean)), *rows])


def _and_mean(outcomes: np.ndarray, levels: Levels) -> list[tuple[Level, np.ndarray]]:
    """Outcomes (S, N) with their levels, and before them their mean over severities."""
    return [(levels.mean, outcomes.mean(axis=0)), *zip(levels.each, outcomes, strict=True)]


def _mean_over(shift: str, grid: np.ndarray) -> np.ndarray:
    """(M, S, N) -> (S, N): the mean over the corruptions that `shift` stands for."""
    members = GROUPS.get(shift, CORRUPTIONS if shift == ALL else (shift,))
    return grid[[MEASURED.index(name) for name in members]].mean(axis=0)


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
