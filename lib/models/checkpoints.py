"""Checkpoints of other projects, loaded into our encoders: all of an encoder, or nothing.

Every project wraps the same networks in its own names. A `Layout` says where in a file the encoder
is. Its names are then brought to torchvision's, and those to ours, so that each renaming is written once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lib.errors import BadInput, one_of
from lib.models.encoder import CIFAR10, IMAGENET, Encoder
from lib.models.imagenet import ImageNetEncoder
from lib.models.outside import CONTAINERS, read, some
from lib.models.resnet import ResNet

# DistributedDataParallel's and torch.compile's, and the names that people give the network in a module of their own
OUTER = re.compile(r"^((module|_orig_mod)\.)+")
WRAPPERS = re.compile(r"^((module|_orig_mod|model|net)\.)+")
PREPROCESSOR = "data_preprocessor."  # OpenMMLab's: mean and std of pixels in [0, 255], no part of any network
CLASSIFIERS = ("fc.", "head.", "heads.", "linear.")  # inside the encoder, in any layout
NAMED = 10  # keys of each kind that do not fit, in the sentence that refuses a file
OWN = "withstand"
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


HEADS = ("projector", "projection_head", "predictor", "prediction_head", "classifier", "head", "neck") + (
    "prototypes", "queue"
)  # fmt: skip
FIRST = "(conv1|bn1|layer1|cls_token|class_token|patch_embed|conv_proj)"  # what a network's keys begin with

# Keys without the wrappers' `module.`, with and without a `model.` before them. The signs are tried in this order.
LAYOUTS = {
    # MoCo v1 and v2 (arXiv 1911.05722, 2003.04297)
    "moco": Layout("/encoder_q[.]", ("encoder_q.",), ("encoder_k.", "queue")),
    # MoCo v3 (arXiv 2104.02057), ResNet and ViT
    "moco_v3": Layout("/base_encoder[.]", ("base_encoder.",), ("momentum_encoder.", "predictor.")),
    # DINO (arXiv 2104.14294): teacher or student of a whole checkpoint, or the released ViT with timm's names
    "dino": Layout("^(teacher|student)/|/(cls_token|patch_embed)", ("backbone.", "")),
    # Barlow Twins (arXiv 2103.03230) and VICReg (arXiv 2105.04906) during training; released, they are torchvision's
    "barlow_twins": Layout("^model/backbone[.]", ("backbone.",), ("projector.", "bn.")),
    # A module of one's own (PyTorch Lightning's) around the network, and BYOL's slow copy
    "wrapped": Layout(
        r"/(model|net)[.]((module|_orig_mod|model|net)[.])*(backbone|encoder)[.]" + FIRST,
        ("backbone.", "encoder."),
        (*HEADS, *CLASSIFIERS, "criterion", "momentum_"),
    ),
    "target_encoder": Layout(
        "/target_encoder[.]",
        ("target_encoder.net.", "target_encoder.backbone.", "target_encoder."),
        (*HEADS, "encoder.", "online_", "context_encoder.", "target_proj", "target_pred", "target_encoder.proj"),
    ),
    # OpenMMLab's MMSelfSup and MMPretrain; a momentum copy is no part of what they evaluate
    "openmmlab": Layout(f"/{PREPROCESSOR}|/neck[.]", ("backbone.", ""), (*HEADS, "momentum", "target_")),
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
    # This book's own runs: all that the encoder has, under our names
    OWN: Layout("/(stem|stages[.]0)[.]", ("",)),
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
            f"{self.layout} layout: {len(self.matched)} entries loaded, {some(self.missing)} missing, "
            f"{some(self.dropped)} dropped; pixels are normalised by mean {_written(self.mean)} and std "
            f"{_written(self.std)}"
        )


def _written(values: tuple[float, ...]) -> str:
    return f"({', '.join(f'{value:.4g}' for value in values)})"


def load_checkpoint(
    encoder: Encoder,
    checkpoint: str | Path | Mapping,
    layout: str | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
) -> Report:
    """Load another project's checkpoint into `encoder`, in place.

    `checkpoint` is a file of torch or of safetensors, whatever its ending, or what was in it. Its weights are all of it
    or one of `CONTAINERS`, of several the first. `layout` is one of `LAYOUTS`; None finds it by the keys.

    Few outside files hold the mean and std of their training pixels (OpenMMLab's may). Pass them where you
    know them, for pixels in [0, 1]. The default is the file's, else the layout's own (ImageNet's), but CIFAR-10's
    for an encoder of small images, save in lightly's layout, whose transforms normalise by ImageNet's at every
    size. The report names them.

    Raises `BadInput`, and leaves the encoder as it was, if a parameter or buffer of the encoder is
    missing, has another shape or type or is not finite, if the file holds a key that is neither the encoder's nor a
    known head, if mean or std is outside (0, 1], or if the project's network computes something else from the same
    weights.
    """
    entries = checkpoint if isinstance(checkpoint, Mapping) else read(Path(checkpoint))
    container, weights, beside = weights_of(entries)
    layout = _detect(container, weights, encoder) if layout is None else one_of(layout, LAYOUTS, "layout")
    mean, std = _normalisation(encoder, layout, mean, std, weights)

    ours = torchvision_names(encoder)
    theirs, dropped, unexpected = _encoder_part(weights, layout, ours)
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
        "of another type": [
            f"{weights[key].dtype} {key}"
            for name, key in theirs.items()
            if name in ours and state[ours[name]].is_floating_point() and not weights[key].is_floating_point()
        ],
    }
    if any(wrong.values()):
        what = "; ".join(f"{some(keys, NAMED)} {word}" for word, keys in wrong.items() if keys)
        raise BadInput(
            f"the checkpoint, read in the {layout} layout, does not fit this encoder: {what}; build the encoder that "
            f"it holds, name its layout ({', '.join(LAYOUTS)}), or pass its state dict without what is unexpected"
        )
    if broken := [name for name, value in matched.items() if not value.float().isfinite().all()]:
        raise BadInput(f"the checkpoint holds NaN or infinity in {some(broken)}: its training failed; use another")
    _check_computation(encoder, layout)
    pixels = {"mean": torch.tensor(mean)[:, None, None], "std": torch.tensor(std)[:, None, None]}
    encoder.load_state_dict(state | matched | pixels)
    return Report(layout, tuple(matched), tuple(ours[name] for name in missing), (*dropped, *beside), mean, std)


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


def weights_of(entries: Mapping) -> tuple[str, dict[str, Tensor], list[str]]:
    """The entry that holds the weights ('' where they are not wrapped), its tensors, and what else there is by name."""
    container, inside, beside = "", entries, []
    while (name := next((name for name in CONTAINERS if _has_tensors(inside.get(name))), None)) is not None:
        beside += [other for other in inside if other != name]
        container, inside = name, inside[name]
    weights = {name: value for name, value in inside.items() if isinstance(value, Tensor)}
    if not weights:
        raise BadInput(
            f"a checkpoint is a state dict of tensors, alone or as the entry {', '.join(CONTAINERS)}; "
            f"this one holds {some(entries) if entries else 'nothing'}"
        )
    return container, weights, [*beside, *(name for name in inside if name not in weights)]


def _has_tensors(entry: object) -> bool:
    """Whether it is a mapping with a tensor in it, or in one of its containers."""
    if not isinstance(entry, Mapping):
        return False
    inside = any(isinstance(value, Tensor) for value in entry.values())
    return inside or any(_has_tensors(entry.get(name)) for name in CONTAINERS)


def _detect(container: str, weights: Mapping[str, Tensor], encoder: Encoder) -> str:
    if weights.keys() == encoder.state_dict().keys():
        return OWN
    lines = {f"{container}/{wrapper.sub('', key)}" for key in weights for wrapper in (OUTER, WRAPPERS)}
    for name, layout in LAYOUTS.items():
        if any(re.search(layout.sign, line) for line in lines):
            return name
    raise BadInput(f"no known layout has the keys {some(weights)}; layouts: {', '.join(LAYOUTS)}")


def _normalisation(
    encoder: Encoder,
    layout: str,
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    weights: Mapping[str, Tensor],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if mean is None and std is None:
        if (own := _own_normalisation(weights)) is not None:
            return own
        if layout == OWN and {"mean", "std"} <= set(weights):
            return tuple(weights["mean"].flatten().tolist()), tuple(weights["std"].flatten().tolist())
        small = not isinstance(encoder, ImageNetEncoder) and layout != "lightly"
        return CIFAR10 if small else (LAYOUTS[layout].mean, LAYOUTS[layout].std)
    try:
        numbers = tuple(tuple(map(float, values)) for values in (mean, std))
    except (TypeError, ValueError):
        numbers = ((), ())
    if not all(len(values) == 3 and all(0 < value <= 1 for value in values) for values in numbers):
        raise BadInput(
            "mean and std are three numbers each, mean and std above 0 and up to 1 as pixels are in [0, 1] (divide "
            f"those of [0, 255] by 255), or both None, not {mean!r} and {std!r}"
        )
    return numbers  # type: ignore[return-value]


def _own_normalisation(weights: Mapping[str, Tensor]) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and std of a file that says by which, in the scale of [0, 255], its pixels were normalised."""
    own = {WRAPPERS.sub("", key): value.flatten().tolist() for key, value in weights.items() if PREPROCESSOR in key}
    mean, std = own.get(f"{PREPROCESSOR}mean", ()), own.get(f"{PREPROCESSOR}std", ())
    if len(mean) != 3 or len(std) != 3 or not all(1 < value <= 255 for value in (*mean, *std)):
        return None
    return tuple(round(value / 255, 4) for value in mean), tuple(round(value / 255, 4) for value in std)


def _check_computation(encoder: Encoder, layout: str) -> None:
    """Weights of one shape can belong to networks that differ; refuse where a project's is known to."""
    if layout == OWN:
        return
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


def _encoder_part(
    weights: Mapping[str, Tensor], chosen: str, ours: Mapping[str, str]
) -> tuple[dict[str, str], list[str], list[str]]:
    """torchvision's name -> key of the encoder's entries; keys of known heads; keys that nobody knows.

    `ours` is what `torchvision_names` says, by which a file of this book's own runs is read.
    """
    if chosen == OWN:
        found = {theirs: key for theirs, key in ours.items() if key in weights}
        return found, [], [key for key in weights if key not in (*found.values(), "mean", "std")]
    layout = LAYOUTS[chosen]
    inside, dropped, unexpected = {}, [], []
    for key in weights:
        plain = WRAPPERS.sub("", key)
        prefix = next((prefix for prefix in layout.prefixes if plain.startswith(prefix)), None)
        head = prefix is not None and plain[len(prefix) :].startswith(CLASSIFIERS)
        if head or plain.startswith((PREPROCESSOR, *layout.dropped)):
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
