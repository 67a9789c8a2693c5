"""The page of all runs against the published files, read by themselves."""

import base64
import io
import json
import re
import shlex

import pandas as pd
import pytest

from lib import figures, paths, provenance
from lib.chapters import PLANS
from lib.runs import Results, RunConfig, Study, store
from lib.runs.published import identity


@pytest.fixture(scope="module")
def runs():
    return provenance.every_run()


def test_every_run_that_a_page_shows_stands_there_once(runs):
    shown = {name: {record["key"] for record in Study(plan).results().records} for name, plan in PLANS.items()}
    assert sorted(runs["run"]) == sorted(set.union(*shown.values()))
    for run, studies in zip(runs["run"], runs["studies"], strict=True):
        assert studies.split(", ") == [name for name, keys in shown.items() if run in keys]


def test_it_says_what_the_records_say(runs):
    records = {}
    for study in PLANS:
        for record in store.read_published(paths.RESULTS / study / "small")[0]:
            records.setdefault(record["key"], record)  # a run that was computed again for a later study has two
    for line in runs.to_dict("records"):
        record = records[line["run"]]
        assert (line["seconds"], line["commit"], line["finished"]) == tuple(
            record[name] for name in ("seconds", "commit", "finished")
        )
        assert line["seed"] == record["config"]["seed"] and record["data"]["checksum"].startswith(line["data checksum"])
    total = sum(records[run]["seconds"] for run in runs["run"]) / 3600
    assert f"{len(runs)} runs stand behind the book. Training them took {total:.1f} hours" in provenance.told(runs)
    table = provenance.by_study(runs)
    assert table["runs"].sum() == len(runs) and table["stale"].sum() == runs["stale"].sum()


def test_a_command_names_one_run(runs):
    """That of the study which shows it: its preset, data set, system or method, and seed pick this run."""
    fresh = runs[~runs["stale"]].groupby("study")  # a stale run is computed by another recipe today
    for line in fresh.head(3).to_dict("records") + fresh.tail(1).to_dict("records"):
        words = shlex.split(line["command"])
        assert words[:4] == ["python", "-m", "lib.chapters", line["study"]]
        given = {name.removeprefix("--"): value for name, value in zip(words[4::2], words[5::2], strict=True)}
        asked = {name: json.loads(value) if value[0] == "[" else value for name, value in given.items()}
        wanted = {identity(one.config) for one in Study(PLANS[line["study"]], **asked).wanted()}
        (record,) = [own for own in Study(PLANS[line["study"]]).results().records if own["key"] == line["run"]]
        assert identity(RunConfig.from_dict(record["config"])) in wanted


def test_the_file_holds_every_column_of_every_run(runs):
    (data,) = re.findall('href="data:text/csv;base64,([^"]+)"', provenance.download(runs).data)
    read = pd.read_csv(io.BytesIO(base64.b64decode(data)), keep_default_na=False)
    assert list(read["run"]) == list(runs["run"]) and set(runs) == set(read)
    assert provenance.listed(runs).data.count("<tr") == len(runs) + runs["study"].nunique()  # a head each


def test_a_table_of_runs_has_a_line_for_each_system():
    whole = Study(PLANS["severity_degradation"], methods=["simclr", "random"]).results()
    table = figures.runs_table(whole).set_index("method")
    for method in ("SimCLR", "Random weights"):
        own = [record for record in whole.records if {"simclr": "SimCLR"}.get(record["config"]["method"]) == method or
               (method == "Random weights" and record["config"]["method"] == "random")]  # fmt: skip
        resnets = [record for record in own if record["config"]["encoder"] == "resnet10"]
        line = table.loc[[method]].query("encoder == 'resnet10'").iloc[0]
        assert line["seeds"] == "0, 1, 2" and len(resnets) == 3
        assert line["seconds a run"] == round(sum(record["seconds"] for record in resnets) / 3)
    assert isinstance(whole, Results)
