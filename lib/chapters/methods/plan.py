"""What the methods page compares: every method, on clean images."""

from __future__ import annotations

from lib.measures import Accuracy
from lib.methods import PLAIN
from lib.runs.plan import Plan, parts

PLAN = Plan(
    "methods",
    PLAIN,
    ("simclr", "byol", "barlow_twins", "swav", "emp_ssl", "relic", "supervised", "random"),  # one a paradigm
    lambda preset: [Accuracy()],
    also=parts(__package__),
)
