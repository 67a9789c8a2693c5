"""The systems that chapter 4 compares: methods with negatives that keep the surface alone and without."""

from __future__ import annotations

from typing import Any

import pandas as pd

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
from lib.runs.systems import RANDOM, SIMCLR, SUPERVISED, System

# The paper's queue holds an eighth of its images, and MoCo's 65,536 half of them; ours a fifth of 5,000.
QUEUE = 1_024
_NEGATIVES = "Ge et al., arXiv 2110.14189"


def _repelled(title: str, method: str, role: str = "main", **settings: Any) -> System:
    if method == "moco_v2":
        settings = {"queue": QUEUE} | settings
    return System(title, method, None, _NEGATIVES if "negatives" in settings else _PLAIN[method], settings, role=role)


_PLAIN = {"moco_v2": "Chen et al., arXiv 2003.04297", "byol": "Grill et al., arXiv 2006.07733"}
# BYOL has no softmax, in which an alpha of 2 is no weight: with 1 a negative pushes as hard as the other view pulls. On
# validation images, one seed of `small`, patch negatives cost 7.6 points with 0.5 and 0.4 points with 0.1.
BYOL_ALPHA = 0.1
SYSTEMS = {
    "random": RANDOM,
    "supervised": SUPERVISED,
    "moco": _repelled("MoCo v2", "moco_v2"),
    "moco patch": _repelled("MoCo v2, patches", "moco_v2", negatives="patch"),
    "moco texture": _repelled("MoCo v2, textures", "moco_v2", negatives="texture"),
    "simclr": SIMCLR,
    "simclr patch": _repelled("SimCLR, patches", "simclr", negatives="patch"),
    "simclr texture": _repelled("SimCLR, textures", "simclr", negatives="texture"),
    "byol": _repelled("BYOL", "byol"),
    "byol patch": _repelled("BYOL, patches", "byol", negatives="patch", alpha=BYOL_ALPHA),
    "byol texture": _repelled("BYOL, textures", "byol", negatives="texture", alpha=BYOL_ALPHA),
    **{
        f"moco {kind} alpha {alpha:g}": _repelled(
            f"MoCo v2, {plural}, alpha {alpha:g}", "moco_v2", "sweep", negatives=kind, alpha=alpha
        )
        for kind, plural in (("patch", "patches"), ("texture", "textures"))
        for alpha in (0.5, 1.0, 3.0, 4.0)
    },
    **{
        name: system
        for size in (256, 4_096)
        for name, system in (
            (f"moco queue {size}", _repelled(f"MoCo v2, queue {size:,}", "moco_v2", "sweep", queue=size)),
            (
                f"moco patch queue {size}",
                _repelled(f"MoCo v2, patches, queue {size:,}", "moco_v2", "sweep", negatives="patch", queue=size),
            ),
        )
    },
}


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
    also=parts(__package__),
)
