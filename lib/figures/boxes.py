"""The grammar of diagrams: boxes, arrows and small images.

A solid blue box is a network that learns, a dashed one a slow copy of it; a bar across an arrow stops the gradient; the
orange box is the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from lib.figures.figure import Figure
from lib.figures.style import use_style

# Okabe and Ito's colours, and a tint for the inside of boxes.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#555555"


TINTS = {BLUE: "#e3eff7", ORANGE: "#fbe8dc", GREEN: "#dff2ec"}


INK = {BLUE: "#005a8c", ORANGE: "#a34700", GREEN: "#006b4e", GREY: "#444444"}  # darker, so that words are easy to read


SKY, SUN = "#cfe6f5", "#E69F00"


TOP, MIDDLE, BOTTOM = 3.65, 2.4, 1.15  # heights of the two branches, and of what joins them


Point = tuple[float, float]


TYPE = 11  # points; drawn 5.4 inches wide, so as many pixels on a phone


@dataclass(frozen=True)
class Diagram:
    """How a paradigm is drawn and told; `parts` are (part, symbol in the equations, what it does)."""

    draw: Callable[[Axes], None]
    caption: str
    alt: str
    parts: tuple[tuple[str, str, str], ...]


def draw_diagram(chosen: Diagram, name: str, height: float) -> Figure:
    """A diagram that is 10 units wide and `height` high."""
    use_style()
    drawing, axes = plt.subplots(figsize=(5.4, 0.54 * height))
    drawing.subplots_adjust(0, 0, 1, 1)
    axes.set(xlim=(0, 10), ylim=(0, height), aspect="equal")
    axes.axis("off")
    chosen.draw(axes)
    return Figure(
        drawing,
        name=f"fig-{name.replace(' ', '-')}",
        caption=chosen.caption,
        alt=f"Diagram, left to right: {chosen.alt}",
        data=pd.DataFrame(chosen.parts, columns=["part", "symbol", "what it does"]),
    )


def twins(axes: Axes) -> None:
    """An image, two views, and the same network for both."""
    whole_image(axes)
    for y in (TOP, BOTTOM):
        branch(axes, y, ["encoder", "projector"], (4.0, 6.0))
    axes.plot((4.0, 4.0), (BOTTOM + 0.46, TOP - 0.46), color=BLUE, lw=1.2, ls=":")
    write(axes, 4.12, MIDDLE, "same weights", BLUE, align="left")


def whole_image(axes: Axes) -> None:
    landscape(axes, 0.65, MIDDLE, 1.1, (0.72, 0.75), 0.14, SKY)
    write(axes, 0.65, MIDDLE - 0.85, "image")


def branch(axes: Axes, y: float, boxes: Sequence[str], places: Sequence[float], slow: bool = False) -> None:
    """A view of the image and the networks that read it, left to right."""
    above = 1 if y > MIDDLE else -1
    sun, size, hue = ((0.6, 0.65), 0.26, SKY) if above > 0 else ((0.3, 0.8), 0.18, "#e9e9e9")
    arrow(axes, (1.25, MIDDLE + above * 0.3), (1.75, y - above * 0.3))
    landscape(axes, 2.25, y, 0.9, sun, size, hue)
    write(axes, 2.25, y + above * 0.7, "view")
    arrow(axes, (2.75, y), (places[0] - 0.78, y))
    network(axes, y, boxes, places, slow)


def network(axes: Axes, y: float, boxes: Sequence[str], places: Sequence[float], slow: bool) -> None:
    end = None
    for words, x in zip(boxes, places, strict=False):
        width = 1.5 if words == "encoder" else 1.7
        if end:
            arrow(axes, (end, y), (x - width / 2 - 0.03, y))
        box(axes, x, y, width, words, BLUE, dashed=slow)
        end = x + width / 2 + 0.03


def joined(axes: Axes, start: float, end: float, middle: float = MIDDLE) -> None:
    """From both branches to what stands between them on the right."""
    for y in (TOP, BOTTOM):
        arrow(axes, (start, y), (end, middle + (0.3 if y > MIDDLE else -0.3)))


def answered(axes: Axes, y: float, heights: Sequence[float], words: str) -> None:
    """What a branch says, as bars, and its way to the loss."""
    above = 1 if y > MIDDLE else -1
    arrow(axes, (6.88, y), (7.2, y))
    for place, height in enumerate(heights):
        axes.add_patch(Rectangle((7.3 + 0.28 * place, y - 0.4), 0.22, 0.85 * height, facecolor=GREEN, lw=0))
    write(axes, 7.7, y + above * 0.7, words, GREEN)
    arrow(axes, (8.25, y), (9.15, MIDDLE + above * 0.46))


def box(axes: Axes, x: float, y: float, width: float, words: str, colour: str, *, height: float = 0.85,
         dashed: bool = False) -> None:  # fmt: skip
    """A rounded box around its centre; dashed and without filling for a slow copy."""
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2 + 0.12, y - height / 2 + 0.12), width - 0.24, height - 0.24, boxstyle="round,pad=0.12",
            facecolor="white" if dashed else TINTS[colour], edgecolor=colour, lw=1.5, ls=(0, (4, 2)) if dashed else "-",
        )
    )  # fmt: skip
    write(axes, x, y, words, colour)


def write(axes: Axes, x: float, y: float, words: str, colour: str = GREY, align: str = "center") -> None:
    axes.text(x, y, words, color=INK[colour], fontsize=TYPE, ha=align, va="center")


def arrow(axes: Axes, start: Point, end: Point, colour: str = GREY, *, dashed: bool = False, head: bool = True,
           thin: bool = False) -> None:  # fmt: skip
    style = f"-|>,head_length={2.5 if thin else 4},head_width={1.4 if thin else 2.4}" if head else "-"
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle=style, color=colour, lw=0.8 if thin else 1.4, shrinkA=0, shrinkB=0,
                        linestyle=(0, (4, 2)) if dashed else "-")
    )  # fmt: skip


def stop(axes: Axes, x: float, y: float) -> None:
    """A bar across an arrow: no gradient passes."""
    axes.add_patch(Rectangle((x - 0.06, y - 0.3), 0.12, 0.6, facecolor=ORANGE, edgecolor="none", zorder=3))
    write(axes, x, y - 0.58, "stop", ORANGE)


def landscape(
    axes: Axes, x: float, y: float, side: float, sun: Point, size: float, hue: str, hill: bool = True
) -> None:
    """A landscape: a hill under a sun, in shares of the side; or the sun alone."""
    left, low = x - side / 2, y - side / 2
    frame = Rectangle((left, low), side, side, facecolor=hue, edgecolor=GREY, lw=1.2)
    axes.add_patch(frame)
    outline = np.array([(0, 0), (0, 0.25), (0.35, 0.6), (0.6, 0.35), (0.8, 0.5), (1, 0.3), (1, 0)])
    parts = [Circle((left + sun[0] * side, low + sun[1] * side), size * side, facecolor=SUN, edgecolor="none")]
    if hill:
        parts.insert(0, Polygon(outline * side + (left, low), facecolor=GREEN, edgecolor="none", alpha=0.55))
    for part in parts:
        axes.add_patch(part)
        part.set_clip_path(frame)


def square(axes: Axes, left: float, low: float, side: float, colour: str, edge: str) -> None:
    axes.add_patch(Rectangle((left, low), side, side, facecolor=colour, edgecolor=edge, lw=1.2))


VIEW = ("view", "v, v'", "a random crop of the image, with other colours")


ENCODER = ("encoder", "f", "turns a view into features; all that is kept after training")


PROJECTOR = ("projector", "g", "turns features into the vector that the loss compares")


SLOW_COPY = ("slow copy", "z with a tilde", "follows the trained network by a moving average; no gradient reaches it")


TWINS = "an image becomes two views; each goes through an encoder and a projector with the same weights"
