"""Made-up rows of the study of negatives: a gain for each unit of alpha, known by hand."""

import numpy as np
import pandas as pd
from shorthand import unfolded
from worlds.said import COUNTED, Said

from lib.chapters.negatives.systems import SYSTEMS as NEGATIVES
from lib.images.sources import CIFAR10_CLASSES

COLUMNS = ["measure", "shift", "of", "metric", "value", "standard_error", "images", "seed", "system", "dataset"]
MEASURES = {  # as their identities are
    name: f"{name}(images=1000)#1"
    for name in ("accuracy", "corruption_error", "natural_shift", "cue_accuracy", "shape_bias", "out_of_domain",
                 "negative_similarity", "crowding")
} | {"robust_accuracy": "robust_accuracy(images=400, epsilons=1 2 4 8, steps=10, restarts=1)#1"}  # fmt: skip
CLASSES = list(CIFAR10_CLASSES)
IMAGE_ERROR = 0.5  # over images, in points
METHOD = {"random": -25.0, "supervised": 15.0, "moco": 0.0, "simclr": 1.0, "byol": -4.0}  # points above 50
SHAPE = {"cue-conflict": 30.0, "scenes conflict": 60.0}


def parts_of(name):
    """Method, negatives, alpha and queue of a system's name, read by hand."""
    words = name.split()
    kind = next((word for word in words if word in ("patch", "texture")), None)
    alpha = float(words[words.index("alpha") + 1]) if "alpha" in words else 2.0
    queue = int(words[words.index("queue") + 1]) if "queue" in words else 1024
    return words[0], kind, alpha if kind else 0.0, queue


def score(name, gain=0.0, clean=50.0):
    """A mean over seeds: `gain` points for each unit of alpha with patches, a fifth of it with textures."""
    method, kind, alpha, queue = parts_of(name)
    longer = 0.5 * np.log2(queue / 1024)
    return clean + METHOD[method] + longer + gain * alpha * {"patch": 1.0, "texture": 0.2, None: 0.0}[kind]


def made_up(systems=tuple(NEGATIVES), seeds=(0, 1, 2), offset=lambda seed, name: seed - 1.0, dataset="cifar10"):
    lines = []

    def add(name, measure, shift, of, metric, value, error=IMAGE_ERROR, images=1000):
        value = max(value, 1.5) if "accuracy" in metric else value  # no seed is right less often than never
        for seed in seeds:
            lines.append((MEASURES[measure], shift, of, metric, value + offset(seed, name), error, images,
                          seed, name, dataset))  # fmt: skip

    for name in systems:
        method, kind, alpha, queue = parts_of(name)
        add(name, "accuracy", "none", 0, "probe accuracy", score(name, -0.5))
        add(name, "accuracy", "none", 0, "knn accuracy", score(name, -0.5) - 5)
        add(name, "corruption_error", "none", 0, "error", 100 - score(name, -0.5))
        for place, shift in enumerate(("all", "noise", "fog")):
            add(name, "corruption_error", shift, 0, "error", 100 - score(name, 1.0, 40 - place))
            add(name, "corruption_error", shift, 5, "error", 99.0)
        for place, domain in enumerate(("photo", "art", "cartoon", "sketch")):
            level = score(name, place - 1.0, 45 - 3 * place)
            add(name, "out_of_domain", f"pacs-{domain}", 0, "balanced accuracy", level, 1.5)
        cues = {"none": 50, "texture": 25, "patch": 27, "silhouette": 20, "edges": 18, "stylised": 30, "recoloured": 44}
        for shift, level in cues.items():
            add(name, "cue_accuracy", shift, 0, "accuracy", score(name, 0.4, level) if method != "random" else 10)
        for pieces, level in ((2, 40), (4, 30), (8, 20)):
            add(name, "cue_accuracy", "patch_shuffle", pieces, "accuracy", score(name, -0.3, level))
        for cut, low, high in ((2, 15, 40), (4, 25, 30), (8, 40, 14)):
            add(name, "cue_accuracy", "low_pass", cut, "accuracy", score(name, 0.3, low + 15))
            add(name, "cue_accuracy", "high_pass", cut, "accuracy", score(name, 0.1, high + 15))
        for place, label in enumerate(CLASSES):
            add(name, "cue_accuracy", "none", label, "accuracy", score(name, 0.2, 40 + 2 * place), 3.0)
            add(name, "cue_accuracy", "texture", label, "accuracy", score(name, -0.5, 12 + 3 * place), 3.0)
        for shift, level in SHAPE.items():
            add(name, "shape_bias", shift, 0, "shape bias", score(name, 1.5, level) - METHOD[method] / 2, 2.0)
            add(name, "shape_bias", shift, 0, "shape decisions", 30.0)
            add(name, "shape_bias", shift, 0, "texture decisions", 40.0)
        for subset, level in (("", 70.0), ("nearest class", 85.0)):  # DSA on SimCLR leaves less of it, on BYOL more
            shift = {"simclr dsa": -10.0, "byol dsa": 5.0}.get(name, 0.0)
            add(name, "crowding", "none", subset or 0, "crowding", level + shift)
        if NEGATIVES[name].role == "sweep":
            continue
        add(name, "natural_shift", "cifar10-shift", 0, "balanced error", 100 - score(name, 0.6, 42))
        for epsilon, level in ((0, 50), (1, 40), (2, 30), (4, 12), (8, 3)):
            add(name, "robust_accuracy", "pgd" if epsilon else "none", epsilon, "accuracy",
                max(score(name, 0.5, level), 1.5))  # fmt: skip
        nearer = {"positive": 60.0, "other": 0.0, "patch": 40.0 - 5 * alpha * (kind == "patch"),
                  "texture": 25.0 - 4 * alpha * (kind == "texture")}  # fmt: skip
        for shift, level in nearer.items():
            level += 20 * (method == "random")
            add(name, "negative_similarity", "none", shift, "query similarity", level)
            for percent in range(5, 100, 5):
                value = level + (percent - 50) / 2
                add(name, "negative_similarity", "none", (shift, percent), "query similarity", value, 0.0)
    return unfolded(pd.DataFrame(lines, columns=COLUMNS))


def quick():
    """As the preset has them: no photographs of elsewhere, four systems, scenes."""
    rows = made_up(("random", "moco", "moco patch", "moco texture"), dataset="scenes")
    return rows[~rows["measure"].str.startswith(("natural", "out_of")) & (rows["shift"] != "cue-conflict")]


def without(rows, measure):
    return rows[~rows["measure"].str.startswith(f"{measure}(")]


# Sentence: what of it asserts a difference of systems (see test_no_effect.py)
SAID = {
    "answer-kinds": Said(r"gains|loses", 2), "answer-shape": Said(r"^The shape bias of MoCo v2 changes"),
    "alpha-words": Said(r"gains|loses", 2), "queue-words": Said(COUNTED), "arms-words": Said(COUNTED),
    "sets-words": Said(r"^(?!.*corruptions.*stylised.*art.*cartoon.*sketch)"),
    "bias-words": Said(r"(more|fewer) errors", 2), "texture-words": Said(r"gains|loses"),
    "cue-words": Said(COUNTED), "attack-words": Said(COUNTED), "dropped-words": Said(r"gains|loses", 4),
    "crowding-words": Said(r"(more|less) crowded"),
}  # fmt: skip
ARMS = ("random", "supervised", "moco", "moco patch", "moco texture", "simclr", "simclr patch", "byol", "byol texture",
        "moco patch alpha 0.5", "moco patch alpha 4", "moco queue 256", "moco patch queue 256", "moco dropped",
        "moco dropped random", "simclr dsa", "byol dsa")  # fmt: skip
