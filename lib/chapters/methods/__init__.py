"""The methods page: every objective under one trainer."""

from lib.chapters.methods.closed_form import CLOSED_FORM
from lib.chapters.methods.diagrams import diagram
from lib.chapters.methods.figures import accuracy_by_method, methods_answer, recipes_table, results_table
from lib.chapters.methods.minutes import minutes_bought, minutes_told
from lib.chapters.methods.plan import PLAN
from lib.chapters.methods.tuning import tuning, tuning_table, tuning_words

__all__ = [
    "CLOSED_FORM",
    "PLAN",
    "accuracy_by_method",
    "diagram",
    "methods_answer",
    "minutes_bought",
    "minutes_told",
    "recipes_table",
    "results_table",
    "tuning",
    "tuning_table",
    "tuning_words",
]
