"""The systems that chapter 4 compares: methods with negatives that keep the surface alone, without, and with fewer."""

from __future__ import annotations

from typing import Any

from lib.runs.systems import RANDOM, SIMCLR, SUPERVISED, System

# The paper's queue holds an eighth of its images, and MoCo's 65,536 half of them; ours a fifth of 5,000.
QUEUE = 1_024
_NEGATIVES = "Ge et al., arXiv 2110.14189"


def _repelled(title: str, method: str, role: str = "main", **settings: Any) -> System:
    if method == "moco_v2":
        settings = {"queue": QUEUE} | settings
    return System(title, method, None, _NEGATIVES if "negatives" in settings else _PLAIN[method], settings, role=role)


def _beside(title: str, method: str, source: str, **settings: Any) -> System:
    """What other papers do about negatives, on one of the methods."""
    return System(title, method, None, source, settings, role="ablation")


def _without(title: str, dropped: str) -> System:
    """MoCo v2 without some of its negatives; see `lib.methods.false_negatives`."""
    source = "Gupta et al., arXiv 2207.10862"
    return _beside(title, "false_negatives", source, on="moco_v2", dropped=dropped, queue=QUEUE)


_DSA = "Song et al., arXiv 2407.13541"
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
    "moco dropped": _without("MoCo v2, false negatives dropped", "likely"),
    "moco dropped labelled": _without("MoCo v2, same class dropped", "labelled"),
    "moco dropped random": _without("MoCo v2, random negatives dropped", "random"),
    "simclr dsa": _beside("SimCLR, DSA", "dsa", _DSA, on="simclr"),
    "byol dsa": _beside("BYOL, DSA", "dsa", _DSA, on="byol"),
}
