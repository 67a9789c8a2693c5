"""Networks of strangers, by the name of a function: tests are on the path as `evaluate.strangers`."""

import torch
from torch import nn

from lib.shifts.wnids import WNIDS


class Layout(nn.Module):
    """The mean colour of each of 4 x 4 parts of an image: 48 features, of which a probe reads where colours are."""

    def __init__(self, weight=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, x):
        return self.weight * nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


def layout():
    return Layout()


def colour():
    """Sees no places: the mean colour of the whole image."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())


def classifier():
    """Logits of red, green and blue: how much of each an image has, and of none of them."""
    head = nn.Linear(3, 4)
    with torch.no_grad():
        head.weight.copy_(torch.cat([torch.eye(3), torch.zeros(1, 3)]))
        head.bias.copy_(torch.tensor([0.0, 0.0, 0.0, -5.0]))
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def of_imagenet():
    """The same with names of ImageNet's classes, and always sure that it is none of the three."""
    network = classifier()
    with torch.no_grad():
        network[-1].bias[3] = 50.0
    return network


for function in (layout, colour, classifier, of_imagenet):
    function.size, function.normalisation, function.resize = 24, "half", 24
    function.logits = function in (classifier, of_imagenet)
classifier.classes = ("red", "green & blue", "<b>blue", "none of them")
of_imagenet.classes = (*WNIDS[2::-1], WNIDS[3])
