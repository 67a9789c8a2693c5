"""The smallest ball around points, exactly, for many sets of points at once."""

from __future__ import annotations

import torch
from torch import Tensor

from lib.errors import BadInput

TOLERANCE = 1e-11  # of the squared size of a set: a point that is no further outside is on the ball
_RIDGE = 1e-13  # of the same: points that hang together have no one way to be mixed
_STEPS = 10_000  # by far more than any set has needed: a support is never met twice


def smallest_ball(points: Tensor) -> tuple[Tensor, Tensor]:
    r"""Weights and radius of the smallest ball around each of N sets of M points.

    `points` (N, M, D), finite, M and D at least 1 -> weights (N, M), 0 or more, of sum 1, and radius (N,), both
    float64. The centre, :math:`\sum_i \lambda_i x_i`, is a mean of the points that are on the ball: the weights solve

    .. math:: \max_\lambda \; \sum_i \lambda_i \lVert x_i \rVert^2 - \Big\lVert \sum_i \lambda_i x_i \Big\rVert^2
              \quad \text{with } \lambda \ge 0, \; \sum_i \lambda_i = 1,

    whose value is the squared radius. Only products of points occur in it, so D costs no more than the M x M of them.
    It is solved by an active set, as Wolfe finds the nearest point of a polytope (1976, Mathematical Programming 11):
    the furthest point joins those that hold the ball, the weights go to the centre of the sphere through these, and
    who would get a negative weight on the way is let go. No support is met twice, so it ends, at the solution
    itself. Every point is within the radius that is returned.

    >>> smallest_ball(torch.tensor([[[0.0, 0.0], [4.0, 0.0], [1.0, 1.0]]]))[1]
    tensor([2.], dtype=torch.float64)
    """
    if points.ndim != 3 or 0 in points.shape[1:] or not points.isfinite().all():
        raise BadInput(f"points are finite numbers (N, M, D), M and D at least 1, not {tuple(points.shape)}")
    points = points.double()
    points = points - points[:, :1]  # near to each other and far from zero, products would have lost their last digits
    products = points @ points.mT
    size = products.diagonal(dim1=1, dim2=2).amax(1).clamp(min=torch.finfo(torch.float64).tiny)
    products = products / size[:, None, None]
    weights = torch.zeros(points.shape[:2], dtype=torch.float64, device=points.device)
    weights[:, 0] = 1
    holding = weights > 0
    going = torch.arange(len(points), device=points.device)
    for _ in range(_STEPS):
        if not len(going):
            break
        weights[going], holding[going], done = _step(products[going], weights[going], holding[going])
        going = going[~done]
    else:
        raise RuntimeError("a smallest ball was not found")
    return weights, (_squared_distances(products, weights).amax(1).clamp(min=0) * size).sqrt()


def _squared_distances(products: Tensor, weights: Tensor) -> Tensor:
    """Of every point to the centre: (N, M)."""
    along = (products @ weights[:, :, None])[:, :, 0]
    return products.diagonal(dim1=1, dim2=2) - 2 * along + (weights * along).sum(1, keepdim=True)


def _step(products: Tensor, weights: Tensor, holding: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weights and `holding` after one step of each set, and whether it has ended."""
    aims = _sphere(products, holding)
    blocked = (holding & (aims <= 0)).any(1)
    # As far towards the aim as no weight gets negative.
    room = torch.where(holding & (aims <= 0), weights / (weights - aims).clamp(min=1e-300), 1).amin(1).clamp(0, 1)
    moved = weights + room[:, None] * (aims - weights)
    first = torch.where(holding & (aims <= 0), weights / (weights - aims).clamp(min=1e-300), torch.inf).argmin(1)
    kept = holding & (moved > 0)
    kept[blocked, first[blocked]] = False
    kept[~blocked] = holding[~blocked]
    moved = torch.where(kept, moved, 0)
    moved = moved / moved.sum(1, keepdim=True)
    # Who has arrived looks for a point outside.
    distances = _squared_distances(products, moved)
    radius = torch.where(kept, distances, -torch.inf).amax(1)
    outside = torch.where(kept, -torch.inf, distances)
    furthest, which = outside.max(1)
    done = ~blocked & (furthest <= radius + TOLERANCE)
    joins = ~blocked & ~done
    kept[joins, which[joins]] = True
    return moved, kept, done


def _sphere(products: Tensor, holding: Tensor) -> Tensor:
    """Weights (N, M), of any sign and sum 1, of the centre of the smallest sphere through the points that hold."""
    most = int(holding.sum(1).max())
    places = holding.to(torch.uint8).argsort(dim=1, descending=True, stable=True)[:, :most]  # few points: small systems
    in_use = holding.gather(1, places).double()
    part = products.gather(1, places[:, :, None].expand(-1, -1, products.shape[2]))
    part = part.gather(2, places[:, None].expand(-1, most, -1))
    # 2 G w + m = diagonal of G, and sum of w = 1; places that are not in use have a line of their own, w = 0.
    system = part.new_zeros(len(part), most + 1, most + 1)
    unused = torch.diag_embed(1 - in_use) + _RIDGE * torch.eye(most, dtype=part.dtype, device=part.device)
    system[:, :-1, :-1] = 2 * part * in_use[:, :, None] * in_use[:, None] + unused
    system[:, :-1, -1] = system[:, -1, :-1] = in_use
    right = torch.cat((part.diagonal(dim1=1, dim2=2) * in_use, part.new_ones(len(part), 1)), dim=1)
    found = torch.linalg.solve(system, right)[:, :-1]
    return torch.zeros_like(products[:, :, 0]).scatter_(1, places, found * in_use)
