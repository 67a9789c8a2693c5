"""Verdicts on rows made to hold, to fail, and to leave a claim open."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lib.claims import CONTROLS, SEVERITY_DEGRADATION, Claim, difference, judge, verdicts
from lib.errors import BadInput
from lib.measures import Interval
from lib.methods import METHODS

RISES, WEATHER, SNOW, ELASTIC, ABOVE, LOSES = SEVERITY_DEGRADATION
SHIFTS = ("all", "noise", "blur", "weather", "digital", "snow", "elastic_transform")


def rows(error, seeds=3, jitter=0.01, standard_error=0.01, methods=("simclr", "byol", "supervised", "random")):
    """Rows whose error is error(method, shift, severity), with a little noise over seeds."""
    generator = np.random.default_rng(0)
    lines = []
    for method, seed, shift, severity in itertools.product(methods, range(seeds), SHIFTS, range(6)):
        for metric in ("error", "relative error"):
            value = error(method, shift, severity) + jitter * generator.normal()
            lines.append((method, seed, shift, severity, metric, value, standard_error))
        lines.append((method, seed, "none", severity, "unused", 0.0, 0.0))
    for method, seed, metric in itertools.product(methods, range(seeds), ("knn accuracy", "probe accuracy")):
        value = 20 if method == "random" else 60
        lines.append((method, seed, "none", 0, metric, value + jitter * generator.normal(), standard_error))
    return pd.DataFrame(lines, columns=["method", "seed", "shift", "severity", "metric", "value", "standard_error"])


def level(method, shift, severity):
    """Rises by two points a severity; weather is worst; snow dips at 3; self-supervised errs more."""
    mean = severity if severity else 3
    value = 30 + 2 * mean + 5 * (shift == "weather") + 5 * (method != "supervised")
    return value - 5 * (shift == "snow" and severity == 3)


def test_claims_hold_where_they_are_true():
    data = rows(level)
    found = [judge(claim, data).verdict for claim in SEVERITY_DEGRADATION]
    assert found == ["holds", "holds", "holds", "fails", "holds", "holds"]
    assert [judge(claim, data).verdict for claim in CONTROLS] == ["holds", "holds"]


def test_one_method_refutes_a_claim_about_every_method():
    data = rows(lambda m, shift, s: level(m, shift, s) - 4 * (m == "byol" and s == 4 and shift == "all"))
    verdict = judge(RISES, data)
    assert verdict.verdict == "fails" and verdict.contrast == "BYOL, severity 4 less 3"
    assert verdict.difference.mean == pytest.approx(-2, abs=0.05)


def test_a_difference_within_the_noise_is_undecided():
    assert judge(RISES, rows(level, jitter=5)).verdict == "undecided"
    assert judge(RISES, rows(level, standard_error=3)).verdict == "undecided"


def test_one_seed_decides_nothing():
    assert all(judge(claim, rows(level, seeds=1)).verdict == "undecided" for claim in SEVERITY_DEGRADATION)


@pytest.mark.parametrize("methods", [("simclr", "byol"), ("supervised", "random"), ("random",)])
def test_a_claim_without_its_methods_is_not_tested(methods):
    table = verdicts([*CONTROLS, *SEVERITY_DEGRADATION], rows(level, methods=methods))
    assert set(table["verdict"]) & {"not tested"} and len(table) == 8
    assert (table.loc[table["verdict"] == "not tested", "difference (points)"] == "").all()


def test_difference_is_paired_by_seed():
    """Seeds that differ by 100 points and a gap of exactly 2: the pairs agree, whatever the order of the rows."""
    data = pd.DataFrame(
        [(m, s, 100 * s + (2 if m == "a" else 0), 0.0) for m in "ab" for s in (0, 1, 2)],
        columns=["method", "seed", "value", "standard_error"],
    )
    found = difference(data.sample(frac=1, random_state=1), {"method": "a"}, {"method": "b"})
    assert (found.low, found.mean, found.high) == pytest.approx((2, 2, 2))


def test_an_ambiguous_cell_is_refused():
    with pytest.raises(BadInput, match="not one a seed"):
        difference(rows(level), {"method": "simclr"}, {"method": "byol"})


@pytest.mark.parametrize(("intervals", "expected"), [
    ({"a": (1, 0.5, 2), "b": (3, 1, 5)}, ("holds", "a")),
    ({"a": (1, 0.5, 2), "b": (1, -1, 3)}, ("undecided", "b")),
    ({"a": (-1, -2, -0.5), "b": (1, -9, 11)}, ("fails", "a")),
    ({"a": (-1, -2, 0.0)}, ("fails", "a")),
])  # fmt: skip
def test_rule_of_judgement(intervals, expected):
    claim = Claim("", "", lambda _: {name: Interval(*numbers) for name, numbers in intervals.items()})
    verdict = judge(claim, pd.DataFrame())
    assert (verdict.verdict, verdict.contrast) == expected


def test_table_has_a_line_a_claim():
    table = verdicts(SEVERITY_DEGRADATION, rows(level))
    assert list(table["verdict"]) == ["holds", "holds", "holds", "fails", "holds", "holds"]
    assert METHODS["simclr"].title in " ".join(table["decided by"])
