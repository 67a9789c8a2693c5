"""What a measure is given: a trained encoder and the data that it is tested on."""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn

from lib.images import Split, load
from lib.measures.features import extract
from lib.measures.probe import Probe, fit_probe


class Subject:
    """An encoder with the splits of its data set; features and the probe are computed once.

    The probe is the same for every method of a table: logistic regression on the frozen features of
    the training images that the encoder saw, its weight decay chosen on the validation split.
    """

    def __init__(
        self, encoder: nn.Module, dataset: str, train_images: int | None, precision: str, device: torch.device
    ) -> None:
        self.encoder, self.dataset, self.train_images = encoder, dataset, train_images
        self.precision, self.device = precision, device

    def split(self, name: str, count: int | None = None) -> Split:
        return load(self.dataset, name, self.train_images if name == "train" else count, self.device)

    def extract(self, images: Tensor) -> Tensor:
        return extract(self.encoder, images, self.precision)

    @functools.lru_cache(maxsize=4)  # noqa: B019 - a subject lives for one evaluation
    def features(self, split: str) -> Tensor:
        return self.extract(self.split(split).images)

    @functools.cached_property
    def probe(self) -> Probe:
        return fit_probe(
            self.features("train"), self.split("train").labels,
            self.features("validation"), self.split("validation").labels,
        )  # fmt: skip
