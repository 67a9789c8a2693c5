"""A small vision transformer for small images (Dosovitskiy et al., arXiv 2010.11929).

No class token: the features are the mean of the tokens, as in "Better plain ViT baselines for
ImageNet-1k" (Beyer et al., arXiv 2205.01580, section 3).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadInput
from lib.models.encoder import Encoder


class VisionTransformer(Encoder):
    """Built for images of `side` pixels; takes any height and width that `patch` divides.

    At other sizes the learnt position embeddings are resized bicubically, as DINO does for its
    small crops (arXiv 2104.14294, official code).
    """

    transformer = True

    def __init__(self, side: int = 32, patch: int = 4, width: int = 192, depth: int = 6, heads: int = 3) -> None:
        super().__init__()
        self.patch, self.features = patch, width
        self.embed = nn.Conv2d(3, width, patch, stride=patch)
        self.position = nn.Parameter(torch.empty(1, width, side // patch, side // patch))
        self.layers = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
                )
                for _ in range(depth)
            )
        )
        self.norm = nn.LayerNorm(width)
        for weight in (self.position, *(p for p in self.layers.parameters() if p.ndim > 1)):
            nn.init.trunc_normal_(weight, std=0.02)

    def positions(self, rows: int, columns: int) -> Tensor:
        """Position embeddings of a grid of patches: (1, width, rows, columns)."""
        if self.position.shape[-2:] == (rows, columns):
            return self.position
        return F.interpolate(self.position, (rows, columns), mode="bicubic")

    def forward(self, x: Tensor) -> Tensor:
        return self._tokens(x).mean(dim=1)

    def maps(self, x: Tensor) -> list[Tensor]:
        """One map (N, width, rows, columns): the normalised tokens in their places, whose mean is the feature."""
        places = [side // self.patch for side in x.shape[-2:]]
        return [self._tokens(x).transpose(1, 2).unflatten(2, places)]

    def _tokens(self, x: Tensor) -> Tensor:
        """Normalised, (N, patches, width), row by row."""
        if any(side % self.patch for side in x.shape[-2:]):
            height, width = x.shape[-2:]
            raise BadInput(f"height and width are multiples of the patch, {self.patch} pixels, not {height} x {width}")
        x = self.embed(self.normalised(x))  # (N, width, rows, columns)
        x = x + self.positions(*x.shape[-2:])
        return self.norm(self.layers(x.flatten(2).transpose(1, 2)))
