"""The linear probe: multinomial logistic regression on frozen features, run as far as float32 goes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.inputs import check_features, check_labels
from lib.precision import own_precision, with_gradients

PROTOCOL = 1  # bump when the same features give other numbers
DECAYS = tuple(10.0**power for power in range(-6, 1))  # candidates; the best on validation images is taken
TOLERANCE = 1e-5  # largest entry of the gradient at which a fit stops
REACHED = 1e-4  # what a fit reaches where rounding ends its line search before; see `fit_probe`


@dataclass(frozen=True)
class Probe:
    """A fitted probe: standardisation of the training features, and a linear map to class scores."""

    mean: Tensor  # (D,)
    std: Tensor  # (D,)
    weight: Tensor  # (C, D)
    bias: Tensor  # (C,)
    decay: float  # chosen on validation images
    gradient: float  # largest entry of the gradient at the solution: how far the fit came

    @property
    def converged(self) -> bool:
        """Whether the fit came as far as float32 goes."""
        return self.gradient <= REACHED

    @own_precision
    def scores(self, features: Tensor) -> Tensor:
        """(N, D) features -> (N, C) logits."""
        return F.linear((features - self.mean) / self.std, self.weight, self.bias)

    def predict(self, features: Tensor) -> Tensor:
        """(N, D) features -> (N,) classes."""
        return self.scores(features).argmax(dim=1)


@own_precision
@with_gradients
def fit_probe(train: Tensor, labels: Tensor, validation: Tensor, validation_labels: Tensor) -> Probe:
    r"""Fit on (N, D) `train` features for every decay of `DECAYS`; keep the most accurate on `validation`.

    Minimises, by L-BFGS on the whole set,

    .. math:: \frac{1}{N} \sum_i \mathrm{CE}(W \hat x_i + b, y_i) + \frac{\lambda}{2} \lVert W \rVert^2

    with :math:`\hat x` standardised by the training features. Ties go to the stronger decay.

    A fit stops once the largest entry of the gradient is below `TOLERANCE`, after 2,000 iterations, or where rounding
    leaves its line search no lower point. In float32 the last is usual: of the seven fits on a random ResNet's features
    of 2,000 scenes all stopped so, with gradients of 1e-5 to 4e-5 (a fit in float64 takes two to three times as long
    and reaches `TOLERANCE`). What is reached is the probe's `gradient`, and `converged` whether it is `REACHED`.

    Raises BadInput for features that are not finite, fewer than two training images, no validation image, and labels
    that are not int64, one for each image, of at least 0.
    """
    check_features(train, "fit_probe", "training features", least=2)
    check_features(validation, "fit_probe", "validation features", width=train.shape[1])
    check_labels(labels, len(train), "fit_probe")
    check_labels(validation_labels, len(validation), "fit_probe", what="validation labels")
    labels = labels.clone()  # those that were made in inference mode take no part in gradients
    mean, std = train.mean(dim=0), train.std(dim=0).clamp(min=1e-6)
    classes = int(labels.max()) + 1
    standardised = (train - mean) / std
    weight, bias = train.new_zeros(classes, train.shape[1]), train.new_zeros(classes)
    best, best_accuracy = None, -1.0
    for decay in sorted(DECAYS, reverse=True):  # from strong to weak: each solution starts the next
        weight, bias, gradient = _minimise(standardised, labels, weight, bias, decay)
        probe = Probe(mean, std, weight, bias, decay, gradient)
        accuracy = (probe.predict(validation) == validation_labels).float().mean().item()
        if accuracy > best_accuracy:
            best, best_accuracy = probe, accuracy
    return best  # type: ignore[return-value]


def _minimise(x: Tensor, y: Tensor, weight: Tensor, bias: Tensor, decay: float) -> tuple[Tensor, Tensor, float]:
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=2000, history_size=20, tolerance_grad=TOLERANCE, tolerance_change=0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def objective() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(F.linear(x, weight, bias), y) + decay / 2 * weight.square().sum()
        loss.backward()
        return loss

    solver.step(objective)
    objective()
    gradient = max(weight.grad.abs().max().item(), bias.grad.abs().max().item())
    return weight.detach(), bias.detach(), gradient
