"""A published run computed again: what agrees, what is told of a row that does not, and what is left alone."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from toys import OfFeatures

from lib import images, paths
from lib.chapters import verify as command
from lib.errors import BadInput
from lib.measures.rows import CLEAN, SEVERITY, Level, as_rows, number
from lib.methods import METHODS
from lib.runs import PRESETS, Plan, campaign, published, store, times, verify
from lib.runs.published import Published
from lib.runs.systems import RANDOM, SIMCLR


class Toy(OfFeatures):
    def rows(self, subject):
        value = self.value(subject)
        return as_rows(
            [number(shift, "distance", value + len(shift), 20, level, standard_error=0.5)
             for shift, level in ((CLEAN, Level(math.nan, "")), ("fog", Level(3, SEVERITY)))]
        )  # fmt: skip


MEASURES = [Toy("near"), Toy("far")]
SYSTEMS = {"random": RANDOM, "simclr": SIMCLR}
PLANS = {"one": Plan("one", ("random", "simclr"), ("random", "simclr"), lambda preset: MEASURES, systems=SYSTEMS,
                     systems_in_class=tuple(SYSTEMS))}  # fmt: skip


@pytest.fixture(autouse=True)
def world(monkeypatch, tmp_path, tmp_path_factory):
    """A preset of seconds on scenes that are rendered once for all of these tests, and three seeds of two systems."""
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path_factory.getbasetemp() / "verify-scenes"))
    monkeypatch.setattr(images, "SCENES_BLOCK", 64)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 64, "validation": 40, "test": 40})
    tiny = dataclasses.replace(PRESETS["quick"], train_images=64, batch_size=32, seeds=(0, 1), passes=2, views=2)
    monkeypatch.setitem(PRESETS, "quick", tiny)
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    images._whole.cache_clear()
    published.forget()
    yield tmp_path / "results" / "one" / "quick"
    published.forget()
    images._whole.cache_clear()


def publish():
    """Compute and publish all runs of the study; returns their records."""
    assert campaign.work(PLANS, "quick", campaign.jobs(PLANS, "quick"), say=lambda line: None) == []
    return {(own["config"]["method"], own["config"]["seed"]): own for own in published.records()}


def rewrite(home, change_record=lambda record: record, change=lambda rows: rows):
    """Publish the same with other records and rows."""
    records, rows = store.read_published(home)
    for part in store.parts(home):
        for path in sorted(part.rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        part.rmdir()
    store.write_published(home, [change_record(record) for record in records], change(rows))
    published.forget()


def altered(key, by, measure="near(images=20)#1", shift="fog"):
    def change(rows):
        own = (rows["run"] == key) & (rows["measure"] == measure) & (rows["shift"] == shift)
        assert own.sum() == 1
        return rows.assign(value=rows["value"].where(~own, rows["value"] + by))

    return change


def without_processor(record):
    return {name: value for name, value in record.items() if name != "processor"}


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_agrees_to_the_last_digit_and_nothing_else_changes(world, capsys):
    record = publish()["simclr", 1]
    before = files(paths.runs()), files(paths.RESULTS)
    assert command.main(["--run", record["key"][:9]], PLANS) == 0
    told = capsys.readouterr().out
    assert f"run {record['key']} of one/quick: SimCLR, resnet10_narrow, scenes, seed 1" in told
    assert f"all 4 rows of run {record['key']} that were compared agree with what is published, 4 to the digit" in told
    assert [line.split()[:5] for line in told.splitlines() if line.split()[1:3] == ["2", "2"]] == [
        ["far", "2", "2", "2", "of"], ["near", "2", "2", "2", "of"]]  # fmt: skip
    assert (files(paths.runs()), files(paths.RESULTS)) == before


def test_it_trains_anew_and_does_not_read_the_store(world, capsys):
    record = publish()["random", 0]
    for path in paths.runs().glob("*/rows/*.csv"):
        path.write_text("spoiled")
    assert command.main(["--run", record["key"]], PLANS) == 0


def test_a_row_that_was_altered_is_told_by_its_name(world, capsys):
    record = publish()["random", 0]
    rewrite(world, change=altered(record["key"], 0.01))
    assert command.main(["--run", record["key"]], PLANS) == 1  # on the machine itself not a hundredth may differ
    told = capsys.readouterr()
    assert "near, fog, 3 severity, distance: published " in told.out and "far, fog" not in told.out
    assert told.err == f"\n1 of 4 rows of run {record['key']} do not agree with what is published\n"


@pytest.mark.parametrize(("by", "code"), [(0.9, 0), (1.0, 1)])
def test_of_another_processor_a_row_must_lie_within_its_interval(world, capsys, by, code):
    """Of random weights: 1.96 times 0.5."""
    record = publish()["random", 0]
    rewrite(world, without_processor, altered(record["key"], by))
    assert command.main(["--run", record["key"]], PLANS) == code
    assert ("near, fog, 3 severity, distance: published " in capsys.readouterr().out) is bool(code)


def test_a_row_that_is_not_computed_is_told_and_a_shift_that_is_not_there_is_not(world):
    record = publish()["random", 0]
    one = next(own for own in published.runs() if own.record["key"] == record["key"])
    less = one.rows[(one.rows["measure"] != "near(images=20)#1") | (one.rows["shift"] != "fog")]
    assert verify.outside(verify.held(one, record, less)).empty  # images of that shift may be elsewhere
    more = pd.concat([one.rows, one.rows[one.rows["shift"] == "fog"].assign(level=5.0)])
    found = verify.outside(verify.held(dataclasses.replace(one, rows=more), record, one.rows))
    assert list(found["measure"]) == ["far(images=20)#1", "near(images=20)#1"] and set(found["level"]) == {5.0}
    assert verify.in_words(found.iloc[0].to_dict()).endswith(", not computed")


def test_the_interval_of_a_trained_encoder_has_the_spread_of_seeds(monkeypatch):
    """By hand: the seeds of two systems vary by 4 and 8 with a degree of freedom each, pooled 6, and 8 is its own."""
    config = next(config for _, config in campaign.study.runs_of(PLANS["one"], "quick", ["simclr"], [0]))
    cell = ("m()#1", "fog", "", 3.0, SEVERITY)

    def run(value, **changes):
        own = dataclasses.replace(config, **changes)
        lines = [("k", *cell, "distance", value, 0.5, 20), ("k", *cell, "accuracy", 100.0, 0.0, 20)]
        rows = pd.DataFrame(lines, columns=list(store.PUBLISHED_COLUMNS))
        record = {"key": "k", "device": "CPU, 1 threads", "precision": "bf16", "versions": {"torch": "2"}}
        return Published(("one", "quick"), own, record, rows)

    runs = [run(50.0), run(54.0, seed=1), run(20.0, least_crop=0.5), run(20 + math.sqrt(8), seed=1, least_crop=0.5)]
    monkeypatch.setattr(published, "runs", lambda: runs)
    table = verify.held(runs[0], runs[0].record | {"processor": "another"}, runs[0].rows.assign(value=[60.0, 95.0]))
    assert list(table["now"]) == [60.0, 95.0] and not table["equal"].any()
    level = 1 - 0.05 / 2  # two rows
    half = math.hypot(stats.norm.ppf(1 - 0.0125) * 0.5, stats.t.ppf(1 - 0.0125, 2) * math.sqrt(2 * 8.0))
    assert table["high"][0] - 50 == pytest.approx(half) and 50 - table["low"][0] == pytest.approx(half)
    z = stats.norm.ppf((1 + level) / 2)
    assert table["low"][1] == pytest.approx(100 * 20 / (20 + z**2)) and table["high"][1] == 100  # Wilson's, no spread
    assert list(table["within"]) == [True, True]


def test_rows_without_an_interval_are_not_judged():
    cell = ("m()#1", CLEAN, "", np.nan, "", "chance", 1.0, 0.0, 20)
    rows = pd.DataFrame([("k", *cell)], columns=list(store.PUBLISHED_COLUMNS))
    config = next(config for _, config in campaign.study.runs_of(PLANS["one"], "quick", ["random"], [0]))
    record = {"device": "CPU, 1 threads", "precision": "bf16", "versions": {"torch": "2"}}
    one = Published(("one", "quick"), config, record, rows)
    assert list(verify.held(one, record, rows.assign(value=1.1))["within"]) == [None]
    assert list(verify.held(one, record, rows)["within"]) == [True]
    assert verify.summary(verify.held(one, record, rows.assign(value=1.1)))["within"][0] == "0 of 0"


def test_the_choice_is_by_chance_made_again_by_its_seed_and_short_enough(world):
    publish()
    found = verify.candidates(PLANS, times.known())
    assert len(found) == 4 and all(one.seconds < 60 for one in found)
    keys = [verify.chosen(found, seed, 20).key for seed in range(30)]
    assert set(keys) == {one.key for one in found}
    assert keys == [verify.chosen(found, seed, 20).key for seed in range(30)]
    long = [dataclasses.replace(one, seconds=60.0 * place) for place, one in enumerate(found, 1)]
    assert {verify.chosen(long, seed, 2).key for seed in range(30)} == {one.key for one in found[:2]}
    with pytest.raises(BadInput, match="of 4 published runs .* none takes 0.5 minutes or less; .* about 1$"):
        verify.chosen(long, 0, 0.5)


def test_the_command_prints_its_seed_and_takes_it(world, capsys):
    publish()
    assert command.main([], PLANS) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()
    seed = first.split()[1].rstrip(",")
    assert first == f"seed {seed}, of 4 published runs that this machine can compute again"
    assert command.main(["--seed", seed], PLANS) == 0
    assert capsys.readouterr().out.splitlines()[1].split(";")[0] == second.split(";")[0]


def test_what_cannot_be_computed_as_it_was_is_refused_with_a_reason(world, capsys, monkeypatch):
    record = publish()["random", 0]
    for words, reason in (
        (["--run", "zz"], "no published run has a key that begins with 'zz'"),
        (["--run", ""], ""),  # as none
        (["--minutes", "0"], "minutes are a number above 0, not 0"),
        (["--seed", "x"], "the seed is a whole number, not x"),
    ):
        assert command.main(words, PLANS) == (2 if reason else 0)
        assert reason in capsys.readouterr().err
    monkeypatch.setitem(METHODS, "random", dataclasses.replace(METHODS["random"], protocol=99))
    assert command.main(["--run", record["key"]], PLANS) == 2
    words = f"trained by an older protocol: compute it with its own commit, {record['commit']}"
    assert words in capsys.readouterr().err
    assert len(verify.candidates(PLANS, times.known())) == 2


def test_other_images_are_refused(world, capsys):
    record = publish()["random", 0]
    rewrite(world, lambda own: json.loads(json.dumps(own)) | {"data": own["data"] | {"checksum": "0" * 64}})
    assert command.main(["--run", record["key"]], PLANS) == 2
    assert "was trained on other images than those of scenes on this machine" in capsys.readouterr().err


def test_measures_beyond_the_minutes_are_left_out_and_named(world, capsys, monkeypatch):
    record = publish()["random", 0]
    now = iter(range(0, 100_000, 50))
    monkeypatch.setattr(verify.time, "monotonic", lambda: float(next(now)))
    (one,) = [one for one in verify.candidates(PLANS, times.known()) if one.key == record["key"]]
    monkeypatch.setattr(verify.engine, "compute", lambda *_, **__: ([record], one.published[0].rows.head(2)))
    _, rows, left_out = verify.again(one, 1.0, lambda line: None)
    assert left_out == ["far"] and len(rows) == 2


def test_a_run_that_takes_longer_is_one_true_sentence(world, capsys, monkeypatch):
    """Another call does not go on from there, as one of a study would: the store is gone."""
    record = publish()["random", 0]

    def late(*_, **__):
        raise BadInput("the time limit is reached; the same call goes on from here")

    monkeypatch.setattr(verify.engine, "compute", late)
    assert command.main(["--run", record["key"], "--minutes", "1e-9"], PLANS) == 2
    words = f"1e-09 minutes were over before run {record['key']} was trained and measured once; --minutes allows more"
    assert words in capsys.readouterr().err
    assert command.main(["--run", record["key"]], PLANS) == 2  # another refusal stands as it is
    assert "the time limit is reached" in capsys.readouterr().err


def test_a_record_names_its_processor(world):
    record = publish()["random", 0]
    assert record["processor"] == verify.engine.processor() and ", " in record["processor"]
