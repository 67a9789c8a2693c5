"""The systems that chapter 5 compares: ReLICv2, what it is made of, and what stands beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib.measures import Accuracy, BackgroundReliance, OutOfDistribution, OutOfDomain, Segmentation
from lib.methods import METHODS
from lib.runs.plan import Plan, methods_of, parts
from lib.runs.presets import Preset, narrow
from lib.runs.recipes import recipe_of
from lib.runs.systems import RANDOM, SIMCLR, SUPERVISED, System

_TOMASEV = "Tomasev et al., arXiv 2201.05119"
_CODE = "a third party's public code"


def _ours(title: str, role: str = "ablation", source: str = "ours", **settings: Any) -> System:
    return System(f"ReLICv2, {title}" if title else "ReLICv2", "relicv2", None, source, settings, role=role)


# What stands beside ReLICv2 is optimised as it is, and SimCLR is so anyway. On validation images of scenes they do
# better so than by their own recipes, BYOL and the supervised one by eight points, ReLIC by five; on CIFAR-10 the
# latter two by one and two. DINO is the exception: there its own is three points better.
SAME = recipe_of("relicv2")
# Choices that the sources leave open, each with others beside it, on scenes. `SWEPT` says what a sweep changes; the
# value of "relicv2" itself is among them.
SWEPT: dict[str, dict[str, object]] = {
    "invariance": {"relicv2 no invariance": 0.0} | {f"relicv2 invariance {value:g}": value for value in (0.3, 3.0)},
    "temperature": {f"relicv2 temperature {value:g}": value for value in (0.05, 0.2)},
    "others": {f"relicv2 others {value}": value for value in (7, 21)},
    "removed": {"relicv2 no saliency": 0.0, "relicv2 removed 0.3": 0.3, "relicv2 removed 0.6": 0.6},
    "size": {f"relicv2 size {value}": value for value in (12, 20)},
}
CROPPED = {
    f"relicv2 {large}+{small}": (large, small) for large, small in ((2, 0), (4, 0), (4, 2))
}  # numbers of large and small ones
SYSTEMS = {
    "random": RANDOM,
    "supervised": SUPERVISED,
    "supervised same crops": System(
        "Supervised, same crops",
        "supervised",
        None,
        "a reference with labels",
        {"crops": "relicv2", "removed": METHODS["relicv2"].settings().removed},
        own=SAME,
    ),
    "simclr": SIMCLR,
    "byol sgd": System("BYOL by SGD", "byol", None, "Grill et al., arXiv 2006.07733", own=SAME),
    "dino": System("DINO", "dino", None, "Caron et al., arXiv 2104.14294"),
    # At the temperature of 0.2: ReLICv2's would cost it five points on CIFAR-10, and nine on scenes.
    "relic": System("ReLIC", "relic", None, "Mitrovic et al., arXiv 2010.07922", own=SAME),
    "relicv2": _ours("", "main", _TOMASEV),
    "relicv2 no invariance": _ours("no invariance loss", invariance=0.0),
    "relicv2 no saliency": _ours("backgrounds kept", removed=0.0),
    "relicv2 shuffled": _ours("masks of other images", masks="shuffled"),
    "relicv2 exact": _ours("exact masks", masks="exact"),
    "relicv2 removed 0.6": _ours("removed 0.6", removed=0.6),
    "relicv2 removed 0.6 shuffled": _ours("removed 0.6, masks of other images", removed=0.6, masks="shuffled"),
    "relicv2 removed 0.6 exact": _ours("removed 0.6, exact masks", removed=0.6, masks="exact"),
    "relicv2 2+0": _ours("two crops", small=0),
    "relicv2 unstopped": _ours("gradient not stopped", source=_CODE, stopped=False),
    "relicv2 transpose": _ours("rows against columns", against="transpose"),
    "relicv2 transpose unstopped": _ours(
        "rows against columns, gradient not stopped", source=_CODE, against="transpose", stopped=False
    ),
}
for _what, _values in SWEPT.items():
    for _name, _value in _values.items():
        SYSTEMS.setdefault(_name, _ours(f"{_what} {_value:g}", "sweep", **{_what: _value}))
for _name, (_large, _small) in CROPPED.items():
    SYSTEMS.setdefault(_name, _ours(f"{_large} large and {_small} small crops", "sweep", large=_large, small=_small))
# On photographs, whose exact masks nobody knows: every method, and each part of ReLICv2 left out once.
IN_SHORT = (
    *(name for name, system in SYSTEMS.items() if system.role in ("main", "yardstick")),
    "relicv2 no invariance", "relicv2 no saliency", "relicv2 shuffled", "relicv2 2+0",
)  # fmt: skip


def _measures(preset: Preset) -> list:
    """What is left away from the training images, of a decision without its background, and pixel by pixel."""
    if preset.name == "quick":
        return [
            Accuracy(),
            OutOfDistribution(preset.test_images, 50),
            BackgroundReliance(400),
            Segmentation(train=100, validation=50, test=100),
        ]
    return [
        Accuracy(),
        OutOfDistribution(corrupted=preset.test_images),
        BackgroundReliance(),
        Segmentation(),
        OutOfDomain(),
    ]


def _less(measures: list, system: System) -> list:
    """A sweep asks how accuracies move; an ablation also what becomes of backgrounds."""
    kinds = {"sweep": (Accuracy, OutOfDistribution), "ablation": (Accuracy, OutOfDistribution, BackgroundReliance)}
    return [measure for measure in measures if isinstance(measure, kinds.get(system.role, object))]


def _scale(preset: Preset) -> Preset:
    """Two data sets, and many systems on one of them."""
    return replace(narrow(preset), passes=32) if preset.name == "small" else preset


# Seeds of the systems that most claims compare, by data set. The numbers are those that `python -m lib.chapters power`
# asked for when there were three of each, and were fixed before any further one was trained.
_FURTHER = {
    "cifar10": {"relicv2": 12, "relicv2 no invariance": 12, "relicv2 no saliency": 12},
    "scenes": {
        "relicv2": 12, "relicv2 no saliency": 12, "relicv2 removed 0.6": 12, "relicv2 2+0": 12,
        "relicv2 unstopped": 6, "relicv2 transpose unstopped": 6,
    },
}  # fmt: skip


PLAN = Plan(
    "relicv2_ood",
    methods_of(SYSTEMS),
    ("relicv2", "supervised", "random"),
    _measures,
    systems=SYSTEMS,
    systems_in_class=("random", "supervised same crops", "relicv2"),
    elsewhere=IN_SHORT,
    scale=_scale,
    less=_less,
    also=parts(__package__),
    further={("small", home, name): count for home, own in _FURTHER.items() for name, count in own.items()},
)
