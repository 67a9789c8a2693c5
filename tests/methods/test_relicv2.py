"""ReLICv2 against a triple loop, in value and in gradient, and what its parts must be."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import BadInput
from lib.methods.relicv2 import AGAINST, ReLICv2, Settings, relicv2
from lib.methods.target import rising
from lib.models import build_encoder

TAU = 0.3


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def crops(large, small, count=4, width=5, seed=0):
    online = [normal(count, width, seed=seed + i).requires_grad_() for i in range(large + small)]
    return online, [normal(count, width, seed=100 + seed + i) for i in range(large)]


def chances(a, b, i, others):
    """Which image row i of a is taken for, a scalar at a time: its own first, then those that follow it."""
    logits = []
    for step in range(others + 1):
        j = (i + step) % len(b)
        logits.append(a[i] @ b[j] / (a[i].norm() * b[j].norm()) / TAU)
    total = sum(logit.exp() for logit in logits)
    return [logit.exp() / total for logit in logits]


def formula(online, targets, chosen):
    large, count = len(targets), len(online[0])
    others = count - 1 if chosen.others is None else chosen.others
    contrastive = divergence = 0.0
    for a in range(len(online)):
        for b in range(large):
            for i in range(count):
                p = chances(online[a], targets[b], i, others)
                if chosen.against == "transpose":
                    q = chances(targets[b], online[a], i, others)
                else:
                    q = chances(online[b], targets[a if a < large else (b + 1) % large], i, others)
                if chosen.stopped:
                    q = [share.detach() for share in q]
                contrastive -= p[0].log()
                divergence += sum(y * (y.log() - x.log()) for x, y in zip(p, q, strict=True))
    scale = len(online) * large * count
    return contrastive / scale, divergence / scale


@settings(deadline=None, max_examples=25)
@given(
    st.integers(1, 3), st.integers(0, 2), st.sampled_from([None, 1, 2]), st.booleans(), st.sampled_from(AGAINST),
    st.integers(0, 99),
)  # fmt: skip
def test_value_and_gradient_are_those_of_the_loop(large, small, others, stopped, against, seed):
    chosen = Settings(temperature=TAU, others=others, stopped=stopped, against=against)
    gradients = []
    for compute in (relicv2, formula):
        online, targets = crops(large, small, seed=seed)
        contrastive, divergence = compute(online, targets, chosen)
        (contrastive + 0.7 * divergence).backward()
        gradients.append((contrastive.detach(), divergence.detach(), *(crop.grad for crop in online)))
    assert all(torch.allclose(ours, theirs, atol=1e-10) for ours, theirs in zip(*gradients, strict=True))


@given(st.integers(1, 3), st.integers(0, 2), st.integers(0, 99))
def test_the_divergence_is_never_negative_and_zero_for_crops_that_agree(large, small, seed):
    online, targets = crops(large, small, seed=seed)
    assert relicv2(online, targets, Settings(temperature=TAU))[1] >= -1e-12
    alike = [online[0]] * (large + small), [targets[0]] * large
    assert relicv2(*alike, Settings(temperature=TAU))[1].abs() < 1e-12


def test_no_gradient_into_the_stopped_side():
    """Of two large crops: that of the divergence by the first is the sum of the pairs in which it is the one that
    moves, with the other held."""
    online, targets = crops(2, 0)
    divergence = relicv2(online, targets, Settings(temperature=TAU))[1]
    (gradient,) = torch.autograd.grad(divergence, online[0])
    held, _ = crops(2, 0)
    moves = [held[0], held[1].detach()]
    total = 0.0
    for i in range(4):  # the pairs (0, 0), which is 0, and (0, 1)
        p, q = chances(moves[0], targets[1], i, 3), [x.detach() for x in chances(moves[1], targets[0], i, 3)]
        total = total + sum(y * (y.log() - x.log()) for x, y in zip(p, q, strict=True)) / 16
    (expected,) = torch.autograd.grad(total, held[0])
    assert torch.allclose(gradient, expected, atol=1e-12)


def test_one_pair_without_the_divergence_is_info_nce():
    online, targets = crops(1, 0)
    contrastive, _ = relicv2(online, targets, Settings(temperature=TAU, large=1, small=0))
    first, second = (torch.nn.functional.normalize(part[0], dim=1) for part in (online, targets))
    expected = torch.nn.functional.cross_entropy(first @ second.T / TAU, torch.arange(4))
    assert contrastive.item() == pytest.approx(expected.item(), rel=1e-12)


def test_the_sum_is_divided_by_all_pairs():
    """By hand: with crops that are all the same, each pair costs what one costs, however many there are."""
    online, targets = crops(1, 0)
    one = relicv2(online, targets, Settings(temperature=TAU))[0]
    many = relicv2(online * 5, targets * 3, Settings(temperature=TAU))[0]
    assert many.item() == pytest.approx(one.item(), rel=1e-12)


def test_orthogonal_images_by_hand():
    eye = torch.eye(4, dtype=torch.float64)
    contrastive, divergence = relicv2([eye], [eye], Settings(temperature=0.5, others=2))
    assert contrastive.item() == pytest.approx(-math.log(math.exp(2) / (math.exp(2) + 2)))
    assert divergence.abs() < 1e-12


def method(**choices):
    torch.manual_seed(0)
    return ReLICv2(build_encoder("resnet10_narrow"), Settings(hidden=8, projection=6, **choices)).train()


def pictures(built, count=4):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(count, 3, view.size, view.size, generator=generator) for view in built.views]


def test_small_crops_never_pass_the_target():
    built, seen = method(), []
    built.target_encoder.register_forward_hook(lambda module, given, out: seen.append(given[0].shape[-1]))
    terms = built(pictures(built))
    assert seen == [32, 32] and set(terms) == {"contrastive", "invariance"}
    sum(terms.values()).backward()
    assert all(parameter.grad is None for parameter in built.target_encoder.parameters())
    assert all(parameter.grad is not None for parameter in built.encoder.parameters())


@pytest.mark.parametrize(("large", "small"), [(1, 0), (2, 2), (3, 1), (4, 2)])
def test_views_are_as_many_as_asked(large, small):
    built = method(large=large, small=small)
    assert [view.size for view in built.views] == [32] * large + [16] * small
    assert [view.solarize for view in built.views[:2]] == [0.0, 0.2][:large]
    assert all(term.isfinite() for term in built(pictures(built)).values())


def test_the_weight_multiplies_the_divergence():
    one, two = (method(invariance=weight) for weight in (1.0, 2.5))
    first, second = one(pictures(one)), two(pictures(two))
    assert second["invariance"].item() == pytest.approx(2.5 * first["invariance"].item(), rel=1e-5)
    assert second["contrastive"].item() == pytest.approx(first["contrastive"].item(), rel=1e-6)


def test_the_target_follows_at_the_ends_of_training():
    built = method(momentum=0.9)
    start = built.target_head.layers[0].weight.clone()
    with torch.no_grad():
        built.head.layers[0].weight.add_(1.0)
    built.after_step(0.0)
    moved = start + 0.1 * (built.head.layers[0].weight - start)
    assert torch.allclose(built.target_head.layers[0].weight, moved, atol=1e-6) and rising(0.9, 0.0) == 0.9
    before = built.target_head.layers[0].weight.clone()
    built.after_step(1.0)
    assert torch.equal(built.target_head.layers[0].weight, before) and rising(0.9, 1.0) == 1.0


@pytest.mark.parametrize(("choices", "sentence"), [
    ({"large": 0}, "large is a whole number of at least 1, not 0"),
    ({"small": -1}, "small is a whole number of at least 0, not -1"),
    ({"others": 0}, "others is a whole number of at least 1, or None .the whole batch., not 0"),
    ({"removed": 1.5}, "removed is a number from 0 to 1, not 1.5"),
    ({"masks": "drawn"}, "unknown kind of masks 'drawn'; allowed: learned, fused, exact, shuffled"),
    ({"size": 64}, "size is a whole number from 8 to 32, not 64"),
    ({"against": "columns"}, "unknown against 'columns'; allowed: pairs, transpose"),
])  # fmt: skip
def test_settings_that_are_none_are_one_sentence(choices, sentence):
    with pytest.raises(BadInput, match=sentence):
        dataclasses.replace(Settings(), **choices)
