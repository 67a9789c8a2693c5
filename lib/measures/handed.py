"""Encoders to take home, with the linear probe that was published with each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from lib.measures.probe import Probe
from lib.measures.robust_accuracy import Classifier
from lib.models import handed
from lib.models.encoder import Encoder


@dataclass(frozen=True)
class Handed:
    """`encoder` takes images in [0, 1], (N, 3, 32, 32), and gives features (N, D) that `probe` reads as classes.

    `card` says what it was trained on and how, and the probe's accuracy in percent with its interval.
    """

    encoder: Encoder
    probe: Probe
    card: dict[str, Any]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.card["classes"])

    @property
    def trained(self) -> str:
        """How long on what, in words: "24 epochs of 2,000 images of scenes"."""
        config, images = self.card["config"], self.card["data"]["train_images"]
        return f"{config['training']['epochs']} epochs of {images:,} images of {config['dataset']}"

    @property
    def classifier(self) -> Classifier:
        """Images in, scores of the classes out, with gradients by the images."""
        return Classifier(self.encoder, self.probe)


def load_encoder(name: str, device: torch.device | str = "cpu") -> Handed:
    """The encoder of `lib.models.handed.cards()` with that name, in evaluation mode, without gradients of its weights.

    >>> simclr = load_encoder("scenes-simclr")
    >>> simclr.encoder.features, len(simclr.classes)
    (128, 10)

    Raises BadInput for an unknown name and a damaged file.
    """
    encoder, tensors, card = handed.read(name)
    fitted = {key: tensor.to(device) for key, tensor in tensors.items()}
    probe = Probe(**fitted, decay=card["probe"]["decay"], gradient=card["probe"]["gradient"])
    return Handed(encoder.to(device, memory_format=torch.channels_last), probe, card)
