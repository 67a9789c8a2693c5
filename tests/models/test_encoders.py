import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models.feature_extraction import create_feature_extractor

from lib.errors import BadInput
from lib.models import ENCODERS, Fused, VisionTransformer, build_encoder

SMALL = [name for name in ENCODERS if "224" not in name]


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def on_meta(build, *arguments):
    """Shapes without memory or arithmetic: for large networks."""
    with torch.device("meta"):
        return build(*arguments)


@pytest.mark.parametrize(
    "name, theirs, stem",
    [
        ("resnet18", torchvision.models.resnet18, 3),
        ("resnet50", torchvision.models.resnet50, 3),
        ("resnet18_224", torchvision.models.resnet18, 7),
        ("resnet50_224", torchvision.models.resnet50, 7),
    ],
)
def test_resnets_are_torchvision_s_but_for_stem_and_classifier(name, theirs, stem):
    ours, theirs = on_meta(build_encoder, name), on_meta(theirs)
    outside = parameters(theirs.fc) + 64 * 3 * (7 * 7 - stem * stem)
    assert parameters(ours) == parameters(theirs) - outside
    assert ours.features == theirs.fc.in_features


def test_transformers_have_the_published_sizes():
    ours, theirs = on_meta(build_encoder, "vit_base_patch16_224"), on_meta(torchvision.models.vit_b_16)
    assert parameters(ours) == parameters(theirs) - parameters(theirs.heads)
    assert ours.features == 768
    for name in ("vit_small_patch16_224", "vit_small_patch16_224_moco_v3"):  # DINO, table 1: 21 M; counted by hand
        block = 2 * 2 * 384 + 4 * 384 * 384 + 4 * 384 + 2 * 4 * 384 * 384 + 5 * 384
        expected = 12 * block + 2 * 384 + (16 * 16 * 3 + 1) * 384 + 198 * 384
        assert parameters(on_meta(build_encoder, name)) == expected


@pytest.mark.parametrize("name", ENCODERS)
def test_shapes(name):
    side = 224 if "224" in name else 32
    encoder = on_meta(build_encoder, name).eval()
    assert encoder(torch.zeros(2, 3, side, side, device="meta")).shape == (2, encoder.features)


@pytest.mark.parametrize("name", [*SMALL, "resnet18_224"])
def test_an_image_alone_has_the_feature_that_it_has_in_a_batch(name):
    torch.manual_seed(0)
    encoder = build_encoder(name).train()
    images = torch.rand(3, 3, 32, 32)
    if not any(True for _ in encoder.parameters()):  # fitted in the place of trained
        encoder.normalise_by((255 * images).to(torch.uint8))
    with torch.no_grad():
        encoder(images)  # batch norm has statistics that differ from 0 and 1
        together = encoder.eval()(images)
        alone = torch.cat([encoder(image[None]) for image in images])
    assert torch.allclose(together, alone, rtol=1e-4, atol=1e-5)
    assert together.std(dim=0).max() > 1e-4  # and the features tell the images apart


def vit_by_hand(encoder, images):
    """The pre-norm transformer of arXiv 2010.11929, equations 1 to 4, with a mean of tokens at the end."""
    width, patch, heads = encoder.features, encoder.patch, encoder.layers[0].self_attn.num_heads
    count, _, height, columns = images.shape
    x = (images - encoder.mean) / encoder.std
    x = x.reshape(count, 3, height // patch, patch, columns // patch, patch).permute(0, 2, 4, 1, 3, 5)
    x = x.reshape(count, -1, 3 * patch * patch) @ encoder.embed.weight.reshape(width, -1).T + encoder.embed.bias
    x = x + encoder.position.reshape(width, -1).T
    for layer in encoder.layers:
        y = F.layer_norm(x, (width,), layer.norm1.weight, layer.norm1.bias)
        q, k, v = (y @ layer.self_attn.in_proj_weight.T + layer.self_attn.in_proj_bias).split(width, dim=2)
        mixed = []
        for head in range(heads):
            part = slice(head * width // heads, (head + 1) * width // heads)
            scores = q[..., part] @ k[..., part].transpose(1, 2) / (width // heads) ** 0.5
            mixed.append(scores.softmax(dim=2) @ v[..., part])
        x = x + layer.self_attn.out_proj(torch.cat(mixed, dim=2))
        y = F.layer_norm(x, (width,), layer.norm2.weight, layer.norm2.bias)
        x = x + layer.linear2(0.5 * layer.linear1(y) * (1 + torch.erf(layer.linear1(y) / 2**0.5)))
    return F.layer_norm(x, (width,), encoder.norm.weight, encoder.norm.bias).mean(dim=1)


@pytest.mark.parametrize("gradients", [False, True])  # torch has a fused path for no gradients
def test_small_transformer_is_the_paper_s(gradients):
    torch.manual_seed(0)
    encoder, images = VisionTransformer(depth=2).eval(), torch.rand(2, 3, 32, 32)
    with torch.set_grad_enabled(gradients):
        assert torch.allclose(encoder(images), vit_by_hand(encoder, images), atol=1e-4)


def test_transformer_layers_start_with_weights_of_their_own():
    first, second, *_ = VisionTransformer(depth=2).layers
    assert not torch.equal(first.linear1.weight, second.linear1.weight)


def test_position_embeddings_of_other_sizes():
    encoder = VisionTransformer(depth=1).eval()
    assert encoder.positions(8, 8) is encoder.position
    resized = F.interpolate(encoder.position, (8, 8), mode="bicubic")
    assert torch.allclose(resized, encoder.position)  # resizing to the native size changes nothing either
    with torch.no_grad():  # a plane across the grid stays one inside it, at the new places
        encoder.position.copy_(torch.arange(8.0)[:, None] * torch.ones(1, 192, 8, 8))
    halved = encoder.positions(4, 4)[0, 0, :, 0]
    assert torch.allclose(halved[1:3], torch.tensor([2.5, 4.5]))
    for side in (16, 96):
        assert encoder(torch.rand(2, 3, side, side)).shape == (2, 192)
    assert encoder(torch.rand(1, 3, 16, 48)).shape == (1, 192)


def test_wrong_image_sizes_are_one_sentence():
    with pytest.raises(BadInput, match="multiples of the patch, 4 pixels, not 30 x 32"):
        VisionTransformer(depth=1)(torch.rand(1, 3, 30, 32))
    with pytest.raises(BadInput, match="224 x 224 pixels, not 32 x 48"):
        on_meta(build_encoder, "vit_small_patch16_224")(torch.rand(1, 3, 32, 48, device="meta"))


@pytest.mark.parametrize("name", ["vit_tiny_patch4", "resnet18_224"])
def test_every_encoder_normalises_its_own_input(name):
    encoder, images = build_encoder(name), torch.randint(256, (50, 3, 32, 32), dtype=torch.uint8)
    encoder.normalise_by(images)
    seen = encoder.normalised(images / 255)
    assert torch.allclose(seen.mean((0, 2, 3)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(seen.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4)


def test_imagenet_encoders_start_with_imagenet_s_normalisation():
    encoder = build_encoder("resnet18_224")
    image = torch.rand(1, 3, 8, 8)
    theirs = torchvision.transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))(image)
    assert torch.allclose(encoder.normalised(image), theirs)


# ---- Feature maps


def with_statistics(encoder):
    """Batch norms that have seen images, so that no stage is near its start."""
    with torch.no_grad():
        encoder.train()(torch.rand(8, 3, 32, 32))
    return encoder.eval()


def test_maps_of_a_transformer_are_its_tokens_in_their_places():
    torch.manual_seed(0)
    encoder, images = VisionTransformer(depth=2).eval(), torch.rand(2, 3, 16, 32)
    (maps,) = encoder.maps(images)
    assert maps.shape == (2, 192, 4, 8) and maps.requires_grad
    assert torch.allclose(maps.mean(dim=(2, 3)), encoder(images), atol=1e-5)
    assert torch.allclose(maps.mean(dim=1), torch.zeros(2, 4, 8), atol=1e-5)  # a layer norm's output
    with torch.no_grad():  # and without attention a token sees its own patch alone
        encoder.layers = nn.Identity()
        (before,), (after,) = encoder.maps(images), encoder.maps(images.index_fill(3, torch.tensor([31]), 0.0))
    moved = (before != after).any(dim=1)
    assert not maps.isnan().any() and moved[..., 7].all() and not moved[..., :7].any()


def test_gradients_change_no_map():
    torch.manual_seed(0)
    for encoder in (VisionTransformer(depth=2).eval(), with_statistics(build_encoder("resnet18_224"))):
        images = torch.rand(2, 3, 32, 32)
        with torch.no_grad():
            without = encoder.maps(images)
        assert not any(part.requires_grad for part in without)
        for part, other in zip(without, encoder.maps(images), strict=True):
            assert torch.allclose(part, other, atol=1e-5)


@pytest.mark.parametrize(
    "name, widths", [("resnet18_224", [64, 128, 256, 512]), ("resnet50_224", [256, 512, 1024, 2048])]
)
def test_maps_of_imagenet_resnets_are_those_behind_the_stages(name, widths):
    maps = on_meta(build_encoder, name).eval().maps(torch.zeros(2, 3, 224, 224, device="meta"))
    sides = (56, 28, 14, 7)  # He et al., arXiv 1512.03385, table 1
    assert [part.shape for part in maps] == [(2, width, side, side) for width, side in zip(widths, sides, strict=True)]


def test_maps_of_imagenet_resnets_are_torchvision_s():
    encoder, images = with_statistics(build_encoder("resnet18_224")), torch.rand(2, 3, 64, 96)
    stages = {f"layer{stage}": str(stage) for stage in range(1, 5)}
    theirs = create_feature_extractor(encoder.network, stages)
    with torch.no_grad():
        maps, expected = encoder.maps(images), theirs(encoder.normalised(images))
        for stage, part in enumerate(maps, start=1):
            assert torch.equal(part, expected[str(stage)])
        assert torch.allclose(maps[-1].mean(dim=(2, 3)), encoder(images), atol=1e-5)


def test_a_class_token_has_no_map():
    encoder = on_meta(build_encoder, "vit_small_patch16_224")
    with pytest.raises(BadInput, match="a class token's, which has no place; take a ResNet"):
        encoder.maps(torch.zeros(1, 3, 224, 224, device="meta"))


def test_fused_maps_are_the_members_side_by_side():
    torch.manual_seed(0)
    members = [with_statistics(build_encoder(name)) for name in ("resnet10_narrow", "resnet10")]
    fused, images = Fused(members).eval(), torch.rand(16, 3, 32, 32)
    with torch.no_grad():
        fused.standardise_by(fused(images))
        maps = fused.maps(images)
        each = [member.maps(images) for member in members]
        assert [part.shape for part in maps] == [(16, 48, 16, 16), (16, 96, 8, 8), (16, 192, 4, 4), (16, 384, 2, 2)]
        for part, own, other in zip(maps[:-1], *(maps[:-1] for maps in each), strict=True):
            assert torch.equal(part, torch.cat((own, other), dim=1))
        assert torch.allclose(maps[-1].mean(dim=(2, 3)), fused(images), atol=1e-4)


def test_members_with_other_places_have_no_fused_maps():
    fused = Fused([build_encoder("resnet10_narrow"), VisionTransformer(depth=1)]).eval()
    with pytest.raises(BadInput, match=r"at the same places, not \[\(16, 16\), .* and \[\(8, 8\)\]"):
        fused.maps(torch.rand(1, 3, 32, 32))


def test_features_have_gradients_for_weights_and_pixels():
    encoder, images = VisionTransformer(depth=2).train(), torch.rand(2, 3, 16, 16, requires_grad=True)
    encoder(images).square().sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is not None for parameter in encoder.parameters())


@pytest.mark.parametrize("name", ["resnet10_narrow", "resnet10", "resnet18"])
def test_published_encoders_keep_their_random_draws(name):
    """A seed's weights: kaiming after the defaults, block by block, as when the published runs were trained."""
    blocks, width, stride = {
        "resnet10_narrow": ((1, 1, 1, 1), 16, 2),
        "resnet10": ((1, 1, 1, 1), 32, 2),
        "resnet18": ((2, 2, 2, 2), 64, 1),
    }[name]
    torch.manual_seed(5)
    ours = build_encoder(name)
    after = torch.rand(1)
    torch.manual_seed(5)
    convolutions, channels_in = [nn.Conv2d(3, width, 3, stride, 1, bias=False)], width
    for stage, depth in enumerate(blocks):
        for place in range(depth):
            channels = width * 2**stage
            convolutions.append(nn.Conv2d(channels_in, channels, 3, bias=False))
            convolutions.append(nn.Conv2d(channels, channels, 3, bias=False))
            if stage > 0 and place == 0:
                convolutions.append(nn.Conv2d(channels_in, channels, 1, bias=False))
            channels_in = channels
    for convolution in convolutions:
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    theirs = [weight for weight in ours.parameters() if weight.ndim == 4]
    assert all(torch.equal(a, b.weight) for a, b in zip(theirs, convolutions, strict=True))
    assert torch.equal(after, torch.rand(1))
    assert list(ours.state_dict())[:3] == ["mean", "std", "stem.weight"]
    assert ours.stem.stride == (stride, stride)
