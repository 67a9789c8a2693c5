"""What ReLICv2 has over other systems, and its parts over others, as tables of differences in points."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from lib.chapters.relicv2.figures import HEAD_WORDS, SETTING_WORDS, mean_words, named_in_text
from lib.chapters.relicv2.numbers import (
    HEADS,
    IN,
    OTHERS,
    OURS,
    OUT,
    default,
    effective,
    extended,
    in_and_out,
    scatter_of_controls,
    segmentation_gaps,
    sweep_gaps,
    sweep_levels,
    sweeps,
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


def sweep_table(rows: Rows) -> Rows:
    """A line a value of a setting that no source gives, other than ours: what it gains beside ours."""
    count, gaps = sweep_levels(rows)[1], read_together(sweep_gaps(rows))
    places = {IN: "in domain (points)", OUT: f"{mean_words(count)} (points)"}
    ours = {setting: value for setting, own in sweeps(rows).items() for value, name in own.items() if name == OURS}
    lines = [
        {"setting": SETTING_WORDS[setting], "value": value, "less ours": ours[setting]}
        | {column: _cell(gaps, (setting, value, place)) for place, column in places.items()}
        for setting, value in dict.fromkeys((setting, value) for setting, value, _ in gaps)
    ]
    return _held(pd.DataFrame(lines))


def segmentation_table(rows: Rows) -> Rows:
    """A line another system: how many points of mIoU ReLICv2 is ahead of it, by each head."""
    found = segmentation_gaps(rows)
    heads = [head for head in HEADS if any(its == head for _, its in found)]
    by_head = [read_together({key: gap for key, gap in found.items() if key[1] == head}) for head in heads]
    gaps = {key: gap for own in by_head for key, gap in own.items()}
    lines = [
        {"ReLICv2 less": named_in_text(other)}
        | {f"{HEAD_WORDS[head]} (points of mIoU)": _cell(gaps, (other, head)) for head in heads}
        for other in dict.fromkeys(other for other, _ in gaps)
    ]
    return _held(pd.DataFrame(lines))


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


def _cell(gaps: Mapping[tuple, Interval], key: tuple) -> str:
    return f"{gaps[key]}{mark(gaps[key])}" if key in gaps else NONE
