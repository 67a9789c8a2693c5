"""`benchmarks.minutes`: each arm on a few images, its judge and its clock, and what the page says of the lines."""

import io

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier
from torch import nn

from benchmarks import minutes as bench
from lib.chapters.methods import minutes
from lib.errors import BadInput
from lib.figures.prose import UNTOLD
from lib.images import Split, load

LINES = pd.read_csv(
    io.StringIO(
        """arm,encoder,batch_size,epochs,images,minutes,knn,error,bank,queries,device,commit
"narrow, 1 epoch",resnet10_narrow,128,1,44928,1.5,40.0,1.1,5000,2000,a CPU,abc
"narrow, 2 epochs",resnet10_narrow,128,2,44928,1.5,38.0,1.1,5000,2000,a CPU,abc
"narrow, 2 epochs",resnet10_narrow,128,2,89856,3.0,44.0,1.1,5000,2000,a CPU,abc
"narrow, 2 epochs, batches of 64",resnet10_narrow,64,2,89856,4.0,46.0,1.1,5000,2000,a CPU,abc
"wider, 1 epoch",resnet10,128,1,44928,6.0,45.0,1.1,5000,2000,a CPU,abc
lightly,ResNet-18,128,200,0,0.0,26.0,1.0,5000,2000,a CPU,abc
lightly,ResNet-18,128,200,3840,10.0,30.0,1.0,5000,2000,a CPU,abc
lightly,ResNet-18,128,200,7680,20.0,42.0,1.0,5000,2000,a CPU,abc
"""
    )
)


def test_minutes_to_the_peer_s_accuracy():
    """By hand: 42 % is passed by the ends at 3, 4 and 6 minutes, and the first of them counts; 38 % on the way does
    not, nor does 40."""
    assert minutes.compared(LINES) == {"mark": 42.0, "arm": "narrow, 2 epochs", "ours": 3.0, "peer": 20.0, "ratio": 6.7}


def test_what_was_not_reached_or_not_measured_is_nan():
    never = minutes.compared(LINES[LINES["knn"] <= 42])
    assert never["mark"] == 42 and never["arm"] == "" and np.isnan([never["ours"], never["ratio"]]).all()
    alone = minutes.compared(LINES[LINES["arm"] != "lightly"])
    assert np.isnan([alone["mark"], alone["peer"], alone["ratio"]]).all()


def test_the_figure_has_ends_of_ours_and_the_way_of_the_peer():
    figure = minutes.minutes_bought(LINES)
    shown = figure.data.set_index("minutes")["kNN accuracy (%)"].to_dict()
    assert shown == {1.5: 40.0, 3.0: 44.0, 4.0: 46.0, 6.0: 45.0, 10.0: 30.0, 20.0: 42.0}
    assert "narrow ResNet-10: 40 percent after 1.5, 44 percent after 3.0 and 46 percent after 4.0" in figure.alt
    assert [text.get_text() for text in figure.drawing.axes[0].texts] == ["64"]  # the other batch, beside its dot
    assert figure.notes.endswith("Before training ResNet-18 (lightly): 26 %.")
    with pytest.raises(BadInput, match=r"benchmarks\.minutes"):
        minutes.minutes_bought(LINES[:0])


def test_the_words_follow_the_lines():
    told = minutes.minutes_told(LINES).data
    assert "knows 42 % of the validation images after 20 minutes, and 26 % before any." in told
    assert "Ours knows at least as many after 3.0 minutes, 7 times" in told
    assert "The most that was reached is 46 %, by a narrow ResNet-10 after 4 minutes." in told
    assert "None of ours" in minutes.minutes_told(LINES[LINES["knn"] <= 42]).data
    assert "lightly" not in minutes.minutes_told(LINES[LINES["arm"] != "lightly"]).data
    assert minutes.minutes_told(LINES[:0]).data == UNTOLD


def test_lines_are_added_to_those_that_are_there(tmp_path):
    path = tmp_path / "minutes.csv"
    assert minutes.read(path).empty
    minutes.append(path, LINES[:1])
    minutes.append(path, LINES[1:])
    pd.testing.assert_frame_equal(minutes.read(path), LINES)
    path.write_text("arm,knn\na,1\n")
    with pytest.raises(BadInput, match="has the columns arm, knn; they are: arm, encoder"):
        minutes.read(path)


def split(images, labels):
    return Split(images, labels, ("a", "b", "c", "d"), "", "drawn")


class Means(nn.Module):
    features = 3

    def forward(self, images):
        return images.mean(dim=(2, 3))


def test_the_judge_is_scikit_learn_s_neighbours(generator):
    """Of one neighbour each, so that weights do not matter; the error is that of a proportion."""
    images = torch.randint(256, (60, 3, 8, 8), generator=generator, dtype=torch.uint8)
    images = (images * torch.rand(60, 3, 1, 1, generator=generator)).to(torch.uint8)
    labels = torch.randint(4, (60,), generator=generator)
    bank, queries = (split(images[part], labels[part]) for part in (slice(40), slice(40, 60)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bench, "knn_predict", lambda *given: whole(*given, k=1))
        accuracy, error = bench.judged(encoder := Means().train(), bank, queries, bench.Standardised())
    features = images.double().mean(dim=(2, 3)).numpy() / 255
    features = (features - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    peer = KNeighborsClassifier(1, metric="cosine").fit(features[:40], labels[:40])
    share = (peer.predict(features[40:]) == labels[40:].numpy()).mean()
    assert accuracy == pytest.approx(100 * share) and encoder.training
    assert error == pytest.approx(100 * np.sqrt(share * (1 - share) / 20), abs=1e-3)


whole = bench.knn_predict


def test_the_clock_stands_still_while_neighbours_are_counted(monkeypatch):
    now = iter([0.0, 5.0, 40.0, 100.0, 1000.0, 1030.0, 2000.0])
    monkeypatch.setattr(bench.time, "process_time", lambda: next(now))
    clock = bench.Clock("arm", "encoder", bench.Arm("resnet10", 2), lambda encoder: (50.0, 1.0))
    for seen in (0, 10, 20):
        clock.look(None, seen)
    assert [(line["images"], line["minutes"]) for line in clock.lines] == [(0, 0.0), (10, 1.0), (20, 1.5)]


def test_lightly_s_training_is_judged_on_its_way(mine):
    data = load("mine", "train")
    judge = lambda encoder: (float(encoder(torch.zeros(2, 3, 32, 32)).shape[1]), 1.0)  # noqa: E731
    lines = bench.lightly(data, judge, 1e-9, bench.Lightly(batch_size=8, epochs=1))
    assert [(line["images"], line["knn"]) for line in lines] == [(0, 512.0), (8, 512.0), (16, 512.0), (24, 512.0)]


@pytest.mark.parametrize(("batch", "rate"), [(64, 0.05), (256, 0.2)])
def test_the_rate_goes_with_the_batch(mine, monkeypatch, batch, rate):
    """SimCLR's 0.2 for a batch of 256, and a tenth of the epochs to rise."""
    asked = []
    monkeypatch.setattr(bench, "fit", lambda config, *given, **options: asked.append(config))
    bench.ours("arm", bench.Arm("resnet10_narrow", 4, batch), load("mine", "train"), lambda encoder: (0.0, 0.0))
    (config,) = asked
    assert config.training.learning_rate == pytest.approx(rate) and config.training.batch_size == batch
    assert config.training.warmup_epochs == pytest.approx(0.4) and config.train_images is None


def test_an_arm_of_ours_from_end_to_end(tmp_path, monkeypatch, mine):
    of_part = {"train": "train", "validation": "test"}
    monkeypatch.setattr(bench, "load", lambda name, part, count=None: load("mine", of_part[part]))
    monkeypatch.setitem(bench.ARMS, "narrow, 1 epoch", bench.Arm("resnet10_narrow", 2, 8))
    path = tmp_path / "minutes.csv"
    words = ["--arms", '["narrow, 1 epoch"]', "--to", str(path)]
    assert bench.main(words) == 0
    lines = minutes.read(path)
    trained = len(load("mine", "train").images) // 8 * 8
    assert list(lines["images"]) == [0, trained, 2 * trained] and (lines["minutes"].diff().dropna() > 0).all()
    assert bench.main(words) == 2  # it is there already
    assert bench.main(["--arms", '["none"]', "--to", str(path)]) == 2
    assert bench.main(["--minutes", "-1", "--to", str(path)]) == 2
