"""Features without a gradient: k-means over whitened patches (Coates, Lee, Ng, AISTATS 2011).

What a trained encoder may be set beside, as beside random weights: linear algebra on the same images.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadInput
from lib.models.encoder import Encoder
from lib.precision import own_precision

SAMPLED = 100_000  # patches that whitening and k-means are fitted on
ROUNDS = 20  # of k-means
CONTRAST = 10 / 255**2  # added to a patch's variance, as in the authors' code: 10 for pixels up to 255
RIDGE = 0.1  # added to the eigenvalues of the covariance of normalised patches, as there


class WhitenedPatches(Encoder):
    """The distances of all patches of an image to `centroids` means, pooled over its four quadrants.

    Each patch of `side` x `side` pixels has its mean and contrast taken away and is whitened. It answers to a centroid
    by how much nearer than its average centroid that one is, or by 0 (the paper's "triangle" code); the sums over each
    quadrant of the places are the 4 x `centroids` features. `normalise_by` fits all of it: on `SAMPLED` random patches
    of the training images, from which the first centroids are drawn as well, by a seed from torch's global generator
    when the encoder is built.
    """

    at_once = 32  # images: the distances of their patches stay near the cache

    def __init__(self, centroids: int = 256, side: int = 6) -> None:
        super().__init__()
        self.side, self.features = side, 4 * centroids
        width = 3 * side * side
        self.register_buffer("seed", torch.randint(2**31, ()))
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("whitening", torch.eye(width))
        self.register_buffer("centroids", torch.zeros(centroids, width))

    @own_precision
    @torch.no_grad()
    def normalise_by(self, images: Tensor) -> None:
        """Fit whitening and centroids to uint8 `images` (N, 3, H, W).

        Raises BadInput for other images, for images smaller than a patch, and where a channel does not vary.
        """
        super().normalise_by(images)
        generator = torch.Generator().manual_seed(int(self.seed))
        sampled = normalised_patches(self._some(images, generator))
        centre, whitening = zca(sampled)
        white = (sampled - centre) @ whitening
        self.centre.copy_(centre)
        self.whitening.copy_(whitening)
        self.centroids.copy_(k_means(white, len(self.centroids), ROUNDS, generator))

    def _some(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Patches (`SAMPLED`, 3 side side) at random places of random images, in [0, 1]."""
        rows, columns = (length - self.side + 1 for length in self._fits(images))
        draw = [torch.randint(high, (SAMPLED,), generator=generator) for high in (len(images), rows, columns)]
        image, top, left = (drawn.to(images.device) for drawn in draw)
        span = torch.arange(self.side, device=images.device)
        down = (top[:, None] + span)[:, None, :, None]
        right = (left[:, None] + span)[:, None, None, :]
        channel = torch.arange(3, device=images.device)[None, :, None, None]
        return images[image[:, None, None, None], channel, down, right].flatten(1).float() / 255

    def _fits(self, images: Tensor) -> tuple[int, int]:
        height, width = images.shape[-2:]
        if min(height, width) <= self.side:
            raise BadInput(
                f"images for patches of {self.side} pixels have at least {self.side + 1} a side, not {height} x {width}"
            )
        return height, width

    @own_precision
    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (length - self.side + 1 for length in self._fits(x))
        patches = F.unfold(x.float(), self.side).transpose(1, 2)  # (N, places, 3 side side)
        white = (normalised_patches(patches) - self.centre) @ self.whitening
        codes = triangle(torch.cdist(white, self.centroids)).transpose(1, 2).unflatten(2, (rows, columns))
        return _quadrants(codes).flatten(1)


def normalised_patches(patches: Tensor) -> Tensor:
    """Patches (..., D) of values in [0, 1], each without its mean and divided by its standard deviation, to which a
    little is added so that flat ones stay flat."""
    centred = patches - patches.mean(dim=-1, keepdim=True)
    return centred / (patches.var(dim=-1, keepdim=True) + CONTRAST).sqrt()


def zca(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Their mean (D,), and the symmetric matrix (D, D) that makes their covariance, plus `RIDGE`, the identity."""
    centre = patches.double().mean(dim=0)
    values, vectors = torch.linalg.eigh(torch.cov(patches.double().T))
    whitening = vectors @ ((values.clamp(min=0) + RIDGE).rsqrt()[:, None] * vectors.T)
    return centre.to(patches), whitening.to(patches)


def k_means(points: Tensor, count: int, rounds: int, generator: torch.Generator) -> Tensor:
    """`count` means (count, D) of (N, D) points by Lloyd's rounds, from random points; a mean that nothing is nearest
    to stays where it is."""
    if len(points) < count:
        raise BadInput(f"k-means needs at least as many points as means, {count}, not {len(points)}")
    means = points[torch.randperm(len(points), generator=generator)[:count].to(points.device)]
    for _ in range(rounds):
        sums, sizes = torch.zeros_like(means), means.new_zeros(count)
        for part in points.split(16_384):  # the distances of all points at once would be large
            nearest = (part @ means.T - means.square().sum(dim=1) / 2).argmax(dim=1)
            sums.index_add_(0, nearest, part)
            sizes += torch.bincount(nearest, minlength=count)
        means = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], means)
    return means


def triangle(distances: Tensor) -> Tensor:
    """How much nearer than the average each of (..., K) distances is, 0 for those that are farther."""
    return F.relu(distances.mean(dim=-1, keepdim=True) - distances)


def _quadrants(codes: Tensor) -> Tensor:
    """Sums of (N, K, rows, columns) over four quadrants: (N, K, 2, 2). The middle of an odd side is in the last."""
    rows, columns = (length // 2 for length in codes.shape[-2:])
    down = torch.stack((codes[:, :, :rows].sum(dim=2), codes[:, :, rows:].sum(dim=2)), dim=2)
    return torch.stack((down[..., :columns].sum(dim=3), down[..., columns:].sum(dim=3)), dim=3)
