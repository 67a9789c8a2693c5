"""A race to 90 %: how soon do features learnt without labels know CIFAR-10's classes by their neighbours?

    python -m benchmarks.race --arm both                # tune on this: accuracy on validation images
    python -m benchmarks.race --arm ours --final        # once, at the end: accuracy on test images
    python -m benchmarks.race --arm ours --train-images 512 --epochs 1   # a trial

Our answer to the challenge in the README of dkobak/simclr-cifar10 (2025): any network and any training without labels,
90.0 % accuracy of the 10 nearest neighbours on CIFAR-10, in the least wall-clock time on one GPU. Its standing entry,
our `baseline`, takes 99 minutes on an A100 (500 epochs of SimCLR, 90.3 +- 0.3 %).

The rules, which this script keeps:

- Accuracy is a majority vote of the 10 nearest neighbours by cosine among all training images, read from the frozen
  encoder's features in float32, as scikit-learn's `KNeighborsClassifier(10, metric="cosine")` has it.
- Choices are made on the validation split, a tenth of the training images that is not trained on. Test images are
  touched once, after the last epoch of a run with `--final`, which trains on all training images and watches nothing.
- The clock counts everything after the data is in memory, with compiling, warm-up and restarts, and stands still only
  while neighbours are counted. It is read after the device has finished its work.
- An arm has a fixed length, since a cosine schedule needs its end: `--until` reports when a run passed a mark on the
  validation split and does not cut it short.

`--time-limit` stops the command cleanly; the same command then goes on. The last line of an arm is JSON; with
`--arm both` one more line has our speed as a ratio to the baseline's, above 1 when we are faster. Our values have not
been tuned on a GPU yet: they are educated first guesses.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import models, transforms

from benchmarks import report
from lib import files, paths
from lib.errors import BadInput, one_of
from lib.images import load
from lib.measures import extract
from lib.memory import peak_memory, reset_peak_memory
from lib.methods import METHODS, build_method, simclr
from lib.models import build_encoder
from lib.randomness import seed_of
from lib.training import OutOfTime, Training, train

NEIGHBOURS = 10
COUNTED = "everything after the data is in memory, with compiling, warm-up and restarts, without the kNN evaluations"


@dataclass(frozen=True)
class Baseline:
    """The standing entry's recipe, as its README has it in July 2025."""

    epochs: int = 500
    batch_size: int = 512
    learning_rate: float = 0.03  # at the start, for a batch of 256; scales with the batch
    weight_decay: float = 5e-4  # of all parameters
    temperature: float = 0.5
    hidden: int = 1024
    least_crop: float = 0.2  # share of the image's area
    grey: float = 0.1  # its README: half of SimCLR's 0.2 is what makes the entry better than others
    workers: int = min(16, os.cpu_count() or 1)  # the entry had 16


@dataclass(frozen=True)
class Arm:
    """Our recipe. First guesses, NOT YET TUNED on a GPU; to be chosen on the validation split."""

    method: str = "simclr"  # the entry's; two encoder passes an image, no slow copy to pay for
    # 0.2 beat 0.5 in our short runs (validation images, see `lib.methods.simclr`); the entry's projector.
    settings: object = simclr.Settings(temperature=0.2, hidden=1024)
    encoder: str = "resnet18"
    epochs: int = 300  # 0.6 of the entry's: what the lower temperature and the higher rate are hoped to save
    batch_size: int = 512  # the entry's, whose README finds no gain in larger ones
    optimiser: str = "sgd"
    # The peak. Between the entry's (0.06 for a batch of 512; its README finds 0.12 better in 100 epochs) and that of
    # our own short runs (0.4); hence the warm-up, which the entry does without.
    learning_rate: float = 0.2
    weight_decay: float = 5e-4  # the entry's; not on biases and norms, as everywhere in `lib`
    warmup_epochs: float = 5.0
    least_crop: float = 0.2  # the entry's
    grey: float = 0.1  # the entry's
    precision: str = "bf16"  # half the memory traffic; the loss is float32
    compile: bool = False  # pays for itself only over many epochs, and its time counts: to be measured

    def __post_init__(self) -> None:
        method = METHODS[one_of(self.method, METHODS, "method")]
        if method.build.uses_labels:
            raise BadInput(f"{self.method} learns from labels, which the challenge forbids; choose another method")
        if type(self.settings) is not method.settings:
            raise BadInput(f"{self.method} takes settings of its own, {method.settings.__module__}.Settings()")


# ------------------------------------------------------------------------------------------------- data and judgement


@dataclass(frozen=True)
class Data:
    """uint8 images (N, 3, S, S) and int64 labels (N,): those to train on are the bank, the queries are asked about."""

    images: Tensor
    labels: Tensor
    queries: Tensor
    query_labels: Tensor
    checksum: str
    final: bool = False  # the queries are test images, and the bank is all training images


def load_data(count: int | None, final: bool, device: torch.device) -> Data:
    """CIFAR-10. A trial with `count` training images has a ninth as many queries, as the whole split does."""
    training = load("cifar10", "train", count, device)
    validation = load("cifar10", "validation", count and max(1, count // 9), device)
    if not final:
        return Data(training.images, training.labels, validation.images, validation.labels, training.checksum)
    test = load("cifar10", "test", device=device)
    images = torch.cat((training.images, validation.images))
    labels = torch.cat((training.labels, validation.labels))
    return Data(images, labels, test.images, test.labels, training.checksum, final=True)


def majority_vote(bank: Tensor, labels: Tensor, queries: Tensor, k: int = NEIGHBOURS, batch_size: int = 1024) -> Tensor:
    """The most frequent class among the `k` nearest of (N, D) `bank` in cosine, for (M, D) `queries`: int64 (M,).

    Where classes have equal votes, the one of the smallest number wins, as in scikit-learn. Where several of the bank
    are equally far at place k, which of them votes is not defined; in real features it does not happen.
    """
    if not 1 <= k <= len(bank):
        raise BadInput(f"k is a whole number from 1 to {len(bank)} (the images of the bank), not {k!r}")
    bank, queries = F.normalize(bank, dim=1), F.normalize(queries, dim=1)
    winners = []
    for batch in queries.split(batch_size):
        neighbours = (batch @ bank.T).topk(k, dim=1).indices  # (B, k)
        votes = torch.zeros(len(batch), int(labels.max()) + 1, dtype=torch.long, device=bank.device)
        votes.scatter_add_(1, labels[neighbours], torch.ones_like(neighbours))
        winners.append(votes.argmax(dim=1))  # the first of the largest
    return torch.cat(winners)


def accuracy(encoder: nn.Module, data: Data) -> float:
    """Per cent of the queries whose neighbours vote for their class."""
    bank, queries = extract(encoder, data.images), extract(encoder, data.queries)
    return 100 * float((majority_vote(bank, data.labels, queries) == data.query_labels).double().mean())


class Watch:
    """The clock of one race, which stands still while neighbours are counted, and what it has seen."""

    def __init__(self, arm: str, data: Data, epochs: int, images_per_epoch: int, every: int, until: float) -> None:
        self.arm, self.data, self.epochs, self.images_per_epoch = arm, data, epochs, images_per_epoch
        self.every, self.until = every, until
        self.epoch, self.seconds, self.restarts = 0, 0.0, 0
        self.passed: dict | None = None  # the first evaluation that reached `until`
        self.last: float | None = None  # the newest evaluation

    def start(self) -> None:
        self._wait()
        self.started = time.perf_counter()

    def stop(self) -> None:
        self._wait()
        self.seconds += time.perf_counter() - self.started

    def _wait(self) -> None:
        if self.data.images.is_cuda:
            torch.cuda.synchronize()

    @property
    def images_per_second(self) -> float:
        return self.epoch * self.images_per_epoch / self.seconds

    def after_epoch(self, encoder: nn.Module) -> dict[str, float]:
        """Print a line every few epochs, with the accuracy on validation images where they are not trained on."""
        self.stop()
        self.epoch += 1
        seen = {}
        if self.epoch % self.every == 0 or self.epoch == self.epochs:
            line = f"{self.arm:8} epoch {self.epoch:4} {self.seconds:9.1f} s {self.images_per_second:8.0f} images/s"
            if not self.data.final:
                seen["knn"] = self.last = accuracy(encoder, self.data)
                line += f"  validation kNN {self.last:.2f} %"
                if self.last >= self.until and not self.passed:
                    self.passed = {"knn": round(self.last, 2), "epoch": self.epoch, "seconds": round(self.seconds, 1)}
            print(line, flush=True)
        self.start()
        return seen

    def save(self, path: Path) -> None:
        kept = {name: getattr(self, name) for name in ("epoch", "seconds", "restarts", "passed", "last")}
        files.write_text(path, json.dumps(kept))

    def go_on(self, path: Path) -> None:
        vars(self).update(json.loads(path.read_text()))
        self.restarts += 1


# ------------------------------------------------------------------------------------------------------- the baseline


class Pairs(Dataset):
    """Two random views of one image at a time, made in a worker: float (3, 32, 32) each."""

    def __init__(self, images: Tensor, transform: Callable) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index].float() / 255  # not standardised
        return self.transform(image), self.transform(image)


def baseline_transform(recipe: Baseline) -> Callable:
    return transforms.Compose(
        [
            transforms.RandomResizedCrop(32, scale=(recipe.least_crop, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(recipe.grey),
        ]
    )


def baseline_network(hidden: int) -> tuple[nn.Module, nn.Module]:
    """torchvision's ResNet-18 with a stem for 32 px, and SimCLR's projector without batch norm."""
    encoder = models.resnet18()
    encoder.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
    encoder.maxpool = nn.Identity()
    projector = nn.Sequential(nn.Linear(encoder.fc.in_features, hidden), nn.ReLU(), nn.Linear(hidden, 128))
    encoder.fc = nn.Identity()
    return encoder, projector


def baseline_learning_rate(epoch: int, recipe: Baseline) -> float:
    """A cosine from the peak, counted in whole epochs from 0, without warm-up."""
    peak = recipe.learning_rate * recipe.batch_size / 256
    return peak * (1 + math.cos(math.pi * epoch / recipe.epochs)) / 2


def train_baseline(
    recipe: Baseline, data: Data, seed: int, watch: Watch, checkpoint: Path | None = None, deadline: float = math.inf
) -> nn.Module:
    """The encoder after a plain loop in float32; an epoch that would not end before `deadline` is not begun."""
    device = data.images.device
    torch.manual_seed(seed)
    encoder, projector = baseline_network(recipe.hidden)
    network = nn.Sequential(encoder, projector).to(device)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.0, momentum=0.9, weight_decay=recipe.weight_decay)
    shuffle = torch.Generator()
    pairs = Pairs(data.images.cpu(), baseline_transform(recipe))
    loader = DataLoader(pairs, recipe.batch_size, shuffle=True, num_workers=recipe.workers, generator=shuffle)
    first = 0
    if checkpoint and checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        network.load_state_dict(state["network"])
        optimiser.load_state_dict(state["optimiser"])
        first = state["epochs"]
    reset_peak_memory(device)
    longest = 0.0
    for epoch in range(first, recipe.epochs):
        begun = time.monotonic()
        if epoch > first and begun + longest > deadline:
            state = {"network": network.state_dict(), "optimiser": optimiser.state_dict(), "epochs": epoch}
            files.write(checkpoint, lambda file, state=state: torch.save(state, file))
            raise OutOfTime
        network.train()
        optimiser.param_groups[0]["lr"] = baseline_learning_rate(epoch, recipe)
        torch.manual_seed(seed_of(seed, 2, epoch))  # so that a run in two pieces draws what a whole one draws
        shuffle.manual_seed(seed_of(seed, 0, epoch))
        for first_view, second_view in loader:
            optimiser.zero_grad()
            first_projection, second_projection = network(first_view.to(device)), network(second_view.to(device))
            loss = baseline_loss(torch.cat((first_projection, second_projection)), recipe.temperature)
            if not math.isfinite(loss.item()):  # the entry, too, reads the loss at every step
                raise BadInput(f"the baseline's loss is {loss.item()} in epoch {epoch + 1}; use a lower learning rate")
            loss.backward()
            optimiser.step()
        watch.after_epoch(encoder)
        longest = max(longest, time.monotonic() - begun)
    return encoder.eval()


def baseline_loss(projections: Tensor, temperature: float) -> Tensor:
    """SimCLR's equation 1 for (2N, D) projections, the second views after the first."""
    unit = F.normalize(projections)
    similarity = (unit @ unit.T / temperature).fill_diagonal_(-torch.inf)
    count = len(unit) // 2
    partner = torch.arange(2 * count, device=unit.device).roll(count)
    return F.cross_entropy(similarity, partner)


# --------------------------------------------------------------------------------------------------------------- ours


def train_ours(
    arm: Arm, data: Data, seed: int, watch: Watch, checkpoint: Path | None = None, deadline: float = math.inf
) -> nn.Module:
    """The encoder after `lib`'s trainer: data and views on the device."""
    torch.manual_seed(seed)
    method = build_method(arm.method, build_encoder(arm.encoder), arm.settings, classes=0)
    method.views = tuple(replace(view, crop_scale=(arm.least_crop, 1.0), grey=arm.grey) for view in method.views)
    train(
        method, data.images, data.labels, training_of(arm), seed, checkpoint,
        checkpoint_seconds=math.inf,  # only at the time limit: a checkpoint costs time
        deadline=deadline, progress=False, monitor=lambda method: watch.after_epoch(method.encoder),
    )  # fmt: skip
    return method.encoder


def training_of(arm: Arm) -> Training:
    return Training(
        arm.epochs, arm.batch_size, arm.optimiser, arm.learning_rate, arm.weight_decay, arm.warmup_epochs,
        arm.precision, arm.compile,
    )  # fmt: skip


# ----------------------------------------------------------------------------------------------------------- the race


def race(recipe: Baseline | Arm, data: Data, seed: int, deadline: float, every: int, until: float) -> dict:
    """The result of one arm; where it was cut off by `OutOfTime`, the next call goes on."""
    ours = isinstance(recipe, Arm)
    home = folder(recipe, data, seed)
    checkpoint, clock, result = home / "checkpoint.pt", home / "clock.json", home / "result.json"
    if result.exists():
        return json.loads(result.read_text())
    count, name = len(data.images), "ours" if ours else "baseline"
    images_per_epoch = count // recipe.batch_size * recipe.batch_size if ours else count  # ours drops the rest
    watch = Watch(name, data, recipe.epochs, images_per_epoch, every, until)
    if checkpoint.exists():
        if not clock.exists():
            raise BadInput(f"{home} has a checkpoint but no clock, so its time is unknown; delete it to start again")
        watch.go_on(clock)
        clock.unlink()  # if this stretch is killed, its time is unknown too
    watch.start()
    try:
        encoder = (train_ours if ours else train_baseline)(recipe, data, seed, watch, checkpoint, deadline)
        watch.stop()
    except OutOfTime:
        watch.stop()
        watch.save(clock)
        raise
    device = data.images.device
    outcome = {
        "arm": name,
        "device": torch.cuda.get_device_name() if data.images.is_cuda else f"CPU, {torch.get_num_threads()} threads",
        "epochs": recipe.epochs,
        "seconds": round(watch.seconds, 3),
        "seconds_per_epoch": round(watch.seconds / recipe.epochs, 3),
        "images_per_second": round(watch.images_per_second, 1),
        "peak_memory_mib": round(peak_memory(device)),
        "knn_validation": None if data.final else round(watch.last, 2),
        "knn_test": round(accuracy(encoder, data), 2) if data.final else None,
        "until": watch.passed,
        "seed": seed,
        "restarts": watch.restarts,
        "bank": count,
        "queries": len(data.queries),
        "counted": COUNTED,
    }
    files.write_text(result, json.dumps(outcome))
    return outcome


def folder(recipe: Baseline | Arm, data: Data, seed: int) -> Path:
    """Where a race that is cut off waits: one folder for all that changes its numbers."""
    what = repr((recipe, data.checksum, len(data.images), data.final, seed))
    return paths.runs() / "race" / hashlib.sha256(what.encode()).hexdigest()[:16]


def chosen(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.race", description=__doc__.splitlines()[0])
    parser.add_argument("--arm", choices=("ours", "baseline", "both"), default="both")
    parser.add_argument("--epochs", type=int, help="another length than the arms' own")
    parser.add_argument("--train-images", type=int, metavar="N", help="a trial with the first N training images")
    parser.add_argument("--time-limit", type=float, metavar="SECONDS", help="stop cleanly after so long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--final", action="store_true", help="train on all 50,000 images and ask about the test images")
    parser.add_argument(
        "--until", type=float, default=90.0, metavar="PER_CENT", help="a mark to report, not to stop at"
    )
    parser.add_argument("--every", type=int, default=10, metavar="EPOCHS", help="between two evaluations")
    parser.add_argument("--compile", action="store_true", help="torch.compile our arm")
    arguments = parser.parse_args(words)
    for name in ("epochs", "every"):
        if (value := getattr(arguments, name)) is not None and value < 1:
            raise BadInput(f"--{name} is a whole number of at least 1, not {value}")
    if arguments.train_images is not None and arguments.train_images < NEIGHBOURS:
        raise BadInput(f"--train-images is at least {NEIGHBOURS}, the neighbours that vote")
    if arguments.time_limit is not None and not arguments.time_limit > 0:
        raise BadInput(f"--time-limit is a number of seconds above 0, not {arguments.time_limit:g}")
    if not 0 <= arguments.until <= 100:
        raise BadInput(f"--until is a percentage from 0 to 100, not {arguments.until:g}")
    if arguments.final and arguments.train_images:
        raise BadInput("--final takes all training images; leave out --train-images")
    return arguments


def main(words: list[str] | None = None, ours: Arm | None = None, baseline: Baseline | None = None) -> int:
    started = time.monotonic()
    finished = []
    try:
        arguments = chosen(words)
        ours, baseline = ours or Arm(), baseline or Baseline()
        if arguments.compile:
            ours = replace(ours, compile=True)
        recipes = {"baseline": [baseline], "ours": [ours], "both": [baseline, ours]}[arguments.arm]
        if arguments.epochs:
            recipes = [replace(recipe, epochs=arguments.epochs) for recipe in recipes]
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        data = load_data(arguments.train_images, arguments.final, device)
        deadline = started + (arguments.time_limit or math.inf)
        outcomes = []
        for recipe in recipes:
            outcomes.append(race(recipe, data, arguments.seed, deadline, arguments.every, arguments.until))
            report(outcomes[-1])
            finished.append(folder(recipe, data, arguments.seed))
    except OutOfTime:
        print(f"stopped at the time limit of {arguments.time_limit:g} s; the same command goes on from here")
        return 0
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    for path in finished:  # the next such race is run, not remembered
        shutil.rmtree(path)
    if len(outcomes) == 2:
        report(ratio(*outcomes))
    return 0


def ratio(baseline: dict, ours: dict) -> dict[str, float | str]:
    """Our speed over the baseline's, and its time over ours: both above 1 when we are faster."""
    return {
        "ours": ours["images_per_second"],
        "baseline": baseline["images_per_second"],
        "ratio": round(ours["images_per_second"] / baseline["images_per_second"], 2),
        "unit": "images per second",
        "ratio_of_seconds": round(baseline["seconds"] / ours["seconds"], 2),
    }


if __name__ == "__main__":
    sys.exit(main())
