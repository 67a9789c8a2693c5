"""A figure that carries its caption, its alternative text and the data behind it."""

from __future__ import annotations

import base64
import hashlib
import html
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
from matplotlib.artist import Artist
from matplotlib.figure import Figure as Drawing
from matplotlib.text import Text

from lib.errors import BadInput
from lib.figures.prose import minus
from lib.runs.plan import Part

# What an outline in an SVG runs through, and numbers there with more digits than a hundredth of a point.
_PATHS, _LONG = re.compile(rb'\bd="[^"]*"'), re.compile(rb"(\d\.\d\d)\d+")


@dataclass(frozen=True)
class Figure:
    """A drawing and its words, all computed from the same rows.

    In the book it becomes a numbered figure that `{numref}` finds by `name`; in plain Jupyter the
    same drawing with the same words. `caption` is one paragraph of MyST, at most 60 words with the
    scope; what else is to say of it are the `notes`, plain text above the data in their fold, as
    `alt` is plain text. Drawings of lines are shown as SVG; set `pixels` for drawings made of photographs.
    """

    drawing: Drawing
    name: str
    caption: str
    alt: str
    data: pd.DataFrame
    pixels: bool = False
    notes: str = ""

    def __post_init__(self) -> None:
        plt.close(self.drawing)  # else Jupyter shows it a second time, without alternative text

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """MyST for the book (whose config prefers it) and HTML for every other reader."""
        return {"text/markdown": self.myst(), "text/html": self.page()}

    @cached_property
    def _shown(self) -> tuple[str, str]:
        """The drawing as a data URI, and the table behind it: made once for the book and for other readers."""
        return _uri(self.picture(), "png" if self.pixels else "svg+xml"), _behind(self.data, self.name, self.notes)

    def myst(self) -> str:
        picture, table = self._shown
        alt = json.dumps(self.alt, ensure_ascii=False)
        return f"```{{figure}} {picture}\n:name: {self.name}\n:alt: {alt}\n\n{minus(self.caption)}\n```\n\n{table}\n"

    def page(self) -> str:
        picture, table = self._shown
        words = html.escape(re.sub(r"\{[\w:]+\}`([^`]*)`", r"[\1]", minus(self.caption)))  # no roles outside the book
        return (
            f'<figure><img src="{picture}" alt="{html.escape(self.alt)}" style="max-width:100%; background:white">'
            f"<figcaption>{words}</figcaption></figure>{table}"
        )

    def picture(self) -> bytes:
        """The drawing as SVG, or as PNG where it is made of pixels; the same bytes for the same drawing."""
        return self._saved

    @cached_property
    def _saved(self) -> bytes:
        buffer = io.BytesIO()
        if self.pixels:
            told = {"Smallest type": f"{_smallest_type(self.drawing):g}"}  # in points: pixels do not tell any more
            self.drawing.savefig(buffer, format="png", bbox_inches="tight", dpi=160, metadata=told)
        else:
            with plt.rc_context({"svg.hashsalt": self.name, "svg.fonttype": "path"}):
                self.drawing.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
            return _PATHS.sub(lambda path: _LONG.sub(rb"\1", path[0]), buffer.getvalue())
        return buffer.getvalue()

    def _table(self) -> str:
        return _cells(self.data)


def _smallest_type(drawing: Drawing) -> float:
    """In points; 0 of a drawing without words."""
    hidden: list[Artist] = []
    for axes in drawing.axes:
        axes.get_xticklabels(), axes.get_yticklabels()  # which have no words before they are asked for
        hidden += [] if axes.axison else [*axes.xaxis.findobj(Text), *axes.yaxis.findobj(Text)]
    words = [own for own in drawing.findobj(Text) if own.get_visible() and own.get_text().strip()]
    return min((float(own.get_fontsize()) for own in words if own not in hidden), default=0.0)


LEFT_OUT = "Left out, since what it needs is not published"


def shown(name: str, make: Callable[..., Figure | None], *arguments: object, **options: object) -> Figure | None:
    """The figure `name` that `make` draws of the arguments; or in its place an empty one whose caption says why.

    A page does not stop at rows that are not published: `make` raises BadInput where it has nothing to draw, and the
    page's references to the figure still find it.
    """
    open_before = set(plt.get_fignums())
    try:
        return make(*arguments, **options)
    except BadInput as error:
        for begun in set(plt.get_fignums()) - open_before:
            plt.close(begun)  # else Jupyter shows what was drawn before it stopped
        caption = f"{LEFT_OUT}: {error}."
    drawing, axes = plt.subplots(figsize=(3, 0.4))
    axes.set_axis_off()
    axes.text(0.5, 0.5, "left out: not published", ha="center", va="center")
    return Figure(drawing, name, caption, alt=caption, data=pd.DataFrame())


def also(parts: Sequence[Part], rows: pd.DataFrame, scope: str) -> None:
    """Shows, one below the other, the figure of each of a plan's further parts."""
    for part in parts:
        display(shown(f"fig-{part.figure.__name__.replace('_', '-')}", part.figure, rows, scope))


def _uri(picture: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _cells(data: pd.DataFrame) -> str:
    return data.to_html(index=False, border=0, float_format="{:.2f}".format, na_rep="–")


MOST_ROWS = 40  # of a table that stands in a page whole


def csv_link(data: pd.DataFrame, name: str, words: str, float_format: str | None = None) -> str:
    """A link that saves the data as a file of this name; the page itself holds it."""
    text = data.to_csv(index=False, float_format=float_format, lineterminator="\n")
    rows = base64.b64encode(text.encode()).decode()
    return f'<a download="{html.escape(name)}.csv" href="data:text/csv;base64,{rows}">{html.escape(words)}</a>'


def _behind(data: pd.DataFrame, name: str, notes: str = "") -> str:
    """Notes and data in a fold; of a long table the first rows, and all of them as a file to be saved."""
    table = f"<p>{html.escape(minus(notes.strip()))}</p>\n" if notes.strip() else ""
    table += _cells(data if len(data) <= MOST_ROWS else data.head(MOST_ROWS // 2))
    if len(data) > MOST_ROWS:
        table += f"\n<p>{csv_link(data, name, f'All {len(data)} rows as CSV')}</p>"
    title = f"{'Notes and data' if notes.strip() else 'Data'} behind this figure"
    return f'<details class="data"><summary>{title}</summary>\n{table}\n</details>'


@dataclass(frozen=True)
class Tabs:
    """Figures of which a reader looks at one at a time: titles -> figures, the first one open."""

    figures: dict[str, Figure]

    def __repr__(self) -> str:
        return "\n".join(f"{title}: {figure.alt}" for title, figure in self.figures.items())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        items = "".join(
            f"````{{tab-item}} {title}\n:sync: {title}\n\n{figure.myst()}````\n"  # changed with others of one title
            for title, figure in self.figures.items()
        )
        pages = "".join(
            f"<details{' open' * (place == 0)}><summary>{html.escape(title)}</summary>{figure.page()}</details>"
            for place, (title, figure) in enumerate(self.figures.items())
        )
        return {"text/markdown": f"`````{{tab-set}}\n{items}`````\n", "text/html": pages}


# Of a range input: shows the frame at its place and says in words which it is.
_TURN = (
    "const figure = this.closest('figure'), frames = figure.querySelectorAll('img'), words = frames[this.value].title;"
    "frames.forEach((frame, place) => { frame.style.display = place == this.value ? 'block' : 'none' });"
    "figure.querySelector('output').textContent = words; this.setAttribute('aria-valuetext', words)"
)


@dataclass(frozen=True)
class Slider:
    """Images along one quantity, of which a reader pulls one into view with mouse, finger or arrow keys.

    `frames`: the quantity in words -> (PNG, alternative text); all of one size, the first in view, and the only one
    where no scripts run. `label` says what the slider moves. HTML in the book as elsewhere, so no `{numref}` finds it;
    everything is in the page. Raises BadInput for fewer than two frames.
    """

    label: str
    frames: dict[str, tuple[bytes, str]]
    caption: str
    data: pd.DataFrame

    def __post_init__(self) -> None:
        if len(self.frames) < 2:
            raise BadInput(f"a slider needs two frames or more, and here are {len(self.frames)}")

    def __repr__(self) -> str:
        return "\n".join(f"{self.label} {words}: {alt}" for words, (_, alt) in self.frames.items())

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return {"text/html": self.page()}

    def page(self) -> str:
        first, label = html.escape(next(iter(self.frames))), html.escape(self.label)
        frames = "".join(
            f'<img src="{_uri(png, "png")}" alt="{html.escape(alt)}" title="{html.escape(words)}" '
            f'style="display:{"none" if place else "block"}; max-width:100%; margin:0 auto; background:white">'
            for place, (words, (png, alt)) in enumerate(self.frames.items())
        )
        # The same slider has the same name on every run; of the same slider twice on a page, each still moves its own.
        own = "slider-" + hashlib.sha256(frames.encode()).hexdigest()[:12]
        return (
            f'<figure>{frames}<label for="{own}">{label}: <output for="{own}">{first}</output></label>'
            f'<input type="range" id="{own}" min="0" max="{len(self.frames) - 1}" step="1" value="0" '
            f'autocomplete="off" aria-label="{label}" aria-valuetext="{first}" style="display:block; width:100%" '
            f'oninput="{html.escape(_TURN)}"><figcaption>{html.escape(self.caption)}</figcaption></figure>'
            f"{_behind(self.data, own)}"
        )
