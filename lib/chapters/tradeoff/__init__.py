"""Chapter 3: what adversarial robustness costs in accuracy and time."""

from lib.chapters.tradeoff.attacks import attack_strength, probe_comparison
from lib.chapters.tradeoff.claims import (
    ACCURACY_ROBUSTNESS,
    CLAIMS,
    HEADLINE,
    NEIGHBOURS,
    PAPER,
    QUIRKS,
    ROBUSTNESS_CONTROLS,
    defended,
)
from lib.chapters.tradeoff.costs import cost_of_training, crops_sweep
from lib.chapters.tradeoff.front import trade_off
from lib.chapters.tradeoff.linear import linear_attack, linear_sheet, linear_words
from lib.chapters.tradeoff.overfitting import overfitting_monitor, seconds_table
from lib.chapters.tradeoff.plan import PLAN
from lib.chapters.tradeoff.sheets import epsilon_slider, perturbation_sheet
from lib.chapters.tradeoff.strength import robust_by_epsilon
from lib.chapters.tradeoff.tables import auto_attack_table, published_table, quirk_table, robustness_table
from lib.chapters.tradeoff.words import (
    lengthened,
    quirky,
    read_otherwise,
    swept,
    tradeoff_answer,
    tradeoff_details,
    watched,
)

__all__ = [
    "CLAIMS",
    "HEADLINE",
    "PAPER",
    "PLAN",
    "ACCURACY_ROBUSTNESS",
    "NEIGHBOURS",
    "QUIRKS",
    "ROBUSTNESS_CONTROLS",
    "attack_strength",
    "auto_attack_table",
    "cost_of_training",
    "crops_sweep",
    "defended",
    "epsilon_slider",
    "lengthened",
    "linear_attack",
    "linear_sheet",
    "linear_words",
    "overfitting_monitor",
    "perturbation_sheet",
    "probe_comparison",
    "published_table",
    "quirk_table",
    "quirky",
    "read_otherwise",
    "robust_by_epsilon",
    "robustness_table",
    "seconds_table",
    "swept",
    "trade_off",
    "tradeoff_answer",
    "tradeoff_details",
    "watched",
]
