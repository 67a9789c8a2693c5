"""Frozen features: what every probe reads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lib.inputs import check_images, whole
from lib.precision import autocast, exact_float32, own_precision


@own_precision
@torch.inference_mode()
def extract(encoder: nn.Module, images: Tensor, precision: str = "fp32", batch_size: int | None = None) -> Tensor:
    """Features of `images` (N, 3, H, W), uint8 or float in [0, 1]: float32 (N, encoder.features), on their device.

    Raises BadInput for other images.
    """
    check_images(images, "extract", floats=True)
    encoder.eval()
    if batch_size is None:
        batch_size = 128 if images.device.type == "cpu" else 512  # a CPU's cache holds so many activations
    features = []
    with autocast(images.device, precision), exact_float32():
        for batch in images.split(whole(batch_size, "batch_size")):
            pixels = batch.float() if batch.is_floating_point() else batch.float().div_(255)
            features.append(encoder(pixels).float())
    return torch.cat(features) if features else torch.empty(0, encoder.features, device=images.device)
