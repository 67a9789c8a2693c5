"""How well frozen features predict a real number, such as a cause of the image: (kernel) ridge regression.

A number with an end and a beginning is its own target; one that runs in a circle (an angle, a hue) is a point on the
circle, so that 359 and 1 degrees are neighbours. All arithmetic is in float64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import whole
from lib.measures.statistics import LEVEL, Interval, bootstrap_interval

PROTOCOL = 2  # bump when the same features give other numbers
DECAYS = tuple(10.0**power for power in range(4, -7, -1))  # candidates of linear regression
KERNEL_DECAYS = tuple(10.0**power for power in range(1, -9, -1))  # a kernel's eigenvalues, over N, add up to one
SCALES = (0.01, 0.1, 1.0)  # candidates of the kernel's gamma, times the number of features
_EQUAL = 1e-9  # errors nearer than this share of the smallest differ by rounding
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


def r_squared(targets: Tensor, predicted: Tensor, mean: Tensor | None = None) -> float:
    r"""The share of the targets' variance that is predicted, at most 1; 0 is what their mean scores.

    .. math:: R^2 = 1 - \frac{\sum_i \lVert y_i - \hat y_i \rVert^2}{\sum_i \lVert y_i - \bar y \rVert^2}

    with (N, T) `targets` y, summed over their T columns: a circular factor has one number, which no turn of its
    origin changes. `mean` (T,) is that of the targets unless given: on shifted images, that of the training targets
    tells whether the features know more than the range.
    """
    residual, spread = _squares(targets, predicted, mean)
    return float(1 - residual.sum() / spread.sum())


def r_squared_outcomes(targets: Tensor, predicted: Tensor) -> np.ndarray:
    r"""What each image adds to R-squared: (N,), with R-squared as its mean, and a mean whose standard error is right.

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


@dataclass(frozen=True)
class Ridge:
    """A fitted linear regression: standardisation of the training features, and an affine map to the targets."""

    mean: Tensor  # (D,)
    std: Tensor  # (D,), infinite where a feature did not vary enough in training
    weight: Tensor  # (D, T)
    bias: Tensor  # (T,)
    decay: float  # chosen on validation images

    def predict(self, features: Tensor) -> Tensor:
        """(N, D) features -> (N, T) float64."""
        return (features.double() - self.mean) / self.std @ self.weight + self.bias


@dataclass(frozen=True)
class KernelRidge:
    """A fitted kernel regression: a sum of Gaussian bumps around the standardised training features."""

    mean: Tensor  # (D,)
    std: Tensor  # (D,), infinite where a feature did not vary enough in training
    points: Tensor  # (M, D) standardised training features
    weight: Tensor  # (M, T)
    bias: Tensor  # (T,)
    gamma: float  # chosen on validation images, as is
    decay: float

    def predict(self, features: Tensor) -> Tensor:
        """(N, D) features -> (N, T) float64."""
        distances = _squared_distances((features.double() - self.mean) / self.std, self.points)
        return torch.exp(-self.gamma * distances) @ self.weight + self.bias


def fit_ridge(
    train: Tensor, targets: Tensor, validation: Tensor, validation_targets: Tensor, decays: Sequence[float] = DECAYS
) -> Ridge:
    r"""Fit (N, T) `targets` on (N, D) `train` for every decay; keep the one of least squared error on `validation`.

    Minimises, for all decays by one eigendecomposition of the smaller of the (D, D) and the (N, N) matrix,

    .. math:: \frac{1}{N} \sum_i \lVert W^\top \hat x_i + b - y_i \rVert^2 + \lambda \lVert W \rVert^2

    with :math:`\hat x` standardised by the training features. scikit-learn's `alpha` is :math:`N \lambda`. The
    decay is one for all T columns, whose errors are added: give one cause at a time, or columns in like units.
    """
    check_pairs(train, targets)
    check_pairs(validation, validation_targets, like=(train, targets))
    fits, predicted = _linear(train.double(), targets.double(), validation.double(), _decreasing(decays), ())
    return fits[_first_of_the_best(_squared_error(predicted, validation_targets).sum(dim=(1, 2)))]


def fit_kernel_ridge(
    train: Tensor,
    targets: Tensor,
    validation: Tensor,
    validation_targets: Tensor,
    decays: Sequence[float] = KERNEL_DECAYS,
    scales: Sequence[float] = SCALES,
) -> KernelRidge:
    r"""Fit as `fit_ridge`, with functions of the Gaussian kernel's space in place of linear ones.

    .. math:: \min_f \frac{1}{N} \sum_i \lVert f(\hat x_i) + \bar y - y_i \rVert^2 + \lambda \lVert f \rVert_k^2,
              \quad k(\hat x, \hat x') = \exp(-\gamma \lVert \hat x - \hat x' \rVert^2)

    scikit-learn's `alpha` is :math:`N \lambda` again. Two independent images are 2 D apart in squared distance, for
    the D features that vary: so gamma is one of `scales` over D. One eigendecomposition of the (N, N) kernel matrix
    serves all decays of a gamma. The intercept is the mean target, and is not fitted along.
    """
    check_pairs(train, targets)
    check_pairs(validation, validation_targets, like=(train, targets))
    fits, predicted = _rbf(
        train.double(), targets.double(), validation.double(), _decreasing(decays), _increasing(scales)
    )
    return fits[_first_of_the_best(_squared_error(predicted, validation_targets).sum(dim=(1, 2)))]


def _first_of_the_best(errors: Tensor) -> int:
    """The first of the smallest of `errors` (K,), where what only rounding tells apart is equal."""
    return int((errors <= errors.min() * (1 + _EQUAL)).int().argmax())


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
    """Predict each of the (N, T) `targets` without its image: (N, T) float64, by nested cross-validation.

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

    The eigendecompositions, nearly all of the work, do not depend on the targets and are made once.
    """
    path = _PATHS[one_of(kernel, _PATHS, "kernel")]
    if not targets:
        raise BadInput("nested regression needs the targets of at least one cause")
    for columns in targets.values():
        check_pairs(features, columns)
    count = len(features)
    folds = whole(folds, "folds", 3, count)  # of two, none would be left for the choice
    decays, scales = (DECAYS, (None,)) if kernel == "linear" else (KERNEL_DECAYS, SCALES)
    candidates = list(product(scales, decays))  # in the order of a path's fits
    x, y = features.double(), torch.cat([columns.double() for columns in targets.values()], dim=1)
    fold = (assign_folds(count, folds, seed) if fold is None else _each_used(fold, folds, count)).to(x.device)

    # Without folds a and b, predict both: b's errors count for the choice with which a is predicted, and the reverse.
    errors = x.new_zeros(folds, len(candidates), y.shape[1])
    for a, b in combinations(range(folds), 2):
        held = (fold == a) | (fold == b)
        _, predicted = path(x[~held], y[~held], x[held], decays, scales)
        squared = _squared_error(predicted, y[held])
        errors[a] += squared[:, fold[held] == b].sum(dim=1)
        errors[b] += squared[:, fold[held] == a].sum(dim=1)

    out_of_fold = torch.empty_like(y)
    cause = torch.repeat_interleave(torch.tensor([columns.shape[1] for columns in targets.values()])).to(x.device)
    for k in range(folds):
        held = fold == k
        best = torch.stack([errors[k][:, cause == c].sum(dim=1).argmin() for c in range(len(targets))])[cause]
        for choice in best.unique():  # causes that chose alike are fitted together
            scale, decay = candidates[choice]
            columns = (best == choice).nonzero()[:, 0]
            _, predicted = path(x[~held], y[~held][:, columns], x[held], (decay,), (scale,))
            out_of_fold[held.nonzero(), columns] = predicted[0]
    return dict(zip(targets, out_of_fold.split([columns.shape[1] for columns in targets.values()], dim=1), strict=True))


def _each_used(fold: Tensor, folds: int, count: int) -> Tensor:
    if fold.shape != (count,) or not torch.equal(fold.unique().cpu(), torch.arange(folds)):
        raise BadInput(f"fold is one of 0 to {folds - 1} for each of {count} images, and each is used")
    return fold


def check_pairs(features: Tensor, targets: Tensor, like: tuple[Tensor, Tensor] | None = None) -> None:
    """Refuse what is not (N, D) features with (N, T) targets, finite, of 2 images or more; of the widths of `like`."""
    if features.ndim != 2 or targets.ndim != 2 or len(features) != len(targets):
        raise BadInput(
            f"features are (N, D) and targets (N, T) of the same images, not {tuple(features.shape)} and "
            f"{tuple(targets.shape)}"
        )
    if len(features) < 2 or 0 in features.shape + targets.shape:
        raise BadInput(f"a regression needs 2 images, a feature and a target at least, not {tuple(features.shape)}")
    if not (features.isfinite().all() and targets.isfinite().all()):
        raise BadInput("features and targets are finite numbers: some are NaN or infinite")
    if like is not None and (features.shape[1], targets.shape[1]) != (like[0].shape[1], like[1].shape[1]):
        raise BadInput("validation images have as many features and targets as those of training")


def _linear(
    train: Tensor, targets: Tensor, held: Tensor, decays: Sequence[float], _: Sequence
) -> tuple[list[Ridge], Tensor]:
    """A fit for each decay, and what each predicts of `held`: (decays, N, T)."""
    mean, std = _standardisation(train)
    x, bias, count = (train - mean) / std, targets.mean(dim=0), len(train)
    if count >= x.shape[1]:
        weight = _solve(x.T @ x / count, x.T @ (targets - bias) / count, decays)
    else:
        weight = x.T @ _solve(x @ x.T / count, (targets - bias) / count, decays)
    fits = [Ridge(mean, std, w, bias, decay) for w, decay in zip(weight, decays, strict=True)]
    return fits, (held - mean) / std @ weight + bias


def _rbf(
    train: Tensor, targets: Tensor, held: Tensor, decays: Sequence[float], scales: Sequence[float]
) -> tuple[list[KernelRidge], Tensor]:
    """A fit for each decay of each scale, and what each predicts of `held`: (scales x decays, N, T)."""
    mean, std = _standardisation(train)
    x, bias, count = (train - mean) / std, targets.mean(dim=0), len(train)
    within, across = _squared_distances(x, x), _squared_distances((held - mean) / std, x)
    varying = max(1, int(std.isfinite().sum()))
    fits, predicted = [], []
    for scale in scales:
        gamma = scale / varying
        weight = _solve(torch.exp(-gamma * within) / count, (targets - bias) / count, decays)
        fits += [KernelRidge(mean, std, x, w, bias, gamma, decay) for w, decay in zip(weight, decays, strict=True)]
        predicted.append(torch.exp(-gamma * across) @ weight + bias)
    return fits, torch.cat(predicted)


_PATHS = {"linear": _linear, "rbf": _rbf}


def _solve(matrix: Tensor, right: Tensor, decays: Sequence[float]) -> Tensor:
    """Solve (matrix + decay I) W = right for each decay: (decays, n, T), for a positive semidefinite (n, n) matrix."""
    if len(decays) == 1:  # a tenth of the work
        damped = matrix + matrix.new_full((len(matrix),), decays[0]).diag()
        return torch.cholesky_solve(right, torch.linalg.cholesky(damped))[None]
    values, vectors = torch.linalg.eigh(matrix)
    damped = values.clamp(min=0) + values.new_tensor(decays)[:, None]  # (decays, n)
    return vectors @ ((vectors.T @ right) / damped[:, :, None])


def _standardisation(train: Tensor) -> tuple[Tensor, Tensor]:
    # A feature that never varied tells nothing; should it vary later, it must not move the prediction: over infinity.
    return train.mean(dim=0), torch.where(varying(train), train.std(dim=0, correction=0), torch.inf)


def _squared_distances(first: Tensor, second: Tensor) -> Tensor:
    squares = first.square().sum(dim=1)[:, None] + second.square().sum(dim=1)
    return (squares - 2 * first @ second.T).clamp(min=0)


def _squared_error(predicted: Tensor, targets: Tensor) -> Tensor:
    return (predicted - targets.double()).square()


def _squares(targets: Tensor, predicted: Tensor, mean: Tensor | None = None) -> tuple[Tensor, Tensor]:
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
    spread = targets - (targets.mean(dim=0) if mean is None else mean.double())
    return _squared_error(predicted, targets).sum(dim=1), spread.square().sum(dim=1)


def _positive(number: float, what: str) -> float:
    if not 0 < number < math.inf:
        raise BadInput(f"{what} is a finite number above 0, not {number}")
    return number


# Of candidates that do equally well the first is taken: the one that smooths most.


def _decreasing(decays: Sequence[float]) -> list[float]:
    return _increasing(decays)[::-1]


def _increasing(candidates: Sequence[float]) -> list[float]:
    if len(candidates) == 0:
        raise BadInput("a fit needs at least one candidate")
    return sorted(_positive(candidate, "a candidate") for candidate in candidates)
