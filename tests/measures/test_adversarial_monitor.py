"""What a run under attack watches: against scikit-learn, closed forms, and an encoder that overfits by construction."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from torch import nn

from lib.images import Split
from lib.measures import adversarial_monitor, neighbour_monitor
from lib.measures.monitor import ATTACKED, ridge_classifier
from lib.models import build_encoder

NAMES = ["knn accuracy", "accuracy", "fgsm accuracy", "pgd accuracy"]
EPSILON = 8 / 255


def split(images, labels, classes=2):
    return Split(images, labels, tuple(f"class {number}" for number in range(classes)), "0" * 64, "made up")


def random_split(count, seed=0, classes=10):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (count, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return split(images, torch.arange(count) % classes, classes)


class Pixels(nn.Module):
    """Hands on its pixels: with a linear read-out, the worst that an adversary can do is known."""

    def forward(self, images):
        return images.flatten(1)


# Ridge regression


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(2, 40),
    width=st.integers(1, 12),
    classes=st.integers(1, 6),
    decay=st.floats(1e-3, 10),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 10_000),
)
def test_ridge_is_scikit_learn_s(count, width, classes, decay, scale, seed):
    generator = torch.Generator().manual_seed(seed)
    features, new = (scale * torch.randn(n, width, generator=generator, dtype=torch.float64) + 5 for n in (count, 7))
    labels = torch.randint(classes, (count,), generator=generator)
    mean, std = features.mean(dim=0), features.std(dim=0)
    theirs = Ridge(alpha=decay * count).fit((features - mean) / std, np.eye(classes)[labels])
    expected = theirs.predict(((new - mean) / std).numpy()).reshape(7, classes)
    np.testing.assert_allclose(ridge_classifier(features, labels, classes, decay)(new), expected, atol=1e-5)


def test_ridge_by_hand():
    """Two features, -1 and 1: standardised by the square root of 2, a sum of squares of 1, and 0.1 for each of both."""
    scores = ridge_classifier(torch.tensor([[-1.0], [1.0]]), torch.tensor([0, 1]), 2)
    away = 0.5 / 1.2
    expected = torch.tensor([[0.5 + away, 0.5 - away], [0.5 - 3 * away, 0.5 + 3 * away]])
    torch.testing.assert_close(scores(torch.tensor([[-1.0], [3.0]])), expected)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 50), st.floats(-20, 20))
def test_units_of_features_do_not_matter_and_scores_sum_to_one(seed, scale, shift):
    generator = torch.Generator().manual_seed(seed)
    features, new = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (20, 6))
    labels = torch.arange(20) % 3
    scores = ridge_classifier(features, labels, 3)(new)
    moved = ridge_classifier(features * scale + shift, labels, 3)(new * scale + shift)
    torch.testing.assert_close(moved, scores)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(6, dtype=torch.float64))


def test_a_feature_that_never_varies_and_a_class_that_is_missing_do_no_harm():
    features = torch.tensor([[-1.0, 7.0], [1.0, 7.0], [2.0, 7.0]])
    scores = ridge_classifier(features, torch.tensor([0, 1, 1]), 4)(features)
    assert scores.shape == (3, 4) and scores.isfinite().all()
    assert (scores[:, 2:] == 0).all()
    assert scores.argmax(dim=1).tolist() == [0, 1, 1]


# The monitor


def test_a_linear_classifier_s_accuracies_are_known():
    """An image stands while its margin is more than epsilon times the absolute sum of the weights; one step of a sign
    gradient gets there, and so do ten of a quarter. In the middle of the range nothing is cut off."""
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(3, 8, 8, generator=generator)

    def images(count):
        labels = torch.arange(count) % 2
        side = (labels - 0.5)[:, None, None, None] * direction
        noise = torch.randn(count, 3, 8, 8, generator=generator)
        return split((128 + 7 * side + 30 * noise).clamp(16, 240).byte(), labels)

    train, validation, epsilon = images(400), images(200), 2 / 255
    found = adversarial_monitor(train, validation, "fp32", epsilon)(SimpleNamespace(encoder=Pixels()))

    x, queries = (part.images.double().div(255).flatten(1).numpy() for part in (train, validation))
    queries, answers = queries[:ATTACKED], validation.labels[:ATTACKED].numpy()
    mean, std = x.mean(axis=0), x.std(axis=0, ddof=1)
    ridge = Ridge(alpha=0.1 * len(x)).fit((x - mean) / std, np.eye(2)[train.labels])
    weight = (ridge.coef_[1] - ridge.coef_[0]) / std
    margins = (2 * answers - 1) * (np.diff(ridge.predict((queries - mean) / std), axis=1)[:, 0])
    reach = epsilon * np.abs(weight).sum()
    assert np.abs(margins - reach).min() > 1e-3 and np.abs(margins).min() > 1e-3  # no image on the edge
    standing = pytest.approx(100 * (margins > reach).mean(), abs=1e-3)
    assert list(found) == NAMES
    assert found["accuracy"] == pytest.approx(100 * (margins > 0).mean(), abs=1e-3)
    assert found["fgsm accuracy"] == standing and found["pgd accuracy"] == standing
    assert 50 < found["fgsm accuracy"] < found["accuracy"] - 10  # the case tells them apart


class Bump(nn.Module):
    """One feature of the mean pixel. Above a half it is 1. Below it rises from 0.2 to 1 and falls to 0.2 again within
    one epsilon of 77/255: where one step lands nothing has changed, and half-way there is what fools."""

    def forward(self, images):
        mean = images.mean(dim=(1, 2, 3))
        share = ((mean - 77 / 255) / EPSILON + 0.1) % 1
        return torch.where(mean > 0.5, torch.ones_like(mean), 1 - (2 * share - 1).abs())[:, None]


def test_overfitting_to_one_step_is_seen():
    labels = torch.arange(40) % 2
    images = torch.tensor([77, 179], dtype=torch.uint8)[labels][:, None, None, None].repeat(1, 3, 8, 8)
    data = split(images, labels)
    found = adversarial_monitor(data, data, "fp32", EPSILON)(SimpleNamespace(encoder=Bump()))
    assert found == {"knn accuracy": found["knn accuracy"], "accuracy": 100, "fgsm accuracy": 100, "pgd accuracy": 50}


def test_without_a_radius_all_three_are_one():
    found = adversarial_monitor(random_split(60), random_split(30, 1), "fp32", 0.0)(SimpleNamespace(encoder=Pixels()))
    assert found["accuracy"] == found["fgsm accuracy"] == found["pgd accuracy"]


def test_neighbours_are_watched_as_in_any_run():
    data = random_split(300), random_split(60, 1), "fp32"
    method = SimpleNamespace(encoder=Pixels())
    assert (
        adversarial_monitor(*data, EPSILON)(method)["knn accuracy"] == neighbour_monitor(*data)(method)["knn accuracy"]
    )


def test_fewer_images_than_classes():
    """As in a run on 12 images of 100 classes: those of the classes that no image shows are wrong, and that is all."""
    train = random_split(12, classes=12)
    validation = split(random_split(20, 1).images, torch.arange(80, 100), 100)
    found = adversarial_monitor(
        split(train.images, train.labels, 100), validation, "fp32", EPSILON
    )(SimpleNamespace(encoder=Pixels()))  # fmt: skip
    assert [found[name] for name in NAMES[1:]] == [0, 0, 0]


def test_watching_changes_nothing_and_repeats_itself():
    torch.manual_seed(0)
    method = nn.Module()
    method.encoder = build_encoder("resnet10_narrow")
    method.eval()
    for number, parameter in enumerate(method.parameters()):
        parameter.grad = torch.full_like(parameter, number)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    state = torch.get_rng_state()
    train = split(torch.randint(256, (40, 3, 16, 16), dtype=torch.uint8), torch.arange(40) % 4, 4)
    torch.set_rng_state(state)
    monitor = adversarial_monitor(train, train, "fp32", EPSILON)
    first = monitor(method)
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())
    for number, parameter in enumerate(method.parameters()):
        assert parameter.requires_grad and (parameter.grad == number).all()
    assert torch.equal(torch.get_rng_state(), state) and not any(module.training for module in method.modules())
    assert monitor(method) == first
    assert all(0 <= first[name] <= 100 for name in NAMES)
    assert first["pgd accuracy"] <= first["fgsm accuracy"] <= first["accuracy"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_any_precision_will_do(precision):
    torch.manual_seed(0)
    method = SimpleNamespace(encoder=build_encoder("resnet10_narrow").eval())
    train = split(torch.randint(256, (16, 3, 16, 16), dtype=torch.uint8), torch.arange(16) % 2)
    assert list(adversarial_monitor(train, train, precision, EPSILON)(method)) == NAMES
