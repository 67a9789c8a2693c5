"""The idea by hand: two encoders whose features are known, each of which cannot see one of two changes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.images import Split
from lib.measures.invariance import cosine, fit_whitening
from lib.shifts.transforms import TRANSFORMS, transform
from lib.views.operations import grey

CHANGES = {"h_flip": "flipped", "grayscale": "turned grey"}
SIDE = 4  # of the thumbnail, in pixels


def mean_colour(images: Tensor) -> Tensor:
    """The mean of each channel: (N, 3, S, S), float in [0, 1], -> (N, 3). It does not see where anything is."""
    return images.mean(dim=(2, 3))


def thumbnail(images: Tensor) -> Tensor:
    """Grey means of `SIDE` x `SIDE` parts: (N, 3, S, S), float in [0, 1], -> (N, 16). It does not see colours."""
    return F.adaptive_avg_pool2d(grey(images), SIDE).flatten(1)


BY_HAND = {"the mean colour": mean_colour, "the thumbnail": thumbnail}


def similarities_by_hand(train: Split, test: Split) -> dict[str, dict[str, float]]:
    """Encoder -> change -> mean cosine of whitened features, of test images and their changed copies.

    Features are whitened by the first half of the training images, shrunk as suits the other half best.
    """
    known, images = train.images.float() / 255, test.images.float() / 255
    half = len(known) // 2
    found = {}
    for name, encoder in BY_HAND.items():
        whiten = fit_whitening(encoder(known[:half]), encoder(known[half:]))
        clean = whiten(encoder(images).double())
        found[name] = {}
        for change in CHANGES:
            setting = TRANSFORMS[change].grid(images.shape[-1])[-1].expand(len(images), -1)
            moved = whiten(encoder(transform(images, change, setting)).double())
            found[name][change] = torch.mean(cosine(clean, moved)).item()
    return found


def words_by_hand(found: Mapping[str, Mapping[str, float]]) -> str:
    """The example in a sentence."""
    told = [
        " and ".join(f"{own[change]:.2f} when images are {words}" for change, words in CHANGES.items())
        for own in found.values()
    ]
    parts = [f"of {name} is {numbers}" for name, numbers in zip(found, told, strict=True)]
    return f"The whitened similarity {'; that '.join(parts)}."
