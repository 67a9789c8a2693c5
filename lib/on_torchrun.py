"""One run on all processes that torchrun started, each with a GPU of its own where there are any.

The first process carries out the command, as it would alone: it reads and writes the store, measures and publishes. The
others wait for what it hands out, which is each training, and take part in it (`lib.world`). This file
loads torch only where it has to, as `lib.engines` does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from lib import stopping
from lib.errors import BadInput

PATIENCE = timedelta(days=7)  # of those that wait while the first process measures


def started() -> bool:
    """Whether torchrun started this process, and others with it."""
    return "LOCAL_RANK" in os.environ and int(os.environ.get("WORLD_SIZE", 1)) > 1


def led(command: Callable[[], int]) -> int:
    """The exit code of `command`, which the first process calls while the others help; without torchrun just that.

    Raises BadInput where a machine has GPUs, and fewer than processes.
    """
    if not started():
        return command()
    import torch
    import torch.distributed as dist

    from lib import world

    if gpus := torch.cuda.device_count():
        place = int(os.environ["LOCAL_RANK"])
        if place >= gpus:
            raise BadInput(f"each process needs a GPU of its own, and there are {gpus}: name as many to torchrun")
        torch.cuda.set_device(place)
    dist.init_process_group("nccl" if gpus else "gloo", timeout=PATIENCE)
    try:
        if world.rank():
            return _help()
        try:
            return command()
        finally:
            world.from_first(None)  # the others may go
    finally:
        dist.destroy_process_group()


def hand_out(task: Callable, *arguments: Any) -> None:
    """Have all other processes call `task`, by its name, with arguments that can be pickled; this one goes on.

    It has to do its own part of the task then, which waits for them where it needs to.
    """
    from lib import world

    if world.size() > 1:
        world.from_first((task, arguments))


def _help() -> int:
    """Do what is handed out until there is no more."""
    from lib import world

    with stopping.stoppable():
        while handed := world.from_first(None):
            task, arguments = handed
            try:
                task(*arguments)
            except BadInput:
                pass  # the first process meets it as well, and says so
        return stopping.AGAIN if stopping.asked() else 0
