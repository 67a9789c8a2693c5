"""The corruptions of CIFAR-10-C-bar: slow transcriptions fed with the same draws, known values, what each promises."""

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, stats
from skimage.draw import line_aa

from lib.randomness import image_seeds, integers, normal, uniform
from lib.shifts.corruptions import bar
from lib.shifts.corruptions.bar import (
    CIFAR10,
    IMAGENET,
    blue_noise_sample,
    brownish_noise,
    checkerboard_cutout,
    checkerboard_mask,
    circular_motion_blur,
    inverse_sparkles,
    line_coverage,
    lines,
    pinch_and_twirl,
    ripple,
    sparkle_weights,
    sparkles,
    transverse_chromatic_abberation,
    twirl,
    waves,
)
from lib.shifts.corruptions.filters import truncate

BAR = {name: getattr(bar, name) for name in CIFAR10}
UNDRAWN = ("circular_motion_blur",)
few = settings(max_examples=6, deadline=None, derandomize=True)


def pictures(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """Smooth blobs with a little noise, flat black, grey and white patches: whole levels (count, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    images = F.interpolate(torch.rand(count, 3, 7, 7, generator=generator) * 335 - 40, size=side, mode="bicubic")
    images += torch.randn(images.shape, generator=generator) * 6
    third = side // 3
    images[:, :, :third, :third], images[:, :, -third:, :third], images[:, :, :third, -third:] = 0, 128, 255
    return images.clamp(0, 255).floor()


def some_seeds(count: int, seed: int = 0) -> torch.Tensor:
    return image_seeds(count, torch.Generator().manual_seed(seed))


# ---- The tables, typed a second time from the authors' two files

PUBLISHED_CIFAR10 = """
blue_noise_sample,0.7,1.4,2.1,3.5,4.2
checkerboard_cutout,1.0,2.0,3.0,4.0,5.0
inverse_sparkles,1.0,1.5,2.5,4.5,5.0
pinch_and_twirl,5.5,6.0,6.5,8.5,10.0
ripple,5.5,6.0,6.5,7.5,8.0
brownish_noise,2.5,4.0,5.5,6.5,7.0
circular_motion_blur,2.8,3.6,4.4,5.2,6.0
lines,0.5,1.0,1.5,2.0,2.5
sparkles,0.7,3.5,5.6,6.3,7.0
transverse_chromatic_abberation,1.0,2.0,5.0,9.0,10.0
"""
PUBLISHED_IMAGENET = """
caustic_refraction,2.35,3.2,4.9,6.6,9.15
inverse_sparkles,1.0,2.0,4.0,9.0,10.0
sparkles,1.0,2.0,3.0,5.0,6.0
perlin_noise,4.6,5.2,5.8,7.6,8.8
blue_noise_sample,0.8,1.6,2.4,4.0,5.6
plasma_noise,4.75,7.0,8.5,9.25,10.0
checkerboard_cutout,2.0,3.0,4.0,5.0,6.0
cocentric_sine_waves,3.0,5.0,8.0,9.0,10.0
single_frequency_greyscale,1.0,1.5,2.0,4.5,5.0
brownish_noise,1.0,2.0,3.0,4.0,5.0
"""


def published(table: str) -> dict[str, tuple[float, ...]]:
    rows = (line.split(",") for line in table.split())
    return {name: tuple(float(value) for value in values) for name, *values in rows}


def test_severities_are_the_published_ones():
    assert CIFAR10 == published(PUBLISHED_CIFAR10)
    assert list(CIFAR10) == list(published(PUBLISHED_CIFAR10))
    assert IMAGENET == {name: row for name, row in published(PUBLISHED_IMAGENET).items() if name in CIFAR10}
    assert len(IMAGENET) == 5


# ---- Transcriptions: one image, loops, NumPy; what is drawn comes from the same seeds

SEEDS = torch.tensor([7, -123456789012345])
CIFAR_CASES = [1, 3, 5]
OTHER_SIDES = [(45, 4), (64, 2), (33, 5)]  # side, which severity
CASES = [(32, index) for index in CIFAR_CASES] + OTHER_SIDES


def draws(shape: tuple[int, ...], stream: int = 0) -> np.ndarray:
    return uniform(SEEDS, shape, stream).double().numpy()


def both_sides(function, side: int, index: int):
    """For each of two images: our result clipped, the image as an array (side, side, 3), its number, the severity."""
    pixels = pictures(2, side, seed=index)
    severity = CIFAR10[function.__name__][index - 1]
    before = pixels.clone()
    result = function(pixels, SEEDS, severity)
    assert result.dtype == torch.float32 and result.shape == pixels.shape
    assert torch.equal(pixels, before)  # the input is left alone
    for n in range(2):
        ours, image = (images[n].permute(1, 2, 0).double().numpy() for images in (result.clamp(0, 255), pixels))
        yield ours, image, n, severity


def agree(ours: np.ndarray, expected: np.ndarray, tolerance: float = 2e-3, share: float = 1.0) -> None:
    """Grey levels within `tolerance` on `share` of the values."""
    distance = np.abs(ours - np.clip(expected, 0, 255))
    assert (distance < tolerance).mean() >= share, distance.max()


def spectral_field(phases: np.ndarray, side: int, magnitude) -> np.ndarray:
    """The noise of one channel, frequency by frequency."""
    spectrum = np.zeros((side, side), complex)
    middle = side // 2
    for i in range(side):
        for j in range(side):
            left = j < (side + 1) // 2
            phase = phases[i, j] if left else phases[side - 1 - i, side - 1 - j]
            distance = math.dist((i, j), (middle, middle))
            spectrum[(i - middle) % side, (j - middle) % side] = magnitude(distance) * np.exp(1j * phase)
    field = np.fft.ifft2(spectrum).real
    return field / field.std()


@pytest.mark.parametrize("side, index", CASES)
def test_blue_noise(side, index):
    phases = draws((1, side, (side + 1) // 2)) * 2 * np.pi
    for ours, image, n, severity in both_sides(blue_noise_sample, side, index):
        noise = spectral_field(phases[n, 0], side, lambda distance: distance)
        kept = noise > 0.3 * severity - 2.5
        assert 0 < (~kept).mean() < 0.2
        agree(ours, image * kept[:, :, None], 1e-6)


@pytest.mark.parametrize("side, index", CASES)
def test_brownish_noise(side, index):
    phases = draws((3, side, (side + 1) // 2)) * 2 * np.pi
    for ours, image, n, severity in both_sides(brownish_noise, side, index):
        fields = [spectral_field(phases[n, c], side, lambda distance: 1 / (distance**2 + 1)) for c in range(3)]
        agree(ours, image + 6.4 * severity * np.stack(fields, axis=-1), 1e-4)


@pytest.mark.parametrize("side, index", CASES + [(16, 5)])
def test_checkerboard(side, index):
    angles_and_cells, choices = draws((2,)), draws((29, 29), stream=1)
    for ours, image, n, severity in both_sides(checkerboard_cutout, side, index):
        angle, cell = angles_and_cells[n, 0] * 2 * np.pi, max(0.1 + angles_and_cells[n, 1] * 0.15, 1 / side) * side
        grid = np.full((int(4 * side / cell),) * 2, np.nan)
        for i, j in itertools.product(range(-14, 15), repeat=2):
            if abs(i) < len(grid) / 2 and abs(j) < len(grid) / 2:
                grid[i, j] = choices[n, i + 14, j + 14] < severity / 10  # a negative number counts from the end
        expected = image.copy()
        for y, x in np.ndindex(side, side):
            u = (y * math.cos(angle) + x * math.sin(angle)) / cell
            v = (-y * math.sin(angle) + x * math.cos(angle)) / cell
            assert not np.isnan(grid[int(u), int(v)])
            if math.floor(u) % 2 == math.floor(v) % 2 and grid[int(u), int(v)]:
                expected[y, x] = 128
        agree(ours, expected, 1e-6)


def sparkle(side: int, centre, rays: int, lengths, exponent: float) -> np.ndarray:
    weights = np.zeros((side, side))
    for row, col in np.ndindex(side, side):
        distance = math.hypot(row - centre[0], col - centre[1])
        turn = (math.atan2(col - centre[1], row - centre[0]) + math.pi) / (2 * math.pi) * rays
        ray = math.floor(turn)
        between = turn - ray
        length = lengths[ray % rays] * (1 - between) + lengths[(ray + 1) % rays] * between
        strength = (length**2 / (distance**2 + 1e-4)) ** exponent
        weights[row, col] = min((1 - (between - 0.5) ** 2) * strength, 1)
    return weights


@pytest.mark.parametrize("side, index", CASES)
def test_sparkles(side, index):
    centres = draws((5, 2)) * side
    rays = integers(SEEDS, 50, 200, (5,), stream=1).numpy()
    variation = normal(SEEDS, (5, 199), stream=2).double().numpy()
    for ours, image, n, severity in both_sides(sparkles, side, index):
        radius = 0.01 * severity * side
        for k in range(5):
            lengths = np.maximum(1, radius + 0.25 * radius * variation[n, k])
            weights = sparkle(side, centres[n, k], rays[n, k], lengths, 1)[:, :, None]
            image = image + weights * (255 - image)
        agree(ours, image, 1e-3)


@pytest.mark.parametrize("side, index", CASES)
def test_inverse_sparkles(side, index):
    centres = (0.25 + draws((2,)) / 2) * side
    rays = integers(SEEDS, 50, 200, (), stream=1).numpy()
    variation = normal(SEEDS, (199,), stream=2).double().numpy()
    for ours, image, n, severity in both_sides(inverse_sparkles, side, index):
        lengths = 0.25 * side + 0.25 * 0.25 * side * variation[n]
        weights = sparkle(side, centres[n], rays[n], lengths, 0.13 * severity)[:, :, None]
        agree(ours, 255 + weights * (image - 255), 1e-3)


@pytest.mark.parametrize("side, index", CASES + [(96, 5)])
def test_lines(side, index):
    common = draws((2,))
    severity = CIFAR10["lines"][index - 1]
    count = int(severity * side / 10)
    own = draws((3, count), stream=1)
    for ours, image, n, _ in both_sides(lines, side, index):
        for k in range(count):
            variation = 0.1 + 0.9 * common[n, 1]
            angle = 2 * np.pi * common[n, 0] + 2 * np.pi * variation * (own[n, 2, k] - 0.5)
            row, column = own[n, :2, k] * side
            down, across = side * math.cos(angle), side * math.sin(angle)
            ends = (row - down, column - across, row + down, column + across)
            rows, columns, covered = line_aa(*(int(end) for end in ends))
            inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
            rows, columns, covered = rows[inside], columns[inside], covered[inside][:, None]
            image[rows, columns] = (1 - covered) * image[rows, columns] + 128 * covered
            image = np.floor(image + 1e-3)
        agree(ours, image)


@pytest.mark.parametrize("seed", range(3))
def test_a_line_ends_where_that_of_scikit_image_ends(seed):
    """Short and long lines in all directions, ends inside the image."""
    starts, ends = np.random.default_rng(seed).integers(0, 20, (2, 300, 2))
    ends[:9] = starts[:9] + [(i, j) for i in (-3, 0, 3) for j in (-3, 0, 3)]  # along the axes and diagonals
    proper = (starts != ends).any(1)
    starts, ends = starts[proper], ends[proper]
    ours = line_coverage(20, torch.from_numpy(starts), torch.from_numpy(ends))[:, 0]
    for coverage, start, end in zip(ours.double().numpy(), starts, ends, strict=True):
        expected = np.zeros((24, 24))
        rows, columns, covered = line_aa(*start, *end)
        expected[rows, columns] = covered
        assert np.abs(coverage - expected[:20, :20]).max() < 1e-6


def read(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Bilinear, with zeros for neighbours outside the image."""
    options = {"order": 1, "mode": "grid-constant"}
    return np.stack([ndimage.map_coordinates(image[..., c], (rows, columns), **options) for c in range(3)], axis=-1)


@pytest.mark.parametrize("side, index", CASES + [(30, 5), (224, 1)])
def test_pinch_and_twirl(side, index):
    cells = 3 if side < 64 else 5
    cell = side // cells
    signs = integers(SEEDS, 0, 2, (cells, cells)).numpy() * 2 - 1
    for ours, image, n, severity in both_sides(pinch_and_twirl, side, index):
        rows, columns = np.mgrid[:side, :side].astype(float)
        for y, x in np.ndindex(cells * cell, cells * cell):
            middle = y // cell * cell + cell / 2, x // cell * cell + cell / 2
            dy, dx = y - middle[0], x - middle[1]
            distance = math.hypot(dy, dx)
            if distance > cell / 2 or round(distance, 3) == 0:
                continue
            e = distance / (cell / 2)
            pinch = math.sin(math.pi * e / 2) ** -(0.04 * severity + 0.1)
            turn = signs[n, y // cell, x // cell] * math.pi / 2 * severity / 10 * (1 - e) ** 2
            rows[y, x] = middle[0] + pinch * (dy * math.cos(turn) - dx * math.sin(turn))
            columns[y, x] = middle[1] + pinch * (dy * math.sin(turn) + dx * math.cos(turn))
        agree(ours, read(image, rows, columns), 2e-3 if side < 100 else 2e-2)  # positions in float32
        stays = (rows == np.arange(side)[:, None]) & (columns == np.arange(side))
        assert np.array_equal(ours[stays], image[stays])


@pytest.mark.parametrize("side, index", CASES)
def test_ripple(side, index):
    drawn = draws((2, 2))
    for ours, image, n, severity in both_sides(ripple, side, index):
        lengths, phases = (0.1 + 0.2 * drawn[n, 0]) * side, drawn[n, 1] * 2 * np.pi
        rows, columns = np.mgrid[:side, :side].astype(float)
        rows += 0.0025 * severity * side * np.sin(2 * np.pi * rows / lengths[0] + phases[0])
        columns += 0.0025 * severity * side * np.sin(2 * np.pi * columns / lengths[1] + phases[1])
        agree(ours, read(image, rows, columns))


@pytest.mark.parametrize("side, index", CASES)
def test_circular_motion_blur(side, index):
    for ours, image, _, severity in both_sides(circular_motion_blur, side, index):
        weights = [math.exp(-2 * (i / 10 - 1) ** 2) for i in range(21)]
        assert sum(weights) == pytest.approx(12.0892, abs=1e-4)
        blurred = np.zeros_like(image)
        for i, weight in enumerate(weights):
            angle = (i / 10 - 1) * 1.5 * severity
            blurred += weight * ndimage.rotate(image, angle, reshape=False, order=3, mode="constant")
        agree(ours, blurred / sum(weights))


@pytest.mark.parametrize("side, index", CASES)
def test_chromatic_abberation(side, index):
    order = integers(SEEDS, 0, 6, ()).numpy()
    for ours, image, n, severity in both_sides(transverse_chromatic_abberation, side, index):
        for channel, step in enumerate(list(itertools.permutations((0, 1, 2)))[order[n]]):
            zoom = 1 + 0.025 * step * severity
            enlarged = ndimage.zoom(image[:, :, channel], zoom, order=3, prefilter=False, mode="mirror")
            assert len(enlarged) == round(side * zoom)
            crop = (len(enlarged) - side) // 2
            enlarged = enlarged[crop : crop + side, crop : crop + side]
            agree(ours[:, :, channel], np.floor(enlarged + 0.5 + 1e-6), 1e-6)


# ---- Known values: plain images


def plain(value: float, count: int = 1, side: int = 32) -> torch.Tensor:
    return torch.full((count, 3, side, side), float(value))


@pytest.mark.parametrize("name", ["transverse_chromatic_abberation", "pinch_and_twirl", "lines", "checkerboard_cutout"])
@pytest.mark.parametrize("side", [32, 47])
def test_plain_grey_stays(name, side):
    grey = plain(128, 20, side)
    for severity in CIFAR10[name]:
        assert torch.equal(truncate(BAR[name](grey, some_seeds(20), severity)), grey)


@pytest.mark.parametrize(
    "severity, top, near_the_corner, mean", [(2.8, 72.822, 125.134, 120.667), (6, 91.316, 83.957, 119.875)]
)
def test_circular_motion_blur_of_grey_has_dark_corners(severity, top, near_the_corner, mean):
    blurred = circular_motion_blur(plain(128), None, severity)[0, 0]
    assert blurred[0, 16].item() == pytest.approx(top, abs=1e-3)
    assert blurred[1, 1].item() == pytest.approx(near_the_corner, abs=1e-3)
    assert blurred.mean().item() == pytest.approx(mean, abs=1e-3)
    for listed in CIFAR10["circular_motion_blur"]:
        levels = truncate(circular_motion_blur(plain(128), None, listed))
        assert levels[0, :, 0, 0].tolist() == [10] * 3 and levels[0, :, 16, 16].tolist() == [128] * 3
        assert circular_motion_blur(plain(128), None, listed)[0, 0, 0, 0].item() == pytest.approx(10.588, abs=1e-3)


def test_ripple_of_grey_changes_the_border_only():
    for severity, darkest in zip(CIFAR10["ripple"], (40.1, 34.6, 29.5, 20.5, 16.6), strict=True):
        moved = ripple(plain(128, 400), some_seeds(400), severity)
        assert (moved[..., 1:-1, 1:-1] - 128).abs().max() < 1e-3
        assert darkest - 0.1 < moved.min().item() < darkest + 8


# ---- Known values: the ramp (8x, 8y, 4(x + y)), floats before clipping; mean |out - ramp| after it

POINTS = [(0, 0), (5, 9), (16, 30), (31, 31)]
LINE = torch.arange(32.0)
RAMP = torch.stack([8 * LINE[None].expand(32, 32), 8 * LINE[:, None].expand(32, 32), 4 * (LINE[:, None] + LINE)])[None]


def close(out: torch.Tensor, mad: float, points: str, where=POINTS, tolerance: float = 2e-3) -> None:
    """`points` are "red/green/blue" or one number for all three, one for each of `where`."""
    assert (out.clamp(0, 255) - RAMP).abs().mean().item() == pytest.approx(mad, abs=tolerance)
    for (y, x), cell in zip(where, points.split(), strict=True):
        expected = [float(value) for value in cell.split("/")]
        assert out[0, :, y, x].tolist() == pytest.approx(expected * (3 // len(expected)), abs=tolerance)


@pytest.mark.parametrize(
    "severity, mad, points",
    [
        (2.8, 7.1503, "0/0/0 72.028/40.045/56.037 239.922/127.998/183.96 20.514/20.514/20.514"),
        (3.6, 7.2594, "0/0/0 72.047/40.075/56.061 239.871/127.996/183.934 20.514/20.514/20.514"),
        (4.4, 7.4624, "0/0/0 72.07/40.112/56.091 239.808/127.995/183.902 20.514/20.514/20.514"),
        (5.2, 7.7131, "0/0/0 72.097/40.156/56.127 239.734/127.993/183.863 20.514/20.514/20.514"),
        (6.0, 8.0299, "0/0/0 72.13/40.208/56.169 239.649/127.99/183.819 20.514/20.514/20.514"),
    ],
)
def test_ramp_turned(severity, mad, points):
    close(circular_motion_blur(RAMP, None, severity), mad, points, tolerance=1e-3)


@pytest.mark.parametrize(
    "severity, mad, points",
    [
        (1, 2.2048, "3/3/8 72/39/60 240/124/180 245/240/240"),
        (2, 3.0003, "3/8/7 72/45/58 240/128/175 245/240/233"),
        (5, 5.3919, "3/14/25 72/50/70 240/128/172 245/234/223"),
        (9, 8.4583, "3/20/39 72/52/77 240/124/165 245/222/209"),
        (10, 9.2734, "3/25/42 72/57/79 240/127/164 245/223/206"),
    ],
)
def test_ramp_through_a_cheap_lens(severity, mad, points):
    """Red stays, green is enlarged, blue twice as much. At severity 1 SciPy rounds 256 halves either way, we up."""
    seeds = some_seeds(40)
    first = int((integers(seeds, 0, 6, ()) == 0).nonzero()[0])
    out = transverse_chromatic_abberation(RAMP, seeds[first : first + 1], severity)
    halves = 256 if severity == 1 else 0
    close(out, mad, points, tolerance=1e-3 + halves / RAMP.numel())


@pytest.mark.parametrize(
    "severity, mad, points",
    [
        (5.5, 3.328, "3.520/0/1.760 69.073/36.548/52.810 238.653/128/183.326 187.376/185.165/186.271"),
        (8, 4.840, "5.120/0/2.560 67.743/34.978/51.361 238.041/128/183.020 159.820/157.076/158.448"),
    ],
)
def test_ramp_in_waves(severity, mad, points):
    lengths, phases = torch.tensor([[6.4, 6.4]]).double(), torch.tensor([[0, math.pi / 2]]).double()
    close(waves(RAMP, lengths, phases, severity), mad, points)


@pytest.mark.parametrize(
    "sign, severity, mad, points",
    [
        (1, 5.5, 1.107, "72.499/38.876/55.688 20.063/25.694/22.879 40/40/40 195.920/60.163/128.042"),
        (1, 10, 1.992, "72.748/37.940/55.344 17.328/27.933/22.630 40 200.364/62.252/131.308"),
        (-1, 5.5, 1.107, "72.499/41.124/56.811"),
        (-1, 10, 1.992, "72.748/42.060/57.404"),
    ],
)
def test_ramp_twirled(sign, severity, mad, points):
    out = twirl(RAMP, torch.full((1, 3, 3), sign), severity)
    close(out, mad, points, [(5, 9), (3, 3), (5, 5), (7, 24)][: len(points.split())])
    assert torch.equal(out[:, :, 30:], RAMP[:, :, 30:]) and torch.equal(out[..., 30:], RAMP[..., 30:])


def one_sparkle(length: float, exponent: float) -> torch.Tensor:
    """100 rays of the same length about the centre of the ramp."""
    lengths = torch.full((1, 100), length, dtype=torch.float64)
    return sparkle_weights(32, torch.tensor([[16.0, 16.0]]).double(), torch.tensor([100]), lengths, exponent).float()


def test_ramp_under_a_sparkle():
    points = "2.499 76.156/44.882/60.519 240.288/130.438/185.363 248.078"
    close(RAMP + one_sparkle(2.24, 1) * (255 - RAMP), 9.438, points)


@pytest.mark.parametrize(
    "severity, mad, points",
    [
        (1, 22.827, "60.402 130.995/109.311/120.153 245.273/172.648/208.961 249.568"),
        (5, 55.895, "189.002 180.386/167.339/173.863 249.565/208.983/229.274 253.030"),
    ],
)
def test_ramp_outside_a_sparkle(severity, mad, points):
    close(255 + one_sparkle(8, 0.13 * severity) * (RAMP - 255), mad, points)


def test_a_checkerboard_of_which_every_field_is_chosen():
    angle, cell = torch.tensor([0.5]).double(), torch.tensor([5.0]).double()
    cut = checkerboard_mask(32, angle, cell, torch.ones(1, 29, 29, dtype=torch.bool))[0]
    assert 100 * cut.float().mean().item() == pytest.approx(50.49, abs=0.01)
    assert all(cut[y, x] for y, x in POINTS) and not cut[0, 7]
    assert not checkerboard_mask(32, angle, cell, torch.zeros(1, 29, 29, dtype=torch.bool)).any()


# ---- Statistics on grey and black, of levels


def statistics(name: str, severity: float, value: float = 128, count: int = 400, side: int = 32):
    """Levels (count, 3, side, side), their mean, its standard error, the mean over images of the deviation within."""
    levels = truncate(BAR[name](plain(value, count, side), some_seeds(count, side), severity))
    means = levels.mean((1, 2, 3))
    return levels, means.mean().item(), means.std().item() / count**0.5, levels.std((1, 2, 3)).mean().item()


@pytest.mark.parametrize("table, side, count", [(CIFAR10, 32, 400), (IMAGENET, 96, 30)])
def test_blue_noise_on_grey(table, side, count):
    for severity in table["blue_noise_sample"]:
        levels, mean, error, _ = statistics("blue_noise_sample", severity, count=count, side=side)
        assert levels.unique().tolist() == [0, 128]
        assert torch.equal(levels[:, 0], levels[:, 1]) and torch.equal(levels[:, 0], levels[:, 2])
        assert mean == pytest.approx(128 * stats.norm.sf(0.3 * severity - 2.5), abs=4 * error + 0.1)


def test_brownish_noise_on_grey():
    for severity, deviation in zip(CIFAR10["brownish_noise"], (16.0, 25.6, 35.2, 41.4, 44.3), strict=True):
        levels, mean, error, _ = statistics("brownish_noise", severity)
        assert mean == pytest.approx(127.5, abs=4 * error + 0.1)
        assert levels.std((2, 3)).mean().item() == pytest.approx(deviation, rel=0.01)


@pytest.mark.parametrize("side", [32, 45, 96])
def test_brownish_noise_has_its_deviation_in_each_channel_and_a_cast(side):
    for severity in (1.0, 7.0):
        noise = brownish_noise(plain(0, 20, side), some_seeds(20), severity).double()
        spread = noise.std((2, 3), correction=0)
        assert torch.allclose(spread, torch.full_like(spread, 6.4 * severity), rtol=1e-6, atol=0)
    casts = brownish_noise(plain(0, 300), some_seeds(300), 1.0).mean((2, 3))
    assert casts.std().item() == pytest.approx(0.70 * 6.4, rel=0.1)
    assert torch.corrcoef(casts.T).fill_diagonal_(0).abs().max() < 4 / 300**0.5  # channels are independent


SPARKLES = """
cifar10 sparkles | 137.6 140.8 152.7 157.2 161.9 | 19.1 22.0 29.9 32.0 33.9
imagenet sparkles | 129.1 132.5 137.2 149.0 155.0 | 6.8 13.1 18.8 27.6 31.3
cifar10 inverse_sparkles | 150.9 156.8 166.6 181.8 184.7 | 14.7 18.5 24.9 34.0 35.6
imagenet inverse_sparkles | 150.9 161.9 178.4 200.9 204.4 | 14.7 21.8 32.1 44.0 45.2
""".strip().splitlines()


@pytest.mark.parametrize("line", SPARKLES)
def test_sparkles_on_grey(line):
    names, means, deviations = (part.split() for part in line.split("|"))
    table, side, count, soft = (CIFAR10, 32, 400, 0.1) if names[0] == "cifar10" else (IMAGENET, 224, 10, 2)
    for severity, expected, deviation in zip(table[names[1]], means, deviations, strict=True):
        levels, mean, error, spread = statistics(names[1], severity, count=count, side=side)
        assert levels.min() >= 128  # only towards white
        assert mean == pytest.approx(float(expected), abs=4 * error + soft)
        assert spread == pytest.approx(float(deviation), rel=0.03 if side == 32 else 0.1)


def test_ripple_on_grey_and_on_the_ramp():
    ramps = RAMP.expand(600, -1, -1, -1)
    known = zip((125.8, 125.6, 125.4, 124.8, 124.8), (4.05, 4.38, 4.82, 5.57, 5.84), strict=True)
    for severity, (expected, mad) in zip(CIFAR10["ripple"], known, strict=True):
        _, mean, error, _ = statistics("ripple", severity)
        assert mean == pytest.approx(expected, abs=4 * error + 0.1)
        moved = (ripple(ramps, some_seeds(600), severity).clamp(0, 255) - ramps).abs().mean((1, 2, 3))
        assert moved.mean().item() == pytest.approx(mad, abs=4 * moved.std().item() / 600**0.5 + 0.16)


def test_lines_on_black():
    known = zip((3.80, 10.98, 14.41, 20.93, 27.15), (0.059, 0.166, 0.214, 0.302, 0.381), strict=True)
    for severity, (expected, share) in zip(CIFAR10["lines"], known, strict=True):
        levels, mean, error, _ = statistics("lines", severity, 0)
        assert mean == pytest.approx(expected, abs=4 * error + 0.1)
        assert (levels > 0).float().mean().item() == pytest.approx(share, rel=0.05)
        assert levels.max() <= 128


@pytest.mark.parametrize("table, side, count", [(CIFAR10, 32, 400), (IMAGENET, 64, 100)])
def test_checkerboard_on_black(table, side, count):
    for severity in table["checkerboard_cutout"]:
        levels, mean, error, _ = statistics("checkerboard_cutout", severity, 0, count, side)
        assert levels.unique().tolist() == [0, 128]
        assert mean == pytest.approx(6.4 * severity, abs=4 * error + 0.1)
        spread = 100 * (levels.mean((1, 2, 3)) / 128).std().item()
        assert 1.5 < spread < 8  # points; 3.6 to 6 in large samples


# ---- What each promises


@pytest.mark.parametrize("name", BAR)
@few
@given(
    count=st.integers(2, 9),
    side=st.integers(16, 70),
    step=st.floats(0, 1),
    seed=st.integers(0, 2**40),
    data=st.data(),
)
def test_an_image_does_not_depend_on_its_batch(name, count, side, step, seed, data):
    low, high = CIFAR10[name][0], CIFAR10[name][-1]
    severity = low + step * (high - low)  # any between those of the table
    pixels, seeds = pictures(count, side, seed % 1000), some_seeds(count, seed)
    whole = truncate(BAR[name](pixels, seeds, severity))
    assert whole.dtype == torch.float32 and whole.shape == pixels.shape and whole.isfinite().all()
    cut = data.draw(st.integers(1, count - 1))
    parts = [BAR[name](pixels[part], seeds[part], severity) for part in (slice(cut), slice(cut, None))]
    assert torch.equal(truncate(torch.cat(parts)), whole)


@pytest.mark.parametrize("name", BAR)
def test_large_batches_are_the_small_ones_put_together(name):
    pixels, seeds, severity = pictures(150, 33), some_seeds(150), CIFAR10[name][3]
    whole = truncate(BAR[name](pixels, seeds, severity))
    sizes = [1, 2, 66, 64, 17]
    parts = [BAR[name](*part, severity) for part in zip(pixels.split(sizes), seeds.split(sizes), strict=True)]
    assert torch.equal(truncate(torch.cat(parts)), whole)


@pytest.mark.parametrize("name", BAR)
def test_threads_do_not_matter(name):
    """How work is split among threads depends on the batch; the bytes must not."""
    side = 97 if name == "circular_motion_blur" else 160
    pixels, seeds, severity = pictures(5, side), some_seeds(5), CIFAR10[name][2]
    alone = truncate(BAR[name](pixels, seeds, severity))
    torch.set_num_threads(3)
    try:
        parts = [BAR[name](pixels[part], seeds[part], severity) for part in (slice(1), slice(1, None))]
    finally:
        torch.set_num_threads(1)
    assert torch.equal(truncate(torch.cat(parts)), alone)


@pytest.mark.parametrize("name", BAR)
def test_seeds(name):
    pixels, severity = pictures(1, 32, 5).repeat(4, 1, 1, 1), CIFAR10[name][2]
    first = BAR[name](pixels, some_seeds(4, 1), severity)
    assert torch.equal(first, BAR[name](pixels, some_seeds(4, 1), severity))
    by_chance = name not in UNDRAWN  # these differ by seed and within the batch
    assert torch.equal(first, BAR[name](pixels, some_seeds(4, 2), severity)) != by_chance
    assert torch.equal(first, first[:1].expand_as(first)) != by_chance


@pytest.mark.parametrize("name", [n for n in BAR if n not in ("brownish_noise", "transverse_chromatic_abberation")])
def test_channels_may_be_swapped_before_or_after(name):
    pixels, seeds, order = pictures(3, 32, 2), some_seeds(3), [2, 0, 1]
    swapped = BAR[name](pixels[:, order], seeds, CIFAR10[name][4])
    assert torch.equal(truncate(swapped), truncate(BAR[name](pixels, seeds, CIFAR10[name][4])[:, order]))


@pytest.mark.parametrize("name", BAR)
def test_severity_5_moves_pixels_further_than_severity_1(name):
    pixels, seeds = pictures(40, 32, 4), some_seeds(40)
    moved = [(truncate(BAR[name](pixels, seeds, CIFAR10[name][i])) - pixels).abs().mean() for i in (0, 4)]
    assert moved[1] > 1.1 * moved[0] > 0


@few
@given(low=st.floats(0.1, 5), step=st.floats(0, 2), seed=st.integers(0, 2**40))
def test_what_a_severity_takes_away_a_higher_one_does_too(low, step, seed):
    white, seeds = plain(255, 5), some_seeds(5, seed)
    for function in (blue_noise_sample, checkerboard_cutout):
        less, more = (function(white, seeds, severity) < 255 for severity in (low, low + step))
        assert (more | ~less).all()


def test_the_number_of_lines_is_rounded_down():
    pixels, seeds = pictures(5, 32), some_seeds(5)
    assert torch.equal(lines(pixels, seeds, 0.3), pixels)  # none
    assert torch.equal(lines(pixels, seeds, 0.95), lines(pixels, seeds, 1.2))  # three each
    assert not torch.equal(lines(pixels, seeds, 1.2), lines(pixels, seeds, 1.3))


@pytest.mark.parametrize("name", [n for n in BAR if n != "circular_motion_blur"])
def test_large_images(name):
    pixels = pictures(1, 300, 3)
    moved = (truncate(BAR[name](pixels, some_seeds(1), CIFAR10[name][4])) - pixels).abs().mean()
    assert 0.1 < moved < 128


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", BAR)
def test_a_gpu_gives_the_bytes_of_the_cpu(name):
    pixels, seeds, severity = pictures(20, 33), some_seeds(20), CIFAR10[name][3]
    here, there = BAR[name](pixels, seeds, severity), BAR[name](pixels.cuda(), seeds.cuda(), severity)
    assert there.is_cuda
    # Both round differently in the last bit, which truncation shows on a few pixels.
    assert ((truncate(here) - truncate(there).cpu()).abs() <= 1).float().mean() > 0.999
