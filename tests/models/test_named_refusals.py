"""What is no encoder is refused in one sentence that says what is."""

import ast
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models

import lib
from lib.errors import BadInput
from lib.models.named import head_rows, open_encoder

NETWORKS = """
import torch
from torch import nn

class Network(nn.Module):
    def __init__(self, returned):
        super().__init__()
        self.returned = returned

    def forward(self, x):
        return self.returned(x)

def maps(): return Network(lambda x: x)
def a_tuple(): return Network(lambda x: (x.mean((2, 3)), x))
def a_dict(): return Network(lambda x: {"features": x.mean((2, 3))})
def nothing(): return Network(lambda x: None)
def nan(): return Network(lambda x: x.mean((2, 3)) * float("nan"))
def one_row(): return Network(lambda x: x.mean((2, 3))[:1])
def flat(): return Network(lambda x: x.mean((1, 2, 3)))
def whole_numbers(): return Network(lambda x: x.mean((2, 3)).long())
def chance(): return Network(lambda x: x.mean((2, 3)) + torch.rand(3))
def fixed(): return nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 5))
def broken(): return Network(lambda x: x.no_such_thing())
def good(): return Network(lambda x: x.mean((2, 3)))
def fussy(size): return good()
def no_network(): return [1, 2]
value = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "somebody_s_networks.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)
    yield "somebody_s_networks"
    sys.modules.pop("somebody_s_networks", None)


def refused(name, words, **options):
    """In one sentence: no line breaks, and no full stop but in numbers and names."""
    with pytest.raises(BadInput, match=words) as caught:
        open_encoder(name, **options)
    assert "\n" not in str(caught.value) and ". " not in str(caught.value).removesuffix(".")


@pytest.mark.parametrize(
    "function, words",
    [
        ("maps", r"returns float32 \(2, 3, 32, 32\); an encoder returns float features \(N, D\); average its maps"),
        ("a_tuple", "returns a tuple of 2"),
        ("a_dict", "returns a dict with features"),
        ("nothing", "returns a NoneType"),
        ("nan", "returns NaN or infinity"),
        ("one_row", "returns 1 rows for 2 images"),
        ("flat", r"returns float32 \(2,\)"),
        ("whole_numbers", r"returns int64 \(2, 3\)"),
        ("chance", "other features each time"),
        ("fixed", r"fails on images \(N, 3, 32, 32\).*state that behind the name by \?size="),
        ("broken", "fails on images.*no_such_thing"),
        ("fussy", "is called without arguments"),
        ("no_network", "returns a list"),
        ("value", "is a int; name an nn.Module"),
        ("god", "unknown function of somebody_s_networks 'god'; near it are good"),
    ],
)
@pytest.mark.parametrize("logits", ["no", "yes"])
def test_networks_that_are_no_encoders(function, words, logits, module):
    refused(f"{module}:{function}?size=32&normalisation=half&logits={logits}", words)


def test_a_network_of_one_image_size_says_it_in_use(module):
    encoder = open_encoder(f"{module}:fixed?size=16&normalisation=half&logits=no").encoder
    with pytest.raises(BadInput, match="takes images of 16 x 16 pixels, not 32 x 32"):
        encoder(torch.rand(2, 3, 32, 32))


def test_nan_is_found_in_use_and_not_only_at_first(module):
    named = open_encoder(f"{module}:good?size=32&normalisation=half&logits=no")
    with torch.no_grad(), pytest.raises(BadInput, match="NaN or infinity"):
        named.encoder(torch.full((1, 3, 32, 32), float("nan")))


@pytest.mark.parametrize(
    "query, words",
    [
        (
            "",
            r"does not say its size nor its normalisation nor its logits.*\?size=224&normalisation=imagenet&logits=yes",
        ),
        ("?size=32", "does not say its normalisation nor its logits"),
        ("?size=32&mean=0.5,0.5,0.5&logits=no", "does not say its normalisation"),
        ("?size=32&mean=0.5,0.5,0.5&std=1,1&logits=no", "three numbers each"),
        ("?size=32&mean=127,127,127&std=128,128,128&logits=no", "divide those of"),
        ("?size=big&normalisation=half&logits=no", "whole number of pixels of at least 1, not 'big'"),
        ("?size=32&normalisation=halve&logits=no", "did you mean 'half'"),
        ("?size=32&normalisation=half&logits=perhaps", "unknown value of logits 'perhaps'"),
        ("?size=32&normalisation=half&logits=yes&classes=cat,dog", "states 2 classes and gives 3 logits"),
        ("?syze=32", "unknown option of an encoder 'syze' .did you mean 'size'"),
        ("?size=32&normalisation=half&logits=no&interpolation=cubic", "did you mean 'bicubic'"),
    ],
)
def test_what_a_function_must_say(query, words, module):
    refused(f"{module}:good{query}", words)


@pytest.mark.parametrize(
    "name, words",
    [
        ("", "'' is no name of an encoder; they are timm:NAME"),
        ("resnet50", "did you mean torchvision:resnet50"),
        ("timm:", "names nothing behind timm:"),
        ("small:nonesuch", "unknown encoder to take home 'nonesuch'"),
        ("torchvision:resnet51", "near it are resnet50"),
        ("torchvision:resnet50:IMAGENET1K_V3", "did you mean 'IMAGENET1K_V2'.*allowed: IMAGENET1K_V1, IMAGENET1K_V2"),
        ("no_such_package.inside:function", "cannot be imported"),
        ("missing.pth", "there is no file missing.pth"),
    ],
)
def test_names_that_name_nothing(name, words):
    refused(name, words)


def test_timm_s_unknown_names():
    pytest.importorskip("timm")
    refused("timm:resnet51", "unknown network of timm 'resnet51'; near it are resnet5")
    refused("timm:resnet18.imagenet", "timm has no weights 'imagenet' for resnet18; allowed: resnet18.a1_in1k")


@pytest.mark.parametrize(
    "library, name", [("timm", "timm:resnet18"), ("onnxruntime", "onnx:x"), ("transformers", "hf:x")]
)
def test_a_missing_library_is_named_with_its_extra(library, name, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)  # as if it were not installed
    refused(name, rf"{name} needs {library}.*pip install -e '.\[encoders\]'")


def test_libraries_are_imported_when_they_are_named():
    """No file of lib imports them itself, at its head or in a function; `imported` does, by name."""
    for path in Path(lib.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"timm", "transformers", "onnxruntime", "onnx"}, path


def test_no_network_is_one_sentence(monkeypatch, tmp_path):
    """Nothing is fetched here: the address is one of this machine, and nobody listens."""
    weights = models.ResNet18_Weights.IMAGENET1K_V1
    monkeypatch.setattr(weights.value, "url", "http://127.0.0.1:9/resnet18-f37072fd.pth", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    refused("torchvision:resnet18", "weights of torchvision:resnet18 cannot be had.*weights=random")


def test_a_pickle_behind_a_name_does_not_run(monkeypatch, tmp_path):
    """torchvision itself would unpickle all of a file that lies where its own was fetched to."""

    class Evil:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    (tmp_path / "hub/checkpoints").mkdir(parents=True)
    torch.save({"fc.weight": Evil()}, tmp_path / "hub/checkpoints/resnet18-f37072fd.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    refused("torchvision:resnet18", "cannot be had")
    assert not (tmp_path / "ran").exists()


# files


def test_weights_of_another_network_are_named(tmp_path):
    torch.save(models.resnet18().state_dict(), tmp_path / "weights.pth")
    refused(f"{tmp_path / 'weights.pth'}@resnet50_224", "does not fit this encoder.*conv3.weight.* missing")
    refused(f"{tmp_path / 'weights.pth'}@resnet18_225", "unknown encoder 'resnet18_225'.*did you mean 'resnet18_224'")
    torch.save({"mine.weight": torch.zeros(3)}, tmp_path / "mine.pth")
    refused(str(tmp_path / "mine.pth"), "fits none of our encoders by its keys alone; name the one")


def test_weights_of_two_networks_are_not_guessed(tmp_path):
    """DINO's and MoCo v3's transformers have the same keys and shapes, and other features."""
    state = models.VisionTransformer(224, 16, 12, 6, 384, 1536).state_dict()
    torch.save(state, tmp_path / "weights.pth")
    refused(str(tmp_path / "weights.pth"), "fits vit_small_patch16_224 and vit_small_patch16_224_moco_v3 alike")


# ONNX


def export(path, network, shape, **options):
    pytest.importorskip("onnx")
    torch.onnx.export(network, (torch.zeros(shape),), path, dynamo=False, **options)
    return f"onnx:{path}"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_of_onnx_that_are_no_encoders(tmp_path):
    pytest.importorskip("onnxruntime")
    refused(f"onnx:{tmp_path / 'none.onnx'}", "there is no file")
    (tmp_path / "text.onnx").write_text("no network")
    refused(f"onnx:{tmp_path / 'text.onnx'}", "cannot be opened by onnxruntime")
    network = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    small = export(tmp_path / "small.onnx", network, (2, 3, 32, 32))
    refused(small, "does not say its normalisation: state it in the file's metadata")
    refused(f"{small}?normalisation=half&size=64", "takes images of 32 px alone, not of 64 px")
    refused(f"{small}?normalisation=half&output=features", "unknown output of the file 'features'")
    grey = export(tmp_path / "grey.onnx", nn.Conv2d(1, 4, 4), (2, 1, 32, 32))
    refused(f"{grey}?normalisation=half", "takes one input of float images")
    wide = export(tmp_path / "wide.onnx", network, (2, 3, 32, 64))
    refused(f"{wide}?normalisation=half", "32 x 64 pixels; encoders take squares")
    maps = export(tmp_path / "maps.onnx", nn.Conv2d(3, 4, 4, stride=4), (2, 3, 32, 32))
    refused(f"{maps}?normalisation=half", r"returns float32 \(2, 4, 8, 8\).*average its maps")


# transformers


def test_folders_of_transformers_that_are_no_encoders(tmp_path):
    transformers = pytest.importorskip("transformers")
    refused(str(tmp_path), "has no config.json")
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    network = transformers.ViTModel(transformers.ViTConfig(**small, image_size=32, patch_size=8))
    network.save_pretrained(tmp_path)
    refused(str(tmp_path), "does not say its size nor its normalisation.*its image processor cannot be had")
    refused(f"hf:{tmp_path}?size=48&normalisation=half", r"fails on images \(N, 3, 48, 48\)")
    state = {name: value for name, value in network.state_dict().items() if "layernorm_before" not in name}
    network.save_pretrained(tmp_path, state_dict=state)
    refused(f"hf:{tmp_path}?size=32&normalisation=half", "weights of .* do not fit ViTModel: .*before.bias.* missing")


def test_a_processor_that_does_more_is_refused(tmp_path):
    """One that stretches contrasts would feed other pixels than resizing, cropping and normalising do."""
    transformers = pytest.importorskip("transformers")
    from lib.models.sources.asked import asked
    from lib.models.sources.of_transformers import _preprocessing

    class Stretching(transformers.ViTImageProcessor):
        def normalize(self, image, *arguments, **options):
            return super().normalize(image, *arguments, **options) * 1.1

    with pytest.raises(BadInput, match="does more than resize, crop the centre and normalise"):
        _preprocessing(Stretching(size={"height": 32, "width": 32}), asked("hf:x"))


# heads


def test_a_head_fits_the_labels_or_is_left(module):
    def named(query, function="good"):
        return open_encoder(f"{module}:{function}?size=32&normalisation=half&{query}")

    assert head_rows(named("logits=yes&classes=cat,dog,owl"), ["dog", "owl"]).tolist() == [1, 2]
    assert head_rows(named("logits=yes"), ["x", "y", "z"]).tolist() == [0, 1, 2]
    for query, classes, words in (
        ("logits=no", ["cat"], "has no head of its own: fit a probe instead"),
        ("logits=yes", ["cat", "dog"], "has 3 outputs without names, and the data have 2 classes"),
        ("logits=yes&classes=cat,dog,owl", ["cat", "emu"], r"1 of the data's 2 are not among them \(emu\)"),
    ):
        with pytest.raises(BadInput, match=words):
            head_rows(named(query), classes)
