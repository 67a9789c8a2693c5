"""Beyond one number a severity: severity as an axis, forgotten normalisation, natural shift, attention.

All `rows` are those of one encoder, which methods and seeds share.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Drawing
from matplotlib.lines import Line2D
from scipy import stats

from lib.claims import difference, present
from lib.errors import BadInput, one_of
from lib.figures.figure import Figure
from lib.figures.severity import summary
from lib.figures.style import look, spaced, title, use_style
from lib.figures.words import listed
from lib.measures import Interval, cell_interval
from lib.measures.attention import CONTROL, SIMILARITY
from lib.measures.corruption_error import ALL
from lib.measures.rows import CLEAN
from lib.measures.severity_curve import LEVELS
from lib.shifts import corruptions
from lib.shifts.corruptions import CORRUPTIONS, EXTRA, SEVERITIES
from lib.shifts.corruptions.filters import gaussian_taps, zoom_cut
from lib.shifts.natural import NATURAL

ALONG, DISTANCE = "error along severity", "picture distance"
RAW, COST, FADED, CONTRAST = "raw error", "raw cost", "faded error", "contrast error"
NORMALISED = "normalised error"  # RAW less COST
BALANCED, RELATIVE = "balanced error", "relative error"
SIDE = 32  # px: the pictures that the CIFAR-10 table is for

# By how many points brightness at severity 1, nearly the clean picture, exceeds the clean error for the self-supervised
# ResNet-50s of Chhipa et al. (arXiv 2308.02525): the errors per severity in their repository less the clean errors that
# they quote. `results/papers` has means over severities only.
BRIGHTNESS_EXCESS = {
    "barlow_twins": 11.00, "byol": 11.35, "simclr": 9.83, "simsiam": 11.56, "swav": 8.03, "dino": 10.71,
}  # fmt: skip

MEAN = {"color": "#7A3E9D", "marker": "o", "linestyle": "-"}  # a mean over methods has no method's look
GREY = "#808080"
SHADES = "YlGnBu"  # of severities: the severer, the darker

Row = tuple[float, ...]
Amounts = Sequence[float]


def pooled(rows: pd.DataFrame, metric: str, methods: Sequence[str]) -> pd.DataFrame:
    """The mean of `metric` over `methods`, with its interval over seeds and images, for each (shift, severity).

    Only seeds that all methods have count. The standard error over images is the mean of the methods', as if their
    errors went together entirely: the interval errs on the wide side.
    """
    chosen = rows[(rows["metric"] == metric) & rows["method"].isin(methods)]
    cell = ["shift", "severity", "seed"]
    if chosen.duplicated([*cell, "method"]).any():
        raise BadInput(
            f"rows hold one {metric!r} for each method, seed, shift and severity, of one encoder; not several"
        )
    columns = [column for column in ("value", "standard_error", "images") if column in chosen]
    wide = chosen.pivot(index=cell, columns="method", values=columns).dropna()
    of_seeds = pd.DataFrame({column: wide[column].mean(axis=1) for column in columns})
    table = []
    for (shift, severity), group in of_seeds.groupby(level=["shift", "severity"]):
        found = cell_interval(group, metric)
        table.append((shift, severity, found.mean, found.low, found.high, len(group)))
    return pd.DataFrame(table, columns=["shift", "severity", "mean", "low", "high", "seeds"])


def _learners(rows: pd.DataFrame, metric: str) -> list[str]:
    """The self-supervised methods that have `metric`; a grid of references alone is described as well."""
    having = rows[rows["metric"] == metric]
    learners = present(having) or list(having["method"].unique())
    if not learners:
        raise BadInput(f"these rows hold no method with the metric {metric!r}")
    return learners


def _kind(rows: pd.DataFrame, metric: str) -> str:
    return "self-supervised methods" if present(rows[rows["metric"] == metric]) else "methods"


def _has_reference(rows: pd.DataFrame, metric: str) -> bool:
    """Whether the supervised method stands beside the self-supervised ones."""
    having = rows[rows["metric"] == metric]
    return bool(present(having)) and "supervised" in set(having["method"])


def _lines(rows: pd.DataFrame, metric: str) -> dict[str, pd.DataFrame]:
    """Label -> `pooled` table: the self-supervised methods' mean, and the supervised reference where it is there."""
    learners = _learners(rows, metric)
    words = _kind(rows, metric).removesuffix(" methods").capitalize()
    found = {f"{words} (mean of {len(learners)})": pooled(rows, metric, learners)}
    if _has_reference(rows, metric):
        found[title("supervised")] = pooled(rows, metric, ["supervised"])
    return found


def _named(rows: pd.DataFrame, metric: str) -> str:
    """What `_lines` holds, in words for a caption."""
    methods = listed([title(method) for method in _learners(rows, metric)])
    reference = ", and the supervised reference" if _has_reference(rows, metric) else ""
    return f"the mean over the {_kind(rows, metric)} ({methods}){reference}"


def _own(label: str) -> dict[str, str]:
    return look("supervised") if label == title("supervised") else MEAN


def _draw(axes: Axes, line: pd.DataFrame, label: str, own: dict[str, str]) -> None:
    """A line with its band; markers stand at whole severities."""
    whole = (line["severity"] % 1 == 0).tolist()
    axes.plot(line["severity"], line["mean"], label=label, markersize=4.5, linewidth=1.6, markevery=whole, **own)
    axes.fill_between(line["severity"], line["low"], line["high"], color=own["color"], alpha=0.15, lw=0)


def _legend(drawing: Drawing, panels: Iterable[Axes], columns: int) -> None:
    """One legend above all panels, which make room for it."""
    entries = [entry for axes in panels for entry in zip(*axes.get_legend_handles_labels(), strict=True)]
    drawing.legend(*zip(*entries, strict=True), loc="outside upper center", ncols=columns, frameon=False,
                   columnspacing=1, handletextpad=0.5)  # fmt: skip


def _corrupted_by(rows: pd.DataFrame, metric: str) -> list[str]:
    """The corruptions that have `metric`, in the order of the rows."""
    shifts = dict.fromkeys(rows.loc[rows["metric"] == metric, "shift"])
    return [shift for shift in shifts if shift != CLEAN]


def _range(values: Iterable[float]) -> str:
    """The range of some numbers in words: "8.0 to 11.6", or "8.0" where they agree."""
    values = list(values)
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return low if low == high else f"{low} to {high}"


# Severity as one axis


def error_along_severity(rows: pd.DataFrame, scope: str) -> Figure:
    """A panel a corruption: error against continuous severity, and in a strip beneath it the distance of the pictures.

    `rows` have the metrics of `lib.measures.severity_curve`; `scope` says in words what they are, for the caption.
    """
    lines, distances, names = _lines(rows, ALONG), _distances(rows), _corrupted_by(rows, ALONG)
    use_style()
    height = math.ceil(len(names) / 2)
    drawing, cells = plt.subplots(
        2 * height, 2, figsize=(5.2, 2.3 * height + 0.9), sharex=True, sharey="row", height_ratios=[3, 1] * height,
        layout="constrained", squeeze=False,
    )  # fmt: skip
    drawing.get_layout_engine().set(h_pad=0.03, hspace=0)
    panels, strips = cells[::2].ravel(), cells[1::2].ravel()
    for axes, strip, name in zip(panels, strips, names, strict=False):  # of an odd number, a panel is left over
        for label, table in lines.items():
            _draw(axes, table[table["shift"] == name], label, _own(label))
        strip.fill_between(distances[name].index, distances[name], color=GREY, alpha=0.3, lw=0)
        strip.plot(distances[name].index, distances[name], color=GREY, linewidth=1.2, label=DISTANCE)
        axes.set(title=spaced(name), ylim=_limits(lines), xlim=(0.9, 5.1), xticks=SEVERITIES)
        strip.set(ylim=(0, 1.1 * distances.max()), yticks=[0, _round_number_below(distances.max())])
    if len(names) % 2:
        panels[-1].set_axis_off(), strips[-1].set_axis_off()
        strips[-3].tick_params(labelbottom=True)  # the lowest of its column
    for axes in cells.flat:
        axes.tick_params(labelsize=9.5, pad=1)
    _legend(drawing, (panels[0], strips[0]), 2)
    drawing.supxlabel("severity", fontsize=11)
    drawing.supylabel("error of the linear probe (%)", fontsize=11)
    levels = distances.index.get_level_values("severity").nunique()
    mean = next(iter(lines.values()))
    return Figure(
        drawing,
        name="fig-along-severity",
        caption=f"Error at {levels} severities from 1 to 5, the whole ones marked: {_named(rows, ALONG)}. Bands are "
        "95 % intervals over seeds and images. The grey strips, on one scale in all panels, show the distance of "
        f"the pictures from the clean ones, 100 (1 \N{MINUS SIGN} SSIM), in which no encoder has a part. {scope}",
        alt=f"Line charts of error against severity from 1 to 5 for {len(names)} corruptions, with the distance of the "
        f"pictures beneath. Mean over the {_kind(rows, ALONG)}: {'; '.join(_shape(mean, name) for name in names)}.",
        data=_along(lines, distances),
    )


def error_along_distance(rows: pd.DataFrame, scope: str) -> Figure:
    """A panel a corruption: error against the distance of the pictures, points joined in order of distance."""
    lines, distances, names = _lines(rows, ALONG), _distances(rows), _corrupted_by(rows, ALONG)
    ranks = monotony(rows).set_index("corruption")
    use_style()
    height = math.ceil(len(names) / 2)
    drawing, cells = plt.subplots(height, 2, figsize=(5.2, 2.2 * height + 1.3), sharey=True, layout="constrained",
                                  squeeze=False)  # fmt: skip
    scale = Normalize(SEVERITIES[0] - 0.6, SEVERITIES[-1])  # the mildest shade still stands out from the paper
    for axes, name in zip(cells.flat, names, strict=False):
        for label, table in lines.items():
            line = table[table["shift"] == name]
            line = line.assign(distance=line["severity"].map(distances[name])).sort_values("distance", kind="stable")
            own = _own(label)
            axes.plot(line["distance"], line["mean"], color=own["color"], linewidth=1)
            axes.scatter(line["distance"], line["mean"], c=line["severity"], cmap=SHADES, norm=scale, s=24, zorder=3,
                         marker=own["marker"], edgecolors=own["color"], linewidths=0.8, label=label)  # fmt: skip
        axes.set_title(spaced(name), pad=17)
        axes.text(0.5, 1.02, _two_ranks(*ranks.loc[spaced(name)]), transform=axes.transAxes, ha="center", va="bottom",
                  fontsize=9)  # fmt: skip
        axes.set(ylim=_limits(lines), xlim=(0, None))
        axes.tick_params(labelsize=9.5, pad=1)
        axes.locator_params(axis="x", nbins=5)
    if len(names) % 2:
        cells.flat[-1].set_axis_off()
    handles = [Line2D([], [], label=label, markerfacecolor="white", **_own(label) | {"linestyle": "-"})
               for label in lines]  # fmt: skip
    drawing.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, columnspacing=1)
    bar = drawing.colorbar(ScalarMappable(scale, SHADES), ax=cells, location="bottom", aspect=40, fraction=0.03,
                           pad=0.1 / height, ticks=SEVERITIES, boundaries=np.linspace(1, 5, 65))  # fmt: skip
    bar.outline.set_visible(False)
    bar.set_label("shade: severity", fontsize=11)
    for axes in cells[-1]:
        axes.set_xlabel("picture distance (%)")
    drawing.supylabel("error of the linear probe (%)", fontsize=11)
    return Figure(
        drawing,
        name="fig-along-distance",
        caption="The errors of {numref}`fig-along-severity` against the distance of the pictures from the clean ones, "
        f"100 (1 \N{MINUS SIGN} SSIM): {_named(rows, ALONG)}. Points are joined in order of distance; the darker, the "
        "severer. Where a line only rises, pictures are the harder the farther they are. Under each name, Spearman's "
        f"rank correlation ρ of that mean error with severity and with distance. {scope}",
        alt=f"Charts of error against the distance of the pictures for {len(names)} corruptions. "
        f"{monotony_sentence(rows)}",
        data=_along(lines, distances),
    )


def monotony(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a corruption: does error go up with severity, and does it with the distance of the pictures?

    Spearman's rank correlations over severities of the mean self-supervised error, to two decimals; NaN where the error
    is the same at all of them.
    """
    errors, distances = pooled(rows, ALONG, _learners(rows, ALONG)), _distances(rows)
    lines = []
    for name in _corrupted_by(rows, ALONG):
        line = errors[errors["shift"] == name]
        others = (line["severity"], line["severity"].map(distances[name]))
        lines.append((spaced(name), *(_rank_correlation(line["mean"], other) for other in others)))
    return pd.DataFrame(lines, columns=["corruption", "with severity", "with picture distance"])


def monotony_sentence(rows: pd.DataFrame) -> str:
    """Where error goes up with severity, and what becomes of that when distance takes the place of severity."""
    table = monotony(rows).dropna().set_index("corruption")
    if table.empty:
        return "The error is the same at all severities, so that there is nothing to rank."
    severity, distance = table["with severity"], table["with picture distance"]

    def those(found: pd.Series) -> str:
        return listed([f"{name} ({severity[name]:.2f} to {distance[name]:.2f})" for name in table.index[found]])

    least, most = severity.idxmin(), severity.idxmax()
    return (
        "Spearman's rank correlation of the mean error with severity is lowest for "
        f"{least} ({severity[least]:.2f}) and highest for {most} ({severity[most]:.2f}). With the distance of the "
        f"pictures in the place of severity it rises for {those(distance > severity)}, and falls for "
        f"{those(distance < severity)}."
    )


def _distances(rows: pd.DataFrame) -> pd.Series:
    """The distance of the pictures, indexed by (shift, severity): the same for all encoders, which see the same."""
    return rows[rows["metric"] == DISTANCE].groupby(["shift", "severity"])["value"].mean()


def _rank_correlation(errors: pd.Series, others: pd.Series) -> float:
    if errors.nunique() == 1 or others.nunique() == 1:
        return math.nan  # SciPy's answer, too, but with a warning
    return round(float(stats.spearmanr(errors, others).statistic), 2)


def _two_ranks(severity: float, distance: float) -> str:
    if math.isnan(severity) or math.isnan(distance):
        return "no ranks"
    return f"ρ: severity {severity:.2f}, distance {distance:.2f}".replace("-", "\N{MINUS SIGN}")


def _limits(lines: dict[str, pd.DataFrame]) -> tuple[float, float]:
    """The range of lines and bands with a little room: dips of a few points would not be seen from 0 to 100."""
    values = pd.concat([table.loc[table["shift"] != CLEAN, ["mean", "low", "high"]] for table in lines.values()])
    low, high = np.nanmin(values), np.nanmax(values)
    room = 0.04 * (high - low) or 1.0
    return low - room, high + room


def _round_number_below(value: float) -> float:
    """The greatest 1, 2 or 5 times a power of ten that is not above a positive `value`; 1 for none."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return max(factor * power for factor in (1, 2, 5) if factor * power <= value)


def _shape(table: pd.DataFrame, name: str) -> str:
    """The ends of a line, and its lowest and highest point where they lie between."""
    line = table[table["shift"] == name].set_index("severity")["mean"]
    first, last = line.index[[0, -1]]
    extremes = [f"{word} {line[at]:.0f} at {at:g}" for word, at in (("least", line.idxmin()), ("most", line.idxmax()))
                if at not in (first, last)]  # fmt: skip
    return ", ".join([f"{spaced(name)} from {line[first]:.0f} to {line[last]:.0f} percent", *extremes])


def _along(lines: dict[str, pd.DataFrame], distances: pd.Series) -> pd.DataFrame:
    tables = [table[table["shift"] != CLEAN].assign(line=label) for label, table in lines.items()]
    whole = pd.concat(tables).join(distances.rename(f"{DISTANCE} (%)"), on=["shift", "severity"])
    return whole[["line", "shift", "severity", "mean", "low", "high", f"{DISTANCE} (%)"]]


# What the table of constants foretells


def table_of_constants(names: Sequence[str]) -> pd.DataFrame:
    """A line for each constant of some corruptions, with its five values for CIFAR-10 as short strings."""
    lines = []
    for name in names:
        function = getattr(corruptions, one_of(name, (*CORRUPTIONS, *EXTRA), "corruption"))
        constants = list(inspect.signature(function).parameters)[2:]  # after pixels and seeds
        for constant, values in zip(constants, zip(*_constants(name), strict=True), strict=True):
            line = {"corruption": spaced(name), "constant": constant}
            lines.append(line | {f"severity {s}": f"{value:g}" for s, value in zip(SEVERITIES, values, strict=True)})
    return pd.DataFrame(lines)


def predicted_dips() -> pd.DataFrame:
    """A line a corruption: at which severities its table of constants says that error may fall, and why.

    Each rule takes the five rows of constants and looks for a step of severity at which less is done to the picture,
    as the rule's docstring says; the words hold the numbers that it found.
    """
    found = {name: rule(_constants(name)) for name, rule in RULES.items()}
    return pd.DataFrame(
        {"corruption": spaced(name), "at severity": listed([str(level) for level in dips]), "why": why}
        for name, (dips, why) in found.items()
    )


def _constants(name: str) -> list[Row]:
    """The five rows of CIFAR-10, mildest first."""
    return [row if isinstance(row, tuple) else (row,) for row in corruptions.CONSTANTS["cifar10"][name]]


def _falls(amounts: Amounts) -> list[int]:
    """The severities at which an amount is less than one severity below."""
    return [level for level, (before, now) in zip(SEVERITIES[1:], pairwise(amounts), strict=True) if now < before]


def _grows(amounts: Amounts) -> list[int]:
    return _falls([-amount for amount in amounts])


def _given(amounts: Amounts) -> str:
    """Five values of the table."""
    return listed([f"{amount:g}" for amount in amounts])


def _series(amounts: Amounts) -> str:
    """Five computed values, to two digits."""
    return listed([f"{amount:.2g}" for amount in amounts])


def _saturate(table: list[Row]) -> tuple[list[int], str]:
    """The change of a pure colour's saturation 1 to factor + offset, and where the factor passes 1."""
    factors, offsets = zip(*table, strict=True)
    changes = [abs(factor - 1) + abs(offset) for factor, offset in table]
    why = f"|factor \N{MINUS SIGN} 1| + |offset|, the change of the saturation, is {_series(changes)}."
    for level, (before, now) in zip(SEVERITIES, pairwise(factors), strict=False):
        if (before - 1) * (now - 1) < 0:
            at = level + (1 - before) / (now - before)
            offset = np.interp(at, SEVERITIES, offsets)
            why += f" The factor passes 1 at severity {at:.1f}, where the offset is {offset:g}" + (
                ": there the picture is the clean one." if offset == 0 else "."
            )
    return _falls(changes), why


def _snow(table: list[Row]) -> tuple[list[int], str]:
    """As much of the picture is kept and the fall is the same, but flakes are larger."""
    _, _, zooms, _, radii, sigmas, kept = zip(*table, strict=True)
    worse = {*_falls(kept)}.union(*(_grows(amounts) + _falls(amounts) for amounts in (radii, sigmas)))
    dips = [level for level in _grows(zooms) if level not in worse]
    why = f"The share of the picture kept is {_given(kept)}; flakes are enlarged by {_given(zooms)}."
    for level in dips:
        before, now = (100 * _flakes(table[at - 1]) for at in (level - 1, level))
        why += (
            f" At {level} as much is kept as at {level - 1} and the flakes fall alike, but larger ones take the place "
            f"of many small ones: before they fall, they cover {now:.1f} % of the picture, where it was {before:.1f} %"
        )
        between = {at: 100 * _flakes(_between(table, at)) for at in LEVELS if level - 1 < at < level}
        rarest = min(between, key=between.get)
        why += f", and on the way, at {rarest:g}, {between[rarest]:.1f} %." if between[rarest] < before else "."
    return dips, why


def _flakes(row: Row) -> float:
    """The expected share of a picture that flakes cover before they fall.

    Flakes are where Gaussian noise, enlarged bilinearly, exceeds a threshold: each pixel is a weighted mean of its
    neighbours in the noise, whose deviation is that of the noise times the length of its vector of weights.
    """
    mean, deviation, zoom, threshold = row[:4]
    cut, enlarged = zoom_cut(SIDE, zoom)
    place = ((enlarged - SIDE) // 2 + np.arange(SIDE)) * ((cut - 1) / (enlarged - 1)) % 1
    lengths = np.hypot(place, 1 - place)  # along one axis
    return float(stats.norm.sf((threshold - mean) / (deviation * np.outer(lengths, lengths))).mean())


def _between(table: list[Row], severity: float) -> Row:
    return tuple(np.interp(severity, SEVERITIES, values) for values in zip(*table, strict=True))


def _elastic_transform(table: list[Row]) -> tuple[list[int], str]:
    """Neither the local warp nor the tilt of the whole picture grows."""
    warps, tilts = [_warp(*row[:2]) for row in table], [row[2] * SIDE / math.sqrt(3) for row in table]
    dips = [level for level in {*_falls(warps), *_falls(tilts)} if level not in {*_grows(warps), *_grows(tilts)}]
    why = (
        f"The local warp moves a pixel by {_series(warps)} px along each axis, the tilt of the whole picture moves "
        f"its corners by {_series(tilts)} px (root mean squares)."
    )
    if len(_grows(warps)) == len(_falls(tilts)) == len(SEVERITIES) - 1:
        why += " At every step the one grows and the other shrinks, so that none stands out."
    return sorted(dips), why


def _warp(strength: float, sigma: float) -> float:
    """Root mean square in pixels of a uniform field in -1..1, smoothed and multiplied, far from the borders."""
    if strength == 0:
        return 0.0
    taps = gaussian_taps(sigma * SIDE, reach=3)
    return strength * SIDE / math.sqrt(3) * float(np.sum(taps**2))  # the length of the weights, along two axes


def _glass_blur(table: list[Row]) -> tuple[list[int], str]:
    """The blur gets weaker, and pixels change places neither further nor oftener."""
    sigmas, reaches, rounds = zip(*table, strict=True)
    wilder = {*_grows(reaches), *_grows(rounds)}
    why = f"The blur's sigma is {_given(sigmas)} px; the rounds in which pixels change places are {_given(rounds)}."
    for level in _falls(sigmas):
        if level in wilder:
            why += f" Where the blur gets weaker, at {level}, they change places in more rounds or further away."
    return [level for level in _falls(sigmas) if level not in wilder], why


def _motion_blur(table: list[Row]) -> tuple[list[int], str]:
    """The streak gets shorter; a step that changes no byte is flat."""
    streaks = [_streak(*row) for row in table]
    lengths = [float(np.arange(len(streak)) @ streak) for streak in streaks]
    why = f"The picture moves by {_series(lengths)} px along the streak on average."
    flat = []
    for level, (before, now) in zip(SEVERITIES[1:], pairwise(streaks), strict=True):
        size = max(len(before), len(now))
        changes = np.abs(np.pad(now, (0, size - len(now))) - np.pad(before, (0, size - len(before))))
        if 255 * changes.sum() < 0.5:  # half a level of a byte, at the most
            flat.append(level)
            why += (
                f" Nothing changes from {level - 1} to {level}: the weights of the streak differ by at most "
                f"{changes.max():.0e}."
            )
    return [level for level in _falls(lengths) if level not in flat], why


def _streak(radius: float, sigma: float) -> np.ndarray:
    """The weights of ImageMagick's one-sided motion blur, as `lib.shifts.corruptions.filters.streak` has them."""
    weights = np.exp(-0.5 * (np.arange(2 * math.ceil(radius) + 1) / sigma) ** 2)
    return weights / weights.sum()


def _gaussian_noise(table: list[Row]) -> tuple[list[int], str]:
    (deviations,) = zip(*table, strict=True)
    return _falls(deviations), f"The noise has a standard deviation of {_given(deviations)}, where white is 1."


def _spatter(table: list[Row]) -> tuple[list[int], str]:
    """Drops cover less of the picture."""
    covered = [100 * _drops(row) for row in table]
    kinds = ["mud" if row[-1] else "water" for row in table]
    why = f"Drops cover {_series(covered)} % of the picture."
    for level, (before, now) in zip(SEVERITIES[1:], pairwise(kinds), strict=True):
        if before != now:
            why += f" From {level} on they are {now}, not {before}: another corruption under the same name."
    return _falls(covered), why


def _drops(row: Row) -> float:
    """The share of a picture where blurred Gaussian noise exceeds the threshold, far from the borders."""
    mean, deviation, blur, threshold = row[:4]
    taps = gaussian_taps(blur)
    return float(stats.norm.sf((threshold - mean) / (deviation * np.sum(taps**2))))


RULES: dict[str, Callable[[list[Row]], tuple[list[int], str]]] = {
    "saturate": _saturate,
    "snow": _snow,
    "elastic_transform": _elastic_transform,
    "glass_blur": _glass_blur,
    "motion_blur": _motion_blur,
    "gaussian_noise": _gaussian_noise,
    "spatter": _spatter,
}


# Raw pixels


def raw_input_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a method: errors with normalisation and without, on clean and on corrupted pictures, with intervals.

    `rows` have the metrics of `lib.measures.raw_input`.
    """
    rows = with_normalisation(rows)
    cells = {
        "clean error (%)": (NORMALISED, CLEAN),
        "raw error (%)": (RAW, CLEAN),
        "faded error (%)": (FADED, CLEAN),
        "contrast error (%)": (CONTRAST, CLEAN),
        "CE (%)": (NORMALISED, ALL),
        "raw CE (%)": (RAW, ALL),
    }
    found = {}
    for column, (metric, shift) in cells.items():
        table = summary(rows[(rows["shift"] == shift) & (rows["severity"] == 0)], metric)
        found[column] = {line.method: str(Interval(line.mean, line.low, line.high)) for line in table.itertuples()}
    methods = found["clean error (%)"]
    return pd.DataFrame(
        {"method": title(method)} | {column: of[method] for column, of in found.items()} for method in methods
    )


def with_normalisation(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` and those of the metric "normalised error": the raw error less the raw cost of the same images.

    Its standard error is that of a share of N images that are right or wrong: exact for one kind of picture, too large
    for the mean over corruptions, of whose images some are wrong in part.
    """
    cell = ["method", "seed", "shift", "severity"]
    raw, cost = (rows[rows["metric"] == metric].set_index(cell) for metric in (RAW, COST))
    values = raw["value"] - cost["value"]
    share = (values / 100).clip(0, 1)
    errors = 100 * np.sqrt(share * (1 - share) / (raw["images"] - 1))
    own = raw.assign(metric=NORMALISED, value=values, standard_error=errors).reset_index()
    return pd.concat([rows, own[rows.columns]], ignore_index=True)


def raw_input_sentences(rows: pd.DataFrame) -> dict[str, str]:
    """The words on forgotten normalisation that a notebook glues into its text; ranges are over the methods' means."""
    learners, rows = _learners(rows, RAW), with_normalisation(rows)
    return {
        "raw-cost": _what_raw_pixels_cost(rows, learners),
        "raw-contrast": _what_contrast_explains(rows, learners),
        "raw-faded": _how_far_raw_and_faded_agree(rows),
        "raw-paper": _against_the_paper(rows, learners),
    }


def _means(rows: pd.DataFrame, metric: str, shift: str) -> pd.Series:
    """The mean over seeds at severity 0, indexed by method."""
    chosen = rows[(rows["metric"] == metric) & (rows["shift"] == shift) & (rows["severity"] == 0)]
    return chosen.groupby("method")["value"].mean()


def _what_raw_pixels_cost(rows: pd.DataFrame, learners: list[str]) -> str:
    clean, corrupted = (_means(rows, COST, shift) for shift in (CLEAN, ALL))
    sentence = (
        f"Without normalisation, the error of the {_kind(rows, RAW)} is {_range(clean[learners])} points higher "
        f"on clean pictures and {_range(corrupted[learners])} points higher on corrupted ones, averaged over the "
        f"{len(CORRUPTIONS)} corruptions and all severities"
    )
    if "supervised" in clean:
        sentence += f"; that of the supervised reference {clean['supervised']:.1f} and {corrupted['supervised']:.1f}"
    return sentence + "."


def _what_contrast_explains(rows: pd.DataFrame, learners: list[str]) -> str:
    whole = _means(rows, COST, CLEAN)[learners]
    part = (_means(rows, CONTRAST, CLEAN) - _means(rows, NORMALISED, CLEAN))[learners]
    sentence = (
        "With normalisation, but the contrast of clean pictures shrunk by the same factor, the pixels' standard "
        f"deviation, the error is {_range(part)} points higher"
    )
    line = pooled(rows, COST, learners).set_index(["shift", "severity"]).loc[(CLEAN, 0)]
    if whole.mean() <= 0 or line["low"] <= 0:
        return f"{sentence}; raw pixels cost too little for that to be a share of it."
    return f"{sentence}, on average {100 * part.mean() / whole.mean():.0f} % of what raw pixels cost."


def _how_far_raw_and_faded_agree(rows: pd.DataFrame) -> str:
    clean = rows[rows["shift"] == CLEAN]
    raw, faded = (clean[clean["metric"] == m].set_index(["method", "seed"])["value"] for m in (RAW, FADED))
    gaps = (raw - faded).abs()
    return (
        "To the network, raw pixels are the faded picture with normalisation, but for rounding to bytes: their errors "
        f"differ by {gaps.mean():.1f} points on average and by {gaps.max():.1f} at most over {len(gaps)} runs."
    )


def _against_the_paper(rows: pd.DataFrame, learners: list[str]) -> str:
    low, high = min(BRIGHTNESS_EXCESS.values()), max(BRIGHTNESS_EXCESS.values())
    costs = _means(rows, COST, CLEAN)[learners]
    below, above = int((costs < low).sum()), int((costs > high).sum())
    return (
        "In the paper's numbers, brightness at severity 1, nearly the clean picture, exceeds the clean error of the "
        f"{len(BRIGHTNESS_EXCESS)} self-supervised ResNet-50s by {low:.1f} to {high:.1f} points, of which brightness "
        f"itself has a part. Here raw pixels cost {_range(costs)} points on clean pictures (methods below that range: "
        f"{below}, within it: {len(costs) - below - above}, above it: {above})."
    )


def raw_by_severity(rows: pd.DataFrame, scope: str) -> Figure:
    """Error against severity, clean to 5, with normalisation and on raw pixels."""
    rows = with_normalisation(rows)
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 4.2), layout="constrained")
    inputs = {"normalised": (NORMALISED, "-"), "raw pixels": (RAW, "--")}
    tables = []
    for words, (metric, style) in inputs.items():
        for label, table in _lines(rows, metric).items():
            line = table[(table["shift"] == CLEAN) | ((table["shift"] == ALL) & (table["severity"] > 0))]
            line = line.sort_values("severity")
            _draw(axes, line, label, _own(label) | {"linestyle": style})
            tables.append(line.assign(line=label, input=words))
    labels = list(_lines(rows, RAW))
    handles = [Line2D([], [], label=label, **_own(label)) for label in labels]
    handles += [Line2D([], [], label=words, color=GREY, linestyle=style) for words, (_, style) in inputs.items()]
    drawing.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, columnspacing=1)
    axes.set(xlabel="severity (0: clean)", ylabel="error of the linear probe (%)", ylim=(0, 100), xlim=(-0.15, 5.15))
    data = pd.concat(tables)[["line", "input", "severity", "mean", "low", "high"]]
    ends = data.groupby(["line", "input"], sort=False)["mean"].agg(["first", "last"])
    return Figure(
        drawing,
        name="fig-raw-input",
        caption=f"Error against severity, averaged over the {len(CORRUPTIONS)} corruptions, with the normalisation "
        f"that the encoders were trained with (full lines) and on raw pixels (broken lines): {_named(rows, RAW)}. "
        f"Bands are 95 % intervals over seeds and images. {scope}",
        alt="Line chart of error against severity 0 to 5. "
        + "; ".join(f"{line}, {words}: from {first:.0f} to {last:.0f} percent"
                    for (line, words), (first, last) in zip(ends.index, ends.to_numpy(), strict=True))
        + ".",
        data=data,
    )  # fmt: skip


# Natural shift


def natural_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a method: balanced error on clean test images and on each natural set that is there, and the differences.

    `rows` have the metric of `lib.measures.natural_shift`.
    """
    chosen = rows[rows["metric"] == BALANCED]
    found = {(line.method, line.shift): Interval(line.mean, line.low, line.high)
             for line in summary(chosen, BALANCED).itertuples()}  # fmt: skip
    lines = []
    for method in dict.fromkeys(chosen["method"]):
        line = {"method": title(method), "clean (%)": str(found[method, CLEAN])}
        for name in _natural_sets(rows):
            if (method, name) in found:
                pair = ({"method": method, "shift": shift} for shift in (name, CLEAN))
                line[f"{name} (%)"] = str(found[method, name])
                line[f"{name} less clean (points)"] = str(difference(chosen, *pair))
        lines.append(line)
    return pd.DataFrame(lines)


def _natural_sets(rows: pd.DataFrame) -> list[str]:
    there = set(rows.loc[rows["metric"] == BALANCED, "shift"])
    return [name for name in NATURAL if name in there]


def natural_against_corrupted(rows: pd.DataFrame, scope: str) -> Figure | None:
    """A point a run: what the first natural set of the rows costs it against what corruptions cost it.

    None where the rows hold no natural set.
    """
    sets = _natural_sets(rows)
    if not sets:
        return None
    losses = _losses(rows, sets[0])
    means = losses.groupby("method", sort=False)[["corruptions", "natural"]].mean()
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 4.6), layout="constrained")
    for method, points in losses.groupby("method", sort=False):
        axes.plot(points["corruptions"], points["natural"], label=title(method), markersize=7, alpha=0.85,
                  **look(method) | {"linestyle": "none"})  # fmt: skip
    axes.set(xlabel="lost to corruptions: rCE (points)", ylabel=f"lost on {sets[0]} (points)")
    axes.margins(0.08)
    _legend(drawing, [axes], 3)
    return Figure(
        drawing,
        name="fig-natural",
        caption=f"What each run loses from clean test pictures to {sets[0]} (balanced error) against what it loses to "
        f"corruptions (relative error rCE); a point is a run. {_rank_of_losses(means)} {scope}",
        alt=f"Scatter chart of the loss on {sets[0]} against the loss to corruptions. Means in points: "
        + "; ".join(f"{title(line.Index)} {line.natural:.0f} and {line.corruptions:.0f}" for line in means.itertuples())
        + ".",
        data=losses.assign(method=losses["method"].map(title)),
    )


def _losses(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """A line a run: method, seed, and what corruptions and the natural set `name` cost it in points."""
    run = ["method", "seed"]
    balanced = rows[rows["metric"] == BALANCED].set_index(run)
    there, clean = (balanced.loc[balanced["shift"] == shift, "value"] for shift in (name, CLEAN))
    relative = rows[(rows["metric"] == RELATIVE) & (rows["shift"] == ALL) & (rows["severity"] == 0)].set_index(run)
    losses = pd.concat({"corruptions": relative["value"], "natural": there - clean}, axis=1, join="inner")
    if losses.empty:
        raise BadInput(f"no run in these rows has both the {BALANCED!r} on {name} and the {RELATIVE!r} of {ALL!r}")
    return losses.reset_index()


def _rank_of_losses(means: pd.DataFrame) -> str:
    """Random weights have learnt nothing that they could lose: the correlation is over trained methods."""
    trained = present(means.reset_index(), self_supervised=False)
    if len(trained) < 3:
        return "Fewer than three trained methods have no rank correlation."
    rho = _rank_correlation(means.loc[trained, "natural"], means.loc[trained, "corruptions"])
    return f"Over the means of the {len(trained)} trained methods, Spearman's rank correlation is {rho:.2f}."


# Attention


def attention_by_severity(rows: pd.DataFrame, scope: str) -> Figure:
    """A panel a corruption: how alike attention maps of a clean and a corrupted picture are, a line a method.

    `rows` have the metrics of `lib.measures.attention`.
    """
    table = summary(rows, SIMILARITY)
    control = float(summary(rows, CONTROL)["mean"].mean())
    names = _corrupted_by(rows, SIMILARITY)
    use_style()
    height = math.ceil(len(names) / 2)
    drawing, panels = plt.subplots(height, 2, figsize=(5.2, 2.2 * height + 1.4), sharex=True, sharey=True,
                                   layout="constrained", squeeze=False)  # fmt: skip
    lowest = np.nanmin([*table[["mean", "low"]].to_numpy().ravel(), control])
    for axes, name in zip(panels.flat, names, strict=False):
        for method, line in table[table["shift"] == name].groupby("method", sort=False):
            _draw(axes, line, title(method), look(method))
        axes.axhline(control, color=GREY, linestyle=(0, (5, 3)), linewidth=1.6, label="two different pictures")
        axes.set(title=spaced(name), ylim=(min(0, lowest - 2), 102), xticks=SEVERITIES)
        axes.tick_params(labelsize=9.5, pad=1)
    if len(names) % 2:
        panels.flat[-1].set_axis_off()
        panels.flat[-3].tick_params(labelbottom=True)  # the lowest of its column
    _legend(drawing, [panels[0, 0]], 3)
    drawing.supxlabel("severity", fontsize=11)
    drawing.supylabel("similarity of attention maps (%)", fontsize=11)
    strongest = table[table["severity"] == SEVERITIES[-1]].set_index(["method", "shift"])["mean"]
    return Figure(
        drawing,
        name="fig-attention-shift",
        caption="How alike are the attention maps of a clean and of a corrupted picture: 100 times their Pearson "
        "correlation, averaged over pictures. Bands are 95 % intervals over seeds and images. The broken grey line is "
        f"the same for the clean maps of two different pictures, averaged over methods ({control:.0f} %). {scope}",
        alt=f"Line charts of the similarity of attention maps against severity 1 to 5 for {len(names)} corruptions. "
        "Mean over the methods at severity 5: "
        + ", ".join(f"{spaced(name)} {strongest.xs(name, level='shift').mean():.0f} percent" for name in names)
        + f". Two different pictures: {control:.0f} percent.",
        data=table.assign(method=table["method"].map(title)),
    )
