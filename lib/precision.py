"""Which arithmetic: bfloat16 in the encoder where the device has it, float32 in every loss."""

from __future__ import annotations

import torch
from torch import Tensor

from lib.errors import one_of

PRECISIONS = ("auto", "bf16", "fp32")


def precision_on(device: torch.device, precision: str = "auto") -> str:
    """What `precision` is on `device`, "bf16" or "fp32"; "auto" is bf16 where the device multiplies in it.

    A processor with AVX2 alone, which emulates bfloat16, took five to twelve times as long with it as with float32.
    ARM processors have not been measured: they compute in float32.
    """
    if one_of(precision, PRECISIONS, "precision") != "auto":
        return precision
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        parts = torch.cpu.get_capabilities()
        fast = parts.get("amx_bf16", False) or parts.get("avx512_bf16", False)
    return "bf16" if fast else "fp32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """A context in which convolutions and matrix products run in `precision` on `device`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision_on(device, precision) == "bf16")


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the device of `like`: eight bits of mantissa are too few for a loss."""
    return torch.autocast(like.device.type, enabled=False)
