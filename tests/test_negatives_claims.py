"""Verdicts on the claims about negatives without semantics, on rows made to hold, to be reversed, to leave one open."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit
from shorthand import unfolded

from lib.cells import CLEAN_CELL, IN_DOMAIN, OUT_OF_DOMAIN, mean_out_of_domain, measured_by, out_of_domain
from lib.chapters.negatives import claims
from lib.chapters.negatives.claims import (
    NEGATIVES_CONTROLS,
    NEGATIVES_PREDICTIONS,
    NEIGHBOURS,
    NON_SEMANTIC_NEGATIVES,
)
from lib.chapters.negatives.systems import SYSTEMS
from lib.contrasts import difference, estimates, of_cells
from lib.errors import BadInput
from lib.verdicts import judge, judged, named, verdicts

ALL = (*NON_SEMANTIC_NEGATIVES, *NEGATIVES_PREDICTIONS, *NEGATIVES_CONTROLS, *NEIGHBOURS)
PATCH = named(NON_SEMANTIC_NEGATIVES, "patch-out-of-domain")
PATCH_EACH = named(NON_SEMANTIC_NEGATIVES, "patch-every-set")
TEXTURE = named(NON_SEMANTIC_NEGATIVES, "texture-out-of-domain")
TEXTURE_EACH = named(NON_SEMANTIC_NEGATIVES, "texture-every-set")
PATCH_MORE = named(NON_SEMANTIC_NEGATIVES, "patch-beats-texture")
PATCH_IN = named(NON_SEMANTIC_NEGATIVES, "patch-in-domain")
ALPHA = named(NON_SEMANTIC_NEGATIVES, "alpha-trades")
ALPHA_SHAPE = named(NON_SEMANTIC_NEGATIVES, "alpha-shape")
QUEUE = named(NON_SEMANTIC_NEGATIVES, "small-queue-suffices")
QUEUE_PLAIN = named(NON_SEMANTIC_NEGATIVES, "small-queue-costs-plain")
BYOL = named(NON_SEMANTIC_NEGATIVES, "byol-patch")
HARDER = named(NON_SEMANTIC_NEGATIVES, "negatives-are-harder")
PATCH_SHAPE = named(NON_SEMANTIC_NEGATIVES, "patch-shape")
TEXTURE_SHAPE = named(NON_SEMANTIC_NEGATIVES, "texture-shape")
NEED_TEXTURE = named(NON_SEMANTIC_NEGATIVES, "texture-classes-lose")
COLOUR = named(NON_SEMANTIC_NEGATIVES, "patch-less-colour")
SIMCLR = named(NEGATIVES_PREDICTIONS, "simclr-patch")
ALPHA_RANGE = named(NEGATIVES_PREDICTIONS, "alpha-range-trades")
QUEUE_GAIN = named(NEGATIVES_PREDICTIONS, "gain-grows-as-queue-shrinks")
AWAY = named(NEGATIVES_PREDICTIONS, "pushed-away")
LESS_TEXTURE = named(NEGATIVES_PREDICTIONS, "less-from-texture")
PATCH_PGD = named(NEGATIVES_PREDICTIONS, "patch-less-to-pgd")
TEXTURE_PGD = named(NEGATIVES_PREDICTIONS, "texture-less-to-pgd")
PROBE = named(NEGATIVES_CONTROLS, "probe-beats-random")
POSITIVE = named(NEGATIVES_CONTROLS, "positive-is-near")
ABOVE_CHANCE = named(NEGATIVES_CONTROLS, "texture-above-chance")
NO_CLASS = named(NEGATIVES_CONTROLS, "patches-are-textures")
DROPPED = named(NEIGHBOURS, "dropped-out-of-domain")
NO_CHANCE = named(NEIGHBOURS, "dropped-beat-chance")
SAME_CLASS = named(NEIGHBOURS, "same-class-out-of-domain")
PATCH_DROPPED = named(NEIGHBOURS, "patch-beats-dropped")
TEXTURE_DROPPED = named(NEIGHBOURS, "texture-beats-dropped")
DROPPED_PGD = named(NEIGHBOURS, "dropped-less-to-pgd")
BEYOND_PGD = named(NEIGHBOURS, "negatives-less-to-pgd-than-dropped")
CROWDED = named(NEIGHBOURS, "dsa-less-crowded")
DSA_OUT = named(NEIGHBOURS, "dsa-out-of-domain")
DSA_PGD = named(NEIGHBOURS, "dsa-less-to-pgd")
COLUMNS = ["method", "encoder", "seed", "system", "measure", "shift", "of", "metric", "value", "standard_error"]
CLASSES = ("cat", "dog", "frog", "ship", "truck")  # from worst to best told by texture; "frog" is in the middle

PROBED = ("accuracy", "none", 0, "probe accuracy")
CUES = {name: ("cue_accuracy", name, 0, "accuracy") for name in ("none", "texture", "patch", "recoloured")}
SETS = {
    "corruptions": ("corruption_error", "all", 0, "error"),
    "stylised": ("cue_accuracy", "stylised", 0, "accuracy"),
    "PACS art": ("out_of_domain", "pacs-art", 0, "balanced accuracy"),
    "PACS cartoon": ("out_of_domain", "pacs-cartoon", 0, "balanced accuracy"),
    "PACS sketch": ("out_of_domain", "pacs-sketch", 0, "balanced accuracy"),
    "cifar10-shift": ("natural_shift", "cifar10-shift", 0, "balanced error"),
}
ROBUST, PGD = ("robust_accuracy", "none", 0, "accuracy"), ("robust_accuracy", "pgd", 1, "accuracy")
CROWD = ("crowding", "none", 0, "crowding")
BIAS = {name: ("shape_bias", name, 0, "shape bias") for name in ("cue-conflict", "scenes conflict")}
ALIKE = {
    name: ("negative_similarity", "none", name, "query similarity")
    for name in ("positive", "other", "patch", "texture")
}


def of_class(shift, name):
    return ("cue_accuracy", shift, name, "accuracy")


def error(cell):
    return cell[3].endswith("error")


SCORES = {  # in domain, and out of it, as the claims say they are
    "random": (30, 20), "supervised": (80, 45),
    "simclr": (68, 38), "simclr patch": (69, 42), "simclr texture": (68, 39),
    "moco": (70, 40), "moco patch": (73, 46), "moco texture": (69, 43),
    "byol": (71, 41), "byol patch": (72, 44), "byol texture": (71, 42),
    "moco patch alpha 0.5": (74, 42), "moco patch alpha 1": (74, 44), "moco patch alpha 3": (69, 48),
    "moco patch alpha 4": (66, 49), **{f"moco texture alpha {alpha}": (69, 42) for alpha in ("0.5", "1", "3", "4")},
    "moco queue 256": (68, 38), "moco queue 4096": (71, 41),
    "moco patch queue 256": (74, 47), "moco patch queue 4096": (74, 45),
    "moco dropped": (71, 42), "moco dropped labelled": (72, 43), "moco dropped random": (70, 40),
    "simclr dsa": (69, 41), "byol dsa": (72, 44),
}  # fmt: skip


def repelled(system):
    return "patch" in system or "texture" in system


def beside(system):
    return "dropped" in system or "dsa" in system


def truth(system, cell):
    """The world as the claims say it is."""
    inside, outside = SCORES[system]
    measure, shift, of, metric = cell
    if cell in SETS.values():
        return float(100 - outside if error(cell) else outside)
    if measure == "cue_accuracy" and of:  # of a class: textures cost the more the better told
        place = CLASSES.index(of)
        return float(20 + 5 * place if shift == "texture" else inside - 2 * place * (system == "moco texture"))
    if measure == "shape_bias":
        return 30.0 + 10 * repelled(system) + outside / 10
    if measure == "negative_similarity":
        away = {"patch": 30 * repelled(system), "texture": 30 * repelled(system)}
        return float({"positive": 80, "other": 5, "patch": 50, "texture": 40}[of] - away.get(of, 0))
    of = {
        PROBED: inside, CUES["none"]: inside, CUES["texture"]: 35 - 5 * repelled(system), CUES["patch"]: 30,
        CUES["recoloured"]: inside - 10 + 5 * repelled(system),
        ROBUST: inside + 1, PGD: inside - 25 + 10 * repelled(system) + 5 * beside(system),
        CROWD: 60 - 10 * ("dsa" in system),
    }  # fmt: skip
    return float(of[cell])


def cells_of(system):
    """What is measured of a system, by its role."""
    cells = [PROBED, *CUES.values(), *SETS.values(), *BIAS.values()]
    cells += [of_class(shift, name) for shift in ("none", "texture") for name in CLASSES]
    if SYSTEMS[system].role == "sweep":
        return [cell for cell in cells if cell != SETS["cifar10-shift"]]
    return [*cells, ROBUST, PGD, CROWD, *ALIKE.values()]


def rows(world=truth, systems=SYSTEMS, seeds=3, jitter=0.01, standard_error=0.01):
    generator = np.random.default_rng(0)
    lines = [
        (SYSTEMS[system].method, "resnet10", seed, system, f"{measure}(images=all)#1.2", shift, of, metric,
         world(system, (measure, shift, of, metric)) + jitter * generator.normal(), standard_error)
        for system, seed in itertools.product(systems, range(seeds))
        for measure, shift, of, metric in cells_of(system)
    ]  # fmt: skip
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def changed(system, cell, value):
    """The true world, except for one number."""
    return lambda own, where: float(value) if (own, where) == (system, cell) else truth(own, where)


@pytest.fixture(scope="module")
def true():
    return rows()


def test_claims_speak_of_what_there_is():
    assert set(SCORES) == set(SYSTEMS)
    assert len({claim.statement for claim in ALL}) == len(ALL) == 37
    assert {name: (cell[1], cell[3], -1 if error(cell) else 1) for name, cell in SETS.items()} == OUT_OF_DOMAIN
    plain = [name for name in claims.PLAIN if "negatives" in SYSTEMS[name].settings or SYSTEMS[name].role == "sweep"]
    assert not plain
    for name, alpha in {"moco patch": 2.0, "moco patch alpha 0.5": 0.5, "moco patch alpha 3": 3.0,
                        "moco patch alpha 4": 4.0}.items():  # fmt: skip
        assert SYSTEMS[name].settings.get("alpha", 2.0) == alpha
    for size in (256, 4096):
        for name in (f"moco queue {size}", f"moco patch queue {size}"):
            assert SYSTEMS[name].settings["queue"] == size


def test_claims_hold_where_they_are_true(true):
    table = verdicts(ALL, true)
    assert list(table["verdict"]) == ["holds"] * 37
    assert not table.isna().any().any() and not table.map(lambda text: "nan" in str(text)).any().any()


@pytest.mark.parametrize(("claim", "system", "cell", "value", "words"), [
    (PATCH, "moco patch", SETS["PACS sketch"], 0, "mean of 6 sets, MoCo v2, patches less MoCo v2"),
    (PATCH, "moco patch", SETS["corruptions"], 99, "mean of 6 sets, MoCo v2, patches less MoCo v2"),  # an error
    (PATCH_EACH, "moco patch", SETS["PACS art"], 39, "PACS art, MoCo v2, patches less MoCo v2"),
    (PATCH_EACH, "moco patch", SETS["cifar10-shift"], 61, "cifar10-shift, MoCo v2, patches less MoCo v2"),
    (TEXTURE, "moco", SETS["stylised"], 70, "mean of 6 sets, MoCo v2, textures less MoCo v2"),
    (TEXTURE_EACH, "moco", SETS["corruptions"], 55, "corruptions, MoCo v2, textures less MoCo v2"),
    (PATCH_MORE, "moco texture", SETS["PACS cartoon"], 90, "mean of 6 sets, MoCo v2, patches less MoCo v2, textures"),
    (PATCH_IN, "moco patch", PROBED, 69, "in domain, MoCo v2, patches less MoCo v2"),
    (ALPHA, "moco patch alpha 3", PROBED, 75, "in domain, MoCo v2, patches less MoCo v2, patches, alpha 3"),
    (ALPHA, "moco patch alpha 3", SETS["stylised"], 20, "mean of 5 sets, MoCo v2, patches, alpha 3 less MoCo v2, pa"),
    (ALPHA_SHAPE, "moco patch alpha 4", BIAS["cue-conflict"], 20, "photographs, MoCo v2, patches, alpha 4 less"),
    (QUEUE, "moco patch queue 256", PROBED, 72.5, "in domain, MoCo v2, patches, queue 256 less"),
    (QUEUE, "moco patch queue 256", SETS["PACS art"], 20, "queue 4,096, plus 1 point"),
    (QUEUE_PLAIN, "moco queue 256", PROBED, 72, "in domain, MoCo v2, queue 4,096 less MoCo v2, queue 256"),
    (BYOL, "byol patch", SETS["PACS art"], 20, "mean of 6 sets, BYOL, patches less BYOL"),
    (HARDER, "random", ALIKE["texture"], 4, "Random weights, texture less another image"),
    (HARDER, "moco", ALIKE["other"], 45, "MoCo v2, texture less another image"),
    (PATCH_SHAPE, "moco patch", BIAS["scenes conflict"], 30, "scenes, MoCo v2, patches less MoCo v2"),
    (TEXTURE_SHAPE, "moco", BIAS["cue-conflict"], 60, "photographs, MoCo v2, textures less MoCo v2"),
    (NEED_TEXTURE, "moco texture", of_class("none", "cat"), 40, "the 2 classes told best by texture less the 2 told"),
    (COLOUR, "moco patch", CUES["recoloured"], 60, "other colours, MoCo v2, patches less MoCo v2"),
    (SIMCLR, "simclr", SETS["stylised"], 90, "mean of 6 sets, SimCLR, patches less SimCLR"),
    (ALPHA_RANGE, "moco patch alpha 0.5", PROBED, 60, "in domain, MoCo v2, patches, alpha 0.5 less"),
    (QUEUE_GAIN, "moco queue 4096", PROBED, 60, "in domain, gain with 256 keys less gain with 4,096"),
    (QUEUE_GAIN, "moco patch queue 256", SETS["PACS art"], 10, "mean of 5 sets, gain with 256 keys less gain with"),
    (AWAY, "moco texture", ALIKE["texture"], 45, "similarity to the texture, MoCo v2 less MoCo v2, textures"),
    (LESS_TEXTURE, "moco patch", CUES["texture"], 40, "textures, MoCo v2 less MoCo v2, patches"),
    (PATCH_PGD, "simclr patch", PGD, 10, "PGD, SimCLR, patches less SimCLR"),
    (TEXTURE_PGD, "moco", PGD, 60, "PGD, MoCo v2, textures less MoCo v2"),
    (TEXTURE_PGD, "moco texture", ROBUST, 99, "PGD, MoCo v2, textures less MoCo v2"),
    (PROBE, "moco texture alpha 4", PROBED, 20, "probe, MoCo v2, textures, alpha 4 less Random weights"),
    (POSITIVE, "byol patch", ALIKE["positive"], 1, "BYOL, patches, positive less another image"),
    (ABOVE_CHANCE, "byol", CUES["texture"], 19, "BYOL, textures less chance"),  # of five classes
    (NO_CLASS, "supervised", CUES["patch"], 59, "Supervised, middle of images and textures less patches"),
    (NO_CLASS, "moco", CUES["texture"], 75, "MoCo v2, images less textures"),
    (DROPPED, "moco dropped", SETS["PACS art"], 20, "mean of 6 sets, MoCo v2, false negatives dropped less MoCo v2"),
    (NO_CHANCE, "moco dropped random", SETS["stylised"], 90, "dropped less MoCo v2, random negatives dropped"),
    (SAME_CLASS, "moco dropped labelled", SETS["PACS art"], 10, "mean of 6 sets, MoCo v2, same class dropped less Mo"),
    (PATCH_DROPPED, "moco dropped", SETS["stylised"], 90, "MoCo v2, patches less MoCo v2, false negatives dropped"),
    (TEXTURE_DROPPED, "moco texture", SETS["stylised"], 9, "MoCo v2, textures less MoCo v2, false negatives dropped"),
    (DROPPED_PGD, "moco dropped", PGD, 20, "PGD, MoCo v2, false negatives dropped less MoCo v2"),
    (BEYOND_PGD, "moco patch", PGD, 20, "PGD, MoCo v2, patches less MoCo v2, false negatives dropped"),
    (CROWDED, "byol dsa", CROWD, 80, "crowding, BYOL less BYOL, DSA"),
    (DSA_OUT, "simclr dsa", SETS["PACS art"], 0, "mean of 6 sets, SimCLR, DSA less SimCLR"),
    (DSA_PGD, "byol", PGD, 80, "PGD, BYOL, DSA less BYOL"),
])  # fmt: skip
def test_a_number_of_one_cell_refutes_a_claim(claim, system, cell, value, words):
    """Of which it is the estimand, or one of every; of the others it refutes one of the contrasts of their mean."""
    verdict = judge(claim, rows(changed(system, cell, value), seeds=2))
    assert any(words in name and gap.high <= 0 for name, gap in verdict.cells.items())
    if claim.every or len(verdict.cells) == 1:
        assert verdict.verdict == "reversed" and words in verdict.contrast
        assert verdict.difference.high <= 0


@pytest.mark.parametrize(("claim", "system", "cell"), [
    (PATCH, "moco patch", PROBED),  # in domain
    (PATCH, "byol patch", SETS["stylised"]),  # another system
    (PATCH_EACH, "moco texture", SETS["stylised"]),
    (PATCH_IN, "moco patch", CUES["none"]),  # the same accuracy as the cues' measure has it
    (ALPHA, "moco patch alpha 4", PROBED),  # a still larger alpha
    (ALPHA, "moco patch", SETS["cifar10-shift"]),  # a set that the sweep has not seen
    (QUEUE, "moco queue 256", PROBED),  # without patches
    (HARDER, "moco patch", ALIKE["patch"]),  # after training with them
    (HARDER, "random", ALIKE["positive"]),
    (NEED_TEXTURE, "moco texture", of_class("none", "frog")),  # the class in the middle
    (NEED_TEXTURE, "moco", of_class("texture", "cat")),  # told by the system that is compared
    (COLOUR, "moco patch", ROBUST),  # clean images of another measure
    (PATCH_PGD, "moco patch", CUES["none"]),
    (POSITIVE, "random", ALIKE["positive"]),
    (NO_CLASS, "moco patch", CUES["patch"]),
    (DROPPED, "moco dropped", PROBED),
    (CROWDED, "moco patch", CROWD),
])  # fmt: skip
def test_a_number_that_a_claim_does_not_speak_of_changes_nothing(claim, system, cell):
    for value in (0, 99):
        assert judge(claim, rows(changed(system, cell, value))).verdict == "holds"


def test_one_set_does_not_refute_the_mean_but_the_claim_on_every_set():
    data = rows(changed("moco patch", SETS["PACS art"], 38))
    assert judge(PATCH, data).verdict == "holds" and judge(PATCH_EACH, data).verdict == "reversed"


def test_what_is_within_the_noise_is_undecided(true):
    """Wide errors over images; seeds that part every two cells to either side; one seed."""
    names, cells = list(SYSTEMS), true[["measure", "shift", "subset", "metric"]].apply(tuple, axis=1)
    place = (1 + cells.map(list(dict.fromkeys(cells)).index)) * (1 + true["system"].map(names.index)) ** 2
    spread = true.assign(value=true["value"] + 40 * place * (true["seed"] - 1))
    for data in (true.assign(standard_error=90.0), spread, true[true["seed"] == 0]):
        assert [verdict.verdict for verdict in judged(ALL, data)] == ["undecided"] * 37
    one = judge(PATCH, true[true["seed"] == 0])
    assert np.isnan(one.difference.low) and "nan" not in str(one.difference)


@pytest.mark.parametrize(("missing", "untested"), [
    (["moco patch"], {PATCH, PATCH_EACH, PATCH_MORE, PATCH_IN, ALPHA, PATCH_SHAPE, COLOUR, PATCH_DROPPED}),
    (["moco texture"], {TEXTURE, TEXTURE_EACH, PATCH_MORE, TEXTURE_SHAPE, NEED_TEXTURE, TEXTURE_DROPPED}),
    (["moco dropped"], {DROPPED, NO_CHANCE, PATCH_DROPPED, TEXTURE_DROPPED, DROPPED_PGD, BEYOND_PGD}),
    (["moco dropped random", "moco dropped labelled"], {NO_CHANCE, SAME_CLASS}),
    (["simclr dsa"], set()),  # the other pair stands for the claim
    (["simclr dsa", "byol dsa"], {CROWDED, DSA_OUT, DSA_PGD}),
    (["moco patch alpha 3"], {ALPHA}),
    (["moco patch alpha 4"], {ALPHA_SHAPE, ALPHA_RANGE}),
    (["moco patch alpha 0.5"], {ALPHA_SHAPE, ALPHA_RANGE}),
    (["moco patch queue 256"], {QUEUE, QUEUE_GAIN}),
    (["moco queue 4096"], {QUEUE_PLAIN, QUEUE_GAIN}),
    (["byol patch"], {BYOL}),
    (["supervised"], {NEED_TEXTURE}),
    (["random"], {PROBE}),  # "moco" alone says whether patches are harder
    (["random", "moco"], {PATCH, PATCH_EACH, TEXTURE, TEXTURE_EACH, PATCH_IN, HARDER, PATCH_SHAPE, TEXTURE_SHAPE,
                          NEED_TEXTURE, COLOUR, AWAY, LESS_TEXTURE, PROBE, DROPPED, SAME_CLASS, DROPPED_PGD}),
    (["simclr patch", "moco patch"],
     {PATCH, PATCH_EACH, PATCH_MORE, PATCH_IN, ALPHA, PATCH_SHAPE, COLOUR, SIMCLR, PATCH_PGD, PATCH_DROPPED}),
    (["simclr texture"], set()),
    (list(claims.PLAIN), {PATCH, PATCH_EACH, TEXTURE, TEXTURE_EACH, PATCH_IN, BYOL, PATCH_SHAPE, TEXTURE_SHAPE,
                          NEED_TEXTURE, COLOUR, SIMCLR, AWAY, LESS_TEXTURE, PATCH_PGD, TEXTURE_PGD, ABOVE_CHANCE,
                          NO_CLASS, DROPPED, SAME_CLASS, DROPPED_PGD, CROWDED, DSA_OUT, DSA_PGD}),
])  # fmt: skip
def test_a_claim_without_its_systems_is_not_tested(true, missing, untested):
    data = true[~true["system"].isin(missing)]
    for claim in ALL:
        assert judge(claim, data).verdict == ("not tested" if claim in untested else "holds"), claim.statement


def test_in_class_there_are_four_systems_and_fewer_sets(true):
    """No set of photographs of other kinds, no conflicts of photographs, no adversary."""
    four = true[true["system"].isin(["random", "moco", "moco patch", "moco texture"])]
    kept = four["measure"].str.startswith(("natural_shift", "out_of_domain")) | (four["shift"] == "cue-conflict")
    quick = four[~kept & ~four["measure"].str.startswith("robust_accuracy")]
    untested = {ALPHA, ALPHA_SHAPE, QUEUE, QUEUE_PLAIN, BYOL, NEED_TEXTURE, SIMCLR, ALPHA_RANGE, QUEUE_GAIN, PATCH_PGD,
                TEXTURE_PGD, COLOUR, *NEIGHBOURS}  # fmt: skip
    for claim in ALL:
        assert judge(claim, quick).verdict == ("not tested" if claim in untested else "holds"), claim.statement
    assert judge(PATCH, quick).contrast == "mean of 2 sets, MoCo v2, patches less MoCo v2"


def test_half_a_trade_is_no_trade(true):
    """Without its sets out of domain, and without its accuracy in domain, a trade is not tested."""
    outside = [shift for shift, _, _ in OUT_OF_DOMAIN.values()]
    for half in (true[~true["shift"].isin(outside)], true[true["metric"] != IN_DOMAIN["metric"]]):
        for claim in (ALPHA, ALPHA_RANGE, QUEUE):
            assert judge(claim, half).verdict == "not tested"
    assert judge(PATCH, true[~true["shift"].isin(outside)]).verdict == "not tested"


def test_nothing_tests_nothing(true):
    for data in (true.iloc[:0], true[true["shift"] == "no such shift"]):
        assert verdicts(ALL, data).empty
        assert {judge(claim, data).verdict for claim in ALL} == {"not tested"}


def above_the_others(more, less, clean, attacked):
    """By how much `more` lies higher above the line of all other systems than `less` does, by SciPy's regression."""
    others = [name for name in SYSTEMS if clean in cells_of(name) and name not in (more, less)]
    x, y = (logit(np.array([truth(name, cell) for name in others]) / 100) for cell in (clean, attacked))
    line = stats.linregress(x, y)
    heights = [
        truth(name, attacked) - 100 * expit(line.intercept + line.slope * logit(truth(name, clean) / 100))
        for name in (more, less)
    ]
    return heights[0] - heights[1]


def test_the_numbers_of_contrasts_by_hand(true):
    """What each contrast comes to in the true world, and how many there are."""
    means = {claim: {words: gap.mean for words, gap in estimates(claim.contrasts(true)).items()} for claim in ALL}
    near = {
        PATCH: [6], PATCH_EACH: [6] * 6, TEXTURE: [3], TEXTURE_EACH: [3] * 6, PATCH_MORE: [3], PATCH_IN: [3],
        ALPHA: [4, 2], ALPHA_SHAPE: [0.7, 0.7], QUEUE: [1, 3], QUEUE_PLAIN: [3], BYOL: [3], HARDER: [45, 45, 35, 35],
        PATCH_SHAPE: [10.6, 10.6], TEXTURE_SHAPE: [10.3, 10.3],
        COLOUR: [above_the_others("moco patch", "moco", CUES["none"], CUES["recoloured"])],
        NEED_TEXTURE: [7 - 1],  # of places 0 to 4 at two points each: ships and trucks 6 and 8, cats and dogs 0 and 2
        SIMCLR: [4], ALPHA_RANGE: [8, 7], QUEUE_GAIN: [6 - 3, 9 - 4], AWAY: [30, 30], LESS_TEXTURE: [5, 5],
        PATCH_PGD: [above_the_others(f"{name} patch", name, ROBUST, PGD) for name in ("moco", "simclr")],
        TEXTURE_PGD: [above_the_others(f"{name} texture", name, ROBUST, PGD) for name in ("moco", "simclr")],
        DROPPED: [2], NO_CHANCE: [2], SAME_CLASS: [3], PATCH_DROPPED: [4], TEXTURE_DROPPED: [1],
        DROPPED_PGD: [above_the_others("moco dropped", "moco", ROBUST, PGD)],
        BEYOND_PGD: [above_the_others(f"moco {kind}", "moco dropped", ROBUST, PGD) for kind in ("patch", "texture")],
        CROWDED: [10, 10], DSA_OUT: [3, 3],
        DSA_PGD: [above_the_others(f"{name} dsa", name, ROBUST, PGD) for name in ("simclr", "byol")],
        ABOVE_CHANCE: [15] * 4,
        NO_CLASS: [27.5, 45, 22.5, 35, 21.5, 33, 23, 36],
    }  # fmt: skip
    for claim, expected in near.items():
        assert list(means[claim].values()) == pytest.approx(expected, abs=0.06), claim.statement
    assert len(means[PROBE]) == len(SYSTEMS) - 1
    assert len(means[POSITIVE]) == sum(system.role != "sweep" for system in SYSTEMS.values()) - 1


# The parts


def hand_made(cells, seeds=3):
    """Rows of {(system, cell): (values over seeds, standard error)}."""
    lines = [
        (SYSTEMS[system].method, "resnet10", seed, system, f"{cell[0]}()#1", *cell[1:], value, standard_error)
        for (system, cell), (values, standard_error) in cells.items()
        for seed, value in list(enumerate(values))[:seeds]
    ]
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def test_out_of_domain_by_hand():
    data = hand_made({
        ("moco", SETS["cifar10-shift"]): ((30, 40), 2.0), ("moco", SETS["PACS art"]): ((25, 35), 3.0),
        ("moco", SETS["corruptions"]): ((60, 50), 1.0), ("moco", PROBED): ((70, 80), 1.0),
        ("moco", ("corruption_error", "all", 3, "error")): ((10, 20), 1.0),
    })  # fmt: skip
    found = out_of_domain(data)
    assert list(found["set"]) == ["corruptions"] * 2 + ["PACS art"] * 2 + ["cifar10-shift"] * 2
    assert list(found["value"]) == [40, 50, 25, 35, 70, 60] and list(found["standard_error"]) == [1, 1, 3, 3, 2, 2]
    assert set(found.columns) == {*data.columns, "set"}


def test_the_mean_over_sets_by_hand():
    """Two sets of the same images, errors 1 and 2, whose errors add up; one of others, 4: a third of √(3² + 4²)."""
    data = hand_made({
        ("moco", SETS["corruptions"]): ((60, 50), 1.0), ("moco", SETS["stylised"]): ((20, 31), 2.0),
        ("moco", SETS["PACS art"]): ((30, 33), 4.0),
    })  # fmt: skip
    found = mean_out_of_domain(data)
    assert list(found["system"]) == ["moco"] * 2 and list(found["seed"]) == [0, 1]
    assert list(found["value"]) == [30, 38] and list(found["sets"]) == [3, 3]
    assert list(found["standard_error"]) == pytest.approx([5 / 3, 5 / 3])


def test_the_mean_over_sets_stands_on_sets_that_all_runs_have():
    both = {(name, SETS["PACS art"]): ((30, 40), 1.0) for name in ("moco", "moco patch alpha 3")}
    data = hand_made(both | {("moco", SETS["stylised"]): ((90, 90), 1.0)})
    found = mean_out_of_domain(data)
    assert list(found["value"]) == [30, 40, 30, 40] and set(found["sets"]) == {1}
    one_lacks_it = data[~((data["system"] == "moco") & (data["seed"] == 1) & (data["shift"] == "pacs-art"))]
    assert mean_out_of_domain(one_lacks_it).empty
    assert list(mean_out_of_domain(data[data["system"] == "moco"])["value"]) == [60, 65]
    assert mean_out_of_domain(data.iloc[:0]).empty and out_of_domain(data.iloc[:0]).empty


def test_measures_with_a_metric_of_one_name_are_told_apart():
    data = hand_made({("moco", ROBUST): ((50, 60), 1.0), ("moco", CUES["none"]): ((70, 80), 1.0)})
    assert list(measured_by(data, "robust_accuracy")["value"]) == [50, 60]
    assert list(measured_by(data, "cue_accuracy")["value"]) == [70, 80]
    assert measured_by(data, "cue").empty and measured_by(data.iloc[:0], "cue_accuracy").empty
    with pytest.raises(BadInput, match="not one a seed"):
        difference(data, CLEAN_CELL, CLEAN_CELL)


def test_a_sum_of_cells_by_hand():
    """Half of a and half of b less c, paired over seeds: 2, 3 and 0, with errors over images of 3 and 3, which have one
    sign and go together, and of 6."""
    data = hand_made({
        ("moco", CUES["none"]): ((60, 60, 50), 6.0), ("moco", CUES["texture"]): ((40, 38, 40), 6.0),
        ("moco", CUES["patch"]): ((48, 46, 45), 6.0),
    })  # fmt: skip
    parts = [(0.5, {"shift": "none"}), (0.5, {"shift": "texture"}), (-1, {"shift": "patch"})]
    found = of_cells(data, parts).estimate()
    gaps = np.array([2, 3, 0])
    over_seeds = gaps.var(ddof=1) / 3
    degrees = 2 * ((over_seeds + 72) / over_seeds) ** 2
    half = stats.t.ppf(0.975, degrees) * np.sqrt(over_seeds + 72)
    assert (found.mean, found.low, found.high) == pytest.approx((5 / 3, 5 / 3 - half, 5 / 3 + half))
    without_one = data[~((data["shift"] == "patch") & (data["seed"] == 2))]
    assert of_cells(without_one, parts).estimate().mean == 2.5


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0, 100)] * 2), min_size=2, max_size=6), st.floats(0, 5))
def test_a_difference_is_the_other_way_round_with_the_other_sign(pairs, standard_error):
    first, second = zip(*pairs, strict=True)
    data = hand_made({("moco", PROBED): (first, standard_error), ("byol", PROBED): (second, standard_error)}, seeds=6)
    ahead, behind = (
        difference(data, *({"system": name} for name in pair)) for pair in (("moco", "byol"), ("byol", "moco"))
    )
    assert (ahead.mean, ahead.low, ahead.high) == pytest.approx((-behind.mean, -behind.high, -behind.low))


def test_classes_are_halved_by_the_supervised_encoder_alone():
    """Its textures say that frogs are told best and cats worst; what the encoders themselves see there says nothing."""
    texture, none = ({name: of_class(shift, name) for name in ("cat", "frog")} for shift in ("texture", "none"))
    cells = {
        ("supervised", texture["cat"]): ((10, 12), 0.0), ("supervised", texture["frog"]): ((60, 58), 0.0),
        ("moco", texture["cat"]): ((90, 90), 0.0), ("moco", texture["frog"]): ((5, 5), 0.0),
        ("moco", none["cat"]): ((50, 52), 0.0), ("moco", none["frog"]): ((70, 71), 0.0),
        ("moco texture", none["cat"]): ((49, 50), 0.0), ("moco texture", none["frog"]): ((62, 62), 0.0),
        ("moco", CUES["none"]): ((60, 60), 0.0), ("moco texture", CUES["none"]): ((60, 60), 0.0),
    }  # fmt: skip
    ((words, found),) = estimates(NEED_TEXTURE.contrasts(hand_made(cells))).items()
    assert found.mean == ((70 - 62) - (50 - 49) + (71 - 62) - (52 - 50)) / 2
    assert words.endswith("the 1 classes told best by texture less the 1 told worst")
    only_cats = {key: values for key, values in cells.items() if key[1][2] != "frog"}
    assert NEED_TEXTURE.contrasts(hand_made(only_cats)) == {}
