"""Rows of made-up worlds, which say in one column what is a level and what a subset; and the model of intervals once
more, for numbers by hand."""

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from lib.measures.corruption_error import ALL, MEASURED
from lib.paired import PAIRED
from lib.shifts.corruptions import GROUPS

MEANS = ("error", "relative error", "calibration error", "raw error", "raw cost")  # over severities, where no level is
UNITS = {"query similarity": "percentile", "whitened similarity along": "parameter"}
ATTACKS = ("pgd", "pgd-2", "fgsm", "apgd", "square", "autoattack", "pgd per view", "pgd through crops",
           "pgd through known crops")  # fmt: skip


def unfolded(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows as a study hands them over, from some with a column "of": a text is a subset, a number a level (0: none),
    and a pair both."""
    pairs = [of if isinstance(of, tuple) else (of, 0) if isinstance(of, str) else ("", of) for of in rows["of"]]
    subset = pd.Series([subset for subset, _ in pairs], index=rows.index, dtype=object)
    level = pd.Series([level for _, level in pairs], index=rows.index, dtype=float)
    unit = rows["metric"].map(UNITS).fillna("severity").mask(rows["shift"].isin(ATTACKS), "/255")
    corrupted = rows["shift"].isin((*MEASURED, *GROUPS, ALL)) & rows["metric"].isin(MEANS)
    unit = unit.where(level != 0, np.where(corrupted, "mean over severities", ""))
    place = rows.columns.get_loc("of")
    found = rows.drop(columns="of")
    for name, column in (("level_unit", unit), ("level", level.where(level != 0)), ("subset", subset)):
        found.insert(place, name, column)
    return found


def cell(rows: pd.DataFrame, shift: str, level: float = 0, subset: str = "") -> pd.DataFrame:
    """The rows of a shift, at a level (0: without one), of a subset ("": all)."""
    at = rows["level"].isna() if level == 0 else rows["level"] == level
    return rows[(rows["shift"] == shift) & at & (rows["subset"] == subset)]


def transcribed(variances, degrees):
    """Smyth (2004) once more, step by step and with another solver: d0, s0 squared and the variances drawn to it."""
    z = np.log(variances)
    e = z - special.digamma(degrees / 2) + np.log(degrees / 2)
    count = len(e)
    mean = np.mean(e)
    spread = np.sum((e - mean) ** 2) / (count - 1) - np.mean(special.polygamma(1, degrees / 2))
    if spread > 0:
        half = optimize.brentq(lambda x: special.polygamma(1, x) - spread, 1e-6, 1e9)
        prior = 2 * half
        common = np.exp(mean + special.digamma(half) - np.log(half))
        return prior, common, (degrees * variances + prior * common) / (degrees + prior)
    common = np.mean(variances)
    return np.inf, common, np.full(count, common)


def told(mean, width):
    """What a table says of an interval, which has no minus zero."""
    low, high = (round(mean + side * width, 1) + 0.0 for side in (-1, 1))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def half_width(means, more, less, error, images=1000, scale=lambda share: share * (1 - share)):
    """Half the interval of the difference of two systems in one cell, where all that have the cell have these `means`
    in percent, and three seeds at -1, 0 and 1 points around them; see `student`."""
    seeds = {name: mean + np.array([-1.0, 0.0, 1.0]) for name, mean in means.items()}
    apart, degrees = student(seeds, more, less, error, images, scale)
    return float(stats.t.ppf(0.975, degrees) * apart)


def student(seeds, more, less, error, images=1000, scale=lambda share: share * (1 - share)):
    """The standard error of the difference of two systems in one cell, and its degrees of freedom.

    `seeds` are the numbers in percent of all systems that have the cell, each with an `error` over images. `scale` is
    the derivative of the inverse of what makes deviations comparable: here the logit of shares with half an image more
    on both sides.
    """
    slope = {name: scale((own.mean() / 100 * images + 0.5) / (images + 1)) for name, own in seeds.items()}
    degrees = np.array([len(own) - 1.0 for own in seeds.values()])
    prior, _, drawn = transcribed(
        np.array([own.var(ddof=1) / slope[name] ** 2 for name, own in seeds.items()]), degrees
    )
    drawn = dict(zip(seeds, drawn, strict=True))
    parts = np.array([drawn[name] * slope[name] ** 2 / len(seeds[name]) for name in (more, less)])
    own = np.array([min(prior + len(seeds[name]) - 1, degrees.sum()) for name in (more, less)])
    over_seeds, over_images = parts.sum(), 2 * (PAIRED * error) ** 2
    known = (over_seeds / (parts / np.sqrt(own)).sum()) ** 2  # errors of the two variances go together
    return np.sqrt(over_seeds + over_images), known * ((over_seeds + over_images) / over_seeds) ** 2


def share_ends(means, name, error, images=None):
    """Mean, low and high of a share of one system in one cell, on the logit scale; `means` as in `half_width`, or the
    seeds of each. Of no error over images it is that of so many `images`, if they are known."""
    known_images, images = images, images or 1000
    seeds = {own: mean + np.array([-1.0, 0.0, 1.0]) if np.ndim(mean) == 0 else mean for own, mean in means.items()}
    shares = {own: values.mean() / 100 for own, values in seeds.items()}
    slope = {own: (half := (share * images + 0.5) / (images + 1)) * (1 - half) for own, share in shares.items()}
    degrees = np.array([len(values) - 1.0 for values in seeds.values()])
    spread = np.array([values.var(ddof=1) / (100 * slope[own]) ** 2 for own, values in seeds.items()])
    if len(seeds) > 1:
        prior, _, drawn = transcribed(spread, degrees)
    else:
        prior, drawn = 0.0, spread
    over_seeds = dict(zip(seeds, drawn, strict=True))[name] / len(seeds[name])
    own = min(prior + len(seeds[name]) - 1, degrees.sum())
    share, z, over_images = shares[name], stats.norm.ppf(0.975), 0.0
    count = share * (1 - share) / (error / 100) ** 2 + 1 if error else known_images
    if count:  # Wilson: the shares p with (p - share)² = z² p (1 - p) / n
        per = z**2 / count
        high = max(np.roots([1 + per, -(2 * share + per), share**2]))
        over_images = ((special.logit(high) - special.logit(share)) / z) ** 2
    known = own * ((over_seeds + over_images) / over_seeds) ** 2
    half = stats.t.ppf(0.975, known) * np.sqrt(over_seeds + over_images)
    return [100 * share, *(100 * special.expit(special.logit(share) + side * half) for side in (-1, 1))]


def told_share(*what):
    """`share_ends` as a table has them."""
    mean, low, high = (round(float(end), 1) + 0.0 for end in share_ends(*what))
    return f"{mean:.1f} [{low:.1f}, {high:.1f}]"


def number_ends(seeds, name, errors, scale=lambda value: 1.0):
    """Mean, low and high of a number of one system in one cell that is no share: `seeds` and `errors` over images are
    those of all systems that have it; `scale` as in `student`."""
    values, slope = seeds[name], {own: scale(values.mean() / 100) for own, values in seeds.items()}
    degrees = np.array([len(numbers) - 1.0 for numbers in seeds.values()])
    spread = np.array([numbers.var(ddof=1) / slope[own] ** 2 for own, numbers in seeds.items()])
    prior, _, drawn = transcribed(spread, degrees)
    over_seeds = dict(zip(seeds, drawn, strict=True))[name] * slope[name] ** 2 / len(values)
    over_images = np.mean(np.square(errors[name]))
    known = min(prior + len(values) - 1, degrees.sum()) * ((over_seeds + over_images) / over_seeds) ** 2
    half = stats.t.ppf(0.975, known) * np.sqrt(over_seeds + over_images)
    return values.mean() + half * np.array([0, -1, 1])


def own_set(home, count, train):
    """The folder `home` with a data set "mine" of `count` random images of 16 px in two classes, of which the first
    `train` are training images."""
    pixels = np.random.default_rng(0).integers(256, size=(count, 16, 16, 3), dtype=np.uint8)
    home.mkdir()
    np.savez(home / "mine.npz", images=pixels, labels=np.arange(count) % 2, test=np.arange(count) >= train)
    return home
