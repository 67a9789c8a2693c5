"""The chapters of the book: one folder a question. A chapter uses the rooms below it, and never another chapter."""

from importlib import import_module

from lib.runs import Plan

# A study's name, which is also its notebook's, and the folder of its chapter.
FOLDERS = {
    "methods": "methods",
    "severity_degradation": "severity",
    "augmentation_invariance": "augmentation",
    "accuracy_robustness_tradeoff": "tradeoff",
    "non_semantic_negatives": "negatives",
    "relicv2_ood": "relicv2",
}
PLANS: dict[str, Plan] = {name: import_module(f"{__name__}.{folder}.plan").PLAN for name, folder in FOLDERS.items()}
