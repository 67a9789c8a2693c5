"""ReLICv2: ReLIC over several large and small crops, some of them without their background (arXiv 2201.05119).

What is known of the paper from text that quotes it: the loss is a contrastive one plus a divergence with a stopped
gradient; large crops go through the online network and its slow copy, small ones through the online network alone; the
sum over all pairs is divided by (L + S) L; a large crop is cut from the image without its background with a given
probability. The temperature, the probability, the numbers of crops and of negatives, and whether the divergence has a
weight, are not known: ours are choices.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import one_of
from lib.inputs import check_batch, whole, whole_or_none
from lib.methods.method import Method
from lib.methods.relic import ReLIC
from lib.methods.removal import Removal, Removing
from lib.precision import full_precision, own_precision
from lib.views import View, large_and_small
from lib.world import gathered

PROTOCOL = 1  # bump when a run with the same settings gives other numbers

AGAINST = ("pairs", "transpose")


@dataclass(frozen=True)
class Settings(Removal):
    """Our choices, all of them. `others` are the images of the batch that an image is told from, None for all.

    A divergence that is not `stopped` moves both distributions, and `against` "transpose" is one between the rows and
    the columns of the same similarities: a third party's code has both.
    """

    invariance: float = 1.0  # weight of the divergence: the text that quotes the paper has the plain sum
    # In runs of a narrow ResNet-10, on validation images: five points ahead of 0.2 on scenes, one on CIFAR-10.
    temperature: float = 0.1
    others: int | None = None
    large: int = 2  # crops
    small: int = 2
    size: int = 16  # pixels a side of a small crop: half of a large one's at a quarter of the cost, as SwAV has it
    removed: float = 0.1
    momentum: float = 0.98  # of the target at the first step, rising to 1
    hidden: int = 512
    projection: int = 128
    stopped: bool = True
    against: str = "pairs"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("large", 1), ("small", 0)):
            object.__setattr__(self, name, whole(getattr(self, name), name, least))
        object.__setattr__(self, "size", whole(self.size, "size", 8, 32))
        object.__setattr__(self, "others", whole_or_none(self.others, "others", "the whole batch"))
        one_of(self.against, AGAINST, "against")


class ReLICv2(Removing, ReLIC):
    """ReLIC's networks, head included. Batch norm sees one crop at a time, in the encoder and in the head: the paper's
    listing, as it is quoted, sends crop by crop through the whole network."""

    removal: Settings

    @staticmethod
    def views_of(settings: Settings) -> tuple[View, ...]:
        return large_and_small(settings.large, settings.small, settings.size)

    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__(encoder, settings)
        self.views, self.removal = self.views_of(settings), settings

    def forward(self, views: list[Tensor]) -> dict[str, Tensor]:
        online = [self.head(self.encoder(view)) for view in views]
        with torch.no_grad():
            targets = [self.target_head(self.target_encoder(view)) for view in views[: self.removal.large]]
        with full_precision(online[0]):
            online, targets = ([part.float() for part in parts] for parts in (online, targets))
            contrastive, divergence = relicv2(online, targets, self.settings)
            return {"contrastive": contrastive, "invariance": self.settings.invariance * divergence}


METHOD = Method("ReLICv2", "invariance", ReLICv2, Settings, PROTOCOL, look=("#C9A227", (8, 1, 0), "-."))


@own_precision
def relicv2(online: list[Tensor], targets: list[Tensor], settings: Settings) -> tuple[Tensor, Tensor]:
    r"""The contrastive term and the divergence of L + S online and L target projections, (N, D) each: two scalars.

    .. math:: \frac{1}{(L + S) L} \sum_{a = 1}^{L + S} \sum_{b = 1}^{L}
              \frac1N \sum_i \left( -\log p_i^{ab}(i), \;
              \mathrm{KL} \left( \mathrm{sg}[p_i^{b a'}] \,\Vert\, p_i^{ab} \right) \right)

    where :math:`p_i^{ab}` says which image crop a of image i is taken for, by its similarity to crop b of image i and
    of its `others`. All pairs of large crops count, that of a crop with itself too, as the paper's listing has it.

    The distribution that crop a shall agree with is the one of the other crop, b, as seen from a: a' is a where a is
    large. Of small crops there are no targets, so a' is then the large crop after b (our choice).
    """
    online, targets = ([gathered(part) for part in parts] for parts in (online, targets))
    large = len(targets)
    logits = [[similarities(o, t, settings) for t in targets] for o in online]
    contrastive = divergence = logits[0][0].new_zeros(())
    for a, b in itertools.product(range(len(online)), range(large)):
        own = logits[a][b]
        contrastive = contrastive + F.cross_entropy(own, torch.zeros(len(own), dtype=torch.long, device=own.device))
        if settings.against == "pairs":
            other = logits[b][a if a < large else (b + 1) % large]
        else:
            other = similarities(targets[b], online[a], settings)
        other = other.detach() if settings.stopped else other
        divergence = divergence + F.kl_div(
            F.log_softmax(own, dim=1), F.log_softmax(other, dim=1), reduction="batchmean", log_target=True
        )
    pairs = len(online) * large
    return contrastive / pairs, divergence / pairs


@own_precision
def similarities(online: Tensor, target: Tensor, settings: Settings) -> Tensor:
    """Cosines over the temperature of crops and targets, (N, D) each: (N, 1 + others), the image's own first.

    The others of image i are the ones that follow it in the batch. Batches are in random order, so they are a random
    sample, without a generator's help, and the same one for every pair of crops.
    """
    check_batch(online)
    cosines = F.normalize(online, dim=1) @ F.normalize(target, dim=1).T / settings.temperature
    count = len(cosines)
    others = count - 1 if settings.others is None else min(settings.others, count - 1)
    here = torch.arange(count, device=cosines.device)
    return cosines.gather(1, (here[:, None] + torch.arange(others + 1, device=cosines.device)) % count)
