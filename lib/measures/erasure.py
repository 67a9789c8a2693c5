"""Linear erasure: what features are without one factor, or of it alone, found after training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from lib.errors import BadInput
from lib.measures.regression import check_pairs, varying

PROTOCOL = 2  # bump when the same features give other numbers
TOLERANCE = 1e-6  # of singular values: rounding of float32 below


@dataclass(frozen=True)
class Erasure:
    """A fitted erasure: the part of a feature that moves with the factor, how to read it and how to write it.

    `reader.T @ writer` is the identity, so that removing is a projection, along the columns of `writer`.
    """

    mean: Tensor  # (D,)
    reader: Tensor  # (D, R)
    writer: Tensor  # (D, R)
    counts: Tensor  # (D,), whether a feature varied enough in fitting

    def keep(self, features: Tensor) -> Tensor:
        """(N, D) features -> (N, R) float64, R <= T: what `remove` takes away, white on the fitting images."""
        return (features.double() - self.mean) @ self.reader

    def remove(self, features: Tensor) -> Tensor:
        """(N, D) features -> (N, D) in their dtype: less `keep(features) @ writer.T`; at the mean where none count."""
        removed = features.double() - self.keep(features) @ self.writer.T
        return torch.where(self.counts, removed, self.mean).to(features.dtype)


def fit_erasure(features: Tensor, targets: Tensor) -> Erasure:
    r"""Least-squares concept erasure (LEACE) of (N, T) `targets` from (N, D) `features`, in closed form.

    .. math:: r(x) = x - W^+ P W (x - \mu), \quad W = (\Sigma_{xx}^{1/2})^+

    with P the orthogonal projection onto the columns of :math:`W \Sigma_{xz}` (Belrose et al. 2023, arXiv 2306.03819,
    section 4). Of all affine maps after which no feature covaries with a target, so that linear regression on the
    fitting images finds nothing better than the mean, r changes these images' features least, in mean square and in
    every other quadratic norm. What is not linear in the features may stay. The R columns of `keep` carry all that
    linear regression knows of the targets.

    Features that hardly ever vary (`lib.measures.regression.varying`) do not count and are set to their mean: by chance
    they covary with the targets a little, so the projection would write the targets into them, and on images for which
    such a feature is constant they could be read there without noise. Directions along which the features vary less
    than `TOLERANCE` times as much as along the widest do not count either, nor do those whose correlation with the
    (standardised) targets is below `TOLERANCE`. With no more images than features, W is a pseudo-inverse, every target
    is predicted by chance, and r says little of other images.
    """
    check_pairs(features, targets)
    if (features == features[0]).all() or (targets == targets[0]).all():
        raise BadInput("erasure needs features and targets that vary: all images have the same")
    x, z = features.double(), targets.double()
    mean, counts, z = x.mean(dim=0), varying(x), z - z.mean(dim=0)
    present = (targets != targets[0]).any(dim=0)  # a class without an image has nothing to erase
    z = z[:, present] / z[:, present].norm(dim=0)
    # With centred features L S V', and N times the covariances, W = V S^-1 V' and W S_xz = V L' z: no small number is
    # divided by, and the singular values of L' z are correlations.
    left, spread, right = torch.linalg.svd((x - mean) * counts, full_matrices=False)
    wide = spread > TOLERANCE * spread[0]
    left, spread, right = left[:, wide], spread[wide], right[wide]
    basis, correlation, _ = torch.linalg.svd(left.T @ z, full_matrices=False)
    basis = basis[:, correlation > TOLERANCE]
    scale = len(x) ** 0.5
    reader = right.T @ (basis / spread[:, None]) * scale
    writer = right.T @ (basis * spread[:, None]) / scale
    return Erasure(mean, reader, writer, counts)
