"""Views of images without their background, which make an encoder invariant to it (arXiv 2201.05119)."""

from __future__ import annotations

from dataclasses import dataclass

from lib.errors import one_of
from lib.inputs import real

MASKS = ("learned", "fused", "exact", "shuffled")


@dataclass(frozen=True, kw_only=True)
class Removal:
    """How often a view of the largest size is cut from the image without its background, in which all else is black.

    `removed` is that probability, for each image and view by itself. `masks` say what the object is: those that
    `lib.shifts.saliency` finds without labels, or "exact" ones, which `scenes` alone has; "shuffled" are the learned
    masks of other images, a control.
    """

    removed: float = 0.0
    masks: str = "learned"

    def __post_init__(self) -> None:
        one_of(self.masks, MASKS, "kind of masks")
        object.__setattr__(self, "removed", float(real(self.removed, "removed", 0, 1)))
