"""The closed-form control: k-means over whitened patches, no gradient anywhere (Coates, Lee, Ng, AISTATS 2011).

From an encoder that is below it a probe reads less than from what linear algebra makes of the same images.
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


class KMeans(nn.Module):
    """Its encoder fits itself to the training images before the first step (`lib.models.WhitenedPatches`); there is
    nothing to minimise."""

    views = SUPERVISED
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        return {}

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method(
    "k-means patches", "control", KMeans, Settings, PROTOCOL,
    trained=False, look=("#777777", "+", "--"), encoder="whitened_patches",
)  # fmt: skip
