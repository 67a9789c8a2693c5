"""How long a page takes to read, and what stands folded at its top."""

import json
from dataclasses import replace

import pytest

from lib import figures, paths
from lib.chapters import PLANS
from lib.figures.prose import foundations
from lib.figures.reading import PACE, minutes, words
from lib.figures.stale import SOME, standing_words
from lib.runs import Study


@pytest.mark.parametrize(("text", "count"), [
    ("Two words.", 2),
    ("A *word* {term}`free training` $a + b$ and {glue:text}`x` {cite:p}`a2020`: {ref}`the table <t-x>`.", 8),
    ("Before\n\n$$\nx = y\n$$ (label)\n\n(a-label)=\n## A heading\n\n- an item", 5),
    ("1. Why?\n\n   ```{dropdown} Solution\n   For it is so.\n   ```", 6),
    ("", 0),
])  # fmt: skip
def test_words_that_are_read(text, count):
    """Numbers of lists are read too; formulas, labels, marks and computed values are not."""
    assert words(text) == count


def test_minutes_are_those_of_text_and_of_what_is_glued(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    cells = [
        {"cell_type": "markdown", "source": ["word " * (PACE - 2), "\nand one"]},
        {"cell_type": "code", "source": "code " * 9 * PACE},
    ]
    (tmp_path / "notebooks" / "a_study.ipynb").write_text(json.dumps({"cells": cells}))
    assert minutes("a_study") == "1"
    assert minutes("a_study", ["word"]) == "2" and minutes("a_study", ["word " * PACE, "word"]) == "3"


def test_a_page_says_what_becomes_of_images_that_are_not_exact():
    results = Study(PLANS["severity_degradation"], seeds=[0]).results()
    record = results.records[0]
    named = replace(results, records=[record | {"data": record["data"] | {"source": "mine (1,234 exact)"}}])
    told = "mine (1,234 exact images: the others differ from the originals and are not trained on), resnet"
    assert f"Preset {results.preset}: {told}" in foundations(named)
    whole = replace(results, records=[record | {"data": record["data"] | {"source": "scenes (rendered, protocol 1)"}}])
    assert f"Preset {results.preset}: scenes (rendered, protocol 1), resnet" in foundations(whole)


def test_runs_that_are_stale_are_folded_and_all_else_is_said():
    results = Study(PLANS["severity_degradation"], seeds=[0]).results()
    sound = replace(results, standings=[])
    on = f'<p class="standing">{foundations(results)}</p>'
    assert figures.standing(sound).data == f"{on}<p>{standing_words(sound)}</p>"
    if standing_words(results) != standing_words(sound):
        folded = figures.standing(results).data
        assert folded.startswith(f'{on}<details class="standing">') and f"<summary>{SOME}</summary>" in folded
