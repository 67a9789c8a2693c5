"""From names to a report: what is asked is opened, planned, measured, compared and written."""

from __future__ import annotations

import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import torch

import lib
from lib import bucket, engines, files
from lib.errors import BadInput, one_of
from lib.evaluate.axes import HEAD, PROBE, Case, Rung, chosen_axes
from lib.evaluate.compute import Measured, measure_all, measure_by_name
from lib.evaluate.data import TESTED, Data, all_for_tests, device, open_data
from lib.evaluate.elsewhere import check_shared
from lib.evaluate.encoders import Opened, open_all
from lib.evaluate.plan import Costs, Plan, affordable, case_of, make_plan, tasks_of
from lib.evaluate.subject import checksum, key_of
from lib.inputs import real
from lib.models.named import Named
from lib.progress import bars
from lib.runs import store
from lib.runs.engine import commit, device_name
from lib.runs.study import plain_values
from lib.shifts.imagenet import available
from lib.shifts.wnids import WNIDS

SCHEMA = 1  # of a record
BUDGET = 30.0  # minutes


@dataclass(frozen=True)
class Evaluation:
    """What was found: `rows` with the columns of `lib.evaluate.compute.KEYS` and of a measure, and its `record`.

    `rungs` are what was measured, by axis; `folder` is where the report lies, None where none was asked for. `entries`
    are the folders of the scoreboard that were written.
    """

    opened: tuple[Opened, ...]
    data: Data
    case: Case
    plan: Plan
    rungs: dict[str, Rung]
    rows: pd.DataFrame
    record: dict
    folder: Path | None = None
    entries: tuple[Path, ...] = ()

    @property
    def encoders(self) -> list[str]:
        return [own.name for own in self.opened]

    @property
    def left_out(self) -> dict[str, str]:
        return self.record["left_out"]


def evaluate(
    encoders: str | Named | Sequence[str | Named],
    data: str,
    axes: str | Sequence[str] | None = None,
    budget: float = BUDGET,
    out: str | Path | None = None,
    progress: bool = True,
    shifts: str | Sequence[str] = (),
    submit: bool = False,
    engine: str | None = None,
) -> Evaluation:
    """Measure frozen `encoders`, by name or as `lib.models.named.Named`, on `data`, and write a report to `out`.

    `axes` are names of `lib.evaluate.axes.AXES` (None: all that fit), `budget` is in minutes. What is in the store is
    read: the same call goes on where another stopped. Several encoders are compared, each with the first. `shifts` are
    folders, or variants of ImageNet, with the same classes elsewhere, for the natural shift. To `submit` is to measure
    as what stands on the scoreboard was on these data, whatever the budget, and to write an entry for each encoder (see
    `lib.evaluate.entries`); what nobody was measured by, as the budget has it. Several encoders, if all are given by
    name, go to an `engine`, a task each (see `lib.engines`; this process by default). Raises BadInput, one sentence,
    where nothing can be measured; an axis that cannot be is left out, with its reason.
    """
    wanted = chosen_axes(axes)
    seconds = 60 * real(budget, "a budget, in minutes,", 0)
    with bars(progress):
        opened, found, case = _case(encoders, data, [shifts] if isinstance(shifts, str) else shifts)
        standard = _standard(opened, case, wanted, seconds) if submit else None
        plan = standard or _plan(opened, case, wanted, seconds)
        budgeted, seconds = (None, math.inf) if standard else (budget, seconds)
        case = replace(case, readers=(HEAD,), probe=plan.probe) if plan.probe else case
        rungs = tasks_of(case, plan)
        if engines.named(engine) != engines.ENGINES[0] and len(opened) > 1 and (names := _names(encoders)):
            measured = measure_by_name(names, found, plan, rungs, seconds, progress, engine)
        else:
            measured = measure_all(opened, found, plan, rungs, seconds, progress)
    record = _record(opened, found, plan, rungs, measured, wanted, budgeted)
    made = Evaluation(tuple(opened), found, case, plan, rungs, measured.rows, record)
    if submit:
        from lib.evaluate.entries import write as write_entries

        made = replace(made, entries=tuple(write_entries(made)))
    if out is None:
        return made
    from lib.evaluate.report import write  # which draws: whoever wants rows alone needs nothing to draw with

    return write(made, Path(out))


def _names(encoders: str | Named | Sequence[str | Named]) -> list[str]:
    """Of all encoders, or none where one is no name, which no other process could open."""
    if isinstance(encoders, str | Named):
        encoders = [encoders]
    names = [encoder for encoder in encoders if isinstance(encoder, str)]
    return names if len(names) == len(encoders) else []


PARAMETERS = ("encoder", "data", "axes", "budget", "out", "shifts", "submit", "engine")


def from_notebook(namespace: dict) -> Evaluation:
    """`evaluate` with the global names of a notebook, whose plain values are its parameters; an unknown one is refused.

    `encoder` and `axes` may be lists, or texts of them, as papermill's `-p` hands them over.
    """
    given = plain_values(namespace)
    for name in given:
        one_of(name, PARAMETERS, "parameter")
    encoders, axes, shifts = (listed(given.get(name), name) for name in ("encoder", "axes", "shifts"))
    out, submit = given.get("out"), given.get("submit", False)
    if not isinstance(submit, bool):
        raise BadInput(f"submit is True or False, not {submit!r}")
    return evaluate(
        encoders or [], given["data"], axes, given["budget"], out, shifts=shifts or (), submit=submit,
        engine=given.get("engine"),
    )  # fmt: skip


def listed(value: object, what: str) -> list[str] | None:
    """Names from a list, from a text of one such as '["a", "b"]', or from a name alone."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise BadInput(f'{what} is a name, or a list such as ["a", "b"], not {value!r}') from error
    if isinstance(value, str):
        value = value.split(",") if what == "axes" else [value]
    if value is not None and not (isinstance(value, list) and all(isinstance(name, str) for name in value)):
        raise BadInput(f'{what} is a name, or a list such as ["a", "b"], not {value!r}')
    return value if value is None else [name.strip() for name in value]


def _case(
    encoders: str | Named | Sequence[str | Named], name: str, shifts: Sequence[str]
) -> tuple[list[Opened], Data, Case]:
    """What all encoders can be asked. Raises BadInput where there is neither a probe nor a head to read them by."""
    data, where = open_data(name), device()
    opened = open_all(encoders, data, where)
    headed = all(own.columns is not None for own in opened)
    if data.unfit and not headed:
        reasons = next(own.headless for own in opened if own.columns is None)
        raise BadInput(f"{data.name} cannot be evaluated: {data.unfit}; and {reasons}")
    if data.unfit and data.sizes["train"]:
        data = all_for_tests(data)
    readers = (*(() if data.unfit else (PROBE,)), *((HEAD,) if headed else ()))
    side = max(own.named.preprocessing.size for own in opened)
    differentiable = all(own.named.differentiable for own in opened)
    return opened, data, case_of(data, side, readers, differentiable, _elsewhere(data, shifts))


def _elsewhere(data: Data, shifts: Sequence[str]) -> tuple[Data, ...]:
    """Where else the classes are: as named, or the variants of ImageNet that are here for data of its classes."""
    if not shifts and data.folder is not None and set(data.classes) <= set(WNIDS):
        shifts = [variant for variant in available(data.classes) if variant in TESTED]
    others = tuple(all_for_tests(open_data(shift)) for shift in shifts)
    check_shared(data, others)
    return others


def _standard(opened: Sequence[Opened], case: Case, axes: Sequence[str], seconds: float) -> Plan | None:
    from lib.evaluate.standard import standard_plan  # which reads entries, that know what an evaluation is

    return standard_plan(case, axes, seconds, _costs(opened))


def _costs(opened: Sequence[Opened]) -> Costs:
    return Costs(tuple(own.seconds for own in opened), tuple(own.named.encoder.features for own in opened))


def _plan(opened: Sequence[Opened], case: Case, axes: Sequence[str], seconds: float) -> Plan:
    """The plan of the same question asked before, whatever the clock says now; else a new one, which is kept."""
    question = [checksum(own.named) for own in opened], [str(own.named.preprocessing) for own in opened]
    question += ([own.checksum for own in case.others],)
    path = store.folder(key_of("plan", question, case.data.checksum, axes, seconds, list(case.readers))) / "plan.json"
    bucket.pull(path.parent)
    if path.exists():
        return Plan.from_dict(store.read_json(path))  # type: ignore[arg-type]
    costs = _costs(opened)
    plan = make_plan(affordable(case, seconds, costs), axes, seconds, costs)
    files.write_text(path, json.dumps(plan.to_dict(), indent=1))
    return plan


def _record(
    opened: Sequence[Opened],
    data: Data,
    plan: Plan,
    rungs: dict[str, Rung],
    measured: Measured,
    axes: Sequence[str],
    budget: float | None,
) -> dict:
    return {
        "schema": SCHEMA,
        "encoders": [
            {
                "name": own.name,
                "source": own.named.source,
                "preprocessing": asdict(own.named.preprocessing),
                "weights": checksum(own.named),
                "features": own.named.encoder.features,
                "differentiable": own.named.differentiable,
                "head": own.headless or f"its {len(own.columns)} outputs for these classes",  # type: ignore[arg-type]
                "seconds_per_image": round(own.seconds, 6),
                "keys": measured.keys[own.name],
            }
            for own in opened
        ],
        "data": {
            "name": data.name, "source": data.source, "checksum": data.checksum, "classes": list(data.classes),
            "images": asdict(plan.sizes), "side": data.side,
        },
        "axes": list(axes),
        "measured": {axis: rung.words for axis, rung in rungs.items() if axis not in measured.late},
        "left_out": {**plan.left_out, **measured.late},
        "measures": sorted(set(measured.rows["measure"])),
        "budget_minutes": budget,
        "estimated_seconds": round(plan.seconds, 1),
        "seconds": round(measured.seconds, 1),
        "device": device_name(device()),
        "finished": datetime.now(UTC).date().isoformat(),
        "versions": {"withstand": lib.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "commit": commit(),
    }  # fmt: skip
