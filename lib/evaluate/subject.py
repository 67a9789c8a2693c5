"""An encoder from outside as the subject of the book's measures: any network, any data, any size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib import files
from lib.evaluate.data import Data
from lib.images import Split
from lib.measures import Probe, Subject
from lib.models.named import Named, prepared
from lib.models.preprocessing import Preprocessing
from lib.randomness import derive
from lib.runs import store
from lib.shifts.corruptions import corrupted_alike
from lib.shifts.textures import synthesise

GRADIENT = 3  # a forward and a backward pass take the time of so many forwards
SMALL = 64  # px: up to this side an encoder takes as many images at once as the book's own
AT_ONCE = {"cpu": 16, "cuda": 64}  # images of larger sides
HELD = 1 << 30  # bytes of features of corrupted images that are kept for a second reader
# What torch enlarges images of a data set's own size with, by the interpolation that a source reads files with.
MODES = {"nearest": "nearest-exact", "bicubic": "bicubic", "lanczos": "bicubic", "box": "area"}

ONNX = "onnx:"

Count = Callable[[float], None]


@dataclass(frozen=True)
class Sizes:
    """How many images of each split are looked at."""

    train: int
    validation: int
    test: int


class Seen(nn.Module):
    """An encoder that takes square images of any size, enlarged or reduced to its own, and tells how many it saw."""

    def __init__(self, encoder: nn.Module, preprocessing: Preprocessing, count: Count, device: torch.device) -> None:
        super().__init__()
        self.encoder, self.side, self.count = encoder, preprocessing.size, count
        self.mode = MODES.get(preprocessing.interpolation, "bilinear")
        self.features = encoder.features
        self.at_once = AT_ONCE.get(device.type, 16) if self.side > SMALL else None

    def forward(self, x: Tensor) -> Tensor:
        """Images in [0, 1], (N, 3, S, S) -> features (N, `features`)."""
        self.count(len(x) * (GRADIENT if torch.is_grad_enabled() and x.requires_grad else 1))
        return self.encoder(resized(x, self.side, self.mode))


def resized(x: Tensor, side: int, mode: str) -> Tensor:
    """Images (N, 3, S, S) at `side`, with gradients; as they are where S is `side`."""
    if x.shape[-1] == side:
        return x
    if mode in ("nearest-exact", "area"):
        return F.interpolate(x, (side, side), mode=mode)
    return F.interpolate(x, (side, side), mode=mode, antialias=True).clamp(0, 1)


class Outside(Subject):
    """`named` on `data`: features of `sizes` images of each split, kept in files of `home`.

    A folder's images are read at the encoder's size as its own source reads them, a few at a time; only as many test
    images as a measure asks for are held.
    """

    named = False  # textures are made of as many images as are asked about

    def __init__(
        self,
        named: Named,
        data: Data,
        sizes: Sizes,
        precision: str,
        device: torch.device,
        home: Path | None = None,
        count: Count = lambda images: None,
    ) -> None:
        encoder = Seen(named.encoder.to(device), named.preprocessing, count, device)
        super().__init__(encoder, data.name, sizes.train, precision, device)
        self.outside, self.data, self.sizes, self.home, self.count = named, data, sizes, home, count
        self.by_head: OfHead | None = None  # the same encoder read by its own head, where that has the data's classes
        self._features: dict[str, tuple[Tensor, Tensor]] = {}
        self._pixels: dict[str, Split] = {}
        self._corrupted: dict[tuple, Tensor] = {}
        self._textures: Tensor | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        return self.data.classes

    def split(self, name: str, count: int | None = None) -> Split:
        """The first `count` images of a split; all that are looked at, where that is None."""
        most = getattr(self.sizes, name)
        count = most if count is None else min(count, most)
        if self.data.folder is None:
            return super().split(name, count) if name != "train" else self._named_train(count)
        held = self._pixels.get(name)
        if held is None or len(held.images) < count:
            parts = list(self.data.folder.batches(name, self.read, count))
            images, labels = (torch.cat([part[place] for part in parts]).to(self.device) for place in (0, 1))
            self._pixels[name] = held = Split(images, labels, self.classes, self.data.checksum, self.data.source)
        return replace(held, images=held.images[:count], labels=held.labels[:count])

    def _named_train(self, count: int) -> Split:
        whole = super().split("train")
        return replace(whole, images=whole.images[:count], labels=whole.labels[:count])

    def read(self, path: Path) -> np.ndarray:
        return prepared(path, self.outside.preprocessing).permute(1, 2, 0).numpy()

    def corrupted(self, name: str, severity: float, count: int | None = None) -> Tensor:
        if self.data.folder is None:
            return super().corrupted(name, severity, count or self.sizes.test)
        return corrupted_alike(self.split("test", count).images, name, severity)

    def corrupted_features(self, name: str, severity: float, count: int | None = None) -> Tensor:
        key = (name, severity, count)
        if key not in self._corrupted:
            made = self.extract(self.corrupted(name, severity, count))
            if sum(map(_bytes, self._corrupted.values())) + _bytes(made) > HELD:
                return made
            self._corrupted[key] = made
        return self._corrupted[key]

    def textures(self, count: int) -> Tensor:
        if self._textures is None or len(self._textures) < count:
            images = self.split("test", count).images.cpu()
            self._textures = synthesise(images, derive(0, torch.arange(len(images)))).to(self.device)
        return self._textures[:count]

    def features(self, split: str) -> Tensor:  # type: ignore[override]
        return self._kept(split)[0]

    def labels(self, split: str) -> Tensor:
        return self._kept(split)[1]

    def _kept(self, split: str) -> tuple[Tensor, Tensor]:
        """Features and labels of a split's images that can be read; made once, whatever asks for them."""
        if split not in self._features:
            count = getattr(self.sizes, split)
            if self.home is None:
                found = self._made(split, count)
            else:
                path = self.home / f"features-{split}-{count}.safetensors"
                found = files.kept(path, lambda: self._made(split, count))
            self._features[split] = found["features"].to(self.device), found["labels"].to(self.device)
        return self._features[split]

    def _made(self, split: str, count: int) -> dict[str, Tensor]:
        if self.data.folder is None:
            part = self.split(split, count)
            return {"features": self.extract(part.images).cpu(), "labels": part.labels.cpu().contiguous()}
        parts = [
            (self.extract(images.to(self.device)).cpu(), labels)
            for images, labels in self.data.folder.batches(split, self.read, count)
        ]
        return {name: torch.cat([part[place] for part in parts]) for place, name in enumerate(("features", "labels"))}


class OfHead(Subject):
    """The same encoder read by its own head, as it is: its logits are the features, and nothing is fitted.

    `columns` (C,) are the outputs for the data's classes. All outputs compete, so that an answer which is none of the
    data's classes is wrong: they come first in the probe's scores, and the others after them; unless a classifier
    chooses among the data's classes (`Data.among`).
    """

    named = False

    def __init__(self, body: Outside, head: nn.Module, columns: Tensor) -> None:
        head = head.to(body.device).eval()
        super().__init__(Logits(body.encoder, head), body.dataset, None, body.precision, body.device)
        self.body, self.columns, self.own = body, columns.to(body.device), head
        with torch.no_grad():
            outputs = head(torch.zeros(1, body.encoder.features, device=body.device)).shape[1]
        self.encoder.features = outputs
        others = torch.ones(outputs, dtype=torch.bool, device=body.device)
        others[self.columns] = False
        order = self.columns if body.data.among else torch.cat([self.columns, others.nonzero()[:, 0]])
        zeros = torch.zeros(outputs, device=body.device)
        chosen = torch.eye(outputs, device=body.device)[order]
        self.probe = Probe(zeros, zeros + 1, chosen, zeros[: len(order)], 0.0, 0.0)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.body.classes

    def split(self, name: str, count: int | None = None) -> Split:
        return self.body.split(name, count)

    def corrupted(self, name: str, severity: float, count: int | None = None) -> Tensor:
        return self.body.corrupted(name, severity, count)

    def corrupted_features(self, name: str, severity: float, count: int | None = None) -> Tensor:
        return self.logits(self.body.corrupted_features(name, severity, count))

    def textures(self, count: int) -> Tensor:
        return self.body.textures(count)

    def features(self, split: str) -> Tensor:  # type: ignore[override]
        return self.logits(self.body.features(split))

    def labels(self, split: str) -> Tensor:
        return self.body.labels(split)

    def logits(self, features: Tensor) -> Tensor:
        """(N, D) features -> (N, K) logits."""
        with torch.inference_mode():
            return torch.cat([self.own(part).float() for part in features.split(1024)])


class Logits(nn.Module):
    """An encoder and its head: images -> logits."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head, self.at_once = encoder, head, encoder.at_once
        self.features = 0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


def checksum(named: Named) -> str:
    """The SHA-256 of an encoder's and its head's weights, and of what is built of them."""
    digest = hashlib.sha256()
    if named.name.startswith(ONNX):  # whose weights are in the file alone
        digest.update(Path(named.name.removeprefix(ONNX).partition("?")[0]).read_bytes())
    for module in (named.encoder, named.head):
        if module is not None:
            digest.update(f"{type(module).__name__} {module!r}".encode())
            for name, tensor in sorted(module.state_dict().items()):
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def key_of(*identity: object) -> str:
    """A folder's name in the store, from what decides its numbers."""
    return "door-" + hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()[:16]


def identity_of(named: Named, data: Data, precision: str) -> dict:
    """What features depend on: the weights, what becomes of an image on its way, the data, the arithmetic."""
    preprocessing = {name: value for name, value in asdict(named.preprocessing).items() if name != "source"}
    return {
        "weights": checksum(named),
        "preprocessing": preprocessing,
        "data": data.checksum,
        "precision": precision,
    }


def home_of(identity: dict) -> Path:
    return store.folder(key_of(identity))


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
