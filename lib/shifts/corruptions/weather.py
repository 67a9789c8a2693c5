"""Weather: snow, frost, fog and glaring light."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from lib.errors import BadInput
from lib.memory import sent
from lib.randomness import normal, uniform
from lib.shifts.corruptions.filters import clipped_zoom, streak, truncate, zoom_cut


def snow(
    pixels: Tensor,
    seeds: Tensor,
    mean: float,
    deviation: float,
    zoom: float,
    threshold: float,
    radius: float,
    sigma: float,
    keep: float,
) -> Tensor:
    """Whiten the image and add a layer of flakes that fall at an angle uniform in -135..-45 degrees.

    Quirks: the second layer is the first turned by 180 degrees, so the snow is point-symmetric; the
    whitened image may exceed white before it is blended. Stream 0 draws the flakes, 1 the angle.
    """
    flakes = normal(seeds, (1, *pixels.shape[2:])).mul_(deviation).add_(mean)
    flakes = clipped_zoom(flakes, *zoom_cut(pixels.shape[-1], zoom))
    flakes = truncate(torch.where(flakes < threshold, 0, flakes) * 255)
    flakes = streak(flakes, radius, sigma, uniform(seeds, (), stream=1) * 90 - 135)
    red, green, blue = pixels.split(1, dim=1)
    grey = 0.299 * red + 0.587 * green + 0.114 * blue
    whitened = torch.maximum(pixels, 1.5 * grey + 127.5)
    return keep * pixels + (1 - keep) * whitened + flakes + flakes.flip(2, 3)


@cache
def frost_photographs() -> list[Tensor]:
    """The photographs (3, H, W) uint8 of the installed `imagecorruptions`, found without importing it.

    Their origin and licence are stated nowhere, so they are read where they are and never copied.
    Quirk: the authors draw one of five from a list of six, so frost6.jpg is never used; and frost2 and
    frost3 are the same image.
    """
    try:
        package = distribution("imagecorruptions")
    except PackageNotFoundError:
        raise BadInput("frost needs the photographs of another package: pip install imagecorruptions==1.1.2") from None
    names = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")
    files = [package.locate_file(f"imagecorruptions/frost/{name}") for name in names]
    return [torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1) for file in files]


@lru_cache(maxsize=8)  # some megabytes each, one for each side
def _frost_line(every: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Every `every`-th pixel of the photographs, one after the other in one line: pixels, heights, widths."""
    photographs = []
    for photograph in frost_photographs():
        height, width = (round(length / every) for length in photograph.shape[1:])
        photograph = photograph[None, :, every // 2 :: every, every // 2 :: every][..., :height, :width].float()
        if min(height, width) <= side:  # our own rule, the authors never met it: enlarge what is too small
            scale = (side + 1) / min(height, width)
            size = (round(height * scale), round(width * scale))
            photograph = F.interpolate(photograph, size=size, mode="bilinear", align_corners=False)
        photographs.append(photograph[0])
    heights, widths = (sent(torch.tensor([p.shape[dim] for p in photographs]), device) for dim in (1, 2))
    return sent(torch.cat([p.flatten() for p in photographs]), device), heights, widths


def frost(pixels: Tensor, seeds: Tensor, image: float, photograph: float, every: int) -> Tensor:
    """Weighted sum, not mean, of the image and of a random crop of one of five photographs of frost.

    CIFAR-10-C takes every fifth pixel of the photograph. Quirks: those of `frost_photographs`; the last
    row and column of offsets are never drawn. Stream 0 draws photograph, first row, first column.
    """
    count, channels, side, _ = pixels.shape
    line, heights, widths = _frost_line(every, side, pixels.device)
    draws = uniform(seeds, (3,)).double()
    chosen = (draws[:, 0] * 5).long()
    height, width = heights[chosen], widths[chosen]
    top, left = (draws[:, 1] * (height - side)).long(), (draws[:, 2] * (width - side)).long()
    begins = F.pad((channels * heights * widths).cumsum(0), (1, 0))[chosen]
    rows = torch.arange(side, device=pixels.device)
    planes = torch.arange(channels, device=pixels.device)[:, None] * height[:, None, None]  # (N, 3, 1)
    starts = begins[:, None, None] + (planes + top[:, None, None] + rows) * width[:, None, None] + left[:, None, None]
    crops = line.unfold(0, side, 1).index_select(0, starts.flatten()).view_as(pixels)
    return image * pixels + photograph * crops


def plasma(seeds: Tensor, side: int, decay: float) -> Tensor:
    """Plasma fractals by diamond-square on a torus: (N, side, side), a corner of maps that span 0..1.

    Quirk: the noise has amplitude `roughness` squared, so it falls by decay squared per level. The map's
    side is the next power of two. Stream 0 draws one value per point of the map.
    """
    size = 1 << (side - 1).bit_length()
    noise = uniform(seeds, (size, size)).mul_(2).sub_(1)
    heights = noise.new_zeros(len(noise), 1, 1)
    step, roughness = size, 100.0
    while step >= 2:  # the points that are known, every `step`-th, become every `half`-th
        half, points, known = step // 2, 2 * len(heights[0]), heights
        here, between = slice(None, None, step), slice(half, None, step)
        heights = noise.new_empty(len(noise), points, points)
        across, down = known + known.roll(-1, 2), known + known.roll(-1, 1)
        centres = (across + across.roll(-1, 1)).div_(4).add_(noise[:, between, between] * roughness**2)
        heights[:, ::2, ::2], heights[:, 1::2, 1::2] = known, centres
        across = across.add_(centres).add_(centres.roll(1, 1)).div_(4)
        down = down.add_(centres).add_(centres.roll(1, 2)).div_(4)
        torch.add(across, noise[:, here, between] * roughness**2, out=heights[:, ::2, 1::2])
        torch.add(down, noise[:, between, here] * roughness**2, out=heights[:, 1::2, ::2])
        step, roughness = half, roughness / decay
    lowest, highest = heights.amin((1, 2), keepdim=True), heights.amax((1, 2), keepdim=True)
    return (heights[:, :side, :side] - lowest).div_(highest - lowest)


def fog(pixels: Tensor, seeds: Tensor, thickness: float, decay: float) -> Tensor:
    """Add one `plasma` map to the three channels, then scale so that the brightest value stays.

    Quirks: the brightest value is sought over the whole image and all channels, so a dark image gets
    dark fog and a black one stays black; and those of `plasma`.
    """
    brightest = pixels.amax((1, 2, 3), keepdim=True)
    haze = plasma(seeds, pixels.shape[-1], decay)[:, None].mul_(255 * thickness)
    return (pixels + haze).mul_(brightest / (brightest + 255 * thickness))


def brightness(pixels: Tensor, seeds: Tensor, amount: float) -> Tensor:
    """Raise the value V of HSV by 255 * `amount`, at most to 255: the pixel is scaled, black becomes grey."""
    value = pixels.amax(1, keepdim=True)
    raised = (value + 255 * amount).clamp_(max=255)
    return torch.where(value > 0, pixels * raised / value.clamp(min=1), raised)
