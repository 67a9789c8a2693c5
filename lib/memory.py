"""Memory of this process: what it keeps when it is freed, the most that it held, and what goes to a device or stays.

glibc hands large freed blocks back to the kernel, which clears every page of the next one anew. A
view is a chain of some hundred short operations on fresh blocks, and this alone doubles its time on
a CPU. Where the C library is another one, nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import functools
import re
import resource
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
STATUS = Path("/proc/self/status")  # Linux only


def keep_freed_memory() -> None:
    """Serve blocks of up to 32 MiB (glibc's limit) from the heap, and let up to 512 MiB of it lie free."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # macOS, Windows, musl
        return
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, 512 << 20)


def reset_peak_memory(device: torch.device) -> None:
    """Forget earlier peaks, such as that of an earlier run in this process; on a CPU only Linux can."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif STATUS.exists():
        with contextlib.suppress(OSError):  # some sandboxes forbid it
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets the peak of the resident set


def peak_memory(device: torch.device) -> float:
    """MiB since the last reset: the most that torch had allocated on a GPU, or that this process held in RAM."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if STATUS.exists():
        return int(re.search(r"VmHWM:\s*(\d+) kB", STATUS.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """`tensor`, which is on the CPU, on `device`; the host does not wait for what the device has still to do.

    Sending to a GPU from ordinary memory waits, and so does `torch.tensor(..., device=...)`; from pinned memory it does
    not.
    """
    device = torch.device(device)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


KEPT_BYTES = 1 << 31  # by all functions that are `kept`, together
_kept: OrderedDict[tuple, tuple[object, int]] = OrderedDict()


def kept(function: Callable) -> Callable:
    """Keeps what `function` makes of hashable arguments, tensors or any tree of them, and gives it out again.

    All such functions share one store of `KEPT_BYTES`, on whatever devices: what was not asked for the longest leaves
    first, and what is larger than the store is never kept. `forget` frees all, `cache_clear` that of one function.
    """

    @functools.wraps(function)
    def remembered(*arguments: Any) -> Any:
        key = (function, *arguments)
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key][0]
        made = function(*arguments)
        size = _bytes(made)
        if size <= KEPT_BYTES:
            _kept[key] = made, size
            while kept_bytes() > KEPT_BYTES:
                _kept.popitem(last=False)
        return made

    def cache_clear() -> None:
        for key in [key for key in _kept if key[0] is function]:
            del _kept[key]

    remembered.cache_clear = cache_clear  # type: ignore[attr-defined]
    return remembered


def _bytes(made: object) -> int:
    """Of all tensors and arrays in a tree of tuples, lists, dictionaries and dataclasses."""
    if isinstance(made, Tensor):
        return made.numel() * made.element_size()
    if dataclasses.is_dataclass(made):
        made = vars(made)
    if isinstance(made, dict):
        return _bytes(list(made.values()))
    if isinstance(made, list | tuple):
        return sum(map(_bytes, made))
    return getattr(made, "nbytes", 0)


def kept_bytes() -> int:
    """How much is kept now."""
    return sum(size for _, size in _kept.values())


def forget() -> None:
    """Keep nothing any more."""
    _kept.clear()
