"""DCL: SimCLR without the positive pair in the denominator (decoupled contrastive learning, arXiv 2110.06848)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.inputs import check_batch
from lib.methods import simclr
from lib.methods.method import Method
from lib.methods.simclr import Settings
from lib.precision import own_precision
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers

__all__ = ["DCL", "Settings", "dcl"]


class DCL(simclr.SimCLR):
    """SimCLR's network and views; the paper's claim is that small batches then learn as well as large ones."""

    def loss(self, first: Tensor, second: Tensor) -> Tensor:
        return dcl(first, second, self.temperature)


METHOD = Method("DCL", "contrastive", DCL, Settings, PROTOCOL, look=("#4F9FD0", "<", "--"))


@own_precision
def dcl(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    r"""Equation 6 without weights: two (N, D) views -> scalar, averaged over the 2N views.

    .. math:: -\mathrm{sim}(z_i, z_j) / \tau
              + \log \sum_{k \notin \{i, j\}} \exp(\mathrm{sim}(z_i, z_k) / \tau)

    with j the other view of i. The batch needs at least two images.
    """
    first, second = gathered(first), gathered(second)
    check_batch(first)
    count = len(first)
    z = F.normalize(torch.cat((first, second)), dim=1)
    similarity = z @ z.T / temperature  # (2N, 2N)
    rows = torch.arange(2 * count, device=z.device)
    partner = rows.roll(count)
    positive = similarity[rows, partner]
    itself = torch.eye(2 * count, dtype=torch.bool, device=z.device)
    negatives = similarity.masked_fill(itself | itself.roll(count, dims=1), -torch.inf)
    return (negatives.logsumexp(dim=1) - positive).mean()
