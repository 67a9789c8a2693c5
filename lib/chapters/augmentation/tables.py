"""Tables beside the maps of invariance: what it is worth for how far images move, and whether the measure matters."""

from __future__ import annotations

import numpy as np
import pandas as pd

from lib.cells import WHITENED
from lib.chapters.augmentation.invariance import ARM, METHOD, RECIPES
from lib.chapters.augmentation.names import arm
from lib.errors import BadInput
from lib.figures.prose import number
from lib.figures.style import spaced
from lib.measures.rows import overall
from lib.measures.statistics import correlation
from lib.shifts.transforms import TRANSFORMS

OTHER_MEASURES = {  # metric: whether more of it is more invariant
    "similarity": True,
    "Mahalanobis distance": False,
    "feature distance": False,
    "effective invariance": True,
}


def sensitivity_table(rows: pd.DataFrame, method: str = METHOD) -> pd.DataFrame:
    """A line a transform: how far it moves pixels, and the sensitivity to it of a method's recipes and of references.

    The distance is the root mean square of pixel differences in percent of their range; sensitivity is 1 - whitened
    similarity divided by it. Means over seeds. Raises BadInput where no such rows are there.
    """
    means = _means(rows, "sensitivity")
    arms = [(name, recipe) for name, recipe in means.columns if (name == method and recipe in RECIPES) or not recipe]
    moved = rows[rows["metric"] == "image distance"].groupby("shift")["value"].mean()
    if not arms or not set(means.index) <= set(moved.index):
        raise BadInput(f"this table needs rows with the metrics 'sensitivity' and 'image distance' of {method}")
    table = {"transform": [spaced(name) for name in means.index]}
    table["pixels move (%)"] = [f"{moved[name]:.0f}" for name in means.index]
    for one in arms:
        table[arm(*one)] = [f"{value / 100:.1f}" for value in means[one]]  # rows hold hundredths
    return pd.DataFrame(table)


def measures_agree(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a measure: whether it orders encoders by invariance as whitened similarity does.

    Spearman's rank correlation over encoders (means over seeds), for each transform; its mean over the transforms, the
    lowest, and where that is. Distances count as their negatives. Raises BadInput with fewer than four encoders.
    """
    own = _means(rows, WHITENED)
    if own.shape[1] < 4:
        raise BadInput(f"an order of encoders takes four of them or more, and these rows hold {own.shape[1]}")
    lines = []
    for metric, rises in OTHER_MEASURES.items():
        other = _means(rows, metric)[list(own)] * (1 if rises else -1)
        found = pd.Series({name: _rank_correlation(own.loc[name], other.loc[name]) for name in own.index}).dropna()
        lines.append((metric, found.mean(), found.min(), spaced(found.idxmin())))
    columns = ["measure", "mean ρ over transforms", "lowest ρ", "under"]
    table = pd.DataFrame(lines, columns=columns)
    return table.assign(**{name: table[name].map(lambda value: number(value, 2)) for name in columns[1:3]})


def _means(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """(transforms, arms): means of a metric over seeds, for arms that have all transforms."""
    chosen = overall(rows[(rows["metric"] == metric) & rows["shift"].isin(list(TRANSFORMS))])
    if chosen.empty:
        raise BadInput(f"this table needs rows with the metric {metric!r}, and these have none")
    chosen = chosen.assign(augmentation=chosen["augmentation"].astype(object).fillna(""))
    means = chosen.pivot_table(index="shift", columns=ARM, values="value", aggfunc="mean", sort=False)
    return means.loc[[name for name in TRANSFORMS if name in means.index]].dropna(axis="columns")


def _rank_correlation(first: pd.Series, second: pd.Series) -> float:
    found = correlation(first, second, ranks=True)
    return found.mean if found else np.nan  # where all encoders score alike there is no order
