"""What a live encoder sees, against scikit-learn's neighbours, colours by hand and the numbers that are given."""

import math
import re
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from sklearn.neighbors import NearestNeighbors

from lib.chapters.augmentation.neighbours import _neighbours, nearest_neighbours, read_before_after
from lib.errors import BadInput
from lib.figures.style import LOOK, RECIPE_LOOK
from lib.images import load
from lib.measures import Interval

MINUS = "\N{MINUS SIGN}"
COUNT = 40


@pytest.fixture(scope="module")
def scenes():
    return load("scenes", "test", COUNT)


@pytest.fixture(scope="module")
def hues(scenes):
    return scenes.factors["object_hue"]


@pytest.fixture(scope="module")
def encoders(scenes):
    """Features that know colour, that know grey, and noise around a large mean that all images share."""
    images = scenes.images.float() / 255
    generator = torch.Generator().manual_seed(0)
    return {
        "spatial": images[:, :, 8:24, 8:24].mean(dim=(2, 3)),
        "appearance": torch.nn.functional.avg_pool2d(images.mean(dim=1), 4).flatten(1),
        "random weights": 50 + torch.randn(COUNT, 16, generator=generator),
    }


@pytest.fixture(scope="module")
def shown(encoders, scenes, hues):
    return nearest_neighbours(encoders, scenes.images, 3, "Scope.", hues=hues)


def chosen(figure, name):
    return figure.data.loc[figure.data["encoder"] == name, "image"].tolist()


def found(features, query, count, hues=None, images=None):
    """The lines of one encoder's figure."""
    images = torch.zeros(len(features), 3, 4, 4, dtype=torch.uint8) if images is None else images
    return nearest_neighbours({"spatial": features}, images, query, "", count, hues)


def by_sklearn(features, count):
    """Numbers and cosine distances of the nearest others: (N, count) each."""
    centred = features.double().numpy() - features.double().numpy().mean(axis=0)
    distances, numbers = NearestNeighbors(n_neighbors=count, metric="cosine").fit(centred).kneighbors()
    return numbers, distances


def degrees(a, b):
    """By complex numbers: the angle between two hues."""
    return abs(math.degrees(np.angle(np.exp(2j * math.pi * (float(a) - float(b))))))


# Neighbours


def test_neighbours_are_those_of_scikit_learn(encoders, scenes, shown):
    for query in (0, 3, COUNT - 1):
        figure = nearest_neighbours(encoders, scenes.images, query, "") if query != 3 else shown
        for name, features in encoders.items():
            numbers, distances = by_sklearn(features, 7)
            assert chosen(figure, name) == numbers[query].tolist()
            cosines = figure.data.loc[figure.data["encoder"] == name, "cosine"]
            assert np.allclose(cosines, 1 - distances[query], atol=1e-7)


def test_what_all_images_share_does_not_count(encoders):
    features = encoders["random weights"]
    plain = torch.nn.functional.cosine_similarity(features[3:4], features)
    assert plain.min() > 0.99  # as they are, all would be alike
    there, here = found(features, 3, 10), found(features + 1000, 3, 10)
    assert there.data["cosine"].max() < 0.9 and chosen(there, "spatial") == chosen(here, "spatial")


def test_a_tie_goes_to_the_lower_number():
    east, north = [1.0, 0.0], [0.0, 1.0]
    features = torch.tensor([east, north, east, [-1.0, 0.0], north, east, [0.0, -3.0]])  # their mean is not zero
    assert chosen(found(features, 5, 6), "spatial")[:2] == [0, 2]
    assert chosen(found(features, 0, 6), "spatial")[:2] == [2, 5]
    assert chosen(found(features, 4, 6), "spatial")[0] == 1
    for kinds in (7, 19, 101):  # long sums of equal features differ in their last bits
        of_three = torch.randn(kinds, 300, generator=torch.Generator().manual_seed(1)).repeat(3, 1)
        order, _ = _neighbours(of_three, 8)
        assert (order[:, 0] % kinds == torch.arange(3 * kinds) % kinds).all() and (order[:, 0] < order[:, 1]).all()
        for first in (2, 5):
            assert (order[:, first + 1] == order[:, first] + kinds).all()
            assert (order[:, first + 2] == order[:, first] + 2 * kinds).all()
    assert chosen(found(torch.ones(6, 3), 2, 5), "spatial") == [0, 1, 3, 4, 5]  # a collapsed encoder


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32), st.permutations(range(9)), st.integers(1, 8))
def test_images_in_another_order_have_the_same_neighbours(seed, order, count):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(9, 5, dtype=torch.float64, generator=generator)
    turn = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64, generator=generator)).Q
    order = torch.tensor(order)
    numbers, cosines = _neighbours(features, count)
    permuted, same = _neighbours(features[order], count)
    assert torch.equal(numbers[order], order[permuted]) and torch.allclose(cosines[order], same, atol=1e-8)
    assert torch.equal(_neighbours(4 * features @ turn + 1, count)[0], numbers)
    assert (numbers != torch.arange(9)[:, None]).all() and (cosines.diff(dim=1) <= 0).all()
    assert all(len(set(line)) == count for line in numbers.tolist())


def test_images_in_another_order_have_the_same_figure(encoders, scenes, hues, shown):
    order = torch.randperm(COUNT, generator=torch.Generator().manual_seed(5))
    moved = {name: features[order] for name, features in encoders.items()}
    query = order.tolist().index(3)
    other = nearest_neighbours(moved, scenes.images[order], query, "Scope.", hues=hues[order])
    assert order[other.data["image"].tolist()].tolist() == shown.data["image"].tolist()
    assert np.allclose(other.data["hue distance (degrees)"], shown.data["hue distance (degrees)"])
    for ours, theirs in zip(shown.drawing.axes, other.drawing.axes, strict=True):
        assert np.array_equal(ours.get_images()[0].get_array(), theirs.get_images()[0].get_array())
    here, there = (figure.notes.split("Means over all")[0] for figure in (shown, other))
    assert here == there


# Hues


def test_hues_are_compared_round_the_wheel():
    line = torch.arange(5.0)[:, None] ** 2 * torch.tensor([[1.0, 0.5]])  # image 4 is by itself, the others go together
    hues = torch.tensor([0.99, 0.01, 0.24, 0.49, 0.5])
    data = found(line, 0, 4, hues).data.set_index("image")["hue distance (degrees)"]
    assert [data[number] for number in range(1, 5)] == pytest.approx([7.2, 90, 180, 176.4], abs=1e-4)


def test_hues_of_one_query_and_of_all(encoders, scenes, hues, shown):
    any_two = np.mean([degrees(a, b) for a, b in combinations(hues, 2)])
    here, over_all = shown.notes.split("Means over all")
    assert f"any two images {any_two:.0f}°. " in over_all and over_all.startswith(" 40 images as queries")
    rest = np.mean([degrees(hues[3], hues[number]) for number in range(COUNT) if number != 3])
    assert f"all other images {rest:.0f}°. " in here
    means = {}
    for name, features in encoders.items():
        numbers, _ = by_sklearn(features, 7)
        each = [[degrees(hues[query], hues[number]) for number in numbers[query]] for query in range(COUNT)]
        own = shown.data[shown.data["encoder"] == name]
        assert np.allclose(own["hue distance (degrees)"], each[3], atol=1e-3)
        assert f" {name} {np.mean(each[3]):.0f}°, " in here
        assert f"{name}: hues {np.mean(each[3]):.0f}° away on average; images {numbers[3][0]} (" in shown.alt
        mean, low, high = re.search(rf"{name} (\d+)° \[(\d+), (\d+)\]", over_all).groups()
        of_queries = np.mean(each, axis=1)
        half = 1.96 * of_queries.std() / COUNT**0.5
        assert int(mean) == round(of_queries.mean())
        assert (int(low), int(high)) == pytest.approx((of_queries.mean() - half, of_queries.mean() + half), abs=1.6)
        means[name] = of_queries.mean()
    assert means["spatial"] < 50 < 70 < means["random weights"]  # who knows the colour, and who does not


def test_without_hues_none_are_told(encoders, scenes):
    figure = nearest_neighbours(encoders, scenes.images, 0, "Scope.", count=3)
    assert list(figure.data) == ["encoder", "place", "image", "cosine"] and list(figure.data["place"]) == 3 * [
        1,
        2,
        3,
    ]
    assert "hue" not in figure.caption + figure.alt and "°" not in figure.caption + figure.alt
    words = [text.get_text() for axes in figure.drawing.axes for text in axes.texts]
    assert words == [word for name in encoders for word in (name, "query")]


# The drawing


def test_images_are_shown_as_they_are(scenes, shown, encoders):
    lines = np.array(shown.drawing.axes).reshape(3, 8)
    for line, name in zip(lines, encoders, strict=True):
        for place, (axes, number) in enumerate(zip(line, (3, *chosen(shown, name)), strict=True)):
            (image,) = axes.get_images()
            assert np.array_equal(image.get_array(), scenes.images[number].permute(1, 2, 0))
            assert image.get_interpolation() == "nearest"
            assert all(spine.get_visible() == (place == 0) for spine in axes.spines.values())
        assert line[0].texts[0].get_text().startswith(f"{name}: hues ")
        far = shown.data.loc[shown.data["encoder"] == name, "hue distance (degrees)"]
        assert [axes.texts[0].get_text() for axes in line[1:]] == [f"{value:.0f}°" for value in far]


@pytest.mark.parametrize("count", [1, 3, 7, 10])
def test_panels_are_of_one_size_and_words_apart(encoders, scenes, hues, count):
    tall = torch.cat((scenes.images, scenes.images), dim=2)
    for images in (scenes.images, tall):
        drawing = nearest_neighbours(encoders, images, 1, "", count, hues).drawing
        drawing.draw_without_rendering()
        boxes = [axes.get_window_extent() for axes in drawing.axes]
        shape = images.shape[2] / images.shape[3]
        assert np.allclose([box.width for box in boxes], boxes[0].width)
        assert np.allclose([box.height for box in boxes], boxes[0].width * shape)
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        assert boxes[0].width / drawing.dpi / 4.8 * 390 > 31  # a pixel of a scene is one of a phone
        words = [text.get_window_extent() for axes in drawing.axes for text in axes.texts]
        assert not any(a.overlaps(b) for a, b in combinations(words, 2))
        assert not any(word.shrunk(1, 0.7).overlaps(box) for word in words for box in boxes)
        line = boxes[: count + 1]
        if count > 1:
            assert line[1].x0 - line[0].x1 > 3 * (line[2].x0 - line[1].x1)  # the query is set apart


def test_both_are_figures_of_the_book(shown, read):
    assert shown.pixels and not read.pixels and shown.name != read.name
    for figure in (shown, read):
        assert figure.picture() == figure.picture() and not plt.get_fignums()
        assert len(figure.alt) > 100 and figure.caption.endswith(". Scope.")
        for words in (figure.alt, figure.caption):
            assert not re.search(rf"nan|None|\d\.\d{{3}}|\n|[-{MINUS}]0(\.0)?\b(?!\.)|\s\s|\.\.| ,|_|\(\)", words)
        inches = figure.drawing.get_tightbbox().width
        assert inches < 5.2
        words = [text for axes in figure.drawing.axes for text in (*axes.texts, *axes.get_yticklabels())]
        assert min(text.get_fontsize() for text in words if text.get_text()) / 72 * 390 / inches > 9


def test_bad_input(encoders, scenes, hues):
    images, features = scenes.images, encoders["spatial"]
    for wrong in (-1, COUNT, 1.5):
        with pytest.raises(BadInput, match="number of an image, from 0 to 39"):
            nearest_neighbours(encoders, images, wrong, "")
    for wrong in (0, 11, 2.0):
        with pytest.raises(BadInput, match="count is a whole number from 1 to 10"):
            nearest_neighbours(encoders, images, 0, "", wrong)
    with pytest.raises(BadInput, match="count is a whole number from 1 to 4"):
        nearest_neighbours({"spatial": features[:5]}, images[:5], 0, "", 5)
    with pytest.raises(BadInput, match="one encoder or more"):
        nearest_neighbours({}, images, 0, "")
    for wrong in (features[:-1], features[0], features * torch.nan):
        with pytest.raises(BadInput, match=r"finite numbers \(40, D\).*\(mine\)"):
            nearest_neighbours({"spatial": features, "mine": wrong}, images, 0, "")
    for wrong in (images.float(), images[:, :1], images[0], images[:1]):
        with pytest.raises(BadInput, match=r"images are uint8 \(N, 3, H, W\), two or more"):
            nearest_neighbours(encoders, wrong, 0, "")
    for wrong in (hues[:-1], 360 * hues, hues - 1, hues * torch.nan):
        with pytest.raises(BadInput, match="turns from 0 to below 1, one for each of 40 images"):
            nearest_neighbours(encoders, images, 0, "", hues=wrong)
    assert not plt.get_fignums()


# What is read

READ = {
    "before training": {"object_hue": Interval(12.34, 8, 16), "x": Interval(-0.02, -1.4, -0.01)},
    "spatial": {"object_hue": Interval(71.26, 68.5, 74), "x": Interval(3, 1, 5.04)},
    "appearance": {"object_hue": Interval(-2.5, -4.1, 0), "x": Interval(45, 40, 50)},
    "no jitter": {"object_hue": Interval(60, 55, 65), "x": Interval(44, 41, 47)},
    "only crop": {"x": Interval(46, 41, 47), "object_hue": Interval(62, 55, 65)},
}


@pytest.fixture(scope="module")
def read():
    return read_before_after(READ, "Scope.")


def test_dots_are_the_numbers(read):
    (axes,) = read.drawing.axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["object hue", "x"]
    assert [text.get_text() for text in read.drawing.legends[0].get_texts()] == list(READ)
    looks = set()
    for container, (name, own) in zip(axes.containers, READ.items(), strict=True):
        line, _, (bars,) = container
        own = [own["object_hue"], own["x"]]
        assert np.allclose(line.get_xdata(), [number.mean for number in own])
        assert np.allclose([bar[:, 0] for bar in bars.get_segments()], [(number.low, number.high) for number in own])
        assert np.abs(line.get_ydata() - [0, 1]).max() < 0.45  # in the band of its factor
        look = LOOK["random"] if name == "before training" else RECIPE_LOOK.get(name)
        if look:
            assert (line.get_color(), line.get_marker()) == (look["color"], look["marker"])
        else:
            assert to_hex(line.get_color()) == "#000000"
        looks.add((line.get_color(), line.get_marker()))
    low, high = axes.get_xlim()
    assert low < -4.1 and high > 100
    assert len(looks) == len(READ)
    heights = np.array([container[0].get_ydata() for container in axes.containers])
    assert (np.diff(heights, axis=0) > 0).all()  # one below the other


def test_what_is_read_in_words(read):
    assert f"object hue: before training 12.3 [8.0, 16.0]; spatial 71.3 [68.5, 74.0]; appearance {MINUS}2.5" in read.alt
    assert f"x: before training 0.0 [{MINUS}1.4, 0.0]; spatial 3.0 [1.0, 5.0]" in read.alt
    means = {factor: [own[factor].mean for own in READ.values()] for factor in ("object_hue", "x")}
    hue, x = (f"{round(min(own))} to {round(max(own))}".replace("-", MINUS) for own in means.values())
    assert f"From the lowest to the highest of the 5 encoders, R² is object hue {hue} and x {x}. " in read.notes
    lines = read.data.set_index(["encoder", "factor"])
    assert lines.loc[("only crop", "object hue"), "R² (%)"] == 62 and len(lines) == 10


def test_words_of_what_is_read_do_not_overlap(read):
    (axes,) = read.drawing.axes
    read.drawing.draw_without_rendering()
    words = [*axes.get_yticklabels(), axes.xaxis.label, *read.drawing.legends[0].get_texts()]
    boxes = [text.get_window_extent() for text in words]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    edges = read.drawing.bbox
    assert all(edges.x0 <= box.x0 and box.x1 <= edges.x1 and box.y1 <= edges.y1 for box in boxes)


def test_one_encoder_and_unknown_ends():
    alone = read_before_after({"Random weights": {"background_hue": Interval(5, math.nan, math.nan)}}, "Scope.")
    assert alone.alt.endswith("wall hue: Random weights 5.0.") and "lowest" not in alone.notes
    assert list(alone.data) == ["encoder", "factor", "R² (%)"] and alone.picture().startswith(b"<?xml")
    assert alone.drawing.axes[0].containers[0][0].get_color() == LOOK["random"]["color"]


def test_what_cannot_be_drawn_is_refused():
    for nothing in ({}, {"spatial": {}}):
        with pytest.raises(BadInput, match="one factor or more for one encoder or more"):
            read_before_after(nothing, "")
    with pytest.raises(BadInput, match=r"same factors \(object_hue and x\), and appearance has x"):
        read_before_after({"spatial": READ["spatial"], "appearance": {"x": READ["spatial"]["x"]}}, "")
    assert not plt.get_fignums()
