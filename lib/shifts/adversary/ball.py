"""What an adversary may do: move an image within a small ball around it, and stay a picture.

Perturbations are float32 (N, 3, H, W), one for each image, in the scale of pixels in [0, 1].
"""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
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
    """A point of the ball for each of the (N,) `seeds`, uniform in its volume: (N, *shape)."""
    if one_of(norm, NORMS, "norm") == "linf":
        return uniform(seeds, shape, 2 * stream).mul_(2).sub_(1).mul_(epsilon)
    direction = normal(seeds, shape, 2 * stream)
    # A ball of radius r holds the share (r / epsilon)^d of the volume: in high dimension nearly all is at the surface.
    radius = epsilon * uniform(seeds, (1, 1, 1), 2 * stream + 1) ** (1 / math.prod(shape))
    return direction * (radius / _length(direction))


def pixels_of(images: Tensor, check: bool = True) -> Tensor:
    """Images (N, 3, H, W), uint8 or float in [0, 1], as float32 in [0, 1].

    The check of the range of floats waits for the device, once; no `check` trusts whoever made them.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3 or not len(images):
        given = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise BadInput(f"an attack takes images of shape (N, 3, H, W), at least one, not {given}")
    if images.dtype == torch.uint8:
        return images.float().div_(255)
    if not images.is_floating_point():
        raise BadInput(f"an attack takes images of uint8 or of floats in [0, 1], not {images.dtype}")
    if not check:
        return images.detach().float()
    low, high = torch.stack(images.detach().aminmax()).tolist()
    if not (low >= 0 and high <= 1):  # so that NaN is refused too
        raise BadInput(
            f"an attack takes float images with values in [0, 1], before any normalisation, not {low:.3g} to {high:.3g}"
        )
    return images.detach().float()


def labels_of(labels: Tensor, images: Tensor) -> Tensor:
    """Int64 labels (N,), one for each image, on the images' device."""
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != images.shape[:1]:
        given = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise BadInput(f"an attack on {len(images)} images takes int64 labels of shape ({len(images)},), not {given}")
    return labels.to(images.device)


def whole(value: int, what: str) -> int:
    """`value` if it is a whole number of at least 1."""
    if type(value) is not int or value < 1:
        raise BadInput(f"{what} is a whole number of at least 1, not {value!r}")
    return value


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
