"""Pictures of pictures."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from torch import Tensor

from lib.figures.figure import Figure, Tabs
from lib.figures.style import use_style
from lib.shifts.corruptions import EVERY, SEVERITIES, corrupted_alike


def contact_sheet(image: Tensor, columns: int = 5) -> Tabs:
    """One uint8 image (3, H, W) under every corruption: a tab for each severity, the same place in all of them."""
    return Tabs({f"severity {severity}": _sheet(image, severity, columns) for severity in SEVERITIES})


def _sheet(image: Tensor, severity: int, columns: int) -> Figure:
    use_style()
    rows = -(-(1 + len(EVERY)) // columns)
    drawing, panels = plt.subplots(rows, columns, figsize=(6.8, 1.62 * rows))
    changes = []
    for axes, name in zip(panels.flat, ("clean", *EVERY), strict=False):
        shown = image if name == "clean" else corrupted_alike(image[None], name, severity)[0]
        axes.imshow(shown.permute(1, 2, 0).numpy(), interpolation="nearest")
        axes.set_title(_TWO_LINES.get(name, name.replace("_", " ")), fontsize=9.5, pad=3, linespacing=0.95)
        changes.append((name, (shown.float() - image.float()).abs().mean().item()))
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    drawing.subplots_adjust(wspace=0.05, hspace=0.34)
    table = pd.DataFrame(changes, columns=["corruption", "mean change (grey levels)"])
    most, least = table.iloc[table.iloc[:, 1].argmax(), 0], table.iloc[1:].sort_values(table.columns[1]).iloc[0, 0]
    return Figure(
        drawing,
        name=f"fig-contact-sheet-{severity}",
        caption=f"One picture of the embedded set `scenes` under all {len(EVERY)} corruptions at severity {severity}, "
        "with the constants for 32 pixels: the 15 of the benchmark, the 4 held back for validation (speckle noise to "
        "saturate), and the 10 of CIFAR-10-C-bar (from blue noise sample on).",
        alt=f"Contact sheet of one small picture, clean and under {len(EVERY)} corruptions at severity {severity}. "
        f"{most.replace('_', ' ').capitalize()} changes most grey levels, {least.replace('_', ' ')} fewest.",
        data=table,
        pixels=True,
    )


_TWO_LINES = {
    "elastic_transform": "elastic\ntransform",
    "jpeg_compression": "jpeg",
    "blue_noise_sample": "blue noise\nsample",
    "checkerboard_cutout": "checkerboard\ncutout",
    "inverse_sparkles": "inverse\nsparkles",
    "pinch_and_twirl": "pinch, twirl",
    "circular_motion_blur": "circular\nmotion blur",
    "transverse_chromatic_abberation": "chromatic\nabberation",
}
