"""Shape and texture: biases, versions that keep one cue, and classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lib.chapters.negatives.claims import BIASES
from lib.chapters.negatives.figures import CONFLICTS, CUE_WORDS, WORDS
from lib.chapters.negatives.numbers import (
    ARMS,
    CUES,
    IN,
    KINDS,
    PLAIN,
    REFERENCES,
    SINGLE_CUES,
    TEXTURES,
    bias_correlation,
    bias_gaps,
    bias_points,
    biases,
    class_levels,
    cue_levels,
    family,
    kind_of,
    main_systems,
)
from lib.chapters.negatives.plan import PLAN
from lib.chapters.negatives.systems import SYSTEMS
from lib.controls import CHANCE
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.levels import bars_told, data_of, needed, tally
from lib.figures.marks import DOTTED, apart, bands, borders, dot_of, dots, legend_above
from lib.figures.prose import lower, number, repeated, titled, written
from lib.figures.style import settle, use_style
from lib.figures.systems_look import kind_look, system_look
from lib.measures import Interval
from lib.measures.rows import Rows
from lib.methods import METHODS


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
            dots(axes, own, [systems.index(system)], system_look(SYSTEMS[system]) | {"markersize": 6}, flat=True)
            if system == "random":
                colour = system_look(SYSTEMS["random"])["color"]
                axes.axvline(own["mean"].iloc[0], color=colour, linestyle=":", zorder=1)
        axes.set_title(CONFLICTS[name], fontsize=10.5)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="y", visible=False)
    bands(cells[0, 0], [PLAN.title(name) for name in systems])
    drawing.supxlabel("shape bias (%)", fontsize=11)
    settle(drawing)
    gaps = bias_gaps(rows)
    return Figure(
        drawing,
        name="fig-shape-bias",
        caption="Shape bias: where shape and texture are at odds, the percentage for shape among the decisions for one "
        f"of the two. {'Dotted: random weights. ' * ('random' in systems)}{bars_told(table)}{scope}",
        notes=f"What negatives add: {lower(tally(gaps.values()))}" if gaps else "",
        alt="Charts of dots: shape bias in percent. "
        + "; ".join(
            f"{CONFLICTS[name]}: "
            + ", ".join(f"{PLAN.title(line.system)} {line.mean:.0f}" for line in own.itertuples())
            for name, own in table.groupby("conflicts", sort=False)
        )
        + ".",
        data=data_of(table.assign(conflicts=table["conflicts"].map(CONFLICTS)), "shape bias", PLAN.title),
    )


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
            size = 4.5 if SYSTEMS[system].role == "sweep" else 7.5
            axes.plot(point["bias"], point["error"], alpha=0.9, **system_look(SYSTEMS[system]) | {"markersize": size})
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
        caption="Mean corruption error against shape bias, a dot a trained system; small dots differ from a large one "
        f"in alpha or queue alone. Above: Spearman's ρ over {count} systems, with a 95 % interval; below zero, those "
        f"that decide more by shape err less. {scope}",
        notes=f"{repeated(rows, 'Dots are means over seeds. ')}For the interval variants of one method count once; "
        "systems differ in more than this bias.",
        alt="Scatter charts of mean corruption error against shape bias, in percent. "
        + "; ".join(
            f"{CONFLICTS[name]}, {told[name]}: "
            + ", ".join(f"{PLAN.title(own.Index)} {own.error:.0f} at {own.bias:.0f}" for own in points.itertuples())
            for name, points in panels.items()
        )
        + ".",
        data=table.assign(system=table["system"].map(PLAN.title)),
    )


def rho(found: Interval | None) -> str:
    if found is None:
        return "too few for a ρ"
    return f"ρ {written(found, 2)}"


def _looks(systems: Iterable[str]) -> dict[str, dict[str, object]]:
    """A legend of colours, of markers where there are several methods, and of references, of `systems`."""
    systems = list(systems)
    arms = [name for name in systems if name not in REFERENCES]
    kinds, methods = ({of(name) for name in arms} for of in (kind_of, lambda name: SYSTEMS[name].method))
    looks = {WORDS[kind]: dot_of(kind_look(kind)) for kind in (PLAIN, *KINDS) if kind in kinds}
    if len(methods) > 1:
        plain = {SYSTEMS[name].method: name for name in ARMS}
        looks |= {
            METHODS[method].title: dot_of(system_look(SYSTEMS[name]))
            for method, name in plain.items()
            if method in methods
        }
    return looks | {PLAN.title(name): dot_of(system_look(SYSTEMS[name])) for name in REFERENCES if name in systems}


def texture_reliance(rows: Rows, scope: str) -> Figure:
    """A band a class: accuracy on textures alone, and on clean images, of one method, plain and with negatives, beside
    the supervised reference."""
    table = needed(class_levels(rows), "accuracies of single classes on textures")
    classes, systems = list(table["class"].unique()), [name for name in family(rows) if name in set(table["system"])]
    images = {TEXTURES: "textures alone", IN: "clean images"}
    images = {name: words for name, words in images.items() if name in set(table["images"])}
    use_style()
    drawing, cells = plt.subplots(
        1, len(images), figsize=(5.2, 1.2 + 0.46 * len(classes)), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (name, words) in zip(cells.flat, images.items(), strict=True):
        for system, aside in zip(systems, apart(len(systems), 0.2), strict=True):
            own = table[(table["system"] == system) & (table["images"] == name)]
            look = system_look(SYSTEMS[system]) | {"markersize": 4.5}
            dots(axes, own, own["class"].map(classes.index) + aside, look, flat=True)
        axes.axvline(100 / len(classes), **DOTTED)
        borders(axes, len(classes))
        axes.set_title(words)
        axes.grid(axis="y", visible=False)
    bands(cells[0, 0], classes)
    drawing.supxlabel("accuracy (%)", fontsize=11)
    legend_above(drawing, {PLAN.title(name): dot_of(system_look(SYSTEMS[name])) for name in systems}, 2)
    on = table[table["images"] == TEXTURES]
    return Figure(
        drawing,
        name="fig-textures",
        caption="Accuracy by class, on textures that were made of test images and on the images themselves; the class "
        f"that is told best by its texture on average stands at the top. Dotted: chance. {bars_told(table)}{scope}",
        alt="Charts of dots: accuracy in percent by class, on textures and on clean images. On textures, of "
        f"{titled([PLAN.title(name) for name in systems])}: "
        + "; ".join(
            f"{name} " + ", ".join(f"{mean:.0f}" for mean in own["mean"])
            for name, own in on.groupby("class", sort=False)
        )
        + f". Chance is {100 / len(classes):.0f}.",
        data=data_of(table, "accuracy", PLAN.title),
    )


def cue_curves(rows: Rows, scope: str) -> Figure:
    """Accuracy on versions of the test images that keep or lose a cue: a panel each for `CUES`, and one for the others.

    Drawn are the references and one method, plain and with negatives; the data have all main systems.
    """
    table = cue_levels(rows)
    systems = [name for name in family(rows) if name in set(table["system"])]
    shown = table[table["system"].isin(systems)]
    changed = set(needed(shown[shown["level"] != 1], "accuracies on changed test images")["version"])
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
        steps = sorted(own["level"].unique())
        _draw_versions(axes, own, own["level"].map(steps.index), systems, line=True)
        axes.set_xticks(range(len(steps)), [f"{step:g}" for step in steps])
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
    legend_above(drawing, {PLAN.title(name): system_look(SYSTEMS[name]) for name in systems}, 2)
    named = table.assign(version=[CUE_WORDS[name][0] if name in CUES else name for name in table["version"]])
    return Figure(
        drawing,
        name="fig-cues",
        caption="Accuracy of a probe of whole images on versions of the test images: shuffled in squares (1: whole), "
        "with slow or with fast changes alone, as silhouettes or edges, "
        f"in other colours or styles, and on the negatives themselves. {bars_told(shown)}"
        + "".join(f"Dotted: chance, {value:.0f} %. " for value in chance)
        + scope,
        alt="Charts of accuracy in percent on versions of the test images. "
        + "; ".join(
            f"{PLAN.title(system)}: "
            + ", ".join(
                f"{version} " + " to ".join(dict.fromkeys(number(its["mean"].iloc[end]) for end in (0, -1)))
                for version, its in own.groupby("version", sort=False)
            )
            for system, own in named[named["system"].isin(systems)].groupby("system", sort=False)
        )
        + ".",
        data=data_of(named, "accuracy", PLAN.title),
    )


def _draw_versions(axes: Axes, table: Rows, places: pd.Series, systems: Sequence[str], line: bool = False) -> None:
    aside = dict(zip(systems, apart(len(systems), 0.08 if line else 0.13), strict=True))
    for system, own in table.groupby("system"):
        look = system_look(SYSTEMS[system]) | {"markersize": 4.5, "elinewidth": 1}
        dots(axes, own, places[own.index] + aside[system], look, line=line)
