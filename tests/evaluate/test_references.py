"""The book's encoders stand beside a stranger's where data, protocol and measure are the same, and nowhere else."""

import numpy as np
import pandas as pd
import pytest

from lib import paths
from lib.evaluate.data import Data
from lib.evaluate.plan import Plan
from lib.evaluate.references import references
from lib.evaluate.subject import Sizes
from lib.measures import Accuracy
from lib.runs import store

MEASURE = Accuracy().identity
CELL = {"shift": "none", "subset": "", "level": np.nan, "level_unit": "", "metric": "probe accuracy",
        "standard_error": 1.0, "images": 1_000}  # fmt: skip
DATA = Data("cifar10", ("a", "b"), "c" * 64, "cifar10", {"train": 10_000, "validation": 100, "test": 1_000}, 32)
MINE = {"encoder": "mine <b>", "reader": "probe", "axis": "clean", "run": "door", "measure": MEASURE, "value": 70.0}
OURS = pd.DataFrame([CELL | MINE])


def publish(tmp_path, monkeypatch, **changed):
    """Three seeds of two methods; in one thing they may differ."""
    records, rows = [], []
    for place, method in enumerate(("simclr", "byol")):
        for seed in range(3):
            key = f"{place}{seed}" + "0" * 14
            data = {"checksum": changed.get("checksum", "c" * 64), "train_images": changed.get("train", 10_000)}
            config = {"method": method, "encoder": "resnet10", "dataset": "cifar10", "settings": {}, "seed": seed}
            records.append({"key": key, "config": config, "data": data})
            rows.append(
                CELL | {"run": key, "measure": changed.get("measure", MEASURE), "value": 60.0 + 20 * place + seed}
            )
    store.write_published(tmp_path / "results" / "study" / "small", records, pd.DataFrame(rows))
    monkeypatch.setattr(paths, "RESULTS", tmp_path / "results")


def found(train=10_000):
    return references(OURS, DATA, Plan(Sizes(train, 100, 1_000), 100, {}))


def test_an_encoder_stands_in_its_place(tmp_path, monkeypatch):
    publish(tmp_path, monkeypatch)
    (table,) = found().tables.values()
    assert list(table["encoder"]) == ["BYOL, resnet10 (the book)", "→ mine <b>", "SimCLR, resnet10 (the book)"]
    assert list(table["runs"]) == [3, 1, 3] and table.iloc[0, 2].startswith("81.0 [") and not found().reason


@pytest.mark.parametrize(("changed", "words"), [
    ({"checksum": "d" * 64}, "no rows on these images"),
    ({"train": 5_000}, "by probes of 5,000 training images, and here of 10,000"),
    ({"measure": "accuracy()#0.9"}, "or on other numbers of test images"),
])  # fmt: skip
def test_what_was_measured_otherwise_is_not_mixed(tmp_path, monkeypatch, changed, words):
    publish(tmp_path, monkeypatch, **changed)
    assert not found().tables and words in found().reason


def test_the_published_rows_of_the_book_can_be_read():
    """Of no stranger's data: nothing is placed among them, and the sentence says why."""
    assert "no rows on these images" in found().reason
