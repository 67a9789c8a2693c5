"""Two processes that share a batch compute what one computes with all of it; four what two do. See `shared_batches`."""

import pytest
import torch
from shared_batches import FOUR, RESUMED, UNGATHERED, cases, compute_all
from test_trainer import data, fresh

from lib import engines, world
from lib.errors import BadInput
from lib.methods import METHODS
from lib.training import Training, train

CLOSE = 1e-9  # of float64, where 1e-5 is asked for: what differs is the order of sums


@pytest.fixture(scope="module")
def found(tmp_path_factory, forks):
    """By the number of processes what all cases came to, and the run of a command."""
    folder = tmp_path_factory.mktemp("shared")
    code, said = forks.call(compute_all, folder)
    assert code == 0, said
    names = (1, 2, 4, "commanded 1", "commanded 2")
    return {name: torch.load(folder / f"{name}.pt", weights_only=True) for name in names}


def apart(one, other):
    """How far two runs are from each other, of the gradients in shares of the largest of their step."""
    steps = list(zip(one["gradients"], other["gradients"], strict=True))
    distances = [float((a - b).abs().max() / a.abs().max()) for a, b in steps]
    distances += losses_apart(one, other)
    for name, value in one["state"].items():
        if isinstance(value, torch.Tensor):
            distances.append(float((value.double() - other["state"][name].double()).abs().max()))
        else:
            assert value == other["state"][name]
    return max(distances)


def losses_apart(one, other):
    (first,), (second,) = one["history"], other["history"]
    assert first.keys() == second.keys()
    measured = ("seconds", "images_per_second", "peak_memory_mib")
    return [abs(first[name] - second[name]) for name in first if name not in measured]


@pytest.mark.parametrize("case", cases())
def test_two_processes_are_one(case, found):
    """In the gradient of each of three steps, in each loss term, and in weights, statistics, slow copies, queues and
    centres at their end. The views that they read are the same to the bit."""
    one, two = found[1][case], found[2][case]
    assert one["views"] == two["views"] and len(one["views"]) == 3
    assert len(one["gradients"]) == 3 * (2 if case.endswith("free") else 1) or not METHODS[case].trained
    assert apart(one, two) < CLOSE


def test_every_method_that_is_trained_is_among_them():
    assert {name for name, method in METHODS.items() if method.trained} <= set(cases())


@pytest.mark.parametrize("case", FOUR)
def test_four_processes_are_two(case, found):
    assert found[2][case]["views"] == found[4][case]["views"]
    assert apart(found[2][case], found[4][case]) < CLOSE


@pytest.mark.parametrize("case", RESUMED)
@pytest.mark.parametrize("processes", [1, 2])
def test_another_number_of_processes_goes_on_from_a_checkpoint(case, processes, found):
    """Two steps by two processes and one by one, and the other way round: the ends, and the means of the losses, of an
    unbroken run."""
    unbroken, resumed = found[1][case], found[processes][f"{case}, resumed"]
    steps = len(resumed["gradients"])
    assert resumed["views"] == unbroken["views"][2:] and steps == len(unbroken["gradients"]) / 3
    assert apart(unbroken | {"gradients": unbroken["gradients"][-steps:]}, resumed) < CLOSE


@pytest.mark.parametrize("part", UNGATHERED)
def test_what_is_not_shared_shows(part, found):
    """A loss that sees a process's own images alone, and batch norm that does."""
    assert apart(found[1]["simclr"], found[2][part]) > 1e-3


def test_a_command_that_torchrun_starts_computes_the_same_run(found):
    """The run of a student and that of its teacher, by what the first process hands out, in float32."""
    one, two = found["commanded 1"], found["commanded 2"]
    assert one["key"] == two["key"] and two["device"] == f"{one['device']}, 2 processes"
    for name, value in one["weights"].items():
        assert torch.allclose(value.double(), two["weights"][name].double(), atol=1e-4), name


def test_torchrun_and_another_engine_exclude_each_other(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert engines.named() == "local"
    with pytest.raises(BadInput, match="^torchrun has all processes work on one run, .* for processes: its engine is"):
        engines.named("processes")


@pytest.mark.parametrize(("count", "batch_size"), [(3, 16), (12, 12)])
def test_a_batch_that_cannot_be_shared_is_one_sentence(count, batch_size, monkeypatch):
    monkeypatch.setattr(world, "size", lambda: count)
    with pytest.raises(BadInput, match=f"^{count} processes share a batch evenly, .*: {batch_size} is no batch_size"):
        train(fresh(), *data(), Training(1, batch_size), 0, progress=False)


def test_what_is_compiled_is_not_shared(monkeypatch):
    monkeypatch.setattr(world, "size", lambda: 2)
    with pytest.raises(BadInput, match="^a method that several processes train is not compiled: set compile to False$"):
        train(fresh(), *data(), Training(1, 16, compile=True), 0, progress=False)


def test_one_process_asks_nobody():
    numbers = torch.arange(6.0).view(3, 2)
    with world.sharing():
        assert world.gathered(numbers) is numbers and world.share(numbers) is numbers and world.mean(numbers) is numbers
        assert torch.equal(world.following(numbers), numbers[[1, 2, 0]])
        assert torch.equal(world.drawn(3, torch.arange), torch.arange(3))
    assert (world.size(), world.rank(), world.asked(True), world.asked(False)) == (1, 0, True, False)
