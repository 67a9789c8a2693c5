"""The closed-form control: k-means over whitened patches, which no gradient has touched (Coates, Lee, Ng, AISTATS 2011).

An encoder that is below it has learnt less than minutes of linear algebra give.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from lib.errors import BadInput
from lib.methods.method import Method
from lib.models import WhitenedPatches
from lib.views import SUPERVISED

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    pass


class KMeans(nn.Module):
    """Its encoder fits itself to the training images before the first step; there is nothing to minimise."""

    views = SUPERVISED
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        if not isinstance(encoder, WhitenedPatches):
            raise BadInput(f"kmeans has an encoder of its own, {METHOD.encoder}, not a {type(encoder).__name__}")
        self.encoder = encoder

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        return {}

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("k-means patches", "control", KMeans, Settings, PROTOCOL, trained=False, encoder="whitened_patches")
