"""Verdicts on rows made to hold, to be reversed, to have no effect, and to leave a claim open."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit
from shorthand import unfolded

from lib.chapters.augmentation import claims as augmentation
from lib.chapters.methods.closed_form import CLOSED_FORM
from lib.chapters.negatives import claims as negatives
from lib.chapters.relicv2 import claims as relicv2
from lib.chapters.severity.claims import PREDICTIONS, SEVERITY_DEGRADATION
from lib.chapters.tradeoff import claims as tradeoff
from lib.contrasts import difference, level, of_cell
from lib.controls import CONTROLS
from lib.errors import BadInput
from lib.methods import METHODS
from lib.verdicts import Claim, in_words, judge, judged, named, verdicts

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
    others = {"elastic-dips": "reversed", "transformer-errs-less": "not tested"}
    assert outcomes(SEVERITY_DEGRADATION, data) == dict.fromkeys(names(SEVERITY_DEGRADATION), "holds") | others
    untested = ("self-supervised-lose-more", "self-supervised-lose-less", "transformer-loses-less")
    others = dict.fromkeys(untested, "not tested")  # of four methods there is no line to judge two by
    assert outcomes(PREDICTIONS, data) == dict.fromkeys(names(PREDICTIONS), "holds") | others
    assert set(outcomes(CONTROLS, data).values()) == {"holds"}


def test_a_closed_form_is_a_control_that_one_method_may_be_below():
    data = rows(errors)
    assert judge(CLOSED_FORM, data).verdict == "not tested"
    control = data[data["method"] == "random"].assign(method="kmeans", value=40.0)
    assert judge(CLOSED_FORM, pd.concat((data, control))).verdict == "holds"
    better = data["value"].mask((data["method"] == "byol") & (data["metric"] == "probe accuracy"), 20.0)
    assert judge(CLOSED_FORM, pd.concat((data.assign(value=better), control))).verdict == "reversed"


def test_one_method_refutes_a_claim_about_every_method():
    data = rows(lambda m, shift, s: errors(m, shift, s) - 4 * (m == "byol" and s == 4 and shift == "all"))
    verdict = judge(RISES, data)
    assert verdict.verdict == "reversed" and verdict.contrast == "BYOL, severity 4 less 3"
    assert verdict.difference.mean == pytest.approx(-2, abs=0.05)


def test_a_difference_within_the_noise_is_undecided():
    assert judge(RISES, rows(errors, jitter=5)).verdict == "undecided"
    assert judge(RISES, rows(errors, standard_error=3)).verdict == "undecided"


def test_one_seed_decides_nothing():
    data = rows(errors, seeds=1)
    tested = [claim for claim in (*SEVERITY_DEGRADATION, *PREDICTIONS) if claim.contrasts(data)]
    assert len(tested) == len(SEVERITY_DEGRADATION) - 1 + len(PREDICTIONS) - 3
    assert all(judge(claim, data).verdict == "undecided" for claim in tested)


@pytest.mark.parametrize("methods", [("simclr", "byol"), ("supervised", "random"), ("random",)])
def test_a_claim_without_its_methods_is_not_tested(methods):
    """And has no line."""
    claims = [*CONTROLS, *SEVERITY_DEGRADATION]
    data = rows(errors, methods=methods)
    untested = [claim.statement for claim in claims if judge(claim, data).verdict == "not tested"]
    table = verdicts(claims, data)
    assert untested and list(table["claim"]) == [claim.statement for claim in claims if claim.statement not in untested]


def test_an_ambiguous_cell_is_refused():
    with pytest.raises(BadInput, match="not one a seed"):
        difference(rows(errors), {"method": "simclr"}, {"method": "byol"})


def stated(every=False, margin=2.0, published=None, **means):
    """A claim about systems that are above another by so much each."""

    def contrasts(rows):
        cells = [{"system": name} for name in means]
        return {name: of_cell(rows, cell) for name, cell in zip(means, cells, strict=True)}

    claim = Claim("claim", "Claim.", "source", contrasts, every=every, margin=margin, published=published)
    return claim, heights(means)


def heights(means, deviation=1.0):
    """Rows of systems with exactly these means and seeds' deviations, so that each has a standard error of
    `deviation` / sqrt(3) and as many degrees of freedom as all have seeds, less one each."""
    lines = [
        (name, "resnet", seed, mean + deviation * step, 0.0)
        for name, mean in means.items()
        for seed, step in enumerate((-1, 0, 1))
    ]
    return pd.DataFrame(lines, columns=["system", "encoder", "seed", "value", "standard_error"])


@pytest.mark.parametrize(("every", "means", "expected"), [
    (True, {"a": 9, "b": 3}, ("holds", "b")),
    (True, {"a": 9, "b": 0.5}, ("undecided", "b")),
    (True, {"a": -5, "b": 9}, ("reversed", "a")),
    (True, {"a": 0.1, "b": -0.1, "c": 0.1}, ("no effect", "b")),
    (True, {"a": 0.1, "b": 1.5}, ("undecided", "a")),  # one of them may lie beyond the margin
    (False, {"a": 9, "b": -3}, ("holds", "mean of 2")),
    (False, {"a": -9, "b": 3}, ("reversed", "mean of 2")),
    (False, {"a": 9, "b": -9}, ("no effect", "mean of 2")),
    (False, {"a": 9}, ("holds", "a")),
    (False, {"a": 1.7}, ("undecided", "a")),
])  # fmt: skip
def test_rule_of_judgement(every, means, expected):
    verdict = judge(*stated(every, **means))
    assert (verdict.verdict, verdict.contrast) == expected
    assert list(verdict.cells) == list(means)


def test_a_conjunction_pays_for_its_number_where_one_refutes_it_and_nowhere_else():
    """Of 40 one lies below by a t of 3.2: in so many that happens by chance; of 6, and of 40 that hold, it does not."""
    one = {"low": -3.2 / 3**0.5}
    for count, expected in ((5, "reversed"), (39, "undecided")):
        others = {f"s{number}": 9.0 for number in range(count)}
        found = judge(*stated(True, **others, **one))
        assert found.verdict == expected, count
    assert judge(*stated(True, **{f"s{number}": 3.2 / 3**0.5 for number in range(40)})).verdict == "holds"


def test_p_values_by_hand():
    claim, data = stated(a=1.0, b=2.0)
    found = judge(claim, data)
    error = (1 / 3 / 4 + 1 / 3 / 4) ** 0.5  # of the mean of two
    assert found.difference.standard_error == pytest.approx(error) and found.difference.degrees == pytest.approx(4)
    assert found.effect == found.adjusted == pytest.approx(2 * stats.t.sf(1.5 / error, 4))
    assert found.equivalence == pytest.approx(stats.t.sf((2 - 1.5) / error, 4))
    every = judge(*stated(True, a=1.0, b=2.0))
    assert every.effect == pytest.approx(2 * stats.t.sf(1.0 * 3**0.5, 4))
    below = judge(*stated(True, a=-1.0, b=2.0))
    assert below.effect == pytest.approx(2 * 2 * stats.t.sf(1.0 * 3**0.5, 4))


def test_no_margin_no_claim_of_no_effect():
    verdict = judge(*stated(margin=None, a=0.1, b=-0.1))
    assert verdict.verdict == "undecided" and np.isnan(verdict.equivalence)
    assert in_words(judge(*stated(margin=5.0, a=0.1))) == "no effect beyond ±5"


def test_an_undecided_verdict_says_what_would_have_been_found():
    claim, data = stated(a=1.9)
    verdict = judge(claim, data)
    assert in_words(verdict) == f"undecided (would need {verdict.difference.found():.1f} points)"
    assert in_words(judge(claim, data[data["seed"] == 0])) == "undecided (would need more than one seed)"


def test_errors_are_controlled_over_the_claims_that_are_read_together():
    """A p value of 0.04 is enough by itself, and not among nineteen of 0.5; adjusted as SciPy does."""
    means = {f"s{number}": 0.4 for number in range(19)} | {"best": 1.35}
    claims = [
        Claim(name, "", "", lambda rows, name=name: {name: of_cell(rows, {"system": name})}, margin=None)
        for name in means
    ]
    data = heights(means)
    found = judged(claims, data)
    assert judge(claims[-1], data).verdict == "holds" and found[-1].verdict == "undecided"
    plain = [verdict.effect for verdict in found]
    assert [verdict.adjusted for verdict in found] == pytest.approx(stats.false_discovery_control(plain))
    assert verdicts(claims[-1:], data, claims)["verdict"].iloc[0].startswith("undecided")
    assert verdicts(claims[-1:], data)["verdict"].iloc[0] == "holds"


def test_the_published_effect_stands_beside_ours():
    for effect, expected in ((1.5, "+1.5"), (-4.0, "excludes the published -4.0 here")):
        claim, data = stated(published=lambda effect=effect: effect, a=2.0)
        assert verdicts([claim], data)["published"].iloc[0] == expected
    alone = verdicts(*[[part] if isinstance(part, Claim) else part for part in stated(a=2.0)])
    assert "published" not in alone and "of its cells" not in alone  # there is one


def test_table_has_a_line_a_claim_that_is_tested():
    data = rows(errors)
    table = verdicts(SEVERITY_DEGRADATION, data)
    found = [verdict for verdict in judged(SEVERITY_DEGRADATION, data) if verdict.tested]
    assert list(table["claim"]) == [verdict.claim.statement for verdict in found]
    assert list(table["verdict"]) == [in_words(verdict) for verdict in found]
    assert METHODS["byol"].title in " ".join(table["judged by"])
    assert table.set_index("claim").loc[RISES.statement, "of its cells"] == "8 of 8 above, 0 below"


@pytest.mark.parametrize(("gain", "verdict"), [(3, "holds"), (-3, "reversed")])
def test_transformers_are_compared_with_the_convolutional_encoder_of_their_method(gain, verdict):
    """And no other claim sees their rows."""
    theirs = rows(lambda m, shift, s: errors(m, shift, s) - gain, methods=("simclr",), encoder="vit_narrow_patch4")
    data = pd.concat([rows(errors), theirs])
    judged = judge(TRANSFORMER, data)
    assert judged.verdict == verdict and judged.contrast == "SimCLR, resnet10 less vit_narrow_patch4"
    assert judged.difference.mean == pytest.approx(gain, abs=0.05)
    assert judge(RISES, data) == judge(RISES, rows(errors))


LEARNERS = ("simclr", "byol", "moco_v2", "dino", "swav", "vicreg")


def at_equal_start(gain, encoder="resnet10", methods=(*LEARNERS, "supervised", "random"), draw=0):
    """Clean errors that are far apart and corrupted ones on one line of them, except for what `gain` says of a method:
    by how many points it is the more robust."""
    generator = np.random.default_rng(draw)
    lines = []
    for place, (method, seed) in enumerate(itertools.product(methods, range(3))):
        clean = 70.0 - 4 * (place // 3)
        corrupted = 100 * expit(0.9 * logit(clean / 100) - 0.5) + gain(method)
        for shift, share in (("none", clean), ("all", corrupted)):
            lines.append((method, encoder, seed, shift, 0, "error", 100 - share + 0.1 * generator.normal(), 0.1))
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


@pytest.mark.parametrize(("gain", "more", "less"), [
    (4, "holds", "reversed"), (-4, "reversed", "holds"), (0, "no effect", "no effect"),
])  # fmt: skip
def test_losses_are_judged_at_equal_clean_accuracy(gain, more, less):
    """The supervised encoder of the world has another clean accuracy than each other and so loses other points."""
    data = at_equal_start(lambda method: gain * (method == "supervised"))
    found = outcomes(PREDICTIONS, data)
    assert (found["self-supervised-lose-more"], found["self-supervised-lose-less"]) == (more, less)
    gaps = judge(named(PREDICTIONS, "self-supervised-lose-more"), data).cells
    assert len(gaps) == len(LEARNERS)
    assert [gap.mean for gap in gaps.values()] == pytest.approx([gain] * len(LEARNERS), abs=0.6)


@pytest.mark.parametrize(("gain", "verdict"), [(5, "holds"), (-5, "reversed")])
def test_a_transformer_is_judged_by_what_is_claimed(gain, verdict):
    """It errs more, since it starts lower, and is more robust all the same, or less."""
    theirs = at_equal_start(lambda method: gain, "vit_narrow_patch4", ("simclr",), draw=1)
    theirs["value"] += 10
    data = pd.concat([at_equal_start(lambda method: 0), theirs])
    assert judge(TRANSFORMER, data).verdict == "reversed" and judge(TRANSFORMER_LOSES, data).verdict == verdict
    assert judge(TRANSFORMER_LOSES, data).contrast.endswith("SimCLR, vit_narrow_patch4 less resnet10")


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
    assert judge(MOVES, data).verdict == "reversed"
    assert judge(STAYS, data).verdict == "reversed"


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
