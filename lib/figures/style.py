"""One look for all figures: a method keeps its colour, its marker and its line in the whole book."""

from __future__ import annotations

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.transforms import offset_copy

from lib.methods import METHODS

# As the methods' files have it: Okabe and Ito's colours, told apart with every kind of colour vision, and their shades
# for relatives. Marker and line say it again.
LOOK: dict[str, dict[str, object]] = {
    name: dict(zip(("color", "marker", "linestyle"), method.look, strict=True))
    for name, method in METHODS.items()
    if method.look
}
OTHER: dict[str, object] = {
    "color": "#000000",
    "marker": ".",
    "linestyle": "-",
}  # what has no look yet; a method has its family's colour


# What an encoder was trained to look through; a recipe keeps its look whatever the method.
RECIPE_LOOK = {
    "default": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "spatial": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "appearance": {"color": "#009E73", "marker": "^", "linestyle": "-."},
    "fusion": {"color": "#CC79A7", "marker": "P", "linestyle": "-"},
    "three defaults": {"color": "#56B4E9", "marker": "d", "linestyle": ":"},
    "wide default": {"color": "#E69F00", "marker": "v", "linestyle": ":"},
}


def arm(method: str, augmentation: str | None) -> str:
    """What a figure calls an encoder: its method, and its augmentation where it is not the method's own."""
    return title(method) + (f", {augmentation}" if augmentation else "")


def look(method: str) -> dict[str, object]:
    """Colour, marker and line style; a method that has none of its own has the colour of its paradigm's first."""
    if method in LOOK or method not in METHODS:
        return LOOK.get(method, OTHER)
    relatives = [LOOK[name]["color"] for name in LOOK if METHODS[name].paradigm == METHODS[method].paradigm]
    return OTHER | {"color": [*relatives, OTHER["color"]][0]}


def title(method: str) -> str:
    return METHODS[method].title


def spaced(name: str) -> str:
    """A corruption's name as it is written in a text."""
    return name.replace("_", " ")


def cause(name: str) -> str:
    """A factor of scenes as it is written in a text: what lies behind the object is a wall."""
    return spaced(name.replace("background", "wall"))


def use_style() -> None:
    """Quiet axes, small type that stays readable on a phone."""
    sns.set_theme(style="whitegrid", context="notebook")
    plt.rcParams.update({"axes.titlesize": 11, "axes.labelsize": 11, "font.size": 10, "grid.color": "#e8e8e8"})
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "savefig.facecolor": "white"})


def settle(drawing: Drawing) -> None:
    """Lay a constrained drawing out, once: each time it is saved, the layout would move on by a little."""
    drawing.draw_without_rendering()
    drawing.set_layout_engine("none")


def label_ends(axes: Axes, ends: list[tuple[float, str, str]], x: float, gap: float) -> None:
    """Write (height, words, colour) labels beside the right ends of lines, moved apart to at least `gap`.

    A thin line leads from each end to its label, which may stand elsewhere where many lines end close together.
    """
    ends = sorted(ends)
    heights = [height for height, _, _ in ends]
    for _ in range(200):  # push neighbours apart a little at a time; converges for the few lines of a figure
        for i in range(len(heights) - 1):
            overlap = gap - (heights[i + 1] - heights[i])
            if overlap > 0:
                heights[i] -= overlap / 2
                heights[i + 1] += overlap / 2
    beside = offset_copy(axes.transData, axes.figure, x=18, units="points")
    for height, (end, words, colour) in zip(heights, ends, strict=True):
        axes.annotate(words, (x, end), xytext=(x, height), textcoords=beside, color=colour, va="center", fontsize=10,
                      arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "relpos": (0, 0.5),
                                  "shrinkA": 1, "shrinkB": 4}, annotation_clip=False)  # fmt: skip
