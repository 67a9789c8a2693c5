"""Verdicts on the claims about ReLICv2, on rows made to hold, to be reversed, and to leave one open."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit
from shorthand import unfolded

from lib.cells import OWN_IMAGES
from lib.chapters.relicv2 import claims
from lib.chapters.relicv2.claims import (
    RELICV2_CONTROLS,
    RELICV2_OOD,
    RELICV2_PREDICTIONS,
    SHIFTED,
    mean_shifted,
    shifted,
)
from lib.chapters.relicv2.plan import CROPPED, SYSTEMS
from lib.contrasts import estimates
from lib.errors import BadInput
from lib.paired import PAIRED
from lib.verdicts import judge, judged, named, verdicts

ALL = (*RELICV2_OOD, *RELICV2_PREDICTIONS, *RELICV2_CONTROLS)
SUPERVISED = named(RELICV2_OOD, "beats-supervised")
SUPERVISED_OUT = named(RELICV2_OOD, "beats-supervised-out")
EARLIER = named(RELICV2_OOD, "beats-earlier")
EACH = named(RELICV2_OOD, "beats-each-earlier")
EARLIER_OUT = named(RELICV2_OOD, "beats-earlier-out")
EACH_OUT = named(RELICV2_OOD, "beats-each-earlier-out")
INVARIANCE = named(RELICV2_OOD, "invariance")
INVARIANCE_OUT = named(RELICV2_OOD, "invariance-out")
REMOVED = named(RELICV2_OOD, "removal")
REMOVED_OUT = named(RELICV2_OOD, "removal-out")
GAP = named(RELICV2_OOD, "removal-gap")
ANOTHERS = named(RELICV2_OOD, "removal-anothers-background")
SMALL = named(RELICV2_OOD, "small-crops")
SMALL_OUT = named(RELICV2_OOD, "small-crops-out")
MANY = named(RELICV2_OOD, "many-crops")
SEGMENTS = named(RELICV2_OOD, "segments-better-than-byol")
SEGMENTS_SUPERVISED = named(RELICV2_OOD, "segments-better-than-supervised")
LOSES_LESS = named(RELICV2_PREDICTIONS, "loses-less-than-supervised")
OWN = named(RELICV2_PREDICTIONS, "own-masks")
OWN_OUT = named(RELICV2_PREDICTIONS, "own-masks-out")
OWN_GAP = named(RELICV2_PREDICTIONS, "own-masks-gap")
OWN_6 = named(RELICV2_PREDICTIONS, "own-masks-6")
OWN_6_OUT = named(RELICV2_PREDICTIONS, "own-masks-6-out")
OWN_6_GAP = named(RELICV2_PREDICTIONS, "own-masks-6-gap")
REMOVED_6 = named(RELICV2_PREDICTIONS, "removal-6")
REMOVED_6_OUT = named(RELICV2_PREDICTIONS, "removal-6-out")
GAP_6 = named(RELICV2_PREDICTIONS, "removal-6-gap")
EXACT = named(RELICV2_PREDICTIONS, "learnt-masks-suffice")
STOPPED = named(RELICV2_PREDICTIONS, "stopped-gradient")
PAIRS = named(RELICV2_PREDICTIONS, "pairs-beat-transpose")
THIRD = named(RELICV2_PREDICTIONS, "beats-third-party-loss")
PROBE = named(RELICV2_CONTROLS, "probe-beats-random")
SEGMENTS_RANDOM = named(RELICV2_CONTROLS, "segments-better-than-random")
CONFLICT = named(RELICV2_CONTROLS, "conflict-is-no-shift")
FREE = named(RELICV2_CONTROLS, "backgrounds-are-free")
TOLD = named(RELICV2_CONTROLS, "tied-backgrounds-tell")
COLUMNS = ["method", "encoder", "seed", "system", "measure", "shift", "of", "metric", "value", "standard_error"]

PROBED = ("accuracy", "none", 0, "probe accuracy")
CLEAN = ("out_of_distribution", "none", 0, "accuracy")
OWN_SETS = {  # of both data sets; what is lost is known of all of these
    "corruptions": ("out_of_distribution", "all", 0, "accuracy"),
    "C-bar": ("out_of_distribution", "bar", 0, "accuracy"),
}
SCENE_SETS = {
    name: ("out_of_distribution", name, 0, "accuracy") for name in ("scenes background", "scenes light", "scenes pose")
}
PHOTOGRAPHS = {name: ("out_of_distribution", name, 0, "accuracy") for name in ("cifar10-shift", "cifar10.1", "stl10")}
SETS = {
    "scenes": OWN_SETS | SCENE_SETS,
    "cifar10": OWN_SETS | {"cifar10-shift": PHOTOGRAPHS["cifar10-shift"]},
}
ODD = ("out_of_distribution", "scenes conflict", 0, "accuracy lost")
TIED_GAP, FREE_GAP = (
    ("background_reliance", world, 0, "background gap") for world in ("tied scenes", "scenes")
)  # fmt: skip
PARTS = {
    (world, part): ("background_reliance", world, part, "accuracy")
    for world in ("scenes", "tied scenes")
    for part in ("original", "only background", "other-class background")
}
MIOU = {head: ("segmentation", "none", 0, f"{head} mIoU") for head in ("linear", "fcn")}
IOU = ("segmentation", "none", "cube", "fcn IoU")


def lost(cell):
    return (*cell[:3], "accuracy lost")


SCORES = {  # in domain, out of it, and the background gap, as the claims say they are
    "random": (30, 20, 40), "supervised": (77, 57, 32), "supervised same crops": (75, 50, 31),
    "simclr": (68, 48, 33), "byol sgd": (70, 50, 33), "dino": (66, 46, 33), "relic": (72, 52, 33),
    "relicv2": (80, 60, 20), "relicv2 no invariance": (77, 57, 25), "relicv2 no saliency": (78, 56, 30),
    "relicv2 shuffled": (77.5, 55, 28), "relicv2 exact": (80.5, 61, 18), "relicv2 removed 0.6": (79, 62, 15),
    "relicv2 removed 0.6 shuffled": (75, 53, 27), "relicv2 removed 0.6 exact": (79.5, 62.5, 14),
    "relicv2 2+0": (76, 57, 22), "relicv2 unstopped": (74, 54, 22), "relicv2 transpose": (76, 56, 22),
    "relicv2 transpose unstopped": (73, 53, 22), "relicv2 4+2": (81, 61, 20),
}  # fmt: skip


def truth(system, cell):
    """The world as the claims say it is."""
    inside, outside, gap = SCORES.get(system, (76, 56, 25))
    measure, shift, of, metric = cell
    if cell == ODD or cell == FREE_GAP:
        return 0.0
    if metric == "accuracy lost":
        return float(inside - outside)
    if cell == TIED_GAP:
        return float(gap)
    if measure == "background_reliance":
        return float({"original": inside, "only background": 10 + 40 * ("tied" in shift)}.get(of, 70 - gap))
    if measure == "segmentation":
        return {"random": 20.0, "relicv2": 50.0}.get(system, 40.0)
    return float(outside if shift != "none" else inside)


def cells_of(system, dataset):
    """What is measured of a system, by its role."""
    sets = SETS[dataset]
    cells = [PROBED, CLEAN, *sets.values(), *(lost(cell) for name, cell in sets.items() if name != "cifar10-shift")]
    if dataset == "scenes":
        cells.append(ODD)
    if SYSTEMS[system].role == "sweep":
        return cells
    cells += [*PARTS.values(), TIED_GAP, FREE_GAP]
    return cells if SYSTEMS[system].role == "ablation" else [*cells, *MIOU.values(), IOU]


def rows(world=truth, systems=SYSTEMS, seeds=3, jitter=0.01, standard_error=0.01, dataset="scenes"):
    generator = np.random.default_rng(0)
    lines = [
        (SYSTEMS[system].method, "resnet10", seed, system, f"{measure}(images=all)#1.2", shift, of, metric,
         world(system, (measure, shift, of, metric)) + jitter * generator.normal(), standard_error)
        for system, seed in itertools.product(systems, range(seeds))
        for measure, shift, of, metric in cells_of(system, dataset)
    ]  # fmt: skip
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def changed(system, cell, value):
    """The true world, except for one number; of all systems where `system` is None."""
    return lambda own, where: float(value) if (system or own, cell) == (own, where) else truth(own, where)


@pytest.fixture(scope="module")
def true():
    return rows()


def test_claims_speak_of_what_there_is():
    assert set(SCORES) <= set(SYSTEMS)
    assert len({claim.statement for claim in ALL}) == len(ALL) == 36
    known = OWN_SETS | SCENE_SETS | PHOTOGRAPHS
    assert list(SHIFTED.items()) == [(name, (*cell[:2], cell[3])) for name, cell in known.items()]
    assert set(claims.WHOLE) == {
        "supervised", "supervised same crops", "simclr", "byol sgd", "dino", "relic", "relicv2"
    }  # fmt: skip
    assert claims.BY_CHANCE == 10
    whole, shuffled, none, six, six_shuffled, exact = (SYSTEMS[name].settings for name in (
        "relicv2", "relicv2 shuffled", "relicv2 no saliency", "relicv2 removed 0.6", "relicv2 removed 0.6 shuffled",
        "relicv2 removed 0.6 exact"))  # fmt: skip
    assert (whole, shuffled, none, six) == ({}, {"masks": "shuffled"}, {"removed": 0.0}, {"removed": 0.6})
    assert (six_shuffled, exact) == (six | {"masks": "shuffled"}, six | {"masks": "exact"})
    assert (CROPPED["relicv2 2+0"], CROPPED["relicv2 4+2"]) == ((2, 0), (4, 2))
    assert SYSTEMS["supervised same crops"].settings["crops"] == "relicv2"


def test_claims_hold_where_they_are_true(true):
    table = verdicts(ALL, true)
    assert list(table["verdict"]) == ["holds"] * 36
    assert not table.isna().any().any() and not table.map(lambda text: "nan" in str(text)).any().any()


@pytest.mark.parametrize(("claim", "system", "cell", "value", "words"), [
    (SUPERVISED, "supervised same crops", PROBED, 81, "in domain, ReLICv2 less Supervised, same crops"),
    (SUPERVISED_OUT, "relicv2", SCENE_SETS["scenes pose"], 5, "mean of 5 sets, ReLICv2 less Supervised, same crops"),
    (EARLIER, "relicv2", PROBED, 68, "in domain, ReLICv2 less the mean of SimCLR, BYOL by SGD, DINO, ReLIC"),
    (EACH, "dino", PROBED, 81, "in domain, ReLICv2 less DINO"),
    (EARLIER_OUT, "relicv2", OWN_SETS["C-bar"], 0, "mean of 5 sets, ReLICv2 less the mean of SimCLR"),
    (EACH_OUT, "relic", SCENE_SETS["scenes light"], 99, "mean of 5 sets, ReLICv2 less ReLIC"),
    (INVARIANCE, "relicv2 no invariance", PROBED, 81, "in domain, ReLICv2 less ReLICv2, no invariance loss"),
    (INVARIANCE_OUT, "relicv2 no invariance", OWN_SETS["corruptions"], 99, "mean of 5 sets, ReLICv2 less"),
    (REMOVED, "relicv2 no saliency", PROBED, 81, "in domain, ReLICv2 less ReLICv2, backgrounds kept"),
    (REMOVED_OUT, "relicv2 no saliency", SCENE_SETS["scenes background"], 99, "ReLICv2 less ReLICv2, backgrounds"),
    (GAP, "relicv2", TIED_GAP, 31, "background gap, tied scenes, ReLICv2, backgrounds kept less ReLICv2"),
    (ANOTHERS, "relicv2", PARTS["tied scenes", "other-class background"], 39, "another's background, ReLICv2 less"),
    (SMALL, "relicv2 2+0", PROBED, 81, "in domain, ReLICv2 less ReLICv2, two crops"),
    (SMALL_OUT, "relicv2 2+0", OWN_SETS["corruptions"], 99, "mean of 5 sets, ReLICv2 less ReLICv2, two crops"),
    (MANY, "relicv2 4+2", PROBED, 75, "in domain, ReLICv2, 4 large and 2 small crops less ReLICv2, two crops"),
    (SEGMENTS, "byol sgd", MIOU["fcn"], 51, "mIoU, fcn head, ReLICv2 less BYOL by SGD"),
    (SEGMENTS_SUPERVISED, "relicv2", MIOU["linear"], 39, "mIoU, linear head, ReLICv2 less Supervised, same crops"),
    (LOSES_LESS, "relicv2", SCENE_SETS["scenes pose"], 5, "above the line of others, mean of 5 sets, ReLICv2 less Sup"),
    (OWN, "relicv2 shuffled", PROBED, 81, "in domain, ReLICv2 less ReLICv2, masks of other images"),
    (OWN_OUT, "relicv2 shuffled", OWN_SETS["C-bar"], 99, "mean of 5 sets, ReLICv2 less ReLICv2, masks of other"),
    (OWN_GAP, "relicv2 shuffled", TIED_GAP, 19, "background gap, tied scenes, ReLICv2, masks of other images less"),
    (OWN_6, "relicv2 removed 0.6", PROBED, 74, "in domain, ReLICv2, removed 0.6 less ReLICv2, removed 0.6, masks of"),
    (OWN_6_OUT, "relicv2 removed 0.6", OWN_SETS["C-bar"], 0, "mean of 5 sets, ReLICv2, removed 0.6 less"),
    (OWN_6_GAP, "relicv2 removed 0.6 shuffled", TIED_GAP, 14, "background gap, tied scenes"),
    (REMOVED_6, "relicv2 no saliency", PROBED, 80, "in domain, ReLICv2, removed 0.6 less ReLICv2, backgrounds kept"),
    (REMOVED_6_OUT, "relicv2 removed 0.6", SCENE_SETS["scenes light"], 9, "mean of 5 sets, ReLICv2, removed 0.6 less"),
    (GAP_6, "relicv2 removed 0.6", TIED_GAP, 31, "backgrounds kept less ReLICv2, removed 0.6"),
    (EXACT, "relicv2 removed 0.6 exact", PROBED, 80.5, "in domain, ReLICv2, removed 0.6 less ReLICv2, removed 0.6, ex"),
    (EXACT, "relicv2 removed 0.6", OWN_SETS["C-bar"], 50, "exact masks, plus 1 point"),
    (STOPPED, "relicv2 unstopped", PROBED, 81, "in domain, ReLICv2 less ReLICv2, gradient not stopped"),
    (STOPPED, "relicv2 unstopped", OWN_SETS["C-bar"], 99, "mean of 5 sets, ReLICv2 less ReLICv2, gradient not stopped"),
    (PAIRS, "relicv2 transpose", PROBED, 81, "in domain, ReLICv2 less ReLICv2, rows against columns"),
    (THIRD, "relicv2 transpose unstopped", OWN_SETS["C-bar"], 99, "rows against columns, gradient not stopped"),
    (PROBE, "relicv2 4+0", PROBED, 29, "in domain, ReLICv2, 4 large and 0 small crops less Random weights"),
    (SEGMENTS_RANDOM, "dino", MIOU["linear"], 19, "mIoU, linear head, DINO less Random weights"),
    (CONFLICT, None, ODD, 6, "zero less lost to conflicts, plus 5 points, mean of 7 encoders"),
    (CONFLICT, None, ODD, -6, "lost to conflicts less zero, plus 5 points, mean of 7 encoders"),
    (FREE, None, PARTS["scenes", "only background"], 16, "chance less only background, plus 5 points, mean of 7"),
    (FREE, None, PARTS["scenes", "only background"], 4, "only background less chance, plus 5 points, mean of 7"),
    (FREE, None, FREE_GAP, 6, "zero less background gap, plus 5 points, mean of 7 encoders"),
    (FREE, None, FREE_GAP, -6, "background gap less zero, plus 5 points, mean of 7 encoders"),
    (TOLD, None, PARTS["tied scenes", "only background"], 9, "only background less chance, mean of 5 encoders"),
])  # fmt: skip
def test_a_number_of_one_cell_refutes_a_claim(claim, system, cell, value, words):
    """Of which it is the estimand, or one of every; of the others it refutes one of the contrasts of their mean."""
    verdict = judge(claim, rows(changed(system, cell, value), seeds=2, jitter=0.001, standard_error=0.001))
    assert any(words in name and gap.high <= 0 for name, gap in verdict.cells.items())
    if claim.every or len(verdict.cells) == 1:
        assert verdict.verdict == "reversed" and words in verdict.contrast
        assert verdict.difference.high <= 0


@pytest.mark.parametrize(("claim", "system", "cell"), [
    (SUPERVISED, "supervised", PROBED),  # with another augmentation
    (SUPERVISED, "relicv2", CLEAN),  # the same accuracy as another measure has it
    (SUPERVISED_OUT, "relicv2", PROBED),
    (SUPERVISED_OUT, "relicv2", lost(OWN_SETS["C-bar"])),
    (SUPERVISED_OUT, "supervised same crops", ODD),  # no shift
    (EARLIER_OUT, "supervised same crops", OWN_SETS["C-bar"]),
    (GAP, "relicv2", FREE_GAP),
    (GAP, "relicv2", PARTS["tied scenes", "other-class background"]),
    (ANOTHERS, "relicv2", PARTS["scenes", "other-class background"]),
    (SEGMENTS, "relicv2", IOU),
    (LOSES_LESS, "relicv2", lost(OWN_SETS["corruptions"])),  # points, whoever starts lower
    (LOSES_LESS, "relic", OWN_SETS["corruptions"]),  # who is asked about has no part in the line
    (LOSES_LESS, "relicv2", ODD),
    (OWN_6, "relicv2 shuffled", PROBED),
    (EXACT, "relicv2 exact", PROBED),
    (SEGMENTS_RANDOM, "random", IOU),
    (FREE, "random", FREE_GAP),
    (TOLD, "random", PARTS["tied scenes", "only background"]),
    (TOLD, "supervised same crops", PARTS["tied scenes", "only background"]),
])  # fmt: skip
def test_a_number_that_a_claim_does_not_speak_of_changes_nothing(claim, system, cell):
    for value in (0, 99):
        assert judge(claim, rows(changed(system, cell, value))).verdict == "holds"


def test_one_set_does_not_refute_the_mean():
    assert judge(SUPERVISED_OUT, rows(changed("relicv2", SCENE_SETS["scenes pose"], 48))).verdict == "holds"


def test_one_of_four_does_not_refute_their_mean():
    data = rows(changed("relic", PROBED, 81))
    assert judge(EARLIER, data).verdict == "holds" and judge(EACH, data).verdict == "reversed"


def test_what_is_within_the_noise_is_undecided(true):
    """Wide errors over images; seeds that part every two cells to either side; one seed."""
    names, cells = list(SYSTEMS), true[["measure", "shift", "subset", "metric"]].apply(tuple, axis=1)
    place = (1 + cells.map(list(dict.fromkeys(cells)).index)) * (1 + true["system"].map(names.index)) ** 2
    spread = true.assign(value=true["value"] + 40 * place * (true["seed"] - 1))
    for data in (true.assign(standard_error=90.0), spread, true[true["seed"] == 0]):
        assert [verdict.verdict for verdict in judged(ALL, data)] == ["undecided"] * 36
    one = judge(SUPERVISED, true[true["seed"] == 0])
    assert np.isnan(one.difference.low) and "nan" not in str(one.difference)


OF_RELICV2 = {
    SUPERVISED, SUPERVISED_OUT, EARLIER, EACH, EARLIER_OUT, EACH_OUT, INVARIANCE, INVARIANCE_OUT, REMOVED, REMOVED_OUT,
    GAP, ANOTHERS, SMALL, SMALL_OUT, SEGMENTS, SEGMENTS_SUPERVISED, LOSES_LESS, OWN, OWN_OUT, OWN_GAP, STOPPED, PAIRS,
    THIRD,
}  # fmt: skip


@pytest.mark.parametrize(("missing", "untested"), [
    (["relicv2"], OF_RELICV2),
    (["supervised same crops"], {SUPERVISED, SUPERVISED_OUT, SEGMENTS_SUPERVISED, LOSES_LESS}),
    (["supervised"], {LOSES_LESS}),  # of three others there is no line
    (["dino"], {EARLIER, EARLIER_OUT, LOSES_LESS}),  # the others are compared one by one
    (["byol sgd"], {EARLIER, EARLIER_OUT, SEGMENTS, LOSES_LESS}),
    (list(claims.EARLIER), {EARLIER, EARLIER_OUT, EACH, EACH_OUT, SEGMENTS, LOSES_LESS}),
    (["relicv2 no invariance"], {INVARIANCE, INVARIANCE_OUT}),
    (["relicv2 no saliency"], {REMOVED, REMOVED_OUT, GAP, ANOTHERS, REMOVED_6, REMOVED_6_OUT, GAP_6}),
    (["relicv2 shuffled"], {OWN, OWN_OUT, OWN_GAP}),
    (["relicv2 removed 0.6"], {OWN_6, OWN_6_OUT, OWN_6_GAP, REMOVED_6, REMOVED_6_OUT, GAP_6, EXACT}),
    (["relicv2 removed 0.6 shuffled"], {OWN_6, OWN_6_OUT, OWN_6_GAP}),
    (["relicv2 removed 0.6 exact"], {EXACT}),
    (["relicv2 2+0"], {SMALL, SMALL_OUT, MANY}),
    (["relicv2 4+2"], {MANY}),
    (["relicv2 unstopped"], {STOPPED}),
    (["relicv2 transpose"], {PAIRS}),
    (["relicv2 transpose unstopped"], {THIRD}),
    (["random"], {PROBE, SEGMENTS_RANDOM}),
    (claims.WHOLE, OF_RELICV2 | {SEGMENTS_RANDOM, CONFLICT, FREE, TOLD}),
    (["relicv2 exact", "relicv2 temperature 0.5"], set()),
])  # fmt: skip
def test_a_claim_without_its_systems_is_not_tested(true, missing, untested):
    data = true[~true["system"].isin(missing)]
    for claim in ALL:
        assert judge(claim, data).verdict == ("not tested" if claim in untested else "holds"), claim.statement


def test_in_class_there_are_four_systems(true):
    four = true[true["system"].isin(["random", "supervised same crops", "relicv2", "relicv2 no saliency"])]
    tested = {SUPERVISED, SUPERVISED_OUT, REMOVED, REMOVED_OUT, GAP, ANOTHERS, SEGMENTS_SUPERVISED,
              *RELICV2_CONTROLS}  # fmt: skip
    for claim in ALL:
        assert judge(claim, four).verdict == ("holds" if claim in tested else "not tested"), claim.statement
    assert judge(CONFLICT, four).contrast.endswith("mean of 2 encoders")


def test_on_photographs_there_are_no_exact_masks_and_no_sweep():
    systems = [name for name in SYSTEMS if SYSTEMS[name].role != "sweep" and not name.endswith("exact")]
    data = rows(systems=systems, dataset="cifar10")
    for claim in ALL:
        untested = claim in {MANY, EXACT, CONFLICT}
        assert judge(claim, data).verdict == ("not tested" if untested else "holds"), claim.statement
    assert judge(SUPERVISED_OUT, data).contrast == "mean of 3 sets, ReLICv2 less Supervised, same crops"
    assert judge(LOSES_LESS, data).contrast.endswith("mean of 3 sets, ReLICv2 less Supervised, same crops")


def test_half_a_claim_is_not_tested(true):
    outside = true[true["metric"] != "probe accuracy"]
    inside = true[~true["measure"].str.startswith("out_of_distribution")]
    for data, claim in itertools.product((outside, inside), (EXACT, STOPPED, PAIRS, THIRD)):
        assert judge(claim, data).verdict == "not tested"
    assert judge(FREE, true[true["metric"] != "background gap"]).verdict == "not tested"


def test_nothing_tests_nothing(true):
    for data in (true.iloc[:0], true[true["shift"] == "no such shift"]):
        assert verdicts(ALL, data).empty
        assert {judge(claim, data).verdict for claim in ALL} == {"not tested"}


def test_two_data_sets_are_refused(true):
    both = pd.concat([true, rows(dataset="cifar10")])
    for claim in (SUPERVISED, SUPERVISED_OUT, EARLIER, EARLIER_OUT, LOSES_LESS, GAP, FREE, TOLD, SEGMENTS):
        with pytest.raises(BadInput, match="not one a seed|one data set|more than one row"):
            judge(claim, both)


def above_the_line():
    """60 at 80, less 50 at 75, both less what the line of the four others says, by SciPy's regression."""
    x, y = logit(np.array([SCORES[name][:2] for name in ("supervised", "simclr", "byol sgd", "dino")]).T / 100)
    line = stats.linregress(x, y)
    low, high = (100 * expit(line.intercept + line.slope * logit(at / 100)) for at in (75, 80))
    return (60 - high) - (50 - low)


def test_the_numbers_of_contrasts_by_hand(true):
    """What each contrast comes to in the true world, and how many there are."""
    means = {claim: {words: gap.mean for words, gap in estimates(claim.contrasts(true)).items()} for claim in ALL}
    near = {
        SUPERVISED: [5], SUPERVISED_OUT: [10], EARLIER: [80 - 69], EACH: [12, 10, 14, 8], EARLIER_OUT: [60 - 49],
        EACH_OUT: [12, 10, 14, 8], INVARIANCE: [3], INVARIANCE_OUT: [3], REMOVED: [2], REMOVED_OUT: [4], GAP: [10],
        ANOTHERS: [10], SMALL: [4], SMALL_OUT: [3], MANY: [5], SEGMENTS: [10, 10], SEGMENTS_SUPERVISED: [10, 10],
        LOSES_LESS: [above_the_line()], OWN: [2.5], OWN_OUT: [5], OWN_GAP: [8], OWN_6: [4], OWN_6_OUT: [9],
        OWN_6_GAP: [12],
        REMOVED_6: [1], REMOVED_6_OUT: [6], GAP_6: [15], EXACT: [0.5, 0.5], STOPPED: [6, 6], PAIRS: [4, 4],
        THIRD: [7, 7], SEGMENTS_RANDOM: [20, 20] * 5 + [20, 20, 30, 30], CONFLICT: [5, 5], FREE: [5, 5, 5, 5],
        TOLD: [40],
    }  # fmt: skip
    for claim, expected in near.items():
        assert sorted(means[claim].values()) == pytest.approx(sorted(expected), abs=0.06), claim.statement
    assert len(means[PROBE]) == len(SYSTEMS) - 1


# The parts


def hand_made(cells):
    """Rows of {(system, cell): (values over seeds, standard error)}."""
    lines = [
        (SYSTEMS[system].method, "resnet10", seed, system, f"{cell[0]}()#1", *cell[1:], value, standard_error)
        for (system, cell), (values, standard_error) in cells.items()
        for seed, value in enumerate(values)
    ]
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def test_shifted_by_hand():
    """In the order of the table; not what another measure calls an accuracy, nor a control, nor one severity."""
    pose, bar = SCENE_SETS["scenes pose"], OWN_SETS["C-bar"]
    data = hand_made({
        ("relicv2", PHOTOGRAPHS["stl10"]): ((30, 40), 2.0), ("relicv2", pose): ((25, 35), 3.0),
        ("relicv2", bar): ((60, 50), 1.0), ("relicv2", lost(bar)): ((10, 20), 0.5), ("relicv2", PROBED): ((1, 2), 1.0),
        ("relicv2", ("cue_accuracy", *bar[1:])): ((1, 2), 1.0), ("relicv2", (*bar[:2], 3, bar[3])): ((1, 2), 1.0),
        ("relicv2", (*ODD[:3], "accuracy")): ((1, 2), 1.0), ("relicv2", CLEAN): ((1, 2), 1.0),
    })  # fmt: skip
    found = shifted(data)
    assert list(found["set"]) == ["C-bar"] * 2 + ["scenes pose"] * 2 + ["stl10"] * 2
    assert list(found["value"]) == [60, 50, 25, 35, 30, 40] and list(found["standard_error"]) == [1, 1, 3, 3, 2, 2]
    assert set(found.columns) == {*data.columns, "set"}
    assert shifted(data.iloc[:0]).empty


def test_the_mean_over_shifts_by_hand():
    """Three sets of the same images, errors 1, 2, 3, that add up; of others, 6 and 2: a fifth of √(6²+6²+2²)."""
    values = (
        (OWN_SETS["corruptions"], (60, 50), 1.0), (OWN_SETS["C-bar"], (20, 30), 2.0),
        (SCENE_SETS["scenes light"], (30, 31), 3.0), (PHOTOGRAPHS["cifar10-shift"], (40, 20), 6.0),
        (PHOTOGRAPHS["cifar10.1"], (10, 9), 2.0),
    )  # fmt: skip
    found = mean_shifted(hand_made({("relicv2", cell): (numbers, error) for cell, numbers, error in values}))
    assert list(found["system"]) == ["relicv2"] * 2 and list(found["seed"]) == [0, 1]
    assert list(found["value"]) == [32, 28] and list(found["sets"]) == [5, 5]
    assert list(found["standard_error"]) == pytest.approx([np.sqrt(76) / 5] * 2)


def test_all_sets_of_the_same_images_go_together():
    assert {*OWN_SETS, *SCENE_SETS} == set(SHIFTED) & set(OWN_IMAGES)


def test_the_mean_over_shifts_stands_on_sets_that_all_runs_have():
    both = {(name, OWN_SETS["C-bar"]): ((30, 40), 1.0) for name in ("relicv2", "byol sgd")}
    data = hand_made(both | {("byol sgd", OWN_SETS["corruptions"]): ((90, 90), 1.0)})
    found = mean_shifted(data)
    assert list(found["value"]) == [30, 40, 30, 40] and set(found["sets"]) == {1}
    assert list(mean_shifted(data[data["system"] == "byol sgd"])["value"]) == [60, 65]
    assert mean_shifted(data.iloc[:0]).empty


def test_a_set_twice_is_refused():
    data = hand_made({("relicv2", OWN_SETS["C-bar"]): ((30, 40), 1.0)})
    with pytest.raises(BadInput, match="one data set and one encoder"):
        mean_shifted(pd.concat([data, data]))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 100)] * 3), min_size=2, max_size=5), st.floats(0, 5), st.floats(-20, 20))
def test_a_mean_over_shifts_moves_with_its_sets(values, error, by):
    """It lies between the lowest and the highest, moves as all of them move, and errs no more than the worst does."""
    cells = [OWN_SETS["corruptions"], SCENE_SETS["scenes light"], PHOTOGRAPHS["stl10"]]
    data = hand_made({
        ("relicv2", cell): (numbers, error) for cell, numbers in zip(cells, zip(*values, strict=True), strict=True)
    })  # fmt: skip
    found, moved = mean_shifted(data), mean_shifted(data.assign(value=data["value"] + by))
    for seed, numbers in enumerate(values):
        assert min(numbers) - 1e-9 <= found["value"][seed] <= max(numbers) + 1e-9
    assert list(moved["value"]) == pytest.approx(list(found["value"] + by))
    assert list(found["standard_error"]) == pytest.approx([error * np.sqrt(5) / 3] * len(values))


def test_the_mean_of_encoders_by_hand():
    """Of 5/3 and 13/3, with variances of 13/3 and 31/3 that are pooled; what they share of errors over images, 1 and 3,
    is averaged and not divided by the number."""
    data = hand_made(
        {("relicv2", ODD): ((0, 1, 4), 1.0), ("byol sgd", ODD): ((2, 3, 8), 3.0), ("random", ODD): ((9,), 9.0)}
    )
    up, down = estimates(CONFLICT.contrasts(data)).values()
    seeds, images = 2 * 22 / 3 / 3 / 4, (1 - PAIRED**2) * 2**2 + PAIRED**2 * (0.5**2 + 1.5**2)
    half = stats.t.ppf(0.975, 4 * ((seeds + images) / seeds) ** 2) * np.sqrt(seeds + images)
    assert (up.mean, up.low, up.high) == pytest.approx((3 + 5, 8 - half, 8 + half))
    assert (down.mean, down.low, down.high) == pytest.approx((5 - 3, 2 - half, 2 + half))
    without_one = data[~((data["system"] == "byol sgd") & (data["seed"] == 2))]
    assert estimates(CONFLICT.contrasts(without_one)).popitem()[1].mean == pytest.approx(5 - (5 / 3 + 2.5) / 2)
