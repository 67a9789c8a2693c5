"""What fits a budget, and what is said of the rest."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import BadInput
from lib.evaluate.axes import AXES, HEAD, PROBE, Case, chosen_axes
from lib.evaluate.data import Data
from lib.evaluate.plan import Costs, affordable, make_plan, price, tasks_of
from lib.images.sources import CIFAR10_CLASSES

EVERY = tuple(AXES)


def case(classes=10, train=50_000, tests=10_000, readers=(PROBE,), side=224, differentiable=True, probe=""):
    names = tuple(f"class {place}" for place in range(classes))
    data = Data("photographs", names, "0" * 64, "photographs", {"train": train, "validation": 5_000, "test": tests})
    return Case(data, side, min(tests, 1_000), readers, differentiable, probe)


def taken(own, plan, costs):
    """Seconds of all that a plan measures, a measure that two axes share once."""
    found = tasks_of(own, plan)
    found = {
        axis: rung for axis, rung in found.items() if axis in AXES and (axis != "calibration" or len(plan.rungs) == 1)
    }
    return sum(price(rung, costs) for rung in found.values())


@settings(deadline=None, max_examples=25)
@given(
    minutes=st.floats(0.5, 600),
    seconds=st.floats(1e-4, 0.5),
    width=st.integers(16, 2048),
    encoders=st.integers(1, 3),
    readers=st.sampled_from([(PROBE,), (PROBE, HEAD)]),
)
def test_a_plan_is_within_its_budget_and_says_what_is_not_in_it(minutes, seconds, width, encoders, readers):
    costs = Costs((seconds,) * encoders, (width,) * encoders)
    own = case(readers=readers)
    try:
        plan = make_plan(own, EVERY, 60 * minutes, costs)
    except BadInput as error:
        assert "is too small: the untouched images and one axis take about" in str(error) and "\n" not in str(error)
        return
    assert plan.seconds <= 60 * minutes * (1 + 1e-9)
    assert set(plan.rungs) | set(plan.left_out) == set(EVERY) and not set(plan.rungs) & set(plan.left_out)
    assert taken(own, plan, costs) <= plan.seconds
    more = make_plan(own, EVERY, 120 * minutes, costs)
    assert set(plan.rungs) <= set(more.rungs)
    if set(plan.rungs) == set(more.rungs):  # one axis more comes before more images
        assert more.sizes.train >= plan.sizes.train


def test_more_minutes_are_more_images_and_severities():
    costs = Costs((0.02,), (512,))
    corruption = [
        tasks_of(case(), make_plan(case(), ["corruption"], 60 * minutes, costs))["corruption"].tasks[0].measure
        for minutes in (2, 10, 60, 600)
    ]
    sizes = [(measure.images, len(measure.severities)) for measure in corruption]
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1] == (1_000, 5)


@pytest.mark.parametrize(("asked", "axis", "words"), [
    ({"differentiable": False}, "adversarial", "attacks climb gradients, and a network of this kind has none"),
    ({"probe": "there is one image a class", "readers": (HEAD,)}, "invariance", "there is one image a class"),
    ({}, "natural", "name folders of them by --shifts"),
])  # fmt: skip
def test_what_does_not_fit_is_said(asked, axis, words):
    assert words in make_plan(case(**asked), EVERY, 36_000, Costs((0.001,), (64,))).left_out[axis]


def test_corruption_and_calibration_are_one_measure():
    costs = Costs((0.01,), (64,))
    alone = make_plan(case(), ["corruption"], 600, costs)
    both = make_plan(case(), ["corruption", "calibration"], 600, costs)
    assert both.rungs["calibration"] == both.rungs["corruption"] == alone.rungs["corruption"]
    assert both.seconds == pytest.approx(alone.seconds)
    assert set(make_plan(case(), ["calibration"], 600, costs).rungs) == {"calibration"}


def test_a_probe_of_a_thousand_classes_gives_way_to_the_head():
    own, costs = case(classes=1_000, readers=(PROBE, HEAD)), Costs((0.01,), (2_048,))
    found = affordable(own, 600, costs)
    assert found.readers == (HEAD,) and "for 1,000 classes" in found.probe
    assert make_plan(found, ["corruption"], 600, costs).sizes.train == 0
    assert affordable(case(readers=(PROBE, HEAD)), 600, costs).readers == (PROBE, HEAD)
    assert affordable(case(classes=1_000), 600, costs).readers == (PROBE,)  # nothing else reads its features


def test_axes_are_named_in_their_order():
    assert chosen_axes("calibration, corruption") == ("corruption", "calibration")
    assert chosen_axes(None) == EVERY and chosen_axes(["cues"]) == ("cues",)
    with pytest.raises(BadInput, match="unknown axis 'cue' .did you mean 'cues'"):
        chosen_axes("cue")


def test_natural_shift_needs_its_sets(monkeypatch):
    own = case()
    data = Data("cifar10", CIFAR10_CLASSES, "0", "cifar10", own.data.sizes, 32)
    own = Case(data, 32, 1_000, (PROBE,), True)
    monkeypatch.setattr("lib.evaluate.axes.available", lambda: ["cifar10-shift"])
    (rung,) = AXES["natural"].offer(own).rungs
    assert "4,439 images" in rung.words and rung.forwards == 4_439
    monkeypatch.setattr("lib.evaluate.axes.available", lambda: [])
    assert "none of cifar10-shift, cifar10.1, stl10 is on this machine" in AXES["natural"].offer(own).reason


def test_every_axis_has_rungs_that_rise():
    for axis in AXES.values():
        rungs = axis.offer(case()).rungs
        prices = [price(rung, Costs((0.01,), (64,))) for rung in rungs]
        assert prices == sorted(prices), axis.name
    assert torch.tensor([len(axis.offer(case()).rungs) for axis in AXES.values()]).max() > 3
