"""SwAV: predict one view's cluster from another, with clusters of equal size (arXiv 2006.09882)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.methods import heads
from lib.methods.crops import cross_prediction, one_pass_per_size
from lib.methods.method import Method
from lib.methods.prototypes import Prototypes
from lib.methods.queue import Queue
from lib.precision import full_precision, own_precision
from lib.views import MULTI_CROP
from lib.world import gathered, share

PROTOCOL = 2  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    temperature: float = 0.1  # appendix A.1, as the next two
    epsilon: float = 0.05  # smoothness of the codes
    iterations: int = 3  # of Sinkhorn and Knopp's algorithm
    prototypes: int = 512  # the paper's 3,000 are three for each class of ImageNet
    queue: int = 0  # projections of earlier batches that share in the clustering, for batches below the prototypes
    hidden: int = 512
    projection: int = 128


class SwAV(nn.Module):
    """Codes come from the two large views only; every view predicts the code of the other large ones."""

    views = MULTI_CROP
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = heads.projector("SwaV", encoder.features, settings.hidden, settings.projection)
        self.prototypes = Prototypes(settings.projection, settings.prototypes)
        self.queues = nn.ModuleList(Queue(settings.queue, settings.projection) for _ in range(2) if settings.queue)
        self.settings = settings
        self.newest: list[Tensor] = []

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        projections = one_pass_per_size(self.encoder, self.head, views)
        with full_precision(projections[0]):
            projections = [projection.float() for projection in projections]
            scores = [self.prototypes(projection) for projection in projections]
            self.newest = [F.normalize(projection.detach(), dim=1) for projection in projections[:2]]
            codes = [self._codes(place, scores[place]) for place in range(2)]
            return {"swapped prediction": cross_prediction(scores, codes, self.settings.temperature)}

    @torch.no_grad()
    def _codes(self, place: int, scores: Tensor) -> Tensor:
        """The code of each image of the batch in the large view `place`, balanced over batch and queue."""
        earlier = [self.prototypes(self.queues[place].keys)] if self.queues else []
        scores = gathered(scores)
        together = torch.cat((scores, *earlier))
        return share(sinkhorn(together, self.settings.epsilon, self.settings.iterations)[: len(scores)])

    def after_step(self, progress: float) -> None:
        pass

    def after_batch(self) -> None:
        for queue, projections in zip(self.queues, self.newest, strict=False):
            queue.push(projections)


METHOD = Method("SwAV", "clustering", SwAV, Settings, PROTOCOL, look=("#CC79A7", "P", "--"))


@own_precision
def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    r"""Codes that use all prototypes equally (equation 5): (N, K) -> (N, K), whose rows sum to 1.

    .. math:: Q = \mathrm{Diag}(u) \exp(C / \epsilon) \mathrm{Diag}(v)

    with u and v such that each image has a share of 1 / N and, after enough iterations, each prototype one of 1 / K.
    Computed with logarithms: no score is too large.
    """
    codes = scores / epsilon
    for _ in range(iterations):
        codes = codes - codes.logsumexp(dim=0, keepdim=True)  # prototypes
        codes = codes - codes.logsumexp(dim=1, keepdim=True)  # images
    return codes.exp()
