"""Parts: runs that are added to a published study in files of their own, which merge with those of other machines.

The sorted files of a study hold all of its runs, and two machines that each add one change neighbouring lines: a merge
cannot tell which to keep. So a run that is added lies in `results/<study>/<preset>/parts/<key>-<digest>/`, in files of
the same format, and no file that was there changes. The digest is of all that the part says: two machines that computed
one run have a folder each, and `lib.runs.store.read_published` says which of them counts. `fold` moves parts into the
sorted files; do so on one machine, when the others' parts are merged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from lib import leases
from lib.errors import BadInput
from lib.runs import outcomes, published, store
from lib.runs.config import RunConfig

LONGEST = 1 << 15  # bytes of the outcomes of a part: a study's file, which they are thinned for, has many runs


def add(home: Path, record: dict, rows: pd.DataFrame) -> Path:
    """Publish one run beside those of `home`, in the place of what is published of the same run; returns its folder.

    `rows` have the columns `lib.runs.store.PUBLISHED_COLUMNS`, all of this run. Its record is written last: interrupted
    at any moment, the part is there whole or does not count, and what it replaces is there until then. Raises BadInput
    where there are no rows.
    """
    key = record["key"]
    if set(rows["run"]) != {key}:
        raise BadInput(f"a part has rows of its run {key}, not of: {', '.join(sorted(set(rows['run']))) or 'none'}")
    text = json.dumps(record, sort_keys=True) + store.to_csv(rows)
    part = home / store.PARTS / f"{key}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    with _locked(home):
        outcomes.publish(part, rows, LONGEST)
        store.write_part(part, [record], rows)
        for other in (home / store.PARTS).glob(f"{key}-*"):
            if other != part:
                remove(other)
    published.forget()
    return part


def fold(home: Path) -> int:
    """Move all parts of a study and preset into its sorted files; returns how many there were.

    A run that was trained anew under the protocols of this code takes the place of those of older ones, which have
    other keys and would stay beside it unread. Parts are removed last: interrupted before, everything is there twice
    and read once.
    """
    if not (home / store.PARTS).is_dir() and not (home / store.NEXT).is_dir():
        return 0
    with _locked(home):
        store.settle(home)
        found = store.parts(home)
        if found:
            records, rows = store.read_published(home)
            old = _replaced(records)
            records, rows = [one for one in records if one["key"] not in old], rows[~rows["run"].isin(old)]
            store.write_published(home, records, rows)
            outcomes.publish(home, rows)
        for part in (home / store.PARTS).glob("*"):  # of those that were not complete as well
            remove(part)
    published.forget()
    return len(found)


def _replaced(records: list[dict]) -> set[str]:
    """Keys of runs of older protocols than this code's, of which there is one of the same configuration that is not."""
    old: dict[str, set[str]] = {}
    current = set()
    for record in records:
        config = RunConfig.from_dict(record["config"])
        name = published.identity(config)
        if published.is_older(record, config):
            old.setdefault(name, set()).add(record["key"])
        else:
            current.add(name)
    return {key for name, keys in old.items() if name in current for key in keys}


def remove(part: Path) -> None:
    """Delete a part, its record first: what is left of it if that is interrupted does not count."""
    (part / store.RECORDS).unlink(missing_ok=True)
    shutil.rmtree(part, ignore_errors=True)
    with contextlib.suppress(OSError):  # others are in there
        part.parent.rmdir()


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One process at a time adds to a study or folds it."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(leases.held(home / "parts.lease"))
        except OSError as error:
            raise BadInput(f"nothing can be published in {home} ({error.strerror}); make it a folder") from error
        yield
