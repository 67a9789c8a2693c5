"""ProFeAT: distil a standard encoder into a robust one through a projector (Addepalli et al. 2024, arXiv 2406.05796).

The second of two stages, as in DeACL; the first trains the teacher without an adversary. What is here is what the
authors' code computes, and the docstrings name what differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import one_of
from lib.inputs import real, whole, whole_or_none
from lib.methods.deacl import Distilled, distance
from lib.methods.method import Method
from lib.methods.simclr import nt_xent
from lib.precision import full_precision
from lib.views import SUPERVISED, draw, render_checked

PROTOCOL = 1  # bump when a run with the same settings gives other numbers
PROJECTORS = ("learnt", "random")

# The teacher sees crops and flips; the authors crop a padded image, and ours are those of the supervised reference.
WEAK = SUPERVISED[0]
# The student sees the same crops and flips, and colours. The authors draw one of AutoAugment's policies for CIFAR-10;
# of these our views have brightness, contrast, saturation and solarisation. Equalisation and automatic contrast, the
# most frequent ones, are stood in for by more jitter; shear, rotation, translation, sharpness, posterisation and
# inversion are left out.
STRONG = replace(WEAK, jitter=0.5, hue=0.0, solarize=0.1)


@dataclass(frozen=True)
class Settings:
    """`beta` weighs what is robust against what is distilled, and `projected` projections against features, from 0
    (features alone) to 1.

    The `projector` is "learnt" on the frozen teacher's features, or "random", of fixed orthogonal weights: a control.
    """

    beta: float = 2.0  # the default of the authors' code; their script for CIFAR-100 and a wide network has 8
    projected: float = 0.5  # of the authors' code
    projector: str = "learnt"
    temperature: float = 0.2  # of the contrast that a projector is learnt by: SimCLR's here
    hidden: int = 512
    projection: int = 128
    teacher_epochs: int | None = None  # None: as many as the student's

    def __post_init__(self) -> None:
        one_of(self.projector, PROJECTORS, "projector")
        object.__setattr__(self, "beta", float(real(self.beta, "beta", 0)))
        object.__setattr__(self, "projected", float(real(self.projected, "projected", 0, 1)))
        for name in ("hidden", "projection"):
            object.__setattr__(self, name, whole(getattr(self, name), name))
        epochs = whole_or_none(self.teacher_epochs, "teacher_epochs", "the student's")
        object.__setattr__(self, "teacher_epochs", epochs)


class ProFeAT(Distilled):
    """Student and teacher are compared by their features and by what one projector makes of these.

    The student starts as a copy of its teacher, and clean and adversarial images pass it in batches of their own, as in
    the authors' code. There the projector is the one that the teacher was trained with, and it is fixed. Here a run
    hands over its encoder and no head, so that the projector is learnt anew on the frozen teacher: by the teacher's own
    contrast, of its features of the two views, while the student learns. The losses of the student do not move it.

    The teacher's view of an image is made where the student's is cut from it (`origins`), and is not one of `views`: it
    is neither attacked nor learnt from, so that a run costs as many passes as one of DeACL.
    """

    views = (STRONG,)

    def __init__(self, encoder: nn.Module, settings: Settings, teacher: nn.Module) -> None:
        super().__init__(encoder, teacher)
        self.projector = Projector(encoder.features, settings.hidden, settings.projection)
        if settings.projector == "random":
            self.projector.orthogonal_().requires_grad_(False)
        self.settings = settings
        self.shown: Tensor | None = None  # the teacher's views of the batch in hand

    def origins(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> list[Tensor]:
        """The student's view is cut from the images as they are; the teacher's, weaker one is made beside it."""
        images, weak = batch["images"], replace(WEAK, size=self.views[0].size)
        self.shown = render_checked(images, weak, draw(weak, len(images), images.shape[-2:], generator))
        return [images]

    def forward(self, views: list[Tensor], clean: list[Tensor], target: Tensor | None = None) -> dict[str, Tensor]:
        taught = self.taught(clean) if target is None else target[1:]
        features, attacked = self.encoder(clean[0]), self.encoder(views[0])
        with full_precision(features):
            features, attacked = features.float(), attacked.float()
            terms = {
                "distillation": self.apart(features, taught[0]).mean(),
                "robustness": self.settings.beta * self.apart(attacked, features).mean(),  # a gradient through both
            }
            if self.settings.projector == "learnt":
                own, shared = map(self.projector, taught)
                terms["projector"] = nt_xent(own, shared, self.settings.temperature)
            return terms

    def apart(self, first: Tensor, second: Tensor) -> Tensor:
        """How far features (N, D) are from others, and their projections from the others': (N,) in [0, 2]."""
        share, project = self.settings.projected, self.projector.fixed
        return (1 - share) * distance(first, second) + share * distance(project(first), project(second))

    def weakness(self, views: list[Tensor], clean: list[Tensor], target: Tensor | None = None) -> Tensor:
        """How far each adversarial feature is from the student's own of the clean image, and its projection from the
        teacher's: (N,) in [0, 4], both with a weight of one, whatever the loss has."""
        target = self.target(clean) if target is None else target
        attacked = self.encoder(views[0])
        with full_precision(attacked):
            attacked, project = attacked.float(), self.projector.fixed
            return distance(attacked, target[0]) + distance(project(attacked), project(target[1]))

    @torch.no_grad()
    def target(self, clean: list[Tensor]) -> Tensor:
        """The student's features of the clean images, and then those `taught`: (3, N, D).

        The student's are of the mode that the attack has; in the authors' code they are of training mode, and the
        attack of evaluation mode.
        """
        return torch.cat((self.encoder(clean[0]).float()[None], self.taught(clean)))

    @torch.no_grad()
    def taught(self, clean: list[Tensor]) -> Tensor:
        """The teacher's features of its own views and of the student's: (2, N, D).

        Without views of its own, where none were cut for it, it sees the student's.
        """
        shown = clean[0] if self.shown is None else self.shown
        return self.teacher_encoder(torch.cat((shown, clean[0]))).float().unflatten(0, (2, -1))

    def after_batch(self) -> None:
        self.shown = None  # after all replays of the batch


METHOD = Method(
    "ProFeAT", "distillation", ProFeAT, Settings, PROTOCOL, attacked=True, look=("#8C3B4F", (5, 1, 36), "--")
)


class Projector(nn.Module):
    """Two layers without norms, as in the authors' code: (N, width) -> (N, projection)."""

    def __init__(self, width: int, hidden: int, projection: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(width, hidden), nn.Linear(hidden, projection)

    def forward(self, features: Tensor) -> Tensor:
        return self.last(F.relu(self.first(features)))

    def fixed(self, features: Tensor) -> Tensor:
        """The same, with a gradient in the features and none in the weights."""
        hidden = F.linear(features, self.first.weight.detach(), self.first.bias.detach())
        return F.linear(F.relu(hidden), self.last.weight.detach(), self.last.bias.detach())

    def orthogonal_(self) -> Projector:
        """Random weights with orthogonal rows or columns, and no biases."""
        for layer in (self.first, self.last):
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
        return self
