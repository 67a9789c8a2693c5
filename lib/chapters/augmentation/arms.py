"""Arms of the study (a method with an augmentation): their rows, dots and words."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from lib.cells import ALIKE
from lib.chapters.augmentation.names import arm, title
from lib.contrasts import estimates, levels, of_two
from lib.errors import BadInput
from lib.figures.levels import AT_ONCE, as_table
from lib.figures.prose import by_verdict, listed, number
from lib.figures.style import RECIPE_LOOK, look
from lib.measures import read_together
from lib.measures.rows import Rows
from lib.verdicts import no_effect

Arm = tuple[str, str]  # a method and its augmentation, "" where it has none

ARM = ["method", "augmentation"]
RECIPES = ("default", "spatial", "appearance")  # the paper's; the others of `AUGMENTATIONS` take one part or leave it


# Rows and arms


def chosen_arms(rows: Rows, *metrics: str, needed: bool = True) -> Rows:
    """The rows of some metrics, with "" for a missing augmentation, which pandas would leave out of groups."""
    chosen = rows[rows["metric"].isin(metrics)]
    if chosen.empty and needed:
        raise BadInput(f"this figure needs rows with the metric {metrics[0]!r}, and these have none")
    chosen = chosen.assign(augmentation=chosen["augmentation"].astype(object).fillna(""))
    if chosen.duplicated([*ARM, "seed", "shift", "subset", "level", "metric"]).any():
        raise BadInput("rows hold one number for each metric, shift and run, of one encoder and data set")
    return chosen


def arms_of(rows: Rows, augmentations: Iterable[str] = (*RECIPES, "")) -> list[Arm]:
    """Those of `rows` with one of `augmentations`, in their order within a method; methods in the order of the rows."""
    held = set(zip(rows["method"], rows["augmentation"], strict=True))
    pairs = [(method, augmentation) for method in dict.fromkeys(rows["method"]) for augmentation in augmentations]
    return [pair for pair in pairs if pair in held]


def is_arm(rows: Rows, one: Arm) -> pd.Series:
    return (rows["method"] == one[0]) & (rows["augmentation"] == one[1])


def of_arms(rows: Rows, arms: Sequence[Arm]) -> Rows:
    return rows[[pair in arms for pair in zip(rows["method"], rows["augmentation"], strict=True)]]


def with_references(table: Rows, method: str, what: str) -> tuple[Rows, list[Arm]]:
    """The lines and arms of `method` and of references, which are trained with no recipe.

    Raises BadInput where `table` has neither; `what` says what its lines hold.
    """
    arms = [one for one in arms_of(table) if one[0] == method or not one[1]]
    if not arms:
        raise BadInput(f"these rows have {what} neither for {title(method)} nor for a reference")
    return of_arms(table, arms), arms


def arm_look(one: Arm) -> Mapping[str, object]:
    method, augmentation = one
    return RECIPE_LOOK[augmentation] if augmentation else look(method)


def arm_summary(rows: Rows, *cell: str, arms: Sequence[Arm] | None = None) -> Rows:
    """Mean and interval over seeds and images for each arm, or each of `arms`, and cell, in the order of the rows."""
    keys, shown = [*ARM, *cell], rows if arms is None else of_arms(rows, arms)
    table = as_table(levels(rows, keys, shown), keys)
    return table.assign(seeds=shown.groupby(keys, sort=False).size().to_numpy())


def encoders(table: Rows) -> Rows:
    """The table with arms as they are written; ends of intervals that are unknown for all are left out."""
    data = table.drop(columns=ARM).dropna(axis="columns", how="all")
    data.insert(0, "encoder", [arm(*one) for one in zip(table["method"], table["augmentation"], strict=True)])
    return data


# Drawing


def arm_dots(axes: Axes, own: Rows, heights: Sequence[float], color: str, marker: str, **more: Any) -> None:
    """Dots at the means, with their intervals as lines."""
    more.pop("linestyle", None)  # of a look: dots are not joined
    ends = (own["mean"] - own["low"], own["high"] - own["mean"])
    axes.errorbar(own["mean"], heights, xerr=ends, linestyle="none", marker=marker, color=color, markersize=5.5,
                  elinewidth=1.3, **more)  # fmt: skip


def percent(axes: Axes, table: Rows) -> None:
    """From 0 to 100 along x, or what dots and intervals need."""
    low, high = np.nanmin(table[["mean", "low"]]), np.nanmax(table[["mean", "high"]])
    axes.set_xlim(min(0.0, low) - 3, max(100.0, high) + 3)
    axes.tick_params(axis="x", labelsize=9.5, pad=1)


def legend_of_arms(drawing: Drawing, axes: Axes) -> None:
    drawing.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False,
                   columnspacing=1, handletextpad=0.5)  # fmt: skip


# Words


def numbers_by_line(means: Rows, lines: Sequence[str]) -> str:
    """Every number of (lines, arms) in words: "rotation: SimCLR, default 40; SimCLR, spatial 50. scale: ..."."""
    return ". ".join(
        f"{line}: " + "; ".join(f"{arm(*one)} {number(value)}" for one, value in own.items() if not math.isnan(value))
        for line, (_, own) in zip(lines, means.iterrows(), strict=True)
    )


def spatial_against_appearance(
    runs: Rows, method: str, named: Callable[[str], str], average: str = "", column: str = "shift"
) -> str:
    """For which shifts the difference of the two recipes tells them apart; "" where one is missing.

    `runs` has one value for each run and shift, which a `column` names.
    """
    cells = {recipe: {"method": method, "augmentation": recipe} for recipe in ("spatial", "appearance")}
    of_recipes = [set(runs.loc[is_arm(runs, tuple(cell.values())), column]) for cell in cells.values()]
    shifts = [shift for shift in dict.fromkeys(runs[column]) if all(shift in held for held in of_recipes)]
    if not shifts:
        return ""
    found: dict[str, list[str]] = {"higher": [], "lower": [], no_effect(ALIKE): [], "not told apart": []}
    contrasts = {
        shift: of_two(runs, *({column: shift, **cells[recipe]} for recipe in ("spatial", "appearance")))
        for shift in shifts
    }
    for shift, gap in read_together(estimates(contrasts)).items():
        found[by_verdict(gap, *found, margin=ALIKE)].append(named(shift))
    verdicts = "; ".join(f"{verdict} for {listed(names)}" for verdict, names in found.items() if names)
    return f"The spatial recipe against the appearance recipe{average},{AT_ONCE}: {verdicts}. "
