"""One look for all figures: a method keeps its colour, its marker and its line in the whole book."""

from __future__ import annotations

import matplotlib.pyplot as plt
import seaborn as sns
from matplotlib.axes import Axes

from lib.methods import METHODS

# Okabe and Ito's colours, told apart with every kind of colour vision, for the methods that share a figure with lines;
# relatives have a shade of theirs. Marker and line say it again.
LOOK = {
    "simclr": {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    "dcl": {"color": "#4F9FD0", "marker": "<", "linestyle": "--"},
    "moco_v2": {"color": "#004B77", "marker": ">", "linestyle": "-."},
    "moco_v3": {"color": "#8CBFE0", "marker": "h", "linestyle": ":"},
    "nnclr": {"color": "#2A5C8A", "marker": "8", "linestyle": "--"},
    "byol": {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    "simsiam": {"color": "#E69F00", "marker": "v", "linestyle": ":"},
    "dino": {"color": "#A34700", "marker": "X", "linestyle": "-."},
    "barlow_twins": {"color": "#009E73", "marker": "^", "linestyle": "-."},
    "vicreg": {"color": "#5FC2A4", "marker": "p", "linestyle": "--"},
    "swav": {"color": "#CC79A7", "marker": "P", "linestyle": "--"},
    "emp_ssl": {"color": "#56B4E9", "marker": "d", "linestyle": "-."},
    "relic": {"color": "#8A6D00", "marker": "H", "linestyle": ":"},
    "supervised": {"color": "#333333", "marker": "D", "linestyle": "-"},
    "supcon": {"color": "#6B6B6B", "marker": "*", "linestyle": "--"},
    "random": {"color": "#999999", "marker": "x", "linestyle": ":"},
}
OTHER = {"color": "#000000", "marker": ".", "linestyle": "-"}  # a method that has no look yet


def look(method: str) -> dict[str, str]:
    return LOOK.get(method, OTHER)


def title(method: str) -> str:
    return METHODS[method].title


def use_style() -> None:
    """Quiet axes, small type that stays readable on a phone."""
    sns.set_theme(style="whitegrid", context="notebook")
    plt.rcParams.update({"axes.titlesize": 11, "axes.labelsize": 11, "font.size": 10, "grid.color": "#e8e8e8"})
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False, "savefig.facecolor": "white"})


def label_ends(axes: Axes, ends: list[tuple[float, str, str]], x: float, gap: float) -> None:
    """Write (height, words, colour) labels at the right ends of lines, moved apart to at least `gap`."""
    ends = sorted(ends)
    heights = [height for height, _, _ in ends]
    for _ in range(200):  # push neighbours apart a little at a time; converges for the few lines of a figure
        for i in range(len(heights) - 1):
            overlap = gap - (heights[i + 1] - heights[i])
            if overlap > 0:
                heights[i] -= overlap / 2
                heights[i + 1] += overlap / 2
    for height, (_, words, colour) in zip(heights, ends, strict=True):
        axes.annotate(words, (x, height), xytext=(8, 0), textcoords="offset points", color=colour, va="center",
                      fontsize=10, annotation_clip=False)  # fmt: skip
