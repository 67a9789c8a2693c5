"""Where runs are computed: in this process, in processes of this machine, or on a cluster of Ray.

Each is an executor with the interface of `concurrent.futures`, and has besides a `width`, the number of tasks that it
works on at once, and `stop`, which asks those under way to save what they have. `WITHSTAND_ENGINE` names one for every
command and notebook, and so does `RAY_ADDRESS`, which means Ray. This file knows no run, and loads torch only where it
has to: a worker begins at once.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from lib import on_torchrun, stopping
from lib.errors import BadInput, one_of

ENGINES = ("local", "processes", "ray")
VARIABLE = "WITHSTAND_ENGINE"
TRIES = 3  # of a task whose process is killed, as the system does where memory is short


class InProcess(Executor):
    """Runs each task at once, where it is submitted: the executor for one machine."""

    width = 1

    def submit(self, task: Callable, /, *arguments: Any, **options: Any) -> Future:
        """The result, or the error, of calling `task` now."""
        future: Future = Future()
        try:
            future.set_result(task(*arguments, **options))
        except BaseException as error:
            future.set_exception(error)
            if not isinstance(error, Exception):  # Ctrl-C stops everything
                raise
        return future

    def stop(self) -> None:
        """Nothing is under way when somebody can ask."""


class Processes(Executor):
    """A process for each GPU of this machine, or for each of its cores, which is its own.

    `workers` is their number and `threads` how many each computes with, where it has no GPU. A task whose process is
    killed is given to a new one, `TRIES` times in all; another task does not suffer from it.
    """

    def __init__(self, workers: int | None = None, threads: int | None = None) -> None:
        self.width = workers or len(_gpus()) or cores()
        named = threads or os.environ.get("OMP_NUM_THREADS")
        self.threads = int(named) if named else max(1, cores() // self.width)
        self._places = itertools.count()
        self._own = threading.local()
        self._pools: dict[int, tuple[ProcessPoolExecutor, int]] = {}  # by place: of one process each, and its number
        self._dispatch = ThreadPoolExecutor(self.width, initializer=self._take_a_place)

    def submit(self, task: Callable, /, *arguments: Any, **options: Any) -> Future:
        """A future of `task`, which goes to a process by its name, with arguments that can be pickled."""
        return self._dispatch.submit(self._done, task, arguments, options)

    def stop(self) -> None:
        """Ask every worker to stop at its next step."""
        for _, pid in list(self._pools.values()):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._dispatch.shutdown(wait, cancel_futures=cancel_futures)
        for pool, _ in list(self._pools.values()):
            pool.shutdown(wait, cancel_futures=cancel_futures)

    def _take_a_place(self) -> None:
        self._own.place = next(self._places)

    def _pool(self) -> ProcessPoolExecutor:
        place = self._own.place
        if place not in self._pools:
            spawned = multiprocessing.get_context("spawn")  # a forked process could not use the GPU
            gpus = _gpus()
            gpu = gpus[place % len(gpus)] if gpus else None
            pool = ProcessPoolExecutor(1, spawned, initializer=_begin, initargs=(gpu, self.threads))
            self._pools[place] = pool, pool.submit(os.getpid).result()
        return self._pools[place][0]

    def _done(self, task: Callable, arguments: tuple, options: dict) -> Any:
        for _ in range(TRIES):
            try:
                return self._pool().submit(task, *arguments, **options).result()
            except BrokenProcessPool:
                broken = self._pools.pop(self._own.place, None)
                if broken:
                    broken[0].shutdown(wait=False)
        raise BadInput(
            f"the process of a run was killed {TRIES} times, for want of memory perhaps; use fewer workers, and the "
            "same call goes on from here"
        )


def _begin(gpu: str | None, threads: int) -> None:
    """The first thing that a worker does."""
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if torch := sys.modules.get("torch"):  # where the command's own module was loaded first
        torch.set_num_threads(threads)
    for one in (*stopping.SIGNALS, signal.SIGINT):
        signal.signal(one, stopping.ask)


def _gpus() -> list[str]:
    """The names of the GPUs that this process may use."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",")[:count] if named else [str(number) for number in range(count)]


def cores() -> int:
    """Of the machine, as far as this process may use them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def named(engine: str | None = None) -> str:
    """The name of the engine: `engine`, or the environment's, or "local"."""
    found = engine or os.environ.get(VARIABLE) or ("ray" if os.environ.get("RAY_ADDRESS") else ENGINES[0])
    if one_of(found, ENGINES, "engine") != ENGINES[0] and on_torchrun.started():
        raise BadInput(f"torchrun has all processes work on one run, which is no task for {found}: its engine is local")
    return found


def opened(engine: str | None = None, workers: int | None = None) -> Executor:
    """The executor of an engine, to be used as a context; `workers` are those of "processes"."""
    name = named(engine)
    if name == "ray":
        from lib.on_ray import OnRay  # which alone needs Ray

        return OnRay()
    return Processes(workers) if name == "processes" else InProcess()
