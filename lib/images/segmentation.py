"""Segmentation: images in which every pixel has a class.

| name       | images        | classes | what they are                                                            |
|------------|-----------------|---------|--------------------------------------------------------------------------|
| scenes     | any number      | 11      | `lib.images.scenes` with their exact masks: background, or the shape     |
| pets       | 3,680 and 3,669 | 2       | Oxford-IIIT Pets (Parkhi et al. 2012): background, or the pet            |
| voc        | 1,464 and 1,449 | 21      | PASCAL VOC 2012 (Everingham et al. 2015): background, or one of 20       |
| cityscapes | 2,975 and 500   | 19      | Cityscapes (Cordts et al. 2016), fine annotations, its 19 training ids   |

Pixels without a class have the label IGNORED, 255, as in the published files of VOC and in Cityscapes' training ids:
the borders that the trimaps of Pets and the maps of VOC leave open, and what Cityscapes does not evaluate. VOC is its
own `train` list, without the annotations that others have added to it since.

The splits are "train", "validation" and "test". The published sets' test images are those of Pets' test list and of
the validation lists of VOC and Cityscapes, whose test labels are not public; a fifth of the training images is for
validation.

Published files lie as torchvision has them, in the folder that WITHSTAND_DATA names or in the cache: Pets in
`oxford-iiit-pet/images` and `oxford-iiit-pet/annotations`, VOC in `VOCdevkit/VOC2012`, Cityscapes in
`cityscapes/leftImg8bit` and `cityscapes/gtFine`. torchvision downloads Pets and VOC into the cache, with their
checksums, where they are not here; Cityscapes asks for an account.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib import paths
from lib.errors import BadInput, one_of
from lib.images import SPLITS, load, scenes
from lib.images.objects import SMALLEST
from lib.images.reading import open_image, opened, orientation, read_each, turned
from lib.inputs import whole, whole_or_none

if TYPE_CHECKING:
    from torchvision.datasets import VisionDataset

IGNORED = 255  # the label of a pixel without a class
VOC_CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
_RENDERED = 32  # pixels: the size at which `lib.images` keeps scenes
_VALIDATION = 5  # one training image in so many


@dataclass(frozen=True)
class Segmented:
    """Uint8 `images` (N, 3, S, S) and int64 `labels` (N, S, S), each an index into `classes` or IGNORED.

    `checksum` is the SHA-256 of these pixels and labels; `source` says in words what the images are.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    checksum: str
    source: str


@dataclass(frozen=True)
class _Published:
    """How torchvision opens a set's (folder, list), the folders that hold it, and what its maps' numbers mean.

    `lists` are its names of the training and of the test images. `classes` names the labels, and `numbers` has the
    label of each number that a map may hold: both are asked for when a set is opened, since torchvision, which knows
    some, takes seconds to import. `paths` and `maps` are the attributes with the images' and maps' paths.
    """

    open: Callable[..., VisionDataset]
    folders: tuple[str, ...]
    lists: tuple[str, str]
    classes: Callable[[], tuple[str, ...]]
    numbers: Callable[[], dict[int, int]]
    paths: str
    maps: str
    downloads: bool = True


def segmented(
    name: str, split: str = "train", count: int | None = None, size: int = 32, device: torch.device | str = "cpu"
) -> Segmented:
    """A split of the set `name`: at most its first `count` images, or all (of scenes: as many as `lib.images.load`).

    Images of published sets come in a fixed random order, so that a subset lies within every larger one. Each is cut
    to its central square, scaled to `size` pixels by averaging, and its map alike, by the nearest pixel. Scenes are
    rendered at `size`; those at 32 px are kept in the cache. Raises BadInput for an unknown name, split or size, for a
    set that is not here and cannot be downloaded, and for damaged files.
    """
    one_of(name, SEGMENTED, "segmentation set")
    one_of(split, SPLITS, "split")
    size = whole(size, "the size of an image", SMALLEST)
    count = whole_or_none(count, "the number of images", "all")
    images, labels, classes = SEGMENTED[name](split, count, size)
    digest = hashlib.sha256(images.numpy())
    digest.update(labels.numpy())
    source = f"{name} ({len(images):,} {split} images of {len(classes)} classes, at {size} px)"
    return Segmented(images.to(device), labels.to(device), classes, digest.hexdigest(), source)


def available() -> list[str]:
    """The sets that need no download; `scenes` always."""
    return ["scenes", *(name for name, known in _PUBLISHED.items() if _root(known) is not None)]


def _scenes(split: str, count: int | None, size: int) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    kept = load("scenes", split, count)
    if size != _RENDERED:
        kept = scenes.render(len(kept.images), split=split, size=size)
    labels = torch.where(kept.masks, kept.labels[:, None, None] + 1, 0)
    return kept.images, labels, ("background", *scenes.SHAPES)


def _published(split: str, count: int | None, size: int, name: str) -> tuple[Tensor, Tensor, tuple[str, ...]]:
    known = _PUBLISHED[name]
    dataset = _opened(name, known.lists[split == "test"])
    files = getattr(dataset, known.paths)
    order = sorted(range(len(files)), key=lambda place: str(files[place]))  # torchvision lists some as the disk does
    order = [order[place] for place in torch.randperm(len(order), generator=torch.Generator().manual_seed(0))]
    if split != "test":
        held_out = len(order) // _VALIDATION
        order = order[:held_out] if split == "validation" else order[held_out:]
    if not order:
        raise BadInput(f"{name} has no {split} images among the {len(files)} in {dataset.root}; unpack all of it")
    maps = {Path(file): _map_of(found) for file, found in zip(files, getattr(dataset, known.maps), strict=True)}
    chosen = [Path(files[place]) for place in order[:count]]
    lookup = _lookup(known.numbers())
    read, _ = read_each(chosen, lambda file: _read(file, maps[file], size, lookup), name)
    images, labels = (np.stack(part) for part in zip(*read, strict=True))
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels), known.classes()


def _opened(name: str, part: str) -> VisionDataset:
    """torchvision's set from a folder that has it, else by its download into the cache."""
    known, root = _PUBLISHED[name], _root(_PUBLISHED[name])
    if root is not None:
        try:
            return known.open(root, part)
        except (OSError, RuntimeError, ValueError) as error:
            raise BadInput(f"{name} in {root / known.folders[0]} is not whole ({error}); unpack it again") from error
    where = f"put {' and '.join(known.folders)} into a folder that WITHSTAND_DATA names or into {paths.cache()}"
    if not known.downloads:
        raise BadInput(f"{name} is not here and cannot be downloaded without an account; {where}")
    try:
        paths.cache().mkdir(parents=True, exist_ok=True)
        return known.open(paths.cache(), part, download=True)
    except (OSError, RuntimeError) as error:
        raise BadInput(f"{name} is not here and the download failed ({error}); {where}") from error


def _root(known: _Published) -> Path | None:
    """The folder in which all the set's folders are."""
    return next((root for root in paths.places() if all((root / folder).is_dir() for folder in known.folders)), None)


def _map_of(found: str | Path | list[str]) -> Path:
    """Cityscapes has a list of targets for each image, of which its map is the only one asked for."""
    return Path(found[0] if isinstance(found, list) else found)


def _read(file: Path, map_file: Path, size: int, lookup: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One image, uint8 (size, size, 3), and its labels, int64 (size, size)."""
    image, numbers = _upright(file, map_file)
    if numbers.size != image.size or numbers.mode not in ("L", "P"):
        raise BadInput(
            f"the map of {file} has one number of 8 bits for each of {image.width} x {image.height} pixels, not "
            f"{numbers.width} x {numbers.height} of Pillow's mode {numbers.mode}"
        )
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    box = (left, top, left + side, top + side)
    labels = lookup[np.asarray(numbers.resize((size, size), Image.Resampling.NEAREST, box=box))]
    if labels.min() < 0:
        raise BadInput(f"the map of {file} holds numbers that are no class of its set; unpack the set again")
    return np.asarray(image.resize((size, size), Image.Resampling.BOX, box=box)), labels


def _upright(file: Path, map_file: Path) -> tuple[Image.Image, Image.Image]:
    """An image and its map, whose numbers stay as they are, both turned as the image's EXIF orientation says.

    A map is drawn on the pixels as they are stored, unless its size is that of the turned image alone.
    """
    image = open_image(file)
    with opened(file) as stored:
        size, turn = stored.size, orientation(stored)
    with opened(map_file) as numbers:
        numbers.load()
        return image, turned(numbers, turn) if numbers.size == size else numbers


def _lookup(labels: dict[int, int]) -> np.ndarray:
    """A map's number to its label, int64 (256,)."""
    table = np.full(256, -1, dtype=np.int64)
    table[list(labels)] = list(labels.values())
    return table


def _pets(root: Path, part: str, download: bool = False) -> VisionDataset:
    from torchvision.datasets import OxfordIIITPet

    return OxfordIIITPet(root, part, target_types="segmentation", download=download)


def _voc(root: Path, part: str, download: bool = False) -> VisionDataset:
    from torchvision.datasets import VOCSegmentation

    return VOCSegmentation(root, "2012", part, download=download)


def _cityscapes(root: Path, part: str) -> VisionDataset:
    from torchvision.datasets import Cityscapes

    return Cityscapes(root / "cityscapes", part, mode="fine", target_type="semantic")


def _cityscapes_classes() -> tuple[str, ...]:
    from torchvision.datasets import Cityscapes

    trained = [known for known in Cityscapes.classes if 0 <= known.train_id < IGNORED]
    return tuple(known.name for known in sorted(trained, key=lambda known: known.train_id))


def _cityscapes_numbers() -> dict[int, int]:
    from torchvision.datasets import Cityscapes

    return {known.id: known.train_id for known in Cityscapes.classes if known.id >= 0}


_PUBLISHED = {
    "pets": _Published(
        _pets,
        ("oxford-iiit-pet/images", "oxford-iiit-pet/annotations"),
        ("trainval", "test"),
        lambda: ("background", "pet"),
        lambda: {1: 1, 2: 0, 3: IGNORED},  # the trimap's foreground, background, and not classified
        "_images",
        "_segs",
    ),
    "voc": _Published(
        _voc,
        ("VOCdevkit/VOC2012",),
        ("train", "val"),
        lambda: VOC_CLASSES,
        lambda: {**{label: label for label in range(len(VOC_CLASSES))}, IGNORED: IGNORED},
        "images",
        "masks",
    ),
    "cityscapes": _Published(
        _cityscapes,
        ("cityscapes/leftImg8bit", "cityscapes/gtFine"),
        ("train", "val"),
        _cityscapes_classes,
        _cityscapes_numbers,
        "images",
        "targets",
        downloads=False,
    ),
}
# In the order of the docstring's table: what reads (split, count, size) as images, labels and classes.
SEGMENTED: dict[str, Callable] = {
    "scenes": _scenes,
    **{name: partial(_published, name=name) for name in _PUBLISHED},
}
