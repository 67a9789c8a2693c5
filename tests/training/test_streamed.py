"""Images that stay in their files: the pixels, the set and the weights of one that is held, with few images at once."""

import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from test_trainer import digest
from toys import Points, small_settings

from lib import images, streamed
from lib.errors import BadInput
from lib.images import load, sized
from lib.images.sources import read_image
from lib.measures import neighbour_monitor
from lib.measures.features import extract
from lib.methods import METHODS, build_method
from lib.models import Encoder
from lib.runs import RunConfig, compute
from lib.runs.fitting import fit, untrained
from lib.streamed import AHEAD, Streamed
from lib.training import OutOfTime, Training, train

NAME, SIDE = "photographs@64", 64
PLAN = Training(epochs=2, batch_size=8, learning_rate=0.05, warmup_epochs=1)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Real files, of other sizes than is asked for, in two kinds, in the folders of two splits."""
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    draw = np.random.default_rng(0)
    for split, count in (("train", 14), ("val", 5)):
        for name, ending in (("fish", "png"), ("bird", "jpg")):
            home = tmp_path / "data" / "photographs" / split / name
            home.mkdir(parents=True)
            for place in range(count):
                pixels = draw.integers(256, size=(9, 12, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((90 + place, 70)).save(home / f"{place:02d}.{ending}")
    images._whole.cache_clear()
    yield tmp_path / "data" / "photographs"
    images._whole.cache_clear()
    images._tests.cache_clear()


@pytest.fixture
def as_large(monkeypatch):
    """From the call on, every set at a size of its own is too large to be held."""

    def call():
        monkeypatch.setattr(sized, "LARGEST", 0)
        images._whole.cache_clear()

    return call


def both(as_large, *split):
    held = load(NAME, *split)
    as_large()
    return held, load(NAME, *split)


@pytest.mark.parametrize("split", images.SPLITS)
def test_a_set_that_is_streamed_is_the_set_that_is_held(split, as_large):
    held, there = both(as_large, split)
    assert isinstance(held.images, torch.Tensor) and held.images.shape[1:] == (3, SIDE, SIDE)
    assert isinstance(there.images, Streamed) == (split != "test") and there.images.shape == held.images.shape
    assert torch.equal(torch.cat(list(there.images.split(5))), held.images) and torch.equal(there.labels, held.labels)
    assert (there.checksum, there.source, there.classes) == (held.checksum, held.source, held.classes)
    assert "at 64 px" in held.source
    places = torch.tensor([3, 0, 1])[: len(held.images)].clamp(max=len(held.images) - 1)
    assert torch.equal(there.images[places], held.images[places])
    few = load(NAME, split, 2)
    assert torch.equal(torch.cat(list(few.images.split(5))), held.images[:2])


def trained(data, checkpoint=None, **options):
    torch.manual_seed(0)
    method = build_method("simclr", Points(), small_settings("simclr"), 2)
    history = train(method, data.images, data.labels, PLAN, 3, checkpoint, progress=False, **options)
    told = [{name: value for name, value in epoch.items() if "loss" in name} for epoch in history]
    return digest(method), told


@pytest.mark.parametrize("readers", [1, 2, 5])
def test_weights_are_those_of_a_held_set(readers, as_large, monkeypatch):
    monkeypatch.setattr(streamed, "MOST_READERS", readers)
    monkeypatch.setattr(streamed, "_usual_readers", lambda: readers)
    held, there = both(as_large, "train")
    assert there.images.readers == readers
    assert trained(held) == trained(there)


@pytest.mark.parametrize("steps", [1, 3, 4])
def test_a_run_that_was_cut_off_goes_on_from_the_middle(steps, as_large, tmp_path, monkeypatch):
    """Within an epoch of three steps, at its end and in the next one."""
    held, there = both(as_large, "train")
    assert len(there.images) // PLAN.batch_size == 3
    checkpoint, left = tmp_path / "checkpoint.pt", iter([False] * steps + [True])
    with monkeypatch.context() as patch, pytest.raises(OutOfTime):
        patch.setattr("lib.stopping.asked", lambda: next(left))
        trained(there, checkpoint)
    assert torch.load(checkpoint, weights_only=True)["step"] == steps
    assert trained(load(NAME, "train"), checkpoint) == trained(held)


def test_a_network_for_224_pixels_takes_the_views_of_that_size(as_large):
    config = RunConfig(NAME, "simclr", "resnet10_narrow", 0, None, Training(epochs=1, batch_size=8, precision="fp32"))
    held, there = both(as_large, "train")
    assert [view.size for view in untrained(config, held).views] == [64, 64]
    one, other = (fit(config, data, progress=False) for data in (held, there))
    assert digest(one.method) == digest(other.method)


def test_a_run_is_computed_and_measured(as_large):
    """The engine, from the folder to its record: the key and all rows of a held set."""
    from lib.measures import Accuracy

    config = RunConfig(NAME, "simclr", "resnet10_narrow", 0, None, Training(epochs=1, batch_size=8, precision="fp32"))
    (first,), rows = compute([config], [Accuracy()], progress=False)
    as_large()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WITHSTAND_RUNS", "/".join((str(images.paths.runs()), "others")))
        (second,), others = compute([config], [Accuracy()], progress=False)
    assert first["key"] == second["key"] and first["data"] == second["data"]
    assert rows.equals(others)


class Counted(np.ndarray):
    """Pixels with something that lives as long as they do and can be counted."""


class Alive:
    pass


def test_memory_is_a_few_batches_however_many_images_there_are(folder):
    """Counted are the decoded images that are alive when another one is decoded."""
    files = sorted(folder.glob("train/*/*"))
    most = {}
    for times in (2, 8):
        alive, peaks, lock = weakref.WeakSet(), [], threading.Lock()

        def read(path, alive=alive, peaks=peaks, lock=lock):
            made = read_image(path, SIDE).view(Counted)
            with lock:
                made.own = Alive()
                alive.add(made.own)
                peaks.append(len(alive))
            return made

        there = Streamed(files * times, read, SIDE, "0", "photographs", readers=3)
        labels = torch.arange(len(there)) % 2
        method = build_method("simclr", Points(), small_settings("simclr"), 2)
        train(method, there, labels, Training(epochs=1, batch_size=8), 0, progress=False)
        most[times] = max(peaks[len(there) :])  # behind the look at all of them, in larger batches
    assert len(peaks) == len(there) * 2 // 8 * 8 == 448
    assert most[2] <= (AHEAD + 1) * 8 >= most[8]


def test_images_are_read_once_a_batch_and_ahead_of_it(folder):
    files, asked = sorted(folder.glob("train/*/*")), []

    def read(path):
        asked.append(path)
        return read_image(path, SIDE)

    there = Streamed(files, read, SIDE, "0", "photographs", readers=2)
    batches = torch.randperm(24, generator=torch.Generator().manual_seed(0)).split(6)
    there.expect(batches)
    for place, batch in enumerate(batches):
        there[batch]
        assert len(asked) <= (place + 1 + AHEAD) * 6
    assert sorted(asked) == sorted(files[place] for batch in batches for place in batch.tolist())
    there.expect(batches)  # another order than was expected: as it is asked for
    assert torch.equal(there[batches[2]], torch.stack([there[batches[2][i : i + 1]][0] for i in range(6)]))


def test_what_is_known_of_all_files_is_kept(as_large, monkeypatch):
    as_large()
    first = load(NAME, "train")
    Encoder().normalise_by(first.images)
    images._whole.cache_clear()
    monkeypatch.setattr(sized, "read_ahead", None)
    monkeypatch.setattr("lib.models.encoder.moments", None)
    again = load(NAME, "train")
    assert again.checksum == first.checksum
    Encoder().normalise_by(again.images)


def test_a_damaged_file_is_left_out_before_and_named_during_training(folder, as_large, capsys):
    (folder / "train" / "fish" / "03.png").write_bytes(b"no image")
    held, there = both(as_large, "train")
    assert there.checksum == held.checksum and "1 that cannot be read left out" in there.source
    assert "03.png is not an image" in capsys.readouterr().err
    broken = there.images.names[2]
    broken.write_bytes(b"no image any more")
    with pytest.raises(BadInput, match=rf"{broken.name} is not an image that Pillow can read; remove it"):
        trained(there)


def test_two_processes_that_torchrun_starts_share_the_files(folder, tmp_path):
    """To the bit the run of two that hold all images; and a file that one cannot read ends both, with the sentence
    about it."""
    tests = Path(__file__).parent.parent
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join((str(tests), str(tests.parent)))}
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += [str(tests / "streamed_world.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "said.txt").read_text().endswith(" is damaged")
    held, streamed = (torch.load(tmp_path / f"{how}.pt", weights_only=True) for how in ("held", "streamed"))
    assert held["key"] == streamed["key"] and streamed["device"].endswith(", 2 processes")
    for name, value in held["weights"].items():
        assert torch.equal(value, streamed["weights"][name]), name


def test_what_needs_all_images_at_once_is_refused_in_a_sentence(as_large):
    as_large()
    there = load(NAME, "train")
    with pytest.raises(BadInput, match="photographs: its .* images of 64 px are read from their files .* 'float'"):
        there.images.float()
    settings = METHODS["moco_v2"].settings(negatives="texture")
    with pytest.raises(BadInput, match="nothing that needs all of them at once"):
        fit(RunConfig(NAME, "moco_v2", "resnet10_narrow", settings=settings, training=PLAN), there, progress=False)


def test_features_and_the_monitor_read_files(as_large):
    held, there = both(as_large, "train")
    encoder = Points().eval()
    assert torch.equal(extract(encoder, held.images), extract(encoder, there.images))
    method = build_method("simclr", Points(), small_settings("simclr"), 2)
    watched = [neighbour_monitor(data, load(NAME, "validation"), "fp32")(method) for data in (held, there)]
    assert watched[0] == watched[1]


@pytest.mark.parametrize(("name", "words"), [
    ("photographs@4", "asks for images of 4 pixels; name from 8 to 1024"),
    ("paintings@64", "is the folder paintings of image files under WITHSTAND_DATA, and there is none"),
])  # fmt: skip
def test_other_names_are_refused(name, words):
    with pytest.raises(BadInput, match=words):
        load(name)
    assert images.here(NAME) and not images.here("paintings@64")
