"""What a public function is given, checked in one place: images, labels, features and numbers.

Checks are for the entrances, once a call. Shapes and types cost nothing; the values of float images, labels and
features are read once, for which a GPU is waited for: nothing that runs in every step of a training asks for them.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.errors import BadInput
from lib.streamed import Streamed

ROUNDING = 1e-5  # by which resampling may leave [0, 1]; what is further out is no pixel


def check_images(
    images: Tensor,
    who: str,
    what: str = "images",
    *,
    floats: bool = False,
    square: bool = False,
    least: int = 1,
    some: bool = False,
) -> Tensor:
    """`images` as they are, if they are uint8 (N, 3, H, W), or with `floats` float (N, 3, H, W) in [0, 1] instead.

    `least` is the smallest side in pixels, `square` wants sides of one length, `some` at least one image. Raises
    BadInput in the name of `who`, which asks for them, with what was found in their place. `Streamed` ones are such.
    """
    if isinstance(images, Streamed):
        return images
    found = _no_images(images, floats)
    if not found:
        count, _, height, width = images.shape
        right = min(height, width) >= least and (height == width or not square) and (count or not some)
        found = "" if right else told(images)
    if not found and images.is_floating_point():
        found = _outside(images)
    if found:
        sides = "(N, 3, S, S)" if square else "(N, 3, H, W)"
        need = f"{what} as uint8 {sides}" + (" or float in [0, 1]" if floats else "")
        need += f", with sides of at least {least} px" * (least > 1) + ", at least one" * some
        raise BadInput(f"{who} takes {need}, not {found}")
    return images


def unit_images(images: Tensor, who: str, what: str = "images", **need: Any) -> Tensor:
    """uint8 or float images in [0, 1], as `check_images` has them, as new float32 ones in [0, 1]."""
    images = check_images(images, who, what, floats=True, **need)
    if images.dtype == torch.uint8:
        return images.float().div_(255)
    return images.float().clamp(0, 1)


def check_labels(labels: Tensor, count: int, who: str, classes: int | None = None, what: str = "labels") -> Tensor:
    """`labels` as they are, if they are int64 (`count`,) from 0 to `classes` - 1, or of at least 0 if that is None."""
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (count,):
        raise BadInput(f"{who} takes {what} as int64 ({count},), one for each image, not {told(labels)}")
    if count:
        low, high = torch.stack(labels.aminmax()).tolist()
        if low < 0 or (classes is not None and high >= classes):
            allowed = "of at least 0" if classes is None else f"from 0 to {classes - 1}"
            raise BadInput(f"{who} takes {what} {allowed}, not {low if low < 0 else high}")
    return labels


def check_features(features: Tensor, who: str, what: str = "features", *, least: int = 1, width: int = 0) -> Tensor:
    """`features` as they are, if they are finite floats (N, D) of at least `least` images; D is `width` unless that is
    0."""
    right = isinstance(features, Tensor) and features.is_floating_point() and features.ndim == 2
    if not right or len(features) < least or not features.shape[1] or width not in (0, features.shape[1]):
        shape = f"(N, {width or 'D'})" + f" with N of at least {least}" * (least > 1)
        raise BadInput(f"{who} takes {what} as floats {shape}, not {told(features)}")
    if not features.isfinite().all():
        raise BadInput(f"{who} takes {what} that are finite numbers, and some are NaN or infinite")
    return features


def check_batch(features: Tensor) -> None:
    """Refuse a batch of one image, or of none, where images are compared with each other."""
    if len(features) < 2:
        raise BadInput(f"images are compared with others of their batch, which has two or more, not {len(features)}")


def plain(value: object) -> object:
    """The Python number that a NumPy scalar, a 0-d array or a 0-d tensor holds; everything else as it is."""
    if isinstance(value, np.generic) or (isinstance(value, Tensor | np.ndarray) and value.ndim == 0):
        return value.item()
    return value


def whole(value: float, what: str, least: int | None = 1, most: int | None = None) -> int:
    """`value` as an int: any kind of number that is whole, such as 5, 5.0, np.int64(5) or torch.tensor(5).

    >>> whole(5.0, "steps")
    5
    >>> whole(0.5, "steps")
    Traceback (most recent call last):
    lib.errors.BadInput: steps is a whole number of at least 1, not 0.5
    """
    number = _whole(value, least, most)
    if number is None:
        allowed = f" from {least} to {most}" if most is not None else "" if least is None else f" of at least {least}"
        raise BadInput(f"{what} is a whole number{allowed}, not {value!r}")
    return number


def whole_or_none(value: float | None, what: str, none: str, least: int = 1) -> int | None:
    """`whole`, or None, which stands for what `none` says."""
    number = None if value is None else _whole(value, least, None)
    if number is None and value is not None:
        raise BadInput(f"{what} is a whole number of at least {least}, or None ({none}), not {value!r}")
    return number


def _whole(value: object, least: int | None, most: int | None) -> int | None:
    """The int that `value` is, or None where it is none from `least` to `most`."""
    number = plain(value)
    if not _is_number(number) or not math.isfinite(number) or number != int(number):
        return None
    number = int(number)
    return number if (least is None or number >= least) and (most is None or number <= most) else None


def real(value: float, what: str, least: float = -math.inf, most: float = math.inf) -> float:
    """`value` as an int or a float, from `least` to `most` and finite: whole ones as an int, of whatever kind they are.

    So 5, 5.0, np.float32(5) and torch.tensor(5) are one and the same.

    >>> real(np.float32(2.5), "severity", 1, 5)
    2.5
    """
    number = plain(value)
    if _is_number(number) and math.isfinite(number) and least <= number <= most:
        return int(number) if number == int(number) else float(number)
    allowed = " of at least" if most == math.inf else " from"
    allowed = "" if least == -math.inf else f"{allowed} {least:g}" + f" to {most:g}" * (most < math.inf)
    raise BadInput(f"{what} is a number{allowed}, not {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _no_images(images: object, floats: bool) -> str:
    """What is there instead of images by type and shape, and what to do about it; empty where they are right."""
    if not isinstance(images, Tensor):
        return told(images) + "; torch.from_numpy makes a tensor of an array" * isinstance(images, np.ndarray)
    shape, hint = tuple(images.shape), ""
    if images.ndim == 4 and shape[1] == 3:
        if images.dtype == torch.uint8 or (floats and images.is_floating_point()):
            return ""
        if images.is_floating_point():
            hint = "; (255 * images).round().byte() makes them of floats in [0, 1]"
    elif images.ndim == 4 and shape[3] == 3:
        hint = "; images.permute(0, 3, 1, 2) puts the channels second"
    elif images.ndim == 4 and shape[1] == 4:
        hint = "; images[:, :3] leaves out the fourth channel, which is none of colour"
    elif images.ndim == 4 and shape[1] == 1:
        hint = "; images.expand(-1, 3, -1, -1) gives grey images three equal channels"
    elif images.ndim == 3:
        hint = "; images[None] makes a set of one image"
        if shape[0] != 3:
            hint = "; images[:, None].expand(-1, 3, -1, -1) gives grey images (N, H, W) three equal channels"
    return told(images) + hint


def _outside(images: Tensor) -> str:
    """Where values of float images lie that are not in [0, 1]; empty where all are. Waits for the device."""
    if not images.numel():
        return ""
    low, high = torch.stack(images.detach().aminmax()).tolist()
    if math.isnan(low) or math.isnan(high):
        return "values that are NaN"
    if low < -ROUNDING or high > 1 + ROUNDING:
        return f"values from {low:.5g} to {high:.5g}; images come before any normalisation, and scaled to [0, 1]"
    return ""


def told(value: object) -> str:
    """What `value` is, in words: its type, and the shape of an array."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"a NumPy array {value.dtype} {value.shape}"
    return f"a {type(value).__name__}"
