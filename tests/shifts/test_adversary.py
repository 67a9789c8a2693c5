"""Attacks against closed forms on linear models, formulas written as loops, SciPy, and what must hold of them."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lib.errors import BadInput
from lib.precision import autocast
from lib.shifts.adversary import (
    NORMS,
    FreePerturbation,
    apgd,
    apgd_worst,
    auto_attack,
    cross_entropy,
    deterministic,
    dlr,
    epsilon_of,
    fgsm,
    held,
    in_chunks,
    margin,
    pgd,
    project,
    random_in_ball,
    square,
    steepest,
    survives,
    targeted_dlr,
    within,
    zero_gradient,
)
from lib.shifts.adversary.apgd import checkpoints

ROUNDING = 1e-6
norms = pytest.mark.parametrize("norm", NORMS)


def pictures(count: int = 4, side: int = 6, seed: int = 0, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return low + (high - low) * torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def length(perturbation: torch.Tensor, norm: str) -> torch.Tensor:
    flat = perturbation.flatten(1).double()
    return flat.abs().amax(1) if norm == "linf" else flat.square().sum(1).sqrt()


class Linear(nn.Module):
    """Scores of `classes` that are linear in the pixels: the worst of a ball is known in closed form."""

    def __init__(self, classes: int = 2, side: int = 6, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(classes, 3 * side**2, generator=generator))
        self.bias = nn.Parameter(torch.randn(classes, generator=generator) / 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return F.linear(images.flatten(1) - 0.5, self.weight, self.bias)


def best_of_linear(weight: torch.Tensor, epsilon: float, norm: str) -> torch.Tensor:
    """The perturbation of a ball that raises weight @ x most: Hoelder's inequality with equality."""
    return epsilon * (weight.sign() if norm == "linf" else weight / weight.square().sum().sqrt())


class Small(nn.Module):
    """A network with all that an attack might disturb: batch norm, dropout, a frozen parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.3),
            nn.Conv2d(6, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
            nn.Flatten(), nn.Linear(8, 5),
        )  # fmt: skip
        self.body[0].bias.requires_grad_(False)
        self.body[5].eval()  # as in fine-tuning: one norm in another mode than the rest

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.body(images)


@pytest.fixture
def small():
    torch.manual_seed(0)
    model = Small()
    model.body[1].running_mean.normal_()
    F.cross_entropy(model(pictures()), torch.arange(4)).backward()  # gradients that must survive
    return model


def traces(model: nn.Module) -> list:
    """All that an attack must leave bit for bit."""
    tensors = [tensor.clone() for tensor in model.state_dict().values()]
    tensors += [p.grad.clone() if p.grad is not None else torch.empty(0) for p in model.parameters()]
    flags = [m.training for m in model.modules()] + [p.requires_grad for p in model.parameters()]
    flags += [m.track_running_stats for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    return [*tensors, torch.get_rng_state(), torch.tensor(flags)]


def same(before: list, after: list) -> bool:
    return all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


# The ball


def test_epsilon():
    assert epsilon_of("8/255") == epsilon_of(" 8 / 255 ") == epsilon_of(8 / 255) == epsilon_of(np.float64(8 / 255))
    assert (
        epsilon_of("0.03") == 0.03
        and epsilon_of("2.5/255") == 2.5 / 255
        and epsilon_of(0) == 0
        and epsilon_of("1") == 1
    )
    assert epsilon_of(3, norm="l2") == 3 and epsilon_of("128/255", "l2") == 128 / 255


@pytest.mark.parametrize(("value", "written"), [(8, "8/255"), ("16", "16/255"), (2.5, "2.5/255")])
def test_an_epsilon_of_the_other_scale_is_refused_with_what_to_write(value, written):
    with pytest.raises(BadInput, match=f"epsilon {value} looks like the scale of 0 to 255.*write '{written}'"):
        epsilon_of(value)


@pytest.mark.parametrize(
    "value", [-0.1, "-8/255", math.nan, "nan", math.inf, True, None, "8/0", "eight", [0.1], "1e999", "1/2/3", ""]
)
def test_an_epsilon_that_is_none_is_refused(value):
    with pytest.raises(BadInput, match="epsilon is a number of at least 0 or a text like '8/255', not"):
        epsilon_of(value, "l2")


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    epsilon=st.just(0.0) | st.floats(1e-6, 1),
    norm=st.sampled_from(NORMS),
    scale=st.sampled_from([1e-3, 1, 30]),
)
def test_projection(seed, epsilon, norm, scale):
    images = pictures(seed=seed).round(decimals=1)  # some at the ends of the range
    perturbation = scale * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    projected, inside = project(perturbation, epsilon, norm), within(images, perturbation, epsilon, norm)
    assert (length(projected, norm) <= epsilon * (1 + ROUNDING)).all()
    assert torch.allclose(project(projected, epsilon, norm), projected, rtol=ROUNDING, atol=0)
    short = length(perturbation, norm) <= epsilon
    assert torch.equal(projected[short], perturbation[short])
    assert (length(inside, norm) <= length(projected, norm)).all()
    assert (images + inside).min() >= 0 and (images + inside).max() <= 1


def test_projection_is_the_nearest_point_of_the_ball():
    perturbation = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    for norm in NORMS:
        near = (project(perturbation, 0.5, norm) - perturbation).square().sum()
        others = random_in_ball(torch.arange(2000), (3, 2, 2), 0.5, norm)
        assert near <= (others - perturbation).square().sum((1, 2, 3)).min()


@norms
def test_steepest(norm):
    gradient = pictures(seed=3) - 0.5
    gradient[0] = 0
    gradient[1] *= 1e-30  # whose squares vanish in float32
    direction = steepest(gradient, norm)
    assert direction[0].eq(0).all() and torch.allclose(length(direction[1:], norm), torch.ones(3).double())
    assert torch.equal(steepest(gradient * 2**-10, norm), direction)  # the scale of a loss changes nothing


def test_l2_start_is_uniform_in_volume():
    shape, epsilon = (3, 2, 2), 0.7
    radius = length(random_in_ball(torch.arange(4000), shape, epsilon, "l2"), "l2").numpy()
    assert scipy.stats.kstest((radius / epsilon) ** 12, "uniform").pvalue > 0.01  # the share of the volume within
    points = random_in_ball(torch.arange(4000), shape, epsilon, "l2").flatten(1)
    cosine = (points[:, 0] / points.norm(dim=1)).numpy()  # of a uniform direction: (1 + cosine) / 2 is Beta
    assert scipy.stats.kstest((1 + cosine) / 2, scipy.stats.beta(5.5, 5.5).cdf).pvalue > 0.01


def test_linf_start_is_uniform_and_restarts_differ():
    points = random_in_ball(torch.arange(200), (3, 4, 4), 0.2, "linf")
    assert scipy.stats.kstest(points.flatten().numpy(), scipy.stats.uniform(-0.2, 0.4).cdf).pvalue > 0.01
    assert not torch.equal(points, random_in_ball(torch.arange(200), (3, 4, 4), 0.2, "linf", stream=1))


# PGD


@norms
def test_one_step_on_a_linear_model_is_the_closed_form(norm):
    images, model, step = pictures(low=0.4, high=0.6), Linear(), 0.03
    labels = torch.tensor([0, 1, 0, 1])
    loss = lambda x: cross_entropy(model(x), labels)  # noqa: E731
    found = pgd(images, loss, 0.1, step, 1, norm, modules=model, start="zero", keep="last")
    for image, out, label in zip(images, found, labels.tolist(), strict=True):
        weight = (model.weight[1 - label] - model.weight[label]).detach().view(3, 6, 6)
        assert torch.allclose(out - image, best_of_linear(weight, step, norm), atol=ROUNDING)
    assert torch.equal(found, fgsm(images, loss, 0.1, step, norm, modules=model))
    assert torch.equal(
        fgsm(images, loss, step, norm=norm, modules=model), fgsm(images, loss, step, step, norm, modules=model)
    )


@norms
@pytest.mark.parametrize("attack", ["pgd", "apgd"])
def test_many_steps_reach_the_optimum_of_a_linear_model(norm, attack):
    images, model, epsilon = pictures(low=0.4, high=0.6), Linear(), 0.09
    labels = model(images).argmax(1)
    if attack == "pgd":
        found = pgd(images, lambda x: cross_entropy(model(x), labels), epsilon, 0.02, 40, norm, modules=model)
    else:
        found = apgd(images, model, labels, epsilon, 60, norm, modules=model)
    for image, out, label in zip(images, found, labels.tolist(), strict=True):
        weight = (model.weight[1 - label] - model.weight[label]).detach().view(3, 6, 6)
        best = best_of_linear(weight, epsilon, norm)
        reached = (weight * (out - image)).sum() / (weight * best).sum()
        assert 0.9999 < reached < 1.0001
        if norm == "linf":
            assert torch.allclose(out - image, best, atol=ROUNDING)


def test_robust_accuracy_of_a_linear_model_is_exact():
    # An image falls if and only if epsilon exceeds its margin over the dual norm of the difference of weights.
    model, images = Linear(seed=2), pictures(64, low=0.3, high=0.7)
    labels = model(images).argmax(1)
    difference = (model.weight[0] - model.weight[1]).detach()
    for norm, order in (("linf", 1), ("l2", 2)):
        distance = -margin(model(images), labels).detach() / difference.norm(order)
        alive, smaller = [], torch.ones(64, dtype=torch.bool)
        for epsilon in np.quantile(distance.numpy(), [0.2, 0.5, 0.8]):
            attack = lambda x, y, e=float(epsilon), n=norm: apgd(x, model, y, e, 30, n, modules=model)  # noqa: E731
            robust = survives(images, model, labels, [attack], modules=model)
            clear = (distance - epsilon).abs() > 1e-4 * epsilon
            assert torch.equal(robust[clear], distance[clear] > epsilon)
            assert not (robust & ~smaller).any()
            smaller = robust
            alive.append(robust.float().mean())
        assert alive == sorted(alive, reverse=True)


@norms
def test_a_larger_ball_started_from_a_smaller_one_is_never_weaker(norm, small):
    images, labels = pictures(8), torch.arange(8) % 5
    loss = lambda x: margin(small(x), labels)  # noqa: E731 - above 0 if and only if the answer is wrong
    start, before = torch.zeros_like(images), torch.full((8,), -torch.inf)
    for epsilon in (0.01, 0.03, 0.1):
        adversarial = pgd(images, loss, epsilon, epsilon / 2, 3, norm, modules=small, start=start)
        with held(small), torch.no_grad():
            after = loss(adversarial)
        assert (after >= before - 1e-5).all()
        start, before = adversarial - images, after


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000), norm=st.sampled_from(NORMS),
    epsilon=st.just(0.0) | st.floats(1e-6, 1), step=st.floats(0, 1),
    start=st.sampled_from(["random", "zero"]), keep=st.sampled_from(["best", "last"]),
    attack=st.sampled_from(["pgd", "apgd", "square", "free"]),
)  # fmt: skip
def test_no_attack_leaves_the_ball_or_the_range_of_pixels(seed, epsilon, step, norm, start, keep, attack):
    images, model = pictures(seed=seed).round(decimals=1), Linear(4, seed=seed)
    labels, generator = torch.arange(4), torch.Generator().manual_seed(seed)
    loss = lambda x: cross_entropy(model(x), labels)  # noqa: E731
    if attack == "pgd":
        out = pgd(images, loss, epsilon, step, 3, norm, modules=model, start=start, keep=keep, generator=generator)
    elif attack == "apgd":
        out = apgd(images, model, labels, epsilon, 5, norm, modules=model, loss="dlr", generator=generator)
    elif attack == "square":
        norm, out = "linf", square(images, model, labels, epsilon, 20, modules=model, generator=generator)
    else:
        free = FreePerturbation(epsilon, step, norm)
        for other in (pictures(seed=seed + 1), images, images):
            out = free.added_to(other)
            free.ascend(other, torch.autograd.grad(loss(out).sum(), out)[0])
        assert (length(free.delta, norm) <= epsilon * (1 + ROUNDING)).all()
    assert out.dtype == torch.float32 and out.min() >= 0 and out.max() <= 1
    assert (length(out.detach() - images, norm) <= epsilon * (1 + ROUNDING) + ROUNDING).all()


def test_restarts_and_best_never_make_it_weaker(small):
    images, labels = pictures(8), torch.arange(8) % 5
    loss = lambda x: cross_entropy(small(x), labels)  # noqa: E731

    def reached(**options) -> torch.Tensor:
        found = pgd(images, loss, "16/255", "8/255", 4, modules=small, **options)
        with held(small), torch.no_grad():
            return loss(found)

    one, three, last = reached(), reached(restarts=3), reached(keep="last")
    assert (three >= one - ROUNDING).all() and (three > one + ROUNDING).any()
    assert (one >= last - ROUNDING).all()
    assert (reached(start="zero", restarts=2) >= reached(start="zero") - ROUNDING).all()


def test_a_scalar_loss_is_raised_for_all_images_at_once():
    images, model = pictures(low=0.4, high=0.6), Linear()
    labels = torch.tensor([0, 1, 1, 0])
    options = dict(epsilon=0.1, step=0.02, steps=3, norm="l2", modules=model, start="zero")
    total = pgd(images, lambda x: cross_entropy(model(x), labels).mean(), **options)
    assert torch.allclose(total, pgd(images, lambda x: cross_entropy(model(x), labels), **options), atol=ROUNDING)


def test_a_loss_of_nan_is_never_kept():
    images = pictures(low=0.4, high=0.6)
    broken = lambda x: torch.where(x.mean((1, 2, 3)) > images.mean((1, 2, 3)) + 0.05, torch.nan, x.sum((1, 2, 3)))  # noqa: E731
    found = pgd(images, broken, 0.2, 0.02, 10, modules=(), start="zero")
    assert found.isfinite().all() and broken(found).isfinite().all()


def test_expectation_over_transformations():
    images = pictures(2, low=0.4, high=0.6)
    noise = torch.Generator().manual_seed(1)
    # d/dx of (1 + noise) x, with noise of deviation 3: one draw has the wrong sign often, the mean of 200 never.
    loss = lambda x: (x * (1 + 3 * torch.randn(x.shape, generator=noise))).sum((1, 2, 3))  # noqa: E731
    options = dict(epsilon=0.1, modules=(), start="zero", keep="last", step=0.1, steps=1)
    up = torch.ones_like(images) * 0.1
    one, many = (pgd(images, loss, samples=samples, **options) - images for samples in (1, 200))
    assert torch.allclose(many, up, atol=ROUNDING) and 0.2 < (one < 0).float().mean() < 0.5


def test_a_random_loss_is_noticed(small):
    images = pictures()
    assert deterministic(lambda x: small(x)[:, 0], images, small)
    with pytest.warns(UserWarning, match="expectation over transformations"):
        assert not deterministic(lambda x: small(x)[:, 0], images, small, mode="batch")  # dropout


def test_equal_on_chunks_and_whole():
    images, model = pictures(10), Linear(4)
    labels = torch.arange(10) % 4

    def attack(cut: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(5)
        return in_chunks(
            lambda x, y: pgd(
                x, lambda z: cross_entropy(model(z), y), 0.1, 0.03, 3, "l2",
                modules=model, restarts=2, generator=generator,
            ), images, labels, batch_size=cut, progress=False,
        )  # fmt: skip

    assert torch.allclose(attack(3), attack(10), atol=ROUNDING) and attack(3).shape == images.shape
    bytes_ = (images * 255).round().to(torch.uint8)
    assert torch.equal(pgd(bytes_, lambda x: x.sum(), 0, 0, 1, modules=()), bytes_ / 255)


# What an attack leaves alone


ATTACKS = {
    "pgd": lambda x, model, y: pgd(x, lambda z: cross_entropy(model(z), y), 0.1, 0.02, 2, modules=model, restarts=2),
    "pgd, batch": lambda x, model, y: pgd(
        x, lambda z: cross_entropy(model(z), y), 0.1, 0.02, 2, modules=[model], mode="batch", keep="last"
    ),
    "fgsm": lambda x, model, y: fgsm(x, lambda z: cross_entropy(model(z), y), 0.1, modules=model, mode="batch"),
    "apgd": lambda x, model, y: apgd(x, model, y, 0.1, 3, modules=model, loss="dlr-targeted", targets=2),
    "square": lambda x, model, y: square(x, model, y, 0.1, 5, modules=model),
    "survives": lambda x, model, y: survives(x, model, y, [lambda x, y: x], modules=model),
    "auto_attack": lambda x, model, y: auto_attack(x, model, y, 0.5, modules=model),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("raises", [False, True])
def test_an_attack_changes_nothing(small, name, raises, request):
    if name == "auto_attack":
        request.getfixturevalue("short_auto_attack")  # all of its parts, each of a few steps
    images, before = pictures(), traces(small)
    grad = small.body[-1].weight.grad
    with held(small), torch.no_grad():
        labels = small(images).argmax(1)
    assert same(before, traces(small))
    calls = []

    def model(x: torch.Tensor) -> torch.Tensor:
        calls.append(None)
        if raises and len(calls) == (1 if name == "fgsm" else 2):
            raise RuntimeError("in the middle")
        return small(x)

    model_ = small if not raises else Wrapped(small, model)
    if raises:
        with pytest.raises(RuntimeError, match="in the middle"):
            ATTACKS[name](images, model_, labels)
    else:
        ATTACKS[name](images, model_, labels)
    assert same(before, traces(small)) and small.body[-1].weight.grad is grad


class Wrapped(nn.Module):
    def __init__(self, inner: nn.Module, function) -> None:
        super().__init__()
        self.inner, self.function = inner, function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x)


def test_modes(small):
    images = pictures(8)
    norm, flags = small.body[1], [module.training for module in small.modules()]
    with held(small):
        assert not any(module.training for module in small.modules())
        assert torch.equal(small(images), small(images)) and not any(p.requires_grad for p in small.parameters())
        small(images).sum().requires_grad_().backward()
    seen = small.body[0](images)
    with held(norm, "batch"):
        expected = F.batch_norm(seen, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
        assert torch.equal(norm(seen), expected)
        with held(norm):  # one attack within another
            assert torch.equal(
                norm(seen), F.batch_norm(seen, norm.running_mean, norm.running_var, norm.weight, norm.bias)
            )
        assert torch.equal(norm(seen), expected)
    assert [module.training for module in small.modules()] == flags


def test_a_network_in_bfloat16_gets_perturbations_in_float32(small):
    images, labels = pictures(), torch.arange(4)

    def loss(x: torch.Tensor) -> torch.Tensor:
        assert x.dtype == torch.float32
        with autocast(x.device, "bf16"):
            scores = small(x)
        assert scores.dtype == torch.bfloat16
        return cross_entropy(scores, labels)

    found = pgd(images.bfloat16(), loss, "1/255", "0.1/255", 4, modules=small)
    assert found.dtype == torch.float32
    moved = (found - images.bfloat16().float()).abs()
    assert 0 < moved.max() <= 1 / 255 + ROUNDING and moved.unique().numel() > 100  # finer than bfloat16 near 1


# Auto-PGD


def scores_and_labels(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(40, 6, generator=generator), torch.randint(6, (40,), generator=generator)


def test_losses_by_loops_from_the_formulas():
    scores, labels = scores_and_labels()
    targets = (labels + 2) % 6
    for row, (z, y, t) in enumerate(zip(scores.double().tolist(), labels.tolist(), targets.tolist(), strict=True)):
        ranked = sorted(z, reverse=True)
        other = max(value for place, value in enumerate(z) if place != y)
        expected = {
            cross_entropy: -z[y] + math.log(sum(math.exp(value) for value in z)),
            margin: other - z[y],
            dlr: -(z[y] - other) / (ranked[0] - ranked[2]),
        }
        for loss, value in expected.items():
            assert math.isclose(loss(scores, labels)[row].item(), value, rel_tol=1e-4, abs_tol=1e-5)
        value = -(z[y] - z[t]) / (ranked[0] - (ranked[2] + ranked[3]) / 2)
        assert math.isclose(targeted_dlr(scores, labels, targets)[row].item(), value, rel_tol=1e-4, abs_tol=1e-5)


def test_dlr_knows_no_scale_and_no_shift():
    scores, labels = scores_and_labels(1)
    assert torch.allclose(dlr(scores, labels), dlr(1000 * scores + 7, labels), atol=1e-3)
    assert torch.equal(dlr(scores, labels) > 0, scores.argmax(1) != labels)
    assert torch.equal(margin(scores, labels) > 0, scores.argmax(1) != labels)


def test_checkpoints_of_the_paper():
    shares = [0, 0.22]
    while shares[-1] <= 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    for steps in (100, 50, 20):
        assert checkpoints(steps) == {math.ceil(round(share * steps, 9)) for share in shares[1:-1]}
    assert checkpoints(1) == {1}


def by_the_paper(image, start, scores, label, epsilon: float, steps: int, norm: str) -> tuple[float, list[float]]:
    """Algorithm 1 for one image (3, S, S) and cross-entropy, in words of one image and Python's numbers."""
    image = image.double()

    def project_(x):
        delta = x - image
        if norm == "linf":
            delta = delta.clamp(-epsilon, epsilon)
        elif delta.norm() > epsilon:
            delta = delta * epsilon / delta.norm()
        return (image + delta).clamp(0, 1)

    def f(x):
        x = x.detach().requires_grad_()
        value = F.cross_entropy(scores(x[None]), torch.tensor([label]))
        (gradient,) = torch.autograd.grad(value, x)
        return value.item(), gradient.sign() if norm == "linf" else gradient / gradient.norm()

    x = [project_(image + start.double())]
    values, directions = zip(f(x[0]), strict=True)
    values, directions = list(values), list(directions)
    eta, etas = 2 * epsilon, {0: 2 * epsilon}
    x_max, f_max, d_max = x[0], values[0], directions[0]
    checked, f_max_at = 0, {0: f_max}
    where = sorted(checkpoints(steps))
    for k in range(steps):
        z = project_(x[k] + eta * directions[k])
        x.append(z if k == 0 else project_(x[k] + 0.75 * (z - x[k]) + 0.25 * (x[k] - x[k - 1])))
        value, direction = f(x[k + 1])
        values.append(value)
        directions.append(direction)
        if value > f_max:
            x_max, f_max, d_max = x[k + 1], value, direction
        if k + 1 in where:
            etas[k + 1], f_max_at[k + 1] = eta, f_max
            rises = sum(values[i + 1] > values[i] for i in range(checked, k + 1))
            if rises < 0.75 * (k + 1 - checked) or (etas[checked] == eta and f_max_at[checked] == f_max):
                eta /= 2
                x[k + 1], values[k + 1], directions[k + 1] = x_max, f_max, d_max
            checked = k + 1
    return f_max, values


@norms
def test_apgd_is_the_algorithm_of_the_paper(norm):
    torch.manual_seed(3)
    smooth = nn.Sequential(nn.Flatten(), nn.Linear(48, 30), nn.Tanh(), nn.Linear(30, 5)).double()
    images, epsilon = pictures(6, side=4, seed=4), 0.2 if norm == "linf" else 1.0
    labels = smooth(images.double()).argmax(1)
    generator = torch.Generator().manual_seed(1)
    found = apgd(images, lambda x: smooth(x.double()), labels, epsilon, 40, norm, modules=smooth, generator=generator)
    seeds = torch.randint(-(1 << 63), (1 << 63) - 1, (6,), generator=torch.Generator().manual_seed(1))
    starts = random_in_ball(seeds, (3, 4, 4), epsilon, norm)
    reached = cross_entropy(smooth(found.double()), labels)
    for row in range(6):
        expected, _ = by_the_paper(images[row], starts[row], smooth, int(labels[row]), epsilon, 40, norm)
        assert math.isclose(reached[row].item(), expected, rel_tol=1e-3)


def test_apgd_keeps_a_point_that_fools_and_leaves_what_is_wrong():
    model, images = Linear(5, seed=1), pictures(16)
    labels = model(images).argmax(1)
    labels[:3] = (labels[:3] + 1) % 5
    for loss in ("ce", "dlr", "dlr-targeted"):
        found = apgd(images, model, labels, "6/255", 20, modules=model, loss=loss, restarts=2)
        assert torch.equal(found[:3], images[:3])
        assert (model(found).argmax(1) != labels)[3:].float().mean() > 0.2


class Sure(torch.nn.Module):
    """A linear model so sure that its softmax is exactly one class, and cross-entropy has no gradient in float32."""

    def __init__(self, classes: int, scale: float = 1e7) -> None:
        super().__init__()
        self.linear, self.scale = Linear(classes, seed=1), scale

    def forward(self, x):
        return self.scale * self.linear(x)


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_worse_of_two_losses_is_not_fooled_by_vanishing_gradients(classes):
    """What a network as sure as that leaves standing is what the same network with smaller scores does."""
    sure, images = Sure(classes), pictures(40, low=0.3, high=0.7)
    labels = sure(images).argmax(1)
    assert zero_gradient(images, sure, labels, modules=sure).all()
    second = dlr if classes > 2 else margin
    assert not zero_gradient(images, sure, labels, second, modules=sure).any()

    def standing(model, attack):
        return (model(attack(images, model, labels, "2/255", 20, modules=model)).argmax(1) == labels).sum().item()

    assert standing(sure, apgd) >= 38  # one or two fall to the random start
    assert standing(sure, apgd_worst) <= standing(sure.linear, apgd) < 35


def test_the_worse_of_two_losses_is_at_least_each(small):
    images = pictures(32, side=8)
    with held(small), torch.no_grad():
        labels = small(images).argmax(1)
    labels[:2] = (labels[:2] + 1) % 3
    found = apgd_worst(images, small, labels, 0.02, 20, modules=small)
    assert torch.equal(found[:2], images[:2]) and (found - images).abs().max() <= 0.02 + 1e-6
    for loss in ("ce", "dlr"):
        one = apgd(images, small, labels, 0.02, 20, modules=small, loss=loss)
        with held(small), torch.no_grad():
            fooled, by_both = (small(one).argmax(1) != labels), (small(found).argmax(1) != labels)
        assert by_both.sum() >= fooled.sum() - 1
        assert loss == "dlr" or by_both[fooled].all()


def test_zero_gradients_are_counted_one_by_one():
    model, images = Linear(3, seed=1), pictures(6)
    mask = torch.tensor([1.0, 0.0, 1.0, 0.0, 0.0, 1.0])
    labels = model(images).argmax(1)
    found = zero_gradient(images, lambda x: model(x) * mask[:, None], labels, modules=model)
    assert found.tolist() == [False, True, False, True, True, False] and not images.requires_grad


def test_targeted_apgd_is_at_least_as_strong_as_one_that_is_not(small):
    images = pictures(32, side=8)
    with held(small), torch.no_grad():
        labels = small(images).argmax(1)
    fooled = {}
    for loss in ("ce", "dlr-targeted"):
        attack = lambda x, y, loss=loss: apgd(x, small, y, 0.02, 20, modules=small, loss=loss)  # noqa: E731
        fooled[loss] = ~survives(images, small, labels, [attack], modules=small)
    assert fooled["dlr-targeted"].sum() >= fooled["ce"].sum() - 1


def test_square_finds_what_gradients_cannot():
    # The same decisions as a linear model, but a gradient of 0 everywhere: gradient masking at its purest.
    model, images = Linear(3, seed=1), pictures(32, low=0.3, high=0.7)
    steps = lambda x: (model(x) * 50).round() / 50  # noqa: E731
    flat = lambda x: steps(x).detach() + 0 * x.sum()  # noqa: E731
    labels = steps(images).argmax(1)
    by_gradient = apgd(images, flat, labels, "8/255", 20, modules=model)
    by_search = square(images, flat, labels, "8/255", 300, modules=model)
    known = apgd(images, model, labels, "8/255", 20, modules=model)
    fooled = [(steps(x).argmax(1) != labels).sum().item() for x in (by_gradient, by_search, known)]
    assert fooled[0] < fooled[1] and fooled[2] - 2 <= fooled[1]


def test_square_does_not_depend_on_the_batch():
    model, images = Linear(3, seed=1), pictures(6)
    labels = model(images).argmax(1)
    whole = square(images, model, labels, "2/255", 150, modules=model, generator=torch.Generator().manual_seed(2))
    shared = torch.Generator().manual_seed(2)
    parts = in_chunks(
        lambda x, y: square(x, model, y, "2/255", 150, modules=model, generator=shared),
        images, labels, batch_size=4, progress=False,
    )  # fmt: skip
    assert torch.allclose(whole, parts, atol=ROUNDING)


def test_survives():
    model, images = Linear(3, seed=1), pictures(12)
    labels = model(images).argmax(1)
    labels[0] = (labels[0] + 1) % 3
    seen = []

    def towards(which: int):
        def attack(x, y):
            seen.append(len(x))
            return torch.where((y == which)[:, None, None, None], pictures(1, seed=9).expand_as(x), x)

        return attack

    robust = survives(images, model, labels, [towards(0), towards(1)], modules=model)
    other = int(model(pictures(1, seed=9)).argmax(1))
    fallen = ((labels == 0) & (other != 0)) | ((labels == 1) & (other != 1))
    expected = ~fallen
    expected[0] = False
    assert torch.equal(robust, expected) and seen[0] == 11 and seen[1] < 12


# Free adversarial training


def test_free_perturbation_by_hand():
    images = torch.tensor([0.5, 0.98, 0.01]).view(1, 3, 1, 1)
    free = FreePerturbation(0.1, 0.06)
    assert torch.equal(free.added_to(images), images) and free.added_to(images).requires_grad
    free.ascend(images, torch.tensor([3.0, 2.0, -1.0]).view(1, 3, 1, 1))
    assert torch.allclose(free.delta.flatten(), torch.tensor([0.06, 0.02, -0.01]))  # the range of pixels cuts two
    free.ascend(images, torch.tensor([1.0, -5.0, 0.0]).view(1, 3, 1, 1))
    assert torch.allclose(free.delta.flatten(), torch.tensor([0.1, -0.04, -0.01]))  # the ball cuts the first
    assert torch.allclose(free.added_to(images).flatten(), torch.tensor([0.6, 0.94, 0.0]))
    # The next batch: what was carried, cut to its range.
    assert torch.allclose(
        free.added_to(torch.tensor([0.95, 0.02, 0.5]).view(1, 3, 1, 1)).flatten(), torch.tensor([1, 0, 0.49])
    )


def test_free_perturbation_of_l2_by_hand():
    images = torch.full((1, 3, 1, 1), 0.5)
    free = FreePerturbation(0.2, 0.15, "l2")
    free.added_to(images)
    for expected in ([0.09, 0.12, 0], [0.12, 0.16, 0]):  # 0.15 and then 0.2 of the direction (3, 4, 0) / 5
        free.ascend(images, torch.tensor([3.0, 4.0, 0.0]).view(1, 3, 1, 1))
        assert torch.allclose(free.delta.flatten(), torch.tensor(expected))


def test_free_perturbation_of_batches_of_other_sizes():
    free, images = FreePerturbation("8/255"), pictures(4, low=0.2, high=0.8)
    assert free.step == 8 / 255
    free.ascend(images, free.added_to(images).detach() * 0 + 1)
    small = free.added_to(images[:2])
    assert torch.allclose(small, images[:2] + 8 / 255)
    free.ascend(images[:2], -torch.ones(2, 3, 6, 6))
    assert torch.allclose(free.delta[:2], torch.zeros(())) and torch.allclose(free.delta[2:], torch.tensor(8 / 255))
    more = free.added_to(pictures(6, low=0.2, high=0.8)) - pictures(6, low=0.2, high=0.8)
    assert torch.allclose(more[2:4], torch.tensor(8 / 255), atol=ROUNDING) and more[4:].abs().max() == 0
    assert torch.equal(free.added_to(pictures(2, side=5)), pictures(2, side=5))


def test_free_adversarial_training_gets_both_gradients_from_one_backward(small):
    free, images, labels = FreePerturbation("8/255"), pictures(8), torch.arange(8) % 5
    small.zero_grad()
    adversarial = free.added_to(images)
    cross_entropy(small(adversarial), labels).mean().backward()
    free.ascend(images, adversarial.grad)
    assert small.body[-1].weight.grad.abs().sum() > 0 and free.delta.abs().max() > 0


# Bad input


def bad(words: str, images=None, loss=lambda x: x.sum((1, 2, 3)), **options):
    options = dict(epsilon=0.1, step=0.01, steps=1, modules=()) | options
    with pytest.raises(BadInput, match=words):
        pgd(pictures() if images is None else images, loss, **options)


def test_bad_input_of_pgd():
    bad(r"not values from 0.* to .*; images come before any normalisation", images=pictures() * 255)
    bad("not values that are NaN", images=pictures() * torch.nan)
    bad(r"uint8 \(N, 3, H, W\) or float in \[0, 1\], at least one, not float32 \(3, 6, 6\)", images=pictures()[0])
    bad("at least one", images=pictures()[:0])
    bad("float in .*, not int64", images=pictures().long())
    bad("write '8/255'", epsilon=8)
    bad("step 2 looks like .* write '2/255'", step=2)
    bad("unknown norm 'l1'; allowed: linf, l2", norm="l1")
    bad("steps is a whole number of at least 1, not 0", steps=0)
    bad("restarts is a whole number of at least 1, not 1.5", restarts=1.5)
    bad("samples is a whole number of at least 1, not True", samples=True)
    bad("unknown start 'here'; allowed: random, zero", start="here")
    bad("a start has the shape of the images", start=torch.zeros(1))
    bad("unknown keep 'all'; allowed: best, last", keep="all")
    bad("the best is kept, not the last", keep="last", restarts=2)
    bad("unknown mode 'train'; allowed: eval, batch", mode="train")
    bad("generator must be a torch.Generator on the CPU", generator=3)
    bad("depends on the images by a gradient; this one has none", loss=lambda x: x.detach().sum((1, 2, 3)))
    bad(r"gives \(4,\) values, one an image, or one scalar, not \(4, 3\)", loss=lambda x: x.sum((2, 3)))


def test_bad_input_of_attacks_on_classifiers():
    images, model = pictures(), Linear(3)
    labels = torch.tensor([0, 1, 2, 0])
    with pytest.raises(BadInput, match=r"labels as int64 \(4,\), one for each image, not float32 \(4,\)"):
        apgd(images, model, labels.float(), 0.1, modules=model)
    with pytest.raises(BadInput, match=r"labels as int64 \(4,\), one for each image, not int64 \(2,\)"):
        square(images, model, labels[:2], 0.1, modules=model)
    with pytest.raises(BadInput, match="'dlr-targeted' needs at least 4 classes, not 3"):
        apgd(images, model, labels, 0.1, modules=model, loss="dlr-targeted")
    with pytest.raises(BadInput, match="unknown loss 'cw'; allowed: ce, margin, dlr, dlr-targeted"):
        apgd(images, model, labels, 0.1, modules=model, loss="cw")
    with pytest.raises(BadInput, match="queries is a whole number"):
        square(images, model, labels, 0.1, 0, modules=model)
    with pytest.raises(BadInput, match="batch_size is a whole number"):
        in_chunks(lambda x: x, images, batch_size=0)


# The authors' package


def test_auto_attack_of_a_linear_model_is_exact(short_auto_attack):
    model, images = Linear(4, seed=1), pictures(12, low=0.3, high=0.7)
    labels = model(images).argmax(1)
    weights = model.weight.detach()
    reach = (weights[None] - weights[labels][:, None]).abs().sum(2)  # what epsilon = 1 adds to a wrong class's lead
    lead = (model(images) - model(images).gather(1, labels[:, None])).detach()
    needed = torch.where(reach > 0, -lead / reach, torch.inf).amin(1)
    epsilon = float(needed.median()) * 1.001
    labels[0] = (labels[0] + 1) % 4  # wrong from the start
    needed[0] = 0
    assert torch.equal(auto_attack(images, model, labels, epsilon, modules=model), needed > epsilon)


def test_auto_attack_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyautoattack", None)
    with pytest.raises(BadInput, match="install it by `pip install pyautoattack`"):
        auto_attack(pictures(), Linear(4), torch.arange(4), 0.1, modules=())
