"""What a method has behind its encoder: lightly's projection and prediction heads.

lightly takes as long to import as torch. So it is imported when a method is built: a page that only reads rows does
without it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from torch import nn


def projector(of: str, *sizes: int, **options: Any) -> nn.Module:
    """The projection head `of` a method by lightly's name, such as "SimCLR": (N, sizes[0]) -> (N, sizes[-1]).

    `sizes` are those of its input, its hidden layer and its output; `options` are lightly's own.
    """
    return _heads(f"{of}ProjectionHead")(*sizes, **options)


def predictor(of: str, *sizes: int) -> nn.Module:
    """The prediction head `of` a method by lightly's name, such as "BYOL": (N, sizes[0]) -> (N, sizes[-1])."""
    return _heads(f"{of}PredictionHead")(*sizes)


def layers(blocks: Sequence[tuple]) -> nn.Module:
    """A head of `blocks`, each (inputs, outputs, norm or None, activation or None, whether it has a bias)."""
    return _heads("ProjectionHead")(blocks)


def _heads(name: str) -> Any:
    with warnings.catch_warnings():  # it would have bars of notebooks, and warns where there are none; ours are of text
        warnings.filterwarnings("ignore", "IProgress not found")
        from lightly.models.modules import heads

    return getattr(heads, name)
