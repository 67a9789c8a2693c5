"""Encoders as the door takes them: by name, as modules, or as networks of the book with random weights."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lib.errors import BadInput
from lib.evaluate.data import Data
from lib.evaluate.subject import Seen
from lib.measures.features import extract
from lib.models import ENCODERS, build_encoder
from lib.models.encoder import UNKNOWN
from lib.models.named import Named, Preprocessing, head_rows, open_encoder
from lib.models.sources.wrapped import WrappedEncoder, counted, probed

RANDOM = "random:"
SIDE = 32  # px, of the book's small encoders
CLOCKED = 8  # images, whose forward passes are timed


@dataclass(frozen=True)
class Opened:
    """An encoder, and which outputs of its head are the data's classes; or why it is not read by a head."""

    named: Named
    columns: Tensor | None
    headless: str
    seconds: float  # of one image's forward pass

    @property
    def name(self) -> str:
        return self.named.name


def open_all(encoders: str | Named | Sequence[str | Named], data: Data, device: torch.device) -> list[Opened]:
    """Each encoder with what reads it. Raises BadInput for none, for one twice, and where `open_encoder` does."""
    encoders = [encoders] if isinstance(encoders, str | Named) else list(encoders)
    if not encoders:
        raise BadInput("name one encoder or more")
    found = [encoder if isinstance(encoder, Named) else named(encoder) for encoder in encoders]
    names = [own.name for own in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInput(f"{twice[0]} is named twice; each encoder is compared with others")
    return [_opened(own, data, device) for own in found]


def named(name: str) -> Named:
    """`lib.models.named.open_encoder`; and "random:ENCODER", one of the book's own networks with random weights."""
    if name.startswith(RANDOM):
        return untrained(name.removeprefix(RANDOM))
    return open_encoder(name)


def untrained(name: str, seed: int = 0) -> Named:
    """An encoder of `lib.models.ENCODERS` with random weights, for images of 32 px or, by its name, of 224."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build_encoder(name)
    side = 224 if "224" in name else SIDE
    source = f"{name} of lib.models.ENCODERS has no source; its own"
    preprocessing = Preprocessing(side, side * 256 // 224, "bilinear", *UNKNOWN, source)
    network.mean.zero_()
    network.std.fill_(1.0)
    encoder = WrappedEncoder(RANDOM + name, network, preprocessing)
    probed(encoder)
    words = f"lib.models.ENCODERS, {name}, random weights (seed {seed}), {counted(network)}: a control, not trained"
    return Named(RANDOM + name, encoder, preprocessing, None, None, True, words)


def is_random(name: str, source: str) -> bool:
    """Whether an encoder's name, or the words on its source, say that its weights are random."""
    return name.startswith(RANDOM) or "random weights" in source


def _opened(own: Named, data: Data, device: torch.device) -> Opened:
    columns, headless = None, ""
    try:
        columns = head_rows(own, data.classes)
    except BadInput as error:
        headless = str(error)
    return Opened(own, columns, headless, _seconds(own, device))


def _seconds(own: Named, device: torch.device) -> float:
    """Of one image's forward pass, the better of two after one that does not count."""
    encoder = Seen(own.encoder.to(device), own.preprocessing, lambda images: None, device)
    side = own.preprocessing.size
    images = torch.rand(CLOCKED, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    taken = []
    for _ in range(3):
        started = time.perf_counter()
        extract(encoder, images, "auto").cpu()
        taken.append(time.perf_counter() - started)
    return min(taken[1:]) / CLOCKED


__all__ = ["ENCODERS", "RANDOM", "Opened", "is_random", "named", "open_all", "untrained"]
