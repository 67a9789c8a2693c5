"""The field's encoders at 224 px: torchvision's networks without their classifiers, with random weights.

`lib.models.load_checkpoint` gives them the weights of an outside checkpoint.
"""

from __future__ import annotations

from torch import Tensor, nn

from lib.errors import BadInput
from lib.models.encoder import IMAGENET, Encoder

SIDE = 224  # pixels


class ImageNetEncoder(Encoder):
    """A torchvision `network` with features where its classifier was; `side` where it takes one image size only."""

    def __init__(self, network: nn.Module, features: int, side: int | None = None) -> None:
        from torchvision import models

        super().__init__(*IMAGENET)
        self.network, self.features, self.side = network, features, side
        self.transformer = isinstance(network, models.VisionTransformer)
        self.residual = isinstance(network, models.ResNet)

    def forward(self, x: Tensor) -> Tensor:
        if self.side and x.shape[-2:] != (self.side, self.side):
            height, width = x.shape[-2:]
            raise BadInput(f"this transformer takes images of {self.side} x {self.side} pixels, not {height} x {width}")
        return self.network(self.normalised(x))

    def maps(self, x: Tensor) -> list[Tensor]:
        """The maps (N, C, h, w) behind the four stages of a ResNet; the mean of the last over its positions is the
        feature. Raises BadInput for a transformer."""
        network = self.network
        if not self.residual:
            raise BadInput("the feature of this transformer is a class token's, which has no place; take a ResNet")
        x = network.maxpool(network.relu(network.bn1(network.conv1(self.normalised(x)))))
        maps = []
        for stage in (network.layer1, network.layer2, network.layer3, network.layer4):
            x = stage(x)
            maps.append(x)
        return maps


def residual_network(name: str) -> ImageNetEncoder:
    """A ResNet of torchvision with its 7x7 stem and pooling, by the name of what builds it; takes any image size."""
    from torchvision import models

    network = models.get_model(name)
    features = network.fc.in_features
    network.fc = nn.Identity()
    return ImageNetEncoder(network, features)


def vision_transformer(width: int, heads: int, depth: int = 12) -> ImageNetEncoder:
    """A transformer on patches of 16 pixels; its features are the class token's (`width` of them).

    ViT-B has width 768 and 12 heads (arXiv 2010.11929, table 1), DINO's ViT-S has 384 and 6
    (arXiv 2104.14294, table 1). The MLP is four times as wide.
    """
    from torchvision import models

    network = models.VisionTransformer(SIDE, 16, depth, heads, width, 4 * width)
    network.heads = nn.Identity()
    return ImageNetEncoder(network, width, SIDE)
