"""Images: one table of data sets, their splits, one uint8 tensor on the device.

`load("scenes")` needs nothing; `load("cifar10")` finds or downloads CIFAR-10; `load("NAME")` reads
`NAME.npz` or the folder `NAME/` under the folder that the environment variable WITHSTAND_DATA names: see
`lib.images.sources` for what they hold, and `lib.images.reading` for how image files are read. `scenes` there is
refused, and so is a `cifar10` that is not CIFAR-10: no set stands in for another of its name. `load("NAME@224")` reads
the images of such a folder at 224 pixels, of a large one when their turn comes: see `lib.images.sized`.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from lib import files, memory, paths
from lib.errors import BadInput, one_of
from lib.images import scenes, sources
from lib.images.reading import visible
from lib.images.sources import side_of
from lib.inputs import whole_or_none
from lib.streamed import Streamed

SPLITS = ("train", "validation", "test")
VALIDATION_SHARE = 0.1  # of the training images
SCENES_SIZE = {"train": 10_000, "validation": 1_000}  # images where no count is asked for; 2,000 for the tests
SCENES_BLOCK = 1_000  # images a cache file


@dataclass(frozen=True)
class Split:
    """One split of one data set: uint8 `images` (N, 3, S, S) and int64 `labels` (N,) on one device.

    `checksum` is that of the whole data set's pixels and labels; `source` says in words what the
    images are. `factors` and `masks` are those of `lib.images.scenes`, for scenes only. Images to train and to validate
    on are `lib.streamed.Streamed` in a set that is too large to be held.
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
    if (folder := paths.data()) and folder.is_dir():
        found = [p.stem if p.is_file() else p.name for p in visible(folder) if p.is_dir() or p.suffix == ".npz"]
    return sorted({"scenes", *sources.DOWNLOADS, *found})


def here(name: str) -> bool:
    """Whether `load` finds the data set on this machine and downloads nothing."""
    folder = paths.data()
    base = name.rpartition("@")[0] if side_of(name) else name
    own = folder is not None and ((folder / f"{name}.npz").is_file() or (folder / base).is_dir())
    return name == "scenes" or own or (name in sources.DOWNLOADS and sources.downloaded(name))


def load(name: str, split: str = "train", count: int | None = None, device: torch.device | str = "cpu") -> Split:
    """A split of a data set: at most its first `count` images, or all of them.

    Training images come in a fixed random order in which classes alternate, so that a subset is
    balanced and lies within every larger one. A tenth of them, the validation split, is never
    trained on, unless the set has validation images of its own; images known to be inexact are in
    neither. `scenes` has further test splits, see `lib.images.scenes.SPLITS`. Raises BadInput where
    a split is empty, or a class has no image to train or to test on.
    """
    count = whole_or_none(count, "the number of images", "all")
    if name == "scenes":
        _refuse_other_scenes(paths.data())
        part = _scenes(split, count or SCENES_SIZE.get(split, 2_000))
    else:
        one_of(split, SPLITS, f"split of {name}")
        images, checksum = _whole(name, paths.data())
        chosen = _indices(images, split)
        chosen = chosen[:count]
        if not isinstance(images.images, Streamed):
            pixels = images.images[chosen]
        elif split == "test":
            pixels = _tests(name, paths.data(), checksum, len(chosen))
        else:
            pixels = images.images.only(chosen, f"{split} {len(chosen)}", device)
        part = Split(pixels, images.labels[chosen], images.classes, checksum, images.source)
    held = part.images if isinstance(part.images, Streamed) else part.images.to(device)
    return replace(part, images=held, labels=part.labels.to(device))


@memory.kept
def _tests(name: str, folder: Path | None, checksum: str, count: int) -> Tensor:
    """The first test images of a set that is too large to be held: several measures ask for them in turn."""
    images, _ = _whole(name, folder)
    chosen = _indices(images, "test")[:count]
    return torch.cat([images.images[places] for places in chosen.split(64)])


@functools.lru_cache(maxsize=2)
def _whole(name: str, folder: Path) -> tuple[sources.ImageSet, str]:
    """A data set from a file or a folder of that name under `folder`, else by download; and its checksum."""
    if side := side_of(name):
        from lib.images.sized import opened  # here: it reads folders by what is said above

        images = opened(name, side, folder)
    elif folder and (folder / f"{name}.npz").is_file():
        images = sources.as_built_in(sources.from_arrays(folder / f"{name}.npz"), name, folder / f"{name}.npz")
    elif folder and (folder / name).is_dir():
        images = sources.as_built_in(sources.from_folder(folder / name), name, folder / name)
    else:
        one_of(name, names(), "data set")
        images = sources.DOWNLOADS[name]()
    _check(images, part_of_a_set=name in sources.CLASSES)
    if isinstance(images.images, Streamed):
        return images, images.images.checksum
    digest = hashlib.sha256(images.images.numpy())
    digest.update(images.labels.numpy())
    return images, digest.hexdigest()


def _refuse_other_scenes(folder: Path | None) -> None:
    """A set of the user's own called scenes; where data and cache share a folder, the cached scenes are none."""
    for path in (folder / "scenes.npz", folder / "scenes") if folder else ():
        if path.exists() and path.resolve() != (paths.cache() / "scenes").resolve():
            raise BadInput(f"scenes are rendered here, and {path} has their name; give it another to read it")


def _check(images: sources.ImageSet, part_of_a_set: bool) -> None:
    """Refuse labels without a class, empty splits, and a class with no image to train or to test on.

    Where the classes are those of a published set, the file may be a part of it that lacks some of them in all splits.
    """
    largest = int(images.labels.max())
    if largest >= len(images.classes):
        raise BadInput(f"{images.source} has {len(images.classes)} classes, and labels up to {largest}")
    counts = {}
    for split in SPLITS:
        counts[split] = images.labels[_indices(images, split)].bincount(minlength=len(images.classes))
    total = images.labels.bincount(minlength=len(images.classes))
    for split in SPLITS:
        if not counts[split].any():
            found = ", ".join(f"{int(count.sum()):,} for {part}" for part, count in counts.items())
            raise BadInput(f"{images.source} has no {split} images; every split needs some, and it has {found}")
    for split in ("train", "test"):
        lacking = counts[split] == 0
        lacking = lacking & (total > 0) if part_of_a_set else lacking
        if lacking.any():
            label = int(lacking.nonzero()[0])
            raise BadInput(
                f"{images.source} has no {split} images of the class {images.classes[label]!r} among the "
                f"{int(total[label])} that are there; every class needs some, 5 or more where no test split is given, "
                "of which every fifth is for tests: add images, or leave the class out"
            )


def _indices(images: sources.ImageSet, split: str) -> Tensor:
    """Indices of the images of `split`, classes in turn."""
    return places_of(split, images.labels, images.test, images.validation, images.exact)


def places_of(
    split: str, labels: Tensor, test: Tensor, own: Tensor | None = None, exact: Tensor | None = None
) -> Tensor:
    """The places of the images of `split`, classes in turn, in a set with int64 `labels` (N,).

    `test` are the test images, `own` those for validation where the set has some, and inexact ones are in neither
    training nor validation: bool (N,) each.
    """
    if split == "test":
        return in_turn(labels, test.nonzero()[:, 0])
    exact = torch.ones_like(test) if exact is None else exact
    if split == "validation" and own is not None:
        return in_turn(labels, (own & exact).nonzero()[:, 0])
    rest = ~test & exact
    training = in_turn(labels, (rest if own is None else rest & ~own).nonzero()[:, 0])
    held_out = 0 if own is not None else max(1, round(VALIDATION_SHARE * len(training)))
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
