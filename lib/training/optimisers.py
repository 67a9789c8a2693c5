"""Optimisers and the learning-rate schedule, counted in optimiser steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from lib.errors import one_of

OPTIMISERS = ("sgd", "lars", "adamw")


def learning_rate(step: int, steps: int, warmup: int, peak: float) -> float:
    """Linear warm-up over `warmup` steps to `peak`, then a cosine that would reach 0 at step `steps`."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup))) / 2


def build_optimiser(name: str, module: nn.Module, weight_decay: float, momentum: float = 0.9) -> torch.optim.Optimizer:
    """An optimiser of `module`'s parameters; biases and norms (one axis) get no decay and no LARS scaling."""
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    one_of(name, OPTIMISERS, "optimiser")
    if name == "sgd":
        return torch.optim.SGD(groups, lr=0.0, momentum=momentum, foreach=True)
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=0.0, foreach=True)
    return LARS(groups, momentum=momentum)


class LARS(torch.optim.Optimizer):
    r"""Layer-wise adaptive rates (You, Gitman, Ginsburg, arXiv 1708.03888, equation 6), for large batches.

    The decayed gradient of each weight tensor is scaled by

    .. math:: \eta \frac{\lVert w \rVert}{\lVert \nabla \rVert + \beta \lVert w \rVert}

    before momentum; groups with no weight decay are plain SGD. All tensors of a group in one go.
    """

    def __init__(self, parameters: Iterable, lr: float = 0.0, momentum: float = 0.9, weight_decay: float = 0.0,
                 trust: float = 0.001) -> None:  # fmt: skip
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            weights = [p for p in group["params"] if p.grad is not None]
            if not weights:
                continue
            gradients = [p.grad for p in weights]
            if group["weight_decay"]:
                gradients = _scaled(weights, gradients, group["weight_decay"], group["trust"])
            for weight in weights:
                if "momentum_buffer" not in self.state[weight]:
                    self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
            buffers = [self.state[weight]["momentum_buffer"] for weight in weights]
            torch._foreach_mul_(buffers, group["momentum"])
            torch._foreach_add_(buffers, gradients)
            torch._foreach_add_(weights, buffers, alpha=-group["lr"])


def _scaled(weights: list, gradients: list, weight_decay: float, trust: float) -> Sequence[Tensor]:
    """Decayed gradients times the trust ratio; a ratio of 1 where a norm is 0. Nothing waits for the device."""
    sizes, slopes = torch.stack(torch._foreach_norm(weights)), torch.stack(torch._foreach_norm(gradients))
    ratios = trust * sizes / (slopes + weight_decay * sizes).clamp(min=1e-12)
    ratios = torch.where((sizes > 0) & (slopes > 0), ratios, 1.0)
    decayed = torch._foreach_add(gradients, weights, alpha=weight_decay)
    torch._foreach_mul_(decayed, list(ratios.unbind()))
    return decayed
