"""The slow copy of a network that distillation and momentum contrast aim at."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn


def slow_copy(module: nn.Module) -> nn.Module:
    """A copy that no gradient reaches."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def follow(slow: nn.Module, online: nn.Module, momentum: float) -> None:
    r"""Exponential moving average of the weights: :math:`\xi \leftarrow m \xi + (1 - m) \theta`.

    Batch-norm statistics are not averaged: the copy sees its own batches and keeps its own.
    """
    torch._foreach_lerp_(list(slow.parameters()), list(online.parameters()), 1 - momentum)


def rising(start: float, progress: float) -> float:
    r"""Momentum from `start` to 1 by a cosine, with k / K the share of training that is done (BYOL, section 3.3):

    .. math:: 1 - (1 - m_0) (\cos(\pi k / K) + 1) / 2
    """
    return 1 - (1 - start) * (math.cos(math.pi * progress) + 1) / 2
