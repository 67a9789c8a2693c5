"""BYOL: predict a slow copy's projection of the other view; no negatives (arXiv 2006.07733)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from lightly.models.modules.heads import BYOLPredictionHead, BYOLProjectionHead
from torch import Tensor, nn
from torch.nn import functional as F

from lib.methods.target import follow, rising, slow_copy
from lib.precision import full_precision
from lib.views import BYOL as BYOL_VIEWS

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    # Of the target at the first step; rises to 1 by a cosine. The paper starts long runs at 0.996 (section 3.3);
    # a short run needs a target that follows sooner (chosen on validation images).
    momentum: float = 0.98
    hidden: int = 512
    projection: int = 128


class BYOL(nn.Module):
    views = BYOL_VIEWS
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = BYOLProjectionHead(encoder.features, settings.hidden, settings.projection)
        self.predictor = BYOLPredictionHead(settings.projection, settings.hidden, settings.projection)
        self.target_encoder, self.target_projector = slow_copy(encoder), slow_copy(self.projector)
        self.momentum = settings.momentum

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        predictions = [self.predictor(self.projector(self.encoder(view))) for view in views]
        with torch.no_grad():
            targets = [self.target_projector(self.target_encoder(view)) for view in views]
        with full_precision(predictions[0]):
            first = regression(predictions[0].float(), targets[1].float())
            second = regression(predictions[1].float(), targets[0].float())
        return {"first to second": first, "second to first": second}

    def after_step(self, progress: float) -> None:
        momentum = rising(self.momentum, progress)
        follow(self.target_encoder, self.encoder, momentum)
        follow(self.target_projector, self.projector, momentum)


def regression(prediction: Tensor, target: Tensor) -> Tensor:
    r"""Mean squared error of unit vectors, equation 2: (N, D), (N, D) -> scalar in [0, 4].

    .. math:: 2 - 2 \frac{\langle q, z \rangle}{\lVert q \rVert \lVert z \rVert}
    """
    return 2 - 2 * F.cosine_similarity(prediction, target, dim=1).mean()
