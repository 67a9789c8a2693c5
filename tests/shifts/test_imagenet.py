"""ImageNet's variants on small folders of each published layout: classes, pictures, and what can be wrong."""

import numpy as np
import pytest
import torch
from PIL import Image

from lib.errors import BadInput
from lib.shifts.imagenet import VARIANTS, imagenet_variant

FISH, COCK, SHARK, HEN = "n01443537", "n01514668", "n01484850", "n01514859"
LAYOUTS = {
    "imagenet-c": ("fog/3", "ILSVRC2012_val_00000236.JPEG"),
    "imagenet-r": ("", "cartoon_12.jpg"),
    "imagenet-sketch": ("sketch", "sketch_0.JPEG"),
    "stylized-imagenet": ("val", "ILSVRC2012_val_00000236.png"),
}
ASKED = {"corruption": "fog", "severity": 3}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def draw(path, colour, width=40, height=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)


def publish(root, name, inside=None):
    """Three pictures of FISH, one of HEN and one of SHARK, each class in a grey of its own, in the authors' layout."""
    known, file = LAYOUTS[name]
    root = root / (known if inside is None else inside)
    draw(root / FISH / file, (10, 10, 10))
    draw(root / FISH / f"a_{file}", (20, 20, 20))
    draw(root / FISH / f"b_{file}", (30, 30, 30), 60)
    draw(root / HEN / file, (90, 90, 90))
    draw(root / SHARK / file, (200, 200, 200))
    (root / FISH / ".DS_Store").write_bytes(b"x")
    (root / "README.txt").write_text("not a class")


def asked(name):
    return ASKED if name == "imagenet-c" else {}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", VARIANTS)
def test_pictures_of_the_classes_in_their_order(folder, tmp_path, name, named):
    parent = tmp_path / "elsewhere" if named else folder
    publish(parent / name, name)
    variant = imagenet_variant(name, [HEN, COCK, FISH], 32, parent / name if named else None, **asked(name))
    assert variant.classes == (HEN, COCK, FISH) and variant.missing == (COCK,)
    assert variant.labels.tolist() == [0, 2, 2, 2] and variant.present.tolist() == [0, 2]
    assert [path.parent.name for path in variant.files] == [HEN, FISH, FISH, FISH]
    assert "4 pictures, 2 of 3 classes, at 32 px" in variant.source and variant.source.startswith(name)
    images, labels = (torch.cat(parts) for parts in zip(*variant.batches(3), strict=True))
    assert images.dtype == torch.uint8 and images.shape == (4, 3, 32, 32) and torch.equal(labels, variant.labels)
    greys = images.float().mean(dim=(1, 2, 3)).tolist()
    assert greys[0] == pytest.approx(90, abs=2) and sorted(greys[1:]) == pytest.approx([10, 20, 30], abs=2)


@pytest.mark.parametrize(("name", "inside"), [
    ("imagenet-r", "imagenet-r"), ("imagenet-sketch", ""), ("stylized-imagenet", ""),
])  # fmt: skip
def test_the_folder_inside_may_be_there_or_not(folder, name, inside):
    publish(folder / name, name, inside)
    assert len(imagenet_variant(name, [FISH]).files) == 3


def test_validation_pictures_of_the_stylised_set_not_its_training_ones(folder):
    publish(folder / "stylized-imagenet", "stylized-imagenet")
    draw(folder / "stylized-imagenet" / "train" / FISH / "n01443537_1.png", (0, 0, 0))
    assert all(path.parts[-3] == "val" for path in imagenet_variant("stylized-imagenet", [FISH]).files)


def test_batches_are_read_when_their_turn_comes(folder):
    publish(folder / "imagenet-r", "imagenet-r")
    variant = imagenet_variant("imagenet-r", [FISH, SHARK], 16)
    variant.files[3].write_bytes(b"no picture")
    batches = variant.batches(2)
    assert next(batches)[0].shape == (2, 3, 16, 16)
    with pytest.raises(BadInput, match="not a picture that Pillow can read"):
        next(batches)
    with pytest.raises(BadInput, match="at least 1, not 0"):
        next(variant.batches(0))


def test_a_picture_is_cut_to_its_central_square(folder):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, 8:24] = np.random.default_rng(0).integers(256, size=(16, 16, 3))
    path = folder / "imagenet-r" / FISH / "art_0.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(path)
    ((images, _),) = imagenet_variant("imagenet-r", [FISH], 16).batches()
    assert np.array_equal(images[0].permute(1, 2, 0), pixels[:, 8:24])


@pytest.mark.parametrize(("call", "words"), [
    (lambda: imagenet_variant("imagenet-a", [FISH]), "unknown variant of ImageNet 'imagenet-a'.*allowed: imagenet-c"),
    (lambda: imagenet_variant("imagenet-r", [FISH], 4), "whole number of at least 8, not 4"),
    (lambda: imagenet_variant("imagenet-r", []), "one or more WNIDs"),
    (lambda: imagenet_variant("imagenet-r", [FISH, FISH]), "each named once"),
    (lambda: imagenet_variant("imagenet-sketch", [FISH]), "imagenet-sketch is not here .*by WITHSTAND_DATA"),
    (lambda: imagenet_variant("imagenet-r", [FISH], folder="/nowhere"), "/nowhere is not a folder"),
    (lambda: imagenet_variant("imagenet-r", [COCK, "cat"]), "none of the 2 classes, the first of which is 'n01514668'"),
    (lambda: imagenet_variant("imagenet-r", [FISH], severity=3), "belong to imagenet-c, imagenet-r has none"),
    (lambda: imagenet_variant("imagenet-c", [FISH], corruption="fogg", severity=3), "did you mean 'fog'"),
    (lambda: imagenet_variant("imagenet-c", [FISH], corruption="fog"), "unknown severity of imagenet-c None"),
    (lambda: imagenet_variant("imagenet-c", [FISH], corruption="snow", severity=3), "CORRUPTION/SEVERITY/WNID"),
])  # fmt: skip
def test_bad_input_is_one_sentence(folder, call, words):
    for name in ("imagenet-c", "imagenet-r"):
        publish(folder / name, name)
    with pytest.raises(BadInput, match=words):
        call()


def test_without_a_data_folder_one_sentence(monkeypatch):
    monkeypatch.delenv("WITHSTAND_DATA", raising=False)
    with pytest.raises(BadInput, match="WITHSTAND_DATA is not set"):
        imagenet_variant("imagenet-r", [FISH])
