r"""How little features move when images do: measures on feature tensors, whatever encoder they come from.

Rows of `a` and `b` or of `original` and `transformed` belong to the same images. Everything is computed and returned
in float64. No measure ever pairs an image or a view with itself: such pairs are alike for every encoder, so counting
them hides how invariant it is (with two views to a group, a similarity of s becomes (1 + s) / 2).

What a measure ignores decides what it can compare:

=============================================  ====================================================================
cosine similarity                              rotations and a common scale of the features
ratio of Euclidean distances                   these and shifts
whitened cosine and Mahalanobis distance,      these, with a shrinkage of 0 every invertible affine map; but noise
                                               counts as much as signal in them
=============================================  ====================================================================
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadInput, one_of

SHRINKAGES = tuple(10.0 ** (power / 2) for power in range(-12, 1))  # from 1e-6 to 1, two to a decade
DISTANCES = ("euclidean", "cosine")
ALL_PAIRS = 2000  # up to so many images, random pairs are all pairs
ROUNDING = 1e-12  # a mean cosine distance no larger than this is 0 except for rounding


# ---- Whitening


@dataclass(frozen=True)
class Whitening:
    r"""An affine map to features of identity covariance, under the Gaussian that was fitted: float64 tensors."""

    mean: Tensor  # (D,)
    factor: Tensor  # (D, D), the symmetric square root of the inverse covariance
    shrinkage: float  # lambda, chosen on held-out images
    likelihood: float  # mean log-likelihood of the held-out images, in nats

    def __call__(self, features: Tensor) -> Tensor:
        """(..., D) features -> (..., D) whitened features, (features - mean) @ factor."""
        return (_of_width(features, len(self.mean)) - self.mean) @ self.factor


def fit_whitening(features: Tensor, held_out: Tensor, shrinkages: Sequence[float] = SHRINKAGES) -> Whitening:
    r"""Whitening by mean and covariance S of `features` (N, D), shrunk as suits other images, `held_out` (M, D), best.

    .. math:: \Sigma_\lambda = (1 - \lambda) S + \lambda \frac{\operatorname{tr} S}{D} I

    (the target is that of Ledoit and Wolf 2004, J. Multivariate Analysis 88). Ericsson et al. (arXiv 2111.11398)
    invert S itself, with 50,000 images. With fewer, S has directions in which features vary too little by chance, or
    with N <= D not at all, and its inverse makes them large. So :math:`\lambda` is the value of `shrinkages`, each in
    0..1, with the largest mean Gaussian log-likelihood of `held_out`,

    .. math:: -\frac{1}{2} \sum_k \left( \log 2 \pi v_k + \frac{m_k}{v_k} \right),
              \qquad v_k = (1 - \lambda) e_k + \lambda \frac{\operatorname{tr} S}{D},

    with :math:`e_k` the eigenvalues of S (which divides by N, not by N - 1) and :math:`m_k` the mean square of the
    held-out features less the mean of `features` along its k-th eigenvector: one decomposition serves all
    :math:`\lambda`. Ties go to the stronger shrinkage.

    Dead features (constant over the images) get the variance :math:`\lambda \operatorname{tr} S / D`, so any
    :math:`\lambda > 0` keeps them finite; one that wakes up on transformed images counts by that variance. Those that
    are dead on held-out images too are left out of the likelihood: they say nothing of new images, and their density,
    without bound as :math:`\lambda` falls, would always choose the weakest shrinkage.

    Raises `BadInput` if there are fewer than 2 images in either set or features that are not finite, if all features
    are dead, and if all that is offered is a shrinkage of 0 for a covariance without an inverse.
    """
    features, held_out = _matrix(features, "features"), _matrix(held_out, "held-out features")
    _of_width(held_out, features.shape[1])
    if not shrinkages or not all(0 <= shrinkage <= 1 for shrinkage in shrinkages):
        raise BadInput(f"shrinkages are one or more numbers from 0 to 1, not {shrinkages!r}")
    mean = features.mean(dim=0)
    centred = features - mean
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(features))
    if not values[-1] > 0 or _constant(features).all():
        raise BadInput("whitening needs features that vary: these are the same for all images")
    rounding = len(values) * torch.finfo(values.dtype).eps * values[-1]
    values = torch.where(values > rounding, values, 0)
    target = values.mean()
    moments = ((held_out - mean) @ vectors).square().mean(dim=0)
    dead = int((_constant(features) & (held_out == features[0]).all(dim=0)).sum())

    best, best_likelihood = None, -math.inf
    for shrinkage in sorted(shrinkages, reverse=True):
        variances = (1 - shrinkage) * values + shrinkage * target
        if not variances.all():  # no inverse
            continue
        likelihood = -0.5 * ((2 * math.pi * variances).log() + moments / variances).sum()
        if shrinkage:
            likelihood += 0.5 * dead * (2 * math.pi * shrinkage * target).log()
        if best is None or likelihood > best_likelihood:
            best, best_likelihood = shrinkage, likelihood.item()
    if best is None:
        raise BadInput("features whose covariance has no inverse need a shrinkage above 0")
    variances = (1 - best) * values + best * target
    return Whitening(mean, (vectors * variances.rsqrt()) @ vectors.T, best, best_likelihood)


# ---- Pairs of features


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine similarity of pairs of features (..., D): (...,) in [-1, 1]; 0 where one of the two is all zeros.

    Of whitened features, `cosine(whitening(a), whitening(b))`, it is the similarity of Ericsson et al. (arXiv
    2111.11398).
    """
    a, b = _pair(a, b)
    return (_directions(a) * _directions(b)).sum(dim=-1).clamp(-1, 1)


def mahalanobis(a: Tensor, b: Tensor, whitening: Whitening) -> Tensor:
    r"""Euclidean distance of whitened features, for pairs (..., D): (...,), 0 or more.

    .. math:: \sqrt{(a - b)^\top \Sigma_\lambda^{-1} (a - b)}

    The distance of Ericsson et al. (arXiv 2111.11398). Two images drawn from the Gaussian that was fitted are
    :math:`\sqrt{2 D}` apart (root mean square).
    """
    a, b = _pair(a, b)
    return (_of_width(a - b, len(whitening.mean)) @ whitening.factor).norm(dim=-1)


def distance_ratio(original: Tensor, transformed: Tensor, distance: str = "euclidean") -> Tensor:
    r"""How far each image's features move, as a share of the mean distance of two images: (N,), 0 or more.

    .. math:: \frac{d(f(x_i), f(T x_i))}{\operatorname{mean}_{j \ne k} d(f(x_j), f(x_k))}

    for `original` features f(x) and `transformed` ones f(Tx), both (N, D). The mean over images is the normalised
    distance of Speicher et al. (arXiv 2407.04325): 0 is invariant, 1 is as different as other images. The standard
    error of the mean takes the denominator, `chance_distance` of `original`, as known. `distance` is "euclidean" or
    "cosine" (1 - cosine similarity; theirs is a ratio of similarities).
    """
    original, transformed = _pair(_matrix(original, "original features"), transformed)
    chance = chance_distance(original, distance)
    if chance <= (ROUNDING if distance == "cosine" else 0):
        raise BadInput(f"a ratio needs original features at some {distance} distance: these are alike for all images")
    if distance == "cosine":
        return (1 - cosine(original, transformed)) / chance
    return (original - transformed).norm(dim=1) / chance


def effective_invariance(logits_a: Tensor, logits_b: Tensor) -> Tensor:
    r"""Do two versions of an image get the same class, and how surely? Logits (N, C) of each -> (N,) in [0, 1].

    .. math:: \sqrt{\hat p_a \, \hat p_b} \quad \text{if the predicted classes are equal, else } 0

    with :math:`\hat p` the probability of the predicted class (Deng et al., arXiv 2207.07065). No labels are needed.
    """
    a, b = _pair(_matrix(logits_a, "logits", rows=1), logits_b)
    (p_a, class_a), (p_b, class_b) = (logits.softmax(dim=1).max(dim=1) for logits in (a, b))
    return torch.where(class_a == class_b, (p_a * p_b).sqrt(), 0)


# ---- Groups of views, and different images


def pairwise_similarity(features: Tensor) -> float:
    r"""Mean cosine similarity of all pairs i < j of one group's views (V, D), V at least 2.

    With u the features divided by their length (zeros stay zeros), that is

    .. math:: \frac{\lVert \sum_i u_i \rVert^2 - \sum_i \lVert u_i \rVert^2}{V (V - 1)}.

    Ericsson et al. (arXiv 2111.11398) average over the views of one object; their code counts i = j as well.
    """
    features = _matrix(features, "features")
    return grouped_similarity(features, torch.zeros(len(features), dtype=torch.int64, device=features.device)).item()


def grouped_similarity(features: Tensor, groups: Tensor) -> Tensor:
    """`pairwise_similarity` of every group of rows of `features` (N, D): (G,), by ascending number of the group.

    `groups` (N,), int64, says to which group each row belongs, in any order. A group has at least 2 views.
    """
    features, group_of, counts = _grouped(features, groups)
    directions = _directions(features)
    sums = directions.new_zeros(len(counts), directions.shape[1]).index_add_(0, group_of, directions)
    selves = directions.new_zeros(len(counts)).index_add_(0, group_of, directions.square().sum(dim=1))
    return ((sums.square().sum(dim=1) - selves) / (counts * (counts - 1))).clamp(-1, 1)


def grouped_distance(features: Tensor, groups: Tensor) -> Tensor:
    """Mean Euclidean distance of all pairs i < j of every group's views, for arguments as in `grouped_similarity`.

    Of whitened features it is the mean Mahalanobis distance.
    """
    features, group_of, counts = _grouped(features, groups)
    views = features[group_of.argsort(stable=True)].split(counts.tolist())
    return torch.stack([torch.pdist(group).mean() for group in views])


def chance_similarity(features: Tensor) -> float:
    """Mean cosine similarity of all pairs of different images, one row of `features` (N, D) each.

    What an encoder scores whose features of the transformed image are those of another image: the level above which a
    similarity means invariance. It is far above 0 if features have a common direction, as those behind a ReLU do.
    """
    return pairwise_similarity(features)


def chance_distance(features: Tensor, distance: str = "euclidean") -> float:
    """Mean distance ("euclidean" or "cosine") of pairs of different images, one row of `features` (N, D) each.

    Over all pairs; for Euclidean distances of more than `ALL_PAIRS` images, over the N neighbours on a round trip
    through all images in a random order that is the same on every call.
    """
    one_of(distance, DISTANCES, "distance")
    features = _matrix(features, "features")
    if distance == "cosine":
        return 1 - chance_similarity(features)
    if len(features) <= ALL_PAIRS:
        return torch.pdist(features).mean().item()
    trip = torch.randperm(len(features), generator=torch.Generator().manual_seed(0)).to(features.device)
    return (features[trip] - features[trip.roll(-1)]).norm(dim=1).mean().item()


# ---- Checks


def _directions(features: Tensor) -> Tensor:
    """(..., D) features divided by their length; zeros stay zeros."""
    return F.normalize(features, dim=-1, eps=1e-300)


def _constant(features: Tensor) -> Tensor:
    """Which of (N, D) features are the same for all images: bool (D,)."""
    return (features == features[0]).all(dim=0)


def _finite(features: Tensor, what: str) -> Tensor:
    if not features.isfinite().all():
        raise BadInput(f"{what} must be finite numbers, without NaN or infinity")
    return features.double()


def _matrix(features: Tensor, what: str, rows: int = 2) -> Tensor:
    if features.ndim != 2 or len(features) < rows or features.shape[1] == 0:
        raise BadInput(f"{what} have the shape (N, D) with N at least {rows}, not {tuple(features.shape)}")
    return _finite(features, what)


def _of_width(features: Tensor, width: int) -> Tensor:
    if features.ndim == 0 or features.shape[-1] != width:
        raise BadInput(f"features here have the shape (..., {width}), not {tuple(features.shape)}")
    return features.double()


def _pair(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    if a.shape != b.shape or a.ndim == 0:
        raise BadInput(f"pairs come as two tensors of one shape (..., D), not {tuple(a.shape)} and {tuple(b.shape)}")
    return _finite(a, "pairs"), _finite(b, "pairs")


def _grouped(features: Tensor, groups: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Features (N, D), each row's place (N,) among the ascending groups, and how many views each group has (G,)."""
    features = _matrix(features, "features")
    if groups.dtype != torch.int64 or groups.shape != features.shape[:1]:
        raise BadInput(
            f"groups are int64 of shape ({len(features)},), one for each row of features, "
            f"not {groups.dtype} {tuple(groups.shape)}"
        )
    names, group_of, counts = groups.unique(return_inverse=True, return_counts=True)
    if (counts < 2).any():
        raise BadInput(f"a group needs at least 2 views, but group {names[counts < 2][0].item()} has only one")
    return features, group_of, counts
