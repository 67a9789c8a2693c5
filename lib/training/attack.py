"""Adversarial training: what an adversary does to views before, or while, the method learns from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib import world
from lib.errors import BadInput, one_of
from lib.memory import sent
from lib.precision import autocast
from lib.randomness import image_seeds
from lib.shifts.adversary import MODES, FreePerturbation, epsilon_of, pgd, random_in_ball, steepest, within
from lib.views import View

VIEWS = ("all", "last")
PARTNERS = ("other", "same")
QUIRKS = {"summed gradients": ("fgsm", "pgd"), "cyclic schedule": ("free",)}  # and the attacks that can have them


@dataclass(frozen=True)
class Attack:
    """An L-infinity adversary in training. `name` is "fgsm", "pgd(k)" with k steps or "free(m)" with m replays.

    FGSM and PGD raise the method's loss before each step of the optimiser (Madry et al. 2018, arXiv 1706.06083), from
    a "random" point of the ball or from "zero". Free training replays each batch m times; one backward moves the
    weights and a perturbation that is carried on (Shafahi et al. 2019, arXiv 1904.12843).

    `epsilon` and `step` are in the scale of pixels in [0, 1], or texts like "8/255". A step of None is 1.25 epsilon for
    FGSM (Wong et al. 2020, arXiv 2001.03994), a quarter of epsilon for PGD and epsilon for free training. `views` are
    those attacked, jointly: "all", or while the others stay clean the "last" that the loss has a gradient through,
    which of MoCo v2 is the query. During the attack batch norm is in `mode` "batch", that of training, or "eval", that
    of the encoder as it will be used (see `lib.held`). Free training has no attack of its own, and so no mode but
    "batch".

    `partner` is what the last view is told from, or drawn to, while it is attacked: each "other" view, as in training,
    or in their places the "same" view without perturbation, from which the public code of arXiv 2501.03507 drives its
    SimCLR, starting at zero. It learns from the other view all the same.

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
    partner: str = "other"

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
        if one_of(self.partner, PARTNERS, "partner") == "same" and (self.kind == "free" or self.views != "last"):
            raise BadInput(
                f"{self.name} on the views {self.views!r} has the partner 'other': 'same' is for fgsm and pgd on 'last'"
            )
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
    def scheduled(self) -> int:
        """Optimiser steps for each batch, as the length of the schedule counts them."""
        return 1 if self.quirk == "cyclic schedule" else self.replays

    @property
    def steps(self) -> int:
        """Attack passes before each step of the optimiser."""
        return 0 if self.kind == "free" else self.count


def passes(views: float, attack: Attack | None, compares_clean: bool = False) -> float:
    """How often views of an image go forward and backward in an epoch: what training costs, whatever the machine.

    Without attack that is the number of `views`, of which small ones count by their areas (`lib.views.cost`), and mixed
    images as views (`lib.methods.mixed_of`). A method
    that `compares_clean` views learns from them as well. What goes forward alone, such as a slow copy or a teacher,
    does not count.
    """
    learnt = views * (2 if compares_clean else 1)
    return learnt * (attack.replays if attack else 1) + views * (attack.steps if attack else 0)


def needs_attack(method: nn.Module | type[nn.Module]) -> bool:
    """Whether the method's loss compares adversarial with clean views (see `lib.methods`)."""
    return getattr(method, "needs_attack", False)


def unfit(attack: Attack, method: nn.Module | type[nn.Module], views: Sequence[View]) -> str | None:
    """What a method, or its class, of these `views` has that `attack` cannot do with; None where they fit.

    The rest of a sentence that begins with the method's name. An attack must move every view that it says it attacks.
    """
    if len({view.size for view in views}) > 1:
        return "has large and small crops, and an attack needs views of one size: use None"
    if attack.kind == "free" and hasattr(method, "weakness"):
        return "attacks by another loss than it learns by: use 'pgd(k)' or 'fgsm', not free"
    if attack.views == "all" and len(_queries(method, len(views))) < len(views):
        return "has no gradient through some of its views: attack its views 'last', the last that has one"
    if attack.start == "zero" and getattr(method, "flat_at_zero", False):
        return "attacks by a distance that has no slope at zero: use the start 'random'"
    if attack.partner == "same" and len(views) == 1:
        return "has one view, which needs no partner: use the partner 'other'"
    return None


def _queries(method: nn.Module | type[nn.Module], count: int) -> Sequence[int]:
    """The numbers of those of `count` views that the loss has a gradient through (see `lib.methods`)."""
    return getattr(method, "queries", range(count))


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
    """Carries out an `Attack` on one method, step by step. `state` is what a checkpoint needs.

    Of several processes each attacks its own images, and starts where one process would (`lib.world`).
    """

    def __init__(self, attack: Attack, method: nn.Module, precision: str, forward: nn.Module | None = None) -> None:
        """`forward` is the compiled method where there is one; a `weakness` is then compiled too."""
        if reason := unfit(attack, method, method.views):
            raise BadInput(f"{type(method).__name__} {reason}")
        if getattr(method, "has_negatives", False):
            raise BadInput("negatives are for training without an attack: one of the two is None")
        self.attack, self.method, self.precision = attack, method, precision
        self.forward, self.weakness = forward or method, getattr(method, "weakness", None)
        if self.weakness and self.forward is not method:
            self.weakness = torch.compile(self.weakness)
        self.target: Tensor | None = None  # of the batch: what the attack passes compare with and do not change
        self.free = FreePerturbation(attack.epsilon, attack.step) if attack.kind == "free" else None

    @property
    def places(self) -> list[int]:
        """The numbers of the views that are attacked."""
        places = list(_queries(self.method, len(self.method.views)))
        return places[-1:] if self.attack.views == "last" else places

    @property
    def state(self) -> Tensor | None:
        """Of the whole batch, whoever has it."""
        if self.free is None or self.free.delta is None:
            return None
        with world.sharing():
            return world.gathered(self.free.delta.unflatten(0, (len(self.places), -1)), axis=1).flatten(0, 1)

    @state.setter
    def state(self, delta: Tensor | None) -> None:
        if self.free and delta is not None:
            with world.sharing():
                self.free.delta = world.share(delta.unflatten(0, (len(self.places), -1)), axis=1).flatten(0, 1)

    def attacked(self, clean: list[Tensor], labels: Tensor, seed: int) -> list[Tensor]:
        """The views to learn from. Leaves weights and statistics alone, except for the quirk that does not."""
        if len({view.shape[1:] for view in clean}) > 1:
            raise BadInput("an attack needs views of one size, not large and small crops")
        places = self.places
        self.images = torch.cat([clean[place] for place in places]).clamp(0, 1)  # rounding may leave [0, 1]
        self.target = None
        if self.free:
            self.adversarial = self.free.added_to(self.images)
            return _put(clean, places, self.adversarial)
        beside = clean if self.attack.partner == "other" else [self.images] * len(clean)

        def loss(adversarial: Tensor) -> Tensor:
            views = _put(beside, places, adversarial)
            with autocast(adversarial.device, self.precision):
                return self._weakness(views, clean, labels)

        start = self._start(len(places), torch.Generator().manual_seed(seed))
        if self.attack.quirk == "summed gradients":
            adversarial = self._summing(loss, start)
        else:
            adversarial = pgd(
                self.images, loss, self.attack.epsilon, self.attack.step, self.attack.steps, modules=self.method,
                mode=self.attack.mode, start=start, keep="last", check=False,
            )  # fmt: skip
        return _put(clean, places, adversarial)

    def after_backward(self) -> None:
        """Free training's other half: the gradient that the weights got moves the perturbation too."""
        if self.free:
            self.free.ascend(self.images, self.adversarial.grad)

    def _weakness(self, views: list[Tensor], clean: list[Tensor], labels: Tensor) -> Tensor:
        given = _given(self.method, views, clean, labels)
        if self.weakness is None:
            return sum(self.forward(*given).values())
        if not hasattr(self.method, "target"):
            return self.weakness(*given)
        if self.target is None:  # in the first pass, under the modes that all passes have
            self.target = self.method.target(clean)
        return self.weakness(*given, target=self.target)

    def _start(self, views: int, generator: torch.Generator) -> Tensor:
        """Where the perturbations of the `views`, which are one behind the other, begin."""
        if self.attack.start == "zero":
            return torch.zeros_like(self.images)

        def draw(count: int) -> Tensor:
            return image_seeds(views * count, generator).view(views, count).T

        seeds = world.drawn(len(self.images) // views, draw).T.flatten()
        return random_in_ball(sent(seeds, self.images.device), tuple(self.images.shape[1:]), self.attack.epsilon)

    def _summing(self, loss: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
        """PGD whose backward passes add to the gradients of the weights, in training mode."""
        epsilon, step, images = self.attack.epsilon, self.attack.step, self.images
        delta = within(images, start, epsilon)
        for _ in range(self.attack.steps):
            adversarial = (images + delta).requires_grad_()
            loss(adversarial).sum().backward()
            delta = within(images, delta + step * steepest(adversarial.grad), epsilon)
        return images + delta


def _put(views: list[Tensor], places: list[int], adversarial: Tensor) -> list[Tensor]:
    """`views` with those at `places` replaced by the parts of `adversarial`, which are one behind the other."""
    parts = dict(zip(places, adversarial.chunk(len(places)), strict=True))
    return [parts.get(place, view) for place, view in enumerate(views)]
