"""Stopping when the system asks for it: work under way is saved, and the same command goes on from there.

Schedulers send SIGTERM, or SIGUSR1 where one asked for it, some time before they kill. A command that is `stoppable`
then ends with the code `AGAIN`, which tells a script that nothing is wrong and that it should be called once more.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

from lib.errors import BadInput

AGAIN = 75  # exit code: EX_TEMPFAIL of <sysexits.h>
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name))
_asked = threading.Event()


class Stopped(BadInput):
    """A signal asked for an end. What is complete is kept, what was under way has its checkpoint."""


def asked() -> bool:
    """Whether this process was asked to stop; then the next step is not begun."""
    return _asked.is_set()


def ask(*_: object) -> None:
    """What a signal does in a process that is `stoppable`."""
    _asked.set()


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """A context in which `SIGNALS` ask for an end instead of making one. To be entered by the main thread."""
    before = {one: signal.signal(one, ask) for one in SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
        _asked.clear()
