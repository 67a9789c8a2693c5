"""Encoders side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lib.models.encoder import Encoder


class Fused(Encoder):
    """The features of all `members`, one after the other: the fusion of arXiv 2111.11398.

    Each feature is standardised by the training images, so that none speaks louder for its units.
    """

    def __init__(self, members: Sequence[Encoder]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)  # each normalises its own input
        self.features = sum(member.features for member in members)
        self.register_buffer("centre", torch.zeros(self.features))
        self.register_buffer("scale", torch.ones(self.features))

    def standardise_by(self, features: Tensor) -> None:
        """Take centre and scale from `features` (N, D) of a fresh encoder; a dead feature keeps scale 1."""
        deviation = features.std(dim=0)
        self.centre.copy_(features.mean(dim=0))
        self.scale.copy_(torch.where(deviation > 1e-6, deviation, 1.0))

    def forward(self, x: Tensor) -> Tensor:
        return (torch.cat([member(x) for member in self.members], dim=1) - self.centre) / self.scale
