"""The sentences of the chapter on severity, computed from its rows."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.chapters.severity.claims import CLAIMS, FINDINGS
from lib.chapters.severity.distance import monotony_sentence
from lib.chapters.severity.example import error_words
from lib.chapters.severity.raw_pixels import raw_input_sentences
from lib.chapters.severity.rescored import rescored_facts
from lib.contrasts import (
    Contrast,
    Kept,
    convolutional,
    estimates,
    less,
    mean_of,
    method_cell,
    of_cell,
    of_two,
    present,
    transformers,
)
from lib.figures.levels import summary
from lib.figures.prose import UNTOLD, foremost, leaders, led, listed, span
from lib.figures.style import spaced, title
from lib.measures import read_together
from lib.measures.corruption_error import ALL, held
from lib.measures.rows import CLEAN, overall
from lib.shifts.corruptions import CORRUPTIONS, GROUPS, SEVERITIES
from lib.verdicts import HOLDS, NO_EFFECT, NOT_TESTED, REVERSED, UNDECIDED, Verdict, judged

ANSWERS = (
    "answer-error", "answer-rank", "order-by-error", "order-by-loss", "least-loss", "harmless",
    "least-group", "falling", "dipping",
)  # fmt: skip


# Those that the page of details has.
DETAILED = (
    "dipping", "least-loss", "monotony", "transformer", "raw-faded", "raw-paper", "ranking-flip", "stored-clean-error",
    "weather-worst", "weather-worst-in-benchmark", "digital-typo",
)  # fmt: skip


def severity_texts(rows: pd.DataFrame) -> dict[str, str]:
    """All words that the chapter and its details glue into their text, of the rows of all encoders."""
    ours = convolutional(rows)
    return {
        **severity_findings(rows),
        **severity_answer(ours),
        **raw_input_sentences(ours),
        **rescored_facts(),
        "example-error": error_words(ours),
        "monotony": monotony_sentence(ours),
        "transformer": transformer_answer(rows),
    }


def severity_answer(rows: pd.DataFrame) -> dict[str, str]:
    """What the error is and who errs or loses least, of the methods whose corruption errors are here."""
    rows = rows[rows["method"].isin(rows.loc[rows["metric"] == "relative error", "method"])]
    methods = present(rows) or list(rows["method"].unique())  # a grid of references alone is described as well
    if not methods:
        return dict.fromkeys(ANSWERS, UNTOLD)
    errors, relative = (_means(overall(rows), metric) for metric in ("error", "relative error"))
    worst = _means(rows[rows["level"] == SEVERITIES[-1]], "error")
    clean = [errors[method, CLEAN] for method in methods]
    strongest = [worst[method, ALL] for method in methods]
    harmless, falling, dipping = _where_error_does_not_rise(rows, methods)
    return {
        "answer-error": f"Averaged over {len(CORRUPTIONS)} corruptions, the probe is wrong on {span(strongest)} of the "
        f"images at severity 5, and on {span(clean)} of clean ones ({listed([title(method) for method in methods])}).",
        "answer-rank": _ranks(rows, methods, errors, relative),
        "order-by-error": _in_order(rows, methods, "error"),
        "order-by-loss": _in_order(rows, methods, "relative error"),
        "least-loss": _least_loss(rows, errors),
        "harmless": _harmless(
            harmless,
            _cost_at_last_severity(errors, worst, harmless, methods) if harmless else _rises_least(rows, methods),
        ),
        "least-group": _least_group(rows, methods),
        "falling": _falling([spaced(name) for name in falling]),
        "dipping": listed([spaced(name) for name in dipping]),
    }


def _means(rows: pd.DataFrame, metric: str) -> pd.Series:
    """Means over seeds, indexed by (method, shift)."""
    return summary(rows, metric).set_index(["method", "shift"])["mean"]


VERDICTS = {
    HOLDS: "holds", REVERSED: "is reversed", NO_EFFECT: "shows no effect", UNDECIDED: "is undecided",
    NOT_TESTED: "is not tested",
}  # fmt: skip


def predictions_answer(rows: pd.DataFrame) -> str:
    """How the three predictions from the table of constants came out."""
    return _predictions({verdict.claim.name: verdict for verdict in judged(CLAIMS, rows)})


def _predictions(judged_now: Mapping[str, Verdict]) -> str:
    what = {
        "supervised-saturation-dips": "saturation dips at severity 3",
        "supervised-snow-dips": "snow dips there",
        "elastic-does-not-dip": "elastic transforms do not",
    }
    found = {words: judged_now[name] for name, words in what.items()}
    parts = [
        f"that {words} {VERDICTS[verdict.verdict]}"
        + (f" ({verdict.contrast}: {verdict.difference} points)" if verdict.difference else "")
        for words, verdict in found.items()
    ]
    return f"Of the predictions, {listed(parts)}."


def severity_findings(rows: pd.DataFrame) -> dict[str, str]:
    """A plain sentence for each of `FINDINGS`, by what its claim turns out to be beside all of the chapter, and what
    became of the predictions."""
    found = {verdict.claim.name: verdict for verdict in judged(CLAIMS, rows)}
    sentences = {name: finding.told(found[finding.claim].verdict) for name, finding in FINDINGS.items()}
    return sentences | {"predictions": _predictions(found)}


def transformer_answer(rows: pd.DataFrame) -> str:
    """What a transformer loses to corruptions beside a convolutional network, or that none is here."""
    theirs = transformers(rows)
    methods = [name for name in present(theirs, self_supervised=False) if name in set(convolutional(rows)["method"])]
    if not methods:
        return "The rows of this page hold none: the full preset trains one, and so the claim is not tested here."
    if not all((part["metric"] == "relative error").any() for part in (theirs, convolutional(rows))):
        return UNTOLD

    def over_all(chosen: pd.DataFrame, method: str, metric: str) -> float:
        return float(_means(overall(chosen), metric)[method, ALL])

    def pairs(metric: str) -> str:
        both = [[over_all(chosen, m, metric) for chosen in (theirs, convolutional(rows))] for m in methods]
        return listed([f"{title(m)} {its:.1f} and {other:.1f}" for m, (its, other) in zip(methods, both, strict=True)])

    return (
        "Its error on corrupted images, CE in percent, beside that of the convolutional network: "
        f"{pairs('error')}. What it loses to corruptions, rCE in points, beside what the other loses: "
        f"{pairs('relative error')}." + _learnt_beside(theirs, convolutional(rows), methods)
    )


def _learnt_beside(theirs: pd.DataFrame, ours: pd.DataFrame, methods: list[str]) -> str:
    """How far training brought both encoders from their random weights, where these are among the rows."""

    def gain(chosen: pd.DataFrame, method: str) -> float:
        clean = chosen[(chosen["metric"] == "error") & (chosen["shift"] == CLEAN)].groupby("method")["value"].mean()
        return float(clean["random"] - clean[method])

    if "random" not in set(theirs["method"]) & set(ours["method"]):
        return ""
    pairs = [f"{gain(theirs, method):.1f} and {gain(ours, method):.1f} with {title(method)}" for method in methods]
    return (
        f" Training had brought the two below the clean error of random weights by so many points: {listed(pairs)}. A "
        "verdict on architecture alone would need both to be trained equally far."
    )


def _ranks(rows: pd.DataFrame, methods: list[str], errors: pd.Series, relative: pd.Series) -> str:
    """Who errs and who loses least over all corruptions, or which are not told apart."""
    least = {
        metric: leaders({name: of_cell(rows, method_cell(name, ALL, None, metric)) for name in methods}, most=False)
        for metric in ("error", "relative error")
    }
    errs, loses = least["error"], least["relative error"]
    error = listed([f"{errors[name, ALL]:.1f} %" for name in errs])
    loss = listed([f"{relative[name, ALL]:.1f}" for name in loses]) + " points"
    first = led([title(name) for name in errs], "errs", "err")
    if errs == loses and len(errs) == 1:
        return f"{first} least over all severities ({error}) and also loses least from its own clean error ({loss})."
    second = led([title(name) for name in loses], "loses least from its own", "lose least from their own")
    return f"{first} least over all severities ({error}) while {second} clean error ({loss})."


def _in_order(rows: pd.DataFrame, methods: list[str], metric: str) -> str:
    """By means over corruptions, the lowest first; "or" stands between neighbours that are not told apart."""
    contrasts = {name: of_cell(rows, method_cell(name, ALL, None, metric)) for name in methods}
    means = estimates(contrasts)
    order = sorted(methods, key=lambda name: means[name].mean)
    pairs = list(itertools.pairwise(order))
    gaps = read_together(estimates({worse: less(contrasts[worse], contrasts[better]) for better, worse in pairs}))
    told = [f"{', ' if gaps[worse].sign > 0 else ' or '}{title(worse)}" for _, worse in pairs]
    return title(order[0]) + "".join(told)


def _least_loss(rows: pd.DataFrame, errors: pd.Series) -> str:
    """Who, of all methods, loses least from clean to corrupted images, and how much there was to lose."""
    methods = dict.fromkeys(rows.loc[rows["metric"] == "relative error", "method"])
    losses = {name: of_cell(rows, method_cell(name, ALL, None, "relative error")) for name in methods}

    def told(name: str, points: float) -> str:
        return f"{title(name)} ({points:.1f} points, from a clean error of {errors[name, CLEAN]:.1f} %)"

    return foremost(losses, told, most=False)


def _harmless(names: Sequence[str], more: str) -> str:
    begin = "Averaged over the self-supervised methods"
    if not names:
        return f"{begin}, every corruption is shown to raise the error at severity 5 above that of clean images. {more}"
    under = listed([*map(spaced, names)])
    return f"{begin}, the error at severity 5 is not shown to be above that of clean images under {under}. {more}"


def _rises_least(rows: pd.DataFrame, methods: list[str]) -> str:
    """Under which corruption the error averaged over `methods` is at severity 5 nearest to that of clean images."""
    losses = _losses(rows, methods, dict.fromkeys(held(rows), SEVERITIES[-1]))
    least = foremost(losses, lambda name, points: f"{spaced(name)} ({points:.1f} points)", most=False)
    return f"It rises least under {least}."


def _least_group(rows: pd.DataFrame, methods: list[str]) -> str:
    """Which group adds least to the error of `methods`; a reason stands before it in the text, for blur alone."""
    least = leaders(_losses(rows, methods, dict.fromkeys(GROUPS)), most=False)
    reason = "; such views are a likely reason" if least == ["blur"] else ""
    return (
        f"Of the {len(GROUPS)} groups of corruptions, {led(least, 'adds', 'add')} least to the error of these methods "
        f"over all severities{reason}."
    )


def _losses(rows: pd.DataFrame, methods: list[str], levels: Mapping[str, int | None]) -> dict[str, Contrast]:
    """Corruption or group -> what it adds to the clean error, averaged over `methods`, at its level (None: all)."""
    return {
        name: mean_of([of_two(rows, method_cell(m, name, level), method_cell(m, CLEAN, None)) for m in methods])
        for name, level in levels.items()
    }


def _falling(names: list[str]) -> str:
    if not names:
        return "Under no corruption is error shown to fall from one severity to the next."
    alone = " alone" if len(names) == 1 else ""
    return f"Error is shown to fall from one severity to the next under {listed(names)}{alone}."


def _cost_at_last_severity(errors: pd.Series, worst: pd.Series, shifts: list[str], methods: list[str]) -> str:
    """What `shifts` at severity 5 add to the clean error of `methods`, and to the supervised reference's."""

    def cost(method: str) -> float:
        return float(np.mean([worst[method, shift] - errors[method, CLEAN] for shift in shifts]))

    if not shifts:
        return ""
    mean = np.mean([cost(method) for method in methods])
    of = listed([title(method) for method in methods])
    sentence = f"At severity 5 these corruptions add {mean:.1f} points to the clean error of {of}"
    if "supervised" not in methods and "supervised" in errors.index.get_level_values("method"):
        sentence += f" and {cost('supervised'):.1f} points to that of the supervised reference"
    return sentence + "."


def _where_error_does_not_rise(rows: pd.DataFrame, methods: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Corruptions whose error averaged over `methods` is at severity 5 not shown to be above the clean one; is shown to
    fall at some step of severity; or falls at some step, but is not shown to."""
    kept, measured = Kept(), held(rows)
    losses = _losses(rows, methods, dict.fromkeys(measured, SEVERITIES[-1]))
    steps = {
        (name, step): mean_of([of_cell(rows, method_cell(m, name, step, "error step")) for m in methods])
        for name in measured
        for step in SEVERITIES[1:]
    }
    harmless = [name for name, loss in read_together(estimates(losses, kept)).items() if loss.sign <= 0]
    found = read_together(estimates(steps, kept))
    falling = list(dict.fromkeys(name for (name, _), step in found.items() if step.sign < 0))
    lower = dict.fromkeys(name for (name, _), step in found.items() if step.mean < 0)
    return harmless, falling, [name for name in lower if name not in falling]
