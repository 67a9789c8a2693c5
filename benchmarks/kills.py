"""Kill -9 in training, saving, measuring, publishing, folding and evaluating, until all is done, over and over.

python -m benchmarks.kills --kills 100 --seed 0

Every third kill comes at a random moment, the others in a place that is drawn, where few were killed so far: some
time after it is entered, and no longer than it takes. Nothing may be lost or corrupt: what is published reads after
each kill, no attempt ends with an error, and the weights, published rows, reports and entries of the scoreboard at
the end are those of a campaign that nobody disturbed. Processes are forked from one that has imported everything and
has one thread.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import importlib
import json
import os
import random
import select
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lib import files, images, paths
from lib.evaluate import compute, encoders, entries, evaluate, report
from lib.images.reading import visible
from lib.measures.rows import CLEAN, as_rows, number
from lib.runs import PRESETS, Plan, campaign, engine, fitting, parts, published, store
from lib.runs.systems import RANDOM, SIMCLR
from lib.training import trainer

PRESET = "quick"
# What an attempt may be killed in: a place that a function is. The benchmark's processes tell when they enter one.
PLACES: dict[str, tuple[Any, str]] = {
    "a training step": (trainer._Run, "learn"),
    "a checkpoint": (trainer._Run, "save"),
    "saving a run": (store, "save_run"),
    "measuring": (engine, "measure_now"),
    "publishing": (campaign, "publish"),
    "folding": (parts, "fold"),
    "evaluating": (compute, "measure_now"),
    "a report": (report, "write"),
    "an entry": (entries, "write"),
    "a file": (files, "write"),
}
BETWEEN = "between them"
RANDOM_MOMENTS = 1 / 3  # of all kills
NEXT = 4  # places, of which the next kill is in one
MOST = 12  # kills of a campaign, which comes to its end then: a place that is done again could be killed for ever
LEFT = 128  # a byte of a place, and this more where it is left


@dataclass(frozen=True)
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


@dataclass
class Watch:
    """Where a process is, by what it tells: the places it is in, and how often and how long it was in each."""

    inside: list[tuple[str, float]] = field(default_factory=list)
    entered: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def place(self) -> str:
        return ", ".join(name for name, _ in self.inside) or BETWEEN

    def hear(self, told: bytes) -> None:
        names = list(PLACES)
        for byte in told:
            if byte < LEFT:
                self.inside.append((names[byte], time.monotonic()))
                self.entered[self.place] += 1
            else:
                place, (_, since) = self.place, self.inside[-1]
                self.inside.pop()
                self.seconds[place].append(time.monotonic() - since)


@dataclass(frozen=True)
class Aim:
    """When to kill: so many `seconds` after the `nth` entry of a `place`, or after the start where that is None."""

    seconds: float
    place: str | None = None
    nth: int = 1


def telling(pipe: int) -> None:
    """Have this process write a byte when it enters one of `PLACES`, and one when it leaves it."""
    for number_of, (home, name) in enumerate(PLACES.values()):
        true = getattr(home, name)

        @functools.wraps(true)
        def told(*arguments, _true=true, _number=number_of, **options):
            os.write(pipe, bytes([_number]))
            try:
                return _true(*arguments, **options)
            finally:
                os.write(pipe, bytes([LEFT + _number]))

        setattr(home, name, told)


def imported(folder: Path) -> None:
    """Import what a process had imported at its end, so that none has to do so again."""
    for name in (folder / "modules").read_text().split():
        with contextlib.suppress(Exception):  # some are there for another's sake alone
            importlib.import_module(name)
    assert threading.active_count() == 1, "a process with several threads must not be forked"


def work(plans: Mapping[str, Plan], folder: Path | None) -> bool:
    """All that there is to do: what is missing is computed, published and folded; then an encoder is evaluated, with a
    report, and enters the scoreboard."""
    if campaign.work(plans, PRESET, campaign.jobs(plans, PRESET), say=lambda line: None):
        return False
    for name in plans:
        parts.fold(paths.RESULTS / name / PRESET)
    if folder:
        asked = {"axes": "adversarial", "budget": 1.0, "progress": False}
        evaluate("random:resnet10_narrow", "mine", out=folder / "report", **asked)
        evaluate("random:resnet10_narrow", "mine", out=folder / "submitted", submit=True, **asked)
    return True


def attempt(plans: Mapping[str, Plan], folder: Path | None, aim: Aim | None) -> tuple[int, Watch]:
    """The exit code of a process that does what is missing and is killed as `aim` says; and where it was."""
    hears, tells = os.pipe()
    started, watch = time.monotonic(), Watch()
    child = os.fork()
    if not child:
        done = False
        try:
            os.close(hears)
            telling(tells)
            done = work(plans, folder)
            if folder and aim is None:
                files.write_text(folder / "modules", " ".join(sorted(sys.modules)))
        finally:
            os._exit(0 if done else 1)
    os.close(tells)
    due = started + aim.seconds if aim and aim.place is None else None
    with open(hears, "rb", buffering=0) as pipe:
        while True:
            left = None if due is None else max(0.0, due - time.monotonic())
            if not select.select([pipe], [], [], left)[0]:
                os.kill(child, signal.SIGKILL)
                due = None
            elif told := pipe.read(1):
                watch.hear(told)
                if aim and aim.place and due is None and watch.entered[aim.place] == aim.nth:
                    due = time.monotonic() + aim.seconds
                    aim = None
            else:
                break
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), watch


def outcome(plans: Mapping[str, Plan], folder: Path | None) -> dict[str, object]:
    """What must be equal at every end: weights by their keys, published rows by their studies, reports, entries."""
    published.forget()
    found: dict[str, object] = {str(path.parent.name): path.read_bytes() for path in weights()}
    found |= {name: store.read_published(paths.RESULTS / name / PRESET)[1].to_csv() for name in plans}
    found |= {entry.name: entry.rows.to_csv() for entry in sound()}
    for name in ("report", "submitted") if folder else ():
        home = folder / name  # type: ignore[operator]
        record = json.loads((home / report.RECORD).read_text())
        found[name] = (home / report.ROWS).read_text(), record["measured"], record["left_out"]
        found[f"figures of {name}"] = sorted(path.name for path in visible(home / report.FIGURES))
        assert (home / report.PAGE).read_text().endswith("</html>\n"), "half a page"
    return found


def weights() -> list[Path]:
    return sorted(paths.runs().glob("*/weights.safetensors"))


def sound() -> list[entries.Entry]:
    """All entries; whatever is published is whole, at any moment."""
    published.forget()
    for path in paths.RESULTS.glob(f"*/{PRESET}"):
        if store.is_published(path):
            store.read_published(path)
    found = entries.entries()
    for entry in found:
        entries.check(entry)
    return found


def clear(folder: Path | None) -> None:
    """As before anything was computed."""
    for home in (paths.runs(), paths.RESULTS, *([folder] if folder else [])):
        shutil.rmtree(home, ignore_errors=True)


def aimed(draw: random.Random, whole: Watch, left: float, since: str, places: Counter[str]) -> Aim:
    """At a random moment of the seconds that are `left`, or in one of the next few places where an undisturbed process
    is from the place `since` on: one of those in which the fewest were killed."""
    if draw.random() < RANDOM_MOMENTS:
        return Aim(draw.uniform(0, left))
    names = list(whole.entered)
    first = names.index(since) if since in names else 0
    coming = names[first : first + NEXT]
    place = draw.choice([name for name in coming if places[name] == min(places[other] for other in coming)])
    nth = draw.randint(1, min(2, whole.entered[place]))
    return Aim(draw.uniform(0, statistics.median(whole.seconds[place])), place, nth)


def storm(
    plans: Mapping[str, Plan],
    kills: int,
    seed: int,
    say: Callable[[str], object] = lambda line: None,
    folder: Path | None = None,
) -> tuple[Counter[str], int]:
    """How often processes were killed at which place, and how many campaigns were completed between.

    An encoder is evaluated as well where there is a `folder` for its reports. Raises AssertionError as soon as anything
    is not as it would be undisturbed.
    """
    draw, places, rounds, pace = random.Random(seed), Counter[str](), 0, 1.0
    if folder:
        assert attempt(plans, folder, None)[0] == 0
        imported(folder)
        clear(folder)
    started = time.monotonic()
    code, whole = attempt(plans, folder, None)
    assert code == 0
    longest, expected = time.monotonic() - started, outcome(plans, folder)
    say(f"undisturbed: {longest:.1f} s, of which")
    for name, seconds in whole.seconds.items():
        say(f"{sum(seconds):6.2f} s  {name}, {len(seconds)} times")
    while places.total() < kills:
        clear(folder)
        code, left, since, most = -signal.SIGKILL, longest, BETWEEN, min(kills, places.total() + MOST)
        while code:
            started = time.monotonic()
            aim = aimed(draw, whole, left, since, places) if places.total() < most else None
            code, watch = attempt(plans, folder, aim and dataclasses.replace(aim, seconds=aim.seconds * pace))
            assert code in (0, -signal.SIGKILL), f"an attempt ended with {code} after {places}"
            if code:
                places[watch.place] += 1
                left = max(longest / 10, left - (time.monotonic() - started))
                since = watch.place if watch.inside else since
                sound()
            elif aim:
                pace *= 0.7  # the machine may be quicker than it was
        found = outcome(plans, folder)
        wrong = [name for name in expected.keys() | found.keys() if found.get(name) != expected.get(name)]
        told = "; ".join(
            f"{name}: {expected.get(name)!r:.2000} became {found.get(name)!r:.2000}" for name in sorted(wrong)
        )
        assert not wrong, f"other ends: {told}"
        rounds += 1
        say(f"{places.total()} kills, {rounds} campaigns completed, equal ends")
    return places, rounds


def tiny(folder: Path) -> None:
    """Make everything small: scenes, a preset, a data set of one's own, a checkpoint a step; one clock for plans."""
    torch.set_num_threads(1)  # a process with a pool of threads must not be forked
    images.SCENES_BLOCK, images.SCENES_SIZE = 64, {"train": 64, "validation": 40, "test": 40}
    PRESETS[PRESET] = dataclasses.replace(
        PRESETS[PRESET], train_images=64, batch_size=16, seeds=(0,), passes=2, views=2
    )
    fitting.train = functools.partial(trainer.train, checkpoint_seconds=0.0)
    encoders._seconds = lambda own, device: 1e-4  # the plan of an evaluation depends on it
    draw = np.random.default_rng(0)
    (folder / "data").mkdir()
    pixels = draw.integers(256, size=(48, 32, 32, 3), dtype=np.uint8)
    np.savez(folder / "data" / "mine.npz", images=pixels, labels=np.arange(48) % 2, test=np.arange(48) >= 40)
    os.environ["WITHSTAND_RUNS"], os.environ["WITHSTAND_DATA"] = f"{folder}/runs", f"{folder}/data"
    paths.RESULTS = folder / "results"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, help="a random one by default; it is printed")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if arguments.seed is None else arguments.seed
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tiny(folder)
        print(f"seed {seed}", flush=True)
        started = time.monotonic()
        say = functools.partial(print, flush=True)
        places, rounds = storm({"toy": TOY}, arguments.kills, seed, say, folder / "reports")
    print(
        f"{places.total()} kills, {rounds} campaigns to their ends, all equal, in {time.monotonic() - started:.0f} s;"
    )
    print("where they were killed:")
    for name, count in places.most_common():
        print(f"{count:4d}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
