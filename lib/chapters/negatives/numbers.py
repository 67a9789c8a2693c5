"""The numbers behind the figures and sentences on negatives without meaning.

Rows are those of the study non_semantic_negatives, of one encoder and data set. Differences are in percentage points,
by the model of `lib.contrasts`. Tables have the columns mean, low and high; the ends of intervals are NaN where there
is one seed. Of what rows lack there are no lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lib.cells import CLEAN_CELL, COMPARED, CORRUPTED, IN_DOMAIN, OUT_OF_DOMAIN, PGD_CELL, measured_by, out_of_domain
from lib.cells import PACS as DOMAINS
from lib.chapters.negatives.claims import BIASES, LIKENESS, TEXTURE_CELL, of_classes
from lib.chapters.negatives.plan import PLAN
from lib.chapters.negatives.systems import SYSTEMS
from lib.contrasts import Kept, picked
from lib.figures.levels import held, in_order, levels, pair_gaps, paired, with_images
from lib.measures import Estimate, Interval
from lib.measures.corruption_error import ALL
from lib.measures.rows import CLEAN, Rows
from lib.measures.statistics import correlation
from lib.methods import METHODS

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


def setting(name: str, what: str) -> Any:
    """A setting of the method of one of `SYSTEMS`; None where it has no such."""
    system = SYSTEMS[name]
    return getattr(METHODS[system.method].settings(**system.settings), what, None)


def kind_of(name: str) -> str:
    """`PLAIN` or one of `KINDS`, of an arm."""
    return setting(name, "negatives") or PLAIN


def main_systems(rows: Rows) -> list[str]:
    """The systems in `rows` that are set side by side: none of another alpha or queue, none of other papers."""
    return [name for name in held(rows, PLAN) if SYSTEMS[name].role in COMPARED]


def whole_systems(rows: Rows) -> list[str]:
    """The systems in `rows` except for those of another alpha or queue."""
    return [name for name in held(rows, PLAN) if SYSTEMS[name].role != "sweep"]


def family(rows: Rows) -> list[str]:
    """The references in `rows`, and the first method in them with its negatives: what one chart can show."""
    here = held(rows, PLAN)
    arms = ([arm for arm in (name, *arms) if arm in here] for name, arms in ARMS.items())
    return [name for name in REFERENCES if name in here] + next(filter(None, arms), [])


# Test sets


def set_scores(rows: Rows) -> Rows:
    """One row a run and set of `SETS` that it has: system, seed, set, metric, value (accuracy in percent) and
    standard_error."""
    held(rows, PLAN)
    clean, textures = picked(rows, IN_DOMAIN), picked(measured_by(rows, "cue_accuracy"), TEXTURE_CELL)
    parts = [clean.assign(set=IN), out_of_domain(rows), textures.assign(set=TEXTURES)]
    scores = pd.concat(parts, ignore_index=True).assign(metric="accuracy")
    return with_images(scores, ["system", "seed", "set", "metric", "value", "standard_error"])


def with_pacs(scores: Rows) -> Rows:
    """`scores` and, as the set `PACS`, the mean over the three domains of each run that has all of them."""
    runs = scores[scores["set"].isin(list(DOMAINS))].groupby(["system", "seed"])
    means = runs.agg(
        value=("value", "mean"),
        standard_error=("standard_error", lambda errors: np.hypot.reduce(errors.to_numpy()) / len(errors)),
        domains=("set", "size"),
        **({"images": ("images", "min")} if "images" in scores else {}),
    ).reset_index()
    whole = means[means["domains"] == len(DOMAINS)].drop(columns="domains").assign(set=PACS, metric="accuracy")
    return pd.concat([scores, whole], ignore_index=True) if len(whole) else scores


def alpha_systems(rows: Rows) -> dict[str, dict[float, str]]:
    """Kind of negatives -> alpha -> system of MoCo v2 with the usual queue, the smallest alpha first."""
    found: dict[str, dict[float, str]] = {kind: {} for kind in KINDS}
    for name in held(rows, PLAN):
        moco = SYSTEMS[name].method == "moco_v2" and kind_of(name) != PLAIN
        if moco and setting(name, "queue") == setting("moco", "queue"):
            found[kind_of(name)][setting(name, "alpha")] = name
    return {kind: dict(sorted(own.items())) for kind, own in found.items()}


def alpha_gaps(rows: Rows) -> dict[tuple[str, str, float], Estimate]:
    """(kind of `KINDS`, set of `CURVES`, alpha) -> MoCo v2 with negatives less without."""
    scores = with_pacs(set_scores(rows))
    systems = {name: (kind, alpha) for kind, own in alpha_systems(rows).items() for alpha, name in own.items()}
    gaps = pair_gaps(scores, [(name, "moco") for name in systems], CURVES)
    found = {(systems[name][0], key, systems[name][1]): gap for (name, _, key), gap in gaps.items()}
    return dict(sorted(found.items(), key=lambda item: (KINDS.index(item[0][0]), CURVES.index(item[0][1]))))


def queue_levels(rows: Rows) -> Rows:
    """One line for plain and patch negatives, set of `QUEUED` and length of the queue: accuracy of MoCo v2."""
    alpha = setting("moco patch", "alpha")
    systems = {
        name: (kind_of(name), setting(name, "queue"))
        for name in held(rows, PLAN)
        if SYSTEMS[name].method == "moco_v2"
        and kind_of(name) in (PLAIN, "patch")
        and (kind_of(name) == PLAIN or setting(name, "alpha") == alpha)
    }
    table = levels(set_scores(rows), ["system", "set"])
    table = table[table["system"].isin(systems) & table["set"].isin(QUEUED)]
    own = [systems[name] for name in table["system"]]
    table = table.assign(negatives=[kind for kind, _ in own], queue=[queue for _, queue in own])
    return in_order(table, set=QUEUED, negatives=(PLAIN, "patch"), queue=sorted(table["queue"].unique()))


def queue_gaps(rows: Rows) -> dict[tuple[str, int], Estimate]:
    """(set, queue) -> what patch negatives add to the accuracy of MoCo v2."""
    names = {(line.negatives, line.queue): line.system for line in queue_levels(rows).itertuples()}
    pairs = {queue: (name, names[PLAIN, queue]) for (kind, queue), name in names.items()
             if kind == "patch" and (PLAIN, queue) in names}  # fmt: skip
    gaps = pair_gaps(set_scores(rows), pairs.values(), QUEUED)
    return {(name, queue): gaps[*pair, name] for name in QUEUED for queue, pair in pairs.items()
            if (*pair, name) in gaps}  # fmt: skip


# Similarity


def similarities(rows: Rows) -> Rows:
    """One line a system of `SIMILAR` and pair of `LIKENESS`: percentiles in hundredths as p5, ...; means over seeds."""
    systems = [name for name in held(rows, PLAN) if name in SIMILAR]
    own = rows[(rows["metric"] == LIKENESS["other"]["metric"]) & rows["level"].isin(PERCENTILES)]
    means = own.groupby(["system", "subset", "level"])["value"].mean().unstack().reindex(columns=list(PERCENTILES))
    table = means.dropna().set_axis([f"p{percent}" for percent in PERCENTILES], axis=1).reset_index()
    return in_order(table.rename(columns={"subset": "pair"}), system=systems, pair=LIKENED)


def hardness(rows: Rows) -> dict[tuple[str, str], Estimate]:
    """(system, kind) -> how much more alike to the query a negative is than another image, in hundredths."""
    kept = Kept()
    found = {
        (name, kind): paired(rows, *(LIKENESS[pair] | {"system": name} for pair in (kind, "other")), kept=kept)
        for name in SIMILAR
        for kind in KINDS
    }
    return {key: gap for key, gap in found.items() if gap}


# Shape and texture


def biases(rows: Rows) -> Rows:
    """One line a set of conflicts of `BIASES` and system: shape bias in percent."""
    systems = held(rows, PLAN)
    parts = [picked(rows, cell).assign(conflicts=name) for name, cell in BIASES.items()]
    table = levels(pd.concat(parts), ["conflicts", "system"])
    return in_order(table, conflicts=BIASES, system=systems)


def bias_gaps(rows: Rows) -> dict[tuple[str, str], Estimate]:
    """(system with negatives, set of conflicts) -> what they add to its shape bias."""
    kept = Kept()
    found = {
        (arm, name): paired(rows, cell | {"system": arm}, cell | {"system": plain}, kept)
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
    """Spearman's of a table of `bias_points`, by methods, or what these stand on; None for fewer than four systems."""
    families = [setting(name, "on") or SYSTEMS[name].method for name in points.index]
    return correlation(points["bias"], points["error"], ranks=True, families=families)


def class_levels(rows: Rows) -> Rows:
    """One line for "textures" and "clean", class, and system of `family` that was trained: accuracy in percent."""
    systems = [name for name in family(rows) if name != "random"]
    cues = of_classes(measured_by(rows, "cue_accuracy")).rename(columns={"subset": "class"})
    cues = cues.assign(shown=cues["shift"].map({"texture": TEXTURES, CLEAN: IN}))  # rows have their count as "images"
    table = levels(cues, ["shown", "class", "system"]).rename(columns={"shown": "images"})
    table = in_order(table, images=(TEXTURES, IN), system=systems)
    on = table[table["images"] == TEXTURES]
    order = on.groupby("class")["mean"].mean().sort_values(ascending=False, kind="stable").index
    return in_order(table, images=(TEXTURES, IN), **{"class": order}, system=systems)


def cue_levels(rows: Rows) -> Rows:
    """One line a version of the test images, its level, and system except for sweeps: accuracy in percent.

    Clean images are the version "patch_shuffle" in one piece. Versions without a level have 0.
    """
    systems, cues = main_systems(rows), versions(rows)
    whole = cues["shift"] == CLEAN
    cues = cues.assign(version=cues["shift"].mask(whole, CUES[0]), level=_numbers(cues["level"].mask(whole, 1)))
    table = levels(cues, ["version", "level", "system"])
    return in_order(table, version=(*CUES, *SINGLE_CUES), level=sorted(table["level"].unique()), system=systems)


def versions(rows: Rows) -> Rows:
    """Accuracies on whole versions of the test images."""
    return picked(measured_by(rows, "cue_accuracy"), {"metric": CLEAN_CELL["metric"], "subset": ""})


def _numbers(levels: pd.Series) -> pd.Series:
    """Levels for the eye: 0 where there is none, and whole numbers where all are."""
    return pd.to_numeric(levels.fillna(0), downcast="integer")


def cue_gaps(rows: Rows) -> dict[tuple[str, str, float], Estimate]:
    """(system with negatives, version, level) -> what they add to its accuracy on a version of the test images."""
    kept = Kept()
    found = {
        (arm, version, level): paired(own, {"system": arm}, {"system": plain}, kept)
        for (version, level), own in versions(rows).groupby(["shift", "level"], dropna=False)
        if version in (*CUES, *SINGLE_CUES)
        for arm, plain in PAIRS
    }
    return {key: gap for key, gap in found.items() if gap}


def attack_levels(rows: Rows) -> Rows:
    """One line a system except for sweeps and epsilon in 255ths (0: clean): accuracy under PGD in percent."""
    systems = main_systems(rows)
    own = measured_by(rows, "robust_accuracy")
    own = own[(own["metric"] == CLEAN_CELL["metric"]) & own["shift"].isin((CLEAN, "pgd"))]
    table = levels(own.assign(epsilon=_numbers(own["level"])), ["system", "epsilon"])
    return in_order(table, system=systems, epsilon=sorted(table["epsilon"].unique()))


def attack_gaps(rows: Rows) -> dict[tuple[str, float], Estimate]:
    """(system with negatives, epsilon) -> what they add to the accuracy under PGD; clean images left out."""
    own = measured_by(rows, "robust_accuracy")
    cells = [PGD_CELL | {"level": epsilon} for epsilon in sorted(picked(own, {"shift": "pgd"})["level"].unique())]
    kept = Kept()
    found = {
        (arm, cell["level"]): paired(own, cell | {"system": arm}, cell | {"system": plain}, kept)
        for arm, plain in PAIRS
        for cell in cells
    }
    return {key: gap for key, gap in found.items() if gap}
