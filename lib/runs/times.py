"""How long runs take, from runs that are known: the records of published and of local ones."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import torch
from torch.utils.flop_counter import FlopCounterMode

from lib import paths
from lib.errors import BadInput
from lib.images import load
from lib.methods import METHODS, views_of
from lib.models import build_encoder
from lib.precision import precision_on
from lib.runs import published, store
from lib.runs.config import RunConfig
from lib.runs.engine import device_name
from lib.training import needs_attack, passes
from lib.views import cost

PIXELS = 32  # of an image, for comparing encoders


def passes_of(config: RunConfig, images: int) -> float:
    """Of a view, forward and backward, in a run's training on so many `images`: what a record calls "passes"."""
    method = METHODS[config.method]
    each = passes(cost(views_of(config.method, config.settings)), config.attack, needs_attack(method.build))
    size = config.training.batch_size
    return config.training.epochs * (images // size) * size * each


@functools.cache
def operations(encoder: str) -> int:
    """Floating-point operations of an encoder on one image."""
    with torch.random.fork_rng():
        network = build_encoder(encoder).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, PIXELS, PIXELS))
    return counter.get_total_flops()


@dataclass(frozen=True)
class Times:
    """Seconds of a pass of training and of measures, each by what a run is, from the very same to the similar.

    `rates` are of (method, encoder, device, precision), of (encoder, device, precision) and so on, see `_kinds`;
    `measuring` of a measure's identity with the same; `images` are numbers of training images of a data set with that
    limit. `trained` are the identities of runs that are in the local store.
    """

    rates: Mapping[tuple, float]
    measuring: Mapping[tuple, float] = field(default_factory=dict)
    images: Mapping[tuple, int] = field(default_factory=dict)
    trained: frozenset[str] = frozenset()

    def training(self, config: RunConfig) -> float:
        """Seconds of one training; NaN where no run tells.

        Known seconds of a pass times the `passes_of` the run. Of several kinds of runs the most similar counts: the
        same method and encoder on this device, another method, another device; and then the encoder whose operations
        are nearest in number, at as many seconds an operation.
        """
        if config.members():
            return 0.0  # which are trained by themselves
        rate = self._rate(config)
        return rate * passes_of(config, self._images(config)) if rate is not None else float("nan")

    def measured(self, config: RunConfig, measure: str) -> float | None:
        """Seconds of the measure of this identity; None where nobody timed it."""
        device, precision = _here(config)
        return _first(self.measuring, [(measure, *kind) for kind in _kinds(config, device, precision)])

    def _rate(self, config: RunConfig) -> float | None:
        device, precision = _here(config)
        if (own := _first(self.rates, _kinds(config, device, precision))) is not None:
            return own
        others = {kind[0]: rate for kind, rate in self.rates.items() if kind[1:] == (device, precision)}
        others = others or {kind[0]: rate for kind, rate in self.rates.items() if len(kind) == 1}
        if not others:
            return None
        work = operations(config.encoder)
        nearest = min(others, key=lambda name: (max(work / operations(name), operations(name) / work), name))
        return others[nearest] * work / operations(nearest)

    def _images(self, config: RunConfig) -> int:
        known = self.images.get((config.dataset, config.train_images))
        return known or len(load(config.dataset, "train", config.train_images).images)


def known() -> Times:
    """From the records of all runs that are published, and of those in the local store."""
    local = list(_stored())
    records = [*((record, record.get("measuring", {})) for record in published.records()), *local]
    rates: dict[tuple, list[float]] = {}
    measuring: dict[tuple, list[float]] = {}
    images: dict[tuple, int] = {}
    for record, seconds in records:
        config = RunConfig.from_dict(record["config"])
        device, precision, count = record.get("device", ""), record.get("precision", ""), record["data"]["train_images"]
        images[config.dataset, config.train_images] = count
        work = 0 if config.members() else passes_of(config, count)
        for kind in _kinds(config, device, precision):
            if work and record.get("seconds") is not None:  # 0.0 of the quickest
                rates.setdefault(kind, []).append(record["seconds"] / work)
            for measure, taken in seconds.items():
                measuring.setdefault((measure, *kind), []).append(taken)
    trained = frozenset(published.identity(RunConfig.from_dict(record["config"])) for record, _ in local)
    return Times(_medians(rates), _medians(measuring), images, trained)


def _kinds(config: RunConfig, device: str, precision: str) -> list[tuple]:
    """What a run is, from all of it to its encoder alone."""
    method, encoder = config.method, config.encoder
    return [(method, encoder, device, precision), (encoder, device, precision), (method, encoder), (encoder,)]


def _here(config: RunConfig) -> tuple[str, str]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return device_name(device), precision_on(device, config.training.precision)


def _first(values: Mapping[tuple, float], kinds: Iterable[tuple]) -> float | None:
    return next((values[kind] for kind in kinds if kind in values), None)


def _medians(values: Mapping[tuple, list[float]]) -> dict[tuple, float]:
    return {kind: statistics.median(own) for kind, own in values.items()}


def _stored() -> Iterator[tuple[dict, dict[str, float]]]:
    """Records of local runs, with the seconds of their measures; not of those that this code cannot read."""
    for path in sorted(paths.runs().glob("*/record.json")):
        try:
            record = store.load_record(path.parent.name)
            if record is not None:
                RunConfig.from_dict(record["config"])
                yield record, store.load_seconds(path.parent.name)
        except BadInput:
            continue
