"""Claims without which no other number means anything: every trained method beats random weights; and what is had for
nothing, by whoever gives every image the same answer."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from lib.contrasts import Contrasts, of_metric, of_two, present
from lib.images.scenes import SHAPES
from lib.images.sources import CIFAR10_CLASSES
from lib.methods import METHODS
from lib.verdicts import Claim

# Percent, by data set: of images whose answers are guessed, and of what a constant answer, one class for every image,
# is right about under any shift and any attack. Classes are of equal size.
CHANCE = {"cifar10": 100 / len(CIFAR10_CLASSES), "scenes": 100 / len(SHAPES)}


def constant(rows: pd.DataFrame) -> float | None:
    """What a constant answer keeps, in percent, on the one data set of `rows`; None where its classes are not known."""
    sets = set(rows["dataset"]) if "dataset" in rows else set()
    return CHANCE.get(sets.pop()) if len(sets) == 1 else None


def beats_control(metric: str, control: str = "random") -> Callable[[pd.DataFrame], Contrasts]:
    def contrasts(rows: pd.DataFrame) -> Contrasts:
        rows = of_metric(rows, metric)
        if control not in set(rows["method"]):
            return {}
        return {
            f"{METHODS[method].title} less {METHODS[control].title}": of_two(
                rows, {"method": method, "metric": metric}, {"method": control, "metric": metric}
            )
            for method in present(rows, self_supervised=False)
        }

    return contrasts


# Ours: without these no other number means anything.
CONTROLS = (
    Claim(
        "neighbours-beat-random",
        "Every trained method beats random weights by nearest neighbours.",
        "ours",
        beats_control("knn accuracy"),
        every=True,
    ),
    Claim(
        "probe-beats-random",
        "Every trained method beats random weights by the linear probe.",
        "ours",
        beats_control("probe accuracy"),
        every=True,
    ),
)
