"""Outcomes: what a run did on each image of a cell, so that differences of two systems know the images' paired error.

`lib.measures.rows.row` hands them over as it makes a row of them; whoever runs a measure may collect them. They are
kept small: a bit an image where the outcome is right or wrong, and else a byte, in steps of a power of two. A file has
a checksum in front, a table of contents with cells that many runs share, and one block of bytes for each cell.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import zlib
from collections.abc import Hashable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from lib.errors import BadInput

MAGIC = b"outcomes 1\n"
_HEAD = len(MAGIC) + 32  # with the checksum
_STEPS = 255  # that a byte can count
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a run did on the N `images` of a cell: `values` (M,), one an image, right or wrong, or a fraction.

    All of them in their order, or M < N that are the first of `spread`. `mean` is that of all N. `sources` (N,) or
    (N, K) are numbers that tell where each image comes from, in K ways, where some come from the same: a view from its
    object, a stylised image from its shape and from its texture. None where each stands for itself.
    """

    values: np.ndarray
    images: int
    mean: float
    sources: np.ndarray | None = None

    def first(self, count: int) -> np.ndarray:
        """The values of as many images, the same of all cells with as many images: (`count`,)."""
        if len(self.values) == self.images and count < self.images:
            return self.values[spread(self.images)[:count]]
        return self.values[:count]


Cell = tuple  # what was measured, as a row names it: shift, subset, level (None: none), its unit, metric
Outcomes = Mapping[Cell, Outcome]
Owner = tuple[str, str]  # a run's key and a measure's identity


@functools.lru_cache(maxsize=64)
def spread(images: int) -> np.ndarray:
    """An order (N,) of images of which any first ones lie evenly among all: multiples of the golden ratio, sorted."""
    return np.argsort(np.arange(images) * _GOLDEN % 1, kind="stable")


_collected: ContextVar[dict[Cell, Outcome] | None] = ContextVar("outcomes", default=None)


@contextlib.contextmanager
def collected() -> Iterator[Outcomes]:
    """All outcomes that are kept while it is open, also by functions below."""
    found: dict[Cell, Outcome] = {}
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def keep(cell: Cell, values: np.ndarray, sources: np.ndarray | None = None) -> None:
    """Hand the outcomes (N,) of a cell to whoever is collecting; nothing where nobody is.

    Nothing either of fewer than two images, and where one is not finite: there is no error over these.
    """
    if (found := _collected.get()) is None:
        return
    values = np.asarray(values)
    if len(values) > 1 and np.isfinite(values).all():
        found[cell] = outcome(values, sources)


def outcome(values: np.ndarray, sources: np.ndarray | None = None) -> Outcome:
    """Of all images. Raises BadInput for what is not (N,) finite, and for other than N sources."""
    values = np.asarray(values)
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
        raise BadInput(f"outcomes are one finite number an image, (N,), not {values.shape}")
    if sources is not None and len(sources) != len(values):
        raise BadInput(f"{len(values)} outcomes have a source each, not {len(sources)} in all")
    return Outcome(
        values, len(values), float(values.mean(dtype=float)), None if sources is None else np.asarray(sources)
    )


def ratio(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Values (N,) whose mean is the ratio of the means; their spread is that of the ratio (delta method)."""
    scale = denominator.mean()
    found = numerator.mean() / scale
    return found + (numerator - found * denominator) / scale


def thinned(own: Outcome, size: int) -> Outcome:
    """As many of its images as `size` bytes hold; all where they share sources, which would be torn apart."""
    most = size * (8 if _binary(own.values) else 1)
    if own.sources is not None or len(own.values) <= most:
        return own
    return Outcome(own.first(most), own.images, own.mean)


def _binary(values: np.ndarray) -> bool:
    return values.dtype == bool or bool(((values == 0) | (values == 1)).all())


def encode(runs: Mapping[Owner, Outcomes], size: int | None = None) -> bytes:
    """As bytes, cells `thinned` to `size` bytes each if it is given; see `decode`."""
    tables: dict[str, int] = {}  # the cells of an owner, as JSON -> their place
    sources: dict[str, int] = {}
    blocks: dict[bytes, int] = {}
    contents = []
    for owner, outcomes in runs.items():
        cells = json.dumps([list(cell) for cell in outcomes])
        lines = []
        for own in outcomes.values() if size is None else [thinned(own, size) for own in outcomes.values()]:
            block, power, lowest = _packed(own.values)
            known = len(blocks)
            place = blocks.setdefault(block, known)
            source = None if own.sources is None else sources.setdefault(json.dumps(own.sources.tolist()), len(sources))
            mean = None if len(own.values) == own.images and power is None else round(own.mean, 6)
            # A new block is 0 and else so many back: a text that is alike for runs with the same cells.
            lines.append((len(own.values), own.images, power, lowest, known - place, mean, source))
        contents.append([*owner, tables.setdefault(cells, len(tables)), *map(list, zip(*lines, strict=True))])
    head = [[json.loads(table) for table in tables], [json.loads(own) for own in sources], contents]
    text = json.dumps(head, separators=(",", ":")).encode()
    # Of a local run they are many, and nobody should wait for them; of a study each byte is one that others load.
    body = zlib.compress(len(text).to_bytes(4, "little") + text + b"".join(blocks), 1 if size is None else 6)
    return MAGIC + hashlib.sha256(body).digest() + body


def _packed(values: np.ndarray) -> tuple[bytes, int | None, int]:
    """Bytes, and a power of two and the number of its multiples at byte 0: None, 0 for bits."""
    if _binary(values):
        return np.packbits(values.astype(bool)).tobytes(), None, 0
    values = values.astype(float)
    low, high = float(values.min()), float(values.max())
    width = max(high - low, 1e-12 * max(abs(low), abs(high)), 1e-30)  # of what is constant there is none
    power = math.ceil(math.log2(width / (_STEPS - 1)))  # a step is left, since the lowest is rounded down
    lowest = math.floor(math.ldexp(low, -power))
    return (np.rint(np.ldexp(values, -power)) - lowest).astype(np.uint8).tobytes(), power, lowest


def decode(data: bytes, name: str = "a file of outcomes") -> dict[Owner, Outcomes]:
    """What `encode` was given: exact where outcomes are right or wrong, else to a 254th of their range.

    Raises BadInput, with the file's `name`, for bytes that are damaged or of another version.
    """
    if not data.startswith(MAGIC) and data.startswith(MAGIC[:9]):
        version = data[9:30].split(b"\n")[0].decode(errors="replace")
        raise BadInput(f"{name} is of version {version}, and this code reads {MAGIC[9:-1].decode()}: {_AGAIN}")
    body = data[_HEAD:]
    if not data.startswith(MAGIC) or hashlib.sha256(body).digest() != data[len(MAGIC) : _HEAD]:
        raise BadInput(f"{name} is damaged or half-written, its checksum is another's: {_AGAIN}")
    body = zlib.decompress(body)
    start = 4 + int.from_bytes(body[:4], "little")
    tables, sources, contents = json.loads(body[4:start])
    keys = [[tuple(cell) for cell in table] for table in tables]
    origins = [np.array(own) for own in sources]
    starts: list[int] = []  # of blocks
    found: dict[Owner, Outcomes] = {}
    for run, measure, table, *columns in contents:
        places = {}
        for cell, line in zip(keys[table], zip(*columns, strict=True), strict=True):
            count, _, power, _, back, *_ = line
            if back == 0:
                starts.append(start)
                start += (count + 7) // 8 if power is None else count
            places[cell] = (starts[-max(back, 1)], *line)
        found[run, measure] = _Read(body, places, origins)
    return found


class _Read(Mapping[Cell, Outcome]):
    """Outcomes in the `body` of a file: of the thousands that a study has, those that are asked for are unpacked."""

    def __init__(self, body: bytes, places: dict[Cell, tuple], origins: list[np.ndarray]) -> None:
        self.body, self.places, self.origins = body, places, origins

    def __getitem__(self, cell: Cell) -> Outcome:
        start, count, images, power, lowest, _, mean, source = self.places[cell]
        if power is None:
            bits = np.frombuffer(self.body, np.uint8, (count + 7) // 8, start)
            values = np.unpackbits(bits, count=count).astype(bool)
        else:
            values = np.ldexp(np.frombuffer(self.body, np.uint8, count, start) + float(lowest), power)
        mean = float(values.mean()) if mean is None else mean
        return Outcome(values, images, mean, None if source is None else self.origins[source])

    def __iter__(self) -> Iterator[Cell]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


_AGAIN = "delete it to do without the paired error of images, and compute or publish its rows again to have it"


def paired_variances(
    systems: Mapping[Hashable, np.ndarray], weights: Mapping[Hashable, float], sources: np.ndarray | None = None
) -> float:
    r"""The variance over images of a sum of systems, (S, N) outcomes each, that their seeds' spread does not hold.

    With :math:`\bar x_{gn}` the mean over the S seeds of system g on image n, and N images,

    .. math:: \frac{1}{N} \mathrm{Var}_n\Big(\sum_g w_g \bar x_{gn}\Big)
              - \sum_g \frac{w_g^2}{S_g N} \, \overline{\mathrm{Var}_s}(x_{gsn} - \bar x_{gs})

    and no less than zero: what an image and a seed make together is in both the spread over images and that over
    seeds, and is taken away here once (analysis of variance with images and seeds crossed). `sources` (N,) or (N, K)
    name where an image comes from; images of one source, such as views of an object, are summed before their variance
    is taken, see `_clustered`.
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
    ways = sources[:, None] if sources.ndim == 1 else sources
    found = [_clustered(apart, way[:, None]) for way in ways.T]
    if len(found) == 1:
        return found[0]
    return max(sum(found) - _clustered(apart, ways), *found)


def _clustered(apart: np.ndarray, sources: np.ndarray) -> float:
    r"""The variance of a mean from deviations (N,), those of images that share all of `sources` (N, K) summed.

    .. math:: \frac{1}{N^2} \frac{G}{G - 1} \sum_g \Big(\sum_{n \in g} (x_n - \bar x)\Big)^2

    over G groups. Of images that share in two ways, the sum of both variances less that of what shares in both
    (Cameron, Gelbach and Miller 2011, Journal of Business & Economic Statistics 29:2), and no less than either.
    """
    _, places = np.unique(sources, axis=0, return_inverse=True)
    sums = np.bincount(places.ravel(), weights=apart)
    groups = len(sums)
    return float((sums**2).sum() / len(apart) ** 2 * groups / (groups - 1))
