"""Effective robustness as a contrast: by hand, with the line's own error, and covered as often as it says."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit, logit

from lib.contrasts import estimates, mean_of
from lib.effective import FEWEST_OTHERS, above_the_rest, baseline_line, fitted, line_error, on_line, runs_of
from lib.errors import BadInput

CLEAN, FOG = {"shift": "none"}, {"shift": "fog"}
A, B = {"system": "a"}, {"system": "b"}


def world(clean, corrupted, seeds=3, jitter=0.0, error=0.0, generator=None):
    """Rows of systems "a", "b", "c", ... with so many percent right on both sets of images."""
    generator = generator or np.random.default_rng(0)
    lines = [
        ("resnet", "abcdefghijklmnopqrstuvwxyz"[place], seed, shift, value + jitter * generator.normal(), error)
        for place, values in enumerate(zip(clean, corrupted, strict=True))
        for shift, value in zip(("none", "fog"), values, strict=True)
        for seed in range(seeds)
    ]
    rows = pd.DataFrame(lines, columns=["encoder", "system", "seed", "shift", "value", "standard_error"])
    return rows.assign(metric="accuracy", images=1000)


def on(x, slope=0.8, intercept=-0.6):
    return 100 * expit(slope * logit(np.asarray(x) / 100) + intercept)


OTHERS = np.array([30.0, 45.0, 50.0, 62.0, 71.0])


def test_by_hand_on_a_line_without_scatter():
    """Who is judged lies 3 points above the line and 2 below, whatever their clean accuracies."""
    clean = [60.0, 40.0, *OTHERS]
    rows = world(clean, [on(60.0) + 3, on(40.0) - 2, *on(OTHERS)])
    found = above_the_rest(runs_of(rows, CLEAN, FOG), A, B).estimate()
    assert found.mean == pytest.approx(5.0) and found.standard_error == pytest.approx(0, abs=1e-6)
    assert (-above_the_rest(runs_of(rows, CLEAN, FOG), B, A)).estimate().mean == pytest.approx(5.0)


def test_who_is_judged_has_no_part_in_the_line():
    clean = [60.0, 40.0, *OTHERS]
    near, far = (
        above_the_rest(runs_of(world(clean, [own, on(40.0), *on(OTHERS)]), CLEAN, FOG), A, B).estimate().mean
        for own in (on(60.0), on(60.0) + 20)
    )
    assert far - near == pytest.approx(20)


def test_a_lower_start_is_no_robustness():
    """The weak one loses 6 points less and lies on the same line: it is not the more robust one."""
    rows = world([30.0, 70.0, *OTHERS], [*on([30.0, 70.0]), *on(OTHERS)], jitter=0.1)
    lost = rows[rows["shift"] == "none"].groupby("system")["value"].mean()
    lost = lost - rows[rows["shift"] == "fog"].groupby("system")["value"].mean()
    assert lost["b"] - lost["a"] > 2
    assert above_the_rest(runs_of(rows, CLEAN, FOG), A, B).estimate().sign == 0


def test_the_line_s_own_error_is_that_of_a_difference_of_fitted_values():
    """Against the variance of a linear combination of least squares coefficients, on logits and by the chain rule."""
    scatter = np.array([2.0, -3.0, 1.0, 2.5, -2.0])
    rows = world([60.0, 40.0, *OTHERS], [50.0, 30.0, *(on(OTHERS) + scatter)])
    contrast = above_the_rest(runs_of(rows, CLEAN, FOG), A, B)
    x, y = logit(OTHERS / 100), logit((on(OTHERS) + scatter) / 100)
    theirs = stats.linregress(x, y)

    def moved(step, at):  # by steps of the fitted slope and intercept
        slope, intercept = theirs.slope + step[0], theirs.intercept + step[1]
        return 100 * expit(slope * logit(at / 100) + intercept)

    by = [(moved(s, 60.0) - moved(s, 40.0) - moved((0, 0), 60.0) + moved((0, 0), 40.0)) / 1e-6
          for s in ((1e-6, 0), (0, 1e-6))]  # fmt: skip
    between = -x.mean() * theirs.stderr**2
    covariance = np.array([[theirs.stderr**2, between], [between, theirs.intercept_stderr**2]])
    assert contrast.error == pytest.approx(float(np.sqrt(by @ covariance @ np.array(by))), rel=1e-4)
    assert contrast.degrees == len(OTHERS) - 2
    alone = fitted(OTHERS, on(OTHERS) + scatter)
    error = np.sqrt(alone._slopes(55.0) @ alone.covariance @ alone._slopes(55.0))
    assert error == pytest.approx(line_error(OTHERS, on(OTHERS) + scatter, 55.0))
    assert (alone.slope, alone.intercept) == baseline_line(OTHERS, on(OTHERS) + scatter)
    found = contrast.estimate()  # seeds that agree and no error over images: the line's alone is left
    assert found.standard_error == pytest.approx(contrast.error) and found.degrees == pytest.approx(3)


def test_errors_of_lines_are_scaled_and_go_together():
    rows = world([60.0, 40.0, *OTHERS], [50.0, 30.0, *(on(OTHERS) + [2.0, -3.0, 1.0, 2.5, -2.0])])
    runs = runs_of(rows, CLEAN, FOG)
    one, other = above_the_rest(runs, A, B), above_the_rest(runs, A, {"system": "c"})
    found = mean_of([one, -2 * other])
    assert found.error == pytest.approx(0.5 * one.error + other.error) and found.degrees == 3
    assert (found + 7).error == found.error


def test_intervals_hold_what_is_true():
    """Systems scatter around a line by 2 points, seeds by 0.5; the two that are judged are equally robust."""
    generator, held, count = np.random.default_rng(5), 0, 400
    others = np.linspace(35, 75, 9)
    for _ in range(count):
        corrupted = on(others) + 2 * generator.normal(size=9)
        rows = world([70.0, 45.0, *others], [*on([70.0, 45.0]), *corrupted], jitter=0.5, generator=generator)
        held += above_the_rest(runs_of(rows, CLEAN, FOG), A, B).estimate().sign == 0
    assert held / count == pytest.approx(0.95, abs=0.03)


def test_errors_are_accuracies_and_ends_have_logits():
    rows = world([100.0, 60.0, *OTHERS], [90.0, 0.0, *on(OTHERS)])
    runs = runs_of(rows, CLEAN, FOG).groupby("system")[["clean", "corrupted"]].mean()
    assert runs.loc["a", "clean"] == pytest.approx(99.95) and runs.loc["b", "corrupted"] == pytest.approx(0.05)
    wrong = rows.assign(value=100 - rows["value"], metric="error")
    pd.testing.assert_frame_equal(runs_of(wrong, CLEAN, FOG), runs_of(rows, CLEAN, FOG))


def test_a_few_tell_no_line_and_neither_do_equals():
    few = [60.0, 40.0, *OTHERS[: FEWEST_OTHERS - 1]]
    assert above_the_rest(runs_of(world(few, on(few)), CLEAN, FOG), A, B) is None
    equal = [60.0, 40.0, *[50.0] * 6]
    assert above_the_rest(runs_of(world(equal, on(equal)), CLEAN, FOG), A, B) is None
    many = world([60.0, 40.0, *OTHERS], on([60.0, 40.0, *OTHERS]))
    assert above_the_rest(runs_of(many, CLEAN, FOG), A, {"system": "z"}) is None
    assert above_the_rest(runs_of(many, CLEAN, FOG), A, B, among=("c", "d", "e")) is None
    with pytest.raises(BadInput, match="more than one row"):
        runs_of(many, {}, FOG)


def test_a_line_among_some():
    corrupted = [*on([60.0, 40.0]), *on(OTHERS[:4]), 1.0]
    runs = runs_of(world([60.0, 40.0, *OTHERS], corrupted), CLEAN, FOG)
    kept = above_the_rest(runs, A, B, among=("c", "d", "e", "f"))
    assert kept.estimate().mean == pytest.approx(0) and kept.degrees == 2
    assert abs(estimates({"": above_the_rest(runs, A, B)})[""].mean) > 1


def test_on_line_is_the_logistic_of_a_line():
    assert on_line(50.0, (2.0, 0.0)) == 50.0 and on_line(80.0, (1.0, 0.0)) == pytest.approx(80.0)
