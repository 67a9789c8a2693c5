"""Data by name: a built-in set, a folder of classes at any size, or a variant of ImageNet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from lib import paths
from lib.errors import BadInput, one_of
from lib.images import SCENES_SIZE, SPLITS, load, names
from lib.images.folder import Folder, open_folder, tests_alone
from lib.shifts.imagenet import IMAGENET_C, OBJECTNET, VARIANTS, imagenet_variant
from lib.shifts.wnids import WNIDS

# Of ImageNet-C the corruptions are made anew, and in ObjectNet several classes are right at once.
TESTED = tuple(name for name in VARIANTS if name not in (IMAGENET_C, OBJECTNET))
AMONG = ("imagenet-r", "imagenet-a")  # whose authors let a classifier choose among their classes only
FEWEST = 5  # images of a class, of which every fifth is for tests
SCENES_TESTS = 2_000  # as many as `lib.images.load` gives where no count is asked for


@dataclass(frozen=True)
class Data:
    """What an encoder is asked about: `classes`, and how many images each split has.

    A built-in set is read by `lib.images.load` under its name, at its own `side` in pixels. A `folder` is read at the
    encoder's own size; `side` is None there. `unfit` says why no probe can be trained on it; "" where one can. `among`
    says whether a classifier chooses among these classes only, as the authors of two variants of ImageNet have it.
    """

    name: str
    classes: tuple[str, ...]
    checksum: str
    source: str
    sizes: dict[str, int]
    side: int | None = None
    folder: Folder | None = None
    unfit: str = ""
    among: bool = False


def open_data(name: str) -> Data:
    """The data of a name, or of a folder's path. Raises BadInput for what is neither, and for a folder of one class."""
    variant, _, where = name.partition(":")
    if variant in TESTED:
        return of_variant(variant, where or None)
    own = paths.data() / name if paths.data() else None
    for path in (Path(name).expanduser(), own):
        if path is not None and path.is_dir() and name not in ("", "scenes"):
            return of_folder(path)
    try:
        one_of(name, names(), "data set")
    except BadInput as error:
        variants = f"one of {', '.join(TESTED)}, with its folder behind a colon or under WITHSTAND_DATA"
        raise BadInput(f"{error}; or a folder that holds a folder of images for each class; or {variants}") from None
    return _built_in(name)


def of_folder(path: Path) -> Data:
    folder = open_folder(path)
    sizes = {split: folder.size(split) for split in SPLITS}
    return Data(
        path.resolve().name, folder.classes, folder.checksum, folder.source, sizes, None, folder, _unfit(folder)
    )


def of_variant(name: str, folder: str | None) -> Data:
    """A variant of ImageNet, all of it for tests, with the classes of which it has images."""
    found = imagenet_variant(name, WNIDS, folder=folder)
    present = found.labels.unique()
    labels = torch.searchsorted(present, found.labels)
    classes = tuple(WNIDS[place] for place in present.tolist())
    own = tests_alone(found.files, labels, classes, f"{name} ({len(found.files):,} images)")
    sizes = {split: own.size(split) for split in SPLITS}
    unfit = f"{name} is for tests alone"
    checksum = (
        f"{own.checksum} (among its classes)" if name in AMONG else own.checksum
    )  # of the same files other numbers
    return Data(name, classes, checksum, own.source, sizes, None, own, unfit, name in AMONG)


def all_for_tests(data: Data) -> Data:
    """The folder with every image in the test split, for a classifier that is asked as it is."""
    if data.folder is None:
        return data
    if not data.sizes["train"] and not data.sizes["validation"]:
        return data
    folder = data.folder.all_for_tests()
    sizes = {split: folder.size(split) for split in SPLITS}
    return replace(data, checksum=folder.checksum, sizes=sizes, folder=folder)


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
