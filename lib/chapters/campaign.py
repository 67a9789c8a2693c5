"""Compute and publish what is missing in all studies, the most valuable runs first.

    python -m lib.chapters campaign --plan                        # what is missing, in which order, how long it takes
    python -m lib.chapters campaign --time-limit 3600             # an hour of it; call again to go on
    python -m lib.chapters campaign --studies '["methods"]' --preset full --threads 8

Each run is published as it ends, in files of its own: `git add results` and a merge bring machines together, and
`python -m lib.runs fold` sorts such files into the others. `lib.runs.campaign` says what comes first.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence

import torch

from lib.chapters import PLANS
from lib.chapters.asked import uses
from lib.errors import BadInput, one_of
from lib.runs import campaign, engine, times
from lib.runs.presets import PRESETS
from lib.runs.study import as_list


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m lib.chapters campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="small", help="quick, small or full")
    parser.add_argument("--studies", help="a list such as '[\"methods\"]'; all by default")
    parser.add_argument("--time-limit", metavar="SECONDS", help="stop cleanly after so long")
    parser.add_argument("--threads", default="1", help="1 by default, as beside other work")
    parser.add_argument("--plan", action="store_true", help="print what is missing, and compute nothing")
    arguments = parser.parse_args(words)
    try:
        preset = one_of(arguments.preset, PRESETS, "preset")
        names = as_list(arguments.studies, "studies", tuple(PLANS)) if arguments.studies else list(PLANS)
        plans = {name: PLANS[one_of(name, PLANS, "study")] for name in names}
        limit = _above_zero(arguments.time_limit, "the time limit, in seconds") if arguments.time_limit else None
        threads = _above_zero(arguments.threads, "the number of threads")
        if threads != int(threads):
            raise BadInput(f"the number of threads is a whole number, not {arguments.threads}")
        torch.set_num_threads(int(threads))
        todo = campaign.jobs(plans, preset, uses())
        print(campaign.left_in_words(todo, times.known()), flush=True)
        if arguments.plan:
            print(campaign.table(todo, times.known()).to_string(index=False, float_format="%.1f"))
            return 0
        if engine.commit().endswith("+"):
            print("files of lib are not committed, and records will say so", file=sys.stderr)
        left = campaign.work(plans, preset, todo, limit, lambda line: print(line, flush=True))
        print(campaign.left_in_words(left, times.known()))
    except KeyboardInterrupt:
        print("stopped; what is published stays, and the same call goes on from here")
        return 130
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _above_zero(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise BadInput(f"{what} is a number above 0, not {text}")
    return number
