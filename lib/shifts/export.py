"""Write whole corrupted test sets in the layouts in which they are published.

python -m lib.shifts.export cifar10 OUT              # as CIFAR-10-C: OUT/fog.npy (5 N, 32, 32, 3), OUT/labels.npy
python -m lib.shifts.export PICTURES OUT --side 224  # as ImageNet-C: OUT/fog/3/CLASS/NAME.JPEG, from PICTURES/CLASS/*

Pictures are those that every measure of this project sees. What is complete stays: a call that was cut off goes on
where it stopped, and a folder that was begun with other settings is refused.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from lib import files
from lib.errors import BadInput, one_of
from lib.images import load, names
from lib.images.reading import ENDINGS, list_images, open_image
from lib.shifts.corruptions import CORRUPTIONS, EVERY, EXTRA, PROTOCOL, SEVERITIES, corrupted_alike

SETTINGS = "settings.json"
JPEG_QUALITY = 85  # ImageNet-C's, with optimised tables
BATCH = 32  # pictures of a folder that are in memory at once


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
    folder must say the same.
    """
    _begin(out, {"layout": "arrays", "source": about, "images": len(images), "side": images.shape[-1]})
    files.write(out / "labels.npy", lambda file: np.save(file, np.tile(labels.cpu().numpy(), len(SEVERITIES))))
    missing = [name for name in corruptions if not (out / f"{one_of(name, EVERY, 'corruption')}.npy").exists()]
    with tqdm(total=len(missing) * len(SEVERITIES), unit="severity", disable=not progress) as bar:
        for name in missing:
            bar.set_description(name)
            parts = []
            for severity in SEVERITIES:
                parts.append(corrupted_alike(images, name, severity).permute(0, 2, 3, 1).cpu().numpy())
                bar.update()
            whole = np.concatenate(parts)
            files.write(out / f"{name}.npy", lambda file, whole=whole: np.save(file, whole))


def export_folders(
    pictures: Path, out: Path, side: int = 224, corruptions: Sequence[str] = CORRUPTIONS + EXTRA, progress: bool = True
) -> None:
    """ImageNet-C's layout: NAME/SEVERITY/CLASS/PICTURE.JPEG for every picture CLASS/PICTURE of a folder.

    As the authors did: short side to 256/224 of `side` (bilinear), the central square of `side` pixels, the
    corruption, JPEG of quality 85. Pictures keep their names but for the ending.
    """
    sources = sum(list_images(pictures).images.values(), [])
    if not sources:
        raise BadInput(f"{pictures} has no pictures in folders of classes; allowed: {', '.join(ENDINGS)}")
    _begin(out, {"layout": "folders", "source": pictures.name, "images": len(sources), "side": side})
    for name in corruptions:
        one_of(name, EVERY, "corruption")
    with tqdm(total=len(sources), unit="picture", disable=not progress) as bar:
        for first in range(0, len(sources), BATCH):
            _export_batch(sources[first : first + BATCH], first, out, side, corruptions)
            bar.update(min(BATCH, len(sources) - first))


def _export_batch(sources: list[Path], first: int, out: Path, side: int, corruptions: Sequence[str]) -> None:
    """What is missing of some pictures, which are those from place `first` of their folder on."""
    images = None
    for name in corruptions:
        for severity in SEVERITIES:
            places = [out / name / str(severity) / path.parent.name / f"{path.stem}.JPEG" for path in sources]
            if all(place.exists() for place in places):
                continue
            if images is None:
                images = torch.stack([_square(path, side) for path in sources])
            for place, image in zip(places, corrupted_alike(images, name, severity, first=first), strict=True):
                jpeg = _jpeg(image)
                files.write(place, lambda file, jpeg=jpeg: file.write(jpeg), sync=False)


def _begin(out: Path, settings: dict) -> None:
    """Note the settings of a new folder; refuse one that was begun with others."""
    settings = settings | {"protocol": PROTOCOL}
    path = out / SETTINGS
    if not path.exists():
        files.write_text(path, json.dumps(settings, indent=1) + "\n")
        return
    try:
        earlier = json.loads(path.read_text())
    except ValueError as error:
        raise BadInput(f"{path} is damaged ({error}); delete {out} to write it anew") from error
    if earlier != settings:
        raise BadInput(f"{out} was begun with {earlier}, not with {settings}; name another folder")


def _square(path: Path, side: int) -> Tensor:
    """An image as uint8 (3, side, side), as ImageNet-C was prepared."""
    picture = open_image(path)
    short = min(picture.size)
    goal = round(side * 256 / 224)
    width, height = (max(side, int(goal * length / short)) for length in picture.size)
    left, top = round((width - side) / 2), round((height - side) / 2)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def _jpeg(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).cpu().numpy()).save(buffer, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return buffer.getvalue()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.shifts.export", description=__doc__.splitlines()[0])
    parser.add_argument("source", help="a data set's name, or a folder of pictures in folders of classes")
    parser.add_argument("out", type=Path, help="the folder to write")
    parser.add_argument("--corruptions", help='a list such as \'["fog", "snow"]\'; all 19 by default')
    parser.add_argument("--count", type=int, help="of a data set: its first so many test images")
    parser.add_argument("--side", type=int, default=224, help="of a folder: the side of the written pictures")
    arguments = parser.parse_args()
    try:
        chosen = _chosen(arguments.corruptions)
        if Path(arguments.source).is_dir():
            export_folders(Path(arguments.source), arguments.out, arguments.side, chosen)
        else:
            known = names()
            one_of(arguments.source, known, "data set (or folder)")
            device = "cuda" if torch.cuda.is_available() else "cpu"
            test = load(arguments.source, "test", arguments.count, device)
            about = f"{test.source}, {test.checksum[:12]}"
            export_arrays(test.images, test.labels, arguments.out, chosen, about)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


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
