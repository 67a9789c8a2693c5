"""What encoders that look through different changes are good for: tasks, fusions, and what an invariance goes with.

Rows are those of the study of augmentations, of one encoder and one data set. An arm is a method with an augmentation,
which is "" for references; a run is an arm with a seed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from lib.cells import NEAR, WHITENED
from lib.chapters.augmentation.claims import (
    READ_OUT,
    SINGLE,
    SIZE,
    TASKS,
    fusion_gaps,
    fusion_tally,
    over_tasks,
    task_rows,
    trained_with,
)
from lib.chapters.augmentation.names import ORDER, arm, method_of, title
from lib.contrasts import difference, levels
from lib.errors import BadInput, one_of
from lib.figures.figure import Figure
from lib.figures.prose import listed, signed, written
from lib.figures.style import RECIPE_LOOK, look, settle, spaced, use_style
from lib.images.scenes import FACTORS
from lib.measures import Interval
from lib.measures.ranks import average_ranks, bootstrap_ranks, critical_difference, friedman
from lib.measures.rows import CLEAN, Rows, overall
from lib.measures.statistics import correlation
from lib.shifts.transforms import TRANSFORMS
from lib.views import AUGMENTATIONS

Arm = tuple[str, str]


# Transforms that an encoder may be invariant to, and the corruptions that do the like to an image.
MATCHES = (
    ("blur", "gaussian_blur"), ("blur", "defocus_blur"), ("brightness", "brightness"), ("contrast", "contrast"),
    ("saturation", "saturate"), ("deform", "elastic_transform"),
)  # fmt: skip


_ORDER = ("", *RECIPE_LOOK, *(name for name in AUGMENTATIONS if name not in RECIPE_LOOK))  # of augmentations


# Scores


def scores(rows: Rows) -> Rows:
    """One line a task and run: task, method, augmentation, seed, score in percent, standard_error over its images
    (and their number, where the rows have it).

    In the order of `claims.TASKS`, and only tasks that every run in `rows` has. Raises BadInput where there are
    none, and for several scores of one task and run.
    """
    found = task_rows(rows)
    if found.empty:
        raise BadInput(f"these rows hold no task that all their encoders have; tasks: {', '.join(TASKS)}")
    if found.duplicated(["task", "method", "augmentation", "seed"]).any():
        raise BadInput("rows hold one score for each task, method, augmentation and seed, of one encoder; not several")
    columns = ["task", "method", "augmentation", "seed", "score", "standard_error"]
    columns += ["images"] if "images" in found else []
    return found.rename(columns={"value": "score"})[columns].reset_index(drop=True)


def task_title(task: str) -> str:
    """How figures write a task; those that are read from scenes say so."""
    return f"scenes: {spaced(task)}" if task in FACTORS else spaced(task)


def unit(task: str) -> str:
    """What a task's percent are of."""
    return "R²" if _metric(task) == READ_OUT else "accuracy"


def _metric(task: str) -> str:
    return TASKS[task][-1]


def task_table(rows: Rows) -> Rows:
    """One line an arm: its score on each task with the interval over seeds and images, and its average rank (1: best).

    Ranks are those of means over seeds, among the arms in `rows`; with fewer than two arms or tasks there are none.
    """
    found = scores(rows)
    arms, tasks = _arms(found), list(found["task"].unique())
    named = found.rename(columns={"score": "value"}).assign(metric=found["task"].map(_metric))
    cells = levels(named, ["task", "method", "augmentation"])
    table = {"trained by": [arm(*one) for one in arms]}
    for task in tasks:
        table[f"{task_title(task)}, {unit(task)} (%)"] = [str(cells[task, *one]) for one in arms]
    if len(arms) > 1 and len(tasks) > 1:
        table["average rank"] = [f"{rank:.1f}" for rank in average_ranks(_means(found, tasks, arms))]
    return pd.DataFrame(table)


def _arms(found: Rows) -> list[Arm]:
    """The arms, methods in the order of their table and recipes in that of `_ORDER`."""
    pairs = found[["method", "augmentation"]].drop_duplicates().itertuples(index=False, name=None)
    return sorted(pairs, key=lambda pair: (ORDER.index(pair[0]), _ORDER.index(pair[1])))


def _means(found: Rows, tasks: Sequence[str], arms: Sequence[Arm]) -> np.ndarray:
    """(tasks, arms): means over seeds."""
    means = found.groupby(["task", "method", "augmentation"])["score"].mean()
    return np.array([[means[task, *one] for one in arms] for task in tasks])


# A method's recipes


def fusion_dots(rows: Rows, scope: str, method: str = "moco_v2") -> Figure:
    """A line a task: how far the recipes, the fusion and the control of size are from the default recipe, in points.

    Intervals are over seeds and images. `scope` says in words what the rows are, for the caption. Recipes that
    the rows lack are left out; raises BadInput where they hold no other than the default. The notes are of all `rows`,
    with whose variances claims and sentences are estimated as well.
    """
    own = _of_method(rows, method)
    own = own[own["augmentation"].isin(list(RECIPE_LOOK))]
    held = set(own["augmentation"])
    recipes = [recipe for recipe in RECIPE_LOOK if recipe in held]
    if "default" not in held or len(recipes) < 2:
        raise BadInput(
            f"{title(method)} is needed with the augmentation default and one of {listed(list(RECIPE_LOOK)[1:])}"
        )
    scores(own)  # refuses what cannot be compared
    found = task_rows(own)
    table = _from_default(found, recipes)
    panels = {kind: [t for t in found["task"].unique() if unit(t) == kind] for kind in ("accuracy", "R²")}
    panels = {kind: tasks for kind, tasks in panels.items() if tasks}
    use_style()
    heights = [len(tasks) for tasks in panels.values()]
    drawing, cells = plt.subplots(
        len(panels), 1, figsize=(4.9, 1.5 + 0.115 * (len(recipes) + 1) * sum(heights)), height_ratios=heights,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for axes, (kind, tasks) in zip(cells.flat, panels.items(), strict=True):
        _draw_differences(axes, table, tasks, recipes)
        axes.set_xlabel(f"{kind} less that of default (points)")
    handles, labels = cells[0, 0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, columnspacing=1,
                   handletextpad=0.3)  # fmt: skip
    settle(drawing)
    return Figure(
        drawing,
        name=f"fig-fusion-{_slug(method)}",
        caption=f"What {title(method)} encoders score beside that of the default recipe, task by task, in percentage "
        "points (accuracy, or R² where a number is read from features). Bars are 95 % intervals over seeds and "
        f"images. {scope}",
        notes=f"{_what_they_are(held)}{_near_best(task_rows(rows), method)}{_beside_size(rows, method)}",
        alt=f"Chart of dots: scores on {sum(heights)} tasks less those of the default recipe, in points. "
        + "; ".join(
            f"{task_title(task)}: "
            + ", ".join(f"{line.augmentation} {signed(line.difference)}" for line in lines.itertuples())
            for task, lines in table[table["augmentation"] != "default"].groupby("task", sort=False)
        )
        + ".",
        data=table.assign(task=table["task"].map(task_title)),
    )


def _of_method(rows: Rows, method: str) -> Rows:
    return rows[rows["method"] == one_of(method, dict.fromkeys(rows["method"]), "method of these rows")]


def _from_default(found: Rows, recipes: Sequence[str]) -> Rows:
    """One line a task and recipe: its score less that of the default recipe, with the interval of pairs."""
    lines = []
    for task in found["task"].unique():
        own = found[found["task"] == task]
        for recipe in recipes:
            gap = difference(own, {"augmentation": recipe}, {"augmentation": "default"})
            ends = (gap.low, gap.high) if recipe != "default" else (math.nan, math.nan)  # it is zero, and no estimate
            lines.append((task, recipe, gap.mean, *ends))
    return pd.DataFrame(lines, columns=["task", "augmentation", "difference", "low", "high"])


def _draw_differences(axes: plt.Axes, table: Rows, tasks: Sequence[str], recipes: Sequence[str]) -> None:
    """A band a task, from the top, and in it a dot a recipe, one below the other."""
    apart = 0.8 / len(recipes)
    axes.axvline(0, color=RECIPE_LOOK["default"]["color"], linewidth=1.2, zorder=1)
    for place, recipe in enumerate(recipes):
        line = table[table["augmentation"] == recipe].set_index("task").loc[list(tasks)]
        own = {name: value for name, value in RECIPE_LOOK[recipe].items() if name != "linestyle"}
        heights = np.arange(len(tasks)) + apart * (place - (len(recipes) - 1) / 2)
        ends = (line["difference"] - line["low"], line["high"] - line["difference"])
        axes.errorbar(line["difference"], heights, xerr=np.stack(ends), linestyle="none", markersize=5.5,
                      elinewidth=1.3, label=recipe, **own)  # fmt: skip
    for border in np.arange(1, len(tasks)) - 0.5:
        axes.axhline(border, color="#cccccc", linewidth=0.8, zorder=0)
    axes.set_yticks(range(len(tasks)), [task_title(task) for task in tasks])
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def _what_they_are(held: set[str]) -> str:
    words = {
        "fusion": f"Fusion: the features of {listed(list(SINGLE))} side by side. ",
        "three defaults": "Three defaults: those of three encoders of the default recipe, a control of the same size. ",
        "wide default": "Wide default: one encoder of the default recipe with as many features. ",
    }
    return "".join(sentence for recipe, sentence in words.items() if recipe in held)


def _near_best(found: Rows, method: str) -> str:
    if method not in trained_with(found, "fusion", *SINGLE):
        return ""
    gaps = fusion_gaps(found, method)
    near, far = fusion_tally(gaps)
    return (
        f"The fusion is shown to be at the best of its three recipes, or less than {NEAR:g} point below, on {near} of "
        f"{len(gaps)} tasks, and to be farther below on {far}. "
    )


def _beside_size(rows: Rows, method: str) -> str:
    found = over_tasks(rows)
    fusion, *controls = ({"method": method, "augmentation": name} for name in ("fusion", *SIZE))
    gaps = [
        f"less {control['augmentation']} {difference(found, fusion, control)}"
        for control in controls
        if method in trained_with(found, "fusion", control["augmentation"])
    ]
    return f"Fusion, averaged over the {found['tasks'].iloc[0]} tasks, in points: {listed(gaps)}. " if gaps else ""


def rank_dots(rows: Rows, scope: str, method: str = "moco_v2") -> Figure:
    """A dot a recipe of `method`: its rank averaged over tasks, the best at the top, and its bootstrap interval.

    The last line is the critical difference. Only seeds that all recipes have count. Raises BadInput for fewer than two
    recipes or tasks.
    """
    found = scores(_of_method(rows, method))
    arms, tasks = _arms(found), list(found["task"].unique())
    if len(arms) < 2 or len(tasks) < 2:
        raise BadInput(
            f"ranks need two augmentations of {title(method)} and two tasks, and these rows hold {len(arms)} and "
            f"{len(tasks)}"
        )
    wide = found.pivot(index="seed", columns=["task", "augmentation"], values="score")
    columns = pd.MultiIndex.from_product([tasks, [augmentation for _, augmentation in arms]])
    cube = wide[columns].dropna().to_numpy().reshape(-1, len(tasks), len(arms))
    if not len(cube):
        raise BadInput(f"ranks need a seed that all augmentations of {title(method)} have")
    means = cube.mean(axis=0)
    ranks, (_, p) = bootstrap_ranks(cube), friedman(means)
    apart = critical_difference(len(arms), len(tasks))
    order = sorted(range(len(arms)), key=lambda place: ranks[place].mean)
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 1.3 + 0.36 * len(arms)), layout="constrained")
    for height, place in enumerate(order):
        rank, own = ranks[place], _look(*arms[place])
        axes.errorbar(rank.mean, height, xerr=[[rank.mean - rank.low], [rank.high - rank.mean]], marker=own["marker"],
                      color=own["color"], markersize=7, elinewidth=1.6)  # fmt: skip
    axes.plot((1, 1 + apart), (len(arms),) * 2, color="#333333", linewidth=1.6, marker="|", markersize=8)
    words = [_recipe_title(*arms[place]) for place in order]
    axes.set_yticks(range(len(arms) + 1), [*words, "critical difference"])
    axes.set(ylim=(len(arms) + 0.5, -0.5), xlabel=f"rank averaged over {len(tasks)} tasks (1: best)")
    axes.grid(axis="y", visible=False)
    settle(drawing)
    seeds = len(cube)
    return Figure(
        drawing,
        name=f"fig-task-ranks-{_slug(method)}",
        caption=f"Ranks of the {title(method)} encoders by their scores, averaged over {len(tasks)} tasks. Bars are "
        f"95 % bootstrap intervals over tasks{' and seeds' if seeds > 1 else ''}. Two encoders differ where "
        f"their ranks are at least the critical difference of {apart:.1f} apart (Nemenyi's; {{cite:t}}`demsar2006`). "
        f"{scope}",
        notes=f"Friedman's test that all are alike gives p {_p_value(p)}. The critical difference is one at 5 % for "
        "all pairs at once; each interval is of one encoder by itself.",
        alt=f"Chart of dots: ranks averaged over {len(tasks)} tasks. "
        + "; ".join(f"{words[i]} {ranks[place].mean:.1f}" for i, place in enumerate(order))
        + f". Critical difference {apart:.1f}.",
        data=pd.DataFrame(
            [(words[i], ranks[place].mean, ranks[place].low, ranks[place].high) for i, place in enumerate(order)],
            columns=["augmentation", "average rank", "low", "high"],
        ),
    )


def _p_value(p: float) -> str:
    return "below 0.01" if p < 0.01 else f"= {p:.2f}"


# What an invariance goes with


@dataclass(frozen=True)
class _Panel:
    """`points`: a line an arm with method, augmentation, and x and y as their means over seeds."""

    title: str
    x: str
    y: str
    points: Rows

    def correlations(self) -> dict[str, Interval | None]:
        pairs, methods = (self.points["x"], self.points["y"]), [method_of(name) for name in self.points["method"]]
        return {words: correlation(*pairs, ranks=words == "ρ", families=methods) for words in ("ρ", "r")}


def invariance_against_score(rows: Rows, scope: str, transform: str, tasks: Sequence[str]) -> Figure:
    """A panel a task, a dot an arm: its score against the whitened similarity of features under `transform`.

    `transform` is one of `lib.shifts.transforms.TRANSFORMS` and `tasks` are of `claims.TASKS`; those that `scores`
    lacks are left out. Raises BadInput where nothing is left.
    """
    one_of(transform, TRANSFORMS, "transform")
    for task in tasks:
        one_of(task, TASKS, "task")
    found = scores(rows)
    likeness = _by_arm(rows, WHITENED, transform)
    here = [task for task in tasks if task in set(found["task"])]
    if not here or likeness.empty:
        raise BadInput(
            f"these rows hold no {WHITENED} under {spaced(transform)}, or no score of all encoders on "
            f"{listed([task_title(task) for task in tasks])}"
        )
    means = found.groupby(["task", "method", "augmentation"])["score"].mean()
    words = f"whitened similarity under {spaced(transform)} (%)"
    panels = [_Panel(task_title(task), words, f"{unit(task)} (%)", _points(likeness, means[task])) for task in here]
    return Figure(
        _draw_panels(panels),
        name=f"fig-score-by-{_slug(transform)}",
        caption=f"What encoders score against how alike their features of an image stay under {spaced(transform)}: "
        f"the cosine of whitened features, 100 % for an encoder that does not see it. {_a_dot(panels)}{scope}",
        notes=_of_dots(panels),
        alt=f"Scatter charts of scores against the whitened similarity under {spaced(transform)}, a panel a "
        f"task. {_correlations_told(panels)}",
        data=_data(panels, "task", f"similarity under {spaced(transform)}", "score"),
    )


def invariance_against_robustness(rows: Rows, scope: str) -> Figure:
    """A panel for each of `MATCHES`, a dot an arm: points lost to a corruption against invariance to its transform.

    Points lost are the probe's error averaged over severities less the clean error. Pairs that the rows lack are left
    out; raises BadInput where they hold none.
    """
    clean, panels = _by_arm(rows, "error", CLEAN), []
    for transform, corruption in MATCHES:
        points = _points(_by_arm(rows, WHITENED, transform), _by_arm(rows, "error", corruption) - clean)
        if len(points):
            words = f"similarity under {spaced(transform)} (%)"
            panels.append(_Panel(spaced(corruption), words, "points lost to the corruption", points))
    if not panels:
        raise BadInput(
            f"these rows hold no {WHITENED} under {listed(list(dict.fromkeys(name for name, _ in MATCHES)))} beside "
            "errors under the like corruption"
        )
    return Figure(
        _draw_panels(panels),
        name="fig-robustness-by-invariance",
        caption="What corruptions cost, in percentage points, against how alike an encoder's features of an image "
        f"stay under the like transform. {_a_dot(panels)}{scope}",
        notes="Cost is the probe's error averaged over severities less the clean error; who errs more on clean images "
        f"has less to lose. Similarity is the cosine of whitened features. {_of_dots(panels)}",
        alt="Scatter charts of the points lost to a corruption against the whitened similarity under the like "
        f"transform, a panel a corruption. {_correlations_told(panels)}",
        data=_data(panels, "corruption", "similarity under the transform", "points lost"),
    )


def _by_arm(rows: Rows, metric: str, shift: str) -> pd.Series:
    """The mean over seeds, and severities, of a metric under one shift, indexed by method and augmentation."""
    chosen = overall(rows[(rows["metric"] == metric) & (rows["shift"] == shift)])
    return (
        chosen.assign(augmentation=chosen["augmentation"].fillna(""))
        .groupby(["method", "augmentation"])["value"]
        .mean()
    )


def _points(x: pd.Series, y: pd.Series) -> Rows:
    """One line for each arm that has both."""
    points = pd.DataFrame({"x": x, "y": y}).dropna().reset_index()
    order = {one: place for place, one in enumerate(_arms(points))}
    places = [order[pair] for pair in zip(points["method"], points["augmentation"], strict=True)]
    return points.iloc[np.argsort(places)].reset_index(drop=True)


def _draw_panels(panels: Sequence[_Panel]) -> Drawing:
    """Two panels a line, with their correlations above them, and one legend."""
    use_style()
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    width = 4.9 if columns > 1 else 3.6
    drawing, cells = plt.subplots(lines, columns, figsize=(width, 2.35 * lines + 1.2), squeeze=False,
                                  layout="constrained")  # fmt: skip
    for axes, panel in zip(cells.flat, panels, strict=False):
        for line in panel.points.itertuples():
            own = _look(line.method, line.augmentation)
            axes.plot(line.x, line.y, own["marker"], color=own["color"], markersize=6.5, alpha=0.85)
        found = panel.correlations()
        words = [f"{letter} {written(of, 2)}" for letter, of in found.items() if of]
        axes.set_title(panel.title, pad=30, fontsize=10.5)
        axes.text(0.5, 1.03, "\n".join(words) or "too few\nfor a correlation", transform=axes.transAxes, ha="center",
                  va="bottom", fontsize=9.5, linespacing=1.15)  # fmt: skip
        axes.tick_params(labelsize=9.5, pad=1)
        axes.locator_params(nbins=5)
        axes.margins(0.1)
    for axes in cells.flat[len(panels) :]:
        axes.set_axis_off()
    _name_axes(drawing, cells.ravel(), panels)
    looks = {}
    for panel in panels:
        for line in panel.points.itertuples():
            looks.setdefault(_family(line.method, line.augmentation), _look(line.method, line.augmentation))
    handles = [plt.Line2D([], [], linestyle="none", marker=own["marker"], color=own["color"]) for own in looks.values()]
    drawing.legend(handles, list(looks), loc="outside upper center", ncols=3, frameon=False, columnspacing=1,
                   handletextpad=0.2)  # fmt: skip
    settle(drawing)
    return drawing


def _name_axes(drawing: Drawing, cells: Sequence[plt.Axes], panels: Sequence[_Panel]) -> None:
    """One name for an axis that all panels share, else one a panel."""
    for words, shared, own in (
        ([panel.x for panel in panels], drawing.supxlabel, "xlabel"),
        ([panel.y for panel in panels], drawing.supylabel, "ylabel"),
    ):
        if len(set(words)) == 1:
            shared(words[0], fontsize=11)
            continue
        for axes, word in zip(cells, words, strict=False):
            axes.set(**{own: word})
            axes.xaxis.label.set_fontsize(10)
            axes.yaxis.label.set_fontsize(10)


def _drawn_arms(panels: Sequence[_Panel]) -> set[tuple[str, str]]:
    return {pair for panel in panels for pair in zip(panel.points["method"], panel.points["augmentation"], strict=True)}


def _a_dot(panels: Sequence[_Panel]) -> str:
    count = len(_drawn_arms(panels))
    return f"A dot is one of {count} encoders. Above a panel stand Spearman's ρ and Pearson's r, with 95 % intervals. "


def _of_dots(panels: Sequence[_Panel]) -> str:
    arms = _drawn_arms(panels)
    methods = [method for method in ORDER if any(name == method and recipe for name, recipe in arms)]
    recipes = f"; recipes are those of {listed([title(method) for method in methods])}" if methods else ""
    return (
        f"A dot is a mean over seeds{recipes}. For the intervals encoders of one method count once; encoders differ in "
        "more than this invariance."
    )


def _correlations_told(panels: Sequence[_Panel]) -> str:
    told = []
    for panel in panels:
        found = panel.correlations()
        words = {"ρ": "Spearman", "r": "Pearson"}
        parts = [f"{words[letter]} {written(of, 2)}" for letter, of in found.items() if of]
        told.append(f"{panel.title}: {', '.join(parts) or 'too few encoders for a correlation'}")
    return "; ".join(told) + "."


def _data(panels: Sequence[_Panel], what: str, x: str, y: str) -> Rows:
    tables = []
    for panel in panels:
        points = panel.points
        arms = [arm(*pair) for pair in zip(points["method"], points["augmentation"], strict=True)]
        tables.append(pd.DataFrame({what: panel.title, "encoder": arms, f"{x} (%)": points["x"], y: points["y"]}))
    return pd.concat(tables, ignore_index=True)


# Looks and words


def _look(method: str, augmentation: str) -> Mapping[str, str]:
    return RECIPE_LOOK.get(augmentation, look(method_of(method)))


def _family(method: str, augmentation: str) -> str:
    """What a legend calls arms of one look."""
    if augmentation in RECIPE_LOOK:
        return augmentation
    return f"{title(method)}, other recipes" if augmentation else title(method)


def _recipe_title(method: str, augmentation: str) -> str:
    return augmentation or title(method)


def _slug(name: str) -> str:
    return name.replace("_", "-")
