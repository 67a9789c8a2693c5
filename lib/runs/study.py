"""A study: the runs behind one notebook, from its papermill parameters to tidy rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import pandas as pd

from lib import paths
from lib.engines import ENGINES
from lib.errors import BadInput, one_of
from lib.inputs import whole
from lib.methods import METHODS
from lib.runs import engine, outcomes, parts, store
from lib.runs.config import RunConfig
from lib.runs.plan import Plan, all_systems, measures_of, runs_of, systems_of
from lib.runs.presets import PRESETS
from lib.runs.published import Found, Standing, Wanted, find, identity, unbalanced
from lib.runs.systems import System

PUBLISHED = "published"
DESCRIBED = ("method", "seed", "encoder", "dataset", "augmentation")
PLAIN = (bool, int, float, str, list, tuple, dict, type(None))  # what papermill injects


@dataclass(frozen=True)
class Results:
    """`records`: a dict a run. `rows`: tidy rows with the columns of DESCRIBED beside them.

    `standings`: of each run that was wanted and not computed now, what is older than this code's and what is left out.
    `systems`: those that the study's plan compares, by the names that rows have in the column "system". Where methods
    are compared and one of them is there with settings that are not its own, rows have these in a column "settings".
    """

    records: list[dict]
    rows: pd.DataFrame
    preset: str
    stale: bool  # true where published rows come from an older protocol or recipe than this code's
    costs: pd.DataFrame | None = None  # measured in turns, where all rows are published and somebody did
    standings: tuple[Standing, ...] = ()
    systems: Mapping[str, System] = field(default_factory=dict)

    def provenance(self) -> pd.DataFrame:
        """One line a run: what was computed, on what, by what, and how long it took."""
        lines = pd.DataFrame(
            {
                "method": METHODS[record["config"]["method"]].title,
                "system": self.systems[record["system"]].title if "system" in record else "",
                "seed": record["config"]["seed"],
                "encoder": record["config"]["encoder"],
                "augmentation": record["config"].get("augmentation") or "",
                "settings": _differing(record),
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
        return lines.drop(columns=[name for name in ("system", "augmentation", "settings") if not lines[name].any()])


def plain_values(namespace: dict) -> dict:
    """The parameters of a notebook: the plain values among its global names."""
    skip = {"In", "Out", "PAPERMILL_INPUT_PATH", "PAPERMILL_OUTPUT_PATH"}
    return {
        key: value for key, value in namespace.items()
        if isinstance(value, PLAIN) and not key.startswith("_") and key not in skip
    }  # fmt: skip


@dataclass(frozen=True)
class Study:
    """A plan, and the parameters that every notebook has. Lists may arrive as JSON strings, as papermill's `-p` hands
    them over."""

    plan: Plan
    preset: str = PUBLISHED
    dataset: str | None = None  # None: the preset's own
    methods: Sequence[str] | None = None  # None: the study's own
    seeds: Sequence[int] | None = None  # None: the preset's own
    systems: Sequence[str] | None = None  # of the plan's, where it has any; None: the study's own
    recompute: bool = False  # train also what is published
    engine: str | None = None  # of `lib.engines.ENGINES`; None: the environment's, or this process

    def __post_init__(self) -> None:
        one_of(self.preset, (PUBLISHED, *PRESETS), "preset")
        in_class = self.preset == "quick" and self.systems is None
        own = self.plan.in_class if in_class else self.plan.methods
        methods = own if self.methods is None else as_list(self.methods, "methods", METHODS)
        object.__setattr__(self, "methods", tuple(one_of(method, METHODS, "method") for method in methods))
        if self.seeds is not None:
            seeds = as_list(self.seeds, "seeds", ("0", "1", "2"))
            object.__setattr__(self, "seeds", tuple(whole(seed, "a seed", None) for seed in seeds))
        if self.dataset is not None and not isinstance(self.dataset, str):
            raise BadInput(f"dataset is one name, not {self.dataset!r}")
        if not isinstance(self.recompute, bool):
            raise BadInput(f"recompute is True or False, not {self.recompute!r}")
        if self.engine is not None:
            one_of(self.engine, ENGINES, "engine")
        object.__setattr__(self, "systems", self._chosen_systems(all_systems(self.plan)))

    def _chosen_systems(self, allowed: Sequence[str]) -> tuple[str, ...]:
        """The systems named, or the study's own, of which only those with one of `methods` are left."""
        if not allowed:
            if self.systems not in (None, ()):  # the latter is what this makes of the former
                raise BadInput(f"{self.plan.name} compares methods, not systems: its systems are None")
            return ()
        if self.systems is not None:
            systems = as_list(self.systems, "systems", allowed)
        else:
            systems = systems_of(self.plan, self._scale(), self.dataset)
        own = self.plan.systems
        chosen = tuple(name for name in systems if own[one_of(name, allowed, "system")].method in self.methods)
        if not chosen:
            raise BadInput(
                f"no system is left: none of {', '.join(systems)} is trained by {' or '.join(self.methods)}; "
                f"all systems are: {', '.join(allowed)}"
            )
        return chosen

    def _scale(self) -> str:
        """The name of the preset that says how large the study is."""
        return largest_published(self.plan) if self.preset == PUBLISHED else self.preset

    def wanted(self) -> list[Wanted]:
        """The study's runs, further seeds among them, each with its measures and its system."""
        return self._wanted(self._scale(), further=True)

    def _wanted(self, preset: str, further: bool = False) -> list[Wanted]:
        """The study's runs, each with its measures and its system; None where methods are compared."""
        chosen = self.systems or self.methods
        plain = {config for _, config in runs_of(self.plan, preset, chosen, self.seeds, self.dataset)}
        wanted = [
            Wanted(
                config, measures_of(self.plan, preset, system), system, system and self.plan.title(system),
                config not in plain,
            )
            for system, config in runs_of(self.plan, preset, chosen, self.seeds, self.dataset, further)
        ]  # fmt: skip
        return list({identity(one.config): one for one in wanted}.values())

    @classmethod
    def from_notebook(cls, plan: Plan, namespace: dict) -> Study:
        """From the global names of a notebook, whose plain values are its parameters; an unknown one is refused."""
        without = {"plan"} if plan.systems else {"plan", "systems"}
        allowed = [field.name for field in fields(cls) if field.name not in without]
        given = plain_values(namespace)
        for key in given:
            one_of(key, allowed, "parameter")
        return cls(plan, **given)

    def results(self, time_limit: float | None = None) -> Results:
        """Rows of all runs: published ones where they fit, stored ones where they are there, else computed now.

        A page of published rows shows what is published: what is not, is left out and said there (see `standings`).
        """
        preset = self._scale()
        if self.preset == PUBLISHED and not self.recompute:
            return self._published(preset, self._wanted(preset, further=True))
        wanted = self._wanted(preset)
        found = [None] * len(wanted) if self.recompute else find(self.plan, wanted)
        missing = {identity(one.config): one for one, hit in zip(wanted, found, strict=True) if hit is None}
        if not missing:
            return self._told(preset, found)
        records, rows = engine.compute(
            [one.config for one in missing.values()],
            lambda config: missing[identity(config)].measures,
            time_limit=time_limit,
            engine=self.engine,
        )
        return self._told(preset, found, self._named(records, missing), rows)

    def _published(self, preset: str, wanted: list[Wanted]) -> Results:
        """What is published of `wanted`, in equal seeds."""
        found = find(self.plan, wanted, partly=True)
        without = unbalanced(wanted, found)
        if all(without):
            raise BadInput(
                f"none of the {len(wanted)} runs of this grid is published with all its seeds; name a preset "
                f"({', '.join(PRESETS)}) to compute what is missing"
            )
        left_out = [
            Standing(one.config, one.system, one.title, published=hit is not None, left_out=True)
            for one, hit, out in zip(wanted, found, without, strict=True)
            if out and not (one.further and hit is None)
        ]
        return self._told(preset, [hit for hit, out in zip(found, without, strict=True) if not out], left_out=left_out)

    def _told(
        self,
        preset: str,
        found: Sequence[Found | None],
        computed: Sequence[dict] = (),
        rows: pd.DataFrame | None = None,
        left_out: Sequence[Standing] = (),
    ) -> Results:
        """Published runs, and those computed now, as one."""
        hits = [hit for hit in found if hit]
        records = [*computed, *({**hit.record, **_system(hit.standing.system)} for hit in hits)]
        tables = [table for table in (rows, *(hit.rows for hit in hits)) if table is not None]
        standings = (*(hit.standing for hit in hits), *left_out)
        methods = [hit.standing.config.method for hit in hits]
        return Results(
            records,
            _describe(pd.concat(tables), records, tuple(self.plan.systems)),
            preset,
            any(standing.stale for standing in standings),
            None if computed else _published_costs(self.plan.name, preset, methods),
            standings,
            self.plan.systems,
        )

    def _named(self, records: list[dict], missing: dict[str, Wanted]) -> list[dict]:
        """Records of runs computed now, with their systems."""
        if not self.systems:
            return records
        names = {identity(one.config): one.system for one in missing.values()}
        return [record | _system(names[identity(RunConfig.from_dict(record["config"]))]) for record in records]


def _system(name: str | None) -> dict[str, str]:
    return {} if name is None else {"system": name}


def _differing(record: dict) -> str:
    """The settings of a run that are not its method's; "" of a system, whose name says it."""
    return "" if "system" in record else RunConfig.from_dict(record["config"]).differing


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


def _describe(rows: pd.DataFrame, records: list[dict], systems: Sequence[str]) -> pd.DataFrame:
    """Rows with the columns that tell runs apart in a figure, in the order of `systems`, or of the methods' table."""
    runs = pd.DataFrame(
        [{"run": record["key"], **{name: record["config"].get(name) for name in DESCRIBED}} for record in records]
    )
    if any("system" in record for record in records):
        runs["system"] = [record["system"] for record in records]
    elif any(differing := [_differing(record) for record in records]):
        runs["settings"] = differing
    joined = runs.merge(rows, on="run", validate="one_to_many")
    if "system" in joined:
        order = joined["system"].map(systems.index)
    else:
        order = joined["method"].map(list(METHODS).index)
    return joined.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _published_costs(study: str, preset: str, methods: Sequence[str]) -> pd.DataFrame | None:
    """Those of `methods`, if all of them were measured."""
    costs = store.read_costs(paths.RESULTS / study / preset)
    if costs is None or not set(methods) <= set(costs["method"]):
        return None
    return costs[costs["method"].isin(methods)]


def largest_published(plan: Plan) -> str:
    """The name of the largest preset with published rows of `plan`, of those in which as many of its methods or systems
    are published with all their seeds as in any smaller one: a page waits for a campaign that has only begun."""
    there = [preset for preset in PRESETS if store.is_published(paths.RESULTS / plan.name / preset)]
    if not there:
        raise BadInput(f"nothing is published for {plan.name}; name a preset to compute it: {', '.join(PRESETS)}")
    return there[0] if len(there) == 1 else max(there, key=lambda preset: (_whole(plan, preset), there.index(preset)))


def _whole(plan: Plan, preset: str) -> int:
    """How many methods or systems are published with all the seeds of a preset, each on the preset's own encoder."""
    wanted = Study(plan, preset).wanted()
    without = unbalanced(wanted, find(plan, wanted, partly=True))
    return len({one.system or one.config.method for one, out in zip(wanted, without, strict=True) if not out})


def publish(plan: Plan, results: Results, beside: bool = False) -> None:
    """Write records, rows and outcomes, but those that no page reads, to `results/<plan>/<preset>/`: in the place of
    all that is there, or `beside` it, where only what is published of the same runs is replaced."""
    read = results.rows[~plan.unread(results.rows)]
    columns = list(store.PUBLISHED_COLUMNS)
    records = [{name: value for name, value in record.items() if name != "system"} for record in results.records]
    home = paths.RESULTS / plan.name / results.preset
    if beside:
        for record in records:
            parts.add(home, record, read.loc[read["run"] == record["key"], columns])
        parts.fold(home)
        return
    replaced = store.parts(home)
    store.write_published(home, records, read[columns])
    outcomes.publish(home, read[columns])
    for part in replaced:
        parts.remove(part)


def add(plan: Plan, preset: str, record: dict, rows: pd.DataFrame, system: str | None = None) -> bool:
    """Publish one run of a plan, of the `system` where it has some, beside others (see `lib.runs.parts`).

    `rows` are as the engine hands them over; those that no page reads are left out. False where none is left: then
    nothing is published.
    """
    if rows.empty:
        return False
    described = _describe(rows, [record | _system(system)], tuple(plan.systems))
    read = described.loc[~plan.unread(described), list(store.PUBLISHED_COLUMNS)]
    if read.empty:
        return False
    parts.add(paths.RESULTS / plan.name / preset, record, read)
    return True
