"""Negatives that share an image's surface and not its meaning (Ge et al. 2021, arXiv 2110.14189)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from lib.errors import BadInput, one_of
from lib.inputs import real, whole
from lib.precision import own_precision
from lib.views import View, patch_negatives, render_checked
from lib.views.recipes import Parameters

NEGATIVES = ("patch", "texture")


@dataclass(frozen=True, kw_only=True)
class Repulsion:
    """What a method tells each query from, besides what it does anyway.

    `negatives` are None, "patch" (see `lib.views.patch_negatives`) or "texture" (see `lib.shifts.textures`), `count` of
    them a query; of textures there is one. `alpha` multiplies their similarity: above 1 it makes their share of the
    softmax sharper, it is no weight.
    """

    negatives: str | None = None
    alpha: float = 2.0  # of the paper's main table
    count: int = 1

    def __post_init__(self) -> None:
        if self.negatives is not None:
            one_of(self.negatives, NEGATIVES, "negatives")
        object.__setattr__(self, "alpha", float(real(self.alpha, "alpha", 0)))
        object.__setattr__(self, "count", whole(self.count, "count"))
        if self.negatives == "texture" and self.count > 1:
            raise BadInput(f"an image has one texture: the count of texture negatives is 1, not {self.count}")

    @property
    def negatives_in_words(self) -> str:
        """patch, alpha 2"""
        if self.negatives is None:
            return ""
        count = f"{self.count} a query, " if self.count > 1 else ""
        return f"{self.negatives}, {count}alpha {self.alpha:g}"


class Repelling:
    """What a module with a `repulsion` reads behind its `views`: negatives of each of its `queries` (`lib.methods`)."""

    views: tuple[View, ...]
    queries: tuple[int, ...]
    repulsion: Repulsion

    @property
    def has_negatives(self) -> bool:
        """Whether the settings name any."""
        return self.repulsion.negatives is not None

    @property
    def reads(self) -> dict[str, str]:
        """What has to be made of each image before."""
        texture = {"textures": "its texture (see lib.shifts.textures)"} if self.repulsion.negatives == "texture" else {}
        return getattr(super(), "reads", {}) | texture

    def negatives(
        self, batch: Mapping[str, Tensor], drawn: Sequence[Parameters], clean: Sequence[Tensor],
        generator: torch.Generator,
    ) -> list[Tensor]:  # fmt: skip
        """Of each query so many as the settings count: patches of it, or its texture turned, cut and coloured alike."""
        if self.repulsion.negatives == "texture":
            return [render_checked(batch["textures"], self.views[query], drawn[query]) for query in self.queries]
        queries = [clean[query] for query in self.queries for _ in range(self.repulsion.count)]
        return [patch_negatives(query, generator) for query in queries]


@own_precision
def repelled(query: Tensor, negatives: Tensor, alpha: float, temperature: float) -> Tensor:
    r"""Logits of negatives (n, N, D) of queries (N, D): (N, n).

    .. math:: \alpha \, \mathrm{sim}(q_i, t_{ij}) / \tau

    with sim the cosine, as in the public code. A negative takes part in its own query's softmax alone.
    """
    similarity = torch.einsum("nd,knd->nk", F.normalize(query, dim=1), F.normalize(negatives, dim=2))
    return similarity * (alpha / temperature)
