"""Rows as they once were: one column "severity" for whatever a number said, and names that held two things at once.

Stored and published rows of then are read as if they had been written today; no value changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lib.measures.cue_accuracy import A_SIDE, CYCLES
from lib.measures.out_of_distribution import FAMILIES
from lib.measures.rows import CLEAN, NO_LEVEL, OF_255, OVER_SEVERITIES, PERCENTILE, SEVERITY, Level
from lib.measures.synthetic_invariance import unit_of

Cell = tuple[str, str, Level, str]  # shift, subset, level and metric of a row

_THEN = "severity"
_NOW = ("subset", "level", "level_unit")
_BY_SEVERITY = ("corruption_error", "raw_input")
_IN_METRIC = ("read_out", "cue_accuracy")  # "accuracy of airplane"
_IN_SHIFT = ("background_reliance", "real_invariance")  # "scenes: azimuth"
_UNITS = {  # of what "severity" held, where no row needs a look
    "robust_accuracy": OF_255,
    "adversarial_probe": OF_255,
    "aggregation_of_crops": OF_255,
    "aggregation_of_patches": OF_255,
    "auto_attack_accuracy": OF_255,
    "negative_similarity": PERCENTILE,
}
_OF_CUE = {"patch_shuffle": A_SIDE, "low_pass": CYCLES, "high_pass": CYCLES}


def has_columns_of_then(path: Path) -> bool:
    """Whether a file of rows names the column that is no more."""
    with open(path, errors="replace") as file:
        return _THEN in file.readline().rstrip("\n").split(",")


def columns_of_then(columns: Sequence[str]) -> tuple[str, ...]:
    """What stood in the place of `columns`."""
    return tuple(_THEN if name == _NOW[0] else name for name in columns if name not in _NOW[1:])


def renewed(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Rows of one measure, known by its name, with the columns of today, in the order of its columns then."""
    cells = [_cell(measure, *cell) for cell in zip(rows["shift"], rows[_THEN], rows["metric"], strict=True)]
    shifts, subsets, levels, metrics = zip(*cells, strict=True) if cells else ((),) * 4
    values = pd.Series([level.value for level in levels], index=rows.index, dtype=float)
    table = rows.assign(shift=shifts, metric=metrics)
    place = table.columns.get_loc(_THEN)
    table = table.drop(columns=_THEN)
    for name, column in zip(_NOW[::-1], ([level.unit for level in levels], values, list(subsets)), strict=True):
        table.insert(place, name, column)
    return table


def _cell(measure: str, shift: str, severity: float, metric: str) -> Cell:
    level = _level(measure, shift, severity)
    if measure == "read_out" and metric in ("linear R2", "kernel R2"):
        return CLEAN, shift, level, metric
    if measure in _IN_METRIC:
        kind, _, part = metric.partition(" of ")
        return shift, part, level, kind
    if measure in _IN_SHIFT:
        world, _, part = shift.partition(": ")
        return world, part, level, metric
    if measure == "segmentation":
        kind, _, label = metric.partition(" of ")
        return CLEAN, label, level, f"{shift} {kind}"
    if measure == "negative_similarity":
        return CLEAN, shift, level, metric
    if measure == "downstream" and shift == "coil azimuth":
        return "coil", "azimuth", level, metric
    return shift, "", level, "image distance" if metric == "picture distance" else metric


def _level(measure: str, shift: str, severity: float) -> Level:
    if measure == "out_of_distribution":
        return OVER_SEVERITIES if shift in FAMILIES else NO_LEVEL
    if severity == 0:
        return OVER_SEVERITIES if measure in _BY_SEVERITY and shift != CLEAN else NO_LEVEL
    if measure == "synthetic_invariance":
        return Level(severity, unit_of(shift))
    if measure == "cue_accuracy":
        return Level(severity, _OF_CUE[shift])
    return Level(severity, _UNITS.get(measure, SEVERITY))
