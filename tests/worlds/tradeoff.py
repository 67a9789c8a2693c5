"""Made-up results of the study of attacks: records and rows of systems whose accuracies are known."""

import pandas as pd
from shorthand import unfolded
from worlds.said import Said

from lib.chapters.tradeoff.plan import PLAN, SYSTEMS
from lib.runs import Results
from lib.runs.plan import configs_of_systems, systems_of

EPSILONS = (1, 2, 4, 8, 16, 32)
IMAGES = 5_000


# Clean accuracy, that under PGD at 8/255, and that under AutoAttack, of the systems that a front is worked out for.
KNOWN = {
    "random": (28, 1, 1), "simclr": (52, 2, 1), "simclr pgd": (40, 15, 12), "simclr free": (42, 13, 11),
    "emp crops": (50, 1, 1), "emp patches pgd": (38, 14, 11), "emp crops pgd": (41, 16, 13),
    "emp patches free": (36, 17, 14), "cf-amc-ssl": (44, 18, 13), "acl": (43, 20, 16), "deacl": (45, 17, 15),
    "profeat": (43, 19, 15),
    "supervised": (64, 1, 1), "supervised pgd": (55, 26, 24), "supervised free": (57, 24, 21),
    "supervised fgsm": (54, 25, 20), "trades": (53, 27, 25),
}  # fmt: skip


def passes_of(config):
    """Views forward and backward of an image in an epoch, written out."""
    pairs = {"simclr": 2, "acl": 2, "false_negatives": 2}
    views = config.settings.views if config.method == "emp_ssl" else pairs.get(config.method, 1)
    if config.method in ("acl", "deacl", "profeat", "trades"):
        return 2 * views + 5 * views
    kind = config.attack.kind if config.attack else None
    return views * {None: 1, "pgd": 6, "free": 3, "fgsm": 2}[kind]


def made_up(preset="small", seeds=(0, 1, 2), systems=None, attacks=("pgd", "autoattack"), epsilons=EPSILONS):
    """Known means of at least 1: seeds lie at -1, 0 and 1 points around them."""
    systems = systems_of(PLAN, preset) if systems is None else systems
    records, lines = [], []
    for (name, seed), config in configs_of_systems(PLAN, preset, systems, seeds).items():
        record = {"key": f"{name} {seed}", "config": config.to_dict(), "system": name, "seconds": 100.0 + seed,
                  "data": {"train_images": IMAGES}, "device": "cpu"}  # fmt: skip
        batch, epochs = config.training.batch_size, config.training.epochs
        if config.method != "random":
            batches = epochs * (IMAGES // batch)
            record["updates"] = batches * (3 if config.attack and config.attack.kind == "free" else 1)
            record["passes"] = batches * batch * passes_of(config)
        if config.attack:
            record["monitored"] = [
                {"epoch": epoch, "seconds": 1.0, "accuracy": 30.0 + epoch + seed, "fgsm accuracy": 20.0 + epoch,
                 "pgd accuracy": 18.0 + epoch - seed}
                for epoch in range(1, epochs + 1)
            ]  # fmt: skip
        records.append(record)
        place = list(SYSTEMS).index(name)
        clean, robust, hardest = KNOWN.get(name, (39 + place / 10, 12 + place / 10, 9))
        # A line through the two known accuracies, and flat beyond: no seed is below nothing.
        along = {e: max(robust * 8 / e, 1.0) if e > 8 else clean + (robust - clean) * e / 8 for e in epsilons}
        cells = [("none", 0, clean, 500), *(("pgd", e, value, 500) for e, value in along.items())]
        cells += [("autoattack", 8, hardest, 200)]
        for shift, severity, mean, images in cells:
            if shift in ("none", *attacks):
                measure = "robust_accuracy(images=500, epsilons=1 8, steps=20, restarts=2)#1"
                lines.append((record["key"], measure, shift, severity, "accuracy", mean + seed - 1, 0.5, images,
                              name, config.method, seed, "cifar10"))  # fmt: skip
            lines.append((record["key"], "other()", shift, severity, "similarity", 99.0, 0.5, images, name,
                          config.method, seed, "cifar10"))  # fmt: skip
    columns = ["run", "measure", "shift", "of", "metric", "value", "standard_error", "images", "system", "method",
               "seed", "dataset"]  # fmt: skip
    return Results(records, unfolded(pd.DataFrame(lines, columns=columns)), preset, False, systems=SYSTEMS)


# Sentence: what of it asserts a difference of systems (see test_no_effect.py)
SAID = {
    "answer-best": Said(r"keeps most|is the best", 2), "answer-without": Said(r"attack (costs|gains) \d"),
    "answer-crops": Said(r"\b(gain|lose) "),
    "distilled-words": Said(r"points (ahead|behind)", 2), "dropped-words": Said(r"gains|loses"),
}  # fmt: skip
