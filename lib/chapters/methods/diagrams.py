"""Diagrams of the paradigms, drawn in one grammar.

A solid blue box is a network that learns, a dashed one a slow copy of it; a bar across an arrow stops
the gradient; the orange box is the loss. Green marks what a paradigm adds to keep features from
collapsing: cells are a queue, dots are prototypes, a grid is a matrix, an ellipse is the space that vectors fill.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Ellipse

from lib.errors import one_of
from lib.figures.boxes import (
    BLUE,
    BOTTOM,
    ENCODER,
    GREEN,
    MIDDLE,
    ORANGE,
    PROJECTOR,
    SKY,
    SLOW_COPY,
    TINTS,
    TOP,
    TWINS,
    VIEW,
    Diagram,
    answered,
    arrow,
    box,
    branch,
    draw_diagram,
    joined,
    landscape,
    network,
    square,
    stop,
    twins,
    whole_image,
    write,
)
from lib.figures.figure import Figure


def diagram(paradigm: str) -> Figure:
    """A drawing of how a paradigm learns, 2:1, readable when shown 390 pixels wide.

    `paradigm` is one of `DIAGRAMS`; another raises `BadInput`.
    """
    return draw_diagram(DIAGRAMS[one_of(paradigm, DIAGRAMS, "paradigm")], paradigm, height=4.8)


def _contrastive(axes: Axes) -> None:
    twins(axes)
    joined(axes, 6.88, 7.85)
    box(axes, 8.75, MIDDLE, 1.8, "contrast", ORANGE)
    for cell in range(5):
        square(axes, 7.75 + 0.4 * cell, 0.5, 0.4, TINTS[GREEN], GREEN)
    arrow(axes, (8.75, 0.95), (8.75, MIDDLE - 0.45), GREEN)
    write(axes, 8.75, 0.22, "other images", GREEN)


def _distillation(axes: Axes) -> None:
    places = (4.05, 6.35, 8.7)
    whole_image(axes)
    branch(axes, TOP, ["encoder", "projector", "predictor"], places)
    branch(axes, BOTTOM, ["encoder", "projector"], places, slow=True)
    arrow(axes, (4.05, TOP - 0.45), (4.05, BOTTOM + 0.46), BLUE, dashed=True)
    write(axes, 4.2, MIDDLE, "slow copy", BLUE, align="left")
    arrow(axes, (8.7, TOP - 0.45), (8.7, MIDDLE + 0.45))
    arrow(axes, (7.23, BOTTOM), (8.7, BOTTOM), head=False)
    arrow(axes, (8.7, BOTTOM), (8.7, MIDDLE - 0.45))
    stop(axes, 7.95, BOTTOM)
    box(axes, 8.7, MIDDLE, 1.7, "agree", ORANGE)


def _redundancy_reduction(axes: Axes) -> None:
    twins(axes)
    joined(axes, 6.88, 7.65, MIDDLE + 0.3)
    side, cells = 1.6, 5
    for row in range(cells):
        for column in range(cells):
            left, low = 7.8 + column * side / cells, MIDDLE + 1.1 - (row + 1) * side / cells
            square(axes, left, low, side / cells, GREEN if row == column else TINTS[GREEN], "white")
    write(axes, 8.6, MIDDLE + 1.45, "correlation", GREEN)
    arrow(axes, (8.6, MIDDLE - 0.55), (8.6, 1.2))
    box(axes, 8.6, 0.75, 1.8, "identity", ORANGE)


def _clustering(axes: Axes) -> None:
    twins(axes)
    for y, heights in ((TOP, (0.25, 0.9, 0.4)), (BOTTOM, (0.35, 0.8, 0.2))):
        answered(axes, y, heights, "code")
    for dot in range(4):
        axes.add_patch(Circle((7.17 + 0.36 * dot, MIDDLE + 0.2), 0.12, facecolor=GREEN, lw=0))
    write(axes, 7.7, MIDDLE - 0.22, "prototypes", GREEN)
    box(axes, 9.3, MIDDLE, 1.2, "swap", ORANGE)


def _coding_rate(axes: Axes) -> None:
    whole_image(axes)
    for patch, (sun, size) in enumerate((((0.5, 0.5), 0.4), ((0.9, 0.9), 0.5), ((0.2, 0.9), 0.3), ((2, 2), 0.1))):
        y = 3.75 - 0.9 * patch
        landscape(axes, 2.25, y, 0.7, sun, size, "#e9e9e9" if patch % 2 else SKY)
        arrow(axes, (1.25, MIDDLE), (1.85, y))
        arrow(axes, (2.65, y), (3.2, MIDDLE + (y - MIDDLE) / 5))
    write(axes, 2.25, 0.35, "patches")
    network(axes, MIDDLE, ["encoder", "projector"], (4.0, 6.0), slow=False)
    arrow(axes, (6.88, MIDDLE), (7.25, MIDDLE))
    x, y = 8.6, MIDDLE
    axes.add_patch(Ellipse((x, y), 2.5, 1.9, facecolor=TINTS[GREEN], edgecolor=GREEN, lw=1.2))
    for image in (25, 97, 169, 241, 313):  # degrees; the patches of an image point the same way
        for patch in (-9, 0, 9):
            angle = np.radians(image + patch)
            arrow(axes, (x, y), (x + 1.15 * np.cos(angle), y + 0.86 * np.sin(angle)), GREEN, thin=True)
    write(axes, x, 3.75, "features", GREEN)
    arrow(axes, (x, 1.4), (x, 1.0))
    box(axes, x, 0.55, 2.6, "agree, spread", ORANGE)


def _invariance(axes: Axes) -> None:
    twins(axes)
    for y, heights in ((TOP, (0.2, 0.9, 0.3)), (BOTTOM, (0.2, 0.9, 0.3))):
        answered(axes, y, heights, "which image?")
    box(axes, 7.7, MIDDLE, 1.75, "slow copy", BLUE, dashed=True, height=0.7)
    for y in (TOP - 0.5, BOTTOM + 0.55):
        arrow(axes, (7.7, MIDDLE + (0.38 if y > MIDDLE else -0.38)), (7.7, y), BLUE, dashed=True)
    box(axes, 9.4, MIDDLE, 1.1, "same", ORANGE)


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
