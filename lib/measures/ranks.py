"""Several models over several tasks: who is better on the whole, and is that more than chance.

After Demšar 2006, "Statistical comparisons of classifiers over multiple data sets", JMLR 7, 1-30. A score is one
number of one model on one task, the larger the better; tasks are the sample, so few tasks say little however many
images each has.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from lib.errors import BadInput
from lib.inputs import whole
from lib.measures.statistics import LEVEL, Interval


def average_ranks(scores: np.ndarray) -> np.ndarray:
    """The rank of each model, averaged over tasks: `scores` (tasks, models) -> float64 (models,), 1 to `models`.

    Rank 1 is the largest score of a task; equal scores share the mean of their ranks. Only the order within a task
    counts, so tasks may have different units.
    """
    return _ranks(_checked(scores, "(tasks, models)")).mean(axis=0)


def friedman(scores: np.ndarray) -> tuple[float, float]:
    r"""Friedman's test that all models are alike: the statistic, corrected for ties, and its p-value.

    .. math:: \chi^2_F = \frac{(k - 1) \sum_j \left(\sum_i d_{ij}\right)^2}{\sum_{ij} d_{ij}^2},
        \quad d_{ij} = r_{ij} - \frac{k + 1}{2}

    for `scores` (N tasks, k models) with ranks r (Conover 1999, Practical Nonparametric Statistics, chapter 5); without
    ties it is Demšar's equation of section 3.2.2. The p-value is that of a chi-square with k - 1 degrees of freedom,
    which is an approximation: Demšar holds it good for more than 10 tasks and 5 models, and with few tasks it is
    conservative. Where all scores of each task are equal, nothing differs: (0, 1).
    """
    ranks = _ranks(_checked(scores, "(tasks, models)"))
    tasks, models = ranks.shape
    centred = ranks - (models + 1) / 2
    spread = np.square(centred).sum()
    if spread == 0:
        return 0.0, 1.0
    statistic = float((models - 1) * np.square(centred.sum(axis=0)).sum() / spread)
    return statistic, float(stats.chi2.sf(statistic, models - 1))


def critical_difference(models: int, tasks: int, level: float = 0.05) -> float:
    r"""Nemenyi's: two average ranks that lie at least this far apart differ, at significance `level`, in 0..1.

    .. math:: CD = q_\alpha \sqrt{\frac{k (k + 1)}{6 N}}

    for k models and N tasks (Demšar 2006, section 3.2), with q the quantile of the studentised range for k groups and
    infinite degrees of freedom, divided by the square root of 2. It holds for all pairs at once, if Friedman's test
    rejects; it too is an approximation for many tasks.
    """
    models, tasks = whole(models, "the number of models", 2), whole(tasks, "the number of tasks", 2)
    if not 0 < level < 1:
        raise BadInput(f"the level is a probability between 0 and 1, such as 0.05, not {level!r}")
    quantile = stats.studentized_range.ppf(1 - level, models, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(models * (models + 1) / (6 * tasks)))


def bootstrap_ranks(scores: np.ndarray, resamples: int = 2000, seed: int = 0) -> list[Interval]:
    """Average rank of each model with its 95 % percentile interval over tasks and seeds, resampled in both.

    `scores` (seeds, tasks, models). A model's score on a task is its mean over seeds, which is then ranked: seeds of
    one task are not tasks. All models share a resample. With one seed only the tasks vary. The intervals are those of
    single models, and too narrow with few tasks or seeds: what none of five tasks shows, no resample of them can.
    """
    scores = _checked(scores, "(seeds, tasks, models)")
    resamples = whole(resamples, "the number of resamples")
    generator = np.random.default_rng(seed)
    seeds, tasks, _ = scores.shape
    draws = [
        scores[generator.integers(seeds, size=seeds)][:, generator.integers(tasks, size=tasks)].mean(axis=0)
        for _ in range(resamples)
    ]
    low, high = np.quantile(_ranks(np.stack(draws)).mean(axis=1), [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    means = average_ranks(scores.mean(axis=0))
    return [Interval(*map(float, ends)) for ends in zip(means, low, high, strict=True)]


def _ranks(scores: np.ndarray) -> np.ndarray:
    """(..., models) -> ranks within each task, 1 for the largest."""
    return stats.rankdata(-scores, axis=-1)


def _checked(scores: np.ndarray, axes: str) -> np.ndarray:
    """`scores` as float64 with those axes, of which tasks and models are two or more, and no score missing."""
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != axes.count(",") + 1 or min(scores.shape[-2:]) < 2 or scores.size == 0:
        raise BadInput(f"scores are {axes}, with two or more tasks and models, not of shape {scores.shape}")
    if np.isnan(scores).any():
        raise BadInput("scores need a number for every model on every task, and some are NaN: leave that task out")
    return scores
