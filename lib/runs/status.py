"""How far all runs are, from the store alone: what was asked for, what is complete, who is at it, what failed.

It only reads, and so tells the same on every machine that has the store, while the cluster works and after it is gone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lib import bucket, leases, paths
from lib.bucket import Look
from lib.errors import BadInput
from lib.methods import METHODS
from lib.runs import ledger, store
from lib.runs.config import RunConfig
from lib.runs.ledger import Asked
from lib.runs.times import Times

NOTES = ("/record.json", "/measuring.json")
STATES = ("running", "failed", "left", "done")


@dataclass(frozen=True)
class Standing:
    """A run and its state, one of `STATES`.

    `words` say who is at a run and for how long, why it failed, or what there is of one that is left; `seconds` are an
    estimate of what is to be computed here, NaN where no run tells.
    """

    title: str
    dataset: str
    state: str
    words: str
    seconds: float


def standings(known: Times) -> list[Standing]:
    """Of every run that was asked for, in the order of `STATES`, and of others that somebody is at."""
    there, asked = bucket.look(), ledger.asked()
    found = [_standing(one, known, there) for one in asked]
    named = {key for one in asked for key in one.keys}
    for home in (home for home in there.homes(store.LEASE) if home.name not in named):
        seen = leases.look(home / store.LEASE)
        if seen and seen.state == leases.HELD:
            found.append(Standing(home.name, "", STATES[0], _by(seen), math.nan))
    return sorted(found, key=lambda one: (STATES.index(one.state), one.title))


def refresh() -> None:
    """Fetch from a bucket what was asked for, and the records of runs, which say how long such runs take."""
    bucket.pull(paths.runs(), wanted=lambda name: name.startswith(f"{ledger.ASKED}/") or name.endswith(NOTES))


def table(found: Sequence[Standing]) -> pd.DataFrame:
    """A line for each run that is not done."""
    lines = [
        (one.title, one.dataset, one.state, "" if math.isnan(one.seconds) else f"{one.seconds / 60:.1f}", one.words)
        for one in found
        if one.state != "done"
    ]
    return pd.DataFrame(lines, columns=["run", "dataset", "state", "minutes", ""])


def in_words(found: Sequence[Standing]) -> str:
    """How many runs are in each state, and about how long what is left takes here, one run after the other."""
    if not found:
        return "no run was asked for"
    counts = {state: sum(one.state == state for one in found) for state in STATES}
    words = ", ".join(f"{count} {state}" for state, count in counts.items())
    left = [one.seconds for one in found if one.state in ("left", "failed")]
    minutes = math.fsum(seconds for seconds in left if not math.isnan(seconds)) / 60
    unknown = sum(map(math.isnan, left))
    if len(left) > unknown:
        length = f"{minutes / 60:.1f} hours" if minutes >= 60 else f"{minutes:.0f} minutes"
        words += f"; what is left or failed takes about {length} here"
        words += f", without {unknown} that nobody has timed" if unknown else ""
    return words


def _standing(asked: Asked, known: Times, there: Look) -> Standing:
    config, keys = asked.config, asked.keys
    complete = [key for key in keys if there.has(store.folder(key) / "record.json")]
    lacking = [name for name in asked.measures if not any(there.has(store.rows_path(key, name)) for key in complete)]
    if complete and not lacking:
        return Standing(_title(config), config.dataset, "done", "", 0.0)
    seen = [look for key in keys if (look := leases.look(store.folder(key) / store.LEASE))]
    at_it = [look for look in seen if look.state == leases.HELD]
    seconds = _seconds(config, lacking, bool(complete), known)
    if at_it:
        state, words = "running", _by(at_it[0])
    elif asked.failed:
        state, words = "failed", asked.failed
    else:
        state, words = "left", _so_far(asked, bool(complete), len(lacking), seen, there)
    return Standing(_title(config), config.dataset, state, words, seconds)


def _so_far(asked: Asked, trained: bool, lacking: int, seen: Sequence[leases.Seen], there: Look) -> str:
    """What there is of a run that nobody is at."""
    parts = []
    if trained:
        parts.append(f"trained; {lacking} of {len(asked.measures)} measures to go")
    elif any(there.has(store.folder(key) / "checkpoint.pt") for key in asked.keys):
        parts.append("a checkpoint is there")
    if lost := [look for look in seen if look.state == leases.LOST]:
        parts.append(f"{lost[-1].owner} was at it until {_long(lost[-1].silence)} ago")
    return "; ".join(parts)


def _by(seen: leases.Seen) -> str:
    return f"{seen.owner}, for {_long(seen.age)}"


def _long(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def _title(config: RunConfig) -> str:
    attack = getattr(config.attack, "name", None)
    more = [word for word in (config.augmentation, attack, config.encoder) if word]
    return f"{METHODS[config.method].title}, {', '.join(more)}, seed {config.seed}"


def _seconds(config: RunConfig, lacking: Sequence[str], trained: bool, known: Times) -> float:
    """Of training and measures that are lacking; nothing is loaded for an estimate."""
    if not trained and (config.dataset, config.train_images) not in known.images:
        return math.nan
    try:
        training = 0.0 if trained else known.training(config)
    except BadInput:
        return math.nan
    return training + math.fsum(known.measured(config, name) or 0.0 for name in lacking)
