"""Figures: one function each, rows in, figure out, with alternative text and the data behind it."""

from lib.figures.figure import Figure
from lib.figures.pictures import examples
from lib.figures.severity import before_and_after, error_by_corruption, error_by_group, error_by_severity
from lib.figures.tables import accuracy_table, protocol, ranking, table

__all__ = [
    "Figure", "accuracy_table", "before_and_after", "error_by_corruption", "error_by_group", "error_by_severity",
    "examples", "protocol", "ranking", "table",
]  # fmt: skip
