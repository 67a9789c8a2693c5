"""Saliency: maps against transcriptions and SciPy's shortest paths, masks against scikit-learn."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.sparse import lil_matrix
from scipy.sparse.csgraph import dijkstra
from skimage.color import rgb2lab
from sklearn.metrics import jaccard_score

from lib.errors import BadInput
from lib.images import scenes
from lib.shifts import saliency
from lib.shifts.saliency import (
    binary,
    centre_prior,
    colour_contrast,
    fused,
    geodesic,
    iou,
    lab,
    on_dark,
    remove_background,
    spectral_residual,
)

MAPS = (spectral_residual, colour_contrast, geodesic, centre_prior, fused)


def noise(count, height=16, width=16, seed=0):
    return torch.randint(256, (count, 3, height, width), generator=torch.Generator().manual_seed(seed)).byte()


def disc(ground=(60, 60, 60), colour=(220, 40, 40), side=32, middle=(16, 16), radius=7):
    """A disc before a plain ground, (1, 3, side, side), and where it is."""
    rows, columns = torch.arange(side)[:, None] - middle[0], torch.arange(side) - middle[1]
    inside = rows.square() + columns.square() <= radius**2
    image = torch.where(inside, torch.tensor(colour)[:, None, None], torch.tensor(ground)[:, None, None])
    return image.byte()[None], inside[None]


def stretched(values):
    return (values - values.min()) / (values.max() - values.min())


def frame_of(height, width):
    return [(y, x) for y in range(height) for x in range(width) if y in (0, height - 1) or x in (0, width - 1)]


def contrast_reference(colours):
    """Distance to the nearest quarter of the frame's colours, (H, W), pixel by pixel."""
    frame = np.array([colours[place] for place in frame_of(*colours.shape[:2])])
    rank = -(-len(frame) // 4)  # a quarter, upwards
    return np.array([[np.sort(np.linalg.norm(frame - c, axis=1))[rank - 1] for c in row] for row in colours])


def test_lab_is_that_of_scikit_image():
    pictures = noise(4)
    pictures[0] = torch.arange(256).view(16, 16).byte()  # all greys
    theirs = rgb2lab(pictures.permute(0, 2, 3, 1).numpy())
    assert np.allclose(lab(pictures).permute(0, 2, 3, 1), theirs, atol=2e-3)


@pytest.mark.parametrize("shape", [(16, 16), (20, 33)])
def test_spectral_residual_is_its_transcription(shape):
    image = noise(1, *shape)
    red, green, blue = image[0].numpy().astype(float)
    spectrum = np.fft.fft2(0.2989 * red + 0.587 * green + 0.114 * blue)
    log = np.log(np.maximum(np.abs(spectrum), 1))
    residual = log - ndimage.uniform_filter(log, 3, mode="wrap")
    # Amplitudes below one level keep their size; in noise they are rare, but they are there.
    size = np.minimum(np.abs(spectrum), 1)
    saliency_map = np.abs(np.fft.ifft2(size * np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    blurred = ndimage.gaussian_filter(saliency_map, 5 / 64 * min(shape), mode="nearest", truncate=4)
    assert np.allclose(spectral_residual(image)[0], stretched(blurred), atol=1e-5)


@pytest.mark.parametrize("shape", [(16, 16), (17, 22)])
def test_contrast_and_geodesic_distance_against_loops_and_dijkstra(shape):
    image = noise(1, *shape)
    height, width = shape
    colours = rgb2lab(image[0].permute(1, 2, 0).numpy())
    contrast = contrast_reference(colours)
    assert np.allclose(colour_contrast(image)[0], stretched(contrast), atol=1e-4)
    graph, source = lil_matrix((height * width + 1,) * 2), height * width
    for y in range(height):
        for x in range(width):
            for other in ((y, x + 1), (y + 1, x)):
                if other[0] < height and other[1] < width:
                    step = np.linalg.norm(colours[y, x] - colours[other])
                    graph[y * width + x, other[0] * width + other[1]] = step
    for y, x in frame_of(height, width):
        graph[source, y * width + x] = contrast[y, x]
    costs = dijkstra(graph.tocsr(), directed=False, indices=source)[:-1].reshape(shape)
    assert np.allclose(geodesic(image)[0], stretched(costs), atol=1e-4)


def test_geodesic_distance_tells_what_is_enclosed_by_another_colour():
    """A spot of the ground's own colour within a ring: contrast does not see it, the way to it is dear."""
    image, inside = disc()
    _, hole = disc(radius=3)
    image = torch.where(hole[:, None], torch.tensor(60).byte(), image)
    assert (colour_contrast(image)[hole] == 0).all()
    assert (geodesic(image)[hole] > 0.9).all() and (geodesic(image)[~inside] == 0).all()


def test_the_centre_prior_is_a_gaussian():
    bump = centre_prior(noise(2, 16, 24))
    y, x = (np.arange(16) + 0.5) / 16 - 0.5, (np.arange(24) + 0.5) / 24 - 0.5
    expected = stretched(np.exp(-8 * (y[:, None] ** 2 + x**2)))
    assert np.allclose(bump, expected, atol=1e-6) and bump.shape == (2, 16, 24)


@settings(max_examples=15, deadline=None)
@given(height=st.integers(16, 40), width=st.integers(16, 40), seed=st.integers(0, 99), place=st.integers(0, 2))
def test_maps_reach_from_0_to_1_whatever_the_batch(height, width, seed, place):
    pictures = noise(3, height, width, seed)
    for saliency_map in MAPS:
        maps = saliency_map(pictures)
        assert maps.shape == (3, height, width) and maps.dtype == torch.float32
        assert (maps.amin((1, 2)) == 0).all() and (maps.amax((1, 2)) == 1).all()
        assert torch.allclose(saliency_map(pictures[place : place + 1])[0], maps[place], atol=1e-5)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99))
def test_maps_mirror_with_their_image(seed):
    pictures = noise(2, 16, 20, seed)
    for saliency_map in MAPS:
        assert torch.allclose(saliency_map(pictures.flip(3)), saliency_map(pictures).flip(2), atol=1e-4)


def test_where_nothing_stands_out_only_the_middle_is_left():
    flat = torch.tensor([[0, 0, 0], [255, 255, 255], [3, 200, 90]]).byte()[:, :, None, None].expand(-1, -1, 32, 32)
    for saliency_map in (spectral_residual, colour_contrast, geodesic):
        assert (saliency_map(flat) == 0).all()
    assert torch.allclose(fused(flat), centre_prior(flat))


@pytest.mark.parametrize("saliency_map", [colour_contrast, geodesic, fused])
def test_a_disc_is_found(saliency_map):
    image, inside = disc(middle=(14, 19))
    assert iou(binary(saliency_map(image)), inside).item() > 0.9


def test_an_object_that_touches_the_frame_and_a_ground_of_two_colours():
    image, inside = disc(middle=(16, 4))  # less than a quarter of the frame
    assert torch.equal(binary(colour_contrast(image)), inside)
    assert torch.equal(binary(geodesic(image)), inside)
    striped = torch.where((torch.arange(32) % 8 < 4) & ~inside[:, None], torch.tensor(110).byte(), image)
    assert torch.equal(binary(colour_contrast(striped)), inside)


def test_large_images_are_seen_reduced():
    small, _ = disc(side=64, middle=(30, 34), radius=12)
    large = small.repeat_interleave(3, 2).repeat_interleave(3, 3)
    maps = fused(large)
    assert maps.shape == (1, 192, 192)
    assert iou(binary(maps)[:, 1::3, 1::3], binary(fused(small))).item() > 0.9  # less than a pixel of its outline


def test_fused_maps_find_most_of_an_object_in_scenes():
    rendered = scenes.render(60, split="validation")
    found = {f.__name__: iou(binary(f(rendered.images)), rendered.masks).mean().item() for f in MAPS}
    assert found["fused"] > 0.85 and max(found, key=found.get) == "fused"


# Backgrounds and overlap


def test_a_removed_background_is_filled():
    image = torch.tensor([[10, 20], [30, 41]]).byte().expand(1, 3, 2, 2)
    mask = torch.tensor([[[True, False], [False, True]]])
    for fill, value in (("zero", 0), ("grey", 128), ("mean", 25)):  # 25.25
        filled = remove_background(image, mask, fill)
        assert filled[0, 1].tolist() == [[10, value], [value, 41]] and filled.dtype == torch.uint8
    assert torch.equal(remove_background(image, mask), image * mask[:, None])
    half = remove_background(image, torch.full((1, 2, 2), 0.5), "grey")
    assert half[0, 0].tolist() == [[69, 74], [79, 84]]  # 84.5 to the even


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99), fill=st.sampled_from(saliency.FILLS))
def test_objects_stay_as_they_are(seed, fill):
    pictures = noise(3, seed=seed)
    mask = noise(3, seed=seed + 1)[:, 0] > 100
    filled = remove_background(pictures, mask, fill)
    inside = mask[:, None].expand_as(pictures)
    assert torch.equal(filled[inside], pictures[inside])
    assert torch.equal(remove_background(pictures, torch.ones_like(mask), fill), pictures)


def test_objects_before_darkness():
    image, inside = disc(ground=(20, 25, 40), colour=(41, 0, 0))
    spot = torch.zeros(32, 32, dtype=torch.bool)
    spot[16, 16] = True  # dark, but within
    image[:, :, spot] = 5
    image[0, :, 0, 5] = 200  # bright and on the frame
    inside[0, 0, 5] = True
    assert torch.equal(on_dark(image), inside)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), share=st.sampled_from([0, 1, 128, 255]))
def test_iou_is_scikit_learns_jaccard_score(seed, share):
    first, second = (noise(3, seed=seed + k)[:, 0] < share for k in (0, 1000))
    expected = [jaccard_score(a.flatten(), b.flatten(), zero_division=1.0) for a, b in zip(second, first, strict=True)]
    assert iou(first, second).tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: fused(noise(2).float()),
            "uint8 (N, 3, H, W), with sides of at least 16 px, at least one, not float32",
        ),
        (lambda: lab(noise(2)[:, :1]), "not uint8 (2, 1, 16, 16)"),
        (lambda: geodesic(noise(2)[:0]), "at least one, not uint8 (0, 3, 16, 16)"),
        (lambda: spectral_residual(noise(2, 15, 16)), "at least 16 px, at least one, not uint8 (2, 3, 15, 16)"),
        (lambda: remove_background(noise(2), torch.ones(2, 8, 8)), "of shape (2, 16, 16), not float32 (2, 8, 8)"),
        (lambda: remove_background(noise(2), noise(2)[:, 0]), "bool or float of shape (2, 16, 16), not uint8"),
        (lambda: remove_background(noise(2), noise(2)[:, 0] > 9, "blur"), "unknown fill 'blur'; allowed: zero, grey"),
        (lambda: iou(noise(2)[:, 0], noise(2)[:, 0] > 9), "bool of one shape (N, H, W), not torch.uint8"),
    ],
)
def test_bad_input_gets_a_sentence(call, sentence):
    with pytest.raises(BadInput, match=re.escape(sentence)):
        call()
