"""Tables and figures of tasks against loops over the rows, SciPy, published tables and cases by hand."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from scipy import stats
from shorthand import number_ends, student
from worlds.transfer import ARMS, HERE, OWN, RECIPES, SEEDS, made_up

from lib.chapters.augmentation import transfer
from lib.chapters.augmentation.claims import AUGMENTATION_INVARIANCE, TASKS
from lib.contrasts import estimates
from lib.errors import BadInput
from lib.figures.style import LOOK, RECIPE_LOOK, arm
from lib.verdicts import named


@pytest.fixture(scope="module")
def rows():
    return made_up()


@pytest.fixture(scope="module")
def shown(rows):
    return {
        "fusion": transfer.fusion_dots(rows, "Scope."),
        "ranks": transfer.rank_dots(rows, "Scope."),
        "hue": transfer.invariance_against_score(rows, "Scope.", "hue", ("object_hue", "own classes")),
        "crop": transfer.invariance_against_score(rows, "Scope.", "resized_crop", ("x",)),
        "robustness": transfer.invariance_against_robustness(rows, "Scope."),
    }


@pytest.fixture(scope="module")
def values(rows):
    """(arm, shift, metric) -> one number a seed, by a loop."""
    found = {}
    for line in rows.itertuples():
        if pd.isna(line.level):
            pair = (line.method, None if pd.isna(line.augmentation) else line.augmentation)
            found.setdefault((pair, line.shift, line.subset, line.metric), {})[line.seed] = line.value
    return {key: np.array([own[seed] for seed in SEEDS]) for key, own in found.items()}


@pytest.fixture(scope="module")
def scored(values):
    """(task, arm) -> one number a seed."""
    return {(task, pair): values[pair, *TASKS[task]] for task in HERE for pair in ARMS}


def gap_of(scored, task, more, less, arms=OWN):
    """Standard error and degrees of freedom of a difference of two of `arms`; R² are on no logits."""
    scale = {"scale": lambda share: 1.0} if TASKS[task][-1] == "linear R2" else {}
    return student({pair: scored[task, pair] for pair in arms}, more, less, 0.6, **scale)


def panels_of(figure):
    return [axes for axes in figure.drawing.axes if axes.axison]


# Scores


def test_scores_by_a_loop(rows, scored):
    found = transfer.scores(rows)
    assert list(found) == ["task", "method", "augmentation", "seed", "score", "standard_error"]
    assert list(dict.fromkeys(found["task"])) == list(HERE)
    assert len(found) == len(HERE) * len(ARMS) * len(SEEDS)
    table = found.set_index(["task", "method", "augmentation", "seed"])["score"]
    for (task, (method, recipe)), expected in scored.items():
        assert [table[task, method, recipe or "", seed] for seed in SEEDS] == list(expected)


def test_scores_leave_out_what_an_arm_lacks(rows):
    gone = (rows["method"] == "byol") & (rows["augmentation"] == "spatial") & (rows["shift"] == "dtd")
    assert "dtd" not in set(transfer.scores(rows[~gone])["task"])
    assert "dtd" in set(transfer.scores(rows[~gone & (rows["method"] == "simclr")])["task"])


def test_scores_that_cannot_be_compared(rows):
    with pytest.raises(BadInput, match="one score for each task"):
        transfer.scores(pd.concat([rows, rows]))
    with pytest.raises(BadInput, match="no task that all their encoders have; tasks: own classes"):
        transfer.scores(rows[rows["metric"] == "error"])


def test_task_table(rows, scored):
    table = transfer.task_table(rows)
    order = [("simclr", r) for r in RECIPES], [("moco_v2", r) for r in RECIPES], [("byol", r) for r in RECIPES]
    titles = [arm(*pair) for pairs in order for pair in pairs]
    assert [name for name in table["trained by"] if "three" not in name][:12] == titles
    assert list(table["trained by"])[-2:] == ["Supervised", "Random weights"]
    assert list(table)[1:] == [
        "own classes, accuracy (%)", "cifar100-5k, accuracy (%)", "dtd, accuracy (%)", "pacs-photo, accuracy (%)",
        "pacs-sketch, accuracy (%)", "coil azimuth, R² (%)", "scenes: object hue, R² (%)", "scenes: x, R² (%)",
        "scenes: light azimuth, R² (%)", "average rank",
    ]  # fmt: skip
    table = table.set_index("trained by")
    means = {key: numbers.mean() for key, numbers in scored.items()}
    for pair in ARMS:
        line = table.loc[arm(*pair)]
        ranks = [1 + sum(means[task, other] > means[task, pair] for other in ARMS) for task in HERE]
        assert line["average rank"] == f"{np.mean(ranks):.1f}"
        of_task = {own: values for (task, own), values in scored.items() if task == "x"}
        found = [float(number) for number in re.findall(r"-?[\d.]+", line["scenes: x, R² (%)"])]
        assert found == pytest.approx(number_ends(of_task, pair, dict.fromkeys(of_task, [0.6])), abs=0.051)


def test_one_arm_or_task_has_no_rank(rows):
    assert "average rank" not in transfer.task_table(rows[rows["method"] == "random"])
    assert "average rank" not in transfer.task_table(rows[rows["metric"] == "probe accuracy"])


# A method's recipes


def test_fusion_dots_are_differences(shown, scored):
    figure = shown["fusion"]
    kinds = {"accuracy": HERE[:5], "R²": HERE[5:]}
    for axes, (kind, tasks) in zip(panels_of(figure), kinds.items(), strict=True):
        assert axes.get_xlabel() == f"{kind} less that of default (points)"
        assert [text.get_text() for text in axes.get_yticklabels()] == [transfer.task_title(task) for task in tasks]
        assert len(axes.containers) == len(OWN)
        for container, pair in zip(axes.containers, OWN, strict=True):
            line, _, (bars,) = container
            assert container.get_label() == pair[1]
            assert line.get_color() == RECIPE_LOOK[pair[1]]["color"]
            assert line.get_marker() == RECIPE_LOOK[pair[1]]["marker"]
            for place, task in enumerate(tasks):
                gaps = scored[task, pair] - scored[task, OWN[0]]
                assert line.get_xdata()[place] == pytest.approx(gaps.mean())
                assert abs(line.get_ydata()[place] - place) < 0.5  # in the band of its task
                if pair[1] != "default":
                    error, degrees = gap_of(scored, task, pair, OWN[0])
                    half = stats.t.ppf(0.975, degrees) * error
                    ends = bars.get_segments()[place][:, 0]
                    assert ends == pytest.approx([gaps.mean() - half, gaps.mean() + half], abs=1e-5)
    assert (figure.data.loc[figure.data["augmentation"] == "default", "difference"] == 0).all()
    heights = [line.get_ydata()[0] for line, *_ in panels_of(figure)[0].containers]
    assert heights == sorted(heights) and len(set(heights)) == 5


def test_fusion_dots_in_words(rows, shown, scored):
    """The notes are estimated with the variances of all arms, as the claims are."""
    figure = shown["fusion"]
    means = {key: numbers.mean() for key, numbers in scored.items()}
    p = []
    for task in HERE:  # one-sided, of less than a point below each recipe, and of farther below one
        gaps = [
            (means[task, OWN[3]] - means[task, pair] + 1, *gap_of(scored, task, OWN[3], pair, ARMS)) for pair in OWN[:3]
        ]
        p.append((max(stats.t.sf(gap / error, degrees) for gap, error, degrees in gaps),
                  min(1, 3 * min(stats.t.cdf(gap / error, degrees) for gap, error, degrees in gaps))))  # fmt: skip
    shown_to = stats.false_discovery_control(np.minimum(1, 2 * np.min(p, axis=1))) <= 0.05
    near, far = (int((shown_to & (np.argmin(p, axis=1) == side)).sum()) for side in (0, 1))
    assert 0 < near < len(HERE) and 0 < far
    expected = f"three recipes, or less than 1 point below, on {near} of {len(HERE)} tasks, and to be farther below on"
    assert f"{expected} {far}. " in figure.notes
    averages = {pair: np.mean([scored[task, pair] for task in HERE], axis=0) for pair in ARMS}
    error, degrees = student(averages, OWN[3], OWN[4], 0.6, scale=lambda share: 1.0)
    half, gaps = stats.t.ppf(0.975, degrees) * error, averages[OWN[3]] - averages[OWN[4]]
    interval = f"{gaps.mean():.1f} [{gaps.mean() - half:.1f}, {gaps.mean() + half:.1f}]"
    words = f"averaged over the {len(HERE)} tasks, in points: less three defaults {interval}. "
    assert words in figure.notes
    judged_by = estimates(named(AUGMENTATION_INVARIANCE, "fusion-beats-size").contrasts(rows))
    assert str(judged_by[f"MoCo v2, mean of {len(HERE)} tasks, fusion less three defaults"]) == interval
    gap = means["x", OWN[2]] - means["x", OWN[0]]
    line = next(part for part in figure.alt.split("; ") if part.startswith("scenes: x:"))
    assert (
        f"appearance +{gap:.1f}" in line and "spatial \N{MINUS SIGN}" in line and "default" not in line.split(":")[1:1]
    )


def test_fusion_dots_with_recipes_missing(rows, shown):
    fewer = transfer.fusion_dots(rows, "Scope.", "simclr")
    assert fewer.name == "fig-fusion-simclr" and "three" not in fewer.notes.replace("three recipes", "")
    assert [text.get_text() for text in fewer.drawing.legends[0].get_texts()] == list(RECIPES)
    two = transfer.fusion_dots(rows[rows["augmentation"].isin(["default", "spatial"])], "Scope.")
    assert "Fusion" not in two.notes and set(two.data["augmentation"]) == {"default", "spatial"}
    one_kind = transfer.fusion_dots(rows[rows["metric"] != "linear R2"], "Scope.")
    assert len(panels_of(one_kind)) == 1
    more = pd.concat([rows, rows[rows["augmentation"] == "spatial"].assign(augmentation="only crop")])
    assert transfer.fusion_dots(more, "Scope.").alt == shown["fusion"].alt
    for alone in (rows[rows["augmentation"] == "default"], rows[rows["augmentation"] != "default"]):
        with pytest.raises(BadInput, match="MoCo v2 is needed with the augmentation default and one of spatial"):
            transfer.fusion_dots(alone, "")
    with pytest.raises(BadInput, match="allowed: .*byol"):
        transfer.fusion_dots(rows, "", "dino")


# Quantiles of the studentised range over the square root of 2 at 5 %: table 5 (a) of Demšar 2006.
NEMENYI = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728}


@pytest.mark.parametrize("method", ["moco_v2", "byol"])
def test_rank_dots(rows, scored, method):
    figure = transfer.rank_dots(rows, "Scope.", method)
    pairs = [pair for pair in ARMS if pair[0] == method]
    means = np.array([[scored[task, pair].mean() for pair in pairs] for task in HERE])
    ranks = {pair[1]: np.mean([1 + (line > line[i]).sum() for line in means]) for i, pair in enumerate(pairs)}
    (axes,) = panels_of(figure)
    words = [text.get_text() for text in axes.get_yticklabels()]
    assert words == [*sorted(ranks, key=ranks.get), "critical difference"]
    for name, container in zip(words, axes.containers, strict=False):
        line, _, (bars,) = container
        assert line.get_xdata()[0] == pytest.approx(ranks[name])
        assert line.get_ydata()[0] == words.index(name)
        low, high = bars.get_segments()[0][:, 0]
        assert 1 <= low <= ranks[name] <= high <= len(pairs)
        assert line.get_color() == RECIPE_LOOK[name]["color"]
        assert f"{name} {ranks[name]:.1f}" in figure.alt
    apart = NEMENYI[len(pairs)] * (len(pairs) * (len(pairs) + 1) / (6 * len(HERE))) ** 0.5
    bar = axes.get_lines()[-1]
    assert np.ptp(bar.get_xdata()) == pytest.approx(apart, abs=0.002) and set(bar.get_ydata()) == {len(pairs)}
    p = stats.friedmanchisquare(*means.T).pvalue
    told = "below 0.01" if p < 0.01 else f"= {p:.2f}"
    assert f"gives p {told}." in figure.notes and f"difference of {apart:.1f} apart" in figure.caption
    assert list(figure.data["average rank"]) == pytest.approx(sorted(ranks.values()))


def test_rank_dots_need_recipes_and_tasks(rows, unlaid):
    for few, words in ((rows[rows["augmentation"] == "fusion"], "hold 1 and 9"),
                       (rows[rows["subset"].isin(["x"])], "hold 5 and 1")):  # fmt: skip
        with pytest.raises(BadInput, match=f"two augmentations of MoCo v2 and two tasks, and these rows {words}"):
            transfer.rank_dots(few, "")
    other = (rows["augmentation"] == "fusion") & (rows["method"] == "moco_v2")
    with pytest.raises(BadInput, match="a seed that all"):
        transfer.rank_dots(rows.assign(seed=rows["seed"] + 10 * other), "")


# What an invariance goes with

numbers = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=4, max_size=12)


@settings(max_examples=40, deadline=None)
@given(numbers)
def test_correlation_is_scipys(pairs):
    x, y = np.transpose(pairs).astype(float)
    pearson, spearman = (transfer.correlation(x, y, ranks) for ranks in (False, True))
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        assert pearson is None and spearman is None
        return
    assert pearson.mean == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
    assert spearman.mean == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    for found in (pearson, spearman):
        assert -1 - 1e-9 <= found.low <= found.high <= 1 + 1e-9
    assert transfer.correlation(np.exp(x), y**3, True) == spearman  # only order counts


def test_correlation_interval_is_scipys():
    generator = np.random.default_rng(3)
    x = generator.normal(size=15)
    y = x + generator.normal(size=15)
    found, theirs = transfer.correlation(x, y, False), stats.pearsonr(x, y).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert transfer.correlation(x, y, False, families=[*range(14), 0]).low < found.low
    few = transfer.correlation(x, y, True, families=[0, 1, 2] * 5)
    assert few.mean == transfer.correlation(x, y, True).mean and np.isnan([few.low, few.high]).all()


@pytest.mark.parametrize("ranks", [False, True])
@pytest.mark.parametrize("alike", [0.0, 0.9])
def test_relatives_count_once(ranks, alike):
    """Of six methods with three variants each, which are as alike as `alike`, no correlation is seen where none is."""
    generator, families, missed = np.random.default_rng(5), np.repeat(np.arange(6), 3), 0
    for _ in range(600):
        x, y = (alike**0.5 * generator.normal(size=6)[families] + (1 - alike) ** 0.5 * generator.normal(size=18)
                for _ in range(2))  # fmt: skip
        missed += transfer.correlation(x, y, ranks, list(families)).sign != 0
    assert missed / 600 < 0.07


def test_correlation_of_few_or_equal():
    assert transfer.correlation([1, 2, 3], [1, 2, 3], True) is None
    assert transfer.correlation([1, 1, 1, 1], [1, 2, 3, 4], True) is None
    line = transfer.correlation([1, 2, 3, 4], [2, 4, 6, 8], False)
    assert (line.mean, line.low, line.high) == pytest.approx((1, 1, 1))


def dots(axes):
    """(x, y, colour, marker) of each dot."""
    return {
        (*np.round(line.get_xydata()[0], 6), to_hex(line.get_color()).upper(), line.get_marker())
        for line in axes.get_lines()
    }


def expected_dots(points):
    """The same from arm -> (x, y)."""
    looks = {pair: RECIPE_LOOK.get(pair[1]) or LOOK[pair[0]] for pair in points}
    return {(*np.round(xy, 6), looks[pair]["color"].upper(), looks[pair]["marker"]) for pair, xy in points.items()}


def written(x, y):
    """The first number of each line above a panel, by SciPy."""
    both = {"ρ": stats.spearmanr(x, y).statistic, "r": stats.pearsonr(x, y).statistic}
    return [f"{letter} {value:.2f} [".replace("-", "\N{MINUS SIGN}") for letter, value in both.items()]


def check_panel(axes, points, figure):
    assert len(axes.get_lines()) == len(points) and dots(axes) == expected_dots(points)
    starts = written(*np.transpose(list(points.values())))
    lines = axes.texts[0].get_text().split("\n")
    assert len(lines) == 2 and all(line.startswith(start) for line, start in zip(lines, starts, strict=True))
    assert f"{axes.get_title()}: Spearman {lines[0][2:]}, Pearson {lines[1][2:]}" in figure.alt


def test_scores_against_an_invariance(values, scored, shown):
    for name, transform, tasks in (("hue", "hue", ("object_hue", "own classes")), ("crop", "resized_crop", ("x",))):
        figure = shown[name]
        panels = panels_of(figure)
        assert [axes.get_title() for axes in panels] == [transfer.task_title(task) for task in tasks]
        for axes, task in zip(panels, tasks, strict=True):
            x = {pair: values[pair, transform, "", "whitened similarity"].mean() for pair in ARMS}
            check_panel(axes, {pair: (x[pair], scored[task, pair].mean()) for pair in ARMS}, figure)
        assert len(figure.data) == len(tasks) * len(ARMS)
        legend = [text.get_text() for text in figure.drawing.legends[0].get_texts()]
        assert legend == [
            "default",
            "spatial",
            "appearance",
            "fusion",
            "three defaults",
            "Supervised",
            "Random weights",
        ]
    assert "Spearman \N{MINUS SIGN}" in shown["hue"].alt.split("own classes")[0]  # who sees hue reads it


def test_scores_against_an_invariance_with_parts_missing(rows):
    tasks = ("object_hue", "pacs-art", "x")
    figure = transfer.invariance_against_score(rows, "Scope.", "hue", tasks)
    assert [axes.get_title() for axes in panels_of(figure)] == ["scenes: object hue", "scenes: x"]
    few = transfer.invariance_against_score(rows[rows["method"].isin(["supervised", "random"])], "S.", "hue", ("x",))
    assert "too few" in panels_of(few)[0].texts[0].get_text() and "scenes: x: too few encoders" in few.alt
    assert "recipes are" not in few.notes
    for transform, task in (("hue", "pacs-art"), ("rotation", "x")):
        without = rows[~((rows["shift"] == "rotation") & (rows["metric"] == "whitened similarity"))]
        with pytest.raises(BadInput, match=f"no whitened similarity under {transform}"):
            transfer.invariance_against_score(without, "", transform, (task,))
    with pytest.raises(BadInput, match="unknown transform 'hues'"):
        transfer.invariance_against_score(rows, "", "hues", ("x",))
    with pytest.raises(BadInput, match="unknown task 'y'"):
        transfer.invariance_against_score(rows, "", "hue", ("y",))


def test_recipes_without_a_look_share_their_methods(rows):
    more = pd.concat([
        rows, *(rows[rows["augmentation"] == "spatial"].assign(augmentation=name) for name in ("only crop", "no blur")),
    ])  # fmt: skip
    figure = transfer.invariance_against_score(more[more["method"] == "moco_v2"], "Scope.", "hue", ("x",))
    legend = [text.get_text() for text in figure.drawing.legends[0].get_texts()]
    assert legend == [*RECIPES, "three defaults", "MoCo v2, other recipes"]
    assert list(figure.data["encoder"])[-2:] == ["MoCo v2, only crop", "MoCo v2, no blur"]


def test_robustness_against_invariance(values, shown):
    figure = shown["robustness"]
    pairs = {"gaussian blur": "blur", "defocus blur": "blur", "brightness": "brightness", "contrast": "contrast",
             "saturate": "saturation", "elastic transform": "deform"}  # fmt: skip
    panels = panels_of(figure)
    assert [axes.get_title() for axes in panels] == list(pairs)
    for axes, (corruption, transform) in zip(panels, pairs.items(), strict=True):
        points = {}
        for pair in ARMS:
            lost = values[pair, corruption.replace(" ", "_"), "", "error"] - values[pair, "none", "", "error"]
            points[pair] = values[pair, transform, "", "whitened similarity"].mean(), lost.mean()
        check_panel(axes, points, figure)
        assert axes.get_xlabel() == f"similarity under {transform} (%)"


def test_robustness_with_parts_missing(rows):
    gone = rows["shift"].isin(["gaussian_blur", "defocus_blur", "deform"])
    figure = transfer.invariance_against_robustness(rows[~gone], "Scope.")
    assert [axes.get_title() for axes in panels_of(figure)] == ["brightness", "contrast", "saturate"]
    assert figure.alt.count("Spearman") == 3
    for lacking in (rows[rows["metric"] != "error"], rows[rows["metric"] == "error"], rows[rows["shift"] != "none"]):
        with pytest.raises(BadInput, match="no whitened similarity under blur, brightness"):
            transfer.invariance_against_robustness(lacking, "")


def test_one_seed_is_drawn_without_bars(rows):
    first = rows[rows["seed"] == 0]
    for figure in (
        transfer.fusion_dots(first, ""), transfer.rank_dots(first, ""),
        transfer.invariance_against_score(first, "", "hue", ("x",)),
    ):  # fmt: skip
        assert not re.search(r"nan", figure.alt + figure.caption)
        assert figure.picture().startswith(b"<?xml")
    assert "over tasks. Two" in transfer.rank_dots(first, "").caption
