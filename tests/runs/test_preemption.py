"""Signals and other processes: a run that is asked to stop saves, goes on, and ends as one that was not; one that is
computed elsewhere is the same to the bit."""

import os
import signal
import threading
from dataclasses import replace

import pandas as pd
import pytest
from shorthand import own_set

from lib import images, stopping
from lib.engines import Processes
from lib.measures import Accuracy
from lib.runs import RunConfig, compute, engine, fitting, ledger, store
from lib.stopping import Stopped
from lib.training import Training

PLAN = Training(epochs=2, batch_size=32, precision="fp32")


@pytest.fixture(autouse=True)
def one_set(tmp_path, monkeypatch):
    """Small enough for everything, and read by other processes as well."""
    monkeypatch.setenv("WITHSTAND_DATA", str(own_set(tmp_path / "data", 150, 110)))
    images._whole.cache_clear()
    yield
    images._whole.cache_clear()


def config(seed=0, method="simclr"):
    return RunConfig("mine", method, "resnet10_narrow", seed, None, PLAN)


def weights(key):
    return (store.folder(key) / "weights.safetensors").read_bytes()


@pytest.fixture
def unbroken(monkeypatch):
    """Weights by key and rows of a run that nothing happens to, in a store of its own."""

    def computed(*configs):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("WITHSTAND_RUNS", os.environ["WITHSTAND_RUNS"] + "-unbroken")
            records, rows = compute(configs, [Accuracy()], progress=False)
            return {record["key"]: weights(record["key"]) for record in records}, rows

    return computed


@pytest.mark.parametrize("one", stopping.SIGNALS)
def test_a_signal_in_training_saves_and_the_next_call_goes_on(one, unbroken, monkeypatch):
    expected, expected_rows = unbroken(config())
    (key,) = expected
    with stopping.stoppable(), monkeypatch.context() as patch:
        patch.setattr(engine, "neighbour_monitor", lambda *_: lambda method: signal.raise_signal(one) or {})
        with pytest.raises(Stopped, match="a signal asked for an end with 0 of 2 runs complete; nothing is lost"):
            compute([config(), config(1)], [Accuracy()], progress=False)
    assert not stopping.asked()
    assert (store.folder(key) / "checkpoint.pt").exists() and store.load_record(key) is None
    assert {asked.config.seed: asked.failed for asked in ledger.asked()} == {0: None, 1: None}
    trained = []
    true = fitting.train
    monkeypatch.setattr(fitting, "train", lambda *given, **named: trained.append(true(*given, **named)) or trained[-1])
    _, rows = compute([config()], [Accuracy()], progress=False)
    assert [epoch["epoch"] for epoch in trained[0]] == [1, 2] and "neighbour accuracy" not in trained[0][0]
    assert weights(key) == expected[key]
    pd.testing.assert_frame_equal(rows, expected_rows, atol=1e-6)


def test_a_signal_between_measures_keeps_those_that_are_done(monkeypatch):
    asked = [Accuracy(), replace(Accuracy())]
    seen = []

    class Stopping:
        identity = "stopping()#1"

        def rows(self, subject):
            signal.raise_signal(signal.SIGTERM)
            return Accuracy().rows(subject)

    class Later(Stopping):
        identity = "later()#1"

        def rows(self, subject):
            seen.append(subject)
            return Accuracy().rows(subject)

    with stopping.stoppable(), pytest.raises(Stopped):
        compute([config(method="random")], [*asked, Stopping(), Later()], progress=False)
    (key,) = ledger.asked()[0].keys
    assert store.load_rows(key, Stopping.identity) is not None and store.load_rows(key, Later.identity) is None
    assert not seen
    compute([config(method="random")], [*asked, Later()], progress=False)
    assert len(seen) == 1


def test_outside_of_the_context_signals_do_what_they_did():
    handler = signal.getsignal(signal.SIGTERM)
    with stopping.stoppable():
        assert signal.getsignal(signal.SIGTERM) is stopping.ask
        stopping.ask()
        assert stopping.asked()
    assert signal.getsignal(signal.SIGTERM) is handler and not stopping.asked()


def test_runs_in_another_process_are_the_same_to_the_bit_and_stop_when_this_one_is_asked(
    unbroken, monkeypatch, one_thread
):
    """By the standard library's pool with spawn: configs and measures go by pickle, data by name. At last a signal
    comes to this process alone, which hands it on."""
    configs = [config(), config(method="random")]
    expected, expected_rows = unbroken(*configs)
    long = replace(config(5), training=replace(PLAN, epochs=4000))
    with Processes(1, threads=1) as executor:
        _, rows = compute(configs, [Accuracy()], executor=executor, progress=False)
        assert {key: weights(key) for key in expected} == expected
        pd.testing.assert_frame_equal(rows, expected_rows, atol=1e-6)
        begun = threading.Timer(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        begun.start()
        with stopping.stoppable(), pytest.raises(Stopped, match="a signal asked a worker for an end; nothing is lost"):
            compute([long], [], executor=executor, progress=False)
    (asked,) = [one for one in ledger.asked() if one.config == long]
    assert asked.failed is None and (store.folder(asked.keys[0]) / "checkpoint.pt").exists()
