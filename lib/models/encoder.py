"""What every encoder shares: it normalises its own input, and says how many features it gives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lib.errors import BadInput
from lib.inputs import check_images

# Mean and standard deviation per channel of pixels in [0, 1], as the field writes them.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10 = ((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261))
UNKNOWN = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))  # until `normalise_by` has seen the training images


def moments(images: Tensor) -> dict[str, Tensor]:
    """ "mean" and "std", float64 (3,), of each channel of uint8 images (N, 3, H, W) scaled to [0, 1]."""
    total = square = torch.zeros(3, dtype=torch.float64, device=images.device)
    height, width = images.shape[2:]
    for chunk in images.split(1024 if height * width <= 96 * 96 else 128):  # the set as one float tensor would be large
        pixels = chunk.double().div(255)
        total, square = total + pixels.sum(dim=(0, 2, 3)), square + pixels.square().sum(dim=(0, 2, 3))
    count = len(images) * height * width
    mean = total / count
    return {"mean": mean, "std": (square / count - mean.square()).clamp(min=0).sqrt()}


class Encoder(nn.Module):
    """Images in [0, 1], (N, 3, H, W) -> features (N, `features`).

    Normalisation is the encoder's first step and travels with its weights, so that no evaluation
    can forget it: a network fed unnormalised pixels sees an image of a fifth of the contrast.
    """

    features: int
    transformer: bool = False  # some methods have other heads for one

    def __init__(self, mean: Sequence[float] = UNKNOWN[0], std: Sequence[float] = UNKNOWN[1]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean)[:, None, None])
        self.register_buffer("std", torch.tensor(std)[:, None, None])

    def normalise_by(self, images: Tensor) -> None:
        """Take mean and standard deviation per channel from uint8 `images` (N, 3, H, W).

        Raises BadInput for other images, and where all values of a channel are equal, which no scale makes vary.
        """
        check_images(images, "normalise_by", some=True)
        found = moments(images) if isinstance(images, Tensor) else images.once("moments", lambda: moments(images))
        mean, std = found["mean"], found["std"]
        if not (std > 1e-6).all():
            raise BadInput("normalise_by takes images that vary, and in one channel all their values are equal")
        self.mean.copy_(mean[:, None, None])
        self.std.copy_(std[:, None, None])

    def normalised(self, x: Tensor) -> Tensor:
        """Pixels in [0, 1] -> mean 0 and standard deviation 1, in the memory format that convolutions are fast in."""
        return ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Where things are: the feature maps (N, C, h, w) behind each stage, the last one's last, for dense tasks.

        Raises BadInput for an encoder that has none.
        """
        raise BadInput(f"{type(self).__name__} has no feature maps; take one of the ResNets of lib.models")
