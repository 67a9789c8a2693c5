import copy
import math

import lightly.loss
import pytest
import torch
import torchvision

from lib.methods import METHODS, PLAIN, build_method, moco_v3
from lib.models import ENCODERS, build_encoder


def fresh(name):
    torch.manual_seed(0)
    return build_method(name, build_encoder("resnet10_narrow"), METHODS[name].settings(), classes=4)


def batch(method, count=8):
    generator = torch.Generator().manual_seed(1)
    views = [torch.rand(count, 3, 32, 32, generator=generator) for _ in method.views]
    return (views, torch.arange(count) % 4) if method.uses_labels else (views,)


@pytest.mark.parametrize("name", [name for name in PLAIN if METHODS[name].trained])
def test_every_trained_part_gets_a_gradient(name):
    method = fresh(name)
    terms = method(*batch(method))
    assert all(term.ndim == 0 and term.isfinite() for term in terms.values())
    sum(terms.values()).backward()
    for words, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, words
        else:
            assert parameter.grad is None, words


def test_random_weights_stay_and_only_the_statistics_move():
    method = fresh("random")
    before = copy.deepcopy(method.encoder)
    method.train()
    assert method(*batch(method)) == {}
    for old, new in zip(before.parameters(), method.encoder.parameters(), strict=True):
        assert torch.equal(old, new)
    assert not torch.equal(before.bn.running_mean, method.encoder.bn.running_mean)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_byol_target_follows_the_paper_s_schedule(progress):
    method = fresh("byol")
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.add_(1.0)
    before = copy.deepcopy(method.target_encoder)
    method.after_step(progress)
    tau = 1 - (1 - method.momentum) * (math.cos(math.pi * progress) + 1) / 2
    for old, online, new in zip(
        before.parameters(), method.encoder.parameters(), method.target_encoder.parameters(), strict=True
    ):
        assert torch.allclose(new, tau * old + (1 - tau) * online, atol=1e-6)


def test_byol_terms_cross_the_views():
    """The loss of (a, b) is the prediction of a against the target of b and the other way round."""
    method = fresh("byol").eval()
    ((a, b),) = batch(method)
    terms = method([a, b])
    swapped = method([b, a])
    assert terms["first to second"].item() == pytest.approx(swapped["second to first"].item(), rel=1e-5)


@pytest.mark.parametrize(
    "name", [name for name in PLAIN if METHODS[name].trained and not METHODS[name].build.uses_labels]
)
def test_self_supervised_methods_cannot_see_labels(name):
    method = fresh(name)
    assert not method.uses_labels
    with pytest.raises(TypeError):
        method(*batch(method), torch.zeros(8, dtype=torch.long))


def test_encoder_normalises_its_own_input():
    encoder = build_encoder("resnet10").eval()
    images = torch.randint(256, (500, 3, 32, 32), dtype=torch.uint8)
    encoder.normalise_by(images)
    pixels = images.double() / 255
    assert torch.allclose(encoder.mean.flatten().double(), pixels.mean((0, 2, 3)), atol=1e-6)
    assert torch.allclose(encoder.std.flatten().double(), pixels.std((0, 2, 3), unbiased=False), atol=1e-6)


def test_resnet18_is_torchvision_s_but_for_stem_and_classifier():
    theirs = torchvision.models.resnet18()
    expected = sum(p.numel() for p in theirs.parameters()) - 7 * 7 * 3 * 64 + 3 * 3 * 3 * 64 - 513 * 1000
    encoder = build_encoder("resnet18").eval()
    assert sum(p.numel() for p in encoder.parameters()) == expected
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, encoder.features) == (2, 512)


def test_resnet18_computes_what_torchvision_computes():
    """Same weights, same stem, same input: same features (after torchvision's average pool)."""
    ours, theirs = build_encoder("resnet18").eval(), torchvision.models.resnet18()
    theirs.conv1, theirs.maxpool, theirs.fc = (
        torch.nn.Conv2d(3, 64, 3, 1, 1, bias=False),
        torch.nn.Identity(),
        torch.nn.Identity(),
    )
    theirs.load_state_dict(dict(zip(theirs.state_dict(), _without_normalisation(ours), strict=True)))
    images = torch.rand(2, 3, 32, 32)
    assert torch.allclose(ours(images), theirs.eval()((images - 0.5) / 0.25), atol=1e-4)


def _without_normalisation(encoder):
    return [value for name, value in encoder.state_dict().items() if name not in ("mean", "std")]


def test_small_encoder():
    encoder = build_encoder("resnet10").eval()
    assert encoder(torch.rand(2, 3, 32, 32)).shape == (2, encoder.features) == (2, 256)
    assert encoder(torch.rand(1, 3, 96, 96)).shape == (1, 256)


@pytest.mark.parametrize("name", ["moco_v2", "nnclr"])
def test_queues_take_the_keys_of_the_batch_after_the_step(name):
    method = fresh(name)
    before = method.queue.keys.clone()
    method(*batch(method))
    assert torch.equal(method.queue.keys, before)  # the batch is not its own negative
    method.after_step(0.5)
    assert torch.equal(method.queue.keys, before)  # nor are those of its next replay
    method.after_batch()
    assert torch.equal(method.queue.keys[8:], before[8:]) and torch.equal(method.queue.keys[:8], method.newest)


def test_moco_s_copy_follows_at_a_constant_pace():
    method = fresh("moco_v2")
    with torch.no_grad():
        for parameter in method.encoder.parameters():
            parameter.add_(1.0)
    before = copy.deepcopy(method.key_encoder)
    method(*batch(method))
    method.after_step(0.9)
    for old, online, new in zip(
        before.parameters(), method.encoder.parameters(), method.key_encoder.parameters(), strict=True
    ):
        assert torch.allclose(new, 0.99 * old + 0.01 * online, atol=1e-6)


def test_vicreg_is_the_official_objective():
    """Weights 25, 25, 1, the variance halved over two views: lightly's whole loss, which is tested against the code."""
    method = fresh("vicreg").eval()
    ((first, second),) = batch(method)
    with torch.no_grad():
        ours = sum(method([first, second]).values())
        theirs = lightly.loss.VICRegLoss()(*(method.head(method.encoder(view)) for view in (first, second)))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)


def layers(head):
    """Each layer as a kind and what it is built of, by hand below."""
    kinds = {
        torch.nn.Linear: lambda layer: ("linear", layer.in_features, layer.out_features, layer.bias is not None),
        torch.nn.BatchNorm1d: lambda layer: ("norm", layer.num_features, layer.affine),
        torch.nn.ReLU: lambda layer: ("relu",),
    }
    return [kinds[type(layer)](layer) for layer in head.modules() if type(layer) in kinds]


@pytest.mark.parametrize(("encoder", "width"), [("resnet10_narrow", 128), ("resnet18", 512), ("vit_narrow_patch4", 96)])
def test_moco_v3_has_the_authors_heads_by_the_kind_of_encoder(encoder, width):
    """arXiv 2104.02057, moco/builder.py: MLPs without biases, of 2 and 2 layers for a ResNet, of 3 and 2 for a ViT; the
    last norm has no parameters, and a ResNet's predictor has none."""
    method = build_method("moco_v3", build_encoder(encoder), moco_v3.Settings(hidden=40, projection=24), classes=4)
    inner = [("linear", 40, 40, False), ("norm", 40, True), ("relu",)] if encoder.startswith("vit") else []
    last = [("norm", 24, False)]
    first = [("norm", 40, True), ("relu",)]
    assert layers(method.projector) == [
        ("linear", width, 40, False), *first, *inner, ("linear", 40, 24, False), *last,
    ]  # fmt: skip
    predictor = [("linear", 24, 40, False), *first, ("linear", 40, 24, False)]
    assert layers(method.predictor) == predictor + (last if encoder.startswith("vit") else [])
    assert layers(method.target_projector) == layers(method.projector)


def test_transformers_know_that_they_are():
    with torch.device("meta"):  # no weights are drawn
        transformers = {name for name in ENCODERS if build_encoder(name).transformer}
    assert transformers == {name for name in ENCODERS if name.startswith("vit")}


def test_relic_keeps_the_head_that_its_docstring_tells():
    for name in ("relic", "relicv2"):
        assert layers(fresh(name).head) == [
            ("linear", 128, 512, False), ("norm", 512, True), ("relu",), ("linear", 512, 128, False),
            ("norm", 128, True),
        ]  # fmt: skip
