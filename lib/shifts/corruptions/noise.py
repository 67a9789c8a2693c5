"""Noise: independent draws for every pixel and channel.

Each corruption here and in the neighbouring files takes float32 `pixels` (N, 3, side, side) in 0..255,
(N,) int64 `seeds` and its constants, and returns float pixels that `corrupt` clips and truncates. Those that `BYTES` of
their file names may be given uint8 pixels; those that make whole levels return uint8.
Source: Hendrycks & Dietterich 2019, arXiv 1903.12261, and its code.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lib.memory import sent
from lib.randomness import normal, uniform

BYTES = ("shot_noise", "impulse_noise")
_BINS = 1024  # of a draw


def gaussian_noise(pixels: Tensor, seeds: Tensor, deviation: float) -> Tensor:
    """Add normal noise of standard deviation 255 * `deviation`."""
    return normal(seeds, pixels.shape[1:]).mul_(255 * deviation).add_(pixels)


@lru_cache(maxsize=64)  # a megabyte each
def _poisson_table(photons: float, device: torch.device) -> Tensor:
    """P(count <= j) for the 256 mean counts photons * level / 255: (256, power of two), float32."""
    counts = 1 << (int(photons + 6 * math.sqrt(photons)) + 12).bit_length()  # beyond them less than a draw can tell
    means = torch.arange(256, dtype=torch.float64)[:, None] * (photons / 255)
    count = torch.arange(counts, dtype=torch.float64)
    return sent(torch.special.gammaincc(count + 1, means).float(), device)


def shot_noise(pixels: Tensor, seeds: Tensor, photons: float) -> Tensor:
    """Replace each value by a Poisson count of photons, where white means `photons` on average.

    A pixel has one of 256 levels, so the count is looked up by bisection in one of 256 tables.
    """
    draws = uniform(seeds, pixels.shape[1:]).flatten()
    levels = pixels.flatten()
    if pixels.is_cuda:
        return (_count(levels.long(), draws, photons) * (255 / photons)).view_as(pixels)
    grey = _guide(photons).index_select(0, levels.int().mul_(_BINS).add_((draws * _BINS).int()))
    open_ones = grey.numpy() < 0
    if open_ones.any():
        rest = torch.from_numpy(open_ones.nonzero()[0])
        grey[rest] = _count(levels[rest].long(), draws[rest], photons) * (255 / photons)
    return grey.view_as(pixels)


def _count(levels: Tensor, draws: Tensor, photons: float) -> Tensor:
    """The number of photons at (N,) int64 `levels` whose distribution function reaches the (N,) `draws`: int64."""
    table = _poisson_table(photons, levels.device)
    line = table.flatten()
    first = levels * table.shape[1]
    found, step = first.clone(), table.shape[1] // 2
    while step:
        ahead = line[step - 1 :].index_select(0, found)
        found.add_(ahead <= draws, alpha=step)
        step //= 2
    return found - first


@lru_cache(maxsize=64)  # a megabyte each
def _guide(photons: float) -> Tensor:
    """What a level and a draw become, where the first ten bits of the draw tell: (256 * _BINS,) float32, -1 where not.

    They do not where a value of the distribution function lies within their bin, above its first draw.
    """
    edges = torch.arange(_BINS).div(_BINS).repeat(256)
    levels = torch.arange(256).repeat_interleave(_BINS)
    grey = (_count(levels, edges, photons) * (255 / photons)).view(256, _BINS)
    reached = (_poisson_table(photons, levels.device).double() * 2**24).ceil().long()  # the first draw that reaches it
    bins, within = reached // (2**24 // _BINS), reached % (2**24 // _BINS)
    level, which = ((bins < _BINS) & (within > 0)).nonzero(as_tuple=True)
    grey[level, bins[level, which]] = -1
    return grey.flatten()


def impulse_noise(pixels: Tensor, seeds: Tensor, share: float) -> Tensor:
    """Salt and pepper: replace a `share` of the values by 0 or 255, equally often.

    Quirk: channels are hit one by one, so the specks are coloured.
    """
    draws = uniform(seeds, pixels.shape[1:])
    return pixels.byte() & ~_below(draws, share / 2) | ~_below(draws, 1 - share / 2)


def _below(draws: Tensor, bound: float) -> Tensor:
    """All eight bits of a byte where a draw is below the bound, none elsewhere."""
    # Torch takes seven times as long to compare on a CPU.
    below = draws < bound if draws.is_cuda else torch.from_numpy(np.less(draws.numpy(), np.float32(bound)))
    return below.view(torch.uint8).neg()


def speckle_noise(pixels: Tensor, seeds: Tensor, deviation: float) -> Tensor:
    """Multiply each value by 1 plus normal noise of standard deviation `deviation`: black stays black."""
    return normal(seeds, pixels.shape[1:]).mul_(deviation).add_(1).mul_(pixels)
