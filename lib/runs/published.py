"""Published runs: which of them answer the runs that a page wants, and what is older or lacking in them."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lib import paths
from lib.measures.rows import measure_name
from lib.methods import METHODS
from lib.runs import outcomes, store
from lib.runs.config import RECIPE, RunConfig
from lib.runs.plan import Plan, all_systems, runs_of
from lib.runs.presets import PRESETS


@dataclass(frozen=True)
class Standing:
    """How a run of a page stands to what this code would compute.

    `recipe` holds each parameter in which a published run was trained otherwise, with its value then and now.
    `training` is true where it was trained under an older protocol of its method, `measures` are the measures whose
    rows are of an older protocol, and `lacking` those without published rows. A run that is `left_out` is published
    with other seeds at most; one that was computed for the page has nothing of all this. `title` is that of its
    `system`; None where methods are compared.
    """

    config: RunConfig
    system: str | None = None
    title: str | None = None
    recipe: tuple[tuple[str, object, object], ...] = ()
    training: bool = False
    measures: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    published: bool = True
    left_out: bool = False

    @property
    def stale(self) -> bool:
        return bool(self.recipe or self.training or self.measures)


@dataclass(frozen=True)
class Wanted:
    """A run that a page wants, and what it wants to know of it; of a `further` seed, if it is there."""

    config: RunConfig
    measures: Sequence
    system: str | None = None
    title: str | None = None
    further: bool = False


@dataclass(frozen=True)
class Found:
    """A published run, its rows of the measures that were wanted, and how it stands."""

    record: dict
    rows: pd.DataFrame
    standing: Standing


@dataclass(frozen=True)
class Published:
    """A run as a study published it: its `place` is that study and a preset, its `rows` are those of that study."""

    place: tuple[str, str]
    config: RunConfig
    record: dict
    rows: pd.DataFrame

    @functools.cached_property
    def tables(self) -> dict[str, pd.DataFrame]:
        """Its rows by measures, whatever their protocol."""
        return dict(list(self.rows.groupby(self.rows["measure"].map(lambda name: name.split("#")[0]), sort=False)))


def find(plan: Plan, wanted: Sequence[Wanted], partly: bool = False) -> list[Found | None]:
    """The published run that answers each of `wanted`, or None. Each published run answers one of them.

    An answer has rows of every measure; `partly`, it may lack some, but not all. Of several the best is taken: first
    by fewest measures lacking, then by fewest parameters of its recipe that differ, then by what is of an older
    protocol, and then the study's own before another study's, since the same config trained on another machine has
    other weights; another study's must be of the very recipe. Where that leaves several that differ in their
    `arithmetic`, all of `wanted` are taken from that which answers most of them, so that systems and seeds differ in
    nothing else as far as is published; then float32 comes first, and the lower key. Rows of one run all come from one
    place.
    """
    pairs = []
    for place, one in enumerate(wanted):
        for published in _index().get(_question(one.config), []):
            found = _answer(plan, published, one)
            if found and (partly or not found.standing.lacking):
                pairs.append((_rank(found.standing, published.place[0] != plan.name), place, found))
    answers: list[Found | None] = [None] * len(wanted)
    taken: set[int] = set()
    answered: dict[tuple[str, str], set[int]] = {}
    for _, place, found in pairs:
        answered.setdefault(arithmetic(found.record), set()).add(place)

    def order(pair: tuple[tuple, int, Found]) -> tuple:
        rank, place, found = pair
        own = arithmetic(found.record)
        return rank, place, -len(answered[own]), own[0] != "fp32", own, found.record["key"]

    for _, place, found in sorted(pairs, key=order):
        if answers[place] is None and id(found.record) not in taken:
            answers[place] = found
            taken.add(id(found.record))
    return answers


def identity(config: RunConfig) -> str:
    """What a run is, whatever its data and protocol."""
    return json.dumps(config.to_dict(), sort_keys=True)


def runs() -> list[Published]:
    """All published runs by their places, one that several studies published each time."""
    found = [one for several in _index().values() for one in several]
    return sorted(found, key=lambda one: (one.place, one.record["key"]))


def records() -> list[dict]:
    """Those of all published runs, of one that several studies published each time."""
    return [one.record for one in runs()]


def arithmetic(record: dict) -> tuple[str, str]:
    """What a run was computed in: the precision, and the kind of device, "cpu" or "cuda"."""
    return record.get("precision", ""), "cpu" if str(record.get("device", "CPU")).startswith("CPU") else "cuda"


def forget() -> None:
    """Read what is published again, when it is asked for next."""
    outcomes.forget()
    _index.cache_clear()
    _current.cache_clear()


def _rank(standing: Standing, foreign: bool) -> tuple:
    return len(standing.lacking), len(standing.recipe), standing.training, len(standing.measures), foreign


def _answer(plan: Plan, published: Published, wanted: Wanted) -> Found | None:
    """What a published run of the same question tells of `wanted`; None if that is nothing, or its recipe is another's.

    A run that the plan still wants as it is has no older recipe but a different one; and whether that of another
    study's run is older or was chosen there, the plan cannot know.
    """
    recipe = _differing(published.config, wanted.config)
    study, preset = published.place
    if recipe and (study != plan.name or identity(published.config) in _current(plan, preset)):
        return None
    asked = dict.fromkeys(measure.identity for measure in wanted.measures)
    tables = {name: own for name in asked if (own := published.tables.get(name.split("#")[0])) is not None}
    if not tables:
        return None
    older = [name for name, table in tables.items() if (table["measure"] != name).any()]
    standing = Standing(
        wanted.config,
        wanted.system,
        wanted.title,
        recipe,
        is_older(published.record, wanted.config),
        tuple(measure_name(name) for name in older),
        tuple(measure_name(name) for name in asked if name not in tables),
    )
    return Found(published.record, pd.concat(tables.values()), standing)


def is_older(record: dict, config: RunConfig) -> bool:
    """Whether a run was trained under an older protocol of its method or of what it was given."""
    then = record.get("protocols") or {"method": record["protocol"], "textures": 1, "masks": 1}  # of before the field
    return any(then.get(name) != protocol for name, protocol in config.protocols().items())


def _question(config: RunConfig) -> str:
    """What a run is, whatever its recipe."""
    values = config.to_dict()
    for part, names in RECIPE.items():
        values[part] = {name: value for name, value in values[part].items() if name not in names}
    return json.dumps(values, sort_keys=True)


def _differing(then: RunConfig, now: RunConfig) -> tuple[tuple[str, object, object], ...]:
    """Parameters of the recipe in which two runs of one question differ. A control is not trained by any."""
    if not METHODS[now.method].trained:
        return ()
    parts = [(name, getattr(then, part), getattr(now, part)) for part, names in RECIPE.items() for name in names]
    values = [(name, getattr(one, name, None), getattr(other, name, None)) for name, one, other in parts]
    return tuple(value for value in values if value[1] != value[2])


@functools.lru_cache
def _index() -> dict[str, list[Published]]:
    """All published runs by their questions."""
    index: dict[str, list[Published]] = {}
    for home in filter(store.is_published, sorted(paths.RESULTS.glob("*/*"))):
        records, rows = store.read_published(home)
        by_run = dict(list(rows.groupby("run")))
        place = home.parent.name, home.name
        for record in records:
            config = RunConfig.from_dict(record["config"])  # fills in parameters that are younger than the record
            published = Published(place, config, record, by_run[record["key"]])
            index.setdefault(_question(config), []).append(published)
    return index


@functools.lru_cache
def _current(plan: Plan, preset: str) -> frozenset[str]:
    """The identities of all runs that a plan wants in a preset."""
    if preset not in PRESETS:
        return frozenset()
    runs = runs_of(plan, preset, all_systems(plan) or plan.methods, further=True)
    return frozenset(identity(config) for _, config in runs)


def unbalanced(wanted: Sequence[Wanted], found: Sequence[Found | None]) -> list[bool]:
    """Of each run, whether it, or the same with another seed that is not a further one, is not published: a page
    compares equal seeds, and further ones beside them."""
    apart = [identity(replace(one.config, seed=0)) for one in wanted]
    missing = {name for name, one, hit in zip(apart, wanted, found, strict=True) if hit is None and not one.further}
    return [name in missing or hit is None for name, hit in zip(apart, found, strict=True)]
