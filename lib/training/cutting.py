"""From which images the views of a batch are cut, and what a method reads behind them: the method says it.

One that says nothing has its views cut from the images as they are. By what it says otherwise see `lib.methods`:
`reads`, `origins` and `negatives`. The trainer asks for the views of a batch here, and knows no more of them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from lib.errors import BadInput
from lib.inputs import check_images
from lib.views import draw, render_checked


def read_by(method: nn.Module, images: Tensor, beside: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By name, what `method` needs to see of each training image: the `images`, and what it `reads` of `beside`.

    Raises BadInput for what is missing, or is no image like the training image, in its place and on its device.
    """
    for name, given in beside.items():
        what = f"beside[{name!r}]"
        check_images(given, "train", what)
        if given.device != images.device:
            raise BadInput(f"train takes {what} where the images are, on {images.device}, not on {given.device}")
    found = {"images": images}
    for name, what in getattr(method, "reads", {}).items():
        if name not in beside or beside[name].shape != images.shape:
            who = type(method).__name__
            raise BadInput(f"{who} reads of each of the {len(images)} images {what}: give them as beside[{name!r}]")
        found[name] = beside[name]
    return found


def cut(method: nn.Module, batch: Mapping[str, Tensor], generator: torch.Generator) -> list[Tensor]:
    """The views that `method` reads of a batch of `read_by`, and its negatives behind them: float images in [0, 1].

    What all views show is drawn first, then what `origins` draw, then what negatives do: a method that does without
    the latter gets the same views.
    """
    images, views = batch["images"], method.views
    drawn = [draw(view, len(images), images.shape[-2:], generator) for view in views]
    origins = method.origins(batch, generator) if hasattr(method, "origins") else [images] * len(views)
    clean = [render_checked(*part) for part in zip(origins, views, drawn, strict=True)]
    if getattr(method, "has_negatives", False):
        clean += method.negatives(batch, drawn, clean, generator)
    return clean
