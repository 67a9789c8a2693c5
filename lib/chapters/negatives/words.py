"""Sentences of the notebook on negatives without meaning, computed from rows; none is ever empty.

What is shown to lie on one side of zero is said to be so; of the rest it is said that there is no effect beyond a
margin, where that is shown, and else that it is undecided. Differences of one sentence are read together, see
`lib.measures.read_together`.
"""

from __future__ import annotations

from collections.abc import Iterable

from lib.cells import ALIKE, OUT_OF_DOMAIN, mean_out_of_domain, measured_by
from lib.chapters.negatives.claims import CROWDED, REGULATED, between, of_classes
from lib.chapters.negatives.cues import rho
from lib.chapters.negatives.figures import CONFLICTS, CUE_WORDS, SET_WORDS, WORDS
from lib.chapters.negatives.numbers import (
    CUES,
    IN,
    KINDS,
    PAIRS,
    PLAIN,
    QUEUED,
    SETS,
    SIMILAR,
    TEXTURES,
    alpha_systems,
    attack_gaps,
    attack_levels,
    bias_correlation,
    bias_gaps,
    bias_points,
    class_levels,
    cue_gaps,
    cue_levels,
    family,
    hardness,
    kind_of,
    main_systems,
    queue_gaps,
    set_scores,
    versions,
)
from lib.chapters.negatives.plan import PLAN
from lib.chapters.negatives.published import ge2021
from lib.contrasts import estimates, of_cell, picked
from lib.figures.levels import pair_gaps, paired, tally
from lib.figures.prose import UNTOLD, by_sign, foremost, listed, lower, mark, verb_once
from lib.figures.systems_look import pgd_name
from lib.measures import Estimate, Interval, read_together
from lib.measures.rows import Rows
from lib.verdicts import no_effect

FAR = 5.0  # points: so much more than random weights is learnt


def swept_alpha(rows: Rows) -> bool:
    """Whether there are several alphas to compare."""
    return any(len(own) > 1 for own in alpha_systems(rows).values())


def swept_queue(rows: Rows) -> bool:
    """Whether there are several lengths of the queue to compare."""
    return len({queue for _, queue in queue_gaps(rows)}) > 1


def by_class(rows: Rows) -> bool:
    """Whether there are accuracies of single classes on textures, of encoders that were trained."""
    return len(class_levels(rows)) > 0


def attacked(rows: Rows) -> bool:
    """Whether encoders were attacked."""
    return len(attack_levels(rows)) > 0


def negatives_words(rows: Rows) -> dict[str, str]:
    """The words that the notebook glues into its text."""
    return {
        "answer-kinds": negatives_answer(rows),
        "answer-shape": shape_answer(rows),
        "similarity-words": similarity_words(rows),
        "alpha-words": alpha_words(rows),
        "queue-words": queue_words(rows),
        "arms-words": arms_words(rows),
        "sets-words": sets_words(rows),
        "bias-words": bias_words(rows),
        "texture-words": texture_words(rows),
        "cue-words": cue_words(rows),
    }


def negatives_details(rows: Rows) -> dict[str, str]:
    """The words that the notebook of details glues into its text."""
    return {
        "attack-words": attack_words(rows),
        "dropped-words": dropped_words(rows),
        "crowding-words": crowding_words(rows),
        "published-words": published_words(),
    }


def moved(gap: Interval, where: str) -> str:
    """gains 1.2 [0.4, 2.0] points on clean images"""
    return f"{by_sign(gap, 'gains {} points', 'loses {} points', 'changes by {} points')} {where}{mark(gap)}"


def negatives_answer(rows: Rows) -> str:
    """What patch and texture negatives do, in and out of domain, to the first method that has them: a sentence each."""
    told = []
    for kind in KINDS:
        pairs = [pair for pair in PAIRS if kind_of(pair[0]) == kind]
        sentences = (_both(rows, *pair, f"With {WORDS[kind]} {PLAN.title(pair[1])}") for pair in pairs)
        told.append(next(filter(None, sentences), ""))
    return " ".join(filter(None, told)) or UNTOLD


def shape_answer(rows: Rows) -> str:
    """Whether negatives make MoCo v2 decide more by shape, on each set of conflicts: a sentence."""
    gaps = {key: gap for key, gap in bias_gaps(rows).items() if key[0].startswith("moco ")}
    if not gaps:
        return UNTOLD
    together = read_together(gaps)
    decided = {key: gap for key, gap in together.items() if gap.sign}
    if not decided:
        means = [gap.mean for gap in gaps.values()]
        changes = f"its shape bias changes by {min(means):.1f} to {max(means):.1f} points"
        if all(gap.equal(ALIKE) for gap in together.values()):
            return f"Neither kind makes MoCo v2 decide more by shape or less: {changes}, {no_effect(ALIKE)}."
        return (
            f"Whether either kind makes MoCo v2 decide more by shape is undecided: {changes}, which is not told apart "
            "from zero."
        )
    told = [f"{gap} points with {WORDS[kind_of(arm)]} on {CONFLICTS[name]}" for (arm, name), gap in decided.items()]
    return f"The shape bias of MoCo v2 changes by {listed(told)}."


def _both(rows: Rows, arm: str, other: str, words: str) -> str:
    """What one system has over another on clean images and out of domain, in a sentence that begins with `words`."""
    clean = pair_gaps(set_scores(rows), [(arm, other)], [IN]).get((arm, other, IN))
    outside, sets = out_of_domain_gap(rows, arm, other)
    over = "on one test set" if sets == 1 else f"on average over {sets} test sets"
    gaps = {"on clean images": clean, f"out of domain, {over}": outside}
    told = read_together({where: gap for where, gap in gaps.items() if gap})
    parts = [moved(gap, where) for where, gap in told.items()]
    return f"{words} {verb_once(parts)}." if parts else ""


def out_of_domain_gap(rows: Rows, arm: str, plain: str) -> tuple[Estimate | None, int]:
    """What negatives add out of domain on average, and over how many sets that both have."""
    if not {arm, plain} <= set(rows["system"]):
        return None, 0
    means = mean_out_of_domain(rows, (arm, plain))
    return paired(means, {"system": arm}, {"system": plain}), int(means["sets"].max()) if len(means) else 0


def similarity_words(rows: Rows) -> str:
    """By how much negatives are nearer to the query than another image: before training, and after it."""
    found = read_together(hardness(rows))
    told = []
    for name in SIMILAR:
        kinds = [kind for kind in KINDS if (name, kind) in found]
        when = "before training" if name == "random" else f"after training {_WITH[kind_of(name)]}"
        parts = [f"{_A[kind]} by {found[name, kind]}{mark(found[name, kind], ALIKE)}" for kind in kinds]
        told += [f"{when} {listed(parts)}"] if parts else []
    if not told:
        return UNTOLD
    return f"Nearer to the query than another image, in hundredths of the cosine: {'; '.join(told)}."


_A = {"patch": "a patch negative", "texture": "its texture"}


_WITH = {PLAIN: "without them"} | {kind: f"with {WORDS[kind]}" for kind in KINDS}


def alpha_words(rows: Rows) -> str:
    """What the largest alpha has over the smallest, for each kind of negatives, in and out of domain."""
    told = []
    for kind, systems in alpha_systems(rows).items():
        if len(systems) > 1:
            (least, first), *_, (most, last) = systems.items()
            told.append(_both(rows, last, first, f"From alpha {least:g} to {most:g}, MoCo v2 with {WORDS[kind]}"))
    return " ".join(filter(None, told)) or UNTOLD


def queue_words(rows: Rows) -> str:
    """What patch negatives add with each length of the queue."""
    gaps = queue_gaps(rows)
    told = []
    for name in QUEUED:
        own = [f"{gap} with {queue:,} keys" for (key, queue), gap in gaps.items() if key == name]
        told += [f"on {SET_WORDS[name]} images {listed(own)}"] if own else []
    return f"Patch negatives add to MoCo v2, in points: {'; '.join(told)}. {tally(gaps.values())}" if told else UNTOLD


def arms_words(rows: Rows) -> str:
    """How many differences of methods and test sets are decided, and which."""
    gaps = pair_gaps(set_scores(rows), PAIRS, SETS)
    if not gaps:
        return UNTOLD
    named = {
        f"{PLAN.title(arm)}, on {SET_WORDS.get(name, name)}": gap for (arm, _, name), gap in read_together(gaps).items()
    }
    told = [
        f"{where} zero: {'; '.join(own)}."
        for where, own in (
            ("Above", [f"{words} ({gap})" for words, gap in named.items() if gap.sign > 0]),
            ("Below", [f"{words} ({gap})" for words, gap in named.items() if gap.sign < 0]),
        )
        if own
    ]
    return " ".join([tally(gaps.values()), *told])


def sets_words(rows: Rows) -> str:
    """On which test sets training adds little to random weights, so that differences there say little."""
    scores = set_scores(rows)
    trained = [name for name in main_systems(rows) if name != "random"]
    over = pair_gaps(scores, [(name, "random") for name in trained], tuple(OUT_OF_DOMAIN))
    if not over:
        return UNTOLD
    ahead = read_together({key: gap - FAR for key, gap in over.items()})
    far = {where for (_, _, where), gap in ahead.items() if gap.sign > 0}
    best = {
        name: max(gap.mean for (_, _, where), gap in over.items() if where == name)
        for name in dict.fromkeys(where for _, _, where in over)
    }
    told = [f"{name} (the best is {_ahead(gap)})" for name, gap in best.items() if name not in far]
    if not told:
        return f"On every test set some trained encoder is shown to be {FAR:g} points ahead of random weights."
    return (
        f"On these sets no trained encoder is shown to be {FAR:g} points ahead of random weights, so that a difference "
        f"between two of them says little: {listed(told)}."
    )


def _ahead(gap: float) -> str:
    """How far a system is ahead that is not shown to be `FAR` ahead, though its mean may be."""
    if round(gap, 1) < 0:
        return f"{-gap:.1f} behind"
    return f"{abs(gap):.1f} ahead{f', not shown to be more than {FAR:g}' * (gap > FAR)}"


def bias_words(rows: Rows) -> str:
    """What negatives do to the shape bias of MoCo v2, and whether it goes with robustness."""
    gaps = bias_gaps(rows)
    told = []
    for kind in KINDS:
        own = [f"{gap} on {CONFLICTS[name]}" for (arm, name), gap in gaps.items() if arm == f"moco {kind}"]
        told += [f"{WORDS[kind]} {listed(own)}"] if own else []
    sentences = [f"What is added to the shape bias of MoCo v2, in points: {'; '.join(told)}."] if told else []
    for name, points in bias_points(rows).items():
        if found := bias_correlation(points):
            verdict = "undecided, since variants of one method count once"
            if found.sign:
                verdict = "more errors with more shape" if found.mean > 0 else "fewer errors with more shape"
            sentences.append(f"Rank correlation of shape bias on {CONFLICTS[name]} and corruption error: {rho(found)}, "
                             f"{verdict}.")  # fmt: skip
    return " ".join(sentences) or UNTOLD


def texture_words(rows: Rows) -> str:
    """Which classes are told by their texture alone, and what negatives leave of that."""
    table = class_levels(rows)
    plain = [name for name in family(rows) if name != "random" and name in set(table["system"])]
    if not plain:
        return UNTOLD
    name = next((own for own in plain if own != "supervised" and kind_of(own) == PLAIN), plain[0])
    own = table[(table["system"] == name) & (table["images"] == TEXTURES)]
    chance, cells = 100 / len(own), of_classes(picked(measured_by(rows, "cue_accuracy"), {"shift": "texture"}))
    classes = {label: of_cell(cells, {"system": name, "subset": label}) for label in own["class"]}
    sentence = (
        f"By texture alone {PLAN.title(name)} tells best {foremost(classes, _share)}; worst "
        f"{foremost(classes, _share, most=False)}."
    )
    if own["low"].notna().any():
        sentence += f" Of {len(own)} classes, {(own['low'] > chance).sum()} lie above chance with their whole interval."
    found = pair_gaps(set_scores(rows), PAIRS, [TEXTURES])
    gaps = read_together({arm: gap for (arm, _, _), gap in found.items() if arm in plain})
    told = [f"with {WORDS[kind_of(arm)]} {moved(gap, 'on them')}" for arm, gap in gaps.items()]
    return f"{sentence} Over all classes, {PLAN.title(name)} {listed(told)}." if told else sentence


def cue_words(rows: Rows) -> str:
    """Which version of the test images costs the first method most and least, and how many differ by negatives."""
    table = cue_levels(rows)
    arms = [name for name in family(rows) if name in set(table["system"]) and name not in ("random", "supervised")]
    own = table[table["system"].isin(arms[:1]) & (table["level"] != 1)]
    if own.empty:
        return UNTOLD
    cells = {
        _version(line.version, line.level): {"shift": line.version, "level": line.level or None}
        for line in own.itertuples()
    }
    accuracies = versions(rows)
    read = {name: of_cell(accuracies, cell | {"system": arms[0]}) for name, cell in cells.items()}
    sentence = (
        f"Of {len(own)} versions of the test images, {PLAN.title(arms[0])} reads best {foremost(read, _share)}; worst "
        f"{foremost(read, _share, most=False)}."
    )
    gaps = cue_gaps(rows)
    return f"{sentence} With negatives less without, all methods: {lower(tally(gaps.values()))}" if gaps else sentence


def _share(name: str, percent: float) -> str:
    return f"{name} ({percent:.0f} %)"


def _version(name: str, level: float) -> str:
    return f"{CUE_WORDS[name][0]} at {level:g}" if name in CUES else name


def attack_words(rows: Rows) -> str:
    """What negatives add under the weakest attack, and how many differences are decided."""
    gaps = attack_gaps(rows)
    if not gaps:
        return UNTOLD
    least = min(epsilon for _, epsilon in gaps)
    own = [f"{PLAN.title(arm)} {gap}" for (arm, epsilon), gap in gaps.items() if epsilon == least]
    return (
        f"Under {pgd_name(rows)} at {least:g}/255, negatives add, in points: {'; '.join(own)}. Over all methods and "
        f"radii: {lower(tally(gaps.values()))}"
    )


def dropped_words(rows: Rows) -> str:
    """What fewer false negatives do to MoCo v2, in domain and out of it, and what patches and textures do beside."""
    told = [
        _both(rows, "moco dropped", "moco", "Without likely false negatives MoCo v2"),
        _both(rows, "moco dropped random", "moco", "Without as many negatives at random it"),
        *(_both(rows, f"moco {kind}", "moco dropped", f"Beside the former, with {WORDS[kind]} it") for kind in KINDS),
    ]
    return " ".join(filter(None, told)) or UNTOLD


def crowding_words(rows: Rows) -> str:
    """What DSA does to the crowding of each method that it stands on."""
    pairs = {PLAN.title(plain): (own, plain) for own, plain in REGULATED}
    found = {name: gap for name, pair in pairs.items() for gap in between(rows, [pair], CROWDED).values()}
    told = [
        f"{name} {by_sign(gap, 'is more crowded by {} points', 'is less crowded by {} points', 'differs by {} points')}"
        f"{mark(gap)}"
        for name, gap in read_together(estimates(found)).items()
    ]
    return f"With DSA beside without: {'; '.join(told)}." if told else UNTOLD


def published_words() -> str:
    """Where the paper's table comes from, and what is odd in it."""
    table = ge2021()
    later = int(table["model"].str.endswith("*").sum())
    odd = [f"{line['model']} with {line['queue']:,} keys ({line['note']})" for _, line in _noted(table)]
    return (
        f"Source: the README of the paper's public code; mean and standard deviation of three runs. The first "
        f"{len(table) - later} lines are in the paper's table as well. The {later} with a star came after it, with "
        f"other hyper-parameters. Slips in print, left as they are: {listed(odd)}."
    )


def _noted(table: Rows) -> Iterable[tuple]:
    return table[table["note"] != ""].iterrows()
