"""Means over seeds with intervals, and differences between systems, as tables that figures draw."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import expit, logit

from lib.contrasts import difference, picked
from lib.errors import BadInput
from lib.figures.marks import on_line
from lib.measures import Interval, cell_interval, interval
from lib.measures.rows import Rows
from lib.measures.statistics import LEVEL
from lib.runs import Plan

Cell = dict[str, object]
Floats = Sequence[float] | np.ndarray
ENDS = ["mean", "low", "high"]


def summary(rows: Rows, metric: str = "error", *more: str) -> Rows:
    """Mean and interval over seeds and images of `metric` for each method, shift and value of the columns `more`."""
    cell = ["method", "shift", *more]
    table = []
    for key, group in rows[rows["metric"] == metric].groupby(cell, sort=False):
        found = cell_interval(group, metric)
        table.append((*key, found.mean, found.low, found.high, len(group)))
    return pd.DataFrame(table, columns=[*cell, *ENDS, "seeds"])


def baseline_line(clean: Floats, corrupted: Floats) -> tuple[float, float]:
    r"""Slope and intercept of corrupted accuracy against clean accuracy, by least squares on the logits of both.

    .. math:: \mathrm{logit}(a_\mathrm{corrupted}) \approx \mathrm{slope} \cdot \mathrm{logit}(a_\mathrm{clean})
              + \mathrm{intercept}

    Accuracies (N,) are in percent. The baseline beta of Taori et al. (arXiv 2007.00644), who fit it to
    models trained without any intervention for robustness. Raises BadInput for accuracies that have no logit, and for
    fewer than two different clean ones.
    """
    clean, corrupted = (np.asarray(values, dtype=float) for values in (clean, corrupted))
    if clean.ndim != 1 or clean.shape != corrupted.shape or len(np.unique(clean)) < 2:
        raise BadInput(
            "a line needs clean and corrupted accuracies in pairs, with two different clean ones or more, not lists of "
            f"shapes {clean.shape} and {corrupted.shape}"
        )
    if not all(((values > 0) & (values < 100)).all() for values in (clean, corrupted)):
        raise BadInput("accuracies are in percent, above 0 and below 100")
    x, y = logit(clean / 100), logit(corrupted / 100)
    apart = x - x.mean()
    slope = apart @ y / (apart @ apart)
    return float(slope), float(y.mean() - slope * x.mean())


def line_half_width(clean: Floats, corrupted: Floats, at: float, level: float = LEVEL) -> float:
    r"""Half the interval of what the line through N systems predicts `at` a clean accuracy, in percentage points.

    The variance of a fitted value (for example Draper and Smith, Applied Regression Analysis, section 3.1), with
    Student's t of N - 2 degrees of freedom, on logits and by the slope of the logistic function in points:

    .. math:: t \sqrt{\frac{\sum_i r_i^2}{N - 2} \left(\frac{1}{N}
              + \frac{(x - \bar x)^2}{\sum_i (x_i - \bar x)^2}\right)}

    It is the line's own error, without the scatter of systems around it. NaN for two systems, which fit any line.
    """
    line = baseline_line(clean, corrupted)
    x, y = (logit(np.asarray(values, dtype=float) / 100) for values in (clean, corrupted))
    degrees = len(x) - 2
    if degrees < 1:
        return float("nan")
    residual = np.square(y - line[0] * x - line[1]).sum() / degrees
    apart = np.square(x - x.mean()).sum()
    error = np.sqrt(residual * (1 / len(x) + (logit(at / 100) - x.mean()) ** 2 / apart))
    predicted = on_line(at, line)
    return float(stats.t.ppf((1 + level) / 2, degrees) * error * predicted * (100 - predicted) / 100)


def above_the_others(runs: Rows, among: Sequence[str]) -> Rows:
    """`above_line` for the runs of each system, by the line through the other systems `among`; and "line half-width".

    `runs` are indexed by system and seed. The line goes through one point a system, the mean of its runs' logits: runs
    of one system are no independent witnesses. Each system is judged by a line that it had no part in. NaN where the
    others have fewer than two different clean accuracies, and the half-width also where they are only two.
    """
    of = runs.index.get_level_values(0)
    points = 100 * expit(logit(runs[["clean", "corrupted"]] / 100).groupby(of, sort=False).mean())
    judged = []
    for name, own in runs.groupby(of, sort=False):
        others = points[points.index.isin(among) & (points.index != name)]
        if others["clean"].nunique() < 2:
            unknown = dict.fromkeys(("above line", "above line standard error", "line half-width"), np.nan)
            judged.append(own.assign(**unknown))
            continue
        half = line_half_width(others["clean"], others["corrupted"], points.loc[name, "clean"])
        line = baseline_line(others["clean"], others["corrupted"])
        judged.append(above_line(own, line).assign(**{"line half-width": half}))
    return pd.concat(judged)


def height(own: Rows) -> Interval:
    """The mean height of a system's runs above the others' line: over seeds, images, and the line's own error."""
    found = interval(own["above line"], own["above line standard error"])
    half = np.hypot(found.high - found.mean, own["line half-width"].iloc[0])
    return Interval(found.mean, found.mean - float(half), found.mean + float(half))


def above_line(runs: Rows, line: tuple[float, float]) -> Rows:
    """`runs` with the columns "above line", of "corrupted" less what the line predicts from "clean", and its standard
    error, from "clean standard error" and "corrupted standard error"; all in percent or percentage points."""
    predicted = on_line(runs["clean"], line)
    steepness = line[0] * predicted * (100 - predicted) / (runs["clean"] * (100 - runs["clean"]))  # d predicted/d clean
    error = np.hypot(runs["corrupted standard error"], steepness * runs["clean standard error"])
    return runs.assign(**{"above line": runs["corrupted"] - predicted, "above line standard error": error})


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
    found = {key: cell_interval(own, own["metric"].iloc[0]) for key, own in named.groupby(list(keys))}
    return as_table(found, keys)


def as_table(found: Mapping[tuple, Interval], keys: Sequence[str]) -> Rows:
    lines = [(*key, own.mean, own.low, own.high) for key, own in found.items()]
    return pd.DataFrame(lines, columns=[*keys, *ENDS])


def in_order(table: Rows, **orders: Iterable) -> Rows:
    """The lines of `table` whose columns hold what the `orders` list, sorted by these."""
    ranks = {column: {value: place for place, value in enumerate(order)} for column, order in orders.items()}
    table = table[np.logical_and.reduce([table[column].isin(list(rank)) for column, rank in ranks.items()])]
    return table.sort_values(list(ranks), key=lambda own: own.map(ranks[own.name]), ignore_index=True)


def paired(rows: Rows, more: Cell, less: Cell) -> Interval | None:
    """`difference`, and None where the two cells share no seed."""
    seeds = [set(picked(rows, cell)["seed"]) for cell in (more, less)]
    return difference(rows, more, less) if seeds[0] & seeds[1] else None


def tally(gaps: Iterable[Interval]) -> str:
    """How many of some differences are decided, in a sentence."""
    gaps = list(gaps)
    above, below = sum(gap.sign > 0 for gap in gaps), sum(gap.sign < 0 for gap in gaps)
    if all(np.isnan(gap.low) for gap in gaps):
        return "One seed decides nothing."
    if not above and not below:
        return f"None of {len(gaps)} differences is decided: every interval holds zero."
    open_ones = len(gaps) - above - below
    return (
        f"Of {len(gaps)} differences, above zero: {above}; below: {below}; undecided, with zero in the interval: "
        f"{open_ones}."
    )


def with_images(found: Rows, columns: Sequence[str]) -> Rows:
    """`columns` of `found`, and their number of images where it is told."""
    return found[[*columns, *(name for name in ("images",) if name in found)]]


def pair_gaps(
    scores: Rows, pairs: Iterable[tuple[str, str]], sets: Sequence[str]
) -> dict[tuple[str, str, str], Interval]:
    """(system, other, set) -> the first system's accuracy less the other's, where both have it."""
    found = {
        (more, less, name): paired(scores, {"system": more, "set": name}, {"system": less, "set": name})
        for more, less in pairs
        for name in sets
    }
    return {key: gap for key, gap in found.items() if gap}
