"""The claims of Ge et al. (arXiv 2110.14189), what follows from them, our controls, and what other papers do about
negatives."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pandas as pd

from lib import cells
from lib.cells import (
    ALIKE,
    CLEAN_CELL,
    IN_DOMAIN,
    NEAR,
    OUT_OF_DOMAIN,
    WEAK_CELL,
    has,
    mean_out_of_domain,
    measured_by,
    near,
    out_of_domain,
    together,
)
from lib.chapters.negatives.plan import PLAN
from lib.chapters.negatives.published import GE, GE_SETS, ge2021
from lib.chapters.negatives.systems import SYSTEMS
from lib.contrasts import Contrasts, of_cell, of_cells, of_two, picked
from lib.effective import above_the_rest, runs_of
from lib.measures.crowding import METRIC as CROWDING
from lib.measures.negative_similarity import METRIC as QUERY_SIMILARITY
from lib.measures.rows import CLEAN
from lib.verdicts import MARGIN, Claim, Headline

# Contrasts in words that have the titles of this chapter's systems
between = functools.partial(cells.between, title=PLAN.title)
within = functools.partial(cells.within, title=PLAN.title)
on_average = functools.partial(cells.on_average, title=PLAN.title)

TEXTURE_CELL = CLEAN_CELL | {"shift": "texture"}


PATCH_CELL = CLEAN_CELL | {"shift": "patch"}


RECOLOURED_CELL = CLEAN_CELL | {"shift": "recoloured"}


BIASES = {  # a set of cue conflicts: its cell
    name: {"shift": shift, "metric": "shape bias"}
    for name, shift in (("photographs", "cue-conflict"), ("scenes", "scenes conflict"))
}


LIKENESS = {  # what a query is compared with: the cell of its mean
    name: {"subset": name, "level": None, "metric": QUERY_SIMILARITY}
    for name in ("positive", "other", "patch", "texture")
}


CROWDED: dict[str, dict[str, object]] = {  # of each class beside all others
    "crowding": {"shift": CLEAN, "subset": "", "metric": CROWDING}
}


REGULATED = (("simclr dsa", "simclr"), ("byol dsa", "byol"))  # with DSA and without


PLAIN = ("supervised", "moco", "simclr", "byol")  # trained without such negatives


def _on_every_set(*pairs: tuple[str, str]) -> Callable[[pd.DataFrame], Contrasts]:
    return lambda rows: between(out_of_domain(rows), pairs, {name: {"set": name} for name in OUT_OF_DOMAIN})


def _trades(more: str, less: str) -> Callable[[pd.DataFrame], Contrasts]:
    """The first system is behind the second in domain and ahead of it out of domain."""
    return lambda rows: together(
        between(rows, [(less, more)], {"in domain": IN_DOMAIN}), on_average((more, less))(rows)
    )


def _small_queue_suffices(rows: pd.DataFrame) -> Contrasts:
    """Above zero where the small queue is less than `NEAR` below the large one, or above it."""
    pair = ("moco patch queue 256", "moco patch queue 4096")
    return near(together(between(rows, [pair], {"in domain": IN_DOMAIN}), on_average(pair)(rows)))


def _gain_grows_as_the_queue_shrinks(rows: pd.DataFrame) -> Contrasts:
    """What patch negatives gain with the small queue less what they gain with the large one."""
    signs = {"moco patch queue 256": 1, "moco queue 256": -1, "moco patch queue 4096": -1, "moco queue 4096": 1}
    means = mean_out_of_domain(rows, [name for name in signs if name in set(rows["system"])])
    places = {"in domain": (rows, IN_DOMAIN), f"mean of {means['sets'].max()} sets": (means, {})}
    return {
        f"{place}, gain with 256 keys less gain with 4,096": of_cells(
            source, [(sign, cell | {"system": name}) for name, sign in signs.items()]
        )
        for place, (source, cell) in places.items()
        if all(has(source, name, cell) for name in signs)
    }


def _shape_bias(*pairs: tuple[str, str]) -> Callable[[pd.DataFrame], Contrasts]:
    return lambda rows: between(rows, pairs, BIASES)


def _harder(rows: pd.DataFrame) -> Contrasts:
    """Before training, and after training without them."""
    found = {}
    for kind in ("patch", "texture"):
        found |= within(rows, ("random", "moco"), LIKENESS[kind], LIKENESS["other"], f"{kind} less another image")
    return found


def _pushed_away(rows: pd.DataFrame) -> Contrasts:
    found = {}
    for kind in ("patch", "texture"):
        found |= between(rows, [("moco", f"moco {kind}")], {f"similarity to the {kind}": LIKENESS[kind]})
    return found


def of_classes(cues: pd.DataFrame) -> pd.DataFrame:
    """The rows of single classes, which are subsets of the test images."""
    return cues[cues["subset"] != ""]


def _texture_classes_lose(rows: pd.DataFrame) -> Contrasts:
    """What texture negatives cost the half of the classes that are told best by texture, less what they cost the rest.

    The supervised encoder's accuracy on textures says which they are. An encoder that is compared must not choose: one
    that favours a class is better on its images and on its textures alike, and would seem to lose more there. Of an
    odd number of classes, the one in the middle is left out.
    """
    cues = measured_by(rows, "cue_accuracy")
    told = picked(of_classes(cues), {"system": "supervised", "shift": "texture"})
    order = told.groupby("subset")["value"].mean().sort_values(kind="stable").index
    half = len(order) // 2
    if not half or not all(has(cues, system, CLEAN_CELL) for system in ("moco", "moco texture")):
        return {}
    signs = dict.fromkeys(order[-half:], 1 / half) | dict.fromkeys(order[:half], -1 / half)
    parts = [
        (sign * weight, CLEAN_CELL | {"subset": name, "system": system})
        for name, weight in signs.items()
        for system, sign in (("moco", 1), ("moco texture", -1))
    ]
    titles = f"{PLAN.title('moco')} less {PLAN.title('moco texture')}"
    return {f"{titles}, the {half} classes told best by texture less the {half} told worst": of_cells(cues, parts)}


def _loses_less(
    measure: str, after: dict[str, object], words: str, *pairs: tuple[str, str]
) -> Callable[[pd.DataFrame], Contrasts]:
    """How much higher the first system of each pair lies than the second above the line that all others follow from
    clean images to those of `after`: by points lost, whoever starts lower would seem more robust."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        runs = runs_of(measured_by(rows, measure), CLEAN_CELL, after)
        found = {}
        for repelled, plain in pairs:
            gap = above_the_rest(runs, {"system": repelled}, {"system": plain})
            if gap:
                found[f"{words}, {PLAN.title(repelled)} less {PLAN.title(plain)}"] = gap
        return found

    return contrasts


def _less_from_texture(rows: pd.DataFrame) -> Contrasts:
    pairs = [("moco", "moco patch"), ("moco", "moco texture")]
    return between(measured_by(rows, "cue_accuracy"), pairs, {"textures": TEXTURE_CELL})


def _texture_above_chance(rows: pd.DataFrame) -> Contrasts:
    cues = measured_by(rows, "cue_accuracy")
    classes = of_classes(cues)["subset"].nunique()
    found = {}
    for name in PLAIN:
        if classes and has(cues, name, TEXTURE_CELL):
            on = of_cell(cues, TEXTURE_CELL | {"system": name})
            found[f"{PLAN.title(name)}, textures less chance"] = on - 100 / classes
    return found


def _patches_are_textures(rows: pd.DataFrame) -> Contrasts:
    """Accuracy on patch negatives is nearer to that on textures than to that on the images: below the middle of the
    two, of which the images' is the higher one."""
    cues = measured_by(rows, "cue_accuracy")
    found = {}
    for name in PLAIN:
        image, texture, patch = (cell | {"system": name} for cell in (CLEAN_CELL, TEXTURE_CELL, PATCH_CELL))
        if all(has(cues, name, cell) for cell in (CLEAN_CELL, TEXTURE_CELL, PATCH_CELL)):
            middle = [(0.5, image), (0.5, texture), (-1, patch)]
            found[f"{PLAN.title(name)}, middle of images and textures less patches"] = of_cells(cues, middle)
            found[f"{PLAN.title(name)}, images less textures"] = of_two(cues, image, texture)
    return found


_TRAINED = [name for name in SYSTEMS if name != "random"]


def _in_paper(more: tuple, less: tuple, *sets: str, every: bool = False) -> Callable[[], float]:
    """The paper's own difference of two lines of its table, a mean over `sets`, or of `every` one the lowest."""

    def effect() -> float:
        table = ge2021()[list(sets)]
        gaps = table.iloc[GE.index(more)] - table.iloc[GE.index(less)]
        return float(gaps.min() if every else gaps.mean())

    return effect


def _trade_in_paper() -> float:
    """The lower one of what an alpha of 3 costs against 2 in domain and what it gains out of it, on average."""
    three = ("MoCo + Patch", 16_384, "3")
    return min(_in_paper(_ITS["patch"], three, "clean")(), _in_paper(three, _ITS["patch"], *GE_SETS[1:])())


_ITS = {"plain": ("MoCo", 16_384, "")} | {
    kind.lower(): (f"MoCo + {kind}", 16_384, "2") for kind in ("Texture", "Patch")
}  # lines of its table


_ANALYSES = "analyses, second-hand"  # the paper's, known to us from others' notes on it


# Ge, Mishra, Li, Wang and Jacobs, arXiv 2110.14189 (NeurIPS 2021). "Out of domain" are several sets, of which the mean
# decides: it is one contrast, while of six sets one or another loses by chance. That every set gains, as all four do in
# the paper's table, is a claim of its own. For a larger alpha only the mean gains: at 3 the paper's corruptions lose.
NON_SEMANTIC_NEGATIVES = (
    Claim("patch-out-of-domain",
          "Patch negatives raise accuracy out of domain, averaged over the sets.", "abstract",
          on_average(("moco patch", "moco")), published=_in_paper(_ITS["patch"], _ITS["plain"], *GE_SETS[1:])),
    Claim("patch-every-set",
          "Patch negatives raise accuracy on every set out of domain.", "their table",
          _on_every_set(("moco patch", "moco")), every=True,
          published=_in_paper(_ITS["patch"], _ITS["plain"], *GE_SETS[1:], every=True)),
    Claim("texture-out-of-domain",
          "Texture negatives raise accuracy out of domain, averaged over the sets.", "abstract",
          on_average(("moco texture", "moco")), published=_in_paper(_ITS["texture"], _ITS["plain"], *GE_SETS[1:])),
    Claim("texture-every-set",
          "Texture negatives raise accuracy on every set out of domain.", "their table",
          _on_every_set(("moco texture", "moco")), every=True,
          published=_in_paper(_ITS["texture"], _ITS["plain"], *GE_SETS[1:], every=True)),
    Claim("patch-beats-texture",
          "Patch negatives gain more out of domain than texture negatives.", "their table",
          on_average(("moco patch", "moco texture")),
          published=_in_paper(_ITS["patch"], _ITS["texture"], *GE_SETS[1:])),
    Claim("patch-in-domain",
          "Patch negatives raise accuracy in domain.", "their table",
          lambda rows: between(rows, [("moco patch", "moco")], {"in domain": IN_DOMAIN}),
          published=_in_paper(_ITS["patch"], _ITS["plain"], "clean")),
    Claim("alpha-trades",
          "A larger alpha trades accuracy in domain for accuracy out of it: patch negatives at 3 against 2.",
          "their table", _trades("moco patch alpha 3", "moco patch"), every=True, published=_trade_in_paper),
    Claim("alpha-shape",
          "A larger alpha makes an encoder decide more by shape: patch negatives at 4 against 0.5.", _ANALYSES,
          _shape_bias(("moco patch alpha 4", "moco patch alpha 0.5")), margin=ALIKE),
    Claim("small-queue-suffices",
          f"With patch negatives a small queue suffices: one of 256 keys is less than {NEAR:g} point below one of "
          "4,096, in domain and out of it.", _ANALYSES, _small_queue_suffices, every=True, margin=None),
    Claim("small-queue-costs-plain",
          "Without them it does not: in domain, MoCo v2 loses by a queue of 256 keys against one of 4,096.", _ANALYSES,
          lambda rows: between(rows, [("moco queue 4096", "moco queue 256")], {"in domain": IN_DOMAIN})),
    Claim("byol-patch",
          "BYOL gains by patch negatives, too, out of domain.", "abstract", on_average(("byol patch", "byol"))),
    Claim("negatives-are-harder",
          "Patch and texture negatives are harder than others: more alike to the query than other images are, before "
          "training and after it without them.", _ANALYSES, _harder, every=True, margin=ALIKE),
    Claim("patch-shape",
          "Patch negatives make an encoder decide more by shape.", "abstract", _shape_bias(("moco patch", "moco")),
          margin=ALIKE),
    Claim("texture-shape",
          "Texture negatives make an encoder decide more by shape.", "abstract", _shape_bias(("moco texture", "moco")),
          margin=ALIKE),
    Claim("texture-classes-lose",
          "Some classes need texture: those told best by it lose more by texture negatives. (The paper speaks of fine "
          "classes, of which there are none here.)", "abstract, our reading", _texture_classes_lose),
    Claim("patch-less-colour",
          "Patch negatives lessen what an encoder reads from colour: at equal clean accuracy less is lost to other "
          "colours.", _ANALYSES,
          _loses_less("cue_accuracy", RECOLOURED_CELL, "other colours", ("moco patch", "moco"))),
)  # fmt: skip


# Beyond the paper: where its reasons lead, and what others expect of such negatives.
NEGATIVES_PREDICTIONS = (
    Claim("simclr-patch",
          "SimCLR, whose negatives are the batch, gains by patch negatives, too, out of domain.", "ours",
          on_average(("simclr patch", "simclr"))),
    Claim("alpha-range-trades",
          "Over the whole range alpha trades accuracy in domain for accuracy out of it: patch negatives at 4 against "
          "0.5.", "ours", _trades("moco patch alpha 4", "moco patch alpha 0.5"), every=True),
    Claim("gain-grows-as-queue-shrinks",
          "Patch negatives gain more with a small queue than with a large one.", "ours",
          _gain_grows_as_the_queue_shrinks),
    Claim("pushed-away",
          "Training with such negatives pushes them away: a query is less alike to them than after training without.",
          "ours", _pushed_away, margin=ALIKE),
    Claim("less-from-texture",
          "Training with such negatives leaves less to read from textures alone.", "ours", _less_from_texture),
    Claim("patch-less-to-pgd",
          "Patch negatives, which are never false ones, make contrastive encoders less sensitive: at equal clean "
          "accuracy less is lost to PGD at 1/255.", "Gupta et al.",
          _loses_less("robust_accuracy", WEAK_CELL, "PGD", ("moco patch", "moco"), ("simclr patch", "simclr"))),
    Claim("texture-less-to-pgd",
          "Texture negatives, which are never false ones, make contrastive encoders less sensitive: at equal clean "
          "accuracy less is lost to PGD at 1/255.", "Gupta et al.",
          _loses_less("robust_accuracy", WEAK_CELL, "PGD", ("moco texture", "moco"), ("simclr texture", "simclr"))),
)  # fmt: skip


# Without these, no number above means anything.
NEGATIVES_CONTROLS = (
    Claim("probe-beats-random",
          "Every trained system beats random weights by the linear probe.", "ours",
          lambda rows: between(rows, [(name, "random") for name in _TRAINED], {"probe": IN_DOMAIN}), every=True),
    Claim("positive-is-near",
          "After training, another view of an image is nearer to the query than other images are.", "ours",
          lambda rows: within(rows, _TRAINED, LIKENESS["positive"], LIKENESS["other"], "positive less another image"),
          every=True, margin=ALIKE),
    Claim("texture-above-chance",
          "Texture alone tells classes apart: on textures, encoders are above chance.", "ours", _texture_above_chance),
    Claim("patches-are-textures",
          "Patch negatives keep texture and lose the class: accuracy on them is nearer to that on textures than to "
          "that on the images.", "ours", _patches_are_textures, every=True),
)  # fmt: skip


# Of papers on the same question: fewer false negatives (arXiv 2207.10862), against which patch and texture negatives
# have to stand, and a regulator that keeps likely relatives together and others apart (arXiv 2407.13541).
NEIGHBOURS = (
    Claim("dropped-out-of-domain",
          "To drop likely false negatives raises the accuracy of MoCo v2 out of domain, averaged over the sets.",
          "ours", on_average(("moco dropped", "moco"))),
    Claim("dropped-beat-chance",
          "It raises it more than to drop as many negatives at random.", "ours",
          on_average(("moco dropped", "moco dropped random"))),
    Claim("same-class-out-of-domain",
          "To drop those of the same class, which labels tell, raises it: the most that detection could bring.", "ours",
          on_average(("moco dropped labelled", "moco"))),
    Claim("patch-beats-dropped",
          "Patch negatives gain more out of domain than fewer false negatives do.", "ours",
          on_average(("moco patch", "moco dropped"))),
    Claim("texture-beats-dropped",
          "Texture negatives gain more out of domain than fewer false negatives do.", "ours",
          on_average(("moco texture", "moco dropped"))),
    Claim("dropped-less-to-pgd",
          "Fewer false negatives make MoCo v2 less sensitive: at equal clean accuracy less is lost to PGD at 1/255.",
          "Gupta et al.", _loses_less("robust_accuracy", WEAK_CELL, "PGD", ("moco dropped", "moco"))),
    Claim("negatives-less-to-pgd-than-dropped",
          "Patch and texture negatives make it less sensitive than fewer false negatives do, at equal clean accuracy.",
          "ours", _loses_less("robust_accuracy", WEAK_CELL, "PGD",
                              ("moco patch", "moco dropped"), ("moco texture", "moco dropped"))),
    Claim("dsa-less-crowded",
          "DSA leaves classes less crowded than the method that it stands on: images of one class are nearer to each "
          "other, beside those of two.", "Song et al.",
          lambda rows: between(rows, [(plain, own) for own, plain in REGULATED], CROWDED)),
    Claim("dsa-out-of-domain",
          "That raises accuracy out of domain, averaged over the sets.", "ours", on_average(*REGULATED)),
    Claim("dsa-less-to-pgd",
          "That makes encoders less sensitive: at equal clean accuracy less is lost to PGD at 1/255.", "ours",
          _loses_less("robust_accuracy", WEAK_CELL, "PGD", *REGULATED)),
)  # fmt: skip


# Whose errors are controlled together
CLAIMS = (*NON_SEMANTIC_NEGATIVES, *NEGATIVES_PREDICTIONS, *NEGATIVES_CONTROLS, *NEIGHBOURS)


PAPER = NON_SEMANTIC_NEGATIVES  # what the paper says, in its claims
HEADLINE = Headline(
    "Negatives",
    "patch-out-of-domain",
    holds="Patch negatives, which keep only the surface of an image, raise accuracy out of domain.",
    reversed="Patch negatives, which keep only the surface of an image, lower accuracy out of domain.",
    no_effect="Patch negatives, which keep only the surface of an image, change accuracy out of domain by less than "
    f"{MARGIN:g} points.",
    undecided="Whether patch negatives, which keep only the surface of an image, help out of domain is not decided.",
)
