"""The measurement of costs: that it counts what it says, not how fast it is."""

import sys

import pytest

from benchmarks import costs
from lib.runs import PRESETS, Fitted
from lib.runs.store import COST_COLUMNS


def test_a_measurement_is_scaled_to_an_epoch(monkeypatch):
    """With a history of our own: eight steps in 4 s make 31 steps in 15.5 s; the first, which warms up, is not read."""
    seen = {}

    def fit(config, data, progress):
        seen.update(images=len(data.images), plan=config.training)
        return Fitted(None, [{"seconds": 99.0}, {"seconds": 4.0}])

    monkeypatch.setattr(costs, "fit", fit)
    line = costs.measure("simclr", "quick")
    scale = PRESETS["quick"]
    assert line["seconds_per_epoch"] == 4.0 / 8 * (scale.train_images // scale.batch_size) == 15.5
    assert seen["images"] == 8 * scale.batch_size
    assert seen["plan"].batch_size == scale.batch_size and seen["plan"].epochs == 2


def test_every_method_is_measured_in_every_round():
    found = costs.rounds(["random", "simclr"], "quick", 2)
    assert list(found.columns) == list(COST_COLUMNS)
    assert list(found["method"]) == ["random", "simclr"] * 2 and list(found["round"]) == [0, 0, 1, 1]
    assert (found["seconds_per_epoch"] > 0).all()


def test_an_unknown_preset_is_one_sentence(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks.costs", "--preset", "smal"])
    assert costs.main() == 2
    assert "unknown preset 'smal' (did you mean 'small'?)" in capsys.readouterr().err


@pytest.mark.parametrize("rounds", ["0", "two"])
def test_rounds_are_counted(rounds, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks.costs", "--rounds", rounds])
    with pytest.raises(SystemExit) as error:
        costs.main()
    assert error.value.code == 2 and "rounds is a whole number of at least 1" in capsys.readouterr().err
