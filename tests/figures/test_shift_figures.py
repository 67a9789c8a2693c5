"""Figures and words of the shift pages draw and say what the rows say; rules say what the table of constants says."""

import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from contract import check_apart, check_words
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from scipy.special import logit
from shorthand import transcribed, unfolded
from worlds.shifts import CURVES, LEVELS, SHOWN, made_up

from lib.chapters.severity import curves as shifts
from lib.chapters.severity.constants import _drops, _flakes, _warp, predicted_dips, table_of_constants
from lib.chapters.severity.distance import error_along_distance, error_along_severity, monotony, monotony_sentence
from lib.chapters.severity.natural import natural_against_corrupted, natural_table
from lib.chapters.severity.raw_pixels import raw_by_severity, raw_input_sentences, raw_input_table, with_normalisation
from lib.errors import BadInput
from lib.figures import table
from lib.measures.rows import as_rows, row
from lib.methods import METHODS
from lib.paired import PAIRED
from lib.randomness import image_seeds
from lib.shifts import corruptions
from lib.shifts.corruptions import SEVERITIES, blur, corrupt
from lib.shifts.corruptions.constants import CIFAR10
from lib.shifts.corruptions.filters import zoom_cut

LEARNERS = SHOWN[:3]


@pytest.fixture(scope="module")
def rows():
    return made_up()


@pytest.fixture(scope="module")
def drawn(rows):
    return {draw: draw(rows, "") for draw in DRAWN}


DRAWN = (
    error_along_severity, error_along_distance, raw_by_severity,
    natural_against_corrupted, shifts.attention_by_severity,
)  # fmt: skip


def mean_of(rows, methods, **cell):
    chosen = rows[rows["method"].isin(methods)]
    for column, value in cell.items():
        chosen = chosen[chosen[column] == value]
    return chosen["value"].mean()


FEWER = {"seeds": (0,), "methods": ("simclr", "random"), "curves": ("saturate", "gaussian_noise")}


@pytest.mark.parametrize("draw", DRAWN)
def test_figures_of_one_seed_without_a_reference(draw):
    figure = draw(made_up(**FEWER), "Scope.")
    check_words(figure)
    check_apart(figure)
    assert plt.get_fignums() == []


def test_words_stay_within_the_drawing(drawn):
    for figure in drawn.values():
        drawing = figure.drawing
        drawing.canvas.draw()
        (right, top), box = drawing.get_size_inches(), drawing.get_tightbbox()
        assert min(box.x0, box.y0) >= -0.05 and box.x1 <= right + 0.05 and box.y1 <= top + 0.05


def half_of_pooled(errors, over_images=0.0):
    """Half the interval, on logits, of the mean of some methods' errors (methods, seeds).

    Their variances, moderated on logits, are those of a mean of independent ones, with Satterthwaite's degrees of
    freedom and no more than all. What images add to the variance, on logits, has none.
    """
    methods, seeds = errors.shape
    half = (errors.mean(1) / 100 * 1000 + 0.5) / 1001
    slopes, degrees = 100 * half * (1 - half), np.full(methods, seeds - 1.0)
    prior, _, drawn = transcribed(errors.var(axis=1, ddof=1) / slopes**2, degrees)
    parts = drawn * slopes**2 / seeds / methods**2
    own = min(prior + seeds - 1, degrees.sum())
    known = min(parts.sum() ** 2 / (parts**2 / own).sum(), degrees.sum())
    mean = (errors.mean() / 100 * 1000 + 0.5) / 1001
    over_seeds = parts.sum() / (100 * mean * (1 - mean)) ** 2
    known *= ((over_seeds + over_images) / over_seeds) ** 2
    return stats.t.ppf(0.975, known) * np.sqrt(over_seeds + over_images)


def test_pooled_by_hand():
    """Errors 30, 40 and 38, 48 of two methods: seed means 34 and 44; a third seed that one method lacks is left out."""
    lines = [("simclr", 0, 30), ("byol", 0, 38), ("simclr", 1, 40), ("byol", 1, 48), ("simclr", 2, 99)]
    columns = ["method", "seed", "value"]
    rows = pd.DataFrame(lines, columns=columns).assign(shift="fog", level=1.0, level_unit="severity")
    rows = rows.assign(metric="error", standard_error=0.0)
    line = shifts.pooled(rows, "error", ["simclr", "byol"]).iloc[0]
    assert (line["mean"], line["seeds"]) == (39, 2)
    errors = np.array([[30.0, 40.0], [38.0, 48.0]])
    assert logit(line["high"] / 100) - logit(0.39) == pytest.approx(half_of_pooled(errors), rel=1e-4)
    certain = shifts.pooled(rows.assign(standard_error=[3.0, 1.0] * 2 + [9.0]), "error", ["simclr", "byol"]).iloc[0]
    images = (1 - PAIRED**2) * ((3 + 1) / 2) ** 2 + PAIRED**2 * (3**2 + 1**2) / 2**2  # of images that both have seen
    per = 1.959964**2 / (0.39 * 0.61 / (images / 100**2) + 1)  # z² / n
    high = max(np.roots([1 + per, -(2 * 0.39 + per), 0.39**2]))  # Wilson's end
    half = half_of_pooled(errors, ((logit(high) - logit(0.39)) / 1.959964) ** 2)
    assert logit(certain["high"] / 100) - logit(0.39) == pytest.approx(half, rel=1e-4)
    with pytest.raises(BadInput, match="of one encoder"):
        shifts.pooled(pd.concat([rows, rows]), "error", ["simclr"])


def test_references_alone_are_described_as_what_they_are(unlaid):
    rows = made_up(methods=("supervised", "random"))
    figure = error_along_severity(rows, "")
    assert "the mean over the methods (" in figure.notes and "elf-supervised" not in figure.notes
    assert "error of the methods is" in raw_input_sentences(rows)["raw-cost"]
    with pytest.raises(BadInput, match="no method with the metric"):
        error_along_severity(rows[rows["metric"] == "error"], "")


def test_lines_along_severity(rows, drawn):
    figure = drawn[error_along_severity]
    assert [axes.get_title() for axes in figure.drawing.axes if axes.get_title()] == [
        "saturate", "elastic transform", "gaussian noise",
    ]  # fmt: skip
    titled = [place for place, axes in enumerate(figure.drawing.axes) if axes.get_title()]
    for place, name in zip(titled, CURVES, strict=True):
        learners, reference = figure.drawing.axes[place].get_lines()
        for line, methods in ((learners, LEARNERS), (reference, ["supervised"])):
            expected = [mean_of(rows, methods, shift=name, level=s, metric="error along severity") for s in LEVELS]
            assert np.allclose(line.get_ydata(), expected) and np.allclose(line.get_xdata(), LEVELS)
            assert [LEVELS[i] for i, marked in enumerate(line.get_markevery()) if marked] == list(SEVERITIES)
        (strip,) = figure.drawing.axes[place + 2].get_lines()  # two panels a row
        assert np.allclose(strip.get_ydata(), [CURVES[name](s) for s in LEVELS])
    assert "saturate from" in figure.alt and "gaussian noise from" in figure.alt
    assert "9 severities" in figure.caption and "SimCLR, BYOL and Barlow Twins" in figure.notes


def test_the_alternative_text_tells_the_dip(rows, drawn):
    means = [mean_of(rows, LEARNERS, shift="saturate", level=s, metric="error along severity") for s in (1, 2.5, 5)]
    assert LEVELS[np.argmin([CURVES["saturate"](s) for s in LEVELS])] == 2.5
    words = f"saturate from {means[0]:.0f} to {means[2]:.0f} percent, least {means[1]:.0f} at 2.5;"
    assert words in drawn[error_along_severity].alt


def test_points_along_distance_are_joined_in_its_order(rows, drawn):
    figure = drawn[error_along_distance]
    for axes, name in zip(figure.drawing.axes, CURVES, strict=False):
        order = sorted(LEVELS, key=CURVES[name])
        for line, points, methods in zip(axes.get_lines(), axes.collections, (LEARNERS, ["supervised"]), strict=True):
            expected = [mean_of(rows, methods, shift=name, level=s, metric="error along severity") for s in order]
            assert np.all(np.diff(line.get_xdata()) >= 0) and np.allclose(line.get_ydata(), expected)
            assert np.allclose(points.get_offsets(), line.get_xydata()) and list(points.get_array()) == order
    assert "{numref}`fig-along-severity`" in figure.caption and monotony_sentence(rows) in figure.alt
    assert "ρ: severity 1.00, distance −1.00" in [text.get_text() for text in figure.drawing.axes[1].texts]


def test_monotony_by_hand(rows):
    """Spearman's own formula, 1 - 6 sum d^2 / (n (n^2 - 1)), which holds without ties."""
    found = monotony(rows).set_index("corruption")
    distances = np.array([CURVES["saturate"](s) for s in LEVELS])
    assert len(set(distances)) == len(LEVELS) == 9
    d = np.argsort(np.argsort(distances)) - np.arange(9)
    rho = 1 - 6 * (d**2).sum() / (9 * 80)
    assert list(found.loc["saturate"]) == [round(rho, 2), 1.0]
    assert list(found.loc["elastic transform"]) == [1.0, -1.0] and list(found.loc["gaussian noise"]) == [1.0, 1.0]
    sentence = monotony_sentence(rows)
    assert f"lies between {rho:.2f} (saturate) and 1.00 (" in sentence
    assert f"rises for saturate ({rho:.2f} to 1.00), and falls for elastic transform (1.00 to -1.00)." in sentence


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=5, max_size=5), st.floats(0.1, 2.8))  # 5 ** 2.8 is a percentage still
def test_monotony_is_of_ranks_alone(errors, power):
    """The same ranks, the same correlation; five errors that agree have none."""
    values = np.round(errors, 3)
    lines = [
        ("simclr", 0, "fog", float(s), metric, value, 0.1)
        for s, error in zip(SEVERITIES, values, strict=True)
        for metric, value in (("error along severity", error), ("image distance", 2.0**s))
    ]
    columns = ["method", "seed", "shift", "of", "metric", "value", "standard_error"]
    rows = unfolded(pd.DataFrame(lines, columns=columns))
    ranks = pd.Series(values).rank().to_numpy()
    bent = rows.copy()
    bent.loc[rows["metric"] == "error along severity", "value"] = ranks**power
    found, other = monotony(rows), monotony(bent)
    pd.testing.assert_frame_equal(found, other)
    if len(set(values)) == 1:
        assert found["with severity"].isna().all() and "nothing to rank" in monotony_sentence(rows)
    else:
        assert found["with severity"].item() == found["with image distance"].item()  # both rise


def test_table_of_constants_is_the_table():
    names = ["saturate", "snow", "elastic_transform", "glass_blur", "motion_blur", "spatter", "brightness"]
    found = table_of_constants(names)
    for name, lines in found.groupby("corruption", sort=False):
        values = lines[[f"severity {s}" for s in SEVERITIES]].astype(float).to_numpy().T
        expected = [row if isinstance(row, tuple) else (row,) for row in CIFAR10[name.replace(" ", "_")]]
        assert np.array_equal(values, expected)
    assert list(found.loc[found["corruption"] == "saturate", "constant"]) == ["factor", "offset"]
    assert list(found["corruption"].unique()) == [name.replace("_", " ") for name in names]
    with pytest.raises(BadInput, match="unknown corruption 'snoww'"):
        table_of_constants(["snoww"])


def predicted():
    return predicted_dips().set_index("corruption")


def test_predictions_of_the_benchmarks_table():
    found = predicted()
    dips = {name: level for name, level in found["at severity"].items() if level != "none"}
    assert dips == {"saturate": "3", "snow": "3", "spatter": "4"}
    assert "0.7, 0.9, 0.5, 1.1 and 1.7" in found.loc["saturate", "why"]
    assert "passes 1 at severity 2.6" in found.loc["saturate", "why"]  # 2 + (1 - 0.1) / (1.5 - 0.1)
    assert "Nothing changes from 3 to 4" in found.loc["motion blur", "why"]
    assert "none stands out" in found.loc["elastic transform", "why"]
    assert "From 4 on they are mud, not water" in found.loc["spatter", "why"]
    assert "at 4, they change places in more rounds" in found.loc["glass blur", "why"]
    assert "<table" in table(found.reset_index()).data


@pytest.mark.parametrize(
    ("name", "changed", "level", "words"),
    [
        ("saturate", ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)), "none", "0.7, 0.9, 1, 4.1 and 19."),
        ("snow", tuple(row[:-1] + (0.9 - 0.1 * s,) for s, row in enumerate(CIFAR10["snow"])), "none", "0.9, 0.8, 0.7"),
        ("motion_blur", ((6, 2), (6, 1.5), (6, 2), (6, 2.5), (9, 3)), "2", "on average."),
        ("elastic_transform", ((0, 0, 0.08), (0.1, 0.03, 0.07), (0.05, 0.03, 0.06), (0.06, 0.03, 0.06),
                               (0.07, 0.03, 0.06)), "3", "(root mean squares)."),  # fmt: skip
        ("glass_blur", ((0.1, 1, 1), (0.3, 1, 1), (0.2, 1, 1), (0.4, 1, 1), (0.5, 1, 1)), "3", "are 1, 1, 1, 1 and 1."),
        ("gaussian_noise", (0.04, 0.02, 0.08, 0.07, 0.1), "2 and 4", "0.04, 0.02, 0.08, 0.07 and 0.1"),
        ("spatter", tuple((0.65, 0.1, 0.7, 0.7 - 0.01 * s, 0.5, 0) for s in range(5)), "none", "of the image."),
    ],
)  # fmt: skip
def test_another_table_makes_other_predictions(monkeypatch, name, changed, level, words):
    monkeypatch.setitem(corruptions.CONSTANTS["cifar10"], name, changed)
    line = predicted().loc[name.replace("_", " ")]
    assert line["at severity"] == level and words in line["why"]


@pytest.mark.parametrize("severity", [1, 2, 2.25, 3, 4, 5])
def test_share_of_flakes_is_that_of_noise_enlarged_by_scipy(severity):
    row = corruptions.constants_at("snow", severity, "cifar10")
    mean, deviation, zoom, threshold = row[:4]
    cut, enlarged = zoom_cut(32, zoom)
    noise = np.random.default_rng(0).normal(mean, deviation, (600, cut, cut))
    trim = (enlarged - 32) // 2
    images = [ndimage.zoom(field, enlarged / cut, order=1)[trim : trim + 32, trim : trim + 32] for field in noise]
    assert _flakes(row) == pytest.approx((np.array(images) >= threshold).mean(), rel=0.06)


@pytest.mark.parametrize("row", CIFAR10["spatter"])
def test_share_of_drops_is_that_of_noise_blurred_by_scipy(row):
    mean, deviation, sigma, threshold = row[:4]
    noise = np.random.default_rng(0).normal(mean, deviation, (700, 700))
    liquid = ndimage.gaussian_filter(noise, sigma, truncate=4, mode="wrap")
    assert _drops(row) == pytest.approx((liquid > threshold).mean(), rel=0.03)


@pytest.mark.parametrize(("strength", "sigma", "tilt"), CIFAR10["elastic_transform"])
def test_size_of_the_warp_is_that_of_a_field_smoothed_by_scipy(strength, sigma, tilt):
    field = np.random.default_rng(0).uniform(-1, 1, (900, 900))
    smooth = ndimage.gaussian_filter(field, 32 * sigma, truncate=3, mode="wrap") * 32 * strength
    assert _warp(strength, sigma) == pytest.approx(smooth.std(), rel=0.05, abs=1e-12)


def test_a_flat_step_of_motion_blur_changes_no_byte():
    images = torch.randint(256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0)).float()
    seeds = image_seeds(8, torch.Generator().manual_seed(1))
    second, third, fourth = (blur.motion_blur(images, seeds, *CIFAR10["motion_blur"][s]) for s in (1, 2, 3))
    assert torch.equal(third, fourth) and not torch.equal(second, third)


def test_saturation_passes_through_the_clean_image():
    images = torch.randint(256, (8, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    gaps = {s: (corrupt(images, "saturate", s).int() - images.int()).abs().max() for s in (2, 2 + 0.9 / 1.4, 3)}
    assert list(gaps.values())[1] <= 1 < min(gaps[2], gaps[3])


def test_errors_with_normalisation_and_their_standard_error():
    """From outcomes of images: the standard error of a share is that of `row`; of a mean over images, above it."""
    generator = np.random.default_rng(0)
    wrong, raw = generator.random(500) < 0.3, generator.random(500) < 0.5
    many = generator.random((15, 500)) < 0.4
    lines = [row("none", "raw error", raw), row("none", "raw cost", raw.astype(float) - wrong),
             row("all", "raw error", raw), row("all", "raw cost", raw - many.mean(axis=0))]  # fmt: skip
    rows = as_rows(lines).assign(method="simclr", seed=0)
    found = with_normalisation(rows)
    found = found[found["metric"] == "normalised error"].set_index("shift")
    exact, whole = row("none", "", wrong), row("all", "", many.mean(axis=0))
    assert found.loc["none", "value"] == pytest.approx(exact[5])
    assert found.loc["none", "standard_error"] == pytest.approx(exact[6])
    assert found.loc["all", "value"] == pytest.approx(whole[5]) and found.loc["all", "standard_error"] > whole[6]


def test_table_of_raw_input(rows):
    found = raw_input_table(rows).set_index("method")
    assert list(found.index) == [METHODS[name].title for name in SHOWN]
    clean = mean_of(rows, ["byol"], metric="balanced error", shift="none")
    raw = mean_of(rows, ["byol"], metric="raw error", shift="none")
    for column, value in {"clean error (%)": clean, "raw error (%)": raw, "faded error (%)": clean + 9.25,
                          "contrast error (%)": clean + 6, "CE (%)": clean, "raw CE (%)": raw}.items():  # fmt: skip
        assert re.fullmatch(rf"{value:.1f} \[[\d.]+, [\d.]+\]", found.loc["BYOL", column]), column
    assert raw_input_table(made_up(seeds=(0,)))["raw error (%)"].str.fullmatch(r"[\d.]+").all()


def test_sentences_on_raw_input(rows):
    """Costs are 9.0 to 9.8 points, 0.1 more from run to run; methods' means of three seeds are 9.1, 9.4, 9.7, 10.0."""
    found = raw_input_sentences(rows)
    assert "9.1 to 9.7 points higher on clean images" in found["raw-cost"]
    assert "supervised reference 10.0 and 10.0." in found["raw-cost"]
    assert f"is 6.0 points higher, on average {100 * 6 / 9.4:.0f} % of what" in found["raw-contrast"]
    gaps = [abs(0.1 * place - 0.25) for place in range(15)]
    assert f"{np.mean(gaps):.1f} points on average and by {max(gaps):.1f} at most over 15 runs" in found["raw-faded"]
    assert "of the 6 self-supervised ResNet-50s by 8.0 to 11.6" in found["raw-paper"]
    assert "(methods below that range: 0, within it: 3, above it: 0)" in found["raw-paper"]


def test_other_rows_make_other_sentences(rows):
    free = rows.copy()
    free.loc[free["metric"] == "raw cost", "value"] = 0.0
    found = raw_input_sentences(free)
    assert "too little" in found["raw-contrast"] and "below that range: 3" in found["raw-paper"]
    assert "0.0 points higher on clean images" in found["raw-cost"]
    assert "supervised" not in raw_input_sentences(made_up(methods=LEARNERS))["raw-cost"].split("methods")[1]


def test_lines_of_raw_input(rows, drawn):
    figure = drawn[raw_by_severity]
    lines = figure.drawing.axes[0].get_lines()
    assert [line.get_linestyle() for line in lines] == ["-", "-", "--", "--"]
    clean, broken = lines[0].get_ydata(), lines[2].get_ydata()
    assert list(lines[0].get_xdata()) == [0, 1, 2, 3, 4, 5]
    assert np.allclose(broken - clean, 9.4) and np.allclose(np.diff(clean), 5)
    assert clean[0] == pytest.approx(mean_of(rows, LEARNERS, metric="balanced error", shift="none"))
    assert f"(mean of 3), raw pixels: from {broken[0]:.0f} to {broken[-1]:.0f} percent" in figure.alt


def test_natural_table(rows):
    found = natural_table(rows).set_index("method")
    for place, name in enumerate(SHOWN):
        line = found.loc[METHODS[name].title]
        assert line["cifar10-shift less clean (points)"].startswith(f"{15 - place:.1f} [")
        assert line["stl10 less clean (points)"].startswith(f"{16 - place:.1f} [")
    low, high = map(float, re.findall(r"[\d.]+", found.iloc[0]["cifar10-shift less clean (points)"])[1:])
    assert (high - low) / 2 == pytest.approx(1.95996 * math.hypot(0.8, 0.8), abs=0.1)  # all seeds lose the same
    assert list(natural_table(made_up(natural=()))) == ["method", "clean (%)"]


def test_natural_against_corrupted(rows, drawn):
    figure = drawn[natural_against_corrupted]
    points = {line.get_label(): line.get_xydata() for line in figure.drawing.axes[0].get_lines()}
    assert list(points) == [METHODS[name].title for name in SHOWN]
    for place, found in enumerate(points.values()):
        assert np.allclose(found, [(12 - place + seed, 15 - place) for seed in range(3)])
    assert "4 trained methods, Spearman's rank correlation is 1.00" in figure.caption
    turned = rows.copy()
    turned.loc[turned["metric"] == "relative error", "value"] *= -1
    assert "correlation is -1.00" in natural_against_corrupted(turned, "").caption
    assert "Fewer than three" in natural_against_corrupted(made_up(methods=("simclr", "random")), "").caption
    assert natural_against_corrupted(made_up(natural=()), "") is None
    assert "stl10" in natural_against_corrupted(made_up(natural=("stl10",)), "").caption
    with pytest.raises(BadInput, match="relative error"):
        natural_against_corrupted(rows[rows["metric"] == "balanced error"], "")


def test_lines_of_attention(rows, drawn):
    figure = drawn[shifts.attention_by_severity]
    for axes, name in zip(figure.drawing.axes, ("fog", "contrast"), strict=True):
        assert axes.get_title() == name
        *lines, control = axes.get_lines()
        for place, line in enumerate(lines):
            assert np.allclose(line.get_ydata(), [91 - 2 * place - 4 * s for s in SEVERITIES])
        assert control.get_label() == "two different images" and np.allclose(control.get_ydata(), 22)
    assert "(22 %)" in figure.caption and "fog 67 percent, contrast 67 percent" in figure.alt
