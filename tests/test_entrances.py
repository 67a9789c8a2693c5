"""What the public functions of lib do with images, labels, features and numbers that are not as they need them, and
inside an autocast region or without gradients: wrong input gets a sentence, and the rest changes nothing."""

import copy
import dataclasses
from functools import cache, partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import lib.measures
from lib.errors import BadInput
from lib.measures import Classifier, extract, fit_probe, knn_predict
from lib.measures.aggregation import cut, draw_boxes
from lib.measures.attention import attention_rollout, attention_weights, grad_cam, look, rollout
from lib.measures.background import with_background
from lib.measures.erasure import fit_erasure
from lib.measures.invariance import cosine, distance_ratio, effective_invariance, fit_whitening, mahalanobis
from lib.measures.monitor import ridge_classifier
from lib.measures.raw_input import faded, low_contrast
from lib.measures.regression import nested
from lib.measures.robust_accuracy import left_standing, pgd_attack
from lib.measures.segmentation import fit_fcn, fit_linear, pixel_features, predict
from lib.measures.similarity import ssim
from lib.methods import METHODS, build_method
from lib.methods.barlow_twins import correlation_terms
from lib.methods.byol import regression
from lib.methods.byol import repulsion as byol_repulsion
from lib.methods.crops import cross_prediction
from lib.methods.dcl import dcl
from lib.methods.deacl import distance as deacl_distance
from lib.methods.emp_ssl import agreement, coding_rate
from lib.methods.moco_v2 import info_nce
from lib.methods.moco_v3 import batch_contrast
from lib.methods.nnclr import contrast, nearest
from lib.methods.relic import divergence
from lib.methods.relic import similarities as relic_similarities
from lib.methods.relicv2 import Settings as ReLICv2Settings
from lib.methods.relicv2 import relicv2
from lib.methods.repulsion import repelled
from lib.methods.simclr import nt_xent
from lib.methods.simsiam import distance as simsiam_distance
from lib.methods.supcon import sup_con
from lib.methods.swav import sinkhorn
from lib.methods.trades import divergence as trades_divergence
from lib.methods.vicreg import covariance, flatness
from lib.models import Encoder, ResNet, VisionTransformer
from lib.precision import autocast, own_precision
from lib.randomness import seed_of
from lib.shifts import cues, saliency
from lib.shifts.adversary import (
    FreePerturbation,
    apgd,
    cross_entropy,
    deterministic,
    dlr,
    fgsm,
    in_chunks,
    pgd,
    random_in_ball,
    square,
    steepest,
    survives,
)
from lib.shifts.corruptions import EVERY, corrupt, corrupted_alike
from lib.shifts.textures import minimum_seam, synthesise
from lib.shifts.transforms import TRANSFORMS, image_distance, transform
from lib.training import Attack, Training, masks, train
from lib.views import View, apply, draw, make_view, operations, patch_negatives, render

CPU = torch.device("cpu")
BYTES = torch.randint(256, (4, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()
FLOATS = BYTES.float() / 255
LABELS, OTHERS = torch.tensor([0, 1, 2, 0]), torch.arange(4) % 3
FEATURES = torch.randn(24, 6, generator=torch.Generator().manual_seed(1))
CLASSES = torch.arange(24) % 3
SEEDS = torch.arange(4)
EVERYTHING = View(size=16, blur=1.0, solarize=1.0, solarize_threshold=0.5, jitter=1.0, grey=0.5)


class Small(Encoder):
    """One convolution: what an autocast region would round."""

    def __init__(self):
        super().__init__()
        self.features = 6
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layer = nn.Conv2d(3, 6, 3, stride=2)

    def forward(self, x):
        return self.layer(self.normalised(x)).relu().mean((2, 3))

    def maps(self, x):
        return [self.layer(self.normalised(x)).relu()]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Of the network that learns masks, of which nothing is asked here but that it is the same."""
    monkeypatch.setattr(masks, "EPOCHS", 1)
    monkeypatch.setattr(masks, "BATCHES", 3)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@cache
def built(kind, **options):
    """The same weights for all, outside of any region or mode of a test."""
    with torch.inference_mode(False), torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(**options).eval()


def copied(module):
    with torch.inference_mode(False):
        return copy.deepcopy(module)


def encoder(kind=Small, **options):
    return copied(built(kind, **options))


def small_resnet():
    return built(ResNet, blocks=(1,), width=6)


def method_of(name):
    """A method with the same weights each time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_method(name, encoder(), METHODS[name].settings(), 3)


SUPERVISED = method_of("supervised")


def drawn(images=BYTES):
    return draw(EVERYTHING, len(images), tuple(images.shape[-2:]), seeded())


@cache
def probe():
    return fit_probe(FEATURES, CLASSES, FEATURES, CLASSES)


def classifier():
    return Classifier(built(Small), probe())


def vectors(*shape, unit=False):
    made = torch.randn(*shape, generator=seeded(len(shape)))
    return nn.functional.normalize(made, dim=-1) if unit else made


class Given:
    """As much of a subject as features of places need."""

    precision, device = "fp32", CPU

    def __init__(self):
        self.encoder = encoder()


def grid_of(name):
    return TRANSFORMS[name].grid(16, 4)[-1:].repeat(4, 1)


# Images

BOTH = {  # that take uint8 and float images in [0, 1]
    "make_view": lambda x: make_view(x, EVERYTHING, seeded()),
    "render": lambda x: render(x, EVERYTHING, drawn()),
    "apply": lambda x: apply(x, EVERYTHING, drawn()),
    "transform": lambda x: transform(x, "rotation", grid_of("rotation")),
    "image_distance": lambda x: image_distance(x, BYTES.flip(3)),
    "extract": lambda x: extract(encoder(), x),
    "pgd": lambda x: pgd(x, lambda y: y.square().sum((1, 2, 3)), 0.1, 0.05, 2, modules=()),
    "fgsm": lambda x: fgsm(x, lambda y: y.square().sum((1, 2, 3)), 0.1, modules=()),
    "apgd": lambda x: apgd(x, classifier(), LABELS, 0.1, 3, modules=()),
    "square": lambda x: square(x, classifier(), LABELS, 0.1, 3, modules=()),
    "survives": lambda x: survives(x, classifier(), LABELS, (), modules=()),
    "deterministic": lambda x: deterministic(lambda y: y.sum((1, 2, 3)), x, ()),
    "Classifier.right": lambda x: classifier().right(x, LABELS),
}
ONLY_BYTES = {
    "train": lambda x: train(method_of("simclr"), x, LABELS, Training(1, 2, precision="fp32"), 0, progress=False),
    "normalise_by": lambda x: encoder().normalise_by(x),
    "corrupt": lambda x: corrupt(x, "fog", 3),
    "corrupted_alike": lambda x: corrupted_alike(x, "fog", 3),
    "synthesise": lambda x: synthesise(x, SEEDS),
    "patch_shuffle": lambda x: cues.patch_shuffle(x, 2, SEEDS),
    "low_pass": lambda x: cues.low_pass(x, 2),
    "high_pass": lambda x: cues.high_pass(x, 2),
    "edges": cues.edges,
    "silhouette": cues.silhouette,
    "recolour": lambda x: cues.recolour(x, BYTES),
    "recolour, donors": lambda x: cues.recolour(BYTES, x),
    "stylise": lambda x: cues.stylise(x, BYTES, BYTES),
    "stylise, textures": lambda x: cues.stylise(BYTES, BYTES, x),
    "spectral_residual": saliency.spectral_residual,
    "colour_contrast": saliency.colour_contrast,
    "geodesic": saliency.geodesic,
    "centre_prior": saliency.centre_prior,
    "fused": saliency.fused,
    "lab": saliency.lab,
    "train in bfloat16": lambda x: train(
        method_of("simclr"), x, LABELS, Training(2, 2, precision="bf16"), 0, progress=False
    ),
    "masks.train": lambda x: masks.train(x, progress=False),
    "masks.predict": lambda x: masks.predict(encoder(masks.Segmenter), x),
    "remove_background": lambda x: saliency.remove_background(x, torch.ones(4, 16, 16)),
    "on_dark": saliency.on_dark,
    "ssim": lambda x: ssim(x, BYTES),
    "ssim, second": lambda x: ssim(BYTES, x),
    "look": lambda x: look(small_resnet(), probe(), x),
    "grad_cam": lambda x: grad_cam(small_resnet(), probe(), x),
    "attention_rollout": lambda x: attention_rollout(encoder(VisionTransformer, side=16, width=6, depth=1), x),
    "attention_weights": lambda x: attention_weights(encoder(VisionTransformer, side=16, width=6, depth=1), x),
    "pixel_features": lambda x: pixel_features(Given(), x),
    "faded": lambda x: faded(x, torch.zeros(3, 1, 1), torch.ones(3, 1, 1)),
    "low_contrast": lambda x: low_contrast(x, torch.ones(3, 1, 1)),
    "with_background": lambda x: with_background(x, torch.ones(4, 16, 16, dtype=torch.bool), BYTES),
}
NO_IMAGES = {
    "one image": BYTES[0],
    "grey": BYTES[:, :1],
    "grey without channels": BYTES[:, 0],
    "RGBA": torch.cat((BYTES, BYTES[:, :1]), 1),
    "channels last": BYTES.permute(0, 2, 3, 1),
    "NumPy": BYTES.numpy(),
    "list": [BYTES],
    "int64": BYTES.long(),
    "levels as floats": BYTES.float(),
    "normalised": 4 * FLOATS - 2,
    "NaN": torch.where(FLOATS > 0.5, torch.nan, FLOATS),
}


@pytest.mark.parametrize("name", [*BOTH, *ONLY_BYTES])
def test_what_is_no_image_gets_one_sentence_that_says_what_is_needed_and_what_was_found(name):
    wrong = NO_IMAGES if name in BOTH else NO_IMAGES | {"floats": FLOATS}
    for kind, images in wrong.items():
        with pytest.raises(BadInput, match=r"takes .* as uint8 \(N, 3, .*, not ") as error:
            (BOTH | ONLY_BYTES)[name](images)
        assert "\n" not in str(error.value), kind


@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_floats_in_the_unit_range_are_the_same_images(name, kind):
    as_bytes, as_floats = (flat(BOTH[name](images)) for images in (BYTES, FLOATS.to(kind)))
    for ours, theirs in zip(as_bytes, as_floats, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_a_view_of_float_images_keeps_their_brightness():
    """The fault that was reported: a mean of 0.0018 in place of 0.465."""
    whole = View(size=16, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), jitter=0.0, flip=0.0, grey=0.0)
    for images in (BYTES, FLOATS):
        torch.testing.assert_close(make_view(images, whole, seeded()), FLOATS, rtol=0, atol=1e-6)


def test_a_batch_in_training_is_not_looked_at_again():
    """Nothing waits for the device inside a step: on the meta device values cannot be read at all."""
    with torch.device("meta"):
        images = torch.empty(4, 3, 16, 16, dtype=torch.uint8)
        views = render(images, EVERYTHING, _meta(drawn()))
        assert views.shape == (4, 3, 16, 16)


def _meta(parameters):
    return type(parameters)(*(getattr(parameters, f.name).to("meta") for f in dataclasses.fields(parameters)))


def test_patch_negatives_take_any_values_of_images():
    for images in (BYTES, FLOATS, 4 * FLOATS - 2):
        assert set(patch_negatives(images, seeded()).unique().tolist()) <= set(images.unique().tolist())


def test_training_names_labels_and_extra_images_that_are_wrong():
    def run(name="supervised", labels=LABELS, **extra):
        return train(method_of(name), BYTES, labels, Training(1, 2, precision="fp32"), 0, progress=False, **extra)

    for labels, words in (
        (LABELS + 1, "train takes labels from 0 to 2, not 3"),
        (LABELS - 1, "train takes labels from 0 to 2, not -1"),
        (LABELS.int(), r"labels as int64 \(4,\), one for each image, not int32 \(4,\)"),
        (LABELS.float(), "not float32"),
        (LABELS[:3], r"not int64 \(3,\)"),
        (LABELS[:, None], r"not int64 \(4, 1\)"),
        (LABELS.numpy(), "not a NumPy array"),
    ):
        for name in ("supervised", "supcon", "trades"):
            with pytest.raises(BadInput, match=words):
                run(name, labels)
    with pytest.raises(BadInput, match=r"train takes beside\['textures'\] as uint8"):
        run("simclr", beside={"textures": FLOATS})
    with pytest.raises(BadInput, match="all their values are equal"):
        train(method_of("simclr"), torch.zeros_like(BYTES), LABELS, Training(1, 2), 0, progress=False)
    assert len(run()) == 1


# Autocast

A, B = FEATURES[:12], FEATURES[12:]
TARGETS = torch.stack((FEATURES[:, 0].sin(), FEATURES[:, 1]), dim=1)
UNIT = [vectors(8, 6, unit=True), vectors(8, 6).flip(0)]
MAPS = vectors(6, 5, 4, 4)
PIXELS = torch.arange(6 * 64).view(6, 8, 8) % 3
CALLS = {
    **{f"views.{name}": partial(call, BYTES) for name, call in BOTH.items()},
    **{f"bytes.{name}": partial(call, BYTES) for name, call in ONLY_BYTES.items() if name != "normalise_by"},
    **{f"corrupt.{name}": partial(corrupt, torch.cat((BYTES, BYTES), 3).repeat(1, 1, 2, 1), name, 3) for name in EVERY},
    **{f"transform.{name}": lambda name=name: transform(BYTES, name, grid_of(name)) for name in TRANSFORMS},
    "patch_negatives": lambda: patch_negatives(FLOATS, seeded()),
    "resized_crop": lambda: operations.resized_crop(FLOATS, *torch.tensor([[1, 2, 9, 8.5]] * 4).unbind(1), 16),
    "operations.grey": lambda: operations.grey(FLOATS),
    "adjust_hue": lambda: operations.adjust_hue(FLOATS, torch.full((4,), 0.2)),
    "operations.gaussian_blur": lambda: operations.gaussian_blur(FLOATS, torch.full((4,), 0.7), 3),
    "minimum_seam": lambda: minimum_seam(FLOATS[:, 0]),
    "saliency.binary": lambda: saliency.binary(FLOATS[:, 0]),
    "steepest": lambda: steepest(FLOATS - 0.5, "l2"),
    "random_in_ball": lambda: random_in_ball(SEEDS, (3, 4, 4), 1.0, "l2"),
    "pgd of a network": lambda: pgd(
        BYTES, lambda x: cross_entropy(probe().scores(built(Small)(x)), LABELS), 0.1, 0.03, 3, modules=()
    ),
    "dlr": lambda: dlr(FEATURES[:, :3], CLASSES),
    "FreePerturbation": lambda: FreePerturbation("8/255").added_to(FLOATS),
    "extract bf16": lambda: extract(encoder(), BYTES, "bf16"),
    "knn_predict": lambda: knn_predict(A, CLASSES[:12], B, 3),
    "fit_probe": lambda: fit_probe(A, CLASSES[:12], B, CLASSES[12:]).weight,
    "Probe.scores": lambda: probe().scores(FEATURES),
    "Classifier": lambda: classifier()(FLOATS),
    "left_standing": lambda: left_standing(
        classifier(), BYTES, LABELS, torch.ones(4, dtype=torch.bool), pgd_attack(classifier(), 8, 2)
    ),
    "fit_whitening": lambda: fit_whitening(A, B).factor,
    "mahalanobis": lambda: mahalanobis(A, B, fit_whitening(A, B)),
    "cosine": lambda: cosine(A, B),
    "distance_ratio": lambda: distance_ratio(A, B),
    "effective_invariance": lambda: effective_invariance(A, B),
    "ridge_classifier": lambda: ridge_classifier(FEATURES, CLASSES, 3)(FEATURES),
    "nested": lambda: nested(FEATURES, TARGETS, 3),
    "fit_erasure": lambda: fit_erasure(FEATURES, TARGETS).remove(FEATURES),
    "rollout": lambda: rollout(torch.rand(2, 3, 2, 5, 5, generator=seeded())),
    "cut": lambda: cut(FLOATS, draw_boxes(EVERYTHING, 4, 2, (16, 16), seeded())),
    "fit_linear": lambda: fit_linear(MAPS, PIXELS, MAPS, PIXELS, 3)(MAPS),
    "fit_fcn": lambda: predict(fit_fcn(MAPS, PIXELS, MAPS, PIXELS, 3), MAPS, 8),
    "nt_xent": lambda: nt_xent(*UNIT, 0.2),
    "dcl": lambda: dcl(*UNIT, 0.2),
    "sup_con": lambda: sup_con(*UNIT, CLASSES[:8], 0.2),
    "info_nce": lambda: info_nce(*UNIT, FEATURES, 0.2),
    "batch_contrast": lambda: batch_contrast(*UNIT, 0.2),
    "correlation_terms": lambda: correlation_terms(*UNIT),
    "coding_rate": lambda: coding_rate(torch.stack(UNIT), 0.2),
    "agreement": lambda: agreement(torch.stack(UNIT)),
    "nearest": lambda: nearest(UNIT[0], FEATURES),
    "contrast": lambda: contrast(*UNIT, 0.2),
    "relic": lambda: divergence(relic_similarities(*UNIT, 0.2), relic_similarities(*UNIT[::-1], 0.2)),
    "relicv2": lambda: relicv2(UNIT, UNIT, ReLICv2Settings()),
    "flatness": lambda: flatness(UNIT[1]),
    "covariance": lambda: covariance(UNIT[1]),
    "repelled": lambda: repelled(UNIT[0], torch.stack(UNIT), 2.0, 0.2),
    "cross_prediction": lambda: cross_prediction(UNIT, [UNIT[0].softmax(1)], 0.2),
    "sinkhorn": lambda: sinkhorn(UNIT[1], 0.1, 3),
    "byol": lambda: (regression(*UNIT), byol_repulsion(UNIT, UNIT, 2.0)),
    "distances": lambda: (simsiam_distance(*UNIT), deacl_distance(*UNIT), trades_divergence(*UNIT)),
}


def flat(result) -> list[torch.Tensor]:
    """The tensors of a result, in order."""
    if isinstance(result, torch.Tensor):
        return [result.detach()]
    if isinstance(result, tuple | list):
        return [tensor for part in result for tensor in flat(part)]
    if isinstance(result, nn.Module):
        return [tensor.detach() for tensor in result.state_dict().values()]
    if isinstance(result, dict):
        return [torch.tensor(value) for key, value in result.items() if "second" not in key and "memory" not in key]
    return [torch.tensor(result)]


@pytest.mark.parametrize("name", CALLS)
def test_an_autocast_region_of_the_caller_changes_nothing(name):
    outside = flat(CALLS[name]())
    with torch.autocast("cpu", torch.bfloat16):
        inside = flat(CALLS[name]())
        assert torch.is_autocast_enabled("cpu")
    for ours, theirs in zip(outside, inside, strict=True):
        assert ours.dtype == theirs.dtype and torch.equal(ours, theirs)


MEASURES = [kind for kind in vars(lib.measures).values() if dataclasses.is_dataclass(kind) and hasattr(kind, "rows")]


class Touched(Exception):
    pass


class Watching:
    """A subject that tells whether the first that asks it for something does so inside an autocast region."""

    def __getattr__(self, name):
        raise Touched(torch.is_autocast_enabled("cpu"))


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.__name__)
def test_measures_decide_on_their_own_precision(measure):
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(Touched, match="False"):
        measure().rows(Watching())
    assert len(MEASURES) > 15


def test_a_loss_that_opens_a_region_of_its_own_has_it_within_an_attack():
    kinds = []

    def loss(images):
        with autocast(CPU, "bf16"):
            kinds.append((images.flatten(1) @ images.flatten(1).T).dtype)
        return images.square().sum((1, 2, 3))

    for attack in (partial(pgd, step=0.1, steps=1), fgsm):
        attack(BYTES, loss, epsilon=0.1, modules=())
        with torch.autocast("cpu", torch.float16):
            attack(BYTES, loss, epsilon=0.1, modules=())
    assert set(kinds) == {torch.bfloat16}


def test_features_taken_within_a_region_leave_the_callers_gradients_alone():
    """Weights that are cast without a gradient are kept by the region, and would be taken for those that have one."""
    model = encoder()
    with torch.autocast("cpu", torch.bfloat16):
        extract(model, BYTES, "bf16")
        model(FLOATS).float().sum().backward()
    assert model.layer.weight.grad is not None and model.layer.weight.grad.abs().sum() > 0


def test_an_exception_leaves_the_callers_region_as_it_was():
    @own_precision
    def failing():
        raise KeyError

    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(KeyError):
            failing()
        assert torch.is_autocast_enabled("cpu")


# Without gradients

CLIMBING = {
    "pgd": lambda x, y: pgd(
        x, lambda z: cross_entropy(probe().scores(built(Small)(z)), y.clone()), 0.1, 0.03, 2, modules=()
    ),
    "fgsm": lambda x, y: fgsm(x, lambda z: built(Small)(z).square().sum(1), 0.1, modules=()),
    "apgd": lambda x, y: apgd(x, classifier(), y, 0.1, 3, modules=()),
    "square": lambda x, y: square(x, classifier(), y, 0.1, 3, modules=()),
    "survives": lambda x, y: survives(
        x, classifier(), y, [lambda a, b: apgd(a, classifier(), b, 0.1, 2, modules=())], modules=()
    ),
    "in_chunks": lambda x, y: in_chunks(
        lambda a: pgd(a, lambda z: z.square().sum((1, 2, 3)), 0.1, 0.03, 2, modules=()), x, batch_size=2, progress=False
    ),
    "left_standing": lambda x, y: left_standing(
        classifier(), x, y, torch.ones(4, dtype=torch.bool), pgd_attack(classifier(), 8, 2)
    ),
    "fit_probe": lambda x, y: fit_probe(extract(encoder(), x), y, extract(encoder(), x), y).weight,
    "fit_fcn": lambda x, y: predict(fit_fcn(MAPS, PIXELS, MAPS, PIXELS, 3), MAPS, 8),
    "grad_cam": lambda x, y: grad_cam(small_resnet(), probe(), x),
    "masks.train": lambda x, y: masks.train(x, progress=False),
    "train": lambda x, y: train(
        copied(SUPERVISED), x, y,
        Training(1, 2, precision="fp32"), 0, progress=False, attack=Attack("pgd(1)"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_what_climbs_or_fits_does_so_without_the_callers_gradients(name, without):
    expected = flat(CLIMBING[name](BYTES, LABELS))
    with without():
        found = flat(CLIMBING[name](BYTES.clone(), LABELS.clone()))
        assert not torch.is_grad_enabled()
    for ours, theirs in zip(found, expected, strict=True):
        assert torch.equal(ours, theirs)


def test_an_attack_on_floats_that_were_made_in_inference_mode():
    with torch.inference_mode():
        images = FLOATS.clone()
    for attack in (partial(apgd, logits=classifier(), labels=LABELS), partial(pgd, loss=_square, step=0.1, steps=2)):
        options = dict(epsilon=0.1, modules=())
        assert torch.equal(attack(images, **options), attack(FLOATS, **options))


def _square(images):
    return images.square().sum((1, 2, 3))


# Labels and features

HOLES = torch.where(FEATURES > 2, torch.nan, FEATURES)


@pytest.mark.parametrize(("call", "words"), [
    (lambda: knn_predict(HOLES, CLASSES, FEATURES), "knn_predict takes training features that are finite"),
    (lambda: knn_predict(FEATURES, CLASSES, HOLES), "knn_predict takes features that are finite"),
    (lambda: knn_predict(FEATURES, CLASSES - 1, FEATURES), "labels of at least 0, not -1"),
    (lambda: knn_predict(FEATURES, CLASSES.float(), FEATURES), "labels as int64 .24,., one .* not float32"),
    (lambda: knn_predict(FEATURES, CLASSES[:5], FEATURES), r"not int64 \(5,\)"),
    (lambda: knn_predict(FEATURES, CLASSES, FEATURES[:, :4]), r"floats \(N, 6\), not float32 \(24, 4\)"),
    (lambda: knn_predict(FEATURES.numpy(), CLASSES, FEATURES), "not a NumPy array float32"),
    (lambda: knn_predict(FEATURES, CLASSES, FEATURES, 25), "k is a whole number from 1 to 24, not 25"),
    (lambda: knn_predict(FEATURES, CLASSES, FEATURES, temperature=0), "temperature is a number above 0"),
    (lambda: fit_probe(HOLES, CLASSES, FEATURES, CLASSES), "fit_probe takes training features that are finite"),
    (lambda: fit_probe(FEATURES, CLASSES, HOLES, CLASSES), "fit_probe takes validation features that are finite"),
    (lambda: fit_probe(FEATURES / 0, CLASSES, FEATURES, CLASSES), "some are NaN or infinite"),
    (lambda: fit_probe(FEATURES, CLASSES - 1, FEATURES, CLASSES), "fit_probe takes labels of at least 0, not -1"),
    (lambda: fit_probe(FEATURES, CLASSES.float(), FEATURES, CLASSES), "not float32"),
    (lambda: fit_probe(FEATURES, CLASSES, FEATURES, CLASSES.int()), "validation labels as int64"),
    (lambda: fit_probe(FEATURES, CLASSES, FEATURES, CLASSES[:9]), r"validation labels .* not int64 \(9,\)"),
    (lambda: fit_probe(FEATURES[:1], CLASSES[:1], FEATURES, CLASSES), "with N of at least 2"),
    (lambda: fit_probe(FEATURES, CLASSES, FEATURES[:0], CLASSES[:0]), "validation features as floats"),
    (lambda: ridge_classifier(FEATURES, CLASSES, 2), "labels from 0 to 1, not 2"),
    (lambda: apgd(BYTES, classifier(), LABELS + 1, 0.1, modules=()), "an attack takes labels from 0 to 2, not 3"),
    (lambda: square(BYTES, classifier(), LABELS + 1, 0.1, modules=()), "an attack takes labels from 0 to 2, not 3"),
    (lambda: survives(BYTES, classifier(), LABELS - 1, (), modules=()), "an attack takes labels .* not -1"),
    (lambda: classifier().right(BYTES, LABELS.float()), "Classifier.right takes labels as int64"),
    (lambda: grad_cam(small_resnet(), probe(), BYTES, LABELS + 1), "classes from 0 to 2, not 3"),
    (lambda: fit_fcn(MAPS, PIXELS + 1, MAPS, PIXELS, 3), "fit_fcn takes labels from 0 to 2, not 3"),
    (lambda: sup_con(*UNIT, CLASSES[:8].float(), 0.2), "sup_con takes labels as whole numbers"),
    (lambda: sup_con(*UNIT, CLASSES[:7], 0.2), "sup_con takes labels as whole numbers"),
])  # fmt: skip
def test_labels_and_features_that_are_wrong_get_a_sentence(call, words):
    with pytest.raises(BadInput, match=words):
        call()


def test_a_class_that_only_validation_images_have_is_no_fault():
    fitted = fit_probe(FEATURES, CLASSES % 2, FEATURES, CLASSES)
    assert fitted.scores(FEATURES).shape == (24, 2)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=8), st.integers(1, 8))
def test_neighbours_are_those_of_a_count_by_hand(labels, k):
    labels, k = torch.tensor(labels), min(k, len(labels))
    features = torch.randn(len(labels), 3, generator=seeded(k))
    asked = torch.randn(4, 3, generator=seeded(9))
    similarity = nn.functional.normalize(asked, dim=1) @ nn.functional.normalize(features, dim=1).T
    expected = []
    for row in similarity.double():
        near = row.argsort(descending=True)[:k]
        votes = {c: sum((row[i] / 0.07).exp() for i in near if labels[i] == c) for c in labels[near].tolist()}
        expected.append(max(votes, key=votes.get))
    for kind in (int, float, np.int64, torch.tensor):
        assert knn_predict(features, labels, asked, kind(k)).tolist() == expected


# A batch of one

ONE = [vectors(1, 6, unit=True), vectors(1, 6)]


@pytest.mark.parametrize("loss", [
    lambda one: nt_xent(*one, 0.2),
    lambda one: dcl(*one, 0.2),
    lambda one: sup_con(*one, torch.zeros(len(one[0]), dtype=torch.int64), 0.2),
    lambda one: batch_contrast(*one, 0.2),
    lambda one: correlation_terms(*one),
    lambda one: contrast(*one, 0.2),
    lambda one: relic_similarities(*one, 0.2),
    lambda one: relicv2(one, one, ReLICv2Settings()),
    lambda one: flatness(one[0]),
    lambda one: covariance(one[0]),
])  # fmt: skip
def test_losses_that_compare_images_refuse_one_alone(loss):
    with pytest.raises(BadInput, match="compared with others of their batch, which has two or more, not 1"):
        loss(ONE)
    for value in flat(loss([part.repeat(2, 1) + 0.1 * vectors(2, 6) for part in ONE])):
        assert value.isfinite().all()


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.trained])
def test_methods_refuse_a_batch_of_one_in_training(name):
    teacher = (encoder(),) if hasattr(METHODS[name].build, "teacher") else ()
    method = build_method(name, encoder(), METHODS[name].settings(), 3, *teacher).train()
    views = [FLOATS[:1]] * 2
    given = (views, *((views,) if METHODS[name].attacked else ()), *((LABELS[:1],) if method.uses_labels else ()))
    with pytest.raises(BadInput, match="two or more, not 1"):
        method(*given)


# Numbers of any kind

KINDS = (float, np.int64, np.int8, np.float32, torch.tensor, np.array)


@pytest.mark.parametrize("kind", KINDS)
def test_a_number_is_taken_whatever_holds_it(kind):
    """5, 5.0, np.int64(5) and a 0-d tensor draw the same numbers and make the same images."""
    big = BYTES.repeat(1, 1, 2, 2)
    assert torch.equal(corrupt(big, "gaussian_noise", kind(5)), corrupt(big, "gaussian_noise", 5))
    assert torch.equal(corrupted_alike(big, "snow", kind(2)), corrupted_alike(big, "snow", 2))
    assert seed_of(kind(3), 1) == seed_of(3, 1)
    assert torch.equal(cues.patch_shuffle(BYTES, kind(2), SEEDS), cues.patch_shuffle(BYTES, 2, SEEDS))
    assert torch.equal(cues.low_pass(BYTES, kind(2)), cues.low_pass(BYTES, 2))
    assert torch.equal(synthesise(BYTES, SEEDS, kind(9)), synthesise(BYTES, SEEDS, 9))
    assert torch.equal(TRANSFORMS["hue"].grid(kind(16), kind(4)), TRANSFORMS["hue"].grid(16, 4))
    attack = partial(pgd, BYTES, _square, 0.1, 0.05, modules=())
    assert torch.equal(attack(kind(2)), attack(2))
    assert Training(kind(2), kind(4)) == Training(2, 4) and type(Training(kind(2)).epochs) is int
    assert lib.measures.RobustAccuracy(kind(9)).identity == lib.measures.RobustAccuracy(9).identity


@settings(deadline=None, max_examples=20)
@given(st.floats(1, 5, width=16))
def test_a_severity_between_two_rows_is_taken_whatever_holds_it(severity):
    images = BYTES[:1].repeat(1, 1, 2, 2)
    expected = corrupt(images, "gaussian_noise", severity)
    for kind in (np.float16, np.float32, np.float64, torch.tensor):
        assert torch.equal(corrupt(images, "gaussian_noise", kind(severity)), expected)
        assert torch.equal(corrupted_alike(images, "fog", kind(severity)), corrupted_alike(images, "fog", severity))


@pytest.mark.parametrize("severity", [0, 5.5, True, "5", None, torch.tensor([5]), np.array([1, 2]), 5j, np.nan])
def test_what_is_no_severity_is_refused_everywhere(severity):
    for call in (corrupt, corrupted_alike):
        with pytest.raises(BadInput, match="severity is a number from 1 to 5, not"):
            call(BYTES, "fog", severity)
