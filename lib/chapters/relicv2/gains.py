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
    in_and_out,
    scatter_of_controls,
)
from lib.chapters.relicv2.plan import CROPPED
from lib.chapters.relicv2.words import MASK_WORDS, MASKS
from lib.errors import BadInput
from lib.figures.levels import pair_gaps
from lib.figures.prose import NONE, mark
from lib.measures import Interval, read_together
from lib.measures.rows import Rows


def ahead_table(rows: Rows) -> Rows:
    """A line another system: how many points ReLICv2 is ahead of it, in domain and on the mean of the shifts."""
    return _held(_less("ReLICv2 less", rows, OURS, {named_in_text(other): other for other in OTHERS}))


def masks_table(rows: Rows) -> Rows:
    """A line a share of crops without background and what learned masks are compared with there: points gained."""
    tables = []
    for share, (base, others) in MASKS.items():
        own = _less("learned masks less", rows, base, dict(zip(MASK_WORDS, others, strict=True)))
        tables.append(own.assign(**{"share removed": f"{share:g}"})[["share removed", *own]])
    return _held(pd.concat(tables, ignore_index=True))


def crops_table(rows: Rows) -> Rows:
    """A line another number of crops, at equal passes: what our number gains beside it."""
    others = {f"{large} large and {small} small": name for name, (large, small) in CROPPED.items()}
    return _held(_less(f"{default('large')} large and {default('small')} small less", rows, OURS, others))


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


def _less(words: str, rows: Rows, base: str, others: Mapping[str, str]) -> Rows:
    """Points of `base` less each of `others` (title -> system), in domain and on the mean of the shifts of all."""
    scores, count = in_and_out(rows, (base, *others.values()))
    gaps = read_together(pair_gaps(scores, [(base, name) for name in others.values()], (IN, OUT)))
    columns = {IN: "in domain (points)", OUT: f"{mean_words(count)} (points)"}
    return pd.DataFrame(
        [
            {words: title} | {column: _cell(gaps, (base, name, place)) for place, column in columns.items()}
            for title, name in others.items()
            if any((base, name, place) in gaps for place in columns)
        ],
        columns=[words, *columns.values()],
    )


def _held(table: Rows) -> Rows:
    if table.empty:
        raise BadInput("these rows hold none of the differences of this table")
    return table


def _cell(gaps: Mapping[tuple[str, str, str], Interval], key: tuple[str, str, str]) -> str:
    return f"{gaps[key]}{mark(gaps[key])}" if key in gaps else NONE
