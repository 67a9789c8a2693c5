"""The numbers behind the figures and sentences on negatives without meaning.

Rows are those of the study non_semantic_negatives, of one encoder and data set. Differences are in percentage points
and paired by seed. Tables have the columns mean, low and high; the ends of intervals are NaN where there is one seed.
Of what rows lack there are no lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from lib.claims import (
    BIASES,
    CLEAN_CELL,
    CORRUPTED,
    IN_DOMAIN,
    LIKENESS,
    OF_CLASS,
    OUT_OF_DOMAIN,
    TEXTURE_CELL,
    difference,
    measured_by,
    out_of_domain,
)
from lib.errors import BadInput
from lib.measures import Interval, cell_interval
from lib.measures.corruption_error import ALL
from lib.measures.rows import CLEAN
from lib.measures.statistics import correlation
from lib.methods import METHODS
from lib.runs.systems import NEGATIVES

Rows = pd.DataFrame
Cell = dict[str, object]
ENDS = ["mean", "low", "high"]

PLAIN = "plain"  # a method without such negatives
KINDS = ("patch", "texture")
ARMS = {name: tuple(f"{name} {kind}" for kind in KINDS) for name in ("moco", "simclr", "byol")}
PAIRS = [(arm, name) for name, arms in ARMS.items() for arm in arms]
REFERENCES = ("random", "supervised")
SIMILAR = ("random", "moco", "moco patch", "moco texture")  # before training, and after it
LIKENED = ("positive", "patch", "texture", "other")  # to the query
PERCENTILES = (5, 25, 50, 75, 95)  # over images
IN = "clean"  # the set of test images as they are
TEXTURES = "textures"  # the set of textures made of them
SETS = (IN, *OUT_OF_DOMAIN, TEXTURES)
PACS = "PACS, mean of three"
CURVES = (IN, "corruptions", "stylised", PACS)  # against alpha
QUEUED = (IN, "corruptions")  # against the length of the queue
CUES = ("patch_shuffle", "low_pass", "high_pass")  # versions of the test images at several severities
SINGLE_CUES = ("silhouette", "edges", "recoloured", "stylised", "texture", "patch")  # and those without


def setting(name: str, what: str) -> object:
    """A setting of the method of one of `NEGATIVES`."""
    system = NEGATIVES[name]
    return getattr(METHODS[system.method].settings(**system.settings), what)


def kind_of(name: str) -> str:
    """`PLAIN` or one of `KINDS`, of an arm."""
    return setting(name, "negatives") or PLAIN


def held(rows: Rows, systems: Iterable[str] = NEGATIVES, study: str = "non_semantic_negatives") -> list[str]:
    """Those of a study's `systems` that are in `rows`, in their order."""
    if "system" not in rows:
        raise BadInput(f"these figures compare systems: take the rows of the study {study}")
    own = set(rows["system"])
    return [name for name in systems if name in own]


def main_systems(rows: Rows) -> list[str]:
    """The systems in `rows` but for those of another alpha or queue."""
    return [name for name in held(rows) if NEGATIVES[name].role != "sweep"]


def family(rows: Rows) -> list[str]:
    """The references in `rows`, and the first method in them with its negatives: what one chart can show."""
    here = held(rows)
    arms = ([arm for arm in (name, *arms) if arm in here] for name, arms in ARMS.items())
    return [name for name in REFERENCES if name in here] + next(filter(None, arms), [])


def picked(rows: Rows, cell: Cell) -> Rows:
    """The rows with the values of `cell`."""
    for column, value in cell.items():
        rows = rows[rows[column] == value]
    return rows


def levels(rows: Rows, keys: Sequence[str]) -> Rows:
    """One line for each combination of `keys`: the mean over seeds, and its interval.

    Rows without a column "metric" are accuracies.
    """
    if rows.duplicated([*keys, "seed"]).any():
        raise BadInput(f"rows hold one number for each {', '.join(keys)} and seed, of one encoder and data set")
    named = rows if "metric" in rows else rows.assign(metric="accuracy")
    found = {key: cell_interval(own, own["metric"].iloc[0]) for key, own in named.groupby(list(keys))}
    return as_table(found, keys)


def as_table(found: Mapping[tuple, Interval], keys: Sequence[str]) -> Rows:
    lines = [(*key, own.mean, own.low, own.high) for key, own in found.items()]
    return pd.DataFrame(lines, columns=[*keys, *ENDS])


def in_order(table: Rows, **orders: Iterable) -> Rows:
    """The lines of `table` whose columns hold what the `orders` list, sorted by these."""
    ranks = {column: {value: place for place, value in enumerate(order)} for column, order in orders.items()}
    table = table[np.logical_and.reduce([table[column].isin(list(rank)) for column, rank in ranks.items()])]
    return table.sort_values(list(ranks), key=lambda own: own.map(ranks[own.name]), ignore_index=True)


def paired(rows: Rows, more: Cell, less: Cell) -> Interval | None:
    """`difference`, and None where the two cells share no seed."""
    seeds = [set(picked(rows, cell)["seed"]) for cell in (more, less)]
    return difference(rows, more, less) if seeds[0] & seeds[1] else None


def tally(gaps: Iterable[Interval]) -> str:
    """How many of some differences are decided, in a sentence."""
    gaps = list(gaps)
    above, below = sum(gap.low > 0 for gap in gaps), sum(gap.high < 0 for gap in gaps)
    if all(np.isnan(gap.low) for gap in gaps):
        return "One seed decides nothing."
    if not above and not below:
        return f"None of {len(gaps)} differences is decided: every interval holds zero."
    open_ones = len(gaps) - above - below
    return (
        f"Of {len(gaps)} differences, above zero: {above}; below: {below}; undecided, with zero in the interval: "
        f"{open_ones}."
    )


# Test sets


def set_scores(rows: Rows) -> Rows:
    """One row a run and set of `SETS` that it has: system, seed, set, value (accuracy in percent), standard_error."""
    held(rows)
    clean, textures = picked(rows, IN_DOMAIN), picked(measured_by(rows, "cue_accuracy"), TEXTURE_CELL)
    parts = [clean.assign(set=IN), out_of_domain(rows), textures.assign(set=TEXTURES)]
    return with_images(pd.concat(parts, ignore_index=True), ["system", "seed", "set", "value", "standard_error"])


def with_images(found: Rows, columns: Sequence[str]) -> Rows:
    """`columns` of `found`, and their number of images where it is told."""
    return found[[*columns, *(name for name in ("images",) if name in found)]]


def with_pacs(scores: Rows) -> Rows:
    """`scores` and, as the set `PACS`, the mean over the three domains of each run that has all of them."""
    names = [name for name in OUT_OF_DOMAIN if name.startswith("PACS")]
    runs = scores[scores["set"].isin(names)].groupby(["system", "seed"])
    means = runs.agg(
        value=("value", "mean"),
        standard_error=("standard_error", lambda errors: np.hypot.reduce(errors.to_numpy()) / len(errors)),
        domains=("set", "size"),
        **({"images": ("images", "min")} if "images" in scores else {}),
    ).reset_index()
    whole = means[means["domains"] == len(names)].drop(columns="domains").assign(set=PACS)
    return pd.concat([scores, whole], ignore_index=True) if len(whole) else scores


def arm_gaps(
    scores: Rows, pairs: Iterable[tuple[str, str]] = PAIRS, sets: Sequence[str] = SETS
) -> dict[tuple[str, str, str], Interval]:
    """(system, other, set) -> the first system's accuracy less the other's, where both have it."""
    found = {
        (more, less, name): paired(scores, {"system": more, "set": name}, {"system": less, "set": name})
        for more, less in pairs
        for name in sets
    }
    return {key: gap for key, gap in found.items() if gap}


def alpha_systems(rows: Rows) -> dict[str, dict[float, str]]:
    """Kind of negatives -> alpha -> system of MoCo v2 with the usual queue, the smallest alpha first."""
    found: dict[str, dict[float, str]] = {kind: {} for kind in KINDS}
    for name in held(rows):
        moco = NEGATIVES[name].method == "moco_v2" and kind_of(name) != PLAIN
        if moco and setting(name, "queue") == setting("moco", "queue"):
            found[kind_of(name)][setting(name, "alpha")] = name
    return {kind: dict(sorted(own.items())) for kind, own in found.items()}


def alpha_gaps(rows: Rows) -> Rows:
    """One line for each of `KINDS`, set of `CURVES` and alpha: MoCo v2 with negatives less without."""
    scores = with_pacs(set_scores(rows))
    found = {
        (kind, key, alpha): gap
        for kind, own in alpha_systems(rows).items()
        for key in CURVES
        for alpha, name in own.items()
        if (gap := arm_gaps(scores, [(name, "moco")], [key]).get((name, "moco", key)))
    }
    return as_table(found, ["negatives", "set", "alpha"])


def queue_levels(rows: Rows) -> Rows:
    """One line for plain and patch negatives, set of `QUEUED` and length of the queue: accuracy of MoCo v2."""
    alpha = setting("moco patch", "alpha")
    systems = {
        name: (kind_of(name), setting(name, "queue"))
        for name in held(rows)
        if NEGATIVES[name].method == "moco_v2"
        and kind_of(name) in (PLAIN, "patch")
        and (kind_of(name) == PLAIN or setting(name, "alpha") == alpha)
    }
    table = levels(set_scores(rows), ["system", "set"])
    table = table[table["system"].isin(systems) & table["set"].isin(QUEUED)]
    own = [systems[name] for name in table["system"]]
    table = table.assign(negatives=[kind for kind, _ in own], queue=[queue for _, queue in own])
    return in_order(table, set=QUEUED, negatives=(PLAIN, "patch"), queue=sorted(table["queue"].unique()))


def queue_gaps(rows: Rows) -> dict[tuple[str, int], Interval]:
    """(set, queue) -> what patch negatives add to the accuracy of MoCo v2."""
    names = {(line.negatives, line.queue): line.system for line in queue_levels(rows).itertuples()}
    pairs = {queue: (name, names[PLAIN, queue]) for (kind, queue), name in names.items()
             if kind == "patch" and (PLAIN, queue) in names}  # fmt: skip
    gaps = arm_gaps(set_scores(rows), pairs.values(), QUEUED)
    return {(name, queue): gaps[*pair, name] for name in QUEUED for queue, pair in pairs.items()
            if (*pair, name) in gaps}  # fmt: skip


# Similarity


def similarities(rows: Rows) -> Rows:
    """One line a system of `SIMILAR` and pair of `LIKENESS`: percentiles in hundredths as p5, ...; means over seeds."""
    systems = [name for name in held(rows) if name in SIMILAR]
    own = rows[(rows["metric"] == LIKENESS["other"]["metric"]) & rows["severity"].isin(PERCENTILES)]
    means = own.groupby(["system", "shift", "severity"])["value"].mean().unstack().reindex(columns=list(PERCENTILES))
    table = means.dropna().set_axis([f"p{percent}" for percent in PERCENTILES], axis=1).reset_index()
    return in_order(table.rename(columns={"shift": "pair"}), system=systems, pair=LIKENED)


def hardness(rows: Rows) -> dict[tuple[str, str], Interval]:
    """(system, kind) -> how much more alike to the query a negative is than another image, in hundredths."""
    found = {
        (name, kind): paired(rows, *(LIKENESS[pair] | {"system": name} for pair in (kind, "other")))
        for name in SIMILAR
        for kind in KINDS
    }
    return {key: gap for key, gap in found.items() if gap}


# Shape and texture


def biases(rows: Rows) -> Rows:
    """One line a set of conflicts of `BIASES` and system: shape bias in percent."""
    systems = held(rows)
    parts = [picked(rows, cell).assign(conflicts=name) for name, cell in BIASES.items()]
    table = levels(pd.concat(parts), ["conflicts", "system"])
    return in_order(table, conflicts=BIASES, system=systems)


def bias_gaps(rows: Rows) -> dict[tuple[str, str], Interval]:
    """(system with negatives, set of conflicts) -> what they add to its shape bias."""
    found = {
        (arm, name): paired(rows, cell | {"system": arm}, cell | {"system": plain})
        for arm, plain in PAIRS
        for name, cell in BIASES.items()
    }
    return {key: gap for key, gap in found.items() if gap}


def bias_points(rows: Rows) -> dict[str, Rows]:
    """Set of conflicts -> of each trained system that has both, shape bias and mean corruption error, in percent."""
    table = biases(rows)
    errors = picked(rows, CORRUPTED | {"shift": ALL}).groupby("system")["value"].mean().rename("error")
    points = {
        name: own.set_index("system")["mean"].rename("bias").to_frame().join(errors, how="inner")
        for name, own in table[table["system"] != "random"].groupby("conflicts", sort=False)
    }
    return {name: own for name, own in points.items() if len(own)}


def bias_correlation(points: Rows) -> Interval | None:
    """Spearman's of a table of `bias_points`; None for fewer than four systems."""
    return correlation(points["bias"], points["error"], ranks=True)


def class_levels(rows: Rows) -> Rows:
    """One line for "textures" and "clean", class, and system of `family` that was trained: accuracy in percent."""
    systems = [name for name in family(rows) if name != "random"]
    cues = measured_by(rows, "cue_accuracy")
    cues = cues[cues["metric"].str.startswith(OF_CLASS) & (cues["severity"] == 0)]
    cues = cues.assign(pictures=cues["shift"].map({"texture": TEXTURES, CLEAN: IN}))
    cues["class"] = cues["metric"].str.removeprefix(OF_CLASS)
    table = levels(cues, ["pictures", "class", "system"])
    table = in_order(table, pictures=(TEXTURES, IN), system=systems)
    on = table[table["pictures"] == TEXTURES]
    order = on.groupby("class")["mean"].mean().sort_values(ascending=False, kind="stable").index
    return in_order(table, pictures=(TEXTURES, IN), **{"class": order}, system=systems)


def cue_levels(rows: Rows) -> Rows:
    """One line a version of the test images, severity, and system but for sweeps: accuracy in percent.

    Clean images are the version "patch_shuffle" in one piece.
    """
    systems = main_systems(rows)
    cues = measured_by(rows, "cue_accuracy")
    cues = cues[cues["metric"] == CLEAN_CELL["metric"]]
    whole = cues["shift"] == CLEAN
    cues = cues.assign(version=cues["shift"].mask(whole, CUES[0]), severity=cues["severity"].mask(whole, 1))
    table = levels(cues, ["version", "severity", "system"])
    severities = sorted(table["severity"].unique())
    return in_order(table, version=(*CUES, *SINGLE_CUES), severity=severities, system=systems)


def cue_gaps(rows: Rows) -> dict[tuple[str, str, float], Interval]:
    """(system with negatives, version, severity) -> what they add to its accuracy on a version of the test images."""
    cues = measured_by(rows, "cue_accuracy")
    cues = cues[cues["metric"] == CLEAN_CELL["metric"]]
    found = {
        (arm, version, severity): paired(own, {"system": arm}, {"system": plain})
        for (version, severity), own in cues.groupby(["shift", "severity"])
        if version in (*CUES, *SINGLE_CUES)
        for arm, plain in PAIRS
    }
    return {key: gap for key, gap in found.items() if gap}


def attack_levels(rows: Rows) -> Rows:
    """One line a system but for sweeps and epsilon in 255ths (0: clean): accuracy under PGD in percent."""
    systems = main_systems(rows)
    own = measured_by(rows, "robust_accuracy")
    own = own[(own["metric"] == CLEAN_CELL["metric"]) & own["shift"].isin((CLEAN, "pgd"))]
    table = levels(own.rename(columns={"severity": "epsilon"}), ["system", "epsilon"])
    return in_order(table, system=systems, epsilon=sorted(table["epsilon"].unique()))


def attack_gaps(rows: Rows) -> dict[tuple[str, float], Interval]:
    """(system with negatives, epsilon) -> what they add to the accuracy under PGD; clean images left out."""
    own = measured_by(rows, "robust_accuracy")
    cells = [{"metric": "accuracy", "shift": "pgd", "severity": epsilon}
             for epsilon in sorted(own.loc[own["shift"] == "pgd", "severity"].unique())]  # fmt: skip
    found = {
        (arm, cell["severity"]): paired(own, cell | {"system": arm}, cell | {"system": plain})
        for arm, plain in PAIRS
        for cell in cells
    }
    return {key: gap for key, gap in found.items() if gap}
