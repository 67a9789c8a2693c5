"""Common corruptions of whole batches at once: those of CIFAR-10-C and ImageNet-C, and CIFAR-10-C-bar's.

`CORRUPTIONS` are the 15 of the benchmark, in its four `GROUPS`; `EXTRA` the four that its authors held back for
validation; `BAR` the ten that were made to differ from all of these.

Sources: Hendrycks & Dietterich 2019, "Benchmarking neural network robustness to common corruptions and perturbations"
(arXiv 1903.12261); Mintun, Kirillov & Xie 2021, "On interaction between augmentations and corruptions in natural
corruption robustness" (arXiv 2102.11273); and their code, quirks included; each function names its own.
"""

from __future__ import annotations

import math
import zlib

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import check_images, real
from lib.memory import sent
from lib.precision import own_precision
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

# Number, family and function of each corruption: the function takes (pixels, seeds, *its row of constants), as noise.py
# says, whether it draws or not. The number is its own for good and decides its draws in `corrupted_alike`: a new
# corruption takes the next one, and no other's images change.
_TABLE = (
    (0, "noise", gaussian_noise),
    (1, "noise", shot_noise),
    (2, "noise", impulse_noise),
    (3, "blur", defocus_blur),
    (4, "blur", glass_blur),
    (5, "blur", motion_blur),
    (6, "blur", zoom_blur),
    (7, "weather", snow),
    (8, "weather", frost),
    (9, "weather", fog),
    (10, "weather", brightness),
    (11, "digital", contrast),
    (12, "digital", elastic_transform),
    (13, "digital", pixelate),
    (14, "digital", jpeg_compression),
    (15, "extra", speckle_noise),
    (16, "extra", gaussian_blur),
    (17, "extra", spatter),
    (18, "extra", saturate),
    *((19 + place, "bar", getattr(bar, name)) for place, name in enumerate(bar.CIFAR10_BAR)),
)
NUMBERS = {function.__name__: number for number, _, function in _TABLE}
_BY_NAME = {function.__name__: function for _, _, function in _TABLE}
_NAMES = {
    family: tuple(function.__name__ for _, its, function in _TABLE if its == family)
    for family in dict.fromkeys(family for _, family, _ in _TABLE)
}

GROUPS = {group: _NAMES[group] for group in ("noise", "blur", "weather", "digital")}
CORRUPTIONS = sum(GROUPS.values(), ())
EXTRA, BAR = _NAMES["extra"], _NAMES["bar"]
EVERY = sum(_NAMES.values(), ())
FAMILY = {name: family for family, names in _NAMES.items() for name in names}
SEVERITIES = (1, 2, 3, 4, 5)
CONSTANTS = {"cifar10": CIFAR10 | bar.CIFAR10_BAR, "imagenet": IMAGENET | bar.IMAGENET_BAR}

SMALLEST = 16  # px; the longest reflection of ImageNet-C's defocus is 10
_CHUNK = {"cpu": 1 << 16, "cuda": 1 << 22}  # pixels at once: on a CPU what stays in its cache


@own_precision
def corrupt(
    images: Tensor, name: str, severity: float, constants: str | None = None, generator: torch.Generator | None = None
) -> Tensor:
    """Corrupted copies of square uint8 `images` (N, 3, H, H), on the same device.

    `name` is one of `EVERY`. `severity` is any number from 1 to 5, of any kind (5, 5.0, np.int64(5)); between two rows
    of the table its constants are interpolated. `constants` are those of "cifar10" (taken below 64 px if none are
    named) or "imagenet"; C-bar's own five have those of "cifar10" alone, which scale with the side. `generator`, on the
    CPU, gives each image its seed; none means a new one with seed 0. Image i gets the same bytes whatever the batch is
    cut into: one call on 8 images draws what two calls on 3 and 5 draw. Other corruptions and severities draw other
    noise from the same seed.

    >>> corrupt(torch.full((1, 3, 32, 32), 128, dtype=torch.uint8), "brightness", 5)[0, :, 0, 0]
    tensor([204, 204, 204], dtype=torch.uint8)
    """
    name = one_of(name, EVERY, "corruption")
    count, _, _, side = check_images(images, "corrupt", square=True, least=SMALLEST).shape
    severity = real(severity, "severity", 1, 5)
    if constants is None:
        constants = "cifar10" if side < 64 or name not in CONSTANTS["imagenet"] else "imagenet"
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        raise BadInput("generator must be a torch.Generator on the CPU, whatever the device of the images")

    arguments = constants_at(name, severity, constants)
    seeds = sent(image_seeds(count, generator), images.device)
    seeds = mix(seeds + zlib.crc32(f"{name} {severity}".encode()))
    chunk = max(1, _CHUNK["cuda" if images.is_cuda else "cpu"] // side**2)
    corrupted = torch.empty_like(images, memory_format=torch.contiguous_format)
    for part in (slice(first, first + chunk) for first in range(0, count, chunk)):
        pixels = images[part].contiguous().float()
        corrupted[part] = truncate(_BY_NAME[name](pixels, seeds[part], *arguments))
    return corrupted


def constants_at(name: str, severity: float, table: str) -> tuple[float, ...]:
    """The constants of a corruption at any severity from 1 to 5: a row of the table, or between two of its rows.

    Those that are whole numbers by nature (rounds, counts, qualities) are rounded, halves up.

    >>> constants_at("gaussian_noise", 1, "cifar10"), constants_at("gaussian_noise", 1.5, "cifar10")
    ((0.04,), (0.05,))
    """
    if name not in CONSTANTS[one_of(table, CONSTANTS, "constants")]:
        tables = ", ".join(known for known in CONSTANTS if name in CONSTANTS[known])
        raise BadInput(f"{name} has no constants of {table}; allowed: {tables}")
    severity = real(severity, "severity", 1, 5)
    rows = [row if isinstance(row, tuple) else (row,) for row in CONSTANTS[table][name]]
    below = min(math.floor(severity), 4)
    share = severity - below
    if share in (0, 1):
        return rows[below - 1 + int(share)]
    between = [a + share * (b - a) for a, b in zip(rows[below - 1], rows[below], strict=True)]
    return tuple(
        math.floor(value + 0.5) if place in WHOLE.get(name, ()) else value for place, value in enumerate(between)
    )


def corrupted_alike(images: Tensor, name: str, severity: float, constants: str | None = None, first: int = 0) -> Tensor:
    """`corrupt` with one fixed seed for each corruption and severity: all that ask for image i get equal images.

    `images` are those from place `first` of their set on.

    >>> grey = torch.full((3, 3, 32, 32), 128, dtype=torch.uint8)
    >>> noisy = corrupted_alike(grey, "gaussian_noise", 3)
    >>> torch.equal(noisy[0], noisy[1]), torch.equal(noisy[1:], corrupted_alike(grey[1:], "gaussian_noise", 3, first=1))
    (False, True)
    """
    whole, part = divmod(real(severity, "severity", 1, 5), 1)
    fraction = (round(part * 1e6),) if part else ()
    seed = seed_of(NUMBERS[one_of(name, EVERY, "corruption")], int(whole), *fraction)
    generator = torch.Generator().manual_seed(seed)
    image_seeds(first, generator)
    return corrupt(images, name, severity, constants, generator)
