"""One training, whoever asks for it: what `fit` hands back is what the engine keeps."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from test_engine import attacked, config

from lib import images
from lib.errors import BadInput
from lib.methods import moco_v2, relicv2
from lib.runs import compute, fit, fitting, store, untrained
from lib.training import train

CONFIGS = {
    "plain": config("simclr"),
    "attacked": attacked("simclr", "free(2)"),
    "cropped and recoloured": replace(config("simclr"), augmentation="appearance", least_crop=0.5),
    "removed": config("relicv2", settings=relicv2.Settings(removed=0.5, masks="exact")),
}


@pytest.fixture(autouse=True)
def small_scenes(monkeypatch):
    monkeypatch.setattr(images, "SCENES_BLOCK", 64)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 64, "validation": 40, "test": 40})


def data(run):
    return images.load(run.dataset, "train", run.train_images)


def same(encoder, state):
    return all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())


@pytest.mark.parametrize("case", CONFIGS)
def test_the_engine_keeps_what_fit_hands_back(case):
    run = CONFIGS[case]
    fitted = fit(run, data(run), progress=False)
    (record,), _ = compute([run], [], progress=False)
    assert same(fitted.encoder, load_file(store.folder(record["key"]) / "weights.safetensors"))
    assert len(fitted.history) == run.training.epochs and not fitted.method.training
    assert fitted.seconds == pytest.approx(sum(epoch["seconds"] for epoch in fitted.history))


def test_the_world_s_random_numbers_neither_matter_nor_move():
    run = CONFIGS["plain"]
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = untrained(run, data(run))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(untrained(run, data(run)), first.state_dict())
    assert not same(untrained(replace(run, seed=run.seed + 1), data(run)).encoder, first.encoder.state_dict())


@pytest.mark.parametrize("negatives", [None, "texture"])
def test_textures_are_made_where_the_method_reads_them(negatives, monkeypatch):
    run = config("moco_v2", settings=moco_v2.Settings(negatives=negatives))
    asked, given, part = [], [], data(run)
    monkeypatch.setattr(fitting, "textures", lambda *what: asked.append(what) or part.images.flip(0))
    monkeypatch.setattr(fitting, "train", lambda *rest, beside, **named: given.append(beside) or train(
        *rest, beside=beside, **named))  # fmt: skip
    fit(run, part, progress=False)
    assert [what[:3] for what in asked] == [("scenes", "train", run.train_images)] * (negatives is not None)
    assert [list(beside) for beside in given] == [["textures"] if negatives else []]


def test_what_is_no_single_training_of_these_images_is_refused():
    run = CONFIGS["plain"]
    with pytest.raises(BadInput, match="fusion is made of 3 trainings: fit its members"):
        fit(replace(run, augmentation="fusion"), data(run))
    with pytest.raises(BadInput, match=f"the run trains on {run.train_images} images, and {run.train_images + 1} are"):
        fit(run, images.load("scenes", "train", run.train_images + 1))
