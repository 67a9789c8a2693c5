"""Corrupted sets on the disk: the published layouts, resumed and refused."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from lib.errors import BadInput
from lib.images import load
from lib.shifts import export
from lib.shifts.corruptions import corrupted_alike
from lib.shifts.export import export_arrays, export_folders, main


def pictures(count=3, side=32):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 6, 6, generator=generator) * 255
    return torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 255).byte()


def test_arrays_have_the_layout_of_cifar_10_c(tmp_path):
    images, labels = pictures(), torch.tensor([4, 0, 9])
    export_arrays(images, labels, tmp_path, ("fog", "ripple"), progress=False)
    fog = np.load(tmp_path / "fog.npy")
    assert fog.shape == (15, 32, 32, 3) and fog.dtype == np.uint8
    for severity in range(1, 6):
        expected = corrupted_alike(images, "fog", severity).permute(0, 2, 3, 1).numpy()
        assert np.array_equal(fog[3 * (severity - 1) : 3 * severity], expected)
    assert np.load(tmp_path / "labels.npy").tolist() == [4, 0, 9] * 5
    assert {path.name for path in tmp_path.iterdir()} == {"fog.npy", "ripple.npy", "labels.npy", "settings.json"}


def test_what_is_there_is_not_made_again(tmp_path, monkeypatch):
    images, labels = pictures(), torch.tensor([4, 0, 9])
    made = []

    def interrupted(part, name, severity):
        if name == "snow" and severity == 3 and made.count(name) == 2:
            made.append("stop")
            raise KeyboardInterrupt
        made.append(name)
        return corrupted_alike(part, name, severity)

    monkeypatch.setattr(export, "corrupted_alike", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_arrays(images, labels, tmp_path, ("fog", "snow"), progress=False)
    assert not (tmp_path / "snow.npy").exists() and len(np.load(tmp_path / "fog.npy")) == 15
    export_arrays(images, labels, tmp_path, ("fog", "snow"), progress=False)
    assert made.count("fog") == 5 and made.count("snow") == 2 + 5
    assert len(np.load(tmp_path / "snow.npy")) == 15


def test_other_settings_are_refused(tmp_path):
    labels = torch.tensor([4, 0, 9])
    export_arrays(pictures(), labels, tmp_path, ("fog",), about="mine", progress=False)
    before = (tmp_path / "fog.npy").read_bytes()
    with pytest.raises(BadInput, match="was begun with .*'mine'.*name another folder"):
        export_arrays(pictures(), labels, tmp_path, ("fog",), about="another", progress=False)
    assert (tmp_path / "fog.npy").read_bytes() == before
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(BadInput, match="settings.json is damaged"):
        export_arrays(pictures(), labels, tmp_path, ("fog",), about="mine", progress=False)


@pytest.fixture
def folder(tmp_path):
    sizes = {"cat/a.png": (300, 260), "cat/b.jpg": (90, 140), "dog/c.bmp": (70, 70)}
    for number, (name, size) in enumerate(sizes.items()):
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        array = pictures(3, 300)[number].permute(1, 2, 0).numpy()[: size[1], : size[0]]
        Image.fromarray(array).save(path)
    (tmp_path / "set" / "cat" / "notes.txt").write_text("not an image")
    return tmp_path / "set"


def test_folders_have_the_layout_of_imagenet_c(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "BATCH", 2)  # the third image comes in a batch of its own
    out = tmp_path / "out"
    export_folders(folder, out, 64, ("contrast", "gaussian_noise"), progress=False)
    written = sorted(str(path.relative_to(out)) for path in out.rglob("*.JPEG"))
    assert written == sorted(
        f"{name}/{severity}/{target}" for name in ("contrast", "gaussian_noise") for severity in range(1, 6)
        for target in ("cat/a.JPEG", "cat/b.JPEG", "dog/c.JPEG")
    )  # fmt: skip
    prepared = transforms.Compose([transforms.Resize(73), transforms.CenterCrop(64)])
    squares = [np.array(prepared(Image.open(path).convert("RGB"))) for path in sorted(folder.glob("*/*.[pjb]*"))]
    squares = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)
    for name in ("contrast", "gaussian_noise"):
        expected = corrupted_alike(squares, name, 2)  # as one batch of three
        for picture, target in zip(expected, ("cat/a", "cat/b", "dog/c"), strict=True):
            file = io.BytesIO()
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=85, optimize=True)
            assert (out / name / "2" / f"{target}.JPEG").read_bytes() == file.getvalue()


def test_images_of_a_folder_are_read_as_everywhere(folder, tmp_path):
    """Upright, deep greys scaled, and nothing from folders that no person made."""
    image = pictures(1, 96)[0].permute(1, 2, 0).numpy()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(image).save(folder / "cat" / "upright.png")
    Image.fromarray(np.rot90(image).copy()).save(folder / "cat" / "turned.png", exif=exif)
    Image.fromarray(image[..., 0].astype(np.uint16) * 257).save(folder / "dog" / "deep.png")
    Image.fromarray(image[..., 0]).save(folder / "dog" / "shallow.png")
    for name in ("__MACOSX", ".ipynb_checkpoints"):
        (folder / name).mkdir()
        Image.fromarray(image).save(folder / name / "a.png")
    export_folders(folder, tmp_path / "out", 64, ("contrast",), progress=False)
    written = {path.stem: path.read_bytes() for path in (tmp_path / "out/contrast/3").rglob("*.JPEG")}
    assert sorted(written) == ["a", "b", "c", "deep", "shallow", "turned", "upright"]
    assert written["turned"] == written["upright"] and written["deep"] == written["shallow"]


def test_folders_are_resumed(folder, tmp_path):
    out = tmp_path / "out"
    export_folders(folder, out, 64, ("fog",), progress=False)
    lost, kept = out / "fog/4/dog/c.JPEG", out / "fog/3/dog/c.JPEG"
    before, stamp = lost.read_bytes(), kept.stat().st_mtime_ns
    lost.unlink()
    export_folders(folder, out, 64, ("fog",), progress=False)
    assert lost.read_bytes() == before and kept.stat().st_mtime_ns == stamp


def exported(folder, out, side=16):
    """What is written for one severity of one corruption: the names, and the pixels of each."""
    export_folders(folder, out, side, ("contrast",), progress=False)
    root = out / "contrast" / "1"
    return {str(path.relative_to(root)): np.array(Image.open(path)) for path in sorted(root.rglob("*.*"))}


def colours(path, *names):
    """An image of one grey for each name, from dark to bright; contrast keeps their order."""
    for number, name in enumerate(names):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (60 * number + 40,) * 3).save(path / name)


@pytest.mark.parametrize(("names", "targets"), [
    (("cat/a.png", "cat/a.jpg"), ("cat/a.png.JPEG", "cat/a.jpg.JPEG")),
    (("cat/a.png", "dog/a.jpg"), ("cat/a.JPEG", "dog/a.JPEG")),
    (("cat/a.png", "cat/A.jpg"), ("cat/a.png.JPEG", "cat/A.jpg.JPEG")),
    (("cat/a.png", "cat/b.png", "cat/a.bmp"), ("cat/a.png.JPEG", "cat/b.JPEG", "cat/a.bmp.JPEG")),
    (("cat/a.png", "cat/a.jpg", "cat/a.png.gif"), ("cat/a.png.JPEG", "cat/a.jpg.JPEG", "cat/a.png.gif.JPEG")),
])  # fmt: skip
def test_two_of_one_stem_never_overwrite_each_other(names, targets, tmp_path):
    colours(tmp_path / "set", *names)
    found = exported(tmp_path / "set", tmp_path / "out")
    assert set(found) == set(targets)
    for number, target in enumerate(targets):
        one = torch.full((1, 3, 16, 16), 60 * number + 40, dtype=torch.uint8)
        assert np.abs(found[target].astype(int) - int(corrupted_alike(one, "contrast", 1)[0, 0, 0, 0])).max() <= 3
    kept = exported(tmp_path / "set", tmp_path / "out")  # and a second call finds them complete
    assert all((kept[name] == found[name]).all() for name in found) and len(kept) == len(found)


def test_every_format_that_is_read_is_written_and_the_rest_is_named(tmp_path, capsys):
    names = [f"cat/{ending}.{ending}" for ending in ("png", "jpg", "jpe", "jfif", "ppm", "pgm", "tif", "gif", "webp")]
    folder = tmp_path / "set"
    colours(folder, *[name for name in names if "pgm" not in name])
    Image.new("L", (20, 20), 99).save(folder / "cat" / "pgm.pgm")
    Image.new("RGB", (20, 20)).save(folder / "cat" / "no_ending", "PNG")
    Image.new("RGB", (20, 20)).save(folder / "loose.png")
    (folder / "cat" / "notes.txt").write_text("no image")
    (folder / "cat" / ".hidden.png").write_bytes(b"")
    (folder / "cat" / "broken.png").write_bytes(b"no image")
    (folder / "dog" / "deeper").mkdir(parents=True)
    found = exported(folder, tmp_path / "out")
    assert set(found) == {f"{name.split('.')[0]}.JPEG" for name in names} | {"cat/no_ending.JPEG"}
    said = capsys.readouterr().err
    assert "cat/notes.txt" in said and "broken.png is not an image" in said and "hidden" not in said
    assert "1 files outside the folders of classes left out: loose.png" in said
    assert "1 folders without images left out: dog" in said


@pytest.mark.parametrize("change", ["pixels", "renamed", "swapped", "moved", "more", "fewer"])
def test_a_source_that_changed_is_noticed_by_its_content(change, tmp_path):
    """By content, not by count or by date: the same files written anew are the same source."""
    folder, out = tmp_path / "set", tmp_path / "out"
    colours(folder, "cat/a.png", "cat/b.png", "dog/c.png")
    first = exported(folder, out)
    copied = (folder / "cat" / "a.png").read_bytes()
    (folder / "cat" / "a.png").unlink()
    (folder / "cat" / "a.png").write_bytes(copied)
    assert set(exported(folder, out)) == set(first)
    if change == "pixels":
        Image.new("RGB", (20, 20), (40, 40, 41)).save(folder / "cat" / "a.png")
    elif change == "renamed":
        (folder / "cat" / "a.png").rename(folder / "cat" / "z.png")
    elif change == "swapped":
        (folder / "cat" / "a.png").rename(folder / "cat" / "x")
        (folder / "cat" / "b.png").rename(folder / "cat" / "a.png")
        (folder / "cat" / "x").rename(folder / "cat" / "b.png")
    elif change == "moved":
        (folder / "cat" / "a.png").rename(folder / "dog" / "a.png")
    elif change == "more":
        colours(folder, "dog/d.png")
    else:
        (folder / "dog" / "c.png").unlink()
    with pytest.raises(BadInput, match="was begun with .*checksum.*name another folder"):
        exported(folder, out)
    before = {str(path): path.read_bytes() for path in out.rglob("*.JPEG")}
    assert {str(out / "contrast" / "1" / name) for name in first} <= set(before)


def test_arrays_that_changed_are_noticed(tmp_path):
    images, labels = pictures(), torch.tensor([4, 0, 9])
    export_arrays(images, labels, tmp_path, ("contrast",), progress=False)
    export_arrays(images.clone(), labels, tmp_path, ("contrast",), progress=False)
    other = images.clone()
    other[1, 2, 3, 4] ^= 1
    for given in ((other, labels), (images, labels.flip(0))):
        with pytest.raises(BadInput, match="the images are not those of then; name another folder"):
            export_arrays(*given, tmp_path, ("contrast",), progress=False)


@pytest.mark.parametrize(("changes", "words"), [
    ({"corruptions": ("contrast", "fogg")}, "unknown corruption 'fogg'"),
    ({"corruptions": "fog"}, "corruptions are a list of one or more of"),
    ({"corruptions": ()}, "corruptions are a list of one or more of"),
    ({"images": pictures() / 255}, "corrupt takes images as uint8 .* not float32"),
    ({"images": pictures()[0]}, "corrupt takes images as uint8 .* not uint8 .1, 32, 32."),
    ({"images": pictures()[:0]}, "there are no images"),
    ({"images": pictures(3, 8)}, "at least 16 px"),
    ({"labels": torch.tensor([1, 2])}, r"labels are int64 of shape .3,., one for each image, not torch.int64 .2,."),
    ({"labels": torch.tensor([1.0, 2.0, 3.0])}, "labels are int64"),
    ({"labels": [4, 0, 9]}, "not list"),
])  # fmt: skip
def test_bad_arrays_are_refused_before_anything_is_written(changes, words, tmp_path):
    given = {"images": pictures(), "labels": torch.tensor([4, 0, 9]), "corruptions": ("contrast",)} | changes
    with pytest.raises(BadInput, match=words):
        export_arrays(given["images"], given["labels"], tmp_path / "out", given["corruptions"], progress=False)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_somebody_else_is_not_written_to(tmp_path):
    """A published fog.npy would otherwise count as this command's own."""
    np.save(tmp_path / "fog.npy", np.zeros(3))
    with pytest.raises(BadInput, match="holds fog.npy and no settings.json, so that it was not begun by this command"):
        export_arrays(pictures(), torch.tensor([4, 0, 9]), tmp_path, ("fog",), progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["fog.npy"]


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["nosuch", "out"], "unknown data set (or folder) 'nosuch'; allowed: cifar10, scenes"),
        (["scenes", "out", "--corruptions", "fog"], "corruptions are a list such as '[\"fog\", \"snow\"]', not 'fog'"),
        (["scenes", "out", "--corruptions", '["fogg"]'], "unknown corruption 'fogg' (did you mean 'fog'?)"),
        (["scenes", "out", "--count", "0"], "the number of images is a whole number of at least 1"),
        (["empty", "out"], "empty has no images in folders of classes"),
        (["bad", "out"], "1 of the first 1 of 1 images of bad cannot be read, and at most 10% may be left out: bad/"),
        (["good", "out", "--side", "8"], "the side of the written images is a whole number of at least 16 px, not 8"),
        (["good", "out", "--side", "-3"], "the side of the written images is a whole number of at least 16 px, not -3"),
        (["good", "out", "--count", "3"], "--count is for a data set; of a folder all images are written"),
        (["scenes", "out", "--side", "64"], "--side is for a folder; the images of scenes keep their size"),
        (["good", "out", "--corruptions", "[]"], "corruptions are a list such as"),
        (["good", "out", "--corruptions", '["fog", 3]'], "unknown corruption 3; allowed: "),
        (["good", "good/out"], "good/out is inside good, whose folders are classes; name a folder outside"),
        (["good", "."], ". holds bad and no settings.json, so that it was not begun by this command"),
        (["good", "bad/cat/text.png"], "bad/cat/text.png is no folder; name another"),
        (["cifar10", "out"], "cifar10 is a data set and a folder here; write ./cifar10 for the folder"),
    ],
)
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad" / "cat").mkdir(parents=True)
    (tmp_path / "bad" / "cat" / "text.png").write_text("no image")
    for name in ("good/cat", "cifar10/cat"):
        (tmp_path / name).mkdir(parents=True)
        Image.new("RGB", (40, 40)).save(tmp_path / name / "a.png")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("sys.argv", ["export", *words])
    assert main() == 2
    said = capsys.readouterr().err.strip()
    assert said.splitlines()[-1].startswith(sentence)
    cache = tmp_path / "cache"
    assert sorted(path for path in tmp_path.rglob("*") if not path.is_relative_to(cache)) == before  # nothing written


def test_the_command_writes_a_data_set(tmp_path, monkeypatch):
    monkeypatch.setattr("lib.images.SCENES_BLOCK", 20)
    monkeypatch.setattr(
        "sys.argv", ["export", "scenes", str(tmp_path / "out"), "--count", "4", "--corruptions", '["fog"]']
    )
    assert main() == 0
    test = load("scenes", "test", 4)
    expected = corrupted_alike(test.images, "fog", 1).permute(0, 2, 3, 1).numpy()
    assert np.array_equal(np.load(tmp_path / "out" / "fog.npy")[:4], expected)
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["source"].startswith("scenes (rendered")
