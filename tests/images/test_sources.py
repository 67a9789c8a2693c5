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


def pack(path, count=200, labels_to=4, **arrays):
    generator = np.random.default_rng(0)
    arrays = {"images": generator.integers(256, size=(count, 32, 32, 3), dtype=np.uint8),
              "labels": np.arange(count) % labels_to, **arrays}  # fmt: skip
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
    ({"labels": np.arange(200) % 4 + 0.5}, "200 whole numbers from 0, not float64"),
    ({"labels": np.arange(200) % 2 == 0}, "200 whole numbers from 0, not bool"),
    ({"labels": np.full(200, -1)}, "not int64 (200,), the least of them -1"),
    ({"labels": np.eye(200, 4, dtype=int)}, "200 whole numbers from 0, not int64 (200, 4)"),
    ({"labels": np.array([str(i % 4) for i in range(200)])}, "200 whole numbers from 0, not <U1"),
    ({"labels": np.array([i % 4 for i in range(200)], dtype=object)}, "labels in"),
    ({"labels": np.where(np.arange(200) % 4 == 3, 9, np.arange(200) % 4)}, "no train images of the class '3' among"),
    ({"images": np.zeros((200, 32, 32, 3), np.uint16)}, "not uint16"),
    ({"test": np.zeros(199, bool)}, "test in"),
    ({"test": np.zeros(199, bool)}, "are 200 booleans, not bool (199,)"),
    ({"test": np.zeros(200, np.uint8)}, "are 200 booleans, not uint8 (200,)"),
    ({"test": np.arange(150, 200)}, "are 200 booleans, not int64 (50,)"),
    ({"test": np.zeros(200, bool)}, "has no test images; every split needs some, and it has 180 for train, 20 for val"),
    ({"test": np.ones(200, bool)}, "has no train images; every split needs some"),
    ({"exact": np.zeros((200, 1), bool)}, "exact in"),
    ({"exact": np.zeros(200, np.float32)}, "are 200 booleans, not float32 (200,)"),
    ({"exact": np.zeros(200, bool)}, "mine (0 exact) has no train images"),
    ({"classes": np.array(["a", "b", "c"])}, "are 4 or more names, one for each label from 0 to 3, not <U1 (3,)"),
    ({"classes": np.array(["a", "b", "c", "d", "e"])}, "no train images of the class 'e' among the 0 that are there"),
    ({"classes": np.array(["a", "b", "c", "a"])}, "name 'a' more than once"),
    ({"classes": np.array([["a", "b", "c", "d"]])}, "not <U1 (1, 4)"),
    ({"classes": np.array("abcd")}, "not <U4 ()"),
    ({"classes": np.array([0.0, 1.0, 2.0, 3.0])}, "not float64 (4,)"),
    ({"classes": np.array(["a", "b", "c", "d"], dtype=object)},
     "is an array of Python objects, which is not read; save it as an array of numbers, or of strings as "
     "classes=np.array(classes, dtype=str)"),
])  # fmt: skip
def test_wrong_arrays_are_one_sentence(folder, arrays, words):
    pack(folder / "mine.npz", **arrays)
    with pytest.raises(BadInput) as error:
        load("mine")
    assert words in str(error.value)


@pytest.mark.parametrize(("names", "read"), [
    (["cat", "dog", "Öl", "x y"], ("cat", "dog", "Öl", "x y")),
    ([b"cat", b"dog", b"eel", b"fox"], ("cat", "dog", "eel", "fox")),
    ([10, 20, 30, 40], ("10", "20", "30", "40")),
])  # fmt: skip
def test_names_of_classes(folder, names, read):
    pack(folder / "mine.npz", classes=np.array(names))
    assert load("mine").classes == read


def test_labels_of_a_known_set_are_its_own(folder):
    pack(folder / "cifar10.npz", count=220, labels_to=11)
    with pytest.raises(BadInput, match="named as cifar10, which has 10 classes .* and holds 11 classes"):
        load("cifar10")


def test_a_part_of_a_known_set_may_lack_classes_but_not_in_one_split(folder):
    pack(folder / "cifar10.npz", labels_to=2)
    assert load("cifar10", "test").labels.bincount().tolist() == [20, 20]
    images._whole.cache_clear()
    pack(folder / "cifar10.npz", labels=(np.arange(200) > 150) * 3, test=np.arange(200) > 140)
    with pytest.raises(BadInput, match="cifar10 has no train images of the class 'cat' among the 49 that are there"):
        load("cifar10")


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


def test_folder_of_images(folder):
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


def test_image_is_the_mean_of_its_central_square(folder):
    path = folder / "wide.png"
    pixels = np.random.default_rng(0).integers(256, size=(64, 128, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    means = pixels[:, 32:96].reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(sources.read_image(path) - means).max() <= 1


def paint_classes(root, each=10, classes=("a", "b")):
    """Images whose red is the class and whose green is the place within it."""
    for label, name in enumerate(classes):
        for place in range(each):
            paint(root / name / f"{place:03}.png", (100 * label, place, 0))


def contents(part):
    """(red, green) of each image, sorted."""
    return sorted(map(tuple, part.images[:, :2, 0, 0].tolist()))


def test_one_file_that_is_no_image_is_named_counted_and_left_out(folder, capsys):
    paint_classes(folder / "mine")
    (folder / "mine" / "a" / "notes.png").write_text("not an image")
    parts = [load("mine", split) for split in ("train", "validation", "test")]
    assert sorted(sum(map(contents, parts), [])) == [(red, green) for red in (0, 100) for green in range(10)]
    said = capsys.readouterr().err
    assert "mine: 1 of 21 images left out: " in said and "notes.png is not an image that Pillow can read" in said
    assert parts[0].source == "mine (folder of 20 images; 1 that cannot be read left out)"


def test_more_than_a_tenth_of_them_stop_the_set(folder):
    paint_classes(folder / "mine", each=5)
    for place in range(2):
        (folder / "mine" / "a" / f"notes{place}.png").write_text("not an image")
    with pytest.raises(BadInput, match="2 of the first 7 of 12 images of mine cannot be read, and at most 10%"):
        load("mine")


def test_what_no_person_put_there_changes_nothing(folder, capsys):
    paint_classes(folder / "mine")
    clean = load("mine")
    images._whole.cache_clear()
    for place in (folder / "mine", folder / "mine" / "a", folder):
        for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", ".git"):
            paint(place / name / "1.png", "red")
        for name in (".DS_Store", "._0.png", "Thumbs.db", "desktop.ini"):
            (place / name).write_bytes(b"system")
    again = load("mine")
    assert again.classes == ("a", "b") and again.checksum == clean.checksum and again.source == clean.source
    assert images.names() == ["cifar10", "mine", "scenes"] and not capsys.readouterr().err


def test_files_that_are_no_images_are_named_and_stop_nothing(folder, capsys):
    paint_classes(folder / "mine", each=5)
    clean = load("mine").checksum
    images._whole.cache_clear()
    for place in range(5):  # an annotation beside every image
        (folder / "mine" / "a" / f"{place:03}.xml").write_text("<annotation/>")
    part = load("mine")
    assert part.checksum == clean and "5 files that are no images left out" in part.source
    assert "mine: 5 files that are no images left out: a/000.xml; a/001.xml" in capsys.readouterr().err


@pytest.mark.parametrize(("train", "test"), [
    ("train", "test"), ("Train", "Test"), ("TRAIN", "testing"), ("training", "val"), ("train", "valid"),
    ("Train", "Validation"),
])  # fmt: skip
def test_names_of_splits_in_any_case(folder, train, test):
    paint_classes(folder / "mine" / train)
    paint_classes(folder / "mine" / test, each=3)
    (folder / "mine" / "README.md").write_text("about")
    part = load("mine", "test")
    assert part.classes == ("a", "b") and contents(part) == [(red, green) for red in (0, 100) for green in range(3)]
    assert len(load("mine", "train").images) == 18 and len(load("mine", "validation").images) == 2
    is_test = f"; its folder {test} is the test split" if test.lower().startswith("val") else ""
    assert part.source == f"mine (folder of 26 images{is_test})"


def test_three_splits_are_kept(folder):
    for part, each in (("train", 10), ("val", 4), ("test", 3)):
        paint_classes(folder / "mine" / part, each)
    for split, each in (("train", 10), ("validation", 4), ("test", 3)):
        found = load("mine", split)
        assert contents(found) == [(red, green) for red in (0, 100) for green in range(each)]
        assert found.labels.view(-1, 2).sum(1).tolist() == [1] * each  # classes in turn


@pytest.mark.parametrize("inside", ["mine", "mine/mine", "train", "archive"])
def test_a_folder_in_the_folder_is_looked_through(folder, inside):
    paint_classes(folder / "mine" / inside)
    paint(folder / "mine" / "__MACOSX" / "a" / "1.png", "red")
    assert load("mine").classes == ("a", "b") and len(load("mine").images) == 14


def test_train_may_be_a_class(folder):
    paint_classes(folder / "mine", classes=("train", "plane"))
    assert load("mine").classes == ("plane", "train")


def test_photographs_of_a_folder_are_upright_and_deep_ones_grey(folder):
    paint_classes(folder / "mine")
    exif = Image.Exif()
    exif[0x0112] = 6
    ramp = np.repeat(np.linspace(0, 255, 32, dtype=np.uint8)[:, None], 32, axis=1)  # darkest above
    Image.fromarray(np.rot90(ramp).copy()).save(folder / "mine" / "a" / "004.png", exif=exif)  # the fifth: a test image
    Image.fromarray(ramp.astype(np.uint16) * 257).save(folder / "mine" / "b" / "004.png")
    part = load("mine", "test")
    for label in (0, 1):
        assert any(np.array_equal(image, np.stack([ramp] * 3)) for image in part.images[part.labels == label].numpy())


@pytest.mark.parametrize(("build", "words"), [
    (lambda mine: (mine / "only").mkdir(parents=True), r"for each of two or more classes, it has \['only'\]"),
    (lambda mine: paint(mine / "1.png", "red"), r"two or more classes, it has \[\] and 1 images in no such folder"),
    (lambda mine: [(mine / name).mkdir(parents=True) for name in "ab"], "class folders of .*mine hold no images"),
    (lambda mine: [paint(mine / name / "x" / "1.png", "red") for name in "ab"], "folders in a are not looked through"),
    (lambda mine: paint_classes(mine, each=4), "has no test images.* 7 for train, 1 for validation, 0 for test"),
    (lambda mine: (paint_classes(mine), paint(mine / "few" / "1.png", "red")),
     "no train images of the class 'few' among the 1 that are there; every class needs some, 5 or more"),
    (lambda mine: (paint_classes(mine), (mine / "none").mkdir()), "no train images of the class 'none' among the 0"),
    (lambda mine: (paint_classes(mine / "train"), (mine / "test").mkdir()), "test holds no images; put them there in"),
    (lambda mine: (paint_classes(mine / "train"), (mine / "test" / "a").mkdir(parents=True)), "test holds no images"),
    (lambda mine: (paint_classes(mine / "train"), paint_classes(mine / "test", classes=("a", "B"))), "class 'B'"),
    (lambda mine: (paint_classes(mine / "train"), paint_classes(mine / "test", classes=("a",))),
     "no test images of the class 'b' among the 10"),
    (lambda mine: (paint_classes(mine / "test"), paint_classes(mine / "val")), "has val and test but no folder train"),
    (lambda mine: (paint_classes(mine / "train"), paint_classes(mine / "val"), paint_classes(mine / "valid")),
     "has the folders val and valid for one split; keep one"),
])  # fmt: skip
def test_wrong_layouts_are_one_sentence(folder, build, words):
    build(folder / "mine")
    with pytest.raises(BadInput, match=words):
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
    pack(tmp_path / "cifar10.npz", labels_to=10)
    (tmp_path / "mine").mkdir()
    assert [images.here(name) for name in ("scenes", "cifar10", "mine")] == [True, True, True]


def test_a_download_is_here_from_then_on(small_cifar):
    assert not images.here("cifar10")
    load("cifar10", "test")
    assert images.here("cifar10")


def test_packed_cifar10_comes_first(small_cifar, tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    pack(tmp_path / "cifar10.npz", labels_to=10)
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
