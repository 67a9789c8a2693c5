"""The measurement of what attacks cost: that it predicts by its own formula and times what it says."""

import json

import pytest
import torch

from benchmarks import attack_cost
from lib.training import Attack

TIMES = [10.0, 15.0, 34.0, 27.0]  # of a turn: plain training, then FGSM, PGD(5) and free(3)


def test_predictions_by_hand():
    """FGSM and PGD(5) add one and five passes of two thirds; free(3) trains three times."""
    found = {name: attack_cost.predicted(attack) for name, attack in attack_cost.ATTACKS.items()}
    assert found == pytest.approx({"fgsm": 5 / 3, "pgd(5)": 13 / 3, "free(3)": 3})
    assert attack_cost.predicted(Attack("free(1)")) == 1


@pytest.mark.parametrize("method", ["simclr", "supervised"])
def test_trainings_take_turns_and_the_median_counts(method, monkeypatch):
    """Sixteen images in two batches, by a clock of our own. In the second turn the machine is a hundred times slower,
    which no ratio shows; in the third something else delays the attacks alone, which no median shows."""
    monkeypatch.setattr(attack_cost, "IMAGES", 16)
    monkeypatch.setattr(attack_cost, "BATCH", 8)
    trained, timed, true = [], [], attack_cost.fit

    def fit(config, data, progress):
        assert (config.method, config.encoder) == (method, "resnet10_narrow")
        trained.append((config.attack, config.training.epochs, config.training.batch_size, len(data.images)))
        return true(config, data, progress=progress)

    def seconds(work):
        turn, place = divmod(len(timed), len(TIMES))
        if turn == 0:
            work()
        timed.append(work)
        return TIMES[place] * (100 if turn == 1 else 1) * (50 if turn == 2 and place else 1)

    monkeypatch.setattr(attack_cost, "fit", fit)
    monkeypatch.setattr(attack_cost, "seconds", seconds)
    found = attack_cost.ratios(method, "resnet10_narrow", torch.device("cpu"), repeats=3)
    assert found == pytest.approx({"fgsm": 1.5, "pgd(5)": 3.4, "free(3)": 2.7})
    assert timed == timed[:4] * 3 and len(set(timed)) == 4
    plain, *attacks = [attack for attack, *_ in trained[1:]]  # after one that warms up
    assert plain is trained[0][0] is None and attacks == list(attack_cost.ATTACKS.values())
    assert {run[1:] for run in trained} == {(1, 8, 16)}


def test_what_is_reported(monkeypatch, capsys):
    """Measured 2 where 5 / 3 was predicted: a fifth more."""
    asked = []

    def ratios(method, encoder, device):
        asked.append(method)
        return {"fgsm": 2.0}

    monkeypatch.setattr(attack_cost, "ratios", ratios)
    attack_cost.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    assert lines == [{"attack": "fgsm", "measured": 2.0, "predicted": 1.67, "off": 0.2}] * 2
    assert asked == ["simclr", "supervised"]
