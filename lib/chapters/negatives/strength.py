"""The weight of negatives and the length of the queue."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator, NullLocator

from lib.chapters.negatives.figures import CURVE_LOOK, WORDS, told, words
from lib.chapters.negatives.numbers import CURVES, KINDS, PLAIN, QUEUED, alpha_gaps, queue_levels
from lib.chapters.negatives.plan import PLAN
from lib.chapters.negatives.systems import SYSTEMS
from lib.figures.figure import Figure
from lib.figures.levels import as_table, bars_told, data_of, needed, tally
from lib.figures.marks import apart, dots, legend_above
from lib.figures.style import use_style
from lib.figures.systems_look import system_look
from lib.measures.rows import Rows


def alpha_curve(rows: Rows, scope: str) -> Figure:
    """A panel for patch and one for texture negatives: what alpha adds to the accuracies of plain MoCo v2, in points.

    Lines are of the sets `CURVES`; alpha 0 stands for no such negatives.
    """
    gaps = alpha_gaps(rows)
    table = as_table(gaps, ["negatives", "set", "alpha"])
    table = needed(table, 'accuracies of "moco" and of "moco patch", "moco texture" or another alpha')
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
            dots(axes, own, x, CURVE_LOOK[name])
            axes.plot([0, *x], [0, *own["mean"]], linewidth=1.4, **(CURVE_LOOK[name] | {"marker": ""}))
        axes.set(title=WORDS[kind], ylabel="points gained")
    ticks = [0, *sorted(table["alpha"].unique())]
    cells[-1, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    cells[-1, 0].set_xlabel("alpha (0: no such negatives)")
    legend_above(drawing, {words(name): CURVE_LOOK[name] for name in CURVES if name in set(table["set"])}, 2)
    named = table.assign(negatives=table["negatives"].map(WORDS), set=table["set"].map(words))
    return Figure(
        drawing,
        name="fig-alpha",
        caption="What patch and texture negatives add to the accuracy of MoCo v2 on clean images and out of domain, "
        "in percentage points, against alpha, the factor of their similarity. "
        f"{bars_told(table)}{scope}",
        notes=tally(gaps.values()),
        alt="Charts of percentage points gained against alpha. "
        + told(named.assign(line=named["negatives"] + ", " + named["set"]), "alpha", "line")
        + ".",
        data=data_of(named, "points gained", PLAN.title),
    )


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
        axes.set_title(words(name))
    cells[0, 0].set_ylabel("accuracy (%)")
    drawing.supxlabel("keys in the queue", fontsize=11)
    here = [kind for kind in (PLAIN, "patch") if kind in set(table["negatives"])]
    legend_above(drawing, {WORDS[kind]: _arm_look(kind) for kind in here})
    named = table.assign(negatives=table["negatives"].map(WORDS), set=table["set"].map(words))
    return Figure(
        drawing,
        name="fig-queue",
        caption="Accuracy of MoCo v2 against the number of keys in its queue, without and with patch negatives, on "
        f"clean and on corrupted images. {bars_told(table)}{scope}",
        alt="Charts of accuracy in percent against the number of keys. "
        + told(named.assign(line=named["set"] + ", " + named["negatives"]), "queue", "line", "{:.1f}".format)
        + ".",
        data=data_of(named, "accuracy", PLAN.title),
    )


def _arm_look(kind: str) -> dict[str, object]:
    """Of an arm of MoCo v2."""
    return system_look(SYSTEMS["moco" if kind == PLAIN else f"moco {kind}"])
