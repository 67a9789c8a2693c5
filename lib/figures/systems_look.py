"""One look for the systems of the third question: a colour for what learns, a marker and a line for the attack."""

from __future__ import annotations

import re

import pandas as pd

from lib.errors import one_of
from lib.runs.systems import SYSTEMS

# Okabe and Ito's colours. EMP-SSL has two: for patches and for crops.
_COLOURS = {
    "random": "#999999", "simclr": "#0072B2", "acl": "#CC79A7", "deacl": "#009E73", "supervised": "#000000",
    "trades": "#666666",
}  # fmt: skip
_EMP_COLOURS = {"patch": "#E69F00", "crop": "#D55E00"}
_OWN = {  # methods whose loss knows the adversary
    "acl": {"marker": "v", "linestyle": (0, (3, 1, 1, 1, 1, 1))},
    "deacl": {"marker": "X", "linestyle": (0, (7, 2))},
    "trades": {"marker": "P", "linestyle": (0, (1, 1))},
}
_ATTACKS = {
    None: {"marker": "o", "linestyle": "-"},
    "pgd": {"marker": "s", "linestyle": "--"},
    "free": {"marker": "D", "linestyle": "-."},
    "fgsm": {"marker": "^", "linestyle": ":"},
}


def pgd_name(rows: pd.DataFrame) -> str:
    """PGD with as many steps as the measure of these rows took: "PGD-20"; "PGD" where they differ."""
    identities = rows.loc[(rows["metric"] == "accuracy") & (rows["shift"] == "pgd"), "measure"].unique()
    steps = {found[1] for identity in identities if (found := re.search(r"\bsteps=(\d+)", identity))}
    return f"PGD-{steps.pop()}" if len(steps) == 1 else "PGD"


def system_title(name: str) -> str:
    return SYSTEMS[one_of(name, SYSTEMS, "system")].title


def system_look(name: str) -> dict[str, object]:
    """Colour, marker and line style of one of `lib.runs.systems.SYSTEMS`, as Matplotlib's lines take them.

    Systems that differ in the number of views, the length of training or a quirk alone look alike: words, or the axis,
    tell them apart. Raises BadInput for a name that is none.
    """
    system = SYSTEMS[one_of(name, SYSTEMS, "system")]
    colour = _EMP_COLOURS[system.settings["crop"]] if system.method == "emp_ssl" else _COLOURS[system.method]
    return {"color": colour} | (_OWN.get(system.method) or _ATTACKS[system.attack and system.attack.kind])
