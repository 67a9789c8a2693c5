"""Our corruptions against imagecorruptions 1.1.2, which takes one image at a time.

    python -m benchmarks.corruptions                                 # all 19 at severity 3, at 32 and 224 px
    python -m benchmarks.corruptions --names spatter fog --sides 224 --rounds 5
    python -m benchmarks.corruptions --photographs FOLDER            # real ones, of any size, at 224 px

Both sides have the constants of ImageNet-C, since imagecorruptions has no others, and one thread, since it has no more.
A time is processor time of this process, not time on the clock, so that whoever else uses the machine is not counted;
and the two sides take turns, so that a processor which changes its speed does so for both. Medians over the turns are
printed. Images of 32 px are CIFAR-10's if WITHSTAND_DATA names a folder with cifar10.npz, smooth random ones otherwise;
so are those of 224 px without photographs.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image, ImageOps

from benchmarks import imagecorruptions_adapter, processor_seconds, report
from benchmarks.views import smooth_images
from lib import paths
from lib.shifts.corruptions import CORRUPTIONS, EXTRA, SEVERITIES, corrupt

AMOUNT = {32: 1000, 224: 32}  # images of one turn of ours
PEERS = 8  # images of one turn of theirs, fewer where they take long
LONG = 1.0  # seconds


def real_or_smooth(count: int) -> torch.Tensor:
    """uint8 (count, 3, 32, 32)."""
    folder = paths.data()
    if folder and (folder / "cifar10.npz").is_file():
        return torch.from_numpy(np.load(folder / "cifar10.npz")["images"][:count]).permute(0, 3, 1, 2).contiguous()
    return smooth_images(count)


def photographs(folder: Path, count: int, side: int) -> torch.Tensor:
    """uint8 (count, 3, side, side): middle squares of as many image files below `folder`, from all over it."""
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not files:
        raise SystemExit(f"{folder} has no .jpg, .jpeg or .png in it")
    chosen = [files[place * len(files) // count] for place in range(count)]
    squares = [np.asarray(ImageOps.fit(Image.open(file).convert("RGB"), (side, side))) for file in chosen]
    return torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).contiguous()


def in_turns(ours: Callable[[], object], peer: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median processor seconds of one call of each, after one call of each that is not counted."""
    ours(), peer()
    turns = [(processor_seconds(ours), processor_seconds(peer)) for _ in range(rounds)]
    return statistics.median(turn[0] for turn in turns), statistics.median(turn[1] for turn in turns)


def milliseconds(images: torch.Tensor, name: str, severity: int, rounds: int) -> tuple[float, float]:
    """Of ours and of imagecorruptions, for one image."""
    singles = images[:PEERS].permute(0, 2, 3, 1).contiguous().numpy()
    once = processor_seconds(lambda: imagecorruptions_adapter.corrupt(singles[0], name, severity))
    singles = singles[: max(1, min(PEERS, int(LONG / once)))]
    ours, peer = in_turns(
        lambda: corrupt(images, name, severity, "imagenet"),
        lambda: [imagecorruptions_adapter.corrupt(image, name, severity) for image in singles],
        rounds,
    )
    return 1000 * ours / len(images), 1000 * peer / len(singles)


def main() -> None:
    every = CORRUPTIONS + EXTRA
    parser = argparse.ArgumentParser(prog="python -m benchmarks.corruptions", description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=list(AMOUNT), choices=AMOUNT, help="px")
    parser.add_argument("--names", nargs="+", default=every, choices=every, metavar="NAME")
    parser.add_argument("--severity", type=int, default=3, choices=SEVERITIES)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side")
    parser.add_argument("--images", type=int, help="images of one turn of ours")
    parser.add_argument("--photographs", type=Path, help="a folder of image files")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)

    images = {}
    for side in options.sides:
        count = options.images or AMOUNT[side]
        if side == 32:
            images[side] = real_or_smooth(count)
        else:
            images[side] = (
                photographs(options.photographs, count, side) if options.photographs else smooth_images(count, side)
            )
    print(
        " " * 18 + "".join(f"{f'{side} px: ours':>14} {'peer':>9} {'ratio':>8}" for side in images) + "   (ms an image)"
    )
    found: dict[int, list[tuple[float, float]]] = {side: [] for side in images}
    for name in options.names:
        line = f"{name:18}"
        for side, those in images.items():
            ours, peer = milliseconds(those, name, options.severity, options.rounds)
            found[side].append((ours, peer))
            line += f"{ours:14.3f} {peer:9.3f} {peer / ours:7.2f}x"
        print(line, flush=True)
    for side, pairs in found.items():
        ratios = [peer / ours for ours, peer in pairs]
        ours, peer = (sum(times) for times in zip(*pairs, strict=True))  # through all, one after the other
        at_least = {f"at least {least}": sum(ratio >= least for ratio in ratios) for least in (2, 4)}
        report(
            {"side": side, "ours": round(ours, 2), "peer": round(peer, 2), "ratio": round(peer / ours, 2)}
            | {"unit": f"ms an image through all {len(pairs)}", "least ratio": round(min(ratios), 2)}
            | at_least
        )


if __name__ == "__main__":
    main()
