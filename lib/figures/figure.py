"""A figure that carries its caption, its alternative text and the data behind it."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Figure:
    """A drawing and its words, all computed from the same rows.

    In the book it becomes a numbered figure that `{numref}` finds by `name`; in plain Jupyter the
    same picture with the same words. `caption` is one paragraph of MyST, `alt` is plain text.
    Drawings of lines are shown as SVG; set `pixels` for drawings made of photographs.
    """

    drawing: Drawing
    name: str
    caption: str
    alt: str
    data: pd.DataFrame
    pixels: bool = False

    def __post_init__(self) -> None:
        plt.close(self.drawing)  # else Jupyter shows it a second time, without alternative text

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        """MyST for the book (whose config prefers it) and HTML for every other reader."""
        return {"text/markdown": self.myst(), "text/html": self.page()}

    def _shown(self) -> tuple[str, str]:
        """The picture as a data URI, and the table behind it."""
        kind = "png" if self.pixels else "svg+xml"
        picture = f"data:image/{kind};base64,{base64.b64encode(self.picture()).decode()}"
        table = f"<details><summary>Data behind this figure</summary>\n{self._table()}\n</details>"
        return picture, table

    def myst(self) -> str:
        picture, table = self._shown()
        alt = json.dumps(self.alt, ensure_ascii=False)
        return f"```{{figure}} {picture}\n:name: {self.name}\n:alt: {alt}\n\n{self.caption}\n```\n\n{table}\n"

    def page(self) -> str:
        picture, table = self._shown()
        words = html.escape(re.sub(r"\{[\w:]+\}`([^`]*)`", r"[\1]", self.caption))  # no roles outside the book
        return (
            f'<figure><img src="{picture}" alt="{html.escape(self.alt)}" style="max-width:100%; background:white">'
            f"<figcaption>{words}</figcaption></figure>{table}"
        )

    def picture(self) -> bytes:
        """The drawing as SVG, or as PNG where it is made of pixels; the same bytes for the same drawing."""
        buffer = io.BytesIO()
        if self.pixels:
            self.drawing.savefig(buffer, format="png", bbox_inches="tight", dpi=160)
        else:
            with plt.rc_context({"svg.hashsalt": self.name, "svg.fonttype": "path"}):
                self.drawing.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
        return buffer.getvalue()

    def _table(self) -> str:
        return self.data.to_html(index=False, border=0, float_format="{:.2f}".format)


@dataclass(frozen=True)
class Tabs:
    """Figures of which a reader looks at one at a time: titles -> figures, the first one open."""

    figures: dict[str, Figure]

    def __repr__(self) -> str:
        return "\n".join(f"{title}: {figure.alt}" for title, figure in self.figures.items())

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        items = "".join(f"````{{tab-item}} {title}\n{figure.myst()}````\n" for title, figure in self.figures.items())
        pages = "".join(
            f"<details{' open' * (place == 0)}><summary>{html.escape(title)}</summary>{figure.page()}</details>"
            for place, (title, figure) in enumerate(self.figures.items())
        )
        return {"text/markdown": f"`````{{tab-set}}\n{items}`````\n", "text/html": pages}
