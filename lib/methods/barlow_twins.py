"""Barlow Twins: make the cross-correlation of two views' features the identity (arXiv 2103.03230)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.inputs import check_batch
from lib.methods import heads
from lib.methods.method import Method
from lib.precision import full_precision, own_precision
from lib.views import SIMCLR
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    redundancy: float = 0.0051  # lambda of the official code (its README)
    scale: float = 0.1  # of the whole loss, as in solo-learn's CIFAR recipe
    hidden: int = 1024
    projection: int = 1024


class BarlowTwins(nn.Module):
    views = SIMCLR
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = heads.projector("BarlowTwins", encoder.features, settings.hidden, settings.projection)
        self.redundancy, self.scale = settings.redundancy, settings.scale

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        first, second = (self.head(self.encoder(view)) for view in views)  # batch norm sees one view at a time
        with full_precision(first):
            on_diagonal, off_diagonal = correlation_terms(first.float(), second.float())
        return {"invariance": self.scale * on_diagonal, "redundancy": self.scale * self.redundancy * off_diagonal}

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("Barlow Twins", "redundancy reduction", BarlowTwins, Settings, PROTOCOL, look=("#009E73", "^", "-."))


@own_precision
def correlation_terms(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    r"""The two sums of equation 1 for two (N, D) views:

    .. math:: \sum_i (1 - C_{ii})^2, \qquad \sum_i \sum_{j \ne i} C_{ij}^2

    with :math:`C` (D, D) the cross-correlation over the batch (equation 2; population variance).
    """

    first, second = gathered(first), gathered(second)
    check_batch(first)

    def standardise(z: Tensor) -> Tensor:
        return torch.nn.functional.batch_norm(z, None, None, training=True)

    correlation = standardise(first).T @ standardise(second) / len(first)
    diagonal = correlation.diagonal()
    return (1 - diagonal).square().sum(), correlation.square().sum() - diagonal.square().sum()
