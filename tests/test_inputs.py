import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.errors import BadInput
from lib.inputs import check_features, check_images, check_labels, real, unit_images, whole

BYTES = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
FLOATS = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
KINDS = (int, float, np.int8, np.int64, np.uint8, np.float32, np.float64, torch.tensor, np.array)


def test_right_images_come_back_untouched():
    assert check_images(BYTES, "corrupt") is BYTES
    assert check_images(FLOATS, "make_view", floats=True) is FLOATS
    assert check_images(BYTES[:0], "render") is not None


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_unit_images_are_float32_in_the_unit_range_of_either_kind(kind):
    levels = torch.arange(256, dtype=torch.uint8).repeat(3).view(1, 3, 16, 16)
    torch.testing.assert_close(unit_images(levels, "here"), levels.float() / 255, rtol=0, atol=0)
    torch.testing.assert_close(unit_images(FLOATS.to(kind), "here"), FLOATS.to(kind).float(), rtol=0, atol=0)


def test_rounding_of_a_resampling_is_no_fault_and_is_cut_off():
    edge = torch.tensor([-3e-7, 1 + 3e-7]).repeat(3 * 128).view(1, 3, 16, 16)
    assert set(unit_images(edge, "here").unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (FLOATS, "not float32 (2, 3, 16, 16); (255 * images).round().byte()"),
        (BYTES.int(), "not int32 (2, 3, 16, 16)"),
        (BYTES.bool(), "not bool (2, 3, 16, 16)"),
        (BYTES[0], "not uint8 (3, 16, 16); images[None]"),
        (BYTES[:, 0], "not uint8 (2, 16, 16); images[:, None].expand(-1, 3, -1, -1)"),
        (BYTES[:, :1], "not uint8 (2, 1, 16, 16); images.expand(-1, 3, -1, -1)"),
        (torch.cat((BYTES, BYTES[:, :1]), 1), "not uint8 (2, 4, 16, 16); images[:, :3]"),
        (BYTES.permute(0, 2, 3, 1), "not uint8 (2, 16, 16, 3); images.permute(0, 3, 1, 2)"),
        (BYTES.numpy(), "not a NumPy array uint8 (2, 3, 16, 16); torch.from_numpy"),
        ([BYTES], "not a list"),
        (None, "not a NoneType"),
        (BYTES[0, 0, 0, 0], "not uint8 ()"),
    ],
)
def test_what_is_no_uint8_images_is_told_by_type_and_shape(images, found):
    with pytest.raises(BadInput) as error:
        check_images(images, "corrupt")
    assert str(error.value).startswith("corrupt takes images as uint8 (N, 3, H, W), not ") and found in str(error.value)


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (FLOATS * 255, r"not values from .* to 25\d\S*; images come before any normalisation"),
        (FLOATS * 2 - 1, r"not values from -(1|0\.\d+) to .*; images come before"),
        (torch.full_like(FLOATS, 1 + 1e-4), "not values from 1.0001 to 1.0001; images come before"),
        (torch.full_like(FLOATS, -1e-4), "not values from -0.0001 to -0.0001"),
        (torch.where(FLOATS > 0.9, torch.nan, FLOATS), "not values that are NaN"),
        (torch.where(FLOATS > 0.9, torch.inf, FLOATS), "not values from .* to inf"),
        (BYTES.int(), r"not int32 \(2, 3, 16, 16\)$"),
        (FLOATS.to(torch.complex64), "not complex64"),
    ],
)
def test_float_images_lie_in_the_unit_range(images, found):
    with pytest.raises(BadInput, match=found):
        check_images(images, "make_view", floats=True)


def test_sides_and_their_number_are_told():
    with pytest.raises(BadInput, match=r"synthesise takes images as uint8 \(N, 3, H, W\), with sides of at "
                                       r"least 20 px, not uint8 \(2, 3, 16, 16\)$"):  # fmt: skip
        check_images(BYTES, "synthesise", least=20)
    with pytest.raises(BadInput, match=r"\(N, 3, S, S\), not uint8 \(2, 3, 16, 8\)$"):
        check_images(BYTES[..., :8], "corrupt", square=True)
    with pytest.raises(BadInput, match=r"at least one, not uint8 \(0, 3, 16, 16\)$"):
        check_images(BYTES[:0], "pgd", some=True)


def test_labels_are_int64_and_those_of_a_class():
    labels = torch.tensor([0, 2, 1])
    assert check_labels(labels, 3, "train", 3) is labels and check_labels(labels, 3, "train") is labels
    for wrong, found in (
        (labels.int(), r"int64 \(3,\), one for each image, not int32 \(3,\)"),
        (labels.float(), "not float32"),
        (labels[:, None], r"not int64 \(3, 1\)"),
        (labels[:2], r"not int64 \(2,\)"),
        ([0, 2, 1], "not a list"),
        (labels.numpy(), "not a NumPy array int64"),
        (labels - 1, "from 0 to 2, not -1"),
        (labels + 1, "from 0 to 2, not 3"),
    ):
        with pytest.raises(BadInput, match=found):
            check_labels(wrong, 3, "train", 3)
    with pytest.raises(BadInput, match="of at least 0, not -1"):
        check_labels(labels - 1, 3, "train")


def test_features_are_finite_floats():
    features = torch.rand(3, 4)
    assert check_features(features, "knn_predict", width=4, least=3) is features
    for wrong, found in (
        (features.long(), "not int64"),
        (features[0], r"not float32 \(4,\)"),
        (features[:, :3], r"floats \(N, 4\) with N of at least 2, not float32 \(3, 3\)"),
        (features[:1], r"not float32 \(1, 4\)"),
        (features * torch.nan, "some are NaN"),
        (features / 0, "some are NaN or infinite"),
    ):
        with pytest.raises(BadInput, match=found):
            check_features(wrong, "knn_predict", least=2, width=4)


@settings(deadline=None)
@given(st.integers(-100, 100), st.sampled_from(KINDS), st.integers(-100, 100))
def test_a_whole_number_is_one_whatever_holds_it(number, kind, least):
    if kind is np.uint8 and number < 0:
        number = -number
    value = kind(number)
    if number >= least:
        assert whole(value, "steps", least) == number and type(whole(value, "steps", least)) is int
        assert real(value, "severity", least) == number and type(real(value, "severity", least)) is int
    else:
        for check in (whole, real):
            with pytest.raises(BadInput, match=f"number of at least {least}, not"):
                check(value, "steps", least)


@settings(deadline=None)
@given(st.floats(-1e6, 1e6, width=32).filter(lambda value: value != int(value)))
def test_a_real_number_keeps_its_value_and_is_not_whole(value):
    for kind in (float, np.float32, np.float64, torch.tensor):
        assert real(kind(value), "severity") == value and type(real(kind(value), "severity")) is float
        with pytest.raises(BadInput, match="is a whole number, not"):
            whole(kind(value), "steps", None)


@pytest.mark.parametrize("value", [True, np.True_, torch.tensor(True), "5", None, [5], torch.tensor([5]), np.array([5]),
                                   float("nan"), float("inf"), torch.tensor(float("nan")), 5j])  # fmt: skip
def test_what_is_no_number_is_refused(value):
    for check in (whole, real):
        with pytest.raises(BadInput, match="steps is a"):
            check(value, "steps", 1)
    with pytest.raises(BadInput, match="severity is a number from 1 to 5"):
        real(value, "severity", 1, 5)
