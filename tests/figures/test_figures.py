"""Figures say in words and tables what they draw, and draw what the rows say."""

import io
from itertools import combinations

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import torch
from contract import check_words
from matplotlib.text import Text
from shorthand import share_ends, unfolded

from lib import figures
from lib.chapters import severity as chapter
from lib.chapters.severity import words
from lib.chapters.severity.errors import curves
from lib.figures.levels import summary
from lib.figures.prose import listed, scope, span
from lib.figures.style import LOOK
from lib.measures.corruption_error import MEASURED, error_rows
from lib.methods import METHODS
from lib.runs import Results, RunConfig
from lib.shifts.corruptions import EVERY, GROUPS, corrupted_alike

PICTURE = torch.randint(256, (3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
METHODS_SHOWN = ("simclr", "byol", "random")
EIGHT = ("simclr", "byol", "simsiam", "dino", "barlow_twins", "swav", "supervised", "random")


def made_up(methods, apart):
    """Three seeds; error grows with severity, faster for some corruptions than for others.

    From each method to the next, all errors grow by about `apart` (in 0..1).
    """
    generator, tables = np.random.default_rng(0), []
    for m, method in enumerate(methods):
        for seed in range(3):
            chance = 0.2 + apart * m + 0.016 * np.arange(len(MEASURED))[:, None] * np.arange(1, 6) / 3
            grid = generator.random((len(MEASURED), 5, 60)) < chance[..., None]
            clean = generator.random(60) < 0.2 + apart * m
            tables.append(error_rows(clean, grid).assign(method=method, seed=seed))
            accuracy = [("none", 0, f"{kind} accuracy", 70.0 - m + seed, 0.5, 60) for kind in ("knn", "probe")]
            names = ["shift", "of", "metric", "value", "standard_error", "images"]
            tables.append(unfolded(pd.DataFrame(accuracy, columns=names)).assign(method=method, seed=seed))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture(scope="module")
def rows():
    return made_up(METHODS_SHOWN, 0.1)


@pytest.fixture(scope="module")
def eight():
    """Rows of eight methods that end within a few points of each other."""
    return made_up(EIGHT, 0.005)


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


@pytest.fixture(scope="module")
def sheets():
    return figures.contact_sheet(PICTURE).figures


@pytest.fixture(scope="module")
def shown(rows, sheets):
    return [
        chapter.error_by_severity(rows, "Scope."),
        chapter.error_by_group(rows, "Scope."),
        chapter.error_by_corruption(rows, "Scope."),
        sheets["severity 3"],
    ]


def test_tabs_hold_every_figure_once(sheets):
    tabs = figures.Tabs({"a <b>": sheets["severity 1"], "c": sheets["severity 5"]})
    bundle = tabs._repr_mimebundle_()
    book, page = bundle["text/markdown"], bundle["text/html"]
    assert book.startswith("`````{tab-set}\n````{tab-item} a <b>\n:sync: a <b>\n\n```{figure} data:")
    assert book.endswith("`````\n")
    assert book.count("{tab-item}") == book.count("````{tab-item}") == 2 == page.count("<figure>")
    assert page.count("<details open>") == 1 and "<summary>a &lt;b&gt;</summary>" in page
    assert "severity 1" in repr(tabs) and "severity 5" in repr(tabs)


def test_the_contact_sheet_shows_every_corruption_as_it_is(sheets):
    assert list(sheets) == ["severity 1", "severity 3", "severity 5"]
    sheet = sheets["severity 3"]
    assert list(sheet.data["corruption"]) == ["clean", *EVERY]
    shown = [axes.images[0].get_array() for axes in sheet.drawing.axes if axes.images]
    for name, image in zip(EVERY, shown[1:], strict=True):
        assert np.array_equal(image, corrupted_alike(PICTURE[None], name, 3)[0].permute(1, 2, 0).numpy()), name
    change = (corrupted_alike(PICTURE[None], "fog", 3).float() - PICTURE.float()).abs().mean().item()
    assert sheet.data.set_index("corruption").iloc[:, 0]["fog"] == pytest.approx(change)


def test_a_sheet_is_a_figure_of_pixels(shown):
    figure = shown[3]
    check_words(figure)
    myst = figure._repr_mimebundle_()["text/markdown"]
    assert myst.startswith("```{figure} data:image/png") and f":name: {figure.name}" in myst
    image = matplotlib.image.imread(io.BytesIO(figure.picture()))
    assert image.ndim == 3 and image.std() > 0.05
    assert len({figure.name for figure in shown}) == len(shown)


def test_lines_are_the_means_of_the_rows(rows):
    figure = chapter.error_by_severity(rows, "")
    lines = {line.get_label(): line.get_ydata() for line in figure.drawing.axes[0].get_lines()}
    for method in METHODS_SHOWN:
        of_method = rows[(rows["method"] == method) & (rows["metric"] == "error")]
        expected = [of_method[of_method["shift"] == "none"]["value"].mean()]
        expected += [
            of_method[(of_method["shift"] == "all") & (of_method["level"] == s)]["value"].mean() for s in range(1, 6)
        ]
        assert np.allclose(lines[METHODS[method].title], expected)


def test_alternative_text_names_the_numbers(rows, unlaid):
    table = curves(rows, "all").set_index(["method", "severity"])["mean"]
    alt = chapter.error_by_severity(rows, "").alt
    for method in METHODS_SHOWN:
        assert f"{METHODS[method].title} rises from {table[method, 0]:.0f} to {table[method, 5]:.0f} percent" in alt


def boxes(drawing, texts):
    """Where the words stand on the drawing, in pixels."""
    drawing.draw_without_rendering()
    return [Text.get_window_extent(text) for text in texts if text.get_text()]  # without an annotation's line


def test_panels_of_all_corruptions(rows, shown):
    figure = shown[2]
    panels, legend = figure.drawing.axes, figure.drawing.legends[0]
    assert [axes.get_title().replace("\n", "_") for axes in panels] == [
        *MEASURED,
        *[""] * (len(panels) - len(MEASURED)),
    ]
    for axes, name in zip(panels, MEASURED, strict=False):
        for method, line in zip(METHODS_SHOWN, axes.get_lines(), strict=True):
            cells = rows[(rows["method"] == method) & (rows["metric"] == "error") & (rows["shift"] == name)]
            for level in range(1, 6):
                expected = cells[cells["level"] == level]["value"].mean()
                assert line.get_ydata()[level] == pytest.approx(expected)
    assert figure.alt.startswith(f"{len(MEASURED)} line charts") and "Scope." in figure.caption
    assert [text.get_text() for text in legend.get_texts()] == [METHODS[method].title for method in METHODS_SHOWN]


def test_eight_methods_are_told_apart(eight):
    """Words at the ends of lines and in legends neither overlap nor cover a panel, however close the lines are."""
    ends = chapter.error_by_severity(eight, "")
    axes = ends.drawing.axes[0]
    found = boxes(ends.drawing, axes.texts)
    assert len(found) == len(EIGHT) and all(box.x0 > axes.get_window_extent().x1 for box in found)
    letters = [box.shrunk(1, 0.7) for box in found]  # without the space between lines
    assert not any(a.overlaps(b) for a, b in combinations(letters, 2))
    for figure in (chapter.error_by_group(eight, ""), chapter.error_by_corruption(eight, "")):
        legend = figure.drawing.legends[0]
        found = boxes(figure.drawing, legend.get_texts())
        assert len(found) == len(EIGHT) and not any(a.overlaps(b) for a, b in combinations(found, 2))
        panels = [axes for axes in figure.drawing.axes if axes.axison]
        assert not any(legend.get_window_extent().overlaps(axes.get_tightbbox()) for axes in panels)
        width = figure.drawing.get_tightbbox().width * 72  # points
        assert min(text.get_fontsize() for text in legend.get_texts()) * 350 / width > 7.5  # on a phone, in pixels


def test_a_look_is_a_method_s_own():
    assert set(LOOK) <= set(METHODS)
    for what in ("color", "marker"):
        assert len({look[what] for look in LOOK.values()}) == len(LOOK)


def test_summary_by_hand():
    rows = pd.DataFrame(
        [("simclr", seed, "fog", 1, "error", 40 + seed, 0.0) for seed in range(3)],
        columns=["method", "seed", "shift", "level", "metric", "value", "standard_error"],
    )
    line = summary(rows).iloc[0]
    assert (line["mean"], line["seeds"]) == (41, 3)
    assert list(line[["mean", "low", "high"]]) == pytest.approx(share_ends({"simclr": 41.0}, "simclr", 0.0))


def test_tables(rows, results):
    assert list(figures.ranking(rows, METHODS_SHOWN)["method"]) == ["SimCLR", "BYOL", "Random weights"]
    accuracy = figures.accuracy_table(rows)
    assert accuracy.iloc[0]["knn accuracy (%)"].startswith("71.0 [")
    protocol = figures.protocol(results).set_index("method")
    assert protocol.loc["SimCLR", "views of an image"] == "2 of 32 px"
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
    told = scope(results)
    assert told.startswith("Preset small: ") and told.endswith(", 3 seeds.")
    assert "stale in part" in scope(Results(results.records, rows, "small", stale=True))


@pytest.mark.parametrize(("items", "expected"), [([], "none"), (["a"], "a"), (["a", "b"], "a and b"),
                                                 (["a", "b", "c"], "a, b and c")])  # fmt: skip
def test_listed(items, expected):
    assert listed(items) == expected


def test_span():
    assert span([41.2, 44.7]) == "41 to 45 %" and span([40.6, 41.4]) == "41 %"


def test_words_on_transformers_by_hand():
    cells = [("resnet10", "simclr", 8.0), ("resnet10", "byol", 6.0), ("vit_tiny_patch4", "simclr", 11.0)]
    columns = ["encoder", "method", "value"]
    lost = pd.DataFrame(cells, columns=columns).assign(
        seed=0, shift="all", of=0, metric="relative error", standard_error=0.5
    )
    both = [lost, lost.assign(metric="error", value=lost["value"] + [40, 40, 30])]
    rows = unfolded(pd.concat(both, ignore_index=True))
    answer = words.transformer_answer(rows)
    assert "network: SimCLR 41.0 and 48.0. What" in answer and "other loses: SimCLR 11.0 and 8.0." in answer
    assert "hold none" in words.transformer_answer(rows[rows["encoder"] == "resnet10"])
    errors = [("resnet10", "simclr", 50.0), ("resnet10", "random", 70.0), ("vit_tiny_patch4", "simclr", 58.0),
              ("vit_tiny_patch4", "random", 62.5)]  # fmt: skip
    clean = pd.DataFrame(errors, columns=columns).assign(seed=0, shift="none", of=0, metric="error", standard_error=0.5)
    answer = words.transformer_answer(pd.concat([rows, unfolded(clean)]))
    assert "the clean error of random weights by so many points: 4.5 and 20.0 with SimCLR. A" in answer


def test_words_on_predictions_by_hand():
    steps = [("supervised", "saturate", -5.0), ("supervised", "snow", 4.0), ("supervised", "elastic_transform", 0.1)]
    rows = pd.concat(
        pd.DataFrame(steps, columns=["method", "shift", "value"]).assign(
            seed=seed, encoder="resnet10", level=3, metric="error step", standard_error=0.5
        )
        for seed in range(3)
    )
    assert words.predictions_answer(rows) == (
        "Of the predictions, that saturation dips at severity 3 holds (Supervised, severity 2 less 3: 5.0 [4.0, 6.0] "
        "points), that snow dips there is reversed (Supervised, severity 2 less 3: -4.0 [-5.0, -3.0] points) and that "
        "elastic transforms do not shows no effect (Supervised, severity 3 less 2: 0.1 [-0.9, 1.1] points)."
    )


def test_findings_say_what_their_claims_turn_out_to_be():
    """Three seeds that agree: the supervised reference errs 10 points less at every severity, or as much more."""
    start = "On average, encoders trained without labels"
    told = {
        10.0: f"{start} err more on corrupted images than the supervised one.",
        -10.0: f"{start} err less on corrupted images than the supervised one.",
        0.0: "Encoders trained without labels err about as often on corrupted images as the supervised one.",
    }
    names = ["method", "seed", "shift", "of", "metric", "value", "standard_error"]
    for gap, sentence in told.items():
        errors = {"simclr": 40 + gap, "supervised": 40.0}
        table = [
            (method, seed, shift, 0, "error", value + gap * (shift == "weather"), 0.1)
            for method, value in errors.items()
            for shift in ("all", *GROUPS)
            for seed in range(3)
        ]
        found = words.severity_findings(unfolded(pd.DataFrame(table, columns=names)).assign(encoder="resnet10"))
        assert found["labels-words"] == sentence
        assert found["answer"] == found["attention-words"] == "These rows do not hold what the answer is judged by."
        weather = {
            10.0: "Weather is the group that hurts every paradigm most.",
            -10.0: "Weather is not the worst group for every paradigm: there is one that another group hurts more.",
            0.0: "Weather hurts every paradigm about as much as the other groups do.",
        }
        assert found["weather-words"] == weather[gap]


def test_where_error_does_not_rise():
    """By hand: three seeds that differ by the same in every cell, so that only the images make an interval."""
    table = [("simclr", seed, "none", 0, "error", 40.0 + seed, 0.1) for seed in range(3)]
    shapes = {"fog": (41, 45, 50, 55, 60), "snow": (50, 55, 45, 55, 60), "frost": (45, 50, 49.9, 55, 60),
              "pixelate": (40, 40.1, 40.1, 40.2, 40.2)}  # fmt: skip
    for name in MEASURED:
        before = 40
        for level, error in enumerate(shapes.get(name, shapes["fog"]), 1):
            table += [("simclr", seed, name, level, "error", error + seed, 0.1) for seed in range(3)]
            table += [("simclr", seed, name, level, "error step", error - before, 0.1) for seed in range(3)]
            before = error
    names = ["method", "seed", "shift", "of", "metric", "value", "standard_error"]
    found = words._where_error_does_not_rise(unfolded(pd.DataFrame(table, columns=names)), ["simclr"])
    assert found == (["pixelate"], ["snow"], ["frost"])


def test_cost_at_the_last_severity_by_hand():
    worst = {("simclr", "fog"): 43, ("simclr", "snow"): 41, ("supervised", "fog"): 50, ("supervised", "snow"): 40}
    worst = pd.Series(worst).rename_axis(["method", "shift"])
    errors = pd.Series({("simclr", "none"): 40, ("supervised", "none"): 30}).rename_axis(["method", "shift"])
    sentence = words._cost_at_last_severity(errors, worst, ["fog", "snow"], ["simclr"])
    assert (
        "add 2.0 points to the clean error of SimCLR and" in sentence
        and "15.0 points to that of the supervised" in sentence
    )
    alone = words._cost_at_last_severity(errors.drop("supervised"), worst, ["fog"], ["simclr"])
    assert "supervised reference" not in alone
    assert words._cost_at_last_severity(errors, worst, [], ["simclr"]) == ""
    assert words._harmless(["glass_blur"], "They add 1.0 points.").endswith(
        "images under glass blur. They add 1.0 points."
    )
    assert words._harmless([], "It rises least under fog (1.0 points).") == (
        "Averaged over the self-supervised methods, every corruption is shown to raise the error at severity 5 above "
        "that of clean images. It rises least under fog (1.0 points)."
    )


def group_errors(blur):
    """SimCLR errs on 40 % of clean images; of the groups under blur alone least or not. Seeds lie 0.1 apart."""
    errors = {"none": 40.0, "noise": 45.0, "blur": blur, "weather": 50.0, "digital": 55.0, "fog": 49.0, "snow": 43.0}
    table = [
        ("simclr", seed, name, level, "error", error + 0.1 * seed, 0.1)
        for name, error in errors.items()
        for level in ((5,) if name in ("fog", "snow") else (0,))
        for seed in range(3)
    ]
    return unfolded(pd.DataFrame(table, columns=["method", "seed", "shift", "of", "metric", "value", "standard_error"]))


def test_which_group_and_corruption_add_least_by_hand():
    """A reason is given for blur alone, and only where it adds least."""
    begin = "Of the 4 groups of corruptions, "
    assert words._least_group(group_errors(42.0), ["simclr"]) == (
        f"{begin}blur adds least to the error of these methods over all severities; such views are a likely reason."
    )
    assert words._least_group(group_errors(60.0), ["simclr"]) == (
        f"{begin}noise adds least to the error of these methods over all severities."
    )
    assert words._least_group(group_errors(45.0), ["simclr"]) == (
        f"{begin}noise and blur, which are not told apart, add least to the error of these methods over all severities."
    )
    assert words._rises_least(group_errors(42.0), ["simclr"]) == "It rises least under snow (3.0 points)."


def test_under_what_the_error_falls_by_hand():
    begin, step = "Error is shown to fall", "from one severity to the next under"
    assert words._falling(["saturate"]) == f"{begin} {step} saturate alone."
    assert words._falling(["pixelate", "spatter", "saturate"]) == f"{begin} {step} pixelate, spatter and saturate."
    assert words._falling([]) == "Under no corruption is error shown to fall from one severity to the next."
