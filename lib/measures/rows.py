"""Tidy rows: one number a line."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.measures.outcomes import Cell, keep

Rows = pd.DataFrame  # with at least the columns that whoever takes them names
# On which images, and which part of them or of what is asked about them ("": all); how far these were changed, a number
# with its unit; what came out (in percent or hundredths), its standard error over test images, and their number.
COLUMNS = ("shift", "subset", "level", "level_unit", "metric", "value", "standard_error", "images")
CLEAN = "none"  # the shift of untouched test images
SEVERITY = "severity"
MEAN_SEVERITY = "mean over severities"
OF_255 = "/255"  # the largest change of a pixel's value
PERCENTILE = "percentile"


class Level(NamedTuple):
    """How far images were changed: `value` is NaN where there is no one number, and then `unit` may say of what."""

    value: float
    unit: str


NO_LEVEL = Level(math.nan, "")
OVER_SEVERITIES = Level(math.nan, MEAN_SEVERITY)


def row(
    shift: str,
    metric: str,
    outcomes: np.ndarray,
    level: Level = NO_LEVEL,
    subset: str = "",
    sources: np.ndarray | None = None,
) -> tuple:
    """A row of `COLUMNS` from one outcome an image, (N,): their mean in percent and its standard error.

    The outcomes are kept beside it (see `lib.measures.outcomes`), with the `sources` (N,) or (N, K) that images share.

    >>> found = row("fog", "error", np.array([True, False, True, True]), Level(3, SEVERITY))
    >>> found[:5], float(found[5]), float(found[6]), found[7]
    (('fog', '', 3.0, 'severity', 'error'), 75.0, 25.0, 4)
    """
    keep(cell_of(shift, subset, *level, metric), outcomes, sources)
    outcomes = np.asarray(outcomes, dtype=float)
    error = outcomes.std(ddof=1) / np.sqrt(len(outcomes))
    return number(shift, metric, 100 * outcomes.mean(), len(outcomes), level, subset, 100 * error)


def cell_of(shift: str, subset: str, level: float, unit: str, metric: str) -> Cell:
    """What outcomes are of, as the row with these columns names it."""
    return (shift, subset, None if math.isnan(level) else float(level), unit, metric)


def number(
    shift: str,
    metric: str,
    value: float,
    images: int,
    level: Level = NO_LEVEL,
    subset: str = "",
    standard_error: float = 0.0,
) -> tuple:
    """A row of `COLUMNS` from a number of all images together, in the metric's unit."""
    return (shift, subset, float(level.value), level.unit, metric, value, standard_error, images)


def as_rows(rows: Iterable[tuple]) -> Rows:
    """A table of what `row` and `number` return."""
    return pd.DataFrame(list(rows), columns=list(COLUMNS))


def overall(rows: Rows) -> Rows:
    """The rows of no single level: of images that were not changed by degrees, or means over severities."""
    return rows[rows["level"].isna()]


def by_severity(rows: Rows) -> Rows:
    """The rows of single severities, which a column "severity" tells, 0 for images without a level; no means over
    severities."""
    single = rows[rows["level_unit"] != MEAN_SEVERITY]
    return single.assign(severity=single["level"].fillna(0))


def measure_name(identity: str) -> str:
    """Of a measure, from its identity.

    >>> measure_name("corruption_error(images=50)#1.1.2")
    'corruption_error'
    """
    return identity.partition("(")[0]
