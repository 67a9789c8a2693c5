"""Negatives that share an image's surface and not its meaning: how hard they are, what they change, which cue remains.

Rows are those of the study non_semantic_negatives, of one encoder and data set; accuracies are the linear probe's, in
percent. What rows lack is left out; BadInput is raised where nothing is left to draw. `scope` says in words what the
rows are, for captions.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from torch import Tensor

from lib.claims import BIASES
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.negatives_numbers import (
    ARMS,
    CUES,
    CURVES,
    ENDS,
    IN,
    KINDS,
    LIKENED,
    PACS,
    PERCENTILES,
    PLAIN,
    QUEUED,
    REFERENCES,
    SETS,
    SIMILAR,
    SINGLE_CUES,
    TEXTURES,
    alpha_gaps,
    arm_gaps,
    as_table,
    attack_levels,
    bias_correlation,
    bias_gaps,
    bias_points,
    biases,
    class_levels,
    cue_levels,
    family,
    kind_of,
    levels,
    main_systems,
    queue_levels,
    set_scores,
    similarities,
    tally,
)
from lib.figures.style import settle, use_style
from lib.figures.systems_look import kind_look, pgd_name, system_look, system_title
from lib.figures.tradeoff import CHANCE
from lib.figures.words import listed
from lib.measures import Interval
from lib.measures.published import GE_SETS, ge2021
from lib.methods import METHODS
from lib.runs.systems import NEGATIVES
from lib.shifts.transforms import image_distance

Rows = pd.DataFrame

NONE = "–"  # in a table, what was not measured
WORDS = {PLAIN: "plain", "patch": "patch negatives", "texture": "texture negatives"}
SET_WORDS = {IN: "clean", "corruptions": "corrupted", TEXTURES: "textures alone"}  # of those that have others
CONFLICTS = dict(zip(BIASES, ("conflict photographs", "conflict scenes"), strict=True))
LIKENED_WORDS = dict(zip(LIKENED, ("its other view", "a patch negative", "its texture", "another image"), strict=True))
CUE_WORDS = {  # a title, and what the severity is
    "patch_shuffle": ("shuffled", "pieces a side"),
    "low_pass": ("low-pass", "cut-off (cycles a picture)"),
    "high_pass": ("high-pass", "cut-off (cycles a picture)"),
}

# What a query is compared with has colours of its own, away from those of methods.
_LIKENED = dict(zip(LIKENED, ("#000000", "#D55E00", "#009E73", "#8A8A8A"), strict=True))
_CURVES = {
    IN: {"color": "#000000", "marker": "o", "linestyle": "-"},
    "corruptions": {"color": "#0072B2", "marker": "s", "linestyle": "--"},
    "stylised": {"color": "#E69F00", "marker": "^", "linestyle": "-."},
    PACS: {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
}
DOTTED = {"color": "#333333", "linestyle": (0, (1, 2)), "linewidth": 1.1, "zorder": 1}  # chance


# What figures share


def needed(table: Rows, what: str) -> Rows:
    if table.empty:
        raise BadInput(f"this figure needs {what}, and these rows hold none")
    return table


def _words(name: str) -> str:
    """Of a set."""
    return SET_WORDS.get(name, name)


def signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}".replace("-", "\N{MINUS SIGN}")


def data_of(table: Rows, mean: str) -> Rows:
    """The data behind a figure: titles of systems, and no ends of intervals where none is known."""
    told = table.assign(system=table["system"].map(system_title)) if "system" in table else table
    told = told if table["low"].notna().any() else told.drop(columns=["low", "high"])
    return told.rename(columns={"mean": mean})


def bars_told(table: Rows) -> str:
    return "Bars are 95 % intervals over seeds and images. " if table["low"].notna().any() else ""


def _told(table: Rows, along: str, of: str, value=signed) -> str:
    """a: 1 at x, 2 at y; b: 3 at x"""
    return "; ".join(
        f"{name}: " + ", ".join(f"{value(line['mean'])} at {line[along]:g}" for _, line in own.iterrows())
        for name, own in table.groupby(of, sort=False)
    )


def whole(value: float) -> str:
    return f"{round(value)}"  # no minus before a zero


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


# Pictures


def negative_gallery(lines: Mapping[str, Tensor], scope: str = "") -> Figure:
    """A line for each of `lines`, titles -> pictures (k, 3, S, S), uint8 or float in [0, 1]: the first of images, the
    others of what was made of them. Raises BadInput for pictures of several shapes."""
    shapes = {tuple(pictures.shape) for pictures in lines.values()}
    shape = next(iter(shapes), ())
    if len(lines) < 2 or len(shapes) > 1 or len(shape) != 4 or shape[1] != 3 or not shape[0]:
        raise BadInput(f"a gallery needs two lines or more of as many pictures, all (k, 3, S, S), not {sorted(shapes)}")
    count, (first, images) = shape[0], next(iter(lines.items()))
    use_style()
    side = 5.2 / count
    drawing, panels = plt.subplots(len(lines), count, figsize=(5.2, (side + 0.26) * len(lines)), squeeze=False)
    for line, (title, pictures) in zip(panels, lines.items(), strict=True):
        line[0].text(0, 1.06, title, transform=line[0].transAxes, ha="left", va="bottom", fontsize=10.5)
        for axes, picture in zip(line, pictures.cpu(), strict=True):
            axes.imshow(picture.permute(1, 2, 0).numpy(), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    drawing.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.06, hspace=0.4)
    table = pd.DataFrame(
        [
            (title, 100 * image_distance(images, pictures).mean().item(), _tint(images, pictures))
            for title, pictures in lines.items()
            if title != first
        ],
        columns=["picture", "pixels move (%)", "mean colour moves (%)"],
    )
    return Figure(
        drawing,
        name="fig-negatives",
        caption=f"Top: {first}. Below: {listed(list(table['picture']))}. The negatives keep colours and fine "
        f"structure, and lose what the picture shows. {scope}".strip(),
        alt=f"Contact sheet of {count} {'picture' if count == 1 else 'pictures'} a line: {listed(list(lines))}. "
        + "; ".join(
            f"{title}: pixels move by {pixels:.0f} percent of their range, the mean colour by {colour:.0f}"
            for title, pixels, colour in table.itertuples(index=False)
        )
        + ".",
        data=table,
        pixels=True,
    )


def _tint(images: Tensor, others: Tensor) -> float:
    """How far the mean colour of pictures moves: root mean square over channels, in percent of the range."""
    means = [(part.float() / (1 if part.is_floating_point() else 255)).mean((2, 3)) for part in (images, others)]
    return 100 * (means[0] - means[1]).square().mean(1).sqrt().mean().item()


# How hard negatives are


def query_similarity(rows: Rows, scope: str) -> Figure:
    """A row a system of `SIMILAR`: how alike a query is to its other view, to its negatives and to another image.

    Bands are of percentiles over images, means over seeds.
    """
    table = needed(similarities(rows), f"percentiles of the query's similarity of one of {', '.join(SIMILAR)}")
    systems = [name for name in SIMILAR if name in set(table["system"])]
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 1 + 0.85 * len(systems)), layout="constrained")
    aside = dict(zip(LIKENED, apart(len(LIKENED), 0.19), strict=True))
    for line in table.itertuples():
        height, colour = systems.index(line.system) + aside[line.pair], _LIKENED[line.pair]
        axes.hlines(height, line.p5, line.p95, color=colour, linewidth=1.2)
        axes.hlines(height, line.p25, line.p75, color=colour, linewidth=5)
        axes.plot(line.p50, height, "o", color="white", markeredgecolor=colour, markersize=5, markeredgewidth=1.4)
    borders(axes, len(systems))
    bands(axes, [_when(name, "\n") for name in systems])
    axes.set_xlabel("similarity to the query (hundredths)")
    axes.grid(axis="y", visible=False)
    legend_above(drawing, {LIKENED_WORDS[pair]: {"color": _LIKENED[pair], "linestyle": "-", "linewidth": 5}
                   for pair in LIKENED if pair in set(table["pair"])}, 2)  # fmt: skip
    columns = {f"p{percent}": f"{percent} %" for percent in PERCENTILES}
    return Figure(
        drawing,
        name="fig-similarity",
        caption="How alike the features of a view, the query, are to those of other pictures: the cosine of features "
        "less their mean, in hundredths. Thin bands: 5th to 95th percentile over images; thick ones: 25th to 75th; "
        f"dots: medians. All are means over seeds. {scope}",
        alt="Chart of bands of the similarity to the query, in hundredths. Medians, "
        + "; ".join(
            f"{_when(name)}: " + ", ".join(f"{LIKENED_WORDS[line.pair]} {whole(line.p50)}" for line in own.itertuples())
            for name, own in table.groupby("system", sort=False)
        )
        + ".",
        data=table.assign(system=table["system"].map(system_title), pair=table["pair"].map(LIKENED_WORDS)).rename(
            columns={"pair": "compared with"} | columns
        ),
    )


def _when(name: str, gap: str = " ") -> str:
    words = "before training" if name == "random" else system_title(name)
    return gap.join(textwrap.wrap(words, 12))


# Strength and queue


def alpha_curve(rows: Rows, scope: str) -> Figure:
    """A panel for patch and one for texture negatives: what alpha adds to the accuracies of plain MoCo v2, in points.

    Lines are of the sets `CURVES`; alpha 0 stands for no such negatives.
    """
    table = needed(alpha_gaps(rows), 'accuracies of "moco" and of "moco patch", "moco texture" or another alpha')
    kinds = [kind for kind in KINDS if kind in set(table["negatives"])]
    use_style()
    drawing, cells = plt.subplots(
        len(kinds), 1, figsize=(4.9, 1 + 2.4 * len(kinds)), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, kind in zip(cells.flat, kinds, strict=True):
        axes.axhline(0, color="#333333", linewidth=1, zorder=1)
        for name, aside in zip(CURVES, apart(len(CURVES), 0.06), strict=True):
            own = table[(table["negatives"] == kind) & (table["set"] == name)]
            x = own["alpha"] + aside
            dots(axes, own, x, _CURVES[name])
            axes.plot([0, *x], [0, *own["mean"]], linewidth=1.4, **(_CURVES[name] | {"marker": ""}))
        axes.set(title=WORDS[kind], ylabel="points gained")
    ticks = [0, *sorted(table["alpha"].unique())]
    cells[-1, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    cells[-1, 0].set_xlabel("alpha (0: no such negatives)")
    legend_above(drawing, {_words(name): _CURVES[name] for name in CURVES if name in set(table["set"])}, 2)
    named = table.assign(negatives=table["negatives"].map(WORDS), set=table["set"].map(_words))
    return Figure(
        drawing,
        name="fig-alpha",
        caption="What patch and texture negatives add to the accuracy of MoCo v2 on clean pictures and out of domain, "
        "in percentage points, against alpha, the factor of their similarity. "
        f"{bars_told(table)}{tally(intervals(table))} {scope}",
        alt="Charts of percentage points gained against alpha. "
        + _told(named.assign(line=named["negatives"] + ", " + named["set"]), "alpha", "line")
        + ".",
        data=data_of(named, "points gained"),
    )


def intervals(table: Rows) -> list[Interval]:
    return [Interval(*line) for line in table[ENDS].itertuples(index=False)]


def queue_curve(rows: Rows, scope: str) -> Figure:
    """Accuracy of MoCo v2, plain and with patch negatives, against the length of the queue: clean and corrupted."""
    table = needed(queue_levels(rows), 'accuracies of "moco" or "moco patch"')
    sets = [name for name in QUEUED if name in set(table["set"])]
    use_style()
    drawing, cells = plt.subplots(1, len(sets), figsize=(5.2, 3.3), squeeze=False, layout="constrained")
    ticks = sorted(table["queue"].unique())
    for axes, name in zip(cells.flat, sets, strict=True):
        for kind, aside in ((PLAIN, 2**-0.1), ("patch", 2**0.1)):
            own = table[(table["set"] == name) & (table["negatives"] == kind)]
            dots(axes, own, own["queue"] * aside, _arm_look(kind), line=True)
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
        axes.set_xlim(ticks[0] / 1.6, 1.6 * ticks[-1])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_title(_words(name))
    cells[0, 0].set_ylabel("accuracy (%)")
    drawing.supxlabel("keys in the queue", fontsize=11)
    here = [kind for kind in (PLAIN, "patch") if kind in set(table["negatives"])]
    legend_above(drawing, {WORDS[kind]: _arm_look(kind) for kind in here})
    named = table.assign(negatives=table["negatives"].map(WORDS), set=table["set"].map(_words))
    return Figure(
        drawing,
        name="fig-queue",
        caption="Accuracy of MoCo v2 against the number of keys in its queue, without and with patch negatives, on "
        f"clean and on corrupted pictures. {bars_told(table)}{scope}",
        alt="Charts of accuracy in percent against the number of keys. "
        + _told(named.assign(line=named["set"] + ", " + named["negatives"]), "queue", "line", "{:.1f}".format)
        + ".",
        data=data_of(named, "accuracy"),
    )


def _arm_look(kind: str) -> dict[str, object]:
    """Of an arm of MoCo v2."""
    return system_look("moco" if kind == PLAIN else f"moco {kind}")


# Arms and test sets


def arms_forest(rows: Rows, scope: str) -> Figure:
    """A panel a set of `SETS`: accuracy of each method with patch and texture negatives less without, in points."""
    gaps = arm_gaps(set_scores(rows))
    table = needed(
        as_table(gaps, ["system", "less", "set"]), f"accuracies of one of {', '.join(ARMS)} with negatives and without"
    )
    sets = [name for name in SETS if name in set(table["set"])]
    named = table.assign(less=table["less"].map(system_title), set=table["set"].map(_words))
    return Figure(
        _draw_forest(table, sets),
        name="fig-arms",
        caption="What patch and texture negatives add to the accuracy of a method, in percentage points, a panel a "
        f"test set. {bars_told(table)}{tally(gaps.values())} {scope}",
        alt="Charts of dots: percentage points gained by negatives, a panel a test set. "
        + "; ".join(
            f"{name}: " + ", ".join(f"{system_title(line.system)} {signed(line.mean)}" for line in own.itertuples())
            for name, own in ((_words(name), table[table["set"] == name]) for name in sets)
        )
        + ".",
        data=data_of(named, "points gained"),
    )


def _draw_forest(table: Rows, sets: Sequence[str]) -> Drawing:
    plains = [name for name in ARMS if name in set(table["less"])]
    use_style()
    columns = min(2, len(sets))
    lines = -(-len(sets) // columns)
    drawing, cells = plt.subplots(
        lines, columns, figsize=(5.2, 1 + lines * (0.5 + 0.3 * len(plains))), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    kinds = table["system"].map(kind_of)
    for place, (axes, name) in enumerate(zip(cells.flat, sets, strict=False)):
        axes.axvline(0, color="#333333", linewidth=1, zorder=1)
        for kind, aside in zip(KINDS, apart(len(KINDS), 0.34), strict=True):
            for _, own in table[(table["set"] == name) & (kinds == kind)].groupby("less"):
                heights = own["less"].map(plains.index) + aside
                dots(axes, own, heights, system_look(own["system"].iloc[0]), flat=True)
        axes.set_title(_words(name), fontsize=10.5)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.tick_params(labelsize=9.5, pad=1, labelbottom=place + columns >= len(sets))
    bands(cells[0, 0], [system_title(name) for name in plains])
    for axes in cells.flat[len(sets) :]:
        axes.set_axis_off()
    drawing.supxlabel("points gained over the plain method", fontsize=11)
    legend_above(drawing, {WORDS[kind]: dot_of(kind_look(kind)) for kind in KINDS if (kinds == kind).any()})
    return drawing


def arms_table(rows: Rows) -> Rows:
    """A line a system but for those of another alpha or queue: accuracies in percent on `SETS`, with intervals."""
    table = levels(set_scores(rows), ["system", "set"])
    table = needed(table[table["system"].isin(main_systems(rows))], f"accuracies of systems like {', '.join(ARMS)}")
    found = dict(zip(zip(table["system"], table["set"], strict=True), intervals(table), strict=True))
    systems = [name for name in main_systems(rows) if name in set(table["system"])]
    sets = [name for name in SETS if name in set(table["set"])]
    return pd.DataFrame(
        {"system": system_title(system)}
        | {f"{_words(name)} (%)": str(found.get((system, name), NONE)) for name in sets}
        for system in systems
    )


# Shape and texture


def shape_bias_figure(rows: Rows, scope: str) -> Figure:
    """A panel a set of conflicts, a dot a system: of decisions for shape or for texture, the percentage for shape."""
    table = biases(rows)
    table = needed(table[table["system"].isin(main_systems(rows))], f"a shape bias of systems like {', '.join(ARMS)}")
    systems = [name for name in main_systems(rows) if name in set(table["system"])]
    sets = [name for name in BIASES if name in set(table["conflicts"])]
    use_style()
    drawing, cells = plt.subplots(
        1, len(sets), figsize=(5.2, 1 + 0.3 * len(systems)), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, name in zip(cells.flat, sets, strict=True):
        for system, own in table[table["conflicts"] == name].groupby("system"):
            dots(axes, own, [systems.index(system)], system_look(system) | {"markersize": 6}, flat=True)
            if system == "random":
                axes.axvline(own["mean"].iloc[0], color=system_look("random")["color"], linestyle=":", zorder=1)
        axes.set_title(CONFLICTS[name], fontsize=10.5)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="y", visible=False)
    bands(cells[0, 0], [system_title(name) for name in systems])
    drawing.supxlabel("shape bias (%)", fontsize=11)
    settle(drawing)
    gaps = bias_gaps(rows)
    return Figure(
        drawing,
        name="fig-shape-bias",
        caption="Shape bias: where shape and texture are at odds, the percentage for shape among the decisions for one "
        f"of the two. {'Dotted: random weights. ' * ('random' in systems)}{bars_told(table)}"
        f"{f'What negatives add, paired: {lower(tally(gaps.values()))} ' if gaps else ''}{scope}",
        alt="Charts of dots: shape bias in percent. "
        + "; ".join(
            f"{CONFLICTS[name]}: "
            + ", ".join(f"{system_title(line.system)} {line.mean:.0f}" for line in own.itertuples())
            for name, own in table.groupby("conflicts", sort=False)
        )
        + ".",
        data=data_of(table.assign(conflicts=table["conflicts"].map(CONFLICTS)), "shape bias"),
    )


def lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def bias_against_robustness(rows: Rows, scope: str) -> Figure:
    """A panel a set of conflicts, a dot a trained system: mean corruption error against shape bias."""
    panels = bias_points(rows)
    if not panels:
        raise BadInput("this figure needs trained systems with a shape bias and a mean corruption error")
    use_style()
    drawing, cells = plt.subplots(
        1, len(panels), figsize=(5.2 if len(panels) > 1 else 3.8, 4.1), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    told = {name: rho(bias_correlation(points)) for name, points in panels.items()}
    for axes, (name, points) in zip(cells.flat, panels.items(), strict=True):
        for system, point in points.iterrows():
            size = 4.5 if NEGATIVES[system].role == "sweep" else 7.5
            axes.plot(point["bias"], point["error"], alpha=0.9, **system_look(system) | {"markersize": size})
        axes.set_title(f"{CONFLICTS[name]}\n{told[name]}", fontsize=10.5)
        axes.locator_params(nbins=5)
        axes.margins(0.1)
    cells[0, 0].set_ylabel("mean corruption error (%)")
    drawing.supxlabel("shape bias (%)", fontsize=11)
    legend_above(drawing, _looks(dict.fromkeys(system for points in panels.values() for system in points.index)))
    table = pd.concat([own.assign(conflicts=CONFLICTS[name]) for name, own in panels.items()]).rename_axis("system")
    table = table.reset_index().rename(columns={"bias": "shape bias", "error": "mean corruption error"})
    count = max(map(len, panels.values()))
    return Figure(
        drawing,
        name="fig-bias-robustness",
        caption="Mean corruption error against shape bias, a dot a trained system, means over seeds; small dots differ "
        f"from a large one in alpha or queue alone. Above: Spearman's ρ over {count} systems, with its 95 % bootstrap "
        "interval over systems; below zero, those that decide more by shape err less. Systems differ in more than this "
        f"bias, and many are relatives. {scope}",
        alt="Scatter charts of mean corruption error against shape bias, in percent. "
        + "; ".join(
            f"{CONFLICTS[name]}, {told[name]}: "
            + ", ".join(f"{system_title(own.Index)} {own.error:.0f} at {own.bias:.0f}" for own in points.itertuples())
            for name, points in panels.items()
        )
        + ".",
        data=table.assign(system=table["system"].map(system_title)),
    )


def rho(found: Interval | None) -> str:
    if found is None:
        return "too few for a ρ"
    mean, low, high = (f"{round(value, 2) + 0.0:.2f}" for value in (found.mean, found.low, found.high))
    return f"ρ {mean} [{low}, {high}]".replace("-", "\N{MINUS SIGN}")


def _looks(systems: Iterable[str]) -> dict[str, dict[str, object]]:
    """A legend of colours, of markers where there are several methods, and of references, of `systems`."""
    systems = list(systems)
    arms = [name for name in systems if name not in REFERENCES]
    kinds, methods = ({of(name) for name in arms} for of in (kind_of, lambda name: NEGATIVES[name].method))
    looks = {WORDS[kind]: dot_of(kind_look(kind)) for kind in (PLAIN, *KINDS) if kind in kinds}
    if len(methods) > 1:
        plain = {NEGATIVES[name].method: name for name in ARMS}
        looks |= {METHODS[method].title: dot_of(system_look(plain[method])) for method in plain if method in methods}
    return looks | {system_title(name): dot_of(system_look(name)) for name in REFERENCES if name in systems}


def texture_reliance(rows: Rows, scope: str) -> Figure:
    """A band a class: accuracy on textures alone, and on clean images, of one method, plain and with negatives, beside
    the supervised reference."""
    table = needed(class_levels(rows), "accuracies of single classes on textures")
    classes, systems = list(table["class"].unique()), [name for name in family(rows) if name in set(table["system"])]
    pictures = {TEXTURES: "textures alone", IN: "clean images"}
    pictures = {name: words for name, words in pictures.items() if name in set(table["pictures"])}
    use_style()
    drawing, cells = plt.subplots(
        1, len(pictures), figsize=(5.2, 1.2 + 0.46 * len(classes)), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (name, words) in zip(cells.flat, pictures.items(), strict=True):
        for system, aside in zip(systems, apart(len(systems), 0.2), strict=True):
            own = table[(table["system"] == system) & (table["pictures"] == name)]
            look = system_look(system) | {"markersize": 4.5}
            dots(axes, own, own["class"].map(classes.index) + aside, look, flat=True)
        axes.axvline(100 / len(classes), **DOTTED)
        borders(axes, len(classes))
        axes.set_title(words)
        axes.grid(axis="y", visible=False)
    bands(cells[0, 0], classes)
    drawing.supxlabel("accuracy (%)", fontsize=11)
    legend_above(drawing, {system_title(name): dot_of(system_look(name)) for name in systems}, 2)
    on = table[table["pictures"] == TEXTURES]
    return Figure(
        drawing,
        name="fig-textures",
        caption="Accuracy by class, on textures that were made of test images and on the images themselves; the class "
        f"that is told best by its texture on average stands at the top. Dotted: chance. {bars_told(table)}{scope}",
        alt="Charts of dots: accuracy in percent by class, on textures and on clean images. On textures, of "
        f"{listed([system_title(name) for name in systems])}: "
        + "; ".join(
            f"{name} " + ", ".join(f"{mean:.0f}" for mean in own["mean"])
            for name, own in on.groupby("class", sort=False)
        )
        + f". Chance is {100 / len(classes):.0f}.",
        data=data_of(table, "accuracy"),
    )


def cue_curves(rows: Rows, scope: str) -> Figure:
    """Accuracy on versions of the test images that keep or lose a cue: a panel each for `CUES`, and one for the others.

    Drawn are the references and one method, plain and with negatives; the data have all main systems.
    """
    table = cue_levels(rows)
    systems = [name for name in family(rows) if name in set(table["system"])]
    shown = table[table["system"].isin(systems)]
    changed = set(needed(shown[shown["severity"] != 1], "accuracies on changed test images")["version"])
    curves, singles = ([name for name in names if name in changed] for names in (CUES, SINGLE_CUES))
    chance = [CHANCE[name] for name in rows["dataset"].unique() if name in CHANCE]
    count = len(curves) + bool(singles)
    columns = min(2, count)
    use_style()
    drawing, cells = plt.subplots(
        -(-count // columns), columns, figsize=(5.2, 1 + 2.4 * -(-count // columns)), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, name in zip(cells.flat, curves, strict=False):
        own = shown[shown["version"] == name]
        severities = sorted(own["severity"].unique())
        _draw_versions(axes, own, own["severity"].map(severities.index), systems, line=True)
        axes.set_xticks(range(len(severities)), [f"{severity:g}" for severity in severities])
        axes.set(title=CUE_WORDS[name][0], xlabel=CUE_WORDS[name][1])
    if singles:
        axes, own = cells.flat[len(curves)], shown[shown["version"].isin(singles)]
        _draw_versions(axes, own, own["version"].map(singles.index), systems)
        axes.set_xticks(range(len(singles)), singles, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_title("other versions")
    for axes in cells.flat[:count]:
        axes.tick_params(labelsize=9.5, pad=1)
        axes.xaxis.label.set_fontsize(10)
        for value in chance:
            axes.axhline(value, **DOTTED)
    for axes in cells.flat[count:]:
        axes.set_axis_off()
    cells[0, 0].set_ylim(bottom=0)
    drawing.supylabel("accuracy (%)", fontsize=11)
    legend_above(drawing, {system_title(name): system_look(name) for name in systems}, 2)
    named = table.assign(version=[CUE_WORDS[name][0] if name in CUES else name for name in table["version"]])
    return Figure(
        drawing,
        name="fig-cues",
        caption="Accuracy, of a probe that was fitted on whole images, on versions of the test images: shuffled in "
        "squares (1: whole), with slow or with fast changes across the picture alone, as silhouettes or edges, "
        f"in other colours or styles, and on the negatives themselves. {bars_told(shown)}"
        + "".join(f"Dotted: chance, {value:.0f} %. " for value in chance)
        + scope,
        alt="Charts of accuracy in percent on versions of the test images. "
        + "; ".join(
            f"{system_title(system)}: "
            + ", ".join(
                f"{version} " + " to ".join(dict.fromkeys(whole(its["mean"].iloc[end]) for end in (0, -1)))
                for version, its in own.groupby("version", sort=False)
            )
            for system, own in named[named["system"].isin(systems)].groupby("system", sort=False)
        )
        + ".",
        data=data_of(named, "accuracy"),
    )


def _draw_versions(axes: Axes, table: Rows, places: pd.Series, systems: Sequence[str], line: bool = False) -> None:
    aside = dict(zip(systems, apart(len(systems), 0.08 if line else 0.13), strict=True))
    for system, own in table.groupby("system"):
        look = system_look(system) | {"markersize": 4.5, "elinewidth": 1}
        dots(axes, own, places[own.index] + aside[system], look, line=line)


# Under attack


def negatives_under_attack(rows: Rows, scope: str) -> Figure:
    """A panel a method: accuracy under PGD against epsilon, with and without negatives, beside the references."""
    table = attack_levels(rows)
    attacked = table[~table["system"].isin(REFERENCES) & (table["epsilon"] > 0)]
    needed(attacked, f"accuracies under PGD of one of {', '.join(ARMS)}")
    here = set(table["system"])
    panels = {name: own for name, arms in ARMS.items() if (own := [arm for arm in (name, *arms) if arm in here])}
    references = [name for name in REFERENCES if name in here]
    epsilons = sorted(table["epsilon"].unique())
    use_style()
    drawing, cells = plt.subplots(
        1, len(panels), figsize=(5.2 if len(panels) > 1 else 3.6, 3.5), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, (name, arms) in zip(cells.flat, panels.items(), strict=True):
        systems = [*references, *arms]
        for system, aside in zip(systems, apart(len(systems), 0.08), strict=True):
            own = table[table["system"] == system]
            look = system_look(system) | {"markersize": 4.5, "elinewidth": 1}
            dots(axes, own, own["epsilon"].map(epsilons.index) + aside, look, line=True)
        axes.set_title(system_title(name))
        axes.set_xticks(range(len(epsilons)), [f"{epsilon:g}" for epsilon in epsilons])
    cells[0, 0].set(ylabel="accuracy (%)", ylim=(0, None))
    drawing.supxlabel("epsilon (255ths)", fontsize=11)
    kinds = {kind_of(arm) for arms in panels.values() for arm in arms}
    lines = {WORDS[kind]: kind_look(kind) for kind in (PLAIN, *KINDS) if kind in kinds}
    legend_above(drawing, lines | {system_title(name): system_look(name) for name in references})
    return Figure(
        drawing,
        name="fig-negatives-attacked",
        caption=f"Accuracy under {pgd_name(rows)} against epsilon in 255ths (0: no attack), of encoders that were "
        f"trained with negatives and without, none of them under attack. {bars_told(table)}{scope}",
        alt="Line charts of accuracy in percent under PGD against epsilon. "
        + _told(table.assign(line=table["system"].map(system_title)), "epsilon", "line", whole)
        + ".",
        data=data_of(table, "accuracy"),
    )


# The paper's table


def published_negatives_table() -> Rows:
    """The paper's table: accuracies in percent on ImageNet-100 and four sets out of domain, and what is odd in it."""
    table, names = ge2021(), ("ImageNet-100", "Corruption", "Sketch", "Stylized", "Rendition")
    return pd.DataFrame(
        {"model": line["model"], "queue": f"{line['queue']:,}"}
        | {"alpha": NONE if np.isnan(line["alpha"]) else f"{line['alpha']:g}"}
        | {
            f"{name} (%)": f"{line[column]:.2f} ± {line[f'{column}_std']:.2f}"
            for name, column in zip(names, GE_SETS, strict=True)
        }
        | {"note": line["note"]}
        for _, line in table.iterrows()
    )
