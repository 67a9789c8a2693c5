"""How crowded classes are: images of one class beside images of two, in features."""

from __future__ import annotations

import matplotlib.pyplot as plt

from lib.chapters.negatives.systems import SYSTEMS
from lib.figures.figure import Figure
from lib.figures.levels import bars_told, in_order, levels, needed
from lib.figures.marks import apart, dot_of, dots, legend_above
from lib.figures.prose import listed, number
from lib.figures.style import title, use_style
from lib.measures.crowding import METRIC, NEAREST, Crowding
from lib.measures.rows import Rows
from lib.runs.plan import Part
from lib.runs.presets import Preset

# What a class is compared with: in words, and the look of its dots
COMPARED_WITH = {
    "": ("all other classes", {"marker": "o", "color": "#0072B2"}),
    NEAREST: ("the closest class", {"marker": "s", "color": "#D55E00", "markerfacecolor": "white"}),
}


def crowded_classes(rows: Rows, scope: str) -> Figure:
    """A line a system, or a method where rows have no systems: the mean squared distance of two images of one class, in
    percent of that of two images of two classes. Systems of another alpha or queue are left out."""
    key = "system" if "system" in rows else "method"
    own = rows[rows["metric"] == METRIC]
    if key == "system":
        own = own[[name in SYSTEMS and SYSTEMS[name].role != "sweep" for name in own[key]]]
    table = needed(own, "how crowded classes are")
    names = [name for name in (SYSTEMS if key == "system" else dict.fromkeys(own[key])) if name in set(own[key])]
    table = in_order(levels(table, [key, "subset"]), **{key: names}, subset=COMPARED_WITH)
    titles = {name: SYSTEMS[name].title if key == "system" else title(name) for name in names}
    use_style()
    drawing, axes = plt.subplots(figsize=(5.2, 1.2 + 0.3 * len(names)), layout="constrained")
    for (subset, (_, look)), aside in zip(COMPARED_WITH.items(), apart(len(COMPARED_WITH), 0.14), strict=True):
        one = table[table["subset"] == subset]
        dots(axes, one, one[key].map(names.index) + aside, look | {"markersize": 6}, flat=True)
    axes.axvline(100, color="#333333", linewidth=1, linestyle=":")
    axes.set_yticks(range(len(names)), titles.values())
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlabel("crowding (%)")
    legend_above(drawing, {words: dot_of(look) for words, look in COMPARED_WITH.values()})
    whole = table[table["subset"] == ""]
    return Figure(
        drawing,
        name="fig-crowded-classes",
        caption="How crowded classes are in frozen features: the mean squared distance of two test images of one class "
        "in percent of that of two images of two classes, over all classes and over each class and the one closest to "
        f"it. Dotted: 100, where classes are no clusters. {bars_told(table)}{scope}",
        alt="Chart of dots: crowding in percent, a line an encoder. Beside all other classes: "
        + listed([f"{titles[line[key]]} {number(line['mean'])}" for _, line in whole.iterrows()])
        + ".",
        data=table.assign(**{key: table[key].map(titles)}, subset=table["subset"].map(lambda of: COMPARED_WITH[of][0]))
        .rename(columns={"subset": "compared with", "mean": "crowding"})
        .dropna(axis="columns", how="all"),
    )


def _measure(preset: Preset) -> Crowding:
    """Of as many images as versions with one cue are made of."""
    return Crowding(preset.test_images and 2 * preset.test_images)


PART = Part(_measure, crowded_classes)
