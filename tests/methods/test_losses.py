"""Every loss against a triple loop from the paper's formula and against lightly."""

import math

import lightly.loss
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.methods.barlow_twins import correlation_terms
from lib.methods.byol import regression
from lib.methods.simclr import nt_xent


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
