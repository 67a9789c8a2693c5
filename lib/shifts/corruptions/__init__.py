"""The 15 common corruptions of CIFAR-10-C and ImageNet-C, for whole batches at once.

Source: Hendrycks & Dietterich 2019, "Benchmarking neural network robustness to common corruptions
and perturbations" (arXiv 1903.12261), and its code, quirks included; each function names its own.
"""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.randomness import image_seeds, mix
from lib.shifts.corruptions.blur import defocus_blur, glass_blur, motion_blur, zoom_blur
from lib.shifts.corruptions.constants import CIFAR10, IMAGENET
from lib.shifts.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate
from lib.shifts.corruptions.filters import truncate
from lib.shifts.corruptions.noise import gaussian_noise, impulse_noise, shot_noise
from lib.shifts.corruptions.weather import brightness, fog, frost, snow

PROTOCOL = 1  # bump when the numbers that come out change

_FUNCTIONS = {  # each takes (pixels, seeds, *its row of constants), as noise.py says, whether it draws or not
    "noise": (gaussian_noise, shot_noise, impulse_noise),
    "blur": (defocus_blur, glass_blur, motion_blur, zoom_blur),
    "weather": (snow, frost, fog, brightness),
    "digital": (contrast, elastic_transform, pixelate, jpeg_compression),
}
_BY_NAME = {function.__name__: function for functions in _FUNCTIONS.values() for function in functions}

GROUPS = {group: tuple(function.__name__ for function in functions) for group, functions in _FUNCTIONS.items()}
CORRUPTIONS = tuple(_BY_NAME)
SEVERITIES = (1, 2, 3, 4, 5)
CONSTANTS = {"cifar10": CIFAR10, "imagenet": IMAGENET}

_SMALLEST = 16  # px; the longest reflection of ImageNet-C's defocus is 10
_CHUNK = {"cpu": 1 << 16, "cuda": 1 << 22}  # pixels at once: on a CPU what stays in its cache


def corrupt(
    images: Tensor, name: str, severity: int, constants: str | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """Corrupted copies of square uint8 `images` (N, 3, H, H), on the same device.

    `constants` are those of "cifar10" (taken below 64 px if none are named) or "imagenet". `generator`,
    on the CPU, gives each image its seed; none means a new one with seed 0. Image i gets the same bytes
    whatever the batch is cut into: one call on 8 images draws what two calls on 3 and 5 draw. Other
    corruptions and severities draw other noise from the same seed.

    >>> corrupt(torch.full((1, 3, 32, 32), 128, dtype=torch.uint8), "brightness", 5)[0, :, 0, 0]
    tensor([204, 204, 204], dtype=torch.uint8)
    """
    name = one_of(name, CORRUPTIONS, "corruption")
    severity = one_of(severity, SEVERITIES, "severity")
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        given = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise BadInput(f"corrupt takes uint8 images of shape (N, 3, H, W), not {given}")
    count, _, height, side = images.shape
    if height != side or side < _SMALLEST:
        raise BadInput(f"images must be square with a side of at least {_SMALLEST} px, not {height} x {side}")
    if constants is None:
        constants = "cifar10" if side < 64 else "imagenet"
    constants = one_of(constants, CONSTANTS, "constants")
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise BadInput("generator must be a torch.Generator on the CPU, whatever the device of the images")

    arguments = CONSTANTS[constants][name][severity - 1]
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    seeds = image_seeds(count, generator).to(images.device)
    seeds = mix(seeds + zlib.crc32(f"{name} {severity}".encode()))
    chunk = max(1, _CHUNK["cuda" if images.is_cuda else "cpu"] // side**2)
    corrupted = torch.empty_like(images, memory_format=torch.contiguous_format)
    for part in (slice(first, first + chunk) for first in range(0, count, chunk)):
        pixels = images[part].contiguous().float()
        corrupted[part] = truncate(_BY_NAME[name](pixels, seeds[part], *arguments))
    return corrupted
