"""Claims of the papers as statements over rows, each with a verdict and the interval that decides it.

A claim is put as contrasts: differences in percentage points that it says are above zero. It holds
if every contrast's 95 % interval lies above zero, fails if one lies at or below zero, and is
undecided otherwise. The contrast named in a verdict is the one that decides it: the lowest. A claim
about methods that the rows lack is not tested.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.errors import BadInput
from lib.images.downstream import DOWNSTREAM
from lib.images.scenes import SHAPES
from lib.measures import Interval, interval
from lib.measures.adversarial_probe import METRIC as BY_ADVERSARIAL_PROBE
from lib.measures.attention import CONTROL, SIMILARITY
from lib.measures.background import OTHER
from lib.measures.corruption_error import ALL
from lib.measures.negative_similarity import METRIC as QUERY_SIMILARITY
from lib.measures.robust_accuracy import AT
from lib.measures.rows import CLEAN
from lib.methods import METHODS
from lib.runs.config import FUSIONS
from lib.runs.systems import NEGATIVES, RELICV2, SYSTEMS
from lib.shifts.corruptions import GROUPS, SEVERITIES

HOLDS, FAILS, UNDECIDED, NOT_TESTED = "holds", "fails", "undecided", "not tested"
Contrasts = dict[str, Interval]  # what is compared, in words -> the difference in percentage points


@dataclass(frozen=True)
class Claim:
    """`statement` in our words, `source` where the paper says it, and what it asserts to be positive.

    `contrasts` gets the rows of convolutional encoders, or of `all_encoders`.
    """

    statement: str
    source: str
    contrasts: Callable[[pd.DataFrame], Contrasts]
    all_encoders: bool = False


@dataclass(frozen=True)
class Verdict:
    claim: Claim
    verdict: str
    contrast: str
    difference: Interval | None  # None: not tested


def judge(claim: Claim, rows: pd.DataFrame) -> Verdict:
    contrasts = claim.contrasts(rows if claim.all_encoders else convolutional(rows))
    if not contrasts:
        return Verdict(claim, NOT_TESTED, "what the claim speaks of is not in these rows", None)
    words, lowest = min(contrasts.items(), key=lambda item: (item[1].low, item[1].mean))
    if lowest.low > 0:  # of the lowest, hence of all
        return Verdict(claim, HOLDS, words, lowest)
    refuting = {name: difference for name, difference in contrasts.items() if difference.high <= 0}
    if refuting:
        words, lowest = min(refuting.items(), key=lambda item: item[1].high)
        return Verdict(claim, FAILS, words, lowest)
    return Verdict(claim, UNDECIDED, words, lowest)


def verdicts(claims: Sequence[Claim], rows: pd.DataFrame) -> pd.DataFrame:
    """A table with a line a claim."""
    judged = [judge(claim, rows) for claim in claims]
    return pd.DataFrame(
        {
            "claim": verdict.claim.statement,
            "source": verdict.claim.source,
            "verdict": verdict.verdict,
            "decided by": verdict.contrast,
            "difference (points)": str(verdict.difference or ""),
        }
        for verdict in judged
    )


def convolutional(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of runs with a residual network; `transformers` has the others."""
    return rows[~rows["encoder"].str.startswith("vit")]


def transformers(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["encoder"].str.startswith("vit")]


def level(rows: pd.DataFrame, cell: dict[str, object]) -> Interval:
    """The mean over seeds of one cell of `rows`, picked by column values: of a metric that is itself a difference."""
    chosen = _by_seed(rows, cell)
    return interval(chosen["value"], chosen["standard_error"])


def difference(rows: pd.DataFrame, more: dict[str, object], less: dict[str, object]) -> Interval:
    """The paired difference over seeds of two cells of `rows`, each picked by column values."""
    return combined(rows, [(1, more), (-1, less)])


def combined(rows: pd.DataFrame, parts: Sequence[tuple[float, dict[str, object]]]) -> Interval:
    """The sum over `parts` of a weight times a cell of `rows`, picked by column values; paired over seeds.

    The images' standard errors are added as if the cells saw different images. Most see the same, whose errors go
    together, so the interval of a difference errs on the wide side.
    """
    chosen = [(weight, _by_seed(rows, cell)) for weight, cell in parts]
    seeds = functools.reduce(pd.Index.intersection, (cell.index for _, cell in chosen))
    values = sum(weight * cell.loc[seeds, "value"] for weight, cell in chosen)
    errors = np.sqrt(sum((weight * cell.loc[seeds, "standard_error"]) ** 2 for weight, cell in chosen))
    return interval(values, errors)


def _by_seed(rows: pd.DataFrame, cell: dict[str, object]) -> pd.DataFrame:
    chosen = rows
    for column, value in cell.items():
        chosen = chosen[chosen[column] == value]
    if chosen.empty or chosen["seed"].duplicated().any():
        raise BadInput(f"{cell} picks {len(chosen)} rows, not one a seed")
    return chosen.set_index("seed")


def present(rows: pd.DataFrame, self_supervised: bool = True) -> list[str]:
    """The trained methods in `rows`, in the order of the table; those without labels only, or all."""
    methods = [name for name in METHODS if name in set(rows["method"]) and METHODS[name].trained]
    return [name for name in methods if not (self_supervised and METHODS[name].build.uses_labels)]


def _of(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The rows of one metric: a method that is on the page may lack a measure that is not published for it."""
    return rows[rows["metric"] == metric]


def _error(method: str, shift: str, severity: int, metric: str = "error") -> dict[str, object]:
    return {"method": method, "shift": shift, "severity": severity, "metric": metric}


def _negative(found: Interval) -> Interval:
    return Interval(-found.mean, -found.high, -found.low)


def _raised(found: Interval, by: float) -> Interval:
    return Interval(found.mean + by, found.low + by, found.high + by)


def _near(found: Contrasts) -> Contrasts:
    """Above zero where a difference is more than -`NEAR`."""
    return {f"{words}, plus {NEAR:g} point": _raised(gap, NEAR) for words, gap in found.items()}


def _rises_with_severity(rows: pd.DataFrame) -> Contrasts:
    """Steps are differences on the same images, so their intervals are those of pairs."""
    return {
        f"{METHODS[method].title}, severity {step} less {step - 1}": level(
            rows, _error(method, ALL, step, "error step")
        )
        for method in present(_of(rows, "error step"))
        for step in SEVERITIES[1:]
    }


def _weather_is_worst(rows: pd.DataFrame) -> Contrasts:
    return {
        f"{METHODS[method].title}, weather less {group}": difference(
            rows, _error(method, "weather", 0), _error(method, group, 0)
        )
        for method in present(_of(rows, "error"))
        for group in GROUPS
        if group != "weather"
    }


def _step_to_three(shift: str, falls: bool, of: Callable[[pd.DataFrame], list[str]]):
    """The error under `shift` falls from severity 2 to 3 (or rises), for each of some methods."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        words = "severity 2 less 3" if falls else "severity 3 less 2"
        found = {method: level(rows, _error(method, shift, 3, "error step")) for method in of(_of(rows, "error step"))}
        return {
            f"{METHODS[method].title}, {words}": _negative(step) if falls else step for method, step in found.items()
        }

    return contrasts


def _supervised(rows: pd.DataFrame) -> list[str]:
    return [method for method in present(rows, self_supervised=False) if method == "supervised"]


def _trained(rows: pd.DataFrame) -> list[str]:
    return present(rows, self_supervised=False)


def _against_supervised(metric: str, sign: int = 1) -> Callable[[pd.DataFrame], Contrasts]:
    """Each self-supervised method's mean less the supervised reference's; with a sign of -1 the other way round."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        rows = _of(rows, metric)
        if "supervised" not in set(rows["method"]):
            return {}
        found = {}
        for method in present(rows):
            pair = [(METHODS[name].title, _error(name, ALL, 0, metric)) for name in (method, "supervised")][::sign]
            found[f"{pair[0][0]} less {pair[1][0]}"] = difference(rows, pair[0][1], pair[1][1])
        return found

    return contrasts


def _attention_moves(rows: pd.DataFrame) -> Contrasts:
    """Maps at severity 5 are less like the clean ones than maps at severity 1 are, for every corruption measured."""
    shifts = list(dict.fromkeys(rows.loc[rows["metric"] == SIMILARITY, "shift"]))
    return {
        f"{METHODS[method].title}, {shift.replace('_', ' ')}, severity 1 less 5": difference(
            rows, _error(method, shift, 1, SIMILARITY), _error(method, shift, SEVERITIES[-1], SIMILARITY)
        )
        for method in present(_of(rows, SIMILARITY))
        for shift in shifts
    }


def _attention_stays(rows: pd.DataFrame) -> Contrasts:
    """Maps at severity 5 are more like the clean ones than two pictures' maps are like each other."""
    shifts = list(dict.fromkeys(rows.loc[rows["metric"] == SIMILARITY, "shift"]))
    return {
        f"{METHODS[method].title}, {shift.replace('_', ' ')}, severity 5 less another picture": difference(
            rows, _error(method, shift, SEVERITIES[-1], SIMILARITY), _error(method, CLEAN, 0, CONTROL)
        )
        for method in present(_of(rows, SIMILARITY))
        for shift in shifts
    }


def _transformers_have_less(metric: str) -> Callable[[pd.DataFrame], Contrasts]:
    """Of `metric` over all corruptions: each method's convolutional encoder less its transformer."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        rows = _of(rows, metric)
        ours, theirs = convolutional(rows), transformers(rows)
        return {
            f"{METHODS[method].title}, {ours['encoder'].iloc[0]} less {theirs['encoder'].iloc[0]}": difference(
                rows,
                _error(method, ALL, 0, metric) | {"encoder": ours["encoder"].iloc[0]},
                _error(method, ALL, 0, metric) | {"encoder": theirs["encoder"].iloc[0]},
            )
            for method in present(theirs, self_supervised=False)
            if method in set(ours["method"])
        }

    return contrasts


def _beats_control(metric: str) -> Callable[[pd.DataFrame], Contrasts]:
    def contrasts(rows: pd.DataFrame) -> Contrasts:
        rows = _of(rows, metric)
        if "random" not in set(rows["method"]):
            return {}
        return {
            f"{METHODS[method].title} less Random weights": difference(
                rows, {"method": method, "metric": metric}, {"method": "random", "metric": metric}
            )
            for method in present(rows, self_supervised=False)
        }

    return contrasts


# Chhipa et al., arXiv 2308.02525 (ICCV workshops 2023); the questions are numbered as on their poster.
SEVERITY_DEGRADATION = (
    Claim("The mean error rises at every step of severity, for every paradigm.", "Q1, Q2", _rises_with_severity),
    Claim("Weather is the group that hurts every paradigm most.", "Q3", _weather_is_worst),
    Claim("Snow hurts less at severity 3 than at 2.", "Q4", _step_to_three("snow", True, present)),
    Claim("Elastic transforms hurt less at severity 3 than at 2.", "Q4",
          _step_to_three("elastic_transform", True, present)),
    Claim("Saturation hurts less at severity 3 than at 2.", "Q4", _step_to_three("saturate", True, present)),
    Claim("Attention moves further at severity 5 than at 1, under a corruption of each group.", "Q5", _attention_moves),
    Claim("A transformer errs less on corrupted pictures than a convolutional network.", "Q6",
          _transformers_have_less("error"), all_encoders=True),
    Claim("Self-supervised encoders err more on corrupted pictures than the supervised one.", "figure 1",
          _against_supervised("error")),
)  # fmt: skip

# What follows from the table of constants for 32 px, and not from a paradigm; and the other side of two claims above.
PREDICTIONS = (
    Claim("The supervised encoder's error falls at severity 3 of saturation, too.", "the constants",
          _step_to_three("saturate", True, _supervised)),
    Claim("The supervised encoder's error falls at severity 3 of snow, too.", "the constants",
          _step_to_three("snow", True, _supervised)),
    Claim("No trained encoder's error falls at severity 3 of elastic transforms.", "the constants",
          _step_to_three("elastic_transform", False, _trained)),
    Claim("At severity 5 attention is still nearer to where it was than to that of another picture.", "ours",
          _attention_stays),
    Claim("Self-supervised encoders lose more from clean to corrupted pictures than the supervised one.", "ours",
          _against_supervised("relative error")),
    Claim("Self-supervised encoders lose less: they are the more robust ones.", "Zhong et al.",
          _against_supervised("relative error", -1)),
    Claim("A transformer also loses less from clean to corrupted pictures.", "ours",
          _transformers_have_less("relative error"), all_encoders=True),
)  # fmt: skip

# Ours: without these no other number means anything.
CONTROLS = (
    Claim("Every trained method beats random weights by nearest neighbours.", "ours", _beats_control("knn accuracy")),
    Claim("Every trained method beats random weights by the linear probe.", "ours", _beats_control("probe accuracy")),
)


# Encoders of the study of augmentations, which a method and an augmentation tell apart

WHITENED, CHANCE = "whitened similarity", "whitened chance"
READ_OUT = "linear R2"
SINGLE = tuple(recipe for recipe, _ in FUSIONS["fusion"])  # the recipes whose encoders stand side by side in it
SIZE = ("three defaults", "wide default")  # as many features as the fusion, all trained by one recipe
NEAR = 1.0  # points: so little below the best is at it, about the standard error of an accuracy on 2,000 images
TRAINED_FOR = {  # recipe: those of the 18 transforms that its views undergo
    "spatial": ("resized_crop", "h_flip"),
    "appearance": ("grayscale", "brightness", "contrast", "saturation", "hue", "blur"),
}
TASKS = {  # task: (shift, metric) of its rows, at severity 0; of each, the highest is the best
    "own classes": (CLEAN, "probe accuracy"),
    **{name: (name, "accuracy") for name in DOWNSTREAM},
    **{name: (name, READ_OUT) for name in ("coil azimuth", "object_hue", "x", "light_azimuth")},
}


def with_wide(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one data set, in which a wide encoder is an augmentation of its own, "wide default".

    Beside a fusion it is a control of size, as three defaults are: as many features, in one encoder.
    """
    wide = rows["encoder"].str.endswith("_wide")
    return rows.assign(augmentation=rows["augmentation"].mask(wide, "wide " + rows["augmentation"].astype(str)))


def task_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `TASKS` in their order, named in a column "task"; an augmentation that is missing becomes "".

    Only tasks that every run in `rows` has, so that averages and ranks of all stand on the same tasks.
    """
    run = ["method", "augmentation", "seed"]
    names = pd.DataFrame([(*cell, task) for task, cell in TASKS.items()], columns=["shift", "metric", "task"])
    found = rows[rows["severity"] == 0].merge(names, on=["shift", "metric"])
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


def fusion_gaps(rows: pd.DataFrame, method: str) -> dict[str, tuple[str, Interval]]:
    """Task -> the best of `SINGLE` there, by the mean over seeds, and the fusion's score less its, in points.

    `rows` are `task_rows` that hold `method` with all of them. The best is chosen by the same rows that it is compared
    in, which favours it.
    """
    own = rows[rows["method"] == method]
    means = own.groupby(["task", "augmentation"])["value"].mean()
    gaps = {}
    for task in own["task"].unique():
        best = means[task][list(SINGLE)].idxmax()
        cells = ({"task": task, "augmentation": recipe} for recipe in ("fusion", best))
        gaps[task] = best, difference(own, *cells)
    return gaps


def trained_with(rows: pd.DataFrame, *augmentations: str) -> list[str]:
    """The self-supervised methods that `rows` hold with each of `augmentations`."""
    held = rows.groupby("method")["augmentation"].agg(set)
    return [method for method in present(rows) if held[method] >= set(augmentations)]


def _apart(rows: pd.DataFrame, metric: str, more: str, less: str, shifts: Sequence[str]) -> Contrasts:
    """Recipe `more` less recipe `less` in `metric`, for each of `shifts` and each method that has it with both."""
    measured = rows[(rows["metric"] == metric) & (rows["severity"] == 0)]
    return {
        f"{METHODS[method].title}, {shift.replace('_', ' ')}, {more} less {less}": difference(
            measured, *(_error(method, shift, 0, metric) | {"augmentation": recipe} for recipe in (more, less))
        )
        for shift in shifts
        for method in trained_with(measured[measured["shift"] == shift], more, less)
    }


def _learn_what_they_see(rows: pd.DataFrame) -> Contrasts:
    return _apart(rows, WHITENED, "spatial", "appearance", TRAINED_FOR["spatial"]) | _apart(
        rows, WHITENED, "appearance", "spatial", TRAINED_FOR["appearance"]
    )


def above_chance(rows: pd.DataFrame) -> pd.DataFrame:
    """Whitened similarity of an object's views in percent of the way from any two pictures of the set to equal ones.

    With s and c the similarity of views and of any two pictures, both of one run, 100 (s - c) / (100 - c): one minus
    the normalised distance of arXiv 2407.04325, of cosines. An encoder to which all pictures of a set look alike has
    a high s and shows nothing by it. The error of c, a mean over thousands of pairs, is taken to be zero.
    """
    run = [name for name in ("method", "augmentation", "encoder", "seed", "shift", "severity") if name in rows]
    similar, chance = (rows[rows["metric"] == metric] for metric in (WHITENED, CHANCE))
    both = similar.merge(chance[[*run, "value"]], on=run, suffixes=("", " by chance"))
    scale = 100 / (100 - both["value by chance"])
    value = (both["value"] - both["value by chance"]) * scale
    return both.assign(value=value, standard_error=both["standard_error"] * scale).drop(columns="value by chance")


def _carry_over(more: str, less: str, sets: Sequence[str]) -> Callable[[pd.DataFrame], Contrasts]:
    """The views of an object are more alike to `more`, as `above_chance` counts."""
    return lambda rows: _apart(above_chance(rows), WHITENED, more, less, sets)


def _prefer_opposites(rows: pd.DataFrame) -> Contrasts:
    return _apart(rows, READ_OUT, "spatial", "appearance", ("object_hue",)) | _apart(
        rows, READ_OUT, "appearance", "spatial", ("x",)
    )


def _fusion_near_best(rows: pd.DataFrame) -> Contrasts:
    """Above zero where the fusion is less than `NEAR` below the best single recipe of a task, or above it."""
    found = task_rows(rows)
    gaps = {
        f"{METHODS[method].title}, {task.replace('_', ' ')}, fusion less {best}": gap
        for method in trained_with(found, "fusion", *SINGLE)
        for task, (best, gap) in fusion_gaps(found, method).items()
    }
    return _near(gaps)


def _fusion_beats_size(rows: pd.DataFrame) -> Contrasts:
    found = over_tasks(rows)
    return {
        f"{METHODS[method].title}, mean of {found['tasks'].iloc[0]} tasks, fusion less {control}": difference(
            found, *({"method": method, "augmentation": name} for name in ("fusion", control))
        )
        for control in SIZE
        for method in trained_with(found, "fusion", control)
    }


def _better_read(cause: str, more: Sequence[str], less: Sequence[str]) -> Callable[[pd.DataFrame], Contrasts]:
    """`cause` is read better from the first recipe of `more` that rows hold together with one of `less`."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        found = (_apart(rows, READ_OUT, first, second, (cause,)) for first in more for second in less)
        return next(filter(None, found), {})

    return contrasts


# Ericsson, Gouk and Hospedales, arXiv 2111.11398 (BMVC 2022). "No jitter" lacks nothing else; "spatial", which lacks
# grey and blur as well, stands for it where it was not trained.
AUGMENTATION_INVARIANCE = (
    Claim("Encoders learn to look through what their views undergo: the spatial recipe is more invariant than the "
          "appearance one to crops and flips, and less to changes of colour, light and blur.", "abstract",
          _learn_what_they_see),
    Claim("Spatial invariance carries over to pose: an object's views from other sides stay more alike.", "abstract",
          _carry_over("spatial", "appearance", ("coil", "scenes: azimuth"))),
    Claim("Appearance invariance carries over to light: an object's views in other light stay more alike.", "abstract",
          _carry_over("appearance", "spatial", ("scenes: light direction", "scenes: light colour"))),
    Claim("Tasks prefer opposite invariances: hue is read better from the spatial recipe's features, and position from "
          "those of the appearance recipe.", "abstract", _prefer_opposites),
    Claim(f"A fusion of the recipes is at the best of them, or less than {NEAR:g} point below, on every task.",
          "abstract", _fusion_near_best),
    Claim("On average over tasks the fusion beats what is as large and has one recipe: three encoders side by side, or "
          "a wide one.", "ours",
          _fusion_beats_size),
    Claim("Hue is read better from features that were trained without colour jitter than with it.", "ours",
          _better_read("object_hue", ("no jitter", "spatial"), ("default",))),
    Claim("Position is read better from features that were trained without crops than with them.", "ours",
          _better_read("x", ("no crop",), ("default",))),
)  # fmt: skip

# Why the last two may fail: what a part of the recipe leaves, and which part takes what.
AUGMENTATION_CAUSES = (
    Claim("Jitter of up to a tenth of a turn leaves more of the hue than jitter of any angle.", "ours",
          _better_read("object_hue", ("default",), ("any hue",))),
    Claim("Flips take the place from left to right: it is read better without them, all else being equal.", "ours",
          _better_read("x", ("appearance",), ("no crop",))),  # which is the appearance recipe with flips
)  # fmt: skip


# Systems of the study of attacks, which a column "system" tells apart

CLEAN_CELL = {"shift": CLEAN, "severity": 0, "metric": "accuracy"}
PGD_CELL = {"shift": "pgd", "severity": AT, "metric": "accuracy"}
AUTO_CELL = {"shift": "autoattack", "severity": AT, "metric": "accuracy"}
CORRUPTED = {"severity": 0, "metric": "error"}  # means over severities, whatever the shift
CELLS = {"clean": CLEAN_CELL, "PGD": PGD_CELL, "AutoAttack": AUTO_CELL}
ATTACKED_CELLS = {"PGD": PGD_CELL, "AutoAttack": AUTO_CELL}
DEFENDED = {  # system trained under attack: the same method without
    "simclr pgd": "simclr", "simclr free": "simclr", "acl": "simclr", "deacl": "simclr",
    "emp crops pgd": "emp crops", "cf-amc-ssl": "emp crops",
    "supervised pgd": "supervised", "supervised free": "supervised", "supervised fgsm": "supervised",
    "trades": "supervised",
}  # fmt: skip
COMPARED = ("main", "yardstick")  # roles of systems that a page sets side by side
DIM = ("fog", "contrast")  # corruptions that take contrast away
FINE = ("gaussian_noise", "shot_noise", "impulse_noise", "jpeg_compression")  # that add or take what is fine


def has(rows: pd.DataFrame, system: str, cell: dict[str, object]) -> bool:
    """Whether `rows` hold this cell of this system."""
    found = rows["system"] == system
    for column, value in cell.items():
        found &= rows[column] == value
    return bool(found.any())


def between(rows: pd.DataFrame, pairs: Sequence[tuple[str, str]], cells: dict[str, dict[str, object]]) -> Contrasts:
    """The first system less the second, for each of `pairs` and each of `cells` (by name) that rows hold of both."""
    return {
        f"{name}, {SYSTEMS[more].title} less {SYSTEMS[less].title}": difference(
            rows, cell | {"system": more}, cell | {"system": less}
        )
        for more, less in pairs
        for name, cell in cells.items()
        if has(rows, more, cell) and has(rows, less, cell)
    }


def _ahead(*pairs: tuple[str, str], cells: dict[str, dict[str, object]] = CELLS) -> Callable[[pd.DataFrame], Contrasts]:
    return lambda rows: between(rows, pairs, cells)


def within(
    rows: pd.DataFrame, systems: Sequence[str], more: dict[str, object], less: dict[str, object], words: str
) -> Contrasts:
    """One cell less another of the same system, for each of `systems` that has both; `words` say what they are."""
    return {
        f"{SYSTEMS[name].title}, {words}": difference(rows, more | {"system": name}, less | {"system": name})
        for name in systems
        if has(rows, name, more) and has(rows, name, less)
    }


def defended(rows: pd.DataFrame) -> list[str]:
    """The systems in `rows` that were trained under attack, variants of them left out, in the order of the table."""
    held = set(rows["system"])
    return [name for name, system in SYSTEMS.items() if name in held and system.attack and system.role in COMPARED]


def losses(rows: pd.DataFrame) -> pd.DataFrame:
    """The mean corruption errors in `rows`, each less the clean error of its run.

    Both come from the same pictures, whose errors go together; they are added as if not, which errs on the wide side.
    """
    errors = rows[(rows["metric"] == CORRUPTED["metric"]) & (rows["severity"] == CORRUPTED["severity"])]
    clean = errors[errors["shift"] == CLEAN].set_index(["system", "seed"])
    beside = clean[["value", "standard_error"]].add_suffix(" clean")
    found = errors[errors["shift"] != CLEAN].join(beside, on=["system", "seed"])
    return found.assign(
        value=found["value"] - found["value clean"],
        standard_error=np.hypot(found["standard_error"], found["standard_error clean"]),
    )


def _costs_clean(rows: pd.DataFrame) -> Contrasts:
    return between(rows, [(plain, robust) for robust, plain in DEFENDED.items()], {"clean": CLEAN_CELL})


def _no_masking(rows: pd.DataFrame) -> Contrasts:
    square = PGD_CELL | {"shift": "square"}
    return within(rows, defended(rows), square, PGD_CELL, "Square less PGD")


def _probe_beats_aggregation(clean: bool, shift: str = "pgd per view") -> Callable[[pd.DataFrame], Contrasts]:
    def contrasts(rows: pd.DataFrame) -> Contrasts:
        own = CLEAN_CELL if clean else PGD_CELL
        other = CLEAN_CELL if clean else PGD_CELL | {"shift": shift}
        found = {}
        for kind in ("crops", "patches"):
            cell = other | {"metric": f"accuracy of aggregated {kind}"}
            found |= within(rows, ("cf-amc-ssl", "emp crops pgd"), own, cell, f"probe less aggregated {kind}")
        return found

    return contrasts


def _corruption(shifts: Sequence[str], worse: bool) -> Callable[[pd.DataFrame], Contrasts]:
    """By how much more defended encoders lose from clean to corrupted pictures than their undefended twins, or less."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        cells = {shift.replace("_", " "): CORRUPTED | {"shift": shift} for shift in shifts}
        pairs = [(robust, plain) if worse else (plain, robust) for robust, plain in DEFENDED.items()]
        return between(losses(rows), pairs, cells)

    return contrasts


# Ghofrani and Jamshidi, arXiv 2501.03507.
ACCURACY_ROBUSTNESS = (
    Claim("Crops of all sizes beat patches of one size, clean and under attack.", "their table",
          _ahead(("emp crops pgd", "emp patches pgd"), ("cf-amc-ssl", "emp patches free"))),
    Claim("At equal passes, and so in fewer epochs, robust EMP-SSL with crops is ahead of robust SimCLR.", "abstract",
          _ahead(("emp crops pgd", "simclr pgd"), ("cf-amc-ssl", "simclr free"))),
    Claim("The standard probe beats aggregation on clean pictures.", "abstract", _probe_beats_aggregation(True)),
    Claim("The standard probe beats aggregation under their attack, of every view by itself.", "abstract",
          _probe_beats_aggregation(False)),
    Claim("CF-AMC-SSL beats PGD training at equal passes, clean and under attack.", "their table",
          _ahead(("cf-amc-ssl", "emp crops pgd"), ("cf-amc-ssl", "simclr pgd"))),
    Claim("CF-AMC-SSL beats PGD training at equal updates, which costs six times its passes.", "their table",
          _ahead(("cf-amc-ssl", "emp crops pgd long"), ("cf-amc-ssl", "simclr pgd long"))),
    Claim("More crops are better at equal passes: sixteen beat two, clean and under attack.", "abstract",
          _ahead(("cf-amc-ssl 16 views", "cf-amc-ssl 2 views"))),
)  # fmt: skip

# What has to hold for the numbers above to mean anything, and what follows from others' work.
ROBUSTNESS_CONTROLS = (
    Claim("Training under attack buys robustness: every system beats its twin without attack.", "ours",
          lambda rows: between(rows, list(DEFENDED.items()), ATTACKED_CELLS)),
    Claim("It costs clean accuracy.", "Tsipras et al.", _costs_clean),
    Claim("No gradients are hidden: Square Attack, which sees none, leaves more than PGD does.", "ours", _no_masking),
    Claim("Aggregation is no refuge: an adversary who knows the crops leaves no more than the standard probe.", "ours",
          _probe_beats_aggregation(False, "pgd through known crops")),
    Claim("A probe that was trained under attack is more robust than a standard one.", "RobustSSL",
          lambda rows: within(rows, defended(rows), PGD_CELL | {"metric": BY_ADVERSARIAL_PROBE}, PGD_CELL,
                              "adversarial less standard probe")),
    Claim("Adversarial training costs robustness: more is lost to fog and low contrast.", "RobustBench",
          _corruption(DIM, True)),
    Claim("It buys robustness: less is lost to noise and compression.", "ours", _corruption(FINE, False)),
)  # fmt: skip

# The public code's quirks, each against the same system without.
QUIRKS = (
    Claim("PGD training of EMP-SSL needs an attack that sees batch norm as the encoder will be used, not as in "
          "training.", "ours", _ahead(("emp crops pgd long", "emp crops pgd batch"), cells=ATTACKED_CELLS)),
    Claim("PGD training with summed gradients is behind PGD training with clean ones, both attacked in training mode.",
          "public code", _ahead(("emp crops pgd batch", "emp crops pgd summed"))),
    Claim("Free training gains by the schedule that its replays made cyclic.", "public code",
          _ahead(("cf-amc-ssl cyclic", "cf-amc-ssl"))),
    Claim("Two steps of an attack flatter: less is left after many.", "public code",
          lambda rows: within(rows, defended(rows), PGD_CELL | {"shift": "pgd-2"}, PGD_CELL, "PGD-2 less PGD")),
)  # fmt: skip


# Systems of the study of negatives without semantics

# Name of a set out of domain: shift and metric of its rows, at severity 0, and whether more is better (1) or worse (-1)
OUT_OF_DOMAIN = {
    "corruptions": (ALL, "error", -1),
    "stylised": ("stylised", "accuracy", 1),
    "PACS art": ("pacs-art", "balanced accuracy", 1),
    "PACS cartoon": ("pacs-cartoon", "balanced accuracy", 1),
    "PACS sketch": ("pacs-sketch", "balanced accuracy", 1),
    "cifar10-shift": ("cifar10-shift", "balanced error", -1),
}
# Sets, and those of `SHIFTED` below, that are made of the same test images
OWN_PICTURES = (
    "corruptions", "stylised", "C-bar", "scenes background", "scenes light", "scenes pose",
)  # fmt: skip
IN_DOMAIN = {"shift": CLEAN, "severity": 0, "metric": "probe accuracy"}
TEXTURE_CELL = CLEAN_CELL | {"shift": "texture"}
PATCH_CELL = CLEAN_CELL | {"shift": "patch"}
RECOLOURED_CELL = CLEAN_CELL | {"shift": "recoloured"}
WEAK_CELL = PGD_CELL | {"severity": 1}  # at more, so little is left of encoders without a defence that all look alike
BIASES = {  # a set of cue conflicts: its cell
    name: {"shift": shift, "severity": 0, "metric": "shape bias"}
    for name, shift in (("photographs", "cue-conflict"), ("scenes", "scenes conflict"))
}
LIKENESS = {  # what a query is compared with: the cell of its mean
    name: {"shift": name, "severity": 0, "metric": QUERY_SIMILARITY}
    for name in ("positive", "other", "patch", "texture")
}
OF_CLASS = "accuracy of "  # begins the metric of one class
PLAIN = ("supervised", "moco", "simclr", "byol")  # trained without such negatives


def measured_by(rows: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The rows of one measure, by what its identity begins with: two have a metric "accuracy" of untouched images."""
    return rows[rows["measure"].str.startswith(f"{measure}(")]


def out_of_domain(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of `OUT_OF_DOMAIN` in its order, named in a column "set"; all as accuracies, 100 less an error."""
    cells = [(shift, metric, name, sign) for name, (shift, metric, sign) in OUT_OF_DOMAIN.items()]
    found = _in_sets(rows, pd.DataFrame(cells, columns=["shift", "metric", "set", "sign"]))
    found["value"] = found["value"].where(found["sign"] > 0, 100 - found["value"])
    return found.drop(columns="sign")


def _in_sets(rows: pd.DataFrame, names: pd.DataFrame) -> pd.DataFrame:
    """The rows at severity 0 that the columns of `names` pick, in its order. It has a line a set, named in "set"."""
    order = list(names["set"])
    found = rows[rows["severity"] == 0].merge(names)
    return found.sort_values("set", key=lambda sets: sets.map(order.index), kind="stable", ignore_index=True)


def mean_out_of_domain(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a run: its mean accuracy over the sets of `out_of_domain`, all weighing the same; in "sets" their number.

    Only sets that every run in `rows` has, so that all means stand on the same: pass the systems to be compared and no
    others. The standard errors of sets made of the same images are added as if they went together entirely, those of
    others as independent.
    """
    return _mean_of_sets(rows, out_of_domain(rows))


def _mean_of_sets(rows: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """The means of `mean_out_of_domain` from `found`, which names the set of each of its rows."""
    run = ["system", "seed"]
    if found.duplicated([*run, "set"]).any():
        raise BadInput("a system has a set more than once with one seed; pass the rows of one data set and one encoder")
    found = found[found["set"].map(found["set"].value_counts()) == len(rows.drop_duplicates(run))]
    found = found.assign(pictures=found["set"].mask(found["set"].isin(OWN_PICTURES), "own"))
    errors = found.groupby([*run, "pictures"])["standard_error"].sum() ** 2
    means = found.groupby(run).agg(value=("value", "mean"), sets=("set", "size"))
    return means.assign(standard_error=np.sqrt(errors.groupby(run).sum()) / means["sets"]).reset_index()


def _on_average(
    *pairs: tuple[str, str], mean: Callable[[pd.DataFrame], pd.DataFrame] = mean_out_of_domain
) -> Callable[[pd.DataFrame], Contrasts]:
    """The first system of each pair less the second in the `mean` over the sets that both have."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        found = {}
        for pair in pairs:
            means = mean(rows[rows["system"].isin(pair)])
            found |= between(means, [pair], {f"mean of {means['sets'].max()} sets": {}})
        return found

    return contrasts


def _on_every_set(*pairs: tuple[str, str]) -> Callable[[pd.DataFrame], Contrasts]:
    return lambda rows: between(out_of_domain(rows), pairs, {name: {"set": name} for name in OUT_OF_DOMAIN})


def _together(*parts: Contrasts) -> Contrasts:
    """All of them, or none where one was not measured: half a claim would be another claim."""
    return functools.reduce(dict.__or__, parts) if all(parts) else {}


def _trades(more: str, less: str) -> Callable[[pd.DataFrame], Contrasts]:
    """The first system is behind the second in domain and ahead of it out of domain."""
    return lambda rows: _together(
        between(rows, [(less, more)], {"in domain": IN_DOMAIN}), _on_average((more, less))(rows)
    )


def _small_queue_suffices(rows: pd.DataFrame) -> Contrasts:
    """Above zero where the small queue is less than `NEAR` below the large one, or above it."""
    pair = ("moco patch queue 256", "moco patch queue 4096")
    return _near(_together(between(rows, [pair], {"in domain": IN_DOMAIN}), _on_average(pair)(rows)))


def _gain_grows_as_the_queue_shrinks(rows: pd.DataFrame) -> Contrasts:
    """What patch negatives gain with the small queue less what they gain with the large one."""
    signs = {"moco patch queue 256": 1, "moco queue 256": -1, "moco patch queue 4096": -1, "moco queue 4096": 1}
    means = mean_out_of_domain(rows[rows["system"].isin(signs)])
    places = {"in domain": (rows, IN_DOMAIN), f"mean of {means['sets'].max()} sets": (means, {})}
    return {
        f"{place}, gain with 256 keys less gain with 4,096": combined(
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


def _texture_classes_lose(rows: pd.DataFrame) -> Contrasts:
    """What texture negatives cost the half of the classes that are told best by texture, less what they cost the rest.

    The supervised encoder's accuracy on textures says which they are. An encoder that is compared must not choose: one
    that favours a class is better on its pictures and on its textures alike, and would seem to lose more there. Of an
    odd number of classes, the one in the middle is left out.
    """
    cues = measured_by(rows, "cue_accuracy")
    told = cues[
        (cues["system"] == "supervised") & (cues["shift"] == "texture") & cues["metric"].str.startswith(OF_CLASS)
    ]
    order = told.groupby("metric")["value"].mean().sort_values(kind="stable").index
    half = len(order) // 2
    if not half or not all(has(cues, system, CLEAN_CELL) for system in ("moco", "moco texture")):
        return {}
    signs = dict.fromkeys(order[-half:], 1 / half) | dict.fromkeys(order[:half], -1 / half)
    parts = [
        (sign * weight, CLEAN_CELL | {"metric": metric, "system": system})
        for metric, weight in signs.items()
        for system, sign in (("moco", 1), ("moco texture", -1))
    ]
    titles = f"{SYSTEMS['moco'].title} less {SYSTEMS['moco texture'].title}"
    return {f"{titles}, the {half} classes told best by texture less the {half} told worst": combined(cues, parts)}


def _loses_less(
    measure: str, after: dict[str, object], words: str, *pairs: tuple[str, str]
) -> Callable[[pd.DataFrame], Contrasts]:
    """The first system of each pair loses less from clean images to those of `after` than the second, in points."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        found = measured_by(rows, measure)
        return {
            f"lost to {words}, {SYSTEMS[plain].title} less {SYSTEMS[repelled].title}": combined(
                found,
                [
                    (sign, cell | {"system": name})
                    for name, cell, sign in (
                        (plain, CLEAN_CELL, 1), (plain, after, -1), (repelled, CLEAN_CELL, -1), (repelled, after, 1)
                    )
                ],
            )
            for repelled, plain in pairs
            if all(has(found, name, cell) for name in (repelled, plain) for cell in (CLEAN_CELL, after))
        }  # fmt: skip

    return contrasts


def _less_from_texture(rows: pd.DataFrame) -> Contrasts:
    pairs = [("moco", "moco patch"), ("moco", "moco texture")]
    return between(measured_by(rows, "cue_accuracy"), pairs, {"textures": TEXTURE_CELL})


def _texture_above_chance(rows: pd.DataFrame) -> Contrasts:
    cues = measured_by(rows, "cue_accuracy")
    classes = cues.loc[cues["metric"].str.startswith(OF_CLASS), "metric"].nunique()
    found = {}
    for name in PLAIN:
        if classes and has(cues, name, TEXTURE_CELL):
            on = level(cues, TEXTURE_CELL | {"system": name})
            found[f"{SYSTEMS[name].title}, textures less chance"] = _raised(on, -100 / classes)
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
            found[f"{SYSTEMS[name].title}, middle of images and textures less patches"] = combined(cues, middle)
            found[f"{SYSTEMS[name].title}, images less textures"] = difference(cues, image, texture)
    return found


_TRAINED = [name for name in NEGATIVES if name != "random"]
_ANALYSES = "analyses, second-hand"  # the paper's, known to us from others' notes on it

# Ge, Mishra, Li, Wang and Jacobs, arXiv 2110.14189 (NeurIPS 2021). "Out of domain" are several sets, of which the mean
# decides: it is one contrast, while of six sets one or another loses by chance. That every set gains, as all four do in
# the paper's table, is a claim of its own. For a larger alpha only the mean gains: at 3 the paper's corruptions lose.
NON_SEMANTIC_NEGATIVES = (
    Claim("Patch negatives raise accuracy out of domain, averaged over the sets.", "abstract",
          _on_average(("moco patch", "moco"))),
    Claim("Patch negatives raise accuracy on every set out of domain.", "their table",
          _on_every_set(("moco patch", "moco"))),
    Claim("Texture negatives raise accuracy out of domain, averaged over the sets.", "abstract",
          _on_average(("moco texture", "moco"))),
    Claim("Texture negatives raise accuracy on every set out of domain.", "their table",
          _on_every_set(("moco texture", "moco"))),
    Claim("Patch negatives gain more out of domain than texture negatives.", "their table",
          _on_average(("moco patch", "moco texture"))),
    Claim("Patch negatives raise accuracy in domain.", "their table",
          lambda rows: between(rows, [("moco patch", "moco")], {"in domain": IN_DOMAIN})),
    Claim("A larger alpha trades accuracy in domain for accuracy out of it: patch negatives at 3 against 2.",
          "their table", _trades("moco patch alpha 3", "moco patch")),
    Claim("A larger alpha makes an encoder decide more by shape: patch negatives at 4 against 0.5.", _ANALYSES,
          _shape_bias(("moco patch alpha 4", "moco patch alpha 0.5"))),
    Claim(f"With patch negatives a small queue suffices: one of 256 keys is less than {NEAR:g} point below one of "
          "4,096, in domain and out of it.", _ANALYSES, _small_queue_suffices),
    Claim("Without them it does not: in domain, MoCo v2 loses by a queue of 256 keys against one of 4,096.", _ANALYSES,
          lambda rows: between(rows, [("moco queue 4096", "moco queue 256")], {"in domain": IN_DOMAIN})),
    Claim("BYOL gains by patch negatives, too, out of domain.", "abstract", _on_average(("byol patch", "byol"))),
    Claim("Patch and texture negatives are harder than others: more alike to the query than other images are, before "
          "training and after it without them.", _ANALYSES, _harder),
    Claim("Patch negatives make an encoder decide more by shape.", "abstract", _shape_bias(("moco patch", "moco"))),
    Claim("Texture negatives make an encoder decide more by shape.", "abstract", _shape_bias(("moco texture", "moco"))),
    Claim("Some classes need texture: those told best by it lose more by texture negatives. (The paper speaks of fine "
          "classes, of which there are none here.)", "abstract, our reading", _texture_classes_lose),
    Claim("Patch negatives lessen what an encoder reads from colour: less is lost to other colours.", _ANALYSES,
          _loses_less("cue_accuracy", RECOLOURED_CELL, "other colours", ("moco patch", "moco"))),
)  # fmt: skip

# Beyond the paper: where its reasons lead, and what others expect of such negatives.
NEGATIVES_PREDICTIONS = (
    Claim("SimCLR, whose negatives are the batch, gains by patch negatives, too, out of domain.", "ours",
          _on_average(("simclr patch", "simclr"))),
    Claim("Over the whole range alpha trades accuracy in domain for accuracy out of it: patch negatives at 4 against "
          "0.5.", "ours", _trades("moco patch alpha 4", "moco patch alpha 0.5")),
    Claim("Patch negatives gain more with a small queue than with a large one.", "ours",
          _gain_grows_as_the_queue_shrinks),
    Claim("Training with such negatives pushes them away: a query is less alike to them than after training without.",
          "ours", _pushed_away),
    Claim("Training with such negatives leaves less to read from textures alone.", "ours", _less_from_texture),
    Claim("Patch negatives, which are never false ones, make contrastive encoders less sensitive: less is lost to PGD "
          "at 1/255.", "Gupta et al.",
          _loses_less("robust_accuracy", WEAK_CELL, "PGD", ("moco patch", "moco"), ("simclr patch", "simclr"))),
    Claim("Texture negatives, which are never false ones, make contrastive encoders less sensitive: less is lost to "
          "PGD at 1/255.", "Gupta et al.",
          _loses_less("robust_accuracy", WEAK_CELL, "PGD", ("moco texture", "moco"), ("simclr texture", "simclr"))),
)  # fmt: skip

# Without these, no number above means anything.
NEGATIVES_CONTROLS = (
    Claim("Every trained system beats random weights by the linear probe.", "ours",
          lambda rows: between(rows, [(name, "random") for name in _TRAINED], {"probe": IN_DOMAIN})),
    Claim("After training, another view of a picture is nearer to the query than other pictures are.", "ours",
          lambda rows: within(rows, _TRAINED, LIKENESS["positive"], LIKENESS["other"], "positive less another image")),
    Claim("Texture alone tells classes apart: on textures, encoders are above chance.", "ours", _texture_above_chance),
    Claim("Patch negatives keep texture and lose the class: accuracy on them is nearer to that on textures than to "
          "that on the images.", "ours", _patches_are_textures),
)  # fmt: skip


# Systems of the study of ReLICv2

# Name of a set out of distribution: measure, shift and metric of its rows, at severity 0. "scenes conflict" is a
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
CONFLICT_CELL = {"shift": "scenes conflict", "severity": 0, "metric": LOST}
# Of scenes whose background is drawn without regard to the class, and of some where each class has one of its own
GAP_CELLS = {world: {"shift": world, "severity": 0, "metric": "background gap"} for world in ("scenes", "tied scenes")}
WALL_CELLS = {world: CLEAN_CELL | {"shift": f"{world}: only background"} for world in GAP_CELLS}
OTHER_CELL = CLEAN_CELL | {"shift": f"tied scenes: {OTHER}"}
MIOU_CELLS = {f"mIoU, {head} head": {"shift": head, "severity": 0, "metric": "mIoU"} for head in ("linear", "fcn")}
BY_CHANCE = 100 / len(SHAPES)  # percent, of the classes of scenes
LITTLE = 5.0  # points: about twice what an interval over 1,000 pictures spans to either side
EARLIER = ("simclr", "byol sgd", "dino", "relic")  # without labels
WHOLE = [name for name, system in RELICV2.items() if system.role in COMPARED and name != "random"]


def shifted(rows: pd.DataFrame, lost: bool = False) -> pd.DataFrame:
    """The rows of `SHIFTED` in its order, named in a column "set": accuracies, or the points `lost` to the shift.

    What is lost is known of sets whose image i is test image i, changed, and not of other photographs.
    """
    cells = [(measure, shift, LOST if lost else metric, name) for name, (measure, shift, metric) in SHIFTED.items()]
    names = pd.DataFrame(cells, columns=["name", "shift", "metric", "set"])
    return _in_sets(rows.assign(name=rows["measure"].str.split("(").str[0]), names).drop(columns="name")


def mean_shifted(rows: pd.DataFrame, lost: bool = False) -> pd.DataFrame:
    """One row a run: its mean over the sets of `shifted`, in all else like `mean_out_of_domain`."""
    return _mean_of_sets(rows, shifted(rows, lost))


def _inside(*pairs: tuple[str, str]) -> Callable[[pd.DataFrame], Contrasts]:
    return lambda rows: between(rows, pairs, {"in domain": IN_DOMAIN})


def _outside(*pairs: tuple[str, str]) -> Callable[[pd.DataFrame], Contrasts]:
    return _on_average(*pairs, mean=mean_shifted)


def _both(more: str, less: str) -> Callable[[pd.DataFrame], Contrasts]:
    """The first system is ahead of the second in domain and out of distribution."""
    return lambda rows: _together(_inside((more, less))(rows), _outside((more, less))(rows))


def _loses_less_outside(more: str, less: str) -> Callable[[pd.DataFrame], Contrasts]:
    lost = _on_average((less, more), mean=functools.partial(mean_shifted, lost=True))
    return lambda rows: {f"lost, {words}": gap for words, gap in lost(rows).items()}


def _relies_less(more: str, less: str) -> Callable[[pd.DataFrame], Contrasts]:
    """The background gap of the first system is smaller than that of the second."""
    return lambda rows: between(rows, [(less, more)], {"background gap, tied scenes": GAP_CELLS["tied scenes"]})


def _above_earlier(outside: bool) -> Callable[[pd.DataFrame], Contrasts]:
    """ReLICv2 less the mean of all of `EARLIER`, in domain or, with `outside`, in the mean over shifts."""
    signs = {"relicv2": 1} | dict.fromkeys(EARLIER, -1 / len(EARLIER))
    words = f"{SYSTEMS['relicv2'].title} less the mean of {', '.join(SYSTEMS[name].title for name in EARLIER)}"

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        own, cell, place = rows[rows["system"].isin(signs)], IN_DOMAIN, "in domain"
        if outside:
            own, cell = mean_shifted(own), {}
            place = f"mean of {own['sets'].max()} sets"
        if not all(has(own, name, cell) for name in signs):
            return {}
        return {f"{place}, {words}": combined(own, [(sign, cell | {"system": name}) for name, sign in signs.items()])}

    return contrasts


def _mean_of_systems(
    rows: pd.DataFrame, cell: dict[str, object], systems: Sequence[str] = WHOLE
) -> tuple[int, Interval] | None:
    """How many of `systems` have `cell`, and their mean; None where none has.

    All are asked about the same images: their standard errors are averaged, as if they went together entirely.
    """
    found = rows[rows["system"].isin(systems)]
    for column, value in cell.items():
        found = found[found[column] == value]
    if found.duplicated(["system", "seed"]).any():
        raise BadInput(f"{cell} picks more than one row of a system and a seed")
    count = found["system"].nunique()
    seeds = found.groupby("seed").agg(value=("value", "mean"), error=("standard_error", "mean"), size=("seed", "size"))
    seeds = seeds[seeds["size"] == count]
    return (count, interval(seeds["value"], seeds["error"])) if len(seeds) else None


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
        f"{words} less {target_words}, {end}": _raised(mean, LITTLE - target),
        f"{target_words} less {words}, {end}": _raised(_negative(mean), LITTLE + target),
    }


def _backgrounds_are_free(rows: pd.DataFrame) -> Contrasts:
    return _together(
        _within_little(rows, WALL_CELLS["scenes"], "only background", BY_CHANCE, "chance"),
        _within_little(rows, GAP_CELLS["scenes"], "background gap", 0.0, "zero"),
    )


def _backgrounds_tell(rows: pd.DataFrame) -> Contrasts:
    """Of encoders without labels: one that was taught the class reads shapes, and has no need of backgrounds."""
    found = _mean_of_systems(rows, WALL_CELLS["tied scenes"], (*EARLIER, "relicv2"))
    if found is None:
        return {}
    count, mean = found
    return {f"only background less chance, mean of {count} encoders": _raised(mean, -BY_CHANCE)}


_READING = "abstract, our reading"  # what it says, put as a comparison that it does not make

# Tomasev et al., arXiv 2201.05119. Of the paper the abstract is known to us, and numbers of others' tables. Each claim
# is about one place, in domain or the mean over the sets out of distribution, where one comparison decides.
RELICV2_OOD = (
    Claim("Without labels ReLICv2 beats supervised training like for like, with the same crops, epochs and pictures, "
          "in domain.", "abstract", _inside(("relicv2", "supervised same crops"))),
    Claim("It beats supervised training like for like out of distribution, averaged over the sets.", _READING,
          _outside(("relicv2", "supervised same crops"))),
    Claim("It beats earlier methods without labels in domain: the mean of SimCLR, BYOL, DINO and ReLIC.", "abstract",
          _above_earlier(outside=False)),
    Claim("It beats each of the four in domain.", "abstract", _inside(*(("relicv2", name) for name in EARLIER))),
    Claim("It beats the mean of the four out of distribution, averaged over the sets.", "abstract",
          _above_earlier(outside=True)),
    Claim("It beats each of the four out of distribution, averaged over the sets.", "abstract",
          _outside(*(("relicv2", name) for name in EARLIER))),
    Claim("The invariance loss raises accuracy in domain.", _READING, _inside(("relicv2", "relicv2 no invariance"))),
    Claim("The invariance loss raises accuracy out of distribution, averaged over the sets.", _READING,
          _outside(("relicv2", "relicv2 no invariance"))),
    Claim("Removing backgrounds raises accuracy in domain.", _READING, _inside(("relicv2", "relicv2 no saliency"))),
    Claim("Removing backgrounds raises accuracy out of distribution, averaged over the sets.", _READING,
          _outside(("relicv2", "relicv2 no saliency"))),
    Claim("Removing backgrounds makes an encoder rely less on them: where each class has a background of its own, "
          "the background gap is smaller.", _READING, _relies_less("relicv2", "relicv2 no saliency")),
    Claim("There more objects are told on the background of another class.", _READING,
          lambda rows: between(rows, [("relicv2", "relicv2 no saliency")], {"another's background": OTHER_CELL})),
    Claim("Small crops beside two large ones help at equal cost, in domain.", _READING,
          _inside(("relicv2", "relicv2 2+0"))),
    Claim("They help out of distribution, averaged over the sets.", _READING, _outside(("relicv2", "relicv2 2+0"))),
    Claim("Many crops help at equal cost: four large and two small ones beat two large ones, in domain.", _READING,
          _inside(("relicv2 4+2", "relicv2 2+0"))),
    Claim("ReLICv2's features are better for segmentation than BYOL's.", "abstract",
          lambda rows: between(rows, [("relicv2", "byol sgd")], MIOU_CELLS)),
    Claim("They are better for segmentation than those of supervised training like for like.", _READING,
          lambda rows: between(rows, [("relicv2", "supervised same crops")], MIOU_CELLS)),
)  # fmt: skip

# Beyond the paper. Masks of other pictures erase as much and at the same places on average, but not the background:
# what ReLICv2 gains over them it owes to saliency. Probabilities of 0.1 and 0.6: at the first little may be seen.
RELICV2_PREDICTIONS = (
    Claim("ReLICv2 loses less out of distribution than supervised training like for like, averaged over the sets.",
          "ours", _loses_less_outside("relicv2", "supervised same crops")),
    Claim("It is the saliency that helps and not the erasing: in domain a picture's own masks beat those of others.",
          "ours", _inside(("relicv2", "relicv2 shuffled"))),
    Claim("Its own masks beat those of others out of distribution, averaged over the sets.", "ours",
          _outside(("relicv2", "relicv2 shuffled"))),
    Claim("Its own masks make the background gap smaller than those of others.", "ours",
          _relies_less("relicv2", "relicv2 shuffled")),
    Claim("With six backgrounds of ten removed, its own masks beat those of others in domain.", "ours",
          _inside(("relicv2 removed 0.6", "relicv2 removed 0.6 shuffled"))),
    Claim("With six of ten, they beat those of others out of distribution, averaged over the sets.", "ours",
          _outside(("relicv2 removed 0.6", "relicv2 removed 0.6 shuffled"))),
    Claim("With six of ten, they make the background gap smaller than those of others.", "ours",
          _relies_less("relicv2 removed 0.6", "relicv2 removed 0.6 shuffled")),
    Claim("Removing six backgrounds of ten raises accuracy in domain.", "ours",
          _inside(("relicv2 removed 0.6", "relicv2 no saliency"))),
    Claim("Removing six of ten raises accuracy out of distribution, averaged over the sets.", "ours",
          _outside(("relicv2 removed 0.6", "relicv2 no saliency"))),
    Claim("Removing six of ten makes the background gap smaller.", "ours",
          _relies_less("relicv2 removed 0.6", "relicv2 no saliency")),
    Claim(f"Masks learnt without labels are as good as exact ones: with six backgrounds of ten removed, less than "
          f"{NEAR:g} point below, in domain and out of distribution.", "ours",
          lambda rows: _near(_both("relicv2 removed 0.6", "relicv2 removed 0.6 exact")(rows))),
    Claim("Stopping the gradient of the invariance loss helps, in domain and out of distribution.", "ours",
          _both("relicv2", "relicv2 unstopped")),
    Claim("Pairs of views beat the rows against the columns of one matrix, in domain and out of distribution.", "ours",
          _both("relicv2", "relicv2 transpose")),
    Claim("ReLICv2 beats the loss of a third party's code, rows against columns and no gradient stopped, in domain "
          "and out of distribution.", "ours", _both("relicv2", "relicv2 transpose unstopped")),
)  # fmt: skip

# Without these, no number above means anything.
RELICV2_CONTROLS = (
    Claim("Every trained system beats random weights by the linear probe.", "ours",
          _inside(*((name, "random") for name in RELICV2 if name != "random"))),
    Claim("Every one that is compared as a whole beats random weights in segmentation.", "ours",
          lambda rows: between(rows, [(name, "random") for name in WHOLE], MIOU_CELLS)),
    Claim("A texture of another class is no shift where textures tell nothing of the class: less than "
          f"{LITTLE:g} points are lost or gained.", "ours",
          lambda rows: _within_little(rows, CONFLICT_CELL, "lost to conflicts", 0.0, "zero")),
    Claim(f"In scenes backgrounds tell nothing of the class: accuracy on them is less than {LITTLE:g} points from "
          "chance, and so is the background gap from zero.", "ours", _backgrounds_are_free),
    Claim("Where each class has a background of its own, backgrounds alone tell it by features learnt without labels: "
          "accuracy is above chance on average.", "ours", _backgrounds_tell),
)  # fmt: skip
