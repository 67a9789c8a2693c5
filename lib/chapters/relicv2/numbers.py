"""The numbers behind the figures and sentences on ReLICv2 out of distribution.

Rows are those of the study relicv2_ood, of one encoder and one of its data sets. Differences are in percentage points,
by the model of `lib.contrasts`. Tables have the columns mean, low and high; the ends of intervals are NaN where there
is one seed. Of what rows lack there are no lines.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from lib.cells import COMPARED, IN_DOMAIN, measured_by, out_of_domain
from lib.cells import PACS as DOMAINS
from lib.chapters.relicv2.claims import CLAIMS, OTHER_CELL, SHIFTED, mean_shifted, shifted
from lib.chapters.relicv2.plan import CROPPED, PLAN, SWEPT, SYSTEMS
from lib.contrasts import picked
from lib.effective import above_the_others, accuracies, baseline_line, heights
from lib.errors import BadInput
from lib.figures.levels import (
    held,
    in_order,
    levels,
    pair_gaps,
    paired,
    with_images,
)
from lib.measures import Estimate, Interval, read_together
from lib.measures.background import OTHER, SAME
from lib.measures.rows import Rows
from lib.methods import METHODS
from lib.recent import Recent, remembered
from lib.verdicts import decided

Pair = tuple[str, str]


OURS, LIKE_FOR_LIKE = "relicv2", "supervised same crops"


OTHERS = (LIKE_FOR_LIKE, "supervised", "simclr", "byol sgd", "dino", "relic")  # that ours is compared with


IN, OUT = "in domain", "mean of shifts"


NEIGHBOURS = "nearest neighbours"


PACS = tuple(DOMAINS)  # by a probe of their own, on photographs


SETS = (IN, *SHIFTED, *PACS)


AGAINST_LINE = tuple(name for name in SHIFTED if name != "C-bar")  # corruptions, and what is natural


# ReLICv2 and ReLIC are what is asked about, and random weights lie so far below all that is trained that they alone
# would turn the line. Two systems lie on a line of their own.
CONTROLS = tuple(name for name in OTHERS if SYSTEMS[name].method not in ("relic", "relicv2"))


FEWEST_CONTROLS = 3


REMOVED = "relicv2 removed 0.6"


ABLATIONS = {  # what is changed: its systems, and the one that they are compared with
    "invariance loss": (("relicv2 no invariance",), OURS),
    "gradient and softmax": (("relicv2 unstopped", "relicv2 transpose", "relicv2 transpose unstopped"), OURS),
    "saliency": (
        ("relicv2 no saliency", "relicv2 shuffled", "relicv2 exact", REMOVED, f"{REMOVED} shuffled",
         f"{REMOVED} exact"), OURS,
    ),
    "crops": (("relicv2 2+0",), OURS),
    "saliency, against 0.6": (("relicv2 no saliency", f"{REMOVED} shuffled", f"{REMOVED} exact"), REMOVED),
}  # fmt: skip


OTHER_WALL = "other walls"  # objects on the walls of another class, where walls go with classes


PLACES = (IN, OUT, OTHER_WALL)


WORLDS = ("scenes", "tied scenes")


PARTS = ("original", "only foreground", "only background", SAME, OTHER)


GAP = "background gap"


HEADS = ("linear", "fcn")


MEAN = "mIoU"


_HEAD_OF = {f"{head} {what}": head for head in HEADS for what in (MEAN, "IoU")}  # of a metric


def own_systems(rows: Rows) -> list[str]:
    """The systems of `SYSTEMS` in `rows`, in its order. Raises BadInput for rows of several data sets."""
    found = held(rows, PLAN)
    if rows["dataset"].nunique() > 1:
        raise BadInput(f"rows are of one data set here, and these are of {', '.join(sorted(rows['dataset'].unique()))}")
    return found


def main_systems(rows: Rows) -> list[str]:
    """The systems in `rows` except for ablations and sweeps."""
    return [name for name in own_systems(rows) if SYSTEMS[name].role in COMPARED]


def of_systems(rows: Rows, systems: Iterable[str]) -> Rows:
    return rows[rows["system"].isin(list(systems))]


# Test sets


SCORE = ["system", "seed", "set", "metric", "value", "standard_error"]


def set_scores(rows: Rows) -> Rows:
    """One row a run and set of `SETS` that it has: `SCORE`, an accuracy in percent."""
    own_systems(rows)
    outside = out_of_domain(rows)
    parts = [picked(rows, IN_DOMAIN).assign(set=IN), shifted(rows), outside[outside["set"].isin(PACS)]]
    scores = pd.concat(parts, ignore_index=True).assign(metric="accuracy")
    return with_images(scores, SCORE)


_ASKED: Recent[dict[tuple, tuple[Rows, int]]] = Recent(dict)  # `in_and_out` is asked about one table many times


def in_and_out(rows: Rows, systems: Iterable[str]) -> tuple[Rows, int]:
    """Like `set_scores`, of the sets `IN` and `OUT`; and over how many shifts, which all of `systems` have, `OUT` is.

    Runs of `systems` that were asked about no shift have no `OUT` and take none from the others. Other systems have one
    where they were asked about all these shifts: they lend their variances.
    """
    systems = tuple(systems)
    known = _ASKED.kept([rows])
    if (key := (id(rows), systems)) not in known:
        known[key] = _in_and_out(rows, systems)
    return known[key]


def _in_and_out(rows: Rows, systems: tuple[str, ...]) -> tuple[Rows, int]:
    own_systems(rows)
    means = mean_shifted(measured_by(rows, "out_of_distribution"), systems)
    parts = [picked(rows, IN_DOMAIN).assign(set=IN), means.assign(set=OUT)]
    found = pd.concat(parts, ignore_index=True).assign(metric="accuracy")
    count = int(means["sets"].max()) if len(means) else 0
    return with_images(found, SCORE), count


def in_domain_levels(rows: Rows) -> Rows:
    """One line a main system and read-out, `IN` for the probe or `NEIGHBOURS`: accuracy in percent."""
    systems = main_systems(rows)
    cells = {IN: IN_DOMAIN, NEIGHBOURS: IN_DOMAIN | {"metric": "knn accuracy"}}
    parts = [picked(rows, cell).assign(read=name) for name, cell in cells.items()]
    return in_order(levels(pd.concat(parts), ["system", "read"]), system=systems, read=cells)


def set_levels(rows: Rows) -> Rows:
    """One line a main system and set of `SETS`, or mean of the shifts that all of them have: accuracy in percent."""
    systems = main_systems(rows)
    means, _ = in_and_out(rows, systems)
    scores = pd.concat([set_scores(rows), means[means["set"] == OUT]])
    return in_order(levels(scores, ["system", "set"]), system=systems, set=(IN, *SHIFTED, OUT, *PACS))


def gaps_to_others(rows: Rows) -> dict[tuple[str, str, str], Estimate]:
    """(`OURS`, other, set) -> what ReLICv2 has over each of `OTHERS`, on each of `SETS` and on the mean of shifts."""
    pairs = [(OURS, name) for name in OTHERS]
    found = pair_gaps(set_scores(rows), pairs, SETS)
    for pair in pairs:
        found |= pair_gaps(in_and_out(rows, pair)[0], [pair], [OUT])
    return found


# Effective robustness


def effective(rows: Rows) -> tuple[Rows, dict[str, tuple[float, float]]]:
    """Accuracies under a shift beside those in domain, and the lines through the controls.

    One line of the table for each of `AGAINST_LINE` in `rows` and system: in_domain, mean, low, high in percent, and
    above, above_low, above_high, the points above the set's line; NaN where there is none. The lines, set -> slope and
    intercept on logits, are fitted to the runs of `CONTROLS`, if `rows` hold `FEWEST_CONTROLS` of them. A control is
    judged by the line through the others, and intervals hold the line's own error: see `above_the_others`.
    """
    scores = set_scores(rows).set_index(["system", "seed"])
    parts = {name: with_images(own, ["value", "standard_error"]) for name, own in scores.groupby("set")}
    lines, found = {}, []
    for name in AGAINST_LINE:
        if name not in parts or IN not in parts:
            continue
        runs = _renamed(parts[IN], "clean").join(_renamed(parts[name], "corrupted"), how="inner")
        controls = runs[runs.index.get_level_values("system").isin(CONTROLS)]
        if controls.index.get_level_values("system").nunique() >= FEWEST_CONTROLS and controls["clean"].nunique() > 1:
            lines[name] = baseline_line(controls["clean"], controls["corrupted"])
            runs = above_the_others(runs, CONTROLS)
        unknown, above = Interval(*[float("nan")] * 3), heights(runs) if name in lines else {}
        clean = runs.groupby("system")["clean"].mean()
        for system, at in accuracies(runs, "corrupted").items():
            own = above.get(system, unknown)
            found.append((name, system, clean[system], at.mean, at.low, at.high, own.mean, own.low, own.high))
    columns = ["set", "system", "in_domain", "mean", "low", "high", "above", "above_low", "above_high"]
    return in_order(pd.DataFrame(found, columns=columns), set=AGAINST_LINE, system=SYSTEMS), lines


def scatter_of_controls(table: Rows, name: str) -> float:
    """How many points the control lies off the line of the other ones that lies furthest, in a table of `effective`."""
    return table.loc[(table["set"] == name) & table["system"].isin(CONTROLS), "above"].abs().max()


def extended(table: Rows, name: str) -> bool:
    """Whether ReLICv2's accuracy in domain lies beyond all those of the controls, in a table of `effective`."""
    own = table[table["set"] == name].set_index("system")["in_domain"]
    controls = own[own.index.isin(CONTROLS)]
    return OURS in own and not controls.min() <= own[OURS] <= controls.max()


def _renamed(scores: Rows, name: str) -> Rows:
    """Under the names that `above_the_others` reads."""
    return scores.rename(
        columns={"value": name, "standard_error": f"{name} standard error", "images": f"{name} images"}
    )


# Parts of the method


# Name of a claim -> the system of ours that it says is ahead, the other one, and where.
COMPARED_BY = {
    f"{name}{end}": (base, other, place)
    for name, base, other in (
        ("invariance", OURS, "relicv2 no invariance"),
        ("removal", OURS, "relicv2 no saliency"),
        ("small-crops", OURS, "relicv2 2+0"),
        ("own-masks", OURS, "relicv2 shuffled"),
        ("removal-6", REMOVED, "relicv2 no saliency"),
        ("own-masks-6", REMOVED, f"{REMOVED} shuffled"),
    )
    for end, place in (("", IN), ("-out", OUT))
} | {"removal-anothers-background": (OURS, "relicv2 no saliency", OTHER_WALL)}


@remembered
def claimed(rows: Rows) -> dict[tuple[str, str, str], Estimate]:
    """(system of ours, other, place) -> the first one's accuracy less the other's, as the chapter's claim about it is
    judged; of what no claim compares there is nothing."""
    found = decided(CLAIMS, rows)
    return {COMPARED_BY[name]: gap for name, gap in found.items() if name in COMPARED_BY}


def ablation_gaps(rows: Rows) -> tuple[dict[tuple[str, str, str, str], Estimate], int]:
    """(what is changed, system, other, place of `PLACES`) -> the changed system's accuracy less the other's; and over
    how many shifts `OUT` is.

    They are read together, except what a claim of the chapter compares: that has its verdict.
    """
    systems = {OURS, REMOVED, *(name for names, _ in ABLATIONS.values() for name in names)}
    scores, count = in_and_out(rows, systems)
    walls = picked(of_systems(rows, systems), OTHER_CELL)
    scores = pd.concat([scores, walls.assign(set=OTHER_WALL)])
    found = {}
    for changed, (names, base) in ABLATIONS.items():
        gaps = pair_gaps(scores, [(name, base) for name in names], PLACES)
        found |= {(changed, *key): gap for key, gap in gaps.items()}
    judged = claimed(rows) if found else {}
    read = read_together(found)
    return {
        key: -judged[other, name, place] if (other, name, place) in judged else gap
        for key, gap in read.items()
        for _, name, other, place in [key]
    }, count


def default(setting: str) -> object:
    """ReLICv2's own value of one of `SWEPT`."""
    return getattr(METHODS[SYSTEMS[OURS].method].settings(), setting)


def sweeps(rows: Rows) -> dict[str, dict[str, str]]:
    """Setting of `SWEPT`, or "crops" -> value in words -> system in `rows`, the smallest first.

    Only settings of which `rows` hold ReLICv2 itself and a system that is there for the sweep.
    """
    here = set(own_systems(rows))
    crops = {OURS: (default("large"), default("small"))} | CROPPED
    orders = {setting: {OURS: default(setting)} | values for setting, values in SWEPT.items()} | {"crops": crops}
    found = {}
    for setting, values in orders.items():
        own = {name: value for name, value in values.items() if name in here}
        if OURS in own and any(SYSTEMS[name].role == "sweep" for name in own):
            ordered = sorted(own.items(), key=lambda item: float("inf") if item[1] is None else item[1])  # type: ignore[return-value]
            found[setting] = {_in_words(value): name for name, value in ordered}
    return found


def _in_words(value: object) -> str:
    if value is None:
        return "all"
    return "+".join(map(str, value)) if isinstance(value, tuple) else f"{value:g}"


def sweep_levels(rows: Rows) -> tuple[Rows, int]:
    """One line a setting, value and set, `IN` or `OUT`: system, accuracy in percent; and over how many shifts `OUT` is.

    All means of all settings stand on the same shifts.
    """
    found = [(setting, *own) for setting, values in sweeps(rows).items() for own in values.items()]
    names = pd.DataFrame(found, columns=["setting", "value", "system"])
    scores, count = in_and_out(rows, names["system"])
    return names.merge(in_order(levels(scores, ["system", "set"]), system=SYSTEMS, set=(IN, OUT)), on="system"), count


def sweep_gaps(rows: Rows) -> dict[tuple[str, str, str], Estimate]:
    """(setting, value in words, `IN` or `OUT`) -> a value's accuracy less the default's."""
    found = sweeps(rows)
    scores, _ = in_and_out(rows, {name for own in found.values() for name in own.values()})
    return {
        (setting, value, name): gap
        for setting, own in found.items()
        for value, system in own.items()
        for name in (IN, OUT)
        if system != OURS and (gap := paired(scores, {"system": system, "set": name}, {"system": OURS, "set": name}))
    }


# Backgrounds and pixels


def part_levels(rows: Rows) -> Rows:
    """One line a world of `WORLDS`, part of `PARTS` and system except for sweeps: accuracy in percent."""
    systems = own_systems(rows)
    own = measured_by(rows, "background_reliance")
    own = own[own["metric"] == "accuracy"].rename(columns={"shift": "world", "subset": "part"})
    table = levels(own, ["world", "part", "system"])
    return in_order(table, world=WORLDS, part=PARTS, system=systems)


def background_gaps(rows: Rows) -> Rows:
    """One line a world of `WORLDS` and system: the background gap in percentage points."""
    systems = own_systems(rows)
    own = measured_by(rows, "background_reliance")
    own = own[own["metric"] == GAP].rename(columns={"shift": "world"})
    return in_order(levels(own, ["world", "system"]), world=WORLDS, system=systems)


def background_differences(rows: Rows, pairs: Iterable[Pair], metric: str, shift: str) -> dict[Pair, Estimate]:
    """A cell of the background measure of the first system of each pair less the second's, where both have it."""
    own = picked(measured_by(rows, "background_reliance"), {"metric": metric, "shift": shift})
    found = {pair: paired(own, *({"system": name} for name in pair)) for pair in pairs}
    return {pair: gap for pair, gap in found.items() if gap}


def segmentation_levels(rows: Rows) -> Rows:
    """One line a head of `HEADS`, main system, and class or `MEAN`: intersection over union in percent."""
    systems = main_systems(rows)
    own = measured_by(rows, "segmentation")
    own = own.assign(head=own["metric"].map(_HEAD_OF), of=own["subset"].mask(own["subset"] == "", MEAN))
    table = levels(own, ["head", "system", "of"])
    return in_order(table, head=HEADS, system=systems, of=dict.fromkeys([MEAN, *own["of"]]))


def segmentation_gaps(rows: Rows) -> dict[tuple[str, str], Estimate]:
    """(other, head) -> the mIoU of ReLICv2 less that of one of `OTHERS`."""
    own = measured_by(rows, "segmentation")
    found = {
        (name, head): paired(picked(own, {"metric": f"{head} {MEAN}"}), {"system": OURS}, {"system": name})
        for name in OTHERS
        for head in HEADS
    }
    return {key: gap for key, gap in found.items() if gap}
