"""Sentences and images of the page on augmentations, by hand and against torchvision."""

import itertools
import re

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision.transforms.v2.functional as TF
from shorthand import unfolded

from lib import figures
from lib.chapters.augmentation import words
from lib.chapters.augmentation.claims import FINDINGS, TRAINED_FOR
from lib.chapters.augmentation.invariance import invariance_map
from lib.shifts.transforms import TRANSFORMS

PICTURE = torch.randint(0, 256, (3, 32, 32), generator=torch.Generator().manual_seed(3), dtype=torch.uint8)
COLUMNS = ["method", "augmentation", "encoder", "seed", "shift", "of", "metric", "value", "standard_error"]
CELLS = [(name, name, 0, "whitened similarity") for names in TRAINED_FOR.values() for name in names]
CELLS += [(cause, "none", cause, "linear R2") for cause in ("object_hue", "x")]


def rows(values, method="moco_v2", seeds=2):
    """`values`: (augmentation, transform or cause) -> number; 50 where it names none; seeds lie 1 to either side."""
    recipes = dict.fromkeys(["default", "spatial", "appearance", "fusion", *(recipe for recipe, _ in values)])
    lines = [
        (method, recipe, "resnet10", seed, *cell, values.get((recipe, name), 50.0) + 2 * seed - 1, 0.1)
        for recipe, seed, (name, *cell) in itertools.product(recipes, range(seeds), CELLS)
    ]
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def test_the_answer_by_hand():
    values = {("spatial", name): 80.0 for name in TRAINED_FOR["spatial"]}
    values |= {("appearance", name): 90.0 for name in TRAINED_FOR["appearance"]}
    values |= {("spatial", "object_hue"): 70.0, ("appearance", "x"): 60.0, ("fusion", "x"): 58.0}
    answer = words.invariance_answer(rows(values))
    assert "a MoCo v2 encoder" in answer["answer-learnt"]
    assert "of 80 and 50 when" in answer["answer-learnt"] and "(appearance), 50 and 90." in answer["answer-learnt"]
    assert "R² of 70 %, from the appearance recipe's with 50 %;" in answer["answer-tasks"]
    assert answer["answer-tasks"].endswith("with 50 % and 60 %: each is the better one for one of them.")
    both = words.invariance_answer(rows(values | {("spatial", "x"): 65.0}))["answer-tasks"]
    assert both.endswith("with 65 % and 60 %: the first is the better one for both.")
    # Hue is 20 below the best; place 2, with an interval that holds 1.
    assert answer["answer-fusion"].endswith("on 0 of 2 tasks, and to be farther below on 1.")
    better = words.invariance_answer(rows(values | {("fusion", "x"): 80.0}))
    assert better["answer-fusion"].endswith("on 1 of 2 tasks, and to be farther below on 1.")


def test_the_answer_without_the_recipes():
    found = rows({})
    answer = words.invariance_answer(found[found["augmentation"] != "spatial"])
    assert answer["answer-learnt"] == (
        "These rows hold no method that was trained with each of the recipes default, spatial and appearance."
    )
    assert (
        "no encoders side by side" in words.invariance_answer(found[found["augmentation"] != "fusion"])["answer-fusion"]
    )
    assert all(
        (words.invariance_answer(found.iloc[:0]) | words.invariance_causes(found.iloc[:0], found.iloc[:0])).values()
    )


def test_causes_by_hand():
    values = {("appearance", "h_flip"): 20.0, ("appearance", "blur"): 88.0, ("spatial", "blur"): 91.0}
    hues, places = {"default": 96.0, "no jitter": 94.0, "any hue": 30.0}, {"appearance": 71.0, "no crop": 43.0}
    places |= {"only flip": 31.0, "only crop": 69.0}
    read = {(recipe, "object_hue"): value for recipe, value in hues.items()}
    read |= {(recipe, "x"): value for recipe, value in places.items()}
    texts = words.invariance_causes(rows(values), rows(read))
    assert texts["identity"].endswith("would be told as 0.60, where its similarity is 0.20.")
    assert "MoCo v2 keeps 0.88 with it and 0.91 with the spatial recipe" in texts["blur"]
    assert texts["why-hue"].startswith(
        "R² of object hue in percent, for MoCo v2 trained on scenes: default 96, no jitter 94 and any hue 30."
    )
    assert ": appearance 71, no crop 43, only flip 31 and only crop 69." in texts["why-place"]
    assert words.invariance_causes(rows(values), rows({}))["why-hue"].startswith("The rows of this page do not hold")


def test_light_and_size_by_hand():
    """Views: (s - c) / (100 - c) with c = 20. Scores: 50 except for x, so a mean over two tasks moves by half."""
    values = {("appearance", "light colour"): 92.0, ("spatial", "light colour"): 52.0}
    values |= {("appearance", "light direction"): 60.0, ("spatial", "light direction"): 68.0}
    found = rows(values | {("fusion", "x"): 58.0, ("three defaults", "x"): 56.0, ("wide default", "x"): 54.0})
    more = []
    for recipe, cause in itertools.product(("spatial", "appearance"), ("light colour", "light direction")):
        for seed in (0, 1):
            run = ("moco_v2", recipe, "resnet10", seed, "scenes", cause)
            more += [(*run, "whitened similarity", values[recipe, cause], 0.1), (*run, "whitened chance", 20.0, 0.0)]
    texts = words.invariance_causes(pd.concat([found, unfolded(pd.DataFrame(more, columns=COLUMNS))]), found)
    assert re.search(r"MoCo v2: 50\.0 \[.*?\] points when the colour .* changes, -10\.0 \[.*?\] when", texts["light"])
    gained = re.findall(r"(fusion|three defaults|wide default) (\d\.\d) \[", texts["size"])
    assert "over the 2 tasks" in texts["size"]
    assert gained == [("fusion", "4.0"), ("three defaults", "3.0"), ("wide default", "2.0")]


def in_lights(appearance, spatial):
    """Rows of views in other light: what changes of it -> similarity by each recipe, the same for both seeds."""
    lines = [
        ("moco_v2", recipe, "resnet10", seed, "scenes", f"light {what}", metric, value, 0.1)
        for recipe, found in (("appearance", appearance), ("spatial", spatial))
        for what, similar in found.items()
        for metric, value in (("whitened similarity", similar), ("whitened chance", 0.0))
        for seed in range(3)
    ]
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


@pytest.mark.parametrize(
    ("direction", "colour", "expected"),
    [
        (60.0, 90.0, "What changes of colour teach carries over to the colour of light, not to its direction."),
        (90.0, 40.0, "What changes of colour teach carries over to the direction of light, not to its colour."),
        (80.0, 90.0, FINDINGS["light-words"].holds),
        (70.0, 99.0, FINDINGS["light-words"].holds),  # of its direction nothing is shown
        (50.0, 40.0, FINDINGS["light-words"].reversed),
    ],
)
def test_colour_and_direction_of_light_are_told_apart(direction, colour, expected):
    """By the spatial recipe 70 in both."""
    rows = in_lights({"direction": direction, "colour": colour}, {"direction": 70.0, "colour": 70.0})
    assert words.invariance_findings(rows)["light-words"] == expected


def test_views_of_a_recipe_are_what_it_changes():
    """The spatial recipe keeps colours: of an image of one colour all views are that colour; no view of it is grey."""
    plain = torch.tensor([200, 40, 90], dtype=torch.uint8)[:, None, None].expand(3, 32, 32).contiguous()
    figure = figures.recipe_views(plain, count=4)
    moved = figure.data.set_index("recipe")["pixels move (%)"]
    assert list(moved.index) == ["default", "spatial", "appearance"]
    assert moved["spatial"] == pytest.approx(0, abs=1e-4) and moved["appearance"] > 2
    shown = [axes.images[0].get_array() for axes in figure.drawing.axes]
    assert len(shown) == 3 * 5
    for line in (0, 1, 2):
        np.testing.assert_array_equal(shown[5 * line], plain.permute(1, 2, 0))  # the image itself comes first
    assert "and 4 random views of it by each recipe: default (crop, " in figure.caption
    assert "; spatial (crop and flip); appearance (jitter, grey and blur). An" in figure.caption
    assert figure.alt.startswith("3 lines of small images: the original, then 4 views of it. Pixels move by ")
    assert "; 0 percent (spatial); " in figure.alt


def test_views_of_one_recipe_need_no_name():
    figure = figures.recipe_views(PICTURE, ("spatial",), count=4)
    assert "and 4 random views of it (crop and flip). An encoder" in figure.caption
    assert figure.alt.startswith("1 line of small images: the original, then 4 views of it. Pixels move by ")


def test_the_sheet_of_transforms_shows_each_as_torchvision_does():
    figure = figures.transform_sheet(PICTURE)
    shown = {axes.get_title(): axes.images[0].get_array() for axes in figure.drawing.axes if axes.images}
    assert list(shown) == ["clean", *(name.replace("_", " ") for name in TRANSFORMS)]
    exact = PICTURE.float() / 255
    for name, expected in (("h flip", TF.hflip(exact)), ("v flip", TF.vflip(exact)), ("invert", TF.invert(exact))):
        np.testing.assert_allclose(shown[name], expected.permute(1, 2, 0), atol=1e-6)
    moved = figure.data.set_index("transform")["pixels move (%)"]
    by_hand = 100 * (TF.hflip(exact) - exact).square().mean().sqrt()
    assert moved["h flip"] == pytest.approx(float(by_hand), abs=1e-4) and (moved > 0).all()
    assert list(figure.data["kind"]) == [kind.kind for kind in TRANSFORMS.values()]


def test_a_map_names_the_highest_that_are_told_apart():
    """Seeds lie 1 to either side: 30 points are shown; of equal ones nobody is named alone."""
    values = {("spatial", name): 80.0 for name in TRAINED_FOR["spatial"]}
    notes = invariance_map(rows(values, seeds=3), "").notes
    assert "spatial MoCo v2, spatial (81); appearance MoCo v2, default (51), MoCo v2, spatial (51) and" in notes
    assert notes.endswith("MoCo v2, appearance (51), which are not told apart.")
    assert "spatial MoCo v2, spatial (79), MoCo v2, default (49)" in invariance_map(rows(values, seeds=1), "").notes
