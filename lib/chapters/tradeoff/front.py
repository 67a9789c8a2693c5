"""The trade-off: robust against clean accuracy, with the front of what nothing beats in both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from lib.cells import COMPARED
from lib.chapters.tradeoff.numbers import (
    LEAST_AREA,
    WIDEST_AREA,
    against_clean,
    intervals_told,
    named,
    passes_of,
    records_of,
    uses_labels,
)
from lib.chapters.tradeoff.plan import PLAN, SYSTEMS
from lib.controls import constant
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.marks import constant_line, constant_told
from lib.figures.prose import repeated, titled
from lib.figures.style import settle, use_style
from lib.figures.systems_look import kind_look, pgd_name, system_look
from lib.measures.robust_accuracy import AT
from lib.measures.rows import Rows
from lib.methods import METHODS
from lib.runs import Results

# Wherever they lie: the paper's, the large marker that may lie upon it, and what no legend tells
SPOKEN_OF = ("cf-amc-ssl", "emp crops pgd long", "acl", "trades", "random")
ATTACKS = {"pgd": "PGD", "free": "free", "fgsm": "FGSM"}
NOWHERE = np.empty((0, 2))  # no marks


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
        points = against_clean(rows, shift)
        points = points[points.index.isin(compared)]
        if len(points):
            panels[words] = points
    if not panels:
        raise BadInput(f"these rows hold no accuracy of a system on clean images and at {AT}/255 by PGD or AutoAttack")
    passes = {name: passes_of(records) for name, records in records_of(results).items()}
    first = next(iter(panels.values()))
    return Figure(
        _draw_trade_off(panels, passes, constant(rows)),
        name="fig-trade-off",
        caption=f"Accuracy under attack at {AT}/255 against accuracy on clean images, a marker a system, its colour "
        f"the method's. {intervals_told('Crosses', first['low'])}{constant_told(constant(rows))}{_lines_told(panels)} "
        f"{scope}",
        notes=f"{repeated(rows, 'Markers are means over seeds. ')}{_attacks_told(panels)} The larger a marker, the "
        f"more passes an image took in training{_teachers_told(panels)}. On the front are systems that no other equals "
        "in both accuracies and beats in one. Named are those on a line, "
        f"{named([name for name in SPOKEN_OF if name in first.index])}.",
        alt="Scatter chart of accuracy under attack against accuracy on clean images, in percent. "
        + " ".join(
            f"Under {words}: "
            + "; ".join(f"{PLAN.title(line.Index)} {line.mean:.0f} at {line.clean:.0f}" for line in _means(points))
            + "."
            for words, points in panels.items()
        )
        + f" {_fronts_told(panels)}",
        data=_trade_off_data(panels, passes),
    )


def _means(points: Rows) -> Iterator[Any]:
    """Tuples with Index, clean and mean."""
    return points[["clean mean", "mean"]].rename(columns={"clean mean": "clean"}).itertuples()


def _fronts(points: Rows) -> list[list[str]]:
    """The front of all systems, and that of those that need no labels where there are others."""
    values = points[["clean mean", "mean"]]
    without = values[[not uses_labels(name) for name in values.index]]
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
        PLAN.title(name)
        for points in panels.values()
        for name in points.index
        if hasattr(METHODS[SYSTEMS[name].method].build, "teacher")
    )
    return f" (the teacher of {titled(list(taught))} is not counted)" if taught else ""


def _lines_told(panels: Mapping[str, Rows]) -> str:
    """What the lines are; the data beside the figure say who is on them."""
    without = any(len(_fronts(points)) > 1 for points in panels.values())
    return "Full line: the Pareto front" + ("; broken line: that of systems without labels." if without else ".")


def _fronts_told(panels: Mapping[str, Rows]) -> str:
    """Who is on the lines, for those who cannot see them."""
    told = []
    for words, points in panels.items():
        everyone, *without = map(named, _fronts(points))
        lines = f"Under {words} the full line has {everyone}"
        told.append(lines + "".join(f", and the broken line {names}" for names in without))
    return f"{'. '.join(told)}."


def _draw_trade_off(panels: Mapping[str, Rows], passes: Mapping[str, float], kept: float | None) -> Drawing:
    use_style()
    drawing, cells = plt.subplots(
        len(panels), 1, figsize=(5.2, 0.9 + 3.9 * len(panels)), sharex=True, squeeze=False, layout="constrained"
    )
    shown = {name: passes.get(name, 0) for points in panels.values() for name in points.index}
    scale = WIDEST_AREA / max(1.0, *shown.values())
    areas = {name: max(LEAST_AREA, scale * own) for name, own in shown.items()}
    for axes, (words, points) in zip(cells.flat, panels.items(), strict=True):
        for name, line in points.iterrows():
            own = system_look(SYSTEMS[name])
            axes.errorbar(line["clean mean"], line["mean"], linestyle="none", color=own["color"], elinewidth=0.8,
                          alpha=0.3, zorder=2, xerr=[[line["clean mean"] - line["clean low"]],
                                                     [line["clean high"] - line["clean mean"]]],
                          yerr=[[line["mean"] - line["low"]], [line["high"] - line["mean"]]])  # fmt: skip
            above = 3 - areas[name] / (2 * WIDEST_AREA)  # the smaller, the nearer to the eye: none is hidden
            axes.scatter(line["clean mean"], line["mean"], s=areas[name], **_filling(own), marker=own["marker"],
                         linewidths=1.2, zorder=above, gid=name)  # fmt: skip
        constant_line(axes, kept)
        axes.margins(0.1)
        axes.set(title=words, ylabel=f"accuracy at {AT}/255 (%)")
        top = axes.get_ylim()[1]
        axes.set(ylim=(-0.09 * top, top))  # room for words below those that are at 0
    cells[-1, 0].set(xlabel="accuracy on clean images (%)", xlim=cells[-1, 0].get_xlim())  # as they are, from here on
    for axes, points in zip(cells.flat, panels.values(), strict=True):
        for front, linestyle in zip(_fronts(points), ("-", (0, (4, 2))), strict=False):
            axes.plot(*_steps(axes, points.loc[front]), color="#333333", linewidth=0.9, linestyle=linestyle, zorder=1)
    kinds = dict.fromkeys(system.attack.kind for name, system in SYSTEMS.items() if name in shown and system.attack)
    attacks = [_key(ATTACKS.get(kind, kind), kind_look(kind)["marker"]) for kind in kinds]
    keys = {"passes an image": _sizes(shown, scale), "trained against": attacks}
    for place, (words, handles) in zip(("left", "right"), keys.items(), strict=True):
        drawing.legend(handles=handles, title=words, loc=f"outside lower {place}", ncols=len(handles), frameon=False,
                       fontsize=10, title_fontsize=10, handletextpad=0.2, columnspacing=1)  # fmt: skip
    settle(drawing)
    for axes, points in zip(cells.flat, panels.values(), strict=True):
        _label_points(axes, points, areas)
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
    return [_key(words, "o", np.sqrt(area)) for words, area in shown.items()]


def _key(words: str, marker: object, size: float = 7) -> Line2D:
    return Line2D([], [], linestyle="none", marker=marker, color="#555555", markersize=size, markeredgewidth=0,
                  label=words)  # fmt: skip


def _label_points(axes: Axes, points: Rows, areas: Mapping[str, float]) -> None:
    """Write titles beside the points that are on a front or SPOKEN_OF, in a settled drawing, with a thin line where one
    is far off. Titles of all would lie on each other; the data and the alternative text name the rest."""
    whole, chosen = points, {*SPOKEN_OF, *sum(_fronts(points), [])}
    points = points[points.index.isin(chosen)]
    unit = 72 / axes.figure.dpi  # pixels -> points of the page, which hold at any resolution
    marks = unit * axes.transData.transform(points[["clean mean", "mean"]])
    sizes = []
    for name in points.index:
        text = axes.text(0, 0, PLAN.title(name), fontsize=9.5)
        sizes.append(unit * text.get_window_extent().size)
        text.remove()
    corners = [np.stack(_steps(axes, whole.loc[front]), axis=1) for front in _fronts(whole)]
    steps = [np.linspace(line[:-1], line[1:], 20).reshape(-1, 2) for line in corners]
    faint = unit * axes.transData.transform(np.concatenate([_crosses(whole), *steps]))
    low, high = unit * axes.get_window_extent().get_points()
    others = whole.drop(index=points.index)
    bare = unit * axes.transData.transform(others[["clean mean", "mean"]])
    reach = np.array([max(5.0, np.sqrt(areas[name]) / 2 + 1) for name in (*points.index, *others.index)])
    corners = free_places(marks, np.array(sizes), low + 3, high - 3, faint, bare, reach)
    for (name, point), mark, size, corner in zip(points.iterrows(), marks, sizes, corners, strict=True):
        offset = corner + (0, size[1] / 2) - mark
        right = offset[0] > 0
        away = max(offset[0] if right else -offset[0] - size[0], abs(offset[1]))
        colour = system_look(SYSTEMS[name])["color"]
        line = {"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 3,
                "relpos": (0 if right else 1, 0.5)}  # fmt: skip
        axes.annotate(PLAN.title(name), (point["clean mean"], point["mean"]), xytext=offset,
                      textcoords="offset points", color=colour, fontsize=9.5, va="center", zorder=4,
                      arrowprops=line if away > 9 else None,
                      bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5})  # fmt: skip


def _crosses(points: Rows) -> np.ndarray:
    """Where the crosses of `points` run: dots (N, 2) of accuracies; none of a system that has no interval."""
    known = points.dropna()
    along = [np.linspace(known[f"{kind}low"], known[f"{kind}high"], 16).ravel() for kind in ("clean ", "")]
    across = [np.tile(known[f"{kind}mean"], 16) for kind in ("clean ", "")]
    return np.concatenate([np.stack([along[0], across[1]], axis=1), np.stack([across[0], along[1]], axis=1)])


def free_places(
    marks: np.ndarray, sizes: np.ndarray, low: np.ndarray, high: np.ndarray, faint: np.ndarray,
    bare: np.ndarray = NOWHERE, reach: np.ndarray | float = 5.0,
) -> np.ndarray:  # fmt: skip
    """Lower left corners (N, 2) of boxes of `sizes` (N, 2) beside `marks` (N, 2), all in points of the page.

    From the top mark down, each box takes the nearest place between the corners `low` and `high` (2,) that covers no
    other box and, if it can be, no mark, no line from a mark to its box, and few of the dots `faint` (K, 2). Then each
    chooses again, twice, now that it knows all others. Marks without a box are `bare` (M, 2), and `reach` (N + M,) is
    half the side of each mark.
    """
    ups, acrosses = np.arange(-240, 241, 6.0), np.array([7.0, 20, 40, 70])
    up, across = (np.tile(part.ravel(), 2) for part in np.meshgrid(ups, acrosses))
    sides = np.repeat([1, -1], len(up) // 2)
    covered, half = np.concatenate([marks, bare]), np.reshape(reach, (-1, 1))
    spots = np.concatenate([covered - half, covered + half], axis=1)  # left, bottom, right, top
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
        crossed = _overlaps(np.tile(ways.reshape(-1, 2), 2), others).reshape(len(ways), -1).sum(axis=0)
        cost = across + 1.2 * np.abs(up) + 1e4 * outside + 1e3 * _overlaps(places, others) + 60 * crossed
        cost += 60 * (_overlaps(places, spots) + _overlaps(places, np.tile(passed, 2)))
        best = np.argmin(cost + 2 * _overlaps(places, np.tile(faint, 2)))
        boxes[own], lines[own] = places[best], ways[:, best]
    return boxes[:, :2]


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How many of `others` (M, 4) each of `boxes` (N, 4) has a part of, by left, bottom, right and top: (N,)."""
    left, bottom, right, top = np.ascontiguousarray(others.T)
    mine = [side[:, None] for side in np.ascontiguousarray(boxes.T)]
    shared = (mine[0] < right) & (left < mine[2])
    shared &= mine[1] < top
    shared &= bottom < mine[3]
    return np.count_nonzero(shared, axis=1)


def _trade_off_data(panels: Mapping[str, Rows], passes: Mapping[str, float]) -> Rows:
    tables = []
    for words, points in panels.items():
        front, *without = _fronts(points)
        told = {"attack": words, "system": [PLAN.title(name) for name in points.index]}
        told |= {"clean accuracy": points["clean mean"], "clean low": points["clean low"]}
        told |= {"clean high": points["clean high"], "accuracy under attack": points["mean"], "low": points["low"]}
        told |= {"high": points["high"], "passes an image": [passes.get(name, 0.0) for name in points.index]}
        told["on the front"] = [name in front for name in points.index]
        if without:
            told["on that without labels"] = [name in without[0] for name in points.index]
        tables.append(pd.DataFrame(told))
    return pd.concat(tables, ignore_index=True)
