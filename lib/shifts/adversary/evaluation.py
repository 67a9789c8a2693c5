"""How many images survive: attacks one after the other, each on those that are still classified rightly."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from lib.errors import BadInput, one_of
from lib.held import held
from lib.inputs import whole
from lib.precision import own_precision, with_gradients
from lib.progress import bar
from lib.shifts.adversary.apgd import CLASSES, Logits
from lib.shifts.adversary.ball import NORMS, epsilon_of, labels_of, pixels_of


def in_chunks(
    attack: Callable[..., Tensor], images: Tensor, *beside: Tensor, batch_size: int = 500, progress: bool = True
) -> Tensor:
    """`attack(images, *beside)` for `batch_size` images at a time, with a progress bar; the results, one an image.

    `beside` are tensors with one entry an image, such as labels.
    """
    batch_size = whole(batch_size, "batch_size")
    results = []
    with bar(progress, total=len(images), unit="image", leave=False) as shown:
        for parts in zip(*(tensor.split(batch_size) for tensor in (images, *beside)), strict=True):
            results.append(attack(*parts))
            shown.update(len(parts[0]))
    return torch.cat(results)


@own_precision
def survives(
    images: Tensor,
    logits: Logits,
    labels: Tensor,
    attacks: Sequence[Callable[[Tensor, Tensor], Tensor]],
    *,
    modules: nn.Module | Iterable[nn.Module],
) -> Tensor:
    """Whether each of `images` (N, 3, H, W) is classified rightly as it is and after every attack: bool (N,).

    An attack takes images and labels and returns adversarial images; each gets those that the ones before it left. The
    mean is the robust accuracy. Of the four of AutoAttack's standard, all but FAB-T are here::

        attack = partial(apgd, logits=logits, epsilon="8/255", modules=encoder)
        attacks = [
            lambda images, labels: attack(images, labels=labels),
            lambda images, labels: attack(images, labels=labels, loss="dlr-targeted"),
            lambda images, labels: square(images, logits, labels, "8/255", modules=encoder),
        ]
    """
    images = pixels_of(images)
    labels = labels_of(labels, images)

    def right(images: Tensor, labels: Tensor) -> Tensor:
        with held(modules), torch.no_grad():
            scores = logits(images)
            labels_of(labels, images, scores.shape[1])
            return scores.argmax(dim=1) == labels

    alive = right(images, labels)
    for attack in attacks:
        left = alive.nonzero().flatten()
        if len(left) == 0:
            break
        alive[left] = right(attack(images[left], labels[left]), labels[left])
    return alive


@own_precision
@with_gradients
def auto_attack(
    images: Tensor,
    logits: Logits,
    labels: Tensor,
    epsilon: float | str,
    norm: str = "linf",
    *,
    modules: nn.Module | Iterable[nn.Module],
    version: str = "standard",
    batch_size: int = 500,
    seed: int = 0,
) -> Tensor:
    """Whether each of `images` (N, 3, H, W) survives AutoAttack, by its authors' code: bool (N,).

    "standard" is APGD on cross-entropy, APGD and FAB towards nine classes, and Square Attack with 5000 queries (Croce
    and Hein 2020, arXiv 2003.01690); "plus" and "rand" are its longer version and that for random models. With fewer
    than ten classes the targeted ones try all. `modules` are those that `logits` uses, held in "eval" mode; the
    package's seeds leave the global generators alone. Needs the package `pyautoattack`.
    """
    try:
        from pyautoattack import AutoAttack
    except ImportError as error:
        raise BadInput("AutoAttack needs the package pyautoattack; install it by `pip install pyautoattack`") from error
    images, epsilon = pixels_of(images), epsilon_of(epsilon, norm)
    labels = labels_of(labels, images)
    one_of(version, ("standard", "plus", "rand"), "version")
    with held(modules):
        with torch.no_grad():
            classes = logits(images[:1]).shape[1]
        labels_of(labels, images, classes)
        if classes < CLASSES["dlr-targeted"]:
            raise BadInput(f"AutoAttack needs at least {CLASSES['dlr-targeted']} classes, not {classes}")
        attack = AutoAttack(
            logits, norm=dict(zip(NORMS, ("Linf", "L2"), strict=True))[norm], eps=epsilon, seed=seed,
            version=version, device=images.device,
        )  # fmt: skip
        for targeted in (attack.apgd_targeted, attack.fab):
            targeted.n_target_classes = min(targeted.n_target_classes, classes - 1)
        _, predicted = attack.run_standard_evaluation(images, labels, batch_size=batch_size)
    return predicted == labels
