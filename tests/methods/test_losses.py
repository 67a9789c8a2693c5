"""Every loss, in value and gradient, against its paper's formula in loops and against lightly, and where it collapses.

A case is either a bare function in float64 or a whole method whose networks pass their input on, so that its views are
its projections, scores or logits. A method computes its loss in float32.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import lightly.loss
import pytest
import scipy.stats
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.loss.emp_ssl_loss import invariance_loss, tcr_loss
from torch import Tensor, nn
from torch.nn import functional as F

from lib.methods import (
    barlow_twins,
    byol,
    dino,
    emp_ssl,
    moco_v2,
    moco_v3,
    nnclr,
    relic,
    simclr,
    simsiam,
    supcon,
    supervised,
    swav,
    vicreg,
)
from lib.methods.barlow_twins import correlation_terms
from lib.methods.byol import regression
from lib.methods.crops import cross_prediction
from lib.methods.dcl import DCL, dcl
from lib.methods.emp_ssl import agreement, coding_rate
from lib.methods.moco_v2 import info_nce
from lib.methods.moco_v3 import batch_contrast
from lib.methods.nnclr import contrast, nearest
from lib.methods.relic import divergence, similarities
from lib.methods.simclr import nt_xent
from lib.methods.simsiam import distance
from lib.methods.supcon import sup_con
from lib.methods.swav import sinkhorn

COUNT, WIDTH = 6, 3  # images, features
TEMPERATURE = 0.3
EXAMPLES = settings(max_examples=10, deadline=None)


def unit(z):
    return z / z.norm(dim=-1, keepdim=True)


def normal(*shape, seed=0):
    """Random float64 numbers that float32 holds exactly: rounding the input is no part of a comparison."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


QUEUE = unit(normal(7, WIDTH, seed=1)).float()
CENTRE = normal(WIDTH, seed=2)


# The papers' formulas, a scalar at a time.


def mean(numbers):
    numbers = list(numbers)
    return sum(numbers) / len(numbers)


def cosine(a, b):
    return a @ b / (a.norm() * b.norm())


def minus_log_chance(logits, place):
    return -(logits[place].exp() / sum(logit.exp() for logit in logits)).log()


def softmax(logits):
    return [logit.exp() / sum(other.exp() for other in logits) for logit in logits]


def simclr_formula(first, second):
    z, count = [*first, *second], len(first)

    def term(i, j):
        others = [k for k in range(2 * count) if k != i]
        return minus_log_chance([cosine(z[i], z[k]) / TEMPERATURE for k in others], others.index(j))

    return mean(term(i, (i + count) % (2 * count)) for i in range(2 * count))


def dcl_formula(first, second):
    z, count = [*first, *second], len(first)

    def term(i, j):
        negatives = sum((cosine(z[i], z[k]) / TEMPERATURE).exp() for k in range(2 * count) if k not in (i, j))
        return negatives.log() - cosine(z[i], z[j]) / TEMPERATURE

    return mean(term(i, (i + count) % (2 * count)) for i in range(2 * count))


def info_nce_formula(queries, keys, queue):
    return mean(
        minus_log_chance([q @ other / TEMPERATURE for other in (key, *queue)], 0)
        for q, key in zip(queries, keys, strict=True)
    )


def moco_v2_formula(first, second):
    return info_nce_formula(map(unit, first), list(map(unit, second.detach())), QUEUE.double())


def batch_contrast_formula(queries, keys):
    terms = (minus_log_chance([cosine(q, k) / TEMPERATURE for k in keys], i) for i, q in enumerate(queries))
    return 2 * TEMPERATURE * mean(terms)


def moco_v3_formula(first, second):
    return batch_contrast_formula(first, second.detach()) + batch_contrast_formula(second, first.detach())


def contrast_formula(neighbours, predictions):
    places = range(len(neighbours))
    rows = (minus_log_chance([neighbours[i] @ predictions[k] / TEMPERATURE for k in places], i) for i in places)
    columns = (minus_log_chance([neighbours[k] @ predictions[i] / TEMPERATURE for k in places], i) for i in places)
    return (mean(rows) + mean(columns)) / 2


def nnclr_formula(first, second):
    def one_way(projections, predictions):
        neighbours = [max(QUEUE.double(), key=lambda old: float(old @ z.detach())) for z in projections]
        return contrast_formula(neighbours, [unit(p) for p in predictions]) / 2

    return one_way(first, second) + one_way(second, first)


def regression_formula(predictions, targets):
    def squared_distance(q, z):
        return sum((a - b) ** 2 for a, b in zip(q / q.norm(), z / z.norm(), strict=True))

    return mean(squared_distance(q, z) for q, z in zip(predictions, targets, strict=True))


def byol_formula(first, second):
    return regression_formula(first, second.detach()) + regression_formula(second, first.detach())


def distance_formula(predictions, projections):
    return mean(-cosine(p, z) for p, z in zip(predictions, projections.detach(), strict=True))


def simsiam_formula(first, second):
    return distance_formula(first, second) / 2 + distance_formula(second, first) / 2


def correlation(first, second, i, j, epsilon):
    """Of feature i of one view with feature j of the other; `epsilon` is what batch norm adds to the variance."""
    a, b = first[:, i] - mean(first[:, i]), second[:, j] - mean(second[:, j])
    return mean(a * b) / ((mean(a * a) + epsilon) * (mean(b * b) + epsilon)).sqrt()


def barlow_twins_formula(first, second, redundancy=0.3, epsilon=1e-5):
    places = range(first.shape[1])
    on = sum((1 - correlation(first, second, i, i, epsilon)) ** 2 for i in places)
    off = sum(correlation(first, second, i, j, epsilon) ** 2 for i in places for j in places if i != j)
    return on + redundancy * off


def vicreg_formula(first, second):
    """Equation 6 with weights 3, 5 and 2, the variances of the two views halved."""
    count, width = first.shape

    def covariance(z, d, e):
        return sum((row[d] - mean(z[:, d])) * (row[e] - mean(z[:, e])) for row in z) / (count - 1)

    def variance_term(z):
        return mean((1 - (covariance(z, d, d) + 1e-4).sqrt()).clamp(min=0) for d in range(width))

    def covariance_term(z):
        return sum(covariance(z, d, e) ** 2 for d in range(width) for e in range(width) if d != e) / width

    invariance = mean((first[n, d] - second[n, d]) ** 2 for n in range(count) for d in range(width))
    variance = (variance_term(first) + variance_term(second)) / 2
    return 3 * invariance + 5 * variance + 2 * (covariance_term(first) + covariance_term(second))


def cross_prediction_formula(scores, targets):
    def term(target, score):
        return mean(
            sum(q[k] * minus_log_chance(s / TEMPERATURE, k) for k in range(len(s)))
            for q, s in zip(target, score, strict=True)
        )

    pairs = [(t, v) for t in range(len(targets)) for v in range(len(scores)) if v != t]
    return mean(term(targets[t], scores[v]) for t, v in pairs)


def sinkhorn_formula(scores, epsilon=0.5, iterations=3):
    """Prototypes and images are scaled in turn, without logarithms."""
    codes = [[(s / epsilon).exp() for s in row] for row in scores]
    for _ in range(iterations):
        share = [sum(column) for column in zip(*codes, strict=True)]
        codes = [[q / total for q, total in zip(row, share, strict=True)] for row in codes]
        codes = [[q / sum(row) for q in row] for row in codes]
    return torch.stack([torch.stack(row) for row in codes])


def swav_formula(*scores):
    return cross_prediction_formula(scores, [sinkhorn_formula(large.detach()) for large in scores[:2]])


def swav_with_a_queue_formula(*scores):
    together = [torch.cat((large.detach(), QUEUE.double())) for large in scores[:2]]
    return cross_prediction_formula(scores, [sinkhorn_formula(rows)[: len(scores[0])] for rows in together])


def dino_formula(*outputs):
    targets = [[softmax((row - CENTRE) / 0.2) for row in large.detach()] for large in outputs[:2]]
    return cross_prediction_formula(outputs, targets)


def agreement_formula(*patches):
    return mean(cosine(patch[n], sum(patches)[n] / len(patches)) for patch in patches for n in range(len(patch)))


def log_determinant(matrix):
    """By elimination; the matrix is positive definite, so no pivot is 0."""
    rows, total = [list(row) for row in matrix], 0
    for k, pivot in enumerate(rows):
        total = total + pivot[k].log()
        for i in range(k + 1, len(rows)):
            factor = rows[i][k] / pivot[k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], pivot, strict=True)]
    return total


def coding_rate_formula(*patches, epsilon=0.2):
    def rate(z):
        (count, width), places = z.shape, range(z.shape[1])
        gram = [[width / (count * epsilon) * (z[:, i] @ z[:, j]) + float(i == j) for j in places] for i in places]
        return log_determinant(gram) / 2

    return mean(map(rate, patches))


def emp_ssl_formula(*patches):
    patches = [torch.stack([unit(row) for row in patch]) for patch in patches]
    return -2 * agreement_formula(*patches) - coding_rate_formula(*patches)


def cosines(online, target):
    return [[cosine(a, b) / TEMPERATURE for b in target] for a in online]


def divergence_formula(logits, other):
    """KL(sg[p'] || p), row against row."""
    rows = ((softmax(row), [q.detach() for q in softmax(stopped)]) for row, stopped in zip(logits, other, strict=True))
    return mean(sum(q * (q / p).log() for p, q in zip(chances, others, strict=True)) for chances, others in rows)


def relic_formula(first, second):
    """The target's vectors are the views themselves, without a gradient; the divergence has the weight 0.7."""
    logits, other = cosines(first, second.detach()), cosines(second, first.detach())
    contrastive = [mean(minus_log_chance(row, i) for i, row in enumerate(rows)) for rows in (logits, other)]
    return mean(contrastive) + 0.7 * mean([divergence_formula(logits, other), divergence_formula(other, logits)])


def classes(views):
    return torch.arange(len(views)) % 3


def sup_con_formula(first, second):
    z, labels = [*first, *second], classes(first).tolist() * 2

    def term(i):
        others = [k for k in range(len(z)) if k != i]
        logits = [cosine(z[i], z[k]) / TEMPERATURE for k in others]
        return mean(minus_log_chance(logits, place) for place, k in enumerate(others) if labels[k] == labels[i])

    return mean(term(i) for i in range(len(z)))


def supervised_formula(logits):
    return mean(minus_log_chance(row, label) for row, label in zip(logits, classes(logits), strict=True))


# Ours.


class PassOn(nn.Module):
    """Its output is its input, as a new tensor: where no gradient is kept, as for a target, it has none."""

    features = WIDTH

    def forward(self, inputs):
        return inputs.clone()


def bare(build, settings, *arguments):
    """The method with networks that pass their input on, and queues that hold `QUEUE`."""
    method = build(PassOn(), settings, *arguments)
    for name, part in list(method.named_children()):
        if any(True for _ in part.parameters()):
            setattr(method, name, PassOn())
    for queue in [getattr(method, "queue", None), *getattr(method, "queues", [])]:
        if queue is not None:
            queue.push(QUEUE)
    return method


def total(method):
    return lambda *views: sum(method(list(views)).values())


def with_labels(method):
    return lambda *views: sum(method(list(views), classes(views[0])).values())


HEADS = dict(hidden=4, projection=WIDTH)
SIMCLR = bare(simclr.SimCLR, simclr.Settings(TEMPERATURE, **HEADS))
DECOUPLED = bare(DCL, simclr.Settings(TEMPERATURE, **HEADS))
MOCO_V2 = bare(moco_v2.MoCoV2, moco_v2.Settings(TEMPERATURE, queue=len(QUEUE), **HEADS))
MOCO_V3 = bare(moco_v3.MoCoV3, moco_v3.Settings(TEMPERATURE, **HEADS))
NNCLR = bare(nnclr.NNCLR, nnclr.Settings(TEMPERATURE, queue=len(QUEUE), **HEADS))
BYOL = bare(byol.BYOL, byol.Settings(**HEADS))
SIMSIAM = bare(simsiam.SimSiam, simsiam.Settings(**HEADS))
BARLOW = bare(barlow_twins.BarlowTwins, barlow_twins.Settings(redundancy=0.3, scale=1.0, **HEADS))
VICREG = bare(vicreg.VICReg, vicreg.Settings(invariance=3.0, variance=5.0, covariance=2.0, **HEADS))
SWAV = bare(swav.SwAV, swav.Settings(TEMPERATURE, 0.5, prototypes=WIDTH, **HEADS))
SWAV_QUEUE = bare(swav.SwAV, swav.Settings(TEMPERATURE, 0.5, prototypes=WIDTH, queue=len(QUEUE), **HEADS))
DINO = bare(dino.DINO, dino.Settings(TEMPERATURE, first_temperature=0.2, prototypes=WIDTH, **HEADS))
DINO.centre.copy_(CENTRE)
EMP_SSL = bare(emp_ssl.EMPSSL, emp_ssl.Settings(invariance=2.0, epsilon=0.2, **HEADS))
RELIC = bare(relic.ReLIC, relic.Settings(invariance=0.7, temperature=TEMPERATURE, **HEADS))
SUP_CON = bare(supcon.SupCon, supcon.Settings(TEMPERATURE, **HEADS), 3)
SUPERVISED = bare(supervised.Supervised, supervised.Settings(), WIDTH)


@dataclass(frozen=True)
class Case:
    """A loss of `inputs` tensors (N, D), the formula, and what the loss does not see."""

    inputs: int
    ours: Callable[..., Tensor]
    formula: Callable[..., Tensor]
    tolerance: float = 1e-9  # of float64; relative to the largest entry
    order: bool = True  # of the images
    swap: bool = False  # of the first two inputs
    lengths: bool = False  # of the vectors
    rotation: bool = False  # of the space
    resists: bool = False  # the value alone prefers spread features to collapsed ones


COSINES = dict(lengths=True, rotation=True)
SINGLE = dict(tolerance=1e-3)
CASES = {
    "nt_xent": Case(2, lambda a, b: nt_xent(a, b, TEMPERATURE), simclr_formula, swap=True, resists=True, **COSINES),
    "dcl": Case(2, lambda a, b: dcl(a, b, TEMPERATURE), dcl_formula, swap=True, resists=True, **COSINES),
    "info_nce": Case(
        3, lambda q, k, queue: info_nce(q, k, queue, TEMPERATURE), info_nce_formula, rotation=True, resists=True
    ),
    "batch_contrast": Case(
        2, lambda q, k: batch_contrast(q, k, TEMPERATURE), batch_contrast_formula, resists=True, **COSINES
    ),
    "contrast": Case(
        2, lambda n, p: contrast(n, p, TEMPERATURE), contrast_formula, swap=True, rotation=True, resists=True
    ),
    "regression": Case(2, regression, regression_formula, swap=True, **COSINES),
    "distance": Case(2, distance, distance_formula, swap=True, **COSINES),
    "correlation_terms": Case(
        2,
        lambda a, b: correlation_terms(a, b)[0] + 0.3 * correlation_terms(a, b)[1],
        barlow_twins_formula,
        swap=True,
        resists=True,
    ),
    "cross_prediction": Case(
        5,
        lambda *both: cross_prediction(both[:3], both[3:], TEMPERATURE),
        lambda *both: cross_prediction_formula(both[:3], both[3:]),
    ),
    "sinkhorn": Case(
        2, lambda scores, w: (sinkhorn(scores, 0.5, 3) * w).sum(), lambda s, w: (sinkhorn_formula(s) * w).sum()
    ),
    "agreement": Case(3, lambda *patches: agreement(torch.stack(patches)), agreement_formula, swap=True, rotation=True),
    "coding_rate": Case(
        3, lambda *patches: coding_rate(torch.stack(patches), 0.2), coding_rate_formula, swap=True, rotation=True
    ),
    "divergence": Case(
        2,
        lambda a, b: divergence(similarities(a, b, TEMPERATURE), similarities(b, a, TEMPERATURE)),
        lambda a, b: divergence_formula(cosines(a, b), cosines(b, a)),
        **COSINES,
    ),
    "sup_con": Case(
        2, lambda a, b: sup_con(a, b, classes(a), TEMPERATURE), sup_con_formula, order=False, swap=True, **COSINES
    ),
    "SimCLR": Case(2, total(SIMCLR), simclr_formula, swap=True, resists=True, **COSINES, **SINGLE),
    "DCL": Case(2, total(DECOUPLED), dcl_formula, swap=True, resists=True, **COSINES, **SINGLE),
    "MoCo v2": Case(2, total(MOCO_V2), moco_v2_formula, lengths=True, **SINGLE),
    "MoCo v3": Case(2, total(MOCO_V3), moco_v3_formula, swap=True, resists=True, **COSINES, **SINGLE),
    "NNCLR": Case(2, total(NNCLR), nnclr_formula, swap=True, lengths=True, **SINGLE),
    "BYOL": Case(2, total(BYOL), byol_formula, swap=True, **COSINES, **SINGLE),
    "SimSiam": Case(2, total(SIMSIAM), simsiam_formula, swap=True, **COSINES, **SINGLE),
    "Barlow Twins": Case(2, total(BARLOW), barlow_twins_formula, swap=True, resists=True, **SINGLE),
    "VICReg": Case(2, total(VICREG), vicreg_formula, swap=True, resists=True, **SINGLE),
    "SwAV": Case(3, total(SWAV), swav_formula, swap=True, resists=True, **SINGLE),
    "SwAV with a queue": Case(3, total(SWAV_QUEUE), swav_with_a_queue_formula, swap=True, **SINGLE),
    "DINO": Case(3, total(DINO), dino_formula, swap=True, **SINGLE),
    "EMP-SSL": Case(3, total(EMP_SSL), emp_ssl_formula, swap=True, resists=True, **COSINES, **SINGLE),
    "ReLIC": Case(2, total(RELIC), relic_formula, swap=True, resists=True, **COSINES, **SINGLE),
    "SupCon": Case(2, with_labels(SUP_CON), sup_con_formula, order=False, swap=True, **COSINES, **SINGLE),
    "Supervised": Case(1, with_labels(SUPERVISED), supervised_formula, order=False, **SINGLE),
}


def cases(*, but=(), **flags):
    """The names of the cases with these flags."""
    chosen = (name for name, case in CASES.items() if all(getattr(case, flag) == on for flag, on in flags.items()))
    return pytest.mark.parametrize("name", [name for name in chosen if name not in but])


def drawn(kind, inputs, count=COUNT, seed=0):
    """`inputs` tensors (count, WIDTH): random, all the same, of nearly equal rows, or of equal rows."""
    views = normal(inputs, count, WIDTH, seed=seed)
    one = views[:1, :1].expand_as(views)
    kinds = {
        "random": views,
        "identical views": views[:1].expand_as(views),
        "nearly collapsed": (one + 1e-3 * views).float().double(),
        "collapsed": one,
    }
    return [view.clone() for view in kinds[kind]]


def value_and_gradients(loss, inputs):
    inputs = [view.clone().requires_grad_() for view in inputs]
    value = loss(*inputs).sum()
    if not value.requires_grad:
        return value, [torch.zeros_like(view) for view in inputs]
    gradients = torch.autograd.grad(value, inputs, allow_unused=True)
    pairs = zip(gradients, inputs, strict=True)
    return value.detach(), [torch.zeros_like(view) if part is None else part for part, view in pairs]


def assert_same(ours, theirs, inputs, tolerance):
    (value, gradients), (expected, expected_gradients) = (value_and_gradients(loss, inputs) for loss in (ours, theirs))
    assert value.item() == pytest.approx(expected.item(), rel=tolerance, abs=tolerance)
    for place, (gradient, other) in enumerate(zip(gradients, expected_gradients, strict=True)):
        assert other.isfinite().all()
        assert (gradient - other).abs().max() <= tolerance * (1 + other.abs().max()), f"gradient of input {place}"


@cases()
@pytest.mark.parametrize("kind", ["random", "identical views", "nearly collapsed", "collapsed"])
def test_value_and_gradient_are_the_paper_s(name, kind):
    case = CASES[name]
    assert_same(case.ours, case.formula, drawn(kind, case.inputs), case.tolerance)


def lightly_moco(first, second):
    loss = lightly.loss.NTXentLoss(TEMPERATURE, memory_bank_size=(len(QUEUE), WIDTH))
    loss.memory_bank.bank = QUEUE.double()
    return loss(first, second.detach())


def lightly_swav(*scores, queue=None):
    return lightly.loss.SwaVLoss(TEMPERATURE, 3, 0.5)(scores[:2], scores[2:], queue)


def lightly_dino(*outputs):
    loss = lightly.loss.DINOLoss(WIDTH, teacher_temp=0.2, student_temp=TEMPERATURE)
    loss.center = CENTRE[None, None]
    return loss([output.detach() for output in outputs[:2]], list(outputs))


LIGHTLY = {
    "nt_xent": lightly.loss.NTXentLoss(TEMPERATURE),
    "dcl": lightly.loss.DCLLoss(TEMPERATURE),
    "correlation_terms": lightly.loss.BarlowTwinsLoss(lambda_param=0.3),
    "distance": lambda p, z: lightly.loss.NegativeCosineSimilarity()(p, z.detach()),
    "regression": lambda q, z: 2 + 2 * lightly.loss.NegativeCosineSimilarity()(q, z),
    "agreement": lambda *patches: -invariance_loss(torch.stack(patches)),
    "coding_rate": lambda *patches: tcr_loss(torch.stack(patches), 0.2),
    "MoCo v2": lightly_moco,
    "VICReg": lightly.loss.VICRegLoss(3, 5, 2),
    "SwAV": lightly_swav,
    "SwAV with a queue": lambda *scores: lightly_swav(*scores, queue=[QUEUE.double()] * 2),
    "DINO": lightly_dino,
}


@pytest.mark.parametrize("name", LIGHTLY)
def test_value_and_gradient_are_lightly_s(name):
    assert_same(CASES[name].ours, LIGHTLY[name], drawn("random", CASES[name].inputs), max(CASES[name].tolerance, 1e-6))


# What a loss does not see.

SEEDS, COUNTS = st.integers(0, 10_000), st.integers(2, 8)


def assert_unchanged(case, before, after):
    value = case.ours(*before).item()
    assert case.ours(*after).item() == pytest.approx(value, rel=max(case.tolerance, 1e-8), abs=case.tolerance)


@cases(order=True)
@EXAMPLES
@given(SEEDS, COUNTS)
def test_order_of_images_does_not_matter(name, seed, count):
    views = drawn("random", CASES[name].inputs, count, seed)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    assert_unchanged(CASES[name], views, [view[order] for view in views])


@EXAMPLES
@given(SEEDS, COUNTS)
def test_order_of_labelled_images_does_not_matter(seed, count):
    first, second = drawn("random", 2, count, seed)
    labels, order = classes(first), torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    value = sup_con(first, second, labels, TEMPERATURE).item()
    assert sup_con(first[order], second[order], labels[order], TEMPERATURE).item() == pytest.approx(value, rel=1e-8)


@cases(swap=True)
@EXAMPLES
@given(SEEDS, COUNTS)
def test_order_of_views_does_not_matter(name, seed, count):
    first, second, *others = drawn("random", CASES[name].inputs, count, seed)
    assert_unchanged(CASES[name], (first, second, *others), (second, first, *others))


@cases(lengths=True)
@EXAMPLES
@given(SEEDS, COUNTS)
def test_lengths_of_vectors_do_not_matter(name, seed, count):
    views = drawn("random", CASES[name].inputs, count, seed)
    factors = 0.1 + 10 * torch.rand(len(views), count, 1, generator=torch.Generator().manual_seed(seed))
    assert_unchanged(CASES[name], views, [factor * view for factor, view in zip(factors, views, strict=True)])


@cases(rotation=True)
@EXAMPLES
@given(SEEDS, COUNTS)
def test_rotation_of_the_space_does_not_matter(name, seed, count):
    views = drawn("random", CASES[name].inputs, count, seed)
    rotation = torch.linalg.qr(normal(WIDTH, WIDTH, seed=seed + 1))[0]
    assert_unchanged(CASES[name], views, [view @ rotation for view in views])


def test_barlow_twins_sees_neither_the_mean_nor_the_scale_of_a_feature():
    """But for what batch norm adds to the variance: the paper's own equation has no such number."""
    first, second = normal(2, 40, WIDTH)
    expected = barlow_twins_formula(first, second, epsilon=0).item()
    assert CASES["correlation_terms"].ours(first, second).item() == pytest.approx(expected, rel=1e-4)
    moved = first * torch.tensor([0.5, 2, 30]) + torch.tensor([1, -2, 3])
    assert CASES["correlation_terms"].ours(moved, second).item() == pytest.approx(expected, rel=1e-4)


def test_sup_con_with_a_class_for_each_image_is_simclr_s():
    first, second = drawn("random", 2)
    alone = sup_con(first, second, torch.arange(COUNT), TEMPERATURE)
    assert alone.item() == pytest.approx(nt_xent(first, second, TEMPERATURE).item(), rel=1e-9)


def test_supervised_is_scikit_learn_s_log_loss():
    (logits,) = drawn("random", 1)
    expected = sklearn.metrics.log_loss(classes(logits), F.softmax(logits, dim=1), labels=range(WIDTH))
    assert CASES["Supervised"].ours(logits).item() == pytest.approx(expected, rel=1e-5)


def test_supervised_by_several_crops_is_the_mean_of_their_log_losses():
    labels = torch.tensor([0, 2, 1, 2])
    method = bare(supervised.Supervised, supervised.Settings(crops="relicv2"), WIDTH)
    crops = [torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]
    (loss,) = method(crops, labels).values()
    each = [sklearn.metrics.log_loss(labels, F.softmax(crop, dim=1).numpy(), labels=range(WIDTH)) for crop in crops]
    assert loss.item() == pytest.approx(sum(each) / 4, rel=1e-6)


def test_divergence_is_scipy_s_relative_entropy_of_the_other_view():
    logits, other = normal(2, COUNT, COUNT)
    p, q = F.softmax(logits, dim=1), F.softmax(other, dim=1)
    assert divergence(logits, other).item() == pytest.approx(scipy.stats.entropy(q, p, axis=1).mean(), rel=1e-9)
    assert divergence(logits, logits).item() == pytest.approx(0, abs=1e-12)


@EXAMPLES
@given(SEEDS)
def test_divergence_is_never_negative(seed):
    assert divergence(*normal(2, COUNT, COUNT, seed=seed)).item() >= 0


def test_coding_rate_from_singular_values():
    patches = normal(2, COUNT, WIDTH)
    shares = WIDTH / (COUNT * 0.2) * torch.linalg.svdvals(patches).square()
    assert coding_rate(patches, 0.2).item() == pytest.approx(0.5 * shares.log1p().sum(dim=1).mean().item(), rel=1e-9)


@EXAMPLES
@given(SEEDS, st.integers(WIDTH, 20))
def test_coding_rate_of_unit_vectors_is_least_in_collapse_and_largest_in_a_tight_frame(seed, count):
    rate = coding_rate(unit(normal(1, count, WIDTH, seed=seed)), 0.2).item()
    assert 0.5 * math.log(1 + WIDTH / 0.2) <= rate + 1e-9
    assert rate <= WIDTH / 2 * math.log(1 + 1 / 0.2) + 1e-9


def test_nearest_is_the_row_of_largest_cosine():
    vectors, among = unit(normal(COUNT, WIDTH)), unit(normal(20, WIDTH, seed=1))
    by_hand = [max(among, key=lambda old, z=z: float(cosine(old, z))) for z in vectors]
    assert torch.equal(nearest(vectors, among), torch.stack(by_hand))


# Collapse.

COLLAPSED = {
    "nt_xent": math.log(2 * COUNT - 1),
    "dcl": math.log(2 * COUNT - 2),
    "info_nce": math.log(1 + COUNT),
    "batch_contrast": 2 * TEMPERATURE * math.log(COUNT),
    "contrast": math.log(COUNT),
    "regression": 0,
    "distance": -1,
    "correlation_terms": WIDTH,
    "agreement": 1,
    "coding_rate": 0.5 * math.log(1 + WIDTH / 0.2),
    "sup_con": math.log(2 * COUNT - 1),
    "VICReg": 5 * 0.99,
    "EMP-SSL": -2 - 0.5 * math.log(1 + WIDTH / 0.2),
    "ReLIC": math.log(COUNT),
}


@pytest.mark.parametrize("name", COLLAPSED)
def test_value_where_all_images_have_one_feature(name):
    views = [unit(view) for view in drawn("collapsed", CASES[name].inputs)]
    assert CASES[name].ours(*views).item() == pytest.approx(COLLAPSED[name], rel=1e-6)


@cases(resists=True)
@EXAMPLES
@given(SEEDS)
def test_collapse_is_never_the_optimum(name, seed):
    """Features on both sides of each axis, equal in all views, are better than one feature for all, whichever it is."""
    axes = WIDTH**0.5 * torch.eye(WIDTH, dtype=torch.float64)
    spread = torch.cat((axes, -axes))  # population variance 1, no correlation
    collapsed = normal(WIDTH, seed=seed).expand(COUNT, WIDTH)
    ours, inputs = CASES[name].ours, CASES[name].inputs
    assert ours(*[spread] * inputs) < ours(*[collapsed] * inputs) - 0.1


def test_redundancy_is_nothing_where_features_vary_apart():
    axes = WIDTH**0.5 * torch.eye(WIDTH, dtype=torch.float64)
    spread = torch.cat((axes, -axes))
    assert sum(correlation_terms(spread, spread)).item() == pytest.approx(0, abs=1e-8)
    assert CASES["VICReg"].ours(spread, spread).item() == 0


# A loss term, as a function of the side that must not learn from it.
STOPPED = {
    "SimSiam's projection": lambda fixed, side: distance(fixed, side),
    "the other view of ReLIC's divergence": lambda fixed, side: divergence(fixed, side),
    "NNCLR's neighbours": lambda fixed, side: nearest(side, fixed).sum(),
    "MoCo v2's keys": lambda fixed, side: MOCO_V2([fixed, side])["contrastive"],
    "MoCo v3's keys": lambda fixed, side: MOCO_V3([fixed, side])["first to second"],
    "BYOL's target": lambda fixed, side: BYOL([fixed, side])["first to second"],
    "SimSiam's second view": lambda fixed, side: SIMSIAM([fixed, side])["first to second"],
    "NNCLR's other view": lambda fixed, side: NNCLR([side, fixed])["first to second"],
}


@pytest.mark.parametrize("name", STOPPED)
def test_stopped_side_gets_no_gradient(name):
    fixed, side = drawn("random", 2)
    assert not STOPPED[name](fixed, side.requires_grad_()).requires_grad


@pytest.mark.parametrize(("name", "least"), [("SimSiam", -1), ("BYOL", 0)])
def test_collapse_is_an_exact_minimum_that_the_other_side_cannot_move_to(name, least):
    """Why both need a predictor and a stopped gradient: their value alone cannot tell collapse from success."""
    assert CASES[name].ours(*drawn("collapsed", 2)).item() == pytest.approx(least, abs=1e-6)
    assert CASES[name].ours(*drawn("random", 2)).item() > least + 0.1
    prediction, projection = drawn("random", 2)
    plain = -F.cosine_similarity(prediction, projection.requires_grad_(), dim=1).mean()  # without the stop
    assert torch.autograd.grad(plain, projection)[0].abs().max() > 0
    assert not distance(prediction, projection).requires_grad
    assert not BYOL([prediction, projection])["first to second"].requires_grad


def dino_of_one_output(centre, teacher_temperature, height=1.0):
    """DINO where every view of every image has `height` in the first output and 0 in the others.

    Returns the loss and the push on the first output of the first view: where it is above 0, a step lowers the output.
    """
    settings = dino.Settings(0.1, teacher_temperature, prototypes=WIDTH, **HEADS)
    method = bare(dino.DINO, settings)
    method.centre.copy_(torch.tensor([centre] + [0.0] * (WIDTH - 1)))
    views = [torch.tensor([[height] + [0.0] * (WIDTH - 1)] * COUNT, requires_grad=True) for _ in range(2)]
    loss = sum(method(views).values())
    return loss.item(), torch.autograd.grad(loss, views[0])[0][:, 0]


def chance_of_the_first(logit):
    return math.exp(logit) / (math.exp(logit) + WIDTH - 1)


@pytest.mark.parametrize("steps", [0, 1, 5, 100])
def test_centring_makes_one_output_for_all_a_uniform_target(steps):
    """The centre of a constant teacher tends to its output: (1 - m^k) of it after k steps, so the target to 1 / K.

    Then the student is surer than its target, and a step leads away from the one output; at first it led there.
    """
    centre = 1 - 0.9**steps
    target, student = chance_of_the_first((1 - centre) / 0.04), chance_of_the_first(1 / 0.1)
    loss, push = dino_of_one_output(centre, 0.04)
    rest = (1 - student) / (WIDTH - 1)
    assert loss == pytest.approx(-target * math.log(student) - (1 - target) * math.log(rest), rel=1e-4, abs=1e-6)
    expected = (student - target) / 0.1 / COUNT / 2  # cross-entropy's gradient, over N images and two pairs
    assert push.tolist() == pytest.approx([expected] * COUNT, rel=1e-3, abs=1e-6)
    if steps == 100:
        assert target == pytest.approx(1 / WIDTH, abs=1e-3) and push.min() > 0
    if steps == 0:
        assert push.max() < 0


@pytest.mark.parametrize("height", [0.05, 0.2])
def test_sharpening_leads_away_from_the_uniform_output(height):
    """The other collapse: a teacher colder than its student makes small differences larger; a warmer one, smaller."""
    entropies = [
        float(scipy.stats.entropy(F.softmax(torch.tensor([height, 0, 0]) / temperature, dim=0)))
        for temperature in (0.04, 0.1, 0.2)
    ]
    assert entropies == sorted(entropies) and entropies[-1] < math.log(WIDTH)
    _, colder = dino_of_one_output(0.0, 0.04, height)
    _, warmer = dino_of_one_output(0.0, 0.2, height)
    assert colder.max() < 0 < warmer.min()


# Two defects of lightly 1.6.0 that the book does not borrow.


def test_lightly_s_emp_ssl_loss_minimises_the_coding_rate_that_the_paper_maximises():
    patches = list(unit(normal(3, COUNT, WIDTH)))
    rate, invariance = coding_rate(torch.stack(patches), 0.2), -200 * agreement(torch.stack(patches))
    assert lightly.loss.EMPSSLLoss()(patches).item() == pytest.approx((invariance + rate).item(), rel=1e-6)
    assert EMP_SSL(patches)["coding rate"].item() == pytest.approx(-rate.item(), rel=1e-5)
    spread = unit(torch.cat((torch.eye(WIDTH), -torch.eye(WIDTH))))
    collapsed = unit(torch.ones(COUNT, WIDTH))
    assert lightly.loss.EMPSSLLoss()([collapsed] * 3) < lightly.loss.EMPSSLLoss()([spread] * 3)
    assert total(EMP_SSL)(*[collapsed] * 3) > total(EMP_SSL)(*[spread] * 3)


@pytest.mark.filterwarnings("ignore:To copy construct from a tensor")
def test_lightly_s_co2_regulariser_has_no_gradient():
    from lightly.loss.regularizer import CO2Regularizer

    first, second = (view.requires_grad_() for view in drawn("random", 2))
    value = CO2Regularizer()(first, second)
    assert value > 0 and not value.requires_grad
