"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from lib import bucket
from lib.errors import BadInput

_SEAL = "# sha256 "


def write(path: Path, fill: Callable[[BinaryIO], object], sync: bool = True) -> None:
    """Let `fill` write to a new file and put it at `path` when it is complete and on the disk; and in the bucket, where
    the store is one (see `lib.bucket`).

    Without `sync` it does not wait for the disk: for many small files that can be made again.

    A crash, a full disk or a missing permission leaves what was at `path` before as it was. Of several writers, in
    threads or processes, the last one to finish stays.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            fill(file)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise BadInput(_sentence(path, error)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    bucket.push(path)


def write_text(path: Path, text: str) -> None:
    write(path, lambda file: file.write(text.encode()))


def sealed(text: str) -> str:
    """`text` below a line with its checksum."""
    return f"{_SEAL}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def unsealed(text: str) -> str | None:
    """The text below its checksum, and one without any as it is; None where it is not what the checksum was of."""
    if not text.startswith(_SEAL):
        return text
    first, _, rest = text.partition("\n")
    return rest if first.removeprefix(_SEAL) == hashlib.sha256(rest.encode()).hexdigest() else None


def kept(path: Path, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """The tensors in the safetensors file `path`, or those that `make` returns, on the CPU, which are then kept there.

    A file that does not have the checksum it was written with is made again, with a sentence on stderr.
    """
    if path.exists():
        try:
            tensors = load_file(path)
            with safe_open(path, "pt") as file:
                intact = file.metadata() == checksum(tensors)
        except (SafetensorError, OSError, KeyError):
            intact = False
        if intact:
            return tensors
        print(f"{path} is damaged; making it again", file=sys.stderr)
    tensors = make()
    write(path, lambda file: file.write(save(tensors, checksum(tensors))))
    return tensors


def checksum(tensors: dict[str, Tensor]) -> dict[str, str]:
    """What the metadata of a safetensors file say of its tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(tensors[name].numpy())
    return {"sha256": digest.hexdigest()}


def _sentence(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"the disk is full: {path} was not written, what was there is unchanged; free some space and call again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"no permission to write {path}; allow it or name another folder by WITHSTAND_RUNS or WITHSTAND_CACHE"
    return f"{path} could not be written ({error.strerror}); what was there is unchanged"
