"""The suite of shifts: what the probe of an encoder is worth away from what it was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from lib.images import scenes
from lib.measures import probe
from lib.measures.corruption_error import ALL
from lib.measures.natural_shift import balanced, natural_splits
from lib.measures.rows import CLEAN, NO_LEVEL, OVER_SEVERITIES, Level, as_rows, row
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.corruptions import BAR, CORRUPTIONS, SEVERITIES
from lib.shifts.corruptions import PROTOCOL as CORRUPTIONS_PROTOCOL
from lib.shifts.imagenet import available, imagenet_variant

PROTOCOL = f"{scenes.PROTOCOL}.{CORRUPTIONS_PROTOCOL}.{probe.PROTOCOL}.1"
FAMILIES = {ALL: CORRUPTIONS, "bar": BAR}


@dataclass(frozen=True)
class OutOfDistribution:
    """Metric "accuracy" of the standard linear probe, which has seen training images alone, on all that fits it.

    Shift "none" is the test split, `images` of it (None: all). The others, where they fit the encoder's classes and
    are on this machine, nothing being downloaded:

    - "all": the 15 corruptions of CIFAR-10-C at five severities, as in `lib.measures.corruption_error`; "bar": the ten
      of CIFAR-10-C-bar; both are means over corruptions and severities, on the first `corrupted` test images (None:
      all);
    - of scenes, "scenes background", "scenes light", "scenes pose" and "scenes conflict": the splits of
      `lib.images.scenes`, `images` of each. Textures tell nothing of the class in the training images, so "conflict" is
      no shift for an encoder of scenes but a control;
    - of CIFAR-10, "cifar10-shift", "cifar10.1" and "stl10": all images (see `lib.shifts.natural`). Their accuracy is
      balanced, the mean of the classes' accuracies, as no other here is. Only for cifar10-shift does that differ from
      the accuracy of all images: the classes of the others are equally large;
    - of WNIDs, the variants of ImageNet (see `lib.shifts.imagenet`), except for imagenet-c, which "all" stands for: all
      images, at the size of the test images; the probe chooses among the classes that the variant has.

    Metric "accuracy lost", in percentage points, of the shifts whose image i is test image i, changed: the accuracy on
    the same images without the shift less that with it, paired image by image, and so is its standard error.
    """

    images: int | None = None
    corrupted: int | None = 1_000

    @property
    def identity(self) -> str:
        numbers = f"images={self.images or 'all'}, corrupted={self.corrupted or 'all'}"
        return f"out_of_distribution({numbers})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        test = subject.split("test", self.images)
        clean = ~subject.wrong(test.images, test.labels)
        rows = [row(CLEAN, "accuracy", clean)]
        if subject.dataset == "scenes":
            for name in scenes.SHIFTS:
                split = subject.split(name, len(clean))
                right = ~subject.wrong(split.images, split.labels)
                rows += _paired(name.replace("test-", "scenes "), clean, right)
        for name, split in natural_splits(test.classes, subject.device).items():
            right = ~subject.wrong(split.images, split.labels)
            rows.append(row(name, "accuracy", balanced(right, split.labels.cpu().numpy())))
        for name in available(test.classes):
            rows.append(row(name, "accuracy", _of_variant(subject, name, test.classes, test.images.shape[-1])))
        first = subject.split("test", self.corrupted)
        unchanged = ~subject.wrong(first.images, first.labels)
        for family, members in FAMILIES.items():
            cells = [(name, level) for name in members for level in SEVERITIES]
            wrong = sum(
                subject.wrong(subject.corrupted(*cell, self.corrupted), first.labels).astype(int) for cell in cells
            )
            rows += _paired(family, unchanged, 1 - wrong / len(cells), OVER_SEVERITIES)
        return as_rows(rows)


def _paired(shift: str, clean: np.ndarray, shifted: np.ndarray, level: Level = NO_LEVEL) -> list[tuple]:
    """Rows from how right the probe is on each image without the shift and with it: (N,), (N,)."""
    lost = clean - shifted.astype(float)
    return [row(shift, "accuracy", shifted, level), row(shift, "accuracy lost", lost, level)]


def _of_variant(subject: Subject, name: str, classes: tuple[str, ...], size: int) -> np.ndarray:
    """Whether the probe is right on each image of a variant of ImageNet, (N,)."""
    variant = imagenet_variant(name, classes, size)
    present, groups = variant.present.to(subject.device), variant.groups.to(subject.device)
    right = []
    for images, labels in variant.batches(device=subject.device):
        chosen = present[subject.probe.scores(subject.extract(images))[:, present].argmax(dim=1)]
        right.append(groups[chosen] == groups[labels])
    return torch.cat(right).cpu().numpy()
