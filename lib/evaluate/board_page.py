"""A board as a page shows it: a table that sorts and filters where scripts run, a download, and two figures."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML

from lib.errors import BadInput
from lib.evaluate.axes import HEAD
from lib.evaluate.boards import AN_ENTRY, Board, Column, axis_title, gap, incomparable, ranks_of
from lib.evaluate.drawings import draw
from lib.evaluate.entries import Entry
from lib.evaluate.plan import CORRUPTION
from lib.figures.figure import Figure, Tabs, csv_link
from lib.figures.matrix import draw_matrix
from lib.figures.style import settle, use_style
from lib.figures.tables import table as figure_table
from lib.measures.rows import SEVERITY
from lib.measures.statistics import correlation

FEWEST = 5  # systems that two columns share, or nothing is drawn of them
MOST_PLOTS = 6
MOST_COLUMNS = 6  # numbers of a table that is no wider than a page's text
# Okabe and Ito's, for families in their order; entries are black stars.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8A6D00", "#999999", "#004B77", "#A34700")
MARKERS = "osv^PdXD<>"

STYLE = """<style>
.board { overflow: auto; max-height: min(85vh, 52rem); margin: .8rem 0; }
.board table { border-collapse: separate; border-spacing: 0; font-size: .8em; font-variant-numeric: tabular-nums; }
.board :is(th, td) { padding: .2em .4em; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--pst-color-border, #ccc); }
.board thead th { position: sticky; top: 0; z-index: 2; background: var(--pst-color-background, #fff);
  font-weight: 600; line-height: 1.3; }
.board tbody th { position: sticky; left: 0; z-index: 1; background: var(--pst-color-background, #fff);
  min-width: 6.5rem; max-width: 13rem; font-weight: 400; line-height: 1.3; overflow-wrap: anywhere; }
.board tr.entry th { font-weight: 700; }
.board .of { display: block; color: var(--pst-color-text-muted, #666); font-size: .85em; font-weight: 400;
  overflow-wrap: anywhere; }
.board button { all: unset; cursor: pointer; } .board button:focus-visible { outline: 2px solid; }
.board [aria-sort=ascending] button::after { content: " \\2191"; }
.board [aria-sort=descending] button::after { content: " \\2193"; }
</style>"""

# Makes headings buttons that sort, and shows a field that filters; without it the table is as it stands.
SCRIPT = """<script>
document.querySelectorAll('.board:not([data-live])').forEach(box => {
  box.dataset.live = 1;
  const body = box.querySelector('tbody'), heads = [...box.querySelectorAll('thead th')];
  const value = (row, place) => row.children[place].dataset.value ?? row.children[place].textContent;
  heads.forEach((head, place) => {
    const button = document.createElement('button');
    button.type = 'button'; button.innerHTML = head.innerHTML; head.replaceChildren(button);
    button.onclick = () => {
      const down = head.getAttribute('aria-sort') ? head.getAttribute('aria-sort') == 'ascending'
                                                  : head.dataset.more == '1';
      heads.forEach(other => other.removeAttribute('aria-sort'));
      head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
      const sign = down ? -1 : 1, rows = [...body.rows];
      rows.sort((one, other) => {
        const [a, b] = [value(one, place), value(other, place)];
        if (a === '' || b === '') return (a === '') - (b === '');
        return sign * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
      });
      body.append(...rows);
    };
  });
  const label = document.createElement('label'), field = document.createElement('input');
  field.type = 'search'; label.append('Show only: ', field); box.before(label);
  field.oninput = () => [...body.rows].forEach(row => {
    row.hidden = !row.textContent.toLowerCase().includes(field.value.toLowerCase());
  });
});
</script>"""


def table(board: Board) -> HTML:
    """A line a system, a column a number with its interval, the best of the first column first; and the CSV of it."""
    first, *others = _parts(board)
    told = "".join(_part(board, places) for places in others)
    further = f"<details><summary>Further numbers of this board</summary>{told}</details>" if told else ""
    return HTML(f"{STYLE}{_part(board, first)}{further}{_measures(board)}{download(board)}{SCRIPT}")


def _parts(board: Board) -> list[list[int]]:
    """The columns in tables that are no wider than a page's text: first one of each axis, then what is left."""
    places = list(range(len(board.columns)))
    if len(places) <= MOST_COLUMNS:
        return [places]
    first = sorted({board.columns[place].axis: place for place in reversed(places)}.values())[:MOST_COLUMNS]
    rest = [place for place in places if place not in first]
    return [first, *(rest[start : start + MOST_COLUMNS] for start in range(0, len(rest), MOST_COLUMNS))]


def _part(board: Board, places: Sequence[int]) -> str:
    """A table of some columns of a board, with the systems that have a number in one of them."""
    heads = "".join(_head(board.columns[place]) for place in places)
    held = [key for key in board.best_first() if any((key, place) in board.numbers for place in places)]
    lines = "".join(_line(board, key, places) for key in held)
    return (
        f'<div class="board"><table><thead><tr><th scope="col">system</th>{heads}</tr></thead><tbody>{lines}</tbody>'
        "</table></div>"
    )


def _measures(board: Board) -> str:
    """Which measure, with its settings, gave each column."""
    told = "".join(
        f"<li>{html.escape(column.title)}, {html.escape(axis_title(column.axis))}: <code>{html.escape(column.measure)}"
        "</code></li>"
        for column in board.columns
    )
    return f"<details><summary>How each number is measured</summary><ul>{told}</ul></details>"


def shown(board: Board, several: Sequence[Board]) -> HTML:
    """The table under its heading, and what its numbers may not be compared with."""
    told = "".join(f"<li>{html.escape(line)}</li>" for line in incomparable(several, board))
    limits = f"<details><summary>Not to be compared with</summary><ul>{told}</ul></details>" if told else ""
    return HTML(f"<h3>{html.escape(board.title)}</h3>{table(board).data}{limits}")


def differences(board: Board) -> HTML:
    """The table of `against` under the board's heading; nothing where there is no entry."""
    lines = against(board)
    return HTML(f"<h3>{html.escape(board.title)}</h3>{figure_table(lines).data}" if len(lines) else "")


def _head(column: Column) -> str:
    better = "more" if column.more_is_better else "less"
    return (
        f'<th scope="col" data-more="{int(column.more_is_better)}">{html.escape(column.words)} '
        f'({html.escape(column.unit)})<span class="of">{better} is better</span></th>'
    )


def _line(board: Board, key: str, places: Sequence[int]) -> str:
    member = board.members[key]
    kind = ' class="entry"' if member.origin == AN_ENTRY else ""
    seeds = f", {member.runs} runs" if member.runs > 1 else ""
    note = f"; {member.note}" if member.note else ""
    cells = []
    for place in places:
        number = board.numbers.get((key, place))
        if number is None:
            cells.append('<td data-value="">–</td>')
        else:
            words = html.escape(str(number)).replace(", ", ",&nbsp;")
            cells.append(f'<td data-value="{number.mean:.6f}">{words}</td>')
    return (
        f'<tr{kind}><th scope="row">{html.escape(member.title)}<span class="of">{html.escape(member.family)}; '
        f"{member.origin}{seeds}{html.escape(note)}</span></th>{''.join(cells)}</tr>"
    )


def as_frame(board: Board) -> pd.DataFrame:
    """A line a number: the system, what was measured and by what, and the ends of its interval."""
    return pd.DataFrame(
        {
            "data": board.data, "data_checksum": board.checksum, "training_images": board.train,
            "system": board.members[key].title, "family": board.members[key].family,
            "origin": board.members[key].origin, "runs": board.members[key].runs,
            "axis": axis_title(board.columns[place].axis), "number": board.columns[place].words,
            "unit": board.columns[place].unit, "better": "more" if board.columns[place].more_is_better else "less",
            "measure": board.columns[place].measure, "mean": own.mean, "low": own.low, "high": own.high,
        }
        for (key, place), own in board.numbers.items()
    )  # fmt: skip


def download(board: Board) -> str:
    """A link to the board as CSV, which is in the page itself."""
    name = f"scoreboard-{board.data}-{board.train}".replace(" ", "-")
    return f"<p>{csv_link(as_frame(board), name, 'All numbers as CSV', '%.4f')}</p>"


def against(board: Board) -> pd.DataFrame:
    """A line for each entry, number and system of the book that it is held against: the best one, and random weights.

    Differences are paired image by image where both have outcomes of the same images.
    """
    lines = []
    for key in (key for key in board.best_first() if board.members[key].origin == AN_ENTRY):
        for place, column in enumerate(board.columns):
            for words, other in _rivals(board, key, place).items():
                found = gap(board, place, key, other)
                if found is not None:
                    better = found.sign if column.more_is_better else -found.sign
                    verdict = ("worse", "not told apart", "better")[better + 1]
                    lines.append({"entry": board.members[key].title, "number": column.title,
                                  "less": f"{board.members[other].title} ({words})",
                                  "difference": f"{found} {verdict}"})  # fmt: skip
    return pd.DataFrame(lines)


def _rivals(board: Board, key: str, place: int) -> dict[str, str]:
    """The best other member of a column, and the best control of random weights."""
    others = {own: number.mean for own, number in board.of_column(place).items() if own != key}
    sign = 1 if board.columns[place].more_is_better else -1
    ranked = sorted(others, key=lambda own: -sign * others[own])
    controls = [own for own in ranked if "random" in board.members[own].family]
    found = {"the best of the others": ranked[0]} if ranked else {}
    return found | ({"the control": controls[0]} if controls and controls[0] != ranked[0] else {})


def fronts(board: Board) -> Tabs | None:
    """The first number of the board against others, axis by axis: which systems no other is better than in both."""
    first = _best_known(board)
    found: dict[str, Figure] = {}
    for place, column in enumerate(board.columns):
        shared = [key for key in board.members if {(key, first), (key, place)} <= set(board.numbers)]
        title = axis_title(column.axis)
        if column.axis != board.columns[first].axis and len(shared) >= FEWEST and title not in found:
            found[title] = _front(board, first, place, shared)
    return Tabs(dict(list(found.items())[:MOST_PLOTS])) if found else None


def _best_known(board: Board) -> int:
    """The column that most members have; of several, the first."""
    return max(range(len(board.columns)), key=lambda place: (len(board.of_column(place)), -place))


def undominated(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which of the points (N,), (N,) no other is better than, where more is better in both: bool (N,).

    >>> undominated(np.array([1, 2, 3, 2]), np.array([3, 2, 1, 1])).tolist()
    [True, True, True, False]
    """
    at_least = (x[None] >= x[:, None]) & (y[None] >= y[:, None])
    more = (x[None] > x[:, None]) | (y[None] > y[:, None])
    return np.asarray(~(at_least & more).any(axis=1))


def _front(board: Board, first: int, second: int, keys: Sequence[str]) -> Figure:
    columns = board.columns[first], board.columns[second]
    numbers = [[board.numbers[key, place] for key in keys] for place in (first, second)]
    x, y = (np.array([own.mean for own in line]) for line in numbers)
    signs = [1 if column.more_is_better else -1 for column in columns]
    best = undominated(signs[0] * x, signs[1] * y)
    use_style()
    drawing, axes = plt.subplots(figsize=(5.2, 4.4), layout="constrained")
    order = np.argsort(x[best])
    axes.plot(x[best][order], y[best][order], color="#bbbbbb", linewidth=1.5, zorder=1)
    families = list(dict.fromkeys(member.family for member in board.members.values()))
    for family in families:
        own = np.array([board.members[key].family == family for key in keys])
        place = families.index(family)
        if own.any():
            entries = np.array([board.members[key].origin == AN_ENTRY for key in keys])
            colour = COLOURS[place % len(COLOURS)]
            axes.scatter(x[own & ~entries], y[own & ~entries], color=colour, marker=MARKERS[place % len(MARKERS)], s=34,
                         label=family, zorder=2)  # fmt: skip
            axes.scatter(x[own & entries], y[own & entries], color=colour, edgecolors="black", marker="*", s=150,
                         zorder=3)  # fmt: skip
    for column, ends in zip(columns, "xy", strict=True):
        getattr(axes, f"set_{ends}label")(f"{column.words} ({column.unit})")
        if not column.more_is_better:
            getattr(axes, f"invert_{ends}axis")()
    axes.margins(0.08)
    drawing.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9, handletextpad=0.2)
    settle(drawing)
    named = [board.members[key].title for key, own in zip(keys, best, strict=True) if own]
    caption = (
        f"{len(keys)} systems on {board.title}: {columns[0].words} and {columns[1].words}, better to the right and "
        f"above, coloured by family; stars are entries. {_front_told(named)} So it is by means, whose intervals are in "
        "the table."
    )
    data = pd.DataFrame({"system": [board.members[key].title for key in keys],
                         columns[0].title: [str(own) for own in numbers[0]],
                         columns[1].title: [str(own) for own in numbers[1]], "on the front": best})  # fmt: skip
    name = f"fig-front-{board.data}-{board.train}-{columns[1].axis}".replace(" ", "-")
    return Figure(drawing, name, caption, f"Scatter plot. On the front: {'; '.join(named)}.", data)


def _front_told(named: Sequence[str]) -> str:
    if len(named) == 1:
        return f"{named[0]} is better than all others in both numbers."
    return f"A line joins the {len(named)} that no other is better than in both numbers."


def agreement(board: Board) -> Figure:
    """Do axes order the systems alike: rank correlations of the first column of each axis, by families.

    Systems of one family are relatives, and say no more than one: the interval is by as many as there are families.
    Raises BadInput where fewer than two axes share `FEWEST` systems.
    """
    places = _one_an_axis(board)
    table, families = ranks_of(board), [member.family for member in board.members.values()]
    found, lines = np.full((len(places), len(places)), np.nan), []
    for one, x in enumerate(places):
        for other, y in enumerate(places):
            both = np.isfinite(table[:, x]) & np.isfinite(table[:, y])
            own = [family for family, here in zip(families, both, strict=True) if here]
            value = correlation(table[both, x], table[both, y], True, own) if both.sum() >= FEWEST else None
            if value is not None:
                found[one, other] = value.mean
                if one < other:
                    lines.append({"axis": _of(board, x), "other axis": _of(board, y),
                                  "rank correlation x 100": str(100 * value), "systems": int(both.sum()),
                                  "families": len(set(own))})  # fmt: skip
    told = [place for place in range(len(places)) if np.isfinite(np.delete(found[place], place)).any()]
    if len(told) < 2:
        raise BadInput(f"rank correlations need two axes that share {FEWEST} systems, and {board.title} has none")
    words = [_of(board, places[place]) for place in told]
    whole = pd.DataFrame(100 * found[np.ix_(told, told)], index=words, columns=words)
    use_style()
    drawing, axes = plt.subplots(figsize=(1.2 + 0.5 * len(words), 0.8 + 0.42 * len(words)), layout="constrained")
    draw_matrix(axes, whole.fillna(0).round(), words, words, {"": words})
    for text, known in zip(axes.texts, np.isfinite(whole.to_numpy()).ravel(), strict=False):
        text.set_text(text.get_text() if known else "–")
    settle(drawing)
    sentence = (
        f"Do axes order systems alike? Rank correlations times 100 on {board.title}, over the systems that have both, "
        "turned so that more is better everywhere: 100 is the same order, -100 the opposite. "
        f"A dash stands where fewer than {FEWEST} systems have both. The data hold intervals, which count each "
        "family once."
    )
    return Figure(drawing, "fig-agreement", sentence, "Matrix of rank correlations of axes.", pd.DataFrame(lines))


def errors_of_entries(entries: Sequence[Entry]) -> Figure:
    """Error against severity of the entries that were read by their own heads.

    Raises BadInput where none was measured at two severities or more.
    """
    tables = [entry.rows.assign(encoder=entry.name) for entry in entries]
    rows = [own[(own["axis"] == CORRUPTION) & (own["reader"] == HEAD)] for own in tables]
    for own in rows:
        drawn = draw(CORRUPTION, own) if len(own) and own[own["level_unit"] == SEVERITY]["level"].nunique() > 1 else []
        if drawn:
            data = next(entry.record["data"] for entry in entries if entry.name == own["encoder"].iloc[0])
            words = f"{own['encoder'].iloc[0]} on {data['name']}, {own['images'].max():,} images, by its own head. "
            return replace(drawn[0], name="fig-entry-errors", caption=words + drawn[0].caption)
    raise BadInput("this figure needs an entry with a head of its own that was asked about corruptions, and has none")


def _one_an_axis(board: Board) -> list[int]:
    """Of each axis the column that most members have."""
    best: dict[str, int] = {}
    for place, column in enumerate(board.columns):
        known = best.get(column.axis)
        if known is None or len(board.of_column(place)) > len(board.of_column(known)):
            best[column.axis] = place
    return list(best.values())


def _of(board: Board, place: int) -> str:
    return axis_title(board.columns[place].axis)
