"""How well masks that were found without labels agree with masks that are known: of scenes, and of what is here.

Scenes' masks are exact; those of COIL are what is not dark cloth, without the objects whose cloth is not dark in some
view; those of Oxford-Pets are by hand and leave the outline open. Fused maps are cut by Otsu; the network has learned
from fused maps of the same set, and never saw a label. A control takes the learned mask of another object.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from lib import paths
from lib.images import load, objects, segmentation
from lib.images.segmentation import IGNORED, segmented
from lib.inputs import whole
from lib.measures.background import scene_parts
from lib.shifts.saliency import binary, fused, iou, on_dark
from lib.training.masks import masks, predict, train

CONTROL = "learned, of another object"
_TRAINED_ON = 1_000  # images of Pets


@dataclass(frozen=True)
class KnownMasks:
    """Images whose objects are known, in groups of equally many, one behind the other, and what was found.

    `objects` are the groups, which an interval takes for a sample; `shadow` (N, S, S), where it is known.
    """

    images: Tensor
    truth: Tensor
    found: dict[str, Tensor]
    objects: int
    shadow: Tensor | None = None

    def agreement(self, kind: str) -> np.ndarray:
        """IoU (objects, images of each)."""
        return iou(self.found[kind], self.truth).view(self.objects, -1).double().numpy()


def known_masks(count: int) -> dict[str, KnownMasks]:
    """Title of each set that is here -> about `count` of its images, whose masks are known.

    Raises BadInput for fewer than 20.
    """
    count = whole(count, "the number of images on which masks are judged", 20)
    here = {"scenes": _scenes}
    if "coil" in objects.available():
        here["COIL"] = _coil
    if "pets" in segmentation.available():
        here["Oxford-Pets"] = _pets
    return {title: read(count, paths.data(), paths.cache()) for title, read in here.items()}


@functools.lru_cache(maxsize=2)  # the table and the sheet ask for the same
def _scenes(count: int, _data: Path | None, _cache: Path) -> KnownMasks:
    """Shadow is where a background pixel is darker than the same scene without its object, by more than rounding."""
    test = load("scenes", "test", count)
    parts, _ = scene_parts(len(test.images), False, torch.device("cpu"))
    darker = parts["only background"].int() - test.images.int() > 2
    found = {kind: masks("scenes", "test", count, progress=False, kind=kind) for kind in ("fused", "learned")}
    return KnownMasks(test.images, test.masks, _with_control(found, len(test.images)), len(test.images),
                  darker.all(dim=1) & ~test.masks)  # fmt: skip


@functools.lru_cache(maxsize=2)
def _coil(count: int, _data: Path | None, _cache: Path) -> KnownMasks:
    """Views of each object at equal steps; the network learns from all views of all objects.

    No object of COIL takes most of its image's frame: where the mask does, the cloth is brighter than it should be.
    """
    views = objects.objects("coil")
    bright = _on_frame(on_dark(views.images)).mean(1) > 0.5
    members = [(views.groups == group).nonzero()[:, 0] for group in range(len(views.names))]
    members = [places for places in members if not bright[places].any()]
    each = max(1, min(count // len(members), *map(len, members)))
    chosen = torch.cat([places[torch.arange(each) * len(places) // each] for places in members])
    images = views.images[chosen]
    found = _found(images, views.images)
    return KnownMasks(images, on_dark(images), _with_control(found, len(members)), len(members))


@functools.lru_cache(maxsize=2)
def _pets(count: int, _data: Path | None, _cache: Path) -> KnownMasks:
    """Pixels that the trimap leaves open are no one's: neither the object's nor the mask's."""
    test = segmented("pets", "test", count)
    open_ = test.labels == IGNORED
    found = _found(test.images, segmented("pets", "train", _TRAINED_ON).images)
    closed = {kind: part & ~open_ for kind, part in _with_control(found, len(test.images)).items()}
    return KnownMasks(test.images, test.labels == 1, closed, len(test.images))


def _found(images: Tensor, training: Tensor) -> dict[str, Tensor]:
    net = train(training, progress=False)
    return {"fused": binary(fused(images)), "learned": predict(net, images) > 0.5}


def _with_control(found: dict[str, Tensor], groups: int) -> dict[str, Tensor]:
    learned = found["learned"]
    return found | {CONTROL: learned.roll(len(learned) // groups, dims=0)}


def mask_errors(known: KnownMasks) -> pd.DataFrame:
    """A line an image, in percent: what the learned mask misses of the object, and what of it is background."""
    truth, found = known.truth.flatten(1), known.found["learned"].flatten(1)
    missed = (truth & ~found).sum(1) / truth.sum(1).clamp(min=1)
    wrong = (found & ~truth).sum(1) / found.sum(1).clamp(min=1)
    elsewhere = (missed > 0.5) & (wrong > 0.5)
    return pd.DataFrame(
        {
            "IoU (%)": 100 * known.agreement("learned").ravel(),
            "mask": np.select([elsewhere.numpy(), (missed > wrong).numpy()], ["elsewhere", "too little"], "too much"),
            "missed of the object (%)": 100 * missed.numpy(),
            "background in the mask (%)": 100 * wrong.numpy(),
            "object in the image (%)": 100 * truth.float().mean(1).numpy(),
            "object on the frame (%)": 100 * _on_frame(known.truth).mean(1).numpy(),
        }
    )


def _on_frame(found: Tensor) -> Tensor:
    """The outermost pixels of masks (N, S, S), as numbers (N, 4 S - 4)."""
    return torch.cat((found[:, [0, -1]].flatten(1), found[:, 1:-1, [0, -1]].flatten(1)), dim=1).float()
