"""Spatter: drops of water or mud on the lens."""

from __future__ import annotations

import math

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
    drops = liquid.clone().ge_(threshold)  # ones and zeros: sums and products are faster on a CPU than `torch.where`
    liquid = (liquid * 255).mul_(drops).floor_()
    liquid -= (liquid / 256).floor_().mul_(256)
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
    padded = F.pad(levels[:, None], (1, 1, 1, 1), mode="replicate")[:, 0].short()  # all that follows is whole and exact
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = across[:, :, 2:] - across[:, :, :-2]
    down = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    down = down[:, 2:] - down[:, :-2]
    x, y = across.abs(), down.abs()
    steepness = x + y
    around = F.pad(steepness, (1, 1, 1, 1))
    height, width = levels.shape[1:]

    def steeper(rows: int, columns: int, by: int = 0) -> Tensor:
        """By more than `by` than a neighbour: 0 or 1, like all that follows."""
        there = around[:, 1 + rows : 1 + rows + height, 1 + columns : 1 + columns + width]
        return (steepness - there).gt_(by)

    # An edge is steeper than its two neighbours across it; on a tie the first of the two wins, but not on diagonals.
    flat = x.int() * 13573  # tan(22.5 degrees) in units of 2^-15
    slope = y.int() * 32768
    horizontal, not_vertical = (flat > slope).short(), (slope <= flat + x.int() * 65536).short()
    falling = (across.int() * down >= 0).short()
    peak = horizontal & steeper(0, -1) & steeper(0, 1, -1)
    peak |= (1 - not_vertical) & steeper(-1, 0) & steeper(1, 0, -1)
    diagonal = not_vertical & (1 - horizontal)
    peak |= diagonal & falling & steeper(-1, -1) & steeper(1, 1)
    peak |= diagonal & (1 - falling) & steeper(-1, 1) & steeper(1, -1)
    weak = peak & (steepness - _WEAK).gt_(0)
    return _grown((weak & (steepness - _STRONG).gt_(0)).byte(), weak.byte()).bool()


def _grown(edges: Tensor, weak: Tensor) -> Tensor:
    """`edges` (N, H, W) and all that is `weak` and touches one of them, by way of others: uint8, 0 or 1."""
    height, width = edges.shape[1:]
    around = F.pad(edges, (1, 1, 1, 1))
    inner = around[:, 1:-1, 1:-1]
    while True:
        rows = around[:, :-2] | around[:, 1:-1] | around[:, 2:]
        grown = (rows[:, :, :-2] | rows[:, :, 1:-1] | rows[:, :, 2:]).bitwise_and_(weak)
        if torch.equal(grown, inner):
            return grown
        inner.copy_(grown)


# Steps of the distance, along a line through a pixel: down, across, length, and doublings until they reach `_REACH`.
_LINES = (
    (0, 1, 1.0, 5), (1, 0, 1.0, 5), (1, 1, _DIAGONAL, 4), (1, -1, _DIAGONAL, 4),
    (1, 2, _KNIGHT, 4), (1, -2, _KNIGHT, 4), (2, 1, _KNIGHT, 4), (2, -1, _KNIGHT, 4),
)  # fmt: skip


def _distance(edges: Tensor) -> Tensor:
    """Chamfer distance (Borgefors 1986, 5 x 5) to the nearest of `edges` (N, H, W), at most `_REACH`: float32.

    The shortest way between two pixels has steps in two neighbouring directions, in any order, and stays in the
    rectangle between them. So it is enough to go along one kind of line after the other, and along each a step, then
    two, four, ... at once.
    """
    height, width = edges.shape[1:]
    border = 16  # the longest of these leaps
    distance = torch.full((len(edges), height + 2 * border, width + 2 * border), math.inf, device=edges.device)
    inner = distance[:, border:-border, border:-border]
    inner.masked_fill_(edges, 0)
    further = torch.empty_like(distance)
    for rows, columns, length, doublings in _LINES:
        for leap in (1 << power for power in range(doublings)):
            torch.add(distance, leap * length, out=further)
            for down, across in ((leap * rows, leap * columns), (-leap * rows, -leap * columns)):
                there = further[:, border + down :, border + across :][:, :height, :width]
                torch.minimum(inner, there, out=inner)
    return inner.clamp(max=_REACH)


def _mean(levels: Tensor) -> Tensor:
    """Mean over 3 x 3 pixels of (N, H, W), reflecting about the edge pixels."""
    padded = F.pad(levels[:, None], (1, 1, 1, 1), mode="reflect")[:, 0]
    rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9


def _equalised(levels: Tensor) -> Tensor:
    """Histogram equalisation of (N, H, W) whole levels 0..`_REACH`; an image of one level stays as it is."""
    images = torch.arange(len(levels), device=levels.device)[:, None, None]
    index = (levels.int() + images * (_REACH + 1)).flatten()  # a histogram and a table for each image, in one line
    counts = torch.zeros(len(levels) * (_REACH + 1), dtype=torch.float64, device=levels.device)
    counts.scatter_add_(0, index, torch.ones_like(index, dtype=torch.float64))  # bincount waits for a GPU
    counts = counts.view(len(levels), -1)
    below = counts.cumsum(1)
    total = below[:, -1:]
    lowest = counts.gather(1, (counts > 0).int().argmax(1, keepdim=True))
    table = ((below - lowest) * 255 / (total - lowest).clamp(min=1)).round_().clamp_(min=0).float()
    table = torch.where(lowest == total, torch.arange(_REACH + 1, device=levels.device, dtype=torch.float32), table)
    return table.flatten().index_select(0, index).view_as(levels)


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
