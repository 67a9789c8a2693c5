"""VICReg: equal views, features that vary, and vary apart (arXiv 2105.04906)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from lib.inputs import check_batch
from lib.methods import heads
from lib.methods.method import Method
from lib.precision import full_precision, own_precision
from lib.views import SIMCLR
from lib.world import gathered

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
        self.head = heads.projector("BarlowTwins", encoder.features, settings.hidden, settings.projection)
        self.settings = settings

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        r"""Equation 6 in the official code's convention, each term with its weight:

        .. math:: \lambda \, \mathrm{MSE}(z, z')
                  + \tfrac{\mu}{2} \left[ v(z) + v(z') \right] + \nu \left[ c(z) + c(z') \right]
        """
        first, second = (self.head(self.encoder(view)) for view in views)  # batch norm sees one view at a time
        with full_precision(first):
            first, second = first.float(), second.float()
            return {
                "invariance": self.settings.invariance * F.mse_loss(first, second),
                "variance": self.settings.variance * (flatness(first) + flatness(second)) / 2,
                "covariance": self.settings.covariance * (covariance(first) + covariance(second)),
            }

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("VICReg", "redundancy reduction", VICReg, Settings, PROTOCOL, look=("#5FC2A4", "p", "--"))


@own_precision
def flatness(z: Tensor) -> Tensor:
    r"""How far features fall short of a standard deviation of 1 (equation 1): (N, D) -> scalar in [0, 1].

    .. math:: v(z) = \frac1D \sum_d \max \left( 0, 1 - \sqrt{\mathrm{Var}(z_d) + 10^{-4}} \right)
    """
    z = gathered(z)
    check_batch(z)
    return F.relu(1 - (z.var(dim=0) + 1e-4).sqrt()).mean()


@own_precision
def covariance(z: Tensor) -> Tensor:
    r"""The squared covariances of different features (equations 3 and 4): (N, D) -> scalar, at least 0.

    .. math:: c(z) = \frac1D \sum_{d \ne e} \mathrm{Cov}(z)_{d,e}^2
    """
    z = gathered(z)
    check_batch(z)
    z = z - z.mean(dim=0)
    covariances = z.T @ z / (len(z) - 1)  # (D, D)
    return (covariances.square().sum() - covariances.diagonal().square().sum()) / z.shape[1]
