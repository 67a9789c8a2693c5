"""A run that was cut off, by a time limit or by kill -9, ends bit for bit like one that was not."""

import dataclasses
import hashlib
import itertools
import json
import math
import os
import signal
import sys
import time

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from toys import Points, small_method, small_settings

from lib.errors import BadInput
from lib.memory import peak_memory, reset_peak_memory
from lib.methods import METHODS, PLAIN, build_method, moco_v2, simclr
from lib.methods.removal import Removal, Removing
from lib.methods.repulsion import Repelling
from lib.models import build_encoder
from lib.precision import precision_on
from lib.training import Attack, OutOfTime, Training, train, trainer
from lib.training.optimisers import build_optimiser
from lib.views import View, make_view

PLAN = Training(epochs=3, batch_size=16, learning_rate=0.05, warmup_epochs=1)
NO_REMOVAL = Removal()


def data(count=70):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator), torch.arange(count) % 10


def fresh(name="simclr", network=False):
    """The method with little to compute, or with all that its runs have."""
    if not network:
        return small_method(name)
    torch.manual_seed(0)
    return build_method(name, build_encoder("resnet10_narrow"), METHODS[name].settings(), 10)


def digest(module):
    """Of all weights and buffers, and of the numbers that a queue keeps beside them."""
    state = module.state_dict().values()
    parts = [x.contiguous().numpy().tobytes() if isinstance(x, torch.Tensor) else str(x).encode() for x in state]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def run(checkpoint=None, name="simclr", plan=PLAN, count=70, network=False, **options):
    method = fresh(name, network)
    images, labels = data(count)
    options |= {"beside": {"removed": images // 2}}  # for a method that reads them; others leave them
    history = train(method, images, labels, plan, seed=3, checkpoint=checkpoint, progress=False, **options)
    return method, history


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_two_runs_agree_in_every_bit_and_the_seed_matters(name, precision):
    """Of two steps, the second of which meets what the first left in buffers and queues; one method with a network of
    the library's, whose convolutions and norms are the same in all."""
    plan, network = Training(epochs=1, batch_size=8, precision=precision), name == "simclr"
    first, second = (run(name=name, plan=plan, count=16, network=network)[0] for _ in range(2))
    assert digest(first) == digest(second)
    if precision == "bf16":  # emulated on many processors, and slow there: seeds are asked about in float32
        return
    if METHODS[name].encoder:  # fitted by the seed that it was built with; no batch changes it
        return
    other = fresh(name, network)
    train(other, *data(16), plan, seed=4, progress=False, beside={"removed": data(16)[0] // 2})
    assert digest(other) != digest(first)


@pytest.mark.parametrize("name", ["simclr", "byol", "moco_v2", "dino", "supervised"])
def test_a_time_limit_at_every_step_changes_nothing(name, tmp_path, monkeypatch):
    """On a clock that ticks once a reading, each call has time for one step."""
    whole, history = run(name=name)
    monkeypatch.setattr(time, "monotonic", itertools.count().__next__)
    checkpoint, calls = tmp_path / "checkpoint.pt", 0
    while True:
        calls += 1
        try:
            method, pieces = run(checkpoint, name, deadline=time.monotonic() + 3)
            break
        except OutOfTime:
            assert checkpoint.exists() and calls < 100
    assert calls >= PLAN.epochs * (70 // PLAN.batch_size)
    assert digest(method) == digest(whole)
    for left, right in zip(history, pieces, strict=True):
        assert {k: v for k, v in left.items() if "loss" in k} == {k: v for k, v in right.items() if "loss" in k}


KILLED = dataclasses.replace(PLAN, precision="fp32")  # a child does not know what "auto" is in these tests
MOMENTS = {"step": (trainer, "learning_rate"), "saving": (torch, "save"), "saved": (os, "replace")}


def train_until_killed(moment, call, checkpoint):
    owner, name = MOMENTS[moment]
    true, calls = getattr(owner, name), itertools.count(1)

    def killed(*arguments):
        if next(calls) == call:
            if moment == "saving":
                arguments[1].write(b"half")
                arguments[1].flush()
            os.kill(os.getpid(), signal.SIGKILL)
        return true(*arguments)

    setattr(owner, name, killed)
    train(fresh("byol", network=True), *data(), KILLED, 3, checkpoint, checkpoint_seconds=0, progress=False)


def test_kill_9_at_any_moment_changes_nothing(tmp_path, one_thread, forks):
    """The child saves after every step, goes on from the one before it, and is killed in a step, in the middle of a
    checkpoint, and between the checkpoint and its name."""
    whole = digest(run(name="byol", plan=KILLED, network=True)[0])
    checkpoint = tmp_path / "checkpoint.pt"
    done = 0
    for moment, call in (("step", 2), ("saving", 3), ("saved", 3)):
        code, said = forks.call(train_until_killed, moment, call, checkpoint)
        assert code == -signal.SIGKILL, said
        done += call - 1
        assert torch.load(checkpoint, weights_only=True)["step"] == done
    method, history = run(checkpoint, "byol", KILLED, network=True)
    assert digest(method) == whole
    assert len(history) == PLAN.epochs


def test_a_step_is_the_textbook_s():
    """Supervised, float32, no augmentation worth the name: the trainer's weights equal a plain loop's."""
    plan = Training(epochs=1, batch_size=70, learning_rate=0.1, weight_decay=0.0, warmup_epochs=0, precision="fp32")
    method = fresh("supervised", network=True)
    method.views = (method.views[0].__class__(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0, jitter=0, grey=0),)
    train(method, *data(), plan, seed=3, progress=False)
    plain = fresh("supervised", network=True).train()
    images, labels = data()
    plain.encoder.normalise_by(images)
    loss = torch.nn.functional.cross_entropy(plain.head(plain.encoder(images / 255)), labels)
    loss.backward()
    for ours, theirs in zip(method.parameters(), plain.parameters(), strict=True):
        step = 0.1 * theirs.grad  # rounding may turn a unit on whose input is all but zero: a share of the step
        assert (theirs - ours - step).norm() < 0.02 * step.norm()


class NothingWaits(TorchDispatchMode):
    """Refuses operations whose result's value or shape is only known when the device has finished."""

    WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "is_nonzero")

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        name = operation.overloadpacket.__name__
        masks = arguments[1] if name in ("index", "index_put", "index_put_") else ()
        waits = name.startswith(self.WAITING) or any(mask is not None and mask.dtype == torch.bool for mask in masks)
        assert not waits, f"{name} waits for the device"
        return operation(*arguments, **(options or {}))


@pytest.mark.parametrize("name", PLAIN)
def test_nothing_in_a_step_waits_for_the_device(name):
    """Views, forward, backward, update; on a GPU a host that waits leaves the device without work."""
    method, images = fresh(name, network=name == "simclr").train(), data(8)[0]
    optimiser = build_optimiser("lars", method, 1e-4)
    generator = torch.Generator()
    with NothingWaits():
        views = [make_view(images, view, generator) for view in method.views]
        with torch.autocast("cpu", torch.bfloat16):
            terms = method(views, torch.arange(8) % 4) if method.uses_labels else method(views)
        if terms:
            sum(terms.values()).backward()
            optimiser.step()
        method.after_step(0.5)
        if hasattr(method, "after_batch"):
            method.after_batch()
    with NothingWaits(), pytest.raises(AssertionError, match="waits for the device"):
        images[images > 128]


class Watching(Repelling, Removing, torch.nn.Module):
    """Keeps the views that it is given; of negatives it has those that its settings name."""

    def __init__(self, repulsion, views, queries=(), removal=NO_REMOVAL):
        super().__init__()
        self.repulsion, self.views, self.queries, self.uses_labels = repulsion, views, queries, False
        self.removal = removal
        self.scale, self.seen = torch.nn.Parameter(torch.ones(())), []

    def forward(self, views):
        self.seen.append(views)
        return {"loss": self.scale * views[0].mean()}

    def after_step(self, progress):
        pass


@pytest.mark.parametrize(("settings", "queries", "count"), [
    (moco_v2.Settings(negatives="patch", count=3), (0,), 3),
    (simclr.Settings(negatives="patch", count=2), (0, 1), 4),
    (simclr.Settings(negatives="texture"), (0, 1), 2),
    (simclr.Settings(), (0, 1), 0),
])  # fmt: skip
def test_negatives_come_after_the_views_and_change_none(settings, queries, count):
    """A texture that is the image itself becomes the query: it is cut, turned and coloured alike. A patch negative has
    no colour that its query has not."""
    images, labels = data(32)
    given = {}
    for name, repulsion in (("with", settings), ("without", simclr.Settings())):
        method = Watching(repulsion, simclr.SimCLR.views, queries)
        one = dataclasses.replace(PLAN, epochs=1)
        train(method, images, labels, one, 3, progress=False, beside={"textures": images})
        given[name] = method.seen
    for views, plain in zip(given["with"], given["without"], strict=True):
        assert len(plain) == 2 and len(views) == 2 + count
        assert all(torch.equal(view, other) for view, other in zip(views, plain, strict=False))
        for place, negative in enumerate(views[2:]):
            query = views[queries[place * len(queries) // count]]
            assert torch.equal(negative, query) == (settings.negatives == "texture")
            for image, source in zip(negative, query, strict=True):
                colours = set(map(tuple, source.flatten(1).T.tolist()))
                assert set(map(tuple, image.flatten(1).T.tolist())) <= colours


WANTING = {
    "textures": (
        Watching(simclr.Settings(negatives="texture"), simclr.SimCLR.views, (0, 1)),
        r"Watching reads of each of the 32 images its texture \(see lib.shifts.textures\): give them as beside\['text",
    ),
    "removed": (
        Watching(simclr.Settings(), simclr.SimCLR.views, removal=Removal(removed=0.1)),
        r"32 images the same without its background \(see lib.training.masks\): give them as beside\['removed'\]",
    ),
}


@pytest.mark.parametrize("given", [{}, {"other": torch.zeros(32, 3, 32, 32, dtype=torch.uint8)}, 3])
@pytest.mark.parametrize("name", WANTING)
def test_what_a_method_reads_beside_the_images_is_asked_for(name, given):
    method, words = WANTING[name]
    given = {name: torch.zeros(given, 3, 32, 32, dtype=torch.uint8)} if given == 3 else given
    with pytest.raises(BadInput, match=words):
        train(method, *data(32), PLAN, 3, progress=False, beside=given)


def test_a_method_may_read_both_and_one_that_reads_neither_leaves_them_alone():
    both = Watching(simclr.Settings(negatives="texture"), simclr.SimCLR.views, (0, 1), Removal(removed=0.1))
    assert set(both.reads) == {"textures", "removed"}
    (images, labels), seen = data(32), []
    for beside in ({}, {"textures": images, "removed": images // 2}):
        method = Watching(simclr.Settings(), simclr.SimCLR.views)
        train(method, images, labels, dataclasses.replace(PLAN, epochs=1), 3, progress=False, beside=beside)
        seen += [method.seen]
        assert method.reads == {} and not method.has_negatives
    assert all(torch.equal(*pair) for views in zip(*seen, strict=True) for pair in zip(*views, strict=True))


def test_backgrounds_are_removed_from_large_views_at_the_rate_that_is_asked_for():
    """An image without its background stands in for the whole one, cut and coloured alike, or not at all. Which views
    it is does not change what is drawn; small ones keep their backgrounds."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(100, 256, (600, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.zeros(600, dtype=torch.long)
    plain = View(crop_ratio=(1.0, 1.0), jitter=0.0, grey=0.0)
    views = (plain, plain, dataclasses.replace(plain, size=16))
    seen = {}
    for share in (0.0, 0.3, 1.0):
        method = Watching(simclr.Settings(), views, removal=Removal(removed=share))
        plan = Training(epochs=1, batch_size=600, precision="fp32")
        train(method, images, labels, plan, 3, progress=False, beside={"removed": torch.zeros_like(images)})
        seen[share] = method.seen[0]
    black = {share: [(view.amax(dim=(1, 2, 3)) == 0).float() for view in own] for share, own in seen.items()}
    assert [part.mean().item() for part in black[0.0]] == [0, 0, 0]
    assert [part.mean().item() for part in black[1.0]] == [1, 1, 0]
    first, second, small = black[0.3]
    assert small.sum() == 0 and first.mean() == pytest.approx(0.3, abs=0.06)
    assert second.mean() == pytest.approx(0.3, abs=0.06)
    assert (first * second).mean() == pytest.approx(0.09, abs=0.04)  # each view by itself
    for view, whole, gone in zip(seen[0.3], seen[0.0], black[0.3], strict=True):
        assert torch.equal(view[gone == 0], whole[gone == 0])


def test_history(tmp_path):
    _, history = run()
    assert [entry["epoch"] for entry in history] == [1, 2, 3]
    for entry in history:
        assert entry["loss"] == pytest.approx(entry["contrastive"])
        assert entry["images_per_second"] == pytest.approx(64 / entry["seconds"], rel=1e-6)
        assert 50 < entry["peak_memory_mib"] < 100_000
    json.dumps(history)


def test_damaged_checkpoint_is_one_sentence(tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    run(checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(BadInput, match="damaged; delete it to start this run again"):
        run(checkpoint)


def test_a_loss_that_is_not_finite_is_one_sentence():
    with pytest.raises(BadInput, match="use a learning rate below"):
        run(name="supervised", plan=Training(epochs=3, batch_size=16, learning_rate=1e12, warmup_epochs=0))


def test_too_few_images():
    with pytest.raises(BadInput, match="a batch of 512 needs as many training images, there are 70; .* at most 70"):
        run(plan=Training(epochs=1))


@pytest.mark.parametrize(("bad", "words"), [
    ({"epochs": 0}, "epochs is a whole number of at least 1, not 0"),
    ({"epochs": 1.5}, "epochs is a whole number of at least 1, not 1.5"),
    ({"epochs": "20"}, "epochs is a whole number of at least 1, not '20'"),
    ({"batch_size": True}, "batch_size is a whole number of at least 2, not True"),
    ({"learning_rate": math.nan}, "learning_rate is a number of at least 0, not nan"),
    ({"precision": "fp16"}, "unknown precision 'fp16'"),
    ({"optimiser": ["sgd"]}, "unknown optimiser"),
])  # fmt: skip
def test_bad_plan_is_one_sentence(bad, words):
    with pytest.raises(BadInput) as error:
        Training(**bad)
    assert words in str(error.value)


def test_a_monitor_is_asked_after_each_epoch_and_changes_nothing():
    seen = []

    def monitor(method):
        seen.append((method.training, digest(method)))
        method.encoder(data()[0][:16] / 255)  # in evaluation mode: no statistic moves
        return {"answer": float(len(seen))}

    method, history = run(monitor=monitor)
    assert [entry["answer"] for entry in history] == [1.0, 2.0, 3.0]
    assert all(entry["monitor_seconds"] >= 0 for entry in history)
    assert not any(training for training, _ in seen) and len({weights for _, weights in seen}) == 3
    assert digest(method) == digest(run()[0])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere the peak cannot be forgotten")
def test_an_earlier_peak_is_forgotten():
    cpu = torch.device("cpu")
    block = torch.ones(2**26)  # 256 MiB
    peak = peak_memory(cpu)
    del block
    reset_peak_memory(cpu)
    assert peak_memory(cpu) < peak - 200


# A checkpoint belongs to one run.


def begun(checkpoint, **changes):
    """Train under these changes until the first step's checkpoint."""
    arguments = {"name": "simclr", "plan": PLAN, "seed": 3, "attack": None, "data": data(), "method": None} | changes
    method = arguments["method"] or fresh(arguments["name"])
    images, labels = arguments["data"]
    train(method, images, labels, arguments["plan"], arguments["seed"], checkpoint, attack=arguments["attack"],
          deadline=-math.inf, progress=False, beside={"removed": images // 2})  # fmt: skip


def altered(name="simclr", **attributes):
    method = fresh(name)
    for attribute, value in attributes.items():
        setattr(method, attribute, value)
    return method


def other_pixels():
    images, labels = data()
    images[3, 1, 4, 5] ^= 1
    return images, labels


def wider():
    torch.manual_seed(0)
    return build_method("simclr", Points(), small_settings("simclr", projection=64), 10)


def other_scales():
    method = fresh()
    next(module for module in method.modules() if isinstance(module, torch.nn.BatchNorm1d)).eps = 1e-3
    return method


def plan(**changes):
    return {"plan": dataclasses.replace(PLAN, **changes)}


VIEW = simclr.SimCLR.views[0]
OTHERS = {
    "method": ({"name": "barlow_twins"}, "method is 'SimCLR' there and 'BarlowTwins' here; .* more differences"),
    "subclass": ({"name": "dcl"}, "method is 'SimCLR' there and 'DCL' here"),
    "seed": ({"seed": 4}, "seed is 3 there and 4 here; name"),
    "epochs": (plan(epochs=4), "epochs is 3 there and 4 here; name"),
    "batch": (plan(batch_size=32), "batch_size is 16 there and 32 here; name"),
    "optimiser": (plan(optimiser="adamw"), "optimiser is 'sgd' there and 'adamw' here; name"),
    "rate": (plan(learning_rate=0.06), "learning_rate is 0.05 there and 0.06 here; name"),
    "decay": (plan(weight_decay=0.0), "weight_decay is 0.0005 there and 0.0 here; name"),
    "warm-up": (plan(warmup_epochs=2), "warmup_epochs is 1 there and 2 here; name"),
    "attack": ({"attack": Attack("fgsm")},
               "attack is 'none' there and 'fgsm' here; attack.epsilon is missing there and 0.03"),
    "pixels": ({"data": other_pixels()}, "images checksum is '[0-9a-f]{16}' there and '[0-9a-f]{16}' here; name"),
    "fewer": ({"data": data(64)}, r"images shape is \(70, 3, 32, 32\) there and \(64, 3, 32, 32\) here"),
    "settings": ({"method": altered(temperature=0.5)}, "temperature is 0.2 there and 0.5 here; name"),
    "views": ({"method": altered(views=(VIEW, dataclasses.replace(VIEW, grey=0.1)))},
              "views.1.grey is 0.2 there and 0.1 here; name"),
    "widths": ({"method": wider()}, "projection is 32 there and 64 here"),
    "a layer": ({"method": other_scales()}, "encoder.bn.eps is 1e-05 there and 0.001 here; name"),
}  # fmt: skip


@pytest.mark.parametrize("case", OTHERS)
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(case, tmp_path):
    changes, words = OTHERS[case]
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(OutOfTime):
        begun(checkpoint)
    kept = checkpoint.read_bytes()
    method = changes.get("method") or fresh(changes.get("name", "simclr"))
    before = digest(method)
    with pytest.raises(BadInput, match=f"checkpoint.pt is of another run: .*{words}"):
        begun(checkpoint, **changes | {"method": method})
    assert digest(method) == before and checkpoint.read_bytes() == kept  # nothing was touched


def test_precision_counts_by_what_it_comes_to(tmp_path):
    """ "auto" is one of the two on this machine: going on with that one is the same run, with the other is not."""
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(OutOfTime):
        begun(checkpoint)
    here = precision_on(torch.device("cpu"))
    with pytest.raises(OutOfTime):
        begun(checkpoint, **plan(precision=here))
    other = {"bf16": "fp32", "fp32": "bf16"}[here]
    with pytest.raises(BadInput, match=f"precision is '{here}' there and '{other}' here; name"):
        begun(checkpoint, **plan(precision=other))


def test_labels_count_where_they_are_learnt_from(tmp_path):
    images, labels = data()
    for name, refused in (("simclr", False), ("supervised", True)):
        checkpoint = tmp_path / f"{name}.pt"
        with pytest.raises(OutOfTime):
            begun(checkpoint, name=name)
        with pytest.raises(BadInput if refused else OutOfTime, match="labels checksum" if refused else None):
            begun(checkpoint, name=name, data=(images, labels.flip(0)))


@pytest.mark.parametrize(("before", "after", "words"), [
    (Attack("fgsm"), Attack("pgd(2)"), "attack is 'fgsm' there and 'pgd.2.' here"),
    (Attack("fgsm"), Attack("fgsm", "4/255"), "attack.epsilon is 0.03"),
    (Attack("fgsm"), Attack("fgsm", start="zero"), "attack.start is 'random' there and 'zero' here; name"),
    (Attack("free(2)"), Attack("free(2)", quirk="cyclic schedule"), "attack.quirk is missing there and 'cyclic"),
])  # fmt: skip
def test_an_attack_counts_with_all_that_it_says(before, after, words, tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(OutOfTime):
        begun(checkpoint, attack=before)
    with pytest.raises(BadInput, match=words):
        begun(checkpoint, attack=after)


@pytest.mark.parametrize("name", ["moco_v2", "dino", "nnclr", "swav"])
def test_the_same_object_goes_on_from_its_own_checkpoint(name, tmp_path, monkeypatch):
    """What moves as a method learns, such as the place in a queue, is no part of what it is."""
    monkeypatch.setattr(time, "monotonic", itertools.count().__next__)
    checkpoint, method = tmp_path / "checkpoint.pt", fresh(name)
    small = Training(epochs=1, batch_size=16, precision="fp32")
    for _ in range(2):
        with pytest.raises(OutOfTime):
            train(method, *data(), small, 3, checkpoint, deadline=time.monotonic() + 3, progress=False)
    monkeypatch.undo()
    train(method, *data(), small, 3, checkpoint, progress=False)
    whole = fresh(name)
    train(whole, *data(), small, 3, progress=False)
    assert digest(method) == digest(whole)


@pytest.mark.parametrize("content", [{"method": {}, "step": 3}, [1, 2], {"identity": 3}])
def test_a_file_that_does_not_say_whose_it_is_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "old.pt")
    with pytest.raises(BadInput, match="old.pt does not say which run it is of, as none of an older version does"):
        run(tmp_path / "old.pt")


def test_settings_from_numpy_are_numbers(tmp_path):
    checkpoint, method = tmp_path / "checkpoint.pt", altered(temperature=np.float64(0.2))
    for seed in (np.int64(3), 3):
        with pytest.raises(OutOfTime):
            begun(checkpoint, method=method, seed=seed)
