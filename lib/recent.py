"""What is kept of tables between calls, as long as they are what they were."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable
from typing import Concatenate, Generic, ParamSpec, TypeVar

import pandas as pd
from pandas.arrays import NumpyExtensionArray

T = TypeVar("T")
P = ParamSpec("P")


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
            or (columns is None and len(rows.columns) < len(self._seen[number][2]))
            for number, rows in own.items()
            if number in self._seen
        ):
            self.begin()
        for number, rows in own.items():
            if number not in self._seen:
                self._seen[number] = (rows, rows.copy(deep=False), _places(rows))
        return self._kept


def remembered(function: Callable[Concatenate[pd.DataFrame, P], T]) -> Callable[Concatenate[pd.DataFrame, P], T]:
    """A function of a table that is asked the same about it again and again, and works it out once.

    What it gives is the same object each time, so that what is kept of it elsewhere is found again, and nobody may
    change it.
    """
    recent: Recent[dict] = Recent(dict)

    @functools.wraps(function)
    def asked(rows: pd.DataFrame, *others: P.args, **named: P.kwargs) -> T:
        known = recent.kept([rows])
        key = (id(rows), *(tuple(own) if isinstance(own, list) else own for own in others), *named.items())
        if key not in known:
            known[key] = function(rows, *others, **named)
        return known[key]

    return asked


def _places(rows: pd.DataFrame, columns: Iterable[Hashable] | None = None) -> dict[Hashable, int]:
    """Of each column where its values lie."""
    found = {}
    for name in rows if columns is None else columns:
        array = rows[name].array
        found[name] = array.to_numpy().ctypes.data if isinstance(array, NumpyExtensionArray) else id(array)
    return found
