"""imagecorruptions 1.1.2, the usual implementation, made to run with today's NumPy and scikit-image.

Its source is executed in a namespace of its own, in which `import` answers with stand-ins for what has
gone since 2020. Nothing is left in `sys.modules`, and NumPy and scikit-image stay as they are.
"""

from __future__ import annotations

import builtins
from functools import cache
from importlib.metadata import distribution
from types import SimpleNamespace

import numpy as np
import scipy.ndimage
import skimage
import skimage.color
import skimage.filters
import skimage.util
from PIL import Image


class _Stand:
    """`module` with some names replaced."""

    def __init__(self, module: object, **replaced: object):
        self._module = module
        vars(self).update(replaced)

    def __getattr__(self, name: str) -> object:
        return getattr(self._module, name)


@cache
def source() -> SimpleNamespace:
    """The names in imagecorruptions' source file; `random` is the NumPy generator that all of them draw from."""
    package = distribution("imagecorruptions")
    random = np.random.RandomState(0)

    def gaussian(*arguments, multichannel=False, **options):
        return skimage.filters.gaussian(*arguments, channel_axis=-1 if multichannel else None, **options)

    def random_noise(*arguments, **options):
        return skimage.util.random_noise(*arguments, rng=np.random.Generator(random._bit_generator), **options)

    stands = {
        "numpy": _Stand(np, float_=np.float64, random=random),
        "skimage": _Stand(skimage, util=_Stand(skimage.util, random_noise=random_noise)),
        "skimage.filters": SimpleNamespace(gaussian=gaussian),
        "scipy.ndimage.interpolation": scipy.ndimage,
        "pkg_resources": SimpleNamespace(
            resource_filename=lambda _, path: str(package.locate_file(f"imagecorruptions/{path}"))
        ),
    }

    def find(name, *arguments):
        return stands[name] if name in stands else builtins.__import__(name, *arguments)

    file = package.locate_file("imagecorruptions/corruptions.py")
    names = {"__name__": "imagecorruptions.corruptions", "__builtins__": {**vars(builtins), "__import__": find}}
    exec(compile(file.read_text(), str(file), "exec"), names)
    return SimpleNamespace(**names, random=random)


def corrupt(image: np.ndarray, name: str, severity: int) -> np.ndarray:
    """One uint8 image (H, W, 3) through imagecorruptions: uint8 (H, W, 3)."""
    return np.uint8(getattr(source(), name)(Image.fromarray(image), severity))
