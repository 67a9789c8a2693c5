"""What a live encoder sees: the images that it holds for alike, and the causes that can be read from its features."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.prose import listed, number, written
from lib.figures.style import OTHER, RECIPE_LOOK, cause, look, settle, use_style
from lib.measures import Interval, bootstrap_interval

WIDTH = 4.8  # inches, of both figures


MOST = 10  # neighbours in a line: more would be too small on a phone


UNTRAINED = ("random weights", "before training")


FRAME = "#333333"


HUE_DISTANCE = "hue distance (degrees)"


_DIGITS = 9  # of a cosine; a product of matrices may give equal features cosines that differ in the last bits


def nearest_neighbours(
    encoders: Mapping[str, Tensor],
    images: Tensor,
    query: int,
    scope: str,
    count: int = 7,
    hues: Tensor | None = None,
) -> Figure:
    """A line an encoder: image number `query`, framed, and the `count` others that are nearest to it.

    `encoders` has for each name its features (N, D) of the same uint8 `images` (N, 3, H, W). Near is the cosine of
    features less their mean over the images: the mean is what all images share, and with it all would look alike.
    With `hues` (N,), in turns from 0 to below 1, the figure tells how far the neighbours' hues are from the query's,
    and the caption how far they are with each of the N images as the query. `scope` says in words what is shown.
    Raises BadInput for a `query` or `count` out of range, and for features or hues of other images.
    """
    _check(encoders, images, query, count, hues)
    found = {name: _neighbours(features, count) for name, features in encoders.items()}
    apart = None if hues is None else _degrees_apart(hues)
    data = pd.concat([_lines(name, *both, query, apart) for name, both in found.items()], ignore_index=True)
    told, titles = _hues_told({name: order for name, (order, _) in found.items()}, query, apart)
    shown = images.permute(0, 2, 3, 1).numpy(force=True)
    return Figure(
        _draw(shown, query, {name: order[query].tolist() for name, (order, _) in found.items()}, titles, apart),
        name="fig-live-neighbours",
        caption=f"One image (framed) and, for each encoder, the {count} nearest of the {len(images) - 1:,} others, "
        f"from near to far by the cosine of features. {'' if apart is None else BENEATH}{scope}".strip(),
        notes=f"The cosine is that of features less their mean over all images, which is what images share. {told}",
        alt=f"Image {query} and its {count} nearest others, a line an encoder, with the cosine of features"
        + (". " if apart is None else " and the distance of hues. ")
        + " ".join(
            f"{titles[name]}{':' if apart is None else ';'} images {_in_words(own)}."
            for name, own in data.groupby("encoder", sort=False)
        ),
        data=data,
        pixels=True,
    )


def _check(encoders: Mapping[str, Tensor], images: Tensor, query: int, count: int, hues: Tensor | None) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or images.dtype != torch.uint8 or len(images) < 2:
        raise BadInput(f"images are uint8 (N, 3, H, W), two or more, not {images.dtype} {tuple(images.shape)}")
    number = len(images)
    if not encoders:
        raise BadInput("neighbours need the features of one encoder or more")
    for name, features in encoders.items():
        if features.ndim != 2 or len(features) != number or not features.isfinite().all():
            raise BadInput(
                f"features are finite numbers ({number}, D), a line an image, not {tuple(features.shape)} or NaN "
                f"({name})"
            )
    if not (isinstance(query, int) and 0 <= query < number):
        raise BadInput(f"query is the number of an image, from 0 to {number - 1}, not {query!r}")
    if not (isinstance(count, int) and 1 <= count <= min(MOST, number - 1)):
        raise BadInput(
            f"count is a whole number from 1 to {min(MOST, number - 1)} (one less than the images, and at most "
            f"{MOST}), not {count!r}"
        )
    if hues is not None and (hues.shape != (number,) or not ((hues >= 0) & (hues < 1)).all()):
        raise BadInput(f"hues are turns from 0 to below 1, one for each of {number} images, not {tuple(hues.shape)}")


def _neighbours(features: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` nearest others of every image, nearest first, the lower number first in a tie; and their cosines.

    (N, D) -> int64 (N, count) and float64 (N, count).
    """
    features = features.detach().cpu().double()
    directions = F.normalize(features - features.mean(dim=0), dim=1)
    cosines = (directions @ directions.T).round(decimals=_DIGITS)
    cosines.fill_diagonal_(-torch.inf)  # no image is its own neighbour
    nearest = cosines.sort(dim=1, descending=True, stable=True)
    return nearest.indices[:, :count], nearest.values[:, :count]


def _degrees_apart(hues: Tensor) -> Tensor:
    """How far each hue (N,), in turns, is from each other, the shorter way round: (N, N), in 0..180 degrees."""
    hues = hues.detach().cpu().double()
    gap = (hues[:, None] - hues).abs()
    return 360 * torch.minimum(gap, 1 - gap)


def _lines(name: str, order: Tensor, cosines: Tensor, query: int, apart: Tensor | None) -> pd.DataFrame:
    """The neighbours of `query` for one encoder, a line each."""
    lines = {
        "encoder": name,
        "place": range(1, order.shape[1] + 1),
        "image": order[query].tolist(),
        "cosine": cosines[query].tolist(),
    }
    if apart is not None:
        lines[HUE_DISTANCE] = apart[query, order[query]].tolist()
    return pd.DataFrame(lines)


BENEATH = "Beneath: how far a hue is from the query's, round the wheel of colours (at most 180°). "


def _hues_told(orders: Mapping[str, Tensor], query: int, apart: Tensor | None) -> tuple[str, dict[str, str]]:
    """Sentences for the notes, and a title for each line; names alone where there are no hues."""
    if apart is None:
        return "", {name: name for name in orders}
    number = len(apart)
    means = {name: apart.gather(1, order).mean(dim=1).numpy() for name, order in orders.items()}  # of every query
    others = (apart.sum(dim=1) / (number - 1)).numpy()
    here = [f"{name} {own[query]:.0f}°" for name, own in means.items()]
    over_all = [f"{name} {_degrees(bootstrap_interval(own[None]))}" for name, own in means.items()]
    told = (
        f"Means for this query: {', '.join(here)}, all other images {others[query]:.0f}°. Means over all {number:,} "
        f"images as queries, with 95 % bootstrap intervals over queries: {', '.join(over_all)}, any two images "
        f"{others.mean():.0f}°. "
    )
    return told, {name: f"{name}: hues {own[query]:.0f}° away on average" for name, own in means.items()}


def _degrees(found: Interval) -> str:
    return f"{found.mean:.0f}° [{found.low:.0f}, {found.high:.0f}]"


def _draw(
    shown: np.ndarray, query: int, chosen: Mapping[str, list[int]], titles: Mapping[str, str], apart: Tensor | None
) -> Drawing:
    """Lines of images from `shown` (N, H, W, 3), each placed by hand, in inches: all of a size, the query aside."""
    use_style()
    count = len(next(iter(chosen.values())))
    side = min(0.8, WIDTH / (1.35 + 1.07 * count - 0.07))  # of an image: gaps are 0.35 and 0.07 of it
    tall = side * shown.shape[1] / shown.shape[2]
    above, line = 0.24, 0.24 + tall + 0.31
    height = line * len(chosen)
    drawing = plt.figure(figsize=(WIDTH, height))
    for row, (name, neighbours) in enumerate(chosen.items()):
        bottom = height - line * row - above - tall
        for place, image in enumerate((query, *neighbours)):
            left = place * 1.07 * side + (0.28 * side if place else 0)
            axes = drawing.add_axes((left / WIDTH, bottom / height, side / WIDTH, tall / height), xticks=[], yticks=[])
            axes.imshow(shown[image], interpolation="nearest")
            axes.grid(False)
            axes.spines[:].set(visible=place == 0, color=FRAME, linewidth=2.5)
            if place == 0:
                _write(axes, 0, 1, 5, titles[name], va="bottom", ha="left", fontsize=10.5)
                _write(axes, 0.5, 0, -4, "query", va="top", ha="center", fontsize=9.5)
            elif apart is not None:
                _write(axes, 0.5, 0, -4, f"{apart[query, image]:.0f}°", va="top", ha="center", fontsize=9.5)
    return drawing


def _write(axes: Axes, x: float, y: float, up: float, words: str, **how: Any) -> None:
    """Words at a point of the panel (0..1), moved up by some points."""
    axes.annotate(words, (x, y), xycoords="axes fraction", xytext=(0, up), textcoords="offset points", **how)


def _in_words(own: pd.DataFrame) -> str:
    """Image numbers with cosines, and how far hues are: "12 (0.91, 8°), 40 (0.88, 21°)"."""
    cosines = [number(cosine, 2) for cosine in own["cosine"]]
    hues = [f", {far:.0f}°" for far in own[HUE_DISTANCE]] if HUE_DISTANCE in own else [""] * len(own)
    return ", ".join(f"{p} ({c}{h})" for p, c, h in zip(own["image"], cosines, hues, strict=True))


def read_before_after(found: Mapping[str, Mapping[str, Interval]], scope: str) -> Figure:
    """A band a factor of scenes, and in it a dot an encoder with its interval: linear R² of held-out images.

    `found` has for each encoder's name the R² of each factor, in percent; the factors are the same for all. A recipe
    keeps its look, an untrained encoder ("random weights", "before training") is grey, any other black. `scope` says
    in words what the numbers are of, for the caption. Raises BadInput where an encoder lacks a factor.
    """
    if not found or not all(found.values()):
        raise BadInput("this figure needs the R² of one factor or more for one encoder or more")
    factors = list(next(iter(found.values())))
    for name, own in found.items():
        if set(own) != set(factors):
            raise BadInput(
                f"all encoders have the same factors ({listed(factors)}), and {name} has {listed(list(own))}"
            )
    use_style()
    step = max(0.14 * len(found) + 0.14, 0.42)  # inches for a factor
    drawing, axes = plt.subplots(figsize=(WIDTH, step * len(factors) + 1.1), layout="constrained")
    for place, (name, own) in enumerate(_looks(found).items()):
        ends = [found[name][factor] for factor in factors]
        heights = np.arange(len(factors)) + (place - (len(found) - 1) / 2) * 0.14 / step
        axes.errorbar(
            [end.mean for end in ends], heights, linestyle="none", markersize=6, elinewidth=1.4, label=name, **own,
            xerr=[[end.mean - end.low for end in ends], [end.high - end.mean for end in ends]],
        )  # fmt: skip
    for border in range(1, len(factors)):
        axes.axhline(border - 0.5, color="#dddddd", linewidth=0.8, zorder=0)
    data = pd.DataFrame(
        [(name, cause(factor), own[factor].mean, own[factor].low, own[factor].high)
         for name, own in found.items() for factor in factors],
        columns=["encoder", "factor", "R² (%)", "low", "high"],
    ).dropna(axis="columns", how="all")  # fmt: skip
    numbers = data.select_dtypes("number").to_numpy()
    axes.set(xlim=(min(0.0, float(numbers.min())) - 3, max(100.0, float(numbers.max())) + 3),
             ylim=(len(factors) - 0.5, -0.5), xlabel="linear R² on held-out images (%)")  # fmt: skip
    axes.set_yticks(range(len(factors)), [cause(factor) for factor in factors])
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    drawing.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3 if len(found) != 4 else 2,
                   frameon=False, columnspacing=1, handletextpad=0.3)  # fmt: skip
    settle(drawing)
    return Figure(
        drawing,
        name="fig-live-read",
        caption="What a linear regression reads from the features of the encoders above: R² in percent on held-out "
        "images; 100 is each value exactly, 0 no better than their mean. Lines are 95 % intervals over images. "
        f"{scope}".strip(),
        notes=_spans(found),
        alt=f"Dot chart of the linear R² of {listed([cause(factor) for factor in factors])}, in percent. "
        + " ".join(f"{cause(factor)}: {_numbers(found, factor)}." for factor in factors),
        data=data,
    )


def _looks(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colour and marker of each encoder; those that are black are told apart by their markers."""
    found, markers = {}, cycle("vDX*<>pd")
    for name in names:
        if name in RECIPE_LOOK:
            own = RECIPE_LOOK[name]
        elif name.lower() in UNTRAINED:
            own = look("random")
        else:
            own = OTHER | {"marker": next(markers)}
        found[name] = {part: own[part] for part in ("color", "marker")}  # dots are not joined
    return found


def _spans(found: Mapping[str, Mapping[str, Interval]]) -> str:
    """From the lowest to the highest R² of each factor: one training of each encoder says nothing of more."""
    if len(found) < 2:
        return ""
    means = {factor: [own[factor].mean for own in found.values()] for factor in next(iter(found.values()))}
    told = [f"{cause(factor)} {number(min(own))} to {number(max(own))}" for factor, own in means.items()]
    return f"From the lowest to the highest of the {len(found)} encoders, R² is {listed(told)}. "


def _numbers(found: Mapping[str, Mapping[str, Interval]], factor: str) -> str:
    return "; ".join(f"{name} {written(own[factor])}" for name, own in found.items())
