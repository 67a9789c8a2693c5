"""Non-semantic negatives: losses against the formula, a scalar at a time, and what negatives must not touch."""

import copy
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from lib.errors import BadInput
from lib.methods import METHODS, build_method, byol, moco_v2, simclr
from lib.methods.moco_v2 import info_nce
from lib.methods.repulsion import NEGATIVES, Repulsion, repelled
from lib.methods.simclr import nt_xent
from lib.models import build_encoder
from lib.views import patch_negatives

TEMPERATURE = 0.3
REPELLING = [name for name, method in METHODS.items() if method.repels]


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(*shape, seed=0):
    return F.normalize(normal(*shape, seed=seed), dim=-1)


def cosine(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def minus_log_chance(positive, others):
    return -math.log(math.exp(positive) / (math.exp(positive) + sum(map(math.exp, others))))


@given(st.integers(0, 4), st.floats(0, 4), st.integers(0, 99))
def test_moco_s_loss_is_the_formula(count, alpha, seed):
    query, key, queue = unit(3, 5, seed=seed), unit(3, 5, seed=seed + 1), unit(7, 5, seed=seed + 2)
    negatives = normal(count, 3, 5, seed=seed + 3)
    loss = info_nce(query, key, queue, TEMPERATURE, repelled(query, negatives, alpha, TEMPERATURE))
    terms = [
        minus_log_chance(
            float(q @ k) / TEMPERATURE,
            [float(q @ other) / TEMPERATURE for other in queue]
            + [alpha * cosine(q, t[i]) / TEMPERATURE for t in negatives],
        )
        for i, (q, k) in enumerate(zip(query, key, strict=True))
    ]
    assert loss.item() == pytest.approx(sum(terms) / 3, rel=1e-9)


@given(st.integers(0, 4), st.floats(0, 4), st.integers(0, 99))
def test_simclr_s_loss_is_the_formula(count, alpha, seed):
    first, second = normal(3, 5, seed=seed), normal(3, 5, seed=seed + 1)
    negatives = normal(count, 6, 5, seed=seed + 2)
    z = torch.cat((first, second))
    loss = nt_xent(first, second, TEMPERATURE, repelled(z, negatives, alpha, TEMPERATURE))
    terms = [
        minus_log_chance(
            cosine(z[i], z[(i + 3) % 6]) / TEMPERATURE,
            [cosine(z[i], z[k]) / TEMPERATURE for k in range(6) if k not in (i, (i + 3) % 6)]
            + [alpha * cosine(z[i], t[i]) / TEMPERATURE for t in negatives],
        )
        for i in range(6)
    ]
    assert loss.item() == pytest.approx(sum(terms) / 6, rel=1e-9)


@given(st.integers(1, 3), st.floats(0, 4), st.integers(0, 99))
def test_byol_s_term_is_the_formula(count, alpha, seed):
    predictions = [normal(3, 5, seed=seed), normal(3, 5, seed=seed + 1)]
    negatives = [normal(3, 5, seed=seed + 2 + i) for i in range(2 * count)]
    expected = 0.0
    for view in range(2):
        for k in range(count):
            pairs = zip(predictions[view], negatives[view * count + k], strict=True)
            expected -= alpha / count * sum(2 - 2 * cosine(q, t) for q, t in pairs) / 3
    found = byol.repulsion(predictions, negatives, alpha).item()
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert -8 * alpha - 1e-6 <= found <= 1e-6


def test_without_negatives_the_losses_are_the_plain_ones_bit_by_bit():
    query, key, queue = (unit(4, 6, seed=seed).float() for seed in range(3))
    none = repelled(query, torch.empty(0, 4, 6), alpha=0.0, temperature=TEMPERATURE)
    assert torch.equal(info_nce(query, key, queue, TEMPERATURE, none), info_nce(query, key, queue, TEMPERATURE))
    none = repelled(torch.cat((query, key)), torch.empty(0, 8, 6), alpha=0.0, temperature=TEMPERATURE)
    assert torch.equal(nt_xent(query, key, TEMPERATURE, none), nt_xent(query, key, TEMPERATURE))


def method(name, **settings):
    torch.manual_seed(0)
    chosen = METHODS[name].settings(hidden=8, projection=6, **settings)
    return build_method(name, build_encoder("resnet10_narrow"), chosen, classes=10).train()


def views(count=4):
    images = torch.rand(2, count, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    return list(images)


def of(name, seed=2):
    generator = torch.Generator().manual_seed(seed)
    queries = METHODS[name].build.queries
    return [patch_negatives(views()[query], generator) for query in queries]


@pytest.mark.parametrize("name", REPELLING)
def test_settings_without_negatives_change_nothing(name):
    """Nor does an alpha that nothing is multiplied by."""
    plain, other = method(name), method(name, alpha=4.0)
    for built in (plain, other):
        torch.manual_seed(3)
        sum(built(views()).values()).backward()
    pairs = zip(plain.parameters(), other.parameters(), strict=True)
    assert all(a.grad is None and b.grad is None or torch.equal(a.grad, b.grad) for a, b in pairs)


@pytest.mark.parametrize("name", REPELLING)
def test_negatives_carry_no_gradient_and_leave_statistics_of_the_encoder_alone(name):
    built = method(name, negatives="patch")
    without = copy.deepcopy(built)
    without(views())
    negatives = [negative.requires_grad_() for negative in of(name)]
    terms = built([*views(), *negatives])
    sum(terms.values()).backward()
    assert all(negative.grad is None for negative in negatives)
    kept = dict(without.encoder.named_buffers())
    assert all(torch.equal(buffer, kept[buffer_name]) for buffer_name, buffer in built.encoder.named_buffers())
    gradients = [parameter.grad for parameter in built.encoder.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("name", REPELLING)
def test_the_loss_sees_the_negatives(name):
    built = method(name, negatives="patch")

    def loss(negatives):
        with torch.no_grad():
            return sum(copy.deepcopy(built)([*views(), *negatives]).values()).item()

    assert loss(of(name)) != loss(of(name, seed=9))
    if name != "byol":  # a term of the denominator raises the loss; BYOL's lowers it
        assert loss(of(name)) > loss([])


def test_the_network_s_logits_are_of_the_slow_copy_and_negatives_are_not_queued():
    built = method("moco_v2", negatives="patch", queue=16)
    with torch.no_grad():
        for parameter in (*built.key_encoder.parameters(), *built.key_head.parameters()):
            parameter.mul_(1.1)
    before, slow, fast = (
        built.queue.keys.clone(),
        copy.deepcopy((built.key_encoder, built.key_head)),
        copy.deepcopy((built.encoder, built.head)),
    )
    negatives = of("moco_v2")
    found = built([*views(), *negatives])["contrastive"]

    def through(pair, images):
        encoder, head = pair
        return F.normalize(head(encoder(images)), dim=1)

    query, key, texture = through(fast, views()[0]), through(slow, views()[1]), through(slow, negatives[0])
    logits = torch.cat(
        ((query * key).sum(1, keepdim=True), query @ before.T, 2.0 * (query * texture).sum(1, keepdim=True)), dim=1
    )
    expected = F.cross_entropy(logits / built.temperature, torch.zeros(4, dtype=torch.long))
    assert found.item() == pytest.approx(expected.item(), rel=1e-4)
    built.after_batch()
    assert torch.allclose(built.queue.keys[:4], key, atol=1e-5) and torch.equal(built.queue.keys[4:], before[4:])


def test_several_negatives_of_a_query_stand_in_its_own_row():
    """SimCLR's are ordered by view: those of the first, then those of the second."""
    built = method("simclr", negatives="patch", count=2)
    negatives = [patch_negatives(views()[view], torch.Generator().manual_seed(i)) for view in (0, 1) for i in (1, 2)]
    projected = built._projected(negatives)
    assert projected.shape == (2, 8, 6)
    alone = built._projected([negatives[0], negatives[2]])
    assert torch.allclose(projected[0], alone[0], atol=1e-6)
    assert projected.requires_grad is False


@pytest.mark.parametrize(("settings", "sentence"), [
    ({"negatives": "textures"}, "unknown negatives 'textures'.*did you mean 'texture'.*allowed: patch, texture"),
    ({"negatives": "patch", "alpha": -1.0}, "alpha is a number of at least 0, not -1.0"),
    ({"negatives": "patch", "alpha": "2"}, "alpha is a number of at least 0, not '2'"),
    ({"negatives": "patch", "alpha": math.inf}, "alpha is a number of at least 0, not inf"),
    ({"negatives": "patch", "count": 0}, "count is a whole number of at least 1, not 0"),
    ({"negatives": "texture", "count": 2}, "an image has one texture: the count of texture negatives is 1, not 2"),
])  # fmt: skip
def test_settings_that_are_none_are_one_sentence(settings, sentence):
    with pytest.raises(BadInput, match=sentence):
        moco_v2.Settings(**settings)


def test_what_repels_and_what_from():
    assert REPELLING == ["simclr", "moco_v2", "byol"] and NEGATIVES == ("patch", "texture")
    assert all(issubclass(METHODS[name].settings, Repulsion) for name in REPELLING)
    assert simclr.Settings(0.1).temperature == 0.1  # the settings of negatives come after the method's own
