"""Outcomes: what a run did on each image of a cell, so that differences of two systems know the images' paired error.

They are kept small: a bit an image where the outcome is right or wrong, and else a byte between the lowest and the
highest. A file is one block of bytes for all cells, with a table of contents and a checksum in front.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import zlib
from collections.abc import Hashable, Iterator, Mapping
from contextvars import ContextVar

import numpy as np

from lib.errors import BadInput

Outcomes = dict[tuple, np.ndarray]  # of what was measured, as rows name it -> (N,) one outcome an image, as fractions

MAGIC = b"outcomes 1\n"
_STEPS = 255  # of a byte: an outcome that is neither right nor wrong is off by less than a 500th of their range

_collected: ContextVar[Outcomes | None] = ContextVar("outcomes", default=None)


@contextlib.contextmanager
def collected() -> Iterator[Outcomes]:
    """All outcomes that are kept while it is open, also by functions below."""
    found: Outcomes = {}
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def keep(cell: tuple, outcomes: np.ndarray) -> None:
    """Hand the outcomes (N,) of a cell to whoever is collecting; nothing where nobody is."""
    if (found := _collected.get()) is not None:
        found[cell] = np.asarray(outcomes)


def encode(outcomes: Mapping[tuple, np.ndarray]) -> bytes:
    """As bytes; see `decode`. Cells are tuples of strings and numbers. Raises BadInput for what is not (N,) finite."""
    contents, blocks, start = [], [], 0
    for cell, values in outcomes.items():
        values = np.asarray(values)
        if values.ndim != 1 or not len(values) or not np.isfinite(values.astype(float)).all():
            raise BadInput(f"outcomes of {cell} are one finite number an image, (N,), not {values.shape}")
        low, high = float(values.min()), float(values.max())
        binary = bool(np.isin(values, (0, 1)).all())
        if binary:
            block = np.packbits(values.astype(bool)).tobytes()
        else:
            block = np.rint((values - low) / (high - low or 1) * _STEPS).astype(np.uint8).tobytes()
        scale = [] if binary else [low, high]
        contents.append([list(cell), len(values), start, *scale])
        blocks.append(block)
        start += len(block)
    head = json.dumps(contents, separators=(",", ":")).encode()
    body = zlib.compress(len(head).to_bytes(4, "little") + head + b"".join(blocks), 9)
    return MAGIC + hashlib.sha256(body).digest() + body


def decode(data: bytes) -> Outcomes:
    """The outcomes that `encode` was given: exact where they are right or wrong. Raises BadInput for damaged bytes."""
    body = data[len(MAGIC) + 32 :]
    if not data.startswith(MAGIC) or hashlib.sha256(body).digest() != data[len(MAGIC) : len(MAGIC) + 32]:
        raise BadInput("these outcomes are damaged or half-written: their checksum is another's; compute them again")
    body = zlib.decompress(body)
    length = 4 + int.from_bytes(body[:4], "little")
    contents, blocks = json.loads(body[4:length]), body[length:]
    found: Outcomes = {}
    for cell, count, start, *scale in contents:
        if scale:
            low, high = scale
            steps = np.frombuffer(blocks, np.uint8, count, start)
            found[tuple(cell)] = low + steps / _STEPS * (high - low)
        else:
            bits = np.frombuffer(blocks, np.uint8, (count + 7) // 8, start)
            found[tuple(cell)] = np.unpackbits(bits, count=count).astype(bool)
    return found


def paired_variances(
    systems: Mapping[Hashable, np.ndarray], weights: Mapping[Hashable, float], sources: np.ndarray | None = None
) -> float:
    r"""The variance over images of a sum of systems, (S, N) outcomes each, that their seeds' spread does not hold.

    With :math:`\bar x_{gn}` the mean over the S seeds of system g on image n, and N images,

    .. math:: \frac{1}{N} \mathrm{Var}_n\Big(\sum_g w_g \bar x_{gn}\Big)
              - \sum_g \frac{w_g^2}{S_g N} \, \overline{\mathrm{Var}_s}(x_{gsn} - \bar x_{gs})

    and no less than zero: what an image and a seed make together is in both the spread over images and that over
    seeds, and is taken away here once (analysis of variance with images and seeds crossed). `sources` (N,) names where
    an image comes from; images of one source, such as views of an object, are summed before their variance is taken.
    """
    images = next(iter(systems.values())).shape[1]
    means = sum(weights[name] * outcomes.mean(axis=0) for name, outcomes in systems.items())
    own = [
        weights[name] * (outcomes - outcomes.mean(axis=0) - outcomes.mean(axis=1, keepdims=True) + outcomes.mean())
        for name, outcomes in systems.items()
    ]
    found = _variance_of_mean(np.asarray(means, dtype=float), sources)
    for rest in own:
        seeds = len(rest)
        if seeds > 1:
            found -= sum(_variance_of_mean(line, sources) for line in rest) / (seeds * (seeds - 1))
    return max(found, 0.0) if images > 1 else 0.0


def _variance_of_mean(values: np.ndarray, sources: np.ndarray | None) -> float:
    """Of (N,) values; clustered by `sources`, if given."""
    count = len(values)
    apart = values - values.mean()
    if sources is None:
        return float((apart**2).sum() / (count * (count - 1)))
    _, places = np.unique(sources, return_inverse=True)
    sums = np.bincount(places, weights=apart)
    groups = len(sums)
    return float((sums**2).sum() / count**2 * groups / (groups - 1))
