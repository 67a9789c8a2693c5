"""Made-up rows of systems under attack, all means over seeds by hand."""

import pandas as pd
from shorthand import unfolded
from worlds.said import Said

from lib.shifts.transforms import TRANSFORMS

COLUMNS = ["measure", "shift", "of", "metric", "value", "standard_error", "images", "seed", "system"]
ROBUST = "robust_accuracy(images=500, epsilons=2 8, steps=20, restarts=2)#1.1"
AUTO = "auto_attack_accuracy(images=200, epsilon=8)#1.1"
OFFSETS = (-1.0, 0.0, 1.0)  # of the three seeds: their mean adds nothing
SEED_ERROR, IMAGE_ERROR = 1.0, 2.0  # the standard deviation of OFFSETS, and over images

# Of each system: clean, pgd 8, and what stands under the others; all means over seeds, by hand.
STRONG = {  # system: clean, pgd-2, fgsm, pgd, apgd, clean on AutoAttack's images, autoattack, square
    "simclr": (70.0, 5.0, 4.0, 2.0, 2.0, 72.0, 1.5, 9.0),
    "simclr pgd": (50.0, 36.0, 33.0, 30.0, 29.5, 54.0, 32.0, 35.0),
    "emp crops pgd": (60.0, 44.0, 42.0, 40.0, 39.0, 61.0, 38.0, 43.0),
    "cf-amc-ssl": (62.0, 43.0, 41.0, 37.0, 36.0, 66.0, 40.0, 36.0),
    "deacl": (66.0, 49.0, 48.0, 45.0, 44.0, 69.0, 46.0, 47.0),
    "emp crops pgd summed": (57.0, 41.0, 40.0, 38.0, 37.0, 60.0, 35.0, 42.0),
    "cf-amc-ssl cyclic": (64.0, 42.0, 40.0, 36.0, 35.0, 67.0, 38.0, 39.0),
    "emp crops pgd long": (63.0, 45.0, 43.0, 42.0, 41.0, 65.0, 40.0, 44.0),
    "emp crops pgd batch": (60.0, 44.0, 42.0, 40.0, 39.0, 61.0, 38.0, 43.0),
    "simclr pgd long": (50.0, 36.0, 33.0, 30.0, 29.5, 54.0, 32.0, 35.0),
    "simclr pgd same view": (52.0, 35.0, 32.0, 27.0, 26.5, 55.0, 28.0, 33.0),
    "cf-amc-ssl 2 views": (40.0, 21.0, 21.0, 20.0, 20.0, 40.0, 20.0, 20.0),
}
SHOWN = ("simclr pgd", "emp crops pgd", "cf-amc-ssl", "deacl")  # compared, and trained under attack
HEADS = {"emp crops pgd": (58.0, 36.0), "cf-amc-ssl": (61.0, 37.0)}  # clean, attacked
ADVERSARIAL = {"simclr": (66.0, 6.0), "simclr pgd": (49.0, 33.0), "emp crops pgd": (57.0, 42.0),
               "cf-amc-ssl": (60.0, 39.0), "deacl": (62.0, 46.0)}  # fmt: skip
AGGREGATED = {  # clean, per view, through crops
    ("emp crops pgd", "crops"): (63.0, 30.0, 41.0),
    ("emp crops pgd", "patches"): (55.0, 25.0, 33.0),
    ("cf-amc-ssl", "crops"): (64.0, 28.0, 36.0),
}


def made_up():
    lines = []

    def add(system, measure, shift, severity, metric, value, images=500):
        for seed, offset in enumerate(OFFSETS):
            lines.append((measure, shift, severity, metric, value + offset, IMAGE_ERROR, images, seed, system))

    for system, (clean, pgd2, fgsm, pgd, apgd, clean_its, auto, square) in STRONG.items():
        add(system, ROBUST, "none", 0, "accuracy", clean)
        others = {"pgd-2": pgd2, "fgsm": fgsm, "pgd": pgd, "apgd": apgd, "square": square}
        for shift, value in others.items():
            add(system, ROBUST, shift, 8, "accuracy", value)
        add(system, ROBUST, "pgd", 4, "accuracy", pgd + 10)
        add(system, ROBUST, "pgd", 8, "similarity", 80.0)
        add(system, ROBUST, "none", 0, "similarity chance", 30.0 + clean / 10)
        add(system, AUTO, "none", 0, "accuracy on its images", clean_its, 200)
        add(system, AUTO, "autoattack", 8, "accuracy", auto, 200)
    for system, (clean, attacked) in HEADS.items():
        add(system, ROBUST, "none", 0, "accuracy of the head", clean)
        add(system, ROBUST, "pgd", 8, "accuracy of the head", attacked)
    for system, (clean, attacked) in ADVERSARIAL.items():
        add(system, "adversarial_probe()", "none", 0, "accuracy of the adversarial probe", clean)
        add(system, "adversarial_probe()", "pgd", 8, "accuracy of the adversarial probe", attacked)
        add(system, "corruption_error()", "none", 0, "error", 100 - clean)
        for shift, value in {"all": 41.0, "fog": 50.0, "contrast": 60.0, "gaussian_noise": 35.0}.items():
            add(system, "corruption_error()", shift, 0, "error", value)
            add(system, "corruption_error()", shift, 3, "error", 99.0)
        for place, name in enumerate(TRANSFORMS):
            add(system, "synthetic_invariance()", name, 0, "whitened similarity", 10.0 + 4 * place)
        add(system, "synthetic_invariance()", "none", 0, "whitened similarity", 0.0)
    for (system, crops), values in AGGREGATED.items():
        for shift, value in zip(("none", "pgd per view", "pgd through crops"), values, strict=True):
            add(system, "", shift, 0 if shift == "none" else 8, f"accuracy of aggregated {crops}", value, 128)
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


# Sentence: what of it asserts a difference of systems (see test_no_effect.py)
SAID = {
    "answer-best": Said(r"keeps most|is the best", 2), "answer-without": Said(r"attack (costs|gains) \d"),
    "quirk-words": Said(r"better than twenty"),
    "corruption-words": Said(r"(costs|saves) -?\d|most under \S+ \([^)]*\);", 2),
}  # fmt: skip
