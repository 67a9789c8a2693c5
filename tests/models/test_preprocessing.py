"""What an encoder is fed is, pixel by pixel, what its own library would feed it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import models, transforms
from torchvision.transforms.functional import InterpolationMode

from lib.errors import BadInput
from lib.models.preprocessing import INTERPOLATIONS, Preprocessing, prepared
from lib.models.sources.of_torchvision import _preprocessing
from lib.shifts.wnids import WNIDS

PLAIN = ((0.0,) * 3, (1.0,) * 3)


def photograph(width=301, height=227, mode="RGB", seed=0):
    """Smooth colours at an odd size, so that margins of a crop are odd too."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 12, 4), dtype=np.uint8)
    return Image.fromarray(small, "RGBA").resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def normalised(image, preprocessing):
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return (prepared(image, preprocessing).float() / 255 - mean) / std


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 90),
    st.integers(20, 90),
    st.integers(8, 60),
    st.integers(8, 60),
    st.booleans(),
    st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]),
)
def test_resizing_and_cropping_are_torchvision_s(width, height, resize, size, squash, interpolation):
    image = photograph(width, height)
    theirs = transforms.Compose(
        [
            transforms.Resize((resize, resize) if squash else resize, InterpolationMode(interpolation)),
            transforms.CenterCrop(size),
            transforms.PILToTensor(),
        ]
    )(image)
    ours = prepared(image, Preprocessing(size, resize, interpolation, *PLAIN, "a test", squash))
    assert ours.dtype == torch.uint8 and torch.equal(ours, theirs)


@pytest.mark.parametrize("name", ["resnet50", "vit_b_16", "swin_t", "efficientnet_b3", "inception_v3"])
def test_torchvision_s_weights_are_fed_by_their_own_transform(name):
    for weights in models.get_model_weights(name):
        image = photograph(401, 333)
        ours = normalised(image, _preprocessing(weights))
        torch.testing.assert_close(ours, weights.transforms()(image), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    ["resnet50.a1_in1k", "vit_base_patch16_224.dino", "vit_base_patch16_clip_224.openai", "resnet50.tv_in1k"]
    + ["vit_base_patch16_siglip_256.webli", "convnext_base.fb_in22k", "efficientnet_lite0.ra_in1k"],
)
def test_timm_s_networks_are_fed_by_their_own_transform(name):
    timm = pytest.importorskip("timm")
    from lib.models.sources.of_timm import _preprocessing as of_timm

    config = timm.get_pretrained_cfg(name).to_dict()
    with torch.device("meta"):
        network = timm.create_model(name)
    resolved = timm.data.resolve_model_data_config(network)
    image = photograph(401, 333)
    theirs = timm.data.create_transform(**resolved, is_training=False)(image)
    ours = of_timm(resolved, network, name)
    assert ours.size == config["input_size"][-1]
    torch.testing.assert_close(normalised(image, ours), theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "CMYK"])
def test_images_of_every_kind_become_colours(mode, tmp_path):
    """As torchvision's loader of folders has it."""
    from torchvision.datasets.folder import default_loader

    name = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
    photograph(80, 60).convert(mode).save(name)
    plain = Preprocessing(32, 36, "bilinear", *PLAIN, "a test")
    theirs = transforms.Compose([transforms.Resize(36), transforms.CenterCrop(32), transforms.PILToTensor()])
    assert torch.equal(prepared(name, plain), theirs(default_loader(str(name))))


def test_interpolations_are_pillow_s():
    assert all(Image.Resampling[name.upper()] == number for number, name in enumerate(INTERPOLATIONS))


def test_an_odd_margin_by_hand():
    """A row of 5 pixels, of which 2 are cut: the margin of 1.5 is 2 to the nearest even number, and 1 rounded down."""
    row = Image.fromarray(np.arange(25, dtype=np.uint8).reshape(5, 5).repeat(3).reshape(5, 5, 3))
    for floor, first in ((False, 12), (True, 6)):
        ours = prepared(row, Preprocessing(2, 5, "bilinear", *PLAIN, "a test", floor=floor))
        assert ours[0].tolist() == [[first, first + 1], [first + 5, first + 6]]


def test_imagenet_has_a_thousand_classes_in_order():
    assert len(set(WNIDS)) == 1000 and sorted(WNIDS) == list(WNIDS)
    assert all(len(wnid) == 9 and wnid[0] == "n" and wnid[1:].isdigit() for wnid in WNIDS)
    # by their places in torchvision's list of names: tench, golden retriever, tabby, toilet tissue
    assert [WNIDS.index(wnid) for wnid in ("n01440764", "n02099601", "n02123045", "n15075141")] == [0, 207, 281, 999]


def test_imagenet_s_classes_are_timm_s():
    timm = pytest.importorskip("timm")
    assert list(WNIDS) == timm.data.ImageNetInfo("imagenet-1k").label_names()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"interpolation": "cubic"}, "did you mean 'bicubic'"),
        ({"size": 0}, "whole numbers of pixels"),
        ({"resize": 3.5}, "whole numbers of pixels"),
        ({"mean": (127.0,) * 3}, "divide those of \\[0, 255\\] by 255"),
        ({"std": (0.0, 1.0, 1.0)}, "std above 0"),
        ({"std": (1.0, 1.0)}, "three numbers each"),
    ],
)
def test_wrong_numbers_are_refused(change, words):
    right = {"size": 32, "resize": 36, "interpolation": "bicubic", "mean": (0.5,) * 3, "std": (0.5,) * 3, "source": ""}
    with pytest.raises(BadInput, match=words):
        Preprocessing(**{**right, **change})


def test_a_file_that_is_no_image_is_refused(tmp_path):
    (tmp_path / "text.jpg").write_text("no image")
    plain = Preprocessing(32, 36, "bilinear", *PLAIN, "a test")
    for name in ("text.jpg", "missing.jpg"):
        with pytest.raises(BadInput, match="cannot be read as an image"):
            prepared(tmp_path / name, plain)
