"""Watching a training run: the accuracy by nearest neighbours, cheap enough for every epoch."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from lib.images import Split
from lib.measures.features import extract
from lib.measures.knn import knn_predict

# Shares of the number of training images. An image costs a forward pass here and about eight times that in training
# (two views, made, forward and backward), so that these cost 0.12 / 8 = 1.5 % of an epoch.
BANK, QUERIES = 0.1, 0.02


def neighbour_monitor(train: Split, validation: Split, precision: str) -> Callable[[nn.Module], dict[str, float]]:
    """For `lib.training.train`: {"knn accuracy": percent} of some validation images, by some training images.

    Coarser than `knn_predict` on all images (a standard error of 2 points with 500 queries): for watching, and for
    noticing a collapse, not for tables.
    """
    bank = train.images[: max(1, round(BANK * len(train.images)))]
    queries = validation.images[: max(1, round(QUERIES * len(train.images)))]
    labels, answers = train.labels[: len(bank)], validation.labels[: len(queries)]

    def monitor(method: nn.Module) -> dict[str, float]:
        neighbours, features = (extract(method.encoder, images, precision) for images in (bank, queries))
        guesses = knn_predict(neighbours, labels, features, k=min(20, len(bank)))
        return {"knn accuracy": 100 * (guesses == answers).float().mean().item()}

    return monitor
