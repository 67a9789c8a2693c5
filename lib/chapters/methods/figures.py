"""The methods page: what each method reaches, what it costs, and the recipe that it was trained by."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lib.contrasts import of_cell, present
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.levels import summary
from lib.figures.prose import leaders, led, listed
from lib.figures.style import look, title, use_style
from lib.figures.tables import OPTIMISERS, views_in_words, written
from lib.measures import Interval, interval
from lib.methods import METHODS, PLAIN
from lib.runs import Results
from lib.runs.recipes import RECIPES

PROBE = "probe accuracy"


YARDSTICK, MULTIPLE = "simclr", "times SimCLR's"  # of the costs


def methods_answer(results: Results) -> dict[str, str]:
    """The words that the methods notebook glues into its text.

    A method is told apart from the best one if the 95 % interval of their difference lies above zero. Overlap of two
    intervals would not say so: test images are shared.
    """
    rows, found = results.rows, _accuracies(results.rows)
    learners = [method for method in present(rows) if method in found]
    return {
        "answer": _between(found, learners),
        "answer-accuracy": _who_learns_best(rows, found, learners),
        "answer-references": _sentence(_references(found)),
        "answer-costs": _cheapest_and_dearest(results),
        "costs": _how_costs_were_measured(results),
    }


def _between(found: dict[str, Interval], learners: list[str]) -> str:
    """Within which accuracies the methods without labels lie, and what they stand beside, in a short sentence."""
    if not learners:
        return "No method that learns without labels is in these rows."
    means = [found[method].mean for method in learners]
    own = f"{len(learners)} methods without labels reach" if len(learners) > 1 else f"{title(learners[0])} reaches"
    reached = f"{min(means):.1f} to {max(means):.1f} %" if len(means) > 1 else f"{means[0]:.1f} %"
    beside = {
        "random": "random weights",
        "kmeans": "k-means over whitened patches",
        "supervised": "training with labels",
    }
    told = [f"{word} {found[name].mean:.1f} %" for name, word in beside.items() if name in found]
    return f"By the linear probe {own} {reached} here{f'; beside them stand {listed(told)}' if told else ''}."


def _who_learns_best(rows: pd.DataFrame, found: dict[str, Interval], learners: list[str]) -> str:
    if not learners:
        return "No method that learns without labels is in these rows."
    if len(learners) == 1:
        return (
            f"{title(learners[0])}, the only method without labels here, has a probe accuracy of "
            f"{_percent(found[learners[0]])}."
        )
    probed = {method: of_cell(rows, {"method": method, "metric": PROBE}) for method in learners}
    best, lowest = leaders(probed), leaders(probed, most=False)
    if any(math.isnan(found[method].low) for method in learners):
        low, high = found[lowest[0]], found[best[0]]
        return (
            f"Of {len(learners)} methods without labels, probe accuracies lie between {_percent(low)} "
            f"({title(lowest[0])}) and {_percent(high)} ({title(best[0])}); one seed says nothing about which "
            "differences would come again."
        )

    def told(names: list[str], what: str) -> str:
        means = [found[name].mean for name in names]
        numbers = _percent(found[names[0]]) if len(names) == 1 else f"{min(means):.1f} to {max(means):.1f} %"
        return f"{led([title(name) for name in names], 'has', 'have')} the {what}, {numbers}"

    if len(best) == len(learners):
        first = f"{title(best[0])}, {_percent(found[best[0]])}"
        return f"Of {len(learners)} methods without labels, none is told apart from {first}."
    best, lowest, both = _apart(best, lowest)
    between = f" {listed([title(name) for name in both])} cannot be told from either." if both else ""
    return (
        f"Of {len(learners)} methods without labels, {told(best, 'highest probe accuracy')}; {told(lowest, 'lowest')}."
        f"{between}"
    )


def _apart(best: list[str], lowest: list[str]) -> tuple[list[str], list[str], list[str]]:
    """`leaders` of both ends without those that are among both, and these.

    Who leads alone is shown to be apart from all, by a test with less correction than that of the other end. Where the
    first of one end is among the other end, nobody is taken out.
    """
    lowest = [name for name in lowest if best != [name]]
    best = [name for name in best if lowest != [name]]
    both = [name for name in best if name in lowest]
    if {best[0], lowest[0]} & set(both):
        return best, lowest, []
    return [name for name in best if name not in both], [name for name in lowest if name not in both], both


def _cheapest_and_dearest(results: Results) -> str:
    spent = costs(results)
    others = [method for method in present(results.rows) if method in spent.index and method != YARDSTICK]
    if MULTIPLE not in spent or not others:
        return "What each costs is in the table of results below."
    multiples = {method: spent.loc[method, MULTIPLE] for method in others}
    least, most = (choose(others, key=lambda method: multiples[method].mean) for choose in (min, max))  # type: ignore[return-value]
    return (
        f"An epoch of {title(least)} takes {multiples[least]} times as long as one of {title(YARDSTICK)}, "
        f"an epoch of {title(most)} {multiples[most]} times."
    )


def _how_costs_were_measured(results: Results) -> str:
    measured = results.costs
    if measured is None:
        places = _places((record["device"], record["precision"]) for record in results.records)
        return (
            f"Seconds per epoch are those of the runs, on {places}: means over seeds. A machine that changes its speed "
            "between runs makes them differ where methods do not."
        )
    places = _places(zip(measured["device"], measured["precision"], strict=True))
    return (
        f"Seconds per epoch were measured in {measured['round'].nunique()} rounds, each of which trains every method "
        f"for a few steps, on {places}: means over rounds. The multiples are taken within a round, so that a machine "
        "that changes its speed from one round to the next does not touch them."
    )


def _places(pairs: Iterable[tuple[str, str]]) -> str:
    return listed(list(dict.fromkeys(f"{device} ({precision})" for device, precision in pairs)))


def _sentence(parts: list[str]) -> str:
    whole = "; ".join(parts) or "there is nothing to compare"
    return f"{whole[0].upper()}{whole[1:]}."


def _references(found: dict[str, Interval]) -> list[str]:
    """What the controls and the supervised reference reach, where they are there."""
    verbs = {
        "random": "random weights reach",
        "kmeans": "k-means over whitened patches, with no gradient, reaches",
        "supervised": "training with labels reaches",
    }
    return [f"{verb} {_percent(found[name])}" for name, verb in verbs.items() if name in found]


def _accuracies(rows: pd.DataFrame, metric: str = PROBE) -> dict[str, Interval]:
    """The accuracy of each method in percent, in the order of the rows."""
    return {line.method: Interval(line.mean, line.low, line.high) for line in summary(rows, metric).itertuples()}


def _percent(accuracy: Interval) -> str:
    return f"{accuracy} %"


def costs(results: Results) -> pd.DataFrame:
    """What training cost, indexed by method: seconds per epoch (`Interval`), and the median peak of memory over runs.

    Seconds are those of the measurements in turns where there are any, else those of the runs; only in turns can they
    be compared, as multiples (`Interval`) of SimCLR's seconds of the same round.
    """
    runs = pd.DataFrame(
        {
            "method": record["config"]["method"],
            "round": record["config"]["seed"],
            "seconds_per_epoch": record["seconds"] / record["config"]["training"]["epochs"],
            "peak memory (MiB)": record["peak_memory_mib"],
        }
        for record in results.records
    )
    timed = runs if results.costs is None else results.costs
    seconds = timed.pivot(index="round", columns="method", values="seconds_per_epoch")
    spent = pd.DataFrame(
        {
            "seconds per epoch": {method: interval(seconds[method].dropna()) for method in seconds},
            "peak memory (MiB)": runs.groupby("method")["peak memory (MiB)"].median(),
        }
    )
    if results.costs is not None and YARDSTICK in seconds:
        spent[MULTIPLE] = {method: interval((seconds[method] / seconds[YARDSTICK]).dropna()) for method in seconds}
    return spent


def results_table(results: Results) -> pd.DataFrame:
    """One line a method: accuracies on clean test images and what training cost, with 95 % intervals."""
    neighbours, probed = (_accuracies(results.rows, metric) for metric in ("knn accuracy", PROBE))
    spent = costs(results)
    lines = []
    for method in probed:
        cost = spent.loc[method]
        line = {
            "method": title(method),
            "paradigm": METHODS[method].paradigm,
            "kNN accuracy (%)": str(neighbours[method]),
            "probe accuracy (%)": str(probed[method]),
            "views per image": views_in_words(method, {}),
            "seconds per epoch": str(cost["seconds per epoch"]),
        }
        if MULTIPLE in spent:
            line[MULTIPLE] = str(cost[MULTIPLE])
        lines.append(line | {"peak memory (MiB)": f"{cost['peak memory (MiB)']:,.0f}"})
    return pd.DataFrame(lines)


def recipes_table() -> pd.DataFrame:
    """One line a method without an adversary: how it is optimised, its own settings, and where they come from."""
    lines = []
    for name in (name for name in PLAIN if name in RECIPES):
        recipe, trained = RECIPES[name], METHODS[name].trained
        settings = dataclasses.asdict(METHODS[name].settings())
        lines.append(
            {
                "method": title(name),
                "optimiser": OPTIMISERS[recipe.optimiser] if trained else "none",
                "learning rate": f"{recipe.learning_rate:g}" if trained else "",
                "weight decay": f"{recipe.weight_decay:g}" if trained else "",
                "share of epochs": f"{recipe.epochs:g}" if trained else "",
                "own settings": written(settings),
                "where from": recipe.source,
            }
        )
    return pd.DataFrame(lines)


def accuracy_by_method(rows: pd.DataFrame, scope: str) -> Figure:
    """A dot and an interval a method: accuracy of the probe on clean test images, grouped by paradigm.

    A paradigm has the colour and the marker of its first method. `scope` says in words what the rows are.
    """
    use_style()
    if not (found := _accuracies(rows)):
        raise BadInput("this figure needs the probe's accuracy of a method, and these rows hold none")
    groups: dict[str, list[str]] = {}
    for method in (method for method in METHODS if method in found):
        groups.setdefault(METHODS[method].paradigm, []).append(method)
    height = len(found) + 1.35 * len(groups)
    drawing, axes = plt.subplots(figsize=(5, 0.7 + 0.27 * height))
    if "random" in found:
        axes.axvline(found["random"].mean, color=look("random")["color"], linestyle=":", linewidth=1.4, zorder=1)
    y, ticks = 0.0, []
    for paradigm, methods in groups.items():
        axes.text(-0.025, y, paradigm, transform=axes.get_yaxis_transform(), ha="right", va="center", weight="bold",
                  fontsize=10, color="#333333")  # fmt: skip
        for method in sorted(methods, key=lambda method: -found[method].mean):
            y += 1
            ticks.append((y, title(method)))
            _dot(
                axes, y, rows[(rows["method"] == method) & (rows["metric"] == PROBE)]["value"], found[method], paradigm
            )
        y += 1.35
    axes.set_yticks(*zip(*ticks, strict=True), fontsize=11)
    ends = [end for value in found.values() for end in (value.low, value.mean, value.high) if not math.isnan(end)]
    margin = 0.08 * (max(ends) - min(ends)) + 1
    axes.set(
        xlabel="accuracy of the linear probe (%)",
        ylim=(y - 0.65, -0.7),
        xlim=(min(ends) - margin, max(ends) + 2.5 * margin),
    )
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    return Figure(
        drawing,
        name="fig-accuracy-by-method",
        caption="Accuracy of the linear probe on clean test images: mean, seeds (pale) and 95 % interval over seeds "
        f"and images{', with the untrained control as a dotted line' if 'random' in found else ''}. {scope}",
        alt="Dot chart of the probe's accuracy by method, grouped by paradigm. "
        + "; ".join(f"{title(method)} {found[method].mean:.0f} percent"
                    for method in sorted(found, key=lambda method: -found[method].mean))
        + ".",
        data=pd.DataFrame(
            {"method": title(method), "paradigm": paradigm, "mean": found[method].mean, "low": found[method].low,
             "high": found[method].high}
            for paradigm, methods in groups.items() for method in methods
        ),
    )  # fmt: skip


def _dot(axes: Axes, y: float, seeds: pd.Series, accuracy: Interval, paradigm: str) -> None:
    first = look(next(name for name, method in METHODS.items() if method.paradigm == paradigm))
    colour, marker = first["color"], first["marker"]
    axes.plot(seeds, np.full(len(seeds), y), marker, color=colour, alpha=0.3, markersize=4, zorder=2)
    axes.plot((accuracy.low, accuracy.high), (y, y), color=colour, linewidth=1.8, zorder=3)
    axes.plot(accuracy.mean, y, marker, color=colour, markersize=7, zorder=4)
    axes.text(0.99, y, f"{accuracy.mean:.1f}", transform=axes.get_yaxis_transform(), ha="right", va="center",
              fontsize=10, color="#333333")  # fmt: skip
