"""Random views of images, batched on the device and drawn for each image on its own."""

from lib.memory import keep_freed_memory
from lib.views.recipes import BYOL, MULTI_CROP, SIMCLR, SUPERVISED, View, apply, draw, make_view

__all__ = ["BYOL", "MULTI_CROP", "SIMCLR", "SUPERVISED", "View", "apply", "draw", "make_view"]

keep_freed_memory()
