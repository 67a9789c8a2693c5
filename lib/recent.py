"""What is kept of tables between calls, as long as they are what they were."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

import pandas as pd
from pandas.arrays import NumpyExtensionArray

T = TypeVar("T")


class Recent(Generic[T]):
    """What was looked up in the tables that were asked about last.

    A page asks one table hundreds of times, a cell at a time. Of each table there is a second view: to change the table
    moves its values elsewhere, and this view stays, so that a table that was changed since is known by it.
    """

    MOST = 24  # tables

    def __init__(self, new: Callable[[], T]) -> None:
        self._new = new  # what holds nothing yet
        self.begin()

    def begin(self) -> None:
        self._kept = self._new()
        self._seen: dict[int, tuple[pd.DataFrame, pd.DataFrame, dict]] = {}

    def kept(self, tables: Iterable[pd.DataFrame], columns: Iterable[Hashable] | None = None) -> T:
        """What may be asked about these columns of all of them; None: about all columns."""
        own = {id(rows): rows for rows in tables}
        if len(self._seen.keys() | own) > self.MOST or any(
            _places(rows, columns).items() - self._seen[number][2].items()
            for number, rows in own.items()
            if number in self._seen
        ):
            self.begin()
        for number, rows in own.items():
            if number not in self._seen:
                self._seen[number] = (rows, rows.copy(deep=False), _places(rows))
        return self._kept


def _places(rows: pd.DataFrame, columns: Iterable[Hashable] | None = None) -> dict[Hashable, int]:
    """Of each column where its values lie."""
    found = {}
    for name in rows if columns is None else columns:
        array = rows[name].array
        found[name] = array.to_numpy().ctypes.data if isinstance(array, NumpyExtensionArray) else id(array)
    return found
