"""Superlatives: who leads, and who is not told apart from whom does."""

import numpy as np
import pandas as pd
import pytest

from lib.contrasts import of_cell
from lib.figures.prose import leaders, led


def contrasts(**means):
    """Systems with exactly these means, whose three seeds lie 1 apart: two are told apart by 2.2 and more."""
    lines = [(name, seed, mean + step, 0.0) for name, mean in means.items() for seed, step in enumerate((-1, 0, 1))]
    rows = pd.DataFrame(lines, columns=["system", "seed", "value", "standard_error"])
    return {name: of_cell(rows, {"system": name}) for name in means}


@pytest.mark.parametrize(("means", "most", "expected"), [
    ({"a": 1, "b": 9, "c": 4}, True, ["b"]),
    ({"a": 1, "b": 9, "c": 4}, False, ["a"]),
    ({"a": 1, "b": 9, "c": 8.5, "d": 2}, True, ["b", "c"]),
    ({"a": 1.2, "b": 9, "c": 1}, False, ["c", "a"]),
    ({"a": 1}, True, ["a"]),
])  # fmt: skip
def test_leaders_by_hand(means, most, expected):
    assert leaders(contrasts(**means), most) == expected


def test_one_seed_tells_nobody_apart():
    found = contrasts(a=1, b=9)
    single = {name: of_cell(own.parts[0][1].query("seed == 0"), own.parts[0][2]) for name, own in found.items()}
    assert leaders(single) == ["b", "a"]


def test_what_leaders_do_in_words():
    assert led(["A"], "keeps", "keep") == "A keeps"
    assert led(["A", "B", "C"], "keeps", "keep") == "A, B and C, which are not told apart, keep"


@pytest.mark.parametrize("count", [2, 6])
def test_of_equal_systems_one_leads_alone_no_more_often_than_the_intervals_err(count):
    generator, alone, told, trials = np.random.default_rng(count), 0, 0, 250
    for _ in range(trials):
        lines = [(f"s{number}", seed, generator.normal(), 0.0) for number in range(count) for seed in range(3)]
        rows = pd.DataFrame(lines, columns=["system", "seed", "value", "standard_error"])
        names = [f"s{number}" for number in range(count)]
        found = leaders({name: of_cell(rows, {"system": name}) for name in names})
        alone, told = alone + (len(found) == 1), told + (len(found) < count)
    assert alone / trials < 0.09 and told / trials < 0.1  # 5 % and three standard errors of it
