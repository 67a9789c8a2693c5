"""Known values: the published constants, closed forms on plain images, statistics on grey."""

import pytest
import torch
from scipy import stats

from lib.randomness import image_seeds, uniform
from lib.shifts.corruptions import CONSTANTS, CORRUPTIONS, EVERY, constants_at, corrupt
from lib.shifts.corruptions.blur import defocus_blur, zoom_blur
from lib.shifts.corruptions.digital import contrast, pixelate
from lib.shifts.corruptions.filters import _streak_of_large, _streak_of_small, streak, zoom_cut
from lib.shifts.corruptions.noise import _count, shot_noise
from lib.shifts.corruptions.weather import brightness, frost_photographs, plasma

# ---- The constants, typed a second time from the authors' scripts

PUBLISHED = {
    "cifar10": {
        "gaussian_noise": [0.04, 0.06, 0.08, 0.09, 0.10],
        "shot_noise": [500, 250, 100, 75, 50],
        "impulse_noise": [0.01, 0.02, 0.03, 0.05, 0.07],
        "defocus_blur": [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
        "glass_blur": [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
        "motion_blur": [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)],
        "zoom_blur": [(7, 0.01), (12, 0.01), (16, 0.01), (21, 0.01), (26, 0.01)],
        "snow": [
            (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
            (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
        ],
        "frost": [(1, 0.2, 5), (1, 0.3, 5), (0.9, 0.4, 5), (0.85, 0.4, 5), (0.75, 0.45, 5)],
        "fog": [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
        "brightness": [0.05, 0.1, 0.15, 0.2, 0.3],
        "contrast": [0.75, 0.5, 0.4, 0.3, 0.15],
        "elastic_transform": [
            tuple(32 * v for v in row)
            for row in [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)]
        ],
        "pixelate": [0.95, 0.9, 0.85, 0.75, 0.65],
        "jpeg_compression": [80, 65, 58, 50, 40],
        "speckle_noise": [0.06, 0.1, 0.12, 0.16, 0.2],
        "gaussian_blur": [0.4, 0.6, 0.7, 0.8, 1],
        "spatter": [
            (0.62, 0.1, 0.7, 0.7, 0.5, 0),
            (0.65, 0.1, 0.8, 0.7, 0.5, 0),
            (0.65, 0.3, 1, 0.69, 0.5, 0),
            (0.65, 0.1, 0.7, 0.69, 0.6, 1),
            (0.65, 0.1, 0.5, 0.68, 0.6, 1),
        ],
        "saturate": [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)],
    },
    "imagenet": {
        "gaussian_noise": [0.08, 0.12, 0.18, 0.26, 0.38],
        "shot_noise": [60, 25, 12, 5, 3],
        "impulse_noise": [0.03, 0.06, 0.09, 0.17, 0.27],
        "defocus_blur": [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
        "glass_blur": [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
        "motion_blur": [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)],
        "zoom_blur": [(12, 0.01), (16, 0.01), (11, 0.02), (13, 0.02), (11, 0.03)],
        "snow": [
            (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
            (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
            (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
        ],
        "frost": [(1, 0.4, 1), (0.8, 0.6, 1), (0.7, 0.7, 1), (0.65, 0.7, 1), (0.6, 0.75, 1)],
        "fog": [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
        "brightness": [0.1, 0.2, 0.3, 0.4, 0.5],
        "contrast": [0.4, 0.3, 0.2, 0.1, 0.05],
        "elastic_transform": [
            (488, 170.8, 24.4),
            (488, 19.52, 48.8),
            (12.2, 2.44, 4.88),
            (17.08, 2.44, 4.88),
            (29.28, 2.44, 4.88),
        ],
        "pixelate": [0.6, 0.5, 0.4, 0.3, 0.25],
        "jpeg_compression": [25, 18, 15, 10, 7],
        "speckle_noise": [0.15, 0.2, 0.35, 0.45, 0.6],
        "gaussian_blur": [1, 2, 3, 4, 6],
        "spatter": [
            (0.65, 0.3, 4, 0.69, 0.6, 0),
            (0.65, 0.3, 3, 0.68, 0.6, 0),
            (0.65, 0.3, 2, 0.68, 0.5, 0),
            (0.65, 0.3, 1, 0.65, 1.5, 1),
            (0.67, 0.4, 1, 0.65, 1.5, 1),
        ],
        "saturate": [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)],
    },
}


@pytest.mark.parametrize("name", PUBLISHED["cifar10"])  # C-bar's: see test_bar.py
@pytest.mark.parametrize("table, side", [("cifar10", 32), ("imagenet", 224)])
def test_constants_are_the_published_ones(table, side, name):
    ours = CONSTANTS[table][name]
    if name == "elastic_transform":  # ours are in sides of the image
        ours = [tuple(side * value for value in row) for row in ours]
    assert len(ours) == 5
    for mine, published in zip(ours, PUBLISHED[table][name], strict=True):
        assert mine == pytest.approx(published, rel=1e-12, abs=0)


def test_no_constants_for_unknown_corruptions():
    assert set(CONSTANTS["cifar10"]) == set(EVERY)
    assert {*CORRUPTIONS, *PUBLISHED["imagenet"]} <= set(CONSTANTS["imagenet"]) < set(EVERY)


def test_constants_between_two_rows_by_hand():
    assert constants_at("fog", 4.25, "cifar10") == (1.125, 1.9375)
    assert constants_at("glass_blur", 3.5, "cifar10") == pytest.approx((0.325, 1, 2))  # whole rounds, halves up
    assert constants_at("glass_blur", 3.25, "cifar10") == pytest.approx((0.3625, 1, 1))
    assert constants_at("zoom_blur", 1.5, "cifar10") == (10, 0.01)  # 9.5 zooms
    assert constants_at("jpeg_compression", 2.9, "cifar10") == (59,)  # 58.7
    assert constants_at("spatter", 3.4, "cifar10")[-1] == 0 and constants_at("spatter", 3.6, "cifar10")[-1] == 1
    assert constants_at("contrast", 4.5, "cifar10") == pytest.approx((0.225,))


@pytest.mark.parametrize("table", CONSTANTS)
def test_constants_at_whole_severities_are_the_rows(table):
    for name, rows in CONSTANTS[table].items():
        for severity, row in enumerate(rows, start=1):
            expected = row if isinstance(row, tuple) else (row,)
            assert constants_at(name, severity, table) == constants_at(name, float(severity), table) == expected


# ---- Plain images


def plain(value: int | tuple[int, int, int], side: int = 32, count: int = 1) -> torch.Tensor:
    value = torch.tensor(value, dtype=torch.uint8).expand(3)
    return value[None, :, None, None].repeat(count, 1, side, side)


def levels(images: torch.Tensor) -> tuple[int, int, int]:
    """The one colour of a plain image."""
    assert torch.equal(images, images[:1, :, :1, :1].expand_as(images))
    return tuple(images[0, :, 0, 0].tolist())


@pytest.mark.parametrize(
    "table, colour, expected",
    [
        ("cifar10", 128, [(140,) * 3, (153,) * 3, (166,) * 3, (179,) * 3, (204,) * 3]),
        ("imagenet", 128, [(153,) * 3, (179,) * 3, (204,) * 3, (230,) * 3, (255,) * 3]),
        ("cifar10", 0, [(12,) * 3, (25,) * 3, (38,) * 3, (51,) * 3, (76,) * 3]),
        ("imagenet", 0, [(25,) * 3, (51,) * 3, (76,) * 3, (102,) * 3, (127,) * 3]),
        ("cifar10", 255, [(255,) * 3] * 5),
        ("cifar10", (200, 100, 50), [(212, 106, 53), (225, 112, 56), (238, 119, 59), (251, 125, 62), (255, 127, 63)]),
    ],
)
def test_brightness_of_plain_images(table, colour, expected):
    assert [levels(corrupt(plain(colour), "brightness", s, table)) for s in range(1, 6)] == expected


@pytest.mark.parametrize("table", CONSTANTS)
@pytest.mark.parametrize(
    "name", ["contrast", "zoom_blur", "motion_blur", "elastic_transform", "glass_blur", "pixelate"]
)
@pytest.mark.parametrize("side", [32, 45])
def test_plain_images_stay(name, table, side):
    for severity in range(1, 6):
        for value in (0, 1, 77, 128, 254, 255):
            assert levels(corrupt(plain(value, side), name, severity, table)) == (value,) * 3


def test_defocus_of_imagenet_brightens_at_severities_4_and_5():
    for severity in range(1, 6):
        assert levels(corrupt(plain(128), "defocus_blur", severity, "cifar10")) == (128,) * 3
    grey = [levels(corrupt(plain(128), "defocus_blur", s, "imagenet"))[0] for s in range(1, 6)]
    assert grey == [128, 128, 128, 129, 129]
    arguments = CONSTANTS["imagenet"]["defocus_blur"]
    floats = [defocus_blur(plain(200).float(), None, *arguments[s])[0, 0, 16, 16].item() for s in (3, 4)]
    assert floats == pytest.approx([202.595, 202.157], abs=1e-3)


@pytest.mark.parametrize(
    "table, value, expected",
    [
        ("cifar10", 128, [128] * 5),
        ("imagenet", 128, [128] * 5),
        ("cifar10", 64, [64, 63, 65, 64, 63]),
        ("imagenet", 64, [64, 62, 62, 68, 71]),
        ("cifar10", 200, [200, 200, 200, 200, 201]),
        ("imagenet", 200, [200, 200, 201, 198, 199]),
    ],
)
def test_jpeg_of_plain_images(table, value, expected):
    assert [levels(corrupt(plain(value), "jpeg_compression", s, table))[0] for s in range(1, 6)] == expected


# ---- The ramp (8x, 8y, 4(x + y)): floats before the last cast; mean |out - ramp|, then R/G/B at four points

POINTS = [(0, 0), (5, 9), (16, 30), (31, 31)]
LINE = torch.arange(32.0)
RAMP = torch.stack([8 * LINE[None].expand(32, 32), 8 * LINE[:, None].expand(32, 32), 4 * (LINE[:, None] + LINE)])[None]
RAMPS = """
brightness 1 | 9.2052 | 12.75/12.75/12.75 | 84.75/47.083/65.917 | 252.75/134.8/193.775 | 255/255/255
brightness 2 | 17.5151 | 25.5/25.5/25.5 | 97.5/54.167/75.833 | 255/136/195.5 | 255/255/255
brightness 3 | 24.9838 | 38.25/38.25/38.25 | 110.25/61.25/85.75 | 255/136/195.5 | 255/255/255
brightness 4 | 31.5894 | 51/51/51 | 123/68.333/95.667 | 255/136/195.5 | 255/255/255
brightness 5 | 42.5984 | 76.5/76.5/76.5 | 148.5/82.5/115.5 | 255/136/195.5 | 255/255/255
contrast 1 | 14.2188 | 31/31/31 | 85/61/73 | 211/127/169 | 217/217/217
contrast 2 | 28.4375 | 62/62/62 | 98/82/90 | 182/126/154 | 186/186/186
contrast 3 | 34.1250 | 74.4/74.4/74.4 | 103.2/90.4/96.8 | 170.4/125.6/148 | 173.6/173.6/173.6
contrast 4 | 39.8125 | 86.8/86.8/86.8 | 108.4/98.8/103.6 | 158.8/125.2/142 | 161.2/161.2/161.2
contrast 5 | 48.3438 | 105.4/105.4/105.4 | 116.2/111.4/113.8 | 141.4/124.6/133 | 142.6/142.6/142.6
defocus_blur 1 | 0.0400 | 0.646/0.646/0.646 | 72/40/56 | 240/128/184 | 247.354/247.354/247.354
defocus_blur 2 | 0.1054 | 1.704/1.704/1.704 | 72/40/56 | 240/128/184 | 246.296/246.296/246.296
defocus_blur 3 | 0.1647 | 2.662/2.662/2.662 | 72/40/56 | 240/128/184 | 245.338/245.338/245.338
defocus_blur 4 | 0.1979 | 3.2/3.2/3.2 | 72/40/56 | 240/128/184 | 244.8/244.8/244.8
defocus_blur 5 | 0.3299 | 5.333/5.333/5.333 | 72/40/56 | 240/128/184 | 242.667/242.667/242.667
zoom_blur 1 | 3.4062 | 0/0/0 | 70.022/38.901/54.462 | 233.407/124.484/178.946 | 241.188/241.188/241.188
zoom_blur 2 | 3.6326 | 3.077/3.077/3.077 | 71.571/41.129/56.35 | 231.39/124.844/178.117 | 239/239/239
zoom_blur 3 | 4.5595 | 4.706/4.706/4.706 | 72.009/42.097/57.053 | 229.051/124.357/176.704 | 236.529/236.529/236.529
zoom_blur 4 | 5.4692 | 7.273/7.273/7.273 | 73.143/43.867/58.505 | 226.84/124.375/175.608 | 234.159/234.159/234.159
zoom_blur 5 | 6.6094 | 9.481/9.481/9.481 | 73.887/45.263/59.575 | 224.168/123.981/174.074 | 231.324/231.324/231.324
pixelate 1 | 0.4896 | 0/0/0 | 72/40/56 | 240/128/184 | 248/248/248
pixelate 2 | 0.9583 | 0/0/0 | 72/40/56 | 240/128/184 | 248/248/248
pixelate 3 | 1.1849 | 0/0/0 | 76/40/58 | 240/124/182 | 248/248/248
pixelate 4 | 1.8333 | 0/0/0 | 76/44/60 | 236/128/182 | 248/248/248
pixelate 5 | 2.6250 | 4/4/4 | 68/40/54 | 244/132/188 | 244/244/244
""".strip().splitlines()
FUNCTIONS = {f.__name__: f for f in (brightness, contrast, defocus_blur, zoom_blur, pixelate)}


def at(image: torch.Tensor) -> list[list[float]]:
    return [image[0, :, y, x].tolist() for y, x in POINTS]


def triples(cells: list[str]) -> list:
    return [pytest.approx([float(v) for v in cell.split("/")], abs=1e-3) for cell in cells]


@pytest.mark.parametrize("line", RAMPS)
def test_ramp(line):
    name, mad, *points = line.split("|")
    name, severity = name.split()
    arguments = CONSTANTS["cifar10"][name][int(severity) - 1]
    arguments = arguments if isinstance(arguments, tuple) else (arguments,)
    out = FUNCTIONS[name](RAMP, None, *arguments)
    assert (out - RAMP).abs().mean().item() == pytest.approx(float(mad), abs=1e-3)
    assert at(out) == triples(points)


@pytest.mark.parametrize(
    "severity, mad, points",
    [
        (1, 1.1029, "0/0/0 69/41/56 241/128/182 248/248/248"),
        (2, 2.0436, "0/0/0 76/39/57 235/131/184 248/248/248"),
        (3, 2.1833, "1/1/1 74/35/56 238/131/187 247/247/247"),
        (4, 2.3424, "0/0/0 73/36/53 233/131/179 248/248/248"),
        (5, 2.3405, "0/0/0 73/34/53 238/130/182 248/248/248"),
    ],
)
def test_ramp_through_jpeg(severity, mad, points):
    out = corrupt(RAMP.byte(), "jpeg_compression", severity, "cifar10").float()
    assert (out - RAMP).abs().mean().item() == pytest.approx(mad, abs=1e-4)
    assert at(out) == [[float(v) for v in cell.split("/")] for cell in points.split()]


@pytest.mark.parametrize(
    "angle, severity, points",
    [
        (0, 1, "4.161/0/2.08 76.161/40/58.08 243.437/128/185.719 248/248/248"),
        (0, 2, "7.276/0/3.638 79.276/40/59.638 244.639/128/186.319 248/248/248"),
        (0, 3, "10.419/0/5.209 82.419/40/61.209 245.339/128/186.67 248/248/248"),
        (0, 4, "10.419/0/5.209 82.419/40/61.209 245.339/128/186.67 248/248/248"),
        (0, 5, "13.577/0/6.788 85.577/40/62.788 245.798/128/186.899 248/248/248"),
        (30, 1, "4.159/0.671/2.415 76.159/40.671/58.415 243.437/128.671/186.054 248/248/248"),
        (30, 2, "7.166/2.058/4.612 79.166/42.058/60.612 244.639/130.058/187.349 248/248/248"),
        (30, 3, "9.905/3.542/6.724 81.905/43.542/62.724 245.339/131.542/188.441 248/248/248"),
        (30, 4, "9.905/3.542/6.724 81.905/43.542/62.724 245.339/131.542/188.441 248/248/248"),
        (30, 5, "12.482/5.064/8.773 84.482/45.064/64.773 245.798/133.064/189.431 248/248/248"),
    ],
)
def test_ramp_in_motion(angle, severity, points):
    radius, sigma = CONSTANTS["cifar10"]["motion_blur"][severity - 1]
    out = streak(RAMP, radius, sigma, torch.tensor([float(angle)]))
    assert at(out) == [[float(int(float(v))) for v in cell.split("/")] for cell in points.split()]


@pytest.mark.parametrize(
    "zoom, geometry",
    {
        1.0: (32, 32),
        1.01: (32, 32),
        1.02: (32, 33),
        1.04: (31, 32),
        1.05: (31, 33),
        1.07: (30, 32),
        1.10: (30, 33),
        1.11: (29, 32),
        1.14: (29, 33),
        1.16: (28, 32),
        1.18: (28, 33),
        1.20: (27, 32),
        1.21: (27, 33),
        1.24: (26, 32),
        1.75: (19, 33),
        2.25: (15, 34),
        1.25: (26, 32),
        1 + 25 * (1.01 - 1): (26, 33),
    }.items(),
)
def test_how_a_zoom_is_cut(zoom, geometry):
    assert zoom_cut(32, zoom) == geometry


# ---- Weather on grey


def test_contrast_is_about_each_channel_s_own_mean():
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    images[:, 0, :16], images[:, 1, 16:], images[:, 2] = 100, 200, 77  # means 50, 100 and 77
    faded = corrupt(images, "contrast", 3, "cifar10")[0]  # factor 0.4
    assert [faded[channel, row, 5].item() for channel in range(3) for row in (0, 31)] == [70, 30, 60, 140, 77, 77]


def test_fog_on_grey():
    images = plain(128, count=600)
    expected = [(91, 109.77, 3.5), (64, 96.06, 5.9), (51, 89.66, 7.2), (42, 85.39, 7.9), (32, 80.05, 8.3)]
    for severity, (darkest, mean, spread) in enumerate(expected, start=1):
        foggy = corrupt(images, "fog", severity)
        assert torch.equal(foggy[:, 0], foggy[:, 1]) and torch.equal(foggy[:, 0], foggy[:, 2])
        assert set(foggy.amin((1, 2, 3)).tolist()) == {darkest}  # every map holds its exact 0 and 1
        assert set(foggy.amax((1, 2, 3)).tolist()) <= {127, 128}
        means = foggy.float().mean((1, 2, 3))
        assert means.mean().item() == pytest.approx(mean - 0.5, abs=4 * spread / 600**0.5)
        assert means.std().item() == pytest.approx(spread, rel=0.15)
    assert corrupt(plain(0), "fog", 5).max() == 0  # a black image stays black
    thick = corrupt(plain((200, 100, 50)), "fog", 5).amax((0, 2, 3))  # scaled by the brightest of all channels
    assert thick.tolist() == [200, *(int((v + 1.5 * 255) * 200 / (200 + 1.5 * 255)) for v in (100, 50))]


def test_plasma_wraps_and_has_the_known_roughness():
    for decay, deviation, step in [(3, 0.147, 0.026), (2.5, 0.152, 0.027), (2, 0.161, 0.031), (1.75, 0.170, 0.037)]:
        maps = plasma(image_seeds(400, torch.Generator().manual_seed(1)), 32, decay)
        assert maps.amin((1, 2)).unique().tolist() == [0] and maps.amax((1, 2)).unique().tolist() == [1]
        assert maps.mean().item() == pytest.approx(0.5, abs=0.03)
        assert maps.std((1, 2)).mean().item() == pytest.approx(deviation, rel=0.05)
        steps = maps.diff(dim=2).square().mean((1, 2)).sqrt().mean().item()
        assert steps == pytest.approx(step, rel=0.05)
        across_the_border = (maps[:, :, 0] - maps[:, :, -1]).square().mean().sqrt().item()
        assert across_the_border < 1.5 * step
    for decay, deviation, step in [(2, 0.15, 0.0037), (1.7, 0.163, 0.0046), (1.5, 0.174, 0.0068), (1.4, 0.178, 0.0104)]:
        crops = plasma(image_seeds(60, torch.Generator().manual_seed(2)), 224, decay)
        assert crops.shape == (60, 224, 224)
        assert crops.std((1, 2)).mean().item() == pytest.approx(deviation, rel=0.15)
        assert crops.diff(dim=2).square().mean((1, 2)).sqrt().mean().item() == pytest.approx(step, rel=0.08)


@pytest.mark.parametrize(
    "table, side, count, bases, means, deviations",
    [
        (
            "cifar10",
            32,
            600,
            [137, 147, 147, 156, 166],
            [139.0, 153.4, 155.4, 168.2, 185.4],
            [8.0, 12.1, 16.8, 18.9, 18.0],
        ),
        (
            "imagenet",
            224,
            12,
            [166, 185, 185, 195, 214],
            [172.8, 203.2, 202.0, 217.6, 237.1],
            [16.2, 22.3, 23.7, 24.2, 15.8],
        ),
    ],
)
def test_snow_on_grey(table, side, count, bases, means, deviations):
    for severity in range(1, 6):
        snowy = corrupt(plain(128, side, count), "snow", severity, table)
        assert snowy.min() == bases[severity - 1]  # no pixel is darker, and those without snow have this value
        assert torch.equal(snowy[:, 0], snowy[:, 2])
        assert torch.equal(snowy, snowy.flip(2, 3))  # the second layer is the first one turned
        assert snowy.float().mean().item() == pytest.approx(means[severity - 1], abs=0.7)
        assert snowy.float().std((1, 2, 3)).mean().item() == pytest.approx(deviations[severity - 1], rel=0.06)


def test_frost_on_grey():
    images = plain(128, count=4000)
    expected = [
        (156.3, 160.6, 162.9),
        (170.7, 177.1, 180.7),
        (172.3, 180.8, 185.6),
        (165.9, 174.4, 179.2),
        (160.3, 169.9, 175.2),
    ]
    for severity, means in enumerate(expected, start=1):
        ours = corrupt(images, "frost", severity).float().mean((2, 3))
        error = ours.std(0) / len(ours) ** 0.5
        assert ((ours.mean(0) - torch.tensor(means)).abs() < 4 * error + 0.1).all()


def test_the_sixth_frost_photograph_is_never_used():
    photographs = frost_photographs()
    assert [tuple(p.shape[1:]) for p in photographs] == [(600, 900), (315, 560), (315, 560), (350, 527), (495, 660)]
    assert torch.equal(photographs[1], photographs[2])


# ---- Noise on grey

GREY = plain(128, count=200)


@pytest.mark.parametrize(
    "table, name, means, deviations, at_0, at_255",
    [
        ("cifar10", "gaussian_noise", [127.5] * 5, [10.2, 15.3, 20.4, 23.0, 25.5], [0] * 5, [0] * 5),
        (
            "imagenet",
            "gaussian_noise",
            [127.5] * 5,
            [20.4, 30.6, 45.7, 63.1, 80.8],
            [0, 0, 0.003, 0.028, 0.095],
            [0, 0, 0.003, 0.028, 0.095],
        ),
        ("cifar10", "shot_noise", [127.5, 127.5, 127.5, 127.6, 127.6], [8.1, 11.3, 18.1, 20.9, 25.5], [0] * 5, [0] * 5),
        (
            "imagenet",
            "shot_noise",
            [127.6, 127.6, 127.3, 124.8, 120.3],
            [23.3, 36.1, 51.2, 73.4, 88.0],
            [0, 0, 0.002, 0.081, 0.222],
            [0, 0.001, 0.021, 0.110, 0.193],
        ),
        (
            "cifar10",
            "impulse_noise",
            [128 - c / 2 for c in PUBLISHED["cifar10"]["impulse_noise"]],
            None,
            [c / 2 for c in PUBLISHED["cifar10"]["impulse_noise"]],
            [c / 2 for c in PUBLISHED["cifar10"]["impulse_noise"]],
        ),
        (
            "imagenet",
            "impulse_noise",
            [128 - c / 2 for c in PUBLISHED["imagenet"]["impulse_noise"]],
            None,
            [c / 2 for c in PUBLISHED["imagenet"]["impulse_noise"]],
            [c / 2 for c in PUBLISHED["imagenet"]["impulse_noise"]],
        ),
    ],
)
def test_noise_on_grey(table, name, means, deviations, at_0, at_255):
    for s in range(5):
        noisy = corrupt(GREY, name, s + 1, table).float()
        assert noisy.mean().item() == pytest.approx(means[s], abs=0.1 + 4 * noisy.std().item() / noisy.numel() ** 0.5)
        if deviations:
            assert noisy.std().item() == pytest.approx(deviations[s], abs=0.15)
        for value, share in ((0, at_0[s]), (255, at_255[s])):
            error = (share / noisy.numel()) ** 0.5
            assert (noisy == value).float().mean().item() == pytest.approx(share, abs=6e-4 + 4 * error)
        if name == "impulse_noise":
            assert noisy.unique().tolist() == [0, 128, 255]
            hit = (noisy != 128).float()
            assert hit[:, 0].mul(hit[:, 1]).mean() < 3 * hit.mean() ** 2 + 1e-4  # channels are hit one by one


@pytest.mark.parametrize("photons", [3, 12, 500, 33.3])
def test_what_the_first_bits_of_a_draw_tell_is_what_all_of_it_tells(photons):
    """The short way, through a table of bins, and bisection for every pixel."""
    seeds = torch.tensor([3])
    levels = torch.arange(256, dtype=torch.uint8).repeat(300)[None, None]
    counts = _count(levels.flatten().long(), uniform(seeds, levels.shape[1:]).flatten(), photons)
    assert torch.equal(shot_noise(levels, seeds, photons), (counts * (255 / photons)).view_as(levels))


@pytest.mark.parametrize("radius", [6, 15])
def test_large_images_streak_as_small_ones_do(radius):
    """A sum of shifted windows, and one of copied windows: in one order, so equal to the last bit."""
    pixels = torch.rand(2, 3, 40, 50, generator=torch.Generator().manual_seed(0)) * 255
    weights, offsets = [0.3, 0.2, 0.05] * radius, torch.arange(-3 * radius + 1, 1)
    weights = weights[: len(offsets)]
    shifts = torch.stack((offsets, -offsets.flip(0)), dim=1)
    for across, down in ((shifts, shifts.flip(1)), (-shifts, shifts)):
        small, large = (streak_of(pixels, weights, across, down) for streak_of in (_streak_of_small, _streak_of_large))
        assert torch.equal(small, large)


@pytest.mark.parametrize("photons", [3, 12, 60, 50, 500])
def test_shot_noise_counts_follow_poisson(photons):
    """The count is the quantile of the draw, level by level."""
    seeds = torch.tensor([11, 12])
    pixels = torch.arange(256.0).repeat(12)[None].repeat(2, 1).view(2, 3, 32, 32)
    draws = uniform(seeds, (3, 32, 32)).double().numpy()
    counts = shot_noise(pixels, seeds, photons) * (photons / 255)
    expected = stats.poisson.ppf(draws, pixels.double().numpy() * photons / 255)
    expected[pixels.numpy() == 0] = 0  # ppf(0 draw) is -1 there
    wrong = (counts.round().numpy() != expected).mean()
    assert wrong < 1e-3  # float32 tables decide a draw on the border of two counts otherwise
    assert (counts - counts.round()).abs().max() < 1e-3
