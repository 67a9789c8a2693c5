"""Mixup and CutMix of images in SimCLR: references for learned mixing (arXiv 1710.09412, 1905.04899).

Besides the views, a batch of mixed images goes through the network; each is told from all others in two ways, as the
one image and as the other, weighed by their shares in it (i-Mix, arXiv 2010.08887, has it as a soft label; the
baselines of Westlake-AI/openmixup as two losses, as here). First views are mixed, and the mixed image is compared with
second views: neither of its parts meets its own pixels.

The public SimCLR baseline (`simclr_mix.py`) does something else. It never shuffles what the second loss compares with,
so that both are of the one image; and its loss takes neighbouring rows for a pair, whereas mixed images come before all
others, so that pairs are of two mixed images. Its MoCo baseline has neither fault. We follow what both are meant to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lib.errors import one_of
from lib.inputs import check_batch, real
from lib.methods import simclr
from lib.methods.method import Method
from lib.methods.simclr import SimCLR, nt_xent
from lib.precision import full_precision, own_precision
from lib.world import following

PROTOCOL = 1  # bump when a run with the same settings gives other numbers

MIXES = ("mixup", "cutmix")


@dataclass(frozen=True)
class Settings:
    """A `mix` of None is SimCLR."""

    mix: str | None = "mixup"
    alpha: float = 2.0  # the share of the one image is drawn from Beta(alpha, alpha), as in the public baseline
    weight: float = 1.0  # of the loss of mixed images, as there
    temperature: float = 0.2  # these are SimCLR's
    hidden: int = 512
    projection: int = 128

    def __post_init__(self) -> None:
        if self.mix is not None:
            one_of(self.mix, MIXES, "mix")
        for name, least in (("alpha", 0.01), ("weight", 0)):
            object.__setattr__(self, name, float(real(getattr(self, name), name, least)))


class Mixing(SimCLR):
    """An image's partner is the one after it in the batch, which is in random order, and all have the same share.

    The mix is the same until the optimiser's next step, so that an attack, which changes the views, climbs one loss.
    Mixed images are a batch of their own for batch norm, and cost as much as a third view.
    """

    @staticmethod
    def mixed_of(settings: Settings) -> int:
        return int(settings.mix is not None)

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        sizes = {"hidden": settings.hidden, "projection": settings.projection}
        super().__init__(encoder, simclr.Settings(temperature=settings.temperature, **sizes))
        self.mix, self.weight = settings.mix, settings.weight
        if self.mix:
            self.draws = Draws(settings.alpha)

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        if not self.mix:
            return super().forward(views)
        projections = self.head(self.encoder(torch.cat(views)))
        share, _, *centre = self.draws.numbers
        images, share = blended(views[0], share) if self.mix == "mixup" else pasted(views[0], share, *centre)
        mixed = self.head(self.encoder(images))
        with full_precision(projections):
            first, second = projections.float().chunk(2)
            contrast = mixed_contrast(mixed.float(), second, second, share, self.temperature)
            return {"contrastive": self.loss(first, second), "mixed": self.weight * contrast}

    def after_step(self, progress: float) -> None:
        if self.mix:
            self.draws.next()


METHOD = Method("SimCLR with mixing", "contrastive", Mixing, Settings, PROTOCOL)


class Draws(nn.Module):
    """`numbers` of a step, float32 (4,) on the method's device: two shares from Beta(alpha, alpha), two from 0 to 1.

    They depend on a seed, drawn once, and on how many steps there were; a checkpoint keeps both.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha, self.seed, self.step = alpha, int(torch.randint(1 << 31, (), device="cpu")), 0
        self.register_buffer("numbers", torch.zeros(4))
        self._draw()

    def next(self) -> None:
        self.step += 1
        self._draw()

    def _draw(self) -> None:
        generator = np.random.default_rng((self.seed, self.step))
        drawn = [*generator.beta(self.alpha, self.alpha, size=2), *generator.random(2)]
        for place, value in enumerate(drawn):
            self.numbers[place].fill_(float(value))  # without a wait for the device

    def get_extra_state(self) -> tuple[int, int]:
        return self.seed, self.step

    def set_extra_state(self, state: tuple[int, int]) -> None:
        self.seed, self.step = state


def partners(batch: Tensor) -> Tensor:
    """Of each image, or vector, the one after it; of the last the first."""
    return following(batch)


def blended(images: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Mixup: `share` of each image, a scalar from 0 to 1, and the rest of its partner; the images and that share."""
    return share * images + (1 - share) * partners(images), share


def pasted(images: Tensor, share: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """CutMix: a box of the partner in its place in each image (N, 3, H, W); the images, and what of an image is left.

    The box has 1 - `share` of the area and its centre at a pixel that `x` and `y`, from 0 to 1, say. What reaches
    beyond the image is cut off, so that more of it may be left than `share`.
    """
    height, width = images.shape[-2:]
    side = (1 - share).sqrt()
    inside = []
    for length, at in ((height, y), (width, x)):
        place = torch.arange(length, device=images.device)
        half = (length * side).floor().div(2, rounding_mode="floor")
        inside.append((place - (length * at).floor() + half).floor())
        inside[-1] = (inside[-1] >= 0) & (inside[-1] < 2 * half)
    box = inside[0][:, None] & inside[1]
    return torch.where(box, partners(images), images), 1 - box.float().mean()


@own_precision
def mixed_contrast(mixed: Tensor, ones: Tensor, others: Tensor, share: Tensor, temperature: float) -> Tensor:
    r"""Projections of mixed images and of what they are compared with, (N, D) each: a scalar,

    .. math:: \lambda \, \mathrm{NT\text{-}Xent}(m, z) + (1 - \lambda) \, \mathrm{NT\text{-}Xent}(m, z')

    where z are the `ones` and z' the partners among the `others`. Both have the same negatives, except for their order,
    where the two are the same: the softmax of a mixed image has then soft targets.
    """
    check_batch(mixed)
    return share * nt_xent(mixed, ones, temperature) + (1 - share) * nt_xent(mixed, partners(others), temperature)
