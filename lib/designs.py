"""Designs: how large a difference of two systems has to be for a study to find it, and on how many images.

Before a verdict says that nothing was found, a reader should know what could have been. The numbers of seeds and of
images decide that and how much runs vary, and not which system is ahead. And whoever has time for more runs should know
which claims they would decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.contrasts import (
    SYSTEM,
    Cell,
    Components,
    Contrasts,
    Kept,
    components,
    convolutional,
    estimates,
    mean_of,
    of_two,
)
from lib.measures import Estimate
from lib.measures.rows import measure_name
from lib.measures.statistics import noncentrality
from lib.verdicts import Claim, judged

POWER = 0.8
CELLS = 12  # of a metric with more, as many are taken, spread evenly: enough for quartiles
WITHIN = ("dataset", "encoder")  # systems are compared on one data set, with one encoder
CELL = ("measure", "metric", "shift", "subset", "level", "level_unit")
MOST = 1000  # seeds, above which none are named: a difference so small is none that anybody would train for
COLUMNS = (*WITHIN, "measure", "metric", "systems", "seeds", "fewest", "most", "found", "low", "high")


def smallest_found(rows: pd.DataFrame, power: float = POWER) -> pd.DataFrame:
    """One line a data set, encoder, measure and metric: what two of its systems have to differ by to be told apart.

    `found` is the smallest true difference of two systems that is found with `power` (`Estimate.found`: the noncentral
    t distribution with the variances of `lib.contrasts.Contrast.estimate`, pooled over the systems of the rows, and
    their degrees of freedom), in the metric's unit: in each of `CELLS` cells (shifts, subsets, levels) of the metric
    the root mean square over pairs of neighbours in the rows, and over the cells the median; `low` and `high` are
    quartiles. NaN where no two systems have two seeds, and where all have the same number, as of what does not depend
    on the system. `fewest` and `most` are numbers of test images of a cell; `systems` and `seeds` (of one system, the
    fewest) are those of the rows.
    """
    lines = []
    for within, own in rows.groupby(list(WITHIN), sort=False):
        for what, part in own.groupby([own["measure"].map(measure_name), "metric"], sort=False):
            seeds = part.groupby(_columns(part), sort=False, dropna=False)["seed"].nunique()
            low, found, high = np.quantile(_sizes(part, power), [0.25, 0.5, 0.75]).tolist()
            images = part["images"].min(), part["images"].max()
            lines.append((*within, *what, len(seeds), seeds.min(), *images, found, low, high))
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _columns(rows: pd.DataFrame) -> list[str]:
    return [name for name in SYSTEM if name in rows]


def _sizes(rows: pd.DataFrame, power: float) -> list[float]:
    """What is found in each cell, where systems differ; `rows` have one data set, encoder, measure and metric."""
    kept, names = Kept(), list(rows[_columns(rows)].fillna("").itertuples(index=False, name=None))
    found = [_size(estimates(_neighbours(rows, names, *cell), kept).values(), power) for cell in _cells(rows)]
    return [size for size in found if size > 0] or [np.nan]


def _size(gaps: Iterable[Estimate], power: float) -> float:
    """Of a cell, the root mean square over its pairs: the median would be too small, since variances are skewed."""
    found = [size for gap in gaps if (size := gap.found(power)) > 0]
    return float(np.sqrt(np.mean(np.square(found)))) if found else np.nan


def _cells(rows: pd.DataFrame) -> list[tuple[Cell, np.ndarray]]:
    """`CELLS` of their cells in which not all numbers are the same, and where they stand."""
    found: list[tuple[Cell, np.ndarray]] = []
    groups = rows.groupby(list(CELL), sort=False, dropna=False).ngroup().to_numpy()
    numbers, order = rows["value"].to_numpy(dtype=float), np.argsort(groups, kind="stable")
    names = rows[list(CELL)].astype(object).where(rows[list(CELL)].notna(), None).to_numpy()
    for places in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        if np.ptp(own := numbers[places]) > 1e-9 * abs(own).max():
            found.append((dict(zip(CELL, names[places[0]], strict=True)), places))
    return [found[place] for place in _spread(len(found))]


def _spread(count: int) -> list[int]:
    """At most `CELLS` of range(count), as evenly as whole numbers can be."""
    return list(range(count)) if count <= CELLS else np.linspace(0, count - 1, CELLS).round().astype(int).tolist()


def _neighbours(rows: pd.DataFrame, names: Sequence[tuple], cell: Cell, places: np.ndarray) -> Contrasts:
    """The differences in a cell of the first system and the second, the third and the fourth, and so on."""
    columns = _columns(rows)
    systems = [dict(zip(columns, own, strict=True)) for own in dict.fromkeys(names[place] for place in places)]
    pairs = zip(systems[::2], systems[1::2], strict=False)
    return {f"pair {number}": of_two(rows, cell | more, cell | less) for number, (more, less) in enumerate(pairs)}


@dataclass(frozen=True)
class Needed:
    """The `seeds` of every system and the test `images` with which a difference would be found with some power.

    Infinite where no such numbers are; NaN where nothing is repeated today, or the number of images is not known.
    `more` are the runs that are to be added, by system.
    """

    seeds: float
    images: float
    more: Mapping[tuple, int]


def needed(own: Components, power: float = POWER) -> Needed:
    r"""What would decide a contrast if its true value were its estimate :math:`m` of today, and its variances as today.

    The error that is allowed is at most :math:`e = |m| / \delta_\infty`, with the noncentrality of
    `lib.measures.statistics.noncentrality` for a known error. Images are as many as today, or as many more as leave
    half of :math:`e^2` to the seeds; then seeds are the fewest, and no fewer than a system has today, with which
    `Estimate.found` is at most :math:`|m|`.
    """
    today = own.estimate()
    if np.isnan(today.standard_error):
        return Needed(np.nan, np.nan, {})
    allowed = (abs(own.mean) / noncentrality(np.inf, power)) ** 2 - own.error**2
    if allowed <= 0:
        return Needed(np.inf, np.inf, {})
    factor = max(1.0, 2 * own.over_images / allowed)

    def finds(seeds: int) -> bool:
        return own.estimate(seeds, factor).found(power) <= abs(own.mean)

    fewest = min((one.seeds for one in own.systems.values()), default=1)
    if not finds(MOST):
        return Needed(np.inf, np.inf, {})
    low, high = fewest - 1, MOST  # the former does not find it, or is none; the latter does
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if finds(middle) else (middle, high)
    more = {name: high - one.seeds for name, one in own.systems.items() if high > one.seeds}
    return Needed(float(high), float(np.ceil(round(factor * own.tested, 6))), more)


POWER_COLUMNS = (
    "claim", "verdict", "judged by", "difference", "over seeds", "over images", "found", "seeds", "seeds needed",
    "images", "images needed", "more runs", "minutes",
)  # fmt: skip


def decided_by(
    claims: Sequence[Claim],
    rows: pd.DataFrame,
    minutes: Callable[[Mapping[str, object]], float] = lambda system: np.nan,
    power: float = POWER,
) -> pd.DataFrame:
    """A line for each of a chapter's `claims` that `rows` of one data set can test: what its verdict rests on, and what
    would decide it; `POWER_COLUMNS`.

    Of the contrast by which a claim is judged: `difference`, its standard errors `over seeds` and `over images`, in the
    contrast's unit; the true difference that is `found` with `power` today; `seeds` (of the system with the fewest) and
    `images` (of the cell with the fewest) today, and those that are `needed`. `more runs` are to be added for that, and
    `minutes` is what they cost, by the minutes of a run of a system, given by its values of `lib.contrasts.SYSTEM`.
    """
    kept, lines = Kept(), []
    for verdict in judged(claims, rows):
        if not verdict.tested:
            continue
        claim = verdict.claim
        contrasts = claim.contrasts(rows if claim.all_encoders else convolutional(rows))
        own = components(contrasts.get(verdict.contrast) or mean_of(list(contrasts.values())), kept)
        wanted = needed(own, power)
        cost = sum(count * minutes(dict(zip(own.columns, name, strict=True))) for name, count in wanted.more.items())
        lines.append((
            claim.name, verdict.verdict, verdict.contrast, own.mean, np.sqrt(own.over_seeds), np.sqrt(own.over_images),
            own.estimate().found(power), min((one.seeds for one in own.systems.values()), default=0), wanted.seeds,
            own.tested, wanted.images, sum(wanted.more.values()), cost if np.isfinite(wanted.seeds) else np.nan,
        ))  # fmt: skip
    return pd.DataFrame(lines, columns=list(POWER_COLUMNS))
