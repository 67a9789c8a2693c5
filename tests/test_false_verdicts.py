"""Claims on rows without any effect: how often something is asserted."""

from collections import Counter

import numpy as np
import pandas as pd

from benchmarks.false_verdicts import compares_systems, false_verdicts, without_effect
from lib.contrasts import of_cell, of_two
from lib.verdicts import Claim


def study(systems=12, cells=3):
    """Systems whose accuracies are far apart, on some cells."""
    lines = [
        ("resnet", f"s{number}", seed, f"cell {cell}", "accuracy", 20.0 + 4 * number + 5 * cell + step, 1.0, 1000)
        for number in range(systems)
        for cell in range(cells)
        for seed, step in enumerate((-0.8, 0.1, 0.7))
    ]
    names = ["encoder", "system", "seed", "shift", "metric", "value", "standard_error", "images"]
    return pd.DataFrame(lines, columns=names)


def claim(more, less, every, cells=3):
    def contrasts(rows):
        return {
            f"cell {cell}": of_two(rows, *({"system": name, "shift": f"cell {cell}"} for name in (more, less)))
            for cell in range(cells)
        }

    return Claim(f"{more}-{less}", "", "", contrasts, every=every)


CLAIMS = [claim(f"s{one}", f"s{(one + 1 + one % 3) % 12}", every=one % 2 == 0) for one in range(12)]


def test_rows_without_effect_are_alike_but_for_chance():
    rows = study()
    found = without_effect(rows, np.random.default_rng(0))
    means = found.groupby(["shift", "system"])["value"].mean().groupby("shift")
    assert (means.std() < 1.5).all() and list(found.columns) == list(rows.columns)
    expected = rows.groupby("shift")["value"].mean()
    assert (means.mean() - expected).abs().max() < 0.8


def test_only_claims_on_systems_are_asked():
    rows = study()
    level = Claim("level", "", "", lambda rows: {"": of_cell(rows, {"system": "s0", "shift": "cell 0"})})
    within = Claim("within", "", "", lambda rows: {"": of_two(
        rows, {"system": "s0", "shift": "cell 0"}, {"system": "s0", "shift": "cell 1"})})  # fmt: skip
    near = Claim("near", "", "", lambda rows: {"": of_two(rows, {"system": "s0", "shift": "cell 0"},
                                                          {"system": "s1", "shift": "cell 0"}) + 1})  # fmt: skip
    assert compares_systems(CLAIMS[0], rows)
    assert not any(compares_systems(own, rows) for own in (level, within, near))


def test_few_verdicts_are_false():
    """At most 5 % of all, and of reversed ones no more than 2 in 139, which is 1.4 %."""
    rows, total = study(), Counter()
    for seed in range(30):
        total += false_verdicts(CLAIMS, rows, np.random.default_rng(seed))
    count = sum(total.values())
    assert count == 30 * len(CLAIMS)
    assert total["holds"] + total["reversed"] <= 0.05 * count and total["reversed"] <= 2 / 139 * count
    assert total["undecided"] + total["no effect"] > 0.95 * count
