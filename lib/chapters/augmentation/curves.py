"""Similarity along the parameter of a transform."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lib.cells import WHITENED
from lib.chapters.augmentation.arms import (
    arm_look,
    arm_summary,
    arms_of,
    chosen_arms,
    is_arm,
    legend_of_arms,
    numbers_by_line,
    spatial_against_appearance,
)
from lib.chapters.augmentation.invariance import ALONG, ARM, METHOD, WHAT, Arm, chance
from lib.chapters.augmentation.names import arm, title
from lib.errors import BadInput, one_of
from lib.figures.figure import Figure
from lib.figures.style import settle, spaced, use_style
from lib.measures.rows import Rows
from lib.methods import METHODS
from lib.shifts.transforms import TRANSFORMS


def similarity_curves(rows: Rows, scope: str, method: str = METHOD) -> Figure:
    """A panel a transform of one parameter: whitened similarity along it, a line a recipe of `method`.

    Random weights stand beside them in grey where the rows have them. BadInput where neither is there.
    """
    one_of(method, METHODS, "method")
    chosen = chosen_arms(rows, ALONG)
    arms = [one for one in arms_of(chosen) if one[0] in (method, "random")]
    if not arms:
        raise BadInput(f"these rows have the metric {ALONG!r} neither for {title(method)} nor for random weights")
    chosen = chosen.assign(level=chosen["level"].round(6))  # as in stored rows, which may stand beside fresh ones
    table = arm_summary(chosen, "shift", "level", arms=arms).sort_values("level", kind="stable")
    names = [name for name in TRANSFORMS if name in set(table["shift"])]
    use_style()
    height = math.ceil(len(names) / 3)
    drawing, panels = plt.subplots(height, 3, figsize=(4.9, 1.55 * height + 0.7), sharey=True, squeeze=False,
                                   layout="constrained")  # fmt: skip
    for axes, name in zip(panels.flat, names, strict=False):
        for one in arms:
            _draw_along(axes, table[is_arm(table, one) & (table["shift"] == name)], one)
        axes.set_title(spaced(name), fontsize=10.5)
        axes.set_xlabel(_parameter(name), fontsize=10, labelpad=1)
        axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        axes.tick_params(labelsize=9.5, pad=1)
    panels[0, 0].set(ylim=_limits(table), yticks=range(0, 101, 25))
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    drawing.supylabel("whitened similarity (hundredths)", fontsize=11)
    legend_of_arms(drawing, panels[0, 0])
    settle(drawing)
    means = table.groupby(["shift", *ARM], sort=False)["mean"].mean()
    runs = chosen.groupby([*ARM, "seed", "shift"], sort=False)[["value", "standard_error"]].mean().reset_index()
    means = pd.DataFrame({one: [means.get((name, *one), np.nan) for name in names] for one in arms}, index=names)
    return Figure(
        drawing,
        name="fig-similarity-curves",
        caption=f"{WHAT}, along the parameter of each transform that has one. Bands are 95 % intervals over seeds and "
        f"images. {chance(chosen_arms(rows, WHITENED, needed=False), means)}{scope}",
        notes=spatial_against_appearance(runs, method, spaced, " on average over the settings"),
        alt=f"{len(names)} line charts of whitened similarity against the parameter of a transform. Mean over the "
        f"settings: {numbers_by_line(means, [spaced(name) for name in names])}.",
        data=_wide(table, arms),
    )


def _draw_along(axes: Axes, line: Rows, one: Arm) -> None:
    """A line with its band, and with about six markers however many settings there are."""
    own = arm_look(one)
    axes.plot(line["level"], line["mean"], label=arm(*one), markersize=3.5, linewidth=1.4,
              markevery=max(1, len(line) // 6), **own)  # fmt: skip
    axes.fill_between(line["level"], line["low"], line["high"], color=own["color"], alpha=0.15, lw=0)


def _parameter(name: str) -> str:
    """A transform's only parameter with its unit: "angle (degrees)"; the unit alone where it says the same."""
    (parameter,), (unit,) = TRANSFORMS[name].names, TRANSFORMS[name].units
    if not unit:
        return parameter
    return unit if unit in (parameter, f"{parameter}s") else f"{parameter} ({unit})"


def _limits(table: Rows) -> tuple[float, float]:
    """From 0 to 100, or what lines and bands need, with a little room."""
    low, high = np.nanmin(table[["mean", "low"]]), np.nanmax(table[["mean", "high"]])
    return min(0.0, low) - 4, max(100.0, high) + 4


def _wide(table: Rows, arms: Sequence[Arm]) -> Rows:
    """A line a setting, and for each arm its mean and the ends of its interval."""
    wide = table.pivot(index=["shift", "level"], columns=ARM, values=["mean", "low", "high"])
    ends = {"mean": "", "low": ": low", "high": ": high"}
    data = pd.DataFrame({f"{arm(*one)}{word}": wide[end, *one] for one in arms for end, word in ends.items()})
    data = data.rename_axis(["transform", "parameter"]).reset_index()
    order = data["transform"].map(list(TRANSFORMS).index).argsort(kind="stable")
    return data.iloc[order].assign(transform=lambda own: own["transform"].map(spaced)).dropna(axis="columns", how="all")
