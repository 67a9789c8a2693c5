"""Claims of the papers as statements over rows, each with a verdict and the interval that decides it.

A claim is put as contrasts: differences in percentage points that it says are above zero. It holds
if every contrast's 95 % interval lies above zero, fails if one lies at or below zero, and is
undecided otherwise. The contrast named in a verdict is the one that decides it: the lowest. A claim
about methods that the rows lack is not tested.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.errors import BadInput
from lib.measures import Interval, interval
from lib.measures.corruption_error import ALL
from lib.methods import METHODS
from lib.shifts.corruptions import GROUPS, SEVERITIES

HOLDS, FAILS, UNDECIDED, NOT_TESTED = "holds", "fails", "undecided", "not tested"
Contrasts = dict[str, Interval]  # what is compared, in words -> the difference in percentage points


@dataclass(frozen=True)
class Claim:
    """`statement` in our words, `source` where the paper says it, and what it asserts to be positive."""

    statement: str
    source: str
    contrasts: Callable[[pd.DataFrame], Contrasts]


@dataclass(frozen=True)
class Verdict:
    claim: Claim
    verdict: str
    contrast: str
    difference: Interval | None  # None: not tested


def judge(claim: Claim, rows: pd.DataFrame) -> Verdict:
    contrasts = claim.contrasts(rows)
    if not contrasts:
        return Verdict(claim, NOT_TESTED, "a method that the claim speaks of is not in these rows", None)
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


def difference(rows: pd.DataFrame, more: dict[str, object], less: dict[str, object]) -> Interval:
    """The paired difference over seeds of two cells of `rows`, each picked by column values.

    The images' standard errors are added as if the two cells saw different images. They see the
    same, whose errors go together, so the interval errs on the wide side.
    """
    first, second = (_by_seed(rows, cell) for cell in (more, less))
    seeds = first.index.intersection(second.index)
    gap = first.loc[seeds, "value"] - second.loc[seeds, "value"]
    return interval(gap, np.hypot(first.loc[seeds, "standard_error"], second.loc[seeds, "standard_error"]))


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


def _error(method: str, shift: str, severity: int, metric: str = "error") -> dict[str, object]:
    return {"method": method, "shift": shift, "severity": severity, "metric": metric}


def _rises_with_severity(rows: pd.DataFrame) -> Contrasts:
    return {
        f"{METHODS[method].title}, severity {level + 1} less {level}": difference(
            rows, _error(method, ALL, level + 1), _error(method, ALL, level)
        )
        for method in present(rows)
        for level in SEVERITIES[:-1]
    }


def _weather_is_worst(rows: pd.DataFrame) -> Contrasts:
    return {
        f"{METHODS[method].title}, weather less {group}": difference(
            rows, _error(method, "weather", 0), _error(method, group, 0)
        )
        for method in present(rows)
        for group in GROUPS
        if group != "weather"
    }


def _dips_at_three(shift: str) -> Callable[[pd.DataFrame], Contrasts]:
    def contrasts(rows: pd.DataFrame) -> Contrasts:
        return {
            f"{METHODS[method].title}, severity 2 less 3": difference(
                rows, _error(method, shift, 2), _error(method, shift, 3)
            )
            for method in present(rows)
        }

    return contrasts


def _above_supervised(metric: str) -> Callable[[pd.DataFrame], Contrasts]:
    def contrasts(rows: pd.DataFrame) -> Contrasts:
        if "supervised" not in set(rows["method"]):
            return {}
        return {
            f"{METHODS[method].title} less Supervised": difference(
                rows, _error(method, ALL, 0, metric), _error("supervised", ALL, 0, metric)
            )
            for method in present(rows)
        }

    return contrasts


def _beats_control(metric: str) -> Callable[[pd.DataFrame], Contrasts]:
    def contrasts(rows: pd.DataFrame) -> Contrasts:
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
    Claim("Snow hurts less at severity 3 than at 2.", "Q4", _dips_at_three("snow")),
    Claim("Elastic transforms hurt less at severity 3 than at 2.", "Q4", _dips_at_three("elastic_transform")),
    Claim("Self-supervised encoders err more on corrupted pictures than the supervised one.", "figure 1",
          _above_supervised("error")),
    Claim("They also lose more from clean to corrupted pictures.", "ours", _above_supervised("relative error")),
)  # fmt: skip

# Ours: without these no other number means anything.
CONTROLS = (
    Claim("Every trained method beats random weights by nearest neighbours.", "ours", _beats_control("knn accuracy")),
    Claim("Every trained method beats random weights by the linear probe.", "ours", _beats_control("probe accuracy")),
)
