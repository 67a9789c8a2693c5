"""Patch negatives: against a loop over pixels, and what they keep and lose of an image."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import BadInput
from lib.views import patch_negatives, patch_sides


def numbered(count, height, width):
    """Images in which every pixel says where it is from: channel 0 its row, 1 its column, 2 its image."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.stack((rows, columns, torch.full_like(rows, image))) for image in range(count)])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("side", "expected"), [(224, (16, 72)), (32, (2, 10)), (96, (7, 31)), (8, (1, 3))])
def test_sides_are_the_paper_s_range_scaled_to_the_image(side, expected):
    assert patch_sides(side) == expected


@settings(deadline=None)
@given(st.integers(1, 4), st.integers(8, 40), st.integers(8, 40), st.integers(0, 1_000))
def test_a_negative_is_paved_with_patches_of_its_own_image(count, height, width, seed):
    """Read back from numbered pixels: within a patch they follow each other, and it lies wholly within the image."""
    negatives = patch_negatives(numbered(count, height, width), seeded(seed))
    least, most = patch_sides(min(height, width))
    assert negatives.shape == (count, 3, height, width)
    for image, (rows, columns, source) in enumerate(negatives):
        assert (source == image).all()
        fitting = []
        for side in range(least, most + 1):
            down, across = torch.arange(height) % side, torch.arange(width) % side
            top, left = rows - down[:, None], columns - across[None, :]
            cells = [
                (part[y : y + side, x : x + side], length)
                for part, length in ((top, height), (left, width))
                for y in range(0, height, side)
                for x in range(0, width, side)
            ]
            fitting.append(
                all((cell == cell[0, 0]).all() and 0 <= cell[0, 0] <= length - side for cell, length in cells)
            )
        assert any(fitting)


def test_sides_and_places_are_drawn_for_each_image_and_anew_each_time():
    image = numbered(1, 32, 32).expand(200, -1, -1, -1)
    generator = seeded()
    first, second = patch_negatives(image, generator), patch_negatives(image, generator)
    assert (first != second).flatten(1).any(dim=1).all()
    assert len({tuple(negative.flatten().tolist()) for negative in first}) == 200
    assert torch.equal(first, patch_negatives(image, seeded()))
    # The first row of a patch holds as many columns in sequence as its side: 2 to 10, each about as often.
    steps = first[:, 1, 0, 1:] - first[:, 1, 0, :-1] == 1
    runs = [int((~row).nonzero()[0, 0]) + 1 if not row.all() else 32 for row in steps]
    sides = [sum(run == side for run in runs) for side in range(2, 11)]
    assert min(sides) > 8 and sum(sides) > 190  # now and then a patch goes on where the one before ended


def test_mean_colour_is_kept_in_expectation():
    """Of an image whose colour does not depend on the place: the mean of many negatives is its mean."""
    image = torch.rand(1, 3, 32, 32, generator=seeded(1))
    negatives = patch_negatives(image.expand(4_000, -1, -1, -1), seeded())
    assert torch.allclose(negatives.mean(dim=(0, 2, 3)), image.mean(dim=(0, 2, 3)), atol=0.01)


def test_any_type_of_image():
    images = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8, generator=seeded())
    whole = patch_negatives(images, seeded(5))
    assert whole.dtype == torch.uint8
    assert torch.equal(whole.float() / 255, patch_negatives(images.float() / 255, seeded(5)))


def test_one_image_is_not_a_batch():
    with pytest.raises(BadInput, match=r"images \(N, 3, H, W\), not float32 \(3, 32, 32\)"):
        patch_negatives(torch.zeros(3, 32, 32), seeded())
