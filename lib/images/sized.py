"""Folders of image files at a size that the name of the data set asks for: `photographs@224`, at 224 pixels.

A set that has room in memory is held there, as every other. Of a larger one the images are read from their files when
their turn comes (`lib.streamed`), those for tests excepted, which are as many as a measure asks for. Both see the same
pixels, and are one set by their checksum. A large set is read through once before, so that it is known which files
cannot be read and what the checksum is; the cache keeps that until a file's size or time of change differs.
"""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import numpy as np
import PIL
import torch

from lib import files, paths
from lib.errors import BadInput
from lib.images.folder import read_ahead
from lib.images.reading import tell_others
from lib.images.sources import ImageSet, Listed, from_folder, listed, read_image, set_of
from lib.streamed import Streamed

LARGEST = 2 << 30  # bytes of a set that is held in memory


def opened(name: str, side: int, root: Path | None) -> ImageSet:
    """The folder of a name with a size below `root`, all of whose images are at that size, held or `Streamed`."""
    base = name.rpartition("@")[0]
    folder = root / base if root else None
    if folder is None or not folder.is_dir():
        raise BadInput(f"{name} is the folder {base} of image files under WITHSTAND_DATA, and there is none")
    found = listed(folder)
    if 3 * side * side * len(found.files) <= LARGEST:
        return from_folder(folder, side)
    tell_others(found.others, folder.name)
    read = partial(read_image, size=side)
    known = files.kept(_kept(folder, found, side), partial(_read_through, folder, found, side))
    places = known["places"].tolist()
    checksum = bytes(known["checksum"].tolist()).hex()
    images = Streamed([found.files[place] for place in places], read, side, checksum, folder.name)
    return set_of(folder.name, found, images, places)  # type: ignore[arg-type]


def _kept(folder: Path, found: Listed, side: int) -> Path:
    """Where it is kept what reading through these files came to."""
    digest = hashlib.sha256(f"{folder.resolve()} {side} {PIL.__version__} {' '.join(found.parts)}".encode())
    digest.update(found.labels.numpy())
    for path in found.files:
        status = path.stat()
        digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode(errors="replace"))
    return paths.cache() / "streamed" / f"read-{digest.hexdigest()[:16]}.safetensors"


def _read_through(folder: Path, found: Listed, side: int) -> dict[str, torch.Tensor]:
    """The places of the files that can be read, and the checksum that a set has which is held."""
    digest, places = hashlib.sha256(), []
    for place, image in read_ahead(found.files, partial(read_image, size=side), folder.name):
        digest.update(np.ascontiguousarray(image.transpose(2, 0, 1)))
        places.append(place)
    digest.update(found.labels[places].numpy())
    return {
        "places": torch.tensor(places, dtype=torch.int64),
        "checksum": torch.tensor(list(digest.digest()), dtype=torch.uint8),
    }
