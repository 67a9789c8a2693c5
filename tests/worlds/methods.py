"""Made-up results of methods, from their accuracies."""

import pandas as pd
from shorthand import unfolded
from worlds.said import Said

from lib.runs import Results, RunConfig


def results(accuracies, standard_error=0.0, seconds=None):
    """Made-up results from {method: probe accuracy of each seed}; nearest neighbours are 5 points below."""
    rows, records = [], []
    for method, values in accuracies.items():
        for seed, value in enumerate(values):
            for metric, found in (("knn accuracy", value - 5), ("probe accuracy", value)):
                rows.append((method, seed, "none", 0, metric, found, standard_error))
            config = RunConfig("scenes", method, seed=seed).to_dict()
            records.append(
                {
                    "config": config,
                    "seconds": config["training"]["epochs"] * (seconds or {}).get(method, [7.0] * 9)[seed],
                    "images_per_second": 1000.0 + seed,
                    "peak_memory_mib": 1300,
                    "device": "CPU, 2 threads",
                    "precision": "bf16",
                }
            )
    names = ["method", "seed", "shift", "of", "metric", "value", "standard_error"]
    return Results(records, unfolded(pd.DataFrame(rows, columns=names)), "small", stale=False)


# Sentence: what of it asserts a difference of systems (see test_no_effect.py)
SAID = {"answer-accuracy": Said(r"^(?!.*none is told apart)")}  # fmt: skip
