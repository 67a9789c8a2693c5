"""Natural shift: photographs that an encoder trained on CIFAR-10 meets elsewhere, under CIFAR-10's ten labels.

| name          | images | where they come from                                                     |
|---------------|--------|--------------------------------------------------------------------------|
| cifar10-shift | 4,439  | other photo collections, compatible labels; packed file only             |
| cifar10.1     | 2,000  | the source of CIFAR-10 itself, collected anew (Recht et al. 2018)        |
| stl10         | 7,200  | ImageNet photographs at 96 px (Coates, Ng and Lee 2011), no frogs        |

`natural(name)` gives every image of a set, in the set's own order: all of them are test images. What each set
does and does not measure stands with its loader below.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from lib import files, paths
from lib.errors import BadInput, one_of
from lib.images import Split
from lib.images.sources import CIFAR10_CLASSES, ImageSet, from_arrays

CIFAR10_1_URL = "https://raw.githubusercontent.com/modestyachts/CIFAR-10.1/master/datasets"
CIFAR10_1_PER_CLASS = 200  # images; version 4 is larger and unbalanced
CIFAR10_1_SHA256 = {
    "cifar10.1_v6_data.npy": "2997188e5816f5bd545dc77771b6227828c28146049fcecf3fa10775474cacc6",
    "cifar10.1_v6_labels.npy": "ae40beda001693674edc94d925ee8268cfe68905f8f9aff800c8dcdfcd6c9448",
}
STL10_CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")  # labels 0 to 9
_STL10_NAMED = {"car": "automobile"}  # the other shared classes have one name
_TIMEOUT = 60.0  # seconds without a byte


def natural(name: str, device: torch.device | str = "cpu") -> Split:
    """All images of the natural shift `name`: uint8 (N, 3, 32, 32), and int64 labels (N,) into CIFAR10_CLASSES.

    `checksum` and `source` are those of `lib.images.load`. Raises BadInput for an unknown name, for a set that is not
    here and cannot be downloaded, and for a damaged file.
    """
    one_of(name, NATURAL, "natural shift")
    known = NATURAL[name]()
    digest = hashlib.sha256(known.images.numpy())
    digest.update(known.labels.numpy())
    images, labels = known.images.to(device), known.labels.to(device)
    return Split(images, labels, known.classes, digest.hexdigest(), known.source)


def available() -> list[str]:
    """The natural shifts that are here now and need no download; files in the cache count if they are undamaged."""
    here = {
        "cifar10-shift": _packed_path("cifar10-shift") is not None,
        "cifar10.1": _packed_path("cifar10.1") is not None or not _missing_of_cifar10_1(),
        "stl10": _stl10_is_here(),
    }
    return [name for name in NATURAL if here[name]]


def cifar10_shift() -> ImageSet:
    """4,439 photographs from other sources than CIFAR-10's: `cifar10-shift.npz` under WITHSTAND_DATA.

    They come from Caltech-101, Tiny ImageNet, Imagenette and PACS. It measures a shift of source and framing with
    compatible labels; it is not CIFAR-10.1, and not the same classes drawn anew: deer are gazelles; trucks are moving
    vans and garbage trucks; ships are ferries, ketches and schooners; aeroplanes are side views squashed to a square;
    birds are geese, storks, penguins and albatrosses. Classes have about 500 images each, horses 199 and ships 244, so
    accuracy per class says more than accuracy over all. No image is a copy of one in CIFAR-10.
    """
    path = _packed_path("cifar10-shift")
    if path is None:
        raise BadInput(
            "cifar10-shift is not here and cannot be downloaded; name a folder that holds cifar10-shift.npz by "
            "WITHSTAND_DATA"
        )
    return _packed(path)


def cifar10_1() -> ImageSet:
    """CIFAR-10.1, version 6: 200 images of each class (Recht, Roelofs, Schmidt and Shankar 2018, arXiv 1806.00451).

    Drawn from Tiny Images, as CIFAR-10 was, and made to be as like its test set as the authors could make it.
    `cifar10.1.npz` under WITHSTAND_DATA comes first and is checked for size and balance alone; else the authors' two
    .npy files in the cache, downloaded from their repository where missing or damaged. Their SHA-256 are those that
    TensorFlow Datasets records for `cifar10_1`; that of the labels also follows from what they are, 200 of each class
    in order. Nothing is kept unless both files are right.
    """
    path = _packed_path("cifar10.1")
    if path is not None:
        known = _packed(path)
        counts = known.labels.bincount(minlength=len(CIFAR10_CLASSES)).tolist()
        if counts != [CIFAR10_1_PER_CLASS] * len(CIFAR10_CLASSES):
            raise BadInput(
                f"{path} is not version 6 of CIFAR-10.1, which has {CIFAR10_1_PER_CLASS} images of each class, "
                f"not {counts}"
            )
        return known
    downloads = {name: _download(name) for name in _missing_of_cifar10_1()}
    for name, content in downloads.items():
        files.write(paths.cache() / name, lambda file, content=content: file.write(content))
    images, labels = (np.load(io.BytesIO((paths.cache() / name).read_bytes())) for name in CIFAR10_1_SHA256)
    return _images(images.transpose(0, 3, 1, 2), labels, "cifar10.1 (version 6)")


def stl10() -> ImageSet:
    """The test split of STL-10 in CIFAR-10's classes and size: torchvision's files in the cache, else its download.

    800 images of each of nine classes (Coates, Ng and Lee 2011): `car` is `automobile`, `monkey` has no counterpart
    and is left out, and of frogs there are none, though a classifier may still answer `frog`. Each pixel is the mean
    of 3 x 3 pixels. The photographs are ImageNet's, where CIFAR-10's are Tiny Images: source, framing and scaling
    change together. The archive has 2.6 GB, nearly all of it unlabelled images that are not used here.
    """
    from torchvision.datasets import STL10

    class TestSplit(STL10):
        """Its test files alone must be here: torchvision wants 2.6 GB of unlabelled images checked as well."""

        train_list = []

    folder = paths.cache()
    try:
        part = TestSplit(folder, "test")
    except RuntimeError:  # missing, or their checksum is wrong
        try:
            part = TestSplit(folder, "test", download=True)
        except (OSError, RuntimeError) as error:
            raise BadInput(
                f"stl10 is not here and the download failed ({error}); put torchvision's {STL10.filename} (2.6 GB) or "
                f"the folder {STL10.base_folder} that it unpacks to into {folder}"
            ) from error
    labels = _stl10_to_cifar10()[part.labels]
    shared = labels >= 0
    return _images(_mean_of_nine(part.data[shared]), labels[shared], "stl10 (test, shared classes, 96 to 32 px)")


# In the order of the docstring's table.
NATURAL: dict[str, Callable[[], ImageSet]] = {"cifar10-shift": cifar10_shift, "cifar10.1": cifar10_1, "stl10": stl10}


def _stl10_is_here() -> bool:
    from torchvision.datasets import STL10
    from torchvision.datasets.utils import check_integrity

    folder = paths.cache() / STL10.base_folder
    return all(check_integrity(folder / name, md5) for name, md5 in STL10.test_list)


def _stl10_to_cifar10() -> np.ndarray:
    """For each label of STL-10 that of CIFAR-10, int64 (10,); -1 where there is none."""
    names = [_STL10_NAMED.get(name, name) for name in STL10_CLASSES]
    return np.array([CIFAR10_CLASSES.index(name) if name in CIFAR10_CLASSES else -1 for name in names])


def _mean_of_nine(pixels: np.ndarray) -> np.ndarray:
    """Means of squares of 3 x 3 pixels to the nearest whole number: uint8 (N, 3, 96, 96) to (N, 3, 32, 32)."""
    total = sum(pixels[:, :, down::3, right::3].astype(np.uint16) for down in range(3) for right in range(3))
    return ((total + 4) // 9).astype(np.uint8)  # a sum over nine never ends in a half


def _missing_of_cifar10_1() -> list[str]:
    """Those of the two files that the cache does not hold, or not as published."""
    folder = paths.cache()
    return [
        name
        for name, known in CIFAR10_1_SHA256.items()
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != known
    ]


def _download(name: str) -> bytes:
    """The content of one of the two files of CIFAR-10.1, its checksum verified."""
    url = f"{CIFAR10_1_URL}/{name}"
    by_hand = (
        f"put {' and '.join(CIFAR10_1_SHA256)} into {paths.cache()}, or name a folder that holds cifar10.1.npz by "
        "WITHSTAND_DATA"
    )
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            content = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise BadInput(f"{name} is not here undamaged and the download failed ({error}); {by_hand}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != CIFAR10_1_SHA256[name]:
        raise BadInput(
            f"{url} gave a file with the SHA-256 {found}, not {CIFAR10_1_SHA256[name]}, and nothing was kept; {by_hand}"
        )
    return content


def _packed_path(name: str) -> Path | None:
    folder = paths.data()
    path = folder / f"{name}.npz" if folder else None
    return path if path and path.is_file() else None


def _packed(path: Path) -> ImageSet:
    """Packed arrays (see `lib.images.sources.from_arrays`) of 32 px whose labels are CIFAR-10's."""
    images = from_arrays(path)
    size, largest = images.images.shape[-1], int(images.labels.max())
    if size != 32 or largest >= len(CIFAR10_CLASSES):
        raise BadInput(f"{path} needs images of 32 px and CIFAR-10's labels 0 to 9, not {size} px and {largest}")
    return replace(images, classes=CIFAR10_CLASSES)


def _images(images: np.ndarray, labels: np.ndarray, source: str) -> ImageSet:
    """Uint8 images (N, 3, 32, 32) with CIFAR-10's labels (N,): all exact, and all for testing."""
    everything = torch.ones(len(labels), dtype=torch.bool)
    return ImageSet(
        images=torch.from_numpy(np.ascontiguousarray(images)),
        labels=torch.from_numpy(labels.astype(np.int64)),
        test=everything,
        exact=everything,
        classes=CIFAR10_CLASSES,
        source=source,
    )
