"""Means over methods along a severity, as the figures of this chapter draw them, and attention along it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from lib.contrasts import estimates, mean_of, of_cell, present
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.levels import as_table, needed, summary
from lib.figures.prose import listed
from lib.figures.style import look, spaced, title, use_style
from lib.measures.attention import CONTROL, SIMILARITY
from lib.measures.rows import CLEAN, by_severity
from lib.shifts.corruptions import SEVERITIES

ALONG, DISTANCE = "error along severity", "image distance"


RAW, COST, FADED, CONTRAST = "raw error", "raw cost", "faded error", "contrast error"


NORMALISED = "normalised error"  # RAW less COST


BALANCED, RELATIVE = "balanced error", "relative error"


SIDE = 32  # px: the images that the CIFAR-10 table is for


# By how many points brightness at severity 1, nearly the clean image, exceeds the clean error for the self-supervised
# ResNet-50s of Chhipa et al. (arXiv 2308.02525): the errors per severity in their repository less the clean errors that
# they quote. `results/papers` has means over severities only.
BRIGHTNESS_EXCESS = {
    "barlow_twins": 11.00, "byol": 11.35, "simclr": 9.83, "simsiam": 11.56, "swav": 8.03, "dino": 10.71,
}  # fmt: skip


# A mean over methods has no method's look.
MEAN: dict[str, object] = {"color": "#7A3E9D", "marker": "o", "linestyle": "-"}


GREY = "#808080"


SHADES = "YlGnBu"  # of severities: the severer, the darker


Row = tuple[float, ...]


Amounts = Sequence[float]


def pooled(rows: pd.DataFrame, metric: str, methods: Sequence[str]) -> pd.DataFrame:
    """The mean of `metric` over `methods`, with its interval over seeds and images, for each (shift, severity).

    The severity of clean images is 0; means over severities are left out.

    Only seeds that all methods have count.
    """
    every = by_severity(rows[rows["metric"] == metric])
    chosen = every[every["method"].isin(methods)]
    cell = ["shift", "severity", "seed"]
    if chosen.duplicated([*cell, "method"]).any():
        raise BadInput(
            f"rows hold one {metric!r} for each method, seed, shift and severity, of one encoder; not several"
        )
    complete = chosen.pivot(index=cell, columns="method", values="value").dropna().reset_index()
    of_all = every.merge(complete[cell], on=cell)  # the other methods lend their variances
    seeds = complete.groupby(["shift", "severity"])["seed"].nunique()
    means = {
        (shift, severity): mean_of(
            [of_cell(of_all, {"shift": shift, "severity": severity, "method": method}) for method in methods]
        )
        for shift, severity in seeds.index
    }
    return as_table(estimates(means), cell[:2]).assign(seeds=seeds.to_numpy())


def learners_of(rows: pd.DataFrame, metric: str) -> list[str]:
    """The self-supervised methods that have `metric`; a grid of references alone is described as well."""
    having = rows[rows["metric"] == metric]
    learners = present(having) or list(having["method"].unique())
    if not learners:
        raise BadInput(f"these rows hold no method with the metric {metric!r}")
    return learners


def kind(rows: pd.DataFrame, metric: str) -> str:
    return "self-supervised methods" if present(rows[rows["metric"] == metric]) else "methods"


def _has_reference(rows: pd.DataFrame, metric: str) -> bool:
    """Whether the supervised method stands beside the self-supervised ones."""
    having = rows[rows["metric"] == metric]
    return bool(present(having)) and "supervised" in set(having["method"])


def mean_lines(rows: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """Label -> `pooled` table: the self-supervised methods' mean, and the supervised reference where it is there."""
    learners = learners_of(rows, metric)
    words = kind(rows, metric).removesuffix(" methods").capitalize()
    found = {f"{words} (mean of {len(learners)})": pooled(rows, metric, learners)}
    if _has_reference(rows, metric):
        found[title("supervised")] = pooled(rows, metric, ["supervised"])
    return found


def named(rows: pd.DataFrame, metric: str) -> str:
    """What `_lines` holds, in words for a caption."""
    methods = listed([title(method) for method in learners_of(rows, metric)])
    reference = ", and the supervised reference" if _has_reference(rows, metric) else ""
    return f"the mean over the {kind(rows, metric)} ({methods}){reference}"


def line_look(label: str) -> dict[str, object]:
    return look("supervised") if label == title("supervised") else MEAN


def draw(axes: Axes, line: pd.DataFrame, label: str, own: dict[str, str]) -> None:
    """A line with its band; markers stand at whole severities."""
    whole = (line["severity"] % 1 == 0).tolist()
    axes.plot(line["severity"], line["mean"], label=label, markersize=4.5, linewidth=1.6, markevery=whole, **own)
    axes.fill_between(line["severity"], line["low"], line["high"], color=own["color"], alpha=0.15, lw=0)


def legend(drawing: Drawing, panels: Iterable[Axes], columns: int) -> None:
    """One legend above all panels, which make room for it."""
    entries = [entry for axes in panels for entry in zip(*axes.get_legend_handles_labels(), strict=True)]
    drawing.legend(*zip(*entries, strict=True), loc="outside upper center", ncols=columns, frameon=False,
                   columnspacing=1, handletextpad=0.5)  # fmt: skip


def corrupted_by(rows: pd.DataFrame, metric: str) -> list[str]:
    """The corruptions that have `metric`, in the order of the rows."""
    shifts = dict.fromkeys(rows.loc[rows["metric"] == metric, "shift"])
    return [shift for shift in shifts if shift != CLEAN]


def range(values: Iterable[float]) -> str:
    """The range of some numbers in words: "8.0 to 11.6", or "8.0" where they agree."""
    values = list(values)
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


# Attention


def attention_by_severity(rows: pd.DataFrame, scope: str) -> Figure:
    """A panel a corruption: how alike attention maps of a clean and a corrupted image are, a line a method.

    `rows` have the metrics of `lib.measures.attention`.
    """
    table = needed(summary(by_severity(rows), SIMILARITY, "severity"), "similarities of attention maps")
    control = float(summary(rows, CONTROL)["mean"].mean())
    names = corrupted_by(rows, SIMILARITY)
    use_style()
    height = math.ceil(len(names) / 2)
    drawing, panels = plt.subplots(height, 2, figsize=(5.2, 2.2 * height + 1.4), sharex=True, sharey=True,
                                   layout="constrained", squeeze=False)  # fmt: skip
    lowest = np.nanmin([*table[["mean", "low"]].to_numpy().ravel(), control])
    for axes, name in zip(panels.flat, names, strict=False):
        for method, line in table[table["shift"] == name].groupby("method", sort=False):
            draw(axes, line, title(method), look(method))
        axes.axhline(control, color=GREY, linestyle=(0, (5, 3)), linewidth=1.6, label="two different images")
        axes.set(title=spaced(name), ylim=(min(0, lowest - 2), 102), xticks=SEVERITIES)
        axes.tick_params(labelsize=9.5, pad=1)
    if len(names) % 2:
        panels.flat[-1].set_axis_off()
        panels.flat[-3].tick_params(labelbottom=True)  # the lowest of its column
    legend(drawing, [panels[0, 0]], 3)
    drawing.supxlabel("severity", fontsize=11)
    drawing.supylabel("similarity of attention maps (%)", fontsize=11)
    strongest = table[table["severity"] == SEVERITIES[-1]].set_index(["method", "shift"])["mean"]
    return Figure(
        drawing,
        name="fig-attention-shift",
        caption="How alike are the attention maps of a clean and of a corrupted image: 100 times their Pearson "
        "correlation, averaged over images. Bands are 95 % intervals over seeds and images. The broken grey line is "
        f"that of two different clean images, averaged over methods ({control:.0f} %). {scope}",
        alt=f"Line charts of the similarity of attention maps against severity 1 to 5 for {len(names)} corruptions. "
        "Mean over the methods at severity 5: "
        + ", ".join(f"{spaced(name)} {strongest.xs(name, level='shift').mean():.0f} percent" for name in names)
        + f". Two different images: {control:.0f} percent.",
        data=table.assign(method=table["method"].map(title)),
    )
