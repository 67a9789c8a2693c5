"""Made-up rows of encoders and tasks: what an encoder sees of colour and of place decides."""

from itertools import product

import numpy as np
import pandas as pd
from shorthand import unfolded
from worlds.said import Said

from lib.chapters.augmentation.claims import TASKS
from lib.shifts.corruptions import EVERY
from lib.shifts.transforms import TRANSFORMS

RECIPES = ("default", "spatial", "appearance", "fusion")
ARMS = (
    *(("moco_v2", recipe) for recipe in (*RECIPES, "three defaults")),
    *((method, recipe) for method in ("simclr", "byol") for recipe in RECIPES),
    ("supervised", None), ("random", None),
)  # fmt: skip
OWN = [pair for pair in ARMS if pair[0] == "moco_v2"]
HERE = ("own classes", "cifar100-5k", "dtd", "pacs-photo", "pacs-sketch", "coil azimuth", "object_hue", "x",
        "light_azimuth")  # fmt: skip
SEEDS = (0, 1, 2)
COLUMNS = ["method", "augmentation", "seed", "shift", "of", "metric", "value", "standard_error"]
# How much an encoder sees of colour and of place, in 0..1, and how good it is.
SEES = {"default": (0.3, 0.4, 0.9), "spatial": (0.9, 0.3, 0.7), "appearance": (0.2, 0.9, 0.5),
        "fusion": (0.8, 0.8, 1.0), "three defaults": (0.35, 0.45, 0.95), None: (0.6, 0.6, 0.4)}  # fmt: skip


def made_up():
    """Reading out hue takes an eye for colour, reading out x one for place; corruptions hurt who sees them."""
    generator, lines = np.random.default_rng(5), []
    for (m, (method, recipe)), seed in product(enumerate(ARMS), SEEDS):
        colour, place, good = SEES[recipe]
        good -= 0.3 * (method == "random")

        def add(shift, of, metric, value, spread=0.7, *, run=(method, recipe, seed)):
            lines.append((*run, shift, of, metric, value + spread * generator.normal(), 0.6))

        for task in HERE:
            base = {"object_hue": 80 * colour, "x": 75 * place, "own classes": 40 + 30 * good}
            add(*TASKS[task], base.get(task, 25 + 20 * good + 5 * colour + m / 5))
        for name, kind in TRANSFORMS.items():
            eye = place if kind.kind == "spatial" else colour
            add(name, 0, "whitened similarity", 90 - 60 * eye)
            lines.append((method, recipe, seed, name, 0.5, "whitened similarity along", 99.0, 0.1))
        add("none", 0, "error", 60 - 30 * good)
        for c, corruption in enumerate(EVERY):
            add(corruption, 0, "error", 60 - 30 * good + 20 * colour + c / 2)
            lines.append((method, recipe, seed, corruption, 3.0, "error", 99.0, 0.1))
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


# Sentence: what of it asserts a difference of systems (see test_no_effect.py)
SAID = {
    "answer-tasks": Said(r"better one"), "answer-fusion": Said(r"farther below on [1-9]"),
    "views": Said(r"(higher|lower) for"),
}  # fmt: skip
