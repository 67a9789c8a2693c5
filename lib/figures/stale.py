"""What a page says of its rows: what is of an older protocol or recipe, and what is left out."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence

from IPython.display import HTML

from lib.figures.prose import foundations, listed
from lib.methods import METHODS
from lib.runs import Results
from lib.runs.published import Standing

PARAMETERS = {"warmup_epochs": "warm-up epochs", "learning_rate": "rate"}  # others as they are spelt
SOME = "Some rows of this page are stale or left out. Which, and why"
DIFFERING = ("dataset", "encoder", "augmentation", "differing")  # what else tells runs of one name apart


def standing(results: Results) -> HTML:
    """What all figures of a page stand on, and the sentences of `standing_words`, for the top of a page.

    These are folded, where they name runs, since they are long.
    """
    words, on = (html.escape(own, quote=False) for own in (standing_words(results), foundations(results)))
    told = f"<p>{words}</p>"
    if any(_told(results)):
        told = f'<details class="standing"><summary>{SOME}</summary>{told}</details>'
    return HTML(f'<p class="standing">{on}</p>{told}' if results.records else told)


def standing_words(results: Results) -> str:
    """What is left out of a page and what of it is stale, by name and with the reason; or that all is as it should."""
    sentences = _told(results)
    if not any(sentences):
        return (
            f"Of the {len(results.records)} runs of this page none is left out, and none is stale: this code would "
            "train and measure them so."
        )
    return " ".join(filter(None, sentences))


def _told(results: Results) -> list[str]:
    told = results.standings
    return [_left_out(told), _lacking(told), _older_training(told), _older_measures(told), _older_recipes(told)]


def _left_out(told: Sequence[Standing]) -> str:
    """Runs that are not published at all, and those of another seed that are left out with them."""
    out = [one for one in told if one.left_out]
    never, with_them = ([one for one in out if one.published is there] for there in (False, True))
    if not out:
        return ""
    beside = f" (and with {_them(never)} {_runs(len(with_them))} of other seeds)" if with_them else ""
    return f"{_share(never, told)} not published and left out{beside}: {_names(out, told)}."


def _lacking(told: Sequence[Standing]) -> str:
    """Measures of which runs that are shown have no published rows."""
    shown = [one for one in told if not one.left_out]
    parts = [f"{name} of {who}" for name, who in _by_measure(shown, lambda one: one.lacking)]
    return f"Not published and left out: rows of {listed(parts)}." if parts else ""


def _older_training(told: Sequence[Standing]) -> str:
    older = [one for one in told if one.training]
    if not older:
        return ""
    return (
        f"Stale: {_share(older, told)} trained under an older protocol of the method than this code's: "
        f"{_names(older, told)}."
    )


def _older_measures(told: Sequence[Standing]) -> str:
    parts = [f"{name} of {who}" for name, who in _by_measure(told, lambda one: one.measures)]
    return f"Stale: measured under an older protocol than this code's: {listed(parts)}." if parts else ""


def _older_recipes(told: Sequence[Standing]) -> str:
    older = [one for one in told if one.recipe]
    if not older:
        return ""
    parts = []
    for name in dict.fromkeys(map(_name, older)):
        own, others = ([one for one in told if _name(one) == name and bool(one.recipe) is old] for old in (True, False))
        changes = dict.fromkeys(_then(change) for one in own for change in one.recipe)
        parts.append(f"{_seeds_of(own, others)}{name} ({listed(list(changes))})")
    return f"Stale: {_share(older, told)} trained by an older recipe than this code's: {listed(parts)}."


def _then(change: tuple[str, object, object]) -> str:
    """rate 0.002, now 0.004."""
    name, then, now = change
    values = [f"{value:g}" if isinstance(value, float) else str(value) for value in (then, now)]
    return f"{PARAMETERS.get(name, name.replace('_', ' '))} {values[0]}, now {values[1]}"


def _by_measure(told: Sequence[Standing], measures_of: Callable[[Standing], Sequence[str]]) -> list[tuple[str, str]]:
    """Each measure with the runs that `measures_of` names it for: "every run", or their names."""
    names = dict.fromkeys(name for one in told for name in measures_of(one))
    found = {name: [one for one in told if name in measures_of(one)] for name in names}
    everywhere = len([one for one in told if not one.left_out])
    return [
        (name.replace("_", " "), "every run" if len(ones) == everywhere else _names(ones, told))
        for name, ones in found.items()
    ]


def _names(chosen: Sequence[Standing], told: Sequence[Standing]) -> str:
    """Runs by the names of their methods or systems, and by what else tells them from those that are not chosen; where
    only their seed does, some seeds of these."""
    parts = []
    for name in dict.fromkeys(map(_name, chosen)):
        own = [one for one in chosen if _name(one) == name]
        others = [one for one in told if _name(one) == name and one not in own]
        apart = [
            what for what in DIFFERING
            if {getattr(one.config, what) for one in own}.isdisjoint(getattr(one.config, what) for one in others)
        ]  # fmt: skip
        values = dict.fromkeys(str(getattr(one.config, what)) for what in apart for one in own)
        shown = f"{name} ({listed(list(values))})" if others and values else name
        parts.append(f"{_seeds_of(own, others)}{shown}")
    return _told_apart(parts)


def _seeds_of(chosen: Sequence[Standing], others: Sequence[Standing]) -> str:
    """What stands before a name where runs that differ in nothing but the seed are chosen and not chosen."""
    own, apart = ([[getattr(one.config, what) for what in DIFFERING] for one in runs] for runs in (chosen, others))
    return "some seeds of " if any(values in apart for values in own) else ""


def _told_apart(parts: list[str]) -> str:
    """A list; with semicolons where a name in it has a comma of its own, such as "SimCLR, PGD"."""
    return "; ".join(parts) if any(", " in part.split(" (")[0] for part in parts) else listed(parts)


def _name(one: Standing) -> str:
    return one.title or METHODS[one.config.method].title


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _share(chosen: Sequence[Standing], told: Sequence[Standing]) -> str:
    """3 of 54 runs are."""
    return f"{len(chosen)} of {_runs(len(told))} {'is' if len(chosen) == 1 else 'are'}"


def _them(chosen: Sequence[Standing]) -> str:
    return "it" if len(chosen) == 1 else "them"
