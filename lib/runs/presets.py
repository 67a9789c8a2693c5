"""Presets: how large a study is."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Preset:
    """The scale of a study. Counts of images are upper limits."""

    name: str
    dataset: str
    encoder: str
    train_images: int | None
    test_images: int | None  # for each of the 95 corrupted test sets
    epochs: int
    batch_size: int
    seeds: tuple[int, ...]
    least_crop: float | None = None  # see `RunConfig`
    transformer: str | None = None  # the encoder that stands for transformers, in studies that ask about them
    wide: str | None = None  # one with as many features as three of `encoder`, in studies that ask about size
    views: int = 16  # of EMP-SSL, in studies of systems
    passes: int = 480  # of a view of each training image, forward and backward: what a system may cost


# From small to large: a notebook shows the last one that is published as far as any before it.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "quick",
            "scenes",
            "resnet10_narrow",
            2_000,
            200,
            epochs=4,
            batch_size=64,
            seeds=(0, 1, 2),
            least_crop=0.6,
            views=4,
            passes=12,
        ),
        Preset(
            "small",
            "cifar10",
            "resnet10",
            10_000,
            1_000,
            epochs=6,
            batch_size=128,
            seeds=(0, 1, 2),
            transformer="vit_narrow_patch4",
            wide="resnet10_wide",
            views=8,
            passes=48,
        ),
        Preset(
            "medium",  # all training images
            "cifar10",
            "resnet10_narrow",
            None,
            1_000,
            epochs=12,
            batch_size=128,
            seeds=(0, 1, 2),
            views=8,
            passes=48,
        ),
        Preset(
            "full",
            "cifar10",
            "resnet18",
            None,
            None,
            epochs=200,
            batch_size=256,
            seeds=(0, 1, 2),
            transformer="vit_tiny_patch4",
            wide="resnet18_wide",
        ),
        Preset(
            "imagenet100",  # the folder of that name, for several GPUs: a process for each (`lib.on_torchrun`)
            "imagenet100@224",
            "resnet50_224",
            None,
            1_000,
            epochs=200,
            batch_size=512,
            seeds=(0, 1, 2),
        ),
    )
}


def narrow(preset: Preset) -> Preset:
    """Many systems, or attacks of many passes: a small study has a narrow encoder, more steps and fewer images."""
    if preset.name != "small":
        return preset
    return replace(preset, encoder="resnet10_narrow", train_images=5_000, batch_size=64)
