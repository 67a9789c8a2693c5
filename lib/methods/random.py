"""The negative control: an encoder that learns nothing.

Its weights stay as they were drawn. Its batch-norm statistics are those of the training images,
since a network whose activations fade out would be too easy to beat.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lib.methods.method import Method
from lib.views import SUPERVISED

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    pass


class Random(nn.Module):
    views = SUPERVISED
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder.requires_grad_(False)

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        self.encoder(views[0])  # in training mode: moves the running statistics, nothing else
        return {}

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("Random weights", "control", Random, Settings, PROTOCOL, trained=False, look=("#999999", "x", ":"))
