"""The smallest example of an adversary: a linear classifier on pixels, whose worst small change is known exactly.

Scores are x @ w, so that the lead of one class over another is linear in the image: within a ball of radius epsilon the
worst change is epsilon times the sign of the difference of the two classes' weights, and lowers the lead by epsilon
times the sum of its absolute values (Goodfellow et al. 2015, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import pandas as pd
import torch
from torch import Tensor

from lib.chapters.tradeoff.sheets import show
from lib.errors import BadInput
from lib.figures.figure import Figure
from lib.figures.style import use_style
from lib.images import Split

DECAY = 1000.0  # of the ridge regression; of powers of ten the one with the highest accuracy on other scenes


@dataclass(frozen=True)
class LinearAttack:
    """One image (3, S, S), float in [0, 1], that a linear classifier has right, and two changes of it in one ball.

    `lead` is that of its class over the class `taken` that the adversary drives it to; `worst` lowers it by `fall`,
    and one of random signs moves it by `drift`, as a root mean square. `epsilon` is in 255ths. All but the images is
    of the ball itself, whose part outside [0, 1] no image has.
    """

    image: Tensor
    worst: Tensor
    random: Tensor
    name: str
    taken: str
    after_random: str
    lead: float
    fall: float
    drift: float
    epsilon: int


def linear_weights(images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """Ridge regression of classes on pixels: weights (3 S S, classes) and the mean image (3 S S,), float64.

    `images` are float (N, 3, S, S) in [0, 1] and `labels` int64 (N,).
    """
    pixels = images.flatten(1).double()
    mean = pixels.mean(dim=0)
    pixels = pixels - mean
    wanted = torch.nn.functional.one_hot(labels, classes).double() - 1 / classes
    inner = pixels @ pixels.T + DECAY * torch.eye(len(pixels), dtype=torch.float64)
    return pixels.T @ torch.linalg.solve(inner, wanted), mean


def linear_attack(train: Split, test: Split, epsilon: int = 8) -> LinearAttack:
    """The first test image that is right, is turned within `epsilon` 255ths, and stays right under a random change.

    Raises BadInput where there is none.
    """
    radius = epsilon / 255
    weights, mean = linear_weights(train.images.float() / 255, train.labels, len(train.classes))
    images = test.images.float() / 255
    scores = (images.flatten(1).double() - mean) @ weights
    own = test.labels[:, None]
    leads = scores.gather(1, own) - scores
    apart = weights.T[test.labels][:, None] - weights.T  # (N, classes, pixels)
    falls = radius * apart.abs().sum(dim=2)
    signs = torch.randn(images[0].shape, generator=torch.Generator().manual_seed(0)).sign()
    random = (images + radius * signs).clamp(0, 1)
    after = ((random.flatten(1).double() - mean) @ weights).argmax(dim=1)
    target = (leads - falls).scatter(1, own, torch.inf).argmin(dim=1)
    worst = (
        (images - radius * apart[torch.arange(len(images)), target].sign().reshape(images.shape)).clamp(0, 1).float()
    )
    found = ((worst.flatten(1).double() - mean) @ weights).argmax(dim=1)
    fit = (scores.argmax(dim=1) == test.labels) & (after == test.labels) & (found == target)
    if not fit.any():
        raise BadInput(f"no image here is right and turned by the worst change of {epsilon}/255; take more images")
    place = int(fit.int().argmax())
    return LinearAttack(
        images[place], worst[place], random[place],
        test.classes[test.labels[place]], test.classes[target[place]], test.classes[after[place]],
        leads[place, target[place]].item(), falls[place, target[place]].item(),
        radius * apart[place, target[place]].norm().item(), epsilon,
    )  # fmt: skip


def linear_words(found: LinearAttack) -> str:
    """The example in sentences, whose symbols the page has."""
    return (
        f"The classifier's score for {found.name} leads the one for {found.taken} by {found.lead:.3f}. Random changes "
        f"of {found.epsilon}/255 move this lead by {found.drift:.3f}, as a root mean square, since their parts cancel. "
        f"The worst one lowers it by {found.fall:.3f}: all its {found.image.numel():,} parts pull the same way."
    )


def linear_sheet(found: LinearAttack) -> Figure:
    """The image, what was added to it at random and what it becomes, and the same of the worst change."""
    use_style()
    drawing, panels = plt.subplots(1, 5, figsize=(5.4, 1.8))
    half = 0.5 * 255 / found.epsilon  # the largest change of a pixel reaches black or white
    shown = {
        "an image": (found.image, f"taken for\n{found.name}"),  # of one line, a long name leaves its image's width
        "random\nchange": (0.5 + half * (found.random - found.image), ""),
        "image\nand random": (found.random, f"taken for\n{found.after_random}"),
        "worst\nchange": (0.5 + half * (found.worst - found.image), ""),
        "image\nand worst": (found.worst, f"taken for\n{found.taken}"),
    }
    for axes, (title, (image, words)) in zip(panels, shown.items(), strict=True):
        show(axes, image)
        axes.set_title(title, fontsize=10, pad=4)
        axes.set_xlabel(words, fontsize=10, labelpad=3)
    drawing.subplots_adjust(left=0, right=1, bottom=0.25, top=0.82, wspace=0.06)
    return Figure(
        drawing,
        name="fig-linear-adversary",
        caption=f"Two changes of an image by {found.epsilon}/255 in each channel of each pixel, drawn amplified, and "
        "what a linear classifier on pixels takes the image for. The worst change is known in closed form.",
        alt=f"An image that a linear classifier takes for {found.name}, with a random change, after which it is taken "
        f"for {found.after_random}, and with the worst change, after which it is taken for {found.taken}.",
        data=pd.DataFrame(
            {"change": ["none", "random", "worst"], "taken for": [found.name, found.after_random, found.taken],
             "largest change (255ths)": [255 * (own - found.image).abs().max().item()
                                         for own in (found.image, found.random, found.worst)]}
        ),
        pixels=True,
    )  # fmt: skip
