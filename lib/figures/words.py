"""Sentences of the book that are computed from rows, so that no number in the text is typed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.claims import (
    FAILS,
    HOLDS,
    NEAR,
    NOT_TESTED,
    PREDICTIONS,
    READ_OUT,
    SINGLE,
    SIZE,
    TRAINED_FOR,
    UNDECIDED,
    WHITENED,
    above_chance,
    convolutional,
    difference,
    fusion_gaps,
    judge,
    level,
    over_tasks,
    present,
    task_rows,
    trained_with,
    transformers,
)
from lib.figures.severity import summary
from lib.figures.style import spaced, title
from lib.measures import Interval
from lib.measures.corruption_error import ALL, held
from lib.measures.rows import CLEAN
from lib.runs import Results
from lib.shifts.corruptions import CORRUPTIONS, SEVERITIES


def scope(results: Results, dataset: str | None = None) -> str:
    """What the numbers of a page stand on, for captions; of a page with several data sets, those of one of them."""
    records = [record for record in results.records if dataset in (None, record["config"]["dataset"])]
    epochs = max(record["config"]["training"]["epochs"] for record in records)
    return told_scope(results, records, f"{epochs} epochs, ")


def told_scope(results: Results, records: list[dict], length: str) -> str:
    """Preset, data, encoder and seeds of `records`; `length` says how long they were trained, with a comma behind."""
    config, data = records[0]["config"], records[0]["data"]
    seeds = len({record["config"]["seed"] for record in records})
    return (
        f"Preset {results.preset}: {data['source']}, {config['encoder']}, {data['train_images']:,} training images, "
        f"{length}{seeds} {'seed' if seeds == 1 else 'seeds'}."
        + (STALE if _stale(results, {record["config"]["dataset"] for record in records}) else "")
    )


# Which rows these are, and why, is a paragraph of its own: see `lib.figures.stale`.
STALE = " Stale in part, as the top of this page says: of an older protocol or recipe than this code's."


def _stale(results: Results, datasets: set[str]) -> bool:
    """Whether a run on one of `datasets` is stale; where nothing is known of single runs, whether any is."""
    own = [standing.stale for standing in results.standings if standing.config.dataset in datasets]
    return any(own) if results.standings else results.stale


def listed(words: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "none"


def severity_answer(rows: pd.DataFrame) -> dict[str, str]:
    """The words that the severity notebook glues into its text, of the methods whose corruption errors are here."""
    rows = rows[rows["method"].isin(rows.loc[rows["metric"] == "relative error", "method"])]
    methods = present(rows) or list(rows["method"].unique())  # a grid of references alone is described as well
    errors, relative = summary(rows).set_index(["method", "shift", "severity"])["mean"], summary(rows, "relative error")
    relative = relative.set_index(["method", "shift", "severity"])["mean"]
    clean = [errors[method, CLEAN, 0] for method in methods]
    strongest = [errors[method, ALL, SEVERITIES[-1]] for method in methods]
    by_error = sorted(methods, key=lambda method: errors[method, ALL, 0])
    by_loss = sorted(methods, key=lambda method: relative[method, ALL, 0])
    harmless, falling, dipping = _where_error_does_not_rise(rows, methods)
    costs = _cost_at_last_severity(errors, harmless, methods)
    best, steadiest = by_error[0], by_loss[0]
    error, loss = f"{errors[best, ALL, 0]:.1f} %", f"{relative[steadiest, ALL, 0]:.1f} points"
    loses = f"loses least from its own clean error ({loss})"
    return {
        "answer-error": f"Averaged over {len(CORRUPTIONS)} corruptions, the probe's error rises from {span(clean)} on "
        f"clean pictures to {span(strongest)} at severity 5 ({listed([title(method) for method in methods])}).",
        "answer-rank": f"{title(best)} errs least over all severities ({error}) "
        + (f"and also {loses}." if best == steadiest else f"while {title(steadiest)} {loses}."),
        "order-by-error": ", ".join(title(method) for method in by_error),
        "order-by-loss": ", ".join(title(method) for method in by_loss),
        "least-loss": _least_loss(errors, relative),
        "harmless": listed([spaced(name) for name in harmless]),
        "harmless-cost": costs,
        "falling": listed([spaced(name) for name in falling]),
        "dipping": listed([spaced(name) for name in dipping]),
    }


# A glued value that is empty counts as a fault of the page.
NO_TASKS, NO_FUSION = "Nothing can be said of tasks, then.", "These rows hold no encoders side by side."


def invariance_answer(rows: pd.DataFrame) -> dict[str, str]:
    """The words that the notebook on augmentations glues into its text; of a method that has the recipes, and a fusion
    of them if any has."""
    methods = trained_with(rows, *SINGLE, "fusion") or trained_with(rows, *SINGLE)
    if not methods:
        sentence = f"These rows hold no method that was trained with each of the recipes {listed(list(SINGLE))}."
        return {"answer-learnt": sentence, "answer-tasks": NO_TASKS, "answer-fusion": NO_FUSION}
    method = methods[0]
    own = rows[(rows["method"] == method) & (rows["severity"] == 0)]
    means = own.groupby(["metric", "augmentation", "shift"])["value"].mean()

    def kept(recipe: str) -> str:
        values = [means[WHITENED, recipe][list(names)].mean() for names in TRAINED_FOR.values()]
        return listed([f"{value:.0f}" for value in values])

    def read(cause: str) -> str:
        return listed([f"{means[READ_OUT, recipe, cause]:.0f} %" for recipe in ("spatial", "appearance")])

    answer = {
        "answer-learnt": f"Trained on crops and flips alone (spatial), a {title(method)} encoder keeps a whitened "
        "similarity, in hundredths, "
        f"of {kept('spatial')} when pictures are cropped and flipped, and when their colour, light and sharpness "
        f"change; trained on those (appearance), {kept('appearance')}.",
        "answer-tasks": "The hue of an object is read from the first with an R² of "
        f"{read('object_hue').replace(' and ', ', from the second with ')}; its place from left to right with "
        f"{read('x')}: {_who_reads(means)}.",
        "answer-fusion": NO_FUSION,
    }
    if method in trained_with(rows, "fusion"):
        gaps = [gap.mean for _, gap in fusion_gaps(task_rows(rows), method).values()]
        near = sum(gap > -NEAR for gap in gaps)
        answer["answer-fusion"] = (
            f"Three encoders side by side, one a recipe, are at the best of the three, or less than {NEAR:g} point "
            f"below, on {near} of {len(gaps)} tasks."
        )
    return answer


def invariance_causes(rows: pd.DataFrame, scenes: pd.DataFrame) -> dict[str, str]:
    """What the notebook on augmentations says of counting identities, of blur, and of what survives a recipe.

    `scenes` are the rows of encoders that were trained on scenes, with each part of the recipe alone and without it.
    """
    rows = rows[rows["severity"] == 0]
    texts = dict.fromkeys(("identity", "blur", "light", "size"), "The rows of this page do not hold what tells it.")
    whitened = rows[rows["metric"] == WHITENED]
    if methods := trained_with(whitened, "spatial", "appearance", "fusion") or trained_with(
        whitened, "spatial", "appearance"
    ):
        method = methods[0]
        means = whitened[whitened["method"] == method].groupby(["augmentation", "shift"])["value"].mean() / 100
        flip = means["appearance", "h_flip"]
        texts["identity"] = (
            f"The flip that our {title(method)} encoder of the appearance recipe has never seen would be told as "
            f"{(1 + flip) / 2:.2f}, where its similarity is {flip:.2f}."
        )
        texts["blur"] = (
            f"Under blur, which only the appearance recipe has among its changes, {title(method)} keeps "
            f"{means['appearance', 'blur']:.2f} with it and {means['spatial', 'blur']:.2f} with the spatial recipe. A "
            "small crop that is enlarged to the size of the picture is a blurred picture: crops teach blur as well."
        )
        alike = above_chance(rows[rows["method"] == method])
        if {"scenes: light colour", "scenes: light direction"} <= set(alike["shift"]):
            texts["light"] = _two_lights(alike, method)
    if methods := trained_with(rows, "fusion", *SIZE):
        texts["size"] = _gains(over_tasks(rows), methods[0])
    read = scenes[(scenes["metric"] == READ_OUT) & (scenes["severity"] == 0)]
    return texts | {
        "why-hue": _read_by("object_hue", ("default", "no jitter", "any hue"), read)
        + " The recipe's jitter turns hues by at most a tenth of the circle. A likely reason: crops take position and "
        "size away as clues to which picture a view comes from, and a hue that is known to a tenth is the next best "
        "one, so the loss rewards looking at it. Jitter of any angle makes it a poor one.",
        "why-place": _read_by("x", ("appearance", "no crop", "only flip", "only crop"), read)
        + ' "No crop" is the appearance recipe with flips. A flip makes left of right, so an encoder that must not see '
        "it cannot know the side; up and down it leaves alone.",
    }


def _two_lights(alike: pd.DataFrame, method: str) -> str:
    colour, direction = (
        difference(
            alike, *({"shift": f"scenes: light {what}", "augmentation": name} for name in ("appearance", "spatial"))
        )
        for what in ("colour", "direction")
    )
    return (
        f"Light is two things. The appearance recipe less the spatial one, for {title(method)}: {colour} points when "
        f"the colour of the light changes, {direction} when its direction does. The recipe changes colour and strength "
        "all over a picture; a lamp that moves changes where the light falls."
    )


def _gains(means: pd.DataFrame, method: str) -> str:
    """What a fusion, and encoders as large, gain over one encoder of the default recipe; of rows of `over_tasks`."""
    own = means[means["method"] == method]
    gains = [
        f"{name} {difference(own, {'augmentation': name}, {'augmentation': 'default'})}" for name in ("fusion", *SIZE)
    ]
    return (
        f"On average over the {own['tasks'].iloc[0]} tasks, points gained over one {title(method)} encoder of the "
        f"default recipe: {listed(gains)}. What the first has over the others is what different recipes add to size."
    )


def _read_by(cause: str, recipes: Sequence[str], read: pd.DataFrame) -> str:
    """R² of a cause of scenes by recipe: "On scenes, object hue is read by SimCLR with R² (%): default 40, ...."."""
    methods = trained_with(read, *recipes)
    if not methods:
        return "The rows of this page do not hold the recipes that tell why; the small preset does."
    own = read[(read["method"] == methods[0]) & (read["shift"] == cause)].groupby("augmentation")["value"].mean()
    numbers = listed([f"{recipe} {own[recipe]:.0f}" for recipe in recipes])
    return f"R² of {spaced(cause)} in percent, for {title(methods[0])} trained on scenes: {numbers}."


def _who_reads(means: pd.Series) -> str:
    """Whether two tasks want opposite recipes; `means` by metric, augmentation and shift."""
    better = [means[READ_OUT, "spatial", cause] > means[READ_OUT, "appearance", cause] for cause in ("object_hue", "x")]
    if better[0] == better[1]:
        return f"the {'first' if better[0] else 'second'} is the better one for both"
    return "each is the better one for one of them"


VERDICTS = {HOLDS: "holds", FAILS: "fails", UNDECIDED: "is undecided", NOT_TESTED: "is not tested"}


def predictions_answer(rows: pd.DataFrame) -> str:
    """How the three predictions from the table of constants came out."""
    what = ("saturation dips at severity 3", "snow dips there", "elastic transforms do not")
    found = [judge(claim, rows) for claim in PREDICTIONS[:3]]
    parts = [
        f"that {words} {VERDICTS[verdict.verdict]}"
        + (f" ({verdict.contrast}: {verdict.difference} points)" if verdict.difference else "")
        for words, verdict in zip(what, found, strict=True)
    ]
    return f"Of the predictions, {listed(parts)}."


def transformer_answer(rows: pd.DataFrame) -> str:
    """What a transformer loses to corruptions beside a convolutional network, or that none is here."""
    theirs = transformers(rows)
    methods = [name for name in present(theirs, self_supervised=False) if name in set(convolutional(rows)["method"])]
    if not methods:
        return "The rows of this page hold none: the full preset trains one, and so the claim is not tested here."

    def over_all(chosen: pd.DataFrame, method: str, metric: str) -> float:
        own = summary(chosen[chosen["method"] == method], metric)
        return float(own[(own["shift"] == ALL) & (own["severity"] == 0)]["mean"].iloc[0])

    def pairs(metric: str) -> str:
        both = [[over_all(chosen, m, metric) for chosen in (theirs, convolutional(rows))] for m in methods]
        return listed([f"{title(m)} {its:.1f} and {other:.1f}" for m, (its, other) in zip(methods, both, strict=True)])

    return (
        "Its error on corrupted pictures, CE in percent, beside that of the convolutional network: "
        f"{pairs('error')}. What it loses to corruptions, rCE in points, beside what the other loses: "
        f"{pairs('relative error')}."
        + _learnt_beside(theirs, convolutional(rows), methods)
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


def span(values: list[float]) -> str:
    """The range of some percentages in words: "41 to 45 %", or "41 %" where they agree."""
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


def _least_loss(errors: pd.Series, relative: pd.Series) -> str:
    """Who, of all methods, loses least from clean to corrupted pictures, and how much there was to lose."""
    losses = relative.xs((ALL, 0), level=("shift", "severity"))
    method = losses.idxmin()
    return f"{title(method)} ({losses[method]:.1f} points, from a clean error of {errors[method, CLEAN, 0]:.1f} %)"


def _cost_at_last_severity(errors: pd.Series, shifts: list[str], methods: list[str]) -> str:
    """What `shifts` at severity 5 add to the clean error of `methods`, and to the supervised reference's."""

    def cost(method: str) -> float:
        return float(np.mean([errors[method, shift, SEVERITIES[-1]] - errors[method, CLEAN, 0] for shift in shifts]))

    if not shifts:
        return "There is no such corruption in these rows."
    mean = np.mean([cost(method) for method in methods])
    sentence = f"On average they add {mean:.1f} points to the clean error of {listed([title(m) for m in methods])}"
    if "supervised" not in methods and "supervised" in errors.index.get_level_values("method"):
        sentence += f" and {cost('supervised'):.1f} points to that of the supervised reference"
    return sentence + "."


def _where_error_does_not_rise(rows: pd.DataFrame, methods: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Corruptions whose error averaged over `methods` is at severity 5 within the interval of the clean one;
    falls at some step of severity by more than the interval; or falls at some step, but within the interval."""

    def pooled(metric: str) -> pd.DataFrame:
        chosen = rows[rows["method"].isin(methods) & (rows["metric"] == metric)]
        return chosen.groupby(["shift", "severity", "seed"], as_index=False)[["value", "standard_error"]].mean()

    errors, steps = pooled("error"), pooled("error step")
    last = SEVERITIES[-1]

    def loss(shift: str) -> Interval:
        return difference(errors, {"shift": shift, "severity": last}, {"shift": CLEAN, "severity": 0})

    measured = held(rows)
    harmless = [name for name in measured if loss(name).low <= 0]
    found = {name: [level(steps, {"shift": name, "severity": step}) for step in SEVERITIES[1:]] for name in measured}
    falling = [name for name, of_steps in found.items() if any(step.high < 0 for step in of_steps)]
    dipping = [n for n, of_steps in found.items() if n not in falling and any(step.mean < 0 for step in of_steps)]
    return harmless, falling, dipping
