"""A measure that a page shows beside its question comes with its figure, by a word in the plan."""

import sys
import types
from dataclasses import dataclass, replace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
import torch
from contract import check_apart, check_words
from toys import Points

from lib import figures
from lib.chapters import PLANS
from lib.errors import BadInput
from lib.figures import figure as module
from lib.measures import Subject
from lib.measures.rows import CLEAN, as_rows, row
from lib.runs.plan import Part, measures_of, parts
from lib.runs.presets import PRESETS
from lib.runs.systems import plain


@dataclass(frozen=True)
class Brightness:
    """Metric "brightness", of test images."""

    images: int
    identity = "brightness()#1"

    def rows(self, subject):
        images = subject.split("test", self.images).images
        return as_rows([row(CLEAN, "brightness", images.flatten(1).float().mean(1).numpy() / 255)])


def bright_images(rows, scope):
    means = rows[rows["metric"] == "brightness"].groupby("method", as_index=False)["value"].mean()
    if means.empty:
        raise BadInput("rows have no brightness")
    drawing, axes = plt.subplots()
    axes.bar(means["method"], means["value"])
    words = f"How bright the test images are that each of {len(means)} encoders was shown, in percent of white. {scope}"
    return figures.Figure(drawing, "fig-bright-images", words, words, means)


BRIGHT = Part(lambda preset: Brightness(preset.test_images or 100), bright_images)


def measured(part):
    """Rows of two methods and seeds, as the measure itself gives them of a network of scenes."""
    torch.manual_seed(0)
    subject = Subject(Points().eval(), "scenes", 500, "fp32", torch.device("cpu"))
    found = part.measure(replace(PRESETS["quick"], test_images=100)).rows(subject)
    frames = [found.assign(method=name, seed=seed) for name in ("simclr", "random") for seed in (0, 1)]
    labels = {"dataset": "scenes", "encoder": plain("simclr").encoder or "resnet10", "augmentation": "default"}
    return pd.concat(frames, ignore_index=True).assign(**labels)


@pytest.mark.parametrize("part", [BRIGHT, *(part for plan in PLANS.values() for part in plan.also)])
def test_its_figure_is_drawn_from_what_its_measure_gives(part):
    figure = part.figure(measured(part), "Scope.")
    check_words(figure)
    check_apart(figure)
    assert figure.caption.endswith("Scope.")
    assert figure.name == f"fig-{part.figure.__name__.replace('_', '-')}"


@pytest.mark.parametrize("name", PLANS)
def test_it_is_measured_of_every_run(name):
    plan = replace(PLANS[name], also=(*PLANS[name].also, BRIGHT))
    for system in (None, *plan.systems):
        before = measures_of(PLANS[name], "small", system)
        *others, last = measures_of(plan, "small", system)
        assert [one.identity for one in others] == [one.identity for one in before]
        assert last == Brightness(plan.scale(PRESETS["small"]).test_images)


def test_a_page_shows_it_or_says_why_not(monkeypatch):
    shown = []
    monkeypatch.setattr(module, "display", shown.append)
    rows = measured(BRIGHT)
    figures.also((BRIGHT, BRIGHT), rows, "Scope.")
    figures.also((BRIGHT,), rows[rows["metric"] != "brightness"], "Scope.")
    assert [figure.name for figure in shown] == ["fig-bright-images"] * 3
    assert all(sorted(figure.data["method"]) == ["random", "simclr"] for figure in shown[:2])
    assert shown[2].caption == "Left out, since what it needs is not published: rows have no brightness."


def test_parts_are_found_by_the_names_of_their_files(monkeypatch):
    other = Part(BRIGHT.measure, figures.contact_sheet)
    for name, part in (("bright", BRIGHT), ("other", other)):
        monkeypatch.setitem(sys.modules, f"lib.chapters.severity.{name}", types.SimpleNamespace(PART=part))
    assert parts("lib.chapters.severity", "other", "bright") == (other, BRIGHT)
