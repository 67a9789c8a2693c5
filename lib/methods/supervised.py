"""Supervised classification: the reference that is allowed to see labels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from lib.precision import full_precision
from lib.views import SUPERVISED

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    pass


class Supervised(nn.Module):
    views = SUPERVISED
    uses_labels = True

    def __init__(self, encoder: nn.Module, settings: Settings, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Linear(encoder.features, classes)

    def forward(self, views: list[Tensor], labels: Tensor) -> dict[str, Tensor]:
        logits = self.head(self.encoder(views[0]))
        with full_precision(logits):
            return {"cross-entropy": F.cross_entropy(logits.float(), labels)}

    def after_step(self, progress: float) -> None:
        pass
