"""A study: the runs behind one notebook, from its papermill parameters to tidy rows."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields

import pandas as pd

from lib import paths
from lib.errors import BadInput, one_of
from lib.inputs import whole
from lib.methods import METHODS
from lib.runs import engine, store
from lib.runs.config import RunConfig
from lib.runs.presets import (
    PRESETS,
    all_systems,
    configs_of,
    measures_of,
    plan_of,
    runs_of_systems,
    systems_of,
)
from lib.runs.systems import SYSTEMS

PUBLISHED = "published"
DESCRIBED = ("method", "seed", "encoder", "dataset", "augmentation")
PLAIN = (bool, int, float, str, list, tuple, dict, type(None))  # what papermill injects


@dataclass(frozen=True)
class Results:
    """`records`: a dict a run. `rows`: tidy rows with the columns of DESCRIBED beside them."""

    records: list[dict]
    rows: pd.DataFrame
    preset: str
    stale: bool  # true where published rows come from an older protocol than this code's
    costs: pd.DataFrame | None = None  # measured in turns, where all rows are published and somebody did

    def provenance(self) -> pd.DataFrame:
        """One line a run: what was computed, on what, by what, and how long it took."""
        lines = pd.DataFrame(
            {
                "method": METHODS[record["config"]["method"]].title,
                "system": SYSTEMS[record["system"]].title if "system" in record else "",
                "seed": record["config"]["seed"],
                "encoder": record["config"]["encoder"],
                "augmentation": record["config"].get("augmentation") or "",
                "training images": record["data"]["train_images"],
                "epochs": record["config"]["training"]["epochs"],
                "data": record["data"]["source"],
                "data checksum": record["data"]["checksum"][:12],
                "seconds": record["seconds"],
                "images per second": record["images_per_second"],
                "peak memory (MiB)": record["peak_memory_mib"],
                "device": record["device"],
                "precision": record["precision"],
                "torch": record["versions"]["torch"],
                "commit": record["commit"],
                "finished": record["finished"],
                "run": record["key"],
            }
            for record in self.records
        )
        return lines.drop(columns=[name for name in ("system", "augmentation") if not lines[name].any()])


@dataclass(frozen=True)
class Study:
    """The parameters that every notebook has. Lists may arrive as JSON strings, as papermill's `-p` hands them over."""

    name: str
    preset: str = PUBLISHED
    dataset: str | None = None  # None: the preset's own
    methods: Sequence[str] | None = None  # None: the study's own
    seeds: Sequence[int] | None = None  # None: the preset's own
    systems: Sequence[str] | None = None  # of `lib.runs.systems`, in a study of them; None: the study's own
    recompute: bool = False  # train also what is published

    def __post_init__(self) -> None:
        one_of(self.preset, (PUBLISHED, *PRESETS), "preset")
        plan = plan_of(self.name)
        own = plan.in_class if self.preset == "quick" and self.systems is None else plan.methods
        methods = own if self.methods is None else as_list(self.methods, "methods", METHODS)
        object.__setattr__(self, "methods", tuple(one_of(method, METHODS, "method") for method in methods))
        if self.seeds is not None:
            seeds = as_list(self.seeds, "seeds", ("0", "1", "2"))
            object.__setattr__(self, "seeds", tuple(whole(seed, "a seed", None) for seed in seeds))
        if self.dataset is not None and not isinstance(self.dataset, str):
            raise BadInput(f"dataset is one name, not {self.dataset!r}")
        if not isinstance(self.recompute, bool):
            raise BadInput(f"recompute is True or False, not {self.recompute!r}")
        object.__setattr__(self, "systems", self._chosen_systems(all_systems(self.name)))

    def _chosen_systems(self, allowed: Sequence[str]) -> tuple[str, ...]:
        """The systems named, or the study's own, of which only those with one of `methods` are left."""
        if not allowed:
            if self.systems not in (None, ()):  # the latter is what this makes of the former
                raise BadInput(f"{self.name} compares methods, not systems: its systems are None")
            return ()
        if self.systems is not None:
            systems = as_list(self.systems, "systems", allowed)
        else:
            systems = (
                self._published_systems()
                if self.preset == PUBLISHED
                else systems_of(self.name, self.preset, self.dataset)
            )
        chosen = tuple(name for name in systems if SYSTEMS[one_of(name, allowed, "system")].method in self.methods)
        if not chosen:
            raise BadInput(
                f"no system is left: none of {', '.join(systems)} is trained by {' or '.join(self.methods)}; "
                f"all systems are: {', '.join(allowed)}"
            )
        return chosen

    def _published_systems(self) -> tuple[str, ...]:
        """Those of the study that are published with all seeds; the others can be computed by naming a preset."""
        preset = largest_published(self.name)
        systems = systems_of(self.name, preset, self.dataset)
        named = runs_of_systems(self.name, preset, systems, self.seeds, self.dataset)
        missing = {
            system
            for system, config in named
            if not _published(self.name, config, measures_of(self.name, preset, system))
        }
        if len(missing) == len({system for system, _ in named}):
            raise BadInput(
                f"no system of {self.name} is published for this data set and these seeds; name a preset "
                f"({', '.join(PRESETS)}) to compute what is missing"
            )
        return tuple(name for name in systems if name not in missing)

    def _runs(self, preset: str) -> list[tuple[str | None, RunConfig]]:
        """The study's runs, each with its system; None where methods are compared."""
        if self.systems:
            return runs_of_systems(self.name, preset, self.systems, self.seeds, self.dataset)
        return [(None, config) for config in configs_of(self.name, preset, self.methods, self.seeds, self.dataset)]

    @classmethod
    def from_notebook(cls, name: str, namespace: dict) -> Study:
        """From the global names of a notebook, whose plain values are its parameters; an unknown one is refused."""
        without = {"name"} if plan_of(name).systems else {"name", "systems"}
        allowed = [field.name for field in fields(cls) if field.name not in without]
        skip = {"In", "Out", "PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}
        given = {
            key: value for key, value in namespace.items()
            if isinstance(value, PLAIN) and not key.startswith("_") and key not in skip
        }  # fmt: skip
        for key in given:
            one_of(key, allowed, "parameter")
        return cls(name, **given)

    def results(self, time_limit: float | None = None) -> Results:
        """Rows of all runs: published ones where they fit, stored ones where they are there, else computed now."""
        preset = self.preset
        if preset == PUBLISHED:
            preset = largest_published(self.name)
        named = self._runs(preset)
        configs = [config for _, config in named]
        wanted = {_identity(config): measures_of(self.name, preset, system) for system, config in named}

        def measures(config: RunConfig) -> list:
            return wanted[_identity(config)]

        found = [] if self.recompute else [_published(self.name, config, measures(config)) for config in configs]
        if self.preset == PUBLISHED and not all(found):
            raise BadInput(
                f"{sum(not hit for hit in found)} of {len(configs)} runs of this grid are not published; name a preset "
                f"({', '.join(PRESETS)}) to compute what is missing"
            )
        missing = [config for config, hit in zip(configs, found or [None] * len(configs), strict=True) if not hit]
        records, rows = engine.compute(missing, measures, time_limit=time_limit) if missing else ([], None)
        hits = [hit for hit in found if hit]
        records += [record for record, _, _ in hits]
        rows = pd.concat([table for table in [rows, *(table for _, table, _ in hits)] if table is not None])
        costs = None if missing else _published_costs(self.name, preset, self.methods)
        if self.systems:
            names = {_identity(config): name for name, config in named}
            records = [record | {"system": names[_of_record(record)]} for record in records]
        return Results(records, _describe(rows, records), preset, any(stale for _, _, stale in hits), costs)


def as_list(value: object, what: str, examples: Sequence[str]) -> list:
    """A list, or a string that holds one as JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, list | tuple) or not value:
        quoted = json.dumps([int(e) if e.isdigit() else e for e in list(examples)[:3]])
        raise BadInput(f"{what} is a list such as {quoted}, or such a list as a string")
    return list(value)


def _describe(rows: pd.DataFrame, records: list[dict]) -> pd.DataFrame:
    """Rows with the columns that tell runs apart in a figure, in the order of the methods' table."""
    runs = pd.DataFrame(
        [{"run": record["key"], **{name: record["config"].get(name) for name in DESCRIBED}} for record in records]
    )
    if any("system" in record for record in records):
        runs["system"] = [record["system"] for record in records]
    joined = runs.merge(rows, on="run", validate="one_to_many")
    if "system" in joined:
        order = joined["system"].map(list(SYSTEMS).index)
    else:
        order = joined["method"].map(list(METHODS).index)
    return joined.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _published_costs(study: str, preset: str, methods: Sequence[str]) -> pd.DataFrame | None:
    """Those of `methods`, if all of them were measured."""
    costs = store.read_costs(paths.RESULTS / study / preset)
    if costs is None or not set(methods) <= set(costs["method"]):
        return None
    return costs[costs["method"].isin(methods)]


def largest_published(study: str) -> str:
    """The name of the largest preset with published rows of `study`."""
    for preset in reversed(PRESETS):
        if (paths.RESULTS / study / preset / "rows.csv").exists():
            return preset
    raise BadInput(f"nothing is published for {study}; name a preset to compute it: {', '.join(PRESETS)}")


def _published(study: str, config: RunConfig, measures: Sequence) -> tuple[dict, pd.DataFrame, bool] | None:
    """Record, rows and staleness of a published run with this config and rows of all `measures`; or None.

    The study's own run comes before one that another study published: the same config trained on another machine has
    other weights, so the rows of one run all come from one place. Rows of an older protocol are handed out, marked
    stale: the page says so.
    """
    index = _index()
    for place in sorted(index, key=lambda place: place != study):
        if (hit := index[place].get(_identity(config))) and (found := _tables(*hit, config, measures)):
            return found
    return None


def _tables(
    record: dict, rows: pd.DataFrame, config: RunConfig, measures: Sequence
) -> tuple[dict, pd.DataFrame, bool] | None:
    names = [identity.split("#")[0] for identity in rows["measure"]]
    tables, stale = [], record["protocol"] != METHODS[config.method].protocol
    for measure in measures:
        table = rows[[name == measure.identity.split("#")[0] for name in names]]
        if table.empty:
            return None
        stale |= (table["measure"] != measure.identity).any()
        tables.append(table)
    return record, pd.concat(tables), bool(stale)


@functools.lru_cache
def _index() -> dict[str, dict[str, tuple[dict, pd.DataFrame]]]:
    """All published runs by their study and config."""
    index = {}
    for path in sorted(paths.RESULTS.glob("*/*/rows.csv")):
        records, rows = store.read_published(path.parent)
        by_run = dict(list(rows.groupby("run")))
        for record in records:
            index.setdefault(path.parent.parent.name, {})[_of_record(record)] = (record, by_run[record["key"]])
    return index


def _identity(config: RunConfig) -> str:
    return json.dumps(config.to_dict(), sort_keys=True)


def _of_record(record: dict) -> str:
    return _identity(RunConfig.from_dict(record["config"]))  # fills in parameters that are younger than the record


def publish(study: str, results: Results) -> None:
    """Write records and rows, but those that no page reads, to `results/<study>/<preset>/`, in the place of others."""
    read = results.rows[~plan_of(study).unread(results.rows)]
    columns = list(store.PUBLISHED_COLUMNS)
    records = [{name: value for name, value in record.items() if name != "system"} for record in results.records]
    store.write_published(paths.RESULTS / study / results.preset, records, read[columns])
