"""Images of saliency, segmentation and backgrounds: what they show, say and refuse, and that they can be read."""

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from scipy import stats
from skimage.color import deltaE_ciede2000, rgb2lab
from sklearn.metrics import jaccard_score

from lib import images as library
from lib.chapters.relicv2 import saliency as images
from lib.chapters.relicv2.diagram import relicv2_diagram
from lib.chapters.relicv2.saliency import (
    CLASS_COLOURS,
    background_sheet,
    mask_quality_table,
    saliency_failures,
    saliency_sheet,
    segmentation_sheet,
    swapped_sheet,
)
from lib.errors import BadInput
from lib.images import load, scenes
from lib.images.segmentation import IGNORED
from lib.measures import mask_quality
from lib.measures.background import scene_parts
from lib.measures.mask_quality import CONTROL, known_masks
from lib.shifts.saliency import remove_background
from lib.training import masks as learned_masks
from lib.training.masks import masks

PHONE = 390  # pixels
# Machado, Oliveira and Fernandes 2009, severity 1: linear RGB as people without one kind of cone see it.
SEEN = {
    "all": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no middle": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path_factory):
    """Few scenes, a network of few steps, no data but these."""
    monkeypatch.setattr(library, "SCENES_BLOCK", 120)
    monkeypatch.setattr(library, "SCENES_SIZE", {"train": 120, "validation": 60, "test": 100})
    monkeypatch.setattr(learned_masks, "BATCHES", 10)
    monkeypatch.setattr(learned_masks, "TRAINED_ON", 240)
    monkeypatch.setenv("WITHSTAND_CACHE", str(tmp_path_factory.getbasetemp() / "saliency-figures"))
    monkeypatch.delenv("WITHSTAND_DATA", raising=False)


def some_scenes(count=3):
    part = load("scenes", "test", count)
    return part.images, masks("scenes", "test", count, progress=False), part.masks


def shown(figure):
    """The images of a drawing, uint8 (S, S, 3) each, in the order of their drawing."""
    return [image.get_array() for axes in figure.drawing.axes for image in axes.images]


def assert_readable(figure):
    """No words on words or cut off, none smaller than 10 pixels on a phone."""
    FigureCanvasAgg(figure.drawing).draw()
    texts = [text for part in (figure.drawing, *figure.drawing.axes) for text in part.texts if text.get_text()]
    level = [text for text in texts if text.get_rotation() in (0, 90)]  # boxes of slanted words overlap, words do not
    boxes = [text.get_window_extent() for text in level]
    for number, box in enumerate(boxes):
        for other, text in zip(boxes[:number], level, strict=False):
            assert not box.overlaps(other), (level[number].get_text(), text.get_text())
    width = figure.drawing.get_size_inches()[0]
    assert min(text.get_fontsize() for text in texts) / 72 * PHONE / width >= 9.5
    assert figure.picture() and figure.alt and figure.caption.endswith(".")


# ---- The diagram


def test_the_diagram_of_relicv2_can_be_read_on_a_phone():
    figure = relicv2_diagram()
    FigureCanvasAgg(figure.drawing).draw()
    (axes,) = figure.drawing.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    for number, box in enumerate(boxes):
        assert axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0 and box.y1 <= axes.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[:number]), axes.texts[number].get_text()
        assert axes.texts[number].get_text().strip(",").replace("\n", " ") in figure.alt
    assert min(text.get_fontsize() for text in axes.texts) / 72 * PHONE / figure.drawing.get_size_inches()[0] >= 11
    assert figure.picture() == relicv2_diagram().picture()


# ---- Saliency


def test_a_line_shows_image_maps_masks_and_what_is_left():
    images, learned, exact = some_scenes(2)
    figure = saliency_sheet({"scenes": (images, learned, exact)}, "Of the embedded set.")
    parts = shown(figure)
    assert len(parts) == 2 * 9
    for place in range(2):
        line = parts[9 * place : 9 * place + 9]
        assert np.array_equal(line[0], images[place].permute(1, 2, 0))
        for part, mask in ((line[6], learned), (line[7], exact)):
            assert np.array_equal(part, 255 * np.stack([mask[place]] * 3, axis=2).astype(np.uint8))
        assert np.array_equal(line[8], remove_background(images, learned)[place].permute(1, 2, 0))
    expected = [100 * jaccard_score(exact[place].flatten(), learned[place].flatten()) for place in range(2)]
    assert figure.data["IoU of the learned mask (%)"].tolist() == pytest.approx(expected, abs=1e-3)
    assert [text.get_text() for text in figure.drawing.texts][1:3] == [f"{value:.0f}" for value in expected]
    assert figure.caption.endswith("Of the embedded set.")
    assert_readable(figure)


def test_where_nobody_knows_the_mask_nothing_is_said_of_it():
    images, learned, exact = some_scenes(2)
    alone = saliency_sheet({"photographs": (images, learned, None)})
    assert len(shown(alone)) == 2 * 8 and "exact" not in alone.alt and "IoU" not in alone.caption
    assert not any("IoU" in column for column in alone.data)
    both = saliency_sheet({"scenes": (images, learned, exact), "photographs": (images, learned, None)})
    assert len(shown(both)) == 2 * 9 + 2 * 8
    assert both.data["IoU of the learned mask (%)"].isna().tolist() == [False, False, True, True]
    assert "nan" not in both.alt and "2 images" in both.alt
    assert_readable(both)


def test_a_sheet_of_saliency_refuses_other_masks():
    images, learned, exact = some_scenes(2)
    with pytest.raises(BadInput, match="needs one set of images or more"):
        saliency_sheet({})
    for wrong in (learned[:1], learned.float()):
        with pytest.raises(BadInput, match="masks of scenes are bool"):
            saliency_sheet({"scenes": (images, wrong, exact)})
    with pytest.raises(BadInput, match="masks of scenes are bool"):
        saliency_sheet({"scenes": (images, learned, exact[:, 1:])})


def test_quality_of_masks_by_loop():
    table = mask_quality_table(40).set_index(["images", "masks"])
    assert list(table.index) == [("scenes", kind) for kind in ("fused", "learned", CONTROL)]
    test = load("scenes", "test", 40)
    learned = masks("scenes", "test", 40, progress=False)
    found = {
        "fused": masks("scenes", "test", 40, progress=False, kind="fused"),
        "learned": learned,
        CONTROL: torch.stack([learned[place - 1] for place in range(40)]),
    }
    for kind, own in found.items():
        agreed = [100 * jaccard_score(a.flatten(), b.flatten()) for a, b in zip(test.masks, own, strict=True)]
        line = table.loc[("scenes", kind)]
        assert line["number"] == 40
        assert line["mean IoU (%)"].startswith(f"{np.mean(agreed):.1f} [")
        assert line["median IoU (%)"].startswith(f"{np.median(agreed):.1f} [")
        poor = int(np.sum(np.array(agreed) < 50))
        share = line["IoU below 50 % (% of images)"]
        assert share.startswith(f"{100 * poor / 40:.1f} [")
        if poor in (0, 40):  # of which no resample shows how sure it is
            low, high = stats.binomtest(poor, 40).proportion_ci(method="wilson")
            assert share.endswith(f" [{100 * low:.1f}, {100 * high:.1f}]")


def test_failures_are_the_images_with_the_least_iou():
    figure = saliency_failures(40, 3)
    test, learned = load("scenes", "test", 40), masks("scenes", "test", 40, progress=False)
    agreed = np.array([jaccard_score(a.flatten(), b.flatten()) for a, b in zip(test.masks, learned, strict=True)])
    worst = figure.data["place"].tolist()
    assert agreed[worst].tolist() == pytest.approx(sorted(agreed)[:3])
    assert figure.data["IoU (%)"].tolist() == pytest.approx(100 * agreed[worst], abs=1e-3)
    for line in figure.data.itertuples():
        object_, found = test.masks[line.place], learned[line.place]
        missed, wrong = (
            ((object_ & ~found).sum() / object_.sum()).item(),
            ((found & ~object_).sum() / found.sum()).item(),
        )
        assert line[5:7] == pytest.approx((100 * missed, 100 * wrong), abs=1e-3)
        assert line.mask == (
            "elsewhere" if min(missed, wrong) > 0.5 else "too little" if missed > wrong else "too much"
        )
    assert np.array_equal(shown(figure)[0], test.images[worst[0]].permute(1, 2, 0))
    assert "Scenes: the objects of the images shown fill" in figure.notes and "shadow" in figure.notes
    assert_readable(figure)


def test_shadow_is_darker_and_no_object():
    known = mask_quality._scenes(40, None, None)
    assert known.shadow.any() and not (known.shadow & known.truth).any()
    walls = scene_parts(40, False, torch.device("cpu"))[0]["only background"]
    change = walls.int() - known.images.int()
    assert (change.permute(0, 2, 3, 1)[known.shadow] > 2).all()


@pytest.fixture
def photographs(monkeypatch, tmp_path):
    """COIL's layout, three objects of which one has bright cloth, and that of Pets, with open outlines."""
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path))
    side, views = 32, 12
    array = np.full((3 * views, side, side, 3), 10, dtype=np.uint8)
    array[2 * views :] = 90
    for place in range(3 * views):
        array[place, 8 : 20 + place % views, 10:22] = (200, 40 + 5 * (place % views), 60)
    np.savez(tmp_path / "coil100-17obj-64px.npz", images=array, object=np.repeat([1, 2, 3], views),
             azimuth=np.tile(np.arange(views) * 30, 3))  # fmt: skip
    home = tmp_path / "oxford-iiit-pet"
    (home / "images").mkdir(parents=True)
    (home / "annotations" / "trimaps").mkdir(parents=True)
    trimap = np.full((side, side), 2, dtype=np.uint8)
    trimap[7:25, 7:25], trimap[9:23, 9:23] = 3, 1
    for part, start in (("trainval", 0), ("test", 30)):
        names = [f"Abyssinian_{place}" for place in range(start, start + 30)]
        for name in names:
            image = np.full((side, side, 3), 60, dtype=np.uint8)
            image[8:24, 8:24] = 220
            Image.fromarray(image).save(home / "images" / f"{name}.jpg", quality=95)
            Image.fromarray(trimap).save(home / "annotations" / "trimaps" / f"{name}.png")
        (home / "annotations" / f"{part}.txt").write_text("".join(f"{name} 1 1 1\n" for name in names))


def test_photographs_with_known_masks_are_judged_too(photographs):
    table = mask_quality_table(24)
    assert table["images"].drop_duplicates().tolist() == ["scenes", "COIL", "Oxford-Pets"]
    assert table.groupby("images")["number"].first().to_dict() == {"scenes": 24, "COIL": 24, "Oxford-Pets": 24}
    coil = known_masks(24)["COIL"]
    assert coil.objects == 2 and len(coil.images) == 24  # not the object before bright cloth
    assert coil.truth[0, 8:20, 10:22].all() and coil.truth[0].sum() == 12 * 12
    pets = known_masks(24)["Oxford-Pets"]
    assert pets.truth[:, 9:23, 9:23].all() and pets.truth[0].sum() == 14 * 14
    for found in pets.found.values():  # the open outline, rows 7 and 8 and so on, counts for nothing
        assert not (found[:, 7:25, 7:25] & ~pets.truth[:, 7:25, 7:25]).any()
    figure = saliency_failures(24, 2)
    assert figure.data["images"].tolist() == ["scenes"] * 2 + ["COIL"] * 2 + ["Oxford-Pets"] * 2
    first, second = figure.data.loc[figure.data["images"] == "COIL", "place"] // 12
    assert first != second  # one of each object
    assert_readable(figure)


@pytest.mark.parametrize("count", [19, True, 30.5])
def test_few_images_judge_no_mask(count):
    for judge in (mask_quality_table, saliency_failures):
        with pytest.raises(BadInput, match="at least 20"):
            judge(count)
    with pytest.raises(BadInput, match="1 to 8 images, not 9"):
        saliency_failures(40, 9)


# ---- Segmentation


def classes_of(count=4):
    test = load("scenes", "test", count)
    return test.images, torch.where(test.masks, test.labels[:, None, None] + 1, 0), ("background", *scenes.SHAPES)


def test_classes_have_their_colours_and_scores():
    images, truth, classes = classes_of()
    truth[0, 0] = IGNORED
    wrong = torch.where(truth == IGNORED, 0, (truth + 1) % 11)
    right = torch.where(truth == IGNORED, 5, truth)
    figure = segmentation_sheet(images, truth, {"right": right, "wrong": wrong}, classes)
    parts = np.stack(shown(figure)).reshape(4, 4, 32, 32, 3)
    colours = [tuple(bytes.fromhex(colour[1:])) for colour in CLASS_COLOURS]
    for place in range(4):
        assert np.array_equal(parts[0, place], images[place].permute(1, 2, 0))
        for row in range(0, 32, 5):
            for column in range(32):
                label = truth[place, row, column].item()
                for line, expected in ((1, label), (2, label), (3, (label + 1) % 11)):
                    white = label == IGNORED
                    assert tuple(parts[line, place, row, column]) == ((255,) * 3 if white else colours[expected])
    assert figure.data.iloc[:, 1:].to_numpy().tolist() == [[100, 100], [0, 0]]
    assert [text.get_text() for text in figure.drawing.legends[0].get_texts()] == list(classes)
    assert "right, mIoU 100 percent" in figure.alt
    assert_readable(figure)


def test_colours_of_classes_are_told_apart_with_every_kind_of_vision():
    levels = np.array([list(bytes.fromhex(colour[1:])) for colour in CLASS_COLOURS]) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    for seen in SEEN.values():
        light = (linear @ np.transpose(seen)).clip(0, 1)
        colours = rgb2lab(np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)[None])[0]
        far = deltaE_ciede2000(colours[:, None], colours[None]) + 100 * np.eye(len(colours))
        assert far.min() > 10  # as far as Okabe and Ito's own colours are


def test_a_sheet_of_segmentations_refuses_what_it_cannot_show():
    images, truth, classes = classes_of()
    with pytest.raises(BadInput, match="a prediction and at most 11 classes, not 0 and 11"):
        segmentation_sheet(images, truth, {}, classes)
    with pytest.raises(BadInput, match="at most 11 classes, not 1 and 12"):
        segmentation_sheet(images, truth, {"a": truth}, (*classes, "more"))
    with pytest.raises(BadInput, match=r"not \(3, 32, 32\) \(a\)"):
        segmentation_sheet(images, truth, {"a": truth[:3]}, classes)


# ---- Backgrounds


def test_two_scenes_of_each_shape_in_all_parts_of_both_worlds():
    figure = background_sheet(4)
    parts = np.stack(shown(figure)).reshape(2, 5, 4, 32, 32, 3)
    for world, tied in enumerate((False, True)):
        every, labels = scene_parts(images._ASKED, tied, torch.device("cpu"))
        chosen = [place for label in (0, 1) for place in (labels == label).nonzero()[:2, 0].tolist()]
        for line, part in enumerate(every):
            assert np.array_equal(parts[world, line], every[part][chosen].permute(0, 2, 3, 1))
    assert (parts[0, 1] == parts[1, 1]).mean() > 0.9  # the same objects before grey, except for a rim that mixes
    assert figure.data["part"].tolist() == 2 * list(every)
    assert (figure.data.iloc[[0, 5], 2] == 0).all() and (figure.data.iloc[[1, 2, 3, 4], 2] > 5).all()
    assert "sphere and cube" in figure.caption
    assert_readable(figure)


def test_walls_are_swapped_and_objects_are_not():
    """Three lines of the tied world's sheet; what is grey in its objects' line is all that differs."""
    figure, whole = swapped_sheet(4), background_sheet(4)
    lines = np.stack(shown(figure)).reshape(3, 4, 32, 32, 3)
    parts = np.stack(shown(whole)).reshape(2, 5, 4, 32, 32, 3)[1]
    assert all(np.array_equal(lines[line], parts[part]) for line, part in enumerate((0, 4, 2)))
    objects = (parts[1] != 128).any(axis=-1)
    moved = (lines[1] != lines[0]).any(axis=-1)
    assert moved[objects].mean() < 0.2 and moved[~objects].mean() > 0.8
    assert figure.data.iloc[1, 1] == pytest.approx(100 * moved.mean()) and figure.data.iloc[0, 1] == 0
    assert_readable(figure)
    with pytest.raises(BadInput, match="an even number of scenes from 2 to 16"):
        swapped_sheet(3)


@pytest.mark.parametrize("count", [0, 3, 18, 4.0, True])
def test_a_sheet_of_backgrounds_shows_pairs(count):
    with pytest.raises(BadInput, match="an even number of scenes from 2 to 16"):
        background_sheet(count)
