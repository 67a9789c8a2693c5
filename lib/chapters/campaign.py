"""Compute and publish what is missing in all studies, the most valuable runs first.

    python -m lib.chapters campaign --plan                        # what is missing, in which order, how long it takes
    python -m lib.chapters campaign --time-limit 3600             # an hour of it; call again to go on
    python -m lib.chapters campaign --studies '["methods"]' --preset full --threads 8
    python -m lib.chapters campaign --engine processes    # a run on each GPU, or each core, of this machine
    python -m lib.chapters campaign --engine ray          # on a cluster of Ray
    python -m lib.chapters campaign --runs 1              # the next one alone, as a job of an array does

Each run is published as it ends, in files of its own: `git add results` and a merge bring machines together, and
`python -m lib.runs fold` sorts such files into the others. `lib.runs.campaign` says what comes first. SIGTERM and
SIGUSR1 have what is under way saved; then the command ends with the code 75, which means "call again".
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence

import torch

from lib import engines, stopping
from lib.chapters import PLANS
from lib.chapters.asked import uses
from lib.engines import ENGINES
from lib.errors import BadInput, one_of
from lib.runs import campaign, engine, ledger, times
from lib.runs.presets import PRESETS
from lib.runs.study import as_list


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lib.chapters campaign", description=__doc__.splitlines()[0])
    parser.add_argument("--preset", default="small", help=", ".join(PRESETS))
    parser.add_argument("--studies", help="a list such as '[\"methods\"]'; all by default")
    parser.add_argument("--time-limit", metavar="SECONDS", help="stop cleanly after so long")
    parser.add_argument("--threads", default="1", help="1 by default, as beside other work")
    parser.add_argument("--engine", help=f"{', '.join(ENGINES)}; see lib.engines")
    parser.add_argument("--workers", help='of "processes"; one for each GPU, or each core, by default')
    parser.add_argument("--runs", help="stop after so many")
    parser.add_argument("--plan", action="store_true", help="print what is missing, and compute nothing")
    return parser


def main(words: Sequence[str]) -> int:
    arguments = parser().parse_args(words)
    try:
        with stopping.stoppable():
            return _work(arguments)
    except KeyboardInterrupt:
        print("stopped; what is published stays, and the same call goes on from here")
        return 130
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


def _work(arguments: argparse.Namespace) -> int:
    preset = one_of(arguments.preset, PRESETS, "preset")
    names = as_list(arguments.studies, "studies", tuple(PLANS)) if arguments.studies else list(PLANS)
    plans = {name: PLANS[one_of(name, PLANS, "study")] for name in names}
    limit = _above_zero(arguments.time_limit, "the time limit, in seconds") if arguments.time_limit else None
    most = _whole(arguments.runs, "the number of runs") if arguments.runs else math.inf
    workers = _whole(arguments.workers, "the number of workers") if arguments.workers else None
    torch.set_num_threads(_whole(arguments.threads, "the number of threads"))
    engine_name = engines.named(arguments.engine)
    todo = campaign.jobs(plans, preset, uses())
    print(campaign.left_in_words(todo, times.known()), flush=True)
    if arguments.plan:
        print(campaign.table(todo, times.known()).to_string(index=False, float_format="%.1f"))
        return 0
    if engine.commit().endswith("+"):
        print("files of lib are not committed, and records will say so", file=sys.stderr)
    for job in todo:
        ledger.ask(job.config, job.measures)
    with engines.opened(engine_name, workers) as executor:
        left = campaign.work(plans, preset, todo, limit, lambda line: print(line, flush=True), executor, most)
    print(campaign.left_in_words(left, times.known()))
    return stopping.AGAIN if stopping.asked() else 0


def _whole(text: str, what: str) -> int:
    number = _above_zero(text, what)
    if number != int(number):
        raise BadInput(f"{what} is a whole number, not {text}")
    return int(number)


def _above_zero(text: str, what: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise BadInput(f"{what} is a number above 0, not {text}")
    return number
