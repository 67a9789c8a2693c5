"""What parts of ReLICv2 and its settings are worth."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from lib.chapters.relicv2.domains import zero
from lib.chapters.relicv2.figures import IN_AND_OUT, PLACE_WORDS, SETTING_WORDS, mean_words, variant
from lib.chapters.relicv2.numbers import (
    ABLATIONS,
    IN,
    OTHER_WALL,
    OURS,
    OUT,
    PLACES,
    REMOVED,
    ablation_gaps,
    default,
    sweep_levels,
    sweeps,
)
from lib.chapters.relicv2.plan import PLAN, SYSTEMS
from lib.figures.figure import Figure
from lib.figures.levels import as_table, bars_told, counted, data_of, needed
from lib.figures.marks import apart, bands, dot_of, dots, legend_above
from lib.figures.prose import listed, signed
from lib.figures.style import settle, use_style
from lib.figures.systems_look import system_look
from lib.measures.rows import Rows


def ablation_forest(rows: Rows, scope: str) -> Figure:
    """A panel for each of `PLACES`, a line an ablation: its accuracy less that of what it was made of, in points."""
    found, count = ablation_gaps(rows)
    table = as_table(found, ["changed", "system", "less", "place"])
    table = needed(table, f'accuracies of "{OURS}" and of one of its ablations')
    places = [name for name in PLACES if name in set(table["place"])]
    words = PLACE_WORDS | {OUT: mean_words(count)}
    entries: list[tuple[str, str | None]] = []  # what is changed, and a system; None for a heading
    for changed, (names, _) in ABLATIONS.items():
        own = [name for name in names if name in set(table.loc[table["changed"] == changed, "system"])]
        entries += [(changed, None), *((changed, name) for name in own)] if own else []
    use_style()
    drawing, cells = plt.subplots(
        1,
        len(places),
        figsize=(5.4, 1.1 + 0.3 * len(entries)),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axes, place in zip(cells.flat, places, strict=True):
        zero(axes)
        own = table[table["place"] == place]
        at = [entries.index(key) for key in zip(own["changed"], own["system"], strict=True)]
        dots(axes, own, at, dot_of(system_look(SYSTEMS[OURS])), flat=True)
        axes.set_title("\n".join(textwrap.wrap(words.get(place, place), 10)), fontsize=10)
        axes.tick_params(labelsize=9.5, pad=1)
    bands(cells[0, 0], [_entry(*entry) for entry in entries])
    for label, (_, name) in zip(cells[0, 0].get_yticklabels(), entries, strict=True):
        label.set(fontweight="normal" if name else "bold", fontsize=9.5)
    drawing.supxlabel("points gained by the change", fontsize=11)
    settle(drawing)
    share = SYSTEMS[REMOVED].settings["removed"]
    last = (
        "The last group is compared with ReLICv2 trained with the backgrounds of "
        f"{100 * share:.0f} % of the large crops removed. "
        if REMOVED in set(table["less"])
        else ""
    )
    outside = f"The mean is over {count} shift{'' if count == 1 else 's'}. " if OUT in places else ""
    walls = "On other walls: objects of test scenes on walls of another class, read by a probe that was fitted "
    walls += "where walls go with classes. "
    named = table.assign(
        less=table["less"].map(PLAN.title),
        place=[words.get(place, place) for place in table["place"]],
    )  # fmt: skip
    return Figure(
        drawing,
        name="fig-ablations",
        caption="What a change of ReLICv2 gains, in percentage points of accuracy: left of zero, it costs points. "
        f"{last}{bars_told(table)}{scope}",
        notes=f"{outside}{walls if OTHER_WALL in places else ''}{counted(found.values())}",
        alt=f"Charts of dots: percentage points gained by a change. {_gains(table, places, words)}.",
        data=data_of(named, "points gained", PLAN.title),
    )


def _gains(table: Rows, places: Sequence[str], words: Mapping[str, str]) -> str:
    """What each change gains in each place, for the alternative text."""
    told = {place: [] for place in places}
    for line in table[table["place"].isin(places)].itertuples():
        against = "" if line.less == OURS else f" against {variant(REMOVED)}"
        told[line.place].append(f"{variant(line.system)}{against} {signed(line.mean)}")
    return "; ".join(f"{words.get(place, place)}: {', '.join(own)}" for place, own in told.items())


def _entry(changed: str, name: str | None) -> str:
    if name is None:
        return changed
    words = variant(name)
    if changed == "saliency, against 0.6":
        words = words.removeprefix(f"{variant(REMOVED)} with ")
    return "\n".join(textwrap.wrap(words, 28))


def sweep_curves(rows: Rows, scope: str) -> Figure:
    """A panel a setting that was swept: accuracy of ReLICv2 in domain and on the mean of shifts, by its value."""
    table, count = sweep_levels(rows)
    table = needed(table, f'accuracies of "{OURS}" with other settings, which are swept on scenes')
    settings = {name: values for name, values in sweeps(rows).items() if name in set(table["setting"])}
    use_style()
    columns = min(2, len(settings))
    lines = -(-len(settings) // columns)
    drawing, cells = plt.subplots(
        lines, columns, figsize=(5.4, 0.8 + 1.85 * lines), sharey=True, squeeze=False, layout="constrained"
    )
    for axes, (setting, values) in zip(cells.flat, settings.items(), strict=False):
        places = list(values)
        own = table[table["setting"] == setting]
        for (name, look), aside in zip(IN_AND_OUT.items(), apart(2, 0.12), strict=True):
            part = own[own["set"] == name]
            at = part["value"].map(places.index) + aside
            dots(axes, part, at, look | {"markersize": 4.5}, line=setting != "crops")
        mark = list(values.values()).index(OURS)
        axes.axvspan(mark - 0.3, mark + 0.3, color="#F3E3D3", zorder=0)
        axes.set_xticks(range(len(places)), places)
        axes.set_xlim(-0.5, len(places) - 0.5)
        axes.set_title(SETTING_WORDS[setting], fontsize=10.5)
        axes.tick_params(labelsize=9.5, pad=1)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x", visible=False)
    for axes in cells.flat[len(settings) :]:
        axes.set_axis_off()
    drawing.supylabel("accuracy (%)", fontsize=11)
    words = {IN: IN, OUT: mean_words(count)}
    legend_above(drawing, {words[name]: IN_AND_OUT[name] for name in words if name in set(table["set"])})
    named = table.assign(setting=table["setting"].map(SETTING_WORDS), set=table["set"].map(words))
    return Figure(
        drawing,
        name="fig-sweep",
        caption="Accuracy of ReLICv2 in domain and averaged over the shifts, a panel a setting of which the sources "
        f"say nothing; shaded: our choice. All systems were trained for about as many passes. {bars_told(table)}"
        f"{scope}",
        notes=_spans_told(table, words),
        alt="Charts of accuracy in percent against the values of a setting. "
        + "; ".join(
            f"{setting}: " + ", ".join(f"{line.mean:.1f} with {line.value}" for line in own.itertuples())
            for setting, own in named[named["set"] == IN].groupby("setting", sort=False)
        )
        + f". All in domain; ours are {listed([_default(setting) for setting in settings])}.",
        data=data_of(named, "accuracy", PLAN.title),
    )


def _spans_told(table: Rows, words: Mapping[str, str]) -> str:
    """How far apart the means of a setting's values lie."""
    ranges = table.groupby(["setting", "set"], sort=False)["mean"].agg(lambda means: means.max() - means.min())
    where = {name: "in domain" if name == IN else f"on the {words[name]}" for name in words}
    told = [
        f"{SETTING_WORDS[setting]} {listed([f'{ranges[setting, name]:.1f} {where[name]}' for name in own])}"
        for setting in table["setting"].unique()
        if (own := [name for name in where if (setting, name) in ranges])
    ]
    return f"The means of all values of a setting span, in points: {'; '.join(told)}."


def _default(setting: str) -> str:
    if setting == "crops":
        return f"{default('large')}+{default('small')} crops"
    value = default(setting)
    return f"{SETTING_WORDS[setting]} {'all' if value is None else format(value, 'g')}"
