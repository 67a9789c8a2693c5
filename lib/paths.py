"""Where things lie. Each place can be moved by an environment variable.

A value is a folder, or the address of a bucket for `WITHSTAND_RUNS`. `~` is a home; a relative folder counts from the
project's, whatever the folder that `make`, a notebook or a shell works in. An empty value is as none. A folder that is
not there, or may not be entered, is refused together with the variable that named it; those that are written to are
made where their parent is there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Hashable, Iterator
from pathlib import Path

from lib.errors import BadInput

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results"  # published rows, committed


def runs() -> Path:
    """Local runs: weights, checkpoints and rows (`WITHSTAND_RUNS`, else `runs/` in the project).

    Of a store that is a bucket, the folder of the cache that is kept like it, see `lib.bucket`.
    """
    if url := bucket():
        return cache() / "buckets" / hashlib.sha256(url.encode()).hexdigest()[:16]
    return _to_be_made(_named("WITHSTAND_RUNS") or ROOT / "runs", "WITHSTAND_RUNS")


def environment() -> tuple[Hashable, ...]:
    """What `runs` depends on except the disk: who keeps a path that it found keeps it for this environment."""
    return ROOT, os.environ.get("WITHSTAND_RUNS"), os.environ.get("WITHSTAND_CACHE"), os.environ.get("HOME")


def bucket() -> str | None:
    """The address of a bucket, where `WITHSTAND_RUNS` is one: a protocol, `://` and a place."""
    text = os.environ.get("WITHSTAND_RUNS", "").strip()
    return text.rstrip("/") if "://" in text else None


def data() -> Path | None:
    """Unpacked data sets NAME.npz (`WITHSTAND_DATA`), or None where the variable is not set."""
    folder = _named("WITHSTAND_DATA")
    if folder is None:
        return None
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise BadInput(_refused(folder, "WITHSTAND_DATA", error)) from error
    return _entered(folder, folder, "WITHSTAND_DATA")


def cache() -> Path:
    """Downloads and rendered images (`WITHSTAND_CACHE`, else `~/.cache/withstand`)."""
    folder = _named("WITHSTAND_CACHE")
    if folder is None:  # only then does anybody need a home
        folder = _at_home(Path("~/.cache/withstand"), "WITHSTAND_CACHE")
    return _to_be_made(folder, "WITHSTAND_CACHE")


def places() -> Iterator[Path]:
    """Where published files may lie: the user's data, then the cache, which is asked for only when it is reached."""
    if folder := data():
        yield folder
    yield cache()


def _named(variable: str) -> Path | None:
    text = os.environ.get(variable, "")
    return ROOT / _at_home(Path(text), variable) if text.strip() else None


def _at_home(path: Path, variable: str) -> Path:
    """The path with its `~` replaced."""
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise BadInput(f"{path} has no home directory to be in; name a folder without ~ by {variable}") from error


def _to_be_made(folder: Path, variable: str) -> Path:
    """The folder, of which the part that is there may be entered."""
    there = folder
    while not os.path.lexists(there) and there != there.parent:
        there = there.parent
    return _entered(folder, there, variable)


def _entered(folder: Path, there: Path, variable: str) -> Path:
    try:
        os.stat(os.path.join(there, os.curdir))
    except OSError as error:
        raise BadInput(_refused(folder, variable, error)) from error
    return folder


def _refused(folder: Path, variable: str, error: OSError) -> str:
    return (
        f"{folder} is no folder that can be read ({error.strerror}); name a folder by {variable}, from / or ~ or from "
        f"{ROOT} on"
    )
