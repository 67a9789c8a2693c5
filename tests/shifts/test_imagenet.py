"""ImageNet's variants on small folders of each published layout: classes, images, and what can be wrong."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import Imagenette
from torchvision.models._meta import _IMAGENET_CATEGORIES

from lib.errors import BadInput
from lib.shifts.imagenet import VARIANTS, available, imagenet_variant
from lib.shifts.wnids import WNIDS

FISH, COCK, SHARK, HEN = "n01443537", "n01514668", "n01484850", "n01514859"
PLACES = {FISH: "1", SHARK: "2", COCK: "7", HEN: "8"}
BY_WNID = ("imagenet-c", "imagenet-r", "imagenet-sketch", "stylized-imagenet", "imagenet-a")
V2 = {
    "imagenet-v2-matched-frequency": "imagenetv2-matched-frequency-format-val",
    "imagenet-v2-threshold-0.7": "imagenetv2-threshold0.7-format-val",
    "imagenet-v2-top-images": "imagenetv2-top-images-format-val",
}
LAYOUTS = {
    "imagenet-c": ("fog/3", "ILSVRC2012_val_00000236.JPEG"),
    "imagenet-r": ("", "cartoon_12.jpg"),
    "imagenet-sketch": ("sketch", "sketch_0.JPEG"),
    "stylized-imagenet": ("val", "ILSVRC2012_val_00000236.png"),
    "imagenet-a": ("imagenet-a", "0.000116_digital clock _ digital clock_0.865662.jpg"),
    **{name: (inside, "0a1b2c3d.jpeg") for name, inside in V2.items()},
}
ASKED = {"corruption": "fog", "severity": 3}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def draw(path, colour, width=40, height=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), colour).save(path)


def publish(root, name, inside=None):
    """Three images of FISH, one of HEN and one of SHARK, each class in a grey of its own, in the authors' layout."""
    known, file = LAYOUTS[name]
    root = root / (known if inside is None else inside)
    fish, hen, shark = (PLACES[wnid] if name in V2 else wnid for wnid in (FISH, HEN, SHARK))
    draw(root / fish / file, (10, 10, 10))
    draw(root / fish / f"a_{file}", (20, 20, 20))
    draw(root / fish / f"b_{file}", (30, 30, 30), 60)
    draw(root / hen / file, (90, 90, 90))
    draw(root / shark / file, (200, 200, 200))
    (root / fish / ".DS_Store").write_bytes(b"x")
    (root / "README.txt").write_text("not a class")


def asked(name):
    return ASKED if name == "imagenet-c" else {}


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", LAYOUTS)
def test_images_of_the_classes_in_their_order(folder, tmp_path, name, named):
    home = (tmp_path / "elsewhere" if named else folder) / ("imagenet-v2" if name in V2 else name)
    publish(home, name)
    variant = imagenet_variant(name, [HEN, COCK, FISH], 32, home if named else None, **asked(name))
    assert variant.classes == (HEN, COCK, FISH) and variant.missing == (COCK,)
    assert variant.labels.tolist() == [0, 2, 2, 2] and variant.present.tolist() == [0, 2]
    parents = [HEN, FISH, FISH, FISH]
    assert [path.parent.name for path in variant.files] == [PLACES[p] if name in V2 else p for p in parents]
    assert variant.groups.tolist() == [0, 1, 2]
    assert "4 images, 2 of 3 classes, at 32 px" in variant.source and variant.source.startswith(name)
    images, labels = (torch.cat(parts) for parts in zip(*variant.batches(3), strict=True))
    assert images.dtype == torch.uint8 and images.shape == (4, 3, 32, 32) and torch.equal(labels, variant.labels)
    greys = images.float().mean(dim=(1, 2, 3)).tolist()
    assert greys[0] == pytest.approx(90, abs=2) and sorted(greys[1:]) == pytest.approx([10, 20, 30], abs=2)


@pytest.mark.parametrize(("name", "inside"), [
    ("imagenet-r", "imagenet-r"), ("imagenet-sketch", ""), ("stylized-imagenet", ""), ("imagenet-a", ""),
    ("imagenet-r", ""),
])  # fmt: skip
def test_the_folder_inside_may_be_there_or_not(folder, name, inside):
    publish(folder / name, name, inside)
    assert len(imagenet_variant(name, [FISH]).files) == 3


def test_validation_images_of_the_stylised_set_not_its_training_ones(folder):
    publish(folder / "stylized-imagenet", "stylized-imagenet")
    draw(folder / "stylized-imagenet" / "train" / FISH / "n01443537_1.png", (0, 0, 0))
    assert all(path.parts[-3] == "val" for path in imagenet_variant("stylized-imagenet", [FISH]).files)


def test_batches_are_read_when_their_turn_comes(folder):
    publish(folder / "imagenet-r", "imagenet-r")
    variant = imagenet_variant("imagenet-r", [FISH, SHARK], 16)
    batches = variant.batches(2)
    assert next(batches)[0].shape == (2, 3, 16, 16)
    for path in variant.files[2:]:
        path.write_bytes(b"no image")
    with pytest.raises(BadInput, match="2 of the first 4 of 4 images of imagenet-r .* cannot be read"):
        next(batches)
    with pytest.raises(BadInput, match="at least 1, not 0"):
        next(variant.batches(0))


@pytest.mark.parametrize("count", [1, 2, 3, 256])
def test_one_unreadable_image_is_named_and_left_out(folder, capsys, count):
    publish(folder / "imagenet-r", "imagenet-r")
    variant = imagenet_variant("imagenet-r", [FISH, SHARK], 16)
    variant.files[1].write_bytes(b"no image")
    images, labels = (torch.cat(parts) for parts in zip(*variant.batches(count), strict=True))
    assert labels.tolist() == [0, 0, 1] and images[2].float().mean() == pytest.approx(200, abs=2)
    assert str(variant.files[1]) in capsys.readouterr().err


def test_what_no_person_put_there_is_no_image_of_a_class(folder, capsys):
    publish(folder / "imagenet-r", "imagenet-r")
    for name in ("._cartoon.jpg", "Thumbs.db", "desktop.ini"):
        (folder / "imagenet-r" / FISH / name).write_bytes(b"system")
    draw(folder / "imagenet-r" / FISH / ".ipynb_checkpoints" / "cartoon.png", (0, 0, 0))
    assert len(imagenet_variant("imagenet-r", [FISH]).files) == 3 and not capsys.readouterr().err
    (folder / "imagenet-r" / FISH / "labels.csv").write_text("no image")
    assert len(imagenet_variant("imagenet-r", [FISH]).files) == 3
    assert f"imagenet-r: 1 files that are no images left out: {FISH}/labels.csv" in capsys.readouterr().err


def test_images_are_upright_and_deep_greys_scaled(folder):
    ramp = np.repeat(np.arange(16, dtype=np.uint8)[:, None] * 17, 16, axis=1)
    exif = Image.Exif()
    exif[0x0112] = 3
    (folder / "imagenet-r" / FISH).mkdir(parents=True)
    Image.fromarray(ramp[::-1].copy()).save(folder / "imagenet-r" / FISH / "a.png", exif=exif)
    Image.fromarray(ramp.astype(np.uint16) * 257).save(folder / "imagenet-r" / FISH / "b.png")
    ((images, _),) = imagenet_variant("imagenet-r", [FISH], 16).batches()
    assert np.array_equal(images, np.stack([np.stack([ramp] * 3)] * 2))


# ---- Layouts


@pytest.mark.parametrize(("name", "inside"), [
    ("imagenet-r", "imagenet-r/imagenet-r"), ("imagenet-r", "imagenet-r/imagenet-r/imagenet-r"),
    ("imagenet-r", "data/imagenet-r"), ("imagenet-a", "imagenet-a/imagenet-a"), ("imagenet-sketch", "sketch/sketch"),
    ("imagenet-sketch", "imagenet-sketch/sketch"), ("stylized-imagenet", "stylized/val"),
    ("imagenet-v2-top-images", "imagenet-v2/imagenetv2-top-images-format-val"),
    ("imagenet-v2-top-images", "imagenetv2-top-images-format-val/imagenetv2-top-images-format-val"),
    ("imagenet-c", "weather/fog/3"), ("imagenet-c", "imagenet-c/fog/3"), ("imagenet-c", "ImageNet-C/weather/fog/3"),
])  # fmt: skip
def test_deeper_folders_are_looked_through(folder, name, inside):
    home = folder / ("imagenet-v2" if name in V2 else name)
    publish(home, name, inside)
    (home / "__MACOSX").mkdir()
    if name == "imagenet-c":
        (home / inside).parents[1].joinpath("frost").mkdir()
        (home / inside).parents[2 if "weather" in inside else 1].joinpath("blur/defocus_blur/3").mkdir(parents=True)
    files = imagenet_variant(name, [FISH], **asked(name)).files
    assert len(files) == 3 and all((home / inside) in path.parents for path in files)
    if name != "imagenet-c":
        assert available([FISH]) == [name]


def test_a_layout_that_is_not_known_says_what_is_there(folder):
    publish(folder / "imagenet-c", "imagenet-c", "weather/fog/5")
    with pytest.raises(BadInput, match="CORRUPTION/SEVERITY/WNID, or in a folder of that for each .* has weather"):
        imagenet_variant("imagenet-c", [FISH], **ASKED)
    draw(folder / "imagenet-v2" / "other" / "1" / "a.png", (0, 0, 0))
    with pytest.raises(BadInput, match="has its images in imagenetv2-top-images-format-val; it has other"):
        imagenet_variant("imagenet-v2-top-images", [FISH])


def test_a_image_is_cut_to_its_central_square(folder):
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, 8:24] = np.random.default_rng(0).integers(256, size=(16, 16, 3))
    path = folder / "imagenet-r" / FISH / "art_0.png"
    path.parent.mkdir(parents=True)
    Image.fromarray(pixels).save(path)
    ((images, _),) = imagenet_variant("imagenet-r", [FISH], 16).batches()
    assert np.array_equal(images[0].permute(1, 2, 0), pixels[:, 8:24])


@pytest.mark.parametrize(("call", "words"), [
    (lambda: imagenet_variant("imagenet-b", [FISH]), "unknown variant of ImageNet 'imagenet-b'.*allowed: imagenet-c"),
    (lambda: imagenet_variant("imagenet-r", [FISH], 4), "whole number of at least 8, not 4"),
    (lambda: imagenet_variant("imagenet-r", []), "one or more WNIDs"),
    (lambda: imagenet_variant("imagenet-r", [FISH, FISH]), "each named once"),
    (lambda: imagenet_variant("imagenet-r", [0, 1]), "texts such as 'n01443537', not .0, 1."),
    (lambda: imagenet_variant("imagenet-r", FISH), "a list of WNIDs"),
    (lambda: imagenet_variant("imagenet-c", [FISH], corruption="fog", severity=2.5), "from 1 to 5, not 2.5"),
    (lambda: imagenet_variant("imagenet-sketch", [FISH]), "imagenet-sketch is not here .*by WITHSTAND_DATA"),
    (lambda: imagenet_variant("imagenet-r", [FISH], folder="/nowhere"), "/nowhere is not a folder"),
    (lambda: imagenet_variant("imagenet-r", [COCK, "cat"]), "none of the 2 classes, the first of which is 'n01514668'"),
    (lambda: imagenet_variant("imagenet-r", [FISH], severity=3), "belong to imagenet-c, imagenet-r has none"),
    (lambda: imagenet_variant("imagenet-c", [FISH], corruption="fogg", severity=3), "did you mean 'fog'"),
    (
        lambda: imagenet_variant("imagenet-c", [FISH], corruption="fog"),
        "severity of imagenet-c is a whole number from 1 to 5, not None",
    ),
    (lambda: imagenet_variant("imagenet-c", [FISH], corruption="snow", severity=3), "CORRUPTION/SEVERITY/WNID"),
])  # fmt: skip
def test_bad_input_is_one_sentence(folder, call, words):
    for name in ("imagenet-c", "imagenet-r"):
        publish(folder / name, name)
    with pytest.raises(BadInput, match=words):
        call()


# ---- ImageNet-V2: folders are named by places


def test_wnids_are_the_challenge_s_in_the_order_of_classifiers():
    assert len(WNIDS) == len(_IMAGENET_CATEGORIES) == 1000 and list(WNIDS) == sorted(set(WNIDS))
    for wnid, names in Imagenette._WNID_TO_CLASS.items():  # ten classes from 0 to 701
        assert names[0] == _IMAGENET_CATEGORIES[WNIDS.index(wnid)]
    assert (WNIDS[1], WNIDS[999]) == (FISH, "n15075141")


def test_each_version_has_its_own_images_and_ten_comes_after_two(folder):
    for grey, inside in enumerate(V2.values()):
        for place in (0, 1, 2, 10, 100, 999):
            draw(folder / "imagenet-v2" / inside / str(place) / "0a.jpeg", (20 * grey + place % 7,) * 3)
    classes = [WNIDS[place] for place in (2, 10, 999)]
    for grey, name in enumerate(V2):
        variant = imagenet_variant(name, classes, 16)
        assert [path.parent.name for path in variant.files] == ["2", "10", "999"] and not variant.missing
        ((images, labels),) = variant.batches()
        assert labels.tolist() == [0, 1, 2]
        greys = images.float().mean(dim=(1, 2, 3)).tolist()
        assert greys == pytest.approx([20 * grey + 2, 20 * grey + 3, 20 * grey + 5], abs=1)


def test_version_folders_that_the_authors_loader_renamed(folder):
    draw(folder / "imagenet-v2" / "ImageNetV2-threshold-0.7" / "1" / "0a.jpeg", (9, 9, 9))
    assert len(imagenet_variant("imagenet-v2-threshold-0.7", [FISH]).files) == 1
    with pytest.raises(BadInput, match="does not hold imagenet-v2-top-images, .* imagenetv2-top-images-format-val"):
        imagenet_variant("imagenet-v2-top-images", [FISH])


def test_a_wnid_outside_the_challenge_is_missing_from_v2(folder):
    draw(folder / "imagenet-v2" / V2["imagenet-v2-top-images"] / "1" / "0a.jpeg", (9, 9, 9))
    assert imagenet_variant("imagenet-v2-top-images", ["n00007846", FISH]).missing == ("n00007846",)
    with pytest.raises(BadInput, match="folders are named by their places, 0 to 999"):
        imagenet_variant("imagenet-v2-top-images", [HEN])


# ---- ObjectNet: folders are named by objects, which may be several classes

ANALOG, DIGITAL, BANANA, PEN = "n02708093", "n03196217", "n07753592", "n02783161"  # 409, 530, 954, 418
LINES = [
    "banana",
    "kit fox, Vulpes macrotis",
    "digital clock",
    "analog clock",
    "ballpoint, ballpoint pen, ballpen, Biro",
]
OBJECTS = {"alarm_clock": "Alarm clock", "banana": "Banana", "pen": "Pen", "squeegee": "Squeegee"}
SHARED = {"Alarm clock": "analog clock; digital clock", "Banana": "banana",
          "Pen": "ballpoint, ballpoint pen, ballpen, Biro"}  # fmt: skip


def publish_objectnet(root, inside="", lines=LINES):
    """Mappings in the four published formats, of a few classes, and an image in a red frame for each object."""
    root = root / inside
    (root / "mappings").mkdir(parents=True)
    places = {"954": 0, "278": 1, "530": 2, "409": 3, "418": 4}  # of a WNID among the 1,000 to a line, from 0
    files = {"folder_to_objectnet_label": OBJECTS, "objectnet_to_imagenet_1k": SHARED,
             "pytorch_to_imagenet_2012_id": places}  # fmt: skip
    for name, content in files.items():
        (root / "mappings" / f"{name}.json").write_text(json.dumps(content))
    (root / "mappings" / "imagenet_to_label_2012_v2").write_text("\n".join(lines) + "\n")
    for shade, name in enumerate(OBJECTS):
        image = Image.new("RGB", (64, 50), (255, 0, 0))
        image.paste((40 * shade,) * 3, (2, 2, 62, 48))
        (root / "images" / name).mkdir(parents=True)
        image.save(root / "images" / name / "0a1b2c3d4e5f6a7b.png")


@pytest.mark.parametrize("inside", ["", "objectnet-1.0"])
def test_objects_have_the_classes_that_the_mappings_say(folder, inside):
    publish_objectnet(folder / "objectnet", inside)
    variant = imagenet_variant("objectnet", [BANANA, DIGITAL, FISH, ANALOG], 16)
    assert [path.parent.name for path in variant.files] == ["banana", "alarm_clock"]
    assert variant.labels.tolist() == [0, 1] and variant.groups.tolist() == [0, 1, 2, 1]
    assert variant.missing == (FISH,) and variant.present.tolist() == [0, 1, 3]
    assert "2 images, 3 of 4 classes" in variant.source
    ((images, _),) = variant.batches()
    assert (images[0] == 40).all() and (images[1] == 0).all()  # without a trace of the red frame


def test_a_frame_is_cut_off_before_the_central_square(folder):
    publish_objectnet(folder / "objectnet")
    pixels = np.random.default_rng(0).integers(256, size=(20, 37, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "objectnet" / "images" / "pen" / "0a1b2c3d4e5f6a7b.png")
    ((images, _),) = imagenet_variant("objectnet", [PEN], 16).batches()
    assert np.array_equal(images[0].permute(1, 2, 0), pixels[2:-2, 2:-2][:, 8:24])  # 33 px wide within


def test_a_damaged_objectnet_is_one_sentence(folder):
    publish_objectnet(folder / "objectnet")
    with pytest.raises(BadInput, match="none of the 1 classes.*named as its mappings say"):
        imagenet_variant("objectnet", [FISH])
    (folder / "objectnet" / "images" / "pen" / "0a1b2c3d4e5f6a7b.png").write_bytes(b"no image")
    with pytest.raises(BadInput, match="not an image that Pillow can read"):
        next(imagenet_variant("objectnet", [PEN]).batches())
    (folder / "objectnet" / "mappings" / "pytorch_to_imagenet_2012_id.json").write_text("[1, 2]")
    with pytest.raises(BadInput, match="four mappings as published .*unpack its archive again"):
        imagenet_variant("objectnet", [PEN])
    (folder / "objectnet" / "mappings" / "imagenet_to_label_2012_v2").unlink()
    with pytest.raises(BadInput, match="four mappings as published"):
        imagenet_variant("objectnet", [PEN])


def test_labels_that_the_mappings_do_not_know(folder):
    publish_objectnet(folder / "objectnet", lines=[line.upper() for line in LINES])
    with pytest.raises(BadInput, match="four mappings as published .*analog clock"):
        imagenet_variant("objectnet", [PEN])


# ---- What is here


def test_variants_that_are_here_have_a_image_of_a_class(folder):
    assert available([FISH]) == []
    for name in BY_WNID:
        publish(folder / name, name)
    publish(folder / "imagenet-v2", "imagenet-v2-top-images")
    publish_objectnet(folder / "objectnet")
    of_animals = ["imagenet-r", "imagenet-sketch", "stylized-imagenet", "imagenet-a", "imagenet-v2-top-images"]
    assert available([COCK, FISH]) == of_animals and available([DIGITAL]) == ["objectnet"]
    assert available([COCK]) == [] and set(of_animals) < set(VARIANTS)


def test_without_a_data_folder_one_sentence(monkeypatch):
    monkeypatch.delenv("WITHSTAND_DATA", raising=False)
    with pytest.raises(BadInput, match="WITHSTAND_DATA is not set"):
        imagenet_variant("imagenet-r", [FISH])
    assert available([FISH]) == []
