"""The 18 transforms against torchvision, one image at a time, and SciPy; their grids; what must hold of them."""

import numpy as np
import pytest
import scipy.ndimage
import torch
import torchvision.transforms.v2.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import InterpolationMode

from lib.errors import BadInput
from lib.randomness import normal
from lib.shifts.transforms import DEFORMATION, TRANSFORMS, image_distance, transform

SPATIAL = ["rotation", "translation", "scale", "shear", "resized_crop", "h_flip", "v_flip", "deform"]
APPEARANCE = ["grayscale", "brightness", "contrast", "saturation", "hue", "blur", "sharpness"]
APPEARANCE += ["invert", "equalize", "posterize"]
SWITCHES = ["h_flip", "v_flip", "grayscale", "invert", "equalize"]
ROWS = {"rotation": 255, "translation": 255, "shear": 80, "hue": 255, "sharpness": 255, "posterize": 7}
ROWS |= dict.fromkeys(SWITCHES, 1)  # 256 where nothing stands here
LEVEL = 1 / 255


def pictures(count: int, size: int = 32, seed: int = 0) -> torch.Tensor:
    """Coarse colours with fine noise, some pixels black, white, grey and saturated."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    images = (images + 0.1 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    images[:, :, 3, :4] = torch.tensor([[0, 1, 0.5, 1.0], [0, 1, 0.5, 0], [0, 1, 0.5, 0]])
    return images


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    return (images * 255).round().to(torch.uint8)


def once(images: torch.Tensor, name: str, *row: float) -> torch.Tensor:
    """The transform with one row of parameters for all images."""
    return transform(images, name, torch.tensor([row]).expand(len(images), -1))


def affine(image, angle=0.0, translate=(0.0, 0.0), scale=1.0, shear=(0.0, 0.0)):
    return F.affine(image, angle, list(translate), scale, list(shear), InterpolationMode.BILINEAR)


TORCHVISION = {  # of one image (3, S, S) and one row of parameters
    "rotation": lambda image, angle: F.rotate(image, angle, InterpolationMode.BILINEAR),
    "translation": lambda image, right, down: affine(image, translate=(right, down)),
    "scale": lambda image, factor: affine(image, scale=factor),
    "shear": lambda image, across, down: affine(image, shear=(across, down)),
    "resized_crop": lambda image, *box: F.resized_crop(image, *map(int, box), list(image.shape[1:]), antialias=True),
    "h_flip": lambda image, on: F.horizontal_flip(image),
    "v_flip": lambda image, on: F.vertical_flip(image),
    "grayscale": lambda image, on: F.rgb_to_grayscale(image, 3),
    "brightness": F.adjust_brightness,
    "contrast": F.adjust_contrast,
    "saturation": F.adjust_saturation,
    "hue": F.adjust_hue,
    "blur": lambda image, sigma: F.gaussian_blur(image, [{32: 3, 45: 5}[image.shape[-1]]] * 2, [sigma] * 2),
    "sharpness": F.adjust_sharpness,
    "invert": lambda image, on: F.invert(image),
    "equalize": lambda image, on: F.equalize(to_bytes(image)) / 255,
    "posterize": lambda image, bits: F.posterize(to_bytes(image), int(bits)) / 255,
}


@pytest.mark.parametrize("size", [32, 45])
@pytest.mark.parametrize("name", TORCHVISION)
def test_against_torchvision(name, size):
    rows = TRANSFORMS[name].grid(size, most=9)
    images = pictures(len(rows), size)
    ours = transform(images, name, rows)
    assert ours.dtype == torch.float32 and ours.shape == images.shape
    for image, out, row in zip(images, ours, rows.tolist(), strict=True):
        assert (out - TORCHVISION[name](image, *row)).abs().max() < 1e-4


@pytest.mark.parametrize("size", [32, 45])
def test_deform_against_scipy(size):
    rows = TRANSFORMS["deform"].grid(size, most=9)
    images = pictures(len(rows), size, seed=1)
    ours = transform(images, "deform", rows)
    places = np.mgrid[:size, :size]  # y, x
    for image, out, (sigma, seed) in zip(images.numpy(), ours.numpy(), rows.tolist(), strict=True):
        noise = normal(torch.tensor([int(seed)]), (2, size, size))[0].double().numpy()
        field = np.stack([scipy.ndimage.gaussian_filter(axis, sigma, mode="reflect", truncate=8) for axis in noise])
        field -= field.mean((1, 2), keepdims=True)
        field *= DEFORMATION * size / np.sqrt((field**2).sum(0).mean())
        warped = [scipy.ndimage.map_coordinates(c, places + field[::-1], order=1, mode="mirror") for c in image]
        np.testing.assert_allclose(out, warped, atol=1e-4)


def test_deform_moves_pixels_by_its_share_of_the_side():
    # An image whose colour is the place shows where each pixel came from. Near the edge fields are somewhat larger
    # than inside, as their noise is mirrored there, but so is the image, which hides it.
    line = torch.linspace(0, 1, 64)
    image = torch.stack((line.expand(64, 64), line[:, None].expand(64, 64), torch.zeros(64, 64)))
    rows = TRANSFORMS["deform"].grid(64, most=32)
    moved = (transform(image.expand(32, -1, -1, -1), "deform", rows) - image) * 63
    inside = moved[:, :2, 8:-8, 8:-8].square().sum(1)
    assert abs(inside.mean().sqrt() / (0.04 * 64) - 1) < 0.2
    assert (inside.mean((1, 2)).sqrt() > 0.01 * 64).all()


def test_one_field_for_one_pair_of_parameters():
    images = pictures(1).expand(4, -1, -1, -1)
    same, alike, seed, sigma = transform(images, "deform", torch.tensor([[3.0, 7], [3, 7], [3, 8], [4, 7]]))
    assert torch.equal(same, alike)
    assert (same - seed).abs().max() > 0.1 and (same - sigma).abs().max() > 0.1


IDENTITY = {
    "rotation": [(0,), (360,), (-360,)],
    "translation": [(0, 0)],
    "scale": [(1,)],
    "shear": [(0, 0)],
    "resized_crop": [(0, 0, 20, 20)],
    "hue": [(0,)],
    "blur": [(0,)],
    "posterize": [(8,)],
    **dict.fromkeys(["brightness", "contrast", "saturation", "sharpness"], [(1,)]),
    **dict.fromkeys(SWITCHES, [(0,)]),
}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), flat=st.booleans())
def test_identity(seed, flat):
    images = to_bytes(pictures(2, 20, seed))
    if flat:
        images[0] = seed % 256
    for name, rows in IDENTITY.items():
        for row in rows:
            assert (once(images, name, *map(float, row)) - images / 255).abs().max() < 2e-5, name


def test_order_and_kinds():
    assert list(TRANSFORMS) == SPATIAL + APPEARANCE
    for name, chosen in TRANSFORMS.items():
        assert chosen.kind == ("spatial" if name in SPATIAL else "appearance")
        assert len(chosen.names) == len(chosen.units) == chosen.grid(32).shape[1]


@pytest.mark.parametrize("name", TRANSFORMS)
def test_every_row_of_a_grid_changes_a_image_and_no_two_alike(name):
    for size in (16, 32):
        rows = TRANSFORMS[name].grid(size)
        assert rows.dtype == torch.float32 and len(rows) == ROWS.get(name, 256)
        image = pictures(1, size, seed=2)
        transformed = transform(image.expand(len(rows), -1, -1, -1), name, rows)
        assert ((transformed - image).abs().amax((1, 2, 3)) > LEVEL / 2).all()
        apart = torch.pdist(transformed.flatten(1).double())
        assert not len(apart) or apart.min() > 1e-4


@pytest.mark.parametrize("name", TRANSFORMS)
def test_grids_scale_with_the_image_where_they_are_in_pixels(name):
    small, large = (TRANSFORMS[name].grid(size) for size in (48, 96))
    for column, unit in enumerate(TRANSFORMS[name].units):
        if name == "blur":  # starts where a blur begins to show, whatever the size
            assert small[0] == large[0]
            assert torch.allclose(large[-1], 2 * small[-1])
        else:
            assert torch.allclose(large[:, column], small[:, column] * (2 if unit == "px" else 1))


def test_ranges_of_the_paper_at_its_own_size():
    grids = {name: chosen.grid(224) for name, chosen in TRANSFORMS.items()}
    ends = {name: (rows.amin(0).tolist(), rows.amax(0).tolist()) for name, rows in grids.items()}
    assert ends["deform"] == ([10, 0], [50, 255])
    assert ends["blur"][1] == [20]
    assert ends["sharpness"][1] == [30]
    assert ends["hue"][0] == [-0.5] and 0.49 < ends["hue"][1][0] < 0.5
    assert ends["scale"] == ([0.25], [2]) and ends["contrast"] == ([0.25], [5])
    low, high = TRANSFORMS["translation"].grid(256).aminmax()
    assert (low, high) == (-16, 14)
    assert TRANSFORMS["resized_crop"].grid(256)[:, 0].unique().tolist() == [0, 21, 43, 64]
    assert TRANSFORMS["resized_crop"].grid(256)[:, 2].unique().tolist() == [64, 107, 149, 192]


@given(most=st.integers(1, 300), name=st.sampled_from(sorted(TRANSFORMS)))
@settings(max_examples=60, deadline=None)
def test_thinned_grids(most, name):
    whole, thin = (TRANSFORMS[name].grid(32, k) for k in (256, most))
    assert len(thin) == min(most, len(whole))
    places = [whole.eq(row).all(1).nonzero().item() for row in thin]
    steps = np.diff(places)
    assert places[0] == 0 and (most == 1 or places[-1] == len(whole) - 1)
    assert len(steps) == 0 or (steps.min() >= 1 and steps.max() - steps.min() <= 1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_twice_is_nothing(seed):
    images = pictures(2, 24, seed)
    for name in ("h_flip", "v_flip", "invert"):
        assert (once(once(images, name, 1.0), name, 1.0) - images).abs().max() < 1e-6
    assert (once(once(images, "hue", 0.5), "hue", 0.5) - images).abs().max() < 1e-5
    assert (once(once(images, "hue", -0.3), "hue", 0.3) - images).abs().max() < 1e-5
    assert torch.equal(once(once(images, "posterize", 3.0), "posterize", 3.0), once(images, "posterize", 3.0))


@pytest.mark.parametrize("size", [32, 45])
def test_quarter_turns_and_whole_steps(size):
    images = pictures(3, size)
    for quarters, angle in enumerate((90.0, 180.0, 270.0), start=1):
        assert (once(images, "rotation", angle) - images.rot90(quarters, (2, 3))).abs().max() < 1e-4
    moved = once(images, "translation", 3.0, -2.0)
    assert (moved[:, :, :-2, 3:] - images[:, :, 2:, :-3]).abs().max() < 1e-4
    assert moved[:, :, -2:].abs().max() < 1e-4 and moved[:, :, :, :3].abs().max() < 1e-4  # black


def test_values_by_hand():
    image = torch.tensor([0.8, 0.4, 0.2]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    grey = 0.2989 * 0.8 + 0.587 * 0.4 + 0.114 * 0.2

    def colour(name, value):
        return once(image, name, float(value))[0, :, 8, 8].tolist()

    assert colour("grayscale", 1) == pytest.approx([grey] * 3)
    assert colour("brightness", 1.5) == pytest.approx([1, 0.6, 0.3])
    assert colour("saturation", 0.5) == pytest.approx([(0.8 + grey) / 2, (0.4 + grey) / 2, (0.2 + grey) / 2])
    assert colour("contrast", 0.5) == pytest.approx(colour("saturation", 0.5))  # one colour: its mean is its grey
    assert colour("hue", 1 / 3) == pytest.approx([0.2, 0.8, 0.4], abs=1e-6)
    assert colour("invert", 1) == pytest.approx([0.2, 0.6, 0.8])
    assert colour("posterize", 2) == pytest.approx([192 / 255, 64 / 255, 0])  # of the levels 204, 102, 51
    assert colour("blur", 1) == pytest.approx([0.8, 0.4, 0.2])
    assert colour("sharpness", 20) == pytest.approx([0.8, 0.4, 0.2], abs=1e-5)
    assert colour("scale", 0.25) == pytest.approx([0.8, 0.4, 0.2])
    assert once(image, "scale", 0.25)[0, :, :5].abs().max() == 0  # 4 x 4 px remain, black around


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_mixed_batch_is_each_image_alone(name):
    rows = TRANSFORMS[name].grid(32, most=12)
    if name in SWITCHES:
        rows = torch.tensor([[1.0], [0], [0], [1]])
    images = to_bytes(pictures(len(rows), seed=3))
    given = images.clone()
    together = transform(images, name, rows)
    alone = torch.cat([transform(image[None], name, row[None]) for image, row in zip(images, rows, strict=True)])
    assert (together - alone).abs().max() < 1e-6
    assert together.min() >= 0 and together.max() <= 1
    assert torch.equal(images, given)
    floats = images / 255
    assert torch.equal(transform(floats, name, rows), together)
    assert torch.equal(to_bytes(floats), given)
    assert torch.equal(transform(floats.contiguous(memory_format=torch.channels_last), name, rows.double()), together)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("name", TRANSFORMS)
def test_on_a_gpu(name):
    rows = TRANSFORMS[name].grid(32, most=12)
    images = to_bytes(pictures(len(rows), seed=4))
    there = transform(images.cuda(), name, rows.cuda())
    assert there.is_cuda
    assert (there.cpu() - transform(images, name, rows)).abs().max() < 1e-4


def test_distance_between_images():
    black, white = torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16)
    half = torch.cat((white[..., :8], black[..., :8]), dim=3)
    before, after = torch.cat((black, black, half, half)), torch.cat((white, half, half, 1 - half))
    distance = image_distance(before, after)
    assert distance.tolist() == pytest.approx([1, 0.5**0.5, 0, 1])
    assert torch.equal(image_distance(to_bytes(before), after), distance)
    with pytest.raises(BadInput, match="one shape"):
        image_distance(before, after[:2])


OUTSIDE = [
    ("rotation", (361,), "angle from -360 to 360"),
    ("rotation", (float("nan"),), "angle"),
    ("translation", (33, 0), "at most the side"),
    ("scale", (0,), "factor from 0.01 to 100"),
    ("shear", (0, 90), "-89 to 89"),
    ("resized_crop", (0, 9, 32, 24), "box in whole pixels within the image"),
    ("resized_crop", (0, 0, 0, 8), "box"),
    ("resized_crop", (0.5, 0, 8, 8), "box"),
    ("resized_crop", (-1, 0, 8, 8), "box"),
    ("h_flip", (0.5,), "0 .off. or 1 .on."),
    ("deform", (0, 1), "sigma above 0"),
    ("deform", (8.1, 1), "quarter of the side"),
    ("deform", (2, 0.5), "whole number"),
    ("deform", (2, -1), "whole number"),
    ("brightness", (-0.1,), "factor from 0 to 100"),
    ("contrast", (float("inf"),), "factor"),
    ("hue", (0.6,), "-0.5 to 0.5"),
    ("blur", (-1,), "sigma from 0 to the side"),
    ("posterize", (0,), "bits from 1 to 8"),
    ("posterize", (2.5,), "bits"),
]


@pytest.mark.parametrize("name, row, sentence", OUTSIDE)
def test_parameters_out_of_range(name, row, sentence):
    rows = TRANSFORMS[name].grid(32)[:1].repeat(3, 1)
    rows[1] = torch.tensor(row)
    with pytest.raises(BadInput, match=sentence):
        transform(pictures(3), name, rows)


def test_bad_input():
    images, one = pictures(2), torch.ones(2, 1)
    with pytest.raises(BadInput, match="did you mean 'brightness'"):
        transform(images, "brightnes", one)
    for parameters in (one[:1], one[:, 0], torch.ones(2, 2), 1.0):
        with pytest.raises(BadInput, match=r"hue of 2 images takes a tensor \(2, 1\) \(turn\)"):
            transform(images, "hue", parameters)
    for wrong in (images[0], images[:, :1], images[..., :31], images[..., :8, :8], images[:0]):
        words = r"\(N, 3, S, S\) or float in .0, 1., with sides of at least 16 px, at least one, not"
        with pytest.raises(BadInput, match=words):
            transform(wrong, "hue", one)
    for wrong in (images.numpy(), images.int()):
        with pytest.raises(BadInput, match="uint8 .* or float in .*, not (a NumPy array float32|int32) "):
            transform(wrong, "hue", one)
    for wrong in (images * 255, images - 0.5, images / 0):
        with pytest.raises(BadInput, match="values (from|that are NaN)"):
            transform(wrong, "hue", one)
    for size in (15, 32.5, True):
        with pytest.raises(BadInput, match="at least 16, not"):
            TRANSFORMS["hue"].grid(size)
    for most in (0, 2.5, True):
        with pytest.raises(BadInput, match="at least 1"):
            TRANSFORMS["hue"].grid(32, most)
