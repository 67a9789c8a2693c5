"""The sentences of the chapter on augmentations, computed from its rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from lib.cells import NEAR, WHITENED
from lib.chapters.augmentation.claims import (
    CLAIMS,
    FINDINGS,
    LIGHT,
    READ_OUT,
    SINGLE,
    SIZE,
    TRAINED_FOR,
    above_chance,
    cause_cell,
    fusion_gaps,
    fusion_tally,
    light_apart,
    over_tasks,
    task_rows,
    trained_with,
)
from lib.contrasts import difference, estimates, mean_of, of_two, picked
from lib.figures.prose import UNTOLD, by_verdict, listed, mark
from lib.figures.style import spaced, title
from lib.measures import read_together
from lib.measures.rows import CLEAN
from lib.verdicts import MARGIN, judged

DETAILED = ("identity", "blur", "size")  # the words that the page of details has

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
    own = rows[rows["method"] == method]
    alike = own[own["metric"] == WHITENED].groupby(["augmentation", "shift"])["value"].mean()
    means = {
        cause: picked(own, cause_cell(cause)).groupby("augmentation")["value"].mean() for cause in ("object_hue", "x")
    }

    def kept(recipe: str) -> str:
        values = [alike[recipe][list(names)].mean() for names in TRAINED_FOR.values()]
        return listed([f"{value:.0f}" for value in values])

    def read(cause: str) -> str:
        return listed([f"{means[cause][recipe]:.0f} %" for recipe in ("spatial", "appearance")])

    answer = {"answer-learnt": UNTOLD, "answer-tasks": UNTOLD, "answer-fusion": NO_FUSION}
    if all((recipe, name) in alike for recipe in SINGLE for names in TRAINED_FOR.values() for name in names):
        answer["answer-learnt"] = (
            f"Trained on crops and flips alone (spatial), a {title(method)} encoder keeps a whitened "
            "similarity, in hundredths, "
            f"of {kept('spatial')} when images are cropped and flipped, and when their colour, light and sharpness "
            f"change; trained on those (appearance), {kept('appearance')}."
        )
    if all(set(SINGLE) <= set(found.index) for found in means.values()):
        hue = read("object_hue").replace(" and ", ", from the appearance recipe's with ")
        answer["answer-tasks"] = (
            f"The hue of an object is read from the spatial recipe's features with an R² of {hue}; its place from left "
            f"to right with {read('x')}: {_who_reads(rows, method)}."
        )
    if method in trained_with(rows, "fusion"):
        gaps = fusion_gaps(task_rows(rows), method)
        near, far = fusion_tally(gaps)
        answer["answer-fusion"] = (
            f"Three encoders side by side, one a recipe, are shown to be at the best of the three, or less than "
            f"{NEAR:g} point below, on {near} of {len(gaps)} tasks, and to be farther below on {far}."
        )
    return answer


def invariance_findings(rows: pd.DataFrame) -> dict[str, str]:
    """A plain sentence for each of `FINDINGS`, by what its claim turns out to be beside all of the chapter."""
    found = {verdict.claim.name: verdict.verdict for verdict in judged(CLAIMS, rows)}
    sentences = {name: finding.told(found[finding.claim]) for name, finding in FINDINGS.items()}
    return sentences | _one_light_alone(rows)


def _one_light_alone(rows: pd.DataFrame) -> dict[str, str]:
    """The finding on light where it is shown of its colour and not of its direction, or the other way round, each
    averaged over methods: a mean of both says then what is true of neither."""
    parts = light_apart(rows)
    if not all(parts.values()):
        return {}
    gaps = read_together(estimates({what: mean_of(list(own.values())) for what, own in parts.items()}))
    for what, other in (("colour", "direction"), ("direction", "colour")):
        if gaps[what].sign > 0 > gaps[other].sign:
            told = f"What changes of colour teach carries over to the {what} of light, not to its {other}."
            return {"light-words": told}
    return {}


def invariance_causes(rows: pd.DataFrame, scenes: pd.DataFrame) -> dict[str, str]:
    """What the notebook on augmentations says of counting identities, of blur, and of what survives a recipe.

    `scenes` are the rows of encoders that were trained on scenes, with each part of the recipe alone and without it.
    """
    texts = dict.fromkeys(("identity", "blur", "light", "size"), UNTOLD)
    whitened = rows[rows["metric"] == WHITENED]
    if methods := trained_with(whitened, "spatial", "appearance", "fusion") or trained_with(
        whitened, "spatial", "appearance"
    ):
        method = methods[0]
        means = whitened[whitened["method"] == method].groupby(["augmentation", "shift"])["value"].mean() / 100
        if ("appearance", "h_flip") in means:
            flip = means["appearance", "h_flip"]
            texts["identity"] = (
                f"The flip that our {title(method)} encoder of the appearance recipe has never seen would be told as "
                f"{(1 + flip) / 2:.2f}, where its similarity is {flip:.2f}."
            )
            texts["blur"] = (
                f"Under blur, which only the appearance recipe has among its changes, {title(method)} keeps "
                f"{means['appearance', 'blur']:.2f} with it and {means['spatial', 'blur']:.2f} with the spatial "
                "recipe. A small crop that is enlarged to the size of the image is a blurred image: crops teach "
                "blur as well."
            )
        alike = above_chance(rows)  # of all methods: the variances are pooled over them, as those of the claims are
        if all(len(picked(alike, cell | {"method": method})) for cell in LIGHT.values()):
            texts["light"] = _two_lights(alike, method)
    if methods := trained_with(rows, "fusion", *SIZE):
        texts["size"] = _gains(over_tasks(rows), methods[0])
    read = picked(scenes, {"shift": CLEAN, "metric": READ_OUT})
    return texts | {
        "why-hue": _read_by("object_hue", ("default", "no jitter", "any hue"), read)
        + " The recipe's jitter turns hues by at most a tenth of the circle. A likely reason: crops take position and "
        "size away as clues to which image a view comes from, and a hue that is known to a tenth is the next best "
        "one, so the loss rewards looking at it. Jitter of any angle makes it a poor one.",
        "why-place": _read_by("x", ("appearance", "no crop", "only flip", "only crop"), read)
        + ' "No crop" is the appearance recipe with flips. A flip makes left of right, so an encoder that must not see '
        "it cannot know the side; up and down it leaves alone.",
    }


def _two_lights(alike: pd.DataFrame, method: str) -> str:
    colour, direction = (
        difference(
            alike,
            *(
                LIGHT[f"scenes: light {what}"] | {"method": method, "augmentation": name}
                for name in ("appearance", "spatial")
            ),
        )
        for what in ("colour", "direction")
    )
    return (
        f"Light is two things. The appearance recipe less the spatial one, for {title(method)}: {colour} points when "
        f"the colour of the light changes, {direction} when its direction does. The recipe changes colour and strength "
        "all over an image; a lamp that moves changes where the light falls."
    )


def _gains(means: pd.DataFrame, method: str) -> str:
    """What a fusion, and encoders as large, gain over one encoder of the default recipe; of rows of `over_tasks`."""
    default, *others = ({"method": method, "augmentation": name} for name in ("default", "fusion", *SIZE))
    found = {str(other["augmentation"]): difference(means, other, default) for other in others}
    gains = [f"{name} {gap}{mark(gap)}" for name, gap in found.items()]
    return (
        f"On average over the {means['tasks'].iloc[0]} tasks, points gained over one {title(method)} encoder of the "
        f"default recipe: {listed(gains)}. What the first has over the others is what different recipes add to size."
    )


def _read_by(cause: str, recipes: Sequence[str], read: pd.DataFrame) -> str:
    """R² of a cause of scenes by recipe: "On scenes, object hue is read by SimCLR with R² (%): default 40, ...."."""
    methods = trained_with(read, *recipes)
    if not methods:
        return "The rows of this page do not hold the recipes that tell why; the small preset does."
    own = read[(read["method"] == methods[0]) & (read["subset"] == cause)].groupby("augmentation")["value"].mean()
    numbers = listed([f"{recipe} {own[recipe]:.0f}" for recipe in recipes])
    return f"R² of {spaced(cause)} in percent, for {title(methods[0])} trained on scenes: {numbers}."


def _who_reads(rows: pd.DataFrame, method: str) -> str:
    """Whether hue and place want opposite recipes."""
    recipes = [{"method": method, "augmentation": recipe} for recipe in ("spatial", "appearance")]
    contrasts = {
        words: of_two(rows, *(cause_cell(cause) | own for own in recipes))
        for words, cause in (("hue", "object_hue"), ("place", "x"))
    }
    gaps = read_together(estimates(contrasts))
    signs = [gap.sign for gap in gaps.values()]
    if all(signs):
        both = f"the {'first' if signs[0] > 0 else 'second'} is the better one for both"
        return both if signs[0] == signs[1] else "each is the better one for one of them"
    equal, undecided = f"they differ by no more than {MARGIN:g} points", "they are not told apart"
    words = ("the first is the better one", "the second is the better one", equal, undecided)
    told = {what: by_verdict(gap, *words) for what, gap in gaps.items()}
    if set(told.values()) == {undecided}:
        return "for neither the two are told apart"
    return listed([f"for the {what} {own}" for what, own in told.items()])
