"""Mixed images a pixel at a time, their contrast a term at a time, what is drawn for them, and SimCLR without them."""

import copy
import math

import numpy as np
import pytest
import torch

from lib.errors import BadInput
from lib.methods import METHODS, build_method, mixed_of
from lib.methods.mixing import Draws, Settings, blended, mixed_contrast, pasted
from lib.methods.simclr import nt_xent
from lib.models import build_encoder
from lib.runs.systems import System, epochs_of

COUNT, WIDTH = 5, 3


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def views_of(count=8, steps=1):
    generator = torch.Generator().manual_seed(1)
    return [[torch.rand(count, 3, 32, 32, generator=generator) for _ in range(2)] for _ in range(steps)]


def built(**settings):
    torch.manual_seed(0)
    return build_method("mixing", build_encoder("resnet10_narrow"), Settings(**settings), classes=4)


def cosine(a, b):
    return a @ b / (a.norm() * b.norm())


def contrast_formula(mixed, ones, others, share, temperature):
    """-log chance of the partner in each of both directions, for both of the images that a mixed one is of."""
    total = 0
    for weight, z in ((share, ones), (1 - share, [others[(i + 1) % COUNT] for i in range(COUNT)])):
        everything = [*mixed, *z]
        for i in range(2 * COUNT):
            logits = {k: cosine(everything[i], everything[k]) / temperature for k in range(2 * COUNT) if k != i}
            chance = logits[(i + COUNT) % (2 * COUNT)].exp() / sum(logit.exp() for logit in logits.values())
            total = total - weight * chance.log() / (2 * COUNT)
    return total


def test_the_contrast_is_the_formula_s_in_value_and_gradient():
    given = [normal(COUNT, WIDTH, seed=seed) for seed in (1, 2, 3)]
    found = []
    for function in (mixed_contrast, contrast_formula):
        parts = [part.clone().requires_grad_() for part in given]
        value = function(*parts, torch.tensor(0.3, dtype=torch.float64), 0.4)
        found.append([value.detach(), *torch.autograd.grad(value, parts)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_one_that_is_all_of_an_image_is_simclr_s_and_shares_turn_round():
    z, mixed = normal(COUNT, WIDTH, seed=1), normal(COUNT, WIDTH, seed=2)
    from_simclr = nt_xent(mixed, z, 0.4)
    assert mixed_contrast(mixed, z, z, torch.tensor(1.0), 0.4).item() == pytest.approx(from_simclr.item())
    turned = mixed_contrast(mixed, z.roll(-1, 0), z.roll(1, 0), torch.tensor(0.3), 0.4)
    assert mixed_contrast(mixed, z, z, torch.tensor(0.7), 0.4).item() == pytest.approx(turned.item())


def test_mixup_blends_with_the_next_image():
    images = torch.rand(4, 3, 8, 8, dtype=torch.float64)
    mixed, share = blended(images, torch.tensor(0.3))
    assert share.item() == pytest.approx(0.3)
    for i in range(4):
        torch.testing.assert_close(mixed[i], 0.3 * images[i] + 0.7 * images[(i + 1) % 4], rtol=1e-6, atol=1e-7)


def official_box(height, width, share, column, row):
    """Of the public code: floors, and a box of two halves that is clipped to the image."""
    cut = math.sqrt(1 - share)
    half_width, half_height = int(width * cut) // 2, int(height * cut) // 2
    clip = lambda value, most: min(max(value, 0), most)  # noqa: E731
    return (
        clip(row - half_height, height), clip(row + half_height, height),
        clip(column - half_width, width), clip(column + half_width, width),
    )  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.13, 0.5, 0.77, 0.99, 1.0])
@pytest.mark.parametrize("sides", [(8, 12), (9, 9)])
def test_cutmix_pastes_the_official_box_of_the_next_image(share, sides):
    images = torch.rand(3, 3, *sides)
    for x, y in np.random.default_rng(0).random((20, 2)):
        mixed, left = pasted(images, *(torch.tensor(value, dtype=torch.float32) for value in (share, x, y)))
        top, bottom, start, end = official_box(*sides, share, int(sides[1] * x), int(sides[0] * y))
        for i in range(3):
            expected = images[i].clone()
            expected[:, top:bottom, start:end] = images[(i + 1) % 3][:, top:bottom, start:end]
            assert torch.equal(mixed[i], expected)
        assert left.item() == pytest.approx(1 - (bottom - top) * (end - start) / (sides[0] * sides[1]))


def test_numbers_are_new_each_step_the_same_again_and_of_the_distribution():
    torch.manual_seed(0)
    draws = Draws(2.0)
    seen = []
    for _ in range(500):
        seen.append(draws.numbers.clone())
        draws.next()
    shares = torch.stack(seen)[:, :2].flatten()
    assert shares.mean().item() == pytest.approx(0.5, abs=0.03)
    assert shares.var().item() == pytest.approx(1 / 20, abs=0.01)  # of Beta(2, 2)
    assert len(set(shares.tolist())) == 1000
    torch.manual_seed(0)
    again = Draws(2.0)
    assert torch.equal(again.numbers, seen[0])
    torch.manual_seed(1)
    restored = Draws(2.0)
    assert not torch.equal(restored.numbers, seen[0])
    restored.load_state_dict(copy.deepcopy(draws.state_dict()))
    assert torch.equal(restored.numbers, draws.numbers)
    for part in (draws, restored):
        part.next()
    assert torch.equal(restored.numbers, draws.numbers)


def trained(method, steps=4):
    optimiser = torch.optim.SGD(method.parameters(), 0.1, momentum=0.9)
    for step, views in enumerate(views_of(steps=steps)):
        optimiser.zero_grad()
        sum(method(views).values()).backward()
        optimiser.step()
        method.after_step((step + 1) / steps)
    return method.state_dict()


def test_without_a_mix_it_is_simclr_bit_by_bit():
    torch.manual_seed(0)
    plain = trained(build_method("simclr", build_encoder("resnet10_narrow"), METHODS["simclr"].settings(), classes=4))
    ours = trained(built(mix=None))
    assert ours.keys() == plain.keys() and all(torch.equal(ours[name], plain[name]) for name in plain)


def test_with_no_weight_the_weights_learn_what_simclr_s_do():
    """But for the statistics of batch norm, which sees mixed images as well."""
    torch.manual_seed(0)
    plain = build_method("simclr", build_encoder("resnet10_narrow"), METHODS["simclr"].settings(), classes=4)
    ours = built(weight=0)
    trained(plain), trained(ours)
    for theirs, own in zip(plain.parameters(), ours.parameters(), strict=True):
        assert torch.allclose(theirs, own, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("mix", ["mixup", "cutmix"])
def test_the_method_mixes_first_views_and_compares_with_second_ones(mix):
    method = built(mix=mix, weight=0.5).eval()
    (views,) = views_of()
    with torch.no_grad():
        found = method(views)
        share, _, x, y = method.draws.numbers
        images, share = blended(views[0], share) if mix == "mixup" else pasted(views[0], share, x, y)
        first, second, mixed = (method.head(method.encoder(part)) for part in (*views, images))
        assert found["contrastive"].item() == pytest.approx(method.loss(first, second).item(), rel=1e-5)
        expected = 0.5 * mixed_contrast(mixed, second, second, share, 0.2)
        assert found["mixed"].item() == pytest.approx(expected.item(), rel=1e-5)
        assert method(views)["mixed"] == found["mixed"]  # until the step is done
        method.after_step(0.5)
        assert method(views)["mixed"] != found["mixed"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"mix": "fmix"}, "unknown mix 'fmix'; allowed: mixup, cutmix"),
        ({"alpha": 0}, "alpha is a number of at least 0.01, not 0"),
        ({"weight": -1}, "weight is a number of at least 0, not -1"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings, words):
    with pytest.raises(BadInput) as refusal:
        Settings(**settings)
    assert str(refusal.value).startswith(words.split(";")[0])


@pytest.mark.parametrize(("mix", "expected"), [("mixup", 1), ("cutmix", 1), (None, 0)])
def test_a_mixed_image_costs_what_a_view_costs(mix, expected):
    """Images that go through the encoder in a step, for each image of the batch: its two views, and what is mixed."""
    method, seen = built(mix=mix), []
    method.encoder.register_forward_hook(lambda module, given, _: seen.append(len(given[0])))
    method(views_of(8)[0])
    assert sum(seen) / 8 == 2 + expected == 2 + mixed_of("mixing", Settings(mix=mix))
    system = System("", "mixing", None, "", {"mix": mix})
    assert epochs_of(system, 8, 48) == 48 / (2 + expected)
