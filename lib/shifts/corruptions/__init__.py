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
from importlib import import_module

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import check_images, real
from lib.memory import sent
from lib.precision import own_precision
from lib.randomness import image_seeds, mix, seed_of
from lib.shifts.corruptions.filters import NUDGE

PROTOCOL = 1  # bump when the numbers that come out change

# Number, family and place ("file.function") of each corruption. The function takes (pixels, seeds, *its row of
# constants), as noise.py says, whether it draws or not. The number is its own for good and decides its draws in
# `corrupted_alike`: a new corruption takes the next one, and no other's images change.
_TABLE = (
    (0, "noise", "noise.gaussian_noise"),
    (1, "noise", "noise.shot_noise"),
    (2, "noise", "noise.impulse_noise"),
    (3, "blur", "blur.defocus_blur"),
    (4, "blur", "blur.glass_blur"),
    (5, "blur", "blur.motion_blur"),
    (6, "blur", "blur.zoom_blur"),
    (7, "weather", "weather.snow"),
    (8, "weather", "weather.frost"),
    (9, "weather", "weather.fog"),
    (10, "weather", "weather.brightness"),
    (11, "digital", "digital.contrast"),
    (12, "digital", "digital.elastic_transform"),
    (13, "digital", "digital.pixelate"),
    (14, "digital", "digital.jpeg_compression"),
    (15, "extra", "noise.speckle_noise"),
    (16, "extra", "blur.gaussian_blur"),
    (17, "extra", "spatter.spatter"),
    (18, "extra", "digital.saturate"),
    (19, "bar", "bar.blue_noise_sample"),
    (20, "bar", "bar.checkerboard_cutout"),
    (21, "bar", "bar.inverse_sparkles"),
    (22, "bar", "bar.pinch_and_twirl"),
    (23, "bar", "bar.ripple"),
    (24, "bar", "bar.brownish_noise"),
    (25, "bar", "bar.circular_motion_blur"),
    (26, "bar", "bar.lines"),
    (27, "bar", "bar.sparkles"),
    (28, "bar", "bar.transverse_chromatic_abberation"),
)
_PLACES = {place.split(".")[1]: place.split(".")[0] for _, _, place in _TABLE}
_FILES = {file: import_module(f"{__name__}.{file}") for file in ("constants", *dict.fromkeys(_PLACES.values()))}
BY_NAME = {name: getattr(_FILES[file], name) for name, file in _PLACES.items()}
NUMBERS = dict(zip(_PLACES, (number for number, _, _ in _TABLE), strict=True))
_NAMES = {
    family: tuple(name for name, (_, its, _) in zip(_PLACES, _TABLE, strict=True) if its == family)
    for family in dict.fromkeys(family for _, family, _ in _TABLE)
}

GROUPS = {group: _NAMES[group] for group in ("noise", "blur", "weather", "digital")}
CORRUPTIONS = sum(GROUPS.values(), ())
EXTRA, BAR = _NAMES["extra"], _NAMES["bar"]
EVERY = sum(_NAMES.values(), ())
FAMILY = {name: family for family, names in _NAMES.items() for name in names}
SEVERITIES = (1, 2, 3, 4, 5)
# Five severities of each, mildest first: those of the benchmark are in constants.py, others beside their functions.
CONSTANTS: dict[str, dict[str, tuple]] = {
    table: {name: rows for file in _FILES.values() for name, rows in getattr(file, table.upper(), {}).items()}
    for table in ("cifar10", "imagenet")
}
_BYTES = {name for file in _FILES.values() for name in getattr(file, "BYTES", ())}
_WHOLE = {name: places for file in _FILES.values() for name, places in getattr(file, "WHOLE", {}).items()}

SMALLEST = 16  # px; the longest reflection of ImageNet-C's defocus is 10
_CHUNK = {"cpu": 1 << 16, "cuda": 1 << 22}  # pixels at once: on a CPU what stays in its cache
_LEAST = 4  # images at once, however large: there are steps of some microseconds that cost one image as much as four


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
    chunk = max(_LEAST, _CHUNK["cuda" if images.is_cuda else "cpu"] // side**2)
    corrupted = torch.empty_like(images, memory_format=torch.contiguous_format)
    for part in (slice(first, first + chunk) for first in range(0, count, chunk)):
        levels = images[part].contiguous()
        made = BY_NAME[name](levels if name in _BYTES else levels.float(), seeds[part], *arguments)
        # By way of int32, which truncates as well and is twice as fast on a CPU.
        corrupted[part] = made if made.dtype == torch.uint8 else (made + NUDGE).clamp_(0, 255).int()
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
        math.floor(value + 0.5) if place in _WHOLE.get(name, ()) else value for place, value in enumerate(between)
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
