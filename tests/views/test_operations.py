"""Each operation against torchvision's functional of one image."""

import pytest
import torch
import torchvision.transforms.v2.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.views import operations

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
