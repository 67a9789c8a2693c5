"""Kill -9 at random moments of training, saving, measuring and publishing, until all is done, over and over.

python -m benchmarks.kills --kills 100 --seed 0

Nothing may be lost or corrupt: no attempt ends with an error, and the weights and published rows at the end are those
of a campaign that nobody disturbed. Needs a system that forks.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from lib import images, paths
from lib.measures.rows import CLEAN, as_rows, number
from lib.runs import PRESETS, Plan, campaign, ledger, published, store
from lib.runs.systems import RANDOM, SIMCLR

PRESET = "quick"


@dataclasses.dataclass(frozen=True)
class Mean:
    """A number that the encoder decides."""

    identity: str = "mean(images=20)#1"

    def rows(self, subject):
        value = float(subject.features("test").mean())
        return as_rows([number(CLEAN, "mean", value, 20, standard_error=0.5)])


TOY = Plan(
    "toy", ("random", "simclr"), ("random", "simclr"), lambda preset: [Mean()],
    systems={"random": RANDOM, "simclr": SIMCLR}, systems_in_class=("random", "simclr"),
)  # fmt: skip


def outcome(plans: Mapping[str, Plan]) -> tuple[dict[str, bytes], dict[str, str]]:
    """All weights of the store by their keys, and all published rows by their studies."""
    published.forget()
    weights = {path.parent.name: path.read_bytes() for path in paths.runs().glob("*/weights.safetensors")}
    return weights, {name: store.read_published(paths.RESULTS / name / PRESET)[1].to_csv() for name in plans}


def place(plans: Mapping[str, Plan]) -> str:
    """How far the first run that is missing has come, by what it has left."""
    published.forget()
    todo = campaign.jobs(plans, PRESET)
    if not todo:
        return "after the end"
    for one in ledger.asked():
        if one.config != todo[0].config:
            continue
        homes = [store.folder(key) for key in one.keys]
        if any((home / "record.json").exists() for home in homes):
            rows = any(store.rows_path(key, name).exists() for key in one.keys for name in one.measures)
            return "publishing" if rows else "measuring"
        if any((home / "weights.safetensors").exists() for home in homes):
            return "saving"
        if any((home / "checkpoint.pt").exists() for home in homes):
            return "training, after a checkpoint"
    return "before a checkpoint"


def attempt(plans: Mapping[str, Plan], seconds: float | None) -> int:
    """The exit code of a process that works through what is missing, killed after so many `seconds`."""
    child = os.fork()
    if not child:
        left: list | None = None
        try:
            left = campaign.work(plans, PRESET, campaign.jobs(plans, PRESET), say=lambda line: None)
        finally:
            os._exit(0 if left == [] else 1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def storm(
    plans: Mapping[str, Plan], kills: int, seed: int, say: Callable[[str], object] = lambda line: None
) -> tuple[Counter[str], int]:
    """How often processes were killed at which place, and how many campaigns were completed between.

    Raises AssertionError as soon as anything is not as it would be undisturbed.
    """
    draw, places, rounds = random.Random(seed), Counter[str](), 0
    started = time.monotonic()
    assert attempt(plans, None) == 0
    longest, expected = time.monotonic() - started, outcome(plans)
    while places.total() < kills:
        shutil.rmtree(paths.runs(), ignore_errors=True)
        shutil.rmtree(paths.RESULTS, ignore_errors=True)
        while places.total() < kills:
            code = attempt(plans, draw.uniform(0, longest))
            assert code in (0, -signal.SIGKILL), f"an attempt ended with {code} after {places}"
            if code == 0:
                break
            places[place(plans)] += 1
        assert attempt(plans, None) == 0, "what was killed did not go on"
        found = outcome(plans)
        assert found[0] == expected[0], "other weights"
        assert found[1] == expected[1], "other rows"
        rounds += 1
        say(f"{places.total()} kills, {rounds} campaigns completed, equal ends")
    return places, rounds


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, help="a random one by default; it is printed")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    torch.set_num_threads(1)  # a process with a pool of threads must not be forked
    images.SCENES_BLOCK, images.SCENES_SIZE = 64, {"train": 64, "validation": 40, "test": 40}
    PRESETS[PRESET] = dataclasses.replace(
        PRESETS[PRESET], train_images=64, batch_size=32, seeds=(0,), passes=2, views=2
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WITHSTAND_RUNS"], paths.RESULTS = f"{folder}/runs", Path(folder, "results")
        print(f"seed {seed}", flush=True)
        started = time.monotonic()
        places, _ = storm({"toy": TOY}, arguments.kills, seed, lambda line: print(line, flush=True))
    print(f"{time.monotonic() - started:.0f} s; where they were killed:")
    for name, count in places.most_common():
        print(f"{count:4d}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
