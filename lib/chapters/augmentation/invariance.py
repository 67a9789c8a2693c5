"""What encoders look through that were trained on different changes of images, and which causes they still tell.

All `rows` are those of one encoder and data set, for several methods, augmentations and seeds. A method with one of its
recipes is an arm here; references have no recipe. Encoders side by side, as in a fusion, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure as Drawing

from lib.cells import WHITENED
from lib.chapters.augmentation.arms import ARM, RECIPES, Arm, arms_of, chosen_arms
from lib.chapters.augmentation.names import arm, title
from lib.contrasts import mean_of, of_cell
from lib.errors import BadInput, one_of
from lib.figures.figure import Figure
from lib.figures.matrix import draw_matrix
from lib.figures.prose import foremost, listed, number
from lib.figures.style import cause, spaced, use_style
from lib.measures.read_out import READ
from lib.measures.rows import CLEAN, Rows
from lib.methods import METHODS
from lib.shifts.transforms import TRANSFORMS
from lib.views import AUGMENTATIONS

METHOD = "moco_v2"  # the paper's, and the one that is trained with all `AUGMENTATIONS`


ALONG = f"{WHITENED} along"


LINEAR, SHAPE = "linear R2", "shape accuracy"


WHAT = "Whitened cosine similarity, in hundredths, of images and their transformed copies"


KINDS = {
    kind: [name for name, transform in TRANSFORMS.items() if transform.kind == kind]
    for kind in ("spatial", "appearance")
}


OWN = {  # what a part of the recipes does to training images, as transforms
    "crop": ("resized_crop",),
    "flip": ("h_flip",),
    "jitter": ("brightness", "contrast", "saturation", "hue"),
    "grey": ("grayscale",),
    "blur": ("blur",),
}


FACTOR_GROUPS = {
    "object": ("object_hue", "object_texture_scale", "object_texture_phase"),
    "wall": ("background_hue", "background_texture_scale", "background_texture_phase"),
    "pose": ("azimuth", "elevation", "roll"),
    "light": ("light_azimuth", "light_elevation", "light_hue", "light_tint"),
    "place": ("x", "y", "depth"),
}


PHOTOGRAPHS = {  # sets of `lib.images.objects`: what they are called, and what changes in them
    "coil": ("COIL", "azimuth"),
    "coil-100": ("COIL-100", "azimuth"),
    "aloi-pose": ("ALOI", "azimuth"),
    "aloi-light": ("ALOI", "light direction"),
    "aloi-colour": ("ALOI", "light colour"),
    "alot-pose": ("ALOT", "azimuth"),
    "alot-light": ("ALOT", "light direction"),
    "alot-colour": ("ALOT", "light colour"),
}


BEFORE, AFTER = "all features", "without the hue"


HUE, OTHERS, SHAPES_TOLD = "object hue", "other factors", "shape"


# Maps of whole numbers


def invariance_map(rows: Rows, scope: str) -> Figure:
    """A line a transform, a column an arm: whitened similarity, in whole hundredths, mean over seeds.

    `scope` says in words what the rows are, for the caption. An arm that lacks a transform is left out; BadInput where
    none is left.
    """
    chosen = chosen_arms(rows, WHITENED)
    means = _means(chosen, TRANSFORMS, arms_of(chosen))
    columns = [arm(*one) for one in means]
    return Figure(
        _map(means, [spaced(name) for name in means.index], columns, KINDS, _by_method(means)),
        name="fig-invariance-map",
        caption=f"{WHAT}, averaged over the settings of a transform, images and seeds; the darker, the less features "
        f"move. {chance(chosen, means)}{_below_zero(means)}{scope}",
        notes=f"The highest means over the transforms of a kind: {_highest(chosen, means, KINDS)}.",
        alt=f"Table of {len(means)} transforms by {len(columns)} encoders, coloured by whitened similarity. "
        f"{_by_kind(means, columns)}",
        data=_with_groups(means, columns, "transform", KINDS),
    )


def parts_map(rows: Rows, scope: str, method: str = METHOD) -> Figure | None:
    """`invariance_map` of one method, a column an augmentation: the recipes, each part of them alone, all but one.

    None where the rows have no augmentation of a single part and none without one.
    """
    one_of(method, METHODS, "method")
    parts = [name for name in AUGMENTATIONS if name not in RECIPES]
    chosen = rows[(rows["method"] == method) & (rows["metric"] == WHITENED)]
    if not chosen["augmentation"].isin(parts).any():
        return None
    chosen = chosen_arms(chosen, WHITENED)
    means = _means(chosen, TRANSFORMS, arms_of(chosen, AUGMENTATIONS))
    columns = [augmentation for _, augmentation in means.columns]
    return Figure(
        _map(
            means, [spaced(name) for name in means.index], columns, KINDS, [name.rpartition(" ")[0] for name in columns]
        ),
        name="fig-parts-map",
        caption=f"{WHAT}, for {title(method)} trained with each of {len(columns)} augmentations, averaged over the "
        f"settings of a transform, images and seeds. {_below_zero(means)}{scope}",
        notes=f"{chance(chosen, means)}{_own_changes(means.set_axis(columns, axis='columns'))}",
        alt=f"Table of {len(means)} transforms by {len(columns)} augmentations of {title(method)}, coloured by "
        f"whitened similarity. {_by_kind(means, columns)}",
        data=_with_groups(means, columns, "transform", KINDS),
    )


def factor_map(rows: Rows, scope: str, name: str = "fig-factor-map") -> Figure:
    """A line a factor of scenes, a column an arm: linear R² in whole percent, mean over seeds, as it is below zero.

    A page with two of them gives the second another `name`. An arm that lacks a factor is left out; BadInput where none
    is left.
    """
    chosen = chosen_arms(rows[rows["shift"] == CLEAN], LINEAR)
    means = _means(chosen, READ, arms_of(chosen), "subset")
    columns = [arm(*one) for one in means]
    return Figure(
        _map(means, [_short(name) for name in means.index], columns, FACTOR_GROUPS, _by_method(means)),
        name=name,
        caption=f"Which of {len(means)} causes of a scene a ridge regression reads from frozen features: R² in percent "
        "on held-out scenes, mean over seeds; 100 is each value exactly, 0 no better than their mean. "
        f"{_below_zero(means)}{scope}",
        notes="The highest means over the factors of a group: "
        f"{_highest(chosen, means, FACTOR_GROUPS, 'subset')}.",
        alt=f"Table of {len(means)} factors of scenes by {len(columns)} encoders, coloured by linear R². The largest "
        "number of each column: "
        + "; ".join(f"{column} {cause(own.idxmax())} ({number(own.max())})"
                    for column, (_, own) in zip(columns, means.items(), strict=True))
        + ".",
        data=_with_groups(means, columns, "factor", FACTOR_GROUPS, cause),
    )  # fmt: skip


def _map(
    means: Rows,
    lines: Sequence[str],
    columns: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    families: Sequence[str],
) -> Drawing:
    """`means` (L, C) as whole numbers, with the titles of its lines and columns; groups keep the lines they have.

    Neighbouring columns of different `families` (C,) are set apart by a thin line.
    """
    whole = means.round().astype(int)
    held = {group: [name for name in members if name in whole.index] for group, members in groups.items()}
    least = 0.31 if (whole <= -10).any(axis=None) else 0.28  # inches for three digits, or for bold ones with a sign
    cell = np.clip(3.1 / len(columns), least, 0.45)  # few columns do not sprawl
    use_style()
    drawing, axes = plt.subplots(figsize=(cell * len(columns), 0.25 * len(lines)),
                                 gridspec_kw={"left": 0, "right": 1, "bottom": 0, "top": 1})  # fmt: skip
    draw_matrix(axes, whole, lines, columns, {group: members for group, members in held.items() if members})
    for column, (before, after) in enumerate(pairwise(families), start=1):
        if before != after:
            axes.plot((column, column), (0, len(lines)), color="#333333", linewidth=1, clip_on=False)
    return drawing


def _by_method(arms: Iterable[Arm]) -> list[str]:
    """The family of each arm: its method, and one family of all references."""
    return [method if augmentation else "" for method, augmentation in arms]


def _means(chosen: Rows, lines: Iterable[str], arms: Sequence[Arm], column: str = "shift") -> Rows:
    """(those of `lines` in a column, arms): means over seeds, without arms that lack one of them."""
    means = chosen.pivot_table(index=column, columns=ARM, values="value", aggfunc="mean")
    means = means.loc[[name for name in lines if name in means.index], arms].dropna(axis="columns")
    if means.empty:
        raise BadInput(f"this figure needs an encoder with numbers for some of: {', '.join(lines)}")
    return means


def _highest(chosen: Rows, means: Rows, groups: Mapping[str, Sequence[str]], column: str = "shift") -> str:
    """For each group of the lines of `means` the arm with the largest mean, or those that are not told apart."""
    found = []
    for group, members in groups.items():
        lines = [name for name in means.index if name in members]
        arms = {
            arm(*one): mean_of([of_cell(chosen, {column: name, **dict(zip(ARM, one, strict=True))}) for name in lines])
            for one in means.columns
            if lines
        }
        if arms:
            found.append(f"{group} {foremost(arms, lambda name, mean: f'{name} ({number(mean)})')}")
    return "; ".join(found)


def _by_kind(means: Rows, columns: Sequence[str]) -> str:
    held = [kind for kind, members in KINDS.items() if means.index.isin(members).any()]
    by_kind = [means[means.index.isin(KINDS[kind])].mean() for kind in held]
    numbers = zip(columns, zip(*by_kind, strict=True), strict=True)
    return f"Mean over the {listed(held)} transforms: " + "; ".join(
        f"{column} {listed([number(value) for value in values])}" for column, values in numbers
    ) + "."  # fmt: skip


def _below_zero(means: Rows) -> str:
    below = int((means.round() < 0).to_numpy().sum())
    return f"Blue and bold: {below} of {means.size} cells, below zero when rounded. " if below else ""


def chance(chosen: Rows, means: Rows) -> str:
    """What different images score, over the arms of `means`."""
    of_arms = chosen[chosen["shift"] == CLEAN].groupby(ARM)["value"].mean()
    values = of_arms[of_arms.index.isin(list(means))]
    if values.empty:
        return ""
    low, high = (number(end, 1) for end in (values.min(), values.max()))
    return f"Two different images score {low if low == high else f'{low} to {high}'}, the level of chance. "


def _own_changes(means: Rows) -> str:
    """What an encoder looks through that was trained to, and what becomes of it without; columns are augmentations."""
    found = []
    for part, own in OWN.items():
        if {"default", f"no {part}"} <= set(means) and set(own) <= set(means.index):
            pair = listed([number(means.loc[list(own), name].mean()) for name in ("default", f"no {part}")])
            found.append(f"{part} {pair} ({listed([spaced(name) for name in own])})")
    if not found:
        return ""
    return f"For what a part itself does, by the default recipe and without that part: {'; '.join(found)}. "


def _with_groups(
    means: Rows,
    columns: Sequence[str],
    what: str,
    groups: Mapping[str, Sequence[str]],
    named: Callable[[str], str] = spaced,
) -> Rows:
    """The table behind a map, each line with its group."""
    group_of = {name: group for group, members in groups.items() for name in members}
    data = means.set_axis(columns, axis="columns").rename_axis(what).reset_index()
    data.insert(1, "group", data[what].map(group_of))
    return data.assign(**{what: data[what].map(named)})


def _short(name: str) -> str:
    """A factor beside the name of its group: textures, whose names are long, are not told twice whose they are."""
    _, texture, what = name.partition("texture_")
    return spaced(texture + what) if texture else cause(name)
