"""Versions that keep one cue, against scikit-image, SciPy and closed forms; what each must keep and lose."""

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.feature import canny
from skimage.filters import threshold_otsu

from lib.errors import BadInput
from lib.images import scenes
from lib.randomness import derive
from lib.shifts.cues import (
    EDGE_SIGMA,
    FLATTEST_EDGE,
    NO_EDGE_SHARE,
    STYLE_CUTOFF,
    WEAK_SHARE,
    edges,
    high_pass,
    low_pass,
    otsu,
    patch_shuffle,
    recolour,
    silhouette,
    sobel,
    stylise,
)
from lib.views.operations import GREY_WEIGHTS


def pictures(count=6, height=32, width=32, seed=0):
    """Coarse colours with fine noise, not clipped."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=generator) * 160 + 40
    smooth = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bilinear")
    return (smooth + 8 * torch.randn(smooth.shape, generator=generator)).clamp(0, 255).round().byte()


def seeds(count, seed=0):
    return derive(seed, torch.arange(count))


def grey_disk(level=30, around=200, size=32, radius=9):
    """A disk of one grey in the middle of another: the image (1, 3, S, S) and its mask (1, S, S)."""
    line = torch.arange(size) - (size - 1) / 2
    mask = (line[:, None] ** 2 + line**2 <= radius**2)[None]
    return torch.where(mask[:, None], level, around).byte().expand(-1, 3, -1, -1), mask


EVERY = {
    "patch_shuffle": lambda images: patch_shuffle(images, 4, seeds(len(images))),
    "low_pass": lambda images: low_pass(images, 4),
    "high_pass": lambda images: high_pass(images, 4),
    "edges": edges,
    "silhouette": silhouette,
    "recolour": lambda images: recolour(images, 255 - images.flip(-1)),
    "stylise": lambda images: stylise(images, 255 - images.flip(-2), images.flip(-1)),
}


@pytest.mark.parametrize("name", EVERY)
def test_an_image_comes_out_the_same_whatever_its_batch(name):
    images = torch.cat((pictures(9), scenes.render(8).images))
    before, whole = images.clone(), EVERY[name](images)
    assert whole.shape == images.shape and whole.dtype == torch.uint8 and whole.is_contiguous()
    for size in (1, 5):
        parts = [EVERY[name](part) for part in images.split(size)] if name != "patch_shuffle" else [
            patch_shuffle(part, 4, own) for part, own in zip(images.split(size), seeds(17).split(size), strict=True)
        ]  # fmt: skip
        assert torch.equal(torch.cat(parts), whole)
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_no_image_is_refused(name):
    for wrong in (pictures(2).float(), pictures(2)[:, :1], pictures(2)[0], pictures(2)[:0]):
        with pytest.raises(BadInput, match="uint8"):
            EVERY[name](wrong)


# ---- Layout


@given(st.integers(2, 4), st.integers(1, 5), st.integers(1, 5), st.integers(0, 2**40))
@settings(max_examples=40, deadline=None)
def test_shuffled_pieces_are_the_images_own(pieces, high, wide, seed):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (3, 3, pieces * high, pieces * wide), dtype=torch.uint8, generator=generator)
    shuffled = patch_shuffle(images, pieces, seeds(3, seed))

    def cut(image):
        rows = [row.split(wide, dim=2) for row in image.split(high, dim=1)]
        return [tuple(piece.flatten().tolist()) for row in rows for piece in row]

    for before, after in zip(images, shuffled, strict=True):
        assert sorted(cut(before)) == sorted(cut(after))


def test_the_order_of_pieces_is_drawn_for_each_image_and_never_the_old_one():
    numbered = torch.arange(4, dtype=torch.uint8).view(1, 1, 2, 2).expand(3000, 3, -1, -1)
    orders = patch_shuffle(numbered, 2, seeds(3000))[:, 0].flatten(1)
    found, counts = orders.unique(dim=0, return_counts=True)
    assert len(found) == 23 and [0, 1, 2, 3] not in found.tolist()  # of 24
    expected = torch.full((23,), 125)
    expected[found.tolist().index([3, 0, 1, 2])] *= 2  # what stands in for the old order
    assert ((counts - expected).abs() < 5 * expected.sqrt()).all()
    assert torch.equal(orders, patch_shuffle(numbered, 2, seeds(3000))[:, 0].flatten(1))
    assert not torch.equal(orders, patch_shuffle(numbered, 2, seeds(3000, 1))[:, 0].flatten(1))


@pytest.mark.parametrize("pieces", [0, 1, 2.5, True, "4", 3, 5.0])
def test_pieces_that_do_not_fit(pieces):
    words = "divides 32 and 32" if pieces in (3, 5) else "a whole number of at least 2, not"
    with pytest.raises(BadInput, match=words):
        patch_shuffle(pictures(2), pieces, seeds(2))


def test_seeds_that_do_not_fit():
    with pytest.raises(BadInput, match="seeds of shape"):
        patch_shuffle(pictures(2), 2, seeds(3))


# ---- Frequency


@pytest.mark.parametrize("cutoff", [1.5, 2, 4, 8])
def test_low_pass_by_scipys_cosine_transform(cutoff):
    images = pictures(3, 24, 40)
    spectrum = scipy.fft.dctn(images.numpy().astype(float), axes=(2, 3))
    down, across = np.arange(24)[:, None] / 2, np.arange(40) / 2  # cycles an image
    spectrum *= 0.5 ** ((down**2 + across**2) / cutoff**2)
    expected = scipy.fft.idctn(spectrum, axes=(2, 3))
    assert np.abs(low_pass(images, cutoff).numpy() - expected).max() <= 0.5 + 1e-5


@given(st.floats(0.3, 40), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_low_and_high_add_up_to_the_image(cutoff, seed):
    images = pictures(2, seed=seed)
    low, high = low_pass(images, cutoff).int(), high_pass(images, cutoff).int()
    whole = (high > 0) & (high < 255)
    assert whole.float().mean() > 0.99
    assert (low + high - 128 - images)[whole].abs().max() <= 1


@pytest.mark.parametrize("cutoff", [2, 4, 8])
def test_a_wave_at_the_cutoff_loses_half(cutoff):
    place = (torch.arange(32) + 0.5) / 32
    wave = 100 * torch.cos(2 * torch.pi * cutoff * place)  # mirrored at the borders, it goes on
    image = (128 + wave).round().byte().expand(1, 3, 32, 32)
    for half in (low_pass, high_pass):
        assert (half(image, cutoff) - (128 + wave / 2)).abs().max() <= 1.1
        assert (half(image.mT, cutoff) - (128 + wave / 2)[:, None]).abs().max() <= 1.1


def test_means_stay_low_and_leave_high():
    images = pictures()
    mean = images.double().mean((2, 3))
    assert (low_pass(images, 3).double().mean((2, 3)) - mean).abs().max() < 0.1
    assert (high_pass(images, 3).double().mean((2, 3)) - 128).abs().max() < 0.1
    flat = torch.full((1, 3, 32, 32), 77, dtype=torch.uint8)
    assert (low_pass(flat, 2) == 77).all() and (high_pass(flat, 2) == 128).all()


@pytest.mark.parametrize("cutoff", [0, -1, float("nan"), float("inf"), True, "4"])
def test_cutoffs_that_are_none(cutoff):
    for function in (low_pass, high_pass, lambda images, c: stylise(images, images, images, c)):
        with pytest.raises(BadInput, match="cycles an image"):
            function(pictures(1), cutoff)


# ---- Shape


def test_sobel_is_scipys():
    planes = pictures(3, 20, 28)[:, :1].double()
    across, down = sobel(planes)
    for plane, a, d in zip(planes[:, 0].numpy(), across[:, 0], down[:, 0], strict=True):
        assert np.array_equal(a.numpy(), scipy.ndimage.sobel(plane, axis=1))
        assert np.array_equal(d.numpy(), scipy.ndimage.sobel(plane, axis=0))


@pytest.mark.parametrize("size", [(32, 32), (40, 27)])
def test_edges_are_scikit_images_at_the_same_thresholds(size):
    images = pictures(40, *size)
    ours = edges(images)[:, 0] == 0
    apart = 0
    for image, own in zip(images.double().numpy(), ours.numpy(), strict=True):
        grey = np.tensordot(GREY_WEIGHTS, image, axes=1)
        smooth = scipy.ndimage.gaussian_filter(grey, EDGE_SIGMA, mode="nearest")
        steepness = np.hypot(scipy.ndimage.sobel(smooth, axis=0), scipy.ndimage.sobel(smooth, axis=1))
        high = max(FLATTEST_EDGE, np.sort(steepness, axis=None)[round(NO_EDGE_SHARE * steepness.size) - 1])
        theirs = canny(grey, EDGE_SIGMA, WEAK_SHARE * high, high, mode="nearest")
        assert own.any()
        apart += int((own != theirs).sum())
    assert apart <= 2  # comparisons within 2**-16 of a tie


@pytest.mark.parametrize("turned", [False, True])
def test_the_edge_of_a_step_is_one_line_at_it(turned):
    image = torch.full((1, 3, 32, 32), 100, dtype=torch.uint8)
    image[..., 16:] = 180
    image[..., 17:] = 200  # off the tie between two pixels
    result = edges(image.mT if turned else image)
    result = result.mT if turned else result
    expected = torch.full_like(image, 255)
    expected[:, :, 1:-1, 16] = 0
    assert torch.equal(result, expected)


def test_faint_steps_and_flat_images_have_no_edges():
    step = torch.full((3, 3, 32, 32), 100, dtype=torch.uint8)
    step[1, ..., 16:] += 7
    step[2, ..., 16:] += 9
    black = (edges(step) == 0).sum((1, 2, 3))
    assert black[0] == black[1] == 0 < black[2]


def test_edges_do_not_see_colour_or_contrast():
    image = pictures(4)
    fainter = (image.double() / 2).round().byte()
    assert ((edges(image) != edges(fainter)).float().mean()) < 0.03
    negative = 255 - image
    assert ((edges(image) != edges(negative)).float().mean()) < 0.01


@given(st.lists(st.integers(0, 60), min_size=2, max_size=40), st.integers(0, 1))
@settings(deadline=None)
def test_otsu_separates_as_scikit_images_does(values, offset):
    values = np.array(values, dtype=np.int64) * 7 + offset
    ours = otsu(torch.tensor(values)[None]).item()
    if len(set(values)) == 1:
        assert ours <= values[0]
        return

    def between(threshold):
        low, high = values[values <= threshold], values[values > threshold]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    assert between(ours) == pytest.approx(between(threshold_otsu(values)), rel=1e-9)
    assert between(ours) >= max(between(t) for t in sorted(set(values))[:-1]) * (1 - 1e-9)


def test_otsu_by_hand():
    assert otsu(torch.tensor([[1, 2, 9, 10], [0, 0, 0, 5], [3, 3, 3, 3]])).tolist() == [2, 0, 0]


def test_a_mask_is_the_silhouette():
    rendered = scenes.render(5)
    result = silhouette(rendered.images, rendered.masks)
    assert torch.equal(result, torch.where(rendered.masks[:, None], 0, 255).byte().expand(-1, 3, -1, -1))


def test_a_disk_is_guessed_whatever_its_colour():
    for level, around in ((30, 200), (255, 0), (90, 140)):
        image, mask = grey_disk(level, around)
        guessed = silhouette(image)[:, 0] == 0
        assert (guessed != mask).sum() <= 12  # of the 60 pixels at its border
    assert (silhouette(torch.full((1, 3, 32, 32), 9, dtype=torch.uint8)) == 255).all()  # there is none


def test_guesses_of_scenes_are_better_than_chance():
    rendered = scenes.render(200)
    guessed = silhouette(rendered.images)[:, 0] == 0
    overlap = (guessed & rendered.masks).sum((1, 2)) / (guessed | rendered.masks).sum((1, 2))
    assert overlap.median() > 0.6


def test_masks_that_do_not_fit():
    for wrong in (torch.ones(2, 32, 32), torch.ones(2, 31, 32, dtype=torch.bool)):
        with pytest.raises(BadInput, match="masks"):
            silhouette(pictures(2), wrong)


# ---- Colour and texture


def moments(images):
    flat = images.double().flatten(2)
    return flat.mean(2), torch.stack([torch.cov(image, correction=0) for image in flat])


def test_recoloured_images_have_the_donors_mean_and_covariance():
    images, donors = pictures(8), pictures(8, 20, 26, seed=1)
    result = recolour(images, donors)
    assert ((result > 0) & (result < 255)).float().mean() > 0.99
    mean, covariance = moments(result)
    donor_mean, donor_covariance = moments(donors)
    assert (mean - donor_mean).abs().max() < 0.5
    assert ((covariance - donor_covariance).norm(dim=(1, 2)) < 0.03 * donor_covariance.norm(dim=(1, 2))).all()


def test_the_map_of_colours_is_monge_and_kantorovichs():
    """The closed form by SciPy's matrix roots; a positive definite map, so it is the least that moves."""
    (image,), (donor,) = pictures(1), pictures(1, seed=1)
    (mean,), (a,) = (m.numpy() for m in moments(image[None]))
    (donor_mean,), (b,) = (m.numpy() for m in moments(donor[None]))
    root = scipy.linalg.sqrtm(a)
    inverse = np.linalg.inv(root)
    transport = inverse @ scipy.linalg.sqrtm(root @ b @ root) @ inverse
    assert (np.linalg.eigvalsh(transport) > 0).all()
    expected = transport @ (image.flatten(1).numpy() - mean[:, None]) + donor_mean[:, None]
    ours = recolour(image[None], donor[None])[0].flatten(1).numpy()
    assert np.abs(ours - expected.clip(0, 255)).max() <= 0.5 + 1e-4


def test_an_image_in_its_own_colours_is_itself():
    images = pictures()
    assert torch.equal(recolour(images, images), images)
    assert torch.equal(recolour(images, images[:, :, torch.randperm(32)]), images)  # the donor's layout does not count


def test_grey_images_stay_free_of_noise():
    grey = pictures(4)[:, :1].expand(-1, 3, -1, -1)
    result = recolour(grey, pictures(4, seed=1))
    order = grey[:, 0].flatten(1).argsort(dim=1, stable=True)
    for channel in result.unbind(1):  # each channel is a monotone function of the grey level
        steps = channel.flatten(1).int().gather(1, order).diff(dim=1)
        assert ((steps >= 0).all(1) | (steps <= 0).all(1)).all()


def test_above_the_cutoff_nothing_of_the_image_is_left_in_style():
    """Two images that differ in fine texture only become one; two textures that differ become two."""
    line = torch.arange(32)
    checks = ((line[:, None] + line) % 2 * 2 - 1) * 20
    smooth = low_pass(pictures(4, seed=3), 3).int().clamp(30, 220)
    plain, checked = smooth.byte(), (smooth + checks).byte()
    donors, textures = pictures(4, seed=4), pictures(4, seed=5)
    first, second = stylise(plain, donors, textures), stylise(checked, donors, textures)
    inner = (first.int() - second)[..., 4:-4, 4:-4]  # at the borders a mirrored check is no longer one
    assert inner.abs().max() <= 2
    other = (textures.int() + checks).clamp(0, 255).byte()
    assert (first.int() - stylise(plain, donors, other)).abs().float().mean() > 10


def test_style_has_the_donors_colours_and_the_images_layout():
    images, donors = pictures(8), pictures(8, seed=1)
    flat = torch.full_like(images, 50)
    result = stylise(images, donors, flat)  # no texture at all
    mean, covariance = moments(result)
    donor_mean, donor_covariance = moments(donors)
    assert (mean - donor_mean).abs().max() < 1
    assert ((covariance - donor_covariance).norm(dim=(1, 2)) < 0.1 * donor_covariance.norm(dim=(1, 2))).all()
    assert (result.int() - recolour(low_pass(images, STYLE_CUTOFF), donors)).abs().max() <= 2


def test_donors_that_do_not_fit():
    with pytest.raises(BadInput, match="one donor"):
        recolour(pictures(3), pictures(2))
    with pytest.raises(BadInput, match="one donor"):
        stylise(pictures(3), pictures(2), pictures(3))
    with pytest.raises(BadInput, match="shape of the images"):
        stylise(pictures(3), pictures(3), pictures(3, 16))
