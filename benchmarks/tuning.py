"""How every method is tuned over one small grid, by the probe on validation images; no test image is read.

    python -m benchmarks.tuning                                    # every trained method that meets no adversary
    python -m benchmarks.tuning --methods '["supcon"]' --time-limit 600     # stops cleanly; call again to go on
    python -m benchmarks.tuning --encoder resnet18 --images 45000 --epochs 100 --batch-size 256 --preset full

The grid is the same for all: three optimisers, each with the weight decay that goes with it and three rates around one
base; then, at the best of these, half and twice the temperature of a method that has one. The recipe in use is always
among the points. One point of each method comes before the second of any, so that a table that was stopped compares
methods by as many tries. A finished point is a line of `results/methods/PRESET/tuning.csv`, which several processes may
extend at once; a point under way leaves a checkpoint in the store.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch

from lib import paths
from lib.errors import BadInput, one_of
from lib.measures import Subject, probe
from lib.measures.rows import CLEAN, as_rows, row
from lib.methods import METHODS
from lib.models import ENCODERS
from lib.runs import PRESETS
from lib.runs.engine import compute_one
from lib.runs.presets import Preset
from lib.runs.store import append_tuning, read_tuning
from lib.runs.study import as_list
from lib.runs.tuning import SCALE, TUNED, Point, config_of, found, of_protocol, points, recipe_point
from lib.training import OutOfTime

STUDY = "methods"


@dataclass(frozen=True)
class ValidationAccuracy:
    """Metric "probe accuracy" on all validation images, on which the probe's decay is chosen as well."""

    @property
    def identity(self) -> str:
        return f"validation_accuracy()#{probe.PROTOCOL}"

    def rows(self, subject: Subject) -> pd.DataFrame:
        features, labels = subject.features("validation"), subject.split("validation").labels
        right = (subject.probe.predict(features) == labels).cpu().numpy()
        return as_rows([row(CLEAN, "probe accuracy", right)])


def tried(method: str, point: Point, scale: Preset, seed: int, time_limit: float, progress: bool) -> dict[str, object]:
    """A line of `lib.runs.store.TUNING_COLUMNS`; the accuracy is NaN where the loss did not stay finite."""
    config, started = config_of(method, point, scale, seed), time.monotonic()
    try:
        record, rows = compute_one(config, [ValidationAccuracy()], time_limit, progress)
    except BadInput as error:
        if not str(error).startswith("the loss is"):
            raise
        record, rows = {}, pd.DataFrame({"value": [math.nan], "images": [0]})
    return {
        "method": method,
        **dataclasses.asdict(point),
        "seed": seed,
        "dataset": config.dataset,
        "encoder": config.encoder,
        "images": scale.train_images,
        "batch_size": config.training.batch_size,
        "epochs": config.training.epochs,
        "accuracy": float(rows["value"].iloc[0]),
        "validation_images": int(rows["images"].iloc[0]),
        "protocol": METHODS[method].protocol,
        "seconds": round(time.monotonic() - started, 1),
        "device": record.get("device", ""),
        "precision": record.get("precision", ""),
        "commit": record.get("commit", ""),
    }


def known(method: str, scale: Preset, seed: int, lines: pd.DataFrame) -> dict[Point, float]:
    """Accuracies of a method's points at a scale, among `lines`; those of an older protocol do not count."""
    config = config_of(method, recipe_point(method), scale, seed)
    values = (config.dataset, config.encoder, scale.train_images, config.training.batch_size, config.training.epochs)
    own = of_protocol(lines)
    for column, value in zip(("method", "seed", *SCALE), (method, seed, *values), strict=True):
        own = own[own[column] == value]
    return found(own)


def waiting(
    methods: Sequence[str], seeds: Sequence[int], scale: Preset, home: Path
) -> Iterator[tuple[str, Point, int]]:
    """What is still to be tried, read anew from the file before each: one point of each method, then the next."""
    number = 0
    while True:
        left = False
        for seed in seeds:
            for method in methods:
                accuracies = known(method, scale, seed, read_tuning(home))
                todo = points(method, accuracies)
                left |= number < len(todo)
                if number < len(todo) and todo[number] not in accuracies:
                    yield method, todo[number], seed
        if not left:
            return
        number += 1


def tune(
    methods: Sequence[str],
    seeds: Sequence[int],
    scale: Preset,
    home: Path,
    time_limit: float | None = None,
    progress: bool = True,
) -> int:
    """Try what is still to be tried, and return how many points that were; `OutOfTime` after `time_limit` seconds."""
    deadline = time.monotonic() + time_limit if time_limit else math.inf
    count = 0
    for method, point, seed in waiting(methods, seeds, scale, home):
        if time.monotonic() > deadline:
            raise OutOfTime
        line = tried(method, point, scale, seed, deadline - time.monotonic(), progress)
        append_tuning(home, line)
        count += 1
        print(f"{method}, {point.optimiser} {point.rate:g}, temperature {point.temperature}, seed {seed}: "
              f"{line['accuracy']:.1f} % in {line['seconds']:.0f} s", flush=True)  # fmt: skip
    return count


def _scale(arguments: argparse.Namespace) -> Preset:
    preset = PRESETS[one_of(arguments.preset, PRESETS, "preset")]
    return replace(
        preset,
        dataset=arguments.dataset or preset.dataset,
        encoder=one_of(arguments.encoder, ENCODERS, "encoder"),
        train_images=arguments.images,
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
    )


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"this is a whole number of at least 1, not {text!r}")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__.splitlines()[0])
    parser.add_argument("--methods", help='a list such as \'["simclr", "supcon"]\'; all by default')
    parser.add_argument("--seeds", default="[0]", help="a list such as '[0, 1]'")
    parser.add_argument("--preset", default="small", help="whose data set it is, and whose page shows the points")
    parser.add_argument("--dataset", help="another data set than the preset's")
    parser.add_argument("--encoder", default="resnet10_narrow")
    parser.add_argument("--images", type=_count, default=5_000, help="to train on")
    parser.add_argument("--epochs", type=_count, default=4, help="a method's recipe may take a share of them")
    parser.add_argument("--batch-size", type=_count, default=128)
    parser.add_argument("--threads", type=_count, default=1)
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop cleanly after so long")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    try:
        methods = as_list(arguments.methods, "methods", TUNED) if arguments.methods else TUNED
        methods = [one_of(method, TUNED, "method that is tuned") for method in methods]
        seeds = as_list(arguments.seeds, "seeds", ("0", "1"))
        if not all(type(seed) is int for seed in seeds):
            raise BadInput(f"seeds are whole numbers such as [0, 1], not {arguments.seeds}")
        home = paths.RESULTS / STUDY / arguments.preset
        count = tune(methods, seeds, _scale(arguments), home, arguments.time_limit, sys.stderr.isatty())
    except OutOfTime:
        print("the time limit is reached; nothing is lost, the same call goes on from here")
        return 0
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{count} points were tried; none is left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
