"""Where encoders look: heat maps over one image, clean and corrupted."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure as Drawing
from torch import Tensor

from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.style import use_style
from lib.measures.attention import similarity
from lib.shifts.corruptions import SEVERITIES

HEAT = "inferno"


# Okabe and Ito's green and orange, told apart with every kind of colour vision; the mark and the frame say it again.
RIGHT = {"color": "#009E73", "mark": "\N{CHECK MARK}", "linestyle": "-"}


WRONG = {"color": "#D55E00", "mark": "\N{BALLOT X}", "linestyle": (0, (2, 1.2))}


LUMA = np.array([0.299, 0.587, 0.114])  # grey from red, green, blue (ITU-R BT.601)


def attention_grid(grids: Mapping[str, tuple[Tensor, Tensor, Tensor]], corruption: str, scope: str = "") -> Figure:
    """The image above, then a row of heat maps for each method: clean, then severities 1 to 5 of `corruption`.

    `grids` has for each method's title uint8 images (6, 3, H, W), the same for all methods, their maps (6, H, W) in
    [0, 1], and whether each prediction is right (6,). Each map is drawn over the grey image, so that all colour is
    heat. `scope` says in words what the maps are of, for the notes under the figure.
    """
    images = _shared_images(grids)
    use_style()
    height = 1.05 * (1 + len(grids))
    drawing, panels = plt.subplots(1 + len(grids), 1 + len(SEVERITIES), figsize=(5.2, height), squeeze=False)
    for axes, image, severity in zip(panels[0], images, (0, *SEVERITIES), strict=True):
        axes.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
        words = {0: "clean", 1: "severity 1"}.get(severity, str(severity))
        axes.text(0.5, 1.04, words, transform=axes.transAxes, ha="center", va="bottom")
    lines = []
    for row, (title, (_, maps, right)) in zip(panels[1:], grids.items(), strict=True):
        _label(row[0], title)
        alike = similarity(maps[:1].expand(len(maps), -1, -1), maps)
        for axes, image, heat, correct in zip(row, images, maps, right.tolist(), strict=True):
            _heat(axes, image, heat, RIGHT if correct else WRONG)
        lines += [
            (title, severity, "right" if correct else "wrong", 100 * alike[severity])
            for severity, correct in zip((0, *SEVERITIES), right.tolist(), strict=True)
        ]
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
    for axes in panels[0]:
        axes.spines[:].set_visible(False)
    drawing.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.1, hspace=0.36)
    _scale(drawing, panels[-1], height)
    shift = corruption.replace("_", " ")
    data = pd.DataFrame(lines, columns=["method", "severity", "prediction", "similarity to the clean map (%)"])
    return Figure(
        drawing,
        name="fig-attention",
        caption=f"One image, clean and under {shift} at severities 1 to 5, and where encoders look in it: the "
        "brighter, the more. A tick and a green frame mark a right prediction, a cross and a broken orange frame a "
        "wrong one.",
        notes=f"{scope} Each map has a scale of its own.".strip(),
        alt=f"Grid of heat maps over one image, clean and under {shift} at severities 1 to 5. "
        + " ".join(_words(title, part) for title, part in data.groupby("method", sort=False)),
        data=data,
        pixels=True,
    )


def _shared_images(grids: Mapping[str, tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """The images that all methods have in common; shapes are checked on the way."""
    columns = 1 + len(SEVERITIES)
    if not grids:
        raise BadInput("an attention grid needs one method or more")
    shared = next(iter(grids.values()))[0]
    for title, (images, maps, right) in grids.items():
        if images.shape != (columns, 3, *maps.shape[1:]) or maps.ndim != 3 or right.shape != (columns,):
            raise BadInput(
                f"images are ({columns}, 3, H, W), maps ({columns}, H, W) and right ({columns},), not "
                f"{tuple(images.shape)}, {tuple(maps.shape)} and {tuple(right.shape)} ({title})"
            )
        if not torch.equal(images, shared):
            raise BadInput(f"all methods look at the same images; those of {title} are others")
    return shared


def _heat(axes: Axes, image: Tensor, heat: Tensor, verdict: dict) -> None:
    axes.imshow(image.permute(1, 2, 0).numpy() @ LUMA, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.imshow(heat.numpy(), cmap=HEAT, vmin=0, vmax=1, alpha=0.6, interpolation="nearest")
    axes.spines[:].set(visible=True, color=verdict["color"], linewidth=2.5, linestyle=verdict["linestyle"])
    axes.spines[:].set_capstyle("butt")  # else the dashes reach over their gaps
    axes.text(
        0.85, 0, verdict["mark"], transform=axes.transAxes, ha="center", va="center", color=verdict["color"],
        fontsize=11, bbox={"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": verdict["color"]},
    )  # fmt: skip


def _label(axes: Axes, title: str) -> None:
    """A method's name above its row: beside it, it would take the width of an image from a phone."""
    axes.text(0, 1.06, title, transform=axes.transAxes, ha="left", va="bottom")


def _scale(drawing: Drawing, panels: np.ndarray, height: float) -> None:
    """A bar under the last row, from least to most."""
    bar = drawing.add_axes((0.3, -0.32 / height, 0.4, 0.1 / height))
    colours = drawing.colorbar(ScalarMappable(cmap=HEAT), cax=bar, orientation="horizontal", ticks=[])
    colours.outline.set_visible(False)
    bar.text(-0.04, 0.5, "least", transform=bar.transAxes, ha="right", va="center")
    bar.text(1.04, 0.5, "most", transform=bar.transAxes, ha="left", va="center")


def _words(title: str, lines: pd.DataFrame) -> str:
    """One method in words: where it is right, and how alike its last map is to its first."""
    severities = lines.loc[lines["prediction"] == "right", "severity"]
    right = ", ".join("clean" if severity == 0 else str(severity) for severity in severities) or "none"
    last = lines["similarity to the clean map (%)"].iloc[-1]
    return f"{title}: right predictions {right}; correlation of the last map with the clean one {last:.0f} percent."
