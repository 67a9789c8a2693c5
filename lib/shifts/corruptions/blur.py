"""Blur: by a lens, by frosted glass, by a moving camera, by zooming in, by a Gaussian."""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache

import numpy as np
import torch
from scipy.ndimage import correlate1d
from torch import Tensor

from lib.randomness import integers, uniform
from lib.shifts.corruptions import filters
from lib.shifts.corruptions.filters import clipped_zoom, correlate, streak, truncate, zoom_cut


@lru_cache(maxsize=256)
def disk(radius: float, sigma: float) -> np.ndarray:
    """A disk of sum 1 whose edge is softened by a small Gaussian: (odd, odd), empty borders cut off.

    Quirk: the Gaussian reflects at the border of the array that the disk is drawn in. Disks of radius 8
    and 10 touch that border, so their sum becomes 1.013 and 1.011 and the blur brightens.
    """
    reach = 8 if radius <= 8 else math.ceil(radius)
    line = np.arange(-reach, reach + 1)
    kernel = (line[:, None] ** 2 + line**2 <= radius**2).astype(float)
    kernel /= kernel.sum()
    taps = np.arange(-1, 2) if radius <= 8 else np.arange(-2, 3)
    taps = np.exp(-0.5 * (taps / sigma) ** 2)
    for axis in (0, 1):
        kernel = correlate1d(kernel, taps / taps.sum(), axis, mode="mirror")
    kernel[kernel < 1e-9] = 0
    empty = reach - np.abs(line[kernel.any(axis=0)]).max()
    return kernel[empty : kernel.shape[0] - empty, empty : kernel.shape[1] - empty]


def defocus_blur(pixels: Tensor, seeds: Tensor, radius: float, sigma: float) -> Tensor:
    """Correlate with a soft disk (see `disk` for its quirk), reflecting the image about its edge pixels."""
    return correlate(pixels, disk(radius, sigma), "reflect")


def glass_blur(pixels: Tensor, seeds: Tensor, sigma: float, reach: int, rounds: int) -> Tensor:
    """Blur, let pixels trade places with near neighbours `rounds` times, blur again.

    Quirks: the authors' swap of two pixels copies one over the other, so pixels are duplicated and lost;
    offsets run from -reach to reach - 1, so the image drifts right and down; the first rows and columns
    are never written. Stream r draws the offsets (across, down) of round r.
    """
    count, _, side, _ = pixels.shape
    here = torch.arange(side * side, device=pixels.device)
    row, column = here // side, here % side
    written = (row > reach) & (row <= side - reach) & (column > reach) & (column <= side - reach)
    source = here.expand(count, -1)
    for stream in range(rounds):
        across, down = integers(seeds, -reach, reach, (2, side * side), stream).unbind(1)
        neighbour = torch.where(written, here + down * side + across, here)
        # The original walks from the last pixel to the first, so a neighbour further on has been overwritten
        # already: go on to what it was overwritten with, until one that has not been. Leaps double each time, so that
        # the longest chain, through all pixels, is at its end after as many as their number has bits. On a CPU it is
        # cheap to see that it is sooner; a GPU would be waited for.
        further = torch.maximum(neighbour, here)
        for _ in range((side * side).bit_length()):
            last, further = further, further.gather(1, further)
            if not pixels.is_cuda and torch.equal(last, further):
                break
        source = source.gather(1, neighbour.gather(1, further))
    blurred = truncate(filters.gaussian_blur(pixels, sigma)).flatten(2)
    moved = blurred.gather(2, source[:, None].expand(-1, 3, -1)).view_as(pixels)
    return filters.gaussian_blur(moved, sigma)


def motion_blur(pixels: Tensor, seeds: Tensor, radius: float, sigma: float) -> Tensor:
    """Streak at an angle uniform in -45..45 degrees per image, the same for its channels.

    Quirks: those of `streak`; and CIFAR-10-C's severities 3 and 4 are the same corruption, since the
    longer streak of 4 adds weights below 1e-8.
    """
    return streak(pixels, radius, sigma, uniform(seeds, ()) * 90 - 45)


def zoom_blur(pixels: Tensor, seeds: Tensor, zooms: int, step: float) -> Tensor:
    """Mean of the image and of its zooms by 1, 1 + step, 1 + 2 step, ...

    Quirks: zoom 1 is among the zooms, so the sharp image counts twice; the lists include the stop of
    their half-open range where rounding makes it so; `clipped_zoom` moves the centre.
    """
    step = (1 + step) - 1  # the rounding of the authors' numpy.arange: it decides a tie at zoom 1.25
    cuts = Counter(zoom_cut(pixels.shape[-1], 1 + index * step) for index in range(zooms))  # small images: few cuts
    total = pixels.clone()
    for cut, times in cuts.items():
        total.add_(clipped_zoom(pixels, *cut), alpha=times)
    return total / (zooms + 1)


def gaussian_blur(pixels: Tensor, seeds: Tensor, sigma: float) -> Tensor:
    """Gaussian filter cut at 4 sigma, the edge pixel repeated outside."""
    return filters.gaussian_blur(pixels, sigma)
