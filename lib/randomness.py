"""Random fields that depend on a seed per image and on nothing else.

A `torch.Generator` hands out one sequence, so what image 7 gets depends on how many images came
before it and on the device. Renderers and corruptions need more: the same image, the same noise,
whatever the batch. Here number *k* of image *i* is a pure function of (seed *i*, stream, *k*):
SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable pseudorandom number generators"), whose
integer arithmetic is the same on every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from lib.inputs import whole


def _signed(value: int) -> int:
    """The two's-complement int64 that has the same 64 bits as the unsigned `value`."""
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)
_UNIT = 2.0**-24  # a float32 in [0, 1) has room for 24 random bits


def _shift_right(bits: Tensor, by: int) -> Tensor:
    """Logical shift of int64: `>>` copies the sign bit, the mask takes it away again."""
    return (bits >> by).bitwise_and_((1 << (64 - by)) - 1)


def mix(bits: Tensor) -> Tensor:
    """SplitMix64's finaliser: int64 in, int64 of any shape out; a bijection that flips half the bits."""
    bits = (bits ^ _shift_right(bits, 30)).mul_(_FIRST)
    bits ^= _shift_right(bits, 27)
    bits *= _SECOND
    return bits.bitwise_xor_(_shift_right(bits, 31))


def seed_of(*numbers: int) -> int:
    """One seed for a `torch.Generator` from several numbers: seed_of(run, epoch) and the like."""
    state = torch.zeros((), dtype=torch.int64)
    for number in numbers:
        state = mix(state + _GOLDEN + _signed(whole(number, "a seed", None) % (1 << 64)))
    return int(_shift_right(state, 1))


def image_seeds(count: int, generator: torch.Generator) -> Tensor:
    """`count` int64 seeds drawn from `generator`, which must live on the CPU.

    Two calls for 3 and 5 images draw what one call for 8 draws, so batches may be cut anywhere.
    """
    return torch.randint(-(1 << 63), (1 << 63) - 1, (count,), generator=generator)


def derive(seed: int, indices: Tensor) -> Tensor:
    """The int64 seed of image `indices[i]` in the set with number `seed`."""
    seed = whole(seed, "a seed", None)
    # One number may stay on the CPU: it goes along as an argument.
    return mix(mix(indices.long() * _GOLDEN) + mix(torch.tensor(_signed(seed % (1 << 64)))))


def bits(seeds: Tensor, stream: int, count: int) -> Tensor:
    """`count` random int64 for each of the (N,) `seeds`: (N, count). Streams are independent."""
    keys = mix(seeds + mix(torch.full_like(seeds, _signed((stream + 1) * _GOLDEN % (1 << 64)))))
    if seeds.device.type == "cpu":
        return torch.from_numpy(_mixed(keys.numpy()[:, None] + _counters(count)))
    counters = torch.arange(1, count + 1, device=seeds.device) * _GOLDEN
    return mix(keys[:, None] + counters)


@lru_cache(maxsize=16)  # some 100 kB each
def _counters(count: int) -> np.ndarray:
    """1, 2, ... `count` times the golden gamma: (count,) int64. Not to be written to."""
    return np.arange(1, count + 1) * np.int64(_GOLDEN)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """`mix` of int64 in their place. NumPy has unsigned numbers, whose shifts need no mask: half the time of torch."""
    bits = numbers.view(np.uint64)
    shifted = np.empty_like(bits)
    for by, factor in ((30, _FIRST), (27, _SECOND), (31, 1)):
        np.right_shift(bits, np.uint64(by), out=shifted)
        bits ^= shifted
        if factor != 1:
            bits *= np.uint64(factor % (1 << 64))
    return numbers


def _uniform_pairs(seeds: Tensor, stream: int, size: int) -> Tensor:
    """Two independent float32 fields in [0, 1) from the halves of 64 bits: (N, 2, ceil(size / 2))."""
    field = bits(seeds, stream, -(-size // 2))
    pairs = torch.empty(len(seeds), 2, field.shape[1], device=seeds.device)
    if seeds.device.type == "cpu":
        part = field.numpy().view(np.uint64) >> np.uint64(40)
        pairs[:, 0].numpy()[:] = part.view(np.int64)
        pairs[:, 1].numpy()[:] = np.bitwise_and(field.numpy(), 0xFFFFFF, out=part.view(np.int64))
    else:
        pairs[:, 0], pairs[:, 1] = _shift_right(field, 40), field & 0xFFFFFF
    return pairs.mul_(_UNIT)


def uniform(seeds: Tensor, shape: Sequence[int], stream: int = 0) -> Tensor:
    """Float32 uniform on [0, 1): (N, *shape) for (N,) int64 `seeds`."""
    size = math.prod(shape)
    return _uniform_pairs(seeds, stream, size).flatten(1)[:, :size].reshape(len(seeds), *shape)


def normal(seeds: Tensor, shape: Sequence[int], stream: int = 0) -> Tensor:
    """Float32 standard normal (Box-Muller): (N, *shape) for (N,) int64 `seeds`; |value| < 5.8."""
    size = math.prod(shape)
    field = _uniform_pairs(seeds, stream, size)
    first, second = field.unbind(1)
    radius = (1 - first).log_().mul_(-2).sqrt_()  # 1 - first is in (0, 1]: no log of zero
    angle = second.mul_(2 * math.pi)
    torch.cos(angle, out=first).mul_(radius)
    angle.sin_().mul_(radius)
    return field.flatten(1)[:, :size].reshape(len(seeds), *shape)


def integers(seeds: Tensor, low: int, high: int, shape: Sequence[int], stream: int = 0) -> Tensor:
    """Int64 uniform on low..high-1: (N, *shape). The bias is below (high - low) / 2**63."""
    field = _shift_right(bits(seeds, stream, math.prod(shape)), 1)
    return (field % (high - low) + low).reshape(len(seeds), *shape)
