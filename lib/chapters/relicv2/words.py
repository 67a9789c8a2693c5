"""Sentences of the notebook on ReLICv2 out of distribution, computed from rows; none is ever empty.

What is shown to lie on one side of zero is said to be so; of the rest it is said that there is no effect beyond a
margin, where that is shown, and else that it is undecided. Differences of one sentence are read together, see
`lib.measures.read_together`, except those that a claim of the chapter compares: they have its verdict.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from lib.chapters.relicv2.figures import HEAD_WORDS, PLACE_WORDS, mean_words, named_in_text, variant
from lib.chapters.relicv2.numbers import (
    GAP,
    HEADS,
    IN,
    LIKE_FOR_LIKE,
    MEAN,
    OTHERS,
    OURS,
    OUT,
    REMOVED,
    WORLDS,
    Pair,
    ablation_gaps,
    background_differences,
    background_gaps,
    claimed,
    default,
    in_and_out,
    own_systems,
    part_levels,
    segmentation_levels,
    sweep_gaps,
    sweep_levels,
    sweeps,
)
from lib.chapters.relicv2.plan import SYSTEMS
from lib.contrasts import picked
from lib.controls import CHANCE
from lib.figures.datasets import set_title
from lib.figures.levels import intervals, pair_gaps, tally
from lib.figures.prose import UNTOLD, by_sign, by_verdict, listed, lower, mark, verb_once
from lib.measures import Interval, read_together
from lib.measures.rows import Rows
from lib.verdicts import MARGIN, no_effect

MASKS = {  # share of the large crops without background: the system, and what it is compared with
    default("removed"): (OURS, ("relicv2 no saliency", "relicv2 shuffled", "relicv2 exact")),
    SYSTEMS[REMOVED].settings["removed"]: (
        REMOVED, ("relicv2 no saliency", f"{REMOVED} shuffled", f"{REMOVED} exact"),
    ),
}  # fmt: skip


MASK_WORDS = ("backgrounds kept", "masks of other images", "exact masks")


PARTS_OF_METHOD = {  # that claims are about, and what the method without it is called
    "the invariance loss": "relicv2 no invariance", "the removal of backgrounds": "relicv2 no saliency",
    "the small crops": "relicv2 2+0",
}  # fmt: skip


def swept(rows: Rows) -> bool:
    """Whether there are systems of other settings to compare."""
    return bool(sweeps(rows))


def relicv2_words(rows: Rows) -> dict[str, str]:
    """The words that the notebook shows, of the rows of one data set."""
    return {
        "ablation-words": ablation_words(rows),
        "removal-words": removal_words(rows),
        "gap-words": gap_words(rows),
    }


def relicv2_details(rows: Rows) -> dict[str, str]:
    """The words that the notebook of details shows, of the rows of one data set."""
    return {
        "sweep-words": sweep_words(rows),
        "background-words": background_words(rows),
        "segmentation-words": segmentation_words(rows),
    }


def agreed(answers: Mapping[str, str]) -> str:
    """Title of a data set -> its answer: the answer itself where all have one, or else each behind its title."""
    if len(set(answers.values())) == 1:
        return next(iter(answers.values()))
    return " ".join(f"{title}: {lower(told)}" for title, told in answers.items()) or UNTOLD


def parts_answer(rows: Rows) -> str:
    """Of rows of one data set or more: which parts are shown to help or to hurt under shifts; a sentence."""
    homes: dict[str, list[str]] = {}  # what is said -> of which data sets
    for words, own in _homes(rows).items():
        if found := _parts({words: own}):
            told = [_said(effect, list(found[effect])) for effect in ("helps", "hurts") if found.get(effect)]
            homes.setdefault(", and ".join(told), []).append(words)
    if not homes:
        return UNTOLD
    none = f"none of its {len(PARTS_OF_METHOD)} parts is shown to help or to hurt"
    told = [f"on {listed(own)} {words or none}" for words, own in homes.items()]
    return f"Averaged over the shifts, {'; '.join(told)}."


def _homes(rows: Rows) -> dict[str, Rows]:
    """Title of a data set -> its rows."""
    return {set_title(name): rows[rows["dataset"] == name] for name in dict.fromkeys(rows["dataset"])}


def _parts(homes: Mapping[str, Rows]) -> dict[str, dict[str, dict[str, Interval]]]:
    """Key of `_SHOWN`, of those there are -> part of the method -> data set -> what it adds on the mean of the shifts,
    by the verdict of the claim about it."""
    found: dict[str, dict[str, dict[str, Interval]]] = {effect: {} for effect in _SHOWN}
    for words, own in homes.items():
        judged = claimed(own)
        for part, without in PARTS_OF_METHOD.items():
            if gap := judged.get((OURS, without, OUT)):
                found[_effect(gap)].setdefault(part, {})[words] = gap
    return {effect: parts for effect, parts in found.items() if parts}


def relicv2_answer(rows: Rows) -> str:
    """Of rows of one data set or more: what ReLICv2 is worth beside supervision like for like, and which of its parts
    are shown to help under shifts; two sentences."""
    homes = _homes(rows)
    told = [f"on {words} {both}" for words, own in homes.items() if (both := _like_for_like(own))]
    first = f"Beside supervision with the same images, crops and passes, ReLICv2 {'; '.join(told)}." if told else ""
    found = _parts(homes)
    told = [_said(effect, [f"{part} ({_each(own)})" for part, own in parts.items()]) for effect, parts in found.items()]
    second = f"In points on the mean of the shifts, {'; '.join(told)}." if told else ""
    return f"{first} {second}".strip() or UNTOLD


def _each(gaps: Mapping[str, Interval]) -> str:
    return listed([f"{words} {gap}" for words, gap in gaps.items()])


def _like_for_like(rows: Rows) -> str:
    """is 1.2 [0.4, 2.0] points ahead in domain and ..."""
    pair = (OURS, LIKE_FOR_LIKE)
    scores, count = in_and_out(rows, pair)
    gaps = read_together(pair_gaps(scores, [pair], (IN, OUT)))
    words = {IN: "in domain", OUT: f"on the {mean_words(count)}"}
    return verb_once([beside(gap, words[name]) for (*_, name), gap in gaps.items()]) if gaps else ""


def beside(gap: Interval, where: str) -> str:
    """is 1.2 [0.4, 2.0] points ahead in domain"""
    return f"{by_sign(gap, 'is {} points ahead', 'is {} points behind', 'differs by {} points')} {where}{mark(gap)}"


_SHOWN = {  # `_effect` -> what is said of one part, and of several
    "helps": ("is shown to help", "are shown to help"),
    "hurts": ("is shown to hurt", "are shown to hurt"),
    "equal": (f"has {no_effect(MARGIN)}", f"have {no_effect(MARGIN)}"),
    "undecided": ("is undecided", "are undecided"),
}


def _said(effect: str, parts: list[str]) -> str:
    """Key of `_SHOWN`, and the parts of the method that have it: a is shown to help; a and b are shown to help."""
    several = len(parts) > 1 or "crops" in parts[0]
    return f"{listed(parts)} {_SHOWN[effect][several]}"


def _effect(gap: Interval) -> str:
    """Of what is there, less what is not."""
    return by_verdict(gap, *_SHOWN)


def ablation_words(rows: Rows) -> str:
    """Which changes of ReLICv2 are shown to cost or to gain, where, of those of the figure."""
    found, count = ablation_gaps(rows)
    words = PLACE_WORDS | {OUT: f"on the {mean_words(count)}"}
    gaps = {f"{variant(name)}, {words[place]}": gap for (_, name, less, place), gap in found.items() if less == OURS}
    if not gaps:
        return UNTOLD
    cost = [f"{named} ({gap})" for named, gap in gaps.items() if gap.sign < 0]
    gain = [f"{named} ({gap})" for named, gap in gaps.items() if gap.sign > 0]
    told = [
        f"Shown to cost points: {'; '.join(cost)}." if cost else "",
        f"Shown to gain: {'; '.join(gain)}." if gain else "",
    ]
    if any(told):
        return " ".join(filter(None, told))
    if all(math.isnan(gap.low) for gap in gaps.values()):
        return "One seed decides nothing."
    return "No change is shown to cost or to gain points."


def removal_words(rows: Rows) -> str:
    """Whether removing helps and whether it matters what is removed."""
    sentences = [
        f"With backgrounds removed from {share:g} of the large crops, "
        f"{'; '.join(lower(verdict).rstrip('.') for verdict in verdicts)}."
        for share, verdicts in _removals(rows)
    ]
    return " ".join(sentences) or UNTOLD


def _removals(rows: Rows) -> Iterator[tuple[float, list[str]]]:
    """For each share of crops without background: that share, and what learned masks gain there, in words."""
    for share, (base, others) in MASKS.items():
        _, count = in_and_out(rows, (base, *others))
        judged = claimed(rows)
        where = {IN: "in domain", OUT: f"on the {mean_words(count)}"}
        told = list(filter(None, (_what_helps(judged, base, others, name, words) for name, words in where.items())))
        if told:
            yield share, told


def _what_helps(gaps: Mapping, base: str, others: Iterable[str], name: str, where: str) -> str:
    """Whether removing helps at all, and whether it matters what is removed; empty where one was not measured."""
    none, shuffled, *_ = (gaps.get((base, other, name)) for other in others)
    if none is None or shuffled is None:
        return ""
    helps = by_verdict(
        none, "removal helps", "removal hurts", f"removal has {no_effect(MARGIN)} points",
        "whether removal helps is undecided",
    )  # fmt: skip
    matters = by_verdict(
        shuffled, "learned masks beat masks of other images", "masks of other images beat learned ones",
        f"what is removed has {no_effect(MARGIN)} points", "whether it matters what is removed is undecided",
    )  # fmt: skip
    return f"{where[0].upper()}{where[1:]}: {helps}, {matters}."


def sweep_words(rows: Rows) -> str:
    """How wide the interval of our choice is, and how many other values of a sweep differ from it."""
    table, count = sweep_levels(rows)
    if table.empty:
        return UNTOLD
    where = {IN: "in domain", OUT: f"on the {mean_words(count)}"}
    ours = table[table["system"] == OURS].drop_duplicates("set").set_index("set")
    sentences = []
    widths = (ours["high"] - ours["low"]).dropna()
    if len(widths):
        wide = [f"{width:.1f} {where[name]}" for name, width in widths.items()]
        sentences.append(f"The interval of our choice is as wide as {listed(wide)}, in points.")
    gaps = read_together(sweep_gaps(rows))
    return " ".join([*sentences, f"Other values less our choice: {lower(tally(gaps.values()))}"])


def gap_words(rows: Rows) -> str:
    """How much a probe on ReLICv2 leans on walls that go with classes, and beside whom it does so less or more."""
    found = _tied_gap(rows)
    if found is None:
        return UNTOLD
    gap, named = found
    parts: dict[str, list[str]] = {"larger than that of": [], "smaller than that of": [],
                                   f"within ±{MARGIN:g} points of that of": [],
                                   "undecided against that of": []}  # fmt: skip
    for words, difference in named.items():
        parts[by_verdict(difference, *parts)].append(words)
    told = "; ".join(f"{begin} {listed(own)}" for begin, own in parts.items() if own)
    begin = f"Where walls go with classes the background gap of ReLICv2 is {gap} points"
    return f"{begin}; it is {told}." if told else f"{begin}."


def _tied_gap(rows: Rows) -> tuple[Interval, dict[str, Interval]] | None:
    """ReLICv2's background gap where walls go with classes, and less that of each other system; None without one."""
    _, tied = WORLDS
    gaps = background_gaps(rows)
    own = [Interval(line.mean, line.low, line.high)
           for line in gaps[(gaps["world"] == tied) & (gaps["system"] == OURS)].itertuples()]  # fmt: skip
    if not own:
        return None
    differences = read_together(background_differences(rows, [(OURS, name) for name in OTHERS], GAP, tied))
    return own[-1], {named_in_text(other): gap for (_, other), gap in differences.items()}


def background_words(rows: Rows) -> str:
    """How much a probe leans on walls that go with classes, and what the removal of backgrounds does to that."""
    free, tied = WORLDS
    own_systems(rows)
    gaps, parts = background_gaps(rows), part_levels(rows)
    main = [OURS, *OTHERS]
    sentences = []
    if found := _tied_gap(rows):
        gap, named = found
        sentences.append(
            f"Where walls go with classes the background gap of ReLICv2 is {gap} points"
            + (
                f"; less that of {listed([f'{words} {less}{mark(less)}' for words, less in named.items()])}."
                if named
                else "."
            )
        )
    wall = parts[(parts["world"] == tied) & (parts["part"] == "only background") & (parts["system"] == OURS)]
    if len(wall):
        sentences.append(f"From walls alone its probe is right for {intervals(wall)[0]} %, chance being "
                         f"{CHANCE['scenes']:.0f} %.")  # fmt: skip
    sentences += _of_removal(rows, tied)
    nothing = gaps[(gaps["world"] == free) & gaps["system"].isin(main) & gaps["low"].notna()]
    if len(nothing):
        zero = int(((nothing["low"] <= 0) & (nothing["high"] >= 0)).sum())
        sentences.append(f"Where walls say nothing, the intervals of {zero} of {len(nothing)} gaps hold zero.")
    return " ".join(sentences) or UNTOLD


def _of_removal(rows: Rows, world: str) -> list[str]:
    pairs: dict[Pair, str] = {
        (base, names[0]): f"removed from {share:g} of the large crops" for share, (base, names) in MASKS.items()
    }
    gaps = read_together(background_differences(rows, pairs, GAP, world))
    told = [f"{words} {gaps[pair]}{mark(gaps[pair])}" for pair, words in pairs.items() if pair in gaps]
    return [f"The gap with backgrounds removed less the gap with backgrounds kept: {'; '.join(told)}."] if told else []


def segmentation_words(rows: Rows) -> str:
    """How well a pixel's class is read from ReLICv2's features."""
    own = picked(segmentation_levels(rows), {"system": OURS, "of": MEAN}).set_index("head")
    told = [f"{intervals(own.loc[[head]])[0]} % with the {HEAD_WORDS[head]}" for head in HEADS if head in own.index]
    return f"ReLICv2 reaches an mIoU of {listed(told)}." if told else UNTOLD
