"""Watching a training run: the accuracy by nearest neighbours, cheap enough for every epoch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.images import Split
from lib.inputs import check_features, check_labels
from lib.measures.features import extract
from lib.measures.knn import knn_predict
from lib.precision import autocast, own_precision
from lib.shifts.adversary import cross_entropy, fgsm, held, pgd

# Shares of the number of training images. An image costs a forward pass here and about eight times that in training
# (two views, made, forward and backward), so that these cost 0.12 / 8 = 1.5 % of an epoch.
BANK, QUERIES = 0.1, 0.02
MOST = 5_000, 1_000  # images; of a large set, whose batches several processes may share while one is asked here


def neighbour_monitor(train: Split, validation: Split, precision: str) -> Callable[[nn.Module], dict[str, float]]:
    """For `lib.training.train`: {"knn accuracy": percent} of some validation images, by some training images.

    Coarser than `knn_predict` on all images (a standard error of 2 points with 500 queries): for watching, and for
    noticing a collapse, not for tables.
    """
    bank = train.images[: min(MOST[0], max(1, round(BANK * len(train.images))))]
    queries = validation.images[: min(MOST[1], max(1, round(QUERIES * len(train.images))))]
    labels, answers = train.labels[: len(bank)], validation.labels[: len(queries)]

    def monitor(method: nn.Module) -> dict[str, float]:
        neighbours, features = (extract(method.encoder, images, precision) for images in (bank, queries))
        guesses = knn_predict(neighbours, labels, features, k=min(20, len(bank)))
        return {"knn accuracy": 100 * (guesses == answers).float().mean().item()}

    return monitor


ATTACKED = 128  # validation images, at each epoch


def adversarial_monitor(
    train: Split, validation: Split, precision: str, epsilon: float
) -> Callable[[nn.Module], dict[str, float]]:
    """For `lib.training.train`: `neighbour_monitor`, and how some validation images fare under attack, in percent.

    A linear map by ridge regression on the features of some training images stands in for the probe: "accuracy" is
    that on clean images, "fgsm accuracy" that after one step of `epsilon` and "pgd accuracy" that after ten of a
    quarter. Where the last falls to nothing while the one before stays up, training has overfitted to weak attacks
    (catastrophic overfitting; Wong et al. 2020, arXiv 2001.03994).
    """
    neighbours = neighbour_monitor(train, validation, precision)
    bank, labels = train.images[:1000], train.labels[:1000]
    answers = validation.labels[:ATTACKED]
    queries = validation.images[torch.arange(len(answers))].float().div(255)

    def monitor(method: nn.Module) -> dict[str, float]:
        encoder = method.encoder
        scores = ridge_classifier(extract(encoder, bank, precision).clone(), labels, len(train.classes))

        def logits(images: Tensor) -> Tensor:
            with autocast(images.device, precision):
                features = encoder(images)
            return scores(features.float())

        def loss(images: Tensor) -> Tensor:
            return cross_entropy(logits(images), answers)

        tried = {
            "accuracy": queries,
            "fgsm accuracy": fgsm(queries, loss, epsilon, modules=encoder),
            "pgd accuracy": pgd(queries, loss, epsilon, epsilon / 4, 10, modules=encoder, keep="last"),
        }
        with held(encoder), torch.no_grad():
            right = {name: (logits(images).argmax(dim=1) == answers).float().mean() for name, images in tried.items()}
        return neighbours(method) | {name: 100 * share.item() for name, share in right.items()}

    return monitor


@own_precision
def ridge_classifier(features: Tensor, labels: Tensor, classes: int, decay: float = 0.1) -> Callable[[Tensor], Tensor]:
    """Scores (M, C) of new features (M, D) by ridge regression of one-hot labels (N,) on (N, D), in closed form.

    `decay` is in units of the standardised features' variance, times their number of images.
    """
    check_features(features, "ridge_classifier", least=2)
    check_labels(labels, len(features), "ridge_classifier", classes)
    mean, std = features.mean(dim=0), features.std(dim=0).clamp(min=1e-6)
    x = (features - mean) / std
    y = F.one_hot(labels, classes).to(x)  # a few images may lack a class
    centre = y.mean(dim=0)
    gram = x.T @ x + decay * len(x) * torch.eye(x.shape[1], device=x.device)
    weight = torch.linalg.solve(gram, x.T @ (y - centre))
    return own_precision(lambda new: (new - mean) / std @ weight + centre)
