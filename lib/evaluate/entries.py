"""Entries of the scoreboard: what the door measured of one encoder, as one folder of small files to commit.

`results/scoreboard/<name>/` holds `entry.json` (what was measured, of which weights, on which data, by what, and the
checksums of the other files), `numbers.csv` (the cells behind each number of the scoreboard) and `outcomes.bin` (what
the encoder did on single images, as far as is kept; see `lib.runs.outcomes`). `python -m lib.evaluate ... --submit`
writes it; `check` says what is wrong with one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lib import files, paths
from lib.errors import BadInput
from lib.evaluate.axes import AXES, HEAD, PROBE
from lib.evaluate.door import Evaluation
from lib.evaluate.encoders import is_random
from lib.evaluate.numbers import MEAN, cells_of, headlines
from lib.evaluate.plan import CHECK, CLEAN, CORRUPTION
from lib.measures import COLUMNS, is_share
from lib.measures.corruption_error import ALL
from lib.measures.rows import SEVERITY
from lib.runs import outcomes, store
from lib.shifts.corruptions import CORRUPTIONS

SCHEMA = 1
HOME = "scoreboard"  # below the folder of results
RECORD, NUMBERS = "entry.json", "numbers.csv"
ENTRY_COLUMNS = ("reader", "axis", "run", "measure", *COLUMNS)
LONGEST = 1 << 16  # bytes of the outcomes of an entry
FIELDS = {
    "schema": int, "name": str, "encoder": dict, "data": dict, "measured": dict, "left_out": dict, "seconds": float,
    "device": str, "finished": str, "versions": dict, "commit": str, "sha256": dict,
}  # fmt: skip
ENCODER_FIELDS = ("name", "source", "preprocessing", "weights", "features", "differentiable", "head", "random")
DATA_FIELDS = ("name", "source", "checksum", "classes", "train", "validation", "test", "side")
HITS = ("probe accuracy", "knn accuracy", "top-1 accuracy", "top-5 accuracy")  # an image is right or wrong
NEAR = 1e-3  # percent that the rounding of a file may put between two numbers


@dataclass(frozen=True, eq=False)
class Entry:
    """`record` with the `FIELDS`, `rows` with the `ENTRY_COLUMNS`, and the folder that they were read from."""

    folder: Path
    record: dict
    rows: pd.DataFrame

    @property
    def name(self) -> str:
        return self.record["encoder"]["name"]


def home() -> Path:
    return paths.RESULTS / HOME


def write(made: Evaluation) -> list[Path]:
    """An entry for each encoder of an evaluation, in the place of one on the same weights and data; their folders."""
    written = []
    for own in made.record["encoders"]:
        rows = cells(made.rows[made.rows["encoder"] == own["name"]])
        folder = home() / _folder_name(own, made.record["data"])
        files.write_text(folder / NUMBERS, store.to_csv(rows))
        outcomes.publish(folder, rows, LONGEST)
        files.write_text(folder / RECORD, json.dumps(_record(made, own, folder), indent=1) + "\n")
        check(read(folder))
        written.append(folder)
    return written


def cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Of one encoder's rows, those that the scoreboard reads: behind each number, corruption by corruption, and the
    check of the normalisation."""
    (name,) = rows["encoder"].unique()
    errors = (rows["axis"] == CORRUPTION) & (rows["metric"] == "error")
    read = [cells_of(rows, headline, name) for headline in headlines(rows)]
    kept = pd.concat([*read, rows[errors | (rows["axis"] == CHECK)]])
    return kept[~kept.index.duplicated()].sort_index()[list(ENTRY_COLUMNS)].reset_index(drop=True)


def read(folder: Path) -> Entry:
    """Raises BadInput for what is no whole entry."""
    record = store.read_json(folder / RECORD)
    if not isinstance(record, dict):
        raise BadInput(f"{folder / RECORD} is no record of an entry")
    return Entry(folder, record, store.read_rows(folder / NUMBERS, ENTRY_COLUMNS))


def entries() -> list[Entry]:
    """All that are committed, by the names of their folders."""
    return [read(path.parent) for path in sorted(home().glob(f"*/{RECORD}"))]


def public(name: str) -> str:
    """The name of an encoder without the folders of a file, which are of nobody's concern.

    >>> public("onnx:/home/me/nets/small.onnx?size=32"), public("nets/weights.pth@resnet18"), public("hf:a/b")
    ('onnx:small.onnx?size=32', 'weights.pth@resnet18', 'hf:a/b')
    """
    body, mark, rest = name.partition("?")
    body, at, fits = body.partition("@")
    prefix, colon, file = body.rpartition(":") if re.match(r"[a-z]+:", body) else ("", "", body)
    if prefix == "onnx" or not colon:
        file = Path(file).name
    return f"{prefix}{colon}{file}{at}{fits}{mark}{rest}"


def _folder_name(own: dict, data: dict) -> str:
    """Of letters that any file system takes; the same for the same weights, preprocessing and images."""
    identity = [own["weights"], {**own["preprocessing"], "source": ""}, data["checksum"], data["images"]["train"]]
    letters = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
    words = re.sub(r"[^A-Za-z0-9.]+", "-", f"{public(own['name'])}-{data['name']}").strip("-.")
    return f"{words[:80]}-{letters}"


def _record(made: Evaluation, own: dict, folder: Path) -> dict:
    record, data = made.record, made.record["data"]
    sizes = data["images"]
    encoder = {name: own[name] for name in ENCODER_FIELDS if name in own}
    encoder |= {"name": public(own["name"]), "random": is_random(own["name"], own["source"])}
    return {
        "schema": SCHEMA,
        "name": folder.name,
        "encoder": encoder,
        "data": {"name": data["name"], "source": data["source"], "checksum": data["checksum"],
                 "classes": len(data["classes"]), **sizes, "side": data["side"]},
        "measured": record["measured"],
        "left_out": record["left_out"],
        "seconds": float(record["seconds"]),
        **{name: record[name] for name in ("device", "finished", "versions", "commit")},
        "sha256": _checksums(folder),
    }  # fmt: skip


def _checksums(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (folder / NUMBERS, folder / outcomes.FILE)
        if path.exists()
    }


def check(entry: Entry) -> None:
    """Refuse an entry that the door did not write: BadInput, a sentence, for its schema, checksums or numbers."""
    faults = [*_of_schema(entry.record)] or [*_of_files(entry), *_of_numbers(entry.rows), *_of_means(entry.rows)]
    if faults:
        raise BadInput(f"{entry.folder.name} is no entry of the scoreboard: {'; '.join(faults)}")


def _of_schema(record: dict) -> list[str]:
    if record.get("schema") != SCHEMA:
        return [f"its schema is {record.get('schema')!r}, and this code reads {SCHEMA}"]
    found = [f"it lacks {name!r}" for name in FIELDS if name not in record]
    found += [f"{name!r} is unknown" for name in record if name not in FIELDS]
    found += [f"{name!r} is no {kind.__name__}" for name, kind in FIELDS.items()
              if name in record and not isinstance(record[name], kind)]  # fmt: skip
    for part, names in (("encoder", ENCODER_FIELDS), ("data", DATA_FIELDS)):
        if set(record.get(part, names)) != set(names):
            found.append(f"{part!r} has not exactly {', '.join(names)}")
    return found


def _of_files(entry: Entry) -> list[str]:
    found = []
    if entry.record["name"] != entry.folder.name:
        found.append(f"its record calls it {entry.record['name']!r}")
    if entry.record["sha256"] != _checksums(entry.folder):
        found.append(f"its files have not the checksums of {RECORD}: they were changed after they were written")
    return found


def _of_numbers(rows: pd.DataFrame) -> list[str]:
    """Numbers that no encoder can have: shares beyond 0 and 100, errors that such a share has not, halves of images."""
    found = []
    if not set(rows["axis"]) <= {*AXES, CLEAN, CHECK} or not set(rows["reader"]) <= {PROBE, HEAD}:
        found.append("it has rows of an unknown axis or reader")
    if not np.isfinite(rows[["value", "standard_error"]].to_numpy()).all():
        found.append("some of its numbers are not finite")
    if (rows["images"] < 1).any() or (rows["standard_error"] < 0).any():
        found.append("some of its numbers are of no images, or have an error below zero")
    shares = rows[rows["metric"].map(is_share)]
    if not shares["value"].between(-NEAR, 100 + NEAR).all():
        found.append("some of its shares are not between 0 and 100 percent")
    hits = rows[rows["metric"].isin(HITS) & (rows["images"] > 1)]
    counted = hits["value"] * hits["images"] / 100
    if (abs(counted - counted.round()) > NEAR * hits["images"]).any():
        found.append("some of its accuracies are of no whole number of images")
    spread = np.sqrt((hits["value"] * (100 - hits["value"])).clip(lower=0) / (hits["images"] - 1))
    if (abs(spread - hits["standard_error"]) > 0.01).any():
        found.append("some of its accuracies have a standard error that an accuracy cannot have")
    top = rows[rows["metric"].isin(HITS[2:])].set_index("metric")["value"]
    if {*HITS[2:]} <= set(top.index) and top[HITS[3]] < top[HITS[2]]:
        found.append("its top-5 accuracy is below its top-1 accuracy")
    return found


def _of_means(rows: pd.DataFrame) -> list[str]:
    """Whether means over severities and corruptions are those of the single errors, by each reader and measure."""
    found, errors = [], rows[(rows["axis"] == CORRUPTION) & (rows["metric"] == "error")]
    for (reader, measure), own in errors.groupby(["reader", "measure"]):
        single = own[own["level_unit"] == SEVERITY].groupby("shift")["value"].mean()
        means = own[own["level_unit"].str.startswith(MEAN)].set_index("shift")["value"]
        wrong = _apart(means, single)
        if ALL in means and set(CORRUPTIONS) <= set(single.index):
            wrong |= abs(means[ALL] - single[list(CORRUPTIONS)].mean()) > NEAR
        if wrong:
            found.append(f"means of {measure} by the {reader} are not those of its errors")
    return found


def _apart(means: pd.Series, single: pd.Series) -> bool:
    shared: Sequence[str] = [name for name in means.index if name in single.index]
    return bool((abs(means[shared] - single[shared]) > NEAR).any())
