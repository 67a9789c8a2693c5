"""Pages of published rows of which one method's are gone: nothing fails, and the page says who is missing."""

import json
import re

import pytest

from lib import figures, paths
from lib.book import DETAILS
from lib.chapters import PLANS, severity
from lib.chapters import methods as chapter
from lib.chapters.severity import claims, words
from lib.contrasts import convolutional
from lib.controls import CONTROLS
from lib.figures import stale
from lib.figures.prose import scope
from lib.methods import METHODS
from lib.runs import Study, published, store
from lib.verdicts import verdicts

COMMITTED = paths.RESULTS


def without(home, study, method, measure=""):
    """A copy of a study's committed rows, less those of `measure` (all by default) of a method."""
    records, rows = store.read_published(COMMITTED / study / "small")
    keys = [record["key"] for record in records if record["config"]["method"] == method]
    rows = rows[~(rows["run"].isin(keys) & rows["measure"].str.startswith(measure))]
    records = [record for record in records if record["key"] in set(rows["run"])]
    store.write_published(home / study / "small", records, rows)
    if (costs := store.read_costs(COMMITTED / study / "small")) is not None:
        store.write_costs(home / study / "small", costs)
    published.forget()


@pytest.fixture
def home(tmp_path, monkeypatch):
    (tmp_path / "papers").symlink_to(COMMITTED / "papers")  # beside which verdicts stand
    monkeypatch.setattr(paths, "RESULTS", tmp_path)
    yield tmp_path
    published.forget()


@pytest.mark.parametrize("method", ["moco_v3", "simclr", "random"])
def test_the_methods_page_without_a_method(home, method, unlaid):
    without(home, "methods", method)
    records, _ = store.read_published(COMMITTED / "methods" / "small")
    shown = {record["config"]["method"] for record in records}  # a younger method may have no rows yet
    results = Study(PLANS["methods"], methods=[name for name in METHODS if name in shown]).results()
    name, count = METHODS[method].title, len(results.records) + 3
    assert f"3 of {count} runs are not published and left out: {name}." in figures.standing_words(results)
    table = chapter.results_table(results)
    assert name not in set(table["method"]) and len(table) == count / 3 - 1
    assert set(figures.protocol(results)["method"]) == set(table["method"])
    figure = chapter.accuracy_by_method(results.rows, scope(results))
    assert name not in set(figure.data["method"]) and len(figure.data) == len(table)
    assert all(chapter.methods_answer(results).values())
    assert len(verdicts(CONTROLS, results.rows)) == (0 if method == "random" else len(CONTROLS))  # those to be tested


@pytest.mark.parametrize(("method", "measure"), [("simclr", ""), ("byol", "corruption_error")])
def test_the_severity_page_without_a_method(home, method, measure, unlaid):
    without(home, "severity_degradation", method, measure)
    results = Study(PLANS["severity_degradation"], seeds=[0, 1]).results()  # two are enough, and faster
    name, told = METHODS[method].title, figures.standing_words(results)
    assert (f"corruption error of {name}." if measure else f"not published and left out: {name}.") in told
    rows = convolutional(results.rows)
    ranked = figures.ranking(rows, Study(PLANS["severity_degradation"]).methods)
    assert list(ranked["method"]) == [
        METHODS[own].title for own in Study(PLANS["severity_degradation"]).methods if own != method
    ]
    assert all(words.severity_answer(rows).values())
    assert words.transformer_answer(results.rows) and words.predictions_answer(rows)
    for table in (claims.SEVERITY_DEGRADATION, CONTROLS, claims.PREDICTIONS):
        assert len(verdicts(table, results.rows)) == len(table)
    figure = severity.error_by_severity(rows, "")
    assert name not in figure.alt and name not in set(figure.data["method"])


@pytest.mark.parametrize("page", [*PLANS, *(f"{name}{DETAILS}" for name in PLANS)])
def test_every_page_says_it_before_its_first_section(page):
    path = paths.ROOT / "notebooks" / f"{page}.ipynb"
    if page.endswith(DETAILS) and not path.exists():
        pytest.skip("no details")
    sources = ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
    (place,) = [number for number, source in enumerate(sources) if source == "figures.standing(results)"]
    first = next(number for number, source in enumerate(sources) if re.search("^## ", source, re.M))
    assert place < first and any("Study.from_notebook" in source for source in sources[:place])


def test_names_with_commas_are_told_apart():
    assert stale._told_apart(["SimCLR", "BYOL"]) == "SimCLR and BYOL"
    assert stale._told_apart(["SimCLR", "SimCLR, PGD", "ACL"]) == "SimCLR; SimCLR, PGD; ACL"
    assert stale._told_apart(["MoCo v2 (default, spatial and fusion)", "BYOL"]) == (
        "MoCo v2 (default, spatial and fusion) and BYOL"
    )
