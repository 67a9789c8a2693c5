"""A folder of classes whose images are read when their turn comes: at any size, in bounded memory, by several threads.

`lib.images.load` holds a whole set as one tensor, which 50,000 photographs of 224 px are too many for: 7 GB. Here a set
is a list of files until images are asked for, and each asker says how a file becomes pixels.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib.errors import BadInput
from lib.images import SPLITS, places_of
from lib.images.reading import readable, tell_others
from lib.images.sources import divided, listed

BATCH = 64  # images
THREADS = min(8, os.cpu_count() or 1)
AHEAD = 4  # files that are read before their turn, for each thread

Read = Callable[[Path], np.ndarray]  # a file -> uint8 (S, S, 3), as `lib.images.reading.open_image` sees its pixels


@dataclass(frozen=True)
class Folder:
    """The files (N) of a folder of classes, with int64 `labels` (N,), and the places of each split in them, in order.

    The splits are those that `lib.images.load` makes of the same folder. `checksum` is that of all files' bytes, their
    labels, their classes' names and their splits; `source` says in words what the images are.
    """

    files: tuple[Path, ...]
    labels: Tensor
    splits: Mapping[str, Tensor]
    classes: tuple[str, ...]
    checksum: str
    source: str

    def size(self, split: str) -> int:
        return len(self.splits[split])

    def batches(
        self, split: str, read: Read, count: int | None = None, size: int = BATCH
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Uint8 images (n, 3, S, S) and labels (n,) of the first `count` files of a split (None: all), n up to `size`.

        Files that cannot be read are left out, as `lib.images.reading.readable` has it.
        """
        chosen = self.splits[split][:count]
        files, labels = [self.files[place] for place in chosen.tolist()], self.labels[chosen]
        return batches(files, labels, read, self.source, size)

    def all_for_tests(self) -> Folder:
        """The same images, all of them for tests: for a classifier that needs no training."""
        checksum = f"{self.checksum} (all for tests)"
        return Folder(self.files, self.labels, _tests_alone(self.labels), self.classes, checksum, self.source)


def _tests_alone(labels: Tensor) -> dict[str, Tensor]:
    """Splits of which only that for tests has images."""
    every = places_of("test", labels, torch.ones(len(labels), dtype=torch.bool))
    return {split: every if split == "test" else every[:0] for split in SPLITS}


def open_folder(folder: Path) -> Folder:
    """The images in `folder/CLASS/*`, or divided into splits, as `lib.images.sources.from_folder` finds them.

    Raises BadInput for a folder that has fewer than two classes.
    """
    found = listed(folder)
    tell_others(found.others, folder.name)
    test, validation = divided(found.labels, found.parts, found.roots)
    splits = {split: places_of(split, found.labels, test, validation) for split in SPLITS}
    checksum = _checksum(found.files, found.labels, found.classes, "".join(found.parts))
    source = f"{folder.name} (folder of {len(found.files):,} images)"
    return Folder(tuple(found.files), found.labels, splits, found.classes, checksum, source)


def tests_alone(files: Sequence[Path], labels: Tensor, classes: tuple[str, ...], source: str) -> Folder:
    """Files (N) and their labels (N,) as a set that is for tests alone, such as a variant of ImageNet."""
    checksum = _checksum(files, labels, classes)
    return Folder(tuple(files), labels, _tests_alone(labels), classes, checksum, source)


def _checksum(files: Sequence[Path], labels: Tensor, classes: Sequence[str], parts: str = "") -> str:
    digest = hashlib.sha256(labels.numpy().tobytes() + "\n".join((parts, *classes)).encode(errors="replace"))
    for part in _in_parallel(_digest, files):
        digest.update(part)
    return digest.hexdigest()


def batches(
    files: Sequence[Path], labels: Tensor, read: Read, what: str, size: int = BATCH
) -> Iterator[tuple[Tensor, Tensor]]:
    """Uint8 images (n, 3, S, S) and labels (n,) of `files` (N) in their order; no more than a few batches are held."""
    images: list[np.ndarray] = []
    places: list[int] = []
    for place, image in read_ahead(files, read, what):
        images.append(image)
        places.append(place)
        if len(images) == size:
            yield _stacked(images), labels[places]
            images, places = [], []
    if images:
        yield _stacked(images), labels[places]


def read_ahead(files: Sequence[Path], read: Read, what: str) -> Iterator[tuple[int, np.ndarray]]:
    """`lib.images.reading.readable`, with a few files read ahead in threads: Pillow decodes outside of locks."""
    made = _in_parallel(lambda path: _tried(read, path), files)

    def next_one(_: Path) -> np.ndarray:
        found = next(made)
        if isinstance(found, BadInput):
            raise found
        return found

    yield from readable(files, next_one, what)


def _tried(read: Read, path: Path) -> np.ndarray | BadInput:
    try:
        return read(path)
    except BadInput as error:
        return error


def _in_parallel(function: Callable, items: Sequence) -> Iterator:
    """What `function` makes of each item, in order, of which only a few are made before they are asked for."""
    with ThreadPoolExecutor(THREADS) as pool:
        coming: deque = deque()
        for item in items:
            coming.append(pool.submit(function, item))
            if len(coming) > AHEAD * THREADS:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _digest(path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:  # what cannot be read is left out, and said, where its pixels are asked for
        return path.name.encode()


def _stacked(images: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
