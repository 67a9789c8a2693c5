"""Figures: one function each, rows in, figure out, with alternative text and the data behind it."""

from lib.figures.diagrams import diagram
from lib.figures.figure import Figure
from lib.figures.methods import accuracy_by_method, methods_answer, recipes_table, results_table
from lib.figures.pictures import examples
from lib.figures.severity import before_and_after, error_by_corruption, error_by_group, error_by_severity
from lib.figures.tables import accuracy_table, protocol, ranking, table

__all__ = [
    "Figure", "accuracy_by_method", "accuracy_table", "before_and_after", "diagram", "error_by_corruption",
    "error_by_group", "error_by_severity", "examples", "methods_answer", "protocol", "ranking", "recipes_table",
    "results_table", "table",
]  # fmt: skip
