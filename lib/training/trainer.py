"""The one trainer, for every method.

The data set is one uint8 tensor on the device, an epoch is a permutation of it, views are made on
the device, and nothing inside a step waits for it, under attack or not; at an epoch's end the losses
are read. All randomness of step t is a function of the seed and t, so a run that was cut off ends with
the numbers of one that was not, as far as the device repeats itself (`lib.precision.repeatable`): to
the bit on a CPU, and on a GPU except where torch warns that an operation has no deterministic form.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lib import files
from lib.errors import BadInput, one_of
from lib.inputs import check_images, check_labels, whole
from lib.memory import peak_memory, reset_peak_memory, sent
from lib.precision import PRECISIONS, autocast, own_precision, precision_on, repeatable, with_gradients
from lib.randomness import seed_of
from lib.training.attack import Adversary, Attack, loss_terms
from lib.training.checkpoint import identity, load
from lib.training.optimisers import OPTIMISERS, build_optimiser, learning_rate
from lib.views import View, draw, patch_negatives, render_checked


class OutOfTime(Exception):
    """The time limit was reached; the run's checkpoint is on the disk."""


@dataclass(frozen=True)
class Training:
    """How long and by what rule. Epochs are counted in images, the schedule in optimiser steps."""

    epochs: int = 100
    batch_size: int = 512
    optimiser: str = "sgd"
    learning_rate: float = 0.06  # peak
    weight_decay: float = 5e-4
    warmup_epochs: float = 5.0
    precision: str = "auto"  # bf16 where the device has it (see `lib.precision`)
    compile: bool = False  # torch.compile the method, in the attack's passes too

    def __post_init__(self) -> None:
        one_of(self.optimiser, OPTIMISERS, "optimiser")
        one_of(self.precision, PRECISIONS, "precision")
        for name, least in (("epochs", 1), ("batch_size", 2)):
            object.__setattr__(self, name, whole(getattr(self, name), name, least))
        for name in ("learning_rate", "weight_decay", "warmup_epochs"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
                raise BadInput(f"{name} is a number of at least 0, not {value!r}")


def _repeatably(train: Callable) -> Callable:
    @functools.wraps(train)
    def repeated(method: nn.Module, images: Tensor, *arguments: Any, **options: Any) -> Any:
        with repeatable(images.device if isinstance(images, Tensor) else torch.device("cpu")):
            return train(method, images, *arguments, **options)

    return repeated


@own_precision
@with_gradients
@_repeatably
def train(
    method: nn.Module,
    images: Tensor,
    labels: Tensor,
    training: Training,
    seed: int,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 60.0,
    deadline: float = math.inf,
    progress: bool = True,
    monitor: Callable[[nn.Module], dict[str, float]] | None = None,
    attack: Attack | None = None,
    textures: Tensor | None = None,
    removed: Tensor | None = None,
) -> list[dict[str, float]]:
    """Train `method` in place on uint8 `images` (N, 3, H, W) and int64 `labels` (N,) of one device.

    With an `attack` it learns from what the adversary makes of its views. Free training takes several steps of the
    optimiser a batch; the schedule counts them all, and so does the mean of each loss term. A method whose negatives
    are `textures` gets that of each image, and one with a `removal` each image without its background in `removed`,
    uint8 (N, 3, H, W) as well.

    Goes on from `checkpoint` where that file exists, and writes it every `checkpoint_seconds` and at
    the end; one of another method, plan, seed, attack or data is refused with a `BadInput` that names
    what differs. Raises `OutOfTime` at the first step after `deadline` (in `time.monotonic()` seconds),
    with the checkpoint written. Returns the history, an entry an epoch: the mean of each loss term
    and of their sum, the learning rate, seconds, images per second and peak memory in MiB.
    Raises BadInput before the first step for images or labels that are not as said here.
    """
    _check(method, images, labels, textures, removed)
    seed, device = whole(seed, "seed", None), images.device
    steps_per_epoch = len(images) // training.batch_size
    if steps_per_epoch == 0:
        raise BadInput(
            f"a batch of {training.batch_size} needs as many training images, there are {len(images)}; add images, or "
            f"set batch_size to at most {len(images)}"
        )
    repulsion = getattr(method, "repulsion", None)
    negatives = repulsion.negatives if repulsion else None
    if negatives == "texture" and (textures is None or len(textures) != len(images)):
        raise BadInput(f"texture negatives need a texture of each of the {len(images)} images: see lib.shifts.textures")
    removal = getattr(method, "removal", None)
    share = removal.removed if removal else 0.0
    if share and (removed is None or removed.shape != images.shape):
        raise BadInput(f"{len(images)} images are to be seen without their background, too: see lib.shifts.saliency")
    data = {"images": images} | ({"labels": labels} if getattr(method, "uses_labels", True) else {})
    data |= ({"textures": textures} if negatives == "texture" else {}) | ({"removed": removed} if share else {})
    noted = identity(method, training, seed, attack, data) if checkpoint else {}
    state = load(checkpoint, device, noted) if checkpoint and checkpoint.exists() else None
    method.to(device).train()
    for module in (module for module in method.modules() if hasattr(module, "normalise_by")):
        module.normalise_by(images)  # a method may hold several encoders
    method.to(memory_format=torch.channels_last)
    optimiser = build_optimiser(training.optimiser, method, training.weight_decay)
    forward = torch.compile(method) if training.compile else method
    precision = precision_on(device, training.precision)
    adversary = Adversary(attack, method, precision, forward) if attack else None
    replays = attack.replays if attack else 1
    steps = training.epochs * steps_per_epoch
    counted = 1 if attack and attack.quirk == "cyclic schedule" else replays  # steps a batch, as the schedule has it
    length, warmup = steps * counted, round(training.warmup_epochs * steps_per_epoch * counted)

    if state:
        method.load_state_dict(state["method"])
        optimiser.load_state_dict(state["optimiser"])
        if adversary:
            adversary.state = state["adversary"]
    history, done = (state["history"], state["step"]) if state else ([], 0)
    # Of the epoch that is under way: the sums of its loss terms, and the seconds that it has taken so far.
    sums, elapsed = (state["sums"], state["elapsed"]) if state else ({}, 0.0)

    def save() -> None:
        if checkpoint:
            state = {"method": method.state_dict(), "optimiser": optimiser.state_dict()}
            state |= {"history": history, "step": done, "sums": sums, "elapsed": time.monotonic() - started}
            state |= {"adversary": adversary.state if adversary else None, "identity": noted}
            files.write(checkpoint, lambda file: torch.save(state, file))

    reset_peak_memory(device)
    generator = torch.Generator(device)
    saved = time.monotonic()
    started = saved - elapsed
    for step, batch in _batches(len(images), training, seed, done, device, progress):
        if time.monotonic() > deadline:
            save()
            raise OutOfTime
        generator.manual_seed(seed_of(seed, 1, step))
        chosen = images[batch]
        drawn = [draw(view, len(batch), images.shape[-2:], generator) for view in method.views]
        sources = [chosen] * len(drawn)
        if share:
            sources = _sources(method.views, chosen, removed[batch], share, generator)
        clean = [render_checked(*view) for view in zip(sources, method.views, drawn, strict=True)]
        if negatives == "texture":  # turned, cut and coloured as the query is
            clean += [render_checked(textures[batch], method.views[query], drawn[query]) for query in method.queries]
        elif negatives == "patch":
            queries = [clean[query] for query in method.queries for _ in range(repulsion.count)]
            clean += [patch_negatives(query, generator) for query in queries]
        for replay in range(replays):
            update = step * replays + replay
            rate = learning_rate(update, length, warmup, training.learning_rate)
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.zero_grad()
            views = adversary.attacked(clean, labels[batch], seed_of(seed, 2, step)) if adversary else clean
            with autocast(device, precision):
                terms = loss_terms(forward, views, clean, labels[batch], adversary.target if adversary else None)
            if terms:  # the random control has none
                sum(terms.values()).backward()
                if adversary:
                    adversary.after_backward()
                optimiser.step()
            method.after_step((update + 1) / (steps * replays))
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.detach() / replays
        if hasattr(method, "after_batch"):
            method.after_batch()
        done = step + 1
        if done % steps_per_epoch == 0:
            seconds = time.monotonic() - started
            entry = {name: float(total) / steps_per_epoch for name, total in sums.items()}
            entry["loss"] = math.fsum(entry.values())
            if not math.isfinite(entry["loss"]):
                raise BadInput(f"the loss is {entry['loss']} at step {done}; use a learning rate below {rate:g}")
            entry |= {"epoch": done // steps_per_epoch, "learning_rate": rate, "seconds": seconds}
            entry["images_per_second"] = steps_per_epoch * training.batch_size / seconds
            entry["peak_memory_mib"] = peak_memory(device)
            if monitor:
                asked = time.monotonic()
                entry |= monitor(method.eval())
                entry["monitor_seconds"] = time.monotonic() - asked
                method.train()
            history.append(entry)
            sums, started = {}, time.monotonic()
        if done == steps or time.monotonic() - saved > checkpoint_seconds:
            save()
            saved = time.monotonic()
    method.eval()
    return history


def _check(method: nn.Module, images: Tensor, labels: Tensor, textures: Tensor | None, removed: Tensor | None) -> None:
    """Refuse what `train` cannot learn from. The device is waited for, once."""
    check_images(images, "train")
    for given, what in ((textures, "textures"), (removed, "images without background")):
        if given is not None:
            check_images(given, "train", what)
    if method.uses_labels:
        check_labels(labels, len(images), "train", getattr(method, "classes", None))
    for given, what in ((labels, "labels"), (textures, "textures"), (removed, "images without background")):
        if given is not None and given.device != images.device:
            raise BadInput(f"train takes {what} where the images are, on {images.device}, not on {given.device}")


def _sources(
    views: Sequence[View], images: Tensor, removed: Tensor, share: float, generator: torch.Generator
) -> list[Tensor]:
    """What each view is cut from: views of the largest size, by a chance of `share`, from the image in `removed`."""
    largest = max(view.size for view in views)
    sources = []
    for view in views:
        chosen = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < share
        sources.append(torch.where(chosen, removed, images) if view.size == largest else images)
    return sources


def _batches(
    count: int, training: Training, seed: int, done: int, device: torch.device, progress: bool
) -> Iterator[tuple[int, Tensor]]:
    """(step, indices of its batch) for all steps that are not done; a new permutation each epoch, the rest dropped."""
    steps_per_epoch = count // training.batch_size
    steps = training.epochs * steps_per_epoch
    bar = tqdm(total=steps, initial=done, unit="step", disable=not progress, leave=False)
    for epoch in range(done // steps_per_epoch, training.epochs):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed_of(seed, 0, epoch)))
        order = sent(order, device)
        for step in range(max(done, epoch * steps_per_epoch), (epoch + 1) * steps_per_epoch):
            start = (step - epoch * steps_per_epoch) * training.batch_size
            yield step, order[start : start + training.batch_size]
            bar.update()
    bar.close()
