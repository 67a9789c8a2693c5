"""A linear probe that was trained on adversarial images, the encoder frozen: is there a robust read-out?"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from lib.inputs import whole
from lib.measures.features import extract
from lib.measures.probe import fit_probe
from lib.measures.robust_accuracy import PROTOCOL as ROBUST_PROTOCOL
from lib.measures.robust_accuracy import Classifier, batch_size, outcome, pgd_curve
from lib.measures.rows import CLEAN, OF_255, Level, as_rows
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.adversary import cross_entropy, in_chunks, pgd

PROTOCOL = f"{ROBUST_PROTOCOL}.2"
METRIC = "accuracy of the adversarial probe"
VALIDATION_IMAGES = 500
EPSILON, STEP = 8, 2  # of the attack on training images, in 255ths
EPSILONS = (4, 8)


@dataclass(frozen=True)
class AdversarialProbe:
    """A probe against an adversary that moves along with it, on the first `images` test images.

    The RobustSSL benchmark calls this adversarial linear fine-tuning (ALF) and trains the probe by stochastic gradient
    descent, each batch attacked anew. Ours alternates, and every fit is run as far as float32 goes like those of other
    probes. It begins with the probe of the clean features of the first `train_images` training images. Each of `rounds`
    attacks these images against the current probe (PGD, `steps` steps of 2/255 in a ball of 8/255, from a random start)
    and adds what the encoder makes of them to a pool, on which the next probe is fitted. Clean features are not in the
    pool; features of earlier rounds are, or the probe would flee from one attack into the other. The weight decay is
    chosen on 500 validation images that went through the same, and of the probes of all rounds, the first included,
    that one is kept that is right on most of them under an attack of its own: not every round is a gain.

    Metric "accuracy of the adversarial probe" of shifts "none" and "pgd" at levels 4 and 8 of 255 (20 steps,
    one start).
    """

    train_images: int = 2_000
    images: int = 500
    steps: int = 5
    rounds: int = 5

    def __post_init__(self) -> None:
        for name in ("train_images", "images", "steps", "rounds"):
            object.__setattr__(self, name, whole(getattr(self, name), name))

    @property
    def identity(self) -> str:
        return (
            f"adversarial_probe(train_images={self.train_images}, images={self.images}, steps={self.steps}, "
            f"rounds={self.rounds})#{PROTOCOL}"
        )

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        train, validation = subject.split("train"), subject.split("validation", VALIDATION_IMAGES)
        classifier = self.fit(
            subject.encoder, train.images[: self.train_images], train.labels[: self.train_images],
            validation.images, validation.labels,
        )  # fmt: skip
        test = subject.split("test", self.images)
        right = classifier.right(test.images, test.labels)
        curve = pgd_curve(classifier, test.images, test.labels, right, EPSILONS)
        rows = [outcome(CLEAN, METRIC, right)]
        rows += [outcome("pgd", METRIC, alive, Level(epsilon, OF_255)) for epsilon, alive in curve.items()]
        return as_rows(rows)

    def fit(
        self, encoder: nn.Module, images: Tensor, labels: Tensor, others: Tensor, others_labels: Tensor
    ) -> Classifier:
        """`encoder` with the probe of the best round; `others` are the validation images."""
        generator = torch.Generator().manual_seed(0)
        probe = fit_probe(extract(encoder, images), labels, extract(encoder, others), others_labels)
        pool, others_pool, best, most = [], [], None, -1
        for done in range(1, self.rounds + 2):
            classifier = Classifier(encoder, probe)
            others_pool.append(self._moved(classifier, others, others_labels, generator))
            right = int((probe.predict(others_pool[-1]) == others_labels).sum())
            if right > most:
                best, most = classifier, right
            if done <= self.rounds:
                pool.append(self._moved(classifier, images, labels, generator))
                seen = torch.cat(others_pool), others_labels.repeat(done)
                probe = fit_probe(torch.cat(pool), labels.repeat(done), *seen)
        return best  # type: ignore[return-value]

    def _moved(self, classifier: Classifier, images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        """Features (N, D) of adversarial copies of `images`."""

        def attack(images: Tensor, labels: Tensor) -> Tensor:
            adversarial = pgd(
                images, lambda x: cross_entropy(classifier(x), labels), EPSILON / 255, STEP / 255, self.steps,
                modules=classifier, keep="last", generator=generator,
            )  # fmt: skip
            return extract(classifier.encoder, adversarial)

        return in_chunks(attack, images, labels, batch_size=batch_size(images.device), progress=False)
