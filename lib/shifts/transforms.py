"""The 18 transforms whose invariance Ericsson, Gouk and Hospedales measure, on batches, each image with its own.

| name                             | parameters (units)             | grid of an image of S px                 | rows |
|----------------------------------|--------------------------------|-------------------------------------------|------|
| rotation                         | angle (degrees)                | steps of 360 / 256                        | 255  |
| translation                      | right, down (px)               | -S / 16 to 14 S / 256, in 16 steps each   | 255  |
| scale                            | factor                         | 0.25 to 2                                 | 256  |
| shear                            | across, down (degrees)         | -80 to 80, in 9 steps each                | 80   |
| resized_crop                     | top, left, height, width (px)  | 0 to S / 4; 3 S / 4 to S / 4; 4 each      | 256  |
| h_flip, v_flip                   | on                             | 1                                         | 1    |
| deform                           | sigma (px), seed               | 10 S / 224 to 50 S / 224; 8 x 32 fields   | 256  |
| grayscale                        | on                             | 1                                         | 1    |
| brightness, contrast, saturation | factor                         | 0.25 to 5                                 | 256  |
| hue                              | turn (turns)                   | -0.5 to 0.5                               | 255  |
| blur                             | sigma (px)                     | 0.3 to 20 S / 224                         | 256  |
| sharpness                        | factor                         | 1 to 30                                   | 255  |
| invert, equalize                 | on                             | 1                                         | 1    |
| posterize                        | bits                           | 1 to 7                                    | 7    |

`transform(images, name, parameters)` checks and applies one; `TRANSFORMS[name].grid(size)` gives its parameters.

Source: Ericsson, Gouk and Hospedales 2022, "Why do self-supervised models transfer? On the impact of invariance on
downstream tasks" (arXiv 2111.11398), and its code. Ranges are the paper's, scaled with the side where they are in
pixels. What differs: a grid has no identity, which would count as perfect invariance, and no row twice. Outside the
image is black, as in the paper, which then cuts the middle 224 of 256 px and so loses some of it; here all is seen.
Interpolation is linear: the paper takes the nearest pixel, torchvision's default, whose jagged edges are no part of the
transform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.inputs import unit_images, whole
from lib.memory import sent
from lib.precision import own_precision
from lib.randomness import normal
from lib.views import operations

SMALLEST = 16  # px; below it the boxes of `resized_crop`, rounded to pixels, fall together
DEFORMATION = 0.04  # of the side: the root mean square distance by which `deform` moves a pixel


@dataclass(frozen=True)
class Transform:
    """One transform with P parameters, which have `names` and `units` ("" for a pure number).

    `kind` is "spatial" or "appearance". `function` takes float32 images (N, 3, S, S) in [0, 1] and float32 parameters
    (N, P) on the same device, row i for image i, checks neither, and returns such images. `valid(parameters, side)`
    tells for each row whether it is what `allowed` says in words. `rows(side)` is the whole grid.
    """

    kind: str
    function: Callable[[Tensor, Tensor], Tensor]
    names: tuple[str, ...]
    units: tuple[str, ...]
    allowed: str
    valid: Callable[[Tensor, int], Tensor]
    rows: Callable[[int], Tensor]

    def grid(self, size: int, most: int = 256) -> Tensor:
        """The parameters to measure at, for images of `size` px: float32 (K, P), on the CPU.

        A grid of more than `most` rows is thinned to `most`, evenly in its order, with its first row and, from two on,
        its last.
        """
        most = whole(most, "the largest number of rows of a grid")
        rows = self.rows(whole(size, "the size of an image in pixels", SMALLEST))
        if len(rows) <= most:
            return rows
        return rows[torch.linspace(0, len(rows) - 1, most, dtype=torch.float64).round().long()]


@own_precision
def transform(images: Tensor, name: str, parameters: Tensor) -> Tensor:
    """Transformed copies of `images` (N, 3, S, S), uint8 or float in [0, 1]: float32 in [0, 1], on the same device.

    `name` is one of `TRANSFORMS`; row i of `parameters` (N, P) is for image i. Raises BadInput for anything else.

    >>> transform(torch.full((1, 3, 16, 16), 0.5), "brightness", torch.tensor([[1.5]]))[0, :, 0, 0]
    tensor([0.7500, 0.7500, 0.7500])
    """
    chosen = TRANSFORMS[one_of(name, TRANSFORMS, "transform")]
    pixels = unit_images(images, "transform", square=True, least=SMALLEST, some=True)
    count, side = len(pixels), pixels.shape[-1]
    if not isinstance(parameters, Tensor) or parameters.shape != (count, len(chosen.names)):
        given = tuple(parameters.shape) if isinstance(parameters, Tensor) else type(parameters).__name__
        shape = (count, len(chosen.names))
        raise BadInput(f"{name} of {count} images takes a tensor {shape} ({', '.join(chosen.names)}), not {given}")
    parameters = parameters.to(torch.float32)
    valid = chosen.valid(parameters, side)
    if not valid.all():
        wrong = [round(value, 6) for value in parameters[~valid][0].tolist()]
        raise BadInput(f"{name} takes {chosen.allowed}, for images of {side} px, not {wrong}")
    if parameters.device != pixels.device:  # checked on the CPU, if they are there: then nothing waits for the device
        parameters = sent(parameters.cpu(), pixels.device)
    return chosen.function(pixels, parameters)


def image_distance(images: Tensor, transformed: Tensor) -> Tensor:
    """How far each image moved: the root mean square difference of its values, float32 (N,) in [0, 1].

    Both are uint8 or float in [0, 1], of one shape (N, 3, S, S).
    """
    images, transformed = (
        unit_images(part, "image_distance", what, square=True, least=SMALLEST, some=True)
        for part, what in ((images, "images"), (transformed, "transformed images"))
    )
    if images.shape != transformed.shape:
        shapes = f"{tuple(images.shape)} and {tuple(transformed.shape)}"
        raise BadInput(f"the images and their transformed copies have one shape, not {shapes}")
    return (images - transformed).square_().mean((1, 2, 3)).sqrt_()


# Spatial


def _sample(images: Tensor, grid: Tensor, **options: Any) -> Tensor:
    """Images at the places `grid` (N, S, S, 2), linear between pixels; rounding must not leave [0, 1]."""
    return F.grid_sample(images, grid, mode="bilinear", **options).clamp_(0, 1)


def _affine(images: Tensor, *entries: Tensor) -> Tensor:
    """Pixel (x, y) of the result is pixel (a x + b y + c, d x + e y + f) of the image; black outside.

    Entries are a, b, c, d, e, f, each (N,); x runs to the right and y down from the centre, in half sides. As in
    torchvision nothing is smoothed before it is made smaller.
    """
    theta = torch.stack(entries, dim=1).view(-1, 2, 3)
    return _sample(images, F.affine_grid(theta, list(images.shape), align_corners=False), align_corners=False)


def rotation(images: Tensor, parameters: Tensor) -> Tensor:
    """Turn about the centre, against the clock; parameters (N, 1) in degrees."""
    angle = parameters[:, 0].deg2rad()
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return _affine(images, cos, -sin, zero, sin, cos, zero)


def translation(images: Tensor, parameters: Tensor) -> Tensor:
    """Move to the right and down; parameters (N, 2) in pixels, between which it interpolates.

    The paper's code moves the image at its original size, and shears it by one degree besides: neither is done here.
    """
    right, down = (parameters * (2 / images.shape[-1])).unbind(1)
    one, zero = torch.ones_like(right), torch.zeros_like(right)
    return _affine(images, one, zero, -right, zero, one, -down)


def scale(images: Tensor, parameters: Tensor) -> Tensor:
    """Enlarge about the centre by a factor, parameters (N, 1), without the paper's stray shear of one degree."""
    inverse = 1 / parameters[:, 0]
    zero = torch.zeros_like(inverse)
    return _affine(images, inverse, zero, zero, zero, inverse, zero)


def shear(images: Tensor, parameters: Tensor) -> Tensor:
    """Slant along x, then along y, about the centre; parameters (N, 2) in degrees.

    The tangent repeats every 180 degrees, so the paper's 16 angles from -160 to 140 are nine shears an axis: the grid
    has each once.
    """
    across, down = parameters.deg2rad().tan().unbind(1)
    one, zero = torch.ones_like(across), torch.zeros_like(across)
    return _affine(images, one + across * down, across, zero, down, one, zero)


def resized_crop(images: Tensor, parameters: Tensor) -> Tensor:
    """Cut out a box and enlarge it to the image's size; parameters (N, 4): top, left, height, width, whole pixels.

    The paper's code cuts boxes made for 256 px out of images of any size; in the grid they are shares of the side.
    """
    return operations.resized_crop(images, *parameters.unbind(1), images.shape[-1]).clamp_(0, 1)  # type: ignore[call-arg]


def deform(images: Tensor, parameters: Tensor) -> Tensor:
    """Warp by a smooth random field; parameters (N, 2) are its correlation `sigma` in pixels and its seed.

    Normal noise for each axis is smoothed by a Gaussian of `sigma` (mirrored at the borders), freed of its mean, which
    would be a translation, and scaled so that the root mean square displacement is `DEFORMATION` of the side. The same
    parameters give the same field, and images are mirrored outside their border as in albumentations.

    Quirk of the paper: it leaves albumentations' ElasticTransform at alpha 1 with approximate smoothing over 17 px,
    which moves pixels by 0.03 px whatever sigma; what it measures is the random affine map of 50 px that comes before
    (alpha_affine), drawn anew for each image. That is rotation, scale and shear again, so here the field does the work.
    """
    side = images.shape[-1]
    if images.is_cuda:  # which are alike is known only when the device has looked: a field for each
        distinct, which = parameters, torch.arange(len(images), device=images.device)
    else:  # in a measurement a whole batch shares one field
        distinct, which = parameters.unique(dim=0, return_inverse=True)
    smoother = _smoother(distinct[:, 0], side)[:, None]
    field = smoother @ normal(distinct[:, 1].long(), (2, side, side)) @ smoother.mT  # (K, 2, S, S)
    field -= field.mean((2, 3), keepdim=True)
    field *= DEFORMATION * side / field.square().sum(1).mean((1, 2)).sqrt()[:, None, None, None]
    line = torch.arange(side, dtype=torch.float32, device=images.device)
    places = torch.stack((field[:, 0] + line, field[:, 1] + line[:, None]), dim=-1)  # in pixels, (x, y)
    grid = places.mul_(2 / (side - 1)).sub_(1)[which]
    return _sample(images, grid, padding_mode="reflection", align_corners=True)


def _smoother(sigma: Tensor, side: int) -> Tensor:
    """Gaussian filters of `sigma` (K,) px, at most a quarter of the side, as matrices (K, side, side).

    Borders are mirrored with the last pixel repeated: each input pixel counts at its own place and at its images.
    """
    line = torch.arange(side, device=sigma.device)
    apart, mirrored = line[:, None] - line, line[:, None] + line + 1
    distances = torch.stack((apart, apart - 2 * side, apart + 2 * side, mirrored, mirrored - 2 * side))
    weights = (distances / sigma[:, None, None, None]).square_().mul_(-0.5).exp_().sum(1)
    return weights.div_(weights.sum(-1, keepdim=True))


# Appearance


def _switched(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """`function` of the images whose parameter is 1; those with 0 stay as they are."""

    def switched(images: Tensor, parameters: Tensor) -> Tensor:
        return torch.where(parameters[:, :, None, None] == 1, function(images), images)

    return switched


def _blend(images: Tensor, other: Tensor, parameters: Tensor) -> Tensor:
    """From `other` (factor 0) through the images (factor 1) and beyond; parameters (N, 1) are the factors."""
    return torch.lerp(images, other, 1 - parameters[:, :, None, None]).clamp_(0, 1)


def brightness(images: Tensor, parameters: Tensor) -> Tensor:
    """Multiply by a factor, parameters (N, 1)."""
    return (images * parameters[:, :, None, None]).clamp_(0, 1)


def contrast(images: Tensor, parameters: Tensor) -> Tensor:
    """Multiply the distance from the image's mean grey by a factor, parameters (N, 1)."""
    return _blend(images, operations.grey(images).mean((2, 3), keepdim=True), parameters)


def saturation(images: Tensor, parameters: Tensor) -> Tensor:
    """Multiply each pixel's distance from its own grey by a factor, parameters (N, 1)."""
    return _blend(images, operations.grey(images), parameters)


def hue(images: Tensor, parameters: Tensor) -> Tensor:
    """Turn the hue; parameters (N, 1) in turns. -0.5 and 0.5 are one: the paper's grid has both, ours the first."""
    return operations.adjust_hue(images, parameters[:, 0]).clamp_(0, 1)


def blur(images: Tensor, parameters: Tensor) -> Tensor:
    """Gaussian blur; parameters (N, 1) are its standard deviation in pixels.

    Cut off at 23 taps for 224 px, as in the paper, and in proportion otherwise, but at 3 at the least. So most of the
    paper's range of up to 20 px is close to the plain mean of the taps. Below 0.3 px a blur is no grey level's worth:
    the grid starts there.
    """
    taps = 2 * max(1, images.shape[-1] // 20) + 1
    return operations.gaussian_blur(images, parameters[:, 0], taps).clamp_(0, 1)


def sharpness(images: Tensor, parameters: Tensor) -> Tensor:
    """Multiply the distance from a smoothed copy by a factor, parameters (N, 1); the outermost pixels stay.

    Smooth is the mean over 3 x 3 pixels of which the middle one counts five times.
    """
    columns = images[..., :-2, :] + images[..., 1:-1, :] + images[..., 2:, :]  # sums of three; F.avg_pool2d is slower
    smooth = images.clone()
    inside = smooth[..., 1:-1, 1:-1].mul_(4)
    inside.add_(columns[..., :-2]).add_(columns[..., 1:-1]).add_(columns[..., 2:]).div_(13)
    return _blend(images, smooth, parameters)


def _levels(images: Tensor) -> Tensor:
    """The nearest of the grey levels 0..255, still floats."""
    return (images * 255).round_()


def _equalized(images: Tensor) -> Tensor:
    """Each channel of each image with its 256 levels spread evenly, as Pillow does."""
    from torchvision.transforms.v2 import functional

    return functional.equalize(_levels(images).to(torch.uint8)).float().div_(255)


def posterize(images: Tensor, parameters: Tensor) -> Tensor:
    """Keep the highest bits of each 8-bit level, parameters (N, 1)."""
    step = torch.exp2(8 - parameters[:, :, None, None]).round_()
    return _levels(images).div_(step).floor_().mul_(step).div_(255)


# The table


def _column(values: Tensor) -> Tensor:
    return values.float()[:, None]


def _shares(start: float, stop: float, steps: int, side: int) -> Tensor:
    """Whole pixels: `steps` shares of the side, evenly from `start` to `stop`."""
    return (torch.linspace(start, stop, steps, dtype=torch.float64) * side).round_().float()


def _translations(side: int) -> Tensor:
    steps = torch.arange(-8, 8) * (side / 128)
    rows = torch.cartesian_prod(steps, steps)
    return rows[rows.any(1)]


def _shears(side: int) -> Tensor:
    angles = torch.arange(-80.0, 81.0, 20.0)
    rows = torch.cartesian_prod(angles, angles)
    return rows[rows.any(1)]


def _boxes(side: int) -> Tensor:
    starts, lengths = _shares(0, 1 / 4, 4, side), _shares(3 / 4, 1 / 4, 4, side)
    return torch.cartesian_prod(starts, starts, lengths, lengths)


def _fields(side: int) -> Tensor:
    sigmas = torch.linspace(10, 50, 8) * (side / 224)
    return torch.stack((sigmas.repeat(32), torch.arange(256.0)), dim=1)


def _whole(values: Tensor) -> Tensor:
    return values == values.round()


def _valid_boxes(parameters: Tensor, side: int) -> Tensor:
    start, length = parameters[:, :2], parameters[:, 2:]
    return (_whole(parameters).all(1)) & ((start >= 0) & (length >= 1) & (start + length <= side)).all(1)


def _valid_fields(parameters: Tensor, side: int) -> Tensor:
    sigma, seed = parameters.unbind(1)
    return (sigma > 0) & (sigma <= side / 4) & _whole(seed) & (seed >= 0) & (seed < 1 << 24)


def _switch(kind: str, function: Callable[[Tensor], Tensor]) -> Transform:
    return Transform(
        kind=kind,
        function=_switched(function),
        names=("on",),
        units=("",),
        allowed="0 (off) or 1 (on)",
        valid=lambda parameters, side: ((parameters == 0) | (parameters == 1)).all(1),
        rows=lambda side: torch.ones(1, 1),
    )


def _factor(function: Callable[[Tensor, Tensor], Tensor], rows: Callable[[int], Tensor]) -> Transform:
    return Transform(
        kind="appearance",
        function=function,
        names=("factor",),
        units=("",),
        allowed="a factor from 0 to 100",
        valid=lambda parameters, side: ((parameters >= 0) & (parameters <= 100)).all(1),
        rows=rows,
    )


def _quarter_to_five(side: int) -> Tensor:
    return _column(torch.linspace(0.25, 5, 256))


TRANSFORMS: dict[str, Transform] = {
    "rotation": Transform(
        kind="spatial",
        function=rotation,
        names=("angle",),
        units=("degrees",),
        allowed="an angle from -360 to 360 degrees",
        valid=lambda parameters, side: (parameters.abs() <= 360).all(1),
        rows=lambda side: _column(torch.arange(1, 256) * (360 / 256)),
    ),
    "translation": Transform(
        kind="spatial",
        function=translation,
        names=("right", "down"),
        units=("px", "px"),
        allowed="two distances of at most the side",
        valid=lambda parameters, side: (parameters.abs() <= side).all(1),
        rows=_translations,
    ),
    "scale": Transform(
        kind="spatial",
        function=scale,
        names=("factor",),
        units=("",),
        allowed="a factor from 0.01 to 100",
        valid=lambda parameters, side: ((parameters >= 0.01) & (parameters <= 100)).all(1),
        rows=lambda side: _column(torch.linspace(0.25, 2, 256)),
    ),
    "shear": Transform(
        kind="spatial",
        function=shear,
        names=("across", "down"),
        units=("degrees", "degrees"),
        allowed="two angles from -89 to 89 degrees",
        valid=lambda parameters, side: (parameters.abs() <= 89).all(1),
        rows=_shears,
    ),
    "resized_crop": Transform(
        kind="spatial",
        function=resized_crop,
        names=("top", "left", "height", "width"),
        units=("px",) * 4,
        allowed="a box in whole pixels within the image",
        valid=_valid_boxes,
        rows=_boxes,
    ),
    "h_flip": _switch("spatial", lambda images: images.flip(-1)),
    "v_flip": _switch("spatial", lambda images: images.flip(-2)),
    "deform": Transform(
        kind="spatial",
        function=deform,
        names=("sigma", "seed"),
        units=("px", ""),
        allowed="a sigma above 0 and of at most a quarter of the side, and a whole number below 2^24 as a seed",
        valid=_valid_fields,
        rows=_fields,
    ),
    "grayscale": _switch("appearance", lambda images: operations.grey(images).clamp_(0, 1).expand_as(images)),
    "brightness": _factor(brightness, _quarter_to_five),
    "contrast": _factor(contrast, _quarter_to_five),
    "saturation": _factor(saturation, _quarter_to_five),
    "hue": Transform(
        kind="appearance",
        function=hue,
        names=("turn",),
        units=("turns",),
        allowed="a turn from -0.5 to 0.5",
        valid=lambda parameters, side: (parameters.abs() <= 0.5).all(1),
        rows=lambda side: _column(torch.linspace(-0.5, 0.5, 256)[:-1]),
    ),
    "blur": Transform(
        kind="appearance",
        function=blur,
        names=("sigma",),
        units=("px",),
        allowed="a sigma from 0 to the side",
        valid=lambda parameters, side: ((parameters >= 0) & (parameters <= side)).all(1),
        rows=lambda side: _column(torch.linspace(0.3, 20 / 224 * side, 256)),
    ),
    "sharpness": _factor(sharpness, lambda side: _column(torch.linspace(1, 30, 256)[1:])),
    "invert": _switch("appearance", lambda images: 1 - images),
    "equalize": _switch("appearance", _equalized),
    "posterize": Transform(
        kind="appearance",
        function=posterize,
        names=("bits",),
        units=("bits",),
        allowed="a whole number of bits from 1 to 8",
        valid=lambda parameters, side: (_whole(parameters) & (parameters >= 1) & (parameters <= 8)).all(1),
        rows=lambda side: _column(torch.arange(1, 8)),
    ),
}
