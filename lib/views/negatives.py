"""Images that keep the surface of a view and lose what it shows (Ge et al. 2021, arXiv 2110.14189)."""

from __future__ import annotations

import torch
from torch import Tensor

from lib.errors import BadInput
from lib.inputs import told
from lib.world import drawn

LEAST, MOST = 16 / 224, 72 / 224  # side of a patch as a share of the image's; the public code's range


def patch_sides(side: int) -> tuple[int, int]:
    """The smallest and the largest side of a patch, in pixels, for images of `side` pixels: 2 and 10 for 32."""
    return max(1, round(LEAST * side)), max(1, round(MOST * side))


def patch_negatives(images: Tensor, generator: torch.Generator) -> Tensor:
    """A grid of random patches of each image, in place of it: (N, 3, H, W) of any type -> the same.

    For each image a side is drawn between those of `patch_sides`, and the image is paved, from its upper left corner,
    with square patches of that side from places drawn anew for each, which may be the same, as the public code has it.
    `generator` must live on the images' device. Pixels only move,
    so that their values are not looked at. Raises BadInput for another shape.
    """
    if not isinstance(images, Tensor) or images.ndim != 4 or images.shape[1] != 3:
        raise BadInput(f"patch_negatives takes images (N, 3, H, W), not {told(images)}")
    count, _, height, width = images.shape
    least, most = patch_sides(min(height, width))
    device = images.device
    own = {"generator": generator, "device": device}
    side = drawn(count, lambda number: torch.randint(least, most + 1, (number, 1), **own))  # (N, 1)
    down, across = (torch.arange(length, device=device) for length in (height, width))
    # Of each row and column of pixels, in which patch it lies; of each patch, where it is cut.
    row, column = down // side, across // side  # (N, H), (N, W)
    grid = -(-height // least), -(-width // least)
    top, left = (
        (drawn(count, lambda number: torch.rand(number, *grid, **own)) * (length - side[..., None] + 1)).long()
        for length in (height, width)
    )
    corner = top * width + left  # of each patch: where it begins in the flat image
    corner = corner.gather(1, row[:, :, None].expand(-1, -1, grid[1])).gather(2, column[:, None].expand(-1, height, -1))
    source = corner + (down % side * width)[:, :, None] + (across % side)[:, None]  # (N, H, W)
    return images.flatten(2).gather(2, source.flatten(1)[:, None].expand(-1, images.shape[1], -1)).view_as(images)
