"""What chapter 4 compares and measures."""

from __future__ import annotations

import pandas as pd

from lib.chapters.negatives.systems import SYSTEMS
from lib.measures import (
    Accuracy,
    CorruptionError,
    CueAccuracy,
    NaturalShift,
    NegativeSimilarity,
    OutOfDomain,
    RobustAccuracy,
    ShapeBias,
)
from lib.measures.corruption_error import DEBIASED
from lib.measures.rows import SEVERITY
from lib.runs.plan import Plan, methods_of, parts
from lib.runs.presets import Preset, narrow
from lib.runs.systems import System


def _measures(preset: Preset) -> list:
    """One test set after another; in class those that scenes can be, on fewer images."""
    most = preset.test_images or 5_000
    if preset.name == "quick":
        return [Accuracy(), CorruptionError(most // 2), CueAccuracy(most), ShapeBias(500), NegativeSimilarity(most)]
    return [
        Accuracy(),
        CorruptionError(most),
        CueAccuracy(2 * most),
        ShapeBias(),
        OutOfDomain(),
        NaturalShift(),
        NegativeSimilarity(most),
        RobustAccuracy(3 * most // 10, (1, 2, 4, 8), 10, 1),
    ]


def _less(measures: list, system: System) -> list:
    """A sweep asks how accuracies move, in and out of domain."""
    left_out = NegativeSimilarity, NaturalShift, RobustAccuracy
    return [measure for measure in measures if not (system.role == "sweep" and isinstance(measure, left_out))]


def _unread(rows: pd.DataFrame) -> pd.Series:
    """Corruption errors except for their means over severities."""
    details = rows["metric"].isin(["relative error", "error step", "calibration error", DEBIASED])
    return details | (rows["metric"] == "error") & (rows["level_unit"] == SEVERITY)


PLAN = Plan(
    "non_semantic_negatives",
    methods_of(SYSTEMS),
    ("moco_v2", "random"),
    _measures,
    systems=SYSTEMS,
    systems_in_class=("random", "moco", "moco patch", "moco texture"),
    scale=narrow,
    less=_less,
    unread=_unread,
    also=parts(__package__, "crowded"),
)
