"""The figures of a report: lines along severity and size of change, dots with intervals for all else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from lib.evaluate.numbers import MEAN, where, with_intervals
from lib.evaluate.plan import CALIBRATION, CORRUPTION
from lib.figures.figure import Figure
from lib.figures.marks import apart, bands, dots, legend_above
from lib.figures.style import cause, settle, spaced, use_style
from lib.measures.corruption_error import ALL, DEBIASED
from lib.measures.rows import CLEAN, SEVERITY
from lib.shifts.corruptions import GROUPS

# Okabe and Ito's colours with a marker each: encoders in the order in which they were named.
LOOKS = tuple(
    {"color": colour, "marker": marker, "linestyle": line}
    for colour, marker, line in (
        ("#0072B2", "o", "-"), ("#D55E00", "s", "--"), ("#009E73", "^", "-."), ("#CC79A7", "D", ":"),
        ("#E69F00", "v", "--"), ("#56B4E9", "P", "-."), ("#333333", "X", ":"),
    )
)  # fmt: skip
LONGEST = 34  # letters of a name in a figure
VERSIONS = ("none", "texture", "patch", "patch_shuffle", "low_pass", "high_pass", "silhouette", "edges", "recoloured",
            "stylised")  # fmt: skip


def plain(name: str) -> str:
    """A name as matplotlib writes it letter by letter: no formula, one line, not too long."""
    name = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    name = name if len(name) <= LONGEST else f"{name[: LONGEST - 12]}…{name[-11:]}"
    return name.replace("$", r"\$")


def systems(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """Encoder and reader, of each that `rows` hold, in their order."""
    return list(rows[["encoder", "reader"]].drop_duplicates().itertuples(index=False, name=None))


def titled(found: Sequence[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What a figure calls each: the reader is named where there are several."""
    several = len({reader for _, reader in found}) > 1
    return {(name, reader): plain(name) + (f", {reader}" if several else "") for name, reader in found}


def looks(found: Sequence[tuple[str, str]]) -> dict[tuple[str, str], dict]:
    return {key: dict(LOOKS[place % len(LOOKS)]) for place, key in enumerate(found)}


def draw(axis: str, rows: pd.DataFrame) -> list[Figure]:
    """The figures of an axis from its rows; none where it has nothing to draw."""
    made = _DRAWN.get(axis)
    if made is None or rows.empty:
        return []
    use_style()
    return [figure for figure in made(rows) if figure is not None]


def _corruption(rows: pd.DataFrame) -> list[Figure | None]:
    return [_along_severity(rows), _by_corruption(rows)]


def _along_severity(rows: pd.DataFrame) -> Figure | None:
    """Panels of the mean over all corruptions and over each group; severity 0 are the untouched images."""
    errors = rows[(rows["metric"] == "error") & ((rows["level_unit"] == SEVERITY) | (rows["shift"] == CLEAN))]
    levels = sorted(set(errors["level"].dropna()))
    if len(levels) < 2:
        return None
    panels, found = (ALL, *GROUPS), systems(errors)
    drawing, axes = plt.subplots(2, 3, figsize=(5.6, 4.8), sharey=True, layout="constrained")
    data = []
    axes.flat[-1].set_axis_off()
    for place, shift in zip(axes.flat, panels, strict=False):
        place.set(title=shift, xlabel="severity", xticks=[0, *levels])
        for (name, reader), look in looks(found).items():
            own = errors[(errors["encoder"] == name) & (errors["reader"] == reader)]
            own = with_intervals(own[own["shift"].isin((CLEAN, shift))]).fillna({"level": 0}).sort_values("level")
            place.plot(own["level"], own["value"], markersize=5, **look)
            place.fill_between(own["level"], own["low"], own["high"], color=look["color"], alpha=0.15, linewidth=0)
            data.append(_data(own.assign(group=shift), "group", "level"))
    for first in axes[:, 0]:
        first.set(ylabel="error (%)")
    legend_above(drawing, {titled(found)[key]: look for key, look in looks(found).items()}, 2)
    table = pd.concat(data)
    return Figure(
        drawing, "door-severity",
        "Error along severity, 0 being untouched images: the mean over the 15 corruptions of the benchmark, and over "
        "each of its groups. Bands: 95 % intervals over test images.",
        f"Line charts of error against severity, one for all corruptions and one for each of {_and(GROUPS)}. "
        + _ends(errors, found, levels),
        table,
    )  # fmt: skip


def _ends(errors: pd.DataFrame, found: Sequence[tuple[str, str]], levels: Sequence[float]) -> str:
    """From where to where the error goes, in words."""
    told = []
    for name, reader in found:
        own = errors[(errors["encoder"] == name) & (errors["reader"] == reader)]
        clean = own[own["shift"] == CLEAN]["value"].iloc[0]
        last = where(shift=ALL, level=levels[-1])(own)["value"].iloc[0]
        told.append(f"{name} ({reader}): {clean:.0f} % untouched, {last:.0f} % at severity {levels[-1]:g}.")
    return " ".join(told)


def _by_corruption(rows: pd.DataFrame) -> Figure | None:
    errors = rows[(rows["metric"] == "error") & rows["level_unit"].str.startswith(MEAN)]
    errors = errors[~errors["shift"].isin((ALL, *GROUPS))]
    return _dotted(
        errors, "shift", "corruptions", "error (%)", "Mean error of each corruption over its severities",
    )  # fmt: skip


def _dotted(
    rows: pd.DataFrame, column: str, name: str, unit: str, words: str, order: Sequence[str] | None = None
) -> Figure | None:
    """A band for each value of `column`, in each a dot with its interval for each encoder and reader."""
    if rows.empty:
        return None
    rows = with_intervals(rows)
    bandsn = list(order or dict.fromkeys(rows[column]))
    found = systems(rows)
    drawing, axes = plt.subplots(figsize=(5.4, 1.0 + max(0.3, 0.16 * len(found)) * len(bandsn)), layout="constrained")
    steps = apart(len(found), min(0.24, 0.7 / len(found)))
    for ((system, reader), look), step in zip(looks(found).items(), steps, strict=True):
        own = rows[(rows["encoder"] == system) & (rows["reader"] == reader)]
        table = own.assign(mean=own["value"])
        dots(axes, table, [bandsn.index(value) + step for value in table[column]], look, flat=True)
    bands(axes, [plain(cause(value)) for value in bandsn])
    axes.set(xlabel=unit)
    legend_above(drawing, {titled(found)[key]: look for key, look in looks(found).items()}, 2)
    return Figure(
        drawing, f"door-{name}", f"{words}. Bars: 95 % intervals over test images.",
        f"Dot chart. {words}, in {unit}. {_extremes(rows, column, found)}", _data(rows, column),
    )  # fmt: skip


def _extremes(rows: pd.DataFrame, column: str, found: Sequence[tuple[str, str]]) -> str:
    told = []
    for name, reader in found:
        own = rows[(rows["encoder"] == name) & (rows["reader"] == reader)].sort_values("value")
        low, high = own.iloc[0], own.iloc[-1]
        told.append(
            f"{name} ({reader}): from {low['value']:.1f} ({spaced(str(low[column]))}) to {high['value']:.1f} "
            f"({spaced(str(high[column]))})."
        )
    return " ".join(told)


def _natural(rows: pd.DataFrame) -> list[Figure | None]:
    return [_dotted(rows.replace({"shift": {CLEAN: "untouched test images"}}), "shift", "natural-shift",
                    "balanced error (%)", "Error on other photographs of the same classes")]  # fmt: skip


def _invariance(rows: pd.DataFrame) -> list[Figure | None]:
    own = rows[(rows["metric"] == "whitened similarity") & (rows["shift"] != CLEAN)]
    return [_dotted(own, "shift", "invariance", "whitened similarity (hundredths)",
                    "How alike the features of an image and of the transformed image are")]  # fmt: skip


def _read_out(rows: pd.DataFrame) -> list[Figure | None]:
    own = rows[(rows["metric"] == "linear R2") & (rows["shift"] == CLEAN)]
    return [_dotted(own, "subset", "read-out", "R² (%)", "How well each cause of a scene is read from the features by "
                    "ridge regression")]  # fmt: skip


def _adversarial(rows: pd.DataFrame) -> list[Figure | None]:
    own = rows[(rows["metric"] == "accuracy") & rows["shift"].isin((CLEAN, "pgd"))]
    found, data = systems(own), []
    drawing, axes = plt.subplots(figsize=(5.4, 3.4), layout="constrained")
    levels = sorted(set(own["level"].dropna()))
    for (name, reader), look in looks(found).items():
        part = with_intervals(own[(own["encoder"] == name) & (own["reader"] == reader)])
        part = part.fillna({"level": 0}).sort_values("level")
        places = [0, *(levels.index(level) + 1 for level in part["level"][1:])]
        axes.plot(places, part["value"], markersize=5, **look)
        axes.fill_between(places, part["low"], part["high"], color=look["color"], alpha=0.15, linewidth=0)
        data.append(_data(part, "level"))
    axes.set_xticks(range(len(levels) + 1), ["0", *(f"{level:g}" for level in levels)])
    axes.set(xlabel="largest change of a pixel ε (/ 255)", ylabel="accuracy (%)", ylim=(-3, 103))
    legend_above(drawing, {titled(found)[key]: look for key, look in looks(found).items()}, 2)
    ends = own[own["level"] == levels[-1]]
    told = " ".join(f"{line.encoder} ({line.reader}): {line.value:.0f} % at {levels[-1]:g}/255."
                    for line in ends.itertuples())  # fmt: skip
    return [
        Figure(
            drawing, "door-adversarial",
            "Accuracy under PGD, by the largest change of a pixel that the adversary may make; 0 is no adversary. "
            "Bands: 95 % intervals over test images.",
            f"Line chart of accuracy under PGD from no change to {levels[-1]:g}/255. {told}", pd.concat(data),
        )
    ]  # fmt: skip


def _cues(rows: pd.DataFrame) -> list[Figure | None]:
    own = rows[(rows["metric"] == "accuracy") & (rows["subset"] == "") & rows["shift"].isin(VERSIONS)]
    levels = [f" {level:g}" if not np.isnan(level) else "" for level in own["level"]]
    names = [spaced(shift) + level for shift, level in zip(own["shift"], levels, strict=True)]
    own = own.assign(version=[name.replace("none", "untouched") for name in names])
    return [
        _dotted(own, "version", "cues", "accuracy (%)", "Accuracy on versions of the test images that keep one cue")
    ]


def _background(rows: pd.DataFrame) -> list[Figure | None]:
    own = rows[rows["metric"] == "accuracy"]
    worlds = {"scenes": "walls at random", "tied scenes": "walls tell the class"}
    own = own.assign(part=[f"{line.subset}, {worlds[line.shift]}" for line in own.itertuples()])
    return [_dotted(own, "part", "background", "accuracy (%)", "Accuracy on parts of scenes, in two worlds")]


def _calibration(rows: pd.DataFrame) -> list[Figure | None]:
    own = rows[(rows["metric"] == DEBIASED) & ((rows["level_unit"] == SEVERITY) | (rows["shift"] == CLEAN))]
    own = own.assign(at=["untouched" if np.isnan(level) else f"severity {level:g}" for level in own["level"]])
    words = "Calibration error of untouched images and of corrupted ones, the mean over 15 corruptions"
    return [_dotted(own, "at", "calibration", "debiased calibration error (%)", words)]


def _data(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return rows[["encoder", "reader", *columns, "value", "low", "high", "images"]]


def _and(words: Mapping | Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}"


_DRAWN = {
    CORRUPTION: _corruption, "natural": _natural, "invariance": _invariance, "read-out": _read_out,
    "adversarial": _adversarial, "cues": _cues, "background": _background, CALIBRATION: _calibration,
}  # fmt: skip


__all__ = ["draw", "plain", "settle"]
