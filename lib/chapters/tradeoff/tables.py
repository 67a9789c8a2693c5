"""Tables of robust accuracies, of quirks of public code, and of the paper's numbers beside ours."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lib.cells import COMPARED, WHITENED
from lib.chapters.tradeoff.attacks import (
    NONE,
    ON_AUTO,
    ON_CLEAN,
    ON_PGD,
    PUBLISHED,
    QUIRKS,
    Cell,
    as_columns,
    check_systems,
    compared,
    levels_at,
    mean,
)
from lib.chapters.tradeoff.plan import PLAN
from lib.chapters.tradeoff.published import ghofrani2025
from lib.controls import CHANCE, constant
from lib.errors import BadInput
from lib.figures.levels import paired
from lib.figures.style import spaced
from lib.figures.systems_look import pgd_name
from lib.measures import Interval
from lib.measures.corruption_error import ALL
from lib.measures.robust_accuracy import AT
from lib.measures.rows import CLEAN, MEAN_SEVERITY, Rows
from lib.shifts.transforms import TRANSFORMS

CONSTANT = "a constant answer"  # one class for every image, which no attack and no shift changes


def quirk_table(rows: Rows) -> Rows:
    """What quirks of public code change, in points: differences with intervals.

    A line for each of `QUIRKS`, the system with it less the one without; then, for the systems without, what an
    evaluation by two steps of PGD adds to one by many. Raises BadInput where rows hold none of these pairs.
    """
    check_systems(rows)
    pgd = pgd_name(rows)
    columns = {"clean": ON_CLEAN, f"{pgd}, {AT}/255": ON_PGD, f"AutoAttack, {AT}/255": ON_AUTO}
    lines = []
    for quirk, (plain, what) in QUIRKS.items():
        gaps = {words: _gap(rows, (quirk, cell), (plain, cell)) for words, cell in columns.items()}
        lines.append({"quirk": f"{what}, less without", "system": PLAN.title(plain)} | gaps)
    for plain in dict.fromkeys(plain for plain, _ in QUIRKS.values()):
        gap = _gap(rows, (plain, ("pgd-2", AT, "accuracy")), (plain, ON_PGD))
        lines.append({"quirk": f"PGD-2 in evaluation, less {pgd}", "system": PLAN.title(plain)}
                     | dict.fromkeys(columns) | {f"{pgd}, {AT}/255": gap})  # fmt: skip
    return _told(lines, list(columns), f"of a system with a quirk ({'; '.join(QUIRKS)}) and without")


def _gap(rows: Rows, more: tuple[str, Cell], less: tuple[str, Cell]) -> Interval | None:
    """The difference of two cells, each of a system; None where they share no seed."""
    return paired(rows, *(as_columns(cell) | {"system": system} for system, cell in (more, less)))


def _told(lines: Sequence[dict], columns: Sequence[str], needed: str) -> Rows:
    """A table of intervals in words: without lines and columns that hold none."""
    table = pd.DataFrame(lines)
    held = table.reindex(columns=list(columns)).notna()
    if not held.any(axis=None):
        raise BadInput(f"this table needs accuracies {needed}, and these rows have none")
    table = table[held.any(axis=1)].drop(columns=[name for name in columns if not held[name].any()])
    return table.map(lambda cell: NONE if pd.isna(cell) else str(cell)).reset_index(drop=True)


def published_table(rows: Rows) -> Rows:
    """A line for each of `PUBLISHED`: the paper's accuracies on CIFAR-10 in percent beside ours, and its minutes.

    Ours are of the standard probe, with intervals; the last line is of a constant answer. Raises BadInput where rows
    hold none of these systems.
    """
    cells = {"clean": ON_CLEAN, "pgd4": ("pgd", 4, "accuracy"), "pgd8": ON_PGD}
    words = {"clean": "clean", "pgd4": "PGD, 4/255", "pgd8": f"PGD, {AT}/255"}
    found = levels_at(rows, cells.values())
    if not any(name in PUBLISHED.values() for name, *_ in found):
        raise BadInput("this table needs a system that the paper has: " + ", ".join(filter(None, PUBLISHED.values())))
    published = ghofrani2025().loc[list(PUBLISHED)]
    table = pd.DataFrame(
        {"system of the paper": theirs, "ours": NONE if ours is None else PLAN.title(ours)}
        | {
            f"{words[column]}: {whose}": str(value)
            for column, cell in cells.items()
            for whose, value in (("paper", f"{line[column]:g}"), ("ours", found.get((ours, *cell), NONE)))
        }
        | {"minutes: paper": f"{line['minutes']:g}"}
        for (theirs, ours), (_, line) in zip(PUBLISHED.items(), published.iterrows(), strict=True)
    )
    kept = {"paper": CHANCE["cifar10"], "ours": constant(rows)}
    last = {"system of the paper": NONE, "ours": CONSTANT, "minutes: paper": NONE} | {
        f"{words[column]}: {whose}": NONE if share is None else f"{share:g}"
        for column in cells
        for whose, share in kept.items()
    }
    return pd.concat([table, pd.DataFrame([last])], ignore_index=True)


def robustness_table(rows: Rows) -> Rows:
    """A line a system: accuracies in percent, clean, attacked and corrupted, and how alike features stay (hundredths).

    "Corrupted" is the mean over the benchmark's corruptions and severities. Features are compared whitened under the
    transforms of `lib.shifts.transforms`, averaged over them, and as they are under PGD, less the similarity of
    different images. The last line is of a constant answer, on data whose classes are known. Columns that no system has
    are left out; raises BadInput where nothing is left.
    """
    accuracies = {  # column -> cell, and whether its interval is told as well
        "clean (%)": (ON_CLEAN, True),
        f"{pgd_name(rows)}, {AT}/255 (%)": (ON_PGD, False),
        f"AutoAttack, {AT}/255 (%)": (ON_AUTO, True),
        "corrupted (%)": ((ALL, None, "accuracy"), True),
        **{f"{spaced(name)} (%)": ((name, None, "accuracy"), False) for name in ("fog", "contrast", "gaussian_noise")},
    }
    transformed, attacked = "alike under transforms", "alike under PGD, above chance"
    alike, chance = ("pgd", AT, "similarity"), (CLEAN, None, "similarity chance")
    found = levels_at(_with_corrupted_accuracy(rows), [cell for cell, _ in accuracies.values()])
    found |= levels_at(rows, [alike, chance, *((name, None, WHITENED) for name in TRANSFORMS)])
    lines = []
    for name in compared(rows):
        line = {"system": PLAN.title(name)}
        for words, (cell, told) in accuracies.items():
            level = found.get((name, *cell))
            line[words] = level if told or level is None else f"{level.mean:.1f}"
        whitened = [found[name, key, None, WHITENED].mean for key in TRANSFORMS if (name, key, None, WHITENED) in found]
        line[transformed] = f"{mean(whitened):.1f}" if whitened else None
        both = [found[name, *cell].mean for cell in (alike, chance) if (name, *cell) in found]
        line[attacked] = f"{both[0] - both[1]:.1f}" if len(both) == 2 else None
        lines.append(line)
    if lines and (kept := constant(rows)) is not None:
        lines.append({"system": CONSTANT} | dict.fromkeys(accuracies, f"{kept:.1f}"))
    return _told(lines, [*accuracies, transformed, attacked], f"of systems of the roles {' and '.join(COMPARED)}")


def auto_attack_table(rows: Rows) -> Rows:
    """A line a system that AutoAttack was run on at several radii: accuracy in percent at each, with its interval.

    The last line is of a constant answer, on data whose classes are known. Raises BadInput where rows hold fewer radii.
    """
    own = rows[(rows["shift"] == "autoattack") & (rows["metric"] == "accuracy")]
    radii = sorted(own["level"].unique())
    found = levels_at(rows, [("autoattack", radius, "accuracy") for radius in radii])
    words = {radius: f"{radius:g}/255 (%)" for radius in radii}
    lines = [
        {"system": PLAN.title(name)}
        | {words[radius]: found.get((name, "autoattack", radius, "accuracy")) for radius in radii}
        for name in compared(rows)
        if sum((name, "autoattack", radius, "accuracy") in found for radius in radii) > 1
    ]
    if lines and (kept := constant(rows)) is not None:
        lines.append({"system": CONSTANT} | dict.fromkeys(words.values(), f"{kept:.1f}"))
    return _told(lines, list(words.values()), "of AutoAttack at several radii")


def _with_corrupted_accuracy(rows: Rows) -> Rows:
    """Rows in which the accuracy on corrupted images stands for the error, of means over severities alone."""
    error = (rows["metric"] == "error") & (rows["level_unit"] == MEAN_SEVERITY)
    return rows.assign(
        value=rows["value"].mask(error, 100 - rows["value"]), metric=rows["metric"].mask(error, "accuracy")
    )
