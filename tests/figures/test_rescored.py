"""Table, chart and sentences say what the published numbers say, and other numbers make other sentences."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from lib.chapters.severity import rescored
from lib.chapters.severity.published import MODELS, RESNETS, chhipa2023, rankings, scores
from lib.figures import table
from lib.figures.style import LOOK


@pytest.fixture(scope="module")
def numbers():
    return chhipa2023()


@pytest.fixture(scope="module")
def figure(numbers):
    return rescored.rescored_ranks(numbers)


@pytest.fixture(scope="module")
def facts():
    return rescored.rescored_facts()


def test_table(numbers):
    found = rescored.rescored_table(numbers)
    assert list(found) == ["model", "mean error (%)", "mCE (%)", "RmCE as stored (%)", "relative mCE (%)"]
    assert list(found["model"]) == [
        "Supervised", "DINO ViT-S/8", "SwAV", "DINO", "BYOL", "Barlow Twins", "SimSiam", "SimCLR",
    ]  # fmt: skip
    assert list(found.iloc[3])[1:] == ["71.5", "93.9", "72.9", "145.0"]
    assert "145.0" in table(found).data


def test_lines_are_the_ranks(figure, numbers):
    ranks = rankings(scores(numbers))[list(rescored.RANKED)]
    lines = figure.drawing.axes[0].get_lines()
    assert len(lines) == len(MODELS)
    for model, line in zip(MODELS, lines, strict=True):
        assert list(line.get_ydata()) == list(ranks.loc[model])
        assert line.get_color() == LOOK["dino" if model == "dino_vit" else model]["color"]
    assert len({line.get_marker() for line in lines}) == len(MODELS)
    thick = [model for model, line in zip(MODELS, lines, strict=True) if line.get_linewidth() > 2]
    assert thick == ["simclr", "dino"]


def test_names_stand_at_the_ends(figure):
    words = [(text.xy, text.get_text()) for text in figure.drawing.axes[0].texts]
    assert ((0, 8), "SimCLR  8") in words and ((3, 4), "4  SimCLR") in words and len(words) == 2 * len(MODELS)


def test_words_of_the_figure(figure):
    assert figure.name == "fig-rescored" and "\n" not in figure.caption
    assert "SimCLR: 8, 7, 4 and 4" in figure.alt and "DINO: 4, 4, 8 and 8" in figure.alt
    for caveat in ("probably measured without normalisation", "two protocols", "another pipeline", "no interval"):
        assert caveat in figure.caption + figure.notes
    assert rescored.ranking_flip(figure.data) in figure.notes
    bundle = figure._repr_mimebundle_()
    assert '<details class="data">' in bundle["text/html"] and "nan" not in figure._table()
    assert figure.picture() == rescored.rescored_ranks().picture()


def test_facts(facts):
    assert len(set(facts.values())) == 6
    for text in facts.values():
        assert text.endswith(".") and text[0].isupper() and not re.search(r"nan|None|\d\.\d{3}|\n", text)
    flip = facts["ranking-flip"]
    assert "SimCLR has the highest mean error (76.0 %) and the second lowest degradation" in flip
    assert "DINO has the second lowest mean error (71.5 %) and the highest degradation" in flip
    weather = facts["weather-worst"]
    assert "SimCLR, SimSiam, BYOL, Barlow Twins and DINO, 0.7, 1.7, 2.4, 1.9 and 2.3 points above blur" in weather
    assert "blur is the worst for SwAV, Supervised and DINO ViT-S/8, 1.1, 7.6 and 7.5 points above weather" in weather
    assert "weather is the worst for no model; blur is the worst for every model" in facts["weather-worst-in-benchmark"]
    assert "12.1 to 14.6 points too low (SimSiam: 50.6 % for 65.2 %)" in facts["digital-typo"]
    assert "for all six models drawn, and SwAV has the lowest digital error, not DINO" in facts["digital-typo"]
    constant = facts["stored-clean-error"]
    assert all(number in constant for number in ("76.13", "23.87", "53.6 %", "42.1 %", "4.7 points", "16.2"))


def test_pairs_in_another_order(facts, numbers):
    """The numbers of the sentence by a double loop; the formula's effect by its closed form."""
    found = scores(numbers).loc[list(RESNETS)]
    for metric in ("RmCE as stored", "relative mCE"):
        crossed = 0
        for i, a in enumerate(RESNETS):
            for b in RESNETS[i + 1 :]:
                by_error = found.loc[a, "mean error"] < found.loc[b, "mean error"]
                crossed += by_error != (found.loc[a, metric] < found.loc[b, metric])
        assert f"{crossed} of 15 by {metric}" in facts["rmce-formula"]
    gap = (43.5 * numbers.errors.mean(axis=1) - 100 * numbers.clean) / 456.5
    assert f"within {gap.abs().max():.1f} points" in facts["rmce-formula"]


def test_other_numbers_make_other_sentences(numbers):
    """All errors are 10 % (SimCLR: 60 %), with fog 3 points more; clean ones 5 % (30 %). So SimCLR is last by both."""
    errors = pd.DataFrame(10.0, index=list(MODELS), columns=numbers.errors.columns)
    errors.loc["simclr"] = 60.0
    errors["fog"] += 3
    errors.loc["byol", "contrast"] = 4.0
    clean = pd.Series(5.0, index=list(MODELS))
    clean["simclr"] = 30.0
    found = rescored.rescored_facts(replace(numbers, errors=errors, clean=clean))
    assert "SimCLR has the highest mean error (60.2 %) and the highest degradation" in found["ranking-flip"]
    assert "while" not in found["ranking-flip"] and "0 of 15 by relative mCE" in found["rmce-formula"]
    assert "weather is the worst for every model, 1.0 to 1.0 points above noise" in found["weather-worst"]
    assert "0.7 to 10.0 points too low (SimCLR: 50.0 % for 60.0 %)" in found["digital-typo"]
    assert "for one of the six models drawn, and BYOL has the lowest digital error" in found["digital-typo"]


@pytest.mark.parametrize(("value", "words"), [(1, "lowest"), (2, "second lowest"), (9, "third lowest")])
def test_places(value, words):
    values = pd.Series([1, 2, 9], index=["a", "b", "c"])
    assert rescored._place(values, values.index[values == value][0]) == words
