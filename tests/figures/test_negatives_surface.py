"""The worked example of a negative without meaning: cosines and shares by hand, and what the page says of them."""

import math
import re

import pytest
import torch

from lib.chapters.negatives.surface import (
    ALPHA,
    TEMPERATURE,
    THUMBNAIL,
    Seen,
    grey_layout,
    mean_colour,
    seen,
    surface_example,
    surface_words,
)
from lib.errors import BadInput
from lib.images import load


def test_two_encoders_by_hand():
    """A colour is its mean over pixels; a layout knows no colour and no brightness."""
    images = torch.zeros(1, 3, 32, 32)
    images[0, 0, :, 16:] = 0.6
    assert mean_colour(images).tolist() == [pytest.approx([0.3, 0, 0])]
    layout = grey_layout(images).reshape(THUMBNAIL, THUMBNAIL)
    half = THUMBNAIL // 2
    assert torch.allclose(layout[:, :half], torch.tensor(-0.1)) and torch.allclose(layout[:, half:], torch.tensor(0.1))
    recoloured = images.flip(1) + 0.2
    assert torch.allclose(grey_layout(recoloured), grey_layout(images), atol=1e-6)


def test_cosines_and_share_by_hand():
    """Two images at opposite colours: keys are at cosines 1 and -1, and a negative of the same colour at 1."""
    red, blue = torch.zeros(3, 4, 4), torch.zeros(3, 4, 4)
    red[0], blue[2] = 1, 1
    pair = torch.stack([red, blue])
    found = seen(mean_colour, pair, pair, pair)
    assert (found.view, found.negative, found.other, found.keys) == (
        *(pytest.approx(value, abs=1e-6) for value in (1, 1, -1)), 2,
    )  # fmt: skip
    negative = math.exp(ALPHA / TEMPERATURE)
    total = negative + math.exp(1 / TEMPERATURE) + math.exp(-1 / TEMPERATURE)
    assert found.share == pytest.approx(100 * negative / total, rel=1e-5)
    swapped = seen(mean_colour, pair, pair, pair.flip(0))
    assert swapped.negative == pytest.approx(-1, abs=1e-6) and swapped.share < 0.1
    with pytest.raises(BadInput, match="give two images or more, not 1"):
        seen(mean_colour, pair[:1], pair[:1], pair[:1])


def test_colour_is_fooled_and_layout_is_not():
    """On scenes: what the page says, at every seed."""
    images = load("scenes", "test", 200).images
    for seed in range(3):
        found = surface_example(images, seed)
        colour, layout = found["colour"], found["layout"]
        assert abs(colour.negative - colour.view) < 0.1 and layout.negative < layout.view - 0.3
        assert colour.share > 5 * layout.share and abs(colour.other) < 0.1 > abs(layout.other)
    assert surface_example(images, 2) == found


def test_words_by_hand():
    words = surface_words({"colour": Seen(0.94, 0.91, 0.0, 62.4, 300), "layout": Seen(0.5, 0.07, 0.0, 2.6, 300)})
    assert re.findall(r"\d+\.\d+|\d+", words) == ["0.94", "0.91", "8", "8", "0.50", "0.07", "300", "62", "3"]
