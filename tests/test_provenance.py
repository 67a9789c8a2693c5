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
from lib.runs import RunConfig, Study, store
from lib.runs.published import identity


def training(record):
    return record["key"], record["commit"], record["finished"], record["seconds"]


@pytest.fixture(scope="module")
def runs():
    return provenance.every_run()


@pytest.fixture(scope="module")
def records():
    """Study and preset -> its published records."""
    homes = [home for study in PLANS for home in sorted((paths.RESULTS / study).iterdir()) if home.is_dir()]
    return {(home.parent.name, home.name): store.read_published(home)[0] for home in homes}


def test_every_training_stands_there_once(runs, records):
    published = {training(record) for own in records.values() for record in own}
    assert len(runs) == len(published)
    assert set(runs[provenance.TRAINING].itertuples(index=False, name=None)) == published
    told = provenance.told(runs)
    hours = sum(seconds for *_, seconds in published) / 3600
    assert told.startswith(f"{len(published)} trained and measured encoders are published.")
    assert f"Training them took {hours:.1f} hours" in told
    keys = [key for key, *_ in published]
    twice = {key for key in keys if keys.count(key) > 1}
    assert (f"{len(twice)} configurations were trained more than once" in told) == bool(twice)


def test_each_says_where_it_is_published_and_by_what_it_was_trained(runs, records):
    places, shown = {}, {study: Study(PLANS[study]).results().preset for study, _ in records}
    for (study, preset), own in records.items():
        for record in own:
            places.setdefault(training(record), []).append((study, preset, record))
    for line in runs.to_dict("records"):
        own = places[tuple(line[name] for name in provenance.TRAINING)]
        assert (line["study"], line["preset"]) in [place[:2] for place in own]
        assert set(line["studies"].split(", ")) == {study for study, *_ in own}
        assert line["seed"] == own[0][2]["config"]["seed"] and line["torch"] == own[0][2]["versions"]["torch"]
        assert line["shown"] == (shown[line["study"]] == line["preset"])


def test_a_table_of_studies_adds_up(runs, records):
    table = provenance.by_study(runs)
    assert set(zip(table["study"], table["preset"], strict=True)) == set(records)
    assert table["runs"].sum() == len(runs) and table["stale"].sum() == runs["stale"].sum()


def test_a_command_picks_its_run(runs):
    fresh = runs[~runs["stale"]].groupby("study")  # a stale run is computed by another recipe today
    for line in fresh.head(3).to_dict("records") + fresh.tail(1).to_dict("records"):
        words = shlex.split(line["command"])
        assert words[:4] == ["python", "-m", "lib.chapters", line["study"]]
        given = {name.removeprefix("--"): value for name, value in zip(words[4::2], words[5::2], strict=True)}
        asked = {name: json.loads(value) if value[0] == "[" else value for name, value in given.items()}
        wanted = {identity(one.config) for one in Study(PLANS[line["study"]], **asked).wanted()}
        home = paths.RESULTS / line["study"] / line["preset"]
        (record,) = [own for own in store.read_published(home)[0] if own["key"] == line["run"]]
        assert identity(RunConfig.from_dict(record["config"])) in wanted


def test_the_file_holds_every_column_of_every_run(runs):
    (data,) = re.findall('href="data:text/csv;base64,([^"]+)"', provenance.download(runs).data)
    read = pd.read_csv(io.BytesIO(base64.b64decode(data)), keep_default_na=False)
    assert list(read["run"]) == list(runs["run"]) and set(runs) == set(read)
    assert provenance.listed(runs).data.count("<tr") == len(runs) + runs["study"].nunique()  # a head each


def test_a_table_of_runs_has_a_line_for_each_system():
    results = Study(PLANS["severity_degradation"], methods=["simclr", "random"]).results()
    table, kinds = figures.runs_table(results), {}
    for record in results.records:
        kinds.setdefault((record["config"]["method"], record["config"]["encoder"]), []).append(record)
    assert len(table) == len(kinds)
    for line, own in zip(table.to_dict("records"), kinds.values(), strict=True):
        assert line["seeds"] == ", ".join(str(seed) for seed in sorted(record["config"]["seed"] for record in own))
        assert line["seconds a run"] == round(sum(record["seconds"] for record in own) / len(own))
