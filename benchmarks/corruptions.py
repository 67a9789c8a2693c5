"""Our corruptions against imagecorruptions 1.1.2, which takes one image at a time.

`python -m benchmarks.corruptions`: all 19 at severity 3 on 1,000 images of 32 px, with the constants of
ImageNet-C on both sides since imagecorruptions has no others, and one thread each since it has no
more. The images are CIFAR-10's if WITHSTAND_DATA names a folder with cifar10.npz, smooth random ones
otherwise.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks import compare, imagecorruptions_adapter, report
from benchmarks.views import smooth_images
from lib import paths
from lib.shifts.corruptions import CORRUPTIONS, EXTRA, corrupt

OURS, PEERS, SEVERITY = 1000, 8, 3


def real_or_smooth(count: int) -> torch.Tensor:
    """uint8 (count, 3, 32, 32)."""
    folder = paths.data()
    if folder and (folder / "cifar10.npz").is_file():
        return torch.from_numpy(np.load(folder / "cifar10.npz")["images"][:count]).permute(0, 3, 1, 2).contiguous()
    return smooth_images(count)


def main() -> None:
    torch.set_num_threads(1)
    images = real_or_smooth(OURS)
    singles = images[:PEERS].permute(0, 2, 3, 1).contiguous().numpy()
    ours_time = peer_time = 0.0
    for name in CORRUPTIONS + EXTRA:
        result = compare(
            lambda name=name: corrupt(images, name, SEVERITY, "imagenet"),
            lambda name=name: [imagecorruptions_adapter.corrupt(image, name, SEVERITY) for image in singles],
            OURS,
            PEERS,
            "images/s",
        )
        print(f"{name:18} {result['ours']:10.0f} {result['peer']:8.0f} images/s {result['ratio']:9.2f}x", flush=True)
        ours_time += 1 / result["ours"]
        peer_time += 1 / result["peer"]
    # The whole set: how many images per second pass all 19, one after the other.
    report(
        {
            "ours": round(1 / ours_time, 1),
            "peer": round(1 / peer_time, 1),
            "ratio": round(peer_time / ours_time, 2),
            "unit": "images/s through all 19",
        }
    )


if __name__ == "__main__":
    main()
