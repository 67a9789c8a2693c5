"""DSA's terms a pair at a time in float64, its regulators, who gets a gradient, and the method that it stands on."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from lib.chapters.negatives.systems import SYSTEMS
from lib.errors import BadInput
from lib.methods import METHODS, build_method, views_of
from lib.methods.dsa import (
    OfficialRegulator,
    Regulator,
    Settings,
    departure,
    likeness,
    regulation,
    trust,
)
from lib.models import build_encoder
from lib.runs.plan import config_of
from lib.runs.presets import PRESETS

COUNT, WIDTH = 7, 3


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def unit(z):
    return z / z.norm()


def distance(a, b):
    return (unit(a) - unit(b)).square().sum().sqrt()


def mean_distance(z):
    return torch.pdist(nn.functional.normalize(z, dim=1)).mean()


def batches(count=12, steps=1):
    generator = torch.Generator().manual_seed(1)
    return [[torch.rand(count, 3, 32, 32, generator=generator) for _ in range(2)] for _ in range(steps)]


def built(**settings):
    torch.manual_seed(0)
    return build_method("dsa", build_encoder("resnet10_narrow"), Settings(**settings), classes=4)


def regulation_formula(first, second, relation, good, tau):
    """Four means, of two views with themselves and of one with the other, as the official code has them."""
    views, total = (first, second), 0
    for a in range(2):
        for b in range(2):
            for i in range(COUNT):
                for j in range(COUNT):
                    if a == b and i == j:
                        continue  # the code takes 1e9 from its exponent
                    m = relation[a * COUNT + i, b * COUNT + j]
                    d = distance(views[a][i], views[b][j])
                    total = total + (good[i] * d * (2 * m - 1) / tau).exp() / COUNT**2 / 4
    return (1 + total).log()


def test_regulated_distances_are_the_formula_s_in_value_and_gradient():
    given = [normal(COUNT, WIDTH, seed=1), normal(COUNT, WIDTH, seed=2), normal(14, 14, seed=3).sigmoid()]
    good = normal(COUNT, seed=4).sigmoid()
    found = []
    for function in (regulation, regulation_formula):
        parts = [part.clone().requires_grad_() for part in given]
        value = function(*parts, good, 0.4)
        found.append([value.detach(), *torch.autograd.grad(value, parts)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_relation_above_a_half_pulls_and_one_below_it_pushes_and_an_outlier_stays():
    first, second = (normal(COUNT, WIDTH, seed=seed).requires_grad_() for seed in (1, 2))
    for m, sign in ((0.9, 1), (0.1, -1)):
        value = regulation(first, second, torch.full((14, 14), m).double(), torch.ones(COUNT).double(), 0.5)
        (slope,) = torch.autograd.grad(value, first)
        step = first.detach() - 0.01 * slope
        before, after = (torch.cat((z, second.detach())) for z in (first.detach(), step))
        assert (mean_distance(before) - mean_distance(after)).sign() == sign
    value = regulation(first, second, torch.full((14, 14), 0.9).double(), torch.zeros(COUNT).double(), 0.5)
    assert value.item() == pytest.approx(math.log(1 + (14**2 - 14) / 14**2))
    assert not torch.autograd.grad(value, first)[0].any()


def centred(first, second):
    mean = torch.cat((first, second)).mean(dim=0)
    return first - mean, second - mean


def test_the_prior_falls_with_the_distance_of_centred_features():
    first, second = 5 + normal(COUNT, WIDTH, seed=1), 5 + normal(COUNT, WIDTH, seed=2)
    found = likeness(first, second, 0.3)
    z = [row for part in centred(first, second) for row in part]
    for i in range(14):
        for j in range(14):
            assert found[i, j].item() == pytest.approx(math.exp(-distance(z[i], z[j]).item() / 0.3), abs=4e-3)
    relation = normal(14, 14, seed=3).sigmoid()
    blocks = [(relation - found)[a : a + 7, b : b + 7] for a in (0, 7) for b in (0, 7)]
    expected = sum(math.sqrt(sum(x**2 for row in block.tolist() for x in row)) for block in blocks)
    assert departure(relation, found).item() == pytest.approx(expected)


@pytest.mark.parametrize(("neighbours", "mutual"), [(3, 0), (3, 1), (5, 2), (20, 1)])
def test_good_neighbours_are_those_of_the_official_loop(neighbours, mutual):
    count = 16
    first, second = 5 + normal(count, WIDTH, seed=1), 5 + normal(count, WIDTH, seed=2)
    found = trust(first, second, neighbours, mutual)
    a, b = centred(first, second)
    z = [unit(unit(p) + unit(q)) for p, q in zip(a, b, strict=True)]
    k = min(neighbours, count - 1)
    near = {i: sorted((j for j in range(count) if j != i), key=lambda j: -float(z[i] @ z[j]))[:k] for i in range(count)}
    for i in range(count):
        good = sum(sum(i in near[other] for other in near[j]) > mutual for j in near[i])
        assert found[i].item() == pytest.approx(good / k)
    assert neighbours == 20 or 0 < found.mean() < 1  # the test tells images apart


def said(regulator, difference):
    hidden = (regulator.read.weight @ difference + regulator.read.bias).clamp(min=0)
    return (regulator.say.weight @ hidden + regulator.say.bias)[0]


def test_the_regulator_reads_differences_of_unit_vectors():
    regulator = Regulator(WIDTH, 5).double()
    first, second = normal(COUNT, WIDTH, seed=1), normal(COUNT, WIDTH, seed=2)
    found, z = regulator(first, second), [unit(row) for row in (*first, *second)]
    for i in range(14):
        for j in range(14):
            assert found[i, j].item() == pytest.approx(torch.sigmoid(said(regulator, z[i] - z[j])).item())


def test_the_official_regulator_reads_one_view_and_its_rows_sum_to_one():
    regulator = OfficialRegulator(WIDTH, 5).double()
    nn.init.constant_(regulator.say.bias, 1.0)  # alive
    first, second = normal(COUNT, WIDTH, seed=1), normal(COUNT, WIDTH, seed=2)
    found = regulator(first, second)
    for start, view in ((0, first), (7, second)):
        differences = torch.stack([view[i] - view[j] for i in range(COUNT) for j in range(COUNT)])
        read = differences / differences.abs().sum(dim=0)
        rows = torch.stack([said(regulator, row).clamp(min=0) for row in read]).reshape(COUNT, COUNT)
        expected = rows / rows.sum(dim=1, keepdim=True)
        torch.testing.assert_close(found[start : start + 7], expected.repeat(1, 2))
    assert (found < 0.5).all()  # so that every pair is pushed apart


def test_the_official_regulator_is_dead_or_a_constant_from_the_start():
    torch.manual_seed(0)
    views = [normal(64, 16, seed=seed).float() for seed in (1, 2)]
    found = [OfficialRegulator(16, 16)(*views) for _ in range(40)]
    dead = [relation for relation in found if not relation.any()]
    assert 10 < len(dead) < 30
    living = torch.stack([relation for relation in found if relation.any()])
    assert (living - 1 / 64).abs().median() < 1e-3 / 64


@pytest.mark.parametrize("on", ["simclr", "byol"])
def test_with_no_weight_it_is_the_plain_method_bit_by_bit(on):
    torch.manual_seed(0)
    plain = build_method(on, build_encoder("resnet10_narrow"), METHODS[on].settings(), classes=4)
    ours = built(on=on, weight=0)
    for method in (plain, ours):
        optimiser = torch.optim.SGD(method.parameters(), 0.1, momentum=0.9)
        for step, views in enumerate(batches(steps=4)):
            optimiser.zero_grad()
            sum(method(views).values()).backward()
            optimiser.step()
            method.after_step((step + 1) / 4)
    assert views_of("dsa", Settings(on=on)) == views_of(on, METHODS[on].settings()) == ours.views
    state = {name.removeprefix("base."): value for name, value in ours.state_dict().items()}
    assert state.keys() == plain.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in plain.state_dict().items())


@pytest.mark.parametrize("on", ["simclr", "byol"])
def test_the_loss_is_the_plain_one_and_the_two_terms(on):
    """The same terms from the parts of the method, put together here."""
    method = built(on=on, weight=0.7, prior=0.2).eval()
    (views,) = batches()
    plain, base, settings = method.base(views), method.base, method.settings
    with torch.no_grad():
        found = method(views)
        if on == "simclr":
            features = [method.slow(view) for view in views]
            pairs = [base.head(base.encoder(torch.cat(views))).chunk(2)]
        else:
            features = [base.target_encoder(view) for view in views]
            predictions = [base.predictor(base.projector(base.encoder(view))) for view in views]
            targets = [base.target_projector(part) for part in features]
            pairs = [(predictions[0], targets[1]), (predictions[1], targets[0])]
        good = trust(*features, 20, 1)
        relations = [method.regulator(*pair) for pair in pairs]
        regulated = sum(regulation(*pair, m, good, 0.5) for pair, m in zip(pairs, relations, strict=True))
        orders = [features, features[::-1]]
        prior = sum(departure(m, likeness(*some, 0.5)) for m, some in zip(relations, orders, strict=False))
    assert found.keys() == {*plain, "regulated", "prior"} and settings.prior == 0.2
    assert all(found[name].item() == pytest.approx(term.item(), rel=1e-5) for name, term in plain.items())
    assert found["regulated"].item() == pytest.approx(0.7 * regulated.item(), rel=1e-5)
    assert found["prior"].item() == pytest.approx(0.2 * prior.item(), rel=1e-5)


@pytest.mark.parametrize("on", ["simclr", "byol"])
def test_the_slow_copy_gets_no_gradient_and_follows(on):
    method = built(on=on)
    slow = method.slow if on == "simclr" else method.base.target_encoder
    (views,) = batches()
    views = [view.requires_grad_() for view in views]
    sum(method(views).values()).backward()
    assert all(parameter.grad is None for parameter in slow.parameters())
    assert all(parameter.grad.any() for parameter in method.regulator.parameters())
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.add_(1.0)
    before = [parameter.clone() for parameter in slow.parameters()]
    method.after_step(0.0)
    for old, online, new in zip(before, method.encoder.parameters(), slow.parameters(), strict=True):
        assert torch.allclose(new, 0.98 * old + 0.02 * online, atol=1e-6)
    before = [parameter.clone() for parameter in slow.parameters()]
    method.after_step(1.0)
    assert all(torch.equal(old, new) for old, new in zip(before, slow.parameters(), strict=True))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"on": "dino"}, "unknown method to stand on 'dino'; allowed: simclr, byol"),
        ({"regulator": "relu"}, "unknown regulator 'relu'; allowed: sigmoid, official"),
        ({"weight": -1}, "weight is a number of at least 0, not -1"),
        ({"prior_temperature": 0}, "prior_temperature is a number of at least 0.001, not 0"),
        ({"momentum": 2}, "momentum is a number from 0 to 1, not 2"),
        ({"neighbours": 0}, "neighbours is a whole number of at least 1, not 0"),
        ({"mutual": 0.5}, "mutual is a whole number of at least 0, not 0.5"),
    ],
)
def test_bad_settings_are_refused_in_a_sentence(settings, words):
    with pytest.raises(BadInput) as refusal:
        Settings(**settings)
    assert str(refusal.value) == words


@pytest.mark.parametrize(("on", "optimiser"), [("simclr", "sgd"), ("byol", "lars")])
def test_a_system_differs_from_the_plain_one_by_dsa_alone(on, optimiser):
    """Trained by SimCLR's recipe, DSA on BYOL was compared with BYOL by LARS: not DSA but the optimiser would show."""
    own, without = (config_of(SYSTEMS[name], PRESETS["quick"], seed=0) for name in (f"{on} dsa", on))
    assert own.settings == Settings(on=on) and own.training.optimiser == optimiser
    assert dataclasses.replace(own, method=without.method, settings=without.settings) == without
