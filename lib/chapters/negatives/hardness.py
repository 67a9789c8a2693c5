"""What negatives look like, and how similar they are to a query."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from torch import Tensor

from lib.chapters.negatives.figures import LIKENED_COLOURS, LIKENED_WORDS
from lib.chapters.negatives.numbers import LIKENED, PERCENTILES, SIMILAR, similarities
from lib.chapters.negatives.plan import PLAN
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.levels import needed
from lib.figures.marks import apart, bands, borders, legend_above
from lib.figures.prose import listed, number, repeated
from lib.figures.style import use_style
from lib.measures.rows import Rows
from lib.shifts.transforms import image_distance

# Images


def negative_gallery(lines: Mapping[str, Tensor], scope: str = "") -> Figure:
    """A line for each of `lines`, titles -> images (k, 3, S, S), uint8 or float in [0, 1]: the first of images, the
    others of what was made of them. Raises BadInput for images of several shapes."""
    shapes = {tuple(shown.shape) for shown in lines.values()}
    shape = next(iter(shapes), ())
    if len(lines) < 2 or len(shapes) > 1 or len(shape) != 4 or shape[1] != 3 or not shape[0]:
        raise BadInput(f"a gallery needs two lines or more of as many images, all (k, 3, S, S), not {sorted(shapes)}")
    count, (first, images) = shape[0], next(iter(lines.items()))
    use_style()
    side = 5.2 / count
    drawing, panels = plt.subplots(len(lines), count, figsize=(5.2, (side + 0.26) * len(lines)), squeeze=False)
    for line, (title, shown) in zip(panels, lines.items(), strict=True):
        line[0].text(0, 1.06, title, transform=line[0].transAxes, ha="left", va="bottom", fontsize=10.5)
        for axes, image in zip(line, shown.cpu(), strict=True):
            axes.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
    drawing.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.06, hspace=0.4)
    table = pd.DataFrame(
        [
            (title, 100 * image_distance(images, shown).mean().item(), _tint(images, shown))
            for title, shown in lines.items()
            if title != first
        ],
        columns=["image", "pixels move (%)", "mean colour moves (%)"],
    )
    return Figure(
        drawing,
        name="fig-negatives",
        caption=f"Top: {first}. Below: {listed(list(table['image']))}. The negatives keep colours and fine "
        f"structure, and lose what the image shows. {scope}".strip(),
        alt=f"Contact sheet of {count} {'image' if count == 1 else 'images'} a line: {listed(list(lines))}. "
        + "; ".join(
            f"{title}: pixels move by {pixels:.0f} percent of their range, the mean colour by {colour:.0f}"
            for title, pixels, colour in table.itertuples(index=False)
        )
        + ".",
        data=table,
        pixels=True,
    )


def _tint(images: Tensor, others: Tensor) -> float:
    """How far the mean colour of images moves: root mean square over channels, in percent of the range."""
    means = [(part.float() / (1 if part.is_floating_point() else 255)).mean((2, 3)) for part in (images, others)]
    return 100 * (means[0] - means[1]).square().mean(1).sqrt().mean().item()


# How hard negatives are


def query_similarity(rows: Rows, scope: str) -> Figure:
    """A row a system of `SIMILAR`: how alike a query is to its other view, to its negatives and to another image.

    Bands are of percentiles over images, means over seeds.
    """
    table = needed(similarities(rows), f"percentiles of the query's similarity of one of {', '.join(SIMILAR)}")
    systems = [name for name in SIMILAR if name in set(table["system"])]
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 1 + 0.85 * len(systems)), layout="constrained")
    aside = dict(zip(LIKENED, apart(len(LIKENED), 0.19), strict=True))
    for line in table.itertuples():
        height, colour = systems.index(line.system) + aside[line.pair], LIKENED_COLOURS[line.pair]
        axes.hlines(height, line.p5, line.p95, color=colour, linewidth=1.2)
        axes.hlines(height, line.p25, line.p75, color=colour, linewidth=5)
        axes.plot(line.p50, height, "o", color="white", markeredgecolor=colour, markersize=5, markeredgewidth=1.4)
    borders(axes, len(systems))
    bands(axes, [_when(name, "\n") for name in systems])
    axes.set_xlabel("similarity to the query (hundredths)")
    axes.grid(axis="y", visible=False)
    legend_above(drawing, {LIKENED_WORDS[pair]: {"color": LIKENED_COLOURS[pair], "linestyle": "-", "linewidth": 5}
                   for pair in LIKENED if pair in set(table["pair"])}, 2)  # fmt: skip
    columns = {f"p{percent}": f"{percent} %" for percent in PERCENTILES}
    return Figure(
        drawing,
        name="fig-similarity",
        caption="How alike the features of a view, the query, are to those of other images: the cosine of features "
        "less their mean, in hundredths. Thin bands: 5th to 95th percentile over images; thick ones: 25th to 75th; "
        f"dots: medians. {repeated(rows, 'All are means over seeds. ')}{scope}",
        alt="Chart of bands of the similarity to the query, in hundredths. Medians, "
        + "; ".join(
            f"{_when(name)}: "
            + ", ".join(f"{LIKENED_WORDS[line.pair]} {number(line.p50)}" for line in own.itertuples())
            for name, own in table.groupby("system", sort=False)
        )
        + ".",
        data=table.assign(system=table["system"].map(PLAN.title), pair=table["pair"].map(LIKENED_WORDS)).rename(
            columns={"pair": "compared with"} | columns
        ),
    )


def _when(name: str, gap: str = " ") -> str:
    words = "before training" if name == "random" else PLAN.title(name)
    return gap.join(textwrap.wrap(words, 12))
