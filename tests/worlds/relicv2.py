"""Made-up rows of the study of ReLICv2: what each system, part and shift adds or costs, in points."""

import pandas as pd
from shorthand import unfolded
from worlds.said import Said

from lib.chapters.relicv2.plan import SYSTEMS as RELICV2
from lib.images.scenes import SHAPES

COLUMNS = ["measure", "shift", "of", "metric", "value", "standard_error", "images", "seed", "system", "dataset"]
MEASURES = {
    name: f"{name}(images=1000)#1"
    for name in ("accuracy", "out_of_distribution", "background_reliance", "segmentation", "out_of_domain")
}
IMAGE_ERROR = 0.5  # over images, in points
SKILL = {  # points above 60
    "random": -35.0, "supervised": 10.0, "supervised same crops": 6.0, "simclr": -2.0, "byol sgd": -6.0, "dino": -9.0,
    "relic": -1.0, "relicv2": 0.0,
}  # fmt: skip


CHANGE = {  # what an ablation or a value of a sweep adds, in points
    "no invariance": -3.0, "no saliency": -1.0, "shuffled": -2.0, "exact": 0.5, "removed 0.6": 1.0,
    "removed 0.6 shuffled": -4.0, "removed 0.6 exact": 2.0, "2+0": -2.5, "unstopped": 0.1, "transpose": -0.2,
    "transpose unstopped": -6.0,
}  # fmt: skip
SHIFTS = {  # points lost
    "scenes": {
        "all": 20,
        "bar": 15,
        "scenes background": 5,
        "scenes light": 12,
        "scenes pose": 8,
        "scenes conflict": 0,
    },
    "cifar10": {"all": 20, "bar": 15, "cifar10-shift": 6},
}
PARTS = {"original": 0, "only foreground": 6, "only background": 40, "same-class background": 2,
         "other-class background": 3}  # points lost  # fmt: skip


def skill(name):
    """Accuracy in domain: a mean over seeds."""
    if name in SKILL:
        return 60 + SKILL[name]
    words = name.removeprefix("relicv2 ")
    return 60 + CHANGE.get(words, 0.1 * len(words))


def extra(name):
    """Points more than that under a shift."""
    return {"relicv2": 3.0, "relic": 1.0}.get(name, 2.0 if name.startswith("relicv2") else 0.0)


def made_up(dataset="scenes", systems=tuple(RELICV2), seeds=(0, 1, 2), offset=lambda seed, name: seed - 1.0,
            error=IMAGE_ERROR):  # fmt: skip
    lines = []

    def add(name, measure, shift, metric, value, scale=1.0, of=0):
        for seed in seeds:
            lines.append((MEASURES[measure], shift, of, metric, value + offset(seed, name), scale * error, 1000, seed,
                          name, dataset))  # fmt: skip

    for name in systems:
        role = RELICV2[name].role
        if dataset == "cifar10" and (role == "sweep" or name.endswith("exact")):
            continue
        add(name, "accuracy", "none", "probe accuracy", skill(name))
        add(name, "accuracy", "none", "knn accuracy", skill(name) - 5)
        add(name, "out_of_distribution", "none", "accuracy", skill(name))
        for shift, lost in SHIFTS[dataset].items():
            add(name, "out_of_distribution", shift, "accuracy", max(skill(name) - lost + extra(name), 12))
            if shift != "cifar10-shift":
                add(name, "out_of_distribution", shift, "accuracy lost", lost - extra(name))
        if role == "sweep":
            continue
        for world, tied in (("scenes", 0), ("tied scenes", 1)):
            for part, lost in PARTS.items():
                value = skill(name) - lost * (1 if tied else 0.6) + 10 * tied * (part == "same-class background")
                add(name, "background_reliance", world, "accuracy",
                    10 if part == "only background" and not tied else max(value, 12), of=part)  # fmt: skip
            add(name, "background_reliance", world, "background gap", tied * (11 - extra(name)), 1.5)
        if role == "ablation":
            continue
        for head, more in (("linear", 0), ("fcn", 8)):
            add(name, "segmentation", "none", f"{head} mIoU", skill(name) / 2 + more)
            for place, shape in enumerate(("background", *SHAPES)):
                value = skill(name) / 2 + more + (40 if not place else place)
                add(name, "segmentation", "none", f"{head} IoU", value, of=shape)
        for place, domain in enumerate(("photo", "art", "cartoon", "sketch")):
            add(name, "out_of_domain", f"pacs-{domain}", "balanced accuracy", max(skill(name) - 10 - 5 * place, 2), 3.0)
    return unfolded(pd.DataFrame(lines, columns=COLUMNS).assign(encoder="resnet10_narrow"))


def quick(seeds=(0, 1)):
    """As the preset has them: no PACS, four systems."""
    rows = made_up(systems=("random", "supervised same crops", "relicv2", "relicv2 no saliency"), seeds=seeds)
    return without(rows, "out_of_domain")


def without(rows, measure):
    return rows[~rows["measure"].str.startswith(f"{measure}(")]


# Sentence: what of it asserts a difference of systems (see test_no_effect.py)
SAID = {
    "ablation-words": Said(r"Shown to"),
    "background-words": Said(r"less that of (?:(?!From walls).)*?\](?! \((?:undecided|no effect))"),
    "answer": Said(r"shown to (help|hurt)|points (ahead|behind)", 2),
    "answer-parts": Said(r"are shown to|(?<!parts) is shown to"), "gap-words": Said(r"(larger|smaller) than"),
    "removal-words": Said(r"removal (helps|hurts)|masks beat|beat learned", 2),
}  # fmt: skip
