"""The race of `benchmarks.race`: its vote, its baseline's formulas, and each arm from end to end on a few images."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.loss import NTXentLoss
from sklearn.neighbors import KNeighborsClassifier
from toys import Points

from benchmarks import race
from lib import images
from lib.methods import simclr

QUICK = race.Arm(encoder="resnet10_narrow", batch_size=8, settings=simclr.Settings(hidden=16), precision="fp32")
PLAIN = race.Baseline(batch_size=16, workers=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), k=st.integers(1, 12), classes=st.integers(1, 6), width=st.integers(2, 9))
def test_the_vote_is_scikit_learn_s(seed, k, classes, width):
    """Also where classes have equal votes, which a small k and many classes make common."""
    generator = torch.Generator().manual_seed(seed)
    bank, queries = (torch.randn(n, width, generator=generator, dtype=torch.float64) for n in (40, 30))
    labels = torch.randint(classes, (40,), generator=generator)
    theirs = KNeighborsClassifier(k, metric="cosine").fit(bank.numpy(), labels.numpy()).predict(queries.numpy())
    ours = race.majority_vote(bank, labels, queries, k, batch_size=7)
    assert ours.tolist() == theirs.tolist()


def test_equal_votes_go_to_the_smallest_class():
    bank = torch.tensor([[1.0, 0.1], [1.0, 0.2], [1.0, 0.3], [1.0, 0.4]])
    assert race.majority_vote(bank, torch.tensor([3, 3, 1, 1]), torch.tensor([[1.0, 0.0]]), k=4).tolist() == [1]


def test_too_few_neighbours_is_one_sentence():
    with pytest.raises(race.BadInput, match="k is a whole number from 1 to 4"):
        race.majority_vote(torch.ones(4, 2), torch.zeros(4, dtype=torch.long), torch.ones(1, 2))


def test_the_baseline_s_schedule_is_torch_s():
    recipe = race.Baseline(epochs=7)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.03 * 512 / 256)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=7)
    for epoch in range(7):
        assert race.baseline_learning_rate(epoch, recipe) == pytest.approx(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()


def test_the_baseline_s_loss_is_lightly_s(generator):
    first, second = torch.randn(2, 6, 5, generator=generator)
    theirs = NTXentLoss(temperature=0.5)(first, second)
    torch.testing.assert_close(race.baseline_loss(torch.cat((first, second)), 0.5), theirs)


def test_the_baseline_s_network_has_the_entry_s_sizes():
    encoder, projector = race.baseline_network(hidden=1024)
    sizes = [sum(p.numel() for p in module.parameters()) for module in (encoder, projector)]
    # ResNet-18's 11,689,512 without its classes, and with a stem of 3 x 3 instead of 7 x 7
    assert sizes == [11_689_512 - 513 * 1000 - 3 * 64 * (49 - 9), 513 * 1024 + 1025 * 128]
    with torch.no_grad():
        assert encoder.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 512)


@pytest.fixture
def cifar10(tmp_path, monkeypatch):
    """48 random images of 2 classes under the name of CIFAR-10: 20 to train on, 2 to watch, 26 to test."""
    generator = np.random.default_rng(0)
    pictures = generator.integers(256, size=(48, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "cifar10.npz", images=pictures, labels=np.arange(48) % 2, test=np.arange(48) >= 22)
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    images._whole.cache_clear()


@pytest.fixture
def light(monkeypatch):
    """Little to compute in the place of the baseline's ResNet-18, whose sizes are asked about above."""
    monkeypatch.setattr(race, "baseline_network", lambda hidden: (Points(), torch.nn.Linear(Points.features, hidden)))


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_both_arms_from_end_to_end(cifar10, light, capsys):
    assert race.main(["--epochs", "1", "--until", "0"], QUICK, PLAIN) == 0
    baseline, ours, ratio = lines(capsys)
    assert (baseline["arm"], ours["arm"]) == ("baseline", "ours")
    for outcome, seen in ((baseline, 20), (ours, 16)):  # ours drops what does not fill a batch
        assert (outcome["bank"], outcome["queries"], outcome["epochs"]) == (20, 2, 1)
        assert outcome["knn_test"] is None and outcome["knn_validation"] in (0, 50, 100)
        assert outcome["images_per_second"] == pytest.approx(seen / outcome["seconds"], rel=0.1)  # rounded
        assert outcome["until"]["epoch"] == 1 and outcome["until"]["knn"] == outcome["knn_validation"]
    expected = ours["images_per_second"] / baseline["images_per_second"]
    assert ratio["ratio"] == pytest.approx(expected, rel=0.05, abs=0.01)  # of rounded numbers
    assert not any((race.paths.runs() / "race").iterdir())


def test_final_trains_on_all_training_images_and_asks_about_the_test_images_once(cifar10, capsys, monkeypatch):
    asked = []
    true = race.accuracy
    monkeypatch.setattr(race, "accuracy", lambda encoder, data: asked.append(len(data.queries)) or true(encoder, data))
    assert race.main(["--arm", "ours", "--epochs", "2", "--every", "1", "--final"], QUICK) == 0
    (outcome,) = lines(capsys)
    assert (outcome["bank"], outcome["queries"], outcome["knn_validation"]) == (22, 26, None)
    assert 0 <= outcome["knn_test"] <= 100 and asked == [26]


def test_a_time_limit_keeps_the_clock_and_what_is_done(cifar10, capsys):
    """Ours stops before its first step; so does the call after it. Without a limit it goes on."""
    call = ["--arm", "ours", "--epochs", "2", "--every", "1"]
    for _ in range(2):
        assert race.main([*call, "--time-limit", "1e-9"], QUICK) == 0
        assert "the same command goes on from here" in capsys.readouterr().out
    assert race.main(call, QUICK) == 0
    assert [outcome["restarts"] for outcome in lines(capsys)] == [2]


def test_a_baseline_in_two_pieces_ends_like_a_whole_one(light, tmp_path):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(256, (12, 3, 32, 32), dtype=torch.uint8, generator=generator)
    data = race.Data(pictures[:2], torch.tensor([0, 1]), pictures[2:4], torch.tensor([0, 1]), "none", final=True)
    recipe = replace(PLAIN, epochs=2, batch_size=2)

    def run(**options):
        watch = race.Watch("baseline", data, 2, 2, every=1, until=100)
        watch.start()
        return race.train_baseline(recipe, data, 0, watch, tmp_path / "checkpoint.pt", **options)

    whole = run()
    with pytest.raises(race.OutOfTime):
        run(deadline=-math.inf)  # the first epoch is always done
    pieces = run()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, pieces.state_dict()[name]), name


@pytest.mark.parametrize(("words", "sentence"), [
    (["--epochs", "0"], "--epochs is a whole number of at least 1, not 0"),
    (["--train-images", "9"], "--train-images is at least 10"),
    (["--time-limit", "-1"], "--time-limit is a number of seconds above 0, not -1"),
    (["--until", "101"], "--until is a percentage from 0 to 100, not 101"),
    (["--final", "--train-images", "20"], "--final takes all training images; leave out --train-images"),
])  # fmt: skip
def test_bad_options_are_one_sentence(words, sentence, capsys):
    assert race.main(words) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(("bad", "sentence"), [
    ({"method": "supervised"}, "supervised learns from labels, which the challenge forbids"),
    ({"method": "byol"}, "byol takes settings of its own, lib.methods.byol.Settings"),
    ({"method": "simclear"}, "did you mean 'simclr'"),
])  # fmt: skip
def test_bad_arms_are_one_sentence(bad, sentence):
    with pytest.raises(race.BadInput, match=sentence):
        race.Arm(**bad)
