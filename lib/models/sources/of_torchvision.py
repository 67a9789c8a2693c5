"""torchvision's classifiers: networks of its model zoo, with the preprocessing that their weights name.

The features are what the last linear layer reads: the mean of a convolutional network's last map, a transformer's
class token behind the last norm, and in AlexNet and VGG the 4,096 outputs of the last layer but one. SqueezeNet has no
linear layer: its features are its logits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from lib.errors import one_of
from lib.models.preprocessing import Preprocessing
from lib.models.sources.asked import Asked, Named, known, overridden
from lib.models.sources.library import weights_only
from lib.models.sources.wrapped import WrappedEncoder, counted, fetching, probed, separated
from lib.shifts.wnids import WNIDS

if TYPE_CHECKING:  # it takes seconds to import: a page that only reads rows does without it
    from torchvision.models import WeightsEnum


def open_torchvision(asked: Asked) -> Named:
    """`torchvision:NAME` or `torchvision:NAME:WEIGHTS`, with the default weights where none are named."""
    import torchvision
    from torchvision import models

    name, _, chosen = asked.body.partition(":")
    known(name, models.list_models(models), "classifier of torchvision")
    entries = models.get_model_weights(name)
    chosen = chosen or asked.options.get("weights", "") or "DEFAULT"
    weights = entries["DEFAULT" if chosen == "random" else one_of(chosen, entries.__members__, f"weights of {name}")]
    network = _network(name, weights, asked)
    preprocessing = overridden(_preprocessing(weights), asked)
    encoder = WrappedEncoder(asked.name, network.eval(), preprocessing)
    count = counted(network)
    head = separated(encoder)
    _, differentiable = probed(encoder)
    outputs = len(weights.meta["categories"])
    said = "features are what its last linear layer reads"
    if isinstance(head, nn.Identity):
        said = "features are its logits"
    used = f"weights {weights.name}" if asked.pretrained else "random weights"
    source = f"torchvision {torchvision.__version__}, {name}, {used}, {count}; {said}; {outputs} classes"
    classes = WNIDS if outputs == len(WNIDS) else tuple(weights.meta["categories"])
    return Named(asked.name, encoder, preprocessing, head, classes, differentiable, source)


def _network(name: str, weights: WeightsEnum, asked: Asked) -> nn.Module:
    """With `weights`, read without running anything in their file; or random ones, for the same image size."""
    from torchvision import models

    with fetching(asked.name), weights_only():
        if asked.pretrained:
            return models.get_model(name, weights=weights)
        size = weights.transforms().crop_size[0]
        if hasattr(models.get_model_builder(name), "__wrapped__") and name.startswith("vit_"):
            return models.get_model(name, weights=None, image_size=size)
        return models.get_model(name, weights=None)


def _preprocessing(weights: WeightsEnum) -> Preprocessing:
    transform = weights.transforms()
    (size,), (resize,) = set(transform.crop_size), set(transform.resize_size)
    interpolation = transform.interpolation.value
    mean, std = tuple(transform.mean), tuple(transform.std)
    return Preprocessing(size, resize, interpolation, mean, std, f"all by torchvision's {weights}")
