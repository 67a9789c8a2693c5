"""Contrasts: sums of cells of tidy rows, such as a difference of two systems, with intervals.

One model stands behind every difference of the book. Rows are numbers of runs; runs of one system with other seeds are
its replicates. See `Contrast.estimate`, and `lib.measures.statistics.pooled` for what systems lend each other.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pandas as pd

from lib.errors import BadInput
from lib.measures import Estimate, Pool, estimate, is_share, pooled
from lib.measures.outcomes import Outcome
from lib.measures.rows import cell_of
from lib.measures.statistics import in_order, moments, share_estimate, sum_of_variances
from lib.methods import METHODS
from lib.paired import Part, over_images
from lib.recent import Recent, remembered
from lib.runs import outcomes

Cell = dict[str, object]  # values of columns, which pick one row a seed
Key = TypeVar("Key", bound=Hashable)

# The columns that tell systems apart: rows that agree in these differ by seed, or by what was measured.
SYSTEM = ("dataset", "encoder", "method", "system", "augmentation", "settings")

INDEXED = 2  # times that a table is searched for values of the same columns before they have an index

# What tells which outcomes of single images belong to a row.
TRACED = ("run", "measure", "shift", "subset", "level", "level_unit", "metric")


@dataclass(frozen=True, eq=False)
class Contrast:
    """A sum of weights times cells, each of its own table, and a number: not yet estimated.

    It is kept as a sum so that means of contrasts, in which one system may have a part many times, are estimated as
    what they are. The number is known exactly, or with a standard `error` of so many `degrees` of freedom, such as of
    a line that others were compared with.
    """

    parts: tuple[tuple[float, pd.DataFrame, Cell], ...]
    plus: float = 0.0
    error: float = 0.0
    degrees: float = float("inf")

    def __add__(self, number: float) -> Contrast:
        return replace(self, plus=self.plus + number)

    def __sub__(self, number: float) -> Contrast:
        return self + -number

    def __neg__(self) -> Contrast:
        return -1 * self

    def __mul__(self, factor: float) -> Contrast:
        parts = tuple((factor * weight, *place) for weight, *place in self.parts)
        return Contrast(parts, factor * self.plus, abs(factor) * self.error, self.degrees)

    __rmul__ = __mul__

    def estimate(self) -> Estimate:
        r"""Its value, averaged over each system's seeds, with a 95 % interval over seeds and images.

        Of each system that has a part, the sum of its cells is one number a seed, :math:`v_{gs}`. Seeds of two systems
        are independent: what one number draws has little to do with what it draws elsewhere, and to pair by it costs
        half of the degrees of freedom.

        .. math:: \sum_g \bar v_g, \qquad \mathrm{Var} = \sum_g \frac{\tilde s_g^2}{S_g} + \mathrm{Var}_\mathrm{images}

        :math:`\tilde s_g^2` is the variance over seeds, moderated by those of all systems that have the same cells
        (`lib.measures.statistics.pooled`), on the scale on which they are comparable: the logit of a share, Fisher's z
        of a similarity. For degrees of freedom see
        `lib.measures.statistics.sum_of_variances`, for images `lib.paired.over_images`. The ends are NaN where a system
        has one seed. The interval of a share itself, or of a mean of shares, is made on the logit scale:
        `lib.measures.statistics.share_estimate`.
        """
        return estimates({"": self})[""]


Contrasts = dict[str, Contrast]  # what is compared, in words -> the difference in percentage points


def mean_of(contrasts: Sequence[Contrast]) -> Contrast:
    """Their mean, as one contrast."""
    return functools.reduce(_plus, [1 / len(contrasts) * own for own in contrasts])


def less(more: Contrast, other: Contrast) -> Contrast:
    """One contrast less another."""
    return _plus(more, -other)


def _plus(one: Contrast, other: Contrast) -> Contrast:
    """Their sum. Errors of their numbers are added as if they went together: of two lines through the same systems."""
    numbers = one.plus + other.plus, one.error + other.error, min(one.degrees, other.degrees)
    return Contrast(one.parts + other.parts, *numbers)


def estimates(contrasts: Mapping[Key, Contrast], kept: Kept | None = None) -> dict[Key, Estimate]:
    """All of them. What `kept` holds of tables is not looked up again; None: what the tables asked about last have."""
    if kept is None:
        kept = _RECENT.kept(rows for contrast in contrasts.values() for _, rows, _ in contrast.parts)
    return {words: _estimate(contrast, kept) for words, contrast in contrasts.items()}


@dataclass(frozen=True)
class OfSystem:
    """A system's part in a contrast: the variance over seeds of one run, moderated by its `pool`, and how many seeds it
    has."""

    variance: float
    seeds: int
    pool: Pool


@dataclass(frozen=True)
class Share:
    """That a contrast is a level in percent: the `slope` of the logit's inverse there, and its `count` of images."""

    slope: float
    count: float | None


@dataclass(frozen=True)
class Components:
    """What the error of a contrast is made of: what each of its `systems` (values of `columns`) has over its seeds, the
    variance over images of all of them together, on the fewest `tested` images of a cell, and the `error` of a number,
    with its `degrees` of freedom, that no run changes. `share` is there where it is no difference but a level.
    """

    mean: float
    columns: tuple[str, ...]
    systems: Mapping[tuple, OfSystem]
    over_images: float
    tested: float
    error: float
    degrees: float
    share: Share | None = None

    @property
    def over_seeds(self) -> float:
        """The variance over seeds."""
        return sum(own.variance / own.seeds for own in self.systems.values())

    def estimate(self, seeds: int = 0, factor: float = 1.0) -> Estimate:
        """See `Contrast.estimate`; or what it would be, with the same mean and variances, if each system had at least
        `seeds` and were tested on `factor` times as many images."""
        grown = sum(max(seeds - own.seeds, 0) for own in self.systems.values())
        variances, degrees = ([self.error**2], [self.degrees]) if self.error else ([], [])
        total = 0.0
        for own in self.systems.values():
            pool, count = replace(own.pool, total=own.pool.total + grown), max(seeds, own.seeds)
            variances.append(own.variance / count)
            degrees.append(pool.moderated(own.variance, count - 1)[1])
            total = max(total, pool.total)
        parts = variances, degrees, total, self.over_images / factor
        if self.share is None:
            return estimate(self.mean, *sum_of_variances(*parts))
        count = self.share.count and self.share.count * factor
        return share_estimate(self.mean, *parts, self.share.slope, count)


def components(contrast: Contrast, kept: Kept | None = None) -> Components:
    """What the error of a contrast is made of; for `kept` see `estimates`."""
    return _components(contrast, _RECENT.kept(rows for _, rows, _ in contrast.parts) if kept is None else kept)


@dataclass(frozen=True)
class _Own:
    """One system's cell: its value by seed, its error over images, and by what deviations are divided; see `_slope`.

    `images` are the fewest that it was tested on, NaN where nobody knows. `lines` are the `TRACED` columns of its row
    by seed, where rows have them.
    """

    values: Mapping[Hashable, float]
    error: float
    slope: float
    metric: str
    images: float
    lines: Mapping[Hashable, tuple] | None = None

    def outcomes(self, seeds: Sequence[Hashable]) -> list[Outcome] | None:
        """What its runs did on each image, one of each of `seeds`; None where one of them kept nothing."""
        found = []
        for seed in seeds if self.lines is not None else ():
            run, measure, *cell = self.lines[seed]
            if pd.isna(run):  # a mean over rows, beside rows of runs
                return None
            if (own := outcomes.of_row(run, measure, cell_of(*cell), self.values[seed])) is None:
                return None
            found.append(own)
        return found or None


class Kept:
    """Cells and pools that were looked up, and the tables themselves, so that none is taken for another."""

    def __init__(self) -> None:
        self.tables: dict[int, pd.DataFrame] = {}
        self.columns: dict[tuple[int, str], np.ndarray] = {}
        self.apart: dict[int, tuple[str, ...]] = {}
        self.systems: dict[Hashable, dict[tuple, list[tuple]]] = {}
        self.places: dict[Hashable, Mapping[Hashable, list[int]]] = {}
        self.asked: dict[Hashable, int] = {}  # how often, before there is an index
        self.cells: dict[Hashable, dict[tuple, _Own]] = {}
        self.pools: dict[Hashable, Pool] = {}

    def column(self, rows: pd.DataFrame, name: str) -> np.ndarray:
        """The values (N,) of one column; of those that tell systems apart, "" where there is none."""
        key = (id(rows), name)
        if key not in self.columns:
            self.tables[id(rows)] = rows
            values = rows[name].fillna("") if name in SYSTEM else rows[name]
            self.columns[key] = values.to_numpy()
        return self.columns[key]

    def telling(self, rows: pd.DataFrame) -> tuple[str, ...]:
        """The columns of a table that tell systems apart."""
        if id(rows) not in self.apart:
            self.tables[id(rows)] = rows
            self.apart[id(rows)] = tuple(name for name in SYSTEM if name in rows)
        return self.apart[id(rows)]

    def picked(self, rows: pd.DataFrame, what: Cell) -> np.ndarray:
        """The places (n,) of the rows with the column values of `what`, None where there is none. An index is made of a
        table and a choice of columns that are asked for again."""
        if not what:
            return np.arange(len(rows))
        self.tables[id(rows)] = rows
        key = (id(rows), *what)
        self.asked[key] = self.asked.get(key, 0) + 1
        if self.asked[key] <= INDEXED and key not in self.places:
            found = np.ones(len(rows), dtype=bool)
            for name, value in what.items():
                found &= (rows[name].isna() if value is None else rows[name] == value).to_numpy()
            return np.flatnonzero(found)
        if key not in self.places:
            columns = (rows[name].astype(object).where(rows[name].notna(), None).to_numpy() for name in what)
            places: dict[Hashable, list[int]] = {}
            for place, values in enumerate(zip(*columns, strict=True)):
                places.setdefault(values, []).append(place)
            self.places[key] = places
        return np.array(self.places[key].get(tuple(what.values()), []), dtype=int)


_RECENT = Recent(Kept)


def _estimate(contrast: Contrast, kept: Kept) -> Estimate:
    return _components(contrast, kept).estimate()


def _components(contrast: Contrast, kept: Kept) -> Components:
    told = {kept.telling(rows) for _, rows, _ in contrast.parts} or {SYSTEM}
    columns = tuple(name for name in SYSTEM if all(name in own for own in told))
    systems: dict[tuple, dict[Hashable, float]] = {}  # system: its cells, and what each weighs
    for weight, rows, cell in contrast.parts:
        key = _everywhere(rows, cell, columns, kept)
        weights = systems.setdefault(_picked(rows, cell, columns, key, kept), {})
        weights[key] = weights.get(key, 0.0) + weight
    mean, parts, tested = contrast.plus, dict[tuple, OfSystem](), list[float]()
    for own, cells in systems.items():
        values, size = _by_seed(own, cells, kept), _size(own, cells, kept)
        if not values:
            raise BadInput(f"the cells of {' '.join(map(str, own))} share no seed")
        pool = _pool(cells, kept)
        centre, spread = moments(values)
        mean += centre
        drawn, _ = pool.moderated(spread / size**2, len(values) - 1)
        parts[own] = OfSystem(drawn * size**2, len(values), pool)
        tested += [count for key in cells if (count := kept.cells[key][own].images) == count]
    return Components(
        mean, columns, parts, _over_images(systems, kept), min(tested, default=float("nan")), contrast.error,
        contrast.degrees, _share(contrast, systems, kept, mean),
    )  # fmt: skip


def _share(
    contrast: Contrast, systems: Mapping[tuple, Mapping[Hashable, float]], kept: Kept, mean: float
) -> Share | None:
    """Of a share, or a mean of shares, and not of a difference."""
    parts = [(weight, kept.cells[key][own]) for own, cells in systems.items() for key, weight in cells.items()]
    level = not contrast.plus and not contrast.error and min(weight for weight, _ in parts) > 0
    if not level or abs(sum(weight for weight, _ in parts) - 1) > 1e-9 or not all(is_share(p.metric) for _, p in parts):
        return None
    counts = np.array([part.images for _, part in parts])
    count, slope = float(counts.min()), _slope(mean / 100, parts[0][1].metric, float(counts.mean()))
    return Share(slope, None if np.isnan(count) else count)


def _everywhere(rows: pd.DataFrame, cell: Cell, columns: Sequence[str], kept: Kept) -> Hashable:
    """A key of the cell whatever the system, by which `kept` has system -> its own, of those with one row a seed."""
    what = {name: value for name, value in cell.items() if name not in columns}
    kept.tables[id(rows)] = rows
    key = (id(rows), *columns, *sorted((name, str(value)) for name, value in what.items()))
    if key not in kept.cells:
        chosen = kept.picked(rows, what)
        names = list(zip(*(kept.column(rows, name)[chosen] for name in columns), strict=True)) or [()] * len(chosen)
        places: dict[tuple, list[int]] = {}
        for place, name in enumerate(names):
            places.setdefault(name, []).append(place)
        seeds = kept.column(rows, "seed")[chosen].tolist()
        values, errors = (
            kept.column(rows, name)[chosen].astype(float).tolist() for name in ("value", "standard_error")
        )
        images = (
            kept.column(rows, "images")[chosen].astype(float).tolist() if "images" in rows else [np.nan] * len(chosen)
        )
        metrics = kept.column(rows, "metric")[chosen] if "metric" in rows else [""] * len(chosen)
        traced = all(name in rows for name in TRACED)
        lines = list(zip(*(kept.column(rows, name)[chosen] for name in TRACED), strict=True)) if traced else []
        kept.cells[key] = {
            name: _one_a_seed(
                {seeds[place]: values[place] for place in own},
                [errors[place] for place in own],
                [images[place] for place in own],
                metrics[own[0]],
                {seeds[place]: lines[place] for place in own} if traced else None,
            )
            for name, own in places.items()
            if len({seeds[place] for place in own}) == len(own)
        }
    return key


def _one_a_seed(
    values: Mapping[Hashable, float],
    errors: Sequence[float],
    images: Sequence[float],
    metric: str,
    lines: Mapping[Hashable, tuple] | None,
) -> _Own:
    error, _ = moments([own * own for own in errors])
    (mean, _), (tested, _) = moments(list(values.values())), moments(images)
    fewest = tested if np.isnan(tested) else min(images)
    return _Own(values, math.sqrt(error), _slope(mean / 100, metric, tested), metric, fewest, lines)


def _picked(rows: pd.DataFrame, cell: Cell, columns: Sequence[str], key: Hashable, kept: Kept) -> tuple:
    """The system that `cell` is of, with the `key` of `_everywhere`. Raises BadInput where it picks none or several."""
    named = tuple(name for name in columns if name in cell)
    if (key, named) not in kept.systems:
        places = [columns.index(name) for name in named]
        known: dict[tuple, list[tuple]] = {}
        for system in kept.cells[key]:
            known.setdefault(tuple(system[place] for place in places), []).append(system)
        kept.systems[key, named] = known
    own = kept.systems[key, named].get(tuple(cell[name] for name in named), [])
    if len(own) != 1:
        by_seed(rows, cell)  # which says what is wrong
        raise BadInput(f"{cell} picks rows of {len(own)} systems, not one")
    return own[0]


def _by_seed(system: tuple, cells: Mapping[Hashable, float], kept: Kept) -> list[float]:
    """The sum of a system's cells, one a seed (S,), of the seeds that all of them have."""
    own = [(weight, kept.cells[key][system].values) for key, weight in cells.items()]
    return [in_order(weight * values[seed] for weight, values in own) for seed in _seeds(system, cells, kept)]


def _seeds(system: tuple, cells: Mapping[Hashable, float], kept: Kept) -> list[Hashable]:
    """The seeds that all of a system's cells have."""
    first, *others = (kept.cells[key][system].values for key in cells)
    return [seed for seed in first if all(seed in values for values in others)]


def _pool(cells: Mapping[Hashable, float], kept: Kept) -> Pool:
    """Of all systems that have these cells, what their variances over seeds have in common, whatever the unit."""
    unit = max(cells.values(), key=abs) or 1.0
    cells = {key: weight / unit for key, weight in cells.items()}
    key = frozenset(cells.items())
    if key not in kept.pools:
        first, *others = (kept.cells[cell] for cell in cells)
        systems = [own for own in first if all(own in other for other in others)]  # a set's order is by chance
        values = {own: _by_seed(own, cells, kept) for own in systems}
        values = {own: found for own, found in values.items() if len(found) > 1}
        kept.pools[key] = pooled(
            [moments(found)[1] / _size(own, cells, kept) ** 2 for own, found in values.items()],
            [len(found) - 1 for found in values.values()],
        )
    return kept.pools[key]


def _size(system: tuple, cells: Mapping[Hashable, float], kept: Kept) -> float:
    """By what a system's deviation over seeds is divided to be comparable with others': its cells', in quadrature."""
    slopes = [weight * kept.cells[key][system].slope for key, weight in cells.items()]
    return float(np.sqrt(np.square(slopes).sum())) or 1.0


def _slope(value: float, metric: str, images: float) -> float:
    """The derivative of a scale's inverse at a cell's mean: p (1 - p) of a share, 1 - r² of a similarity, else 1.

    Shares have half an image more on both sides, so that 0 has one.
    """
    if is_share(metric) and 0 <= value <= 1:
        images = 1000.0 if np.isnan(images) else images
        share = (value * images + 0.5) / (images + 1)
        return share * (1 - share)
    return max(1 - value**2, 0.01) if "similarity" in metric and abs(value) <= 1 else 1.0


def _over_images(systems: Mapping[tuple, Mapping[Hashable, float]], kept: Kept) -> float:
    """Of the sum of the systems' cells, see `lib.paired.over_images`."""
    parts: dict[tuple, dict[Hashable, Part]] = {}
    for name, cells in systems.items():
        seeds, own = _seeds(name, cells, kept), {key: kept.cells[key][name] for key in cells}
        parts[name] = {key: Part(cells[key], cell.error, cell.outcomes(seeds)) for key, cell in own.items()}
    return over_images(parts)


@remembered
def convolutional(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs with a residual network; `transformers` has the others."""
    return rows[~rows["encoder"].str.startswith("vit")]


def transformers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["encoder"].str.startswith("vit")]


def of_cell(rows: pd.DataFrame, cell: Cell) -> Contrast:
    """One cell of `rows`, picked by column values: of a metric that is itself a difference."""
    return Contrast(((1.0, rows, cell),))


def of_two(rows: pd.DataFrame, more: Cell, less: Cell) -> Contrast:
    """One cell less another."""
    return of_cells(rows, [(1, more), (-1, less)])


def of_cells(rows: pd.DataFrame, parts: Sequence[tuple[float, Cell]]) -> Contrast:
    """The sum over `parts` of a weight times a cell."""
    return Contrast(tuple((weight, rows, cell) for weight, cell in parts))


def level(rows: pd.DataFrame, cell: Cell) -> Estimate:
    """The mean over seeds of one cell of `rows`, picked by column values."""
    return of_cell(rows, cell).estimate()


def levels(rows: pd.DataFrame, keys: Sequence[str], shown: pd.DataFrame | None = None) -> dict[tuple, Estimate]:
    """The mean over seeds of each cell that the columns `keys` tell apart, in the order of `rows`; one row a seed.

    All systems that `rows` hold lend their variances. `shown` are those of `rows` whose cells are wanted; None: all.
    """
    cells = (rows if shown is None else shown)[list(keys)].dropna().drop_duplicates().itertuples(index=False, name=None)
    return estimates({key: of_cell(rows, dict(zip(keys, key, strict=True))) for key in cells})


def difference(rows: pd.DataFrame, more: Cell, less: Cell) -> Estimate:
    """The difference of two cells of `rows`, each picked by column values; see `Contrast.estimate`.

    >>> rows = pd.DataFrame({"seed": [0, 1, 2] * 2, "method": ["a"] * 3 + ["b"] * 3, "standard_error": 0.0})
    >>> str(difference(rows.assign(value=[60, 61, 62, 58, 60, 59]), {"method": "a"}, {"method": "b"}))
    '2.0 [-0.3, 4.3]'
    """
    return of_two(rows, more, less).estimate()


def picked(rows: pd.DataFrame, cell: dict[str, object]) -> pd.DataFrame:
    """The rows with the column values of `cell`; None picks those where there is none, as of a level."""
    return rows.iloc[places(rows, cell)] if cell else rows


def places(rows: pd.DataFrame, cell: dict[str, object]) -> np.ndarray:
    """The places (n,) of the rows that `picked` picks."""
    return _RECENT.kept([rows], cell).picked(rows, cell)


def by_seed(rows: pd.DataFrame, cell: dict[str, object]) -> pd.DataFrame:
    chosen = picked(rows, cell)
    if chosen.empty or chosen["seed"].duplicated().any():
        raise BadInput(f"{cell} picks {len(chosen)} rows, not one a seed")
    return chosen.set_index("seed")


def present(rows: pd.DataFrame, self_supervised: bool = True) -> list[str]:
    """The trained methods in `rows`, in the order of the table; those without labels only, or all."""
    found = set(rows["method"].unique())
    methods = [name for name in METHODS if name in found and METHODS[name].trained]
    return [name for name in methods if not (self_supervised and METHODS[name].build.uses_labels)]


def of_metric(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric: a method that is on the page may lack a measure that is not published for it."""
    return rows[rows["metric"] == metric]


def method_cell(method: str, shift: str, level: float | None, metric: str = "error") -> dict[str, object]:
    """At a level, or where it is None without one: of clean images, and of means over severities."""
    return {"method": method, "shift": shift, "level": level, "metric": metric}
