"""Images that stay in their files until they are asked for, of which a few batches are read ahead by threads."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib import files, paths
from lib.errors import BadInput
from lib.memory import sent

AHEAD = 2  # batches that are read, or under way, beside the one in use
MOST_READERS = 8  # threads of a process

Read = Callable[[Path], np.ndarray]  # a file -> uint8 (S, S, 3)


class Streamed:
    """Uint8 images (N, 3, S, S) in as many files, for whom has no room for all of them: few are ever in memory.

    It has of a tensor what training and the extraction of features ask for. Places, int64 (n,) on the CPU, give images
    on `device`, as they would of a tensor of all; a slice gives files that are still to be read; `split` gives batches,
    each read while the one before is in use. `expect` says which places are asked for next, so that they are there by
    then; what comes out does not depend on it, nor on the number of `readers`.

    `checksum` stands for all that decides the pixels, and `source` says in words what they are. Whatever else of a
    tensor somebody asks for is refused as BadInput, and so is a file that cannot be read, by its name.
    """

    dtype = torch.uint8

    def __init__(
        self, names: Sequence[Path], read: Read, side: int, checksum: str, source: str,
        device: torch.device | str = "cpu", readers: int | None = None,
    ) -> None:  # fmt: skip
        self.names, self.read, self.checksum, self.source = names, read, checksum, source
        self.shape = torch.Size((len(names), 3, side, side))
        self.device = torch.device(device)
        self.readers = readers or _usual_readers()
        self._later: Iterator[Tensor] = iter(())
        self._coming: deque[tuple[Tensor, list[Future]]] = deque()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, places: slice | Tensor) -> Any:
        if isinstance(places, slice):
            return self.only(torch.arange(len(self))[places], f"{places.start}-{places.stop}-{places.step}")
        if self._coming and torch.equal(self._coming[0][0], places):
            _, parts = self._coming.popleft()
            self._begin()
        else:
            parts = self._begun(places)
        read = np.stack([part.result() for part in parts]) if parts else np.empty((0, *self.shape[2:], 3), np.uint8)
        return sent(torch.from_numpy(read).permute(0, 3, 1, 2).contiguous(), self.device)

    def only(self, places: Tensor, called: str, device: torch.device | str | None = None) -> Streamed:
        """Those at some places, which are still to be read; `called` tells them from others of the same files."""
        names = [self.names[place] for place in places.tolist()]
        words = f"{self.checksum} {called}"
        to = self.device if device is None else device
        return Streamed(names, self.read, self.shape[-1], words, self.source, to, self.readers)

    def split(self, size: int) -> Iterator[Tensor]:
        """All of them, in batches of `size`."""
        batches = torch.arange(len(self)).split(size)
        self.expect(batches)
        for places in batches:
            yield self[places]

    def expect(self, batches: Iterable[Tensor]) -> None:
        """The places of the next batches, in the order in which they will be asked for, instead of earlier ones."""
        for _, parts in self._coming:
            for part in parts:
                part.cancel()
        self._coming.clear()
        self._later = iter(batches)
        self._begin()

    def once(self, what: str, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What `make` makes of all these images, kept in a file of the cache; on the CPU."""
        digest = _short(f"{what} {self.checksum} {len(self)} {self.shape[-1]} {self.device.type}")
        return files.kept(paths.cache() / "streamed" / f"{digest}.safetensors", lambda: _on_cpu(make()))

    def _begin(self) -> None:
        while len(self._coming) < AHEAD and (places := next(self._later, None)) is not None:
            self._coming.append((places, self._begun(places)))

    def _begun(self, places: Tensor) -> list[Future]:
        pool = _pool(self.readers)
        return [pool.submit(self.read, self.names[place]) for place in places.tolist()]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise BadInput(
            f"{self.source}: its {len(self):,} images of {self.shape[-1]} px are read from their files when a batch is "
            f"asked for; nothing that needs all of them at once, as {name!r} of a tensor does, is computed of them"
        )


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.cpu() for name, tensor in tensors.items()}


def _usual_readers() -> int:
    """A few threads, or what cores there are for this process among those that torchrun started."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(MOST_READERS, cores // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))


@functools.cache
def _pool(readers: int) -> ThreadPoolExecutor:
    """Threads suffice: Pillow decodes and scales outside of Python's lock."""
    return ThreadPoolExecutor(readers, thread_name_prefix="reader")


def _short(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()[:16]
