"""Runs that machines add side by side: a merge of two, what is read before and after a fold, and a kill at any time."""

import os
import signal
import subprocess

import numpy as np
import pandas as pd
import pytest

from lib import paths
from lib.errors import BadInput
from lib.measures.outcomes import collected, keep
from lib.measures.rows import cell_of
from lib.runs import outcomes, parts, published, store
from lib.runs.config import RunConfig

KEYS = [digit * 16 for digit in "0123456789ab"]
CONFIG = RunConfig("scenes", "dino")
IDENTITIES = ("accuracy()#1.1", "corruption_error(images=50)#1")


def run(key, value=50.0, identities=IDENTITIES, **more):
    """The record of a run and two rows a measure."""
    lines = [
        (key, identity, shift, "", np.nan, "", "error", value + number, 0.5, 100)
        for identity in identities
        for number, shift in enumerate(("none", "fog"))
    ]
    record = {"key": key, "seed": 0, "finished": "2026-01-01", "config": CONFIG.to_dict()}
    record |= {"protocols": CONFIG.protocols()} | more
    return record, pd.DataFrame(lines, columns=list(store.PUBLISHED_COLUMNS))


def together(*runs):
    records, tables = zip(*runs, strict=True)
    return list(records), pd.concat(tables, ignore_index=True)


def texts(home):
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*") if path.is_file()}


def same(one, other):
    assert one[0] == other[0]
    pd.testing.assert_frame_equal(one[1], other[1])


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A study of three sorted runs."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    published.forget()
    home = tmp_path / "results" / "s" / "small"
    store.write_published(home, *together(run(KEYS[2]), run(KEYS[5]), run(KEYS[8])))
    yield home
    published.forget()


def git(folder, *words, fails=False):
    who = {f"GIT_{role}_{what}": "a@b.c" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, env=os.environ | who | settings)
    assert fails == bool(done.returncode), done.stderr + done.stdout


def merged(home, one, other, tmp_path, fails=False):
    """Two clones of a repository of `home`, changed by `one` and by `other`, as one; returns the first's `home`."""
    git(home, "init", "-q", "-b", "main", ".")
    git(home, "add", ".")
    git(home, "commit", "-q", "-m", "First.")
    clones = [tmp_path / "one", tmp_path / "other"]
    for clone, change in zip(clones, (one, other), strict=True):
        git(tmp_path, "clone", "-q", str(home), str(clone))
        (clone / ".git" / "info" / "exclude").write_text(
            "*.lease/\n"
        )  # as the project's own list of ignored files does
        change(clone)
        git(clone, "add", ".")
        git(clone, "commit", "-q", "-m", "A run.")
    git(clones[0], "pull", "-q", "--no-rebase", "--no-edit", str(clones[1]), "main", fails=fails)
    return clones[0]


def test_two_machines_additions_merge(home, tmp_path):
    """Neighbours in the sorted order, of which sorted files would make one changed place."""
    first, second = run(KEYS[3], 10.0), run(KEYS[4], 20.0)
    found = merged(home, lambda clone: parts.add(clone, *first), lambda clone: parts.add(clone, *second), tmp_path)
    expected = together(run(KEYS[2]), first, second, run(KEYS[5]), run(KEYS[8]))
    same(store.read_published(found), expected)
    assert parts.fold(found) == 2 and not (found / "parts").exists()
    same(store.read_published(found), expected)
    store.write_published(tmp_path / "at once", *expected)
    folded = {name: text for name, text in texts(found).items() if not name.startswith((".git/", "parts.lease/"))}
    assert folded == texts(tmp_path / "at once")


def test_a_run_that_is_trained_anew_takes_the_place_of_one_of_an_older_protocol(home):
    """Its key is another one; what has no successor stays, however old it is."""
    older = {"protocols": {"method": 0}}
    alone = RunConfig("scenes", "dino", seed=1).to_dict()
    store.write_published(home, *together(run(KEYS[2], **older), run(KEYS[5], config=alone, **older)))
    parts.add(home, *run(KEYS[3], 10.0))
    assert len(store.read_published(home)[0]) == 3 and parts.fold(home) == 1
    same(store.read_published(home), together(run(KEYS[3], 10.0), run(KEYS[5], config=alone, **older)))


def test_sorted_files_of_two_machines_do_not_merge(home, tmp_path):
    """Which is why there are parts."""

    def more(key):
        return lambda clone: store.write_published(clone, *together(run(KEYS[2]), run(key), run(KEYS[5]), run(KEYS[8])))

    merged(home, more(KEYS[3]), more(KEYS[4]), tmp_path, fails=True)


def test_one_run_of_two_machines_merges_and_the_later_counts(home, tmp_path):
    old, new = run(KEYS[3], 10.0), run(KEYS[3], 20.0, finished="2026-01-02")
    found = merged(home, lambda clone: parts.add(clone, *new), lambda clone: parts.add(clone, *old), tmp_path)
    expected = together(run(KEYS[2]), new, run(KEYS[5]), run(KEYS[8]))
    assert len(store.parts(found)) == 2
    same(store.read_published(found), expected)
    assert parts.fold(found) == 2
    same(store.read_published(found), expected)


def test_a_fold_here_and_a_part_there_merge(home, tmp_path):
    parts.add(home, *run(KEYS[6]))
    found = merged(home, parts.fold, lambda clone: parts.add(clone, *run(KEYS[7])), tmp_path)
    assert [record["key"] for record in store.read_published(found)[0]] == [KEYS[n] for n in (2, 5, 6, 7, 8)]
    assert len(store.parts(found)) == 1


def test_a_part_takes_the_place_of_the_run_wherever_it_was(home):
    first = parts.add(home, *run(KEYS[5], 1.0, IDENTITIES[:1]))
    same(store.read_published(home), together(run(KEYS[2]), run(KEYS[5], 1.0, IDENTITIES[:1]), run(KEYS[8])))
    before = texts(first)
    assert parts.add(home, *run(KEYS[5], 1.0, IDENTITIES[:1])) == first and texts(first) == before
    second = parts.add(home, *run(KEYS[5], 2.0))
    assert store.parts(home) == [second] and not first.exists()
    assert set(store.read_published(home)[1].query(f"run == '{KEYS[5]}'")["value"]) == {2.0, 3.0}


def test_of_two_that_finished_together_the_one_with_more_measures_counts(home):
    for name, own in (("a", run(KEYS[5], 1.0)), ("b", run(KEYS[5], 2.0, IDENTITIES[:1]))):
        store.write_published(home / "parts" / f"{KEYS[5]}-{name}", *together(own))
    same(store.read_published(home), together(run(KEYS[2]), run(KEYS[5], 1.0), run(KEYS[8])))


def test_a_study_of_parts_alone_is_published(home):
    other = home.parent / "full"
    assert not store.is_published(other)
    parts.add(other, *run(KEYS[1]))
    assert store.is_published(other)
    same(store.read_published(other), together(run(KEYS[1])))


def test_outcomes_of_single_images_come_with_a_part_and_stay_when_it_is_folded(home):
    right = np.arange(100) % 4 == 0
    cell = cell_of("none", "", np.nan, "", "error")
    with collected() as own:
        keep(cell, right)
    outcomes.save(KEYS[1], IDENTITIES[0], own)
    parts.add(home, *run(KEYS[1], 25.0))
    (paths.runs() / KEYS[1] / "rows").rename(paths.runs() / "away")
    for step in (published.forget, lambda: parts.fold(home)):
        step()
        found = outcomes.of_row(KEYS[1], IDENTITIES[0], cell, 25.0)
        assert found is not None and (found.values == right).all()


def test_refusals(home):
    record, rows = run(KEYS[1])
    for table, words in ((rows.iloc[:0], "none"), (rows.assign(run=KEYS[2]), KEYS[2])):
        with pytest.raises(BadInput, match=f"a part has rows of its run {KEYS[1]}, not of: {words}"):
            parts.add(home, record, table)
    part = parts.add(home, record, rows)
    (part / "runs.jsonl").write_text((part / "runs.jsonl").read_text() * 2)
    with pytest.raises(BadInput, match="describes 2 runs, and a part is of one: delete its folder"):
        store.read_published(home)


def killed_before(step, change):
    """Whether a process of its own, killed before it puts the `step`-th file in its place or takes it away, ended."""
    left = [step]

    def counted(true):
        def call(*arguments, **named):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return true(*arguments, **named)

        return call

    if not (child := os.fork()):
        os.replace, os.unlink = counted(os.replace), counted(os.unlink)
        change()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def test_a_kill_at_any_step_loses_nothing(home):
    """Before each file in turn, until nothing is left to be killed; each time the next process goes on from there."""
    old, new = (run(KEYS[5], value, IDENTITIES[:1], finished=f"2026-01-0{value:g}") for value in (1.0, 2.0))
    before, after = (together(run(KEYS[2]), own, run(KEYS[8])) for own in (old, new))
    parts.add(home, *old)
    for change, seen in (
        (lambda: parts.add(home, *new), [before, after]),
        (lambda: parts.fold(home), [after]),
    ):
        states = []
        for step in range(40):
            going_on = killed_before(step, change)
            published.forget()
            found = store.read_published(home)
            states += [number for number, one in enumerate(seen) if one[0] == found[0]]
            same(found, seen[states[-1]])
            if not going_on:
                break
        assert 3 < step < 39 and states == sorted(states) and len(states) == step + 1
        assert states[-1] == len(seen) - 1
    assert not store.parts(home) and not (home / "parts").exists()


@pytest.mark.parametrize("there", [(), (KEYS[2], KEYS[8])], ids=["into nothing", "beside others"])
def test_a_fold_of_new_runs_that_is_killed_leaves_all_of_them_published(tmp_path, monkeypatch, there):
    """Where the sorted files have none of them, before each file in turn; and the files at the end are those of a fold
    that nobody killed."""
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    home, whole = (tmp_path / "results" / name / "small" for name in ("killed", "undisturbed"))
    added = [run(KEYS[1]), run(KEYS[5], 3.0, IDENTITIES[:1])]
    expected = together(*sorted((*added, *map(run, there)), key=lambda one: one[0]["key"]))
    for place in (home, whole):
        if there:
            store.write_published(place, *together(*map(run, there)))
        for own in added:
            parts.add(place, *own)
    parts.fold(whole)
    for step in range(60):
        going_on = killed_before(step, lambda: parts.fold(home))
        published.forget()
        same(store.read_published(home), expected)
        if not going_on:
            break
    assert 8 < step < 59
    ends = [
        {name: text for name, text in texts(place).items() if not name.endswith(".partial") and "lease" not in name}
        for place in (home, whole)
    ]
    assert ends[0] == ends[1]


def test_what_was_staged_gives_way_to_files_that_came_since(home):
    """By a merge, say, after a fold that was killed before it changed any of them."""
    parts.add(home, *run(KEYS[5], 3.0))
    for step in range(20):
        assert killed_before(step, lambda: parts.fold(home))
        if (home / store.NEXT / store.RECORDS).exists():
            break
    published.forget()
    text = (home / store.RECORDS).read_text()
    (home / store.RECORDS).write_text(text.replace('"seed": 0', '"seed": 1'))
    published.forget()
    assert {record["seed"] for record in store.read_published(home)[0] if record["key"] != KEYS[5]} == {1}
    parts.fold(home)
    assert {record["seed"] for record in store.read_published(home)[0] if record["key"] != KEYS[5]} == {1}
    assert not (home / store.NEXT).exists() and not store.parts(home)
