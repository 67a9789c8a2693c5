"""Chapter 4: whether negatives that keep only the surface make an encoder look at shape."""

from lib.chapters.negatives.arms import arms_forest, arms_table
from lib.chapters.negatives.attacked import negatives_under_attack
from lib.chapters.negatives.claims import (
    CLAIMS,
    HEADLINE,
    NEGATIVES_CONTROLS,
    NEGATIVES_PREDICTIONS,
    NEIGHBOURS,
    NON_SEMANTIC_NEGATIVES,
    PAPER,
)
from lib.chapters.negatives.cues import bias_against_robustness, cue_curves, shape_bias_figure, texture_reliance
from lib.chapters.negatives.hardness import negative_gallery, query_similarity
from lib.chapters.negatives.plan import PLAN
from lib.chapters.negatives.published import published_negatives_table
from lib.chapters.negatives.strength import alpha_curve, queue_curve
from lib.chapters.negatives.surface import surface_example, surface_words
from lib.chapters.negatives.words import (
    attacked,
    by_class,
    negatives_details,
    negatives_words,
    swept_alpha,
    swept_queue,
)

__all__ = [
    "CLAIMS",
    "HEADLINE",
    "PAPER",
    "PLAN",
    "NEGATIVES_CONTROLS",
    "NEGATIVES_PREDICTIONS",
    "NEIGHBOURS",
    "NON_SEMANTIC_NEGATIVES",
    "alpha_curve",
    "arms_forest",
    "arms_table",
    "attacked",
    "bias_against_robustness",
    "by_class",
    "cue_curves",
    "negative_gallery",
    "negatives_details",
    "negatives_under_attack",
    "negatives_words",
    "published_negatives_table",
    "query_similarity",
    "queue_curve",
    "shape_bias_figure",
    "surface_example",
    "surface_words",
    "swept_alpha",
    "swept_queue",
    "texture_reliance",
]
