"""Encoders with negatives under attack."""

from __future__ import annotations

import matplotlib.pyplot as plt

from lib.chapters.negatives.figures import WORDS, told
from lib.chapters.negatives.numbers import ARMS, KINDS, PLAIN, REFERENCES, attack_levels, kind_of
from lib.chapters.negatives.plan import PLAN
from lib.chapters.negatives.systems import SYSTEMS
from lib.controls import constant
from lib.figures.figure import Figure
from lib.figures.levels import bars_told, data_of, needed
from lib.figures.marks import apart, constant_line, constant_told, dots, legend_above
from lib.figures.prose import number
from lib.figures.style import use_style
from lib.figures.systems_look import kind_look, pgd_name, system_look
from lib.measures.rows import Rows


def negatives_under_attack(rows: Rows, scope: str) -> Figure:
    """A panel a method: accuracy under PGD against epsilon, with and without negatives, beside the references."""
    table = attack_levels(rows)
    attacked = table[~table["system"].isin(REFERENCES) & (table["epsilon"] > 0)]
    needed(attacked, f"accuracies under PGD of one of {', '.join(ARMS)}")
    here = set(table["system"])
    panels = {name: own for name, arms in ARMS.items() if (own := [arm for arm in (name, *arms) if arm in here])}
    references = [name for name in REFERENCES if name in here]
    epsilons = sorted(table["epsilon"].unique())
    use_style()
    drawing, cells = plt.subplots(
        1, len(panels), figsize=(5.2 if len(panels) > 1 else 3.6, 3.5), sharey=True, squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axes, (name, arms) in zip(cells.flat, panels.items(), strict=True):
        systems = [*references, *arms]
        for system, aside in zip(systems, apart(len(systems), 0.08), strict=True):
            own = table[table["system"] == system]
            look = system_look(SYSTEMS[system]) | {"markersize": 4.5, "elinewidth": 1}
            dots(axes, own, own["epsilon"].map(epsilons.index) + aside, look, line=True)
        constant_line(axes, constant(rows))
        axes.set_title(PLAN.title(name))
        axes.set_xticks(range(len(epsilons)), [f"{epsilon:g}" for epsilon in epsilons])
    cells[0, 0].set(ylabel="accuracy (%)", ylim=(0, None))
    drawing.supxlabel("epsilon (255ths)", fontsize=11)
    kinds = {kind_of(arm) for arms in panels.values() for arm in arms}
    lines = {WORDS[kind]: kind_look(kind) for kind in (PLAIN, *KINDS) if kind in kinds}
    legend_above(drawing, lines | {PLAN.title(name): system_look(SYSTEMS[name]) for name in references})
    return Figure(
        drawing,
        name="fig-negatives-attacked",
        caption=f"Accuracy under {pgd_name(rows)} against epsilon in 255ths (0: no attack), of encoders that were "
        f"trained with negatives and without, none of them under attack. {bars_told(table)}"
        f"{constant_told(constant(rows))}{scope}",
        alt="Line charts of accuracy in percent under PGD against epsilon. "
        + told(table.assign(line=table["system"].map(PLAN.title)), "epsilon", "line", number)
        + ".",
        data=data_of(table, "accuracy", PLAN.title),
    )
