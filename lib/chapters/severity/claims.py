"""The claims of Chhipa et al. (arXiv 2308.02525) on severity, what the constants predict, and the claims of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pandas as pd

from lib.cells import ALIKE
from lib.chapters.severity.published import RESNETS, chhipa2023, group_means
from lib.contrasts import Cell, Contrasts, convolutional, method_cell, of_cell, of_metric, of_two, present, transformers
from lib.controls import CONTROLS
from lib.effective import above_the_rest, runs_of
from lib.measures.attention import CONTROL, SIMILARITY
from lib.measures.corruption_error import ALL
from lib.measures.rows import CLEAN
from lib.methods import METHODS
from lib.shifts.corruptions import GROUPS, SEVERITIES
from lib.verdicts import Claim, Headline


def _rises_with_severity(rows: pd.DataFrame) -> Contrasts:
    """Steps are differences on the same images, so their intervals are those of pairs."""
    return {
        f"{METHODS[method].title}, severity {step} less {step - 1}": of_cell(
            rows, method_cell(method, ALL, step, "error step")
        )
        for method in present(of_metric(rows, "error step"))
        for step in SEVERITIES[1:]
    }


def _weather_is_worst(rows: pd.DataFrame) -> Contrasts:
    return {
        f"{METHODS[method].title}, weather less {group}": of_two(
            rows, method_cell(method, "weather", None), method_cell(method, group, None)
        )
        for method in present(of_metric(rows, "error"))
        for group in GROUPS
        if group != "weather"
    }


def _step_to_three(
    shift: str, falls: bool, of: Callable[[pd.DataFrame], list[str]]
) -> Callable[[pd.DataFrame], Contrasts]:
    """The error under `shift` falls from severity 2 to 3 (or rises), for each of some methods."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        words = "severity 2 less 3" if falls else "severity 3 less 2"
        methods = of(of_metric(rows, "error step"))
        found = {method: of_cell(rows, method_cell(method, shift, 3, "error step")) for method in methods}
        return {f"{METHODS[method].title}, {words}": -step if falls else step for method, step in found.items()}

    return contrasts


def _supervised(rows: pd.DataFrame) -> list[str]:
    return [method for method in present(rows, self_supervised=False) if method == "supervised"]


def _trained(rows: pd.DataFrame) -> list[str]:
    return present(rows, self_supervised=False)


def _errs_more_than_supervised(rows: pd.DataFrame) -> Contrasts:
    """Each self-supervised method's mean error less the supervised reference's."""
    rows = of_metric(rows, "error")
    if "supervised" not in set(rows["method"]):
        return {}
    return {
        f"{METHODS[method].title} less {METHODS['supervised'].title}": of_two(
            rows, *(method_cell(name, ALL, None) for name in (method, "supervised"))
        )
        for method in present(rows)
    }


def _attention_moves(rows: pd.DataFrame) -> Contrasts:
    """Maps at severity 5 are less like the clean ones than maps at severity 1 are, for every corruption measured."""
    shifts = list(dict.fromkeys(rows.loc[rows["metric"] == SIMILARITY, "shift"]))
    return {
        f"{METHODS[method].title}, {shift.replace('_', ' ')}, severity 1 less 5": of_two(
            rows, method_cell(method, shift, 1, SIMILARITY), method_cell(method, shift, SEVERITIES[-1], SIMILARITY)
        )
        for method in present(of_metric(rows, SIMILARITY))
        for shift in shifts
    }


def _attention_stays(rows: pd.DataFrame) -> Contrasts:
    """Maps at severity 5 are more like the clean ones than two images' maps are like each other."""
    shifts = list(dict.fromkeys(rows.loc[rows["metric"] == SIMILARITY, "shift"]))
    return {
        f"{METHODS[method].title}, {shift.replace('_', ' ')}, severity 5 less another image": of_two(
            rows, method_cell(method, shift, SEVERITIES[-1], SIMILARITY), method_cell(method, CLEAN, None, CONTROL)
        )
        for method in present(of_metric(rows, SIMILARITY))
        for shift in shifts
    }


def _transformers(rows: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Method -> its convolutional encoder and its transformer, of those that have both."""
    ours, theirs = convolutional(rows), transformers(rows)
    if ours.empty or theirs.empty:
        return {}
    encoders = ours["encoder"].iloc[0], theirs["encoder"].iloc[0]
    methods = present(theirs, self_supervised=False)
    return {method: encoders for method in methods if method in set(ours["method"])}


def _transformers_err_less(rows: pd.DataFrame) -> Contrasts:
    """Over all corruptions: each method's convolutional encoder less its transformer."""
    rows = of_metric(rows, "error")
    return {
        f"{METHODS[method].title}, {own} less {other}": of_two(
            rows, *(method_cell(method, ALL, None) | {"encoder": name} for name in (own, other))
        )
        for method, (own, other) in _transformers(rows).items()
    }


CLEAN_ERROR = {"shift": CLEAN, "level": None, "metric": "error"}
MEAN_ERROR = {"shift": ALL, "level": None, "metric": "error"}


def _more_robust(rows: pd.DataFrame, pairs: dict[str, tuple[Cell, Cell]]) -> Contrasts:
    """Points by which the first of each pair lies higher above the line of all others than the second does."""
    runs = runs_of(rows, CLEAN_ERROR, MEAN_ERROR)
    found = {words: above_the_rest(runs, *pair) for words, pair in pairs.items()}
    return {f"above the line of the others, {words}": gap for words, gap in found.items() if gap}


def _transformers_more_robust(rows: pd.DataFrame) -> Contrasts:
    pairs = {
        f"{METHODS[method].title}, {other} less {own}": tuple(
            {"method": method, "encoder": name} for name in (other, own)
        )
        for method, (own, other) in _transformers(of_metric(rows, "error")).items()
    }
    return _more_robust(rows, pairs)


def _more_robust_than_supervised(sign: int) -> Callable[[pd.DataFrame], Contrasts]:
    """Each self-supervised method against the supervised reference; with a sign of -1 the other way round."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        methods = [(method, "supervised")[::sign] for method in present(of_metric(rows, "error"))]
        pairs = {
            " less ".join(METHODS[name].title for name in pair): tuple({"method": name} for name in pair)
            for pair in methods
        }
        return _more_robust(rows, pairs)

    return contrasts


def _in_paper(more: Sequence[str], less: str) -> float:
    """The paper's own difference of mean errors, of the mean of some models less another."""
    means = chhipa2023().errors.mean(axis=1)
    return float(means[list(more)].mean() - means[less])


def _lowest_step_in_paper() -> float:
    """The lowest rise of the mean error from one severity to the next, of all self-supervised models."""
    return float(chhipa2023().by_severity.loc[list(RESNETS)].diff(axis=1).min(axis=None))


def _weather_in_paper() -> float:
    """The lowest of what weather costs more than another of the paper's groups, of all self-supervised models."""
    means = group_means(chhipa2023().errors).loc[list(RESNETS)]
    return float(means.drop(columns="weather").rsub(means["weather"], axis=0).min(axis=None))


# Chhipa et al., arXiv 2308.02525 (ICCV workshops 2023); the questions are numbered as on their poster.
SEVERITY_DEGRADATION = (
    Claim("error-rises",
          "The mean error rises at every step of severity, for every paradigm.", "Q1, Q2", _rises_with_severity,
          every=True, published=_lowest_step_in_paper),
    Claim("weather-is-worst",
          "Weather is the group that hurts every paradigm most.", "Q3", _weather_is_worst, every=True,
          published=_weather_in_paper),
    Claim("snow-dips",
          "Snow hurts less at severity 3 than at 2.", "Q4", _step_to_three("snow", True, present)),
    Claim("elastic-dips",
          "Elastic transforms hurt less at severity 3 than at 2.", "Q4",
          _step_to_three("elastic_transform", True, present)),
    Claim("saturation-dips",
          "Saturation hurts less at severity 3 than at 2.", "Q4", _step_to_three("saturate", True, present)),
    Claim("attention-moves",
          "Attention moves further at severity 5 than at 1, on average over corruptions of each group.", "Q5",
          _attention_moves, margin=ALIKE),
    Claim("transformer-errs-less",
          "A transformer errs less on corrupted images than a convolutional network.", "Q6",
          _transformers_err_less, all_encoders=True, published=lambda: _in_paper(["dino"], "dino_vit")),
    Claim("self-supervised-err-more",
          "Self-supervised encoders err more on corrupted images than the supervised one.", "figure 1",
          _errs_more_than_supervised, published=lambda: _in_paper(RESNETS, "supervised")),
)  # fmt: skip


# What follows from the table of constants for 32 px, and not from a paradigm; and the other side of two claims above.
PREDICTIONS = (
    Claim("supervised-saturation-dips",
          "The supervised encoder's error falls at severity 3 of saturation, too.", "the constants",
          _step_to_three("saturate", True, _supervised)),
    Claim("supervised-snow-dips",
          "The supervised encoder's error falls at severity 3 of snow, too.", "the constants",
          _step_to_three("snow", True, _supervised)),
    Claim("elastic-does-not-dip",
          "No trained encoder's error falls at severity 3 of elastic transforms.", "the constants",
          _step_to_three("elastic_transform", False, _trained), every=True),
    Claim("attention-stays",
          "At severity 5 attention is still nearer to where it was than to that of another image.", "ours",
          _attention_stays, margin=ALIKE),
    Claim("self-supervised-lose-more",
          "At equal clean accuracy self-supervised encoders lose more to corruptions than the supervised one.", "ours",
          _more_robust_than_supervised(-1)),
    Claim("self-supervised-lose-less",
          "At equal clean accuracy self-supervised encoders lose less: they are the more robust ones.", "Zhong et al.",
          _more_robust_than_supervised(1)),
    Claim("transformer-loses-less",
          "At equal clean accuracy a transformer loses less to corruptions, too.", "ours", _transformers_more_robust,
          all_encoders=True),
)  # fmt: skip


CLAIMS = (*SEVERITY_DEGRADATION, *PREDICTIONS, *CONTROLS)  # whose errors are controlled together


PAPER = SEVERITY_DEGRADATION  # what the paper says, in its claims
HEADLINE = Headline(
    "Corruptions",
    "error-rises",
    holds="Averaged over corruptions, every step of severity costs accuracy, whichever way an encoder learns.",
    reversed="Averaged over corruptions, not every step of severity costs accuracy: one way of learning gains at one.",
    no_effect="Averaged over corruptions, a step of severity costs next to nothing, whichever way an encoder learns.",
    undecided="Whether every step of severity costs accuracy, averaged over corruptions, is not decided here.",
)


# What else the page finds, in a plain sentence each: the words that it glues into its text.
FINDINGS = {
    "answer": HEADLINE,
    "labels-words": Headline(
        "Labels",
        "self-supervised-err-more",
        holds="On average, encoders trained without labels err more on corrupted images than the supervised one.",
        reversed="On average, encoders trained without labels err less on corrupted images than the supervised one.",
        no_effect="Encoders trained without labels err about as often on corrupted images as the supervised one.",
        undecided="Whether encoders trained without labels err more than the supervised one is not decided here.",
    ),
    "weather-words": Headline(
        "Groups",
        "weather-is-worst",
        holds="Weather is the group that hurts every paradigm most.",
        reversed="Weather is not the worst group for every paradigm: there is one that another group hurts more.",
        no_effect="Weather hurts every paradigm about as much as the other groups do.",
        undecided="Whether weather is the group that hurts every paradigm most is not decided here.",
    ),
    "robust-words": Headline(
        "Effective robustness",
        "self-supervised-lose-more",
        holds="At equal clean accuracy, encoders trained without labels lose more to corruptions than the supervised "
        "one: they are the less robust ones.",
        reversed="At equal clean accuracy, encoders trained without labels lose less to corruptions than the "
        "supervised one: they are the more robust ones.",
        no_effect="At equal clean accuracy, encoders trained without labels lose about as much to corruptions as the "
        "supervised one.",
        undecided="Whether encoders trained without labels lose more or less to corruptions than the supervised one, "
        "at equal clean accuracy, is not decided here.",
    ),
    "attention-words": Headline(
        "Attention",
        "attention-moves",
        holds="Attention moves further at severity 5 than at severity 1, on average over methods and corruptions.",
        reversed="Attention moves further at severity 1 than at severity 5, on average over methods and corruptions.",
        no_effect="Attention moves about as far at severity 5 as at severity 1.",
        undecided="Whether attention moves further at severity 5 than at severity 1 is not decided here.",
    ),
    "transformer-words": Headline(
        "Architecture",
        "transformer-errs-less",
        holds="Trained by the same recipes, a transformer errs less on corrupted images, on average over methods.",
        reversed="Trained by the same recipes, a transformer errs more on corrupted images, on average over methods.",
        no_effect="Trained by the same recipes, a transformer errs about as often on corrupted images.",
        undecided="Whether a transformer errs less on corrupted images is not decided here.",
    ),
}
