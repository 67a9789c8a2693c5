"""SAMix: masks, their adjustment and the mixer's losses in loops; who learns from what; SimCLR without it."""

import math

import pytest
import torch
from torch import nn

from lib.errors import BadInput
from lib.methods import METHODS, build_method, mixed_of
from lib.methods.mixing import mixed_contrast
from lib.methods.samix import Mixer, Settings, adjusted, local_contrast, mask_loss, rescaled, shown
from lib.models import build_encoder


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def views_of(count=8, steps=1):
    generator = torch.Generator().manual_seed(1)
    return [[torch.rand(count, 3, 32, 32, generator=generator) for _ in range(2)] for _ in range(steps)]


def built(encoder="resnet10_narrow", **settings):
    torch.manual_seed(0)
    return build_method("samix", build_encoder(encoder), Settings(**settings), classes=4)


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def test_the_mixer_attends_from_each_place_of_the_one_to_the_other():
    mixer = Mixer(4).double().eval()
    for parameter in mixer.parameters():  # not flat
        nn.init.normal_(parameter)
    one, other, share = normal(3, 4, 2, 3, seed=1), normal(3, 4, 2, 3, seed=2), 0.3
    found = mixer(one, other, number(share), (2, 3))
    told = (4 / 3 * share**3 - 2 * share**2 + 2 * share) / (2 - 2 / 3)
    for n in range(3):
        a, b = one[n].flatten(1) * (1 + told), other[n].flatten(1) * (1 + 1 - told)
        places = range(6)
        both = [torch.cat((a[:, i], b[:, i])) for i in places]
        queries = [mixer.query.weight[:, :, 0, 0] @ x + mixer.query.bias for x in both]
        keys = [mixer.key.weight[:, :, 0, 0] @ x for x in both]
        first, norm, _, last = mixer.value
        values = []
        for i in places:
            hidden = (first.weight[:, :, 0, 0] @ b[:, i]) / math.sqrt(1 + norm.eps) * norm.weight + norm.bias
            values.append((last.weight[:, :, 0, 0] @ hidden.clamp(min=0) + last.bias)[0])
        for i in places:
            powers = [(queries[i] @ keys[j] / math.sqrt(2)).exp() for j in places]
            logit = sum(power * value for power, value in zip(powers, values, strict=True)) / sum(powers)
            assert found[n, 0].flatten()[i].item() == pytest.approx(torch.sigmoid(logit).item())


def test_masks_are_flat_at_first_and_as_large_as_the_image():
    found = Mixer(16)(torch.randn(5, 16, 4, 4), torch.randn(5, 16, 4, 4), torch.tensor(0.2), (32, 24))
    assert found.shape == (5, 1, 32, 24) and (found - 0.5).abs().max() < 0.05


def test_the_share_is_told_nearer_to_a_half():
    for share in (0.0, 0.5, 1.0):
        assert rescaled(number(share)).item() == pytest.approx(share)
    assert 0.2 < rescaled(number(0.2)).item() < 0.5 < rescaled(number(0.8)).item() < 0.8


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_masks_are_scaled_to_the_share_unless_they_are_near_it(share):
    generator = torch.Generator().manual_seed(0)
    offsets = torch.linspace(-3, 3, 25, dtype=torch.float64)[:, None, None, None]
    mask = (torch.randn(25, 1, 6, 6, generator=generator, dtype=torch.float64) + offsets).sigmoid()
    found, kinds = adjusted(mask, number(share), 0.05, 0.1), set()
    for i in range(25):
        own, mean = 1 - mask[i], (1 - mask[i]).mean().item()
        if share in (0.05, 0.95):
            kind, expected = "plain", torch.full_like(own, share)
        elif mean > share + 0.05:
            kind, expected = "less", own * share / mean
        elif mean < share - 0.05:
            kind, expected = "more", 1 - mask[i] * (1 - share) / (1 - mean)
        else:
            kind, expected = "same", own
        kinds.add(kind)
        torch.testing.assert_close(1 - found[i], expected)
    assert kinds == ({"plain"} if share in (0.05, 0.95) else {"less", "more", "same"})
    assert found.min() >= 0 and found.max() <= 1


def local_formula(mixed, ones, others, share, temperature):
    total = 0
    for m, a, b in zip(mixed, ones, others, strict=True):
        s, t = (m @ z / (m.norm() * z.norm()) / temperature for z in (a, b))
        total = total - share * (s.exp() / (s.exp() + t.exp())).log()
        total = total - (1 - share) * (t.exp() / (s.exp() + t.exp())).log()
    return total / len(mixed)


def mask_formula(mask, share):
    values = list(mask.flatten())
    mean = sum(values) / len(values)
    missed = (1 - mean - share) ** 2 - 0.01
    return (missed if missed > 0 else 0) - 2 * sum((value - mean) ** 2 for value in values) / len(values)


def both(functions, parts, *rest):
    """The value and the gradient in each of `parts` of both functions."""
    for function in functions:
        given = [part.clone().requires_grad_() for part in parts]
        value = function(*given, *rest)
        yield [value.detach(), *torch.autograd.grad(value, given)]


def test_the_mixer_s_losses_are_the_formulas_in_value_and_gradient():
    parts = [normal(5, 3, seed=seed) for seed in (1, 2, 3)]
    cases = [((local_contrast, local_formula), parts, (number(0.3), 0.4))]
    cases += [
        ((mask_loss, mask_formula), [normal(3, 1, 4, 4).sigmoid()], (number(share),)) for share in (0.1, 0.5, 0.9)
    ]
    for functions, given, rest in cases:
        for ours, theirs in zip(*both(functions, given, *rest), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("encoder", ["resnet10_narrow", "vit_narrow_patch4"])
def test_the_encoder_and_the_mixer_learn_from_their_own_terms(encoder):
    """The encoder from the contrast of views and of mixed images, the mixer from the rest, the slow copy from none."""
    method = built(encoder)
    (views,) = views_of()
    terms = method(views)
    assert list(terms) == ["contrastive", "mixed", "mixer, global", "mixer, local", "mixer, masks"]
    online, mixer = [*method.encoder.parameters(), *method.head.parameters()], list(method.mixer.parameters())
    slow = [*method.slow.parameters(), *method.slow_head.parameters()]
    assert not any(parameter.requires_grad for parameter in slow)
    for name, term in terms.items():
        learning, other = (mixer, online) if name.startswith("mixer") else (online, mixer)
        found = torch.autograd.grad(term, learning, retain_graph=True, allow_unused=True)
        assert any(slope is not None and slope.any() for slope in found), name
        assert all(part is None for part in torch.autograd.grad(term, other, retain_graph=True, allow_unused=True))


def test_the_terms_are_made_of_views_masks_and_keys():
    method = built(weight=0.5, local=0.7, mask=0.3, tolerance=0.0, plain=0.0).eval()
    for parameter in method.mixer.parameters():
        nn.init.normal_(parameter, std=0.3)
    (views,) = views_of()
    with torch.no_grad():
        found = method(views)
        share, another, *_ = method.draws.numbers.clone()
        keys = [method.slow_head(method.slow(view)) for view in views]
        maps = [method.slow.maps(view)[2] for view in views]
        masks = [method.mixer(maps[0], maps[1].roll(-1, 0), part, (32, 32)) for part in (share, another)]
        masks[0] = adjusted(masks[0], share, 0.0, 0.0)
        images = [(1 - mask) * views[0] + mask * views[1].roll(-1, 0) for mask in masks]
        first, second, mixed = (method.head(method.encoder(part)) for part in (*views, images[0]))
        seen = method.slow_head(method.slow(images[1]))
        expected = {
            "contrastive": method.loss(first, second),
            "mixed": 0.5 * mixed_contrast(mixed, second, first, share, 0.2),
            "mixer, global": mixed_contrast(seen, keys[1], keys[0], another, 0.2),
            "mixer, local": 0.7 * local_contrast(seen, keys[1], keys[0].roll(-1, 0), another, 0.2),
            "mixer, masks": 0.3 * mask_loss(masks[1], another),
        }
        assert torch.equal(images[1], shown(views, masks[1]))
        assert {name: term.item() for name, term in found.items()} == pytest.approx(
            {name: term.item() for name, term in expected.items()}, rel=1e-4
        )
        method.annealing.fill_(0.5)
        halved = method(views)
        assert halved["mixer, masks"].item() == pytest.approx(found["mixer, masks"].item() / 2, rel=1e-4)
        method.after_step(1.0)
        assert method.draws.numbers[0] != share
        assert method(views)["mixer, local"] == method(views)["mixer, masks"] == 0


def test_the_slow_copy_follows_at_a_constant_pace():
    method = built()
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.add_(1.0)
    before = [parameter.clone() for parameter in method.slow.parameters()]
    method.after_step(0.9)
    for old, online, new in zip(before, method.encoder.parameters(), method.slow.parameters(), strict=True):
        assert torch.allclose(new, 0.99 * old + 0.01 * online, atol=1e-6)


def test_the_mixer_learns_to_make_images_that_are_told_as_both():
    """With all else at rest, its own loss falls."""
    method = built()
    (views,) = views_of(count=16)
    optimiser = torch.optim.Adam(method.mixer.parameters(), 0.01)
    losses = []
    for _ in range(25):
        terms = method(views)
        loss = sum(term for name, term in terms.items() if name.startswith("mixer"))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.05


def test_with_no_weight_it_is_simclr_bit_by_bit():
    states = []
    torch.manual_seed(0)
    plain = build_method("simclr", build_encoder("resnet10_narrow"), METHODS["simclr"].settings(), classes=4)
    for method in (plain, built(weight=0)):
        optimiser = torch.optim.SGD(method.parameters(), 0.1, momentum=0.9)
        for step, views in enumerate(views_of(steps=4)):
            optimiser.zero_grad()
            sum(method(views).values()).backward()
            optimiser.step()
            method.after_step((step + 1) / 4)
        states.append(method.state_dict())
    assert states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weight": -1}, "weight is a number of at least 0, not -1"),
        ({"plain": 0.7}, "plain is a number from 0 to 0.5, not 0.7"),
        ({"layer": 4}, "layer is a whole number from 0 to 3, not 4"),
        ({"temperature": 0}, "temperature is a number of at least 0.001, not 0"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings, words):
    with pytest.raises(BadInput) as refusal:
        Settings(**settings)
    assert str(refusal.value) == words


@pytest.mark.parametrize(("weight", "expected"), [(1.0, 2), (0.0, 0)])
def test_mixed_images_cost_what_views_cost(weight, expected):
    """Images that go through a network and back in a step, for each of the batch: the slow copy of a view goes forward
    alone, and counts as little as a teacher."""
    method, seen = built(weight=weight), []
    for network in filter(None, (method.encoder, getattr(method, "slow", None))):
        network.register_forward_hook(
            lambda module, given, _: seen.append(len(given[0]) if torch.is_grad_enabled() else 0)
        )
    method(views_of(8)[0])
    assert sum(seen) / 8 == 2 + expected == 2 + mixed_of("samix", Settings(weight=weight))
