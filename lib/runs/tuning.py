"""One small grid over which every method is tuned, and what was found on it. `benchmarks.tuning` computes it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import pandas as pd

from lib.methods import METHODS, PLAIN
from lib.runs.config import RunConfig
from lib.runs.plan import grid
from lib.runs.presets import Preset
from lib.runs.recipes import recipe_of

TUNED = tuple(name for name in PLAIN if METHODS[name].trained)
# Peak rates for a batch of 256, and the decay that goes with an optimiser: those that most recipes have.
RATES = {"sgd": (0.06, 0.2, 0.6), "lars": (0.6, 2.0, 6.0), "adamw": (0.0012, 0.004, 0.012)}
DECAYS = {"sgd": 5e-4, "lars": 1e-5, "adamw": 0.05}
FACTORS = (0.5, 2.0)  # of the temperature
TEMPERATURES = ("temperature", "student_temperature")  # what a method may call it
SCALE = ("dataset", "encoder", "images", "batch_size", "epochs")  # columns that tell grids of one method apart


@dataclass(frozen=True)
class Point:
    """What is tried of a method: `rate` is for a batch of 256, `temperature` None where the method has none."""

    optimiser: str
    rate: float
    weight_decay: float
    temperature: float | None


def temperature_of(method: str) -> tuple[str, float] | None:
    """The name and the default of a method's temperature; None where it has none."""
    settings = METHODS[method].settings()
    return next(((name, getattr(settings, name)) for name in TEMPERATURES if hasattr(settings, name)), None)


def recipe_point(method: str) -> Point:
    """The recipe in use."""
    recipe, temperature = recipe_of(method), temperature_of(method)
    return Point(recipe.optimiser, recipe.learning_rate, recipe.weight_decay, temperature[1] if temperature else None)


def first_points(method: str) -> list[Point]:
    """The recipe in use, and every optimiser with each of its rates: at the middle rate first."""
    used = recipe_point(method)
    others = [Point(name, RATES[name][place], DECAYS[name], used.temperature) for place in (1, 0, 2) for name in RATES]
    return list(dict.fromkeys([used, *others]))


def points(method: str, accuracies: dict[Point, float]) -> list[Point]:
    """What is to be tried of a method, given what has been found: temperatures come once all else is there."""
    first = first_points(method)
    if not set(first) <= set(accuracies) or first[0].temperature is None:
        return first
    best = best_of({point: accuracies[point] for point in first})
    return [*first, *(replace(best, temperature=best.temperature * factor) for factor in FACTORS)]


def best_of(accuracies: dict[Point, float]) -> Point:
    """The point of the highest accuracy; of equals the first. One whose loss did not stay finite comes last."""
    return max(accuracies, key=lambda point: -math.inf if math.isnan(accuracies[point]) else accuracies[point])


def config_of(method: str, point: Point, scale: Preset, seed: int) -> RunConfig:
    """The run of a point at a scale, as the study of methods would have it."""
    (config,) = grid(scale, [method], [seed])
    training = replace(
        config.training,
        optimiser=point.optimiser,
        learning_rate=point.rate * scale.batch_size / 256,
        weight_decay=point.weight_decay,
    )
    settings = config.settings
    if point.temperature is not None:
        settings = replace(settings, **{temperature_of(method)[0]: point.temperature})  # type: ignore[type-var]
    return replace(config, training=training, settings=settings)


def of_protocol(lines: pd.DataFrame) -> pd.DataFrame:
    """Those of `lib.runs.store.TUNING_COLUMNS` that were trained under their method's protocol of today."""
    today = {name: method.protocol for name, method in METHODS.items()}
    return lines[lines["protocol"] == lines["method"].map(today)]


def found(lines: pd.DataFrame) -> dict[Point, float]:
    """The accuracy of each point among `lines` of one method and one scale: the mean over seeds."""
    own = lines.astype({"temperature": object}).assign(
        temperature=[None if pd.isna(value) else float(value) for value in lines["temperature"]]
    )
    table: dict[Point, list[float]] = {}
    for line in own.drop_duplicates(["optimiser", "rate", "weight_decay", "temperature", "seed"]).itertuples():
        point = Point(line.optimiser, line.rate, line.weight_decay, line.temperature)
        table.setdefault(point, []).append(line.accuracy)
    return {point: sum(values) / len(values) for point, values in table.items()}
