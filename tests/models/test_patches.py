"""k-means over whitened patches, by scikit-learn, closed forms and a plain loop over places."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from lib.errors import BadInput
from lib.images import load
from lib.models import WhitenedPatches, patches
from lib.runs import RunConfig


@pytest.fixture(scope="module")
def scenes():
    return load("scenes", "train", 60).images


@pytest.fixture(scope="module")
def fitted(scenes):
    torch.manual_seed(3)
    encoder = WhitenedPatches(centroids=12, side=4)
    encoder.normalise_by(scenes)
    return encoder


def test_lloyds_rounds_are_scikit_learns():
    points = torch.randn(500, 7, generator=torch.Generator().manual_seed(0))
    first = points[torch.randperm(500, generator=torch.Generator().manual_seed(1))[:9]]
    found = patches.k_means(points, 9, 5, torch.Generator().manual_seed(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        reference = KMeans(9, init=first.numpy(), n_init=1, max_iter=5, tol=0, algorithm="lloyd").fit(points.numpy())
    np.testing.assert_allclose(found, reference.cluster_centers_, atol=1e-5)


def test_a_mean_that_nothing_is_nearest_to_stays():
    points = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    for seed in range(8):  # two equal first means: the first of them is the nearer, the other stays
        assert set(patches.k_means(points, 3, 4, torch.Generator().manual_seed(seed)).flatten().tolist()) <= {0.0, 1.0}


def test_whitening_makes_the_covariance_and_its_ridge_the_identity():
    generator = torch.Generator().manual_seed(0)
    points = torch.randn(4000, 6, generator=generator) @ torch.randn(6, 6, generator=generator) + 3
    centre, whitening = patches.zca(points)
    torch.testing.assert_close(whitening, whitening.T)
    covariance = torch.cov(points.T) + patches.RIDGE * torch.eye(6)
    torch.testing.assert_close(whitening @ covariance @ whitening, torch.eye(6), atol=1e-3, rtol=0)
    torch.testing.assert_close(centre, points.mean(dim=0))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0, 10, width=32), min_size=1, max_size=6))
def test_the_triangle_code_by_its_formula(distances):
    mean = sum(distances) / len(distances)
    expected = [max(0.0, mean - one) for one in distances]
    assert patches.triangle(torch.tensor(distances)).tolist() == pytest.approx(expected, abs=1e-5)


def test_features_are_the_sums_over_quadrants_of_a_loop_over_places(fitted, scenes):
    image = scenes[0, :, :9, :8]  # 6 x 5 places of 4 x 4 pixels
    expected = torch.zeros(12, 2, 2)
    for row in range(6):
        for column in range(5):
            patch = image[:, row : row + 4, column : column + 4].flatten().double() / 255
            patch = (patch - patch.mean()) / (patch.var() + 10 / 255**2).sqrt()
            white = (patch - fitted.centre) @ fitted.whitening.double()
            distances = torch.tensor([(white - centroid).norm() for centroid in fitted.centroids])
            expected[:, int(row >= 3), int(column >= 2)] += (distances.mean() - distances).clamp(min=0)
    found = fitted(image[None].float() / 255)[0]
    torch.testing.assert_close(found, expected.flatten(), atol=1e-3, rtol=1e-3)


def test_the_patches_that_are_sampled_are_patches_of_the_images():
    """In images whose pixel says where it is: number, row and column are consecutive in each patch."""
    encoder = WhitenedPatches(side=3)
    rows, columns = torch.meshgrid(torch.arange(7), torch.arange(5), indexing="ij")
    images = torch.stack([torch.stack((torch.full((7, 5), n), rows, columns)) for n in range(4)]).to(torch.uint8)
    sampled = encoder._some(images, torch.Generator().manual_seed(0))
    number, row, column = (sampled * 255).round().long().view(-1, 3, 3, 3).unbind(1)
    assert (number == number[:, :1, :1]).all() and set(number.flatten().tolist()) == {0, 1, 2, 3}
    assert (row - row[:, :1, :1] == torch.arange(3)[:, None]).all() and set(row[:, 0, 0].tolist()) == set(range(5))
    assert (column - column[:, :1, :1] == torch.arange(3)).all() and set(column[:, 0, 0].tolist()) == {0, 1, 2}


def test_a_fit_is_repeated_by_its_seed_and_travels_with_the_weights(fitted, scenes):
    torch.manual_seed(3)
    again = WhitenedPatches(centroids=12, side=4)
    again.normalise_by(scenes)
    images = scenes[:3].float() / 255
    assert torch.equal(again(images), fitted(images))
    torch.manual_seed(4)
    other = WhitenedPatches(centroids=12, side=4)
    other.normalise_by(scenes)
    assert not torch.equal(other.centroids, fitted.centroids)
    other.load_state_dict(fitted.state_dict())
    assert torch.equal(other(images), fitted(images))


def test_a_flat_image_and_other_sizes_have_finite_features(fitted):
    for image in (torch.zeros(1, 3, 32, 32), torch.ones(2, 3, 5, 9)):
        assert fitted(image).isfinite().all() and fitted(image).shape == (len(image), 48)


def test_what_cannot_be_had_is_refused_in_a_sentence(fitted):
    with pytest.raises(BadInput, match="at least 5 a side, not 4 x 9"):
        fitted(torch.zeros(1, 3, 4, 9))
    with pytest.raises(BadInput, match="as many points as means, 3, not 2"):
        patches.k_means(torch.zeros(2, 4), 3, 1, torch.Generator())
    with pytest.raises(BadInput, match="whitened_patches has no weights that simclr could train"):
        RunConfig("scenes", "simclr", encoder="whitened_patches")


def test_a_run_of_it_says_which_encoder_it_has():
    assert RunConfig("scenes", "kmeans", encoder="resnet18").encoder == "whitened_patches"
