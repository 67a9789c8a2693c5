"""The smallest example of a negative without meaning: two encoders made by hand, of which one sees colour alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from lib.errors import BadInput
from lib.views import View, make_view, patch_negatives

TEMPERATURE, ALPHA = 0.2, 2.0  # MoCo v2's, and the paper's
THUMBNAIL = 8  # pixels a side
CROPS = View(crop_scale=(0.6, 1.0), flip=0.0, jitter=0.0, grey=0.0)  # that leave colours and left and right alone


@dataclass(frozen=True)
class Seen:
    """How similar an encoder finds a query, on average, to its other view, to its patch negative and to another image,
    as cosines; and the share of the softmax over `keys` keys and the negative that the negative takes, in percent."""

    view: float
    negative: float
    other: float
    share: float
    keys: int


def mean_colour(images: Tensor) -> Tensor:
    """Of images (N, 3, S, S): (N, 3)."""
    return images.float().mean((2, 3))


def grey_layout(images: Tensor) -> Tensor:
    """A grey thumbnail of images (N, 3, S, S) less its mean: (N, `THUMBNAIL` squared), where light and dark are."""
    small = adaptive_avg_pool2d(images.float().mean(1, keepdim=True), THUMBNAIL).flatten(1)
    return small - small.mean(dim=1, keepdim=True)


def seen(encode: Callable[[Tensor], Tensor], query: Tensor, view: Tensor, negative: Tensor) -> Seen:
    """Of images (N, 3, S, S) float in [0, 1], line by line a query, its other view and a negative of it, what `encode`,
    (N, 3, S, S) -> (N, D), finds similar. The other views of the batch are the keys, features less their mean.

    Raises BadInput for fewer than two images.
    """
    count = len(query)
    if count < 2:
        raise BadInput(f"a query is compared with other images: give two images or more, not {count}")
    mean = encode(view).mean(dim=0)
    queries, keys, negatives = (normalize(encode(images) - mean, dim=1) for images in (query, view, negative))
    similar = queries @ keys.T
    repelled = (queries * negatives).sum(dim=1)
    own = torch.eye(count, dtype=torch.bool, device=similar.device)
    terms = torch.cat([similar, ALPHA * repelled[:, None]], dim=1) / TEMPERATURE
    return Seen(
        similar[own].mean().item(), repelled.mean().item(), similar[~own].mean().item(),
        100 * terms.softmax(dim=1)[:, -1].mean().item(), count,
    )  # fmt: skip


def surface_example(images: Tensor, seed: int = 0) -> dict[str, Seen]:
    """What an encoder of mean colours ("colour") and one of grey thumbnails ("layout") make of crops of images
    (N, 3, S, S), uint8, and of patch negatives of these."""
    generator = torch.Generator(images.device).manual_seed(seed)
    query, view = (make_view(images, CROPS, generator) for _ in range(2))
    negative = patch_negatives(query, generator)
    return {name: seen(encode, query, view, negative) for name, encode in
            (("colour", mean_colour), ("layout", grey_layout))}  # fmt: skip


def surface_words(found: dict[str, Seen]) -> str:
    """The example in sentences, whose symbols the page has."""
    colour, layout = found["colour"], found["layout"]
    return (
        f"By mean colour alone, a query's cosine with its other view is {colour.view:.2f} and with a patch negative "
        f"{colour.negative:.2f}. By a grey thumbnail of {THUMBNAIL} x {THUMBNAIL} pixels they are {layout.view:.2f} "
        f"and {layout.negative:.2f}. Among {colour.keys} keys, the negative takes {colour.share:.0f} % of the softmax "
        f"by colour and {layout.share:.0f} % by layout."
    )
