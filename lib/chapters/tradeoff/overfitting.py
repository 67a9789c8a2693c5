"""Courses of training under attack, in which overfitting to a weak attack shows."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import MaxNLocator

from lib.chapters.tradeoff.numbers import (
    COURSES,
    MOST_PANELS,
    OVERFITTED,
    WATCHED,
    named,
    passes_of,
    records_of,
    updates,
)
from lib.chapters.tradeoff.plan import PLAN, SYSTEMS
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.prose import number
from lib.figures.style import settle, use_style
from lib.measures.monitor import ATTACKED
from lib.measures.rows import Rows
from lib.runs import Results


def overfitting_monitor(results: Results, scope: str) -> Figure:
    """A panel a system under attack with three epochs or more: validation accuracy, clean and attacked, by epoch.

    At most `MOST_PANELS`: first those that overfitted to FGSM, then by role, in the order of SYSTEMS. Thin lines are
    seeds, thick ones their means.
    """
    courses = _courses(results)
    ends = {name: _ends(own) for name, own in courses.items()}
    roles = list(dict.fromkeys(system.role for system in SYSTEMS.values()))
    ranked = sorted(courses, key=lambda name: (not ends[name]["overfitted"].any(), roles.index(SYSTEMS[name].role)))
    shown = {name: courses[name] for name in courses if name in ranked[:MOST_PANELS]}
    hidden = [name for name in courses if name not in shown]
    means = {name: own.groupby("epoch")[list(COURSES)].mean().iloc[-1] for name, own in shown.items()}
    told = _overfitted_told(ends)
    return Figure(
        _draw_courses(shown),
        name="fig-monitor",
        caption=f"Accuracy on {ATTACKED} validation images in the course of training under attack, by ridge regression "
        f"on features. Thin lines are seeds, thick ones their means. {scope}",
        notes=told + (f" Watched as well, but not drawn: {named(hidden)}." if hidden else ""),
        alt="Line charts of accuracy against epoch, a panel a system. At the end, in percent: "
        + "; ".join(
            f"{PLAN.title(name)} " + ", ".join(f"{end[column]:.0f} {words}" for column, (words, _) in COURSES.items())
            for name, end in means.items()
        )
        + f". {told}",
        data=pd.concat([own.assign(system=PLAN.title(name)) for name, own in shown.items()], ignore_index=True)[
            ["system", "seed", "epoch", *COURSES]
        ],
    )


def _courses(results: Results) -> dict[str, Rows]:
    """System -> one line a seed and epoch, of those that were watched for `WATCHED` epochs or more."""
    found = {}
    for name, records in records_of(results).items():
        tables = [
            pd.DataFrame(record["monitored"]).assign(seed=record["config"]["seed"])
            for record in records
            if len(record.get("monitored", ())) >= WATCHED
        ]
        if tables:
            found[name] = pd.concat(tables, ignore_index=True)
    if not found:
        raise BadInput(f"these results hold no system that was trained under attack for {WATCHED} epochs or more")
    return found


def _ends(course: Rows) -> Rows:
    """A line a seed, of its last epoch: "gap", FGSM accuracy less PGD accuracy in points, and "overfitted", whether it
    is over `OVERFITTED` and PGD leaves less than half of what FGSM does."""
    last = course.sort_values("epoch").groupby("seed").last()
    gap = last["fgsm accuracy"] - last["pgd accuracy"]
    return pd.DataFrame({"gap": gap, "overfitted": (gap > OVERFITTED) & (gap > last["pgd accuracy"])})


def _overfitted_told(ends: Mapping[str, Rows]) -> str:
    """Which of the systems overfitted to FGSM in a seed or more, or that none did."""
    means = {name: end["gap"].mean() for name, end in ends.items()}
    told = [
        f"{PLAN.title(name)} ({end['overfitted'].sum()} of {len(end)} {'seed' if len(end) == 1 else 'seeds'}, "
        f"{means[name]:.0f} points on average)"
        for name, end in ends.items()
        if end["overfitted"].any()
    ]
    rule = f"over {OVERFITTED} points more than PGD and over twice as much"
    if told:
        return f"At the end FGSM leaves {rule}, a sign of catastrophic overfitting, for {'; '.join(told)}."
    ends_of = " to ".join(dict.fromkeys(number(own) for own in (min(means.values()), max(means.values()))))
    return (
        f"There is no sign of catastrophic overfitting: in no run does FGSM leave {rule} at the end. On average over "
        f"seeds a system's gap is {ends_of} points."
    )


def _draw_courses(courses: Mapping[str, Rows]) -> Drawing:
    use_style()
    columns = min(2, len(courses))
    lines = -(-len(courses) // columns)
    drawing, cells = plt.subplots(lines, columns, figsize=(5.2, 1 + 1.75 * lines), sharey=True, squeeze=False,
                                  layout="constrained")  # fmt: skip
    for axes, (name, course) in zip(cells.flat, courses.items(), strict=False):
        for column, (words, look) in COURSES.items():
            for _, own in course.groupby("seed"):
                axes.plot(own["epoch"], own[column], linewidth=0.8, alpha=0.45, **look)
            means = course.groupby("epoch")[column].mean()
            axes.plot(means.index, means, linewidth=2, label=words, **look)
        axes.set_title("\n".join(textwrap.wrap(PLAN.title(name), 26)), fontsize=10)  # wider ones meet
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.tick_params(labelsize=9.5, pad=1)
    cells[0, 0].set(ylim=(0, None))
    for axes in cells.flat[len(courses) :]:
        axes.set_axis_off()
    drawing.supxlabel("epoch", fontsize=11)
    drawing.supylabel("validation accuracy (%)", fontsize=11)
    handles, labels = cells[0, 0].get_legend_handles_labels()
    drawing.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False, handlelength=2.6)
    settle(drawing)
    return drawing


def seconds_table(results: Results) -> Rows:
    """One line a trained system: passes of an image in an epoch and in all, epochs, updates, seconds, passes a second.

    Seconds are means over seeds. Only those of one device compare: where there are several, a column says which. What
    trained a teacher is not counted.
    """
    lines = []
    for name, records in records_of(results).items():
        trained = [record for record in records if record.get("passes")]
        if not trained:
            continue
        training, images = trained[0]["config"]["training"], trained[0]["data"]["train_images"]
        seen = images // training["batch_size"] * training["batch_size"]  # an epoch's whole batches
        seconds = [record["seconds"] for record in trained]
        lines.append(
            {
                "system": PLAN.title(name),
                "passes of an image and epoch": round(trained[0]["passes"] / (training["epochs"] * seen)),
                "epochs": training["epochs"],
                "updates": round(updates(trained)),
                "passes of an image": round(passes_of(trained)),
                "seconds": round(np.mean(seconds)),
                "passes per second": round(sum(record["passes"] for record in trained) / sum(seconds)),
                "device": ", ".join(sorted({record["device"] for record in trained})),
            }
        )
    if not lines:
        raise BadInput("these results hold no system that was trained, and so no costs")
    table = pd.DataFrame(lines)
    return table.drop(columns="device") if table["device"].nunique() == 1 else table
