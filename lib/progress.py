"""Bars that show how far long work is: whether there are any is said once, around the work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from tqdm import tqdm

_SHOWN = ContextVar("shown", default=True)


@contextmanager
def bars(shown: bool) -> Iterator[None]:
    """A context with or without bars. One without is without them throughout, whatever is said within."""
    token = _SHOWN.set(shown and _SHOWN.get())
    try:
        yield
    finally:
        _SHOWN.reset(token)


def bar(shown: bool = True, **options: Any) -> tqdm:
    """A bar of tqdm with these `options`, which shows nothing unless it is `shown` and so are those around it."""
    return tqdm(disable=not (shown and _SHOWN.get()), **options)
