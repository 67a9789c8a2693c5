"""Noise: independent draws for every pixel and channel.

Each corruption here and in the neighbouring files takes float32 `pixels` (N, 3, side, side) in 0..255,
(N,) int64 `seeds` and its constants, and returns float pixels that `corrupt` clips and truncates.
Source: Hendrycks & Dietterich 2019, arXiv 1903.12261, and its code.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from lib.memory import sent
from lib.randomness import normal, uniform


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
    table = _poisson_table(photons, pixels.device)
    line = table.flatten()
    draws = uniform(seeds, pixels.shape[1:]).flatten(1)
    first = pixels.flatten(1).long() * table.shape[1]
    found, step = first.clone(), table.shape[1] // 2
    while step:
        ahead = line[step - 1 :].expand(len(found), -1).gather(1, found)
        found.add_(ahead <= draws, alpha=step)
        step //= 2
    return (found - first).view_as(pixels) * (255 / photons)


def impulse_noise(pixels: Tensor, seeds: Tensor, share: float) -> Tensor:
    """Salt and pepper: replace a `share` of the values by 0 or 255, equally often.

    Quirk: channels are hit one by one, so the specks are coloured.
    """
    draws = uniform(seeds, pixels.shape[1:])
    return pixels.masked_fill(draws < share / 2, 0).masked_fill_(draws >= 1 - share / 2, 255)


def speckle_noise(pixels: Tensor, seeds: Tensor, deviation: float) -> Tensor:
    """Multiply each value by 1 plus normal noise of standard deviation `deviation`: black stays black."""
    return normal(seeds, pixels.shape[1:]).mul_(deviation).add_(1).mul_(pixels)
