"""Textures per second: ours, many images at once, against image quilting of one image after the other in NumPy.

python -m benchmarks.texture_synthesis

The peer is the algorithm as it is commonly written: for each block, the error of every window, a choice, and seams by
loops over rows. Both have one thread. Times are for images of 32 px, CIFAR-10's where WITHSTAND_DATA has them.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import compare, report
from benchmarks.corruptions import real_or_smooth
from lib.randomness import derive
from lib.shifts.textures import REPEATS, TOLERANCE, geometry, synthesise

OURS, PEERS = 1000, 10


def seam(cost: np.ndarray) -> np.ndarray:
    """The column of the cheapest seam in each row of `cost` (h, w)."""
    total = cost.copy()
    for y in range(1, len(cost)):
        for x in range(cost.shape[1]):
            total[y, x] += total[y - 1, max(x - 1, 0) : x + 2].min()
    columns = [int(total[-1].argmin())]
    for y in range(len(cost) - 2, -1, -1):
        low = max(columns[-1] - 1, 0)
        columns.append(low + int(total[y, low : columns[-1] + 2].argmin()))
    return np.array(columns[::-1])


def quilt(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The texture of `image` (S, S, 3), uint8."""
    size = len(image)
    side, block, overlap = geometry(size)
    corners = [((size - side) // 2,) * 2, tuple(rng.integers(size - side + 1, size=2))]
    sources = [image[y : y + side, x : x + side].astype(np.int64) for y, x in corners]
    room = range(side - block + 1)
    windows = np.stack([s[y : y + block, x : x + block] for s in sources for y in room for x in room])
    step = block - overlap
    across = -(-(size - overlap) // step)
    canvas = np.zeros((across * step + overlap,) * 2 + (3,), np.int64)
    uses_left = np.full(len(windows), -(-REPEATS * across**2 // len(windows)))
    columns = np.arange(block)
    for row in range(across):
        for column in range(across):
            there = canvas[row * step : row * step + block, column * step : column * step + block]
            known = np.zeros((block, block), bool)
            known[: overlap * (row > 0)] = known[:, : overlap * (column > 0)] = True
            errors = ((windows[:, known] - there[known]) ** 2).sum((1, 2)).astype(float)
            errors[uses_left == 0] = np.inf
            chosen = rng.choice(np.flatnonzero(errors <= (1 + TOLERANCE) ** 2 * errors.min()))
            uses_left[chosen] -= 1
            cost = ((windows[chosen] - there) ** 2).sum(2)
            fresh = np.ones((block, block), bool)
            if column:
                fresh &= columns >= seam(cost[:, :overlap])[:, None]
            if row:
                fresh &= columns[:, None] >= seam(cost[:overlap].T)[None]
            there[fresh] = windows[chosen][fresh]
    return canvas[:size, :size].astype(np.uint8)


def main() -> None:
    torch.set_num_threads(1)
    images = real_or_smooth(OURS)
    seeds = derive(0, torch.arange(OURS))
    singles = images[:PEERS].permute(0, 2, 3, 1).contiguous().numpy()
    rng = np.random.default_rng(0)
    result = compare(
        lambda: synthesise(images, seeds),
        lambda: [quilt(image, rng) for image in singles],
        OURS,
        PEERS,
        "textures/s",
        repeats=3,
    )
    print(f"{1000 / result['ours']:.2f} s for 1,000 textures")
    report(result)


if __name__ == "__main__":
    main()
