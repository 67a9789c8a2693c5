"""Words that the figures of this chapter share."""

from __future__ import annotations

from lib.cells import COMPARED
from lib.chapters.relicv2.numbers import HEADS, IN, OTHER_WALL, OURS, OUT, WORLDS
from lib.chapters.relicv2.plan import PLAN, SYSTEMS

IN_AND_OUT = {
    IN: {"color": "#000000", "marker": "D", "linestyle": "-"},
    OUT: {"color": "#0072B2", "marker": "o", "linestyle": "--"},
}


WORLD_WORDS = dict(zip(WORLDS, ("walls say nothing", "walls go with classes"), strict=True))


HEAD_WORDS = dict(zip(HEADS, ("linear head", "FCN head"), strict=True))


_IN_TEXT = {
    "random": "random weights", "supervised": "plain supervision",
    "supervised same crops": "supervision with the same crops", "byol sgd": "BYOL",
}  # fmt: skip


PLACE_WORDS = {IN: IN, OTHER_WALL: "on other walls"}


SETTING_WORDS = {
    "invariance": "weight of the invariance loss", "temperature": "temperature", "others": "negatives",
    "removed": "share without background", "size": "side of small crops (px)", "crops": "large + small crops",
}  # fmt: skip


def is_main(name: str) -> bool:
    return name in SYSTEMS and SYSTEMS[name].role in COMPARED


def variant(name: str) -> str:
    """What is changed in a variant of ReLICv2, in words without a comma: "removed 0.6 with exact masks"."""
    return PLAN.title(name).removeprefix(f"{PLAN.title(OURS)}, ").replace(", ", " with ")


def named_in_text(name: str) -> str:
    """Of a main system, within a sentence and a list."""
    return _IN_TEXT.get(name, PLAN.title(name))


def mean_words(count: int) -> str:
    """Of the mean over the shifts."""
    return f"mean of {count} shift{'' if count == 1 else 's'}"
