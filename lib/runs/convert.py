"""Published rows of older formats as they are written today: a file a measure, with a subset and a level a row.

python -m lib.runs.convert            # of results/; what is converted already is left as it is
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from lib import paths
from lib.errors import BadInput
from lib.measures.rows import measure_name
from lib.runs import older, store


def convert(home: Path) -> bool:
    """Rewrite the rows of one published study and preset, values unchanged; False where none are of the older format.

    The older file goes last, when what was written reads back as what it held: until then the call can be repeated.
    """
    old = home / store.OLD
    if old.exists():
        records, rows = _read_old(home)
    elif any(older.has_columns_of_then(path) for path in (home / "rows").glob("*.csv")):
        records, rows = store.read_new(home)
    else:
        return False
    store.write_published(home, records, rows)
    records_again, again = store.read_new(home)
    if records_again != sorted(records, key=lambda record: record["key"]) or not _alike(rows, again):
        raise BadInput(f"{home / 'rows'} does not read back as what was there; take it from the repository again")
    old.unlink(missing_ok=True)
    return True


def _read_old(home: Path) -> tuple[list[dict], pd.DataFrame]:
    """Records and rows as `store.write_published` takes them."""
    path = home / store.OLD
    records = [json.loads(line) for line in (home / "runs.jsonl").read_text().splitlines()]
    listed = {record["key"]: record.pop("measures", []) for record in records}
    named = {(run, measure_name(one)): one for run, identities in listed.items() for one in identities}
    rows = store.read_rows(path, older.columns_of_then(store.PUBLISHED_COLUMNS))
    rows = store.join([older.renewed(part, name) for name, part in rows.groupby("measure", sort=False)])
    pairs = list(zip(rows["run"], rows["measure"], strict=True))
    for run, name in pairs:
        if (run, name) not in named:
            raise BadInput(f"{path} has rows of the measure {name!r} in run {run}, which runs.jsonl does not list")
    return records, rows.assign(measure=[named[pair] for pair in pairs])


def _alike(rows: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Whether two tables hold the same rows, those of a run, measure and metric in the same order."""
    cell = ["run", "measure", "metric"]
    one, other = (table.sort_values(cell, kind="stable", ignore_index=True) for table in (rows, others))
    return one.equals(other)


def main() -> int:
    argparse.ArgumentParser(prog="python -m lib.runs.convert", description=__doc__.splitlines()[0]).parse_args()
    try:
        for home in sorted(path for path in paths.RESULTS.glob("*/*") if path.is_dir()):
            if convert(home):
                print(f"{home.parent.name}/{home.name}: converted")
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
