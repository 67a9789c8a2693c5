"""DSA: a learned regulator that draws likely relatives together and keeps others apart (arXiv 2407.13541).

We had the paper's abstract and its official code (ZeenSong/DSA), not the text of its method. For SimCLR the code adds
to the loss, with x the projections of both views of N images,

- log(1 + mean of exp(s_i d_ij (2 M_ij - 1) / tau)) over all pairs: d is the distance of unit vectors and M, in [0, 1],
  what the regulator says of a pair. M above a half draws a pair together, below it pushes it apart;
- the distance of M from a prior exp(-d' / tau'), where d' is the distance of the pair's features in a network
  that was trained with ImageNet's labels. s_i is 0 for an outlier in that network, which then takes no part.

What stands in for that network here is the slow copy of the encoder, BYOL's own where there is one: no labels, no
weights from elsewhere. Its features are centred within the batch, since raw ones are all alike; and as the method does
not see the untouched image, whose neighbours the code counts, we take the mean of its two views. With the code's values
the prior is above a half for cosines above 0.94 alone: it draws near what is nearly one already, and pushes the rest.

Where the code does not do what it seems meant to do, ours by default does the latter. `regulator="official"` has its
first three quirks:

- each row of M is divided by its sum. Then at most one M of a row is above a half, and (nearly) every pair is pushed
  apart, whereas the prior has ones in its diagonal, which such rows cannot reach;
- the differences that the regulator reads are divided by their sum over all N^2 pairs, which makes them nearly zero,
  and its output is a ReLU: it begins, by the signs of its biases, as a constant or dead, and a dead one stays dead;
- M across two views is read from the first view alone;
- the pretrained network's first convolution is replaced by a random one, and its batch norm is in training;
- for BYOL and Barlow Twins, two methods are called that are not there: neither runs. For BYOL we follow what is
  written: predictions are x for one view, the target's projections of the other view for the other, both ways round.

One of the code's two SimCLR classes divides the distance from the prior by 4; that which runs does not, nor do we.

On BYOL it needs what BYOL needs, a training that is not too short. In twelve epochs of 2,000 scenes (the preset `quick`
in a study of systems; one seed, a standard error of 1 point) the probe's accuracy is 30.5 % on random weights, 22.0 %
on BYOL and 28.0 % on DSA; with SimCLR's SGD in the place of BYOL's LARS it is 29.6 % and 31.5 %. Neither is shown to
beat random weights there. After four times as many epochs, by LARS, DSA on BYOL is at 43.5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import one_of
from lib.inputs import check_batch, real, whole
from lib.methods import byol, simclr
from lib.methods.method import Method
from lib.methods.target import follow, rising, slow_copy
from lib.precision import full_precision, own_precision
from lib.views import View
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers

ON: dict[str, Any] = {"simclr": simclr.SimCLR, "byol": byol.BYOL}
REGULATORS = ("sigmoid", "official")
SMALLEST = 1e-6  # of squared distances: below it they are rounding, and their root has no useful slope


@dataclass(frozen=True)
class Settings:
    """Values are the code's where nothing else is said. A `weight` of 0 is the method that DSA stands `on`."""

    on: str = "simclr"
    weight: float = 1.0  # of the regulated distances
    prior: float = 0.01  # weight of the regulator's distance from the prior
    regulator: str = "sigmoid"  # ours; see above
    width: int = 64  # of the regulator's one hidden layer
    neighbours: int = 20
    mutual: int = 1  # a neighbour is a good one if more of its own neighbours than that have the image as theirs
    regulated_temperature: float = 0.5
    prior_temperature: float = 0.5
    temperature: float = 0.2  # SimCLR's, as ours has it; the code's is 0.5
    momentum: float = 0.98  # of the slow copy at the first step, rising to 1, as in our BYOL
    hidden: int = 512
    projection: int = 128

    def __post_init__(self) -> None:
        one_of(self.on, ON, "method to stand on")
        one_of(self.regulator, REGULATORS, "regulator")
        for name, least, most in (
            ("weight", 0, torch.inf), ("prior", 0, torch.inf), ("momentum", 0, 1), ("temperature", 0.001, torch.inf),
            ("regulated_temperature", 0.001, torch.inf), ("prior_temperature", 0.001, torch.inf),
        ):  # fmt: skip
            object.__setattr__(self, name, float(real(getattr(self, name), name, least, most)))
        for name, fewest in (("width", 1), ("neighbours", 1), ("mutual", 0)):
            object.__setattr__(self, name, whole(getattr(self, name), name, fewest))


class DSA(nn.Module):
    """Around the method that it stands on; the regulator learns with it, by the same loss."""

    queries = (0, 1)
    uses_labels = False

    @staticmethod
    def views_of(settings: Settings) -> tuple[View, ...]:
        return ON[settings.on].views

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__()
        sizes = {"hidden": settings.hidden, "projection": settings.projection}
        if settings.on == "simclr":
            self.base = simclr.SimCLR(encoder, simclr.Settings(temperature=settings.temperature, **sizes))
        else:
            self.base = byol.BYOL(encoder, byol.Settings(momentum=settings.momentum, **sizes))
        self.views, self.settings = self.views_of(settings), settings
        if settings.weight:
            if settings.on == "simclr":
                self.slow = slow_copy(encoder)
            kind = Regulator if settings.regulator == "sigmoid" else OfficialRegulator
            self.regulator = kind(settings.projection, settings.width)

    @property
    def encoder(self) -> nn.Module:
        return self.base.encoder

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        if not self.settings.weight:
            return self.base(views)
        return self._with_simclr(views) if self.settings.on == "simclr" else self._with_byol(views)

    def _with_simclr(self, views: list[Tensor]) -> dict[str, Tensor]:
        projections = self.base.head(self.base.encoder(torch.cat(views)))
        with torch.no_grad():
            features = [self.slow(view).float() for view in views]
        with full_precision(projections):
            first, second = projections.float().chunk(2)
            return {"contrastive": self.base.loss(first, second)} | self._regulated([(first, second)], [features])

    def _with_byol(self, views: list[Tensor]) -> dict[str, Tensor]:
        base = self.base
        predictions = [base.predictor(base.projector(base.encoder(view))).float() for view in views]
        with torch.no_grad():
            features = [base.target_encoder(view) for view in views]
            targets = [base.target_projector(part).float() for part in features]
        features = [part.float() for part in features]
        with full_precision(predictions[0]):
            terms = {
                "first to second": byol.regression(predictions[0], targets[1]),
                "second to first": byol.regression(predictions[1], targets[0]),
            }
            pairs = [(predictions[0], targets[1]), (predictions[1], targets[0])]
            return terms | self._regulated(pairs, [features, features[::-1]])

    def _regulated(self, pairs: list[tuple[Tensor, Tensor]], features: list[list[Tensor]]) -> dict[str, Tensor]:
        """The two terms, summed over pairs of views."""
        settings, regulated, prior = self.settings, [], []
        pairs = [(gathered(first), gathered(second)) for first, second in pairs]
        features = [[gathered(part) for part in parts] for parts in features]
        good = trust(features[0][0], features[0][1], settings.neighbours, settings.mutual)
        for (first, second), (one, other) in zip(pairs, features, strict=True):
            relation = self.regulator(first, second)
            regulated.append(regulation(first, second, relation, good, settings.regulated_temperature))
            prior.append(departure(relation, likeness(one, other, settings.prior_temperature)))
        return {"regulated": settings.weight * sum(regulated), "prior": settings.prior * sum(prior)}

    def after_step(self, progress: float) -> None:
        self.base.after_step(progress)
        if hasattr(self, "slow"):
            follow(self.slow, self.base.encoder, rising(self.settings.momentum, progress))


METHOD = Method("DSA", "contrastive", DSA, Settings, PROTOCOL, look=("#6A8FC9", (4, 1, 45), ":"))


class Regulator(nn.Module):
    """How likely the images of each pair of vectors are relatives, by the difference of the two as unit vectors."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.read, self.say = nn.Linear(inputs, width), nn.Linear(width, 1)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Of two views, (N, D) each: (2N, 2N) from 0 to 1, rows and columns those of the first view before those of the
        second."""
        return self.differences(F.normalize(torch.cat((first, second)), dim=1)).sigmoid()

    def differences(self, z: Tensor) -> Tensor:
        """What the layers say of z_i - z_j before the last activation: (N, D) -> (N, N)."""
        seen = F.linear(z, self.read.weight)  # linear: of a difference, the difference
        return self.say((seen[:, None] - seen + self.read.bias).relu()).squeeze(2)


class OfficialRegulator(Regulator):
    """With the code's first three quirks (see above)."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        rows = []
        for z in (first, second):
            place = torch.arange(1 - len(z), len(z), 2, device=z.device, dtype=z.dtype)
            total = 2 * (place[:, None] * z.sort(dim=0).values).sum(dim=0)  # of |z_id - z_jd| over all i and j
            rows.append(F.normalize(self.differences(z / total.clamp_min(1e-12)).relu(), p=1, dim=1).repeat(1, 2))
        return torch.cat(rows)


@own_precision
def regulation(first: Tensor, second: Tensor, relation: Tensor, good: Tensor, temperature: float) -> Tensor:
    r"""Distances of two views, (N, D) each, weighed by their `relation` M, (2N, 2N), and by how `good` s, (N,), the
    neighbours of an image are: a scalar,

    .. math:: \log \left( 1 + \frac{1}{4 N^2} \sum_{i \ne j} \exp \frac{s_i d_{ij} (2 M_{ij} - 1)}{\tau} \right)

    over the 2N views. That of an image with its other view counts as well.
    """
    check_batch(first)
    powers = good.repeat(2)[:, None] * distances(torch.cat((first, second))) * (2 * relation - 1) / temperature
    others = 1 - torch.eye(len(powers), device=powers.device, dtype=powers.dtype)
    return (powers.exp() * others).mean().log1p()


@own_precision
def departure(relation: Tensor, prior: Tensor) -> Tensor:
    """Frobenius norms of the difference of two (2N, 2N), one for each pair of views, summed: a scalar."""
    count = len(relation) // 2
    blocks = (relation - prior).reshape(2, count, 2, count)
    return torch.linalg.vector_norm(blocks, dim=(1, 3)).sum()


@torch.no_grad()
@own_precision
def likeness(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """exp(-d / temperature) of all pairs of features of two views, (N, D) each: (2N, 2N), in (0, 1]."""
    return (-distances(torch.cat(centred(first, second))) / temperature).exp()


@torch.no_grad()
@own_precision
def trust(first: Tensor, second: Tensor, neighbours: int, mutual: int) -> Tensor:
    """The share of good ones among the neighbours of each image, by features of its two views, (N, D) each: (N,).

    j, a neighbour of i, is good if more than `mutual` of its own neighbours have i among theirs. A batch of few images
    has fewer neighbours.
    """
    check_batch(first)
    z = F.normalize(sum(F.normalize(part, dim=1) for part in centred(first, second)), dim=1)
    nearest = (z @ z.T).fill_diagonal_(-torch.inf).topk(min(neighbours, len(z) - 1), dim=1).indices
    has = torch.zeros(len(z), len(z), device=z.device, dtype=z.dtype).scatter_(1, nearest, 1.0)  # i has j
    return (has * (has @ has > mutual).T).sum(dim=1) / nearest.shape[1]


def centred(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Two views less the mean of both."""
    mean = (first.mean(dim=0) + second.mean(dim=0)) / 2
    return first - mean, second - mean


def distances(z: Tensor) -> Tensor:
    """Of all pairs of (N, D), as unit vectors: (N, N) from 0 to 2."""
    z = F.normalize(z, dim=1)
    return (2 - 2 * z @ z.T).clamp_min(SMALLEST).sqrt()
