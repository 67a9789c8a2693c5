"""SimSiam: BYOL without the slow copy; a predictor and a stopped gradient are enough (arXiv 2011.10566)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from lib.methods import heads
from lib.methods.method import Method
from lib.precision import full_precision, own_precision
from lib.views import View

PROTOCOL = 2  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    hidden: int = 512  # the paper's 2048 for ResNet-50, scaled to a small encoder; so are the other two
    projection: int = 512
    bottleneck: int = 128  # of the predictor: a quarter of the projection (section 4.4 and appendix B)


class SimSiam(nn.Module):
    views = (View(crop_scale=(0.2, 1.0)),) * 2  # the official code's crops; no blur at 32 px
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.projector = heads.projector("SimSiam", encoder.features, settings.hidden, settings.projection)
        self.predictor = heads.predictor("SimSiam", settings.projection, settings.bottleneck, settings.projection)

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        first, second = (self.projector(self.encoder(view)) for view in views)  # batch norm sees one view at a time
        predictions = self.predictor(first), self.predictor(second)
        with full_precision(first):
            return {
                "first to second": distance(predictions[0].float(), second.float()) / 2,
                "second to first": distance(predictions[1].float(), first.float()) / 2,
            }

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("SimSiam", "distillation", SimSiam, Settings, PROTOCOL, look=("#E69F00", "v", ":"))


@own_precision
def distance(prediction: Tensor, projection: Tensor) -> Tensor:
    r"""Equation 1 with the stopped gradient of equation 3: (N, D), (N, D) -> scalar in [-1, 1].

    .. math:: -\frac{p}{\lVert p \rVert} \cdot \frac{\mathrm{sg}(z)}{\lVert \mathrm{sg}(z) \rVert}
    """
    return -F.cosine_similarity(prediction, projection.detach(), dim=1).mean()
