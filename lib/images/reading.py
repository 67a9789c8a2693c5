"""Image files as every reader of this project sees them: which files of a folder are images, and what their pixels are.

An image is read as 8 bits of red, green and blue, upright:

| in the file                             | is read as                                                             |
|-----------------------------------------|------------------------------------------------------------------------|
| 8 bits, a palette, CMYK, black or white | Pillow's `convert("RGB")`                                              |
| 16 bits, grey or colour                 | value / 257, to the nearest; PNG's and TIFF's black is 0, white 65,535 |
| 16 bits, none above 16,383              | refused: 10, 12 or 14 bits in 16, or depths, and nothing tells which   |
| floats                                  | 255 x value, to the nearest; refused where one is not in [0, 1]        |
| whole numbers of 32 bits, or with signs | refused: their range is not in the file                                |
| transparency                            | laid on mid-grey, 128, which is neither of the usual backgrounds       |
| an EXIF orientation                     | turned or mirrored as it says                                          |

A folder's entries that no person put there are not seen: hidden ones and those of SYSTEM. Of the others, an image is
what has an ending of ENDINGS or what Pillow recognises by its content.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image, UnidentifiedImageError

from lib.errors import BadInput

T = TypeVar("T")
ENDINGS = (".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm",
           ".tif", ".tiff", ".webp")  # fmt: skip
SYSTEM = ("#recycle", "#snapshot", "$recycle.bin", "@eadir", "@tmp", "__macosx", "__pycache__", "desktop.ini",
          "ehthumbs.db", "icon\r", "lost+found", "recycler", "system volume information", "thumbs.db")  # fmt: skip
UNREADABLE = 0.1  # of a set's images at most, or one, are left out for being unreadable
BACKGROUND = (128, 128, 128)  # behind what is transparent
_SIXTEEN = 65535
_FAINT = 16383  # the largest value of 14 bits; 10, 12 and 14 bits are kept in 16 without a word about it
_TWELVE = 4095
_DEEPEST = 4  # folders one in the other, at most, are looked through for what an archive held
_ORIENTATION, _PHOTOMETRIC = 0x0112, 262  # tags of EXIF and TIFF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow keeps the upper byte of 16-bit colours. Told that bytes lie the other way round, it keeps the lower one.
_LOWER = {f"{bands};16{order}": f"{bands};16{'L' if order == 'B' else 'B'}"
          for bands in ("RGB", "RGBA") for order in "BL"}  # fmt: skip
_LOWER |= {f"{bands};16N": f"{bands};16{'B' if sys.byteorder == 'little' else 'L'}" for bands in ("RGB", "RGBA")}


@dataclass(frozen=True)
class Listing:
    """The image files of each class, both in the order of their names; `others` are files there that are no images."""

    images: dict[str, list[Path]]
    others: list[Path]


def open_image(path: Path) -> Image.Image:
    """The image in a file, in Pillow's mode RGB, as the table above says; an animation's or a document's first.

    Raises BadInput, one sentence with the file's name, for what is missing, no image, damaged, larger than Pillow's
    limit, or of a range that cannot be known.
    """
    with opened(path) as image:
        lower = _lower_bytes(image, path)
        wide = any(";16" in str(tile.args) for tile in image.tile)  # type: ignore[attr-defined]
        packed = any("I;12" in str(tile.args) for tile in image.tile)  # type: ignore[attr-defined]
        image.load()
        if image.mode[0] in "IF":
            shown = _from_grey(image, path, _TWELVE if packed else _SIXTEEN)
        elif wide and image.mode in ("RGB", "RGBA"):
            shown = _from_colours(image, lower, path)
        else:
            shown = image
        return turned(_on_background(shown), orientation(image))


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Pillow's image of a file, as stored and not loaded yet; what fails inside becomes one sentence about the file."""
    try:
        with warnings.catch_warnings():
            # Between half of its limit and the limit Pillow warns; cameras and scanners take such images.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except BadInput:
        raise
    except Image.DecompressionBombError as error:
        raise BadInput(
            f"{path} is too large to be read ({error}); scale it to at most {2 * Image.MAX_IMAGE_PIXELS:,} pixels"
        ) from error
    except UnidentifiedImageError as error:
        raise BadInput(f"{path} is not an image that Pillow can read; remove it or save it as PNG or JPEG") from error
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise BadInput(f"{path} cannot be read ({error.strerror})") from error
    except Exception as error:  # Pillow raises many kinds for a damaged file
        raise BadInput(f"{path} is damaged or of an unknown kind ({error}); remove it or write it again") from error


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of a loaded image, 1 to 8; 1, upright, where none is given. Pillow turns a TIFF itself."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # Pillow's about the same damage
            found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block, of which Pillow raises many kinds, says nothing about the pixels
        return 1
    return found if found in _TURNS else 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """An image stored with that EXIF orientation, upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def visible(folder: Path) -> list[Path]:
    """What a person put in a folder, sorted by name: no hidden entries, none of SYSTEM."""
    try:
        return sorted(path for path in folder.iterdir() if _is_visible(path.name))
    except OSError as error:
        raise BadInput(f"{folder} cannot be read as a folder ({error.strerror})") from error


def class_folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted, except hidden ones and those of SYSTEM."""
    return [entry.name for entry in visible(folder) if entry.is_dir()]


def list_images(folder: Path, classes: Sequence[str] | None = None) -> Listing:
    """The images in `folder/CLASS/*` for each of `classes`, else of every folder there; a class may have none."""
    images, others = {}, []
    for name in class_folders(folder) if classes is None else classes:
        images[name] = []
        for path in visible(folder / name) if (folder / name).is_dir() else []:
            if path.is_file():
                (images[name] if is_image(path) else others).append(path)
    return Listing(images, others)


def files_below(folder: Path) -> Iterator[Path]:
    """Every file that a person put anywhere under a folder, if it is there."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if _is_visible(name))
        yield from (Path(parent, name) for name in sorted(names) if _is_visible(name))


def is_image(path: Path) -> bool:
    """Whether a file is an image by its ending or, where that says nothing, by its first bytes."""
    if path.suffix.lower() in ENDINGS:
        return True
    try:
        with opened(path):
            return True
    except BadInput:
        return False


def nested(folder: Path) -> list[Path]:
    """`folder`, and the folder in it, and so on, as long as there is one alone and it holds folders and no images.

    Archives are often unpacked into a folder that has their own name already.
    """
    found = [folder]
    while len(found) < _DEEPEST and folder.is_dir():
        inside = class_folders(found[-1])
        if len(inside) != 1 or _has_images(found[-1]):
            break
        deeper = found[-1] / inside[0]
        if not class_folders(deeper) or _has_images(deeper):
            break
        found.append(deeper)
    return found


def readable(files: Sequence[Path], read: Callable[[Path], T], what: str) -> Iterator[tuple[int, T]]:
    """The place in `files` and what `read` makes of it, for each file that it can read.

    The others are named on stderr at the end, each with its reason. Raises BadInput where they are all, or more than
    one and more than a share of UNREADABLE. `what` is the set's name.
    """
    reasons = []
    for place, path in enumerate(files):
        try:
            made = read(path)
        except BadInput as error:
            reasons.append(str(error))
            if len(reasons) > max(1, UNREADABLE * len(files)) or len(reasons) == len(files):
                raise BadInput(
                    f"{len(reasons)} of the first {place + 1:,} of {len(files):,} images of {what} cannot be read, and "
                    f"at most {UNREADABLE:.0%} may be left out: {_some(reasons)}"
                ) from error
            continue
        yield place, made
    if reasons:
        print(f"{what}: {len(reasons)} of {len(files):,} images left out: {_some(reasons)}", file=sys.stderr)


def read_each(files: Sequence[Path], read: Callable[[Path], T], what: str) -> tuple[list[T], list[int]]:
    """What `read` makes of each file that it can read, and their places in `files`: see `readable`."""
    found = list(readable(files, read, what))
    return [made for _, made in found], [place for place, _ in found]


def tell_others(others: Sequence[Path], what: str) -> None:
    """Name on stderr the files in class folders that are no images."""
    if others:
        named = _some([f"{path.parent.name}/{path.name}" for path in others])
        print(f"{what}: {len(others):,} files that are no images left out: {named}", file=sys.stderr)


def _is_visible(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in SYSTEM


def _has_images(folder: Path) -> bool:
    return any(path.suffix.lower() in ENDINGS and path.is_file() for path in visible(folder))


def _some(words: Sequence[str], count: int = 5) -> str:
    more = f"; and {len(words) - count:,} more" if len(words) > count else ""
    return "; ".join(words[:count]) + more


def _lower_bytes(image: Image.Image, path: Path) -> np.ndarray | None:
    """The lower bytes of 16-bit colours, uint8 (H, W, C), where Pillow can be told to read them."""
    tiles = [tile for tile in image.tile if tile.args]  # type: ignore[attr-defined]
    rawmodes = {tile.args if isinstance(tile.args, str) else tile.args[0] for tile in tiles}
    if not rawmodes or not rawmodes <= set(_LOWER):
        return None
    with Image.open(path) as again:
        again.tile = [tile._replace(args=_swapped(tile.args)) for tile in again.tile]
        return np.asarray(again)


def _swapped(arguments: str | tuple) -> str | tuple:
    return _LOWER[arguments] if isinstance(arguments, str) else (_LOWER[arguments[0]], *arguments[1:])


def _from_grey(image: Image.Image, path: Path, largest: int) -> Image.Image:
    """A loaded grey image of more than 8 bits as one of 8: mode L, or LA where one grey is transparent."""
    values = np.asarray(image)
    if image.mode == "F":
        if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
            raise BadInput(
                f"{path} has floats (Pillow's mode F) from {values.min():g} to {values.max():g}, and an image's are "
                "from 0 to 1; scale them, or save it with 8 bits"
            )
        grey = np.rint(255 * values.astype(np.float64)).astype(np.uint8)
    elif image.mode != "I" or image.format in ("PNG", "PPM"):  # these two hold 16 bits at most
        grey = _eight_bits(values, path, image.mode, largest)
    else:
        raise BadInput(
            f"{path} has whole numbers of 32 bits or with signs (Pillow's mode I) from {values.min()} to "
            f"{values.max()}, whose range is not known; save it with 8 bits, or with 16 from 0 to 65535"
        )
    # White is 0, which Pillow mends for 8 bits only.
    if image.format == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == 0:  # type: ignore[attr-defined]
        grey = 255 - grey
    shown = Image.fromarray(grey)
    if isinstance(key := image.info.get("transparency"), int):
        shown.putalpha(Image.fromarray(np.where(values == key, 0, 255).astype(np.uint8)))
    return shown


def _from_colours(image: Image.Image, lower: np.ndarray | None, path: Path) -> Image.Image:
    """A loaded image of 16-bit colours, of which Pillow kept the upper bytes, as one of 8: mode RGB or RGBA."""
    upper = np.asarray(image).astype(np.uint32)
    values = 256 * upper + (upper if lower is None else lower)
    _check_range(values[..., :3], path, f"{image.mode} with 16 bits")
    shown = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    key = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(key, tuple):
        shown.putalpha(Image.fromarray(np.where((values == key).all(axis=2), 0, 255).astype(np.uint8)))
    return shown


def _eight_bits(values: np.ndarray, path: Path, mode: str, largest: int) -> np.ndarray:
    """Whole numbers from 0 to `largest` as uint8, to the nearest."""
    if largest == _SIXTEEN:
        _check_range(values, path, mode)
    return ((2 * 255 * values.astype(np.int64) + largest) // (2 * largest)).astype(np.uint8)


def _check_range(values: np.ndarray, path: Path, mode: str) -> None:
    if 0 < values.max() <= _FAINT:
        raise BadInput(
            f"{path} (Pillow's mode {mode}) has values up to {values.max():,} of {_SIXTEEN:,}, as 10, 12 or 14 bits "
            "kept in 16 have, and its range is not known; save it with 8 bits, or with 16 from 0 to 65535"
        )


def _on_background(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image).convert("RGB")
