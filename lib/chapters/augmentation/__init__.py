"""Chapter 2: which invariances augmentations teach, and which tasks they help or hurt."""

from lib.chapters.augmentation.claims import (
    AUGMENTATION_CAUSES,
    AUGMENTATION_INVARIANCE,
    CLAIMS,
    HEADLINE,
    MIXING,
    PAPER,
    with_wide,
)
from lib.chapters.augmentation.curves import similarity_curves
from lib.chapters.augmentation.erasure import erasure_bars
from lib.chapters.augmentation.example import similarities_by_hand, words_by_hand
from lib.chapters.augmentation.invariance import factor_map, invariance_map, parts_map
from lib.chapters.augmentation.neighbours import nearest_neighbours, read_before_after
from lib.chapters.augmentation.plan import PLAN
from lib.chapters.augmentation.tables import measures_agree, sensitivity_table
from lib.chapters.augmentation.transfer import (
    fusion_dots,
    invariance_against_robustness,
    invariance_against_score,
    rank_dots,
    task_table,
)
from lib.chapters.augmentation.views import real_views
from lib.chapters.augmentation.words import DETAILED, invariance_answer, invariance_causes, invariance_findings

__all__ = [
    "CLAIMS",
    "DETAILED",
    "HEADLINE",
    "PAPER",
    "PLAN",
    "AUGMENTATION_CAUSES",
    "AUGMENTATION_INVARIANCE",
    "MIXING",
    "erasure_bars",
    "factor_map",
    "fusion_dots",
    "invariance_against_robustness",
    "invariance_against_score",
    "invariance_answer",
    "invariance_causes",
    "invariance_findings",
    "invariance_map",
    "measures_agree",
    "nearest_neighbours",
    "parts_map",
    "rank_dots",
    "read_before_after",
    "real_views",
    "sensitivity_table",
    "similarities_by_hand",
    "similarity_curves",
    "task_table",
    "with_wide",
    "words_by_hand",
]
