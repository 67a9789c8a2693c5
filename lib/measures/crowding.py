"""Crowding: images of one class far apart, and classes close to each other (Song et al., arXiv 2407.13541)."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from lib.errors import BadInput
from lib.inputs import check_features, check_labels, whole_or_none
from lib.measures.rows import CLEAN, as_rows, number
from lib.measures.subject import Subject
from lib.precision import own_precision

PROTOCOL = 1  # bump when rows change for other reasons
METRIC = "crowding"
NEAREST = "nearest class"


@dataclass(frozen=True)
class Crowding:
    """Metric "crowding" in percent, of the features of the first `images` test images, None for all (see `crowding`).

    Without a subset each class is compared with all others, in the subset "nearest class" with the closest one. The
    standard error is over images.
    """

    images: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", whole_or_none(self.images, "images", "all test images", 4))

    @property
    def identity(self) -> str:
        return f"crowding(images={self.images})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        test = subject.split("test", self.images)
        features = subject.features("test")[: len(test.images)]
        found = {"": crowding(features, test.labels), NEAREST: crowding(features, test.labels, nearest=True)}
        return as_rows(
            number(CLEAN, METRIC, 100 * value, len(features), subset=subset, standard_error=100 * error)
            for subset, (value, error) in found.items()
        )


@own_precision
def crowding(features: Tensor, labels: Tensor, nearest: bool = False) -> tuple[float, float]:
    r"""Variance within classes against distance between them, of (N, D) features and (N,) labels: it, and its error.

    .. math:: \frac{W}{W + D / 2}, \quad W = \frac1K \sum_c \sigma_c^2, \quad
              D = \frac{1}{K (K - 1)} \sum_{c \ne d} \lVert \mu_c - \mu_d \rVert^2

    with the variance summed over features: the mean squared distance of two images of one class, over that of two
    images of two classes. It is 0 where each class is a point, and 1 where images of one class are as far apart as any.
    The paper shows both parts, of which neither is comparable between encoders, since features have no unit; the ratio
    is our choice. It is estimated from pairs of images, so that means of few images do not seem further apart than they
    are, and can be above 1 by chance. With `nearest` it is the mean over classes of that ratio for a class and the one
    class that is closest to it.

    The second number is the standard error over images, by the derivative in each. Classes of one image are left out.
    Raises BadInput for features that are not finite, and for fewer than two classes of two images.

    >>> z = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    >>> round(crowding(z, torch.tensor([0, 0, 1, 1]))[0], 4)
    0.0392
    """
    check_features(features, "crowding", least=4)
    check_labels(labels, len(features), "crowding")
    present, places, counts = labels.unique(return_inverse=True, return_counts=True)
    enough = counts > 1
    if enough.sum() < 2:
        raise BadInput("crowding compares two or more classes of two or more images each")
    kept = enough[places]
    _, places = present[places[kept]].unique(return_inverse=True)
    counts = counts[enough].double()
    apart = squared_distances(features[kept].double(), places, counts)  # (N, K)
    share = torch.nn.functional.one_hot(places).double() / counts  # (N, K): an image's part of its class's mean
    between = share.T @ apart  # (K, K)
    value, slope = _nearest(between) if nearest else _overall(between)
    influence = (slope + slope.T)[places] * (apart - between[places])  # an image is at either end of its pairs
    return value.item(), (influence.sum(dim=1) * share.sum(dim=1)).square().sum().sqrt().item()


def _overall(between: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of the diagonal of mean squared distances of pairs of classes, (K, K), over the mean of the rest; its
    derivative, (K, K)."""
    count = len(between)
    same = torch.eye(count, dtype=between.dtype, device=between.device)
    other = (1 - same) / (count * (count - 1))
    within, apart = between.diagonal().mean(), (other * between).sum()
    return within / apart, same / (count * apart) - other * within / apart**2


def _nearest(between: Tensor) -> tuple[Tensor, Tensor]:
    """The mean over classes of the diagonal over the least other distance in its row; its derivative, (K, K)."""
    within, count = between.diagonal(), len(between)
    apart, closest = between.clone().fill_diagonal_(torch.inf).min(dim=1)
    slope = torch.diag(1 / apart).scatter_(1, closest[:, None], (-within / apart**2)[:, None])
    return (within / apart).mean(), slope / count


def squared_distances(features: Tensor, places: Tensor, counts: Tensor) -> Tensor:
    """The mean squared distance of each image, (N, D), to the images of each class but itself: (N, K).

    Classes are `places` (N,) from 0 to K - 1, of `counts` (K,) images. By sums over classes, without (N, N) pairs.
    """
    z = features - features.mean(dim=0)  # small numbers lose less
    lengths = z.square().sum(dim=1)
    member = torch.nn.functional.one_hot(places, len(counts)).to(z.dtype)  # (N, K)
    sums, squares = member.T @ z, member.T @ lengths  # (K, D), (K,)
    total = counts * lengths[:, None] - 2 * z @ sums.T + squares
    return total.clamp_min(0) / (counts - member)
