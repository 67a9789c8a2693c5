"""Presets: how large a study is. Recipes: what each method needs to train well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lib.errors import one_of
from lib.measures import Accuracy, CorruptionError
from lib.methods import METHODS
from lib.runs.config import RunConfig
from lib.training import Training


@dataclass(frozen=True)
class Preset:
    """The scale of a study. Counts of images are upper limits."""

    name: str
    dataset: str
    encoder: str
    train_images: int | None
    test_images: int | None  # for each of the 75 corrupted test sets
    epochs: int
    batch_size: int
    seeds: tuple[int, ...]
    least_crop: float | None = None  # see `RunConfig`


# From small to large: a notebook shows the last one that has published rows.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "quick", "scenes", "resnet10_narrow", 2_000, 300, epochs=6, batch_size=64, seeds=(0, 1, 2), least_crop=0.6
        ),
        Preset("small", "cifar10", "resnet10", 20_000, 2_000, epochs=10, batch_size=128, seeds=(0, 1, 2)),
        Preset("full", "cifar10", "resnet18", None, None, epochs=200, batch_size=256, seeds=(0, 1, 2)),
    )
}

# (optimiser, peak learning rate for a batch of 256, weight decay); the rate scales with the batch. Chosen for short
# runs on CIFAR-10's validation images: each method from SGD and AdamW, BYOL and Barlow Twins from LARS as well.
RECIPES = {
    "simclr": ("sgd", 0.2, 5e-4),
    "byol": ("lars", 2.0, 1e-5),
    "barlow_twins": ("adamw", 0.004, 0.05),
    "supervised": ("adamw", 0.004, 0.05),
    "random": ("sgd", 0.0, 0.0),
}


def grid(preset: str, methods: Sequence[str], seeds: Sequence[int] | None = None, dataset: str | None = None):
    """The runs of a study, a list of `RunConfig`: `methods` x `seeds` at the scale of `preset`."""
    scale = PRESETS[one_of(preset, PRESETS, "preset")]
    return [
        RunConfig(
            dataset=dataset or scale.dataset,
            method=one_of(method, METHODS, "method"),
            encoder=scale.encoder,
            seed=seed,
            train_images=scale.train_images,
            training=_training(scale, method),
            least_crop=scale.least_crop,
        )
        for method in methods
        for seed in (scale.seeds if seeds is None else seeds)
    ]


def _training(scale: Preset, method: str) -> Training:
    optimiser, rate, decay = RECIPES[method]
    return Training(
        epochs=scale.epochs if METHODS[method].trained else 1,  # the control's one epoch only fills its statistics
        batch_size=scale.batch_size,
        optimiser=optimiser,
        learning_rate=rate * scale.batch_size / 256,
        weight_decay=decay,
        warmup_epochs=scale.epochs / 10,
    )


def measures_of(study: str, preset: str) -> list:
    """What is measured of each run of a study."""
    images = PRESETS[preset].test_images
    studies = {"severity_degradation": [Accuracy(), CorruptionError(images)]}
    return studies[one_of(study, studies, "study")]
