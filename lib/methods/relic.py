"""ReLIC: tell images apart, and tell them apart alike in every view (arXiv 2010.07922)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.inputs import check_batch
from lib.methods import heads
from lib.methods.method import Method
from lib.methods.target import follow, rising, slow_copy
from lib.precision import full_precision, own_precision
from lib.views import BYOL
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    """Our choices, all of them: no public code or text gives the paper's values."""

    invariance: float = 1.0  # weight of the divergence
    temperature: float = 0.2
    momentum: float = 0.98  # of the target at the first step, rising to 1
    hidden: int = 512
    projection: int = 128


class ReLIC(nn.Module):
    """The head is our choice, as no public code of the paper's authors has one: two layers, each with a batch norm, the
    last norm with parameters of its own, and no predictor. ReLICv2 has the same.

    A third party's code has two layers without norms or biases; of the paper it is known that online network and slow
    copy end in heads of several layers.
    """

    views = BYOL
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = heads.projector("MoCo", encoder.features, settings.hidden, settings.projection, batch_norm=True)
        self.target_encoder, self.target_head = slow_copy(encoder), slow_copy(self.head)
        self.settings = settings

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        online = [self.head(self.encoder(view)) for view in views]  # batch norm sees one view at a time
        with torch.no_grad():
            target = [self.target_head(self.target_encoder(view)) for view in views]
        with full_precision(online[0]):
            online, target = ([part.float() for part in parts] for parts in (online, target))
            contrastive, divergence = relic(online, target, self.settings.temperature)
            return {"contrastive": contrastive, "invariance": self.settings.invariance * divergence}

    def after_step(self, progress: float) -> None:
        momentum = rising(self.settings.momentum, progress)
        follow(self.target_encoder, self.encoder, momentum)
        follow(self.target_head, self.head, momentum)


METHOD = Method("ReLIC", "invariance", ReLIC, Settings, PROTOCOL, look=("#8A6D00", "H", ":"))


@own_precision
def relic(online: list[Tensor], target: list[Tensor], temperature: float) -> tuple[Tensor, Tensor]:
    """The contrastive term and the divergence of the online and target projections of two views, (N, D) each.

    Two scalars, each averaged over the two directions: what one view's online vector says of the other's target.
    """
    online, target = ([gathered(part) for part in parts] for parts in (online, target))
    first = similarities(online[0], target[1], temperature)
    second = similarities(online[1], target[0], temperature)
    images = torch.arange(len(first), device=first.device)
    contrastive = (F.cross_entropy(first, images) + F.cross_entropy(second, images)) / 2
    return contrastive, (divergence(first, second) + divergence(second, first)) / 2


@own_precision
def similarities(online: Tensor, target: Tensor, temperature: float) -> Tensor:
    """Cosines over the temperature, (N, D), (N, D) -> (N, N): row i says which image view i is taken for."""
    check_batch(online)
    return F.normalize(online, dim=1) @ F.normalize(target, dim=1).T / temperature


@own_precision
def divergence(logits: Tensor, other: Tensor) -> Tensor:
    r"""Of what one view is taken for from what the other is taken for: logits (N, N), (N, N) -> scalar, at least 0.

    .. math:: \frac1N \sum_i \mathrm{KL} \left( \mathrm{sg}[p'_i] \,\Vert\, p_i \right)

    with p and p' the softmax of the rows of `logits` and of `other`. The gradient of one side is stopped, as the paper
    has it; that it is the first is our choice, which makes it the distillation of one view into the other.
    """
    return F.kl_div(
        F.log_softmax(logits, dim=1), F.log_softmax(other.detach(), dim=1), reduction="batchmean", log_target=True
    )
