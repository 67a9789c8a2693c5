"""Where whole data sets come from: packed arrays, folders of images, torchvision's CIFAR-10."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib import paths
from lib.errors import BadInput
from lib.images.reading import (
    Listing,
    class_folders,
    is_image,
    list_images,
    nested,
    open_image,
    read_each,
    tell_others,
    visible,
)

if TYPE_CHECKING:
    from torchvision.datasets import CIFAR10

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER_SIZE = 32  # pixels: images in folders are cut to a square and scaled to this side
ASKED = (8, 1024)  # pixels, the least and the most that a name may ask for
# The names of the folders of splits, in any case.
PARTS = {"train": ("train", "training"), "validation": ("val", "valid", "validation"), "test": ("test", "testing")}


@dataclass(frozen=True)
class ImageSet:
    """A whole data set: uint8 `images` (N, 3, S, S), int64 `labels` (N,), bool `test` and `exact` (N,).

    `exact` is false for images known to differ from the original; they are left out of training.
    `source` says in words what these images are and goes into every run's provenance. `validation`, bool (N,), are
    the images for validation where the set has some of its own.
    """

    images: Tensor
    labels: Tensor
    test: Tensor
    exact: Tensor
    classes: tuple[str, ...]
    source: str
    validation: Tensor | None = None


def from_arrays(path: Path) -> ImageSet:
    """`NAME.npz` with `images` uint8 (N, S, S, 3) and `labels` (N,); `test`, `exact` (bool) and `classes` if known.

    Without `test`, every fifth image of each class is a test image. `classes` has one name for each label, strings or
    numbers. Raises BadInput for anything else.
    """
    arrays = read_packed(path)
    for key in ("images", "labels"):
        if key not in arrays:
            raise BadInput(f"{path} has no array {key!r}; a data set needs images and labels, and may have test, exact "
                           f"and classes (it has: {', '.join(arrays)})")  # fmt: skip
    images, labels = arrays["images"], arrays["labels"]
    check_images(images, path)
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
        found = f", the least of them {labels.min()}" if labels.size and labels.dtype.kind in "if" else ""
        raise BadInput(
            f"labels in {path} are {len(images)} whole numbers from 0, not {labels.dtype} {labels.shape}{found}"
        )
    for key in ("test", "exact"):
        array = arrays.get(key)
        if array is not None and (array.dtype != bool or array.shape != labels.shape):
            raise BadInput(f"{key} in {path} are {len(images)} booleans, not {array.dtype} {array.shape}")
    classes = _classes(arrays.get("classes"), int(labels.max()), path)
    labels = torch.from_numpy(labels.astype(np.int64))
    exact = torch.from_numpy(arrays.get("exact", np.ones(len(images), dtype=bool)))
    name = path.stem if exact.all() else f"{path.stem} ({int(exact.sum()):,} exact)"
    return ImageSet(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        labels=labels,
        test=torch.from_numpy(arrays["test"]) if "test" in arrays else every_fifth(labels),
        exact=exact,
        classes=classes,
        source=name,
    )


def source_in_words(source: str) -> str:
    """The `source` of a set, which runs keep, for a reader who does not know what is exact in it.

    >>> source_in_words("cifar10 (59,896 exact)")
    'cifar10 (59,896 exact images: the others differ from the originals and are not trained on)'
    >>> source_in_words("scenes (rendered, protocol 1)")
    'scenes (rendered, protocol 1)'
    """
    words = " exact images: the others differ from the originals and are not trained on)"
    return re.sub(r"(?<=\d) exact\)$", words, source)


def as_built_in(images: ImageSet, name: str, path: Path) -> ImageSet:
    """A user's own copy of a set that is known by its name, with its classes; refused where it is another set."""
    if name not in CLASSES:
        return images
    known, side = CLASSES[name], images.images.shape[-1]
    numbered = tuple(map(str, range(len(images.classes))))  # a copy need not name its classes
    if images.classes not in (known, numbered) or int(images.labels.max()) >= len(known) or side != SIDES[name]:
        held = f"{len(images.classes)} classes ({', '.join(images.classes[:3])}, ...) at {side} px"
        raise BadInput(
            f"{path} is named as {name}, which has {len(known)} classes ({', '.join(known)}) at {SIDES[name]} px, and "
            f"holds {held}; give it another name"
        )
    return replace(images, classes=known)


def _classes(names: np.ndarray | None, largest: int, path: Path) -> tuple[str, ...]:
    """The name of each class of a packed file, whose labels go up to `largest`."""
    if names is None:
        return tuple(map(str, range(largest + 1)))
    if names.ndim != 1 or names.dtype.kind not in "USiu" or len(names) <= largest:
        raise BadInput(
            f"classes in {path} are {largest + 1} or more names, one for each label from 0 to {largest}, not "
            f"{names.dtype} {names.shape}"
        )
    found = tuple(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in names.tolist())
    if twice := sorted({name for name in found if found.count(name) > 1}):
        raise BadInput(f"classes in {path} name {twice[0]!r} more than once; each class has a name of its own")
    return found


def read_packed(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, or those of `names` that it has; each one's CRC is checked on the way.

    Raises BadInput for a damaged file and for an array of Python objects, which nothing but a pickle can hold.
    """
    try:
        with np.load(path, allow_pickle=False) as packed:
            return {key: _array(packed, key, path) for key in packed.files if names is None or key in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path} is damaged or not an .npz file ({error}); write it again") from error


def _array(packed: np.lib.npyio.NpzFile, key: str, path: Path) -> np.ndarray:
    try:
        return packed[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise BadInput(
            f"{key} in {path} is an array of Python objects, which is not read; save it as an array of numbers, or of "
            f"strings as {key}=np.array({key}, dtype=str)"
        ) from error


def check_images(images: np.ndarray, path: Path) -> None:
    """Refuse what is not one or more square images, uint8 (N, S, S, 3)."""
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3 or images.shape[1] != images.shape[2]:
        raise BadInput(f"images in {path} are uint8 of shape (N, S, S, 3), not {images.dtype} {images.shape}")
    if not images.size:
        raise BadInput(f"{path} holds no images; a data set needs one or more")


def every_fifth(labels: Tensor) -> Tensor:
    """True for every fifth image of each class, counted in the order of the set."""
    test = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        test[(labels == label).nonzero()[4::5, 0]] = True
    return test


def from_folder(folder: Path, size: int = FOLDER_SIZE) -> ImageSet:
    """Images in `folder/CLASS/*`, or divided: `folder/train/CLASS/*` and the like in `val`, `test` or both.

    Each is cut to its central square and scaled to `size` pixels by averaging. The names of splits are those of PARTS,
    in any case; without `test`, `val` is the test split. What `lib.images.reading` sees are the entries of a folder,
    and one folder in the other, as archives are unpacked, is looked through. An image that cannot be read is left out;
    more than a share of `reading.UNREADABLE` of them raises BadInput.
    """
    found = listed(folder)
    images, places = read_each(found.files, partial(read_image, size=size), folder.name)
    tell_others(found.others, folder.name)
    return set_of(folder.name, found, torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), places)


def set_of(name: str, found: Listed, images: Tensor, places: Sequence[int]) -> ImageSet:
    """The set of those files of a folder, at `places`, that could be read as `images` (N, 3, S, S)."""
    files, others, roots = found.files, found.others, found.roots
    labels = found.labels[places]
    test, validation = divided(labels, found.parts[places], roots)
    notes = [f"folder of {len(images):,} images"]
    if images.shape[-1] != FOLDER_SIZE:
        notes.append(f"at {images.shape[-1]} px")
    if "test" not in roots and "validation" in roots:
        notes.append(f"its folder {roots['validation'].name} is the test split")
    notes += [f"{len(files) - len(images)} that cannot be read left out"] if len(images) < len(files) else []
    notes += [f"{len(others)} files that are no images left out"] if others else []
    return ImageSet(
        images=images,
        labels=labels,
        test=test,
        exact=torch.ones(len(labels), dtype=torch.bool),
        classes=found.classes,
        source=f"{name} ({'; '.join(notes)})",
        validation=validation,
    )


def side_of(name: str) -> int | None:
    """The pixels that the name of a data set asks for; None where it asks for none, as most do."""
    found = re.fullmatch(r".+@(\d+)", name)
    if not found:
        return None
    side = int(found[1])
    if not ASKED[0] <= side <= ASKED[1]:
        raise BadInput(f"{name} asks for images of {side} pixels; name from {ASKED[0]} to {ASKED[1]}")
    return side


@dataclass(frozen=True)
class Listed:
    """The image files (N) of a folder of classes, int64 `labels` (N,), and the split that each is in, by PARTS: (N,).

    `others` are files that are no images; `roots` are the folders of the splits that are there.
    """

    files: list[Path]
    labels: Tensor
    parts: np.ndarray
    classes: tuple[str, ...]
    others: list[Path]
    roots: dict[str, Path]


def listed(folder: Path) -> Listed:
    """What `from_folder` reads, without reading it."""
    roots = _roots(folder)
    classes = sorted({name for root in roots.values() for name in class_folders(root)})
    if len(classes) < 2:
        loose = sum(1 for path in visible(roots["train"]) if path.is_file() and is_image(path))
        raise BadInput(
            f"{folder} needs a folder of images for each of two or more classes, it has {classes}"
            + (f" and {loose:,} images in no such folder" if loose else "")
        )
    files, labels, parts, others = [], [], [], []
    for part, root in roots.items():
        listing = list_images(root, classes)
        if not any(listing.images.values()):
            raise BadInput(_no_images(folder, part, root, listing))
        for label, found in enumerate(listing.images.values()):
            files += found
            labels += [label] * len(found)
            parts += [part] * len(found)
        others += listing.others
    return Listed(files, torch.tensor(labels), np.array(parts), tuple(classes), others, roots)


def divided(labels: Tensor, parts: np.ndarray, roots: Collection[str]) -> tuple[Tensor, Tensor | None]:
    """Which of the images of a folder are for tests and for validation, bool (N,), from the splits that they lie in.

    Without a folder for tests that for validation is it; with neither, every fifth image of each class is a test image.
    """
    if "test" not in roots and "validation" in roots:
        parts = np.where(parts == "validation", "test", parts)
    test = torch.from_numpy(parts == "test") if len(roots) > 1 else every_fifth(labels)
    return test, torch.from_numpy(parts == "validation") if len(roots) > 2 else None


def _roots(folder: Path) -> dict[str, Path]:
    """The folder of class folders of each split, in the order of PARTS; of "train" alone where a set is not divided."""
    places = nested(folder)
    for place in places:
        found = {}
        for part, names in PARTS.items():
            named = [name for name in class_folders(place) if name.lower() in names]
            if len(named) > 1:
                raise BadInput(f"{place} has the folders {' and '.join(named)} for one split; keep one of them")
            if named:
                found[part] = place / named[0]
        if "train" in found and len(found) > 1:
            return found
        if found and "train" not in found and len(found) == len(class_folders(place)):
            raise BadInput(f"{place} has {' and '.join(path.name for path in found.values())} but no folder train")
    return {"train": places[-1]}


def _no_images(folder: Path, part: str, root: Path, listing: Listing) -> str:
    if part == "train":
        deeper = [name for name in listing.images if (root / name).is_dir() and class_folders(root / name)]
        hint = f"; folders in {deeper[0]} are not looked through" if deeper else ""
        return f"the class folders of {root} hold no images, and are to hold them as CLASS/NAME.jpg{hint}"
    rest = "another split or every fifth training image is used for it" if part == "test" else "training images are"
    return f"{root} holds no images; put them there in folders of classes, or remove it, so that {rest}"


def read_image(path: Path, size: int = FOLDER_SIZE, frame: int = 0) -> np.ndarray:
    """The central square of an image without its outermost `frame` pixels, by averaging: uint8 (size, size, 3).

    What a file's pixels are says `lib.images.reading.open_image`.
    """
    image = open_image(path)
    side = min(image.size) - 2 * frame
    if side < 1:
        raise BadInput(f"{path} has {image.width} x {image.height} pixels, and a frame of {frame} is to be cut off")
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(image.resize((size, size), Image.Resampling.BOX, box=box))


def cifar10() -> ImageSet:
    """CIFAR-10 (Krizhevsky 2009): torchvision's files in the cache, downloaded with their checksums where missing."""
    from torchvision.datasets import CIFAR10  # here: see `torchvision_parts`

    parts = torchvision_parts(CIFAR10, "cifar10")
    images = np.concatenate([part.data for part in parts])
    labels = torch.tensor([label for part in parts for label in part.targets])
    return ImageSet(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        labels=labels,
        test=torch.arange(len(labels)) >= len(parts[0].data),
        exact=torch.ones(len(labels), dtype=torch.bool),
        classes=CIFAR10_CLASSES,
        source="cifar10",
    )


def torchvision_parts(kind: type[CIFAR10], name: str) -> list[CIFAR10]:
    """Training and test part of torchvision's CIFAR-10 or CIFAR-100, from the cache, else downloaded into it.

    torchvision takes seconds to import. So it is imported where it is used, as everywhere in `lib`: a page that only
    reads rows does without it.
    """
    folder = paths.cache()

    def both(download: bool) -> list[CIFAR10]:
        return [kind(folder, train=train, download=download) for train in (True, False)]

    try:
        return both(download=False)
    except RuntimeError:  # missing, or their checksum is wrong
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return both(download=True)
        except (OSError, RuntimeError) as error:
            raise BadInput(
                f"{name} is not here and the download failed ({error}); put torchvision's {kind.filename} into "
                f"{folder}, or name a folder that holds {name}.npz by WITHSTAND_DATA"
            ) from error


def downloaded(name: str) -> bool:
    """Whether torchvision's files of one of `DOWNLOADS` lie in the cache, whole or not."""
    return {"cifar10": paths.cache() / "cifar-10-batches-py"}[name].is_dir()


# Data sets that users can get without a file of their own; any other name is looked for under WITHSTAND_DATA.
DOWNLOADS: dict[str, Callable[[], ImageSet]] = {"cifar10": cifar10}
CLASSES = {"cifar10": CIFAR10_CLASSES}  # names that the packed arrays of a set do not carry
SIDES = {"cifar10": 32}  # pixels
