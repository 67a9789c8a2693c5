"""Variants of ImageNet in the folders that their authors publish, for encoders of some of its classes.

| name              | folder of a picture      | what changes                                                  |
|-------------------|--------------------------|---------------------------------------------------------------|
| imagenet-c        | CORRUPTION/SEVERITY/WNID | 19 corruptions at 5 severities (Hendrycks and Dietterich 2019) |
| imagenet-r        | WNID, or imagenet-r/WNID | renditions of 200 classes (Hendrycks et al. 2021)             |
| imagenet-sketch   | WNID, or sketch/WNID     | black and white sketches (Wang et al. 2019)                   |
| stylized-imagenet | val/WNID, or WNID        | the texture of paintings, by AdaIN (Geirhos et al. 2019)      |

WNID is the WordNet number of a class, such as n01443537. A folder inside is the one that the authors' archive has.
They lie where WITHSTAND_DATA says, each under its name here, or in a folder that is named; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib import paths
from lib.errors import BadInput, one_of
from lib.images.objects import SMALLEST
from lib.images.sources import read_picture
from lib.shifts.corruptions import CORRUPTIONS, EXTRA, SEVERITIES

IMAGENET_C = "imagenet-c"
# Where the folders of classes may be, the first that is there is taken.
_INSIDE = {
    "imagenet-r": ("imagenet-r", ""),
    "imagenet-sketch": ("sketch", ""),
    "stylized-imagenet": ("val", ""),
}
VARIANTS = (IMAGENET_C, *_INSIDE)


@dataclass(frozen=True)
class Variant:
    """The pictures of a variant, class by class: `files` (N), and int64 `labels` (N,) into `classes`.

    `missing` are the classes without a picture; `source` says in words what these pictures are. Whoever compares with
    published numbers of ImageNet-R lets a classifier choose among `present` only, as its authors do.
    """

    files: tuple[Path, ...]
    labels: Tensor
    classes: tuple[str, ...]
    missing: tuple[str, ...]
    size: int
    source: str

    @property
    def present(self) -> Tensor:
        """int64 (P,): the classes, rising, that have pictures."""
        return self.labels.unique()

    def batches(self, count: int = 256, device: torch.device | str = "cpu") -> Iterator[tuple[Tensor, Tensor]]:
        """Images, uint8 (n, 3, size, size), and labels (n,), at most `count` at a time and read when their turn comes.

        Each is cut to its central square and scaled by averaging. A damaged picture raises BadInput.
        """
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise BadInput(f"the number of pictures in a batch is a whole number of at least 1, not {count!r}")
        for start in range(0, len(self.files), count):
            chosen = slice(start, start + count)
            images = np.stack([read_picture(path, self.size) for path in self.files[chosen]])
            pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
            yield pixels.to(device), self.labels[chosen].to(device)


def imagenet_variant(
    name: str,
    classes: Sequence[str],
    size: int = 224,
    folder: Path | str | None = None,
    corruption: str | None = None,
    severity: int | None = None,
) -> Variant:
    """The pictures of `classes`, WNIDs in the order of the encoder's labels, in the variant `name`, one of VARIANTS.

    `folder` holds the variant, else the folder `name` under WITHSTAND_DATA does. `corruption` and `severity` (1 to 5)
    belong to "imagenet-c" alone. `size` is that of a picture in pixels, 8 or more. Classes that the variant lacks are
    left out and named in `missing`. Raises BadInput for an unknown name, corruption, severity or size, for classes that
    are none or named twice, for a missing folder, and where no class has a picture.
    """
    one_of(name, VARIANTS, "variant of ImageNet")
    if isinstance(size, bool) or not isinstance(size, int) or size < SMALLEST:
        raise BadInput(f"the size of a picture is a whole number of at least {SMALLEST}, not {size!r}")
    classes = tuple(classes)
    if not classes or len(set(classes)) < len(classes):
        raise BadInput(f"classes are one or more WNIDs, each named once, not {classes}")
    root = _root(name, _folder(name, folder), corruption, severity)
    pictures = [_pictures(root / wnid) for wnid in classes]
    missing = tuple(wnid for wnid, found in zip(classes, pictures, strict=True) if not found)
    if len(missing) == len(classes):
        raise BadInput(
            f"{root} has pictures of none of the {len(classes)} classes, the first of which is {classes[0]!r}; folders "
            "and classes are named by WNIDs such as n01443537"
        )
    files = tuple(sum(pictures, []))
    what = name if corruption is None else f"{name} {corruption} {severity}"
    return Variant(
        files=files,
        labels=torch.arange(len(classes)).repeat_interleave(torch.tensor([len(found) for found in pictures])),
        classes=classes,
        missing=missing,
        size=size,
        source=f"{what} ({len(files):,} pictures, {len(classes) - len(missing)} of {len(classes)} classes, "
        f"at {size} px)",
    )


def _folder(name: str, folder: Path | str | None) -> Path:
    """The folder of the variant, which is there."""
    data = paths.data()
    found = Path(folder) if folder is not None else data / name if data else None
    if found is None or not found.is_dir():
        where = f"{found} is not a folder" if found else "WITHSTAND_DATA is not set"
        raise BadInput(
            f"{name} is not here ({where}); name its folder, or by WITHSTAND_DATA one that holds it as {name}"
        )
    return found


def _root(name: str, folder: Path, corruption: str | None, severity: int | None) -> Path:
    """The folder that holds a folder for each class."""
    if name != IMAGENET_C:
        if corruption is not None or severity is not None:
            raise BadInput(f"a corruption and a severity belong to {IMAGENET_C}, {name} has none")
        return next(folder / inside for inside in _INSIDE[name] if (folder / inside).is_dir())
    one_of(corruption, (*CORRUPTIONS, *EXTRA), f"corruption of {IMAGENET_C}")
    one_of(severity, SEVERITIES, f"severity of {IMAGENET_C}")
    root = folder / corruption / str(severity)
    if not root.is_dir():
        raise BadInput(f"{root} is not a folder; {IMAGENET_C} has its pictures in CORRUPTION/SEVERITY/WNID")
    return root


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.is_file() and not path.name.startswith("."))
