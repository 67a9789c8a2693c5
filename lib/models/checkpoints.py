"""Checkpoints of other projects, loaded into our encoders: all of an encoder, or nothing.

Every project wraps the same networks in its own names. A `Layout` says where in a file the encoder
is. Its names are then brought to torchvision's, and those to ours, so that each renaming is written once.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.models.encoder import CIFAR10, IMAGENET, Encoder
from lib.models.imagenet import ImageNetEncoder
from lib.models.resnet import ResNet

CONTAINERS = ("teacher", "student", "state_dict", "model")  # entries of a file that hold its weights, the best first
WRAPPERS = re.compile(r"^((module|_orig_mod)\.)+")  # DistributedDataParallel's and torch.compile's
CLASSIFIERS = ("fc.", "head.", "heads.", "linear.")  # inside the encoder, in any layout
COUNTER = "num_batches_tracked"  # batch norm's; older files have none, and no feature depends on it


@dataclass(frozen=True)
class Layout:
    """Where a project keeps the encoder.

    `sign` is a pattern that a line `container/key` of its files matches and no earlier layout's do.
    The encoder's keys begin with the first of `prefixes` that fits. Keys that begin with one of
    `dropped` are known parts of the training besides the encoder. `mean` and `std` are those of the
    images that the project trains on.
    """

    sign: str
    prefixes: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    mean: tuple[float, ...] = IMAGENET[0]
    std: tuple[float, ...] = IMAGENET[1]


# Keys without the wrappers' `module.`. The signs are tried in this order.
LAYOUTS = {
    # MoCo v1 and v2 (arXiv 1911.05722, 2003.04297)
    "moco": Layout("/encoder_q[.]", ("encoder_q.",), ("encoder_k.", "queue")),
    # MoCo v3 (arXiv 2104.02057), ResNet and ViT
    "moco_v3": Layout("/base_encoder[.]", ("base_encoder.",), ("momentum_encoder.", "predictor.")),
    # DINO (arXiv 2104.14294): teacher or student of a whole checkpoint, or the released ViT with timm's names
    "dino": Layout("^(teacher|student)/|/(cls_token|patch_embed)", ("backbone.", "")),
    # Barlow Twins (arXiv 2103.03230) and VICReg (arXiv 2105.04906) during training; released, they are torchvision's
    "barlow_twins": Layout("^model/backbone[.]", ("backbone.",), ("projector.", "bn.")),
    "lightly": Layout(
        "/backbone[.][0-9]|/prediction_head|/online_classifier",
        ("backbone.",),
        ("projection_head", "prediction_head", "online_classifier", "prototypes", "queue")
        + ("backbone_momentum", "teacher_", "student_", "criterion", "memory_bank"),
    ),
    "solo_learn": Layout(
        "/backbone[.]|/encoder[.](conv1|cls_token)",
        ("backbone.", "encoder."),  # the latter in its first versions
        ("classifier", "projector", "predictor", "momentum_", "head.", "prototypes", "queue")
        + ("dino_loss_func", "local_memory_", "whitening"),
    ),
    # SwAV (arXiv 2006.09882); the first number of `std` is the project's own
    "swav": Layout("/prototypes", ("",), ("projection_head.", "prototypes"), std=(0.228, 0.224, 0.225)),
    # Plain names: torchvision, and the ResNet-50 that Barlow Twins, VICReg and DINO released
    "torchvision": Layout("/(conv1|layer1)[.]|/(class_token|conv_proj)", ("",)),
}

# From other projects' names to torchvision's.
RENAMED = (
    (r"[.]shortcut[.]", ".downsample."),  # lightly's own ResNet
    (r"[.]mlp[.]linear_1[.]", ".mlp.0."),  # the first transformers of torchvision
    (r"[.]mlp[.]linear_2[.]", ".mlp.3."),
    (r"^cls_token$", "class_token"),  # timm's transformers from here on
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^patch_embed[.]proj[.]", "conv_proj."),
    (r"^norm[.]", "encoder.ln."),
    (r"^blocks[.](\d+)[.]norm([12])[.]", r"encoder.layers.encoder_layer_\1.ln_\2."),
    (r"^blocks[.](\d+)[.]attn[.]qkv[.]", r"encoder.layers.encoder_layer_\1.self_attention.in_proj_"),
    (r"^blocks[.](\d+)[.]attn[.]proj[.]", r"encoder.layers.encoder_layer_\1.self_attention.out_proj."),
    (r"^blocks[.](\d+)[.]mlp[.]fc1[.]", r"encoder.layers.encoder_layer_\1.mlp.0."),
    (r"^blocks[.](\d+)[.]mlp[.]fc2[.]", r"encoder.layers.encoder_layer_\1.mlp.3."),
)
IN_ORDER = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")  # the parts of a ResNet that have weights


@dataclass(frozen=True)
class Report:
    """What `load_checkpoint` did.

    `matched` and `missing` are keys of the encoder; only batch-norm counters may be missing. `dropped`
    are keys and entries of the file that are no part of an encoder. `mean` and `std` were set.
    """

    layout: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    dropped: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __str__(self) -> str:
        return (
            f"{self.layout} layout: {len(self.matched)} entries loaded, {_some(self.missing)} missing, "
            f"{_some(self.dropped)} dropped; pixels are normalised by mean {self.mean} and std {self.std}"
        )


def load_checkpoint(
    encoder: Encoder,
    checkpoint: str | Path | Mapping,
    layout: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Report:
    """Load another project's checkpoint into `encoder`, in place.

    `checkpoint` is a file (.pt, .pth, .pth.tar, .ckpt, .safetensors) or what was in it. `layout` is one
    of `LAYOUTS`; None finds it by the keys.

    No outside file holds the mean and std of its training pixels. Pass them where you know them. The
    default is the layout's own (ImageNet's), but CIFAR-10's for an encoder of small images, save in
    lightly's layout, whose transforms normalise by ImageNet's at every size. The report names them.

    Raises `BadInput`, and leaves the encoder as it was, if a parameter or buffer of the encoder is
    missing or has another shape, if the file holds a key that is neither the encoder's nor a known
    head, or if the project's network computes something else from the same weights.
    """
    entries = checkpoint if isinstance(checkpoint, Mapping) else _read(Path(checkpoint))
    container, weights = _weights(entries)
    layout = _detect(container, weights) if layout is None else one_of(layout, LAYOUTS, "layout")
    mean, std = _normalisation(encoder, layout, mean, std)

    ours = torchvision_names(encoder)
    theirs, dropped, unexpected = _encoder_part(weights, LAYOUTS[layout])
    missing = [name for name in ours if name not in theirs]
    unexpected += [key for name, key in theirs.items() if name not in ours]
    matched = {ours[name]: weights[key] for name, key in theirs.items() if name in ours}
    state = encoder.state_dict()
    shapes = [
        f"{key} {tuple(weights[key].shape)} instead of {tuple(state[ours[name]].shape)}"
        for name, key in theirs.items()
        if name in ours and weights[key].shape != state[ours[name]].shape
    ]
    wrong = {
        "missing": [name for name in missing if not name.endswith(COUNTER)],
        "unexpected": unexpected,
        "of another shape": shapes,
    }
    if any(wrong.values()):
        what = "; ".join(f"{_some(keys)} {word}" for word, keys in wrong.items() if keys)
        raise BadInput(
            f"the checkpoint, read in the {layout} layout, does not fit this encoder: {what}; build the encoder that "
            f"it holds, name its layout ({', '.join(LAYOUTS)}), or pass its state dict without what is unexpected"
        )
    _check_computation(encoder, layout)
    pixels = {"mean": torch.tensor(mean)[:, None, None], "std": torch.tensor(std)[:, None, None]}
    encoder.load_state_dict(state | matched | pixels)
    if container:
        dropped += [name for name in entries if name != container]
    return Report(layout, tuple(matched), tuple(ours[name] for name in missing), tuple(dropped), mean, std)


def torchvision_names(encoder: Encoder) -> dict[str, str]:
    """torchvision's name of each entry of the encoder's state dict -> ours; mean and std are ours alone."""
    names = [name for name in encoder.state_dict() if name not in ("mean", "std")]
    if not isinstance(encoder, ResNet):
        return {name.removeprefix("network."): name for name in names}
    blocks = [f"layer{stage}.{place}" for stage, depth in enumerate(encoder.blocks, 1) for place in range(depth)]

    def renamed(name: str) -> str:
        name = re.sub(r"^stem[.]", "conv1.", name)
        name = re.sub(r"^bn[.]", "bn1.", name)
        name = re.sub(r"^stages[.](\d+)", lambda match: blocks[int(match[1])], name)
        return name.replace(".shortcut.", ".downsample.")

    return {renamed(name): name for name in names}


def _read(path: Path) -> Mapping:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Options on the command line, which DINO keeps beside its weights: names and values, nothing that runs.
        with torch.serialization.safe_globals([argparse.Namespace]):
            entries = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error})") from error
    except SafetensorError as error:
        raise BadInput(f"{path} is damaged or no safetensors file ({error}); fetch it again") from error
    except Exception as error:  # torch raises many kinds for a damaged file
        if unsafe := re.search(r"Unsupported global: GLOBAL (\S+)", str(error)):
            raise BadInput(
                f"{path} holds a {unsafe[1]}, and opening it could run code; where you trust its author, save its "
                "tensors alone: torch.save(torch.load(path, weights_only=False)['state_dict'], 'weights.pt')"
            ) from error
        raise BadInput(f"{path} is damaged or no checkpoint of torch; fetch it again") from error
    if not isinstance(entries, Mapping):
        raise BadInput(f"{path} holds a {type(entries).__name__}; a checkpoint is a dict of names and tensors")
    return entries


def _weights(entries: Mapping) -> tuple[str, Mapping[str, Tensor]]:
    """The entry that holds the weights ('' where they are not wrapped), and the weights."""
    container = next((name for name in CONTAINERS if isinstance(entries.get(name), Mapping)), "")
    weights = entries[container] if container else entries
    if not weights or not all(isinstance(value, Tensor) for value in weights.values()):
        raise BadInput(
            f"a checkpoint is a state dict of tensors, alone or as the entry {', '.join(CONTAINERS)}; "
            f"this one holds {_some(entries) if entries else 'nothing'}"
        )
    return container, weights


def _detect(container: str, weights: Mapping[str, Tensor]) -> str:
    lines = [f"{container}/{WRAPPERS.sub('', key)}" for key in weights]
    for name, layout in LAYOUTS.items():
        if any(re.search(layout.sign, line) for line in lines):
            return name
    raise BadInput(f"no known layout has the keys {_some(weights)}; layouts: {', '.join(LAYOUTS)}")


def _normalisation(
    encoder: Encoder, layout: str, mean: Sequence[float] | None, std: Sequence[float] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if mean is None and std is None:
        small = not isinstance(encoder, ImageNetEncoder) and layout != "lightly"
        return CIFAR10 if small else (LAYOUTS[layout].mean, LAYOUTS[layout].std)
    if mean is None or std is None or len(mean) != 3 or len(std) != 3 or not all(value > 0 for value in std):
        raise BadInput(f"mean and std are three numbers each, std above 0, or both None, not {mean!r} and {std!r}")
    return tuple(map(float, mean)), tuple(map(float, std))


def _check_computation(encoder: Encoder, layout: str) -> None:
    """Weights of one shape can belong to networks that differ; refuse where a project's is known to."""
    if isinstance(encoder, ResNet):
        if encoder.stem.stride != (1, 1):
            raise BadInput(f"a stem of stride {encoder.stem.stride[0]} is ours alone; outside networks at 32 px have 1")
        if layout == "solo_learn" and encoder.stem.padding != (2, 2):
            raise BadInput(
                "solo-learn pads the stem of its small ResNets by 2 pixels: build resnet18_solo_learn or "
                "resnet50_solo_learn; or name another layout, such as lightly, if solo-learn did not save the file"
            )
    if isinstance(encoder, ImageNetEncoder) and encoder.features == 384:
        heads = encoder.network.encoder.layers[0].num_heads
        if layout == "moco_v3" and heads != 12:
            raise BadInput("the ViT-S of MoCo v3 has 12 heads: build vit_small_patch16_224_moco_v3")
        if layout == "dino" and heads != 6:
            raise BadInput("the ViT-S of DINO has 6 heads: build vit_small_patch16_224")


def _encoder_part(weights: Mapping[str, Tensor], layout: Layout) -> tuple[dict[str, str], list[str], list[str]]:
    """torchvision's name -> key of the encoder's entries; keys of known heads; keys that nobody knows."""
    inside, dropped, unexpected = {}, [], []
    for key in weights:
        plain = WRAPPERS.sub("", key)
        prefix = next((prefix for prefix in layout.prefixes if plain.startswith(prefix)), None)
        if plain.startswith(layout.dropped) or (prefix is not None and plain[len(prefix) :].startswith(CLASSIFIERS)):
            dropped.append(key)
        elif prefix is None:
            unexpected.append(key)
        else:
            inside[key] = plain[len(prefix) :]
    # nn.Sequential(*resnet.children()) has numbers for names; those without weights leave gaps.
    numbers = sorted({int(name.split(".")[0]) for name in inside.values() if name[0].isdigit()})
    parts = dict(zip(map(str, numbers), IN_ORDER, strict=False))
    theirs = {}
    for key, name in inside.items():
        first, dot, rest = name.partition(".")
        name = parts.get(first, first) + dot + rest
        for pattern, replacement in RENAMED:
            name = re.sub(pattern, replacement, name)
        if name in theirs:
            unexpected.append(key)
        else:
            theirs[name] = key
    return theirs, dropped, unexpected


def _some(keys: Sequence[str] | Mapping) -> str:
    """A count and the first few: '5 (conv1.weight, bn1.weight, bn1.bias, ...)'."""
    if not keys:
        return "0"
    return f"{len(keys)} ({', '.join(map(str, list(keys)[:3]))}{', ...' if len(keys) > 3 else ''})"
