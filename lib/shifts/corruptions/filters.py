"""What several corruptions share: truncation, correlation, zoom, and the streak of a moving camera.

Sums run over shifted views of a whole batch, in an order that does not depend on the batch: a matrix
product may add in another order for another batch size, and one last bit is enough to move a byte.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

NUDGE = 1e-3  # levels, by which float32 may miss a whole number
_LARGE = 1 << 13  # pixels of a plane that is worth a step of Python for each shift


def truncate(pixels: Tensor) -> Tensor:
    """Floats to whole levels 0..255, downwards, as the authors' cast to bytes does; still floats.

    So a continuous result is half a level darker on average than it would be if rounded. A whole
    number that float32 misses by a hair stays that number.
    """
    return (pixels + NUDGE).clamp_(0, 255).floor_()


def gaussian_taps(sigma: float, reach: float = 4) -> np.ndarray:
    """Normalised Gaussian weights, cut at `reach` sigmas: (2 radius + 1,); sigma 0 gives the one weight 1."""
    radius = int(reach * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    return taps / taps.sum()


def correlate(pixels: Tensor, kernel: np.ndarray, border: str) -> Tensor:
    """Correlate every plane (..., H, W) with an odd-sized `kernel` whose rows mirror about the middle one.

    `border` is a mode of `F.pad`.
    """
    height, width = pixels.shape[-2:]
    middle, columns = kernel.shape[0] // 2, kernel.shape[1] // 2
    padded = F.pad(pixels, (columns, columns, middle, middle), mode=border)
    result = torch.zeros_like(pixels)
    both = torch.empty_like(padded[..., :height, :])  # one piece of memory for all: a new one each time costs a fifth
    for row in range(middle + 1):
        band = padded[..., row : row + height, :]
        if row < middle:  # its mirror row has the same weights: one addition saves half of the sum
            mirror = 2 * middle - row
            band = torch.add(band, padded[..., mirror : mirror + height, :], out=both)
        for column in kernel[row].nonzero()[0].tolist():
            result.add_(band[..., column : column + width], alpha=float(kernel[row, column]))
    return result


def gaussian_blur(pixels: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of every plane, cut at 4 sigma, the edge pixel repeated outside."""
    taps = gaussian_taps(sigma)
    return correlate(correlate(pixels, taps[:, None], "replicate"), taps[None], "replicate")


def zoom_cut(side: int, zoom: float) -> tuple[int, int]:
    """How many of `side` pixels a zoom starts from, and how many it makes of them before it trims."""
    cut = math.ceil(side / zoom)
    return cut, round(cut * zoom)


def clipped_zoom(pixels: Tensor, cut: int, enlarged: int) -> Tensor:
    """Enlarge the middle `cut` pixels of square planes to `enlarged`, and trim: (..., N, N) in and out.

    Quirk: cut and trim are at whole pixels, so the zoom is not quite the one that was asked for and the
    centre may move by half a pixel.
    """
    side = pixels.shape[-1]
    top, trim = (side - cut) // 2, (enlarged - side) // 2
    line = torch.arange(trim, trim + side, dtype=torch.float64, device=pixels.device)
    line = top + line * ((cut - 1) / (enlarged - 1))  # corners on corners, as scipy.ndimage.zoom has them
    line = (line * (2 / (side - 1)) - 1).float()
    grid = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1).expand(len(pixels), -1, -1, -1)
    # Not F.interpolate: its last bits depend on the number of threads and so on the size of the batch.
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=True)


def streak(pixels: Tensor, radius: float, sigma: float, degrees: Tensor) -> Tensor:
    """ImageMagick's motion blur of (N, C, H, W) in 0..255, one angle per image (N,); whole levels out.

    Quirks: one-sided, so the image shifts as well; ImageMagick rounds to 16 bits, then truncates to 8.
    The edge pixel is repeated outside.
    """
    height, width = pixels.shape[2:]
    reach = 2 * math.ceil(radius)
    weights = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
    steps = torch.arange(reach + 1, device=pixels.device)[:, None]
    radians = degrees.double() * (math.pi / 180)
    across, down = ((steps * f(radians) - 0.5).ceil().long() for f in (torch.cos, torch.sin))  # (reach + 1, N)

    weights = (weights / weights.sum()).tolist()
    if pixels.is_cuda or height * width < _LARGE:
        result = _streak_of_small(pixels, weights, across, down)
    else:
        result = _streak_of_large(pixels, weights, across, down)
    return (result * 257).add_(0.5).floor_().div_(257).floor_()


def _streak_of_small(pixels: Tensor, weights: list[float], across: Tensor, down: Tensor) -> Tensor:
    """Weighted sum of `pixels` (N, C, H, W), shifted by each image's `across` and `down` (weights, N), all at once."""
    count, channels, height, width = pixels.shape
    # Offsets are whole pixels, so a shifted row is a window into the flattened, padded batch: copied whole.
    reach = len(weights) - 1
    padded = F.pad(pixels, (reach, reach, 0, 0), mode="replicate")
    windows = padded.flatten().unfold(0, width, 1)
    rows = torch.arange(height, device=pixels.device)
    rows = (rows + down[:, :, None]).clamp_(0, height - 1)  # (weights, N, H)
    planes = torch.arange(count * channels, device=pixels.device).view(count, channels, 1)
    starts = (planes * height + rows[:, :, None]) * padded.shape[-1] + (reach + across)[:, :, None, None]
    result = torch.zeros_like(pixels)
    for weight, start in zip(weights, starts.flatten(1), strict=True):
        result.add_(windows.index_select(0, start).view_as(result), alpha=weight)
    return result


def _streak_of_large(pixels: Tensor, weights: list[float], across: Tensor, down: Tensor) -> Tensor:
    """The same sum, image by image: a shifted plane is one line of memory, and nothing is copied.

    What is summed up in the columns of the border belongs to no pixel.
    """
    count, channels, height, width = pixels.shape
    reach = len(weights) - 1
    stride = width + 2 * reach
    padded = F.pad(pixels, (reach, reach, reach, reach), mode="replicate").flatten(2)
    total = padded.new_zeros(count, channels, height * stride)
    starts = ((reach + down) * stride + reach + across).T.tolist()
    for image, sums, offsets in zip(padded, total, starts, strict=True):
        lines = sums[:, : height * stride - 2 * reach]
        for weight, offset in zip(weights, offsets, strict=True):
            lines.add_(image[:, offset : offset + lines.shape[1]], alpha=weight)
    return total.view(count, channels, height, stride)[..., :width]
