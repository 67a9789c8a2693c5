"""Processes of a test's own that begin at once: forks of one that has imported everything and computed nothing.

Each test process keeps such a one, forked when its tests were collected (`forks` in `conftest.py`), where one of them
asks for it. A new interpreter would import for seven to twelve seconds of a core. On a machine with a GPU, which a
forked process could not use, it is a new interpreter nevertheless.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import traceback

import torch

LONGEST = 1200  # seconds of a task, which may wait for something that never comes


class Forks:
    """Calls tasks in processes of their own, one after the other."""

    def __init__(self):
        self._end = None
        if torch.cuda.is_available():
            return
        self._end, other = multiprocessing.Pipe()
        if os.fork() == 0:
            try:
                self._end.close()
                _serve(other)
            finally:
                os._exit(0)
        other.close()

    def call(self, task, *given):
        """The exit code of `task(*given)`, which goes by its name, with arguments that can be pickled; and what it
        printed. It has one thread, and of this process its environment and its folder."""
        request = pickle.dumps((dict(os.environ), os.getcwd(), task, given))
        if self._end is None:
            code = f"import sys; sys.path[:] = {sys.path!r}; import forked; forked._begin(sys.stdin.buffer.read())"
            done = subprocess.run(
                [sys.executable, "-c", code], input=request, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            return done.returncode, done.stdout.decode()
        self._end.send_bytes(request)
        return self._end.recv()


def _serve(end):
    """Until the test process is gone."""
    imported = False
    with contextlib.suppress(EOFError):
        while request := end.recv_bytes():
            if not imported:  # what a training imports when it begins
                import lightly.models.modules.heads  # noqa: F401
                import torch._dynamo  # noqa: F401

                imported = True
            told, own = os.pipe()
            if (child := os.fork()) == 0:
                end.close()
                for number in (1, 2):
                    os.dup2(own, number)
                os.close(told), os.close(own)
                sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))
                _begin(request)
            os.close(own)
            with open(told, "rb") as file:
                said = file.read().decode()
            end.send((os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said))


def _begin(request):
    """The life of a process of a test's own."""
    status = 1
    try:
        environment, folder, task, given = pickle.loads(request)
        os.environ.clear()
        os.environ |= environment
        os.chdir(folder)
        signal.alarm(LONGEST)
        torch.set_num_threads(1)  # a pool of threads does not come along
        task(*given)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
