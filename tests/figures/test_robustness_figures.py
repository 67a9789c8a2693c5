"""Robustness figures and tables against loops over the rows, SciPy, closed forms and cases by hand."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from scipy import stats
from scipy.special import expit
from shorthand import number_ends, transcribed, unfolded
from worlds.severity import COLUMNS, EIGHT, made_up

from lib.chapters.severity import robustness
from lib.effective import baseline_line, line_error, on_line
from lib.errors import BadInput
from lib.figures import matrix
from lib.figures.levels import AT_ONCE
from lib.figures.marks import round_ticks
from lib.figures.style import LOOK
from lib.measures.corruption_error import MEASURED
from lib.methods import METHODS
from lib.shifts.corruptions import FAMILY

LEARNERS = EIGHT[:-2]


@pytest.fixture(scope="module")
def rows():
    return made_up()


@pytest.fixture(scope="module")
def both(rows):
    return pd.concat([rows, made_up(("simclr", "dino", "random"), "vit_narrow_patch4")], ignore_index=True)


@pytest.fixture(scope="module")
def shown(rows, both):
    return {
        "heat": robustness.error_heat_map(rows, "Scope."),
        "effective": robustness.effective_robustness(rows, "Scope."),
        "calibration": robustness.calibration_by_severity(rows, "Scope."),
        "ranks": robustness.rank_stability(rows, "Scope."),
        "transformer": robustness.cnn_against_transformer(both, "Scope."),
    }


def cell(rows, method, metric, shift, severity, encoder="resnet10"):
    """The mean over seeds, by a loop."""
    values = [
        line.value
        for line in rows[rows["method"] == method].itertuples()
        if (line.metric, line.shift, line.encoder) == (metric, shift, encoder)
        and (np.isnan(line.level) if severity == 0 else line.level == severity)
    ]
    return sum(values) / len(values)


def test_heat_map_by_a_loop(rows, shown):
    figure = shown["heat"]
    axes = figure.drawing.axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    for column, method in enumerate(EIGHT):
        clean = cell(rows, method, "error", "none", 0)
        for line, corruption in enumerate(MEASURED):
            errors = [cell(rows, method, "error", corruption, severity) for severity in range(1, 6)]
            lost = sum(errors) / 5 - clean
            number = written[column + 0.5, line + 0.5].replace("\N{MINUS SIGN}", "-")
            assert abs(int(number) - lost) < 0.5 + 1e-9 and number != "-0"
            assert figure.data.loc[line, METHODS[method].title] == pytest.approx(lost)
    assert [text.get_text() for text in axes.get_xticklabels()] == [METHODS[method].title for method in EIGHT]
    assert [text.get_text().replace(" ", "_") for text in axes.get_yticklabels()] == list(MEASURED)
    assert figure.data["group"].to_list() == [FAMILY[name] for name in MEASURED]
    worst = figure.data.set_index("corruption")["SimCLR"]
    assert f"SimCLR {worst.idxmax().replace('_', ' ')} ({worst.max():.0f})" in figure.alt


def test_heat_map_shows_gains_as_such(shown):
    """Numbers below zero are bold, on a colour of their own; all are readable by WCAG's contrast."""
    axes = shown["heat"].drawing.axes[0]
    mesh = axes.collections[0]
    cells = [text for text in axes.texts if text.get_text().strip("\N{MINUS SIGN}").isdigit()]
    assert len(cells) == len(MEASURED) * 8
    gains = 0
    for text in cells:
        below = text.get_text().startswith("\N{MINUS SIGN}")
        gains += below
        colour = mesh.to_rgba(float(text.get_text().replace("\N{MINUS SIGN}", "-")))[:3]
        assert below == (text.get_weight() == "bold") == np.allclose(colour, to_rgb(matrix.BELOW_ZERO))
        assert contrast(text.get_color(), colour) > 4.5
    told = f"Blue and bold: {gains} of {len(cells)} cells, where the error falls by more than half a point"
    assert gains >= 8 and told in shown["heat"].caption


def contrast(first, second):
    """Contrast ratio of two colours (WCAG 2.2), with sRGB's whole transfer function."""
    luminances = []
    for colour in (first, second):
        channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        luminances.append(0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2])
    return (max(luminances) + 0.05) / (min(luminances) + 0.05)


def test_heat_map_darkens_evenly():
    """In grey print a larger loss is never lighter."""
    greys = colormaps[matrix.HEAT](np.linspace(0, matrix.DARKEST, 50))[:, :3] @ (0.2126, 0.7152, 0.0722)
    assert (np.diff(greys) < 0).all()


def test_baseline_line_by_hand():
    """Odds of 1 and 4 become odds of 1/4 and 1: as many logits apart, log 4 lower."""
    slope, intercept = baseline_line([50, 80], [20, 50])
    assert slope == pytest.approx(1) and intercept == pytest.approx(-np.log(4))
    slope, intercept = baseline_line([20, 50, 80], [80, 50, 20])
    assert slope == pytest.approx(-1) and intercept == pytest.approx(0)


accuracies = st.floats(1, 99)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(accuracies, accuracies), min_size=3, max_size=30))
def test_baseline_line_is_scipys(pairs):
    clean, corrupted = np.transpose(pairs)
    x, y = (np.log(values) - np.log(100 - values) for values in (clean, corrupted))
    if np.ptp(x) < 0.01:
        return
    expected = stats.linregress(x, y)
    slope, intercept = baseline_line(clean, corrupted)
    assert slope == pytest.approx(expected.slope, rel=1e-6, abs=1e-6)
    assert intercept == pytest.approx(expected.intercept, rel=1e-6, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.floats(0.3, 2), st.floats(-1, 1), st.lists(st.floats(10, 90), min_size=2, max_size=9, unique_by=round))
def test_baseline_line_finds_points_on_a_line(slope, intercept, clean):
    odds = [np.exp(intercept) * (a / (100 - a)) ** slope for a in clean]
    found = baseline_line(clean, [100 * o / (1 + o) for o in odds])
    assert found == pytest.approx((slope, intercept), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("clean", "corrupted", "sentence"),
    [([50, 50], [40, 41], "two different"), ([50], [40], "two different"), ([50, 60], [40], "in pairs"),
     ([50, 100], [40, 50], "below 100"), ([50, 60], [0, 50], "above 0")],
)  # fmt: skip
def test_no_line_through_bad_accuracies(clean, corrupted, sentence):
    with pytest.raises(BadInput, match=sentence):
        baseline_line(clean, corrupted)


def errors_of(cells):
    """Rows from (method, clean error, corrupted error), a seed for each of a method's entries, without image noise."""
    seeds, lines = {}, []
    for method, clean, corrupted in cells:
        seed = seeds[method] = seeds.get(method, -1) + 1
        lines.append((method, seed, "none", 0, "error", clean, 0.0))
        lines.append((method, seed, "all", 0, "error", corrupted, 0.0))
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def test_effective_robustness_by_hand():
    """Three methods on a line of slope 1 on logits, and one half a logit above it, which has no part in its line."""
    cells = []
    for method, clean, lift in (("simclr", 0.2, 0.5), ("byol", 0.6, 0.0), ("dino", 1.0, 0.0), ("random", -1.0, 0.0)):
        for wobble in (-0.1, 0.1):
            errors = [100 / (1 + np.exp(t)) for t in (clean + wobble, clean + wobble - 1 + lift)]
            cells.append((method, *errors))
    rows = errors_of(cells)
    table = robustness.effective_robustness_table(rows).set_index("method")
    assert table.index[0] == "SimCLR"
    sigmoid = [1 / (1 + np.exp(-t)) for t in (-0.4, -0.2, -0.9, -0.7)]
    heights = 100 * np.array([sigmoid[0] - sigmoid[2], sigmoid[1] - sigmoid[3]])
    runs, _ = robustness._runs(rows)  # two seeds each; SimCLR's others lie on their line, which has no error
    of_all = {name: own["above line"].to_numpy() for name, own in runs.groupby(level=0)}
    assert of_all["simclr"] == pytest.approx(heights)
    mean, low, high = number_ends(of_all, "simclr", dict.fromkeys(of_all, [0.0]))
    assert table.loc["SimCLR", "effective robustness (points)"] == f"{mean:.1f} [{low:.1f}, {high:.1f}]"
    for others in ("BYOL", "DINO", "Random weights"):  # their line holds SimCLR, and has an error
        low, high = re.findall(r"[-\d.]+", table.loc[others, "effective robustness (points)"])[1:]
        assert float(high) - float(low) > 20


def test_who_is_judged_has_no_part_in_the_line(rows):
    """A method that gains so many points stands so many points higher, and is not drawn back by its own weight."""
    raised = rows.copy()
    own = (raised["method"] == "byol") & (raised["shift"] == "all") & (raised["metric"] == "error")
    raised.loc[own, "value"] -= 5.0
    before, after = (robustness._runs(data)[0].loc["byol", "above line"] for data in (rows, raised))
    assert (after - before).to_numpy() == pytest.approx(5.0)


def test_effective_robustness_of_rows(rows):
    """The table again, with NumPy's polynomial fit and covariance, and the image noise by numerical differentiation."""
    table = robustness.effective_robustness_table(rows).set_index("method")
    errors = rows[(rows["metric"] == "error") & rows["level"].isna()].set_index(["shift", "method", "seed"])
    x, y = (100 - errors.loc[shift]["value"] for shift in ("none", "all"))
    means, apart = [np.log(v / (100 - v)).groupby("method").mean() for v in (x, y)], {}
    for method in EIGHT:
        line, covariance = np.polyfit(*(m.drop(method) for m in means), 1, cov=True)  # scaled by N - 2

        def predicted(accuracy, line=line):
            return 100 / (1 + np.exp(-np.polyval(line, np.log(accuracy / (100 - accuracy)))))

        own, at = x[method], np.array([means[0][method], 1])
        slope = (predicted(own + 1e-4) - predicted(own - 1e-4)) / 2e-4
        of_all, of_clean = (errors.loc[shift]["standard_error"][method] for shift in ("all", "none"))
        noise = np.hypot(of_all, slope * of_clean)
        above = y[method] - predicted(own)
        centre = predicted(100 / (1 + np.exp(-at[0])))
        of_line = (at @ covariance @ at) * (centre * (100 - centre) / 100) ** 2
        apart[method] = above, (noise**2).mean(), of_line
    prior, _, drawn = transcribed(np.array([own.var() for own, *_ in apart.values()]), np.full(len(EIGHT), 2.0))
    for (method, (above, noise, of_line)), variance in zip(apart.items(), drawn, strict=True):
        seeds, total = np.array([variance / 3, of_line]), variance / 3 + of_line
        known = (total / (seeds / np.sqrt([min(prior + 2, 2 * len(EIGHT)), 5])).sum()) ** 2
        half = stats.t.ppf(0.975, known * ((total + noise) / total) ** 2) * np.sqrt(total + noise)
        words = table.loc[METHODS[method].title, "effective robustness (points)"]
        found = [float(number) for number in re.findall(r"-?[\d.]+", words)]
        assert found == pytest.approx([above.mean(), above.mean() - half, above.mean() + half], abs=0.051)


def test_the_line_s_own_error_covers_the_true_line():
    """Eight systems around a known line: what is predicted far out is off by more than its interval in one of 20."""
    generator, missed = np.random.default_rng(0), 0
    for _ in range(1000):
        x = generator.normal(0.5, 0.4, 8)
        y = 0.8 * x - 0.6 + 0.1 * generator.normal(size=8)
        clean, corrupted = (100 / (1 + np.exp(-v)) for v in (x, y))
        off = on_line(80.0, baseline_line(clean, corrupted)) - 100 * expit(0.8 * np.log(4) - 0.6)
        missed += abs(off) > stats.t.ppf(0.975, 6) * line_error(clean, corrupted, 80.0)
    assert 0.03 < missed / 1000 < 0.08
    assert np.isnan(line_error([50, 60], [40, 50], 55.0))


def test_effective_robustness_is_drawn_on_logit_axes(rows, shown):
    figure = shown["effective"]
    axes = figure.drawing.axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    for method in EIGHT:
        points, label = [], METHODS[method].title
        for seed in range(3):
            own = rows[rows["seed"] == seed]
            points.append([100 - cell(own, method, "error", shift, 0) for shift in ("none", "all")])
        assert np.allclose(lines[label].get_xydata(), points)
        assert lines[label].get_color() == LOOK[method]["color"] and lines[label].get_marker() == LOOK[method]["marker"]
    for label, slope in (("fitted line", None), ("nothing lost", 1.0)):
        x, y = axes.transScale.transform(lines[label].get_xydata()).T  # logits, up to a scale that both share
        steps = np.diff(y) / np.diff(x)
        assert np.allclose(steps, steps[0]) and (slope is None or steps[0] == pytest.approx(slope))
    assert np.allclose(*lines["nothing lost"].get_data())
    assert (
        f"slope {steps_of(lines['fitted line'], axes):.2f} (" in figure.caption and "without random" in figure.caption
    )
    assert len(axes.get_xticks()) >= 4 and all(0 < tick < 100 for tick in axes.get_xticks())


def steps_of(line, axes):
    (x0, y0), (x1, y1) = axes.transScale.transform(line.get_xydata())[[0, -1]]
    return (y1 - y0) / (x1 - x0)


@pytest.mark.parametrize(("span", "ticks"), [((32, 78), [40, 50, 60, 70]), ((88, 95.5), [88, 90, 92, 94]),
                                             ((50.2, 54.9), [51, 52, 53, 54])])  # fmt: skip
def test_round_ticks(span, ticks):
    assert list(round_ticks(span)) == ticks


def test_calibration_without_bias_where_rows_have_it(rows, shown, unlaid):
    """Older rows have none, and the caption says what that means."""
    assert "biased upwards" in shown["calibration"].notes and "Expected" in shown["calibration"].caption
    own = rows[rows["metric"] == "calibration error"]
    newer = pd.concat([rows, own.assign(metric="debiased calibration error", value=own["value"] / 2)])
    figure = robustness.calibration_by_severity(newer, "")
    assert "biased upwards" not in figure.notes and figure.caption.startswith("Root mean square calibration error")
    before = shown["calibration"].data.set_index(["method", "severity"])["mean"]
    assert np.allclose(figure.data.set_index(["method", "severity"])["mean"], before / 2)


def test_calibration_lines_are_the_means_of_the_rows(rows, shown):
    axes = shown["calibration"].drawing.axes[0]
    for method, line in zip(EIGHT, axes.get_lines(), strict=True):
        expected = [cell(rows, method, "calibration error", "none", 0)]
        expected += [cell(rows, method, "calibration error", "all", severity) for severity in range(1, 6)]
        assert np.allclose(line.get_ydata(), expected)
        words = f"{METHODS[method].title} goes from {expected[0]:.0f} to {expected[-1]:.0f} percent"
        assert words in shown["calibration"].alt
    assert len(axes.collections) == len(EIGHT)  # bands


SUMMARIES = {"clean error": ("error", "none", 0), "CE": ("error", "all", 0), "rCE": ("relative error", "all", 0),
             "error at severity 5": ("error", "all", 5), "calibration error": ("calibration error", "all", 0),
             "natural shift": ("balanced error", "cifar10-shift", 0)}  # fmt: skip


def scored(scores, seeds=(0,)):
    """Rows from method -> summary -> mean; with seeds, the value of each is that much higher."""
    lines = [
        (method, seed, shift, severity, metric, scores[method][name] + offset, 0.0)
        for method in scores for name, (metric, shift, severity) in SUMMARIES.items() if name in scores[method]
        for seed, offset in enumerate(seeds)
    ]  # fmt: skip
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def orders(**ranks):
    """Rows in which each summary ranks SimCLR, BYOL, DINO and SwAV as told."""
    methods = ("simclr", "byol", "dino", "swav")
    return scored({method: {name.replace("_", " "): 10.0 * of[i] for name, of in ranks.items()}
                   for i, method in enumerate(methods)})  # fmt: skip


def test_rank_table_by_hand():
    rows = orders(clean_error=(1, 2, 3, 4), CE=(2, 1, 4, 3), rCE=(4, 3, 2, 1))
    table = robustness.rank_table(rows, ("simclr", "byol", "dino", "swav"))
    assert list(table) == ["method", "clean error", "CE", "rCE"]
    assert table.to_numpy().tolist() == [["SimCLR", 1, 2, 4], ["BYOL", 2, 1, 3], ["DINO", 3, 4, 2], ["SwAV", 4, 3, 1]]
    fewer = robustness.rank_table(rows, ("swav", "byol"))
    assert fewer.to_numpy().tolist() == [["SwAV", 2, 2, 1], ["BYOL", 1, 1, 2]]
    with pytest.raises(BadInput, match="'moco_v3'.*allowed: simclr"):
        robustness.rank_table(rows, ("moco_v3",))


def test_a_summary_that_a_method_lacks_is_left_out(rows):
    without = rows[~((rows["method"] == "dino") & (rows["metric"] == "balanced error"))]
    assert list(robustness.rank_table(rows, LEARNERS))[1:] == list(SUMMARIES)
    assert list(robustness.rank_table(without, LEARNERS))[1:] == list(SUMMARIES)[:-1]


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_agreement_counts_pairs_in_the_same_order(data):
    """Without ties, tau is the share of pairs in the same order less that in opposite ones."""
    ranks = {name: data.draw(st.permutations(range(5))) for name in ("clean error", "CE", "rCE")}
    methods = ("simclr", "byol", "dino", "swav", "simsiam")
    rows = scored({method: {name: float(of[i]) for name, of in ranks.items()} for i, method in enumerate(methods)})
    table = robustness.rank_agreement(rows)
    assert table[robustness.TAU].is_monotonic_increasing and len(table) == 3
    for line in table.itertuples(index=False):
        a, b = ranks[line[0]], ranks[line[1]]
        signs = [np.sign((a[i] - a[j]) * (b[i] - b[j])) for i in range(5) for j in range(i)]
        assert line[2] == pytest.approx(sum(signs) / len(signs))


def test_sentence_names_the_least_and_the_most_agreeing_pair():
    rows = orders(clean_error=(1, 2, 3, 4), CE=(1, 2, 4, 3), rCE=(4, 3, 2, 1))
    assert robustness.rank_sentence(rows) == (
        "Over 3 pairs of summaries, Kendall's tau of the order of the 4 methods without labels, by their means, lies "
        "between \N{MINUS SIGN}1.00 (clean error and rCE) and 0.67 (clean error and CE)."
    )
    rows = orders(clean_error=(1, 2, 3, 4), CE=(1, 2, 3, 4), rCE=(4, 3, 2, 1), calibration_error=(4, 3, 2, 1))
    sentence = robustness.rank_sentence(rows)
    assert "between \N{MINUS SIGN}1.00 (clean error and rCE; so have 3 other pairs)" in sentence
    assert sentence.endswith("and 1.00 (clean error and CE; so has 1 other pair).")
    same = orders(clean_error=(1, 2, 3, 4), CE=(1, 2, 3, 4), rCE=(1, 2, 3, 4))
    assert "agree equally about the order of the methods (Kendall's tau 1.00)" in robustness.rank_sentence(same)


def test_one_method_has_no_order(rows, unlaid):
    alone = rows[rows["method"].isin(["simclr", "supervised", "random"])]
    assert robustness.rank_stability(alone, "") is None and robustness.rank_agreement(alone).empty
    assert "too few methods" in robustness.rank_sentence(alone)


def test_rank_chart_draws_the_ranks(rows, shown):
    figure = shown["ranks"]
    axes = figure.drawing.axes[0]
    table = robustness.rank_table(rows, LEARNERS).set_index("method")
    assert [text.get_text() for text in axes.get_xticklabels()] == list(SUMMARIES)
    for method, line in zip(LEARNERS, axes.get_lines(), strict=True):
        values = [cell(rows, method, *SUMMARIES[name][:2], SUMMARIES[name][2]) for name in SUMMARIES]
        others = [[cell(rows, other, *of) for of in SUMMARIES.values()] for other in LEARNERS]
        ranks = 1 + (np.array(others) < values).sum(axis=0)
        assert list(line.get_ydata()) == list(table.loc[METHODS[method].title]) == list(ranks)
        assert line.get_color() == LOOK[method]["color"]
    assert robustness.rank_sentence(rows) in figure.notes


def test_neighbours_told_apart_by_hand():
    """Seeds deviate by half a point: 10 points are far. Seeds that deviate by 40 are drawn to the others'."""
    names = ("clean error", "CE")
    rows = scored(
        {m: dict.fromkeys(names, v) for m, v in (("simclr", 10.0), ("byol", 20.0), ("dino", 30.0))}, (0, 0.5, -0.5)
    )
    assert f"Neighbours that are told apart{AT_ONCE}: 4 of 4." in robustness.rank_stability(rows, "").caption
    wild = (rows["method"] == "byol") & (rows["metric"] == "error") & (rows["shift"] == "none")
    rows.loc[wild, "value"] = [20.0, 60.0, -20.0]
    assert f"Neighbours that are told apart{AT_ONCE}: 2 of 4." in robustness.rank_stability(rows, "").caption


def test_transformer_beside_resnet(both, shown):
    figure = shown["transformer"]
    methods = ("simclr", "dino", "random")
    panels = [axes for axes in figure.drawing.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == [METHODS[method].title for method in methods]
    for axes, method in zip(panels, methods, strict=True):
        for line, encoder in zip(axes.get_lines(), ("resnet10", "vit_narrow_patch4"), strict=True):
            expected = [cell(both, method, "error", "none", 0, encoder)]
            expected += [cell(both, method, "error", "all", severity, encoder) for severity in range(1, 6)]
            assert np.allclose(line.get_ydata(), expected) and line.get_color() == LOOK[method]["color"]
            assert line.is_dashed() == (encoder != "resnet10")
    losses = {
        method: [cell(both, method, "relative error", "all", 0, e) for e in ("resnet10", "vit_narrow_patch4")]
        for method in methods
    }
    told = re.search(
        r"the ViT loses fewer points for (.*?)(; more for .*?)?(; is not told apart for .*?)?\.", figure.caption
    )
    for method, (resnet, vit) in losses.items():
        words = [part or "" for part in told.groups()]
        name, (fewer, more, alike) = METHODS[method].title, words
        assert (name in fewer) + (name in more) + (name in alike) == 1
        assert (name not in fewer or vit < resnet) and (name not in more or vit > resnet)
    assert set(figure.data["method"]) == {METHODS[method].title for method in methods}


def test_transformer_table(both):
    table = robustness.transformer_table(both)
    assert list(table) == list(robustness.TRANSFORMER_COLUMNS)
    assert list(table["method"]) == ["SimCLR", "SimCLR", "DINO", "DINO", "Random weights", "Random weights"]
    assert list(table["encoder"]) == ["resnet10", "vit_narrow_patch4"] * 3
    for line, (method, encoder) in zip(
        table.itertuples(index=False), [(m, e) for m in ("simclr", "dino", "random") for e in table["encoder"][:2]],
        strict=True,
    ):  # fmt: skip
        for words, name in zip(line[2:], ("clean error", "CE", "rCE"), strict=True):
            assert words.startswith(f"{cell(both, method, *SUMMARIES[name], encoder):.1f} [")


def test_no_transformer_or_several(rows, both):
    assert robustness.cnn_against_transformer(rows, "") is None
    assert list(robustness.transformer_table(rows)) == list(robustness.TRANSFORMER_COLUMNS)
    assert robustness.transformer_table(rows).empty
    apart = both[(both["encoder"] == "resnet10") == (both["method"] == "byol")]
    assert robustness.cnn_against_transformer(apart, "") is None  # no method has both
    several = pd.concat([both, rows.assign(encoder="resnet18")])
    with pytest.raises(BadInput, match="one ResNet .* not resnet10 and resnet18"):
        robustness.transformer_table(several)


def test_one_seed_is_drawn_without_bands(rows):
    first = rows[rows["seed"] == 0]
    for figure in (
        robustness.effective_robustness(first, ""), robustness.calibration_by_severity(first, ""),
        robustness.rank_stability(first, ""), robustness.error_heat_map(first, ""),
    ):  # fmt: skip
        assert not re.search(r"nan", figure.alt + figure.caption)
        assert figure.picture().startswith(b"<?xml")
