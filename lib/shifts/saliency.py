"""Saliency: which pixels of an image are its object, found without any human label.

| map                 | what stands out                                                                        |
|---------------------|----------------------------------------------------------------------------------------|
| `spectral_residual` | what a smooth spectrum does not foretell (Hou and Zhang 2007)                          |
| `colour_contrast`   | colours that are rare on the image's frame                                             |
| `geodesic`          | what no path of small changes of colour joins to the frame (Wei et al. 2012)           |
| `centre_prior`      | the middle                                                                             |

All take uint8 images (N, 3, H, W) of any size from `SMALLEST` px and give float32 maps (N, H, W) in [0, 1]. A map is
stretched so that an image's least salient pixel has 0 and its most salient one 1; where nothing stands out it is 0.

`fused` averages the four; `lib.training.masks` has a network that learns from the fused maps of many images. The price
of having no labels is the assumption behind each map: that the frame is background. An object that fills its image, or
that has the colours of what is behind it, is lost in part.

Sources: Hou and Zhang 2007, "Saliency detection: a spectral residual approach" (CVPR); Wei, Wen, Zhu and Sun 2012,
"Geodesic saliency using background priors" (ECCV).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import check_images, told
from lib.memory import sent
from lib.precision import own_precision
from lib.shifts.corruptions.filters import gaussian_blur
from lib.shifts.cues import otsu
from lib.views.operations import grey

FILLS = ("zero", "grey", "mean")
MID_GREY = 128
SMALLEST = 16  # px; a network that learns from the maps halves a side three times
WORKING_SIDE = 64  # px; `fused` and that network see larger images reduced to it, as Hou and Zhang do
BLUR_SHARE = 5 / 64  # of the shorter side: the Gaussian over a spectral residual, wide enough to fill an object
FRAME_SHARE = 1 / 4  # of the frame: a colour that so much of it is near to is a colour of the background
CENTRE_SIGMA = 1 / 4  # of the side
DARK = 40  # of 255, in the brightest channel; the dark cloth behind the objects of COIL is below
TOGETHER = 256  # images that are worked on together
_AT_ONCE = 1 << 23  # distances in memory together, 4 bytes each


# Maps


def spectral_residual(images: Tensor) -> Tensor:
    r"""What is left of the luma when each frequency has the amplitude by which it exceeds its neighbours'.

    With the spectrum :math:`f`, the mean :math:`h` over 3 x 3 frequencies and a Gaussian :math:`g`:

    .. math:: g * |F^{-1}[\exp(\log|f| - h * \log|f| + i \arg f)]|^2

    The mean goes round the edges of the spectrum, which is periodic. Amplitudes below one level count as one and keep
    their size, or the rounding of a flat image would be salient. The Gaussian has `BLUR_SHARE` of the side.
    """
    spectrum = torch.fft.fft2(grey(checked(images, "spectral_residual").double()))
    amplitude = spectrum.abs().clamp(min=1)
    log = amplitude.log()
    expected = F.avg_pool2d(F.pad(log, (1, 1, 1, 1), mode="circular"), 3, stride=1)
    residual = torch.fft.ifft2((log - expected).exp() * spectrum / amplitude).abs().square()
    return _stretched(gaussian_blur(residual, BLUR_SHARE * min(images.shape[-2:]))[:, 0])


def colour_contrast(images: Tensor) -> Tensor:
    """How far a pixel's colour is from those of the frame: the distance in CIELAB within which a quarter of them lie.

    The frame is the outermost pixels; the share is `FRAME_SHARE`. So a background may have up to four colours, and an
    object that touches the frame with less than a quarter of it still stands out.
    """
    return _stretched(_from_frame(lab(images)))


def geodesic(images: Tensor) -> Tensor:
    """The least sum of changes of colour, in CIELAB, on a way from the background to the pixel.

    A way goes from neighbour to neighbour, across and down. It begins anywhere on the frame, at the cost of that
    pixel's distance from the frame's colours (that of `colour_contrast`), since an object may touch the frame. Exact:
    relaxed until nothing changes. After Wei et al. 2012, simplified.
    """
    colours = lab(images)
    return _stretched(_geodesic(colours, _from_frame(colours)))


def centre_prior(images: Tensor) -> Tensor:
    """A Gaussian about the middle, `CENTRE_SIGMA` of each side wide: where photographers put what they mean."""
    height, width = checked(images, "centre_prior").shape[-2:]
    rows, columns = (
        ((torch.arange(side, dtype=torch.float64, device=images.device) + 0.5) / side - 0.5) / CENTRE_SIGMA
        for side in (height, width)
    )
    bump = torch.exp(-(rows[:, None].square() + columns.square()) / 2)
    return _stretched(bump[None]).expand(len(images), -1, -1)


def fused(images: Tensor) -> Tensor:
    """The mean of the four maps, stretched."""
    small = reduced(checked(images, "fused"))
    maps = torch.cat([_fused(part) for part in small.split(TOGETHER)])
    return maps if small is images else enlarged(maps, images)


def _fused(images: Tensor) -> Tensor:
    colours = lab(images)
    far = _from_frame(colours)  # what takes longest, for two maps
    contrasts = _stretched(far) + _stretched(_geodesic(colours, far))
    return _stretched((spectral_residual(images) + contrasts + centre_prior(images)) / 4)


def binary(maps: Tensor) -> Tensor:
    """Bool masks (N, H, W) of maps (N, H, W) in [0, 1], each cut at Otsu's threshold of its 256 levels."""
    levels = (maps * 255).round().long()
    return levels > otsu(levels.flatten(1))[:, None, None]


@own_precision
def lab(images: Tensor) -> Tensor:
    """Float32 CIELAB (N, 3, H, W) of uint8 sRGB images, for the white of D65: distances are about what the eye sees."""
    checked(images, "lab")
    level = torch.arange(256, dtype=torch.float64) / 255
    linear = torch.where(level > 0.04045, ((level + 0.055) / 1.055) ** 2.4, level / 12.92).float()
    # Rows X, Y and Z of the sRGB primaries, each divided by that of the white.
    to_xyz = torch.tensor(
        [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    )
    to_xyz /= torch.tensor([[0.95047], [1.0], [1.08883]])
    light = sent(linear, images.device)[images.int()]
    xyz = torch.einsum("ij,njhw->nihw", sent(to_xyz, images.device), light)
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=0.008856) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(1)
    return torch.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), dim=1)


def _from_frame(colours: Tensor) -> Tensor:
    """How far from each pixel of `colours` (N, 3, H, W) `FRAME_SHARE` of the frame's colours lie at most: (N, H, W)."""
    height, width = colours.shape[-2:]  # slices, as a list of places would be sent to the device
    top, left = colours[..., :: height - 1, :].flatten(2), colours[..., 1:-1, :: width - 1].flatten(2)
    frame, pixels = torch.cat((top, left), dim=2), colours.flatten(2)
    parts = [part.split(max(1, _AT_ONCE // (frame.shape[2] * pixels.shape[2]))) for part in (pixels, frame)]
    return torch.cat([_near(*pair) for pair in zip(*parts, strict=True)]).view(colours[:, 0].shape)


def _near(pixels: Tensor, frame: Tensor) -> Tensor:
    """Distances (N, P) of colours (N, 3, P) to the nearest `FRAME_SHARE` of those of the frame (N, 3, K)."""
    squares = sum((a[:, :, None] - b[:, None]).square() for a, b in zip(pixels.unbind(1), frame.unbind(1), strict=True))
    return squares.kthvalue(math.ceil(FRAME_SHARE * frame.shape[2]), dim=2).values.sqrt()


def _geodesic(colours: Tensor, starts: Tensor) -> Tensor:
    """The cost of the cheapest way to each pixel of `colours` (N, 3, H, W), from `starts` (N, H, W) on the frame."""
    across = (colours[..., 1:] - colours[..., :-1]).square().sum(1).sqrt()
    down = (colours[..., 1:, :] - colours[..., :-1, :]).square().sum(1).sqrt()
    inner = torch.zeros(starts.shape[1:], dtype=torch.bool, device=starts.device)
    inner[1:-1, 1:-1] = True
    costs, before = starts.masked_fill(inner, math.inf), None
    while before is None or not torch.equal(costs, before):
        before = costs
        right = torch.minimum(before[..., 1:], before[..., :-1] + across)
        left = torch.minimum(before[..., :-1], before[..., 1:] + across)
        below = torch.minimum(before[..., 1:, :], before[..., :-1, :] + down)
        above = torch.minimum(before[..., :-1, :], before[..., 1:, :] + down)
        costs = before.clone()
        costs[..., 1:] = right
        costs[..., :-1] = torch.minimum(costs[..., :-1], left)
        costs[..., 1:, :] = torch.minimum(costs[..., 1:, :], below)
        costs[..., :-1, :] = torch.minimum(costs[..., :-1, :], above)
    return costs


def _stretched(maps: Tensor) -> Tensor:
    """Float32 maps from 0 to 1, or 0 where a map varies by no more than rounding."""
    least, most = maps.amin((1, 2), keepdim=True), maps.amax((1, 2), keepdim=True)
    span = most - least
    return torch.where(span > 1e-5 * most.abs(), (maps - least) / span.clamp(min=1e-30), 0.0).float()


def reduced(images: Tensor) -> Tensor:
    """Uint8 images with a shorter side of `WORKING_SIDE` px, if theirs is longer."""
    height, width = images.shape[-2:]
    side = min(height, width)
    if side <= WORKING_SIDE:
        return images
    size = round(height * WORKING_SIDE / side), round(width * WORKING_SIDE / side)
    small = [F.interpolate(part.float(), size, mode="bilinear", antialias=True) for part in images.split(TOGETHER)]
    return torch.cat(small).round().clamp(0, 255).byte()


def enlarged(maps: Tensor, images: Tensor) -> Tensor:
    """Maps (N, h, w) of reduced images, as large as the `images` themselves."""
    return F.interpolate(maps[:, None], images.shape[-2:], mode="bilinear")[:, 0].clamp(0, 1)


def checked(images: Tensor, who: str) -> Tensor:
    """The images, if they are such as maps are made of; raises BadInput in the name of `who`."""
    return check_images(images, who, least=SMALLEST, some=True)


# Masks


def remove_background(images: Tensor, masks: Tensor, fill: str = "zero") -> Tensor:
    """Uint8 images (N, 3, H, W) with what is outside their objects filled; inside they are as they were.

    `masks` (N, H, W) are bool, or float in [0, 1], which blend. `fill` is "zero", so that the image is multiplied by
    its mask, as is told of ReLICv2 (Tomasev et al. 2022, arXiv 2201.05119); "grey", 128, near what normalisation turns
    into zero; or "mean", the mean colour of the image, which thereby still tells of what was removed.
    Raises BadInput for other shapes, types and fills.
    """
    one_of(fill, FILLS, "fill")
    check_images(images, "remove_background")
    shape = (len(images), *images.shape[-2:])
    sound = isinstance(masks, Tensor) and (masks.dtype == torch.bool or masks.is_floating_point())
    if not sound or masks.shape != shape:
        raise BadInput(f"masks of these images are bool or float of shape {shape}, not {told(masks)}")
    if fill == "mean":
        ground = images.float().mean((2, 3), keepdim=True).round()
    else:
        ground = torch.full((1, 1, 1, 1), {"zero": 0.0, "grey": float(MID_GREY)}[fill], device=images.device)
    share = masks[:, None].float()
    return (images * share + ground * (1 - share)).round().clamp(0, 255).byte()


def on_dark(images: Tensor, level: int = DARK) -> Tensor:
    """The objects before a dark background, as in COIL: bool masks (N, H, W) of uint8 images (N, 3, H, W).

    Background are pixels whose brightest channel is at most `level` and which such pixels join to the frame, in four
    directions; dark spots within an object belong to it. A dark part at its outline does not: these are near to exact
    masks, not exact ones. Where the background is brighter than `level`, as behind one object of COIL, all is object.
    """
    dark = checked(images, "on_dark").amax(1) <= level
    inner = torch.zeros(images.shape[-2:], dtype=torch.bool, device=images.device)
    inner[1:-1, 1:-1] = True
    ground, before = dark & ~inner, None
    while before is None or not torch.equal(ground, before):
        before, ground = ground, ground.clone()
        ground[..., 1:] |= before[..., :-1]
        ground[..., :-1] |= before[..., 1:]
        ground[..., 1:, :] |= before[..., :-1, :]
        ground[..., :-1, :] |= before[..., 1:, :]
        ground &= dark
    return ~ground


def iou(masks: Tensor, truth: Tensor) -> Tensor:
    """Intersection over union (Jaccard) of bool `masks` (N, H, W) and `truth`: float32 (N,), 1 where both are empty.

    >>> iou(torch.tensor([[[True, True, False]]]), torch.tensor([[[False, True, True]]]))
    tensor([0.3333])
    """
    if masks.dtype != torch.bool or truth.dtype != torch.bool or masks.shape != truth.shape or masks.ndim != 3:
        raise BadInput(
            f"two sets of masks are bool of one shape (N, H, W), not {masks.dtype} {tuple(masks.shape)} and "
            f"{truth.dtype} {tuple(truth.shape)}"
        )
    either = (masks | truth).sum((1, 2))
    return torch.where(either > 0, (masks & truth).sum((1, 2)) / either.clamp(min=1), 1.0)
