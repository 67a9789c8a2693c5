"""Compute one published run again, from nothing, and compare every row with what is published.

    python -m lib.chapters verify                          # one that takes at most 20 minutes here, by chance
    python -m lib.chapters verify --seed 3 --minutes 5     # that one again, or a shorter one
    python -m lib.chapters verify --run 236963e6092d       # that one, by the first letters of its key

Nothing of the local store is read, and nothing there changes. The code is 0 where all rows agree, and 1 where some do
not, which are named. `lib.runs.verify` says what a row has to agree with.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Sequence

import pandas as pd

from lib import stopping
from lib.chapters import PLANS
from lib.errors import BadInput
from lib.inputs import whole
from lib.runs import times, verify
from lib.runs.campaign import Plans
from lib.runs.verify import Candidate

MINUTES = 20.0


def main(words: Sequence[str], plans: Plans = PLANS) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.chapters verify", description=__doc__.splitlines()[0])
    parser.add_argument("--run", help="the first letters of a key")
    parser.add_argument("--seed", help="of the choice; printed, so that it can be made again")
    parser.add_argument("--minutes", type=float, default=MINUTES, help=f"the longest that it may take; {MINUTES:g}")
    arguments = parser.parse_args(words)
    try:
        if not arguments.minutes > 0:
            raise BadInput(f"minutes are a number above 0, not {arguments.minutes:g}")
        one = _which(arguments, plans)
        with stopping.stoppable():  # a signal has the temporary store removed
            record, rows = _computed(one, arguments.minutes)
        return _told(one, record, rows)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


def _which(arguments: argparse.Namespace, plans: Plans) -> Candidate:
    known = times.known()
    if arguments.run:
        one = verify.named(arguments.run, plans, known)
    else:
        seed = secrets.randbelow(10_000) if arguments.seed is None else _whole(arguments.seed)
        found = verify.candidates(plans, known)
        one = verify.chosen(found, seed, arguments.minutes)
        print(f"seed {seed}, of {len(found)} published runs that this machine can compute again")
    places = ", ".join("/".join(own.place) for own in one.published)
    print(f"run {one.key} of {places}: {one.title}; about {one.seconds / 60:.1f} minutes and what was never timed")
    return one


def _whole(text: str) -> int:
    try:
        return whole(int(text), "the seed", None)
    except ValueError:
        raise BadInput(f"the seed is a whole number, not {text}") from None


def _computed(one: Candidate, minutes: float) -> tuple[dict, pd.DataFrame]:
    started = time.monotonic()
    record, rows, left_out = verify.again(one, minutes, lambda line: print(line, flush=True))
    print(f"trained in {record['seconds']:.0f} s, measured and compared after {time.monotonic() - started:.0f} s")
    if left_out:
        print(f"left out since {minutes:g} minutes were over: {', '.join(left_out)}")
    return record, rows


def _told(one: Candidate, record: dict, rows: pd.DataFrame) -> int:
    failed = compared = equal = 0
    for own in one.published:
        table = verify.held(own, record, rows)
        print(f"\n{'/'.join(own.place)}: {_arithmetic(own.record)}; here: {_arithmetic(record)}")
        older = sorted(set(own.rows["measure"]) - {measure.identity for measure in one.measures})
        if older:
            print(f"of an older protocol, not compared: {', '.join(older)}")
        if table.empty:
            continue
        print(verify.summary(table).to_string(index=False, float_format="%.4f"))
        bad = verify.outside(table)
        for line in bad.head(verify.SHOWN).to_dict("records"):
            print(verify.in_words(line))
        failed, compared = failed + len(bad), compared + int(table["now"].notna().sum())
        equal += int(table["equal"].sum())
    if failed:
        print(f"\n{failed} of {compared} rows of run {one.key} do not agree with what is published", file=sys.stderr)
        return 1
    if not compared:
        raise BadInput(f"no row of run {one.key} was computed here: images that it was measured on are not there")
    print(
        f"\nall {compared} rows of run {one.key} that were compared agree with what is published, {equal} to the digit"
    )
    return 0


def _arithmetic(record: dict) -> str:
    processor = record.get("processor", "a processor that is not known")
    return f"{record['device']}, {record['precision']}, torch {record['versions']['torch']}, {processor}"
