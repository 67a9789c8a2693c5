"""From papermill parameters to rows: what is understood, what is refused, what is published."""

import dataclasses
import json

import pandas as pd
import pytest

from lib import paths
from lib.chapters import PLANS
from lib.contrasts import difference
from lib.errors import BadInput
from lib.figures.stale import _names
from lib.figures.tables import protocol
from lib.measures import Accuracy, CorruptionError
from lib.methods import METHODS
from lib.runs import PRESETS, Study, grid, publish, published, store, study
from lib.runs.plan import configs_of, measures_of
from lib.runs.study import as_list, largest_published
from lib.runs.systems import System

PLAN = PLANS["severity_degradation"]
TOLD = dict.fromkeys(("seconds", "images_per_second", "peak_memory_mib", "commit", "finished", "precision"), "") | {
    "versions": {"torch": ""}
}  # what a record says of the machine


@pytest.fixture
def results(tmp_path, monkeypatch):
    """An empty folder of published rows, and a small preset of one encoder."""
    monkeypatch.setitem(PRESETS, "small", dataclasses.replace(PRESETS["small"], transformer=None))
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")
    published.forget()
    yield tmp_path / "results"
    published.forget()


def record_of(config, **changes):
    key = config.key("0" * 64)
    data = {"source": "made up", "checksum": "0" * 64, "train_images": 5}
    return {"key": key, "config": config.to_dict(), "protocol": METHODS[config.method].protocol, "data": data} | changes


def fake(preset, methods, seeds=None, value=50.0, **changes):
    """Published records and rows of a grid, every value the same."""
    records, rows = [], []
    for config in grid(preset, methods, seeds):
        records.append(record_of(config, **changes))
        for measure in measures_of(PLAN, preset):
            rows.append((records[-1]["key"], measure.identity, "none", "", float("nan"), "", "error", value, 0.5, 100))
    return records, pd.DataFrame(rows, columns=list(store.PUBLISHED_COLUMNS))


@pytest.mark.parametrize("given", [["simclr", "byol"], ("simclr", "byol"), '["simclr", "byol"]', '["simclr","byol"]'])
def test_lists_and_lists_as_strings(given):
    assert Study(PLAN, methods=given).methods == ("simclr", "byol")
    assert Study(PLAN, seeds="[0, 2]").seeds == (0, 2)


@pytest.mark.parametrize(("parameters", "words"), [
    ({"preset": "smal"}, f"(did you mean 'small'?); allowed: published, {', '.join(PRESETS)}"),
    ({"methods": "simclr"}, f"methods is a list such as {json.dumps(list(METHODS)[:3])}, or such a list as a string"),
    ({"methods": "[simclr]"}, "methods is a list such as"),
    ({"methods": []}, "methods is a list such as"),
    ({"methods": '["simcrl"]'}, "unknown method 'simcrl' (did you mean 'simclr'?)"),
    ({"seeds": 3}, "seeds is a list such as [0, 1, 2]"),
    ({"seeds": '["a"]'}, "a seed is a whole number"),
    ({"seeds": [0.5]}, "a seed is a whole number"),
    ({"dataset": ["scenes"]}, "dataset is one name, not ['scenes']"),
    ({"recompute": "yes"}, "recompute is True or False, not 'yes'"),
])  # fmt: skip
def test_bad_parameters_are_one_sentence(parameters, words):
    with pytest.raises(BadInput) as error:
        Study(PLAN, **parameters)
    assert words in str(error.value)


def test_parameters_come_from_the_notebook_s_names():
    import math

    namespace = {"preset": "quick", "methods": '["byol"]', "Study": Study, "math": math, "_oh": {}, "In": [], "Out": {},
                 "__name__": "__main__", "PAPERMILL_OUTPUT_PATH": "x", "get_ipython": print}  # fmt: skip
    found = Study.from_notebook(PLAN, namespace)
    assert found == Study(PLAN, preset="quick", methods=["byol"])


@pytest.mark.parametrize("typo", ["severitys", "seed", "preste"])
def test_a_misspelt_parameter_is_refused_by_name(typo):
    with pytest.raises(
        BadInput, match=f"unknown parameter '{typo}'.*allowed: preset, dataset, methods, seeds, recompute"
    ):
        Study.from_notebook(PLAN, {"preset": "quick", typo: [1]})


def test_published_rows_need_no_data_and_no_training(results, monkeypatch):
    monkeypatch.setattr(study.engine, "compute", None)
    store.write_published(results / "severity_degradation" / "small", *fake("small", ["simclr", "random"]))
    found = Study(PLAN, methods=["simclr", "random"]).results()
    assert found.preset == "small" and not found.stale and len(found.records) == 6
    assert list(found.rows["method"].unique()) == ["simclr", "random"]
    assert set(found.rows.columns) >= {"run", "method", "seed", "encoder", "dataset", "value"}
    # The same rows serve when the preset is named.
    assert len(Study(PLAN, preset="small", methods=["simclr"]).results().rows) == 3 * len(measures_of(PLAN, "small"))


def test_two_settings_of_a_method_are_told_apart(results):
    """A plan of methods with one of them twice: each is a line of its own wherever runs have one."""
    few = System("EMP-SSL, four views", "emp_ssl", None, "", {"views": 4}, budget=None)
    plan, methods = dataclasses.replace(PLAN, beside={"few": few}), ["simclr", "emp_ssl"]
    records = [record_of(config, device="CPU, 1 threads", **TOLD) for config in configs_of(plan, "small", methods)]
    cell = measures_of(plan, "small")[0].identity, "none", "", float("nan"), "", "probe accuracy"
    lines = [(record["key"], *cell, 10.0 * number, 0.5, 100) for number, record in enumerate(records)]
    table = pd.DataFrame(lines, columns=list(store.PUBLISHED_COLUMNS))
    store.write_published(results / plan.name / "small", records, table)
    found = Study(plan, methods=methods).results()
    assert sorted(record["key"] for record in found.records) == sorted({record["key"] for record in records})
    means = found.rows.groupby(["method", "settings"])["value"].mean()
    assert means.to_dict() == {("simclr", ""): 10.0, ("emp_ssl", ""): 40.0, ("emp_ssl", "views 4"): 70.0}
    cells = [{"method": "emp_ssl", "settings": own} for own in ("", "views 4")]
    assert [difference(found.rows, own, {"method": "simclr"}).mean for own in cells] == [30.0, 60.0]
    assert len(protocol(found)) == 3 and set(found.provenance()["settings"]) == {"", "views 4"}
    fewer = [own for own in found.standings if own.config.differing]
    assert _names(fewer, found.standings) == "EMP-SSL (views 4)"


def test_published_costs_come_with_published_rows_alone(results, monkeypatch):
    """Measured on the machine that published them, they say nothing about runs that are computed here."""
    home = results / "severity_degradation" / "small"
    store.write_published(home, *fake("small", ["random"]))
    asked = Study(PLAN, preset="small", methods=["random"])
    assert asked.results().costs is None
    costs = pd.DataFrame([("random", 0, 1.5, "CPU", "fp32", "2.x", "2026-01-01")], columns=store.COST_COLUMNS)
    store.write_costs(home, costs)
    pd.testing.assert_frame_equal(asked.results().costs, costs, check_dtype=False)
    monkeypatch.setattr(study.engine, "compute", lambda configs, *_, **__: fake("small", ["random"]))
    assert dataclasses.replace(asked, recompute=True).results().costs is None
    store.write_costs(home, costs.assign(method="simclr"))  # another method's
    assert asked.results().costs is None
    (home / "costs.csv").write_text((home / "costs.csv").read_text()[:-1])
    with pytest.raises(BadInput, match="costs.csv is half-written"):
        asked.results()


def test_the_largest_published_preset_is_shown(results):
    for preset in ("quick", "small"):
        store.write_published(results / "severity_degradation" / preset, *fake(preset, ["random"]))
    assert largest_published(PLAN) == "small"


def test_a_larger_preset_is_shown_once_it_is_published_as_far_as_a_smaller_one(results):
    home = results / "severity_degradation"
    store.write_published(home / "small", *fake("small", ["random", "simclr"]))
    for methods, seeds, shown in (
        (["random"], None, "small"),
        (["random", "simclr"], [0], "small"),  # the others lack two of three seeds
        (["random", "simclr"], None, "medium"),
    ):
        store.write_published(home / "medium", *fake("medium", methods, seeds))
        published.forget()
        assert largest_published(PLAN) == shown
    store.write_published(home / "small", *fake("small", ["random", "simclr", "byol"]))
    published.forget()
    assert largest_published(PLAN) == "small"


def test_what_is_not_published_is_not_computed_behind_the_reader_s_back(results):
    with pytest.raises(BadInput, match="nothing is published for severity_degradation; name a preset"):
        Study(PLAN).results()
    store.write_published(results / "severity_degradation" / "small", *fake("small", ["random"]))
    with pytest.raises(BadInput, match="none of the 3 runs of this grid is published with all its seeds; name a pre"):
        Study(PLAN, methods=["simclr"]).results()


def test_what_is_missing_is_computed(results, monkeypatch):
    store.write_published(results / "severity_degradation" / "small", *fake("small", ["random"], value=1.0))

    def compute(configs, measures, time_limit=None, engine=None):
        return fake("small", dict.fromkeys(config.method for config in configs), value=2.0)

    monkeypatch.setattr(study.engine, "compute", compute)
    asked = Study(PLAN, preset="small", methods=["random", "simclr"])
    for recompute, expected in (
        (False, {"random": [1.0], "simclr": [2.0]}),
        (True, {"random": [2.0], "simclr": [2.0]}),
    ):
        rows = dataclasses.replace(asked, recompute=recompute).results().rows
        assert rows.groupby("method")["value"].unique().map(list).to_dict() == expected


def test_an_older_protocol_is_stale(results):
    records, rows = fake("small", ["random"], protocol=0)
    store.write_published(results / "severity_degradation" / "small", records, rows)
    assert Study(PLAN, methods=["random"]).results().stale
    published.forget()
    records, rows = fake("small", ["random"])
    rows["measure"] = rows["measure"].str.replace(CorruptionError(1000).identity, "corruption_error(images=1000)#0.0.0")
    store.write_published(results / "severity_degradation" / "small", records, rows)
    assert Study(PLAN, methods=["random"]).results().stale


def test_a_measure_with_other_parameters_is_not_taken(results):
    records, rows = fake("small", ["random"])
    rows["measure"] = rows["measure"].str.replace("images=1000", "images=999")
    store.write_published(results / "severity_degradation" / "small", records, rows)
    found = Study(PLAN, methods=["random"]).results()
    assert not found.stale and {one.lacking for one in found.standings} == {("corruption_error",)}
    assert len(found.rows) == 3 * (len(measures_of(PLAN, "small")) - 1)


def test_a_record_older_than_a_parameter_is_still_found(results):
    records, rows = fake("small", ["random"])
    for record in records:
        del record["config"]["training"]["compile"]
    store.write_published(results / "severity_degradation" / "small", records, rows)
    assert len(Study(PLAN, methods=["random"]).results().records) == 3


def test_of_a_run_that_two_studies_published_each_shows_its_own(results):
    """The same config on two machines gives two encoders: rows and record come from one of them."""
    for place, value in (("methods", 1.0), ("severity_degradation", 2.0)):
        store.write_published(results / place / "quick", *fake("quick", ["random"], value=value))
    for name, value in (("methods", 1.0), ("severity_degradation", 2.0)):
        found = Study(PLANS[name], preset="quick", methods=["random"]).results()
        assert set(found.rows["value"]) == {value} and not found.rows.duplicated(["run", "measure"]).any()


def test_a_run_that_another_study_published_serves_if_it_has_every_measure(results):
    store.write_published(results / "severity_degradation" / "quick", *fake("quick", ["random"], value=2.0))
    assert set(Study(PLANS["methods"], preset="quick", methods=["random"]).results().rows["value"]) == {2.0}
    records, rows = fake("quick", ["simclr"])
    whole = rows["measure"] == Accuracy().identity
    store.write_published(results / "methods" / "quick", records, rows[whole])
    published.forget()
    wanted = published.Wanted(grid("quick", ["simclr"])[0], measures_of(PLAN, "quick"))
    assert published.find(PLAN, [wanted]) == [None]
    (part,) = published.find(PLAN, [wanted], partly=True)
    assert list(part.rows["measure"]) == [Accuracy().identity] and "corruption_error" in part.standing.lacking


def test_publishing_twice_changes_nothing(results):
    records, rows = fake("small", ["simclr", "random"])
    store.write_published(results / "s" / "small", records, rows)
    first = {path.name: path.read_text() for path in (results / "s" / "small").rglob("*.*")}
    store.write_published(
        results / "s" / "small", records[::-1], rows.sample(frac=1, random_state=0).sort_values("run")
    )
    again = {path.name: path.read_text() for path in (results / "s" / "small").rglob("*.*")}
    assert len(first) > 2 and {name: sorted(text.split()) for name, text in first.items()} == {
        name: sorted(text.split()) for name, text in again.items()
    }
    assert first["runs.jsonl"] == again["runs.jsonl"]


def test_publish_writes_what_results_hold(results):
    store.write_published(results / "severity_degradation" / "quick", *fake("quick", ["random"]))
    found = Study(PLAN, methods=["random"]).results()
    publish(PLANS["methods"], dataclasses.replace(found, preset="small"))
    records, rows = store.read_published(results / "methods" / "small")
    assert records == sorted(found.records, key=lambda record: record["key"]) and len(rows) == len(found.rows)


def test_publishing_a_part_of_a_study_leaves_the_rest_where_it_is(results):
    home = results / "severity_degradation" / "quick"
    store.write_published(home, *fake("quick", ["random", "simclr"]))
    records, rows = store.read_published(home)
    found = Study(PLAN, methods=["random"]).results()
    publish(PLAN, dataclasses.replace(found, rows=found.rows.assign(value=7.0)), beside=True)
    after, others = store.read_published(home)
    assert after == records and not store.parts(home)
    own = others["run"].isin(found.rows["run"])
    assert own.any() and (others.loc[own, "value"] == 7).all()
    pd.testing.assert_frame_equal(others[~own], rows[~rows["run"].isin(found.rows["run"])])


def test_rows_without_their_record_are_refused(results):
    home = results / "s" / "small"
    records, rows = fake("small", ["random"])
    with pytest.raises(BadInput, match=f"there are rows of run {records[0]['key']}, but no record of it"):
        store.write_published(home, records[1:], rows)
    store.write_published(home, records, rows)
    (home / "runs.jsonl").write_text("".join((home / "runs.jsonl").read_text().splitlines(keepends=True)[1:]))
    with pytest.raises(BadInput, match="which runs.jsonl does not describe"):
        store.read_published(home)


def test_damaged_records_are_one_sentence(results):
    store.write_published(results / "s" / "small", *fake("small", ["random"]))
    path = results / "s" / "small" / "runs.jsonl"
    path.write_text(path.read_text()[:100])
    with pytest.raises(BadInput, match="runs.jsonl is damaged"):
        store.read_published(results / "s" / "small")


def test_presets_grow():
    sizes = [(p.train_images or 1e9, p.epochs, len(p.seeds)) for p in PRESETS.values()]
    assert sizes == sorted(sizes) and all(len(preset.seeds) >= 3 for preset in PRESETS.values())


def test_grid_scales_the_rate_with_the_batch_and_names_every_run():
    configs = grid("full", ["simclr", "random"], seeds=[5], dataset="cifar100")
    assert [(c.method, c.seed, c.dataset) for c in configs] == [("simclr", 5, "cifar100"), ("random", 5, "cifar100")]
    small, full = (grid(p, ["simclr"])[0].training for p in ("small", "full"))
    assert full.learning_rate / small.learning_rate == pytest.approx(full.batch_size / small.batch_size)


def test_as_list_reads_what_papermill_hands_over():
    assert as_list(json.dumps(["a", "b"]), "x", ["a"]) == ["a", "b"]


def test_measures_of_a_plan():
    assert [type(m) for m in measures_of(PLAN, "quick")][:2] == [Accuracy, CorruptionError]
