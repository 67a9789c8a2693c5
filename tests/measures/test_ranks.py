"""Ranks of models over tasks: by hand, against SciPy, and what must not change them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from lib.errors import BadInput
from lib.measures.ranks import average_ranks, bootstrap_ranks, critical_difference, friedman

# Four tasks and three models; in the second, two are equal.
SCORES = np.array([[0.9, 0.8, 0.7], [0.6, 0.6, 0.5], [0.4, 0.7, 0.3], [0.8, 0.9, 0.1]])
RANKS = np.array([[1, 2, 3], [1.5, 1.5, 3], [2, 1, 3], [2, 1, 3]])

grids = arrays(np.int64, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7), elements=st.integers(-3, 3))


def test_average_ranks_by_hand():
    assert average_ranks(SCORES).tolist() == RANKS.mean(axis=0).tolist() == [1.625, 1.375, 3.0]


@settings(max_examples=60, deadline=None)
@given(grids)
def test_a_rank_counts_those_before_and_half_of_those_beside(scores):
    for column, rank in enumerate(average_ranks(scores)):
        better = [(row > row[column]).sum() + ((row == row[column]).sum() - 1) / 2 + 1 for row in scores]
        assert rank == pytest.approx(np.mean(better))


@settings(max_examples=60, deadline=None)
@given(grids)
def test_ranks_add_up_and_follow_the_order_alone(scores):
    models = scores.shape[1]
    ranks = average_ranks(scores)
    assert ranks.sum() == pytest.approx(models * (models + 1) / 2)
    units = np.arange(1.0, len(scores) + 1)[:, None]  # each task in units of its own
    assert np.array_equal(average_ranks(units * np.exp(scores) - 7), ranks)
    assert friedman(units * np.exp(scores) - 7) == friedman(scores)
    assert average_ranks(-scores) == pytest.approx(models + 1 - ranks)


@settings(max_examples=60, deadline=None)
@given(grids, st.randoms(use_true_random=False))
def test_permuted_models_have_permuted_ranks(scores, random):
    order = random.sample(range(scores.shape[1]), scores.shape[1])
    assert np.array_equal(average_ranks(scores[:, order]), average_ranks(scores)[order])
    assert friedman(scores[:, order]) == pytest.approx(friedman(scores))
    assert average_ranks(scores[::-1]) == pytest.approx(average_ranks(scores))


def test_friedman_by_hand():
    """Sums of ranks 6.5, 5.5 and 12 about 8; squares of ranks about 2: 2 + 1.5 + 2 + 2."""
    statistic, p = friedman(SCORES)
    assert statistic == pytest.approx(2 * (1.5**2 + 2.5**2 + 4**2) / 7.5)
    assert p == pytest.approx(np.exp(-statistic / 2))  # the tail of a chi-square with two degrees of freedom


def test_friedman_without_ties_is_demsar_s_equation():
    scores = np.random.default_rng(0).normal(size=(9, 5))
    ranks = average_ranks(scores)
    assert friedman(scores)[0] == pytest.approx(12 * 9 / (5 * 6) * ((ranks**2).sum() - 5 * 6**2 / 4))


@settings(max_examples=60, deadline=None)
@given(grids.filter(lambda scores: scores.shape[1] > 2 and (scores != scores[:, :1]).any()))
def test_friedman_is_scipy_s(scores):
    theirs = stats.friedmanchisquare(*scores.T)
    assert friedman(scores) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-9)


def test_friedman_of_two_models_is_the_sign_test():
    """Better on 9 of 12 tasks: (9 - 3)² / 12, and the p-value of a binomial's normal approximation."""
    scores = np.stack([np.repeat([1, -1], [9, 3]), np.zeros(12)], axis=1)
    statistic, p = friedman(scores)
    assert statistic == pytest.approx(3) and p == pytest.approx(2 * stats.norm.sf(3**0.5))


def test_models_that_are_all_equal_do_not_differ():
    assert friedman(np.ones((5, 4))) == (0.0, 1.0)


def test_friedman_rejects_one_time_in_twenty():
    generator = np.random.default_rng(1)
    p = [friedman(generator.normal(size=(20, 6)))[1] for _ in range(2000)]
    assert 0.035 < np.mean(np.array(p) < 0.05) < 0.06


@pytest.mark.parametrize(("models", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_critical_difference_has_the_published_quantiles(models, quantile):
    """Demšar 2006, table 5(a); he cuts off where others round."""
    for tasks in (2, 14):
        expected = quantile * np.sqrt(models * (models + 1) / (6 * tasks))
        assert critical_difference(models, tasks) == pytest.approx(expected, rel=4e-4)


def test_critical_difference_of_two_models_is_the_normal_quantile():
    assert critical_difference(2, 25, level=0.01) == pytest.approx(stats.norm.isf(0.005) / 5, rel=1e-4)


def test_critical_difference_keeps_all_pairs_at_once():
    """Of models that are alike, the best and the worst lie that far apart one time in twenty, at most."""
    ranks = np.random.default_rng(2).permuted(np.tile(np.arange(1.0, 6.0), (4000, 30, 1)), axis=2).mean(axis=1)
    apart = np.ptp(ranks, axis=1) >= critical_difference(5, 30)
    assert 0.035 < apart.mean() < 0.06


def test_bootstrap_of_tasks_that_agree_has_no_width():
    scores = np.array([3.0, 1.0, 2.0]) + 10 * np.arange(6)[:, None] + np.zeros((4, 1, 1))
    found = bootstrap_ranks(scores, resamples=50)
    assert [(i.mean, i.low, i.high) for i in found] == [(1, 1, 1), (3, 3, 3), (2, 2, 2)]


def test_bootstrap_over_tasks_has_the_binomial_s_quantiles():
    """Two models, the first better on 60 of 200 tasks: its rank is 2 less a share of Binomial(200, 0.3)."""
    scores = np.zeros((1, 200, 2))
    scores[0, :60, 0] = 1
    scores[0, 60:, 1] = 1
    first, second = bootstrap_ranks(scores, resamples=4000)
    low, high = 2 - stats.binom.ppf([0.975, 0.025], 200, 0.3) / 200
    assert first.mean == pytest.approx(1.7)
    assert (first.low, first.high) == pytest.approx((low, high), abs=0.0055)  # one task of 200; at 90 % it would be two
    assert (second.low, second.high) == pytest.approx((3 - first.high, 3 - first.low))


def test_bootstrap_ranks_means_over_seeds():
    """The second model wins in two of three seeds, the first by more in one: by its mean it is first on every task."""
    scores = np.zeros((3, 8, 2))
    scores[:, :, 0] = np.array([9.0, 0.0, 0.0])[:, None]
    scores[:, :, 1] = 1
    first, second = bootstrap_ranks(scores)
    assert (first.mean, second.mean) == (1, 2)
    assert (first.low, first.high) == (1, 2)  # without the first seed, (2/3)³ of the resamples, it is second


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(4)))
def test_bootstrap_gives_each_model_its_own_interval(order):
    scores = np.random.default_rng(3).normal(size=(3, 7, 4))
    found = bootstrap_ranks(scores, resamples=40)
    assert bootstrap_ranks(scores[:, :, order], resamples=40) == [found[model] for model in order]
    assert [i.mean for i in found] == average_ranks(scores.mean(axis=0)).tolist()
    assert all(1 <= i.low <= i.high <= 4 for i in found)


def test_bootstrap_depends_on_its_seed_alone():
    scores = np.random.default_rng(4).normal(size=(2, 9, 3))
    assert bootstrap_ranks(scores, 30, seed=1) == bootstrap_ranks(scores, 30, seed=1)
    assert bootstrap_ranks(scores, 30, seed=1) != bootstrap_ranks(scores, 30, seed=2)


@pytest.mark.parametrize("measure", [average_ranks, friedman])
@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (0, 3), (3,), (2, 3, 4)])
def test_scores_of_another_shape_are_one_sentence(measure, shape):
    with pytest.raises(BadInput, match=r"scores are \(tasks, models\), with two or more tasks and models, not"):
        measure(np.zeros(shape))


@pytest.mark.parametrize("shape", [(3, 4), (2, 1, 3), (2, 3, 1), (0, 3, 3)])
def test_scores_of_seeds_of_another_shape_are_one_sentence(shape):
    with pytest.raises(BadInput, match=r"scores are \(seeds, tasks, models\), with two or more tasks and models"):
        bootstrap_ranks(np.zeros(shape))


@pytest.mark.parametrize("measure", [average_ranks, friedman, lambda scores: bootstrap_ranks(scores[None])])
def test_a_missing_score_is_one_sentence(measure):
    with pytest.raises(BadInput, match="some are NaN: leave that task out"):
        measure(np.where(SCORES == 0.1, np.nan, SCORES))


@pytest.mark.parametrize(("arguments", "words"), [
    ((1, 5), "the number of models is a whole number of at least 2, not 1"),
    ((3, 1), "the number of tasks is a whole number of at least 2, not 1"),
    ((3, 2.5), "the number of tasks is a whole number of at least 2, not 2.5"),
    ((3, 5, 1.0), "the level is a probability between 0 and 1, such as 0.05, not 1.0"),
    ((3, 5, float("nan")), "the level is a probability"),
])  # fmt: skip
def test_wrong_arguments_of_the_critical_difference_are_one_sentence(arguments, words):
    with pytest.raises(BadInput) as error:
        critical_difference(*arguments)
    assert words in str(error.value)


@pytest.mark.parametrize("resamples", [0, True, 10.5])
def test_wrong_number_of_resamples_is_one_sentence(resamples):
    with pytest.raises(BadInput, match="the number of resamples is a whole number of at least 1"):
        bootstrap_ranks(np.zeros((1, 2, 2)), resamples)
