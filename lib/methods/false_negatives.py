"""Contrast without likely false negatives, images of the query's own class (Gupta et al. 2022, arXiv 2207.10862).

The paper holds them to be why contrastive encoders are more sensitive to adversaries than supervised ones, and detects
and removes such pairs. Here that is a setting of SimCLR or of MoCo v2, with two controls: labels say which they are, or
chance does. Of the paper we had the abstract, and no code is known to us; what is dropped, by which similarity and from
when on are therefore choices of ours, told at `Settings`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadInput, one_of
from lib.inputs import check_batch, real
from lib.methods import moco_v2, simclr
from lib.methods.method import Method
from lib.precision import full_precision, own_precision
from lib.randomness import seed_of
from lib.views import SIMCLR
from lib.world import drawn, gathered, share

PROTOCOL = 1  # bump when a run with the same settings gives other numbers
DROPPED = {
    "likely": "likely false ones dropped", "labelled": "same class dropped", "random": "random ones dropped",
}  # fmt: skip
_OF_MOCO = {"queue": 4096, "momentum": 0.99}  # its defaults


@dataclass(frozen=True, kw_only=True)
class Settings:
    r"""`on` is what stays of the method otherwise, "simclr" or "moco_v2", and `dropped` says which negatives go.

    - "likely": for each image the `share` of all its negatives that are most similar to it. On SimCLR that is the mean
      cosine of the four pairs of views, so that both views of the other image go; on MoCo v2 it is the cosine of the
      image's own key, not of its query, with those in the queue, since one network made both. A cosine of projections,
      which the loss is of. A tenth is the share of each of ten classes, and so what labels drop on average there.
    - "labelled": those of the same label, however many they are: the ceiling of every way to detect them.
    - "random": as many as "likely" drops, others in each step: what fewer negatives do by themselves.
    - None: nothing goes, and what is trained is the plain method.

    They go once the share `start` of training is done, since before it similarity means little; labels and chance wait
    as long, so that the three differ in who decides alone. What is dropped takes no part in the softmax. It is not
    drawn nearer either.
    """

    on: str = "simclr"
    dropped: str | None = "likely"
    share: float = 0.1
    start: float = 0.25
    temperature: float = 0.2
    hidden: int = 512
    projection: int = 128
    queue: int = 4096
    momentum: float = 0.99

    def __post_init__(self) -> None:
        one_of(self.on, _KINDS, "method to drop negatives of")
        if self.dropped is not None:
            one_of(self.dropped, DROPPED, "kind of dropped negatives")
        object.__setattr__(self, "share", float(real(self.share, "share", 0, 0.9)))
        object.__setattr__(self, "start", float(real(self.start, "start", 0, 1)))
        for name, default in _OF_MOCO.items():
            if self.on == "simclr" and getattr(self, name) != default:
                raise BadInput(f"{name} is a setting on moco_v2: on simclr it is {default}, not {getattr(self, name)}")

    @property
    def negatives_in_words(self) -> str:
        return DROPPED[self.dropped] if self.dropped else ""

    @property
    def silent(self) -> tuple[str, ...]:
        return tuple(_OF_MOCO) if self.on == "simclr" else ()

    def plain(self, kind: type, *names: str) -> Any:
        """The settings of the method that it stands on, a class of these."""
        return kind(**{name: getattr(self, name) for name in ("temperature", "hidden", "projection", *names)})


class FalseNegatives(nn.Module):
    """Made as one of two kinds, by what the settings say it stands `on`; it is its network and its loss."""

    views = SIMCLR
    uses_labels = False  # of an instance it may be true: where labels decide
    settings: Settings
    dropping: Tensor

    def __new__(cls, encoder: nn.Module | None = None, settings: Settings | None = None) -> Any:
        """Of the kind that the settings ask for; without them, as copies are made, of its own."""
        return super().__new__(_KINDS[settings.on] if settings and cls is FalseNegatives else cls)

    def _prepare(self, settings: Settings) -> None:
        """What is kept between steps: whether negatives go by now, and for chance the number of the step."""
        self.settings, self.uses_labels = settings, settings.dropped == "labelled"
        self.register_buffer("dropping", torch.tensor(settings.start == 0))  # on the device: no step waits for it
        self.steps = 0
        self.seed = int(torch.randint(2**62, ())) if settings.dropped == "random" else 0  # of the run, by its weights

    def _asked(self, labels: Tensor | None) -> None:
        if (labels is not None) != self.uses_labels:
            raise TypeError(f"labels are for 'labelled' negatives alone, not for {self.settings.dropped!r}")

    @torch.no_grad()
    def _gone(self, similarity: Tensor, same: Tensor | None, candidates: int) -> Tensor:
        """Which negatives go, by row: bool like `similarity` (N, M), in which what is no negative is -inf.

        `candidates` is how many negatives a row has; `same` says of which the label is the row's.
        """
        if same is None:
            count = round(self.settings.share * candidates)
            if self.settings.dropped == "random":
                similarity = self._chances(similarity)
            same = highest(similarity, count)
        return same & self.dropping

    def _chances(self, similarity: Tensor) -> Tensor:
        """Random numbers in the place of similarities: the same in each pass of a step, also under an attack."""
        generator = torch.Generator(similarity.device).manual_seed(seed_of(self.seed, self.steps))
        width, device = similarity.shape[1], similarity.device
        chances = drawn(len(similarity), lambda count: torch.rand(count, width, generator=generator, device=device))
        return chances.masked_fill(similarity == -torch.inf, -torch.inf)

    def after_step(self, progress: float) -> None:
        super().after_step(progress)  # type: ignore[misc]  # of the method that it stands on
        self.dropping.fill_(progress >= self.settings.start)
        self.steps += 1

    def get_extra_state(self) -> dict[str, int]:
        return {"steps": self.steps, "seed": self.seed}

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.steps, self.seed = state["steps"], state["seed"]


class OnSimCLR(FalseNegatives, simclr.SimCLR):
    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__(encoder, settings.plain(simclr.Settings))
        self._prepare(settings)

    def forward(self, views: list[Tensor], labels: Tensor | None = None) -> dict[str, Tensor]:
        self._asked(labels)
        projections = self.head(self.encoder(torch.cat(views)))
        with full_precision(projections):
            first, second = projections.float().chunk(2)
            if self.settings.dropped is None:
                return {"contrastive": self.loss(first, second)}
            same = None if labels is None else labels[:, None] == gathered(labels)
            similarity = between_images(first, second)
            gone = self._gone(similarity, same, similarity.shape[1] - 1)
            return {"contrastive": nt_xent_without(first, second, self.temperature, gone)}


class OnMoCoV2(FalseNegatives, moco_v2.MoCoV2):
    def __init__(self, encoder: nn.Module, settings: Settings) -> None:
        super().__init__(encoder, settings.plain(moco_v2.Settings, *_OF_MOCO))
        self._prepare(settings)
        self.newest_labels: Tensor | None = None
        self.register_buffer("queued_labels", torch.full((settings.queue,), -1))  # of keys that are no image's yet

    def forward(self, views: list[Tensor], labels: Tensor | None = None) -> dict[str, Tensor]:
        self._asked(labels)
        query = self.head(self.encoder(views[0]))
        with torch.no_grad():
            key = self.key_head(self.key_encoder(views[1]))
        with full_precision(query):
            query, self.newest = F.normalize(query.float(), dim=1), F.normalize(key.float(), dim=1)
            keys, self.newest_labels = self.queue.keys, labels
            if self.settings.dropped is None:
                return {"contrastive": moco_v2.info_nce(query, self.newest, keys, self.temperature)}
            same = None if labels is None else labels[:, None] == self.queued_labels
            gone = self._gone(self.newest @ keys.T, same, len(keys))
            return {"contrastive": info_nce_without(query, self.newest, keys, self.temperature, gone)}

    def after_batch(self) -> None:
        if self.newest_labels is not None:  # to the places that their keys go to
            labels = gathered(self.newest_labels)
            size, count = len(self.queued_labels), len(labels)
            places = (self.queue.oldest + torch.arange(count, device=self.queued_labels.device)) % size
            self.queued_labels[places[-size:]] = labels[-size:]
        super().after_batch()


_KINDS = {"simclr": OnSimCLR, "moco_v2": OnMoCoV2}

METHOD = Method(
    "False negatives dropped", "contrastive", FalseNegatives, Settings, PROTOCOL, look=("#2E86AB", (7, 1, 0), "--")
)


def highest(similarity: Tensor, count: int) -> Tensor:
    """Whether each entry is one of the `count` highest of its row: (N, M) -> bool (N, M), exactly so many a row."""
    places = similarity.topk(count, dim=1).indices
    return torch.zeros_like(similarity, dtype=torch.bool).scatter_(1, places, True)


@torch.no_grad()
@own_precision
def between_images(first: Tensor, second: Tensor) -> Tensor:
    """Mean cosine of the views of one image with those of another: two (N, D) views -> (N, N), -inf with itself.

    Of several processes each has the rows of its own images.
    """
    views = gathered(F.normalize(first, dim=1) + F.normalize(second, dim=1))
    return share((views @ views.T / 4).fill_diagonal_(-torch.inf))


@own_precision
def nt_xent_without(first: Tensor, second: Tensor, temperature: float, gone: Tensor) -> Tensor:
    r"""`lib.methods.simclr.nt_xent` without images that are `gone`, bool (N, N): two (N, D) views -> scalar.

    .. math:: \ell_{i,j} = -\log \frac{\exp(\mathrm{sim}(z_i, z_j) / \tau)}
              {\sum_{k \ne i, k \notin G(i)} \exp(\mathrm{sim}(z_i, z_k) / \tau)}

    with G(i) both views of all images that are gone for that of i. An image never goes for itself.
    """
    first, second, gone = gathered(first), gathered(second), gathered(gone)
    check_batch(first)
    count = len(first)
    itself = torch.eye(count, dtype=torch.bool, device=first.device)
    z = F.normalize(torch.cat((first, second)), dim=1)
    similarity = (z @ z.T / temperature).fill_diagonal_(-torch.inf)
    similarity = similarity.masked_fill((gone & ~itself).repeat(2, 2), -torch.inf)
    return F.cross_entropy(similarity, torch.arange(2 * count, device=z.device).roll(count))


@own_precision
def info_nce_without(query: Tensor, key: Tensor, queue: Tensor, temperature: float, gone: Tensor) -> Tensor:
    r"""`lib.methods.moco_v2.info_nce` without keys that are `gone`, bool (N, K): unit vectors (N, D), (N, D) and (K, D)
    -> scalar.

    .. math:: -\log \frac{\exp(q \cdot k_+ / \tau)}
              {\exp(q \cdot k_+ / \tau) + \sum_{i \notin G(q)} \exp(q \cdot k_i / \tau)}
    """
    positive = (query * key).sum(dim=1, keepdim=True)
    logits = torch.cat((positive, (query @ queue.T).masked_fill(gone, -torch.inf)), dim=1) / temperature  # (N, 1 + K)
    return F.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long, device=query.device))
