"""Supervised classification: the reference that is allowed to see labels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import one_of
from lib.methods import relicv2
from lib.methods.method import Method
from lib.methods.removal import Removal, Removing
from lib.precision import full_precision
from lib.views import SUPERVISED, View

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


# One view as labels have it, or ReLICv2's crops by default, so that only the loss tells the two methods apart.
CROPS = {"usual": SUPERVISED, "relicv2": relicv2.ReLICv2.views_of(relicv2.Settings())}


@dataclass(frozen=True)
class Settings(Removal):
    crops: str = "usual"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self.crops, CROPS, "crops")


class Supervised(Removing, nn.Module):
    """The cross-entropy of every view, averaged."""

    uses_labels = True

    @staticmethod
    def views_of(settings: Settings) -> tuple[View, ...]:
        return CROPS[settings.crops]

    def __init__(self, encoder: nn.Module, settings: Settings, classes: int) -> None:
        super().__init__()
        self.encoder, self.classes = encoder, classes
        self.views, self.removal = self.views_of(settings), settings
        self.head = nn.Linear(encoder.features, classes)

    def forward(self, views: list[Tensor], labels: Tensor) -> dict[str, Tensor]:
        logits = [self.head(self.encoder(view)) for view in views]  # batch norm sees one view at a time, as in ReLICv2
        with full_precision(logits[0]):
            losses = [F.cross_entropy(scores.float(), labels) for scores in logits]
            return {"cross-entropy": sum(losses) / len(losses)}

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("Supervised", "reference with labels", Supervised, Settings, PROTOCOL, look=("#333333", "D", "-"))
