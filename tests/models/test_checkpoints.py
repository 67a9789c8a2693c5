"""Each published layout, made from torchvision's or lightly's networks, or from DINO's transformer by hand."""

import argparse
import collections
import copy
import functools
import os
import pickle

import lightly.models
import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

from lib.errors import BadInput
from lib.models import LAYOUTS, build_encoder, load_checkpoint
from lib.models.checkpoints import torchvision_names

IMAGENET = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CIFAR10 = torchvision.transforms.Normalize((0.4914, 0.4822, 0.4465), (0.247, 0.243, 0.261))


def lived_in(network):
    """Batch-norm statistics, scales and shifts that a network without training does not have."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor, low in ((module.running_mean, -0.2), (module.running_var, 0.8), (module.weight, 0.8)):
                tensor.data.uniform_(low, low + 0.4, generator=generator)
            module.bias.data.uniform_(-0.2, 0.2, generator=generator)
            module.num_batches_tracked.fill_(7)
    return network.eval()


def small_resnet(build=torchvision.models.resnet18, padding=1):
    """torchvision's ResNet with the stem of CIFAR."""
    network = build()
    network.conv1 = nn.Conv2d(3, 64, 3, 1, padding, bias=False)
    network.maxpool, network.fc = nn.Identity(), nn.Identity()
    return lived_in(network)


def resnet(build=torchvision.models.resnet18):
    network = build()
    network.fc = nn.Identity()
    return lived_in(network)


def prefixed(network, prefix):
    return {prefix + key: value for key, value in network.state_dict().items()}


def random(*keys):
    return {key: torch.rand(2, 2) for key in keys}


@torch.no_grad()
def same(encoder, theirs, normalise, side=32):
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(2))
    expected = theirs(normalise(images)).flatten(1)
    return torch.allclose(encoder.eval()(images), expected, atol=1e-4 * expected.abs().max().item())


def moco_file(network, head):
    heads = random(*(f"module.encoder_q.{key}" for key in head), "module.queue", "module.queue_ptr")
    weights = prefixed(network, "module.encoder_q.") | prefixed(network, "module.encoder_k.") | heads
    return {"epoch": 200, "arch": "resnet50", "state_dict": weights, "optimizer": {"state": {}}}


def moco_v3_file(network, head="fc"):
    heads = random(*(f"module.{part}.{head}.0.weight" for part in ("base_encoder", "momentum_encoder")))
    weights = prefixed(network, "module.base_encoder.") | prefixed(network, "module.momentum_encoder.") | heads
    return {"state_dict": weights | random("module.predictor.0.weight")}


LARGE = {
    "torchvision": lambda network: network.state_dict() | random("fc.weight", "fc.bias"),
    "moco": lambda network: moco_file(network, ("fc.0.weight", "fc.0.bias", "fc.2.weight", "fc.2.bias")),
    "moco_v3": moco_v3_file,
    "barlow_twins": lambda network: {
        "epoch": 1000,
        "model": prefixed(network, "module.backbone.") | random("module.projector.0.weight", "module.bn.running_mean"),
        "optimizer": {},
    },
    "dino": lambda network: {
        "student": prefixed(network, "module.backbone.") | random("module.head.mlp.0.weight"),
        "teacher": prefixed(network, "backbone.") | random("head.mlp.0.weight", "head.last_layer.weight_g"),
        "args": argparse.Namespace(arch="resnet50"),
    },
    "lightly": lambda network: {
        "state_dict": prefixed(network, "backbone.") | random("projection_head.layers.0.weight", "online_classifier.w")
    },
    "solo_learn": lambda network: {
        "state_dict": prefixed(network, "backbone.")
        | prefixed(network, "momentum_backbone.")
        | random("classifier.weight", "projector.0.weight", "predictor.0.weight")
    },
}


@pytest.mark.parametrize("layout", LARGE)
def test_large_resnets(layout):
    torch.manual_seed(0)
    theirs, encoder = resnet(), build_encoder("resnet18_224")
    report = load_checkpoint(encoder, LARGE[layout](theirs))
    assert report.layout == layout and not report.missing
    assert set(report.matched) == {name for name in encoder.state_dict() if name not in ("mean", "std")}
    assert same(encoder, theirs, IMAGENET, side=64)
    assert load_checkpoint(encoder, LARGE[layout](theirs), layout) == report
    if layout == "dino":
        assert set(report.dropped) == {"head.mlp.0.weight", "head.last_layer.weight_g", "student", "args"}


def test_moco_v1_and_resnet50_of_a_file(tmp_path):
    theirs, encoder = resnet(torchvision.models.resnet50), build_encoder("resnet50_224")
    torch.save(moco_file(theirs, ("fc.weight", "fc.bias")), tmp_path / "moco_v1.pth.tar")
    report = load_checkpoint(encoder, tmp_path / "moco_v1.pth.tar")
    assert same(encoder, theirs, IMAGENET, side=64)
    assert {"module.encoder_q.fc.weight", "module.queue", "optimizer", "epoch"} <= set(report.dropped)
    assert "moco layout: 318 entries loaded, 0 missing" in str(report)


def test_swav_normalises_by_its_own_numbers():
    theirs, encoder = resnet(), build_encoder("resnet18_224")
    weights = prefixed(theirs, "module.") | random("module.projection_head.0.weight", "module.prototypes.weight")
    report = load_checkpoint(encoder, weights)
    assert report.layout == "swav" and len(report.dropped) == 2
    normalise = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.228, 0.224, 0.225))
    assert same(encoder, theirs, normalise, side=64)


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_small_resnets_with_plain_names(name):
    theirs = small_resnet(getattr(torchvision.models, name))
    encoder = build_encoder(name)
    report = load_checkpoint(encoder, theirs.state_dict())
    assert report.layout == "torchvision" and report.mean == (0.4914, 0.4822, 0.4465)
    assert same(encoder, theirs, CIFAR10)


@pytest.mark.parametrize("prefix", ["backbone.", "encoder."])
def test_small_resnets_of_solo_learn(prefix, tmp_path):
    """solo-learn's stem pads by 2 (its solo/methods/base.py): the usual encoder would compute other features."""
    theirs = small_resnet(padding=2)
    file = {"state_dict": prefixed(theirs, prefix) | random("classifier.weight", "queue"), "epoch": 3}
    torch.save(file, tmp_path / "epoch=3.ckpt")
    encoder = build_encoder("resnet18_solo_learn")
    report = load_checkpoint(encoder, str(tmp_path / "epoch=3.ckpt"))
    assert report.layout == "solo_learn" and report.dropped == ("classifier.weight", "queue", "epoch")
    assert same(encoder, theirs, CIFAR10)
    refused(build_encoder("resnet18"), file, "pads the stem .* by 2 pixels: build resnet18_solo_learn")


def test_small_resnets_of_lightly():
    torch.manual_seed(0)
    whole = lived_in(lightly.models.ResNetGenerator("resnet-18"))
    theirs = nn.Sequential(*list(whole.children())[:-1], nn.AdaptiveAvgPool2d(1)).eval()
    # Its activations after the stem are calls in `forward`, so the children alone lack one; the reference has it.
    reference = nn.Sequential(theirs[0], theirs[1], nn.ReLU(), *theirs[2:])
    encoder = build_encoder("resnet18")
    weights = prefixed(theirs, "backbone.") | random("projection_head.layers.0.weight")
    report = load_checkpoint(encoder, {"state_dict": weights})
    assert report.layout == "lightly"
    assert same(encoder, reference, IMAGENET)


@pytest.mark.parametrize("stem", ["small", "large"])
def test_torchvision_s_children_by_number(stem):
    theirs = small_resnet() if stem == "small" else resnet()
    numbered = nn.Sequential(*list(theirs.children())[:-1])
    encoder = build_encoder("resnet18" if stem == "small" else "resnet18_224")
    assert load_checkpoint(encoder, prefixed(numbered, "backbone.")).layout == "lightly"
    assert same(encoder, numbered, IMAGENET, side=64)


def dino_weights(width=384, depth=12):
    """Weights under the names of DINO's and timm's vision transformers."""
    generator = torch.Generator().manual_seed(3)
    shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 197, width), "patch_embed.proj.weight": (width, 3, 16, 16)}
    shapes |= {"patch_embed.proj.bias": (width,), "norm.weight": (width,), "norm.bias": (width,)}
    for block in range(depth):
        for name, inputs, outputs in (
            ("attn.qkv", width, 3 * width),
            ("attn.proj", width, width),
            ("mlp.fc1", width, 4 * width),
            ("mlp.fc2", 4 * width, width),
        ):
            shapes[f"blocks.{block}.{name}.weight"] = (outputs, inputs)
            shapes[f"blocks.{block}.{name}.bias"] = (outputs,)
        for name in ("norm1", "norm2"):
            shapes |= {f"blocks.{block}.{name}.weight": (width,), f"blocks.{block}.{name}.bias": (width,)}
    weights = {name: 0.05 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for name in weights:
        if "norm" in name and name.endswith("weight"):
            weights[name] += 1
    return weights


def dino_forward(weights, heads):
    """DINO's ViT written from its equations: normalised images (N, 3, 224, 224) -> class tokens (N, width)."""

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(dim=-1, keepdim=True)
        scaled = centred / (centred.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def forward(images):
        count, width = len(images), weights["cls_token"].shape[2]
        x = F.conv2d(images, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=16)
        x = torch.cat((weights["cls_token"].expand(count, 1, width), x.flatten(2).transpose(1, 2)), dim=1)
        x = x + weights["pos_embed"]
        for block in range(12):
            qkv = linear(norm(x, f"blocks.{block}.norm1"), f"blocks.{block}.attn.qkv")
            q, k, v = qkv.reshape(count, 197, 3, heads, width // heads).permute(2, 0, 3, 1, 4)  # (N, heads, 197, D)
            attention = (q @ k.transpose(2, 3) / (width // heads) ** 0.5).softmax(dim=3)
            x = x + linear((attention @ v).transpose(1, 2).reshape(count, 197, width), f"blocks.{block}.attn.proj")
            hidden = linear(norm(x, f"blocks.{block}.norm2"), f"blocks.{block}.mlp.fc1")
            x = x + linear(hidden * (1 + torch.erf(hidden / 2**0.5)) / 2, f"blocks.{block}.mlp.fc2")
        return norm(x, "norm")[:, 0]

    return forward


def test_dino_s_transformer(tmp_path):
    weights, encoder = dino_weights(), build_encoder("vit_small_patch16_224")
    save_file(weights, tmp_path / "dino.safetensors")
    report = load_checkpoint(encoder, tmp_path / "dino.safetensors")
    assert report.layout == "dino" and len(report.matched) == len(weights) and not report.dropped
    assert same(encoder, dino_forward(weights, heads=6), IMAGENET, side=224)
    whole = {
        "teacher": {f"backbone.{key}": value + 1 for key, value in weights.items()} | random("head.mlp.0.weight"),
        "student": {f"module.backbone.{key}": value for key, value in weights.items()},
    }
    load_checkpoint(encoder, whole)
    assert torch.equal(encoder.network.class_token, weights["cls_token"] + 1)  # the teacher's, not the student's
    refused(build_encoder("vit_small_patch16_224_moco_v3"), weights, "DINO has 6 heads")


def test_moco_v3_s_transformer_has_twelve_heads():
    weights, encoder = dino_weights(), build_encoder("vit_small_patch16_224_moco_v3")
    file = {"state_dict": {f"module.base_encoder.{key}": value for key, value in weights.items()}}
    file["state_dict"] |= random("module.base_encoder.head.0.weight", "module.predictor.0.weight")
    assert load_checkpoint(encoder, file).layout == "moco_v3"
    assert same(encoder, dino_forward(weights, heads=12), IMAGENET, side=224)
    refused(build_encoder("vit_small_patch16_224"), file, "MoCo v3 has 12 heads: build vit_small_patch16_224_moco_v3")


@pytest.mark.parametrize("names", ["present", "first"])
def test_torchvision_s_transformer(names):
    theirs = torchvision.models.VisionTransformer(224, 16, 12, 6, 384, 1536).eval()
    weights = theirs.state_dict()
    if names == "first":  # of its release, which torchvision renames as it loads
        weights = {
            key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): value
            for key, value in weights.items()
        }
    theirs.heads = nn.Identity()
    encoder = build_encoder("vit_small_patch16_224")
    report = load_checkpoint(encoder, weights)
    assert report.layout == "torchvision" and report.dropped == ("heads.head.weight", "heads.head.bias")
    assert same(encoder, theirs, IMAGENET, side=224)


def refused(encoder, checkpoint, sentence, **options):
    before = copy.deepcopy(encoder.state_dict())
    with pytest.raises(BadInput, match=sentence):
        load_checkpoint(encoder, checkpoint, **options)
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


@pytest.fixture(scope="module")
def plain():
    return small_resnet().state_dict()


@pytest.fixture(scope="module")
def encoder():
    return build_encoder("resnet18")


def test_strictness(encoder, plain):
    without = {key: value for key, value in plain.items() if key != "layer2.0.downsample.0.weight"}
    refused(encoder, without, r"1 \(layer2.0.downsample.0.weight\) missing")
    refused(encoder, plain | random("layer4.2.conv1.weight"), r"1 \(layer4.2.conv1.weight\) unexpected")
    refused(encoder, plain | random("attention.weight"), r"1 \(attention.weight\) unexpected")
    refused(encoder, plain | random("bn1.running_var"), r"bn1.running_var \(2, 2\) instead of \(64,\)")
    refused(encoder, plain | {"module.bn1.bias": plain["bn1.bias"]}, r"module.bn1.bias\) unexpected")
    refused(encoder, resnet().state_dict(), r"conv1.weight \(64, 3, 7, 7\) instead of \(64, 3, 3, 3\)")
    refused(encoder, resnet(torchvision.models.resnet50).state_dict(), "unexpected.*of another shape")
    refused(encoder, plain, "missing", layout="moco")
    refused(encoder, plain, "unknown layout 'mocco' .did you mean 'moco'", layout="mocco")
    refused(build_encoder("vit_tiny_patch4"), plain, "missing")
    halved = lightly.models.ResNetGenerator("resnet-9", width=0.5)  # shapes of our resnet10, whose stem has a stride
    refused(build_encoder("resnet10"), halved.state_dict(), "stem of stride 2 is ours alone")
    state = {f"backbone.{key}": value for key, value in plain.items()} | random("backbone_2.weight")
    refused(encoder, state, r"backbone_2.weight\) unexpected", layout="lightly")


def test_old_files_have_no_batch_norm_counters(encoder, plain):
    old = {key: value for key, value in plain.items() if not key.endswith("num_batches_tracked")}
    report = load_checkpoint(copy.deepcopy(encoder), old)
    assert len(report.missing) == 20 and all(name.endswith("num_batches_tracked") for name in report.missing)


def test_normalisation_is_the_caller_s_where_given(encoder, plain):
    encoder = copy.deepcopy(encoder)
    report = load_checkpoint(encoder, plain, mean=(0.5, 0.4, 0.3), std=[0.2, 0.2, 0.1])
    assert report.mean == (0.5, 0.4, 0.3) and "mean (0.5, 0.4, 0.3) and std (0.2, 0.2, 0.1)" in str(report)
    assert torch.equal(encoder.mean.flatten(), torch.tensor([0.5, 0.4, 0.3]))
    assert torch.equal(encoder.std.flatten(), torch.tensor([0.2, 0.2, 0.1]))
    refused(encoder, plain, "three numbers each", mean=(0.5, 0.4, 0.3))
    sensible = (0.5, 0.4, 0.3)
    for wrong in ((0.2, 0.2, 0), (0.2, 0.2, 1.01), (58.4, 57.1, 57.4), (0.2, 0.2, float("nan")), (0.2, 0.2, -0.1),
                  ("a", "b", "c"), 0.5, (0.5, 0.4)):  # fmt: skip
        refused(encoder, plain, "mean and std above 0 and up to 1 .*255", mean=sensible, std=wrong)
        refused(encoder, plain, "mean and std above 0 and up to 1 .*255", mean=wrong, std=sensible)
    load_checkpoint(encoder, plain, mean=torch.tensor(sensible), std=np.ones(3))
    assert torch.equal(encoder.std.flatten(), torch.ones(3))


def test_files_that_are_no_checkpoints(encoder, plain, tmp_path):
    def file(name, content):
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    torch.save(plain, tmp_path / "whole.pt")
    save_file({"a": torch.ones(2)}, tmp_path / "whole.safetensors")
    half = (tmp_path / "whole.pt").read_bytes()[:100_000]
    refused(encoder, file("notes.pt", b"epoch 1, loss 0.3\n"), "notes.pt is damaged or no checkpoint")
    refused(encoder, file("empty.pth", b""), "empty.pth is damaged or no checkpoint of torch .it is empty.")
    refused(encoder, file("half.ckpt", half), "half.ckpt is damaged or no checkpoint")
    half = (tmp_path / "whole.safetensors").read_bytes()[:20]
    refused(encoder, file("half.safetensors", half), "half.safetensors is damaged")
    refused(encoder, tmp_path / "nowhere.pt", "nowhere.pt cannot be read")
    refused(encoder, tmp_path / "nowhere.safetensors", "nowhere.safetensors cannot be read")
    refused(encoder, tmp_path, "cannot be read")
    torch.save([plain], tmp_path / "list.pt")
    refused(encoder, tmp_path / "list.pt", "holds a list")
    torch.save(plain | {"options": pytest.approx(1)}, tmp_path / "objects.pt")
    refused(encoder, tmp_path / "objects.pt", "holds a _pytest.* opening it could run code")
    refused(encoder, {"epoch": 3, "mine": plain}, r"this one holds 2 \(epoch, mine\)")
    refused(encoder, {}, "this one holds nothing")
    refused(encoder, random("a", "b"), r"no known layout has the keys 2 \(a, b\); layouts: moco, ")


# Wherever the weights are in a file.

CONTAINERS = ("model_state_dict", "net", "encoder", "backbone", "module", "model_ema", "state_dict", "model", "teacher")
PREFIXES = ("", "model.", "net.", "model.backbone.", "net.backbone.", "model.encoder.", "target_encoder.",
            "target_encoder.net.", "model.target_encoder.")  # fmt: skip
AROUND = ("{}", "module.{}", "_orig_mod.module.{}", "model.module.{}")


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return small_resnet()


@functools.cache
def untrained():
    return build_encoder("resnet18")


def loads(small, file, normalise=CIFAR10):
    encoder = copy.deepcopy(untrained())  # to draw its weights anew would take most of the time
    report = load_checkpoint(encoder, file)
    assert len(report.matched) == 120 and not report.missing and same(encoder, small, normalise)
    return report


@pytest.mark.parametrize("container", CONTAINERS)
def test_weights_are_found_in_a_container(container, small, tmp_path):
    """Beside what a training keeps, and in a file as in a dict."""
    file = {"epoch": 3, "args": argparse.Namespace(lr=0.1), container: small.state_dict(), "optimizer": {"state": {}}}
    torch.save(file, tmp_path / "file.pt")
    assert set(loads(small, tmp_path / "file.pt").dropped) == {"epoch", "args", "optimizer"}
    prefixed_file = {container: prefixed(small, "module."), "scheduler": None}
    assert loads(small, prefixed_file).dropped == ("scheduler",)
    assert loads(small, {"state": 1, "model": {container: small.state_dict(), "step": 3}}).dropped == ("state", "step")


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("around", AROUND)
def test_weights_are_found_behind_a_prefix(prefix, around, small):
    """Also combined with the wrappers, and in containers; other heads than the network's own are no hindrance."""
    weights, fc = prefixed(small, around.format(prefix)), {around.format(prefix) + "fc.weight": torch.zeros(10, 512)}
    container = CONTAINERS[PREFIXES.index(prefix) % 8]  # another for each; a "teacher" is DINO's
    assert loads(small, {container: weights | fc} if around == "module.{}" else weights | fc).dropped == tuple(fc)


def test_the_slow_copy_comes_before_what_it_copies(small):
    other = {key: value + 1 for key, value in small.state_dict().items()}
    loads(small, {"model": other, "model_ema": small.state_dict()})
    loads(small, {"encoder": other, "target_encoder": small.state_dict(), "predictor": random("a")})
    online = {f"online_encoder.net.{key}": value for key, value in other.items()} | random("online_predictor.net.0.w")
    copied, head = prefixed(small, "target_encoder.net."), random("target_encoder.projector.net.0.weight")
    report = loads(small, online | copied | head)
    assert report.layout == "target_encoder" and set(report.dropped) == set(online) | set(head)
    loads(small, {f"encoder.{key}": value for key, value in other.items()} | prefixed(small, "target_encoder."))


def test_a_head_behind_the_same_prefix_is_known(small):
    heads = random("model.projector.0.weight", "model.head.weight", "model.fc.weight", "criterion.centre")
    report = loads(small, prefixed(small, "model.backbone.") | heads)
    assert report.layout == "wrapped" and set(report.dropped) == set(heads)
    refused(build_encoder("resnet18"), prefixed(small, "model.backbone.") | random("model.other.weight"),
            r"1 \(model.other.weight\) unexpected")  # fmt: skip
    both = prefixed(small, "model.") | {"conv1.weight": small.conv1.weight}
    refused(build_encoder("resnet18"), both, r"1 \(conv1.weight\) unexpected")


def test_a_preprocessor_says_how_pixels_are_normalised(small):
    """OpenMMLab's numbers are of pixels in [0, 255]; what says nothing of the kind is left out."""
    own = {"data_preprocessor.mean": torch.tensor([125.307, 122.961, 113.8575]).reshape(3, 1, 1),
           "data_preprocessor.std": torch.tensor([51.5865, 50.847, 51.255]).reshape(3, 1, 1)}  # fmt: skip
    weights = prefixed(small, "backbone.") | random("neck.fc0.weight", "head.fc.weight")
    report = loads(small, {"state_dict": weights | own, "meta": {}},
                   torchvision.transforms.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)))  # fmt: skip
    assert report.layout == "openmmlab" and set(own) <= set(report.dropped)
    loads(small, small.state_dict() | random("data_preprocessor.mean", "data_preprocessor.std"))
    none = {"data_preprocessor.mean": torch.zeros(3), "data_preprocessor.std": torch.ones(3)}
    loads(small, small.state_dict() | none)
    loads(small, small.state_dict() | {"data_preprocessor": {"mean": [1, 2, 3]}, "epoch": 7})
    loads(small, {"state_dict": small.state_dict(), "data_preprocessor": {"type": "Mine"}})


def test_a_file_is_what_is_in_it_not_what_it_is_called(small, tmp_path):
    for name in ("weights.pt", "pytorch_model.bin", "weights", "weights.pth.tar"):
        save_file(small.state_dict(), tmp_path / name)
        loads(small, tmp_path / name)
    for name in ("weights.safetensors", "weights.npz"):
        torch.save(small.state_dict(), tmp_path / name)
        loads(small, tmp_path / name)
    torch.save({"net": small.state_dict()}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    loads(small, tmp_path / "old.pth")


@pytest.mark.parametrize(("content", "words"), [
    (b"<!DOCTYPE html>\n<html><head><title>Sign in</title>", "is no checkpoint but an HTML or XML page"),
    (b"\xef\xbb\xbf\n <html>", "is no checkpoint but an HTML or XML page"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "is no checkpoint but an HTML or XML page"),
    (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 94349207\n",
     "is a Git LFS pointer to a file of 94,349,207 bytes, not that file; fetch it by 'git lfs pull'"),
    (b"\x1f\x8b\x08\x00", "packed by gzip; unpack it"),
    (b"\x89HDF\r\n\x1a\n", "a file of HDF5"),
    (b'{"message": "Not Found"}', "it is a text that begins with '{\"message\": \"Not Found\"}'"),
    (b"\x00\xff\x13" * 99, "is damaged or no checkpoint of torch; fetch it again"),
    (b"\x08\0\0\0\0\0\0\0{}      ", "this one holds nothing"),
    (pickle.dumps({"conv1.weight": 1, "epoch": 2}, 4), "a pickle that torch did not save, with 2 .conv1.weight, epoch"),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_what_is_no_checkpoint_is_called_what_it_is(content, words, ending, encoder, tmp_path):
    (tmp_path / f"file.{ending}").write_bytes(content)
    refused(encoder, tmp_path / f"file.{ending}", words)


def test_numbers_of_numpy_beside_the_weights_do_no_harm(small, tmp_path):
    beside = {"best_acc": np.float64(91.5), "epoch": np.int64(3), "done": np.bool_(True), "curve": np.arange(4.0),
              "rng": np.random.get_state(), "nested": {"f1": np.float32(0.5)}}  # fmt: skip
    file = {"state_dict": small.state_dict(), **beside}
    for new in (True, False):
        torch.save(file, tmp_path / "file.pt", _use_new_zipfile_serialization=new)
        assert set(loads(small, tmp_path / "file.pt").dropped) == set(beside)
    torch.save(small.state_dict() | beside, tmp_path / "flat.pt")
    assert set(loads(small, tmp_path / "flat.pt").dropped) == set(beside)


class Runs:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_s_hint_names_its_own_keys_and_nothing_runs(new, encoder, plain, tmp_path):
    trace = tmp_path / "ran"

    def said(content):
        torch.save(content, tmp_path / "file.pt", _use_new_zipfile_serialization=new)
        with pytest.raises(BadInput, match="opening it could run code") as error:
            load_checkpoint(encoder, tmp_path / "file.pt")
        assert not trace.exists()
        return str(error.value)

    hint = said({"config": Runs(trace), "net": plain, "acc": 3.0, "epoch": 2})
    assert hint.endswith("tensors alone (it has 4 (config, net, acc, ...)): "
                         "torch.save(torch.load(path, weights_only=False)['net'], 'weights.pt')")  # fmt: skip
    assert "['state_dict']" in said(collections.OrderedDict(a=Runs(trace), state_dict=plain))
    assert "['model'].state_dict(), 'weights.pt')" in said({"model": small_resnet(), "a": Runs(trace)})
    assert "torch.is_tensor(x)}, 'weights.pt')" in said(plain | {"options": pytest.approx(1)})
    assert "weights_only=False).state_dict(), 'weights.pt')" in said(small_resnet())
    if new:  # what the hint says works
        torch.save({"config": pytest.approx(1), "net": plain}, tmp_path / "file.pt")
        torch.save(torch.load(tmp_path / "file.pt", weights_only=False)["net"], tmp_path / "weights.pt")
        assert load_checkpoint(copy.deepcopy(encoder), tmp_path / "weights.pt").layout == "torchvision"


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("key", ["layer2.0.conv1.weight", "bn1.running_var", "layer4.1.bn2.bias"])
def test_weights_that_are_no_numbers_are_refused(number, key, encoder, plain):
    broken = plain[key].clone()
    broken.view(-1)[-1] = number
    refused(encoder, plain | {key: broken}, r"NaN or infinity in 1 \(.*\): its training failed")


def test_weights_of_another_type_are_refused(encoder, plain):
    """Of half precision they are rounded, and of 8 bits they would be something else."""
    refused(encoder, plain | {"conv1.weight": plain["conv1.weight"].to(torch.int8)},
            r"1 \(torch.int8 conv1.weight\) of another type")  # fmt: skip
    half = {key: value.half() if value.is_floating_point() else value for key, value in plain.items()}
    ours = copy.deepcopy(encoder)
    load_checkpoint(ours, half)
    assert torch.equal(ours.stem.weight, half["conv1.weight"].float())


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "resnet18_224", "vit_base_patch16_224"])
def test_renaming_is_a_bijection_onto_our_keys(name):
    with torch.device("meta"):
        encoder = build_encoder(name)
        theirs = getattr(torchvision.models, {"vit_base_patch16_224": "vit_b_16"}.get(name, name.split("_")[0]))()
    names = torchvision_names(encoder)
    heads = ("fc.", "heads.")
    assert list(names) == [key for key in theirs.state_dict() if not key.startswith(heads)]
    assert sorted(names.values()) == sorted(key for key in encoder.state_dict() if key not in ("mean", "std"))


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_no_order_wrapper_or_type_of_number_matters_and_every_key_does(data):
    """Any one key lost is named; all of them, in any order and wrapped as often as may be, load."""
    narrow = build_encoder("resnet10_narrow")
    narrow.stem.stride = (1, 1)
    weights = {theirs: narrow.state_dict()[ours] + 1 for theirs, ours in torchvision_names(narrow).items()}
    keys = data.draw(st.permutations(list(weights)))
    wrapper = data.draw(st.sampled_from(["", "module.", "_orig_mod.", "module._orig_mod."]))
    kind = data.draw(st.sampled_from([torch.float32, torch.float64]))
    file = {wrapper + key: weights[key].to(kind) for key in keys}
    lost = next(key for key in keys if not key.endswith("num_batches_tracked"))
    refused(narrow, {key: value for key, value in file.items() if key != wrapper + lost}, f"[(]{lost}[)] missing")
    assert load_checkpoint(narrow, file).layout in LAYOUTS
    assert all(torch.equal(narrow.state_dict()[ours], weights[key]) for key, ours in torchvision_names(narrow).items())


@pytest.mark.parametrize("name", ["resnet10_narrow", "vit_narrow_patch4", "resnet18"])
def test_a_run_of_this_book_is_read_with_its_own_mean_and_std(name, tmp_path):
    torch.manual_seed(5)
    trained = lived_in(build_encoder(name))
    trained.mean.fill_(0.3), trained.std.fill_(0.2)
    save_file({key: value.contiguous() for key, value in trained.state_dict().items()}, tmp_path / "weights")
    encoder = build_encoder(name)
    report = load_checkpoint(encoder, tmp_path / "weights")
    assert report.layout == "withstand" and not report.missing and not report.dropped
    assert report.mean == pytest.approx((0.3,) * 3) and report.std == pytest.approx((0.2,) * 3)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(encoder.eval()(images), trained(images))
    given = load_checkpoint(encoder, tmp_path / "weights", mean=(0.1,) * 3, std=(0.4,) * 3)
    assert given.mean == (0.1,) * 3 and float(encoder.std.mean()) == pytest.approx(0.4)
    lacking = trained.state_dict()
    lacking.pop(next(key for key in lacking if key.endswith("weight")))
    with pytest.raises(BadInput):
        load_checkpoint(build_encoder(name), lacking)
