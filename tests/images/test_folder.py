"""Folders of classes that are read when their turn comes: the same images as a whole set's, few at a time."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from lib import images
from lib.errors import BadInput
from lib.images import folder as folders
from lib.images.folder import AHEAD, THREADS, open_folder
from lib.images.sources import read_image


def written(root, count, classes=("a", "b"), side=20):
    generator = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for place in range(count):
            pixels = generator.integers(256, size=(side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{place:03d}.png")
    return root


@pytest.mark.parametrize("parts", [("",), ("train", "val"), ("train", "val", "test")])
def test_splits_are_those_of_the_whole_set(tmp_path, monkeypatch, parts):
    for part in parts:
        written(tmp_path / "data" / "mine" / part, 11)
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    images._whole.cache_clear()
    folder = open_folder(tmp_path / "data" / "mine")
    for split in images.SPLITS:
        whole = images.load("mine", split)
        found = list(folder.batches(split, read_image, size=4))
        assert torch.equal(torch.cat([part for part, _ in found]), whole.images)
        assert torch.equal(torch.cat([labels for _, labels in found]), whole.labels)
        assert all(len(part) <= 4 for part, _ in found) and folder.size(split) == len(whole.labels)


def test_few_images_are_held_however_many_there_are(tmp_path):
    folder, held, most, lock = open_folder(written(tmp_path / "many", 150)), 0, 0, threading.Lock()

    def read(path):
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return np.zeros((8, 8, 3), dtype=np.uint8)

    seen = 0
    for part, _ in folder.batches("train", read, size=16):
        seen += len(part)
        with lock:
            held -= len(part)
    assert seen == folder.size("train") == 216
    assert most <= 16 + (AHEAD + 1) * THREADS + 1 < 216


def test_what_cannot_be_read_is_left_out_or_refused(tmp_path, capsys):
    root = written(tmp_path / "broken", 60)
    (root / "a" / "003.png").write_bytes(b"no image")
    folder = open_folder(root)
    place = folder.splits["train"].tolist().index(folder.files.index(root / "a" / "003.png"))
    found = list(folder.batches("train", read_image))
    labels = folder.labels[folder.splits["train"]]
    kept = torch.cat([labels[:place], labels[place + 1 :]])
    assert torch.equal(torch.cat([own for _, own in found]), kept)
    assert "1 of 86 images left out" in capsys.readouterr().err
    for name in range(4, 30):
        (root / "a" / f"{name:03d}.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match="cannot be read, and at most"):
        list(open_folder(root).batches("train", read_image))


def test_a_checksum_is_of_bytes_labels_and_splits(tmp_path):
    root = written(tmp_path / "one", 6)
    first = open_folder(root).checksum
    assert open_folder(root).checksum == first == open_folder(written(tmp_path / "two", 6)).checksum
    assert open_folder(root).all_for_tests().checksum != first
    assert open_folder(written(tmp_path / "named otherwise", 6, ("a", "c"))).checksum != first
    (root / "a" / "000.png").rename(root / "b" / "100.png")
    assert open_folder(root).checksum != first


def test_all_images_for_tests(tmp_path):
    folder = open_folder(written(tmp_path / "few", 2)).all_for_tests()
    assert [folder.size(split) for split in images.SPLITS] == [0, 0, 4]
    assert sorted(folder.splits["test"].tolist()) == [0, 1, 2, 3]
    alone = folders.tests_alone(folder.files, folder.labels, folder.classes, "few")
    assert torch.equal(alone.splits["test"], folder.splits["test"])
