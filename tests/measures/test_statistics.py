import numpy as np
import pytest
from scipy import stats

from lib.errors import BadInput
from lib.measures import bootstrap_interval, interval


def test_three_seeds_by_hand():
    found = interval([40, 41, 42])
    assert found.mean == 41
    assert (found.low, found.high) == pytest.approx((41 - 4.3027 / 3**0.5, 41 + 4.3027 / 3**0.5), abs=1e-3)
    assert str(found) == "41.0 [38.5, 43.5]"


def test_interval_is_scipy_s_and_images_add_in_squares():
    values = np.random.default_rng(0).normal(size=7)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    ours = interval(values)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    same = interval([5.0, 5.0, 5.0], [0.3, 0.4, 0.5])
    assert same.high - 5 == pytest.approx(1.959964 * np.sqrt((0.09 + 0.16 + 0.25) / 3), rel=1e-6)


def test_one_seed_has_no_interval():
    found = interval([3.0], 0.5)
    assert found.mean == 3 and np.isnan(found.low) and np.isnan(found.high)


@pytest.mark.parametrize("bad", [[], [[1.0, 2.0]]])
def test_interval_needs_a_number_a_seed(bad):
    with pytest.raises(BadInput, match="one number a seed"):
        interval(bad)


def test_bootstrap_over_images_is_scipy_s():
    outcomes = np.random.default_rng(1).random(400) < 0.3
    theirs = stats.bootstrap((outcomes.astype(float),), np.mean, method="percentile", n_resamples=4000, rng=0)
    ours = bootstrap_interval(outcomes[None], resamples=4000)
    assert ours.mean == outcomes.mean()
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.006)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.006)


def test_bootstrap_over_seeds_and_images_adds_their_variances():
    generator = np.random.default_rng(2)
    outcomes = generator.normal(size=(40, 1)) + 2 * generator.normal(size=(1, 500)) + generator.normal(size=(40, 500))
    ours = bootstrap_interval(outcomes, resamples=4000)
    closed = np.sqrt(outcomes.mean(1).var() / 40 + outcomes.mean(0).var() / 500)  # interaction counted twice: tiny
    assert (ours.high - ours.low) / (2 * 1.96) == pytest.approx(closed, rel=0.06)


def test_bootstrap_resamples_images_together_in_all_seeds():
    """Outcomes that differ over images only: the seeds add nothing, as many as they are."""
    outcomes = np.tile(np.random.default_rng(3).normal(size=300), (10, 1))
    one, ten = bootstrap_interval(outcomes[:1]), bootstrap_interval(outcomes)
    assert ten.high - ten.low == pytest.approx(one.high - one.low, rel=0.1)


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((0, 5)), np.zeros((2, 0))])
def test_bootstrap_refuses_what_it_cannot_resample(bad):
    with pytest.raises(BadInput, match="seeds, images"):
        bootstrap_interval(bad)


def test_coverage_with_three_seeds():
    """Why the book's intervals are Student's: truth is missed one time in twenty, by a bootstrap one in four or so."""
    generator, trials = np.random.default_rng(4), 400
    student = boot = 0
    for _ in range(trials):
        images = 3 * generator.normal(size=200)
        outcomes = generator.normal(size=(3, 1)) + images + generator.normal(size=(3, 200))
        found = interval(outcomes.mean(1), outcomes.std(1, ddof=1) / np.sqrt(200))
        student += found.low <= 0 <= found.high
        found = bootstrap_interval(outcomes, resamples=300)
        boot += found.low <= 0 <= found.high
    assert student / trials > 0.93
    assert boot / trials < 0.90


def test_an_unknown_interval_is_not_written():
    assert str(interval([41.25])) == "41.2" and str(interval([40.0, 42.0])).startswith("41.0 [")
