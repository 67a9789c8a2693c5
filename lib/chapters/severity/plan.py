"""What chapter 1 compares and measures."""

from __future__ import annotations

from lib.measures import Accuracy, AttentionShift, CorruptionError, NaturalShift, RawInput, SeverityCurve
from lib.runs.plan import Plan, parts
from lib.runs.presets import Preset


def _measures(preset: Preset) -> list:
    """Corruption errors on the preset's test images; what needs several versions of each image, on fewer."""
    half, few = (preset.test_images and preset.test_images // part for part in (2, 4))
    return [
        Accuracy(),
        CorruptionError(preset.test_images),
        SeverityCurve(half),
        RawInput(few),
        NaturalShift(),
        AttentionShift(few or 1_000),
    ]


PLAN = Plan(
    "severity_degradation",
    ("simclr", "simsiam", "byol", "barlow_twins", "swav", "dino", "supervised", "random"),
    ("simclr", "byol", "barlow_twins", "supervised", "random"),
    _measures,
    transformers=("simclr", "supervised", "random"),
    also=parts(__package__),
)
