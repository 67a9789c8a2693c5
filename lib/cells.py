"""Cells that several chapters compare, by their names in tidy rows, and the contrasts made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lib.contrasts import Contrasts, of_two, places
from lib.errors import BadInput
from lib.measures import is_share
from lib.measures.corruption_error import ALL
from lib.measures.robust_accuracy import AT
from lib.measures.rows import CLEAN, MEAN_SEVERITY, measure_name, overall
from lib.recent import remembered


def near(found: Contrasts) -> Contrasts:
    """Above zero where a difference is more than -`NEAR`."""
    return {f"{words}, plus {NEAR:g} point": gap + NEAR for words, gap in found.items()}


# Of encoders that a method and an augmentation tell apart
WHITENED, WHITENED_CHANCE = "whitened similarity", "whitened chance"
NEAR = 1.0  # points: so little below the best is at it, about the standard error of an accuracy on 2,000 images
ALIKE = 5.0  # hundredths of a cosine, or points of shape bias: of these what is less hardly matters

# Of systems under attack, which a column "system" tells apart
CLEAN_CELL = {"shift": CLEAN, "subset": "", "metric": "accuracy"}
PGD_CELL = {"shift": "pgd", "level": AT, "metric": "accuracy"}
WEAK_CELL = PGD_CELL | {"level": 1}  # at more, so little is left of encoders without a defence that all look alike
AUTO_CELL = {"shift": "autoattack", "level": AT, "metric": "accuracy"}
CORRUPTED = {"level_unit": MEAN_SEVERITY, "metric": "error"}  # whatever the shift

COMPARED = ("main", "yardstick")  # roles of systems that a page sets side by side


def has(rows: pd.DataFrame, system: str, cell: dict[str, object]) -> bool:
    """Whether `rows` hold this cell of this system."""
    return len(places(rows, cell | {"system": system})) > 0


def between(
    rows: pd.DataFrame,
    pairs: Sequence[tuple[str, str]],
    cells: dict[str, dict[str, object]],
    title: Callable[[str], str],
) -> Contrasts:
    """The first system less the second, for each of `pairs` and each of `cells` (by name) that rows hold of both.

    `title` tells what a system is called, here and below.
    """
    return {
        f"{name}, {title(more)} less {title(less)}": of_two(rows, cell | {"system": more}, cell | {"system": less})
        for more, less in pairs
        for name, cell in cells.items()
        if has(rows, more, cell) and has(rows, less, cell)
    }


def within(
    rows: pd.DataFrame,
    systems: Sequence[str],
    more: dict[str, object],
    less: dict[str, object],
    words: str,
    title: Callable[[str], str],
) -> Contrasts:
    """One cell less another of the same system, for each of `systems` that has both; `words` say what they are."""
    return {
        f"{title(name)}, {words}": of_two(rows, more | {"system": name}, less | {"system": name})
        for name in systems
        if has(rows, name, more) and has(rows, name, less)
    }


# Of test sets out of domain
PACS = {"PACS art": "pacs-art", "PACS cartoon": "pacs-cartoon", "PACS sketch": "pacs-sketch"}  # name of a set: shift
# Name of a set out of domain: shift and metric of its rows, and whether more is better (1) or worse (-1)
OUT_OF_DOMAIN = {
    "corruptions": (ALL, "error", -1),
    "stylised": ("stylised", "accuracy", 1),
    **{name: (shift, "balanced accuracy", 1) for name, shift in PACS.items()},
    "cifar10-shift": ("cifar10-shift", "balanced error", -1),
}

# Sets that are made of the same test images
OWN_IMAGES = (
    "corruptions", "stylised", "C-bar", "scenes background", "scenes light", "scenes pose",
)  # fmt: skip
IN_DOMAIN = {"shift": CLEAN, "metric": "probe accuracy"}


def measured_by(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The rows of one measure: two have a metric "accuracy" of untouched images."""
    return rows[rows["measure"].map(measure_name) == measure]


@remembered
def out_of_domain(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `OUT_OF_DOMAIN` in its order, named in a column "set"; all as accuracies, 100 less an error."""
    cells = [(shift, metric, name, sign) for name, (shift, metric, sign) in OUT_OF_DOMAIN.items()]
    found = in_sets(rows, pd.DataFrame(cells, columns=["shift", "metric", "set", "sign"]))
    found["value"] = found["value"].where(found["sign"] > 0, 100 - found["value"])
    return found.drop(columns="sign")


def in_sets(rows: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """The rows of whole sets, without a level, that the columns of `names` pick, in its order.

    It has a line a set, named in "set".
    """
    order = list(names["set"])
    found = overall(rows[rows["subset"] == ""]).merge(names)
    return found.sort_values("set", key=lambda sets: sets.map(order.index), kind="stable", ignore_index=True)


@remembered
def mean_out_of_domain(rows: pd.DataFrame, of: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a run: its mean accuracy over the sets of `out_of_domain`, all weighing the same; in "sets" their number.

    Only sets that every run of the systems `of` has (None: of all), so that all means stand on the same; without runs
    of other systems that lack one. The standard errors of sets made of the same images are added as if they went
    together entirely, those of others as independent.
    """
    return mean_of_sets(rows, out_of_domain(rows), of)


def mean_of_sets(rows: pd.DataFrame, found: pd.DataFrame, of: Sequence[str] | None = None) -> pd.DataFrame:
    """The means of `mean_out_of_domain` from `found`, which names the set of each of its rows."""
    run = ["system", "seed"]
    if found.duplicated([*run, "set"]).any():
        raise BadInput("a system has a set more than once with one seed; pass the rows of one data set and one encoder")
    if of is not None:
        rows = rows[rows["system"].isin(of)]
    having = found[found["system"].isin(rows["system"])]["set"].value_counts()
    whole = having.index[having == len(rows.drop_duplicates(run))]
    found = found[found["set"].isin(whole)]
    found = found.assign(source=found["set"].mask(found["set"].isin(OWN_IMAGES), "own"))
    errors = found.groupby([*run, "source"])["standard_error"].sum() ** 2
    means = found.groupby(run).agg(value=("value", "mean"), sets=("set", "size"))
    means = means.assign(standard_error=np.sqrt(errors.groupby(run).sum()) / means["sets"]).reset_index()
    shares = "metric" in found and all(map(is_share, found["metric"].unique()))  # and so is their mean
    means["metric"] = "accuracy" if shares else "mean"
    return means[means["sets"] == len(whole)]


def on_average(
    *pairs: tuple[str, str],
    title: Callable[[str], str],
    mean: Callable[[pd.DataFrame, Sequence[str]], pd.DataFrame] = mean_out_of_domain,
) -> Callable[[pd.DataFrame], Contrasts]:
    """The first system of each pair less the second in the `mean` over the sets that both have."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        found = {}
        for pair in pairs:
            means = mean(rows, pair)
            found |= between(means, [pair], {f"mean of {means['sets'].max()} sets": {}}, title)
        return found

    return contrasts


def together(*parts: Contrasts) -> Contrasts:
    """All of them, or none where one was not measured: half a claim would be another claim."""
    return functools.reduce(dict.__or__, parts) if all(parts) else {}
