"""What methods keep between steps (slow copies, queues, DINO's centre), SwAV's codes, and passes over crops."""

import copy
from collections import deque

import lightly.loss
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightly.loss.swav_loss import sinkhorn as lightly_sinkhorn
from torch import nn

from lib.methods import METHODS, build_method
from lib.methods.crops import one_pass_per_size
from lib.methods.dino import DINO, Settings, warming
from lib.methods.prototypes import Prototypes
from lib.methods.queue import Queue
from lib.methods.swav import sinkhorn
from lib.methods.target import follow, rising, slow_copy
from lib.models import build_encoder

SHARES = st.floats(0, 1)
SEEDS = st.integers(0, 10_000)
EXAMPLES = settings(max_examples=30, deadline=None)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Slow copies.


@EXAMPLES
@given(SHARES, SHARES, SHARES)
def test_momentum_rises_from_its_start_to_one(start, earlier, later):
    assert rising(start, 0.0) == pytest.approx(start)
    assert rising(start, 0.5) == pytest.approx((1 + start) / 2)
    assert rising(start, 1.0) == 1
    earlier, later = sorted((earlier, later))
    assert rising(start, earlier) <= rising(start, later)


@EXAMPLES
@given(SHARES, st.lists(st.floats(-3, 3), max_size=12))
def test_slow_copy_is_a_geometric_series_of_the_online_weights(momentum, weights):
    r"""After k steps: m^k times the first weight, and (1 - m) m^(k - 1 - t) times the online weight of step t."""
    online = nn.Linear(3, 2).double()
    slow = slow_copy(online)
    first = slow.weight.clone()
    for weight in weights:
        nn.init.constant_(online.weight, weight)
        follow(slow, online, momentum)
        assert (online.weight == weight).all()
    steps = len(weights)
    series = sum((1 - momentum) * momentum ** (steps - 1 - t) * weight for t, weight in enumerate(weights))
    assert torch.allclose(slow.weight, momentum**steps * first + series, rtol=1e-9, atol=1e-12)


def test_slow_copy_shares_nothing_learns_nothing_and_keeps_its_own_statistics():
    online = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    slow = slow_copy(online)
    assert all(parameter.requires_grad for parameter in online.parameters())
    assert not any(parameter.requires_grad for parameter in slow.parameters())
    assert not {part.data_ptr() for part in online.parameters()} & {part.data_ptr() for part in slow.parameters()}
    online(torch.randn(8, 3))
    statistics = copy.deepcopy(dict(slow.named_buffers()))
    follow(slow, online, 0.5)
    assert all(torch.equal(statistics[name], now) for name, now in slow.named_buffers())
    assert not torch.equal(statistics["1.running_mean"], online[1].running_mean)


# Queues.


@EXAMPLES
@given(st.integers(1, 7), st.lists(st.integers(0, 15), max_size=8))
def test_queue_is_a_deque_of_fixed_length_that_survives_saving(size, batches):
    queue = Queue(size, 2)
    model = deque(queue.keys.tolist(), maxlen=size)
    for number, count in enumerate(batches):
        vectors = torch.arange(2.0 * count).reshape(count, 2) + 100 * number
        queue.push(vectors)
        model.extend(vectors.tolist())
        restored = Queue(size, 2)
        restored.load_state_dict(copy.deepcopy(queue.state_dict()))
        queue = restored
        assert queue.keys.roll(-queue.oldest, dims=0).tolist() == list(model)


def test_queue_starts_with_unit_vectors_and_keeps_neither_graph_nor_memory_of_what_is_pushed():
    queue = Queue(5, 3)
    assert torch.allclose(queue.keys.norm(dim=1), torch.ones(5))
    vectors = torch.ones(2, 3, requires_grad=True)
    queue.push(vectors)
    with torch.no_grad():
        vectors.zero_()
    assert not queue.keys.requires_grad and (queue.keys[:2] == 1).all()
    assert not list(queue.parameters())


# Codes.


def scaled(scores, epsilon, iterations):
    """Sinkhorn and Knopp's algorithm as it is told: scale the columns to sum to N / K, then the rows to sum to 1."""
    count, prototypes = scores.shape
    codes = (scores / epsilon).exp()
    for _ in range(iterations):
        for k in range(prototypes):
            codes[:, k] *= count / prototypes / codes[:, k].sum()
        for n in range(count):
            codes[n] /= codes[n].sum()
    return codes


@EXAMPLES
@given(SEEDS, st.integers(1, 9), st.integers(2, 6), st.integers(1, 5))
def test_codes_are_those_of_plain_matrix_scaling_and_of_lightly(seed, count, prototypes, iterations):
    scores = normal(count, prototypes, seed=seed)
    codes = sinkhorn(scores, 0.2, iterations)
    assert torch.allclose(codes, scaled(scores, 0.2, iterations), rtol=1e-9, atol=1e-12)
    assert torch.allclose(codes, lightly_sinkhorn(scores, iterations, 0.2), rtol=1e-9, atol=1e-12)
    assert torch.allclose(codes.sum(dim=1), torch.ones(count, dtype=torch.float64))


@EXAMPLES
@given(SEEDS, st.integers(1, 9), st.integers(2, 6))
def test_after_many_iterations_each_prototype_has_an_equal_share(seed, count, prototypes):
    scores = normal(count, prototypes, seed=seed)
    codes = sinkhorn(scores, 1.0, 300)
    share = torch.full((prototypes,), count / prototypes, dtype=torch.float64)
    assert torch.allclose(codes.sum(dim=0), share, rtol=1e-6)
    # Equation 5 with epsilon 1: except for a factor for each image and one for each prototype, codes are exp(scores).
    factors = codes.log() - scores
    crossed = factors - factors[:1] - factors[:, :1] + factors[0, 0]
    assert crossed.abs().max() < 1e-9


@EXAMPLES
@given(SEEDS, st.floats(-100, 100))
def test_codes_do_not_see_what_is_added_to_an_image_s_scores_in_the_end(seed, shift):
    """A shift of all scores never matters; one for each image is undone by enough iterations."""
    scores = normal(6, 4, seed=seed)
    assert torch.allclose(sinkhorn(scores + shift, 0.5, 3), sinkhorn(scores, 0.5, 3), atol=1e-9)
    each = normal(6, 1, seed=seed + 1)
    assert torch.allclose(sinkhorn(scores + each, 1.0, 300), sinkhorn(scores, 1.0, 300), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_codes_of_huge_scores_are_finite(dtype):
    scores = 1e3 * normal(8, 4).to(dtype)
    assert not (scores / 0.05).exp().isfinite().all()
    codes = sinkhorn(scores, 0.05, 3)
    assert codes.isfinite().all() and torch.allclose(codes.sum(dim=1), torch.ones(8, dtype=dtype), atol=1e-2)


def test_codes_of_equal_images_are_uniform():
    """Clusters of equal size: images that cannot be told apart use all prototypes alike, so collapse is of no use."""
    codes = sinkhorn(normal(1, 4).expand(6, 4), 0.05, 3)
    assert torch.allclose(codes, torch.full_like(codes, 1 / 4))


def test_prototypes_give_cosines():
    prototypes = Prototypes(3, 4).double()
    vectors = normal(5, 3)
    directions = prototypes.directions.detach()
    expected = [[float(v @ p / (v.norm() * p.norm())) for p in directions] for v in vectors]
    assert torch.allclose(prototypes(vectors), torch.tensor(expected, dtype=torch.float64))
    with torch.no_grad():
        prototypes.directions *= torch.tensor([[0.1], [1], [2], [30]])
    assert torch.allclose(prototypes(7 * vectors), torch.tensor(expected, dtype=torch.float64))


# DINO's centre and temperature.


def small_dino(**choices):
    torch.manual_seed(0)
    encoder = nn.Linear(5, 4)
    encoder.features = 4
    return DINO(encoder, Settings(prototypes=6, hidden=4, projection=3, **choices))


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_centre_is_a_geometric_series_of_the_teacher_s_batch_means(steps):
    """And lightly's, with the same outputs; the batch in hand counts only after its own step (equation 4)."""
    method, theirs = small_dino(centre_momentum=0.8), lightly.loss.DINOLoss(6, center_momentum=0.8)
    means = []
    for step in range(steps):
        views = [normal(8, 5, seed=10 * step + place).float() for place in range(3)]
        with torch.no_grad():
            outputs = method.teacher_head(method.teacher_encoder(torch.cat(views[:2])))
        means.append(outputs.mean(dim=0))
        theirs.update_center(outputs.unflatten(0, (2, 8)))
        before = method.centre.clone()
        method(views)
        assert torch.equal(method.centre, before)
        method.after_step(step / steps)
    expected = sum(0.2 * 0.8 ** (steps - 1 - t) * batch for t, batch in enumerate(means))
    assert torch.allclose(method.centre, expected, atol=1e-6)
    assert torch.allclose(method.centre, theirs.center.flatten(), atol=1e-6)


@EXAMPLES
@given(SHARES, SHARES)
def test_teacher_s_temperature_is_a_line_and_then_constant(warmup, progress):
    choices = Settings(first_temperature=0.04, teacher_temperature=0.07, warmup=warmup)
    expected = 0.07 if progress >= warmup else 0.04 + 0.03 * progress / warmup
    assert warming(choices, progress) == pytest.approx(expected)


def test_teacher_s_temperature_and_centre_move_with_the_steps_and_are_saved():
    method = small_dino(first_temperature=0.04, teacher_temperature=0.08, warmup=0.5)
    assert method.teacher_temperature.item() == pytest.approx(0.04)
    method([normal(8, 5, seed=place).float() for place in range(2)])
    method.after_step(0.25)
    assert method.teacher_temperature.item() == pytest.approx(0.06)
    restored = small_dino()
    restored.load_state_dict(method.state_dict())
    assert torch.equal(restored.centre, method.centre) and method.centre.abs().max() > 0
    assert restored.teacher_temperature == method.teacher_temperature


# Crops of several sizes.


class Shapes(nn.Module):
    """A small network for images of any size that notes the shapes of what it reads."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.read = []

    def forward(self, images):
        self.read.append(tuple(images.shape))
        return self.layers(images)


@EXAMPLES
@given(st.lists(st.sampled_from([4, 6, 9]), min_size=1, max_size=7), st.integers(1, 4))
def test_one_pass_per_size_is_separate_passes_in_their_order(sizes, count):
    encoder, head = Shapes().double().eval(), nn.Linear(4, 2).double()
    views = [normal(count, 3, size, size, seed=place) for place, size in enumerate(sizes)]
    separate = [head(encoder.layers(view)) for view in views]
    together = one_pass_per_size(encoder, head, views)
    assert all(torch.allclose(ours, expected) for ours, expected in zip(together, separate, strict=True))
    expected = {(count * sizes.count(size), 3, size, size) for size in sizes}
    assert set(encoder.read) == expected and len(encoder.read) == len(expected)


def standardised(columns):
    """What batch norm makes of (N, D) in training mode before it has learnt anything, by the definition."""
    mean = columns.mean(dim=0)
    return (columns - mean) / ((columns - mean).square().mean(dim=0) + 1e-5).sqrt()


@pytest.mark.parametrize("sizes", [(9, 6, 9, 6), (9, 9, 6, 6, 6), (6, 9), (9, 9)])
def test_batch_norm_sees_the_views_of_a_size_in_the_encoder_and_all_views_in_the_head(sizes):
    encoder = Shapes().double().train()
    head = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)).double().train()
    views = [normal(5, 3, size, size, seed=place) for place, size in enumerate(sizes)]
    together = torch.cat(one_pass_per_size(encoder, head, views))
    features = {}
    for size in set(sizes):
        places = [place for place, other in enumerate(sizes) if other == size]
        joined = encoder.layers(torch.cat([views[place] for place in places]))
        features |= {place: joined[5 * n : 5 * n + 5] for n, place in enumerate(places)}
    expected = standardised(head[0](torch.cat([features[place] for place in range(len(sizes))])))
    assert torch.allclose(together, expected)
    apart = torch.cat([standardised(head[0](features[place])) for place in range(len(sizes))])
    assert not torch.allclose(together, apart, atol=1e-2)


@pytest.mark.parametrize("name", ["swav", "dino"])
def test_the_head_is_run_once_over_the_crops_of_all_sizes(name):
    """And DINO's teacher's once over the two large ones."""
    torch.manual_seed(0)
    method = build_method(name, build_encoder("resnet10_narrow"), METHODS[name].settings(), classes=4).train()
    read = []
    for words, part in method.named_modules():
        if isinstance(part, nn.BatchNorm1d):
            part.register_forward_hook(lambda _, inputs, __, words=words: read.append((words, len(inputs[0]))))
    method([torch.rand(4, 3, view.size, view.size) for view in method.views])
    assert {count for words, count in read if words.startswith("head")} == {4 * len(method.views)}
    assert {count for words, count in read if words.startswith("teacher")} == ({8} if name == "dino" else set())
    assert len({words for words, _ in read}) == len(read)
