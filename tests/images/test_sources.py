"""Data sets from files and folders, and everything that can be wrong with them."""

import functools
import hashlib
import http.server
import pickle
import tarfile
import threading

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image

from lib import images, paths
from lib.errors import BadInput
from lib.images import load, sources


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    images._whole.cache_clear()
    return tmp_path / "data"


def pack(path, count=200, classes=4, **arrays):
    generator = np.random.default_rng(0)
    arrays = {"images": generator.integers(256, size=(count, 32, 32, 3), dtype=np.uint8),
              "labels": np.arange(count) % classes, **arrays}  # fmt: skip
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return arrays


def test_splits_do_not_meet_and_leave_inexact_images_out_of_training(folder):
    exact = np.ones(200, dtype=bool)
    exact[::7] = False
    test = np.arange(200) >= 150
    arrays = pack(folder / "mine.npz", test=test, exact=exact)
    parts = {split: load("mine", split) for split in ("train", "validation", "test")}
    pixels = {split: {image.numpy().tobytes() for image in part.images} for split, part in parts.items()}
    assert sum(map(len, pixels.values())) == len(set.union(*pixels.values()))
    bright = arrays["images"].transpose(0, 3, 1, 2)
    wanted = {bright[i].tobytes() for i in range(150) if exact[i]}
    assert pixels["train"] | pixels["validation"] == wanted
    assert pixels["test"] == {bright[i].tobytes() for i in range(150, 200)}
    assert len(pixels["validation"]) == round(0.1 * len(wanted))
    assert parts["train"].source == f"mine ({exact.sum()} exact)"


def test_labels_stay_with_their_images(folder):
    arrays = pack(folder / "mine.npz")
    part = load("mine", "train")
    by_pixels = {
        i.transpose(2, 0, 1).tobytes(): label for i, label in zip(arrays["images"], arrays["labels"], strict=True)
    }
    assert all(
        by_pixels[i.numpy().tobytes()] == label for i, label in zip(part.images, part.labels.tolist(), strict=True)
    )


def test_subsets_are_balanced_and_nested(folder):
    pack(folder / "mine.npz", labels=np.repeat([0, 1, 2, 3], 50))
    large, small = load("mine", "train", 80), load("mine", "train", 20)
    assert torch.equal(large.images[:20], small.images)
    assert small.labels.bincount().tolist() == [5, 5, 5, 5] and large.labels.bincount().tolist() == [20, 20, 20, 20]
    assert len(load("mine", "train", 10_000).images) == 144  # at most: 4 of 5 images, less a tenth


def test_without_a_test_split_every_fifth_image_is_one(folder):
    pack(folder / "mine.npz", labels=np.repeat([0, 1], 100))
    assert load("mine", "test").labels.bincount().tolist() == [20, 20]


def test_checksum_is_that_of_pixels_and_labels(folder):
    arrays = pack(folder / "mine.npz")
    pixels = np.ascontiguousarray(arrays["images"].transpose(0, 3, 1, 2)).tobytes()
    expected = hashlib.sha256(pixels + arrays["labels"].astype(np.int64).tobytes()).hexdigest()
    assert load("mine", "test").checksum == load("mine", "train", 5).checksum == expected


@pytest.mark.parametrize(("arrays", "words"), [
    ({"images": None}, "has no array 'images'"),
    ({"labels": None}, "has no array 'labels'; a data set needs images and labels"),
    ({"images": np.zeros((200, 32, 32, 3))}, "uint8 of shape (N, S, S, 3), not float64"),
    ({"images": np.zeros((200, 3, 32, 32), np.uint8)}, "not uint8 (200, 3, 32, 32)"),
    ({"images": np.zeros((0, 32, 32, 3), np.uint8), "labels": np.zeros(0, int)}, "holds no images"),
    ({"labels": np.zeros(199, int)}, "200 whole numbers from 0"),
    ({"labels": np.full(200, -1)}, "200 whole numbers from 0"),
    ({"labels": np.zeros(200)}, "200 whole numbers from 0, not float64"),
])  # fmt: skip
def test_wrong_arrays_are_one_sentence(folder, arrays, words):
    pack(folder / "mine.npz", **arrays)
    with pytest.raises(BadInput) as error:
        load("mine")
    assert words in str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_file_is_one_sentence(folder, share):
    pack(folder / "mine.npz")
    whole = (folder / "mine.npz").read_bytes()
    (folder / "mine.npz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadInput, match="mine.npz is damaged or not an .npz file"):
        load("mine")


def test_flipped_byte_is_noticed(folder):
    pack(folder / "mine.npz")
    whole = bytearray((folder / "mine.npz").read_bytes())
    whole[5000] ^= 1
    (folder / "mine.npz").write_bytes(whole)
    with pytest.raises(BadInput, match="damaged"):
        load("mine")


@pytest.mark.parametrize(("arguments", "words"), [
    (("mien",), "unknown data set 'mien' (did you mean 'mine'?); allowed: cifar10, mine, scenes"),
    (("mine", "val"), "unknown split of mine 'val'; allowed: train, validation, test"),
    (("scenes", "test-lihgt"), "did you mean 'test-light'?"),
    (("mine", "train", 0), "at least 1, or None (all), not 0"),
    (("mine", "train", "100"), "at least 1, or None (all), not '100'"),
])  # fmt: skip
def test_unknown_names_are_one_sentence(folder, arguments, words):
    pack(folder / "mine.npz")
    with pytest.raises(BadInput) as error:
        load(*arguments)
    assert words in str(error.value)


def paint(path, colour, size=(50, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def test_folder_of_pictures(folder):
    for i in range(10):
        paint(folder / "mine" / "red" / f"{i}.png", (200, 0, 0))
        paint(folder / "mine" / "blue" / f"{i}.jpg", (0, 0, 200), size=(32, 100))
    part = load("mine", "train")
    assert part.classes == ("blue", "red") and part.images.shape[1:] == (3, 32, 32)
    for image, label in zip(part.images.float(), part.labels, strict=True):
        assert image.mean((1, 2)).argmax() == (2 if part.classes[label] == "blue" else 0)


def test_folder_with_train_and_test(folder):
    for part, count in (("train", 10), ("test", 3)):
        for i in range(count):
            paint(folder / "mine" / part / "a" / f"{i}.png", (i, 0, 0))
            paint(folder / "mine" / part / "b" / f"{i}.png", (0, i, 0))
    assert load("mine", "test").labels.bincount().tolist() == [3, 3]
    assert load("mine", "train").labels.bincount().tolist() == [9, 9]


def test_picture_is_the_mean_of_its_central_square(folder):
    path = folder / "wide.png"
    pixels = np.random.default_rng(0).integers(256, size=(64, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    means = pixels[:, 32:96].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(sources.read_picture(path) - means).max() <= 1


def test_text_file_among_pictures_is_one_sentence(folder):
    paint(folder / "mine" / "a" / "1.png", "red")
    paint(folder / "mine" / "b" / "1.png", "blue")
    (folder / "mine" / "a" / "notes.png").write_text("not a picture")
    with pytest.raises(BadInput, match="notes.png is not a picture that Pillow can read; remove it"):
        load("mine")


def test_folder_without_classes_is_one_sentence(folder):
    (folder / "mine" / "only").mkdir(parents=True)
    with pytest.raises(BadInput, match="a folder of pictures for each of two or more classes"):
        load("mine")


# A small CIFAR-10 in torchvision's own layout, with checksums of its own.


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def small_cifar(tmp_path, monkeypatch):
    """Five training batches and a test batch of 20 images each, packed as the server packs them and served here."""
    home = tmp_path / "server" / "cifar-10-batches-py"
    home.mkdir(parents=True)
    generator = np.random.default_rng(0)
    sums = {}
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        data = generator.integers(256, size=(20, 3072), dtype=np.uint8)
        (home / name).write_bytes(pickle.dumps({"data": data, "labels": list(np.arange(20) % 10)}))
    (home / "batches.meta").write_bytes(pickle.dumps({"label_names": list(sources.CIFAR10_CLASSES)}))
    for path in home.iterdir():
        sums[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    archive = tmp_path / "server" / "cifar-10-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(home, "cifar-10-batches-py")
    cifar = torchvision.datasets.CIFAR10
    handler = functools.partial(Quiet, directory=str(archive.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(cifar, "url", f"http://127.0.0.1:{server.server_port}/{archive.name}")
    monkeypatch.setattr(cifar, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(cifar, "train_list", [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)])
    monkeypatch.setattr(cifar, "test_list", [["test_batch", sums["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}
    monkeypatch.setattr(cifar, "meta", meta)
    images._whole.cache_clear()
    yield archive
    server.shutdown()


def test_cifar10_is_downloaded_once(small_cifar):
    part = load("cifar10", "test")
    assert part.images.shape == (20, 3, 32, 32) and part.classes[0] == "airplane" and part.source == "cifar10"
    small_cifar.unlink()  # the server is gone: the cache serves
    images._whole.cache_clear()
    assert torch.equal(load("cifar10", "test").images, part.images)


def test_what_is_here_needs_no_download(small_cifar, tmp_path, monkeypatch):
    small_cifar.unlink()  # no server: asking must not need one
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    assert [images.here(name) for name in ("scenes", "cifar10", "mine")] == [True, False, False]
    pack(tmp_path / "cifar10.npz", classes=10)
    (tmp_path / "mine").mkdir()
    assert [images.here(name) for name in ("scenes", "cifar10", "mine")] == [True, True, True]


def test_a_download_is_here_from_then_on(small_cifar):
    assert not images.here("cifar10")
    load("cifar10", "test")
    assert images.here("cifar10")


def test_packed_cifar10_comes_first(small_cifar, tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    pack(tmp_path / "cifar10.npz", classes=10)
    assert len(load("cifar10", "train").images) == 144
    assert load("cifar10", "train").classes == sources.CIFAR10_CLASSES


def test_the_real_cifar10(real_cifar10):
    """Its published size, balance and mean; what is known to be inexact trains nothing."""
    train, validation, test = (load("cifar10", split) for split in ("train", "validation", "test"))
    assert len(test.images) == 10_000 and test.labels.bincount().tolist() == [1000] * 10
    assert 49_900 < len(train.images) + len(validation.images) <= 50_000
    assert len(validation.images) == round(0.1 * (len(train.images) + len(validation.images)))
    mean = train.images.double().mean(dim=(0, 2, 3)) / 255
    assert mean.tolist() == pytest.approx([0.4914, 0.4822, 0.4465], abs=2e-3)
    assert (load("cifar10", "train", 1000).labels.bincount() - 100).abs().max() <= 2


def test_no_server_and_no_files_is_one_sentence(small_cifar):
    small_cifar.unlink()
    with pytest.raises(BadInput, match="cifar10 is not here and the download failed.*WITHSTAND_DATA"):
        load("cifar10")


def test_download_with_a_wrong_checksum_is_refused(small_cifar, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(BadInput, match="cifar10 is not here and the download failed"):
        load("cifar10")


def test_damaged_file_in_the_cache_is_replaced(small_cifar):
    expected = load("cifar10", "train").images
    (paths.cache() / "cifar-10-batches-py" / "data_batch_2").write_bytes(b"half")
    images._whole.cache_clear()
    assert torch.equal(load("cifar10", "train").images, expected)


# Scenes through the same door.


def test_scenes_are_cached_and_a_damaged_copy_is_rendered_again(monkeypatch, capsys):
    monkeypatch.setattr(images, "SCENES_BLOCK", 20)
    first = load("scenes", "test", 30)
    files = sorted((paths.cache() / "scenes").glob("*"))
    assert [path.name for path in files] == ["1-test-000000.safetensors", "1-test-000020.safetensors"]
    with monkeypatch.context() as patch:
        patch.setattr(images.scenes, "render", None)  # the cache must do
        assert torch.equal(load("scenes", "test", 30).images, first.images)
    for damage in (lambda b: b[:500], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b""):
        files[0].write_bytes(damage(files[0].read_bytes()))
        assert torch.equal(load("scenes", "test", 30).images, first.images)
        assert "damaged; making it again" in capsys.readouterr().err
    assert first.masks.shape == (30, 32, 32) and torch.equal(first.factors["shape"], first.labels)
