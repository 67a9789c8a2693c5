"""A bucket as the store: what one machine sends another one has, one at a time, and nothing damaged is believed.

Machines are processes, or folders of the cache. Objects lie at `file://`, and on a server of S3 where the extra
`bucket` and moto are there.
"""

import functools
import importlib.util
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from lib import bucket, files, leases, paths
from lib.errors import BadInput
from lib.runs import RunConfig, compute, fitting, ledger, status, store, times
from lib.runs import __main__ as entrance
from lib.training import Training, trainer

SECONDS = 1.0


@pytest.fixture(scope="module")
def server():
    """The address of a server of S3 on this machine."""
    pytest.importorskip("s3fs", reason="needs the extra bucket")
    moto = pytest.importorskip("moto.server", reason="needs moto[server], which has a server of S3")
    running = moto.ThreadedMotoServer(port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture(params=["file", "s3"])
def url(request, tmp_path, monkeypatch):
    """The address of an empty store, which this process uses."""
    found, kind = f"file://{tmp_path}/bucket/runs", request.param
    if kind == "s3" or kind == "best" and all(map(importlib.util.find_spec, ("s3fs", "moto", "flask"))):
        address = request.getfixturevalue("server")
        import boto3

        names = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
        for name, value in (names | {"AWS_ENDPOINT_URL": address}).items():
            monkeypatch.setenv(name, value)
        name = f"runs-{tmp_path.name.replace('_', '-').lower()[-40:].strip('-')}"
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket=name)
        found = f"s3://{name}/some/where"
    monkeypatch.setenv("WITHSTAND_RUNS", found)
    machine(monkeypatch, tmp_path, "a")
    yield found
    bucket._connected.cache_clear()


def machine(monkeypatch, tmp_path, name):
    """From here on this process is one of another machine."""
    (tmp_path / name).mkdir(exist_ok=True)
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path / name))


def objects(url):
    fs, root = bucket._opened()
    return {at.removeprefix(f"{root}/"): at for at in fs.find(root)}


def damage(url, name):
    """Cut the object of a file short."""
    fs, _ = bucket._opened()
    (at,) = [at for own, at in objects(url).items() if own.rpartition(".")[0] == name]
    data = fs.cat_file(at)
    fs.pipe_file(at, data[: len(data) // 2])


def test_a_file_is_sent_replaced_fetched_and_removed(url, tmp_path, monkeypatch, capsys):
    home = store.folder("key")
    for text in ("one", "two", "two"):
        files.write_text(home / "rows" / "a.csv", text)
    files.write_text(home / "checkpoint.pt", "large")
    assert [name.rpartition(".")[0] for name in sorted(objects(url))] == ["key/checkpoint.pt", "key/rows/a.csv"]
    machine(monkeypatch, tmp_path, "b")
    there, home = bucket.look(), store.folder("key")
    assert there.has(home / "rows" / "a.csv") and not there.has(home / "b.csv") and there.homes("rows") == [home]
    assert not home.exists()
    bucket.pull(home)
    assert (home / "rows" / "a.csv").read_text() == "two" and not (home / "checkpoint.pt").exists()
    (home / "left.csv").write_text("of nobody")
    (home / "rows" / "a.csv").write_text("altered")
    bucket.pull(home, own=True)
    assert (home / "rows" / "a.csv").read_text() == "two" and (home / "checkpoint.pt").read_text() == "large"
    assert not (home / "left.csv").exists()
    time.sleep(1.1 * url.startswith("s3"))  # whose times are whole seconds
    fs, root = bucket._opened()
    fs.pipe_file(f"{root}/key/checkpoint.pt.0123456789abcdef", b"half of a newer o")
    bucket.pull(home, own=True)
    said = f"{url}/key/checkpoint.pt is damaged (its checksum is another's); the one before it is taken\n"
    assert (home / "checkpoint.pt").read_text() == "large" and capsys.readouterr().err == said
    bucket.remove(home / "checkpoint.pt")
    assert len(objects(url)) == 1 and not (home / "checkpoint.pt").exists()


def test_leases_of_a_bucket(url, tmp_path, monkeypatch):
    """One after the other, none beside; a silent one is waited for, and who slept is told."""
    monkeypatch.setattr(leases, "BEAT", 3600)
    folder = store.folder("key") / "lease"
    with leases.held(folder) as lease:
        assert lease.number == 1 and leases.look(folder).state == leases.HELD
        with leases.held(folder, wait=False) as second:
            assert second is None
    assert leases.look(folder).state == leases.FREE and list(objects(url)) == ["key/lease/1"]
    assert leases.look(store.folder("other") / "lease") is None
    monkeypatch.setattr(leases, "LIFETIME", SECONDS)
    with leases.held(folder) as slept:
        monkeypatch.setattr(leases, "_machine", lambda: "elsewhere")
        machine(monkeypatch, tmp_path, "b")
        folder = store.folder("key") / "lease"
        started = time.monotonic()
        with leases.held(folder) as second:
            assert second.number == 3 and time.monotonic() - started > SECONDS
            with pytest.raises(BadInput, match="was taken over by another process"):
                slept.check()
            second.check()
    assert list(objects(url)) == ["key/lease/3"] and not folder.exists()


def test_of_many_who_create_an_object_one_gets_it(url):
    place = bucket.Numbered(store.folder("key") / "lease")
    for number in range(1, 6):
        with ThreadPoolExecutor(6) as several:
            got = list(several.map(place.create, [number] * 6, [b"%d" % own for own in range(6)]))
        assert sorted(got) == [False] * 5 + [True] and place.read(number) == b"%d" % got.index(True)
    assert sorted(place.numbers()) == [1, 2, 3, 4, 5] and abs(place.now() - place.written(5)) < 10


once = pytest.mark.parametrize("url", ["best"], indirect=True)  # of what trains for a while

CONFIG = RunConfig(
    "toy", "simclr", "resnet10_narrow", 0, None, Training(epochs=2, batch_size=16, precision="fp32")
)  # fmt: skip


@pytest.fixture
def toy(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(256, size=(60, 16, 16, 3), dtype=np.uint8)
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "toy.npz", images=pixels, labels=np.arange(60) % 2, test=np.arange(60) >= 50)
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(fitting, "train", functools.partial(trainer.train, checkpoint_seconds=0.0))


def begun(home, last=None):
    """A process that computes `CONFIG`, with a cache of its own, and dies before the step `last`."""
    child = os.fork()
    if child:
        return child
    learn = trainer._Run.learn

    def told(run, step, batch):
        with open(home / "steps", "a") as file:
            file.write(f"{step} ")
        if step == last:
            os.kill(os.getpid(), signal.SIGKILL)
        learn(run, step, batch)

    code = 1
    try:
        home.mkdir()
        os.environ["WITHSTAND_CACHE"], trainer._Run.learn = str(home), told
        compute([CONFIG], [], progress=False)
        code = 0
    finally:
        os._exit(code)


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@once
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks")
def test_a_run_is_computed_once_and_taken_over_with_the_same_bits(url, toy, tmp_path, monkeypatch, capsys, one_thread):
    """A process is killed in the middle; of two others one goes on from its checkpoint, and the other one reads."""
    with monkeypatch.context() as patch:
        patch.setenv("WITHSTAND_RUNS", str(tmp_path / "folder"))
        (record,), _ = compute([CONFIG], [], progress=False)  # without a break; processes begin with what it imports
        expected = (store.folder(record["key"]) / "weights.safetensors").read_bytes()
    homes = [tmp_path / name for name in ("killed", "one", "two")]
    assert ended(begun(homes[0], 3)) == -signal.SIGKILL
    assert [ended(child) for child in [begun(home) for home in homes[1:]]] == [0, 0]
    steps = [(home / "steps").read_text() if (home / "steps").exists() else "" for home in homes]
    assert steps[0] == "0 1 2 3 " and sorted(steps[1:]) == ["", "3 "]
    monkeypatch.setattr(sys, "argv", ["", "status"])
    assert entrance.main() == 0 and "1 done" in capsys.readouterr().out
    with monkeypatch.context() as patch:
        patch.setattr("lib.runs.engine._train", None)  # it is there: nothing is trained any more
        compute([CONFIG], [], progress=False)
    assert (store.folder(record["key"]) / "weights.safetensors").read_bytes() == expected
    assert not any("checkpoint" in name for name in objects(url))


@once
def test_what_is_damaged_is_computed_again(url, toy, tmp_path, monkeypatch, capsys, one_thread):
    (first,), _ = compute([CONFIG], [], progress=False)
    key = first["key"]
    weights = (store.folder(key) / "weights.safetensors").read_bytes()
    for place, name in enumerate(("weights.safetensors", "record.json")):
        damage(url, f"{key}/{name}")
        machine(monkeypatch, tmp_path, f"machine {place}")
        compute([CONFIG], [], progress=False)
        said = capsys.readouterr().err
        assert said == f"{url}/{key}/{name} is damaged (its checksum is another's); it is computed again\n"
        assert (store.folder(key) / "weights.safetensors").read_bytes() == weights


def refusal(monkeypatch, url):
    monkeypatch.setenv("WITHSTAND_RUNS", url)
    with pytest.raises(BadInput) as error:
        files.write_text(store.folder("key") / "record.json", "{}")
    assert "\n" not in str(error.value) and url in str(error.value)
    return str(error.value)


def test_an_address_that_is_no_store_is_refused_in_a_sentence(tmp_path, monkeypatch):
    machine(monkeypatch, tmp_path, "a")
    assert "two machines could both begin a run" in refusal(monkeypatch, "memory://runs")
    assert "an address begins with s3:// or file://" in refusal(monkeypatch, "carrier-pigeon://runs")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(importlib.import_module("fsspec.registry")._registry, "s3", raising=False)
    assert "pip install withstand[bucket]" in refusal(monkeypatch, "s3://without/package")


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_a_server_that_refuses_is_told_in_a_sentence(url, monkeypatch):
    assert "there is no bucket for" in refusal(monkeypatch, "s3://nobody-made-this/runs")
    with monkeypatch.context() as patch:
        patch.setattr(bucket, "_created", lambda *_: True)
        assert "it must know If-None-Match" in refusal(monkeypatch, f"{url}/again")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    assert "there are no credentials" in refusal(monkeypatch, f"{url}/without")


def test_the_store_tells_how_far_runs_are_from_another_machine(url, tmp_path, monkeypatch, capsys):
    ledger.ask(CONFIG, [])
    files.write_text(store.folder("k1") / "checkpoint.pt", "")
    with ledger.under_way(CONFIG, "k1"), leases.held(store.folder("k1") / store.LEASE):
        machine(monkeypatch, tmp_path, "b")
        status.refresh()
        (one,) = status.standings(times.known())
        assert one.state == "running" and f"process {os.getpid()}" in one.words
    (one,) = status.standings(times.known())
    assert one.state == "left" and one.words == "a checkpoint is there"
    assert not (store.folder("k1") / "checkpoint.pt").exists() and paths.runs().is_relative_to(tmp_path / "b")
