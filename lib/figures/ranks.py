"""A chart of ranks: who is first by one summary and last by another."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure as Drawing

from lib.figures.style import use_style

_ENDS = 0.775  # of a drawing's width is between its first and its last column


def rank_chart(
    ranks: pd.DataFrame,
    words: Sequence[str],
    titles: Mapping[str, str],
    looks: Mapping[str, Mapping[str, str]],
    thick: Collection[str] = (),
    turned: bool = False,
) -> Drawing:
    """A line a method through its ranks, the best at the top, with its title and rank at both ends.

    `ranks` has methods as index and summaries as columns, 1 for the best; `words` are those below the columns,
    `turned` where they would not fit beside each other. `titles` and `looks` have the methods as keys; the lines of
    `thick` ones stand out.
    """
    use_style()
    last = len(words) - 1
    width = 0.52 * last / _ENDS if turned else 4.6
    drawing, axes = plt.subplots(figsize=(width, 0.4 + 0.5 * len(ranks)))
    for method, line in ranks.iterrows():
        own = looks[method]
        axes.plot(range(last + 1), line, markersize=8, linewidth=3 if method in thick else 1.5, zorder=3, **own)
    for x, side in ((0, "right"), (last, "left")):
        for rank, tied in ranks.groupby(ranks.columns[x]):
            name = ", ".join(titles[method] for method in tied.index)  # of one rank, in one place
            colour = looks[tied.index[0]]["color"] if len(tied) == 1 else "#444444"
            label = f"{name}  {rank}" if x == 0 else f"{rank}  {name}"
            axes.annotate(label, (x, rank), xytext=(-10 if x == 0 else 10, 0), textcoords="offset points",
                          ha=side, va="center", color=colour, fontsize=11, annotation_clip=False)  # fmt: skip
    axes.set(xticks=range(last + 1), yticks=[], xlim=(-0.2, last + 0.2), ylim=(len(ranks) + 0.5, 0.5))
    slant = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    axes.set_xticklabels(words, fontsize=10.5, **slant)
    axes.spines[["left", "bottom"]].set_visible(False)
    return drawing
