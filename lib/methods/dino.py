"""DINO: match the sharp, centred output of a slow copy; no negatives, no labels (arXiv 2104.14294)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.methods import heads
from lib.methods.crops import cross_prediction, one_pass_per_size
from lib.methods.method import Method
from lib.methods.prototypes import Prototypes
from lib.methods.target import follow, rising, slow_copy
from lib.precision import full_precision, own_precision
from lib.views import MULTI_CROP
from lib.world import mean

PROTOCOL = 2  # bump when a run with the same settings gives other numbers


@dataclass(frozen=True)
class Settings:
    student_temperature: float = 0.1  # section 3.1
    # Of the teacher: from the first of these to the second over the first share of training (section 3.1: 0.04 to 0.07
    # in the first 30 of 300 epochs). In a run of hundreds of steps the paper's teacher is too soft to leave the uniform
    # answer, where the loss is the logarithm of the number of prototypes: it stayed at log 1024 = 6.9 (chosen on
    # validation images: 0.02 to 0.03 gave 38.7 % by neighbours, a constant 0.04 37.0, the paper's 34.1).
    first_temperature: float = 0.02
    teacher_temperature: float = 0.03
    warmup: float = 0.1
    centre_momentum: float = 0.9  # appendix D
    momentum: float = 0.98  # of the teacher at the first step, rising to 1; 0.996 in section 3.1, for longer runs
    prototypes: int = 1024  # outputs; 65,536 in the paper
    hidden: int = 512
    projection: int = 128


class DINO(nn.Module):
    """The teacher reads the two large views, the student all. The head has batch norm, as the encoder has; the authors'
    has it as an option.

    What is evaluated is `encoder`, the student, as of every method here the network that the gradient moves. The
    authors evaluate the teacher, an average of students that is ahead of them during training. At the end its momentum
    is 1, so that it lags behind the last steps.
    """

    views = MULTI_CROP
    uses_labels = False

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(
            heads.projector("BarlowTwins", encoder.features, settings.hidden, settings.projection),
            Prototypes(settings.projection, settings.prototypes),
        )
        self.teacher_encoder, self.teacher_head = slow_copy(encoder), slow_copy(self.head)
        self.register_buffer("centre", torch.zeros(settings.prototypes))
        self.register_buffer("teacher_temperature", torch.tensor(settings.first_temperature))
        self.newest = None
        self.settings = settings

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        student = one_pass_per_size(self.encoder, self.head, views)
        with torch.no_grad():
            teacher = one_pass_per_size(self.teacher_encoder, self.teacher_head, views[:2])
        with full_precision(student[0]):
            teacher = [output.float() for output in teacher]
            self.newest = mean_output(teacher)
            targets = [F.softmax((output - self.centre) / self.teacher_temperature, dim=1) for output in teacher]
            outputs = [output.float() for output in student]
            return {"distillation": cross_prediction(outputs, targets, self.settings.student_temperature)}

    @torch.no_grad()
    def after_step(self, progress: float) -> None:
        momentum = rising(self.settings.momentum, progress)
        follow(self.teacher_encoder, self.encoder, momentum)
        follow(self.teacher_head, self.head, momentum)
        self.centre.lerp_(self.newest, 1 - self.settings.centre_momentum)  # equation 4
        self.teacher_temperature.fill_(warming(self.settings, progress))


METHOD = Method("DINO", "distillation", DINO, Settings, PROTOCOL, look=("#A34700", "X", "-."))


@own_precision
def mean_output(outputs: list[Tensor]) -> Tensor:
    """What the centre follows (equation 4): the mean over views and images of the batch, (N, K) each -> (K,)."""
    return mean(torch.cat(outputs).mean(dim=0))


def warming(settings: Settings, progress: float) -> float:
    """The teacher's temperature when a share of `progress` in [0, 1] of the training is done: a line, then constant."""
    share = min(1.0, progress / settings.warmup) if settings.warmup else 1.0
    return settings.first_temperature + share * (settings.teacher_temperature - settings.first_temperature)
