"""Encoders: images in, one feature vector an image out."""

from __future__ import annotations

from lib.errors import one_of
from lib.models.resnet import ResNet

# name: (blocks in each stage, width of the first stage, stride of the stem)
ENCODERS = {
    "resnet10_narrow": ((1, 1, 1, 1), 16, 2),  # 128 features, for minutes in class
    "resnet10": ((1, 1, 1, 1), 32, 2),  # 256 features; the stem's stride pays for the width on a CPU
    "resnet18": ((2, 2, 2, 2), 64, 1),  # 512 features; the field's encoder at 32 px
}


def build_encoder(name: str) -> ResNet:
    """A fresh encoder of `ENCODERS`; its random weights come from torch's global generator."""
    return ResNet(*ENCODERS[one_of(name, ENCODERS, "encoder")])


__all__ = ["ENCODERS", "ResNet", "build_encoder"]
