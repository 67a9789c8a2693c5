"""The protocol of the scoreboard on given data: as many images and the same measures as what stands on it already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from lib.errors import BadInput
from lib.evaluate.axes import AXES, Case, Rung
from lib.evaluate.data import Data
from lib.evaluate.entries import entries
from lib.evaluate.plan import CALIBRATION, CHECKED, CORRUPTION, Costs, Plan, clean_seconds, make_plan, price
from lib.evaluate.references import published
from lib.evaluate.subject import Sizes


@dataclass(frozen=True)
class Known:
    """What stands on the scoreboard: by a probe of `train` images (0: by a head alone), measured by `measures`, their
    identities without protocols."""

    train: int
    measures: frozenset[str]


def known(data: Data) -> list[Known]:
    """Of the published runs and the entries on the same images."""
    records, rows = published()
    measured = rows.groupby("run")["measure"].unique()
    found = [
        Known(record["data"]["train_images"], frozenset(map(_settings, measured[record["key"]])))
        for record in records
        if record["data"].get("checksum") == data.checksum
    ]
    return found + [
        Known(entry.record["data"]["train"], frozenset(map(_settings, entry.rows["measure"])))
        for entry in entries()
        if entry.record["data"]["checksum"] == data.checksum
    ]


def standard_plan(case: Case, axes: Sequence[str], seconds: float, costs: Costs) -> Plan | None:
    """The plan that most of the scoreboard's systems on these data were measured by; None where there are none.

    Of several numbers of training images that which has most of the `axes`, then that which has most systems. Each axis
    is measured as most of these were, whatever it takes. The settings of a measure count, not its protocol: that is
    this code's. An axis that nobody was measured along is planned for a budget of `seconds`. Raises BadInput where no
    axis can be measured.
    """
    data = case.data
    boards: dict[int, list[Known]] = {}
    for own in known(data):
        if (own.train == 0) == bool(case.probe) and own.train <= data.sizes["train"]:
            boards.setdefault(own.train, []).append(own)
    if not boards:
        return None
    alone = [axis for axis in axes if axis != CALIBRATION or CORRUPTION not in axes]
    rungs = {train: _rungs(case, alone, systems) for train, systems in boards.items()}
    train = max(boards, key=lambda train: (len(rungs[train]), len(boards[train]), train))
    sizes = Sizes(train, data.sizes["validation"] if train else 0, data.sizes["test"])
    found = rungs[train]
    found, left_out = _with_new(case, alone, found, seconds, costs)
    checked = CHECKED[-1] if train else min(CHECKED[-1], sizes.test)
    taken = clean_seconds(case, sizes, checked, costs)
    taken += sum(price(AXES[axis].offer(case).rungs[place], costs) for axis, place in found.items())
    if CALIBRATION in axes and CALIBRATION not in alone:
        for told in (found, left_out):
            told |= {CALIBRATION: told[CORRUPTION]} if CORRUPTION in told else {}  # type: ignore[misc]
    return Plan(sizes, checked, found, left_out, taken, case.probe)


def _with_new(
    case: Case, axes: Sequence[str], found: dict[str, int], seconds: float, costs: Costs
) -> tuple[dict[str, int], dict[str, str]]:
    """The rungs of all `axes`, and why some are left out."""
    new = [axis for axis in axes if axis not in found]
    if not new:
        return found, {}
    try:
        plan = make_plan(case, new, seconds, costs)
    except BadInput as error:
        if not found:
            raise
        return found, dict.fromkeys(new, str(error))
    return found | dict(plan.rungs), dict(plan.left_out)


def _rungs(case: Case, axes: Sequence[str], systems: Sequence[Known]) -> dict[str, int]:
    """The rung of each axis that most of some systems stand on; none of an axis where they stand on none."""
    counts = Counter(measure for own in systems for measure in own.measures)
    found = {}
    for axis in axes:
        rungs = AXES[axis].offer(case).rungs
        places = {place: min(counts[name] for name in _names(rung)) for place, rung in enumerate(rungs)}
        if places and max(places.values()):
            found[axis] = max(places, key=lambda place: (places[place], place))
    return found


def _names(rung: Rung) -> set[str]:
    return {_settings(task.measure.identity) for task in rung.tasks}  # type: ignore[attr-defined]


def _settings(identity: str) -> str:
    """Of a measure's identity, all but its protocol."""
    return identity.partition("#")[0]
