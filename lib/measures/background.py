r"""How much of a decision comes from the background: exact on scenes, whose masks and causes are known.

After Xiao, Engstrom, Ilyas and Madry 2020, "Noise or signal: the role of image backgrounds in object recognition"
(arXiv 2006.09994), who cut real photographs with boxes and masks; the background gap is theirs:

.. math:: \mathrm{gap} = \mathrm{accuracy}(\text{background of the same class})
          - \mathrm{accuracy}(\text{background of another class})
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from lib.images import load, scenes
from lib.inputs import check_images
from lib.measures import probe
from lib.measures.cue_accuracy import donors
from lib.measures.probe import fit_probe
from lib.measures.rows import as_rows, row
from lib.measures.subject import Subject
from lib.memory import kept
from lib.precision import own_precision
from lib.shifts.cues import MID_GREY

PROTOCOL = f"{scenes.PROTOCOL}.{probe.PROTOCOL}.1"
SAME, OTHER = "same-class background", "other-class background"
_BELOW = -10.0  # half image widths: an object there is out of sight, and its shadow too, for every lamp of the split


@dataclass(frozen=True)
class BackgroundReliance:
    """Metric "accuracy" of a probe on frozen features, for any encoder, asked about parts of test scenes.

    - "original": the whole image;
    - "only foreground": the object, all else grey (128), by the exact mask;
    - "only background": the wall alone, in the same light. It is rendered without the object, not masked: no outline
      and no shadow of it is left;
    - "same-class background": the object's pixels on the wall of another scene of its class, the next;
    - "other-class background": the same, of the next scene of another class.

    A pixel is the object's where half of it or more shows the object. Each is asked of two worlds. In "scenes" walls
    are drawn without regard to the class, so that every probe is at chance on "only background" and the gap is 0 but
    for chance: what accuracies lose here is lost to the change itself, not to a background that misleads. The probe is
    the standard one of an encoder of scenes; for others it is fitted on `scenes` training scenes, its decay chosen on
    half as many. In "tied scenes" each class has a wall of its own pattern and hue, in training and in the test, as
    photographs of cows have meadows; a probe on the same frozen features is fitted there, and may read either.
    The world is the shift, such as "tied scenes", and the part the subset, such as "only background".

    Metric "background gap", in percentage points, of either world as a whole: that of the module's
    docstring, paired image by image. Asked about are half as many test scenes as `scenes`.
    """

    scenes: int = 2_000

    @property
    def identity(self) -> str:
        return f"background_reliance(scenes={self.scenes})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        rows = []
        for world, tied in (("scenes", False), ("tied scenes", True)):
            if subject.dataset == "scenes" and not tied:
                fitted = subject.probe
            else:
                train, validation = (
                    _world(split, count, tied, subject.device)
                    for split, count in (("train", self.scenes), ("validation", self.scenes // 2))
                )
                fitted = fit_probe(
                    subject.extract(train.images), train.labels.to(subject.device),
                    subject.extract(validation.images), validation.labels.to(subject.device),
                )  # fmt: skip
            parts, labels = scene_parts(self.scenes // 2, tied, subject.device)
            right = {}
            for part, images in parts.items():
                right[part] = (fitted.predict(subject.extract(images)) == labels).cpu().numpy()
                rows.append(row(world, "accuracy", right[part], subset=part))
            rows.append(row(world, "background gap", right[SAME].astype(float) - right[OTHER]))
        return as_rows(rows)


def tie(factors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The `factors` of scenes, their walls' pattern and hue those of the class: ten hues evenly spaced, six patterns.

    Its scale, its phase and the light stay as they are.
    """
    texture, hue = (scenes.FACTORS[f"background_{name}"] for name in ("texture", "hue"))
    shape, classes = factors["shape"], len(scenes.SHAPES)
    hues = hue.low + (hue.high - hue.low) * (shape + 0.5) / classes
    return factors | {"background_texture": shape % int(texture.high), "background_hue": hues.float()}


def with_background(images: Tensor, masks: Tensor, backgrounds: Tensor) -> Tensor:
    """Uint8 `images` (N, 3, H, W) where the bool `masks` (N, H, W) are true, else `backgrounds`, which broadcast."""
    check_images(images, "with_background")
    return torch.where(masks[:, None], images, backgrounds)


def same_class(labels: Tensor) -> Tensor:
    """For each of `labels` (N,) the index of the next with the same value, the first being next to the last: (N,)."""
    chosen = torch.empty_like(labels)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        chosen[members] = members.roll(-1)
    return chosen


@kept
def _world(split: str, count: int, tied: bool, device: torch.device) -> scenes.Scenes:
    """Scenes of one of the worlds, made once for all encoders."""
    if tied:
        drawn = scenes.render_factors(tie(scenes.draw_factors(count, split=split)))
    else:
        drawn = load("scenes", split, count)
    return scenes.Scenes(drawn.images.to(device), drawn.masks.to(device), drawn.factors)


@kept
def scene_parts(count: int, tied: bool, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
    """What `BackgroundReliance` asks about the first `count` test scenes, of the tied world or the other.

    Uint8 (N, 3, 32, 32) of each part by its name, and the classes of the objects (N,), those removed included.
    """
    whole = _world("test", count, tied, device)
    factors = whole.factors
    walls = scenes.render_factors(factors | {"y": torch.full_like(factors["y"], _BELOW)}).images.to(device)
    labels = whole.labels.to(device)
    grey = torch.full((), MID_GREY, dtype=torch.uint8, device=device)
    return {
        "original": whole.images,
        "only foreground": with_background(whole.images, whole.masks, grey),
        "only background": walls,
        SAME: with_background(whole.images, whole.masks, walls[same_class(labels)]),
        OTHER: with_background(whole.images, whole.masks, walls[donors(labels)]),
    }, labels
