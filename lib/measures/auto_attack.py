"""Robust accuracy by the field's yardstick, AutoAttack (Croce and Hein 2020, arXiv 2003.01690)."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

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
        test = subject.split("test", self.images)
        size = batch_size(test.images.device)
        classifier = Classifier(subject.encoder, subject.probe)
        few, their_labels = test.images[:size], test.labels[:size]
        deterministic(lambda x: cross_entropy(classifier(x), their_labels), few, classifier)
        right = classifier.right(test.images, test.labels)
        alive = pgd_curve(classifier, test.images, test.labels, right, (self.epsilon,))[self.epsilon].clone()
        left = alive.nonzero().flatten()
        if len(left):
            alive[left] = auto_attack(
                test.images[left], classifier, test.labels[left], self.epsilon / 255,
                modules=classifier, batch_size=size,
            )  # fmt: skip
        rows = [
            outcome(CLEAN, "accuracy on its images", right),
            outcome("autoattack", "accuracy", alive, Level(self.epsilon, OF_255)),
        ]
        return as_rows(rows)
