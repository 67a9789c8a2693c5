"""Background reliance: what the parts show, and encoders that can only read one of them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shorthand import cell
from torch import nn
from torch.nn import functional as F

from lib import images as library
from lib.images import load, scenes
from lib.measures import Subject, fit_probe
from lib.measures.background import (
    OTHER,
    SAME,
    BackgroundReliance,
    _world,
    same_class,
    scene_parts,
    tie,
    with_background,
)

CPU = torch.device("cpu")
PARTS = ["original", "only foreground", "only background", SAME, OTHER]
COUNT = 240


class Pixels(nn.Module):
    """Sees an image at 4 x 4 pixels."""

    features = 48

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, 4).flatten(1)


class Corners(nn.Module):
    """Sees the wall alone: the hue of the four corner pixels, where no object reaches."""

    features = 3

    def forward(self, x):
        colour = x[:, :, ::31, ::31].mean(dim=(2, 3))
        return F.normalize(colour - colour.mean(dim=1, keepdim=True))


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(library, "SCENES_BLOCK", COUNT)
    monkeypatch.setattr(library, "SCENES_SIZE", {"train": COUNT, "validation": COUNT // 2, "test": 60})


@pytest.fixture(scope="module", autouse=True)
def fresh():
    _world.cache_clear()
    scene_parts.cache_clear()


def subject(encoder):
    return Subject(encoder, "scenes", COUNT, "fp32", CPU)


def found(rows, world, metric="accuracy", part=""):
    (line,) = cell(rows[rows["metric"] == metric], world, subset=part).itertuples()
    return line.value, line.standard_error


# ---- Images


def test_the_wall_alone_is_the_scene_without_its_object_and_shadow():
    parts, labels = scene_parts(COUNT // 2, False, CPU)
    test = load("scenes", "test", COUNT // 2)
    assert list(parts) == PARTS and torch.equal(parts["original"], test.images) and torch.equal(labels, test.labels)
    wall, away = parts["only background"], ~test.masks
    moved = test.factors | {"y": torch.full_like(test.factors["y"], -10.0)}
    assert not scenes.render_factors({name: value[:50] for name, value in moved.items()}).masks.any()
    same = (wall == test.images).all(dim=1)
    assert same[away].float().mean() > 0.9  # the rest is shadow, and pixels that show a rim of the object
    darker = (test.images <= wall).all(dim=1)
    assert darker[away & ~same].float().mean() > 0.8
    others = scenes.render_factors({name: value[:50] for name, value in (moved | {"shape": (labels + 3) % 10}).items()})
    assert torch.equal(others.images, wall[:50])  # no trace of which object it was


def test_pasted_pixels_by_loop():
    generator = torch.Generator().manual_seed(0)
    images, backgrounds = torch.randint(256, (2, 3, 3, 4, 5), generator=generator, dtype=torch.uint8)
    masks = torch.rand(3, 4, 5, generator=generator) < 0.5
    pasted = with_background(images, masks, backgrounds)
    for n in range(3):
        for row in range(4):
            for column in range(5):
                source = images if masks[n, row, column] else backgrounds
                assert torch.equal(pasted[n, :, row, column], source[n, :, row, column])


def test_walls_come_from_scenes_of_the_same_and_of_another_class():
    parts, labels = scene_parts(COUNT // 2, True, CPU)
    masks = _world("test", COUNT // 2, True, CPU).masks
    for name, alike in ((SAME, True), (OTHER, False)):
        for place in range(40):
            behind = ~masks[place]
            donors = [
                other for other in range(COUNT // 2)
                if torch.equal(parts[name][place][:, behind], parts["only background"][other][:, behind])
            ]  # fmt: skip
            assert donors and place not in donors
            assert {(labels[other] == labels[place]).item() for other in donors} == {alike}
            inside = masks[place]
            assert torch.equal(parts[name][place][:, inside], parts["original"][place][:, inside])
    grey = parts["only foreground"].permute(0, 2, 3, 1)[~masks]
    assert (grey == 128).all()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30))
def test_the_next_of_the_same_class_by_loop(labels):
    for place, chosen in enumerate(same_class(torch.tensor(labels)).tolist()):
        step = 1
        while labels[(place + step) % len(labels)] != labels[place]:
            step += 1
        assert chosen == (place + step) % len(labels)


def test_tied_walls_tell_the_class_and_nothing_else_changes():
    drawn = scenes.draw_factors(300)
    tied = tie(drawn)
    assert [name for name in drawn if not torch.equal(drawn[name], tied[name])] == [
        "background_texture", "background_hue",
    ]  # fmt: skip
    hues = {label: set(tied["background_hue"][drawn["shape"] == label].tolist()) for label in range(10)}
    assert all(len(own) == 1 for own in hues.values()) and len(set.union(*hues.values())) == 10
    assert tied["background_hue"].min() >= 0 and tied["background_hue"].max() < 0.75
    assert set(tied["background_texture"].tolist()) == set(range(6))


# ---- Rows


def test_a_pixel_encoder_is_at_chance_on_walls_that_tell_nothing():
    one = subject(Pixels())
    rows = BackgroundReliance(COUNT).rows(one)
    accuracies = rows[rows["metric"] == "accuracy"]
    assert list(zip(accuracies["shift"], accuracies["subset"], strict=True)) == [
        (world, part) for world in ("scenes", "tied scenes") for part in PARTS
    ]
    assert (rows["images"] == COUNT // 2).all() and rows["level"].isna().all()
    by_chance = 100 * np.sqrt(0.1 * 0.9 / (COUNT // 2))  # the standard error of guessing
    assert abs(found(rows, "scenes", part="only background")[0] - 10) < 4 * by_chance
    gap, error = found(rows, "scenes", "background gap")
    assert abs(gap) < 4 * error
    assert found(rows, "tied scenes", part="only background")[0] > 10 + 4 * by_chance
    gap, error = found(rows, "tied scenes", "background gap")
    assert gap > 4 * error


def test_rows_by_loop_over_images():
    """Of an encoder of other data, whose probe is fitted on scenes in both worlds."""
    one = subject(Pixels())
    one.dataset = "other"
    few = COUNT // 2
    rows = BackgroundReliance(few).rows(one)
    for world, tied in (("scenes", False), ("tied scenes", True)):
        sets = {}
        for split, count in (("train", few), ("validation", few // 2)):
            factors = scenes.draw_factors(count, split=split)
            sets[split] = scenes.render_factors(tie(factors) if tied else factors)
        fitted = fit_probe(
            one.extract(sets["train"].images), sets["train"].labels,
            one.extract(sets["validation"].images), sets["validation"].labels,
        )  # fmt: skip
        parts, labels = scene_parts(few // 2, tied, CPU)
        right = {part: [fitted.predict(one.extract(image[None])).item() == label
                        for image, label in zip(images, labels.tolist(), strict=True)]
                 for part, images in parts.items()}  # fmt: skip
        for part in PARTS:
            assert found(rows, world, part=part)[0] == pytest.approx(100 * np.mean(right[part]), abs=0.51)
        differences = [a - b for a, b in zip(right[SAME], right[OTHER], strict=True)]
        error = 100 * np.std(differences, ddof=1) / np.sqrt(len(differences))
        assert found(rows, world, "background gap") == pytest.approx((100 * np.mean(differences), error), abs=0.51)


def test_an_encoder_of_the_wall_alone_follows_it():
    assert not _world("test", COUNT // 2, True, CPU).masks[:, ::31, ::31].any()
    rows = BackgroundReliance(COUNT).rows(subject(Corners()))
    alone, same, other = (found(rows, "tied scenes", part=part)[0] for part in ("only background", SAME, OTHER))
    by_chance = 100 * np.sqrt(0.1 * 0.9 / (COUNT // 2))
    assert alone > 10 + 4 * by_chance and other < 10 + 4 * by_chance
    assert same == pytest.approx(alone)  # the same walls in another order, within each class
    gap, error = found(rows, "tied scenes", "background gap")
    assert gap == pytest.approx(same - other) and gap > 4 * error
    grey = found(rows, "tied scenes", part="only foreground")[0]
    assert grey < 10 + 4 * by_chance  # one grey for all, and one answer


def test_identity_names_its_number():
    assert BackgroundReliance(50).identity.startswith("background_reliance(scenes=50)#")
