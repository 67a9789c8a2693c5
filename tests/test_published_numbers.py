"""The published numbers are whole, and scored as the benchmark says; references are by hand and from plain loops."""

import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib import paths
from lib.chapters.negatives import published as negatives
from lib.chapters.relicv2 import published as relicv2
from lib.chapters.severity import published
from lib.chapters.severity.published import GROUPS, MODELS, NINETEEN, RESNETS
from lib.errors import BadInput
from lib.shifts.corruptions import CORRUPTIONS
from lib.shifts.corruptions import GROUPS as BENCHMARK_GROUPS

FILES = ("chhipa2023.csv", "chhipa2023_summaries.csv", "alexnet_imagenet_c.csv")


@pytest.fixture(scope="module")
def numbers():
    return published.chhipa2023()


@pytest.fixture(scope="module")
def scores(numbers):
    return published.scores(numbers)


def test_the_files_agree_with_each_other(numbers):
    """Three ways to the mean error: by corruption, by severity, and as stored; each was rounded to two decimals."""
    assert numbers.errors.shape == (8, 19) and numbers.by_severity.shape == (8, 5)
    means = numbers.errors.mean(axis=1)
    assert np.allclose(means, numbers.by_severity.mean(axis=1), atol=0.01)
    assert np.allclose(means, numbers.summaries["mce"], atol=0.01)
    assert (numbers.summaries["mce"] == numbers.summaries["err_rate"]).all()
    stored = numbers.summaries["clean_error"]
    assert (stored.drop("supervised") == numbers.clean.drop("supervised")).all()
    assert stored["supervised"] + numbers.clean["supervised"] == pytest.approx(100)


def test_groups_hold_each_corruption_once():
    assert len(NINETEEN) == len(set(NINETEEN)) == 19 and set(CORRUPTIONS) < set(NINETEEN)
    assert "brightness" in GROUPS["digital"] and "brightness" in BENCHMARK_GROUPS["weather"]


MCE = {"simclr": 99.3, "simsiam": 99.3, "barlow_twins": 96.8, "byol": 96.6, "dino": 93.9, "swav": 92.4,
       "supervised": 69.3, "dino_vit": 76.2}  # fmt: skip
RELATIVE = {"simclr": 132.7, "simsiam": 137.2, "barlow_twins": 141.7, "byol": 141.4, "dino": 145.0, "swav": 126.6,
            "supervised": 88.6, "dino_vit": 116.0}  # fmt: skip
DEGRADATION = {"simclr": 42.89, "simsiam": 44.07, "barlow_twins": 45.60, "byol": 45.57, "dino": 46.81, "swav": 40.96,
               "supervised": 29.82, "dino_vit": 36.98}  # fmt: skip
MEAN_15 = {"simclr": 78.05, "simsiam": 78.08, "barlow_twins": 76.26, "byol": 76.05, "dino": 74.07, "swav": 72.75,
           "supervised": 54.76, "dino_vit": 60.15}  # fmt: skip


@pytest.mark.parametrize(
    ("metric", "expected", "tolerance"),
    [("mCE", MCE, 0.1), ("relative mCE", RELATIVE, 0.1), ("degradation", DEGRADATION, 0.011),
     ("mean error of 15", MEAN_15, 0.011)],
)  # fmt: skip
def test_known_scores(scores, metric, expected, tolerance):
    """As computed from the unrounded errors of the paper's files, apart from this code."""
    assert dict(scores[metric]) == pytest.approx(expected, abs=tolerance)


def test_scores_by_plain_loops(numbers, scores):
    for model in MODELS:
        ratios, relative = [], []
        for name in CORRUPTIONS:
            error, base = numbers.errors.loc[model, name], numbers.alexnet[name]
            ratios.append(error / base)
            relative.append((error - numbers.clean[model]) / (base - 43.5))
        assert scores.loc[model, "mCE"] == pytest.approx(100 * sum(ratios) / 15)
        assert scores.loc[model, "relative mCE"] == pytest.approx(100 * sum(relative) / 15)


def test_alexnet_by_itself_scores_a_hundred(numbers):
    """By definition of both metrics; the four extra corruptions have no part in them."""
    alexnet = pd.concat([numbers.alexnet, pd.Series(0.0, index=[n for n in NINETEEN if n not in CORRUPTIONS])])
    own = published.Published(
        errors=pd.DataFrame({"alexnet": alexnet}).T[list(NINETEEN)],
        clean=pd.Series({"alexnet": numbers.alexnet_clean}),
        by_severity=numbers.by_severity.iloc[:0],
        summaries=pd.DataFrame({"rmce": [0.0]}, index=["alexnet"]),
        alexnet=numbers.alexnet,
        alexnet_clean=numbers.alexnet_clean,
    )
    found = published.scores(own).loc["alexnet"]
    assert found["mCE"] == pytest.approx(100) and found["relative mCE"] == pytest.approx(100)


def test_the_papers_formula_gives_the_stored_numbers(numbers, scores):
    stored = numbers.summaries
    found = published.paper_rmce(numbers.errors, stored["clean_error"])
    assert dict(found) == pytest.approx(dict(stored["rmce"]), abs=0.01)
    assert found["supervised"] == pytest.approx(42.13, abs=0.01)
    assert scores.loc["supervised", "RmCE"] == pytest.approx(53.6, abs=0.05)


def test_the_papers_formula_by_hand():
    """Means of 50 and 60 % are sums of 250 and 300; less 20 and over 456.5: 50.38 and 61.34 %, mean 55.86 %."""
    errors = pd.DataFrame({"fog": [50.0], "snow": [60.0]}, index=["a"])
    assert published.paper_rmce(errors, pd.Series({"a": 20.0}))["a"] == pytest.approx(55.86, abs=0.01)
    assert published.degradation(errors, pd.Series({"a": 20.0}))["a"] == 35


GROUP_MEANS = {  # noise, blur, weather, digital, digital as plotted
    "barlow_twins": (73.99, 81.03, 82.97, 63.04, 48.79), "byol": (74.18, 80.60, 82.98, 63.14, 49.12),
    "simclr": (77.46, 83.36, 84.04, 64.61, 51.31), "simsiam": (75.10, 83.42, 85.17, 65.24, 50.64),
    "swav": (71.85, 78.38, 77.26, 59.31, 47.22), "dino": (73.31, 77.93, 80.18, 60.34, 47.13),
    "supervised": (56.97, 62.44, 54.89, 43.06, 33.71), "dino_vit": (52.83, 69.25, 61.74, 48.80, 36.35),
}  # fmt: skip


def test_known_group_means(numbers):
    found = published.group_means(numbers.errors).assign(plotted=published.digital_as_plotted(numbers.errors))
    assert list(found)[:4] == ["noise", "blur", "weather", "digital"]
    for model, expected in GROUP_MEANS.items():
        assert tuple(found.loc[model]) == pytest.approx(expected, abs=0.011)


def test_the_plot_lacks_a_sixth_of_contrast(numbers):
    missing = published.group_means(numbers.errors)["digital"] - published.digital_as_plotted(numbers.errors)
    assert np.allclose(missing, numbers.errors["contrast"] / 6)


def test_weather_is_worst_for_five_models_and_in_the_benchmarks_groups_for_none(numbers):
    worst = published.group_means(numbers.errors).idxmax(axis=1)
    assert set(worst.index[worst == "weather"]) == set(RESNETS) - {"swav"}
    assert (worst[["swav", "supervised", "dino_vit"]] == "blur").all()
    assert (published.group_means(numbers.errors, BENCHMARK_GROUPS).idxmax(axis=1) == "blur").all()


def test_group_means_by_hand():
    errors = pd.DataFrame({"fog": [10.0, 1.0], "snow": [20.0, 3.0], "blur": [7.0, 8.0]}, index=["a", "b"])
    found = published.group_means(errors, {"weather": ("fog", "snow"), "other": ("blur",)})
    assert found.to_dict() == {"weather": {"a": 15, "b": 2}, "other": {"a": 7, "b": 8}}


def test_the_ranking_flips(scores):
    six = published.rankings(scores.loc[list(RESNETS)])
    assert (six.loc["simclr", "mean error"], six.loc["dino", "mean error"]) == (6, 2)
    for metric in ("degradation", "relative mCE"):
        assert (six.loc["simclr", metric], six.loc["dino", metric]) == (2, 6)
    assert (six.loc["simclr", "RmCE as stored"], six.loc["dino", "RmCE as stored"]) == (5, 2)


@given(st.lists(st.integers(0, 10), min_size=1, max_size=8))
def test_ranks_count_the_lower_scores(values):
    ranks = published.rankings(pd.DataFrame({"score": values}, dtype=float))["score"]
    assert list(ranks) == [1 + sum(other < value for other in values) for value in values]


@pytest.fixture
def copy(tmp_path):
    for name in FILES:
        shutil.copy(paths.RESULTS / "papers" / name, tmp_path)
    return tmp_path


def test_the_folder_can_be_another(copy, numbers):
    pd.testing.assert_frame_equal(published.chhipa2023(copy).errors, numbers.errors)


@pytest.mark.parametrize("name", FILES)
def test_missing_or_empty_or_binary_files(copy, name):
    path = copy / name
    for content in (b"", b"\xff\xfe\x00\x01", b'method,"shift\n'):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=f"{name} is damaged.*restore it"):
            published.chhipa2023(copy)
    path.unlink()
    with pytest.raises(BadInput, match=f"{name} could not be read .*part of the repository"):
        published.chhipa2023(copy)


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_needed_and_none_twice(copy, name):
    path = copy / name
    lines = path.read_text().splitlines()
    for damaged in (lines[:-1], [*lines, lines[-1]], [*lines[:-1], "x" + lines[-1]]):
        path.write_text("\n".join(damaged))
        with pytest.raises(BadInput, match="restore it"):
            published.chhipa2023(copy)


@pytest.mark.parametrize("value", ["", "nan", "many", "-1", "100.5", "inf"])
def test_values_are_percentages(copy, value):
    path = copy / "chhipa2023.csv"
    path.write_text(path.read_text().replace("byol,fog,0,86.43", f"byol,fog,0,{value}"))
    with pytest.raises(BadInput, match="damaged: byol, fog, 0 has .* from 0 to 100"):
        published.chhipa2023(copy)


def test_columns_are_named(copy):
    path = copy / "alexnet_imagenet_c.csv"
    path.write_text(path.read_text().replace("shift,error", "corruption,error"))
    with pytest.raises(BadInput, match="its columns should be shift, error"):
        published.chhipa2023(copy)


def test_ge_is_what_was_printed():
    table = negatives.ge2021()
    assert [(line.model, line.queue) for line in table.itertuples()] == [
        (model, queue) for model, queue, _ in negatives.GE
    ]
    assert list(table["alpha"].dropna()) == [2, 2, 3, 2, 2, 2] and table["alpha"].isna().sum() == 3
    first = table.iloc[0]
    assert [first[name] for name in negatives.GE_SETS] == [77.88, 43.08, 28.24, 16.20, 32.92]
    assert [first[f"{name}_std"] for name in negatives.GE_SETS] == [0.28, 0.27, 0.58, 0.55, 0.12]
    gains = table.iloc[2][list(negatives.GE_SETS)] - first[list(negatives.GE_SETS)]  # patches, as their text has it
    assert [round(gain, 2) for gain in gains] == [1.47, 2.05, 3.52, 1.17, 1.86]


def test_slips_of_ge_are_noted_and_kept():
    table = negatives.ge2021()
    odd = table[table["note"] != ""]
    assert list(odd["model"]) == ["MoCo*", "MoCo + Patch*"] and list(odd["queue"]) == [65_536, 16_394]
    repeated = (table["rendition"] == table["sketch"]) & (table["rendition_std"] == table["sketch_std"])
    assert list(table.index[repeated]) == [odd.index[0]]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("77.88", "177.88", "MoCo, 16384,  has a value"),
        ("31.76", "", "MoCo . Patch, 16384, 2 has a value"),
        ("16394,2", "16384,2", "missing, unknown or given twice"),
        (",note", ",remark", "columns should be model, queue, alpha, clean, clean_std"),
    ],
)
def test_damaged_numbers_of_ge(tmp_path, old, new, words):
    text = (paths.RESULTS / "papers" / "ge2021.csv").read_text()
    (tmp_path / "ge2021.csv").write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=f"ge2021.csv is damaged: .*{words}.*restore it"):
        negatives.ge2021(tmp_path)


def test_tomasev_is_what_was_read():
    table = relicv2.tomasev2022()
    assert list(zip(table["quantity"], table["model"], strict=True)) == list(relicv2.TOMASEV)
    values = table.set_index(["quantity", "model"])["value"]
    assert list(values[relicv2.IMAGENET]) == [77.1, 78.7, 79.3, 79.8, 80.6]
    assert dict(values["Cityscapes val, mIoU"]) == {"ReLICv2": 75.2, "BYOL": 74.6}
    assert list(values["ObjectNet, linear probe, top-1"]) == [25.9, 23.8, 14.6]
    assert list(values[relicv2.PROBED]) == [82.53, 71.07, 84.19]
    assert values[relicv2.CLUSTERED, "a third party's ReLIC"] == 79.26  # no neighbour votes there
    assert set(table.loc[table["unit"] == "points", "quantity"]) == {relicv2.LEAD}
    assert not table["source"].str.contains("http|www").any()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (",77.1,", ",771,", "ResNet-50 has a value"),
        (",82.53,", ",,", "100 epochs has a value"),
        ('val, mIoU",BYOL', 'val, mIoU",BYOLv2', "missing, unknown or given twice"),
        ("2.3,points", "2.3,percent", "a unit is neither % nor points"),
        (",%,abstract\n", ",%,\n", "a source is missing"),
        (",unit,", ",units,", "columns should be quantity, model, value, unit, source"),
    ],
)
def test_damaged_numbers_of_tomasev(tmp_path, old, new, words):
    text = (paths.RESULTS / "papers" / "tomasev2022.csv").read_text()
    assert old in text
    (tmp_path / "tomasev2022.csv").write_text(text.replace(old, new))
    with pytest.raises(BadInput, match=f"tomasev2022.csv is damaged: .*{words}.*restore it"):
        relicv2.tomasev2022(tmp_path)
