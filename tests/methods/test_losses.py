"""Every loss against a triple loop from the paper's formula and against lightly."""

import math

import lightly.loss
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.methods.barlow_twins import correlation_terms
from lib.methods.byol import regression
from lib.methods.dcl import dcl
from lib.methods.emp_ssl import agreement, coding_rate
from lib.methods.moco_v2 import info_nce
from lib.methods.moco_v3 import batch_contrast
from lib.methods.nnclr import contrast, nearest
from lib.methods.simclr import nt_xent
from lib.methods.simsiam import distance
from lib.methods.supcon import sup_con


def two_views(count=6, width=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, count, width, generator=generator, dtype=torch.float64).unbind()


def cosine(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def nt_xent_by_loops(first, second, temperature):
    z, count = [*first, *second], len(first)
    total = 0.0
    for i in range(2 * count):
        j = (i + count) % (2 * count)
        below = sum(math.exp(cosine(z[i], z[k]) / temperature) for k in range(2 * count) if k != i)
        total -= math.log(math.exp(cosine(z[i], z[j]) / temperature) / below)
    return total / (2 * count)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_nt_xent(temperature):
    first, second = two_views()
    ours = nt_xent(first, second, temperature)
    assert ours.item() == pytest.approx(nt_xent_by_loops(first, second, temperature), rel=1e-9)
    assert ours.item() == pytest.approx(lightly.loss.NTXentLoss(temperature)(first, second).item(), rel=1e-9)


def test_nt_xent_closed_form():
    """Two images, views equal within and orthogonal across: -log(e^(1/t) / (e^(1/t) + 2))."""
    z = torch.eye(2, dtype=torch.float64)
    expected = -math.log(math.exp(2) / (math.exp(2) + 2))
    assert nt_xent(z, z, 0.5).item() == pytest.approx(expected, rel=1e-12)


def barlow_by_loops(first, second):
    count, width = first.shape
    on = off = 0.0
    for i in range(width):
        for j in range(width):
            a, b = first[:, i] - first[:, i].mean(), second[:, j] - second[:, j].mean()
            c = sum(float(a[n] * b[n]) for n in range(count)) / math.sqrt(float(a @ a) * float(b @ b))
            if i == j:
                on += (1 - c) ** 2
            else:
                off += c**2
    return on, off


def test_barlow_twins():
    first, second = two_views(8, 4)
    on, off = correlation_terms(first, second)
    expected = barlow_by_loops(first, second)
    assert (on.item(), off.item()) == pytest.approx(expected, rel=1e-4)  # batch norm adds 1e-5 to the variance
    theirs = lightly.loss.BarlowTwinsLoss(lambda_param=0.3)(first, second)
    assert (on + 0.3 * off).item() == pytest.approx(theirs.item(), rel=1e-6)


def test_byol_regression():
    first, second = two_views()
    by_loops = sum(
        sum((float(x) / float(q.norm()) - float(y) / float(z.norm())) ** 2 for x, y in zip(q, z, strict=True))
        for q, z in zip(first, second, strict=True)
    ) / len(first)
    assert regression(first, second).item() == pytest.approx(by_loops, rel=1e-9)
    theirs = 2 + 2 * lightly.loss.NegativeCosineSimilarity()(first, second)
    assert regression(first, second).item() == pytest.approx(theirs.item(), rel=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 8))
def test_losses_do_not_see_the_order_of_images_or_of_views(seed, count):
    first, second = two_views(count, 5, seed)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    for loss in (lambda a, b: nt_xent(a, b, 0.5), lambda a, b: sum(correlation_terms(a, b)), regression):
        value = loss(first, second).item()
        assert loss(first[order], second[order]).item() == pytest.approx(value, rel=1e-8)
        assert loss(second, first).item() == pytest.approx(value, rel=1e-8)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_lengths_do_not_matter_to_cosines(seed, factor):
    first, second = two_views(seed=seed)
    assert nt_xent(factor * first, second, 0.5).item() == pytest.approx(nt_xent(first, second, 0.5).item(), rel=1e-9)
    assert regression(factor * first, second).item() == pytest.approx(regression(first, second).item(), rel=1e-9)


def unit(x):
    return x / x.norm(dim=1, keepdim=True)


def log_sum(numbers):
    return math.log(sum(math.exp(number) for number in numbers))


def dcl_by_loops(first, second, temperature):
    z, count = [*first, *second], len(first)
    total = 0.0
    for i in range(2 * count):
        j = (i + count) % (2 * count)
        negatives = [cosine(z[i], z[k]) / temperature for k in range(2 * count) if k not in (i, j)]
        total += log_sum(negatives) - cosine(z[i], z[j]) / temperature
    return total / (2 * count)


def test_dcl():
    first, second = two_views()
    assert dcl(first, second, 0.3).item() == pytest.approx(dcl_by_loops(first, second, 0.3), rel=1e-9)


def test_info_nce():
    query, key, queue = (unit(part) for part in torch.randn(3, 6, 5, dtype=torch.float64).unbind())
    queue = torch.cat((queue, -queue))
    total = 0.0
    for q, k in zip(query, key, strict=True):
        logits = [float(q @ k) / 0.2, *(float(q @ old) / 0.2 for old in queue)]
        total += log_sum(logits) - logits[0]
    assert info_nce(query, key, queue, 0.2).item() == pytest.approx(total / 6, rel=1e-9)


def test_batch_contrast():
    queries, keys = two_views()
    total = sum(log_sum(cosine(q, k) / 0.2 for k in keys) - cosine(q, keys[i]) / 0.2 for i, q in enumerate(queries))
    assert batch_contrast(queries, keys, 0.2).item() == pytest.approx(2 * 0.2 * total / 6, rel=1e-9)


def test_nearest_and_contrast():
    first, second = (unit(part) for part in two_views())
    queue = unit(torch.randn(20, 5, dtype=torch.float64))
    by_hand = [max(queue, key=lambda old: float(old @ z)) for z in first]
    found = nearest(first, queue)
    assert torch.equal(found, torch.stack(by_hand))
    total = 0.0
    for i in range(6):
        rows = [float(found[i] @ second[k]) / 0.1 for k in range(6)]
        columns = [float(found[k] @ second[i]) / 0.1 for k in range(6)]
        total += (log_sum(rows) - rows[i] + log_sum(columns) - columns[i]) / 2
    assert contrast(found, second, 0.1).item() == pytest.approx(total / 6, rel=1e-9)


def test_simsiam_distance():
    first, second = two_views()
    expected = -sum(cosine(p, z) for p, z in zip(first, second, strict=True)) / 6
    assert distance(first, second).item() == pytest.approx(expected, rel=1e-9)
    second.requires_grad_()
    assert not distance(first, second).requires_grad


def test_sup_con():
    first, second = two_views()
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    z, classes = [*first, *second], [*labels.tolist(), *labels.tolist()]
    total = 0.0
    for i in range(12):
        others = [k for k in range(12) if k != i]
        below = log_sum(cosine(z[i], z[a]) / 0.1 for a in others)
        positive = [p for p in others if classes[p] == classes[i]]
        total -= sum(cosine(z[i], z[p]) / 0.1 - below for p in positive) / len(positive)
    assert sup_con(first, second, labels, 0.1).item() == pytest.approx(total / 12, rel=1e-9)
    alone = sup_con(first, second, torch.arange(6), 0.1)  # with a class for each image it is SimCLR's loss
    assert alone.item() == pytest.approx(nt_xent(first, second, 0.1).item(), rel=1e-9)


def rate_by_eigenvalues(z, epsilon):
    """Half the sum of log(1 + D / (N eps) * sigma^2) over the singular values."""
    count, width = z.shape
    sigma = torch.linalg.svdvals(z)
    return 0.5 * float(torch.log1p(width / (count * epsilon) * sigma.square()).sum())


def test_coding_rate():
    patches = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = sum(rate_by_eigenvalues(z, 0.2) for z in patches) / 3
    assert coding_rate(patches, 0.2).item() == pytest.approx(expected, rel=1e-9)
    rotation = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))[0]
    assert coding_rate(patches @ rotation, 0.2).item() == pytest.approx(expected, rel=1e-9)
    by_loops = sum(cosine(patches[p, n], patches[:, n].mean(0)) for p in range(3) for n in range(6)) / 18
    assert agreement(patches).item() == pytest.approx(by_loops, rel=1e-9)


def test_collapse_is_the_worst_of_coding_rates_and_lightly_s_best():
    """lightly 1.6.0 minimises the coding rate that the paper maximises: its loss prefers collapsed features."""
    spread = unit(torch.randn(64, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    collapsed = unit(torch.ones(64, 16, dtype=torch.float64))
    for patches in ((spread, spread), (collapsed, collapsed)):
        assert agreement(torch.stack(patches)).item() == pytest.approx(1)
    ours = {name: -coding_rate(z[None], 0.2).item() for name, z in (("spread", spread), ("collapsed", collapsed))}
    assert ours["spread"] < ours["collapsed"]
    lightly_loss = lightly.loss.EMPSSLLoss()
    assert lightly_loss([collapsed, collapsed]) < lightly_loss([spread, spread])


def test_lightly_s_co2_regularizer_has_no_gradient():
    """Why the book does not borrow it."""
    from lightly.loss.regularizer import CO2Regularizer

    query, key = (part.clone().requires_grad_() for part in two_views())
    assert not CO2Regularizer()(query, key).requires_grad
