"""Cue conflict: images with the shape of one class and the texture of another (Geirhos et al. 2019).

From "ImageNet-trained CNNs are biased towards texture" (arXiv 1811.12231), CC BY 4.0: shapes and textures of 16
classes, joined by neural style transfer, and filled silhouettes and drawn edges of the same shapes. The set is looked
for in these places, in this order:

1. `cue-conflict-64px.npz` under WITHSTAND_DATA, every image at 64 px;
2. the folder `cue-conflict` under WITHSTAND_DATA, then in the cache, as the authors publish it:
   `KIND/SHAPE/airplane1-bicycle2.png`, or `KIND/SHAPE/airplane1.png` for those without a texture.

It is never downloaded: it comes as 1,600 files, and no checksum of each is published.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from lib import paths
from lib.errors import BadInput, one_of
from lib.images.objects import SMALLEST, scaled
from lib.images.reading import list_images, read_each
from lib.images.sources import check_images, read_image, read_packed
from lib.inputs import whole

CLASSES = ("airplane", "bear", "bicycle", "bird", "boat", "bottle", "car", "cat", "chair", "clock", "dog", "elephant",
           "keyboard", "knife", "oven", "truck")  # fmt: skip
CIFAR10_NAMED = {"airplane": "airplane", "bird": "bird", "boat": "ship", "car": "automobile", "cat": "cat",
                 "dog": "dog", "truck": "truck"}  # fmt: skip  # the classes that are CIFAR-10's too, and its names
CONFLICT, SILHOUETTES, EDGES = "conflict", "silhouettes", "edges"
PUBLISHED = {"style-transfer-preprocessed-512": CONFLICT, "filled-silhouettes": SILHOUETTES, "edges": EDGES}
PACKED = "cue-conflict-64px.npz"
FOLDER = "cue-conflict"
URL = "https://github.com/rgeirhos/texture-vs-shape"
_NAMED = re.compile(r"(?P<shape>[a-z]+)\d+(?:-(?P<texture>[a-z]+)\d+)?\.png")


@dataclass(frozen=True)
class CueConflict:
    """uint8 `images` (N, 3, S, S); NumPy strings (N,): `kind` of each, its `shape`, and its `texture`.

    A kind is "conflict", "silhouettes" or "edges". Shapes and textures are names of CLASSES; silhouettes and edges
    have no texture, an empty string. `checksum` is the SHA-256 of pixels and names, `source` says where they are from.
    """

    images: Tensor
    kind: np.ndarray
    shape: np.ndarray
    texture: np.ndarray
    checksum: str
    source: str


def cue_conflict(size: int = 32, device: torch.device | str = "cpu") -> CueConflict:
    """All conflicts, silhouettes and edges that are here, as squares of `size` pixels, 8 or more.

    Images in which shape and texture agree, 80 of the 1,280, are dropped. Packed images are scaled as by
    `lib.images.objects.scaled`, those of a folder as by `lib.images.sources.read_image`: both average. Raises
    BadInput for another size, a set that is not here, a damaged file, and a name that is not one of the set's.
    """
    size = whole(size, "the size of an image", SMALLEST)
    path, folder = _packed_path(), _folder()
    if path is None and folder is None:
        raise BadInput(
            f"the cue-conflict set is not here and is not downloaded; name by WITHSTAND_DATA a folder that holds "
            f"{PACKED}, or put the folder stimuli of {URL} there or into {paths.cache()} as {FOLDER}"
        )
    images, kind, shape, texture = _packed(path, size) if path else _published(folder, size)
    for names in (shape, texture[kind == CONFLICT]):
        for name in np.unique(names):
            one_of(str(name), CLASSES, f"class in {path or folder}")
    texture = np.where(kind == CONFLICT, texture, "")
    differ = shape != texture
    pixels = torch.from_numpy(images[differ]).permute(0, 3, 1, 2).contiguous()
    labels = [names[differ] for names in (kind, shape, texture)]
    digest = hashlib.sha256(pixels.numpy())
    digest.update("\n".join(np.concatenate(labels)).encode())
    source = f"cue-conflict ({len(pixels):,} images from {'the packed file' if path else 'a folder'}, at {size} px)"
    return CueConflict(pixels.to(device), *labels, digest.hexdigest(), source)  # type: ignore[call-arg]


def available() -> bool:
    """Whether the set is here, packed or as a folder."""
    return _packed_path() is not None or _folder() is not None


def _packed_path() -> Path | None:
    data = paths.data()
    return data / PACKED if data and (data / PACKED).is_file() else None


def _folder() -> Path | None:
    """The first folder that holds conflicts; silhouettes and edges may be missing."""
    conflicts = next(iter(PUBLISHED))
    return next((parent / FOLDER for parent in paths.places() if (parent / FOLDER / conflicts).is_dir()), None)


def _packed(path: Path, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images (N, size, size, 3), kind, shape and texture (N,)."""
    keys = ("kind", "shape", "texture")
    arrays = read_packed(path, ("images", *keys))
    if len(arrays) <= len(keys):
        raise BadInput(f"{path} needs the arrays images, {', '.join(keys)}; it has {', '.join(arrays) or 'none'}")
    images = arrays["images"]
    check_images(images, path)
    for key in keys:
        if arrays[key].shape != images.shape[:1] or arrays[key].dtype.kind != "U":
            raise BadInput(f"{key} in {path} are {len(images)} strings, not {arrays[key].dtype} {arrays[key].shape}")
    published = [one_of(str(name), PUBLISHED, f"kind in {path}") for name in arrays["kind"]]
    kind = np.array([PUBLISHED[name] for name in published])
    return scaled(images, size), kind, arrays["shape"], arrays["texture"]


def _published(folder: Path, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    files, rows = [], []
    for name, kind in PUBLISHED.items():
        listing = list_images(folder / name) if (folder / name).is_dir() else None
        for path in (path for found in (listing.images.values() if listing else ()) for path in found):
            if path.suffix != ".png":
                continue
            match = _NAMED.fullmatch(path.name)
            texture = (match["texture"] or "") if match else ""
            if not match or match["shape"] != path.parent.name or bool(texture) != (kind == CONFLICT):
                example = "airplane1-bicycle2.png" if kind == CONFLICT else "airplane1.png"
                raise BadInput(f"{path} is not one of the set's files, such as airplane/{example}; remove it")
            files.append(path)
            rows.append((kind, match["shape"], texture))
    if not files:
        raise BadInput(f"{folder} holds no images; put the folder stimuli of {URL} there")
    images, places = read_each(files, lambda path: read_image(path, size), FOLDER)
    kind, shape, texture = np.array(rows)[places].T
    return np.stack(images), kind, shape, texture
