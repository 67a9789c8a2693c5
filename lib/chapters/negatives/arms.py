"""Arms of the study on each test set, as a forest and a table."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from lib.chapters.negatives.figures import WORDS, words
from lib.chapters.negatives.numbers import ARMS, KINDS, PAIRS, SETS, kind_of, set_scores, whole_systems
from lib.chapters.negatives.plan import PLAN
from lib.chapters.negatives.systems import SYSTEMS
from lib.figures.figure import Figure
from lib.figures.levels import as_table, bars_told, data_of, intervals, levels, needed, pair_gaps, tally
from lib.figures.marks import apart, bands, dot_of, dots, legend_above
from lib.figures.prose import NONE, signed
from lib.figures.style import use_style
from lib.figures.systems_look import kind_look, system_look
from lib.measures.rows import Rows


def arms_forest(rows: Rows, scope: str) -> Figure:
    """A panel a set of `SETS`: accuracy of each method with patch and texture negatives less without, in points."""
    gaps = pair_gaps(set_scores(rows), PAIRS, SETS)
    table = needed(
        as_table(gaps, ["system", "less", "set"]), f"accuracies of one of {', '.join(ARMS)} with negatives and without"
    )
    sets = [name for name in SETS if name in set(table["set"])]
    named = table.assign(less=table["less"].map(PLAN.title), set=table["set"].map(words))
    return Figure(
        _draw_forest(table, sets),
        name="fig-arms",
        caption="What patch and texture negatives add to the accuracy of a method, in percentage points, a panel a "
        f"test set. {bars_told(table)}{scope}",
        notes=tally(gaps.values()),
        alt="Charts of dots: percentage points gained by negatives, a panel a test set. "
        + "; ".join(
            f"{name}: " + ", ".join(f"{PLAN.title(line.system)} {signed(line.mean)}" for line in own.itertuples())
            for name, own in ((words(name), table[table["set"] == name]) for name in sets)
        )
        + ".",
        data=data_of(named, "points gained", PLAN.title),
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
                dots(axes, own, heights, system_look(SYSTEMS[own["system"].iloc[0]]), flat=True)
        axes.set_title(words(name), fontsize=10.5)
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.tick_params(labelsize=9.5, pad=1, labelbottom=place + columns >= len(sets))
    bands(cells[0, 0], [PLAN.title(name) for name in plains])
    for axes in cells.flat[len(sets) :]:
        axes.set_axis_off()
    drawing.supxlabel("points gained over the plain method", fontsize=11)
    legend_above(drawing, {WORDS[kind]: dot_of(kind_look(kind)) for kind in KINDS if (kinds == kind).any()})
    return drawing


def arms_table(rows: Rows) -> Rows:
    """A line a system except for those of another alpha or queue: accuracies in percent on `SETS`, with intervals."""
    table = levels(set_scores(rows), ["system", "set"])
    table = needed(table[table["system"].isin(whole_systems(rows))], f"accuracies of systems like {', '.join(ARMS)}")
    found = dict(zip(zip(table["system"], table["set"], strict=True), intervals(table), strict=True))
    systems = [name for name in whole_systems(rows) if name in set(table["system"])]
    sets = [name for name in SETS if name in set(table["set"])]
    return pd.DataFrame(
        {"system": PLAN.title(system)} | {f"{words(name)} (%)": str(found.get((system, name), NONE)) for name in sets}
        for system in systems
    )
