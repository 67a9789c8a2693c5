"""Where whole data sets come from: packed arrays, folders of pictures, torchvision's CIFAR-10."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.datasets import CIFAR10

from lib import paths
from lib.errors import BadInput

CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FOLDER_SIZE = 32  # pixels: pictures in folders are cut to a square and scaled to this side


@dataclass(frozen=True)
class Pictures:
    """A whole data set: uint8 `images` (N, 3, S, S), int64 `labels` (N,), bool `test` and `exact` (N,).

    `exact` is false for images known to differ from the original; they are left out of training.
    `source` says in words what these pictures are and goes into every run's provenance.
    """

    images: Tensor
    labels: Tensor
    test: Tensor
    exact: Tensor
    classes: tuple[str, ...]
    source: str


def from_arrays(path: Path) -> Pictures:
    """`NAME.npz` with `images` uint8 (N, S, S, 3) and `labels` (N,); `test`, `exact` (bool) and `classes` if known.

    Without `test`, every fifth image of each class is a test image.
    """
    arrays = read_packed(path)
    for key in ("images", "labels"):
        if key not in arrays:
            raise BadInput(f"{path} has no array {key!r}; a data set needs images and labels, and may have test, exact "
                           f"and classes (it has: {', '.join(arrays)})")  # fmt: skip
    images, labels = arrays["images"], arrays["labels"]
    check_images(images, path)
    if labels.shape != images.shape[:1] or not np.issubdtype(labels.dtype, np.integer) or labels.min(initial=0) < 0:
        raise BadInput(f"labels in {path} are {len(images)} whole numbers from 0, not {labels.dtype} {labels.shape}")
    labels = torch.from_numpy(labels.astype(np.int64))
    exact = torch.from_numpy(arrays.get("exact", np.ones(len(images), dtype=bool)))
    classes = tuple(map(str, arrays.get("classes", range(int(labels.max()) + 1))))
    name = path.stem if exact.all() else f"{path.stem} ({int(exact.sum()):,} exact)"
    return Pictures(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        labels=labels,
        test=torch.from_numpy(arrays["test"]) if "test" in arrays else every_fifth(labels),
        exact=exact,
        classes=classes,
        source=name,
    )


def as_built_in(pictures: Pictures, name: str, path: Path) -> Pictures:
    """A user's own copy of a set that is known by its name, with its classes; refused where it is another set."""
    if name not in CLASSES:
        return pictures
    known, side = CLASSES[name], pictures.images.shape[-1]
    numbered = tuple(map(str, range(len(pictures.classes))))  # a copy need not name its classes
    if pictures.classes not in (known, numbered) or int(pictures.labels.max()) >= len(known) or side != SIDES[name]:
        held = f"{len(pictures.classes)} classes ({', '.join(pictures.classes[:3])}, ...) at {side} px"
        raise BadInput(
            f"{path} is named as {name}, which has {len(known)} classes ({', '.join(known)}) at {SIDES[name]} px, and "
            f"holds {held}; give it another name"
        )
    return replace(pictures, classes=known)


def read_packed(path: Path, names: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """The arrays of an .npz file, or those of `names` that it has; each one's CRC is checked on the way."""
    try:
        with np.load(path, allow_pickle=False) as packed:
            return {key: packed[key] for key in packed.files if names is None or key in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError) as error:
        raise BadInput(f"{path} is damaged or not an .npz file ({error}); write it again") from error


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


def from_folder(folder: Path) -> Pictures:
    """Pictures in `folder/CLASS/*`, or in `folder/train/CLASS/*` and `folder/test/CLASS/*`: any size and format.

    Each is cut to its central square and scaled to 32 px by averaging.
    """
    parts = {"train": folder / "train", "test": folder / "test"}
    divided = all(part.is_dir() for part in parts.values())
    roots = parts if divided else {"train": folder}
    classes = sorted({entry.name for root in roots.values() for entry in root.iterdir() if entry.is_dir()})
    if len(classes) < 2:
        raise BadInput(f"{folder} needs a folder of pictures for each of two or more classes, it has {classes}")
    images, labels, test = [], [], []
    for part, root in roots.items():
        for label, name in enumerate(classes):
            for path in sorted(p for p in (root / name).glob("*") if p.is_file() and not p.name.startswith(".")):
                images.append(read_picture(path))
                labels.append(label)
                test.append(part == "test")
    if not images:
        raise BadInput(f"the class folders of {folder} hold no pictures")
    labels = torch.tensor(labels)
    return Pictures(
        images=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        labels=labels,
        test=torch.tensor(test) if divided else every_fifth(labels),
        exact=torch.ones(len(labels), dtype=torch.bool),
        classes=tuple(classes),
        source=f"{folder.name} (folder of {len(images):,} pictures)",
    )


def read_picture(path: Path, size: int = FOLDER_SIZE, frame: int = 0) -> np.ndarray:
    """The central square of a picture without its outermost `frame` pixels, by averaging: uint8 (size, size, 3)."""
    try:
        with Image.open(path) as picture:
            picture = picture.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise BadInput(f"{path} is not a picture that Pillow can read; remove it or save it as PNG or JPEG") from error
    side = min(picture.size) - 2 * frame
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    box = (left, top, left + side, top + side)
    return np.asarray(picture.resize((size, size), Image.Resampling.BOX, box=box))


def cifar10() -> Pictures:
    """CIFAR-10 (Krizhevsky 2009): torchvision's files in the cache, downloaded with their checksums where missing."""
    parts = torchvision_parts(CIFAR10, "cifar10")
    images = np.concatenate([part.data for part in parts])
    labels = torch.tensor([label for part in parts for label in part.targets])
    return Pictures(
        images=torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(),
        labels=labels,
        test=torch.arange(len(labels)) >= len(parts[0].data),
        exact=torch.ones(len(labels), dtype=torch.bool),
        classes=CIFAR10_CLASSES,
        source="cifar10",
    )


def torchvision_parts(kind: type[CIFAR10], name: str) -> list[CIFAR10]:
    """Training and test part of torchvision's CIFAR-10 or CIFAR-100, from the cache, else downloaded into it."""
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
    return {"cifar10": paths.cache() / CIFAR10.base_folder}[name].is_dir()


# Data sets that users can get without a file of their own; any other name is looked for under WITHSTAND_DATA.
DOWNLOADS: dict[str, Callable[[], Pictures]] = {"cifar10": cifar10}
CLASSES = {"cifar10": CIFAR10_CLASSES}  # names that the packed arrays of a set do not carry
SIDES = {"cifar10": 32}  # pixels
