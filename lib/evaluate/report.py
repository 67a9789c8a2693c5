"""One folder for a reader and for a machine: `report.html`, `rows.csv`, `record.json` and the figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd

from lib import files
from lib.evaluate import page
from lib.evaluate.axes import AXES
from lib.evaluate.check import OWN
from lib.evaluate.data import Data
from lib.evaluate.door import Evaluation
from lib.evaluate.drawings import draw
from lib.evaluate.encoders import Opened, is_random
from lib.evaluate.numbers import BASELINE, checked, comparison, conventions, overview, with_intervals
from lib.evaluate.plan import CHECK, CLEAN, CORRUPTION
from lib.evaluate.references import references
from lib.evaluate.words import MEANINGS
from lib.figures.figure import Figure
from lib.images.sources import CIFAR10_CLASSES, source_in_words
from lib.runs import store
from lib.shifts.corruptions import SEVERITIES

ROWS, RECORD, PAGE, FIGURES = "rows.csv", "record.json", "report.html", "figures"
RANDOM_WEIGHTS = "These weights are random: a control, which shows what is had for nothing."
TITLES = {name: axis.title for name, axis in AXES.items()}


def write(made: Evaluation, folder: Path) -> Evaluation:
    """Write the folder of an evaluation, which then names it. Raises BadInput where it cannot be written."""
    figures = drawn_of(made)
    for drawn in figures.values():
        for figure in drawn:
            picture = figure.picture()
            files.write(folder / FIGURES / f"{figure.name}.svg", lambda file, picture=picture: file.write(picture))
    files.write_text(folder / ROWS, store.to_csv(with_intervals(made.rows)))
    files.write_text(folder / RECORD, json.dumps(made.record, indent=1))
    files.write_text(folder / PAGE, report(made, figures))
    return replace(made, folder=folder)


def drawn_of(made: Evaluation) -> dict[str, list[Figure]]:
    """The figures of each axis."""
    return {axis: draw(axis, made.rows[made.rows["axis"] == axis]) for axis in made.rungs}


def report(made: Evaluation, figures: dict[str, list[Figure]]) -> str:
    """The page, in HTML."""
    axes = [axis for axis in AXES if axis in made.record["measured"]]
    sections = {"overview": "At a glance"}
    if len(made.encoders) > 1:
        sections["comparison"] = "Compared"
    sections |= {"encoders": "Encoders"} | {axis: TITLES[axis] for axis in axes}
    sections |= {"references": "Beside the book's", "left-out": "Left out", "how": "How it was measured"}
    title = f"{', '.join(made.encoders)} on {made.data.name}"
    parts = [*_head(made, title), page.contents(sections), *_overview(made)]
    if len(made.encoders) > 1:
        parts += _comparison(made)
    parts += _encoders(made)
    for axis in axes:
        parts += _axis(made, axis, figures.get(axis, []))
    return page.document(f"Robustness of {title}", [*parts, *_references(made), *_left_out(made), *_how(made)])


def _head(made: Evaluation, title: str) -> list[str]:
    record = made.record
    parts = [
        page.paragraph("Withstand · robustness report", "kind"),
        f"<h1>{page.escaped(title)}</h1>",
        page.paragraph(
            f"{source_in_words(record['data']['source'])}; {len(made.data.classes):,} classes. "
            f"{record['measured'][CLEAN]}. Measured in {_minutes(record['seconds'])} on {record['device']}, "
            f"{record['finished']}.",
            "scope",
        ),
    ]
    if _random(made):
        parts.append(page.note(RANDOM_WEIGHTS, warning=True))
    return parts


def told(made: Evaluation) -> str:
    """What was asked of what, in a paragraph of Markdown."""
    names = ", ".join(f"`{name}`" for name in made.encoders)
    measured = made.record["measured"][CLEAN]
    words = f"Here: {names} on {made.data.name}, {measured}; measured in {_minutes(made.record['seconds'])}."
    return words + (f" **{RANDOM_WEIGHTS}**" if _random(made) else "")


def _random(made: Evaluation) -> bool:
    return all(is_random(own.name, own.named.source) for own in made.opened)


def overview_of(made: Evaluation) -> pd.DataFrame:
    """A line an axis and number, a column an encoder."""
    return overview(made.rows, TITLES)


def _overview(made: Evaluation) -> list[str]:
    return [
        page.heading("At a glance", "overview"),
        page.table(overview_of(made)),
        page.paragraph(
            "In brackets: 95 % intervals over test images. The encoder's weights and the probe are as they are, so "
            "nothing else varies; another draw of training images would give another probe.",
            "scope",
        ),
    ]


def _comparison(made: Evaluation) -> list[str]:
    return [
        page.heading("Compared", "comparison"),
        page.table(comparison(made.rows, TITLES)),
        page.paragraph(
            "Differences image by image, in the units of the number, with 95 % intervals: both encoders were asked "
            "about the same images. Each is tested by itself; of twenty such differences that are none, one is told "
            "apart by chance.",
            "scope",
        ),
    ]


def _encoders(made: Evaluation) -> list[str]:
    parts = [page.heading("Encoders", "encoders")]
    for own, record in zip(made.opened, made.record["encoders"], strict=True):
        parts += [page.smaller(own.name), page.pairs(_described(own, record, made.data)), *_check(made, own)]
    return parts


def _described(own: Opened, record: dict, data: Data) -> dict[str, object]:
    preprocessing = own.named.preprocessing
    found = {
        "source": own.named.source,
        "size": f"{preprocessing.size} px",
        "resizing": _resizing(own, data),
        "interpolation": preprocessing.interpolation,
        "mean": ", ".join(f"{value:.4g}" for value in preprocessing.mean),
        "standard deviation": ", ".join(f"{value:.4g}" for value in preprocessing.std),
        "said by": preprocessing.source,
        "features": f"{record['features']:,}",
        "head": record["head"],
        "weights": f"SHA-256 {record['weights'][:16]}…",
    }
    return found


def _resizing(own: Opened, data: Data) -> str:
    preprocessing = own.named.preprocessing
    if data.side is None:
        sides = "both sides" if preprocessing.squash else "the shorter side"
        return f"{sides} to {preprocessing.resize} px, then the central {preprocessing.size} px"
    if data.side == preprocessing.size:
        return f"none: the images have {data.side} px"
    return f"the whole image from {data.side} px, at which it is corrupted and attacked, to {preprocessing.size} px"


def _check(made: Evaluation, own: Opened) -> list[str]:
    """Is the normalisation the right one?"""
    found = checked(made.rows, own.name)
    if found is None:
        return []
    rung = made.record["measured"][CHECK]
    by = "the head" if made.case.readers[-1] == "head" else "a probe"
    others = "; ".join(f"{title} {interval}" for title, interval in found.others.items())
    words = f"Check of the normalisation, by {by} on {rung}: accuracy {found.own} % with the source's own; {others}."
    worse = found.suspicious
    if worse is None:
        return [page.note(words + " None of the common alternatives is better beyond chance.")]
    gap = found.gaps[worse]
    return [
        page.note(f"{words} With {worse} it is {gap} points higher: the normalisation above is probably wrong.", True)
    ]


def _axis(made: Evaluation, axis: str, figures: list[Figure]) -> list[str]:
    parts = [page.heading(TITLES[axis], axis), page.paragraph(AXES[axis].question)]
    parts.append(page.paragraph(made.record["measured"][axis], "scope"))
    if axis == CORRUPTION:
        parts += _conventions(made)
    parts += [page.figure(figure) for figure in figures]
    return [*parts, page.paragraph(MEANINGS[axis], "scope")]


def _conventions(made: Evaluation) -> list[str]:
    lines = []
    for name in made.encoders:
        for reader in made.case.readers:
            found = conventions(made.rows, name, reader)
            if found is not None:
                normalised = "–" if found.normalised is None else f"{found.normalised:.1f}"
                lines.append({"encoder": name, "read by": reader, "plain mean error (%)": str(found.plain),
                              "mCE (%), AlexNet = 100": normalised})  # fmt: skip
    words = (
        f"Two conventions. Plain: the mean error over the 15 corruptions and the severities measured. mCE: each "
        f"corruption's error divided by that of {BASELINE}, then averaged; it needs all of the severities "
        f"{SEVERITIES[0]} to {SEVERITIES[-1]}."
    )
    if made.data.classes == CIFAR10_CLASSES or (made.data.side or 224) < 64:
        words += (
            " The baseline saw other classes at 224 px, so here mCE says how hard corruptions are beside it, no more."
        )
    return [page.table(pd.DataFrame(lines)), page.paragraph(words, "scope")]


def _references(made: Evaluation) -> list[str]:
    found = references(made.rows, made.data, made.plan)
    parts = [page.heading("Beside the book's encoders", "references")]
    if found.reason:
        return [*parts, page.paragraph(f"None are shown: {found.reason}.")]
    parts.append(
        page.paragraph(
            "Published runs on the same images, whose probe learned from as many, asked by the same measure about the "
            "same test images; intervals of the book's are over seeds and images.",
            "scope",
        )
    )
    for table in found.tables.values():
        parts.append(page.table(table))
    return parts


def checks_of(made: Evaluation) -> pd.DataFrame:
    """A line for each normalisation of each encoder: its accuracy, and by how much it differs from the source's own."""
    lines = []
    for name in made.encoders:
        found = checked(made.rows, name)
        if found is not None:
            lines.append({"encoder": name, "normalisation": OWN, "accuracy (%)": str(found.own), "difference": ""})
            lines += [
                {"encoder": name, "normalisation": title, "accuracy (%)": str(interval), "difference": str(gap)}
                for (title, interval), gap in zip(found.others.items(), found.gaps.values(), strict=True)
            ]
    return pd.DataFrame(lines)


def left_out(made: Evaluation) -> list[str]:
    """What a report does not hold, a sentence each with its reason."""
    lines = [f"{TITLES.get(axis, axis)}: {reason}." for axis, reason in made.left_out.items()]
    lines += [f"{TITLES[axis]}: not asked for." for axis in AXES if axis not in made.record["axes"]]
    if made.case.probe:
        lines.append(f"The probe: {made.case.probe}.")
    return lines + [f"No head is read: {own.headless}." for own in made.opened if own.headless]


def _left_out(made: Evaluation) -> list[str]:
    lines = left_out(made)
    return [page.heading("Left out", "left-out"), page.bullets(lines) if lines else page.paragraph("Nothing.")]


def _how(made: Evaluation) -> list[str]:
    record = made.record
    values = {
        "budget": f"{_budget(record['budget_minutes'])}; estimated {_minutes(record['estimated_seconds'])}, taken "
        f"{_minutes(record['seconds'])} by this call",
        "data": f"{record['data']['source']}, SHA-256 {record['data']['checksum'][:16]}…",
        "versions": ", ".join(f"{name} {version}" for name, version in record["versions"].items()),
        "commit": record["commit"],
        "files": f"{ROWS}: every number; {RECORD}: what it was measured of and how; {FIGURES}: the drawings",
    }
    return [
        page.heading("How it was measured", "how"),
        page.pairs(values),
        page.smaller("Measures and their protocols"),
        page.bullets(record["measures"]),
    ]


def _budget(minutes: float | None) -> str:
    return "none, by the protocol of the scoreboard" if minutes is None else f"{minutes:g} minutes"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
