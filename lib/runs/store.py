"""Runs on the disk: local ones with weights, published ones as small text.

A local run lives in `runs/<key>/`: `record.json` (config and provenance), `weights.safetensors` (and
`head.safetensors`, where a measure reads the projector), `history.json`, and `rows/<measure>.csv`. Published runs live
in `results/<study>/<preset>/`: `runs.jsonl` (a record a line) and `rows.csv`, and `costs.csv` where `benchmarks.costs`
measured what training costs, `tuning.csv` where `benchmarks.tuning` tried other recipes.
A measure's identity is long and there are thousands of rows: `rows.csv` has its name alone, what stands before the
parenthesis, and the run's record lists under "measures" the identities of all that were published of it, one a name.
Every file is written whole or not at all; `tuning.csv` grows by whole lines.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from lib import files, paths
from lib.errors import BadInput
from lib.measures import COLUMNS

try:
    import fcntl
except ImportError:  # Windows: no lock, so one process at a time is up to the user
    fcntl = None

PUBLISHED_COLUMNS = ("run", "measure", *COLUMNS)
COST_COLUMNS = ("method", "round", "seconds_per_epoch", "device", "precision", "torch", "finished")
TUNING_COLUMNS = (
    "method", "optimiser", "rate", "weight_decay", "temperature", "seed", "dataset", "encoder", "images", "batch_size",
    "epochs", "accuracy", "validation_images", "protocol", "seconds", "device", "precision", "commit",
)  # fmt: skip


def folder(key: str) -> Path:
    return paths.runs() / key


def read_json(path: Path) -> dict | list:
    try:
        return json.loads(path.read_text())
    except (ValueError, OSError) as error:
        raise BadInput(f"{path} is half-written ({error}); delete its folder to compute that run again") from error


def save_run(key: str, encoder: nn.Module, history: list[dict], record: dict, head: nn.Module | None = None) -> None:
    """Weights first, the record last: a run whose record is there is complete. `head` is what else is measured."""
    home = folder(key)
    for name, module in (("weights", encoder), ("head", head)):
        if module is not None:
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
            files.write(home / f"{name}.safetensors", lambda file, tensors=tensors: file.write(save(tensors)))
    files.write_text(home / "history.json", json.dumps(history, indent=1))
    files.write_text(home / "record.json", json.dumps(record, indent=1))


def load_record(key: str) -> dict | None:
    """The record of a complete local run, or None."""
    path = folder(key) / "record.json"
    return read_json(path) if path.exists() else None


def has_head(key: str) -> bool:
    return (folder(key) / "head.safetensors").exists()


def load_weights(key: str, module: nn.Module, device: torch.device, name: str = "weights") -> None:
    path = folder(key) / f"{name}.safetensors"
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(":")  # of weights that do not fit, torch lists each in a line
        raise BadInput(f"{path} is damaged ({reason}); delete its folder to compute that run again") from error
    module.to(device, memory_format=torch.channels_last).eval()


def rows_path(key: str, measure: str) -> Path:
    """The file of a measure's rows; the measure's identity in letters that any file system takes, and its hash."""
    words = re.sub(r"[^a-z0-9]+", "-", measure.lower()).strip("-")
    return folder(key) / "rows" / f"{words}-{hashlib.sha256(measure.encode()).hexdigest()[:8]}.csv"


def save_rows(key: str, measure: str, rows: pd.DataFrame) -> None:
    files.write_text(rows_path(key, measure), to_csv(rows))


def load_rows(key: str, measure: str) -> pd.DataFrame | None:
    path = rows_path(key, measure)
    return read_rows(path, COLUMNS) if path.exists() else None


def join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables with the columns `PUBLISHED_COLUMNS`, one below the other; an empty one if there are none."""
    columns = list(PUBLISHED_COLUMNS)
    tables = [table for table in tables if not table.empty]  # an empty one would turn numbers into objects
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def to_csv(rows: pd.DataFrame) -> str:
    """Six digits after the point: more than a test set of any size resolves, and the same text everywhere."""
    if "severity" in rows:  # most are whole numbers, in a column that has room for others
        rows = rows.assign(severity=rows["severity"].map("{:g}".format))
    return rows.to_csv(index=False, float_format="%.6f", lineterminator="\n")


def read_rows(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table with exactly `columns`, every line complete."""
    text = path.read_text()
    try:
        rows = pd.read_csv(path, keep_default_na=False, dtype={"run": str, "measure": str})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise BadInput(f"{path} is damaged or half-written ({error}); delete it to compute its rows again") from error
    if unknown := [name for name in rows.columns if name not in columns]:
        raise BadInput(f"{path} has the unknown column {unknown[0]!r}; its columns are: {', '.join(columns)}")
    if missing := [name for name in columns if name not in rows.columns]:
        raise BadInput(f"{path} lacks the column {missing[0]!r}; its columns are: {', '.join(columns)}")
    numeric = ("severity", "value", "standard_error", "images", "round", "seconds_per_epoch")
    numbers = [name for name in numeric if name in columns]
    if not text.endswith("\n") or not all(rows.empty or pd.api.types.is_numeric_dtype(rows[name]) for name in numbers):
        raise BadInput(f"{path} is half-written; delete it to compute its rows again")
    return rows[list(columns)]


def read_published(home: Path) -> tuple[list[dict], pd.DataFrame]:
    """Records and rows of one published study and preset; ([], empty) where nothing is published.

    As they went into `write_published`: `measure` holds identities, and the records do not repeat them. A damaged
    file, and a row that no record accounts for, raise `BadInput`.
    """
    if not (home / "rows.csv").exists():
        return [], pd.DataFrame(columns=list(PUBLISHED_COLUMNS))
    try:
        records = [json.loads(line) for line in (home / "runs.jsonl").read_text().splitlines()]
    except (ValueError, OSError) as error:
        raise BadInput(f"{home / 'runs.jsonl'} is damaged ({error}); take it from the repository again") from error
    rows = read_rows(home / "rows.csv", PUBLISHED_COLUMNS)
    listed = {record["key"]: _by_name(home, record["key"], record.pop("measures", [])) for record in records}
    pairs = list(zip(rows["run"], rows["measure"], strict=True))
    for run, name in sorted(set(pairs)):
        if run not in listed:
            raise BadInput(f"{home / 'rows.csv'} has rows of run {run}, which runs.jsonl does not describe")
        if name not in listed[run]:
            raise BadInput(
                f"{home / 'rows.csv'} has rows of the measure {name!r} in run {run}, whose record in runs.jsonl lists: "
                f"{', '.join(listed[run].values()) or 'no measure'}"
            )
    return records, rows.assign(measure=[listed[run][name] for run, name in pairs])


def write_published(home: Path, records: list[dict], rows: pd.DataFrame) -> None:
    """Sorted by key, so that publishing again changes only the lines that changed.

    Two identities of one measure's name in a run raise `BadInput`. Rows first: should nothing more be written, an older
    record may call them stale, but never a newer one call older rows its own.
    """
    listed = {run: _by_name(home, run, sorted(set(found))) for run, found in rows.groupby("run")["measure"]}
    records = [
        record | {"measures": list(listed.get(record["key"], {}).values())}
        for record in sorted(records, key=lambda record: record["key"])
    ]
    rows = rows.assign(measure=rows["measure"].map(_name)).sort_values("run", kind="stable")[list(PUBLISHED_COLUMNS)]
    files.write_text(home / "rows.csv", to_csv(rows))
    files.write_text(home / "runs.jsonl", "".join(json.dumps(record, sort_keys=True) + "\n" for record in records))


def _name(identity: str) -> str:
    return identity.split("(")[0]


def _by_name(home: Path, run: str, identities: list[str]) -> dict[str, str]:
    """The identities of a run's measures by their names."""
    found = {}
    for identity in identities:
        if (first := found.setdefault(_name(identity), identity)) != identity:
            raise BadInput(
                f"{home / 'runs.jsonl'} holds one identity a measure and run; run {run} has both {first} and {identity}"
            )
    return found


def read_costs(home: Path) -> pd.DataFrame | None:
    """What training by each method cost when it was measured in turns: `COST_COLUMNS`; None where it was not."""
    path = home / "costs.csv"
    return read_rows(path, COST_COLUMNS) if path.exists() else None


def write_costs(home: Path, costs: pd.DataFrame) -> None:
    files.write_text(home / "costs.csv", to_csv(costs[list(COST_COLUMNS)]))


def read_tuning(home: Path) -> pd.DataFrame:
    """What `benchmarks.tuning` found: `TUNING_COLUMNS`, a line a point; empty where nothing was tuned.

    `rate` is for a batch of 256. `temperature` is NaN where the method has none, `accuracy` (on validation images, in
    percent) where the loss did not stay finite.
    """
    path = home / "tuning.csv"
    if not path.exists():
        return pd.DataFrame(columns=list(TUNING_COLUMNS))
    texts = dict.fromkeys(("method", "optimiser", "dataset", "encoder", "device", "precision", "commit"), str)
    empty = {name: [""] for name in TUNING_COLUMNS if name not in texts}
    try:
        lines = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=empty)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise BadInput(f"{path} is damaged ({error}); mend or delete its last line") from error
    if tuple(lines.columns) != TUNING_COLUMNS:
        raise BadInput(f"{path} has the columns {', '.join(lines.columns)}; they are: {', '.join(TUNING_COLUMNS)}")
    numbers = [name for name in TUNING_COLUMNS if name not in texts]
    if not path.read_text().endswith("\n") or not all(pd.api.types.is_numeric_dtype(lines[name]) for name in numbers):
        raise BadInput(f"{path} is half-written; mend or delete its last line")
    return lines


def append_tuning(home: Path, line: dict[str, object]) -> None:
    """Add one line of `TUNING_COLUMNS`, which several processes may do at once."""
    home.mkdir(parents=True, exist_ok=True)
    with locked(home / "tuning.csv") as file:
        text = pd.DataFrame([line])[list(TUNING_COLUMNS)].to_csv(index=False, header=file.tell() == 0)
        file.write(text)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[TextIO]:
    """The file `path`, open to be extended by this process alone. The lock dies with its process."""
    with open(path, "a") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0, os.SEEK_END)  # where another process may have moved it meanwhile
        yield file
