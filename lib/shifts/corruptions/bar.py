"""The ten corruptions of CIFAR-10-C-bar, unlike those of CIFAR-10-C and ImageNet-C by design.

Each takes float32 `pixels` (N, 3, side, side) in 0..255 with a side of at least 16, (N,) int64 `seeds` and
a `severity`, any float between those of the table, and returns float32 pixels that the caller clips and
truncates. A severity scales one parameter of the corruption linearly; lengths are shares of the side.
Source: Mintun, Kirillov & Xie 2021, "On interaction between augmentations and corruptions in natural
corruption robustness" (arXiv 2102.11273), and its code, spelling of names and quirks included.

What decides a byte by a hair (a threshold, a sine, a Fourier transform, a matrix product) is computed in
float64: its last bits may depend on the size of the batch, which there does not show.
"""

from __future__ import annotations

import math
from functools import cache, lru_cache
from itertools import permutations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import spline_filter1d
from scipy.sparse import coo_array
from torch import Tensor

from lib.memory import sent
from lib.randomness import integers, normal, uniform
from lib.shifts.corruptions.filters import truncate

CIFAR10 = {  # five severities, mildest first
    "blue_noise_sample": (0.7, 1.4, 2.1, 3.5, 4.2),
    "checkerboard_cutout": (1.0, 2.0, 3.0, 4.0, 5.0),
    "inverse_sparkles": (1.0, 1.5, 2.5, 4.5, 5.0),
    "pinch_and_twirl": (5.5, 6.0, 6.5, 8.5, 10.0),
    "ripple": (5.5, 6.0, 6.5, 7.5, 8.0),
    "brownish_noise": (2.5, 4.0, 5.5, 6.5, 7.0),
    "circular_motion_blur": (2.8, 3.6, 4.4, 5.2, 6.0),
    "lines": (0.5, 1.0, 1.5, 2.0, 2.5),
    "sparkles": (0.7, 3.5, 5.6, 6.3, 7.0),
    "transverse_chromatic_abberation": (1.0, 2.0, 5.0, 9.0, 10.0),
}
IMAGENET = {  # the five that ImageNet-C-bar shares with CIFAR-10-C-bar
    "blue_noise_sample": (0.8, 1.6, 2.4, 4.0, 5.6),
    "checkerboard_cutout": (2.0, 3.0, 4.0, 5.0, 6.0),
    "inverse_sparkles": (1.0, 2.0, 4.0, 9.0, 10.0),
    "brownish_noise": (1.0, 2.0, 3.0, 4.0, 5.0),
    "sparkles": (1.0, 2.0, 3.0, 5.0, 6.0),
}

_GREY = 128.0  # of the cut cells and of the lines


# ---- Noise with a spectrum


@cache
def _distances(side: int, device: torch.device) -> Tensor:
    """Distance of every frequency (side, side) to frequency 0, which lies at (side // 2, side // 2)."""
    line = torch.arange(side, dtype=torch.float64, device=device) - side // 2
    return torch.hypot(line[:, None], line)


def spectral_noise(seeds: Tensor, fields: int, magnitudes: Tensor) -> Tensor:
    """Noise of standard deviation 1 with the given spectrum: (N, fields, side, side), float64.

    `magnitudes` (side, side) hold frequency 0 at (side // 2, side // 2). Quirk: phases are drawn for the
    left half and turned by 180 degrees for the right one; that is no Hermitian symmetry, so the field is
    complex and its real part is taken. An odd side (never met by the authors) has a middle column of its
    own. Stream 0 draws the phases.
    """
    side = magnitudes.shape[-1]
    phases = uniform(seeds, (fields, side, (side + 1) // 2)).double().mul_(2 * math.pi)
    phasors = torch.complex(phases.cos(), phases.sin())
    phasors = torch.cat((phasors, phasors[..., : side // 2].flip(2, 3)), dim=-1)
    noise = torch.fft.ifft2(torch.fft.ifftshift(phasors * magnitudes, dim=(2, 3))).real
    return noise / noise.std((2, 3), correction=0, keepdim=True)


def blue_noise_sample(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Blacken the pixels where blue noise, whose magnitude grows with the frequency, is low; all channels alike.

    The noise is Gaussian at each pixel, so the share that goes black is Phi(0.3 `severity` - 2.5).
    """
    noise = spectral_noise(seeds, 1, _distances(pixels.shape[-1], pixels.device))
    return pixels * (noise > 0.3 * severity - 2.5)


def brownish_noise(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Add noise whose magnitude falls with the squared frequency, each channel its own.

    Its standard deviation within a channel is 6.4 `severity` levels. Quirk: frequency 0 is the strongest,
    so each channel is also moved by a random constant and the image takes a cast.
    """
    magnitudes = 1 / (_distances(pixels.shape[-1], pixels.device).square() + 1)
    return pixels + spectral_noise(seeds, 3, magnitudes).mul_(6.4 * severity).float()


# ---- Things laid over the image

_CELLS = 14  # a side of at most ten cells: no pixel is further than this from the first one, along either axis


def checkerboard_mask(side: int, angles: Tensor, cells: Tensor, chosen: Tensor) -> Tensor:
    """Pixels in the chosen fields of one colour of a turned checkerboard: bool (N, side, side).

    `angles` (N,) in radians, `cells` (N,) the side of a field in pixels (at least side / 10), `chosen`
    bool (N, 29, 29). Quirk: colours follow from numbers of fields rounded down, but `chosen` is looked up
    by numbers truncated towards 0, so a field has a partner across each of the two axes.
    """
    line = torch.arange(side, dtype=torch.float64, device=angles.device)
    cos, sin = (f(angles.double())[:, None, None] for f in (torch.cos, torch.sin))
    down = (line[:, None] * cos + line * sin) / cells[:, None, None]
    across = (line * cos - line[:, None] * sin) / cells[:, None, None]
    one_colour = (down.floor() + across.floor()) % 2 == 0
    field = (down.long() + _CELLS) * chosen.shape[-1] + (across.long() + _CELLS)
    return chosen.flatten(1).gather(1, field.flatten(1)).view_as(one_colour) & one_colour


def checkerboard_cutout(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Cut grey fields out, each of one colour of a checkerboard with probability `severity` / 10.

    Fields of 0.1 to 0.25 sides at any angle. The authors' grid of choices grows with the number of fields
    and is read from its end for negative numbers, without overlaps: the same as one from -14 to 14.
    Stream 0 draws angle and size, stream 1 the choices.
    """
    side = pixels.shape[-1]
    draws = uniform(seeds, (2,)).double()
    chosen = uniform(seeds, (2 * _CELLS + 1, 2 * _CELLS + 1), stream=1) < severity / 10
    cut = checkerboard_mask(side, draws[:, 0] * (2 * math.pi), (0.1 + 0.15 * draws[:, 1]) * side, chosen)
    return pixels.masked_fill(cut[:, None], _GREY)


_RAYS = (50, 199)  # fewest and most of a sparkle


def sparkle_weights(side: int, centres: Tensor, rays: Tensor, lengths: Tensor, exponent: float) -> Tensor:
    """How much each pixel belongs to a sparkle, 0..1: (N, 1, side, side), float64.

    `centres` (N, 2) row and column in pixels, `rays` (N,) their number, `lengths` (N, at least that many)
    in pixels; the weight falls with distance to the power of -2 `exponent`. Between two rays the length
    is interpolated.
    """
    line = torch.arange(side, dtype=torch.float64, device=centres.device)
    down, across = line[:, None] - centres[:, 0, None, None], line - centres[:, 1, None, None]
    turn = (torch.atan2(across, down) + math.pi).mul_(
        rays.double()[:, None, None] / (2 * math.pi)
    )  # 0..rays, both included
    ray = turn.floor()
    between = turn.sub_(ray)
    ray = ray.long().flatten(1)
    around = torch.arange(_RAYS[1] + 2, device=rays.device) % rays[:, None]  # after the last ray comes the first
    lengths = lengths.double().gather(1, around)
    length = lengths.gather(1, ray).view_as(between)
    length += (lengths.gather(1, ray + 1).view_as(between) - length).mul_(between)
    reach = length.square_().div_(down.square() + across.square() + 1e-4).pow_(exponent)
    return reach.mul_(1 - between.sub_(0.5).square_()).clamp_(0, 1)[:, None]


def sparkles(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Blend towards white along the rays of five sparkles, of radius 0.01 `severity` sides.

    Quirk: no ray is shorter than a pixel, which at severity 0.7 and 32 px is every ray. Stream 0 draws the
    centres, 1 the numbers of rays, 2 their lengths.
    """
    side = pixels.shape[-1]
    centres = uniform(seeds, (5, 2)).double() * side
    rays = integers(seeds, _RAYS[0], _RAYS[1] + 1, (5,), stream=1)
    lengths = (0.01 * severity * side) * (1 + 0.25 * normal(seeds, (5, _RAYS[1]), stream=2).double())
    kept = torch.ones((), dtype=torch.float64, device=pixels.device)  # of the distance to white
    for sparkle in zip(centres.unbind(1), rays.unbind(1), lengths.clamp(min=1).unbind(1), strict=True):
        kept = kept * (1 - sparkle_weights(side, *sparkle, exponent=1))
    return 255 - (255 - pixels) * kept.float()


def inverse_sparkles(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Fade to white outside one sparkle of radius a quarter of the side; the faster, the higher `severity`.

    The centre lies in the middle half of the rows and of the columns. Stream 0 draws the centre, 1 the
    number of rays, 2 their lengths.
    """
    side = pixels.shape[-1]
    centres = (0.25 + 0.5 * uniform(seeds, (2,)).double()) * side
    rays = integers(seeds, _RAYS[0], _RAYS[1] + 1, (), stream=1)
    lengths = (0.25 * side) * (1 + 0.25 * normal(seeds, (_RAYS[1],), stream=2).double())
    return 255 - (255 - pixels) * sparkle_weights(side, centres, rays, lengths, 0.13 * severity).float()


def line_coverage(side: int, starts: Tensor, ends: Tensor) -> Tensor:
    """How much each pixel is covered by a thin line, 0..1: (N, 1, side, side), float32.

    `starts` and `ends` (N, 2) hold whole rows and columns, inside the image or not, and differ. Coverage is
    1 - distance to the line, within the box that the two ends span: scikit-image's `line_aa`.
    """
    line = torch.arange(side, dtype=torch.float32, device=starts.device)
    starts, ends = starts.float(), ends.float()
    to_row, to_column = line - starts[:, :1], line - starts[:, 1:]  # (N, side)
    height, width = (ends - starts)[:, :, None].unbind(1)
    in_row, in_column = ((to * (to - extent) <= 0) for to, extent in ((to_row, height), (to_column, width)))
    # float32 holds these products of whole numbers exactly
    distance = (to_row * width)[:, :, None] - (to_column * height)[:, None]
    distance = distance.abs_().div_(torch.sqrt(height.square() + width.square())[:, None])
    return (1 - distance).clamp_(min=0).mul_(in_row[:, :, None]).mul_(in_column[:, None])[:, None]


def lines(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Draw floor(`severity` side / 10) thin grey lines, in directions that vary about a common one.

    Each reaches one side away from a point of the image, both ways. Quirk: levels are truncated after each
    line. Stream 0 draws the common direction and how much they vary, stream 1 points and own directions.
    """
    side = pixels.shape[-1]
    common, variation = uniform(seeds, (2, 1)).double().unbind(1)
    row, column, own = uniform(seeds, (3, math.floor(severity * side / 10)), stream=1).double().unbind(1)
    angles = 2 * math.pi * (common + (0.1 + 0.9 * variation) * (own - 0.5))
    points = side * torch.stack((row, column), dim=-1)  # (N, lines, 2)
    reach = side * torch.stack((angles.cos(), angles.sin()), dim=-1)
    starts, ends = (points - reach).trunc(), (points + reach).trunc()
    for start, end in zip(starts.unbind(1), ends.unbind(1), strict=True):
        pixels = truncate(pixels + line_coverage(side, start, end) * (_GREY - pixels))
    return pixels


# ---- Warps


def _bilinear(pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Read `pixels` at `rows` and `columns`, in pixels and broadcast to (N, side, side); black outside."""
    grid = torch.stack(torch.broadcast_tensors(columns, rows), dim=-1)
    grid = (grid * (2 / (pixels.shape[-1] - 1)) - 1).float()
    return F.grid_sample(pixels, grid, padding_mode="zeros", align_corners=True)


def twirl(pixels: Tensor, signs: Tensor, severity: float) -> Tensor:
    """Pinch and twirl a disk in each of the cells of a grid, all at once as they do not touch.

    `signs` (N, cells, cells), 1 or -1, say which way. A pixel at the share e of the radius r from the
    centre of its disk is read from r e sin(pi e / 2)**-(0.04 severity + 0.1), turned by
    (pi / 2) (severity / 10) (1 - e)**2. Quirks: the centre of a cell of even side lies half a pixel right of
    and below its middle; rows and columns that are left over stay.
    """
    side, cells = pixels.shape[-1], signs.shape[-1]
    cell = side // cells
    line = torch.arange(side, dtype=torch.float64, device=pixels.device)
    which = (line / cell).long()
    offset, left_over = line - which * cell - cell / 2, which >= cells
    which = which.clamp_(max=cells - 1)

    share = torch.hypot(offset[:, None], offset) / (cell / 2)
    still = (share >= 1) | (share == 0) | left_over | left_over[:, None]
    share = share.masked_fill(still, 1)  # read from where it is
    pinch = torch.sin(share * (math.pi / 2)) ** -(0.04 * severity + 0.1)
    angle = (math.pi / 2) * (severity / 10) * (1 - share) ** 2
    along, turned = pinch * angle.cos(), pinch * angle.sin() * signs[:, which][:, :, which]
    rows = line[:, None] + offset[:, None] * (along - 1) - offset * turned
    columns = line + offset * (along - 1) + offset[:, None] * turned
    return torch.where(still, pixels, _bilinear(pixels, rows, columns))


def pinch_and_twirl(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Pinch and twirl disks in a grid of 3 x 3 cells, from 64 px on of 5 x 5; see `twirl`.

    The authors say so for 32 and 224 px. Stream 0 draws which way each disk turns.
    """
    cells = 3 if pixels.shape[-1] < 64 else 5
    return twirl(pixels, integers(seeds, 0, 2, (cells, cells)) * 2 - 1, severity)


def waves(pixels: Tensor, lengths: Tensor, phases: Tensor, severity: float) -> Tensor:
    """Move rows by a sine of the row and columns by one of the column, by at most 0.0025 `severity` sides.

    `lengths` of the waves in pixels and `phases` in radians are (N, 2), rows before columns. Outside the
    image is black.
    """
    side = pixels.shape[-1]
    line = torch.arange(side, dtype=torch.float64, device=pixels.device)
    angles = (2 * math.pi) * line / lengths.double()[:, :, None] + phases.double()[:, :, None]
    rows, columns = (line + 0.0025 * severity * side * angles.sin()).unbind(1)
    return _bilinear(pixels, rows[:, :, None], columns[:, None])


def ripple(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Bend the image by waves of 0.1 to 0.3 sides; see `waves`. Stream 0 draws lengths, then phases."""
    draws = uniform(seeds, (2, 2)).double()
    return waves(pixels, (0.1 + 0.2 * draws[:, 0]) * pixels.shape[-1], 2 * math.pi * draws[:, 1], severity)


# ---- Cubic splines


def _spline_taps(positions: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The four cubic B-splines that reach each of `positions` (...): their indices and weights, both (4, ...).

    Indices outside 0..side - 1 are mirrored about the edge pixel.
    """
    indices = np.floor(positions).astype(int) + np.arange(-1, 3).reshape(4, *[1] * positions.ndim)
    distances = np.abs(positions - indices)
    weights = np.where(distances < 1, 2 / 3 - distances**2 + distances**3 / 2, (2 - distances).clip(0) ** 3 / 6)
    return side - 1 - np.abs(side - 1 - np.abs(indices)), weights


@lru_cache(maxsize=5)
def _rotations(side: int, severity: float, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The weighted mean of 21 rotations of an image, in sparse form.

    Returns the matrix (side, side) that makes spline coefficients of a row or column, float64; then, for each
    of the pixels in raster order, the coefficients that it needs and their weights: (taps, side**2).
    """
    steps = np.arange(21) / 10 - 1
    shares = np.exp(-2 * steps**2)
    line = np.arange(side) - (side - 1) / 2
    targets = np.arange(side * side).reshape(side, side)
    mean = coo_array((side * side, side * side))
    for step, share in zip(steps, shares / shares.sum(), strict=True):
        angle = np.radians(1.5 * severity * step)
        cos, sin = np.cos(angle), np.sin(angle)
        rows = cos * line[:, None] - sin * line + (side - 1) / 2
        columns = sin * line[:, None] + cos * line + (side - 1) / 2
        inside = (np.minimum(rows, columns) >= 0) & (np.maximum(rows, columns) <= side - 1)
        (rows, along_rows), (columns, along_columns) = (_spline_taps(x[inside], side) for x in (rows, columns))
        weights = share * along_rows[:, None] * along_columns
        sources = rows[:, None] * side + columns
        entries = np.broadcast_to(targets[inside], sources.shape).ravel(), sources.ravel()
        mean = mean + coo_array((weights.ravel(), entries), shape=mean.shape)
    mean.sort_indices()
    mean.eliminate_zeros()

    counts = np.diff(mean.indptr)
    pixel = np.repeat(np.arange(side * side), counts)
    tap = np.arange(mean.nnz) - mean.indptr[pixel]
    shape = counts.max(), side * side  # pixels that need fewer are filled up with weights of 0
    sources, weights = np.zeros(shape, np.int32), np.zeros(shape, np.float32)
    sources[tap, pixel], weights[tap, pixel] = mean.indices, mean.data
    coefficients = spline_filter1d(np.eye(side), order=3, axis=0, mode="mirror")
    return tuple(sent(torch.from_numpy(array), device) for array in (coefficients, sources, weights))  # type: ignore[return-value]


def circular_motion_blur(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Weighted mean of the image turned about its centre by 21 angles, up to 1.5 `severity` degrees either way.

    Rotations are cubic splines. Quirk: outside the image is black, and only an unturned image reaches
    into the corners, so they are dark.
    """
    count, channels, side, _ = pixels.shape
    coefficients, sources, weights = _rotations(side, severity, pixels.device)
    splines = (coefficients @ pixels.double() @ coefficients.T).float()
    splines = splines.view(count * channels, side * side).T.contiguous()  # a tap copies whole rows
    result = torch.zeros_like(splines)
    for source, weight in zip(sources, weights[:, :, None], strict=True):
        result += splines.index_select(0, source).mul_(weight)
    return result.T.reshape(pixels.shape)


@lru_cache(maxsize=5)
def _enlargers(side: int, severity: float, device: torch.device) -> Tensor:
    """The matrices (3, side, side) that enlarge a row or column by three zooms and cut out its middle, float64."""
    matrices = np.zeros((3, side, side))
    for matrix, zoom in zip(matrices, (1, 1 + 0.025 * severity, 1 + 0.05 * severity), strict=True):
        enlarged = round(side * zoom)
        positions = (np.arange(side) + (enlarged - side) // 2) * ((side - 1) / (enlarged - 1))
        for sources, weights in zip(*_spline_taps(positions, side), strict=True):
            np.add.at(matrix, (np.arange(side), sources), weights)
    return sent(torch.from_numpy(matrices), device)


def transverse_chromatic_abberation(pixels: Tensor, seeds: Tensor, severity: float) -> Tensor:
    """Enlarge one channel by 1 + 0.05 `severity`, one by half as much and one not at all; whole levels out.

    Quirk: pixels are taken for the coefficients of cubic splines, so even the channel that is not enlarged
    is blurred, by 1/6, 2/3, 1/6 along both axes. Stream 0 draws the order of the channels.
    """
    orders = sent(torch.tensor(list(permutations(range(3)))), pixels.device)
    matrices = _enlargers(pixels.shape[-1], severity, pixels.device)[orders[integers(seeds, 0, 6, ())]]
    enlarged = matrices @ pixels.double() @ matrices.mT
    return enlarged.add_(0.5 + 1e-6).floor_().float()  # halves are common: up, whatever their last bits
