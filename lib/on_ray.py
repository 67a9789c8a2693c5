"""A cluster of Ray as an executor like those of `concurrent.futures`. Nothing else imports Ray (extra `cluster`).

This package is installed on the nodes, and they reach one store: tasks travel by name, with names as arguments, and
code and data never do. `RAY_ADDRESS` says where the cluster is; without it this machine is one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from lib import paths, stopping
from lib.errors import BadInput

RETRIES = 20  # of a task whose worker or node dies: it goes on from its checkpoint
OUT_OF_MEMORY_RETRIES = 3  # of one that Ray's memory monitor kills, which Ray counts apart, and without end by default
GPUS_VARIABLE = "WITHSTAND_GPUS_PER_RUN"  # 1 by default; 0.5 puts two runs on one GPU


class OnRay(Executor):
    """Tasks on the nodes of a cluster: on a GPU each, or a share of one, where the cluster has GPUs, else on a core."""

    def __init__(self, address: str | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise BadInput("the engine ray needs Ray: install the extra, pip install withstand[cluster]") from error
        os.environ.setdefault("RAY_task_oom_retries", str(OUT_OF_MEMORY_RETRIES))  # read by who submits
        try:
            self._started = not ray.is_initialized()
            ray.init(address or os.environ.get("RAY_ADDRESS"), ignore_reinit_error=True, log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise BadInput(f"no cluster of Ray is found ({reason}); start one, or name it by RAY_ADDRESS") from error
        self._ray = ray
        self._gpus = float(os.environ.get(GPUS_VARIABLE, "1")) if ray.cluster_resources().get("GPU") else 0.0
        needs = {"num_gpus": self._gpus} if self._gpus else {"num_cpus": 1}
        self._task = ray.remote(**needs, max_retries=RETRIES)(_do)
        self._flights: set[_OfRay] = set()

    @property
    def width(self) -> int:
        """Of the cluster as it is now: nodes come and go."""
        resources = self._ray.cluster_resources()
        return max(1, int(resources.get("GPU", 0) / self._gpus if self._gpus else resources.get("CPU", 0)))

    def submit(self, task: Callable, /, *arguments: Any, **options: Any) -> Future:
        """A future of `task`, with its own errors and not Ray's around them; to cancel it ends the task."""
        ref = self._task.remote(_environment(), self._gpus, task, arguments, options)
        future = _OfRay(self._ray, ref)
        self._flights.add(future)
        future.add_done_callback(self._flights.discard)
        ref.future().add_done_callback(future.land)
        return future

    def stop(self) -> None:
        """End every task; a run goes on from its last checkpoint, which is a minute old at most."""
        for future in list(self._flights):
            future.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if cancel_futures:
            self.stop()
        for future in list(self._flights) if wait else ():
            with contextlib.suppress(BaseException):
                future.result()
        if self._started:
            self._ray.shutdown()


class _OfRay(Future):
    """What `ObjectRef.future()` should be: that one's `cancel` answers True while the task runs on."""

    def __init__(self, ray: Any, ref: Any) -> None:
        super().__init__()
        self._ray, self._ref = ray, ref

    def cancel(self) -> bool:
        already = self.done()
        cancelled = super().cancel()
        if cancelled and not already:
            self._ray.cancel(self._ref, force=False)  # an error in the task: what it holds is given back
        return cancelled

    def land(self, inner: Future) -> None:
        """Take over what Ray's own future has, unless this one was cancelled."""
        if not self.set_running_or_notify_cancel():
            return
        if (error := inner.exception()) is None:
            self.set_result(inner.result())
        else:
            self.set_exception(self._unwrapped(error))

    def _unwrapped(self, error: BaseException) -> BaseException:
        errors = self._ray.exceptions
        if isinstance(error, errors.TaskCancelledError):
            return stopping.Stopped("the task was cancelled; nothing is lost, the same call goes on from here")
        if isinstance(error, errors.RayTaskError):
            return error.cause
        if isinstance(error, errors.OutOfMemoryError):
            return BadInput(f"a run was killed {OUT_OF_MEMORY_RETRIES} times for want of memory; give it a larger node")
        if isinstance(error, errors.RayError):
            reason = str(error).strip().splitlines()[0]
            return BadInput(f"the cluster lost a run too often ({reason}); the same call goes on from its checkpoint")
        return error


def _environment() -> dict[str, str]:
    """The store of who submits, which is everybody's; other variables of this package where a node has none."""
    ours = {name: value for name, value in os.environ.items() if name.startswith("WITHSTAND_")}
    return ours | {"WITHSTAND_RUNS": paths.bucket() or str(paths.runs())}


def _do(environment: dict[str, str], gpus: float, task: Callable, arguments: tuple, options: dict) -> Any:
    """The task, in a worker of a node."""
    os.environ.update({name: os.environ.get(name, value) for name, value in environment.items()})
    os.environ["WITHSTAND_RUNS"] = environment["WITHSTAND_RUNS"]
    if 0 < gpus < 1:
        import torch  # Ray only counts: two processes on one GPU share its memory if each is held to its own

        torch.cuda.set_per_process_memory_fraction(gpus)
    elif not gpus and (torch := sys.modules.get("torch")):
        torch.set_num_threads(1)  # where it is loaded later, by OMP_NUM_THREADS, which Ray sets
    return task(*arguments, **options)
