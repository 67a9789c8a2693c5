"""Figures say in words and tables what they draw, and draw what the rows say."""

import io
import re

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch

from lib import figures
from lib.figures import words
from lib.figures.severity import curves, summary
from lib.figures.style import LOOK
from lib.measures.corruption_error import error_rows
from lib.methods import METHODS
from lib.runs import Results, RunConfig
from lib.shifts.corruptions import CORRUPTIONS

METHODS_SHOWN = ("simclr", "byol", "random")


@pytest.fixture(scope="module")
def rows():
    """Three methods, three seeds; error grows with severity, faster for some corruptions than for others."""
    generator, tables = np.random.default_rng(0), []
    for m, method in enumerate(METHODS_SHOWN):
        for seed in range(3):
            chance = 0.2 + 0.1 * m + 0.02 * np.arange(15)[:, None] * np.arange(1, 6) / 3
            grid = generator.random((15, 5, 60)) < chance[..., None]
            clean = generator.random(60) < 0.2 + 0.1 * m
            tables.append(error_rows(clean, grid).assign(method=method, seed=seed))
            accuracy = [("none", 0, f"{kind} accuracy", 70.0 - m + seed, 0.5, 60) for kind in ("knn", "probe")]
            names = ["shift", "severity", "metric", "value", "standard_error", "images"]
            tables.append(pd.DataFrame(accuracy, columns=names).assign(method=method, seed=seed))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def results(rows):
    records = [
        {
            "key": f"{method}{seed}",
            "config": RunConfig("scenes", method, "resnet10", seed).to_dict(),
            "data": {"source": "made up", "checksum": "0" * 64, "train_images": 1234},
        }
        for method in METHODS_SHOWN
        for seed in range(3)
    ]
    return Results(records, rows, "small", stale=False)


def drawn(rows):
    pictures = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    return [
        figures.error_by_severity(rows, "Scope."),
        figures.error_by_group(rows, "Scope."),
        figures.error_by_corruption(rows, "Scope."),
        figures.examples(pictures, ["fog", "contrast"]),
    ]


def test_every_figure_has_words_and_data(rows):
    for figure in drawn(rows):
        bundle = figure._repr_mimebundle_()
        for text in bundle.values():
            assert "<details>" in text and "Data behind this figure" in text
        assert bundle["text/markdown"].startswith("```{figure} data:image/")
        assert f":name: {figure.name}" in bundle["text/markdown"] and figure.caption in bundle["text/markdown"]
        alt = re.search(r'alt="([^"]*)"', bundle["text/html"]).group(1)
        assert len(alt) > 40 and "nan" not in alt and not re.search(r"[0-9a-f]{32}", alt)
        assert len(figure.data) and figure.caption.count("\n") == 0


def test_names_are_unique_and_pictures_repeat(rows):
    first, second = drawn(rows), drawn(rows)
    assert len({figure.name for figure in first}) == len(first)
    for a, b in zip(first[:3], second[:3], strict=True):
        assert a.picture() == b.picture()
    image = matplotlib.image.imread(io.BytesIO(first[3].picture()))
    assert image.ndim == 3 and image.std() > 0.05


def test_lines_are_the_means_of_the_rows(rows):
    figure = figures.error_by_severity(rows, "")
    lines = {line.get_label(): line.get_ydata() for line in figure.drawing.axes[0].get_lines()}
    for method in METHODS_SHOWN:
        of_method = rows[(rows["method"] == method) & (rows["metric"] == "error")]
        expected = [of_method[of_method["shift"] == "none"]["value"].mean()]
        expected += [
            of_method[(of_method["shift"] == "all") & (of_method["severity"] == s)]["value"].mean() for s in range(1, 6)
        ]
        assert np.allclose(lines[METHODS[method].title], expected)


def test_alternative_text_names_the_numbers(rows):
    table = curves(rows, "all").set_index(["method", "severity"])["mean"]
    alt = figures.error_by_severity(rows, "").alt
    for method in METHODS_SHOWN:
        assert f"{METHODS[method].title} rises from {table[method, 0]:.0f} to {table[method, 5]:.0f} percent" in alt


def test_every_method_has_a_look_of_its_own():
    assert set(LOOK) == set(METHODS)
    for what in ("color", "marker"):
        assert len({look[what] for look in LOOK.values()}) == len(LOOK)


def test_summary_by_hand():
    rows = pd.DataFrame(
        [("simclr", "fog", 1, "error", v, 0.0) for v in (40, 41, 42)],
        columns=["method", "shift", "severity", "metric", "value", "standard_error"],
    )
    line = summary(rows).iloc[0]
    assert (line["mean"], line["seeds"]) == (41, 3)
    assert line["high"] - line["mean"] == pytest.approx(4.3027 / 3**0.5, abs=1e-3)


def test_tables(rows, results):
    assert list(figures.ranking(rows, METHODS_SHOWN)["method"]) == ["SimCLR", "BYOL", "Random weights"]
    accuracy = figures.accuracy_table(rows)
    assert accuracy.iloc[0]["knn accuracy (%)"].startswith("71.0 [")
    protocol = figures.protocol(results).set_index("method")
    assert protocol.loc["SimCLR", "images"] == "1,234" and protocol.loc["Random weights", "epochs"] == "none"
    text = figures.table(pd.DataFrame({"interval": ["5.8 [-0.6, 11.1]"], "words": ["SGD, 0.1 [a, b]"]})).data
    assert "<table" in text and "5.8 [-0.6,&nbsp;11.1]" in text and "SGD, 0.1 [a, b]" in text


def test_sentences(rows, results):
    found = words.severity_answer(rows)
    assert "SimCLR and BYOL" in found["answer-error"] and "SimCLR errs least" in found["answer-rank"]
    assert found["order-by-error"] == "SimCLR, BYOL"
    table = figures.ranking(rows, METHODS_SHOWN).set_index("method")
    losses = table["relative error rCE (points)"].str.split().str[0].astype(float)
    assert found["least-loss"].startswith(f"{losses.idxmin()} ({losses.min():.1f} points")
    scope = words.scope(results)
    assert scope.startswith("Preset small: made up, resnet10, 1,234 training images") and "3 seeds" in scope
    assert "Stale" in words.scope(Results(results.records, rows, "small", stale=True))


@pytest.mark.parametrize(("items", "expected"), [([], "none"), (["a"], "a"), (["a", "b"], "a and b"),
                                                 (["a", "b", "c"], "a, b and c")])  # fmt: skip
def test_listed(items, expected):
    assert words.listed(items) == expected


def test_span():
    assert words.span([41.2, 44.7]) == "41 to 45 %" and words.span([40.6, 41.4]) == "41 %"


def test_where_error_does_not_rise():
    """By hand: three seeds that differ by the same in every cell, so that only the images make an interval."""
    table = [("simclr", seed, "none", 0, "error", 40.0 + seed, 0.1) for seed in range(3)]
    shapes = {"fog": (41, 45, 50, 55, 60), "snow": (50, 55, 45, 55, 60), "frost": (45, 50, 49.9, 55, 60),
              "pixelate": (40, 40.1, 40.1, 40.2, 40.2)}  # fmt: skip
    for name in CORRUPTIONS:
        for severity, error in enumerate(shapes.get(name, shapes["fog"]), 1):
            table += [("simclr", seed, name, severity, "error", error + seed, 0.1) for seed in range(3)]
    names = ["method", "seed", "shift", "severity", "metric", "value", "standard_error"]
    found = words._where_error_does_not_rise(pd.DataFrame(table, columns=names), ["simclr"])
    assert found == (["pixelate"], ["snow"], ["frost"])


def test_cost_at_the_last_severity_by_hand():
    cells = {("simclr", "none", 0): 40, ("simclr", "fog", 5): 43, ("simclr", "snow", 5): 41,
             ("supervised", "none", 0): 30, ("supervised", "fog", 5): 50, ("supervised", "snow", 5): 40}  # fmt: skip
    errors = pd.Series(cells).rename_axis(["method", "shift", "severity"])
    sentence = words._cost_at_last_severity(errors, ["fog", "snow"], ["simclr"])
    assert (
        "add 2.0 points to the clean error of SimCLR and" in sentence
        and "15.0 points to that of the supervised" in sentence
    )
    assert "supervised reference" not in words._cost_at_last_severity(errors.drop("supervised"), ["fog"], ["simclr"])
    assert words._cost_at_last_severity(errors, [], ["simclr"]) == "There is no such corruption in these rows."
