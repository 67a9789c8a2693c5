"""Dots with intervals, bands, legends and logit axes that figures share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from scipy.special import expit, logit

from lib.figures.style import settle
from lib.measures.rows import Rows

NEAR_TICKS = 0.12  # of an axis: less, and the words of two ticks meet


def logit_span(accuracies: pd.Series) -> tuple[float, float]:
    """Ends of an axis in percent, with room around the accuracies that is even on the logit scale."""
    low, high = logit(accuracies.min() / 100), logit(accuracies.max() / 100)
    room = 0.08 * (high - low) + 0.05
    return tuple(100 * expit([low - room, high + room]))


def logit_axes(axes: Axes, *spans: tuple[float, float]) -> None:
    """Percentages on logit scales, x over the first and y over the second of `spans`."""
    scale = {"functions": (lambda percent: logit(np.asarray(percent) / 100), lambda t: 100 * expit(t))}
    axes.set_xscale("function", **scale)
    axes.set_yscale("function", **scale)
    axes.set(xlim=spans[0], ylim=spans[1], xticks=round_ticks(spans[0]), yticks=round_ticks(spans[1]))


def round_ticks(span: tuple[float, float]) -> np.ndarray:
    """Percentages within `span` at the coarsest round step that gives four or more; of those too near on a logit
    scale for their words, every other one."""
    steps = (np.arange(step, 100, step) for step in (10, 5, 2, 1, 0.5))
    within = [ticks[(ticks >= span[0]) & (ticks <= span[1])] for ticks in steps]
    ticks = next((ticks for ticks in within if len(ticks) >= 4), within[-1])
    places = (logit(ticks / 100) - logit(span[0] / 100)) / (logit(span[1] / 100) - logit(span[0] / 100))
    return ticks[::2] if len(ticks) > 4 and np.diff(places).min() < NEAR_TICKS else ticks


DOTTED = {"color": "#333333", "linestyle": (0, (1, 2)), "linewidth": 1.1, "zorder": 1}  # chance


def constant_line(axes: Axes, kept: float | None, upright: bool = False) -> None:
    """A dotted line at what a constant answer keeps, if that is known; `upright` where accuracies run to the right."""
    if kept is not None:
        (axes.axvline if upright else axes.axhline)(kept, gid="constant answer", **DOTTED)


def constant_told(kept: float | None, line: str = "Dotted across") -> str:
    """What the line is, in a caption."""
    return "" if kept is None else f"{line}: a constant answer, {kept:.0f} %. "


def dots(axes: Axes, table: Rows, at: Iterable[float], look: Mapping, flat: bool = False, line: bool = False) -> None:
    """A dot and its interval for each line of `table`: upright at x, or `flat` at y; joined where `line`."""
    ends = np.stack([table["mean"] - table["low"], table["high"] - table["mean"]])
    own = {"markersize": 5, "elinewidth": 1.1, "linewidth": 1.3} | look | ({} if line else {"linestyle": "none"})
    if flat:
        axes.errorbar(table["mean"], at, xerr=ends, **own)
    else:
        axes.errorbar(at, table["mean"], yerr=ends, **own)


def bands(axes: Axes, names: Sequence[str]) -> None:
    """A band for each of `names`, from the top."""
    axes.set_yticks(range(len(names)), names, linespacing=1)
    axes.set_ylim(len(names) - 0.5, -0.5)


def borders(axes: Axes, count: int) -> None:
    for border in np.arange(1, count) - 0.5:
        axes.axhline(border, color="#cccccc", linewidth=0.8, zorder=0)


def apart(count: int, step: float) -> np.ndarray:
    """Steps aside, around none, for things that share a place."""
    return step * (np.arange(count) - (count - 1) / 2)


def legend_above(drawing: Drawing, looks: Mapping[str, Mapping[str, object]], columns: int = 3) -> None:
    """A legend above a drawing, which is settled by it. Looks without a line style are those of dots alone."""
    handles = [
        Line2D([], [], label=words, **({"linestyle": "none", "markersize": 6, "linewidth": 1.4} | look))
        for words, look in looks.items()
    ]
    drawing.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, columnspacing=1.2,
                   handletextpad=0.5, handlelength=2.4, fontsize=10)  # fmt: skip
    settle(drawing)


def dot_of(look: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in look.items() if name != "linestyle"}
