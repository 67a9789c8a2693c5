"""Accuracy on versions of the test images: the rows, what they are rows of, and whose colours an image borrows."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lib import images as library
from lib.errors import BadInput
from lib.images import load
from lib.measures import Subject
from lib.measures.cue_accuracy import CueAccuracy, _kept_versions, donors, versions
from lib.models import build_encoder
from lib.shifts import cues
from lib.shifts.textures import textures

VERSIONS = [("none", 0), ("texture", 0), ("patch", 0)]
VERSIONS += [("patch_shuffle", pieces) for pieces in (2, 4, 8)]
VERSIONS += [(shift, cutoff) for shift in ("low_pass", "high_pass") for cutoff in (2, 4, 8)]
VERSIONS += [("silhouette", 0), ("edges", 0), ("recoloured", 0), ("stylised", 0)]


@pytest.fixture
def subject(monkeypatch):
    _kept_versions.cache_clear()
    monkeypatch.setattr("lib.shifts.textures.CACHED", 60)
    monkeypatch.setattr(library, "SCENES_BLOCK", 120)
    monkeypatch.setattr(library, "SCENES_SIZE", {"train": 120, "validation": 60, "test": 60})
    torch.manual_seed(0)
    encoder = build_encoder("resnet10_narrow")
    encoder.normalise_by(load("scenes", "train", 120).images)
    encoder.train()(load("scenes", "train", 120).images.float() / 255)  # fills the statistics of batch norm
    return Subject(encoder.eval(), "scenes", 120, "fp32", torch.device("cpu"))


def test_rows(subject):
    rows = CueAccuracy(40).rows(subject)
    overall = rows[rows["subset"] == ""]
    units = {"": 0, "pieces a side": 3, "cycles an image": 6}
    assert all((overall["level_unit"] == unit).sum() == count for unit, count in units.items() if count)
    overall = overall.assign(level=overall["level"].fillna(0)).set_index(["shift", "level"])
    assert list(overall.index) == VERSIONS
    assert (overall["images"] == 40).all() and overall["value"].between(0, 100).all()
    test = subject.split("test", 40)
    by_hand = {
        ("none", 0): test.images,
        ("texture", 0): textures("scenes", "test", 40, progress=False),
        ("low_pass", 4): cues.low_pass(test.images, 4),
        ("silhouette", 0): torch.where(test.masks[:, None], 0, 255).byte().expand(-1, 3, -1, -1),
    }
    for version, images in by_hand.items():
        right = ~subject.wrong(images, test.labels)
        assert overall.loc[version, "value"] == pytest.approx(100 * right.mean())
        assert overall.loc[version, "standard_error"] == pytest.approx(100 * right.std(ddof=1) / 40**0.5)


@pytest.mark.parametrize("count", [12, 60])
def test_rows_of_classes_add_up(subject, count):
    rows = CueAccuracy(count).rows(subject)
    test = subject.split("test", count)
    sizes = np.bincount(test.labels, minlength=10)
    assert (1 in sizes) == (count == 12)
    for shift, images in (("none", test.images), ("texture", textures("scenes", "test", count, progress=False))):
        of_classes = rows[(rows["shift"] == shift) & (rows["subset"] != "")]
        names = [name for name, size in zip(test.classes, sizes, strict=True) if size > 1]
        assert list(of_classes["subset"]) == names
        assert list(of_classes["images"]) == sizes[sizes > 1].tolist()
        right = ~subject.wrong(images, test.labels)
        counted = right[np.isin(test.labels, np.flatnonzero(sizes > 1))].sum()
        assert (of_classes["value"] * of_classes["images"]).sum() / 100 == pytest.approx(counted)
    assert set(rows[rows["subset"] != ""]["shift"]) == {"none", "texture"}


def test_every_encoder_sees_the_same_images(subject, monkeypatch):
    first = CueAccuracy(30).rows(subject)
    with monkeypatch.context() as patch:
        patch.setattr("lib.measures.cue_accuracy.versions", None)  # made once, and kept
        assert CueAccuracy(30).rows(subject).equals(first)
    _kept_versions.cache_clear()
    assert CueAccuracy(30).rows(subject).equals(first)


def test_images_in_parts_are_the_whole(subject, monkeypatch):
    test = subject.split("test", 25)
    whole = list(versions("scenes", test))
    monkeypatch.setattr("lib.measures.cue_accuracy._AT_ONCE", 7 * 3072)
    for one, other in zip(whole, versions("scenes", test), strict=True):
        assert one[:2] == other[:2] and torch.equal(one[2], other[2])


def test_pieces_that_do_not_divide_the_side_are_left_out(subject):
    test = subject.split("test", 6)
    small = library.Split(test.images[..., :20, :20], test.labels, test.classes, test.checksum, test.source)
    made = versions("scenes", small)
    names = []
    for shift, level, images in made:
        names.append((shift, level.value))
        assert images.shape == (6, 3, 20, 20) or shift == "texture"  # those are of the whole data set
        if shift == "recoloured":
            break
    assert ("patch_shuffle", 4) in names and ("patch_shuffle", 8) not in names


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_donors_are_the_next_of_another_class(labels):
    chosen = donors(torch.tensor(labels)).tolist()
    for i, donor in enumerate(chosen):
        order = [(i + step) % len(labels) for step in range(1, len(labels))]
        other = [j for j in order if labels[j] != labels[i]]
        assert donor == (other + [(i - 1) % len(labels)])[0]


def test_identity_and_a_wrong_count(subject):
    assert CueAccuracy().identity.startswith("cue_accuracy(images=1000)#")
    assert CueAccuracy(None).identity.startswith("cue_accuracy(images=all)#")
    with pytest.raises(BadInput, match="number of images"):
        CueAccuracy(0).rows(subject)
