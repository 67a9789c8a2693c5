"""The error over images of sums of cells, by loops over single images, and what stands in where some are missing."""

from dataclasses import replace

import numpy as np
import pytest

from lib.measures.outcomes import outcome, thinned
from lib.paired import PAIRED, Part, over_images

SEEDS, IMAGES = 3, 40


def drawn(generator, images=IMAGES, seeds=SEEDS, own=1.0, luck=1.0):
    """What a system does on images, (S, N): they ask something of it, and seeds have luck."""
    return own * generator.normal(size=images) + luck * generator.normal(size=(seeds, images))


def part(weight, values, error=5.0, sources=None):
    return Part(weight, error, [outcome(line, sources) for line in values])


def without(systems):
    """The same with nothing but standard errors."""
    return {name: {key: replace(own, outcomes=None) for key, own in cells.items()} for name, cells in systems.items()}


def by_loops(systems):
    """Images and seeds crossed: the variance of the images' means less what image and seed make together, in points."""
    names = list(systems)
    seeds, images = systems[names[0]].shape
    totals = [sum(systems[name][s][n] for name in names for s in range(seeds)) / seeds for n in range(images)]
    middle = sum(totals) / images
    found = sum((total - middle) ** 2 for total in totals) / (images - 1) / images
    for name in names:
        own, rest = systems[name], 0.0
        for s in range(seeds):
            for n in range(images):
                rest += (own[s, n] - own[:, n].mean() - own[s].mean() + own.mean()) ** 2
        found -= rest / (images - 1) / (seeds - 1) / seeds / images
    return 100**2 * found


def test_cells_on_the_same_images_are_summed_image_by_image():
    """The weights of two cells of two systems, whose images are hard for all."""
    generator = np.random.default_rng(0)
    hard = 3 * generator.normal(size=IMAGES)
    values = {(name, cell): hard + drawn(generator) for name in "ab" for cell in ("noise", "fog")}
    weights = {("a", "noise"): 0.5, ("a", "fog"): 0.5, ("b", "noise"): -0.5, ("b", "fog"): -0.5}
    systems = {
        name: {cell: part(weights[name, cell], values[name, cell]) for cell in ("noise", "fog")} for name in "ab"
    }
    sums = {name: sum(weights[name, cell] * values[name, cell] for cell in ("noise", "fog")) for name in "ab"}
    assert over_images(systems) == pytest.approx(by_loops(sums))


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_difference_of_right_and_wrong(seeds):
    """Of one seed as of three; a single system has the whole error over images."""
    generator = np.random.default_rng(1)
    first, second = (generator.random((seeds, 200)) < share for share in (0.7, 0.5))
    found = over_images({"a": {"x": part(1, first)}, "b": {"x": part(-1, second)}})
    if seeds == 1:
        gaps = first[0].astype(float) - second[0]
        assert found == pytest.approx(100**2 * gaps.var(ddof=1) / 200)
        alone = over_images({"a": {"x": part(1, first)}})
        assert alone == pytest.approx(100**2 * first[0].var(ddof=1) / 200)
    else:
        assert found == pytest.approx(max(0, by_loops({"a": first * 1.0, "b": -1.0 * second})))


def test_without_outcomes_the_bound_stands():
    parts = {"a": {"x": Part(1, 3.0)}, "b": {"x": Part(-1, 1.0)}}
    assert over_images(parts) == pytest.approx((1 - PAIRED**2) * (3 - 1) ** 2 + PAIRED**2 * (3**2 + 1**2))


def missing(systems, generator):
    cell = systems["b"]["x"]
    return replace(cell, outcomes=None)


def fewer(systems, generator):
    return part(-1, drawn(generator, IMAGES // 2))


def one_with_fewer(systems, generator):
    cell = systems["b"]["x"]
    return replace(cell, outcomes=[*cell.outcomes[:-1], outcome(cell.outcomes[-1].values[:-1])])


def other_sources(systems, generator):
    return part(-1, drawn(generator), sources=np.arange(IMAGES) // 2)


@pytest.mark.parametrize("changed", [missing, fewer, one_with_fewer, other_sources])
def test_what_is_not_on_the_same_images_has_the_bound(changed):
    generator = np.random.default_rng(2)
    systems = {name: {"x": part(weight, drawn(generator))} for name, weight in (("a", 1), ("b", -1))}
    paired = over_images(systems)
    systems["b"]["x"] = changed(systems, generator)
    assert over_images(systems) == pytest.approx(over_images(without(systems))) != pytest.approx(paired)


@pytest.mark.parametrize("fog", [0.5, -0.5])
def test_cells_on_other_images_go_together_or_are_independent(fog):
    """A mean over two sets of images; a difference of differences on two sets."""
    generator = np.random.default_rng(3)
    noise, mist = ({name: drawn(generator, images) for name in "ab"} for images in (IMAGES, 3 * IMAGES))
    systems = {
        name: {"noise": part(0.5 * sign, noise[name]), "fog": part(fog * sign, mist[name])}
        for name, sign in (("a", 1), ("b", -1))
    }
    one = over_images({name: {"noise": cells["noise"]} for name, cells in systems.items()})
    other = over_images({name: {"fog": cells["fog"]} for name, cells in systems.items()})
    expected = (one**0.5 + other**0.5) ** 2 if fog > 0 else one + other
    assert over_images(systems) == pytest.approx(expected)


def test_a_cell_without_outcomes_beside_one_with():
    generator = np.random.default_rng(4)
    systems = {
        name: {"noise": part(0.5 * sign, drawn(generator)), "fog": Part(0.5 * sign, 4.0)}
        for name, sign in (("a", 1), ("b", -1))
    }
    one = over_images({name: {"noise": cells["noise"]} for name, cells in systems.items()})
    bound = PAIRED**2 * 2 * (0.5 * 4.0) ** 2
    assert over_images(systems) == pytest.approx((one**0.5 + bound**0.5) ** 2)


def test_other_images_in_equal_number_seem_to_share_nothing():
    """They are summed in an order that means nothing: on average their variances are added."""
    generator, found = np.random.default_rng(5), []
    for _ in range(300):
        cells = {cell: part(1, drawn(generator, luck=0, seeds=1)) for cell in ("art", "sketch")}
        found.append(over_images({"a": cells}))
    assert np.mean(found) == pytest.approx(100**2 * 2 / IMAGES, rel=0.1)


def test_of_few_images_the_error_is_that_of_all():
    """A tenth is kept of one cell and a fifth of the other; the error of the mean is still that of 4,000."""
    generator = np.random.default_rng(6)
    hard = np.linspace(-2, 2, 4000)  # in their order, as images of a class after another are
    values = {(name, cell): hard + drawn(generator, 4000) for name in "ab" for cell in "xy"}
    whole, few = (
        {
            name: {cell: Part(sign, 5.0, [thin(outcome(line), cell) for line in values[name, cell]]) for cell in "xy"}
            for name, sign in (("a", 1), ("b", -1))
        }
        for thin in (lambda own, cell: own, lambda own, cell: thinned(own, 400 if cell == "x" else 800))
    )
    assert len(few["a"]["x"].outcomes[0].values) == 400 and len(few["a"]["y"].outcomes[0].values) == 800
    assert over_images(few) == pytest.approx(over_images(whole), rel=0.2)
    assert over_images(few) != over_images(whole)


def test_images_of_one_source_are_summed():
    """Views of an object that are all alike tell as much as one of them; of a single object they tell nothing."""
    generator = np.random.default_rng(7)
    objects = {name: drawn(generator, 10) for name in "ab"}
    views = {name: np.repeat(values, 8, axis=1) for name, values in objects.items()}

    def difference(values, sources=None):
        return {name: {"x": part(w, values[name], sources=sources)} for name, w in (("a", 1), ("b", -1))}

    once, often = over_images(difference(objects)), over_images(difference(views, np.repeat(np.arange(10), 8)))
    assert often == pytest.approx(once) and over_images(difference(views)) < once / 5
    alone = difference(views, np.zeros(80, dtype=int))
    assert over_images(alone) == pytest.approx(over_images(without(alone)))


def test_a_system_less_itself_leaves_nothing():
    values = drawn(np.random.default_rng(8))
    assert over_images({"a": {"x": part(0, values)}}) == 0
    cells = {"x": part(1, values), "y": part(-1, values)}
    assert over_images({"a": cells}) == 0
