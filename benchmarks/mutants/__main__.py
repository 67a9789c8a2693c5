"""How many of the planted faults of `benchmarks.mutants.faults` the tests notice.

    python -m benchmarks.mutants                        # all of them, less than an hour of a core; a later call goes on
    python -m benchmarks.mutants --only methods         # those whose file or words hold a text
    python -m benchmarks.mutants --time-limit 600       # stop after so many seconds
    python -m benchmarks.mutants --check                # only whether every fault still has its place in the code

The tree is copied to a temporary folder, where each fault is planted, the tests that ought to notice it are run, and
the file is restored. A fault is caught if a test fails; it survives if all pass. What breaks so that no test can be run
(a name that is missing, an import that fails) counts as neither: such a fault says nothing about the tests. Verdicts
are kept, and are made anew when the fault, its file or its tests change. The same tests are run without a fault, too,
or a failure would not be the fault's.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.mutants.faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[2]
CAUGHT, SURVIVED, BROKEN, MOVED, HUNG = "caught", "survived", "broken", "moved", "hung"
GOAL = 0.95
LONGEST = 900  # seconds for the tests of one fault
LIBRARIES = ("torch", "torchvision", "lightly.models.modules.heads", "pandas", "scipy.stats", "sklearn", "matplotlib")


def planted(text: str, fault: Fault) -> str:
    """`text` with the fault in it; ValueError where its place is not there exactly once."""
    found = text.count(fault.old)
    if found != 1:
        raise ValueError(f"{fault.file} holds the text of the fault {fault.what!r} {found} times, not once: mend it")
    return text.replace(fault.old, fault.new)


def moved(faults: Sequence[Fault], root: Path = ROOT) -> list[str]:
    """A sentence for each fault whose place or whose tests are gone."""
    told = []
    for fault in faults:
        try:
            planted((root / fault.file).read_text(), fault)
        except (ValueError, OSError) as error:
            told.append(str(error))
        for test in fault.tests:
            path, *name = test.split("::")
            if not (root / path).is_file() or (name and f"def {name[0]}(" not in (root / path).read_text()):
                told.append(f"{test}, which is to notice the fault {fault.what!r}, is not there: mend it")
    return told


def run_tests(tree: Path, tests: Sequence[str], seconds: float = LONGEST) -> str:
    """SURVIVED if all `tests` pass in `tree`, CAUGHT if one fails, else BROKEN or HUNG.

    In a process that is forked from this one, which has imported the large libraries and nothing of the project: to
    start and to import them anew would take longer than most tests.
    """
    for library in LIBRARIES:
        importlib.import_module(library)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os._exit(_pytest(tree, tests))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return {0: SURVIVED, 1: CAUGHT}.get(os.waitstatus_to_exitcode(status), BROKEN)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return HUNG


def _pytest(tree: Path, tests: Sequence[str]) -> int:
    silent = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(silent, stream)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    sys.dont_write_bytecode = True  # a file with its fault may be as old and as long as without it
    sys.path[:] = [str(tree), *(place for place in sys.path if place not in ("", str(ROOT)))]
    for name in [name for name in sys.modules if name.split(".")[0] in ("benchmarks", "lib", "tests")]:
        del sys.modules[name]
    return int(pytest.main(["-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]))


def judge(tree: Path, fault: Fault) -> str:
    """The verdict on one fault, in a copy of the tree that is left as it was."""
    path = tree / fault.file
    whole = path.read_text()
    path.write_text(planted(whole, fault))
    try:
        return run_tests(tree, fault.tests)
    finally:
        path.write_text(whole)


def copied(home: Path) -> Path:
    """What git lists of the project, without builds and runs, in `home`."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, home / name)
    return home


def key(fault: Fault, root: Path = ROOT) -> str:
    """Changes with the fault, with its file and with its tests."""
    digest = hashlib.sha256(repr(fault).encode())
    for name in (fault.file, *sorted({test.split("::")[0] for test in fault.tests})):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()[:16]


def read_log(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines() if path.is_file() else []
    return {line["key"]: line["verdict"] for line in map(json.loads, lines)}


def note(path: Path, **line: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")


def table(faults: Sequence[Fault], verdicts: dict[str, str]) -> str:
    lines = [f"{verdicts.get(key(fault), 'to do'):9} {fault.file}: {fault.what}" for fault in faults]
    judged = [verdicts[key(fault)] for fault in faults if key(fault) in verdicts]
    caught = judged.count(CAUGHT)
    share = f"{100 * caught / len(judged):.1f} %" if judged else "none judged"
    return "\n".join([*lines, f"{caught} of {len(judged)} faults are caught, {share}; {len(faults)} are listed"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.mutants", description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="faults whose file or words hold this text")
    parser.add_argument("--time-limit", type=float, default=float("inf"), help="seconds after which to stop")
    parser.add_argument("--check", action="store_true", help="only whether every fault has its place")
    parser.add_argument("--log", type=Path, default=ROOT / "_build" / "mutants.jsonl", help="where verdicts are kept")
    given = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if given.only in f"{fault.file}: {fault.what}"]
    if gone := moved(faults):
        print("\n".join(gone))
        return 1
    if given.check:
        return 0
    end, verdicts = time.monotonic() + given.time_limit, read_log(given.log)
    sound: dict[tuple[str, ...], str] = {}  # what the tests say of the code as it is
    left = [fault for fault in faults if key(fault) not in verdicts]
    with tempfile.TemporaryDirectory() as home:
        tree = copied(Path(home))
        for fault in left:
            if time.monotonic() > end:
                break
            start = time.monotonic()
            identity, verdict = key(fault, tree), judge(tree, fault)
            if fault.tests not in sound:
                sound[fault.tests] = run_tests(tree, fault.tests)
            if sound[fault.tests] != SURVIVED:
                print(f"the tests of the fault {fault.what!r} fail without it: mend them first")
                return 1
            verdicts[identity] = verdict
            seconds = round(time.monotonic() - start)
            note(given.log, key=identity, verdict=verdict, file=fault.file, what=fault.what, seconds=seconds)
            print(f"{verdict:9} {seconds:4} s  {fault.file}: {fault.what}", flush=True)
    print(table(faults, verdicts))
    judged = [verdicts.get(key(fault)) for fault in faults]
    return 0 if judged.count(CAUGHT) >= GOAL * len(judged) else 1


if __name__ == "__main__":
    sys.exit(main())
