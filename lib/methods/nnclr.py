"""NNCLR: the positive is the nearest neighbour of the other view among earlier images (arXiv 2104.14548)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.inputs import check_batch
from lib.methods import heads
from lib.methods.method import Method
from lib.methods.queue import Queue
from lib.precision import full_precision, own_precision
from lib.views import SIMCLR
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    temperature: float = 0.1  # section 4.1
    queue: int = 4096  # the paper's 98,304 would be more than the training images of a small study
    hidden: int = 512
    projection: int = 128


class NNCLR(nn.Module):
    views = SIMCLR
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = heads.projector("NNCLR", encoder.features, settings.hidden, settings.projection)
        self.predictor = heads.predictor("NNCLR", settings.projection, settings.hidden, settings.projection)
        self.queue = Queue(settings.queue, settings.projection)
        self.temperature = settings.temperature
        self.newest = None

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        projections = [self.projector(self.encoder(view)) for view in views]
        predictions = [self.predictor(projection) for projection in projections]
        with full_precision(projections[0]):
            first, second = (F.normalize(projection.float(), dim=1) for projection in projections)
            self.newest = first.detach()
            return {
                "first to second": self._term(first, predictions[1].float()),
                "second to first": self._term(second, predictions[0].float()),
            }

    def _term(self, projection: Tensor, prediction: Tensor) -> Tensor:
        neighbours = nearest(projection, self.queue.keys)
        return contrast(neighbours, F.normalize(prediction, dim=1), self.temperature) / 2

    def after_step(self, progress: float) -> None:
        pass

    def after_batch(self) -> None:
        self.queue.push(self.newest)


METHOD = Method("NNCLR", "contrastive", NNCLR, Settings, PROTOCOL, look=("#2A5C8A", "8", "--"))


@torch.no_grad()
@own_precision
def nearest(vectors: Tensor, among: Tensor) -> Tensor:
    """Of `among` (K, D), the one nearest to each of `vectors` (N, D); all of unit length, no gradient."""
    return among[(vectors @ among.T).argmax(dim=1)]


@own_precision
def contrast(neighbours: Tensor, predictions: Tensor, temperature: float) -> Tensor:
    r"""Equation 3, both directions averaged as in section 3.2: unit vectors (N, D), (N, D) -> scalar.

    .. math:: -\log \frac{\exp(\mathrm{NN}(z_i) \cdot p_i / \tau)}{\sum_k \exp(\mathrm{NN}(z_i) \cdot p_k / \tau)}
    """
    neighbours, predictions = gathered(neighbours), gathered(predictions)
    check_batch(predictions)
    logits = neighbours @ predictions.T / temperature  # (N, N)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
