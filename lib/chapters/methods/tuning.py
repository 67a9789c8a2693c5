"""The grid over which every method is tuned, beside the recipes in use."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pandas as pd
from IPython.display import Markdown

from lib import paths
from lib.figures.prose import listed
from lib.figures.style import title
from lib.figures.tables import OPTIMISERS
from lib.runs.store import read_tuning
from lib.runs.tuning import FACTORS, RATES, SCALE, TUNED, Point, best_of, found, of_protocol, points, recipe_point

STUDY = "methods"
STAR = "A star marks the end of what was tried: a better value may lie beyond."

Grid = tuple[str, dict[str, object], dict[Point, float]]  # method, scale, accuracies of its points


def tuning_table(preset: str) -> pd.DataFrame:
    """One line a method and scale: the best of the points that were tried, and how far behind it the recipe in use is.

    Accuracies are the probe's on validation images, in percent. A rate at the end of those tried, or a temperature, is
    marked by a star: a better one may lie beyond.
    """
    grids = list(_grids(preset))
    apart = _apart(grids)
    lines = [
        {
            "method": title(method),
            "trained as": _scale_told(scale, apart),
            "points tried": f"{len(accuracies)} of {_size(method)}",
            **_best(method, accuracies),
        }
        for method, scale, accuracies in grids
    ]
    table = pd.DataFrame(lines)
    return table if apart else table.drop(columns="trained as", errors="ignore")


def tuning(preset: str) -> Markdown:
    """The sentences of `tuning_words`, for a page."""
    return Markdown(tuning_words(preset))


def tuning_words(preset: str) -> str:
    """What was tuned, how far the recipes in use are behind, what such a difference is worth, and what is missing."""
    lines, grids = read_tuning(paths.RESULTS / STUDY / preset), list(_grids(preset))
    if not grids:
        return f"No recipe has been tuned for the preset {preset} yet: `python -m benchmarks.tuning` does."
    tuned = list(dict.fromkeys(method for method, _, _ in grids))
    gaps = [(method, _behind(method, accuracies)) for method, _, accuracies in grids]
    behind = {method: gap for method, gap in gaps if not math.isnan(gap)}
    sentences = [_how(lines, grids), _how_far(behind), _worth(lines, grids), STAR]
    if without := [title(method) for method in TUNED if method not in tuned]:
        sentences.append(f"Not tuned yet, or under an older protocol of the method: {listed(without)}.")
    partly = dict.fromkeys(method for method, _, accuracies in grids if len(accuracies) < _size(method))
    if partly:
        names = "every method" if list(partly) == tuned else listed([title(method) for method in partly])
        sentences.append(f"Some points of {names} are still to be tried.")
    return " ".join(filter(None, sentences))


def _grids(preset: str) -> Iterator[Grid]:
    """(method, scale, accuracies of its points), in the order of the methods' table."""
    lines = of_protocol(read_tuning(paths.RESULTS / STUDY / preset))
    for method in TUNED:
        for scale, own in lines[lines["method"] == method].groupby(list(SCALE), sort=False):
            yield method, dict(zip(SCALE, scale, strict=True)), found(own)


def _apart(grids: list[Grid]) -> set[str]:
    """The columns of `SCALE` in which some grids differ: told in the table's lines, the others in the sentences."""
    return {name for name in SCALE if len({scale[name] for _, scale, _ in grids}) > 1}


def _scale_told(scale: dict[str, object], names: Iterable[str]) -> str:
    """What a scale has in the columns `names`, in words."""
    words = {
        "encoder": f"encoder {scale['encoder']}",
        "dataset": f"data set {scale['dataset']}",
        "images": f"{scale['images']:,} training images",
        "epochs": f"{scale['epochs']} {'epoch' if scale['epochs'] == 1 else 'epochs'}",
        "batch_size": f"batches of {scale['batch_size']}",
    }
    return ", ".join(told for name, told in words.items() if name in names)


def _size(method: str) -> int:
    """How many points a whole grid of a method has."""
    first = dict.fromkeys(points(method, {}), 0.0)
    return len(points(method, first))


def _best(method: str, accuracies: dict[Point, float]) -> dict[str, str]:
    best, used = best_of(accuracies), recipe_point(method)
    gap = _behind(method, accuracies)
    ends = min(RATES[best.optimiser]), max(RATES[best.optimiser])
    return {
        "best optimiser": OPTIMISERS[best.optimiser],
        "best rate": f"{best.rate:g}{'*' if best.rate in ends else ''}",
        "best temperature": _temperature(best, used),
        "accuracy (%)": _number(accuracies[best]),
        "recipe in use": f"{OPTIMISERS[used.optimiser]}, {used.rate:g}",
        "its accuracy (%)": _number(accuracies.get(used, math.nan)),
        "behind (points)": "not tried" if math.isnan(gap) else f"{gap:.1f}",
    }


def _temperature(best: Point, used: Point) -> str:
    if best.temperature is None:
        return ""
    ends = [factor * used.temperature for factor in FACTORS]
    return f"{best.temperature:g}{'*' if best.temperature in ends else ''}"


def _number(accuracy: float) -> str:
    return "–" if math.isnan(accuracy) else f"{accuracy:.1f}"


def _behind(method: str, accuracies: dict[Point, float]) -> float:
    """Points by which the recipe in use is behind the best; NaN where it was not tried, or did not stay finite."""
    return accuracies[best_of(accuracies)] - accuracies.get(recipe_point(method), math.nan)


def _how(lines: pd.DataFrame, grids: list[Grid]) -> str:
    images = sorted(int(count) for count in set(lines["validation_images"]) if count)
    seeds = lines["seed"].nunique()
    rates = "; ".join(f"{OPTIMISERS[name]} {listed([f'{rate:g}' for rate in RATES[name]])}" for name in RATES)
    return (
        f"Every method is tried with the same rates ({rates}, for a batch of 256), and at the best of these with half "
        f"and twice its temperature where it has one: {'one seed' if seeds == 1 else f'{seeds} seeds'}, the probe on "
        f"{listed([f'{count:,}' for count in images])} validation images, no test image. {_alike(grids)}"
    )


def _alike(grids: list[Grid]) -> str:
    """What all of them have in common."""
    told = _scale_told(grids[0][1], set(SCALE) - _apart(grids))
    return f"All points share: {told}." if told else ""


def _how_far(behind: dict[str, float]) -> str:
    if not behind:
        return ""
    last = max(behind, key=lambda method: behind[method])
    mean = sum(behind.values()) / len(behind)
    best = [title(method) for method, gap in behind.items() if gap <= 0]
    return (
        f"The recipe in use is behind the best point by {mean:.1f} points on average and by {behind[last]:.1f} at most "
        f"({title(last)}); it is the best one for {listed(best) if best else 'no method'}."
    )


def _worth(lines: pd.DataFrame, grids: list[Grid]) -> str:
    """The 95 % interval of a difference of two shares of that many images, as if they were not the same images."""
    best = [accuracies[best_of(accuracies)] / 100 for _, _, accuracies in grids]
    share, images = sum(best) / len(best), lines["validation_images"].max()
    if math.isnan(share) or not images:
        return ""
    points_apart = 196 * math.sqrt(2 * share * (1 - share) / images)
    return (
        f"The images alone leave a difference of two points of the grid uncertain by ±{points_apart:.1f}, seeds come "
        "on top, and the best of so many tries flatters itself: smaller differences decide nothing."
    )
