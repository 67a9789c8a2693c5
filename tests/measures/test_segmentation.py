"""Confusion and IoU against scikit-learn, both heads on features that know the answer, and rows by hand."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix, jaccard_score
from torch import nn
from torch.nn import functional as F

from lib import images
from lib.errors import BadInput
from lib.images import load, scenes
from lib.measures import Subject, bootstrap_interval, probe, segmentation
from lib.measures.rows import as_rows
from lib.measures.segmentation import (
    PIXELS,
    Segmentation,
    _part,
    class_iou,
    confusion,
    fit_fcn,
    fit_linear,
    head_rows,
    mean_iou,
    pixel_features,
    predict,
)  # fmt: skip
from lib.models import Encoder, build_encoder

CLASSES = 4
pictures = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).choice([0, 1, 2, 3, 255], size=(2, 5, 4, 4), p=[0.4, 0.3, 0.15, 0.1, 0.05])
)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(images, "SCENES_BLOCK", 60)
    _part.cache_clear()


def labelled(count, size=16, seed=0, classes=3):
    """Maps (count, size, size) of blocks of 4 x 4 pixels, and features (count, 6, size, size) that tell them."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(classes, (count, size // 4, size // 4), generator=generator)
    labels = blocks.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    return labels, F.one_hot(labels, 6).permute(0, 3, 1, 2).float()


# ---- Counts


@settings(max_examples=60, deadline=None)
@given(pictures)
def test_confusion_and_iou_are_scikit_learn_s(drawn):
    truth, predicted = drawn[0], np.where(drawn[1] == 255, 0, drawn[1])
    counts = confusion(torch.from_numpy(truth), torch.from_numpy(predicted), CLASSES)
    known = truth != 255
    flat = truth[known], predicted[known]
    assert np.array_equal(counts.numpy(), confusion_matrix(*flat, labels=range(CLASSES)))
    present = np.unique(flat[0])
    theirs = jaccard_score(*flat, labels=present, average=None, zero_division=0)
    assert class_iou(counts.numpy())[present] == pytest.approx(theirs)
    assert mean_iou(counts) == pytest.approx(jaccard_score(*flat, labels=present, average="macro", zero_division=0))


@settings(max_examples=30, deadline=None)
@given(pictures, st.permutations(range(5)))
def test_mean_iou_does_not_care_for_the_order_of_images(drawn, order):
    truth, predicted = (torch.from_numpy(part) for part in (drawn[0], np.where(drawn[1] == 255, 0, drawn[1])))
    counts = confusion(truth, predicted, CLASSES)
    assert torch.equal(counts, confusion(truth[order], predicted[order], CLASSES))
    assert torch.equal(counts, sum(confusion(t, p, CLASSES) for t, p in zip(truth, predicted, strict=True)))


def test_iou_by_hand():
    """Class 0: 2 of 3 + 1 pixels; class 1: 1 of 2 + 1; class 2 is nowhere true, and the pixel at 255 counts nowhere."""
    truth = torch.tensor([[0, 0, 0], [1, 1, 255]])
    predicted = torch.tensor([[0, 0, 1], [1, 2, 0]])
    counts = confusion(truth, predicted, 3)
    assert counts.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    ious = class_iou(counts.numpy())
    assert ious[:2] == pytest.approx([2 / 3, 1 / 3]) and np.isnan(ious[2])
    assert mean_iou(counts) == pytest.approx(1 / 2)


def test_without_a_known_pixel_there_is_no_iou():
    counts = confusion(torch.full((2, 2), 255), torch.zeros(2, 2, dtype=torch.int64), 3)
    assert counts.sum() == 0 and np.isnan(mean_iou(counts))


@pytest.mark.parametrize(("truth", "predicted", "words"), [
    ([[0, 1]], [[0], [1]], r"one shape, not \(1, 2\) and \(2, 1\)"),
    ([0, 3], [0, 1], "whole numbers from 0 to 2, and 255 where the truth is not known, not 0 to 3"),
    ([0, 1], [0, 255], "not 0 to 255"),
    ([0, -1], [0, 1], "not -1 to 0"),
])  # fmt: skip
def test_wrong_labels_are_one_sentence(truth, predicted, words):
    with pytest.raises(BadInput, match=words):
        confusion(torch.tensor(truth), torch.tensor(predicted), 3)


# ---- Heads


@pytest.mark.parametrize("fit", [fit_linear, fit_fcn])
def test_features_that_hold_the_labels_are_read_without_a_mistake(fit, monkeypatch):
    monkeypatch.setattr(segmentation, "EPOCHS", 100)
    monkeypatch.setattr(segmentation, "RATE", 0.01)
    monkeypatch.setattr(segmentation, "DECAYS", (0.01,))
    (labels, features), (held, validation), (asked, test) = (labelled(20, seed=seed) for seed in range(3))
    head = fit(features, labels, validation, held, 3)
    assert mean_iou(confusion(asked, predict(head, test, 16), 3)) == 1


@pytest.mark.parametrize("fit", [fit_linear, fit_fcn])
def test_shuffled_labels_are_not_learned(fit, monkeypatch):
    """Predictions that know nothing of three equal classes: 1/9 of their union is right if one is named, 1/5 if all."""
    monkeypatch.setattr(segmentation, "DECAYS", (0.01,))
    (train, validation, test), (labels, held, asked) = (
        [labelled(30, seed=seed)[part] for seed in seeds] for part, seeds in ((1, (0, 1, 2)), (0, (3, 4, 5)))
    )
    head = fit(train, labels, validation, held, 3)
    assert 1 / 9 - 0.02 < mean_iou(confusion(asked, predict(head, test, 16), 3)) < 1 / 5 + 0.02


def test_linear_head_is_scikit_learn_s_regression_on_the_pixels(monkeypatch):
    """Every pixel is drawn; features are a quarter as fine as the labels, and brought there by a loop of ours."""
    size, decay = 8, 1e-2
    monkeypatch.setattr(segmentation, "PIXELS", size * size)
    monkeypatch.setattr(probe, "DECAYS", (decay,))
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(12, 5, 2, 2, generator=generator)
    labels = (F.interpolate(features, (size, size), mode="nearest")[:, :3]).argmax(dim=1)
    ours = predict(fit_linear(features, labels, features, labels, 3), features, size)
    pixels = np.zeros((12, size, size, 5))
    for row in range(size):
        for column in range(size):
            # Of half-pixel centres: pixel p lies at (p + 0.5) / 4 - 0.5 of a grid of two, held inside it.
            down, right = (min(max((place + 0.5) / 4 - 0.5, 0), 1) for place in (row, column))
            corners = [(0, 0, (1 - down) * (1 - right)), (0, 1, (1 - down) * right), (1, 0, down * (1 - right)),
                       (1, 1, down * right)]  # fmt: skip
            pixels[:, row, column] = sum(share * features[:, :, i, j].double().numpy() for i, j, share in corners)
    x, y = pixels.reshape(-1, 5), labels.numpy().ravel()
    x = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    theirs = LogisticRegression(C=1 / (decay * len(x)), tol=1e-10, max_iter=5000).fit(x, y)
    assert (ours.numpy().ravel() == theirs.predict(x)).mean() > 0.995


def test_ignored_pixels_teach_nothing(monkeypatch):
    monkeypatch.setattr(segmentation, "DECAYS", (0.01,))
    labels, features = labelled(10)
    wrong = labels.clone()
    labels[:, :6], wrong[:, :6] = 255, 255
    features[:, :, :6] = 0
    louder = features.clone()
    louder[:, 5, :5] = 9.0  # seen by no labelled pixel: the linear head's grid is the image's own
    linear, other = (fit_linear(f, labels, f, labels, 3)(features) for f in (features, louder))
    assert torch.allclose(linear, other, atol=1e-3)
    drawn = segmentation._pixels(features, labels, torch.Generator().manual_seed(0))[1]
    assert len(drawn) == 10 * PIXELS and drawn.max() < 3
    with pytest.raises(BadInput, match="no pixel of these images has a class"):
        fit_linear(features, torch.full_like(labels, 255), features, labels, 3)
    everywhere = fit_fcn(features, torch.full_like(labels, 255), features, labels, 3)(features)
    assert everywhere.isfinite().all()


def test_classes_that_the_training_lacks_are_never_predicted():
    labels, features = labelled(10, classes=2)
    head = fit_linear(features, labels, features, labels, 5)
    assert head(features).shape[1] == 5 and predict(head, features, 16).max() == 1


def test_the_fcn_depends_on_its_seed_alone(monkeypatch):
    monkeypatch.setattr(segmentation, "DECAYS", (0.01,))
    labels, features = labelled(10)
    first, second, third = (fit_fcn(features, labels, features, labels, 3, seed)(features) for seed in (1, 1, 2))
    assert torch.equal(first, second) and not torch.allclose(first, third)


def test_the_fcn_takes_the_decay_that_is_best_on_validation_images(monkeypatch):
    """With a decay of 1 / RATE every step forgets all weights; a mild one learns."""
    labels, features = labelled(20)
    monkeypatch.setattr(segmentation, "DECAYS", (1000.0, 0.01))
    chosen = fit_fcn(features, labels, features, labels, 3)(features)
    monkeypatch.setattr(segmentation, "DECAYS", (0.01,))
    assert torch.equal(chosen, fit_fcn(features, labels, features, labels, 3)(features))


# ---- Feature maps


@pytest.mark.parametrize(("name", "sides"), [("resnet10_narrow", [16, 8, 4, 2]), ("resnet18", [32, 16, 8, 4])])
def test_maps_are_those_behind_the_stages(name, sides):
    encoder = build_encoder(name).eval()
    pictures = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        maps = encoder.maps(pictures)
        assert [part.shape[-1] for part in maps] == sides
        assert torch.allclose(maps[-1].mean(dim=(2, 3)), encoder(pictures), atol=1e-5)


def test_an_encoder_without_maps_is_one_sentence():
    with pytest.raises(BadInput, match="Encoder has no feature maps; take one of the ResNets"):
        Encoder().maps(torch.zeros(1, 3, 32, 32))


def test_features_are_the_coarse_maps_at_the_finest_of_these():
    encoder = build_encoder("resnet10_narrow")
    pixels = torch.randint(256, (3, 3, 32, 32), dtype=torch.uint8)
    found = pixel_features(subject(encoder), pixels)
    with torch.no_grad():
        _, second, third, fourth = encoder.eval().maps(pixels / 255)
    assert found.shape == (3, 32 + 64 + 128, 8, 8) and torch.allclose(found[:, :32], second, atol=1e-5)
    enlarged = (F.interpolate(part, (8, 8), mode="bilinear") for part in (third, fourth))
    assert torch.allclose(found[:, 32:], torch.cat(list(enlarged), dim=1), atol=1e-5)


# ---- Rows


class Oracle(nn.Module):
    """Tells the true class of every pixel of the scenes that it was shown, at the image's own size."""

    features = 11

    def __init__(self, *parts):
        super().__init__()
        self.known = {
            image.numpy().tobytes(): torch.where(mask, label + 1, 0)
            for part in parts
            for image, mask, label in zip(part.images, part.masks, part.labels, strict=True)
        }

    def maps(self, x):
        shown = x.mul(255).round().byte().contiguous().numpy()
        return [F.one_hot(torch.stack([self.known[p.tobytes()] for p in shown]), 11).permute(0, 3, 1, 2).float()]


def subject(encoder):
    return Subject(encoder, "scenes", 60, "fp32", torch.device("cpu"))


def test_an_encoder_that_knows_every_pixel_has_an_iou_of_100():
    parts = [load("scenes", name, count) for name, count in (("train", 60), ("validation", 20), ("test", 30))]
    rows = Segmentation(train=60, validation=20, test=30).rows(subject(Oracle(*parts)))
    linear = rows[rows["metric"].isin(["linear mIoU", "linear IoU"])]
    assert set(rows["metric"]) == {f"{head} {what}" for head in ("linear", "fcn") for what in ("mIoU", "IoU")}
    assert set(rows["shift"]) == {"none"} and rows["level"].isna().all() and (rows["images"] == 30).all()
    assert list(linear["subset"]) == ["", "background", *scenes.SHAPES]
    assert (linear["value"] == 100).all() and (linear["standard_error"] == 0).all()


def test_rows_by_hand():
    """Two images of two pixels. Class 0: 1 of 2 and all 2; class 1: 1 of 2, and none in the second image."""
    truth = torch.tensor([[[0, 1]], [[0, 0]]])
    predicted = torch.tensor([[[1, 1]], [[0, 0]]])
    rows = as_rows(head_rows("linear", truth, predicted, ("a", "b", "c"))).set_index("subset")
    assert list(rows.index) == ["", "a", "b"] and list(rows["metric"]) == ["linear mIoU", "linear IoU", "linear IoU"]
    assert list(rows["value"]) == pytest.approx([100 * 7 / 12, 100 * 2 / 3, 50])
    assert (rows["images"] == 2).all()
    # Resamples: the first image twice (1 in 4), the second twice (1 in 4), each once (2 in 4).
    values = np.array([0, 1, 2 / 3, 2 / 3])
    errors = rows["standard_error"]
    assert errors["a"] == pytest.approx(100 * values.std(), rel=0.05)
    assert errors["b"] == 0  # where the truth has it at all, it is 1 of 2
    assert errors[""] == pytest.approx(100 * np.array([1 / 4, 1, 7 / 12, 7 / 12]).std(), rel=0.05)


def test_standard_errors_are_those_of_a_plain_bootstrap():
    generator = np.random.default_rng(0)
    truth = generator.integers(3, size=(60, 4, 4))
    predicted = np.where(generator.random((60, 1, 1)) < 0.4, generator.integers(3, size=truth.shape), truth)
    counts = np.stack(
        [confusion_matrix(t.ravel(), p.ravel(), labels=range(3)) for t, p in zip(truth, predicted, strict=True)]
    )

    def statistic(drawn):
        return 100 * mean_iou(drawn.sum(axis=(0, 1)))

    plain = bootstrap_interval(counts[None], statistic)
    found = as_rows(head_rows("x", torch.from_numpy(truth), torch.from_numpy(predicted), ("a", "b", "c"))).iloc[0]
    assert found["value"] == pytest.approx(plain.mean)
    assert found["standard_error"] == pytest.approx((plain.high - plain.low) / (2 * 1.96), rel=0.1)


def test_identity_names_every_choice():
    assert Segmentation().identity.startswith(
        "segmentation(dataset=scenes, train=1000, validation=300, test=500, size=32)#"
    )


@pytest.mark.parametrize(("arguments", "words"), [
    ({"dataset": "ade20k"}, "unknown segmentation set 'ade20k'"),
    ({"train": 1}, "the number of train images is a whole number of at least 2, not 1"),
    ({"test": True}, "the number of test images is a whole number of at least 2, not True"),
    ({"validation": 0.5}, "the number of validation images is a whole number of at least 1, not 0.5"),
])  # fmt: skip
def test_wrong_parameters_are_one_sentence(arguments, words):
    with pytest.raises(BadInput, match=words):
        Segmentation(**arguments)
