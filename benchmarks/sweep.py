"""One sweep of ResNet-50 over all corruptions and severities at 224 px, and how much of its time is the network's own.

    python -m benchmarks.sweep                                       # a few images, minutes on one core
    python -m benchmarks.sweep --images 1000 --photographs FOLDER

Ours corrupts a batch and hands it to the network, one corruption and severity after the other; nothing is written to
disk. The usual pipeline beside it is a DataLoader over single images that pass through imagecorruptions, and the same
network with the same weights, on fewer images where so much is not to be waited for. Both have one thread, and no
worker beside it: times are processor time, which workers would hide. They are per image and cell (one corruption at one
severity). The network's weights are random, which takes the same time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks import imagecorruptions_adapter, report
from benchmarks.corruptions import photographs
from benchmarks.views import smooth_images
from lib.measures.features import extract
from lib.memory import peak_memory, reset_peak_memory
from lib.models import build_encoder
from lib.shifts.corruptions import CORRUPTIONS, SEVERITIES, corrupt

SIDE = 224
BATCH = 16


class Spent(NamedTuple):
    """Processor seconds, and the features (N, D) of every cell in the order of the sweep."""

    preparing: float
    network: float
    features: list[Tensor]

    @property
    def share(self) -> float:
        """Of the network in all, 0..1."""
        return self.network / (self.preparing + self.network)


def ours(encoder: nn.Module, images: Tensor, names: Sequence[str], severities: Sequence[int]) -> Spent:
    """uint8 `images` (N, 3, H, H), a batch at a time."""

    def prepared() -> Iterator[Tensor]:
        for name in names:
            for severity in severities:
                generator = torch.Generator().manual_seed(0)
                for batch in images.split(BATCH):
                    yield corrupt(batch, name, severity, generator=generator)

    return _timed(encoder, prepared(), len(images))


class Corrupted(Dataset):
    """What users of imagecorruptions put into a DataLoader: float images (3, H, H) in 0..1."""

    def __init__(self, images: Tensor, name: str, severity: int) -> None:
        self.images = images.permute(0, 2, 3, 1).contiguous().numpy()
        self.name, self.severity = name, severity

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        image = imagecorruptions_adapter.corrupt(self.images[index], self.name, self.severity)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float().div_(255)


def usual(encoder: nn.Module, images: Tensor, names: Sequence[str], severities: Sequence[int]) -> Spent:
    """The same of single images, by imagecorruptions."""
    cells = (Corrupted(images, name, severity) for name in names for severity in severities)
    return _timed(encoder, (batch for cell in cells for batch in DataLoader(cell, BATCH)), len(images))


def _timed(encoder: nn.Module, batches: Iterator[Tensor], images: int) -> Spent:
    """Runs `batches`, no one of which has images of two cells of `images` each, through the encoder."""
    preparing = network = 0.0
    features = []
    start = time.process_time()
    for batch in batches:
        between = time.process_time()
        features.append(extract(encoder, batch))
        end = time.process_time()
        preparing, network, start = preparing + between - start, network + end - between, end
    return Spent(preparing, network, list(torch.cat(features).split(images)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8, help="of our sweep")
    parser.add_argument("--peer-images", type=int, default=1, help="of the usual pipeline's")
    parser.add_argument("--names", nargs="+", default=CORRUPTIONS, choices=CORRUPTIONS, metavar="NAME")
    parser.add_argument("--severities", nargs="+", type=int, default=SEVERITIES, choices=SEVERITIES)
    parser.add_argument("--photographs", type=Path, help="a folder of image files; smooth random images without")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    count = max(options.images, options.peer_images)
    folder = options.photographs
    images = photographs(folder, count, SIDE) if folder else smooth_images(count, SIDE)
    encoder = build_encoder("resnet50_224")
    extract(encoder, images[:1])  # what is set up at the first image

    cells = len(options.names) * len(options.severities)
    found = {}
    for name, sweep, amount in (("ours", ours, options.images), ("usual", usual, options.peer_images)):
        reset_peak_memory(torch.device("cpu"))
        spent = sweep(encoder, images[:amount], options.names, options.severities)
        peak = peak_memory(torch.device("cpu"))
        each = [1000 * seconds / (amount * cells) for seconds in (spent.preparing, spent.network)]
        found[name] = sum(each)
        print(
            f"{name:6} {amount} images x {cells} cells: {each[0]:8.1f} ms to prepare an image, {each[1]:8.1f} ms in "
            f"the network, whose share is {100 * spent.share:.1f} %; {peak:.0f} MiB at most",
            flush=True,
        )
        if name == "ours":
            share, memory = spent.share, peak
    report(
        {"ours": round(found["ours"], 1), "peer": round(found["usual"], 1), "unit": "ms an image and cell"}
        | {"ratio": round(found["usual"] / found["ours"], 2), "network share": round(share, 3)}
        | {"peak MiB": round(memory)}
    )


if __name__ == "__main__":
    main()
