"""Outcomes of single images on the disk: beside the rows of a local run, and one file for a published study.

A local run has `rows/<measure>.bin`, whole. A published study has `outcomes.bin`, of the rows that it publishes, with
as many images of each cell as `LONGEST` allows; so has a part of one run (see `lib.runs.parts`), of fewer bytes. Rows
without outcomes are rows like others: contrasts then use a bound.
"""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from lib import bucket, files, paths
from lib.measures.outcomes import Cell, Outcome, Outcomes, Owner, decode, encode
from lib.measures.rows import cell_of
from lib.runs import store

FILE = "outcomes.bin"
LONGEST = 1 << 20  # bytes of a study's file
_NEAR = 1e-3  # percent that rounding may put between a row and its outcomes


def save(key: str, measure: str, outcomes: Outcomes) -> None:
    """Of one measure of a local run, in the place of others; to be called before its rows are saved."""
    path = _path(key, measure)
    if outcomes:
        files.write(path, lambda file: file.write(encode({(key, measure): outcomes})))
    else:
        bucket.remove(path)
    forget()


def of_row(run: str, measure: str, cell: Cell, value: float) -> Outcome | None:
    """The outcomes behind a row, published or of a local run; None where none are kept.

    None as well where their mean is not the row's `value`, in percent: then somebody made another number of the row, or
    the run was computed again elsewhere.
    """
    own = _fitting(_published(paths.RESULTS).get((run, measure), ()), cell, value)
    return own or _fitting([_here(run, measure)], cell, value)


def publish(home: Path, rows: pd.DataFrame, longest: int | None = None) -> None:
    """Write those of all `rows`, with the columns of published ones; no file where there are none.

    The file has at most `longest` bytes, and without it `LONGEST`.

    Local ones are taken before published ones, which may have been thinned.
    """
    known, found = _published(paths.RESULTS), dict[Owner, dict[Cell, Outcome]]()
    columns = (rows[name] for name in ("shift", "subset", "level", "level_unit", "metric"))
    lines = zip(rows["run"], rows["measure"], rows["value"], zip(*columns, strict=True), strict=True)
    for run, measure, value, line in lines:
        cell = cell_of(*line)
        own = _fitting([_here(run, measure), *known.get((run, measure), ())], cell, value)
        if own is not None:
            found.setdefault((run, measure), {})[cell] = own
    if data := _short_enough(found, LONGEST if longest is None else longest):
        files.write(home / FILE, lambda file: file.write(data))
    else:
        (home / FILE).unlink(missing_ok=True)
    forget()


def forget() -> None:
    """Read what is kept and published again, when it is asked for next."""
    _place.cache_clear()
    _published.cache_clear()
    _local.cache_clear()


def _path(key: str, measure: str) -> Path:
    return store.rows_path(key, measure).with_suffix(".bin")


def _here(key: str, measure: str) -> Outcomes:
    """What this machine keeps of a measure of a run."""
    return _local(_place(key, measure, paths.environment()))


@functools.lru_cache(maxsize=4096)
def _place(key: str, measure: str, environment: Hashable) -> Path:
    """Where it lies, found once for all cells: to ask the disk for the folder takes longer than all else of a cell."""
    return _path(key, measure)


def _fitting(several: Sequence[Outcomes], cell: Cell, value: float) -> Outcome | None:
    """The first of `several` that has a cell with this mean."""
    for outcomes in several:
        own = outcomes.get(cell)
        if own is not None and math.isclose(100 * own.mean, value, rel_tol=0, abs_tol=_NEAR):
            return own
    return None


def _short_enough(outcomes: Mapping[Owner, Outcomes], longest: int) -> bytes | None:
    """As bytes, at most `longest`, with as many images of each cell as that allows; None if there are none.

    With 64 images of a cell the deviation of their differences is known to 9 percent of itself.
    """
    if not outcomes or len(data := encode(outcomes)) <= longest:
        return data if outcomes else None
    largest = max(len(own.values) for of_run in outcomes.values() for own in of_run.values())
    size = bisect.bisect_right(range(1, largest), longest, key=lambda size: len(encode(outcomes, size)))
    return encode(outcomes, size) if size else None


@functools.lru_cache(maxsize=1024)
def _local(path: Path) -> Outcomes:
    """Those of the one run and measure of a file; none where there is no file."""
    if not path.exists():
        return {}
    (outcomes,) = decode(path.read_bytes(), str(path)).values()
    return outcomes


@functools.lru_cache(maxsize=4)
def _published(results: Path) -> dict[Owner, list[Outcomes]]:
    """All that is published, of all studies: two may have published one run, each what it measured."""
    found: dict[Owner, list[Outcomes]] = {}
    for path in [*sorted(results.glob(f"*/*/{store.PARTS}/*/{FILE}")), *sorted(results.glob(f"*/*/{FILE}"))]:
        for owner, outcomes in decode(path.read_bytes(), str(path)).items():
            found.setdefault(owner, []).append(outcomes)
    return found
