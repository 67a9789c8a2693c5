"""Square Attack: random search that asks for scores alone (Andriushchenko et al. 2020, arXiv 1912.00049).

What it finds and gradients do not, gradients were kept from finding: a model that looks robust because its gradients
are useless is found out by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from lib.held import held
from lib.inputs import whole
from lib.precision import own_precision
from lib.randomness import uniform
from lib.shifts.adversary.apgd import Logits, margin
from lib.shifts.adversary.ball import epsilon_of, labels_of, pixels_of, seeds_of

SHARE = 0.8  # of the pixels in the first squares
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)  # of this share, in a search of 10,000 queries
_BLOCK = 100  # queries between two looks at which images are left


@own_precision
@torch.no_grad()
def square(
    images: Tensor,
    logits: Logits,
    labels: Tensor,
    epsilon: float | str,
    queries: int = 5000,
    *,
    modules: nn.Module | Iterable[nn.Module],
    generator: torch.Generator | None = None,
) -> Tensor:
    """Adversarial copies of `images` (N, 3, H, W), float32 in [0, 1], in the L-infinity ball: algorithms 1 and 2.

    Starts from vertical stripes of +-epsilon. Each query sets one square, in each channel to +epsilon or -epsilon, and
    keeps it where the margin of the wrong classes grew. `modules` are those that `logits` uses, held in "eval" mode.

    The device is waited for once in a hundred queries, to go on with the images that are still right.
    """
    images, epsilon = pixels_of(images), epsilon_of(epsilon)
    labels, seeds = labels_of(labels, images), seeds_of(images, generator)
    queries = whole(queries, "queries")
    count, channels, height, width = images.shape
    rows = torch.arange(height, device=images.device)[:, None]
    columns = torch.arange(width, device=images.device)

    def signs(draws: Tensor) -> Tensor:
        return torch.where(draws < 0.5, -epsilon, epsilon)

    def lead(tried: Tensor, labels: Tensor) -> Tensor:
        return margin(logits(tried).float(), labels)

    with held(modules):
        labels_of(labels, images, logits(images[:1]).shape[1])
        stripes = signs(uniform(seeds, (channels, 1, width)))
        adversarial = (images + stripes).clamp(0, 1)
        reached = lead(adversarial, labels)
        for first in range(1, queries, _BLOCK):
            left = (reached <= 0).nonzero().flatten()
            if len(left) == 0:
                break
            image, label, best, most = images[left], labels[left], adversarial[left], reached[left]
            for query in range(first, min(first + _BLOCK, queries)):
                halvings = sum(query * 10_000 > place * queries for place in HALVINGS)
                side = max(1, round(math.sqrt(SHARE / 2**halvings * height * width)))
                side = min(side, height, width)
                draws = uniform(seeds[left], (2 + channels, 1, 1), stream=query)
                top, start = (draws[:, :1] * (height - side + 1)).floor(), (draws[:, 1:2] * (width - side + 1)).floor()
                inside = (rows >= top) & (rows < top + side) & (columns >= start) & (columns < start + side)
                tried = torch.where(inside, (image + signs(draws[:, 2:])).clamp(0, 1), best)
                gained = lead(tried, label)
                better = gained > most
                best = torch.where(better[:, None, None, None], tried, best)
                most = torch.where(better, gained, most)
            adversarial[left], reached[left] = best, most
    return adversarial
