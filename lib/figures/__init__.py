"""Figures: one function each, rows in, figure out, with alternative text and the data behind it."""

from lib.figures.attention import attention_grid
from lib.figures.diagrams import diagram
from lib.figures.figure import Figure, Tabs
from lib.figures.methods import accuracy_by_method, methods_answer, recipes_table, results_table
from lib.figures.pictures import contact_sheet
from lib.figures.rescored import rescored_facts, rescored_ranks, rescored_table
from lib.figures.robustness import (
    calibration_by_severity,
    cnn_against_transformer,
    effective_robustness,
    effective_robustness_table,
    error_heat_map,
    rank_sentence,
    rank_stability,
    transformer_table,
)
from lib.figures.severity import before_and_after, error_by_corruption, error_by_group, error_by_severity
from lib.figures.shifts import (
    attention_by_severity,
    error_along_distance,
    error_along_severity,
    monotony,
    monotony_sentence,
    natural_against_corrupted,
    natural_table,
    predicted_dips,
    raw_by_severity,
    raw_input_sentences,
    raw_input_table,
    table_of_constants,
)
from lib.figures.tables import accuracy_table, protocol, ranking, table

__all__ = [
    "Figure", "Tabs", "accuracy_by_method", "accuracy_table", "attention_by_severity", "attention_grid",
    "before_and_after", "calibration_by_severity", "cnn_against_transformer", "contact_sheet", "diagram",
    "effective_robustness", "effective_robustness_table", "error_along_distance", "error_along_severity",
    "error_by_corruption", "error_by_group", "error_by_severity", "error_heat_map", "methods_answer",
    "monotony", "monotony_sentence", "natural_against_corrupted", "natural_table", "predicted_dips", "protocol",
    "rank_sentence", "rank_stability", "ranking", "raw_by_severity", "raw_input_sentences", "raw_input_table",
    "recipes_table", "rescored_facts", "rescored_ranks", "rescored_table", "results_table", "table",
    "table_of_constants", "transformer_table",
]  # fmt: skip
