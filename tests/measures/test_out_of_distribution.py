"""The suite of shifts: each number against a count of its own, and pairs image by image."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from torch import nn
from torch.nn import functional as F

from lib import images as library
from lib.images import load
from lib.images.sources import CIFAR10_CLASSES
from lib.measures import Subject
from lib.measures.natural_shift import NaturalShift
from lib.measures.out_of_distribution import OutOfDistribution
from lib.shifts.corruptions import BAR, CORRUPTIONS, corrupted_alike

SPLITS = {"scenes background": "test-background", "scenes conflict": "test-conflict", "scenes light": "test-light",
          "scenes pose": "test-pose"}  # fmt: skip
WNIDS = ("n02708093", "n03196217", "n07753592", "n01443537")  # analog clock, digital clock, banana, goldfish


class Pixels(nn.Module):
    """Sees an image at 4 x 4 pixels."""

    features = 48

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, 4).flatten(1)


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(library, "SCENES_BLOCK", 120)
    monkeypatch.setattr(library, "SCENES_SIZE", {"train": 120, "validation": 60, "test": 60})
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    library._whole.cache_clear()
    return tmp_path / "data"


@pytest.fixture
def subject():
    return Subject(Pixels(), "scenes", 120, "fp32", torch.device("cpu"))


def noise(*shape):
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def found(rows, shift, metric="accuracy"):
    (line,) = rows[(rows["shift"] == shift) & (rows["metric"] == metric)].itertuples()
    assert np.isnan(line.level) and line.level_unit == ("mean over severities" if shift in ("all", "bar") else "")
    return line.value, line.standard_error, line.images


def predicted(subject, images):
    return subject.probe.predict(subject.extract(images)).numpy()


def test_accuracy_of_scenes_is_scikit_learns_and_losses_are_paired(subject):
    rows = OutOfDistribution(None, 20).rows(subject)
    assert set(rows["shift"]) == {"none", "all", "bar", *SPLITS}
    test = load("scenes", "test", 60)
    clean = predicted(subject, test.images) == test.labels.numpy()
    assert found(rows, "none")[0] == pytest.approx(100 * clean.mean()) and found(rows, "none")[2] == 60
    for shift, name in SPLITS.items():
        split = load("scenes", name, 60)
        assert torch.equal(split.labels, test.labels)  # pairs: image i is image i of the test split, changed
        answers = predicted(subject, split.images)
        value, _, images = found(rows, shift)
        assert value == pytest.approx(100 * accuracy_score(split.labels, answers)) and images == 60
        lost = [float(before) - float(after == label)
                for before, after, label in zip(clean, answers, split.labels.tolist(), strict=True)]  # fmt: skip
        mean = sum(lost) / 60
        spread = sum((one - mean) ** 2 for one in lost) / 59
        assert found(rows, shift, "accuracy lost")[:2] == pytest.approx((100 * mean, 100 * (spread / 60) ** 0.5))


def test_corruption_families_by_triple_loop(subject):
    rows = OutOfDistribution(60, 12).rows(subject)
    test = load("scenes", "test", 12)
    clean = predicted(subject, test.images) == test.labels.numpy()
    for family, members in (("all", CORRUPTIONS), ("bar", BAR)):
        assert len(members) == {"all": 15, "bar": 10}[family]
        right = np.zeros(12)
        for name in members:
            for level in range(1, 6):
                answers = predicted(subject, corrupted_alike(test.images, name, level))
                for place, (answer, label) in enumerate(zip(answers, test.labels.tolist(), strict=True)):
                    right[place] += (answer == label) / (5 * len(members))
        value, _, images = found(rows, family)
        assert value == pytest.approx(100 * right.mean()) and images == 12
        lost = clean - right
        expected = (100 * lost.mean(), 100 * lost.std(ddof=1) / np.sqrt(12), 12)
        assert found(rows, family, "accuracy lost") == pytest.approx(expected)


def test_natural_sets_are_balanced_and_those_of_natural_shift(small, subject, monkeypatch):
    labels = np.repeat(np.arange(10), [3, 9, 2, 7, 4, 4, 5, 6, 8, 2])
    images = noise(50, 32, 32, 3)
    np.savez(small / "cifar10-shift.npz", images=images, labels=labels)
    whole = subject.split
    monkeypatch.setattr(
        subject, "split", lambda name, count=None: dataclasses.replace(whole(name, count), classes=CIFAR10_CLASSES)
    )
    rows = OutOfDistribution(60, 2).rows(subject)
    answers = predicted(subject, torch.from_numpy(images).permute(0, 3, 1, 2))
    value, _, count = found(rows, "cifar10-shift")
    assert value == pytest.approx(100 * balanced_accuracy_score(labels, answers)) and count == 50
    assert value != pytest.approx(100 * accuracy_score(labels, answers))
    (other,) = NaturalShift().rows(subject).query("shift == 'cifar10-shift'").itertuples()
    assert 100 - other.value == pytest.approx(value)
    assert "cifar10-shift" not in set(rows.loc[rows["metric"] == "accuracy lost", "shift"])


def test_without_cifar10_s_classes_there_is_no_natural_set(small, subject):
    np.savez(small / "cifar10-shift.npz", images=noise(20, 32, 32, 3), labels=np.arange(20) % 10)
    assert "cifar10-shift" not in set(OutOfDistribution(20, 2).rows(subject)["shift"])


def test_variants_of_imagenet_for_an_encoder_of_wnids(small):
    """Either clock is right for an alarm clock, and classes without an image in a variant are never chosen."""
    generator = np.random.default_rng(0)
    for wnid in WNIDS:
        for place in range(15):
            colour = generator.integers(256, size=3)
            (small / "images" / wnid).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), tuple(map(int, colour))).save(small / "images" / wnid / f"{place}.png")
    for place in range(30):
        wnid = WNIDS[(0, 2)[place % 2]]
        (small / "imagenet-r" / wnid).mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(256, size=(32, 32, 3), dtype=np.uint8)).save(
            small / "imagenet-r" / wnid / f"art_{place}.png"
        )
    mappings = small / "objectnet" / "mappings"
    mappings.mkdir(parents=True)
    for name, content in {
        "folder_to_objectnet_label": {"alarm_clock": "Alarm clock", "banana": "Banana"},
        "objectnet_to_imagenet_1k": {"Alarm clock": "analog clock; digital clock", "Banana": "banana"},
        "pytorch_to_imagenet_2012_id": {"409": 0, "530": 1, "954": 2},
    }.items():
        (mappings / f"{name}.json").write_text(json.dumps(content))
    (mappings / "imagenet_to_label_2012_v2").write_text("analog clock\ndigital clock\nbanana\n")
    for name in ("alarm_clock", "banana"):
        (small / "objectnet" / "images" / name).mkdir(parents=True)
        for place in range(20):
            pixels = generator.integers(256, size=(36, 36, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(small / "objectnet" / "images" / name / f"{place:02}.png")
    one = Subject(Pixels(), "images", None, "fp32", torch.device("cpu"))
    rows = OutOfDistribution(None, 2).rows(one)
    assert {"imagenet-r", "objectnet"} < set(rows["shift"])
    order = load("images", "test").classes
    assert sorted(order) == sorted(WNIDS)

    def answer(pixels, allowed):
        scores = one.probe.scores(one.extract(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]))[0]
        return max(allowed, key=lambda wnid: scores[order.index(wnid)].item())

    right = [answer(np.asarray(Image.open(path)), (WNIDS[0], WNIDS[2])) == path.parent.name
             for path in (small / "imagenet-r").glob("*/*")]  # fmt: skip
    assert found(rows, "imagenet-r")[::2] == (pytest.approx(100 * np.mean(right)), 30)
    objects = {"alarm_clock": WNIDS[:2], "banana": WNIDS[2:3]}
    right = [answer(np.asarray(Image.open(path))[2:-2, 2:-2], WNIDS[:3]) in objects[path.parent.name]
             for path in (small / "objectnet" / "images").glob("*/*")]  # fmt: skip
    assert found(rows, "objectnet")[::2] == (pytest.approx(100 * np.mean(right)), 40)


def test_identity_names_its_numbers():
    assert OutOfDistribution().identity.startswith("out_of_distribution(images=all, corrupted=1000)#")
    assert OutOfDistribution(20, None).identity.startswith("out_of_distribution(images=20, corrupted=all)#")
