"""Natural shift of a folder: the same classes in other folders, or in the variants of ImageNet that are here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from lib.errors import BadInput
from lib.evaluate.data import AMONG, Data
from lib.evaluate.subject import OfHead, Outside
from lib.measures import probe
from lib.measures.natural_shift import balanced
from lib.measures.rows import CLEAN, as_rows, row
from lib.precision import own_precision

PROTOCOL = f"{probe.PROTOCOL}.1"


@dataclass(frozen=True, eq=False)
class Elsewhere:
    """Metric "balanced error", as of `lib.measures.NaturalShift`: on the test images (shift "none"), and on the first
    `images` of each of `sets`, whose classes have the names of the data's. Other classes are left out.

    In ImageNet-R and ImageNet-A a classifier chooses among their classes only, as their authors have it.
    """

    sets: tuple[Data, ...]
    images: int

    @property
    def identity(self) -> str:
        named = " ".join(f"{own.name}:{own.checksum[:12]}" for own in self.sets)
        return f"elsewhere(sets={named}, images={self.images})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Outside | OfHead) -> pd.DataFrame:
        labels = subject.labels("test")
        clean = (subject.probe.predict(subject.features("test")) != labels).cpu().numpy()
        rows = [row(CLEAN, "balanced error", balanced(clean, labels.cpu().numpy()))]
        for own in self.sets:
            wrong, of = self._wrong(subject, own)
            rows.append(row(own.name, "balanced error", balanced(wrong, of)))
        return as_rows(rows)

    def _wrong(self, subject: Outside | OfHead, own: Data) -> tuple[np.ndarray, np.ndarray]:
        """Of each image, whether its prediction is wrong, and its class among the data's."""
        body = subject.body if isinstance(subject, OfHead) else subject
        place = {name: label for label, name in enumerate(subject.classes)}
        label_of = torch.tensor([place.get(name, -1) for name in own.classes])
        present = label_of[label_of >= 0].to(subject.device)
        wrong, labels = [], []
        for images, numbers in own.folder.batches("test", body.read, self.images):  # type: ignore[union-attr]
            known = label_of[numbers] >= 0
            if known.any():
                asked = label_of[numbers][known]
                scores = subject.probe.scores(subject.extract(images[known].to(subject.device)))
                answers = present[scores[:, present].argmax(dim=1)] if own.name in AMONG else scores.argmax(dim=1)
                wrong.append(answers.cpu() != asked)
                labels.append(asked)
        if not wrong:
            raise BadInput(f"of the first {self.images:,} images of {own.name} none is of a class of the data's")
        return torch.cat(wrong).numpy(), torch.cat(labels).numpy()


def check_shared(data: Data, others: tuple[Data, ...]) -> None:
    """Refuse a set that has no class of the data's."""
    for own in others:
        if own.folder is None:
            raise BadInput(f"{own.name} is no folder of classes; natural shifts of your own are folders")
        if not set(own.classes) & set(data.classes):
            raise BadInput(
                f"{own.name} has none of the classes of {data.name}: {', '.join(own.classes[:3])}, ..., where the data "
                f"have {', '.join(data.classes[:3])}, ..."
            )
