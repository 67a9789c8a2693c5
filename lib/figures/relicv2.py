"""ReLICv2 in and out of distribution: beside supervision like for like and other methods, part by part, and what its
features say of backgrounds and of single pixels.

Rows are those of the study relicv2_ood, of one encoder and one of its data sets; accuracies are the linear probe's, in
percent. What rows lack is left out; BadInput is raised where nothing is left to draw. `scope` says in words what the
rows are, for captions.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from lib.claims import COMPARED, SHIFTED
from lib.figures.figure import Figure
from lib.figures.negatives import (
    DOTTED,
    NONE,
    apart,
    bands,
    bars_told,
    borders,
    data_of,
    dot_of,
    dots,
    intervals,
    legend_above,
    lower,
    needed,
    signed,
    whole,
)
from lib.figures.negatives_numbers import as_table, tally
from lib.figures.relicv2_numbers import (
    ABLATIONS,
    CONTROLS,
    FEWEST_CONTROLS,
    GAP,
    HEADS,
    IN,
    LIKE_FOR_LIKE,
    MEAN,
    NEIGHBOURS,
    OTHER_WALL,
    OTHERS,
    OURS,
    OUT,
    PACS,
    PARTS,
    PLACES,
    REMOVED,
    WORLDS,
    ablation_gaps,
    background_gaps,
    default,
    effective,
    gaps_to_others,
    in_and_out,
    in_domain_levels,
    main_systems,
    own_systems,
    part_levels,
    scatter_of_controls,
    segmentation_levels,
    set_levels,
    sweep_levels,
    sweeps,
)
from lib.figures.robustness import logit_axes, logit_span, on_line
from lib.figures.style import settle, use_style
from lib.figures.systems_look import system_look, system_title
from lib.figures.tradeoff import CHANCE
from lib.figures.words import listed
from lib.runs.systems import RELICV2

Rows = pd.DataFrame

_IN_AND_OUT = {
    IN: {"color": "#000000", "marker": "D", "linestyle": "-"},
    OUT: {"color": "#0072B2", "marker": "o", "linestyle": "--"},
}
_WORLD_WORDS = dict(zip(WORLDS, ("walls say nothing", "walls go with classes"), strict=True))
HEAD_WORDS = dict(zip(HEADS, ("linear head", "FCN head"), strict=True))
_IN_TEXT = {
    "random": "random weights", "supervised": "plain supervision",
    "supervised same crops": "supervision with the same crops", "byol sgd": "BYOL",
}  # fmt: skip
PLACE_WORDS = {IN: IN, OTHER_WALL: "on other walls"}
SETTING_WORDS = {
    "invariance": "weight of the invariance loss", "temperature": "temperature", "others": "negatives",
    "removed": "share without background", "size": "side of small crops (px)", "crops": "large + small crops",
}  # fmt: skip


def _is_main(name: str) -> bool:
    return name in RELICV2 and RELICV2[name].role in COMPARED


def variant(name: str) -> str:
    """What is changed in a variant of ReLICv2, in words without a comma: "removed 0.6 with exact masks"."""
    return system_title(name).removeprefix(f"{system_title(OURS)}, ").replace(", ", " with ")


def named_in_text(name: str) -> str:
    """Of a main system, within a sentence and a list."""
    return _IN_TEXT.get(name, system_title(name))


def mean_words(count: int) -> str:
    """Of the mean over the shifts."""
    return f"mean of {count} shift{'' if count == 1 else 's'}"


# In domain, and out of it


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
        {"system": system_title(system)}
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
        _zero(axes)
        own = table[table["set"] == sets[place]]
        for line in own.index:
            system = own.loc[line, "system"]
            dots(axes, own.loc[[line]], [systems.index(system)], system_look(system), flat=True)
        axes.set_title(words.get(sets[place], sets[place]), fontsize=10)
        axes.tick_params(labelsize=9, pad=1, labelbottom=place + columns >= len(sets))
    bands(cells[0, 0], [system_title(name) for name in systems])
    drawing.supxlabel("points that ReLICv2 is ahead", fontsize=11)
    settle(drawing)
    named = table.assign(set=[words.get(name, name) for name in table["set"]]).rename(columns={"system": "other"})
    shifts = [gap for (_, other, name), gap in found.items() if other == systems[0] and name in SHIFTED]
    counted = f"Over the shifts, against {named_in_text(systems[0])}: {lower(tally(shifts))} " if shifts else ""
    return Figure(
        drawing,
        name="fig-ood",
        caption="Accuracy of ReLICv2 less that of other systems, in percentage points, a panel a test set: right of "
        f"zero ReLICv2 is ahead. {_first(systems)}{bars_told(table)}"
        f"{counted}{_of_pacs(sets)}{scope}",
        alt="Charts of dots: percentage points that ReLICv2 is ahead of another system, a panel a test set. "
        + "; ".join(
            f"{words.get(name, name)}: "
            + ", ".join(f"{named_in_text(line.system)} {signed(line.mean)}" for line in own.itertuples())
            for name, own in ((name, table[table["set"] == name]) for name in sets)
        )
        + ".",
        data=data_of(named.assign(other=named["other"].map(system_title)), "points ahead"),
    )


def _first(systems: Sequence[str]) -> str:
    if systems[0] != LIKE_FOR_LIKE:
        return ""
    return "The first line is like for like: supervision with the same images, crops and passes. "


def _of_pacs(sets: Iterable[str]) -> str:
    return "On PACS a probe of its own was fitted, on photographs. " if set(PACS) & set(sets) else ""


def _zero(axes: Axes) -> None:
    axes.axvline(0, color="#333333", linewidth=1, zorder=1)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, prune="lower"))  # else it meets the panel before


# Effective robustness


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
        caption="Accuracy under a shift against accuracy in domain, a dot a system, mean over seeds, on logit axes (as "
        f"in Taori et al. 2020). {_line_told(table, lines, controls)}"
        f"{f'Dotted, where in view: chance, {chance:.0f} %. ' if chance else ''}{_bars_of_main(table)}{scope}",
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
        return f"No line: these rows hold fewer than {FEWEST_CONTROLS} controls. "
    slopes = listed([f"{slope:.2f} ({name})" for name, (slope, _) in lines.items()])
    off = max(scatter_of_controls(table, name) for name in lines)
    return (
        f"Line: least squares on the logits of the runs of {listed([named_in_text(name) for name in controls])}, with "
        f"slope {slopes}. How many points a system lies above it is its effective robustness, to be judged beside the "
        f"controls, which lie up to {off:.1f} points off the line through the others of them. Its intervals hold the "
        "line's own error. "
    )


def _bars_of_main(table: Rows) -> str:
    return "Bars are 95 % intervals over seeds and images, of large dots. " if table["low"].notna().any() else ""


def _told_of(name: str, own: Rows, line: bool) -> str:
    told = [
        f"{named_in_text(at.system)} {at.mean:.0f} at {at.in_domain:.0f}"
        + (f" ({signed(at.above)} from the line)" if line else "")
        for at in own[own["system"].map(_is_main)].itertuples()
    ]
    return f"{name}: {', '.join(told)}"


def _effective_data(table: Rows) -> Rows:
    named = data_of(table, "accuracy").rename(
        columns={
            "in_domain": "in domain", "above": "points above line", "above_low": "low above line",
            "above_high": "high above line",
        }
    )  # fmt: skip
    return named.dropna(axis="columns", how="all").fillna(NONE)


def _draw_effective(table: Rows, lines: Mapping, sets: Sequence[str], chance: float | None) -> Drawing:
    here = [name for name in RELICV2 if name in set(table["system"])]
    looks = {system_title(name): dot_of(system_look(name)) for name in here if _is_main(name)}
    words = {"ablation": "ReLICv2, a part changed", "sweep": "ReLICv2, other settings"}
    roles = {RELICV2[name].role: name for name in here}
    looks |= {told: dot_of(system_look(roles[role])) for role, told in words.items() if role in roles}
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
        by_weight = own.assign(main=own["system"].map(_is_main)).sort_values("main", kind="stable")
        for line in by_weight.index:
            at = by_weight.loc[line]
            look = dot_of({"markersize": 6.5} | system_look(at["system"]))
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


# Parts of the method


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
        _zero(axes)
        own = table[table["place"] == place]
        at = [entries.index(key) for key in zip(own["changed"], own["system"], strict=True)]
        dots(axes, own, at, dot_of(system_look(OURS)), flat=True)
        axes.set_title("\n".join(textwrap.wrap(words.get(place, place), 10)), fontsize=10)
        axes.tick_params(labelsize=9, pad=1)
    bands(cells[0, 0], [_entry(*entry) for entry in entries])
    for label, (_, name) in zip(cells[0, 0].get_yticklabels(), entries, strict=True):
        label.set(fontweight="normal" if name else "bold", fontsize=9)
    drawing.supxlabel("points gained by the change", fontsize=11)
    settle(drawing)
    outside = f"The mean is over {count} shift{'' if count == 1 else 's'}. " if OUT in places else ""
    walls = "On other walls: objects of test scenes on walls of another class, read by a probe that was fitted where "
    named = table.assign(
        less=table["less"].map(system_title),
        place=[words.get(place, place) for place in table["place"]],
    )  # fmt: skip
    return Figure(
        drawing,
        name="fig-ablations",
        caption="What is changed in ReLICv2, a line a change: accuracy of the changed system less that of ReLICv2, or "
        "in the last group of ReLICv2 that loses the background of "
        f"{RELICV2[REMOVED].settings['removed']:g} of its large crops, in percentage points. Left of zero, the change "
        f"costs points. {outside}"
        f"{(walls + 'walls go with classes. ') if OTHER_WALL in places else ''}{bars_told(table)}"
        f"{tally(found.values())} {_by_chance(found.values())}{scope}",
        alt="Charts of dots: percentage points gained by a change. "
        + "; ".join(
            f"{words.get(place, place)}: "
            + ", ".join(
                variant(line.system)
                + ("" if line.less == OURS else f" against {variant(REMOVED)}")
                + f" {signed(line.mean)}"
                for line in table[table["place"] == place].itertuples()
            )
            for place in places
        )
        + ".",
        data=data_of(named, "points gained"),
    )


def _by_chance(gaps: Iterable) -> str:
    """What is decided by chance; of one seed nothing is."""
    if all(np.isnan(gap.low) for gap in gaps):
        return ""
    return "Of twenty such intervals about one misses zero by chance. "


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
        for (name, look), aside in zip(_IN_AND_OUT.items(), apart(2, 0.12), strict=True):
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
    legend_above(drawing, {words[name]: _IN_AND_OUT[name] for name in words if name in set(table["set"])})
    named = table.assign(setting=table["setting"].map(SETTING_WORDS), set=table["set"].map(words))
    return Figure(
        drawing,
        name="fig-sweep",
        caption="Accuracy of ReLICv2 in domain and averaged over the shifts, a panel a setting of which the sources "
        f"say nothing; shaded: our choice. All systems were trained for about as many passes. {bars_told(table)}"
        f"{scope}",
        alt="Charts of accuracy in percent against the values of a setting. "
        + "; ".join(
            f"{setting}: " + ", ".join(f"{line.mean:.1f} with {line.value}" for line in own.itertuples())
            for setting, own in named[named["set"] == IN].groupby("setting", sort=False)
        )
        + f". All in domain; ours are {listed([_default(setting) for setting in settings])}.",
        data=data_of(named, "accuracy"),
    )


def _default(setting: str) -> str:
    if setting == "crops":
        return f"{default('large')}+{default('small')} crops"
    value = default(setting)
    return f"{SETTING_WORDS[setting]} {'all' if value is None else format(value, 'g')}"


# Backgrounds and pixels


def background_reliance_figure(rows: Rows, scope: str) -> Figure:
    """A column a world of `WORLDS`: accuracy on `PARTS` of test scenes, and below it the background gap, by system."""
    parts, gaps = part_levels(rows), background_gaps(rows)
    main = [name for name in own_systems(rows) if _is_main(name)]
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
            look = system_look(system) | {"markersize": 4}
            dots(upper, own, own["part"].map(kinds.index) + aside, look, flat=True)
            gap = gaps[(gaps["world"] == world) & (gaps["system"] == system)]
            dots(below, gap, [systems.index(system)] * len(gap), system_look(system), flat=True)
        upper.axvline(chance, **DOTTED)
        borders(upper, len(kinds))
        _zero(below)
        upper.set_title(f"{world}:\n{_WORLD_WORDS[world]}", fontsize=10.5)
        upper.set_xlabel("accuracy (%)", fontsize=10)
        below.set_xlabel(f"{GAP} (points)", fontsize=10)
        upper.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        for axes in (upper, below):
            axes.grid(axis="y", visible=False)
            axes.tick_params(labelsize=9.5, pad=1)
    bands(cells[0, 0], ["\n".join(textwrap.wrap(part, 12)) for part in kinds])
    bands(cells[1, 0], [system_title(name) for name in systems])
    legend_above(drawing, {system_title(name): dot_of(system_look(name)) for name in systems})
    return Figure(
        drawing,
        name="fig-background",
        caption="Accuracy on parts of test scenes, and the background gap: accuracy on objects before walls of their "
        "own class less that before walls of another. Left, walls are drawn without regard to the class; right, each "
        f"class has walls of its own, in the pictures that the probe was fitted on too. Dotted: chance, {chance:.0f} "
        f"%. {bars_told(both)}{scope}",
        alt="Charts of dots: accuracy in percent on parts of scenes, and the background gap in points, by system. "
        + "; ".join(
            f"{world}, {part}: "
            + ", ".join(
                f"{named_in_text(line.system)} {signed(line.mean) if part == GAP else whole(line.mean)}"
                for line in own.itertuples()
            )
            for world in worlds
            for part in (*kinds, GAP)
            if len(own := both[(both["world"] == world) & (both["part"] == part)])
        )
        + f". Chance is {chance:.0f} percent.",
        data=data_of(both, "value"),
    )


def segmentation_bars(rows: Rows, scope: str) -> Figure:
    """A panel a head of `HEADS`, a bar a main system: mean intersection over union in percent."""
    table = segmentation_levels(rows)
    means = needed(table[table["of"] == MEAN], f"{MEAN} of systems like {OURS}")
    systems, heads = list(means["system"].unique()), list(means["head"].unique())
    systems = [name for name in RELICV2 if name in systems]
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
            color=[system_look(name)["color"] for name in own["system"]],
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
    bands(cells[0, 0], [system_title(name) for name in systems])
    drawing.supxlabel("mean intersection over union (%)", fontsize=11)
    settle(drawing)
    named = table.assign(head=table["head"].map(HEAD_WORDS)).rename(columns={"of": "class"})
    return Figure(
        drawing,
        name="fig-segmentation",
        caption="Which class a pixel is of, read from frozen features by a linear head and by a small network (FCN): "
        f"mean intersection over union on test scenes. {bars_told(means)}{class_sentence(table)}{scope}",
        alt="Bar charts of mean intersection over union in percent. "
        + "; ".join(
            f"{HEAD_WORDS[head]}: "
            + ", ".join(f"{named_in_text(line.system)} {line.mean:.1f}" for line in own.itertuples())
            for head, own in means.groupby("head", sort=False)
        )
        + ".",
        data=data_of(named.assign(**{"class": named["class"].replace(MEAN, f"mean ({MEAN})")}), "IoU"),
    )


def class_sentence(table: Rows) -> str:
    """Which shape is found best and which worst, of a table of `segmentation_levels`; empty where none is told."""
    trained = table[~table["of"].isin([MEAN, "background"]) & (table["system"] != "random")]
    head = next((head for head in HEADS if head in set(trained["head"])), None)
    means = trained[trained["head"] == head].groupby("of")["mean"].mean().sort_values()
    if len(means) < 2:
        return ""
    return (
        f"Of the shapes the {HEAD_WORDS[head]} finds {means.index[-1]} best ({means.iloc[-1]:.0f} %) and "
        f"{means.index[0]} worst ({means.iloc[0]:.0f} %), on average over the trained systems. "
    )
