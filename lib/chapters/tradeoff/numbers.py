"""Accuracies, costs and the systems that the figures of this chapter set side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.chapters.tradeoff.plan import PLAN, SYSTEMS
from lib.contrasts import levels, picked
from lib.errors import BadInput
from lib.figures.prose import titled
from lib.measures.robust_accuracy import AT
from lib.measures.rows import CLEAN, Rows
from lib.methods import METHODS
from lib.runs import Results

UNDEFENDED = ("random", "simclr", "supervised")  # shown beside what was trained under attack


FEW = 4  # lines whose bands can still be told apart


LEAST_AREA, WIDEST_AREA = 16, 180  # of a marker, in square points


CROPS = {  # EMP-SSL's kinds of views: their name, a system that has their look, and a step aside
    "crop": ("crops", "cf-amc-ssl", 2**-0.05),
    "patch": ("patches", "emp patches free", 2**0.05),
}


TRAININGS = ("PGD, equal passes", "PGD, equal updates", "free")  # equal to those of free training


LENGTHENED = {  # family: its systems by TRAININGS
    "SimCLR": ("simclr pgd", "simclr pgd long", "simclr free"),
    "EMP-SSL, crops": ("emp crops pgd", "emp crops pgd long", "cf-amc-ssl"),
}


WATCHED = 3  # epochs, from which on a course can be seen


MOST_PANELS = 8


OVERFITTED = 8  # points between FGSM and PGD, three times what so few images waver by


COURSES = {  # of `lib.measures.monitor.adversarial_monitor`
    "accuracy": ("clean", {"color": "#777777", "linestyle": ":"}),
    "fgsm accuracy": ("FGSM", {"color": "#E69F00", "linestyle": "--"}),
    "pgd accuracy": ("PGD", {"color": "#0072B2", "linestyle": "-"}),
}


def accuracies(rows: Rows, shift: str, level: float | None) -> Rows:
    """One line a system, in the order of SYSTEMS: mean, low and high over seeds and images, and how many images."""
    if "system" not in rows:
        raise BadInput("these figures compare systems: take the rows of the study accuracy_robustness_tradeoff")
    chosen = picked(rows, {"metric": "accuracy", "shift": shift, "level": level})
    if chosen.duplicated(["system", "seed"]).any():
        raise BadInput("rows hold one accuracy for each system and seed, of one encoder and data set; not several")
    images = chosen.groupby("system")["images"].max()
    found = levels(chosen, ["system"])
    lines = {name: (own.mean, own.low, own.high, int(images[name])) for (name,), own in found.items()}
    table = pd.DataFrame.from_dict(lines, orient="index", columns=["mean", "low", "high", "images"])
    return table.loc[[name for name in SYSTEMS if name in lines]]


def against_clean(rows: Rows, shift: str) -> Rows:
    """`accuracies` under a shift at `AT`, beside the clean ones of the same systems in columns "clean ..."."""
    clean = accuracies(rows, CLEAN, None).add_prefix("clean ")
    return clean.join(accuracies(rows, shift, AT), how="inner")


def records_of(results: Results) -> dict[str, list[dict]]:
    """The records of each system, in the order of SYSTEMS."""
    found = {name: [record for record in results.records if record["system"] == name] for name in SYSTEMS}
    return {name: records for name, records in found.items() if records}


def passes_of(records: Sequence[dict]) -> float:
    """Passes for each training image, mean over seeds; 0 for what is not trained."""
    return float(np.mean([record.get("passes", 0) / record["data"]["train_images"] for record in records]))


def updates(records: Sequence[dict]) -> float:
    return float(np.mean([record.get("updates", 0) for record in records]))


def uses_labels(name: str) -> bool:
    return METHODS[SYSTEMS[name].method].build.uses_labels


def named(names: Sequence[str]) -> str:
    """Titles, which hold commas, in words."""
    return titled([PLAN.title(name) for name in names])


def intervals_told(what: str, low: pd.Series) -> str:
    """Nothing of them where there is one seed, and so no interval."""
    return f"{what} are 95 % intervals over seeds and images. " if low.notna().any() else ""
