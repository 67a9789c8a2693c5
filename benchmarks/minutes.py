"""What a minute of one core buys: nearest neighbours' accuracy against processor time, ours and lightly's.

    python -m benchmarks.minutes                                    # every arm that is not published yet, one by one
    python -m benchmarks.minutes --arms '["lightly", "narrow, 4 epochs"]' --minutes 30
    python -m benchmarks.minutes --arms '["narrow, 1 epoch"]' --images 2000 --minutes 1 --to trial.csv   # a trial

Every arm is SimCLR on all training images of CIFAR-10 and is judged alike, on validation images, before the first
update as well. Ours differ in encoder, length and batch, by the recipe of `lib.runs.recipes`; a cosine schedule needs
its end, so each length is a training of its own. The peer is lightly's benchmark on CIFAR-10, put together from
lightly's own parts as its docs/source/getting_started/benchmarks/cifar10_benchmark.py has it: ResNet-18, batches of
128, SGD at 0.06, a cosine over 200 epochs, views by torchvision's transforms. It is stopped after so many `--minutes`.

The clock counts the processor's time of training and views, so that other programs do not, and stands still while
neighbours are counted. One thread, and no workers of a DataLoader: what is compared is one core. An arm that has ended
adds its lines to `results/methods/minutes.csv`, the ones that the page of details shows.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import torch
from lightly.loss import NTXentLoss
from lightly.models import ResNetGenerator
from lightly.models.modules.heads import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from torch import nn
from torch.utils.data import DataLoader

from benchmarks import report
from benchmarks.views import Pictures
from lib.chapters.methods import minutes
from lib.errors import BadInput, one_of
from lib.images import Split, load
from lib.measures import extract
from lib.measures.knn import knn_predict
from lib.models.encoder import IMAGENET
from lib.runs import PRESETS, fit, untrained
from lib.runs.engine import commit, device_name
from lib.runs.plan import grid
from lib.runs.study import as_list

BANK, QUERIES = 5_000, 2_000  # the first training and the first validation images


@dataclass(frozen=True)
class Arm:
    """A length and a batch for one of our encoders."""

    encoder: str
    epochs: int
    batch_size: int = 128


ARMS = {
    "narrow, 1 epoch": Arm("resnet10_narrow", 1),
    "narrow, 2 epochs": Arm("resnet10_narrow", 2),
    "narrow, 4 epochs": Arm("resnet10_narrow", 4),
    "narrow, 12 epochs": Arm("resnet10_narrow", 12),
    "narrow, 4 epochs, batches of 64": Arm("resnet10_narrow", 4, 64),
    "narrow, 4 epochs, batches of 256": Arm("resnet10_narrow", 4, 256),
    "wider, 1 epoch": Arm("resnet10", 1),
    "wider, 3 epochs": Arm("resnet10", 3),
}


@dataclass(frozen=True)
class Lightly:
    """The values of lightly's benchmark for SimCLR on CIFAR-10."""

    batch_size: int = 128
    epochs: int = 200  # of the cosine
    learning_rate: float = 0.06
    weight_decay: float = 5e-4


class Clock:
    """Seconds of the processor in training, and what the encoder knew after how many of them."""

    def __init__(self, arm: str, encoder: str, recipe: Arm | Lightly, judge: Callable) -> None:
        self.facts = {"arm": arm, "encoder": encoder, "batch_size": recipe.batch_size, "epochs": recipe.epochs}
        self.judge = judge
        self.seconds, self.lines, self.started = 0.0, [], time.process_time()

    def spent(self) -> float:
        """Minutes so far."""
        return (self.seconds + time.process_time() - self.started) / 60

    def look(self, encoder: nn.Module, seen: int) -> None:
        """Count neighbours after so many images, off the clock, and go on."""
        self.seconds += (time.process_time() - self.started) * (seen > 0)  # what was made before is no training
        accuracy, error = self.judge(encoder)
        line = self.facts | {"images": seen, "minutes": round(self.seconds / 60, 3), "knn": accuracy, "error": error}
        print(f"{self.facts['arm']}: {seen:,} images, {line['minutes']:.1f} min, kNN {accuracy:.1f} %", flush=True)
        self.lines.append(line)
        self.started = time.process_time()


def judged(encoder: nn.Module, bank: Split, queries: Split, prepare: Callable | None = None) -> tuple[float, float]:
    """Accuracy of the queries' nearest neighbours in the bank, in percent, and its standard error."""
    training = encoder.training
    whole = nn.Sequential(prepare, encoder) if prepare else encoder
    features = [extract(whole.eval(), part.images, "fp32") for part in (bank, queries)]
    encoder.train(training)
    right = float((knn_predict(features[0], bank.labels, features[1]) == queries.labels).double().mean())
    return round(100 * right, 2), round(100 * math.sqrt(right * (1 - right) / len(queries.labels)), 3)


def ours(name: str, arm: Arm, data: Split, judge: Callable) -> list[dict]:
    """The recipe in use, whose rate goes with the batch, judged before it and after each epoch."""
    scale = replace(PRESETS["medium"], encoder=arm.encoder, epochs=arm.epochs, batch_size=arm.batch_size)
    (config,) = grid(scale, ["simclr"], [0])
    clock, each = Clock(name, arm.encoder, arm, judge), len(data.images) // arm.batch_size * arm.batch_size
    passed = 0
    clock.look(untrained(config, data).encoder, 0)

    def after_epoch(method: nn.Module) -> dict[str, float]:
        nonlocal passed
        passed += 1
        clock.look(method.encoder, passed * each)
        return {}

    fit(config, data, monitor=after_epoch, progress=False)
    return clock.lines


class Standardised(nn.Module):
    """As lightly's transform ends, which divides by ImageNet's deviations."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean, deviation = (torch.tensor(values, device=images.device).view(3, 1, 1) for values in IMAGENET)
        return (images - mean) / deviation


def lightly(data: Split, judge: Callable, most: float, recipe: Lightly | None = None) -> list[dict]:
    """Its training for `most` minutes, judged before it and after a quarter, a half and all of them."""
    recipe = recipe or Lightly()
    torch.manual_seed(0)
    backbone = nn.Sequential(*list(ResNetGenerator("resnet-18").children())[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head, criterion = SimCLRProjectionHead(512, 512, 128), NTXentLoss()
    parameters = [*backbone.parameters(), *head.parameters()]
    optimiser = torch.optim.SGD(parameters, recipe.learning_rate, 0.9, weight_decay=recipe.weight_decay)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.epochs)
    views = Pictures(data.images, SimCLRTransform(input_size=32, cj_strength=0.5, gaussian_blur=0.0))
    loader = DataLoader(views, recipe.batch_size, shuffle=True, drop_last=True)
    clock, seen, mark = Clock(minutes.PEER, "ResNet-18", recipe, judge), 0, most / 4
    clock.look(backbone, seen)
    for _ in range(recipe.epochs):
        for pair in loader:
            first, second = (head(backbone(view)) for view in pair)
            loss = criterion(first, second)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            seen += len(first)
            if clock.spent() >= mark:
                clock.look(backbone, seen)
                if mark >= most:
                    return clock.lines
                mark = min(2 * mark, most)
        falling.step()
    clock.look(backbone, seen)
    return clock.lines


def race(name: str, data: Split, bank: Split, queries: Split, most: float) -> pd.DataFrame:
    """The lines of one arm, as `lib.chapters.methods.minutes` reads them."""
    if name == minutes.PEER:
        lines = lightly(data, functools.partial(judged, bank=bank, queries=queries, prepare=Standardised()), most)
    else:
        lines = ours(name, ARMS[name], data, functools.partial(judged, bank=bank, queries=queries))
    facts = {"bank": len(bank.images), "queries": len(queries.images), "commit": commit()}
    return pd.DataFrame(lines).assign(device=device_name(torch.device("cpu")), **facts)[list(minutes.COLUMNS)]


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.minutes", description=__doc__.splitlines()[0])
    names = (*ARMS, minutes.PEER)
    parser.add_argument("--arms", help=f"a list, of: {', '.join(names)}")
    parser.add_argument("--minutes", type=float, default=120.0, help="after which lightly's training is stopped")
    parser.add_argument("--images", type=int, help="a trial with the first so many training images")
    parser.add_argument("--to", type=Path, default=minutes.FILE, help="the file that lines are added to")
    arguments = parser.parse_args(words)
    try:
        if not 0 < arguments.minutes < math.inf:
            raise BadInput(f"--minutes is a number above 0, not {arguments.minutes}")
        there = set(minutes.read(arguments.to)["arm"])
        asked = as_list(arguments.arms, "arms", names) if arguments.arms else [own for own in names if own not in there]
        if known := [own for own in map(lambda own: one_of(own, names, "arm"), asked) if own in there]:
            raise BadInput(f"{arguments.to} has {', '.join(known)} already; take their lines out to measure them anew")
        torch.set_num_threads(1)
        data = load("cifar10", "train", arguments.images)
        bank, queries = load("cifar10", "train", min(BANK, len(data.images))), load("cifar10", "validation", QUERIES)
        for name in asked:
            minutes.append(arguments.to, race(name, data, bank, queries, arguments.minutes))
        report(minutes.compared(minutes.read(arguments.to)))
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
