"""Write whole corrupted test sets in the layouts in which they are published.

python -m lib.shifts.export cifar10 OUT              # as CIFAR-10-C: OUT/fog.npy (5 N, 32, 32, 3), OUT/labels.npy
python -m lib.shifts.export FOLDER OUT --side 224    # as ImageNet-C: OUT/fog/3/CLASS/NAME.JPEG, from FOLDER/CLASS/*

Images are those that every measure of this project sees. What is complete stays: a call that was cut off goes on
where it stopped, and a folder that was begun with other settings, or from images that have changed since, is refused.
Nothing is written before all of a call is known to be sound.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lib import files
from lib.errors import BadInput, one_of
from lib.images import load, names
from lib.images.reading import ENDINGS, Listing, list_images, open_image, read_each, tell_others, visible
from lib.progress import bar
from lib.shifts.corruptions import CORRUPTIONS, EVERY, EXTRA, PROTOCOL, SEVERITIES, SMALLEST, corrupted_alike

SETTINGS = "settings.json"
JPEG_QUALITY = 85  # ImageNet-C's, with optimised tables
BATCH = 32  # images of a folder that are in memory at once


def export_arrays(
    images: Tensor,
    labels: Tensor,
    out: Path,
    corruptions: Sequence[str] = CORRUPTIONS + EXTRA,
    about: str = "",
    progress: bool = True,
) -> None:
    """CIFAR-10-C's layout: NAME.npy uint8 (5 N, S, S, 3), severity 1 first, and labels.npy (5 N,), which repeats.

    `images` are uint8 (N, 3, S, S), `labels` int64 (N,). `about` says which set this is; a second call for the same
    folder must say the same, of the same images.
    """
    chosen = _checked(corruptions)
    _check_arrays(images, labels)
    checksum = _checksum([images.cpu().contiguous().numpy().tobytes(), labels.cpu().numpy().tobytes()])
    settings = {"layout": "arrays", "source": about, "images": len(images), "side": images.shape[-1]}
    _begin(out, settings | {"checksum": checksum})
    files.write(out / "labels.npy", lambda file: np.save(file, np.tile(labels.cpu().numpy(), len(SEVERITIES))))
    missing = [name for name in chosen if not (out / f"{name}.npy").exists()]
    with bar(progress, total=len(missing) * len(SEVERITIES), unit="severity") as shown:
        for name in missing:
            shown.set_description(name)
            parts = []
            for severity in SEVERITIES:
                parts.append(corrupted_alike(images, name, severity).permute(0, 2, 3, 1).cpu().numpy())
                shown.update()
            whole = np.concatenate(parts)
            files.write(out / f"{name}.npy", lambda file, whole=whole: np.save(file, whole))


def export_folders(
    folder: Path, out: Path, side: int = 224, corruptions: Sequence[str] = CORRUPTIONS + EXTRA, progress: bool = True
) -> None:
    """ImageNet-C's layout: NAME/SEVERITY/CLASS/IMAGE.JPEG for every image CLASS/IMAGE of a folder.

    As the authors did: short side to 256/224 of `side` (bilinear), the central square of `side` pixels, the
    corruption, JPEG of quality 85. Images keep their names except for the ending; where two of a class would have one
    name, they keep their endings, too: a.png.JPEG and a.jpg.JPEG. Which files are images, and which of them may be
    left out, is decided by `lib.images.reading`; what is left out is named on stderr.
    """
    chosen = _checked(corruptions)
    if type(side) is not int or side < SMALLEST:
        raise BadInput(f"the side of the written images is a whole number of at least {SMALLEST} px, not {side!r}")
    if out.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"{out} is inside {folder}, whose folders are classes; name a folder outside")
    listing = list_images(folder)
    sources = sum(listing.images.values(), [])
    if not sources:
        raise BadInput(f"{folder} has no images in folders of classes; allowed: {', '.join(ENDINGS)}")
    digests, places = read_each(sources, _digest, str(folder))  # what cannot be opened is known before anything begins
    sources = [sources[place] for place in places]
    names = _target_names(sources)
    named = [f"{path.parent.name}/{path.name} {one}" for path, one in zip(sources, digests, strict=True)]
    checksum = _checksum([line.encode("utf-8", "surrogateescape") for line in named])
    settings = {"layout": "folders", "source": folder.resolve().name, "images": len(sources), "side": side}
    _begin(out, settings | {"checksum": checksum})
    _tell_left_out(folder, listing)
    with bar(progress, total=len(sources), unit="image") as shown:
        for first in range(0, len(sources), BATCH):
            part = slice(first, first + BATCH)
            _export_batch(sources[part], names[part], first, out, side, chosen)
            shown.update(len(sources[part]))


def _digest(path: Path) -> str:
    """The checksum of a file that holds an image."""
    open_image(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _checksum(parts: Sequence[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()


def _target_names(sources: list[Path]) -> list[str]:
    """CLASS/STEM of each file, or CLASS/NAME of those that share it, also where capitals are not told apart."""
    names = [f"{path.parent.name}/{path.stem}" for path in sources]
    while True:
        counts = collections.Counter(name.casefold() for name in names)
        whole = [f"{path.parent.name}/{path.name}" for path in sources]
        longer = [full if counts[name.casefold()] > 1 else name for name, full in zip(names, whole, strict=True)]
        if longer == names:
            return names
        names = longer


def _tell_left_out(folder: Path, listing: Listing) -> None:
    """What lies in the folder and is no image in a folder of a class."""
    tell_others(listing.others, str(folder))
    loose = [path.name for path in visible(folder) if path.is_file()]
    empty = [name for name, images in listing.images.items() if not images]
    for words, found in (("files outside the folders of classes", loose), ("folders without images", empty)):
        if found:
            some = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            print(f"{folder}: {len(found):,} {words} left out: {some}", file=sys.stderr)


def _export_batch(
    sources: list[Path], names: list[str], first: int, out: Path, side: int, corruptions: Sequence[str]
) -> None:
    """What is missing of some images, which are those from place `first` of their folder on."""
    images = None
    for corruption in corruptions:
        for severity in SEVERITIES:
            places = [out / corruption / str(severity) / f"{name}.JPEG" for name in names]
            if all(place.exists() for place in places):
                continue
            if images is None:
                images = torch.stack([_square(path, side) for path in sources])
            for place, image in zip(places, corrupted_alike(images, corruption, severity, first=first), strict=True):
                jpeg = _jpeg(image)
                files.write(place, lambda file, jpeg=jpeg: file.write(jpeg), sync=False)


def _checked(corruptions: Sequence[str]) -> tuple[str, ...]:
    if isinstance(corruptions, str) or not corruptions:
        raise BadInput(f"corruptions are a list of one or more of {', '.join(EVERY)}, not {corruptions!r}")
    return tuple(dict.fromkeys(one_of(name, EVERY, "corruption") for name in corruptions))


def _check_arrays(images: Tensor, labels: Tensor) -> None:
    if not len(images):
        raise BadInput("there are no images to corrupt; give one or more")
    corrupted_alike(images[:1], "brightness", 1)  # refuses another type or shape
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64 or labels.shape != (len(images),):
        found = f"{labels.dtype} {tuple(labels.shape)}" if isinstance(labels, Tensor) else type(labels).__name__
        raise BadInput(f"labels are int64 of shape ({len(images)},), one for each image, not {found}")


def _begin(out: Path, settings: dict) -> None:
    """Note the settings of a new folder; refuse one that was begun with others, or that this module did not begin."""
    settings = settings | {"protocol": PROTOCOL}
    path = out / SETTINGS
    if not path.exists():
        if out.exists() and not out.is_dir():
            raise BadInput(f"{out} is no folder; name another")
        if out.exists() and (there := visible(out)):
            raise BadInput(
                f"{out} holds {there[0].name} and no {SETTINGS}, so that it was not begun by this command; name an "
                "empty or a new folder"
            )
        files.write_text(path, json.dumps(settings, indent=1) + "\n")
        return
    try:
        earlier = json.loads(path.read_text())
    except ValueError as error:
        raise BadInput(f"{path} is damaged ({error}); delete {out} to write it anew") from error
    if earlier != settings:
        changed = [name for name in settings if not isinstance(earlier, dict) or earlier.get(name) != settings[name]]
        more = ", and the images are not those of then" if changed == ["checksum"] else ""
        raise BadInput(f"{out} was begun with {earlier}, not with {settings}{more}; name another folder")


def _square(path: Path, side: int) -> Tensor:
    """An image as uint8 (3, side, side), as ImageNet-C was prepared."""
    image = open_image(path)
    short = min(image.size)
    goal = round(side * 256 / 224)
    width, height = (max(side, int(goal * length / short)) for length in image.size)
    left, top = round((width - side) / 2), round((height - side) / 2)
    image = image.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def _jpeg(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.shifts.export", description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a data set's name, or a folder of images in folders of classes")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--corruptions", help='a list such as \'["fog", "snow"]\'; all 19 by default')
    parser.add_argument("--count", type=int, help="of a data set: its first so many test images")
    parser.add_argument("--side", type=int, help="of a folder: the side of the written images, 224 by default")
    arguments = parser.parse_args()
    try:
        _export(arguments)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _export(arguments: argparse.Namespace) -> None:
    chosen, source = _chosen(arguments.corruptions), arguments.source
    folder, known = Path(source), names()
    if folder.is_dir() and source in known:
        raise BadInput(f"{source} is a data set and a folder here; write ./{source} for the folder, or work elsewhere")
    if folder.is_dir():
        if arguments.count is not None:
            raise BadInput("--count is for a data set; of a folder all images are written")
        export_folders(folder, arguments.out, 224 if arguments.side is None else arguments.side, chosen)
        return
    one_of(source, known, "data set (or folder)")
    if arguments.side is not None:
        raise BadInput(f"--side is for a folder; the images of {source} keep their size")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    test = load(source, "test", arguments.count, device)
    export_arrays(test.images, test.labels, arguments.out, chosen, f"{test.source}, {test.checksum[:12]}")


def _chosen(text: str | None) -> tuple[str, ...]:
    if text is None:
        return CORRUPTIONS + EXTRA
    try:
        chosen = json.loads(text)
    except ValueError:
        chosen = None
    if not isinstance(chosen, list) or not chosen:
        raise BadInput(f'corruptions are a list such as \'["fog", "snow"]\', not {text!r}')
    return tuple(one_of(name, EVERY, "corruption") for name in chosen)


if __name__ == "__main__":
    sys.exit(main())
