"""Published files: short on the disk, whole in the memory."""

import copy
import json
import random

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save
from torch import nn

from lib import files, paths
from lib.errors import BadInput
from lib.measures.rows import as_rows, number
from lib.runs import store
from lib.runs.convert import convert

COMMITTED = sorted(path.parent for path in (*paths.RESULTS.glob("*/*/rows"), *paths.RESULTS.glob("*/*/parts/*/rows")))
HEADER = "run,shift,subset,level,level_unit,metric,value,standard_error,images\n"
ROWS = {
    "accuracy.csv": HEADER + """a10000,none,,,,knn accuracy,36.500000,0.250000,100
b20000,none,,,,knn accuracy,40.000000,0.250000,100
""",
    "corruption_error.csv": HEADER + """a10000,fog,,1,severity,error,70.000000,0.500000,50
a10000,fog,,2.5,severity,error,75.125000,0.500000,50
""",
}  # fmt: skip
A1, B2 = "a100000000000000", "b200000000000000"
RECORDS = f"""{{"key": "{A1}", "measures": ["accuracy()#1.1", "corruption_error(images=50)#1.1.2"], "seed": 0}}
{{"key": "{B2}", "measures": ["accuracy()#1.2"], "seed": 1}}
"""
OLD_ROWS = f"""run,measure,shift,severity,metric,value,standard_error,images
{A1},accuracy,none,0,knn accuracy,36.500000,0.250000,100
{A1},corruption_error,fog,1,error,70.000000,0.500000,50
{A1},corruption_error,fog,2.5,error,75.125000,0.500000,50
{B2},accuracy,none,0,knn accuracy,40.000000,0.250000,100
"""
IDENTITIES = [
    "accuracy()#1.1", "corruption_error(images=50)#1.1.2", "corruption_error(images=50)#1.1.2", "accuracy()#1.2"
]  # fmt: skip


@pytest.fixture
def home(tmp_path):
    """A small study, written by hand."""
    (tmp_path / "rows").mkdir()
    for name, text in ROWS.items():
        (tmp_path / "rows" / name).write_text(text)
    (tmp_path / "runs.jsonl").write_text(RECORDS)
    return tmp_path


def texts(home):
    """What the files of rows hold."""
    return {path.name: path.read_text() for path in (home / "rows").iterdir()}


def table(lines):
    """Rows of (run, identity) pairs, the values counted up."""
    cell = ("fog", "", 1.0, "severity", "error")
    rows = [(run, identity, *cell, float(number), 0.5, 10) for number, (run, identity) in enumerate(lines)]
    return pd.DataFrame(rows, columns=list(store.PUBLISHED_COLUMNS))


def test_files_written_by_hand(home, tmp_path):
    records, rows = store.read_published(home)
    assert records == [{"key": A1, "seed": 0}, {"key": B2, "seed": 1}]
    assert list(rows.columns) == list(store.PUBLISHED_COLUMNS) and list(rows["measure"]) == IDENTITIES
    assert list(rows["run"]) == [A1, A1, A1, B2]
    assert list(rows["value"]) == [36.5, 70, 75.125, 40] and list(rows["level"].fillna(0)) == [0, 1, 2.5, 0]
    assert list(rows["level_unit"]) == ["", "severity", "severity", ""] and (rows["subset"] == "").all()
    store.write_published(tmp_path / "again", records[::-1], rows)
    assert texts(tmp_path / "again") == ROWS
    assert (tmp_path / "again" / "runs.jsonl").read_text() == RECORDS


names = st.from_regex(r"[a-z]\w*", fullmatch=True)
parameters = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
# Of each run, one identity a name: how it goes on after the name differs from run to run.
published = st.dictionaries(
    st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    st.dictionaries(names, st.builds("({})#{}".format, parameters, st.integers(0, 99)), min_size=1, max_size=4),
    min_size=1,
    max_size=4,
)


@settings(max_examples=50, deadline=None)
@given(published, st.integers(1, 3), st.randoms())
def test_what_is_written_is_read(tmp_path_factory, published, repeats, random):
    identities = {run: {name + rest for name, rest in measures.items()} for run, measures in published.items()}
    lines = [(run, identity) for run in identities for identity in identities[run]] * repeats
    random.shuffle(lines)
    records, rows = [{"key": run, "seed": seed} for seed, run in enumerate(published)], table(lines)
    given_records, given_rows = copy.deepcopy(records), rows.copy()
    home = tmp_path_factory.mktemp("published")
    store.write_published(home, records, rows)
    assert records == given_records
    pd.testing.assert_frame_equal(rows, given_rows)

    found_records, found = store.read_published(home)
    assert found_records == sorted(records, key=lambda record: record["key"])
    names = rows["measure"].str.split("(").str[0]
    expected = rows.assign(name=names).sort_values(["run", "name"], kind="stable", ignore_index=True)
    expected = expected.drop(columns="name")
    pd.testing.assert_frame_equal(found, expected)
    assert {f"{name}.csv" for names in published.values() for name in names} == set(texts(home))
    for record in map(json.loads, (home / "runs.jsonl").read_text().splitlines()):
        assert record["measures"] == sorted(identities[record["key"]])


def test_a_record_lists_what_is_published_of_its_run_alone(home):
    records, rows = store.read_published(home)
    store.write_published(home, records, rows[rows["measure"] != "corruption_error(images=50)#1.1.2"])
    lines = [json.loads(line) for line in (home / "runs.jsonl").read_text().splitlines()]
    assert [line["measures"] for line in lines] == [["accuracy()#1.1"], ["accuracy()#1.2"]]
    assert list(texts(home)) == ["accuracy.csv"]
    store.write_published(home, records, rows[rows["run"] == A1])
    assert '"measures": []' in (home / "runs.jsonl").read_text().splitlines()[1]


@pytest.mark.parametrize("other", ["accuracy()#1.2", "accuracy(images=5)#1.1"])
def test_two_identities_of_one_measure_in_a_run_are_refused(home, other):
    with pytest.raises(BadInput) as error:
        store.write_published(home, [{"key": "a1"}], table([("a1", other), ("a1", "accuracy()#1.1")]))
    first, second = sorted([other, "accuracy()#1.1"])
    assert str(error.value) == (
        f"{home / 'runs.jsonl'} holds one identity a measure and run; run a1 has both {first} and {second}"
    )
    assert texts(home) == ROWS and (home / "runs.jsonl").read_text() == RECORDS
    (home / "runs.jsonl").write_text(RECORDS.replace('["accuracy()#1.1"', f'["accuracy()#1.1", "{other}"'))
    with pytest.raises(BadInput, match="runs.jsonl holds one identity a measure and run; run a1.* has both"):
        store.read_published(home)


@pytest.mark.parametrize(("records", "run", "name", "listed"), [
    (RECORDS.replace(', "corruption_error(images=50)#1.1.2"', ""), "a10000", "corruption_error", "accuracy()#1.1"),
    (RECORDS.replace('"accuracy()#1.2"', '"knn()#1", "probe()#2"'), "b20000", "accuracy", "knn()#1, probe()#2"),
    (RECORDS.replace('["accuracy()#1.2"]', "[]"), "b20000", "accuracy", "no measure"),
    (RECORDS.replace('"measures": ["accuracy()#1.2"], ', ""), "b20000", "accuracy", "no measure"),
])  # fmt: skip
def test_a_measure_that_the_record_does_not_list_is_refused(home, records, run, name, listed):
    (home / "runs.jsonl").write_text(records)
    with pytest.raises(BadInput) as error:
        store.read_published(home)
    path = home / "rows" / f"{name}.csv"
    assert str(error.value) == f"{path} has rows of run {run}, whose record in runs.jsonl lists: {listed}"


def test_rows_without_a_record_are_refused(home):
    (home / "rows" / "accuracy.csv").write_text(ROWS["accuracy.csv"].replace("b20000", "c30000"))
    with pytest.raises(BadInput, match="has rows of run c30000, which runs.jsonl does not describe"):
        store.read_published(home)
    with pytest.raises(BadInput, match="there are rows of run b2, but no record of it"):
        store.write_published(home, [{"key": "a1"}], table([("a1", "accuracy()#1"), ("b2", "accuracy()#1")]))


def test_a_run_is_named_by_as_many_letters_as_tell_it_from_the_others(tmp_path):
    one, other = "abcdef0000000000", "abcdef1000000000"
    assert store.short_names([one, other]) == {one: "abcdef0", other: "abcdef1"}
    assert store.short_names([one]) == {one: "abcdef"} and store.short_names(["a", "ab"]) == {"a": "a", "ab": "ab"}
    rows = table([(one, "accuracy()#1"), (other, "accuracy()#1")])
    store.write_published(tmp_path, [{"key": one}, {"key": other}], rows)
    assert "abcdef1,fog" in texts(tmp_path)["accuracy.csv"]
    pd.testing.assert_frame_equal(store.read_published(tmp_path)[1], rows)


def test_a_long_file_gives_way_to_one_a_metric(home, monkeypatch):
    """And comes back, with nothing left of the others, when it is short again."""
    records, rows = store.read_published(home)
    more = pd.concat([rows, rows.tail(1).assign(metric="probe accuracy")], ignore_index=True)
    with monkeypatch.context() as patch:
        patch.setattr(store, "LONGEST", 200)
        store.write_published(home, records, more)
        assert set(texts(home)) == {
            "accuracy.knn_accuracy.csv", "accuracy.probe_accuracy.csv", "corruption_error.csv"
        }  # fmt: skip
        pd.testing.assert_frame_equal(store.read_published(home)[1], more)
    store.write_published(home, records, rows)
    assert texts(home) == ROWS


@pytest.fixture
def old(tmp_path):
    """The same study in the older format."""
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / store.OLD).write_text(OLD_ROWS)
    (tmp_path / "old" / "runs.jsonl").write_text(RECORDS)
    return tmp_path / "old"


def test_the_older_format_is_refused_until_it_is_converted(old):
    with pytest.raises(BadInput, match=r"rows.csv is of an older format; python -m lib.runs.convert rewrites it"):
        store.read_published(old)
    assert convert(old) and not (old / store.OLD).exists()
    assert texts(old) == ROWS and (old / "runs.jsonl").read_text() == RECORDS
    assert not convert(old) and texts(old) == ROWS


THEN = "shift,severity,metric,value,standard_error,images\n"
OLDER = {  # lines of a measure as they once were: shift, subset, level, its unit and metric of today
    "corruption_error": {
        "none,0,error": ("none", "", None, "", "error"),
        "fog,0,error": ("fog", "", None, "mean over severities", "error"),
        "fog,3,error step": ("fog", "", 3, "severity", "error step"),
    },
    "raw_input": {"all,0,raw cost": ("all", "", None, "mean over severities", "raw cost")},
    "severity_curve": {
        "none,0,error along severity": ("none", "", None, "", "error along severity"),
        "fog,2.25,picture distance": ("fog", "", 2.25, "severity", "image distance"),
    },
    "out_of_distribution": {
        "bar,0,accuracy lost": ("bar", "", None, "mean over severities", "accuracy lost"),
        "scenes light,0,accuracy": ("scenes light", "", None, "", "accuracy"),
    },
    "robust_accuracy": {
        "none,0,accuracy of the head": ("none", "", None, "", "accuracy of the head"),
        "pgd,0.5,accuracy": ("pgd", "", 0.5, "/255", "accuracy"),
    },
    "aggregation_of_crops": {
        "pgd per view,8,accuracy of aggregated crops": ("pgd per view", "", 8, "/255", "accuracy of aggregated crops"),
    },
    "cue_accuracy": {
        "texture,0,accuracy of dog": ("texture", "dog", None, "", "accuracy"),
        "patch_shuffle,4,accuracy": ("patch_shuffle", "", 4, "pieces a side", "accuracy"),
        "low_pass,8,accuracy": ("low_pass", "", 8, "cycles an image", "accuracy"),
    },
    "negative_similarity": {
        "patch,0,query similarity": ("none", "patch", None, "", "query similarity"),
        "patch,95,query similarity": ("none", "patch", 95, "percentile", "query similarity"),
    },
    "read_out": {
        "x,0,kernel R2": ("none", "x", None, "", "kernel R2"),
        "without object_hue,0,linear R2 of x": ("without object_hue", "x", None, "", "linear R2"),
        "none,0,shape accuracy": ("none", "", None, "", "shape accuracy"),
    },
    "downstream": {
        "coil azimuth,0,angle error": ("coil", "azimuth", None, "", "angle error"),
        "dtd,0,accuracy": ("dtd", "", None, "", "accuracy"),
    },
    "segmentation": {
        "fcn,0,mIoU": ("none", "", None, "", "fcn mIoU"),
        "linear,0,IoU of cube": ("none", "cube", None, "", "linear IoU"),
    },
    "background_reliance": {
        "tied scenes: only background,0,accuracy": ("tied scenes", "only background", None, "", "accuracy"),
        "scenes,0,background gap": ("scenes", "", None, "", "background gap"),
    },
    "real_invariance": {"scenes: azimuth,0,chance": ("scenes", "azimuth", None, "", "chance")},
    "synthetic_invariance": {
        "hue,-0.5,similarity along": ("hue", "", -0.5, "turns", "similarity along"),
        "scale,0.25,similarity along": ("scale", "", 0.25, "factor", "similarity along"),
        "hue,0,picture distance": ("hue", "", None, "", "image distance"),
    },
    "attention_shift": {
        "none,0,attention similarity of other images": ("none", "", None, "", "attention similarity of other images"),
    },
}


@pytest.mark.parametrize("measure", OLDER)
def test_stored_rows_of_then_are_read_as_those_of_today(measure):
    """Of a reader's own runs, whose files stay as they are."""
    identity = f"{measure}(images=5)#1.1"
    path = store.rows_path("key", identity)
    path.parent.mkdir(parents=True)
    lines = [f"{line},{place}.123457,0.250000,50" for place, line in enumerate(OLDER[measure])]
    path.write_text(THEN + "".join(f"{line}\n" for line in lines))
    rows = store.load_rows("key", identity)
    assert list(rows) == list(store.COLUMNS)
    found = rows[["shift", "subset", "level", "level_unit", "metric"]].astype(object)
    found = found.where(found.notna(), None).itertuples(index=False, name=None)
    assert list(found) == list(OLDER[measure].values())
    assert list(rows["value"]) == [place + 0.123457 for place in range(len(lines))]
    assert (rows["standard_error"] == 0.25).all() and (rows["images"] == 50).all()
    store.save_rows("key", identity, rows)
    pd.testing.assert_frame_equal(store.load_rows("key", identity), rows)


def test_published_rows_of_then_are_converted(home):
    """What is published in files of a measure each, with the columns of then."""
    header = "run,shift,severity,metric,value,standard_error,images\n"
    lines = {"accuracy.csv": (",,,,", ",0,"), "corruption_error.csv": (",severity,", ",")}
    for name, (now, then) in lines.items():
        text = ROWS[name].removeprefix(HEADER).replace(now, then).replace("fog,,", "fog,")
        (home / "rows" / name).write_text(header + text)
    _, before = store.read_published(home)
    assert convert(home) and texts(home) == ROWS
    pd.testing.assert_frame_equal(store.read_published(home)[1], before)
    assert not convert(home) and texts(home) == ROWS


def test_what_does_not_read_back_is_not_converted(old, monkeypatch):
    true = store.write_published
    monkeypatch.setattr(store, "write_published", lambda home, records, rows: true(home, records, rows[:-1]))
    with pytest.raises(BadInput, match="does not read back as"):
        convert(old)
    assert (old / store.OLD).read_text() == OLD_ROWS


def test_older_rows_of_no_record_are_not_converted(old):
    (old / "runs.jsonl").write_text(RECORDS.replace("accuracy()#1.2", "knn()#1"))
    with pytest.raises(BadInput, match=r"'accuracy' in run b2\d+, which runs.jsonl does not list"):
        convert(old)
    assert (old / store.OLD).read_text() == OLD_ROWS and not (old / "rows").exists()


def test_new_rows_beside_an_older_record_are_never_taken_for_its_own_protocol_s(home):
    """As when nothing more is written after the rows: here something is in the place of the records."""
    records, rows = store.read_published(home)
    (home / "runs.jsonl").unlink()
    (home / "runs.jsonl").mkdir()
    newer = rows.assign(measure=rows["measure"].str.replace("#1", "#2"), value=1.0)
    with pytest.raises(BadInput, match="could not be written"):
        store.write_published(home, records, newer)
    (home / "runs.jsonl").rmdir()
    (home / "runs.jsonl").write_text(RECORDS)
    _, found = store.read_published(home)
    assert set(found["value"]) == {1.0} and list(found["measure"]) == IDENTITIES


@pytest.mark.parametrize("home", COMMITTED, ids=lambda home: home.relative_to(paths.RESULTS).as_posix())
def test_committed_results_are_what_would_be_written_again(home, tmp_path):
    records, rows = store.read_new(home)
    assert not any("measures" in record for record in records)
    assert rows["measure"].str.fullmatch(r"[a-z_]+\(.*\)#[\d.]+").all()
    store.write_published(tmp_path / "again", records, rows)
    assert texts(tmp_path / "again") == texts(home)
    assert (tmp_path / "again" / "runs.jsonl").read_bytes() == (home / "runs.jsonl").read_bytes()
    assert all(len(text.encode()) <= store.LONGEST for text in texts(home).values())


def part(seed, width=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_a_measure_without_rows_is_kept_and_joins_others_without_a_trace():
    """As one that needs a set which is not here."""
    none = pd.DataFrame([], columns=list(store.COLUMNS))
    store.save_rows("key", "nothing()#1", none)
    read = store.load_rows("key", "nothing()#1")
    assert read.empty and list(read) == list(store.COLUMNS)
    some = as_rows([number("none", "error", 1.5, 10, standard_error=0.5)]).assign(run="a", measure="b")
    joined = store.join([read.assign(run="a", measure="nothing()#1"), some])
    assert len(joined) == 1 and pd.api.types.is_float_dtype(joined["value"])


def test_a_head_is_kept_beside_the_weights_and_read_bit_for_bit():
    """Its batch norm's count, a whole number, as well."""
    encoder, head = part(0), part(1)
    head(torch.randn(4, 2))
    store.save_run("a1", encoder, [], {"key": "a1"}, head)
    assert store.has_head("a1") and store.load_record("a1") == {"key": "a1"}
    for name, saved in (("weights", encoder), ("head", head)):
        found = part(2).train()
        store.load_weights("a1", found, torch.device("cpu"), name)
        state = found.state_dict()
        assert all(torch.equal(value, state[word]) for word, value in saved.state_dict().items())
        assert not found.training


def test_a_run_without_a_head_has_none():
    assert not store.has_head("a1")
    store.save_run("a1", part(0), [], {"key": "a1"})
    assert not store.has_head("a1")
    with pytest.raises(BadInput, match="head.safetensors is damaged"):
        store.load_weights("a1", part(0), torch.device("cpu"), "head")


def test_a_head_of_another_size_is_refused():
    store.save_run("a1", part(0), [], {"key": "a1"}, part(1))
    with pytest.raises(BadInput, match=r"damaged \(Error\(s\) in loading state_dict for .*\); delete its folder"):
        store.load_weights("a1", part(0, width=4), torch.device("cpu"), "head")


@pytest.mark.parametrize("last", ["weights.safetensors", "head.safetensors", "history.json", "record.json"])
def test_a_run_is_complete_when_all_of_it_is_there(last, monkeypatch):
    """Stopped before any of its files, it has no record; the next attempt writes all."""
    true = files.write

    def write(path, *rest, **named):
        if path.name == last:
            raise KeyboardInterrupt
        true(path, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", write)
        with pytest.raises(KeyboardInterrupt):
            store.save_run("a1", part(0), [], {"key": "a1"}, part(1))
    assert store.load_record("a1") is None
    store.save_run("a1", part(0), [], {"key": "a1"}, part(1))
    assert store.load_record("a1") and store.has_head("a1")


RECORD = {"key": "a1", "seconds": 1.5, "cells": [[1, 2]]}


def saved_files():
    """A small local run: the files that a checksum guards, each with what reads it."""
    encoder = part(0)
    store.save_run("a1", encoder, [], RECORD)
    store.save_rows("a1", "toy()#1", as_rows([number("none", "error", 1.5, 10, standard_error=0.5)] * 3))
    return {
        store.folder("a1") / "record.json": lambda: store.load_record("a1"),
        store.folder("a1") / "weights.safetensors": lambda: store.load_weights("a1", part(0), torch.device("cpu")),
        store.rows_path("a1", "toy()#1"): lambda: store.load_rows("a1", "toy()#1"),
    }


@pytest.mark.parametrize("which", range(3), ids=["record", "weights", "rows"])
def test_a_file_that_was_cut_or_altered_is_refused_in_one_sentence(which):
    """At any place, by any byte. What is cut at the very end of a line, or a digit that is another, counts as well."""
    path, read = list(saved_files().items())[which]
    whole, draw = path.read_bytes(), random.Random(which)
    for _ in range(60):
        place = draw.randrange(len(whole))
        altered = whole[:place] + draw.choice([b"", bytes([draw.randrange(256)]) + whole[place + 1 :]])
        path.write_bytes(altered)
        if altered == whole:
            continue
        try:
            read()
        except BadInput as error:
            assert str(path) in str(error)
        else:  # spaces of a JSON text, or the name that its checksum has in it, say nothing of the run
            found = json.loads(altered) if path.name == "record.json" else {}
            assert {name: found.get(name) for name in RECORD} == RECORD


def test_files_of_older_versions_have_no_checksum_and_are_read():
    files_of_run = saved_files()
    record, weights, rows = files_of_run
    record.write_text(json.dumps(store.load_record("a1")))
    weights.write_bytes(save(load_file(weights)))
    expected = store.load_rows("a1", "toy()#1")
    rows.write_text(rows.read_text().partition("\n")[2])
    for read in files_of_run.values():
        read()
    pd.testing.assert_frame_equal(store.load_rows("a1", "toy()#1"), expected)
