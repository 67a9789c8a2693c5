"""The worked example of invariance: encoders by hand that cannot see one change, and cosines in closed form."""

import math
import re
from dataclasses import replace

import pytest
import torch

from lib.chapters.augmentation import words
from lib.chapters.augmentation.claims import FINDINGS
from lib.chapters.augmentation.example import mean_colour, similarities_by_hand, thumbnail, words_by_hand
from lib.images import Split, load


@pytest.fixture(scope="module")
def scenes():
    return load("scenes", "train", 400), load("scenes", "test", 100)


def test_each_cannot_see_one_change(scenes):
    """The mean of a channel is that of its mirror image; a grey copy has the luma of its image."""
    found = similarities_by_hand(*scenes)
    colour, layout = found.values()
    assert colour["h_flip"] == pytest.approx(1, abs=1e-5) and layout["grayscale"] == pytest.approx(1, abs=1e-5)
    assert colour["grayscale"] < 0.7 and layout["h_flip"] < 0.7


def test_features_by_hand():
    images = torch.zeros(1, 3, 8, 8)
    images[:, 0, :, :4], images[:, 1, :2, :2] = 1.0, 0.5
    assert mean_colour(images)[0].tolist() == pytest.approx([0.5, 0.5 / 16, 0])
    wanted = torch.tensor([[0.2989, 0.2989, 0, 0]] * 4)
    wanted[0, 0] += 0.5 * 0.587
    assert torch.allclose(thumbnail(images)[0], wanted.flatten())


def test_a_similarity_in_closed_form(scenes):
    """Images of one colour each, whose channels have equal variances and no covariance: whitening divides all by one
    number, so that cosines are those of colours less their mean, which is grey."""
    colours = torch.tensor([[128 + 80 * sign if place == channel else 128 for place in range(3)]
                            for channel in range(3) for sign in (1, -1)], dtype=torch.uint8)  # fmt: skip
    images = colours[:, :, None, None].expand(-1, -1, 16, 16).contiguous()
    split = Split(torch.cat([images, images]), torch.zeros(12, dtype=torch.int64), ("one",), "", "")
    one = replace(split, images=images[:1], labels=split.labels[:1])
    found = similarities_by_hand(split, one)["the mean colour"]
    assert found["h_flip"] == pytest.approx(1)
    assert found["grayscale"] == pytest.approx(1 / math.sqrt(3), abs=1e-3)  # of (1, 0, 0) and (1, 1, 1)


def test_words_by_hand():
    told = words_by_hand({"first": {"h_flip": 1.0, "grayscale": 0.304}, "second": {"h_flip": -0.05, "grayscale": 1.0}})
    assert re.findall(r"-?\d\.\d\d", told) == ["1.00", "0.30", "-0.05", "1.00"]
    assert told.startswith("The whitened similarity of first is 1.00 when images are flipped and 0.30 when images are")
    assert "; that of second is -0.05 when" in told


def test_the_answer_is_short_whatever_is_found():
    """At most 60 words: the longest sentence of each finding together."""
    longest = [
        max((own.holds, own.reversed, own.no_effect, own.undecided), key=lambda text: len(text.split()))
        for own in FINDINGS.values()
    ]
    assert len(" ".join(longest).split()) <= 60


def test_findings_are_of_the_rows():
    """Recipes that differ by 20 points in what they read, the one way or the other; all else is not measured."""
    from test_invariance_words import rows

    opposite = rows({("spatial", "object_hue"): 70.0, ("appearance", "x"): 70.0}, seeds=3)
    alike = rows({("spatial", "object_hue"): 70.0, ("spatial", "x"): 70.0}, seeds=3)
    assert words.invariance_findings(opposite)["tasks-words"] == FINDINGS["tasks-words"].holds
    assert words.invariance_findings(alike)["tasks-words"] == FINDINGS["tasks-words"].reversed
    assert words.invariance_findings(alike)["pose-words"].startswith("These rows do not hold")
