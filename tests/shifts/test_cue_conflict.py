"""The cue-conflict set, packed and as its authors publish it, and what can be wrong with it."""

import os
import re

import numpy as np
import pytest
import torch
from PIL import Image

from lib import paths
from lib.errors import BadInput
from lib.images.sources import CIFAR10_CLASSES
from lib.shifts.cue_conflict import CIFAR10_NAMED, CLASSES, PACKED, available, cue_conflict

DATA = os.environ.get("WITHSTAND_DATA", "")  # read before the tests' own folders hide it
KINDS = ("style-transfer-preprocessed-512", "filled-silhouettes", "edges")
PUBLISHED = (  # path, kind, shape, texture; the second has no conflict
    ("style-transfer-preprocessed-512/airplane/airplane1-bicycle2.png", "conflict", "airplane", "bicycle"),
    ("style-transfer-preprocessed-512/airplane/airplane10-airplane1.png", None, None, None),
    ("style-transfer-preprocessed-512/cat/cat7-elephant1.png", "conflict", "cat", "elephant"),
    ("filled-silhouettes/boat/boat3.png", "silhouettes", "boat", ""),
    ("edges/truck/truck10.png", "edges", "truck", ""),
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def noise(*shape):
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def pack(path, **arrays):
    """Two conflicts, one image whose cues agree, a silhouette and edges; those two name their shape twice."""
    arrays = {
        "images": noise(5, 64, 64, 3),
        "kind": np.array([KINDS[0]] * 3 + [KINDS[1], KINDS[2]]),
        "shape": np.array(["dog", "dog", "car", "oven", "bird"]),
        "texture": np.array(["car", "dog", "knife", "oven", "bird"]),
        **arrays,
    }
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return arrays["images"]


def publish(parent):
    """The authors' layout at 224 px: pixels of each file by its path."""
    images = dict(zip((path for path, *_ in PUBLISHED), noise(len(PUBLISHED), 224, 224, 3), strict=True))
    for path, pixels in images.items():
        file = parent / "cue-conflict" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)
    return images


def blocks(pixels, size):
    """Means of blocks, by reshaping: (S, S, 3) to (3, size, size)."""
    side = len(pixels) // size
    return pixels.reshape(size, side, size, side, 3).mean(axis=(1, 3)).transpose(2, 0, 1)


def test_shared_classes_are_cifar10s():
    assert len(CLASSES) == 16 and set(CIFAR10_NAMED) < set(CLASSES) and len(CIFAR10_NAMED) == 7
    assert set(CIFAR10_NAMED.values()) < set(CIFAR10_CLASSES)


@pytest.mark.parametrize("size", [8, 16, 32, 64])
def test_packed_images_without_those_whose_cues_agree(folder, size):
    images = pack(folder / PACKED)
    cues = cue_conflict(size)
    assert available() and cues.images.dtype == torch.uint8 and cues.images.shape == (4, 3, size, size)
    assert cues.kind.tolist() == ["conflict", "conflict", "silhouettes", "edges"]
    assert cues.shape.tolist() == ["dog", "car", "oven", "bird"] and cues.texture.tolist() == ["car", "knife", "", ""]
    for kept, ours in zip((0, 2, 3, 4), cues.images, strict=True):
        assert np.abs(ours.numpy() - blocks(images[kept], size)).max() <= 0.5
    assert cues.checksum != cue_conflict(24).checksum and f"4 images from the packed file, at {size} px" in cues.source


@pytest.mark.parametrize("where", ["data", "cache"])
def test_published_files(folder, where):
    images = publish(folder if where == "data" else paths.cache())
    cues = cue_conflict(32)
    expected = [(path, *labels) for path, *labels in PUBLISHED if labels[0]]
    assert available() and len(cues.images) == len(expected)
    found = zip(cues.images, cues.kind, cues.shape, cues.texture, strict=True)
    for (path, *labels), (ours, *names) in zip(expected, found, strict=True):
        assert names == labels
        assert np.abs(ours.numpy() - blocks(images[path], 32)).max() <= 1  # Pillow rounds twice


def test_the_packed_file_comes_first(folder):
    publish(folder)
    pack(folder / PACKED)
    assert "the packed file" in cue_conflict().source


@pytest.mark.parametrize("unset", [True, False])
def test_without_it_one_sentence_says_where_to_get_it(folder, monkeypatch, unset):
    if unset:
        monkeypatch.delenv("WITHSTAND_DATA")
    assert not available()
    with pytest.raises(
        BadInput, match=f"{PACKED}, or put the folder stimuli of https://github.com/rgeirhos/texture-vs"
    ):
        cue_conflict()


@pytest.mark.parametrize(("arrays", "words"), [
    ({"texture": None}, "needs the arrays images, kind, shape, texture; it has images, kind, shape"),
    ({"images": noise(5, 64, 63, 3)}, "images in .* are uint8 of shape"),
    ({"shape": np.arange(5)}, "shape in .* are 5 strings, not int64"),
    ({"kind": np.array([KINDS[0]] * 4)}, "kind in .* are 5 strings"),
    ({"kind": np.array(["edge"] * 5)}, "unknown kind in .* 'edge' .did you mean 'edges'?"),
    ({"shape": np.array(["dog", "dog", "cars", "oven", "bird"])}, "unknown class in .*'cars' .did you mean 'car'?"),
    ({"texture": np.array(["frog"] * 5)}, "unknown class in .*'frog'"),
])  # fmt: skip
def test_wrong_packed_arrays_are_one_sentence(folder, arrays, words):
    pack(folder / PACKED, **arrays)
    with pytest.raises(BadInput, match=words):
        cue_conflict()


def test_a_truncated_packed_file_is_one_sentence(folder):
    pack(folder / PACKED)
    whole = (folder / PACKED).read_bytes()
    (folder / PACKED).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="damaged or not an .npz file"):
        cue_conflict()


@pytest.mark.parametrize("path", [
    "style-transfer-preprocessed-512/airplane/bear1-bicycle2.png", "style-transfer-preprocessed-512/cat/cat1.png",
    "edges/cat/cat1-dog2.png", "edges/cat/image.png",
])  # fmt: skip
def test_a_file_of_another_name_is_one_sentence(folder, path):
    publish(folder)
    file = folder / "cue-conflict" / path
    file.parent.mkdir(exist_ok=True)
    Image.fromarray(noise(8, 8, 3)).save(file)
    with pytest.raises(BadInput, match=f"{re.escape(path)} is not one of the set's files, such as airplane/airplane1"):
        cue_conflict()


def test_what_no_person_put_there_and_an_unreadable_image_are_left_out(folder, capsys):
    publish(folder)
    whole = cue_conflict(32)
    for name in ("__MACOSX", ".ipynb_checkpoints"):
        file = folder / "cue-conflict" / KINDS[0] / name / "cat1-dog2.png"
        file.parent.mkdir()
        Image.fromarray(noise(8, 8, 3)).save(file)
    (folder / "cue-conflict" / KINDS[0] / "cat").mkdir(exist_ok=True)
    (folder / "cue-conflict" / KINDS[0] / "cat" / "cat1-dog2.png").write_bytes(b"damaged")
    again = cue_conflict(32)
    assert again.checksum == whole.checksum
    assert "cat1-dog2.png is not an image that Pillow can read" in capsys.readouterr().err


def test_empty_folders_are_one_sentence(folder):
    (folder / "cue-conflict" / KINDS[0] / "cat").mkdir(parents=True)
    with pytest.raises(BadInput, match="holds no images"):
        cue_conflict()


@pytest.mark.parametrize("size", [7, 32.5, True])
def test_sizes(folder, size):
    pack(folder / PACKED)
    with pytest.raises(BadInput, match="whole number of at least 8"):
        cue_conflict(size)


def test_the_real_set(monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", DATA)
    if not available():
        pytest.skip("no cue-conflict set under WITHSTAND_DATA")
    cues = cue_conflict()
    counts = {kind: int((cues.kind == kind).sum()) for kind in ("conflict", "silhouettes", "edges")}
    assert counts == {"conflict": 1200, "silhouettes": 160, "edges": 160}
    shared = [np.isin(names, list(CIFAR10_NAMED)) for names in (cues.shape, cues.texture)]
    assert (shared[0] & shared[1]).sum() == 210
    assert all((cues.shape[cues.kind == "conflict"] == name).sum() == 75 for name in CLASSES)
