"""Made-up rows of the study of severity: errors that grow with it, except under one corruption."""

import numpy as np
import pandas as pd
from worlds.said import Said

from lib.measures.corruption_error import MEASURED, calibration_rows, error_rows
from lib.measures.rows import as_rows, number
from lib.shifts.corruptions import CORRUPTIONS

EIGHT = ("simclr", "byol", "simsiam", "dino", "barlow_twins", "swav", "supervised", "random")


COLUMNS = ["method", "seed", "shift", "of", "metric", "value", "standard_error"]
IMAGES = 80


def made_up(methods=EIGHT, encoder="resnet10", seeds=3, natural=True):
    """Errors that grow with severity, but under the last corruption of the benchmark, where they fall."""
    generator, tables = np.random.default_rng(len(encoder)), []
    slopes = np.linspace(0.01, 0.09, len(MEASURED))
    slopes[len(CORRUPTIONS) - 1] = -0.03
    for m, method in enumerate(methods):
        for seed in range(seeds):
            chance = 0.25 + 0.03 * m + slopes[:, None] * (1 + 0.1 * m) * np.arange(1, 6)
            clean = generator.random(IMAGES) < 0.25 + 0.03 * m
            rows = [error_rows(clean, generator.random((len(MEASURED), 5, IMAGES)) < chance[..., None])]
            gaps = generator.normal(0.02 + 0.01 * m, 0.1, (6, IMAGES)) + 0.02 * np.arange(6)[:, None]
            rows.append(calibration_rows(gaps[0], np.broadcast_to(gaps[1:], (len(MEASURED), 5, IMAGES))))
            if natural:
                value = 50 + generator.normal()
                rows.append(as_rows([number("cifar10-shift", "balanced error", value, 4439, standard_error=1.0)]))
            tables.append(pd.concat(rows).assign(method=method, seed=seed, encoder=encoder))
    return pd.concat(tables, ignore_index=True)


# Sentence: what of it asserts a difference of systems (see test_no_effect.py)
SAID = {
    "answer-rank": Said(r"\b(errs|loses) least", 2), "order-by-error": Said(", "), "order-by-loss": Said(", "),
    "least-loss": Said(r"^(?!.*not told apart)"),
}  # fmt: skip
