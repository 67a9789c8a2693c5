"""Numbers, lists and scopes as they are written in sentences and captions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from lib.cells import COMPARED
from lib.contrasts import Contrast, Kept, estimates, less
from lib.images.sources import source_in_words
from lib.measures import Interval
from lib.measures.statistics import LEVEL
from lib.runs import Results
from lib.verdicts import HOLDS, MARGIN, NO_EFFECT, REVERSED, UNDECIDED, no_effect, of_gap


def scope(results: Results, dataset: str | None = None) -> str:
    """What the numbers of a page stand on, for captions; of a page with several data sets, those of one of them.

    Short, since it stands below every figure: the rest is `foundations`, at the top of a page.
    """
    records = [record for record in results.records if dataset in (None, record["config"]["dataset"])]
    sets = listed(list(dict.fromkeys(record["config"]["dataset"] for record in records)))
    stale = _stale(results, {record["config"]["dataset"] for record in records})
    return f"Preset {results.preset}: {sets}, {_seeds(records)}{STALE * stale}."


# Which rows these are, and why, is told at the top of a page: see `lib.figures.stale`.
STALE = ", stale in part"


WHOSE = ("dataset", "method", "encoder", "augmentation")  # of a run, whatever its recipe was


def _seeds(records: Sequence[Mapping]) -> str:
    """3 seeds, or where some runs have further ones: 3–12 seeds"""
    seeds: dict[tuple, set] = {}
    for record in records:
        config = record["config"]
        whose = (config["dataset"], name) if (name := record.get("system")) else tuple(map(config.get, WHOSE))
        seeds.setdefault(whose, set()).add(config["seed"])
    least, most = (choose(map(len, seeds.values())) for choose in (min, max))
    return f"{most} seed{'s' * (most != 1)}" if least == most else f"{least}–{most} seeds"


def repeated(rows: pd.DataFrame, words: str) -> str:
    """`words`, which speak of means over seeds, where `rows` have several seeds; of one there is nothing to say."""
    return words if rows["seed"].nunique() > 1 else ""


def foundations(results: Results) -> str:
    """What the numbers of a page stand on, whole: images, encoder, length of training and seeds of each data set."""
    told = []
    for dataset in dict.fromkeys(record["config"]["dataset"] for record in results.records):
        records = [record for record in results.records if record["config"]["dataset"] == dataset]
        data, encoders = records[0]["data"], dict.fromkeys(record["config"]["encoder"] for record in records)
        told.append(
            f"{source_in_words(data['source'])}, {listed(list(encoders))}, {data['train_images']:,} training images, "
            f"{_length(results, records)}, {_seeds(records)}"
        )
    return f"Preset {results.preset}: {'; '.join(told)}."


def _length(results: Results, records: Sequence[Mapping]) -> str:
    """How long `records` were trained: by passes where systems of different kinds are compared, else by epochs."""
    passes = [
        record["passes"] / record["data"]["train_images"]
        for record in records
        if results.systems and results.systems[record["system"]].role in COMPARED and "passes" in record
    ]
    if passes:
        return f"about {sum(passes) / len(passes):.0f} passes of each"
    epochs = max(record["config"]["training"]["epochs"] for record in records)
    return f"{epochs} epoch{'s' * (epochs != 1)}"


def _stale(results: Results, datasets: set[str]) -> bool:
    """Whether a run on one of `datasets` is stale; where nothing is known of single runs, whether any is."""
    own = [standing.stale for standing in results.standings if standing.config.dataset in datasets]
    return any(own) if results.standings else results.stale


# A hyphen before a number and after a space, a bracket or a sign of its own is a minus; that of "PGD-20" is none.
_MINUS = re.compile(r"(?<![\w.,)\]-])-(?=\.?\d)")


def minus(text: str) -> str:
    """The same text with true minus signs: `str` of a number has hyphens.

    >>> minus("PGD-20 takes -4.9 [-13.3, 5.6] points (-1.0), in CIFAR-10 and 2021-12")
    'PGD-20 takes −4.9 [−13.3, 5.6] points (−1.0), in CIFAR-10 and 2021-12'
    """
    return _MINUS.sub("\N{MINUS SIGN}", text)


_INTERVAL = re.compile(r" \[[-−]?[\d.,]*\d(?: %)?, [-−]?[\d.,]*\d(?: %)?\]")


def running(text: str) -> str:
    """A text for reading on: of several intervals it keeps none, since they stand in the figure or table beside it; and
    its minus signs are true ones.

    >>> running("It gains 7.2 [4.4, 10.0] points.")
    'It gains 7.2 [4.4, 10.0] points.'
    >>> running("It gains 7.2 [4.4, 10.0] points on clean images and 0.1 [-0.8, 1.0] under PGD (undecided).")
    'It gains 7.2 points on clean images and 0.1 under PGD (undecided).'
    """
    return minus(_INTERVAL.sub("", text) if len(_INTERVAL.findall(text)) > 1 else text)


def leaders(found: Mapping[str, Contrast], most: bool = True) -> list[str]:
    """Who is the best of `found` (by name), and after it all that are not told apart from it; with `most` False, who
    is the least.

    The one with the highest mean is compared with each other one. It leads alone if all 95 % intervals show it to be
    ahead, that of the runner-up among them; that it was chosen by the same rows costs nothing, since of equal ones the
    first leads the second by as much less often than one of two does (Gutmann and Maymin 1987, Annals of Statistics
    15:456). Else only those are left out that are shown to be behind by Bonferroni's correction for all pairs, of which
    the first and the last would be one.
    """
    kept = Kept()
    signed = {name: contrast if most else -contrast for name, contrast in found.items()}
    means = {name: own.mean for name, own in estimates(signed, kept).items()}
    order = sorted(means, key=lambda name: -means[name])
    gaps = estimates({name: less(signed[order[0]], signed[name]) for name in order[1:]}, kept)
    if all(gap.sign > 0 for gap in gaps.values()):
        return order[:1]
    pairs = len(order) * len(gaps) / 2
    return [order[0], *(name for name in order[1:] if 2 * pairs * gaps[name].above() > 1 - LEVEL)]


def foremost(
    found: Mapping[str, Contrast], named: Callable[[str, float], str], most: bool = True, shown: int = 3
) -> str:
    """The `leaders` in words, each `named` by its mean, and no more than `shown` of those that are not told apart.

    "fog (12)", or "fog (12), snow (12), frost (11) and 4 others, which are not told apart".
    """
    names = leaders(found, most)
    means = estimates({name: found[name] for name in names[:shown]})
    told = [named(name, own.mean) for name, own in means.items()]
    others = len(names) - len(told)
    told += [f"{others} {'other' if others == 1 else 'others'}"] if others else []
    return listed(told) + (", which are not told apart" if len(names) > 1 else "")


def led(names: Sequence[str], alone: str, together: str) -> str:
    """Names of `leaders` and what they do: `alone` of one, and `together` of several, which are not told apart.

    >>> led(["A"], "keeps most", "keep most"), led(["A", "B"], "keeps most", "keep most")
    ('A keeps most', 'A and B, which are not told apart, keep most')
    """
    return f"{names[0]} {alone}" if len(names) == 1 else f"{titled(names)}, which are not told apart, {together}"


def listed(words: list[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else "none"


def titled(titles: Sequence[str]) -> str:
    """`listed`, with semicolons where a title holds a comma.

    >>> titled(["SimCLR", "ACL", "DeACL"]), titled(["SimCLR, free", "ACL", "DeACL"])
    ('SimCLR, ACL and DeACL', 'SimCLR, free; ACL and DeACL')
    """
    if not any("," in title for title in titles):
        return listed(list(titles))
    return " and ".join(filter(None, ("; ".join(titles[:-1]), titles[-1])))


def verb_once(phrases: list[str]) -> str:
    """`listed`, without the verb, which is the first word, where the phrase before has the same.

    >>> verb_once(["gains 2 points here", "gains 3 points there", "changes by 1 point", "changes by 0 points"])
    'gains 2 points here, 3 points there, changes by 1 point and by 0 points'
    """
    verbs = [phrase.partition(" ")[0] for phrase in phrases]
    again = [verb == before for verb, before in zip(verbs, ["", *verbs], strict=False)]
    return listed([phrase.partition(" ")[2] if same else phrase for phrase, same in zip(phrases, again, strict=True)])


def span(values: list[float]) -> str:
    """The range of some percentages in words: "41 to 45 %", or "41 %" where they agree."""
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return f"{low} %" if low == high else f"{low} to {high} %"


UNTOLD = "The runs of this page have not measured this."


NONE = "–"  # in a table, what was not measured


def number(value: float, decimals: int = 0, plus: bool = False) -> str:
    """A number as it is written: with a true minus sign, and with none where it is rounded to zero."""
    rounded = round(float(value), decimals) + 0.0
    return f"{rounded:{'+' if plus else ''}.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def signed(value: float) -> str:
    return number(value, 1, plus=True)


def written(found: Interval, decimals: int = 1) -> str:
    """An interval as its `str`, in the writing of `number`."""
    mean, *ends = (number(value, decimals) for value in (found.mean, found.low, found.high))
    return mean if np.isnan(found.low) else f"{mean} [{', '.join(ends)}]"


def lower(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def mark(gap: Interval, margin: float | None = MARGIN) -> str:
    """What stands behind a difference that is not shown to have a sign, as a table of verdicts has it.

    >>> mark(Interval(2, 1, 3)), mark(Interval(0, -1, 1)), mark(Interval(0, -1, 3))
    ('', ' (no effect beyond ±2)', ' (undecided)')
    """
    return by_verdict(gap, "", "", f" ({no_effect(margin or 0)})", " (undecided)", margin=margin)


def by_verdict(
    gap: Interval, above: str, below: str, equal: str, undecided: str, *, margin: float | None = MARGIN
) -> str:
    """`above` where the whole interval is above zero, `below` where it is below, `equal` where the difference is shown
    to be within the `margin`, and else `undecided`: see `lib.verdicts.of_gap`.

    Each may have a place "{}" for the interval, whose sign is turned in `below`.

    >>> by_verdict(Interval(-2, -3, -1), "ahead by {}", "behind by {}", "equal", "undecided ({})")
    'behind by 2.0 [1.0, 3.0]'
    """
    words = {HOLDS: above, REVERSED: below, NO_EFFECT: equal, UNDECIDED: undecided}[of_gap(gap, margin)]
    return words.format(-gap if gap.sign < 0 else gap)


def by_sign(gap: Interval, above: str, below: str, neither: str) -> str:
    """`above` where the whole interval is above zero, `below` where it is below, and else `neither`, behind which
    stands a `mark`. Each may have a place "{}" as in `by_verdict`.

    >>> by_sign(Interval(-2, -3, -1), "gains {} points", "loses {} points", "changes by {} points")
    'loses 2.0 [1.0, 3.0] points'
    """
    return by_verdict(gap, above, below, neither, neither, margin=None)
