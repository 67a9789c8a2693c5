"""Which arithmetic: bfloat16 in the encoder where the device has it, float32 in every loss.

Torch lets a GPU round the factors of float32 convolutions to ten bits of mantissa (TF32) unless told not to. Where this
package says float32 it means all 23 bits: see `exact_float32`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ParamSpec, TypeVar

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


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """A context in which convolutions and matrix products run in `precision` on `device`."""
    # Weights that are cast without a gradient must not be kept: an autocast region around this one would hand them to
    # its own forwards, whose gradients would be lost. Nor may those of one step be kept for the next, which has other
    # weights: torch forgets them only where the outermost region ends.
    enabled = precision_on(device, precision) == "bf16"
    with torch.autocast(device.type, torch.bfloat16, enabled=enabled, cache_enabled=torch.is_grad_enabled()):
        yield
    if enabled:
        torch.clear_autocast_cache()


def full_precision(like: Tensor) -> torch.autocast:
    """A context without autocast on the device of `like`: eight bits of mantissa are too few for a loss.

    The trainer, attacks and measures are within `exact_float32` besides, backward passes included.
    """
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


def _products() -> tuple:
    """Torch's switches for how factors of float32 products are rounded: "ieee" not at all, "none" as it sees fit."""
    backends: Any = torch.backends  # whose annotations lack some of these
    return (
        backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul, backends.mkldnn.conv
    )  # fmt: skip


@contextmanager
def exact_float32() -> Iterator[None]:
    """A context in which no product of float32 numbers is rounded to TF32 or bfloat16 on the way, on any device.

    Backward passes have to be within it as well. Autocast, which rounds on purpose, is not its business. Afterwards the
    switches are what they were.
    """
    before = [switch.fp32_precision for switch in _products()]
    if all(value == "ieee" for value in before):  # within such a context already
        yield
        return
    try:
        for switch in _products():
            switch.fp32_precision = "ieee"
        yield
    finally:
        for switch, value in zip(_products(), before, strict=True):
            switch.fp32_precision = value


@contextmanager
def repeatable(device: torch.device) -> Iterator[dict[str, bool]]:
    """A context in which the same computation gives the same bits each time, as far as `device` can; gives the record.

    On a CPU nothing has to be done, with one number of threads. On a GPU torch's deterministic algorithms are used; of
    an operation that has none torch warns, and there equal bits are not promised. Products are `exact_float32`.
    """
    with ExitStack() as stack:
        stack.enter_context(exact_float32())
        if device.type == "cuda":
            stack.enter_context(_deterministic())
        tf32 = any(switch.fp32_precision != "ieee" for switch in _products())
        exact = device.type == "cpu" or torch.are_deterministic_algorithms_enabled()
        yield {"tf32": tf32, "deterministic": exact}


@contextmanager
def _deterministic() -> Iterator[None]:
    enabled, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # whose annotations lack its switch
    fill, benchmark = memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    # cuBLAS wants a workspace of fixed size; it reads this when it starts.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        torch.use_deterministic_algorithms(True, warn_only=warns or not enabled)
        memory.fill_uninitialized_memory = False  # all memory here is written before it is read
        torch.backends.cudnn.benchmark = False
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        memory.fill_uninitialized_memory = fill
        torch.backends.cudnn.benchmark = benchmark
