"""Losses are computed in float32, also where the encoder runs in bfloat16."""

from __future__ import annotations

import torch
from torch import Tensor


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the device of `like`: eight bits of mantissa are too few for a loss."""
    return torch.autocast(like.device.type, enabled=False)
