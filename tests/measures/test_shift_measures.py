"""Calibration, similarity of images, raw input, severity curves and natural shift."""

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shorthand import cell
from skimage.metrics import structural_similarity

from lib import images as library
from lib.images import load
from lib.images.sources import CIFAR10_CLASSES
from lib.measures import Subject, extract
from lib.measures.calibration import calibration_gaps, root_outcomes, squared_gaps
from lib.measures.natural_shift import NaturalShift, balanced
from lib.measures.raw_input import RawInput, faded, low_contrast
from lib.measures.severity_curve import LEVELS, SeverityCurve
from lib.measures.similarity import ssim
from lib.models import build_encoder
from lib.shifts.corruptions import corrupt, corrupted_alike

# ---- Calibration


def test_calibration_error_by_hand():
    """Two bins of ten: one too confident by 0.2 with three predictions, one too shy by 0.45 with one."""
    confidence, right = np.array([0.85, 0.87, 0.88, 0.55]), np.array([True, False, True, True])
    gaps = calibration_gaps(confidence, right, bins=10)
    assert gaps.mean() == pytest.approx((3 * abs(2.6 / 3 - 2 / 3) + abs(0.55 - 1)) / 4)
    assert gaps == pytest.approx([-0.15, 0.87, -0.12, 0.45])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_calibration_error_by_loop(predictions, bins):
    confidence, right = (np.array(values) for values in zip(*predictions, strict=True))
    expected = 0.0
    for b in range(bins):
        members = [(c, r) for c, r in predictions
                   if (b == 0 or np.ceil(c * bins) > b) and (np.ceil(c * bins) <= b + 1)]  # fmt: skip
        expected += abs(sum(r for _, r in members) - sum(c for c, _ in members)) / len(predictions)
    assert calibration_gaps(confidence, right, bins).mean() == pytest.approx(expected, abs=1e-12)


def test_a_confidence_between_two_bins_is_of_the_lower():
    confidence, right = np.array([0.5, 0.3, 0.9]), np.array([True, False, True])  # too shy by 0.1 in the lower one
    assert calibration_gaps(confidence, right, bins=2) == pytest.approx([0.5, -0.3, 0.1])


def test_squared_calibration_error_by_hand():
    """The same two bins: gaps of 0.2 and 0.45; the variance of the first's accuracy is 2/3 * 1/3 / 2, of one none."""
    confidence, right = np.array([0.85, 0.87, 0.88, 0.55]), np.array([True, False, True, True])
    assert squared_gaps(confidence, right, bins=10).mean() == pytest.approx(3 / 4 * (0.2**2 - 2 / 9 / 2))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=60), st.integers(1, 20))
def test_squared_calibration_error_by_loop(predictions, bins):
    confidence, right = (np.array(values) for values in zip(*predictions, strict=True))
    expected, place = 0.0, np.clip(np.ceil(confidence * bins) - 1, 0, bins - 1)
    for own in (place == b for b in range(bins)):
        if (count := own.sum()) > 1:
            accuracy = right[own].mean()
            expected += count * ((accuracy - confidence[own].mean()) ** 2 - accuracy * (1 - accuracy) / (count - 1))
    found = squared_gaps(confidence, right, bins)
    assert found.mean() == pytest.approx(expected / len(right), abs=1e-12)
    # By their squares: near zero, the root of a rounding error of 1e-17 is 3e-9.
    assert root_outcomes(found).mean() ** 2 == pytest.approx(max(0, expected / len(right)), abs=1e-12)


@pytest.mark.parametrize("off", [0.0, 0.05, 0.1])
def test_bias_of_calibration_errors_at_a_thousand_images(off):
    """A probe that is too confident by `off`, 15 bins: ECE adds 4 points where it is calibrated, the squares none."""
    generator, plain, squares, errors, roots = np.random.default_rng(0), [], [], [], []
    for _ in range(400):
        confidence = 0.1 + 0.9 * generator.beta(2, 3, 1000)
        truth = np.clip(confidence - off, 0, 1)
        right = generator.random(1000) < truth
        gaps = squared_gaps(confidence, right)
        plain.append(calibration_gaps(confidence, right).mean())
        squares.append(gaps.mean())
        errors.append(gaps.std(ddof=1) / 1000**0.5)
        roots.append(root_outcomes(gaps).mean())
    bias = np.mean(squares) - off**2
    assert abs(bias) < 4 * np.std(squares) / 20  # four standard errors of the mean of 400
    assert abs(np.mean(roots) - off) < (0.02 if off == 0 else 0.006)
    if off:
        assert 0.9 < np.mean(errors) / np.std(squares) < 1.3  # of clipped gaps and few images: on the wide side
    else:
        assert 0.035 < np.mean(plain) < 0.045


# ---- Similarity of images


def photographs(count=4, side=32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 6, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 255).byte()


@pytest.mark.parametrize("name, severity", [("gaussian_noise", 3), ("fog", 2.5), ("glass_blur", 5), ("saturate", 4)])
@pytest.mark.parametrize("side", [32, 45])
def test_ssim_is_scikit_images(name, severity, side):
    clean = photographs(side=side)
    shifted = corrupt(clean, name, severity)
    for a, b, ours in zip(clean, shifted, ssim(clean, shifted), strict=True):
        theirs = structural_similarity(a.numpy(), b.numpy(), channel_axis=0)
        assert ours.item() == pytest.approx(theirs, abs=1e-6)


def test_ssim_of_equal_images_is_1_and_it_is_symmetric():
    clean, shifted = photographs(), corrupt(photographs(), "fog", 4)
    assert ssim(clean, clean) == pytest.approx(1)
    assert ssim(clean, shifted).tolist() == pytest.approx(ssim(shifted, clean).tolist())


# ---- Measures of a subject


@pytest.fixture
def subject(monkeypatch):
    monkeypatch.setattr(library, "SCENES_BLOCK", 120)
    monkeypatch.setattr(library, "SCENES_SIZE", {"train": 120, "validation": 60, "test": 60})
    torch.manual_seed(0)
    encoder = build_encoder("resnet10_narrow")
    encoder.normalise_by(load("scenes", "train", 120).images)
    encoder.train()(load("scenes", "train", 120).images.float() / 255)  # fills the statistics of batch norm
    return Subject(encoder.eval(), "scenes", 120, "fp32", torch.device("cpu"))


def value(rows, shift, severity, metric):
    (found,) = cell(rows[rows["metric"] == metric], shift, severity)["value"]
    return found


def test_raw_pixels_are_taken_for_faded_images(subject):
    """The identity behind the measure: raw p is the normalised form of m + s p, except for rounding to bytes."""
    encoder, images = subject.encoder, photographs(6)
    mean, std = encoder.mean, encoder.std
    raw = build_encoder("resnet10_narrow")
    raw.load_state_dict(encoder.state_dict())
    raw.mean.zero_(), raw.std.fill_(1)
    seen = faded(images, mean, std)
    for c in range(3):
        expected = 255 * mean[c].item() + std[c].item() * images[:, c].double()
        assert (seen[:, c].double() - expected).abs().max() <= 0.5
    as_raw, as_seen = extract(raw, images), extract(encoder, seen)
    assert (as_raw - as_seen).norm() < 0.05 * (as_raw - extract(encoder, images)).norm()
    assert torch.equal(low_contrast(images, torch.full((3, 1, 1), 0.3)), corrupt(images, "contrast", 4, "cifar10"))


def test_rows_of_raw_input(subject):
    rows = RawInput(20).rows(subject)
    test = subject.split("test", 20)
    error = 100 * subject.wrong(test.images, test.labels).mean()
    assert value(rows, "none", 0, "raw cost") == pytest.approx(value(rows, "none", 0, "raw error") - error)
    wrong = subject.wrong(faded(test.images, subject.encoder.mean, subject.encoder.std), test.labels)
    assert value(rows, "none", 0, "faded error") == pytest.approx(100 * wrong.mean())
    levels = [value(rows, "all", level, "raw error") for level in range(1, 6)]
    assert value(rows, "all", 0, "raw error") == pytest.approx(np.mean(levels))
    assert subject.encoder.std.max() < 0.5  # the subject's own encoder still normalises
    assert (rows["images"] == 20).all()


def test_rows_along_severity(subject):
    rows = SeverityCurve(20, ("saturate", "fog")).rows(subject)
    assert len(rows) == 1 + 2 * 2 * len(LEVELS) and LEVELS[0] == 1 and LEVELS[-1] == 5 and len(LEVELS) == 17
    test = subject.split("test", 20)
    images = corrupted_alike(test.images, "fog", 2.25)
    wrong = 100 * subject.wrong(images, test.labels).mean()
    assert value(rows, "fog", 2.25, "error along severity") == pytest.approx(wrong)
    expected = 100 - 100 * np.mean(
        [structural_similarity(a.numpy(), b.numpy(), channel_axis=0)
         for a, b in zip(test.images, images, strict=True)]
    )  # fmt: skip
    assert value(rows, "fog", 2.25, "image distance") == pytest.approx(expected, abs=1e-3)


def test_balanced_outcomes_by_hand():
    outcomes, labels = np.array([1, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 0, 2, 2])
    assert balanced(outcomes, labels).mean() == pytest.approx((0.25 + 1) / 2)  # class 1 is not there


def test_rows_of_natural_shift(subject, tmp_path, monkeypatch):
    rows = NaturalShift().rows(subject)
    assert rows["shift"].tolist() == ["none"]  # shapes of scenes are not CIFAR-10's classes
    images = photographs(20)
    np.savez(tmp_path / "cifar10-shift.npz", images=images.permute(0, 2, 3, 1).numpy(), labels=np.arange(20) % 10,
             source=np.array(["a"] * 20), origin=np.array(["b"] * 20))  # fmt: skip
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    whole = subject.split

    def renamed(name, count=None):
        return dataclasses.replace(whole(name, count), classes=CIFAR10_CLASSES)

    monkeypatch.setattr(subject, "split", renamed)
    rows = NaturalShift().rows(subject)
    assert rows["shift"].tolist() == ["none", "cifar10-shift"]
    wrong = subject.wrong(images, torch.arange(20) % 10)
    by_class = [wrong[np.arange(20) % 10 == label].mean() for label in range(10)]
    assert value(rows, "cifar10-shift", 0, "balanced error") == pytest.approx(100 * np.mean(by_class))


def test_a_subject_corrupts_alike_whether_kept_or_not(subject, monkeypatch):
    first = subject.corrupted("fog", 2, 10)
    monkeypatch.setattr("lib.measures.subject._KEPT", 0)
    assert torch.equal(first, subject.corrupted("fog", 2, 10))
    assert torch.equal(first, corrupted_alike(load("scenes", "test", 10).images, "fog", 2))
