"""A campaign: all runs that are missing in some studies, the most valuable first, each published as soon as it ends.

Everything is in the store and in the published files: a campaign that was stopped or killed goes on by being called
again. Several processes may work side by side, here and on other machines, with a store of each or one of all; see
`lib.leases` and `lib.runs.parts`.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, replace

import pandas as pd

from lib import bucket, leases, paths, stopping
from lib.engines import InProcess
from lib.errors import BadInput
from lib.measures.rows import measure_name
from lib.runs import engine, ledger, published, store, study
from lib.runs.config import RunConfig
from lib.runs.plan import Plan
from lib.runs.published import Found, Wanted, find, identity
from lib.runs.study import Study
from lib.runs.times import Times
from lib.stopping import Stopped
from lib.training import OutOfTime

FIRST = 3  # seeds without which a system has no interval worth the name
ROLES = ("main", "yardstick", "ablation", "updates", "quirk", "sweep")  # of `lib.runs.systems.System`, in their order
Plans = Mapping[str, Plan]


@dataclass(frozen=True)
class Job:
    """A run that is missing in some studies, and what all studies that want it ask of it, by their names.

    `missing` are the studies in which it is not published, or older than this code's. `value` says which of two comes
    first: the smaller.
    """

    config: RunConfig
    wanted: Mapping[str, Wanted]
    missing: tuple[str, ...]
    value: tuple

    @property
    def measures(self) -> list:
        """Of all studies, each once."""
        return list({own.identity: own for one in self.wanted.values() for own in one.measures}.values())

    @property
    def title(self) -> str:
        titles = [one.title for one in self.wanted.values() if one.title]
        apart = self.config.augmentation, self.config.encoder, self.config.differing
        more = [word for word in apart if word and not titles]
        return f"{titles[0] if titles else ' '.join([self.config.method, *more])}, seed {self.config.seed}"


def family(config: RunConfig) -> str:
    """What the runs of one system have in common, whatever the seed."""
    return identity(replace(config, seed=0))


def is_missing(found: Found | None) -> bool:
    """Whether a run is to be computed: not published, older than this code's, or without rows of a measure.

    A measure that gave no rows where the run was measured, such as of images that were not there, is not missing.
    """
    if found is None or found.standing.stale:
        return True
    return bool(set(found.standing.lacking) - set(found.record.get("empty", ())))


def jobs(plans: Plans, preset: str, uses: Mapping[str, int] | None = None) -> list[Job]:
    """What is missing in the studies of `plans`, the most valuable first.

    First what most studies share; then the first three seeds of a system before further ones, and of these the system
    that lacks the fewest, since a page shows systems that have all of their seeds; then what most claims use, by `uses`
    (`family` -> their number; 0 where that is not known); then the role in its study, and the order of the plan.
    """
    wanted: dict[str, dict[str, Wanted]] = {}
    missing: dict[str, list[str]] = {}
    values: dict[str, list[tuple]] = {}
    for number, (name, plan) in enumerate(plans.items()):
        asked = Study(plan, preset).wanted()
        lacks = [is_missing(hit) for hit in find(plan, asked, partly=True)]
        for place, (one, lacking, rest) in enumerate(zip(asked, lacks, _by_system(asked, lacks), strict=True)):
            key = identity(one.config)
            wanted.setdefault(key, {})[name] = one
            role = plan.systems[one.system].role if one.system else ROLES[0]
            values.setdefault(key, []).append((*rest, ROLES.index(role), number, place))
            if lacking:
                missing.setdefault(key, []).append(name)
    found = []
    for key, studies in missing.items():
        config = next(iter(wanted[key].values())).config
        shared = -len(wanted[key]) if len(wanted[key]) > 1 else 0
        late, lacked, role, number, place = map(min, zip(*values[key], strict=True))
        value = (shared, late, lacked, -(uses or {}).get(family(config), 0), role, number, place)
        found.append(Job(config, wanted[key], tuple(studies), value))
    return sorted(found, key=lambda job: job.value)


def _by_system(wanted: Sequence[Wanted], missing: Sequence[bool]) -> list[tuple[bool, int]]:
    """Of each run, whether it is of a later seed than the first of its system, and how many of the first it lacks."""
    seeds: dict[str, list[bool]] = {}
    places = []
    for one, lacks in zip(wanted, missing, strict=True):
        own = seeds.setdefault(family(one.config), [])
        places.append((own, len(own)))
        own.append(lacks)
    return [(place >= FIRST, sum(own[:FIRST])) for own, place in places]


def publish(job: Job, plans: Plans, preset: str, record: dict, rows: pd.DataFrame) -> list[str]:
    """Add a run to each study that wants it, with the rows of its measures; returns their names.

    All of them get the same numbers, also those that had others: one key is one set of numbers. The record says how
    long measures took, and which gave no rows here.
    """
    bucket.pull(store.folder(record["key"]))  # what another machine has sent of it
    seconds = store.load_seconds(record["key"])
    done = []
    for name, one in job.wanted.items():
        identities = [measure.identity for measure in one.measures]
        own = rows[rows["measure"].isin(identities)]
        empty = [measure_name(asked) for asked in identities if asked not in set(own["measure"])]
        told = record | {"measuring": {asked: seconds[asked] for asked in identities if asked in seconds}}
        if study.add(plans[name], preset, told | ({"empty": empty} if empty else {}), own, one.system):
            done.append(name)
    return done


@dataclass(frozen=True)
class _Flight:
    """A run that is being computed, and the claim to it, which is given back when it has landed."""

    job: Job
    future: Future
    claim: contextlib.ExitStack
    started: float


def work(
    plans: Plans,
    preset: str,
    todo: Sequence[Job],
    time_limit: float | None = None,
    say: Callable[[str], object] = print,
    executor: Executor | None = None,
    most: float = math.inf,
) -> list[Job]:
    """Compute and publish `todo` in its order, at `most` so many, and return what is left; `say` gets a line a run.

    Runs go to `executor` (see `lib.engines`; in this process by default), as many at once as it is wide, and are
    published here. After `time_limit` seconds, or a signal, it stops at the next step, and what is under way leaves a
    checkpoint. A run that fails is told and left; one that another process is at, here or on another machine, or has
    published by now, is passed over.
    """
    deadline = time.monotonic() + time_limit if time_limit is not None else math.inf
    executor = executor or InProcess()
    queue, flights, done, begun = iter(todo), list[_Flight](), set[int](), 0
    try:
        while True:
            while len(flights) < getattr(executor, "width", 1) and begun < most:
                if (flight := _begun(queue, plans, executor, deadline, say, done)) is None:
                    break
                flights.append(flight)
                begun += 1
            if not flights:
                break
            wait([flight.future for flight in flights], timeout=1, return_when=FIRST_COMPLETED)
            if stopping.asked():
                _stop(executor)
            for flight in [flight for flight in flights if flight.future.done()]:
                flights.remove(flight)
                with flight.claim:
                    if _landed(flight, plans, preset, say):
                        done.add(id(flight.job))
                    elif stopping.asked() or time.monotonic() >= deadline:
                        queue = iter(())
    finally:
        if flights:  # Ctrl-C, say
            _stop(executor)
        for flight in flights:
            flight.future.cancel()
            flight.claim.close()
    return [job for job in todo if id(job) not in done]


def _stop(executor: Executor) -> None:
    if stop := getattr(executor, "stop", None):
        stop()


def _begun(
    queue: Iterator[Job], plans: Plans, executor: Executor, deadline: float, say: Callable, done: set[int]
) -> _Flight | None:
    """The next of `queue` that nobody is at and that is still missing; None where time is up or none is left."""
    while time.monotonic() < deadline and not stopping.asked():
        if (job := next(queue, None)) is None:
            return None
        with contextlib.ExitStack() as claim:
            if not claim.enter_context(_claimed(job)):
                say(f"{job.title}: another process is at it")
            elif not _still_missing(job, plans):
                done.add(id(job))
            else:
                started = time.monotonic()
                future = engine.submitted(executor, job.config, job.measures, deadline - started)
                return _Flight(job, future, claim.pop_all(), started)
    return None


def _landed(flight: _Flight, plans: Plans, preset: str, say: Callable[[str], object]) -> bool:
    """Publish what was computed; whether the run is done."""
    job = flight.job
    try:
        record, rows = flight.future.result()
        studies = publish(job, plans, preset, record, rows)
    except (OutOfTime, Stopped):
        return False
    except (BadInput, RuntimeError) as error:
        say(f"{job.title}: failed ({str(error).splitlines()[0] if str(error) else type(error).__name__})")
        return False
    where = f"published in {', '.join(studies)}" if studies else "no measure has rows, nothing is published"
    say(f"{job.title}: {time.monotonic() - flight.started:.0f} s, {where}")
    return True


def seconds(todo: Sequence[Job], times: Times) -> list[tuple[float, float, int]]:
    """Of each job the seconds of training (NaN where no run tells) and of measures, and how many were never timed.

    What a run is made of or learns from counts with the first that needs it, and nothing that is in the local store.
    """
    trained = set(times.trained)
    found = []
    for job in todo:
        training = 0.0
        for config in (*job.config.members(), job.config.teacher(), job.config):
            if config is not None and identity(config) not in trained:
                trained.add(identity(config))
                training += times.training(config)
        measured = [times.measured(job.config, measure.identity) for measure in job.measures]
        known = [own for own in measured if own is not None]
        found.append((training, math.fsum(known), len(measured) - len(known)))
    return found


def table(todo: Sequence[Job], times: Times) -> pd.DataFrame:
    """A line a job in its order: the run, the studies that want it and those that lack it, and the minutes it takes."""
    lines = [
        (job.title, job.config.dataset, ", ".join(job.wanted), ", ".join(job.missing), -job.value[3],
         (training + measuring) / 60, untimed)
        for job, (training, measuring, untimed) in zip(todo, seconds(todo, times), strict=True)
    ]  # fmt: skip
    columns = ["run", "dataset", "studies", "missing in", "claims", "minutes", "measures not timed"]
    return pd.DataFrame(lines, columns=columns)


def left_in_words(todo: Sequence[Job], times: Times) -> str:
    """How many runs are left and about how long they take here, one after the other."""
    if not todo:
        return "nothing is left"
    found = seconds(todo, times)
    told = [training + measuring for training, measuring, _ in found if not math.isnan(training)]
    unknown, untimed = len(found) - len(told), sum(count for *_, count in found)
    minutes = math.fsum(told) / 60
    length = f"{minutes / 60:.1f} hours" if minutes >= 60 else f"{minutes:.0f} minutes"
    words = f"{len(todo)} run{'s are' if len(todo) > 1 else ' is'} left, about {length} here"
    if unknown:
        words += f", without {unknown} of encoders that no run was timed with"
    return words + (f"; {untimed} measures were never timed and are not counted" if untimed else "")


@contextlib.contextmanager
def _claimed(job: Job) -> Iterator[bool]:
    """Whether no other process is at the run, here or on another machine; held until the end."""
    with contextlib.ExitStack() as stack:
        try:
            lease = stack.enter_context(leases.held(ledger.place(job.config) / "campaign", wait=False))
        except OSError as error:
            words = f"no run can be kept in {paths.runs()} ({error.strerror}); name a folder by WITHSTAND_RUNS"
            raise BadInput(words) from error
        yield lease is not None


def _still_missing(job: Job, plans: Plans) -> bool:
    """Whether the run is still not published: another process may have done so since the jobs were listed."""
    published.forget()
    return any(is_missing(find(plans[name], [job.wanted[name]], partly=True)[0]) for name in job.missing)
