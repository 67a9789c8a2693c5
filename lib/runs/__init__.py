"""Runs: their configs and keys, the store, the engine that computes what is missing, and studies made of them."""

from lib.runs.config import RunConfig
from lib.runs.engine import compute
from lib.runs.fitting import Fitted, fit, random_encoder, untrained
from lib.runs.plan import Plan, grid
from lib.runs.presets import PRESETS
from lib.runs.study import Results, Study, publish

__all__ = [
    "PRESETS",
    "Fitted",
    "Plan",
    "Results",
    "RunConfig",
    "Study",
    "compute",
    "fit",
    "grid",
    "publish",
    "random_encoder",
    "untrained",
]
