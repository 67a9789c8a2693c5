"""Encoders side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lib.errors import BadInput
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

    def maps(self, x: Tensor) -> list[Tensor]:
        """The members' maps (N, C, h, w) of each stage, one behind the other, the last standardised like the features.

        Raises BadInput where the members have different numbers of stages or places.
        """
        each = [member.maps(x) for member in self.members]
        places = [[tuple(stage.shape[-2:]) for stage in maps] for maps in each]
        if any(own != places[0] for own in places):
            told = " and ".join(str(own) for own in places)
            raise BadInput(f"maps are fused where all members have them at the same places, not {told}")
        *maps, last = (torch.cat(stage, dim=1) for stage in zip(*each, strict=True))
        return [*maps, (last - self.centre[:, None, None]) / self.scale[:, None, None]]
