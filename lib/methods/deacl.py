"""DeACL: distil a standard encoder into a robust one (Zhang et al. 2022, arXiv 2207.10899).

The second of the paper's two stages; the first trains the teacher without an adversary, by any method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.inputs import whole_or_none
from lib.methods.method import Method
from lib.methods.target import slow_copy
from lib.precision import full_precision, own_precision
from lib.views import SIMCLR

PROTOCOL = 1  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    robustness: float = 2.0  # weight of the second term, in the authors' code
    teacher_epochs: int | None = None  # None: as many as the student's

    def __post_init__(self) -> None:
        epochs = whole_or_none(self.teacher_epochs, "teacher_epochs", "the student's")
        object.__setattr__(self, "teacher_epochs", epochs)


class Distilled(nn.Module):
    """A student that starts as a copy of its teacher, an encoder that does not learn."""

    uses_labels = False
    needs_attack = True
    target_is_fixed = True  # by a teacher that does not learn: what the attack compared with serves the loss as well
    teacher = "simclr"  # the method whose encoder the engine hands over

    def __init__(self, encoder: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.encoder.load_state_dict(teacher.state_dict())
        self.teacher_encoder = slow_copy(teacher).eval()

    def train(self, mode: bool = True) -> Self:
        """The student's mode: the teacher normalises by the statistics that it was trained with, always."""
        super().train(mode)
        self.teacher_encoder.eval()
        return self

    def after_step(self, progress: float) -> None:
        pass


class DeACL(Distilled):
    """Features are compared as they are, without a projector, and the student starts as a copy of its teacher.

    Clean and adversarial images pass the student in one batch. All three as in the authors' code; its views are crops
    of a padded image with flips, where ours are SimCLR's.
    """

    views = SIMCLR[:1]

    def __init__(self, encoder: nn.Module, settings: Settings, teacher: nn.Module) -> None:
        super().__init__(encoder, teacher)
        self.robustness = settings.robustness

    def forward(self, views: list[Tensor], clean: list[Tensor], target: Tensor | None = None) -> dict[str, Tensor]:
        target = self.target(clean) if target is None else target
        features, attacked = self.encoder(torch.cat((clean[0], views[0]))).chunk(2)
        with full_precision(features):
            features, attacked = features.float(), attacked.float()
            return {
                "distillation": distance(features, target).mean(),
                "robustness": self.robustness * distance(attacked, features).mean(),  # with a gradient through both
            }

    def weakness(self, views: list[Tensor], clean: list[Tensor], target: Tensor | None = None) -> Tensor:
        """How far each adversarial feature is from what the teacher says of the clean image: (N,) in [0, 2]."""
        target = self.target(clean) if target is None else target
        attacked = self.encoder(views[0])
        with full_precision(attacked):
            return distance(attacked.float(), target)

    @torch.no_grad()
    def target(self, clean: list[Tensor]) -> Tensor:
        """The teacher's features (N, D)."""
        return self.teacher_encoder(clean[0]).float()


METHOD = Method("DeACL", "distillation", DeACL, Settings, PROTOCOL, attacked=True, look=("#B34D4D", (6, 1, 0), "-."))


@own_precision
def distance(first: Tensor, second: Tensor) -> Tensor:
    """One minus the cosine: (N, D), (N, D) -> (N,) in [0, 2]."""
    return 1 - F.cosine_similarity(first, second, dim=1)
