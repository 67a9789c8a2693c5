"""Views: the same object, material or scene again and again, while one cause of its image changes.

| name        | varies          | value of a view               | a group                   | files such as        |
|-------------|-----------------|-------------------------------|---------------------------|----------------------|
| coil        | azimuth         | degrees, 0 to 355             | object                    | (one packed file)    |
| coil-100    | azimuth         | degrees, 0 to 355             | object                    | coil-100/obj1__5.png |
| aloi-pose   | azimuth         | degrees, 0 to 355             | object                    | aloi/1/1_r5.png      |
| aloi-light  | light direction | lamp, 1 to 8                  | object, camera            | aloi/1/1_l1c1.png    |
| aloi-colour | light colour    | code of the light, 110 to 250 | object                    | aloi/1/1_i110.png    |
| alot-pose   | azimuth         | degrees: 0, 60, 120, 180      | material, camera, lamp    | alot/1/1_c1l1r60.png |
| alot-light  | light direction | lamp, 1 to 5 alone, 8 for all | material, camera, azimuth | alot/1/1_c1l1r60.png |
| alot-colour | light colour    | light: 0 for `l8`, 1 for `i`  | material, camera          | alot/1/1_c1i.png     |

COIL-100: Nene, Nayar and Murase 1996 (Columbia University, CUCS-006-96); `coil` is `coil100-17obj-64px.npz`, 17 of
its 100 objects. ALOI: Geusebroek, Burghouts and Smeulders 2005 (IJCV 61, 103-112), 1,000 objects. ALOT: Burghouts
and Geusebroek 2009 (Pattern Recognition Letters 30, 306-313), 250 materials. The packed file, or the published files
under the folder `coil-100`, `aloi` or `alot`, subfolders allowed, lie where WITHSTAND_DATA says; nothing is downloaded.

Azimuth is that of a turntable: lamps and camera stand still, so the light falls on other sides of the object as it
turns. The numbers of lamps and of lights are names, not quantities: ALOI's lights differ in colour temperature, but
their codes are not kelvins; of ALOT's two, `l8` is that of all lamps in `alot-light` and `i` has another colour.
Which images make a group is as in Ericsson, Gouk and Hospedales (arXiv 2111.11398), except for `alot-pose`, where
theirs mix cameras.

`scene_views` renders the like from `lib.images.scenes`, which needs no files and where nothing but the named cause
changes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib import paths
from lib.errors import BadInput, one_of
from lib.images import scenes
from lib.images.reading import files_below, read_each
from lib.images.sources import check_images, read_image, read_packed
from lib.inputs import whole

SMALLEST = 8  # pixels: below, an object of these sets cannot be told


@dataclass(frozen=True)
class Views:
    """Images in groups; those of one group differ in what `varies` and, in a photograph, in noise.

    uint8 `images` (N, 3, S, S), int64 `groups` (N,) from 0 to G - 1, and float32 `value` (N,) of what varies, in
    `unit`. Groups follow one another, and within a group the value rises. `names` are those of the G groups.
    `checksum` is the SHA-256 of pixels and groups; `source` says in words what these images are.
    """

    images: Tensor
    groups: Tensor
    value: Tensor
    varies: str
    unit: str
    names: tuple[str, ...]
    checksum: str
    source: str


@dataclass(frozen=True)
class _Published:
    """A set as published: where it lies, what its files are called (the group `value` varies), and what that means."""

    folder: str
    pattern: re.Pattern[str]
    example: str
    varies: str
    unit: str
    title: str


PACKED = "coil100-17obj-64px.npz"
_COIL, _ALOI, _ALOT = "COIL-100", "ALOI", "ALOT"
_SETS = {
    "coil-100": _Published(
        "coil-100", re.compile(r"obj(?P<object>\d+)__(?P<value>\d+)\.png"), "obj1__0.png", "azimuth", "degrees", _COIL
    ),
    "aloi-pose": _Published(
        "aloi", re.compile(r"(?P<object>\d+)_r(?P<value>\d+)\.png"), "1_r0.png", "azimuth", "degrees", _ALOI
    ),
    "aloi-light": _Published(
        "aloi",
        re.compile(r"(?P<object>\d+)_l(?P<value>[1-8])c(?P<camera>[1-3])\.png"),
        "1_l1c1.png",
        "light direction",
        "lamp",
        _ALOI,
    ),
    "aloi-colour": _Published(
        "aloi", re.compile(r"(?P<object>\d+)_i(?P<value>\d+)\.png"), "1_i110.png", "light colour", "code", _ALOI
    ),
    "alot-pose": _Published(
        "alot",
        re.compile(r"(?P<material>\d+)_c(?P<camera>[1-4])l(?P<lamp>[1-58])(?:r(?P<value>60|120|180))?\.png"),
        "1_c1l1r60.png",
        "azimuth",
        "degrees",
        _ALOT,
    ),
    "alot-light": _Published(
        "alot",
        re.compile(r"(?P<material>\d+)_c(?P<camera>[1-4])l(?P<value>[1-58])(?:r(?P<azimuth>60|120|180))?\.png"),
        "1_c1l1r60.png",
        "light direction",
        "lamp",
        _ALOT,
    ),
    "alot-colour": _Published(
        "alot",
        re.compile(r"(?P<material>\d+)_c(?P<camera>[1-4])(?P<value>l8|i)\.png"),
        "1_c1i.png",
        "light colour",
        "light",
        _ALOT,
    ),
}
OBJECTS = ("coil", *_SETS)
_WORDS = {None: 0, "l8": 0, "i": 1}  # parts of a file's name that are not numbers; without an `r`, azimuth is 0


def objects(name: str, size: int = 32) -> Views:
    """All views of the set `name`, one of OBJECTS, as squares of `size` pixels, 8 or more.

    An image is cut to its central square and scaled by averaging; the packed one has no margin to cut, and its
    means are exact where `size` divides its side. Groups are in the order of their numbers. Raises BadInput for an
    unknown name or size, a set that is not here, a damaged file, an image that is there twice, and a group with a
    single view.
    """
    one_of(name, OBJECTS, "set of objects")
    size = whole(size, "the size of an image", SMALLEST)
    return _coil(size) if name == "coil" else _published(name, size)


def available() -> list[str]:
    """The sets of OBJECTS of which at least one file is here."""
    folder = paths.data()
    if folder is None:
        return []
    here = ["coil"] if (folder / PACKED).is_file() else []
    return here + [name for name, known in _SETS.items() if any(_matches(folder / known.folder, known.pattern))]


def _published(name: str, size: int) -> Views:
    known, data = _SETS[name], paths.data()
    folder = data / known.folder if data else None
    if folder is None or not folder.is_dir():
        raise BadInput(
            f"{name} is not here; name by WITHSTAND_DATA a folder in which the folder {known.folder} holds the files "
            f"of {known.title}, such as {known.example}"
        )
    files = {}
    for path, match in _matches(folder, known.pattern):
        parts = {part: _WORDS[text] if text in _WORDS else int(text) for part, text in match.groupdict().items()}
        value = parts.pop("value")
        view = (tuple(parts.items()), value)
        if view in files:
            raise BadInput(f"{files[view]} and {path} are the same view; keep one resolution of {known.title}")
        files[view] = path
    if not files:
        raise BadInput(f"{folder} holds no file that is named like {known.example}; unpack {known.title} there")
    order = sorted(files)
    images, places = read_each([files[view] for view in order], lambda path: read_image(path, size), name)
    order = [order[place] for place in places]
    groups, names = _numbered([group for group, _ in order], folder)
    return _views(
        images=np.stack(images),
        groups=groups,
        value=np.array([value for _, value in order]),
        varies=known.varies,
        unit=known.unit,
        names=names,
        title=f"{name} ({known.title})",
    )


def _matches(folder: Path, pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    """The files anywhere under `folder`, if it is there, whose whole names match, and how they do."""
    for path in files_below(folder):
        if match := pattern.fullmatch(path.name):
            yield path, match


def _numbered(keys: list[tuple[tuple[str, int], ...]], where: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """Sorted keys of the views as numbers from 0, int64 (N,), and the name of each group; all have two views."""
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    groups = np.array([places[key] for key in keys], dtype=np.int64)
    names = tuple(", ".join(f"{part} {number}" for part, number in key) for key in places)
    alone = np.flatnonzero(np.bincount(groups) == 1)
    if len(alone):
        raise BadInput(f"{names[alone[0]]} has a single view in {where}, but a comparison needs two or more")
    return groups, names


def _coil(size: int) -> Views:
    data = paths.data()
    path = data / PACKED if data else None
    if path is None or not path.is_file():
        raise BadInput(f"coil is not here; name a folder that holds {PACKED} by WITHSTAND_DATA")
    arrays = read_packed(path, ("images", "object", "azimuth"))
    if len(arrays) < 3:
        raise BadInput(f"{path} needs the arrays images, object and azimuth, it has {', '.join(arrays) or 'none'}")
    images, numbers, azimuth = arrays["images"], arrays["object"], arrays["azimuth"]
    check_images(images, path)
    for key, array in (("object", numbers), ("azimuth", azimuth)):
        if array.shape != images.shape[:1] or not np.issubdtype(array.dtype, np.integer):
            raise BadInput(f"{key} in {path} is a whole number for each image, not {array.dtype} {array.shape} for "
                           f"{len(images)} images")  # fmt: skip
    order = np.lexsort((azimuth, numbers))
    images, numbers, azimuth = images[order], numbers[order], azimuth[order]
    twice = np.flatnonzero((np.diff(numbers) == 0) & (np.diff(azimuth) == 0))
    if len(twice):
        raise BadInput(f"{path} has object {numbers[twice[0]]} at azimuth {azimuth[twice[0]]} twice; write it again")
    groups, names = _numbered([(("object", int(number)),) for number in numbers], path)
    return _views(
        images=scaled(images, size),
        groups=groups,
        value=azimuth,
        varies="azimuth",
        unit="degrees",
        names=names,
        title=f"coil ({len(names)} objects of {_COIL} at {images.shape[1]} px)",
    )


def scaled(images: np.ndarray, size: int) -> np.ndarray:
    """Square images, uint8 (N, S, S, 3), at `size` pixels: means of blocks to the nearest, halves up, where they fit.

    Pillow, which does the rest, rounds twice: across and down.
    """
    count, side = images.shape[:2]
    if side % size:
        box = Image.Resampling.BOX
        return np.stack([np.asarray(Image.fromarray(image).resize((size, size), box)) for image in images])
    block = side // size
    total = images.reshape(count, size, block, size, block, 3).sum(axis=(2, 4), dtype=np.uint32)
    return ((2 * total + block**2) // (2 * block**2)).astype(np.uint8)


# What `scene_views` changes: the factor of `lib.images.scenes`, and what is set for the change to be seen.
_CAUSES: dict[str, tuple[str, dict[str, float]]] = {
    "azimuth": ("azimuth", {}),
    "elevation": ("elevation", {}),
    "light direction": ("light_azimuth", {}),
    "light colour": ("light_hue", {"light_tint": scenes.FACTORS["light_tint"].high}),  # white light has no hue
    "object_hue": ("object_hue", {}),
    "position": ("x", {}),
}
CAUSES = tuple(_CAUSES)
_WHOLE_TURNS = ("azimuth", "object_hue")  # their range ends where it begins


def scene_views(varies: str, count: int, views: int, size: int = 32, seed: int = 0) -> Views:
    """Scenes 0 to `count` - 1 of the test split of `seed`, each in `views` images in which one cause changes.

    Every other factor of `lib.images.scenes` is held within a group. Values are evenly spaced over the factor's
    range in that split, both ends included; of a whole turn (azimuth, object_hue) the end is left out, which is the
    beginning again. `light direction` is the lamp's azimuth, `position` is x, and `light colour` the lamp's hue at the
    strongest tint of the split, 0.25. A turn may not show: a plain sphere, one scene in a hundred, looks the same at
    every azimuth, a plain cube after each quarter. Raises BadInput for an unknown cause, fewer than one group, two
    views or 16 pixels, and a seed below 0.
    """
    one_of(varies, _CAUSES, "cause that varies")
    count, views = whole(count, "the number of groups"), whole(views, "the number of views", 2)
    seed = whole(seed, "the seed", 0)
    name, fixed = _CAUSES[varies]
    cause = scenes.FACTORS[name]
    drawn = scenes.draw_factors(count, seed, "test")
    factors = {key: column.repeat_interleave(views) for key, column in drawn.items()}
    for key, held in fixed.items():
        factors[key] = torch.full_like(factors[key], held)
    value = np.linspace(cause.low, cause.high, views, endpoint=name not in _WHOLE_TURNS)
    factors[name] = torch.from_numpy(value).float().repeat(count)
    return _views(
        images=scenes.render_factors(factors, size).images.permute(0, 2, 3, 1).numpy(),
        groups=np.repeat(np.arange(count, dtype=np.int64), views),
        value=factors[name].numpy(),
        varies=varies,
        unit=cause.unit,
        names=tuple(f"scene {place} ({scenes.SHAPES[shape]})" for place, shape in enumerate(drawn["shape"])),
        title=f"scenes (rendered, protocol {scenes.PROTOCOL}, test, seed {seed})",
    )


def _views(images: np.ndarray, groups: np.ndarray, value: np.ndarray, title: str, **described: Any) -> Views:
    """The rest is worked out from images, uint8 (N, S, S, 3), and groups, int64 (N,)."""
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
    digest = hashlib.sha256(pixels.numpy())
    digest.update(groups)
    count, size = len(pixels), pixels.shape[-1]
    return Views(
        images=pixels,
        groups=torch.from_numpy(groups),
        value=torch.from_numpy(value.astype(np.float32)),
        checksum=digest.hexdigest(),
        source=f"{title}: {count:,} images in {int(groups[-1]) + 1:,} groups, at {size} px",
        **described,
    )
