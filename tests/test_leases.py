"""Leases: one owner at a time, whatever dies; and no clock of another machine is believed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lib import leases
from lib.errors import BadInput

SECONDS = 1.0


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs" / "lease"


@pytest.fixture
def quick(monkeypatch):
    """Leases that end after a moment, and beat in time."""
    monkeypatch.setattr(leases, "LIFETIME", SECONDS)
    monkeypatch.setattr(leases, "BEAT", SECONDS / 20)


@pytest.fixture
def elsewhere(monkeypatch):
    """Called, it makes this process one of another machine, whose processes nobody here can see."""
    return lambda name="elsewhere": monkeypatch.setattr(leases, "_machine", lambda: name)


def put(folder, number=3, **more):
    """A lease that a process of another machine has or had."""
    said = {"owner": "node7, process 1", "machine": "node7", "pid": 1, "started": "5", "since": time.time()}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(number)).write_text(json.dumps(said | {"lifetime": SECONDS, "beats": 0} | more))


def test_one_after_the_other(folder):
    for number in (1, 2, 3):
        with leases.held(folder) as lease:
            assert leases.look(folder).state == leases.HELD and lease.number == number
            lease.check()
            with leases.held(folder, wait=False) as second:
                assert second is None
        assert leases.look(folder).state == leases.FREE and os.listdir(folder) == [str(number)]
    assert f"process {os.getpid()}" in leases.look(folder).owner
    assert leases.look(folder.parent / "nobody") is None


def test_many_threads_count_without_a_mistake(folder):
    """Reading, waiting and writing back, which loses counts as soon as two are at it."""
    counter, inside = folder.parent / "counter", []

    def count(_):
        with leases.held(folder):
            inside.append(1)
            assert len(inside) == 1
            number = int(counter.read_text()) if counter.exists() else 0
            time.sleep(0.001)
            counter.write_text(str(number + 1))
            inside.pop()

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(count, range(40)))
    assert counter.read_text() == "40"


WORKER = """
import os, random, signal, sys, time
from pathlib import Path
sys.modules["torch"] = None  # which nobody needs here
from lib import leases
folder, seed = Path(sys.argv[1]), int(sys.argv[2])
random.seed(seed)
for place in range(3):
    child = os.fork()
    if not child:
        with leases.held(folder):
            own = folder.parent / "inside"
            os.close(os.open(own, os.O_CREAT | os.O_EXCL))  # a second one inside would fail here
            with open(folder.parent / "log", "a") as log:
                log.write("in\\n")
            os.unlink(own)
            if random.Random(seed + place).random() < 0.5:
                os.kill(os.getpid(), signal.SIGKILL)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
"""


def test_processes_that_are_killed_inside_hold_nobody_up(folder):
    """Their machine sees that they are gone, and does not wait until a lease is over."""
    folder.parent.mkdir(parents=True)
    started = time.monotonic()
    words = [sys.executable, "-c", WORKER, str(folder)]
    running = [subprocess.Popen([*words, str(seed)], stderr=subprocess.PIPE, text=True) for seed in (10, 20, 30, 40)]
    assert not [error for one in running if (error := one.communicate()[1])]
    assert (folder.parent / "log").read_text() == "in\n" * 12
    assert time.monotonic() - started < leases.LIFETIME


def test_what_another_machine_holds_is_waited_for_until_it_is_silent(folder, quick):
    put(folder)
    with leases.held(folder, wait=False) as lease:
        assert lease is None
    started = time.monotonic()
    with leases.held(folder) as lease:
        assert lease.number == 4 and time.monotonic() - started > SECONDS
    assert os.listdir(folder) == ["4"]


def test_an_owner_who_beats_keeps_his_lease(folder, quick, elsewhere):
    """For three times as long as a lease without a beat lasts, against one who waits on another machine."""
    order = []
    with leases.held(folder) as lease:
        elsewhere()
        waiting = threading.Thread(target=lambda: leases.held(folder).__enter__() and order.append("second"))
        waiting.start()
        time.sleep(3 * SECONDS)
        lease.check()
        order.append("first")
    waiting.join(timeout=30)
    assert order == ["first", "second"]


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_clock_that_jumps_takes_no_lease_away(folder, quick, elsewhere, hours, monkeypatch):
    true = time.time
    with leases.held(folder) as lease:
        elsewhere()
        for clock in (lambda: true() + 3600 * hours, true):
            monkeypatch.setattr(leases.time, "time", clock)
            os.utime(lease.path, (clock(), clock()))  # as the file system has it
            time.sleep(SECONDS / 4)
            with leases.held(folder, wait=False) as second:
                assert second is None
            seen = leases.look(folder)
            assert seen.age >= 0 and seen.silence >= 0
        lease.check()


def test_what_seems_gone_is_watched_and_taken_without_waiting_for_the_living(folder, quick):
    put(folder)
    then = time.time() - 100
    os.utime(folder / "3", (then, then))
    assert leases.look(folder).state == leases.LOST
    started = time.monotonic()
    with leases.held(folder, wait=False) as lease:
        assert lease.number == 4 and time.monotonic() - started > SECONDS


def test_an_owner_who_slept_is_told(folder, quick, monkeypatch, elsewhere):
    """As a machine that was suspended: its process finds that another has taken over, and gives nothing back."""
    monkeypatch.setattr(leases, "BEAT", 3600)
    with leases.held(folder) as slept:
        elsewhere()
        with leases.held(folder) as second:
            with pytest.raises(BadInput, match="was taken over by another process, since this one was silent too long"):
                slept.check()
            second.check()
            slept._give_back()
            second.check()
            assert leases.look(folder).state == leases.HELD
    assert os.listdir(folder) == ["2"]


def test_a_number_that_others_had_meanwhile_is_given_up(folder, monkeypatch):
    """Between the look and the file another owner came and went, and a third one is there."""
    put(folder, 3, free=True)
    true = leases._created

    def late(folder, number, older):
        monkeypatch.setattr(leases, "_created", true)
        (folder / "3").unlink()
        put(folder, 5, free=True)
        return true(folder, number, older)

    monkeypatch.setattr(leases, "_created", late)
    with leases.held(folder) as lease:
        assert lease.number == 6
    assert os.listdir(folder) == ["6"]


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"pid": "x", "lifetime": "never", "since": 0}'])
def test_a_file_that_says_nothing_is_waited_for_as_any(folder, quick, content):
    put(folder)
    (folder / "3").write_text(content)
    started = time.monotonic()
    with leases.held(folder) as lease:
        assert lease.number == 4 and time.monotonic() - started > SECONDS


def test_a_full_disk_takes_no_lease(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(leases.os, "write", full)
        with pytest.raises(OSError, match="No space left"), leases.held(folder):
            pass
    assert os.listdir(folder) == []
    with leases.held(folder) as lease:
        assert lease.number == 1


def test_another_process_with_the_number_of_a_dead_one_is_not_the_owner(folder):
    """Which began at another time than the lease says."""
    put(folder, machine=leases._machine(), pid=os.getpid(), started="1")
    with leases.held(folder, wait=False) as lease:
        assert lease.number == 4


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_a_zombie_is_dead():
    """A killed process that its parent has not asked after yet."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert leases._started(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert leases._started(child.pid) is None
    child.communicate()
