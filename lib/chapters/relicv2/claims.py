"""The claims of Tomasev et al. (arXiv 2201.05119), what follows from them, and our controls."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import pandas as pd

from lib import cells
from lib.cells import CLEAN_CELL, COMPARED, IN_DOMAIN, NEAR, has, in_sets, mean_of_sets, near, together
from lib.chapters.relicv2.plan import PLAN, SYSTEMS
from lib.chapters.relicv2.published import LEAD, SEGMENTED, tomasev2022
from lib.contrasts import Contrast, Contrasts, mean_of, of_cell, of_cells, picked
from lib.effective import above_the_rest, runs_of
from lib.errors import BadInput
from lib.images.scenes import SHAPES
from lib.measures.background import OTHER
from lib.measures.corruption_error import ALL
from lib.measures.rows import measure_name
from lib.recent import remembered
from lib.verdicts import Claim, Headline

# Contrasts in words that have the titles of this chapter's systems
between = functools.partial(cells.between, title=PLAN.title)
on_average = functools.partial(cells.on_average, title=PLAN.title)

# Systems of the study of ReLICv2

# Name of a set out of distribution: measure, shift and metric of its rows. "scenes conflict" is a
# control and no shift: textures tell nothing of the class in the training images.
SHIFTED = {
    "corruptions": ("out_of_distribution", ALL, "accuracy"),
    "C-bar": ("out_of_distribution", "bar", "accuracy"),
    **{
        name: ("out_of_distribution", name, "accuracy")
        for name in ("scenes background", "scenes light", "scenes pose", "cifar10-shift", "cifar10.1", "stl10")
    },
}


LOST = "accuracy lost"


CONFLICT_CELL = {"shift": "scenes conflict", "metric": LOST}


# Of scenes whose background is drawn without regard to the class, and of some where each class has one of its own
GAP_CELLS = {world: {"shift": world, "metric": "background gap"} for world in ("scenes", "tied scenes")}


WALL_CELLS = {world: CLEAN_CELL | {"shift": world, "subset": "only background"} for world in GAP_CELLS}


OTHER_CELL = CLEAN_CELL | {"shift": "tied scenes", "subset": OTHER}


MIOU_CELLS = {f"mIoU, {head} head": {"metric": f"{head} mIoU"} for head in ("linear", "fcn")}


BY_CHANCE = 100 / len(SHAPES)  # percent, of the classes of scenes


LITTLE = 5.0  # points: about twice what an interval over 1,000 images spans to either side


EARLIER = ("simclr", "byol sgd", "dino", "relic")  # without labels


WHOLE = [name for name, system in SYSTEMS.items() if system.role in COMPARED and name != "random"]


@remembered
def shifted(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `SHIFTED` in its order, named in a column "set": accuracies."""
    cells = [(*place, name) for name, place in SHIFTED.items()]
    names = pd.DataFrame(cells, columns=["name", "shift", "metric", "set"])
    return in_sets(rows.assign(name=rows["measure"].map(measure_name)), names).drop(columns="name")


@remembered
def mean_shifted(rows: pd.DataFrame, of: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a run: its mean over the sets of `shifted`, in all else like `mean_out_of_domain`."""
    return mean_of_sets(rows, shifted(rows), of)


def _inside(*pairs: tuple[str, str]) -> Callable[[pd.DataFrame], Contrasts]:
    return lambda rows: between(rows, pairs, {"in domain": IN_DOMAIN})


def _outside(*pairs: tuple[str, str]) -> Callable[[pd.DataFrame], Contrasts]:
    return on_average(*pairs, mean=mean_shifted)


def _both(more: str, less: str) -> Callable[[pd.DataFrame], Contrasts]:
    """The first system is ahead of the second in domain and out of distribution."""
    return lambda rows: together(_inside((more, less))(rows), _outside((more, less))(rows))


# On whom the line of effective robustness stands. ReLIC and ReLICv2 are what is asked about, and random weights lie so
# far below all that is trained that they alone would turn it.
LINE = [name for name, system in SYSTEMS.items() if system.role in COMPARED and name != "random"
        and system.method not in ("relic", "relicv2")]  # fmt: skip


def _loses_less_outside(more: str, less: str) -> Callable[[pd.DataFrame], Contrasts]:
    """How much higher the first system lies than the second above the line of `LINE`, from in domain to the mean over
    shifts: by points lost, whoever starts lower would seem more robust."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        here = [name for name in dict.fromkeys((more, less, *LINE)) if has(rows, name, IN_DOMAIN)]
        means = mean_shifted(rows, here)
        means = means[means["system"].isin(here)].assign(shift="mean", metric="accuracy")
        inside = picked(rows, IN_DOMAIN)
        both = pd.concat([inside[inside["system"].isin(here)], means], ignore_index=True)[
            ["system", "seed", "shift", "metric", "value", "standard_error"]
        ]
        gap = above_the_rest(runs_of(both, IN_DOMAIN, {"shift": "mean"}), {"system": more}, {"system": less})
        words = f"{PLAN.title(more)} less {PLAN.title(less)}"
        return {f"above the line of others, mean of {means['sets'].max()} sets, {words}": gap} if gap else {}

    return contrasts


def _relies_less(more: str, less: str) -> Callable[[pd.DataFrame], Contrasts]:
    """The background gap of the first system is smaller than that of the second."""
    return lambda rows: between(rows, [(less, more)], {"background gap, tied scenes": GAP_CELLS["tied scenes"]})


def _above_earlier(outside: bool) -> Callable[[pd.DataFrame], Contrasts]:
    """ReLICv2 less the mean of all of `EARLIER`, in domain or, with `outside`, in the mean over shifts."""
    signs = {"relicv2": 1} | dict.fromkeys(EARLIER, -1 / len(EARLIER))
    words = f"{PLAN.title('relicv2')} less the mean of {', '.join(PLAN.title(name) for name in EARLIER)}"

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        own, cell, place = rows, IN_DOMAIN, "in domain"
        if outside:
            own, cell = mean_shifted(rows, [name for name in signs if name in set(rows["system"])]), {}
            place = f"mean of {own['sets'].max()} sets"
        if not all(has(own, name, cell) for name in signs):
            return {}
        return {f"{place}, {words}": of_cells(own, [(sign, cell | {"system": name}) for name, sign in signs.items()])}

    return contrasts


def _mean_of_systems(
    rows: pd.DataFrame, cell: dict[str, object], systems: Sequence[str] = WHOLE
) -> tuple[int, Contrast] | None:
    """How many of `systems` have `cell`, and their mean; None where none has."""
    found = picked(rows[rows["system"].isin(systems)], cell)
    if found.duplicated(["system", "seed"]).any():
        raise BadInput(f"{cell} picks more than one row of a system and a seed")
    names = list(dict.fromkeys(found["system"]))
    return (len(names), mean_of([of_cell(rows, cell | {"system": name}) for name in names])) if names else None


def _within_little(
    rows: pd.DataFrame, cell: dict[str, object], words: str, target: float, target_words: str
) -> Contrasts:
    """Above zero, both, where the mean of `cell` over systems is less than `LITTLE` away from the target."""
    found = _mean_of_systems(rows, cell)
    if found is None:
        return {}
    count, mean = found
    end = f"plus {LITTLE:g} points, mean of {count} encoders"
    return {
        f"{words} less {target_words}, {end}": mean + (LITTLE - target),
        f"{target_words} less {words}, {end}": -mean + (LITTLE + target),
    }


def _backgrounds_are_free(rows: pd.DataFrame) -> Contrasts:
    return together(
        _within_little(rows, WALL_CELLS["scenes"], "only background", BY_CHANCE, "chance"),
        _within_little(rows, GAP_CELLS["scenes"], "background gap", 0.0, "zero"),
    )


def _backgrounds_tell(rows: pd.DataFrame) -> Contrasts:
    """Of encoders without labels: one that was taught the class reads shapes, and has no need of backgrounds."""
    found = _mean_of_systems(rows, WALL_CELLS["tied scenes"], (*EARLIER, "relicv2"))
    if found is None:
        return {}
    count, mean = found
    return {f"only background less chance, mean of {count} encoders": mean - BY_CHANCE}


def _in_paper(quantity: str, *models: str) -> float:
    """A number of the paper, of the first model less that of a second, if one is named."""
    values = tomasev2022().set_index(["quantity", "model"])["value"]
    return float(values[quantity, models[0]] - sum(values[quantity, model] for model in models[1:]))


_READING = "abstract, our reading"  # what it says, put as a comparison that it does not make


# Tomasev et al., arXiv 2201.05119. Of the paper the abstract is known to us, and numbers of others' tables. Each claim
# is about one place, in domain or the mean over the sets out of distribution, where one comparison decides.
RELICV2_OOD = (
    Claim("beats-supervised",
          "Without labels ReLICv2 beats supervised training like for like, with the same crops, epochs and images, "
          "in domain.", "abstract", _inside(("relicv2", "supervised same crops"))),
    Claim("beats-supervised-out",
          "It beats supervised training like for like out of distribution, averaged over the sets.", _READING,
          _outside(("relicv2", "supervised same crops"))),
    Claim("beats-earlier",
          "It beats earlier methods without labels in domain: the mean of SimCLR, BYOL, DINO and ReLIC.", "abstract",
          _above_earlier(outside=False)),
    Claim("beats-each-earlier",
          "It beats each of the four in domain.", "abstract", _inside(*(("relicv2", name) for name in EARLIER)),
          every=True, published=lambda: _in_paper(LEAD, "ReLICv2, ResNet-50")),
    Claim("beats-earlier-out",
          "It beats the mean of the four out of distribution, averaged over the sets.", "abstract",
          _above_earlier(outside=True)),
    Claim("beats-each-earlier-out",
          "It beats each of the four out of distribution, averaged over the sets.", "abstract",
          _outside(*(("relicv2", name) for name in EARLIER)), every=True),
    Claim("invariance",
          "The invariance loss raises accuracy in domain.", _READING, _inside(("relicv2", "relicv2 no invariance"))),
    Claim("invariance-out",
          "The invariance loss raises accuracy out of distribution, averaged over the sets.", _READING,
          _outside(("relicv2", "relicv2 no invariance"))),
    Claim("removal",
          "Removing backgrounds raises accuracy in domain.", _READING, _inside(("relicv2", "relicv2 no saliency"))),
    Claim("removal-out",
          "Removing backgrounds raises accuracy out of distribution, averaged over the sets.", _READING,
          _outside(("relicv2", "relicv2 no saliency"))),
    Claim("removal-gap",
          "Removing backgrounds makes an encoder rely less on them: where each class has a background of its own, "
          "the background gap is smaller.", _READING, _relies_less("relicv2", "relicv2 no saliency")),
    Claim("removal-anothers-background",
          "There more objects are told on the background of another class.", _READING,
          lambda rows: between(rows, [("relicv2", "relicv2 no saliency")], {"another's background": OTHER_CELL})),
    Claim("small-crops",
          "Small crops beside two large ones help at equal cost, in domain.", _READING,
          _inside(("relicv2", "relicv2 2+0"))),
    Claim("small-crops-out",
          "They help out of distribution, averaged over the sets.", _READING, _outside(("relicv2", "relicv2 2+0"))),
    Claim("many-crops",
          "Many crops help at equal cost: four large and two small ones beat two large ones, in domain.", _READING,
          _inside(("relicv2 4+2", "relicv2 2+0"))),
    Claim("segments-better-than-byol",
          "ReLICv2's features are better for segmentation than BYOL's.", "abstract",
          lambda rows: between(rows, [("relicv2", "byol sgd")], MIOU_CELLS),
          published=lambda: _in_paper(SEGMENTED, "ReLICv2", "BYOL")),
    Claim("segments-better-than-supervised",
          "They are better for segmentation than those of supervised training like for like.", _READING,
          lambda rows: between(rows, [("relicv2", "supervised same crops")], MIOU_CELLS)),
)  # fmt: skip


# Beyond the paper. Masks of other images erase as much and at the same places on average, but not the background:
# what ReLICv2 gains over them it owes to saliency. Probabilities of 0.1 and 0.6: at the first little may be seen.
RELICV2_PREDICTIONS = (
    Claim("loses-less-than-supervised",
          "At equal accuracy in domain ReLICv2 loses less out of distribution than supervised training like for like, "
          "averaged over the sets.",
          "ours", _loses_less_outside("relicv2", "supervised same crops")),
    Claim("own-masks",
          "It is the saliency that helps and not the erasing: in domain an image's own masks beat those of others.",
          "ours", _inside(("relicv2", "relicv2 shuffled"))),
    Claim("own-masks-out",
          "Its own masks beat those of others out of distribution, averaged over the sets.", "ours",
          _outside(("relicv2", "relicv2 shuffled"))),
    Claim("own-masks-gap",
          "Its own masks make the background gap smaller than those of others.", "ours",
          _relies_less("relicv2", "relicv2 shuffled")),
    Claim("own-masks-6",
          "With six backgrounds of ten removed, its own masks beat those of others in domain.", "ours",
          _inside(("relicv2 removed 0.6", "relicv2 removed 0.6 shuffled"))),
    Claim("own-masks-6-out",
          "With six of ten, they beat those of others out of distribution, averaged over the sets.", "ours",
          _outside(("relicv2 removed 0.6", "relicv2 removed 0.6 shuffled"))),
    Claim("own-masks-6-gap",
          "With six of ten, they make the background gap smaller than those of others.", "ours",
          _relies_less("relicv2 removed 0.6", "relicv2 removed 0.6 shuffled")),
    Claim("removal-6",
          "Removing six backgrounds of ten raises accuracy in domain.", "ours",
          _inside(("relicv2 removed 0.6", "relicv2 no saliency"))),
    Claim("removal-6-out",
          "Removing six of ten raises accuracy out of distribution, averaged over the sets.", "ours",
          _outside(("relicv2 removed 0.6", "relicv2 no saliency"))),
    Claim("removal-6-gap",
          "Removing six of ten makes the background gap smaller.", "ours",
          _relies_less("relicv2 removed 0.6", "relicv2 no saliency")),
    Claim("learnt-masks-suffice",
          f"Masks learnt without labels are as good as exact ones: with six backgrounds of ten removed, less than "
          f"{NEAR:g} point below, in domain and out of distribution.", "ours",
          lambda rows: near(_both("relicv2 removed 0.6", "relicv2 removed 0.6 exact")(rows)),
          every=True, margin=None),
    Claim("stopped-gradient",
          "Stopping the gradient of the invariance loss helps, in domain and out of distribution.", "ours",
          _both("relicv2", "relicv2 unstopped"), every=True),
    Claim("pairs-beat-transpose",
          "Pairs of views beat the rows against the columns of one matrix, in domain and out of distribution.", "ours",
          _both("relicv2", "relicv2 transpose"), every=True),
    Claim("beats-third-party-loss",
          "ReLICv2 beats the loss of a third party's code, rows against columns and no gradient stopped, in domain "
          "and out of distribution.", "ours", _both("relicv2", "relicv2 transpose unstopped"), every=True),
)  # fmt: skip


# Without these, no number above means anything.
RELICV2_CONTROLS = (
    Claim("probe-beats-random",
          "Every trained system beats random weights by the linear probe.", "ours",
          _inside(*((name, "random") for name in SYSTEMS if name != "random")), every=True),
    Claim("segments-better-than-random",
          "Every one that is compared as a whole beats random weights in segmentation.", "ours",
          lambda rows: between(rows, [(name, "random") for name in WHOLE], MIOU_CELLS), every=True),
    Claim("conflict-is-no-shift",
          "A texture of another class is no shift where textures tell nothing of the class: less than "
          f"{LITTLE:g} points are lost or gained.", "ours",
          lambda rows: _within_little(rows, CONFLICT_CELL, "lost to conflicts", 0.0, "zero"),
          every=True, margin=None),
    Claim("backgrounds-are-free",
          f"In scenes backgrounds tell nothing of the class: accuracy on them is less than {LITTLE:g} points from "
          "chance, and so is the background gap from zero.", "ours", _backgrounds_are_free, every=True, margin=None),
    Claim("tied-backgrounds-tell",
          "Where each class has a background of its own, backgrounds alone tell it by features learnt without labels: "
          "accuracy is above chance on average.", "ours", _backgrounds_tell),
)  # fmt: skip


CLAIMS = (*RELICV2_OOD, *RELICV2_PREDICTIONS, *RELICV2_CONTROLS)  # whose errors are controlled together, on a data set


PAPER = RELICV2_OOD  # what the paper says, in its claims
HEADLINE = Headline(
    "ReLICv2",
    "beats-supervised-out",
    holds="Out of distribution ReLICv2 is ahead of supervised training with the same images and crops.",
    reversed="Out of distribution ReLICv2 is behind supervised training with the same images and crops.",
    no_effect="Out of distribution ReLICv2 does about as well as supervised training with the same images and crops.",
    undecided="Whether ReLICv2 is ahead of supervised training with the same crops out of distribution is undecided.",
)
