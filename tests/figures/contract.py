"""What every figure of the book has to be: words that can be read and are finished, and a drawing in which they stand
apart."""

import re
from itertools import combinations

from matplotlib.text import Text

from lib.figures.figure import Figure
from lib.models import ENCODERS

MINUS = "\N{MINUS SIGN}"
# What a sentence of rows has when something is missing or unrounded, or when parts of it are joined badly.
UNFINISHED = re.compile(
    rf"nan|None|inf\b|\d\.\d{{3}}|\n|[-{MINUS}]0(\.0)?\b(?!\.\d)|\s\s|_|\.\.| ,|set\(|\[\]|\(\)|\{{\}}"
)
LETTERS = 0.7  # of the height of a box of words: what is above and below may touch


def check_words(figure: Figure) -> None:
    """Caption, alternative text and data are there, and every number in them is one."""
    assert re.fullmatch(r"fig-[a-z0-9-]+", figure.name), figure.name
    assert not re.search(r"[`{]", figure.notes), f"notes are plain text: {figure.notes}"
    for words in (figure.alt, figure.caption, figure.notes):
        for name in ENCODERS:  # which are named as one writes them
            words = words.replace(name, "encoder")
        assert (len(words) > 60 or words == figure.notes) and not (found := UNFINISHED.search(words)), (found, words)
    assert len(figure.data) and "nan" not in figure._table().lower(), figure.name


def words_of(figure: Figure) -> list[tuple[str, Text]]:
    """All that is written in a drawing and can be seen there, except for slanted words, whose boxes overlap anyway."""
    figure.drawing.draw_without_rendering()
    drawing = figure.drawing
    texts = [*drawing.texts, *(text for legend in drawing.legends for text in legend.get_texts())]
    texts += [getattr(drawing, name, None) for name in ("_supxlabel", "_supylabel", "_suptitle")]
    for axes in drawing.axes:
        texts += axes.texts
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
        if axes.axison:
            texts += [axes.title, axes._left_title, axes._right_title, axes.xaxis.label, axes.yaxis.label]
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
                texts += [label for tick in ticks for label in (tick.label1, tick.label2)]
    texts = dict.fromkeys(text for text in texts if text is not None)  # some are in two of the lists
    return [text for text in texts if text.get_text().strip() and text.get_visible() and text.get_rotation() in (0, 90)]


def check_apart(figure: Figure) -> None:
    """No word covers another one."""
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in words_of(figure)]  # without a label's line
    shrunk = [(words, box.shrunk(1, LETTERS)) for words, box in boxes]
    for (first, a), (second, b) in combinations(shrunk, 2):
        assert not a.overlaps(b), (figure.name, first, second)
