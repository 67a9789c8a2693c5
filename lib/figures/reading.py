"""How long a page takes to read."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable

from lib import paths

PACE = 200  # words a minute, of prose that one reads to understand it (Brysbaert 2019 has 238 for any non-fiction)
# What of a cell's text is not read as words: formulas, and what MyST needs around words
_UNREAD = (
    re.compile(r"\$\$.*?\$\$( \([\w-]+\))?|\$[^$]*\$", re.S),
    re.compile(r"^ *(```|:::).*$|^\([\w-]+\)=$|\{glue:\w*\}`[^`]*`|\{[\w:]+\}|<[^<>]*>", re.M),
)


def words(text: str) -> int:
    """How many words of MyST are read; a glued value is none."""
    for pattern in _UNREAD:
        text = pattern.sub(" ", text)
    return sum(any(letter.isalnum() for letter in word) for word in text.split())


def minutes(name: str, glued: Iterable[str] = ()) -> str:
    """Of the notebook `name` and the values that are `glued` into its text, as a number; tables and captions aside."""
    cells = json.loads((paths.ROOT / "notebooks" / f"{name}.ipynb").read_text())["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return str(math.ceil(sum(map(words, [*texts, *glued])) / PACE))
