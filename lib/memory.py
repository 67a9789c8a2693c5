"""Memory of this process: what it keeps when it is freed, and the most that it held.

glibc hands large freed blocks back to the kernel, which clears every page of the next one anew. A
view is a chain of some hundred short operations on fresh blocks, and this alone doubles its time on
a CPU. Where the C library is another one, nothing happens.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import resource
from pathlib import Path

import torch

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
