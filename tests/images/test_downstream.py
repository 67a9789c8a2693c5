"""Downstream sets from packed files, published folders and torchvision, their splits, and what can be wrong."""

import functools
import hashlib
import http.server
import os
import pickle
import tarfile
import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.datasets import CIFAR100

from lib import paths
from lib.errors import BadInput
from lib.images import SPLITS
from lib.images.downstream import CIFAR100_CLASSES, DOWNSTREAM, PACS_CLASSES, _indices, available, downstream

DATA = os.environ.get("WITHSTAND_DATA", "")  # read before the tests' own folders hide it
DOMAINS = {"pacs-photo": "photo", "pacs-art": "art_painting", "pacs-cartoon": "cartoon", "pacs-sketch": "sketch"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def noise(*shape):
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def pack_cifar100(path, **arrays):
    """Eight images of each class, the last two for tests."""
    arrays = {"images": noise(800, 8, 8, 3), "labels": np.repeat(np.arange(100, dtype=np.uint8), 8),
              "test": np.arange(800) % 8 >= 6, **arrays}  # fmt: skip
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return arrays


def pack_dtd(folder, each=25, side=64, **arrays):
    arrays = {"images": noise(2 * each, side, side, 3), "texture": np.repeat(["woven", "banded"], each), **arrays}
    np.savez(folder / "dtd-10classes-64px.npz", **{key: value for key, value in arrays.items() if value is not None})
    return arrays


def pack_pacs(folder, each=10, side=32, **arrays):
    """`each` images of each class in each domain, domain by domain."""
    count = 4 * 7 * each
    labels = np.tile(np.repeat(np.arange(7, dtype=np.uint8), each), 4)
    domain = np.repeat(["art_painting", "cartoon", "photo", "sketch"], 7 * each)
    arrays = {"images": noise(count, side, side, 3), "labels": labels, "domain": domain, **arrays}
    np.savez(folder / "pacs-32px.npz", **{key: value for key, value in arrays.items() if value is not None})
    return arrays


def pixels(part):
    return [image.permute(1, 2, 0).numpy().tobytes() for image in part.images]


def places(labels):
    """Of each image, how many of its class come before it."""
    return [labels[:i].count(label) for i, label in enumerate(labels)]


def test_names(folder):
    assert list(DOWNSTREAM) == ["cifar100-5k", "cifar100", "dtd", *DOMAINS] and available() == []
    with pytest.raises(BadInput, match="unknown downstream set 'pacs' .*; allowed: cifar100-5k, cifar100, dtd, pacs-"):
        downstream("pacs")


@pytest.mark.parametrize("size", [7, 0, True, 32.5, "32"])
def test_a_wrong_size_is_one_sentence(folder, size):
    with pytest.raises(BadInput, match="size of an image is a whole number of at least 8, not"):
        downstream("dtd", size)


@pytest.mark.parametrize("unset", [True, False])
@pytest.mark.parametrize(("name", "words"), [
    ("cifar100-5k", "a folder that holds cifar100-5k.npz by WITHSTAND_DATA"),
    ("dtd", "holds dtd-10classes-64px.npz, or the folder dtd"),
    ("pacs-art", "holds pacs-32px.npz, or the published images in pacs/art_painting/CLASS"),
])  # fmt: skip
def test_without_a_set_one_sentence_says_where_to_put_it(folder, monkeypatch, unset, name, words):
    if unset:
        monkeypatch.delenv("WITHSTAND_DATA")
    with pytest.raises(BadInput) as error:
        downstream(name)
    assert words in str(error.value) and "WITHSTAND_DATA" in str(error.value)


# Splits.


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 200), st.integers(0, 1000))
def test_splits_of_any_set_are_balanced_and_do_not_meet(count, seed):
    labels = np.random.default_rng(seed).choice(5, count, p=[0.4, 0.3, 0.2, 0.06, 0.04]).tolist()
    splits = _indices(torch.tensor(labels, dtype=torch.int64), None, None)
    assert sorted(i for chosen in splits.values() for i in chosen.tolist()) == list(range(len(labels)))
    for label in range(5):
        count = labels.count(label)
        rest = count - count // 5
        expected = {"train": rest - rest // 5, "validation": rest // 5, "test": count // 5}
        assert {part: sum(labels[i] == label for i in chosen) for part, chosen in splits.items()} == expected
    for chosen in splits.values():  # a class's next image comes when every class that lasts has had its turn
        turn = places([labels[i] for i in chosen])
        assert turn == sorted(turn)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(0, 1000))
def test_published_splits_are_kept(count, seed):
    generator = np.random.default_rng(seed)
    labels, own = torch.from_numpy(generator.integers(4, size=count)), generator.choice(SPLITS, count)
    for part, chosen in _indices(labels, own == "test", own == "validation").items():
        assert sorted(chosen.tolist()) == np.flatnonzero(own == part).tolist()


def test_every_fifth_of_a_class_is_for_tests_in_the_set_s_order(folder):
    arrays = pack_dtd(folder)
    expected = [i for i in range(50) if i % 25 % 5 == 4]
    kept = downstream("dtd", 64)["test"]
    assert sorted(pixels(kept)) == sorted(arrays["images"][i].tobytes() for i in expected)


def test_the_same_splits_every_time(folder):
    pack_pacs(folder)
    torch.manual_seed(1)
    first = downstream("pacs-photo")
    torch.manual_seed(2)
    for part, again in downstream("pacs-photo").items():
        assert torch.equal(first[part].images, again.images) and torch.equal(first[part].labels, again.labels)


# Packed files.


def test_packed_cifar100_5k(folder):
    arrays = pack_cifar100(folder / "cifar100-5k.npz")
    splits = downstream("cifar100-5k", 8)
    assert tuple(splits) == SPLITS and available() == ["cifar100-5k"]
    by_pixels = {
        image.tobytes(): (label, test)
        for image, label, test in zip(arrays["images"], arrays["labels"].tolist(), arrays["test"], strict=True)
    }
    seen = set()
    for part, split in splits.items():
        assert split.images.dtype == torch.uint8 and split.labels.dtype == torch.int64
        assert split.classes == CIFAR100_CLASSES
        assert split.source == "cifar100-5k (800 images of 100 classes, own split, at 8 px)"
        for image, label in zip(pixels(split), split.labels.tolist(), strict=True):
            assert by_pixels[image] == (label, part == "test") and image not in seen
            seen.add(image)
    assert len(seen) == 800
    assert [splits[part].labels.bincount().unique().tolist() for part in SPLITS] == [[5], [1], [2]]


def test_names_of_cifar100_are_alphabetical():
    assert len(set(CIFAR100_CLASSES)) == 100 and list(CIFAR100_CLASSES) == sorted(CIFAR100_CLASSES)


def test_checksum_is_that_of_the_whole_set(folder):
    arrays = pack_cifar100(folder / "cifar100-5k.npz")
    bright = np.ascontiguousarray(arrays["images"].transpose(0, 3, 1, 2)).tobytes()
    expected = hashlib.sha256(bright + arrays["labels"].astype(np.int64).tobytes()).hexdigest()
    assert {split.checksum for split in downstream("cifar100-5k", 8).values()} == {expected}
    assert downstream("cifar100-5k", 16)["train"].checksum != expected


def test_packed_textures_are_means_of_four(folder):
    images = np.zeros((50, 64, 64, 3), dtype=np.uint8)
    images[..., 0] = noise(50, 64, 64)
    images[:, 0, 0, 1] = 255  # means by hand: 63.75, 0.5, 0.25 and 0.75
    images[:, 2, 0, 1] = 2
    images[:, 4, 1, 1] = 1
    images[:, 7, 0, 1] = 3
    pack_dtd(folder, images=images)
    splits = downstream("dtd")
    by_red = {image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))[..., 0].tobytes(): i for i, image in enumerate(images)}
    means = [np.frombuffer(key).reshape(32, 32) for key in by_red]
    for part, count in (("train", 32), ("validation", 8), ("test", 10)):
        split = splits[part]
        assert split.images.shape == (count, 3, 32, 32) and split.classes == ("banded", "woven")
        assert split.images[:, 1, :4, 0].tolist() == [[64, 1, 0, 1]] * count
        assert not split.images[:, 1, :, 1:].any() and not split.images[:, 2].any()
        for image, label in zip(split.images, split.labels.tolist(), strict=True):
            gaps = [np.abs(image[0].numpy() - mean).max() for mean in means]
            assert min(gaps) == 0.5 and label == (int(np.argmin(gaps)) < 25)  # woven ones come first, and are 1


@pytest.mark.parametrize("name", DOMAINS)
def test_packed_pacs_is_one_domain_a_set(folder, name):
    arrays = pack_pacs(folder)
    assert available() == list(DOMAINS)
    splits = downstream(name)
    own = arrays["domain"] == DOMAINS[name]
    expected = {
        image.tobytes(): label
        for image, label in zip(arrays["images"][own], arrays["labels"][own].tolist(), strict=True)
    }
    found = {}
    for split in splits.values():
        found |= dict(zip(pixels(split), split.labels.tolist(), strict=True))
    assert found == expected and splits["train"].classes == PACS_CLASSES
    assert [splits[part].labels.bincount().tolist() for part in SPLITS] == [[7] * 7, [1] * 7, [2] * 7]


def test_larger_images_repeat_pixels(folder):
    pack_pacs(folder)
    small, large = downstream("pacs-photo")["test"].images, downstream("pacs-photo", 64)["test"].images
    assert torch.equal(large, small.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))


@pytest.mark.parametrize(("name", "pack", "arrays", "words"), [
    ("cifar100-5k", "cifar100", {"test": None}, "needs the arrays images, labels, test; it has images, labels"),
    ("cifar100-5k", "cifar100", {"test": np.zeros(800, int)}, "test in {} are 800 booleans, not int64 (800,)"),
    ("cifar100-5k", "cifar100", {"labels": np.full(800, 100)}, "labels in {} are whole numbers from 0 to 99, not 100"),
    ("cifar100-5k", "cifar100", {"labels": np.full(800, -1)}, "whole numbers from 0 to 99, not -1 to -1"),
    ("cifar100-5k", "cifar100", {"labels": np.zeros(799, int)}, "labels in {} are 800 whole numbers"),
    ("cifar100-5k", "cifar100", {"test": np.zeros(800, bool)}, "has no test images of apple"),
    ("cifar100-5k", "cifar100", {"test": np.ones(800, bool)}, "has no train images of apple"),
    ("cifar100-5k", "cifar100",
     {"images": noise(0, 8, 8, 3), "labels": np.zeros(0, int), "test": np.zeros(0, bool)}, "{} holds no images"),
    ("dtd", "dtd", {"texture": None}, "needs the arrays images, texture; it has images"),
    ("dtd", "dtd", {"texture": np.zeros(50, int)}, "texture in {} are 50 strings, not int64 (50,)"),
    ("dtd", "dtd", {"texture": np.full(50, "woven")}, "has the single class woven"),
    ("dtd", "dtd", {"images": noise(50, 3, 8, 8)}, "uint8 of shape (N, S, S, 3), not uint8 (50, 3, 8, 8)"),
    ("dtd", "dtd", {"images": np.zeros((50, 8, 8, 3))}, "uint8 of shape (N, S, S, 3), not float64"),
    ("dtd", "dtd", {"images": noise(0, 8, 8, 3), "texture": np.array([], "U5")}, "{} holds no images"),
    ("dtd", "dtd", {"texture": np.repeat(["woven", "banded"], [45, 5])}, "has no validation images of banded"),
    ("pacs-photo", "pacs", {"domain": None}, "needs the arrays images, labels, domain"),
    ("pacs-photo", "pacs", {"labels": np.full(280, 7)}, "labels in {} are whole numbers from 0 to 6, not 7 to 7"),
    ("pacs-photo", "pacs", {"domain": np.full(280, "sketch")}, "has no train images of dog"),
])  # fmt: skip
def test_wrong_packed_arrays_are_one_sentence(folder, name, pack, arrays, words):
    path = {"cifar100": folder / "cifar100-5k.npz", "dtd": folder / "dtd-10classes-64px.npz",
            "pacs": folder / "pacs-32px.npz"}[pack]  # fmt: skip
    {"cifar100": lambda **own: pack_cifar100(path, **own), "dtd": functools.partial(pack_dtd, folder, side=8),
     "pacs": functools.partial(pack_pacs, folder, side=8)}[pack](**arrays)  # fmt: skip
    with pytest.raises(BadInput) as error:
        downstream(name, 8)
    assert words.format(path) in str(error.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_packed_file_is_one_sentence(folder, share):
    pack_pacs(folder, side=8)
    path = folder / "pacs-32px.npz"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(BadInput, match="pacs-32px.npz is damaged or not an .npz file"):
        downstream("pacs-art")


def test_flipped_byte_is_noticed(folder):
    pack_dtd(folder)
    path = folder / "dtd-10classes-64px.npz"
    whole = bytearray(path.read_bytes())
    whole[5000] ^= 1
    path.write_bytes(whole)
    with pytest.raises(BadInput, match="damaged"):
        downstream("dtd")


# Published folders.


def paint(path, colour=(0, 0, 0), size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def publish(home, classes, each=10):
    """Images whose red is the class and whose green is the place within it."""
    for label, name in enumerate(classes):
        for place in range(each):
            paint(home / name / f"{name}_{place:04d}.png", (label, place, 0))
    paint(home / classes[0] / ".hidden.png")


def contents(split):
    """(label, red, green) of each image, sorted."""
    rows = zip(split.labels.tolist(), split.images[:, 0, 0, 0].tolist(), split.images[:, 1, 0, 0].tolist(), strict=True)
    return sorted(rows)


@pytest.mark.parametrize("name", DOMAINS)
def test_published_pacs(folder, name):
    publish(folder / "pacs" / DOMAINS[name], PACS_CLASSES)
    assert available() == [name]
    splits = downstream(name, 8)
    assert contents(splits["test"]) == [(label, label, place) for label in range(7) for place in (4, 9)]
    rest = sorted(contents(splits["train"]) + contents(splits["validation"]))
    assert rest == [(label, label, place) for label in range(7) for place in range(10) if place % 5 != 4]
    assert splits["train"].source == f"{name} (70 images of 7 classes, own split, at 8 px)"


def test_folder_and_packed_file_of_pacs_split_alike(folder):
    arrays = pack_pacs(folder)
    packed = downstream("pacs-art")
    (folder / "pacs-32px.npz").unlink()
    for i in np.flatnonzero(arrays["domain"] == "art_painting"):
        path = folder / "pacs" / "art_painting" / PACS_CLASSES[arrays["labels"][i]] / f"pic_{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(arrays["images"][i]).save(path)
    for part, split in downstream("pacs-art").items():
        assert torch.equal(split.images, packed[part].images) and torch.equal(split.labels, packed[part].labels)
        assert split.checksum == packed[part].checksum


def test_image_in_a_folder_is_the_mean_of_its_central_square(folder):
    publish(folder / "dtd" / "images", ("banded", "woven"))
    wide = noise(64, 128, 3)
    Image.fromarray(wide).save(folder / "dtd" / "images" / "woven" / "woven_0004.png")  # the fifth: a test image
    means = wide[:, 32:96].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    part = downstream("dtd")["test"]
    found = min(np.abs(image.permute(1, 2, 0).numpy() - means).max() for image in part.images[part.labels == 1])
    assert found <= 1  # Pillow rounds twice


@pytest.mark.parametrize("home", ["dtd", "dtd/dtd"])
def test_published_textures_without_lists(folder, home):
    publish(folder / home / "images", ("banded", "blotchy", "woven"))
    assert available() == ["dtd"]
    splits = downstream("dtd", 8)
    assert splits["test"].classes == ("banded", "blotchy", "woven")
    assert contents(splits["test"]) == [(label, label, place) for label in range(3) for place in (4, 9)]
    assert [splits[part].labels.bincount().tolist() for part in SPLITS] == [[7] * 3, [1] * 3, [2] * 3]


def write_lists(home, classes, train, val, test):
    (home / "labels").mkdir()
    for part, places in (("train", train), ("val", val), ("test", test)):
        lines = [f"{name}/{name}_{place:04d}.png" for name in classes for place in places]
        (home / "labels" / f"{part}1.txt").write_text("".join(f"{line}\n" for line in lines))


def test_published_textures_keep_the_first_partition(folder):
    classes = ("banded", "woven")
    publish(folder / "dtd" / "images", classes, each=6)
    write_lists(folder / "dtd", classes, train=(0, 5), val=(1, 2), test=(3, 4))
    splits = downstream("dtd", 8)
    for part, places in (("train", (0, 5)), ("validation", (1, 2)), ("test", (3, 4))):
        assert contents(splits[part]) == [(label, label, place) for label in range(2) for place in places]
    assert splits["train"].source == "dtd (12 images of 2 classes, partition 1, at 8 px)"


@pytest.mark.parametrize("test", [(3,), (3, 4, 6), (2, 3, 4)])
def test_lists_that_do_not_fit_the_images_are_one_sentence(folder, test):
    """An image that no list names, one that is not there, one that two lists name."""
    publish(folder / "dtd" / "images", ("banded", "woven"), each=5)
    write_lists(folder / "dtd", ("banded", "woven"), train=(0,), val=(1, 2), test=test)
    with pytest.raises(BadInput, match="do not name every image .* once, and no other; unpack DTD again, or remove"):
        downstream("dtd")


def test_folders_with_too_little_are_one_sentence(folder):
    publish(folder / "pacs" / "photo", PACS_CLASSES[:-1])
    with pytest.raises(BadInput, match="pacs-photo .* has no train images of person; every class needs images in"):
        downstream("pacs-photo", 8)
    (folder / "pacs" / "sketch" / "dog").mkdir(parents=True)
    with pytest.raises(BadInput, match="sketch holds no images in folders named by their class"):
        downstream("pacs-sketch")
    (folder / "dtd" / "images").mkdir(parents=True)
    with pytest.raises(BadInput, match="images holds no images in folders named by their class"):
        downstream("dtd")
    publish(folder / "dtd" / "images", ("woven",))
    with pytest.raises(BadInput, match="dtd has the single class woven, and a task needs two or more"):
        downstream("dtd")


def test_a_file_that_is_no_image_is_named_and_left_out(folder, capsys):
    publish(folder / "pacs" / "photo", PACS_CLASSES)
    clean = downstream("pacs-photo", 8)
    (folder / "pacs" / "photo" / "dog" / "a.png").write_text("not an image")
    (folder / "pacs" / "photo" / "dog" / "labels.csv").write_text("not an image")
    for name in (".ipynb_checkpoints", "__MACOSX"):
        paint(folder / "pacs" / "photo" / "dog" / name / "1.png")
        paint(folder / "pacs" / name / "1.png")
    for part, split in downstream("pacs-photo", 8).items():
        assert contents(split) == contents(clean[part]) and split.checksum == clean[part].checksum
    said = capsys.readouterr().err
    assert "pacs/photo: 1 of 71 images left out: " in said and "a.png is not an image that Pillow can read" in said
    assert "pacs/photo: 1 files that are no images left out: dog/labels.csv" in said


def test_many_files_that_are_no_images_stop_a_set(folder):
    publish(folder / "pacs" / "photo", PACS_CLASSES)
    for place in range(9):
        (folder / "pacs" / "photo" / "dog" / f"a{place}.png").write_text("not an image")
    with pytest.raises(BadInput, match="8 of the first 8 of 79 images of pacs/photo cannot be read"):
        downstream("pacs-photo")


def test_published_splits_are_kept_beside_what_cannot_be_read(folder):
    classes = ("banded", "woven")
    publish(folder / "dtd" / "images", classes, each=6)
    paint(folder / "dtd" / "images" / ".cache" / "1.png")
    write_lists(folder / "dtd", classes, train=(0, 5), val=(1, 2), test=(3, 4))
    (folder / "dtd" / "images" / "banded" / "banded_0003.png").write_bytes(b"damaged")
    splits = downstream("dtd", 8)
    assert splits["test"].classes == classes and contents(splits["test"]) == [(0, 0, 4), (1, 1, 3), (1, 1, 4)]
    assert contents(splits["validation"]) == [(label, label, place) for label in range(2) for place in (1, 2)]


def test_an_archive_s_folder_is_looked_through(folder):
    publish(folder / "pacs" / "PACS" / "photo", PACS_CLASSES)
    publish(folder / "dtd" / "dtd-r1.0.1" / "dtd" / "images", ("banded", "woven"))
    assert available() == ["dtd", "pacs-photo"]
    assert len(downstream("pacs-photo", 8)["test"].images) == 14 and len(downstream("dtd", 8)["test"].images) == 4


def test_photographs_are_upright_and_deep_ones_grey(folder):
    publish(folder / "pacs" / "photo", PACS_CLASSES)
    ramp = np.repeat(np.arange(8, dtype=np.uint8)[:, None] * 36, 8, axis=1)
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(np.rot90(ramp, -1).copy()).save(folder / "pacs" / "photo" / "dog" / "dog_0004.png", exif=exif)
    Image.fromarray(ramp.astype(np.uint16) * 257).save(folder / "pacs" / "photo" / "horse" / "horse_0004.png")
    part = downstream("pacs-photo", 8)["test"]
    for label in (PACS_CLASSES.index("dog"), PACS_CLASSES.index("horse")):
        assert any(np.array_equal(image, np.stack([ramp] * 3)) for image in part.images[part.labels == label].numpy())


# A small CIFAR-100 in torchvision's own layout, with checksums of its own.


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def small_cifar100(tmp_path, monkeypatch):
    """Five training images and one test image of each class, packed as the server packs them and served here."""
    home = tmp_path / "server" / "cifar-100-python"
    home.mkdir(parents=True)
    data = noise(600, 3072)
    for name, rows in (("train", slice(0, 500)), ("test", slice(500, 600))):
        labels = list(np.arange(600)[rows] % 100)
        (home / name).write_bytes(pickle.dumps({"data": data[rows], "fine_labels": labels}))
    (home / "meta").write_bytes(pickle.dumps({"fine_label_names": list(CIFAR100_CLASSES)}))
    sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in home.iterdir()}
    archive = tmp_path / "server" / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(home, "cifar-100-python")
    handler = functools.partial(Quiet, directory=str(archive.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(CIFAR100, "url", f"http://127.0.0.1:{server.server_port}/{archive.name}")
    monkeypatch.setattr(CIFAR100, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(CIFAR100, "train_list", [["train", sums["train"]]])
    monkeypatch.setattr(CIFAR100, "test_list", [["test", sums["test"]]])
    monkeypatch.setattr(CIFAR100, "meta", {**CIFAR100.meta, "md5": sums["meta"]})
    yield archive
    server.shutdown()
    server.server_close()


def test_cifar100_is_downloaded_once(small_cifar100):
    assert available() == []
    splits = downstream("cifar100")
    assert available() == ["cifar100"]
    bright = {image.tobytes(): i for i, image in enumerate(noise(600, 3, 32, 32))}  # rows of 3072 are such images
    for part, split in splits.items():
        index = [bright[image.numpy().tobytes()] for image in split.images]
        assert all((i >= 500) == (part == "test") for i in index) and split.labels.tolist() == [i % 100 for i in index]
    assert [splits[part].labels.bincount().unique().tolist() for part in SPLITS] == [[4], [1], [1]]
    assert splits["test"].source == "cifar100 (600 images of 100 classes, published split, at 32 px)"
    small_cifar100.unlink()  # the cache serves
    assert torch.equal(downstream("cifar100")["test"].images, splits["test"].images)


def test_damaged_cifar100_in_the_cache_is_replaced(small_cifar100):
    expected = downstream("cifar100")["train"].images
    (paths.cache() / "cifar-100-python" / "train").write_bytes(b"half")
    assert available() == []
    assert torch.equal(downstream("cifar100")["train"].images, expected) and available() == ["cifar100"]


@pytest.mark.parametrize("missing", [True, False])
def test_cifar100_without_a_right_archive_is_one_sentence(small_cifar100, missing):
    if missing:
        small_cifar100.unlink()
    else:
        small_cifar100.write_bytes(small_cifar100.read_bytes()[:-1])
    with pytest.raises(BadInput, match="cifar100 is not here and the download failed .*; put .*cifar-100-python"):
        downstream("cifar100")
    assert available() == []


def test_packed_cifar100_comes_first(small_cifar100, folder):
    pack_cifar100(folder / "cifar100.npz")
    assert len(downstream("cifar100", 8)["test"].images) == 200 and available() == ["cifar100"]
    assert not paths.cache().exists()


# The real sets.

SIZES = {  # of the test split, the smallest and the largest class
    "cifar100-5k": (15, 15),
    "dtd": (24, 24),
    "pacs-photo": (36, 86),
    "pacs-art": (36, 89),
    "pacs-cartoon": (27, 91),
    "pacs-sketch": (16, 163),
}


@pytest.mark.parametrize("name", SIZES)
def test_the_real_sets(monkeypatch, name):
    """Of every class a fifth, rounded down, is tested on; no image is in two splits or twice in one."""
    monkeypatch.setenv("WITHSTAND_DATA", DATA)
    if name not in available():
        pytest.skip(f"no {name} under WITHSTAND_DATA")
    splits = downstream(name)
    counts = splits["test"].labels.bincount()
    assert (int(counts.min()), int(counts.max())) == SIZES[name]
    every = [image for split in splits.values() for image in pixels(split)]
    assert len(every) == len(set(every))
    balance = splits["validation"].labels.bincount() / splits["train"].labels.bincount()
    assert 0.2 < balance.min() and balance.max() <= 0.25
