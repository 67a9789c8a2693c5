"""Random views of images, batched on the device and drawn for each image on its own."""

from lib.memory import keep_freed_memory
from lib.views.negatives import patch_negatives, patch_sides
from lib.views.recipes import (
    AUGMENTATIONS,
    BYOL,
    MULTI_CROP,
    SIMCLR,
    SUPERVISED,
    WHOLE_GAUSSIAN,
    View,
    apply,
    augmentation_protocols,
    augmented,
    cost,
    cropped,
    draw,
    large_and_small,
    make_view,
    render,
    render_checked,
    scaled,
)

__all__ = [
    "AUGMENTATIONS",
    "BYOL",
    "MULTI_CROP",
    "SIMCLR",
    "SUPERVISED",
    "WHOLE_GAUSSIAN",
    "View",
    "apply",
    "augmentation_protocols",
    "augmented",
    "cost",
    "cropped",
    "draw",
    "large_and_small",
    "make_view",
    "patch_negatives",
    "patch_sides",
    "render",
    "render_checked",
    "scaled",
]

keep_freed_memory()
