"""Natural shifts from packed files, from the authors' files and from torchvision's, and what can be wrong with them."""

import functools
import hashlib
import http.server
import io
import os
import tarfile
import threading

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import STL10

from lib import paths
from lib.errors import BadInput
from lib.images import load, sources
from lib.shifts import natural as module
from lib.shifts.natural import NATURAL, available, natural

DATA = os.environ.get("WITHSTAND_DATA", "")  # read before the tests' own folders hide it
DATA_FILE, LABELS_FILE = "cifar10.1_v6_data.npy", "cifar10.1_v6_labels.npy"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    """A folder and the address at which it is served."""
    home = tmp_path / "server"
    home.mkdir()
    handler = functools.partial(Quiet, directory=str(home))
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
    yield home, f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()


def noise(*shape):
    return np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)


def pack(path, count, **arrays):
    arrays = {"images": noise(count, 32, 32, 3), "labels": (np.arange(count) % 10).astype(np.uint8), **arrays}
    np.savez(path, **arrays)
    return arrays


def test_names(folder):
    assert tuple(NATURAL) == ("cifar10-shift", "cifar10.1", "stl10") and available() == []
    with pytest.raises(BadInput, match="unknown natural shift 'stl-10'.*allowed: cifar10-shift, cifar10.1, stl10"):
        natural("stl-10")


# Packed files.


def test_every_image_of_the_packed_shift_in_its_order(folder):
    arrays = pack(folder / "cifar10-shift.npz", 57, source=np.full(57, "elsewhere"), origin=np.full(57, "a.jpg"))
    part = natural("cifar10-shift")
    assert part.images.dtype == torch.uint8 and part.labels.dtype == torch.int64
    assert np.array_equal(part.images.permute(0, 2, 3, 1), arrays["images"])
    assert part.labels.tolist() == [i % 10 for i in range(57)]
    assert part.classes == sources.CIFAR10_CLASSES and part.source == "cifar10-shift"
    assert part.checksum == load("cifar10-shift", "test").checksum  # the same set by the other door
    assert available() == ["cifar10-shift"]


@pytest.mark.parametrize("unset", [True, False])
def test_without_the_packed_shift_one_sentence_says_where_to_put_it(folder, monkeypatch, unset):
    if unset:
        monkeypatch.delenv("WITHSTAND_DATA")
    with pytest.raises(BadInput, match="name a folder that holds cifar10-shift.npz by WITHSTAND_DATA"):
        natural("cifar10-shift")


@pytest.mark.parametrize(("arrays", "words"), [
    ({"images": noise(40, 96, 96, 3)}, "32 px and CIFAR-10's labels 0 to 9, not 96 px and 9"),
    ({"labels": np.full(40, 10)}, "32 px and CIFAR-10's labels 0 to 9, not 32 px and 10"),
    ({"labels": np.zeros(39, int)}, "40 whole numbers from 0"),
])  # fmt: skip
@pytest.mark.parametrize("name", ["cifar10-shift", "cifar10.1"])
def test_wrong_packed_arrays_are_one_sentence(folder, name, arrays, words):
    pack(folder / f"{name}.npz", 40, **arrays)
    with pytest.raises(BadInput) as error:
        natural(name)
    assert words in str(error.value)


@pytest.mark.parametrize("name", ["cifar10-shift", "cifar10.1"])
def test_truncated_packed_file_is_one_sentence(folder, name):
    pack(folder / f"{name}.npz", 40)
    whole = (folder / f"{name}.npz").read_bytes()
    (folder / f"{name}.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="damaged or not an .npz file"):
        natural(name)


def test_the_real_shift(monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", DATA)
    if "cifar10-shift" not in available():
        pytest.skip("no cifar10-shift.npz under WITHSTAND_DATA")
    part = natural("cifar10-shift")
    assert part.images.shape == (4439, 3, 32, 32) and part.images.dtype == torch.uint8
    counts = dict(zip(part.classes, part.labels.bincount(minlength=10).tolist(), strict=True))
    assert counts.pop("horse") == 199 and counts.pop("ship") == 244
    assert len(counts) == 8 and all(498 <= count <= 500 for count in counts.values())


# CIFAR-10.1.


@pytest.fixture
def small_cifar10_1(server, monkeypatch):
    """Two files in the authors' layout, 2 images a class, served with checksums of their own."""
    home, url = server
    np.save(home / DATA_FILE, noise(20, 32, 32, 3))
    np.save(home / LABELS_FILE, np.repeat(np.arange(10, dtype=np.int32), 2))
    monkeypatch.setattr(module, "CIFAR10_1_URL", url)
    sums = {name: hashlib.sha256((home / name).read_bytes()).hexdigest() for name in (DATA_FILE, LABELS_FILE)}
    monkeypatch.setattr(module, "CIFAR10_1_SHA256", sums)
    return home


def test_published_checksum_of_the_labels_is_that_of_200_of_each_class_in_order():
    """The labels are published as int32: the whole file can be written again here, and its checksum computed."""
    file = io.BytesIO()
    np.lib.format.write_array(file, np.repeat(np.arange(10, dtype="<i4"), 200), version=(1, 0))
    assert hashlib.sha256(file.getvalue()).hexdigest() == module.CIFAR10_1_SHA256[LABELS_FILE]


def test_cifar10_1_is_downloaded_once(small_cifar10_1):
    assert available() == []
    part = natural("cifar10.1")
    assert np.array_equal(part.images.permute(0, 2, 3, 1), noise(20, 32, 32, 3)) and part.images.is_contiguous()
    assert part.labels.dtype == torch.int64 and part.labels.tolist() == [i // 2 for i in range(20)]
    assert part.classes == sources.CIFAR10_CLASSES and part.source == "cifar10.1 (version 6)"
    pixels = noise(20, 32, 32, 3).transpose(0, 3, 1, 2).tobytes()
    assert part.checksum == hashlib.sha256(pixels + part.labels.numpy().tobytes()).hexdigest()
    assert available() == ["cifar10.1"]
    for name in (DATA_FILE, LABELS_FILE):  # the server is gone: the cache serves
        (small_cifar10_1 / name).unlink()
    assert torch.equal(natural("cifar10.1").images, part.images)


@pytest.mark.parametrize("wrong", [DATA_FILE, LABELS_FILE])
def test_download_with_a_wrong_checksum_leaves_nothing(small_cifar10_1, wrong):
    content = bytearray((small_cifar10_1 / wrong).read_bytes())
    content[-1] ^= 1
    (small_cifar10_1 / wrong).write_bytes(content)
    with pytest.raises(BadInput, match=f"{wrong} gave a file with the SHA-256 .*nothing was kept; put {DATA_FILE} and"):
        natural("cifar10.1")
    assert not list(paths.cache().glob("**/*")) and available() == []


def test_damaged_file_in_the_cache_is_replaced(small_cifar10_1):
    expected = natural("cifar10.1").images
    (paths.cache() / DATA_FILE).write_bytes(b"half")
    assert available() == []
    assert torch.equal(natural("cifar10.1").images, expected) and available() == ["cifar10.1"]


def test_no_server_is_one_sentence_that_names_files_and_folder(small_cifar10_1, monkeypatch):
    (small_cifar10_1 / LABELS_FILE).unlink()
    with pytest.raises(BadInput) as error:
        natural("cifar10.1")
    for words in (f"{LABELS_FILE} is not here undamaged and the download failed (HTTP Error 404", DATA_FILE,
                  str(paths.cache()), "cifar10.1.npz", "WITHSTAND_DATA"):  # fmt: skip
        assert words in str(error.value)
    monkeypatch.setattr(module, "CIFAR10_1_URL", "http://127.0.0.1:9")  # nobody listens
    with pytest.raises(BadInput, match="the download failed .*refused"):
        natural("cifar10.1")
    assert not list(paths.cache().glob("**/*"))


def test_connection_that_breaks_off_is_one_sentence(small_cifar10_1, monkeypatch):
    def end_early(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        handler.wfile.write(b"x" * 10)

    monkeypatch.setattr(Quiet, "do_GET", end_early)
    with pytest.raises(BadInput, match="the download failed .*IncompleteRead"):
        natural("cifar10.1")


def test_packed_cifar10_1_comes_first(small_cifar10_1, folder):
    arrays = pack(folder / "cifar10.1.npz", 2000)
    part = natural("cifar10.1")
    assert np.array_equal(part.images.permute(0, 2, 3, 1), arrays["images"]) and part.source == "cifar10.1"
    assert part.labels.bincount().tolist() == [200] * 10 and part.classes == sources.CIFAR10_CLASSES
    assert available() == ["cifar10.1"] and not paths.cache().exists()


@pytest.mark.parametrize("labels", [np.arange(2021) % 10, np.minimum(np.arange(2000) % 10, 8)])
def test_another_version_of_cifar10_1_is_one_sentence(folder, labels):
    pack(folder / "cifar10.1.npz", len(labels), labels=labels)
    with pytest.raises(BadInput, match="not version 6 of CIFAR-10.1, which has 200 images of each class"):
        natural("cifar10.1")


# STL-10.

STL10_LABELS = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 8, 3], dtype=np.uint8)  # as in test_y.bin, from 1


@pytest.fixture
def small_stl10(server, monkeypatch):
    """A test split in STL-10's layout, column by column, packed as the server packs it and served here."""
    home, url = server
    binary = home / "stl10_binary"
    binary.mkdir()
    (binary / "test_X.bin").write_bytes(stl10_pixels().transpose(0, 1, 3, 2).tobytes())
    (binary / "test_y.bin").write_bytes(STL10_LABELS.tobytes())
    archive = home / "stl10_binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(binary, "stl10_binary")
    sums = [[name, hashlib.md5((binary / name).read_bytes()).hexdigest()] for name in ("test_X.bin", "test_y.bin")]
    monkeypatch.setattr(STL10, "url", f"{url}/{archive.name}")
    monkeypatch.setattr(STL10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(STL10, "test_list", sums)
    return archive


def stl10_pixels():
    """(12, 3, 96, 96), rows before columns; the first image is black with a white top right corner of 4 x 5 pixels."""
    pixels = noise(12, 3, 96, 96)
    pixels[0] = 0
    pixels[0, :, :4, -5:] = 255
    return pixels


def test_stl10_classes_by_hand(small_stl10):
    part = natural("stl10")
    assert [part.classes[label] for label in part.labels] == [
        "airplane", "bird", "automobile", "cat", "deer", "dog", "horse", "ship", "truck", "automobile"
    ]  # fmt: skip
    assert part.labels.tolist() == [0, 2, 1, 3, 4, 5, 7, 8, 9, 1] and part.labels.dtype == torch.int64
    assert part.classes == sources.CIFAR10_CLASSES
    assert part.source == "stl10 (test, shared classes, 96 to 32 px)"
    assert part.checksum == hashlib.sha256(part.images.numpy().tobytes() + part.labels.numpy().tobytes()).hexdigest()


def test_stl10_pixels_are_means_of_nine(small_stl10):
    part = natural("stl10")
    pixels = stl10_pixels()[STL10_LABELS != 8]
    assert part.images.shape == (10, 3, 32, 32) and part.images.dtype == torch.uint8
    images = part.images.numpy()
    for image in (0, 1, 9):
        for channel, row, column in np.ndindex(3, 32, 32):
            values = [int(pixels[image, channel, 3 * row + i, 3 * column + j]) for i in range(3) for j in range(3)]
            assert images[image, channel, row, column] == round(sum(values) / 9)
    corner = part.images[0, 0, :3, 29:].tolist()  # rows first: 4 rows and 5 columns are white
    assert corner == [[0, 170, 255], [0, 57, 85], [0, 0, 0]]
    for image, original in zip(part.images, pixels, strict=True):  # Pillow rounds twice, across and down
        scaled = Image.fromarray(original.transpose(1, 2, 0)).resize((32, 32), Image.Resampling.BOX)
        assert np.abs(np.asarray(scaled).astype(int) - image.permute(1, 2, 0).numpy()).max() <= 1


def test_stl10_is_downloaded_once(small_stl10):
    assert available() == []
    images = natural("stl10").images
    assert available() == ["stl10"]
    small_stl10.unlink()
    (paths.cache() / "stl10_binary.tar.gz").unlink()  # the unpacked test files will do
    assert torch.equal(natural("stl10").images, images)


def test_damaged_stl10_in_the_cache_is_replaced(small_stl10):
    expected = natural("stl10").images
    damaged = paths.cache() / "stl10_binary" / "test_X.bin"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert available() == []
    assert torch.equal(natural("stl10").images, expected) and available() == ["stl10"]


@pytest.mark.parametrize("missing", [True, False])
def test_stl10_without_a_right_archive_is_one_sentence(small_stl10, missing):
    if missing:
        small_stl10.unlink()
    else:
        small_stl10.write_bytes(small_stl10.read_bytes()[:-1])
    with pytest.raises(BadInput, match="stl10 is not here and the download failed .*; put torchvision's stl10_binary"):
        natural("stl10")
    assert available() == []


def test_unlabelled_images_of_stl10_are_not_needed(small_stl10):
    """The published lists name them, torchvision wants them; this toolbox reads the test split without."""
    natural("stl10")
    assert sorted(path.name for path in (paths.cache() / "stl10_binary").iterdir()) == ["test_X.bin", "test_y.bin"]
    with pytest.raises(RuntimeError, match="not found or corrupted"):
        STL10(paths.cache(), "test")
