"""Variance within classes against distance between them, against loops over pairs of images."""

import math

import numpy as np
import pytest
import shorthand
import torch
from torch import nn

from lib.errors import BadInput
from lib.measures import Subject
from lib.measures.crowding import METRIC, NEAREST, Crowding, crowding


def drawn(count, apart, seed=0, classes=3, width=4):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = apart * torch.randn(classes, width, generator=torch.Generator().manual_seed(7))
    return torch.randn(count, width, generator=generator) + centres[labels], labels


def looped(features, labels, nearest=False):
    """Mean squared distance of two images of one class over that of two of two; each class, or pair, counts alike."""
    groups = {int(label): features[labels == label].double() for label in labels.unique()}
    groups = {label: group for label, group in groups.items() if len(group) > 1}

    def apart(c, d):
        pairs = [(i, j) for i in range(len(groups[c])) for j in range(len(groups[d])) if c != d or i != j]
        return float(np.mean([((groups[c][i] - groups[d][j]) ** 2).sum().item() for i, j in pairs]))

    within = [apart(c, c) for c in groups]
    between = [[apart(c, d) for d in groups if d != c] for c in groups]
    if nearest:
        return np.mean([own / min(row) for own, row in zip(within, between, strict=True)])
    return np.mean(within) / np.mean(between)


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("count", [7, 20])  # 7: classes of three, two and two
def test_the_ratio_is_that_of_a_loop_over_pairs(count, nearest):
    features, labels = drawn(count, apart=1.0)
    assert crowding(features, 3 * labels + 1, nearest)[0] == pytest.approx(looped(features, labels, nearest), rel=1e-9)


def test_it_is_the_variance_within_over_that_and_half_the_squared_distance_between():
    features, labels = drawn(30_000, apart=1.0)
    groups = [features[labels == c].double() for c in range(3)]
    within = np.mean([group.var(dim=0).sum().item() for group in groups])
    means = [group.mean(dim=0) for group in groups]
    between = np.mean([(means[c] - means[d]).square().sum().item() for c in range(3) for d in range(3) if c != d])
    assert crowding(features, labels)[0] == pytest.approx(within / (within + between / 2), rel=1e-3)


def test_ends_units_and_places_do_not_matter():
    labels = torch.arange(12) % 3
    points = torch.eye(3)[labels]
    assert crowding(points, labels) == (pytest.approx(0, abs=1e-12), pytest.approx(0, abs=1e-12))
    features, labels = drawn(60, apart=0.0)
    found = [crowding(*drawn(60, apart=0.0, seed=seed))[0] for seed in range(200)]
    assert np.mean(found) == pytest.approx(1, abs=0.01)  # however few the images are, classes are not told apart
    turned = 3 * features @ torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1))).Q + 5
    assert crowding(turned, labels)[0] == pytest.approx(crowding(features, labels)[0], rel=1e-5)
    assert crowding(*drawn(60, apart=3.0))[0] < crowding(*drawn(60, apart=1.0))[0] < 0.9
    far = torch.where(labels[:, None] == 2, 100 + features, features)  # two classes remain on top of each other
    assert crowding(far, labels)[0] < 0.01 < 0.6 < crowding(far, labels, nearest=True)[0]


@pytest.mark.parametrize("nearest", [False, True])
def test_the_error_is_the_spread_over_draws_of_images(nearest):
    found = [crowding(*drawn(90, apart=1.0, seed=seed), nearest) for seed in range(400)]
    values, errors = map(np.array, zip(*found, strict=True))
    assert np.median(errors) == pytest.approx(values.std(ddof=1), rel=0.15)


def test_classes_of_one_image_are_left_out():
    features, labels = drawn(20, apart=1.0)
    one = torch.cat((features, torch.full((1, 4), 50.0))), torch.cat((labels, torch.tensor([9])))
    assert crowding(*one) == pytest.approx(crowding(features, labels))
    assert crowding(*one)[0] == pytest.approx(looped(*one))


class MeanColour(nn.Module):
    features = 3

    def forward(self, images):
        return images.mean(dim=(2, 3))


def test_rows_are_of_the_test_images_features():
    subject = Subject(MeanColour(), "scenes", 40, "fp32", torch.device("cpu"))
    rows = Crowding(60).rows(subject)
    test = subject.split("test", 60)
    assert set(rows["subset"]) == {"", NEAREST} and set(rows["metric"]) == {METRIC} and set(rows["images"]) == {60}
    for subset, nearest in (("", False), (NEAREST, True)):
        value, error = crowding(MeanColour()(test.images / 255), test.labels, nearest)
        line = shorthand.cell(rows, "none", 0, subset).iloc[0]
        assert line["value"] == pytest.approx(100 * value, rel=1e-4) and line["value"] > 0
        assert line["standard_error"] == pytest.approx(100 * error, rel=1e-4) and math.isfinite(line["standard_error"])
    assert Crowding(60).identity == "crowding(images=60)#1"


@pytest.mark.parametrize(
    ("features", "labels", "words"),
    [
        (torch.ones(4, 2), torch.tensor([0, 0, 1, 2]), "two or more classes of two or more images each"),
        (torch.full((4, 2), math.nan), torch.tensor([0, 0, 1, 1]), "finite numbers"),
        (torch.ones(4, 2), torch.tensor([0.0, 0, 1, 1]), "labels as int64"),
        (torch.ones(3, 2), torch.tensor([0, 0, 1]), "with N of at least 4"),
    ],
)
def test_bad_input_is_refused(features, labels, words):
    with pytest.raises(BadInput, match=words):
        crowding(features, labels)
    with pytest.raises(BadInput, match="images is a whole number of at least 4, or None"):
        Crowding(3)
