"""Variants of ImageNet in the folders that their authors publish, for encoders of some of its classes.

| name                          | folder of an image      | what changes                                              |
|-------------------------------|--------------------------|-----------------------------------------------------------|
| imagenet-c                    | CORRUPTION/SEVERITY/WNID | 19 corruptions, 5 severities (Hendrycks, Dietterich 2019) |
| imagenet-r                    | WNID, or imagenet-r/WNID | renditions of 200 classes (Hendrycks et al. 2021)         |
| imagenet-sketch               | WNID, or sketch/WNID     | black and white sketches (Wang et al. 2019)               |
| stylized-imagenet             | val/WNID, or WNID        | the texture of paintings, by AdaIN (Geirhos et al. 2019)  |
| imagenet-a                    | WNID, or imagenet-a/WNID | 200 classes, images that classifiers fail on (1)        |
| imagenet-v2-matched-frequency | VERSION/PLACE            | a new test set, as clear as the old one (2)               |
| imagenet-v2-threshold-0.7     | VERSION/PLACE            | clearer images of the same making                       |
| imagenet-v2-top-images        | VERSION/PLACE            | the clearest of them                                      |
| objectnet                     | images/OBJECT            | background, rotation and viewpoint, at random (3)         |

(1) Hendrycks et al., arXiv 1907.07174. (2) Recht et al. 2019, arXiv 1902.10811: clear is an image in which many people
find the class. (3) Barbu et al. 2019.

WNID is the WordNet number of a class, such as n01443537. VERSION is `imagenetv2-matched-frequency-format-val`,
`imagenetv2-threshold0.7-format-val` or `imagenetv2-top-images-format-val`, and PLACE that of the WNID in
`lib.shifts.wnids`, 0 to 999: whoever numbers these folders in the order of their names, where 10 comes before 2, gets
other labels. OBJECT is a name of ObjectNet's own: four files in `mappings`, beside `images` in its archive, say which
of ImageNet's classes it is. An object may be several (an alarm clock is an analog clock or a digital one), and any of
them is then right. Two pixels are cut off all round an image of ObjectNet, as in its authors' loader: they drew a red
frame of one pixel, and compression may smear it.

A folder inside is the one that the authors' archive has. They lie where WITHSTAND_DATA says, each under its name here
(the three of ImageNet-V2 under `imagenet-v2`), or in a folder that is named; nothing is downloaded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib import paths
from lib.errors import BadInput, one_of
from lib.images.objects import SMALLEST
from lib.images.reading import class_folders, list_images, nested, readable, tell_others
from lib.images.sources import read_image
from lib.inputs import whole
from lib.shifts.corruptions import CORRUPTIONS, EXTRA, SEVERITIES
from lib.shifts.wnids import WNIDS

IMAGENET_C, IMAGENET_V2, OBJECTNET = "imagenet-c", "imagenet-v2", "objectnet"
# Where the folders of classes may be, the first that is there is taken. Those of ImageNet-V2 never lie in its folder
# itself, where nothing would tell the version.
_INSIDE = {
    "imagenet-r": ("imagenet-r", ""),
    "imagenet-sketch": ("sketch", ""),
    "stylized-imagenet": ("val", ""),
    "imagenet-a": ("imagenet-a", ""),
    # The second name is that of the authors' loader, which renames what it unpacks.
    f"{IMAGENET_V2}-matched-frequency": ("imagenetv2-matched-frequency-format-val", "ImageNetV2-matched-frequency"),
    f"{IMAGENET_V2}-threshold-0.7": ("imagenetv2-threshold0.7-format-val", "ImageNetV2-threshold-0.7"),
    f"{IMAGENET_V2}-top-images": ("imagenetv2-top-images-format-val", "ImageNetV2-top-images"),
    OBJECTNET: ("images", "objectnet-1.0/images"),
}
VARIANTS = (IMAGENET_C, *_INSIDE)
_FRAME = 2  # px


@dataclass(frozen=True)
class Variant:
    """The images of a variant, class by class: `files` (N), and int64 `labels` (N,) into `classes`.

    `missing` are the classes without an image; `source` says in words what these images are. Whoever compares with
    published numbers of ImageNet-R or ImageNet-A lets a classifier choose among `present` only, as their authors do.

    `groups`, int64 (C,), has equal numbers for classes that are one object of ObjectNet; a label is the first of its
    group, and a prediction is right where `groups[prediction] == groups[label]`. In the other variants each class is a
    group of its own. `frame` is what is cut off an image on each side, in pixels.
    """

    files: tuple[Path, ...]
    labels: Tensor
    classes: tuple[str, ...]
    groups: Tensor
    missing: tuple[str, ...]
    size: int
    source: str
    frame: int = 0

    @property
    def present(self) -> Tensor:
        """int64 (P,): the classes, rising, of the groups that have images."""
        return torch.isin(self.groups, self.groups[self.labels]).nonzero()[:, 0]

    def batches(self, count: int = 256, device: torch.device | str = "cpu") -> Iterator[tuple[Tensor, Tensor]]:
        """Images, uint8 (n, 3, size, size), and labels (n,), at most `count` at a time and read when their turn comes.

        Each is cut to its central square and scaled by averaging. One that cannot be read is left out, see
        `lib.images.reading.readable`; more than a share of them raises BadInput.
        """
        count = whole(count, "the number of images in a batch")
        images, places = [], []
        for place, image in readable(self.files, lambda path: read_image(path, self.size, self.frame), self.source):
            images.append(image)
            places.append(place)
            if len(images) == count:
                yield self._batch(images, places, device)
                images, places = [], []
        if images:
            yield self._batch(images, places, device)

    def _batch(self, images: list[np.ndarray], places: list[int], device: torch.device | str) -> tuple[Tensor, Tensor]:
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()
        return pixels.to(device), self.labels[places].to(device)


def available(classes: Sequence[str]) -> list[str]:
    """The variants but imagenet-c that are under WITHSTAND_DATA with an image of one or more of `classes` (WNIDs)."""
    here = []
    for name in _INSIDE:
        folder = _home(name)
        root = _inside(name, folder) if folder and folder.is_dir() else None
        if root is not None:
            folders = [found for found in _folders_of(name, root, classes) if found]
            if any(list_images(root, [found]).images[found] for found in folders):
                here.append(name)
    return here


def imagenet_variant(
    name: str,
    classes: Sequence[str],
    size: int = 224,
    folder: Path | str | None = None,
    corruption: str | None = None,
    severity: int | None = None,
) -> Variant:
    """The images of `classes`, WNIDs in the order of the encoder's labels, in the variant `name`, one of VARIANTS.

    `folder` holds the variant, else the one under WITHSTAND_DATA does. `corruption` and `severity` (1 to 5) belong to
    "imagenet-c" alone. `size` is that of an image in pixels, 8 or more. Classes that the variant lacks are left out
    and named in `missing`. Raises BadInput for an unknown name, corruption, severity or size, for classes that are none
    or named twice, for a missing folder, for mappings of ObjectNet that are not as published, and where no class has an
    image.
    """
    one_of(name, VARIANTS, "variant of ImageNet")
    size = whole(size, "the size of an image", SMALLEST)
    classes = classes if isinstance(classes, str) else tuple(classes)
    if isinstance(classes, str) or not all(isinstance(wnid, str) for wnid in classes):
        raise BadInput(f"classes are a list of WNIDs, texts such as 'n01443537', not {classes!r}")
    if not classes or len(set(classes)) < len(classes):
        raise BadInput(f"classes are one or more WNIDs, each named once, not {classes}")
    root = _root(name, _folder(name, folder), corruption, severity)
    names = _folders_of(name, root, classes)
    groups = [names.index(found) if found else place for place, found in enumerate(names)]
    listing = list_images(root, [found for found in dict.fromkeys(names) if found])
    tell_others(listing.others, name)
    images = [
        listing.images[found] if found and group == place else []
        for place, (found, group) in enumerate(zip(names, groups, strict=True))
    ]
    missing = tuple(wnid for wnid, group in zip(classes, groups, strict=True) if not images[group])
    if len(missing) == len(classes):
        raise BadInput(
            f"{root} has images of none of the {len(classes)} classes, the first of which is {classes[0]!r}; "
            f"classes are WNIDs such as n01443537, and their folders are {_named_by(name)}"
        )
    files = tuple(sum(images, []))
    what = name if corruption is None else f"{name} {corruption} {severity}"
    return Variant(
        files=files,
        labels=torch.arange(len(classes)).repeat_interleave(torch.tensor([len(found) for found in images])),
        classes=classes,
        groups=torch.tensor(groups),
        missing=missing,
        size=size,
        source=f"{what} ({len(files):,} images, {len(classes) - len(missing)} of {len(classes)} classes, at {size} px)",
        frame=_FRAME if name == OBJECTNET else 0,
    )


def _home(name: str) -> Path | None:
    """Where the variant lies under WITHSTAND_DATA, whether it does or not."""
    data = paths.data()
    return data / (IMAGENET_V2 if name.startswith(IMAGENET_V2) else name) if data else None


def _folder(name: str, folder: Path | str | None) -> Path:
    """The folder of the variant, which is there."""
    found = Path(folder) if folder is not None else _home(name)
    if found is None or not found.is_dir():
        where = f"{found} is not a folder" if found else "WITHSTAND_DATA is not set"
        held = IMAGENET_V2 if name.startswith(IMAGENET_V2) else name
        raise BadInput(
            f"{name} is not here ({where}); name its folder, or by WITHSTAND_DATA one that holds it as {held}"
        )
    return found


def _root(name: str, folder: Path, corruption: str | None, severity: int | None) -> Path:
    """The folder that holds a folder for each class."""
    if name != IMAGENET_C:
        if corruption is not None or severity is not None:
            raise BadInput(f"a corruption and a severity belong to {IMAGENET_C}, {name} has none")
        root = _inside(name, folder)
        if root is None:
            raise BadInput(
                f"{folder} does not hold {name}, which has its images in {_INSIDE[name][0]}; it has "
                f"{', '.join(class_folders(folder)) or 'no folders'}"
            )
        return root
    one_of(corruption, (*CORRUPTIONS, *EXTRA), f"corruption of {IMAGENET_C}")
    level = whole(severity, f"severity of {IMAGENET_C}", SEVERITIES[0], SEVERITIES[-1])
    roots = [place / corruption / str(level) for place in _corruption_folders(folder)]
    root = next((root for root in roots if root.is_dir()), None)
    if root is None:
        raise BadInput(
            f"{roots[0]} is not a folder; {IMAGENET_C} has its images in CORRUPTION/SEVERITY/WNID, or in a folder of "
            f"that for each group of corruptions, and {folder} has {', '.join(class_folders(folder)) or 'no folders'}"
        )
    return root


def _inside(name: str, folder: Path) -> Path | None:
    """Where in `folder` the folders of classes lie, through folders that hold one folder alone, as archives have."""
    places = nested(folder)
    for inside in _INSIDE[name]:
        for place in places if inside else places[-1:]:
            if (place / inside).is_dir():
                return nested(place / inside)[-1]
    return None


def _corruption_folders(folder: Path) -> list[Path]:
    """Where the folders of corruptions may lie: in `folder`, or in those of groups, as in ImageNet-C's archives."""
    places = nested(folder)
    return places + [place / group for place in places for group in class_folders(place)]


def _folders_of(name: str, root: Path, classes: Sequence[str]) -> list[str | None]:
    """For each class the name of its folder in `root`, None where the variant has none."""
    if name == OBJECTNET:
        objects = _objects(root.parent / "mappings")
        return [objects.get(wnid) for wnid in classes]
    if name.startswith(IMAGENET_V2):
        return [str(WNIDS.index(wnid)) if wnid in WNIDS else None for wnid in classes]
    return list(classes)


def _named_by(name: str) -> str:
    if name == OBJECTNET:
        return "named as its mappings say"
    return "named by their places, 0 to 999" if name.startswith(IMAGENET_V2) else "named by them"


def _objects(mappings: Path) -> dict[str, str]:
    """WNID to the folder of the object that it is, of the classes that ObjectNet shares with ImageNet.

    Folder, object, names of ImageNet's classes in one string, line of a name (from 0), place of the WNID: from one to
    the next lead the four published files.
    """
    try:
        folders, lines = (
            {value: key for key, value in json.loads((mappings / file).read_text(encoding="utf-8")).items()}
            for file in ("folder_to_objectnet_label.json", "pytorch_to_imagenet_2012_id.json")
        )
        shared = json.loads((mappings / "objectnet_to_imagenet_1k.json").read_text(encoding="utf-8"))
        labels = (mappings / "imagenet_to_label_2012_v2").read_text(encoding="utf-8").splitlines()
        wnids = {label.strip(): WNIDS[int(lines[number])] for number, label in enumerate(labels)}
        return {wnids[label]: folders[name] for name, joined in shared.items() for label in joined.split("; ")}
    except (OSError, ValueError, LookupError, AttributeError, TypeError) as error:
        raise BadInput(
            f"{mappings} does not hold ObjectNet's four mappings as published ({error!r}); unpack its archive again"
        ) from error
