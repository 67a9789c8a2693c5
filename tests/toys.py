"""Small stand-ins, for tests that ask about what is around a network and not about the network."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional as F

from lib.methods import METHODS, build_method
from lib.models import Encoder

# Of heads. The methods' own would take most of the time that a test has.
SIZES = {"hidden": 64, "projection": 32, "bottleneck": 8, "prototypes": 32}


class Points(Encoder):
    """Images of any size from 8 px in means over 8 x 8 places, and two layers: (N, 3, H, W) -> (N, 32).

    As a network of the library it has weights with and without a bias and a batch norm with its statistics, and every
    pixel has a part in every feature.
    """

    features = 32

    def __init__(self):
        super().__init__()
        self.first, self.bn = nn.Linear(3 * 8 * 8, 64, bias=False), nn.BatchNorm1d(64)
        self.last = nn.Linear(64, self.features)

    def forward(self, x):
        places = F.adaptive_avg_pool2d(self.normalised(x), 8).flatten(1)
        return self.last(F.relu(self.bn(self.first(places))))


@dataclasses.dataclass(frozen=True)
class OfFeatures:
    """A measure of 20 images in a moment, whose number the encoder decides; how it becomes `rows` is a test's own."""

    name: str

    @property
    def identity(self):
        return f"{self.name}(images=20)#1"

    def value(self, subject):
        return float(subject.features("test").mean())


def small_settings(name, **changes):
    """Of the method `name`, with small heads."""
    settings = METHODS[name].settings()
    given = {field.name for field in dataclasses.fields(settings)}
    return dataclasses.replace(settings, **{key: size for key, size in SIZES.items() if key in given} | changes)


def small_method(name, seed=0, **changes):
    """The method `name` around `Points`, ten classes, the same weights each time."""
    torch.manual_seed(seed)
    return build_method(name, Points(), small_settings(name, **changes), 10, Points())
