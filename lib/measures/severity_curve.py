"""Error along continuous severity, and how far the images have moved on the way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from lib.measures import probe
from lib.measures.rows import CLEAN, SEVERITY, Level, as_rows, row
from lib.measures.similarity import ssim
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.corruptions import PROTOCOL as CORRUPTIONS_PROTOCOL

PROTOCOL = f"{CORRUPTIONS_PROTOCOL}.{probe.PROTOCOL}.1"
WINDING = ("saturate", "snow", "elastic_transform", "glass_blur", "motion_blur", "gaussian_noise")
LEVELS = tuple(float(level) for level in np.arange(1, 5.125, 0.25))


@dataclass(frozen=True)
class SeverityCurve:
    """At every quarter of a severity from 1 to 5, on the first `images` test images (None: all).

    Metric "error along severity" of the probe, and "image distance": 100 (1 - SSIM) of corrupted and clean image,
    which knows nothing of any encoder.
    """

    images: int | None = None
    corruptions: tuple[str, ...] = WINDING

    @property
    def identity(self) -> str:
        chosen = " ".join(self.corruptions)
        return f"severity_curve(images={self.images or 'all'}, corruptions={chosen})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        test = subject.split("test", self.images)
        rows = [row(CLEAN, "error along severity", subject.wrong(test.images, test.labels))]
        for name in self.corruptions:
            for level in LEVELS:
                shown, at = subject.corrupted(name, level, self.images), Level(level, SEVERITY)
                rows.append(row(name, "error along severity", subject.wrong(shown, test.labels), at))
                distance = 1 - ssim(test.images, shown)
                rows.append(row(name, "image distance", distance.cpu().numpy(), at))
        return as_rows(rows)
