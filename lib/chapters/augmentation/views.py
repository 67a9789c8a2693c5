"""Real views: similarity of photographs of one object in other poses and lights."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lib.cells import WHITENED, WHITENED_CHANCE
from lib.chapters.augmentation.arms import (
    arm_dots,
    arm_look,
    arm_summary,
    chosen_arms,
    encoders,
    is_arm,
    legend_of_arms,
    numbers_by_line,
    percent,
    spatial_against_appearance,
    with_references,
)
from lib.chapters.augmentation.claims import above_chance
from lib.chapters.augmentation.invariance import ARM, METHOD, PHOTOGRAPHS
from lib.chapters.augmentation.names import arm
from lib.errors import BadInput, one_of
from lib.figures.figure import Figure
from lib.figures.style import settle, spaced, use_style
from lib.measures.rows import Rows
from lib.methods import METHODS


def real_views(rows: Rows, scope: str, method: str = METHOD) -> Figure:
    """A line a set of views: how alike those of one object are, a dot an arm, with intervals over seeds and objects.

    In percent of the way from any two images of the set (0) to the same image (100): `claims.above_chance`.
    """
    one_of(method, METHODS, "method")
    runs = _named(above_chance(chosen_arms(rows, WHITENED, WHITENED_CHANCE)))
    if runs.empty:
        raise BadInput(f"this figure needs rows with the metrics {WHITENED!r} and {WHITENED_CHANCE!r} of one set")
    table, arms = with_references(arm_summary(runs, "set"), method, "views of objects")
    sets = list(dict.fromkeys(table["set"]))
    use_style()
    step = max(0.115 * len(arms) + 0.1, 0.42)  # inches for a set
    drawing, axes = plt.subplots(figsize=(4.8, step * len(sets) + 0.75 + 0.11 * len(arms)), layout="constrained")
    for place, one in enumerate(arms):
        own = table[is_arm(table, one)]
        beside = (place - (len(arms) - 1) / 2) * 0.115 / step
        arm_dots(axes, own, [sets.index(name) + beside for name in own["set"]], label=arm(*one), **arm_look(one))
    for border in range(1, len(sets)):
        axes.axhline(border - 0.5, color="#dddddd", linewidth=0.8, zorder=0)
    percent(axes, table)
    axes.set(ylim=(len(sets) - 0.5, -0.5), xlabel="0: as any two images, 100: the same (%)")
    axes.set_yticks(range(len(sets)), [name.replace(" (", "\n(") for name in sets], fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    legend_of_arms(drawing, axes)
    settle(drawing)
    cells = table.set_index(["set", *ARM])["mean"]
    means = pd.DataFrame({one: [cells.get((name, *one), np.nan) for name in sets] for one in arms}, index=sets)
    told = spatial_against_appearance(runs, method, str, column="set")
    return Figure(
        drawing,
        name="fig-real-views",
        caption="How alike views of one object are to an encoder while one cause changes: whitened similarity, in "
        "percent of the way from any two images of the set to the same image twice. Lines are 95 % intervals over "
        f"seeds and objects. {scope}",
        notes=f"Each seed has both references of its own. {told}",
        alt=f"Dot chart of {len(sets)} sets of views by {len(arms)} encoders, in percent. "
        f"{numbers_by_line(means, sets)}.",
        data=encoders(table),
    )


def _named(runs: Rows) -> Rows:
    """With what changes, and in which images, in a column "set": "azimuth (COIL)"."""
    return runs.assign(set=[_set(*own) for own in zip(runs["shift"], runs["subset"], strict=True)])


def _set(name: str, changed: str) -> str:
    images, cause = PHOTOGRAPHS.get(name, (name, changed))
    return f"{spaced(cause)} ({images})" if cause else spaced(name)
