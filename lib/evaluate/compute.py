"""Rows of every encoder, axis by axis: read where the store has them, else measured now and kept."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import torch

from lib import bucket, engines, memory
from lib.errors import BadInput
from lib.evaluate.axes import HEAD, PROBE, Rung, Task
from lib.evaluate.data import Data, device
from lib.evaluate.encoders import Opened, open_all
from lib.evaluate.plan import CALIBRATION, CLEAN, CORRUPTION, Costs, Plan, price
from lib.evaluate.subject import OfHead, Outside, home_of, identity_of, key_of
from lib.measures.rows import COLUMNS
from lib.precision import precision_on
from lib.progress import bar
from lib.runs import store
from lib.runs.engine import locked, measure_now

OVERRUN = 1.5  # of a budget: after so much of it, what is still to be measured is left out
FORM = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} so far, {remaining} left"
OUT_OF_TIME = "the time was used up before its turn; the same call goes on from here"
KEYS = ("encoder", "reader", "axis", "run", "measure")


@dataclass
class Measured:
    """`rows` with the columns `KEYS` and those of a measure; the keys of each encoder's stores; what time left out."""

    rows: pd.DataFrame
    keys: dict[str, dict[str, str]]
    late: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


class Meter:
    """A bar of estimated seconds, which forward passes take on."""

    def __init__(self, total: float, progress: bool) -> None:
        self.shown = bar(progress, total=max(total, 1e-3), bar_format=FORM, desc="measuring")
        self.each, self.done = 0.0, 0.0

    def count(self, images: float) -> None:
        room = max(0.0, self.shown.total - self.shown.n)
        self.shown.update(min(images * self.each, room))

    def settle(self, seconds: float) -> None:
        """After something that was to take so long, whatever it took."""
        self.done += seconds
        self.shown.update(min(self.done, self.shown.total) - self.shown.n)


def measure_all(
    opened: list[Opened], data: Data, plan: Plan, rungs: Mapping[str, Rung], budget: float, progress: bool
) -> Measured:
    where = device()
    costs = [Costs((own.seconds,), (own.named.encoder.features,)) for own in opened]
    meter = Meter(sum(price(rung, own) for own in costs for rung in rungs.values()), progress)
    started, tables, found = time.monotonic(), [], Measured(pd.DataFrame(), {})
    with contextlib.closing(meter.shown):
        for own, cost in zip(opened, costs, strict=True):
            subject, keys = subject_of(own, data, plan, where, meter)
            found.keys[own.name] = keys
            with locked(keys["features"]):
                for key in {*keys.values()} - {keys["features"]}:
                    bucket.pull(store.folder(key), own=True)
                for axis, rung in rungs.items():
                    meter.shown.set_description(f"{own.name}, {axis}")
                    meter.each = own.seconds
                    late = time.monotonic() - started > OVERRUN * budget and axis != CLEAN
                    try:
                        table = _stored(keys, rung) if late else _axis(subject, keys, rung)
                        tables.append(_own(table, axis).assign(encoder=own.name, axis=axis))
                    except BadInput as error:
                        if axis == CLEAN:
                            raise
                        found.late[axis] = str(error)
                    meter.settle(price(rung, cost))
    memory.forget()  # of one encoder's images for the next
    found.rows = pd.concat(tables, ignore_index=True)[[*KEYS, *COLUMNS]]
    found.seconds = time.monotonic() - started
    return found


def measure_by_name(
    names: Sequence[str], data: Data, plan: Plan, rungs: Mapping[str, Rung], budget: float, progress: bool,
    engine: str | None,
) -> Measured:  # fmt: skip
    """`measure_all` of encoders that are opened by their names, each a task of an engine (see `lib.engines`).

    Each has the time that there is for all of them, and where the tasks run they find the same files and one store.
    """
    started, futures = time.monotonic(), list[Future]()
    shown = bar(progress, total=len(names), desc="measuring", unit="encoder")
    with engines.opened(engine) as executor, contextlib.closing(shown):
        try:
            for name in names:
                futures.append(executor.submit(_measured, name, data, plan, rungs, budget))
                futures[-1].add_done_callback(lambda _: shown.update())
            found = [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()
    return Measured(
        pd.concat([own.rows for own in found], ignore_index=True),
        {name: keys for own in found for name, keys in own.keys.items()},
        {axis: reason for own in found for axis, reason in own.late.items()},
        time.monotonic() - started,
    )


def _measured(name: str, data: Data, plan: Plan, rungs: Mapping[str, Rung], budget: float) -> Measured:
    return measure_all(open_all(name, data, device()), data, plan, rungs, budget, progress=False)


def _own(table: pd.DataFrame, axis: str) -> pd.DataFrame:
    """What an axis has of a measure that two share."""
    calibrated = table["metric"].str.contains("calibration error")
    return table[calibrated] if axis == CALIBRATION else table[~calibrated] if axis == CORRUPTION else table


def subject_of(
    own: Opened, data: Data, plan: Plan, where: torch.device, meter: Meter | None = None
) -> tuple[Outside, dict[str, str]]:
    """The subject of the measures, and its keys in the store: of its features, and of the rows of each reader."""
    precision = precision_on(where)
    identity = identity_of(own.named, data, precision)
    home = home_of(identity)
    sizes = plan.sizes
    keys = {"features": home.name}
    columns = None if own.columns is None else own.columns.tolist()
    keys |= {PROBE: key_of(identity, PROBE, vars(sizes)), HEAD: key_of(identity, HEAD, vars(sizes), columns)}
    count = meter.count if meter else lambda images: None
    subject = Outside(own.named, data, sizes, precision, where, home, count)
    if own.columns is not None:
        subject.by_head = OfHead(subject, own.named.head, own.columns)
    return subject, keys


def _axis(subject: Outside, keys: Mapping[str, str], rung: Rung) -> pd.DataFrame:
    return pd.concat([_rows(subject, keys, task) for task in rung.tasks], ignore_index=True)


def _rows(subject: Outside, keys: Mapping[str, str], task: Task) -> pd.DataFrame:
    """The rows of one measure as the store has them, rounded: a call that goes on tells what an unbroken one does."""
    measure: Any = task.measure
    key = keys[task.reader]
    if (rows := store.load_rows(key, measure.identity)) is None:
        asked: Any = subject.by_head if task.reader == HEAD else subject
        measured = measure_now(key, measure, asked, _defined)
        rows = store.load_rows(key, measure.identity)
        rows = measured if rows is None else rows
    return rows.assign(run=key, measure=measure.identity, reader=task.reader)


def _defined(rows: pd.DataFrame) -> pd.DataFrame:
    """Without those whose number is not defined, such as a ratio to nothing."""
    return rows[rows["value"].map(math.isfinite)]


def _stored(keys: Mapping[str, str], rung: Rung) -> pd.DataFrame:
    """The rows of an axis from the store. Raises BadInput where it has not all of them."""
    tables = []
    for task in rung.tasks:
        key, measure = keys[task.reader], task.measure
        rows = store.load_rows(key, measure.identity)  # type: ignore[attr-defined]
        if rows is None:
            raise BadInput(OUT_OF_TIME)
        tables.append(rows.assign(run=key, measure=measure.identity, reader=task.reader))  # type: ignore[attr-defined]
    return pd.concat(tables, ignore_index=True)
