"""Similarity of a query to what shares its meaning or its surface, against NumPy on images drawn by hand."""

import numpy as np
import pytest
import shorthand
import torch
from torch import nn

from lib.measures import NegativeSimilarity, Subject
from lib.measures.negative_similarity import METRIC, PERCENTILES
from lib.shifts.textures import textures
from lib.views import SIMCLR, draw, make_view, patch_negatives, render

COUNT = 40


class Pixels(nn.Module):
    """Its features are the pixels."""

    features = 3 * 32 * 32

    def forward(self, images):
        return images.flatten(1)


class MeanColour(nn.Module):
    features = 3

    def forward(self, images):
        return images.mean(dim=(2, 3))


def rows_of(encoder):
    subject = Subject(encoder, "scenes", COUNT, "fp32", torch.device("cpu"))
    return NegativeSimilarity(COUNT).rows(subject), subject


def cell(rows, pair, percentile=0):
    assert set(rows["level_unit"]) == {"", "percentile"}
    return shorthand.cell(rows, "none", percentile, pair).iloc[0]


def cosines(first, second):
    return (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


def test_every_number_against_numpy():
    rows, subject = rows_of(Pixels())
    images = subject.split("test", COUNT).images
    generator = torch.Generator().manual_seed(0)
    query = make_view(images, SIMCLR[0], generator)
    positive = make_view(images, SIMCLR[1], generator)
    patch = patch_negatives(query, generator)
    first = draw(SIMCLR[0], COUNT, (32, 32), torch.Generator().manual_seed(0))  # the query's crop, flip and colours
    texture = render(textures("scenes", "test", COUNT, progress=False), SIMCLR[0], first)
    flat = {name: part.flatten(1).double().numpy() for name, part in
            {"query": query, "positive": positive, "patch": patch, "texture": texture}.items()}  # fmt: skip
    mean = flat["query"].mean(axis=0)
    centred = {name: part - mean for name, part in flat.items()}
    centred["other"] = np.roll(centred["query"], 1, axis=0)
    assert set(rows["subset"]) == {"positive", "other", "patch", "texture"} and set(rows["metric"]) == {METRIC}
    for name in ("positive", "other", "patch", "texture"):
        expected = 100 * cosines(centred["query"], centred[name])
        found = cell(rows, name)
        assert found["value"] == pytest.approx(expected.mean(), abs=1e-3) and found["images"] == COUNT
        assert found["standard_error"] == pytest.approx(expected.std(ddof=1) / COUNT**0.5, abs=1e-3)
        for percentile in PERCENTILES:
            assert cell(rows, name, percentile)["value"] == pytest.approx(np.percentile(expected, percentile), abs=1e-3)


def test_an_encoder_of_colours_takes_surfaces_for_the_image():
    rows, _ = rows_of(MeanColour())
    assert cell(rows, "patch")["value"] > 80 > 20 > cell(rows, "other")["value"]
    assert cell(rows, "texture")["value"] > cell(rows, "positive")["value"]
