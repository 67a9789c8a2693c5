import math

import pytest
import torch
from lightly.utils.lars import LARS as LightlyLARS

from lib.errors import BadInput
from lib.training.optimisers import LARS, build_optimiser, learning_rate


def test_learning_rate_by_hand():
    rates = [learning_rate(step, steps=10, warmup=2, peak=1.0) for step in range(10)]
    assert rates[:3] == [0.5, 1.0, 1.0]
    assert rates[6] == pytest.approx(0.5)  # half-way through the cosine
    assert rates[9] == pytest.approx((1 + math.cos(math.pi * 7 / 8)) / 2)


def test_cosine_is_torch_s():
    parameter = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.SGD([parameter], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20)
    for step in range(20):
        assert optimiser.param_groups[0]["lr"] == pytest.approx(learning_rate(step, 20, 0, 0.3), abs=1e-9)
        optimiser.step()
        schedule.step()


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(), torch.nn.Linear(8, 3)
    ).double()


def steps_of(make, steps=5):
    net = model()
    optimiser = make(net)
    inputs = torch.randn(steps, 16, 4, generator=torch.Generator().manual_seed(1)).double()
    for x in inputs:
        optimiser.zero_grad()
        net(x).square().mean().backward()
        optimiser.step()
    return torch.cat([p.detach().flatten() for p in net.parameters()])


@pytest.mark.parametrize("weight_decay", [1e-4, 0.1])
def test_lars_is_lightly_s(weight_decay):
    def groups(net):
        return [
            {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in net.parameters() if p.ndim == 1], "weight_decay": 0.0},
        ]

    ours = steps_of(lambda net: LARS(groups(net), lr=0.3, momentum=0.9))
    theirs = steps_of(lambda net: LightlyLARS(groups(net), lr=0.3, momentum=0.9))
    assert torch.allclose(ours, theirs, atol=1e-10)


def test_norms_and_biases_have_no_decay():
    net = model()
    decayed, free = build_optimiser("adamw", net, 0.1).param_groups
    assert {p.ndim for p in decayed["params"]} == {2} and {p.ndim for p in free["params"]} == {1}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)


def test_unknown_optimiser():
    with pytest.raises(BadInput, match="unknown optimiser 'adam'.*allowed: sgd, lars, adamw"):
        build_optimiser("adam", model(), 0.0)
