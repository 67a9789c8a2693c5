"""What the store tells of runs: asked for, under way, failed, done; and what a run that failed leaves."""

import json
import math
import os
import sys
import time
from dataclasses import replace

import pytest

from lib import images, leases, paths
from lib.errors import BadInput
from lib.measures.rows import CLEAN, as_rows, number
from lib.runs import RunConfig, compute, engine, ledger, published, status, store, times
from lib.runs import __main__ as entrance
from lib.stopping import Stopped
from lib.training import OutOfTime, Training

PLAN = Training(epochs=1, batch_size=32, precision="fp32")


class Toy:
    """A measure of one number, or of an error."""

    def __init__(self, name="toy", error=None):
        self.identity, self.error = f"{name}(images=1)#1", error

    def rows(self, subject):
        if self.error:
            raise self.error
        return as_rows([number(CLEAN, "toy", 1.0, 1)])


@pytest.fixture(autouse=True)
def nothing_published(monkeypatch, tmp_path, tmp_path_factory):
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path_factory.getbasetemp() / "status-scenes"))
    monkeypatch.setattr(images, "SCENES_BLOCK", 64)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 64, "validation": 40, "test": 40})
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    published.forget()
    yield
    published.forget()


def config(seed=0, **more):
    return RunConfig("scenes", "random", "resnet10_narrow", seed, 64, PLAN, **more)


def states():
    return {one.title.rpartition(" ")[2]: (one.state, one.words) for one in status.standings(times.known())}


def test_from_asked_to_done():
    assert status.standings(times.known()) == [] and status.in_words([]) == "no run was asked for"
    for seed in range(3):
        ledger.ask(config(seed), [Toy()])
    assert states() == dict.fromkeys("012", ("left", ""))
    (record,), _ = compute([config(1)], [Toy()], progress=False)
    assert states()["1"] == ("done", "") and states()["0"] == ("left", "")
    ledger.ask(config(1), [Toy("later"), Toy("last")])
    assert states()["1"] == ("left", "trained; 2 of 3 measures to go")
    with engine.locked(record["key"]):
        state, words = states()["1"]
        assert state == "running" and f"process {os.getpid()}, for 0 s" in words
    found = status.standings(times.known())
    assert status.in_words(found).startswith("0 running, 0 failed, 3 left, 0 done")
    compute([config(1)], [Toy("later"), Toy("last")], progress=False)
    assert states()["1"] == ("done", "")


def test_a_run_that_fails_leaves_its_reason_until_it_succeeds():
    with pytest.raises(BadInput):
        compute([config()], [Toy(error=BadInput("no image is left\nor so"))], progress=False)
    assert states()["0"] == ("failed", "no image is left")
    with pytest.raises(RuntimeError):
        compute([config()], [Toy(error=RuntimeError("CUDA out of memory"))], progress=False)
    assert states()["0"] == ("failed", "RuntimeError: CUDA out of memory")
    found = status.standings(times.known())
    assert list(status.table(found).columns) == ["run", "dataset", "state", "minutes", ""]
    compute([config()], [Toy()], progress=False)
    assert states()["0"] == ("done", "")


def test_too_few_images_are_a_reason_as_well():
    with pytest.raises(BadInput):
        compute([replace(config(), method="simclr", settings=None, train_images=8)], [], progress=False)
    assert states()["0"][0] == "failed" and "a batch needs 32" in states()["0"][1]


@pytest.mark.parametrize("end", [OutOfTime(), Stopped("so"), KeyboardInterrupt()])
def test_to_stop_is_no_failure(end):
    with pytest.raises(BaseException) as raised:
        compute([config()], [Toy(error=end)], time_limit=3600, progress=False)
    assert isinstance(raised.value, KeyboardInterrupt | BadInput)
    assert states()["0"] == ("left", "trained; 1 of 1 measures to go")


def test_whose_process_died_and_what_another_machine_does(monkeypatch):
    """By leases written by hand: one of a process that is no more, one of a machine that was silent for ten minutes,
    one of a machine that is at it, and one of a run of which this store was not asked."""
    (record,), _ = compute([config()], [], progress=False)
    key = record["key"]
    (store.folder(key) / "record.json").unlink()
    (store.folder(key) / "checkpoint.pt").touch()

    def put(key, silent=0, **more):
        said = {"owner": "node7, process 1", "machine": "node7", "pid": 1, "since": time.time() - 720, "lifetime": 120}
        folder = store.folder(key) / store.LEASE
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "9").write_text(json.dumps(said | more))
        os.utime(folder / "9", (time.time() - silent,) * 2)

    put(key, machine=leases._machine(), started="1", pid=os.getpid())
    assert states()["0"] == ("left", "a checkpoint is there; node7, process 1 was at it until 0 s ago")
    put(key, silent=600)
    assert states()["0"] == ("left", "a checkpoint is there; node7, process 1 was at it until 10 min ago")
    put(key)
    assert states()["0"] == ("running", "node7, process 1, for 12 min")
    put("of-an-evaluation")
    (other,) = [one for one in status.standings(times.known()) if one.title == "of-an-evaluation"]
    assert (other.state, other.words) == ("running", "node7, process 1, for 12 min")


def test_estimates_by_hand():
    """Trained at half a second a pass, and 60 s of the one measure that was timed; nothing is loaded for it."""
    method = replace(config(), method="simclr", settings=None)
    known = times.Times(
        {("resnet10_narrow",): 0.5}, {("toy(images=1)#1", "resnet10_narrow"): 60.0}, {("scenes", 64): 64}
    )
    ledger.ask(method, [Toy(), Toy("untimed")])
    work = 64 * 2  # an epoch of two views
    (one,) = status.standings(known)
    assert one.seconds == pytest.approx(0.5 * work + 60)
    assert (
        status.in_words([one])
        == "0 running, 0 failed, 1 left, 0 done; what is left or failed takes about 2 minutes here"
    )
    ledger.ask(replace(method, dataset="nowhere"), [])
    found = status.standings(known)
    assert [math.isnan(one.seconds) for one in found] == [one.dataset == "nowhere" for one in found]
    assert status.in_words(found).endswith("takes about 2 minutes here, without 1 that nobody has timed")


def test_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lib.runs", "status"])
    assert entrance.main() == 0 and capsys.readouterr().out == "no run was asked for\n"
    compute([config()], [Toy()], progress=False)
    ledger.ask(config(1), [Toy()])
    assert entrance.main() == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("0 running, 0 failed, 1 left, 1 done")
    assert len(lines) == 3 and lines[2].split()[-3:] == ["scenes", "left", "0.0"]


def test_what_cannot_be_read_is_left_out_and_a_store_that_cannot_be_written_is_no_matter():
    ledger.ask(config(), [Toy()])
    (path,) = ledger.place(config()).glob("*.json")
    for text in ("{", "[]", '{"config": {"method": "gone"}, "measures": []}'):
        path.write_text(text)
        assert ledger.asked() == []
    other = paths.runs().parent / "other"
    other.mkdir()
    (other / ledger.ASKED).write_text("in the way")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WITHSTAND_RUNS", str(other))
        compute([config()], [Toy()], progress=False)
        assert ledger.asked() == []
