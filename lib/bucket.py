"""A bucket as the store of runs: an address of fsspec at which only one of two who create an object gets it.

With `WITHSTAND_RUNS=s3://bucket/prefix` (extra `bucket`) `paths.runs()` is a folder of the cache. What `lib.files`
writes there is sent to the bucket at once, in the same order, so that the record of a run comes last there too. What
others have sent is fetched when a run's lease is taken, and the lease is in the bucket itself (see `lib.leases`). The
bucket is what counts: whoever holds the lease makes his folder like it.

An object has the name of its file and, behind a last dot, the first `LETTERS` of the SHA-256 of its bytes. So a listing
tells what has changed, no file is ever there by half, and an object that was cut short or altered is never believed:
what it belongs to is computed again, with a sentence on stderr.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lib import paths
from lib.errors import BadInput

LETTERS = 16
EXCLUSIVE = ("s3", "s3a", "file", "local")  # protocols by which one of two who create an object is told so
RECORD, LARGE = "record.json", (".safetensors", ".pt")  # a run is complete; what only who works on it needs
TRAINED = ("weights.safetensors", "head.safetensors", "history.json")  # without one of them the record says too much
AT_ONCE = 8  # requests
_OBJECT = re.compile(rf"(?P<name>.+)\.(?P<sum>[0-9a-f]{{{LETTERS}}})")


@dataclass(frozen=True)
class Sent:
    """An object that was sent: where it is, of which file of the store it is, its checksum, and when it came."""

    at: str
    name: str
    sum: str
    when: float


@dataclass(frozen=True)
class Look:
    """Which files the store has at one moment, wherever it is."""

    names: frozenset[str] | None  # of the objects; None where the store is a folder

    def has(self, path: Path) -> bool:
        return path.exists() if self.names is None else _name_of(path) in self.names

    def homes(self, folder: str) -> list[Path]:
        """The folders of runs in which there is a `folder`."""
        if self.names is None:
            return sorted(path.parent for path in paths.runs().glob(f"*/{folder}"))
        parts = [name.split("/") for name in self.names]
        return sorted({paths.runs() / part[0] for part in parts if len(part) > 2 and part[1] == folder})


def look() -> Look:
    """At the whole store, with one listing."""
    if paths.bucket() is None:
        return Look(None)
    root = _opened()[1]
    found = _listed(root)
    return Look(frozenset([at.removeprefix(f"{root}/") for at in found] + [one.name for one in _sent(found)]))


def push(path: Path) -> None:
    """Send a file of the store, in the place of an older one. Does nothing where the store is a folder."""
    if (name := _name_of(path)) is None:
        return
    fs, root = _opened()
    data = path.read_bytes()  # once: what is sent is what the name says, whatever becomes of the file
    target = f"{root}/{name}.{_sum(data)}"
    with _told():
        there = _versions(name)
        if target not in there:
            fs.pipe_file(target, data)
        for other in set(there) - {target}:
            _gone(fs, other)


def remove(path: Path) -> None:
    """Remove a file, and from the bucket as well where there is one."""
    path.unlink(missing_ok=True)
    if (name := _name_of(path)) is not None:
        with _told():
            for other in _versions(name):
                _gone(_opened()[0], other)


def pull(home: Path, own: bool = False, wanted: Callable[[str], bool] = lambda name: not name.endswith(LARGE)) -> None:
    """Fetch the files of a folder of the store that are `wanted` by their names and are others here.

    With `own`, for who holds its lease, all of them; files that the bucket does not have are removed, and so are
    objects that are damaged, for what they were of to be computed again.
    """
    if (name := _name_of(home)) is None:
        return
    found: dict[str, list[Sent]] = {}
    for one in sorted(_sent(_listed(f"{_opened()[1]}/{name}")), key=lambda one: one.when, reverse=True):
        found.setdefault(one.name, []).append(one)
    if own:
        for path in [path for path in home.rglob("*") if path.is_file()]:
            if _name_of(path) not in found:
                path.unlink(missing_ok=True)
    asked = [versions for file, versions in found.items() if own or wanted(file)]
    asked.sort(key=lambda versions: versions[0].name.endswith(RECORD))  # last
    with ThreadPoolExecutor(AT_ONCE) as several:
        bad = list(several.map(_damaged, asked))
    if own:
        lost = {versions[0].name for versions, own_bad in zip(asked, bad, strict=True) if len(own_bad) == len(versions)}
        _mend(home, set(found), lost, [one for own_bad in bad for one in own_bad])


def _mend(home: Path, found: set[str], lost: set[str], bad: list[Sent]) -> None:
    """Remove objects that are `bad`, and the record of a run whose training is not whole.

    `found` are the names of all files, and `lost` those without a version that is whole.
    """
    for one in bad:
        instead = "it is computed again" if one.name in lost else "the one before it is taken"
        print(f"{paths.bucket()}/{one.name} is damaged (its checksum is another's); {instead}", file=sys.stderr)
        with _told():
            _gone(_opened()[0], one.at)
    for name in lost:
        (paths.runs() / name).unlink(missing_ok=True)
    own = _name_of(home)
    if f"{own}/{RECORD}" in found and (
        f"{own}/{TRAINED[0]}" not in found or lost.intersection(f"{own}/{name}" for name in TRAINED)
    ):
        remove(home / RECORD)


def _damaged(versions: list[Sent]) -> list[Sent]:
    """Have a file as the first of its objects is, newest first, that is whole; returns those before it."""
    for place, one in enumerate(versions):
        if _fetched(one):
            return versions[:place]
    return versions


def _fetched(one: Sent) -> bool:
    """Have the file as the object is; False where that is not what was sent."""
    path = paths.runs() / one.name
    if path.is_file() and _sum(path.read_bytes()) == one.sum:
        return True
    with _told():
        try:
            data = _opened()[0].cat_file(one.at)
        except FileNotFoundError:  # another has put a newer one in its place
            return True
    if _sum(data) != one.sum:
        return False
    partial = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(data)
        os.replace(partial, path)
    except OSError as error:
        raise BadInput(f"{path} could not be fetched ({error.strerror}); name another WITHSTAND_CACHE") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
    return True


class Numbered:
    """The numbered objects of a lease, for `lib.leases`: what its files are in a folder."""

    def __init__(self, folder: Path) -> None:
        self.fs, root = _opened()
        self.at = f"{root}/{_name_of(folder)}"

    def numbers(self) -> list[int]:
        names = (at.rpartition("/")[2] for at in _listed(self.at))
        return [int(name) for name in names if name.isdigit()]

    def read(self, number: int) -> bytes:
        """Raises FileNotFoundError where there is none."""
        with _told(FileNotFoundError):
            return self.fs.cat_file(f"{self.at}/{number}")

    def create(self, number: int, data: bytes) -> bool:
        """Whether this one was the first to do so."""
        with _told():
            return _created(self.fs, f"{self.at}/{number}", data)

    def write(self, number: int, data: bytes) -> None:
        with _told():
            self.fs.pipe_file(f"{self.at}/{number}", data)

    def remove(self, number: int) -> None:
        with _told():
            _gone(self.fs, f"{self.at}/{number}")

    def written(self, number: int) -> float:
        """When, in seconds of the epoch, by the bucket's clock; FileNotFoundError where there is none."""
        with _told(FileNotFoundError):
            return self.fs.modified(f"{self.at}/{number}").timestamp()

    def now(self) -> float:
        """By the bucket's clock."""
        at = f"{self.at}/.{uuid.uuid4().hex}"
        with _told():
            self.fs.pipe_file(at, b"")
            try:
                return self.fs.modified(at).timestamp()
            finally:
                _gone(self.fs, at)


def is_of(path: Path) -> bool:
    """Whether a file or folder is of a store that is a bucket."""
    return _name_of(path) is not None


def _name_of(path: Path) -> str | None:
    if paths.bucket() is None or not path.is_relative_to(runs := paths.runs()):
        return None
    return "" if path == runs else path.relative_to(runs).as_posix()


def _sum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:LETTERS]


def _listed(at: str) -> dict[str, dict]:
    """All objects below, with what is known of each."""
    with _told():
        try:
            return _opened()[0].find(at.rstrip("/"), detail=True)
        except FileNotFoundError:
            return {}


def _sent(found: dict[str, dict]) -> Iterator[Sent]:
    root = _opened()[1]
    for at, info in found.items():
        if told := _OBJECT.fullmatch(at.removeprefix(f"{root}/")):
            when = info.get("LastModified") or info.get("mtime") or 0.0
            yield Sent(at, told["name"], told["sum"], when.timestamp() if isinstance(when, datetime) else float(when))


def _versions(name: str) -> list[str]:
    """Where objects of a file are."""
    return [one.at for one in _sent(_listed(f"{_opened()[1]}/{name}".rpartition("/")[0])) if one.name == name]


def _gone(fs: Any, at: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        fs.rm_file(at)


def _created(fs: Any, at: str, data: bytes) -> bool:
    try:
        if _is_disk(fs.protocol):
            with fs.open(at, "xb") as file:
                file.write(data)
        else:
            fs.pipe_file(at, data, mode="create")
    except FileExistsError:
        return False
    except OSError as error:
        if "ConditionalRequestConflict" in repr(error.__cause__):  # S3, while another one's is under way
            return False
        raise
    return True


def _is_disk(protocol: str | tuple[str, ...]) -> bool:
    return "file" in protocol or "local" in protocol


def _opened() -> tuple[Any, str]:
    """The file system of the bucket, and where in it the store is."""
    url = paths.bucket()
    assert url is not None
    return _connected(url, os.getpid())  # a forked process may not use what is open


@functools.cache
def _connected(url: str, pid: int) -> tuple[Any, str]:
    protocol = url.partition("://")[0]
    if protocol not in EXCLUSIVE:
        raise BadInput(
            f"WITHSTAND_RUNS={url} is refused: by {protocol} two machines could both begin a run, since both could "
            "create one object; an address begins with s3:// or file://"
        )
    with _told():
        from fsspec.core import url_to_fs  # comes with torch

        more = {"auto_mkdir": True} if _is_disk(protocol) else {}
        fs, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **more)
        probe = f"{root.rstrip('/')}/.probe-{uuid.uuid4().hex}"
        first, second = _created(fs, probe, b"1"), _created(fs, probe, b"2")
        _gone(fs, probe)
    if not first or second:
        raise BadInput(
            f"WITHSTAND_RUNS={url} is refused: two machines could both begin a run, since its server creates an object "
            "that is there another time; it must know If-None-Match, as S3 does"
        )
    return fs, root.rstrip("/")


@contextlib.contextmanager
def _told(*let: type[Exception]) -> Iterator[None]:
    """A context whose errors are told in one sentence, except those that it is to `let` through."""
    try:
        yield
    except (BadInput, *let):
        raise
    except Exception as error:  # those of a server's package have nothing in common
        raise BadInput(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    url, kind = paths.bucket(), type(error).__name__
    if isinstance(error, ImportError):
        return f"WITHSTAND_RUNS={url} needs a package ({error}): install the extra, pip install withstand[bucket]"
    if "Credential" in kind or "Token" in kind:
        return f"there are no credentials for {url}; name them by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if isinstance(error, FileNotFoundError):
        return f"there is no bucket for WITHSTAND_RUNS={url}; create it, or name another one"
    if isinstance(error, PermissionError):
        return f"not allowed to read and write {url}; give these credentials the right to list, get, put and delete"
    reason = (str(error).strip().splitlines() or [kind])[0]
    return f"{url} cannot be reached ({reason}); nothing is lost, the same call goes on from here"
