"""Accuracy in domain and out of it, as tables and a forest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lib.chapters.relicv2.claims import SHIFTED
from lib.chapters.relicv2.figures import mean_words, named_in_text
from lib.chapters.relicv2.numbers import (
    IN,
    LIKE_FOR_LIKE,
    NEIGHBOURS,
    OTHERS,
    OURS,
    OUT,
    PACS,
    gaps_to_others,
    in_and_out,
    in_domain_levels,
    main_systems,
    set_levels,
)
from lib.chapters.relicv2.plan import PLAN, SYSTEMS
from lib.figures.figure import Figure
from lib.figures.levels import as_table, bars_told, data_of, intervals, needed, tally
from lib.figures.marks import bands, dots
from lib.figures.prose import NONE, lower, signed
from lib.figures.style import settle, use_style
from lib.figures.systems_look import system_look
from lib.measures.rows import Rows


def in_domain_table(rows: Rows) -> Rows:
    """A line a main system: accuracy in percent by the probe and by nearest neighbours, with intervals."""
    table = needed(in_domain_levels(rows), "accuracies of systems in domain")
    return _across(table, "read", {IN: "probe", NEIGHBOURS: NEIGHBOURS})


def ood_table(rows: Rows) -> Rows:
    """A line a main system, a column a shift that rows have: accuracy in percent, with intervals.

    The mean is over the shifts that all these systems have. Those of PACS have a probe of their own, on photographs.
    """
    table = needed(set_levels(rows), "accuracies of systems in domain or under a shift")
    return _across(table, "set", {OUT: mean_words(in_and_out(rows, main_systems(rows))[1])})


def _across(table: Rows, along: str, words: Mapping[str, str]) -> Rows:
    """Means and intervals, a line a system and a column each of what `along` holds."""
    found = dict(zip(zip(table["system"], table[along], strict=True), intervals(table), strict=True))
    columns = [name for name in (IN, NEIGHBOURS, *SHIFTED, OUT, *PACS) if name in set(table[along])]
    return pd.DataFrame(
        {"system": PLAN.title(system)}
        | {f"{words.get(name, name)} (%)": str(found.get((system, name), NONE)) for name in columns}
        for system in table["system"].unique()
    )


def ood_forest(rows: Rows, scope: str) -> Figure:
    """A panel in domain, one a shift and one of their mean: accuracy of ReLICv2 less that of another system, in points.

    Supervision with the same crops, the comparison like for like, stands first.
    """
    found = gaps_to_others(rows)
    table = as_table(found, ["less", "system", "set"]).drop(columns="less")
    table = needed(table, f'accuracies of "{OURS}" and of one of {", ".join(OTHERS)}')
    systems = [name for name in OTHERS if name in set(table["system"])]
    sets = [name for name in (IN, *SHIFTED, OUT, *PACS) if name in set(table["set"])]
    words = {OUT: mean_words(in_and_out(rows, (OURS, *systems))[1])}
    use_style()
    columns = min(3, len(sets))
    lines = -(-len(sets) // columns)
    drawing, cells = plt.subplots(
        lines, columns, figsize=(5.4, 0.6 + lines * (0.5 + 0.19 * len(systems))), sharex=True, sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for place, axes in enumerate(cells.flat):
        if place >= len(sets):
            axes.set_axis_off()
            continue
        zero(axes)
        own = table[table["set"] == sets[place]]
        for line in own.index:
            system = own.loc[line, "system"]
            dots(axes, own.loc[[line]], [systems.index(system)], system_look(SYSTEMS[system]), flat=True)
        axes.set_title(words.get(sets[place], sets[place]), fontsize=10)
        axes.tick_params(labelsize=9.5, pad=1, labelbottom=place + columns >= len(sets))
    bands(cells[0, 0], [PLAN.title(name) for name in systems])
    drawing.supxlabel("points that ReLICv2 is ahead", fontsize=11)
    settle(drawing)
    named = table.assign(set=[words.get(name, name) for name in table["set"]]).rename(columns={"system": "other"})
    shifts = [gap for (_, other, name), gap in found.items() if other == systems[0] and name in SHIFTED]
    counted = f"Over the shifts, against {named_in_text(systems[0])}: {lower(tally(shifts))} " if shifts else ""
    return Figure(
        drawing,
        name="fig-ood",
        caption="Accuracy of ReLICv2 less that of other systems, in percentage points, a panel a test set: right of "
        f"zero ReLICv2 is ahead. {_first(systems)}{bars_told(table)}{scope}",
        notes=f"{counted}{_of_pacs(sets)}",
        alt="Charts of dots: percentage points that ReLICv2 is ahead of another system, a panel a test set. "
        + "; ".join(
            f"{words.get(name, name)}: "
            + ", ".join(f"{named_in_text(line.system)} {signed(line.mean)}" for line in own.itertuples())
            for name, own in ((name, table[table["set"] == name]) for name in sets)
        )
        + ".",
        data=data_of(named.assign(other=named["other"].map(PLAN.title)), "points ahead", PLAN.title),
    )


def _first(systems: Sequence[str]) -> str:
    if systems[0] != LIKE_FOR_LIKE:
        return ""
    return "The first line is like for like: supervision with the same images, crops and passes. "


def _of_pacs(sets: Iterable[str]) -> str:
    return "On PACS a probe of its own was fitted, on photographs. " if set(PACS) & set(sets) else ""


def zero(axes: Axes) -> None:
    axes.axvline(0, color="#333333", linewidth=1, zorder=1)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, prune="lower"))  # else it meets the panel before
