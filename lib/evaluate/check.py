"""Is the normalisation right? The accuracy with the source's own, beside that with the common alternatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from torch import Tensor

from lib.evaluate.subject import OfHead, Outside, Seen
from lib.measures import fit_probe, probe
from lib.measures.features import extract
from lib.measures.rows import as_rows, row
from lib.models.named import NORMALISATIONS, Named, normalised_by
from lib.precision import own_precision

PROTOCOL = f"{probe.PROTOCOL}.1"
OWN = "the source's own"
TITLES = {"imagenet": "ImageNet's", "clip": "CLIP's", "half": "pixels from -1 to 1", "none": "pixels from 0 to 1"}
METRIC = "accuracy by normalisation"


@dataclass(frozen=True)
class NormalisationCheck:
    """Metric "accuracy by normalisation", a row for each: the shift is its title, the subset whether it is another.

    By the `reader` "probe", fitted anew on features of `images` training images; or by the "head" as it is. Asked about
    are as many test images. A network that normalises by itself has another normalisation put before its own.
    """

    images: int = 500
    reader: str = "probe"

    @property
    def identity(self) -> str:
        return f"normalisation_check(images={self.images}, reader={self.reader})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Outside | OfHead) -> pd.DataFrame:
        whole = subject.body if isinstance(subject, OfHead) else subject
        return as_rows(
            row(title, METRIC, self._right(whole, named), subset="" if title == OWN else "alternative")
            for title, named in alternatives(whole.outside).items()
        )

    def _right(self, subject: Outside, named: Named) -> np.ndarray:
        encoder = Seen(named.encoder.to(subject.device), named.preprocessing, subject.count, subject.device)
        test = subject.split("test", self.images)

        def features(images: Tensor) -> Tensor:
            return extract(encoder, images, subject.precision)

        if self.reader == "head":
            predicted = subject.by_head.probe.predict(subject.by_head.logits(features(test.images)))
        else:
            train, validation = subject.split("train", self.images), subject.split("validation", self.images // 2)
            fitted = fit_probe(features(train.images), train.labels, features(validation.images), validation.labels)
            predicted = fitted.predict(features(test.images))
        return (predicted == test.labels).cpu().numpy()


def alternatives(named: Named) -> dict[str, Named]:
    """The encoder behind its own normalisation and behind the common ones that are others, by title."""
    own = named.preprocessing
    found = {OWN: named}
    for name, title in TITLES.items():
        mean, std = NORMALISATIONS[name]
        if not np.allclose((*mean, *std), (*own.mean, *own.std), atol=5e-3):
            found[title] = normalised_by(named, mean, std)
    return found
