"""What corruptions cost when pixels are not normalised, and how much of it is contrast."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from lib.chapters.severity.curves import (
    BRIGHTNESS_EXCESS,
    CONTRAST,
    COST,
    FADED,
    GREY,
    NORMALISED,
    RAW,
    draw,
    kind,
    learners_of,
    line_look,
    mean_lines,
    named,
    pooled,
    range,
)
from lib.figures.figure import Figure
from lib.figures.levels import needed, summary
from lib.figures.prose import UNTOLD
from lib.figures.style import title, use_style
from lib.measures import Interval
from lib.measures.corruption_error import ALL
from lib.measures.rows import CLEAN, overall
from lib.shifts.corruptions import CORRUPTIONS


def raw_input_table(rows: pd.DataFrame) -> pd.DataFrame:
    """A line a method: errors with normalisation and without, on clean and on corrupted images, with intervals.

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
        table = summary(overall(rows[rows["shift"] == shift]), metric)
        found[column] = {line.method: str(Interval(line.mean, line.low, line.high)) for line in table.itertuples()}
    methods = found["clean error (%)"]
    return pd.DataFrame(
        {"method": title(method)} | {column: of[method] for column, of in found.items()} for method in methods
    )


def with_normalisation(rows: pd.DataFrame) -> pd.DataFrame:
    """`rows` and those of the metric "normalised error": the raw error less the raw cost of the same images.

    Its standard error is that of a share of N images that are right or wrong: exact for one kind of image, too large
    for the mean over corruptions, of whose images some are wrong in part.
    """
    cell = ["method", "seed", "shift", "level"]
    raw, cost = (rows[rows["metric"] == metric] for metric in (RAW, COST))
    values = raw["value"] - raw[cell].merge(cost[[*cell, "value"]], validate="one_to_one")["value"].to_numpy()
    share = (values / 100).clip(0, 1)
    errors = 100 * np.sqrt(share * (1 - share) / (raw["images"] - 1))
    own = raw.assign(metric=NORMALISED, value=values, standard_error=errors)
    return pd.concat([rows, own], ignore_index=True)


def raw_input_sentences(rows: pd.DataFrame) -> dict[str, str]:
    """The words on forgotten normalisation that a notebook glues into its text; ranges are over the methods' means."""
    if not (rows["metric"] == RAW).any():
        return dict.fromkeys(("raw-cost", "raw-contrast", "raw-faded", "raw-paper"), UNTOLD)
    learners, rows = learners_of(rows, RAW), with_normalisation(rows)
    return {
        "raw-cost": _what_raw_pixels_cost(rows, learners),
        "raw-contrast": _what_contrast_explains(rows, learners),
        "raw-faded": _how_far_raw_and_faded_agree(rows),
        "raw-paper": _against_the_paper(rows, learners),
    }


def _means(rows: pd.DataFrame, metric: str, shift: str) -> pd.Series:
    """The mean over seeds, and severities, indexed by method."""
    chosen = overall(rows[(rows["metric"] == metric) & (rows["shift"] == shift)])
    return chosen.groupby("method")["value"].mean()


def _what_raw_pixels_cost(rows: pd.DataFrame, learners: list[str]) -> str:
    clean, corrupted = (_means(rows, COST, shift) for shift in (CLEAN, ALL))
    sentence = (
        f"Without normalisation, the error of the {kind(rows, RAW)} is {range(clean[learners])} points higher "
        f"on clean images and {range(corrupted[learners])} points higher on corrupted ones, averaged over the "
        f"{len(CORRUPTIONS)} corruptions and all severities"
    )
    if "supervised" in clean:
        sentence += f"; that of the supervised reference {clean['supervised']:.1f} and {corrupted['supervised']:.1f}"
    return sentence + "."


def _what_contrast_explains(rows: pd.DataFrame, learners: list[str]) -> str:
    whole = _means(rows, COST, CLEAN)[learners]
    part = (_means(rows, CONTRAST, CLEAN) - _means(rows, NORMALISED, CLEAN))[learners]
    sentence = (
        "With normalisation, but the contrast of clean images shrunk by the same factor, the pixels' standard "
        f"deviation, the error is {range(part)} points higher"
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
        "To the network, raw pixels are the faded image with normalisation, except for rounding to bytes: their errors "
        f"differ by {gaps.mean():.1f} points on average and by {gaps.max():.1f} at most over {len(gaps)} runs."
    )


def _against_the_paper(rows: pd.DataFrame, learners: list[str]) -> str:
    low, high = min(BRIGHTNESS_EXCESS.values()), max(BRIGHTNESS_EXCESS.values())
    costs = _means(rows, COST, CLEAN)[learners]
    below, above = int((costs < low).sum()), int((costs > high).sum())
    return (
        "In the paper's numbers, brightness at severity 1, nearly the clean image, exceeds the clean error of the "
        f"{len(BRIGHTNESS_EXCESS)} self-supervised ResNet-50s by {low:.1f} to {high:.1f} points, of which brightness "
        f"itself has a part. Here raw pixels cost {range(costs)} points on clean images (methods below that range: "
        f"{below}, within it: {len(costs) - below - above}, above it: {above})."
    )


def raw_by_severity(rows: pd.DataFrame, scope: str) -> Figure:
    """Error against severity, clean to 5, with normalisation and on raw pixels."""
    for metric in (RAW, COST):
        needed(rows[rows["metric"] == metric], f"the metric {metric!r}")
    rows = with_normalisation(rows)
    use_style()
    drawing, axes = plt.subplots(figsize=(4.9, 4.2), layout="constrained")
    inputs = {"normalised": (NORMALISED, "-"), "raw pixels": (RAW, "--")}
    tables = []
    for words, (metric, style) in inputs.items():
        for label, table in mean_lines(rows, metric).items():
            line = table[table["shift"].isin((CLEAN, ALL))].sort_values("severity")
            draw(axes, line, label, line_look(label) | {"linestyle": style})
            tables.append(line.assign(line=label, input=words))
    labels = list(mean_lines(rows, RAW))
    handles = [Line2D([], [], label=label, **line_look(label)) for label in labels]
    handles += [Line2D([], [], label=words, color=GREY, linestyle=style) for words, (_, style) in inputs.items()]
    drawing.legend(handles=handles, loc="outside upper center", ncols=2, frameon=False, columnspacing=1)
    axes.set(xlabel="severity (0: clean)", ylabel="error of the linear probe (%)", ylim=(0, 100), xlim=(-0.15, 5.15))
    data = pd.concat(tables)[["line", "input", "severity", "mean", "low", "high"]]
    ends = data.groupby(["line", "input"], sort=False)["mean"].agg(["first", "last"])
    return Figure(
        drawing,
        name="fig-raw-input",
        caption=f"Error against severity, averaged over the {len(CORRUPTIONS)} corruptions, with the normalisation "
        "that the encoders were trained with (full lines) and on raw pixels (broken lines). "
        f"Bands are 95 % intervals over seeds and images. {scope}",
        notes=f"Lines: {named(rows, RAW)}.",
        alt="Line chart of error against severity 0 to 5. "
        + "; ".join(f"{line}, {words}: from {first:.0f} to {last:.0f} percent"
                    for (line, words), (first, last) in zip(ends.index, ends.to_numpy(), strict=True))
        + ".",
        data=data,
    )  # fmt: skip
