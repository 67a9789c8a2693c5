"""Effective robustness: accuracy under a shift against accuracy in domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Drawing

from lib.chapters.relicv2.figures import is_main, named_in_text
from lib.chapters.relicv2.numbers import CONTROLS, FEWEST_CONTROLS, effective, scatter_of_controls
from lib.chapters.relicv2.plan import PLAN, SYSTEMS
from lib.controls import CHANCE
from lib.effective import on_line
from lib.figures.figure import Figure
from lib.figures.levels import data_of, needed
from lib.figures.marks import DOTTED, dot_of, dots, legend_above, logit_axes, logit_span
from lib.figures.prose import NONE, listed, signed
from lib.figures.style import use_style
from lib.figures.systems_look import system_look
from lib.measures.rows import Rows

LINE = "Line: least squares through the controls; how far a system lies above it is its effective robustness. "
NO_LINE = f"No line: these rows hold fewer than {FEWEST_CONTROLS} controls. "


def effective_robustness_of_systems(rows: Rows, scope: str) -> Figure:
    """A panel for corruptions and one each for natural shifts: accuracy under the shift against that in domain.

    A dot a system, on logit axes, with the line through the controls: see `lib.figures.relicv2_numbers.effective`.
    """
    table, lines = effective(rows)
    sets = list(needed(table, "accuracies in domain and under a shift")["set"].unique())
    chance = _chance(rows)
    drawing = _draw_effective(table, lines, sets, chance)
    controls = [name for name in CONTROLS if name in set(table["system"])]
    return Figure(
        drawing,
        name="fig-effective",
        caption="Accuracy under a shift against accuracy in domain, a dot a system, on logit axes. "
        f"{LINE if lines else NO_LINE}"
        f"{f'Dotted, where in view: chance, {chance:.0f} %. ' if chance else ''}{_bars_of_main(table)}{scope}",
        notes=f"Dots are means over seeds, on axes as in Taori et al. 2020. {_line_told(table, lines, controls)}",
        alt="Scatter charts of accuracy under a shift against accuracy in domain, in percent. "
        + "; ".join(_told_of(name, table[table["set"] == name], name in lines) for name in sets)
        + ".",
        data=_effective_data(table),
    )


def _chance(rows: Rows) -> float | None:
    """In percent; None of a data set whose classes are not known here."""
    return CHANCE.get(rows["dataset"].iloc[0])


def _line_told(table: Rows, lines: Mapping[str, tuple[float, float]], controls: Sequence[str]) -> str:
    if not lines:
        return ""
    slopes = listed([f"{slope:.2f} ({name})" for name, (slope, _) in lines.items()])
    off = max(scatter_of_controls(table, name) for name in lines)
    return (
        f"The line is fitted to the logits of the runs of {listed([named_in_text(name) for name in controls])}, with "
        f"slope {slopes}. The height of a system above it is to be judged beside the "
        f"controls, which lie up to {off:.1f} points off the line through the others of them. Its intervals hold the "
        "line's own error. "
    )


def _bars_of_main(table: Rows) -> str:
    return "Bars are 95 % intervals over seeds and images, of large dots. " if table["low"].notna().any() else ""


def _told_of(name: str, own: Rows, line: bool) -> str:
    told = [
        f"{named_in_text(at.system)} {at.mean:.0f} at {at.in_domain:.0f}"
        + (f" ({signed(at.above)} from the line)" if line else "")
        for at in own[own["system"].map(is_main)].itertuples()
    ]
    return f"{name}: {', '.join(told)}"


def _effective_data(table: Rows) -> Rows:
    named = data_of(table, "accuracy", PLAN.title).rename(
        columns={
            "in_domain": "in domain", "above": "points above line", "above_low": "low above line",
            "above_high": "high above line",
        }
    )  # fmt: skip
    return named.dropna(axis="columns", how="all").fillna(NONE)


def _draw_effective(table: Rows, lines: Mapping, sets: Sequence[str], chance: float | None) -> Drawing:
    here = [name for name in SYSTEMS if name in set(table["system"])]
    looks = {PLAN.title(name): dot_of(system_look(SYSTEMS[name])) for name in here if is_main(name)}
    words = {"ablation": "ReLICv2, a part changed", "sweep": "ReLICv2, other settings"}
    roles = {SYSTEMS[name].role: name for name in here}
    looks |= {told: dot_of(system_look(SYSTEMS[roles[role]])) for role, told in words.items() if role in roles}
    use_style()
    columns = min(2, len(sets))
    rows = -(-len(sets) // columns)
    height = 0.6 + 0.11 * len(looks) + 2.5 * rows
    drawing, cells = plt.subplots(
        rows, columns, figsize=(5.4 if columns > 1 else 4.4, height), squeeze=False, layout="constrained"
    )
    for axes, name in zip(cells.flat, sets, strict=False):
        own = table[table["set"] == name]
        spans = [logit_span(own[column]) for column in ("in_domain", "mean")]
        logit_axes(axes, *spans)
        if name in lines:
            along = np.linspace(*spans[0], 100)
            axes.plot(along, on_line(along, lines[name]), color="#333333", linewidth=1.2, zorder=1)
        if chance and spans[1][0] < chance < spans[1][1]:
            axes.axhline(chance, **DOTTED)
        by_weight = own.assign(main=own["system"].map(is_main)).sort_values("main", kind="stable")
        for line in by_weight.index:
            at = by_weight.loc[line]
            look = dot_of({"markersize": 6.5} | system_look(SYSTEMS[at["system"]]))
            if at["main"]:
                dots(axes, by_weight.loc[[line]], [at["in_domain"]], look)
            else:
                axes.plot(at["in_domain"], at["mean"], linestyle="none", zorder=1.5, **look)
        axes.set_title(name, fontsize=10.5)
        axes.tick_params(labelsize=9.5, pad=1)
    for axes in cells.flat[len(sets) :]:
        axes.set_axis_off()
    drawing.supxlabel("accuracy in domain (%)", fontsize=11)
    drawing.supylabel("accuracy under the shift (%)", fontsize=11)
    legend_above(drawing, looks, 2)
    return drawing
