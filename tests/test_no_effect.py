"""Sentences on rows without any effect: how often one asserts a difference that is not there.

Every maker of sentences that compare systems gets rows of the shared worlds in which a cell has one true value for all
systems, and only chance of seeds and images remains. Differences of one sentence are read together, so that it may err
in one world of twenty.
"""

import dataclasses
import re
from collections import Counter

import numpy as np
import pytest
from scipy import stats
from worlds import attacks, methods, negatives, relicv2, severity, tradeoff, transfer

from benchmarks.false_verdicts import without_effect
from lib.chapters.augmentation.arms import spatial_against_appearance
from lib.chapters.augmentation.words import invariance_answer
from lib.chapters.methods.figures import methods_answer
from lib.chapters.negatives import words as negatives_words
from lib.chapters.relicv2.words import parts_answer, relicv2_answer, relicv2_details, relicv2_words
from lib.chapters.severity.words import severity_answer
from lib.chapters.tradeoff.words import tradeoff_answer, tradeoff_details
from lib.measures import is_share

ROUNDS = {"negatives": 3, "relicv2": 3, "severity": 4} | dict.fromkeys(["tradeoff", "attacks", "augmentation"], 4)
ROUNDS |= {"methods": 12}  # worlds a chapter, by what its sentences take
PARTS = ("random", "supervised", "supervised same crops", "simclr", "byol sgd", "relic", "relicv2",
         "relicv2 no invariance", "relicv2 unstopped", "relicv2 no saliency", "relicv2 shuffled", "relicv2 exact",
         "relicv2 2+0")  # fmt: skip


def on_attacks(rows):
    rows = rows.assign(encoder="resnet10_narrow")  # by which verdicts choose
    results = dataclasses.replace(tradeoff.made_up(seeds=(0,)), rows=rows)
    return tradeoff_answer(results) | tradeoff_details(results)


def on_negatives(rows):
    return negatives_words.negatives_words(rows) | negatives_words.negatives_details(rows)


def on_recipes(rows):
    alike = rows[rows["metric"] == "whitened similarity"]
    return invariance_answer(rows) | {"views": spatial_against_appearance(alike, "simclr", str)}


def on_methods(rows):
    return methods_answer(dataclasses.replace(methods.results({"simclr": [1.0]}), rows=rows))


def worlds():
    """Chapter -> rows of a shared world, and its texts."""
    front = tradeoff.made_up().rows
    learners = ("simclr", "byol", "vicreg", "swav", "dino", "moco_v2")
    accuracies = {name: [60.0 + place, 61.0 + place, 62.0 + place] for place, name in enumerate(learners)}
    return {
        "negatives": (negatives.made_up(negatives.ARMS), on_negatives),
        "relicv2": (relicv2.made_up(systems=PARTS),
                    lambda rows: relicv2_words(rows) | relicv2_details(rows)
                    | {"answer": relicv2_answer(rows), "answer-parts": parts_answer(rows)}),
        "severity": (severity.made_up(natural=False), severity_answer),
        "tradeoff": (front[front["metric"] == "accuracy"], on_attacks),
        "attacks": (attacks.made_up(), on_attacks),
        "augmentation": (transfer.made_up(), on_recipes),
        "methods": (methods.results(accuracies, 1.0).rows, on_methods),
    }  # fmt: skip


SAID = {
    "negatives": negatives.SAID, "relicv2": relicv2.SAID, "severity": severity.SAID, "tradeoff": tradeoff.SAID,
    "attacks": attacks.SAID, "augmentation": transfer.SAID, "methods": methods.SAID,
}  # fmt: skip


@pytest.fixture(scope="module")
def found():
    """(chapter, text) -> in how many worlds it asserted something; and one text of each."""
    wrong, texts = Counter(), {}
    for chapter, (world, words) in worlds().items():
        shares = world["metric"].map(is_share)
        for seed in range(ROUNDS[chapter]):
            rows = without_effect(world, np.random.default_rng(seed))
            told = words(rows.assign(value=rows["value"].mask(shares, rows["value"].clip(0.2, 99.8))))
            for name, own in SAID[chapter].items():
                texts[chapter, name] = told[name]
                wrong[chapter, name] += re.search(own.pattern, told[name]) is not None
    return wrong, texts


@pytest.mark.parametrize(("chapter", "name"), [(chapter, name) for chapter, own in SAID.items() for name in own])
def test_a_sentence_errs_no_more_often_than_it_may(found, chapter, name):
    """So many are a matter of chance in one of a thousand tests, if each sentence errs in one world of twenty."""
    wrong, texts = found
    often = stats.binom.ppf(1 - 1e-3, ROUNDS[chapter] * SAID[chapter][name].sentences, 0.05)
    assert wrong[chapter, name] <= often, texts[chapter, name]


def test_all_sentences_together(found):
    wrong, _ = found
    number = sum(ROUNDS[chapter] * said.sentences for chapter, own in SAID.items() for said in own.values())
    assert sum(wrong.values()) <= stats.binom.ppf(1 - 1e-3, number, 0.05)


def surer(rows):
    """The same means, from which seeds and images deviate by a twentieth."""
    cell = [name for name in rows if name not in ("run", "seed", "value", "standard_error", "images")]
    means = rows.groupby(cell, dropna=False)["value"].transform("mean")
    return rows.assign(value=means + (rows["value"] - means) / 20, standard_error=rows["standard_error"] / 20)


# Of four families no correlation is sure; and in this world one step of an attack is no weaker than twenty.
SILENT = {("negatives", "bias-words"), ("attacks", "quirk-words")}


def test_what_is_looked_for_is_said_where_there_is_an_effect():
    """Else a pattern that nothing matches would pass."""
    for chapter, (world, words) in worlds().items():
        told = words(surer(world))
        asserting = {name for name, own in SAID[chapter].items() if re.search(own.pattern, told[name])}
        assert set(SAID[chapter]) - asserting == {name for where, name in SILENT if where == chapter}
