"""The smallest example of an invariance loss: two crops of one image, and which images each is taken for."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lib.chapters.relicv2.numbers import default
from lib.errors import BadInput
from lib.figures.prose import listed

CROP, OTHER_CROP = (0.6, 0.5, 0.3), (0.6, 0.3, 0.5)  # cosines with the own image, and with two others


def taken_for(cosines: Sequence[float], temperature: float) -> Tensor:
    """The probability with which a crop is taken for each image, by its `cosines` with these: (images,), float64.

    Raises BadInput for fewer than two images, or a temperature that is not above zero.
    """
    if len(cosines) < 2 or not temperature > 0:
        raise BadInput(
            f"a crop is taken for one of two images or more, at a temperature above zero; not for {len(cosines)}, "
            f"at {temperature!r}"
        )
    return (torch.tensor(cosines, dtype=torch.float64) / temperature).softmax(dim=0)


def divergence(q: Tensor, p: Tensor) -> float:
    """KL(q || p) of two distributions (images,) without a zero, in nats."""
    return (q * (q / p).log()).sum().item()


def mistaken_words(crop: Sequence[float] = CROP, other: Sequence[float] = OTHER_CROP) -> str:
    """The example in sentences: cosines of two crops of one image, the own image first, and what both terms say."""
    temperature = default("temperature")
    p, q = taken_for(crop, temperature), taken_for(other, temperature)
    apart = divergence(q, p)
    return (
        f"At a temperature of {temperature:g}, a crop whose cosines are {_numbers(crop)}, with its own image first, is "
        f"taken for these images with {_percent(p)} %, and its first term is {-p[0].log().item():.2f}. A second crop "
        f"has {_numbers(other)}: it is taken for them with {_percent(q)} %, and its first term is "
        f"{-q[0].log().item():.2f}. The divergence between both is {apart:.2f}."
    )


def _numbers(cosines: Sequence[float]) -> str:
    return listed([f"{cosine:g}" for cosine in cosines])


def _percent(shares: Tensor) -> str:
    return listed([f"{100 * share:.0f}" for share in shares.tolist()])
