"""Encoders to take home: which runs are handed out with their weights, and how a file is made of one.

    python -m lib.runs hand-out              # all that have no file yet, trained where the store has no run
    python -m lib.runs hand-out simclr byol

A file holds an encoder and its linear probe in half precision, and a card says what it is. `lib.models.load_encoder`
reads both.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lib.runs.config import RunConfig
from lib.runs.plan import config_of
from lib.runs.presets import PRESETS
from lib.runs.systems import System, plain
from lib.training import Attack

# All training images, and as many epochs as a core does in a quarter of an hour.
PHOTOGRAPHS = replace(PRESETS["small"], encoder="resnet10_narrow", train_images=None, epochs=12)
# Long enough that what a method teaches can be seen in single scenes.
SCENES = replace(PRESETS["quick"], epochs=24)


def _scenes(method: str, attack: Attack | None = None, augmentation: str | None = None, **settings: Any) -> RunConfig:
    system = System("", method, attack, "", settings, augmentation=augmentation, budget=None)
    return config_of(system, SCENES, 0)


METHODS_TO_TAKE = (
    "simclr", "supervised", "moco_v2", "byol", "barlow_twins", "swav", "simsiam", "dino", "relicv2", "emp_ssl",
)  # fmt: skip
TAKE_HOME: dict[str, RunConfig] = {method: config_of(plain(method), PHOTOGRAPHS, 0) for method in METHODS_TO_TAKE} | {
    "scenes-simclr": _scenes("simclr"),
    "scenes-simclr-free": _scenes("simclr", Attack("free(3)", "8/255", 0.01, views="last")),
    "scenes-moco_v2": _scenes("moco_v2"),
    "scenes-moco_v2-patch": _scenes("moco_v2", negatives="patch"),
    "scenes-moco_v2-spatial": _scenes("moco_v2", augmentation="spatial"),
    "scenes-moco_v2-appearance": _scenes("moco_v2", augmentation="appearance"),
    "scenes-relicv2": _scenes("relicv2", removed=0.0),
    "scenes-relicv2-removed": _scenes("relicv2", removed=0.6, masks="exact"),
}
