"""Verdicts: what a claim asserts, judged by its estimand.

A claim is put as contrasts: differences in percentage points that it says are above zero. What it speaks of in general
is judged by their mean, and what it says of every one, by all of them. It

- **holds** if the mean is shown to be above zero, or each of all;
- is **reversed** if the mean is shown to be below, or one of all, by Holm's correction for their number;
- has **no effect** beyond a margin that was set with the claim, if the mean, or each of all, is shown to lie within it
  to either side, by two one-sided tests;
- is **undecided** otherwise, with what would decide it.

Errors are controlled over all claims of a chapter on the same data: Benjamini and Hochberg's adjusted p values decide.
Claims that rows cannot test have no line. Claims are found by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from lib.contrasts import Contrasts, Kept, convolutional, estimates, mean_of
from lib.errors import one_of
from lib.measures import Estimate, Interval
from lib.measures.statistics import false_discovery

HOLDS, REVERSED, NO_EFFECT, UNDECIDED, NOT_TESTED = "holds", "reversed", "no effect", "undecided", "not tested"
LEVEL = 0.05  # of errors among verdicts
UNJUDGED = "These rows do not hold what the answer is judged by."  # of a headline whose claim is not tested
MARGIN = 2.0  # points: what is less hardly matters to whoever chooses an encoder


@dataclass(frozen=True)
class Claim:
    """`statement` in our words, `source` where the paper says it, and what it asserts to be positive.

    `name` is a short slug that stays while words change, one of its own in each chapter; see `named`.
    `contrasts` gets the rows of convolutional encoders, or of `all_encoders`. `every`: it asserts each of them, and not
    their mean. `margin` is in the contrasts' unit; None where "no effect" would say nothing, such as of a claim that is
    a margin itself. `published` is the paper's own effect in points, where it has a number for what is compared.
    """

    name: str
    statement: str
    source: str
    contrasts: Callable[[pd.DataFrame], Contrasts]
    all_encoders: bool = False
    every: bool = False
    margin: float | None = MARGIN
    published: Callable[[], float] | None = None


@dataclass(frozen=True)
class Verdict:
    """`contrast` are the words of what decides, `difference` its value; `cells` are all contrasts of the claim.

    `effect` and `equivalence` are plain p values: two-sided, of a difference from zero, and of one within the margin.
    `adjusted` and `adjusted_equivalence` take a chapter's claims into account, if they were judged together.
    """

    claim: Claim
    verdict: str
    contrast: str
    difference: Estimate | None  # None: not tested
    cells: Mapping[str, Estimate]
    effect: float = np.nan
    equivalence: float = np.nan
    adjusted: float = np.nan
    adjusted_equivalence: float = np.nan

    @property
    def tested(self) -> bool:
        return self.difference is not None


@dataclass(frozen=True)
class Headline:
    """An answer in one plain sentence, by what one claim turns out to be; `topic` is a word or two for a figure.

    Each sentence says as much as its verdict does, without a number.
    """

    topic: str
    claim: str  # its name
    holds: str
    reversed: str
    no_effect: str
    undecided: str

    def told(self, verdict: str) -> str:
        """The sentence of one of the verdicts; of what is not tested, that it is not."""
        sentences = {HOLDS: self.holds, REVERSED: self.reversed, NO_EFFECT: self.no_effect, UNDECIDED: self.undecided}
        return sentences.get(verdict, UNJUDGED)


def answer(headline: Headline, claims: Sequence[Claim], rows: pd.DataFrame) -> str:
    """The sentence of a chapter's `headline` for what its claim turns out to be beside all `claims` in these rows."""
    name = named(claims, headline.claim).name
    return headline.told(next(own for own in judged(claims, rows) if own.claim.name == name).verdict)


def named(claims: Sequence[Claim], name: str) -> Claim:
    """The one of `claims` with this name. Raises BadInput, with the names that there are, for another."""
    by_name = {claim.name: claim for claim in claims}
    return by_name[one_of(name, by_name, "claim")]


def of_gap(gap: Interval, margin: float | None = MARGIN) -> str:
    """The verdict on one difference, for a sentence: `HOLDS` above zero, `REVERSED` below, `NO_EFFECT` where it is
    shown to be within the `margin` (None: never), else `UNDECIDED`.

    Differences of one sentence go through `lib.measures.read_together` first.
    """
    if gap.sign:
        return HOLDS if gap.sign > 0 else REVERSED
    return NO_EFFECT if margin is not None and gap.equal(margin) else UNDECIDED


@dataclass(frozen=True)
class _Decided(Estimate):
    """What decides a claim, with the sign of its verdict; see `decided`."""

    verdict: str
    margin: float | None  # of the claim

    def __neg__(self) -> _Decided:
        turned = {HOLDS: REVERSED, REVERSED: HOLDS}
        return replace(super().__neg__(), verdict=turned.get(self.verdict, self.verdict))

    @property
    def sign(self) -> int:
        return {HOLDS: 1, REVERSED: -1}.get(self.verdict, 0)

    def equal(self, margin: float) -> bool:
        return self.verdict == NO_EFFECT and self.margin is not None and self.margin <= margin


def decided(claims: Sequence[Claim], rows: pd.DataFrame) -> dict[str, Estimate]:
    """Name of each of `claims` that `rows` can test -> the difference that decides it.

    Its `sign` and `equal` are those of its verdict among all claims, so that a sentence about what a claim compares
    says what the table of verdicts says, however many other differences the sentence names.
    """
    found: dict[str, Estimate] = {}
    for own in judged(claims, rows):
        if (gap := own.difference) is not None:
            numbers = (gap.mean, gap.low, gap.high, gap.standard_error, gap.degrees)
            found[own.claim.name] = _Decided(*numbers, own.verdict, own.claim.margin)
    return found


def no_effect(margin: float) -> str:
    """The verdict in words, with its margin."""
    return f"no effect beyond ±{margin:g}"


def judge(claim: Claim, rows: pd.DataFrame) -> Verdict:
    """The verdict on one claim by itself; see `judged` for those of a chapter."""
    return judged([claim], rows)[0]


def judged(claims: Sequence[Claim], rows: pd.DataFrame) -> list[Verdict]:
    """Verdicts on claims that are read together, such as all of a chapter on one data set, in their order."""
    kept = Kept()
    found = [_tested(claim, rows, kept) for claim in claims]
    tested = [verdict for verdict in found if verdict.tested]
    equal = [verdict for verdict in tested if not np.isnan(verdict.equivalence)]
    effects = dict(zip(map(id, tested), false_discovery([verdict.effect for verdict in tested]), strict=True))
    equals = dict(zip(map(id, equal), false_discovery([verdict.equivalence for verdict in equal]), strict=True))
    return [
        _decided(replace(own, adjusted=effects[id(own)], adjusted_equivalence=equals.get(id(own), np.nan)))
        if own.tested
        else own
        for own in found
    ]


def _tested(claim: Claim, rows: pd.DataFrame, kept: Kept) -> Verdict:
    """The p values of a claim, and in `verdict` what it would be if it were shown to be something."""
    contrasts = claim.contrasts(rows if claim.all_encoders else convolutional(rows))
    if not contrasts:
        return Verdict(claim, NOT_TESTED, "what the claim speaks of is not in these rows", None, {})
    if claim.every or len(contrasts) == 1:
        cells = estimates(contrasts, kept)
        judged_by = cells
    else:
        mean = f"mean of {len(contrasts)}"
        found = estimates(contrasts | {mean: mean_of(list(contrasts.values()))}, kept)
        judged_by = {mean: found.pop(mean)}
        cells = found
    above = {words: own.above() for words, own in judged_by.items()}
    below = {words: own.below() for words, own in judged_by.items()}
    weakest = max(above, key=lambda words: (above[words], -judged_by[words].mean))
    worst = min(below, key=lambda words: (below[words], judged_by[words].mean))
    holds, reverses = above[weakest], min(1.0, len(below) * below[worst])  # the first step of Holm's
    words, direction = (weakest, HOLDS) if holds <= reverses else (worst, REVERSED)
    equivalence = np.nan
    if claim.margin is not None:
        equivalence = max(own.within(claim.margin) for own in judged_by.values())
    effect = min(1.0, 2 * min(holds, reverses))
    return Verdict(claim, direction, words, judged_by[words], cells, effect, equivalence)


def _decided(verdict: Verdict) -> Verdict:
    if verdict.adjusted <= LEVEL:
        return verdict
    outcome = NO_EFFECT if verdict.adjusted_equivalence <= LEVEL else UNDECIDED
    return replace(verdict, verdict=outcome)


def in_words(verdict: Verdict) -> str:
    """The verdict as a table has it: with the margin of "no effect", and with what would decide an undecided one."""
    if verdict.verdict == NO_EFFECT and verdict.claim.margin is not None:
        return no_effect(verdict.claim.margin)
    if verdict.verdict != UNDECIDED or verdict.difference is None:
        return verdict.verdict
    found = verdict.difference.found()
    if np.isnan(found):
        return "undecided (would need more than one seed)"
    return f"undecided (would need {found:.1f} points)"


def verdicts(claims: Sequence[Claim], rows: pd.DataFrame, chapter: Sequence[Claim] = ()) -> pd.DataFrame:
    """A table with a line for each of `claims` that rows can test; errors are controlled over those of `chapter`.

    `chapter` are all claims of a chapter, `claims` among them; without it, `claims` are all. An undecided verdict says
    how large a difference would have been found with 80 % power.
    """
    found = {verdict.claim.name: verdict for verdict in judged([*claims, *_others(chapter, claims)], rows)}
    lines = [found[claim.name] for claim in claims if found[claim.name].tested]
    table = pd.DataFrame([_line(verdict) for verdict in lines], columns=list(COLUMNS))
    return table.drop(columns=[name for name in ("of its cells", "published") if not table[name].any()])


COLUMNS = (
    "claim", "source", "verdict", "judged by", "difference (points)", "of its cells", "p (adjusted)", "published",
)  # fmt: skip


def _others(chapter: Sequence[Claim], claims: Sequence[Claim]) -> list[Claim]:
    names = {claim.name for claim in claims}
    return [claim for claim in chapter if claim.name not in names]


def _line(verdict: Verdict) -> tuple:
    above, below = (sum(own.sign == sign for own in verdict.cells.values()) for sign in (1, -1))
    count = len(verdict.cells)
    return (
        verdict.claim.statement,
        verdict.claim.source,
        in_words(verdict),
        verdict.contrast,
        str(verdict.difference),
        f"{above} of {count} above, {below} below" if count > 1 else "",
        f"{_p(verdict.effect)} ({_p(verdict.adjusted)})",
        published(verdict),
    )


def published(verdict: Verdict) -> str:
    """The paper's effect, and whether our interval excludes it at our scale; empty where there is none."""
    if verdict.claim.published is None or verdict.difference is None:
        return ""
    effect, own = verdict.claim.published(), verdict.difference
    if own.low <= effect <= own.high or np.isnan(own.low):
        return f"{effect:+.1f}"
    return f"excludes the published {effect:+.1f} here"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
