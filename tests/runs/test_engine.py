"""The engine and the store: computed once, kept whole, resumed, and never half-written."""

import itertools
import json
import os
import resource
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from lib import files, images
from lib.errors import BadInput
from lib.measures import Accuracy, extract
from lib.measures.rows import as_rows, number
from lib.methods import METHODS, deacl, emp_ssl
from lib.models import Fused, build_encoder
from lib.runs import RunConfig, compute, engine, fitting, store
from lib.training import Training

PLAN = Training(epochs=2, batch_size=32, precision="fp32")


@pytest.fixture(autouse=True)
def small_scenes(monkeypatch, tmp_path_factory):
    """Rendered once for all of these tests."""
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path_factory.getbasetemp() / "engine-scenes"))
    monkeypatch.setattr(images, "SCENES_BLOCK", 64)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 64, "validation": 40, "test": 40})


def config(method="simclr", seed=0, **options):
    return RunConfig("scenes", method, "resnet10_narrow", seed, 64, PLAN, **options)


def test_computed_once_and_read_after_that(monkeypatch):
    configs = [config(), config("random")]
    records, rows = compute(configs, [Accuracy()], progress=False)
    assert [record["config"]["method"] for record in records] == ["simclr", "random"]
    assert list(rows) == ["run", "measure", *store.COLUMNS]
    assert set(rows["run"]) == {record["key"] for record in records}
    monkeypatch.setattr(fitting, "train", None)
    monkeypatch.setattr(Accuracy, "rows", None)
    again_records, again = compute(configs, [Accuracy()], progress=False)
    assert again_records == records
    pd.testing.assert_frame_equal(again, rows, atol=1e-6)


@pytest.mark.parametrize(("count", "measures", "words"), [
    (31, [], "the data set mine has 31 images to train on, and a batch needs 32; add images, or train in smaller"),
    (19, [Accuracy()], "the data set mine has 19 images to train on, and a batch needs 32"),
])  # fmt: skip
def test_too_few_images_for_a_batch_are_told_before_anything_is_trained(own_set, count, measures, words):
    own_set(count)
    with pytest.raises(BadInput, match=words):
        compute([RunConfig("mine", "simclr", "resnet10", 0, None, PLAN)], measures, progress=False)


def test_too_few_images_for_neighbours_are_told_before_anything_is_trained(own_set):
    own_set(19)
    config = RunConfig("mine", "simclr", "resnet10", 0, None, replace(PLAN, batch_size=8))
    with pytest.raises(BadInput, match="mine has 19 images to train on, and accuracy by nearest neighbours needs 20"):
        compute([config], [Accuracy()], progress=False)
    config = replace(config, train_images=12)
    own_set(50)
    with pytest.raises(BadInput, match="has 12 images to train on .train_images is 12., and accuracy by nearest neigh"):
        compute([config], [Accuracy()], progress=False)


def test_an_empty_split_is_told_before_anything_is_trained(own_set):
    own_set(64, test=0)
    with pytest.raises(BadInput, match="mine has no test images; every split needs some, and it has 64 for train"):
        compute([RunConfig("mine", "simclr", "resnet10", 0, None, PLAN)], [Accuracy()], progress=False)


@pytest.fixture
def own_set(tmp_path, monkeypatch):
    """Writes `mine.npz` with so many images to train and to test on, and lets nothing be trained."""
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    monkeypatch.setattr(fitting, "train", None)

    def write(train, test=8):
        images._whole.cache_clear()
        held_out = next(n for n in range(1, train) if n == max(1, round(0.1 * (train + n))))
        count = train + held_out + test
        np.savez(tmp_path / "mine.npz", images=np.zeros((count, 8, 8, 3), np.uint8), labels=np.arange(count) % 2,
                 test=np.arange(count) >= train + held_out)  # fmt: skip

    return write


def test_record_says_what_was_run():
    (record,), _ = compute([config(seed=7)], [], progress=False)
    assert record["config"] == config(seed=7).to_dict() and record["key"] == config(seed=7).key(
        record["data"]["checksum"]
    )
    assert record["tf32"] is False and record["deterministic"] is True
    assert record["data"]["train_images"] == 64 and record["data"]["source"].startswith("scenes")
    assert record["versions"]["torch"] == torch.__version__
    assert record["protocols"] == {"method": METHODS["simclr"].protocol}
    assert record["seconds"] >= 0 and record["images_per_second"] > 0 and record["peak_memory_mib"] > 0
    json.dumps(record)
    assert not any(str(value).startswith("/") for value in record.values())


def test_rows_come_from_the_stored_weights():
    """Measured in a second call, from the disk: the same numbers as in one call."""
    compute([config()], [], progress=False)
    late = compute([config()], [Accuracy()], progress=False)[1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WITHSTAND_RUNS", os.environ["WITHSTAND_RUNS"] + "-other")
        early = compute([config()], [Accuracy()], progress=False)[1]
    pd.testing.assert_frame_equal(late, early, atol=1e-6)


def test_least_crop_is_what_the_views_are_cropped_to():
    """SimCLR's own views crop to 0.08 at least: saying so changes nothing but the key, saying more does."""
    own, same, larger = (config(least_crop=least) for least in (None, 0.08, 0.6))
    records, _ = compute([own, same, larger], [], progress=False)
    keys = [record["key"] for record in records]
    weights = [(store.folder(key) / "weights.safetensors").read_bytes() for key in keys]
    assert len(set(keys)) == 3
    assert weights[0] == weights[1] != weights[2]


def test_augmentation_is_what_the_views_change(monkeypatch):
    """Without crops a view shows all of its image; the larger crops of the quick preset do not undo it."""
    seen = []
    monkeypatch.setattr(fitting, "train", lambda method, *_, **__: seen.append(method.views) or _HISTORY)
    compute([config(augmentation="appearance", least_crop=0.6), config(augmentation="spatial", least_crop=0.6)], [],
            progress=False)  # fmt: skip
    assert [[view.crop_scale for view in views] for views in seen] == [[(1.0, 1.0)] * 2, [(0.6, 1.0)] * 2]
    assert all(view.jitter == view.grey == view.blur == 0 for view in seen[1])


def test_backgrounds_are_removed_by_the_masks_that_the_settings_name(monkeypatch):
    seen = []
    monkeypatch.setattr(
        fitting, "train", lambda method, *_, **given: seen.append(given["beside"].get("removed")) or _HISTORY
    )
    chosen = [METHODS["relicv2"].settings(masks="exact"), METHODS["relicv2"].settings(removed=0.0)]
    compute([config("relicv2", settings=one) for one in chosen] + [config("simclr")], [], progress=False)
    whole = images.load("scenes", "train", 64)
    assert torch.equal(seen[0], whole.images * whole.masks[:, None])
    assert seen[1:] == [None, None]


def test_a_fusion_has_the_standardised_features_of_its_members():
    fusion = config(augmentation="fusion")
    data = images.load("scenes", "train", 64)
    records, rows = compute([fusion], [Accuracy()], progress=False)
    members, _ = compute(fusion.members(), [], progress=False)  # from the store: a fusion trains them as runs
    features = []
    for record in members:
        encoder = build_encoder("resnet10_narrow")
        store.load_weights(record["key"], encoder, torch.device("cpu"))
        features.append(extract(encoder, data.images))
    expected = torch.cat(features, dim=1)
    expected = (expected - expected.mean(dim=0)) / expected.std(dim=0).clamp(min=1e-6)
    fused = Fused([build_encoder("resnet10_narrow") for _ in members])
    store.load_weights(records[0]["key"], fused, torch.device("cpu"))
    torch.testing.assert_close(extract(fused, data.images), expected, rtol=1e-3, atol=1e-3)
    assert records[0]["seconds"] == pytest.approx(sum(record["seconds"] for record in members))
    again = compute([fusion], [Accuracy()], progress=False)[1]
    pd.testing.assert_frame_equal(rows, again, atol=1e-6)


def test_any_executor_will_do():
    configs = [config("random", seed) for seed in range(3)]
    with ThreadPoolExecutor(2) as executor:
        parallel = compute(configs, [Accuracy()], executor=executor, progress=False)[1]
    pd.testing.assert_frame_equal(parallel, compute(configs, [Accuracy()], progress=False)[1], atol=1e-6)


def test_time_limit_stops_cleanly_and_the_next_call_goes_on(monkeypatch):
    """On a clock that ticks once a reading: no machine is too slow, none so fast that one call does it all."""
    monkeypatch.setattr(time, "monotonic", itertools.count().__next__)
    configs, calls = [config(seed=seed) for seed in range(2)], 0
    while True:
        calls += 1
        try:
            records, _ = compute(configs, [Accuracy()], time_limit=12, progress=False)
            break
        except BadInput as error:
            assert "the time limit of 12 s is reached" in str(error)
            assert "the same call goes on from here" in str(error)
            assert calls < 100
    assert calls > 1
    weights = [(store.folder(record["key"]) / "weights.safetensors").read_bytes() for record in records]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WITHSTAND_RUNS", os.environ["WITHSTAND_RUNS"] + "-unbroken")
        for record, expected in zip(compute(configs, [], progress=False)[0], weights, strict=True):
            assert (store.folder(record["key"]) / "weights.safetensors").read_bytes() == expected


_HISTORY = [{"seconds": 1.0, "images_per_second": 1.0, "peak_memory_mib": 1.0}]


def few_scenes():
    images.SCENES_BLOCK, images.SCENES_SIZE = 64, {"train": 64, "validation": 40, "test": 40}


def computed_until_killed(file):
    """A run, killed before it puts the `file`-th file in its place, counted from 1."""
    few_scenes()
    replace, calls = os.replace, itertools.count(1)

    def killed(*arguments):
        if next(calls) == file:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*arguments)

    os.replace = killed
    print(compute([config("byol")], [Accuracy()], progress=False)[0][0]["key"])


def test_kill_9_anywhere_in_a_run_changes_nothing(tmp_path, monkeypatch, one_thread, forks):
    """Killed before the first file that it writes is in its place, then before the second one, and so on."""
    whole = compute([config("byol")], [Accuracy()], progress=False)
    key = whole[0][0]["key"]
    expected = (store.folder(key) / "weights.safetensors").read_bytes()
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "killed"))
    ended = [forks.call(computed_until_killed, file) for file in (1, 2, 3, 4, 0)]
    assert [code for code, _ in ended] == [*[-signal.SIGKILL] * 4, 0], ended
    assert ended[-1][1].split()[-1] == key
    assert (store.folder(key) / "weights.safetensors").read_bytes() == expected
    pd.testing.assert_frame_equal(compute([config("byol")], [Accuracy()], progress=False)[1], whole[1], atol=1e-6)


# Runs under attack, runs that learn from a teacher, and runs that keep a part of their head.


def attacked(method, attack="pgd(1)", training=PLAN, **options):
    return RunConfig("scenes", method, "resnet10_narrow", 0, 64, training, attack=attack, **options)


def plain(method="simclr", training=PLAN):
    return attacked(method, None, training)


def weights(record, name="weights"):
    return (store.folder(record["key"]) / f"{name}.safetensors").read_bytes()


@pytest.fixture
def trained(monkeypatch):
    """The methods that were trained, in order."""
    true, methods = fitting.train, []
    monkeypatch.setattr(fitting, "train", lambda method, *rest, **named: methods.append(method) or true(
        method, *rest, **named))  # fmt: skip
    return methods


def test_a_run_under_attack_says_what_it_cost_and_what_was_watched():
    """By hand: 64 images in batches of 32 make four batches in two epochs, each replayed three times."""
    configs = [attacked("simclr", "free(3)"), attacked("supervised"), plain(), plain("random")]
    records, _ = compute(configs, [], progress=False)
    costs = [(record.get("updates"), record.get("passes")) for record in records]
    assert costs == [(12, 64 * 2 * 3 * 2), (4, 64 * 2 * 2), (4, 64 * 2 * 2), (None, None)]
    for record in records[:2]:
        assert [epoch["epoch"] for epoch in record["monitored"]] == [1, 2]
        for epoch in record["monitored"]:
            assert tuple(epoch) == engine.MONITORED and epoch["seconds"] > 0
            assert all(0 <= epoch[name] <= 100 for name in engine.MONITORED[2:])
        assert json.loads(json.dumps(record)) == record == store.load_record(record["key"])
    assert not any("monitored" in record for record in records[2:])
    kept = json.loads((store.folder(records[0]["key"]) / "history.json").read_text())
    assert [{name: epoch[name] for name in engine.MONITORED} for epoch in kept] == records[0]["monitored"]


def test_measures_may_depend_on_the_run():
    configs = [config("random", 0), config("random", 1)]
    records, rows = compute(configs, lambda run: [Accuracy()] * run.seed, progress=False)
    assert len(records) == 2 and set(rows["run"]) == {records[1]["key"]}


TEACHER = Training(epochs=1, batch_size=32, precision="fp32", warmup_epochs=0.5)
STUDENT = Training(epochs=2, batch_size=32, precision="fp32", warmup_epochs=1.0)
STUDENT_OF_ONE = deacl.Settings(teacher_epochs=1)


@pytest.mark.parametrize("order", ["student first", "teacher first"])
def test_a_teacher_is_a_run_of_its_own_and_is_trained_once(order, trained):
    student, teacher = attacked("deacl", training=STUDENT, settings=STUDENT_OF_ONE), plain(training=TEACHER)
    assert student.teacher() == teacher
    configs = [student, teacher] if order == "student first" else [teacher, student]
    records, rows = compute(configs, [Accuracy()], progress=False)
    assert [type(method).__name__ for method in trained] == ["SimCLR", "DeACL"]
    keys = [record["key"] for record in records]
    assert len(set(keys)) == 2 and set(rows["run"]) == set(keys)
    by_method = {record["config"]["method"]: record for record in records}
    own = by_method["deacl"]
    assert own["config"] == student.to_dict() and own["passes"] == 64 * 2 * 3  # the student's alone: 2 views and 1 pass
    assert by_method["simclr"]["config"] == teacher.to_dict()
    learnt_from = trained[1].teacher_encoder.state_dict()
    saved = load_file(store.folder(by_method["simclr"]["key"]) / "weights.safetensors")
    assert saved.keys() == learnt_from.keys() and all(torch.equal(saved[name], learnt_from[name]) for name in saved)
    assert weights(own) != weights(by_method["simclr"])
    compute(configs, [Accuracy()], progress=False)
    compute(configs[::-1], [], progress=False)
    assert len(trained) == 2


def test_two_students_share_a_teacher(trained):
    students = [attacked("deacl", attack, STUDENT, settings=STUDENT_OF_ONE) for attack in ("pgd(1)", "fgsm")]
    records, _ = compute(students, [], progress=False)
    assert [type(method).__name__ for method in trained] == ["SimCLR", "DeACL", "DeACL"]
    assert weights(records[0]) != weights(records[1])


def killed_as_a_student():
    few_scenes()
    true = fitting.train

    def train(method, *rest, **named):
        if type(method).__name__ == "DeACL":
            os.kill(os.getpid(), signal.SIGKILL)
        return true(method, *rest, **named)

    fitting.train = train
    compute([attacked("deacl", training=STUDENT, settings=STUDENT_OF_ONE)], [], progress=False)


def test_killed_between_teacher_and_student_nothing_is_lost(tmp_path, monkeypatch, trained, one_thread, forks):
    student = attacked("deacl", training=STUDENT, settings=STUDENT_OF_ONE)
    (whole,), _ = compute([student], [], progress=False)
    (teacher,), _ = compute([student.teacher()], [], progress=False)
    expected = weights(whole), weights(teacher)
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "killed"))
    code, said = forks.call(killed_as_a_student)
    assert code == -signal.SIGKILL, said
    assert store.load_record(teacher["key"]) and store.load_record(whole["key"]) is None
    trained.clear()
    (again,), _ = compute([student], [], progress=False)
    assert [type(method).__name__ for method in trained] == ["DeACL"]
    assert (weights(again), weights(teacher)) == expected


def test_a_time_limit_stops_a_teacher_as_any_run():
    student = attacked("deacl", training=STUDENT, settings=STUDENT_OF_ONE)
    checksum = images.load("scenes", "train", 64).checksum
    with pytest.raises(BadInput, match="0 of 1 runs complete; nothing is lost, the same call goes on from here"):
        compute([student], [], time_limit=1e-9, progress=False)
    assert (store.folder(student.teacher().key(checksum)) / "checkpoint.pt").exists()
    assert not (store.folder(student.key(checksum)) / "checkpoint.pt").exists()
    (record,), _ = compute([student], [], progress=False)
    assert record["key"] == student.key(checksum)
    assert not list(store.folder("").glob("*/checkpoint.pt"))


class Read:
    """A measure that keeps what it is given to read."""

    def __init__(self, number=0):
        self.identity, self.seen = f"read(number={number})#1", []

    def rows(self, subject):
        self.seen.append(subject)
        return as_rows([number("none", "seen", 1.0, 1)])


@pytest.mark.parametrize("attack", [None, "free(2)"])
def test_emp_ssl_keeps_the_first_layer_of_its_head(attack, trained):
    run = attacked("emp_ssl", attack, settings=emp_ssl.Settings(views=2, crop="crop", hidden=16, projection=8))
    first, later = Read(), Read(1)
    (record,), _ = compute([run], [first], progress=False)
    compute([run], [later], progress=False)  # from the disk
    (method,) = trained
    kept = load_file(store.folder(record["key"]) / "head.safetensors")
    expected = method.head.layers[:3].state_dict()
    assert kept.keys() == expected.keys() and all(torch.equal(kept[name], expected[name]) for name in kept)
    features = torch.randn(5, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = method.eval().pre_feature(features)
        for measure in (first, later):
            (subject,) = measure.seen
            assert not any(part.training for part in subject.head.modules())
            assert torch.equal(subject.head(features), outputs)
    assert outputs.shape == (5, 16) and (outputs >= 0).all()
    path = store.folder(record["key"]) / "head.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match="head.safetensors is damaged .* delete its folder to compute that run again"):
        compute([run], [], progress=False)


def test_others_keep_no_head():
    measure = Read()
    (record, _), _ = compute([plain(), plain("random")], [measure], progress=False)
    assert [subject.head for subject in measure.seen] == [None, None]
    assert not store.has_head(record["key"])


def test_a_run_that_is_older_than_its_head_is_read_without():
    run = attacked("emp_ssl", None, settings=emp_ssl.Settings(views=2, hidden=16, projection=8))
    (record,), _ = compute([run], [], progress=False)
    (store.folder(record["key"]) / "head.safetensors").unlink()
    measure = Read()
    compute([run], [measure], progress=False)
    assert measure.seen[0].head is None


def test_damaged_files_are_one_sentence_each():
    (record,), _ = compute([config("random")], [Accuracy()], progress=False)
    home = store.folder(record["key"])
    rows = store.rows_path(record["key"], Accuracy().identity)
    for path, words in (
        (rows, "half-written"),
        (home / "weights.safetensors", "is damaged"),
        (home / "record.json", "half-written"),
    ):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        if path.name.startswith("weights"):
            rows.unlink()
        with pytest.raises(BadInput, match=words):
            compute([config("random")], [Accuracy()], progress=False)
        path.write_bytes(whole)


def test_unknown_and_missing_columns_are_one_sentence(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text(
        "shift,subset,level,level_unit,metric,value,standard_error,images,colour\nfog,,1,severity,error,2.0,0.1,5,red\n"
    )
    with pytest.raises(BadInput, match="unknown column 'colour'; its columns are: shift, subset, level"):
        store.read_rows(path, store.COLUMNS)
    path.write_text("shift,subset,level,level_unit,metric,value,images\nfog,,1,severity,error,2.0,5\n")
    with pytest.raises(BadInput, match="lacks the column 'standard_error'"):
        store.read_rows(path, store.COLUMNS)


@pytest.mark.parametrize("text", ["", "shift,level", f"{','.join(store.COLUMNS)}\nfog,,1,severity,err"])
def test_cut_rows_are_one_sentence(tmp_path, text):
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(BadInput):
        store.read_rows(path, store.COLUMNS)


def written_beyond_the_limit(path):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    files.write_text(path, "before")
    try:
        files.write_text(path, "x" * 10_000)
    except BadInput as error:
        print(error)


def test_a_full_disk_loses_nothing(tmp_path, forks):
    """A real limit on the size of files: the write fails in its middle, as on a full disk."""
    path = tmp_path / "kept.txt"
    code, said = forks.call(written_beyond_the_limit, path)
    assert code == 0 and "could not be written" in said and "unchanged" in said, said
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_no_space_left_is_named(tmp_path):
    (tmp_path / "kept").write_text("before")

    def fill(_):
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(BadInput, match="the disk is full.*free some space and call again"):
        files.write(tmp_path / "kept", fill)
    assert (tmp_path / "kept").read_text() == "before" and len(list(tmp_path.glob("*kept*"))) == 1


def test_two_threads_may_write_one_file(tmp_path):
    """As two runs do that render the same scenes: both are served, and the file is whole."""
    both_are_open = threading.Barrier(2)

    def fill(content):
        def write_all(file):
            both_are_open.wait()
            file.write(content)

        return write_all

    with ThreadPoolExecutor(2) as executor:
        texts = [b"first" * 1000, b"second" * 1000]
        for done in [executor.submit(files.write, tmp_path / "file", fill(text)) for text in texts]:
            done.result()
    assert (tmp_path / "file").read_bytes() in texts and list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("WITHSTAND_RUNS", str(tmp_path / "file" / "runs"))
    with pytest.raises(BadInput, match="name a folder by WITHSTAND_RUNS"):
        compute([config("random")], [], progress=False)


def test_weights_that_do_not_fit_are_refused():
    (record,), _ = compute([config("random")], [], progress=False)
    with pytest.raises(BadInput, match="damaged"):
        store.load_weights(record["key"], build_encoder("resnet18"), torch.device("cpu"))
