"""From rows to what a report says: one number an axis with its interval, and differences image by image.

The weights of an encoder are given, so that nothing varies but the images: every interval is over them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from lib import paths
from lib.evaluate.axes import HEAD, PROBE
from lib.evaluate.check import METRIC as CHECK_METRIC
from lib.evaluate.check import OWN
from lib.evaluate.plan import CALIBRATION, CHECK, CLEAN, CORRUPTION
from lib.measures import Estimate, Interval, is_share
from lib.measures.corruption_error import ALL, DEBIASED, mean_corruption_error
from lib.measures.outcomes import Outcome
from lib.measures.rows import CLEAN as UNTOUCHED
from lib.measures.rows import OF_255, cell_of
from lib.measures.statistics import LEVEL, estimate, read_together, wilson_interval
from lib.paired import Part, over_images
from lib.runs import outcomes
from lib.shifts.corruptions import CORRUPTIONS, SEVERITIES

BASELINE = "AlexNet on ImageNet-C (Hendrycks and Dietterich 2019)"
MEAN = "mean over severit"  # with which the unit of a mean over severities begins
Rows = pd.DataFrame


@dataclass(frozen=True)
class Headline:
    """The number that stands for an axis: the mean of the cells that `pick` finds among an encoder's rows."""

    axis: str
    reader: str
    words: str
    pick: Callable[[Rows], Rows]
    more_is_better: bool
    unit: str = "%"


def interval_of(line: pd.Series) -> Interval:
    """Of one row, over its images: Wilson's of a share, else a normal one."""
    if is_share(line["metric"]) and 0 <= line["value"] <= 100:
        return wilson_interval(line["value"], line["standard_error"], line["images"])
    half = stats.norm.ppf((1 + LEVEL) / 2) * line["standard_error"]
    low = line["value"] - half
    return Interval(line["value"], max(0.0, low) if "calibration" in line["metric"] else low, line["value"] + half)


def with_intervals(rows: Rows) -> Rows:
    """`rows` with the columns low and high."""
    found = [interval_of(line) for _, line in rows.iterrows()]
    return rows.assign(low=[own.low for own in found], high=[own.high for own in found])


def mean_of(cells: Rows) -> Interval:
    """The mean of an encoder's cells; of one, its own interval."""
    if len(cells) == 1:
        return interval_of(cells.iloc[0])
    return combined([(1.0, cells)])


def difference(more: Rows, less: Rows) -> Estimate:
    """The mean of one encoder's cells less that of the other's, image by image.

    Of shares on n images the variance is that of one pseudo-image more, on which one encoder alone is right: what
    Agresti and Min add (2005, Statistics in Medicine 24:729). Two that agree on every image are not equal for certain.
    """
    found = combined([(1.0, more), (-1.0, less)])
    both = pd.concat([more, less])
    if not both["metric"].map(is_share).all():
        return found
    doubt = 100 / (float(both["images"].min()) + 2)
    return estimate(found.mean, float(np.hypot(found.standard_error, doubt)), float("inf"))


def combined(signed: Sequence[tuple[float, Rows]]) -> Estimate:
    """The sum of weighted means of cells, each of one encoder."""
    value, systems = 0.0, {}
    for place, (weight, cells) in enumerate(signed):
        value += weight * float(cells["value"].mean())
        systems[place] = {
            (line.shift, line.subset, str(line.level), line.level_unit, line.metric): Part(
                weight / len(cells), float(line.standard_error), _alone(line)
            )
            for line in cells.itertuples(index=False)
        }
    return estimate(value, float(np.sqrt(over_images(systems))), float("inf"))


def _alone(line: tuple) -> list[Outcome] | None:
    found = outcomes_of(line)
    return None if found is None else [found]


def outcomes_of(line: tuple) -> Outcome | None:
    """What is kept of single images behind a row, a named tuple."""
    cell = cell_of(line.shift, line.subset, line.level, line.level_unit, line.metric)  # type: ignore[attr-defined]
    return outcomes.of_row(line.run, line.measure, cell, line.value)  # type: ignore[attr-defined]


def headlines(rows: Rows) -> list[Headline]:
    """Of the axes that `rows` hold, in the order of a report."""
    found = []
    for made in HEADLINES:
        if all(len(made.pick(_of(rows, made, name))) for name in rows["encoder"].unique()):
            found.append(made)
    return found


def cells_of(rows: Rows, headline: Headline, encoder: str) -> Rows:
    return headline.pick(_of(rows, headline, encoder))


def _of(rows: Rows, headline: Headline, encoder: str) -> Rows:
    own = (rows["encoder"] == encoder) & (rows["axis"] == headline.axis) & (rows["reader"] == headline.reader)
    return rows[own]


def where(**cell: object) -> Callable[[Rows], Rows]:
    """Picks rows by column values; a level of None is none, and "mean" is that over severities."""

    def pick(rows: Rows) -> Rows:
        for column, value in cell.items():
            if column == "level" and value == "mean":
                rows = rows[rows["level_unit"].str.startswith(MEAN)]
            elif column == "level" and value is None:
                rows = rows[rows["level"].isna()]
            elif column == "level":
                rows = rows[rows["level"] == value]
            else:
                rows = rows[rows[column] == value]
        return rows

    return pick


def _at_middle(rows: Rows) -> Rows:
    """Of PGD, at the second of the smallest changes: neither nobody nor everybody falls there."""
    found = rows[(rows["shift"] == "pgd") & (rows["metric"] == "accuracy")]
    return found[found["level"].isin(sorted(found["level"].unique())[1:2])]


def _shifted(rows: Rows) -> Rows:
    return rows[(rows["metric"] == "balanced error") & (rows["shift"] != UNTOUCHED)]


def _transformed(rows: Rows) -> Rows:
    return rows[(rows["metric"] == "whitened similarity") & (rows["shift"] != UNTOUCHED)]


def _both(axis: str, words: str, pick: Callable[[Rows], Rows], more_is_better: bool, unit: str = "%") -> list[Headline]:
    return [Headline(axis, reader, f"{words}, {reader}", pick, more_is_better, unit) for reader in (PROBE, HEAD)]


HEADLINES = (
    Headline(CLEAN, PROBE, "accuracy, probe", where(metric="probe accuracy"), True),
    Headline(CLEAN, PROBE, "accuracy, nearest neighbours", where(metric="knn accuracy"), True),
    Headline(CLEAN, HEAD, "top-1 accuracy, head", where(metric="top-1 accuracy"), True),
    Headline(CLEAN, HEAD, "top-5 accuracy, head", where(metric="top-5 accuracy"), True),
    *_both(CORRUPTION, "mean corruption error", where(shift=ALL, metric="error", level="mean"), False),
    *_both("natural", "balanced error, mean over sets", _shifted, False),
    Headline("invariance", PROBE, "whitened similarity, mean over transforms", _transformed, True, "/ 100"),
    Headline("read-out", PROBE, "linear R², mean over causes", where(shift=UNTOUCHED, metric="linear R2"), True),
    *_both("adversarial", "accuracy under PGD", _at_middle, True),
    *_both("cues", "accuracy on textures", where(shift="texture", subset="", metric="accuracy"), True),
    Headline("cues", PROBE, "shape bias, on scenes", where(shift="scenes conflict", metric="shape bias"), True),
    Headline("background", PROBE, "background gap, where walls tell the class",
             where(shift="tied scenes", metric="background gap"), False, "points"),
    *_both(CALIBRATION, "calibration error, untouched", where(shift=UNTOUCHED, metric=DEBIASED), False),
    *_both(CALIBRATION, "calibration error, corrupted", where(shift=ALL, metric=DEBIASED, level="mean"), False),
)  # fmt: skip


def overview(rows: Rows, titles: dict[str, str]) -> pd.DataFrame:
    """A line a headline, a column an encoder, "value [low, high]"; `titles` say what an axis is called."""
    lines = []
    for made in headlines(rows):
        line = _told(made, rows, titles)
        for name in rows["encoder"].unique():
            line[name] = str(mean_of(cells_of(rows, made, name)))
        lines.append(line | {"better": "more" if made.more_is_better else "less"})
    return pd.DataFrame(lines)


def comparison(rows: Rows, titles: dict[str, str]) -> pd.DataFrame:
    """A line a headline, a column for each encoder after the first: by how much it differs from the first."""
    first, *others = rows["encoder"].unique()
    lines = []
    for made in headlines(rows):
        line = _told(made, rows, titles)
        for name in others:
            gap = difference(cells_of(rows, made, name), cells_of(rows, made, first))
            better = gap.sign if made.more_is_better else -gap.sign
            line[f"{name} less {first}"] = f"{gap} {('worse', 'not told apart', 'better')[better + 1]}"
        lines.append(line)
    return pd.DataFrame(lines)


def _told(made: Headline, rows: Rows, titles: dict[str, str]) -> dict[str, str]:
    """The axis of a headline, and what its number is."""
    cells = cells_of(rows, made, rows["encoder"].iloc[0])
    at = f", ε = {cells['level'].iloc[0]:g} {OF_255}" if set(cells["level_unit"]) == {OF_255} else ""
    return {"axis": titles.get(made.axis, "Untouched images"), "number": f"{made.words}{at} ({made.unit})"}


@dataclass(frozen=True)
class Conventions:
    """Mean corruption error in both conventions, in percent; `normalised` is None where severities are lacking."""

    plain: Interval
    normalised: float | None
    severities: int


def conventions(rows: Rows, encoder: str, reader: str) -> Conventions | None:
    """Of one encoder and reader; None where corruptions were not measured."""
    own = rows[(rows["encoder"] == encoder) & (rows["reader"] == reader) & (rows["axis"] == CORRUPTION)]
    plain = where(shift=ALL, metric="error", level="mean")(own)
    if plain.empty:
        return None
    single = own[(own["metric"] == "error") & (own["level_unit"] == "severity") & own["shift"].isin(CORRUPTIONS)]
    levels = single["level"].nunique()
    normalised = None
    if levels == len(SEVERITIES):
        errors = single.groupby("shift")[["value"]].mean()
        normalised = mean_corruption_error(errors, baseline().loc[errors.index])
    return Conventions(interval_of(plain.iloc[0]), normalised, levels)


def baseline() -> pd.DataFrame:
    """The baseline's error of each corruption, averaged over severities: a column "value"."""
    table = pd.read_csv(paths.RESULTS / "papers" / "alexnet_imagenet_c.csv").set_index("shift")
    return table.rename(columns={"error": "value"})


@dataclass(frozen=True)
class Checked:
    """Accuracy with the source's own normalisation, and by how much each other one differs from it."""

    own: Interval
    others: dict[str, Interval]
    gaps: dict[str, Estimate]

    @property
    def suspicious(self) -> str | None:
        """The other normalisation that is better by most, beyond chance, considering how many there are."""
        better = {title: gap for title, gap in read_together(self.gaps).items() if gap.sign > 0}
        return max(better, key=lambda title: better[title].mean) if better else None


def checked(rows: Rows, encoder: str) -> Checked | None:
    own = rows[(rows["encoder"] == encoder) & (rows["axis"] == CHECK) & (rows["metric"] == CHECK_METRIC)]
    if own.empty:
        return None
    by_title = {title: part for title, part in own.groupby("shift", sort=False)}
    base = by_title.pop(OWN)
    others = {title: interval_of(part.iloc[0]) for title, part in by_title.items()}
    return Checked(
        interval_of(base.iloc[0]), others, {title: difference(part, base) for title, part in by_title.items()}
    )
