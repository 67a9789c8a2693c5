"""Frozen features: what every probe reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lib.precision import autocast


@torch.inference_mode()
def extract(encoder: nn.Module, images: Tensor, precision: str = "fp32", batch_size: int = 512) -> Tensor:
    """Features of uint8 `images` (N, 3, H, W): float32 (N, encoder.features), on the images' device."""
    encoder.eval()
    features = []
    with autocast(images.device, precision):
        for batch in images.split(batch_size):
            features.append(encoder(batch.float().div_(255)).float())
    return torch.cat(features) if features else torch.empty(0, encoder.features, device=images.device)
