"""Views of images without their background, which make an encoder invariant to it (arXiv 2201.05119)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.errors import one_of
from lib.inputs import real
from lib.views import View
from lib.world import drawn

MASKS = ("learned", "fused", "exact", "shuffled")


@dataclass(frozen=True, kw_only=True)
class Removal:
    """How often a view of the largest size is cut from the image without its background, in which all else is black.

    `removed` is that probability, for each image and view by itself. `masks` say what the object is: those that
    `lib.training.masks` finds without labels, or "exact" ones, which `scenes` alone has; "shuffled" are the learned
    masks of other images, a control.
    """

    removed: float = 0.0
    masks: str = "learned"

    def __post_init__(self) -> None:
        one_of(self.masks, MASKS, "kind of masks")
        object.__setattr__(self, "removed", float(real(self.removed, "removed", 0, 1)))


class Removing:
    """What the `views` of a module with a `removal` are cut from (`lib.methods`)."""

    views: tuple[View, ...]
    removal: Removal

    @property
    def reads(self) -> dict[str, str]:
        """What has to be made of each image before."""
        removed = "the same without its background (see lib.training.masks)"
        return getattr(super(), "reads", {}) | ({"removed": removed} if self.removal.removed else {})

    def origins(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> list[Tensor]:
        """A batch of images a view; for one of the largest size some are from those without their background."""
        images, share = batch["images"], self.removal.removed
        if not share:
            return [images] * len(self.views)
        largest = max(view.size for view in self.views)

        def chances(count: int) -> Tensor:
            return torch.rand(count, 1, 1, 1, generator=generator, device=images.device)

        origins = []
        for view in self.views:
            chosen = drawn(len(images), chances) < share
            origins.append(torch.where(chosen, batch["removed"], images) if view.size == largest else images)
        return origins
