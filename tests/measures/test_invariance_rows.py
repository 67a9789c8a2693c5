"""What the four measures of the invariance study write down, for encoders whose answers are known."""

import numpy as np
import pytest
import torch
from shorthand import cell
from torch import nn
from torchvision.transforms.v2 import functional as TF

from lib import images
from lib.images import load
from lib.images.objects import scene_views
from lib.measures import Subject
from lib.measures.downstream import Downstream
from lib.measures.read_out import READ, ReadOut
from lib.measures.real_invariance import RealInvariance
from lib.measures.synthetic_invariance import SyntheticInvariance
from lib.shifts.transforms import TRANSFORMS


class MeanColour(nn.Module):
    """Three features: the mean of each channel. Exactly invariant to flips, and to nothing that changes colours."""

    features = 3

    def forward(self, x):
        return x.mean(dim=(2, 3))


class Oracle(nn.Module):
    """Knows some causes of every scene that it was shown: the cosine and sine of the object's hue, x, and a bias."""

    features = 4

    def __init__(self, *splits):
        super().__init__()
        self.known = {}
        for split in splits:
            angle = 2 * np.pi * split.factors["object_hue"]
            causes = torch.stack((angle.cos(), angle.sin(), split.factors["x"], torch.ones(len(angle))), dim=1)
            self.known |= {image.numpy().tobytes(): row for image, row in zip(split.images, causes, strict=True)}

    def forward(self, x):
        return torch.stack([self.known[image.mul(255).round().byte().numpy().tobytes()] for image in x])


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch, tmp_path):
    monkeypatch.setattr(images, "SCENES_BLOCK", 120)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 120, "validation": 40, "test": 120})
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    return tmp_path


def subject(encoder):
    return Subject(encoder, "scenes", 120, "fp32", torch.device("cpu"))


def value(rows, shift, metric, subset=""):
    chosen = cell(rows[rows["metric"] == metric], shift, subset=subset)
    assert len(chosen) == 1
    return chosen["value"].item()


def test_what_an_encoder_cannot_see_it_is_invariant_to():
    rows = SyntheticInvariance(40, 4).rows(subject(MeanColour()))
    for flip in ("h_flip", "v_flip"):
        assert value(rows, flip, "whitened similarity") == pytest.approx(100, abs=1e-3)
        assert value(rows, flip, "similarity") == pytest.approx(100, abs=1e-3)
        assert value(rows, flip, "Mahalanobis distance") == pytest.approx(0, abs=1e-3)
        assert value(rows, flip, "sensitivity") == pytest.approx(0, abs=1e-3)
        assert value(rows, flip, "image distance") > 1
    assert value(rows, "invert", "whitened similarity") < 50
    assert value(rows, "none", "similarity") < 100


def test_similarity_is_that_of_one_image_at_a_time():
    """The loop of the paper's code, with its whitening, for a transform of one parameter and one of two."""
    one = subject(MeanColour())
    rows = SyntheticInvariance(6, 3).rows(one)
    pictures = load("scenes", "test", 6).images
    white = one.whitening
    for name, changed in {
        "contrast": lambda image, p: TF.adjust_contrast(image, p[0]),
        "translation": lambda image, p: TF.affine(
            image, 0, list(p), 1.0, [0.0, 0.0], interpolation=TF.InterpolationMode.BILINEAR
        ),
    }.items():
        settings, similarities = TRANSFORMS[name].grid(32, 3).tolist(), []
        for image in pictures.float() / 255:
            for parameters in settings:
                first, second = (white(picture.mean(dim=(1, 2))) for picture in (image, changed(image, parameters)))
                similarities.append(float(first @ second / (first.norm() * second.norm())))
        assert value(rows, name, "whitened similarity") == pytest.approx(100 * np.mean(similarities), abs=0.01)
    along = rows[(rows["shift"] == "contrast") & (rows["metric"] == "whitened similarity along")]
    assert set(along["level_unit"]) == {"factor"}
    assert along["level"].tolist() == pytest.approx([p[0] for p in TRANSFORMS["contrast"].grid(32, 3).tolist()])
    assert along["value"].mean() == pytest.approx(value(rows, "contrast", "whitened similarity"))
    assert not ((rows["shift"] == "translation") & rows["metric"].str.endswith("along")).any()


def test_sensitivity_is_the_ratio_of_the_means():
    rows = SyntheticInvariance(20, 3).rows(subject(MeanColour()))
    lost = 100 - value(rows, "hue", "whitened similarity")
    assert value(rows, "hue", "sensitivity") == pytest.approx(100 * lost / value(rows, "hue", "image distance"))


def test_views_of_an_object_are_compared_with_each_other_only():
    rows = RealInvariance(3, 4).rows(subject(MeanColour()))
    views = scene_views("light colour", 3, 4)
    features = (views.images.float() / 255).mean(dim=(2, 3)).double()
    unit = features / features.norm(dim=1, keepdim=True)
    same, any_two = [], []
    for i in range(12):
        for j in range(i):
            any_two.append(float(unit[i] @ unit[j]))
            if views.groups[i] == views.groups[j]:
                same.append(any_two[-1])
    assert value(rows, "scenes", "similarity", "light colour") == pytest.approx(100 * np.mean(same), abs=1e-3)
    assert value(rows, "scenes", "chance", "light colour") == pytest.approx(100 * np.mean(any_two), abs=1e-3)
    assert set(rows["images"]) == {3, 12}


def test_what_features_hold_is_read_and_what_is_erased_is_not():
    parts = [load("scenes", name, count) for name, count in (("train", 120), ("validation", None), ("test", 120))]
    rows = ReadOut(120).rows(subject(Oracle(*parts)))
    for name in ("object_hue", "x"):
        assert value(rows, "none", "linear R2", name) > 99
        assert value(rows, "none", "kernel R2", name) > 90
    assert all(value(rows, "none", "linear R2", name) < 15 for name in READ if name not in ("object_hue", "x"))
    assert value(rows, "without object_hue", "linear R2", "object_hue") < 10
    assert value(rows, "without object_hue", "linear R2", "x") > 95
    assert value(rows, "none", "shape accuracy") < 30  # the oracle does not know it


def test_tasks_that_colour_solves(few_scenes):
    """Textures of a colour each, and turntable images whose red and green are cosine and sine of the angle."""
    random = np.random.default_rng(0)
    texture = np.repeat(["banded", "woven"], 25)
    pictures = np.zeros((50, 64, 64, 3), np.uint8)
    pictures[texture == "woven", ..., 0] = 200
    np.savez(few_scenes / "dtd-10classes-64px.npz", images=pictures, texture=texture)
    azimuth = np.tile(np.arange(0, 360, 10), 2)
    angle = np.radians(azimuth)[:, None, None]
    turned = np.zeros((72, 64, 64, 3), np.uint8)
    turned[..., 0], turned[..., 1] = 128 + 100 * np.cos(angle), 128 + 100 * np.sin(angle)
    turned[..., 2] = random.integers(256, size=(72, 64, 64))
    np.savez(few_scenes / "coil100-17obj-64px.npz", images=turned, object=np.repeat([1, 2], 36), azimuth=azimuth)
    rows = Downstream().rows(subject(MeanColour()))
    assert value(rows, "dtd", "accuracy") == 100
    assert value(rows, "coil", "linear R2", "azimuth") > 99
    assert value(rows, "coil", "angle error", "azimuth") < 2
    assert set(rows["shift"]) == {"dtd", "coil"}


@pytest.mark.parametrize("measure", [SyntheticInvariance(), RealInvariance(), ReadOut(), Downstream()])
def test_identities_name_the_protocol(measure):
    assert "#" in measure.identity
