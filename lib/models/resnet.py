"""Residual networks for small images (He et al., arXiv 1512.03385, with the CIFAR stem of SimCLR).

A 3x3 stem of stride 1 without pooling, four stages of basic blocks, and global average pooling.
The table in `lib.models` names the sizes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: (N, C, H, W) -> (N, channels, H / stride, W / stride)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


class ResNet(nn.Module):
    """Images in [0, 1], (N, 3, H, W) -> features (N, `features`).

    Normalisation is the encoder's first step and travels with its weights, so that no evaluation
    can forget it: a network fed unnormalised pixels sees a picture of a fifth of the contrast.
    """

    def __init__(self, blocks: tuple[int, ...], width: int, stem_stride: int = 1) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((3, 1, 1), 0.5))
        self.register_buffer("std", torch.full((3, 1, 1), 0.25))
        self.stem = nn.Conv2d(3, width, 3, stem_stride, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        stages, channels_in = [], width
        for stage, depth in enumerate(blocks):
            channels = width * 2**stage
            for block in range(depth):
                stages.append(BasicBlock(channels_in, channels, stride=2 if stage > 0 and block == 0 else 1))
                channels_in = channels
        self.stages = nn.Sequential(*stages)
        self.features = channels_in
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def normalise_by(self, images: Tensor) -> None:
        """Take mean and standard deviation per channel from uint8 `images` (N, 3, H, W)."""
        total = square = 0.0
        for chunk in images.split(1024):  # the set as one float tensor would be large
            pixels = chunk.double().div(255)
            total, square = total + pixels.sum(dim=(0, 2, 3)), square + pixels.square().sum(dim=(0, 2, 3))
        count = images.numel() / 3
        mean = total / count
        self.mean.copy_(mean[:, None, None])
        self.std.copy_((square / count - mean.square()).sqrt()[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        x = F.relu(self.bn(self.stem(x)))
        return self.stages(x).mean(dim=(2, 3))
