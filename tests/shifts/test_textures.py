"""Image quilting: seams are the cheapest, pixels are copies, seeds decide; and the cache of textures."""

import itertools
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import images, paths
from lib.errors import BadInput
from lib.images import load, scenes
from lib.randomness import derive
from lib.shifts import textures as module
from lib.shifts.textures import geometry, minimum_seam, patches, synthesise, textures


def noise(count, height, width, seed=0):
    return torch.randint(256, (count, 3, height, width), generator=torch.Generator().manual_seed(seed)).byte()


def seeds_for(count, seed=0):
    return derive(seed, torch.arange(count))


def colours(image):
    """The set of colours of an image (3, H, W)."""
    return set(map(tuple, image.flatten(1).T.tolist()))


@settings(max_examples=60, deadline=None)
@given(data=st.data(), height=st.integers(1, 5), width=st.integers(1, 4), whole=st.booleans())
def test_no_seam_is_cheaper(data, height, width, whole):
    value = st.integers(0, 20) if whole else st.floats(0, 20, width=32)
    rows = st.lists(st.lists(value, min_size=width, max_size=width), min_size=height, max_size=height)
    costs = torch.tensor(
        data.draw(st.lists(rows, min_size=1, max_size=3)), dtype=torch.int64 if whole else torch.float64
    )
    every = [s for s in itertools.product(range(width), repeat=height) if (abs(np.diff(s)) <= 1).all()]
    seams = minimum_seam(costs)
    assert seams.shape == costs.shape[:2] and seams.dtype == torch.int64
    for cost, seam in zip(costs, seams.tolist(), strict=True):
        assert tuple(seam) in every
        total = {s: sum(cost[y, x].item() for y, x in enumerate(s)) for s in every}
        assert total[tuple(seam)] == pytest.approx(min(total.values()), abs=1e-9)


def test_a_seam_goes_round_the_greedy_way():
    cost = torch.tensor([[0, 5, 2], [9, 9, 1], [9, 9, 1], [7, 0, 9]])  # greedy: 0 + 9 + 9 + 0
    assert minimum_seam(cost[None]).tolist() == [[2, 2, 2, 1]]


def test_of_equal_seams_the_left_one():
    assert minimum_seam(torch.zeros(1, 3, 4)).tolist() == [[0, 0, 0]]


@settings(max_examples=10, deadline=None)
@given(start=st.integers(0, 5), count=st.integers(1, 4), seed=st.integers(0, 99), at_once=st.sampled_from([1, 1 << 21]))
def test_a_texture_has_the_same_bits_in_every_batch(start, count, seed, at_once):
    pictures, seeds = noise(9, 16, 16, seed), seeds_for(9, seed)
    whole = synthesise(pictures, seeds)
    part = slice(start, start + count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_AT_ONCE", at_once)
        assert torch.equal(synthesise(pictures[part], seeds[part]), whole[part])


def test_seeds_decide():
    image = noise(1, 32, 32).expand(8, -1, -1, -1)
    assert len({texture.numpy().tobytes() for texture in synthesise(image, seeds_for(8))}) == 8
    same = synthesise(image, torch.full((8,), 5))
    assert (same == same[:1]).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_makes_the_same():
    pictures = scenes.render(50).images
    assert torch.equal(synthesise(pictures.cuda(), seeds_for(50).cuda()).cpu(), synthesise(pictures, seeds_for(50)))


@settings(max_examples=20, deadline=None)
@given(height=st.integers(8, 40), width=st.integers(8, 40), size=st.integers(1, 50), seed=st.integers(0, 99))
def test_every_pixel_is_a_pixel_of_a_patch(height, width, size, seed):
    pictures, seeds = noise(2, height, width, seed), seeds_for(2, seed)
    made = synthesise(pictures, seeds, size)
    assert made.shape == (2, 3, size, size) and made.dtype == torch.uint8
    sources = patches(pictures, seeds, geometry(min(height, width))[0])
    for texture, (centre, elsewhere) in zip(made, sources, strict=True):
        assert colours(texture) <= colours(centre) | colours(elsewhere)


def test_patches_are_the_centre_and_a_random_place():
    pictures = (torch.arange(32)[:, None] * 8 + torch.zeros(32)).byte().expand(500, 3, -1, -1)  # value: 8 times the row
    centre, elsewhere = patches(pictures, seeds_for(500), 14).unbind(1)
    assert (centre[:, 0, :, 0] == torch.arange(9, 23).byte() * 8).all()
    tops = elsewhere[:, 0, 0, 0].int() // 8
    assert set(tops.tolist()) == set(range(19))  # 32 - 14 + 1 places
    assert (elsewhere[:, 0, :, 0].int() // 8 == tops[:, None] + torch.arange(14)).all()


@pytest.mark.parametrize(("side", "sides"), [(32, (14, 7, 3)), (224, (96, 48, 19)), (8, (3, 2, 1))])
def test_geometry_follows_the_side(side, sides):
    assert geometry(side) == sides


def test_a_constant_image_gives_a_constant():
    values = torch.tensor([[0, 0, 0], [255, 255, 255], [3, 200, 90]]).byte()
    pictures = values[:, :, None, None].expand(-1, -1, 32, 32)
    assert torch.equal(synthesise(pictures, seeds_for(3), 40), values[:, :, None, None].expand(-1, -1, 40, 40))


@pytest.mark.parametrize("period", [2, 3, 5])
@pytest.mark.parametrize("upright", [True, False])
def test_stripes_keep_their_period(period, upright):
    wave = torch.arange(32) % period * 80
    stripes = wave.expand(6, 3, 32, 32).byte()
    made = synthesise(stripes if upright else stripes.mT, seeds_for(6))
    lines = made if upright else made.mT
    assert (lines == lines[:, :, :1]).all()  # straight
    assert (lines[..., period:] == lines[..., :-period]).all()
    assert (lines[..., 1:] != lines[..., :-1]).all()


def test_colours_stay_and_the_layout_goes():
    pictures, seeds = scenes.render(100).images, seeds_for(100)
    made = synthesise(pictures, seeds).float()
    sources = patches(pictures, seeds, 14).float().mean((1, 3, 4))
    assert (made.mean((2, 3)) - sources).abs().mean() < 12  # of 255
    # Where things were is forgotten: a texture is as unlike its image as another scene's colours laid out at random.
    coarse = torch.nn.functional.avg_pool2d

    def likeness(a, b):  # correlation of coarse layouts, colours taken off, averaged over images
        a, b = (coarse(x.float(), 8) for x in (a, b))
        a, b = (x - x.mean((2, 3), keepdim=True) for x in (a, b))
        return torch.cosine_similarity(a.flatten(1), b.flatten(1)).mean().item()

    assert likeness(pictures, made) < 0.15
    assert likeness(pictures, coarse(pictures.float(), 3, 1, 1)) > 0.9  # what a blur leaves, by the same measure


def test_a_flat_corner_does_not_fill_the_texture(monkeypatch):
    """What fits best next to a flat block is flat; the bound on its use leaves other parts their share."""
    image = noise(1, 32, 32)
    image[:, :, 20:] = 128
    image, seeds = image.expand(60, -1, -1, -1), seeds_for(60)
    share = (patches(image, seeds, 14) == 128).all(2).float().mean((1, 2, 3))

    def excess():  # of flat pixels over their share in the patches
        return ((synthesise(image, seeds) == 128).all(1).float().mean((1, 2)) - share).mean().item()

    bounded = excess()
    monkeypatch.setattr(module, "REPEATS", 1000)
    assert bounded < 0.1 < 0.15 < excess()


def bad(**changes):
    return {"images": noise(2, 16, 16), "seeds": seeds_for(2), "size": None} | changes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (bad(images=noise(2, 16, 16).float()), "uint8 (N, 3, H, W), with sides of at least 8 px, not float32"),
        (bad(images=noise(2, 16, 16)[:, :1]), "not uint8 (2, 1, 16, 16)"),
        (bad(images=noise(2, 7, 16)), "at least 8 px, not uint8 (2, 3, 7, 16)"),
        (bad(seeds=seeds_for(3)), "2 images take as many int64 seeds, not int64 (3,)"),
        (bad(seeds=seeds_for(2).int()), "not int32 (2,)"),
        (bad(size=0), "at least 1, or None (that of the images), not 0"),
        (bad(size=True), "not True"),
    ],
)
def test_bad_input_gets_a_sentence(arguments, sentence):
    with pytest.raises(BadInput, match=re.escape(sentence)):
        synthesise(**arguments)


def test_costs_of_another_shape_are_refused():
    with pytest.raises(BadInput, match=re.escape("not (3, 3)")):
        minimum_seam(torch.zeros(3, 3))


@pytest.fixture
def mine(mine, monkeypatch):
    """Textures of it in files of 10."""
    monkeypatch.setattr(module, "CACHED", 10)
    return mine


def kept():
    return sorted((paths.cache() / "textures").glob("*"))


@pytest.fixture
def made(monkeypatch):
    """The numbers of images of which textures were made, call by call."""
    calls = []

    def counted(pictures, *rest):
        calls.append(len(pictures))
        return synthesise(pictures, *rest)

    monkeypatch.setattr(module, "synthesise", counted)
    return calls


def test_textures_are_those_of_the_images_in_their_order(mine):
    pictures = load(mine, "test").images
    assert torch.equal(textures(mine, "test", progress=False), synthesise(pictures, derive(0, torch.arange(20))))


def test_the_second_call_reads(mine, made):
    first = textures(mine, "train", progress=False)
    assert made == [10, 10, 10, 10, 5]  # the last file ends with the split
    assert torch.equal(textures(mine, "train", progress=False), first)
    assert len(made) == len(kept()) == 5


def test_only_the_files_that_a_count_needs_are_made(mine, made):
    few = textures(mine, "train", 13, progress=False)
    assert made == [10, 10] and len(few) == 13
    assert torch.equal(textures(mine, "train", progress=False)[:13], few)
    assert made == [10, 10, 10, 10, 5]


def test_a_killed_run_goes_on(mine, made):
    first = textures(mine, "train", progress=False)
    kept()[-1].unlink()
    made.clear()
    assert torch.equal(textures(mine, "train", progress=False), first)
    assert len(made) == 1


@pytest.mark.parametrize("place", [3, -5])
def test_a_damaged_file_is_made_again(mine, made, capsys, place):
    first = textures(mine, "test", progress=False)
    damaged = kept()[0]
    content = bytearray(damaged.read_bytes())
    content[place] ^= 1
    damaged.write_bytes(content)
    assert torch.equal(textures(mine, "test", progress=False), first)
    assert made == [10, 10, 10]
    assert capsys.readouterr().err == f"{damaged} is damaged; making it again\n"
    textures(mine, "test", progress=False)
    assert made == [10, 10, 10]


def test_other_data_and_another_protocol_are_other_files(mine, made, monkeypatch):
    textures(mine, "test", 10, progress=False)
    textures(mine, "validation", progress=False)
    monkeypatch.setattr(module, "PROTOCOL", module.PROTOCOL + 1)
    textures(mine, "test", 10, progress=False)
    assert made == [10, 5, 10] and len(kept()) == 3


def test_scenes_have_textures_too(monkeypatch):
    monkeypatch.setattr(module, "CACHED", 8)
    monkeypatch.setattr(images, "SCENES_BLOCK", 8)
    assert torch.equal(
        textures("scenes", "test", 5, progress=False), textures("scenes", "test", 16, progress=False)[:5]
    )


@pytest.mark.parametrize("count", [0, True, "ten"])
def test_a_bad_count_is_refused(count):
    with pytest.raises(BadInput, match="number of images"):
        textures("scenes", "test", count, progress=False)
