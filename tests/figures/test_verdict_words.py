"""Words follow verdicts: each of the four kinds, in sentences on rows by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lib.chapters.augmentation.arms import spatial_against_appearance
from lib.chapters.negatives.words import moved
from lib.chapters.relicv2.words import beside
from lib.contrasts import difference, of_two
from lib.figures.levels import tally
from lib.figures.prose import by_verdict, mark
from lib.measures import Interval, estimate, read_together
from lib.verdicts import HOLDS, NO_EFFECT, REVERSED, UNDECIDED, Claim, in_words, judge, of_gap

# With a standard error of 0.5 and sixteen degrees of freedom: 2 is 4 errors from zero.
KINDS = {HOLDS: 3.0, REVERSED: -3.0, NO_EFFECT: 0.5, UNDECIDED: 1.2}


def gap(kind):
    return estimate(KINDS[kind], 0.5 if kind != UNDECIDED else 1.0, 16)


@pytest.mark.parametrize(("kind", "marked", "said"), [
    (HOLDS, "", "gains 3.0 [1.9, 4.1] points here"),
    (REVERSED, "", "loses 3.0 [1.9, 4.1] points here"),
    (NO_EFFECT, " (no effect beyond ±2)", "changes by 0.5 [-0.6, 1.6] points here (no effect beyond ±2)"),
    (UNDECIDED, " (undecided)", "changes by 1.2 [-0.9, 3.3] points here (undecided)"),
])  # fmt: skip
def test_each_kind(kind, marked, said):
    assert of_gap(gap(kind)) == kind and mark(gap(kind)) == marked and moved(gap(kind), "here") == said
    assert by_verdict(gap(kind), *KINDS) == kind


def test_lists_by_kind():
    found = {name: gap(kind) for name, kind in zip("abcd", KINDS, strict=True)}
    assert tally(found.values()).endswith("above zero: 1; below: 1; no effect beyond ±2: 1; undecided: 1.")
    assert [beside(own, "in domain") for own in found.values()] == [
        "is 3.0 [1.9, 4.1] points ahead in domain", "is 3.0 [1.9, 4.1] points behind in domain",
        "differs by 0.5 [-0.6, 1.6] points in domain (no effect beyond ±2)",
        "differs by 1.2 [-0.9, 3.3] points in domain (undecided)",
    ]  # fmt: skip


def test_another_margin_and_none():
    assert mark(estimate(3.0, 2.0, 16), 5.0) == " (undecided)" and mark(estimate(0.0, 2.0, 16), 5.0).endswith("±5)")
    assert mark(gap(NO_EFFECT), None) == " (undecided)"
    assert mark(Interval(0.1, -1.9, 1.9)) and mark(Interval(0.1, -2.1, 1.9)) == " (undecided)"
    assert mark(Interval(1.0, np.nan, np.nan)) == mark(estimate(1.0, np.nan, np.nan)) == " (undecided)"


def test_of_several_in_one_sentence_each_needs_more_evidence():
    """By itself it is within the margin at p = 0.03; as one of two, beside one that is far off, it is not."""
    size = 2 - stats.t.ppf(0.97, 16) * 0.5
    alone = estimate(size, 0.5, 16)
    assert alone.within(2.0) == pytest.approx(0.03) and of_gap(alone) == NO_EFFECT
    both = read_together({"a": alone, "b": estimate(9.0, 0.5, 16)})
    assert of_gap(both["a"]) == UNDECIDED and of_gap(both["b"]) == HOLDS
    assert of_gap(read_together({"a": alone, "b": alone})["a"]) == NO_EFFECT


def rows_of(difference_of_means, jitter):
    """Two systems with three seeds."""
    seeds = jitter * np.array([-1.0, 0.0, 1.0])
    parts = [pd.DataFrame({"encoder": "r", "system": name, "seed": range(3), "value": mean + seeds})
             for name, mean in (("a", 50 + difference_of_means), ("b", 50.0))]  # fmt: skip
    return pd.concat(parts, ignore_index=True).assign(standard_error=0.0)


@settings(deadline=None, max_examples=50)
@given(st.floats(-4, 4), st.floats(0.1, 2))
def test_a_sentence_on_one_difference_has_the_verdict_on_it(size, jitter):
    rows, pair = rows_of(size, jitter), ({"system": "a"}, {"system": "b"})
    found = judge(Claim("one", "One.", "ours", lambda own: {"a less b": of_two(own, *pair)}), rows)
    told = difference(rows, *pair)
    assert of_gap(told) == of_gap(read_together({"": told})[""]) == found.verdict
    if found.verdict in (NO_EFFECT, UNDECIDED):
        assert in_words(found).startswith(mark(told).strip(" ()"))


def test_recipes_by_kind():
    """Of four changes of images one is kept better by the spatial recipe, one worse, one alike; one nobody knows."""
    parts = []
    for shift, apart, jitter in (("a", 20, 1), ("b", -20, 1), ("c", 1, 1), ("d", 9, 9)):
        for recipe, value in (("spatial", 50 + apart), ("appearance", 50.0)):
            own = {"method": "simclr", "augmentation": recipe, "shift": shift, "seed": range(3)}
            parts.append(pd.DataFrame(own | {"value": value + jitter * np.array([-1.0, 0, 1]), "standard_error": 0.0}))
    told = spatial_against_appearance(pd.concat(parts, ignore_index=True), "simclr", str)
    assert told.endswith("higher for a; lower for b; no effect beyond ±5 for c; not told apart for d. ")
