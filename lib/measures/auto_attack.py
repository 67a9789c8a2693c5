"""Robust accuracy by the field's yardstick, AutoAttack (Croce and Hein 2020, arXiv 2003.01690)."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from lib.inputs import whole
from lib.measures.robust_accuracy import PROTOCOL as ROBUST_PROTOCOL
from lib.measures.robust_accuracy import Classifier, ascending, batch_size, outcome, pgd_curve
from lib.measures.rows import CLEAN, OF_255, Level, as_rows
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.adversary import auto_attack, cross_entropy, deterministic

PROTOCOL = f"{ROBUST_PROTOCOL}.1"


@dataclass(frozen=True)
class AutoAttackAccuracy:
    """Metric "accuracy" of shift "autoattack" at level `epsilon`, in 255ths, on the first `images` test images.

    The standard linear probe under AutoAttack's standard version by its authors' code. The code gets the images that
    our PGD (20 steps, one start) leaves right, which saves most of its time: an image that PGD breaks is broken, so the
    two together find at least what AutoAttack alone does. Shift "none" has the metric "accuracy on its images", without
    an attack. A warning says if two forwards of the encoder differ: then the attack would climb the gradient of one
    draw, and the number flatters.
    """

    images: int = 200
    epsilon: float = 8

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", whole(self.images, "images"))
        ascending((self.epsilon,))

    @property
    def identity(self) -> str:
        return f"auto_attack_accuracy(images={self.images}, epsilon={self.epsilon:g})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        right, curve = _curve(subject, self.images, (self.epsilon,))
        return as_rows([outcome(CLEAN, "accuracy on its images", right), *_attacked(curve)])


@dataclass(frozen=True)
class AutoAttackCurve:
    """Metric "accuracy" of shift "autoattack" at several levels, `epsilons` in 255ths, on the first `images` test
    images: beside `AutoAttackAccuracy`, which has their accuracy without an attack, it tells how much sooner than at
    the field's 8/255 an encoder falls.

    Each radius is attacked as there, on the images that PGD and the smaller radii leave right.
    """

    images: int = 200
    epsilons: tuple[float, ...] = (2, 4)

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", whole(self.images, "images"))
        object.__setattr__(self, "epsilons", tuple(self.epsilons))
        ascending(self.epsilons)

    @property
    def identity(self) -> str:
        radii = " ".join(f"{epsilon:g}" for epsilon in self.epsilons)
        return f"auto_attack_curve(images={self.images}, epsilons={radii})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        return as_rows(_attacked(_curve(subject, self.images, self.epsilons)[1]))


def _curve(subject: Subject, images: int, epsilons: tuple[float, ...]) -> tuple[Tensor, dict[float, Tensor]]:
    """Of the first test images (N,) bool: those that are right, and those that are at each radius, in 255ths."""
    test = subject.split("test", images)
    size = batch_size(test.images.device)
    classifier = Classifier(subject.encoder, subject.probe)
    few, their_labels = test.images[:size], test.labels[:size]
    deterministic(lambda x: cross_entropy(classifier(x), their_labels), few, classifier)
    right = classifier.right(test.images, test.labels)
    before, found = right, {}
    for epsilon, alive in pgd_curve(classifier, test.images, test.labels, right, epsilons).items():
        alive = alive & before
        left = alive.nonzero().flatten()
        if len(left):
            alive[left] = auto_attack(
                test.images[left], classifier, test.labels[left], epsilon / 255, modules=classifier, batch_size=size
            )
        found[epsilon] = before = alive
    return right, found


def _attacked(curve: dict[float, Tensor]) -> list[tuple]:
    return [outcome("autoattack", "accuracy", alive, Level(epsilon, OF_255)) for epsilon, alive in curve.items()]
