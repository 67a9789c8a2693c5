"""Figures, tables and prose that chapters share: rows in, figure out, with alternative text and the data behind it."""

from lib.figures.datasets import by_dataset, paragraphs, set_title, side_by_side, stacked_tables
from lib.figures.figure import Figure, Slider, Tabs, also, shown
from lib.figures.images import contact_sheet, recipe_views, transform_sheet
from lib.figures.prose import running, scope
from lib.figures.reading import minutes
from lib.figures.stale import standing, standing_words
from lib.figures.tables import (
    accuracy_table,
    protocol,
    ranking,
    runs_table,
    smallest_differences,
    systems_table,
    table,
    tried,
)

__all__ = [
    "Figure",
    "Slider",
    "Tabs",
    "accuracy_table",
    "also",
    "by_dataset",
    "contact_sheet",
    "minutes",
    "paragraphs",
    "protocol",
    "ranking",
    "recipe_views",
    "running",
    "runs_table",
    "scope",
    "set_title",
    "shown",
    "side_by_side",
    "smallest_differences",
    "stacked_tables",
    "standing",
    "standing_words",
    "systems_table",
    "table",
    "transform_sheet",
    "tried",
]
