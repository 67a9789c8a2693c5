"""Libraries that are no part of a plain installation, imported when an encoder of theirs is named."""

from __future__ import annotations

import importlib
from types import ModuleType

from lib.errors import BadInput


def imported(module: str, name: str) -> ModuleType:
    """`module`, which the encoder `name` needs. Raises BadInput that names the extra where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise BadInput(
            f"{name} needs {module} ({error}); install it with the extra 'encoders': pip install -e '.[encoders]'"
        ) from error
