"""The worked example of an adversary: what it says is worst is, asked by many other changes, and by hand."""

import re
from dataclasses import replace

import pytest
import torch

from lib.chapters.tradeoff.linear import DECAY, linear_attack, linear_sheet, linear_weights, linear_words
from lib.errors import BadInput
from lib.images import Split, load


@pytest.fixture(scope="module")
def scenes():
    return load("scenes", "train", 300), load("scenes", "test", 100)


@pytest.fixture(scope="module")
def found(scenes):
    return linear_attack(*scenes)


def leads_of(scenes, found, images):
    """Of the class of the example over the one that it is turned to, for images (N, 3, S, S)."""
    weights, mean = linear_weights(scenes[0].images.float() / 255, scenes[0].labels, len(scenes[0].classes))
    scores = (images.flatten(1).double() - mean) @ weights
    own, other = (scenes[0].classes.index(name) for name in (found.name, found.taken))
    return scores[:, own] - scores[:, other], scores.argmax(dim=1)


def test_weights_are_those_of_ridge_regression(scenes):
    """By its normal equations in the pixels, of small images, where they can be solved."""
    images, labels = scenes[0].images[:50, :, ::4, ::4].float() / 255, scenes[0].labels[:50]
    weights, mean = linear_weights(images, labels, 10)
    x = images.flatten(1).double()
    x = x - x.mean(dim=0)
    wanted = torch.eye(10, dtype=torch.float64)[labels] - 0.1
    assert torch.allclose(weights, torch.linalg.solve(x.T @ x + DECAY * torch.eye(x.shape[1]).double(), x.T @ wanted))
    assert torch.allclose(mean, images.flatten(1).double().mean(dim=0))


def test_the_worst_change_turns_a_right_answer_and_a_random_one_does_not(scenes, found):
    lead, answers = leads_of(scenes, found, torch.stack([found.image, found.worst, found.random]))
    named = [scenes[0].classes[answer] for answer in answers]
    assert named == [found.name, found.taken, found.name] == [found.name, found.taken, found.after_random]
    assert found.taken != found.name and lead[0].item() == pytest.approx(found.lead) and lead[0] > 0 > lead[1]
    for moved in (found.worst, found.random):
        assert 0 <= moved.min() and moved.max() <= 1 and (moved - found.image).abs().max() <= 8 / 255 + 1e-6


def test_no_other_change_in_the_ball_is_worse(scenes, found):
    """Corners of the ball at random and around the worst one, as far as they are images; without these ends the fall is
    what is told."""
    generator = torch.Generator().manual_seed(3)
    signs = torch.randn(500, *found.image.shape, generator=generator).sign()
    around = (found.worst - found.image).sign() * torch.where(
        torch.rand(signs.shape, generator=generator) < 0.02, -1, 1
    )
    for changes in (signs, around):
        others = (found.image + 8 / 255 * changes).clamp(0, 1)
        assert (leads_of(scenes, found, others)[0] > leads_of(scenes, found, found.worst[None])[0]).all()
    at_grey = torch.full_like(found.image, 0.5)
    moved = at_grey + 8 / 255 * (found.worst - found.image).sign()
    assert ((found.worst - found.image).abs() > 8 / 255 - 1e-4).all()  # no pixel of this image is at an end
    before, after = leads_of(scenes, found, torch.stack([at_grey, moved]))[0]
    assert (before - after).item() == pytest.approx(found.fall, rel=1e-4)
    falls = leads_of(scenes, found, at_grey + 8 / 255 * signs)[0] - before
    assert falls.square().mean().sqrt().item() == pytest.approx(found.drift, rel=0.15)
    assert found.drift < found.lead < found.fall


def test_the_first_that_fits_is_taken(scenes, found):
    train, test = scenes
    place = next(i for i in range(len(test.images)) if torch.equal(test.images[i].float() / 255, found.image))
    if place:
        before = replace(test, images=test.images[:place], labels=test.labels[:place])
        with pytest.raises(BadInput, match="no image here is right and turned by the worst change of 8/255"):
            linear_attack(train, before)
    after = replace(test, images=test.images[place:], labels=test.labels[place:])
    assert linear_words(linear_attack(train, after)) == linear_words(found)


def test_words_and_sheet(found):
    words = linear_words(replace(found, name="cube", taken="cone", lead=0.12, fall=0.3456, drift=0.0049))
    assert re.findall(r"\d[\d,.]*\d", words) == ["0.120", "255", "0.005", "0.346", "3,072"]
    assert "score for cube leads the one for cone" in words
    figure = linear_sheet(found)
    assert f"the worst change, after which it is taken for {found.taken}" in figure.alt
    below = [axes.get_xlabel() for axes in figure.drawing.axes]  # in two lines: one would reach below the next image
    answers = (found.name, found.after_random, found.taken)
    assert below[::2] == [f"taken for\n{name}" for name in answers] and not any(below[1::2])
    assert figure.data["largest change (255ths)"].tolist() == pytest.approx([0, 8, 8], abs=1e-3)


def test_one_image_by_hand():
    """Two classes that the first pixel alone tells apart: the worst change is of it."""
    images = torch.full((4, 3, 1, 1), 128, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor([132, 124, 132, 124])
    split = Split(images, torch.tensor([0, 1, 0, 1]), ("bright", "dark"), "", "")
    found = linear_attack(split, split)
    assert (found.name, found.taken) == ("bright", "dark")
    assert (255 * (found.worst - found.image)).flatten().tolist() == pytest.approx([-8, 0, 0])
    assert found.fall == pytest.approx(2 * found.lead)  # 8 of 255, where the lead is 4 from the middle
