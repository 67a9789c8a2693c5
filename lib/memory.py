"""Freed memory that stays with the process.

glibc hands large freed blocks back to the kernel, which clears every page of the next one anew. A
view is a chain of some hundred short operations on fresh blocks, and this alone doubles its time on
a CPU. Where the C library is another one, nothing happens.
"""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>


def keep_freed_memory() -> None:
    """Serve blocks of up to 32 MiB (glibc's limit) from the heap, and let up to 512 MiB of it lie free."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # macOS, Windows, musl
        return
    mallopt(M_MMAP_THRESHOLD, 32 << 20)
    mallopt(M_TRIM_THRESHOLD, 512 << 20)
