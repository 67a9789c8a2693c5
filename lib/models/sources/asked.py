"""An encoder's name taken apart: its source, what the source calls it, and options behind a question mark."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import nn

from lib.errors import BadInput, one_of
from lib.models.encoder import CIFAR10, IMAGENET
from lib.models.preprocessing import INTERPOLATIONS, Preprocessing
from lib.models.sources.wrapped import WrappedEncoder
from lib.shifts.wnids import WNIDS

NORMALISATIONS = {
    "imagenet": IMAGENET,
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),  # arXiv 2103.00020's code
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),  # pixels from -1 to 1
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # pixels from 0 to 1; the network normalises by itself
    "byte": ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)),  # pixels from 0 to 255
    "cifar10": CIFAR10,
}
OPTIONS = ("weights", "size", "resize", "interpolation", "normalisation", "mean", "std", "logits", "classes", "output")
YES_NO = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class Asked:
    """`name` as it was asked for; `body` without its source and options; `options` as texts."""

    name: str
    body: str
    options: Mapping[str, str] = field(default_factory=dict)
    pretrained: bool = True


@dataclass(frozen=True)
class Named:
    """An encoder with all that must be known to use it.

    `encoder` takes images in [0, 1], (N, 3, size, size), normalises them by itself and gives features (N, D); `head`
    makes logits (N, C) of those features, and is None where the source is no classifier. `classes` names the C
    outputs where that is known: by WNIDs where they are ImageNet's thousand. `differentiable` is False where no
    gradient comes back to the images. `source` tells library, version, weights, parameters and features in words.
    """

    name: str  # as it was asked for
    encoder: WrappedEncoder
    preprocessing: Preprocessing
    head: nn.Module | None
    classes: tuple[str, ...] | None
    differentiable: bool
    source: str


def asked(name: str, pretrained: bool = True) -> Asked:
    """`name` and its options `?key=value&key=value`, such as "timm:resnet50?weights=random"."""
    body, _, query = name.partition("?")
    options = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        options[one_of(key, OPTIONS, "option of an encoder")] = value
    return Asked(name, body, options, pretrained and options.get("weights") != "random")


def known(value: str, allowed: Iterable[str], what: str, where: str = "") -> str:
    """`value` if it is among `allowed`, of which there are too many to list; otherwise BadInput with the nearest."""
    allowed = list(allowed)
    if value in allowed:
        return value
    near = difflib.get_close_matches(value, allowed, n=5, cutoff=0.5)
    hint = f"; near it are {', '.join(near)}" if near else ""
    raise BadInput(f"unknown {what} {value!r}{hint}{where}")


def overridden(preprocessing: Preprocessing, asked: Asked) -> Preprocessing:
    """`preprocessing` with what the name's options say instead; another size keeps the ratio of `resize` to it."""
    own: dict = {}
    if "size" in asked.options:
        own["size"] = _pixels(asked, "size")
        own["resize"] = own["size"] * preprocessing.resize // preprocessing.size
    if "resize" in asked.options:
        own["resize"] = _pixels(asked, "resize")
    if "interpolation" in asked.options:
        own["interpolation"] = one_of(asked.options["interpolation"], INTERPOLATIONS, "interpolation")
    if (normalisation := _normalisation(asked)) is not None:
        own["mean"], own["std"] = normalisation
    if not own:
        return preprocessing
    said = f"{preprocessing.source}; {', '.join(own)} as asked for"
    return replace(preprocessing, **own, source=said)


def stated(asked: Asked, attributes: Mapping[str, object], where: str, missing: Sequence[str] = ()) -> Preprocessing:
    """The preprocessing of a source without a configuration: from its `attributes` and the name's options.

    `size`, and `mean` and `std` (or `normalisation`), are needed; `resize` is 256 / 224 of the size and
    `interpolation` bilinear unless they are stated. `where` says where attributes are looked for, and
    `missing` what else a source found missing, as an option of the name.
    """
    options = {**{key: value for key, value in attributes.items() if value is not None}, **asked.options}
    normalised = "normalisation" in options or ("mean" in options and "std" in options)
    lacking = [] if "size" in options else ["size=224"]
    lacking += [] if normalised else ["normalisation=imagenet"]
    lacking += missing
    if lacking:
        keys = " nor its ".join(entry.partition("=")[0] for entry in lacking)
        raise BadInput(
            f"{asked.name} does not say its {keys}: state it {where}, or behind the name, as in "
            f"'{asked.name}{'&' if '?' in asked.name else '?'}{'&'.join(lacking)}' (normalisations: "
            f"{', '.join(NORMALISATIONS)}, or mean=R,G,B&std=R,G,B of pixels in [0, 1])"
        )
    at_hand = Asked(asked.name, asked.body, options, asked.pretrained)
    size = _pixels(at_hand, "size")
    resize = _pixels(at_hand, "resize") if "resize" in options else size * 256 // 224
    mean, std = _normalisation(at_hand) or IMAGENET
    interpolation = one_of(options.get("interpolation", "bilinear"), INTERPOLATIONS, "interpolation")
    told = [key for key in ("size", "resize", "interpolation", "normalisation", "mean", "std") if key in options]
    assumed = [key for key in ("resize", "interpolation") if key not in options]
    source = f"{', '.join(told)} as stated {where} or behind the name"
    source += f"; {' and '.join(assumed)} by the field's convention" if assumed else ""
    return Preprocessing(size, resize, interpolation, mean, std, source)


def yes_no(value: object, what: str) -> bool:
    """True or False, or the words that stand for them behind a name."""
    if isinstance(value, bool):
        return value
    return YES_NO[one_of(str(value).lower(), YES_NO, what)]


def stated_classes(value: object) -> tuple[str, ...] | None:
    """The classes' names that a source states: "imagenet" for its thousand WNIDs, texts by commas, or a sequence."""
    if value is None:
        return None
    if value == "imagenet":
        return WNIDS
    return tuple(value.split(",")) if isinstance(value, str) else tuple(map(str, value))


def _pixels(asked: Asked, key: str) -> int:
    value = asked.options[key]
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1 or number != (float(value) if not isinstance(value, str) else number):
        raise BadInput(f"the {key} of {asked.name} is a whole number of pixels of at least 1, not {value!r}")
    return number


def _normalisation(asked: Asked) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and std that options state; None where they do not."""
    options = asked.options
    if "normalisation" in options:
        return NORMALISATIONS[one_of(options["normalisation"], NORMALISATIONS, "normalisation")]
    if "mean" not in options and "std" not in options:
        return None
    try:
        return _three(options["mean"]), _three(options["std"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(
            f"mean and std of {asked.name} go together and are three numbers each, such as mean=0.5,0.5,0.5, not "
            f"{options.get('mean')!r} and {options.get('std')!r}"
        ) from error


def _three(value: object) -> tuple[float, ...]:
    numbers = value.split(",") if isinstance(value, str) else list(value)
    if len(numbers) != 3:
        raise ValueError("three channels")
    return tuple(float(number) for number in numbers)
