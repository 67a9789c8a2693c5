"""Pictures of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
from torch import Tensor

from lib.figures.figure import Figure
from lib.figures.style import use_style
from lib.measures.corruption_error import corrupted
from lib.shifts.corruptions import SEVERITIES


def examples(images: Tensor, corruptions: Sequence[str]) -> Figure:
    """A row for each corruption, on an image of its own: clean, then severities 1 to 5."""
    use_style()
    drawing, panels = plt.subplots(len(corruptions), 6, figsize=(6.8, 1.2 * len(corruptions)))
    changes = []
    for row, (name, image) in enumerate(zip(corruptions, images, strict=False)):
        for severity in (0, *SEVERITIES):
            shown = corrupted(image[None], name, severity)[0] if severity else image
            axes = panels[row, severity]
            axes.imshow(shown.permute(1, 2, 0).numpy(), interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
            if row == 0:
                axes.set_title("clean" if severity == 0 else str(severity))
            change = (shown.float() - image.float()).abs().mean().item()
            changes.append((name, severity, change))
        panels[row, 0].set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center")
    drawing.subplots_adjust(wspace=0.04, hspace=0.06)
    table = pd.DataFrame(changes, columns=["corruption", "severity", "mean change (grey levels)"])
    words = [name.replace("_", " ") for name in corruptions]
    return Figure(
        drawing,
        name="fig-examples",
        caption="One corruption of each group at severities 1 to 5, on pictures of the embedded set `scenes`.",
        alt=f"Grid of small pictures: a row each for {', '.join(words)}; columns from the clean picture to severity 5, "
        "where shapes are hard to make out.",
        data=table,
        pixels=True,
    )
