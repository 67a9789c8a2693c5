"""One training from a config and its data: what the engine, the benchmarks and a live cell of a notebook ask for."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from lib.errors import BadInput
from lib.images import Split, load, side_of
from lib.methods import build_method
from lib.models import Encoder, build_encoder
from lib.progress import bars
from lib.runs.config import RunConfig
from lib.shifts.textures import textures
from lib.streamed import Streamed
from lib.training import OutOfTime, train
from lib.training.masks import without_background
from lib.views import augmented, cropped, scaled


@dataclass(frozen=True)
class Fitted:
    """A method in evaluation mode, and the history of its training (see `lib.training.train`)."""

    method: nn.Module
    history: list[dict[str, float]]

    @property
    def encoder(self) -> nn.Module:
        """What is evaluated."""
        return self.method.encoder  # type: ignore[return-value]

    @property
    def seconds(self) -> float:
        """Of all epochs, without what a monitor took."""
        return math.fsum(epoch["seconds"] for epoch in self.history)


def fit(
    config: RunConfig,
    data: Split,
    teacher: nn.Module | None = None,
    monitor: Callable[[nn.Module], dict[str, float]] | None = None,
    checkpoint: Path | None = None,
    deadline: float = math.inf,
    progress: bool = True,
) -> Fitted:
    """Train what `config` says on `data`, its training images, on their device: the same weights each time.

    `data` is `lib.images.load(config.dataset, "train", config.train_images, device)`. A method that learns from a
    `teacher` needs its encoder; `monitor`, `checkpoint`, `deadline` and `progress` are those of `train`. Textures and
    images without background are made where the method reads them. Keeps nothing except the `checkpoint`: a run that is
    to be found again is computed by `lib.runs.compute`. Raises BadInput where `train` does, for a fusion, which is not
    one training but several, and for more images than the run has.
    """
    if config.members():
        raise BadInput(f"{config.augmentation} is made of {len(config.members())} trainings: fit its members")
    if config.train_images is not None and len(data.images) > config.train_images:
        raise BadInput(f"the run trains on {config.train_images:,} images, and {len(data.images):,} are given")
    method = untrained(config, data, teacher)
    with bars(progress):
        history = train(
            method, data.images, data.labels, config.training, config.seed, checkpoint, deadline=deadline,
            monitor=monitor, attack=config.attack, beside=_beside(config, data),
        )  # fmt: skip
    return Fitted(method, history)


def help_fit(
    config: RunConfig, teacher: nn.Module | None, checkpoint: Path | None, seconds: float, device: str
) -> None:
    """`fit` in a process that shares batches with another, which keeps the result; for at most so many `seconds`."""
    data = load(config.dataset, "train", config.train_images, device)
    with contextlib.suppress(OutOfTime):
        fit(config, data, teacher, None, checkpoint, time.monotonic() + seconds, progress=False)


def look_through(data: Split) -> None:
    """Find out, and keep, what each process that trains has to know of all images, where they stay in their files."""
    if isinstance(data.images, Streamed):
        Encoder().normalise_by(data.images)


def untrained(config: RunConfig, data: Split, teacher: nn.Module | None = None) -> nn.Module:
    """The method before training, with the views of the run; `train` is what sends it to a device and normalises.

    Views are of 32 pixels, as they are written; of data whose name asks for a size, `photographs@224`, of that size.
    """
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)  # decides the initial weights, and nothing else
        encoder = build_encoder(config.encoder)
        method = build_method(config.method, encoder, config.settings, len(data.classes), teacher)
    if config.augmentation:
        method.views = tuple(augmented(view, config.augmentation) for view in method.views)  # type: ignore[assignment]
    if config.least_crop:
        method.views = tuple(cropped(view, config.least_crop) for view in method.views)
    if side := side_of(config.dataset):
        method.views = tuple(scaled(view, side) for view in method.views)
    return method


def random_encoder(name: str, images: Tensor, seed: int = 0) -> nn.Module:
    """An encoder of `lib.models.ENCODERS` with random weights, in evaluation mode, on the device of the uint8 `images`
    (N, 3, H, W) that it is normalised by: the control beside one that is trained."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = build_encoder(name)
    encoder.normalise_by(images)
    return encoder.to(images.device).eval()


def _beside(config: RunConfig, data: Split) -> dict[str, Tensor]:
    """What the method reads beside the images, of the first `train_images` training images of the data set."""
    what = config.dataset, "train", config.train_images, data.images.device
    found = {"textures": textures(*what)} if config.negatives == "texture" else {}
    return found | ({"removed": without_background(*what, kind=config.removal.masks)} if config.removal else {})
