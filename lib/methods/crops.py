"""What SwAV and DINO do with many crops of different sizes: one pass of the encoder a size, one of the head, and one
loss over pairs."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.precision import own_precision


def one_pass_per_size(encoder: nn.Module, head: nn.Module, views: list[Tensor]) -> list[Tensor]:
    """`head` of `encoder` of every view, in the order of `views`, which have as many images each.

    The encoder reads the views of one size as one batch, and the head the features of all sizes as one: batch norm in
    the encoder sees all views of a size together, and in the head all views, as in the authors' codes of SwAV and DINO.
    """
    features: dict[int, Tensor] = {}
    for size in dict.fromkeys(view.shape[-1] for view in views):
        places = [place for place, view in enumerate(views) if view.shape[-1] == size]
        joined = encoder(torch.cat([views[place] for place in places]))
        features |= zip(places, joined.chunk(len(places)), strict=True)
    return list(head(torch.cat([features[place] for place in range(len(views))])).chunk(len(views)))


@own_precision
def cross_prediction(scores: list[Tensor], targets: list[Tensor], temperature: float) -> Tensor:
    r"""Every view predicts the targets of the other large views: V scores and T <= V targets, (N, K) each -> scalar.

    .. math:: \frac{1}{T (V - 1)} \sum_{t = 1}^{T} \sum_{v \ne t} -\frac1N \sum_n \sum_k q_{nk}^{(t)}
              \log \frac{\exp(s_{nk}^{(v)} / \tau)}{\sum_{k'} \exp(s_{nk'}^{(v)} / \tau)}

    The loss of SwAV (2006.09882, equations 2 and 6) and of DINO (2104.14294, equation 3), averaged over pairs. The
    targets are those of the first T views; their rows sum to 1.
    """
    log_chances = [F.log_softmax(score / temperature, dim=1) for score in scores]
    pairs = [
        -(target * log_chance).sum(dim=1).mean()
        for t, target in enumerate(targets)
        for v, log_chance in enumerate(log_chances)
        if v != t
    ]
    return torch.stack(pairs).mean()
