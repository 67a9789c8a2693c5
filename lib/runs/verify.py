"""Verify: a published run computed again from nothing, and each of its rows held against what is published.

What was computed on the same kind of processor, with as many threads, in the same precision and by the same torch, has
equal rows. Elsewhere sums are rounded in another order, and training carries that on: the encoder then is as another
seed's. So a row of a trained encoder has an interval of its error over images and of how far seeds differ, at a level
at which all rows of the run lie within theirs, and of any other encoder that of its error over images alone.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from scipy import stats

from lib.errors import BadInput
from lib.images import here, load
from lib.measures.rows import measure_name
from lib.measures.statistics import is_share, wilson_interval
from lib.methods import METHODS
from lib.precision import precision_on
from lib.runs import campaign, engine, published, store
from lib.runs.campaign import Job, Plans
from lib.runs.config import RunConfig
from lib.runs.plan import measures_of
from lib.runs.published import Published, Wanted, is_older
from lib.runs.times import Times
from lib.stopping import Stopped

CELL = ["measure", "shift", "subset", "level", "level_unit", "metric"]
LEVEL = 0.95
CLOSE = 1e-6  # published rows have six digits after the point
KIND = ("processor", "device", "precision", "tf32", "deterministic")  # of a record: the arithmetic in all its parts
SHOWN = 12  # rows that are told one by one


@dataclass(frozen=True)
class Candidate:
    """A run as studies published it, and those of its measures that this code has; `seconds` are of training, and of
    measures as far as they were ever timed."""

    key: str
    published: tuple[Published, ...]
    measures: tuple
    seconds: float

    @property
    def config(self) -> RunConfig:
        return self.published[0].config

    @property
    def title(self) -> str:
        more = (getattr(self.config.attack, "name", ""), self.config.augmentation, self.config.differing)
        words = [METHODS[self.config.method].title, *filter(None, more), self.config.encoder, self.config.dataset]
        return f"{', '.join(words)}, seed {self.config.seed}"


def candidates(plans: Plans, known: Times) -> list[Candidate]:
    """All published runs that this code would train as they were, on data that is on this machine, by their keys."""
    by_key: dict[str, list[Published]] = {}
    for one in published.runs():
        by_key.setdefault(one.record["key"], []).append(one)
    found = []
    for key, several in sorted(by_key.items()):
        with contextlib.suppress(BadInput):
            found.append(candidate(key, several, plans, known))
    return found


def candidate(key: str, several: Sequence[Published], plans: Plans, known: Times) -> Candidate:
    """The run `key`. Raises BadInput where this machine or this code cannot compute it as it was."""
    several = [one for one in several if one.place[0] in plans]
    if not several:
        raise BadInput(f"run {key} is of a study that is not there; the studies are: {', '.join(plans)}")
    config, record = several[0].config, several[0].record
    if is_older(record, config):
        raise BadInput(
            f"run {key} was trained by an older protocol: compute it with its own commit, {record['commit']}"
        )
    if not here(config.dataset):
        raise BadInput(f"run {key} was trained on {config.dataset}, which is not on this machine")
    if load(config.dataset, "train", 1).checksum != record["data"]["checksum"]:
        raise BadInput(f"run {key} was trained on other images than those of {config.dataset} on this machine")
    own = {measure.identity: measure for one in several for measure in measures_of(plans[one.place[0]], one.place[1])}
    asked = set(pd.concat([one.rows["measure"] for one in several]))
    measures = tuple(measure for name, measure in own.items() if name in asked)
    if not measures:
        raise BadInput(f"of run {key} nothing is published that this code measures alike: its rows are older")
    job = Job(config, {"": Wanted(config, measures)}, (), ())
    ((training, measuring, _),) = campaign.seconds([job], replace(known, trained=frozenset()))
    return Candidate(key, tuple(several), measures, training + measuring)


def named(key: str, plans: Plans, known: Times) -> Candidate:
    """The run whose key begins so."""
    several = [one for one in published.runs() if one.record["key"].startswith(key)]
    if not several:
        raise BadInput(f"no published run has a key that begins with {key!r}; the page of all runs lists them")
    if len(keys := sorted({one.record["key"] for one in several})) > 1:
        raise BadInput(f"{len(keys)} published runs have keys that begin with {key!r}: {', '.join(keys[:5])}")
    return candidate(keys[0], several, plans, known)


def chosen(found: Sequence[Candidate], seed: int, minutes: float) -> Candidate:
    """One of those that take at most so long here, by chance."""
    short = [one for one in found if one.seconds <= 60 * minutes]
    if not short:
        least = min((one.seconds for one in found if not math.isnan(one.seconds)), default=math.nan)
        raise BadInput(
            f"of {len(found)} published runs that this machine can compute again none takes {minutes:g} minutes or "
            f"less; the shortest takes about {least / 60:.0f}"
        )
    return random.Random(seed).choice(short)


def again(one: Candidate, minutes: float, say: Callable[[str], object]) -> tuple[dict, pd.DataFrame, list[str]]:
    """Record and rows of the run computed in a store of its own, which is gone afterwards; and the measures that were
    left out since `minutes` were over. Those of one measure are always there."""
    deadline = time.monotonic() + 60 * minutes
    record, tables, left_out = {}, [], []
    with _another_store(), _threads(_nearest(one)["device"]):
        for measure in one.measures:
            if tables and time.monotonic() >= deadline:
                left_out.append(measure_name(measure.identity))
                continue
            limit = max(1.0, deadline - time.monotonic())
            try:
                (record,), rows = engine.compute(
                    [one.config], [measure], time_limit=limit, progress=False, engine="local"
                )
            except BadInput as error:
                _cut_off(one, error, minutes, deadline, begun=bool(tables))
                left_out.append(measure_name(measure.identity))
                continue
            tables.append(rows)
            say(f"{measure_name(measure.identity)}: {len(rows)} rows")
    return record, store.join(tables), left_out


def _cut_off(one: Candidate, error: BadInput, minutes: float, deadline: float, begun: bool) -> None:
    """Passes where the minutes were over within a later measure; else raises what is true of a store that is gone."""
    if isinstance(error, Stopped):
        raise Stopped("a signal asked for an end; a comparison that is cut off keeps nothing") from None
    if time.monotonic() < deadline:
        raise error
    if not begun:
        raise BadInput(
            f"{minutes:g} minutes were over before run {one.key} was trained and measured once; --minutes allows more"
        ) from None


def _nearest(one: Candidate) -> dict:
    """The record in this machine's own precision, if one is."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    own = precision_on(device, one.config.training.precision)
    records = [published.record for published in one.published]
    return next((record for record in records if record["precision"] == own), records[0])


def held(one: Published, record: Mapping, rows: pd.DataFrame) -> pd.DataFrame:
    """What a study published of the measures in `rows`, a line each, beside what was computed now.

    The columns are those of rows and `low`, `high`, `now`, `equal` and `within`: bool, or None where no interval is
    known. Where `now` is NaN the row was not computed.
    """
    old = one.rows[one.rows["measure"].isin(set(rows["measure"]))].drop(columns="run")
    both = old.merge(rows[[*CELL, "value"]].rename(columns={"value": "now"}), on=CELL, how="left", validate="1:1")
    both["now"] = pd.to_numeric(both["now"])
    both["equal"] = (both["value"] - both["now"].round(6)).abs() <= CLOSE
    if same_kind(one.record, record):
        both["low"] = both["high"] = both["value"]
        return both.assign(within=both["equal"].astype(object))
    trained = METHODS[one.config.method].trained
    level = 1 - (1 - LEVEL) / len(both) if trained else LEVEL
    spread = _spread(one, level) if trained else {}
    ends = [_ends(line, level, spread.get(_cell(line), 0.0)) for line in both.to_dict("records")]
    both["low"], both["high"] = ([end[side] for end in ends] for side in (0, 1))
    told = both["high"] > both["low"]
    inside = (both["low"] <= both["now"]) & (both["now"] <= both["high"]) | both["equal"]
    return both.assign(within=[fits if known or fits else None for fits, known in zip(inside, told, strict=True)])


def same_kind(then: Mapping, now: Mapping) -> bool:
    """Whether two records are of one arithmetic in all its parts, so that equal bits are to be expected."""
    known = then.get("processor") is not None and then.get("deterministic", True)
    return known and then["versions"]["torch"] == now["versions"]["torch"] and all(
        then.get(name) == now.get(name) for name in KIND
    )  # fmt: skip


def _ends(line: Mapping, level: float, half_of_seeds: float) -> tuple[float, float]:
    """The interval of one published row."""
    value, error = line["value"], line["standard_error"]
    if error == 0 and is_share(line["metric"]):  # 0 or 100 percent of some images
        ends = wilson_interval(value, error, line["images"], level)
        halves = value - ends.low, ends.high - value
    else:
        halves = (float(stats.norm.ppf((1 + level) / 2)) * error,) * 2
    return value - math.hypot(halves[0], half_of_seeds), value + math.hypot(halves[1], half_of_seeds)


def _cell(line: Mapping) -> tuple:
    return tuple("" if name == "level" and math.isnan(line[name]) else line[name] for name in CELL)


def _spread(one: Published, level: float) -> dict[tuple, float]:
    """Of each row how far two trainings of one system differ, at a level: t of the pooled deviation over seeds.

    It is pooled over the trained systems of the study on the same data, and is the system's own where that is larger.
    """
    peers = [own for own in published.runs() if own.place == one.place and own.config.dataset == one.config.dataset]
    peers = [own for own in peers if METHODS[own.config.method].trained]
    rows = pd.concat([own.rows.assign(family=campaign.family(own.config)) for own in peers])
    rows["level"] = rows["level"].astype(object).where(rows["level"].notna(), "")
    found = rows.groupby(["family", *CELL], sort=False)["value"].agg(["var", "count"]).reset_index()
    found = found[found["count"] > 1].assign(degrees=lambda table: table["count"] - 1)
    found["squares"] = found["var"] * found["degrees"]
    own = found[found["family"] == campaign.family(one.config)].set_index(CELL)["var"]
    pooled = found.groupby(CELL, sort=False)[["squares", "degrees"]].sum()
    largest = np.maximum(pooled["squares"] / pooled["degrees"], own.reindex(pooled.index).fillna(0.0))
    halves = stats.t.ppf((1 + level) / 2, pooled["degrees"]) * np.sqrt(2 * largest)
    return dict(zip(pooled.index, halves.astype(float), strict=True))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One line a measure: its rows, how many are equal and how many within, and the largest difference."""
    lines = []
    for name, own in table.groupby(table["measure"].map(measure_name), sort=False):
        judged = own[[inside is not None for inside in own["within"]]]
        lines.append(
            {
                "measure": name,
                "rows": len(own),
                "equal": int(own["equal"].sum()),
                "within": f"{int(judged['within'].astype(bool).sum())} of {len(judged)}",
                "largest difference": (own["now"] - own["value"]).abs().max(),
            }
        )
    return pd.DataFrame(lines)


def outside(table: pd.DataFrame) -> pd.DataFrame:
    """The lines that fail: outside their intervals, or not computed where others of the same shift were."""
    lost = table["now"].isna()
    alike = table.groupby(["measure", "shift"])["now"].transform("count") > 0
    failed = np.array([inside is not None and not inside for inside in table["within"]])
    return table[(lost & alike) | (~lost & failed)]


def in_words(line: Mapping) -> str:
    """One row: "corruption_error, fog, 3 severity, error: published 45.2 [42.1, 48.3], now 60.1"."""
    level = "" if math.isnan(line["level"]) else f"{line['level']:g}"
    where = [line["shift"], line["subset"], " ".join(filter(None, (level, line["level_unit"]))), line["metric"]]
    now = "not computed" if math.isnan(line["now"]) else f"now {line['now']:.6g}"
    ends = f" [{line['low']:.6g}, {line['high']:.6g}]" if line["high"] > line["low"] else ""
    words = ", ".join([measure_name(line["measure"]), *filter(None, where)])
    return f"{words}: published {line['value']:.6g}{ends}, {now}"


@contextlib.contextmanager
def _another_store() -> Iterator[None]:
    """Local runs lie in a folder of their own meanwhile."""
    before = os.environ.get("WITHSTAND_RUNS")
    with tempfile.TemporaryDirectory(prefix="withstand-verify-") as folder:
        os.environ["WITHSTAND_RUNS"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["WITHSTAND_RUNS"]
            else:
                os.environ["WITHSTAND_RUNS"] = before


@contextlib.contextmanager
def _threads(device: str) -> Iterator[None]:
    """As many threads as a record's device had, since sums depend on them."""
    before = torch.get_num_threads()
    if device.startswith("CPU, ") and device.split()[1].isdigit():
        torch.set_num_threads(int(device.split()[1]))
    try:
        yield
    finally:
        torch.set_num_threads(before)
