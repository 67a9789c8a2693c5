"""LEACE by hand, by what its theorem promises, and against the same optimum found in another way."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import linalg
from sklearn.linear_model import LinearRegression

from lib.errors import BadInput
from lib.measures.erasure import fit_erasure
from lib.measures.regression import encode

SEEDS = st.integers(0, 10**6)


def example(seed, count=80, width=6, columns=2, noise=1.0):
    """Correlated features that hold the targets linearly, and noise: float64."""
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    targets = draw(count, columns)
    features = targets @ draw(columns, width) + noise * draw(count, width) @ draw(width, width) + 5 * draw(width)
    return features, targets + 3


def covariance(first, second):
    return (first - first.mean(dim=0)).T @ (second - second.mean(dim=0)) / len(first)


def change(features, other):
    return (features - other).square().sum(dim=1).mean().item()


def test_two_features_by_hand():
    """x = (z, z + e) for all signs of z and e. Predicting z reads the first feature, and it goes along (1, 1).

    S_xx = [[1, 1], [1, 2]] and S_xz = (1, 1), so S_xx^-1 S_xz = (1, 0) and r(x) = x - (1, 1) x_1 = (0, e).
    The orthogonal projection along (1, 1) would erase z, too, at a change of 2.5 in place of 2.
    """
    z, e = torch.tensor([1.0, 1.0, -1.0, -1.0]).double(), torch.tensor([1.0, -1.0, 1.0, -1.0]).double()
    features = torch.stack((z + 10, z + e - 4), dim=1)
    erasure = fit_erasure(features, z[:, None])
    assert torch.allclose(erasure.remove(features), torch.stack((0 * e + 10, e - 4), dim=1))
    assert torch.allclose(erasure.keep(features)[:, 0].abs(), torch.ones(4).double())
    assert change(features, erasure.remove(features)) == pytest.approx(2)


def test_it_is_the_formula_of_the_paper():
    features, targets = example(0)
    covariances = covariance(features, features).numpy()
    whiten = linalg.pinv(linalg.sqrtm(covariances))
    crossed = whiten @ covariance(features, targets).numpy()
    oblique = linalg.pinv(whiten) @ crossed @ linalg.pinv(crossed) @ whiten
    theirs = features - (features - features.mean(dim=0)) @ torch.from_numpy(oblique.T)
    assert torch.allclose(fit_erasure(features, targets).remove(features), theirs)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 4), st.sampled_from([3, 6, 120]))  # 120 features of 80 images: a pseudo-inverse
def test_what_is_promised_on_the_fitting_images(seed, columns, width):
    features, targets = example(seed, width=width, columns=columns)
    erasure = fit_erasure(features, targets)
    removed, kept = erasure.remove(features), erasure.keep(features)
    scale = features.std().item()
    assert kept.shape == (80, min(columns, width))
    assert covariance(removed, targets).abs().max() < 1e-9 * scale  # nothing is left
    assert torch.allclose(erasure.remove(removed), removed, atol=1e-9 * scale)  # a projection
    assert torch.allclose(erasure.keep(removed), torch.zeros_like(kept), atol=1e-8)
    assert torch.allclose(removed + kept @ erasure.writer.T, features, atol=1e-9 * scale)  # complementary
    assert torch.allclose(covariance(kept, kept), torch.eye(kept.shape[1]).double(), atol=1e-8)
    assert torch.allclose(covariance(kept, removed), torch.zeros(kept.shape[1], width).double(), atol=1e-8 * scale)
    assert torch.allclose(removed.mean(dim=0), features.mean(dim=0))


def test_linear_regression_finds_nothing_in_what_is_removed_and_all_in_what_is_kept():
    features, targets = example(1, count=200)
    erasure = fit_erasure(features, targets)

    def score(x):
        return LinearRegression().fit(x, targets).score(x, targets)

    assert score(features) > 0.3
    assert score(erasure.remove(features)) == pytest.approx(0, abs=1e-9)
    assert score(erasure.keep(features)) == pytest.approx(score(features))


def test_other_images_of_the_kind_hold_little_of_the_target():
    features, targets = example(2, count=4000)
    erasure = fit_erasure(features[:2000], targets[:2000])
    before, after = (
        LinearRegression().fit(x[:2000], targets[:2000]).score(x[2000:], targets[2000:])
        for x in (features, erasure.remove(features))
    )
    assert before > 0.3 and abs(after) < 0.01
    fresh = erasure.remove(features[2000:])
    assert LinearRegression().fit(fresh, targets[2000:]).score(fresh, targets[2000:]) < 0.02


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, 3))
def test_no_erasing_map_changes_the_features_less(seed, columns):
    """Affine maps erase if they see the features only orthogonally to S_xz: least squares finds the best of these."""
    features, targets = example(seed, columns=columns)
    removed = fit_erasure(features, targets).remove(features)
    blind = torch.from_numpy(linalg.null_space(covariance(features, targets).T.numpy()))
    seen = features @ blind
    optimum = torch.from_numpy(LinearRegression().fit(seen, features).predict(seen))
    assert torch.allclose(removed, optimum, atol=1e-7 * features.std().item())
    orthogonal = seen @ blind.T + (features.mean(dim=0) - features.mean(dim=0) @ blind @ blind.T)
    mixture = torch.randn(blind.shape[1], 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    other = optimum + 0.1 * (seen - seen.mean(dim=0)) @ mixture
    for erased in (orthogonal, other):
        assert covariance(erased, targets).abs().max() < 1e-8 * features.abs().max()  # erases as well
        assert change(features, removed) <= change(features, erased) * (1 + 1e-9)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_it_does_not_matter_in_which_coordinates_features_are_given(seed):
    """The optimum is one for all quadratic norms, so a change of coordinates goes through: r'(A x + b) = A r(x) + b."""
    features, targets = example(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    rotation, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    mix = rotation * torch.logspace(-1, 1, 6, dtype=torch.float64) @ rotation.roll(1, 0)
    there = fit_erasure(features @ mix + 7, targets).remove(features @ mix + 7)
    assert torch.allclose(there, fit_erasure(features, targets).remove(features) @ mix + 7, atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_it_does_not_matter_in_which_coordinates_targets_are_given(seed):
    """Other units, another origin of a circle, a column given twice: the same is erased."""
    features, targets = example(seed)
    plain = fit_erasure(features, targets)
    mix = torch.tensor([[1.0, 2.0, 2000.0, 0.0], [0.0, 1.0, 0.0, 0.0]], dtype=torch.float64)
    mixed = fit_erasure(features, targets @ mix + 1)  # the last column is constant
    assert mixed.reader.shape == plain.reader.shape == (6, 2)
    assert torch.allclose(mixed.remove(features), plain.remove(features), atol=1e-7 * features.std().item())


def test_a_class_is_erased_when_its_means_are_one():
    classes = torch.arange(60) % 3
    features = torch.randn(60, 5, generator=torch.Generator().manual_seed(0)) + 4 * torch.nn.functional.one_hot(
        classes, 5
    )
    targets = torch.nn.functional.one_hot(classes, 4)  # without an image of the last, and columns that add up to one
    erasure = fit_erasure(features, targets)
    assert erasure.keep(features).shape == (60, 2)
    removed = erasure.remove(features)
    assert removed.dtype == torch.float32
    for which in range(3):
        assert torch.allclose(removed[classes == which].mean(dim=0), features.mean(dim=0), atol=1e-5)


def test_directions_without_variance_are_left_alone():
    """Dead and doubled features, in float32: finite, and a dead feature stays what it is."""
    features, targets = example(3)
    features = torch.cat((features, features[:, :2], torch.full((80, 1), 0.1)), dim=1).float()
    erasure = fit_erasure(features, targets)
    removed = erasure.remove(features)
    assert covariance(removed.double(), targets).abs().max() < 1e-5
    assert torch.allclose(removed[:, -1], features[:, -1])
    assert torch.allclose(removed[:, 6:8], removed[:, :2], atol=1e-5)
    assert erasure.reader.abs().max() < 1e3


def test_one_factor_goes_and_an_independent_one_stays():
    """Features that mix a circle and a number: without the circle the number is as readable as before."""
    generator = torch.Generator().manual_seed(4)
    angle, number = 360 * torch.rand(3000, generator=generator), torch.rand(3000, generator=generator)
    causes = torch.cat((encode(angle, 360), encode(number)), dim=1)
    features = causes @ torch.randn(3, 10, generator=generator).double()
    features += 0.1 * torch.randn(3000, 10, generator=generator)
    removed = fit_erasure(features, encode(angle, 360)).remove(features)

    def score(x, y):
        return LinearRegression().fit(x, y).score(x, y)

    assert score(removed, encode(angle, 360)) == pytest.approx(0, abs=1e-9)
    assert score(removed, encode(number)) == pytest.approx(score(features, encode(number)), abs=0.03)


def test_nothing_is_written_into_a_unit_that_hardly_ever_speaks():
    """A unit speaks for two images of one colour. Elsewhere it is silent: were it to count, a copy of the colour would
    be there without noise, and a regression on other images would find it."""
    generator = torch.Generator().manual_seed(5)
    angle = 360 * torch.rand(600, generator=generator)
    targets = encode(angle, 360)
    features = torch.cat((targets.float() + 0.5 * torch.randn(600, 2, generator=generator), torch.zeros(600, 1)), dim=1)
    features[:2, 2] = 1.0
    fitted, others = slice(0, 300), slice(300, 600)
    erasure = fit_erasure(features[fitted], targets[fitted])
    removed = erasure.remove(features[others])
    assert (removed[:, 2] == removed[0, 2]).all()
    assert LinearRegression().fit(features[others], targets[others]).score(features[others], targets[others]) > 0.5
    assert LinearRegression().fit(removed, targets[others]).score(removed, targets[others]) < 0.05


ONES = torch.ones(10, 2)


@pytest.mark.parametrize("features, targets, sentence", [
    (torch.randn(10, 2), torch.randn(9, 1), "same images"),
    (torch.randn(10, 2), torch.randn(10), r"\(N, T\)"),
    (torch.randn(10, 2), torch.full((10, 1), float("nan")), "NaN"),
    (torch.randn(10, 2), ONES, "vary"),
    (ONES, torch.randn(10, 1), "vary"),
])  # fmt: skip
def test_bad_input_is_told_what_is_allowed(features, targets, sentence):
    with pytest.raises(BadInput, match=sentence):
        fit_erasure(features, targets)
