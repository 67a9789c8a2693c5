"""How near an image is to what shares its meaning, its surface, or neither (Ge et al. 2021, arXiv 2110.14189)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from lib.measures.rows import CLEAN, PERCENTILE, Level, as_rows, number, row
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts import textures
from lib.views import SIMCLR, draw, patch_negatives, render

PROTOCOL = f"1.{textures.PROTOCOL}"  # bump the first number when rows change for other reasons
METRIC = "query similarity"
PERCENTILES = tuple(range(5, 100, 5))


@dataclass(frozen=True)
class NegativeSimilarity:
    """Metric "query similarity" in hundredths: the cosine of the features of a random view of a test image, the query,
    for each of the first `images`, and of

    - "positive": another view of the same image;
    - "other": the query of the next image;
    - "patch": a patch negative of the query;
    - "texture": the same view of the image's texture.

    Features are the encoder's, less the mean of all queries: raw ones, of which none is negative, are alike whatever
    they are of. What the query is compared with is the subset. Without a level there is the mean, and at 5, 10, ... 95
    the percentiles over images. Views are SimCLR's, the same for every encoder.
    """

    images: int = 1_000

    @property
    def identity(self) -> str:
        return f"negative_similarity(images={self.images})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        views = _images(subject, self.images)
        features = {name: subject.extract(view).double() for name, view in views.items()}
        query, *others = ((part - features["query"].mean(dim=0)) for part in features.values())
        found = {name: F.cosine_similarity(query, part) for name, part in zip(list(features)[1:], others, strict=True)}
        found["other"] = F.cosine_similarity(query, query.roll(1, dims=0))
        rows = []
        for name, cosines in found.items():
            cosines = cosines.cpu().numpy()
            rows.append(row(CLEAN, METRIC, cosines, subset=name))
            for percentile in PERCENTILES:
                value, level = 100 * np.percentile(cosines, percentile), Level(percentile, PERCENTILE)
                rows.append(number(CLEAN, METRIC, value, len(cosines), level, subset=name))
        return as_rows(rows)


def _images(subject: Subject, count: int) -> dict[str, Tensor]:
    """Float images (N, 3, H, W) of what is compared, the query first."""
    images = subject.split("test", count).images
    generator = torch.Generator(images.device).manual_seed(0)
    first, second = (draw(view, len(images), images.shape[-2:], generator) for view in SIMCLR)
    query = render(images, SIMCLR[0], first)
    return {
        "query": query,
        "positive": render(images, SIMCLR[1], second),
        "patch": patch_negatives(query, generator),
        "texture": render(textures.textures(subject.dataset, "test", len(images), images.device), SIMCLR[0], first),
    }
