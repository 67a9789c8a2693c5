"""What a task learned on photographs is worth on art, cartoons and sketches."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from lib import paths
from lib.images import Split
from lib.images.downstream import available, downstream
from lib.measures import probe
from lib.measures.natural_shift import balanced
from lib.measures.probe import fit_probe
from lib.measures.rows import as_rows, row
from lib.measures.subject import Subject
from lib.memory import kept
from lib.precision import own_precision

PROTOCOL = f"{probe.PROTOCOL}.1"
SOURCE = "pacs-photo"
DOMAINS = ("pacs-art", "pacs-cartoon", "pacs-sketch")


@dataclass(frozen=True)
class OutOfDomain:
    """Metric "balanced accuracy" of a probe on frozen features that saw only the photographs of PACS (Li et al. 2017).

    It is fitted on the training photographs, its decay chosen on the validation ones, all as `lib.images.downstream`
    splits them. Shift "pacs-photo" has the test photographs; "pacs-art", "pacs-cartoon" and "pacs-sketch" have every
    image of their domain. The metric is the mean of the classes' recalls: among sketches horses are many and houses
    few. Domains that are not on this machine have no rows, and without photographs there are none at all.
    """

    @property
    def identity(self) -> str:
        return f"out_of_domain()#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        domains = _domains(subject.split("test").images.shape[-1], subject.device, paths.data())
        rows = []
        if SOURCE in domains:
            train, validation, test = (domains[SOURCE][part] for part in ("train", "validation", "test"))
            fitted = fit_probe(
                subject.extract(train.images), train.labels, subject.extract(validation.images), validation.labels
            )
            asked = {SOURCE: [test]} | {name: list(domains[name].values()) for name in DOMAINS if name in domains}
            for name, parts in asked.items():
                labels = torch.cat([part.labels for part in parts])
                predicted = fitted.predict(subject.extract(torch.cat([part.images for part in parts])))
                right = (predicted == labels).cpu().numpy()
                rows.append(row(name, "balanced accuracy", balanced(right, labels.cpu().numpy())))
        return as_rows(rows)


@kept
def _domains(size: int, device: torch.device, _data: Path | None) -> dict[str, dict[str, Split]]:
    """The domains that are here, read once for all encoders."""
    here = available()
    return {name: downstream(name, size, device) for name in (SOURCE, *DOMAINS) if name in here}
