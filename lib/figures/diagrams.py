"""Diagrams of the paradigms, drawn in one grammar.

A solid blue box is a network that learns, a dashed one a slow copy of it; a bar across an arrow stops
the gradient; the orange box is the loss. Green marks what a paradigm adds to keep features from
collapsing: cells are a queue, dots are prototypes, a grid is a matrix, an ellipse is the space that vectors fill.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse, FancyArrowPatch, FancyBboxPatch, Polygon, Rectangle

from lib.errors import one_of
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


def diagram(paradigm: str) -> Figure:
    """The picture of how a paradigm learns, 2:1, readable when shown 390 pixels wide.

    `paradigm` is one of `DIAGRAMS`; another raises `BadInput`.
    """
    return _drawn(DIAGRAMS[one_of(paradigm, DIAGRAMS, "paradigm")], paradigm, height=4.8)


def relicv2_diagram() -> Figure:
    """The picture of the loss of ReLICv2, for one pair of crops, readable when shown 390 pixels wide."""
    return _drawn(_RELICV2, "relicv2-loss", height=5.5)


def _drawn(chosen: Diagram, name: str, height: float) -> Figure:
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


def _contrastive(axes: Axes) -> None:
    _twins(axes)
    _join(axes, 6.88, 7.85)
    _box(axes, 8.75, MIDDLE, 1.8, "contrast", ORANGE)
    for cell in range(5):
        _square(axes, 7.75 + 0.4 * cell, 0.5, 0.4, TINTS[GREEN], GREEN)
    _arrow(axes, (8.75, 0.95), (8.75, MIDDLE - 0.45), GREEN)
    _words(axes, 8.75, 0.22, "other images", GREEN)


def _distillation(axes: Axes) -> None:
    places = (4.05, 6.35, 8.7)
    _image(axes)
    _branch(axes, TOP, ["encoder", "projector", "predictor"], places)
    _branch(axes, BOTTOM, ["encoder", "projector"], places, slow=True)
    _arrow(axes, (4.05, TOP - 0.45), (4.05, BOTTOM + 0.46), BLUE, dashed=True)
    _words(axes, 4.2, MIDDLE, "slow copy", BLUE, align="left")
    _arrow(axes, (8.7, TOP - 0.45), (8.7, MIDDLE + 0.45))
    _arrow(axes, (7.23, BOTTOM), (8.7, BOTTOM), head=False)
    _arrow(axes, (8.7, BOTTOM), (8.7, MIDDLE - 0.45))
    _stop(axes, 7.95, BOTTOM)
    _box(axes, 8.7, MIDDLE, 1.7, "agree", ORANGE)


def _redundancy_reduction(axes: Axes) -> None:
    _twins(axes)
    _join(axes, 6.88, 7.65, MIDDLE + 0.3)
    side, cells = 1.6, 5
    for row in range(cells):
        for column in range(cells):
            left, low = 7.8 + column * side / cells, MIDDLE + 1.1 - (row + 1) * side / cells
            _square(axes, left, low, side / cells, GREEN if row == column else TINTS[GREEN], "white")
    _words(axes, 8.6, MIDDLE + 1.45, "correlation", GREEN)
    _arrow(axes, (8.6, MIDDLE - 0.55), (8.6, 1.2))
    _box(axes, 8.6, 0.75, 1.8, "identity", ORANGE)


def _clustering(axes: Axes) -> None:
    _twins(axes)
    for y, heights in ((TOP, (0.25, 0.9, 0.4)), (BOTTOM, (0.35, 0.8, 0.2))):
        _answer(axes, y, heights, "code")
    for dot in range(4):
        axes.add_patch(Circle((7.17 + 0.36 * dot, MIDDLE + 0.2), 0.12, facecolor=GREEN, lw=0))
    _words(axes, 7.7, MIDDLE - 0.22, "prototypes", GREEN)
    _box(axes, 9.3, MIDDLE, 1.2, "swap", ORANGE)


def _coding_rate(axes: Axes) -> None:
    _image(axes)
    for patch, (sun, size) in enumerate((((0.5, 0.5), 0.4), ((0.9, 0.9), 0.5), ((0.2, 0.9), 0.3), ((2, 2), 0.1))):
        y = 3.75 - 0.9 * patch
        _picture(axes, 2.25, y, 0.7, sun, size, "#e9e9e9" if patch % 2 else SKY)
        _arrow(axes, (1.25, MIDDLE), (1.85, y))
        _arrow(axes, (2.65, y), (3.2, MIDDLE + (y - MIDDLE) / 5))
    _words(axes, 2.25, 0.35, "patches")
    _network(axes, MIDDLE, ["encoder", "projector"], (4.0, 6.0), slow=False)
    _arrow(axes, (6.88, MIDDLE), (7.25, MIDDLE))
    x, y = 8.6, MIDDLE
    axes.add_patch(Ellipse((x, y), 2.5, 1.9, facecolor=TINTS[GREEN], edgecolor=GREEN, lw=1.2))
    for image in (25, 97, 169, 241, 313):  # degrees; the patches of an image point the same way
        for patch in (-9, 0, 9):
            angle = np.radians(image + patch)
            _arrow(axes, (x, y), (x + 1.15 * np.cos(angle), y + 0.86 * np.sin(angle)), GREEN, thin=True)
    _words(axes, x, 3.75, "features", GREEN)
    _arrow(axes, (x, 1.4), (x, 1.0))
    _box(axes, x, 0.55, 2.6, "agree, spread", ORANGE)


def _invariance(axes: Axes) -> None:
    _twins(axes)
    for y, heights in ((TOP, (0.2, 0.9, 0.3)), (BOTTOM, (0.2, 0.9, 0.3))):
        _answer(axes, y, heights, "which image?")
    _box(axes, 7.7, MIDDLE, 1.75, "slow copy", BLUE, dashed=True, height=0.7)
    for y in (TOP - 0.5, BOTTOM + 0.55):
        _arrow(axes, (7.7, MIDDLE + (0.38 if y > MIDDLE else -0.38)), (7.7, y), BLUE, dashed=True)
    _box(axes, 9.4, MIDDLE, 1.1, "same", ORANGE)


def _relicv2(axes: Axes) -> None:
    top, middle, bottom = 4.6, 3.05, 1.5
    _picture(axes, 0.65, middle, 1.1, (0.72, 0.75), 0.14, SKY)
    _words(axes, 0.65, middle - 0.85, "image")
    for x, sun, size in ((1.95, (0.3, 0.5), 0.4), (2.7, (0.9, 0.9), 0.5)):
        _picture(axes, x, top, 0.6, sun, size, SKY)
    _words(axes, 2.3, top + 0.65, "small crops")
    _picture(axes, 1.9, bottom, 0.95, (0.6, 0.65), 0.26, SKY)
    _picture(axes, 3.0, bottom, 0.95, (0.4, 0.7), 0.2, "black", hill=False)
    _words(axes, 2.45, bottom - 0.8, "large crops,")
    _words(axes, 2.45, bottom - 1.2, "one without background")
    _arrow(axes, (1.25, middle + 0.3), (1.75, top - 0.4))
    _arrow(axes, (1.25, middle - 0.3), (1.6, bottom + 0.55))
    networks, end, start = 4.7, 5.58, 6.35
    _box(axes, networks, top, 1.7, "encoder\nand head", BLUE, height=1.2)
    _box(axes, networks, bottom, 1.7, "slow copy\nof both", BLUE, height=1.2, dashed=True)
    _arrow(axes, (networks, top - 0.64), (networks, bottom + 0.64), BLUE, dashed=True)
    _arrow(axes, (3.1, top), (networks - 0.88, top))
    _arrow(axes, (3.25, bottom + 0.55), (networks - 0.62, top - 0.66))
    _arrow(axes, (3.52, bottom), (networks - 0.88, bottom))
    for there, back in ((top, bottom), (bottom, top)):
        toward = 0.2 if there > back else -0.2
        _arrow(axes, (end, there), (start, there))
        _arrow(axes, (end, back + toward), (start, there - toward))
    for y, words, heights in ((top, "p", (0.2, 0.9, 0.3, 0.25)), (bottom, "p'", (0.3, 0.7, 0.2, 0.35))):
        for place, height in enumerate(heights):
            left = start + 0.13 + 0.28 * place
            axes.add_patch(Rectangle((left, y - 0.4), 0.22, 0.85 * height, facecolor=GREEN, lw=0))
        _words(axes, 7.0, y + (0.65 if y > middle else -0.75), words, GREEN)
    for cell in range(5):
        _square(axes, 6.35 + 0.3 * cell, middle + 0.1, 0.3, TINTS[GREEN], GREEN)
    _words(axes, 7.1, middle - 0.22, "other images", GREEN)
    _arrow(axes, (7.0, middle + 0.45), (7.0, top - 0.45), GREEN)
    _arrow(axes, (7.0, middle - 0.48), (7.0, bottom + 0.42), GREEN)
    losses, width = 9.08, 1.7
    _arrow(axes, (7.65, top), (losses - width / 2 - 0.03, top))
    _box(axes, losses, top, width, "contrast", ORANGE)
    _arrow(axes, (7.65, top - 0.25), (losses - 0.5, middle + 0.46))
    _box(axes, losses, middle, width, "same (KL)", ORANGE)
    _arrow(axes, (7.65, bottom), (losses, bottom), head=False)
    _arrow(axes, (losses, bottom), (losses, middle - 0.45))
    _stop(axes, 8.35, bottom)


def _twins(axes: Axes) -> None:
    """An image, two views, and the same network for both."""
    _image(axes)
    for y in (TOP, BOTTOM):
        _branch(axes, y, ["encoder", "projector"], (4.0, 6.0))
    axes.plot((4.0, 4.0), (BOTTOM + 0.46, TOP - 0.46), color=BLUE, lw=1.2, ls=":")
    _words(axes, 4.12, MIDDLE, "same weights", BLUE, align="left")


def _image(axes: Axes) -> None:
    _picture(axes, 0.65, MIDDLE, 1.1, (0.72, 0.75), 0.14, SKY)
    _words(axes, 0.65, MIDDLE - 0.85, "image")


def _branch(axes: Axes, y: float, boxes: Sequence[str], places: Sequence[float], slow: bool = False) -> None:
    """A view of the image and the networks that read it, left to right."""
    above = 1 if y > MIDDLE else -1
    sun, size, hue = ((0.6, 0.65), 0.26, SKY) if above > 0 else ((0.3, 0.8), 0.18, "#e9e9e9")
    _arrow(axes, (1.25, MIDDLE + above * 0.3), (1.75, y - above * 0.3))
    _picture(axes, 2.25, y, 0.9, sun, size, hue)
    _words(axes, 2.25, y + above * 0.7, "view")
    _arrow(axes, (2.75, y), (places[0] - 0.78, y))
    _network(axes, y, boxes, places, slow)


def _network(axes: Axes, y: float, boxes: Sequence[str], places: Sequence[float], slow: bool) -> None:
    end = None
    for words, x in zip(boxes, places, strict=False):
        width = 1.5 if words == "encoder" else 1.7
        if end:
            _arrow(axes, (end, y), (x - width / 2 - 0.03, y))
        _box(axes, x, y, width, words, BLUE, dashed=slow)
        end = x + width / 2 + 0.03


def _join(axes: Axes, start: float, end: float, middle: float = MIDDLE) -> None:
    """From both branches to what stands between them on the right."""
    for y in (TOP, BOTTOM):
        _arrow(axes, (start, y), (end, middle + (0.3 if y > MIDDLE else -0.3)))


def _answer(axes: Axes, y: float, heights: Sequence[float], words: str) -> None:
    """What a branch says, as bars, and its way to the loss."""
    above = 1 if y > MIDDLE else -1
    _arrow(axes, (6.88, y), (7.2, y))
    for place, height in enumerate(heights):
        axes.add_patch(Rectangle((7.3 + 0.28 * place, y - 0.4), 0.22, 0.85 * height, facecolor=GREEN, lw=0))
    _words(axes, 7.7, y + above * 0.7, words, GREEN)
    _arrow(axes, (8.25, y), (9.15, MIDDLE + above * 0.46))


def _box(axes: Axes, x: float, y: float, width: float, words: str, colour: str, *, height: float = 0.85,
         dashed: bool = False) -> None:  # fmt: skip
    """A rounded box around its centre; dashed and without filling for a slow copy."""
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2 + 0.12, y - height / 2 + 0.12), width - 0.24, height - 0.24, boxstyle="round,pad=0.12",
            facecolor="white" if dashed else TINTS[colour], edgecolor=colour, lw=1.5, ls=(0, (4, 2)) if dashed else "-",
        )
    )  # fmt: skip
    _words(axes, x, y, words, colour)


def _words(axes: Axes, x: float, y: float, words: str, colour: str = GREY, align: str = "center") -> None:
    axes.text(x, y, words, color=INK[colour], fontsize=TYPE, ha=align, va="center")


def _arrow(axes: Axes, start: Point, end: Point, colour: str = GREY, *, dashed: bool = False, head: bool = True,
           thin: bool = False) -> None:  # fmt: skip
    style = f"-|>,head_length={2.5 if thin else 4},head_width={1.4 if thin else 2.4}" if head else "-"
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle=style, color=colour, lw=0.8 if thin else 1.4, shrinkA=0, shrinkB=0,
                        linestyle=(0, (4, 2)) if dashed else "-")
    )  # fmt: skip


def _stop(axes: Axes, x: float, y: float) -> None:
    """A bar across an arrow: no gradient passes."""
    axes.add_patch(Rectangle((x - 0.06, y - 0.3), 0.12, 0.6, facecolor=ORANGE, edgecolor="none", zorder=3))
    _words(axes, x, y - 0.58, "stop", ORANGE)


def _picture(axes: Axes, x: float, y: float, side: float, sun: Point, size: float, hue: str, hill: bool = True) -> None:
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


def _square(axes: Axes, left: float, low: float, side: float, colour: str, edge: str) -> None:
    axes.add_patch(Rectangle((left, low), side, side, facecolor=colour, edgecolor=edge, lw=1.2))


VIEW = ("view", "v, v'", "a random crop of the image, with other colours")
ENCODER = ("encoder", "f", "turns a view into features; all that is kept after training")
PROJECTOR = ("projector", "g", "turns features into the vector that the loss compares")
SLOW_COPY = ("slow copy", "z with a tilde", "follows the trained network by a moving average; no gradient reaches it")
TWINS = "an image becomes two views; each goes through an encoder and a projector with the same weights"
DIAGRAMS = {
    "contrastive": Diagram(
        _contrastive,
        "Contrastive learning: two views of an image go through the same networks, and the loss asks which of many "
        "vectors is the pair. The others are the rest of the batch or a queue of earlier images.",
        f"{TWINS}. Both meet in a box named contrast, which a row of cells named other images also feeds.",
        (VIEW, ENCODER, PROJECTOR, ("other images", "A(i)", "vectors that the pair must be told from"),
         ("contrast", "s, τ", "a softmax over cosines: which vector belongs to this view?")),
    ),
    "distillation": Diagram(
        _distillation,
        "Distillation: one branch predicts what the other says of another view. The bar stops the gradient: only the "
        "upper branch moves towards agreement, and the weights of the lower one follow slowly.",
        "an image becomes two views. The upper goes through encoder, projector and predictor; the lower through a slow "
        "copy of encoder and projector, drawn dashed, and past a bar named stop. Both meet in a box named agree.",
        (VIEW, ENCODER, PROJECTOR, ("predictor", "h", "guesses the other branch's vector"), SLOW_COPY,
         ("stop", "sg", "a gradient that is not followed"), ("agree", "s", "the cosine of the two vectors")),
    ),
    "redundancy reduction": Diagram(
        _redundancy_reduction,
        "Redundancy reduction: over a batch, each feature of one view is correlated with each feature of the other. "
        "The loss wants the identity: equal features agree, different features say different things.",
        f"{TWINS}. Both feed a square grid named correlation with a dark diagonal, leading to a box named identity.",
        (VIEW, ENCODER, PROJECTOR, ("correlation", "C", "features of one view against those of the other, D by D"),
         ("identity", "λ", "ones on the diagonal, zeros elsewhere")),
    ),
    "clustering": Diagram(
        _clustering,
        "Clustering: both views are compared with the same prototypes and get a code, balanced over the batch. Each "
        "view then predicts the code of the other one.",
        f"{TWINS} and becomes a code, three bars; four dots between the codes are prototypes. Both codes lead to a box "
        "named swap.",
        (VIEW, ENCODER, PROJECTOR, ("prototypes", "c", "directions that are learnt with the network"),
         ("code", "Q", "how much an image belongs to each prototype, balanced over the batch"),
         ("swap", "π", "each view predicts the other's code")),
    ),
    "coding rate": Diagram(
        _coding_rate,
        "Coding rate: many patches of an image go through the network. Patches of one image agree, and together the "
        "vectors of a batch fill as much space as they can.",
        "an image becomes four patches, which go through one encoder and one projector and become bundles of arrows "
        "that point in all directions of an ellipse named features. It leads to a box named agree, spread.",
        (("patches", "v", "small squares of the image, enlarged; the book uses eight"), ENCODER, PROJECTOR,
         ("features", "Z", "one unit vector a patch"), ("agree", "s", "the cosine of a patch with its image's mean"),
         ("spread", "R", "the volume that the vectors of a batch fill")),
    ),
    "invariance": Diagram(
        _invariance,
        "Invariance: each view is asked which image it shows, among the vectors of a slow copy. Besides the right "
        "answer, the loss wants the same answer, right or wrong, from both views.",
        f"{TWINS} and becomes three bars named which image. A dashed box between them, slow copy, feeds both. They "
        "lead to a box named same.",
        (VIEW, ENCODER, PROJECTOR, SLOW_COPY, ("which image?", "π", "chances that a view shows each image of a batch"),
         ("same", "KL", "how far the two views' chances are apart")),
    ),
}  # fmt: skip

_RELICV2 = Diagram(
    _relicv2,
    "The loss of ReLICv2. Large crops go through the network and its slow copy, small ones through the network alone; "
    "now and then a large crop comes from the picture without its background. p says which image a crop is taken for, "
    "by its similarity to another crop of its image and to crops of other images; p' says the same with the two crops "
    "exchanged. The loss wants the right answer, and the same answer twice. The bar stops the gradient of one side. "
    "It is summed over all pairs of a crop and a large crop.",
    "an image becomes two small crops and two large crops, one without background, which is black. All go through the "
    "encoder and head; the large ones also go through a slow copy of both, drawn dashed. Both lead to two sets of "
    "bars, p and p', which a row of cells named other images also feeds. p leads to a box named contrast and to a box "
    "named same (KL); p' leads to the latter, past a bar named stop.",
    (
        ("large crops", "v", "random crops of the image, with other colours"),
        ("small crops", "v", "random crops that show less of it, at fewer pixels"),
        ("without background", "m", "all but the object is black; the object is found without labels"),
        ("encoder and head", "f, g", "turns a crop into the vector that the loss compares; the encoder is kept"),
        SLOW_COPY,
        ("other images", "A(i)", "vectors that the pair must be told from"),
        ("p, p'", "π", "a softmax over cosines: chances that a crop shows each image"),
        ("contrast", "s, τ", "the chance of the right image should be large"),
        ("same (KL)", "KL", "how far the chances of the two crops are apart"),
        ("stop", "sg", "a gradient that is not followed"),
    ),
)
