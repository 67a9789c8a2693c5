"""Hand out encoders: train those that have no file yet, and publish each with its probe and a card.

    python -m lib.chapters handed_out                  # all of the table below
    python -m lib.chapters handed_out simclr byol      # these

Runs are kept and resumed like any other. `lib.models.handed` reads what this writes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace

import torch

from lib.chapters import PLANS
from lib.errors import BadInput, one_of
from lib.measures import Subject, proportion_interval
from lib.models import build_encoder, handed
from lib.runs import RunConfig, compute, store
from lib.runs.plan import config_of
from lib.runs.presets import PRESETS
from lib.runs.systems import plain

PHOTOGRAPHS = PRESETS["medium"]
SCENES = replace(PRESETS["quick"], epochs=24, passes=24)  # longer than a book that is to be quick can wait
LICENCE = "MIT"

_OF_METHODS = (
    "simclr", "supervised", "byol", "barlow_twins", "moco_v2", "swav", "simsiam", "dino", "relicv2", "emp_ssl",
)  # fmt: skip
_MOCO = PLANS["non_semantic_negatives"].systems["moco"]  # whose queue is shorter than an epoch
# What live sections look at.
_OF_SCENES = {
    "simclr": plain("simclr"),
    "simclr-free": PLANS["accuracy_robustness_tradeoff"].systems["simclr free"],
    "moco_v2": _MOCO,
    "moco_v2-patch": PLANS["non_semantic_negatives"].systems["moco patch"],
    "moco_v2-spatial": replace(_MOCO, augmentation="spatial"),
    "moco_v2-appearance": replace(_MOCO, augmentation="appearance"),
    "relicv2": PLANS["relicv2_ood"].systems["relicv2 no saliency"],
    "relicv2-removed": PLANS["relicv2_ood"].systems["relicv2 removed 0.6 exact"],
}
HANDED_OUT: dict[str, RunConfig] = {
    **{method: config_of(plain(method), PHOTOGRAPHS, 0) for method in _OF_METHODS},
    **{f"scenes-{name}": config_of(replace(system, budget=None), SCENES, 0) for name, system in _OF_SCENES.items()},
}


def main(words: Sequence[str]) -> int:
    try:
        names = [one_of(word, HANDED_OUT, "encoder to hand out") for word in words]
        for name in names or [name for name in HANDED_OUT if name not in handed.cards()]:
            print(f"{name}: {hand_out(name)}", flush=True)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def hand_out(name: str) -> str:
    """Publish one encoder; returns its probe's accuracy, of the weights as they are handed out."""
    config = HANDED_OUT[name]
    (record,), _ = compute([config], [], progress=False)
    encoder = build_encoder(config.encoder)
    store.load_weights(record["key"], encoder, torch.device("cpu"))
    tensors = handed.halved(encoder.state_dict())
    encoder.load_state_dict(tensors)
    subject = Subject(encoder, config.dataset, config.train_images, "fp32", torch.device("cpu"))
    probe = subject.probe
    fitted = handed.halved({part: getattr(probe, part) for part in ("mean", "std", "weight", "bias")})
    rounded = replace(probe, **{part: tensor.float() for part, tensor in fitted.items()})
    test = subject.split("test")
    accuracy = proportion_interval((rounded.predict(subject.features("test")) == test.labels).numpy())
    card = {
        "config": config.to_dict(),
        "classes": list(test.classes),
        "data": record["data"],
        "probe": {
            "accuracy": [round(value, 2) for value in (accuracy.mean, accuracy.low, accuracy.high)],
            "test images": len(test.labels),
            "decay": probe.decay,
            "gradient": probe.gradient,
        },
        "trained": {part: record[part] for part in ("commit", "device", "finished", "seconds", "versions")},
        "licence": LICENCE,
    }
    handed.write(name, tensors | {handed.PROBE + part: tensor for part, tensor in fitted.items()}, card)
    return f"{accuracy} % by the probe"
