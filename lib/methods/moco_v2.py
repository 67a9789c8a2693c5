"""MoCo v2: tell the other view from a queue of images that a slow copy encoded (arXiv 1911.05722, 2003.04297)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.methods import heads
from lib.methods.method import Method
from lib.methods.queue import Queue
from lib.methods.repulsion import Repelling, Repulsion, repelled
from lib.methods.target import follow, slow_copy
from lib.precision import full_precision, own_precision
from lib.views import SIMCLR

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings(Repulsion):
    temperature: float = 0.2  # of MoCo v2 (2003.04297, table 2)
    # 0.999 for a million images (1911.05722, section 4.1); fewer steps need a faster copy. With 0.9, in a few hundred
    # steps of scenes, all vectors became one.
    momentum: float = 0.99
    queue: int = 4096  # keys; the paper's 65,536 would be more than the training images of a small study
    hidden: int = 512
    projection: int = 128


class MoCoV2(Repelling, nn.Module):
    """Queries from one view, keys from the other, each view a batch of its own for batch norm.

    The paper shuffles keys between devices, so that a query's batch norm sees other images than its key's does: else
    the network can tell the key by the statistics that both share. On one device a shuffled batch has the same
    statistics, so we do not shuffle, and what the paper prevents is possible here. Queries alone have a gradient, so
    that an adversary can attack them alone.
    """

    views = SIMCLR
    queries = (0,)
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = heads.projector("MoCo", encoder.features, settings.hidden, settings.projection)
        self.key_encoder, self.key_head = slow_copy(encoder), slow_copy(self.head)
        self.temperature, self.momentum = settings.temperature, settings.momentum
        self.repulsion = settings
        self.queue = Queue(settings.queue, settings.projection)
        self.newest = None

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        query = self.head(self.encoder(views[0]))
        with torch.no_grad():  # of negatives batch norm sees a batch of their own; they do not enter the queue
            key = self.key_head(self.key_encoder(views[1]))
            negatives = [self.key_head(self.key_encoder(negative)) for negative in views[2:]]
        with full_precision(query):
            query, self.newest = F.normalize(query.float(), dim=1), F.normalize(key.float(), dim=1)
            others = None
            if negatives:
                others = repelled(query, torch.stack(negatives).float(), self.repulsion.alpha, self.temperature)
            return {"contrastive": info_nce(query, self.newest, self.queue.keys, self.temperature, others)}

    def after_step(self, progress: float) -> None:
        follow(self.key_encoder, self.encoder, self.momentum)
        follow(self.key_head, self.head, self.momentum)

    def after_batch(self) -> None:
        self.queue.push(self.newest)


METHOD = Method("MoCo v2", "contrastive", MoCoV2, Settings, PROTOCOL, repels=True, look=("#004B77", ">", "-."))


@own_precision
def info_nce(query: Tensor, key: Tensor, queue: Tensor, temperature: float, others: Tensor | None = None) -> Tensor:
    r"""Equation 1 of 1911.05722: unit vectors (N, D), (N, D) and (K, D) -> scalar, averaged over N.

    .. math:: -\log \frac{\exp(q \cdot k_+ / \tau)}{\exp(q \cdot k_+ / \tau) + \sum_{i=1}^K \exp(q \cdot k_i / \tau)}

    `others` are logits (N, n) of negatives that each query has for itself (`lib.methods.repulsion`): more terms of the
    denominator's sum.
    """
    positive = (query * key).sum(dim=1, keepdim=True)
    logits = torch.cat((positive, query @ queue.T), dim=1) / temperature  # (N, 1 + K)
    if others is not None:
        logits = torch.cat((logits, others), dim=1)
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))
