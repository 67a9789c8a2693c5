"""Libraries that are no part of a plain installation, imported when an encoder of theirs is named."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from lib.errors import BadInput

SAFE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def imported(module: str, name: str) -> ModuleType:
    """`module`, which the encoder `name` needs. Raises BadInput that names the extra where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            f"{name} needs {module} ({error}); install it with the extra 'encoders': pip install -e '.[encoders]'"
        ) from error


@contextmanager
def weights_only() -> Iterator[None]:
    """Libraries may ask torch to unpickle whatever their files hold; this tells torch to take tensors alone."""
    before = os.environ.get(SAFE)
    os.environ[SAFE] = "1"
    try:
        yield
    finally:
        os.environ.pop(SAFE) if before is None else os.environ.__setitem__(SAFE, before)
