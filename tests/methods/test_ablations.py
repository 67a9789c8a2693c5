"""Short trainings on scenes: each method beats random weights, and beats itself without what keeps it from collapse.

Features are judged by the linear probe on validation images; "beats" is three standard errors of the paired difference.
SimSiam, DINO and SwAV are not here: within a few hundred steps of scenes they stay near the control. On CIFAR-10 the
committed rows hold them against it.
"""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.images import load, scenes
from lib.measures import extract, fit_probe
from lib.methods import METHODS, build_method, dcl, moco_v2, moco_v3, nnclr, simclr
from lib.models import build_encoder
from lib.runs import grid
from lib.training import train

EPOCHS = 12
# A slow copy is made for thousands of steps. These two learn within hundreds with a faster one, with SGD, and with
# objects that mostly wear the texture of their class.
HASTENED = ("moco_v2", "byol")
FASTER = {"momentum": 0.9, "queue": 512}
SGD = {"optimiser": "sgd", "learning_rate": 0.2, "weight_decay": 5e-4}
LABELLED = ("supervised", "supcon")  # their ablation: labels that belong to other images


def pull_pairs(first, second, *_):
    """What is left of a contrast without its negatives."""
    return -F.cosine_similarity(first, second, dim=1).mean()


def no_predictor(method):
    method.predictor = nn.Identity()


def only_invariance(method):
    whole = method.forward
    method.forward = lambda views: {"invariance": whole(views)["invariance"]}


# method: (functions of its module that are replaced, what is done to the method)
ABLATIONS = {
    "simclr": ({(simclr, "nt_xent"): pull_pairs}, None),
    "dcl": ({(dcl, "dcl"): pull_pairs}, None),
    "moco_v2": ({(moco_v2, "info_nce"): pull_pairs}, None),
    "moco_v3": ({(moco_v3, "batch_contrast"): pull_pairs}, no_predictor),
    "nnclr": ({(nnclr, "contrast"): pull_pairs}, no_predictor),
    "byol": ({}, no_predictor),
    "barlow_twins": ({}, only_invariance),
    "vicreg": ({}, only_invariance),
    "relic": ({}, only_invariance),
    "emp_ssl": ({}, only_invariance),
}


@functools.cache
def pictures(textured):
    """Images and labels for training, then for validation."""
    if textured:
        training, validation = (
            scenes.render(2_000, textured=True),
            scenes.render(1_000, split="validation", textured=True),
        )
        return training.images, training.factors["shape"], validation.images, validation.factors["shape"]
    training, validation = load("scenes", "train", 2_000), load("scenes", "validation")
    return training.images, training.labels, validation.images, validation.labels


def right(name, ablate=None, shuffled=False, textured=False):
    """Whether the probe is right on each validation scene after a short training."""
    config = grid("quick", [name], seeds=[0])[0]
    images, labels, others, answers = pictures(textured)
    torch.manual_seed(0)
    settings, plan = config.settings, config.training
    if METHODS[name].trained:
        plan = dataclasses.replace(plan, epochs=EPOCHS // 2 if name == "emp_ssl" else EPOCHS)  # four times the views
    if name in HASTENED:
        settings = dataclasses.replace(settings, **{key: FASTER[key] for key in FASTER if hasattr(settings, key)})
        plan = dataclasses.replace(plan, **SGD)
    method = build_method(name, build_encoder(config.encoder), settings, classes=10)
    method.views = tuple(dataclasses.replace(view, crop_scale=(config.least_crop, 1.0)) for view in method.views)
    if ablate:
        ablate(method)
    taught = labels[torch.randperm(len(labels))] if shuffled else labels
    train(method, images, taught, plan, seed=0, progress=False)
    features, asked = extract(method.encoder, images), extract(method.encoder, others)
    probe = fit_probe(features, labels, asked, answers)
    return (probe.predict(asked) == answers).numpy().astype(float)


@functools.cache
def control(textured):
    return right("random", textured=textured)


def beats(better, worse):
    difference = better - worse
    return difference.mean() > 3 * difference.std() / np.sqrt(len(difference))


@pytest.mark.parametrize("name", [*ABLATIONS, *LABELLED])
def test_a_method_beats_the_control_and_its_own_ablation(name, monkeypatch):
    textured = name in HASTENED
    whole = right(name, textured=textured)
    if name in ABLATIONS:
        functions, ablate = ABLATIONS[name]
        for (module, function), other in functions.items():
            monkeypatch.setattr(module, function, other)
        without = right(name, ablate, textured=textured)
    else:
        without = right(name, shuffled=True)
    print(f"{name}: {whole.mean():.3f}, without {without.mean():.3f}, control {control(textured).mean():.3f}")
    assert beats(whole, control(textured)) and beats(whole, without)
