"""Supervised contrastive learning: all images of a class are each other's other views (arXiv 2004.11362)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadInput
from lib.inputs import check_batch, told
from lib.methods import heads
from lib.methods.method import Method
from lib.precision import full_precision, own_precision
from lib.views import SIMCLR
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    temperature: float = 0.1  # section 4.4
    hidden: int = 512
    projection: int = 128


class SupCon(nn.Module):
    views = SIMCLR
    uses_labels = True

    def __init__(self, encoder: nn.Module, settings: Settings, classes: int) -> None:
        super().__init__()
        self.encoder, self.classes = encoder, classes
        self.head = heads.projector("SimCLR", encoder.features, settings.hidden, settings.projection)
        self.temperature = settings.temperature

    def forward(self, views: list[Tensor], labels: Tensor) -> dict[str, Tensor]:
        projections = self.head(self.encoder(torch.cat(views)))
        with full_precision(projections):
            first, second = projections.float().chunk(2)
            return {"contrastive": sup_con(first, second, labels, self.temperature)}

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("SupCon", "reference with labels", SupCon, Settings, PROTOCOL, look=("#6B6B6B", "*", "--"))


@own_precision
def sup_con(first: Tensor, second: Tensor, labels: Tensor, temperature: float) -> Tensor:
    r"""Equation 2 (L_out): two (N, D) views and labels (N,) -> scalar, averaged over the 2N views.

    .. math:: \frac{-1}{|P(i)|} \sum_{p \in P(i)} \log
              \frac{\exp(\mathrm{sim}(z_i, z_p) / \tau)}{\sum_{a \ne i} \exp(\mathrm{sim}(z_i, z_a) / \tau)}

    with P(i) all other views with the label of i.
    """
    if labels.is_floating_point() or labels.shape != first.shape[:1]:
        raise BadInput(f"sup_con takes labels as whole numbers ({len(first)},), one for each image, not {told(labels)}")
    first, second, labels = gathered(first), gathered(second), gathered(labels)
    check_batch(first)
    z, labels = F.normalize(torch.cat((first, second)), dim=1), labels.repeat(2)
    similarity = z @ z.T / temperature  # (2N, 2N)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    log_chance = similarity - similarity.masked_fill(itself, -torch.inf).logsumexp(dim=1, keepdim=True)
    positive = (labels[:, None] == labels[None, :]) & ~itself
    return -((log_chance * positive).sum(dim=1) / positive.sum(dim=1)).mean()
