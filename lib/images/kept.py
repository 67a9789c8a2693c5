"""What is made of the images of a data set once, and kept in files of the cache."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from lib import files, paths
from lib.images import load
from lib.progress import bar


def made_once(
    name: str,
    dataset: str,
    split: str,
    count: int | None,
    size: int,
    folder: str,
    key: Callable[[Tensor], str],
    make: Callable[[Tensor, int], Tensor],
    progress: bool = True,
) -> Tensor:
    """`make(part, start)` of the images of `lib.images.load(dataset, split, count)`, a line an image, in their order.

    `part` are `size` images, from place `start` of the split on. What comes out is kept in a file a part, in `folder`
    of the cache, under the `key` of the part: a call that was cut off goes on where it stopped, and a damaged file is
    made again. Files are whole, except for the last one of a split, so that line i does not depend on `count`. `name`
    is what is made, for the files and the bar. Raises BadInput where `load` does.
    """
    images = load(dataset, split, count).images
    wanted = len(images)
    if wanted % size:
        images = load(dataset, split, wanted - wanted % size + size).images
    made = []
    with bar(progress, total=len(images), desc=name, unit="image", leave=False) as shown:
        for start in range(0, len(images), size):
            part = images[start : start + size]
            # The key says what the images are: another division of the same data into splits is another file.
            path = paths.cache() / folder / f"{key(part)}-{split}-{start:06d}.safetensors"
            made.append(files.kept(path, partial(_named, name, make, part, start))[name])
            shown.update(len(part))
    return torch.cat(made)[:wanted]


def _named(name: str, make: Callable[[Tensor, int], Tensor], part: Tensor, start: int) -> dict[str, Tensor]:
    return {name: make(part, start)}
