"""Rows of made-up worlds, which say in one column what is a level and what a subset."""

import numpy as np
import pandas as pd

from lib.measures.corruption_error import ALL, MEASURED
from lib.shifts.corruptions import GROUPS

MEANS = ("error", "relative error", "calibration error", "raw error", "raw cost")  # over severities, where no level is
UNITS = {"query similarity": "percentile", "whitened similarity along": "parameter"}
ATTACKS = ("pgd", "pgd-2", "fgsm", "apgd", "square", "autoattack", "pgd per view", "pgd through crops",
           "pgd through known crops")  # fmt: skip


def unfolded(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as a study hands them over, from some with a column "of": a text is a subset, a number a level (0: none),
    and a pair both."""
    pairs = [of if isinstance(of, tuple) else (of, 0) if isinstance(of, str) else ("", of) for of in rows["of"]]
    subset = pd.Series([subset for subset, _ in pairs], index=rows.index, dtype=object)
    level = pd.Series([level for _, level in pairs], index=rows.index, dtype=float)
    unit = rows["metric"].map(UNITS).fillna("severity").mask(rows["shift"].isin(ATTACKS), "/255")
    corrupted = rows["shift"].isin((*MEASURED, *GROUPS, ALL)) & rows["metric"].isin(MEANS)
    unit = unit.where(level != 0, np.where(corrupted, "mean over severities", ""))
    place = rows.columns.get_loc("of")
    found = rows.drop(columns="of")
    for name, column in (("level_unit", unit), ("level", level.where(level != 0)), ("subset", subset)):
        found.insert(place, name, column)
    return found


def cell(rows: pd.DataFrame, shift: str, level: float = 0, subset: str = "") -> pd.DataFrame:
    """The rows of a shift, at a level (0: without one), of a subset ("": all)."""
    at = rows["level"].isna() if level == 0 else rows["level"] == level
    return rows[(rows["shift"] == shift) & at & (rows["subset"] == subset)]
