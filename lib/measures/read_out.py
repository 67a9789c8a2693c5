"""Which causes of an image can be read from frozen features: a feature that varies with one predicts it."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from torch import Tensor

from lib.images import load
from lib.images.scenes import FACTORS
from lib.measures.erasure import fit_erasure
from lib.measures.probe import PROTOCOL as PROBE_PROTOCOL
from lib.measures.probe import fit_probe
from lib.measures.regression import PROTOCOL as REGRESSION_PROTOCOL
from lib.measures.regression import encode, nested_each, r_squared_outcomes
from lib.measures.rows import CLEAN, as_rows, row
from lib.measures.subject import Subject
from lib.precision import own_precision

PROTOCOL = f"{PROBE_PROTOCOL}.{REGRESSION_PROTOCOL}"
READ = tuple(name for name, factor in FACTORS.items() if not factor.whole)  # shape and kinds are classes
PERIODS = {"turn": 1.0, "degrees": 360.0}
ERASED = "object_hue"
WITHOUT = f"without {ERASED}"


@dataclass(frozen=True)
class ReadOut:
    """R² of every real cause of scenes from the features of `images` test scenes, by nested cross-validation.

    Metrics "linear R2" (ridge) and "kernel R2" (kernel ridge, Gaussian) in percent; a subset is a factor of
    `lib.images.scenes.FACTORS`. Angles and hues are predicted as cosine and sine. Whatever the encoder was trained on,
    the scenes are the same. After Causal3DIdent as in arXiv 2111.11398, section 4.

    Shift "without object_hue": the same linear R2, with the object's hue removed from the features by a linear
    projection that was fitted on other scenes. There is also "shape accuracy" of the probe, of both shifts.
    """

    images: int = 2_000

    @property
    def identity(self) -> str:
        return f"read_out(images={self.images})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        train, validation, test = (
            load("scenes", name, count, subject.device)
            for name, count in (("train", self.images), ("validation", None), ("test", self.images))
        )
        seen, chosen_on, asked = (subject.extract(part.images) for part in (train, validation, test))
        targets = {name: target(name, test.factors[name]) for name in READ}
        rows = []
        for kernel, metric in (("linear", "linear R2"), ("rbf", "kernel R2")):
            predicted = nested_each(asked, targets, kernel=kernel)
            rows += _of_factors(CLEAN, metric, targets, predicted)
        erasure = fit_erasure(seen, target(ERASED, train.factors[ERASED]))
        for shift, through in ((CLEAN, lambda x: x), (WITHOUT, erasure.remove)):
            probe = fit_probe(through(seen), train.labels, through(chosen_on), validation.labels)
            right = (probe.predict(through(asked)) == test.labels).cpu().numpy()
            rows.append(row(shift, "shape accuracy", right))
        predicted = nested_each(erasure.remove(asked), targets)
        rows += _of_factors(WITHOUT, "linear R2", targets, predicted)
        return as_rows(rows)


def _of_factors(shift: str, metric: str, targets: dict[str, Tensor], predicted: dict[str, Tensor]) -> list[tuple]:
    return [row(shift, metric, r_squared_outcomes(targets[name], predicted[name]), subset=name) for name in READ]


def target(name: str, values: Tensor) -> Tensor:
    """A factor (N,) as what a regression predicts: (N, 1), or (N, 2) cosine and sine on the circle."""
    factor = FACTORS[name]
    return encode(values, PERIODS[factor.unit] if factor.circular else None)
