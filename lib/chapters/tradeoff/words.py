"""Sentences of the notebook on accuracy and robustness, computed from rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from lib.cells import AUTO_CELL, CLEAN_CELL, COMPARED, CORRUPTED, PGD_CELL, has
from lib.chapters.tradeoff.claims import (
    CELLS,
    CLAIMS,
    CROPS,
    DEFENDED,
    MEAN_ERROR,
    NEARBY,
    NEARBY_CELL,
    WEAKLY,
    between,
    defended,
    within,
)
from lib.chapters.tradeoff.numbers import WATCHED, uses_labels
from lib.chapters.tradeoff.plan import OTHER_READ_OUTS, PLAN, SYSTEMS
from lib.contrasts import difference, estimates, level, mean_of, of_cell, of_two, picked
from lib.controls import constant
from lib.figures.prose import UNTOLD, by_sign, by_verdict, foremost, leaders, led, listed, mark, verb_once
from lib.figures.style import spaced
from lib.figures.systems_look import pgd_name
from lib.measures import read_together
from lib.measures.adversarial_probe import METRIC as BY_ADVERSARIAL_PROBE
from lib.measures.corruption_error import ALL, MEASURED
from lib.measures.rows import CLEAN, overall
from lib.runs import Results
from lib.shifts.corruptions import CORRUPTIONS
from lib.verdicts import HOLDS, MARGIN, NO_EFFECT, REVERSED, judged, no_effect

TRAINED = {"free": "free training", "pgd": "PGD training"}  # by the kind of attack
ASTRAY = 5.0  # points by which one step may leave more than twenty without its being a sign of anything


def watched(results: Results) -> bool:
    """Whether some training under attack was long enough to draw its course."""
    return any(len(record.get("monitored", [])) >= WATCHED for record in results.records)


def _of_role(results: Results, role: str) -> bool:
    return any(SYSTEMS[record["system"]].role == role for record in results.records)


def swept(results: Results) -> bool:
    """Whether there are systems of several numbers of views."""
    return _of_role(results, "sweep")


def lengthened(results: Results) -> bool:
    """Whether there are systems of equal updates."""
    return _of_role(results, "updates")


def read_otherwise(rows: pd.DataFrame) -> bool:
    """Whether there are other read-outs than the standard probe."""
    return bool(rows["metric"].isin(OTHER_READ_OUTS).any())


def quirky(rows: pd.DataFrame) -> bool:
    """Whether there is a system with a quirk, or the weak attack, to compare."""
    return bool((rows["shift"] == "pgd-2").any())


def tradeoff_answer(results: Results) -> dict[str, str]:
    """The words that the notebook glues into its text; a glued value must not be empty."""
    rows = results.rows
    return {
        "answer-without": _without(rows),
        "answer-best": _best(rows),
        "answer-crops": _crops(results),
        "answer-cost": _cost(results),
        "attack-words": _flattery(rows),
        "quirk-words": _modes(rows),
        "summed-words": _summed(rows),
        "aggregation-words": _aggregation(rows),
        "probe-words": _adversarial_probe(rows),
        "corruption-words": _corruptions(rows),
        "similarity-words": _similarity(rows),
    }


def tradeoff_details(results: Results) -> dict[str, str]:
    """The words that the notebook of details glues into its text."""
    rows = results.rows
    return {
        "distilled-words": _distilled(rows),
        "dropped-words": _dropped(rows),
        "machine-words": _machines(results),
    }


def mean(rows: pd.DataFrame, system: str, cell: dict[str, object]) -> float:
    """The mean over seeds of a system's cell."""
    return level(rows, cell | {"system": system}).mean


def _systems(held: Sequence[object]) -> str:
    return f"{len(held)} system{'' if len(held) == 1 else 's'}"


def _robust_cell(rows: pd.DataFrame) -> tuple[dict[str, object], str]:
    """AutoAttack where it was run, else PGD; and its name."""
    if any(has(rows, system, AUTO_CELL) for system in defended(rows)):
        return AUTO_CELL, "AutoAttack"
    return PGD_CELL, "PGD"


def _sides(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """Systems trained under attack and without labels, and those trained without an adversary, that are measured so."""
    cell, _ = _robust_cell(rows)
    measured = [name for name in dict.fromkeys(rows["system"]) if has(rows, name, cell) and has(rows, name, CLEAN_CELL)]
    own = [name for name in defended(rows) if not uses_labels(name) and name in measured]
    return own, [name for name in measured if SYSTEMS[name].attack is None]


def _without(rows: pd.DataFrame) -> str:
    """What stands behind the headline: what training under attack keeps in a smaller ball, what it costs, and what is
    left at most without it."""
    own, others = _sides(rows)
    if not own or not others:
        return UNTOLD
    cell, name = _robust_cell(rows)
    most = max(mean(rows, system, cell) for system in others)
    near, cost = _nearby(rows), _clean_cost(rows)
    left = (
        f"Without {'it' if cost else 'an adversary in training'} {name} at 8/255 leaves no encoder more than "
        f"{most:.1f} %{'' if near else _constant_told(rows)}."
    )
    return " ".join(filter(None, (near, cost, left)))


def _nearby(rows: pd.DataFrame) -> str:
    """How many systems trained under attack are above a constant answer in a smaller ball, which the headline names;
    empty if none was asked."""
    if (kept := constant(rows)) is None:
        return ""
    asked = [name for name in defended(rows) if has(rows, name, NEARBY_CELL)]
    gaps = {name: level(rows, NEARBY_CELL | {"system": name}) - kept for name in asked}
    gaps = read_together({name: gap for name, gap in gaps.items() if not math.isnan(gap.low)})  # of one seed is none
    if not gaps:
        return ""
    above = [name for name, gap in gaps.items() if gap.sign > 0]
    free = sum(not uses_labels(name) for name in above)
    learnt = {0: "with", len(above): "without"}.get(free, f"{free} without")
    whose = f", {learnt} labels," if above else ""
    if len(gaps) == 1:
        told = f"the one system measured{whose} {'beats' if above else 'is not shown to beat'}"
    elif len(above) == len(gaps):
        told = f"{'both' if len(gaps) == 2 else f'all {len(gaps)}'} systems measured{whose} beat"
    else:
        be = "are" if len(above) > 1 else "is"
        told = f"{len(above) or 'none'} of {len(gaps)} systems measured{whose} {be} shown to beat"
    return f"Within {NEARBY}/255, {told} its {kept:.0f} %."


def _clean_cost(rows: pd.DataFrame) -> str:
    """What training under attack costs on clean images, by the verdict on the claim that it does; empty if untested."""
    (own,) = (verdict for verdict in judged(CLAIMS, rows) if verdict.claim.name == "costs-clean")
    if own.difference is None:
        return ""
    points = f"{abs(own.difference.mean):.1f} points on clean images, on average."
    return {
        HOLDS: f"Training under attack costs {points}",
        REVERSED: f"Training under attack gains {points}",
        NO_EFFECT: f"Training under attack changes clean accuracy by under {MARGIN:g} points.",
    }.get(own.verdict, "What training under attack costs on clean images is undecided.")


def _best(rows: pd.DataFrame) -> str:
    cell, attack = _robust_cell(rows)
    own, others = _sides(rows)
    if not own or not others:
        return UNTOLD
    keep, best = (
        leaders({system: of_cell(rows, place | {"system": system}) for system in own if has(rows, system, place)})
        for place in (cell, CLEAN_CELL)
    )
    robust, under = keep[0], f"under {attack} at 8/255"
    if len(own) == 1:
        kept, clean = (level(rows, place | {"system": robust}) for place in (cell, CLEAN_CELL))
        return (
            f"{PLAN.title(robust)}, which is trained against an adversary, keeps {kept} % {under}"
            f"{_excess(rows, keep, cell)}, and {clean} % of clean images."
        )
    same = keep == best and len(best) == 1
    return (
        f"Of {len(own)} ways to train without labels and against an adversary, "
        + led([PLAN.title(name) for name in keep], f"keeps most {under}", f"keep most {under}")
        + f", {_levels(rows, keep, cell)}{_excess(rows, keep, cell)}. On clean images "
        + ("it is the best as well" if same else led([PLAN.title(name) for name in best], "is the best", "are ahead"))
        + f", with {_levels(rows, best, CLEAN_CELL)}."
    )


def _levels(rows: pd.DataFrame, systems: Sequence[str], cell: dict[str, object]) -> str:
    """31.0 [28.5, 33.5] %, or of several systems 29.0 to 31.0 %"""
    found = [level(rows, cell | {"system": system}) for system in systems]
    means = [own.mean for own in found]
    return f"{found[0]} %" if len(found) == 1 else f"{min(means):.1f} to {max(means):.1f} %"


def _excess(rows: pd.DataFrame, systems: Sequence[str], cell: dict[str, object]) -> str:
    """What systems keep above a constant answer, of data whose classes are known."""
    kept = constant(rows)
    if kept is None:
        return ""
    gaps = [level(rows, cell | {"system": system}) - kept for system in systems]
    if len(gaps) == 1:
        above, below = (f"{{}} points {place} a constant answer" for place in ("above", "below"))
        return f" ({by_verdict(gaps[0], above, below, f'{above}, {no_effect(MARGIN)}', f'{above}, undecided')})"
    counts = {"above": sum(gap.sign > 0 for gap in gaps), "below": sum(gap.sign < 0 for gap in gaps)}
    told = [
        f"{'all' if count == len(gaps) else count or 'none'} shown to be {place} a constant answer"
        for place, count in counts.items()
        if count or (place == "above" and counts["below"] < len(gaps))
    ]
    return f" ({listed(told)})"


def _constant_told(rows: pd.DataFrame) -> str:
    kept = constant(rows)
    return "" if kept is None else f", where a constant answer keeps {kept:.0f} %"


def _crops(results: Results) -> str:
    """What crops have over patches in each way of training under attack, and with how many views."""
    rows = results.rows
    views = {record["system"]: record["config"]["settings"].get("views") for record in results.records}
    cells = {"on clean images": CLEAN_CELL, "under PGD": PGD_CELL}
    found = {
        (crops, where): gap
        for crops, patches in reversed(CROPS)  # free training first, as the figure has it
        for where, cell in cells.items()
        for gap in between(rows, [(crops, patches)], {where: cell}).values()
    }
    told: dict[str, list[str]] = {}
    for (crops, where), gap in read_together(estimates(found)).items():
        words = f"{by_sign(gap, 'gain {} points', 'lose {} points', 'differ by {} points')} {where}{mark(gap)}"
        told.setdefault(crops, []).append(words)
    subjects = ["crops of all sizes, beside patches,", *["they"] * len(told)]
    sentences = [
        f"Under {TRAINED[SYSTEMS[crops].attack.kind]} with {views[crops]} views, {subject} {verb_once(parts)}."
        for subject, (crops, parts) in zip(subjects, told.items(), strict=False)
    ]
    return " ".join(sentences) or UNTOLD


def _cost(results: Results) -> str:
    """CF-AMC-SSL against PGD training with as many updates, and SimCLR with as many passes."""
    rows, passes = results.rows, {record["system"]: record.get("passes") for record in results.records}
    found = []
    for other, words in (
        ("emp crops pgd long", "PGD training of the same method with as many updates"),
        ("simclr free", "free training of SimCLR"),
    ):
        if all(has(rows, system, PGD_CELL) for system in ("cf-amc-ssl", other)):
            gaps = between(rows, [("cf-amc-ssl", other)], {"clean": CLEAN_CELL, "PGD": PGD_CELL})
            clean, robust = estimates(gaps).values()
            ratio = passes[other] / passes["cf-amc-ssl"]
            cost = f", which costs {ratio:.1f} times its passes" if ratio > 1.05 else " at equal passes"
            found.append(f"{words}{cost}: {clean} points clean{mark(clean)}, {robust} under PGD{mark(robust)}")
    return f"CF-AMC-SSL less {'; less '.join(found)}." if found else UNTOLD


def _flattery(rows: pd.DataFrame) -> str:
    """What weak attacks leave that strong ones do not, as means over the systems trained under attack."""
    steps = [("pgd-2", "PGD-2"), ("pgd", pgd_name(rows)), ("autoattack", "AutoAttack")]
    names = [name for name in defended(rows) if all(has(rows, name, PGD_CELL | {"shift": shift}) for shift, _ in steps)]
    if not names:
        return UNTOLD
    left = [
        f"{sum(mean(rows, name, PGD_CELL | {'shift': shift}) for name in names) / len(names):.1f} % to {words}"
        for shift, words in steps
    ]
    return (
        f"On average over {_systems(names)} trained under attack, the same encoders leave {listed(left)}"
        f"{_constant_told(rows)}."
    )


def _summed(rows: pd.DataFrame) -> str:
    """What is left after PGD training whose optimiser steps on the gradients of all attack passes, seed by seed."""
    summed, clean = "emp crops pgd summed", "emp crops pgd batch"
    if not all(has(rows, name, PGD_CELL) for name in (summed, clean)):
        return UNTOLD
    by_seed = picked(rows, PGD_CELL | {"system": summed})
    seeds = listed([f"{value:.1f}" for value in by_seed.sort_values("seed")["value"]])
    return (
        "If the optimiser steps on the sum of the gradients of all attack passes as well, the same attacks in training "
        f"mode leave {seeds} % under PGD, one seed after the other, on average "
        f"{level(rows, PGD_CELL | {'system': summed})} % where clean gradients leave "
        f"{level(rows, PGD_CELL | {'system': clean})} %."
    )


def _modes(rows: pd.DataFrame) -> str:
    """What is left of EMP-SSL after PGD training, by the mode of batch norm during the attacks of training."""
    pair, fgsm = ("emp crops pgd long", "emp crops pgd batch"), PGD_CELL | {"shift": "fgsm"}
    if not all(has(rows, system, cell) for system in pair for cell in (PGD_CELL, fgsm)):
        return UNTOLD
    ours, theirs = pair
    weak, astray = mean(rows, theirs, fgsm), difference(rows, fgsm | {"system": theirs}, PGD_CELL | {"system": theirs})
    masked = (
        f" The latter withstands one step ({weak:.1f} % under FGSM) better than twenty, by {astray} points: it has "
        "learnt to lead its own attack astray."
        if astray.low > ASTRAY
        else ""
    )
    return (
        "With as many updates as free training, PGD training of EMP-SSL on crops leaves "
        f"{level(rows, PGD_CELL | {'system': ours})} % under PGD at 8/255 if its attacks see batch norm as the encoder "
        f"will be used, and {level(rows, PGD_CELL | {'system': theirs})} % if they see it as in training, where it "
        "normalises by the attacked batch itself." + masked
    )


def _aggregation(rows: pd.DataFrame) -> str:
    metric, name = "accuracy of aggregated crops", "cf-amc-ssl"
    cells = {
        "on clean images": CLEAN_CELL,
        "under the attack of the public code, of every crop by itself": PGD_CELL | {"shift": "pgd per view"},
        "under one of the image whose adversary does not know the crops": PGD_CELL | {"shift": "pgd through crops"},
        "under one whose adversary does": PGD_CELL | {"shift": "pgd through known crops"},
    }
    cells = {words: cell | {"metric": metric} for words, cell in cells.items()}
    if not all(has(rows, name, cell) for cell in (*cells.values(), CLEAN_CELL, PGD_CELL)):
        return UNTOLD
    told = [f"{mean(rows, name, cell):.0f} % {words}" for words, cell in cells.items()]
    return (
        f"For {PLAN.title(name)} the aggregate of crops is right for {listed(told)}; the standard probe for "
        f"{mean(rows, name, CLEAN_CELL):.0f} % and {mean(rows, name, PGD_CELL):.0f} %."
    )


def _adversarial_probe(rows: pd.DataFrame) -> str:
    cells = {"under PGD": PGD_CELL, "on clean images": CLEAN_CELL}
    others = {where: cell | {"metric": BY_ADVERSARIAL_PROBE} for where, cell in cells.items()}
    needed = (*cells.values(), *others.values())
    names = [name for name in defended(rows) if all(has(rows, name, cell) for cell in needed)]
    if not names:
        return UNTOLD
    gains = read_together(
        estimates({where: mean_of(list(within(rows, names, others[where], cells[where], where).values()))
                   for where in cells})
    )  # fmt: skip
    moves = [
        f"{by_sign(gap, 'gains {} points', 'loses {} points', 'changes by {} points')} {where}{mark(gap)}"
        for where, gap in gains.items()
    ]
    return (
        f"On average over {_systems(names)} trained under attack, a probe trained under attack on the same frozen "
        "features "
        f"{verb_once(moves)}."
        + (" Part of what looks like a fragile encoder is a fragile probe." if gains["under PGD"].sign > 0 else "")
    )


def _corruptions(rows: pd.DataFrame) -> str:
    """Which corruptions an adversary in training helps against, and which it makes worse, on average over systems."""
    pairs = [pair for pair in DEFENDED.items() if all(has(rows, name, CORRUPTED | {"shift": "fog"}) for name in pair)]
    if not pairs:
        return UNTOLD
    errors = overall(rows[rows["metric"] == "error"])
    risen = {
        shift: mean_of([of_two(errors, *({"system": name, "shift": shift} for name in pair)) for pair in pairs])
        for shift in dict.fromkeys(errors["shift"])
    }
    single = {shift: own for shift, own in risen.items() if shift in MEASURED}
    means = {"on clean images": risen[CLEAN], f"over the {len(CORRUPTIONS)} corruptions": risen[ALL]}
    told = [
        f"{by_sign(gap, 'costs {} points', 'saves {} points', 'changes the error by {} points')} {where}{mark(gap)}"
        for where, gap in read_together(estimates(means)).items()
    ]

    def rise(shift: str, points: float) -> str:
        return f"{spaced(shift)} ({round(points, 1) + 0.0:+.1f})"

    return (
        f"On average over {_systems(pairs)}, an adversary in training {verb_once(told)}. It costs most under "
        f"{foremost(single, rise)}; least under {foremost(single, rise, most=False)}."
    )


def _similarity(rows: pd.DataFrame) -> str:
    """How far an adversary moves features, in percent of the way to another image's."""
    chance, alike = {"metric": "similarity chance"}, PGD_CELL | {"metric": "similarity"}

    def moved(names: Sequence[str]) -> float:
        shares = [
            100 * (100 - mean(rows, name, alike)) / (100 - mean(rows, name, chance))
            for name in names
            if has(rows, name, alike)
        ]
        return sum(shares) / len(shares)

    robust = [name for name in defended(rows) if has(rows, name, alike)]
    plain = [name for name in dict.fromkeys(DEFENDED.values()) if has(rows, name, alike)]
    if not robust or not plain:
        return UNTOLD
    return (
        "In the representation, 100 being the distance (one minus the cosine) between two different images, PGD at "
        f"8/255 moves an image by {moved(plain):.0f} in encoders trained without an adversary and by "
        f"{moved(robust):.0f} in those trained with one, on average."
    )


def _distilled(rows: pd.DataFrame) -> str:
    """How far ProFeAT is ahead of DeACL and of TRADES, a sentence each."""
    where = dict(zip(CELLS, ("on clean images", "under PGD", "under AutoAttack"), strict=True))
    told = []
    for other in ("deacl", "trades"):
        gaps = {
            where[name]: gap
            for name, cell in CELLS.items()
            for gap in between(rows, [("profeat", other)], {name: cell}).values()
        }
        parts = [
            f"{by_sign(gap, '{} points ahead', '{} points behind', 'apart by {} points')} {place}{mark(gap)}"
            for place, gap in read_together(estimates(gaps)).items()
        ]
        told += [f"Beside {PLAN.title(other)}, ProFeAT is {listed(parts)}."] if parts else []
    return " ".join(told) or UNTOLD


def _dropped(rows: pd.DataFrame) -> str:
    """What SimCLR gains by each way to drop negatives, under a weak adversary and on corrupted images."""
    ways = {
        "simclr dropped": "likely false ones",
        "simclr dropped labelled": "those of the same class",
        "simclr dropped random": "as many at random",
    }
    told = []
    for cells, fewer in ((WEAKLY, False), (MEAN_ERROR, True)):  # accuracies, and errors, of which fewer are a gain
        ((place, cell),) = cells.items()
        pairs = {words: ("simclr", name) if fewer else (name, "simclr") for name, words in ways.items()}
        gaps = {words: gap for words, pair in pairs.items() for gap in between(rows, [pair], {place: cell}).values()}
        parts = [
            f"{by_sign(gap, 'gains {} points', 'loses {} points', 'changes by {} points')} without {words}{mark(gap)}"
            for words, gap in read_together(estimates(gaps)).items()
        ]
        under = "on corrupted images" if fewer else f"under {place}"
        told += [f"Of its negatives, SimCLR {under} {verb_once(parts)}."] if parts else []
    return " ".join(told) or UNTOLD


def _machines(results: Results) -> str:
    devices = listed(sorted({record["device"] for record in results.records}))
    trained = [
        record for record in results.records if SYSTEMS[record["system"]].role in COMPARED and "passes" in record
    ]
    rates = sorted(record["passes"] / record["seconds"] for record in trained if record["seconds"])
    if not rates:
        return UNTOLD
    range_of = " to ".join(dict.fromkeys(f"{rate:,.0f}" for rate in (rates[0], rates[-1])))
    return f"On this machine ({devices}) training went through {range_of} passes a second."
