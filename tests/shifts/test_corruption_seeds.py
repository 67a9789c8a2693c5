"""Each corruption keeps its draws, whatever else is in the table: `corrupted_alike` is what rows are computed from."""

import pytest
import torch

from lib.shifts.corruptions import EVERY, NUMBERS, corrupted_alike

# Means of the second image's quarters at severity 3, as they have been since the first published rows. With other draws
# they would differ by several tenths; another processor's rounding moves them by a few thousandths.
QUARTERS = {
    "gaussian_noise": (106.5, 119.9, 142.1, 116.3),
    "shot_noise": (106.3, 119.9, 140.6, 116.1),
    "impulse_noise": (107.1, 122.2, 143.6, 116.6),
    "defocus_blur": (107.6, 120.0, 142.0, 116.4),
    "glass_blur": (107.4, 115.6, 143.7, 116.5),
    "motion_blur": (108.0, 115.0, 141.0, 118.3),
    "zoom_blur": (104.8, 120.0, 142.0, 115.9),
    "snow": (138.9, 142.7, 165.3, 142.9),
    "frost": (151.1, 161.7, 181.6, 155.9),
    "fog": (116.8, 127.4, 137.0, 122.1),
    "brightness": (127.8, 139.0, 156.7, 139.7),
    "contrast": (115.5, 120.9, 129.7, 119.2),
    "elastic_transform": (110.7, 111.8, 141.4, 120.3),
    "pixelate": (109.5, 119.3, 141.7, 117.0),
    "jpeg_compression": (108.1, 120.6, 142.8, 115.6),
    "speckle_noise": (105.6, 120.0, 141.6, 116.1),
    "gaussian_blur": (107.8, 119.6, 141.8, 116.3),
    "spatter": (115.6, 130.4, 148.4, 124.3),
    "saturate": (96.8, 103.0, 122.3, 102.6),
    "blue_noise_sample": (105.3, 117.3, 138.1, 113.5),
    "checkerboard_cutout": (111.2, 120.7, 143.0, 116.5),
    "inverse_sparkles": (144.7, 172.6, 168.5, 170.2),
    "pinch_and_twirl": (109.2, 118.6, 143.0, 117.7),
    "ripple": (107.1, 116.4, 137.2, 111.1),
    "brownish_noise": (136.3, 114.0, 157.6, 106.6),
    "circular_motion_blur": (100.6, 113.6, 133.1, 109.5),
    "lines": (113.5, 119.1, 141.1, 118.2),
    "sparkles": (152.0, 128.8, 173.4, 140.0),
    "transverse_chromatic_abberation": (102.7, 118.7, 136.2, 116.3),
}  # fmt: skip


def squares(count: int, side: int) -> torch.Tensor:
    """Squares of 4 px in random colours, from whole numbers alone: uint8 (count, 3, side, side)."""
    colours = torch.randint(
        0, 256, (count, 3, side // 4, side // 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )
    return colours.repeat_interleave(4, 2).repeat_interleave(4, 3)


@pytest.mark.parametrize("name", QUARTERS)
def test_images_stay_what_they_are(name):
    corrupted = corrupted_alike(squares(2, 32), name, 3)[1].float().mean(dim=0)
    found = torch.nn.functional.avg_pool2d(corrupted[None], 16).flatten()
    assert (found - torch.tensor(QUARTERS[name])).abs().max() < 0.1


def test_numbers_are_given_once_and_for_good():
    assert len(set(NUMBERS.values())) == len(EVERY)
    assert [name for name, _ in sorted(NUMBERS.items(), key=lambda item: item[1])][: len(QUARTERS)] == list(QUARTERS)
