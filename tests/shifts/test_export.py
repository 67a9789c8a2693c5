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
    (tmp_path / "set" / "cat" / "notes.txt").write_text("not a picture")
    return tmp_path / "set"


def test_folders_have_the_layout_of_imagenet_c(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "BATCH", 2)  # the third picture comes in a batch of its own
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


@pytest.mark.parametrize(
    "words, sentence",
    [
        (["nosuch", "out"], "unknown data set (or folder) 'nosuch'; allowed: cifar10, scenes"),
        (["scenes", "out", "--corruptions", "fog"], "corruptions are a list such as '[\"fog\", \"snow\"]', not 'fog'"),
        (["scenes", "out", "--corruptions", '["fogg"]'], "unknown corruption 'fogg' (did you mean 'fog'?)"),
        (["scenes", "out", "--count", "0"], "the number of images is a whole number of at least 1"),
        (["empty", "out"], "empty has no pictures in folders of classes"),
        (["bad", "out"], "bad/cat/text.png is not an image that Pillow can read"),
    ],
)
def test_bad_input_gets_one_sentence(words, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad" / "cat").mkdir(parents=True)
    (tmp_path / "bad" / "cat" / "text.png").write_text("no picture")
    monkeypatch.setattr("sys.argv", ["export", *words])
    assert main() == 2
    said = capsys.readouterr().err.strip()
    assert said.splitlines()[-1].startswith(sentence)


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
