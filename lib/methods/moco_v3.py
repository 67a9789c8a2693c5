"""MoCo v3: contrast a prediction with a slow copy's view of the same batch, without a queue (arXiv 2104.02057)."""

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

PROTOCOL = 2  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    # Of the paper (section 3) and the authors' ViTs; their command for a ResNet leaves it at 1.
    temperature: float = 0.2
    momentum: float = 0.98  # at the first step, rising to 1; the paper starts at 0.99 (section 3) for longer runs
    hidden: int = 512
    projection: int = 128


class MoCoV3(nn.Module):
    """The heads are the authors': of a ResNet a projector of two layers and a predictor that does not end in a norm, of
    a transformer a projector of three layers and a predictor with a last norm.

    One difference is left: the authors keep a transformer's patch embedding at its random weights, which ours learns.
    """

    views = BYOL
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        features, hidden, projection = encoder.features, settings.hidden, settings.projection
        transformer = getattr(encoder, "transformer", False)
        self.projector = perceptron((features, *(hidden,) * (2 if transformer else 1), projection), last_norm=True)
        self.predictor = perceptron((projection, hidden, projection), last_norm=transformer)
        self.target_encoder, self.target_projector = slow_copy(encoder), slow_copy(self.projector)
        self.temperature, self.momentum = settings.temperature, settings.momentum

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        queries = [self.predictor(self.projector(self.encoder(view))) for view in views]
        with torch.no_grad():
            keys = [self.target_projector(self.target_encoder(view)) for view in views]
        with full_precision(queries[0]):
            return {
                "first to second": batch_contrast(queries[0].float(), keys[1].float(), self.temperature),
                "second to first": batch_contrast(queries[1].float(), keys[0].float(), self.temperature),
            }

    def after_step(self, progress: float) -> None:
        momentum = rising(self.momentum, progress)
        follow(self.target_encoder, self.encoder, momentum)
        follow(self.target_projector, self.projector, momentum)


METHOD = Method("MoCo v3", "contrastive", MoCoV3, Settings, PROTOCOL, look=("#8CBFE0", "h", ":"))


def perceptron(widths: tuple[int, ...], last_norm: bool) -> nn.Module:
    """Linear layers without biases, (N, widths[0]) -> (N, widths[-1]): a batch norm and a ReLU follow all but the last,
    which is followed by nothing, or with `last_norm` by a batch norm without parameters, as in the authors' code."""
    *inner, last = zip(widths[:-1], widths[1:], strict=True)
    norm = nn.BatchNorm1d(widths[-1], affine=False) if last_norm else None
    blocks = [(*pair, nn.BatchNorm1d(pair[1]), nn.ReLU(), False) for pair in inner]
    return heads.layers([*blocks, (*last, norm, None, False)])


@own_precision
def batch_contrast(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    r"""Algorithm 1: (N, D), (N, D) -> scalar; the other images' keys are the negatives.

    .. math:: -2 \tau \, \frac1N \sum_i \log
              \frac{\exp(q_i \cdot k_i / \tau)}{\sum_j \exp(q_i \cdot k_j / \tau)}
    """
    queries, keys = gathered(queries), gathered(keys)
    check_batch(queries)
    logits = F.normalize(queries, dim=1) @ F.normalize(keys, dim=1).T / temperature  # (N, N)
    return 2 * temperature * F.cross_entropy(logits, torch.arange(len(queries), device=queries.device))
