"""Masks of objects, by a network that learns without any human label what `lib.shifts.saliency` finds.

A small network, `train`, learns from the fused maps of many images, in the spirit of DeepUSPS: what it predicts along
the way is averaged and becomes its next labels. `masks(dataset, split, count)` are the masks of a data set, made once.

Source: Nguyen et al. 2019, "DeepUSPS: deep robust unsupervised saliency prediction with self-supervision" (arXiv
1909.13055). What differs: theirs are other maps, each with a large network of its own before one learns from all; ours
is one network of 27,000 weights for images of 32 px.
"""

from __future__ import annotations

import hashlib
import math
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lib import files, paths
from lib.errors import BadInput, one_of
from lib.images import load
from lib.images.kept import made_once
from lib.methods.removal import MASKS
from lib.precision import autocast, own_precision, with_gradients
from lib.progress import bar, bars
from lib.randomness import seed_of
from lib.shifts.saliency import TOGETHER, binary, checked, enlarged, fused, reduced, remove_background

PROTOCOL = 1  # a new number where masks change
TRAINED_ON = 5_000  # images of the training split
ROUNDS = 2  # of training: on the fused maps, then on the network's own averaged predictions
EPOCHS = 4  # a round
BATCHES = 100  # an epoch, so that a small set is learned from as often
LEAST_BATCH = 8
LEARNING_RATE = 3e-3
MEMORY = 0.7  # how much of an image's averaged prediction an epoch leaves
CACHED = 1_000  # masks a cache file


class Segmenter(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> logits of being object (N, H, W).

    Three halvings and as many doublings, each of which adds what was there before; about 27,000 weights. The mean over
    the coarsest map is added to it, so that every pixel knows of the whole image.
    """

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.ModuleList([_layer(3, 8), _layer(8, 24), _layer(24, 32), _layer(32, 32)])
        self.up = nn.ModuleList([_layer(32, 24), _layer(24, 8), _layer(8, 8)])
        self.last = nn.Conv2d(8, 1, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        x = ((pixels - 0.5) / 0.25).contiguous(memory_format=torch.channels_last)
        passed = []
        for layer in self.down:
            x = layer(F.max_pool2d(x, 2) if passed else x)
            passed.append(x)
        x = passed.pop()
        x = x + x.mean((2, 3), keepdim=True)
        for layer in self.up:
            finer = passed.pop()
            x = layer(finer + F.interpolate(x, finer.shape[-2:], mode="bilinear"))
        return self.last(x)[:, 0]


def _layer(channels_in: int, channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


@own_precision
@with_gradients
def train(images: Tensor, seed: int = 0, device: torch.device | str = "cpu", progress: bool = True) -> Segmenter:
    """A network that has learned from the fused maps of uint8 `images` (N, 3, H, W) where their objects are.

    The first labels are the fused maps, cut by Otsu. While it learns them, images mirrored at random, each image's
    predictions are averaged with its label, `MEMORY` of the old to the rest of the new; the averages, cut by Otsu, are
    the labels of the next of `ROUNDS` rounds. What is wrong in a few maps and has no pattern is so voted down. The loss
    is the mean binary cross-entropy of the pixels. Given the seed it is the same network each time on one CPU; on a GPU
    torch's faster algorithms may change its last bits.
    """
    device = torch.device(device)
    small = reduced(checked(images, "train")).to(device)
    labels = binary(fused(small)).float()
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = Segmenter().to(device, memory_format=torch.channels_last)
    size = max(LEAST_BATCH, math.ceil(len(small) / BATCHES))
    steps = ROUNDS * EPOCHS * math.ceil(len(small) / size)
    optimiser = torch.optim.AdamW(net.parameters(), LEARNING_RATE)
    falling = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / steps)
    with bar(progress, total=steps, desc="saliency", unit="step", leave=False) as shown:
        for turn in range(ROUNDS):
            averages = labels.clone()
            for epoch in range(EPOCHS):
                generator = torch.Generator().manual_seed(seed_of(seed, turn, epoch))
                order = torch.randperm(len(small), generator=generator)
                mirrored = torch.rand(len(small), generator=generator) < 0.5
                for batch in order.split(size):
                    turned = mirrored[batch].to(device)
                    batch = batch.to(device)
                    with autocast(device, "auto"):
                        logits = net(_mirrored(small[batch], turned).float() / 255)
                    logits = _mirrored(logits.float(), turned)
                    optimiser.zero_grad(set_to_none=True)
                    F.binary_cross_entropy_with_logits(logits, labels[batch]).backward()
                    optimiser.step()
                    falling.step()
                    averages[batch] = MEMORY * averages[batch] + (1 - MEMORY) * logits.detach().sigmoid()
                    shown.update()
            labels = binary(averages).float()
    return net.eval()


def _mirrored(planes: Tensor, chosen: Tensor) -> Tensor:
    """`planes` (N, ..., W), those `chosen` (N,) left to right."""
    return torch.where(chosen.view(-1, *[1] * (planes.ndim - 1)), planes.flip(-1), planes)


@own_precision
@torch.no_grad()
def predict(net: Segmenter, images: Tensor) -> Tensor:
    """How likely each pixel of uint8 images (N, 3, H, W), on the network's device, is object: (N, H, W) in [0, 1]."""
    small = reduced(checked(images, "predict"))
    likely = torch.cat([net(part.float() / 255).sigmoid() for part in small.split(TOGETHER)])
    return likely if small is images else enlarged(likely, images)


def masks(
    dataset: str,
    split: str = "train",
    count: int | None = None,
    device: torch.device | str = "cpu",
    progress: bool = True,
    kind: str = "learned",
) -> Tensor:
    """Where the objects of `lib.images.load(dataset, split, count)` are, in its order: bool (N, S, S) on `device`.

    Of `kind` "learned", by a network trained on the first `TRAINED_ON` training images of the same data set, no label
    of which it sees; "fused", the fused maps cut by Otsu; "exact", which `scenes` alone has; or "shuffled", a control:
    the learned mask of the image before, and of the last one for the first. The network is trained once, on `device`,
    in less than a minute of one core at 32 px, and kept; masks are kept in files of `CACHED`, so that a call that was
    cut off goes on where it stopped, and a damaged file is made again. Mask i does not depend on `count`, except for
    the first of those that are shuffled. `progress` shows a bar. Raises BadInput where `load` does, and for an unknown
    or a missing kind.
    """
    one_of(kind, MASKS, "kind of masks")
    if kind == "exact":
        if (exact := load(dataset, split, count).masks) is None:
            raise BadInput(f"exact masks are known of scenes alone, not of {dataset}; allowed: fused, learned")
        return exact.to(device)
    if kind == "shuffled":
        return masks(dataset, split, count, device, progress).roll(1, dims=0)
    training = load(dataset, "train", TRAINED_ON).images if kind == "learned" else None
    key, make = partial(_key, kind, training), partial(_made, training=training, device=device)
    with bars(progress):
        return made_once("masks", dataset, split, count, CACHED, "saliency", key, make).to(device)


def _key(kind: str, training: Tensor | None, images: Tensor) -> str:
    return f"{PROTOCOL}-{kind}-{_checksum(training, images)}"


def _made(images: Tensor, start: int, training: Tensor | None, device: torch.device | str) -> Tensor:
    images = images.to(device)
    if training is None:
        return binary(fused(images)).cpu()
    path = paths.cache() / "saliency" / f"{PROTOCOL}-network-{_checksum(training)}.safetensors"
    net = Segmenter().to(device)
    net.load_state_dict(files.kept(path, partial(_weights, training, device)))
    return (predict(net.eval(), images) > 0.5).cpu()


def _weights(training: Tensor, device: torch.device | str) -> dict[str, Tensor]:
    net = train(training, device=device)
    return {name: value.cpu().contiguous() for name, value in net.state_dict().items()}


def _checksum(*parts: Tensor | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        if part is not None:
            digest.update(part.numpy())
    return digest.hexdigest()[:16]


def without_background(
    dataset: str,
    split: str = "train",
    count: int | None = None,
    device: torch.device | str = "cpu",
    progress: bool = True,
    kind: str = "learned",
) -> Tensor:
    """The images of `lib.images.load(dataset, split, count)`, black outside their `masks` of this kind."""
    images = load(dataset, split, count, device).images
    return remove_background(images, masks(dataset, split, count, device, progress, kind))
