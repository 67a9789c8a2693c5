import dataclasses

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import RandomResizedCrop

from lib.errors import BadInput
from lib.methods.emp_ssl import PATCH as EMP_SSL
from lib.views import (
    AUGMENTATIONS,
    BYOL,
    MULTI_CROP,
    SIMCLR,
    SUPERVISED,
    View,
    apply,
    augmentation_protocols,
    augmented,
    cost,
    cropped,
    draw,
    large_and_small,
    make_view,
)
from lib.views.operations import gaussian_blur


def draws(view: View, count: int = 4000, side=(32, 32), seed: int = 0):
    return draw(view, count, side, torch.Generator().manual_seed(seed))


def test_a_ratio_is_width_over_height():
    drawn = draws(View(crop_scale=(0.125, 0.125), crop_ratio=(2.0, 2.0)), count=8)
    assert (drawn.width == 16).all() and (drawn.height == 8).all()


def test_large_and_small_crops_by_hand():
    views = large_and_small(3, 2, 20)
    assert [(view.size, view.solarize, view.crop_scale) for view in views] == [
        (32, 0.0, (0.08, 1.0)), (32, 0.2, (0.08, 1.0)), (32, 0.0, (0.08, 1.0)), *[(20, 0.0, (0.08, 0.4))] * 2
    ]  # fmt: skip
    assert {view.saturation for view in views} == {0.2} and large_and_small(2, 0) == BYOL


@pytest.mark.parametrize(
    ("views", "expected"),
    [(SUPERVISED, 1), (SIMCLR, 2), (MULTI_CROP, 3), (large_and_small(2, 2), 2.5), (large_and_small(0, 3), 3)],
)
def test_small_views_cost_as_their_areas(views, expected):
    assert cost(views) == expected


@pytest.mark.parametrize(("side", "scale"), [((32, 32), (0.08, 1.0)), ((32, 64), (0.5, 1.0)), ((40, 20), (0.9, 1.0))])
def test_crop_boxes_are_distributed_as_torchvision_draws_them(side, scale):
    """The narrow sides make torchvision fall back to the central crop now and then: ours must as often."""
    drawn = draws(View(crop_scale=scale), side=side)
    ours = torch.stack((drawn.top, drawn.left, drawn.height, drawn.width)).long().numpy()
    torch.manual_seed(0)
    image = torch.empty(3, *side)
    theirs = np.array([RandomResizedCrop.get_params(image, list(scale), [3 / 4, 4 / 3]) for _ in range(4000)]).T
    for our, their in zip(ours, theirs, strict=True):
        if len(np.unique(their)) == 1:
            assert set(our) == set(their)
        else:
            assert stats.ks_2samp(our, their).pvalue > 1e-3


def test_crop_boxes_lie_inside():
    drawn = draws(View(), side=(20, 30))
    assert (drawn.top >= 0).all() and (drawn.top + drawn.height <= 20).all()
    assert (drawn.left >= 0).all() and (drawn.left + drawn.width <= 30).all()


def test_probabilities_and_ranges():
    drawn = draws(View(blur=0.3, solarize=0.2))
    shares = {
        0.5: drawn.flip, 0.2: drawn.grey, 0.3: drawn.sigma > 0, 0.8: drawn.hue != 0,
    }  # fmt: skip
    for share, chosen in shares.items():
        assert abs(chosen.float().mean().item() - share) < 4 * (share * (1 - share) / 4000) ** 0.5
    assert ((drawn.threshold == 0.5).float().mean() - 0.2).abs() < 0.03
    jittered = drawn.brightness[drawn.hue != 0].numpy()
    assert stats.kstest((jittered - 0.6) / 0.8, "uniform").pvalue > 1e-3
    assert (drawn.brightness[drawn.hue == 0] == 1).all()
    assert sorted(drawn.order[0].tolist()) == [0, 1, 2, 3]
    firsts = np.bincount(drawn.order[:, 0].numpy())
    assert stats.chisquare(firsts).pvalue > 1e-3


def test_each_image_has_its_own_draw():
    image = torch.randint(256, (1, 3, 32, 32), dtype=torch.uint8)
    views = make_view(image.expand(64, -1, -1, -1), SIMCLR[0], torch.Generator().manual_seed(0))
    assert len({view.numpy().tobytes() for view in views}) == 64


def test_chunks_do_not_show(generator):
    images = torch.randint(256, (300, 3, 32, 32), dtype=torch.uint8, generator=generator)
    view = BYOL[1]
    whole = apply(images, view, draw(view, 300, (32, 32), torch.Generator().manual_seed(1)))
    assert torch.allclose(make_view(images, view, torch.Generator().manual_seed(1)), whole, atol=1e-6)


def test_views_are_images(generator):
    images = torch.randint(256, (50, 3, 40, 40), dtype=torch.uint8, generator=generator)
    views = make_view(images, View(size=24, blur=1.0, solarize=1.0), generator)
    assert views.shape == (50, 3, 24, 24) and views.min() >= 0 and views.max() <= 1


def test_white_is_one_and_other_levels_are_255ths_of_it():
    levels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    plain = View(size=16, crop_scale=(1.0, 1.0), crop_ratio=(1.0, 1.0), flip=0.0, jitter=0.0, grey=0.0)
    seen = make_view(levels, plain, torch.Generator().manual_seed(0))
    assert torch.allclose(seen.flatten(2)[0], torch.arange(256) / 255, atol=1e-6)


def test_recipes_are_the_papers():
    assert SIMCLR[0] == SIMCLR[1] == View(crop_scale=(0.08, 1.0), brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1)
    assert [view.solarize for view in BYOL] == [0.0, 0.2] and {view.saturation for view in BYOL} == {0.2}
    with pytest.raises(dataclasses.FrozenInstanceError):
        SIMCLR[0].flip = 0.0


@pytest.mark.parametrize(
    "bad",
    [
        {"flip": 1.5},
        {"grey": -0.1},
        {"crop_scale": (1.0, 0.5)},
        {"blur_sigma": (0.0, 1.0)},
        {"blur_reach": 0.0},
        {"blur_reach": float("inf")},
    ],
)
def test_bad_recipe_is_one_sentence(bad):
    with pytest.raises(BadInput, match=next(iter(bad))):
        View(**bad)


@pytest.mark.parametrize(("view", "kernel"), [
    (View(), 3), (View(size=224), 23), (View(size=96), 9), (View(blur_reach=3.0), 13),
    (View(blur_reach=3.0, blur_sigma=(0.1, 1.0)), 7), (View(size=4, blur_reach=3.0), 7),
])  # fmt: skip
def test_kernels_of_the_blur(view, kernel):
    """A tenth of the side as in SimCLR, or so many standard deviations, as far as there are pixels to reflect."""
    assert view.blur_kernel == kernel
    blurred = make_view(torch.randint(256, (2, 3, 40, 40), dtype=torch.uint8), dataclasses.replace(view, blur=1.0),
                        torch.Generator().manual_seed(0))  # fmt: skip
    assert blurred.shape[-1] == view.size and blurred.isfinite().all()


def test_recipes_that_blur_have_a_whole_gaussian():
    """At their largest sigma, on a white line: the standard deviation of what becomes of it."""
    line = torch.zeros(1, 3, 33, 33)
    line[..., 16] = 1
    for view, sigma in [(EMP_SSL, 2.0), (augmented(View(), "default"), 1.0), (augmented(BYOL[0], "only blur"), 1.0)]:
        assert view.blur and view.blur_sigma == (0.1, sigma)
        across = gaussian_blur(line, torch.tensor([sigma]), view.blur_kernel)[0, 0, 16].numpy()
        assert np.sqrt(across @ (np.arange(33) - 16.0) ** 2) == pytest.approx(sigma, rel=0.02)


def test_augmentations_that_blur_have_a_protocol_of_their_own():
    assert {name for name in AUGMENTATIONS if augmentation_protocols(name)} == {
        name for name in AUGMENTATIONS if augmented(View(), name).blur
    }  # fmt: skip
    assert augmentation_protocols("default") == {"blur": 2} and augmentation_protocols("spatial") == {}


def changes(drawn) -> set[str]:
    """Which augmentations show in what was drawn for images of 32 px."""
    shown = {
        "crop": (drawn.height < 32) | (drawn.width < 32),
        "flip": drawn.flip,
        "jitter": drawn.brightness != 1,
        "grey": drawn.grey,
        "blur": drawn.sigma > 0,
    }
    assert (drawn.threshold > 1).all()  # no recipe of the paper inverts bright pixels
    return {name for name, chosen in shown.items() if chosen.any()}


@pytest.mark.parametrize(("augmentation", "parts"), [
    ("default", {"crop", "flip", "jitter", "grey", "blur"}),
    ("spatial", {"crop", "flip"}),
    ("appearance", {"jitter", "grey", "blur"}),
    ("only jitter", {"jitter"}),
    ("no crop", {"flip", "jitter", "grey", "blur"}),
])  # fmt: skip
@pytest.mark.parametrize("view", [SIMCLR[0], BYOL[1], SUPERVISED[0]])
def test_augmentations_change_what_they_name_and_nothing_else(augmentation, parts, view):
    assert changes(draws(augmented(view, augmentation), count=500)) == parts


def test_augmentations_are_the_papers():
    """Table of recipes of arXiv 2111.11398: crops of a fifth at least, jitter of 0.4 and a tenth of a turn."""
    view = augmented(View(size=48), "default")
    assert (view.size, view.crop_scale, view.crop_ratio) == (48, (0.2, 1.0), (3 / 4, 4 / 3))
    assert (view.jitter, view.brightness, view.contrast, view.saturation, view.hue) == (0.8, 0.4, 0.4, 0.4, 0.1)
    assert (view.flip, view.grey, view.blur) == (0.5, 0.2, 0.5)
    assert len(AUGMENTATIONS) == 14


def test_any_hue_is_the_default_but_for_the_hue():
    assert augmented(View(), "any hue") == dataclasses.replace(augmented(View(), "default"), hue=0.5)


def test_without_crop_and_flip_a_view_is_the_image_in_other_colours(generator):
    """A white dot on black stays where it is, whatever happens to colours; blur may spread it by its kernel."""
    image = torch.zeros(16, 3, 32, 32, dtype=torch.uint8)
    image[:, :, 5, 20] = 255
    for seen in make_view(image, augmented(SIMCLR[0], "appearance"), generator):
        assert divmod(int(seen.sum(dim=0).argmax()), 32) == (5, 20)


def test_cropped_leaves_whole_images_alone():
    assert cropped(View(), 0.6).crop_scale == (0.6, 1.0)
    whole = augmented(View(), "no crop")
    assert cropped(whole, 0.6) == whole


def test_unknown_augmentation_names_the_known():
    with pytest.raises(BadInput, match=r"unknown augmentation 'ventral'.*allowed: default, spatial, appearance"):
        augmented(View(), "ventral")
