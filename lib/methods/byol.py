"""BYOL: predict a slow copy's projection of the other view; no negatives (arXiv 2006.07733)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.methods import heads
from lib.methods.method import Method
from lib.methods.repulsion import Repelling, Repulsion
from lib.methods.target import follow, rising, slow_copy
from lib.precision import full_precision, own_precision
from lib.views import BYOL as BYOL_VIEWS

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings(Repulsion):
    # Of the target at the first step; rises to 1 by a cosine. The paper starts long runs at 0.996 (section 3.3);
    # a short run needs a target that follows sooner (chosen on validation images).
    momentum: float = 0.98
    hidden: int = 512
    projection: int = 128


class BYOL(Repelling, nn.Module):
    views = BYOL_VIEWS
    queries = (0, 1)
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = heads.projector("BYOL", encoder.features, settings.hidden, settings.projection)
        self.predictor = heads.predictor("BYOL", settings.projection, settings.hidden, settings.projection)
        self.target_encoder, self.target_projector = slow_copy(encoder), slow_copy(self.projector)
        self.momentum, self.repulsion = settings.momentum, settings

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        views, negatives = views[:2], views[2:]
        predictions = [self.predictor(self.projector(self.encoder(view))) for view in views]
        with torch.no_grad():
            targets, repelling = (
                [self.target_projector(self.target_encoder(view)) for view in some] for some in (views, negatives)
            )
        with full_precision(predictions[0]):
            first = regression(predictions[0].float(), targets[1].float())
            second = regression(predictions[1].float(), targets[0].float())
            terms = {"first to second": first, "second to first": second}
            if negatives:
                terms["repulsion"] = repulsion([p.float() for p in predictions], repelling, self.repulsion.alpha)
        return terms

    def after_step(self, progress: float) -> None:
        momentum = rising(self.momentum, progress)
        follow(self.target_encoder, self.encoder, momentum)
        follow(self.target_projector, self.projector, momentum)


METHOD = Method("BYOL", "distillation", BYOL, Settings, PROTOCOL, repels=True, look=("#D55E00", "s", "--"))


@own_precision
def regression(prediction: Tensor, target: Tensor) -> Tensor:
    r"""Mean squared error of unit vectors, equation 2: (N, D), (N, D) -> scalar in [0, 4].

    .. math:: 2 - 2 \frac{\langle q, z \rangle}{\lVert q \rVert \lVert z \rVert}
    """
    return 2 - 2 * F.cosine_similarity(prediction, target, dim=1).mean()


@own_precision
def repulsion(predictions: list[Tensor], negatives: list[Tensor], alpha: float) -> Tensor:
    r"""What tells predictions q of the two views, (N, D) each, from the target's projections t of their negatives.

    Those of the first view come before those of the second, n of each, (N, D): a scalar in [-8 alpha, 0],

    .. math:: -\frac{\alpha}{n} \sum_{v, i} \left(2 - 2 \frac{\langle q_v, t_{vi} \rangle}
              {\lVert q_v \rVert \lVert t_{vi} \rVert}\right)

    which is our reading: arXiv 2110.14189 trains BYOL with negatives, too, but no public code does. With an alpha of 1
    a negative pushes as hard as the other view pulls.
    """
    count = len(negatives) // len(predictions)
    pairs = zip([q for q in predictions for _ in range(count)], negatives, strict=True)
    return -alpha / count * sum(regression(q, t.float()) for q, t in pairs)  # type: ignore[return-value]
