"""Chapter 5: what ReLICv2's invariance loss and removed backgrounds are worth out of distribution."""

from lib.chapters.relicv2.backgrounds import background_reliance_figure, segmentation_bars
from lib.chapters.relicv2.claims import CLAIMS, HEADLINE, PAPER, RELICV2_CONTROLS, RELICV2_OOD, RELICV2_PREDICTIONS
from lib.chapters.relicv2.diagram import relicv2_diagram
from lib.chapters.relicv2.domains import in_domain_table, ood_forest, ood_table
from lib.chapters.relicv2.effective import effective_robustness_of_systems
from lib.chapters.relicv2.gains import (
    ahead_table,
    crops_table,
    effective_table,
    masks_table,
    segmentation_table,
    sweep_table,
)
from lib.chapters.relicv2.mistaken import mistaken_words
from lib.chapters.relicv2.parts import ablation_forest, sweep_curves
from lib.chapters.relicv2.plan import PLAN
from lib.chapters.relicv2.published import published_relicv2_table, published_relicv2_words
from lib.chapters.relicv2.saliency import (
    background_sheet,
    mask_quality_table,
    saliency_failures,
    saliency_sheet,
    segmentation_sheet,
    swapped_sheet,
)
from lib.chapters.relicv2.words import agreed, parts_answer, relicv2_answer, relicv2_details, relicv2_words, swept

__all__ = [
    "CLAIMS",
    "HEADLINE",
    "PAPER",
    "PLAN",
    "RELICV2_CONTROLS",
    "RELICV2_OOD",
    "RELICV2_PREDICTIONS",
    "ablation_forest",
    "agreed",
    "ahead_table",
    "background_reliance_figure",
    "background_sheet",
    "crops_table",
    "effective_robustness_of_systems",
    "effective_table",
    "in_domain_table",
    "mask_quality_table",
    "masks_table",
    "mistaken_words",
    "ood_forest",
    "ood_table",
    "parts_answer",
    "published_relicv2_table",
    "published_relicv2_words",
    "relicv2_answer",
    "relicv2_details",
    "relicv2_diagram",
    "relicv2_words",
    "saliency_failures",
    "saliency_sheet",
    "segmentation_bars",
    "segmentation_sheet",
    "segmentation_table",
    "sweep_curves",
    "sweep_table",
    "swapped_sheet",
    "swept",
]
