"""What encoders look through that were trained on different changes of pictures, and which causes they still tell.

All `rows` are those of one encoder and data set, for several methods, augmentations and seeds. A method with one of its
recipes is an arm here; references have no recipe. Encoders side by side, as in a fusion, are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D

from lib.claims import CHANCE, WHITENED, above_chance, difference
from lib.errors import BadInput, one_of
from lib.figures.figure import Figure
from lib.figures.matrix import draw_matrix
from lib.figures.style import RECIPE_LOOK, arm, cause, look, settle, spaced, title, use_style
from lib.figures.words import listed
from lib.images.scenes import SHAPES
from lib.measures import cell_interval
from lib.measures.read_out import ERASED, READ, WITHOUT
from lib.measures.rows import CLEAN
from lib.methods import METHODS
from lib.shifts.transforms import TRANSFORMS
from lib.views import AUGMENTATIONS

Rows = pd.DataFrame
Arm = tuple[str, str]  # a method and its augmentation, "" where it has none

ARM = ["method", "augmentation"]
RECIPES = ("default", "spatial", "appearance")  # the paper's; the others of `AUGMENTATIONS` take one part or leave it
METHOD = "moco_v2"  # the paper's, and the one that is trained with all `AUGMENTATIONS`

ALONG = f"{WHITENED} along"
LINEAR, LINEAR_OF, SHAPE = "linear R2", "linear R2 of ", "shape accuracy"
WHAT = "Whitened cosine similarity, in hundredths, of pictures and their transformed copies"

KINDS = {
    kind: [name for name, transform in TRANSFORMS.items() if transform.kind == kind]
    for kind in ("spatial", "appearance")
}
OWN = {  # what a part of the recipes does to training pictures, as transforms
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
PHOTOGRAPHS = {  # sets of `lib.images.objects`, and what changes in them
    "coil": "COIL: azimuth",
    "coil-100": "COIL-100: azimuth",
    "aloi-pose": "ALOI: azimuth",
    "aloi-light": "ALOI: light direction",
    "aloi-colour": "ALOI: light colour",
    "alot-pose": "ALOT: azimuth",
    "alot-light": "ALOT: light direction",
    "alot-colour": "ALOT: light colour",
}
BEFORE, AFTER = "all features", "without the hue"
HUE, OTHERS, SHAPES_TOLD = "object hue", "other factors", "shape"


# Maps of whole numbers


def invariance_map(rows: Rows, scope: str) -> Figure:
    """A line a transform, a column an arm: whitened similarity, in whole hundredths, mean over seeds.

    `scope` says in words what the rows are, for the caption. An arm that lacks a transform is left out; BadInput where
    none is left.
    """
    chosen = _chosen(rows, WHITENED)
    means = _means(chosen, TRANSFORMS, _arms(chosen))
    columns = [arm(*one) for one in means]
    return Figure(
        _map(means, [spaced(name) for name in means.index], columns, KINDS, _by_method(means)),
        name="fig-invariance-map",
        caption=f"{WHAT}, averaged over the settings of a transform, pictures and seeds; the darker, the less features "
        f"move. {_chance(chosen, means)}{_below_zero(means)}The highest means over the transforms of a kind: "
        f"{_highest(means, columns, KINDS)}. {scope}",
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
    chosen = _chosen(chosen, WHITENED)
    means = _means(chosen, TRANSFORMS, _arms(chosen, AUGMENTATIONS))
    columns = [augmentation for _, augmentation in means]
    return Figure(
        _map(
            means, [spaced(name) for name in means.index], columns, KINDS, [name.rpartition(" ")[0] for name in columns]
        ),
        name="fig-parts-map",
        caption=f"{WHAT}, for {title(method)} trained with each of {len(columns)} augmentations, averaged over the "
        f"settings of a transform, pictures and seeds. {_chance(chosen, means)}{_below_zero(means)}"
        f"{_own_changes(means.set_axis(columns, axis='columns'))}{scope}",
        alt=f"Table of {len(means)} transforms by {len(columns)} augmentations of {title(method)}, coloured by "
        f"whitened similarity. {_by_kind(means, columns)}",
        data=_with_groups(means, columns, "transform", KINDS),
    )


def factor_map(rows: Rows, scope: str, name: str = "fig-factor-map") -> Figure:
    """A line a factor of scenes, a column an arm: linear R² in whole percent, mean over seeds, as it is below zero.

    A page with two of them gives the second another `name`. An arm that lacks a factor is left out; BadInput where none
    is left.
    """
    chosen = _chosen(rows, LINEAR)
    means = _means(chosen, READ, _arms(chosen))
    columns = [arm(*one) for one in means]
    return Figure(
        _map(means, [_short(name) for name in means.index], columns, FACTOR_GROUPS, _by_method(means)),
        name=name,
        caption=f"Which of {len(means)} causes of a scene a ridge regression reads from frozen features: R² in percent "
        "on held-out scenes, mean over seeds; 100 is each value exactly, 0 no better than their mean. "
        f"{_below_zero(means)}The highest means over the factors of a group: "
        f"{_highest(means, columns, FACTOR_GROUPS)}. {scope}",
        alt=f"Table of {len(means)} factors of scenes by {len(columns)} encoders, coloured by linear R². The best read "
        "for each: "
        + "; ".join(f"{column} {cause(own.idxmax())} ({_number(own.max())})"
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


def _means(chosen: Rows, lines: Iterable[str], arms: Sequence[Arm]) -> Rows:
    """(shifts among `lines`, arms): means over seeds, without arms that lack one of the shifts."""
    means = chosen.pivot_table(index="shift", columns=ARM, values="value", aggfunc="mean")
    means = means.loc[[name for name in lines if name in means.index], arms].dropna(axis="columns")
    if means.empty:
        raise BadInput(f"this figure needs an encoder with numbers for some of: {', '.join(lines)}")
    return means


def _highest(means: Rows, columns: Sequence[str], groups: Mapping[str, Sequence[str]]) -> str:
    """For each group of lines the largest mean of a column, and whose it is."""
    found = []
    for group, members in groups.items():
        of_group = means[means.index.isin(members)].mean().set_axis(columns)
        if of_group.notna().any():
            found.append(f"{group} {_number(of_group.max())} ({of_group.idxmax()})")
    return "; ".join(found)


def _by_kind(means: Rows, columns: Sequence[str]) -> str:
    held = [kind for kind, members in KINDS.items() if means.index.isin(members).any()]
    by_kind = [means[means.index.isin(KINDS[kind])].mean() for kind in held]
    numbers = zip(columns, zip(*by_kind, strict=True), strict=True)
    return f"Mean over the {listed(held)} transforms: " + "; ".join(
        f"{column} {listed([_number(value) for value in values])}" for column, values in numbers
    ) + "."  # fmt: skip


def _below_zero(means: Rows) -> str:
    below = int((means.round() < 0).to_numpy().sum())
    return f"Blue and bold: {below} of {means.size} cells, below zero. " if below else ""


def _chance(chosen: Rows, means: Rows) -> str:
    """What different pictures score, over the arms of `means`."""
    of_arms = chosen[chosen["shift"] == CLEAN].groupby(ARM)["value"].mean()
    values = of_arms[of_arms.index.isin(list(means))]
    if values.empty:
        return ""
    low, high = (_number(end, 1) for end in (values.min(), values.max()))
    return f"Two different pictures score {low if low == high else f'{low} to {high}'}, the level of chance. "


def _own_changes(means: Rows) -> str:
    """What an encoder looks through that was trained to, and what becomes of it without; columns are augmentations."""
    found = []
    for part, own in OWN.items():
        if {"default", f"no {part}"} <= set(means) and set(own) <= set(means.index):
            pair = listed([_number(means.loc[list(own), name].mean()) for name in ("default", f"no {part}")])
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


# Along the parameter of a transform


def similarity_curves(rows: Rows, scope: str, method: str = METHOD) -> Figure:
    """A panel a transform of one parameter: whitened similarity along it, a line a recipe of `method`.

    Random weights stand beside them in grey where the rows have them. BadInput where neither is there.
    """
    one_of(method, METHODS, "method")
    chosen = _chosen(rows, ALONG)
    arms = [one for one in _arms(chosen) if one[0] in (method, "random")]
    if not arms:
        raise BadInput(f"these rows have the metric {ALONG!r} neither for {title(method)} nor for random weights")
    chosen = chosen.assign(severity=chosen["severity"].round(6))  # as in stored rows, which may stand beside fresh ones
    table = _summary(_of_arms(chosen, arms), "shift", "severity").sort_values("severity", kind="stable")
    names = [name for name in TRANSFORMS if name in set(table["shift"])]
    use_style()
    height = math.ceil(len(names) / 3)
    drawing, panels = plt.subplots(height, 3, figsize=(4.9, 1.55 * height + 0.7), sharey=True, squeeze=False,
                                   layout="constrained")  # fmt: skip
    for axes, name in zip(panels.flat, names, strict=False):
        for one in arms:
            _draw_along(axes, table[_is(table, one) & (table["shift"] == name)], one)
        axes.set_title(spaced(name), fontsize=10.5)
        axes.set_xlabel(_parameter(name), fontsize=10, labelpad=1)
        axes.locator_params(axis="x", nbins=4, steps=[1, 2, 5, 10])
        axes.tick_params(labelsize=9.5, pad=1)
    panels[0, 0].set(ylim=_limits(table), yticks=range(0, 101, 25))
    for axes in panels.flat[len(names) :]:
        axes.set_axis_off()
    drawing.supylabel("whitened similarity (hundredths)", fontsize=11)
    _legend(drawing, panels[0, 0])
    settle(drawing)
    means = table.groupby(["shift", *ARM], sort=False)["mean"].mean()
    runs = chosen.groupby([*ARM, "seed", "shift"], sort=False)[["value", "standard_error"]].mean().reset_index()
    means = pd.DataFrame({one: [means.get((name, *one), np.nan) for name in names] for one in arms}, index=names)
    return Figure(
        drawing,
        name="fig-similarity-curves",
        caption=f"{WHAT}, along the parameter of each transform that has one. Bands are 95 % intervals over seeds and "
        f"images. {_chance(_chosen(rows, WHITENED, needed=False), means)}"
        f"{_spatial_against_appearance(runs, method, spaced, ' on average over the settings')}{scope}",
        alt=f"{len(names)} line charts of whitened similarity against the parameter of a transform. Mean over the "
        f"settings: {_numbers_by_line(means, [spaced(name) for name in names])}.",
        data=_wide(table, arms),
    )


def _draw_along(axes: Axes, line: Rows, one: Arm) -> None:
    """A line with its band, and with about six markers however many settings there are."""
    own = _look(one)
    axes.plot(line["severity"], line["mean"], label=arm(*one), markersize=3.5, linewidth=1.4,
              markevery=max(1, len(line) // 6), **own)  # fmt: skip
    axes.fill_between(line["severity"], line["low"], line["high"], color=own["color"], alpha=0.15, lw=0)


def _parameter(name: str) -> str:
    """A transform's only parameter with its unit: "angle (degrees)"; the unit alone where it says the same."""
    (parameter,), (unit,) = TRANSFORMS[name].names, TRANSFORMS[name].units
    if not unit:
        return parameter
    return unit if unit in (parameter, f"{parameter}s") else f"{parameter} ({unit})"


def _limits(table: Rows) -> tuple[float, float]:
    """From 0 to 100, or what lines and bands need, with a little room."""
    low, high = np.nanmin(table[["mean", "low"]]), np.nanmax(table[["mean", "high"]])
    return min(0.0, low) - 4, max(100.0, high) + 4


def _wide(table: Rows, arms: Sequence[Arm]) -> Rows:
    """A line a setting, and for each arm its mean and the ends of its interval."""
    wide = table.pivot(index=["shift", "severity"], columns=ARM, values=["mean", "low", "high"])
    ends = {"mean": "", "low": ": low", "high": ": high"}
    data = pd.DataFrame({f"{arm(*one)}{word}": wide[end, *one] for one in arms for end, word in ends.items()})
    data = data.rename_axis(["transform", "parameter"]).reset_index()
    order = data["transform"].map(list(TRANSFORMS).index).argsort(kind="stable")
    return data.iloc[order].assign(transform=lambda own: own["transform"].map(spaced)).dropna(axis="columns", how="all")


# Real views


def real_views(rows: Rows, scope: str, method: str = METHOD) -> Figure:
    """A line a set of views: how alike those of one object are, a dot an arm, with intervals over seeds and objects.

    In percent of the way from any two pictures of the set (0) to the same picture (100): `lib.claims.above_chance`.
    """
    one_of(method, METHODS, "method")
    runs = above_chance(_chosen(rows, WHITENED, CHANCE))
    if runs.empty:
        raise BadInput(f"this figure needs rows with the metrics {WHITENED!r} and {CHANCE!r} of one set")
    table = _summary(runs, "shift")
    arms = [one for one in _arms(table) if one[0] == method or not one[1]]
    if not arms:
        raise BadInput(f"these rows have views of objects neither for {title(method)} nor for a reference")
    table = _of_arms(table, arms)
    sets = list(dict.fromkeys(table["shift"]))
    use_style()
    step = max(0.115 * len(arms) + 0.1, 0.42)  # inches for a set
    drawing, axes = plt.subplots(figsize=(4.8, step * len(sets) + 0.75 + 0.11 * len(arms)), layout="constrained")
    for place, one in enumerate(arms):
        own = table[_is(table, one)]
        beside = (place - (len(arms) - 1) / 2) * 0.115 / step
        _dots(axes, own, [sets.index(name) + beside for name in own["shift"]], label=arm(*one), **_look(one))
    for border in range(1, len(sets)):
        axes.axhline(border - 0.5, color="#dddddd", linewidth=0.8, zorder=0)
    _percent(axes, table)
    axes.set(ylim=(len(sets) - 0.5, -0.5), xlabel="0: as any two pictures, 100: the same (%)")
    axes.set_yticks(range(len(sets)), [_set(name).replace(" (", "\n(") for name in sets], fontsize=10)
    axes.tick_params(axis="y", length=0)
    axes.grid(False, axis="y")
    _legend(drawing, axes)
    settle(drawing)
    cells = table.set_index(["shift", *ARM])["mean"]
    means = pd.DataFrame({one: [cells.get((name, *one), np.nan) for name in sets] for one in arms}, index=sets)
    return Figure(
        drawing,
        name="fig-real-views",
        caption="How alike views of one object are to an encoder while one cause changes: whitened similarity, in "
        "percent of the way from any two pictures of the set to the same picture twice. Lines are 95 % intervals over "
        f"seeds, each with both of its own, and objects. {_spatial_against_appearance(runs, method, _set)}{scope}",
        alt=f"Dot chart of {len(sets)} sets of views by {len(arms)} encoders, in percent. "
        f"{_numbers_by_line(means, [_set(name) for name in sets])}.",
        data=_encoders(table).assign(shift=table["shift"].map(_set)).rename(columns={"shift": "set"}),
    )


def _set(name: str) -> str:
    """What changes, and in which pictures: "azimuth (COIL)"."""
    pictures, _, cause = PHOTOGRAPHS.get(name, name).partition(": ")
    return f"{spaced(cause)} ({pictures})" if cause else spaced(name)


# Erasure


def erasure_bars(rows: Rows, scope: str, method: str = METHOD) -> Figure:
    """Three panels, a line an arm: what is read from all features (open dot) and without the object's hue (full dot).

    Linear R² of that hue, of the other factors on average, and the probe's accuracy on shapes, with 95 % intervals.
    """
    one_of(method, METHODS, "method")
    read, others = _read_twice(rows)
    table = _summary(read, "what", "features")
    arms = [one for one in _arms(table) if one[0] == method or not one[1]]
    if not arms:
        raise BadInput(f"these rows have the read-out of scenes neither for {title(method)} nor for a reference")
    table = _of_arms(table, arms)
    panel_titles = {
        HUE: "linear R² of the object's hue (%)",
        OTHERS: f"linear R² of other factors, mean of {others} (%)",
        SHAPES_TOLD: "accuracy on shapes (%)",
    }
    shown = [what for what in panel_titles if what in set(table["what"])]
    use_style()
    height = len(shown) * (0.27 * len(arms) + 0.4) + 0.6
    drawing, panels = plt.subplots(len(shown), 1, figsize=(4.8, height), sharex=True, squeeze=False,
                                   layout="constrained")  # fmt: skip
    for axes, what in zip(panels[:, 0], shown, strict=True):
        for place, one in enumerate(arms):
            for features, beside in ((BEFORE, -0.17), (AFTER, 0.17)):
                own = table[_is(table, one) & (table["what"] == what) & (table["features"] == features)]
                face = {"markerfacecolor": "white"} if features == BEFORE else {}
                _dots(axes, own, [place + beside] * len(own), color=_look(one)["color"], marker="o", **face)
        axes.set_title(panel_titles[what], fontsize=10.5, loc="left")
        axes.set(ylim=(len(arms) - 0.5, -0.5))
        axes.set_yticks(range(len(arms)), [arm(*one) for one in arms], fontsize=10)
        axes.tick_params(axis="y", length=0)
        axes.grid(False, axis="y")
    _percent(panels[-1, 0], table)
    handles = [
        Line2D([], [], linestyle="none", marker="o", color="#333333", label=label, markerfacecolor=face)
        for label, face in ((BEFORE, "white"), (AFTER, "#333333"))
    ]
    drawing.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, handletextpad=0.2)
    settle(drawing)
    return Figure(
        drawing,
        name="fig-erasure",
        caption="What can be read from all features of scenes (open dots) and after a linear projection, fitted on "
        "other scenes, that removes the object's hue from them (full dots). Lines are 95 % intervals over seeds and "
        f"scenes. A guessed shape is right in {100 / len(SHAPES):.0f} %. Mean over the encoders, before and after: "
        f"{_both(table)}. {scope}",
        alt="Three dot charts of what is read from features before and after the object's hue is removed, in percent. "
        + "; ".join(f"{arm(*one)}: {_both(table[_is(table, one)])}" for one in arms)
        + ".",
        data=_encoders(table),
    )


def _read_twice(rows: Rows) -> tuple[Rows, int]:
    """A line a run, `what` is read and from which `features`; and the number of factors behind "other factors".

    Only factors count that are read from both. The standard error of their mean is the mean of theirs, as if their
    errors went together entirely: the interval errs on the wide side.
    """
    chosen = _chosen(rows, LINEAR, SHAPE, *(LINEAR_OF + name for name in READ))
    after = chosen["shift"] == WITHOUT
    shape = (chosen["metric"] == SHAPE) & (after | (chosen["shift"] == CLEAN))
    names = chosen["shift"].where(~after, chosen["metric"].str.removeprefix(LINEAR_OF)).mask(shape, SHAPE)
    named = chosen.assign(name=names, features=np.where(after, AFTER, BEFORE))
    named = named[named["name"].isin([*READ, SHAPE])]
    twice = named[named.groupby([*ARM, "seed", "name"])["features"].transform("nunique") == 2]
    if twice.empty:
        raise BadInput(f"this figure needs what is read of scenes from all features and {WITHOUT!r}")
    what = twice["name"].map({ERASED: HUE, SHAPE: SHAPES_TOLD}).fillna(OTHERS)
    by_run = twice.assign(what=what).groupby([*ARM, "seed", "what", "features"], sort=False)
    others = twice.loc[what == OTHERS, "name"].nunique()
    means = by_run.agg(metric=("metric", "first"), value=("value", "mean"), standard_error=("standard_error", "mean"))
    return means.reset_index(), others


def _both(table: Rows) -> str:
    """Means before and after of all that is read: "object hue 60 to 2, other factors 20 to 18 and shape 50 to 45"."""
    means = table.pivot_table(index="what", columns="features", values="mean", aggfunc="mean", sort=False)
    return listed([f"{what} {_number(own[BEFORE])} to {_number(own[AFTER])}" for what, own in means.iterrows()])


# Rows and arms


def _chosen(rows: Rows, *metrics: str, needed: bool = True) -> Rows:
    """The rows of some metrics, with "" for a missing augmentation, which pandas would leave out of groups."""
    chosen = rows[rows["metric"].isin(metrics)]
    if chosen.empty and needed:
        raise BadInput(f"this figure needs rows with the metric {metrics[0]!r}, and these have none")
    chosen = chosen.assign(augmentation=chosen["augmentation"].astype(object).fillna(""))
    if chosen.duplicated([*ARM, "seed", "shift", "severity", "metric"]).any():
        raise BadInput("rows hold one number for each metric, shift, severity and run, of one encoder and data set")
    return chosen


def _arms(rows: Rows, augmentations: Iterable[str] = (*RECIPES, "")) -> list[Arm]:
    """Those of `rows` with one of `augmentations`, in their order within a method; methods in the order of the rows."""
    held = set(zip(rows["method"], rows["augmentation"], strict=True))
    pairs = [(method, augmentation) for method in dict.fromkeys(rows["method"]) for augmentation in augmentations]
    return [pair for pair in pairs if pair in held]


def _is(rows: Rows, one: Arm) -> pd.Series:
    return (rows["method"] == one[0]) & (rows["augmentation"] == one[1])


def _of_arms(rows: Rows, arms: Sequence[Arm]) -> Rows:
    return rows[[pair in arms for pair in zip(rows["method"], rows["augmentation"], strict=True)]]


def _look(one: Arm) -> Mapping[str, str]:
    method, augmentation = one
    return RECIPE_LOOK[augmentation] if augmentation else look(method)


def _summary(rows: Rows, *cell: str) -> Rows:
    """Mean and interval over seeds and images for each arm and cell, in the order of the rows."""
    lines = []
    for key, own in rows.groupby([*ARM, *cell], sort=False):
        found = cell_interval(own, own["metric"].iloc[0])
        lines.append((*key, found.mean, found.low, found.high, len(own)))
    return pd.DataFrame(lines, columns=[*ARM, *cell, "mean", "low", "high", "seeds"])


def _encoders(table: Rows) -> Rows:
    """The table with arms as they are written; ends of intervals that are unknown for all are left out."""
    data = table.drop(columns=ARM).dropna(axis="columns", how="all")
    data.insert(0, "encoder", [arm(*one) for one in zip(table["method"], table["augmentation"], strict=True)])
    return data


# Drawing


def _dots(axes: Axes, own: Rows, heights: Sequence[float], color: str, marker: str, **more) -> None:
    """Dots at the means, with their intervals as lines."""
    more.pop("linestyle", None)  # of a look: dots are not joined
    ends = (own["mean"] - own["low"], own["high"] - own["mean"])
    axes.errorbar(own["mean"], heights, xerr=ends, linestyle="none", marker=marker, color=color, markersize=5.5,
                  elinewidth=1.3, **more)  # fmt: skip


def _percent(axes: Axes, table: Rows) -> None:
    """From 0 to 100 along x, or what dots and intervals need."""
    low, high = np.nanmin(table[["mean", "low"]]), np.nanmax(table[["mean", "high"]])
    axes.set_xlim(min(0.0, low) - 3, max(100.0, high) + 3)
    axes.tick_params(axis="x", labelsize=9.5, pad=1)


def _legend(drawing: Drawing, axes: Axes) -> None:
    drawing.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False,
                   columnspacing=1, handletextpad=0.5)  # fmt: skip


# Words


def _number(value: float, decimals: int = 0) -> str:
    """A number as it is written, without a sign where it is rounded to zero."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def _numbers_by_line(means: Rows, lines: Sequence[str]) -> str:
    """Every number of (lines, arms) in words: "rotation: SimCLR, default 40; SimCLR, spatial 50. scale: ..."."""
    return ". ".join(
        f"{line}: " + "; ".join(f"{arm(*one)} {_number(value)}" for one, value in own.items() if not math.isnan(value))
        for line, (_, own) in zip(lines, means.iterrows(), strict=True)
    )


def _spatial_against_appearance(runs: Rows, method: str, named: Callable[[str], str], average: str = "") -> str:
    """For which shifts the interval of the paired difference tells the two recipes apart; "" where one is missing.

    `runs` has one value for each run and shift.
    """
    cells = {recipe: {"method": method, "augmentation": recipe} for recipe in ("spatial", "appearance")}
    of_recipes = [set(runs.loc[_is(runs, tuple(cell.values())), "shift"]) for cell in cells.values()]
    shifts = [shift for shift in dict.fromkeys(runs["shift"]) if all(shift in held for held in of_recipes)]
    if not shifts:
        return ""
    found = {"higher": [], "lower": [], "not told apart": []}
    for shift in shifts:
        gap = difference(runs, {"shift": shift, **cells["spatial"]}, {"shift": shift, **cells["appearance"]})
        found["higher" if gap.low > 0 else "lower" if gap.high < 0 else "not told apart"].append(named(shift))
    verdicts = "; ".join(f"{verdict} for {listed(names)}" for verdict, names in found.items() if names)
    return f"The spatial recipe against the appearance recipe{average}, by 95 % intervals paired by seed: {verdicts}. "
