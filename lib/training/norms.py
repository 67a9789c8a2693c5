"""Batch norm over a batch that several processes share: what it would be in one of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from lib import world


class _Shared(_BatchNorm):
    """torch's own, `nn.SyncBatchNorm`, computes the same and needs GPUs of its own; this is its formula."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        self._check_input_dim(x)
        mean, variance, count = moments(x)
        if self.track_running_stats:
            self._follow(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = (variance + self.eps).rsqrt()
        scale = scale if self.weight is None else scale * self.weight
        places = (-1, *[1] * (x.ndim - 2))  # of a channel beside its pixels
        out = (x - mean.view(places)) * scale.view(places)
        return (out if self.bias is None else out + self.bias.view(places)).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


class _Shared1d(_Shared, nn.BatchNorm1d):
    pass


class _Shared2d(_Shared, nn.BatchNorm2d):
    pass


_KINDS: dict[type, type] = {nn.BatchNorm1d: _Shared1d, nn.BatchNorm2d: _Shared2d}


def moments(x: Tensor) -> tuple[Tensor, Tensor, int]:
    """Mean and variance of each channel of (N, C, ...) over the images of all processes, which have N each, and over
    how many values.

    The variance of all is the mean of those within processes and the variance of their means: no large squares are
    subtracted from each other.
    """
    axes = (0, *range(2, x.ndim))
    own = torch.stack(torch.var_mean(x.float(), axes, correction=0))  # (2, C)
    variances, means = world.gathered(own[None]).unbind(1)  # (processes, C) each
    count = len(means) * x.numel() // x.shape[1]
    return means.mean(0), variances.mean(0) + means.var(0, correction=0), count


@contextlib.contextmanager
def synchronised(module: nn.Module) -> Iterator[None]:
    """A context in which the batch norms in `module` have the statistics of the batch of all processes, if there are
    several. Their weights, buffers and names are what they were, and so are they afterwards."""
    norms = [part for part in module.modules() if type(part) in _KINDS] if world.size() > 1 else []
    kinds = [type(norm) for norm in norms]
    try:
        for norm in norms:
            norm.__class__ = _KINDS[type(norm)]
        yield
    finally:
        for norm, kind in zip(norms, kinds, strict=True):
            norm.__class__ = kind
