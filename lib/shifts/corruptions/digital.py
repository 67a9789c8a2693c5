"""Digital: contrast, warping, coarse pixels, JPEG, saturation."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lib.memory import sent
from lib.randomness import uniform
from lib.shifts.corruptions.filters import gaussian_taps

BYTES = ("pixelate", "jpeg_compression")


def contrast(pixels: Tensor, seeds: Tensor, factor: float) -> Tensor:
    """Shrink the distance to the mean. Quirk: the mean is each channel's own, so colours fade to the cast."""
    mean = pixels.mean((2, 3), keepdim=True, dtype=torch.float64).float()  # whole numbers add up exactly in float64
    return (pixels - mean).mul_(factor).add_(mean)


@lru_cache(maxsize=64)
def _smoother(sigma: float, side: int, device: torch.device) -> Tensor:
    """The matrix (side, side) of a Gaussian filter cut at 3 sigma whose borders reflect: ... b a | a b ..."""
    taps = gaussian_taps(sigma, reach=3)
    sources = np.pad(np.arange(side), len(taps) // 2, mode="symmetric")  # sigma may exceed the image
    matrix = np.zeros((side, side))
    for output in range(side):
        np.add.at(matrix[output], sources[output : output + len(taps)], taps)
    return sent(torch.from_numpy(matrix), device)


def elastic_transform(pixels: Tensor, seeds: Tensor, strength: float, sigma: float, tilt: float) -> Tensor:
    """Tilt the image by a random affine map, then warp it by a smooth random field; both bilinear.

    Constants are in sides of the image. Quirks: in CIFAR-10-C the tilt shrinks with severity while the
    warp grows, and severity 1 only tilts; ImageNet-C's constants are multiples of 244 where the side is
    224. Stream 0 draws the shifts (x, y) of the three corners, stream 1 the fields (across, down).
    """
    count, _, side, _ = pixels.shape
    like = {"dtype": torch.float64, "device": pixels.device}
    line = torch.arange(side, **like)

    # The affine map takes three corners to shifted ones; its inverse says where each pixel comes from.
    centre, arm = side // 2, side // 3
    corners = sent(torch.tensor([[arm, arm], [arm, -arm], [-arm, -arm]], dtype=torch.float64), pixels.device) + centre
    shifted = corners + (uniform(seeds, (3, 2)).double() * 2 - 1) * (tilt * side)
    inverse = torch.linalg.solve(F.pad(shifted, (0, 1), value=1), corners.expand(count, 3, 2))  # (N, 3, 2)
    along_x, along_y, origin = (part[:, None, None] for part in inverse.unbind(1))
    origins = line[:, None] * along_x + line[:, None, None] * along_y + origin  # (N, side, side, 2)
    grid = (origins * (2 / (side - 1)) - 1).float()
    pixels = F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=True)
    if strength == 0:
        return pixels

    # A matrix product may add in another order for another batch size: in float64 it does not show.
    field = uniform(seeds, (2, side, side), stream=1).double() * 2 - 1
    smoother = _smoother(sigma * side, side, pixels.device)
    field = smoother @ field @ smoother.T * (strength * side)
    across, down = field.unbind(1)
    origins = torch.stack((line + across, line[:, None] + down), dim=-1)
    grid = ((2 * origins + 1) / side - 1).float()
    return F.grid_sample(pixels, grid, padding_mode="reflection", align_corners=False)


def pixelate(pixels: Tensor, seeds: Tensor, share: float) -> Tensor:
    """Replace blocks by their mean, rounded to a byte along rows, then along columns.

    Quirk: blocks differ in size. At 32 px they have one or two pixels a side, so mild severities leave
    most pixels as they are.
    """
    side = pixels.shape[-1]
    block, starts, sizes = _blocks(side, int(side * share), pixels.device)
    coarse = _means(pixels.byte().transpose(2, 3).contiguous(), starts, sizes)
    coarse = _means(coarse.transpose(2, 3).contiguous(), starts, sizes)
    wide = coarse.gather(3, block.expand(*coarse.shape[:3], side))  # of bytes in a line, twice as fast as index_select
    return wide.index_select(2, block)


@lru_cache(maxsize=64)
def _blocks(side: int, blocks: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Which block each of `side` rows is in, the first row of each, and the rows that it has."""
    block = ((torch.arange(side, dtype=torch.float64) + 0.5) * blocks / side).long()
    sizes = (block[:, None] == torch.arange(blocks)).sum(0)
    return sent(block, device), sent(sizes.cumsum(0) - sizes, device), sent(sizes, device)


def _means(levels: Tensor, starts: Tensor, sizes: Tensor) -> Tensor:
    """Means, rounded to bytes, of blocks of rows: uint8 (N, C, H, W) to (N, C, blocks, W)."""
    total = levels.index_select(2, starts).float()  # sums of whole numbers are exact in any order
    for row in range(1, -(-levels.shape[2] // len(starts))):
        part = levels.index_select(2, (starts + row).clamp_(max=levels.shape[2] - 1)).float()
        total += part if row < levels.shape[2] // len(starts) else part.mul_((sizes > row).float()[:, None])
    return total.div_(sizes[:, None]).add_(0.5).int().to(torch.uint8)


def jpeg_compression(pixels: Tensor, seeds: Tensor, quality: int) -> Tensor:
    """Compress to a real JPEG and decompress: libjpeg with halved colour resolution, as Pillow writes it."""
    from torchvision.io import decode_jpeg, encode_jpeg

    levels = pixels.byte().cpu()
    made = torch.empty_like(levels)
    for image, target in zip(levels, made, strict=True):
        interleaved = torch.stack(image.unbind(), dim=2)  # as libjpeg reads it; the encoder takes longer to do it
        target.copy_(decode_jpeg(encode_jpeg(interleaved.permute(2, 0, 1), quality)))
    return made.to(pixels.device)


def saturate(pixels: Tensor, seeds: Tensor, factor: float, offset: float) -> Tensor:
    """Change the saturation S of HSV to factor * S + offset, within 0..1; the value V, the largest channel, stays.

    Quirks: severities 1 and 2 take colour away and 3 to 5 add it, so 3 is the mildest; a grey pixel counts as red,
    so an offset makes it red.
    """
    value = pixels.amax(1, keepdim=True)
    spread = value - pixels.amin(1, keepdim=True)
    saturation = spread / value.clamp(min=1)
    changed = (saturation * factor + offset).clamp_(0, 1)
    coloured = value - (value - pixels) * (changed / saturation.clamp(min=1 / 256))
    reddened = torch.cat((value, *[value * (1 - changed)] * 2), dim=1)
    return torch.where(spread > 0, coloured, reddened)
