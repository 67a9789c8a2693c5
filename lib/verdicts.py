"""Verdicts: what a claim asserts, judged by the intervals of its contrasts.

A claim is put as contrasts: differences in percentage points that it says are above zero. It holds if every contrast's
95 % interval lies above zero, fails if one lies at or below zero, and is undecided otherwise. The contrast named in a
verdict is the one that decides it: the lowest. A claim about what the rows lack is not tested. Claims are found by
name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from lib.contrasts import Contrasts, convolutional
from lib.errors import one_of
from lib.measures import Interval

HOLDS, FAILS, UNDECIDED, NOT_TESTED = "holds", "fails", "undecided", "not tested"


@dataclass(frozen=True)
class Claim:
    """`statement` in our words, `source` where the paper says it, and what it asserts to be positive.

    `name` is a short slug that stays while words change, one of its own in each chapter; see `named`.
    `contrasts` gets the rows of convolutional encoders, or of `all_encoders`.
    """

    name: str
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


def named(claims: Sequence[Claim], name: str) -> Claim:
    """The one of `claims` with this name. Raises BadInput, with the names that there are, for another."""
    by_name = {claim.name: claim for claim in claims}
    return by_name[one_of(name, by_name, "claim")]


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
