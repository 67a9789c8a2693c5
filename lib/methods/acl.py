"""ACL: contrast on clean and on adversarial pairs, each with batch norms of its own (Jiang et al. 2020, 2010.13650)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from lib.methods import heads
from lib.methods.method import Method
from lib.methods.simclr import Settings, nt_xent
from lib.precision import full_precision
from lib.views import SIMCLR

PROTOCOL = 1  # bump when a run with the same settings gives other numbers

__all__ = ["ACL", "Settings", "twin"]


class ACL(nn.Module):
    """The variant with two streams, ACL(DS): half of SimCLR's loss for each pair. Both views are attacked jointly.

    `encoder`, which is evaluated, has the batch norms that saw adversarial images. All other weights are one.
    """

    views = SIMCLR
    uses_labels = False
    needs_attack = True

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = heads.projector("SimCLR", encoder.features, settings.hidden, settings.projection)
        self.clean_encoder, self.clean_head = twin(encoder), twin(self.head)
        self.temperature = settings.temperature

    def forward(self, views: list[Tensor], clean: list[Tensor]) -> dict[str, Tensor]:
        projections = self.clean_head(self.clean_encoder(torch.cat(clean)))
        return {"clean": self.contrast(projections) / 2, "adversarial": self.weakness(views, clean) / 2}

    def weakness(self, views: list[Tensor], clean: list[Tensor]) -> Tensor:
        """The contrastive loss of the adversarial pair, a scalar: images of a batch depend on each other."""
        return self.contrast(self.head(self.encoder(torch.cat(views))))

    def contrast(self, projections: Tensor) -> Tensor:
        with full_precision(projections):
            first, second = projections.float().chunk(2)
            return nt_xent(first, second, self.temperature)

    def after_step(self, progress: float) -> None:
        pass


METHOD = Method("ACL", "contrastive", ACL, Settings, PROTOCOL, attacked=True, look=("#3B7EA1", (4, 1, 0), "--"))


def twin(module: nn.Module) -> nn.Module:
    """A copy whose batch norms are its own and whose other parameters are `module`'s, not copies of them.

    One is trained with the other, and stays so when both move to a device or load a state.
    """
    other = copy.deepcopy(module)
    for part, counterpart in zip(module.modules(), other.modules(), strict=True):
        if not isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            for name, parameter in part.named_parameters(recurse=False):
                setattr(counterpart, name, parameter)
    return other
