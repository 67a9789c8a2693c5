"""Made-up rows of what encoders look through and what is read from them."""

import numpy as np
import pandas as pd
from shorthand import unfolded

from lib.images.objects import CAUSES
from lib.measures.read_out import READ
from lib.shifts.transforms import TRANSFORMS
from lib.views import AUGMENTATIONS

COLUMNS = ["method", "seed", "augmentation", "shift", "of", "metric", "value", "standard_error"]
THREE = ("default", "spatial", "appearance")


ONE_PARAMETER = {"rotation": "angle (degrees)", "scale": "factor", "brightness": "factor", "contrast": "factor",
                 "saturation": "factor", "hue": "turns", "blur": "sigma (px)", "sharpness": "factor",
                 "posterize": "bits"}  # fmt: skip
SETS = (("coil", ""), *(("scenes", cause) for cause in CAUSES))


def made_up(seeds=3, settings_of_a_transform=4):
    """Rows of all arms of the study, in the order of the methods' table; "invert" turns features to their opposite."""
    generator, lines = np.random.default_rng(0), []
    arms = [(method, a) for method in ("simclr", "moco_v2") for a in (*THREE, "fusion")]
    arms += [("moco_v2", name) for name in ("three defaults", *AUGMENTATIONS) if name not in THREE]
    for method, augmentation in (*arms, ("supervised", None), ("random", None)):
        for seed in range(seeds):

            def add(shift, metric, value, error=1.0, of=0, run=(method, seed, augmentation)):
                lines.append((*run, shift, of, metric, value + generator.normal(0, 2), error))

            add("none", "whitened similarity", 0.4, 0.0)
            for place, (name, kind) in enumerate(TRANSFORMS.items()):
                add(name, "whitened similarity", -25 if name == "invert" else 20 + 4 * place)
                grid = kind.grid(32, settings_of_a_transform)
                for value in grid[:, 0].tolist() if name in ONE_PARAMETER else ():
                    add(name, "whitened similarity along", 60 - 10 * (augmentation == "spatial"), of=value)
            for place, (name, cause) in enumerate(SETS):
                add(name, "whitened similarity", 40 + 8 * place, of=cause)
                add(name, "whitened chance", 10 + place, 0.0, of=cause)
            for place, name in enumerate(READ):
                add("none", "linear R2", 60 - 4.5 * place, of=name)
                add("none", "kernel R2", 99.0, of=name)
                add("without object_hue", "linear R2", 50 - 4.5 * place if place else 1.0, of=name)
            add("coil", "linear R2", 99.0, of="azimuth")
            add("none", "shape accuracy", 50)
            add("without object_hue", "shape accuracy", 45)
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))
