import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lib.errors import BadInput
from lib.measures import Interval, bootstrap_interval, interval, proportion_interval, share_interval
from lib.measures.rows import row
from lib.measures.statistics import is_share


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


# ---- Shares


@pytest.mark.parametrize(("right", "count"), [(0, 500), (500, 500), (1, 500), (37, 200), (100, 200), (0, 1), (1, 3)])
def test_wilson_is_scipy_s(right, count):
    theirs = stats.binomtest(right, count).proportion_ci(0.95, method="wilson")
    ours = proportion_interval(np.arange(count) < right)
    assert (ours.mean, ours.low, ours.high) == pytest.approx((100 * right / count, 100 * theirs.low, 100 * theirs.high))
    assert ours.low < ours.high and 0 <= ours.low <= ours.mean <= ours.high <= 100


def test_none_of_five_hundred_by_hand():
    """z² / (n + z²) for z = 1.96 and n = 500, whether one run is asked or three agree."""
    assert str(proportion_interval(np.zeros(500, dtype=bool))) == "0.0 [0.0, 0.8]"
    found = share_interval([0.0, 0.0, 0.0], [0.0, 0.0, 0.0], [500, 500, 500])
    assert (found.mean, found.low, found.high) == pytest.approx((0, 0, 100 * 3.8415 / 503.8415), abs=1e-3)
    found = share_interval([100.0, 100.0], 0.0, 500)
    assert (found.low, found.mean, found.high) == pytest.approx((100 - 100 * 3.8415 / 503.8415, 100, 100), abs=1e-3)


@pytest.mark.parametrize("right", [1, 5, 150, 499])
def test_seeds_that_agree_have_wilson_s_interval(right):
    """The number of images is that of the standard errors, as rows have them."""
    *_, value, error, images = row("none", "accuracy", np.arange(500) < right)
    theirs = stats.binomtest(right, 500).proportion_ci(0.95, method="wilson")
    for known in (None, images):
        found = share_interval([value] * 4, [error] * 4, known)
        assert (found.low, found.high) == pytest.approx((100 * theirs.low, 100 * theirs.high))


def test_seeds_alone_are_student_s_on_the_logit_scale():
    shares = np.array([0.91, 0.95, 0.97])
    logits = np.log(shares / (1 - shares))
    half = 4.302653 * logits.std(ddof=1) / 3**0.5
    centre = np.log(shares.mean() / (1 - shares.mean()))
    found = share_interval(100 * shares)
    assert found.low == pytest.approx(100 / (1 + np.exp(half - centre)), rel=1e-4)
    assert found.high == pytest.approx(100 / (1 + np.exp(-half - centre)), rel=1e-4)


def test_shares_in_the_middle_with_many_images_are_as_before():
    values, errors = [60.0, 60.4, 60.2], [0.5, 0.5, 0.5]
    ours, plain = share_interval(values, errors), interval(values, errors)
    assert (ours.low, ours.high) == pytest.approx((plain.low, plain.high), abs=0.02)


@given(st.lists(st.integers(0, 50), min_size=2, max_size=5))
def test_an_interval_of_a_share_lies_within_and_has_a_width(counts):
    rows = [row("none", "accuracy", np.arange(50) < right) for right in counts]
    found = share_interval([r[-3] for r in rows], [r[-2] for r in rows], [r[-1] for r in rows])
    assert 0 <= found.low <= found.mean <= found.high <= 100 and found.high - found.low > 1
    mirrored = share_interval([100 - r[-3] for r in rows], [r[-2] for r in rows], [r[-1] for r in rows])
    assert (100 - mirrored.high, 100 - mirrored.low) == pytest.approx((found.low, found.high))


def test_shares_near_a_border_are_covered():
    """Truth 1 %, three seeds that differ, 200 images: missed at most one time in ten, and the plain one leaves 0."""
    generator, missed, below = np.random.default_rng(5), 0, 0
    for _ in range(400):
        truth = 1 / (1 + np.exp(4.595 + 0.3 * generator.normal(size=(3, 1))))
        rows = [row("none", "accuracy", right) for right in generator.random((3, 200)) < truth]
        columns = [[r[place] for r in rows] for place in (-3, -2, -1)]
        found = share_interval(*columns)
        missed += not found.low <= 100 * 0.0104 <= found.high
        below += interval(*columns[:2]).low < 0
    assert missed / 400 < 0.1 and below > 200


def test_what_is_a_share():
    shares = ["accuracy", "error", "probe accuracy", "balanced error", "mIoU", "IoU of cone", "zero gradient of DLR",
              "accuracy of the head", "shape bias", "raw error"]  # fmt: skip
    others = ["relative error", "error step", "accuracy lost", "calibration error", "angle error", "linear R2",
              "similarity", "background gap", "raw cost", "whitened similarity"]  # fmt: skip
    assert all(map(is_share, shares)) and not any(map(is_share, others))


def test_bad_shares():
    with pytest.raises(BadInput, match="from 0 to 100, not -3 to 5"):
        share_interval([-3.0, 5.0])
    with pytest.raises(BadInput, match="one number a seed"):
        share_interval([])
    with pytest.raises(BadInput, match="true or false outcomes"):
        proportion_interval(np.array([0.5, 1.0]))
    assert np.isnan(share_interval([0.0], 0.0, 500).low)  # seeds were not repeated
    assert np.isnan(share_interval([0.0, 0.0]).high)  # of how many images, nobody said


def test_arithmetic_of_an_interval():
    found = Interval(1.0, -0.5, 2.0)
    assert -found == Interval(-1.0, -2.0, 0.5)
    assert (found + 3, found - 3) == (Interval(4.0, 2.5, 5.0), Interval(-2.0, -3.5, -1.0))
    assert (100 * found, found * -2) == (Interval(100.0, -50.0, 200.0), Interval(-2.0, -4.0, 1.0))


@pytest.mark.parametrize(("ends", "sign"), [
    ((0.1, 2), 1), ((-2, -0.1), -1), ((-1, 1), 0), ((0.0, 2), 0), ((-2, 0.0), 0), ((math.nan, math.nan), 0),
    (np.array([0.1, 2]), 1), (np.array([-1.0, 2]), 0),
])  # fmt: skip
def test_sign_of_an_interval(ends, sign):
    assert Interval(1.0, *ends).sign == sign
    assert (-Interval(1.0, *ends)).sign == -sign
