"""The systems that chapter 3 compares: methods under attacks and without, and what is measured of them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pandas as pd

from lib.measures import (
    AdversarialProbe,
    Aggregation,
    AutoAttackAccuracy,
    AutoAttackCurve,
    CorruptionError,
    RobustAccuracy,
    SyntheticInvariance,
)
from lib.measures.adversarial_probe import METRIC as ADVERSARIAL
from lib.measures.aggregation import METRICS as AGGREGATED
from lib.measures.robust_accuracy import OF_HEAD, ZERO_GRADIENT, ZERO_GRADIENT_OF_DLR
from lib.runs.plan import Plan, methods_of, parts
from lib.runs.presets import Preset, narrow
from lib.runs.recipes import Recipe
from lib.runs.systems import RANDOM, SIMCLR, SUPERVISED, System
from lib.training import Attack

# The strengths of arXiv 2501.03507's public code: steps of 0.01 within 8/255. Its attacks see batch norm as in
# training; ours see it as the encoder will be used, as the authors of ACL, DeACL and TRADES have it. With EMP-SSL that
# decides whether PGD training ends in a robust encoder at all: see the quirks.
FREE = Attack("free(3)", "8/255", 0.01)
PGD = Attack("pgd(5)", "8/255", 0.01, mode="eval")

EMP = Recipe(
    "lars",
    6.0,
    1e-4,
    "The paper's LARS. Under attack AdamW, which serves EMP-SSL without one, ends in features of a few directions.",
)


def _emp(title: str, attack: Attack | None, crop: str, source: str, **changes: Any) -> System:
    return System(title, "emp_ssl", attack, source, {"crop": crop}, own=EMP, **changes)


def _without(title: str, dropped: str, attack: Attack | None = None) -> System:
    """SimCLR without some of its negatives; see `lib.methods.false_negatives`."""
    source = "Gupta et al., arXiv 2207.10862"
    return System(title, "false_negatives", attack, source, {"dropped": dropped}, role="ablation")


_PAPER = "Ghofrani and Jamshidi, arXiv 2501.03507"
# Their SimCLR attacks one of its two views. In their code PGD drives it from its own unperturbed version, where ours
# raises the loss that is learnt from, with the other view as the partner; free training, theirs and ours, does that.
_LAST = {"views": "last"}
_OURS = f"ours, after {_PAPER}"
_PGD_LAST = dataclasses.replace(PGD, **_LAST)
SYSTEMS = {
    "random": RANDOM,
    "simclr": SIMCLR,
    "simclr pgd": System("SimCLR, PGD", "simclr", _PGD_LAST, _OURS),
    "simclr free": System("SimCLR, free", "simclr", dataclasses.replace(FREE, **_LAST), _PAPER),
    "emp crops": _emp("EMP-SSL, crops", None, "crop", "Tong et al., arXiv 2304.03977, with crops"),
    "emp patches pgd": _emp("EMP-SSL, patches, PGD", PGD, "patch", _PAPER),
    "emp crops pgd": _emp("EMP-SSL, crops, PGD", PGD, "crop", _PAPER),
    "emp patches free": _emp("EMP-SSL, patches, free", FREE, "patch", _PAPER),
    "cf-amc-ssl": _emp("CF-AMC-SSL", FREE, "crop", _PAPER),
    "acl": System("ACL", "acl", PGD, "Jiang et al., arXiv 2010.13650", role="yardstick"),
    "deacl": System("DeACL", "deacl", PGD, "Zhang et al., arXiv 2207.10899", role="yardstick"),
    "profeat": System("ProFeAT", "profeat", PGD, "Addepalli et al., arXiv 2406.05796", role="yardstick"),
    "supervised": SUPERVISED,
    "supervised pgd": System(
        "Supervised, PGD", "supervised", PGD, "Madry et al., arXiv 1706.06083", role="yardstick"
    ),
    "supervised free": System(
        "Supervised, free", "supervised", FREE, "Shafahi et al., arXiv 1904.12843", role="yardstick"
    ),
    "supervised fgsm": System(
        "Supervised, FGSM", "supervised", Attack("fgsm", "8/255", mode="eval"), "Wong et al., arXiv 2001.03994",
        role="yardstick",
    ),
    "trades": System("TRADES", "trades", PGD, "Zhang et al., arXiv 1901.08573", role="yardstick"),
    "emp crops pgd batch": _emp(
        "EMP-SSL, crops, PGD, attack in training mode", dataclasses.replace(PGD, mode="batch"),
        "crop", "the public code of arXiv 2501.03507", budget=6.0, role="quirk",
    ),
    "emp crops pgd summed": _emp(
        "EMP-SSL, crops, PGD, summed gradients", dataclasses.replace(PGD, mode="batch", quirk="summed gradients"),
        "crop", "the public code of arXiv 2501.03507", budget=6.0, role="quirk",
    ),
    "cf-amc-ssl cyclic": _emp(
        "CF-AMC-SSL, cyclic schedule", dataclasses.replace(FREE, quirk="cyclic schedule"), "crop",
        "the public code of arXiv 2501.03507", role="quirk",
    ),
    "simclr pgd same view": System(
        "SimCLR, PGD against the same view", "simclr", dataclasses.replace(_PGD_LAST, start="zero", partner="same"),
        "the public code of arXiv 2501.03507", budget=6.0, role="quirk",
    ),
    **{
        f"{name} {count} views": _emp(f"{title}, {count} views", FREE, crop, _PAPER, crops=count, role="sweep")
        for name, title, crop in (
            ("cf-amc-ssl", "CF-AMC-SSL", "crop"), ("emp patches free", "EMP-SSL, patches, free", "patch")
        )
        for count in (2, 4, 16, 32)
    },
    "emp crops pgd long": _emp(
        "EMP-SSL, crops, PGD, equal updates", PGD, "crop", _PAPER, budget=6.0, role="updates"
    ),
    "simclr pgd long": System(
        "SimCLR, PGD, equal updates", "simclr", _PGD_LAST, _OURS, budget=6.0, role="updates"
    ),
    "simclr dropped": _without("SimCLR, false negatives dropped", "likely"),
    "simclr dropped labelled": _without("SimCLR, same class dropped", "labelled"),
    "simclr dropped random": _without("SimCLR, random negatives dropped", "random"),
    "simclr dropped pgd": _without("SimCLR, false negatives dropped, PGD", "likely", _PGD_LAST),
    "simclr dropped random pgd": _without("SimCLR, random negatives dropped, PGD", "random", _PGD_LAST),
}  # fmt: skip


OTHER_READ_OUTS = (ADVERSARIAL, OF_HEAD, *AGGREGATED.values())  # metrics of what reads features otherwise
ACCURACIES = ("accuracy", "accuracy on its images", *OTHER_READ_OUTS)


def _measures(preset: Preset) -> list:
    """Every measure of robustness on the first test images; in class a short list of strengths."""
    if preset.name == "quick":
        return [RobustAccuracy(60, (2, 8), 10, 1), SyntheticInvariance(60, 4)]
    full = preset.test_images is None
    images, hardest = (1_000, 1_000) if full else (500, 200)
    return [
        RobustAccuracy(images),
        AutoAttackAccuracy(hardest),
        AutoAttackCurve(hardest),
        AdversarialProbe(),
        Aggregation(crop="crop"),
        Aggregation(crop="patch"),
        CorruptionError(preset.test_images and preset.test_images // 2),
        SyntheticInvariance(200, 8),
    ]


def _less(measures: list, system: System) -> list:
    """Aggregation is EMP-SSL's own; systems that stand in a comparison of one thing are measured by attacks alone."""
    if system.role == "sweep":
        kinds = RobustAccuracy
    elif system.role in ("quirk", "updates"):
        kinds = (RobustAccuracy, AutoAttackAccuracy)
    elif system.method == "emp_ssl":
        return measures
    else:
        return [measure for measure in measures if not isinstance(measure, Aggregation)]
    return [measure for measure in measures if isinstance(measure, kinds)]


def _unread(rows: pd.DataFrame) -> pd.Series:
    """All but accuracies, mean corruption errors, how alike features stay under transforms and under attack, and zero
    gradients."""
    means = rows["level"].isna() & rows["metric"].isin(["error", "whitened similarity"])
    moved = (rows["metric"] == "similarity") & (rows["shift"] == "pgd")
    kept = rows["metric"].isin([*ACCURACIES, ZERO_GRADIENT, ZERO_GRADIENT_OF_DLR])
    return ~(kept | means | moved | (rows["metric"] == "similarity chance"))


PLAN = Plan(
    "accuracy_robustness_tradeoff",
    methods_of(SYSTEMS),
    ("simclr", "emp_ssl", "supervised", "random"),
    _measures,
    systems=SYSTEMS,
    systems_in_class=("random", "simclr", "simclr free", "cf-amc-ssl", "supervised free"),
    scale=narrow,
    less=_less,
    unread=_unread,
    also=parts(__package__),
)
