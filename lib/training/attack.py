"""Adversarial training: what an adversary does to views before, or while, the method learns from them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.errors import BadInput, one_of
from lib.precision import autocast
from lib.shifts.adversary import MODES, FreePerturbation, epsilon_of, pgd, random_in_ball, steepest, within
from lib.shifts.adversary.ball import seeds_of

VIEWS = ("all", "last")
QUIRKS = {"summed gradients": ("fgsm", "pgd"), "cyclic schedule": ("free",)}  # and the attacks that can have them


@dataclass(frozen=True)
class Attack:
    """An L-infinity adversary in training. `name` is "fgsm", "pgd(k)" with k steps or "free(m)" with m replays.

    FGSM and PGD raise the method's loss before each step of the optimiser (Madry et al. 2018, arXiv 1706.06083), from
    a "random" point of the ball or from "zero". Free training replays each batch m times; one backward moves the
    weights and a perturbation that is carried on (Shafahi et al. 2019, arXiv 1904.12843).

    `epsilon` and `step` are in the scale of pixels in [0, 1], or texts like "8/255". A step of None is 1.25 epsilon for
    FGSM (Wong et al. 2020, arXiv 2001.03994), a quarter of epsilon for PGD and epsilon for free training. `views` are
    those attacked, jointly: "all", or the "last" while the others stay clean. During the attack batch norm is in `mode`
    "batch", that of training, or "eval", that of the encoder as it will be used (see `lib.held`).
    Free training has no attack of its own, and so no mode but "batch".

    `quirk` repeats what the public code of arXiv 2501.03507 does and its paper does not say, as an experiment: "summed
    gradients" steps on the sum of the gradients of all attack passes and the last, and lets the passes update batch
    norm; "cyclic schedule" counts the schedule in replays but its length in batches, so that the rate returns.
    """

    name: str
    epsilon: float | str = "8/255"
    step: float | str | None = None
    views: str = "all"
    start: str = "random"
    mode: str = "batch"
    quirk: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not re.fullmatch(r"fgsm|(pgd|free)\([1-9][0-9]*\)", self.name):
            raise BadInput(f"attack is None, 'fgsm', 'pgd(5)' or 'free(3)' with any such number, not {self.name!r}")
        epsilon = epsilon_of(self.epsilon)
        share = {"fgsm": 1.25, "pgd": 0.25, "free": 1.0}[self.kind]
        step = min(1.0, share * epsilon) if self.step is None else epsilon_of(self.step, what="step")
        object.__setattr__(self, "epsilon", epsilon)
        object.__setattr__(self, "step", step)
        one_of(self.views, VIEWS, "views of an attack")
        one_of(self.start, ("random", "zero"), "start")
        one_of(self.mode, MODES, "mode")
        if self.mode != "batch" and (self.kind == "free" or self.quirk):
            raise BadInput(f"{self.name}{' with a quirk' if self.quirk else ''} attacks in the mode 'batch' alone")
        if self.quirk is not None and self.kind not in QUIRKS[one_of(self.quirk, QUIRKS, "quirk")]:
            raise BadInput(f"{self.quirk} is a quirk of {' and '.join(QUIRKS[self.quirk])}, not of {self.name}")

    @property
    def kind(self) -> str:
        return self.name.split("(")[0]

    @property
    def count(self) -> int:
        """Steps of PGD (1 for FGSM), replays of free training."""
        return int(self.name[len(self.kind) + 1 : -1] or 1)

    @property
    def replays(self) -> int:
        """Optimiser steps for each batch."""
        return self.count if self.kind == "free" else 1

    @property
    def steps(self) -> int:
        """Attack passes before each step of the optimiser."""
        return 0 if self.kind == "free" else self.count


def passes(views: float, attack: Attack | None, compares_clean: bool = False) -> float:
    """How often views of an image go forward and backward in an epoch: what training costs, whatever the machine.

    Without attack that is the number of `views`, of which small ones count by their areas (`lib.views.cost`). A method
    that `compares_clean` views learns from them as well. What goes forward alone, such as a slow copy or a teacher,
    does not count.
    """
    learnt = views * (2 if compares_clean else 1)
    return learnt * (attack.replays if attack else 1) + views * (attack.steps if attack else 0)


def needs_attack(method: nn.Module | type[nn.Module]) -> bool:
    """Whether the method's loss compares adversarial with clean views (see `lib.methods`)."""
    return getattr(method, "needs_attack", False)


def loss_terms(
    method: nn.Module, views: list[Tensor], clean: list[Tensor], labels: Tensor, target: Tensor | None = None
) -> dict[str, Tensor]:
    """The method's named terms on `views`, which are the `clean` ones or what an adversary made of them.

    `target` is what an attack has found out already of the clean views; only a method whose `target_is_fixed` asks.
    """
    known = {"target": target} if getattr(method, "target_is_fixed", False) else {}
    return method(*_given(method, views, clean, labels), **known)


def _given(method: nn.Module, views: list[Tensor], clean: list[Tensor], labels: Tensor) -> tuple:
    return (views, *((clean,) if needs_attack(method) else ()), *((labels,) if method.uses_labels else ()))


class Adversary:
    """Carries out an `Attack` on one method, step by step. `state` is what a checkpoint needs."""

    def __init__(self, attack: Attack, method: nn.Module, precision: str, forward: nn.Module | None = None) -> None:
        """`forward` is the compiled method where there is one; a `weakness` is then compiled too."""
        if attack.kind == "free" and hasattr(method, "weakness"):
            raise BadInput("free training has one loss for weights and attack; this method attacks by another: use pgd")
        self.attack, self.method, self.precision = attack, method, precision
        self.forward, self.weakness = forward or method, getattr(method, "weakness", None)
        if self.weakness and self.forward is not method:
            self.weakness = torch.compile(self.weakness)
        self.target: Tensor | None = None  # of the batch: what the attack passes compare with and do not change
        self.free = FreePerturbation(attack.epsilon, attack.step) if attack.kind == "free" else None

    @property
    def state(self) -> Tensor | None:
        return self.free.delta if self.free else None

    @state.setter
    def state(self, delta: Tensor | None) -> None:
        if self.free:
            self.free.delta = delta

    def attacked(self, clean: list[Tensor], labels: Tensor, seed: int) -> list[Tensor]:
        """The views to learn from. Leaves weights and statistics alone, but for the quirk that does not."""
        if len({view.shape[1:] for view in clean}) > 1:
            raise BadInput("an attack needs views of one size, not large and small crops")
        kept = clean[:-1] if self.attack.views == "last" else []
        self.pictures = torch.cat(clean[len(kept) :]).clamp(0, 1)  # rounding may leave [0, 1]
        self.target = None
        if self.free:
            self.adversarial = self.free.added_to(self.pictures)
            return [*kept, *self.adversarial.split(len(labels))]

        def loss(adversarial: Tensor) -> Tensor:
            views = [*kept, *adversarial.split(len(labels))]
            with autocast(adversarial.device, self.precision):
                return self._weakness(views, clean, labels)

        generator = torch.Generator().manual_seed(seed)
        if self.attack.quirk == "summed gradients":
            adversarial = self._summing(loss, generator)
        else:
            adversarial = pgd(
                self.pictures, loss, self.attack.epsilon, self.attack.step, self.attack.steps, modules=self.method,
                mode=self.attack.mode, start=self.attack.start, keep="last", generator=generator,
                check=False,
            )  # fmt: skip
        return [*kept, *adversarial.split(len(labels))]

    def after_backward(self) -> None:
        """Free training's other half: the gradient that the weights got moves the perturbation too."""
        if self.free:
            self.free.ascend(self.pictures, self.adversarial.grad)

    def _weakness(self, views: list[Tensor], clean: list[Tensor], labels: Tensor) -> Tensor:
        given = _given(self.method, views, clean, labels)
        if self.weakness is None:
            return sum(self.forward(*given).values())
        if not hasattr(self.method, "target"):
            return self.weakness(*given)
        if self.target is None:  # in the first pass, under the modes that all passes have
            self.target = self.method.target(clean)
        return self.weakness(*given, target=self.target)

    def _summing(self, loss, generator: torch.Generator) -> Tensor:
        """PGD whose backward passes add to the gradients of the weights, in training mode."""
        epsilon, step, pictures = self.attack.epsilon, self.attack.step, self.pictures
        delta = torch.zeros_like(pictures)
        if self.attack.start == "random":
            seeds = seeds_of(pictures, generator)
            delta = within(pictures, random_in_ball(seeds, tuple(pictures.shape[1:]), epsilon), epsilon)
        for _ in range(self.attack.steps):
            adversarial = (pictures + delta).requires_grad_()
            loss(adversarial).sum().backward()
            delta = within(pictures, delta + step * steepest(adversarial.grad), epsilon)
        return pictures + delta
