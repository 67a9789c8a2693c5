"""What a run is: everything that decides its numbers, frozen, checked, and hashed to a key."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from lib.errors import BadInput, one_of
from lib.inputs import whole
from lib.methods import METHODS, queue, views_of
from lib.methods.removal import Removal
from lib.models import ENCODERS
from lib.precision import precision_on
from lib.shifts import textures
from lib.training import Attack, Training, masks, unfit
from lib.views import AUGMENTATIONS, View, augmentation_protocols

# Encoders side by side, each trained by itself: the augmentation of each and how far its seed is from the fusion's.
# Three of one kind have the features and the weights of three that differ, and so show what size alone gives.
FUSIONS = {
    "fusion": (("default", 0), ("spatial", 0), ("appearance", 0)),
    "three defaults": (("default", 0), ("default", 10), ("default", 20)),
}
# Fields younger than runs in readers' stores, which keep their keys while these have the values of then.
_YOUNG = {"augmentation": None, "attack": None}
_YOUNG_SETTINGS = {"views": 8, "crop": "patch"}  # of EMP-SSL
_YOUNG_SETTINGS |= {"negatives": None, "alpha": 2.0, "count": 1}  # of methods that repel
_YOUNG_SETTINGS |= {"removed": 0.0, "masks": "learned", "crops": "usual"}  # of the supervised reference
_YOUNG_ATTACK = {"partner": "other"}
# What tunes a run and does not say what it is: two that differ in nothing else answer the same question.
RECIPE = {
    "training": ("optimiser", "learning_rate", "weight_decay", "warmup_epochs"),
    "settings": (
        "temperature", "student_temperature", "first_temperature", "teacher_temperature", "warmup", "momentum",
        "centre_momentum", "redundancy", "scale", "epsilon", "invariance", "variance", "covariance", "robustness",
        "beta",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class RunConfig:
    """One training run, on at most `train_images` images (None: all). `settings` None are the method's defaults.

    A method that has an encoder of its own has that one, whatever `encoder` is asked for.
    `least_crop` is the smallest share of an image's area that a view may show, and `augmentation` one of
    `lib.views.AUGMENTATIONS` or of `FUSIONS`; None leaves them to the method's views. `attack` is what the method
    trains against, an `Attack` or its name, such as "pgd(5)" or "free(3)"; "none" and None are no attack.
    """

    dataset: str
    method: str
    encoder: str = "resnet18"
    seed: int = 0
    train_images: int | None = None
    training: Training = field(default_factory=Training)
    settings: object = None
    least_crop: float | None = None
    augmentation: str | None = None
    attack: Attack | str | None = None

    def __post_init__(self) -> None:
        for name in ("dataset", "method", "encoder"):
            if not isinstance(getattr(self, name), str):
                raise BadInput(f"{name} is one name, not {getattr(self, name)!r}; a list of names makes a grid")
        one_of(self.method, METHODS, "method")
        one_of(self.encoder, ENCODERS, "encoder")
        object.__setattr__(self, "seed", whole(self.seed, "seed", None))
        if self.train_images is not None and (type(self.train_images) is not int or self.train_images < 1):
            raise BadInput(f"train_images is a whole number of at least 1 or None (all), not {self.train_images!r}")
        if self.least_crop is not None and (type(self.least_crop) is not float or not 0 < self.least_crop <= 1):
            raise BadInput(f"least_crop is a share above 0.0 and up to 1.0, or None, not {self.least_crop!r}")
        if own := METHODS[self.method].encoder:
            object.__setattr__(self, "encoder", own)
        elif self.encoder in (method.encoder for method in METHODS.values()):
            raise BadInput(f"{self.encoder} has no weights that {self.method} could train: take another encoder")
        expected = METHODS[self.method].settings
        if self.settings is None:
            object.__setattr__(self, "settings", expected())
        if type(self.settings) is not expected:
            raise BadInput(f"the settings of {self.method} are a {expected.__module__}.Settings, not {self.settings!r}")
        views = views_of(self.method, self.settings)
        if self.augmentation is not None:
            one_of(self.augmentation, (*AUGMENTATIONS, *FUSIONS), "augmentation")
            if len({view.size for view in views}) > 1:
                raise BadInput(f"{self.method} needs its own large and small crops: its augmentation is None")
        self._check_attack(views)
        if self.negatives:
            repelling = [name for name, method in METHODS.items() if method.repels]
            if self.method not in repelling:
                raise BadInput(
                    f"{self.method} takes no negatives: its negatives are None; use {' or '.join(repelling)}"
                )
            if self.attack:
                raise BadInput("negatives are for training without an attack: one of the two is None")

    @property
    def negatives(self) -> str | None:
        """What the method's settings have it keep away from (`lib.methods.repulsion`)."""
        return getattr(self.settings, "negatives", None)

    @property
    def removal(self) -> Removal | None:
        """How the method's settings have backgrounds removed; None where they do not."""
        removal = self.settings if isinstance(self.settings, Removal) else None
        return removal if removal and removal.removed else None

    @property
    def differing(self) -> str:
        """The settings in which the run differs from its method as it is, in words: "views 4"; "" where in none.

        What merely tunes a run (`RECIPE`) is not told.
        """
        usual = METHODS[self.method].settings()
        names = [own.name for own in dataclasses.fields(usual) if own.name not in RECIPE["settings"]]
        told = [name for name in names if getattr(self.settings, name) != getattr(usual, name)]
        return ", ".join(f"{name.replace('_', ' ')} {getattr(self.settings, name)}" for name in told)

    def _check_attack(self, views: tuple[View, ...]) -> None:
        if isinstance(self.attack, str):
            object.__setattr__(self, "attack", None if self.attack == "none" else Attack(self.attack))
        if self.attack is not None and not isinstance(self.attack, Attack):
            raise BadInput(f"attack is None, a name such as 'pgd(5)' or a lib.training.Attack, not {self.attack!r}")
        method = METHODS[self.method]
        if self.attack is None:
            if method.attacked:
                raise BadInput(f"{self.method} is trained under an attack: give one, such as 'pgd(5)'")
        elif not method.trained:
            raise BadInput(f"{self.method} is not trained, so that there is nothing to attack: its attack is None")
        elif reason := unfit(self.attack, method.build, views):
            raise BadInput(f"{self.method} {reason}")

    def teacher(self) -> RunConfig | None:
        """The run whose encoder this one's method learns from, of the same training; None for most methods."""
        name = getattr(METHODS[self.method].build, "teacher", None)
        if name is None:
            return None
        epochs = self.settings.teacher_epochs or self.training.epochs  # type: ignore[attr-defined]
        warmup = round(self.training.warmup_epochs * epochs / self.training.epochs, 3)  # the same share
        training = replace(self.training, epochs=epochs, warmup_epochs=warmup)
        return replace(self, method=name, settings=None, attack=None, training=training)

    def members(self) -> list[RunConfig]:
        """The runs that a fusion is made of; none for a run that is trained."""
        return [
            replace(self, augmentation=augmentation, seed=self.seed + offset)
            for augmentation, offset in FUSIONS.get(self.augmentation, ())
        ]

    def _augmentation_protocols(self) -> dict[str, int]:
        """Of the augmentation, or of all those of a fusion's members."""
        if self.augmentation is None:
            return {}
        names = [name for name, _ in FUSIONS.get(self.augmentation, ((self.augmentation, 0),))]
        return {part: protocol for name in names for part, protocol in augmentation_protocols(name).items()}

    def to_dict(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> RunConfig:
        """The inverse of `to_dict`; an unknown key at any level is refused by name."""
        values = dict(values)
        method = one_of(values.get("method"), METHODS, "method")
        values["training"] = _build(Training, values.get("training", {}), "training")
        if isinstance(values.get("attack"), dict):
            values["attack"] = _build(Attack, values["attack"], "attack")
        values["settings"] = _build(METHODS[method].settings, values.get("settings") or {}, f"settings of {method}")
        return _build(cls, values, "run")

    def protocols(self) -> dict[str, object]:
        """The protocols of the method and of what a run gives it: a queue under replays, textures, masks, views."""
        method = METHODS[self.method]
        found: dict[str, object] = {"method": method.protocol}
        if self.attack and self.attack.kind == "free" and hasattr(method.build, "after_batch"):
            found["queue"] = queue.PROTOCOL
        if self.negatives == "texture":
            found["textures"] = textures.PROTOCOL
        if self.removal:
            found["masks"] = masks.PROTOCOL
        if protocols := self._augmentation_protocols():
            found["augmentation"] = protocols
        teacher = self.teacher()
        if teacher and METHODS[teacher.method].protocol > 1:  # the first is not named, so that old keys stay
            found["teacher"] = METHODS[teacher.method].protocol
        return found

    def key(self, checksum: str, device: torch.device | str = "cpu") -> str:
        """Sixteen hex digits that change with what decides the numbers, and with nothing else.

        That is the config, the data, its `protocols`, the kind of `device` and, where the config leaves the precision
        to the device, what it is there. On a CPU in float32 the last two add nothing.
        """
        device = torch.device(device)
        values = _without(_YOUNG, self.to_dict())
        values["settings"] = _without(_YOUNG_SETTINGS, values["settings"])
        if self.attack:
            values["attack"] = _without(_YOUNG_ATTACK, values["attack"])
        identity = [values, checksum, *self.protocols().values()]
        if device.type != "cpu":
            identity.append(f"on {device.type}")
        if self.training.precision == "auto" and (precision := precision_on(device)) != "fp32":
            identity.append(precision)
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _without(young: dict, values: dict) -> dict:
    return {name: value for name, value in values.items() if name not in young or value != young[name]}


def _build(kind: type, values: dict, what: str) -> Any:
    names = [field.name for field in dataclasses.fields(kind)]
    for name in values:
        one_of(name, names, f"parameter of a {what}" if kind is RunConfig else f"parameter in the {what}")
    return kind(**values)
