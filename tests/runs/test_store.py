"""Published files: short on the disk, whole in the memory."""

import copy
import json

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lib import files, paths
from lib.errors import BadInput
from lib.runs import store

COMMITTED = sorted(path.parent for path in paths.RESULTS.glob("*/*/rows.csv"))
ROWS = """run,measure,shift,severity,metric,value,standard_error,images
a1,accuracy,none,0,knn accuracy,36.500000,0.250000,100
a1,corruption_error,fog,1,error,70.000000,0.500000,50
a1,corruption_error,fog,2.5,error,75.125000,0.500000,50
b2,accuracy,none,0,knn accuracy,40.000000,0.250000,100
"""
RECORDS = """{"key": "a1", "measures": ["accuracy()#1.1", "corruption_error(images=50)#1.1.2"], "seed": 0}
{"key": "b2", "measures": ["accuracy()#1.2"], "seed": 1}
"""
IDENTITIES = [
    "accuracy()#1.1", "corruption_error(images=50)#1.1.2", "corruption_error(images=50)#1.1.2", "accuracy()#1.2"
]  # fmt: skip


@pytest.fixture
def home(tmp_path):
    """A small study, written by hand."""
    (tmp_path / "rows.csv").write_text(ROWS)
    (tmp_path / "runs.jsonl").write_text(RECORDS)
    return tmp_path


def table(lines):
    """Rows of (run, identity) pairs, the values counted up."""
    rows = [(run, identity, "fog", 1, "error", float(number), 0.5, 10) for number, (run, identity) in enumerate(lines)]
    return pd.DataFrame(rows, columns=list(store.PUBLISHED_COLUMNS))


def test_files_written_by_hand(home, tmp_path):
    records, rows = store.read_published(home)
    assert records == [{"key": "a1", "seed": 0}, {"key": "b2", "seed": 1}]
    assert list(rows.columns) == list(store.PUBLISHED_COLUMNS) and list(rows["measure"]) == IDENTITIES
    assert list(rows["value"]) == [36.5, 70, 75.125, 40] and list(rows["severity"]) == [0, 1, 2.5, 0]
    store.write_published(tmp_path / "again", records[::-1], rows)
    assert (tmp_path / "again" / "rows.csv").read_text() == ROWS
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
    expected = rows.sort_values("run", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(found, expected)
    assert {name for names in published.values() for name in names} == set(
        pd.read_csv(home / "rows.csv", dtype=str, keep_default_na=False)["measure"]
    )
    for record in map(json.loads, (home / "runs.jsonl").read_text().splitlines()):
        assert record["measures"] == sorted(identities[record["key"]])


def test_a_record_lists_what_is_published_of_its_run_alone(home):
    records, rows = store.read_published(home)
    store.write_published(home, records, rows[rows["measure"] != "corruption_error(images=50)#1.1.2"])
    lines = [json.loads(line) for line in (home / "runs.jsonl").read_text().splitlines()]
    assert [line["measures"] for line in lines] == [["accuracy()#1.1"], ["accuracy()#1.2"]]
    store.write_published(home, records, rows[rows["run"] == "a1"])
    assert '"measures": []' in (home / "runs.jsonl").read_text().splitlines()[1]


@pytest.mark.parametrize("other", ["accuracy()#1.2", "accuracy(images=5)#1.1"])
def test_two_identities_of_one_measure_in_a_run_are_refused(home, other):
    with pytest.raises(BadInput) as error:
        store.write_published(home, [{"key": "a1"}], table([("a1", other), ("a1", "accuracy()#1.1")]))
    first, second = sorted([other, "accuracy()#1.1"])
    assert str(error.value) == (
        f"{home / 'runs.jsonl'} holds one identity a measure and run; run a1 has both {first} and {second}"
    )
    assert (home / "rows.csv").read_text() == ROWS and (home / "runs.jsonl").read_text() == RECORDS
    (home / "runs.jsonl").write_text(RECORDS.replace('["accuracy()#1.1"', f'["accuracy()#1.1", "{other}"'))
    with pytest.raises(BadInput, match="runs.jsonl holds one identity a measure and run; run a1 has both"):
        store.read_published(home)


@pytest.mark.parametrize(("records", "run", "name", "listed"), [
    (RECORDS.replace(', "corruption_error(images=50)#1.1.2"', ""), "a1", "corruption_error", "accuracy()#1.1"),
    (RECORDS.replace('"accuracy()#1.2"', '"knn()#1", "probe()#2"'), "b2", "accuracy", "knn()#1, probe()#2"),
    (RECORDS.replace('["accuracy()#1.2"]', "[]"), "b2", "accuracy", "no measure"),
    (RECORDS.replace('"measures": ["accuracy()#1.2"], ', ""), "b2", "accuracy", "no measure"),
])  # fmt: skip
def test_a_name_that_the_record_does_not_list_is_refused(home, records, run, name, listed):
    (home / "runs.jsonl").write_text(records)
    with pytest.raises(BadInput) as error:
        store.read_published(home)
    assert str(error.value) == (
        f"{home / 'rows.csv'} has rows of the measure {name!r} in run {run}, whose record in runs.jsonl lists: {listed}"
    )


def test_a_whole_identity_in_the_rows_is_refused(home):
    (home / "rows.csv").write_text(ROWS.replace("b2,accuracy", "b2,accuracy()#1.2"))
    with pytest.raises(BadInput, match=r"'accuracy\(\)#1.2' in run b2, whose record in runs.jsonl lists: accuracy"):
        store.read_published(home)


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


@pytest.mark.parametrize("home", COMMITTED, ids=lambda home: f"{home.parent.name}/{home.name}")
def test_committed_results_are_what_would_be_written_again(home, tmp_path):
    records, rows = store.read_published(home)
    assert not any("measures" in record for record in records)
    assert rows["measure"].str.fullmatch(r"[a-z_]+\(.*\)#[\d.]+").all()
    store.write_published(tmp_path / "again", records, rows)
    for name in ("rows.csv", "runs.jsonl"):
        assert (tmp_path / "again" / name).read_bytes() == (home / name).read_bytes()


def part(seed, width=3):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))


def test_a_measure_without_rows_is_kept_and_joins_others_without_a_trace():
    """As one that needs a set which is not here."""
    none = pd.DataFrame([], columns=list(store.COLUMNS))
    store.save_rows("key", "nothing()#1", none)
    read = store.load_rows("key", "nothing()#1")
    assert read.empty and list(read) == list(store.COLUMNS)
    some = pd.DataFrame([("none", 0, "error", 1.5, 0.5, 10)], columns=list(store.COLUMNS)).assign(run="a", measure="b")
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
