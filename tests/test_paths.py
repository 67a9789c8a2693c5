"""The three folders mean the same everywhere, and one that cannot be used is named with its variable."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lib import images, paths
from lib.errors import BadInput
from lib.images import load, names
from lib.images.segmentation import _PUBLISHED, _root
from lib.images.sources import CIFAR10_CLASSES

PLACES = {"WITHSTAND_DATA": paths.data, "WITHSTAND_CACHE": paths.cache, "WITHSTAND_RUNS": paths.runs}


@pytest.fixture
def nowhere(monkeypatch):
    """A user without a home directory, as in a container that runs under a number nobody knows."""

    def unknown(*_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setattr(Path, "expanduser", lambda path: unknown() if str(path).startswith("~") else path)


@pytest.mark.parametrize("variable", PLACES)
@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_value_is_none(variable, empty, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(variable, raising=False)
    unset = PLACES[variable]()
    monkeypatch.setenv(variable, empty)
    assert PLACES[variable]() == unset
    home = {"WITHSTAND_DATA": None, "WITHSTAND_CACHE": tmp_path / ".cache/withstand"}
    assert unset == home.get(variable, paths.ROOT / "runs")


@pytest.mark.parametrize("variable", PLACES)
def test_a_home_is_written_as_a_tilde(variable, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine").mkdir()
    for value, folder in (("~/mine", tmp_path / "mine"), ("~", tmp_path), (str(tmp_path), tmp_path)):
        monkeypatch.setenv(variable, value)
        assert PLACES[variable]() == folder


@pytest.mark.parametrize("variable", PLACES)
def test_a_relative_folder_is_the_same_from_everywhere(variable, monkeypatch, tmp_path):
    """`make` works in the project's folder, papermill and Jupyter Book in notebooks/, a user anywhere."""
    monkeypatch.setenv(variable, "tests/images")
    for folder in (paths.ROOT, paths.ROOT / "notebooks", tmp_path):
        monkeypatch.chdir(folder)
        assert PLACES[variable]() == paths.ROOT / "tests" / "images"


def test_a_relative_folder_is_the_same_in_another_process():
    code = "from lib import paths; print(paths.runs(), paths.cache(), paths.data())"
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT), **dict.fromkeys(PLACES, "tests/../tests")}
    said = {
        subprocess.run([sys.executable, "-c", code], cwd=cwd, env=environment, capture_output=True, text=True).stdout
        for cwd in (paths.ROOT, paths.ROOT / "notebooks")
    }
    assert said == {" ".join([str(paths.ROOT / "tests/../tests")] * 3) + "\n"}


@pytest.mark.parametrize("variable", PLACES)
def test_what_is_no_folder_is_named_with_its_variable(variable, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "loose").symlink_to(tmp_path / "gone")
    for value in ("file", "file/below", "loose"):
        monkeypatch.setenv(variable, str(tmp_path / value))
        with pytest.raises(BadInput, match=f"{re.escape(str(tmp_path / value))} .*name a folder by {variable}"):
            PLACES[variable]()


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="no users")
@pytest.mark.parametrize("variable", PLACES)
@pytest.mark.parametrize("value", ["locked", "locked/below"])
def test_a_folder_that_may_not_be_entered_is_named_with_its_variable(variable, value, monkeypatch, tmp_path):
    locked = tmp_path / "locked"
    (locked / "below").mkdir(parents=True)
    monkeypatch.setenv(variable, str(tmp_path / value))
    above = {parent: parent.stat().st_mode for parent in (tmp_path, *tmp_path.parents[:-1])}
    locked.chmod(0)
    was = os.geteuid()
    try:
        if was == 0:  # whom nothing stops: somebody else asks, who may come as far as here
            for parent, mode in above.items():
                parent.chmod(mode | 0o011)
            os.seteuid(65534)
        with pytest.raises(BadInput, match=f"Permission denied.*name a folder by {variable}"):
            PLACES[variable]()
    finally:
        os.seteuid(was)
        locked.chmod(0o755)
        if was == 0:
            for parent, mode in above.items():
                parent.chmod(mode)


def test_data_must_be_there_and_the_others_are_made(monkeypatch, tmp_path):
    for variable in PLACES:
        monkeypatch.setenv(variable, str(tmp_path / "new" / "folder"))
    assert paths.cache() == paths.runs() == tmp_path / "new" / "folder"
    with pytest.raises(BadInput, match="No such file or directory.*WITHSTAND_DATA"):
        paths.data()
    for asked in (names, lambda: load("scenes"), lambda: load("mine")):  # not as if the variable were not set
        with pytest.raises(BadInput, match="WITHSTAND_DATA"):
            asked()


def test_nobody_asks_for_a_home_where_the_variable_is_set(nowhere, monkeypatch, tmp_path):
    for variable in PLACES:
        monkeypatch.setenv(variable, str(tmp_path))
    assert {place() for place in PLACES.values()} == {tmp_path}
    monkeypatch.delenv("WITHSTAND_CACHE")
    known = _PUBLISHED["pets"]
    for inside in known.folders:
        (tmp_path / inside).mkdir(parents=True)
    assert _root(known) == tmp_path  # found among the data, so that no cache is needed
    with pytest.raises(BadInput, match="has no home directory to be in; name a folder without ~ by WITHSTAND_CACHE"):
        paths.cache()
    monkeypatch.setenv("WITHSTAND_RUNS", "~/runs")
    with pytest.raises(BadInput, match="without ~ by WITHSTAND_RUNS"):
        paths.runs()


# Names of known sets.


@pytest.fixture
def own(monkeypatch, tmp_path):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    images._whole.cache_clear()
    monkeypatch.setattr(images, "SCENES_BLOCK", 10)
    return tmp_path / "data"


def folder_of(path, classes, per_class=5):
    for name in classes:
        (path / name).mkdir(parents=True)
        for number in range(per_class):
            Image.new("RGB", (40, 36), (10 * number, len(name), 200)).save(path / name / f"{number}.png")


def packed(path, side=32, count=100, **arrays):
    pixels = np.random.default_rng(0).integers(256, size=(count, side, side, 3), dtype=np.uint8)
    np.savez(path, images=pixels, **{"labels": np.arange(count) % 10, **arrays})


def test_own_scenes_are_refused_whatever_they_are(own):
    rendered = load("scenes", "test", 4)
    folder_of(own / "scenes", ("beach", "city"))
    with pytest.raises(BadInput, match="scenes are rendered here, and .*data/scenes has their name"):
        load("scenes", "test", 4)
    (own / "scenes").rename(own / "beaches")
    assert load("beaches").classes == ("beach", "city")
    packed(own / "scenes.npz")
    with pytest.raises(BadInput, match="scenes.npz has their name"):
        load("scenes")
    (own / "scenes.npz").unlink()
    assert (load("scenes", "test", 4).images == rendered.images).all()


def test_cached_scenes_are_no_own_set(own, monkeypatch):
    monkeypatch.setenv("WITHSTAND_CACHE", str(own / "." / ".." / "data"))
    first = load("scenes", "test", 4)
    assert (own / "scenes").is_dir() and (load("scenes", "test", 4).images == first.images).all()


@pytest.mark.parametrize("arrays", [{}, {"classes": np.array(CIFAR10_CLASSES)}, {"labels": np.arange(100) % 7}])
def test_a_copy_of_cifar10_may_have_its_name(own, arrays):
    packed(own / "cifar10.npz", **arrays)
    assert load("cifar10").classes == CIFAR10_CLASSES


@pytest.mark.parametrize(("arrays", "held"), [
    ({"classes": np.array([*CIFAR10_CLASSES[:9], "lorry"])}, r"holds 10 classes \(airplane, automobile, bird, ...\)"),
    ({"labels": np.arange(100) % 11}, r"holds 11 classes \(0, 1, 2, ...\) at 32 px"),
    ({"side": 64}, "holds 10 classes .* at 64 px"),
])  # fmt: skip
def test_another_set_called_cifar10_is_refused(own, arrays, held):
    packed(own / "cifar10.npz", **arrays)
    with pytest.raises(BadInput, match=f"cifar10.npz is named as cifar10, which has 10 classes .*{held}.*another name"):
        load("cifar10")


def test_a_folder_called_cifar10_holds_its_classes(own):
    folder_of(own / "cifar10", CIFAR10_CLASSES)
    part = load("cifar10", "test")
    assert part.classes == CIFAR10_CLASSES and sorted(part.labels.tolist()) == list(range(10))
    images._whole.cache_clear()
    folder_of(own / "cifar10", ("zebra",))
    with pytest.raises(BadInput, match="named as cifar10"):
        load("cifar10")
