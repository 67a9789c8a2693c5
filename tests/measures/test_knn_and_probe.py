"""kNN and the linear probe against scikit-learn."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from lib.errors import BadInput
from lib.images import load
from lib.measures import extract, fit_probe, knn_predict, neighbour_monitor, probe
from lib.models import build_encoder


def blobs(count, seed, classes=4, width=12, spread=2.5):
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(99)) * 2
    labels = torch.randint(classes, (count,), generator=generator)
    return centres[labels] + spread * torch.randn(count, width, generator=generator), labels


@pytest.mark.parametrize("k", [1, 5, 20])
def test_knn_is_scikit_learn_s(k):
    (train, labels), (test, _) = blobs(300, 0), blobs(200, 1)

    def vote(distances):
        return np.exp((1 - distances) / 0.07)

    theirs = KNeighborsClassifier(k, metric="cosine", weights=vote).fit(train.numpy(), labels.numpy())
    ours = knn_predict(train, labels, test, k=k, batch_size=64)
    assert (ours.numpy() == theirs.predict(test.numpy())).mean() == 1.0


def test_knn_by_hand():
    train = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    labels = torch.tensor([2, 0, 1])
    queries = torch.tensor([[2.0, 0.1], [-0.1, 5.0], [-3.0, -0.2]])
    assert knn_predict(train, labels, queries, k=1).tolist() == [2, 0, 1]
    # Two neighbours: cos 0.8 votes exp(0.8 / t) against 0.6: the nearer one decides, however the third lies.
    assert knn_predict(train, labels, torch.tensor([[0.8, 0.6]]), k=2).tolist() == [2]


@pytest.mark.parametrize("k", [0, 4])
def test_knn_refuses_a_k_without_neighbours(k):
    with pytest.raises(BadInput, match=f"k is a whole number from 1 to 3, not {k}: there are 3 training images"):
        knn_predict(torch.eye(3), torch.arange(3), torch.eye(3), k=k)


@pytest.mark.parametrize("decay", [1e-3, 1e-1])
def test_probe_reaches_scikit_learn_s_optimum(decay, monkeypatch):
    (train, labels), (test, test_labels) = blobs(500, 0), blobs(300, 1)
    monkeypatch.setattr(probe, "DECAYS", (decay,))
    ours = fit_probe(train, labels, test, test_labels)
    x = ((train - train.mean(0)) / train.std(0)).double().numpy()
    theirs = LogisticRegression(C=1 / (decay * len(x)), tol=1e-10, max_iter=5000).fit(x, labels.numpy())
    assert np.allclose(ours.weight.numpy(), theirs.coef_, atol=2e-3)
    assert ours.gradient < 1e-4 and ours.converged


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("decay", [1e-6, 1e-4, 1e-2, 1.0])
def test_a_probe_tells_how_far_it_came(decay, seed, monkeypatch):
    """The gradient by hand in float64, of the training set at the solution; and it came as far as is said."""
    (train, labels), (test, test_labels) = blobs(500, seed), blobs(100, seed + 2)
    monkeypatch.setattr(probe, "DECAYS", (decay,))
    ours = fit_probe(train, labels, test, test_labels)
    x = ((train - ours.mean) / ours.std).double()
    off = (x @ ours.weight.double().T + ours.bias.double()).softmax(dim=1)
    off[torch.arange(len(x)), labels] -= 1
    by_hand = torch.cat((off.T @ x / len(x) + decay * ours.weight.double(), off.mean(dim=0)[:, None]), dim=1)
    assert ours.gradient == pytest.approx(by_hand.abs().max().item(), abs=1e-5)
    assert ours.gradient <= probe.REACHED and ours.converged
    assert not dataclasses.replace(ours, gradient=2 * probe.REACHED).converged


def test_probe_chooses_its_decay_on_validation_images():
    """Labels of the validation images that only a strongly decayed probe gets right, and the reverse."""
    (train, labels), (validation, _) = blobs(60, 0, width=40, spread=6), blobs(400, 1, width=40, spread=6)
    fits = {}
    for decay in (min(probe.DECAYS), max(probe.DECAYS)):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(probe, "DECAYS", (decay,))
            fits[decay] = fit_probe(train, labels, validation, labels[:1].expand(400)).predict(validation)
    assert (fits[min(fits)] != fits[max(fits)]).any()
    for decay, wanted in fits.items():
        assert fit_probe(train, labels, validation, wanted).decay == decay


def test_probe_does_not_care_for_the_scale_of_a_feature():
    (train, labels), (test, test_labels) = blobs(400, 0), blobs(200, 1)
    scale = torch.logspace(-3, 3, train.shape[1])
    plain = fit_probe(train, labels, test, test_labels).predict(test)
    scaled = fit_probe(train * scale, labels, test * scale, test_labels).predict(test * scale)
    assert (plain == scaled).float().mean() > 0.99


def test_features_are_those_of_the_encoder_in_evaluation_mode():
    encoder = build_encoder("resnet10")
    images = torch.randint(256, (20, 3, 32, 32), dtype=torch.uint8)
    features = extract(encoder, images, batch_size=7)
    with torch.no_grad():
        assert torch.allclose(features, encoder.eval()(images / 255), atol=1e-4)
    assert extract(encoder, images[:0]).shape == (0, 256)


def test_the_monitor_asks_a_tenth_and_a_fiftieth():
    """Of 600 training images, 60 are neighbours and 12 validation images are asked; scikit-learn agrees."""
    train, validation = (load("scenes", split, count) for split, count in (("train", 600), ("validation", 100)))
    method = torch.nn.Module()
    method.encoder = build_encoder("resnet10_narrow")
    answer = neighbour_monitor(train, validation, "fp32")(method)
    bank, queries = (extract(method.encoder, images).numpy() for images in (train.images[:60], validation.images[:12]))
    reference = KNeighborsClassifier(20, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07))
    reference.fit(bank, train.labels[:60].numpy())
    assert answer == {"knn accuracy": pytest.approx(100 * reference.score(queries, validation.labels[:12].numpy()))}
