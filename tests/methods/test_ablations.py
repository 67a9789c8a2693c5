"""What keeps each method from collapse is wired in: a toy training with it, one without it, and no training at all.

An image of the toy is a point of sixteen numbers that its views share and eight, twice as large, that each view draws
anew, turned at random. A small network learns from them within some forty steps, and one that is taken what keeps
it from collapse has then nearly one answer for all images. Both are told apart by an effect so large that no seed, no
precision and no processor turns it round, and that is asked of several seeds in float32 and in bfloat16.
"""

import dataclasses

import pytest
import torch
from lightly.models.modules.heads import ProjectionHead
from torch import nn
from torch.nn import functional as F

from lib.methods import METHODS, build_method, dcl, moco_v2, moco_v3, nnclr, simclr, swav
from lib.precision import autocast

IMAGES, CLASSES, SHARED, OWN = 64, 4, 16, 8
CONDITIONS = [("fp32", 0), ("fp32", 1), ("bf16", 3)]
LABELLED = ("supervised", "supcon")  # their ablation: labels that belong to other images

# Sizes of a toy. What some forty steps ask of methods made for thousands: targets that follow within a few of them, and
# for EMP-SSL a weight of the invariance at which the coding rate moves anything.
SIZES = {"hidden": 64, "projection": 32, "bottleneck": 8, "prototypes": 32, "views": 4}
SETTINGS = {
    "moco_v2": {"queue": 128},
    "nnclr": {"queue": 128},
    "moco_v3": {"momentum": 0.5},
    "byol": {"momentum": 0.5},
    "relic": {"momentum": 0.5},
    "relicv2": {"momentum": 0.5},
    "dino": {"momentum": 0.95},
    "barlow_twins": {"redundancy": 0.05},
    "emp_ssl": {"invariance": 20.0},
}
# Steps of the optimiser and its rate.
PLANS = {
    "moco_v2": (60, 0.1),
    "moco_v3": (40, 0.3),
    "byol": (60, 0.1),
    "simsiam": (60, 0.2),
    "dino": (60, 0.1),
    "barlow_twins": (60, 0.3),
    "vicreg": (60, 0.06),
    "relic": (40, 0.3),
    "relicv2": (40, 0.3),
}


class Network(nn.Module):
    """In the place of an encoder: (N, 3, 4, 4) -> (N, 32)."""

    features = 32

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(48, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, self.features)
        )

    def forward(self, x):
        return self.layers(x)


class Toy:
    """Images as points, those of a class around a centre of their own, and views of them."""

    def __init__(self, seed, apart):
        self.generator = torch.Generator().manual_seed(seed)
        self.turn = torch.linalg.qr(self.normal(48, 48)).Q[: SHARED + OWN]
        self.labels = torch.arange(IMAGES) % CLASSES
        self.centres = apart * self.normal(CLASSES, SHARED)
        self.images = self.drawn()

    def normal(self, *shape):
        return torch.randn(*shape, generator=self.generator)

    def drawn(self):
        return self.normal(IMAGES, SHARED) + self.centres[self.labels]

    def view(self, images):
        return (torch.cat((images, 2 * self.normal(IMAGES, OWN)), dim=1) @ self.turn).unflatten(1, (3, 4, 4))


def pull_pairs(first, second, *_):
    """What is left of a contrast without its negatives."""
    return -F.cosine_similarity(first, second, dim=1).mean()


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


def no_centring(method):
    """The teacher's favourite prototype stays everybody's."""
    method.settings = dataclasses.replace(method.settings, centre_momentum=1.0)


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
    "barlow_twins": ({}, only_invariance),
    "vicreg": ({}, only_invariance),
    "swav": ({(swav, "sinkhorn"): no_balance}, None),
    "emp_ssl": ({}, only_invariance),
    "relic": ({}, only_invariance),
    "relicv2": ({}, only_invariance),
}


def without_last_norms(method):
    """Batch norm at the end of a head stretches what a collapse leaves until it looks spread out; here it is gone."""
    for head in [module for module in method.modules() if isinstance(module, ProjectionHead)]:
        if isinstance(head.layers[-1], nn.BatchNorm1d):
            head.layers[-1] = nn.Identity()


def built(name, seed):
    torch.manual_seed(seed)
    kind = METHODS[name].settings
    given = {field.name for field in dataclasses.fields(kind)}
    sizes = {key: value for key, value in SIZES.items() if key in given}
    method = build_method(name, Network(), kind(**sizes | SETTINGS.get(name, {})), classes=CLASSES)
    without_last_norms(method)
    return method.train()


def trained(name, seed, precision="fp32", ablate=None, shuffled=False, steps=None):
    """The method after a toy training, and its toy."""
    method, toy = built(name, seed), Toy(seed, apart=float(name in LABELLED))
    if ablate:
        ablate(method)
    planned, rate = PLANS.get(name, (40, 0.1))
    steps = planned if steps is None else steps
    optimiser = torch.optim.SGD(method.parameters(), rate, momentum=0.9)
    for step in range(steps):
        labels = toy.labels[torch.randperm(IMAGES)] if shuffled else toy.labels
        views = [toy.view(toy.images) for _ in method.views]
        with autocast(torch.device("cpu"), precision):
            terms = method(views, labels) if method.uses_labels else method(views)
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
        method.after_step((step + 1) / steps)
        getattr(method, "after_batch", lambda: None)()
    return method, toy


@torch.no_grad()
def features(method, toy, images):
    """Of two views of each image, (N, 32) each in double precision."""
    return [method.encoder(toy.view(images)).double() for _ in range(2)]


def agreement(method, toy):
    """The correlation of the features of two new views of each image: 1 where only what both share is left."""
    first, second = (z - z.mean(dim=0) for z in features(method, toy, toy.images))
    return ((first * second).sum() / (first.norm() * second.norm())).item()


@torch.no_grad()
def projections(method, toy):
    """(N, 32), of a new view of each image: what the objective sees."""
    head = method.projector if hasattr(method, "projector") else method.head
    head = head if isinstance(head, ProjectionHead) else head[0]
    return head(method.encoder(toy.view(toy.images))).double()


def spread(method, toy):
    """The variance of the projections, as unit vectors: 0 where all are one, 1 where they point everywhere."""
    return 1 - F.normalize(projections(method, toy), dim=1).mean(dim=0).square().sum().item()


def deviation(method, toy):
    """The standard deviation of a feature of the projections, averaged over features."""
    return projections(method, toy).std(dim=0).mean().item()


def directions(method, toy):
    """How many directions the projections vary in: the exponential of the entropy of their variance, 1 to 32."""
    z = projections(method, toy)
    shares = torch.linalg.svdvals(z - z.mean(dim=0)).square()
    return torch.special.entr(shares / shares.sum()).sum().exp().item()


def separation(method, toy):
    """How much more alike new images of one class are than those of two: a difference of mean cosines."""
    first, second = (F.normalize(z - z.mean(dim=0), dim=1) for z in features(method, toy, toy.drawn()))
    same = toy.labels[:, None] == toy.labels
    cosines = first @ second.T
    return (cosines[same].mean() - cosines[~same].mean()).item()


# What is asked, how much of it there is at least with the part and at most without it. Over many seeds it was 0.59 to
# 1.00 and 0.00 to 0.12. VICReg keeps up the deviation of each feature (0.96 to 1.02, and 0.02 to 0.07), and Barlow
# Twins, which sees neither lengths nor means, that features vary apart (9.5 to 13 directions of 32, and 1.2 to 2.0).
SPREAD = (spread, 0.4, 0.2)
ASKED = {"vicreg": (deviation, 0.7, 0.3), "barlow_twins": (directions, 6.0, 3.0)}
SEPARATION = (separation, 0.8, 0.65)


@pytest.mark.parametrize(("precision", "seed"), CONDITIONS)
@pytest.mark.parametrize("name", ABLATIONS)
def test_without_its_part_a_method_collapses(name, precision, seed, monkeypatch):
    measure, least, most = ASKED.get(name, SPREAD)
    method, toy = trained(name, seed, precision)
    whole, learnt = measure(method, toy), agreement(method, toy)
    untrained = agreement(*trained(name, seed, steps=0))
    functions, ablate = ABLATIONS[name]
    for (module, function), other in functions.items():
        monkeypatch.setattr(module, function, other)
    without = measure(*trained(name, seed, precision, ablate))
    print(f"{name} {precision}: {whole:.2f}, without {without:.2f}; agree {learnt:.2f}, untrained {untrained:.2f}")
    assert whole > least and without < most
    assert 1 - learnt < 0.7 * (1 - untrained)  # at most 0.46 of it is left where this was measured


@pytest.mark.parametrize(("precision", "seed"), CONDITIONS)
@pytest.mark.parametrize("name", LABELLED)
def test_with_labels_of_other_images_classes_are_not_told_apart(name, precision, seed):
    measure, least, most = SEPARATION
    whole = measure(*trained(name, seed, precision))
    without = measure(*trained(name, seed, precision, shuffled=True))
    untrained = measure(*trained(name, seed, steps=0))
    print(f"{name} {precision}: {whole:.2f}, without {without:.2f}, untrained {untrained:.2f}")
    assert whole > least and without < most and untrained < most
