"""Spatter: drops of water or mud on the lens."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.memory import sent
from lib.randomness import normal
from lib.shifts.corruptions.filters import gaussian_blur

WATER = (175, 238, 238)
MUD = (63, 42, 20)
_REACH = 20  # px: distances to the rim of a drop count no further
_KNIGHT, _DIAGONAL = 2.1969, 1.4  # lengths of the steps (2, 1) and (1, 1) in OpenCV's distance transform
_WEAK, _STRONG = 50, 150  # thresholds of the edge detector


def spatter(
    pixels: Tensor, seeds: Tensor, mean: float, deviation: float, blur: float, threshold: float, strength: float,
    mud: int,
) -> Tensor:  # fmt: skip
    """Drops where blurred noise exceeds a threshold, the same for the channels.

    Quirk: severities 1 to 3 are water, which only adds light, and 4 and 5 are mud, which covers: two corruptions. An
    image that no water falls on, for which the authors divide zero by zero, stays as it is.
    """
    liquid = gaussian_blur(normal(seeds, (1, *pixels.shape[2:])).mul_(deviation).add_(mean), blur)
    if mud:
        cover = gaussian_blur((liquid > threshold).float(), strength)
        cover = torch.where(cover < 0.8, 0, cover)
        return pixels * (1 - cover) + cover * sent(torch.tensor(MUD, dtype=pixels.dtype), pixels.device)[:, None, None]
    # A liquid above 1, which is rare, wraps around as the authors' cast to bytes does.
    liquid = torch.where(liquid < threshold, 0, liquid * 255).floor_().remainder_(256)
    light = liquid * _relief(liquid[:, 0])[:, None]
    light *= strength / light.amax((2, 3), keepdim=True).clamp(min=1)
    return pixels + light * sent(torch.tensor(WATER, dtype=pixels.dtype), pixels.device)[:, None, None]


def _relief(liquid: Tensor) -> Tensor:
    """How brightly water shines, 0..255: an embossed map of the distance to the rims of `liquid` (N, H, W) bytes."""
    distance = _mean(_distance(_edges(liquid)))
    relief = _emboss(_equalised((distance + 1e-4).floor_()))
    return (_mean(relief) + 0.5).floor_()


def _edges(levels: Tensor) -> Tensor:
    """Canny's edges of (N, H, W) levels, as OpenCV finds them with 3 x 3 Sobel filters and L1 magnitudes: bool."""
    padded = F.pad(levels[:, None], (1, 1, 1, 1), mode="replicate")[:, 0]
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = across[:, :, 2:] - across[:, :, :-2]
    down = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    down = down[:, 2:] - down[:, :-2]
    x, y = across.abs(), down.abs()
    steepness = x + y
    around = F.pad(steepness, (1, 1, 1, 1))
    height, width = levels.shape[1:]

    def at(rows: int, columns: int) -> Tensor:
        return around[:, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]

    # An edge is steeper than its two neighbours across it; on a tie the first of the two wins, but not on diagonals.
    flat = x * 13573  # tan(22.5 degrees) in units of 2^-15; all sums here are whole and exact
    steep = flat + x * 65536
    horizontal, vertical = y * 32768 < flat, y * 32768 > steep
    falling = across * down >= 0
    ahead = torch.where(falling, at(-1, -1), at(-1, 1))
    behind = torch.where(falling, at(1, 1), at(1, -1))
    peak = torch.where(
        horizontal,
        (steepness > at(0, -1)) & (steepness >= at(0, 1)),
        torch.where(
            vertical,
            (steepness > at(-1, 0)) & (steepness >= at(1, 0)),
            (steepness > ahead) & (steepness > behind),
        ),
    )
    weak = peak & (steepness > _WEAK)
    edges = weak & (steepness > _STRONG)
    while True:  # weak edges that touch an edge are edges
        grown = (F.max_pool2d(edges[:, None].float(), 3, 1, 1)[:, 0] > 0) & weak
        if torch.equal(grown, edges):
            return edges
        edges = grown


def _distance(edges: Tensor) -> Tensor:
    """Chamfer distance (Borgefors 1986, 5 x 5) to the nearest of `edges` (N, H, W), at most `_REACH`: float32.

    One sweep down and one up, a whole row of all images at a time: from the two rows before, then along the row.
    """
    height, width = edges.shape[1:]
    distance = torch.full((len(edges), height + 4, width + 4), 4.0 * _REACH, device=edges.device)
    distance[:, 2:-2, 2:-2].masked_fill_(edges, 0)
    ramp = torch.arange(width, dtype=torch.float32, device=edges.device)
    for step in (-1, 1):
        for row in range(2, height + 2)[::-step]:
            near, far = distance[:, row + step], distance[:, row + 2 * step]
            best = distance[:, row, 2:-2]
            for shifted, columns, length in (
                (near, 0, 1.0), (near, -1, _DIAGONAL), (near, 1, _DIAGONAL), (near, -2, _KNIGHT), (near, 2, _KNIGHT),
                (far, -1, _KNIGHT), (far, 1, _KNIGHT),
            ):  # fmt: skip
                best = torch.minimum(best, shifted[:, 2 + columns : 2 + columns + width] + length)
            best = torch.minimum(best, (best - ramp).cummin(1).values + ramp)  # steps to the right, then to the left
            best = torch.minimum(best, ((best + ramp).flip(1).cummin(1).values).flip(1) - ramp)
            distance[:, row, 2:-2] = best
    return distance[:, 2:-2, 2:-2].clamp(max=_REACH)


def _mean(levels: Tensor) -> Tensor:
    """Mean over 3 x 3 pixels of (N, H, W), reflecting about the edge pixels."""
    padded = F.pad(levels[:, None], (1, 1, 1, 1), mode="reflect")[:, 0]
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9


def _equalised(levels: Tensor) -> Tensor:
    """Histogram equalisation of (N, H, W) whole levels 0..`_REACH`; an image of one level stays as it is."""
    index = levels.flatten(1).long()
    counts = torch.zeros(len(levels), _REACH + 1, dtype=torch.float64, device=levels.device)
    counts.scatter_add_(1, index, counts.new_ones(()).expand_as(index))
    below = counts.cumsum(1)
    total = below[:, -1:]
    lowest = counts.gather(1, (counts > 0).int().argmax(1, keepdim=True))
    table = ((below - lowest) * 255 / (total - lowest).clamp(min=1)).round_().clamp_(min=0).float()
    table = torch.where(lowest == total, torch.arange(_REACH + 1, device=levels.device, dtype=torch.float32), table)
    return table.gather(1, index).view_as(levels)


def _emboss(levels: Tensor) -> Tensor:
    """Light from the upper left on the relief (N, H, W): correlation with ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))."""
    padded = F.pad(levels[:, None], (1, 1, 1, 1), mode="reflect")[:, 0]
    height, width = levels.shape[1:]
    result = torch.zeros_like(levels)
    for row, weights in enumerate(((-2, -1, 0), (-1, 1, 1), (0, 1, 2))):
        for column, weight in enumerate(weights):
            if weight:
                result.add_(padded[:, row : row + height, column : column + width], alpha=weight)
    return result.clamp_(0, 255)
