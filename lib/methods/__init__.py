"""Objectives: one file each. To add one, write its file and a line in `METHODS`.

A method is a module with an `encoder`, a tuple of `views`, `uses_labels`, and

- `forward(views)` (or `forward(views, labels)`) -> a dict of named loss terms, whose sum is minimised;
- `after_step(progress)`, called after every optimiser step with the share of training that is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from lib.methods import barlow_twins, byol, random, simclr, supervised


@dataclass(frozen=True)
class Method:
    """An entry of the table. `paradigm` is the family as the field sorts it; `trained` is false for controls."""

    title: str
    paradigm: str
    build: Callable[..., nn.Module]
    settings: type
    protocol: int
    trained: bool = True


METHODS = {
    "simclr": Method("SimCLR", "contrastive", simclr.SimCLR, simclr.Settings, simclr.PROTOCOL),
    "byol": Method("BYOL", "distillation", byol.BYOL, byol.Settings, byol.PROTOCOL),
    "barlow_twins": Method(
        "Barlow Twins", "redundancy reduction", barlow_twins.BarlowTwins, barlow_twins.Settings, barlow_twins.PROTOCOL
    ),
    "supervised": Method(
        "Supervised", "reference with labels", supervised.Supervised, supervised.Settings, supervised.PROTOCOL
    ),
    "random": Method("Random weights", "control", random.Random, random.Settings, random.PROTOCOL, trained=False),
}


def build_method(name: str, encoder: nn.Module, settings: object, classes: int) -> nn.Module:
    """The method `name` around `encoder`. Only a method that uses labels learns how many classes there are."""
    build = METHODS[name].build
    return build(encoder, settings, classes) if build.uses_labels else build(encoder, settings)
