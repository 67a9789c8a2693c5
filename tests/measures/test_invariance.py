"""Measures of invariance: closed forms, SciPy and scikit-learn as references, and what they ignore."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance as reference
from scipy.stats import multivariate_normal
from sklearn.covariance import EmpiricalCovariance, ShrunkCovariance

from lib.errors import BadInput
from lib.measures import invariance
from lib.measures.invariance import (
    SHRINKAGES,
    chance_distance,
    chance_similarity,
    cosine,
    distance_ratio,
    effective_invariance,
    fit_whitening,
    grouped_distance,
    grouped_similarity,
    mahalanobis,
    pairwise_similarity,
)

SEEDS = st.integers(0, 10_000)


def draw(count, width=6, seed=0):
    """Features (count, width) with correlations, unequal variances and a mean: float32, as encoders give them."""
    mixing = torch.randn(width, width, generator=torch.Generator().manual_seed(99)) * torch.linspace(0.2, 2, width)
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, width, generator=generator) @ mixing + torch.linspace(1, 3, width)


def rotation(width, generator):
    return torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64)).Q


def numbers(tensor, tolerance=1e-9):
    return pytest.approx(tensor.tolist(), rel=tolerance, abs=tolerance)


# ---- Whitening


@pytest.mark.parametrize("count, width", [(300, 6), (40, 12), (10, 25)])
def test_shrinkage_and_its_choice_are_those_of_scikit_learn(count, width):
    features, held_out = draw(count, width), draw(200, width, seed=1)
    scores = []
    for shrinkage in SHRINKAGES:
        theirs = ShrunkCovariance(shrinkage=shrinkage).fit(features.double().numpy())
        ours = fit_whitening(features, held_out, (shrinkage,))
        scores.append(theirs.score(held_out.double().numpy()))
        assert ours.likelihood == pytest.approx(scores[-1], rel=1e-9)
        assert ours.shrinkage == shrinkage
        assert np.allclose(ours.mean, theirs.location_)
        factor = ours.factor.numpy()
        assert np.allclose(factor @ factor.T @ theirs.covariance_, np.eye(width), atol=1e-7)
        assert np.allclose(factor.T @ theirs.covariance_ @ factor, np.eye(width), atol=1e-7)
    chosen = fit_whitening(features, held_out)
    assert chosen.shrinkage == SHRINKAGES[np.argmax(scores)]
    assert chosen.likelihood == pytest.approx(max(scores))
    assert fit_whitening(features, held_out, SHRINKAGES[::-1]).shrinkage == chosen.shrinkage


def test_more_images_need_less_shrinkage():
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2500, 12, generator=generator) * torch.linspace(0.5, 2, 12)
    few, many = (fit_whitening(images[:count], images[2000:]).shrinkage for count in (20, 2000))
    assert many < few < SHRINKAGES[-1]


def test_without_shrinkage_it_is_the_empirical_covariance():
    features, held_out = draw(300), draw(100, seed=1)
    theirs = EmpiricalCovariance().fit(features.double().numpy())
    ours = fit_whitening(features, held_out, (0.0,))
    assert ours.likelihood == pytest.approx(theirs.score(held_out.double().numpy()))
    whitened = ours(features)
    assert whitened.mean(dim=0) == numbers(torch.zeros(6))
    assert np.allclose(np.cov(whitened.T, bias=True), np.eye(6))
    # Mean square distance of pairs: 2 D by N / (N - 1), since the covariance is 1 with respect to all pairs, selves too
    pairs = torch.pdist(whitened).square().mean()
    assert pairs.item() == pytest.approx(2 * 6 * 300 / 299)


def test_whitening_is_affine_and_takes_any_leading_shape():
    whitening = fit_whitening(draw(50), draw(50, seed=1))
    features = draw(24, seed=2)
    expected = (features.double() - whitening.mean) @ whitening.factor
    assert torch.equal(whitening(features.reshape(4, 6, 6)), expected.reshape(4, 6, 6))
    assert torch.equal(whitening(whitening.mean), torch.zeros(6, dtype=torch.float64))


def with_dead(features):
    """Two more features, the second and the last, which never change."""
    dead = torch.full((len(features), 1), 0.1)
    return torch.cat([features[:, :1], dead, features[:, 1:], 0 * dead], dim=1)


@pytest.mark.parametrize("count", [5, 200])
def test_dead_features_give_numbers_and_do_not_choose_the_shrinkage(count):
    features, held_out = with_dead(draw(count)), with_dead(draw(300, seed=1))
    live = [0, 2, 3, 4, 5, 6]
    scores = []
    for shrinkage in SHRINKAGES:
        covariance = ShrunkCovariance(shrinkage=shrinkage).fit(features.double().numpy()).covariance_
        gaussian = multivariate_normal(features.double().mean(dim=0)[live], covariance[np.ix_(live, live)])
        scores.append(gaussian.logpdf(held_out[:, live].double()).mean())
        assert fit_whitening(features, held_out, (shrinkage,)).likelihood == pytest.approx(scores[-1], rel=1e-9)
    whitening = fit_whitening(features, held_out)
    assert whitening.shrinkage == SHRINKAGES[np.argmax(scores)] > SHRINKAGES[0]
    whitened = whitening(held_out)
    assert whitened.isfinite().all()
    assert whitened[:, [1, 7]] == pytest.approx(0, abs=1e-6)
    # One that wakes up counts by the variance that shrinkage gave it.
    awake = features.clone()
    awake[:, 1] += 3
    variance = whitening.shrinkage * features.double().var(dim=0, correction=0).mean()
    assert mahalanobis(features, awake, whitening) == pytest.approx((3 / variance.sqrt()).item(), rel=1e-6)


def test_a_feature_that_is_dead_in_one_set_only_counts():
    features, held_out = draw(100), draw(100, seed=1)
    features[:, 2] = 1
    for shrinkage in (0.01, 1):
        score = ShrunkCovariance(shrinkage=shrinkage).fit(features.double().numpy()).score(held_out.double().numpy())
        assert fit_whitening(features, held_out, (shrinkage,)).likelihood == pytest.approx(score, rel=1e-9)


# ---- Pairs of features


def test_cosine_is_scipys():
    a, b = draw(30).double(), draw(30, seed=1).double() - 2
    expected = [1 - reference.cosine(x, y) for x, y in zip(a.numpy(), b.numpy(), strict=True)]
    assert cosine(a, b).tolist() == pytest.approx(expected)
    assert cosine(a.reshape(5, 6, 6), b.reshape(5, 6, 6)).shape == (5, 6)


def test_cosine_by_hand():
    a = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1e-30, 0.0]])
    b = torch.tensor([[4.0, 3.0], [-2.0, 0.0], [1.0, 1.0], [0.0, 0.0], [1e30, 1e30]])
    assert cosine(a, b).tolist() == pytest.approx([24 / 25, -1, 0, 0, math.sqrt(0.5)])
    assert cosine(a, b).dtype == torch.float64


@pytest.mark.parametrize("shrinkage", [0.0, 0.1])
def test_mahalanobis_is_scipys(shrinkage):
    features, a, b = draw(100), draw(20, seed=1), draw(20, seed=2)
    precision = ShrunkCovariance(shrinkage=shrinkage).fit(features.double().numpy()).precision_
    expected = [reference.mahalanobis(x, y, precision) for x, y in zip(a.numpy(), b.numpy(), strict=True)]
    whitening = fit_whitening(features, features, (shrinkage,))
    assert mahalanobis(a, b, whitening).tolist() == pytest.approx(expected)
    assert (whitening(a) - whitening(b)).norm(dim=1).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_distance_ratio_by_double_loop(distance):
    original, transformed = draw(15), draw(15, seed=1)
    between = {"euclidean": reference.euclidean, "cosine": reference.cosine}[distance]
    x, y = original.double().numpy(), transformed.double().numpy()
    chance = np.mean([between(x[i], x[j]) for i in range(15) for j in range(15) if i != j])
    expected = [between(x[i], y[i]) / chance for i in range(15)]
    assert distance_ratio(original, transformed, distance).tolist() == pytest.approx(expected)
    assert chance_distance(original, distance) == pytest.approx(chance)


def test_chance_distance_of_many_images_does_not_hang_on_their_order(monkeypatch):
    """Images sorted by class are like their neighbours, so a shift of the rows as they come would be too short."""
    centres = 5 * torch.randn(10, 6, generator=torch.Generator().manual_seed(3))
    features = draw(1500, seed=4) + centres.repeat_interleave(150, dim=0)
    exact = chance_distance(features)
    monkeypatch.setattr(invariance, "ALL_PAIRS", 1000)
    sampled = chance_distance(features)
    # 1,500 pairs: the standard error is the deviation of a distance by sqrt(1500), a little more as pairs share images
    tolerance = 5 * torch.pdist(features).std().item() / math.sqrt(1500)
    neighbours = (features - features.roll(-1, dims=0)).norm(dim=1).mean().item()
    assert sampled == pytest.approx(exact, abs=tolerance) and sampled != exact
    assert neighbours != pytest.approx(exact, abs=tolerance)
    assert chance_distance(features) == sampled


def test_effective_invariance_by_hand():
    a = torch.tensor([[0.7, 0.2, 0.1], [0.5, 0.3, 0.2], [0.1, 0.1, 0.8]]).log() + 5
    b = torch.tensor([[0.4, 0.3, 0.3], [0.1, 0.6, 0.3], [0.25, 0.25, 0.5]]).log() - 700
    assert effective_invariance(a, b).tolist() == pytest.approx([math.sqrt(0.28), 0, math.sqrt(0.4)], rel=1e-4)
    sure = torch.tensor([[1000.0, -1000.0]])
    assert effective_invariance(sure, sure).tolist() == [1]
    assert effective_invariance(sure, -sure).tolist() == [0]


# ---- What an invariant encoder and what chance scores


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_an_invariant_encoder(seed):
    features = draw(20, seed=seed)
    whitening = fit_whitening(features, draw(20, seed=seed + 1))
    assert cosine(features, features) == pytest.approx(1)
    assert cosine(whitening(features), whitening(features)) == pytest.approx(1)
    assert (mahalanobis(features, features, whitening) == 0).all()
    assert (distance_ratio(features, features) == 0).all()
    assert distance_ratio(features, features, "cosine") == pytest.approx(0, abs=1e-12)
    top = features.double().softmax(dim=1).amax(dim=1)
    assert effective_invariance(features, features) == numbers(top)
    groups = torch.arange(20).repeat(3)
    assert grouped_similarity(features.repeat(3, 1), groups) == pytest.approx(1)
    assert (grouped_distance(features.repeat(3, 1), groups) == 0).all()


def test_all_ways_to_take_another_image_score_chance_on_average():
    """Over the shifts by 1 to N - 1, every pair of different images comes up: the mean is chance to rounding."""
    features = draw(25)
    shifted = [features.roll(shift, dims=0) for shift in range(1, 25)]
    similarity = torch.stack([cosine(features, other) for other in shifted]).mean().item()
    assert similarity == pytest.approx(chance_similarity(features))
    for distance in ("euclidean", "cosine"):
        ratio = torch.stack([distance_ratio(features, other, distance) for other in shifted]).mean().item()
        assert ratio == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_a_random_permutation_scores_chance(seed):
    """Within 4 standard errors of a mean over images; a self-pair is as rare as one image in 800."""
    features = draw(800, seed=seed)
    other = features[torch.randperm(800, generator=torch.Generator().manual_seed(seed))]
    whitening = fit_whitening(features, draw(200, seed=seed + 10))
    for scores, chance in (
        (cosine(features, other), chance_similarity(features)),
        (cosine(whitening(features), whitening(other)), chance_similarity(whitening(features))),
        (distance_ratio(features, other), 1),
        (distance_ratio(features, other, "cosine"), 1),
    ):
        assert abs(scores.mean().item() - chance) < 4 * scores.std().item() / math.sqrt(800)
    assert chance_similarity(features + 8) > 0.7  # a common mean looks like invariance
    assert chance_similarity(whitening(features)) == pytest.approx(0, abs=0.01)


# ---- What the measures ignore


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_without_shrinkage_whitened_measures_ignore_every_invertible_affine_map(seed):
    generator = torch.Generator().manual_seed(seed)
    stretch = torch.logspace(-1.5, 1.5, 6, dtype=torch.float64)
    matrix = rotation(6, generator) * stretch @ rotation(6, generator)
    offset = 5 * torch.randn(6, generator=generator, dtype=torch.float64)
    features, a, b = (draw(count, seed=seed + part).double() for part, count in enumerate((60, 20, 20)))
    plain = fit_whitening(features, features, (0.0,))
    mapped = fit_whitening(features @ matrix + offset, features @ matrix + offset, (0.0,))
    a_mapped, b_mapped = a @ matrix + offset, b @ matrix + offset
    assert mahalanobis(a_mapped, b_mapped, mapped) == numbers(mahalanobis(a, b, plain), 1e-6)
    assert cosine(mapped(a_mapped), mapped(b_mapped)) == numbers(cosine(plain(a), plain(b)), 1e-6)
    # the others do not
    assert not torch.allclose(cosine(a_mapped, b_mapped), cosine(a, b), atol=0.01)
    assert not torch.allclose(distance_ratio(a_mapped, b_mapped), distance_ratio(a, b), atol=0.01)


@given(SEEDS, st.floats(0.01, 100))
@settings(max_examples=25, deadline=None)
def test_rotation_scale_and_shift(seed, scale):
    """All ignore rotation and scale; all but plain cosine (as similarity and as distance) a shift too."""
    generator = torch.Generator().manual_seed(seed)
    turned = scale * rotation(6, generator)
    offset = scale * torch.full((6,), 4.0, dtype=torch.float64)
    features, held_out, a, b = (draw(count, seed=seed + part).double() for part, count in enumerate((30, 30, 20, 20)))
    assert cosine(a @ turned, b @ turned) == numbers(cosine(a, b))
    assert distance_ratio(a @ turned, b @ turned, "cosine") == numbers(distance_ratio(a, b, "cosine"))
    assert distance_ratio(a @ turned + offset, b @ turned + offset) == numbers(distance_ratio(a, b))
    plain = fit_whitening(features, held_out)
    mapped = fit_whitening(features @ turned + offset, held_out @ turned + offset)
    assert mapped.shrinkage == plain.shrinkage
    assert mahalanobis(a @ turned + offset, b @ turned + offset, mapped) == numbers(mahalanobis(a, b, plain), 1e-6)
    assert not torch.allclose(cosine(a + offset / scale, b + offset / scale), cosine(a, b), atol=0.01)


# ---- Groups of views


@given(SEEDS, st.lists(st.integers(2, 5), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None)
def test_groups_by_double_loop(seed, sizes):
    generator = torch.Generator().manual_seed(seed)
    names = torch.arange(len(sizes)) * 7 - 5  # not from 0, not dense
    groups = torch.repeat_interleave(names, torch.tensor(sizes))[torch.randperm(sum(sizes), generator=generator)]
    features = draw(len(groups), seed=seed) - 2
    features[0] = 0
    similarities, distances = [], []
    for name in names:
        views = features[groups == name].double()
        pairs = list(combinations(views, 2))
        similarities.append(np.mean([cosine(x, y).item() for x, y in pairs]))
        distances.append(np.mean([reference.euclidean(x, y) for x, y in pairs]))
        assert pairwise_similarity(views) == pytest.approx(similarities[-1], abs=1e-12)
        assert chance_similarity(views) == pytest.approx(similarities[-1], abs=1e-12)
    assert grouped_similarity(features, groups).tolist() == pytest.approx(similarities, abs=1e-12)
    assert grouped_distance(features, groups).tolist() == pytest.approx(distances)


def test_two_opposite_views_are_not_half_alike():
    """Counting self-pairs would make (1 + s) / 2 of s = -1: as alike as orthogonal views."""
    assert pairwise_similarity(torch.tensor([[1.0, 2.0], [-1.0, -2.0]])) == pytest.approx(-1)
    assert pairwise_similarity(torch.eye(3)) == pytest.approx(0)


def test_similarity_of_four_views_by_hand():
    views = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0], [0.0, 0.0]])
    assert pairwise_similarity(views) == pytest.approx(1 / 6)  # only the first pair of six is alike
    groups = torch.tensor([3, 3, 1, 1])
    assert grouped_similarity(views, groups).tolist() == pytest.approx([0, 1])
    assert grouped_distance(views, groups).tolist() == pytest.approx([3, 1])


# ---- Bad input


@pytest.mark.parametrize(
    "features, held_out, options, message",
    [
        (draw(1), draw(5), {}, r"features have the shape \(N, D\) with N at least 2, not \(1, 6\)"),
        (draw(5), draw(1), {}, "held-out features have the shape"),
        (draw(5)[0], draw(5), {}, r"not \(6,\)"),
        (draw(5)[:, :0], draw(5)[:, :0], {}, r"not \(5, 0\)"),
        (draw(5), draw(5, 7), {}, r"have the shape \(..., 6\), not \(5, 7\)"),
        (draw(5) * math.nan, draw(5), {}, "features must be finite"),
        (draw(5), draw(5) * math.inf, {}, "held-out features must be finite"),
        (torch.full((5, 3), 0.1), draw(5, 3), {}, "features that vary"),
        (draw(5), draw(9), {"shrinkages": (0.0,)}, "need a shrinkage above 0"),
        (draw(5), draw(9), {"shrinkages": ()}, "one or more numbers from 0 to 1"),
        (draw(5), draw(9), {"shrinkages": (0.1, 1.5)}, "one or more numbers from 0 to 1"),
        (draw(5), draw(9), {"shrinkages": (math.nan,)}, "one or more numbers from 0 to 1"),
    ],
)
def test_whitening_refuses(features, held_out, options, message):
    with pytest.raises(BadInput, match=message):
        fit_whitening(features, held_out, **options)


def test_a_shrinkage_without_an_inverse_loses_to_others():
    assert fit_whitening(draw(5), draw(9), (0.0, 0.1)).shrinkage == 0.1


def test_measures_refuse():
    whitening = fit_whitening(draw(9), draw(9, seed=1))
    with pytest.raises(BadInput, match=r"\(..., 6\), not \(4, 5\)"):
        whitening(draw(4, 5))
    with pytest.raises(BadInput, match=r"\(..., 6\), not \(4, 5\)"):
        mahalanobis(draw(4, 5), draw(4, 5), whitening)
    for measure in (cosine, distance_ratio, effective_invariance):
        with pytest.raises(BadInput, match=r"two tensors of one shape \(..., D\), not \(5, 6\) and \(4, 6\)"):
            measure(draw(5), draw(4))
        with pytest.raises(BadInput, match="pairs must be finite"):
            measure(draw(5), draw(5) * math.nan)
    with pytest.raises(BadInput, match="did you mean 'cosine'"):
        distance_ratio(draw(5), draw(5), "cosin")
    for distance in ("euclidean", "cosine"):
        with pytest.raises(BadInput, match=f"at some {distance} distance"):
            distance_ratio(torch.full((5, 3), 0.1), draw(5, 3), distance)
    for measure in (pairwise_similarity, chance_similarity, chance_distance):
        with pytest.raises(BadInput, match="N at least 2, not"):
            measure(draw(1))
        with pytest.raises(BadInput, match="features must be finite"):
            measure(draw(5) * math.nan)


@pytest.mark.parametrize("measure", [grouped_similarity, grouped_distance])
def test_groups_refuse(measure):
    with pytest.raises(BadInput, match="at least 2 views, but group 8 has only one"):
        measure(draw(5), torch.tensor([4, 4, 8, 5, 5]))
    with pytest.raises(BadInput, match=r"int64 of shape \(5,\).*not torch.float32 \(5,\)"):
        measure(draw(5), torch.zeros(5))
    with pytest.raises(BadInput, match=r"int64 of shape \(5,\).*not torch.int64 \(4,\)"):
        measure(draw(5), torch.zeros(4, dtype=torch.int64))
