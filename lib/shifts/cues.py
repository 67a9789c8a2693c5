"""Versions of images that keep one cue and lose the others: which cue does an encoder read a class from?

| function        | what is left                                | what is lost                               |
|-----------------|---------------------------------------------|--------------------------------------------|
| `patch_shuffle` | all that fits in a piece, all colours       | the layout, shapes larger than a piece     |
| `low_pass`      | layout and colours                          | fine texture, sharp outlines               |
| `high_pass`     | outlines and fine texture                   | colours and shades of larger areas         |
| `edges`         | outlines                                    | colour, shade and texture between them     |
| `silhouette`    | the outline of the object                   | all else                                   |
| `recolour`      | layout and texture                          | the image's own colours, for another's     |
| `stylise`       | the coarse layout                           | its own colours and texture, for another's |

All take uint8 images (N, 3, H, W) and return such, on the same device. Image i comes out the same whatever batch it is
in: all is float64, and rounding to bytes is pushed off its ties (see `_bytes`).

In the spirit of Geirhos et al. 2019, "ImageNet-trained CNNs are biased towards texture" (arXiv 1811.12231: edges,
silhouettes, stylised images), Geirhos et al. 2018, "Generalisation in humans and deep neural networks" (arXiv
1808.08750: low-pass and high-pass) and Zhang and Zhu 2019, "Interpreting adversarially trained convolutional neural
networks" (arXiv 1905.09797: shuffled patches); each function says what differs.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from lib.errors import BadInput
from lib.inputs import check_images, real, told, whole
from lib.memory import sent
from lib.randomness import bits
from lib.shifts.corruptions.filters import gaussian_blur
from lib.views.operations import grey

PROTOCOL = 1  # bump when pixels change
MID_GREY = 128
STYLE_CUTOFF = 6  # cycles an image; above it `stylise` takes the texture
OBJECT_CUTOFF = 8  # cycles an image; the guess of `silhouette` sees no finer texture
FAINTEST = 1.0  # levels; a spread of colours below it is rounding, which `recolour` does not blow up
EDGE_SIGMA = 1.0  # px
NO_EDGE_SHARE = 0.8  # of the pixels, by gradient: what is above may begin an edge
WEAK_SHARE = 0.4  # of that gradient: what is above may continue one, as in MATLAB's edge detector
FLATTEST_EDGE = 20.0  # of Sobel's gradient: a step of 8 levels has as much after the blur
BORDER_SHARE = 1 / 16  # of the side: how wide a frame `silhouette` takes for background


def _bytes(values: Tensor) -> Tensor:
    """Levels of float64, rounded; what is a hair from a half, where the order of a sum would tell, goes up."""
    return (values + 0.5 + 1e-6).floor_().clamp_(0, 255).byte()


# Layout


def patch_shuffle(images: Tensor, pieces: int, seeds: Tensor) -> Tensor:
    """Cut into `pieces` x `pieces` rectangles of one size and put together in random order, drawn for each image.

    `seeds` are int64 (N,). The order is never the one that it was: where that is drawn, all pieces move on by one.
    Raises BadInput where `pieces` is not a whole number of at least 2 that divides both sides.
    """
    count, _, height, width = check_images(images, "patch_shuffle", some=True).shape
    pieces = whole(pieces, "the number of pieces a side", 2)
    if height % pieces or width % pieces:
        raise BadInput(f"the number of pieces a side divides {height} and {width}, and {pieces} does not")
    if not isinstance(seeds, Tensor) or seeds.shape != (count,) or seeds.dtype != torch.int64:
        raise BadInput(f"{count} images take int64 seeds of shape ({count},), not {told(seeds)}")
    places = torch.arange(pieces**2, device=images.device)
    seeds = seeds if seeds.device == images.device else sent(seeds.cpu(), images.device)
    order = bits(seeds, 0, pieces**2).argsort(dim=1)
    order = torch.where((order == places).all(dim=1, keepdim=True), places.roll(1), order)
    size = (pieces, height // pieces, pieces, width // pieces)
    cut = images.unflatten(3, size[2:]).unflatten(2, size[:2]).permute(0, 2, 4, 1, 3, 5)  # (N, rows, columns, 3, h, w)
    moved = cut.flatten(1, 2)[torch.arange(count, device=images.device)[:, None], order]
    return moved.unflatten(1, (pieces, pieces)).permute(0, 3, 1, 4, 2, 5).reshape(images.shape)


# Frequency


def low_pass(images: Tensor, cutoff: float) -> Tensor:
    r"""What varies slowly: less than `cutoff` > 0 cycles an image, above which contrast falls below a half.

    The gain is Gaussian, :math:`2^{-(f / c)^2}` at :math:`f` cycles an image and cut-off :math:`c`: an ideal filter
    would ring, and rings are outlines that were not there. The image is taken to be mirrored at its borders (its
    cosine transform is filtered), so what is on the left does not leak in from the right. Raises BadInput for a cut-off
    that is not a positive number.
    """
    return _bytes(_low(check_images(images, "low_pass", some=True).double(), cutoff))


def high_pass(images: Tensor, cutoff: float) -> Tensor:
    """What `low_pass` at the same `cutoff` takes away, on mid-grey (128); clipped where it leaves 0 to 255.

    So low pass + high pass - 128 is the image, except for rounding and clipping. Geirhos et al. 2018 add the mean grey
    of their data set instead.
    """
    return _bytes(_high(check_images(images, "high_pass", some=True).double(), cutoff) + MID_GREY)


def _low(pixels: Tensor, cutoff: float) -> Tensor:
    if real(cutoff, "a cut-off, in cycles an image,", 0) == 0:
        raise BadInput("a cut-off, in cycles an image, is a number above 0, not 0")
    rows, columns = (sent(_gaussian_gain(side, float(cutoff)), pixels.device) for side in pixels.shape[-2:])
    return rows @ pixels @ columns


def _high(pixels: Tensor, cutoff: float) -> Tensor:
    return pixels - _low(pixels, cutoff)


@lru_cache(maxsize=64)
def _gaussian_gain(side: int, cutoff: float) -> Tensor:
    """The low pass of a line of `side` pixels, float64 (side, side): cosine transform, gain, and back; symmetric."""
    line = torch.arange(side, dtype=torch.float64)
    waves = torch.cos(torch.pi / side * line[:, None] * (line + 0.5))  # row k has k / 2 cycles an image
    waves /= waves.norm(dim=1, keepdim=True)
    return waves.T @ (torch.exp2(-((line / 2 / cutoff) ** 2))[:, None] * waves)


# Shape


def edges(images: Tensor) -> Tensor:
    """Dark lines of one pixel on white, where the grey image is steepest (Canny 1986).

    Grey levels (luma) are blurred by a Gaussian of `EDGE_SIGMA` pixels, the edge pixel repeated outside. A pixel is on
    a ridge if Sobel's gradient there is at least that on either side of it along the gradient, interpolated between
    pixels. A ridge is an edge if somewhere on it the gradient is among the steepest fifth of the image (and at least
    `FLATTEST_EDGE`), as far as it stays above `WEAK_SHARE` of that. The outermost pixels have no edges. As for the
    edges of Geirhos et al. 2019 (MATLAB's) the threshold is the image's own, so low contrast loses no outlines.
    """
    levels = grey(check_images(images, "edges", some=True).double())
    # In whole 2**-16 levels everything up to the comparisons is exact, so that ties are ties in any batch.
    smooth = gaussian_blur(levels, EDGE_SIGMA).mul_(1 << 16).round_()
    across, down = sobel(smooth)
    steepness = (across.square() + down.square()).sqrt_().div_(1 << 16)
    count, pixels = len(images), steepness[0].numel()
    enough = steepness.flatten(1).kthvalue(max(1, round(NO_EDGE_SHARE * pixels)), dim=1).values.clamp(min=FLATTEST_EDGE)
    enough = enough.view(count, 1, 1, 1)
    ridge = _ridge(across, down, steepness)
    weak = ridge & (steepness >= WEAK_SHARE * enough)
    edge, grown = None, weak & (steepness >= enough)
    while edge is None or not torch.equal(grown, edge):  # along ridges, by a pixel each time
        edge = grown
        for axis in (2, 3):  # the outermost pixels are no edges, so nothing comes round to the other side
            grown = grown | grown.roll(1, axis) | grown.roll(-1, axis)
        grown = grown & weak
    return _black(edge).expand_as(images).contiguous()


def sobel(planes: Tensor) -> tuple[Tensor, Tensor]:
    """Sobel's derivatives across and down of float planes (N, 1, H, W), the edge pixel repeated: eight times a slope.

    In the units of the planes, positive where they grow to the right and downwards.
    """
    padded = F.pad(planes, (1, 1, 1, 1), mode="replicate")
    sideways = padded[..., :-2, :] + 2 * padded[..., 1:-1, :] + padded[..., 2:, :]
    upright = padded[..., :-2] + 2 * padded[..., 1:-1] + padded[..., 2:]
    return sideways[..., 2:] - sideways[..., :-2], upright[..., 2:, :] - upright[..., :-2, :]


def _ridge(across: Tensor, down: Tensor, steepness: Tensor) -> Tensor:
    """Whether no neighbour along the gradient is steeper, bool (N, 1, H, W); false in the outermost pixels."""
    height, width = steepness.shape[-2:]

    def seen(rows: int, columns: int) -> Tensor:
        """Of each inner pixel, how steep it is so many rows below and columns to the right."""
        return steepness[..., 1 + rows : height - 1 + rows, 1 + columns : width - 1 + columns]

    a, b, here = across[..., 1:-1, 1:-1], down[..., 1:-1, 1:-1], seen(0, 0)
    steep, falling = b.abs() > a.abs(), (a > 0) != (b > 0)
    share = torch.minimum(a.abs(), b.abs()) / torch.maximum(a.abs(), b.abs()).clamp(min=1)  # of the diagonal neighbour
    inner = here > 0
    for sign in (1, -1):
        straight = torch.where(steep, seen(sign, 0), seen(0, sign))
        diagonal = torch.where(falling, seen(sign, -sign), seen(sign, sign))
        diagonal = torch.where(falling & ~steep, seen(-sign, sign), diagonal)
        inner = inner & (share * diagonal + (1 - share) * straight <= here)
    return F.pad(inner, (1, 1, 1, 1))


def silhouette(images: Tensor, masks: Tensor | None = None) -> Tensor:
    """The object in black on white.

    `masks` bool (N, H, W) say where it is. Without them it is a guess: of the image after `low_pass` at
    `OBJECT_CUTOFF`, the distance of each pixel's colour from the mean colour of the image's frame, cut at Otsu's
    threshold (1979). What looks unlike the frame is taken for the object. That fails where the background has several
    colours, or where the object touches the frame or is partly of its colour, so accuracy on guessed silhouettes is
    less than shape alone would give. Raises BadInput for masks of another shape.
    """
    count, _, height, width = check_images(images, "silhouette", some=True).shape
    if masks is None:
        distances = _from_frame(low_pass(images, OBJECT_CUTOFF))
        masks = distances > otsu(distances.flatten(1))[:, None, None]
    elif not isinstance(masks, Tensor) or masks.dtype != torch.bool or masks.shape != (count, height, width):
        shape = (count, height, width)
        raise BadInput(f"masks of these images are bool of shape {shape}, not {told(masks)}")
    return _black(masks[:, None]).expand_as(images).contiguous()


def _black(masks: Tensor) -> Tensor:
    """Black where bool `masks` of any shape are true, else white."""
    return (~masks).byte().mul_(255)


def _from_frame(images: Tensor) -> Tensor:
    """Distance of each pixel's colour from the mean of the frame's, in whole levels: int64 (N, H, W), 0 to 441."""
    height, width = images.shape[-2:]
    wide = max(1, round(BORDER_SHARE * min(height, width)))
    frame = torch.ones(height, width, dtype=torch.bool, device=images.device)
    frame[wide : height - wide, wide : width - wide] = False
    mean = (images * frame).sum(dim=(2, 3)).double() / frame.sum()
    apart = (images.double() - mean[:, :, None, None]).square()
    return (apart[:, 0] + apart[:, 1] + apart[:, 2]).sqrt_().add_(0.5 + 1e-6).long()


def otsu(values: Tensor) -> Tensor:
    """Otsu's threshold of each row of int64 `values` (N, K), which are not negative: (N,).

    Cut into values up to the threshold and above it, the two parts' means are furthest apart: the variance between
    them is largest; the lowest such threshold. A row of equal values has 0, or the value itself if nothing is below.
    """
    levels = torch.arange(int(values.max()) + 1, device=values.device)
    counts = torch.zeros(len(values), len(levels), dtype=torch.int64, device=values.device)
    counts.scatter_add_(1, values, torch.ones_like(values))
    below, sums = counts.cumsum(dim=1).double(), (counts * levels).cumsum(dim=1).double()
    above = below[:, -1:] - below
    apart = sums / below.clamp(min=1) - (sums[:, -1:] - sums) / above.clamp(min=1)
    between = below * above * apart.square()
    return torch.where(between == between.amax(dim=1, keepdim=True), levels, len(levels)).amin(dim=1)


# Colour and texture


def recolour(images: Tensor, donors: Tensor) -> Tensor:
    r"""Each image in the colours of its donor, uint8 (N, 3, any height, any width).

    The linear map of colours that gives the image the donor's mean and covariance and moves colours least
    (Monge-Kantorovich; Pitié and Kokaram 2007, "The linear Monge-Kantorovitch linear colour mapping for example-based
    colour transfer"): with covariances :math:`A` of the image and :math:`B` of the donor,

    .. math:: T = A^{-1/2} (A^{1/2} B A^{1/2})^{1/2} A^{-1/2}

    Where the image's colours spread by less than `FAINTEST` levels, as across the grey axis of a grey image, they are
    stretched as if they spread so far: what is left there is rounding. Clipped to 0 to 255. Raises BadInput for
    another number of donors than of images.
    """
    pixels = check_images(images, "recolour", some=True).double()
    return _bytes(_recoloured(pixels, _donors(donors, images, "recolour")))


def stylise(images: Tensor, donors: Tensor, textures: Tensor, cutoff: float = STYLE_CUTOFF) -> Tensor:
    """The coarse layout of each image in the colours of its donor, under the fine texture of its donor.

    `recolour` of what `low_pass` keeps of the image at `cutoff` cycles an image, and what `high_pass` keeps of
    `textures`, which have the images' shape. These are images of the donors' texture alone (`lib.shifts.textures`):
    the fine bands of a donor itself would show the outlines of what is on it.

    Our own, for images too small for the style transfer of Geirhos et al. 2019. Raises BadInput for another number of
    donors than of images, textures of another shape, and a cut-off that is not a positive number.
    """
    if check_images(textures, "stylise", "textures").shape != check_images(images, "stylise", some=True).shape:
        raise BadInput(f"textures have the shape of the images, {tuple(images.shape)}, not {tuple(textures.shape)}")
    layout = _recoloured(_low(images.double(), cutoff), _donors(donors, images, "stylise"))
    return _bytes(layout + _high(textures.double(), cutoff))


def _donors(donors: Tensor, images: Tensor, who: str) -> Tensor:
    """Float64 donors, one for each image."""
    if len(check_images(donors, who, "donors")) != len(images):
        raise BadInput(f"each image has one donor, but there are {len(images)} images and {len(donors)} donors")
    return donors.double()


def _recoloured(pixels: Tensor, donors: Tensor) -> Tensor:
    """`recolour` of float64 levels, neither rounded nor clipped."""
    centred, _, covariance = _colours(pixels)
    _, donor_mean, donor_covariance = _colours(donors)
    values, vectors = torch.linalg.eigh(covariance)
    spreads = values.clamp(min=FAINTEST**2).sqrt()[:, None]
    root, inverse = vectors * spreads @ vectors.mT, vectors / spreads @ vectors.mT
    values, vectors = torch.linalg.eigh(root @ donor_covariance @ root)
    transport = inverse @ (vectors * values.clamp(min=0).sqrt()[:, None] @ vectors.mT) @ inverse
    return (transport @ centred + donor_mean).view(pixels.shape)


def _colours(pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each image's colours about their mean (N, 3, H W), their mean (N, 3, 1) and covariance (N, 3, 3)."""
    flat = pixels.flatten(2)
    mean = flat.mean(dim=2, keepdim=True)
    centred = flat - mean
    return centred, mean, centred @ centred.mT / flat.shape[2]
