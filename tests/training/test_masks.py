"""The network that learns where objects are, and the masks of a data set that it makes, with their cache."""

import pytest
import torch

from lib import images, paths
from lib.errors import BadInput
from lib.images import load, scenes
from lib.shifts.saliency import binary, fused
from lib.training import masks as module
from lib.training.masks import Segmenter, masks, predict, train


def noise(count, height=16, width=16):
    return torch.randint(256, (count, 3, height, width), generator=torch.Generator().manual_seed(0)).byte()


@pytest.fixture(scope="module")
def trained():
    pictures = scenes.render(100).images
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BATCHES", 30)
        return train(pictures, seed=1, progress=False), pictures


def test_the_network_is_small_and_learns(trained):
    net, pictures = trained
    assert sum(weight.numel() for weight in net.parameters()) < 50_000
    truth = scenes.render(100).masks
    likely = predict(net, pictures)
    assert likely.shape == truth.shape and 0 <= likely.min() and likely.max() <= 1
    assert likely[truth].mean() > likely[~truth].mean() + 0.2


def test_the_same_seed_gives_the_same_network_and_leaves_the_global_one_alone(trained, monkeypatch):
    monkeypatch.setattr(module, "BATCHES", 5)
    monkeypatch.setattr(module, "EPOCHS", 2)
    before = torch.get_rng_state()
    net, again, other = (train(trained[1], seed=seed, progress=False) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))
    assert not torch.equal(net.last.weight, other.last.weight)


@pytest.mark.parametrize("shape", [(16, 16), (17, 30), (100, 130)])
def test_the_network_takes_any_size(trained, shape):
    assert predict(trained[0], noise(2, *shape)).shape == (2, *shape)


def test_a_small_image_is_refused():
    with pytest.raises(BadInput, match="at least 16 px, at least one, not uint8 \\(1, 3, 16, 8\\)"):
        predict(Segmenter(), noise(1, 16, 8))


# Masks of a data set


@pytest.fixture
def mine(mine, monkeypatch):
    """Masks of it in files of 10, and a network that learns in no time."""
    monkeypatch.setattr(module, "CACHED", 10)
    monkeypatch.setattr(module, "EPOCHS", 1)
    monkeypatch.setattr(module, "BATCHES", 5)
    return mine


def kept(kind):
    return sorted((paths.cache() / "saliency").glob(f"*-{kind}-*"))


def test_masks_are_those_of_the_images_in_their_order(mine):
    pictures, training = load(mine, "test").images, load(mine, "train").images
    by_maps = masks(mine, "test", progress=False, kind="fused")
    assert torch.equal(by_maps, binary(fused(pictures))) and by_maps.dtype == torch.bool
    learned = masks(mine, "test", progress=False)
    net = train(training, progress=False)
    assert torch.equal(learned, torch.cat([predict(net, part) > 0.5 for part in pictures.split(10)]))


def test_the_network_is_trained_once_for_all_splits_and_on_training_images_alone(mine, monkeypatch):
    seen = []

    def counted(pictures, *rest, **options):
        seen.append(pictures)
        return train(pictures, *rest, **options)

    monkeypatch.setattr(module, "train", counted)
    first = masks(mine, "test", progress=False)
    masks(mine, "train", progress=False)
    assert torch.equal(masks(mine, "test", 13, progress=False), first[:13])
    assert len(seen) == len(kept("network")) == 1
    assert torch.equal(seen[0], load(mine, "train").images)


@pytest.mark.parametrize("kind", ["fused", "learned"])
def test_a_killed_run_goes_on_and_a_damaged_file_is_made_again(mine, kind, capsys):
    first = masks(mine, "train", 25, progress=False, kind=kind)
    assert len(kept(kind)) == 3
    network = {path: path.stat().st_mtime_ns for path in kept("network")}
    kept(kind)[1].unlink()
    damaged = kept(kind)[0]
    content = bytearray(damaged.read_bytes())
    content[-5] ^= 1
    damaged.write_bytes(content)
    assert torch.equal(masks(mine, "train", 25, progress=False, kind=kind), first)
    assert capsys.readouterr().err == f"{damaged} is damaged; making it again\n"
    assert len(kept(kind)) == 3 and {path: path.stat().st_mtime_ns for path in kept("network")} == network


def test_another_protocol_is_other_files(mine, monkeypatch):
    masks(mine, "test", 10, progress=False)
    monkeypatch.setattr(module, "PROTOCOL", module.PROTOCOL + 1)
    masks(mine, "test", 10, progress=False)
    assert len(kept("network")) == len(kept("learned")) == 2


def test_scenes_have_exact_masks_and_others_do_not(mine, monkeypatch):
    monkeypatch.setattr(images, "SCENES_BLOCK", 8)
    assert torch.equal(masks("scenes", "test", 5, kind="exact"), scenes.render(5, split="test").masks)
    with pytest.raises(BadInput, match="exact masks are known of scenes alone, not of mine; allowed: fused, learned"):
        masks(mine, kind="exact")
    with pytest.raises(BadInput, match="unknown kind of masks 'human'; allowed: learned, fused, exact, shuffled"):
        masks("scenes", kind="human")
