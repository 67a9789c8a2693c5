"""Random views of images, batched on the device and drawn for each image on its own."""

from lib.memory import keep_freed_memory
from lib.views.recipes import (
    AUGMENTATIONS,
    BYOL,
    MULTI_CROP,
    SIMCLR,
    SUPERVISED,
    View,
    apply,
    augmented,
    cropped,
    draw,
    make_view,
)

__all__ = [
    "AUGMENTATIONS",
    "BYOL",
    "MULTI_CROP",
    "SIMCLR",
    "SUPERVISED",
    "View",
    "apply",
    "augmented",
    "cropped",
    "draw",
    "make_view",
]

keep_freed_memory()
