"""Claims without which no other number means anything: every trained method beats random weights."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from lib.contrasts import Contrasts, of_metric, of_two, present
from lib.methods import METHODS
from lib.verdicts import Claim


def beats_control(metric: str) -> Callable[[pd.DataFrame], Contrasts]:
    def contrasts(rows: pd.DataFrame) -> Contrasts:
        rows = of_metric(rows, metric)
        if "random" not in set(rows["method"]):
            return {}
        return {
            f"{METHODS[method].title} less Random weights": of_two(
                rows, {"method": method, "metric": metric}, {"method": "random", "metric": metric}
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
