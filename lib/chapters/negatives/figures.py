"""Words and curves that the figures of this chapter share."""

from __future__ import annotations

from collections.abc import Callable

from lib.chapters.negatives.claims import BIASES
from lib.chapters.negatives.numbers import IN, LIKENED, PACS, PLAIN, TEXTURES
from lib.figures.prose import signed
from lib.measures.rows import Rows

WORDS = {PLAIN: "plain", "patch": "patch negatives", "texture": "texture negatives"}


SET_WORDS = {IN: "clean", "corruptions": "corrupted", TEXTURES: "textures alone"}  # of those that have others


CONFLICTS = dict(zip(BIASES, ("conflict photographs", "conflict scenes"), strict=True))


LIKENED_WORDS = dict(zip(LIKENED, ("its other view", "a patch negative", "its texture", "another image"), strict=True))


CUE_WORDS = {  # a title, and what the level is
    "patch_shuffle": ("shuffled", "pieces a side"),
    "low_pass": ("low-pass", "cut-off (cycles an image)"),
    "high_pass": ("high-pass", "cut-off (cycles an image)"),
}


# What a query is compared with has colours of its own, away from those of methods.
LIKENED_COLOURS = dict(zip(LIKENED, ("#000000", "#D55E00", "#009E73", "#8A8A8A"), strict=True))


CURVE_LOOK = {
    IN: {"color": "#000000", "marker": "o", "linestyle": "-"},
    "corruptions": {"color": "#0072B2", "marker": "s", "linestyle": "--"},
    "stylised": {"color": "#E69F00", "marker": "^", "linestyle": "-."},
    PACS: {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
}


def words(name: str) -> str:
    """Of a set."""
    return SET_WORDS.get(name, name)


def told(table: Rows, along: str, of: str, value: Callable[[float], str] = signed) -> str:
    """a: 1 at x, 2 at y; b: 3 at x"""
    return "; ".join(
        f"{name}: " + ", ".join(f"{value(line['mean'])} at {line[along]:g}" for _, line in own.iterrows())
        for name, own in table.groupby(of, sort=False)
    )
