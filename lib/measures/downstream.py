"""What frozen features are good for elsewhere: tasks that an encoder was not trained for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from lib import paths
from lib.images import Split, objects
from lib.images.downstream import available, downstream
from lib.measures.probe import PROTOCOL as PROBE_PROTOCOL
from lib.measures.probe import fit_probe
from lib.measures.regression import PROTOCOL as REGRESSION_PROTOCOL
from lib.measures.regression import angular_error, assign_arcs, encode, nested, r_squared_outcomes
from lib.measures.rows import as_rows, row
from lib.measures.subject import Subject
from lib.memory import kept
from lib.precision import own_precision

PROTOCOL = f"{PROBE_PROTOCOL}.{REGRESSION_PROTOCOL}.2"  # bump the last number when rows change for other reasons
ARCS = 5  # of a turn, each predicted from the views of the others

PARTS = ("train", "validation", "test")


@kept
def _tasks(size: int, device: torch.device, folder: Path | None) -> dict[str, dict[str, Split]]:
    """The sets that are here, read once for all encoders. `folder` is where packed and published files lie."""
    return {name: downstream(name, size, device) for name in available()}


@dataclass(frozen=True)
class Downstream:
    """The linear probe on every small set of `lib.images.downstream` that is here, and the azimuth of COIL's objects.

    A task is a shift. Of classification: metric "accuracy" in percent, the probe fitted on the set's training images
    and its decay chosen on its validation images, as everywhere else. Of subset "azimuth" of "coil": ridge regression
    of cosine and sine, a model for each object since zero degrees means nothing between objects, by nested cross-
    validation whose folds are five arcs of a turn: a view is predicted from views of other directions, not from its
    neighbours 5 degrees away, unless it is at the end of an arc. Metrics "linear R2" in percent, and "angle error" in
    degrees.
    """

    @property
    def identity(self) -> str:
        return f"downstream()#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        size = subject.split("test").images.shape[-1]
        rows = []
        for name, splits in _tasks(size, subject.device, paths.data()).items():
            train, validation, test = (subject.extract(splits[part].images) for part in PARTS)
            probe = fit_probe(train, splits["train"].labels, validation, splits["validation"].labels)
            right = (probe.predict(test) == splits["test"].labels).cpu().numpy()
            rows.append(row(name, "accuracy", right))
        if "coil" in objects.available():
            rows += _azimuth(subject, objects.objects("coil", size))
        return as_rows(rows)


def _azimuth(subject: Subject, views: objects.Views) -> list[tuple]:
    features = subject.extract(views.images.to(subject.device))
    angles = views.value.to(subject.device)
    targets = encode(angles, period=360.0)
    predicted = torch.empty_like(targets, dtype=torch.float64)
    for group in range(len(views.names)):
        one = views.groups.to(subject.device) == group
        fold = assign_arcs(angles[one], ARCS, 360.0)
        predicted[one] = nested(features[one], targets[one], ARCS, fold=fold)
    errors = angular_error(predicted, angles, 360.0).cpu().numpy()
    of_objects = {"subset": "azimuth", "sources": views.groups.numpy()}
    return [
        row("coil", "linear R2", r_squared_outcomes(targets, predicted), **of_objects),
        row("coil", "angle error", np.asarray(errors) / 100, **of_objects),  # a row holds hundredths
    ]
