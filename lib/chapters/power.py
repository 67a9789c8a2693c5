"""Print what each claim of all chapters rests on, and the seeds and test images that would decide it.

    python -m lib.chapters power                                        # a line a claim and data set
    python -m lib.chapters power --studies '["severity_degradation"]' --undecided

`lib.designs` says what the columns are; `power` returns them as a table. The minutes are those that one core takes to
train the runs that are to be added, from the records of runs of these systems; what measuring takes is not in the
records of most. A test set may have fewer images than would be needed.
"""

from __future__ import annotations

import argparse
import math
import re
import statistics
import sys
from collections.abc import Mapping, Sequence

import pandas as pd

from lib.chapters import PLANS
from lib.chapters.asked import by_data_set, claims_of
from lib.contrasts import SYSTEM
from lib.designs import POWER_COLUMNS, decided_by
from lib.errors import BadInput, one_of
from lib.runs.study import Study, as_list
from lib.verdicts import UNDECIDED


def power(studies: Sequence[str]) -> pd.DataFrame:
    """The table of all claims of some chapters on their published rows, a data set after the other.

    Its columns are "study", "dataset" and those of `lib.designs.POWER_COLUMNS`. Chapters without claims have no line.
    """
    tables = []
    for study in studies:
        claims = claims_of(study)
        if not claims:
            continue
        results = Study(PLANS[study]).results()
        taken = {record["key"]: core_minutes(record) for record in results.records}
        for dataset, rows in by_data_set(study, results.rows):
            found = decided_by(claims, rows, _Minutes(rows, taken))
            found.insert(0, "dataset", dataset)
            found.insert(0, "study", study)
            tables.append(found)
    empty = pd.DataFrame(columns=["study", "dataset", *POWER_COLUMNS])
    return pd.concat(tables, ignore_index=True) if tables else empty


def core_minutes(record: dict) -> float:
    """What training took, times the threads of a processor, or times the GPUs; NaN where unknown."""
    device = record.get("device", "")
    threads, processes = re.match(r"CPU, (\d+) threads", device), re.search(r", (\d+) processes$", device)
    return record.get("seconds", math.nan) / 60 * math.prod(int(count[1]) for count in (threads, processes) if count)


class _Minutes:
    """The median of the core minutes that runs of a system took; NaN of one that has no rows."""

    def __init__(self, rows: pd.DataFrame, taken: Mapping[str, float]) -> None:
        self.columns = [name for name in SYSTEM if name in rows]
        runs = rows[["run", *self.columns]].fillna("").drop_duplicates()
        self.systems = runs[self.columns].to_dict("records")
        self.taken = [taken.get(run, math.nan) for run in runs["run"]]

    def __call__(self, system: Mapping[str, object]) -> float:
        own = [
            minutes
            for one, minutes in zip(self.systems, self.taken, strict=True)
            if all(one.get(name, value) == value for name, value in system.items())
        ]
        return statistics.median(own) if own else math.nan


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.chapters power", description=__doc__.splitlines()[0])
    parser.add_argument("--studies", help="a list such as '[\"severity_degradation\"]'; all by default")
    parser.add_argument("--undecided", action="store_true", help="only claims that are undecided")
    arguments = parser.parse_args(words)
    try:
        studies = as_list(arguments.studies, "studies", tuple(PLANS)) if arguments.studies else list(PLANS)
        found = power([one_of(study, PLANS, "study") for study in studies])
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    if arguments.undecided:
        found = found[found["verdict"] == UNDECIDED]
    counts = dict.fromkeys(("seeds needed", "images", "images needed", "more runs", "minutes"), "{:,.0f}".format)
    print(found.drop(columns="judged by").to_string(index=False, float_format="%.2f", formatters=counts))
    decidable = found[found["verdict"] == UNDECIDED].dropna(subset="minutes")
    open_ones = int((found["verdict"] == UNDECIDED).sum())
    print(
        f"{open_ones} of {len(found)} verdicts are undecided; the runs that {len(decidable)} of them need take at most "
        f"{decidable['minutes'].sum() / 60:.0f} core hours of training, by each claim for itself"
    )
    return 0
