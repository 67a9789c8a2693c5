"""What is read out of features before and after a cause is erased from them."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.lines import Line2D

from lib.chapters.augmentation.arms import (
    arm_dots,
    arm_look,
    arm_summary,
    chosen_arms,
    encoders,
    is_arm,
    percent,
    with_references,
)
from lib.chapters.augmentation.invariance import (
    AFTER,
    ARM,
    BEFORE,
    HUE,
    LINEAR,
    METHOD,
    OTHERS,
    SHAPE,
    SHAPES_TOLD,
)
from lib.chapters.augmentation.names import arm
from lib.errors import BadInput, one_of
from lib.figures.figure import Figure
from lib.figures.prose import listed, number
from lib.figures.style import settle, use_style
from lib.images.scenes import SHAPES
from lib.measures.read_out import ERASED, READ, WITHOUT
from lib.measures.rows import CLEAN, Rows
from lib.methods import METHODS


def erasure_bars(rows: Rows, scope: str, method: str = METHOD) -> Figure:
    """Three panels, a line an arm: what is read from all features (open dot) and without the object's hue (full dot).

    Linear R² of that hue, of the other factors on average, and the probe's accuracy on shapes, with 95 % intervals.
    """
    one_of(method, METHODS, "method")
    read, others = _read_twice(rows)
    table, arms = with_references(arm_summary(read, "what", "features"), method, "the read-out of scenes")
    panel_titles = {
        HUE: "linear R² of the object's hue (%)",
        OTHERS: f"linear R² of other factors, mean of {others} (%)",
        SHAPES_TOLD: "accuracy on shapes (%)",
    }
    shown = [what for what in panel_titles if what in set(table["what"])]
    use_style()
    height = len(shown) * (0.27 * len(arms) + 0.4) + 0.6
    drawing, panels = plt.subplots(len(shown), 1, figsize=(4.8, height), sharex=True, squeeze=False,
                                   layout="constrained")  # fmt: skip
    for axes, what in zip(panels[:, 0], shown, strict=True):
        for place, one in enumerate(arms):
            for features, beside in ((BEFORE, -0.17), (AFTER, 0.17)):
                own = table[is_arm(table, one) & (table["what"] == what) & (table["features"] == features)]
                face = {"markerfacecolor": "white"} if features == BEFORE else {}
                arm_dots(axes, own, [place + beside] * len(own), color=arm_look(one)["color"], marker="o", **face)
        axes.set_title(panel_titles[what], fontsize=10.5, loc="left")
        axes.set(ylim=(len(arms) - 0.5, -0.5))
        axes.set_yticks(range(len(arms)), [arm(*one) for one in arms], fontsize=10)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
    percent(panels[-1, 0], table)
    handles = [
        Line2D([], [], linestyle="none", marker="o", color="#333333", label=label, markerfacecolor=face)
        for label, face in ((BEFORE, "white"), (AFTER, "#333333"))
    ]
    drawing.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, handletextpad=0.2)
    settle(drawing)
    return Figure(
        drawing,
        name="fig-erasure",
        caption="What can be read from all features of scenes (open dots) and after a linear projection, fitted on "
        "other scenes, that removes the object's hue from them (full dots). Lines are 95 % intervals over seeds and "
        f"scenes. A guessed shape is right in {100 / len(SHAPES):.0f} %. {scope}",
        notes=f"Mean over the encoders, before and after: {_both(table)}.",
        alt="Three dot charts of what is read from features before and after the object's hue is removed, in percent. "
        + "; ".join(f"{arm(*one)}: {_both(table[is_arm(table, one)])}" for one in arms)
        + ".",
        data=encoders(table),
    )


def _read_twice(rows: Rows) -> tuple[Rows, int]:
    """A line a run, `what` is read and from which `features`; and the number of factors behind "other factors".

    Only factors count that are read from both. The standard error of their mean is the mean of theirs, as if their
    errors went together entirely: the interval errs on the wide side.
    """
    chosen = chosen_arms(rows[rows["shift"].isin((CLEAN, WITHOUT))], LINEAR, SHAPE)
    names = chosen["subset"].mask(chosen["metric"] == SHAPE, SHAPE)
    named = chosen.assign(name=names, features=np.where(chosen["shift"] == WITHOUT, AFTER, BEFORE))
    named = named[named["name"].isin([*READ, SHAPE])]
    twice = named[named.groupby([*ARM, "seed", "name"])["features"].transform("nunique") == 2]
    if twice.empty:
        raise BadInput(f"this figure needs what is read of scenes from all features and {WITHOUT!r}")
    what = twice["name"].map({ERASED: HUE, SHAPE: SHAPES_TOLD}).fillna(OTHERS)
    by_run = twice.assign(what=what).groupby([*ARM, "seed", "what", "features"], sort=False)
    others = twice.loc[what == OTHERS, "name"].nunique()
    means = by_run.agg(metric=("metric", "first"), value=("value", "mean"), standard_error=("standard_error", "mean"))
    return means.reset_index(), others


def _both(table: Rows) -> str:
    """Means before and after of all that is read: "object hue 60 to 2, other factors 20 to 18 and shape 50 to 45"."""
    means = table.pivot_table(index="what", columns="features", values="mean", aggfunc="mean", sort=False)
    return listed([f"{what} {number(own[BEFORE])} to {number(own[AFTER])}" for what, own in means.iterrows()])
