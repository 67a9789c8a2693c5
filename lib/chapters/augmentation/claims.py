"""The claims of Ericsson, Gouk and Hospedales (arXiv 2111.11398), what mixed images do, and the numbers that they stand
on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from lib.cells import ALIKE, NEAR, WHITENED, WHITENED_CHANCE, near
from lib.chapters.augmentation.names import named, title
from lib.chapters.augmentation.plan import LEARNED, MIXED
from lib.contrasts import Contrasts, Kept, estimates, of_two, picked, present
from lib.images.downstream import DOWNSTREAM
from lib.measures import Estimate
from lib.measures.rows import CLEAN, overall
from lib.measures.statistics import LEVEL, false_discovery
from lib.methods import METHODS
from lib.runs.config import FUSIONS
from lib.verdicts import Claim, Headline

Cell = dict[str, object]


READ_OUT = "linear R2"


SINGLE = tuple(recipe for recipe, _ in FUSIONS["fusion"])  # the recipes whose encoders stand side by side in it


SIZE = ("three defaults", "wide default")  # as many features as the fusion, all trained by one recipe


TRAINED_FOR = {  # recipe: those of the 18 transforms that its views undergo
    "spatial": ("resized_crop", "h_flip"),
    "appearance": ("grayscale", "brightness", "contrast", "saturation", "hue", "blur"),
}


TASKS = {  # task: (shift, subset, metric) of its rows; of each, the highest is the best
    "own classes": (CLEAN, "", "probe accuracy"),
    **{name: (name, "", "accuracy") for name in DOWNSTREAM},
    "coil azimuth": ("coil", "azimuth", READ_OUT),
    **{name: (CLEAN, name, READ_OUT) for name in ("object_hue", "x", "light_azimuth")},
}


POSE = {"coil": {"shift": "coil"}, "scenes: azimuth": {"shift": "scenes", "subset": "azimuth"}}  # sets of views


LIGHTS = ("direction", "colour")  # what changes of it


LIGHT = {f"scenes: light {what}": {"shift": "scenes", "subset": f"light {what}"} for what in LIGHTS}


def with_wide(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one data set, in which a method and an augmentation tell encoders apart: a wide encoder is an
    augmentation of its own, "wide default", and a system that stands beside the methods a method.

    Beside a fusion it is a control of size, as three defaults are: as many features, in one encoder.
    """
    wide = rows["encoder"].str.endswith("_wide")
    augmentations = rows["augmentation"].mask(wide, "wide " + rows["augmentation"].astype(str))
    return named(rows).assign(augmentation=augmentations)


def task_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `TASKS` in their order, named in a column "task"; an augmentation that is missing becomes "".

    Only tasks that every run in `rows` has, so that averages and ranks of all stand on the same tasks.
    """
    run = ["method", "augmentation", "seed"]
    cell = ["shift", "subset", "metric"]
    names = pd.DataFrame([(*own, task) for task, own in TASKS.items()], columns=[*cell, "task"])
    found = overall(rows).merge(names, on=cell)
    runs = found.drop_duplicates([*run, "task"])["task"].value_counts()
    found = found[found["task"].map(runs) == len(rows.drop_duplicates(run))]
    order = found["task"].map(list(TASKS).index).argsort(kind="stable")
    return found.assign(augmentation=found["augmentation"].fillna("")).iloc[order]


def over_tasks(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a run: its mean over the tasks of `task_rows`, accuracies and R² alike, and their number in "tasks".

    The standard error over images is the mean of the tasks', as if their errors went together entirely: several tasks
    are read from the same scenes. The interval errs on the wide side.
    """
    runs = task_rows(rows).groupby(["method", "augmentation", "seed"], sort=False)
    return runs.agg(
        value=("value", "mean"), standard_error=("standard_error", "mean"), tasks=("task", "size")
    ).reset_index()


def fusion_gaps(rows: pd.DataFrame, method: str) -> dict[str, dict[str, Estimate]]:
    """Task -> each of `SINGLE` -> the fusion's score less its, in points.

    `rows` are `task_rows` that hold `method` with all of them. The best of these is not chosen by the rows that judge
    it, which would favour it.
    """
    kept, found = Kept(), rows[rows["method"] == method]["task"].unique()
    cells = {name: {"method": method, "augmentation": name} for name in ("fusion", *SINGLE)}
    return {
        task: estimates(
            {one: of_two(rows, *(cells[name] | {"task": task} for name in ("fusion", one))) for one in SINGLE}, kept
        )
        for task in found
    }


def fusion_tally(gaps: Mapping[str, Mapping[str, Estimate]]) -> tuple[int, int]:
    """On how many tasks of `fusion_gaps` the fusion is shown to be less than `NEAR` below each recipe, or above it, and
    on how many to be farther below one; with 5 % of false discoveries."""
    near = [max(gap.above(-NEAR) for gap in own.values()) for own in gaps.values()]
    far = [min(1.0, len(own) * min(gap.below(-NEAR) for gap in own.values())) for own in gaps.values()]
    p = [min(1.0, 2 * min(both)) for both in zip(near, far, strict=True)]
    shown = false_discovery(p) <= 1 - LEVEL
    nearer = np.array(near) <= np.array(far)
    return int((shown & nearer).sum()), int((shown & ~nearer).sum())


def trained_with(rows: pd.DataFrame, *augmentations: str) -> list[str]:
    """The self-supervised methods that `rows` hold with each of `augmentations`."""
    held = rows.groupby("method")["augmentation"].agg(set)
    return [method for method in present(rows) if held[method] >= set(augmentations)]


def _apart(rows: pd.DataFrame, metric: str, more: str, less: str, cells: Mapping[str, Cell]) -> Contrasts:
    """Recipe `more` less recipe `less` in `metric`, for each of `cells` and each method that has it with both."""
    measured = overall(rows[rows["metric"] == metric])
    return {
        f"{METHODS[method].title}, {words}, {more} less {less}": of_two(
            measured, *(cell | {"method": method, "augmentation": recipe} for recipe in (more, less))
        )
        for words, cell in cells.items()
        for method in trained_with(picked(measured, cell), more, less)
    }


def _under(kind: str) -> dict[str, Cell]:
    """The transforms that a recipe is trained for."""
    return {name.replace("_", " "): {"shift": name} for name in TRAINED_FOR[kind]}


def cause_cell(name: str) -> Cell:
    """What is read of a cause of scenes from all features."""
    return {"shift": CLEAN, "subset": name, "metric": READ_OUT}


def _read(name: str) -> dict[str, Cell]:
    return {name.replace("_", " "): cause_cell(name)}


def _learn_what_they_see(rows: pd.DataFrame) -> Contrasts:
    return _apart(rows, WHITENED, "spatial", "appearance", _under("spatial")) | _apart(
        rows, WHITENED, "appearance", "spatial", _under("appearance")
    )


def above_chance(rows: pd.DataFrame) -> pd.DataFrame:
    """Whitened similarity of an object's views in percent of the way from any two images of the set to equal ones.

    With s and c the similarity of views and of any two images, both of one run, 100 (s - c) / (100 - c): one minus
    the normalised distance of arXiv 2407.04325, of cosines. An encoder to which all images of a set look alike has
    a high s and shows nothing by it. The error of c, a mean over thousands of pairs, is taken to be zero.
    """
    run = [name for name in ("method", "augmentation", "encoder", "seed", "shift", "subset") if name in rows]
    similar, chance = (rows[rows["metric"] == metric] for metric in (WHITENED, WHITENED_CHANCE))
    both = similar.merge(chance[[*run, "value"]], on=run, suffixes=("", " by chance"))
    scale = 100 / (100 - both["value by chance"])
    value = (both["value"] - both["value by chance"]) * scale
    return both.assign(value=value, standard_error=both["standard_error"] * scale).drop(columns="value by chance")


def _carry_over(more: str, less: str, sets: Mapping[str, Cell]) -> Callable[[pd.DataFrame], Contrasts]:
    """The views of an object are more alike to `more`, as `above_chance` counts."""
    return lambda rows: _apart(above_chance(rows), WHITENED, more, less, sets)


def light_apart(rows: pd.DataFrame) -> dict[str, Contrasts]:
    """What changes of light -> the contrasts of the claim on light that are about it."""
    found = _carry_over("appearance", "spatial", LIGHT)(rows)
    return {what: {words: own for words, own in found.items() if f"light {what}" in words} for what in LIGHTS}


def _prefer_opposites(rows: pd.DataFrame) -> Contrasts:
    return _apart(rows, READ_OUT, "spatial", "appearance", _read("object_hue")) | _apart(
        rows, READ_OUT, "appearance", "spatial", _read("x")
    )


def _fusion_near_best(rows: pd.DataFrame) -> Contrasts:
    """Above zero where the fusion is less than `NEAR` below a single recipe on a task, or above it.

    Each recipe is compared, and not the best alone: to choose it by the rows that judge it would favour it.
    """
    found = task_rows(rows)
    return near(
        {
            f"{METHODS[method].title}, {task.replace('_', ' ')}, fusion less {recipe}": of_two(
                found, *({"method": method, "task": task, "augmentation": name} for name in ("fusion", recipe))
            )
            for method in trained_with(found, "fusion", *SINGLE)
            for task in found["task"].unique()
            for recipe in SINGLE
        }
    )


def _fusion_beats_size(rows: pd.DataFrame) -> Contrasts:
    found = over_tasks(rows)
    return {
        f"{METHODS[method].title}, mean of {found['tasks'].iloc[0]} tasks, fusion less {control}": of_two(
            found, *({"method": method, "augmentation": name} for name in ("fusion", control))
        )
        for control in SIZE
        for method in trained_with(found, "fusion", control)
    }


def _better_read(cause: str, more: Sequence[str], less: Sequence[str]) -> Callable[[pd.DataFrame], Contrasts]:
    """`cause` is read better from the first recipe of `more` that rows hold together with one of `less`."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        found = (_apart(rows, READ_OUT, first, second, _read(cause)) for first in more for second in less)
        return next(filter(None, found), {})

    return contrasts


def _mixed(
    rows: pd.DataFrame,
    metric: str,
    cells: Mapping[str, Cell],
    owns: Sequence[str] = MIXED,
    others: Sequence[str] = ("simclr",),
    less: bool = False,
) -> Contrasts:
    """Each of `owns` less each of `others`, in `metric`, for each of `cells` that rows hold of both; the other way
    round where `less` of it is asked for. All are trained by the default recipe."""
    measured = overall(rows[rows["metric"] == metric]) if metric else rows
    measured = measured[measured["augmentation"] == "default"]
    found = {}
    for words, cell in cells.items():
        held = set(picked(measured, cell)["method"])
        for pair in [(own, other) for own in owns for other in others if {own, other} <= held]:
            first, second = pair[::-1] if less else pair
            found[f"{words}, {title(first)} less {title(second)}"] = of_two(
                measured, *(cell | {"method": name} for name in (first, second))
            )
    return found


def _learned_mixing_beats(rule: str) -> Callable[[pd.DataFrame], Contrasts]:
    """What learns to mix less what mixes by a `rule`, in the mean over the tasks that every run has."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        if not {LEARNED, rule} <= set(rows["method"]):
            return {}
        means = over_tasks(rows)
        cells: dict[str, Cell] = {f"mean of {means['tasks'].max()} tasks": {}} if len(means) else {}
        return _mixed(means, "", cells, (LEARNED,), (rule,))

    return contrasts


# Ericsson, Gouk and Hospedales, arXiv 2111.11398 (BMVC 2022). "No jitter" lacks nothing else; "spatial", which lacks
# grey and blur as well, stands for it where it was not trained.
AUGMENTATION_INVARIANCE = (
    Claim("learn-what-views-undergo",
          "Encoders learn to look through what their views undergo: the spatial recipe is more invariant than the "
          "appearance one to crops and flips, and less to changes of colour, light and blur.", "abstract",
          _learn_what_they_see, margin=ALIKE),
    Claim("carries-over-to-pose",
          "Spatial invariance carries over to pose: an object's views from other sides stay more alike.", "abstract",
          _carry_over("spatial", "appearance", POSE), margin=ALIKE),
    Claim("carries-over-to-light",
          "Appearance invariance carries over to light: an object's views in other light stay more alike, on average "
          "over changes of its direction and of its colour.", "abstract",
          _carry_over("appearance", "spatial", LIGHT), margin=ALIKE),
    Claim("tasks-prefer-opposites",
          "Tasks prefer opposite invariances: hue is read better from the spatial recipe's features, and position from "
          "those of the appearance recipe.", "abstract", _prefer_opposites, every=True),
    Claim("fusion-near-best",
          f"A fusion of the recipes is at the best of them, or less than {NEAR:g} point below, on every task.",
          "abstract", _fusion_near_best, every=True, margin=None),
    Claim("fusion-beats-size",
          "On average over tasks the fusion beats what is as large and has one recipe: three encoders side by side, or "
          "a wide one.", "ours",
          _fusion_beats_size, every=True),
    Claim("hue-without-jitter",
          "Hue is read better from features that were trained without colour jitter than with it.", "ours",
          _better_read("object_hue", ("no jitter", "spatial"), ("default",))),
    Claim("position-without-crops",
          "Position is read better from features that were trained without crops than with them.", "ours",
          _better_read("x", ("no crop",), ("default",))),
)  # fmt: skip


# Why the last two may fail: what a part of the recipe leaves, and which part takes what.
AUGMENTATION_CAUSES = (
    Claim("small-jitter-leaves-hue",
          "Jitter of up to a tenth of a turn leaves more of the hue than jitter of any angle.", "ours",
          _better_read("object_hue", ("default",), ("any hue",))),
    Claim("flips-take-the-side",
          "Flips take the place from left to right: it is read better without them, all else being equal.", "ours",
          _better_read("x", ("appearance",), ("no crop",))),  # which is the appearance recipe with flips
)  # fmt: skip


# Ours, of SimCLR with mixed images: their papers ask for accuracy, and say nothing of invariance. That a learned mix
# beats mixup and CutMix is what its paper says (Li et al., arXiv 2111.15454), of other data and larger encoders.
MIXING = (
    Claim("mixing-looks-through",
          "Mixed images teach an encoder to look through more of what its views undergo: features stay more alike.",
          "ours", lambda rows: _mixed(rows, WHITENED, _under("spatial") | _under("appearance")), margin=ALIKE),
    Claim("mixing-carries-over",
          "That carries over to pose and light: an object's views stay more alike.", "ours",
          lambda rows: _mixed(above_chance(rows), WHITENED, POSE | LIGHT), margin=ALIKE),
    Claim("mixing-leaves-less-to-read",
          "Less of hue and position is left to be read.", "ours",
          lambda rows: _mixed(rows, READ_OUT, _read("object_hue") | _read("x"), less=True)),
    Claim("learned-mixing-beats-mixup",
          "On average over tasks, images that a network learns to mix beat mixup.", "Li et al.",
          _learned_mixing_beats("mixup")),
    Claim("learned-mixing-beats-cutmix",
          "On average over tasks, images that a network learns to mix beat CutMix.", "Li et al.",
          _learned_mixing_beats("cutmix")),
)  # fmt: skip


CLAIMS = (
    *AUGMENTATION_INVARIANCE,
    *AUGMENTATION_CAUSES,
    *MIXING,
)  # whose errors are controlled together, on a data set


PAPER = AUGMENTATION_INVARIANCE  # what the paper says, in its claims
HEADLINE = Headline(
    "Augmentations",
    "learn-what-views-undergo",
    holds="An encoder learns to look through the changes that its training views undergo.",
    reversed="An encoder does not learn to look through what its training views undergo: others do so better.",
    no_effect="What training views undergo hardly matters for what an encoder looks through.",
    undecided="Whether an encoder learns to look through what its training views undergo is not decided here.",
)


# What else the page finds, in a plain sentence each: the words that it glues into its text.
FINDINGS = {
    "answer": HEADLINE,
    "pose-words": Headline(
        "Pose",
        "carries-over-to-pose",
        holds="What crops and flips teach carries over to pose.",
        reversed="When the pose changes, the appearance recipe looks through more.",
        no_effect="When the pose changes, the recipe hardly matters.",
        undecided="Whether that carries over to pose is not decided here.",
    ),
    "light-words": Headline(
        "Light",
        "carries-over-to-light",
        holds="What changes of colour teach carries over to light, on the average of its direction and its colour.",
        reversed="When the light changes, the spatial recipe looks through more.",
        no_effect="When the light changes, the recipe hardly matters.",
        undecided="Whether that carries over to light is not decided here.",
    ),
    "tasks-words": Headline(
        "Tasks",
        "tasks-prefer-opposites",
        holds="Hue is read better after the spatial recipe, and place after the appearance recipe.",
        reversed="Hue and place do not ask for opposite recipes in every method.",
        no_effect="For what can be read of hue and place, the recipe hardly matters.",
        undecided="Whether hue and place ask for opposite recipes is not decided here.",
    ),
}
