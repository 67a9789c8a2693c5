"""Entries of the scoreboard: the door writes them, they are what it found, and what was changed is told."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from evaluate.test_evaluate import CLASSIFIER, COLOUR, LAYOUT, MINUTES, SECONDS, folder_of, pictures
from evaluate.test_references import DATA, MEASURE, publish

from lib import paths
from lib.errors import BadInput
from lib.evaluate import evaluate
from lib.evaluate.entries import Entry, check, entries, home, public, read
from lib.evaluate.numbers import difference, where
from lib.evaluate.standard import Known, known
from lib.runs import outcomes, store

AXES = ("corruption", "invariance")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("entries")


@pytest.fixture(autouse=True)
def one_place(folder, monkeypatch):
    """All tests here share a store and a folder of results, in which nothing is published."""
    monkeypatch.setenv("WITHSTAND_RUNS", str(folder / "runs"))
    monkeypatch.setattr(paths, "RESULTS", folder / "results")
    monkeypatch.setattr("lib.evaluate.encoders._seconds", lambda *_: SECONDS)
    outcomes.forget()
    yield
    outcomes.forget()


@pytest.fixture(scope="module")
def photographs(folder):
    return folder_of(folder / "photos", pictures())


@pytest.fixture
def made(photographs):
    return evaluate([LAYOUT, CLASSIFIER], str(photographs), AXES, MINUTES, progress=False, submit=True)


def test_an_entry_is_what_the_door_found(made):
    first, second = map(read, made.entries)
    assert [first.name, second.name] == made.encoders
    assert [entry.folder for entry in entries()] == sorted(made.entries)
    for entry, own in zip((first, second), made.record["encoders"], strict=True):
        found = made.rows[made.rows["encoder"] == entry.name]
        key = ["reader", "axis", "run", "measure", "shift", "subset", "level", "level_unit", "metric"]
        both = entry.rows.merge(found, on=key, suffixes=("", "_found"), how="left")
        assert len(both) == len(entry.rows) > 100
        np.testing.assert_allclose(both["value"], both["value_found"], atol=1e-6)
        np.testing.assert_allclose(both["standard_error"], both["standard_error_found"], atol=1e-6)
        assert entry.record["encoder"]["weights"] == own["weights"] and not entry.record["encoder"]["random"]
        data = entry.record["data"]
        assert (data["checksum"], data["train"], data["classes"]) == (made.data.checksum, made.plan.sizes.train, 3)
        assert sum(path.stat().st_size for path in entry.folder.iterdir()) < 200_000


def test_entries_are_compared_image_by_image_without_a_store(made, photographs, folder, monkeypatch):
    """What entries say of two encoders is what the door says, from the committed files alone."""
    pick = where(metric="probe accuracy")
    own = [pick(made.rows[made.rows["encoder"] == name]) for name in made.encoders]
    apart = difference(*own)
    monkeypatch.setenv("WITHSTAND_RUNS", str(folder / "elsewhere"))
    outcomes.forget()
    again = difference(*(pick(read(entry).rows) for entry in made.entries))
    assert again.mean == pytest.approx(apart.mean, abs=1e-5)
    assert again.standard_error == pytest.approx(apart.standard_error, abs=1e-5)


def test_who_comes_later_is_asked_the_same(made, photographs, monkeypatch):
    """As many images and the same measures, whatever the budget would have had it."""
    later = evaluate(COLOUR, str(photographs), AXES, 1e-9, progress=False, submit=True)
    assert later.plan.sizes == made.plan.sizes and later.record["budget_minutes"] is None
    assert set(later.record["measures"]) >= {
        measure for measure in read(made.entries[0]).rows["measure"] if not measure.startswith("normalisation")
    }
    only = evaluate(COLOUR, str(photographs), ["read-out"], MINUTES, progress=False)
    assert only.record["budget_minutes"] == MINUTES and not only.entries
    with pytest.raises(BadInput, match="too small"):  # along an axis that nobody was measured along
        evaluate(COLOUR, str(photographs), ["read-out"], 1e-9, progress=False, submit=True)
    new = evaluate(COLOUR, str(photographs), ["calibration", "read-out"], MINUTES, progress=False, submit=True)
    assert new.plan.rungs == {"calibration": later.plan.rungs["corruption"], **only.plan.rungs}


def test_published_runs_are_known_by_what_they_were_measured_by(tmp_path, monkeypatch):
    publish(tmp_path, monkeypatch, train=5_000)
    assert known(DATA) == [Known(5_000, frozenset({MEASURE.partition("#")[0]}))] * 6
    publish(tmp_path, monkeypatch, checksum="d" * 64)
    assert known(DATA) == []


def test_the_same_again_is_the_same_entry(made, photographs):
    before = {path: path.read_bytes() for path in made.entries[0].iterdir() if path.suffix != ".json"}
    again = evaluate(LAYOUT, str(photographs), AXES, MINUTES, progress=False, submit=True)
    assert again.entries == made.entries[:1]
    assert {path: path.read_bytes() for path in before} == before


def forged(made, tmp_path, change) -> Entry:
    """A copy of an entry, changed, whose checksums fit."""
    entry = read(made.entries[1])
    copy = tmp_path / entry.folder.name
    copy.mkdir()
    record, rows = json.loads(json.dumps(entry.record)), entry.rows.copy()
    change(record, rows)
    (copy / "numbers.csv").write_text(store.to_csv(rows))
    return Entry(copy, record | {"sha256": entry.record["sha256"]}, rows)


def put(column, value, **cell):
    def change(record, rows):
        found = np.logical_and.reduce([rows[name] == own for name, own in cell.items()])
        assert found.any()
        rows.loc[found, column] = value

    return change


@pytest.mark.parametrize(("change", "words"), [
    (put("value", 97.3, metric="probe accuracy"), "accuracies are of no whole number of images"),
    (put("standard_error", 30.0, metric="probe accuracy"), "standard error that an accuracy cannot have"),
    (put("value", 101.0, metric="error", shift="fog"), "not between 0 and 100"),
    (put("value", np.inf, metric="whitened similarity"), "not finite"),
    (put("value", 3.0, metric="error", shift="all"), "are not those of its errors"),
    (put("value", 3.0, metric="error", shift="fog"), "are not those of its errors"),
    (put("images", 0, metric="probe accuracy"), "of no images"),
    (put("axis", "beauty", metric="probe accuracy"), "unknown axis"),
    (put("value", 50.0, metric="error", shift="brightness"), "have not the checksums"),
    (lambda record, rows: record.update(name="other"), "its record calls it 'other'"),
    (lambda record, rows: record.update(schema=99), "its schema is 99, and this code reads 1"),
    (lambda record, rows: record.pop("commit"), "it lacks 'commit'"),
    (lambda record, rows: record.update(prize=1), "'prize' is unknown"),
    (lambda record, rows: record["data"].pop("train"), "'data' has not exactly"),
    (lambda record, rows: record.update(device=3), "'device' is no str"),
])  # fmt: skip
def test_what_was_changed_is_told(made, tmp_path, change, words):
    with pytest.raises(BadInput, match=words) as error:
        check(forged(made, tmp_path, change))
    assert "\n" not in str(error.value)


def test_files_of_a_stranger_are_read_and_nothing_else(made, tmp_path):
    check(read(made.entries[0]))
    (tmp_path / "numbers.csv").write_text("reader,axis\n")
    (tmp_path / "entry.json").write_text("[]")
    with pytest.raises(BadInput, match="is no record of an entry"):
        read(tmp_path)
    (tmp_path / "entry.json").write_text("{")
    with pytest.raises(BadInput, match="half-written"):
        read(tmp_path)


@pytest.mark.parametrize(("name", "shown"), [
    ("/home/me/weights.pth@resnet50_224", "weights.pth@resnet50_224"),
    ("onnx:/home/me/a.onnx?size=32", "onnx:a.onnx?size=32"),
    ("hf:org/name", "hf:org/name"),
    ("timm:resnet50.a1_in1k", "timm:resnet50.a1_in1k"),
    ("package.module:function?size=64", "package.module:function?size=64"),
    ("random:resnet10", "random:resnet10"),
    ("../nets/vit", "vit"),
])  # fmt: skip
def test_names_tell_no_folders_of_a_machine(name, shown):
    assert public(name) == shown


COMMITTED = sorted(path.parent for path in (Path(paths.ROOT) / "results" / "scoreboard").glob("*/entry.json"))


@pytest.mark.parametrize("place", COMMITTED, ids=lambda path: path.name)
def test_committed_entries_are_entries(place):
    """What a pull request brings is checked here."""
    check(read(place))
    assert not pd.isna(read(place).rows["value"]).any()


def test_nothing_else_lies_among_the_entries():
    folders = {path.name for path in (Path(paths.ROOT) / "results" / "scoreboard").glob("*") if path.is_dir()}
    assert folders == {path.name for path in COMMITTED} and home().name == "scoreboard"
