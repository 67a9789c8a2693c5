"""The numbers of Chhipa et al. (arXiv 2308.02525), scored again: a table, a chart of ranks, and sentences."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations

import pandas as pd

from lib.chapters.severity.published import (
    GROUPS,
    RESNETS,
    Published,
    chhipa2023,
    digital_as_plotted,
    group_means,
    rankings,
    scores,
)
from lib.figures.figure import Figure
from lib.figures.prose import listed
from lib.figures.ranks import rank_chart
from lib.figures.style import look, title
from lib.shifts.corruptions import GROUPS as BENCHMARK_GROUPS

RANKED = {  # the columns of the chart, as they are written under it
    "mean error": "mean\nerror",
    "RmCE as stored": "RmCE\nas stored",
    "relative mCE": "relative\nmCE",
    "degradation": "degradation",
}


NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")  # there are eight models


def rescored_table(published: Published | None = None) -> pd.DataFrame:
    """One line a model, the lowest mean error first: the paper's RmCE as stored beside the benchmark's metrics."""
    found = scores(published or chhipa2023()).sort_values("mean error")
    columns = ["mean error", "mCE", "RmCE as stored", "relative mCE"]
    table = found[columns].map("{:.1f}".format).rename(columns="{} (%)".format)
    table.insert(0, "model", found.index.map(_title))
    return table.reset_index(drop=True)


def rescored_ranks(published: Published | None = None) -> Figure:
    """A line a model: its rank by each of four summaries of the same errors."""
    found = scores(published or chhipa2023())[list(RANKED)]
    ranks = rankings(found)
    crossing = {found.loc[list(RESNETS), metric].idxmax() for metric in ("mean error", "degradation")}
    titles, looks = {model: _title(model) for model in ranks.index}, {model: _look(model) for model in ranks.index}
    drawing = rank_chart(ranks, list(RANKED.values()), titles, looks, thick=crossing)
    data = pd.concat([found, ranks.rename(columns="rank by {}".format)], axis=1)
    data.insert(0, "model", data.index.map(_title))
    return Figure(
        drawing,
        name="fig-rescored",
        caption=f"The {len(ranks)} models of Chhipa et al. (2023), ranked by four summaries of the errors that they "
        "published (1: lowest). Thick lines: the last self-supervised ResNet-50 by mean error and by "
        "degradation. There is one checkpoint a model and no interval.",
        notes=f"{ranking_flip(found)} Mean error, RmCE and degradation are over 19 corruptions, relative mCE over the "
        "benchmark's 15. The clean errors are quoted from model zoos, which measured them on normalised pixels, while "
        "the errors on corrupted images were probably measured without normalisation, so that degradation and "
        "relative mCE mix two protocols. The supervised numbers come from another pipeline.",
        alt="Chart of ranks by "
        + listed(list(RANKED))
        + ". "
        + "; ".join(f"{_title(model)}: {listed([str(rank) for rank in line])}" for model, line in ranks.iterrows())
        + ".",
        data=data,
    )


def rescored_facts(published: Published | None = None) -> dict[str, str]:
    """The words that a notebook glues into its text."""
    published = published or chhipa2023()
    found, errors = scores(published), published.errors
    return {
        "ranking-flip": ranking_flip(found),
        "rmce-formula": _what_the_formula_does(published, found),
        "weather-worst": f"In the paper's groups, {_worst_groups(group_means(errors))}.",
        "weather-worst-in-benchmark": "In the benchmark's groups, which have brightness in weather and not the four "
        f"extra corruptions, {_worst_groups(group_means(errors, BENCHMARK_GROUPS))}.",
        "digital-typo": _what_the_typo_does(errors),
        "stored-clean-error": _what_the_stored_clean_error_does(published, found),
    }


def ranking_flip(found: pd.DataFrame) -> str:
    """Who of the self-supervised ResNet-50s is last by mean error, who by degradation, and where each is by the other.

    `found` has the columns of `RANKED`.
    """
    found = found.loc[list(RESNETS)]
    error, loss = found["mean error"], found["degradation"]
    worst, steepest = error.idxmax(), loss.idxmax()
    of = f"Of the {NUMBERS[len(found)]} self-supervised ResNet-50s"
    if worst == steepest:
        return (
            f"{of}, {_title(worst)} has the highest mean error ({error[worst]:.1f} %) and the highest degradation "
            f"from clean images ({loss[worst]:.1f} points)."
        )
    return (
        f"{of}, {_title(worst)} has the highest mean error ({error[worst]:.1f} %) and the {_place(loss, worst)} "
        f"degradation from clean images ({loss[worst]:.1f} points), while {_title(steepest)} has the "
        f"{_place(error, steepest)} mean error ({error[steepest]:.1f} %) and the highest degradation "
        f"({loss[steepest]:.1f} points)."
    )


def _title(model: str) -> str:
    return "DINO ViT-S/8" if model == "dino_vit" else title(model)


def _look(model: str) -> dict[str, object]:
    return look("dino") | {"marker": "*"} if model == "dino_vit" else look(model)


def _place(values: pd.Series, model: str) -> str:
    """ "lowest", "second lowest", "third lowest" and so on."""
    place = int(values.rank(method="min")[model])
    return ("", "second ", "third ", "fourth ", "fifth ", "sixth ")[place - 1] + "lowest"


def _in_another_order(found: pd.DataFrame, metric: str) -> int:
    """How many pairs of models `metric` and the mean error put in opposite orders."""
    gaps = ((found.loc[a] - found.loc[b])[["mean error", metric]].prod() for a, b in combinations(found.index, 2))
    return sum(bool(gap < 0) for gap in gaps)


def _what_the_formula_does(published: Published, found: pd.DataFrame) -> str:
    gap = (found["RmCE"] - found["mean error"]).abs().max()
    six = found.loc[list(RESNETS)]
    pairs = len(six) * (len(six) - 1) // 2
    return (
        "The paper's RmCE takes the clean error once from a sum of five errors, where the benchmark's relative mCE "
        f"takes it from each, so that RmCE stays within {gap:.1f} points of the mean error for every model (with "
        f"{published.clean['supervised']:.2f} as the supervised model's clean error). Pairs of the "
        f"{NUMBERS[len(six)]} self-supervised ResNet-50s in another order than by mean error: "
        f"{_in_another_order(six, 'RmCE as stored')} of {pairs} by RmCE as stored, "
        f"{_in_another_order(six, 'relative mCE')} of {pairs} by relative mCE."
    )


def _worst_groups(means: pd.DataFrame) -> str:
    """Which group is the worst for which models, weather first, and by how much; `means` are (models, groups)."""
    margins = defaultdict(dict)
    for model, line in means.iterrows():
        worst, following = line.sort_values(ascending=False, kind="stable").index[:2]
        other = following if worst == "weather" else "weather"
        margins[worst, other][model] = line[worst] - line[other]
    pieces = []
    for (worst, other), found in sorted(margins.items(), key=lambda item: item[0][0] != "weather"):
        models, gaps = listed([_title(model) for model in found]), listed([f"{gap:.1f}" for gap in found.values()])
        if len(found) == len(means):
            models, gaps = "every model", f"{min(found.values()):.1f} to {max(found.values()):.1f}"
        pieces.append(f"{worst} is the worst for {models}, {gaps} points above {other}")
    if not any(worst == "weather" for worst, _ in margins):
        pieces.insert(0, "weather is the worst for no model")
    return "; ".join(pieces)


def _what_the_typo_does(errors: pd.DataFrame) -> str:
    errors = errors.loc[list(RESNETS)]  # the models of that plot
    drawn, groups = digital_as_plotted(errors), group_means(errors)
    digital = groups["digital"]
    missing = digital - drawn
    model = missing.idxmax()
    mildest = int((groups.idxmin(axis=1) == "digital").sum())
    models = (
        f"all {NUMBERS[mildest]}" if mildest == len(errors) else f"{NUMBERS[mildest]} of the {NUMBERS[len(errors)]}"
    )
    best_drawn, best = drawn.idxmin(), digital.idxmin()
    return (
        "In the notebook that plots the groups, the name of contrast is misspelt, so that its error is left out of the "
        f"digital group, whose sum is still divided by {NUMBERS[len(GROUPS['digital'])]}. Averaged over severities, "
        f"the group is drawn {missing.min():.1f} to {missing.max():.1f} points too low ({_title(model)}: "
        f"{drawn[model]:.1f} % for {digital[model]:.1f} %). With contrast, digital has the lowest error of the groups "
        f"for {models} models drawn, and {_title(best)} has the lowest digital error"
        + (f", not {_title(best_drawn)}." if best != best_drawn else ", as in the plot.")
    )


def _what_the_stored_clean_error_does(published: Published, found: pd.DataFrame) -> str:
    """The supervised model's clean error is stored as its accuracy: what follows for its RmCE and its lead."""
    stored, clean = published.summaries.loc["supervised", "clean_error"], published.clean["supervised"]
    before, after = (found.loc["supervised", name] for name in ("RmCE as stored", "RmCE"))
    others = found["RmCE"].drop("supervised")
    following, value = _title(others.idxmin()), others.min()
    return (
        f"The clean error of the supervised model is stored as {stored:.2f}, its accuracy; as an error, {clean:.2f}, "
        f"it gives by the paper's own formula an RmCE of {after:.1f} % instead of {before:.1f} %, "
        f"{value - after:.1f} points below the lowest of the others ({following}) instead of {value - before:.1f}."
    )
