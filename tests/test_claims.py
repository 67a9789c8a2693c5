"""Verdicts on rows made to hold, to fail, and to leave a claim open."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from shorthand import unfolded

from lib.chapters.augmentation import claims as augmentation
from lib.chapters.negatives import claims as negatives
from lib.chapters.relicv2 import claims as relicv2
from lib.chapters.severity.claims import PREDICTIONS, SEVERITY_DEGRADATION
from lib.chapters.tradeoff import claims as tradeoff
from lib.contrasts import difference, level
from lib.controls import CONTROLS
from lib.errors import BadInput
from lib.measures import Interval
from lib.methods import METHODS
from lib.verdicts import Claim, judge, named, verdicts

RISES = named(SEVERITY_DEGRADATION, "error-rises")
WEATHER = named(SEVERITY_DEGRADATION, "weather-is-worst")
SNOW = named(SEVERITY_DEGRADATION, "snow-dips")
ELASTIC = named(SEVERITY_DEGRADATION, "elastic-dips")
SATURATE = named(SEVERITY_DEGRADATION, "saturation-dips")
MOVES = named(SEVERITY_DEGRADATION, "attention-moves")
TRANSFORMER = named(SEVERITY_DEGRADATION, "transformer-errs-less")
ABOVE = named(SEVERITY_DEGRADATION, "self-supervised-err-more")
SHIFTS = ("all", "noise", "blur", "weather", "digital", "snow", "elastic_transform", "saturate")
COLUMNS = ["method", "encoder", "seed", "shift", "of", "metric", "value", "standard_error"]


def rows(
    error,
    seeds=3,
    jitter=0.01,
    standard_error=0.01,
    methods=("simclr", "byol", "supervised", "random"),
    encoder="resnet10",
):
    """Rows whose error is error(method, shift, severity), with a little noise over seeds.

    Attention maps lose ten points of likeness a severity; those of other images are alike by 20 %.
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
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def errors(method, shift, severity):
    """Rises by two points a severity; weather is worst; snow and saturate dip at 3; self-supervised errs more."""
    mean = severity if severity else 3
    value = 30 + 2 * mean + 5 * (shift == "weather") + 5 * (method != "supervised")
    return value - 5 * (shift in ("snow", "saturate") and severity == 3)


STAYS = named(PREDICTIONS, "attention-stays")
TRANSFORMER_LOSES = named(PREDICTIONS, "transformer-loses-less")


def names(claims):
    return [claim.name for claim in claims]


def outcomes(claims, data):
    return {claim.name: judge(claim, data).verdict for claim in claims}


def test_claims_hold_where_they_are_true():
    data = rows(errors)
    others = {"elastic-dips": "fails", "transformer-errs-less": "not tested"}
    assert outcomes(SEVERITY_DEGRADATION, data) == dict.fromkeys(names(SEVERITY_DEGRADATION), "holds") | others
    others = {"self-supervised-lose-less": "fails", "transformer-loses-less": "not tested"}
    assert outcomes(PREDICTIONS, data) == dict.fromkeys(names(PREDICTIONS), "holds") | others
    assert set(outcomes(CONTROLS, data).values()) == {"holds"}


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
    transformers = (TRANSFORMER, TRANSFORMER_LOSES)
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
    claim = Claim("", "", "", lambda _: {name: Interval(*numbers) for name, numbers in intervals.items()})
    verdict = judge(claim, pd.DataFrame({"encoder": pd.Series(dtype=str)}))
    assert (verdict.verdict, verdict.contrast) == expected


def test_table_has_a_line_a_claim():
    table = verdicts(SEVERITY_DEGRADATION, rows(errors))
    assert list(table["claim"]) == [claim.statement for claim in SEVERITY_DEGRADATION]
    assert list(table["verdict"]) == list(outcomes(SEVERITY_DEGRADATION, rows(errors)).values())
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
    found = {"error": judge(TRANSFORMER, data).verdict, "relative error": judge(TRANSFORMER_LOSES, data).verdict}
    assert found == {less: "holds", more: "fails"}


def test_steps_carry_the_interval_of_pairs():
    """Not that of two independent errors: the rows' own standard error decides."""
    data = rows(errors, jitter=0, standard_error=0.5)
    found = level(data, {"method": "simclr", "shift": "all", "level": 3, "metric": "error step"})
    assert (found.low, found.mean, found.high) == pytest.approx((2 - 0.98, 2, 2 + 0.98), abs=1e-3)


def test_attention_that_does_not_move():
    """But comes nearer to where it was, the further the image goes, though never as near as another image's."""
    data = rows(errors)
    maps = data["metric"] == "attention similarity"
    data.loc[maps, "value"] = 10.0 + data.loc[maps, "level"]
    assert judge(MOVES, data).verdict == "fails"
    assert judge(STAYS, data).verdict == "fails"


EVERY_CHAPTER = {
    "severity": (*SEVERITY_DEGRADATION, *PREDICTIONS, *CONTROLS),
    "augmentation": (*augmentation.AUGMENTATION_INVARIANCE, *augmentation.AUGMENTATION_CAUSES),
    "tradeoff": (*tradeoff.ACCURACY_ROBUSTNESS, *tradeoff.ROBUSTNESS_CONTROLS, *tradeoff.QUIRKS),
    "negatives": (
        *negatives.NON_SEMANTIC_NEGATIVES, *negatives.NEGATIVES_PREDICTIONS, *negatives.NEGATIVES_CONTROLS
    ),
    "relicv2": (*relicv2.RELICV2_OOD, *relicv2.RELICV2_PREDICTIONS, *relicv2.RELICV2_CONTROLS),
}  # fmt: skip


@pytest.mark.parametrize("chapter", EVERY_CHAPTER)
def test_names_of_claims_are_slugs_of_their_own(chapter):
    claims = EVERY_CHAPTER[chapter]
    assert len(set(names(claims))) == len(claims)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in names(claims))


def test_a_claim_is_found_by_its_name_wherever_it_stands():
    assert named(SEVERITY_DEGRADATION[::-1], "snow-dips").statement.startswith("Snow hurts less at severity 3")
    with pytest.raises(BadInput, match="unknown claim 'snow-dip'.*'snow-dips'.*allowed: error-rises, weather"):
        named(SEVERITY_DEGRADATION, "snow-dip")
