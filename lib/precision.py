"""Which arithmetic: bfloat16 in the encoder where the device has it, float32 in every loss."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

from lib.errors import one_of

P = ParamSpec("P")
R = TypeVar("R")
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
    # Weights that are cast without a gradient must not be kept: an autocast region around this one would hand them to
    # its own forwards, whose gradients would be lost.
    return torch.autocast(
        device.type, torch.bfloat16, enabled=precision_on(device, precision) == "bf16",
        cache_enabled=torch.is_grad_enabled(),
    )  # fmt: skip


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the device of `like`: eight bits of mantissa are too few for a loss."""
    return torch.autocast(like.device.type, enabled=False)


def own_precision(function: Callable[P, R]) -> Callable[P, R]:
    """`function` as if it were called outside of every autocast region of its caller: it decides on its own precision.

    What it is given is not cast; what it opens itself, such as `autocast`, holds within it.
    """

    @functools.wraps(function)
    def alone(*args: P.args, **kwargs: P.kwargs) -> R:
        with ExitStack() as regions:
            for kind in ("cpu", "cuda"):
                if torch.is_autocast_enabled(kind):
                    regions.enter_context(torch.autocast(kind, enabled=False))
            return function(*args, **kwargs)

    return alone


def with_gradients(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, which needs gradients, as if it were called outside of its caller's `no_grad` or `inference_mode`."""

    @functools.wraps(function)
    def climbing(*args: P.args, **kwargs: P.kwargs) -> R:
        with torch.inference_mode(False), torch.enable_grad():
            return function(*args, **kwargs)

    return climbing
