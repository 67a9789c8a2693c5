"""Random views: what a recipe is, how its parameters are drawn, and the recipes of the papers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import check_images
from lib.views import operations
from lib.world import drawn

CHUNK = 256  # images per pass on a CPU: intermediate results stay near the cache
WHOLE_GAUSSIAN = 3.0  # standard deviations that hold all of a Gaussian but 0.27 %: see `operations.gaussian_blur`


@dataclass(frozen=True)
class View:
    """One random view of an image. Probabilities in [0, 1]; ranges as (low, high).

    The colour strengths are half-widths: a brightness of 0.4 draws a factor from 0.6 to 1.4, a hue
    of 0.1 a turn from -0.1 to 0.1 of the circle.

    The blur's kernel reaches `blur_reach` of the largest standard deviation to each side, as far as the borders can be
    reflected; with None it is a tenth of the image's side (SimCLR, arXiv 2002.05709, appendix A), at least 3 pixels,
    and odd. At 32 px these 3 pixels are nearly a box for any sigma above 1: where a source blurs with Pillow, whose
    Gaussian is not cut off, its recipe here has `WHOLE_GAUSSIAN`.
    """

    size: int = 32
    crop_scale: tuple[float, float] = (0.08, 1.0)  # share of the image's area
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)  # width / height
    flip: float = 0.5
    jitter: float = 0.8  # probability of the four colour adjustments
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    grey: float = 0.2
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)  # pixels
    blur_reach: float | None = None  # standard deviations; None: a kernel in proportion to the side
    solarize: float = 0.0
    solarize_threshold: float = 0.5

    def __post_init__(self) -> None:
        for name in ("flip", "jitter", "grey", "blur", "solarize"):
            if not 0 <= getattr(self, name) <= 1:
                raise BadInput(f"{name} is a probability between 0 and 1, not {getattr(self, name)!r}")
        for name in ("crop_scale", "crop_ratio", "blur_sigma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise BadInput(f"{name} is a pair (low, high) with 0 < low <= high, not {getattr(self, name)!r}")
        if self.blur_reach is not None and not 0 < self.blur_reach < math.inf:
            raise BadInput(f"blur_reach is a number of standard deviations above 0 or None, not {self.blur_reach!r}")

    @property
    def blur_kernel(self) -> int:
        """Taps of the blur, odd; its radius is below the side, or the border could not be reflected."""
        if self.blur_reach is None:
            return max(3, self.size // 10 // 2 * 2 + 1)
        return 2 * min(math.ceil(self.blur_reach * self.blur_sigma[1]), self.size - 1) + 1


@dataclass(frozen=True)
class Parameters:
    """What was drawn for N images: the arguments of `lib.views.operations`, a tensor of N each."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor
    flip: Tensor
    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor
    order: Tensor  # (N, 4)
    grey: Tensor
    sigma: Tensor
    threshold: Tensor

    def __getitem__(self, images: slice) -> Parameters:
        return Parameters(*(getattr(self, field.name)[images] for field in fields(self)))


def draw(view: View, count: int, side: tuple[int, int], generator: torch.Generator) -> Parameters:
    """Parameters for `count` images of `side` (height, width) pixels, on the generator's device."""
    device = generator.device

    def chances(*shape: int) -> Tensor:
        return drawn(count, lambda number: torch.rand(number, *shape, generator=generator, device=device))

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return chances(*shape) * (high - low) + low

    def chosen(probability: float) -> Tensor:
        return chances() < probability

    def factor(strength: float) -> Tensor:
        return torch.where(jittered, uniform(max(0, 1 - strength), 1 + strength), 1.0)

    top, left, height, width = _draw_boxes(view, side, uniform)
    jittered = chosen(view.jitter)
    return Parameters(
        top=top,
        left=left,
        height=height,
        width=width,
        flip=chosen(view.flip),
        brightness=factor(view.brightness),
        contrast=factor(view.contrast),
        saturation=factor(view.saturation),
        hue=torch.where(jittered, uniform(-view.hue, view.hue), 0.0),
        order=_permutations(uniform(0, 1, 4)),
        grey=chosen(view.grey),
        sigma=torch.where(chosen(view.blur), uniform(*view.blur_sigma), 0.0),
        threshold=torch.where(chosen(view.solarize), view.solarize_threshold, 2.0),
    )


def _permutations(numbers: Tensor) -> Tensor:
    """The ranks of each row of random numbers (N, K): a random permutation, cheaper than sorting short rows."""
    return (numbers[:, :, None] > numbers[:, None, :]).sum(dim=2)


def _draw_boxes(
    view: View, side: tuple[int, int], uniform: Callable[..., Tensor]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Crop boxes as torchvision's RandomResizedCrop draws them: the first of ten tries that fits, else the centre."""
    rows, columns = side
    area = rows * columns * uniform(*view.crop_scale, 10)
    ratio = uniform(math.log(view.crop_ratio[0]), math.log(view.crop_ratio[1]), 10).exp()
    width, height = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
    fits = (0 < width) & (width <= columns) & (0 < height) & (height <= rows)
    first = fits.int().argmax(dim=1, keepdim=True)  # the first of the largest: the first that fits, or try 0
    height, width = height.gather(1, first)[:, 0], width.gather(1, first)[:, 0]
    top, left = (uniform(0, 1) * (rows - height + 1)).floor(), (uniform(0, 1) * (columns - width + 1)).floor()
    widest, tallest = min(columns, round(rows * view.crop_ratio[1])), min(rows, round(columns / view.crop_ratio[0]))
    none = ~fits.any(dim=1)
    return (
        torch.where(none, (rows - tallest) // 2, top),
        torch.where(none, (columns - widest) // 2, left),
        torch.where(none, tallest, height),
        torch.where(none, widest, width),
    )


def make_view(images: Tensor, view: View, generator: torch.Generator) -> Tensor:
    """A random view of each image: (N, 3, H, W), uint8 or float in [0, 1] -> float (N, 3, size, size) in [0, 1].

    `generator` must live on the images' device. Raises BadInput for other images.

    >>> make_view(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), SIMCLR[0], torch.Generator()).shape
    torch.Size([2, 3, 32, 32])
    """
    check_images(images, "make_view", floats=True)
    return render_checked(images, view, draw(view, len(images), images.shape[-2:], generator))


def render(images: Tensor, view: View, parameters: Parameters) -> Tensor:
    """`apply`, in parts that suit the device."""
    return render_checked(check_images(images, "render", floats=True), view, parameters)


def render_checked(images: Tensor, view: View, parameters: Parameters) -> Tensor:
    """`render` of images that were checked before, such as batches of a set: the device is not waited for."""
    views = torch.empty(len(images), 3, view.size, view.size, device=images.device)
    chunk = CHUNK if images.device.type == "cpu" else max(1, len(images))
    for start in range(0, len(images), chunk):
        part = slice(start, start + chunk)
        views[part] = _applied(images[part], view, parameters[part])
    return views


def apply(images: Tensor, view: View, drawn: Parameters) -> Tensor:
    """The view of each image that `drawn` describes: (N, 3, H, W) -> float (N, 3, size, size) in [0, 1].

    Images are uint8 or float in [0, 1]; raises BadInput for others.
    """
    return _applied(check_images(images, "apply", floats=True), view, drawn)


def _applied(images: Tensor, view: View, drawn: Parameters) -> Tensor:
    out = images.float() if images.is_floating_point() else images.float().div_(255)
    out = operations.resized_crop(out, drawn.top, drawn.left, drawn.height, drawn.width, view.size, drawn.flip)
    if view.jitter:
        out = operations.colour_jitter(out, drawn.brightness, drawn.contrast, drawn.saturation, drawn.hue, drawn.order)
    if view.grey:
        out = operations.to_grey(out, drawn.grey)
    if view.blur:
        out = operations.gaussian_blur(out, drawn.sigma, view.blur_kernel)
    if view.solarize:
        out = operations.solarize(out, drawn.threshold)
    return out


# SimCLR for CIFAR-10: colour strength 0.5 of the ImageNet recipe and no blur (arXiv 2002.05709, appendix B.9).
SIMCLR = (View(), View())

# BYOL (arXiv 2006.07733, appendix B): saturation 0.2, and a pair that differs in blur and solarisation. The
# blur (probability 1 and 0.1 at 224 px) is left out at 32 px, as SimCLR and solo-learn do for CIFAR.
BYOL = (View(saturation=0.2), View(saturation=0.2, solarize=0.2))

# Labels need no pair and no colour: the usual crop and flip of supervised CIFAR training.
SUPERVISED = (View(crop_scale=(0.5, 1.0), jitter=0.0, grey=0.0),)

# Multi-crop (SwAV, arXiv 2006.09882, section 3.3): two large views, and small ones of half the side at a quarter of
# the cost. The paper's small crops show 5 to 14 % of an image, which is a patch of 7 to 12 px here; ours show more.
MULTI_CROP = (View(crop_scale=(0.14, 1.0)),) * 2 + (View(size=16, crop_scale=(0.08, 0.4)),) * 4


def large_and_small(large: int, small: int, size: int = 16) -> tuple[View, ...]:
    """BYOL's views in turn, `large` of them, and `small` crops of `size` pixels, which show less of the image."""
    crop = replace(BYOL[0], size=size, crop_scale=(0.08, 0.4))  # as those of `MULTI_CROP`
    return (*itertools.islice(itertools.cycle(BYOL), large), *(crop,) * small)


def cost(views: Sequence[View]) -> float:
    """What it costs to read `views` of an image, in views of the largest size: by their areas."""
    largest = max(view.size for view in views)
    return sum((view.size / largest) ** 2 for view in views)


# What each augmentation of "Why Do Self-Supervised Models Transfer?" (Ericsson, Gouk and Hospedales, arXiv 2111.11398,
# public code) changes. Its blur, by Pillow, draws a sigma up to 2 pixels of 224, which is nothing at 32 px; ours goes
# to 1 pixel.
_PARTS: dict[str, dict[str, object]] = {
    "crop": {"crop_scale": (0.2, 1.0), "crop_ratio": (3 / 4, 4 / 3)},
    "flip": {"flip": 0.5},
    "jitter": {"jitter": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "grey": {"grey": 0.2},
    "blur": {"blur": 0.5, "blur_sigma": (0.1, 1.0), "blur_reach": WHOLE_GAUSSIAN},
}
# Bump when an encoder that learns to look through a part comes out otherwise. A part that is not named is at 1.
_PART_PROTOCOLS = {"blur": 2}  # 2: a Gaussian that is not cut off at 3 pixels
_ANY_HUE = {"any hue": {"hue": 0.5}}  # ours: jitter that leaves nothing of a hue, where the paper's keeps it to a tenth
_UNCHANGED = {"crop_scale": (1.0, 1.0), "crop_ratio": (1.0, 1.0), "solarize": 0.0} | dict.fromkeys(
    ("flip", "jitter", "grey", "blur"), 0.0
)
# Name to the parts that an encoder learns to look through: the paper's three, each alone, all but one, and all with
# hues turned by any angle.
AUGMENTATIONS: dict[str, tuple[str, ...]] = {
    "default": tuple(_PARTS),
    "spatial": ("crop", "flip"),
    "appearance": ("jitter", "grey", "blur"),
    **{f"only {part}": (part,) for part in _PARTS},
    **{f"no {part}": tuple(other for other in _PARTS if other != part) for part in _PARTS},
    "any hue": (*_PARTS, *_ANY_HUE),
}


def augmented(view: View, augmentation: str) -> View:
    """`view`'s size with the changes of one of `AUGMENTATIONS`, and no other."""
    changes = dict(_UNCHANGED)
    for part in AUGMENTATIONS[one_of(augmentation, AUGMENTATIONS, "augmentation")]:
        changes |= (_PARTS | _ANY_HUE)[part]
    return replace(view, **changes)


def augmentation_protocols(augmentation: str) -> dict[str, int]:
    """The protocols above 1 of the parts of one of `AUGMENTATIONS`: they belong to the identity of a run with it."""
    parts = AUGMENTATIONS[one_of(augmentation, AUGMENTATIONS, "augmentation")]
    return {part: protocol for part, protocol in _PART_PROTOCOLS.items() if part in parts}


def cropped(view: View, least: float) -> View:
    """`view` with crops of at least the share `least` of the image; unchanged if it does not crop."""
    return view if view.crop_scale == (1.0, 1.0) else replace(view, crop_scale=(least, 1.0))


def scaled(view: View, side: int) -> View:
    """`view`, which is written for images of 32 pixels, for those of `side`: its size and its blur in proportion."""
    low, high = (sigma * side / 32 for sigma in view.blur_sigma)
    return replace(view, size=round(view.size * side / 32), blur_sigma=(low, high))
