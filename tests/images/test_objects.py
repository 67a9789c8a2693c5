"""Views of objects and scenes: which images make a group, what they show, and what can be wrong with their files."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from lib.errors import BadInput
from lib.images import scenes
from lib.images.objects import _CAUSES, OBJECTS, PACKED, available, objects, scene_views


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WITHSTAND_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def save(path, colour=(0, 0, 0), size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def contents(views):
    """By group name: the value and the colour of the top left pixel of each view."""
    found = {name: [] for name in views.names}
    for image, group, value in zip(views.images, views.groups.tolist(), views.value.tolist(), strict=True):
        found[views.names[group]].append((value, tuple(image[:, 0, 0].tolist())))
    return found


def by_name(path):
    """A colour of its own for each file name, so that a view shows which file it came from."""
    return tuple(hashlib.sha256(path.name.encode()).digest()[:3])


def publish(home, names):
    """Small images of those names, each of its own colour; the colours by name."""
    for name in names:
        save(home / name, by_name(home / name))
    return {name.rsplit("/", 1)[-1]: by_name(home / name) for name in names}


# Published files.


def test_coil_100_by_hand(folder):
    names = [f"obj{number}__{azimuth}.png" for number in (10, 2) for azimuth in (100, 0, 15)]
    colour = publish(folder / "coil-100", names)
    (folder / "coil-100" / "readme.txt").write_text("not an image, and not named like one")
    save(folder / "coil-100" / "._obj2__0.png")
    views = objects("coil-100", 8)
    assert views.images.shape == (6, 3, 8, 8) and views.images.dtype == torch.uint8 and views.images.is_contiguous()
    assert views.groups.tolist() == [0, 0, 0, 1, 1, 1] and views.groups.dtype == torch.int64
    assert views.value.tolist() == [0, 15, 100, 0, 15, 100] and views.value.dtype == torch.float32
    assert (views.varies, views.unit, views.names) == ("azimuth", "degrees", ("object 2", "object 10"))
    assert views.source == "coil-100 (COIL-100): 6 images in 2 groups, at 8 px"
    assert contents(views) == {
        f"object {number}": [(azimuth, colour[f"obj{number}__{azimuth}.png"]) for azimuth in (0, 15, 100)]
        for number in (2, 10)
    }
    assert views.checksum == hashlib.sha256(views.images.numpy().tobytes() + views.groups.numpy().tobytes()).hexdigest()


ALOI = [
    f"png4/{number}/{number}_{what}.png"
    for number in (1, 12)
    for what in (
        *("r0", "r5", "r355"),
        *(f"l{lamp}c{camera}" for lamp in (1, 2, 8) for camera in (1, 3)),
        *("i250", "i110"),
        *("c", "cl"),  # stereo pairs: in no set
    )
]
ALOT = [
    f"{number}/{number}_c{camera}{what}.png"
    for number in (1, 250)
    for camera in (1, 4)
    for what in ("i", *(f"l{lamp}{turn}" for lamp in (1, 5, 8) for turn in ("", "r60", "r120", "r180")))
]


def test_aloi_by_hand(folder):
    colour = publish(folder / "aloi", ALOI)
    pose, light, hue = (objects(f"aloi-{kind}", 8) for kind in ("pose", "light", "colour"))
    assert contents(pose) == {
        f"object {n}": [(turn, colour[f"{n}_r{turn}.png"]) for turn in (0, 5, 355)] for n in (1, 12)
    }
    assert contents(light) == {
        f"object {n}, camera {camera}": [(lamp, colour[f"{n}_l{lamp}c{camera}.png"]) for lamp in (1, 2, 8)]
        for n in (1, 12)
        for camera in (1, 3)
    }
    assert contents(hue) == {
        f"object {n}": [(code, colour[f"{n}_i{code}.png"]) for code in (110, 250)] for n in (1, 12)
    }
    assert [(v.varies, v.unit) for v in (pose, light, hue)] == [
        ("azimuth", "degrees"), ("light direction", "lamp"), ("light colour", "code")
    ]  # fmt: skip
    assert available() == ["aloi-pose", "aloi-light", "aloi-colour"]


def test_alot_by_hand(folder):
    colour = publish(folder / "alot", ALOT)
    pose, light, hue = (objects(f"alot-{kind}", 8) for kind in ("pose", "light", "colour"))
    suffix = {0: "", 60: "r60", 120: "r120", 180: "r180"}
    assert contents(pose) == {
        f"material {n}, camera {camera}, lamp {lamp}": [
            (turn, colour[f"{n}_c{camera}l{lamp}{suffix[turn]}.png"]) for turn in suffix
        ]
        for n in (1, 250)
        for camera in (1, 4)
        for lamp in (1, 5, 8)
    }
    assert contents(light) == {
        f"material {n}, camera {camera}, azimuth {turn}": [
            (lamp, colour[f"{n}_c{camera}l{lamp}{suffix[turn]}.png"]) for lamp in (1, 5, 8)
        ]
        for n in (1, 250)
        for camera in (1, 4)
        for turn in suffix
    }
    assert contents(hue) == {
        f"material {n}, camera {camera}": [
            (0, colour[f"{n}_c{camera}l8.png"]), (1, colour[f"{n}_c{camera}i.png"])
        ]
        for n in (1, 250)
        for camera in (1, 4)
    }  # fmt: skip
    assert [(v.varies, v.unit) for v in (pose, light, hue)] == [
        ("azimuth", "degrees"), ("light direction", "lamp"), ("light colour", "light")
    ]  # fmt: skip
    assert list(contents(light)) == list(light.names)  # groups in the order of their numbers
    assert light.names[:2] == ("material 1, camera 1, azimuth 0", "material 1, camera 1, azimuth 60")


def test_images_are_cut_to_their_central_square_and_averaged(folder):
    """24 x 16 pixels: 4 columns go on either side, and each pixel of 8 x 8 is the mean of 2 x 2."""
    for azimuth in (0, 5):
        pixels = np.zeros((16, 24, 3), np.uint8)
        pixels[:, :4] = pixels[:, 20:] = 255  # cut away
        pixels[0:2, 4:6] = [[[0, 0, 0], [40, 80, 120]], [[0, 0, 0], [40, 80, 120]]]
        pixels[14:16, 18:20] = (10 + azimuth, 20, 30)
        (folder / "coil-100").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "coil-100" / f"obj1__{azimuth}.png")
    views = objects("coil-100", 8)
    for image, azimuth in zip(views.images, (0, 5), strict=True):
        expected = torch.zeros(3, 8, 8, dtype=torch.uint8)
        expected[:, 0, 0] = torch.tensor([20, 40, 60])
        expected[:, 7, 7] = torch.tensor([10 + azimuth, 20, 30])
        assert torch.equal(image, expected)
    assert objects("coil-100").images.shape == (2, 3, 32, 32)
    assert objects("coil-100", 16).images[1, :, 15, 15].tolist() == [15, 20, 30]  # uncut pixels stay as they are


# The packed file.


def pack(path, **arrays):
    """Two objects in four views of 16 px each, out of order."""
    numbers = np.array([7, 3, 3, 7, 7, 3, 7, 3])
    azimuth = np.array([10, 0, 15, 0, 5, 5, 15, 10])
    images = np.random.default_rng(0).integers(256, size=(8, 16, 16, 3), dtype=np.uint8)
    arrays = {"images": images, "object": numbers, "azimuth": azimuth, "path": np.full(8, "x.png"), **arrays}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return arrays


def test_coil_packed_by_hand(folder):
    arrays = pack(folder / PACKED)
    views = objects("coil", 8)
    assert views.groups.tolist() == [0] * 4 + [1] * 4 and views.value.tolist() == [0, 5, 10, 15] * 2
    assert views.names == ("object 3", "object 7") and (views.varies, views.unit) == ("azimuth", "degrees")
    assert views.source == "coil (2 objects of COIL-100 at 16 px): 8 images in 2 groups, at 8 px"
    assert views.groups.dtype == torch.int64 and views.value.dtype == torch.float32 and available() == ["coil"]
    original = arrays["images"][[1, 5, 7, 2, 3, 4, 0, 6]]  # by object, then by azimuth
    images = views.images.numpy()
    for view, channel, row, column in np.ndindex(8, 3, 8, 8):
        block = [int(original[view, 2 * row + i, 2 * column + j, channel]) for i in range(2) for j in range(2)]
        assert images[view, channel, row, column] == (sum(block) + 2) // 4  # halves go up
    assert np.array_equal(objects("coil", 16).images.permute(0, 2, 3, 1), original)
    box = [np.asarray(Image.fromarray(image).resize((12, 12), Image.Resampling.BOX)) for image in original]
    assert np.array_equal(objects("coil", 12).images.permute(0, 2, 3, 1), box)  # no whole blocks: Pillow's means
    assert objects("coil").images.shape == (8, 3, 32, 32)


def test_checksum_follows_pixels_and_groups(folder):
    arrays = pack(folder / PACKED)
    before = objects("coil", 8).checksum
    assert objects("coil", 8).checksum == before
    changed = arrays["images"].copy()
    changed[0, 0, 0, 0] ^= 128
    pack(folder / PACKED, images=changed)
    assert objects("coil", 8).checksum != before
    pack(folder / PACKED, images=arrays["images"], object=np.array([7, 3, 3, 7, 7, 3, 7, 3]) // 7 * 9 + 1)
    assert objects("coil", 8).checksum == before  # other numbers, the same groups
    pack(folder / PACKED, object=np.array([7, 1, 2, 7, 7, 1, 7, 2]))
    assert objects("coil", 8).groups.tolist() == [0, 0, 1, 1, 2, 2, 2, 2]


@pytest.mark.parametrize(("arrays", "words"), [
    ({"azimuth": None}, "needs the arrays images, object and azimuth, it has images, object"),
    ({"images": np.zeros((8, 16, 12, 3), np.uint8)}, "uint8 of shape (N, S, S, 3), not uint8 (8, 16, 12, 3)"),
    ({"images": np.zeros((8, 16, 16, 3))}, "uint8 of shape (N, S, S, 3), not float64"),
    ({"object": np.zeros(7, int)}, "object in"),
    ({"azimuth": np.zeros(8)}, "a whole number for each image, not float64 (8,) for 8"),
    ({"object": np.array([7, 3, 3, 7, 7, 3, 7, 9])}, "object 9 has a single view"),
    ({"azimuth": np.zeros(8, int)}, "has object 3 at azimuth 0 twice"),
    ({"images": np.zeros((0, 16, 16, 3), np.uint8), "object": np.zeros(0, int), "azimuth": np.zeros(0, int)},
     "holds no images"),
])  # fmt: skip
def test_wrong_packed_arrays_are_one_sentence(folder, arrays, words):
    pack(folder / PACKED, **arrays)
    with pytest.raises(BadInput) as error:
        objects("coil")
    assert words in str(error.value) and "\n" not in str(error.value)


def test_truncated_packed_file_is_one_sentence(folder):
    pack(folder / PACKED)
    whole = (folder / PACKED).read_bytes()
    (folder / PACKED).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="damaged or not an .npz file"):
        objects("coil")


# What can be wrong.


def test_unknown_names_and_sizes(folder):
    assert OBJECTS == ("coil", "coil-100", "aloi-pose", "aloi-light", "aloi-colour", "alot-pose", "alot-light",
                       "alot-colour")  # fmt: skip
    with pytest.raises(BadInput, match="unknown set of objects 'aloi'.*allowed: coil, coil-100, aloi-pose"):
        objects("aloi")
    for size in (7, 32.5, "32", True, None):
        with pytest.raises(BadInput, match="the size of an image is a whole number of at least 8, not"):
            objects("coil", size)


@pytest.mark.parametrize("unset", [True, False])
@pytest.mark.parametrize("name", OBJECTS)
def test_missing_sets_say_where_they_belong(folder, monkeypatch, name, unset):
    if unset:
        monkeypatch.delenv("WITHSTAND_DATA")
    assert available() == []
    with pytest.raises(BadInput) as error:
        objects(name)
    where = PACKED if name == "coil" else f"the folder {'coil-100' if name == 'coil-100' else name[:4]} holds"
    assert str(error.value).startswith(f"{name} is not here; name") and where in str(error.value)
    assert "WITHSTAND_DATA" in str(error.value)


def test_folder_without_files_of_the_set(folder):
    save(folder / "aloi" / "1" / "1_r0.png")
    save(folder / "aloi" / "1" / "1_r5.png")
    assert available() == ["aloi-pose"]
    with pytest.raises(BadInput, match="aloi holds no file that is named like 1_l1c1.png; unpack ALOI there"):
        objects("aloi-light")


def test_group_with_a_single_view(folder):
    publish(folder / "aloi", ["1/1_r0.png", "1/1_r5.png", "2/2_r0.png"])
    with pytest.raises(BadInput, match="object 2 has a single view in .*aloi, but a comparison needs two or more"):
        objects("aloi-pose")


def test_same_view_twice(folder):
    publish(folder / "aloi", ["png4/1/1_r0.png", "png2/1/1_r0.png", "png4/1/1_r5.png"])
    with pytest.raises(BadInput, match="1_r0.png and .*1_r0.png are the same view; keep one resolution of ALOI"):
        objects("aloi-pose")


@pytest.mark.parametrize("content", [b"no image", b""])
def test_a_file_that_is_no_image_is_named_and_left_out(folder, capsys, content):
    publish(folder / "aloi", ["1/1_r0.png", "1/1_r5.png", "1/1_r10.png", "2/2_r0.png", "2/2_r5.png"])
    (folder / "aloi" / "1" / "1_r5.png").write_bytes(content)
    views = objects("aloi-pose")
    assert views.value.tolist() == [0, 10, 0, 5] and views.groups.tolist() == [0, 0, 1, 1]
    assert "1_r5.png is not an image that Pillow can read" in capsys.readouterr().err
    (folder / "aloi" / "2" / "2_r5.png").write_bytes(content)
    with pytest.raises(BadInput, match="images of aloi-pose cannot be read, and at most 10% may be left out"):
        objects("aloi-pose")


def test_what_no_person_put_there_is_no_view(folder):
    publish(folder / "aloi", ["1/1_r0.png", "1/1_r5.png"])
    publish(folder / "aloi", ["__MACOSX/1/1_r10.png", ".Trash/1/1_r0.png", "@eaDir/1_r15.png", "1/._1_r20.png"])
    assert objects("aloi-pose").value.tolist() == [0, 5]


# Scenes.

RANGES = {
    "azimuth": ("azimuth", [0, 90, 180, 270], "degrees"),  # 360 is 0 again
    "elevation": ("elevation", [10, 10 + 35 / 3, 10 + 70 / 3, 45], "degrees"),
    "light direction": ("light_azimuth", [-45, -15, 15, 45], "degrees"),
    "light colour": ("light_hue", [0, 1 / 6, 1 / 3, 0.5], "turn"),
    "object_hue": ("object_hue", [0, 0.25, 0.5, 0.75], "turn"),
    "position": ("x", [-0.2, -0.2 / 3, 0.2 / 3, 0.2], "half image widths"),
}


@pytest.mark.parametrize("varies", RANGES)
def test_only_the_named_cause_changes(varies):
    """Each image is that of the drawn scene with one factor overwritten, and the tint where the lamp's hue varies."""
    name, values, unit = RANGES[varies]
    views = scene_views(varies, count=3, views=4, size=16, seed=5)
    assert views.images.shape == (12, 3, 16, 16) and views.images.dtype == torch.uint8
    assert views.groups.tolist() == [0] * 4 + [1] * 4 + [2] * 4 and views.groups.dtype == torch.int64
    assert (views.varies, views.unit) == (varies, unit)
    assert views.value.dtype == torch.float32 and views.value.tolist() == pytest.approx(values * 3)
    drawn, rows = scenes.draw_factors(3, seed=5, split="test"), []
    for place in range(12):
        row = {key: column[[place // 4]].clone() for key, column in drawn.items()}
        row[name] = views.value[[place]]
        if varies == "light colour":
            row["light_tint"] = torch.tensor([0.25])
        assert set(row) == set(scenes.FACTORS)
        rows.append(row)
    by_hand = scenes.render_factors({key: torch.cat([row[key] for row in rows]) for key in drawn}, 16)
    assert torch.equal(by_hand.images, views.images)
    assert views.names == tuple(f"scene {i} ({scenes.SHAPES[shape]})" for i, shape in enumerate(drawn["shape"]))
    different = len({image.numpy().tobytes() for image in views.images})
    assert different == 12 or (varies == "azimuth" and different >= 10)  # a plain cube shows no quarter turn


def test_scene_views_are_deterministic_and_nested():
    first, again = (scene_views("azimuth", 2, 3, size=16) for _ in range(2))
    assert torch.equal(first.images, again.images) and first.checksum == again.checksum
    assert torch.equal(scene_views("azimuth", 3, 3, size=16).images[:6], first.images)
    assert scene_views("azimuth", 2, 3, size=16, seed=1).checksum != first.checksum
    whole = hashlib.sha256(first.images.numpy().tobytes() + first.groups.numpy().tobytes()).hexdigest()
    assert first.checksum == whole and first.images.is_contiguous()
    assert first.source == (
        f"scenes (rendered, protocol {scenes.PROTOCOL}, test, seed 0): 6 images in 2 groups, at 16 px"
    )


def test_what_scene_views_refuse():
    assert tuple(_CAUSES) == tuple(RANGES)
    with pytest.raises(
        BadInput, match="unknown cause that varies 'roll'; allowed: azimuth, elevation, light direction"
    ):
        scene_views("roll", 2, 2)
    for count in (0, 2.5, True):
        with pytest.raises(BadInput, match="the number of groups is a whole number of at least 1"):
            scene_views("azimuth", count, 2)
    for views in (1, "2"):
        with pytest.raises(BadInput, match="the number of views is a whole number of at least 2"):
            scene_views("azimuth", 2, views)
    with pytest.raises(BadInput, match="the seed is a whole number of at least 0, not -1"):
        scene_views("azimuth", 2, 2, seed=-1)
    with pytest.raises(BadInput, match="at least 16, not 8"):
        scene_views("azimuth", 2, 2, size=8)
