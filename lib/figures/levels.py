"""Means over seeds with intervals, and differences between systems, as tables that figures draw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from lib import contrasts
from lib.contrasts import Kept, estimates, of_two
from lib.errors import BadInput
from lib.measures import Estimate, Interval, read_together
from lib.measures.rows import Rows
from lib.runs import Plan
from lib.verdicts import HOLDS, MARGIN, NO_EFFECT, REVERSED, UNDECIDED, no_effect, of_gap

Cell = dict[str, object]
ENDS = ["mean", "low", "high"]


def summary(rows: Rows, metric: str = "error", *more: str) -> Rows:
    """Mean and interval over seeds and images of `metric` for each method, shift and value of the columns `more`."""
    cell, chosen = ["method", "shift", *more], rows[rows["metric"] == metric]
    table = as_table(contrasts.levels(chosen, cell), cell)
    return table.assign(seeds=chosen.groupby(cell, sort=False).size().to_numpy())


# What figures share


def needed(table: Rows, what: str) -> Rows:
    if table.empty:
        raise BadInput(f"this figure needs {what}, and these rows hold none")
    return table


def data_of(table: Rows, mean: str, title: Callable[[str], str]) -> Rows:
    """The data behind a figure: the `title` of each system, and no ends of intervals where none is known."""
    told = table.assign(system=table["system"].map(title)) if "system" in table else table
    told = told if table["low"].notna().any() else told.drop(columns=["low", "high"])
    return told.rename(columns={"mean": mean})


def bars_told(table: Rows) -> str:
    return "Bars are 95 % intervals over seeds and images. " if table["low"].notna().any() else ""


def intervals(table: Rows) -> list[Interval]:
    return [Interval(*line) for line in table[ENDS].itertuples(index=False)]


def held(rows: Rows, plan: Plan) -> list[str]:
    """The systems of a plan that are in `rows`, in its order."""
    if "system" not in rows:
        raise BadInput(f"these figures compare systems: take the rows of the study {plan.name}")
    own = set(rows["system"])
    return [name for name in plan.systems if name in own]


def levels(rows: Rows, keys: Sequence[str]) -> Rows:
    """One line for each combination of `keys`: the mean over seeds, and its interval.

    Rows without a column "metric" are accuracies.
    """
    if rows.duplicated([*keys, "seed"]).any():
        raise BadInput(f"rows hold one number for each {', '.join(keys)} and seed, of one encoder and data set")
    named = rows if "metric" in rows else rows.assign(metric="accuracy")
    return as_table(dict(sorted(contrasts.levels(named, keys).items(), key=lambda item: item[0])), keys)


def as_table(found: Mapping[tuple, Interval], keys: Sequence[str]) -> Rows:
    lines = [(*key, own.mean, own.low, own.high) for key, own in found.items()]
    return pd.DataFrame(lines, columns=[*keys, *ENDS])


def in_order(table: Rows, **orders: Iterable) -> Rows:
    """The lines of `table` whose columns hold what the `orders` list, sorted by these."""
    ranks = {column: {value: place for place, value in enumerate(order)} for column, order in orders.items()}
    table = table[np.logical_and.reduce([table[column].isin(list(rank)) for column, rank in ranks.items()])]
    return table.sort_values(list(ranks), key=lambda own: own.map(ranks[own.name]), ignore_index=True)


def paired(rows: Rows, more: Cell, less: Cell, kept: Kept | None = None) -> Estimate | None:
    """`lib.contrasts.difference`, and None where the two cells share no seed; `kept` is that of `estimates`."""
    kept = Kept() if kept is None else kept
    seeds = [set(kept.column(rows, "seed")[kept.picked(rows, cell)]) for cell in (more, less)]
    return estimates({"": of_two(rows, more, less)}, kept)[""] if seeds[0] & seeds[1] else None


def tally(found: Iterable[Estimate]) -> str:
    """How many of some differences are decided, in a sentence; see `read_together`."""
    return counted(read_together(dict(enumerate(found))).values())


def counted(found: Iterable[Estimate]) -> str:
    """`tally` of differences that have been read together."""
    gaps = list(found)
    if all(np.isnan(gap.low) for gap in gaps):
        return "One seed decides nothing."
    counts = Counter(of_gap(gap) for gap in gaps)
    if counts[UNDECIDED] == len(gaps):
        return f"No difference of {len(gaps)} is decided{AT_ONCE}."
    words = {HOLDS: "above zero", REVERSED: "below", NO_EFFECT: no_effect(MARGIN), UNDECIDED: "undecided"}
    told = [f"{own}: {counts[kind]}" for kind, own in words.items() if counts[kind] or kind != NO_EFFECT]
    return f"Of {len(gaps)} differences{AT_ONCE}, {'; '.join(told)}."


AT_ONCE = " at a false discovery rate of 5 %"


def with_images(found: Rows, columns: Sequence[str]) -> Rows:
    """`columns` of `found`, and their number of images where it is told."""
    return found[[*columns, *(name for name in ("images",) if name in found)]]


def pair_gaps(
    scores: Rows, pairs: Iterable[tuple[str, str]], sets: Sequence[str]
) -> dict[tuple[str, str, str], Estimate]:
    """(system, other, set) -> the first system's accuracy less the other's, where both have it."""
    kept = Kept()
    found = {
        (more, less, name): paired(scores, {"system": more, "set": name}, {"system": less, "set": name}, kept)
        for more, less in pairs
        for name in sets
    }
    return {key: gap for key, gap in found.items() if gap}
