"""What crops and training under attack cost, and what they buy."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from lib.cells import PGD_CELL
from lib.chapters.tradeoff.numbers import (
    CROPS,
    LENGTHENED,
    TRAININGS,
    against_clean,
    intervals_told,
    named,
    passes_of,
    records_of,
    updates,
)
from lib.chapters.tradeoff.plan import FREE, SYSTEMS
from lib.contrasts import difference, picked
from lib.controls import constant
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.marks import constant_line, constant_told
from lib.figures.prose import listed
from lib.figures.style import settle, use_style
from lib.figures.systems_look import pgd_name, system_look
from lib.measures.robust_accuracy import AT
from lib.measures.rows import Rows
from lib.runs import Results

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
                          elinewidth=1.1, **system_look(SYSTEMS[like]))  # fmt: skip
        axes.set_xscale("log", base=2)
        axes.set_xticks(sorted(table["views"].unique()), [str(views) for views in sorted(table["views"].unique())])
        axes.set(title=words, xlabel="views of an image")
        constant_line(axes, constant(results.rows))
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
        f"clean images, and under {pgd_name(results.rows)} at {AT}/255. {intervals_told('Bars', table['clean low'])}"
        f"{constant_told(constant(results.rows))}{scope}",
        notes=_sweep_costs_told(table),
        alt="Line charts of accuracy on clean images and under PGD against the number of views. "
        + "; ".join(told(own) for _, own in table.groupby("crop", sort=False))
        + ".",
        data=table.assign(crop=[CROPS[crop][0] for crop in table["crop"]]).rename(columns={"crop": "kind of view"}),
    )


def _swept(results: Results) -> Rows:
    """One line a system that differs from CF-AMC-SSL in its views alone: accuracies and costs, by kind and number."""
    rows = results.rows
    accuracies, records = against_clean(rows, "pgd"), records_of(results)
    lines = []
    for name, line in accuracies.iterrows():
        if SYSTEMS[name].method == "emp_ssl" and SYSTEMS[name].attack == FREE and name in records:
            settings = records[name][0]["config"]["settings"]
            lines.append(
                {"crop": settings["crop"], "views": settings["views"], **_both(line)}
                | {"passes": passes_of(records[name]), "updates": updates(records[name])}
            )
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
        for tick in sorted(table[x].unique()):  # except for those whose numbers would touch
            ticks += [tick] if not ticks or np.log(tick / ticks[-1]) > 0.25 * np.log(high / low) else []
        axes.set_xticks(ticks, [f"{tick:,.0f}" for tick in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlim(low, high)
        constant_line(axes, constant(results.rows))
    cells[0].set(xlabel="passes an image", ylabel="accuracy (%)")
    cells[1].set(xlabel="updates of the weights")
    drawing.legend(handles=_cost_key(table), loc="outside upper center", ncols=3, frameon=False, fontsize=10,
                   columnspacing=1.2, handletextpad=0.4)  # fmt: skip
    settle(drawing)
    return Figure(
        drawing,
        name="fig-cost",
        caption=f"Accuracy on clean images (hollow) and under {pgd_name(results.rows)} at {AT}/255 (filled), by what "
        f"training costs. {_links_told(table)}{intervals_told('Bars', table['clean low'])}"
        f"{constant_told(constant(results.rows))}{scope}",
        notes=_free_less_pgd(results.rows, table),
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
    accuracies, records = against_clean(results.rows, "pgd"), records_of(results)
    lines = [
        {"family": family, "training": training, "system": name, "passes": passes_of(records[name]),
         "updates": updates(records[name]), **_both(accuracies.loc[name])}
        for family, names in LENGTHENED.items()
        for training, name in zip(TRAININGS, names, strict=True)
        if name in records and name in accuracies.index
    ]  # fmt: skip
    if not lines:
        raise BadInput(f"these results hold no accuracy at {AT}/255 by PGD of {named(sum(LENGTHENED.values(), ()))}")
    return pd.DataFrame(lines)


def _links_told(table: Rows) -> str:
    """What the arrows and the dotted lines are, where there are any."""
    held = table.groupby("family")["training"].agg(set)
    same, longer, free = TRAININGS
    told = [
        words
        for words, other in (
            ("arrows lead to PGD at about equal updates", longer), ("dotted lines lead to free training", free)
        )
        if any({same, other} <= own for own in held)
    ]  # fmt: skip
    return f"From PGD at about equal passes, {listed(told)}. " if told else ""


def _draw_family(axes: Axes, own: Rows, x: pd.Series) -> None:
    """Trainings at `x`: hollow for clean images, filled under attack; an arrow to more updates, a line to free."""
    look = system_look(SYSTEMS[own["system"].iloc[0]])
    for kind, filling in (("clean", "white"), ("pgd", look["color"])):
        for row, line in own.iterrows():
            ends = [[line[kind] - line[f"{kind} low"]], [line[f"{kind} high"] - line[kind]]]
            marker = system_look(SYSTEMS[line["system"]])["marker"]
            axes.errorbar(x[row], line[kind], yerr=ends, marker=marker, markersize=6.5,
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
    looks = {
        line.family: {"marker": "o", "color": system_look(SYSTEMS[line.system])["color"]} for line in table.itertuples()
    }
    for line in table.itertuples():
        words = "free training" if line.training == "free" else "training by PGD"
        looks[words] = {"marker": system_look(SYSTEMS[line.system])["marker"], "color": grey}
    looks["clean"] = {"marker": "o", "color": grey, "markerfacecolor": "white"}
    looks["under attack"] = {"marker": "o", "color": grey}
    return [Line2D([], [], linestyle="none", markersize=6.5, label=words, **look) for words, look in looks.items()]


def _free_less_pgd(rows: Rows, table: Rows) -> str:
    """How far free training is above PGD under attack, for each family that has both."""
    attacked = picked(rows, PGD_CELL)
    told = []
    for family, own in table.groupby("family", sort=False):
        names = own.set_index("training")["system"]
        gaps = [
            f"{difference(attacked, {'system': names['free']}, {'system': name})} at {str(training).split(', ')[1]}"
            for training, name in names.items()
            if "free" in names and training != "free"
        ]
        told += [f"{family} {listed(gaps)}"] if gaps else []
    return f"Free training less PGD under attack, in points: {'; '.join(told)}. " if told else ""
