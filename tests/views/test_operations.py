"""Each operation against torchvision's functional of one image."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.ndimage import gaussian_filter1d

from lib.errors import BadInput
from lib.views import WHOLE_GAUSSIAN, View, operations

TOLERANCE = 1 / 255


def pictures(count: int, size: int = 32, seed: int = 0) -> torch.Tensor:
    """Coarse colours with fine noise, some pixels black, white, grey and saturated."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size, mode="bilinear")
    images = (images + 0.2 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    images[:, :, 0, :4] = torch.tensor([[0, 1, 0.5, 1.0], [0, 1, 0.5, 0], [0, 1, 0.5, 0]])
    return images


def rand(count, low, high, seed):
    return torch.rand(count, generator=torch.Generator().manual_seed(seed)) * (high - low) + low


@settings(max_examples=40, deadline=None)
@given(
    size_in=st.integers(8, 48),
    size_out=st.integers(4, 40),
    seed=st.integers(0, 999),
    flip=st.booleans(),
    data=st.data(),
)
def test_resized_crop(size_in, size_out, seed, flip, data):
    images = pictures(2, size_in, seed)
    height, width = data.draw(st.integers(1, size_in)), data.draw(st.integers(1, size_in))
    top, left = data.draw(st.integers(0, size_in - height)), data.draw(st.integers(0, size_in - width))
    box = [torch.tensor([float(value)] * 2) for value in (top, left, height, width)]
    ours = operations.resized_crop(images, *box, size_out, torch.tensor([flip, not flip]))
    for image, out, flipped in zip(images, ours, (flip, not flip), strict=True):
        theirs = F.resized_crop(image, top, left, height, width, [size_out, size_out], antialias=True)
        theirs = F.horizontal_flip(theirs) if flipped else theirs
        assert (out - theirs).abs().max() < TOLERANCE


ADJUST = {0: F.adjust_brightness, 1: F.adjust_contrast, 2: F.adjust_saturation, 3: F.adjust_hue}


def test_colour_jitter_in_every_order():
    orders = torch.tensor([list(p) for p in __import__("itertools").permutations(range(4))])
    images, count = pictures(24), 24
    brightness, contrast, saturation = (rand(count, 0.2, 1.8, seed) for seed in (1, 2, 3))
    hue = rand(count, -0.5, 0.5, 4)
    ours = operations.colour_jitter(images, brightness, contrast, saturation, hue, orders)
    for i, image in enumerate(images):
        for step in orders[i].tolist():
            image = ADJUST[step](image, (brightness, contrast, saturation, hue)[step][i].item())
        assert (ours[i] - image).abs().max() < TOLERANCE


@pytest.mark.parametrize("step", range(4))
def test_each_colour_adjustment_alone(step):
    images = pictures(8)
    identity = [torch.ones(8), torch.ones(8), torch.ones(8), torch.zeros(8)]
    values = rand(8, -0.5, 0.5, 5) if step == 3 else rand(8, 0, 3, 5)
    arguments = [*identity[:step], values, *identity[step + 1 :]]
    ours = operations.colour_jitter(images, *arguments, torch.arange(4).expand(8, 4))
    for image, out, value in zip(images, ours, values.tolist(), strict=True):
        assert (out - ADJUST[step](image, value)).abs().max() < TOLERANCE


def test_grey():
    images = pictures(2)
    ours = operations.to_grey(images, torch.tensor([True, False]))
    assert (ours[0] - F.rgb_to_grayscale(images[0], 3)).abs().max() < TOLERANCE
    assert torch.equal(ours[1], images[1])


@pytest.mark.parametrize("kernel", [3, 5, 23])
def test_gaussian_blur(kernel):
    images = pictures(5)
    sigma = torch.tensor([0.1, 0.5, 1.0, 1.7, 2.0])
    ours = operations.gaussian_blur(images, sigma, kernel)
    for image, out, s in zip(images, ours, sigma.tolist(), strict=True):
        assert (out - F.gaussian_blur(image, [kernel, kernel], [s, s])).abs().max() < TOLERANCE


@pytest.mark.parametrize("sigma", [0.1, 0.3, 0.5, 0.8, 1.0, 1.3, 1.7, 2.0])
def test_a_wide_kernel_is_a_whole_gaussian(sigma):
    """SciPy's, by rows and columns, cut off at eight standard deviations; with three taps it is not."""
    images, kernel = pictures(2), View(blur=1.0, blur_reach=WHOLE_GAUSSIAN).blur_kernel
    whole = images.double().numpy()
    for axis in (2, 3):
        whole = gaussian_filter1d(whole, sigma, axis=axis, mode="mirror", truncate=8)
    wide, narrow = (operations.gaussian_blur(images, torch.full((2,), sigma), k).numpy() for k in (kernel, 3))
    assert np.abs(wide - whole).max() < 0.5 / 255
    assert (np.abs(narrow - whole).max() > 10 / 255) == (sigma >= 1)


@pytest.mark.parametrize("side", [32, 48])
@pytest.mark.parametrize("texture", ["smooth", "noise"])
def test_what_remains_between_our_blur_and_pillow_s(texture, side):
    """The numbers of the docstring of `gaussian_blur`, in 255ths."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    smooth = torch.nn.functional.interpolate(coarse, side, mode="bicubic").clamp(0, 1).mul(255).byte()
    image = smooth if texture == "smooth" else torch.randint(256, smooth.shape, generator=generator, dtype=torch.uint8)
    pixels = image[0].permute(1, 2, 0).numpy()
    for sigma in np.arange(0.1, 2.01, 0.1):
        theirs = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(float(sigma)))).astype(float)
        ours = operations.gaussian_blur(image / 255, torch.tensor([float(sigma)]), 13)[0].permute(1, 2, 0) * 255
        apart = np.abs(ours.numpy() - theirs)
        inner = apart[6:-6, 6:-6]
        assert inner.max() < (5 if texture == "smooth" or sigma > 0.95 else 35)
        assert apart.max() < (15 if texture == "smooth" else 60) and inner.mean() < 11


def test_a_blur_wider_than_the_image_is_refused():
    with pytest.raises(BadInput, match="13 pixels needs images of more than 6"):
        operations.gaussian_blur(torch.rand(1, 3, 6, 6), torch.ones(1), 13)


def test_solarize():
    images = pictures(3)
    threshold = torch.tensor([0.0, 0.5, 0.9])
    ours = operations.solarize(images, threshold)
    for image, out, t in zip(images, ours, threshold.tolist(), strict=True):
        assert (out - F.solarize(image, t)).abs().max() < 1e-6


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_idle_parameters_change_nothing(seed):
    images, one, zero = pictures(4, seed=seed), torch.ones(4), torch.zeros(4)
    order = torch.rand(4, 4, generator=torch.Generator().manual_seed(seed)).argsort(1)
    assert (operations.colour_jitter(images, one, one, one, zero, order) - images).abs().max() < 1e-5
    assert (operations.gaussian_blur(images, zero, 5) - images).abs().max() < 1e-6
    assert torch.equal(operations.solarize(images, 2 * one), images)
    whole = operations.resized_crop(images, zero, zero, 32 * one, 32 * one, 32)
    assert (whole - images).abs().max() < 1e-6
