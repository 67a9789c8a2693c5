"""Intervals. A number in the book is a mean over seeds, measured on a sample of images: both vary."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

import numpy as np
from scipy import (  # t and z from special: stats asks the same functions, a hundred times slower
    optimize,
    special,
    stats,
)

from lib.errors import BadInput

LEVEL = 0.95
_ROUNDING = 1e-6  # by which a mean of weighted outcomes may leave 0 to 100 percent
_IN_ORDER = 8  # so many values NumPy no longer adds one after the other
_MANY = 1e6  # degrees of freedom with which Student's t is a normal deviate
FEWEST = 4  # pairs for a correlation: any three lie in order by chance once in three

Floats = Sequence[float] | np.ndarray
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its interval. Without repetition the ends are NaN and not written: unknown is not zero.

    Arithmetic is with numbers that are known exactly. Of two intervals there is none: whether the same seeds and images
    stand behind both only rows know, see `lib.contrasts.difference`.

    >>> print(-Interval(1, 0.5, 2) + 3, 10 * Interval(1, 0.5, 2))
    2.0 [1.0, 2.5] 10.0 [5.0, 20.0]
    """

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        mean, low, high = (round(float(own), 1) + 0.0 for own in (self.mean, self.low, self.high))  # no -0.0
        return f"{mean:.1f}" if np.isnan(low) else f"{mean:.1f} [{low:.1f}, {high:.1f}]"

    def __neg__(self) -> Self:
        return replace(self, mean=-self.mean, low=-self.high, high=-self.low)

    def __add__(self, number: float) -> Self:
        return replace(self, mean=self.mean + number, low=self.low + number, high=self.high + number)

    def __sub__(self, number: float) -> Self:
        return self + -number

    def __mul__(self, factor: float) -> Self:
        size = abs(factor)
        scaled = replace(self, mean=size * self.mean, low=size * self.low, high=size * self.high)
        return -scaled if factor < 0 else scaled

    __rmul__ = __mul__

    @property
    def sign(self) -> int:
        """1 if all of it is above zero, -1 if below; 0 where it holds zero, and where its ends are unknown."""
        return int(self.low > 0) - int(self.high < 0)  # of NumPy's booleans there is no difference

    def equal(self, margin: float) -> bool:
        """Whether all of it is less than `margin` away from zero."""
        return bool(-margin < self.low and self.high < margin)


@dataclass(frozen=True)
class Estimate(Interval):
    """An interval with the standard error and Student's degrees of freedom behind it, so that it can be tested.

    Both are NaN, like the ends, where nothing is repeated; then nothing is decided, and each p value is 1.
    """

    standard_error: float
    degrees: float  # infinite where the standard error is as good as known

    def __mul__(self, factor: float) -> Self:
        return replace(super().__mul__(factor), standard_error=abs(factor) * self.standard_error)

    __rmul__ = __mul__

    def above(self, bound: float = 0.0) -> float:
        """The one-sided p value of "it is above `bound`": how often, if it were there, it would lie as high."""
        distance = self.mean - bound
        if np.isnan(self.standard_error) or distance == 0 == self.standard_error:
            return 1.0
        if self.standard_error == 0:
            return float(distance < 0)
        return float(special.stdtr(self.degrees, -distance / self.standard_error))

    def below(self, bound: float = 0.0) -> float:
        """The one-sided p value of "it is below `bound`"."""
        return (-self).above(-bound)

    def within(self, margin: float) -> float:
        """The p value of "it is less than `margin` away from zero", the larger one of two one-sided tests."""
        return max(self.above(-margin), self.below(margin))

    def equal(self, margin: float) -> bool:
        """Whether it is shown to be less than `margin` away from zero, by `within`."""
        return self.within(margin) <= 1 - LEVEL

    def found(self, power: float = 0.8, level: float = LEVEL) -> float:
        r"""The smallest true difference that a design of this error and these degrees of freedom finds with `power`.

        To find it is to have an interval of `level` that lies above zero. So it is the :math:`\delta` that solves

        .. math:: P\left(T_\nu(\delta / e) > t_{\nu, (1 + \mathrm{level}) / 2}\right) = \mathrm{power}

        with the noncentral :math:`T_\nu`. Its usual stand-in, :math:`(t_{(1 + \mathrm{level}) / 2} + t_\mathrm{power})
        e`, is 5 % too small with 2 degrees of freedom. NaN where nothing is repeated.
        """
        if not self.standard_error > 0:  # NaN as well
            return self.standard_error
        return noncentrality(self.degrees, power, level) * self.standard_error


@functools.lru_cache(maxsize=4096)
def noncentrality(degrees: float, power: float, level: float = LEVEL) -> float:
    """How many standard errors a true difference has to be for Student's interval to lie above zero with `power`."""
    critical = float(special.stdtrit(degrees, (1 + level) / 2))
    if not (1 - level) / 2 < power < 1:
        raise BadInput(f"power is above {(1 - level) / 2:g}, what no difference has, and below 1, not {power}")
    if degrees > _MANY:
        return critical + float(special.ndtri(power))
    end = 1.0
    while special.nctdtr(degrees, end, critical) > 1 - power:
        end *= 2
    return float(optimize.brentq(lambda size: special.nctdtr(degrees, size, critical) - (1 - power), 0, end))


def estimate(mean: float, standard_error: float, degrees: float, level: float = LEVEL) -> Estimate:
    """Student's interval.

    >>> str(estimate(1.0, 0.5, 16))
    '1.0 [-0.1, 2.1]'
    """
    half = float(special.stdtrit(degrees, (1 + level) / 2) * standard_error) if standard_error else standard_error
    return Estimate(mean, mean - half, mean + half, standard_error, degrees)


@dataclass(frozen=True)
class Pool:
    """What the variances of a study's systems have in common: `variance`, known as well as with `degrees` of freedom.

    `total` are the degrees of freedom of all of them together.
    """

    variance: float
    degrees: float
    total: float

    def moderated(self, variance: float, degrees: float) -> tuple[float, float]:
        """The variance of one system drawn towards the common one, and its degrees of freedom; see `pooled`.

        NaN stays NaN: a system with one seed is not taken to vary as others do.
        """
        if self.degrees == 0 or np.isnan(variance):
            return variance, degrees
        if np.isinf(self.degrees):
            return self.variance, max(self.total, degrees)
        drawn = (self.degrees * self.variance + degrees * variance) / (self.degrees + degrees)
        return drawn, min(self.degrees + degrees, max(self.total, degrees))


def pooled(variances: Floats, degrees: Floats) -> Pool:
    r"""Empirical Bayes for the variances (G,) over seeds of G systems, each with `degrees` (G,) of freedom.

    Smyth (2004, Statistical Applications in Genetics and Molecular Biology 3:3, section 6.2), as limma moderates
    variances of genes. Systems' true variances are taken to be drawn from one distribution,
    :math:`\sigma_g^2 \sim s_0^2 \, d_0 / \chi^2_{d_0}`, and each is estimated by

    .. math:: \tilde s_g^2 = \frac{d_0 s_0^2 + d_g s_g^2}{d_0 + d_g}

    with :math:`d_0 + d_g` degrees of freedom, and no more than all systems have together. With
    :math:`e_g = \log s_g^2 - \psi(d_g / 2) + \log(d_g / 2)`, :math:`d_0` and :math:`s_0^2` solve

    .. math:: \psi'(d_0 / 2) = \frac{1}{G - 1} \sum_g (e_g - \bar e)^2 - \overline{\psi'(d_g / 2)}, \qquad
              \log s_0^2 = \bar e + \psi(d_0 / 2) - \log(d_0 / 2)

    Where the right side of the first is not above zero, the variances differ no more than by chance: then
    :math:`d_0 = \infty` and :math:`s_0^2` is their weighted mean. Variances of exactly zero, such
    as of accuracies that are 0 with all seeds, say nothing of the others and have no logarithm: they have no part.
    """
    variances, degrees = (np.asarray(numbers, dtype=float) for numbers in (variances, degrees))
    known = (degrees > 0) & (variances > 0)
    variances, degrees = variances[known], degrees[known]
    total = float(degrees.sum())
    if len(variances) < 2:
        return Pool(float(variances.sum()), 0.0, total)
    logs = np.log(variances) - special.digamma(degrees / 2) + np.log(degrees / 2)
    excess = logs.var(ddof=1) - special.polygamma(1, degrees / 2).mean()
    if excess <= 0:
        return Pool(float(variances @ degrees / total), float("inf"), total)
    half = _inverse_trigamma(excess)
    return Pool(float(np.exp(logs.mean() + special.digamma(half) - np.log(half))), 2 * half, total)


def sum_of_variances(variances: Floats, degrees: Floats, total: float, images: float) -> tuple[float, float]:
    r"""The standard error of a sum of independent means, and its degrees of freedom.

    `variances` (K,) of the means over seeds, known with `degrees` (K,) of freedom from a pool of `total`; and one over
    `images`, which is as good as known:

    .. math:: e^2 = \sum_k v_k + v_\mathrm{images}, \qquad
              \nu = \Big(\frac{e^2}{\sum_k v_k / \sqrt{\nu_k}}\Big)^2

    These are Satterthwaite's degrees of freedom (1946) if the errors of the variances go together. Independent ones
    have squares added instead, but moderated variances lean on one common variance, and by as much err together:
    counted as independent, intervals hold the truth 92 to 94 times in a hundred where the systems differ, see
    `tests/measures/test_statistics.py`. The seeds' part of them is at most `total`. NaN where a variance is.
    """
    variances, degrees = (np.asarray(numbers, dtype=float) for numbers in (variances, degrees))
    seeds = float(variances.sum())
    if np.isnan(seeds):
        return float("nan"), float("nan")
    if seeds == 0:
        return float(np.sqrt(images)), float("inf")
    known = min((seeds / float((variances / np.sqrt(degrees)).sum())) ** 2, max(total, float(degrees.max())))
    return float(np.sqrt(seeds + images)), known * ((seeds + images) / seeds) ** 2


@dataclass(frozen=True)
class _Beside(Estimate):
    """An estimate that is read beside others; see `read_together`. It is the one at `place` of them."""

    shown: bool
    place: int = field(repr=False)
    others: tuple[Estimate, ...] = field(repr=False)

    @property
    def sign(self) -> int:
        return super().sign if self.shown else 0

    def equal(self, margin: float) -> bool:
        return _equal_together(self.others, margin)[self.place]


@functools.lru_cache(maxsize=256)
def _equal_together(found: tuple[Estimate, ...], margin: float) -> list[bool]:
    return (false_discovery([own.within(margin) for own in found]) <= 1 - LEVEL).tolist()


def read_together(found: Mapping[Key, Estimate]) -> dict[Key, Estimate]:
    """The same estimates, whose `sign` and `equal` take into account how many there are: 0 and False where
    `false_discovery` leaves more than 5 % of the two-sided test and of `within`. Intervals stay those of each by
    itself."""
    every = tuple(found.values())
    shown = false_discovery([min(1.0, 2 * min(own.above(), own.below())) for own in every]) <= 1 - LEVEL
    numbers = [(own.mean, own.low, own.high, own.standard_error, own.degrees) for own in every]
    return {key: _Beside(*numbers[place], bool(shown[place]), place, every) for place, key in enumerate(found)}


def _inverse_trigamma(value: float) -> float:
    """The x at which the trigamma function is `value` > 0, by Newton's method on its inverse (Smyth 2004, appendix)."""
    if value < 1e-7:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        slope = special.polygamma(1, x)
        step = slope * (1 - slope / value) / special.polygamma(2, x)
        x += step
        if -step < 1e-10 * x:
            break
    return float(x)


def share_estimate(
    mean: float,
    variances: Floats,
    degrees: Floats,
    total: float,
    images: float,
    slope: float,
    count: float | None = None,
    level: float = LEVEL,
) -> Estimate:
    r"""A mean of shares in percent, with Student's interval on the logit scale, so within 0 to 100.

    `variances`, `degrees`, `total` and `images` are those of `sum_of_variances`, in squared percentage points. What
    seeds make is divided by the `slope`, p (1 - p), of the logit's inverse. What images make is, in standard errors,
    Wilson's interval for the number of images n to which their variance belongs, :math:`p (1 - p) / v + 1`, or where
    it is zero for their `count`: it is symmetric on that scale, and has a width near 0 and 100, too. At 0 and 100
    there is no logit: there the interval is Wilson's for the `count`, and unknown without one.

    Its `standard_error` stays in points, and tests are made with it.
    """
    if not -_ROUNDING <= mean <= 100 + _ROUNDING:
        raise BadInput(f"shares are in percent, from 0 to 100, not {mean:g}")
    found = estimate(mean, *sum_of_variances(variances, degrees, total, images), level=level)
    share, z = min(max(mean / 100, 0.0), 1.0), float(special.ndtri((1 + level) / 2))
    if np.isnan(found.standard_error):
        return found
    if share in (0, 1):
        ends = (float("nan"), float("nan")) if count is None else _wilson(share, count, z)
        return replace(found, low=100 * ends[0], high=100 * ends[1])
    number = share * (1 - share) / (images / 100**2) + 1 if images > 0 else count
    over_images = 0.0 if number is None else (special.logit(_wilson(share, number, z)[1]) - special.logit(share)) / z
    on_logits = np.asarray(variances, dtype=float) / (100 * slope) ** 2
    error, known = sum_of_variances(on_logits, degrees, total, over_images**2)
    half = float(special.stdtrit(known, (1 + level) / 2) * error)
    low, high = 100 * special.expit(special.logit(share) + np.array([-half, half]))
    return replace(found, low=float(low), high=float(high))


def interval(
    values: Floats,
    standard_errors: Floats | float = 0.0,
    level: float = LEVEL,
) -> Interval:
    r"""Mean of one value a seed, with an interval over seeds and images.

    .. math:: \bar v \pm \sqrt{\left(t_{S-1} \, s / \sqrt S\right)^2 + \left(z \, \bar e\right)^2}

    `values` (S,) are the seeds' results and s their standard deviation; `standard_errors` are those
    of each result over the images, averaged (root mean square) and not divided by S, since all seeds
    are tested on the same images. Student's t, not a bootstrap, covers seeds: three seeds resample
    to intervals that are far too narrow (`tests/measures/test_statistics.py` measures how far).
    With one seed the ends are NaN.

    >>> str(interval([60.0, 62.0, 64.0]))
    '62.0 [57.0, 67.0]'
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) == 0:
        raise BadInput(f"an interval needs a list of one number a seed, not an array of shape {values.shape}")
    seeds = len(values)
    mean = float(values.mean())
    if seeds == 1:
        return Interval(mean, float("nan"), float("nan"))
    tail = (1 + level) / 2
    over_seeds = special.stdtrit(seeds - 1, tail) * values.std(ddof=1) / np.sqrt(seeds)
    over_images = special.ndtri(tail) * np.sqrt(np.mean(np.square(standard_errors)))
    half = float(np.hypot(over_seeds, over_images))
    return Interval(mean, mean - half, mean + half)


def moments(values: Sequence[float]) -> tuple[float, float]:
    """Mean and variance, NaN of a single value: NumPy's to the last bit, and of a few seeds in a tenth of its time."""
    count = len(values)
    if count >= _IN_ORDER:
        return float(np.mean(values)), float(np.var(values, ddof=1))
    mean = in_order(values) / count
    squares = in_order([(value - mean) * (value - mean) for value in values])
    return mean, squares / (count - 1) if count > 1 else float("nan")


def in_order(values: Iterable[float]) -> float:
    """Their sum, added one after the other, as NumPy does with fewer than eight; `sum` does otherwise since 3.12."""
    return functools.reduce(operator.add, values, 0.0)


def _wilson(share: float, count: float, z: float) -> tuple[float, float]:
    r"""Wilson's interval (1927) of a `share` of `count` images: the p from which it is at most z standard errors away.

    .. math:: |\hat p - p| \le z \sqrt{p (1 - p) / n}
    """
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2) / (1 + z**2 / count)
    return (0.0 if share == 0 else centre - half), (1.0 if share == 1 else centre + half)


def proportion_interval(outcomes: np.ndarray, level: float = LEVEL) -> Interval:
    """The share of `outcomes` (N,) bool that are true, in percent, with Wilson's interval over the images.

    >>> str(proportion_interval(np.array([True] * 10)))
    '100.0 [72.2, 100.0]'
    """
    outcomes = np.asarray(outcomes)
    if outcomes.ndim != 1 or len(outcomes) == 0 or outcomes.dtype != bool:
        raise BadInput(f"a share is of one or more true or false outcomes, (N,), not {outcomes.dtype} {outcomes.shape}")
    share = float(outcomes.mean())
    ends = _wilson(share, len(outcomes), special.ndtri((1 + level) / 2))
    return Interval(100 * share, *(100 * end for end in map(float, ends)))


def wilson_interval(value: float, standard_error: float, images: float, level: float = LEVEL) -> Interval:
    """Of one share of `images`, in percent: Wilson's, for the number of images that belongs to its standard error.

    Of what has no seeds, such as given weights.

    >>> str(wilson_interval(100.0, 0.0, 10))
    '100.0 [72.2, 100.0]'
    """
    share, spread = value / 100, (standard_error / 100) ** 2
    count = share * (1 - share) / spread + 1 if spread > 0 and 0 < share < 1 else images
    return Interval(value, *(100 * end for end in map(float, _wilson(share, count, special.ndtri((1 + level) / 2)))))


def is_share(metric: str) -> bool:
    """Whether the rows of `metric` are shares of images, between 0 and 100 percent, and no differences or distances."""
    if metric in _OTHERS:
        return False
    return metric in _SHARES or metric.endswith(" error") or any(word in metric for word in _SHARE_WORDS)


_SHARE_WORDS = ("accuracy", "IoU", "zero gradient")
_SHARES = ("error", "error along severity", "shape bias", "shape decisions", "texture decisions")
# What is called an error or an accuracy and may be below zero, is no share of images, or is not in percent.
_OTHERS = ("relative error", "calibration error", "debiased calibration error", "angle error", "accuracy lost")


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


def correlation(x: Floats, y: Floats, ranks: bool, families: Sequence[Hashable] | None = None) -> Interval | None:
    r"""Pearson's correlation of the pairs (N,), (N,), or with `ranks` Spearman's, with Fisher's interval of 95 %.

    .. math:: \tanh\left(\mathrm{artanh}\, r \pm z \sqrt{\frac{k}{F - 3}}\right)

    F is the number of `families` (N,), of pairs that are relatives, such as variants of one method: however many they
    are, they may say no more than one. None: each is by itself. k is 1, and of ranks 1 + r² / 2 (Bonett and Wright
    2000, Psychometrika 65:23). The ends are NaN for fewer than `FEWEST` families, the result is None for fewer pairs,
    and where x or y does not vary.
    """
    pairs = np.array([x, y], dtype=float)
    count = pairs.shape[1]
    if count < FEWEST or (np.ptp(pairs, axis=1) == 0).any():
        return None
    found = float(_correlate(pairs[0], pairs[1], ranks))
    independent = count if families is None else len(set(families))
    if independent < FEWEST:
        return Interval(found, float("nan"), float("nan"))
    half = special.ndtri((1 + LEVEL) / 2) * np.sqrt((1 + ranks * found**2 / 2) / (independent - 3))
    low, high = np.tanh(np.arctanh(np.clip(found, -1 + 1e-12, 1 - 1e-12)) + np.array([-half, half]))
    return Interval(found, float(low), float(high))


def _correlate(x: np.ndarray, y: np.ndarray, ranks: bool) -> np.ndarray:
    """(..., N), (..., N) -> (...)."""
    if ranks:
        x, y = stats.rankdata(x, axis=-1), stats.rankdata(y, axis=-1)
    x, y = (values - values.mean(axis=-1, keepdims=True) for values in (x, y))
    return (x * y).sum(axis=-1) / np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))


def false_discovery(p: Floats) -> np.ndarray:
    r"""Benjamini and Hochberg's adjusted p values (1995), (N,): reject those at most q, and of the rejected no more
    than q are expected to be wrong.

    .. math:: \tilde p_{(i)} = \min_{j \ge i} \min\!\left(1, \frac{N}{j} p_{(j)}\right)

    >>> [round(float(value), 3) for value in false_discovery([0.01, 0.04, 0.03])]
    [0.03, 0.04, 0.04]
    """
    p = np.asarray(p, dtype=float)
    order = np.argsort(p)[::-1]  # the largest first
    ranks = np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum.accumulate(np.minimum(1, len(p) / np.maximum(ranks, 1) * p[order]))
    return adjusted
