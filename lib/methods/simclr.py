"""SimCLR: tell the other view of an image from all other images of the batch (arXiv 2002.05709)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.held import held
from lib.inputs import check_batch
from lib.methods import heads
from lib.methods.method import Method
from lib.methods.repulsion import Repelling, Repulsion, repelled
from lib.precision import full_precision, own_precision
from lib.views import SIMCLR
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings(Repulsion):
    # The paper's optimum on CIFAR-10 is 0.5 after 1000 epochs (appendix B.9); 0.2 is better in short runs (validation).
    temperature: float = 0.2
    hidden: int = 512
    projection: int = 128


class SimCLR(Repelling, nn.Module):
    views = SIMCLR
    queries = (0, 1)
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = heads.projector("SimCLR", encoder.features, settings.hidden, settings.projection)
        self.temperature = settings.temperature
        self.repulsion = settings

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        views, negatives = views[:2], views[2:]
        projections = self.head(self.encoder(torch.cat(views)))  # both views in one batch, as the paper has it
        others = self._projected(negatives) if negatives else None
        with full_precision(projections):
            first, second = projections.float().chunk(2)
            if others is None:
                return {"contrastive": self.loss(first, second)}
            logits = repelled(torch.cat((first, second)), others.float(), self.repulsion.alpha, self.temperature)
            return {"contrastive": nt_xent(first, second, self.temperature, logits)}

    def _projected(self, negatives: list[Tensor]) -> Tensor:
        """Negatives of the first view, then of the second, as many of each: projections (n, 2N, D).

        Without a gradient, which MoCo's have none of either, and with statistics of their own batch: what batch norm
        keeps for later is of images, not of patches.
        """
        with held((self.encoder, self.head), "batch"), torch.no_grad():
            projected = [self.head(self.encoder(negative)) for negative in negatives]
        count = len(negatives) // 2
        return torch.stack([torch.cat(pair) for pair in zip(projected[:count], projected[count:], strict=True)])

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return nt_xent(first, second, self.temperature)

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("SimCLR", "contrastive", SimCLR, Settings, PROTOCOL, repels=True, look=("#0072B2", "o", "-"))


@own_precision
def nt_xent(first: Tensor, second: Tensor, temperature: float, others: Tensor | None = None) -> Tensor:
    r"""Normalised, temperature-scaled cross-entropy, equation 1: two (N, D) views -> scalar.

    .. math:: \ell_{i,j} = -\log \frac{\exp(\mathrm{sim}(z_i, z_j) / \tau)}
              {\sum_{k \ne i} \exp(\mathrm{sim}(z_i, z_k) / \tau)}

    averaged over the 2N ordered pairs of views of one image; sim is the cosine. `others` are logits (2N, n) of
    negatives that each view has for itself (`lib.methods.repulsion`): more terms of its denominator's sum.
    """
    first, second = gathered(first), gathered(second)
    check_batch(first)
    count = len(first)
    z = F.normalize(torch.cat((first, second)), dim=1)
    similarity = z @ z.T / temperature  # (2N, 2N)
    similarity.fill_diagonal_(-torch.inf)
    partner = torch.arange(2 * count, device=z.device).roll(count)
    if others is not None:
        others = gathered(others.unflatten(0, (2, -1)), axis=1).flatten(0, 1)
        similarity = torch.cat((similarity, others), dim=1)
    return F.cross_entropy(similarity, partner)
