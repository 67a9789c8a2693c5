"""One question asked of several data sets: the same figure, table or sentence of each, side by side."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import pandas as pd
from IPython.display import HTML, Markdown

from lib.errors import BadInput
from lib.figures.figure import Figure, Tabs
from lib.figures.prose import running
from lib.figures.tables import table
from lib.runs import Results

TITLES = {"cifar10": "CIFAR-10"}  # of sets whose name is not their title


def set_title(name: str) -> str:
    """What a data set is called in a sentence."""
    return TITLES.get(name, name)


def by_dataset(results: Results) -> dict[str, Results]:
    """Title of a data set -> what `results` hold of it, in their order."""
    return {
        set_title(name): replace(
            results,
            records=[record for record in results.records if record["config"]["dataset"] == name],
            rows=results.rows[results.rows["dataset"] == name],
        )
        for name in dict.fromkeys(record["config"]["dataset"] for record in results.records)
    }


def side_by_side(make: Callable[[str], Figure], titles: Iterable[str]) -> Figure | Tabs | None:
    """The figure that `make` gives for each of `titles`: one of them as it is, several in tabs.

    Where `make` raises BadInput there is nothing to draw, and a figure less; None where there is none. A page refers to
    the first by its name, and to each other one by that name with its title behind it.
    """
    figures: dict[str, Figure] = {}
    for title in titles:
        with contextlib.suppress(BadInput):
            figure = make(title)
            end = "-" + re.sub(r"[^a-z0-9]+", "-", title.lower()) if figures else ""
            figures[title] = replace(figure, name=figure.name + end)
    return Tabs(figures) if len(figures) > 1 else next(iter(figures.values()), None)


def paragraphs(texts: Mapping[str, str]) -> Markdown:
    """Title -> sentences: a paragraph each, for reading on; of one the title is left out."""
    texts = {title: running(text) for title, text in texts.items()}
    if len(texts) == 1:
        return Markdown(*texts.values())
    return Markdown("\n\n".join(f"**{title}.** {text}" for title, text in texts.items()))


def stacked_tables(parts: Mapping[str, pd.DataFrame]) -> HTML:
    """Title -> table: one below the other under their titles; of one the title is left out."""
    if len(parts) == 1:
        return table(*parts.values())
    return HTML("".join(f"<p><strong>{title}</strong></p>{table(part).data}" for title, part in parts.items()))
