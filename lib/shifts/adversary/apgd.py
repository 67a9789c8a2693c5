"""Auto-PGD: gradient ascent that finds its own step (Croce and Hein 2020, arXiv 2003.01690), and its losses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadInput, one_of
from lib.held import held
from lib.inputs import whole
from lib.precision import own_precision, with_gradients
from lib.shifts.adversary.ball import (
    epsilon_of,
    labels_of,
    pixels_of,
    random_in_ball,
    seeds_of,
    steepest,
    within,
)

Logits = Callable[[Tensor], Tensor]  # images (N, 3, H, W) in [0, 1] -> scores of the classes (N, C)

MOMENTUM = 0.75  # the paper's alpha: the share of the new direction
RISES = 0.75  # rho: the share of steps since the last checkpoint that must have raised the loss


def cross_entropy(scores: Tensor, labels: Tensor) -> Tensor:
    r"""Scores (N, C) and labels (N,) -> (N,), equation 3: :math:`-z_y + \log \sum_j e^{z_j}`.

    Its gradient vanishes where a network is very sure, so that scaling the scores hides from it.
    """
    labels = labels.clone() if labels.is_inference() else labels  # those take no part in gradients
    return F.cross_entropy(scores, labels, reduction="none")


def margin(scores: Tensor, labels: Tensor) -> Tensor:
    r"""By how much the best wrong class leads, above 0 if it does: :math:`\max_{i \ne y} z_i - z_y`, (N,)."""
    own = scores.gather(1, labels[:, None]).squeeze(1)
    return scores.scatter(1, labels[:, None], -torch.inf).amax(dim=1) - own


def dlr(scores: Tensor, labels: Tensor) -> Tensor:
    r"""Difference of logits ratio, equation 6, which neither scale nor shift of the scores changes: (N,).

    .. math:: -\frac{z_y - \max_{i \ne y} z_i}{z_{\pi_1} - z_{\pi_3}}, \qquad z_{\pi_1} \ge z_{\pi_2} \ge \dots
    """
    ordered = scores.sort(dim=1, descending=True).values
    return margin(scores, labels) / (ordered[:, 0] - ordered[:, 2] + 1e-12)


def targeted_dlr(scores: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    r"""Equation 7, towards the classes `targets` (N,): (N,).

    .. math:: -\frac{z_y - z_t}{z_{\pi_1} - (z_{\pi_3} + z_{\pi_4}) / 2}
    """
    ordered = scores.sort(dim=1, descending=True).values
    own, target = (scores.gather(1, classes[:, None]).squeeze(1) for classes in (labels, targets))
    return (target - own) / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + 1e-12)


# Of each loss: the fewest classes that it needs.
CLASSES = {"ce": 2, "margin": 2, "dlr": 3, "dlr-targeted": 4}


@own_precision
@with_gradients
def apgd(
    images: Tensor,
    logits: Logits,
    labels: Tensor,
    epsilon: float | str,
    steps: int = 100,
    norm: str = "linf",
    *,
    modules: nn.Module | Iterable[nn.Module],
    loss: str = "ce",
    restarts: int = 1,
    targets: int = 9,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Adversarial copies of `images` (N, 3, H, W), float32 in [0, 1], against the int64 `labels` (N,).

    `loss` is one of `CLASSES`; "dlr-targeted" makes `restarts` towards each of the `targets` classes that score highest
    beside the label. Images that are classified wrongly come back as they are, and each restart attacks those that are
    still right. Of an image's points one that is classified wrongly is kept, else the one of highest loss. `modules`
    are those that `logits` uses, held in "eval" mode.

    The device is waited for once at first and once a restart, to see which images are left.
    """
    images, epsilon = pixels_of(images), epsilon_of(epsilon, norm)
    labels, seeds = labels_of(labels, images), seeds_of(images, generator)
    steps, restarts, targets = whole(steps, "steps"), whole(restarts, "restarts"), whole(targets, "targets")
    with held(modules):
        with torch.no_grad():
            scores = logits(images).float()
        classes = scores.shape[1]
        labels_of(labels, images, classes)
        if classes < CLASSES[one_of(loss, CLASSES, "loss")]:
            raise BadInput(f"the loss {loss!r} needs at least {CLASSES[loss]} classes, not {classes}")
        ranked = scores.scatter(1, labels[:, None], -torch.inf).argsort(dim=1, descending=True)
        attempts = restarts * (min(targets, classes - 1) if loss == "dlr-targeted" else 1)

        best, fooled = torch.zeros_like(images), scores.argmax(dim=1) != labels
        highest = images.new_full((len(images),), -torch.inf)
        for attempt in range(attempts):
            left = (~fooled).nonzero().flatten()
            if len(left) == 0:
                break
            start = random_in_ball(seeds[left], tuple(images.shape[1:]), epsilon, norm, attempt)
            criterion = {
                "ce": partial(cross_entropy, labels=labels[left]),
                "margin": partial(margin, labels=labels[left]),
                "dlr": partial(dlr, labels=labels[left]),
                "dlr-targeted": partial(targeted_dlr, labels=labels[left], targets=ranked[left, attempt // restarts]),
            }[loss]
            found = _run(images[left], start, logits, labels[left], criterion, epsilon, norm, steps)
            perturbation, height, fooled[left] = found
            better = fooled[left] | (height > highest[left])
            best[left] = _where(better, perturbation, best[left])
            highest[left] = torch.where(better, height, highest[left])
    return images + best


def apgd_worst(
    images: Tensor,
    logits: Logits,
    labels: Tensor,
    epsilon: float | str,
    steps: int = 100,
    norm: str = "linf",
    *,
    modules: nn.Module | Iterable[nn.Module],
    generator: torch.Generator | None = None,
) -> Tensor:
    """`apgd` on cross-entropy and, for what that leaves classified rightly, on DLR: of each image the worse of the two.

    The gradient of cross-entropy vanishes where a network is very sure, that of DLR does not (section 4 of the paper).
    DLR divides by the distance to the third score: with two classes there is none, and it is the `margin` alone that
    is raised. Takes and returns what `apgd` does, and draws both starts from `generator`.
    """
    images, labels = pixels_of(images), labels_of(labels, images)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    found = apgd(images, logits, labels, epsilon, steps, norm, modules=modules, generator=generator)
    with held(modules), torch.no_grad():
        scores = logits(found)
    left = (scores.argmax(dim=1) == labels).nonzero().flatten()
    if len(left):
        loss = "dlr" if scores.shape[1] >= CLASSES["dlr"] else "margin"
        found[left] = apgd(
            images[left], logits, labels[left], epsilon, steps, norm, modules=modules, loss=loss, generator=generator
        )
    return found


def zero_gradient(
    images: Tensor,
    logits: Logits,
    labels: Tensor,
    criterion: Callable[[Tensor, Tensor], Tensor] = cross_entropy,
    *,
    modules: nn.Module | Iterable[nn.Module],
) -> Tensor:
    """Of which of `images` (N, 3, H, W) the gradient of `criterion` is 0 in every pixel: bool (N,).

    Such an image gives an attack by that loss no direction: that it stands tells nothing of robustness.
    """
    images, labels = pixels_of(images).requires_grad_(), labels_of(labels, images)
    with held(modules), torch.enable_grad():
        (gradient,) = torch.autograd.grad(criterion(logits(images).float(), labels).sum(), images)
    return (gradient == 0).all(dim=(1, 2, 3))


def _run(
    images: Tensor, start: Tensor, logits: Logits, labels: Tensor, criterion: Callable[[Tensor], Tensor],
    epsilon: float, norm: str, steps: int,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """Algorithm 1 from one start: for each image the perturbation to keep, its loss and whether it fools."""

    def climb(perturbation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        adversarial = (images + perturbation).requires_grad_()
        with torch.enable_grad():
            scores = logits(adversarial).float()
            values = criterion(scores)
        (gradient,) = torch.autograd.grad(values.sum(), adversarial)
        return values.detach(), gradient, scores.argmax(dim=1) != labels

    here = previous = within(images, start, epsilon, norm)
    height, gradient, fools = climb(here)
    top, top_height, top_gradient = here, height, gradient  # the paper's x_max and f_max
    kept, kept_height, fooled = here, height, fools
    step = images.new_full((len(images), 1, 1, 1), 2 * epsilon)
    rises, halved, last_check, last_top = torch.zeros_like(height), torch.zeros_like(fools), 0, height
    checks = checkpoints(steps)
    for done in range(1, steps + 1):
        share = MOMENTUM if done > 1 else 1.0
        target = within(images, here + step * steepest(gradient, norm), epsilon, norm)
        moved = here + share * (target - here) + (1 - share) * (here - previous)
        previous, here, before = here, within(images, moved, epsilon, norm), height
        height, gradient, fools = climb(here)
        rises = rises + (height > before)

        better = (fools & ~fooled) | ((fools == fooled) & (height > kept_height))
        kept, kept_height, fooled = _where(better, here, kept), torch.where(better, height, kept_height), fools | fooled
        higher = height > top_height
        top, top_gradient = _where(higher, here, top), _where(higher, gradient, top_gradient)
        top_height = torch.where(higher, height, top_height)

        if done in checks:
            few_rises = rises < RISES * (done - last_check)  # condition 1
            stuck = ~halved & (top_height == last_top)  # condition 2: neither halved at the last check nor higher since
            halved = few_rises | stuck
            step = _where(halved, step / 2, step)
            here, gradient = _where(halved, top, here), _where(halved, top_gradient, gradient)
            height = torch.where(halved, top_height, height)
            rises, last_check, last_top = torch.zeros_like(rises), done, top_height
    return kept, kept_height, fooled


def _where(condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
    """Of images or perturbations (N, 3, H, W), chosen for each image."""
    return torch.where(condition[:, None, None, None], yes, no)


def checkpoints(steps: int) -> set[int]:
    r"""After how many steps the step may be halved, section 3.1: :math:`\lceil p_j N \rceil`.

    :math:`p_0 = 0`, :math:`p_1 = 0.22`, :math:`p_{j+1} = p_j + \max(p_j - p_{j-1} - 0.03, 0.06)`; here in hundredths.

    >>> sorted(checkpoints(100))
    [22, 41, 57, 70, 80, 87, 93, 99]
    """
    places, share, gap = set(), 22, 22
    while share <= 100:
        places.add(-(-share * steps // 100))
        gap = max(gap - 3, 6)
        share += gap
    return places
