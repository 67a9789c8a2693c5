"""Residual networks for small images (He et al., arXiv 1512.03385, with the CIFAR stem of SimCLR).

A 3x3 stem of stride 1 without pooling, four stages of blocks, and global average pooling.
The table in `lib.models` names the sizes.
"""

from __future__ import annotations

from itertools import islice

from torch import Tensor, nn
from torch.nn import functional as F

from lib.models.encoder import Encoder


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut: (N, C, H, W) -> (N, channels, H / stride, W / stride)."""

    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = _shortcut(channels_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))


class Bottleneck(nn.Module):
    """A 3x3 convolution between two of 1x1: (N, C, H, W) -> (N, 4 channels, H / stride, W / stride).

    The stride is the 3x3 convolution's, as in torchvision; the paper gives it to the first.
    """

    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, 4 * channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * channels)
        self.shortcut = _shortcut(channels_in, 4 * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = F.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return F.relu(out + self.shortcut(x))


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    """The identity, or a 1x1 convolution where the shape changes."""
    if stride == 1 and channels_in == channels_out:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out))


class ResNet(Encoder):
    """`blocks` in each stage; the first is `width` channels wide, each further one twice as wide and half the side.

    `last` is another width for the last stage, whose channels, times the block's expansion, are the features.
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        width: int,
        stem_stride: int = 1,
        stem_padding: int = 1,
        block: type[BasicBlock | Bottleneck] = BasicBlock,
        last: int | None = None,
    ) -> None:
        super().__init__()
        self.blocks = blocks
        self.stem = nn.Conv2d(3, width, 3, stem_stride, stem_padding, bias=False)
        self.bn = nn.BatchNorm2d(width)
        stages, channels_in = [], width
        widths = [width * 2**stage for stage in range(len(blocks))]
        for stage, (depth, channels) in enumerate(zip(blocks, [*widths[:-1], last or widths[-1]], strict=True)):
            for place in range(depth):
                stages.append(block(channels_in, channels, stride=2 if stage > 0 and place == 0 else 1))
                channels_in = channels * block.expansion
        self.stages = nn.Sequential(*stages)
        self.features = channels_in
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.stem(self.normalised(x))))
        return self.stages(x).mean(dim=(2, 3))

    def maps(self, x: Tensor) -> list[Tensor]:
        """The maps (N, C, h, w) behind each stage; the mean of the last over its positions is the feature."""
        x = F.relu(self.bn(self.stem(self.normalised(x))))
        blocks, maps = iter(self.stages), []
        for depth in self.blocks:
            for block in islice(blocks, depth):
                x = block(x)
            maps.append(x)
        return maps
