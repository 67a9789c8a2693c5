"""What the table of constants foretells, before anything is trained."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy import stats

from lib.chapters.severity.curves import SIDE, Amounts, Row
from lib.errors import one_of
from lib.figures.prose import listed
from lib.figures.style import spaced
from lib.measures.severity_curve import LEVELS
from lib.shifts import corruptions
from lib.shifts.corruptions import BY_NAME, CORRUPTIONS, EXTRA, SEVERITIES
from lib.shifts.corruptions.filters import gaussian_taps, zoom_cut


def table_of_constants(names: Sequence[str]) -> pd.DataFrame:
    """A line for each constant of some corruptions, with its five values for CIFAR-10 as short strings."""
    lines = []
    for name in names:
        function = BY_NAME[one_of(name, (*CORRUPTIONS, *EXTRA), "corruption")]
        constants = list(inspect.signature(function).parameters)[2:]  # after pixels and seeds
        for constant, values in zip(constants, zip(*_constants(name), strict=True), strict=True):
            line = {"corruption": spaced(name), "constant": constant}
            lines.append(line | {f"severity {s}": f"{value:g}" for s, value in zip(SEVERITIES, values, strict=True)})
    return pd.DataFrame(lines)


def predicted_dips() -> pd.DataFrame:
    """A line a corruption: at which severities its table of constants says that error may fall, and why.

    Each rule takes the five rows of constants and looks for a step of severity at which less is done to the image,
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
                ": there the image is the clean one." if offset == 0 else "."
            )
    return _falls(changes), why


def _snow(table: list[Row]) -> tuple[list[int], str]:
    """As much of the image is kept and the fall is the same, but flakes are larger."""
    _, _, zooms, _, radii, sigmas, kept = zip(*table, strict=True)
    worse = {*_falls(kept)}.union(*(_grows(amounts) + _falls(amounts) for amounts in (radii, sigmas)))
    dips = [level for level in _grows(zooms) if level not in worse]
    why = f"The share of the image kept is {_given(kept)}; flakes are enlarged by {_given(zooms)}."
    for level in dips:
        before, now = (100 * _flakes(table[at - 1]) for at in (level - 1, level))
        why += (
            f" At {level} as much is kept as at {level - 1} and the flakes fall alike, but larger ones take the place "
            f"of many small ones: before they fall, they cover {now:.1f} % of the image, where it was {before:.1f} %"
        )
        between = {at: 100 * _flakes(_between(table, at)) for at in LEVELS if level - 1 < at < level}
        rarest = min(between, key=between.get)
        why += f", and on the way, at {rarest:g}, {between[rarest]:.1f} %." if between[rarest] < before else "."
    return dips, why


def _flakes(row: Row) -> float:
    """The expected share of an image that flakes cover before they fall.

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
    """Neither the local warp nor the tilt of the whole image grows."""
    warps, tilts = [_warp(*row[:2]) for row in table], [row[2] * SIDE / math.sqrt(3) for row in table]
    dips = [level for level in {*_falls(warps), *_falls(tilts)} if level not in {*_grows(warps), *_grows(tilts)}]
    why = (
        f"The local warp moves a pixel by {_series(warps)} px along each axis, the tilt of the whole image moves "
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
    why = f"The image moves by {_series(lengths)} px along the streak on average."
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
    """Drops cover less of the image."""
    covered = [100 * _drops(row) for row in table]
    kinds = ["mud" if row[-1] else "water" for row in table]
    why = f"Drops cover {_series(covered)} % of the image."
    for level, (before, now) in zip(SEVERITIES[1:], pairwise(kinds), strict=True):
        if before != now:
            why += f" From {level} on they are {now}, not {before}: another corruption under the same name."
    return _falls(covered), why


def _drops(row: Row) -> float:
    """The share of an image where blurred Gaussian noise exceeds the threshold, far from the borders."""
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
