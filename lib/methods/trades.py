"""TRADES: classify clean images, and let no perturbation change the answer (Zhang et al. 2019, arXiv 1901.08573)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.methods.method import Method
from lib.precision import full_precision, own_precision
from lib.views import SUPERVISED

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    beta: float = 6.0  # of the divergence; the authors' range is 1 to 10: more is more robust and less accurate


class TRADES(nn.Module):
    """Clean and adversarial images pass in batches of their own, as in the authors' code.

    The divergence has no slope where both are equal, so that the attack must not start at zero: the authors start at
    Gaussian noise of 0.001, the trainer here at a random point of the ball.
    """

    views = SUPERVISED
    uses_labels = True
    needs_attack = True
    flat_at_zero = True

    def __init__(self, encoder: nn.Module, settings: Settings, classes: int) -> None:
        super().__init__()
        self.encoder, self.classes = encoder, classes
        self.head = nn.Linear(encoder.features, classes)
        self.beta = settings.beta

    def forward(self, views: list[Tensor], clean: list[Tensor], labels: Tensor) -> dict[str, Tensor]:
        logits, attacked = self.head(self.encoder(clean[0])), self.head(self.encoder(views[0]))
        with full_precision(logits):
            logits, attacked = logits.float(), attacked.float()
            return {
                "cross-entropy": F.cross_entropy(logits, labels),
                "divergence": self.beta * divergence(logits, attacked).mean(),  # with a gradient through both
            }

    @torch.no_grad()
    def target(self, clean: list[Tensor]) -> Tensor:
        """The answers (N, C) that an attack moves away from; they hold until the weights change."""
        return self.head(self.encoder(clean[0]))

    def weakness(
        self, views: list[Tensor], clean: list[Tensor], labels: Tensor, target: Tensor | None = None
    ) -> Tensor:
        """How far each answer has moved, whether it was right or not: (N,)."""
        logits = self.target(clean) if target is None else target
        attacked = self.head(self.encoder(views[0]))
        with full_precision(logits):
            return divergence(logits.float(), attacked.float())

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method(
    "TRADES", "reference with labels", TRADES, Settings, PROTOCOL, attacked=True, look=("#555555", (3, 1, 0), "-.")
)


@own_precision
def divergence(clean: Tensor, attacked: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence of the answers, as logits: (N, C), (N, C) -> (N,), each at least 0.

    .. math:: \mathrm{KL}(p(x) \,\Vert\, p(x')) = \sum_c p_c(x) \log \frac{p_c(x)}{p_c(x')}
    """
    log_p, log_q = F.log_softmax(clean, dim=1), F.log_softmax(attacked, dim=1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(dim=1)
