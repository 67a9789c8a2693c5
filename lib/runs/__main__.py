"""python -m lib.runs status     # how far all runs are, whoever computes them; reads the store alone
python -m lib.runs fold       # moves runs that were added beside published ones into the sorted files of a study

Other words are those of `python -m lib.chapters`, which has what to compute: `python -m lib.runs campaign ...` is
`python -m lib.chapters campaign ...`, and `python -m lib.runs verify` computes a published run once more.
"""

from __future__ import annotations

import runpy
import sys

from lib import paths
from lib.errors import BadInput
from lib.runs import parts, status, times


def main() -> int:
    commands = {"fold": _fold, "status": _status}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        sys.argv[0] = "python -m lib.chapters"
        runpy.run_module("lib.chapters", run_name="__main__")  # as a shell would: no room leans on one above it
        return 0
    try:
        commands[sys.argv[1]]()
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _fold() -> None:
    for home in sorted(path for path in paths.RESULTS.glob("*/*") if path.is_dir()):
        if count := parts.fold(home):
            print(f"{home.parent.name}/{home.name}: folded {count} part{'s' * (count > 1)}")


def _status() -> None:
    status.refresh()
    found = status.standings(times.known())
    print(status.in_words(found))
    lines = status.table(found)
    if len(lines):
        print(lines.to_string(index=False, justify="left", max_colwidth=None))


if __name__ == "__main__":
    sys.exit(main())
