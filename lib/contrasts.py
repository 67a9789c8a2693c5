"""Contrasts: cells of tidy rows, differences between them with intervals, and means over test sets."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lib.errors import BadInput
from lib.measures import Interval, interval
from lib.measures.corruption_error import ALL
from lib.measures.robust_accuracy import AT
from lib.measures.rows import CLEAN, MEAN_SEVERITY, measure_name, overall
from lib.methods import METHODS

Contrasts = dict[str, Interval]  # what is compared, in words -> the difference in percentage points


def convolutional(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs with a residual network; `transformers` has the others."""
    return rows[~rows["encoder"].str.startswith("vit")]


def transformers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["encoder"].str.startswith("vit")]


def level(rows: pd.DataFrame, cell: dict[str, object]) -> Interval:
    """The mean over seeds of one cell of `rows`, picked by column values: of a metric that is itself a difference."""
    chosen = by_seed(rows, cell)
    return interval(chosen["value"], chosen["standard_error"])


def difference(rows: pd.DataFrame, more: dict[str, object], less: dict[str, object]) -> Interval:
    """The paired difference over seeds of two cells of `rows`, each picked by column values.

    >>> rows = pd.DataFrame({"seed": [0, 1, 2] * 2, "method": ["a"] * 3 + ["b"] * 3, "standard_error": 0.0})
    >>> str(difference(rows.assign(value=[60, 61, 62, 58, 60, 59]), {"method": "a"}, {"method": "b"}))
    '2.0 [-0.5, 4.5]'
    """
    return combined(rows, [(1, more), (-1, less)])


def combined(rows: pd.DataFrame, parts: Sequence[tuple[float, dict[str, object]]]) -> Interval:
    """The sum over `parts` of a weight times a cell of `rows`, picked by column values; paired over seeds.

    The images' standard errors are added as if the cells saw different images. Most see the same, whose errors go
    together, so the interval of a difference errs on the wide side.
    """
    chosen = [(weight, by_seed(rows, cell)) for weight, cell in parts]
    seeds = functools.reduce(pd.Index.intersection, (cell.index for _, cell in chosen))
    values = sum(weight * cell.loc[seeds, "value"] for weight, cell in chosen)
    errors = np.sqrt(sum((weight * cell.loc[seeds, "standard_error"]) ** 2 for weight, cell in chosen))
    return interval(values, errors)


def picked(rows: pd.DataFrame, cell: dict[str, object]) -> pd.DataFrame:
    """The rows with the column values of `cell`; None picks those where there is none, as of a level."""
    for column, value in cell.items():
        rows = rows[rows[column].isna() if value is None else rows[column] == value]
    return rows


def by_seed(rows: pd.DataFrame, cell: dict[str, object]) -> pd.DataFrame:
    chosen = picked(rows, cell)
    if chosen.empty or chosen["seed"].duplicated().any():
        raise BadInput(f"{cell} picks {len(chosen)} rows, not one a seed")
    return chosen.set_index("seed")


def present(rows: pd.DataFrame, self_supervised: bool = True) -> list[str]:
    """The trained methods in `rows`, in the order of the table; those without labels only, or all."""
    methods = [name for name in METHODS if name in set(rows["method"]) and METHODS[name].trained]
    return [name for name in methods if not (self_supervised and METHODS[name].build.uses_labels)]


def of_metric(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric: a method that is on the page may lack a measure that is not published for it."""
    return rows[rows["metric"] == metric]


def method_cell(method: str, shift: str, level: float | None, metric: str = "error") -> dict[str, object]:
    """At a level, or where it is None without one: of clean images, and of means over severities."""
    return {"method": method, "shift": shift, "level": level, "metric": metric}


def near(found: Contrasts) -> Contrasts:
    """Above zero where a difference is more than -`NEAR`."""
    return {f"{words}, plus {NEAR:g} point": gap + NEAR for words, gap in found.items()}


# Encoders of the study of augmentations, which a method and an augmentation tell apart

WHITENED, CHANCE = "whitened similarity", "whitened chance"


NEAR = 1.0  # points: so little below the best is at it, about the standard error of an accuracy on 2,000 images


# Systems of the study of attacks, which a column "system" tells apart

CLEAN_CELL = {"shift": CLEAN, "subset": "", "metric": "accuracy"}


PGD_CELL = {"shift": "pgd", "level": AT, "metric": "accuracy"}


AUTO_CELL = {"shift": "autoattack", "level": AT, "metric": "accuracy"}


CORRUPTED = {"level_unit": MEAN_SEVERITY, "metric": "error"}  # whatever the shift


COMPARED = ("main", "yardstick")  # roles of systems that a page sets side by side


def has(rows: pd.DataFrame, system: str, cell: dict[str, object]) -> bool:
    """Whether `rows` hold this cell of this system."""
    return not picked(rows[rows["system"] == system], cell).empty


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
        f"{name}, {title(more)} less {title(less)}": difference(rows, cell | {"system": more}, cell | {"system": less})
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
        f"{title(name)}, {words}": difference(rows, more | {"system": name}, less | {"system": name})
        for name in systems
        if has(rows, name, more) and has(rows, name, less)
    }


# Systems of the study of negatives without semantics

PACS = {"PACS art": "pacs-art", "PACS cartoon": "pacs-cartoon", "PACS sketch": "pacs-sketch"}  # name of a set: shift
# Name of a set out of domain: shift and metric of its rows, and whether more is better (1) or worse (-1)
OUT_OF_DOMAIN = {
    "corruptions": (ALL, "error", -1),
    "stylised": ("stylised", "accuracy", 1),
    **{name: (shift, "balanced accuracy", 1) for name, shift in PACS.items()},
    "cifar10-shift": ("cifar10-shift", "balanced error", -1),
}


# Sets, and those of `SHIFTED` below, that are made of the same test images
OWN_PICTURES = (
    "corruptions", "stylised", "C-bar", "scenes background", "scenes light", "scenes pose",
)  # fmt: skip


IN_DOMAIN = {"shift": CLEAN, "metric": "probe accuracy"}


def measured_by(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The rows of one measure: two have a metric "accuracy" of untouched images."""
    return rows[rows["measure"].map(measure_name) == measure]


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


def mean_out_of_domain(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a run: its mean accuracy over the sets of `out_of_domain`, all weighing the same; in "sets" their number.

    Only sets that every run in `rows` has, so that all means stand on the same: pass the systems to be compared and no
    others. The standard errors of sets made of the same images are added as if they went together entirely, those of
    others as independent.
    """
    return mean_of_sets(rows, out_of_domain(rows))


def mean_of_sets(rows: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The means of `mean_out_of_domain` from `found`, which names the set of each of its rows."""
    run = ["system", "seed"]
    if found.duplicated([*run, "set"]).any():
        raise BadInput("a system has a set more than once with one seed; pass the rows of one data set and one encoder")
    found = found[found["set"].map(found["set"].value_counts()) == len(rows.drop_duplicates(run))]
    found = found.assign(source=found["set"].mask(found["set"].isin(OWN_PICTURES), "own"))
    errors = found.groupby([*run, "source"])["standard_error"].sum() ** 2
    means = found.groupby(run).agg(value=("value", "mean"), sets=("set", "size"))
    return means.assign(standard_error=np.sqrt(errors.groupby(run).sum()) / means["sets"]).reset_index()


def on_average(
    *pairs: tuple[str, str],
    title: Callable[[str], str],
    mean: Callable[[pd.DataFrame], pd.DataFrame] = mean_out_of_domain,
) -> Callable[[pd.DataFrame], Contrasts]:
    """The first system of each pair less the second in the `mean` over the sets that both have."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        found = {}
        for pair in pairs:
            means = mean(rows[rows["system"].isin(pair)])
            found |= between(means, [pair], {f"mean of {means['sets'].max()} sets": {}}, title)
        return found

    return contrasts


def together(*parts: Contrasts) -> Contrasts:
    """All of them, or none where one was not measured: half a claim would be another claim."""
    return functools.reduce(dict.__or__, parts) if all(parts) else {}
