"""How many runs an hour one worker and several complete on this machine, in turns, and the ratio of the two.

python -m benchmarks.throughput --workers 2 --runs 4 --rounds 2

A run is a small training on scenes, with one thread. Workers have started before the clock does. What else the machine
does at the time counts as well: its load is printed with the numbers.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lib.engines import Processes, cores
from lib.runs import RunConfig, compute
from lib.training import Training

PLAN = Training(epochs=2, batch_size=64, precision="fp32")


def configs(runs: int) -> list[RunConfig]:
    return [RunConfig("scenes", "simclr", "resnet10_narrow", seed, 1_000, PLAN) for seed in range(runs)]


def ready() -> int:
    """What a worker does first: imports all that a run needs."""
    import lib.runs  # noqa: F401 - for its own sake

    time.sleep(1)  # so that each of the workers gets one
    return os.getpid()


def runs_an_hour(workers: int, runs: int, folder: Path) -> float:
    """Of so many runs in an empty store, without the start of the workers."""
    os.environ["WITHSTAND_RUNS"] = str(folder)
    with Processes(workers, threads=1) as executor:
        for future in [executor.submit(ready) for _ in range(workers)]:
            future.result()
        started = time.monotonic()
        compute(configs(runs), [], executor=executor, progress=False)
        return 3600 * runs / (time.monotonic() - started)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=int, default=4, help="of each arm and round; a multiple of the workers")
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as name:
        runs_an_hour(1, 1, Path(name, "first"))  # which renders the scenes
        print(f"{cores()} cores; load before: {os.getloadavg()[0]:.1f}")
        for place in range(asked.rounds):
            found = {}
            for workers in (1, asked.workers) if place % 2 == 0 else (asked.workers, 1):
                found[workers] = runs_an_hour(workers, asked.runs, Path(name, f"{place}-{workers}"))
            ratios.append(found[asked.workers] / found[1])
            told = ", ".join(f"{workers} workers {rate:.0f}" for workers, rate in sorted(found.items()))
            print(f"runs an hour: {told}; ratio {ratios[-1]:.2f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.2f}; load after: {os.getloadavg()[0]:.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
