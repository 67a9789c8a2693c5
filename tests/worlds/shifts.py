"""Made-up rows along the parameters of shifts: error grows with distance, except under elastic transforms."""

import itertools

import numpy as np
import pandas as pd
from shorthand import unfolded

from lib.shifts.corruptions import SEVERITIES

SHOWN = ("simclr", "byol", "barlow_twins", "supervised", "random")


CURVES = {  # distance of the images at a severity
    "saturate": lambda s: 10 - 2 * s if s < 3 else 5.5 * (s - 2),
    "elastic_transform": lambda s: 45 - 4 * s,
    "gaussian_noise": lambda s: 7 * s,
}
LEVELS = np.arange(1, 5.1, 0.5)
COLUMNS = ["method", "seed", "encoder", "shift", "of", "metric", "value", "standard_error", "images"]


def made_up(seeds=(0, 1, 2), methods=SHOWN, curves=tuple(CURVES), natural=("cifar10-shift", "stl10")):
    """Rows of all measures; error grows with distance, but under elastic transforms with severity."""
    lines, generator = [], np.random.default_rng(0)
    for place, (method, seed) in enumerate(itertools.product(methods, seeds)):
        own = 10 * list(SHOWN).index(method)
        clean = 20 + own + float(generator.random())

        def add(shift, severity, metric, value, method=method, seed=seed):
            lines.append((method, seed, "resnet18", shift, severity, metric, float(value), 0.8, 400))

        add("none", 0, "error along severity", clean)
        for name, severity in itertools.product(curves, LEVELS):
            distance = CURVES[name](severity)
            add(name, severity, "error along severity", clean + (severity if name.startswith("el") else distance))
            add(name, severity, "image distance", distance)
        for shift, severity in [("none", 0), *(("all", s) for s in range(6))]:
            add(shift, severity, "raw error", clean + 5 * severity + 9 + place / 10)
            add(shift, severity, "raw cost", 9 + place / 10)
        add("none", 0, "faded error", clean + 9.25)
        add("none", 0, "contrast error", clean + 6)
        add("all", 0, "relative error", 12 - own / 10 + seed)
        add("none", 0, "balanced error", clean)
        for shift in natural:
            add(shift, 0, "balanced error", clean + 15 - own / 10 + (shift == "stl10"))
        add("none", 0, "attention similarity of other images", 20 + own / 10)
        for shift, severity in itertools.product(("fog", "contrast"), SEVERITIES):
            add(shift, severity, "attention similarity", 90 - own / 5 - 4 * severity + seed)
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))
