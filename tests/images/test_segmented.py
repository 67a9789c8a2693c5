"""Segmentation sets in small folders of the published layouts, against cuts and maps by hand."""

import re

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import Cityscapes
from torchvision.models.segmentation import FCN_ResNet50_Weights

from lib import images, paths
from lib.errors import BadInput
from lib.images import load, scenes, segmentation
from lib.images.segmentation import IGNORED, VOC_CLASSES, available, segmented


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def save(path, array, palette=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(array)
    if palette:  # as VOC keeps its maps; a palette changes no number
        image.putpalette(list(np.random.default_rng(0).integers(256, size=768)))
    image.save(path)


def noise(*shape, high=256):
    return np.random.default_rng(sum(shape)).integers(high, size=shape, dtype=np.uint8)


def make_pets(root, count=10, **changed):
    """Images of one colour each, twice as wide as high; their trimaps have 2 | 1 left and right of the middle."""
    home = root / "oxford-iiit-pet"
    trimap = np.full((16, 32), 2, dtype=np.uint8)
    trimap[:, 16:], trimap[0] = 1, 3
    for part, start in (("trainval", 0), ("test", count)):
        names = [f"Abyssinian_{place}" for place in range(start, start + count)]
        for place, name in enumerate(names, start):
            save(home / "images" / f"{name}.jpg", np.full((16, 32, 3), 5 * place, dtype=np.uint8))
            save(home / "annotations" / "trimaps" / f"{name}.png", changed.get(name, trimap))
        (home / "annotations" / f"{part}.txt").write_text("".join(f"{name} 1 1 1\n" for name in names))
    return home


def make_voc(root, count=5):
    home = root / "VOCdevkit" / "VOC2012"
    (home / "ImageSets" / "Segmentation").mkdir(parents=True)
    maps = {}
    for part, start in (("train", 0), ("val", count)):
        names = [f"2007_{place:06}" for place in range(start, start + count)]
        (home / "ImageSets" / "Segmentation" / f"{part}.txt").write_text("\n".join(names))
        for place, name in enumerate(names, start):
            maps[place] = np.where(noise(24, 16 + place) < 20, IGNORED, noise(24, 16 + place, high=21)).astype(np.uint8)
            save(home / "JPEGImages" / f"{name}.jpg", np.full((24, 16 + place, 3), 5 * place, dtype=np.uint8))
            save(home / "SegmentationClass" / f"{name}.png", maps[place], palette=True)
    return maps


def make_cityscapes(root, cities=("aachen", "bochum"), each=3):
    """Every number that a map may hold, 0 to 33, in columns of one pixel; the image's red is the number."""
    numbers = np.tile(np.arange(34, dtype=np.uint8), (34, 1))
    for part in ("train", "val"):
        for city in cities:
            for place in range(each):
                stem = f"{city}_{place:06}_000019"
                image = np.stack([numbers, numbers * 0 + place, numbers * 0], axis=2)
                save(root / "cityscapes/leftImg8bit" / part / city / f"{stem}_leftImg8bit.png", image)
                save(root / "cityscapes/gtFine" / part / city / f"{stem}_gtFine_labelIds.png", numbers)


def test_scenes_have_their_exact_masks(monkeypatch):
    monkeypatch.setattr(images, "SCENES_BLOCK", 20)
    found, kept = segmented("scenes", "validation", 20), load("scenes", "validation", 20)
    assert torch.equal(found.images, kept.images) and found.classes == ("background", *scenes.SHAPES)
    for labels, mask, label in zip(found.labels, kept.masks, kept.labels, strict=True):
        assert set(labels[mask].tolist()) == {int(label) + 1} and not labels[~mask].any()
    larger = segmented("scenes", "validation", 3, 48)
    again = scenes.render(3, split="validation", size=48)
    assert torch.equal(larger.images, again.images) and torch.equal(larger.labels > 0, again.masks)


def test_pets(folder):
    make_pets(folder)
    train, validation, test = (segmented("pets", part, size=16) for part in ("train", "validation", "test"))
    assert [len(part.images) for part in (train, validation, test)] == [8, 2, 10]
    assert train.images.shape == (8, 3, 16, 16) and train.labels.dtype == torch.int64
    expected = torch.zeros(16, 16, dtype=torch.int64)
    expected[:, 8:], expected[0] = 1, IGNORED  # the central square
    assert (test.labels == expected).all() and test.classes == ("background", "pet")
    shades = [set((part.images[:, 0, 0, 0].float() / 5).round().int().tolist()) for part in (train, validation, test)]
    assert shades[0] | shades[1] == set(range(10)) and shades[2] == set(range(10, 20)) and not shades[0] & shades[1]
    assert available() == ["scenes", "pets"]


def test_voc_is_cut_and_scaled_with_its_map(folder):
    maps = make_voc(folder)
    found = segmented("voc", "test", size=8)
    assert found.classes == VOC_CLASSES and len(found.images) == 5
    for image, labels in zip(found.images, found.labels, strict=True):
        place = round(image[0, 0, 0].item() / 5)
        whole = maps[place]
        height, width = whole.shape
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        by_hand = [[int(whole[int(top + (i + 0.5) * side / 8), int(left + (j + 0.5) * side / 8)]) for j in range(8)]
                   for i in range(8)]  # fmt: skip
        assert labels.tolist() == by_hand


def test_cityscapes_has_its_training_ids(folder):
    make_cityscapes(folder)
    train, test = segmented("cityscapes", "train", size=34), segmented("cityscapes", "test", size=34)
    assert len(train.images) == 5 and len(test.images) == 6 and len(train.classes) == 19
    known = {entry.id: entry for entry in Cityscapes.classes}
    for column in range(34):
        label = int(test.labels[0, 0, column])
        assert test.images[0, 0, 0, column] == column and label == known[column].train_id
        assert label == IGNORED or (train.classes[label] == known[column].name and not known[column].ignore_in_eval)
    assert train.classes[:3] == ("road", "sidewalk", "building") and train.classes[-1] == "bicycle"


def test_voc_classes_are_torchvision_s():
    assert VOC_CLASSES[1:] == tuple(FCN_ResNet50_Weights.DEFAULT.meta["categories"][1:])


def test_order_is_fixed_and_subsets_lie_within(folder):
    make_pets(folder)
    whole, part = segmented("pets", "train", size=8), segmented("pets", "train", 3, size=8)
    assert torch.equal(whole.images[:3], part.images) and whole.checksum != part.checksum
    assert whole.checksum == segmented("pets", "train", size=8).checksum


def test_images_are_averaged(folder):
    make_cityscapes(folder)
    found = segmented("cityscapes", "test", 1, size=17).images[0, 0, 0]
    assert (found.float() - (2 * torch.arange(17) + 0.5)).abs().max() <= 0.5


def test_the_cache_is_read_too(folder):
    make_voc(paths.cache())
    assert available() == ["scenes", "voc"] and len(segmented("voc", size=8).images) == 4


@pytest.mark.parametrize("name", ["pets", "voc"])
def test_a_set_that_is_not_here_is_downloaded_or_one_sentence(folder, monkeypatch, name):
    def offline(*_, **__):
        raise OSError("no network")

    for module in ("oxford_iiit_pet", "voc"):
        monkeypatch.setattr(f"torchvision.datasets.{module}.download_and_extract_archive", offline)
    with pytest.raises(
        BadInput, match=f"{name} is not here and the download failed .no network.; put .*WITHSTAND_DATA"
    ):
        segmented(name)


def test_cityscapes_is_never_downloaded(folder):
    with pytest.raises(BadInput, match="cannot be downloaded without an account; put cityscapes/leftImg8bit and city"):
        segmented("cityscapes")


SPOILS = [
    (lambda home: (home / "images" / "Abyssinian_10.jpg").unlink(), "Abyssinian_10.jpg cannot be read .No such file"),
    (lambda home: (home / "images" / "Abyssinian_10.jpg").write_text("no"), "Abyssinian_10.jpg is not an image"),
    (lambda home: (home / "annotations/trimaps/Abyssinian_10.png").unlink(), "Abyssinian_10.png cannot be read"),
    (lambda home: (home / "annotations/trimaps/Abyssinian_10.png").write_text("no"), "Abyssinian_10.png is not an"),
    (lambda home: save(home / "annotations/trimaps/Abyssinian_10.png", np.ones((8, 8), np.uint8)), "not 8 x 8"),
    (lambda home: save(home / "annotations/trimaps/Abyssinian_10.png", np.full((16, 32), 4, np.uint8)), "no class"),
    (lambda home: save(home / "annotations/trimaps/Abyssinian_10.png", np.ones((16, 32, 3), np.uint8)), "mode RGB"),
]  # fmt: skip


@pytest.mark.parametrize(("spoil", "words"), SPOILS)
def test_a_damaged_image_or_map_is_named_and_left_out(folder, capsys, spoil, words):
    spoil(make_pets(folder))
    part = segmented("pets", "test", size=8)
    assert sorted(part.images[:, 0, 0, 0].tolist()) == list(range(55, 100, 5)) and "9 test images" in part.source
    assert re.search(words, capsys.readouterr().err)


def test_a_set_without_its_list_is_one_sentence(folder):
    (make_pets(folder) / "annotations" / "test.txt").unlink()
    with pytest.raises(BadInput, match="is not whole"):
        segmented("pets", "test", size=8)


def test_many_damaged_images_stop_the_set(folder):
    home = make_pets(folder)
    for place in (10, 11):
        (home / "images" / f"Abyssinian_{place}.jpg").write_text("no")
    with pytest.raises(BadInput, match="2 of the first .* of 10 images of pets cannot be read"):
        segmented("pets", "test", size=8)


@pytest.mark.parametrize("upright_map", [False, True])
def test_an_image_and_its_map_are_turned_together(folder, upright_map):
    """Stored on its side with the orientation that says so; a map already upright, by its size, stays as it is."""
    home = make_pets(folder)
    ramp = np.repeat(np.arange(0, 256, 16, dtype=np.uint8)[:, None], 32, axis=1)
    seen = np.where(ramp < 128, 1, 2).astype(np.uint8)  # the pet is above, where it is dark
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(ramp).copy()).save(home / "images" / "Abyssinian_10.jpg", exif=exif, quality=100)
    save(home / "annotations/trimaps/Abyssinian_10.png", seen if upright_map else np.rot90(seen).copy())
    part = segmented("pets", "test", size=8)
    (place,) = [i for i, image in enumerate(part.images) if image.float().std() > 20]
    assert (part.images[place, 0].float() - torch.arange(8, 256, 32)[:, None]).abs().max() < 6
    assert part.labels[place].tolist() == [[1] * 8] * 4 + [[0] * 8] * 4


@pytest.mark.parametrize(("arguments", "words"), [
    (("ade20k",), "unknown segmentation set 'ade20k'; allowed: scenes, pets, voc, cityscapes"),
    (("pets", "val"), "unknown split 'val'"),
    (("pets", "test", 0), "number of images is a whole number of at least 1, or None"),
    (("pets", "test", None, 7), "size of an image is a whole number of at least 8, not 7"),
])  # fmt: skip
def test_wrong_parameters_are_one_sentence(folder, arguments, words):
    with pytest.raises(BadInput, match=words):
        segmented(*arguments)


def test_a_list_without_images_for_validation_is_one_sentence(folder):
    make_pets(folder, count=4)
    with pytest.raises(BadInput, match="pets has no validation images among the 4"):
        segmented("pets", "validation", size=8)
    assert segmentation.available() == ["scenes", "pets"]
