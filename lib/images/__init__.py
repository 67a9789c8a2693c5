"""Pictures: one table of data sets, their splits, one uint8 tensor on the device.

`load("scenes")` needs nothing; `load("cifar10")` finds or downloads CIFAR-10; `load("NAME")` reads
`NAME.npz` or the folder `NAME/` under the folder that the environment variable WITHSTAND_DATA names.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib import files, paths
from lib.errors import BadInput, one_of
from lib.images import scenes, sources
from lib.inputs import whole_or_none

SPLITS = ("train", "validation", "test")
VALIDATION_SHARE = 0.1  # of the training images
SCENES_SIZE = {"train": 10_000, "validation": 1_000}  # images where no count is asked for; 2,000 for the tests
SCENES_BLOCK = 1_000  # images a cache file


@dataclass(frozen=True)
class Split:
    """One split of one data set: uint8 `images` (N, 3, S, S) and int64 `labels` (N,) on one device.

    `checksum` is that of the whole data set's pixels and labels; `source` says in words what the
    pictures are. `factors` and `masks` are those of `lib.images.scenes`, for scenes only.
    """

    images: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    checksum: str
    source: str
    factors: dict[str, Tensor] | None = None
    masks: Tensor | None = None


def names() -> list[str]:
    """The data sets that `load` knows here and now."""
    found = []
    if folder := paths.data():
        found = [p.stem if p.is_file() else p.name for p in folder.glob("*") if p.is_dir() or p.suffix == ".npz"]
    return sorted({"scenes", *sources.DOWNLOADS, *found})


def here(name: str) -> bool:
    """Whether `load` finds the data set on this machine and downloads nothing."""
    folder = paths.data()
    own = folder is not None and ((folder / f"{name}.npz").is_file() or (folder / name).is_dir())
    return name == "scenes" or own or (name in sources.DOWNLOADS and sources.downloaded(name))


def load(name: str, split: str = "train", count: int | None = None, device: torch.device | str = "cpu") -> Split:
    """A split of a data set: at most its first `count` images, or all of them.

    Training images come in a fixed random order in which classes alternate, so that a subset is
    balanced and lies within every larger one. A tenth of them, the validation split, is never
    trained on; images known to be inexact are in neither. `scenes` has further test splits, see
    `lib.images.scenes.SPLITS`.
    """
    count = whole_or_none(count, "the number of images", "all")
    if name == "scenes":
        part = _scenes(split, count or SCENES_SIZE.get(split, 2_000))
    else:
        one_of(split, SPLITS, f"split of {name}")
        pictures, checksum = _whole(name, paths.data())
        chosen = _indices(pictures, split)
        chosen = chosen[:count]
        part = Split(pictures.images[chosen], pictures.labels[chosen], pictures.classes, checksum, pictures.source)
    return replace(part, images=part.images.to(device), labels=part.labels.to(device))


@functools.lru_cache(maxsize=2)
def _whole(name: str, folder) -> tuple[sources.Pictures, str]:
    """A data set from a file or a folder of that name under `folder`, else by download; and its checksum."""
    if folder and (folder / f"{name}.npz").is_file():
        pictures = sources.from_arrays(folder / f"{name}.npz")
        if name in sources.CLASSES:
            pictures = replace(pictures, classes=sources.CLASSES[name])
    elif folder and (folder / name).is_dir():
        pictures = sources.from_folder(folder / name)
    else:
        one_of(name, names(), "data set")
        pictures = sources.DOWNLOADS[name]()
    digest = hashlib.sha256(pictures.images.numpy())
    digest.update(pictures.labels.numpy())
    return pictures, digest.hexdigest()


def _indices(pictures: sources.Pictures, split: str) -> Tensor:
    """Indices of the images of `split`, classes in turn."""
    if split == "test":
        return in_turn(pictures.labels, pictures.test.nonzero()[:, 0])
    training = in_turn(pictures.labels, (~pictures.test & pictures.exact).nonzero()[:, 0])
    held_out = round(VALIDATION_SHARE * len(training))
    return training[:held_out] if split == "validation" else training[held_out:]


def in_turn(labels: Tensor, chosen: Tensor) -> Tensor:
    """`chosen` in a fixed random order in which the classes alternate as long as they last."""
    chosen = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))]
    place = torch.empty_like(chosen)  # of each image within its class
    for label in labels[chosen].unique():
        members = labels[chosen] == label
        place[members] = torch.arange(int(members.sum()))
    return chosen[torch.argsort(place, stable=True)]


def _scenes(split: str, count: int) -> Split:
    blocks = [_scenes_block(split, start) for start in range(0, count, SCENES_BLOCK)]
    joined = {key: torch.cat([block[key] for block in blocks])[:count] for key in blocks[0]}
    return Split(
        images=joined.pop("images"),
        labels=joined["shape"],
        classes=scenes.SHAPES,
        checksum=_scenes_checksum(),
        source=f"scenes (rendered, protocol {scenes.PROTOCOL})",
        masks=joined.pop("masks"),
        factors=joined,
    )


@functools.lru_cache
def _scenes_checksum() -> str:
    """Of the first 100 training scenes: the renderer, not a file, defines the set."""
    return hashlib.sha256(scenes.render(100).images.numpy()).hexdigest()


def _scenes_block(split: str, start: int) -> dict[str, Tensor]:
    """Scenes start..start+999 of a split, from the cache where an undamaged copy is there, else rendered."""
    one_of(split, scenes.SPLITS, "split of scenes")
    path = paths.cache() / "scenes" / f"{scenes.PROTOCOL}-{split}-{start:06d}.safetensors"

    def render() -> dict[str, Tensor]:
        rendered = scenes.render(SCENES_BLOCK, split=split, start=start)
        return {"images": rendered.images, "masks": rendered.masks, **rendered.factors}

    return files.kept(path, render)
