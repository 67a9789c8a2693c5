"""Chapter 1: how error grows with the severity of a corruption."""

from lib.chapters.severity.attention import attention_grid
from lib.chapters.severity.claims import CLAIMS, HEADLINE, PAPER, PREDICTIONS, SEVERITY_DEGRADATION
from lib.chapters.severity.constants import predicted_dips, table_of_constants
from lib.chapters.severity.curves import attention_by_severity
from lib.chapters.severity.distance import error_along_distance, error_along_severity, monotony
from lib.chapters.severity.errors import before_and_after, error_by_corruption, error_by_group, error_by_severity
from lib.chapters.severity.example import severity_sheet, severity_steps, severity_words
from lib.chapters.severity.natural import natural_against_corrupted, natural_table
from lib.chapters.severity.plan import PLAN
from lib.chapters.severity.raw_pixels import raw_by_severity, raw_input_table
from lib.chapters.severity.rescored import rescored_ranks, rescored_table
from lib.chapters.severity.robustness import (
    calibration_by_severity,
    cnn_against_transformer,
    effective_robustness,
    effective_robustness_table,
    error_heat_map,
    rank_sentence,
    rank_stability,
    transformer_table,
)
from lib.chapters.severity.words import DETAILED, severity_texts

__all__ = [
    "CLAIMS",
    "DETAILED",
    "HEADLINE",
    "PAPER",
    "PLAN",
    "PREDICTIONS",
    "SEVERITY_DEGRADATION",
    "attention_by_severity",
    "attention_grid",
    "before_and_after",
    "calibration_by_severity",
    "cnn_against_transformer",
    "effective_robustness",
    "effective_robustness_table",
    "error_along_distance",
    "error_along_severity",
    "error_by_corruption",
    "error_by_group",
    "error_by_severity",
    "error_heat_map",
    "monotony",
    "natural_against_corrupted",
    "natural_table",
    "predicted_dips",
    "rank_sentence",
    "rank_stability",
    "raw_by_severity",
    "raw_input_table",
    "rescored_ranks",
    "rescored_table",
    "severity_sheet",
    "severity_steps",
    "severity_texts",
    "severity_words",
    "table_of_constants",
    "transformer_table",
]
