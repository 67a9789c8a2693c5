"""What trained an encoder of chapter 2: a method as it is, or one of the systems that stand beside the methods."""

from __future__ import annotations

import pandas as pd

from lib.chapters.augmentation.plan import BY_RULE
from lib.methods import METHODS
from lib.runs.config import RunConfig

# All names in the order of the methods' table, systems in the place of their method.
ORDER = tuple(
    name for method in METHODS for name in [own for own in BY_RULE if BY_RULE[own].method == method] or [method]
)


def named(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in which a run of one of the systems has its name for a method. Arms that differ in settings alone are told
    apart by it."""
    settings = rows["settings"].fillna("") if "settings" in rows else pd.Series("", index=rows.index)
    names = rows["method"].astype(object)
    for name, system in BY_RULE.items():
        own = (rows["method"] == system.method) & (settings == differing(name))
        names = names.mask(own, name)
    return rows.assign(method=names)


def differing(name: str) -> str:
    """What rows say of the settings of a system, see `RunConfig.differing`."""
    system = BY_RULE[name]
    return RunConfig("scenes", system.method, settings=METHODS[system.method].settings(**system.settings)).differing


def method_of(name: str) -> str:
    """The method that it is a kind of: itself, unless it is a system."""
    return BY_RULE[name].method if name in BY_RULE else name


def title(name: str) -> str:
    return BY_RULE[name].title if name in BY_RULE else METHODS[name].title


def arm(name: str, augmentation: str | None) -> str:
    """What a figure calls an encoder, as `lib.figures.style.arm`."""
    return title(name) + (f", {augmentation}" if augmentation else "")
