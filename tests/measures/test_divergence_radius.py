"""The smallest ball against closed forms, an optimiser and axioms; rows of encoders whose answer is known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from torch import nn

from lib import images
from lib.errors import BadInput
from lib.images import load
from lib.measures import Subject
from lib.measures.divergence_radius import DivergenceRadius, divergence_radius
from lib.measures.enclosing_ball import smallest_ball
from lib.shifts.corruptions import corrupted_alike


def radius_of(points) -> float:
    return smallest_ball(torch.as_tensor(np.asarray(points, dtype=float))[None])[1].item()


def test_one_point_and_equal_points_have_no_radius():
    weights, radius = smallest_ball(torch.full((2, 5, 3), 7.25))
    assert radius.tolist() == [0, 0] and torch.equal(weights.sum(1), torch.ones(2, dtype=torch.float64))
    assert radius_of([[1.0, 2.0]]) == 0


def test_two_points_are_a_diameter():
    assert radius_of([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]]) == pytest.approx(1.5, rel=1e-12)


@pytest.mark.parametrize("corners", [2, 3, 5, 20])
def test_a_regular_simplex(corners):
    """Unit vectors along the axes: all sqrt((k - 1) / k) from their mean."""
    assert radius_of(np.eye(corners)) == pytest.approx(math.sqrt((corners - 1) / corners), rel=1e-10)


@pytest.mark.parametrize(
    ("angles", "radius"),
    [((90, 45, 45), 0.5), ((60, 60, 60), 1 / math.sqrt(3)), ((120, 30, 30), 0.5), ((70, 60, 50), None)],
)
def test_triangles_with_a_side_of_one(angles, radius):
    """The circumscribed circle of an acute triangle; half of the longest side of another."""
    a, b, c = (math.radians(angle) for angle in angles)
    side = math.sin(c) / math.sin(a)  # the side opposite of a is 1
    corners = [[0, 0], [1, 0], [math.cos(b) * side, math.sin(b) * side]]
    assert radius_of(corners) == pytest.approx(radius or 1 / (2 * math.sin(a)), rel=1e-10)


def test_points_all_over_a_sphere_have_its_radius():
    random = np.random.default_rng(0)
    half = random.normal(size=(30, 4))
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    weights, radius = smallest_ball(torch.from_numpy(3 + 2 * np.concatenate((half, -half)))[None])
    assert radius.item() == pytest.approx(2, rel=1e-9)
    assert (weights >= 0).all()


def test_points_in_a_line_and_points_that_hang_together():
    assert radius_of([[0.0, 0], [1, 1], [3, 3], [2, 2], [3, 3]]) == pytest.approx(1.5 * math.sqrt(2), rel=1e-10)
    square = [[0.0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5], [0, 0.5]]
    assert radius_of(square) == pytest.approx(math.sqrt(0.5), rel=1e-10)


@pytest.mark.parametrize(("points", "dimensions"), [(3, 2), (6, 8), (12, 3), (20, 30)])
def test_against_an_optimiser(points, dimensions):
    """SciPy's SLSQP, which knows of neither weights nor supports: the least r with every point within r of c."""
    random = np.random.default_rng(points)
    sets = random.normal(size=(3, points, dimensions)) * random.uniform(0.1, 3, size=dimensions)
    for one, ours in zip(sets, smallest_ball(torch.from_numpy(sets))[1].tolist(), strict=True):
        start = np.append(one.mean(axis=0), np.square(one - one.mean(axis=0)).sum(axis=1).max())
        found = minimize(
            lambda x: x[-1],
            start,
            jac=lambda x: np.eye(len(x))[-1],
            constraints={
                "type": "ineq",
                "fun": lambda x, one=one: x[-1] - np.square(one - x[:-1]).sum(axis=1),
                "jac": lambda x, one=one: np.column_stack((2 * (one - x[:-1]), np.ones(len(one)))),
            },
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 500},
        )
        assert found.status in (0, 8)  # 8: it can get no lower
        assert ours == pytest.approx(math.sqrt(found.x[-1]), rel=1e-6)


sets = st.tuples(
    st.integers(1, 9), st.integers(1, 6), st.integers(0, 2**31 - 1), st.booleans()
).map(
    lambda chosen: (
        np.random.default_rng(chosen[2]).integers(-2, 3, (1, *chosen[:2])).astype(float)  # many ties and repeats
        if chosen[3]
        else np.random.default_rng(chosen[2]).normal(size=(1, *chosen[:2]))
    )
)


@given(sets)
def test_it_is_a_ball_and_no_smaller_one_is(points):
    """Every point is inside, and the centre is a mean of points on the rim: no centre is nearer to all of these."""
    weights, radius = (found.numpy() for found in smallest_ball(torch.from_numpy(points)))
    distances = np.linalg.norm(points - weights[:, None] @ points, axis=2)
    assert (weights >= 0).all() and weights.sum() == pytest.approx(1)
    assert (distances <= radius + 1e-9).all()
    assert np.allclose(distances[weights > 1e-6], radius[0], atol=1e-5)


@given(sets, st.integers(1, 8))
def test_it_grows_with_the_set(points, count):
    points = torch.from_numpy(points)
    assert smallest_ball(points[:, :count])[1] <= smallest_ball(points)[1] + 1e-9


@given(sets, st.integers(0, 100), st.floats(0.01, 100))
def test_rotation_shift_order_and_scale(points, seed, scale):
    random = np.random.default_rng(seed)
    dimensions = points.shape[2]
    rotation = np.linalg.qr(random.normal(size=(dimensions, dimensions)))[0]
    moved = scale * (random.permutation(points[0]) @ rotation) + random.normal(size=dimensions)
    assert radius_of(moved) == pytest.approx(scale * radius_of(points[0]), rel=1e-6, abs=1e-9 * scale)


@given(sets)
def test_zero_exactly_for_equal_points(points):
    apart = bool(np.ptp(points[0], axis=0).any())
    assert (radius_of(points[0]) > 1e-6) == apart


def test_radius_of_directions():
    """Lengths do not count; opposite directions reach the end of the range, an orthogonal pair sqrt(1/2)."""
    features = torch.tensor([[[1.0, 0], [0, 9]], [[2, 2], [1, 1]], [[0.5, 0], [-7, 0]], [[0, 0], [0, 3]]])
    assert divergence_radius(features).tolist() == pytest.approx([math.sqrt(0.5), 0, 1, 0.5], abs=1e-12)


@pytest.mark.parametrize("features", [torch.zeros(3, 4), torch.zeros(2, 0, 4), torch.full((1, 2, 3), torch.nan)])
def test_bad_input_gets_one_sentence(features):
    for function in (divergence_radius, smallest_ball):
        with pytest.raises(BadInput, match=r"finite numbers \(N, M, D\)"):
            function(features)


class Constant(nn.Module):
    features = 3

    def forward(self, x):
        return torch.tensor([1.0, 2.0, 3.0]).expand(len(x), 3) + 0 * x.mean(dim=(2, 3))


class MeanColour(nn.Module):
    features = 3

    def forward(self, x):
        return x.mean(dim=(2, 3))


CHOSEN = ("fog", "contrast", "brightness")


def rows_of(encoder, monkeypatch, tmp_path, count):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    return DivergenceRadius(count, CHOSEN).rows(Subject(encoder, "scenes", 60, "fp32", torch.device("cpu")))


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    monkeypatch.setattr(images, "SCENES_BLOCK", 60)
    monkeypatch.setattr(images, "SCENES_SIZE", {"train": 60, "validation": 30, "test": 30})


def test_an_encoder_that_sees_nothing_is_perfectly_robust(monkeypatch, tmp_path):
    rows = rows_of(Constant(), monkeypatch, tmp_path, 10)
    assert set(rows["metric"]) == {"divergence radius", "accuracy drop"}
    assert set(rows["value"]) == {0.0}
    assert set(rows["shift"]) == {*CHOSEN, "all"} and len(rows) == 2 * 5 * 4


def test_rows_are_those_of_single_images(monkeypatch, tmp_path):
    rows = rows_of(MeanColour(), monkeypatch, tmp_path, 12)
    test = load("scenes", "test", 12)
    versions = [test.images, *(corrupted_alike(test.images, "fog", severity) for severity in (1, 2, 3))]
    colours = torch.stack([MeanColour()(shown.float() / 255) for shown in versions]).double().numpy()
    directions = colours / np.linalg.norm(colours, axis=2, keepdims=True)
    radii = [radius_of(directions[:, image]) for image in range(12)]
    found = rows[(rows["metric"] == "divergence radius") & (rows["shift"] == "fog")].set_index("level")["value"]
    assert found[3] == pytest.approx(100 * np.mean(radii), rel=1e-4)
    assert found.is_monotonic_increasing
    every = rows[(rows["metric"] == "divergence radius") & (rows["level"] == 5)].set_index("shift")["value"]
    assert every["all"] == every.max()
    told = rows[rows["metric"] == "drop that the radius tells"]
    assert len(told) and told["value"].between(-100, 100).all()
