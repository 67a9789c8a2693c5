"""Severity as one axis: error along fractional severities and along the distance that pixels move."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from scipy import stats

from lib.chapters.severity.curves import (
    ALONG,
    DISTANCE,
    GREY,
    SHADES,
    corrupted_by,
    draw,
    kind,
    learners_of,
    legend,
    line_look,
    mean_lines,
    named,
    pooled,
)
from lib.figures.figure import Figure
from lib.figures.prose import UNTOLD, listed, number
from lib.figures.style import settle, spaced, use_style
from lib.measures.rows import CLEAN, by_severity
from lib.shifts.corruptions import SEVERITIES


def error_along_severity(rows: pd.DataFrame, scope: str) -> Figure:
    """A panel a corruption: error against continuous severity, and in a strip beneath it the distance of the images.

    `rows` have the metrics of `lib.measures.severity_curve`; `scope` says in words what they are, for the caption.
    """
    lines, distances, names = mean_lines(rows, ALONG), _distances(rows), corrupted_by(rows, ALONG)
    use_style()
    height = math.ceil(len(names) / 2)
    drawing, cells = plt.subplots(
        2 * height, 2, figsize=(5.2, 2.3 * height + 0.9), sharex=True, sharey="row", height_ratios=[3, 1] * height,
        layout="constrained", squeeze=False,
    )  # fmt: skip
    drawing.get_layout_engine().set(h_pad=0.03, hspace=0)  # type: ignore[call-arg]
    panels, strips = cells[::2].ravel(), cells[1::2].ravel()
    for axes, strip, name in zip(panels, strips, names, strict=False):  # of an odd number, a panel is left over
        for label, table in lines.items():
            draw(axes, table[table["shift"] == name], label, line_look(label))
        strip.fill_between(distances[name].index, distances[name], color=GREY, alpha=0.3, lw=0)
        strip.plot(distances[name].index, distances[name], color=GREY, linewidth=1.2, label=DISTANCE)
        axes.set(title=spaced(name), ylim=_limits(lines), xlim=(0.9, 5.1), xticks=SEVERITIES)
        strip.set(ylim=(0, 1.1 * distances.max()), yticks=[0, _round_number_below(distances.max())])
    if len(names) % 2:
        panels[-1].set_axis_off(), strips[-1].set_axis_off()
        strips[-3].tick_params(labelbottom=True)  # the lowest of its column
    for axes in cells.flat:
        axes.tick_params(labelsize=9.5, pad=1)
    legend(drawing, (panels[0], strips[0]), 2)
    drawing.supxlabel("severity", fontsize=11)
    drawing.supylabel("error of the linear probe (%)", fontsize=11)
    settle(drawing)
    levels = distances.index.get_level_values("severity").nunique()
    mean = next(iter(lines.values()))
    return Figure(
        drawing,
        name="fig-along-severity",
        caption=f"Error at {levels} severities from 1 to 5, the whole ones marked. Bands are 95 % intervals over seeds "
        "and images. The grey strips, on one scale in all panels, show the distance of the images from the clean ones, "
        f"100 (1 \N{MINUS SIGN} SSIM). {scope}",
        notes=f"Lines: {named(rows, ALONG)}. No encoder has a part in the distance of images.",
        alt=f"Line charts of error against severity from 1 to 5 for {len(names)} corruptions, with the distance of the "
        f"images beneath. Mean over the {kind(rows, ALONG)}: {'; '.join(_shape(mean, name) for name in names)}.",
        data=_along(lines, distances),
    )


def error_along_distance(rows: pd.DataFrame, scope: str) -> Figure:
    """A panel a corruption: error against the distance of the images, points joined in order of distance."""
    lines, distances, names = mean_lines(rows, ALONG), _distances(rows), corrupted_by(rows, ALONG)
    ranks = monotony(rows).set_index("corruption")
    use_style()
    height = math.ceil(len(names) / 2)
    drawing, cells = plt.subplots(height, 2, figsize=(5.2, 2.2 * height + 1.3), sharey=True, layout="constrained",
                                  squeeze=False)  # fmt: skip
    scale = Normalize(SEVERITIES[0] - 0.6, SEVERITIES[-1])  # the mildest shade still stands out from the paper
    for axes, name in zip(cells.flat, names, strict=False):
        for label, table in lines.items():
            line = table[table["shift"] == name]
            line = line.assign(distance=line["severity"].map(distances[name])).sort_values("distance", kind="stable")
            own = line_look(label)
            axes.plot(line["distance"], line["mean"], color=own["color"], linewidth=1)
            axes.scatter(line["distance"], line["mean"], c=line["severity"], cmap=SHADES, norm=scale, s=24, zorder=3,
                         marker=own["marker"], edgecolors=own["color"], linewidths=0.8, label=label)  # fmt: skip
        axes.set_title(spaced(name), pad=17)
        axes.text(0.5, 1.02, _two_ranks(*ranks.loc[spaced(name)]), transform=axes.transAxes, ha="center", va="bottom",
                  fontsize=9)  # fmt: skip
        axes.set(ylim=_limits(lines), xlim=(0, None))
        axes.tick_params(labelsize=9.5, pad=1)
        axes.locator_params(axis="x", nbins=5)
    if len(names) % 2:
        cells.flat[-1].set_axis_off()
    handles = [Line2D([], [], label=label, markerfacecolor="white", **line_look(label) | {"linestyle": "-"})
               for label in lines]  # fmt: skip
    drawing.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, columnspacing=1)
    bar = drawing.colorbar(ScalarMappable(scale, SHADES), ax=cells, location="bottom", aspect=40, fraction=0.03,
                           pad=0.1 / height, ticks=SEVERITIES, boundaries=np.linspace(1, 5, 65))  # fmt: skip
    bar.outline.set_visible(False)
    bar.set_label("shade: severity", fontsize=11)
    for axes in cells[-1]:
        axes.set_xlabel("image distance (%)")
    drawing.supylabel("error of the linear probe (%)", fontsize=11)
    settle(drawing)
    return Figure(
        drawing,
        name="fig-along-distance",
        caption="The errors of {numref}`fig-along-severity` against the distance of the images from the clean ones, "
        f"100 (1 \N{MINUS SIGN} SSIM); the darker, the severer. Where a line only rises, farther images are "
        f"harder. Under each name stands Spearman's ρ of the mean error with severity and distance. {scope}",
        notes=f"Points are of {named(rows, ALONG)}, and joined in order of distance. Rank correlations are of that "
        "mean.",
        alt=f"Charts of error against the distance of the images for {len(names)} corruptions. "
        f"{monotony_sentence(rows)}",
        data=_along(lines, distances),
    )


def monotony(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a corruption: does error go up with severity, and does it with the distance of the images?

    Spearman's rank correlations over severities of the mean self-supervised error, to two decimals; NaN where the error
    is the same at all of them.
    """
    errors, distances = pooled(rows, ALONG, learners_of(rows, ALONG)), _distances(rows)
    lines = []
    for name in corrupted_by(rows, ALONG):
        line = errors[errors["shift"] == name]
        others = (line["severity"], line["severity"].map(distances[name]))
        lines.append((spaced(name), *(rank_correlation(line["mean"], other) for other in others)))
    return pd.DataFrame(lines, columns=["corruption", "with severity", "with image distance"])


def monotony_sentence(rows: pd.DataFrame) -> str:
    """Where error goes up with severity, and what becomes of that when distance takes the place of severity."""
    if not (rows["metric"] == ALONG).any():
        return UNTOLD
    table = monotony(rows).dropna().set_index("corruption")
    if table.empty:
        return "The error is the same at all severities, so that there is nothing to rank."
    severity, distance = table["with severity"], table["with image distance"]

    def those(found: pd.Series) -> str:
        return listed([f"{name} ({severity[name]:.2f} to {distance[name]:.2f})" for name in table.index[found]])

    least, most = severity.idxmin(), severity.idxmax()
    return (
        "Spearman's rank correlation of the mean error with severity lies between "
        f"{severity[least]:.2f} ({least}) and {severity[most]:.2f} ({most}). With the distance of the "
        f"images in the place of severity it rises for {those(distance > severity)}, and falls for "
        f"{those(distance < severity)}."
    )


def _distances(rows: pd.DataFrame) -> pd.Series:
    """The distance of the images, indexed by (shift, severity): the same for all encoders, which see the same."""
    return by_severity(rows[rows["metric"] == DISTANCE]).groupby(["shift", "severity"])["value"].mean()


def rank_correlation(errors: pd.Series, others: pd.Series) -> float:
    if errors.nunique() == 1 or others.nunique() == 1:
        return math.nan  # SciPy's answer, too, but with a warning
    return round(float(stats.spearmanr(errors, others).statistic), 2)


def _two_ranks(severity: float, distance: float) -> str:
    if math.isnan(severity) or math.isnan(distance):
        return "no ranks"
    return f"ρ: severity {number(severity, 2)}, distance {number(distance, 2)}"


def _limits(lines: dict[str, pd.DataFrame]) -> tuple[float, float]:
    """The range of lines and bands with a little room: dips of a few points would not be seen from 0 to 100."""
    values = pd.concat([table.loc[table["shift"] != CLEAN, ["mean", "low", "high"]] for table in lines.values()])
    low, high = np.nanmin(values), np.nanmax(values)
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def _round_number_below(value: float) -> float:
    """The greatest 1, 2 or 5 times a power of ten that is not above a positive `value`; 1 for none."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= value)


def _shape(table: pd.DataFrame, name: str) -> str:
    """The ends of a line, and its lowest and highest point where they lie between."""
    line = table[table["shift"] == name].set_index("severity")["mean"]
    first, last = line.index[[0, -1]]
    extremes = [f"{word} {line[at]:.0f} at {at:g}" for word, at in (("least", line.idxmin()), ("most", line.idxmax()))
                if at not in (first, last)]  # fmt: skip
    return ", ".join([f"{spaced(name)} from {line[first]:.0f} to {line[last]:.0f} percent", *extremes])


def _along(lines: dict[str, pd.DataFrame], distances: pd.Series) -> pd.DataFrame:
    tables = [table[table["shift"] != CLEAN].assign(line=label) for label, table in lines.items()]
    whole = pd.concat(tables).join(distances.rename(f"{DISTANCE} (%)"), on=["shift", "severity"])
    return whole[["line", "shift", "severity", "mean", "low", "high", f"{DISTANCE} (%)"]]
