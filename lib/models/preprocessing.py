"""What becomes of an image file before an encoder sees it: resized, cropped and, inside the encoder, normalised."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from lib.errors import BadInput, one_of

INTERPOLATIONS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")  # in the order of Pillow's numbers


@dataclass(frozen=True)
class Preprocessing:
    """Resize to `resize` pixels, crop the central `size` x `size`, and normalise pixels in [0, 1] by `mean` and `std`.

    `resize` is the shorter side, or with `squash` both sides, whatever the image's proportions. An odd margin
    has its smaller half on the left or right in turn (torchvision's and timm's rounding), or with `floor` always on
    the left and on top (that of transformers). `source` says where each number comes from.
    """

    size: int
    resize: int
    interpolation: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    source: str
    squash: bool = False
    floor: bool = False

    def __post_init__(self) -> None:
        one_of(self.interpolation, INTERPOLATIONS, "interpolation")
        numbers = (self.size, self.resize)
        if not all(isinstance(number, int) and number > 0 for number in numbers):
            raise BadInput(f"size and resize are whole numbers of pixels of at least 1, not {numbers}")
        right = len(self.mean) == len(self.std) == 3
        if not right or not all(0 <= m <= 1 for m in self.mean) or not all(0 < s <= 1 for s in self.std):
            raise BadInput(
                "mean and std are three numbers each, mean from 0 to 1 and std above 0 and up to 1 as pixels are in "
                f"[0, 1] (divide those of [0, 255] by 255), not {self.mean} and {self.std}"
            )

    def __str__(self) -> str:
        sides = "both sides" if self.squash else "the shorter side"
        mean, std = (", ".join(f"{value:.4g}" for value in values) for values in (self.mean, self.std))
        return (
            f"{sides} to {self.resize} px ({self.interpolation}), central crop of {self.size} px, mean ({mean}) and "
            f"std ({std}) of pixels in [0, 1]; {self.source}"
        )


def prepared(image: str | Path | Image.Image, preprocessing: Preprocessing) -> Tensor:
    """The uint8 (3, size, size) that the encoder's own source would make of a file or a Pillow image.

    Grey and palette images become RGB and transparency is dropped, as by torchvision's loader; the orientation that a
    camera noted is not applied, as there. Raises BadInput for a file that is no image.
    """
    if not isinstance(image, Image.Image):
        try:
            with Image.open(image) as file:
                return prepared(file.convert("RGB"), preprocessing)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            raise BadInput(f"{image} cannot be read as an image ({error})") from error
    image = image.convert("RGB")
    sides = _resized(image.size, preprocessing)
    if sides != image.size:
        image = image.resize(sides, INTERPOLATIONS.index(preprocessing.interpolation))
    pixels = _crop(np.asarray(image), preprocessing.size, preprocessing.floor)
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _resized(sides: tuple[int, int], preprocessing: Preprocessing) -> tuple[int, int]:
    """Width and height after resizing; the longer side is rounded down, as everywhere in the field."""
    resize = preprocessing.resize
    if preprocessing.squash:
        return resize, resize
    width, height = sides
    return (resize, int(resize * height / width)) if width <= height else (int(resize * width / height), resize)


def _crop(pixels: np.ndarray, size: int, floor: bool) -> np.ndarray:
    """The central square of (H, W, 3); what is smaller than it gets a black border."""
    border = [(max(size - side, 0) // 2, (max(size - side, 0) + 1) // 2) for side in pixels.shape[:2]]
    pixels = np.pad(pixels, [*border, (0, 0)])
    margins = [(side - size) / 2 for side in pixels.shape[:2]]
    top, left = (int(margin) if floor else round(margin) for margin in margins)
    return pixels[top : top + size, left : left + size]
