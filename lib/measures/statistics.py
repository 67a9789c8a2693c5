"""Intervals. A number in the book is a mean over seeds, measured on a sample of images: both vary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from lib.errors import BadInput

LEVEL = 0.95
FEWEST = 4  # pairs for a correlation: any three lie in order by chance once in three


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its interval. Without repetition the ends are NaN and not written: unknown is not zero."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isnan(self.low):
            return f"{self.mean:.1f}"
        return f"{self.mean:.1f} [{self.low:.1f}, {self.high:.1f}]"


def interval(values: Sequence[float], standard_errors: Sequence[float] | float = 0.0, level: float = LEVEL) -> Interval:
    r"""Mean of one value a seed, with an interval over seeds and images.

    .. math:: \bar v \pm \sqrt{\left(t_{S-1} \, s / \sqrt S\right)^2 + \left(z \, \bar e\right)^2}

    `values` (S,) are the seeds' results and s their standard deviation; `standard_errors` are those
    of each result over the images, averaged (root mean square) and not divided by S, since all seeds
    are tested on the same images. Student's t, not a bootstrap, covers seeds: three seeds resample
    to intervals that are far too narrow (`tests/measures/test_statistics.py` measures how far).
    With one seed the ends are NaN.
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) == 0:
        raise BadInput(f"an interval needs a list of one number a seed, not an array of shape {values.shape}")
    seeds = len(values)
    mean = float(values.mean())
    if seeds == 1:
        return Interval(mean, float("nan"), float("nan"))
    tail = (1 + level) / 2
    over_seeds = stats.t.ppf(tail, seeds - 1) * values.std(ddof=1) / np.sqrt(seeds)
    over_images = stats.norm.ppf(tail) * np.sqrt(np.mean(np.square(standard_errors)))
    half = float(np.hypot(over_seeds, over_images))
    return Interval(mean, mean - half, mean + half)


def bootstrap_interval(
    outcomes: np.ndarray,
    statistic: Callable[[np.ndarray], float] = np.mean,
    resamples: int = 2000,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over seeds and images of `outcomes` (S, N, ...), resampled in both.

    Row s holds what the run of seed s did on each of the same N images (for a paired difference: the
    difference). `statistic` takes an array of that shape. With one row only the images vary.
    """
    outcomes = np.asarray(outcomes)
    if outcomes.ndim < 2 or 0 in outcomes.shape:
        raise BadInput(f"outcomes are an array (seeds, images, ...), none of them empty, not {outcomes.shape}")
    generator = np.random.default_rng(seed)
    seeds, images = outcomes.shape[:2]
    draws = [
        statistic(outcomes[generator.integers(seeds, size=seeds)][:, generator.integers(images, size=images)])
        for _ in range(resamples)
    ]
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(statistic(outcomes)), float(low), float(high))


def correlation(
    x: Sequence[float], y: Sequence[float], ranks: bool, resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """Pearson's correlation of the pairs (N,), (N,), or with `ranks` Spearman's; 95 % percentile bootstrap over pairs.

    None for fewer than `FEWEST` pairs, and where x or y does not vary. Resamples in which one does not are left out.
    """
    pairs = np.array([x, y], dtype=float)
    count = pairs.shape[1]
    if count < FEWEST or (np.ptp(pairs, axis=1) == 0).any():
        return None
    draws = np.random.default_rng(seed).integers(count, size=(resamples, count))
    drawn = pairs[:, draws]  # (2, resamples, N)
    drawn = drawn[:, (np.ptp(drawn, axis=-1) > 0).all(axis=0)]
    low, high = np.quantile(_correlate(*drawn, ranks), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(_correlate(*pairs, ranks)), float(low), float(high))


def _correlate(x: np.ndarray, y: np.ndarray, ranks: bool) -> np.ndarray:
    """(..., N), (..., N) -> (...)."""
    if ranks:
        x, y = stats.rankdata(x, axis=-1), stats.rankdata(y, axis=-1)
    x, y = (values - values.mean(axis=-1, keepdims=True) for values in (x, y))
    return (x * y).sum(axis=-1) / np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
