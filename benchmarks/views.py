"""Views per second: SimCLR's recipe at 32 px with blur, against lightly with one worker per core.

python -m benchmarks.views
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch
from lightly.transforms import SimCLRTransform
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import to_pil_image

from benchmarks import compare, report
from lib.images import Split
from lib.views import View, make_view

IMAGES = 4096
BATCH = 512
SIMCLR_WITH_BLUR = View(brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2, blur=0.5)  # lightly's defaults


class Pictures(Dataset):
    """PIL images behind lightly's transform: what its users put into a DataLoader."""

    def __init__(self, images: torch.Tensor, transform: Callable) -> None:
        self.images = [to_pil_image(image) for image in images]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> list[torch.Tensor]:
        return self.transform(self.images[index])


def smooth_images(count: int, side: int = 32) -> torch.Tensor:
    """uint8 (count, 3, side, side) of smooth colours: crops and blurs meet what they meet in photographs."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 255
    return torch.nn.functional.interpolate(coarse, side, mode="bicubic").clamp(0, 255).byte()


def smooth_data(count: int, device: torch.device) -> Split:
    """Smooth images with labels of ten classes, to train on."""
    labels = torch.arange(count, device=device) % 10
    return Split(smooth_images(count).to(device), labels, tuple("0123456789"), "", "smooth colours")


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    images = smooth_images(IMAGES)
    loader = DataLoader(
        Pictures(images, SimCLRTransform(input_size=32)),
        BATCH,
        num_workers=os.cpu_count() or 1,
        persistent_workers=True,
    )

    def ours() -> None:
        for batch in images.split(BATCH):
            make_view(batch, SIMCLR_WITH_BLUR, generator), make_view(batch, SIMCLR_WITH_BLUR, generator)

    def peer() -> None:
        for _ in loader:
            pass

    print(f"{torch.get_num_threads()} threads against {loader.num_workers} workers, {IMAGES} images, two views each")
    report(compare(ours, peer, 2 * IMAGES, 2 * IMAGES, "views per second"))


if __name__ == "__main__":
    main()
