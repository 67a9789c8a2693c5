"""The look of a system: its method's colour in the whole book; marker, line and filling say how it differs."""

from __future__ import annotations

import re

import pandas as pd

from lib.figures.style import look
from lib.methods import METHODS
from lib.runs.systems import System

# How a system differs from its plain method says another marker and line; the colour stays the method's.
_ATTACKS: dict[str, dict[str, object]] = {
    "pgd": {"marker": "s", "linestyle": "--"},
    "free": {"marker": "v", "linestyle": "-."},
    "fgsm": {"marker": "^", "linestyle": ":"},
}


_NEGATIVES: dict[str, dict[str, object]] = {
    "patch": {"marker": "X", "linestyle": "--"},
    "texture": {"marker": "P", "linestyle": "-."},
}


_HOLLOW: dict[str, object] = {"markerfacecolor": "white"}  # what else a system has of its own


_ROLES: dict[str, dict[str, object]] = {
    "ablation": _HOLLOW | {"markersize": 4, "linestyle": ":"},
    "sweep": {"marker": ".", "linestyle": ":", "markersize": 5},
}


# Settings that are the axis of a figure or are told in words, and change no look.
_UNSEEN = ("alpha", "count", "queue", "negatives", "teacher_epochs", "views")


def pgd_name(rows: pd.DataFrame) -> str:
    """PGD with as many steps as the measure of these rows took: "PGD-20"; "PGD" where they differ."""
    identities = rows.loc[(rows["metric"] == "accuracy") & (rows["shift"] == "pgd"), "measure"].unique()
    steps = {found[1] for identity in identities if (found := re.search(r"\bsteps=(\d+)", identity))}
    return f"PGD-{steps.pop()}" if len(steps) == 1 else "PGD"


def system_look(system: System) -> dict[str, object]:
    """Colour, marker and line style of a system, as Matplotlib's lines take them.

    Where a system is its method as it is, that is the method's look in the whole book. An attack or negatives have a
    marker and a line of their own, other settings leave the marker hollow. Systems that differ in the number of views,
    the length of training or a quirk alone look alike: words, or the axis, tell them apart.
    """
    return look(system.method) | _difference(system)


def _difference(system: System) -> dict[str, object]:
    if system.role in _ROLES and system.attack is None and "negatives" not in system.settings:
        return _ROLES[system.role]
    attacked = system.attack is not None and not METHODS[system.method].attacked
    changes = _ATTACKS[system.attack.kind] if attacked else {}
    changes = changes | _NEGATIVES.get(system.settings.get("negatives"), {})
    usual = METHODS[system.method].settings()
    own = {k: v for k, v in system.settings.items() if k not in _UNSEEN and v != getattr(usual, k)}
    return changes | (_HOLLOW if own else {})


def kind_look(kind: str | None) -> dict[str, object]:
    """Of a kind of attack or negatives in a legend, whatever the method; of None, that of plain training."""
    return {"color": "#555555", "marker": "o", "linestyle": "-"} | (_ATTACKS | _NEGATIVES).get(kind, {})
