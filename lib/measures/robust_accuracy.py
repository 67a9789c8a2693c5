r"""Robust accuracy: how often a linear probe is still right on the worst that an adversary found near each image.

All adversaries move each pixel by at most epsilon, which is counted in 255ths, the steps of a byte. An image that is
classified wrongly without any adversary counts as fallen, and so does one for which any point that an attack keeps is
classified wrongly. An attack finds an upper bound: what survives it may fall to a better one.

Encoder, head and probe compute in float32, whatever precision the run was trained in: pixels from a half to 1 are
1/256 apart in bfloat16, so a perturbation would be rounded away and a small gradient lose its sign, and what only hides
from the adversary would count as robust.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch
from torch import Tensor, nn

from lib.errors import BadInput, one_of
from lib.inputs import check_images, check_labels, whole
from lib.measures import probe as linear_probe
from lib.measures.features import at_once
from lib.measures.invariance import chance_similarity, cosine
from lib.measures.probe import Probe, fit_probe
from lib.measures.rows import CLEAN, NO_LEVEL, OF_255, Level, as_rows, number, row
from lib.measures.subject import Subject
from lib.precision import full_precision, own_precision
from lib.shifts.adversary import apgd_worst, cross_entropy, dlr, fgsm, held, margin, pgd, square, zero_gradient

PROTOCOL = f"{linear_probe.PROTOCOL}.1"  # bump the last number when rows change for other reasons
ROWS_PROTOCOL = f"{PROTOCOL}.2"  # of the rows of `RobustAccuracy` alone
AT = 8  # the field's epsilon, in 255ths
AT_HEAD = (4, 8)
QUERIES = 1_000  # of Square Attack
APGD_STEPS = 50
OTHERS = ("fgsm", "pgd-2", "apgd", "square")
OF_HEAD = "accuracy of the head"
ZERO_GRADIENT, ZERO_GRADIENT_OF_DLR = "zero gradient", "zero gradient of DLR"
FOOLED = 1e4  # more than any cross-entropy

Attack = Callable[[Tensor, Tensor, torch.Generator], Tensor]  # images and labels -> adversarial images


class Classifier(nn.Module):
    """Encoder, what may follow it, and probe as one function of images, with the gradient that an attack climbs."""

    def __init__(self, encoder: nn.Module, probe: Probe, head: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder, self.head = encoder, nn.Identity() if head is None else head
        # A tensor that was made in inference mode takes no part in gradients; its copy does.
        with torch.inference_mode(False):
            copies = {name: getattr(probe, name).clone() for name in ("mean", "std", "weight", "bias")}
        self.probe = replace(probe, **copies)

    def forward(self, images: Tensor) -> Tensor:
        """Float images (N, 3, H, W) in [0, 1] -> scores (N, C)."""
        with full_precision(images):
            return self.probe.scores(self.head(self.encoder(images)))

    def right(self, images: Tensor, labels: Tensor) -> Tensor:
        """Whether each of `images` (N, 3, H, W), uint8 or float in [0, 1], is classified rightly: bool (N,)."""
        check_images(images, "Classifier.right", floats=True, some=True)
        check_labels(labels, len(images), "Classifier.right")
        with held(self), torch.no_grad():
            scores = [self(pixels(batch)) for batch in images.split(at_once(self.encoder, images.device))]
        return torch.cat(scores).argmax(dim=1) == labels


def batch_size(device: torch.device) -> int:
    """How many images at once: a CPU's cache holds the activations of so many."""
    return 128 if device.type == "cpu" else 512


def batches(alive: Tensor, size: int) -> Sequence[Tensor]:
    """Indices of what is alive, (N,) bool, at most `size` at once; none at all if nothing is."""
    return alive.nonzero().flatten().split(size) if alive.any() else ()


def pixels(images: Tensor) -> Tensor:
    """uint8 or float images as float32 in [0, 1]."""
    return images.float() if images.is_floating_point() else images.float().div_(255)


def fooling(scores: Tensor, labels: Tensor) -> Tensor:
    """What PGD raises: cross-entropy (N,), with a bonus where the prediction is wrong, whose gradient is 0.

    With more than two classes a point that is classified rightly can have a higher cross-entropy than one that fools,
    and an attack that keeps the highest would let the image survive.
    """
    return cross_entropy(scores, labels) + FOOLED * (scores.argmax(dim=1) != labels)


def pgd_attack(classifier: Classifier, epsilon: float, steps: int) -> Attack:
    """PGD from one random start in the ball of `epsilon` 255ths, by steps of a quarter of it."""

    def attack(images: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        return pgd(
            images, lambda x: fooling(classifier(x), labels), epsilon / 255, epsilon / 4 / 255, steps,
            modules=classifier, generator=generator,
        )  # fmt: skip

    return attack


def left_standing(
    classifier: Classifier, images: Tensor, labels: Tensor, alive: Tensor, attack: Attack, seed: int = 0
) -> Tensor:
    """Which of `images` (N, 3, H, W) `attack` leaves right: bool (N,). Only those of `alive` (N,) are attacked."""
    alive, generator = alive.clone(), torch.Generator().manual_seed(seed)
    for chosen in batches(alive, at_once(classifier.encoder, images.device)):
        alive[chosen] = classifier.right(attack(images[chosen], labels[chosen], generator), labels[chosen])
    return alive


def pgd_curve(
    classifier: Classifier,
    images: Tensor,
    labels: Tensor,
    alive: Tensor,
    epsilons: tuple[float, ...],
    steps: int = 20,
    restarts: int = 1,
) -> dict[float, Tensor]:
    """Which of `images` survive PGD at each of the ascending `epsilons`, in 255ths: bool (N,) each.

    Each restart attacks what the ones before left. An image that falls at one epsilon has fallen at all larger ones:
    its adversarial image is in their balls as well. So the curve never rises, and fallen images cost nothing more.
    """
    standing = {}
    for epsilon in epsilons:
        for restart in range(restarts):
            attack = pgd_attack(classifier, epsilon, steps)
            alive = left_standing(classifier, images, labels, alive, attack, seed=restart)
        standing[epsilon] = alive
    return standing


def ascending(epsilons: tuple[float, ...]) -> None:
    """Refuse `epsilons` that are not radii in 255ths from small to large."""
    if not epsilons or any(e <= 0 or e > 255 for e in epsilons) or list(epsilons) != sorted(set(epsilons)):
        raise BadInput(f"epsilons are one or more ascending numbers above 0 and up to 255, in 255ths, not {epsilons!r}")


def outcome(shift: str, metric: str, right: Tensor, level: Level = NO_LEVEL) -> tuple:
    """`row` from a tensor of one outcome an image, (N,)."""
    return row(shift, metric, right.cpu().numpy(), level)


@dataclass(frozen=True)
class RobustAccuracy:
    """The standard linear probe (SLF, its features and itself trained on clean images) under attack.

    On the first `images` test images. Level is epsilon in 255ths. Metric "accuracy" of shifts

    - "none": no attack;
    - "pgd" at each of `epsilons`: `steps` steps on cross-entropy from each of `restarts` random starts (see
      `pgd_curve`);
    - at 8, those of `others`, each on its own from all images that are right without an attack: "fgsm", one step of 8;
      "pgd-2", two steps of 2.55 from the image itself, the default of a public evaluation script, which cannot move a
      pixel by more than 5.1; "apgd", 50 steps on cross-entropy and, for what these leave, 50 on DLR (with two classes,
      which have no DLR, on the margin of the scores); "square", 1,000 queries of Square Attack, which sees no gradient:
      if fewer images survive it than "pgd", gradients hide something.

    What moves in the representation, in hundredths: metric "similarity" of shift "pgd" at 8, the cosine of the features
    of each image, right or wrong, and of its adversarial image (one start), and metric "similarity chance" of shift
    "none", that of different images, above which alone a similarity means anything.

    Metrics "zero gradient" and "zero gradient of DLR" of shift "none": the share of images that are classified rightly
    and whose gradient by cross-entropy, or by the second loss of "apgd", is 0 in every pixel. Attacks by that loss have
    no way to go there.

    For runs with a head, metric "accuracy of the head" of shifts "none" and "pgd" at 4 and 8: that of a linear probe on
    the head's features, the ones that EMP-SSL and its robust variants evaluate.
    """

    images: int = 500
    epsilons: tuple[float, ...] = (1, 2, 4, 8, 16, 32)
    steps: int = 20
    restarts: int = 2
    others: tuple[str, ...] = OTHERS

    def __post_init__(self) -> None:
        ascending(self.epsilons)
        for name in ("images", "steps", "restarts"):
            object.__setattr__(self, name, whole(getattr(self, name), name))
        for name in self.others:
            one_of(name, OTHERS, "attack")

    @property
    def identity(self) -> str:
        some = "" if self.others == OTHERS else f", others={' '.join(self.others) or 'none'}"
        return (
            f"robust_accuracy(images={self.images}, epsilons={' '.join(f'{e:g}' for e in self.epsilons)}, "
            f"steps={self.steps}, restarts={self.restarts}{some})#{ROWS_PROTOCOL}"
        )

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        test = subject.split("test", self.images)
        classifier = Classifier(subject.encoder, subject.probe)
        right = classifier.right(test.images, test.labels)
        curve = pgd_curve(classifier, test.images, test.labels, right, self.epsilons, self.steps, self.restarts)
        rows = [outcome(CLEAN, "accuracy", right)]
        rows += [outcome("pgd", "accuracy", alive, Level(epsilon, OF_255)) for epsilon, alive in curve.items()]
        for name, attack in _others(classifier).items():
            if name not in self.others:
                continue
            alive = left_standing(classifier, test.images, test.labels, right, attack)
            rows.append(outcome(name, "accuracy", alive, Level(AT, OF_255)))
        rows += _zero_gradients(classifier, test.images, test.labels, right)
        rows += self._similarity(classifier, test.images, test.labels)
        if subject.head is not None:
            rows += self._head(subject, test.images, test.labels)
        return as_rows(rows)

    def _similarity(self, classifier: Classifier, images: Tensor, labels: Tensor) -> list[tuple]:
        attack, generator = pgd_attack(classifier, AT, self.steps), torch.Generator().manual_seed(0)
        clean, moved, size = [], [], at_once(classifier.encoder, images.device)
        for image, label in zip(*(part.split(size) for part in (images, labels)), strict=True):
            adversarial = attack(image, label, generator)
            with held(classifier), full_precision(adversarial), torch.no_grad():
                clean.append(classifier.encoder(pixels(image)))
                moved.append(classifier.encoder(adversarial))
        clean, moved = torch.cat(clean), torch.cat(moved)
        return [
            outcome("pgd", "similarity", cosine(clean, moved), Level(AT, OF_255)),
            number(CLEAN, "similarity chance", 100 * chance_similarity(clean), len(clean)),
        ]

    def _head(self, subject: Subject, images: Tensor, labels: Tensor) -> list[tuple]:
        with held(subject.head), torch.no_grad():
            train, validation = (subject.head(subject.features(name)) for name in ("train", "validation"))
        probe = fit_probe(train, subject.split("train").labels, validation, subject.split("validation").labels)
        classifier = Classifier(subject.encoder, probe, subject.head)
        right = classifier.right(images, labels)
        curve = pgd_curve(classifier, images, labels, right, AT_HEAD, self.steps, self.restarts)
        rows = [outcome(CLEAN, OF_HEAD, right)]
        return rows + [outcome("pgd", OF_HEAD, alive, Level(epsilon, OF_255)) for epsilon, alive in curve.items()]


def _zero_gradients(classifier: Classifier, images: Tensor, labels: Tensor, right: Tensor) -> list[tuple]:
    """For how many images that are `right` (N,) a loss shows no way: of cross-entropy and of what APGD raises after."""
    second = dlr if len(classifier.probe.weight) >= 3 else margin
    rows = []
    for metric, criterion in ((ZERO_GRADIENT, cross_entropy), (ZERO_GRADIENT_OF_DLR, second)):
        size = at_once(classifier.encoder, images.device)
        parts = (tensor.split(size) for tensor in (images, labels))
        zero = [
            zero_gradient(batch, classifier, answers, criterion, modules=classifier)
            for batch, answers in zip(*parts, strict=True)
        ]
        rows.append(outcome(CLEAN, metric, torch.cat(zero) & right))
    return rows


def _others(classifier: Classifier) -> dict[str, Attack]:
    """The attacks at `AT` beside PGD."""
    epsilon = AT / 255

    def loss(labels: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda x: cross_entropy(classifier(x), labels)

    return {
        "fgsm": lambda images, labels, generator: fgsm(images, loss(labels), epsilon, modules=classifier),
        "pgd-2": lambda images, labels, generator: pgd(
            images, loss(labels), epsilon, 2.55 / 255, 2, modules=classifier, start="zero", keep="last"
        ),
        "apgd": lambda images, labels, generator: apgd_worst(
            images, classifier, labels, epsilon, APGD_STEPS, modules=classifier, generator=generator
        ),
        "square": lambda images, labels, generator: square(
            images, classifier, labels, epsilon, QUERIES, modules=classifier, generator=generator
        ),
    }
