"""Error against severity: over all corruptions, by group, and one panel a corruption."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from lib.figures.figure import Figure
from lib.figures.levels import needed, summary
from lib.figures.prose import number
from lib.figures.style import label_ends, look, settle, title, use_style
from lib.measures import Interval
from lib.measures.corruption_error import ALL, held
from lib.measures.rows import CLEAN, Rows, by_severity
from lib.shifts.corruptions import CORRUPTIONS, GROUPS, SEVERITIES


def curves(rows: Rows, shift: str, metric: str = "error") -> Rows:
    """`summary` of `metric` under one shift at severities 1 to 5, with that of clean images as severity 0.

    Raises BadInput where rows do not hold it.
    """
    single = by_severity(rows[rows["shift"].isin((CLEAN, shift))])
    needed(
        single[(single["shift"] == shift) & (single["metric"] == metric)], f"the metric {metric!r} of corrupted images"
    )
    table = summary(single, metric, "severity")
    return table.assign(shift=shift).sort_values("severity", kind="stable", ignore_index=True)


def error_by_severity(rows: Rows, scope: str) -> Figure:
    """One line a method: the error, averaged over all corruptions, from clean images to severity 5.

    `scope` says in words what the rows are, for the caption.
    """
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 4.4))
    table = curves(rows, ALL)
    draw_lines(axes, table)
    ends = [(g["mean"].iloc[-1], title(m), look(m)["color"]) for m, g in table.groupby("method", sort=False)]
    label_ends(axes, ends, SEVERITIES[-1], gap=5)
    axes.set(xlabel="severity (0: clean)", ylabel="error of the linear probe (%)", ylim=(0, 100), xlim=(-0.15, 5.1))
    strongest = table[table["severity"] == SEVERITIES[-1]].sort_values("mean")
    clean = table[table["severity"] == 0].set_index("method")["mean"]
    return Figure(
        drawing,
        name="fig-error-by-severity",
        caption=f"Error against severity, averaged over the {len(CORRUPTIONS)} corruptions. Bands are 95 % intervals "
        f"over seeds and images. {scope}",
        alt="Line chart of the probe's error against severity 0 to 5. "
        + "; ".join(f"{title(m)} rises from {clean[m]:.0f} to {e:.0f} percent"
                    for m, e in zip(strongest["method"], strongest["mean"], strict=True))
        + ".",
        data=readable(table),
    )  # fmt: skip


def error_by_group(rows: Rows, scope: str) -> Figure:
    """Four panels: noise, blur, weather, digital."""
    use_style()
    drawing, panels = plt.subplots(2, 2, figsize=(5.2, 5.6), sharex=True, sharey=True, layout="constrained")
    tables = []
    for axes, group in zip(panels.flat, GROUPS, strict=True):
        table = curves(rows, group)
        draw_lines(axes, table)
        axes.set(title=f"{group} ({len(GROUPS[group])})", ylim=(0, 100), xticks=range(6))
        tables.append(table)
    _shared_labels(drawing)
    handles, labels = panels.flat[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, columnspacing=1,
                   handletextpad=0.4)  # fmt: skip
    settle(drawing)
    data = pd.concat(tables)
    strongest = data[data["severity"] == SEVERITIES[-1]].groupby("shift")["mean"].mean().sort_values()
    return Figure(
        drawing,
        name="fig-error-by-group",
        caption="Error against severity for the four groups of corruptions (their number in brackets). Bands are 95 % "
        f"intervals over seeds and images. {scope}",
        alt="Four line charts of error against severity. Mean over the methods at severity 5: "
        + ", ".join(f"{group} {value:.0f} percent" for group, value in strongest.items())
        + ".",
        data=readable(data),
    )


def error_by_corruption(rows: Rows, scope: str) -> Figure:
    """Small multiples: one panel a corruption in the benchmark's order, the four extra ones last, then a legend."""
    use_style()
    names = held(needed(rows[rows["metric"] == "error"], "errors of corrupted images"))
    lines = len(names) // 4 + 1
    drawing, panels = plt.subplots(
        lines, 4, figsize=(4.95, 1.6 * lines), sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    tables = []
    for axes, name in zip(panels.flat, names, strict=False):  # the last panel is for the legend
        table = curves(rows, name)
        draw_lines(axes, table, size=2.5, width=1.2)
        axes.set_title(name.replace("_", "\n"), fontsize=10, linespacing=1)
        axes.set(ylim=(0, 100), xticks=range(6), yticks=(0, 50, 100))
        axes.tick_params(labelsize=9, pad=1)
        tables.append(table)
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    for axes in panels.flat[len(names) - 4 : len(names)]:
        axes.tick_params(labelbottom=True)  # the lowest of its column
    _shared_labels(drawing)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    # A legend of the drawing and not of the panel, which would be widened for it; as high as the titles beside it, and
    # below the numbers of the panel above where nothing is beside it.
    top = 1.16 if len(names) % 4 else 1.0
    drawing.legend(handles, labels, loc="upper left", bbox_to_anchor=(-0.08, top), frameon=False, fontsize=9,
                   bbox_transform=panels[-1, -1].transAxes, handlelength=1.6, handletextpad=0.4, labelspacing=0.4,
                   borderpad=0)  # fmt: skip
    settle(drawing)
    data = pd.concat(tables)
    means = data.groupby(["shift", "severity"], sort=False)["mean"].mean().unstack()
    cost = means[SEVERITIES[-1]] - means[0]
    others = sum(name not in CORRUPTIONS for name in names)
    falling = [name for name in names if (np.diff(means.loc[name]) < 0).any()]
    return Figure(
        drawing,
        name="fig-error-by-corruption",
        caption=f"Error against severity, one panel for each corruption: {len(names) - others} of the benchmark, "
        f"then {others} others. Bands are 95 % intervals over seeds and images. "
        f"{scope}",
        alt=f"{len(names)} line charts of error against severity. At severity 5, averaged over the methods, the "
        f"error lies {number(cost.min())} to {number(cost.max())} points above that of clean images. "
        + (f"The error falls somewhere along: {', '.join(falling).replace('_', ' ')}." if falling else ""),
        data=readable(data),
    )


def draw_lines(axes: Axes, table: Rows, size: float = 5, width: float = 1.6) -> None:
    """A line of `width` points, with markers of `size` points, and a band a method, from a table of `curves`."""
    for method, line in table.groupby("method", sort=False):
        axes.plot(line["severity"], line["mean"], markersize=size, linewidth=width, label=title(method), **look(method))
        axes.fill_between(line["severity"], line["low"], line["high"], color=look(method)["color"], alpha=0.15, lw=0)


def _shared_labels(drawing: Drawing) -> None:
    """One pair of axis labels for all panels."""
    drawing.supxlabel("severity (0: clean)", fontsize=11)
    drawing.supylabel("error of the linear probe (%)", fontsize=11)


def readable(table: Rows) -> Rows:
    """The table with methods as they are written."""
    return table.assign(method=table["method"].map(title))


def before_and_after(errors: dict[str, Sequence[Interval]], shift: str, scope: str) -> Figure:
    """Error against severity 0 to 5 under one corruption, a line for each entry of `errors` (words -> intervals)."""
    use_style()
    drawing, axes = plt.subplots(figsize=(4.8, 3.6))
    looks = [look("random"), look("simclr")]
    levels = [0, *SEVERITIES]
    for (words, line), own in zip(errors.items(), looks, strict=True):
        axes.plot(levels, [point.mean for point in line], markersize=5, label=words, **own)
        axes.fill_between(levels, [p.low for p in line], [p.high for p in line], color=own["color"], alpha=0.15, lw=0)
    ends = [(line[-1].mean, words, own["color"]) for (words, line), own in zip(errors.items(), looks, strict=True)]
    label_ends(axes, ends, SEVERITIES[-1], gap=6)
    axes.set(xlabel="severity (0: clean)", ylabel="error of the linear probe (%)", ylim=(0, 100), xlim=(-0.15, 5.1))
    name = shift.replace("_", " ")
    return Figure(
        drawing,
        name="fig-live",
        caption=f"The encoder above: error under {name} before and after training. Bands are 95 % intervals (Wilson's) "
        f"over images. {scope}",
        alt=f"Line chart of error against severity of {name}. "
        + "; ".join(f"{words}: {line[0].mean:.0f} to {line[-1].mean:.0f} percent" for words, line in errors.items())
        + ".",
        data=pd.DataFrame({"severity": levels} | {w: [p.mean for p in line] for w, line in errors.items()}),
    )
