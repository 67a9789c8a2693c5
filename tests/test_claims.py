"""Verdicts on rows made to hold, to fail, and to leave a claim open."""

import itertools

import numpy as np
import pandas as pd
import pytest

from lib.chapters.severity.claims import PREDICTIONS, SEVERITY_DEGRADATION
from lib.contrasts import difference, level
from lib.controls import CONTROLS
from lib.errors import BadInput
from lib.measures import Interval
from lib.methods import METHODS
from lib.verdicts import Claim, judge, verdicts

RISES, WEATHER, SNOW, ELASTIC, SATURATE, MOVES, TRANSFORMER, ABOVE = SEVERITY_DEGRADATION
SHIFTS = ("all", "noise", "blur", "weather", "digital", "snow", "elastic_transform", "saturate")
COLUMNS = ["method", "encoder", "seed", "shift", "severity", "metric", "value", "standard_error"]


def rows(
    error,
    seeds=3,
    jitter=0.01,
    standard_error=0.01,
    methods=("simclr", "byol", "supervised", "random"),
    encoder="resnet10",
):
    """Rows whose error is error(method, shift, severity), with a little noise over seeds.

    Attention maps lose ten points of likeness a severity; those of other pictures are alike by 20 %.
    """
    generator = np.random.default_rng(0)
    lines = []

    def add(*line, value):
        lines.append((*line, value + jitter * generator.normal(), standard_error))

    for method, seed in itertools.product(methods, range(seeds)):
        here = (method, encoder, seed)
        for shift, severity in itertools.product(SHIFTS, range(6)):
            value = error(method, shift, severity)
            add(*here, shift, severity, "error", value=value)
            add(*here, shift, severity, "relative error", value=value)
            if severity > 1:
                add(*here, shift, severity, "error step", value=value - error(method, shift, severity - 1))
        for shift, severity in itertools.product(("fog", "contrast"), range(1, 6)):
            add(*here, shift, severity, "attention similarity", value=100 - 10 * severity)
        add(*here, "none", 0, "attention similarity of other images", value=20)
        for metric in ("knn accuracy", "probe accuracy"):
            add(*here, "none", 0, metric, value=20 if method == "random" else 60)
    return pd.DataFrame(lines, columns=COLUMNS)


def errors(method, shift, severity):
    """Rises by two points a severity; weather is worst; snow and saturate dip at 3; self-supervised errs more."""
    mean = severity if severity else 3
    value = 30 + 2 * mean + 5 * (shift == "weather") + 5 * (method != "supervised")
    return value - 5 * (shift in ("snow", "saturate") and severity == 3)


def test_claims_hold_where_they_are_true():
    data = rows(errors)
    found = [judge(claim, data).verdict for claim in SEVERITY_DEGRADATION]
    assert found == ["holds", "holds", "holds", "fails", "holds", "holds", "not tested", "holds"]
    found = [judge(claim, data).verdict for claim in PREDICTIONS]
    assert found == ["holds", "holds", "holds", "holds", "holds", "fails", "not tested"]
    assert [judge(claim, data).verdict for claim in CONTROLS] == ["holds", "holds"]


def test_one_method_refutes_a_claim_about_every_method():
    data = rows(lambda m, shift, s: errors(m, shift, s) - 4 * (m == "byol" and s == 4 and shift == "all"))
    verdict = judge(RISES, data)
    assert verdict.verdict == "fails" and verdict.contrast == "BYOL, severity 4 less 3"
    assert verdict.difference.mean == pytest.approx(-2, abs=0.05)


def test_a_difference_within_the_noise_is_undecided():
    assert judge(RISES, rows(errors, jitter=5)).verdict == "undecided"
    assert judge(RISES, rows(errors, standard_error=3)).verdict == "undecided"


def test_one_seed_decides_nothing():
    data = rows(errors, seeds=1)
    transformers = (TRANSFORMER, PREDICTIONS[-1])
    tested = [claim for claim in (*SEVERITY_DEGRADATION, *PREDICTIONS) if claim not in transformers]
    assert all(judge(claim, data).verdict == "undecided" for claim in tested)


@pytest.mark.parametrize("methods", [("simclr", "byol"), ("supervised", "random"), ("random",)])
def test_a_claim_without_its_methods_is_not_tested(methods):
    table = verdicts([*CONTROLS, *SEVERITY_DEGRADATION], rows(errors, methods=methods))
    assert set(table["verdict"]) & {"not tested"} and len(table) == 10
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
        difference(rows(errors), {"method": "simclr"}, {"method": "byol"})


@pytest.mark.parametrize(("intervals", "expected"), [
    ({"a": (1, 0.5, 2), "b": (3, 1, 5)}, ("holds", "a")),
    ({"a": (1, 0.5, 2), "b": (1, -1, 3)}, ("undecided", "b")),
    ({"a": (-1, -2, -0.5), "b": (1, -9, 11)}, ("fails", "a")),
    ({"a": (-1, -2, 0.0)}, ("fails", "a")),
])  # fmt: skip
def test_rule_of_judgement(intervals, expected):
    claim = Claim("", "", lambda _: {name: Interval(*numbers) for name, numbers in intervals.items()})
    verdict = judge(claim, pd.DataFrame({"encoder": pd.Series(dtype=str)}))
    assert (verdict.verdict, verdict.contrast) == expected


def test_table_has_a_line_a_claim():
    table = verdicts(SEVERITY_DEGRADATION, rows(errors))
    assert list(table["verdict"]) == ["holds"] * 3 + ["fails"] + ["holds"] * 2 + ["not tested", "holds"]
    assert METHODS["simclr"].title in " ".join(table["decided by"])


@pytest.mark.parametrize(("gain", "verdict"), [(3, "holds"), (-3, "fails")])
def test_transformers_are_compared_with_the_convolutional_encoder_of_their_method(gain, verdict):
    """And no other claim sees their rows."""
    theirs = rows(lambda m, shift, s: errors(m, shift, s) - gain, methods=("simclr",), encoder="vit_narrow_patch4")
    data = pd.concat([rows(errors), theirs])
    judged = judge(TRANSFORMER, data)
    assert judged.verdict == verdict and judged.contrast == "SimCLR, resnet10 less vit_narrow_patch4"
    assert judged.difference.mean == pytest.approx(gain, abs=0.05)
    assert judge(RISES, data) == judge(RISES, rows(errors))


@pytest.mark.parametrize("apart", [("error", "relative error"), ("relative error", "error")])
def test_a_transformer_is_judged_by_what_is_claimed(apart):
    """It errs less and loses more, or the reverse: the paper's claim is about the error, ours about the loss."""
    less, more = apart
    theirs = rows(errors, methods=("simclr",), encoder="vit_narrow_patch4")
    theirs["value"] += 4.0 * (theirs["metric"] == more) - 4.0 * (theirs["metric"] == less)
    data = pd.concat([rows(errors), theirs])
    found = {"error": judge(TRANSFORMER, data).verdict, "relative error": judge(PREDICTIONS[-1], data).verdict}
    assert found == {less: "holds", more: "fails"}


def test_steps_carry_the_interval_of_pairs():
    """Not that of two independent errors: the rows' own standard error decides."""
    data = rows(errors, jitter=0, standard_error=0.5)
    found = level(data, {"method": "simclr", "shift": "all", "severity": 3, "metric": "error step"})
    assert (found.low, found.mean, found.high) == pytest.approx((2 - 0.98, 2, 2 + 0.98), abs=1e-3)


def test_attention_that_does_not_move():
    """But comes nearer to where it was, the further the picture goes, though never as near as another picture's."""
    data = rows(errors)
    maps = data["metric"] == "attention similarity"
    data.loc[maps, "value"] = 10.0 + data.loc[maps, "severity"]
    assert judge(MOVES, data).verdict == "fails"
    assert judge(PREDICTIONS[3], data).verdict == "fails"
