"""Accuracy against the strength of the attack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing

from lib.cells import COMPARED
from lib.chapters.tradeoff.numbers import FEW, UNDEFENDED, accuracies, intervals_told, uses_labels
from lib.chapters.tradeoff.plan import PLAN, SYSTEMS
from lib.controls import CHANCE
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.prose import listed, repeated
from lib.figures.style import settle, use_style
from lib.figures.systems_look import pgd_name, system_look
from lib.measures.robust_accuracy import AT
from lib.measures.rows import CLEAN, Rows


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
        return f"{PLAN.title(name)} from {means[name, 0]:.0f} percent to {listed(fallen)}"

    return Figure(
        _draw_curves(panels, banded, chance, at),
        name="fig-epsilon",
        caption=f"Accuracy under {pgd_name(rows)} against epsilon in 255ths (0: no attack)"
        f"{repeated(rows, ', means over seeds')}. "
        f"Names are in the order at {at:g}. "
        + (intervals_told(f"Bands{whose}", table["low"]) if banded else "")
        + "".join(
            f"Dotted: a constant answer and chance, {value:.0f} %, below which an adversary can push an encoder. "
            for value in chance
        )
        + scope,
        alt=f"Line charts of accuracy under PGD against epsilon from 0 to {strongest:g} 255ths. "
        + " ".join(
            f"Trained {words}: {'; '.join(told(name) for name in own['system'].unique())}."
            for words, own in panels.items()
        ),
        data=table.assign(system=table["system"].map(PLAN.title)),
    )


def _curves(rows: Rows) -> Rows:
    """One line a system and epsilon, 0 for clean images: mean, low, high, images, and how the system was trained."""
    epsilons = sorted(rows.loc[(rows["metric"] == "accuracy") & (rows["shift"] == "pgd"), "level"].unique())
    tables = [accuracies(rows, CLEAN, None).assign(epsilon=0.0)]
    tables += [accuracies(rows, "pgd", epsilon).assign(epsilon=float(epsilon)) for epsilon in epsilons]
    table = pd.concat(tables).rename_axis("system").reset_index()
    shown = [
        name for name, system in SYSTEMS.items() if system.role in COMPARED and (system.attack or name in UNDEFENDED)
    ]
    ends = table.groupby("system")["epsilon"]
    whole = (ends.transform("min") == 0) & (ends.transform("max") > 0)
    table = table[table["system"].isin(shown) & whole]
    if table.empty:
        raise BadInput("these rows hold no accuracy by PGD of a system that was trained under attack or of a reference")
    trained = ["with labels" if uses_labels(name) else "without labels" for name in table["system"]]
    order = table["system"].map(sorted(SYSTEMS, key=uses_labels).index)  # those without labels first
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
            line, look = lines[name], system_look(SYSTEMS[name])
            x = line["epsilon"].map(places)
            axes.plot(x, line["mean"], label=PLAN.title(name), markersize=5, linewidth=1.5, **look)
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
