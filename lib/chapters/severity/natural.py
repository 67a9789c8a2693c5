"""Natural shift beside corruptions."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from lib.chapters.severity.curves import BALANCED, RELATIVE, legend
from lib.chapters.severity.distance import rank_correlation
from lib.contrasts import difference, present
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.levels import summary
from lib.figures.style import look, title, use_style
from lib.measures import Interval
from lib.measures.corruption_error import ALL
from lib.measures.rows import CLEAN, overall
from lib.shifts.natural import NATURAL


def natural_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a method: balanced error on clean test images and on each natural set that is there, and the differences.

    `rows` have the metric of `lib.measures.natural_shift`.
    """
    chosen = rows[rows["metric"] == BALANCED]
    found = {(line.method, line.shift): Interval(line.mean, line.low, line.high)
             for line in summary(chosen, BALANCED).itertuples()}  # fmt: skip
    lines = []
    for method in dict.fromkeys(chosen["method"]):
        line = {"method": title(method), "clean (%)": str(found[method, CLEAN])}
        for name in _natural_sets(rows):
            if (method, name) in found:
                pair = ({"method": method, "shift": shift} for shift in (name, CLEAN))
                line[f"{name} (%)"] = str(found[method, name])
                line[f"{name} less clean (points)"] = str(difference(chosen, *pair))
        lines.append(line)
    return pd.DataFrame(lines)


def _natural_sets(rows: pd.DataFrame) -> list[str]:
    there = set(rows.loc[rows["metric"] == BALANCED, "shift"])
    return [name for name in NATURAL if name in there]


def natural_against_corrupted(rows: pd.DataFrame, scope: str) -> Figure | None:
    """A point a run: what the first natural set of the rows costs it against what corruptions cost it.

    None where the rows hold no natural set.
    """
    sets = _natural_sets(rows)
    if not sets:
        return None
    losses = _losses(rows, sets[0])
    means = losses.groupby("method", sort=False)[["corruptions", "natural"]].mean()
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 4.6), layout="constrained")
    for method, points in losses.groupby("method", sort=False):
        axes.plot(points["corruptions"], points["natural"], label=title(method), markersize=7, alpha=0.85,
                  **look(method) | {"linestyle": "none"})  # fmt: skip
    axes.set(xlabel="lost to corruptions: rCE (points)", ylabel=f"lost on {sets[0]} (points)")
    axes.margins(0.08)
    legend(drawing, [axes], 3)
    return Figure(
        drawing,
        name="fig-natural",
        caption=f"What each run loses from clean test images to {sets[0]} (balanced error) against what it loses to "
        f"corruptions (relative error rCE); a point is a run. {_rank_of_losses(means)} {scope}",
        alt=f"Scatter chart of the loss on {sets[0]} against the loss to corruptions. Means in points: "
        + "; ".join(f"{title(line.Index)} {line.natural:.0f} and {line.corruptions:.0f}" for line in means.itertuples())
        + ".",
        data=losses.assign(method=losses["method"].map(title)),
    )


def _losses(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """A line a run: method, seed, and what corruptions and the natural set `name` cost it in points."""
    run = ["method", "seed"]
    balanced = rows[rows["metric"] == BALANCED].set_index(run)
    there, clean = (balanced.loc[balanced["shift"] == shift, "value"] for shift in (name, CLEAN))
    relative = overall(rows[(rows["metric"] == RELATIVE) & (rows["shift"] == ALL)]).set_index(run)
    losses = pd.concat({"corruptions": relative["value"], "natural": there - clean}, axis=1, join="inner")
    if losses.empty:
        raise BadInput(f"no run in these rows has both the {BALANCED!r} on {name} and the {RELATIVE!r} of {ALL!r}")
    return losses.reset_index()


def _rank_of_losses(means: pd.DataFrame) -> str:
    """Random weights have learnt nothing that they could lose: the correlation is over trained methods."""
    trained = present(means.reset_index(), self_supervised=False)
    if len(trained) < 3:
        return "Fewer than three trained methods have no rank correlation."
    rho = rank_correlation(means.loc[trained, "natural"], means.loc[trained, "corruptions"])
    return f"Over the means of the {len(trained)} trained methods, Spearman's rank correlation is {rho:.2f}."
