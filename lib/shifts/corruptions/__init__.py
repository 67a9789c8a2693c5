"""Common corruptions of whole batches at once: those of CIFAR-10-C and ImageNet-C, and CIFAR-10-C-bar's.

`CORRUPTIONS` are the 15 of the benchmark, in its four `GROUPS`; `EXTRA` the four that its authors held back for
validation; `BAR` the ten that were made to differ from all of these.

Sources: Hendrycks & Dietterich 2019, "Benchmarking neural network robustness to common corruptions and perturbations"
(arXiv 1903.12261); Mintun, Kirillov & Xie 2021, "On interaction between augmentations and corruptions in natural
corruption robustness" (arXiv 2102.11273); and their code, quirks included; each function names its own.
"""

from __future__ import annotations

import math
import numbers
import zlib

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.memory import sent
from lib.randomness import image_seeds, mix, seed_of
from lib.shifts.corruptions import bar
from lib.shifts.corruptions.blur import defocus_blur, gaussian_blur, glass_blur, motion_blur, zoom_blur
from lib.shifts.corruptions.constants import CIFAR10, IMAGENET, WHOLE
from lib.shifts.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate, saturate
from lib.shifts.corruptions.filters import truncate
from lib.shifts.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from lib.shifts.corruptions.spatter import spatter
from lib.shifts.corruptions.weather import brightness, fog, frost, snow

PROTOCOL = 1  # bump when the numbers that come out change

_FUNCTIONS = {  # each takes (pixels, seeds, *its row of constants), as noise.py says, whether it draws or not
    "noise": (gaussian_noise, shot_noise, impulse_noise),
    "blur": (defocus_blur, glass_blur, motion_blur, zoom_blur),
    "weather": (snow, frost, fog, brightness),
    "digital": (contrast, elastic_transform, pixelate, jpeg_compression),
    "extra": (speckle_noise, gaussian_blur, spatter, saturate),
    "bar": tuple(getattr(bar, name) for name in bar.CIFAR10_BAR),
}
_BY_NAME = {function.__name__: function for functions in _FUNCTIONS.values() for function in functions}
_NAMES = {family: tuple(function.__name__ for function in functions) for family, functions in _FUNCTIONS.items()}

GROUPS = {group: _NAMES[group] for group in ("noise", "blur", "weather", "digital")}
CORRUPTIONS = sum(GROUPS.values(), ())
EXTRA, BAR = _NAMES["extra"], _NAMES["bar"]
EVERY = CORRUPTIONS + EXTRA + BAR
SEVERITIES = (1, 2, 3, 4, 5)
CONSTANTS = {"cifar10": CIFAR10 | bar.CIFAR10_BAR, "imagenet": IMAGENET | bar.IMAGENET_BAR}

_SMALLEST = 16  # px; the longest reflection of ImageNet-C's defocus is 10
_CHUNK = {"cpu": 1 << 16, "cuda": 1 << 22}  # pixels at once: on a CPU what stays in its cache


def corrupt(
    images: Tensor, name: str, severity: float, constants: str | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """Corrupted copies of square uint8 `images` (N, 3, H, H), on the same device.

    `name` is one of `EVERY`. `severity` is any number from 1 to 5: between two rows of the table its constants are
    interpolated. `constants` are those of "cifar10" (taken below 64 px if none are named) or "imagenet"; C-bar's own
    five have those of "cifar10" alone, which scale with the side. `generator`, on the CPU, gives each image its seed;
    none means a new one with seed 0. Image i gets the same bytes whatever the batch is cut into: one call on 8 images
    draws what two calls on 3 and 5 draw. Other corruptions and severities draw other noise from the same seed.

    >>> corrupt(torch.full((1, 3, 32, 32), 128, dtype=torch.uint8), "brightness", 5)[0, :, 0, 0]
    tensor([204, 204, 204], dtype=torch.uint8)
    """
    name = one_of(name, EVERY, "corruption")
    if not isinstance(images, Tensor) or images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        given = f"{images.dtype} {tuple(images.shape)}" if isinstance(images, Tensor) else type(images).__name__
        raise BadInput(f"corrupt takes uint8 images of shape (N, 3, H, W), not {given}")
    count, _, height, side = images.shape
    if height != side or side < _SMALLEST:
        raise BadInput(f"images must be square with a side of at least {_SMALLEST} px, not {height} x {side}")
    if constants is None:
        constants = "cifar10" if side < 64 or name not in CONSTANTS["imagenet"] else "imagenet"
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise BadInput("generator must be a torch.Generator on the CPU, whatever the device of the images")

    arguments = constants_at(name, severity, constants)
    level = int(severity) if severity == int(severity) else float(severity)
    seeds = sent(image_seeds(count, generator), images.device)
    seeds = mix(seeds + zlib.crc32(f"{name} {level}".encode()))
    chunk = max(1, _CHUNK["cuda" if images.is_cuda else "cpu"] // side**2)
    corrupted = torch.empty_like(images, memory_format=torch.contiguous_format)
    for part in (slice(first, first + chunk) for first in range(0, count, chunk)):
        pixels = images[part].contiguous().float()
        corrupted[part] = truncate(_BY_NAME[name](pixels, seeds[part], *arguments))
    return corrupted


def constants_at(name: str, severity: float, table: str) -> tuple[float, ...]:
    """The constants of a corruption at any severity from 1 to 5: a row of the table, or between two of its rows.

    Those that are whole numbers by nature (rounds, counts, qualities) are rounded, halves up.
    """
    if name not in CONSTANTS[one_of(table, CONSTANTS, "constants")]:
        tables = ", ".join(known for known in CONSTANTS if name in CONSTANTS[known])
        raise BadInput(f"{name} has no constants of {table}; allowed: {tables}")
    if isinstance(severity, bool) or not isinstance(severity, numbers.Real) or not 1 <= severity <= 5:
        raise BadInput(f"severity is a number from 1 to 5, not {severity!r}")
    rows = [row if isinstance(row, tuple) else (row,) for row in CONSTANTS[table][name]]
    below = min(math.floor(severity), 4)
    share = float(severity) - below
    if share in (0, 1):
        return rows[below - 1 + int(share)]
    between = [a + share * (b - a) for a, b in zip(rows[below - 1], rows[below], strict=True)]
    return tuple(
        math.floor(value + 0.5) if place in WHOLE.get(name, ()) else value for place, value in enumerate(between)
    )


def corrupted_alike(images: Tensor, name: str, severity: float, constants: str | None = None, first: int = 0) -> Tensor:
    """`corrupt` with one fixed seed for each corruption and severity: all that ask for image i get equal pictures.

    `images` are those from place `first` of their set on.
    """
    whole, part = divmod(severity, 1) if isinstance(severity, numbers.Real) else (0, 0)
    fraction = (round(part * 1e6),) if part else ()
    seed = seed_of(EVERY.index(one_of(name, EVERY, "corruption")), int(whole), *fraction)
    generator = torch.Generator().manual_seed(seed)
    image_seeds(first, generator)
    return corrupt(images, name, severity, constants, generator)
