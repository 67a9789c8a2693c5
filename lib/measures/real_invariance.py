"""How alike one object looks to an encoder from other sides and in other light: real photographs, and scenes."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from lib import paths
from lib.images.objects import CAUSES, Views, available, objects, scene_views
from lib.measures.invariance import chance_similarity, grouped_similarity
from lib.measures.rows import as_rows, number, row
from lib.measures.subject import Subject
from lib.precision import own_precision

PROTOCOL = "1"


@functools.lru_cache(maxsize=1)
def _sets(size: int, groups: int, views: int, folder: Path | None) -> dict[tuple[str, str], Views]:
    """What every encoder is shown: read and rendered once. `folder` is where sets of photographs are looked for."""
    photographs = {(name, ""): objects(name, size) for name in available()}
    return photographs | {("scenes", cause): scene_views(cause, groups, views, size) for cause in CAUSES}


@dataclass(frozen=True)
class RealInvariance:
    """Similarity of all pairs of views of one object, on every set of `lib.images.objects` that is here, and on scenes.

    Of scenes, `groups` objects with `views` images each, of which one cause differs. A set is a shift, "coil" or
    "scenes", and the cause its subset, such as "azimuth". Metrics in hundredths: "whitened similarity" (by the training
    images of the encoder) and "similarity", with the standard error over groups, whose number stands for that of the
    images; and "whitened chance" and "chance", the same of any two images of the set.
    """

    groups: int = 100
    views: int = 8

    @property
    def identity(self) -> str:
        return f"real_invariance(groups={self.groups}, views={self.views})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        size = subject.split("test").images.shape[-1]
        rows = []
        for (name, cause), found in _sets(size, self.groups, self.views, paths.data()).items():
            features = subject.extract(found.images.to(subject.device))
            groups = found.groups.to(subject.device)
            for prefix, these in (("whitened ", subject.whitening(features)), ("", features)):
                alike = grouped_similarity(these, groups).cpu().numpy()
                rows.append(row(name, f"{prefix}similarity", alike, subset=cause))
                chance = 100 * chance_similarity(these)
                rows.append(number(name, f"{prefix}chance", chance, len(these), subset=cause))
        return as_rows(rows)
