"""Kernels of a book's notebooks: they are reached by files, and begin with their imports behind them.

To import what a notebook of this book needs takes seconds of a core. On Linux each process that executes notebooks
keeps a server (`multiprocessing`'s "forkserver") that has imported it once and computed nothing; kernels are forks of
it, as clean as new interpreters. Elsewhere they are interpreters of their own.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import sys
from importlib.metadata import EntryPoint
from multiprocessing.process import BaseProcess
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from traitlets import default

# Before any fork. PyTorch asks for its compiler as the first optimiser is made: three seconds of a core.
IMPORTED = (
    "ipykernel.kernelapp", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "myst_nb", "pandas",
    "seaborn", "torch", "torch._dynamo", "torchvision", "lib.chapters", "lib.figures", "lib.runs",
)  # fmt: skip
BACKEND = "module://matplotlib_inline.backend_inline"  # matplotlib reads it as it is imported, before a kernel sets it
FORKED = "withstand-forked"


class Forked(LocalProvisioner):
    """Starts kernels as forks, in the place of commands; to watch and to end them is as with any process."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
        context = multiprocessing.get_context("forkserver")
        os.environ.setdefault("MPLBACKEND", BACKEND)  # of the server, which starts with the first kernel
        context.set_forkserver_preload(list(IMPORTED))
        connection = cmd[cmd.index("-f") + 1]
        process = context.Process(target=_kernel, args=(connection, options["env"], options.get("cwd")))
        process.start()
        self.process, self.pid, self.pgid = _AsPopen(process), process.pid, None
        return self.connection_info


class _AsPopen:
    """A process of `multiprocessing` with the names of `subprocess`'s."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.kill, self.terminate = process.kill, process.terminate

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self._process.pid and self.poll() is None:
            os.kill(self._process.pid, number)


def _kernel(connection: str, environment: dict[str, str], folder: str | None) -> None:
    """The life of a forked kernel, which ends with its server's if nobody ends it before."""
    from ipykernel.kernelapp import IPKernelApp

    os.environ.clear()
    os.environ |= environment
    if folder:
        os.chdir(folder)
    gc.freeze()  # what was imported before the fork is no garbage, and need not be searched for any
    gc.set_threshold(20_000, 20, 20)
    sys.argv = ["ipykernel_launcher"]
    IPKernelApp.launch_instance(["-f", connection, f"--IPKernelApp.parent_handle={os.getppid()}"])


def kernels(folder: str) -> type:
    """What starts kernels: where the system has such, they are reached by sockets in `folder` in the place of ports.

    A port is chosen while it is free, and may be taken by the time the kernel binds it, seconds later on a busy machine
    on which several start; that kernel never answers, and never ends.
    """

    class KernelsOverFiles(AsyncKernelManager):
        if os.name == "posix":

            @default("transport")
            def _files(self) -> str:
                return "ipc"

            @default("ip")
            def _place(self) -> str:
                return os.path.join(folder, "kernel")

    return KernelsOverFiles


def fork_kernels() -> None:
    """Kernels that this process starts from now on are forks, on Linux; elsewhere nothing changes."""
    if sys.platform == "linux":
        factory = KernelProvisionerFactory.instance()
        entry = EntryPoint(FORKED, f"{__name__}:{Forked.__name__}", KernelProvisionerFactory.GROUP_NAME)
        factory.provisioners[FORKED] = entry
        factory.default_provisioner_name = FORKED
