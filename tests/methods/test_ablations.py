"""Short trainings on scenes: each method beats random weights, and beats itself without what keeps it from collapse.

Features are judged by the linear probe on validation images; "beats" is three standard errors of the paired difference.
"""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from lib.images import load
from lib.measures import extract, fit_probe
from lib.methods import METHODS, build_method, dcl, moco_v2, moco_v3, nnclr, simclr, simsiam, swav
from lib.models import build_encoder
from lib.runs import grid
from lib.training import train

EPOCHS = 12


def pull_pairs(first, second, *_):
    """What is left of a contrast without its negatives."""
    return -F.cosine_similarity(first, second, dim=1).mean()


def no_predictor(method):
    method.predictor = nn.Identity()


def only_invariance(method):
    whole = method.forward
    method.forward = lambda views: {"invariance": whole(views)["invariance"]}


def no_sharpening(method):
    method.settings = dataclasses.replace(method.settings, first_temperature=1.0, teacher_temperature=1.0)
    method.teacher_temperature.fill_(1.0)


def soft_codes(scores, epsilon, iterations):
    return F.softmax(scores / epsilon, dim=1)


# method: (functions of its module that are replaced, what is done to the method)
ABLATIONS = {
    "simclr": ({(simclr, "nt_xent"): pull_pairs}, None),
    "dcl": ({(dcl, "dcl"): pull_pairs}, None),
    "moco_v2": ({(moco_v2, "info_nce"): pull_pairs}, None),
    "moco_v3": ({(moco_v3, "batch_contrast"): pull_pairs}, no_predictor),
    "nnclr": ({(nnclr, "contrast"): pull_pairs}, no_predictor),
    "byol": ({}, no_predictor),
    "simsiam": ({(simsiam, "distance"): pull_pairs}, None),  # the gradient is not stopped
    "dino": ({}, no_sharpening),
    "barlow_twins": ({}, only_invariance),
    "vicreg": ({}, only_invariance),
    "swav": ({(swav, "sinkhorn"): soft_codes}, None),  # clusters may be of any size
    "emp_ssl": ({}, only_invariance),
    "relic": ({}, only_invariance),
}


def right(name, ablate=None, shuffled=False):
    """Whether the probe is right on each of 1,000 validation scenes after a short training."""
    config = grid("quick", [name], seeds=[0])[0]
    data, validation = load("scenes", "train", config.train_images), load("scenes", "validation")
    torch.manual_seed(0)
    method = build_method(name, build_encoder(config.encoder), config.settings, len(data.classes))
    method.views = tuple(dataclasses.replace(view, crop_scale=(config.least_crop, 1.0)) for view in method.views)
    if ablate:
        ablate(method)
    plan = dataclasses.replace(config.training, epochs=EPOCHS) if METHODS[name].trained else config.training
    labels = data.labels[torch.randperm(len(data.labels))] if shuffled else data.labels
    train(method, data.images, labels, plan, seed=0, progress=False)
    features, others = extract(method.encoder, data.images), extract(method.encoder, validation.images)
    probe = fit_probe(features, data.labels, others, validation.labels)
    return (probe.predict(others) == validation.labels).numpy().astype(float)


@functools.cache
def control():
    return right("random")


def beats(better, worse):
    difference = better - worse
    return difference.mean() > 3 * difference.std() / np.sqrt(len(difference))


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.trained])
def test_a_method_beats_the_control_and_its_own_ablation(name, monkeypatch):
    whole = right(name)
    if name in ABLATIONS:
        functions, ablate = ABLATIONS[name]
        for (module, function), other in functions.items():
            monkeypatch.setattr(module, function, other)
        without = right(name, ablate)
    else:
        without = right(name, shuffled=True)  # labels that belong to other images
    print(f"{name}: {whole.mean():.3f}, without {without.mean():.3f}, control {control().mean():.3f}")
    assert beats(whole, control()) and beats(whole, without)
