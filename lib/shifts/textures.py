"""Textures of images by image quilting: what is left of an image when the layout of its objects is gone.

A texture is made from two square patches of its image, the centre and one at a random place, of 3/7 of the side (96 of
224 px, 14 of 32). Square blocks, each a window of one of the patches, are laid in raster order so that each overlaps
with those before it. A block is drawn at random from those whose overlap differs from what is there by little more than
the least, and is joined along the seam on which the two differ least. Every pixel is a copy of a pixel of a patch.

A block is half a patch wide and an overlap 0.4 of a block (7 and 3 of 32 px). Efros and Freeman overlap by a sixth,
which is a single pixel here and leaves no seam to choose. No block is used more than twice as often as if all were used
alike. Their patches are large; in ours a few blocks would continue each other for ever, a dot grid of one detail. The
price: a pattern as wide as the step from block to block (4 of 32 px) runs out of blocks that continue it exactly.

`synthesise(images, seeds)` makes textures; `textures(dataset, split, count)` those of a data set, once.

Sources: Efros and Freeman 2001, "Image quilting for texture synthesis and transfer" (SIGGRAPH), for the synthesis; Ge,
Mishra, Li, Wang and Jacobs 2021, "Robust contrastive learning using negative samples with diminished semantics" (arXiv
2110.14189), and its code, for the patches. What differs from the latter: they synthesise by multiresolution matching,
in a program whose result depends on its threads.
"""

from __future__ import annotations

import hashlib
from functools import partial

import torch
from torch import Tensor

from lib.errors import BadInput
from lib.images.kept import made_once
from lib.inputs import check_images, told, whole_or_none
from lib.randomness import derive, integers

PROTOCOL = 1  # a new number where pixels change
PATCH_SHARE = 3 / 7  # of the side of an image
BLOCK_SHARE = 1 / 2  # of the side of a patch
OVERLAP_SHARE = 0.4  # of the side of a block
TOLERANCE = 0.1  # by which a block may fit worse than the best one, as a share of the best one's distance
REPEATS = 2  # how often a block may be used, in units of its even share
SMALLEST = 8  # px; below it a patch has no blocks of two pixels to choose from
CACHED = 1_000  # textures a cache file
_AT_ONCE = 1 << 21  # values of blocks that are in memory together, 8 bytes each


def synthesise(images: Tensor, seeds: Tensor, size: int | None = None) -> Tensor:
    """A texture of each image: uint8 (N, 3, size, size) of uint8 `images` (N, 3, H, W), on their device.

    `size` is in px, the shorter side of the images by default. Texture i depends on image i, on number i of the int64
    `seeds` (N,) and on nothing else: all decisions compare sums of squared differences of uint8 values, which are whole
    numbers below 2**53 and so exact in float64, in any order, in any batch and on any device. Raises BadInput for
    other shapes or types, images below `SMALLEST` px and sizes below 1.

    >>> synthesise(torch.full((1, 3, 32, 32), 7, dtype=torch.uint8), torch.tensor([0]), 48).unique()
    tensor([7], dtype=torch.uint8)
    """
    _check(images, seeds)
    side = min(images.shape[-2:])
    size = whole_or_none(size, "the size of a texture", "that of the images") or side
    patch, block, overlap = geometry(side)
    values_of_one = 2 * (patch - block + 1) ** 2 * 3 * block**2
    parts = [part.split(max(1, _AT_ONCE // values_of_one)) for part in (images, seeds)]
    return torch.cat([_quilt(_blocks(i, s, patch, block), s, size, overlap) for i, s in zip(*parts, strict=True)])


def geometry(side: int) -> tuple[int, int, int]:
    """The sides of a patch and of a block, and the width of an overlap, in px, for images of `side` px.

    >>> geometry(32)
    (14, 7, 3)
    """
    patch = round(PATCH_SHARE * side)
    block = max(2, round(BLOCK_SHARE * patch))
    return patch, block, round(OVERLAP_SHARE * block)


def patches(images: Tensor, seeds: Tensor, side: int) -> Tensor:
    """The two sources of each texture, the centre and a random place: (N, 2, 3, side, side) of images (N, 3, H, W)."""
    corners = []
    for stream, room in enumerate(images.shape[-2:]):
        drawn = integers(seeds, 0, room - side + 1, (1,), stream)
        corners.append(torch.cat((torch.full_like(drawn, (room - side) // 2), drawn), dim=1))
    steps = torch.arange(side, device=images.device)
    rows, columns = (corner[:, :, None] + steps for corner in corners)  # (N, 2, side)
    which = torch.arange(len(images), device=images.device)[:, None, None, None]
    return images[which, :, rows[:, :, :, None], columns[:, :, None, :]].permute(0, 1, 4, 2, 3)


def minimum_seam(cost: Tensor) -> Tensor:
    """The cheapest seams from top to bottom through `cost` (N, h, w): the column in each row, int64 (N, h).

    Columns of neighbouring rows differ by at most one; a seam costs the sum of what it passes. Exact, by dynamic
    programming (Efros and Freeman 2001, section 2.1). Of equal ways it goes left. The type of `cost` must hold the
    sums.

    >>> minimum_seam(torch.tensor([[[9, 1, 9], [9, 9, 1], [9, 1, 9]]]))
    tensor([[1, 2, 1]])
    """
    if cost.ndim != 3 or 0 in cost.shape[1:]:
        raise BadInput(f"costs have the shape (N, h, w) with h and w of at least 1, not {tuple(cost.shape)}")
    most = float("inf") if cost.is_floating_point() else torch.iinfo(cost.dtype).max
    edge = torch.full_like(cost[:, 0, :1], most)
    totals = [
        torch.cat((edge, cost[:, 0], edge), 1)
    ]  # of the cheapest seam from the top to each column, (N, 1 + w + 1)
    for row in cost.unbind(1)[1:]:
        totals.append(torch.cat((edge, row + totals[-1].unfold(1, 3, 1).amin(2), edge), 1))
    seam = [totals[-1][:, 1:-1].argmin(1)]
    for total in reversed(totals[:-1]):
        near = seam[-1][:, None] + torch.arange(3, device=cost.device)
        seam.append(seam[-1] - 1 + total.gather(1, near).argmin(1))
    return torch.stack(seam[::-1], dim=1)


def textures(
    dataset: str,
    split: str = "train",
    count: int | None = None,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> Tensor:
    """The textures of `lib.images.load(dataset, split, count)`, in its order: uint8 (N, 3, S, S) on `device`.

    They are made there once and kept in files of `CACHED` in the cache, so that a call that was cut off goes on where
    it stopped; a damaged file is made again. Texture i does not depend on `count`. `progress` shows a bar. Raises
    BadInput where `load` does.
    """
    made = made_once(
        "textures", dataset, split, count, CACHED, "textures", _key, partial(_made, device=device), progress
    )
    return made.to(device)


def _key(images: Tensor) -> str:
    return f"{PROTOCOL}-{hashlib.sha256(images.numpy()).hexdigest()[:16]}"


def _made(images: Tensor, start: int, device: torch.device | str) -> Tensor:
    seeds = derive(0, torch.arange(start, start + len(images)))
    return synthesise(images.to(device), seeds.to(device)).cpu()


def _check(images: Tensor, seeds: Tensor) -> None:
    check_images(images, "synthesise", least=SMALLEST)
    if not isinstance(seeds, Tensor) or seeds.dtype != torch.int64 or seeds.shape != images.shape[:1]:
        raise BadInput(f"{len(images)} images take as many int64 seeds, not {told(seeds)}")


def _blocks(images: Tensor, seeds: Tensor, patch: int, block: int) -> Tensor:
    """All windows of `block` px of both patches of each image: float64 (N, K, 3, block, block)."""
    windows = patches(images, seeds, patch).double().unfold(-2, block, 1).unfold(-2, block, 1)
    return windows.permute(0, 1, 3, 4, 2, 5, 6).flatten(1, 3)


def _quilt(blocks: Tensor, seeds: Tensor, size: int, overlap: int) -> Tensor:
    """Textures (N, 3, size, size), uint8, of float64 `blocks` (N, K, 3, b, b)."""
    count, candidates, channels, side, _ = blocks.shape
    step = side - overlap
    across = max(1, -(-(size - overlap) // step))  # blocks in a row; the last may hang over
    canvas = blocks.new_zeros(count, channels, across * step + overlap, across * step + overlap)
    draws = integers(seeds, 0, 1 << 62, (across**2,), stream=2)
    uses_left = torch.full(blocks.shape[:2], -(-REPEATS * across**2 // candidates), device=blocks.device)
    everyone = torch.arange(count, device=blocks.device)
    flat = blocks.flatten(2).mT.contiguous()  # (N, 3 b b, K): products with it run six times as fast as with blocks
    squares = flat.square()
    overlaps, energies = {}, {}  # by whether there are blocks above and to the left
    for above, left in ((False, False), (False, True), (True, False), (True, True)):
        known = torch.zeros(side, side, dtype=blocks.dtype, device=blocks.device)
        known[: overlap * above] = 1
        known[:, : overlap * left] = 1
        overlaps[above, left] = known
        energies[above, left] = known.expand(channels, -1, -1).flatten() @ squares
    for place, drawn in enumerate(draws.unbind(1)):
        row, column = divmod(place, across)
        kind = row > 0, column > 0
        there = canvas[:, :, row * step : row * step + side, column * step : column * step + side]
        target = (there * overlaps[kind]).flatten(1)
        errors = energies[kind] - 2 * (target[:, None] @ flat)[:, 0] + target.square().sum(1, keepdim=True)
        errors.masked_fill_(uses_left == 0, float("inf"))
        fits = errors <= (1 + TOLERANCE) ** 2 * errors.amin(1, keepdim=True)
        chosen = (fits.cumsum(1) > (drawn % fits.sum(1))[:, None]).int().argmax(1)
        uses_left[everyone, chosen] -= 1
        there.copy_(_joined(there, blocks[everyone, chosen], overlap, *kind))
    return canvas[:, :, :size, :size].byte()


def _joined(there: Tensor, new: Tensor, overlap: int, above: bool, left: bool) -> Tensor:
    """`new` (N, 3, b, b), but `there` above the cheapest seam of the upper overlap and left of that of the left one."""
    cost = (there - new).square().sum(1)
    columns = torch.arange(new.shape[-1], device=new.device)
    fresh = torch.ones_like(cost, dtype=torch.bool)
    if left:
        fresh &= columns >= minimum_seam(cost[:, :, :overlap])[:, :, None]
    if above:
        fresh &= columns[:, None] >= minimum_seam(cost[:, :overlap].mT)[:, None, :]
    return torch.where(fresh[:, None], new, there)
