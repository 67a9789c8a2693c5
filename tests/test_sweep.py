"""The sweep of `benchmarks.sweep`: both pipelines show the network the same images, cell by cell."""

import pytest
import torch
from torch import nn

from benchmarks import sweep
from benchmarks.views import smooth_images
from lib.shifts.corruptions import corrupt


class Corners(nn.Module):
    features = 12

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


@pytest.mark.parametrize("count", [1, 18])  # a part of a batch, and more than one
def test_cells_are_in_one_order_and_hold_the_same_images(count):
    images, cells = smooth_images(count, 64), (("contrast", "brightness"), (1, 3))
    ours, usual = sweep.ours(Corners(), images, *cells), sweep.usual(Corners(), images, *cells)
    assert len(ours.features) == len(usual.features) == 4
    for found, peer, (name, severity) in zip(
        ours.features, usual.features, [(name, severity) for name in cells[0] for severity in cells[1]], strict=True
    ):
        assert (found - peer).abs().max() < 1 / 255  # less than a level
        assert torch.equal(found, Corners()(corrupt(images, name, severity).float() / 255))


def test_the_share_is_that_of_the_network():
    assert sweep.Spent(1.0, 3.0, []).share == 0.75
