"""Verdicts on the claims about augmentations, on rows made to hold, to be reversed, and to leave a claim open."""

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
from shorthand import unfolded

from lib.cells import NEAR
from lib.chapters.augmentation.claims import (
    AUGMENTATION_CAUSES,
    AUGMENTATION_INVARIANCE,
    MIXING,
    SINGLE,
    TASKS,
    TRAINED_FOR,
    fusion_gaps,
    fusion_tally,
    over_tasks,
    task_rows,
    with_wide,
)
from lib.chapters.augmentation.names import differing
from lib.chapters.augmentation.plan import BY_RULE, LEARNED, MIXED, PLAN
from lib.chapters.augmentation.transfer import task_table
from lib.images.objects import CAUSES
from lib.images.scenes import FACTORS
from lib.measures import estimate
from lib.runs.plan import configs_of
from lib.shifts.transforms import TRANSFORMS
from lib.verdicts import MARGIN, judge, named

SEEN = named(AUGMENTATION_INVARIANCE, "learn-what-views-undergo")
POSE = named(AUGMENTATION_INVARIANCE, "carries-over-to-pose")
LIGHT = named(AUGMENTATION_INVARIANCE, "carries-over-to-light")
OPPOSITE = named(AUGMENTATION_INVARIANCE, "tasks-prefer-opposites")
NEAR_BEST = named(AUGMENTATION_INVARIANCE, "fusion-near-best")
SIZE = named(AUGMENTATION_INVARIANCE, "fusion-beats-size")
HUE = named(AUGMENTATION_INVARIANCE, "hue-without-jitter")
POSITION = named(AUGMENTATION_INVARIANCE, "position-without-crops")
RECIPES = ("default", "spatial", "appearance", "fusion")
ARMS = (
    *(("moco_v2", recipe) for recipe in (*RECIPES, "three defaults", "no jitter", "no crop")),
    *(("byol", recipe) for recipe in RECIPES),
    ("supervised", None), ("random", None),
)  # fmt: skip
SETS = (("coil", ""), ("scenes", "azimuth"), ("scenes", "light direction"), ("scenes", "light colour"))
HERE = ("own classes", "dtd", "coil azimuth", "object_hue", "x", "light_azimuth")
COLUMNS = ["method", "augmentation", "encoder", "seed", "shift", "of", "metric", "value", "standard_error"]
BLIND = {  # recipe: what it looks through
    "spatial": (*TRAINED_FOR["spatial"], "coil", "azimuth"),
    "appearance": (*TRAINED_FOR["appearance"], "light direction", "light colour"),
}
SCORES = {
    "object_hue": {"spatial": 60, "no jitter": 50, "fusion": 60.5, "default": 20, "three defaults": 25},
    "x": {"appearance": 70, "no crop": 65, "fusion": 69.5, "default": 30, "three defaults": 31},
}


def truth(method, recipe, shift, subset, metric):
    """The world as the claims say it is."""
    if metric == "whitened chance":
        return 1.0
    if metric == "whitened similarity":
        return 80.0 if (subset or shift) in BLIND.get(recipe, ()) else 40.0
    task = next(name for name, cell in TASKS.items() if cell == (shift, subset, metric))
    return float(SCORES.get(task, {}).get(recipe, {"fusion": 52, "three defaults": 51}.get(recipe, 50)))


def rows(world=truth, arms=ARMS, seeds=3, jitter=0.01, standard_error=0.01):
    generator, lines = np.random.default_rng(0), []
    views = [(name, "") for name in itertools.chain(*TRAINED_FOR.values())]
    cells = [(*shown, "whitened similarity") for shown in (*views, *SETS)]
    cells += [(*shown, "whitened chance") for shown in SETS] + [TASKS[task] for task in HERE]
    for (method, recipe), seed, (shift, subset, metric) in itertools.product(arms, range(seeds), cells):
        value = world(method, recipe, shift, subset, metric) + jitter * generator.normal()
        lines.append((method, recipe, "resnet10", seed, shift, subset, metric, value, standard_error))
        if metric == "whitened similarity" and shift in TRANSFORMS:
            along = (shift, 0.25, "whitened similarity along", 90.0, 0.0)
            lines.append((method, recipe, "resnet10", seed, *along))
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def changed(recipes, cells, value):
    """The true world, except for one value of some recipes."""
    return lambda method, recipe, *cell: (
        value if recipe in recipes and tuple(cell) in cells else truth(method, recipe, *cell)
    )


@pytest.fixture(scope="module")
def true():
    return rows()


def test_claims_speak_of_what_there_is():
    for kind, names in TRAINED_FOR.items():
        assert {TRANSFORMS[name].kind for name in names} == {kind}
    assert {cause for _, cause in SETS[1:]} <= set(CAUSES)
    read = {subset for shift, subset, metric in TASKS.values() if metric == "linear R2" and shift == "none"}
    assert read <= set(FACTORS)


def test_claims_hold_where_they_are_true(true):
    assert [judge(claim, true).verdict for claim in AUGMENTATION_INVARIANCE] == ["holds"] * 8


def test_a_number_of_one_cell_refutes_a_claim():
    """By so much that a mean turns with it."""
    likeness = "whitened similarity"
    for claim, recipes, cell, value, words in (
        (SEEN, ["appearance"], ("h_flip", "", likeness), 999, "mean of 16"),
        (SEEN, ["spatial"], ("hue", "", likeness), 999, "mean of 16"),
        (POSE, ["appearance"], ("coil", "", likeness), 200, "mean of 4"),
        (POSE, ["spatial"], ("scenes", "azimuth", likeness), -20, "mean of 4"),
        (LIGHT, ["spatial"], ("scenes", "light colour", likeness), 200, "mean of 4"),
        (OPPOSITE, ["spatial"], TASKS["object_hue"], 10, "object hue, spatial less appearance"),
        (OPPOSITE, ["spatial"], TASKS["x"], 80, "x, appearance less spatial"),
        (NEAR_BEST, ["fusion"], TASKS["dtd"], 45, "dtd, fusion less"),
        (SIZE, ["three defaults"], TASKS["dtd"], 99 * 6, "mean of 6 tasks, fusion less three defaults"),
        (HUE, ["no jitter"], TASKS["object_hue"], 10, "object hue, no jitter less default"),
        (POSITION, ["no crop"], TASKS["x"], 10, "x, no crop less default"),
    ):
        verdict = judge(claim, rows(changed(recipes, [cell], float(value)), seeds=2))
        assert verdict.verdict == "reversed" and words in verdict.contrast, words
        assert verdict.difference.high <= 0


def test_one_cell_of_many_does_not_refute_what_is_said_in_general():
    """The flip of one method: seven of eight cells say what the claim says, and so does their mean."""
    verdict = judge(SEEN, rows(changed(["appearance"], [("h_flip", "", "whitened similarity")], 90.0)))
    assert verdict.verdict == "holds" and sum(cell.sign < 0 for cell in verdict.cells.values()) == 2
    assert len(verdict.cells) == 16


def test_what_is_within_the_noise_is_undecided(true):
    """Seeds that part each two recipes by 40 points and more, to either side; wide errors over images; one seed."""
    recipes = list(dict.fromkeys(recipe for _, recipe in ARMS))
    away = 40 * true["augmentation"].map(lambda recipe: recipes.index(recipe) if recipe in recipes else 0)
    away *= (true["seed"] - 1) * (true["metric"] != "whitened chance")
    for data in (true.assign(value=true["value"] + away), true.assign(standard_error=150.0), true[true["seed"] == 0]):
        assert [judge(claim, data).verdict for claim in AUGMENTATION_INVARIANCE] == ["undecided"] * 8


@pytest.mark.parametrize(("missing", "untested"), [
    (["fusion"], {NEAR_BEST, SIZE}),
    (["three defaults"], {SIZE}),
    (["no crop"], {POSITION}),
    (["no jitter"], set()),  # the spatial recipe stands for it
    (["no jitter", "spatial"], {SEEN, POSE, LIGHT, OPPOSITE, NEAR_BEST, HUE}),
    (["default"], {NEAR_BEST, HUE, POSITION}),
])  # fmt: skip
def test_a_claim_without_its_recipes_is_not_tested(true, missing, untested):
    data = true[~true["augmentation"].isin(missing)]
    for claim in AUGMENTATION_INVARIANCE:
        assert judge(claim, data).verdict == ("not tested" if claim in untested else "holds"), claim.statement


def test_references_alone_test_nothing(true):
    references = true[true["augmentation"].isna()]
    for data in (references, references.astype({"augmentation": object}), references.iloc[:0]):
        assert {judge(claim, data).verdict for claim in AUGMENTATION_INVARIANCE} == {"not tested"}


def test_a_measure_that_is_missing_leaves_its_contrasts_out(true):
    """Without the photographs of COIL the scenes decide alone; without either nothing does."""
    cells = judge(POSE, true[true["shift"] != "coil"]).cells
    assert len(cells) == 2 and all(words.endswith("scenes: azimuth, spatial less appearance") for words in cells)
    assert judge(POSE, true[~true["shift"].isin(["coil", "scenes"])]).verdict == "not tested"
    assert judge(OPPOSITE, true[~true["subset"].isin(["object_hue", "x"])]).verdict == "not tested"


def test_hue_is_asked_of_the_recipe_that_lacks_jitter_alone(true):
    assert judge(HUE, true).contrast == "MoCo v2, object hue, no jitter less default"
    without = judge(HUE, true[true["augmentation"] != "no jitter"])
    assert all(words.endswith("object hue, spatial less default") for words in without.cells)


def test_likeness_of_views_counts_above_that_of_any_two_images():
    """Views that are no more alike than chance show no invariance, however alike they are."""
    alike = changed(["spatial"], [(*shown, "whitened chance") for shown in SETS], 79.0)
    verdict = judge(POSE, rows(alike))
    assert verdict.verdict == "reversed"
    assert verdict.difference.mean == pytest.approx(100 * ((80 - 79) / (100 - 79) - (40 - 1) / (100 - 1)), abs=0.1)


@pytest.mark.parametrize(("below", "expected"), [(0.5, "holds"), (1.5, "reversed"), (-5.0, "holds")])
def test_a_fusion_may_be_a_little_below_the_best(below, expected):
    verdict = judge(NEAR_BEST, rows(changed(["fusion"], [TASKS["x"]], 70 - below)))
    assert verdict.verdict == expected
    gap = verdict.cells["MoCo v2, x, fusion less appearance, plus 1 point"]
    assert gap.mean == pytest.approx(NEAR - below, abs=0.05)
    assert len(verdict.cells) == 2 * len(HERE) * len(SINGLE)


def test_causes_by_what_differs_alone(true):
    """Any hue against the default, and "no crop", which is appearance with flips, against appearance."""
    any_hue = true[true["augmentation"] == "default"].assign(augmentation="any hue")
    any_hue["value"] -= 10
    causes = (named(AUGMENTATION_CAUSES, name) for name in ("small-jitter-leaves-hue", "flips-take-the-side"))
    hue, flips = (judge(claim, pd.concat([true, any_hue])) for claim in causes)
    assert hue.verdict == "holds" and list(hue.cells)[0] == "MoCo v2, object hue, default less any hue"
    assert hue.difference.mean == pytest.approx(10, abs=0.05)
    assert (flips.verdict, flips.contrast) == ("holds", "MoCo v2, x, appearance less no crop")
    assert flips.difference.mean == pytest.approx(70 - 65, abs=0.05)


def test_a_wide_encoder_is_a_control_of_size(true):
    wide = true[true["augmentation"] == "three defaults"].assign(encoder="resnet10_wide", augmentation="default")
    rows = with_wide(pd.concat([true, wide]))
    assert set(rows["augmentation"]) - set(true["augmentation"]) == {"wide default"}
    assert judge(SIZE, rows).verdict == "holds"
    beaten = rows["value"].where(rows["augmentation"] != "wide default", rows["value"] + 50)
    verdict = judge(SIZE, rows.assign(value=beaten))
    assert (verdict.verdict, verdict.contrast) == ("reversed", "MoCo v2, mean of 6 tasks, fusion less wide default")


def test_gaps_to_each_recipe(true):
    gaps = fusion_gaps(task_rows(true), "byol")
    assert list(gaps) == list(HERE) and set(map(tuple, gaps.values())) == {("default", "spatial", "appearance")}
    assert gaps["object_hue"]["spatial"].mean == pytest.approx(0.5, abs=0.05)
    assert gaps["x"]["appearance"].mean == pytest.approx(-0.5, abs=0.05)


def test_the_tally_of_a_fusion_by_hand():
    """Standard errors of 1 and a margin of 1: what lies 3 above is near, 6 below one recipe is far, 2 below neither."""

    def gaps(*means):
        return dict(zip("abc", (estimate(mean, 1.0, 1000) for mean in means), strict=True))

    assert fusion_tally({"t": gaps(3, 4, 5)}) == (1, 0)
    assert fusion_tally({"t": gaps(3, 4, -6)}) == (0, 1)
    assert fusion_tally({"t": gaps(3, 4, -2)}) == (0, 0)
    assert fusion_tally({"t": gaps(3, 4, -3.2)}) == (0, 0)  # 2.2 below the margin is little for the worst of three
    assert fusion_tally({task: gaps(1.0, 4, 5) if task else gaps(9, 9, 9) for task in range(4)}) == (4, 0)
    assert fusion_tally({task: gaps(0.0, 0, 0) if task else gaps(1.0, 9, 9) for task in range(9)}) == (0, 0)


def test_tasks_are_those_that_every_run_has(true):
    found = task_rows(true)
    assert list(dict.fromkeys(found["task"])) == list(HERE)  # in the order of TASKS
    assert len(found) == len(HERE) * len(ARMS) * 3
    assert set(found.loc[found["method"] == "random", "augmentation"]) == {""}
    gone = (true["method"] == "byol") & (true["seed"] == 2) & (true["shift"] == "dtd")
    assert list(dict.fromkeys(task_rows(true[~gone])["task"])) == [task for task in HERE if task != "dtd"]


def test_mean_over_tasks_by_hand(true):
    chosen = true[true["subset"].isin(["x", "light_azimuth"])].assign(value=1.0, standard_error=1.0)
    chosen.loc[chosen["subset"] == "x", ["value", "standard_error"]] = [2.0, 4.0]
    found = over_tasks(chosen)
    assert len(found) == len(ARMS) * 3
    assert set(found["value"]) == {1.5} and set(found["standard_error"]) == {2.5} and set(found["tasks"]) == {2}


# What mixed images do

BY_MIXING = (("simclr", "default"), *((name, "default") for name in MIXED), ("random", None))


def of_mixing(likeness=10.0, read=-10.0, task=5.0, **more):
    """A world in which mixing adds so much to similarities and to what is read, and learned mixing to tasks."""

    def world(method, recipe, *cell):
        value, (shift, subset, metric) = truth(method, recipe, *cell), cell
        if method in MIXED and metric == "whitened similarity":
            return value + likeness
        if method in MIXED and (shift, subset) in (("none", "object_hue"), ("none", "x")):
            return value + read
        return value + task * (
            method == "samix" and (shift, metric) in (("none", "probe accuracy"), ("dtd", "accuracy"))
        )

    return rows(world, BY_MIXING, **more)


def test_claims_on_mixing_hold_where_they_are_true():
    """3 ways to mix by 8 transforms, by 4 sets of views, and by hue and place; of 6 tasks two are 5 points better."""
    found = [judge(claim, of_mixing()) for claim in MIXING]
    assert [verdict.verdict for verdict in found] == ["holds"] * 5
    assert [max(len(verdict.cells), 1) for verdict in found] == [24, 12, 6, 1, 1]
    means = [verdict.difference.mean for verdict in found]
    assert means == pytest.approx([10, 100 * 10 / 99, 10, 5 * 2 / 6, 5 * 2 / 6], abs=0.1)
    for verdict, word in zip(found[3:], ("mixup", "CutMix"), strict=True):
        assert verdict.contrast == f"mean of 6 tasks, SAMix less SimCLR with {word}"
        assert verdict.claim.margin == MARGIN


def test_claims_on_mixing_are_reversed_and_open():
    against = of_mixing(likeness=-10.0, read=10.0, task=-5.0)
    assert [judge(claim, against).verdict for claim in MIXING] == ["reversed"] * 5
    assert [judge(claim, of_mixing(0.0, 0.0, 0.0)).verdict for claim in MIXING] == ["no effect"] * 5
    for data in (of_mixing(standard_error=150.0), of_mixing(seeds=1)):
        assert [judge(claim, data).verdict for claim in MIXING] == ["undecided"] * 5


def test_without_mixed_images_or_without_simclr_nothing_is_tested(true):
    data = of_mixing()
    for own in (true, data[~data["method"].isin(MIXED)]):
        assert {judge(claim, own).verdict for claim in MIXING} == {"not tested"}
    alone = [judge(claim, data[data["method"] != "simclr"]).verdict for claim in MIXING]
    assert alone == ["not tested"] * 3 + ["holds"] * 2
    for missing, last in ((LEARNED, ["not tested"] * 2), ("cutmix", ["holds", "not tested"])):
        assert [judge(claim, data[data["method"] != missing]).verdict for claim in MIXING] == ["holds"] * 3 + last


def test_mixup_and_cutmix_are_runs_that_differ_in_their_mix_alone():
    configs = configs_of(PLAN, "small", ["simclr", "mixing"], seeds=[0])
    mixing = [config for config in configs if config.method == "mixing"]
    assert [config.differing for config in mixing] == ["", "mix cutmix"] == [differing(name) for name in BY_RULE]
    assert mixing[0] == dataclasses.replace(mixing[1], settings=mixing[0].settings)
    assert {config.augmentation for config in mixing} == {"default"}


def test_cutmix_is_told_from_mixup_by_its_settings():
    """Rows as a study has them, of one method and augmentation: mixup 3 points above SimCLR in each task, CutMix 9."""
    above = {"mixup": 3.0, "cutmix": 9.0}
    data = rows(lambda method, recipe, *cell: truth(method, recipe, *cell) + above.get(method, 0.0), BY_MIXING)
    raw = data.assign(
        method=data["method"].replace({name: "mixing" for name in above}),
        settings=data["method"].map({"cutmix": "mix cutmix"}).fillna(""),
    )
    assert not {"mixup", "cutmix"} & set(raw["method"])
    told = with_wide(raw)
    assert told["method"].tolist() == data["method"].tolist()
    against = [judge(named(MIXING, f"learned-mixing-beats-{name}"), told) for name in above]
    assert [verdict.difference.mean for verdict in against] == pytest.approx([-3, -9], abs=0.1)
    assert [verdict.verdict for verdict in against] == ["reversed"] * 2
    table = task_table(told)
    assert {"SimCLR with mixup, default", "SimCLR with CutMix, default", "SAMix, default"} <= set(table["trained by"])
