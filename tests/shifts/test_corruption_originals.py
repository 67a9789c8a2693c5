"""The same draws through plain transcriptions of the originals, and imagecorruptions as a second witness."""

import io
import math
import sys

import cv2
import numpy as np
import pytest
import skimage
import torch
from PIL import Image
from scipy import ndimage, stats

from benchmarks import imagecorruptions_adapter as peer
from lib.randomness import image_seeds, integers, normal, uniform
from lib.shifts.corruptions import CONSTANTS, corrupt
from lib.shifts.corruptions.blur import defocus_blur, gaussian_blur, glass_blur, motion_blur, zoom_blur
from lib.shifts.corruptions.digital import contrast, elastic_transform, jpeg_compression, pixelate, saturate
from lib.shifts.corruptions.noise import speckle_noise
from lib.shifts.corruptions.spatter import spatter
from lib.shifts.corruptions.weather import brightness, fog, frost, frost_photographs, snow

SEEDS = torch.tensor([7, -123456789012345])
CASES = [(table, severity) for table in CONSTANTS for severity in range(1, 6)]


def picture(side: int, seed: int = 0) -> np.ndarray:
    """Smooth blobs, a little noise, flat black, grey and white patches: uint8 (side, side, 3)."""
    random = np.random.default_rng(seed)
    image = cv2.resize(random.uniform(-40, 295, (7, 7, 3)), (side, side), interpolation=cv2.INTER_CUBIC)
    image += random.normal(0, 6, image.shape)
    third = side // 3
    image[:third, :third], image[-third:, :third], image[:third, -third:] = 0, 128, 255
    return image.clip(0, 255).astype(np.uint8)


def batch(*images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def ours(function, table: str, severity: int, side: int = 32) -> list[np.ndarray]:
    """Two images through our function with SEEDS: the floats before the last cast, clipped, (side, side, 3)."""
    pixels = batch(picture(side, 1), picture(side, 2)).float()
    row = CONSTANTS[table][function.__name__][severity - 1]
    floats = function(pixels, SEEDS, *(row if isinstance(row, tuple) else (row,)))
    return list(floats.clamp(0, 255).permute(0, 2, 3, 1).double().numpy())


def pictures(side: int = 32) -> list[np.ndarray]:
    return [picture(side, seed) / 255 for seed in (1, 2)]


def agree(floats: np.ndarray, expected: np.ndarray, tolerance: float = 2e-3, share: float = 1.0) -> None:
    """Grey levels within `tolerance` on `share` of the pixels, and never more than one level apart."""
    distance = np.abs(floats - np.clip(expected, 0, 1) * 255)
    assert (distance < tolerance).mean() >= share, distance.max()
    assert distance.max() < 1.01


# ---- Transcriptions


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    return ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest", truncate=4)


def magick(image: np.ndarray, radius: float, sigma: float, angle: float) -> np.ndarray:
    """ImageMagick's motion blur of an image (H, W, C) of bytes, before it becomes bytes again."""
    height, width, _ = image.shape
    taps = 2 * math.ceil(radius) + 1
    weights = [math.exp(-i * i / (2 * sigma * sigma)) for i in range(taps)]
    result = np.zeros(image.shape)
    for i, weight in enumerate(weights):
        dx = math.ceil(i * math.cos(math.radians(angle)) - 0.5)
        dy = math.ceil(i * math.sin(math.radians(angle)) - 0.5)
        for y in range(height):
            for x in range(width):
                source = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                result[y, x] += weight / sum(weights) * image[source]
    return result


def magick_bytes(blurred: np.ndarray) -> np.ndarray:
    return np.floor(np.floor(257 * (blurred + 1e-9) + 0.5) / 257)


def zoomed(image: np.ndarray, zoom: float) -> np.ndarray:
    side = image.shape[0]
    cut = math.ceil(side / zoom)
    top = (side - cut) // 2
    enlarged = ndimage.zoom(image[top : top + cut, top : top + cut], (zoom, zoom, 1), order=1)
    trim = (enlarged.shape[0] - side) // 2
    return enlarged[trim : trim + side, trim : trim + side]


@pytest.mark.parametrize("table, severity", CASES)
def test_defocus(table, severity):
    radius, sigma = CONSTANTS[table]["defocus_blur"][severity - 1]
    reach = 8 if radius <= 8 else radius
    kernel = np.array(
        [[float(u * u + v * v <= radius**2) for u in range(-reach, reach + 1)] for v in range(-reach, reach + 1)],
        dtype=np.float32,
    )
    kernel = cv2.GaussianBlur(kernel / kernel.sum(), (3, 3) if radius <= 8 else (5, 5), sigma)
    for floats, image in zip(ours(defocus_blur, table, severity), pictures(), strict=True):
        expected = ndimage.correlate(image, kernel.astype(float)[:, :, None], mode="mirror")
        agree(floats, expected)


@pytest.mark.parametrize("table, severity", CASES)
def test_glass(table, severity):
    sigma, reach, rounds = CONSTANTS[table]["glass_blur"][severity - 1]
    for n, (floats, image) in enumerate(zip(ours(glass_blur, table, severity), pictures(), strict=True)):
        pixels = np.floor(gaussian(image, sigma) * 255 + 1e-3)
        for r in range(rounds):
            offsets = integers(SEEDS, -reach, reach, (2, 32, 32), stream=r)[n].tolist()
            for h in range(32 - reach, reach, -1):
                for w in range(32 - reach, reach, -1):
                    dx, dy = offsets[0][h][w], offsets[1][h][w]
                    pixels[h, w] = pixels[h + dy, w + dx]  # the swap that copies
        agree(floats, gaussian(pixels / 255, sigma), share=0.99)  # a byte may fall either way before it is moved


def test_glass_of_reach_1_copies_from_the_upper_left():
    """Values from here, above, left and above left only; the first two rows and columns stay."""
    marks = torch.arange(1024.0).view(1, 1, 32, 32).expand(1, 3, 32, 32) / 4  # sigma 0.05 is no blur
    out = (glass_blur(torch.floor(marks), SEEDS[:1], 0.05, 1, 1) * 1).view(3, 32, 32)
    marks = torch.floor(marks[0])
    assert torch.equal(out[:, :2], marks[:, :2]) and torch.equal(out[:, :, :2], marks[:, :, :2])
    here = marks[:, 1:, 1:], marks[:, :-1, 1:], marks[:, 1:, :-1], marks[:, :-1, :-1]
    assert torch.stack([out[:, 1:, 1:] == source for source in here]).any(0).all()
    assert (out != marks).float().mean() > 0.3


@pytest.mark.parametrize("table, severity", CASES)
def test_motion(table, severity):
    radius, sigma = CONSTANTS[table]["motion_blur"][severity - 1]
    angles = (uniform(SEEDS, ()) * 90 - 45).tolist()
    for floats, image, angle in zip(ours(motion_blur, table, severity), pictures(), angles, strict=True):
        assert -45 <= angle <= 45
        expected = magick_bytes(magick(image * 255, radius, sigma, angle))
        assert (floats == expected).mean() > 0.999


@pytest.mark.parametrize("angle, severity, mad", [(0, 1, 2.0032), (0, 5, 6.3454), (30, 2, 4.4176), (30, 5, 8.3070)])
def test_the_transcription_of_magick_itself(angle, severity, mad):
    y, x = np.mgrid[:32, :32]
    ramp = np.stack([8 * x, 8 * y, 4 * (x + y)], axis=-1)
    blurred = magick(ramp, *CONSTANTS["cifar10"]["motion_blur"][severity - 1], angle)
    assert np.abs(blurred - ramp).mean() == pytest.approx(mad, abs=1e-3)


def test_motion_severities_3_and_4_of_cifar_are_the_same():
    third, fourth = (ours(motion_blur, "cifar10", severity) for severity in (3, 4))
    assert np.array_equal(third, fourth)


@pytest.mark.parametrize(
    "table, severity, stop, step",
    [
        *[("cifar10", s, stop, 0.01) for s, stop in enumerate((1.06, 1.11, 1.16, 1.21, 1.26), start=1)],
        *[
            ("imagenet", s, stop, step)
            for s, (stop, step) in enumerate(
                [(1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)], start=1
            )
        ],
    ],
)
@pytest.mark.parametrize("side", [32, 45, 96])
def test_zoom(table, severity, stop, step, side):
    zooms = np.arange(1, stop, step)
    for floats, image in zip(ours(zoom_blur, table, severity, side), pictures(side), strict=True):
        expected = (image + sum(zoomed(image, zoom) for zoom in zooms)) / (len(zooms) + 1)
        agree(floats, expected)


@pytest.mark.parametrize("table, severity", CASES)
def test_snow(table, severity):
    mean, deviation, zoom, threshold, radius, sigma, keep = CONSTANTS[table]["snow"][severity - 1]
    layers = normal(SEEDS, (32, 32, 1)).double().numpy()
    angles = (uniform(SEEDS, (), stream=1) * 90 - 135).tolist()
    for floats, image, layer, angle in zip(ours(snow, table, severity), pictures(), layers, angles, strict=True):
        layer = mean + deviation * layer
        if zoom != 1:
            layer = zoomed(layer, zoom)
        layer[layer < threshold] = 0
        layer = magick_bytes(magick(np.floor(255 * layer.clip(0, 1)), radius, sigma, angle)) / 255
        grey = image @ [[0.299], [0.587], [0.114]]
        expected = keep * image + (1 - keep) * np.maximum(image, 1.5 * grey + 0.5) + layer + np.rot90(layer, 2)
        agree(floats, expected, share=0.99)  # a flake's byte may fall either way


@pytest.mark.parametrize("side, count", [(32, 100), (45, 10), (64, 10)])
@pytest.mark.parametrize("table, severity", CASES)
def test_frost(table, severity, side, count):
    of_image, of_photograph, every = CONSTANTS[table]["frost"][severity - 1]
    if side == 64 and every == 5:
        pytest.skip("the reduced photographs are too small: the originals cannot do it")
    seeds = image_seeds(count, torch.Generator().manual_seed(severity))
    draws = uniform(seeds, (3,)).double().numpy()
    image = picture(side)
    pixels = batch(*[image] * count).float()
    floats = frost(pixels, seeds, of_image, of_photograph, every).permute(0, 2, 3, 1).numpy()
    photographs = [p.permute(1, 2, 0).numpy() for p in frost_photographs()]
    if every == 5:
        photographs = [cv2.resize(p, (0, 0), fx=0.2, fy=0.2) for p in photographs]
    seen = set()
    for n, (index, top, left) in enumerate(draws):
        photograph = photographs[int(index * 5)]
        top, left = int(top * (photograph.shape[0] - side)), int(left * (photograph.shape[1] - side))
        crop = photograph[top : top + side, left : left + side]
        assert np.abs(floats[n] - (of_image * image + of_photograph * crop)).max() < 1e-3
        seen.add(int(index * 5))
    assert count < 100 or seen == {0, 1, 2, 3, 4}


def test_the_adapter_has_the_frost_files_in_the_same_order():
    for mine, name in zip(
        frost_photographs(), ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"), strict=True
    ):
        file = peer.source().resource_filename("", f"./frost/{name}")
        theirs = cv2.imread(file)[..., ::-1].astype(int)
        assert np.abs(mine.permute(1, 2, 0).numpy() - theirs).max() <= 3  # two JPEG decoders


@pytest.mark.parametrize("table, severity", CASES)
@pytest.mark.parametrize("side", [32, 45])
def test_fog(table, severity, side):
    thickness, decay = CONSTANTS[table]["fog"][severity - 1]
    size = 32 if side == 32 else 64
    noise = uniform(SEEDS, (size, size)).double().numpy() * 2 - 1
    for n, (floats, image) in enumerate(zip(ours(fog, table, severity, side), pictures(side), strict=True)):
        heights = np.zeros((size, size))
        step, amplitude = size, 100.0
        while step >= 2:
            half = step // 2

            def point(y, x, *around, n=n, heights=heights, amplitude=amplitude):
                mean = sum(heights[(y + dy) % size, (x + dx) % size] for dy, dx in around) / 4
                heights[y, x] = mean + amplitude**2 * noise[n, y, x]

            for y in range(0, size, step):
                for x in range(0, size, step):
                    point(y + half, x + half, (-half, -half), (-half, half), (half, -half), (half, half))
            for y in range(0, size, step):
                for x in range(0, size, step):
                    point(y, x + half, (0, -half), (0, half), (half, 0), (-half, 0))
                    point(y + half, x, (0, -half), (0, half), (half, 0), (-half, 0))
            step, amplitude = half, amplitude / decay
        heights -= heights.min()
        heights /= heights.max()
        haze = thickness * heights[:side, :side, None]
        agree(floats, (image + haze) * image.max() / (image.max() + thickness))


@pytest.mark.parametrize("table, severity", CASES)
@pytest.mark.parametrize("side", [32, 45])
def test_elastic(table, severity, side):
    alpha, sigma, reach = (side * c for c in CONSTANTS[table]["elastic_transform"][severity - 1])
    shifts = (uniform(SEEDS, (3, 2)).double().numpy() * 2 - 1) * reach
    fields = uniform(SEEDS, (2, side, side), stream=1).double().numpy() * 2 - 1
    y, x = np.mgrid[:side, :side].astype(float)
    results = ours(elastic_transform, table, severity, side)
    for floats, image, shift, field in zip(results, pictures(side), shifts, fields, strict=True):
        centre, arm = side // 2, side // 3
        corners = np.float32([[centre + arm, centre + arm], [centre + arm, centre - arm], [centre - arm, centre - arm]])
        forward = np.vstack([cv2.getAffineTransform(corners, np.float32(corners + shift)), [0, 0, 1]])
        sx, sy, _ = np.einsum("ij,jyx->iyx", np.linalg.inv(forward), np.stack([x, y, np.ones_like(x)]))
        dx, dy = (alpha * ndimage.gaussian_filter(f, sigma, mode="reflect", truncate=3) if sigma else 0 for f in field)
        expected = np.empty_like(image)
        for channel in range(3):
            tilted = ndimage.map_coordinates(image[..., channel], [sy, sx], order=1, mode="mirror")
            expected[..., channel] = ndimage.map_coordinates(tilted, [y + dy, x + dx], order=1, mode="reflect")
        agree(floats, expected, tolerance=0.02)  # float32 coordinates


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("side", [32, 96, 224])
@pytest.mark.parametrize("table", CONSTANTS)
def test_pixelate_and_jpeg_are_pillows(table, severity, side):
    image = picture(side)
    blocks = int(side * CONSTANTS[table]["pixelate"][severity - 1])
    box = Image.fromarray(image).resize((blocks, blocks), Image.BOX).resize((side, side), Image.BOX)
    assert np.array_equal(corrupt(batch(image), "pixelate", severity, table)[0].permute(1, 2, 0), box)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=CONSTANTS[table]["jpeg_compression"][severity - 1])
    compressed = np.asarray(Image.open(file)).astype(int)
    mine = corrupt(batch(image), "jpeg_compression", severity, table)[0].permute(1, 2, 0).numpy()
    assert np.abs(mine - compressed).max() <= 1  # equal where Pillow and torchvision come with the same libjpeg-turbo


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("table", CONSTANTS)
def test_brightness_through_hsv(table, severity):
    amount = CONSTANTS[table]["brightness"][severity - 1]
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    image[0, 0] = 0
    hsv = skimage.color.rgb2hsv(image / 255)
    hsv[..., 2] = np.clip(hsv[..., 2] + amount, 0, 1)
    floats = brightness(batch(image).float(), None, amount)[0].permute(1, 2, 0).numpy()
    agree(floats, skimage.color.hsv2rgb(hsv))


@pytest.mark.parametrize("table, severity", CASES)
def test_saturate_through_hsv(table, severity):
    factor, offset = CONSTANTS[table]["saturate"][severity - 1]
    for floats, image in zip(ours(saturate, table, severity), pictures(), strict=True):
        hsv = skimage.color.rgb2hsv(image)
        hsv[..., 1] = np.clip(hsv[..., 1] * factor + offset, 0, 1)
        agree(floats, skimage.color.hsv2rgb(hsv))


@pytest.mark.parametrize("table, severity", CASES)
def test_gaussian_blur_is_scipys(table, severity):
    sigma = CONSTANTS[table]["gaussian_blur"][severity - 1]
    for floats, image in zip(ours(gaussian_blur, table, severity), pictures(), strict=True):
        agree(floats, gaussian(image, sigma))


@pytest.mark.parametrize("table, severity", CASES)
def test_speckle(table, severity):
    deviation = CONSTANTS[table]["speckle_noise"][severity - 1]
    noises = normal(SEEDS, (3, 32, 32)).permute(0, 2, 3, 1).double().numpy() * deviation
    for floats, image, noise in zip(ours(speckle_noise, table, severity), pictures(), noises, strict=True):
        agree(floats, image + image * noise)


@pytest.mark.parametrize("table, severity", CASES)
@pytest.mark.parametrize("side, count", [(32, 40), (45, 20), (224, 2)])
def test_spatter_through_opencv(table, severity, side, count):
    mean, deviation, blur, threshold, strength, mud = CONSTANTS[table]["spatter"][severity - 1]
    seeds = image_seeds(count, torch.Generator().manual_seed(severity))
    noises = normal(seeds, (side, side)).double().numpy()
    image = picture(side) / 255
    pixels = batch(picture(side)).float().expand(count, -1, -1, -1)
    results = spatter(pixels, seeds, mean, deviation, blur, threshold, strength, mud).permute(0, 2, 3, 1).numpy()
    exact = []
    for floats, noise in zip(results, noises, strict=True):
        liquid = ndimage.gaussian_filter(mean + deviation * noise, blur, mode="nearest", truncate=4)
        liquid[liquid < threshold] = 0
        if mud:
            cover = ndimage.gaussian_filter((liquid > threshold).astype(float), strength, mode="nearest", truncate=4)
            cover[cover < 0.8] = 0
            expected = image * (1 - cover[..., None]) + cover[..., None] * np.array([63, 42, 20]) / 255
        else:
            levels = np.uint8(np.int64(255 * liquid) % 256)
            distance = cv2.distanceTransform(255 - cv2.Canny(levels, 50, 150), cv2.DIST_L2, 5)
            distance = cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8)
            relief = cv2.filter2D(cv2.equalizeHist(distance), cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
            light = levels * cv2.blur(relief, (3, 3)).astype(np.float32)
            light = light / max(light.max(), 1) * strength  # without any liquid the original divides 0 by 0
            expected = image + light[..., None] * np.array([175, 238, 238]) / 255
        exact.append(np.abs(floats.clip(0, 255) - expected.clip(0, 1) * 255) < 0.02)
    assert np.mean(exact) > 0.995  # one byte of the liquid that falls the other way changes an image's edges
    assert np.mean([same.all() for same in exact]) > 0.8 or side > 100


# ---- imagecorruptions 1.1.2


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("side", [32, 96])
@pytest.mark.parametrize(
    "function",
    [defocus_blur, gaussian_blur, zoom_blur, brightness, contrast, pixelate, jpeg_compression, saturate],
)
def test_without_chance_we_give_the_pixels_of_imagecorruptions(function, side, severity):
    """The elastic transform is missing here: theirs has no affine part and other constants."""
    image, name = picture(side), function.__name__
    arguments = CONSTANTS["imagenet"][name][severity - 1]
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    floats = function(batch(image).float(), SEEDS[:1], *arguments)[0].permute(1, 2, 0).numpy()
    theirs = np.asarray(getattr(peer.source(), name)(Image.fromarray(image), severity), dtype=float)
    agree(floats.clip(0, 255), theirs / 255, tolerance=5e-3)
    mine = corrupt(batch(image), name, severity, "imagenet")[0].permute(1, 2, 0).numpy().astype(int)
    assert (np.abs(mine - peer.corrupt(image, name, severity)) <= 1).mean() >= 0.99


STATISTICS = ("mean", "spread", "roughness", "coarse", "middling", "fine")


def statistics(images: np.ndarray) -> np.ndarray:
    """`STATISTICS` of each of (N, H, W, 3) in grey levels; the last three are root power in bands of the spectrum."""
    images = images.astype(float)
    rough = np.abs(np.diff(images, axis=2)).mean((1, 2, 3))
    grey = images.mean(axis=3)
    power = np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))) ** 2 / grey[0].size ** 2
    line = np.fft.fftfreq(grey.shape[1])
    frequency = np.hypot(line[:, None], line)
    bands = [power[:, (low <= frequency) & (frequency < high)].sum(1) ** 0.5 for low, high in
             ((0, 0.1), (0.1, 0.25), (0.25, 1))]  # fmt: skip
    return np.stack([images.mean((1, 2, 3)), images.std((1, 2, 3)), rough, *bands])


ALL = (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "name, side, count, severities",
    [
        *[(name, 32, 100, (1, 3, 5)) for name in ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")],
        ("fog", 32, 100, ALL),
        ("spatter", 32, 100, (2, 3, 4, 5)),  # at severity 1 some images get no drop: theirs divides 0 by 0
        ("snow", 32, 100, (1, 2, 3, 5)),  # at severity 4 theirs is trimmed off-centre
        ("motion_blur", 32, 60, (1, 2, 3, 4)),  # at severity 5 theirs loses weight at the border of 32 px images
        ("glass_blur", 32, 24, (1, 3, 5)),
        *[(name, 64, 40, (5,)) for name in ("fog", "spatter", "snow")],
        ("motion_blur", 64, 24, (5,)),
        *[(name, 224, 8, (3,)) for name in ("gaussian_noise", "fog", "spatter")],
        ("glass_blur", 224, 2, (1,)),
    ],
)
def test_with_chance_we_follow_the_distribution_of_imagecorruptions(name, side, count, severities):
    """Frost and the elastic transform are missing: theirs enlarges the photographs and has no affine part."""
    image = picture(side, 3)
    peer.source().random.seed(0)
    for severity in severities:
        theirs = statistics(np.stack([peer.corrupt(image, name, severity) for _ in range(count)]))
        mine = corrupt(batch(image).expand(4 * count, -1, -1, -1), name, severity, "imagenet")
        mine = statistics(mine.permute(0, 2, 3, 1).numpy())
        for a, b, what in zip(mine, theirs, STATISTICS, strict=True):
            # Where every draw gives nearly the same statistic, half a grey level of rounding would decide.
            if abs(a.mean() - b.mean()) > 0.6:
                assert stats.ks_2samp(a, b).pvalue > 1e-3, (severity, what)
            slack = max(0.6 + (name == "snow"), 4 * b.std() / count**0.5)  # theirs leaves a truncation of snow out
            assert a.mean() == pytest.approx(b.mean(), abs=slack), (severity, what)
            slack = max(np.log(1.4), 4 / (2 * count - 2) ** 0.5)  # four standard errors of a normal's log spread
            assert abs(np.log((a.std() + 0.1) / (b.std() + 0.1))) < slack, (severity, what)


def test_the_adapter_leaves_nothing_behind():
    peer.corrupt(picture(32), "fog", 1)
    assert not any("imagecorruptions" in name and "adapter" not in name for name in sys.modules)
    assert not hasattr(np, "float_")
    before = np.random.get_state()[1].tolist()
    for name in ("gaussian_noise", "impulse_noise", "glass_blur", "snow"):
        peer.corrupt(picture(32), name, 2)
    assert np.random.get_state()[1].tolist() == before
