"""What chapter 2 compares and measures."""

from __future__ import annotations

import pandas as pd

from lib.measures import Accuracy, CorruptionError, Downstream, ReadOut, RealInvariance, SyntheticInvariance
from lib.measures.corruption_error import DEBIASED
from lib.measures.rows import SEVERITY
from lib.methods import METHODS
from lib.runs.plan import Plan, parts
from lib.runs.presets import Preset
from lib.runs.systems import System
from lib.views import AUGMENTATIONS


def _measures(preset: Preset) -> list:
    """As many images and settings of a transform as the paper has, or what minutes allow; in class no other tasks."""
    most = preset.test_images
    images, parameters, scenes = (1_000, 256, 4_000) if most is None else (most // 5, 16, 2 * most)
    measures = [
        Accuracy(),
        SyntheticInvariance(images, parameters),
        RealInvariance(images, 8),
        ReadOut(scenes),
        CorruptionError(most and most // 4),
    ]
    return measures if preset.name == "quick" else [*measures, Downstream()]


# SimCLR with images that are mixed by a rule, the references of learned mixing: two settings of one method, which are
# told apart by these names
BY_RULE = {
    name: System(f"SimCLR with {word}", "mixing", None, source, {"mix": name}, budget=None, augmentation="default")
    for name, word, source in (
        ("mixup", "mixup", "Zhang et al., arXiv 1710.09412"),
        ("cutmix", "CutMix", "Yun et al., arXiv 1905.04899"),
    )
}
LEARNED = "samix"  # as a network learns to mix
MIXED = (*BY_RULE, LEARNED)


def _recipes(preset: str, dataset: str, method: str) -> tuple[str | None, ...]:
    """The paper's three recipes. Its method, MoCo v2, has their fusion as well and a control of its size; on scenes,
    whose causes are known, each augmentation alone and all but one. What mixes images has the default recipe, as the
    SimCLR that it stands beside: its own question is what mixing adds."""
    if METHODS[method].build.uses_labels or not METHODS[method].trained:
        return (None,)
    if method in ("mixing", LEARNED):
        return ("default",)
    recipes = ("default", "spatial", "appearance")
    if method != "moco_v2":
        return recipes
    if preset == "quick":
        return (*recipes, "fusion")
    if dataset == "scenes":
        return (*recipes, "fusion", *(name for name in AUGMENTATIONS if name not in recipes))
    return (*recipes, "fusion", "three defaults")


def _unread(rows: pd.DataFrame) -> pd.Series:
    """Corruption errors except for their means over severities, and curves of encoders that the page draws none of."""
    details = rows["metric"].isin(["relative error", "error step", "calibration error", DEBIASED, "similarity along"])
    by_severity = (rows["metric"] == "error") & (rows["level_unit"] == SEVERITY)
    drawn = rows["method"].isin(["moco_v2", "random"]) & rows["augmentation"].fillna("").isin(
        ["", "default", "spatial", "appearance"]
    )
    return details | by_severity | (rows["metric"] == "whitened similarity along") & ~drawn


PLAN = Plan(
    "augmentation_invariance",
    ("moco_v2", "simclr", "byol", "mixing", LEARNED, "supervised", "random"),
    ("moco_v2", "random"),
    _measures,
    augmentations=_recipes,
    wide=("moco_v2",),
    on_scenes=("moco_v2", "supervised", "random"),
    beside=BY_RULE,
    unread=_unread,
    also=parts(__package__),
)
