"""Robustness beyond the error curve: where points are lost, how much is explained by clean accuracy, calibration,
whether the order of methods depends on the summary, and convolution beside attention.

Rows are those of one encoder, except for `cnn_against_transformer` and `transformer_table`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from scipy import stats

from lib.chapters.severity.errors import curves, draw_lines, readable
from lib.chapters.severity.published import rankings
from lib.contrasts import estimates, method_cell, of_two, picked, present
from lib.effective import above_the_others, accuracies, baseline_line, heights, on_line
from lib.errors import BadInput, one_of
from lib.figures.figure import Figure
from lib.figures.levels import AT_ONCE, needed
from lib.figures.marks import logit_axes, logit_span
from lib.figures.matrix import draw_matrix
from lib.figures.prose import by_verdict, listed, number
from lib.figures.ranks import rank_chart
from lib.figures.style import label_ends, look, settle, spaced, title, use_style
from lib.figures.tables import ranking
from lib.measures import Interval, read_together
from lib.measures.calibration import BINS
from lib.measures.corruption_error import ALL, DEBIASED, held
from lib.measures.rows import CLEAN, Rows, overall
from lib.shifts.corruptions import CORRUPTIONS, EXTRA, FAMILY, SEVERITIES
from lib.verdicts import MARGIN, no_effect

RANKED = {  # summary: (metric, shift, level) of its rows; of each, the lowest is the best
    "clean error": ("error", CLEAN, None),
    "CE": ("error", ALL, None),
    "rCE": ("relative error", ALL, None),
    "error at severity 5": ("error", ALL, SEVERITIES[-1]),
    "calibration error": ("calibration error", ALL, None),
    "natural shift": ("balanced error", "cifar10-shift", None),
}


TAU = "Kendall's tau"


BIAS = {  # calibration metric -> what a caption says of its bias
    DEBIASED: "What chance adds to the squares where images are few is subtracted. ",
    "calibration error": "It is biased upwards where images are few: by 4 points for a calibrated probe and 1,000 "
    "images, so that only large differences count. ",
}


FAMILIES = {"ResNet": "resnet", "ViT": "vit"}  # how the names of their encoders begin


FAMILY_LOOKS = {
    "ResNet": {"linestyle": "-", "marker": "o"},
    "ViT": {"linestyle": (0, (4, 2)), "marker": "s", "markerfacecolor": "white"},
}


TRANSFORMER_COLUMNS = (
    "method", "encoder", "clean error (%)", "mean corruption error CE (%)", "relative error rCE (points)",
)  # fmt: skip


def error_heat_map(rows: Rows, scope: str) -> Figure:
    """A line a corruption, a column a method: percentage points lost from clean images, averaged over severities.

    Numbers and colours are rounded to whole points. `scope` says in words what the rows are, for the caption.
    """
    lost = _points_lost(rows)
    whole = lost.round().astype(int)
    use_style()
    drawing, axes = plt.subplots(figsize=(4.6, 5.6))
    groups = whole.groupby([FAMILY[name] for name in whole.index], sort=False).groups
    draw_matrix(axes, whole, [spaced(name) for name in whole.index], [title(method) for method in whole], groups)
    means = lost.mean(axis=1)
    gains = int((whole < 0).to_numpy().sum())
    marked = f". Blue and bold: {gains} of {whole.size} cells, where the error falls by more than half a point"
    marked *= gains > 0
    data = lost.rename(columns=title).rename_axis("corruption").reset_index()
    data.insert(1, "group", data["corruption"].map(FAMILY))
    return Figure(
        drawing,
        name="fig-heat-map",
        caption="What corruptions cost: the error averaged over severities less the clean error, in percentage points; "
        f"the darker, the more{marked}. Below the last line are the {len(EXTRA)} corruptions that the benchmark's "
        f"authors held back. {scope}",
        alt=f"Table of {len(whole)} corruptions by {whole.shape[1]} methods, coloured by the points lost from clean "
        f"images. Averaged over the methods, a corruption costs {number(means.min())} to {_points(means.max())}. The "
        "largest number of each column: "
        + "; ".join(f"{title(name)} {spaced(own.idxmax())} ({round(own.max())})" for name, own in lost.items())
        + ".",
        data=data,
    )


def _points_lost(rows: Rows) -> Rows:
    """(corruptions, methods): mean over seeds of the error averaged over severities less the clean one, in points.

    Of the corruptions that rows hold: published ones may be older than a corruption.
    """
    errors = needed(overall(rows[rows["metric"] == "error"]), "errors of corrupted images")
    means = errors.groupby(["shift", "method"], sort=False)["value"].mean().unstack()
    return means.loc[held(errors)] - means.loc[CLEAN]


def _points(value: float) -> str:
    return f"{round(value)} {'point' if round(value) == 1 else 'points'}"


def _runs(rows: Rows) -> tuple[Rows, tuple[float, float]]:
    """One line a run, (method, seed), of `above_the_others`, with accuracies in percent; and the line through all runs.

    The standard error is over the images, as if clean and corrupted ones were different images, which errs on the wide
    side.
    """
    errors = overall(rows[rows["metric"] == "error"]).set_index(["method", "seed"])
    clean, corrupted = (errors[errors["shift"] == shift] for shift in (CLEAN, ALL))
    runs = pd.DataFrame(
        {
            "clean": 100 - clean["value"],
            "corrupted": 100 - corrupted["value"],
            "clean standard error": clean["standard_error"],
            "corrupted standard error": corrupted["standard_error"],
            **({"images": clean["images"]} if "images" in clean else {}),
        },
        index=clean.index,  # in the order of the rows
    )
    line = baseline_line(runs["clean"], runs["corrupted"])
    return above_the_others(runs, list(dict.fromkeys(runs.index.get_level_values("method")))), line


def _by_method(runs: Rows) -> dict[str, dict[str, Interval]]:
    """Of each method, the most robust first, the three numbers of `_runs` over seeds and images."""
    numbers = {name: accuracies(runs, name) for name in ("clean", "corrupted")} | {"above line": heights(runs)}
    found = {method: {name: own[method] for name, own in numbers.items()} for method in numbers["above line"]}
    return dict(sorted(found.items(), key=lambda item: -item[1]["above line"].mean))


def effective_robustness_table(rows: Rows) -> Rows:
    """One line a method, the most robust first: accuracies, and effective robustness, with intervals.

    Effective robustness is the corrupted accuracy less what the line of `baseline_line`, fitted to all other methods in
    `rows`, predicts from the clean one, in percentage points (rho of Taori et al.). Intervals are over seeds and
    images and hold the line's own error: see `above_the_others`. With two other methods it is unknown, and so is the
    interval.
    """
    runs, _ = _runs(rows)
    return pd.DataFrame(
        {
            "method": title(method),
            "clean accuracy (%)": str(own["clean"]),
            "corrupted accuracy (%)": str(own["corrupted"]),
            "effective robustness (points)": str(own["above line"]),
        }
        for method, own in _by_method(runs).items()
    )


def effective_robustness(rows: Rows, scope: str) -> Figure:
    """A point a run: accuracy over all corruptions against clean accuracy on logit axes, and the line through them."""
    runs, line = _runs(rows)
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 5.2), layout="constrained")
    spans = [logit_span(runs[name]) for name in ("clean", "corrupted")]
    for method, own in runs.groupby("method", sort=False):
        axes.plot(own["clean"], own["corrupted"], look(method)["marker"], color=look(method)["color"], markersize=6,
                  alpha=0.9, label=title(method))  # fmt: skip
    along = np.linspace(*spans[0], 100)
    axes.plot(along, on_line(along, line), color="black", linewidth=1.4, zorder=1, label="fitted line")
    axes.plot(along, along, color="#777777", linewidth=1.2, linestyle=(0, (5, 3)), zorder=1, label="nothing lost")
    logit_axes(axes, *spans)
    axes.set(xlabel="accuracy on clean images (%)", ylabel="accuracy over all corruptions (%)")
    drawing.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=10, columnspacing=1, handletextpad=0.4,
                   handlelength=1.6)  # fmt: skip
    settle(drawing)
    return Figure(
        drawing,
        name="fig-effective-robustness",
        caption=f"Accuracy averaged over the {len(CORRUPTIONS)} corruptions and five severities against accuracy on "
        f"clean images, a point a run, on logit axes. Full line: least squares on all {len(runs)} "
        f"runs, with slope {line[0]:.2f}{_slope_without_control(runs)}. Broken line: as many right as on clean images. "
        f"{scope}",
        notes="Axes are as in Taori et al. 2020, and the line is fitted to logits. Effective robustness is a method's "
        "height in points above such a line through the other methods alone, and says how it stands among those here "
        "and nothing about others.",
        alt=f"Scatter chart of accuracy on corrupted against accuracy on clean images for {len(runs)} runs, with a "
        f"line of slope {line[0]:.2f} on logit axes. Mean height above the line of the other methods in points: "
        + "; ".join(
            f"{title(method)} {number(own['above line'].mean, 1, plus=True)}"
            for method, own in _by_method(runs).items()
        )
        + ".",
        data=readable(runs[["clean", "corrupted", "above line"]].reset_index()).rename(
            columns={
                "clean": "clean accuracy",
                "corrupted": "corrupted accuracy",
                "above line": "points above others' line",
            }
        ),
    )


def _slope_without_control(runs: Rows) -> str:
    """The control lies far from the trained methods, where a point turns a line most: its slope without it."""
    trained = runs.drop(index="random", level="method", errors="ignore")
    if len(trained) in (0, len(runs)) or trained["clean"].nunique() < 2:
        return ""
    return f" ({baseline_line(trained['clean'], trained['corrupted'])[0]:.2f} without random weights)"


def calibration_metric(rows: Rows) -> str:
    """The calibration error without the bias of few images; the one with it in rows that are older."""
    return DEBIASED if (rows["metric"] == DEBIASED).any() else "calibration error"


def calibration_by_severity(rows: Rows, scope: str) -> Figure:
    """One line a method: the calibration error, from clean images to the mean of all corruptions at 5.

    Without the bias of few images where rows have it; else the expected one, of whose bias the caption tells.
    """
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 4.4))
    metric = calibration_metric(rows)
    what = "root mean square calibration error" if metric == DEBIASED else "expected calibration error"
    table = curves(rows, ALL, metric)
    draw_lines(axes, table)
    top = 1.08 * table[["mean", "high"]].max(axis=None)
    ends = [(own["mean"].iloc[-1], title(m), look(m)["color"]) for m, own in table.groupby("method", sort=False)]
    label_ends(axes, ends, SEVERITIES[-1], gap=0.05 * top)
    axes.set(xlabel="severity (0: clean)", ylabel=f"{what} (%)", ylim=(0, top), xlim=(-0.15, 5.1))
    strongest = table[table["severity"] == SEVERITIES[-1]].sort_values("mean")
    clean = table[table["severity"] == 0].set_index("method")["mean"]
    return Figure(
        drawing,
        name="fig-calibration",
        caption=f"{what.capitalize()} of the probe ({BINS} bins of confidence) against severity: of clean "
        f"images, then the mean over the {len(CORRUPTIONS)} corruptions, each with bins of its own. Bands are "
        f"95 % intervals over seeds and images. {scope}",
        notes=BIAS[metric],
        alt=f"Line chart of the probe's {what} against severity 0 to 5. "
        + "; ".join(f"{title(m)} goes from {clean[m]:.0f} to {e:.0f} percent"
                    for m, e in zip(strongest["method"], strongest["mean"], strict=True))
        + ".",
        data=readable(table),
    )  # fmt: skip


def rank_table(rows: Rows, methods: Sequence[str]) -> Rows:
    """One line a method of `methods`: its rank among them (1: lowest) by each summary of `RANKED` that rows have.

    Ranks are those of means over seeds. Raises BadInput for a method that is not in `rows`.
    """
    ranks = rankings(_scores(rows, methods))
    ranks.insert(0, "method", [title(method) for method in ranks.index])
    return ranks.reset_index(drop=True)


def _scores(rows: Rows, methods: Sequence[str]) -> Rows:
    """(methods, summaries): means over seeds. A summary that one of the methods lacks is left out."""
    for method in methods:
        one_of(method, dict.fromkeys(rows["method"]), "method of these rows")
    ranked = RANKED | {"calibration error": (calibration_metric(rows), ALL, None)}
    found = {name: picked(rows, _cell(cell)).groupby("method")["value"].mean() for name, cell in ranked.items()}
    table = pd.DataFrame({name: means.reindex(list(methods)).to_numpy() for name, means in found.items()})
    return table.set_axis(list(methods)).dropna(axis="columns")


def _cell(ranked: tuple[str, str, int | None]) -> dict[str, object]:
    return dict(zip(("metric", "shift", "level"), ranked, strict=True))


def rank_agreement(rows: Rows) -> Rows:
    """One line a pair of summaries, the least agreeing first: Kendall's tau of the self-supervised methods' means.

    Tau is 1 where two summaries put the methods in the same order and -1 where in opposite ones. Fewer than two methods
    have no order: no lines.
    """
    methods = present(rows)
    scores = _scores(rows, methods)
    pairs = combinations(scores, 2) if len(methods) > 1 else ()
    lines = [(a, b, float(stats.kendalltau(scores[a], scores[b]).statistic)) for a, b in pairs]
    table = pd.DataFrame(lines, columns=["summary", "other summary", TAU])
    return table.sort_values(TAU, kind="stable", ignore_index=True)


def rank_sentence(rows: Rows) -> str:
    """Between what any two summaries' agreement about the order of the self-supervised methods lies; of means."""
    table = rank_agreement(rows)
    if len(table) < 2:
        return "These rows have too few methods without labels, or too few summaries, to compare orders."
    tau = table[TAU]
    least, most = (table[np.isclose(tau, end)] for end in (tau.min(), tau.max()))
    if len(least) == len(table):
        return f"All summaries agree equally about the order of the methods (Kendall's tau {_tau(least)})."
    return (
        f"Over {len(table)} pairs of summaries, Kendall's tau of the order of the {len(present(rows))} methods without "
        f"labels, by their means, lies between {_tau(least)} ({_pair(least)}{_others(least)}) and {_tau(most)} "
        f"({_pair(most)}{_others(most)})."
    )


def _pair(pairs: Rows) -> str:
    return f"{pairs['summary'].iloc[0]} and {pairs['other summary'].iloc[0]}"


def _tau(pairs: Rows) -> str:
    return number(pairs[TAU].iloc[0], 2)


def _others(pairs: Rows) -> str:
    others = len(pairs) - 1
    return f"; so {'has 1 other pair' if others == 1 else f'have {others} other pairs'}" if others else ""


def rank_stability(rows: Rows, scope: str) -> Figure | None:
    """A line a self-supervised method: its rank by each summary of `RANKED` that rows have; None for fewer than two."""
    methods = present(rows)
    if len(methods) < 2:
        return None
    scores = _scores(rows, methods)
    ranks = rankings(scores)
    titles, looks = {method: title(method) for method in methods}, {method: look(method) for method in methods}
    drawing = rank_chart(ranks, list(ranks), titles, looks, turned=True)
    data = pd.concat([scores, ranks.rename(columns="rank by {}".format)], axis=1)
    data.insert(0, "method", [title(method) for method in methods])
    return Figure(
        drawing,
        name="fig-ranks",
        caption=f"The {len(methods)} methods without labels, ranked by {ranks.shape[1]} summaries, means over seeds; "
        f"1 is the lowest. {_told_apart(rows, scores)} {scope}",
        notes=rank_sentence(rows),
        alt=f"Chart of ranks by {listed(list(ranks))}. "
        + "; ".join(f"{title(method)}: {listed([str(rank) for rank in line])}" for method, line in ranks.iterrows())
        + ".",
        data=data,
    )


def _told_apart(rows: Rows, scores: Rows) -> str:
    """How many neighbouring ranks are more than noise."""
    pairs = {}
    for name in scores:
        cell = _cell(RANKED[name])
        order = scores[name].sort_values(kind="stable").index
        pairs |= {
            (name, worse): of_two(rows, {"method": worse, **cell}, {"method": better, **cell})
            for better, worse in pairwise(order)
        }
    apart = sum(gap.sign > 0 for gap in read_together(estimates(pairs)).values())
    return f"Neighbours that are told apart{AT_ONCE}: {apart} of {len(pairs)}."


def cnn_against_transformer(rows: Rows, scope: str) -> Figure | None:
    """A panel a method: error against severity of its ResNet (full) and its ViT (broken line).

    For the methods that `rows` hold with both; None where there are none.
    """
    encoders, methods = _pairs(rows)
    if not methods:
        return None
    use_style()
    columns = min(3, len(methods))
    lines = -(-len(methods) // columns)
    drawing, panels = plt.subplots(lines, columns, figsize=(5.2, 1.1 + 1.65 * lines), sharex=True, sharey=True,
                                   squeeze=False, layout="constrained")  # fmt: skip
    table = pd.concat(
        curves(rows[rows["encoder"] == encoder], ALL).assign(encoder=encoder) for encoder in encoders.values()
    )
    for place, (axes, method) in enumerate(zip(panels.flat, methods, strict=False)):
        for family, encoder in encoders.items():
            own = table[(table["method"] == method) & (table["encoder"] == encoder)]
            look_of = {"color": look(method)["color"], **FAMILY_LOOKS[family]}
            axes.plot(own["severity"], own["mean"], markersize=4.5, linewidth=1.5, **look_of)
            axes.fill_between(own["severity"], own["low"], own["high"], color=look_of["color"], alpha=0.15, lw=0)
        axes.set_title(title(method), fontsize=10.5)
        axes.set(ylim=(0, 100), xticks=range(6))
        axes.tick_params(labelsize=9.5, labelbottom=place + columns >= len(methods))  # the lowest of its column
    for axes in panels.flat[len(methods) :]:
        axes.set_axis_off()
    drawing.supxlabel("severity (0: clean)", fontsize=11)
    drawing.supylabel("error of the linear probe (%)", fontsize=11)
    handles = [Line2D([], [], color="#333333", markersize=4.5, linewidth=1.5, **FAMILY_LOOKS[f]) for f in encoders]
    drawing.legend(handles, list(encoders.values()), loc="outside upper center", ncols=2, frameon=False, handlelength=3)
    settle(drawing)
    return Figure(
        drawing,
        name="fig-transformer",
        caption=f"Error against severity, averaged over the {len(CORRUPTIONS)} corruptions, of {encoders['ResNet']} "
        f"(full lines) and {encoders['ViT']} (broken lines). Bands are 95 % intervals over seeds and images. "
        f"{_who_loses_less(rows, encoders, methods)} {scope}",
        alt=f"Line charts of error against severity 0 to 5, one for each of {len(methods)} methods. "
        + "; ".join(f"{title(method)}: {_ends(table, encoders, method)}" for method in methods)
        + ".",
        data=readable(table[table["method"].isin(methods)]),
    )


def _pairs(rows: Rows) -> tuple[dict[str, str], list[str]]:
    """The encoder of each of `FAMILIES`, and the methods that have both; no methods where a family is missing.

    Raises BadInput where a family has several encoders: curves would be means over them.
    """
    encoders = {}
    for family, start in FAMILIES.items():
        names = [name for name in dict.fromkeys(rows["encoder"]) if name.startswith(start)]
        if len(names) > 1:
            raise BadInput(f"one {family} is compared with an encoder of the other family, not {listed(names)}")
        if names:
            encoders[family] = names[0]
    if len(encoders) < len(FAMILIES):
        return encoders, []
    held = rows.groupby("encoder")["method"].unique()
    return encoders, [m for m in dict.fromkeys(rows["method"]) if all(m in held[name] for name in encoders.values())]


def _who_loses_less(rows: Rows, encoders: dict[str, str], methods: list[str]) -> str:
    cells = {
        method: [method_cell(method, ALL, None, "relative error") | {"encoder": encoders[f]} for f in ("ResNet", "ViT")]
        for method in methods
    }
    saved = read_together(estimates({method: of_two(rows, *own) for method, own in cells.items()}))
    fewer = "loses fewer points for"
    by: dict[str, list[str]] = {
        fewer: [],
        "more for": [],
        f"has {no_effect(MARGIN)} for": [],
        "is not told apart for": [],
    }
    for method, gap in saved.items():
        by[by_verdict(gap, *by)].append(title(method))
    told = [f"{words} {listed(own)}" for words, own in by.items() if own or words == fewer]
    return f"From clean to corrupted images the ViT {'; '.join(told)}."


def _ends(table: Rows, encoders: dict[str, str], method: str) -> str:
    means = table[table["method"] == method].set_index(["encoder", "severity"])["mean"]
    return listed([f"{f} {means[e, 0]:.0f} to {means[e, SEVERITIES[-1]]:.0f} percent" for f, e in encoders.items()])


def transformer_table(rows: Rows) -> Rows:
    """Two lines a method that `rows` hold with a ResNet and with a ViT: clean error, CE and rCE, with intervals."""
    encoders, methods = _pairs(rows)
    if not methods:
        return pd.DataFrame(columns=list(TRANSFORMER_COLUMNS))
    tables = [ranking(rows[rows["encoder"] == name], methods).assign(encoder=name) for name in encoders.values()]
    lines = pd.concat(tables).sort_index(kind="stable")  # the two of each method together
    return lines.reindex(columns=list(TRANSFORMER_COLUMNS)).reset_index(drop=True)
