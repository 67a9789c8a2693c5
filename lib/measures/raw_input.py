"""What it costs to forget the normalisation of the input at test time."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib.inputs import check_images
from lib.measures import probe
from lib.measures.corruption_error import ALL, LEVELS
from lib.measures.features import extract
from lib.measures.rows import CLEAN, OVER_SEVERITIES, as_rows, row
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.corruptions import CORRUPTIONS, SEVERITIES
from lib.shifts.corruptions import PROTOCOL as CORRUPTIONS_PROTOCOL
from lib.shifts.corruptions.digital import contrast
from lib.shifts.corruptions.filters import truncate

PROTOCOL = f"{CORRUPTIONS_PROTOCOL}.{probe.PROTOCOL}.1"


@dataclass(frozen=True)
class RawInput:
    r"""Errors of an encoder that was trained on (p - m) / s and is given raw pixels p in 0..1.

    The encoder takes p for the normalised form of another image, p' = m + s p: the true one with its contrast
    multiplied by s, about a quarter, and made brighter. On the first `images` test images (None: all), clean and under
    the 15 corruptions at five severities:

    - "raw error": the error on raw pixels (shifts "none", the corruptions' mean "all" at each severity and over all);
    - "raw cost": that less the error of the same images with normalisation;
    - "faded error" of clean images: with normalisation, on p' itself, rounded to bytes;
    - "contrast error" of clean images: with normalisation, the contrast alone shrunk by s about each image's mean.
    """

    images: int | None = None

    @property
    def identity(self) -> str:
        return f"raw_input(images={self.images or 'all'})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        test, encoder = subject.split("test", self.images), subject.encoder
        raw = copy.deepcopy(encoder)
        raw.mean.zero_(), raw.std.fill_(1)

        def raw_wrong(shown: Tensor) -> np.ndarray:
            predicted = subject.probe.predict(extract(raw, shown, subject.precision))
            return (predicted != test.labels).cpu().numpy()

        clean, clean_raw = subject.wrong(test.images, test.labels), raw_wrong(test.images)
        cells = np.zeros((2, len(SEVERITIES), len(test.labels)))
        for name in CORRUPTIONS:
            for place, level in enumerate(SEVERITIES):
                shown = subject.corrupted(name, level, self.images)
                cells[:, place] += raw_wrong(shown), subject.wrong(shown, test.labels)
        of_raw, of_normalised = cells / len(CORRUPTIONS)

        rows = [row(CLEAN, "raw error", clean_raw), row(CLEAN, "raw cost", clean_raw.astype(float) - clean)]
        means = [(OVER_SEVERITIES, of_raw.mean(axis=0), of_normalised.mean(axis=0))]
        means += zip(LEVELS, of_raw, of_normalised, strict=True)
        for level, raw_error, error in means:
            rows += [row(ALL, "raw error", raw_error, level), row(ALL, "raw cost", raw_error - error, level)]
        for metric, shown in (("faded error", faded(test.images, encoder.mean, encoder.std)),
                                 ("contrast error", low_contrast(test.images, encoder.std))):  # fmt: skip
            rows.append(row(CLEAN, metric, subject.wrong(shown, test.labels)))
        return as_rows(rows)


def faded(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """What a network with normalisation (`mean`, `std`, each (3, 1, 1)) takes raw uint8 `images` for, rounded."""
    check_images(images, "faded")
    return (255 * mean + std * images.float()).round_().clamp_(0, 255).byte()


def low_contrast(images: Tensor, std: Tensor) -> Tensor:
    """The contrast corruption with `std`, averaged over the channels, as its factor: uint8 like `images`."""
    check_images(images, "low_contrast")
    return truncate(contrast(images.float(), torch.empty(0), std.mean().item())).byte()
