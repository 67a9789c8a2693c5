"""What a measure is given: a trained encoder and the data that it is tested on."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor, nn

from lib.images import Split, load
from lib.measures.features import extract
from lib.measures.invariance import Whitening, fit_whitening
from lib.measures.probe import Probe, fit_probe
from lib.memory import kept
from lib.shifts.corruptions import corrupted_alike
from lib.shifts.textures import textures

_KEPT = 1 << 24  # numbers in a set of images that is small enough to be kept for the next encoder


@kept
def _kept_corrupted(
    dataset: str, count: int | None, checksum: str, name: str, severity: float, device: torch.device
) -> Tensor:
    return corrupted_alike(load(dataset, "test", count, device).images, name, severity)


class Subject:
    """An encoder with the splits of its data set; features and the probe are computed once.

    The probe is the same for every method of a table: logistic regression on the frozen features of
    the training images that the encoder saw, its weight decay chosen on the validation split. `head` is what a run
    has behind its encoder up to the feature that its paper evaluates, (N, encoder.features) -> (N, D), in eval mode;
    None where there is none. `named` says whether `lib.images.load` has the data set by its name.
    """

    named = True

    def __init__(
        self,
        encoder: nn.Module,
        dataset: str,
        train_images: int | None,
        precision: str,
        device: torch.device,
        head: nn.Module | None = None,
    ) -> None:
        self.encoder, self.dataset, self.train_images = encoder, dataset, train_images
        self.precision, self.device, self.head = precision, device, head

    def split(self, name: str, count: int | None = None) -> Split:
        return load(self.dataset, name, self.train_images if name == "train" else count, self.device)

    def corrupted(self, name: str, severity: float, count: int | None = None) -> Tensor:
        """The first `count` test images (None: all) under one corruption, the same images for every encoder."""
        test = self.split("test", count)
        if test.images.numel() > _KEPT:
            return corrupted_alike(test.images, name, severity)
        return _kept_corrupted(self.dataset, count, test.checksum, name, severity, self.device)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.split("test", 1).classes

    def labels(self, split: str) -> Tensor:
        """Of the images that `features` are of: int64 (N,)."""
        return self.split(split).labels

    def textures(self, count: int) -> Tensor:
        """The textures of the first `count` test images (see `lib.shifts.textures`)."""
        return textures(self.dataset, "test", count, self.device)

    def extract(self, images: Tensor) -> Tensor:
        return extract(self.encoder, images, self.precision)

    def corrupted_features(self, name: str, severity: float, count: int | None = None) -> Tensor:
        return self.extract(self.corrupted(name, severity, count))

    @functools.lru_cache(maxsize=4)  # noqa: B019 - a subject lives for one evaluation
    def features(self, split: str) -> Tensor:
        return self.extract(self.split(split).images)

    def wrong(self, images: Tensor, labels: Tensor) -> np.ndarray:
        """Whether the probe's prediction for each of uint8 `images` (N, 3, H, W) is not its label: bool (N,)."""
        return (self.probe.predict(self.extract(images)) != labels).cpu().numpy()

    @functools.cached_property
    def whitening(self) -> Whitening:
        """Of the training images' features, shrunk as suits the validation images."""
        return fit_whitening(self.features("train"), self.features("validation"))

    @functools.cached_property
    def probe(self) -> Probe:
        return fit_probe(
            self.features("train"), self.labels("train"), self.features("validation"), self.labels("validation")
        )
