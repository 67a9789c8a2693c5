"""Sheets of images."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.axes import Axes
from torch import Tensor

from lib.figures.figure import Figure, Tabs
from lib.figures.prose import listed
from lib.figures.style import spaced, use_style
from lib.shifts.corruptions import BAR, CORRUPTIONS, EVERY, EXTRA, SEVERITIES, corrupted_alike
from lib.shifts.transforms import TRANSFORMS, image_distance, transform
from lib.views import AUGMENTATIONS, View, augmented, make_view


def contact_sheet(image: Tensor, severities: Sequence[int] = SEVERITIES[::2], columns: int = 5) -> Tabs:
    """One uint8 image (3, H, W) under every corruption: a tab for each severity, the same place in all of them.

    Each is an eighth of a megabyte, which is why a page shows the least, the middle and the most severe.
    """
    return Tabs({f"severity {severity}": _sheet(image, severity, columns) for severity in severities})


def _sheet(image: Tensor, severity: int, columns: int) -> Figure:
    use_style()
    rows = -(-(1 + len(EVERY)) // columns)
    drawing, panels = plt.subplots(rows, columns, figsize=(5.4, 1.34 * rows))
    changes = []
    for axes, name in zip(panels.flat, ("clean", *EVERY), strict=False):
        shown = image if name == "clean" else corrupted_alike(image[None], name, severity)[0]
        _show(axes, shown)
        axes.set_title(_TWO_LINES.get(name, spaced(name)), fontsize=8.5, pad=3, linespacing=0.95)
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
        caption=f"One image of the embedded set `scenes` under all {len(EVERY)} corruptions at severity {severity}, "
        f"with the constants for 32 pixels: the {len(CORRUPTIONS)} of the benchmark, {len(EXTRA)} others "
        f"({spaced(EXTRA[0])} to {spaced(EXTRA[-1])}) and the {len(BAR)} of CIFAR-10-C-bar (from {spaced(BAR[0])} on).",
        alt=f"Contact sheet of one small image, clean and under {len(EVERY)} corruptions at severity {severity}. "
        f"{spaced(most).capitalize()} changes most grey levels, {spaced(least)} fewest.",
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


def recipe_views(
    image: Tensor, recipes: Sequence[str] = ("default", "spatial", "appearance"), count: int = 6
) -> Figure:
    """A line a recipe of `lib.views.AUGMENTATIONS`: `count` random views of one uint8 image (3, S, S)."""
    size = image.shape[-1]
    lines = []
    for recipe in recipes:  # each with the same seed: where two recipes do the same thing, they do it alike
        view, generator = augmented(View(size=size), recipe), torch.Generator().manual_seed(0)
        lines.append(make_view(image.expand(count, -1, -1, -1), view, generator))
    use_style()
    drawing, panels = plt.subplots(len(recipes), 1 + count, figsize=(5.2, 0.98 * len(recipes)), squeeze=False)
    for line, recipe, views in zip(panels, recipes, lines, strict=True):
        line[0].text(0, 1.06, recipe, transform=line[0].transAxes, ha="left", va="bottom")
        _show(line[0], image)
        for axes, shown in zip(line[1:], views, strict=True):
            _show(axes, shown)
    drawing.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0.06, hspace=0.32)
    parts = {recipe: listed(list(AUGMENTATIONS[recipe])) for recipe in recipes}
    told = f" by each recipe: {'; '.join(f'{recipe} ({own})' for recipe, own in parts.items())}"
    if len(parts) == 1:
        told = f" ({next(iter(parts.values()))})"
    moved = [float(image_distance(image.expand(count, -1, -1, -1), _in_range(views)).mean()) for views in lines]
    return Figure(
        drawing,
        name="fig-recipe-views",
        caption=f"One image of the embedded set `scenes`, and {count} random views of it{told}. An encoder is trained "
        "to give the views of a line the same features.",
        alt=f"{len(recipes)} line{'s' if len(recipes) > 1 else ''} of small images: the original, then {count} views "
        "of it. Pixels move by "
        + "; ".join(f"{100 * far:.0f} percent ({recipe})" for recipe, far in zip(recipes, moved, strict=True))
        + ".",
        data=pd.DataFrame({"recipe": list(recipes), "pixels move (%)": [100 * far for far in moved]}),
        pixels=True,
    )


def transform_sheet(image: Tensor, columns: int = 5) -> Figure:
    """One uint8 image (3, S, S) under each of the 18 transforms, at a setting three quarters along its grid."""
    use_style()
    lines = -(-(1 + len(TRANSFORMS)) // columns)
    drawing, panels = plt.subplots(lines, columns, figsize=(5.4, 1.32 * lines))
    _show(panels.flat[0], image)
    panels.flat[0].set_title("clean", fontsize=8.5, pad=3)
    changes = []
    for axes, name in zip(panels.flat[1:], TRANSFORMS, strict=False):
        grid = TRANSFORMS[name].grid(image.shape[-1])
        shown = transform(image[None], name, grid[3 * len(grid) // 4][None])
        _show(axes, shown[0])
        axes.set_title(spaced(name), fontsize=8.5, pad=3)
        changes.append(
            (spaced(name), TRANSFORMS[name].kind, 100 * image_distance(image[None].float() / 255, shown).item())
        )
    for axes in panels.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    drawing.subplots_adjust(wspace=0.05, hspace=0.28)
    table = pd.DataFrame(changes, columns=["transform", "kind", "pixels move (%)"])
    far = table.sort_values("pixels move (%)")["transform"]
    return Figure(
        drawing,
        name="fig-transforms",
        caption=f"One image of `scenes` under the {len(TRANSFORMS)} transforms of the paper, each at a setting three "
        "quarters along its range: the first eight are spatial, the others change appearance.",
        alt=f"Sheet of one small image, clean and under {len(TRANSFORMS)} transforms. {far.iloc[-1].capitalize()} "
        f"moves its pixels most, {far.iloc[0]} least.",
        data=table,
        pixels=True,
    )


def _show(axes: Axes, shown: Tensor) -> None:
    axes.imshow(shown.permute(1, 2, 0).numpy(), interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _in_range(views: Tensor) -> Tensor:
    return views.clamp(0, 1)  # a resize may overshoot by rounding
