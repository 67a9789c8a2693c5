"""An attack looks at a network and must not change it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from lib.errors import one_of
from lib.precision import exact_float32

MODES = ("eval", "batch")


@contextmanager
def held(modules: nn.Module | Iterable[nn.Module], mode: str = "eval") -> Iterator[None]:
    """A context whose forwards and backwards leave `modules` as they are, also when one raises.

    In `mode` "eval" batch norm uses its running statistics. In "batch" it uses those of the batch, as in training, and
    its running statistics stay as they are. Parameters ask for no gradient meanwhile, so that even a `backward` cannot
    add to one (and so that none is computed in vain). Products of float32 are exact (`exact_float32`): a small gradient
    must not lose its sign. Afterwards every training flag, every `requires_grad` and the state of torch's global
    generators are what they were.
    """
    one_of(mode, MODES, "mode")
    modules = [modules] if isinstance(modules, nn.Module) else list(modules)
    parts = [part for module in modules for part in module.modules()]
    parameters = [parameter for module in modules for parameter in module.parameters()]
    norms = [part for part in parts if isinstance(part, _NormBase)]
    training = [part.training for part in parts]
    tracks = [norm.track_running_stats for norm in norms]
    trainable = [parameter.requires_grad for parameter in parameters]
    devices = sorted({parameter.device.index for parameter in parameters if parameter.is_cuda})
    with torch.random.fork_rng(devices), exact_float32():
        try:
            for module in modules:
                module.train(mode == "batch")
            for norm in norms:
                norm.track_running_stats &= mode == "eval"  # a norm in training that tracks nothing updates nothing
            for parameter in parameters:
                parameter.requires_grad_(False)
            yield
        finally:
            for part, flag in zip(parts, training, strict=True):
                part.training = flag
            for norm, flag in zip(norms, tracks, strict=True):
                norm.track_running_stats = flag
            for parameter, flag in zip(parameters, trainable, strict=True):
                parameter.requires_grad_(flag)
