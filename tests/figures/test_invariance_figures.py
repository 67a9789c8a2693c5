"""Figures of what encoders look through, against loops over the rows, SciPy and cases by hand."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgba
from matplotlib.container import ErrorbarContainer
from scipy import stats
from shorthand import number_ends, share_ends, unfolded
from worlds.invariance import COLUMNS, ONE_PARAMETER, SETS, THREE, made_up

from lib.chapters.augmentation import invariance
from lib.chapters.augmentation.claims import above_chance
from lib.chapters.augmentation.curves import similarity_curves
from lib.chapters.augmentation.erasure import erasure_bars
from lib.chapters.augmentation.views import real_views
from lib.errors import BadInput
from lib.figures.levels import AT_ONCE
from lib.figures.style import LOOK, RECIPE_LOOK
from lib.images.objects import OBJECTS
from lib.measures.read_out import READ
from lib.recent import remembered
from lib.shifts.transforms import TRANSFORMS
from lib.views import AUGMENTATIONS

TITLES = {("simclr", "default"): "SimCLR, default", ("simclr", "spatial"): "SimCLR, spatial",
          ("simclr", "appearance"): "SimCLR, appearance", ("moco_v2", "default"): "MoCo v2, default",
          ("moco_v2", "spatial"): "MoCo v2, spatial", ("moco_v2", "appearance"): "MoCo v2, appearance",
          ("supervised", None): "Supervised", ("random", None): "Random weights"}  # fmt: skip
MOCO = {arm: title for arm, title in TITLES.items() if arm[0] != "simclr"}
MINUS = "\N{MINUS SIGN}"


@pytest.fixture(scope="module")
def rows():
    return made_up()


def drawn(rows):
    return {
        "map": invariance.invariance_map(rows, "Scope."),
        "parts": invariance.parts_map(rows, "Scope."),
        "curves": similarity_curves(rows, "Scope."),
        "views": real_views(rows, "Scope."),
        "factors": invariance.factor_map(rows, "Scope."),
        "erasure": erasure_bars(rows, "Scope."),
    }


@pytest.fixture(scope="module")
def shown(rows):
    return drawn(rows)


def values(rows, arm, shift, metric, level=0, subset=""):
    """The value of each seed and its standard error, by a loop."""
    return np.array(looped(rows).get((*arm, shift, metric, level, subset), [])).T


@remembered
def looped(rows):
    """(method, augmentation, shift, metric, level (0: none), subset) -> (value, standard error) of each of its rows."""
    found = {}
    for line in rows.itertuples():
        augmentation, level = (other if pd.isna(own) else own for own, other in
                               ((line.augmentation, None), (line.level, 0)))  # fmt: skip
        key = (line.method, augmentation, line.shift, line.metric, level, line.subset)
        found.setdefault(key, []).append((line.value, line.standard_error))
    return found


def arms_in(rows):
    """All of them, those included that a figure leaves out: they lend their variances."""
    named = rows[["method", "augmentation"]].drop_duplicates().itertuples(index=False, name=None)
    return [(method, None if pd.isna(augmentation) else augmentation) for method, augmentation in named]


def ends(found, arm, scale=lambda value: 1.0):
    """Mean and interval of an arm, of the seeds and errors of all arms."""
    return number_ends(*({own: pair[0] for own, pair in found.items()}, arm,
                         {own: pair[1] for own, pair in found.items()}), scale)  # fmt: skip


def similarity(value):
    return max(1 - value**2, 0.01)


def whole(number):
    return f"{int(round(number))}".replace("-", MINUS)


def dots(axes):
    """(x, y, ends of the interval, colour, face) of every dot."""
    found = []
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        line, _, (bars,) = container
        for (x, y), bar in zip(line.get_xydata(), bars.get_segments(), strict=True):
            found.append((x, y, bar[:, 0], to_hex(line.get_color()), to_hex(line.get_markerfacecolor())))
    return found


# All figures


def test_a_phone_shows_letters_of_nine_pixels(shown):
    for figure in shown.values():
        inches = figure.drawing.get_tightbbox().width
        words = [text for axes in figure.drawing.axes for text in (*axes.texts, *axes.get_yticklabels())]
        assert min(text.get_fontsize() for text in words if text.get_text()) / 72 * 390 / inches > 9


def test_missing_augmentations_may_be_nan(rows, shown, unlaid):
    as_nan = rows.assign(augmentation=rows["augmentation"].astype(object).fillna(np.nan))
    for draw in (invariance.invariance_map, real_views):
        figure = draw(as_nan, "Scope.")
        (same,) = (other for other in shown.values() if other.name == figure.name)
        assert (figure.alt, figure.notes) == (same.alt, same.notes)
    references = rows[rows["augmentation"].isna()]
    for one in (references, references.assign(augmentation=np.nan)):  # a column of numbers
        assert list(invariance.factor_map(one, "").data)[2:] == ["Supervised", "Random weights"]


def test_one_seed_is_drawn_without_intervals(rows, unlaid):
    few = rows[(rows["seed"] == 0) & ~rows["shift"].isin(list(ONE_PARAMETER)[2:])]
    for name, figure in drawn(few).items():
        assert not re.search("nan", figure.alt + figure.caption + figure._table())
        assert not any(word in column for column in figure.data for word in ("low", "high"))
        if name in ("curves", "views"):
            assert "not told apart for" in figure.notes and "higher" not in figure.notes


def test_what_is_missing_is_left_out_and_nothing_is_refused(rows, unlaid):
    references = rows[rows["method"].isin(["supervised", "random"])]
    assert list(invariance.invariance_map(references, "").data)[2:] == ["Supervised", "Random weights"]
    assert invariance.parts_map(references, "") is None
    for function in (real_views, erasure_bars):
        figure = function(references, "")
        assert set(figure.data["encoder"]) == {"Supervised", "Random weights"} and "against" not in figure.notes
    rotation = rows[rows["shift"] == "rotation"]
    assert "Random weights" in similarity_curves(rotation[rotation["augmentation"].isna()], "").alt
    alone = similarity_curves(rotation[rotation["method"] == "simclr"], "", method="simclr")
    assert "SimCLR, spatial" in alone.alt and "Random" not in alone.alt
    simclr = rows[rows["method"] == "simclr"]
    for function in (similarity_curves, real_views, erasure_bars):
        with pytest.raises(BadInput, match="neither for MoCo v2 nor for"):
            function(simclr, "")
        with pytest.raises(BadInput, match="unknown method 'moco'.*did you mean"):
            function(rows, "", method="moco")
    accuracy = rows[rows["metric"] == "shape accuracy"]
    for function in (invariance.invariance_map, similarity_curves, real_views,
                     invariance.factor_map):  # fmt: skip
        with pytest.raises(BadInput, match="needs rows with the metric '(whitened similarity|linear R2)"):
            function(accuracy, "")
    with pytest.raises(BadInput, match="needs rows with the metrics 'whitened similarity' and 'whitened chance'"):
        real_views(rows[rows["metric"] != "whitened chance"], "")
    with pytest.raises(BadInput, match="all features and 'without object_hue'"):
        erasure_bars(rows[rows["shift"] != "without object_hue"], "")
    with pytest.raises(BadInput, match="numbers for some of: rotation, "):
        invariance.invariance_map(rows[~rows["augmentation"].isin(THREE) & rows["augmentation"].notna()], "")


def test_rows_of_two_encoders_are_refused(rows):
    twice = pd.concat([rows, rows])
    for function in (invariance.invariance_map, invariance.parts_map, similarity_curves,
                     real_views, invariance.factor_map, erasure_bars):  # fmt: skip
        with pytest.raises(BadInput, match="of one encoder and data set"):
            function(twice, "")


# Maps


def test_groups_hold_every_line_in_its_order():
    assert [name for members in invariance.KINDS.values() for name in members] == list(TRANSFORMS)
    assert [name for members in invariance.FACTOR_GROUPS.values() for name in members] == list(READ)
    assert tuple(invariance.OWN) == AUGMENTATIONS["default"]
    assert {name for own in invariance.OWN.values() for name in own} <= set(TRANSFORMS)
    assert set(invariance.PHOTOGRAPHS) == set(OBJECTS)


def check_map(figure, rows, lines, metric, arms, cell_of=lambda name: {"shift": name}):
    """Every number by a loop, and the titles; returns the means (L, C)."""
    axes = figure.drawing.axes[0]
    written = {text.get_position(): text.get_text() for text in axes.texts}
    means = np.empty((len(lines), len(arms)))
    for (line, column), _ in np.ndenumerate(means):
        means[line, column] = values(rows, list(arms)[column], metric=metric, **cell_of(lines[line]))[0].mean()
        number = written[column + 0.5, line + 0.5]
        assert number == whole(means[line, column])
    assert [text.get_text() for text in axes.get_xticklabels()] == list(arms.values()) == list(figure.data)[2:]
    assert np.allclose(figure.data.iloc[:, 2:].to_numpy(float), means)
    return means


def test_invariance_map_by_a_loop(rows, shown):
    figure = shown["map"]
    means = check_map(figure, rows, list(TRANSFORMS), "whitened similarity", TITLES)
    words = [text.get_text() for text in figure.drawing.axes[0].get_yticklabels()]
    assert words == [name.replace("_", " ") for name in TRANSFORMS] == list(figure.data["transform"])
    assert figure.data["group"].tolist() == [kind.kind for kind in TRANSFORMS.values()]
    spatial = np.array([kind.kind == "spatial" for kind in TRANSFORMS.values()])
    both = [means[chosen].mean(axis=0) for chosen in (spatial, ~spatial)]
    for column, title in enumerate(TITLES.values()):
        assert f"{title} {both[0][column]:.0f} and {both[1][column]:.0f}" in figure.alt
    best = [f"{list(TITLES.values())[own.argmax()]} ({own.max():.0f})" for own in both]
    assert f"transforms of a kind: spatial {best[0]}" in figure.notes and f"; appearance {best[1]}" in figure.notes
    assert "Blue and bold: 8 of 144 cells, below zero when rounded." in figure.caption


def test_chance_is_that_of_the_arms_that_are_shown(rows, shown, unlaid):
    chance = [values(rows, arm, "none", "whitened similarity")[0].mean() for arm in TITLES]
    low, high = (f"{end:.1f}".replace("-", MINUS) for end in (min(chance), max(chance)))
    assert f"Two different images score {low} to {high}, the level of chance." in shown["map"].caption
    fixed = rows.assign(value=rows["value"].where(rows["shift"] != "none", -0.04))
    assert "Two different images score 0.0, the level" in invariance.invariance_map(fixed, "").caption
    assert "chance" not in invariance.invariance_map(rows[rows["shift"] != "none"], "").caption


def test_lines_between_methods(shown):
    """Thin lines after each method's three recipes, and in the map of parts around those of one kind."""
    for name, expected in (("map", [3, 6]), ("factors", [3, 6]), ("parts", [3, 8, 13])):
        lines = [line.get_xdata() for line in shown[name].drawing.axes[0].get_lines()]
        assert [x[0] for x in lines if x[0] == x[1]] == expected


def test_parts_in_the_order_of_the_augmentations(rows, shown):
    arms = {("moco_v2", name): name for name in AUGMENTATIONS}
    means = check_map(shown["parts"], rows, list(TRANSFORMS), "whitened similarity", arms)
    crop = list(TRANSFORMS).index("resized_crop")
    pair = [means[crop, list(AUGMENTATIONS).index(name)] for name in ("default", "no crop")]
    assert f"crop {pair[0]:.0f} and {pair[1]:.0f} (resized crop); flip" in shown["parts"].notes
    jitter = [list(TRANSFORMS).index(name) for name in ("brightness", "contrast", "saturation", "hue")]
    pair = [means[jitter, list(AUGMENTATIONS).index(name)].mean() for name in ("default", "no jitter")]
    words = f"jitter {pair[0]:.0f} and {pair[1]:.0f} (brightness, contrast, saturation and hue); grey"
    assert words in shown["parts"].notes


def test_no_parts_no_map(rows, unlaid):
    three = rows[rows["augmentation"].isin([*THREE, "fusion"]) | rows["augmentation"].isna()]
    assert invariance.parts_map(three, "") is None
    assert invariance.parts_map(rows, "", method="simclr") is None
    one = rows[rows["augmentation"].isin([*THREE, "only blur"])]
    figure = invariance.parts_map(one, "")
    assert list(figure.data)[2:] == [*THREE, "only blur"] and "itself does" not in figure.notes


def test_factor_map_by_a_loop(rows, shown):
    figure = shown["factors"]
    means = check_map(figure, rows, list(READ), "linear R2", TITLES, lambda name: {"shift": "none", "subset": name})
    words = [text.get_text() for text in figure.drawing.axes[0].get_yticklabels()]
    assert words[:6] == ["object hue", "texture scale", "texture phase", "wall hue", "texture scale", "texture phase"]
    assert words[6:] == [name.replace("_", " ") for name in READ[6:]] == figure.data["factor"].tolist()[6:]
    assert figure.data["factor"].tolist()[4:6] == ["wall texture scale", "wall texture phase"]
    assert figure.data["group"].tolist() == ["object"] * 3 + ["wall"] * 3 + ["pose"] * 3 + ["light"] * 4 + ["place"] * 3
    below = (np.round(means) < 0).sum()
    assert below and f"Blue and bold: {below} of 128 cells, below zero when rounded." in figure.caption
    place = means[-3:].mean(axis=0)
    assert f"place {list(TITLES.values())[place.argmax()]} ({whole(place.max())})" in figure.notes
    assert f"SimCLR, default object hue ({means[:, 0].max():.0f})" in figure.alt


def test_an_arm_that_lacks_a_line_is_left_out(rows, unlaid):
    lacking = rows[~((rows["method"] == "supervised") & (rows["subset"] == "roll"))]
    assert "Supervised" not in list(invariance.factor_map(lacking, "").data)
    nobody = rows[rows["subset"] != "roll"]
    figure = invariance.factor_map(nobody, "")
    assert len(figure.data) == 15 and list(figure.data)[2:] == list(TITLES.values())


@pytest.mark.parametrize(("columns", "numbers", "inches"), [(11, 60, 0.282), (13, 60, 0.28), (11, -30, 0.31),
                                                            (4, 60, 0.45)])  # fmt: skip
def test_cells_are_as_wide_as_their_numbers(columns, numbers, inches):
    means = pd.DataFrame(np.full((2, columns), float(numbers)), index=["rotation", "hue"])
    titles = [str(column) for column in range(columns)]
    drawing = invariance._map(means, ["rotation", "hue"], titles, invariance.KINDS, titles)
    plt.close(drawing)  # as a Figure does, which this bare drawing is not
    assert drawing.get_figwidth() / columns == pytest.approx(inches, abs=1e-3)
    figure_words = drawing.axes[0].texts
    drawing.draw_without_rendering()
    cells = [text.get_window_extent() for text in figure_words if text.get_position()[1] == 0.5]
    assert all(a.x1 < b.x0 for a, b in zip(cells, cells[1:], strict=False))


# Curves


def test_curves_are_the_means_of_the_rows(rows, shown):
    figure, arms = shown["curves"], [arm for arm in MOCO if arm[0] != "supervised"]
    panels = [axes for axes in figure.drawing.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == list(ONE_PARAMETER)
    assert [axes.get_xlabel() for axes in panels] == list(ONE_PARAMETER.values())
    for axes, name in zip(panels, ONE_PARAMETER, strict=True):
        grid = sorted(TRANSFORMS[name].grid(32, 4)[:, 0].tolist())
        for arm, line, band in zip(arms, axes.get_lines(), axes.collections, strict=True):
            own = RECIPE_LOOK[arm[1]] if arm[1] else LOOK["random"]
            assert (line.get_label(), line.get_color(), line.get_marker()) == (MOCO[arm], own["color"], own["marker"])
            of_all = [
                {one: values(rows, one, name, "whitened similarity along", at) for one in arms_in(rows)} for at in grid
            ]
            found = [ends(numbers, arm, similarity) for numbers in of_all]
            assert np.allclose(line.get_xydata(), np.column_stack([grid, [mean for mean, _, _ in found]]), atol=1e-6)
            corners = band.get_paths()[0].vertices
            for (_, low, high), x in zip(found, grid, strict=True):
                heights = corners[np.isclose(corners[:, 0], x)][:, 1]
                assert np.min(heights) == pytest.approx(low) and np.max(heights) == pytest.approx(high)
    assert to_rgba(LOOK["random"]["color"])[0] == to_rgba(LOOK["random"]["color"])[1]  # grey
    assert list(figure.data["transform"].drop_duplicates()) == list(ONE_PARAMETER)
    assert len(figure.data) == 9 * 4 and "MoCo v2, spatial: low" in figure.data


def test_fresh_and_stored_rows_are_one_line(rows):
    """Stored rows have their parameter to six decimals."""
    hue = rows[rows["shift"] == "hue"]
    stored = hue.assign(level=hue["level"].where(hue["seed"] != 1, hue["level"].round(6)))
    assert stored["level"].nunique() > 4  # four settings, some of them twice
    lines = similarity_curves(stored, "").drawing.axes[0].get_lines()
    assert all(len(line.get_xdata()) == 4 for line in lines)


@pytest.mark.parametrize(("shift_of_spatial", "words"), [
    ((10, 10, 10), "higher for rotation."), ((-10, -10, -10), "lower for rotation."),
    ((10, -10, 30), "not told apart for rotation."), ((10,), "not told apart for rotation."),
])  # fmt: skip
def test_recipes_are_told_apart_by_their_difference(shift_of_spatial, words):
    """Of equal seeds, or with deviations of a point; those of the two recipes are others, whatever their numbers."""
    lines = []
    for seed, more in enumerate(shift_of_spatial):
        for recipe, value in (("spatial", 50.0 + more + seed), ("appearance", 52.0 - seed)):
            lines += [("moco_v2", seed, recipe, "rotation", angle, "whitened similarity along", value, 0.5)
                      for angle in (90.0, 180.0)]  # fmt: skip
    notes = similarity_curves(unfolded(pd.DataFrame(lines, columns=COLUMNS)), "").notes
    assert f"on average over the settings,{AT_ONCE}: {words}" in notes


# Real views


def views_of(cells):
    """Rows from (augmentation, (set, cause), similarity, chance, standard error), seeds as they come."""
    seeds, lines = {}, []
    for augmentation, name, similar, chance, error in cells:
        seed = seeds[augmentation, name] = seeds.get((augmentation, name), -1) + 1
        lines.append(("moco_v2", seed, augmentation, *name, "whitened similarity", similar, error))
        lines.append(("moco_v2", seed, augmentation, *name, "whitened chance", chance, 0.0))
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def test_views_are_paired_within_a_run(unlaid):
    """Similarity and chance that go together over seeds: half of the way each time, and an interval without width."""
    cells = [("default", ("coil", ""), 50 + c / 2, c, 0.0) for c in (0.0, 20.0, 60.0)]
    data = real_views(views_of(cells), "").data
    assert data.iloc[0].tolist() == ["MoCo v2, default", "azimuth (COIL)", *[pytest.approx(50)] * 3, 3]


def test_error_over_objects_is_that_of_the_ratio(unlaid):
    """60 above a chance of 20 is half of the way; each point of similarity is 1.25 points of it."""
    cells = [("default", ("scenes", "object_hue"), 60.0, 20.0, 2.0)] * 2
    data = real_views(views_of(cells), "").data
    half = stats.norm.ppf(0.975) * 2.5
    assert data.iloc[0].tolist()[1:5] == ["object hue (scenes)", *(pytest.approx(50 + x) for x in (0, -half, half))]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.floats(-100, 100), st.floats(-50, 99)), min_size=1, max_size=5))
def test_above_chance_is_a_share_of_the_way(pairs):
    """A run a pair: from its chance, so far on the way to 100; nothing at chance, and all of it at 100."""
    similar, chance = np.transpose(pairs)
    cells = [
        ("default", ("coil", ""), s, c, 1.0)
        for s, c in zip((*similar, *chance, *[100.0] * len(pairs)), [*chance] * 3, strict=True)
    ]
    own, none, all_of_it = above_chance(views_of(cells))["value"].to_numpy().reshape(3, -1)
    assert np.allclose(chance + own / 100 * (100 - chance), similar, atol=1e-9)
    assert (none == 0).all() and np.allclose(all_of_it, 100)


def test_real_views_by_a_loop(rows, shown):
    figure = shown["views"]
    axes = figure.drawing.axes[0]
    found = dots(axes)
    assert len(found) == len(MOCO) * len(SETS) == len(figure.data)
    labels = [text.get_text() for text in axes.get_yticklabels()]
    assert labels[:2] == ["azimuth\n(COIL)", "azimuth\n(scenes)"] and "object hue\n(scenes)" in labels
    for place, (name, changed) in enumerate(SETS):
        of_set = sorted((dot for dot in found if round(dot[1]) == place), key=lambda dot: dot[1])
        of_way = {}
        for one in arms_in(rows):
            similar, errors = values(rows, one, name, "whitened similarity", subset=changed)
            chance = values(rows, one, name, "whitened chance", subset=changed)[0]
            of_way[one] = 100 * (similar - chance) / (100 - chance), 100 * errors / (100 - chance)
        for arm, (x, _, (low, high), colour, _) in zip(MOCO, of_set, strict=True):  # from the top
            expected = ends(of_way, arm, similarity)
            assert (x, low, high) == pytest.approx(tuple(expected))
            assert colour == (RECIPE_LOOK[arm[1]] if arm[1] else LOOK[arm[0]])["color"].lower()
            words = labels[place].replace("\n", " ")
            line = figure.data[(figure.data["encoder"] == MOCO[arm]) & (figure.data["set"] == words)]
            assert line["mean"].item() == pytest.approx(x) and line["seeds"].item() == 3
            assert f"{MOCO[arm]} {x:.0f}" in figure.alt.split(f"{words}: ")[1].split(". ")[0]
    assert "rotation" not in figure.alt  # similarity under transforms is another measure's
    low, high = axes.get_xlim()
    assert low < 0 and high > 100 and all(low < dot[2][0] and dot[2][1] < high for dot in found)


def test_sentence_on_views_names_sets():
    cells = []
    for name, of_spatial in ((("coil", ""), 60.0), (("scenes", "azimuth"), 20.0), (("scenes", "light colour"), 40.0)):
        cells += [("spatial", name, of_spatial, 0.0, 0.1)] * 3 + [("appearance", name, 40.0, 0.0, 0.1)] * 3
    assert real_views(views_of(cells), "Scope.").notes.endswith(
        f"{AT_ONCE}: higher for azimuth (COIL); lower for azimuth (scenes); no effect beyond ±5 for light "
        "colour (scenes). "
    )


# Erasure


def test_erasure_by_a_loop(rows, shown):
    figure = shown["erasure"]
    titles = [axes.get_title(loc="left") for axes in figure.drawing.axes]
    assert titles == ["linear R² of the object's hue (%)", "linear R² of other factors, mean of 15 (%)",
                      "accuracy on shapes (%)"]  # fmt: skip
    cells = {
        "object hue": [[(shift, "linear R2", 0, "object_hue")] for shift in ("none", "without object_hue")],
        "other factors": [
            [(shift, "linear R2", 0, name) for name in READ if name != "object_hue"]
            for shift in ("none", "without object_hue")
        ],
        "shape": [[("none", "shape accuracy")], [("without object_hue", "shape accuracy")]],
    }
    data, overall = figure.data.set_index(["encoder", "what", "features"]).sort_index(), []
    for axes, (what, both) in zip(figure.drawing.axes, cells.items(), strict=True):
        assert [text.get_text() for text in axes.get_yticklabels()] == list(MOCO.values())
        found, means = dots(axes), []
        assert len(found) == 2 * len(MOCO)
        for place, arm in enumerate(MOCO):
            own = sorted((dot for dot in found if round(dot[1]) == place), key=lambda dot: dot[1])
            for (x, _, (low, high), colour, face), of, features in zip(
                own, both, ("all features", "without the hue"), strict=True
            ):
                read = {one: np.mean([values(rows, one, *cell) for cell in of], axis=0) for one in arms_in(rows)}
                told = ends(read, arm)
                if what == "shape":
                    told = share_ends({one: pair[0] for one, pair in read.items()}, arm, np.mean(read[arm][1]))
                assert (x, low, high) == pytest.approx(tuple(told))
                assert (face == "#ffffff") == (features == "all features") and (face == colour) != (face == "#ffffff")
                assert data.loc[(MOCO[arm], what, features), "mean"] == pytest.approx(x)
                means.append(x)
            words = figure.alt.split(f"{MOCO[arm]}: ")[1].split(";")[0]
            assert f"{what} {whole(means[-2])} to {whole(means[-1])}" in words
        overall.append(f"{what} {whole(np.mean(means[::2]))} to {whole(np.mean(means[1::2]))}")
    assert f"before and after: {overall[0]}, {overall[1]} and {overall[2]}." in figure.notes
    assert "A guessed shape is right in 10 %." in figure.caption


def test_erasure_by_hand():
    """Two other factors, one of which is read only once and so does not count; no shapes, no panel."""
    lines = [("moco_v2", 0, "default", shift, name, "linear R2", value, 0.0) for shift, name, value in (
        ("none", "object_hue", 80.0), ("without object_hue", "object_hue", -0.3),
        ("none", "x", 40.0), ("without object_hue", "x", 38.0), ("none", "y", 10.0), ("coil", "azimuth", 99.0),
    )]  # fmt: skip
    figure = erasure_bars(unfolded(pd.DataFrame(lines, columns=COLUMNS)), "Scope.")
    titles = [axes.get_title(loc="left") for axes in figure.drawing.axes]
    assert titles == ["linear R² of the object's hue (%)", "linear R² of other factors, mean of 1 (%)"]
    assert figure.data["mean"].tolist() == [80.0, -0.3, 40.0, 38.0]
    assert figure.alt.endswith("MoCo v2, default: object hue 80 to 0 and other factors 40 to 38.")
