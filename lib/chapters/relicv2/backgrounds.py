"""Background reliance and segmentation."""

from __future__ import annotations

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from lib.cells import measured_by
from lib.chapters.relicv2.domains import zero
from lib.chapters.relicv2.figures import HEAD_WORDS, WORLD_WORDS, is_main, named_in_text
from lib.chapters.relicv2.numbers import (
    GAP,
    HEADS,
    MEAN,
    OURS,
    PARTS,
    WORLDS,
    background_gaps,
    own_systems,
    part_levels,
    segmentation_levels,
)
from lib.chapters.relicv2.plan import PLAN, SYSTEMS
from lib.contrasts import mean_of, of_cell
from lib.controls import CHANCE
from lib.figures.figure import Figure
from lib.figures.levels import bars_told, data_of, needed
from lib.figures.marks import DOTTED, apart, bands, borders, dot_of, dots, legend_above
from lib.figures.prose import foremost, number, signed
from lib.figures.style import settle, use_style
from lib.figures.systems_look import system_look
from lib.measures.rows import Rows


def background_reliance_figure(rows: Rows, scope: str) -> Figure:
    """A column a world of `WORLDS`: accuracy on `PARTS` of test scenes, and below it the background gap, by system."""
    parts, gaps = part_levels(rows), background_gaps(rows)
    main = [name for name in own_systems(rows) if is_main(name)]
    parts, gaps = (table[table["system"].isin(main)] for table in (parts, gaps))
    both = needed(pd.concat([parts, gaps.assign(part=GAP)], ignore_index=True), "accuracies on parts of scenes")
    systems = [name for name in main if name in set(both["system"])]
    worlds = [world for world in WORLDS if world in set(both["world"])]
    kinds = [part for part in PARTS if part in set(parts["part"])]
    chance = CHANCE["scenes"]
    use_style()
    heights = [0.12 * len(systems) * len(kinds) + 0.4, 0.19 * len(systems) + 0.4]
    drawing, cells = plt.subplots(
        2, len(worlds), figsize=(5.4, 1.4 + sum(heights)), sharey="row", squeeze=False, layout="constrained",
        height_ratios=heights,
    )  # fmt: skip
    for (upper, below), world in zip(cells.T, worlds, strict=True):
        for system, aside in zip(systems, apart(len(systems), 0.8 / len(systems)), strict=True):
            own = parts[(parts["world"] == world) & (parts["system"] == system)]
            look = system_look(SYSTEMS[system]) | {"markersize": 4}
            dots(upper, own, own["part"].map(kinds.index) + aside, look, flat=True)
            gap = gaps[(gaps["world"] == world) & (gaps["system"] == system)]
            dots(below, gap, [systems.index(system)] * len(gap), system_look(SYSTEMS[system]), flat=True)
        upper.axvline(chance, **DOTTED)
        borders(upper, len(kinds))
        zero(below)
        upper.set_title(f"{world}:\n{WORLD_WORDS[world]}", fontsize=10.5)
        upper.set_xlabel("accuracy (%)", fontsize=10)
        below.set_xlabel(f"{GAP} (points)", fontsize=10)
        upper.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for axes in (upper, below):
            axes.grid(axis="y", visible=False)
            axes.tick_params(labelsize=9.5, pad=1)
    bands(cells[0, 0], ["\n".join(textwrap.wrap(part, 12)) for part in kinds])
    bands(cells[1, 0], [PLAN.title(name) for name in systems])
    legend_above(drawing, {PLAN.title(name): dot_of(system_look(SYSTEMS[name])) for name in systems})
    return Figure(
        drawing,
        name="fig-background",
        caption="Accuracy on parts of test scenes, and the background gap: accuracy on objects before walls of their "
        "own class less that before others. Left, any class has any wall; right, each has its own. "
        f"Dotted: chance, {chance:.0f} %. {bars_told(both)}{scope}",
        notes="Left, walls are drawn without regard to the class; right, each class has walls of its own, in the "
        "images that the probe was fitted on too.",
        alt="Charts of dots: accuracy in percent on parts of scenes, and the background gap in points, by system. "
        + "; ".join(
            f"{world}, {part}: "
            + ", ".join(
                f"{named_in_text(line.system)} {signed(line.mean) if part == GAP else number(line.mean)}"
                for line in own.itertuples()
            )
            for world in worlds
            for part in (*kinds, GAP)
            if len(own := both[(both["world"] == world) & (both["part"] == part)])
        )
        + f". Chance is {chance:.0f} percent.",
        data=data_of(both, "value", PLAN.title),
    )


def segmentation_bars(rows: Rows, scope: str) -> Figure:
    """A panel a head of `HEADS`, a bar a main system: mean intersection over union in percent."""
    table = segmentation_levels(rows)
    means = needed(table[table["of"] == MEAN], f"{MEAN} of systems like {OURS}")
    systems, heads = list(means["system"].unique()), list(means["head"].unique())
    systems = [name for name in SYSTEMS if name in systems]
    use_style()
    drawing, cells = plt.subplots(
        1, len(heads), figsize=(5.4, 0.9 + 0.32 * len(systems)), sharey=True, sharex=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, head in zip(cells.flat, heads, strict=True):
        own = means[means["head"] == head]
        ends = np.stack([own["mean"] - own["low"], own["high"] - own["mean"]])
        axes.barh(
            own["system"].map(systems.index), own["mean"], xerr=ends, height=0.66,
            color=[system_look(SYSTEMS[name])["color"] for name in own["system"]],
            error_kw={"elinewidth": 1.2, "ecolor": "#777777"},
        )  # fmt: skip
        for line in own.itertuples():
            end = max(line.mean, line.high) if line.high == line.high else line.mean
            axes.annotate(f"{line.mean:.1f}", (end, systems.index(line.system)), xytext=(3, 0),
                          textcoords="offset points", va="center", fontsize=9.5)  # fmt: skip
        axes.set_title(HEAD_WORDS[head], fontsize=10.5)
        axes.grid(axis="y", visible=False)
        axes.tick_params(labelsize=9.5, pad=1)
    cells[0, 0].set_xlim(0, 1.3 * means[["mean", "high"]].max(axis=None))
    bands(cells[0, 0], [PLAN.title(name) for name in systems])
    drawing.supxlabel("mean intersection over union (%)", fontsize=11)
    settle(drawing)
    named = table.assign(head=table["head"].map(HEAD_WORDS)).rename(columns={"of": "class"})
    return Figure(
        drawing,
        name="fig-segmentation",
        caption="Which class a pixel is of, read from frozen features by a linear head and by a small network (FCN): "
        f"mean intersection over union on test scenes. {bars_told(means)}{scope}",
        notes=class_sentence(rows),
        alt="Bar charts of mean intersection over union in percent. "
        + "; ".join(
            f"{HEAD_WORDS[head]}: "
            + ", ".join(f"{named_in_text(line.system)} {line.mean:.1f}" for line in own.itertuples())
            for head, own in means.groupby("head", sort=False)
        )
        + ".",
        data=data_of(named.assign(**{"class": named["class"].replace(MEAN, f"mean ({MEAN})")}), "IoU", PLAN.title),
    )


def class_sentence(rows: Rows) -> str:
    """Which shape is found best and which worst, on average over trained systems; empty where none is told."""
    table = segmentation_levels(rows)
    trained = table[~table["of"].isin([MEAN, "background"]) & (table["system"] != "random")]
    head = next((head for head in HEADS if head in set(trained["head"])), None)
    own = trained[trained["head"] == head]
    if own["of"].nunique() < 2:
        return ""
    cells, metric = measured_by(rows, "segmentation"), f"{head} IoU"
    shapes = {
        shape: mean_of([of_cell(cells, {"metric": metric, "subset": shape, "system": name}) for name in own["system"]])
        for shape, own in own.groupby("of", sort=False)
    }

    def share(shape: str, percent: float) -> str:
        return f"{shape} ({percent:.0f} %)"

    return (
        f"Of the shapes the {HEAD_WORDS[head]} finds best {foremost(shapes, share)}; worst "
        f"{foremost(shapes, share, most=False)}; on average over the trained systems. "
    )
