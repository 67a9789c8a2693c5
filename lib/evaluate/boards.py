"""Boards of the scoreboard: systems that were asked about the same images by the same protocol, number by number.

A board is of one set of images and one number of training images of the probe. A column is one number, measured by one
measure with its settings and its protocol, of the same cells; what was measured otherwise stands in a column of its own
or on another board, and is never sorted together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.contrasts import levels
from lib.evaluate.axes import AXES, PROBE
from lib.evaluate.entries import Entry
from lib.evaluate.numbers import HEADLINES, Headline, checked, mean_of, outcomes_of
from lib.evaluate.plan import CALIBRATION, CLEAN, CORRUPTION
from lib.measures import COLUMNS, Estimate, Interval, estimate
from lib.measures.rows import cell_of, measure_name
from lib.measures.statistics import sum_of_variances
from lib.paired import Part, over_images

THE_BOOK, AN_ENTRY = "the book", "an entry"
CELL_COLUMNS = ("data", "train", "system", "seed", "reader", "axis", "run", "measure", *COLUMNS)
# Which axis the rows of a published run are of, by the name of their measure.
AXIS_OF = {
    "accuracy": CLEAN, "corruption_error": CORRUPTION, "natural_shift": "natural", "synthetic_invariance": "invariance",
    "read_out": "read-out", "robust_accuracy": "adversarial", "cue_accuracy": "cues", "shape_bias": "cues",
    "background_reliance": "background",
}  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A system on a board: what it is called, its family, where it is from, and how many runs of it there are."""

    title: str
    family: str
    origin: str
    runs: int = 1
    note: str = ""


@dataclass(frozen=True)
class Column:
    """One number of a board. `measure` is the identity of what measured it; `several` says that the board has the same
    number by other measures as well."""

    axis: str
    words: str
    unit: str
    more_is_better: bool
    measure: str
    cells: tuple
    several: bool = False

    @property
    def title(self) -> str:
        return f"{self.words} ({self.unit})" + (f", {self.measure}" if self.several else "")


@dataclass(frozen=True, eq=False)
class Board:
    """`members` by their keys, and the `numbers` that they have, by key and place of the column. `cells` are the rows
    behind each of them."""

    data: str
    checksum: str
    train: int
    members: dict[str, Member]
    columns: tuple[Column, ...]
    numbers: dict[tuple[str, int], Interval]
    cells: dict[tuple[str, int], pd.DataFrame]

    @property
    def title(self) -> str:
        probe = f"probe of {self.train:,} training images" if self.train else "no probe, heads alone"
        return f"{self.data}, {probe}"

    def of_column(self, place: int) -> dict[str, Interval]:
        return {key: number for (key, column), number in self.numbers.items() if column == place}

    def best_first(self) -> list[str]:
        """The keys of members by the first column that has them, the best first; what has no number there last."""

        def rank(key: str) -> tuple:
            place = next(place for place in range(len(self.columns)) if (key, place) in self.numbers)
            number = self.numbers[key, place].mean
            return place, -number if self.columns[place].more_is_better else number

        return sorted(self.members, key=rank)


def of_entries(entries: Sequence[Entry]) -> tuple[pd.DataFrame, dict[str, Member], dict[str, str]]:
    """The cells of entries, their members by key, and the names of their data by checksum."""
    tables, members, names = [], {}, {}
    for entry in entries:
        encoder, data = entry.record["encoder"], entry.record["data"]
        key = f"entry {entry.folder.name}"
        family = "random weights" if encoder["random"] else "from outside"
        members[key] = Member(encoder["name"], family, AN_ENTRY, 1, _note(entry))
        names[data["checksum"]] = data["name"]
        tables.append(entry.rows.assign(data=data["checksum"], train=data["train"], system=key, seed=0))
    return _joined(tables), members, names


def _note(entry: Entry) -> str:
    found = checked(entry.rows.assign(encoder=entry.name), entry.name)
    return "" if found is None or found.suspicious is None else f"probably wrong normalisation: {found.suspicious}"


def of_runs(rows: pd.DataFrame, systems: Mapping[str, str], data: Mapping[str, tuple[str, int]]) -> pd.DataFrame:
    """The cells of published runs: `rows` with a run's key and seed, by run its system's key, and its data's checksum
    and number of training images."""
    rows = rows.assign(axis=rows["measure"].map(measure_name).map(AXIS_OF), reader=PROBE)
    rows = rows.dropna(subset=["axis"])
    calibrated = rows["metric"].str.contains("calibration error")
    rows["axis"] = rows["axis"].mask(calibrated & (rows["axis"] == CORRUPTION), CALIBRATION)
    rows["system"] = rows["run"].map(systems)
    for place, name in enumerate(("data", "train")):
        rows[name] = rows["run"].map({run: own[place] for run, own in data.items()})
    cell = ["run", "measure", "shift", "subset", "level", "level_unit", "metric"]  # two studies may publish one run
    return rows.drop_duplicates(cell)[list(CELL_COLUMNS)]


def _joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    tables = [table[list(CELL_COLUMNS)] for table in tables if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(CELL_COLUMNS))


def boards(tables: Sequence[pd.DataFrame], members: Mapping[str, Member], names: Mapping[str, str]) -> list[Board]:
    """All boards, the one with most systems first; `names` of data are by checksum."""
    cells = _joined(tables)
    found = [
        _board(own, members, names[checksum], checksum, int(train))
        for (checksum, train), own in cells.groupby(["data", "train"], sort=True)
    ]
    return sorted((board for board in found if board.columns), key=lambda board: -len(board.members))


def _board(own: pd.DataFrame, members: Mapping[str, Member], data: str, checksum: str, train: int) -> Board:
    groups = dict(list(own.groupby(["axis", "reader", "measure"], sort=False)))
    columns: dict[Column, dict[str, list[pd.DataFrame]]] = {}
    for headline in HEADLINES:
        for (axis, reader, measure), rows in groups.items():
            if (axis, reader) == (headline.axis, headline.reader):
                for _, picked in headline.pick(rows).groupby("run", sort=False):
                    column = _column(headline, measure, picked)
                    columns.setdefault(column, {}).setdefault(picked["system"].iloc[0], []).append(picked)
    ordered = sorted(columns, key=lambda column: (_order(column), -len(columns[column])))
    words = [column.words for column in ordered]
    numbers, cells = {}, {}
    for place, column in enumerate(ordered):
        for key, number in _numbers(columns[column], members).items():
            numbers[key, place] = number
            cells[key, place] = pd.concat(columns[column][key], ignore_index=True)
    told = tuple(
        Column(own.axis, own.words, own.unit, own.more_is_better, own.measure, own.cells, words.count(own.words) > 1)
        for own in ordered
    )
    inside = {key: members[key] for key in dict.fromkeys(key for key, _ in numbers)}
    return Board(data, checksum, train, inside, told, numbers, cells)


def _column(headline: Headline, measure: str, picked: pd.DataFrame) -> Column:
    """The same for the same number of the same cells; of untouched images, on as many of them."""
    lines = zip(*(picked[name] for name in ("shift", "subset", "level", "level_unit", "metric")), strict=True)
    cells = {cell_of(*line) for line in lines}
    images = (int(picked["images"].max()),) if headline.axis == CLEAN else ()
    return Column(
        headline.axis, headline.words, headline.unit, headline.more_is_better, measure,
        (*sorted(cells, key=str), *images),
    )  # fmt: skip


def _order(column: Column) -> int:
    words = [own.words for own in HEADLINES]
    return words.index(column.words)


def _numbers(systems: Mapping[str, list[pd.DataFrame]], members: Mapping[str, Member]) -> dict[str, Interval]:
    """Of an entry its own interval, over images; of the book's systems over seeds and images."""
    found: dict[str, Interval] = {}
    runs = []
    for key, tables in systems.items():
        if members[key].origin == AN_ENTRY:
            found[key] = mean_of(tables[0])
        else:
            runs += [_of_run(key, table) for table in tables]
    if runs:
        means = pd.DataFrame(runs).drop_duplicates(["system", "seed"])
        found |= {key: number for (key,), number in levels(means, ["system"]).items()}
    return found


def _of_run(key: str, table: pd.DataFrame) -> dict[str, object]:
    return {"system": key, "seed": table["seed"].iloc[0], "metric": table["metric"].iloc[0],
            "value": table["value"].mean(), "standard_error": table["standard_error"].mean(),
            "images": table["images"].min()}  # fmt: skip


def gap(board: Board, place: int, more: str, less: str) -> Estimate | None:
    """By how much one member's number differs from another's, with a 95 % interval; None where one has it not.

    Over images, paired where both have outcomes of the same ones (`lib.paired.over_images`), and over the seeds of
    whoever has several; weights of an entry are given. NaN ends where a system of the book has one seed.
    """
    if not {(more, place), (less, place)} <= set(board.cells):
        return None
    value, variances, degrees, parts = 0.0, [], [], {}
    for weight, key in ((1.0, more), (-1.0, less)):
        own = board.cells[key, place]
        by_seed = own.groupby("seed")["value"].mean()
        value += weight * float(by_seed.mean())
        if board.members[key].origin == THE_BOOK:
            variances.append(by_seed.var() / len(by_seed))
            degrees.append(max(len(by_seed) - 1, 1))
        parts[key] = _parts(own, weight)
    images = over_images(parts)
    error, known = sum_of_variances(variances, degrees, float("inf"), images)
    return estimate(value, error, known)


def _parts(own: pd.DataFrame, weight: float) -> dict[tuple, Part]:
    """Of a system's rows, one part a cell, with the outcomes of all its seeds where all of them have some."""
    keys = ["shift", "subset", "level", "level_unit", "metric"]
    grouped = own.groupby(keys, dropna=False, sort=False)
    found = {}
    for key, rows in grouped:
        kept = [outcomes_of(line) for line in rows.itertuples(index=False)]
        whole = None if any(one is None for one in kept) else [one for one in kept if one is not None]
        found[tuple(map(str, key))] = Part(weight / len(grouped), float(rows["standard_error"].mean()), whole)
    return found


def counted(several: Sequence[Board]) -> str:
    """How many systems and entries there are, in a sentence. One on two boards counts once on each."""
    origins = [member.origin for board in several for member in board.members.values()]
    book, own = origins.count(THE_BOOK), origins.count(AN_ENTRY)
    systems = f"{book} system{'s' * (book != 1)} of this book"
    entries = f"{own} entr{'y' if own == 1 else 'ies'}"
    return f"Here are {systems} and {entries} on {len(several)} board{'s' * (len(several) != 1)}."


def incomparable(several: Sequence[Board], board: Board) -> list[str]:
    """What the numbers of a board may not be compared with, a sentence each with the reason."""
    lines = []
    for other in several:
        if other.checksum != board.checksum:
            lines.append(f"{other.title}: other images.")
        elif other is not board:
            lines.append(f"{other.title}: the same images, but probes that learned from another number of them.")
    by_words: dict[str, list[Column]] = {}
    for column in board.columns:
        by_words.setdefault(column.words, []).append(column)
    for words, own in by_words.items():
        if len(own) > 1:
            told = "; ".join(f"{column.measure} of {_extent(column)}" for column in own)
            lines.append(f"{words[0].upper()}{words[1:]}, {len(own)} columns that were measured otherwise: {told}.")
    return lines


def _extent(column: Column) -> str:
    """On how many images, where the measure does not say; else of how many cells."""
    images = [own for own in column.cells if isinstance(own, int)]
    return f"{images[0]:,} images" if images else f"{len(column.cells)} cell{'s' * (len(column.cells) > 1)}"


def ranks_of(board: Board) -> np.ndarray:
    """(members, columns) with larger as better, NaN where there is no number."""
    table = np.full((len(board.members), len(board.columns)), np.nan)
    for line, key in enumerate(board.members):
        for place, column in enumerate(board.columns):
            if (key, place) in board.numbers:
                table[line, place] = board.numbers[key, place].mean * (1 if column.more_is_better else -1)
    return table


def axis_title(axis: str) -> str:
    return AXES[axis].title if axis in AXES else "Untouched images"
