"""Bad input gets one sentence that names what is allowed."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class BadInput(ValueError):
    """Input that its author can mend. The message is one sentence that says how."""

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: a reader of a notebook sees the sentence, not thirty frames of ours.
        return [f"{type(self).__name__}: {self}"]


def one_of(value: T, allowed: Iterable[T], what: str) -> T:
    """Return `value` if it is among `allowed`; otherwise raise a `BadInput` that lists them.

    >>> one_of("fogg", ["fog", "frost"], "corruption")
    Traceback (most recent call last):
    lib.errors.BadInput: unknown corruption 'fogg' (did you mean 'fog'?); allowed: fog, frost
    """
    allowed = list(allowed)
    if any(value == known and type(value) is type(known) for known in allowed):
        return value
    near = difflib.get_close_matches(str(value), map(str, allowed), n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise BadInput(f"unknown {what} {value!r}{hint}; allowed: {', '.join(map(str, allowed))}")
