"""The diagram of ReLICv2's loss."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from lib.figures.boxes import (
    BLUE,
    GREEN,
    ORANGE,
    SKY,
    SLOW_COPY,
    TINTS,
    Diagram,
    arrow,
    box,
    draw_diagram,
    landscape,
    square,
    stop,
    write,
)
from lib.figures.figure import Figure


def relicv2_diagram() -> Figure:
    """A drawing of the loss of ReLICv2, for one pair of crops, readable when shown 390 pixels wide."""
    return draw_diagram(_RELICV2, "relicv2-loss", height=5.5)


def _relicv2(axes: Axes) -> None:
    top, middle, bottom = 4.6, 3.05, 1.5
    landscape(axes, 0.65, middle, 1.1, (0.72, 0.75), 0.14, SKY)
    write(axes, 0.65, middle - 0.85, "image")
    for x, sun, size in ((1.95, (0.3, 0.5), 0.4), (2.7, (0.9, 0.9), 0.5)):
        landscape(axes, x, top, 0.6, sun, size, SKY)
    write(axes, 2.3, top + 0.65, "small crops")
    landscape(axes, 1.9, bottom, 0.95, (0.6, 0.65), 0.26, SKY)
    landscape(axes, 3.0, bottom, 0.95, (0.4, 0.7), 0.2, "black", hill=False)
    write(axes, 2.45, bottom - 0.8, "large crops,")
    write(axes, 2.45, bottom - 1.2, "one without background")
    arrow(axes, (1.25, middle + 0.3), (1.75, top - 0.4))
    arrow(axes, (1.25, middle - 0.3), (1.6, bottom + 0.55))
    networks, end, start = 4.7, 5.58, 6.35
    box(axes, networks, top, 1.7, "encoder\nand head", BLUE, height=1.2)
    box(axes, networks, bottom, 1.7, "slow copy\nof both", BLUE, height=1.2, dashed=True)
    arrow(axes, (networks, top - 0.64), (networks, bottom + 0.64), BLUE, dashed=True)
    arrow(axes, (3.1, top), (networks - 0.88, top))
    arrow(axes, (3.25, bottom + 0.55), (networks - 0.62, top - 0.66))
    arrow(axes, (3.52, bottom), (networks - 0.88, bottom))
    for there, back in ((top, bottom), (bottom, top)):
        toward = 0.2 if there > back else -0.2
        arrow(axes, (end, there), (start, there))
        arrow(axes, (end, back + toward), (start, there - toward))
    for y, words, heights in ((top, "p", (0.2, 0.9, 0.3, 0.25)), (bottom, "p'", (0.3, 0.7, 0.2, 0.35))):
        for place, height in enumerate(heights):
            left = start + 0.13 + 0.28 * place
            axes.add_patch(Rectangle((left, y - 0.4), 0.22, 0.85 * height, facecolor=GREEN, lw=0))
        write(axes, 7.0, y + (0.65 if y > middle else -0.75), words, GREEN)
    for cell in range(5):
        square(axes, 6.35 + 0.3 * cell, middle + 0.1, 0.3, TINTS[GREEN], GREEN)
    write(axes, 7.1, middle - 0.22, "other images", GREEN)
    arrow(axes, (7.0, middle + 0.45), (7.0, top - 0.45), GREEN)
    arrow(axes, (7.0, middle - 0.48), (7.0, bottom + 0.42), GREEN)
    losses, width = 9.08, 1.7
    arrow(axes, (7.65, top), (losses - width / 2 - 0.03, top))
    box(axes, losses, top, width, "contrast", ORANGE)
    arrow(axes, (7.65, top - 0.25), (losses - 0.5, middle + 0.46))
    box(axes, losses, middle, width, "same (KL)", ORANGE)
    arrow(axes, (7.65, bottom), (losses, bottom), head=False)
    arrow(axes, (losses, bottom), (losses, middle - 0.45))
    stop(axes, 8.35, bottom)


_RELICV2 = Diagram(
    _relicv2,
    "The loss of ReLICv2, summed over all pairs of a crop and a large crop. p says which image a crop is taken for, by "
    "its similarity to other crops; p' says the same with the two crops exchanged. The loss wants the right answer, "
    "and the same answer twice. The bar stops the gradient of one side.",
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
