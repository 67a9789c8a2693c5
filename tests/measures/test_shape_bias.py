"""Shape bias of encoders that know one cue, PACS's other domains, and both against independent counts."""

import dataclasses
import os

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score
from torch import nn
from torch.nn import functional as F

from lib import images
from lib.images import load, scenes
from lib.images.downstream import downstream
from lib.images.sources import CIFAR10_CLASSES
from lib.measures import Subject, fit_probe
from lib.measures.out_of_domain import OutOfDomain, _domains
from lib.measures.rows import as_rows
from lib.measures.shape_bias import ShapeBias, _agreeing, _cue_conflict, decision_rows

DATA = os.environ.get("WITHSTAND_DATA", "")  # read before the tests' own folders hide it
STYLE, SILHOUETTES, EDGES = "style-transfer-preprocessed-512", "filled-silhouettes", "edges"
NAMED = {"airplane": "airplane", "bird": "bird", "boat": "ship", "car": "automobile", "cat": "cat", "dog": "dog",
         "truck": "truck"}  # fmt: skip


class Pixels(nn.Module):
    """Sees an image at 4 x 4 pixels."""

    features = 48

    def forward(self, x):
        return F.adaptive_avg_pool2d(x, 4).flatten(1)


class Knows(nn.Module):
    """Tells one whole factor of every scene that it was shown, as one of ten columns."""

    features = 10

    def __init__(self, factor, *parts):
        super().__init__()
        self.known = {
            image.numpy().tobytes(): value
            for part in parts
            for image, value in zip(part.images, part.factors[factor].tolist(), strict=True)
        }

    def forward(self, x):
        pictures = x.mul(255).round().byte().numpy()
        return F.one_hot(torch.tensor([self.known[picture.tobytes()] for picture in pictures]), 10).float()


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    monkeypatch.setattr(images, "SCENES_BLOCK", 120)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 120, "validation": 60, "test": 60})
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    for kept in (_agreeing, _cue_conflict, _domains):
        kept.cache_clear()
    return tmp_path / "data"


@pytest.fixture
def as_cifar10(monkeypatch):
    """A subject of scenes whose ten classes pass for CIFAR-10's."""
    subject = Subject(Pixels(), "scenes", 120, "fp32", torch.device("cpu"))
    whole = subject.split
    monkeypatch.setattr(
        subject, "split", lambda name, count=None: dataclasses.replace(whole(name, count), classes=CIFAR10_CLASSES)
    )
    return subject


def subject(encoder):
    return Subject(encoder, "scenes", 120, "fp32", torch.device("cpu"))


def noise(*shape):
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def value(rows, shift, metric, column="value"):
    (found,) = rows[(rows["shift"] == shift) & (rows["metric"] == metric) & rows["level"].isna()][column]
    return found


# ---- Decisions


def test_decisions_by_hand():
    """Ten images: three for the shape, one for the texture, six for another class."""
    shape, texture = np.zeros(10, int), np.ones(10, int)
    decided = np.array([0, 0, 0, 1, 2, 2, 2, 3, 3, 4])
    rows = as_rows(decision_rows("cue-conflict", decided, shape, texture))
    assert list(rows["metric"]) == ["shape bias", "shape decisions", "texture decisions"]
    assert set(rows["shift"]) == {"cue-conflict"}
    assert list(rows["value"]) == pytest.approx([75, 30, 10]) and list(rows["images"]) == [4, 10, 10]
    assert rows["standard_error"].iloc[0] == pytest.approx(100 * np.sqrt(0.75 * 0.25 / 3))


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=2, max_size=40))
def test_decisions_by_loop(pictures):
    pictures = [(decided, shape, texture) for decided, shape, texture in pictures if shape != texture] or [
        (0, 0, 1)
    ] * 2
    if len(pictures) == 1:
        pictures *= 2
    rows = {row[4]: row for row in decision_rows("x", *(np.array(column) for column in zip(*pictures, strict=True)))}
    count, shape, texture = len(pictures), 0, 0
    for decided, of_shape, of_texture in pictures:
        shape, texture = shape + (decided == of_shape), texture + (decided == of_texture)
    for metric, number in (("shape decisions", shape), ("texture decisions", texture)):
        share = number / count
        assert rows[metric][5:] == pytest.approx((100 * share, 100 * np.sqrt(share * (1 - share) / (count - 1)), count))
    if shape + texture < 2:
        assert "shape bias" not in rows
    else:
        share, either = shape / (shape + texture), shape + texture
        expected = (100 * share, 100 * np.sqrt(share * (1 - share) / (either - 1)), either)
        assert rows["shape bias"][5:] == pytest.approx(expected)


def test_undecided_images_have_no_bias():
    rows = decision_rows("x", np.full(5, 3), np.zeros(5, int), np.ones(5, int))
    assert [row[4] for row in rows] == ["shape decisions", "texture decisions"] and all(row[5] == 0 for row in rows)


# ---- Scenes


def agreeing(split, count):
    """Scenes of the split, each solid in the texture of its class, drawn again here."""
    factors = scenes.draw_factors(count, split=split)
    return scenes.render_factors({**factors, "object_texture": factors["shape"]})


def test_training_scenes_tell_both_cues_alike():
    pictures, labels = _agreeing("train", 40, torch.device("cpu"))
    drawn = agreeing("train", 40)
    assert torch.equal(pictures, drawn.images) and torch.equal(labels, drawn.factors["object_texture"])
    assert torch.equal(labels, load("scenes", "train", 40).factors["shape"])


@pytest.mark.parametrize(("factor", "bias"), [("shape", 100), ("object_texture", 0)])
def test_an_encoder_that_knows_one_cue_decides_by_it(factor, bias):
    shown = (agreeing("train", 120), agreeing("validation", 60), load("scenes", "test-conflict", 120))
    rows = ShapeBias(120).rows(subject(Knows(factor, *shown)))
    assert value(rows, "scenes conflict", "shape bias") == bias
    assert value(rows, "scenes conflict", "shape bias", "standard_error") == 0
    assert value(rows, "scenes conflict", "shape decisions") == bias
    assert value(rows, "scenes conflict", "texture decisions") == 100 - bias
    assert (rows["images"] == 120).all() and set(rows["shift"]) == {"scenes conflict"}


def test_scenes_are_decided_by_a_probe_on_the_frozen_features():
    one = subject(Pixels())
    rows = ShapeBias(120).rows(one)
    (train, labels), (chosen_on, chosen_labels) = (
        (one.extract(part.images), part.labels) for part in (agreeing("train", 120), agreeing("validation", 60))
    )
    conflict = load("scenes", "test-conflict", 120)
    decided = fit_probe(train, labels, chosen_on, chosen_labels).predict(one.extract(conflict.images))
    for_shape = (decided == conflict.factors["shape"]).sum().item()
    for_texture = (decided == conflict.factors["object_texture"]).sum().item()
    assert 0 < for_shape < 120 and 0 < for_texture < 120
    assert value(rows, "scenes conflict", "shape bias") == pytest.approx(100 * for_shape / (for_shape + for_texture))
    assert value(rows, "scenes conflict", "texture decisions") == pytest.approx(100 * for_texture / 120)


# ---- The cue-conflict set


def pack_cues(folder, count=400):
    """Random images with random cues of all 16 classes; nearly half of the images are outlines."""
    generator = np.random.default_rng(1)
    classes = np.array([*NAMED, "bear", "bicycle", "bottle", "chair", "clock", "elephant", "keyboard", "knife", "oven"])
    arrays = {
        "images": noise(count, 64, 64, 3),
        "kind": generator.choice([STYLE, SILHOUETTES, EDGES], count, p=[0.6, 0.2, 0.2]),
        "shape": generator.choice(classes, count),
        "texture": generator.choice(classes, count),
    }
    np.savez(folder / "cue-conflict-64px.npz", **arrays)
    return arrays


def test_cue_conflict_against_a_plain_loop(small, as_cifar10):
    cues = pack_cues(small)
    rows = ShapeBias(60).rows(as_cifar10)
    counts = {"shape": 0, "texture": 0, "other": 0}
    outlines = {SILHOUETTES: [], EDGES: []}
    for pixels, kind, shape, texture in zip(*cues.values(), strict=True):
        mean = pixels.reshape(32, 2, 32, 2, 3).sum(axis=(1, 3), dtype=int)
        image = torch.from_numpy((mean + 2) // 4).byte().permute(2, 0, 1)[None]
        scores = as_cifar10.probe.scores(as_cifar10.extract(image))[0].tolist()
        best = max(NAMED, key=lambda name: scores[CIFAR10_CLASSES.index(NAMED[name])])
        if kind == STYLE and shape != texture and shape in NAMED and texture in NAMED:
            counts["shape" if best == shape else "texture" if best == texture else "other"] += 1
        elif kind != STYLE and shape in NAMED:
            outlines[kind].append(best == shape)
    total = sum(counts.values())
    assert min(counts.values()) > 0
    bias = counts["shape"] / (counts["shape"] + counts["texture"])
    assert value(rows, "cue-conflict", "shape bias") == pytest.approx(100 * bias)
    assert value(rows, "cue-conflict", "shape bias", "images") == counts["shape"] + counts["texture"]
    assert value(rows, "cue-conflict", "shape decisions") == pytest.approx(100 * counts["shape"] / total)
    assert value(rows, "cue-conflict", "texture decisions", "images") == total
    assert value(rows, "cue silhouettes", "accuracy") == pytest.approx(100 * np.mean(outlines[SILHOUETTES]))
    assert value(rows, "cue edges", "accuracy") == pytest.approx(100 * np.mean(outlines[EDGES]))
    assert value(rows, "cue edges", "accuracy", "images") == len(outlines[EDGES])


def test_shapes_of_scenes_are_not_the_set_s_classes(small):
    pack_cues(small)
    assert set(ShapeBias(60).rows(subject(Pixels()))["shift"]) == {"scenes conflict"}


def test_without_the_set_only_scenes_have_rows(as_cifar10):
    assert set(ShapeBias(60).rows(as_cifar10)["shift"]) == {"scenes conflict"}


def test_the_real_set_has_210_conflicts(as_cifar10, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", DATA)
    rows = ShapeBias(60).rows(as_cifar10)
    if "cue-conflict" not in set(rows["shift"]):
        pytest.skip("no cue-conflict set under WITHSTAND_DATA")
    assert value(rows, "cue-conflict", "shape decisions", "images") == 210
    assert value(rows, "cue silhouettes", "accuracy", "images") == 70
    assert value(rows, "cue edges", "accuracy", "images") == 70


def test_identities():
    assert ShapeBias().identity.startswith("shape_bias(scenes=2000)#")
    assert OutOfDomain().identity.startswith("out_of_domain()#")


# ---- PACS


def pack_pacs(folder, domains=("art_painting", "cartoon", "photo", "sketch")):
    """Images in seven colours that tell the class in part, of classes of unequal size."""
    generator = np.random.default_rng(0)
    labels = np.concatenate([np.repeat(np.arange(7), [12, 6, 9, 30, 7, 8, 20]) for _ in domains])
    domain = np.repeat(domains, len(labels) // len(domains))
    colours = generator.integers(60, 190, size=(7, 1, 1, 3))
    pictures = (colours[labels] + generator.normal(0, 40, size=(len(labels), 32, 32, 3))
                + generator.normal(0, 30, size=(len(labels), 1, 1, 3))).clip(0, 255).astype(np.uint8)  # fmt: skip
    np.savez(folder / "pacs-32px.npz", images=pictures, labels=labels.astype(np.uint8), domain=domain)


def test_balanced_accuracy_is_scikit_learns(small):
    pack_pacs(small)
    one = subject(Pixels())
    rows = OutOfDomain().rows(one)
    assert rows["shift"].tolist() == ["pacs-photo", "pacs-art", "pacs-cartoon", "pacs-sketch"]
    photo = downstream("pacs-photo")
    fitted = fit_probe(
        one.extract(photo["train"].images), photo["train"].labels,
        one.extract(photo["validation"].images), photo["validation"].labels,
    )  # fmt: skip
    for name in rows["shift"]:
        parts = [photo["test"]] if name == "pacs-photo" else downstream(name).values()
        labels = np.concatenate([part.labels for part in parts])
        predicted = np.concatenate([fitted.predict(one.extract(part.images)) for part in parts])
        expected = 100 * balanced_accuracy_score(labels, predicted)
        assert 30 < expected < 100 and value(rows, name, "balanced accuracy") == pytest.approx(expected)
        assert value(rows, name, "balanced accuracy", "images") == len(labels)
    assert value(rows, "pacs-sketch", "balanced accuracy", "images") == 92


def test_without_photographs_there_are_no_rows(small):
    assert OutOfDomain().rows(subject(Pixels())).empty
    for domain in ("art_painting", "sketch"):
        (small / "pacs" / domain).mkdir(parents=True)
    assert OutOfDomain().rows(subject(Pixels())).empty


def test_the_real_pacs(monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", DATA)
    rows = OutOfDomain().rows(subject(Pixels()))
    if rows.empty:
        pytest.skip("no PACS under WITHSTAND_DATA")
    counts = dict(zip(rows["shift"], rows["images"], strict=True))
    assert counts == {"pacs-photo": counts["pacs-photo"], "pacs-art": 2048, "pacs-cartoon": 2344, "pacs-sketch": 3929}
    assert 1670 / 6 < counts["pacs-photo"] < 1670 / 4
