"""The claims of Ghofrani and Jamshidi (arXiv 2501.03507), our controls, the quirks of their public code, and what
others say of distillation and of false negatives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from lib import cells
from lib.cells import AUTO_CELL, CLEAN_CELL, COMPARED, CORRUPTED, PGD_CELL, WEAK_CELL, has, together
from lib.chapters.tradeoff.plan import PLAN, SYSTEMS
from lib.chapters.tradeoff.published import ghofrani2025
from lib.contrasts import Contrasts, of_cell, of_cells, of_two
from lib.controls import constant
from lib.effective import above_the_rest, runs_of
from lib.measures.adversarial_probe import METRIC as BY_ADVERSARIAL_PROBE
from lib.measures.corruption_error import ALL
from lib.measures.rows import CLEAN, overall
from lib.verdicts import Claim, Headline

# Contrasts in words that have the titles of this chapter's systems
between = functools.partial(cells.between, title=PLAN.title)
within = functools.partial(cells.within, title=PLAN.title)

CELLS = {"clean": CLEAN_CELL, "PGD": PGD_CELL, "AutoAttack": AUTO_CELL}


ATTACKED_CELLS = {"PGD": PGD_CELL, "AutoAttack": AUTO_CELL}


WEAKLY = {f"PGD at {WEAK_CELL['level']}/255": WEAK_CELL}


MEAN_ERROR: dict[str, dict[str, object]] = {"corruptions": {**CORRUPTED, "shift": ALL}}


NEARBY = 2  # 255ths: a quarter of the radius of training
NEARBY_CELL = AUTO_CELL | {"level": NEARBY}


DEFENDED = {  # system trained under attack: the same method without
    "simclr pgd": "simclr", "simclr free": "simclr", "acl": "simclr", "deacl": "simclr", "profeat": "simclr",
    "emp crops pgd": "emp crops", "cf-amc-ssl": "emp crops",
    "supervised pgd": "supervised", "supervised free": "supervised", "supervised fgsm": "supervised",
    "trades": "supervised",
}  # fmt: skip


DIM = ("fog", "contrast")  # corruptions that take contrast away


FINE = ("gaussian_noise", "shot_noise", "impulse_noise", "jpeg_compression")  # that add or take what is fine


def _ahead(*pairs: tuple[str, str], cells: dict[str, dict[str, object]] = CELLS) -> Callable[[pd.DataFrame], Contrasts]:
    return lambda rows: between(rows, pairs, cells)


def defended(rows: pd.DataFrame) -> list[str]:
    """The systems in `rows` that were trained under attack, variants of them left out, in the order of the table."""
    held = set(rows["system"])
    return [name for name, system in SYSTEMS.items() if name in held and system.attack and system.role in COMPARED]


def _costs_clean(rows: pd.DataFrame) -> Contrasts:
    return between(rows, [(plain, robust) for robust, plain in DEFENDED.items()], {"clean": CLEAN_CELL})


def _above_constant(cells: dict[str, dict[str, object]]) -> Callable[[pd.DataFrame], Contrasts]:
    """What each defended system keeps under attack above what a constant answer keeps: one class for every image, which
    no attack changes. Nothing of data whose classes are not known."""

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        kept = constant(rows)
        return {
            f"{words}, {PLAN.title(name)} less a constant answer": of_cell(rows, cell | {"system": name}) - kept
            for name in defended(rows)
            for words, cell in cells.items()
            if kept is not None and has(rows, name, cell)
        }

    return contrasts


def _no_masking(rows: pd.DataFrame) -> Contrasts:
    square = PGD_CELL | {"shift": "square"}
    return within(rows, defended(rows), square, PGD_CELL, "Square less PGD")


def _probe_beats_aggregation(clean: bool, shift: str = "pgd per view") -> Callable[[pd.DataFrame], Contrasts]:
    def contrasts(rows: pd.DataFrame) -> Contrasts:
        own = CLEAN_CELL if clean else PGD_CELL
        other = CLEAN_CELL if clean else PGD_CELL | {"shift": shift}
        found = {}
        for kind in ("crops", "patches"):
            cell = other | {"metric": f"accuracy of aggregated {kind}"}
            found |= within(rows, ("cf-amc-ssl", "emp crops pgd"), own, cell, f"probe less aggregated {kind}")
        return found

    return contrasts


def _corruption(shifts: Sequence[str], worse: bool) -> Callable[[pd.DataFrame], Contrasts]:
    """How much higher defended encoders lie above the line of all others than their undefended twins, or lower.

    The line goes from clean accuracy to that on corrupted images; defended encoders start lower and have less to lose.
    """

    def contrasts(rows: pd.DataFrame) -> Contrasts:
        found = {}
        clean = CORRUPTED | {"shift": CLEAN, "level_unit": ""}
        for shift in shifts:
            runs = runs_of(overall(rows), clean, CORRUPTED | {"shift": shift})
            for robust, plain in DEFENDED.items():
                more, less = (plain, robust) if worse else (robust, plain)
                gap = above_the_rest(runs, {"system": more}, {"system": less})
                if gap:
                    found[f"{shift.replace('_', ' ')}, {PLAN.title(more)} less {PLAN.title(less)}"] = gap
        return found

    return contrasts


CLOSED = 0.68  # of the gap to a supervised encoder, at best: the abstract of Gupta et al., arXiv 2207.10862
GAINED = 5.0  # on average in adversarial training, "about 5%" there, which we read as points of robust accuracy


def _closes_the_gap(rows: pd.DataFrame) -> Contrasts:
    """The gap of SimCLR to supervised encoders, and what dropping gains less `CLOSED` of it: without the one the other
    says nothing."""
    (attack,), (cell,) = WEAKLY, WEAKLY.values()
    dropped, plain, supervised = names = "simclr dropped", "simclr", "supervised"
    if not all(has(rows, name, cell) for name in names):
        return {}
    weights = {dropped: 1.0, plain: CLOSED - 1, supervised: -CLOSED}
    return {
        f"{attack}, {PLAN.title(supervised)} less {PLAN.title(plain)}": of_two(
            rows, cell | {"system": supervised}, cell | {"system": plain}
        ),
        f"{attack}, what is gained less {100 * CLOSED:g} % of that": of_cells(
            rows, [(weight, cell | {"system": name}) for name, weight in weights.items()]
        ),
    }


def _fewer_errors(more: str, *others: str) -> Callable[[pd.DataFrame], Contrasts]:
    """How many more errors on corrupted images each of `others` makes."""
    return lambda rows: together(*(between(rows, [(other, more)], MEAN_ERROR) for other in others))


_ITS = {  # system: its name in the paper's table
    "emp crops pgd": "Crop-based EMP-SSL", "emp patches pgd": "Patch-based EMP-SSL", "simclr pgd": "Crop-based SimCLR",
    "emp patches free": "Patch-based EMP-FreeAdv", "simclr free": "Crop-based SimCLR-FreeAdv",
    "cf-amc-ssl": "Crop-based EMP-FreeAdv (CF-AMC-SSL)",
}  # fmt: skip


def _in_paper(*pairs: tuple[str, str], every: bool = False) -> Callable[[], float]:
    """The paper's own differences, clean and under PGD at 8/255: their mean, or of `every` one the lowest."""

    def effect() -> float:
        table = ghofrani2025()[["clean", "pgd8"]]
        gaps = np.array([table.loc[_ITS[more]] - table.loc[_ITS[less]] for more, less in pairs])
        return float(gaps.min() if every else gaps.mean())

    return effect


CROPS = (("emp crops pgd", "emp patches pgd"), ("cf-amc-ssl", "emp patches free"))


_SIMCLR = (("emp crops pgd", "simclr pgd"), ("cf-amc-ssl", "simclr free"))


_PASSES = (("cf-amc-ssl", "emp crops pgd"), ("cf-amc-ssl", "simclr pgd"))


# Ghofrani and Jamshidi, arXiv 2501.03507.
ACCURACY_ROBUSTNESS = (
    Claim("crops-beat-patches",
          "Crops of all sizes beat patches of one size, clean and under attack.", "their table",
          _ahead(*CROPS), every=True, published=_in_paper(*CROPS, every=True)),
    Claim("ahead-of-simclr",
          "At equal passes, and so in fewer epochs, robust EMP-SSL with crops is ahead of robust SimCLR.", "abstract",
          _ahead(*_SIMCLR), published=_in_paper(*_SIMCLR)),
    Claim("probe-beats-aggregation-clean",
          "The standard probe beats aggregation on clean images.", "abstract", _probe_beats_aggregation(True)),
    Claim("probe-beats-aggregation-attacked",
          "The standard probe beats aggregation under their attack, of every view by itself.", "abstract",
          _probe_beats_aggregation(False)),
    Claim("ahead-at-equal-passes",
          "CF-AMC-SSL beats PGD training at equal passes, clean and under attack.", "their table",
          _ahead(*_PASSES), every=True, published=_in_paper(*_PASSES, every=True)),
    Claim("ahead-at-equal-updates",
          "CF-AMC-SSL beats PGD training at equal updates, which costs six times its passes.", "their table",
          _ahead(("cf-amc-ssl", "emp crops pgd long"), ("cf-amc-ssl", "simclr pgd long")),
          published=_in_paper(*_PASSES)),  # their PGD training has about as many updates
    Claim("more-crops",
          "More crops are better at equal passes: sixteen beat two, clean and under attack.", "abstract",
          _ahead(("cf-amc-ssl 16 views", "cf-amc-ssl 2 views")), every=True),
)  # fmt: skip


# What has to hold for the numbers above to mean anything, and what follows from others' work.
ROBUSTNESS_CONTROLS = (
    Claim("buys-robustness",
          "Training under attack buys robustness: every system beats its twin without attack.", "ours",
          lambda rows: between(rows, list(DEFENDED.items()), ATTACKED_CELLS), every=True),
    Claim("above-constant",
          "What it leaves under attack is more than a constant answer keeps, which no attack changes.", "ours",
          _above_constant(ATTACKED_CELLS)),
    Claim("above-constant-nearby",
          f"Within {NEARBY}/255, a quarter of the radius of training, what it leaves under AutoAttack is more than a "
          "constant answer keeps.", "ours", _above_constant({f"AutoAttack at {NEARBY}/255": NEARBY_CELL})),
    Claim("costs-clean",
          "It costs clean accuracy.", "Tsipras et al.", _costs_clean),
    Claim("no-masking",
          "No gradients are hidden: Square Attack, which sees none, leaves more than PGD does.", "ours", _no_masking,
          every=True),
    Claim("aggregation-no-refuge",
          "Aggregation is no refuge: an adversary who knows the crops leaves no more than the standard probe.", "ours",
          _probe_beats_aggregation(False, "pgd through known crops")),
    Claim("adversarial-probe",
          "A probe that was trained under attack is more robust than a standard one.", "RobustSSL",
          lambda rows: within(rows, defended(rows), PGD_CELL | {"metric": BY_ADVERSARIAL_PROBE}, PGD_CELL,
                              "adversarial less standard probe")),
    Claim("costs-low-contrast",
          "Adversarial training costs robustness: at equal clean accuracy more is lost to fog and low contrast.",
          "RobustBench", _corruption(DIM, True)),
    Claim("buys-noise",
          "It buys robustness: at equal clean accuracy less is lost to noise and compression.", "ours",
          _corruption(FINE, False)),
)  # fmt: skip


# The public code's quirks, each against the same system without.
QUIRKS = (
    Claim("attack-mode",
          "PGD training of EMP-SSL needs an attack that sees batch norm as the encoder will be used, not as in "
          "training.", "ours", _ahead(("emp crops pgd long", "emp crops pgd batch"), cells=ATTACKED_CELLS)),
    Claim("summed-gradients",
          "PGD training with summed gradients is behind PGD training with clean ones, both attacked in training mode.",
          "public code", _ahead(("emp crops pgd batch", "emp crops pgd summed"))),
    Claim("cyclic-schedule",
          "Free training gains by the schedule that its replays made cyclic.", "public code",
          _ahead(("cf-amc-ssl cyclic", "cf-amc-ssl"))),
    Claim("two-steps-flatter",
          "Two steps of an attack flatter: less is left after many.", "public code",
          lambda rows: within(rows, defended(rows), PGD_CELL | {"shift": "pgd-2"}, PGD_CELL, "PGD-2 less PGD")),
)  # fmt: skip


# Of papers on the same question: distillation through a projector (arXiv 2406.05796), whose abstract is significantly
# ahead of DeACL and at least on par with TRADES, and contrast without false negatives (arXiv 2207.10862). The latter
# speaks of encoders that were trained without an adversary as well, and of other corruptions.
NEIGHBOURS = (
    Claim("profeat-beats-deacl",
          "ProFeAT beats DeACL at equal passes, clean and under attack.", "Addepalli et al.",
          _ahead(("profeat", "deacl")), every=True),
    Claim("profeat-beats-trades",
          "ProFeAT, which needs no labels, is ahead of TRADES, which has them, at equal passes of what learns under "
          "attack.", "Addepalli et al.", _ahead(("profeat", "trades"))),
    Claim("dropped-buy-robustness",
          "SimCLR keeps more under a weak adversary if likely false negatives are dropped.", "Gupta et al.",
          _ahead(("simclr dropped", "simclr"), cells=WEAKLY)),
    Claim("dropped-beat-chance",
          "It keeps more than if as many negatives are dropped at random.", "ours",
          _ahead(("simclr dropped", "simclr dropped random"), cells=WEAKLY)),
    Claim("same-class-buys-robustness",
          "It keeps more if labels say which negatives are of the same class: the most that detection could bring.",
          "ours", _ahead(("simclr dropped labelled", "simclr"), cells=WEAKLY)),
    Claim("dropped-close-the-gap",
          "Supervised encoders keep more under a weak adversary than SimCLR, and to drop likely false negatives closes "
          f"{100 * CLOSED:g} % of that gap or more, as much as their abstract says at best.", "Gupta et al.",
          _closes_the_gap, every=True, margin=None),
    Claim("dropped-buy-corruptions",
          "Without likely false negatives SimCLR errs less on corrupted images than with all negatives, and than "
          "without as many random ones.", "Gupta et al.",
          _fewer_errors("simclr dropped", "simclr", "simclr dropped random"), every=True),
    Claim("dropped-buy-robustness-attacked",
          "SimCLR that is trained under attack is more robust if likely false negatives are dropped.", "Gupta et al.",
          _ahead(("simclr dropped pgd", "simclr pgd"), cells=ATTACKED_CELLS), published=lambda: GAINED),
    Claim("dropped-attacked-beat-chance",
          "It is more robust than if as many negatives are dropped at random.", "ours",
          _ahead(("simclr dropped pgd", "simclr dropped random pgd"), cells=ATTACKED_CELLS)),
)  # fmt: skip


CLAIMS = (*ACCURACY_ROBUSTNESS, *ROBUSTNESS_CONTROLS, *QUIRKS, *NEIGHBOURS)  # whose errors are controlled together


PAPER = ACCURACY_ROBUSTNESS  # what the paper says, in its claims
HEADLINE = Headline(
    "Adversaries",
    "above-constant",
    holds="Training under attack beats giving every image the same answer, if pixels may change by 8/255.",
    reversed="Training under attack does worse than giving every image the same answer, if pixels may change by 8/255.",
    no_effect="Training under attack is about as good as giving every image the same answer, if pixels may change by "
    "8/255.",
    undecided="Training under attack is not shown to beat giving every image the same answer, if pixels may change by "
    "8/255.",
)
