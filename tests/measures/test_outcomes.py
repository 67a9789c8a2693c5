"""Outcomes of single images: kept, packed, and what they say of differences on the same images."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import BadInput
from lib.measures.outcomes import collected, decode, encode, keep, paired_variances
from lib.measures.statistics import estimate, pooled, sum_of_variances

CELL = ("robust_accuracy()#1", "pgd", 8.0, "accuracy")


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=70), max_size=4))
def test_bits_come_back_as_they_went(cells):
    outcomes = {(*CELL, number): np.array(bits) for number, bits in enumerate(cells)}
    found = decode(encode(outcomes))
    assert list(found) == list(outcomes)
    assert all(found[cell].dtype == bool and (found[cell] == bits).all() for cell, bits in outcomes.items())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=50))
def test_values_come_back_to_a_500th_of_their_range(values):
    values = np.array(values)
    found = decode(encode({CELL: values}))[CELL]
    assert np.abs(found - values).max() <= np.ptp(values) / 510 + 1e-9


def test_a_study_is_small():
    """30 runs with 100 cells of 1,000 images: less than 1 MiB, of outcomes that nothing makes smaller."""
    generator = np.random.default_rng(0)
    run = {(*CELL, number): generator.random(1000) < 0.5 for number in range(100)}
    assert 30 * len(encode(run)) < 1 << 20


def test_damage_is_found():
    data = encode({CELL: np.array([True, False])})
    for broken in (data[:-1], data[:40] + bytes([data[40] ^ 1]) + data[41:], b"", data[:-1] + b"\0\0", b"x" + data):
        with pytest.raises(BadInput, match="damaged"):
            decode(broken)


@pytest.mark.parametrize("bad", [np.zeros((2, 2)), np.array([]), np.array([1.0, np.nan])])
def test_what_is_no_outcome_is_refused(bad):
    with pytest.raises(BadInput, match="one finite number an image"):
        encode({CELL: bad})


def test_outcomes_are_kept_where_somebody_collects_them():
    keep(CELL, np.array([True]))
    with collected() as outer:
        keep(CELL, np.array([True, False]))
        with collected() as inner:
            keep((*CELL, "inner"), np.array([False]))
    keep(CELL, np.array([False]))
    assert list(outer) == [CELL] and list(outer[CELL]) == [True, False] and list(inner) == [(*CELL, "inner")]


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
