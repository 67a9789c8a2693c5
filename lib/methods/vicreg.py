"""VICReg: equal views, features that vary, and vary apart (arXiv 2105.04906)."""

from __future__ import annotations

from dataclasses import dataclass

from lightly.loss.vicreg_loss import covariance_loss, invariance_loss, variance_loss
from lightly.models.modules.heads import BarlowTwinsProjectionHead
from torch import Tensor, nn

from lib.methods.precision import full_precision
from lib.views import SIMCLR

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    invariance: float = 25.0  # section 4.2; the official code's convention, in which the variance of each view counts
    variance: float = 25.0  # half. Other libraries' "25, 25, 1" is another objective
    covariance: float = 1.0
    hidden: int = 1024
    projection: int = 1024


class VICReg(nn.Module):
    views = SIMCLR
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = BarlowTwinsProjectionHead(encoder.features, settings.hidden, settings.projection)
        self.settings = settings

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        r"""Equation 6 in the official code's convention, each term with its weight:

        .. math:: \lambda \, \mathrm{MSE}(z, z')
                  + \tfrac{\mu}{2} \left[ v(z) + v(z') \right] + \nu \left[ c(z) + c(z') \right]

        with :math:`v(z) = \frac1D \sum_d \max(0, 1 - \sqrt{\mathrm{Var}(z_d) + 10^{-4}})` and
        :math:`c(z) = \frac1D \sum_{d \ne e} \mathrm{Cov}(z)_{d,e}^2`.
        """
        first, second = (self.head(self.encoder(view)) for view in views)  # batch norm sees one view at a time
        with full_precision(first):
            first, second = first.float(), second.float()
            variance = (variance_loss(first) + variance_loss(second)) / 2
            return {
                "invariance": self.settings.invariance * invariance_loss(first, second),
                "variance": self.settings.variance * variance,
                "covariance": self.settings.covariance * (covariance_loss(first) + covariance_loss(second)),
            }

    def after_step(self, progress: float) -> None:
        pass
