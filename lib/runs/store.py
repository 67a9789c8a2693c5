"""Runs on the disk: local ones with weights, published ones as small text.

A local run lives in `runs/<key>/`: `record.json` (config and provenance), `weights.safetensors` (and
`head.safetensors`, where a measure reads the projector), `history.json`, `measuring.json` (how long measures took) and
`rows/<measure>.csv`. Published runs live
in `results/<study>/<preset>/`: `runs.jsonl` (a record a line) and `rows/<measure>.csv`, and `costs.csv` where
`benchmarks.costs` measured what training costs, `tuning.csv` where `benchmarks.tuning` tried other recipes. Outcomes of
single images lie beside both kinds of rows, see `lib.runs.outcomes`. A run that was added to a published study lies
in `parts/` first, in files of its own and of this same format, until it is folded into the others: see
`lib.runs.parts`.
Keys and a measure's identity are long and there are thousands of rows. A published line has the first letters of its
run's key, as many as tell the study's runs apart; its measure is the file's name, what stands before the parenthesis
of the identity, and the run's record lists under "measures" the identities of all that were published of it, one a
name. A file that would be longer than `LONGEST` gives way to one a metric, `<measure>.<metric>.csv`.
Every file is written whole or not at all; `tuning.csv` grows by whole lines. Records, weights, rows and outcomes of
local runs hold a checksum, and one that was altered since is refused.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from lib import bucket, files, leases, paths
from lib.errors import BadInput
from lib.measures import COLUMNS
from lib.measures.rows import measure_name
from lib.runs import older

PUBLISHED_COLUMNS = ("run", "measure", *COLUMNS)
LINE_COLUMNS = ("run", *COLUMNS)  # of a published file, whose name is the measure's
LONGEST = 1 << 20  # bytes of a file of published rows
_TYPES = {name: str for name in ("run", "measure", "shift", "subset", "level_unit", "metric")} | {"level": float}
RECORDS = "runs.jsonl"
PARTS = "parts"
SUM = "sha256"  # of a record and of weights, in the files themselves
LEASE = "lease"  # of a local run, see `lib.leases`
NEXT, REPLACES = "next.partial", "replaces"  # a folder, and of what its files take the place
OLD = "rows.csv"  # all rows of a study in one file, as they once were
LETTERS = 6  # of a run's key in a published line, or more
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
            data = save(tensors, files.checksum(tensors))
            files.write(home / f"{name}.safetensors", lambda file, data=data: file.write(data))
    files.write_text(home / "history.json", json.dumps(history, indent=1))
    files.write_text(home / "record.json", json.dumps(record | {SUM: _sum(record)}, indent=1))


def load_record(key: str) -> dict | None:
    """The record of a complete local run, or None."""
    path = folder(key) / "record.json"
    if not path.exists():
        return None
    record: dict = read_json(path)  # type: ignore[assignment]
    if (known := record.pop(SUM, None)) and known != _sum(record):  # those of older versions have none
        raise BadInput(f"{path} is damaged (its checksum is another's); delete its folder to compute that run again")
    return record


def _sum(record: dict) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def has_head(key: str) -> bool:
    return (folder(key) / "head.safetensors").exists()


def load_weights(key: str, module: nn.Module, device: torch.device, name: str = "weights") -> None:
    path = folder(key) / f"{name}.safetensors"
    if not path.exists():
        bucket.pull(path.parent, wanted=lambda name: name.endswith(path.name))
    try:
        tensors = load_file(path)
        with safe_open(path, "pt") as file:
            known = (file.metadata() or {}).get(SUM)
        if known and known != files.checksum(tensors)[SUM]:
            raise RuntimeError("its checksum is another's")
        module.load_state_dict(tensors)
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(":")  # of weights that do not fit, torch lists each in a line
        raise BadInput(f"{path} is damaged ({reason}); delete its folder to compute that run again") from error
    module.to(device, memory_format=torch.channels_last).eval()


def rows_path(key: str, measure: str) -> Path:
    """The file of a measure's rows; the measure's identity in letters that any file system takes, and its hash."""
    words = re.sub(r"[^a-z0-9]+", "-", measure.lower()).strip("-")
    return folder(key) / "rows" / f"{words}-{hashlib.sha256(measure.encode()).hexdigest()[:8]}.csv"


def save_rows(key: str, measure: str, rows: pd.DataFrame) -> None:
    files.write_text(rows_path(key, measure), files.sealed(to_csv(rows)))


def load_rows(key: str, measure: str) -> pd.DataFrame | None:
    path = rows_path(key, measure)
    return _measured(path, COLUMNS, measure_name(measure)) if path.exists() else None


def save_seconds(key: str, measure: str, seconds: float) -> None:
    """How long a measure of a local run took. Its lock is held: no other process writes the file."""
    known = load_seconds(key) | {measure: round(seconds, 1)}
    files.write_text(folder(key) / "measuring.json", json.dumps(known, indent=1))


def load_seconds(key: str) -> dict[str, float]:
    """Identity -> seconds, of the measures of a local run that were timed."""
    path = folder(key) / "measuring.json"
    return read_json(path) if path.exists() else {}  # type: ignore[return-value]


def join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Tables with the columns `PUBLISHED_COLUMNS`, one below the other; an empty one if there are none."""
    columns = list(PUBLISHED_COLUMNS)
    tables = [table for table in tables if not table.empty]  # an empty one would turn numbers into objects
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)


def to_csv(rows: pd.DataFrame) -> str:
    """Six digits after the point: more than a test set of any size resolves, and the same text everywhere."""
    if "level" in rows:  # most are whole numbers, in a column that has room for others; empty where there is none
        rows = rows.assign(level=["" if math.isnan(level) else f"{level:g}" for level in rows["level"]])
    return rows.to_csv(index=False, float_format="%.6f", lineterminator="\n")


def _measured(path: Path, columns: tuple[str, ...], measure: str) -> pd.DataFrame:
    """`read_rows` of a measure, whose rows may have the columns of then (see `lib.runs.older`)."""
    if not older.has_columns_of_then(path):
        return read_rows(path, columns)
    return older.renewed(read_rows(path, older.columns_of_then(columns)), measure)[list(columns)]


def read_rows(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table with exactly `columns`, every line complete."""
    text = files.unsealed(path.read_text(errors="replace"))
    if text is None:
        raise BadInput(
            f"{path} is damaged or half-written (its checksum is another's); delete it to compute its rows again"
        )
    try:
        rows = pd.read_csv(io.StringIO(text), keep_default_na=False, na_values={"level": [""]}, dtype=_TYPES)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise BadInput(f"{path} is damaged or half-written ({error}); delete it to compute its rows again") from error
    if unknown := [name for name in rows.columns if name not in columns]:
        raise BadInput(f"{path} has the unknown column {unknown[0]!r}; its columns are: {', '.join(columns)}")
    if missing := [name for name in columns if name not in rows.columns]:
        raise BadInput(f"{path} lacks the column {missing[0]!r}; its columns are: {', '.join(columns)}")
    numeric = ("level", "severity", "value", "standard_error", "images", "round", "seconds_per_epoch")
    numbers = [name for name in numeric if name in columns]
    if not text.endswith("\n") or not all(rows.empty or pd.api.types.is_numeric_dtype(rows[name]) for name in numbers):
        raise BadInput(f"{path} is half-written; delete it to compute its rows again")
    return rows[list(columns)]


def is_published(home: Path) -> bool:
    """Whether a study and preset has rows there."""
    return (home / "rows").is_dir() or (home / OLD).exists() or _staged(home) is not None or bool(parts(home))


def read_published(home: Path) -> tuple[list[dict], pd.DataFrame]:
    """Records and rows of one published study and preset; ([], empty) where nothing is published.

    As they went into `write_published`: `run` and `measure` hold keys and identities, and the records do not repeat
    the latter. A run of `parts` stands in the place of the same run in the sorted files; of several parts of one run
    that which finished last, of these the one with most measures, and then the last by name. A damaged file, and a row
    that no record accounts for, raise `BadInput`.
    """
    if not is_published(home):
        return [], pd.DataFrame(columns=list(PUBLISHED_COLUMNS))
    if (home / OLD).exists():
        raise BadInput(f"{home / OLD} is of an older format; python -m lib.runs.convert rewrites it, values unchanged")
    added = _added(home)
    if not added:
        return read_new(home)
    there = (home / "rows").is_dir() or _staged(home) is not None
    records, rows = read_new(home) if there else ([], join([]))
    kept = [record for record in records if record["key"] not in added]
    tables = [rows[~rows["run"].isin(list(added))], *(own for _, own in added.values())]
    records = sorted([*kept, *(record for record, _ in added.values())], key=lambda record: record["key"])
    return records, join(tables).sort_values("run", kind="stable", ignore_index=True)


def parts(home: Path) -> list[Path]:
    """The folders of runs that lie by themselves. One without a record is not complete, and is none."""
    return sorted(path.parent for path in (home / PARTS).glob(f"*/{RECORDS}"))


def _added(home: Path) -> dict[str, tuple[dict, pd.DataFrame]]:
    """Record and rows of the runs in `parts`, by key."""
    found = []
    for part in parts(home):
        records, rows = read_new(part)
        if len(records) != 1:
            raise BadInput(f"{part / RECORDS} describes {len(records)} runs, and a part is of one: delete its folder")
        found.append((str(records[0].get("finished", "")), rows["measure"].nunique(), part.name, records[0], rows))
    return {record["key"]: (record, rows) for *_, record, rows in sorted(found, key=lambda one: one[:3])}


def read_new(home: Path) -> tuple[list[dict], pd.DataFrame]:
    """`read_published` of the sorted files of a study, or of a part, whatever of an older format lies beside them."""
    home = _staged(home) or home
    try:
        records = [json.loads(line) for line in (home / RECORDS).read_text().splitlines()]
    except (ValueError, OSError) as error:
        raise BadInput(f"{home / RECORDS} is damaged ({error}); take it from the repository again") from error
    listed = {record["key"]: _by_name(home, record["key"], record.pop("measures", [])) for record in records}
    keys = {short: key for key, short in short_names(listed).items()}
    tables = [_of_file(path, keys, listed) for path in sorted((home / "rows").glob("*.csv"))]
    rows = join(tables)
    order = rows["run"].map({key: place for place, key in enumerate(sorted(listed))})
    return records, rows.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _of_file(path: Path, keys: dict[str, str], listed: dict[str, dict[str, str]]) -> pd.DataFrame:
    """The rows of one published file, with the keys and identities of its runs."""
    measure = path.name.split(".")[0]
    rows = _measured(path, LINE_COLUMNS, measure)
    for run in sorted(set(rows["run"])):
        if run not in keys:
            raise BadInput(f"{path} has rows of run {run}, which runs.jsonl does not describe")
        if measure not in (named := listed[keys[run]]):
            raise BadInput(
                f"{path} has rows of run {run}, whose record in runs.jsonl lists: "
                f"{', '.join(named.values()) or 'no measure'}"
            )
    runs = rows["run"].map(keys)
    return rows.assign(run=runs, measure=[listed[run][measure] for run in runs])


def write_published(home: Path, records: list[dict], rows: pd.DataFrame) -> None:
    """Sorted by key, so that publishing again changes only the lines that changed.

    Two identities of one measure's name in a run raise `BadInput`. All files are written beside those that are there
    first. From the last of them on they are what is published, while they take the others' places; interrupted, the
    next `settle` goes on with that.
    """
    texts = _texts_of(home, records, rows)
    settle(home)
    staged = home / NEXT
    shutil.rmtree(staged, ignore_errors=True)  # of one that was interrupted before they were all there
    files.write_text(staged / REPLACES, _digest(home / RECORDS))
    _write(staged, texts)
    settle(home)


def settle(home: Path) -> None:
    """Put into their places the files of a `write_published` that was interrupted when they were all written."""
    if (staged := _staged(home)) is None:
        return
    names = [*sorted(f"rows/{path.name}" for path in (staged / "rows").glob("*.csv")), RECORDS]
    _write(home, {name: (staged / name).read_text() for name in names})
    (staged / RECORDS).unlink()
    shutil.rmtree(staged)


def _staged(home: Path) -> Path | None:
    """The folder of all that is to be published in the place of what `home` holds; None where there is none, or where
    `home` has got other files since."""
    staged = home / NEXT
    if not (staged / RECORDS).exists():
        return None
    allowed = (staged / REPLACES).read_text(), _digest(staged / RECORDS)
    return staged if _digest(home / RECORDS) in allowed else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"


def write_part(home: Path, records: list[dict], rows: pd.DataFrame) -> None:
    """`write_published` in a folder that does not count before its records are there, which come last."""
    _write(home, _texts_of(home, records, rows))


def _write(home: Path, texts: dict[str, str]) -> None:
    """All files of a study, or of a part, in their order; other files of rows are removed before the last one, which
    describes them."""
    *rows, (_, records) = texts.items()
    for name, text in rows:
        files.write_text(home / name, text)
    for path in set((home / "rows").glob("*.csv")) - {home / name for name, _ in rows}:
        path.unlink()
    files.write_text(home / RECORDS, records)


def _texts_of(home: Path, records: list[dict], rows: pd.DataFrame) -> dict[str, str]:
    """By their names the texts of all files of a study, or of a part: rows first, records last."""
    listed = {run: _by_name(home, run, sorted(set(found))) for run, found in rows.groupby("run")["measure"]}
    records = [
        record | {"measures": list(listed.get(record["key"], {}).values())}
        for record in sorted(records, key=lambda record: record["key"])
    ]
    shorts = short_names(record["key"] for record in records)
    if unknown := sorted(set(rows["run"]) - set(shorts)):
        raise BadInput(f"there are rows of run {unknown[0]}, but no record of it")
    rows = rows.sort_values("run", kind="stable")
    names, rows = rows["measure"].map(measure_name), rows.assign(run=rows["run"].map(shorts))[list(LINE_COLUMNS)]
    texts = {}
    for name, table in rows.groupby(names):
        texts |= {f"rows/{file}": text for file, text in _texts(name, table).items()}
    return texts | {RECORDS: "".join(json.dumps(record, sort_keys=True) + "\n" for record in records)}


def _texts(measure: str, rows: pd.DataFrame) -> dict[str, str]:
    """The text of each file of a measure's rows, by the file's name."""
    text = to_csv(rows)
    if len(text.encode()) <= LONGEST:
        return {f"{measure}.csv": text}
    return {f"{measure}.{metric.replace(' ', '_')}.csv": to_csv(own) for metric, own in rows.groupby("metric")}


def short_names(keys: Iterable[str]) -> dict[str, str]:
    """Of each of `keys` as many first letters, `LETTERS` or more, as tell all of them apart."""
    keys = list(keys)
    length = LETTERS
    while len({key[:length] for key in keys}) < len(set(keys)):
        length += 1
    return {key: key[:length] for key in keys}


def _by_name(home: Path, run: str, identities: list[str]) -> dict[str, str]:
    """The identities of a run's measures by their names."""
    found = {}
    for identity in identities:
        if (first := found.setdefault(measure_name(identity), identity)) != identity:
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
    path = home / "tuning.csv"
    with leases.held(path.with_suffix(".lease")), open(path, "a") as file:
        file.write(pd.DataFrame([line])[list(TUNING_COLUMNS)].to_csv(index=False, header=file.tell() == 0))
