"""Short trainings on scenes: each method beats random weights, and beats itself without what keeps it from collapse.

Objects mostly wear the texture of their class, which a small encoder reads within a few hundred steps. Features are
judged by the linear probe on validation images; "beats" is three standard errors of the paired difference.
"""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.images import scenes
from lib.measures import extract, fit_probe
from lib.methods import METHODS, PLAIN, barlow_twins, build_method, dcl, moco_v2, moco_v3, nnclr, simclr, swav
from lib.models import build_encoder
from lib.runs import PRESETS, grid
from lib.shifts.saliency import remove_background
from lib.training import train
from lib.views import View

EPOCHS = 12
LEAST_CROP = PRESETS["quick"].least_crop
PAIR = (View(crop_scale=(LEAST_CROP, 1.0)),) * 2
LABELLED = ("supervised", "supcon")  # their ablation: labels that belong to other images


def sgd(rate):
    return {"optimiser": "sgd", "learning_rate": rate, "weight_decay": 5e-4}


# What a run of 372 steps asks of methods made for thousands: a short queue, since keys of an encoder that changes fast
# are soon stale; for BYOL a slow copy that follows sooner (MoCo v2 collapses with it); fewer prototypes, sharper codes,
# a narrower projection; SGD at a high rate. SwAV, DINO and ReLICv2 read pairs: a crop of 16 px is too small
# to tell scenes by.
SETTINGS = {
    "moco_v2": {"queue": 128},
    "byol": {"momentum": 0.9},
    "dino": {"prototypes": 64},
    "barlow_twins": {"projection": 128, "redundancy": 0.02},
    "swav": {"prototypes": 64, "epsilon": 0.02},
}
TRAINING = {name: sgd(0.2) for name in ("byol", "dino", "barlow_twins", "swav")} | {
    "simsiam": sgd(0.5),
    "emp_ssl": {"epochs": EPOCHS // 2},  # of four times the views
}
VIEWS = {"swav": PAIR, "dino": PAIR, "relicv2": PAIR}


def pull_pairs(first, second, *_):
    """What is left of a contrast without its negatives."""
    return -F.cosine_similarity(first, second, dim=1).mean()


def pull_features(first, second):
    """What is left of a correlation whose features need not vary."""
    return (first - second).square().mean(), 0 * first.sum()


def no_predictor(method):
    method.predictor = nn.Identity()


def only_invariance(method):
    whole = method.forward
    method.forward = lambda views: {"invariance": whole(views)["invariance"]}


def no_sharpening(method):
    """The teacher is as soft as the student."""
    soft = method.settings.student_temperature
    method.settings = dataclasses.replace(method.settings, first_temperature=soft, teacher_temperature=soft)
    method.teacher_temperature.fill_(soft)


def no_balance(scores, epsilon, iterations):
    """The code of each image on its own: all may choose one prototype."""
    return (scores / epsilon).softmax(dim=1)


# method: (functions of its module that are replaced, what is done to the method)
ABLATIONS = {
    "simclr": ({(simclr, "nt_xent"): pull_pairs}, None),
    "dcl": ({(dcl, "dcl"): pull_pairs}, None),
    "moco_v2": ({(moco_v2, "info_nce"): pull_pairs}, None),
    "moco_v3": ({(moco_v3, "batch_contrast"): pull_pairs}, no_predictor),
    "nnclr": ({(nnclr, "contrast"): pull_pairs}, no_predictor),
    "byol": ({}, no_predictor),
    "simsiam": ({}, no_predictor),
    "dino": ({}, no_sharpening),
    "barlow_twins": ({(barlow_twins, "correlation_terms"): pull_features}, None),
    "vicreg": ({}, only_invariance),
    "swav": ({(swav, "sinkhorn"): no_balance}, None),
    "emp_ssl": ({}, only_invariance),
    "relic": ({}, only_invariance),
    "relicv2": ({}, only_invariance),
}


@functools.cache
def pictures():
    """Images, labels and images without background for training, then images and labels for validation."""
    training, validation = (
        scenes.render(count, split=split, textured=True) for count, split in ((2_000, "train"), (1_000, "validation"))
    )
    objects = remove_background(training.images, training.masks)
    return training.images, training.factors["shape"], objects, validation.images, validation.factors["shape"]


def right(name, ablate=None, shuffled=False):
    """Whether the probe is right on each validation scene after a short training."""
    config = grid("quick", [name], seeds=[0])[0]
    images, labels, objects, others, answers = pictures()
    torch.manual_seed(0)
    plan = config.training
    if METHODS[name].trained:
        plan = dataclasses.replace(plan, **({"epochs": EPOCHS} | TRAINING.get(name, {})))
    settings = dataclasses.replace(config.settings, **SETTINGS.get(name, {}))
    method = build_method(name, build_encoder(config.encoder), settings, classes=10)
    method.views = VIEWS.get(name) or tuple(
        dataclasses.replace(view, crop_scale=(LEAST_CROP, 1.0)) for view in method.views
    )
    if ablate:
        ablate(method)
    taught = labels[torch.randperm(len(labels))] if shuffled else labels
    train(method, images, taught, plan, seed=0, progress=False, removed=objects)
    features, asked = extract(method.encoder, images), extract(method.encoder, others)
    probe = fit_probe(features, labels, asked, answers)
    return (probe.predict(asked) == answers).numpy().astype(float)


@functools.cache
def control():
    return right("random")


def beats(better, worse):
    difference = better - worse
    return difference.mean() > 3 * difference.std() / np.sqrt(len(difference))


@pytest.mark.parametrize("name", [*ABLATIONS, *LABELLED])
def test_a_method_beats_the_control_and_its_own_ablation(name, monkeypatch):
    whole = right(name)
    if name in ABLATIONS:
        functions, ablate = ABLATIONS[name]
        for (module, function), other in functions.items():
            monkeypatch.setattr(module, function, other)
        without = right(name, ablate)
    else:
        without = right(name, shuffled=True)
    print(f"{name}: {whole.mean():.3f}, without {without.mean():.3f}, control {control().mean():.3f}")
    assert beats(whole, control()) and beats(whole, without)


def test_no_method_that_is_trained_without_an_attack_is_left_out():
    assert {*ABLATIONS, *LABELLED} == {name for name in PLAIN if METHODS[name].trained}
