"""What training by each method costs: seconds per epoch, measured in turns.

    python -m benchmarks.costs                   # print a table for the scale of the methods page
    python -m benchmarks.costs --publish         # and keep the measurements for the page

The runs of a study take an hour, in which a machine may change its speed by a factor of two: what one method takes less
than another is then the machine's doing. Here a round trains every method for a few steps, one after the other, and
rounds are repeated, so that a change of speed meets all methods. A measurement is two short epochs: the first warms up,
the second counts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import torch

from lib import paths
from lib.chapters.methods.plan import PLAN
from lib.errors import BadInput
from lib.images import load
from lib.precision import precision_on
from lib.runs import fit, grid
from lib.runs.engine import device_name
from lib.runs.store import COST_COLUMNS, write_costs

STEPS = 8  # that are timed


def measure(method: str, preset: str) -> dict[str, object]:
    """A line of `COST_COLUMNS` except for its round, from a short training in this process."""
    (config,) = grid(preset, [method], seeds=[0])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    plan = config.training
    data = load(config.dataset, "train", config.train_images, device)
    short = replace(plan, epochs=2, warmup_epochs=0)
    some = load(config.dataset, "train", STEPS * plan.batch_size, device)
    short_run = replace(config, train_images=len(some.images), training=short)
    history = fit(short_run, some, progress=False).history
    steps_per_epoch = len(data.images) // plan.batch_size
    return {
        "method": method,
        "seconds_per_epoch": history[-1]["seconds"] / STEPS * steps_per_epoch,
        "device": device_name(device),
        "precision": precision_on(device, plan.precision),
        "torch": torch.__version__,
        "finished": datetime.now(UTC).date().isoformat(),
    }


def rounds(methods: Sequence[str], preset: str, count: int) -> pd.DataFrame:
    """`COST_COLUMNS` of every method in turns, `count` times."""
    lines = []
    for number in range(count):
        for method in methods:
            lines.append({"round": number, **measure(method, preset)})
            seconds = lines[-1]["seconds_per_epoch"]
            print(f"round {number + 1} of {count}, {method}: {seconds:.1f} s an epoch", flush=True)
    return pd.DataFrame(lines)[list(COST_COLUMNS)]


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"rounds is a whole number of at least 1, not {text!r}")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="small", help="the scale: quick, small or full")
    parser.add_argument("--rounds", type=_count, default=5, help="measurements of each method")
    parser.add_argument("--publish", action="store_true", help="keep them in results/, for the methods page")
    arguments = parser.parse_args()
    try:
        found = rounds(PLAN.methods, arguments.preset, arguments.rounds)
        if arguments.publish:
            write_costs(paths.RESULTS / PLAN.name / arguments.preset, found)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    print(found.groupby("method", sort=False)["seconds_per_epoch"].median().round(1).to_string())
    return 0


if __name__ == "__main__":
    sys.exit(main())
