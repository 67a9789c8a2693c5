"""Outcomes of single images: kept, packed, and what they say of differences on the same images."""

import hashlib
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib.errors import BadInput
from lib.measures.outcomes import (
    MAGIC,
    collected,
    decode,
    encode,
    keep,
    outcome,
    paired_variances,
    ratio,
    spread,
    thinned,
)
from lib.measures.rows import SEVERITY, Level, row
from lib.measures.statistics import estimate, pooled, sum_of_variances

OWNER = ("0123456789abcdef", "robust_accuracy()#1")
CELL = ("pgd", "", 8.0, "/255", "accuracy")


def back(outcomes, **options):
    """What is read again of {cell: array}."""
    found = decode(encode({OWNER: {cell: outcome(values) for cell, values in outcomes.items()}}, **options))
    assert list(found) == [OWNER]
    return found[OWNER]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=70), max_size=4))
def test_bits_come_back_as_they_went(cells):
    outcomes = {(*CELL, number): np.array(bits) for number, bits in enumerate(cells)}
    found = back(outcomes)
    assert list(found) == list(outcomes)
    for cell, bits in outcomes.items():
        assert found[cell].values.dtype == bool and (found[cell].values == bits).all()
        assert (found[cell].images, found[cell].mean) == (len(bits), bits.mean()) and found[cell].sources is None


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50), st.sampled_from([1, 1e-9, 1e6]))
def test_values_come_back_to_a_254th_of_their_range(values, unit):
    values = unit * np.array(values)
    found = back({CELL: values})[CELL]
    assert np.abs(found.values - values).max() <= np.ptp(values) / 254 + 1e-12 * np.abs(values).max() + 1e-30
    assert found.mean == pytest.approx(values.mean(), abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.tuples(st.text(max_size=5), st.sampled_from(["accuracy()#1", "probe()#2"])),
        st.dictionaries(
            st.tuples(st.text(max_size=5), st.one_of(st.none(), st.floats(0, 9))),
            st.sampled_from([0, 1, 2]),
            max_size=4,
        ),
        max_size=4,
    )
)
def test_every_run_has_its_own_again(runs):
    """Runs with the same cells, and cells with the same outcomes, as a measure has that knows nothing of encoders."""
    some = [np.arange(9) % 2 == 0, np.linspace(0, 1, 9), np.arange(9) % 3 == 0]
    found = decode(encode({owner: {cell: outcome(some[k]) for cell, k in own.items()} for owner, own in runs.items()}))
    assert {owner: list(own) for owner, own in found.items()} == {owner: list(own) for owner, own in runs.items()}
    for owner, own in runs.items():
        for cell, number in own.items():
            assert np.abs(found[owner][cell].values - some[number].astype(float)).max() < 1 / 254


def test_sources_come_back():
    sources = np.array([[0, 1], [0, 2], [3, 1]])
    found = decode(encode({OWNER: {CELL: outcome(np.array([True, False, True]), sources)}}, size=1))[OWNER][CELL]
    assert (found.sources == sources).all() and len(found.values) == 3  # which thinning would tear apart
    with pytest.raises(BadInput, match="3 outcomes have a source each, not 2"):
        outcome(np.zeros(3), np.zeros(2))


def test_a_study_is_small():
    """30 runs with 100 cells of 1,000 images: less than 1 MiB, of outcomes that nothing makes smaller."""
    generator = np.random.default_rng(0)
    run = {(*CELL, number): outcome(generator.random(1000) < 0.5) for number in range(100)}
    assert 30 * len(encode({OWNER: run})) < 1 << 20


def test_what_all_runs_share_is_kept_once():
    generator = np.random.default_rng(0)
    cells = {(*CELL, number): outcome(generator.random(1000)) for number in range(5)}
    one, ten = (encode({(f"run {run}", "a()#1"): cells for run in range(runs)}) for runs in (1, 10))
    assert len(ten) < len(one) + 9 * 100


@pytest.mark.parametrize("images", [7, 100, 4439])
def test_few_images_lie_evenly_among_all(images):
    order = spread(images)
    assert sorted(order) == list(range(images))
    for count in (images // 10, images // 3):
        if count > 1:
            gaps = np.diff(np.sort(order[:count]))
            assert gaps.max() <= 3 * images / count


def test_thinned_cells_have_the_same_images():
    """Bits eight times as many as bytes; of both the first ones are of the same images, and the mean is that of all."""
    places = np.arange(1000)
    bits, numbers = outcome(places % 2 == 0), outcome(places / 1000)
    few_bits, few_numbers = thinned(bits, 50), thinned(numbers, 50)
    assert (len(few_bits.values), len(few_numbers.values)) == (400, 50)
    assert (few_bits.images, few_bits.mean, few_numbers.mean) == (1000, 0.5, numbers.mean)
    chosen = (1000 * few_numbers.values).round().astype(int)
    for count in (50, 20):
        assert (few_bits.first(count) == (chosen[:count] % 2 == 0)).all()
        assert (bits.first(count) == few_bits.first(count)).all()
        assert (numbers.first(count) == few_numbers.first(count)).all()
    assert (bits.first(1000) == bits.values).all() and thinned(few_bits, 400) is few_bits
    again = decode(encode({OWNER: {CELL: few_bits}}))[OWNER][CELL]
    assert (again.images, again.mean) == (1000, 0.5) and (again.values == few_bits.values).all()


def test_damage_is_found():
    data = encode({OWNER: {CELL: outcome(np.array([True, False]))}})
    for broken in (data[:-1], data[:50] + bytes([data[50] ^ 1]) + data[51:], b"", data[:-1] + b"\0\0", b"x" + data):
        with pytest.raises(
            BadInput, match="^the file is damaged or half-written, its checksum is another's: delete it"
        ):
            decode(broken, "the file")


def test_another_version_is_told():
    body = zlib.compress(b"whatever comes then")
    data = MAGIC.replace(b"1", b"12") + hashlib.sha256(body).digest() + body
    with pytest.raises(BadInput, match="^the file is of version 12, and this code reads 1: delete it to do without"):
        decode(data, "the file")


@pytest.mark.parametrize("bad", [np.zeros((2, 2)), np.array([]), np.array([1.0, np.nan])])
def test_what_is_no_outcome_is_refused(bad):
    with pytest.raises(BadInput, match="one finite number an image"):
        outcome(bad)


def test_outcomes_are_kept_where_somebody_collects_them():
    keep(CELL, np.array([True, True]))
    with collected() as outer:
        keep(CELL, np.array([True, False]))
        with collected() as inner:
            keep((*CELL, "inner"), np.array([False, True]))
        keep((*CELL, "one"), np.array([True]))  # over which there is no error
        keep((*CELL, "unknown"), np.array([0, np.nan]))
    keep(CELL, np.array([False, False]))
    assert list(outer) == [CELL] and list(outer[CELL].values) == [True, False] and list(inner) == [(*CELL, "inner")]


def test_a_row_keeps_what_it_is_made_of():
    right, objects = np.array([True, False, True, True]), np.array([0, 0, 1, 1])
    with collected() as found:
        row("fog", "accuracy", right, Level(3, SEVERITY))
        row("none", "accuracy", right, subset="cat", sources=objects)
    first, second = found
    assert first == ("fog", "", 3.0, "severity", "accuracy") and second == ("none", "cat", None, "", "accuracy")
    assert (found[first].values == right).all() and (found[second].sources == objects).all()


def test_a_ratio_by_hand():
    found = ratio(np.array([1, 0, 1, 0]), np.array([1, 1, 1, 0]))
    assert found.mean() == pytest.approx(2 / 3)
    assert found == pytest.approx(2 / 3 + np.array([1 / 3, -2 / 3, 1 / 3, 0]) / 0.75)


# Of one seed: references that know nothing of seeds


def test_of_right_and_wrong_it_is_mcnemar_s():
    """With b and c images that one system alone has right, the variance of their difference in closed form."""
    generator = np.random.default_rng(8)
    first, second = (generator.random(400) < share for share in (0.6, 0.5))
    b, c, n = (first & ~second).sum(), (second & ~first).sum(), 400
    found = paired_variances({"a": first[None], "b": second[None]}, {"a": 1, "b": -1})
    assert found == pytest.approx((b + c - (b - c) ** 2 / n) / n / (n - 1))


def test_it_is_scipy_s_bootstrap_of_the_difference():
    generator = np.random.default_rng(9)
    shared = generator.normal(size=300)
    first, second = shared + generator.normal(size=300), 0.5 * shared + generator.normal(size=300)
    theirs = stats.bootstrap((first - second,), np.mean, n_resamples=4000, method="percentile", rng=0).standard_error
    found = paired_variances({"a": first[None], "b": second[None]}, {"a": 1, "b": -1})
    assert np.sqrt(found) == pytest.approx(theirs, rel=0.04)


def test_of_one_seed_it_is_the_paired_error_over_images():
    generator = np.random.default_rng(1)
    first, second = (generator.random((1, 200)) < 0.4 for _ in range(2))
    found = paired_variances({"a": first, "b": second}, {"a": 1, "b": -1})
    gaps = first[0].astype(float) - second[0]
    assert found == pytest.approx(gaps.var(ddof=1) / 200)


def test_what_image_and_seed_make_together_is_not_counted_again():
    """Simulated: image and system have a deviation of 1, image and seed one of 3; only the former is left."""
    generator, found = np.random.default_rng(2), []
    for _ in range(300):
        systems = {
            name: generator.normal(size=(1, 100)) + 3 * generator.normal(size=(3, 100)) + generator.normal(size=(3, 1))
            for name in "ab"
        }
        shared = 5 * generator.normal(size=100)
        found.append(paired_variances({name: own + shared for name, own in systems.items()}, {"a": 1, "b": -1}))
    assert np.mean(found) == pytest.approx(2 / 100, rel=0.15)


def test_images_of_one_source_are_one():
    """Each of 50 images ten times: as sure as of 50."""
    generator = np.random.default_rng(3)
    single = {name: generator.normal(size=(1, 50)) for name in "ab"}
    repeated = {name: np.repeat(own, 10, axis=1) for name, own in single.items()}
    weights, sources = {"a": 1, "b": -1}, np.repeat(np.arange(50), 10)
    assert paired_variances(repeated, weights, sources) == pytest.approx(paired_variances(single, weights))
    assert paired_variances(repeated, weights) < paired_variances(single, weights) / 5


def by_pairs(values, *ways):
    """The variance of a mean by a double loop over images that share, G / (G - 1) as large; see Cameron et al. 2011."""
    apart, found = values - values.mean(), 0.0
    for i in range(len(values)):
        for j in range(len(values)):
            if all(way[i] == way[j] for way in ways):
                found += apart[i] * apart[j]
    groups = len(set(zip(*ways, strict=True)))
    return found / len(values) ** 2 * groups / (groups - 1)


def test_images_that_share_sources_by_a_double_loop():
    generator = np.random.default_rng(4)
    shape, texture = generator.integers(6, size=60), generator.integers(5, size=60)
    gaps = np.linspace(-2, 2, 6)[shape] + np.linspace(2, -1, 5)[texture] + generator.normal(size=60)
    systems, weights = {"a": gaps[None], "b": np.zeros((1, 60))}, {"a": 1, "b": -1}
    one, other, both = by_pairs(gaps, shape), by_pairs(gaps, texture), by_pairs(gaps, shape, texture)
    assert paired_variances(systems, weights, shape) == pytest.approx(one)
    assert paired_variances(systems, weights, np.stack([shape, texture], axis=1)) == pytest.approx(one + other - both)
    assert one + other - both > max(one, other) > paired_variances(systems, weights)


def test_sharing_in_two_ways_is_never_surer_than_in_one():
    """Where images of one texture are opposites, the sum may fall below what shapes alone say."""
    shape, texture = np.repeat([0, 1, 2], 2), np.array([0, 1, 0, 1, 0, 1])
    gaps = np.array([3.0, 2.0, -1.0, 1.0, -2.0, -3.0])
    found = paired_variances({"a": gaps[None]}, {"a": 1}, np.stack([shape, texture], axis=1))
    assert found == pytest.approx(max(by_pairs(gaps, shape), by_pairs(gaps, texture)))


def test_coverage_with_outcomes():
    """Of equal systems on a sample of images, with all components of variance: 93 to 97 % of intervals hold zero."""
    generator, missed, trials, images, seeds = np.random.default_rng(5), 0, 0, 120, 3
    for _ in range(500):
        own, luck = 0.3 * generator.normal(size=(8, 1, images)), 0.72 * generator.normal(size=(8, seeds, images))
        whole = 0.63 * generator.normal(size=images) + own + luck + 0.05 * generator.normal(size=(8, seeds, 1))
        means = whole.mean(axis=2)
        variances = means.var(axis=1, ddof=1)
        pool = pooled(variances, np.full(8, seeds - 1))
        for one in range(0, 8, 2):
            drawn = [pool.moderated(variances[number], seeds - 1) for number in (one, one + 1)]
            over = paired_variances({0: whole[one], 1: whole[one + 1]}, {0: 1, 1: -1})
            error, degrees = sum_of_variances(
                [variance / seeds for variance, _ in drawn], [known for _, known in drawn], pool.total, over
            )
            gap = means[one].mean() - means[one + 1].mean()
            missed += estimate(gap, error, degrees).sign != 0
            trials += 1
    assert 0.93 <= 1 - missed / trials <= 0.97
