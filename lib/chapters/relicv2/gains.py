"""What ReLICv2 has over other systems, and its parts over others, as tables of differences in points."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lib.chapters.relicv2.figures import mean_words, named_in_text
from lib.chapters.relicv2.numbers import (
    IN,
    OTHERS,
    OURS,
    OUT,
    default,
    effective,
    extended,
    gaps_to_others,
    in_and_out,
    scatter_of_controls,
)
from lib.chapters.relicv2.plan import CROPPED
from lib.chapters.relicv2.words import MASK_WORDS, MASKS
from lib.errors import BadInput
from lib.figures.levels import pair_gaps
from lib.figures.prose import NONE, mark
from lib.measures import Estimate, Interval, read_together
from lib.measures.rows import Rows


def ahead_table(rows: Rows) -> Rows:
    """A line another system: how many points ReLICv2 is ahead of it, in domain and on the mean of the shifts."""
    found = gaps_to_others(rows)
    gaps = read_together({key: gap for key, gap in found.items() if key[2] in (IN, OUT)})
    lines = {named_in_text(other): (OURS, other) for other in OTHERS}
    return _beside("ReLICv2 less", lines, gaps, in_and_out(rows, (OURS, *OTHERS))[1])


def masks_table(rows: Rows) -> Rows:
    """A line a share of crops without background and what learned masks are compared with there: points gained."""
    tables = []
    for share, (base, others) in MASKS.items():
        pairs = {words: (base, name) for words, name in zip(MASK_WORDS, others, strict=True)}
        scores, count = in_and_out(rows, (base, *others))
        gaps = read_together(pair_gaps(scores, pairs.values(), (IN, OUT)))
        if gaps:
            own = _beside("learned masks less", pairs, gaps, count)
            own.insert(0, "share removed", f"{share:g}")
            tables.append(own)
    if not tables:
        raise BadInput("these rows hold no system whose backgrounds are kept, or removed by other masks")
    return pd.concat(tables, ignore_index=True)


def crops_table(rows: Rows) -> Rows:
    """A line another number of crops, at equal passes: what our number gains beside it."""
    names = {f"{large} large and {small} small": (OURS, name) for name, (large, small) in CROPPED.items()}
    found: dict[tuple[str, str, str], Estimate] = {}
    counts = {}
    for pair in names.values():
        scores, counts[pair] = in_and_out(rows, pair)
        found |= pair_gaps(scores, [pair], (IN, OUT))
    own = f"{default('large')} large and {default('small')} small less"
    return _beside(own, names, read_together(found), max(counts.values()))


def effective_table(rows: Rows) -> Rows:
    """A line a shift: how far ReLICv2 lies above the line through the controls, beside how far these lie off it."""
    table, lines = effective(rows)
    told = []
    for name in lines:
        for line in table[(table["set"] == name) & (table["system"] == OURS)].itertuples():
            above = Interval(line.above, line.above_low, line.above_high)
            told.append({"shift": name, "points above the line": f"{above}{mark(above)}",
                         "controls lie off it by up to": f"{scatter_of_controls(table, name):.1f}",
                         "the line is extended": "yes" if extended(table, name) else "no"})  # fmt: skip
    if not told:
        raise BadInput("these rows hold no line through controls")
    return pd.DataFrame(told)


def _beside(
    words: str, lines: Mapping[str, tuple[str, str]], gaps: Mapping[tuple[str, str, str], Interval], count: int
) -> Rows:
    """The `gaps` of each of `lines`, in domain and on the mean of `count` shifts; BadInput where there is none."""
    columns = {IN: "in domain", OUT: mean_words(count)}
    held = {name: pair for name, pair in lines.items() if any((*pair, place) in gaps for place in columns)}
    if not held:
        raise BadInput(f"these rows hold none of the differences of {words} another")
    return pd.DataFrame(
        {words: name} | {f"{column} (points)": _cell(gaps, (*pair, place)) for place, column in columns.items()}
        for name, pair in held.items()
    )


def _cell(gaps: Mapping[tuple[str, str, str], Interval], key: tuple[str, str, str]) -> str:
    return f"{gaps[key]}{mark(gaps[key])}" if key in gaps else NONE
