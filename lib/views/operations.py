"""Image operations on a batch, each image with its own parameters.

Images are float (N, 3, H, W) in [0, 1]; a parameter is a tensor of N numbers on the same device.
Every operation has parameters that leave an image as it is (factor 1, amount 0), so "apply with
probability p" needs no second code path and shapes never depend on the draws: nothing here waits
for the device. Given the same parameters, each equals torchvision's functional of one image.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from lib.errors import BadInput
from lib.memory import sent
from lib.precision import own_precision

GREY_WEIGHTS = (0.2989, 0.587, 0.114)  # ITU-R 601-2 luma, as torchvision rounds it


def _per_image(parameter: Tensor) -> Tensor:
    return parameter[:, None, None, None]


def grey(images: Tensor) -> Tensor:
    """Luma: (N, 3, H, W) -> (N, 1, H, W)."""
    red, green, blue = images.split(1, dim=1)
    return (red * GREY_WEIGHTS[0]).add_(green, alpha=GREY_WEIGHTS[1]).add_(blue, alpha=GREY_WEIGHTS[2])


def _resampling_weights(start: Tensor, length: Tensor, size_in: int, size_out: int, flip: Tensor | None) -> Tensor:
    """Anti-aliased bilinear interpolation of pixels start..start+length-1 as matrices (N, size_out, size_in).

    The triangle filter is as wide as one output pixel (never narrower than one input pixel) and is
    renormalised where the crop's border cuts it off.
    """
    scale = length[:, None, None] / size_out
    out = torch.arange(size_out, device=start.device)[None, :, None] + 0.5
    if flip is not None:
        out = torch.where(flip[:, None, None], size_out - out, out)
    pixel = torch.arange(size_in, device=start.device)[None, None, :] - start[:, None, None]
    weights = (pixel + 0.5 - out * scale).div_(scale.clamp(min=1)).abs_().neg_().add_(1).clamp_(min=0)
    weights *= (pixel >= 0) & (pixel < length[:, None, None])
    return weights.div_(weights.sum(dim=-1, keepdim=True))


@own_precision
def resized_crop(
    images: Tensor, top: Tensor, left: Tensor, height: Tensor, width: Tensor, size: int, flip: Tensor | None = None
) -> Tensor:
    """Cut out a box (in pixels) and resize it to (N, 3, size, size); mirror left to right where `flip`.

    Interpolation is linear in the pixels and separable: one matrix for the rows, one for the columns.
    """
    rows = _resampling_weights(top, height, images.shape[-2], size, flip=None)
    columns = _resampling_weights(left, width, images.shape[-1], size, flip)
    count, channels, height, width = images.shape
    across = torch.bmm(images.reshape(count, channels * height, width), columns.mT)  # (N, 3H, size)
    return torch.matmul(rows[:, None], across.reshape(count, channels, height, size))


def adjust_hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by `shift` of a full circle, -0.5..0.5, keeping HSV's value and saturation."""
    red, green, blue = images.unbind(dim=1)  # (N, H, W)
    value = images.amax(dim=1)
    chroma = value - images.amin(dim=1)
    # The hue in sixths of the circle, from the two channels that are not the largest. Choices are made
    # by arithmetic, here and in `solarize`: on a CPU that is several times faster than `torch.where`.
    is_red = (value - red).sign_().neg_().add_(1)
    is_green = (value - green).sign_().neg_().add_(1).mul_(1 - is_red)
    is_blue = 1 - is_red - is_green
    sixths = is_red.mul_(green - blue).add_(is_green * (blue - red)).add_(is_blue * (red - green))
    sixths.div_(chroma.clamp(min=1e-12)).add_(is_green, alpha=2).add_(is_blue, alpha=4)
    # Back to colour: the value less chroma times a trapezium over the distance on the circle from the
    # channel's opposite: cyan for red, magenta for green, yellow for blue.
    hue = sixths.div_(6).add_(shift[:, None, None])
    distance = hue[:, None] + (2.5 - _opposites(images.device))  # (N, 3, H, W), positive, half a turn ahead
    distance.frac_().sub_(0.5).abs_()
    return distance.mul_(-6).add_(2).clamp_(0, 1).mul_(chroma[:, None]).neg_().add_(value[:, None])


@functools.lru_cache
def _opposites(device: torch.device) -> Tensor:
    """The hues of cyan, magenta and yellow, in turns: (3, 1, 1)."""
    return sent(torch.tensor((1 / 2, 5 / 6, 1 / 6)), device)[:, None, None]


def colour_jitter(
    images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor, order: Tensor
) -> Tensor:
    """The four colour adjustments in an order of each image's own.

    Brightness, contrast and saturation are factors >= 0 that blend the image with black, with its
    mean grey, and with its grey version; `hue` is a turn in circles. `order` is (N, 4) int64, each
    row a permutation of 0 brightness, 1 contrast, 2 saturation, 3 hue. The hue is turned once for
    the whole batch, after the blends that come before it in an image's order and before those that
    come after: six blends, some of them idle, instead of four hues.
    """
    blends = torch.arange(6, device=images.device)
    before = blends < 3
    position = torch.where(before, blends, blends - 2)  # 0, 1, 2 before the hue, 1, 2, 3 after it
    kind = order[:, position]  # (N, 6)
    hue_position = (order == 3).int().argmax(dim=1, keepdim=True)
    active = torch.where(before, position < hue_position, position > hue_position)
    factors = torch.stack((brightness, contrast, saturation, torch.ones_like(hue)), dim=1).gather(1, kind)
    amount = torch.where(active, 1 - factors, 0.0)[..., None, None, None]  # of the other image: (N, 6, 1, 1, 1)
    is_contrast, is_saturation = ((kind == k).to(images.dtype)[..., None, None, None] for k in (1, 2))
    # A copy with one plane a channel in memory, where colours are faster, and blended in place from here
    # on: on a CPU fresh memory costs more than the arithmetic.
    images = images.transpose(0, 1).clone(memory_format=torch.contiguous_format).transpose(0, 1)
    for blend in range(6):
        if blend == 3:
            images = adjust_hue(images, hue)
        luma = grey(images)
        mean = luma.mean(dim=(-2, -1), keepdim=True)
        other = luma.mul_(is_saturation[:, blend]).add_(mean * is_contrast[:, blend])  # black if it is brightness
        images.lerp_(other, amount[:, blend]).clamp_(0, 1)
    return images


def to_grey(images: Tensor, apply: Tensor) -> Tensor:
    """Three equal channels of luma where `apply` (N,) bool."""
    return torch.lerp(images, grey(images), _per_image(apply.to(images.dtype)))


def gaussian_blur(images: Tensor, sigma: Tensor, kernel_size: int) -> Tensor:
    """Gaussian of standard deviation `sigma` pixels cut off at `kernel_size` (odd) taps; sigma 0 changes nothing.

    Borders are reflected without repeating the last pixel, so `kernel_size` is below twice the side of the images.
    Cut off at three standard deviations it is within 0.5 of 255 of a whole Gaussian. Pillow's (its filter
    `GaussianBlur`) is three box blurs of the same variance, rounded to bytes, with the last pixel repeated at borders.
    What remains between them, in 255ths: away from borders on smooth images at most 5 at any sigma up to 2, on white
    noise at most 5 from a sigma of 0.95 to 2. Below, a Gaussian that is sampled at whole pixels is narrower than its
    sigma and Pillow's is not: on white noise a pixel is up to 35 off (10 on average) at a sigma of 0.3, the worst. At
    borders it is up to 15 on smooth images and 60 on white noise.
    """
    radius = kernel_size // 2
    if radius >= min(images.shape[-2:]):
        raise BadInput(f"a blur of {kernel_size} pixels needs images of more than {radius}, not {tuple(images.shape)}")
    distance = torch.arange(radius + 1, device=images.device)
    half = (-0.5 * (distance / sigma[:, None].clamp(min=1e-6)).square()).exp_()  # (N, radius + 1), from the centre
    half /= 2 * half.sum(dim=1, keepdim=True) - half[:, :1]
    half = half[..., None, None, None]
    blurred = torch.nn.functional.pad(images, [radius] * 4, mode="reflect")
    for axis, size in ((-2, images.shape[-2]), (-1, images.shape[-1])):
        taps = [blurred.narrow(axis, start, size) for start in range(kernel_size)]
        blurred = taps[radius] * half[:, 0]
        for k in range(1, radius + 1):
            blurred.addcmul_(taps[radius - k] + taps[radius + k], half[:, k])
    return blurred


def solarize(images: Tensor, threshold: Tensor) -> Tensor:
    """Invert what is at least `threshold`; a threshold above 1 changes nothing."""
    inverted = (images >= _per_image(threshold)).to(images.dtype)
    return images + inverted * (1 - 2 * images)
