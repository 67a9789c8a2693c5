"""What an adversary may do: move an image within a small ball around it, and stay an image.

Perturbations are float32 (N, 3, H, W), one for each image, in the scale of pixels in [0, 1].
"""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import check_labels, plain, unit_images
from lib.memory import sent
from lib.randomness import image_seeds, normal, uniform

NORMS = ("linf", "l2")  # no pixel moves further than epsilon; all of them together do not
_TINY = torch.finfo(torch.float32).tiny  # a length to divide by


def epsilon_of(value: float | str, norm: str = "linf", what: str = "epsilon") -> float:
    """A radius (or the step that `what` names) in the scale of pixels in [0, 1], from a number or a text.

    No pixel can move by more than 1; the L2 length of a whole image's perturbation may be larger.

    >>> epsilon_of("8/255") == 8 / 255
    True
    >>> epsilon_of(8)
    Traceback (most recent call last):
    lib.errors.BadInput: epsilon 8 looks like the scale of 0 to 255, but pixels are in [0, 1]; write '8/255'
    """
    value = plain(value)
    try:
        above, below = value.split("/") if isinstance(value, str) and "/" in value else (value, 1)
        number = float(above) / float(below)
    except (TypeError, ValueError, ArithmeticError):
        number = math.nan
    if isinstance(value, bool) or not isinstance(value, numbers.Real | str) or not 0 <= number < math.inf:
        raise BadInput(f"{what} is a number of at least 0 or a text like '8/255', not {value!r}")
    if one_of(norm, NORMS, "norm") == "linf" and number > 1:
        raise BadInput(
            f"{what} {value} looks like the scale of 0 to 255, but pixels are in [0, 1]; write '{number:g}/255'"
        )
    return number


def project(perturbation: Tensor, epsilon: float, norm: str = "linf") -> Tensor:
    """The nearest point of the ball of radius `epsilon` around 0, for each image."""
    if one_of(norm, NORMS, "norm") == "linf":
        return perturbation.clamp(-epsilon, epsilon)
    return perturbation * (epsilon / _length(perturbation)).clamp(max=1)


def within(images: Tensor, perturbation: Tensor, epsilon: float, norm: str = "linf") -> Tensor:
    """`project`, then clip so that images + perturbation is in [0, 1]: that only shortens it, so the ball holds it."""
    return project(perturbation, epsilon, norm).minimum(1 - images).maximum(-images)


def steepest(gradient: Tensor, norm: str = "linf") -> Tensor:
    """The move of length 1 in `norm` that raises a loss of this `gradient` most; 0 where the gradient is 0.

    The sign of each entry for L-infinity, the gradient divided by its length for L2.
    """
    if one_of(norm, NORMS, "norm") == "linf":
        return gradient.sign()
    gradient = gradient / gradient.abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=_TINY)  # squares must not vanish
    return gradient / _length(gradient)


def random_in_ball(
    seeds: Tensor, shape: tuple[int, ...], epsilon: float, norm: str = "linf", stream: int = 0
) -> Tensor:
    """A point of the ball for each of the (N,) `seeds`, uniform in its volume: `(N, *shape)`."""
    if one_of(norm, NORMS, "norm") == "linf":
        return uniform(seeds, shape, 2 * stream).mul_(2).sub_(1).mul_(epsilon)
    direction = normal(seeds, shape, 2 * stream)
    # A ball of radius r holds the share (r / epsilon)^d of the volume: in high dimension nearly all is at the surface.
    radius = epsilon * uniform(seeds, (1, 1, 1), 2 * stream + 1) ** (1 / math.prod(shape))
    return direction * (radius / _length(direction))


def pixels_of(images: Tensor, check: bool = True) -> Tensor:
    """Images (N, 3, H, W), uint8 or float in [0, 1], as new float32 ones in [0, 1].

    The check waits for the device, once; no `check` trusts whoever made the float images.
    """
    return unit_images(images, "an attack", some=True).detach() if check else images.detach().float()


def labels_of(labels: Tensor, images: Tensor, classes: int | None = None) -> Tensor:
    """Int64 labels (N,), one for each image, on the images' device; from 0 to `classes` - 1. Waits for the device."""
    labels = check_labels(labels, len(images), "an attack", classes).to(images.device)
    return labels.clone() if labels.is_inference() else labels  # those take no part in gradients


def seeds_of(images: Tensor, generator: torch.Generator | None) -> Tensor:
    """A seed for each image, drawn from `generator`, which lives on the CPU; none means a new one with seed 0.

    Image i so gets the same random numbers on every device and whatever the images are cut into.
    """
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise BadInput("generator must be a torch.Generator on the CPU, whatever the device of the images")
    return sent(image_seeds(len(images), generator), images.device)


def _length(x: Tensor) -> Tensor:
    """L2 length of each image's entries, never 0: (N, 1, 1, 1)."""
    return torch.linalg.vector_norm(x, dim=(1, 2, 3), keepdim=True).clamp(min=_TINY)
