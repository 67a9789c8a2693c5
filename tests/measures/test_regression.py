"""Ridge regression and its kernel sister against scikit-learn; circular factors; nothing leaks between folds."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.linear_model import Ridge as LinearRidge
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from lib.errors import BadInput
from lib.measures import regression
from lib.measures.regression import (
    angular_error,
    assign_arcs,
    assign_folds,
    encode,
    nested,
    nested_each,
    r_squared_interval,
    r_squared_outcomes,
)

CIRCLES = st.sampled_from([1.0, 360.0])


def noisy(count, seed, width=12, columns=2, noise=1.0):
    """Features of unlike means and spreads, and targets that are linear in them except for noise."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(count, width, generator=generator)
    weight = torch.randn(width, columns, generator=torch.Generator().manual_seed(99))
    targets = features @ weight + noise * torch.randn(count, columns, generator=generator)
    return features * torch.logspace(-2, 2, width) + 3, targets + 5


def r_squared(targets, predicted):
    return r2_score(targets, predicted, multioutput="variance_weighted")


def rotated(angle):
    return torch.tensor([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]], dtype=torch.float64)


# ------------------------------------------------------------------------------------------------------- circles


def test_a_circle_by_hand():
    assert torch.allclose(encode(torch.tensor([0.0, 90.0, 180.0]), 360).round(decimals=6),
                          torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]).double())  # fmt: skip
    assert encode(torch.tensor([2, 7])).tolist() == [[2.0], [7.0]]
    predicted = torch.tensor([[2.0, 0.0], [0.0, 0.5], [0.0, -1.0]])  # at 0, 90 and 270 degrees
    assert angular_error(predicted, torch.tensor([359.0, 85.0, 90.0]), 360).tolist() == pytest.approx([1, 5, 180])
    assert angular_error(predicted, torch.tensor([0.75, 0.75, 0.75]), 1).tolist() == pytest.approx([0.25, 0.5, 0])


@settings(deadline=None)
@given(CIRCLES, st.floats(-2, 2), st.floats(-0.5, 0.5), st.floats(0.01, 100))
def test_the_angular_error_is_the_angle_that_was_added(period, turn, gap, length):
    predicted = length * encode(torch.tensor([(turn + gap) * period], dtype=torch.float64), period)
    error = angular_error(predicted, torch.tensor([turn * period], dtype=torch.float64), period)
    assert error.item() == pytest.approx(abs(gap) * period, abs=1e-9 * period)


# ------------------------------------------------------------------------------------------------------ R-squared


def test_r_squared_is_scikit_learn_s():
    generator = np.random.default_rng(0)
    targets, predicted = torch.tensor(generator.normal(size=(2, 50, 3)) * [1, 5, 0.1])
    assert r_squared_outcomes(targets, predicted).mean() == pytest.approx(r_squared(targets, predicted))


def test_r_squared_of_the_perfect_and_of_constants():
    targets = encode(torch.rand(200), 1)
    assert r_squared_outcomes(targets, targets).mean() == pytest.approx(1)
    assert r_squared_outcomes(targets, targets.mean(dim=0).expand(200, 2)).mean() == pytest.approx(0)
    for constant in encode(torch.rand(20), 1):
        assert r_squared_outcomes(targets, constant.expand(200, 2)).mean() < 0


@settings(deadline=None)
@given(st.floats(-4, 4), st.integers(0, 100))
def test_the_origin_of_a_circle_does_not_matter(angle, seed):
    generator = torch.Generator().manual_seed(seed)
    targets, predicted = encode(torch.rand(30, generator=generator), 1), torch.randn(30, 2, generator=generator)
    turned = r_squared_outcomes(targets @ rotated(angle), predicted.double() @ rotated(angle)).mean()
    assert turned == pytest.approx(r_squared_outcomes(targets, predicted).mean())


def test_the_interval_is_scipy_s_bootstrap_and_the_outcomes_agree():
    features, targets = noisy(400, 0, noise=3)
    predicted = nested(features, targets)

    y, guess = targets.double().numpy(), predicted.numpy()

    def statistic(chosen):
        return 1 - ((y[chosen] - guess[chosen]) ** 2).sum() / ((y[chosen] - y[chosen].mean(axis=0)) ** 2).sum()

    theirs = stats.bootstrap(
        (np.arange(400),), statistic, method="percentile", n_resamples=1000, rng=0, vectorized=False
    )
    ours = r_squared_interval(targets, predicted, resamples=1000)
    assert ours.mean == pytest.approx(r_squared(targets, predicted))
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.01)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.01)
    outcomes = r_squared_outcomes(targets, predicted)
    assert outcomes.mean() == pytest.approx(ours.mean)
    assert outcomes.std(ddof=1) / 20 == pytest.approx(theirs.standard_error, rel=0.1)


# --------------------------------------------------------------------------------------------------------- nested


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_nested_is_scikit_learn_s_grid_search_in_every_fold(kernel, monkeypatch):
    decays, scales = (1.0, 0.1, 1e-2, 1e-4), (0.1, 1.0)
    for name, candidates in (("DECAYS", decays), ("KERNEL_DECAYS", decays), ("SCALES", scales)):
        monkeypatch.setattr(regression, name, candidates)
    features, targets = noisy(100, 0, noise=4)
    x, y, fold = features.double().numpy(), targets.double().numpy(), assign_folds(100, 5, seed=3).numpy()
    # A mean decay is a sum divided by the images: a choice is made with 60 of them, the fit with 80.
    candidates = {"fit__alpha": [60 * decay for decay in decays]}
    if kernel == "rbf":
        candidates["fit__gamma"] = [scale / 12 for scale in scales]
    regressor = LinearRidge() if kernel == "linear" else CentredKernelRidge(kernel="rbf")
    model = Pipeline([("scale", StandardScaler()), ("fit", regressor)])
    theirs, choices = np.empty_like(y), set()
    for k in range(5):
        inside = fold != k
        inner = PredefinedSplit(fold[inside])
        search = GridSearchCV(model, candidates, scoring="neg_mean_squared_error", cv=inner, refit=False)
        best = search.fit(x[inside], y[inside]).best_params_
        choices.add(tuple(best.values()))
        model.set_params(**best | {"fit__alpha": best["fit__alpha"] * 80 / 60})
        theirs[~inside] = model.fit(x[inside], y[inside]).predict(x[~inside])
    assert len(choices) > 1  # of the folds
    assert np.allclose(nested(features, targets, 5, kernel, seed=3), theirs, atol=1e-5)


class CentredKernelRidge(KernelRidge):
    """scikit-learn's has no intercept."""

    def fit(self, x, y):
        self.mean_ = y.mean(axis=0)
        return super().fit(x, y - self.mean_)

    def predict(self, x):
        return super().predict(x) + self.mean_


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_units_do_not_matter_and_dead_features_are_dropped(kernel):
    """One that is silent, and one that wakes in a single image: wherever that is, nothing changes."""
    features, targets = noisy(60, 0)
    plain = nested(features.double(), targets, kernel=kernel)
    dead = torch.full((60, 2), 0.1, dtype=torch.float64)
    dead[17, 1] = 50.0
    other = torch.cat((features.double() * torch.logspace(3, -3, 12) - 7, dead), dim=1)
    torch.testing.assert_close(nested(other, targets, kernel=kernel), plain, atol=1e-6, rtol=0)


def test_a_circle_is_recovered_from_features_that_hold_it():
    angle = 360 * torch.rand(100, generator=torch.Generator().manual_seed(0))
    features = encode(angle, 360) @ torch.randn(2, 8, dtype=torch.float64) + 4
    predicted = nested(features, encode(angle, 360))
    assert r_squared(encode(angle, 360), predicted) == pytest.approx(1, abs=1e-6)
    assert angular_error(predicted, angle, 360).max() < 1e-2
    assert r_squared(encode(angle), nested(features, encode(angle))) < 0.8  # the jump from 360 to 0


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_an_image_s_own_target_has_no_part_in_its_prediction(kernel):
    features, targets = noisy(40, 0)
    plain = nested(features, targets, 4, kernel)
    for image in (0, 17, 39):
        changed = targets.clone()
        changed[image] += 1000
        again = nested(features, changed, 4, kernel)
        assert torch.equal(again[image], plain[image])
        assert not torch.allclose(again, plain)


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_chance_predicts_nothing(kernel):
    """Targets that know nothing of the features, in more dimensions than images: a leak would be learnt by heart."""
    scores = []
    for seed in range(10):
        generator = torch.Generator().manual_seed(seed)
        features, targets = torch.randn(60, 80, generator=generator), torch.randn(60, 1, generator=generator)
        scores.append(r_squared(targets, nested(features, targets, kernel=kernel)))
    assert np.mean(scores) < 2 * np.std(scores) / np.sqrt(10)
    assert np.mean(scores) > -0.3


def test_a_known_share_of_variance_is_found():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1000, 6, generator=generator)
    targets = features[:, :3].sum(dim=1, keepdim=True) + torch.randn(1000, 1, generator=generator)  # 3 parts in 4
    found = r_squared_interval(targets, nested(features, targets))
    assert found.low < 0.75 < found.high < found.low + 0.07


def test_a_product_needs_the_kernel():
    features = torch.randn(250, 4, generator=torch.Generator().manual_seed(0))
    targets = features[:, :1] * features[:, 1:2]
    assert r_squared(targets, nested(features, targets)) < 0.05
    assert r_squared(targets, nested(features, targets, kernel="rbf")) > 0.8


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_causes_together_are_each_alone(kernel):
    features, targets = noisy(60, 0, columns=4, noise=3)
    causes = {"one": targets[:, :1], "noise": torch.randn(60, 1), "two": 1000 * targets[:, 1:3], "last": targets[:, 3:]}
    together = nested_each(features, causes, 4, kernel)
    assert list(together) == list(causes)
    for name, columns in causes.items():
        alone = nested(features, columns, 4, kernel)
        assert torch.allclose(together[name], alone, rtol=1e-6, atol=1e-6 * columns.abs().max().item())


@settings(max_examples=50, deadline=None)
@given(st.integers(3, 40), st.data())
def test_folds_are_even_shuffled_and_repeatable(count, data):
    folds, seed = data.draw(st.integers(1, count)), data.draw(st.integers(0, 2**40))
    fold = assign_folds(count, folds, seed)
    sizes = torch.bincount(fold, minlength=folds)
    assert len(sizes) == folds and sizes.max() - sizes.min() <= 1
    assert torch.equal(fold, assign_folds(count, folds, seed))


def test_the_seed_decides_and_nothing_else():
    features, targets = noisy(40, 0)
    first = nested(features, targets, seed=1)
    torch.rand(7)
    assert torch.equal(first, nested(features, targets, seed=1))
    assert not torch.allclose(first, nested(features, targets, seed=2))


def test_without_a_choice_and_a_decay_it_is_cross_validated_least_squares(monkeypatch):
    monkeypatch.setattr(regression, "DECAYS", (1e-13,))
    features, targets = noisy(40, 0)
    ours, fold = nested(features, targets, folds=8), assign_folds(40, 8).numpy()
    for k in range(8):
        theirs = LinearRegression().fit(features[fold != k].double(), targets[fold != k].double())
        assert np.allclose(ours[fold == k], theirs.predict(features[fold == k].double()), atol=1e-6)


# ------------------------------------------------------------------------------------------------------ bad input

X, Y = torch.randn(10, 3), torch.randn(10, 1)
HOLES = torch.full((10, 1), float("nan"))


def test_what_varies_enough_by_hand():
    """Ten images: silent always, in all but four, in all but five; a number each; and 1 except for rounding."""
    features = torch.zeros(10, 5)
    features[:4, 1], features[:5, 2] = torch.arange(1.0, 5.0), torch.arange(1.0, 6.0)
    features[:, 3], features[:, 4] = torch.arange(10.0), 1 + 1e-9 * torch.arange(10)
    assert regression.varying(features.double()).tolist() == [False, False, True, True, False]
    assert regression.varying(torch.tensor([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])).tolist() == [True, False]


def test_a_unit_that_speaks_a_thousand_times_louder_once_does_not_decide():
    """One unit is at 0.001 for one image and at 1 for another: whichever is held out, no prediction flies away."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(60, 3, generator=generator)
    targets = features[:, :1].double()
    rare = torch.zeros(60, 1)
    rare[7], rare[30] = 0.001, 1.0
    for kernel in ("linear", "rbf"):
        with_rare = nested(torch.cat((features, rare), dim=1), targets, kernel=kernel)
        torch.testing.assert_close(with_rare, nested(features, targets, kernel=kernel))


@pytest.mark.parametrize("bad, sentence", [
    (lambda: nested(X, Y[:9]), "same images"),
    (lambda: nested(X, Y[:, 0]), r"\(N, T\)"),
    (lambda: nested(X, HOLES), "NaN"),
    (lambda: nested(X * HOLES, Y), "NaN"),
    (lambda: nested(X, Y, folds=2), "from 3 to 10"),
    (lambda: nested(X, Y, folds=11), "from 3 to 10"),
    (lambda: nested(X, Y, folds=2.5), "whole number"),
    (lambda: nested(X, Y, kernel="cubic"), "linear, rbf"),
    (lambda: nested_each(X, {}), "at least one"),
    (lambda: nested(X[:1], Y[:1]), "2 images"),
    (lambda: r_squared_outcomes(Y, Y[:9]), "same images"),
    (lambda: r_squared_outcomes(Y, HOLES), "NaN"),
    (lambda: r_squared_interval(torch.ones(10, 2), torch.randn(10, 2)), "undefined"),
    (lambda: encode(HOLES[:, 0]), "finite"),
    (lambda: encode(Y), r"\(N,\)"),
    (lambda: encode(Y[:, 0], 0), "above 0"),
    (lambda: angular_error(Y, Y[:, 0], 360), r"\(N, 2\)"),
])  # fmt: skip
def test_bad_input_is_told_what_is_allowed(bad, sentence):
    with pytest.raises(BadInput, match=sentence):
        bad()


# ---- Folds that are arcs


@given(st.integers(10, 80), st.integers(3, 6), st.integers(0, 999))
def test_folds_of_views_are_arcs(count, folds, seed):
    """However the views are ordered: round the circle the fold changes as often as there are folds."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    angles = torch.arange(count)[order] * (360.0 / count)
    fold = assign_arcs(angles, folds, 360.0)
    around = fold[angles.argsort()]
    assert int((around != around.roll(1)).sum()) == folds
    assert int(around.bincount().max() - around.bincount().min()) <= 1 and len(around.unique()) == folds


def test_only_views_at_the_ends_of_an_arc_have_a_neighbour_in_training():
    """COIL: 72 views, 5 degrees apart, in five arcs. A random fold leaves nearly every view a neighbour."""
    angles = torch.arange(0, 360, 5)

    def with_neighbour(fold):
        gaps = (angles[:, None] - angles).abs()
        near = torch.minimum(gaps, 360 - gaps) <= 5
        return int((near & (fold[:, None] != fold)).any(dim=1).sum())

    assert with_neighbour(assign_arcs(angles, 5, 360.0)) == 10
    assert with_neighbour(assign_folds(72, 5)) > 60
    wrapped = assign_arcs(angles - 360, 5, 360.0)  # the same directions under other numbers
    assert torch.equal(wrapped, assign_arcs(angles, 5, 360.0))


def test_a_feature_that_only_knows_its_neighbours_is_found_out():
    """Bumps of 10 degrees tell a view from the next ones, and nothing of an arc that training never saw."""
    angles = torch.arange(0, 360, 5.0)
    gaps = (angles[:, None] - angles).abs()
    features = torch.exp(-0.5 * (torch.minimum(gaps, 360 - gaps) / 10) ** 2)
    targets, fold = encode(angles, 360.0), assign_arcs(angles, 5, 360.0)
    random, arcs = nested(features, targets), nested(features, targets, 5, fold=fold)
    assert r_squared(targets, random) > 0.9 and r_squared(targets, arcs) < 0.5
    known = torch.stack((angles.mul(torch.pi / 180).cos(), angles.mul(torch.pi / 180).sin()), dim=1)
    assert r_squared(targets, nested(known, targets, 5, fold=fold)) > 0.99


def test_folds_that_are_given_are_those_that_are_used():
    """The same folds by hand as by the seed give the same numbers."""
    features, targets = torch.randn(40, 3, generator=torch.Generator().manual_seed(0)), torch.arange(40.0)[:, None]
    assert torch.equal(nested(features, targets), nested(features, targets, fold=assign_folds(40, 5)))
    for bad in (torch.zeros(40, dtype=torch.int64), torch.arange(39) % 5):
        with pytest.raises(BadInput, match="fold is one of 0 to 4 for each of 40 images"):
            nested(features, targets, fold=bad)
