"""Prototypes: learnt directions that an image is assigned to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Prototypes(nn.Module):
    """Cosines with `count` prototypes: (N, width) -> (N, count) in [-1, 1].

    Both sides are normalised here, and the gradient goes through it: DINO's weight normalisation with a length fixed
    at 1. SwAV's code shortens its prototypes after each step instead; directions are all that either can learn.
    """

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(F.normalize(torch.randn(count, width), dim=1))

    def forward(self, vectors: Tensor) -> Tensor:
        return F.normalize(vectors, dim=1) @ F.normalize(self.directions, dim=1).T
