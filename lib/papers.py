"""Tables of numbers that papers published: read, and checked to be whole. `results/papers/README.md` says whose."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lib import paths
from lib.errors import BadInput


def papers() -> Path:
    """The folder of the tables."""
    return paths.RESULTS / "papers"


def read(path: Path, keys: list[str], values: list[str], cells: set, others: Sequence[str] = ()) -> pd.DataFrame:
    """The table at `path`, indexed by `keys`, with one line for each of `cells` and percentages in `values`.

    The columns `others` follow, unchecked. A missing or damaged file raises `BadInput`.
    """
    try:
        table = pd.read_csv(path, keep_default_na=False)
    except OSError as error:
        raise BadInput(f"{path} could not be read ({error.strerror}); it is part of the repository") from error
    except ValueError as error:  # pandas' own errors, and bytes that are no text
        raise damaged(path, "it is not a table") from error
    columns = [*keys, *values, *others]
    if list(table) != columns:
        raise damaged(path, f"its columns should be {', '.join(columns)}")
    table = table.set_index(keys)
    found = set(table.index)
    if table.index.has_duplicates or found != cells:
        odd = sorted(found ^ cells, key=str) or list(table.index[table.index.duplicated()])
        raise damaged(path, f"{_name(odd[0])} is missing, unknown or given twice ({len(odd)} such lines)")
    table[values] = table[values].apply(pd.to_numeric, errors="coerce")
    wrong = ~table[values].apply(lambda column: column.between(0, 100)).all(axis=1)
    if wrong.any():
        raise damaged(path, f"{_name(table.index[wrong][0])} has a value that is no number from 0 to 100")
    return table


def damaged(path: Path, what: str) -> BadInput:
    """The error that says what is wrong with a table."""
    return BadInput(f"{path} is damaged: {what}; restore it from the repository")


def _name(line: str | tuple) -> str:
    return line if isinstance(line, str) else ", ".join(map(str, line))
