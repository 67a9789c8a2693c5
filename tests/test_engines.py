"""Executors: what is killed is done again, errors arrive as they were, and who is asked to stop stops."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait
from pathlib import Path

import pytest

from lib import engines, stopping
from lib.engines import TRIES, InProcess, Processes
from lib.errors import BadInput

# Tasks. They go to workers by name, and load nothing large there.


def told():
    return os.getpid(), os.environ.get("OMP_NUM_THREADS"), os.environ.get("WITHSTAND_RUNS"), "torch" in sys.modules


def fail(words):
    raise BadInput(words)


def killed_until(path, attempts):
    """Dies so often, by kill -9, and then says how often it was called."""
    with open(path, "a") as file:
        file.write("x")
    count = len(Path(path).read_text())
    if count <= attempts:
        os.kill(os.getpid(), signal.SIGKILL)
    return count


def until_stopped(path):
    """As training does: steps, until it is asked to stop or its process gets an error."""
    Path(path).write_text("begun")
    try:
        for _ in range(6000):
            if stopping.asked():
                Path(path).write_text("saved")
                return "saved"
            time.sleep(0.01)
    except BaseException:
        Path(path).write_text("interrupted")
        raise
    Path(path).write_text("ran on")


def until(path, words, seconds=120):
    for _ in range(seconds * 50):
        if path.exists() and path.read_text() == words:
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} does not say {words}")


def test_processes(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with Processes(2) as executor:
        assert executor.width == 2
        found = [executor.submit(told) for _ in range(8)]
        pids = {future.result()[0] for future in found}
        assert len(pids) <= 2 and os.getpid() not in pids
        assert {future.result()[1:] for future in found} == {("3", os.environ["WITHSTAND_RUNS"], False)}
        with pytest.raises(BadInput, match="as it was"):
            executor.submit(fail, "as it was").result()
        # One that dies twice, one that always does, and one that has nothing to do with them.
        mended = executor.submit(killed_until, tmp_path / "mended", TRIES - 1)
        poisoned = executor.submit(killed_until, tmp_path / "poisoned", 99)
        others = [executor.submit(told) for _ in range(4)]
        assert mended.result() == TRIES
        with pytest.raises(BadInput, match=f"was killed {TRIES} times, .* use fewer workers, and the same call"):
            poisoned.result()
        assert all(other.result() for other in others)
        # A signal: two are at work, and the third has not begun.
        paths = [tmp_path / name for name in ("one", "two")]
        running = [executor.submit(until_stopped, path) for path in paths]
        for path in paths:
            until(path, "begun")
        waiting = executor.submit(told)
        assert waiting.cancel() and not running[0].cancel()
        executor.stop()
        assert [future.result() for future in running] == ["saved", "saved"]


def test_names_of_engines(monkeypatch):
    for name in (engines.VARIABLE, "RAY_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    assert engines.named() == "local" and engines.named("ray") == "ray"
    assert isinstance(engines.opened(), InProcess)
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    assert engines.named() == "ray" and engines.named("local") == "local"
    monkeypatch.setenv(engines.VARIABLE, "processes")
    assert engines.named() == "processes"
    with engines.opened(workers=5) as executor:
        assert isinstance(executor, Processes) and executor.width == 5
    with pytest.raises(BadInput, match="unknown engine 'rays' .did you mean 'ray'.*allowed: local, processes, ray"):
        engines.named("rays")


def test_each_worker_has_a_gpu_of_its_own(monkeypatch):
    """Of those that the process may use, over and over where there are more workers."""
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert engines._gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert engines._gpus() == ["4", "6"]
    with Processes(3) as executor:
        assert executor.width == 3
        given = [executor.submit(os.getenv, "CUDA_VISIBLE_DEVICES") for _ in range(3)]
        assert {future.result() for future in given} <= {"4", "6"}
    assert Processes().width == 2


def test_without_ray_it_is_one_sentence():
    code = (
        "import sys; sys.modules['ray'] = None\n"
        "from lib import engines; from lib.errors import BadInput\n"
        "try: engines.opened('ray')\n"
        "except BadInput as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "the engine ray needs Ray: install the extra, pip install withstand[cluster]\n"


@pytest.fixture(scope="module")
def cluster():
    """A node of Ray on loopback with two cores, for all tests."""
    ray = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parent.parent)]))
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("RAY_AUTH_MODE", "disabled")  # or it would write a token into the home of whoever tests
        patch.setenv("RAY_agent_register_timeout_ms", "100000")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
        yield ray
        ray.shutdown()


def test_ray(cluster, tmp_path, monkeypatch):
    """What `ObjectRef.future()` does not do by itself: `cancel` that ends a task, and errors as they were."""
    monkeypatch.setenv("WITHSTAND_ANYTHING", "is known")
    with engines.opened("ray") as executor:
        assert executor.width == 2
        pid, threads, runs, torch = executor.submit(told).result(timeout=300)
        assert pid != os.getpid() and (threads, runs, torch) == ("1", os.environ["WITHSTAND_RUNS"], False)
        assert executor.submit(os.getenv, "WITHSTAND_ANYTHING").result() == "is known"
        error = executor.submit(fail, "as it was").exception()
        assert type(error) is BadInput and str(error) == "as it was"
        assert executor.submit(killed_until, str(tmp_path / "killed"), 2).result() == 3
        running = executor.submit(until_stopped, str(tmp_path / "running"))
        until(tmp_path / "running", "begun")
        assert running.cancel() and running.cancelled()
        until(tmp_path / "running", "interrupted")
        done, _ = wait([running], timeout=60)
        assert done == {running} and running.cancel()
        stopped = [executor.submit(until_stopped, str(tmp_path / f"stopped {number}")) for number in range(3)]
        until(tmp_path / "stopped 0", "begun")
        executor.stop()
        assert all(future.cancelled() for future in stopped)
        finished = executor.submit(told)
        assert finished.result() and not finished.cancel()
    assert cluster.is_initialized()  # it was there before
