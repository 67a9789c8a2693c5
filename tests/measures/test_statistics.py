import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats
from shorthand import share_ends, transcribed

from lib.contrasts import level, levels
from lib.errors import BadInput
from lib.measures import (
    Interval,
    Pool,
    bootstrap_interval,
    estimate,
    interval,
    pooled,
    proportion_interval,
)
from lib.measures.rows import row
from lib.measures.statistics import (
    _inverse_trigamma,
    false_discovery,
    is_share,
    moments,
    share_estimate,
    sum_of_variances,
)
from lib.paired import PAIRED


def test_what_is_rounded_to_zero_has_no_sign():
    assert str(Interval(-0.04, -1.26, 0.04)) == "0.0 [-1.3, 0.0]" and str(Interval(-0.0, np.nan, np.nan)) == "0.0"


@given(st.floats(-1e4, 1e4))
def test_numbers_are_written_as_they_are_rounded(value):
    assert float(str(Interval(value, np.nan, np.nan))) == float(f"{value:.1f}")


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
    """z² / (n + z²) for z = 1.96 and n = 500."""
    assert str(proportion_interval(np.zeros(500, dtype=bool))) == "0.0 [0.0, 0.8]"


def test_what_is_a_share():
    shares = ["accuracy", "error", "probe accuracy", "balanced error", "mIoU", "IoU of cone", "zero gradient of DLR",
              "accuracy of the head", "shape bias", "raw error"]  # fmt: skip
    others = ["relative error", "error step", "accuracy lost", "calibration error", "angle error", "linear R2",
              "similarity", "background gap", "raw cost", "whitened similarity"]  # fmt: skip
    assert all(map(is_share, shares)) and not any(map(is_share, others))


def test_bad_shares():
    with pytest.raises(BadInput, match="true or false outcomes"):
        proportion_interval(np.array([0.5, 1.0]))


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


# What systems lend each other


@pytest.mark.parametrize("differing", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_pooling_is_smyth_s(seed, differing):
    generator = np.random.default_rng(seed)
    true = np.exp(differing * generator.normal(size=12))
    variances = true * generator.chisquare(2, size=12) / 2
    prior, common, drawn = transcribed(variances, np.full(12, 2.0))
    pool = pooled(variances, np.full(12, 2))
    assert (pool.degrees, pool.variance) == pytest.approx((prior, common), rel=1e-5) and pool.total == 24
    ours = [pool.moderated(variance, 2) for variance in variances]
    assert [variance for variance, _ in ours] == pytest.approx(drawn, rel=1e-5)
    assert [degrees for _, degrees in ours] == pytest.approx([min(prior + 2, 24)] * 12)


def test_pooling_finds_what_variances_were_drawn_from():
    """Many systems: d0 and s0 by simulation."""
    generator = np.random.default_rng(1)
    true = 3.0 * 5 / generator.chisquare(5, size=40_000)
    pool = pooled(true * generator.chisquare(2, size=40_000) / 2, np.full(40_000, 2))
    assert pool.degrees == pytest.approx(5, rel=0.06) and pool.variance == pytest.approx(3, rel=0.03)


def test_pooling_in_closed_forms():
    equal = pooled([2.0, 2.0, 2.0], [2, 2, 2])
    assert (equal.degrees, equal.variance, equal.total) == (np.inf, 2.0, 6)
    assert equal.moderated(7.0, 2) == (2.0, 6)
    alone = pooled([2.0], [2])
    assert (alone.degrees, alone.moderated(2.0, 2)) == (0.0, (2.0, 2))
    nobody = pooled([0.0, 0.0, 5.0], [2, 2, 0])  # variances of zero, and one without repetition, say nothing
    assert (nobody.variance, nobody.degrees, nobody.total) == (0.0, 0.0, 0.0)
    assert pooled([0.0, 2.0, 2.0], [2, 2, 2]) == pooled([2.0, 2.0], [2, 2])
    some = Pool(3.0, 4.0, 100.0)
    assert some.moderated(6.0, 2) == ((4 * 3 + 2 * 6) / 6, 6.0) and np.isnan(some.moderated(np.nan, 0)[0])
    assert Pool(3.0, 4.0, 5.0).moderated(6.0, 2)[1] == 5.0


@pytest.mark.parametrize("value", [1e-9, 1e-3, 0.5, 3.0, 1e4])
def test_the_inverse_of_trigamma(value):
    assert special.polygamma(1, _inverse_trigamma(value)) == pytest.approx(value, rel=1e-6)


def test_a_sum_of_variances_in_closed_forms():
    assert sum_of_variances([2.0], [4], 10, 0.0) == (pytest.approx(np.sqrt(2)), pytest.approx(4))
    assert sum_of_variances([1.0, 1.0], [4, 4], 10, 0.0)[1] == pytest.approx(4)
    assert sum_of_variances([1.0, 1.0], [40, 40], 10, 0.0)[1] == pytest.approx(40)  # never fewer than one of them has
    assert sum_of_variances([1.0, 1.0], [4, 4], 10, 2.0) == (2.0, pytest.approx(4 * 2**2))
    assert sum_of_variances([0.0, 0.0], [4, 4], 10, 9.0) == (3.0, np.inf)
    assert np.isnan(sum_of_variances([1.0, np.nan], [4, 0], 10, 9.0)).all()


def test_an_estimate_is_student_s_test():
    values = np.random.default_rng(3).normal(0.5, 1, size=9)
    found = estimate(values.mean(), values.std(ddof=1) / 3, 8)
    for bound in (0.0, 0.7):
        assert found.above(bound) == pytest.approx(stats.ttest_1samp(values, bound, alternative="greater").pvalue)
        assert found.below(bound) == pytest.approx(stats.ttest_1samp(values, bound, alternative="less").pvalue)
    theirs = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


def test_an_estimate_keeps_its_error_in_arithmetic():
    found = -2 * estimate(1.0, 0.5, 16) + 3
    assert (found.mean, found.standard_error, found.degrees) == (1.0, 1.0, 16)
    assert found.high - found.mean == pytest.approx(stats.t.ppf(0.975, 16))
    assert found.below(3.0) == pytest.approx(stats.t.sf(2.0, 16))


def test_an_estimate_without_error_is_decided_and_one_without_repetition_is_not():
    sure = estimate(2.0, 0.0, np.inf)
    assert (sure.above(), sure.below(), sure.above(2.0), sure.below(2.0)) == (0.0, 1.0, 1.0, 1.0)
    assert sure.low == sure.high == 2.0
    unknown = estimate(2.0, np.nan, np.nan)
    assert np.isnan(unknown.low) and unknown.above() == unknown.below() == 1.0 and np.isnan(unknown.found())


@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("degrees", [1, 2, 6.5, 26, 400])
def test_what_is_found_solves_scipy_s_noncentral_t(degrees, power):
    size = estimate(7.0, 2.0, degrees).found(power) / 2
    assert stats.nct.sf(stats.t.ppf(0.975, degrees), degrees, size) == pytest.approx(power, abs=1e-7)


@pytest.mark.parametrize("degrees", [2, 12, math.inf])
def test_what_is_found_with_so_much_power(degrees):
    """By simulation: of true differences of that size four of five are found."""
    generator, count = np.random.default_rng(4), 100_000
    size = estimate(0.0, 1.0, degrees).found()
    errors = np.ones(count) if math.isinf(degrees) else np.sqrt(generator.chisquare(degrees, count) / degrees)
    t = (size + generator.normal(size=count)) / errors
    assert (t > stats.t.ppf(0.975, degrees)).mean() == pytest.approx(0.8, abs=0.005)


def test_what_is_found_at_the_ends():
    assert estimate(0.0, 0.0, math.inf).found() == 0  # known exactly: any difference shows
    assert estimate(0.0, 1.0, math.inf).found() == pytest.approx(1.959964 + 0.841621, abs=1e-5)
    assert estimate(0.0, 1.0, 1e5).found() == pytest.approx(estimate(0.0, 1.0, math.inf).found(), abs=1e-4)
    for bad in (0.0, 0.02, 1.0):
        with pytest.raises(BadInput, match="power is above"):
            estimate(0.0, 1.0, 4).found(bad)


@pytest.mark.parametrize("count", [1, 2, 37])
def test_false_discoveries_are_scipy_s(count):
    p = np.random.default_rng(count).random(count) ** 2
    assert false_discovery(p) == pytest.approx(stats.false_discovery_control(p))
    assert len(false_discovery([])) == 0


@pytest.mark.parametrize("count", range(1, 13))
def test_moments_are_numpy_s_to_the_last_bit(count):
    for values in np.random.default_rng(count).lognormal(sigma=4, size=(500, count)):
        mean, variance = moments(values.tolist())
        assert mean == values.mean() and (variance == values.var(ddof=1) if count > 1 else math.isnan(variance))


# Simulated studies, with the components of variance of our rows. Of an outcome with an accuracy of 40 %, V, parts
# belong to the image, to image and system, and to image and seed: as measured where `PAIRED` was.

V, OWN, LUCK = 100**2 * 0.24, 0.085, 0.515


@pytest.mark.parametrize(("systems", "seeds", "images", "deviation", "differing"), [
    (8, 3, 10_000, 0.9, 0.5), (8, 3, 1_000, 0.9, 0.5), (23, 3, 1_000, 0.9, 1.0), (29, 3, 500, 1.2, 0.7),
    (12, 3, 2_000, 0.7, 0.0), (4, 3, 2_000, 1.0, 0.5), (10, 5, 2_000, 1.0, 1.0), (17, 3, 10_000, 0.9, 0.7),
])  # fmt: skip
def test_coverage_of_differences_in_studies_like_ours(systems, seeds, images, deviation, differing):
    """Of equal systems, whose seeds vary by `deviation` points, more or less so: with a deviation of the logarithm of
    their variances of `differing`. 93 to 97 % of intervals hold zero, so that at most 7 % of tests find a difference.
    """
    generator, missed, trials = np.random.default_rng([systems, images]), 0, 0
    for _ in range(6000 // systems):
        spread = deviation * np.exp(differing / 2 * generator.normal(size=(systems, 1)))
        own = np.sqrt(OWN * V / images) * generator.normal(size=(systems, 1))
        luck = np.sqrt(LUCK * V / images) * generator.normal(size=(systems, seeds))
        values = 40 + own + luck + spread * generator.normal(size=(systems, seeds))
        variances, means = values.var(axis=1, ddof=1), values.mean(axis=1)
        pool = pooled(variances, np.full(systems, seeds - 1))
        drawn = [pool.moderated(variance, seeds - 1) for variance in variances]
        for one in range(0, systems - 1, 2):
            pair = drawn[one : one + 2]
            error, degrees = sum_of_variances(
                [variance / seeds for variance, _ in pair], [known for _, known in pair], pool.total,
                2 * PAIRED**2 * V / images,
            )  # fmt: skip
            missed += estimate(means[one] - means[one + 1], error, degrees).sign != 0
            trials += 1
    assert 0.93 <= 1 - missed / trials <= 0.97


# Levels of single systems


def of_share(values, error, systems, images=1000):
    """`share_estimate` of the first of `systems` (G, S), whose others lend their variances, and its transcription."""
    everyone = {f"s{place}": np.asarray(own, dtype=float) for place, own in enumerate([values, *systems])}
    rows = pd.DataFrame(
        [(name, seed, "accuracy", value, error, images) for name, own in everyone.items()
         for seed, value in enumerate(own)],
        columns=["system", "seed", "metric", "value", "standard_error", "images"],
    )  # fmt: skip
    return level(rows, {"system": "s0"}), share_ends(everyone, "s0", error, images)


@pytest.mark.parametrize("values", [[40, 41, 42.5], [0.5, 1.0, 0.6], [97.0, 99.5, 99.0], [50.0, 50.0, 50.4]])
def test_a_level_is_that_of_an_independent_transcription(values):
    others = 20 + 5 * np.random.default_rng(7).normal(size=(9, 3))
    for error in (0.0, 0.3, 2.0):
        found, expected = of_share(values, error, others)
        assert (found.mean, found.low, found.high) == pytest.approx(expected)
        assert found.mean == np.mean(values) and 0 <= found.low < found.mean < found.high <= 100


def test_a_level_of_one_system_with_many_images_is_student_s_on_the_logit_scale():
    values = np.array([91.0, 95.0, 97.0])
    found, _ = of_share(values, 0.0, [], images=1e9)
    mean = values.mean() / 100
    half = 4.302653 * values.std(ddof=1) / 100 / (mean * (1 - mean)) / 3**0.5
    ends = [100 / (1 + np.exp(-math.log(mean / (1 - mean)) - side * half)) for side in (-1, 1)]
    assert (found.low, found.high) == pytest.approx(ends, rel=1e-3)


@pytest.mark.parametrize("right", [0, 1, 5, 150, 499, 500])
def test_levels_whose_seeds_agree_have_wilson_s_interval(right):
    *_, value, error, images = row("none", "accuracy", np.arange(500) < right)
    theirs = stats.binomtest(right, 500).proportion_ci(0.95, method="wilson")
    found = share_estimate(value, [0.0], [2.0], 2.0, error**2, 0.2, images)
    assert (found.low, found.high) == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=1e-6)


def test_levels_that_are_not_known():
    assert np.isnan(share_estimate(40.0, [np.nan], [0.0], 2.0, 1.0, 0.24, 500).high)  # one seed
    assert np.isnan(share_estimate(0.0, [0.0], [2.0], 2.0, 0.0, 0.01).high)  # of how many images, nobody said
    with pytest.raises(BadInput, match="from 0 to 100, not 100.5"):
        share_estimate(100.5, [1.0], [2.0], 2.0, 1.0, 0.01, 500)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_level_lies_within_and_has_a_width(counts):
    rows = pd.DataFrame(
        [(f"s{place}", seed, *row("none", "accuracy", np.arange(50) < right)[-4:])
         for place, own in enumerate(counts) for seed, right in enumerate(own)],
        columns=["system", "seed", "metric", "value", "standard_error", "images"],
    )  # fmt: skip
    found = level(rows, {"system": "s0"})
    assert -1e-9 <= found.low <= found.mean + 1e-9 and found.mean - 1e-9 <= found.high <= 100 + 1e-9
    assert found.high - found.low > 1


@pytest.mark.parametrize(("systems", "images", "deviation", "differing", "accuracies"), [
    (8, 1_000, 0.05, 0.5, (30, 70)), (12, 10_000, 0.05, 0.0, (40, 40)), (20, 500, 0.1, 1.0, (2, 40)),
    (16, 2_000, 0.3, 0.5, (1, 90)), (4, 1_000, 0.05, 0.5, (30, 70)),
])  # fmt: skip
def test_coverage_of_levels_in_studies_like_ours(systems, images, deviation, differing, accuracies):
    """Systems of three seeds with accuracies of any height, whose logits vary by `deviation`, more or less so, on
    images that they share: 93 to 97 % of intervals hold the true accuracy. Where nobody knows which part of the error
    over images is in the seeds' spread already, all of it counts, and more of them do. Systems of a study share what
    pooling takes for their variance, so that it takes some hundred studies to tell 94 from 93 %.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)  # the true mean over seeds, which are normal on logits
    weights = weights / weights.sum()
    generator, studies = np.random.default_rng([systems, images]), []
    for _ in range(4000 // systems):
        heights = special.logit(generator.uniform(*accuracies, size=(systems, 1)) / 100)
        spread = deviation * np.exp(differing / 2 * generator.normal(size=(systems, 1)))
        shares = special.expit(heights + spread * generator.normal(size=(systems, 3)))
        per_image = np.sqrt(shares * (1 - shares) / images)
        kept = np.sqrt(1 - LUCK) * per_image.mean(axis=1, keepdims=True) * generator.normal(size=(systems, 1))
        luck = np.sqrt(LUCK) * per_image * generator.normal(size=(systems, 3))
        values, errors = (100 * (shares + kept + luck)).clip(0, 100), 100 * per_image
        truth = 100 * (special.expit(heights + spread * nodes) @ weights)
        studies.append((values, errors, truth))
    values, errors, truth = map(np.array, zip(*studies, strict=True))
    held = _holding(values, np.sqrt(1 - LUCK) * errors, images, truth)
    wide = _holding(values, errors, images, truth)
    assert 0.93 <= held / truth.size <= 0.97 and held <= wide


def _holding(values, errors, images, truth):
    """How many intervals of G systems in each of K studies, (K, G, 3), hold the truth (K, G). Each study is a cell of
    one table: systems lend their variances to those of the same cell only."""
    study, system, seed = (places.ravel() for places in np.indices(values.shape))
    rows = pd.DataFrame({
        "shift": study, "system": np.char.add("s", system.astype(str)), "seed": seed, "metric": "accuracy",
        "value": values.ravel(), "standard_error": errors.ravel(), "images": images,
    })  # fmt: skip
    found = levels(rows, ["shift", "system"]).values()
    return sum(own.low <= true <= own.high for own, true in zip(found, truth.ravel(), strict=True))
