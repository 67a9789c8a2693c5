"""Features are those of the source's own forward, behind its own preprocessing, whatever the source."""

import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from lib.errors import BadInput
from lib.models import build_encoder
from lib.models.named import head_rows, normalised_by, open_encoder, prepared
from lib.models.sources.wrapped import trial_images

PHOTOGRAPHS = [
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)).resize(size, 3)
    for seed, size in ((0, (301, 227)), (1, (199, 240)))
]


def pixels(named):
    return torch.stack([prepared(image, named.preprocessing) for image in PHOTOGRAPHS]).float() / 255


def features(named):
    with torch.no_grad():
        return named.encoder(pixels(named))


def same(ours, theirs):
    """To 1e-5 of the largest feature."""
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() <= 1e-5 * max(1.0, float(theirs.abs().max()))


def lived_in(network):
    """Batch norm with statistics that are none of a fresh network's, which hide what is left out."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(0.1 * torch.randn(module.running_mean.shape, generator=generator))
            module.running_var.copy_(0.5 + torch.rand(module.running_var.shape, generator=generator))
    return network.eval()


# timm


def of_timm(name, **options):
    """Our encoder with random weights, and timm's own network of them without a classifier."""
    timm = pytest.importorskip("timm")
    query = "".join(f"&{key}={value}" for key, value in options.items())
    named = open_encoder(f"timm:{name}?weights=random{query}")
    sizes = {"img_size": options["size"]} if options else {}
    theirs = timm.create_model(name, num_classes=0, **sizes).eval()
    theirs.load_state_dict(named.encoder.network.state_dict())
    return named, theirs, timm


@pytest.mark.parametrize(
    "name, options, width, tokens",
    [
        ("resnet18.a1_in1k", {}, 512, False),
        ("vit_tiny_patch16_224", {}, 192, True),
        ("convnext_atto", {}, 320, False),
        ("vit_small_patch16_224.dino", {}, 384, True),
        ("vit_small_patch14_reg4_dinov2.lvd142m", {"size": 98}, 384, True),  # its own 518 px take a minute
        ("vit_xsmall_patch16_clip_224.tinyclip_yfcc15m", {}, 256, True),
    ],
)
def test_timm_s_features(name, options, width, tokens):
    named, theirs, timm = of_timm(name, **options)
    config = timm.data.resolve_model_data_config(theirs)
    if options:
        config["input_size"] = (3, options["size"], options["size"])
    transform = timm.data.create_transform(**config, is_training=False)
    with torch.no_grad():
        same(features(named), theirs(torch.stack([transform(image) for image in PHOTOGRAPHS])))
    assert named.encoder.features == width and named.differentiable
    if tokens and theirs.global_pool == "token":  # and once more from the inside: the class token behind the last norm
        with torch.no_grad():
            hidden = theirs.forward_features(named.encoder.normalised(pixels(named)))
        same(features(named), theirs.fc_norm(hidden[:, 0]))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "mobilenetv3_small_050"])
def test_timm_s_own_head_gives_its_own_logits(name):
    timm = pytest.importorskip("timm")
    torch.manual_seed(3)
    named = open_encoder(f"timm:{name}", pretrained=False)
    torch.manual_seed(3)
    theirs = timm.create_model(name).eval()
    with torch.no_grad():
        same(named.head(features(named)), theirs(named.encoder.normalised(pixels(named))))
    assert named.classes[1] == "n01443537" and "random weights" in named.source
    assert f"{sum(p.numel() for p in theirs.parameters()):,}" in named.source


def test_a_projection_and_a_pair_of_classifiers_are_no_heads():
    pytest.importorskip("timm")
    for name, words in (
        ("vit_xsmall_patch16_clip_224.tinyclip_yfcc15m", "no known classifier"),
        ("deit_tiny_distilled_patch16_224", "no linear layer of these features"),
        ("vit_small_patch16_224.dino", "no classifier"),
    ):
        named = open_encoder(f"timm:{name}", pretrained=False)
        assert named.head is None and named.classes is None and words in named.source


# torchvision


@pytest.mark.filterwarnings("ignore::FutureWarning")  # GoogLeNet's, of how its random weights are drawn
@pytest.mark.parametrize(
    "name, last, width",
    [("resnet18", "fc", 512), ("mobilenet_v3_small", "classifier.3", 1024), ("googlenet", "fc", 1024)],
)
def test_torchvision_s_features_and_logits(name, last, width):
    torch.manual_seed(0)
    named = open_encoder(f"torchvision:{name}?weights=random")
    torch.manual_seed(0)
    theirs = models.get_model(name).eval()
    read = []
    theirs.get_submodule(last).register_forward_hook(lambda _, inputs, __: read.append(inputs[0]))
    transform = models.get_model_weights(name)["DEFAULT"].transforms()
    with torch.no_grad():
        logits = theirs(torch.stack([transform(image) for image in PHOTOGRAPHS]))
        same(named.head(features(named)), logits)
    same(features(named), read[0])
    assert named.encoder.features == width and len(named.classes) == 1000 and named.differentiable


def test_a_network_without_a_linear_layer_has_its_logits_as_features():
    named = open_encoder("torchvision:squeezenet1_1", pretrained=False)
    assert torch.equal(named.head(features(named)), features(named)) and "features are its logits" in named.source


# transformers

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
SMALL |= {"image_size": 32, "patch_size": 8}


def saved(folder, build, config, processor, **options):
    """A tiny model of transformers with random weights, in a folder as `save_pretrained` writes it."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    settings = getattr(transformers, config)(**options)
    getattr(transformers, build)(settings).save_pretrained(folder)
    kind, numbers = processor
    getattr(transformers, kind)(**numbers).save_pretrained(folder)
    return transformers


WHOLE = ("ViTImageProcessor", {"size": {"height": 32, "width": 32}})
CROPPED = ("BitImageProcessor", {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}})
CLIP = ("CLIPImageProcessor", {"size": {"shortest_edge": 37}, "crop_size": {"height": 32, "width": 32}})
SHARE = ("ConvNextImageProcessor", {"size": {"shortest_edge": 64}, "crop_pct": 0.875})
RESIDUAL = {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32]}


@pytest.mark.parametrize(
    "build, config, processor, options",
    [
        ("ViTModel", "ViTConfig", WHOLE, SMALL),
        ("Dinov2Model", "Dinov2Config", CROPPED, SMALL),
        ("Dinov2WithRegistersModel", "Dinov2WithRegistersConfig", CROPPED, SMALL),
        ("CLIPVisionModel", "CLIPVisionConfig", CLIP, SMALL),
        ("ConvNextModel", "ConvNextConfig", SHARE, RESIDUAL),
        ("ResNetModel", "ResNetConfig", SHARE, {**RESIDUAL, "embedding_size": 8}),
    ],
)
def test_transformers_features_are_its_pooler_output(build, config, processor, options, tmp_path):
    transformers = saved(tmp_path, build, config, processor, **options)
    named = open_encoder(f"hf:{tmp_path}")
    theirs = getattr(transformers, build).from_pretrained(tmp_path).eval()
    inputs = transformers.AutoImageProcessor.from_pretrained(tmp_path, backend="pil")(PHOTOGRAPHS, return_tensors="pt")
    torch.testing.assert_close(named.encoder.normalised(pixels(named)), inputs["pixel_values"], atol=1e-5, rtol=0)
    with torch.no_grad():
        same(features(named), theirs(**inputs).pooler_output.flatten(1))
    assert named.head is None and "pooler_output" in named.source
    same(features(open_encoder(str(tmp_path))), features(named))  # a folder needs no prefix


@pytest.mark.parametrize(
    "build, config, options",
    [("ViTForImageClassification", "ViTConfig", SMALL), ("Dinov2ForImageClassification", "Dinov2Config", SMALL)],
)
def test_transformers_classifiers_give_their_own_logits(build, config, options, tmp_path):
    names = {0: "cat", 1: "dog", 2: "owl"}
    transformers = saved(tmp_path, build, config, WHOLE, **options, id2label=names)
    named = open_encoder(f"hf:{tmp_path}")
    theirs = getattr(transformers, build).from_pretrained(tmp_path).eval()
    with torch.no_grad():
        logits = theirs(named.encoder.normalised(pixels(named))).logits
        same(named.head(features(named)), logits)
    assert named.classes == ("cat", "dog", "owl")
    assert head_rows(named, ["owl", "cat"]).tolist() == [2, 0]


def test_a_pooler_that_the_file_lacks_is_not_made_up(tmp_path):
    """transformers fills it with random numbers, which is what DINO's weights have in a ViTModel."""
    transformers = saved(tmp_path, "ViTModel", "ViTConfig", WHOLE, **SMALL)
    network = transformers.ViTModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    network.save_pretrained(tmp_path)
    named = open_encoder(f"hf:{tmp_path}")
    with torch.no_grad():
        same(features(named), network(named.encoder.normalised(pixels(named))).last_hidden_state[:, 0])
    assert "class token" in named.source and "no pooler" in named.source


def test_a_model_of_images_and_texts_gives_its_image_tower(tmp_path):
    transformers = pytest.importorskip("transformers")
    text = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    options = {"vision_config": SMALL, "text_config": {**text, "vocab_size": 99}}
    saved(tmp_path, "CLIPModel", "CLIPConfig", CLIP, **options)
    named = open_encoder(f"hf:{tmp_path}")
    theirs = transformers.CLIPVisionModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        same(features(named), theirs(named.encoder.normalised(pixels(named))).pooler_output)


def test_a_masked_autoencoder_sees_the_whole_image(tmp_path):
    """Its encoder is a plain transformer once nothing is masked."""
    transformers = saved(tmp_path, "ViTMAEModel", "ViTMAEConfig", WHOLE, **SMALL)
    named = open_encoder(f"hf:{tmp_path}")
    masked = transformers.ViTMAEModel.from_pretrained(tmp_path).eval()
    plain = transformers.ViTModel(transformers.ViTConfig(**SMALL), add_pooling_layer=False).eval()
    plain.load_state_dict(masked.state_dict())
    with torch.no_grad():
        same(features(named), plain(named.encoder.normalised(pixels(named))).last_hidden_state[:, 0])


def test_code_of_a_repository_is_never_run(tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    automatic = {name: f"mine.{name}" for name in ("AutoConfig", "AutoModel")}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": automatic}))
    with pytest.raises(BadInput, match="code in its own repository, which is never run"):
        open_encoder(f"hf:{tmp_path}?size=32&normalisation=half")
    assert not (tmp_path / "ran").exists()


# ONNX, a file of weights, a function


class Small(nn.Module):
    """Six features of the means of 4 x 4 pixels, and with `classes` logits of them."""

    def __init__(self, classes=0):
        super().__init__()
        self.first = nn.Conv2d(3, 6, 4, stride=4)
        self.norm = nn.BatchNorm2d(6)
        self.last = nn.Linear(6, classes) if classes else nn.Identity()

    def forward(self, x):
        return self.last(self.norm(self.first(x)).relu().mean(dim=(2, 3)))


def exported(path, network, batch=None, metadata=()):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    axes = {} if batch else {"dynamic_axes": {"images": {0: "n"}, "out": {0: "n"}}}
    images = torch.zeros(batch or 2, 3, 32, 32)
    torch.onnx.export(network, (images,), path, input_names=["images"], output_names=["out"], dynamo=False, **axes)
    if metadata:
        file = onnx.load(path)
        onnx.helper.set_model_props(file, dict(metadata))
        onnx.save(file, path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the exporter that needs no further library
@pytest.mark.parametrize("batch", [None, 1, 3])
def test_onnx_gives_the_network_s_features(batch, tmp_path):
    network = lived_in(Small())
    exported(tmp_path / "small.onnx", network, batch)
    named = open_encoder(f"onnx:{tmp_path / 'small.onnx'}?normalisation=clip")
    assert named.preprocessing.size == 32 and not named.differentiable and named.head is None
    with torch.no_grad():
        same(features(named), network(named.encoder.normalised(pixels(named))))
        one = named.encoder(pixels(named)[:1])
    same(features(named)[:1], one)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_onnx_says_in_its_file_how_it_is_fed(tmp_path):
    network = lived_in(Small(classes=3))
    said = {"mean": "0.1,0.2,0.3", "std": "0.5,0.6,0.7", "resize": "40", "logits": "yes", "classes": "cat,dog,owl"}
    exported(tmp_path / "small.onnx", network, metadata=said)
    named = open_encoder(f"onnx:{tmp_path / 'small.onnx'}")
    assert (named.preprocessing.mean, named.preprocessing.resize) == ((0.1, 0.2, 0.3), 40)
    assert named.classes == ("cat", "dog", "owl")
    x = (pixels(named) - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.5, 0.6, 0.7])[:, None, None]
    with torch.no_grad():
        same(named.head(features(named)), network(x))


@pytest.mark.parametrize("chosen", ["", "@resnet18_224"])
def test_a_file_of_weights_is_fed_once_normalised(chosen, tmp_path):
    theirs = lived_in(models.resnet18())
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    named = open_encoder(f"{tmp_path / 'weights.pth'}{chosen}")
    theirs.fc = nn.Identity()
    transform = models.ResNet18_Weights.IMAGENET1K_V1.transforms()  # the field's convention of these networks
    with torch.no_grad():
        same(features(named), theirs(torch.stack([transform(image) for image in PHOTOGRAPHS])))


def test_moco_v3_s_transformer_from_its_file(tmp_path):
    """timm has the same network; MoCo v3 saves it with twelve heads, under a prefix."""
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("vit_small_patch16_224", num_classes=0, num_heads=12).eval()
    state = {f"module.base_encoder.{name}": value for name, value in theirs.state_dict().items()}
    torch.save({"state_dict": state, "arch": "vit_small"}, tmp_path / "moco.pth.tar")
    named = open_encoder(str(tmp_path / "moco.pth.tar"))
    assert "vit_small_patch16_224_moco_v3" in named.source and named.preprocessing.size == 224
    with torch.no_grad():
        same(features(named), theirs(named.encoder.normalised(pixels(named))))


@pytest.mark.parametrize("prefix, classes", [("", 5), ("module.backbone.", 0)])
def test_a_file_of_weights_for_a_network_of_timm(prefix, classes, tmp_path):
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("test_resnet", num_classes=classes).eval()
    state = {prefix + name: value for name, value in theirs.state_dict().items()}
    torch.save({"state_dict": state | ({"projector.weight": torch.zeros(2)} if prefix else {})}, tmp_path / "mine.pth")
    named = open_encoder(f"{tmp_path / 'mine.pth'}@timm:test_resnet")
    with torch.no_grad():
        out = theirs(named.encoder.normalised(pixels(named)))
        same(named.head(features(named)) if classes else features(named), out)
    assert (named.head is not None) == bool(classes) and named.classes is None and "of the file" in named.source
    torch.save({name: value for name, value in state.items() if "bn1" not in name}, tmp_path / "mine.pth")
    with pytest.raises(BadInput, match="do not fit test_resnet of timm: .*bn1.weight.*missing"):
        open_encoder(f"{tmp_path / 'mine.pth'}@timm:test_resnet")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of somebody's; `mine(text)` writes it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text):
        (tmp_path / "somebody_s.py").write_text(text)
        sys.modules.pop("somebody_s", None)
        return "somebody_s"

    yield write
    sys.modules.pop("somebody_s", None)


FUNCTION = """
import torch
from torch import nn
def network():
    torch.manual_seed(5)
    layers = [nn.Conv2d(3, 6, 4, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)]
    return nn.Sequential(*layers)
"""


def test_a_function_says_how_its_network_is_fed(mine):
    module = mine(FUNCTION + "network.size, network.mean, network.std = 32, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)\n"
                  "network.logits, network.classes = True, 'a,b,c,d'\n")  # fmt: skip
    named = open_encoder(f"{module}:network")
    theirs = sys.modules[module].network().eval()
    x = (pixels(named) - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor([0.4, 0.5, 0.6])[:, None, None]
    with torch.no_grad():
        same(named.head(features(named)), theirs(x))
        same(features(named), theirs[:4](x))
    assert named.classes == ("a", "b", "c", "d") and named.encoder.features == 6
    assert named.preprocessing.resize == 36  # 32 * 256 / 224, rounded down


def test_a_function_s_outputs_are_features_where_it_says_so(mine):
    module = mine(FUNCTION)
    named = open_encoder(f"{module}:network?size=32&normalisation=half&logits=no&resize=32&interpolation=bicubic")
    theirs = sys.modules[module].network().eval()
    with torch.no_grad():
        same(features(named), theirs(2 * pixels(named) - 1))
    assert named.head is None and named.preprocessing.interpolation == "bicubic"


def test_one_of_our_own_encoders_normalises_by_itself(mine):
    module = mine("import torch\nfrom lib.models import build_encoder\ndef network():\n    torch.manual_seed(5)\n"
                  "    return build_encoder('resnet10_narrow')\n")  # fmt: skip
    named = open_encoder(f"{module}:network?size=32")
    torch.manual_seed(5)
    theirs = build_encoder("resnet10_narrow").eval()
    with torch.no_grad():
        same(features(named), theirs(pixels(named)))


def test_a_control_s_normalisation_is_another_and_its_weights_are_the_same(mine):
    named = open_encoder(f"{mine(FUNCTION)}:network?size=32&normalisation=half&logits=no")
    other = normalised_by(named, (0.0,) * 3, (1.0,) * 3)
    with torch.no_grad():
        same(other.encoder(2 * pixels(named) - 1), features(named))  # half: 2 x - 1
    assert other.encoder.network is named.encoder.network and named.preprocessing.mean == (0.5,) * 3


def test_gradients_reach_images_and_no_weight(mine):
    named = open_encoder(f"{mine(FUNCTION)}:network?size=32&normalisation=half&logits=no")
    images = trial_images(32).requires_grad_()
    named.encoder(images).sum().backward()
    assert images.grad.abs().sum() > 0 and all(p.grad is None for p in named.encoder.parameters())
    text = FUNCTION + "def still():\n    inside = network()\n    inside.forward = torch.no_grad()(inside.forward)\n"
    module = mine(text + "    return inside\n")
    assert not open_encoder(f"{module}:still?size=32&normalisation=half&logits=no").differentiable
