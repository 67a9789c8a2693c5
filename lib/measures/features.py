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
        batch_size = at_once(encoder, images.device)
    features = []
    with autocast(images.device, precision), exact_float32():
        for batch in images.split(whole(batch_size, "batch_size")):
            pixels = batch.float() if batch.is_floating_point() else batch.float().div_(255)
            features.append(encoder(pixels).float())
    return torch.cat(features) if features else torch.empty(0, encoder.features, device=images.device)


def at_once(encoder: nn.Module, device: torch.device) -> int:
    """How many images an encoder takes at once: its own `at_once`, where it says so, else as many as a CPU's cache
    holds the activations of, or as keep a GPU busy."""
    own = getattr(encoder, "at_once", None)
    return own if isinstance(own, int) else 128 if device.type == "cpu" else 512
