"""Downstream: small sets of images on which a frozen encoder is probed, each with splits of its own.

| name         | images         | classes  | what they are                                                           |
|--------------|----------------|----------|-------------------------------------------------------------------------|
| cifar100-5k  | 5,000          | 100      | part of CIFAR-100 at 32 px; packed file only                            |
| cifar100     | 60,000         | 100      | CIFAR-100 (Krizhevsky 2009), from the source of CIFAR-10, other classes |
| dtd          | 1,200 or 5,640 | 10 or 47 | textures (Cimpoi et al. 2014); the first ten classes, or all            |
| pacs-photo   | 1,670          | 7        | photographs, the first domain of PACS (Li et al. 2017)                  |
| pacs-art     | 2,048          | 7        | paintings, its second                                                   |
| pacs-cartoon | 2,344          | 7        | cartoons, its third                                                     |
| pacs-sketch  | 3,929          | 7        | sketches, its fourth; 80 houses, 816 horses                             |

`cifar100-5k` has 35 training and 15 test images of each class in a split of its own: its numbers cannot be compared
with published ones of CIFAR-100. PACS shares dogs and horses with CIFAR-10. Its domains are tasks of their own here,
trained and tested within one domain, where its authors train on three and test on the fourth.

Splits: a published one is kept. A set without has every fifth image of each class for tests, in the set's order. Of
the rest a fifth of each class is for validation. `lib.images` takes a tenth of all, classes in turn: of 35 images of a
class that would be three or four to choose a decay by, and of the 64 houses that are left in sketches 45, as many as
of the horses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib import inputs, paths
from lib.errors import BadInput, one_of
from lib.images import Split, in_turn
from lib.images.objects import SMALLEST, scaled
from lib.images.reading import class_folders, list_images, nested, read_each, tell_others
from lib.images.sources import check_images, every_fifth, read_image, read_packed, torchvision_parts

CIFAR100_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish", "forest",
    "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard",
    "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine", "possum",
    "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper",
    "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone",
    "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf",
    "woman", "worm",
)  # fmt: skip
PACS_CLASSES = ("dog", "elephant", "giraffe", "guitar", "horse", "house", "person")
PACKED_DTD = "dtd-10classes-64px.npz"
PACKED_PACS = "pacs-32px.npz"
_OWN = "own split"
_KINDS = {"iu": "whole numbers", "b": "booleans", "U": "strings"}  # NumPy's codes of what an array holds


@dataclass(frozen=True)
class _Whole:
    """A set before it is split: uint8 `images` (N, S, S, 3), whole `labels` (N,); bool `test`, `validation` if known.

    `split` says in words which split that is.
    """

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    split: str = _OWN
    test: np.ndarray | None = None
    validation: np.ndarray | None = None


def downstream(name: str, size: int = 32, device: torch.device | str = "cpu") -> dict[str, Split]:
    """The splits "train", "validation" and "test" of `name`: uint8 images (N, 3, size, size), int64 labels (N,).

    Within a split, images come in a fixed random order in which classes alternate as long as they last. An image of
    a folder is cut to its central square and scaled by averaging; packed ones are square, their means are exact where
    `size` divides their side, and a larger `size` repeats pixels. `size` is 8 or more. `checksum` is that of the whole
    set at this size, and `source` names the split. Raises BadInput for an unknown name or size, for a set that is not
    here and cannot be downloaded, for a damaged file, and where a class has no image in one of the splits.
    """
    one_of(name, DOWNSTREAM, "downstream set")
    size = inputs.whole(size, "the size of an image", SMALLEST)
    whole = DOWNSTREAM[name](size)
    if len(whole.classes) < 2:
        raise BadInput(f"{name} has the single class {whole.classes[0]}, and a task needs two or more")
    pixels = whole.images if whole.images.shape[1] == size else scaled(whole.images, size)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    labels = torch.from_numpy(whole.labels.astype(np.int64))
    digest = hashlib.sha256(images.numpy())
    digest.update(labels.numpy())
    source = f"{name} ({len(images):,} images of {len(whole.classes)} classes, {whole.split}, at {size} px)"
    splits = {}
    for part, chosen in _indices(labels, whole.test, whole.validation).items():
        counts = labels[chosen].bincount(minlength=len(whole.classes))
        if not counts.all():
            raise BadInput(
                f"{source} has no {part} images of {whole.classes[int(counts.argmin())]}; every class needs images in "
                "every split, and for that 6 or more where the split is not published"
            )
        splits[part] = Split(
            images[chosen].to(device), labels[chosen].to(device), whole.classes, digest.hexdigest(), source
        )
    return splits


def available() -> list[str]:
    """The sets that are here now and need no download; files in the cache count if they are undamaged."""
    here = {
        "cifar100-5k": _file("cifar100-5k.npz") is not None,
        "cifar100": _file("cifar100.npz") is not None or _cifar100_is_here(),
        "dtd": _file(PACKED_DTD) is not None or _dtd_folder() is not None,
        **{
            name: _file(PACKED_PACS) is not None or _pacs_folder(domain) is not None
            for name, domain in _DOMAINS.items()
        },
    }
    return [name for name in DOWNSTREAM if here[name]]


def _indices(labels: Tensor, test: np.ndarray | None, validation: np.ndarray | None) -> dict[str, Tensor]:
    """Indices of the images of each split, classes in turn; what is not given is every fifth image of each class."""
    test = every_fifth(labels) if test is None else torch.from_numpy(test)
    training = in_turn(labels, (~test).nonzero()[:, 0])
    held_out = every_fifth(labels[training]) if validation is None else torch.from_numpy(validation)[training]
    return {
        "train": training[~held_out],
        "validation": training[held_out],
        "test": in_turn(labels, test.nonzero()[:, 0]),
    }


def _cifar100_5k(_size: int) -> _Whole:
    path = _file("cifar100-5k.npz")
    if path is None:
        raise BadInput(
            "cifar100-5k is not here and cannot be downloaded; name a folder that holds cifar100-5k.npz by "
            "WITHSTAND_DATA, or take cifar100"
        )
    return _packed_cifar100(path, _OWN)


def _cifar100(_size: int) -> _Whole:
    """`cifar100.npz` under WITHSTAND_DATA, else torchvision's files in the cache, else its download."""
    path = _file("cifar100.npz")
    if path is not None:
        return _packed_cifar100(path, "published split")
    from torchvision.datasets import CIFAR100

    parts = torchvision_parts(CIFAR100, "cifar100")
    labels = np.concatenate([part.targets for part in parts])
    return _Whole(
        images=np.concatenate([part.data for part in parts]),
        labels=labels,
        classes=CIFAR100_CLASSES,
        split="published split",
        test=np.arange(len(labels)) >= len(parts[0].data),
    )


def _cifar100_is_here() -> bool:
    from torchvision.datasets import CIFAR100
    from torchvision.datasets.utils import check_integrity

    folder = paths.cache() / CIFAR100.base_folder
    known = [*CIFAR100.train_list, *CIFAR100.test_list, (CIFAR100.meta["filename"], CIFAR100.meta["md5"])]
    return all(check_integrity(folder / name, md5) for name, md5 in known)


def _packed_cifar100(path: Path, split: str) -> _Whole:
    arrays = _arrays(path, labels="iu", test="b")
    _check_labels(arrays["labels"], CIFAR100_CLASSES, path)
    return _Whole(arrays["images"], arrays["labels"], CIFAR100_CLASSES, split, arrays["test"])


def _dtd(size: int) -> _Whole:
    """The packed ten classes, else the published files, with the first of their ten partitions if it is there."""
    path, folder = _file(PACKED_DTD), _dtd_folder()
    if path is not None:
        arrays = _arrays(path, texture="U")
        classes, labels = np.unique(arrays["texture"], return_inverse=True)
        return _Whole(arrays["images"], labels, tuple(classes.tolist()))
    if folder is None:
        raise BadInput(
            f"dtd is not here; name by WITHSTAND_DATA a folder that holds {PACKED_DTD}, or the folder dtd of "
            "dtd-r1.0.1.tar.gz with its images in dtd/images/CLASS"
        )
    classes = tuple(class_folders(folder / "images"))
    files, labels = _files(folder / "images", classes, "dtd")
    lists = {part: folder / "labels" / f"{part}1.txt" for part in ("train", "val", "test")}
    parts = {}
    if all(path.is_file() for path in lists.values()):
        names = [f"{path.parent.name}/{path.name}" for path in files]
        listed = {part: path.read_text().split() for part, path in lists.items()}
        if sorted(names) != sorted(sum(listed.values(), [])):
            raise BadInput(
                f"the lists train1.txt, val1.txt and test1.txt in {folder / 'labels'} do not name every image in "
                f"{folder / 'images'} once, and no other; unpack DTD again, or remove the lists"
            )
        parts = {"split": "partition 1", "test": np.isin(names, listed["test"]),
                 "validation": np.isin(names, listed["val"])}  # fmt: skip
    return _read(files, labels, classes, size, "dtd", **parts)


def _dtd_folder() -> Path | None:
    """The folder that holds `images`: the archive's own, or one deeper, where torchvision unpacks it."""
    data = paths.data()
    folders = (data / "dtd", data / "dtd" / "dtd", *nested(data / "dtd")) if data else ()
    return next((folder for folder in folders if (folder / "images").is_dir()), None)


def _pacs(size: int, domain: str) -> _Whole:
    """One domain of the packed file, else of the published files; their labels are alphabetical in both."""
    path, folder = _file(PACKED_PACS), _pacs_folder(domain)
    if path is not None:
        arrays = _arrays(path, labels="iu", domain="U")
        _check_labels(arrays["labels"], PACS_CLASSES, path)
        chosen = arrays["domain"] == domain
        return _Whole(arrays["images"][chosen], arrays["labels"][chosen], PACS_CLASSES)
    if folder is None:
        raise BadInput(
            f"the domain {domain} of PACS is not here and cannot be downloaded; name by WITHSTAND_DATA a folder that "
            f"holds {PACKED_PACS}, or the published images in pacs/{domain}/CLASS"
        )
    files, labels = _files(folder, PACS_CLASSES, f"pacs/{domain}")
    return _read(files, labels, PACS_CLASSES, size, f"pacs/{domain}")


def _pacs_folder(domain: str) -> Path | None:
    data = paths.data()
    folders = [folder / domain for folder in nested(data / "pacs")] if data else []
    return next((folder for folder in folders if folder.is_dir()), None)


_DOMAINS = {"pacs-photo": "photo", "pacs-art": "art_painting", "pacs-cartoon": "cartoon", "pacs-sketch": "sketch"}
# In the order of the docstring's table: what reads a set, given the size at which to read images in folders.
DOWNSTREAM: dict[str, Callable[[int], _Whole]] = {
    "cifar100-5k": _cifar100_5k,
    "cifar100": _cifar100,
    "dtd": _dtd,
    **{name: partial(_pacs, domain=domain) for name, domain in _DOMAINS.items()},
}


def _file(name: str) -> Path | None:
    data = paths.data()
    return data / name if data and (data / name).is_file() else None


def _files(root: Path, classes: tuple[str, ...], what: str) -> tuple[list[Path], np.ndarray]:
    """The images in `root/CLASS/*`, class by class and sorted by name, and their labels, int64 (N,)."""
    listing = list_images(root, classes)
    tell_others(listing.others, what)
    found = list(listing.images.values())
    if not any(found):
        raise BadInput(f"{root} holds no images in folders named by their class")
    return sum(found, []), np.repeat(np.arange(len(classes)), [len(files) for files in found])


def _read(
    files: list[Path], labels: np.ndarray, classes: tuple[str, ...], size: int, what: str, split: str = _OWN,
    **parts: np.ndarray,
) -> _Whole:  # fmt: skip
    """The images of `files` that can be read, with their labels and their places in the published `parts`."""
    images, places = read_each(files, lambda path: read_image(path, size), what)
    chosen = {name: part[places] for name, part in parts.items()}
    return _Whole(np.stack(images), labels[places], classes, split, **chosen)


def _arrays(path: Path, **kinds: str) -> dict[str, np.ndarray]:
    """`images`, uint8 (N, S, S, 3) with N > 0, and the named arrays (N,) of a packed file; a kind is one of _KINDS."""
    arrays = read_packed(path, ("images", *kinds))
    if len(arrays) <= len(kinds):
        raise BadInput(f"{path} needs the arrays images, {', '.join(kinds)}; it has {', '.join(arrays) or 'none'}")
    images = arrays["images"]
    check_images(images, path)
    for key, kind in kinds.items():
        array = arrays[key]
        if array.shape != images.shape[:1] or array.dtype.kind not in kind:
            raise BadInput(f"{key} in {path} are {len(images)} {_KINDS[kind]}, not {array.dtype} {array.shape}")
    return arrays


def _check_labels(labels: np.ndarray, classes: tuple[str, ...], path: Path) -> None:
    if labels.min() < 0 or labels.max() >= len(classes):
        raise BadInput(
            f"labels in {path} are whole numbers from 0 to {len(classes) - 1}, not {labels.min()} to {labels.max()}"
        )
