"""Nearest neighbours: the accuracy that needs no training of a head."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadInput
from lib.inputs import check_features, check_labels, real, whole
from lib.precision import own_precision

PROTOCOL = 1  # bump when the same features give other numbers
NEIGHBOURS = 20  # DINO's


@own_precision
def knn_predict(
    train: Tensor,
    labels: Tensor,
    features: Tensor,
    k: int = NEIGHBOURS,
    temperature: float = 0.07,
    batch_size: int = 1024,
) -> Tensor:
    """The class of each of (M, D) `features` by its `k` nearest (N, D) `train` features in cosine similarity.

    A neighbour of similarity s votes with weight exp(s / temperature) (Wu et al., arXiv 1805.01978,
    section 3.4, with the k and temperature that DINO uses, arXiv 2104.14294). Returns int64 (M,).
    Raises BadInput for features that are not finite, and for labels that are not int64 (N,) of at least 0.

    >>> train, labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([3, 7])
    >>> knn_predict(train, labels, torch.tensor([[2.0, 0.5], [-1.0, 4.0]]), k=1)
    tensor([3, 7])
    """
    check_features(train, "knn_predict", "training features")
    check_features(features, "knn_predict", least=0, width=train.shape[1])
    check_labels(labels, len(train), "knn_predict")
    try:
        k = whole(k, "k", 1, len(train))
    except BadInput as error:
        raise BadInput(f"{error}: there are {len(train)} training images, and so many neighbours at most") from None
    if real(temperature, "temperature", 0) == 0:
        raise BadInput("temperature is a number above 0, not 0")
    train, features = F.normalize(train, dim=1), F.normalize(features, dim=1)
    votes = []
    for batch in features.split(batch_size):
        similarity, neighbours = (batch @ train.T).topk(k, dim=1)  # (B, k)
        ballot = torch.zeros(len(batch), int(labels.max()) + 1, device=train.device)
        ballot.scatter_add_(1, labels[neighbours], ((similarity - 1) / temperature).exp())
        votes.append(ballot.argmax(dim=1))
    return torch.cat(votes)
