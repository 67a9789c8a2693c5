"""The chapters of the book: one folder a question. A chapter uses the rooms below it, and never another chapter."""

from lib.chapters.augmentation.plan import PLAN as _AUGMENTATION
from lib.chapters.methods.plan import PLAN as _METHODS
from lib.chapters.negatives.plan import PLAN as _NEGATIVES
from lib.chapters.relicv2.plan import PLAN as _RELICV2
from lib.chapters.severity.plan import PLAN as _SEVERITY
from lib.chapters.tradeoff.plan import PLAN as _TRADEOFF

PLANS = {
    "methods": _METHODS,
    "severity_degradation": _SEVERITY,
    "augmentation_invariance": _AUGMENTATION,
    "accuracy_robustness_tradeoff": _TRADEOFF,
    "non_semantic_negatives": _NEGATIVES,
    "relicv2_ood": _RELICV2,
}
