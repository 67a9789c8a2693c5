"""What every corruption promises, whatever its numbers: shapes, seeds, batches, groups, bad input."""

import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import BadInput
from lib.shifts.corruptions import BAR, CONSTANTS, CORRUPTIONS, EVERY, EXTRA, GROUPS, PROTOCOL, SEVERITIES, corrupt
from lib.shifts.corruptions.weather import frost_photographs

TABLES = ("cifar10", "imagenet")
RANDOM = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "glass_blur",
    "motion_blur",
    "snow",
    "frost",
    "fog",
    "elastic_transform",
    "speckle_noise",
    "spatter",
    *(name for name in BAR if name != "circular_motion_blur"),
)
# Those that draw nothing. A corruption that stands in neither list does either of the two, and keeps to it.
STILL = (
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate",
    "circular_motion_blur",
)  # fmt: skip
CASES = [(table, name) for table in TABLES for name in CONSTANTS[table]]
few = settings(max_examples=4, deadline=None, derandomize=True)


def pictures(count: int, side: int, seed: int = 0) -> torch.Tensor:
    """Smooth blobs with a little noise, a flat patch and a black image: uint8 (count, 3, side, side)."""
    generator = torch.Generator().manual_seed(seed)
    images = F.interpolate(torch.rand(count, 3, 7, 7, generator=generator) * 255, size=side, mode="bicubic")
    images += torch.randn(images.shape, generator=generator) * 4
    images[:, :, : side // 4, : side // 4] = 128
    images[count // 2 : count // 2 + 1] = 0
    return images.clamp(0, 255).byte()


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_fifteen_and_their_groups():
    assert CORRUPTIONS == (
        "gaussian_noise",
        "shot_noise",
        "impulse_noise",
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "snow",
        "frost",
        "fog",
        "brightness",
        "contrast",
        "elastic_transform",
        "pixelate",
        "jpeg_compression",
    )
    assert {group: len(names) for group, names in GROUPS.items()} == {"noise": 3, "blur": 4, "weather": 4, "digital": 4}
    assert sum(GROUPS.values(), ()) == CORRUPTIONS
    assert EXTRA[:4] == ("speckle_noise", "gaussian_blur", "spatter", "saturate") and len(BAR) == 10
    assert EVERY == CORRUPTIONS + EXTRA + BAR and len(set(EVERY)) == len(EVERY)
    assert SEVERITIES == (1, 2, 3, 4, 5)
    assert type(PROTOCOL) is int


@pytest.mark.parametrize("table, name", CASES)
@few
@given(
    count=st.integers(2, 7),
    side=st.integers(16, 49),
    severity=st.sampled_from(SEVERITIES) | st.floats(1, 5),
    seed=st.integers(0, 2**40),
    data=st.data(),
)
def test_an_image_does_not_depend_on_its_batch(name, table, count, side, severity, seed, data):
    images = pictures(count, side, seed % 1000)
    before = images.clone()
    whole = corrupt(images, name, severity, table, seeded(seed))
    assert whole.dtype == torch.uint8 and whole.shape == images.shape and whole.is_contiguous()
    assert torch.equal(images, before)  # the input is left alone
    cut = data.draw(st.integers(1, count - 1))
    generator = seeded(seed)
    parts = [corrupt(part, name, severity, table, generator) for part in (images[:cut], images[cut:])]
    assert torch.equal(torch.cat(parts), whole)


@pytest.mark.parametrize("table, name", CASES)
def test_large_batches_are_the_small_ones_put_together(name, table):
    images = pictures(150, 33)  # several chunks, an odd side
    whole = corrupt(images, name, 4, table, seeded(3))
    generator = seeded(3)
    parts = [corrupt(part, name, 4, table, generator) for part in images.split([1, 2, 66, 64, 17])]
    assert torch.equal(torch.cat(parts), whole)
    strided = images.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    from_strided = corrupt(strided, name, 4, table, seeded(3))
    assert from_strided.is_contiguous() and torch.equal(from_strided, whole)


@pytest.mark.parametrize("count, side", [(7, 97), (3, 224)])
@pytest.mark.parametrize("name", EVERY)
def test_threads_do_not_matter(name, count, side):
    """How work is split among threads depends on the batch; the bytes must not."""
    images = pictures(count, side)
    alone = corrupt(images, name, 3)
    torch.set_num_threads(3)
    try:
        generator = seeded(0)
        parts = [corrupt(part, name, 3, None, generator) for part in images.split([1, count - 1])]
    finally:
        torch.set_num_threads(1)
    assert torch.equal(torch.cat(parts), alone)


@pytest.mark.parametrize("name", EVERY)
def test_seeds(name):
    images = pictures(3, 32, 5)[:1].repeat(4, 1, 1, 1)
    first = corrupt(images, name, 3, generator=seeded(1))
    assert torch.equal(first, corrupt(images, name, 3, generator=seeded(1)))
    assert torch.equal(corrupt(images, name, 3), corrupt(images, name, 3, generator=seeded(0)))
    by_seed = not torch.equal(first, corrupt(images, name, 3, generator=seeded(2)))
    within = not torch.equal(first, first[:1].expand_as(first))
    assert by_seed == within and (name in RANDOM) <= by_seed <= (name not in STILL)


@pytest.mark.parametrize("name", EVERY)
def test_a_whole_number_may_be_a_float(name):
    images = pictures(2, 32)
    assert torch.equal(corrupt(images, name, 3), corrupt(images, name, 3.0))


@pytest.mark.parametrize("name", [*CORRUPTIONS, *EXTRA, *BAR])
def test_severities_between_are_between(name):
    """The mean change of images at 4.5 lies within those at 4 and 5, widened by a quarter of their distance."""
    images = pictures(60, 32, 6)

    def change(severity):
        return (corrupt(images, name, severity).float() - images.float()).abs().mean().item()

    low, high = sorted((change(4), change(5)))
    slack = 0.25 * (high - low) + 0.3
    assert low - slack <= change(4.5) <= high + slack


def test_severities_and_corruptions_share_no_draws():
    images = torch.full((20, 3, 32, 32), 128, dtype=torch.uint8)
    noises = [corrupt(images, "gaussian_noise", severity).float().flatten() for severity in (1, 2)]
    noises.append(corrupt(images, "impulse_noise", 5).float().flatten())
    correlation = torch.corrcoef(torch.stack(noises))
    assert (correlation - torch.eye(3)).abs().max() < 0.02  # 61 440 values: standard error .004


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in CORRUPTIONS
        if n not in ("shot_noise", "gaussian_noise", "impulse_noise", "snow", "frost", "jpeg_compression")
    ],
)
@pytest.mark.parametrize("table", TABLES)
def test_channels_may_be_swapped_before_or_after(name, table):
    images, order = pictures(3, 32, 2), [2, 0, 1]
    swapped = corrupt(images[:, order], name, 5, table)
    assert torch.equal(swapped, corrupt(images, name, 5, table)[:, order])


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("name", [n for n in CORRUPTIONS if n not in ("elastic_transform", "glass_blur", "frost")])
def test_severity_5_moves_pixels_further_than_severity_1(name, table):
    images = pictures(40, 32, 4)
    moved = [(corrupt(images, name, s, table).float() - images.float()).abs().mean() for s in (1, 5)]
    assert moved[1] > 1.2 * moved[0] > 0


@pytest.mark.parametrize("side, table", [(32, "cifar10"), (63, "cifar10"), (64, "imagenet"), (96, "imagenet")])
def test_the_side_chooses_the_constants(side, table):
    images = pictures(2, side)
    other = TABLES[table == "cifar10"]
    assert torch.equal(corrupt(images, "contrast", 2), corrupt(images, "contrast", 2, table))
    assert not torch.equal(corrupt(images, "contrast", 2), corrupt(images, "contrast", 2, other))


@pytest.mark.parametrize("name", EVERY)
def test_no_images_give_no_images(name):
    assert corrupt(torch.empty(0, 3, 32, 32, dtype=torch.uint8), name, 1).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("side, table", [(400, "imagenet"), (96, "cifar10")])
def test_photographs_and_maps_are_large_enough_for_large_images(name, side, table):
    images = pictures(1, side, 3)
    images[0] = pictures(2, side, 3)[0]
    moved = (corrupt(images, name, 5, table).float() - images.float()).abs().mean()
    assert 0.01 < moved < 128


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("table, name", CASES)
def test_a_gpu_gives_the_bytes_of_the_cpu(name, table):
    images = pictures(20, 33)
    here, there = corrupt(images, name, 4, table), corrupt(images.cuda(), name, 4, table)
    assert there.is_cuda
    # Both round differently in the last bit, which truncation shows on a few pixels.
    assert ((here.int() - there.cpu().int()).abs() <= 1).float().mean() > 0.999


IMAGES = pictures(2, 32)
NEED = "corrupt takes images as uint8 (N, 3, S, S), with sides of at least 16 px"


@pytest.mark.parametrize(
    "sentence, arguments",
    [
        ("unknown corruption 'fogg' (did you mean 'fog'?); allowed: gaussian_noise, ", (IMAGES, "fogg", 1)),
        ("unknown corruption ['fog']", (IMAGES, ["fog"], 1)),
        ("unknown corruption ['fog', 'snow']", (IMAGES, ["fog", "snow"], 1)),
        ("unknown corruption None", (IMAGES, None, 1)),
        ("severity is a number from 1 to 5, not 0", (IMAGES, "fog", 0)),
        ("severity is a number from 1 to 5, not 9", (IMAGES, "fog", 9)),
        ("severity is a number from 1 to 5, not 0.99", (IMAGES, "fog", 0.99)),
        ("severity is a number from 1 to 5, not nan", (IMAGES, "fog", float("nan"))),
        ("severity is a number from 1 to 5, not '3'", (IMAGES, "fog", "3")),
        ("severity is a number from 1 to 5, not True", (IMAGES, "fog", True)),
        ("severity is a number from 1 to 5, not [1, 2]", (IMAGES, "fog", [1, 2])),
        ("ripple has no constants of imagenet; allowed: cifar10", (IMAGES, "ripple", 1, "imagenet")),
        (
            "unknown constants 'cifar' (did you mean 'cifar10'?); allowed: cifar10, imagenet",
            (IMAGES, "fog", 1, "cifar"),
        ),
        (f"{NEED}, not a NumPy array uint8 (2, 3, 32, 32); torch.from_numpy", (IMAGES.numpy(), "fog", 1)),
        (f"{NEED}, not float32 (2, 3, 32, 32); (255 * images).round().byte()", (IMAGES / 255, "fog", 1)),
        (f"{NEED}, not uint8 (3, 32, 32); images[None]", (IMAGES[0], "fog", 1)),
        (f"{NEED}, not uint8 (2, 1, 32, 32); images.expand(-1, 3, -1, -1)", (IMAGES[:, :1], "fog", 1)),
        (f"{NEED}, not uint8 (2, 32, 32, 3); images.permute(0, 3, 1, 2)", (IMAGES.permute(0, 2, 3, 1), "fog", 1)),
        (f"{NEED}, not uint8 (2, 3, 32, 31)", (IMAGES[..., 1:], "fog", 1)),
        (f"{NEED}, not uint8 (2, 3, 15, 15)", (IMAGES[..., :15, :15], "fog", 1)),
        ("generator must be a torch.Generator on the CPU", (IMAGES, "fog", 1, None, 0)),
    ],
)
def test_bad_input_gets_one_sentence(sentence, arguments):
    with pytest.raises(BadInput) as caught:
        corrupt(*arguments)
    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_missing_photographs_say_what_to_install(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(BadInput, match="pip install imagecorruptions==1.1.2"):
        frost_photographs.__wrapped__()
