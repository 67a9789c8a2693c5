"""Encoders: images in, one feature vector an image out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lib.errors import one_of
from lib.models.checkpoints import LAYOUTS, Report, load_checkpoint
from lib.models.encoder import Encoder
from lib.models.fused import Fused
from lib.models.imagenet import ImageNetEncoder, residual_network, vision_transformer
from lib.models.patches import WhitenedPatches
from lib.models.resnet import Bottleneck, ResNet
from lib.models.vit import VisionTransformer

# How each is built. A ResNet takes the blocks in each stage and the width of the first stage.
ENCODERS: dict[str, Callable[[], Encoder]] = {
    "resnet10_narrow": partial(ResNet, (1, 1, 1, 1), 16, stem_stride=2),  # 128 features, for minutes in class
    "resnet10": partial(ResNet, (1, 1, 1, 1), 32, stem_stride=2),  # 256; the stem's stride pays for the width on a CPU
    "resnet10_wide": partial(ResNet, (1, 1, 1, 1), 32, stem_stride=2, last=768),  # as many as three resnet10
    "resnet18": partial(ResNet, (2, 2, 2, 2), 64),  # 512; the field's encoder at 32 px
    "resnet18_wide": partial(ResNet, (2, 2, 2, 2), 64, last=1536),  # as many as three resnet18
    "resnet50": partial(ResNet, (3, 4, 6, 3), 64, block=Bottleneck),  # 2048
    "vit_narrow_patch4": partial(VisionTransformer, width=96, depth=4),  # 96; 2.5 times the time of resnet10 on a CPU
    "vit_tiny_patch4": VisionTransformer,  # 192; for questions of convolution or attention
    "whitened_patches": WhitenedPatches,  # 1024; fitted in closed form, without weights to train
    # solo-learn pads the stem by 2 pixels where the field pads by 1: same weights, other features.
    "resnet18_solo_learn": partial(ResNet, (2, 2, 2, 2), 64, stem_padding=2),
    "resnet50_solo_learn": partial(ResNet, (3, 4, 6, 3), 64, stem_padding=2, block=Bottleneck),
    "resnet18_224": partial(residual_network, "resnet18"),  # 512
    "resnet50_224": partial(residual_network, "resnet50"),  # 2048
    "vit_small_patch16_224": partial(vision_transformer, width=384, heads=6),  # DINO's
    "vit_small_patch16_224_moco_v3": partial(vision_transformer, width=384, heads=12),  # same weights, other features
    "vit_base_patch16_224": partial(vision_transformer, width=768, heads=12),
}


def build_encoder(name: str) -> Encoder:
    """A fresh encoder of `ENCODERS`; its random weights come from torch's global generator."""
    return ENCODERS[one_of(name, ENCODERS, "encoder")]()


__all__ = [
    "ENCODERS",
    "LAYOUTS",
    "Encoder",
    "Fused",
    "ImageNetEncoder",
    "Report",
    "ResNet",
    "VisionTransformer",
    "WhitenedPatches",
    "build_encoder",
    "load_checkpoint",
]
