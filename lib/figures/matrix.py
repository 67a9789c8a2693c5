"""A table of whole numbers that colour makes readable at a glance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lib.figures.prose import number

HEAT = "Oranges"  # one hue that darkens evenly: the same order for every kind of colour vision and in grey print
DARKEST = 0.62  # of that map: black numbers stay readable on it
BELOW_ZERO = "#56B4E9"  # Okabe and Ito's sky blue


def draw_matrix(
    axes: Axes, whole: pd.DataFrame, lines: Sequence[str], columns: Sequence[str], groups: Mapping[str, Sequence]
) -> None:
    """Cells with the numbers of `whole` (L, C), the darker the larger, and blue and bold below zero.

    `lines` and `columns` are their titles, from the top and from the left. `groups`, each some members of the index in
    its order, are set apart by thin lines and named at the right.
    """
    colours = plt.get_cmap(HEAT).with_extremes(under=BELOW_ZERO)
    strongest = max(1, whole.to_numpy().max()) / DARKEST
    axes.pcolormesh(whole.to_numpy(), cmap=colours, vmin=0, vmax=strongest, edgecolors="white", lw=0.5)
    for (line, column), value in np.ndenumerate(whole.to_numpy()):
        axes.text(column + 0.5, line + 0.5, number(value), ha="center", va="center", fontsize=9.5, color="black",
                  weight="bold" if value < 0 else "normal")  # fmt: skip
    start = 0
    for group, members in groups.items():
        if start:
            axes.plot((0, whole.shape[1]), (start, start), color="#333333", linewidth=1, clip_on=False)
        axes.text(whole.shape[1] + 0.15, start + len(members) / 2, group, rotation=270, va="center", fontsize=10)
        start += len(members)
    axes.set_yticks(np.arange(len(whole)) + 0.5, lines, fontsize=10)
    axes.set_xticks(np.arange(whole.shape[1]) + 0.5, columns, fontsize=10, rotation=50, ha="left",
                    rotation_mode="anchor")  # fmt: skip
    axes.tick_params(length=0, pad=3)
    axes.xaxis.tick_top()
    axes.invert_yaxis()
    axes.grid(False)
    axes.spines[:].set_visible(False)
