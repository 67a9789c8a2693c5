"""Tidy rows: one number a line."""

from __future__ import annotations

import numpy as np
import pandas as pd

Rows = pd.DataFrame  # with at least the columns that whoever takes them names
# shift and severity say on which images, metric and value what came out (in percent); standard_error is
# that of the value over the test images, `images` their number.
COLUMNS = ("shift", "severity", "metric", "value", "standard_error", "images")
CLEAN = "none"  # the shift of untouched test images, at severity 0


def row(shift: str, severity: int, metric: str, outcomes: np.ndarray) -> tuple:
    """A row of `COLUMNS` from one outcome an image, (N,): their mean in percent and its standard error.

    >>> shift, severity, metric, value, error, images = row("fog", 3, "error", np.array([True, False, True, True]))
    >>> float(value), float(error), images
    (75.0, 25.0, 4)
    """
    outcomes = np.asarray(outcomes, dtype=float)
    error = outcomes.std(ddof=1) / np.sqrt(len(outcomes))
    return (shift, severity, metric, 100 * outcomes.mean(), 100 * error, len(outcomes))
