"""The one trainer, for every method.

The data set is one uint8 tensor on the device, or stays in its files, of which the next batches are read ahead
(`lib.streamed`): the weights are the same. An epoch is a permutation of it, views are made on the device, and nothing
inside a step waits for it, under attack or not; at an epoch's end the losses are read. All randomness of step t is a
function of the seed and t, so a run that was cut off ends with the numbers of one that was not, as far as the device
repeats itself (`lib.precision.repeatable`): to the bit on a CPU, and on a GPU except where torch warns that an
operation has no deterministic form.

Where `torch.distributed` has several processes (`lib.world`), all call `train` alike, each with the data on its device,
and share every batch: each reads its part of the one permutation and of the one sequence of draws. How many they are
changes no image of a step, and of losses and gradients the last bits alone. The first of them writes the checkpoint,
which all read and which any number of processes goes on from.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lib import files, stopping, world
from lib.errors import BadInput, one_of
from lib.inputs import check_images, check_labels, whole
from lib.memory import peak_memory, reset_peak_memory, sent
from lib.precision import PRECISIONS, autocast, own_precision, precision_on, repeatable, with_gradients
from lib.progress import bar
from lib.randomness import seed_of
from lib.streamed import Streamed
from lib.training.attack import Adversary, Attack, loss_terms
from lib.training.checkpoint import identity, load
from lib.training.cutting import cut, read_by
from lib.training.norms import synchronised
from lib.training.optimisers import OPTIMISERS, build_optimiser, learning_rate

Monitor = Callable[[nn.Module], dict[str, float]]  # the method in evaluation mode -> what the history keeps of it


class OutOfTime(Exception):
    """The time limit was reached, or a signal asked for an end; the run's checkpoint is on the disk."""


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
        with repeatable(images.device if isinstance(images, Tensor | Streamed) else torch.device("cpu")):
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
    monitor: Monitor | None = None,
    attack: Attack | None = None,
    beside: Mapping[str, Tensor] | None = None,
) -> list[dict[str, float]]:
    """Train `method` in place on uint8 `images` (N, 3, H, W), held or streamed, and int64 `labels` (N,) of one device.

    With an `attack` it learns from what the adversary makes of its views. Free training takes several steps of the
    optimiser a batch; the schedule counts them all, and so does the mean of each loss term. `beside` are by name
    further images, one for each of `images` and like them, of which a method takes those that it `reads` (see
    `lib.methods`).

    Goes on from `checkpoint` where that file exists, and writes it every `checkpoint_seconds` and at
    the end; one of another method, plan, seed, attack or data is refused with a `BadInput` that names
    what differs. Raises `OutOfTime` at the first step after `deadline` (in `time.monotonic()` seconds),
    or after a signal (see `lib.stopping`), with the checkpoint written. Returns the history, an entry an
    epoch: the mean of each loss term and of their sum, the learning rate, seconds, images per second and
    peak memory in MiB.
    Raises BadInput before the first step for images or labels that are not as said here.
    """
    seed = whole(seed, "seed", None)
    read = _checked(method, images, labels, training, beside or {})
    noted = _identity(method, read, labels, training, seed, attack) if checkpoint else {}
    state = load(checkpoint, images.device, noted) if checkpoint and checkpoint.exists() else None
    run = _Run(method, read, labels, training, seed, attack, state)
    if len(set(world.from_all(run.done))) > 1:
        raise BadInput(f"processes that share a batch share a folder, and not all of them find {checkpoint} in theirs")
    saved = time.monotonic()
    with synchronised(method):
        for step, batch in _batches(images, training, seed, run.done, progress):
            if world.asked(time.monotonic() > deadline or stopping.asked()):
                run.save(checkpoint, noted)
                raise OutOfTime
            run.learn(step, batch)
            if run.done % run.steps_per_epoch == 0:
                run.end_epoch(monitor)
            if run.done == run.steps or world.asked(time.monotonic() - saved > checkpoint_seconds):
                run.save(checkpoint, noted)
                saved = time.monotonic()
    method.eval()
    return run.history


class _Run:
    """A training under way: the method, what moves its weights, and what a checkpoint keeps of both."""

    def __init__(
        self, method: nn.Module, read: dict[str, Tensor], labels: Tensor, training: Training, seed: int,
        attack: Attack | None, state: dict | None,
    ) -> None:  # fmt: skip
        """Where the checkpoint was whose `state` is given, or at the beginning."""
        self.method, self.read, self.labels, self.training, self.seed = method, read, labels, training, seed
        self.device = read["images"].device
        _prepare(method, read["images"])
        self.optimiser = build_optimiser(training.optimiser, method, training.weight_decay)
        self.forward = torch.compile(method) if training.compile else method
        self.precision = precision_on(self.device, training.precision)
        self.adversary = Adversary(attack, method, self.precision, self.forward) if attack else None
        self.replays, counted = (attack.replays, attack.scheduled) if attack else (1, 1)
        self.steps_per_epoch = len(read["images"]) // training.batch_size
        self.steps = training.epochs * self.steps_per_epoch
        self.length = self.steps * counted  # of the schedule, in optimiser steps
        self.warmup = round(training.warmup_epochs * self.steps_per_epoch * counted)
        self.generator = torch.Generator(self.device)
        self.rate = 0.0
        if state:
            method.load_state_dict(state["method"])
            self.optimiser.load_state_dict(state["optimiser"])
            if self.adversary:
                self.adversary.state = state["adversary"]
        self.history, self.done = (state["history"], state["step"]) if state else ([], 0)
        # Of the epoch that is under way: the sums of its loss terms, and the seconds that it has taken so far.
        self.sums, elapsed = (state["sums"], state["elapsed"]) if state else ({}, 0.0)
        reset_peak_memory(self.device)
        self.started = time.monotonic() - elapsed

    def save(self, checkpoint: Path | None, noted: dict[str, object]) -> None:
        """Write all of it to `checkpoint`, with what was `noted` of whose it is."""
        if checkpoint:
            self._share_sums()
            state = {"method": self.method.state_dict(), "optimiser": self.optimiser.state_dict()}
            state |= {"history": self.history, "step": self.done, "sums": self.sums}
            state |= {"elapsed": time.monotonic() - self.started, "identity": noted}
            state |= {"adversary": self.adversary.state if self.adversary else None}
            if world.rank() == 0:
                files.write(checkpoint, lambda file: torch.save(state, file))
            world.wait()  # who ended sooner could end the others

    def _share_sums(self) -> None:
        """Have the sums of all processes in each: means of theirs."""
        with world.sharing():
            self.sums = {name: world.mean(total) for name, total in self.sums.items()}

    def learn(self, step: int, batch: Tensor) -> None:
        """From the images at the places `batch`: make their views, and update the weights once a replay."""
        self.generator.manual_seed(seed_of(self.seed, 1, step))
        with world.sharing():
            batch = world.share(batch)
            clean = cut(self.method, self._at(batch), self.generator)
            for replay in range(self.replays):
                self._update(step, replay, clean, self.labels[batch])
            if hasattr(self.method, "after_batch"):
                self.method.after_batch()
        self.done = step + 1

    def _at(self, places: Tensor) -> dict[str, Tensor]:
        """What the method reads of this process's images. Where one process cannot read a file, all say so."""
        if not isinstance(self.read["images"], Streamed):
            return {name: images[places] for name, images in self.read.items()}
        found, fault = {}, ""
        try:
            found = {name: images[places] for name, images in self.read.items()}
        except BadInput as error:
            fault = str(error)
        if world.asked(bool(fault)):
            raise BadInput(next(filter(None, world.from_all(fault))))
        return found

    def _update(self, step: int, replay: int, clean: list[Tensor], labels: Tensor) -> None:
        update = step * self.replays + replay
        self.rate = learning_rate(update, self.length, self.warmup, self.training.learning_rate)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.optimiser.zero_grad()
        terms = self._terms(step, clean, labels)
        if terms:  # the random control has none
            sum(terms.values()).backward()
            if self.adversary:
                self.adversary.after_backward()
            world.average_gradients(self.method.parameters())
            self.optimiser.step()
        self.method.after_step((update + 1) / (self.steps * self.replays))
        for name, term in terms.items():
            self.sums[name] = self.sums.get(name, 0) + term.detach() / self.replays

    def _terms(self, step: int, clean: list[Tensor], labels: Tensor) -> dict[str, Tensor]:
        """Of the loss, on the views as they are or as an adversary leaves them."""
        views, target = clean, None
        if self.adversary:
            views = self.adversary.attacked(clean, labels, seed_of(self.seed, 2, step))
            target = self.adversary.target
        with autocast(self.device, self.precision):
            return loss_terms(self.forward, views, clean, labels, target)

    def end_epoch(self, monitor: Monitor | None) -> None:
        """Read the losses, which waits for the device, and ask the monitor."""
        seconds = time.monotonic() - self.started
        self._share_sums()
        entry = {name: float(total) / self.steps_per_epoch for name, total in self.sums.items()}
        entry["loss"] = math.fsum(entry.values())
        if not math.isfinite(entry["loss"]):
            raise BadInput(f"the loss is {entry['loss']} at step {self.done}; use a learning rate below {self.rate:g}")
        entry |= {"epoch": self.done // self.steps_per_epoch, "learning_rate": self.rate, "seconds": seconds}
        entry["images_per_second"] = self.steps_per_epoch * self.training.batch_size / seconds
        entry["peak_memory_mib"] = peak_memory(self.device)
        if monitor:
            asked = time.monotonic()
            entry |= monitor(self.method.eval())
            entry["monitor_seconds"] = time.monotonic() - asked
            self.method.train()
        self.history.append(entry)
        self.sums, self.started = {}, time.monotonic()


def _prepare(method: nn.Module, images: Tensor) -> None:
    method.to(images.device).train()
    world.begin_alike(method)
    for module in (module for module in method.modules() if hasattr(module, "normalise_by")):
        module.normalise_by(images)  # a method may hold several encoders
    method.to(memory_format=torch.channels_last)


def _checked(
    method: nn.Module, images: Tensor, labels: Tensor, training: Training, beside: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The images, and those beside them that `method` reads. The device is waited for, once, if labels are read."""
    check_images(images, "train")
    if method.uses_labels:
        check_labels(labels, len(images), "train", getattr(method, "classes", None))
    if labels.device != images.device:
        raise BadInput(f"train takes labels where the images are, on {images.device}, not on {labels.device}")
    if len(images) < training.batch_size:
        raise BadInput(
            f"a batch of {training.batch_size} needs as many training images, there are {len(images)}; add images, or "
            f"set batch_size to at most {len(images)}"
        )
    if training.batch_size < 2 * world.size() or training.batch_size % world.size():
        raise BadInput(
            f"{world.size()} processes share a batch evenly, two images each or more: {training.batch_size} is no "
            f"batch_size for them; take a multiple of {world.size()}"
        )
    if training.compile and world.size() > 1:
        raise BadInput("a method that several processes train is not compiled: set compile to False")
    if len(set(world.from_all((training, len(images))))) > 1:
        raise BadInput("processes that share a batch train by one plan on the same images, and theirs differ")
    return read_by(method, images, beside)


def _identity(
    method: nn.Module, read: dict[str, Tensor], labels: Tensor, training: Training, seed: int, attack: Attack | None
) -> dict[str, object]:
    data = {"images": read["images"]} | ({"labels": labels} if getattr(method, "uses_labels", True) else {}) | read
    return identity(method, training, seed, attack, data)


def _batches(
    images: Tensor | Streamed, training: Training, seed: int, done: int, progress: bool
) -> Iterator[tuple[int, Tensor]]:
    """(step, places of its batch) for all steps that are not done; a new permutation each epoch, the rest dropped."""
    count, size = len(images), training.batch_size
    steps_per_epoch = count // size
    steps = training.epochs * steps_per_epoch
    shown = bar(progress and world.rank() == 0, total=steps, initial=done, unit="step", leave=False)
    for epoch in range(done // steps_per_epoch, training.epochs):
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed_of(seed, 0, epoch)))
        first = max(done - epoch * steps_per_epoch, 0)
        if isinstance(images, Streamed):
            images.expect(_own(order[first * size : steps_per_epoch * size].split(size)))
        else:
            order = sent(order, images.device)
        for step in range(first, steps_per_epoch):
            yield epoch * steps_per_epoch + step, order[step * size : (step + 1) * size]
            shown.update()
    shown.close()


def _own(batches: Sequence[Tensor]) -> list[Tensor]:
    """What is this process's of each."""
    with world.sharing():
        return [world.share(batch) for batch in batches]
