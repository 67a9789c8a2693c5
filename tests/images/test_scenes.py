"""The embedded data set: what is drawn, what is recorded, and that the two agree."""

import functools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.neighbors import KNeighborsClassifier

from lib.errors import BadInput
from lib.images import load, scenes
from lib.images.scenes import FACTORS, SHAPES, SHIFTS, draw_factors, render, render_factors
from lib.methods import METHODS, build_method
from lib.models import build_encoder
from lib.training import Training, train

SOLIDS = dict(zip(SHAPES, scenes._SOLIDS, strict=True))


def factors(count=1, **values):
    """`count` equal scenes: the middle of every range, plain textures, and what `values` say."""
    middle = {
        name: torch.full((count,), math.floor((f.low + f.high) / 2) if f.whole else (f.low + f.high) / 2)
        for name, f in FACTORS.items()
    }
    middle |= {"object_texture": torch.zeros(count), "background_texture": torch.zeros(count)}
    for name, value in values.items():
        value = SHAPES.index(value) if name == "shape" else value
        middle[name] = torch.as_tensor(value).expand(count).clone()
    return {name: value.long() if FACTORS[name].whole else value.float() for name, value in middle.items()}


@functools.cache
def forty_two(size, textured):
    return render(42, seed=5, size=size, textured=textured)


@settings(max_examples=15, deadline=None)
@given(start=st.integers(0, 30), count=st.integers(1, 12), size=st.sampled_from([16, 32, 33]), textured=st.booleans())
def test_an_image_has_the_same_bits_in_every_batch(start, count, size, textured):
    whole = forty_two(size, textured)
    part = render(count, seed=5, size=size, start=start, textured=textured)
    chosen = slice(start, start + count)
    assert torch.equal(part.images, whole.images[chosen]) and torch.equal(part.masks, whole.masks[chosen])
    assert all(torch.equal(part.factors[name], whole.factors[name][chosen]) for name in FACTORS)


def test_the_number_of_threads_does_not_show():
    whole, threads = render(30), torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(render(30).images, whole.images)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_draws_the_same_to_one_grey_level():
    cpu, gpu = render(200), render(200, device="cuda")
    assert (cpu.images.int() - gpu.images.cpu().int()).abs().max() <= 1


def test_seeds_and_splits_are_different_images():
    sets = [render(20, seed=seed, split=split).images for seed in (0, 1) for split in ("train", "validation", "test")]
    pictures = [image.numpy().tobytes() for images in sets for image in images]
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("split", ["train", "test", *SHIFTS])
def test_factors_are_uniform_over_their_ranges(split):
    drawn = draw_factors(4000, split=split)
    for name, factor in FACTORS.items():
        low, high = factor.shifted if name in SHIFTS.get(split, ()) and factor.shifted else (factor.low, factor.high)
        values = drawn[name].double().numpy()
        assert low <= values.min() and values.max() <= high
        if factor.whole:
            assert set(values) == set(range(int(low), int(high)))
            pvalue = stats.chisquare(np.unique(values, return_counts=True)[1]).pvalue
        else:
            pvalue = stats.kstest((values - low) / (high - low), "uniform").pvalue
        assert pvalue > 1e-4, name


def test_factors_are_independent():
    drawn = draw_factors(5000)
    table = np.zeros((10, 10))
    np.add.at(table, (drawn["shape"].numpy(), drawn["object_texture"].numpy()), 1)
    assert stats.chi2_contingency(table).pvalue > 1e-3
    correlation = np.corrcoef(torch.stack([values.double() for values in drawn.values()]).numpy())
    assert np.abs(correlation - np.eye(len(FACTORS))).max() < 4.5 / math.sqrt(5000)


def test_textured_objects_wear_their_class_s_texture_nine_times_in_ten():
    drawn = draw_factors(5000, textured=True)
    own = (drawn["shape"] == drawn["object_texture"]).double().mean().item()
    assert own == pytest.approx(0.9 + 0.1 * 0.1, abs=4 * math.sqrt(0.09 / 5000))


def test_in_conflict_no_object_wears_its_own_texture_and_all_others_occur():
    drawn = draw_factors(5000, split="test-conflict")
    gap = (drawn["object_texture"] - drawn["shape"]) % 10
    assert sorted(gap.unique().tolist()) == list(range(1, 10))
    assert stats.chisquare(gap.bincount()[1:].numpy()).pvalue > 1e-3


@pytest.mark.parametrize("split", SHIFTS)
def test_a_shift_changes_its_factors_and_no_other(split):
    base, shifted = draw_factors(300, split="test"), draw_factors(300, split=split)
    changed = {name for name in FACTORS if not torch.equal(base[name], shifted[name])}
    assert changed == set(SHIFTS[split])
    for name in changed - {"object_texture"}:
        factor = FACTORS[name]
        assert ((shifted[name] < factor.low) | (shifted[name] >= factor.high)).all(), name


def surface_points(solid, count=3000):
    """Points on a solid by bisection along random rays from points within it, in plain NumPy style."""
    generator = torch.Generator().manual_seed(0)
    inside = torch.rand(3, 40_000, generator=generator, dtype=torch.float64) * 2 - 1
    inside = inside[:, solid(*inside) < 0][:, :count]
    direction = torch.randn(inside.shape, generator=generator, dtype=torch.float64)
    direction /= direction.norm(dim=0)
    near, far = torch.zeros(inside.shape[1]).double(), torch.full((inside.shape[1],), 3.0).double()
    for _ in range(60):
        middle = (near + far) / 2
        within = solid(*(inside + middle * direction)) < 0
        near, far = torch.where(within, middle, near), torch.where(within, far, middle)
    return inside + near * direction


@pytest.mark.parametrize("shape", SHAPES)
def test_distance_never_exceeds_the_way_to_the_surface(shape):
    """What sphere tracing asks: |f(p)| is at most the distance of p from any point of the surface."""
    solid = SOLIDS[shape]
    surface = surface_points(solid)
    assert surface.norm(dim=0).max() <= 1  # all fit in the unit ball, where tracing looks for them
    points = torch.rand(3, 500, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 3 - 1.5
    way = torch.cdist(points.T, surface.T).min(dim=1).values
    assert (solid(*points).abs() <= way + 1e-9).all()


@pytest.mark.parametrize(("shape", "inside", "outside"), [
    ("sphere", (0, 0.7, 0), (0.6, 0.6, 0)),
    ("cube", (0.5, 0.5, 0.5), (0.6, 0, 0)),
    ("cylinder", (0.5, 0.7, 0), (0.45, 0, 0.45)),
    ("cone", (0, 0.8, 0), (0.4, 0.5, 0)),
    ("torus", (0.68, 0, 0), (0, 0, 0)),
    ("capsule", (0, 0.9, 0), (0.5, 0, 0)),
    ("octahedron", (0.3, 0.3, 0.3), (0.4, 0.4, 0.4)),
    ("pyramid", (0.5, -0.45, 0.5), (0.3, 0.3, 0.3)),
    ("cross", (0.9, 0, 0), (0.5, 0.5, 0)),
    ("dumbbell", (0, 0.52, 0.4), (0.3, 0, 0)),
])  # fmt: skip
def test_solids_by_hand(shape, inside, outside):
    def at(point):
        return SOLIDS[shape](*torch.tensor(point, dtype=torch.float64)[:, None]).item()

    assert at(inside) < 0 < at(outside)


def test_sphere_s_mask_is_the_disc_of_perspective():
    """A ball of radius r at distance d covers the angle asin(r / d); tan of half the field of view is 0.4."""
    for depth in (4.2, 5.6):
        scene = render_factors(factors(shape="sphere", x=0.0, y=0.0, depth=depth), size=128)
        radius = math.tan(math.asin(0.78 / depth)) / 0.4 * 64
        row, column = torch.meshgrid(torch.arange(128) - 63.5, torch.arange(128) - 63.5, indexing="ij")
        wrong = scene.masks[0] != ((row**2 + column**2).sqrt() < radius)
        assert ((row**2 + column**2).sqrt() - radius).abs()[wrong].max() < 1


def test_a_ball_looks_the_same_from_all_sides_and_a_cube_after_a_quarter_turn():
    balls = factors(5, shape="sphere", azimuth=torch.tensor([0.0, 70, 140, 210, 300]))
    assert (render_factors(balls).masks == render_factors(balls).masks[0]).all()
    cubes = factors(4, shape="cube", azimuth=torch.tensor([20.0, 110, 200, 290]))
    masks = render_factors(cubes, size=64).masks
    assert (masks != masks[0]).float().mean() < 1e-3


def centroid(mask):
    return mask.nonzero().double().mean(0) - (mask.shape[0] - 1) / 2


def test_position_moves_the_mask_and_depth_shrinks_it():
    for x, y in ((0.2, 0.0), (0.0, 0.2), (-0.25, -0.1)):
        mask = render_factors(factors(shape="sphere", x=x, y=y), size=64).masks[0]
        assert torch.allclose(centroid(mask), torch.tensor([-y * 32, x * 32]).double(), atol=0.7)
    near, far = (
        render_factors(factors(shape="sphere", x=0.0, y=0.0, depth=d), size=128).masks.sum() for d in (4.2, 5.6)
    )
    expected = (math.tan(math.asin(0.78 / 4.2)) / math.tan(math.asin(0.78 / 5.6))) ** 2
    assert (near / far).item() == pytest.approx(expected, rel=0.02)


def test_light_falls_on_the_side_of_the_lamp():
    for azimuth, elevation in ((45.0, 15.0), (-45.0, 15.0), (0.0, 55.0)):
        scene = render_factors(
            factors(shape="sphere", x=0.0, y=0.0, light_azimuth=azimuth, light_elevation=elevation), 64
        )
        grey = scene.images[0].float().mean(0) * scene.masks[0]
        right, left, top, bottom = grey[:, 32:].sum(), grey[:, :32].sum(), grey[:32].sum(), grey[32:].sum()
        assert (right > 1.1 * left) == (azimuth > 0) and (left > 1.1 * right) == (azimuth < 0)
        assert top > 1.1 * bottom if elevation > 50 else True


def test_hue_colours_the_object_and_nothing_else():
    hues = factors(3, shape="cube", object_hue=torch.tensor([0.0, 1 / 3, 2 / 3]), light_tint=0.0)
    scene = render_factors(hues)
    mask = scene.masks[0]
    assert [scene.images[i].float()[:, mask].mean(1).argmax().item() for i in range(3)] == [0, 1, 2]
    rim = torch.nn.functional.max_pool2d(mask[None].float(), 3, 1, 1)[0] > 0
    assert (scene.images[0] == scene.images[1])[:, ~rim].all()


def test_objects_are_in_the_image_and_visible():
    scene = render(500)
    share = scene.masks.float().mean((1, 2))
    assert 0.04 < share.min() and share.max() < 0.55
    border = torch.cat((scene.masks[:, 0], scene.masks[:, -1], scene.masks[:, :, 0], scene.masks[:, :, -1]), dim=1)
    assert border.any(1).float().mean() < 0.05  # cut off by the frame, by little


def test_raw_pixels_say_little_and_not_nothing():
    train, test = load("scenes", "train", 1000), load("scenes", "test", 300)
    knn = KNeighborsClassifier(10).fit(train.images.flatten(1).numpy(), train.labels.numpy())
    accuracy = knn.score(test.images.flatten(1).numpy(), test.labels.numpy())
    assert 0.15 < accuracy < 0.5


def test_a_small_encoder_reads_the_shape_and_unseen_causes_confuse_it():
    images = render(1_000, textured=True)
    unseen = ("test-conflict", "test-light", "test-pose")
    tests = {split: render(300, split=split, textured=True) for split in ("test", *unseen)}
    torch.manual_seed(0)
    method = build_method("supervised", build_encoder("resnet10_narrow"), METHODS["supervised"].settings(), classes=10)
    plan = Training(epochs=8, batch_size=32, optimiser="adamw", learning_rate=0.003, weight_decay=0.05)
    train(method, images.images, images.labels, plan, seed=0, progress=False)

    def accuracy(images):
        with torch.no_grad():
            found = method.head(method.encoder(images.images / 255)).argmax(1)
        return (found == images.labels).float().mean().item()

    found = {split: accuracy(images) for split, images in tests.items()}
    assert found["test"] > 0.7  # 0.81 where this was measured; under other causes 0.65, 0.37 and 0.19
    for split in unseen:
        assert 0.1 < found[split] < found["test"] - 0.08, found


@pytest.mark.parametrize(("call", "words"), [
    (lambda: render(5, split="tset"), "unknown split 'tset' (did you mean 'test'?); allowed: train, validation, test"),
    (lambda: render(-1), "count and start must be 0 or more"),
    (lambda: render(5, size=8), "at least 16, not 8"),
    (lambda: render_factors({"shape": torch.zeros(1).long()}), "a scene needs the factor 'object_texture'"),
])  # fmt: skip
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(BadInput) as error:
        call()
    assert words in str(error.value)


def test_no_images_are_no_images():
    assert render(0).images.shape == (0, 3, 32, 32)
