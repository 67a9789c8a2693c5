"""Maps against loops and closed forms: class activation maps for Grad-CAM, products of matrices for rollout."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from lib.errors import BadInput
from lib.measures import attention
from lib.measures.attention import (
    AttentionShift,
    attention_rollout,
    attention_weights,
    grad_cam,
    look,
    rollout,
    similarity,
)
from lib.measures.features import extract
from lib.measures.probe import Probe
from lib.measures.subject import Subject
from lib.models import ResNet, VisionTransformer, build_encoder
from lib.models.resnet import Bottleneck
from lib.shifts.corruptions import corrupted_alike

CLASSES = 5


def pictures(count, side=32, seed=0):
    """Smooth random images: noise of a quarter of the side, enlarged."""
    coarse = torch.rand(count, 3, side // 4, side // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(255 * coarse, (side, side), mode="bicubic").clamp(0, 255).byte()


def lived_in(encoder, side=32):
    """Batch norm with statistics that differ from 0 and 1."""
    with torch.no_grad():
        encoder.train()(pictures(8, side, seed=1) / 255)
    return encoder


def some_probe(features):
    generator = torch.Generator().manual_seed(2)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    return Probe(normal(features), normal(features).abs() + 0.5, normal(CLASSES, features), normal(CLASSES), 1.0, 0.0)


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(0)
    return lived_in(ResNet((1, 1, 1, 1), 8))


@pytest.fixture(scope="module")
def transformer():
    torch.manual_seed(0)
    encoder = VisionTransformer(width=32, depth=3, heads=4)  # an even number of heads has a fused path in torch
    with torch.no_grad():
        for weight in encoder.layers.parameters():
            if weight.ndim > 1:
                weight.mul_(10)  # attention that is far from even
    return encoder


def class_activation_maps(encoder, stage, probe, images, classes):
    """Zhou et al. 2016, by loops over channels: the activations weighted by the class's weights for raw features."""
    kept = []
    hook = stage.register_forward_hook(lambda module, inputs, output: kept.append(output.numpy().astype(float)))
    with torch.no_grad():
        encoder.eval()(images / 255)
    hook.remove()
    maps = []
    for activations, c in zip(kept[0], classes, strict=True):
        total = sum((probe.weight[c, k] / probe.std[k]).item() * channel for k, channel in enumerate(activations))
        rectified = np.maximum(total, 0)
        zoom = images.shape[-1] / rectified.shape[0]
        enlarged = ndimage.zoom(rectified, zoom, order=1, mode="nearest", grid_mode=True)  # pixels as squares
        maps.append(enlarged / enlarged.max() if enlarged.max() > 0 else enlarged)
    return np.array(maps)


@pytest.mark.parametrize("kind", ["basic", "bottleneck", "torchvision"])
def test_grad_cam_of_a_linear_head_is_the_class_activation_map(kind, resnet):
    torch.manual_seed(0)
    if kind == "torchvision":
        encoder, side = lived_in(build_encoder("resnet18_224"), side=64), 64
        stage = encoder.network.layer4
    else:
        encoder = resnet if kind == "basic" else lived_in(ResNet((1, 1, 1), 8, block=Bottleneck))
        stage, side = encoder.stages, 32
    images, probe = pictures(6, side), some_probe(encoder.features)
    predicted = probe.predict(extract(encoder, images))
    for classes in (None, torch.arange(6) % CLASSES):
        maps, predictions = grad_cam(encoder, probe, images, classes)
        expected = class_activation_maps(encoder, stage, probe, images, predicted if classes is None else classes)
        assert maps.dtype == torch.float32 and maps.shape == (6, side, side)
        assert np.allclose(maps, expected, atol=2e-4)
        assert torch.equal(predictions, predicted)


def test_grad_cam_leaves_the_network_as_it_was(resnet):
    probe = some_probe(resnet.features)
    for parameter in resnet.parameters():
        parameter.grad = None
    weight = next(resnet.parameters())
    weight.grad = torch.ones_like(weight)
    before = {name: tensor.clone() for name, tensor in resnet.state_dict().items()}
    resnet.train()
    with torch.no_grad():  # as evaluations run
        grad_cam(resnet, probe, pictures(3))
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert all(parameter.grad is None for parameter in resnet.parameters() if parameter is not weight)
    assert all(torch.equal(before[name], tensor) for name, tensor in resnet.state_dict().items())
    assert all(not module._forward_hooks for module in resnet.modules())
    weight.grad = None


@pytest.mark.parametrize("which", ["resnet", "transformer"])
def test_an_image_alone_has_the_map_that_it_has_in_a_batch(which, request, monkeypatch):
    encoder, images = request.getfixturevalue(which), pictures(5)
    probe, classes = some_probe(encoder.features), torch.arange(5)
    together, predictions = look(encoder, probe, images, classes)
    alone = [look(encoder, probe, images[i : i + 1], classes[i : i + 1]) for i in range(5)]
    assert torch.allclose(together, torch.cat([maps for maps, _ in alone]), atol=1e-4)
    assert torch.equal(predictions, torch.cat([predicted for _, predicted in alone]))
    monkeypatch.setattr(attention, "BATCH", 2)
    assert torch.allclose(together, look(encoder, probe, images, classes)[0], atol=1e-4)
    assert together.amin() >= 0 and together.amax() <= 1
    assert (together[together.amax(dim=(1, 2)) > 0].amax(dim=(1, 2)) == 1).all()


def test_no_evidence_is_a_map_of_zeros(resnet):
    """Activations are never negative, so a class with negative weights alone finds nothing that speaks for it."""
    probe = some_probe(resnet.features)
    probe.weight[0] = -probe.weight[0].abs()
    maps, _ = grad_cam(resnet, probe, pictures(2), torch.tensor([0, 1]))
    assert (maps[0] == 0).all() and maps[1].max() == 1
    assert similarity(maps, maps).tolist() == [0, pytest.approx(1)]


def test_rollout_by_triple_loop():
    layers, count, heads, tokens = 3, 2, 2, 4
    weights = np.random.default_rng(0).dirichlet(np.ones(tokens), (layers, count, heads, tokens))
    expected = np.zeros((count, tokens, tokens))
    for n in range(count):
        shares = np.eye(tokens)
        for layer in range(layers):
            mixed = np.zeros((tokens, tokens))
            for i in range(tokens):
                for j in range(tokens):
                    for k in range(tokens):
                        share = 0.5 * sum(weights[layer, n, h, i, k] for h in range(heads)) / heads + 0.5 * (i == k)
                        mixed[i, j] += share * shares[k, j]
            shares = mixed
        expected[n] = shares
    assert np.allclose(rollout(torch.from_numpy(weights)), expected, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 3), st.integers(2, 9), st.integers(0, 99))
def test_rows_of_rollout_are_shares(layers, heads, tokens, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = (3 * torch.randn(layers, 2, heads, tokens, tokens, generator=generator)).softmax(dim=-1)
    shares = rollout(weights)
    assert (shares >= 0).all() and torch.allclose(shares.sum(dim=-1), torch.ones(2, tokens))
    own = shares.diagonal(dim1=1, dim2=2)
    assert (own >= 0.5**layers - 1e-6).all()  # what residual connections alone leave of each token in its place


def test_rollout_of_the_identity_and_of_even_attention():
    identity = torch.eye(4).expand(3, 1, 2, 4, 4)
    assert torch.equal(rollout(identity), torch.eye(4)[None])
    even = rollout(torch.full((3, 1, 2, 4, 4), 0.25))  # (I + E) / 2 with E E = E: cubed, I / 8 + 7 E / 8
    assert torch.allclose(even, torch.eye(4)[None] / 8 + 7 / 32)


@pytest.mark.parametrize("heads", [3, 4])
def test_weights_come_from_the_forward_pass_that_gives_the_features(heads):
    torch.manual_seed(0)
    encoder, images = VisionTransformer(width=24, depth=2, heads=heads).train(), pictures(3)
    features, weights = attention_weights(encoder, images)
    assert torch.allclose(features, extract(encoder, images), atol=1e-5)  # there, torch may fuse a layer
    encoder.requires_grad_(True)
    assert torch.allclose(features, encoder(images / 255), atol=1e-5)  # there, it may not
    assert weights.shape == (2, 3, heads, 64, 64) and not features.requires_grad
    assert torch.allclose(weights.sum(dim=-1), torch.ones(2, 3, heads, 64), atol=1e-5)
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in encoder.modules())

    with torch.no_grad():  # the first layer by hand
        first = encoder.layers[0]
        tokens = encoder.embed(encoder.normalised(images / 255)) + encoder.position
        tokens = first.norm1(tokens.flatten(2).transpose(1, 2))
        queries, keys, _ = (tokens @ first.self_attn.in_proj_weight.T + first.self_attn.in_proj_bias).split(24, dim=2)
        for head in range(heads):
            part = slice(head * 24 // heads, (head + 1) * 24 // heads)
            scores = queries[..., part] @ keys[..., part].transpose(1, 2) / (24 / heads) ** 0.5
            assert torch.allclose(weights[0, :, head], scores.softmax(dim=-1), atol=1e-5)


def test_rollout_maps_are_the_patches_mean_shares(transformer):
    images = pictures(3)
    shares = rollout(attention_weights(transformer, images)[1]).numpy().mean(axis=1).reshape(3, 8, 8)
    for share, drawn in zip(shares, attention_rollout(transformer, images).numpy(), strict=True):
        enlarged = ndimage.zoom(share, 4, order=1, mode="nearest", grid_mode=True)
        assert np.allclose(drawn, (enlarged - enlarged.min()) / np.ptp(enlarged), atol=1e-3)
    wide = attention_rollout(transformer, images[..., :16])
    assert wide.shape == (3, 32, 16) and (wide.amax(dim=(1, 2)) == 1).all() and (wide.amin(dim=(1, 2)) == 0).all()


def test_even_attention_is_a_map_of_zeros():
    encoder = VisionTransformer(width=32, depth=3, heads=2)
    for layer in encoder.layers:
        torch.nn.init.zeros_(layer.self_attn.in_proj_weight)
    assert (attention_rollout(encoder, pictures(2)) == 0).all()


def test_looking_at_a_transformer_predicts_what_the_probe_predicts(transformer):
    images, probe = pictures(6), some_probe(transformer.features)
    maps, predictions = look(transformer, probe, images)
    assert torch.equal(predictions, probe.predict(extract(transformer, images)))
    assert torch.equal(maps, attention_rollout(transformer, images))
    assert torch.equal(maps, look(transformer, probe, images, 4 - predictions)[0])  # no class in it


def test_bad_input(resnet, transformer):
    probe, images = some_probe(resnet.features), pictures(2)
    with torch.device("meta"):
        theirs = build_encoder("vit_small_patch16_224")
    with pytest.raises(BadInput, match="ResNets of lib.models and torchvision .* not for VisionTransformer of torchv"):
        look(theirs, probe, images)
    with pytest.raises(BadInput, match="not for Linear of torch"):
        look(torch.nn.Linear(2, 2), probe, images)
    with pytest.raises(BadInput, match="VisionTransformer of lib.models, not ResNet"):
        attention_rollout(resnet, images)
    for encoder in (resnet, transformer):
        with pytest.raises(BadInput, match=r"images as uint8 \(N, 3, H, W\), not float32"):
            look(encoder, probe, images / 255)
    with pytest.raises(BadInput, match=r"classes as int64 \(2,\), one for each image, not int64 \(1,\)"):
        grad_cam(resnet, probe, images, torch.tensor([1]))
    with pytest.raises(BadInput, match="did you mean 'fog'"):
        AttentionShift(corruptions=("fogg",))
    with pytest.raises(BadInput, match="at least 2, not 1"):
        AttentionShift(images=1)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.floats(0.01, 100), st.floats(-10, 10))
def test_similarity_is_pearson_s(seed, scale, shift):
    first, second = torch.rand(2, 3, 6, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = similarity(first, second)
    expected = [np.corrcoef(a.flatten(), b.flatten())[0, 1] for a, b in zip(first.numpy(), second.numpy(), strict=True)]
    assert np.allclose(found, expected)
    assert np.allclose(similarity(second, first), found)
    assert np.allclose(similarity(scale * first + shift, second), found, atol=1e-6)
    assert np.allclose(similarity(first, first), 1) and np.allclose(similarity(first, -first), -1)


def test_constant_maps_are_like_nothing():
    some = torch.rand(4, 8, 8)
    constant = torch.stack([torch.zeros(8, 8), torch.ones(8, 8), torch.full((8, 8), 0.1), some[3]])
    assert similarity(some, constant).tolist() == [0, 0, 0, pytest.approx(1)]


@pytest.fixture
def subject(resnet, tmp_path, monkeypatch):
    """The encoder with a small data set of its own."""
    np.savez(
        tmp_path / "blobs.npz",
        images=pictures(120, seed=3).permute(0, 2, 3, 1).numpy(),
        labels=np.arange(120) % CLASSES,
    )
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    return Subject(resnet, "blobs", None, "fp32", torch.device("cpu"))


def test_rows(subject):
    measure = AttentionShift(images=12, corruptions=("fog", "contrast"))
    rows = measure.rows(subject)
    rows = rows.assign(level=rows["level"].fillna(0)).set_index(["shift", "level"])
    assert list(rows["level_unit"]) == ["", *["severity"] * 10] and (rows["images"] == 12).all()
    assert list(rows.index) == [("none", 0), *((name, s) for name in ("fog", "contrast") for s in range(1, 6))]
    assert list(rows["metric"]) == ["attention similarity of other images"] + 10 * ["attention similarity"]
    assert rows["value"].between(-100, 100).all()

    images = subject.split("test", 12).images
    clean, classes = grad_cam(subject.encoder, subject.probe, images)
    assert torch.equal(classes, subject.probe.predict(subject.features("test")[:12]))
    foggy, _ = grad_cam(subject.encoder, subject.probe, corrupted_alike(images, "fog", 2), classes)

    def alike(first, second):
        if first.std() == 0 or second.std() == 0:
            return 0.0
        return np.corrcoef(first.flatten(), second.flatten())[0, 1]

    by_hand = 100 * np.array([alike(clean[i].numpy(), foggy[i].numpy()) for i in range(12)])
    assert rows.loc[("fog", 2), "value"] == pytest.approx(by_hand.mean())
    assert rows.loc[("fog", 2), "standard_error"] == pytest.approx(by_hand.std(ddof=1) / 12**0.5)
    others = [alike(clean[i].numpy(), clean[(i + 1) % 12].numpy()) for i in range(12)]
    assert rows.loc[("none", 0), "value"] == pytest.approx(100 * np.mean(others))


def test_a_corruption_that_changes_nothing_scores_100(subject, monkeypatch):
    monkeypatch.setattr(Subject, "corrupted", lambda self, name, severity, count: self.split("test", count).images)
    rows = AttentionShift(images=8, corruptions=("fog",)).rows(subject)
    clean, _ = look(subject.encoder, subject.probe, subject.split("test", 8).images)
    somewhere = 100 * (clean.amax(dim=(1, 2)) > 0).float().mean().item()
    assert rows[rows["shift"] == "fog"]["value"].tolist() == 5 * [pytest.approx(somewhere)] and somewhere > 50


def test_identity_says_what_was_measured():
    identity = AttentionShift().identity
    assert identity.startswith("attention_shift(images=300, corruptions=gaussian_noise glass_blur fog contrast)#")
    assert len({identity, AttentionShift(images=10).identity, AttentionShift(corruptions=("fog",)).identity}) == 3
