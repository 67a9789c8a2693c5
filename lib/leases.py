"""One writer at a time, here and on other machines: a lease, which its owner renews, and which ends when he does not.

A lease is a folder of numbered files, and the highest number is the one that counts. Whoever creates the next number
owns the lease: of two that try, a file system lets one create it, also over a network and where it has no locks, and so
does a bucket (`lib.bucket`), where files are objects. The owner writes into the file who he is and, every `BEAT`
seconds, that he is still there. Another one takes over

- when the file says that the lease was given back,
- when its owner was a process of this machine and is no more,
- when nothing changed in the file for the `LIFETIME` that it names, by the clock of the one who waits.

Clocks of two machines are never compared, so that a clock which is set back or forward takes no lease away. An owner
who was asleep for longer than that learns with his next beat, or by `Lease.check`, that it is no longer his.
"""

from __future__ import annotations

import contextlib
import functools
import json
import math
import os
import platform
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from lib import bucket
from lib.errors import BadInput

LIFETIME = 120.0  # seconds without a beat after which a lease of another machine is over
BEAT = 15.0  # seconds
POLLS = (0.02, 1.0)  # seconds between two looks of one who waits: the first, and the longest
HELD, LOST, FREE = "held", "lost", "free"


@dataclass(frozen=True)
class Seen:
    """What a look at a lease tells: whose it is or was, how he stands, and for how many seconds he has had it."""

    owner: str
    state: str  # HELD, LOST (without a word for too long, or its process is gone) or FREE
    age: float
    silence: float  # seconds since the last beat


class Lease:
    """One that is held. `lost` is true once another process has taken over."""

    def __init__(self, folder: Path, number: int) -> None:
        self.path, self._place = folder / str(number), _place(folder)
        self.number, self.beats, self.lost = number, 0, False
        self._said = _own()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease {folder}", daemon=True)

    def check(self) -> None:
        """Raise BadInput if the lease is another's by now: what this process has computed is not to be written."""
        if self.lost or _last(self._place) != self.number:
            self.lost = True
            raise BadInput(f"{self.path.parent} was taken over by another process, since this one was silent too long")

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            self.beats += 1
            try:
                self.lost = _last(self._place) != self.number
                if self.lost:
                    return
                self._write()
            except (OSError, BadInput):  # a full disk, or a server that is away; who waits waits a little less
                continue

    def _write(self, **more: object) -> None:
        self._place.write(self.number, json.dumps(self._said | {"beats": self.beats} | more).encode())

    def _give_back(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with contextlib.suppress(OSError, BadInput):  # it ends with this process, or by silence
            if not self.lost and _last(self._place) == self.number:
                self._write(free=True)


@contextlib.contextmanager
def held(folder: Path, wait: bool = True) -> Iterator[Lease | None]:
    """The lease `folder`, held until the end of the context; one that another has is waited for.

    Without `wait` it is None where another has it; only one who seems to be gone is watched until that is sure. Raises
    OSError where the folder cannot be made or written.
    """
    lease = _taken(folder, wait)
    try:
        yield lease
    finally:
        if lease:
            lease._give_back()


def look(folder: Path) -> Seen | None:
    """What the lease says, read without touching it; None where nobody ever had it.

    Ages are by this machine's clock, and 0 where it is behind another's.
    """
    place = _place(folder)
    number = _last(place)
    try:
        said, written = _read(place, number), place.written(number)
    except OSError:
        return None
    silence = max(0.0, time.time() - written)
    if said.get("free"):
        state = FREE
    else:
        state = LOST if _is_dead(said) or silence > _lifetime(said) else HELD
    return Seen(str(said.get("owner", "unknown")), state, max(0.0, time.time() - said.get("since", written)), silence)


def _taken(folder: Path, wait: bool) -> Lease | None:
    watched: tuple[object, float] = (None, 0.0)
    pause, place = POLLS[0], _place(folder)
    while True:
        numbers = place.numbers()
        last = max(numbers, default=0)
        said = _read(place, last) if last else {"free": True}
        if said.get("free") or _is_dead(said):
            if lease := _created(folder, last + 1, numbers):
                return lease
            continue
        if watched[0] != (last, said):
            watched = (last, said), monotonic()
        elif monotonic() - watched[1] > _lifetime(said):
            if lease := _created(folder, last + 1, numbers):
                return lease
            continue
        if not wait and not _seems_gone(place, last, said):
            return None
        sleep(pause)
        pause = min(2 * pause, POLLS[1])


def _created(folder: Path, number: int, older: list[int]) -> Lease | None:
    """The lease with this number, if nobody else was first."""
    lease = Lease(folder, number)
    place = lease._place
    if not place.create(number, json.dumps(lease._said | {"beats": 0}).encode()):
        return None
    if _last(place) != number:  # others have had this number and given it back meanwhile
        place.remove(number)
        return None
    for one in older:
        with contextlib.suppress(OSError):
            place.remove(one)
    lease._thread.start()
    return lease


class Disk:
    """The numbered files of a lease in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def numbers(self) -> list[int]:
        try:
            return [int(name) for name in os.listdir(self.folder) if name.isdigit()]
        except FileNotFoundError:
            return []

    def read(self, number: int) -> bytes:
        return (self.folder / str(number)).read_bytes()

    def create(self, number: int, data: bytes) -> bool:
        """Whether this one was the first to do so."""
        path = self.folder / str(number)
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return False
        try:
            try:
                os.write(file, data)
            finally:
                os.close(file)
        except OSError:  # a full disk
            path.unlink(missing_ok=True)
            raise
        return True

    def write(self, number: int, data: bytes) -> None:
        partial = self.folder / f".{number}.{os.getpid()}.{threading.get_ident()}"
        try:
            partial.write_bytes(data)
            os.replace(partial, self.folder / str(number))
        finally:
            with contextlib.suppress(OSError):
                partial.unlink()

    def remove(self, number: int) -> None:
        (self.folder / str(number)).unlink(missing_ok=True)

    def written(self, number: int) -> float:
        """When, in seconds of the epoch, by the file system's clock."""
        return (self.folder / str(number)).stat().st_mtime

    def now(self) -> float:
        """By the file system's clock, which may have been set."""
        partial = self.folder / f".{os.getpid()}.{threading.get_ident()}"
        try:
            partial.touch()
            return partial.stat().st_mtime
        finally:
            partial.unlink(missing_ok=True)


def _place(folder: Path) -> Disk | bucket.Numbered:
    return bucket.Numbered(folder) if bucket.is_of(folder) else Disk(folder)


def _last(place: Disk | bucket.Numbered) -> int:
    return max(place.numbers(), default=0)


def _read(place: Disk | bucket.Numbered, number: int) -> dict:
    """What an owner has written; {} while he writes it, or where he has died over it."""
    try:
        said = json.loads(place.read(number))
    except (ValueError, FileNotFoundError):
        return {}
    return said if isinstance(said, dict) else {}


def _lifetime(said: dict) -> float:
    seconds = said.get("lifetime")
    return float(seconds) if isinstance(seconds, int | float) and 0 < seconds < math.inf else LIFETIME


def _seems_gone(place: Disk | bucket.Numbered, number: int, said: dict) -> bool:
    """Whether a lease is silent for too long by the place's own clock."""
    try:
        return place.now() - place.written(number) > _lifetime(said)
    except OSError:
        return False


def _own() -> dict[str, object]:
    job = os.environ.get("SLURM_JOB_ID")
    owner = f"{platform.node()}, process {os.getpid()}" + (f", job {job}" if job else "")
    pid = os.getpid()
    return {
        "owner": owner, "machine": _machine(), "pid": pid, "started": _started(pid),
        "since": round(time.time(), 1), "lifetime": LIFETIME,
    }  # fmt: skip


@functools.cache
def _machine() -> str:
    """What only processes that see each other have in common: this boot of this machine, and of it the container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:  # macOS, Windows
        return platform.node()


def _is_dead(said: dict) -> bool:
    """Whether the owner was a process of this machine and is no more."""
    pid = said.get("pid")
    if said.get("machine") != _machine() or not isinstance(pid, int):
        return False
    if said.get("started") is not None:
        return _started(pid) != said["started"]  # another process may have got its number
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _started(pid: int) -> str | None:
    """When a process began, in ticks since the boot; None where it is no more, or where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()  # proc(5): its name may hold anything
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]
