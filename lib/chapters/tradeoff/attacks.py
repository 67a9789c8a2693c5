"""What attacks do: strong and weak ones, read-outs, quirks of public code, published numbers, and perturbations.

Rows are those of the study of systems (`lib.runs.systems`), of one encoder and one data set; the level of an attack
is epsilon in 255ths. What rows lack is left out, or a dash in a table.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing

from lib.cells import COMPARED
from lib.chapters.tradeoff.plan import PLAN, SYSTEMS
from lib.contrasts import estimates, levels, of_two, picked
from lib.controls import constant
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.marks import constant_line, constant_told
from lib.figures.prose import repeated, signed
from lib.figures.style import settle, use_style
from lib.figures.systems_look import pgd_name, system_look
from lib.measures import Interval, read_together
from lib.measures.adversarial_probe import METRIC as ADVERSARIAL
from lib.measures.aggregation import METRICS as AGGREGATED
from lib.measures.robust_accuracy import AT, OF_HEAD, ZERO_GRADIENT
from lib.measures.rows import CLEAN, Rows

Cell = tuple[str, float | None, str]  # shift, level (None where there is none) and metric of a row


AMPLIFIED = 8  # times, on the slider: 16/255 fills the range, and smaller ones show how much smaller they are


FILLED = "Aggregation is attacked in every crop by itself (hollow) or in the image (filled). "
DOTS = "Dotted"  # what the line of a constant answer is called where there is no other


NONE = "–"  # in a table, what was not measured


ON_CLEAN, ON_PGD, ON_AUTO = (CLEAN, None, "accuracy"), ("pgd", AT, "accuracy"), ("autoattack", AT, "accuracy")


ON_ITS_IMAGES = (CLEAN, None, "accuracy on its images")  # those of AutoAttack, which may be fewer


# Attacks at `AT`, the weak ones first. Open markers are weak, filled ones strong; Square sees no gradient.
STRENGTHS = {
    "pgd-2": ("PGD-2", {"marker": ">", "color": "#E69F00", "markerfacecolor": "white"}),
    "fgsm": ("FGSM", {"marker": "^", "color": "#D55E00", "markerfacecolor": "white"}),
    "pgd": ("PGD", {"marker": "o", "color": "#0072B2"}),
    "apgd": ("APGD", {"marker": "x", "color": "#004B77", "markeredgewidth": 1.8}),
    "autoattack": ("AutoAttack", {"marker": "|", "color": "#000000", "markersize": 13, "markeredgewidth": 2.2}),
    "square": ("Square", {"marker": "s", "color": "#CC79A7", "markerfacecolor": "white"}),
}


PER_VIEW, THROUGH = "pgd per view", "pgd through crops"


READ_OUTS = {  # of a frozen encoder: words -> metric, what attacks it, and the look
    "standard probe": ("accuracy", ("pgd",), {"marker": "o", "color": "#0072B2"}),
    "adversarial probe": (ADVERSARIAL, ("pgd",), {"marker": "s", "color": "#009E73"}),
    "probe on the head": (OF_HEAD, ("pgd",), {"marker": "^", "color": "#333333"}),
    "aggregated crops": (AGGREGATED["crop"], (PER_VIEW, THROUGH), {"marker": "D", "color": "#D55E00"}),
    "aggregated patches": (AGGREGATED["patch"], (PER_VIEW, THROUGH), {"marker": "v", "color": "#E69F00"}),
}


QUIRKS = {  # a system with a quirk of public code: the one without, and what the quirk is
    "emp crops pgd batch": ("emp crops pgd long", "attack in training mode"),
    "emp crops pgd summed": ("emp crops pgd batch", "summed gradients"),
    "cf-amc-ssl cyclic": ("cf-amc-ssl", "cyclic schedule"),
    "simclr pgd same view": ("simclr pgd long", "attack against the same view, from zero"),
}


# The lines of the table of Ghofrani and Jamshidi (arXiv 2501.03507) -> what comes nearest of ours. Their PGD training
# has about as many updates as their free training.
PUBLISHED = {
    "Patch-based EMP-SSL": "emp patches pgd",
    "Crop-based EMP-SSL": "emp crops pgd long",
    "Crop-based SimCLR": "simclr pgd long",
    "Patch-based SimCLR": None,
    "Patch-based EMP-FreeAdv": "emp patches free",
    "Crop-based SimCLR-FreeAdv": "simclr free",
    "Crop-based EMP-FreeAdv (CF-AMC-SSL)": "cf-amc-ssl",
}


def _short(name: str) -> str:
    """A title in lines that are short enough to stand beside a chart on a phone."""
    return "\n".join(textwrap.wrap(PLAN.title(name), 17))


def _joined(titles: Sequence[str]) -> str:
    """Titles hold commas: a; b and c."""
    return " and ".join(filter(None, ("; ".join(titles[:-1]), titles[-1])))


def check_systems(rows: Rows) -> None:
    if "system" not in rows:
        raise BadInput("these figures compare systems: take rows of the study accuracy_robustness_tradeoff")


def compared(rows: Rows) -> list[str]:
    held = set(rows["system"])
    return [name for name, system in SYSTEMS.items() if name in held and system.role in COMPARED]


def levels_at(rows: Rows, cells: Iterable[Cell]) -> dict[tuple, Interval]:
    """(system, *cell) -> mean over seeds and interval, for those of `cells` that a system has."""
    check_systems(rows)
    found = {}
    for cell in dict.fromkeys(cells):
        wanted = picked(rows, as_columns(cell))
        if wanted.duplicated(["system", "seed"]).any():
            raise BadInput("rows hold one number for each system, seed, shift, level and metric here, not several")
        found |= {(system, *cell): own for (system,), own in levels(wanted, ["system"]).items()}
    order = {name: place for place, name in enumerate(dict.fromkeys(rows["system"]))}
    return dict(sorted(found.items(), key=lambda item: order[item[0][0]]))


def as_columns(cell: Cell) -> dict[str, object]:
    """A cell as `lib.contrasts.picked` takes it."""
    return dict(zip(("shift", "level", "metric"), cell, strict=True))


def _repeated(table: Rows) -> bool:
    """Whether there are intervals: not of one seed."""
    return bool(table["low"].notna().any())


def _readable(table: Rows) -> Rows:
    """The data behind a figure: titles of systems, and no ends of intervals where none is known."""
    told = table.assign(system=table["system"].map(PLAN.title))
    return told if _repeated(table) else told.drop(columns=["low", "high"])


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _points(value: float) -> str:
    """12.3 points more, or fewer."""
    return f"{abs(value):.1f} points {'more' if value >= 0 else 'fewer'}"


def _images(rows: Rows, cell: Cell) -> int:
    return int(picked(rows, as_columns(cell))["images"].max())


# How strong an attack is


def attack_strength(rows: Rows, scope: str) -> Figure:
    """A line a system that was trained under attack, and on it its accuracy at 8/255 under each of `STRENGTHS`.

    Means over seeds; the intervals are in the data. `scope` says in words what the rows are, for the caption. Raises
    BadInput where no such system has an accuracy under PGD.
    """
    found = levels_at(rows, [ON_CLEAN, ON_ITS_IMAGES, *((shift, AT, "accuracy") for shift in STRENGTHS)])
    systems = [name for name in compared(rows) if SYSTEMS[name].attack and (name, *ON_PGD) in found]
    if not systems:
        raise BadInput(
            f"this figure needs the accuracy under PGD at {AT}/255 of a system that was trained under attack"
        )
    words = {shift: word for shift, (word, _) in STRENGTHS.items()} | {"pgd": pgd_name(rows)}
    table = pd.DataFrame(
        [
            (name, shift, level.mean, level.low, level.high)
            for name in systems
            for shift in STRENGTHS
            if (level := found.get((name, shift, AT, "accuracy")))
        ],
        columns=["system", "attack", "accuracy", "low", "high"],
    )
    return Figure(
        _draw_strengths(table, systems, words, constant(rows)),
        name="fig-attacks",
        caption=f"Accuracy at {AT}/255 of the systems that were trained under attack, by the attack that tests them"
        f"{repeated(rows, '; a dot is a mean over seeds')}. {constant_told(constant(rows), DOTS)}"
        f"{_square_told(rows, found, systems, words['pgd'])}{scope}",
        notes=f"{_weak_told(found, systems, words['pgd'])}{_auto_told(rows, found, systems, words['pgd'])}"
        f"{_zero_told(levels_at(rows, [(CLEAN, None, ZERO_GRADIENT)]), systems)}",
        alt=f"Chart of dots: accuracy in percent at {AT}/255, from the attack that leaves most to the one that leaves "
        "least. "
        + "; ".join(f"{PLAN.title(name)} {_ends(table[table['system'] == name], words)}" for name in systems)
        + ".",
        data=_readable(table.assign(attack=table["attack"].map(words))),
    )


def _draw_strengths(table: Rows, systems: Sequence[str], words: Mapping[str, str], kept: float | None) -> Drawing:
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 1.3 + 0.42 * len(systems)), layout="constrained")
    for height, name in enumerate(systems):
        own = table[table["system"] == name]
        colour = system_look(SYSTEMS[name])["color"]
        axes.hlines(height, own["accuracy"].min(), own["accuracy"].max(), colour, linewidth=1, alpha=0.6)
    constant_line(axes, kept, upright=True)
    for shift in table["attack"].unique():
        own = table[table["attack"] == shift]
        look = {"markersize": 6.5} | STRENGTHS[shift][1]
        axes.plot(own["accuracy"], own["system"].map(systems.index), linestyle="none", label=words[shift], **look)
    axes.set_yticks(range(len(systems)), [_short(name) for name in systems], linespacing=0.95)
    axes.set(ylim=(len(systems) - 0.5, -0.5), xlabel=f"accuracy at {AT}/255 (%)")
    axes.grid(axis="y", visible=False)
    _legend(drawing, axes)
    return drawing


def _legend(drawing: Drawing, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=3, frameon=False, columnspacing=1.2,
                   handletextpad=0.2)  # fmt: skip
    settle(drawing)


def _ends(own: Rows, words: Mapping[str, str]) -> str:
    """from 41 (PGD-2) to 30 (AutoAttack)"""
    highest, lowest = own.loc[own["accuracy"].idxmax()], own.loc[own["accuracy"].idxmin()]
    return " to ".join(f"{end['accuracy']:.1f} ({words[end['attack']]})" for end in (highest, lowest))


def _weak_told(found: Mapping, systems: Sequence[str], pgd: str) -> str:
    weak = ("pgd-2", AT, "accuracy")
    gaps = [found[name, *weak].mean - found[name, *ON_PGD].mean for name in systems if (name, *weak) in found]
    if not gaps:
        return ""
    return f"PGD-2, the default of a public script, leaves {_points(mean(gaps))} than {pgd} on average. "


def _auto_told(rows: Rows, found: Mapping, systems: Sequence[str], pgd: str) -> str:
    """By how much AutoAttack is stronger. Where its images are others than PGD's, losses compare, not what is left."""
    having = [name for name in systems if {(name, *ON_AUTO), (name, *ON_ITS_IMAGES), (name, *ON_CLEAN)} <= set(found)]
    if not having:
        return ""
    taken = {
        attack: mean(found[name, *before].mean - found[name, *attack].mean for name in having)
        for before, attack in ((ON_ITS_IMAGES, ON_AUTO), (ON_CLEAN, ON_PGD))
    }
    fewer, all_of_them = _images(rows, ON_AUTO), _images(rows, ON_PGD)
    where = (
        "" if fewer == all_of_them
        else f", each counted from the clean accuracy on its own images ({fewer:,} and {all_of_them:,})"
    )  # fmt: skip
    return f"AutoAttack takes {_points(taken[ON_AUTO] - taken[ON_PGD])} than {pgd}{where}. "


def _square_told(rows: Rows, found: Mapping, systems: Sequence[str], pgd: str) -> str:
    having = [name for name in systems if (name, "square", AT, "accuracy") in found]
    cells = [as_columns(cell) for cell in (("square", AT, "accuracy"), ON_PGD)]
    more = {name: of_two(rows, *(cell | {"system": name} for cell in cells)) for name in having}
    lower = [name for name, gap in read_together(estimates(more)).items() if gap.sign < 0]
    if not having:
        return ""
    if not lower:
        return (
            f"Square, which sees no gradient, is shown to leave fewer than {pgd} on none, so masked gradients are not "
            "shown. "
        )
    return (
        f"Square, which sees no gradient, leaves fewer than {pgd} on "
        f"{_joined([PLAN.title(name) for name in lower])}: a sign of masked gradients. "
    )


def _zero_told(found: Mapping, systems: Sequence[str]) -> str:
    """How many images give cross-entropy no gradient, where it was measured."""
    having = [name for name in systems if (name, CLEAN, None, ZERO_GRADIENT) in found]
    if not having:
        return ""
    shares = [found[name, CLEAN, None, ZERO_GRADIENT].mean for name in having]
    least, most = min(shares), max(shares)
    if not most:
        return "The gradient of cross-entropy is zero for no image. "
    return (
        f"The gradient of cross-entropy is zero for {least:.1f} to {most:.1f} % of the images, by system, and for "
        f"{mean(shares):.1f} % on average. "
    )


# What is read out


def probe_comparison(rows: Rows, scope: str) -> Figure:
    """A band a system, and in it a dot for each of `READ_OUTS`: accuracy on clean images, and attacked at 8/255.

    Aggregation has two dots under attack: hollow, where every crop is perturbed by itself, and filled, where the
    image is, before it is cropped. Bars are intervals over seeds and images. Only systems that have another read-out
    than the standard probe; raises BadInput where there is none.
    """
    table = _read_outs(rows)
    systems = [
        name for name in compared(rows) if (table["system"].eq(name) & table["read-out"].ne("standard probe")).any()
    ]
    if not systems:
        raise BadInput(f"this figure needs a system with another read-out than the standard probe: {_others()}")
    table = table[table["system"].isin(systems)]
    panels = {"clean": (CLEAN,), f"attacked at {AT}/255": ("pgd", PER_VIEW, THROUGH)}
    return Figure(
        _draw_read_outs(table, systems, panels, constant(rows)),
        name="fig-probes",
        caption="Accuracy of frozen encoders by what reads their features, on clean images and attacked at "
        f"{AT}/255 through all that reads. {'Bars are 95 % intervals over seeds and images. ' * _repeated(table)}"
        f"{constant_told(constant(rows), DOTS)}{FILLED * bool(_views_told(table))}{scope}",
        notes=f"{_images_told(table)}{_beside_standard(table)}{_views_told(table)}",
        alt=f"Chart of dots: accuracy in percent of {len(systems)} systems by read-out, clean and attacked. Means over "
        f"the systems that have it: {_means_told(table)}.",
        data=_readable(table),
    )


def _others() -> str:
    return ", ".join(words for words in READ_OUTS if words != "standard probe")


def _read_outs(rows: Rows) -> Rows:
    """One line a system, read-out and attack: accuracy, low, high, and the number of images."""
    parts = []
    for words, (metric, attacks, _) in READ_OUTS.items():
        levels = levels_at(rows, [(CLEAN, None, metric), *((attack, AT, metric) for attack in attacks)])
        parts += [
            (system, words, shift, level.mean, level.low, level.high, _images(rows, (shift, at, metric)))
            for (system, shift, at, _), level in levels.items()
        ]
    return pd.DataFrame(parts, columns=["system", "read-out", "attack", "accuracy", "low", "high", "images"])


def _draw_read_outs(
    table: Rows, systems: Sequence[str], panels: Mapping[str, Sequence[str]], kept: float | None
) -> Drawing:
    use_style()
    drawing, cells = plt.subplots(
        1, len(panels), figsize=(5.2, 1.5 + 0.47 * len(systems)), sharey=True, layout="constrained"
    )
    heights = _heights(table, systems)
    for axes, (heading, attacks) in zip(cells, panels.items(), strict=True):
        for (words, attack), own in table[table["attack"].isin(attacks)].groupby(["read-out", "attack"], sort=False):
            ends = own["accuracy"] - own["low"], own["high"] - own["accuracy"]
            look = READ_OUTS[words][2] | ({"markerfacecolor": "white"} if attack == PER_VIEW else {})
            places = [heights[name, words] for name in own["system"]]
            axes.errorbar(own["accuracy"], places, xerr=ends, linestyle="none", markersize=5, elinewidth=1, label=words,
                          **look)  # fmt: skip
        axes.set_title(heading)
        constant_line(axes, kept, upright=True)
        axes.set_xlim(left=max(-2, axes.get_xlim()[0]))  # a dot at 0 is whole
        for border in np.arange(1, len(systems)) - 0.5:
            axes.axhline(border, color="#cccccc", linewidth=0.8, zorder=0)
        axes.grid(axis="y", visible=False)
    cells[0].set_yticks(range(len(systems)), [_short(name) for name in systems], linespacing=0.95)
    cells[0].set_ylim(len(systems) - 0.5, -0.5)
    drawing.supxlabel("accuracy (%)", fontsize=11)
    _legend(drawing, cells[0])
    return drawing


def _heights(table: Rows, systems: Sequence[str]) -> dict[tuple[str, str], float]:
    """(system, read-out) -> where its dots stand: one below the other, in the middle of the system's band."""
    heights = {}
    for place, name in enumerate(systems):
        own = list(table.loc[table["system"] == name, "read-out"].unique())
        heights |= {(name, words): place + 0.16 * (line - (len(own) - 1) / 2) for line, words in enumerate(own)}
    return heights


def _images_told(table: Rows) -> str:
    """On how many images each kind of read-out is tested, where they differ."""
    aggregated = table["read-out"].isin(
        [words for words, (metric, *_) in READ_OUTS.items() if metric in AGGREGATED.values()]
    )
    counts = [sorted(set(part["images"])) for part in (table[~aggregated], table[aggregated])]
    if not aggregated.any() or counts[0] == counts[1]:
        return ""
    probes, crops = (" and ".join(f"{count:,}" for count in own) for own in counts)
    return f"Probes are tested on the first {probes} test images, aggregations on the first {crops}. "


def _beside_standard(table: Rows) -> str:
    """What the other probes have over the standard one, on the same images; so nothing of aggregation."""
    means = table.set_index(["system", "read-out", "attack"])["accuracy"]
    told = []
    for words in ("adversarial probe", "probe on the head"):
        gaps = {
            attack: [
                means[name, words, attack] - means[name, "standard probe", attack]
                for name in table["system"].unique()
                if (name, words, attack) in means and (name, "standard probe", attack) in means
            ]
            for attack in (CLEAN, "pgd")
        }
        if all(gaps.values()):
            clean, attacked = (signed(mean(own)) for own in gaps.values())
            over = f"{len(gaps[CLEAN])} system{'s' * (len(gaps[CLEAN]) > 1)}"
            told.append(f"{words} {clean} clean and {attacked} attacked, over {over}")
    if not told:
        return ""
    return f"Points above the standard probe on average, trained under attack or not: {'; '.join(told)}. "


def _views_told(table: Rows) -> str:
    means = table.set_index(["system", "read-out", "attack"])["accuracy"].unstack()
    both = means.reindex(columns=[PER_VIEW, THROUGH]).dropna()
    if both.empty:
        return ""
    return (
        "Aggregation is attacked in every crop by itself (hollow), which no one who changes an image can do, and in "
        f"the image before it is cropped (filled): the first leaves {_points(mean(both[PER_VIEW] - both[THROUGH]))} "
        "on average. "
    )


def _means_told(table: Rows) -> str:
    kinds = {CLEAN: "clean", "pgd": "attacked", PER_VIEW: "attacked per view", THROUGH: "attacked through crops"}
    means = table.groupby(["read-out", "attack"], sort=False)["accuracy"].mean()
    return "; ".join(
        f"{words} "
        + ", ".join(f"{means[words, attack]:.1f} {kinds[attack]}" for attack in kinds if (words, attack) in means)
        for words in table["read-out"].unique()
    )
