"""One batch on several processes, each of which reads its share of the images: the world of `torch.distributed`.

Within `sharing`, which the trainer enters, tensors are of a process's own images, the share of the batch in its order,
and everything that a step asks of the others it asks here. Losses and gradients are those of the whole batch: what
compares images `gathered` them, what is random is `drawn` for all of them, a loss is the mean over the processes of
what each computes, and so is the gradient (`average_gradients`). Outside, and with one process, all of this gives back
what it is given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

_sharing = False  # not a ContextVar: compiled methods read it
_control: dict[Any, Any] = {}  # by world, a group of its processes that talks without a GPU


def size() -> int:
    """How many processes share the work; one where `torch.distributed` was not told of others."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, counted from 0, the one that writes files."""
    return dist.get_rank() if size() > 1 else 0


@contextlib.contextmanager
def sharing() -> Iterator[None]:
    """A context in which a batch is on all processes. All of them enter it, and ask for the same there in turn."""
    global _sharing
    before, _sharing = _sharing, size() > 1
    try:
        yield
    finally:
        _sharing = before


def gathered(own: Tensor, axis: int = 0) -> Tensor:
    """Of all images what `own` is of this process's, along `axis`, in their order in the batch: with a gradient."""
    if not _sharing:
        return own
    return torch.compiler.disable(_Gathered.apply)(own, axis)  # a decorator would import the compiler for everybody


def share(whole: Tensor, axis: int = 0) -> Tensor:
    """What is this process's of something of all images, whose places are `axis`."""
    return whole.chunk(size(), axis)[rank()] if _sharing else whole


def drawn(count: int, draw: Callable[[int], Tensor]) -> Tensor:
    """What `draw` draws for `count` images of this process, when it draws for all.

    A generator so gives each image the same, and is left at the same place, however many processes there are.
    """
    return share(draw(count * size())) if _sharing else draw(count)


def following(own: Tensor) -> Tensor:
    """Of each image what `own` is of the one after it in the batch; of the last one that of the first."""
    if not _sharing:
        return own.roll(-1, dims=0)
    firsts = gathered(own[:1])
    return torch.cat((own[1:], firsts[(rank() + 1) % size()][None]))


@torch.no_grad()
def mean(own: Tensor) -> Tensor:
    """Of a number of each process, or of several: no gradient goes through it."""
    if not _sharing:
        return own
    total = own.clone()
    dist.all_reduce(total)
    return total / size()


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Those of the mean of all processes' losses, in the place of those of each."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not _sharing or not gradients:
        return
    joined = mean(torch.cat([gradient.flatten() for gradient in gradients]))  # at once: each message has its price
    parts = joined.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view(gradient.shape))


@torch.no_grad()
def begin_alike(module: nn.Module) -> None:
    """Give the module of each process the weights, buffers and other state of the first one's."""
    if size() == 1:
        return
    state = module.state_dict()
    for value in state.values():
        if isinstance(value, Tensor):
            own = value.contiguous()
            dist.broadcast(own, 0)
            value.copy_(own)
    others = from_first({name: value for name, value in state.items() if not isinstance(value, Tensor)})
    if others:
        module.load_state_dict(state | others)


def asked(said: bool) -> bool:
    """Whether any process says yes, so that all do the same. Waits for the others, and for no GPU."""
    if size() == 1:
        return said
    answer = torch.tensor(int(said))
    dist.all_reduce(answer, dist.ReduceOp.MAX, group=_talking())
    return bool(answer)


def wait() -> None:
    """Until all processes are here."""
    asked(False)


def from_first(own: Any) -> Any:
    """What the first process says: any object that can be pickled."""
    said = [own]
    if size() > 1:
        dist.broadcast_object_list(said, 0, group=_talking())
    return said[0]


def from_all(own: Any) -> list:
    """What each process says, in their order: any object that can be pickled."""
    found = [own] * size()
    if size() > 1:
        dist.all_gather_object(found, own, group=_talking())
    return found


def _talking() -> Any:
    """A group of all processes on their processors, made at the first call, which all make."""
    if dist.get_backend() == "gloo":
        return dist.group.WORLD
    world = dist.group.WORLD
    if world not in _control:
        _control.clear()
        _control[world] = dist.new_group(backend="gloo")
    return _control[world]


class _Gathered(torch.autograd.Function):
    """All processes' losses have a gradient in what each of them gathered: their sum goes back to whose it is."""

    @staticmethod
    def forward(context: Any, own: Tensor, axis: int) -> Tensor:
        context.axis = axis
        parts = [torch.empty_like(own, memory_format=torch.contiguous_format) for _ in range(size())]
        dist.all_gather(parts, own.contiguous())
        return torch.cat(parts, axis)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        total = gradient.contiguous().clone()
        dist.all_reduce(total)
        return total.chunk(size(), context.axis)[rank()], None
