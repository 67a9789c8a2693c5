"""Accuracy against robustness: who gives up what, what an attack of each strength leaves, and what training costs.

Rows and records are those of the study of systems, of one data set and encoder. An accuracy is the linear probe's, in
percent, and epsilon is counted in 255ths; a pass is one of a view of an image, forward and backward (see
`lib.training.passes`). What `results` lack is left out; BadInput is raised where nothing is left to draw. `scope` says
in words what the rows are, for captions.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, NullLocator

from lib.claims import COMPARED, difference
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.style import settle, use_style
from lib.figures.systems_look import pgd_name, system_look, system_title
from lib.figures.words import listed
from lib.images.scenes import SHAPES
from lib.images.sources import CIFAR10_CLASSES
from lib.measures import cell_interval
from lib.measures.monitor import ATTACKED
from lib.measures.robust_accuracy import AT
from lib.measures.rows import CLEAN
from lib.methods import METHODS
from lib.runs import Results
from lib.runs.systems import FREE, SYSTEMS

Rows = pd.DataFrame

UNDEFENDED = ("random", "simclr", "supervised")  # shown beside what was trained under attack
CHANCE = {"cifar10": 100 / len(CIFAR10_CLASSES), "scenes": 100 / len(SHAPES)}  # percent, by data set
FEW = 4  # lines whose bands can still be told apart
LEAST_AREA, WIDEST_AREA = 16, 180  # of a marker, in square points
CROPS = {  # EMP-SSL's kinds of views: their name, a system that has their look, and a step aside
    "crop": ("crops", "cf-amc-ssl", 2**-0.05),
    "patch": ("patches", "emp patches free", 2**0.05),
}
TRAININGS = ("PGD, equal passes", "PGD, equal updates", "free")  # equal to those of free training
LENGTHENED = {  # family: its systems by TRAININGS
    "SimCLR": ("simclr pgd", "simclr pgd long", "simclr free"),
    "EMP-SSL, crops": ("emp crops pgd", "emp crops pgd long", "cf-amc-ssl"),
}
WATCHED = 3  # epochs, from which on a course can be seen
MOST_PANELS = 8
OVERFITTED = 8  # points between FGSM and PGD, three times what so few images waver by
COURSES = {  # of `lib.measures.monitor.adversarial_monitor`
    "accuracy": ("clean", {"color": "#777777", "linestyle": ":"}),
    "fgsm accuracy": ("FGSM", {"color": "#E69F00", "linestyle": "--"}),
    "pgd accuracy": ("PGD", {"color": "#0072B2", "linestyle": "-"}),
}


# Numbers


def _accuracies(rows: Rows, shift: str, severity: float) -> Rows:
    """One line a system, in the order of SYSTEMS: mean, low and high over seeds and images, and how many images."""
    if "system" not in rows:
        raise BadInput("these figures compare systems: take the rows of the study accuracy_robustness_tradeoff")
    chosen = rows[(rows["metric"] == "accuracy") & (rows["shift"] == shift) & (rows["severity"] == severity)]
    if chosen.duplicated(["system", "seed"]).any():
        raise BadInput("rows hold one accuracy for each system and seed, of one encoder and data set; not several")
    lines = {}
    for name, own in chosen.groupby("system"):
        found = cell_interval(own, "accuracy")
        lines[name] = (found.mean, found.low, found.high, int(own["images"].max()))
    table = pd.DataFrame.from_dict(lines, orient="index", columns=["mean", "low", "high", "images"])
    return table.loc[[name for name in SYSTEMS if name in lines]]


def _against_clean(rows: Rows, shift: str) -> Rows:
    """`_accuracies` under a shift at `AT`, beside the clean ones of the same systems in columns "clean ..."."""
    clean = _accuracies(rows, CLEAN, 0).add_prefix("clean ")
    return clean.join(_accuracies(rows, shift, AT), how="inner")


def _records(results: Results) -> dict[str, list[dict]]:
    """The records of each system, in the order of SYSTEMS."""
    found = {name: [record for record in results.records if record["system"] == name] for name in SYSTEMS}
    return {name: records for name, records in found.items() if records}


def _passes(records: Sequence[dict]) -> float:
    """Passes for each training image, mean over seeds; 0 for what is not trained."""
    return float(np.mean([record.get("passes", 0) / record["data"]["train_images"] for record in records]))


def _updates(records: Sequence[dict]) -> float:
    return float(np.mean([record.get("updates", 0) for record in records]))


def _uses_labels(name: str) -> bool:
    return METHODS[SYSTEMS[name].method].build.uses_labels


def _named(names: Sequence[str]) -> str:
    """Titles, which hold commas, in words."""
    titles = [system_title(name) for name in names]
    return " and ".join(filter(None, ("; ".join(titles[:-1]), titles[-1])))


def _intervals_told(what: str, low: pd.Series) -> str:
    """Nothing of them where there is one seed, and so no interval."""
    return f"{what} are 95 % intervals over seeds and images. " if low.notna().any() else ""


# The trade-off


def pareto_front(points: Rows) -> list:
    """Labels of the lines that are beaten by none, by ascending first column: no other is as high in both columns and
    higher in one."""
    values = points.to_numpy(dtype=float)
    beaten = [((values >= own).all(axis=1) & (values > own).any(axis=1)).any() for own in values]
    return list(points[~np.array(beaten, dtype=bool)].sort_values(list(points), kind="stable").index)


def trade_off(results: Results, scope: str) -> Figure:
    """A marker a system: accuracy under PGD, and below it under AutoAttack, at 8/255, against clean accuracy.

    The panels share the axis of clean accuracy, so that a system stands at one place of it in both.
    """
    rows = results.rows
    compared = [name for name, system in SYSTEMS.items() if system.role in (*COMPARED, "updates")]
    panels = {}
    for shift, words in (("pgd", pgd_name(rows)), ("autoattack", "AutoAttack")):
        points = _against_clean(rows, shift)
        points = points[points.index.isin(compared)]
        if len(points):
            panels[words] = points
    if not panels:
        raise BadInput(f"these rows hold no accuracy of a system on clean images and at {AT}/255 by PGD or AutoAttack")
    passes = {name: _passes(records) for name, records in _records(results).items()}
    first = next(iter(panels.values()))
    return Figure(
        _draw_trade_off(panels, passes),
        name="fig-trade-off",
        caption=f"Accuracy under attack at {AT}/255 against accuracy on clean pictures, a marker a system, means over "
        f"seeds. {_attacks_told(panels)} {_intervals_told('Crosses', first['low'])}The larger a marker, the more "
        f"passes an image took in training{_teachers_told(panels)}. {_fronts_told(panels)} {scope}",
        alt="Scatter chart of accuracy under attack against accuracy on clean pictures, in percent. "
        + " ".join(
            f"Under {words}: "
            + "; ".join(f"{system_title(line.Index)} {line.mean:.0f} at {line.clean:.0f}" for line in _means(points))
            + "."
            for words, points in panels.items()
        )
        + f" {_fronts_told(panels)}",
        data=_trade_off_data(panels, passes),
    )


def _means(points: Rows):
    """Tuples with Index, clean and mean."""
    return points[["clean mean", "mean"]].rename(columns={"clean mean": "clean"}).itertuples()


def _fronts(points: Rows) -> list[list[str]]:
    """The front of all systems, and that of those that need no labels where there are others."""
    values = points[["clean mean", "mean"]]
    without = values[[not _uses_labels(name) for name in values.index]]
    return [pareto_front(part) for part in (values, without) if part is values or 0 < len(part) < len(values)]


def _attacks_told(panels: Mapping[str, Rows]) -> str:
    places = ("Above", "Below") if len(panels) > 1 else ("The attack",)
    told = [
        f"{place}: {words}, on the first {points['images'].max():,} test images"
        for place, (words, points) in zip(places, panels.items(), strict=True)
    ]
    clean = max(points["clean images"].max() for points in panels.values())
    return f"{'. '.join(told)}; clean accuracy is that on {clean:,}."


def _teachers_told(panels: Mapping[str, Rows]) -> str:
    taught = dict.fromkeys(
        system_title(name)
        for points in panels.values()
        for name in points.index
        if hasattr(METHODS[SYSTEMS[name].method].build, "teacher")
    )
    return f" (the teacher of {listed(list(taught))} is not counted)" if taught else ""


def _fronts_told(panels: Mapping[str, Rows]) -> str:
    """What the lines are, and who is on them."""
    told, broken = [], ""
    for words, points in panels.items():
        everyone, *without = map(_named, _fronts(points))
        told.append(f"Under {words} it has {everyone}" + "".join(f", and the broken line {names}" for names in without))
        broken = "; broken line: the same of systems without labels" if without else broken
    return (
        "Full line: the Pareto front of the means, of systems that no other equals in both accuracies and beats in one"
        f"{broken}. {'. '.join(told)}."
    )


def _draw_trade_off(panels: Mapping[str, Rows], passes: Mapping[str, float]) -> Drawing:
    use_style()
    drawing, cells = plt.subplots(
        len(panels), 1, figsize=(5.2, 0.9 + 3.9 * len(panels)), sharex=True, squeeze=False, layout="constrained"
    )
    scale = WIDEST_AREA / max(1.0, *(passes.get(name, 0) for points in panels.values() for name in points.index))
    for axes, (words, points) in zip(cells.flat, panels.items(), strict=True):
        for name, line in points.iterrows():
            own = system_look(name)
            axes.errorbar(line["clean mean"], line["mean"], linestyle="none", color=own["color"], elinewidth=0.8,
                          alpha=0.45, zorder=2, xerr=[[line["clean mean"] - line["clean low"]],
                                                     [line["clean high"] - line["clean mean"]]],
                          yerr=[[line["mean"] - line["low"]], [line["high"] - line["mean"]]])  # fmt: skip
            axes.scatter(line["clean mean"], line["mean"], s=max(LEAST_AREA, scale * passes.get(name, 0)),
                         **_filling(own), marker=own["marker"], linewidths=1.2, zorder=3, gid=name)  # fmt: skip
        axes.margins(0.1)
        axes.set(title=words, ylabel=f"accuracy at {AT}/255 (%)")
        top = axes.get_ylim()[1]
        axes.set(ylim=(-0.09 * top, top))  # room for words below those that are at 0
    cells[-1, 0].set(xlabel="accuracy on clean pictures (%)", xlim=cells[-1, 0].get_xlim())  # as they are, from here on
    for axes, points in zip(cells.flat, panels.values(), strict=True):
        for front, linestyle in zip(_fronts(points), ("-", (0, (4, 2))), strict=False):
            axes.plot(*_steps(axes, points.loc[front]), color="#333333", linewidth=0.9, linestyle=linestyle, zorder=1)
    shown = {name for points in panels.values() for name in points.index}
    handles = _sizes({name: passes.get(name, 0) for name in shown}, scale)
    drawing.legend(handles=handles, title="passes an image", loc="outside lower center", ncols=len(handles),
                   frameon=False, fontsize=10, title_fontsize=10, handletextpad=0.2)  # fmt: skip
    settle(drawing)
    for axes, points in zip(cells.flat, panels.values(), strict=True):
        _label_points(axes, points)
    return drawing


def _filling(look: Mapping[str, object]) -> dict[str, object]:
    """Of a marker of `scatter`, which takes other names than a line's."""
    if "markerfacecolor" in look:
        return {"facecolors": look["markerfacecolor"], "edgecolors": look["color"]}
    return {"color": look["color"]}


def _steps(axes: Axes, front: Rows) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the corners of a line around what lies below and left of a front, which ascends in clean accuracy."""
    x, y = front["clean mean"].to_numpy(), front["mean"].to_numpy()
    return np.repeat([axes.get_xlim()[0], *x], 2)[1:], np.repeat([*y, axes.get_ylim()[0]], 2)[:-1]


def _sizes(passes: Mapping[str, float], scale: float) -> list[Line2D]:
    """A legend of the least and the most passes, and of none."""
    trained = [value for value in passes.values() if value]
    ends = dict.fromkeys(f"{value:.0f}" for value in (min(trained), max(trained))) if trained else {}
    shown = {words: max(LEAST_AREA, scale * float(words)) for words in ends}
    if len(trained) < len(passes):
        shown = {"none": LEAST_AREA} | shown
    return [
        Line2D([], [], linestyle="none", marker="o", color="#555555", markersize=np.sqrt(area), markeredgewidth=0,
               label=words)
        for words, area in shown.items()
    ]  # fmt: skip


def _label_points(axes: Axes, points: Rows) -> None:
    """Write systems' titles beside their points in a settled drawing, with a thin line where one is far off."""
    unit = 72 / axes.figure.dpi  # pixels -> points of the page, which hold at any resolution
    marks = unit * axes.transData.transform(points[["clean mean", "mean"]])
    sizes = []
    for name in points.index:
        text = axes.text(0, 0, system_title(name), fontsize=9.5)
        sizes.append(unit * text.get_window_extent().size)
        text.remove()
    corners = [np.stack(_steps(axes, points.loc[front]), axis=1) for front in _fronts(points)]
    steps = [np.linspace(line[:-1], line[1:], 20).reshape(-1, 2) for line in corners]
    faint = unit * axes.transData.transform(np.concatenate([_crosses(points), *steps]))
    low, high = unit * axes.get_window_extent().get_points()
    corners = free_places(marks, np.array(sizes), low + 3, high - 3, faint)
    for (name, point), mark, size, corner in zip(points.iterrows(), marks, sizes, corners, strict=True):
        offset = corner + (0, size[1] / 2) - mark
        right = offset[0] > 0
        away = max(offset[0] if right else -offset[0] - size[0], abs(offset[1]))
        colour = system_look(name)["color"]
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3,
                "relpos": (0 if right else 1, 0.5)}  # fmt: skip
        axes.annotate(system_title(name), (point["clean mean"], point["mean"]), xytext=offset,
                      textcoords="offset points", color=colour, fontsize=9.5, va="center", zorder=4,
                      arrowprops=line if away > 9 else None,
                      path_effects=[withStroke(linewidth=2, foreground="white")])  # fmt: skip


def _crosses(points: Rows) -> np.ndarray:
    """Where the crosses of `points` run: dots (N, 2) of accuracies; none of a system that has no interval."""
    known = points.dropna()
    along = [np.linspace(known[f"{kind}low"], known[f"{kind}high"], 16).ravel() for kind in ("clean ", "")]
    across = [np.tile(known[f"{kind}mean"], 16) for kind in ("clean ", "")]
    return np.concatenate([np.stack([along[0], across[1]], axis=1), np.stack([across[0], along[1]], axis=1)])


def free_places(
    marks: np.ndarray, sizes: np.ndarray, low: np.ndarray, high: np.ndarray, faint: np.ndarray
) -> np.ndarray:
    """Lower left corners (N, 2) of boxes of `sizes` (N, 2) beside `marks` (N, 2), all in points of the page.

    From the top mark down, each box takes the nearest place between the corners `low` and `high` (2,) that covers no
    other box and, if it can be, no mark, no line from a mark to its box, and few of the dots `faint` (K, 2). Then each
    chooses again, twice, now that it knows all others.
    """
    ups, acrosses = np.arange(-240, 241, 6.0), np.array([7.0, 20, 40, 70])
    up, across = (np.tile(part.ravel(), 2) for part in np.meshgrid(ups, acrosses))
    sides = np.repeat([1, -1], len(up) // 2)
    spots = np.concatenate([marks - 5, marks + 5], axis=1)  # left, bottom, right, top
    boxes, lines = np.full((len(marks), 4), np.inf), np.full((len(marks), 8, 2), np.inf)  # nowhere
    downwards = np.argsort(-marks[:, 1], kind="stable")
    for own in np.tile(downwards, 3):
        (x, y), (width, height) = marks[own], sizes[own]
        left, bottom = x + sides * across - width * (sides < 0), y + up - height / 2
        places = np.stack([left, bottom, left + width, bottom + height], axis=1)
        ends = np.stack([x + sides * across, y + up], axis=1)
        ways = marks[own] + np.linspace(0.2, 1, 8)[:, None, None] * (ends - marks[own])  # (8, places, 2)
        others, passed = np.delete(boxes, own, axis=0), np.delete(lines, own, axis=0).reshape(-1, 2)
        outside = (places[:, :2] < low).any(axis=1) | (places[:, 2:] > high).any(axis=1)
        crossed = sum(_overlaps(np.tile(way, 2), others) for way in ways)
        cost = across + 1.2 * np.abs(up) + 1e4 * outside + 1e3 * _overlaps(places, others) + 60 * crossed
        cost += 60 * (_overlaps(places, spots) + _overlaps(places, np.tile(passed, 2)))
        best = np.argmin(cost + 2 * _overlaps(places, np.tile(faint, 2)))
        boxes[own], lines[own] = places[best], ways[:, best]
    return boxes[:, :2]


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How many of `others` (M, 4) each of `boxes` (N, 4) has a part of, by left, bottom, right and top: (N,)."""
    mine, theirs = boxes[:, None], others[None]
    return ((mine[..., :2] < theirs[..., 2:]) & (theirs[..., :2] < mine[..., 2:])).all(axis=-1).sum(axis=1)


def _trade_off_data(panels: Mapping[str, Rows], passes: Mapping[str, float]) -> Rows:
    tables = []
    for words, points in panels.items():
        front, *without = _fronts(points)
        told = {"attack": words, "system": [system_title(name) for name in points.index]}
        told |= {"clean accuracy": points["clean mean"], "clean low": points["clean low"]}
        told |= {"clean high": points["clean high"], "accuracy under attack": points["mean"], "low": points["low"]}
        told |= {"high": points["high"], "passes an image": [passes.get(name, 0.0) for name in points.index]}
        told["on the front"] = [name in front for name in points.index]
        if without:
            told["on that without labels"] = [name in without[0] for name in points.index]
        tables.append(pd.DataFrame(told))
    return pd.concat(tables, ignore_index=True)


# Strength of the attack


def robust_by_epsilon(rows: Rows, scope: str) -> Figure:
    """A line a system that was trained under attack, and one a reference: accuracy against epsilon of PGD, from 0 on.

    Above those that need no labels, below the others.
    """
    table = _curves(rows)
    panels = {words: own for words, own in table.groupby("trained", sort=False)}
    banded = [words for words, own in panels.items() if own["system"].nunique() <= FEW and own["low"].notna().any()]
    chance = [CHANCE[name] for name in rows["dataset"].unique() if name in CHANCE]
    strongest = table["epsilon"].max()
    at = AT if AT in set(table["epsilon"]) else strongest
    whose = f" of those trained {listed(banded)}" if len(banded) < len(panels) else ""
    means = table.set_index(["system", "epsilon"])["mean"]

    def told(name: str) -> str:
        fallen = [f"{means[name, e]:.0f} at {e:g}" for e in dict.fromkeys((at, strongest)) if (name, e) in means]
        return f"{system_title(name)} from {means[name, 0]:.0f} percent to {listed(fallen)}"

    return Figure(
        _draw_curves(panels, banded, chance, at),
        name="fig-epsilon",
        caption=f"Accuracy under {pgd_name(rows)} against epsilon in 255ths (0: no attack), of encoders trained under "
        f"attack and of references, means over seeds. Names are in the order at {at:g}. "
        + (_intervals_told(f"Bands{whose}", table["low"]) if banded else "")
        + "".join(f"Dotted: chance, {value:.0f} %, below which an adversary can push. " for value in chance)
        + scope,
        alt=f"Line charts of accuracy under PGD against epsilon from 0 to {strongest:g} 255ths. "
        + " ".join(
            f"Trained {words}: {'; '.join(told(name) for name in own['system'].unique())}."
            for words, own in panels.items()
        ),
        data=table.assign(system=table["system"].map(system_title)),
    )


def _curves(rows: Rows) -> Rows:
    """One line a system and epsilon, 0 for clean images: mean, low, high, images, and how the system was trained."""
    epsilons = sorted(rows.loc[(rows["metric"] == "accuracy") & (rows["shift"] == "pgd"), "severity"].unique())
    tables = [_accuracies(rows, CLEAN, 0).assign(epsilon=0.0)]
    tables += [_accuracies(rows, "pgd", epsilon).assign(epsilon=float(epsilon)) for epsilon in epsilons]
    table = pd.concat(tables).rename_axis("system").reset_index()
    shown = [
        name for name, system in SYSTEMS.items() if system.role in COMPARED and (system.attack or name in UNDEFENDED)
    ]
    ends = table.groupby("system")["epsilon"]
    whole = (ends.transform("min") == 0) & (ends.transform("max") > 0)
    table = table[table["system"].isin(shown) & whole]
    if table.empty:
        raise BadInput("these rows hold no accuracy by PGD of a system that was trained under attack or of a reference")
    trained = ["with labels" if _uses_labels(name) else "without labels" for name in table["system"]]
    order = table["system"].map(sorted(SYSTEMS, key=_uses_labels).index)  # those without labels first
    return table.assign(trained=trained).iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _draw_curves(panels: Mapping[str, Rows], banded: Sequence[str], chance: Sequence[float], at: float) -> Drawing:
    use_style()
    drawing, cells = plt.subplots(
        len(panels), 1, figsize=(5.2, 0.5 + 2.8 * len(panels)), sharex=True, sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    epsilons = sorted({epsilon for own in panels.values() for epsilon in own["epsilon"]})
    places = {e: 1 + np.log2(e / epsilons[1]) if e else 0 for e in epsilons}  # 0 has no logarithm
    for axes, (words, own) in zip(cells.flat, panels.items(), strict=True):
        lines = dict(list(own.groupby("system", sort=False)))
        for name in sorted(lines, key=lambda name: -lines[name].set_index("epsilon")["mean"].get(at, 0)):
            line, look = lines[name], system_look(name)
            x = line["epsilon"].map(places)
            axes.plot(x, line["mean"], label=system_title(name), markersize=5, linewidth=1.5, **look)
            if words in banded:
                axes.fill_between(x, line["low"], line["high"], color=look["color"], alpha=0.15, linewidth=0)
        for value in chance:
            axes.axhline(value, color="#333333", linestyle=(0, (1, 2)), linewidth=1, zorder=1)
        axes.set(title=f"trained {words}", ylabel="accuracy (%)", xticks=list(places.values()))
        axes.set_xticklabels([f"{epsilon:g}" for epsilon in epsilons])
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize=9.5, handlelength=3.2,
                    handletextpad=0.5, labelspacing=0.4)  # fmt: skip
    cells[-1, 0].set(xlabel="epsilon (255ths)", ylim=(0, None))
    settle(drawing)
    return drawing


# Crops


def crops_sweep(results: Results, scope: str) -> Figure:
    """Accuracy against the number of views of EMP-SSL under free training: clean and by PGD at 8/255, a line a kind."""
    table = _swept(results)
    use_style()
    drawing, cells = plt.subplots(1, 2, figsize=(5.2, 3.3), layout="constrained")
    titles = {"clean": "clean", "pgd": f"{pgd_name(results.rows)}, {AT}/255"}
    for axes, (kind, words) in zip(cells, titles.items(), strict=True):
        for crop, own in table.groupby("crop", sort=False):
            name, like, aside = CROPS[crop]
            ends = [own[kind] - own[f"{kind} low"], own[f"{kind} high"] - own[kind]]
            axes.errorbar(own["views"] * aside, own[kind], yerr=ends, label=name, markersize=5.5, linewidth=1.5,
                          elinewidth=1.1, **system_look(like))  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(sorted(table["views"].unique()), [str(views) for views in sorted(table["views"].unique())])
        axes.set(title=words, xlabel="views of an image")
        axes.set_xlim(table["views"].min() / 1.4, 1.4 * table["views"].max())
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_ylim(bottom=max(0, axes.get_ylim()[0]))  # an interval may end below; no accuracy does
    cells[0].set_ylabel("accuracy (%)")
    handles, labels = cells[0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, handlelength=3)
    settle(drawing)

    def told(own: Rows) -> str:
        clean, pgd = (listed([f"{value:.0f}" for value in own[kind]]) for kind in ("clean", "pgd"))
        views = listed([str(views) for views in own["views"]])
        return f"{CROPS[own['crop'].iloc[0]][0]} with {views} views: {clean} percent clean, {pgd} by PGD"

    return Figure(
        drawing,
        name="fig-crops",
        caption="Accuracy of EMP-SSL under free training against the number of views of an image, crops or patches: on "
        f"clean pictures, and under {pgd_name(results.rows)} at {AT}/255. {_intervals_told('Bars', table['clean low'])}"
        f"{_sweep_costs_told(table)} {scope}",
        alt="Line charts of accuracy on clean pictures and under PGD against the number of views. "
        + "; ".join(told(own) for _, own in table.groupby("crop", sort=False))
        + ".",
        data=table.assign(crop=[CROPS[crop][0] for crop in table["crop"]]).rename(columns={"crop": "kind of view"}),
    )


def _swept(results: Results) -> Rows:
    """One line a system that differs from CF-AMC-SSL in its views alone: accuracies and costs, by kind and number."""
    rows = results.rows
    accuracies, records = _against_clean(rows, "pgd"), _records(results)
    lines = []
    for name, line in accuracies.iterrows():
        if SYSTEMS[name].method == "emp_ssl" and SYSTEMS[name].attack == FREE and name in records:
            settings = records[name][0]["config"]["settings"]
            lines.append(
                {"crop": settings["crop"], "views": settings["views"], **_both(line), "passes": _passes(records[name]),
                 "updates": _updates(records[name])}
            )  # fmt: skip
    if not lines:
        raise BadInput(f"these results hold no accuracy at {AT}/255 by PGD of EMP-SSL under free training")
    table = pd.DataFrame(lines)
    return table.sort_values(["crop", "views"], ignore_index=True)


def _both(line: pd.Series) -> dict[str, float]:
    """A line of `_against_clean` by PGD as "clean", "clean low", ..., "pgd high"."""
    names = {"mean": "", "low": " low", "high": " high"}
    return {f"clean{end}": line[f"clean {name}"] for name, end in names.items()} | {
        f"pgd{end}": line[name] for name, end in names.items()
    }


def _sweep_costs_told(table: Rows) -> str:
    usual = table["passes"].round().mode().iloc[0]
    others = table[(table["passes"] / usual - 1).abs() > 0.05]
    told = [f"{line.passes:.0f} with {line.views} {CROPS[line.crop][0]}" for line in others.itertuples()]
    least, most = table.loc[table["updates"].idxmin()], table.loc[table["updates"].idxmax()]
    return (
        f"Training took {usual:.0f} passes an image"
        + (f", but {listed(told)}" if told else "")
        + (
            f"; more views leave fewer updates of the weights: {most['updates']:,.0f} with {most['views']} views, "
            f"{least['updates']:,.0f} with {least['views']}."
            if least["views"] > most["views"]
            else "."
        )
    )


# Costs


def cost_of_training(results: Results, scope: str) -> Figure:
    """Accuracy against passes of an image and against updates of the weights, of free training and of two of PGD.

    One has as many passes as free training, and the other, to which an arrow leads, as many updates.
    """
    table = _lengthened(results)
    use_style()
    drawing, cells = plt.subplots(1, 2, figsize=(5.2, 4.2), sharey=True, layout="constrained")
    for axes, x in zip(cells, ("passes", "updates"), strict=True):
        axes.set_xscale("log")
        for place, (_, own) in enumerate(table.groupby("family", sort=False)):
            _draw_family(axes, own, own[x] * 2 ** (0.15 * place))  # aside, since both cost about the same
        low, high = table[x].min() / 1.4, 1.6 * table[x].max()
        ticks = []
        for tick in sorted(table[x].unique()):  # but for those whose numbers would touch
            ticks += [tick] if not ticks or np.log(tick / ticks[-1]) > 0.25 * np.log(high / low) else []
        axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low, high)
    cells[0].set(xlabel="passes an image", ylabel="accuracy (%)")
    cells[1].set(xlabel="updates of the weights")
    drawing.legend(handles=_cost_key(table), loc="outside upper center", ncols=3, frameon=False, fontsize=10,
                   columnspacing=1.2, handletextpad=0.4)  # fmt: skip
    settle(drawing)
    return Figure(
        drawing,
        name="fig-cost",
        caption="What training under attack costs and brings: accuracy on clean pictures (hollow) and under "
        f"{pgd_name(results.rows)} at {AT}/255 (filled). {_links_told(table)}"
        f"{_intervals_told('Bars', table['clean low'])}{_free_less_pgd(results.rows, table)}{scope}",
        alt="Scatter charts of accuracy against passes of an image and against updates of the weights. "
        + "; ".join(
            f"{line.family}, {line.training}: {line.clean:.0f} percent clean and {line.pgd:.0f} by PGD for "
            f"{line.passes:.0f} passes and {line.updates:,.0f} updates"
            for line in table.itertuples()
        )
        + ".",
        data=table.drop(columns="system"),
    )


def _lengthened(results: Results) -> Rows:
    """One line for each system of LENGTHENED that is there: accuracies and costs."""
    accuracies, records = _against_clean(results.rows, "pgd"), _records(results)
    lines = [
        {"family": family, "training": training, "system": name, "passes": _passes(records[name]),
         "updates": _updates(records[name]), **_both(accuracies.loc[name])}
        for family, names in LENGTHENED.items()
        for training, name in zip(TRAININGS, names, strict=True)
        if name in records and name in accuracies.index
    ]  # fmt: skip
    if not lines:
        raise BadInput(f"these results hold no accuracy at {AT}/255 by PGD of {_named(sum(LENGTHENED.values(), ()))}")
    return pd.DataFrame(lines)


def _links_told(table: Rows) -> str:
    """What the arrows and the dotted lines are, where there are any."""
    held = table.groupby("family")["training"].agg(set)
    same, longer, free = TRAININGS
    told = [
        words
        for words, other in (
            ("arrows lead to PGD with about as many updates", longer), ("dotted lines lead to free training", free)
        )
        if any({same, other} <= own for own in held)
    ]  # fmt: skip
    return f"From PGD with about as many passes as free training, {listed(told)}. " if told else ""


def _draw_family(axes: Axes, own: Rows, x: pd.Series) -> None:
    """Trainings at `x`: hollow for clean pictures, filled under attack; an arrow to more updates, a line to free."""
    look = system_look(own["system"].iloc[0])
    for kind, filling in (("clean", "white"), ("pgd", look["color"])):
        for row, line in own.iterrows():
            ends = [[line[kind] - line[f"{kind} low"]], [line[f"{kind} high"] - line[kind]]]
            axes.errorbar(x[row], line[kind], yerr=ends, marker=system_look(line["system"])["marker"], markersize=6.5,
                          elinewidth=0.9, color=look["color"], markerfacecolor=filling, zorder=3)  # fmt: skip
        places = {line["training"]: (x[row], line[kind]) for row, line in own.iterrows()}
        same, longer, free = (places.get(training) for training in TRAININGS)
        if same and longer:
            axes.annotate("", longer, same, arrowprops={"arrowstyle": "-|>", "color": look["color"], "linewidth": 1.1,
                                                        "shrinkA": 5, "shrinkB": 5})  # fmt: skip
        if same and free:
            axes.plot(*zip(same, free, strict=True), color=look["color"], linestyle=":", linewidth=1.3, zorder=2)


def _cost_key(table: Rows) -> list[Line2D]:
    """What colours, markers and fillings mean, of what is there."""
    grey = "#555555"
    looks = {line.family: {"marker": "o", "color": system_look(line.system)["color"]} for line in table.itertuples()}
    for line in table.itertuples():
        words = "free training" if line.training == "free" else "training by PGD"
        looks[words] = {"marker": system_look(line.system)["marker"], "color": grey}
    looks["clean"] = {"marker": "o", "color": grey, "markerfacecolor": "white"}
    looks["under attack"] = {"marker": "o", "color": grey}
    return [Line2D([], [], linestyle="none", markersize=6.5, label=words, **look) for words, look in looks.items()]


def _free_less_pgd(rows: Rows, table: Rows) -> str:
    """How far free training is above PGD under attack, for each family that has both."""
    attacked = rows[(rows["metric"] == "accuracy") & (rows["shift"] == "pgd") & (rows["severity"] == AT)]
    told = []
    for family, own in table.groupby("family", sort=False):
        names = own.set_index("training")["system"]
        gaps = [
            f"{difference(attacked, {'system': names['free']}, {'system': name})} at {training.split(', ')[1]}"
            for training, name in names.items()
            if "free" in names and training != "free"
        ]
        told += [f"{family} {listed(gaps)}"] if gaps else []
    return f"Free training less PGD under attack, in points: {'; '.join(told)}. " if told else ""


# Overfitting to weak attacks


def overfitting_monitor(results: Results, scope: str) -> Figure:
    """A panel a system under attack with three epochs or more: validation accuracy, clean and attacked, by epoch.

    At most `MOST_PANELS`: first those that overfitted to FGSM, then by role, in the order of SYSTEMS. Thin lines are
    seeds, thick ones their means.
    """
    courses = _courses(results)
    ends = {name: _ends(own) for name, own in courses.items()}
    roles = list(dict.fromkeys(system.role for system in SYSTEMS.values()))
    ranked = sorted(courses, key=lambda name: (not ends[name]["overfitted"].any(), roles.index(SYSTEMS[name].role)))
    shown = {name: courses[name] for name in courses if name in ranked[:MOST_PANELS]}
    hidden = [name for name in courses if name not in shown]
    means = {name: own.groupby("epoch")[list(COURSES)].mean().iloc[-1] for name, own in shown.items()}
    told = _overfitted_told(ends)
    return Figure(
        _draw_courses(shown),
        name="fig-monitor",
        caption=f"Accuracy on {ATTACKED} validation images in the course of training under attack, by ridge regression "
        f"on features. Thin lines are seeds, thick ones their means. {told} "
        + (f"Watched as well, but not drawn: {_named(hidden)}. " if hidden else "")
        + scope,
        alt="Line charts of accuracy against epoch, a panel a system. At the end, in percent: "
        + "; ".join(
            f"{system_title(name)} " + ", ".join(f"{end[column]:.0f} {words}" for column, (words, _) in COURSES.items())
            for name, end in means.items()
        )
        + f". {told}",
        data=pd.concat([own.assign(system=system_title(name)) for name, own in shown.items()], ignore_index=True)[
            ["system", "seed", "epoch", *COURSES]
        ],
    )


def _courses(results: Results) -> dict[str, Rows]:
    """System -> one line a seed and epoch, of those that were watched for `WATCHED` epochs or more."""
    found = {}
    for name, records in _records(results).items():
        tables = [
            pd.DataFrame(record["monitored"]).assign(seed=record["config"]["seed"])
            for record in records
            if len(record.get("monitored", ())) >= WATCHED
        ]
        if tables:
            found[name] = pd.concat(tables, ignore_index=True)
    if not found:
        raise BadInput(f"these results hold no system that was trained under attack for {WATCHED} epochs or more")
    return found


def _ends(course: Rows) -> Rows:
    """A line a seed, of its last epoch: "gap", FGSM accuracy less PGD accuracy in points, and "overfitted", whether it
    is over `OVERFITTED` and PGD leaves less than half of what FGSM does."""
    last = course.sort_values("epoch").groupby("seed").last()
    gap = last["fgsm accuracy"] - last["pgd accuracy"]
    return pd.DataFrame({"gap": gap, "overfitted": (gap > OVERFITTED) & (gap > last["pgd accuracy"])})


def _overfitted_told(ends: Mapping[str, Rows]) -> str:
    """Which of the systems overfitted to FGSM in a seed or more, or that none did."""
    means = {name: end["gap"].mean() for name, end in ends.items()}
    told = [
        f"{system_title(name)} ({end['overfitted'].sum()} of {len(end)} {'seed' if len(end) == 1 else 'seeds'}, "
        f"{means[name]:.0f} points on average)"
        for name, end in ends.items()
        if end["overfitted"].any()
    ]
    rule = f"over {OVERFITTED} points more than PGD and over twice as much"
    if told:
        return f"At the end FGSM leaves {rule}, a sign of catastrophic overfitting, for {'; '.join(told)}."
    widest = max(means, key=means.get)
    return (
        f"There is no sign of catastrophic overfitting: in no run does FGSM leave {rule} at the end. The widest gap in "
        f"points, on average over seeds: {system_title(widest)} {round(means[widest])}."
    )


def _draw_courses(courses: Mapping[str, Rows]) -> Drawing:
    use_style()
    columns = min(2, len(courses))
    lines = -(-len(courses) // columns)
    drawing, cells = plt.subplots(lines, columns, figsize=(5.2, 1 + 1.75 * lines), sharey=True, squeeze=False,
                                  layout="constrained")  # fmt: skip
    for axes, (name, course) in zip(cells.flat, courses.items(), strict=False):
        for column, (words, look) in COURSES.items():
            for _, own in course.groupby("seed"):
                axes.plot(own["epoch"], own[column], linewidth=0.8, alpha=0.45, **look)
            means = course.groupby("epoch")[column].mean()
            axes.plot(means.index, means, linewidth=2, label=words, **look)
        axes.set_title("\n".join(textwrap.wrap(system_title(name), 26)), fontsize=10)  # wider ones meet
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.tick_params(labelsize=9.5, pad=1)
    cells[0, 0].set(ylim=(0, None))
    for axes in cells.flat[len(courses) :]:
        axes.set_axis_off()
    drawing.supxlabel("epoch", fontsize=11)
    drawing.supylabel("validation accuracy (%)", fontsize=11)
    handles, labels = cells[0, 0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, handlelength=2.6)
    settle(drawing)
    return drawing


def seconds_table(results: Results) -> Rows:
    """One line a trained system: passes of an image in an epoch and in all, epochs, updates, seconds, passes a second.

    Seconds are means over seeds. Only those of one device compare: where there are several, a column says which. What
    trained a teacher is not counted.
    """
    lines = []
    for name, records in _records(results).items():
        trained = [record for record in records if record.get("passes")]
        if not trained:
            continue
        training, images = trained[0]["config"]["training"], trained[0]["data"]["train_images"]
        seen = images // training["batch_size"] * training["batch_size"]  # an epoch's whole batches
        seconds = [record["seconds"] for record in trained]
        lines.append(
            {
                "system": system_title(name),
                "passes of an image and epoch": round(trained[0]["passes"] / (training["epochs"] * seen)),
                "epochs": training["epochs"],
                "updates": round(_updates(trained)),
                "passes of an image": round(_passes(trained)),
                "seconds": round(np.mean(seconds)),
                "passes per second": round(sum(record["passes"] for record in trained) / sum(seconds)),
                "device": ", ".join(sorted({record["device"] for record in trained})),
            }
        )
    if not lines:
        raise BadInput("these results hold no system that was trained, and so no costs")
    table = pd.DataFrame(lines)
    return table.drop(columns="device") if table["device"].nunique() == 1 else table
