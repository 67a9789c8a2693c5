"""Robust accuracy, AutoAttack's, the adversarial probe and aggregation: closed forms on linear encoders, invariants."""

import dataclasses
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shorthand import cell
from torch import nn
from toys import Points

from lib import images as library
from lib.errors import BadInput
from lib.images import load
from lib.measures import (
    AdversarialProbe,
    Aggregation,
    AutoAttackAccuracy,
    AutoAttackCurve,
    RobustAccuracy,
    Subject,
    aggregation,
    extract,
    fit_probe,
)
from lib.measures.invariance import chance_similarity
from lib.measures.probe import Probe
from lib.measures.robust_accuracy import Classifier, fooling, left_standing, pgd_attack, pgd_curve
from lib.models import build_encoder
from lib.shifts.adversary import pgd
from lib.views import View, apply, draw

CPU = torch.device("cpu")
SIDE = 8


class LinearEncoder(nn.Module):
    """Features that are linear in the pixels: with a linear probe behind, the worst of a ball has a closed form."""

    def __init__(self, features: int = 5, side: int = SIDE, seed: int = 0) -> None:
        super().__init__()
        self.features = features
        generator = torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(torch.randn(features, 3 * side**2, generator=generator))

    def forward(self, x):
        return (x - 0.5).flatten(1) @ self.weight.T + 1


def effective(encoder: LinearEncoder, probe: Probe) -> torch.Tensor:
    """Of encoder and probe together, the weight of each pixel in each score: (C, D)."""
    return (probe.weight / probe.std).double() @ encoder.weight.detach().double()


def survivors(classifier: Classifier, images: torch.Tensor, labels: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Which images no perturbation of `epsilon` 255ths within the range of pixels can bring another class for."""
    x = images.double() / 255 if images.dtype == torch.uint8 else images.double()
    probe, weight = classifier.probe, effective(classifier.encoder, classifier.probe)
    scores = (x - 0.5).flatten(1) @ weight.T + (((1 - probe.mean) / probe.std) @ probe.weight.T + probe.bias).double()
    up, down = (1 - x).clamp(max=epsilon / 255).flatten(1), x.clamp(max=epsilon / 255).flatten(1)
    alive = torch.ones(len(x), dtype=torch.bool)
    for other in range(scores.shape[1]):
        pull = weight[other] - weight[labels]  # (N, D)
        lead = scores[:, other] - scores.gather(1, labels[:, None])[:, 0]
        reached = lead + (pull.clamp(min=0) * up + (-pull).clamp(min=0) * down).sum(1)
        alive &= (labels == other) | (reached < 0)
    return alive & (scores.argmax(1) == labels)


def write_blobs(folder, classes: int, count: int, side: int = SIDE, noise: float = 45) -> None:
    """Noisy copies of one random pattern a class, as a data set "blobs"."""
    generator = np.random.default_rng(0)
    labels = np.arange(count) % classes
    patterns = generator.normal(0, 5, (classes, side, side, 3))
    images = 128 + patterns[labels] + generator.normal(0, noise, (count, side, side, 3))
    np.savez(folder / "blobs.npz", images=images.clip(0, 255).astype(np.uint8), labels=labels)


@pytest.fixture
def blobs(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))

    def subject(classes: int = 2, encoder: nn.Module | None = None, head: nn.Module | None = None) -> Subject:
        write_blobs(tmp_path, classes, 400)
        library._whole.cache_clear()
        return Subject(encoder or LinearEncoder(), "blobs", None, "fp32", CPU, head)

    return subject


@pytest.fixture
def scenes(monkeypatch, tmp_path_factory):
    """A network on a few scenes, with gradients that must survive: a small one, or a residual one of the library's."""
    monkeypatch.setattr(library, "SCENES_BLOCK", 60)
    monkeypatch.setattr(library, "SCENES_SIZE", {"train": 60, "validation": 30, "test": 30})
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path_factory.getbasetemp() / "robust-scenes"))

    def subject(seed: int = 0, residual: bool = False) -> Subject:
        torch.manual_seed(seed)
        encoder = build_encoder("resnet10_narrow") if residual else Points()
        images = load("scenes", "train", 60).images
        encoder.normalise_by(images)
        encoder.train()(images.float() / 255).square().mean().backward()
        head = nn.Sequential(nn.Linear(encoder.features, 24), nn.BatchNorm1d(24), nn.ReLU())
        head(encoder(images.float() / 255))  # fills the statistics of batch norm
        return Subject(encoder.eval(), "scenes", 60, "fp32", CPU, head.eval())

    return subject


MEASURES = (
    RobustAccuracy(images=12, epsilons=(1, 8), steps=3, restarts=1),
    AutoAttackAccuracy(images=3),
    AutoAttackCurve(images=3, epsilons=(1, 8)),
    AdversarialProbe(train_images=40, images=12, steps=2, rounds=2),
    Aggregation(images=6, crops=4, train_images=30),
)
each = pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: type(measure).__name__)


def value(rows, shift, severity, metric):
    (found,) = cell(rows[rows["metric"] == metric], shift, severity)["value"]
    return found


@pytest.fixture
def package(request, measure) -> None:
    if isinstance(measure, (AutoAttackAccuracy, AutoAttackCurve)):
        request.getfixturevalue("short_auto_attack")


# ---- Closed forms


def test_robust_accuracy_of_a_linear_model_is_its_closed_form(blobs):
    subject = blobs()
    epsilons = (0.5, 1, 2, 4, 8)
    rows = RobustAccuracy(images=80, epsilons=epsilons, restarts=1).rows(subject)
    test = subject.split("test", 80)
    classifier = Classifier(subject.encoder, subject.probe)

    def expected(epsilon):
        return 100 * survivors(classifier, test.images, test.labels, epsilon).double().mean().item()

    clean = (subject.probe.predict(extract(subject.encoder, test.images)) == test.labels).double().mean().item()
    assert value(rows, "none", 0, "accuracy") == pytest.approx(100 * clean) == pytest.approx(expected(0))
    for epsilon in epsilons:
        assert value(rows, "pgd", epsilon, "accuracy") == pytest.approx(expected(epsilon))
    assert 100 * clean > expected(1) > expected(4) > 0
    for exact in ("fgsm", "apgd"):
        assert value(rows, exact, 8, "accuracy") == pytest.approx(expected(8))
    assert value(rows, "pgd-2", 8, "accuracy") == pytest.approx(expected(5.1))  # what it is called promises more
    assert value(rows, "square", 8, "accuracy") >= expected(8)
    assert "accuracy of the head" not in set(rows["metric"])


def test_an_epsilon_is_so_many_255ths(blobs):
    subject = blobs()
    test = subject.split("test", 8)
    attack = pgd_attack(Classifier(subject.encoder, subject.probe), 8, 10)
    moved = attack(test.images, test.labels, torch.Generator().manual_seed(0)) - test.images / 255
    assert moved.abs().max().item() == pytest.approx(8 / 255, rel=1e-5)


@pytest.mark.parametrize("classes", [2, 4])
def test_sure_scores_hide_nothing_from_apgd_and_are_reported(blobs, classes):
    """A probe of which float32's softmax is exactly one class: PGD does not move, APGD on the second loss does."""
    subject = blobs(classes)
    plain = RobustAccuracy(images=60, epsilons=(2,), restarts=1).rows(subject)
    assert value(plain, "none", 0, "zero gradient") == 0
    probe = subject.probe
    subject.probe = dataclasses.replace(probe, weight=1e5 * probe.weight, bias=1e5 * probe.bias)
    sure = RobustAccuracy(images=60, epsilons=(8,), restarts=1).rows(subject)
    right = value(sure, "none", 0, "accuracy")
    assert value(sure, "none", 0, "zero gradient") == right > 20 and value(sure, "none", 0, "zero gradient of DLR") == 0
    assert value(sure, "apgd", 8, "accuracy") <= value(plain, "apgd", 8, "accuracy") < right
    assert value(sure, "pgd", 8, "accuracy") > value(sure, "apgd", 8, "accuracy")


def test_similarity_of_a_linear_encoder_is_its_closed_form(blobs):
    subject = blobs()
    rows = RobustAccuracy(images=40, epsilons=(8,), restarts=1).rows(subject)
    test = subject.split("test", 40)
    weight = effective(subject.encoder, subject.probe)
    x = test.images.double() / 255
    towards = (weight[1 - test.labels] - weight[test.labels]).sign().view_as(x)  # two classes: one way is the worst
    encoder = subject.encoder.double()
    clean, moved = encoder(x).detach().numpy(), encoder((x + 8 / 255 * towards).clamp(0, 1)).detach().numpy()
    cosines = (clean * moved).sum(1) / np.linalg.norm(clean, axis=1) / np.linalg.norm(moved, axis=1)
    assert value(rows, "pgd", 8, "similarity") == pytest.approx(100 * cosines.mean(), abs=0.05)
    chance = 100 * chance_similarity(torch.from_numpy(clean))
    assert value(rows, "none", 0, "similarity chance") == pytest.approx(chance, abs=1e-3)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    epsilons=st.lists(st.floats(0.1, 40), min_size=2, max_size=4, unique=True).map(sorted).map(tuple),
)
def test_the_curve_never_rises(seed, epsilons):
    torch.manual_seed(seed)
    encoder = LinearEncoder(4, seed=seed)
    probe = Probe(torch.randn(4), torch.rand(4) + 0.5, torch.randn(3, 4), torch.randn(3), 0.1, 0.0)
    classifier, images = Classifier(encoder, probe), torch.rand(20, 3, SIDE, SIDE)
    labels = torch.randint(3, (20,))
    labels[:15] = classifier(images).argmax(1)[:15]
    alive = classifier.right(images, labels)
    assert alive[:15].all()
    for epsilon, left in pgd_curve(classifier, images, labels, alive, epsilons, steps=10).items():
        assert (left <= alive).all()
        assert (left | ~survivors(classifier, images, labels, epsilon)).all()  # nobody falls who cannot
        alive = left


def test_a_perturbation_of_almost_nothing_changes_nothing(scenes):
    subject = scenes()
    rows = RobustAccuracy(images=12, epsilons=(1e-4,), steps=2, restarts=1).rows(subject)
    assert value(rows, "pgd", 1e-4, "accuracy") == value(rows, "none", 0, "accuracy")


@pytest.mark.parametrize(("residual", "images", "steps"), [(False, 30, 10), (True, 10, 5)])
def test_what_holds_for_every_encoder(scenes, residual, images, steps):
    measure = RobustAccuracy(images=images, epsilons=(0.25, 0.5, 1, 8), steps=steps, restarts=2)
    rows = measure.rows(scenes(1, residual))
    for metric, along in (("accuracy", (0.25, 0.5, 1, 8)), ("accuracy of the head", (4, 8))):
        curve = [value(rows, "none", 0, metric), *(value(rows, "pgd", epsilon, metric) for epsilon in along)]
        assert curve == sorted(curve, reverse=True)
    for weaker in ("pgd-2", "fgsm", "apgd", "square"):
        assert value(rows, weaker, 8, "accuracy") <= value(rows, "none", 0, "accuracy")
    for weaker in ("pgd-2", "fgsm"):
        assert value(rows, weaker, 8, "accuracy") >= value(rows, "pgd", 8, "accuracy")
    assert (rows["images"] == images).all() and not rows.duplicated(["shift", "level", "metric"]).any()


def test_a_head_that_does_nothing_reads_as_the_encoder_does(blobs):
    rows = RobustAccuracy(images=60, epsilons=(4, 8), steps=10).rows(blobs(head=nn.Identity()))
    for shift, severity in (("none", 0), ("pgd", 4), ("pgd", 8)):
        assert value(rows, shift, severity, "accuracy of the head") == value(rows, shift, severity, "accuracy")


def test_a_point_that_fools_is_kept_before_one_of_higher_loss():
    """Class 0 against two: at the first point a rival wins; at the second, with more loss, the rivals share it."""
    scores = torch.tensor([[0.0, 0.1, -9.0], [0.0, -0.01, -0.01]])
    first, second = fooling(scores, torch.zeros(2, dtype=torch.int64))
    cross = -scores.log_softmax(1)[:, 0]
    assert cross[1] > cross[0] and first > second
    assert second == pytest.approx(cross[1].item())


def test_only_what_stands_is_attacked():
    encoder = LinearEncoder(2)
    probe = Probe(torch.zeros(2), torch.ones(2), torch.randn(2, 2), torch.zeros(2), 0.1, 0.0)
    classifier, images, seen = Classifier(encoder, probe), torch.rand(300, 3, SIDE, SIDE), []
    labels = classifier(images).argmax(1)
    alive = torch.arange(300) % 2 == 0

    def attack(pictures, answers, generator):
        seen.append(pictures)
        return pictures

    assert torch.equal(left_standing(classifier, images, labels, alive, attack), alive)
    assert torch.equal(torch.cat(seen), images[alive]) and max(map(len, seen)) <= 128
    seen.clear()
    assert not left_standing(classifier, images, labels, torch.zeros_like(alive), attack).any() and not seen


def test_attacks_meet_float32_whatever_is_switched_on(scenes):
    subject = scenes()
    classifier, images = Classifier(subject.encoder, subject.probe), torch.rand(2, 3, 32, 32)
    expected = classifier(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(classifier(images), expected) and expected.dtype == torch.float32


# ---- AutoAttack


def test_auto_attack_of_a_linear_model_is_exact_and_at_most_pgd(blobs, short_auto_attack):
    subject = blobs(classes=4)
    rows = AutoAttackAccuracy(images=40, epsilon=2).rows(subject)
    test = subject.split("test", 40)
    classifier = Classifier(subject.encoder, subject.probe)
    alive = survivors(classifier, test.images, test.labels, 2)
    right = classifier.right(test.images, test.labels)
    assert value(rows, "none", 0, "accuracy on its images") == pytest.approx(100 * right.double().mean().item())
    assert value(rows, "autoattack", 2, "accuracy") == pytest.approx(100 * alive.double().mean().item())
    pgd_left = pgd_curve(classifier, test.images, test.labels, right, (2,))[2]
    assert 0 < value(rows, "autoattack", 2, "accuracy") <= 100 * pgd_left.double().mean().item()


def test_a_curve_of_auto_attack_is_one_attack_a_radius(blobs, short_auto_attack):
    subject, epsilons = blobs(classes=4), (1, 2, 4)
    rows = AutoAttackCurve(images=40, epsilons=epsilons).rows(subject)
    test, classifier = subject.split("test", 40), Classifier(subject.encoder, subject.probe)
    found = [value(rows, "autoattack", epsilon, "accuracy") for epsilon in epsilons]
    alive = [survivors(classifier, test.images, test.labels, epsilon) for epsilon in epsilons]
    assert found == pytest.approx([100 * own.double().mean().item() for own in alive]) and found[0] > found[-1]
    alone = [
        value(AutoAttackAccuracy(40, epsilon).rows(subject), "autoattack", epsilon, "accuracy") for epsilon in (2, 4)
    ]
    assert found[1:] == pytest.approx(alone)
    assert set(rows["shift"]) == {"autoattack"}  # their accuracy without an attack is the other measure's to tell


def test_auto_attack_where_pgd_leaves_nothing(blobs, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)  # nothing is left to ask it about
    rows = AutoAttackAccuracy(images=10, epsilon=200).rows(blobs(classes=4))
    assert value(rows, "autoattack", 200, "accuracy") == 0


# ---- The adversarial probe


class TwoCauses(nn.Module):
    """Feature 1 is the mean of the left half, feature 2 the overlap with a pattern of +1 and -1 on the right half."""

    features = 2

    def forward(self, x):
        sign = torch.ones(SIDE, SIDE // 2)
        sign[(torch.arange(SIDE)[:, None] + torch.arange(SIDE // 2)) % 2 == 1] = -1
        left, right = x[..., : SIDE // 2], x[..., SIDE // 2 :]
        return torch.stack((left.mean(dim=(1, 2, 3)), (right * sign).mean(dim=(1, 2, 3))), dim=1)


def write_two_causes(folder, count: int = 600) -> None:
    """A robust cause that is often wrong, the brightness of the left, and a perfect one of two bytes on the right."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, count)
    side = 2 * labels - 1
    images = np.full((count, SIDE, SIDE, 3), 128)
    images[:, :, : SIDE // 2] += (25 * side + generator.normal(0, 20, count)).round().astype(int)[:, None, None, None]
    sign = np.where((np.arange(SIDE)[:, None] + np.arange(SIDE // 2)) % 2 == 1, -1, 1)
    images[:, :, SIDE // 2 :] += 2 * (side[:, None, None] * sign)[..., None]
    np.savez(folder / "two.npz", images=images.clip(0, 255).astype(np.uint8), labels=labels)


def test_the_adversarial_probe_reads_the_robust_cause(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    write_two_causes(tmp_path)
    subject = Subject(TwoCauses(), "two", None, "fp32", CPU)
    standard = RobustAccuracy(images=100, epsilons=(4, 8), restarts=1).rows(subject)
    rows = AdversarialProbe(train_images=300, images=100).rows(subject)
    metric = "accuracy of the adversarial probe"
    assert value(standard, "none", 0, "accuracy") > 99 and value(standard, "pgd", 8, "accuracy") < 5
    assert 75 < value(rows, "none", 0, metric) < 97  # the noise of the robust cause costs clean accuracy
    assert value(rows, "pgd", 8, metric) > 60
    assert value(rows, "none", 0, metric) >= value(rows, "pgd", 4, metric) >= value(rows, "pgd", 8, metric)


# ---- Aggregation


def test_crops_are_those_of_the_views(blobs):
    images = blobs().split("test", 5).images
    for view in aggregation.VIEWS.values():
        view = dataclasses.replace(view, size=SIDE)
        drawn = draw(view, 15, (SIDE, SIDE), torch.Generator().manual_seed(3))
        boxes = aggregation.draw_boxes(view, 5, 3, (SIDE, SIDE), torch.Generator().manual_seed(3))
        expected = apply(images.repeat_interleave(3, dim=0), view, drawn)
        assert torch.allclose(aggregation.cut(images.float() / 255, boxes), expected, atol=1e-6)


@pytest.fixture
def whole(monkeypatch):
    """Crops that show the whole image as it is."""
    view = View(crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0, jitter=0.0, grey=0.0)
    monkeypatch.setitem(aggregation.VIEWS, "patch", view)


def test_aggregation_of_whole_images_is_the_plain_probe(blobs, whole):
    subject = blobs()
    rows = Aggregation(images=60, crops=4, train_images=200).rows(subject)
    train, validation, test = subject.split("train"), subject.split("validation"), subject.split("test", 60)
    probe = fit_probe(
        extract(subject.encoder, train.images[:200]), train.labels[:200],
        extract(subject.encoder, validation.images), validation.labels,
    )  # fmt: skip
    classifier = Classifier(subject.encoder, probe)
    for shift, epsilon in (
        ("none", 0),
        *((f"pgd {how}", 8) for how in ("per view", "through crops", "through known crops")),
    ):
        expected = 100 * survivors(classifier, test.images, test.labels, epsilon).double().mean().item()
        assert value(rows, shift, epsilon, "accuracy of aggregated patches") == pytest.approx(
            expected, abs=100 / 60 + 1e-6
        )


@pytest.mark.parametrize("crop", aggregation.VIEWS)
def test_an_attack_on_every_view_is_the_stronger_one(blobs, crop):
    """On a linear encoder it is the strongest of all, and no perturbation of the image moves a crop further."""
    rows = Aggregation(images=64, crops=4, train_images=200, crop=crop).rows(blobs(encoder=LinearEncoder(20)))
    clean, per_view, through, known = rows["value"]
    assert list(rows["shift"]) == ["none", "pgd per view", "pgd through crops", "pgd through known crops"]
    assert list(rows["level"].fillna(0)) == [0, 8, 8, 8] and list(rows["level_unit"]) == ["", *["/255"] * 3]
    assert set(rows["metric"]) == {"accuracy of aggregated " + {"patch": "patches", "crop": "crops"}[crop]}
    assert per_view <= known <= through < clean


def test_a_gradient_goes_through_crops(blobs):
    images = blobs().split("test", 3).images.float() / 255
    boxes = aggregation.draw_boxes(aggregation.VIEWS["patch"], 3, 2, (SIDE, SIDE), torch.Generator().manual_seed(0))
    found = pgd(images, lambda x: aggregation.cut(x, boxes).sum(), 8 / 255, 2 / 255, 8, modules=(), start="zero")
    seen = torch.autograd.functional.jvp(lambda x: aggregation.cut(x, boxes), images, torch.ones_like(images))[1]
    assert torch.allclose(seen, torch.ones_like(seen), atol=1e-5)  # weights of every pixel of a crop sum to 1
    moved = found - images
    assert moved.min() > -1e-6 and (moved > 7.9 / 255).any(dim=1).float().mean() > 0.2


# ---- All four


@each
def test_a_measure_leaves_the_network_as_it_was(scenes, measure, package):
    subject = scenes()

    def state() -> list[torch.Tensor]:
        modules = nn.ModuleList((subject.encoder, subject.head))
        tensors = [tensor.clone() for tensor in modules.state_dict().values()]
        tensors += [p.grad.clone() for p in modules.parameters() if p.grad is not None]
        flags = [m.training for m in modules.modules()] + [p.requires_grad for p in modules.parameters()]
        return [*tensors, torch.tensor(flags), torch.get_rng_state()]

    subject.encoder.requires_grad_(True), state()
    before = state()
    measure.rows(subject)
    assert all(torch.equal(one, other) for one, other in zip(before, state(), strict=True))


@each
def test_rows_are_the_same_twice(blobs, measure, package):
    first, second = (measure.rows(blobs(classes=4)) for _ in range(2))
    assert first.equals(second) and first["value"].between(-100, 100).all()


def test_identities_tell_measures_apart():
    measures = [
        *MEASURES, RobustAccuracy(), RobustAccuracy(epsilons=(1, 2)), RobustAccuracy(restarts=1), AutoAttackAccuracy(),
        AutoAttackAccuracy(epsilon=4), AutoAttackCurve(), AutoAttackCurve(epsilons=(4,)), AdversarialProbe(),
        AdversarialProbe(rounds=1), Aggregation(),
        Aggregation(crop="crop"), Aggregation(samples=2),
    ]  # fmt: skip
    assert len({measure.identity for measure in measures}) == len(measures)


def test_bad_input():
    for epsilons in ((), (8, 4), (0, 8), (4, 4), (300,)):
        with pytest.raises(BadInput, match="epsilons are one or more ascending numbers above 0"):
            RobustAccuracy(epsilons=epsilons)
    with pytest.raises(BadInput, match="restarts is a whole number of at least 1, not 0"):
        RobustAccuracy(restarts=0)
    with pytest.raises(BadInput, match="epsilons are one or more"):
        AutoAttackAccuracy(epsilon=-1)
    with pytest.raises(BadInput, match="epsilons are one or more"):
        AutoAttackCurve(epsilons=(4, 2))
    with pytest.raises(BadInput, match="rounds is a whole number of at least 1, not 0"):
        AdversarialProbe(rounds=0)
    with pytest.raises(BadInput, match="unknown crop 'tile'; allowed: patch, crop"):
        Aggregation(crop="tile")
