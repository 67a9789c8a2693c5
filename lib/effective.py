"""Effective robustness: accuracy under a shift beside what accuracy without it lets one expect.

Whoever is right more often has more to lose, and whoever is seldom right loses little: points lost say nothing of
robustness. What systems have in common is a line from the one accuracy to the other, on logits, and robust is who lies
above it (Taori et al., arXiv 2007.00644). Who is judged has no part in the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from lib.contrasts import SYSTEM, Cell, Contrast, estimates, levels, of_cell, of_two, picked
from lib.errors import BadInput
from lib.measures import Estimate
from lib.measures.rows import Rows

Floats = Sequence[float] | np.ndarray
FEWEST_OTHERS = 4  # systems on whom a line stands that two others are judged by: two degrees of freedom


def on_line(clean: np.ndarray, line: tuple[float, float]) -> np.ndarray:
    """The corrupted accuracy that the line predicts, in percent."""
    slope, intercept = line
    return 100 * expit(slope * logit(np.asarray(clean) / 100) + intercept)


def baseline_line(clean: Floats, corrupted: Floats) -> tuple[float, float]:
    r"""Slope and intercept of corrupted accuracy against clean accuracy, by least squares on the logits of both.

    .. math:: \mathrm{logit}(a_\mathrm{corrupted}) \approx \mathrm{slope} \cdot \mathrm{logit}(a_\mathrm{clean})
              + \mathrm{intercept}

    Accuracies (N,) are in percent. The baseline beta of Taori et al. (arXiv 2007.00644), who fit it to
    models trained without any intervention for robustness. Raises BadInput for accuracies that have no logit, and for
    fewer than two different clean ones.
    """
    clean, corrupted = (np.asarray(values, dtype=float) for values in (clean, corrupted))
    if clean.ndim != 1 or clean.shape != corrupted.shape or len(np.unique(clean)) < 2:
        raise BadInput(
            "a line needs clean and corrupted accuracies in pairs, with two different clean ones or more, not lists of "
            f"shapes {clean.shape} and {corrupted.shape}"
        )
    if not all(((values > 0) & (values < 100)).all() for values in (clean, corrupted)):
        raise BadInput("accuracies are in percent, above 0 and below 100")
    x, y = logit(clean / 100), logit(corrupted / 100)
    apart = x - x.mean()
    slope = apart @ y / (apart @ apart)
    return float(slope), float(y.mean() - slope * x.mean())


def line_error(clean: Floats, corrupted: Floats, at: float) -> float:
    r"""The standard error of what the line through N systems predicts `at` a clean accuracy, in percentage points.

    That of a fitted value (for example Draper and Smith, Applied Regression Analysis, section 3.1), with N - 2 degrees
    of freedom, on logits and by the slope of the logistic function in points:

    .. math:: \sqrt{\frac{\sum_i r_i^2}{N - 2} \left(\frac{1}{N}
              + \frac{(x - \bar x)^2}{\sum_i (x_i - \bar x)^2}\right)}

    It is the line's own error, without the scatter of systems around it. NaN for two systems, which fit any line.
    """
    line = baseline_line(clean, corrupted)
    x, y = (logit(np.asarray(values, dtype=float) / 100) for values in (clean, corrupted))
    degrees = len(x) - 2
    if degrees < 1:
        return float("nan")
    residual = np.square(y - line[0] * x - line[1]).sum() / degrees
    apart = np.square(x - x.mean()).sum()
    error = np.sqrt(residual * (1 / len(x) + (logit(at / 100) - x.mean()) ** 2 / apart))
    predicted = on_line(at, line)
    return float(error * predicted * (100 - predicted) / 100)


def above_the_others(runs: Rows, among: Sequence[str]) -> Rows:
    """`above_line` for the runs of each system, by the line through the other systems `among`; and the "line error" at
    its clean accuracy, in points, with "line degrees" of freedom: see `line_error`.

    `runs` are indexed by system and seed. The line goes through one point a system, the mean of its runs' logits: runs
    of one system are no independent witnesses. Each system is judged by a line that it had no part in. NaN where the
    others have fewer than two different clean accuracies, and the error also where they are only two.
    """
    of = runs.index.get_level_values(0)
    points = 100 * expit(logit(runs[["clean", "corrupted"]] / 100).groupby(of, sort=False).mean())
    judged = []
    for name, own in runs.groupby(of, sort=False):
        others = points[points.index.isin(among) & (points.index != name)]
        if others["clean"].nunique() < 2:
            unknown = dict.fromkeys(("above line", "above line standard error", "line error", "line degrees"), np.nan)
            judged.append(own.assign(**unknown))
            continue
        line = baseline_line(others["clean"], others["corrupted"])
        error = line_error(others["clean"], others["corrupted"], points.loc[name, "clean"])
        judged.append(above_line(own, line).assign(**{"line error": error, "line degrees": len(others) - 2.0}))
    return pd.concat(judged)


def heights(runs: Rows) -> dict[str, Estimate]:
    """Of each system of `above_the_others` the mean height of its runs above the others' line: over seeds, images, and
    the line's own error."""
    table = _as_rows(runs, "above line", "points above the line")
    found = {}
    for (name,), own in runs.groupby([runs.index.get_level_values(0)], sort=False):
        error, degrees = own[["line error", "line degrees"]].iloc[0]
        found[name] = replace(of_cell(table, {"system": name}), error=float(error), degrees=float(degrees))
    return estimates(found)


def accuracies(runs: Rows, name: str) -> dict[str, Estimate]:
    """Of each system of `above_the_others` one of its accuracies, "clean" or "corrupted", in percent."""
    return {system: own for (system,), own in levels(_as_rows(runs, name, "accuracy"), ["system"]).items()}


def _as_rows(runs: Rows, name: str, metric: str) -> Rows:
    """One number a run, as `lib.contrasts` takes it."""
    table = pd.DataFrame({"value": runs[name], "standard_error": runs[f"{name} standard error"], "metric": metric})
    images = [own for own in ("images", f"{name} images") if own in runs]
    table = table.assign(images=runs[images[-1]]) if images else table
    return table.rename_axis(["system", "seed"]).reset_index()


def above_line(runs: Rows, line: tuple[float, float]) -> Rows:
    """`runs` with the columns "above line", of "corrupted" less what the line predicts from "clean", and its standard
    error, from "clean standard error" and "corrupted standard error"; all in percent or percentage points."""
    predicted = on_line(runs["clean"], line)
    steepness = line[0] * predicted * (100 - predicted) / (runs["clean"] * (100 - runs["clean"]))  # d predicted/d clean
    error = np.hypot(runs["corrupted standard error"], steepness * runs["clean standard error"])
    return runs.assign(**{"above line": runs["corrupted"] - predicted, "above line standard error": error})


@dataclass(frozen=True)
class Line:
    """A line on logits through N systems, and the covariance (2, 2) of its slope and intercept, with N - 2 degrees of
    freedom."""

    slope: float
    intercept: float
    covariance: np.ndarray
    degrees: int

    def error(self, more: float, less: float) -> float:
        """The standard error, in percentage points, of what the line predicts at one clean accuracy in percent less
        what it predicts at another."""
        one, other = (self._slopes(at) for at in (more, less))
        return float(np.sqrt(max(0.0, (one - other) @ self.covariance @ (one - other))))

    def _slopes(self, at: float) -> np.ndarray:
        """The derivatives of the predicted accuracy by the line's slope and intercept."""
        predicted = on_line(at, (self.slope, self.intercept))
        return predicted * (100 - predicted) / 100 * np.array([logit(at / 100), 1.0])


def fitted(clean: Floats, corrupted: Floats) -> Line:
    """`baseline_line` with its error. Accuracies (N,) are in percent, N is 3 or more."""
    slope, intercept = baseline_line(clean, corrupted)
    x, y = (logit(np.asarray(values, dtype=float) / 100) for values in (clean, corrupted))
    degrees = len(x) - 2
    design = np.stack([x, np.ones_like(x)], axis=1)
    residual = np.square(y - slope * x - intercept).sum() / degrees
    return Line(slope, intercept, residual * np.linalg.inv(design.T @ design), degrees)


def runs_of(rows: Rows, clean: Cell, shifted: Cell) -> Rows:
    """One line a run that has both cells: the columns of `SYSTEM`, seed, and as accuracies in percent, with standard
    errors, clean and corrupted; errors become accuracies. What is 0 or 100 is moved by half an image, to have a logit.
    `place` numbers the systems.
    """
    keys = [*(name for name in SYSTEM if name in rows), "seed"]
    parts = []
    for words, cell in (("clean", clean), ("corrupted", shifted)):
        own = picked(rows, cell)
        if own.duplicated(keys).any():
            raise BadInput(f"{cell} picks more than one row of a system and a seed")
        share = own["value"].where(~own["metric"].str.contains("error"), 100 - own["value"])
        room = 50 / own["images"] if "images" in own else 0.05
        share = share.clip(room, 100 - room)
        parts.append(own[keys].assign(**{words: share, f"{words} standard error": own["standard_error"]}))
    keyed = [part.fillna({name: "" for name in keys}) for part in parts]
    runs = keyed[0].merge(keyed[1], on=keys)
    return runs.assign(place=runs.groupby(keys[:-1], sort=False).ngroup())


def above_the_rest(runs: Rows, more: Cell, less: Cell, among: Sequence[str] | None = None) -> Contrast | None:
    """How many points higher the system `more` lies above the line of all others than the system `less` does.

    `runs` are those of `runs_of`; the line goes through one point a system, of neither of the two, and of systems
    `among`, if these are named. Its own error has a part in the interval. None where one of the two is not there or
    the others are fewer than `FEWEST_OTHERS`, or all of one clean accuracy.
    """
    judged = [_is(runs, cell) for cell in (more, less)]
    if not all(own.any() for own in judged):
        return None
    place, first = np.unique(runs["place"], return_index=True)
    others = ~np.isin(place, runs["place"].to_numpy()[np.logical_or(*judged)])
    if among is not None:
        others &= np.isin(runs["system"].to_numpy()[first], list(among))
    clean, corrupted = (_of_systems(runs, name) for name in ("clean", "corrupted"))
    if others.sum() < FEWEST_OTHERS or np.ptp(clean[others]) < 1e-9:
        return None
    line = fitted(clean[others], corrupted[others])
    heights = above_line(runs, (line.slope, line.intercept))
    table = heights.assign(
        value=heights["above line"], standard_error=heights["above line standard error"], metric="points above the line"
    )
    at = [float(clean[np.isin(place, runs["place"].to_numpy()[own])].mean()) for own in judged]
    return replace(of_two(table, more, less), error=line.error(*at), degrees=float(line.degrees))


def _is(runs: Rows, cell: Cell) -> np.ndarray:
    """Which runs are of the system of `cell`, (N,) bool."""
    return np.logical_and.reduce([(runs[name] == value).to_numpy() for name, value in cell.items()])


def _of_systems(runs: Rows, name: str) -> np.ndarray:
    """Of each place the mean of its runs' logits, in percent."""
    place = runs["place"].to_numpy()
    return 100 * expit(np.bincount(place, logit(runs[name].to_numpy() / 100)) / np.bincount(place))
