"""Encoders to take home: what they are is what their cards say, and each shows what the live sections use it for."""

import hashlib
import json

import pytest
import torch

from lib import images
from lib.errors import BadInput
from lib.images import load
from lib.measures import BackgroundReliance, NegativeSimilarity, Subject, extract, load_encoder, proportion_interval
from lib.measures.read_out import target
from lib.measures.regression import nested, r_squared_interval
from lib.models import handed
from lib.models.named import open_encoder
from lib.runs import RunConfig
from lib.shifts import textures
from lib.shifts.adversary import cross_entropy, pgd
from lib.shifts.corruptions import corrupted_alike

CPU = torch.device("cpu")
SCENES = [name for name in handed.cards() if name.startswith("scenes-")]


def test_files_are_those_of_their_cards_and_small():
    sizes = {path.stem: path.stat().st_size for path in handed.FOLDER.glob("*.safetensors")}
    assert sizes == {name: card["bytes"] for name, card in handed.cards().items()}
    assert max(sizes.values()) < 3e6 and sum(sizes.values()) < 25e6
    for name, card in handed.cards().items():
        data = (handed.FOLDER / f"{name}.safetensors").read_bytes()
        assert hashlib.sha256(data).hexdigest() == card["sha256"]
        RunConfig.from_dict(card["config"])
        assert card["licence"] and not card["trained"]["commit"].endswith("+")


@pytest.mark.parametrize("name", SCENES)
def test_the_probe_is_as_accurate_as_the_card_says(name):
    test = load("scenes", "test")
    own = load_encoder(name)
    right = own.probe.predict(extract(own.encoder, test.images, "fp32")) == test.labels
    found = proportion_interval(right.numpy())
    assert len(test.labels) == own.card["probe"]["test images"]
    assert [found.mean, found.low, found.high] == pytest.approx(own.card["probe"]["accuracy"], abs=0.3)
    assert own.classes == test.classes
    assert found.low > 33  # random weights have about 31


def test_a_clean_image_is_read_rightly_before_it_is_corrupted():
    test, own = load("scenes", "test", 200), load_encoder("scenes-simclr")
    wrong = [
        own.probe.predict(extract(own.encoder, images, "fp32")) != test.labels
        for images in (test.images, corrupted_alike(test.images, "fog", 5))
    ]
    assert (~wrong[0] & wrong[1]).sum() >= 10
    assert wrong[1].sum() > wrong[0].sum()


def spared(name):
    """The share of the scenes that an encoder reads rightly of which PGD at 8/255 leaves it the right answer."""
    test, classifier = load("scenes", "test", 100), load_encoder(name).classifier
    images = test.images.float() / 255
    right = classifier.right(images, test.labels)
    chosen, labels = images[right], test.labels[right]
    worst = pgd(chosen, lambda x: cross_entropy(classifier(x), labels), 8 / 255, 2 / 255, 20, modules=classifier)
    return classifier.right(worst, labels).float().mean().item()


def test_an_attack_turns_right_answers_and_spares_more_of_the_defended():
    assert spared("scenes-simclr") < min(0.3, spared("scenes-simclr-free"))


def test_the_negative_is_pushed_away(monkeypatch):
    monkeypatch.setattr(textures, "CACHED", 100)

    def of(name):
        rows = NegativeSimilarity(100).rows(Subject(load_encoder(name).encoder, "scenes", 2000, "fp32", CPU))
        return rows[rows["level"].isna()].set_index("subset")["value"]

    plain, pushed = of("scenes-moco_v2"), of("scenes-moco_v2-patch")
    assert pushed.filter(like="patch").iloc[0] < plain.filter(like="patch").iloc[0] - 3  # points of a cosine


def test_a_background_turns_decisions(monkeypatch):
    """Where walls are tied to classes; of the other world, which it is not asked about, there are few scenes."""
    monkeypatch.setattr(images, "SCENES_BLOCK", 200)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 200, "validation": 200})
    rows = BackgroundReliance(400).rows(Subject(load_encoder("scenes-relicv2").encoder, "scenes", 200, "fp32", CPU))
    gap = rows[(rows["shift"] == "tied scenes") & (rows["subset"] == "")]["value"]
    assert gap.iloc[0] > 5  # points between objects before the walls of their own class and of another


def test_an_encoder_that_looks_through_jitter_loses_the_hue():
    test = load("scenes", "test", 600)
    wanted = target("object_hue", test.factors["object_hue"])
    read = {}
    for recipe in ("spatial", "appearance"):
        features = extract(load_encoder(f"scenes-moco_v2-{recipe}").encoder, test.images, "fp32")
        read[recipe] = r_squared_interval(wanted, nested(features, wanted))
    assert read["appearance"].high < read["spatial"].low


def test_by_name_it_is_the_same_encoder_behind_the_door():
    images = load("scenes", "test", 8).images
    own, named = load_encoder("scenes-simclr").encoder, open_encoder("small:scenes-simclr")
    with torch.no_grad():
        torch.testing.assert_close(named.encoder(images / 255), own(images / 255))
    assert "simclr on scenes" in named.source
    other = open_encoder("small:scenes-simclr?weights=random")
    assert not torch.equal(other.encoder(images / 255), named.encoder(images / 255))


def test_what_is_damaged_or_unknown_is_refused(tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="unknown encoder to take home 'simclrr'"):
        load_encoder("simclrr")
    monkeypatch.setattr(handed, "FOLDER", tmp_path)
    card = {"sha256": "0" * 64, "config": {"encoder": "resnet10_narrow"}}
    (tmp_path / "cards.json").write_text(json.dumps({"mine": card}))
    with pytest.raises(BadInput, match="mine.safetensors is not here"):
        load_encoder("mine")
    (tmp_path / "mine.safetensors").write_bytes(b"0")
    with pytest.raises(BadInput, match="mine.safetensors is damaged"):
        load_encoder("mine")
