"""Data by name: a built-in set, a folder of classes at any size, or a variant of ImageNet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from lib import paths
from lib.errors import BadInput, one_of
from lib.images import SCENES_SIZE, SPLITS, load, names
from lib.images.folder import Folder, open_folder

FEWEST = 5  # images of a class, of which every fifth is for tests
SCENES_TESTS = 2_000  # as many as `lib.images.load` gives where no count is asked for


@dataclass(frozen=True)
class Data:
    """What an encoder is asked about: `classes`, and how many images each split has.

    A built-in set is read by `lib.images.load` under its name, at its own `side` in pixels. A `folder` is read at the
    encoder's own size; `side` is None there. `unfit` says why no probe can be trained on it; "" where one can.
    """

    name: str
    classes: tuple[str, ...]
    checksum: str
    source: str
    sizes: dict[str, int]
    side: int | None = None
    folder: Folder | None = None
    unfit: str = ""


def open_data(name: str) -> Data:
    """The data of a name, or of a folder's path. Raises BadInput for what is neither, and for a folder of one class."""
    own = paths.data() / name if paths.data() else None
    for path in (Path(name).expanduser(), own):
        if path is not None and path.is_dir() and name not in ("", "scenes"):
            return of_folder(path)
    try:
        one_of(name, names(), "data set")
    except BadInput as error:
        raise BadInput(f"{error}, or a folder that holds a folder of images for each class") from None
    return _built_in(name)


def of_folder(path: Path) -> Data:
    folder = open_folder(path)
    sizes = {split: folder.size(split) for split in SPLITS}
    return Data(
        path.resolve().name, folder.classes, folder.checksum, folder.source, sizes, None, folder, _unfit(folder)
    )


def all_for_tests(data: Data) -> Data:
    """The folder with every image in the test split, for a classifier that is asked as it is."""
    folder = data.folder.all_for_tests()
    sizes = {split: folder.size(split) for split in SPLITS}
    return Data(data.name, data.classes, folder.checksum, data.source, sizes, None, folder, data.unfit)


def _unfit(folder: Folder) -> str:
    for split in ("train", "test"):
        counts = folder.labels[folder.splits[split]].bincount(minlength=len(folder.classes))
        if not counts.all():
            label = int((counts == 0).nonzero()[0])
            there = int((folder.labels == label).sum())
            return (
                f"the class {folder.classes[label]!r} has {there} image{'s' * (there != 1)}, none of them to "
                f"{'train' if split == 'train' else 'test'} on; a probe needs {FEWEST} or more of each class"
            )
    return "" if folder.size("validation") else "there is no image for validation; add some"


def _built_in(name: str) -> Data:
    first = load(name, "test", 1)
    if name == "scenes":
        sizes = SCENES_SIZE | {"test": SCENES_TESTS}
    else:
        sizes = {split: len(load(name, split).labels) for split in SPLITS}
    side = first.images.shape[-1]
    return Data(name, first.classes, first.checksum, first.source, dict(sizes), side)


def most_pixels(data: Data, side: int, held: int = 1 << 29) -> int:
    """How many test images may be in memory at once: half a GiB of uint8."""
    return max(1, held // (3 * (data.side or side) ** 2))


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
