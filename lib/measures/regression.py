"""How well frozen features predict a real number, such as a cause of the image: (kernel) ridge regression.

A number with an end and a beginning is its own target; one that runs in a circle (an angle, a hue) is a point on the
circle, so that 359 and 1 degrees are neighbours. What is solved is solved by scikit-learn and SciPy, in float64 and on
the CPU.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product

import numpy as np
import torch
from scipy import linalg
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import whole
from lib.measures.statistics import LEVEL, Interval, bootstrap_interval

PROTOCOL = 2  # bump when the same features give other numbers
DECAYS = tuple(10.0**power for power in range(4, -7, -1))  # candidates of linear regression
KERNEL_DECAYS = tuple(10.0**power for power in range(1, -9, -1))  # a kernel's eigenvalues, over N, add up to one
SCALES = (0.01, 0.1, 1.0)  # candidates of the kernel's gamma, times the number of features
_RESOLUTION = 1e-7  # that of float32: a feature that varies less, next to its size, does not vary
_FEWEST = 5  # images in which a feature is not at its median, if it is to count: see `varying`


def encode(values: Tensor, period: float | None = None) -> Tensor:
    """(N,) values as targets: float64 (N, 1), or with a `period` (N, 2), the cosine and sine of the turn they are.

    `period` is in the units of the values: 360 for degrees, 1 for turns.
    """
    if values.ndim != 1 or not values.isfinite().all():
        raise BadInput(f"values are one finite number an image, (N,), not {tuple(values.shape)} or NaN")
    if period is None:
        return values.double()[:, None]
    angle = values.double() * (2 * math.pi / _positive(period, "a period"))
    return torch.stack((angle.cos(), angle.sin()), dim=1)


def angular_error(predicted: Tensor, values: Tensor, period: float) -> Tensor:
    """How far the direction of (N, 2) `predicted` cosines and sines is from (N,) `values`: (N,), in 0..period / 2.

    In the units of `period`, the shorter way round. A prediction's length does not matter; (0, 0) counts as angle 0.
    """
    if values.ndim != 1 or predicted.shape != (len(values), 2):
        raise BadInput(f"predicted is (N, 2) and values (N,), not {tuple(predicted.shape)} and {tuple(values.shape)}")
    turn = _positive(period, "a period") / (2 * math.pi)
    cosine, sine = predicted.double().unbind(dim=1)
    gap = torch.atan2(sine, cosine) * turn - values.double()
    return (torch.remainder(gap + period / 2, period) - period / 2).abs()


def r_squared_outcomes(targets: Tensor, predicted: Tensor) -> np.ndarray:
    r"""What each image adds to R-squared: (N,), with R-squared as its mean, and a mean whose standard error is right.

    .. math:: R^2 = 1 - \frac{\sum_i \lVert y_i - \hat y_i \rVert^2}{\sum_i \lVert y_i - \bar y \rVert^2}

    with (N, T) `targets` y, summed over their T columns: a circular factor has one number, which no turn of its origin
    changes. It is at most 1, and 0 is what the mean target scores. An image adds

    .. math:: R^2 - \left(e_i - (1 - R^2) \, q_i\right) / \bar q

    for the squared residual e and the squared distance q from the mean target: the first-order change of the ratio
    with the weight of image i (the delta method). So `lib.measures.rows.row` can write it.
    """
    residual, spread = _squares(targets, predicted)
    unexplained = residual.mean() / spread.mean()
    return ((1 - unexplained) - (residual - unexplained * spread) / spread.mean()).numpy(force=True)


def r_squared_interval(
    targets: Tensor, predicted: Tensor, resamples: int = 2000, level: float = LEVEL, seed: int = 0
) -> Interval:
    """R-squared of (N, T) `predicted`, with its percentile bootstrap over the images; a fraction, not in percent."""
    residual, spread = _squares(targets, predicted)
    centred = targets.double() - targets.double().mean(dim=0)
    columns = torch.cat((residual[:, None], spread[:, None], centred), dim=1).numpy(force=True)

    def statistic(drawn: np.ndarray) -> float:
        residual, spread, *offset = drawn.mean(axis=(0, 1))
        return 1 - residual / (spread - np.square(offset).sum())  # each resample has its own mean

    return bootstrap_interval(columns[None], statistic, resamples, level, seed)


def varying(features: Tensor) -> Tensor:
    """Which of (N, D) features vary enough to count: bool (D,).

    A unit that is silent for all training images but one or two has a tiny spread there, and one further image in which
    it speaks is a thousand of these spreads away: a single prediction, and with it R-squared, is off by any amount. So
    a feature counts if at least five images, or half of them where these are fewer, differ from its median.
    """
    differ = (features != features.median(dim=0).values).sum(dim=0)
    spread = features.std(dim=0, correction=0) > _RESOLUTION * features.abs().amax(dim=0)
    return spread & (differ >= min(_FEWEST, len(features) // 2))


def assign_folds(count: int, folds: int, seed: int = 0) -> Tensor:
    """Which fold each of `count` shuffled images is in: (count,) of 0..folds-1, in sizes that differ by one at most."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    fold = torch.empty(count, dtype=torch.int64)
    fold[order] = torch.arange(count) % folds
    return fold


def assign_arcs(angles: Tensor, folds: int, period: float) -> Tensor:
    """Folds that are arcs: (N,) of 0..folds-1 for (N,) `angles`, in sizes that differ by one at most.

    The views of a fold are neighbours round the circle, from angle 0 on. Views of a turning object are so near to the
    next ones that a random fold would be read off from these; of an arc only the two views at its ends have a
    neighbour among the others. Equal angles are kept in their order.
    """
    order = torch.remainder(angles.double(), _positive(period, "a period")).argsort(stable=True)
    fold = torch.empty(len(angles), dtype=torch.int64, device=angles.device)
    fold[order] = torch.arange(len(angles), device=angles.device) * folds // len(angles)
    return fold


def nested(
    features: Tensor,
    targets: Tensor,
    folds: int = 5,
    kernel: str = "linear",
    seed: int = 0,
    fold: Tensor | None = None,
) -> Tensor:
    r"""Predict each of the (N, T) `targets` without its image: (N, T) float64, by nested cross-validation.

    .. math:: \min_f \frac{1}{N} \sum_i \lVert f(\hat x_i) + \bar y - y_i \rVert^2 + \lambda \lVert f \rVert_k^2

    with :math:`\hat x` standardised by the training features, and f linear or, for `kernel` "rbf", in the space of
    :math:`k(\hat x, \hat x') = \exp(-\gamma \lVert \hat x - \hat x' \rVert^2)`. Two independent images are 2 D apart
    in squared distance, for the D features that vary: so gamma is one of `SCALES` over D.

    The images of a fold are predicted from all others. The decay (and, for `kernel` "rbf", the gamma) with which
    this is done is chosen on these others alone: each of their folds in turn is predicted from those that remain,
    with every candidate, and the least squared error over all of them decides. So no image has a part in a fit, or in
    a choice, by which it is predicted. `seed` shuffles the images into `folds`, of which there are at least 3; for
    images that are not independent `fold` says instead which of 0..folds-1 each is in (see `assign_arcs`).
    """
    return nested_each(features, {"targets": targets}, folds, kernel, seed, fold)["targets"]


def nested_each(
    features: Tensor,
    targets: Mapping[str, Tensor],
    folds: int = 5,
    kernel: str = "linear",
    seed: int = 0,
    fold: Tensor | None = None,
) -> dict[str, Tensor]:
    """`nested` for several causes, each with a choice of its own, at little more than the cost of one.

    What is decomposed, nearly all of the work, does not depend on the targets and is decomposed once.
    """
    path = _PATHS[one_of(kernel, _PATHS, "kernel")]
    if not targets:
        raise BadInput("nested regression needs the targets of at least one cause")
    for columns in targets.values():
        check_pairs(features, columns)
    count, widths = len(features), [columns.shape[1] for columns in targets.values()]
    folds = whole(folds, "folds", 3, count)  # of two, none would be left for the choice
    decays, scales = (DECAYS, (1.0,)) if kernel == "linear" else (KERNEL_DECAYS, SCALES)
    candidates = list(product(scales, decays))  # in the order of a path's predictions
    x, y = (part.double().numpy(force=True) for part in (features, torch.cat([*targets.values()], dim=1)))
    fold = (assign_folds(count, folds, seed) if fold is None else _each_used(fold, folds, count)).numpy(force=True)

    # Without folds a and b, predict both: b's errors count for the choice with which a is predicted, and the reverse.
    errors = np.zeros((folds, len(candidates), y.shape[1]))
    for a, b in combinations(range(folds), 2):
        held = (fold == a) | (fold == b)
        squared = np.square(path(x[~held], y[~held], x[held], decays, scales) - y[held])
        errors[a] += squared[:, fold[held] == b].sum(axis=1)
        errors[b] += squared[:, fold[held] == a].sum(axis=1)

    out_of_fold = np.empty_like(y)
    cause = np.repeat(np.arange(len(targets)), widths)
    for k in range(folds):
        held = fold == k
        best = np.stack([errors[k][:, cause == c].sum(axis=1).argmin() for c in range(len(targets))])[cause]
        for choice in np.unique(best):  # causes that chose alike are fitted together
            scale, decay = candidates[choice]
            columns = np.flatnonzero(best == choice)
            predicted = path(x[~held], y[~held][:, columns], x[held], (decay,), (scale,))
            out_of_fold[held.nonzero()[0][:, None], columns] = predicted[0]
    found = torch.from_numpy(out_of_fold).to(features.device).split(widths, dim=1)
    return dict(zip(targets, found, strict=True))


def _each_used(fold: Tensor, folds: int, count: int) -> Tensor:
    if fold.shape != (count,) or not torch.equal(fold.unique().cpu(), torch.arange(folds)):
        raise BadInput(f"fold is one of 0 to {folds - 1} for each of {count} images, and each is used")
    return fold


def check_pairs(features: Tensor, targets: Tensor) -> None:
    """Refuse what is not (N, D) features with (N, T) targets, finite, of 2 images or more."""
    if features.ndim != 2 or targets.ndim != 2 or len(features) != len(targets):
        raise BadInput(
            f"features are (N, D) and targets (N, T) of the same images, not {tuple(features.shape)} and "
            f"{tuple(targets.shape)}"
        )
    if len(features) < 2 or 0 in features.shape + targets.shape:
        raise BadInput(f"a regression needs 2 images, a feature and a target at least, not {tuple(features.shape)}")
    if not (features.isfinite().all() and targets.isfinite().all()):
        raise BadInput("features and targets are finite numbers: some are NaN or infinite")


def _linear(
    train: np.ndarray, targets: np.ndarray, held: np.ndarray, decays: Sequence[float], _: Sequence
) -> np.ndarray:
    """What ridge regression with each decay predicts of `held`: (decays, N, T). The mean target is its intercept."""
    from sklearn.linear_model import ridge_regression  # here: it takes seconds, and most pages do without it

    x, asked, _ = _standardised(train, held)
    mean = targets.mean(axis=0)
    options = {"solver": "cholesky", "check_input": False}
    fits = [ridge_regression(x, targets - mean, alpha=len(x) * decay, **options) for decay in decays]
    return np.stack([asked @ fit.reshape(-1, x.shape[1]).T + mean for fit in fits])


def _rbf(
    train: np.ndarray, targets: np.ndarray, held: np.ndarray, decays: Sequence[float], scales: Sequence[float]
) -> np.ndarray:
    """What kernel ridge regression with each decay of each scale predicts of `held`: (scales x decays, N, T)."""
    from sklearn.metrics import pairwise

    x, asked, count = _standardised(train, held)
    mean, predicted = targets.mean(axis=0), []
    for gamma in np.array(scales) / max(1, count):
        within, across = pairwise.rbf_kernel(x, gamma=gamma), pairwise.rbf_kernel(asked, x, gamma=gamma)
        for decay in decays:
            damped = within + len(x) * decay * np.eye(len(x))  # as in sklearn.kernel_ridge, which spends more on checks
            predicted.append(across @ linalg.solve(damped, targets - mean, assume_a="pos") + mean)
    return np.stack(predicted)


_PATHS = {"linear": _linear, "rbf": _rbf}


def _standardised(train: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Both by the mean and spread of `train`, and how many features varied in it.

    One that never varied tells nothing; should it vary later, it must not move the prediction: over infinity.
    """
    counts = varying(torch.from_numpy(train)).numpy()
    mean, std = train.mean(axis=0), np.where(counts, train.std(axis=0), np.inf)
    return (train - mean) / std, (held - mean) / std, int(counts.sum())


def _squares(targets: Tensor, predicted: Tensor) -> tuple[Tensor, Tensor]:
    """Squared distance of each target from its prediction, and from the mean target: (N,), (N,)."""
    if targets.ndim != 2 or targets.shape != predicted.shape or 0 in targets.shape:
        raise BadInput(
            f"targets and predictions are (N, T) of the same images, not {tuple(targets.shape)} and "
            f"{tuple(predicted.shape)}"
        )
    targets, predicted = targets.double(), predicted.double()
    if not (targets.isfinite().all() and predicted.isfinite().all()):
        raise BadInput("targets and predictions are finite numbers: some are NaN or infinite")
    if (targets == targets[0]).all():
        raise BadInput("R-squared is undefined for targets that are all the same: give ones that vary")
    spread = targets - targets.mean(dim=0)
    return (predicted - targets).square().sum(dim=1), spread.square().sum(dim=1)


def _positive(number: float, what: str) -> float:
    if not 0 < number < math.inf:
        raise BadInput(f"{what} is a finite number above 0, not {number}")
    return number
