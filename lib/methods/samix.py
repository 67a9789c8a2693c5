"""SAMix: a small network learns how images are to be mixed for contrastive learning (arXiv 2111.15454).

A mixer looks at the feature maps of an image and its partner and says of each pixel how much of the partner is shown.
The encoder learns from mixed images as in `lib.methods.mixing`. The mixer learns, through a slow copy of the encoder
that stays as it is meanwhile, to make images that are told from all others as the one and the other by their shares
(global), and from each other by them (local), and masks whose mean is near the share and that are not flat.

We had the paper's abstract and first section, the official code (Westlake-AI/openmixup, `moco_samix.py` and
`pmix_block.py`) and the settings of its ImageNet run of MoCo v2 under the method's earlier name, whose values these
are. What is different:

- it stands on SimCLR, so that plain mixing is its reference; the code stands on MoCo v2 and tells from its queue what
  ours tells from the batch. The slow copy is MoCo's;
- a partner is the next image of the batch, for both of the images that are mixed of a pair in a step, one for the
  encoder and one for the mixer. The code shuffles for each, and the second time feature maps that were shuffled: the
  mask is then of another image than the partner. That is not repeated;
- masks are not blurred, the mixer has no dropout, and the local loss does not extrapolate its targets: all three draw
  random numbers within a pass, and runs here can be resumed;
- the mixer is trained at the encoder's rate, of which the code gives it a third;
- the variant with pseudo-labels and that with a pretrained mixer are left out;
- of an encoder without feature maps the mixer sees patches of 4 x 4 pixels.

Maps are of the encoder's third stage, 8 x 8 at 32 px; a transformer has one stage, its last tokens in their places. A
key's bias would cancel in the softmax, so it has none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadInput
from lib.inputs import real, whole
from lib.methods import simclr
from lib.methods.method import Method
from lib.methods.mixing import Draws, mixed_contrast, partners
from lib.methods.simclr import SimCLR
from lib.methods.target import follow, slow_copy
from lib.precision import full_precision, own_precision
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers

PATCH = 4  # pixels, where an encoder has no maps
MARGIN = 0.1  # by which the mean of all masks may miss the share before that costs anything


@dataclass(frozen=True)
class Settings:
    """A `weight` of 0 is SimCLR, without a mixer."""

    weight: float = 1.0  # of the loss of mixed images
    local: float = 1.0  # eta, of the local loss at the first step; falls to 0 by a cosine
    mask: float = 0.1  # weight of the loss of masks at the first step; falls with it
    alpha: float = 2.0  # shares are drawn from Beta(alpha, alpha)
    layer: int = 2  # the stage whose maps the mixer sees, counted from 0; the last one of an encoder with fewer
    tolerance: float = 0.05  # the encoder's masks whose mean misses the share by more are scaled to it
    plain: float = 0.1  # shares nearer than that to 0 or 1 are plain mixup for the encoder
    momentum: float = 0.99  # of the slow copy, as in our MoCo v2
    temperature: float = 0.2
    hidden: int = 512
    projection: int = 128

    def __post_init__(self) -> None:
        for name, least, most in (
            ("weight", 0, torch.inf), ("local", 0, torch.inf), ("mask", 0, torch.inf), ("alpha", 0.01, torch.inf),
            ("tolerance", 0, 1), ("plain", 0, 0.5), ("momentum", 0, 1), ("temperature", 0.001, torch.inf),
        ):  # fmt: skip
            object.__setattr__(self, name, float(real(getattr(self, name), name, least, most)))
        object.__setattr__(self, "layer", whole(self.layer, "layer", 0, 3))


class SAMix(SimCLR):
    """First views are mixed with second views of their partners, and compared with the other view of each.

    That costs two passes more than SimCLR: of images for the encoder, and of images for the mixer, which go through the
    slow copy and back.
    """

    @staticmethod
    def mixed_of(settings: Settings) -> int:
        return 2 if settings.weight else 0

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        sizes = {"hidden": settings.hidden, "projection": settings.projection}
        super().__init__(encoder, simclr.Settings(temperature=settings.temperature, **sizes))
        self.settings = settings
        if settings.weight:
            self.slow, self.slow_head = slow_copy(encoder), slow_copy(self.head)
            self.channels = _channels(self.slow)
            self.layer = min(settings.layer, len(self.channels) - 1)
            self.mixer = Mixer(self.channels[self.layer] if self.channels else 3 * PATCH**2)
            self.draws = Draws(settings.alpha)
            self.register_buffer("annealing", torch.ones(()))

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        if not self.settings.weight:
            return super().forward(views)
        projections = self.head(self.encoder(torch.cat(views)))
        with torch.no_grad():
            maps, keys = zip(*(self._seen(view) for view in views), strict=True)
        share, another = self.draws.numbers[:2]
        with torch.no_grad():
            mask = self._mask(views, maps, share)
            mask = adjusted(mask, share, self.settings.tolerance, self.settings.plain)
        mixed = self.head(self.encoder(shown(views, mask)))
        learnt = self._mask(views, maps, another)
        seen = self.slow_head(self.slow(shown(views, learnt)))
        with full_precision(projections):
            first, second = projections.float().chunk(2)
            contrast = mixed_contrast(mixed.float(), second, first, share, self.temperature)
            terms = {"contrastive": self.loss(first, second), "mixed": self.settings.weight * contrast}
            return terms | self._mixer_terms(seen.float(), [key.float() for key in keys], learnt, another)

    def _seen(self, view: Tensor) -> tuple[Tensor, Tensor]:
        """Of a view by the slow copy: the maps that the mixer sees, and the projection."""
        if not self.channels:
            return F.pixel_unshuffle(view, PATCH), self.slow_head(self.slow(view))
        maps = self.slow.maps(view)
        return maps[self.layer], self.slow_head(maps[-1].mean(dim=(2, 3)))

    def _mask(self, views: list[Tensor], maps: tuple[Tensor, Tensor], share: Tensor) -> Tensor:
        with full_precision(views[0]):
            return self.mixer(maps[0].float(), partners(maps[1].float()), share, tuple(views[0].shape[-2:]))

    def _mixer_terms(self, seen: Tensor, keys: list[Tensor], mask: Tensor, share: Tensor) -> dict[str, Tensor]:
        settings = self.settings
        contrast = mixed_contrast(seen, keys[1], keys[0], share, self.temperature)
        between = local_contrast(seen, keys[1], partners(keys[0]), share, self.temperature)
        return {
            "mixer, global": contrast,
            "mixer, local": settings.local * self.annealing * between,
            "mixer, masks": settings.mask * self.annealing * mask_loss(mask, share),
        }

    def after_step(self, progress: float) -> None:
        if self.settings.weight:
            follow(self.slow, self.encoder, self.settings.momentum)
            follow(self.slow_head, self.head, self.settings.momentum)
            self.annealing.fill_((1 + math.cos(math.pi * progress)) / 2)
            self.draws.next()


METHOD = Method("SAMix", "contrastive", SAMix, Settings, PROTOCOL)


class Mixer(nn.Module):
    """How much of the other image to show at each pixel, by how each place of the one attends to the other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(channels // 2, 1)
        self.query = nn.Conv2d(2 * channels, inner, 1)
        self.key = nn.Conv2d(2 * channels, inner, 1, bias=False)
        self.value = nn.Sequential(
            nn.Conv2d(channels, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(), nn.Conv2d(inner, 1, 1)
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):  # masks are flat at first
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias) if layer.bias is not None else None

    def forward(self, one: Tensor, other: Tensor, share: Tensor, sides: tuple[int, int]) -> Tensor:
        """Maps (N, C, h, w) of both, the scalar `share` of the one, and H and W: (N, 1, H, W), from 0 to 1."""
        known = rescaled(share)
        one, other = one * (1 + known), other * (2 - known)
        both = torch.cat((one, other), dim=1)
        query, key = self.query(both).flatten(2), self.key(both).flatten(2)  # (N, C / 2, h w)
        attention = (query.mT @ key / query.shape[1] ** 0.5).softmax(dim=2)
        logits = self.value(other).flatten(2) @ attention.mT  # (N, 1, h w): of each place of the one
        return F.interpolate(logits.unflatten(2, one.shape[-2:]), size=sides, mode="bilinear").sigmoid()


def rescaled(share: Tensor) -> Tensor:
    """The share as the mixer is told it: the same at 0, a half and 1, and nearer to a half between."""
    return (4 / 3 * share**3 - 2 * share**2 + 2 * share) * 0.75


def shown(views: list[Tensor], mask: Tensor) -> Tensor:
    """First views, and where the mask is 1 the second views of their partners."""
    return (1 - mask) * views[0] + mask * partners(views[1])


@own_precision
def adjusted(mask: Tensor, share: Tensor, tolerance: float, plain: float) -> Tensor:
    """Masks (N, 1, H, W) whose mean fits the `share` of the one image, a scalar.

    What the larger part has too much is scaled away, so that no pixel leaves 0 to 1. A share of at most `plain`, or as
    near to 1, is given to all pixels alike.
    """
    own = 1 - mask.clamp(1e-6, 1 - 1e-6)
    mean = own.mean(dim=(1, 2, 3), keepdim=True)
    less, more = own * share / mean, 1 - (1 - own) * (1 - share) / (1 - mean)
    own = torch.where(mean > share + tolerance, less, torch.where(mean < share - tolerance, more, own))
    return 1 - torch.where((share <= plain) | (share >= 1 - plain), share, own)


@own_precision
def local_contrast(mixed: Tensor, ones: Tensor, others: Tensor, share: Tensor, temperature: float) -> Tensor:
    r"""Which of its two images a mixed one is, projections (N, D) each: a scalar,

    .. math:: -\lambda \log \frac{e^{s}}{e^{s} + e^{s'}} - (1 - \lambda) \log \frac{e^{s'}}{e^{s} + e^{s'}}

    with s and s' the cosines to `ones` and `others` over the temperature, averaged over images.
    """
    first, second = (F.cosine_similarity(mixed, part, dim=1) / temperature for part in (ones, others))
    return (share * F.softplus(second - first) + (1 - share) * F.softplus(first - second)).mean()


@own_precision
def mask_loss(mask: Tensor, share: Tensor) -> Tensor:
    """How far the mean of all masks (N, 1, H, W) is from 1 - `share`, squared, beyond a margin; less twice their
    variance."""
    # Of the masks of several processes: the variance of all is that within each and that of their means.
    means, variances = gathered(mask.mean()[None]), gathered(mask.var(correction=0)[None])
    missed = (1 - means.mean() - share).square() - MARGIN**2
    return missed.clamp_min(0) - 2 * (variances.mean() + means.var(correction=0))


@torch.no_grad()
def _channels(encoder: nn.Module) -> list[int]:
    """Of the encoder's maps behind each stage; none where it has no maps."""
    if not hasattr(encoder, "maps"):
        return []
    training, image = encoder.training, torch.zeros(1, 3, 32, 32, device=next(encoder.parameters()).device)
    try:
        return [stage.shape[1] for stage in encoder.eval().maps(image)]
    except BadInput:
        return []
    finally:
        encoder.train(training)
