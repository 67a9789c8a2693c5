"""The worked example of severity: distances by scikit-image's formula on single windows, and summaries by hand."""

import re
from dataclasses import replace

import pandas as pd
import pytest
import torch
from shorthand import unfolded

from lib.chapters.severity.example import error_words, severity_sheet, severity_steps, severity_words
from lib.figures.prose import UNTOLD
from lib.images import load
from lib.measures.similarity import ssim
from lib.shifts.corruptions import corrupted_alike


@pytest.fixture(scope="module")
def image():
    return load("scenes", "test", 8).images[3]


@pytest.fixture(scope="module")
def found(image):
    return severity_steps(image)


def test_each_image_is_that_of_its_severity(image, found):
    assert [own.shift for own in found] == ["fog", "saturate"]
    for own in found:
        assert own.images.shape == (6, 3, 32, 32) and torch.equal(own.images[0], image)
        for severity in range(1, 6):
            shown = corrupted_alike(image[None], own.shift, severity)
            assert torch.equal(own.images[severity], shown[0])
            assert own.distances[severity - 1] == pytest.approx(100 * (1 - ssim(image[None], shown).item()), abs=1e-3)


def test_the_example_shows_its_point(found):
    """A severity whose image is nearer to the clean one than that of a severity below; and a corruption without any."""
    fog, saturate = found
    assert fog.nearer == [] and saturate.nearer == [3]


def test_where_distances_fall_by_hand(found):
    own = replace(found[0], distances=[1.0, 0.5, 0.5, 2.0, 1.94])
    assert own.nearer == [2, 5]
    assert severity_words([own]) == (
        "From severity 1 to 5 the distances are: fog 1.0, 0.5, 0.5, 2.0 and 1.9, which fall at severity 2 and 5."
    )
    assert severity_words([replace(own, distances=[1.0, 2.0, 3.0, 4.0, 5.0])]).endswith("and 5.0, which only grow.")


def test_sheet_has_the_distances_that_the_words_have(found):
    figure = severity_sheet(found)
    told = re.findall(r"\d+\.\d", severity_words(found))
    assert [f"{value:.1f}" for value in figure.data["distance"]] == told and len(told) == 10
    labels = [axes.get_xlabel() for axes in figure.drawing.axes]
    assert [label for label in labels if label != "distance:"] == told
    assert severity_words(found) in figure.alt


def rows_of(method, clean, worse):
    table = [(method, seed, "none", 0, "error", value, 0.5) for seed, value in enumerate(clean)]
    for level, error in enumerate(worse, 1):
        table += [(method, seed, "saturate", level, "error", error, 0.5) for seed in range(len(clean))]
    names = ["method", "seed", "shift", "of", "metric", "value", "standard_error"]
    return unfolded(pd.DataFrame(table, columns=names))


def test_errors_by_hand():
    """(45 + 50 + 40 + 60 + 70) / 5 = 53, less (38 + 42) / 2 = 40 of clean images."""
    rows = rows_of("simclr", (38.0, 42.0), (45, 50, 40, 60, 70))
    words = error_words(rows)
    assert words == (
        "The probe on SimCLR is wrong on 40.0 % of the clean images, and under saturate on 45.0, 50.0, 40.0, 60.0 and "
        "70.0 %. The part of this corruption in CE is the mean of the five, 53.0 %. Its part in rCE is that mean less "
        "the clean error, 13.0 points."
    )
    others = rows_of("byol", (10.0, 10.0), (10, 10, 10, 10))  # one severity is missing
    assert error_words(pd.concat([others, rows])) == words
    assert error_words(others) == error_words(rows[rows["metric"] == "none"]) == UNTOLD
