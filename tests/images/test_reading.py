"""What a file's pixels are, and which files of a folder are images: values by hand and by tifffile."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from lib.errors import BadInput
from lib.images import reading
from lib.images.reading import (
    BACKGROUND,
    class_folders,
    files_below,
    list_images,
    nested,
    open_image,
    readable,
    visible,
)

EIGHT = np.arange(256, dtype=np.uint8).reshape(16, 16)
SIXTEEN = np.random.default_rng(0).permutation(65536)[:480].astype(np.uint16).reshape(20, 24)
COLOURS = np.random.default_rng(1).integers(65536, size=(7, 9, 3), dtype=np.uint16)


def pixels(path):
    image = open_image(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def grey(values):
    return np.repeat(np.asarray(values, dtype=np.uint8)[..., None], 3, axis=2)


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def write_png(path, values, colour_type, *chunks):
    """A 16-bit PNG by hand: uint16 (H, W) or (H, W, C), without filters."""
    rows = values.reshape(len(values), -1).astype(">u2")
    content = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour_type, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(content)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    return path


# Deep pixels.


@pytest.mark.parametrize("write", [
    lambda path: write_png(path.with_suffix(".png"), SIXTEEN, 0),
    lambda path: tifffile.imwrite(path.with_suffix(".tif"), SIXTEEN),
    lambda path: tifffile.imwrite(path.with_suffix(".tif"), SIXTEEN, byteorder=">"),
    lambda path: tifffile.imwrite(path.with_suffix(".tif"), SIXTEEN, compression="zlib"),
    lambda path: Image.fromarray(SIXTEEN).save(path.with_suffix(".png")),
    lambda path: path.with_suffix(".pgm").write_bytes(b"P5 24 20 65535\n" + SIXTEEN.astype(">u2").tobytes()),
])  # fmt: skip
def test_sixteen_bits_of_grey_are_divided_by_257(tmp_path, write):
    write(tmp_path / "deep")
    (path,) = tmp_path.iterdir()
    assert np.array_equal(pixels(path), grey(np.rint(SIXTEEN / 257)))


def test_every_grey_of_eight_bits_comes_back_from_sixteen(tmp_path):
    path = write_png(tmp_path / "deep.png", EIGHT.astype(np.uint16) * 257, 0)
    assert np.array_equal(pixels(path), grey(EIGHT))


def test_white_of_a_tiff_may_be_zero(tmp_path):
    tifffile.imwrite(tmp_path / "deep.tif", SIXTEEN, photometric="miniswhite")
    assert np.array_equal(pixels(tmp_path / "deep.tif"), grey(255 - np.rint(SIXTEEN / 257)))


@pytest.mark.parametrize("write", [
    lambda path: write_png(path.with_suffix(".png"), COLOURS, 2),
    lambda path: tifffile.imwrite(path.with_suffix(".tif"), COLOURS, photometric="rgb"),
    lambda path: tifffile.imwrite(path.with_suffix(".tif"), COLOURS, photometric="rgb", byteorder=">"),
    lambda path: tifffile.imwrite(path.with_suffix(".tif"), COLOURS, photometric="rgb", compression="zlib"),
])  # fmt: skip
def test_sixteen_bits_a_colour_are_divided_by_257(tmp_path, write):
    write(tmp_path / "deep")
    (path,) = tmp_path.iterdir()
    assert np.array_equal(pixels(path), np.rint(COLOURS / 257))


@pytest.mark.parametrize("values", [EIGHT / 255, np.zeros((4, 4)), np.ones((4, 4)), np.array([[0.5, 0.25]])])
def test_floats_from_0_to_1_are_scaled_by_255(tmp_path, values):
    values = values.astype(np.float32)
    Image.fromarray(values).save(tmp_path / "float.tiff")
    assert np.array_equal(pixels(tmp_path / "float.tiff"), grey(np.rint(values.astype(np.float64) * 255)))


def test_twelve_bits_that_say_so_are_scaled_by_their_range(tmp_path):
    """A TIFF of 12 bits a value, by hand: two values in three bytes."""
    values = np.array([[0, 4095], [2048, 1000]])
    packed = b"".join(bytes((a >> 4, (a & 15) << 4 | b >> 8, b & 255)) for a, b in values.tolist())
    tags = [(256, 3, 2), (257, 3, 2), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 200), (277, 3, 1), (278, 3, 2),
            (279, 4, len(packed))]  # fmt: skip
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags))
    head += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags) + bytes(4)
    (tmp_path / "twelve.tif").write_bytes(head.ljust(200, b"\0") + packed)
    assert np.array_equal(pixels(tmp_path / "twelve.tif"), grey(np.rint(values / 4095 * 255)))


@pytest.mark.parametrize(("values", "words"), [
    (SIXTEEN // 16, r"mode I;16.* has values up to 4,0\d\d of 65,535, as 10, 12 or 14 bits kept in 16 have"),
    (SIXTEEN // 4, "its range is not known; save it with 8 bits, or with 16 from 0 to 65535"),
    (COLOURS // 16, "mode RGB with 16 bits.* has values up to 4,0"),
    (SIXTEEN.astype(np.int32), "whole numbers of 32 bits or with signs .Pillow's mode I. from"),
    (SIXTEEN.astype(np.uint32), "range is not known"),
    (np.full((4, 4), -5, np.int16), "from -5 to -5"),
    (SIXTEEN.astype(np.float32), "floats .Pillow's mode F. from"),
    (EIGHT.astype(np.float32), "floats .Pillow's mode F. from 0 to 255, and an image's are from 0 to 1"),
    (np.array([[0, 1.01]], np.float32), "from 0 to 1.01"),
    (np.array([[-0.01, 1]], np.float32), "from -0.01 to 1"),
    (np.array([[0.5, np.nan]], np.float32), "nan"),
    (np.array([[0.5, np.inf]], np.float32), "inf"),
    (SIXTEEN.astype(np.float64) * 0.5, "deep.tif"),
])  # fmt: skip
def test_a_range_that_cannot_be_known_is_one_sentence(tmp_path, values, words):
    tifffile.imwrite(tmp_path / "deep.tif", values, photometric="rgb" if values.ndim == 3 else "minisblack")
    with pytest.raises(BadInput, match=words) as error:
        open_image(tmp_path / "deep.tif")
    assert str(tmp_path / "deep.tif") in str(error.value)


def test_black_is_black_at_any_depth(tmp_path):
    assert not pixels(write_png(tmp_path / "black.png", np.zeros((4, 4), np.uint16), 0)).any()


# Transparency.


@pytest.mark.parametrize("alpha", [0, 1, 64, 128, 254, 255])
def test_what_is_transparent_lies_on_grey(tmp_path, alpha):
    colour = np.array([200, 10, 90])
    Image.new("RGBA", (5, 4), (*colour, alpha)).save(tmp_path / "clear.png")
    expected = (alpha * colour + (255 - alpha) * np.array(BACKGROUND)) / 255
    assert np.abs(pixels(tmp_path / "clear.png") - expected).max() <= 1
    if alpha in (0, 255):
        assert np.array_equal(pixels(tmp_path / "clear.png")[0, 0], expected)


def test_opaque_pixels_are_those_without_transparency(tmp_path):
    colours = np.random.default_rng(0).integers(256, size=(32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(colours)
    image.putalpha(255)
    image.save(tmp_path / "opaque.png")
    assert np.array_equal(pixels(tmp_path / "opaque.png"), colours)


def test_every_kind_of_transparency(tmp_path):
    left = np.zeros((8, 8), dtype=np.uint8)
    left[:, :4] = 255
    image = Image.new("L", (8, 8), 40)
    image.putalpha(Image.fromarray(left))
    image.save(tmp_path / "la.png")
    palette = Image.fromarray((left // 255).astype(np.uint8)).convert("P")
    palette.putpalette([1, 2, 3, 40, 40, 40])
    palette.save(tmp_path / "p.png", transparency=0)
    palette.save(tmp_path / "p-bytes.png", transparency=bytes([0, 255]))
    palette.save(tmp_path / "p.gif", transparency=0)
    keyed = np.where(left == 255, 40, 7).astype(np.uint8)
    Image.fromarray(keyed).save(tmp_path / "l.png", transparency=7)
    Image.fromarray(grey(keyed)).save(tmp_path / "rgb.png", transparency=(7, 7, 7))
    image.convert("RGBA").save(tmp_path / "rgba.webp", lossless=True)
    deep = keyed.astype(np.uint16) * 257
    deep[0, 0] = 65535  # full range
    write_png(tmp_path / "sixteen.png", deep, 0, (b"tRNS", struct.pack(">H", 7 * 257)))
    write_png(tmp_path / "wide.png", np.stack([deep] * 3, 2), 2, (b"tRNS", struct.pack(">HHH", *[7 * 257] * 3)))
    write_png(tmp_path / "wide-alpha.png", np.stack([deep] * 3 + [left * np.uint16(257)], 2), 6)
    for path in sorted(tmp_path.iterdir()):
        found = pixels(path)[1:]
        assert (found[:, :4] == 40).all() and (found[:, 4:] == BACKGROUND[0]).all(), path.name


# Other modes of eight bits are Pillow's.


@pytest.mark.parametrize(("mode", "ending"), [
    ("RGB", "png"), ("RGB", "bmp"), ("RGB", "jpg"), ("L", "png"), ("L", "jpg"), ("1", "png"), ("1", "tif"),
    ("P", "png"), ("P", "gif"), ("CMYK", "jpg"), ("CMYK", "tif"), ("YCbCr", "jpg"), ("RGB", "webp"), ("RGB", "ppm"),
    ("RGB", "tif"),
])  # fmt: skip
def test_eight_bits_are_as_pillow_converts_them(tmp_path, mode, ending):
    colours = np.random.default_rng(0).integers(256, size=(13, 17, 3), dtype=np.uint8)
    path = tmp_path / f"image.{ending}"
    Image.fromarray(colours).convert(mode).save(path)
    with Image.open(path) as image:
        assert np.array_equal(pixels(path), np.asarray(image.convert("RGB")))


# Orientation.

STORED = {  # the array that a camera stores for each orientation so that `upright` is what it saw
    1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2), 6: lambda a: np.rot90(a), 7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}  # fmt: skip
UPRIGHT = np.random.default_rng(2).integers(256, size=(6, 10, 3), dtype=np.uint8)


@pytest.mark.parametrize("ending", ["png", "tif", "webp", "jpg"])
@pytest.mark.parametrize("orientation", STORED)
def test_images_are_turned_upright(tmp_path, orientation, ending):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(STORED[orientation](UPRIGHT)))
    path = tmp_path / f"turned.{ending}"
    image.save(path, exif=exif, **({"lossless": True} if ending == "webp" else {"quality": 100, "subsampling": 0}))
    found = pixels(path).astype(int)
    assert found.shape == UPRIGHT.shape
    assert np.abs(found - UPRIGHT).max() <= (12 if ending == "jpg" else 0)


def test_deep_images_are_turned_too(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(SIXTEEN).copy()).save(tmp_path / "turned.png", exif=exif)
    assert np.array_equal(pixels(tmp_path / "turned.png"), grey(np.rint(SIXTEEN / 257)))


@pytest.mark.parametrize("content", [b"nonsense", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\0\x01"])
def test_a_damaged_exif_block_says_nothing_about_the_pixels(tmp_path, content):
    Image.fromarray(UPRIGHT).save(tmp_path / "odd.jpg", quality=100, subsampling=0, exif=b"Exif\0\0" + content)
    assert pixels(tmp_path / "odd.jpg").shape == UPRIGHT.shape


# Files that are none, too large or damaged.


@pytest.mark.parametrize(("content", "words"), [
    (b"", "is not an image that Pillow can read"),
    (b"<!DOCTYPE html><html>", "is not an image that Pillow can read"),
    (b"version https://git-lfs.github.com/spec/v1\n", "is not an image that Pillow can read"),
    (b"\x89PNG\r\n\x1a\n" + b"x" * 50, "odd.png is"),
])  # fmt: skip
def test_what_is_no_image_is_one_sentence(tmp_path, content, words):
    (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(BadInput, match=words):
        open_image(tmp_path / "odd.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP", "PPM"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_truncated_image_is_one_sentence(tmp_path, kind, share):
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)).save(whole, kind)
    (tmp_path / "half").write_bytes(whole.getvalue()[: int(share * len(whole.getvalue()))])
    with pytest.raises(BadInput, match="half is"):
        open_image(tmp_path / "half")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="none.png cannot be read .No such file or directory"):
        open_image(tmp_path / "none.png")


def test_a_decompression_bomb_is_one_sentence_and_a_large_photograph_no_warning(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    Image.new("L", (20, 10)).save(tmp_path / "large.png")
    Image.new("L", (67, 3)).save(tmp_path / "bomb.png")
    assert pixels(tmp_path / "large.png").shape == (10, 20, 3) and not recwarn.list
    with pytest.raises(BadInput, match="bomb.png is too large to be read .*201 pixels.*scale it to at most 200 pixels"):
        open_image(tmp_path / "bomb.png")


# Folders.

NOBODY = (".DS_Store", "._a.png", ".hidden.png", "Thumbs.db", "desktop.ini", "Desktop.INI", "ehthumbs.db", "Icon\r")
NO_FOLDERS = ("__MACOSX", ".ipynb_checkpoints", ".git", "@eaDir", "lost+found", "$RECYCLE.BIN", "#recycle",
              "__pycache__", "System Volume Information")  # fmt: skip


def paint(path, colour=(9, 9, 9), size=(8, 8)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, "PNG")
    return path


def clutter(folder):
    """What systems, tools and archives leave in a folder."""
    for name in NOBODY:
        (folder / name).write_bytes(b"\0nobody")
    for name in NO_FOLDERS:
        paint(folder / name / "image.png")
        paint(folder / name / "a" / "image.png")


def test_what_no_person_put_there_is_not_seen(tmp_path):
    for name in ("b", "a", "Z"):
        paint(tmp_path / name / "image.png")
        clutter(tmp_path / name)
    clutter(tmp_path)
    (tmp_path / "a" / "notes.txt").write_text("seen, and no image")
    paint(tmp_path / "a" / "0a1b2c")  # without an ending, known by its content
    assert class_folders(tmp_path) == ["Z", "a", "b"] == [path.name for path in visible(tmp_path)]
    listing = list_images(tmp_path)
    assert list(listing.images) == ["Z", "a", "b"]
    assert [path.name for path in listing.images["a"]] == ["0a1b2c", "image.png"]
    assert [path.name for path in listing.others] == ["notes.txt"]
    assert [path.relative_to(tmp_path).parts[0] for path in files_below(tmp_path)] == ["Z", "a", "a", "a", "b"]
    assert list_images(tmp_path, ["b", "none"]).images == {"b": [tmp_path / "b" / "image.png"], "none": []}


def test_a_folder_that_is_none_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for name, reason in (("none", "No such file or directory"), ("file", "Not a directory")):
        with pytest.raises(BadInput, match=f"{name} cannot be read as a folder .{reason}"):
            visible(tmp_path / name)


@pytest.mark.parametrize("ending", reading.ENDINGS)
def test_endings_in_any_case_are_images(tmp_path, ending):
    (tmp_path / f"image{ending.upper()}").write_bytes(b"")
    assert reading.is_image(tmp_path / f"image{ending.upper()}")


def test_folders_in_folders_are_looked_through(tmp_path):
    paint(tmp_path / "set" / "set" / "cat" / "1.png")
    paint(tmp_path / "set" / "set" / "dog" / "1.png")
    paint(tmp_path / "set" / "__MACOSX" / "1.png")
    (tmp_path / "set" / "README.md").write_text("of the archive")
    assert nested(tmp_path / "set") == [tmp_path / "set", tmp_path / "set" / "set"]
    assert nested(tmp_path / "set" / "set" / "cat") == [tmp_path / "set" / "set" / "cat"]
    paint(tmp_path / "one" / "class" / "1.png")
    assert nested(tmp_path / "one") == [tmp_path / "one"]  # a class, not an archive's folder
    assert nested(tmp_path / "none") == [tmp_path / "none"]


def some(folder, good, bad):
    files = [paint(folder / f"{place:03}.png", (place, 0, 0)) for place in range(good + bad)]
    for path in files[:bad]:
        path.write_bytes(b"no image")
    return files


@pytest.mark.parametrize(("good", "bad"), [(3, 1), (19, 1), (18, 2), (20, 0)])
def test_a_few_unreadable_images_are_named_and_left_out(tmp_path, capsys, good, bad):
    files = some(tmp_path, good, bad)
    found = list(readable(files, pixels, "mine"))
    assert [place for place, _ in found] == list(range(bad, good + bad))
    assert [image[0, 0, 0] for _, image in found] == list(range(bad, good + bad))
    said = capsys.readouterr().err
    assert said.count("not an image that Pillow can read") == bad == sum(str(path) in said for path in files)
    assert said.startswith(f"mine: {bad} of {good + bad} images left out: ") == bool(bad)


@pytest.mark.parametrize(("good", "bad"), [(0, 1), (0, 2), (2, 2), (17, 3)])
def test_more_than_a_tenth_stop_the_set(tmp_path, good, bad):
    with pytest.raises(BadInput, match="images of mine cannot be read, and at most 10% may be left out: .*000.png is"):
        list(readable(some(tmp_path, good, bad), pixels, "mine"))
