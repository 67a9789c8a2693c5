"""Compute a study's runs, and publish their rows.

python -m lib.chapters severity_degradation --preset small --publish
python -m lib.chapters severity_degradation --preset full --time-limit 600   # stop after ten minutes
python -m lib.chapters campaign --time-limit 3600     # what is missing in all studies, see lib.chapters.campaign
python -m lib.chapters handed_out                     # encoders with their weights, see lib.chapters.handed_out
python -m lib.chapters power                          # what would decide each claim, see lib.chapters.power
python -m lib.chapters verify                         # a published run once more, row by row, see lib.chapters.verify
torchrun --nproc-per-node 8 -m lib.chapters methods --preset imagenet100 --methods '["simclr"]'   # eight GPUs
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from lib import on_torchrun, stopping
from lib.chapters import PLANS
from lib.engines import ENGINES
from lib.errors import BadInput, one_of
from lib.runs.presets import PRESETS
from lib.runs.study import Study, publish

COMMANDS = ("campaign", "handed_out", "power", "verify")  # of all chapters, each a file


def main() -> int:
    try:
        return on_torchrun.led(_main)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


def _main() -> int:
    if sys.argv[1:2] and sys.argv[1] in COMMANDS:
        return import_module(f"lib.chapters.{sys.argv[1]}").main(sys.argv[2:])
    parser = argparse.ArgumentParser(prog="python -m lib.chapters", description=__doc__.splitlines()[0])
    parser.add_argument("study", help=f"a notebook's name, or a command of all: {', '.join(COMMANDS)}")
    parser.add_argument("--preset", required=True, help=", ".join(PRESETS))
    parser.add_argument("--dataset", help="another data set than the preset's own")
    parser.add_argument("--methods", help='a list such as \'["simclr", "byol"]\'')
    parser.add_argument("--systems", help='in a study of systems, a list such as \'["cf-amc-ssl", "simclr pgd"]\'')
    parser.add_argument("--seeds", help="a list such as '[0, 1, 2]'")
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop cleanly after so long")
    parser.add_argument("--engine", help=f"{', '.join(ENGINES)}; see lib.engines")
    told = "write the rows to results/; where only some are asked for, the others stay there"
    parser.add_argument("--publish", action="store_true", help=told)
    arguments = parser.parse_args()
    chosen = {name: getattr(arguments, name) for name in ("methods", "systems", "seeds") if getattr(arguments, name)}
    try:
        plan = PLANS[one_of(arguments.study, PLANS, "study")]
        study = Study(plan, arguments.preset, arguments.dataset, recompute=True, engine=arguments.engine, **chosen)
        with stopping.stoppable():
            results = study.results(arguments.time_limit)
        if arguments.publish:
            publish(plan, results, beside=bool(chosen or arguments.dataset))  # a part leaves the rest where it is
    except BadInput as error:
        print(error, file=sys.stderr)
        return stopping.AGAIN if isinstance(error, stopping.Stopped) else 2
    print(results.provenance()[["method", "seed", "seconds", "images per second", "run"]].to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
