"""One question asked of several data sets: the same figure, table or sentence of each, side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import pandas as pd
from IPython.display import HTML, Markdown

from lib.figures.figure import Figure, Tabs
from lib.figures.tables import table
from lib.runs import Results

TITLES = {"cifar10": "CIFAR-10"}  # of sets whose name is not their title


def by_dataset(results: Results) -> dict[str, Results]:
    """Title of a data set -> what `results` hold of it, in their order."""
    return {
        TITLES.get(name, name): replace(
            results,
            records=[record for record in results.records if record["config"]["dataset"] == name],
            rows=results.rows[results.rows["dataset"] == name],
        )
        for name in dict.fromkeys(record["config"]["dataset"] for record in results.records)
    }


def side_by_side(make: Callable[[str], Figure], titles: list[str]) -> Figure | Tabs:
    """The figure that `make` gives for each of `titles`: one of them as it is, several in tabs.

    A page refers to the first by its name, and to each other one by that name with its title behind it.
    """
    figures = {title: make(title) for title in titles}
    for title in titles[1:]:
        end = re.sub(r"[^a-z0-9]+", "-", title.lower())
        figures[title] = replace(figures[title], name=f"{figures[title].name}-{end}")
    return Tabs(figures) if len(titles) > 1 else figures[titles[0]]


def paragraphs(texts: Mapping[str, str]) -> Markdown:
    """Title -> sentences: a paragraph each; of one the title is left out."""
    if len(texts) == 1:
        return Markdown(*texts.values())
    return Markdown("\n\n".join(f"**{title}.** {text}" for title, text in texts.items()))


def tables(parts: Mapping[str, pd.DataFrame]) -> HTML:
    """Title -> table: one below the other under their titles; of one the title is left out."""
    if len(parts) == 1:
        return table(*parts.values())
    return HTML("".join(f"<p><strong>{title}</strong></p>{table(part).data}" for title, part in parts.items()))
