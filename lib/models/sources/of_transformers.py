"""transformers' vision models, by their place on the hub or from a local folder; a repository's own code is never run.

A classifier's features are what its `classifier` reads. Those of other models are the `pooler_output` where its
weights are in the file (for DINOv2 the class token behind the last norm, for CLIP's tower likewise, for ViT a dense
layer of it, for convolutional networks the mean of the last map), else the class token of the last hidden state, else
the mean of its tokens or map. A model of images and texts gives its image tower.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from lib.errors import BadInput
from lib.models.preprocessing import INTERPOLATIONS, Preprocessing, prepared
from lib.models.sources.asked import Asked, Named, overridden, stated
from lib.models.sources.library import imported
from lib.models.sources.wrapped import WrappedEncoder, counted, fetching, first_words, opening, probed, separated
from lib.shifts.wnids import WNIDS

CLASSIFIER = "ForImageClassification"
SETTINGS = "preprocessor_config.json"
ROUNDING = 2.5  # levels of 255 by which its two backends of resizing may differ, and more where they clip


def open_transformers(asked: Asked) -> Named:
    """`hf:ORG/NAME` or `hf:FOLDER`, a folder that `save_pretrained` wrote."""
    transformers = imported("transformers", asked.name)
    place = asked.body
    if Path(place).is_dir() and not (Path(place) / "config.json").is_file():
        raise BadInput(f"{place} has no config.json; a folder of transformers is what save_pretrained writes")
    with fetching(asked.name):
        config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
    preprocessing = _preprocessing(_processor(transformers, asked), asked)
    network, missing = _built(transformers, config, asked)
    classifier = type(network).__name__.endswith(CLASSIFIER)
    read, features = _logits, "features are what its classifier reads"
    if not classifier:
        with opening(asked.name, preprocessing.size):
            read, features = _reader(network.eval(), missing, preprocessing.size)
    encoder = WrappedEncoder(asked.name, network.eval(), preprocessing, read)
    count = counted(network)
    head, classes = None, None
    if classifier:
        head = separated(encoder)
        classes = _classes(config)
    _, differentiable = probed(encoder)
    kind = f"transformers {transformers.__version__}, {type(network).__name__} of {place}"
    weights = "its weights" if asked.pretrained else "random weights"
    source = f"{kind}, {weights}, {count}; {features}"
    return Named(asked.name, encoder, preprocessing, head, classes, differentiable, source)


def _built(transformers: ModuleType, config: Any, asked: Asked) -> tuple[nn.Module, set[str]]:
    """The network in float32 and the keys that its file lacks; those of a pooler alone may be missing."""
    architecture = (getattr(config, "architectures", None) or [""])[0]
    auto = transformers.AutoModelForImageClassification if architecture.endswith(CLASSIFIER) else transformers.AutoModel
    if hasattr(config, "mask_ratio"):
        config.mask_ratio = 0.0  # a masked autoencoder sees all of an image when it is read
    missing: set[str] = set()
    with fetching(asked.name), _quiet(transformers):
        if asked.pretrained:
            network, info = auto.from_pretrained(
                asked.body, config=config, trust_remote_code=False, dtype=torch.float32, output_loading_info=True
            )
            missing = set(info["missing_keys"]) | {str(entry) for entry in info["mismatched_keys"]}
        else:
            network = auto.from_config(config, trust_remote_code=False).float()
    if hasattr(network, "vision_model"):
        missing = {key.removeprefix("vision_model.") for key in missing if key.startswith("vision_model.")}
        network = network.vision_model
    if wrong := sorted(key for key in missing if not key.startswith("pooler.") and ".pooler." not in key):
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise BadInput(
            f"the weights of {asked.name} do not fit {type(network).__name__}: {', '.join(wrong[:10])}{more} are "
            "missing or of another shape"
        )
    return network, missing


@contextmanager
def _quiet(transformers: ModuleType) -> Iterator[None]:
    """Without its own progress bar and table of keys: what matters of them is said by us."""
    logging = transformers.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _classes(config: Any) -> tuple[str, ...] | None:
    """The names of the classifier's outputs, in WNIDs where they are ImageNet's; None where they are numbered alone."""
    labels = tuple(str(config.id2label[index]) for index in range(config.num_labels))
    if all(label == f"LABEL_{index}" for index, label in enumerate(labels)):
        return None
    return WNIDS if len(labels) == len(WNIDS) and labels[0].startswith("tench") else labels


def _logits(out: Any) -> Tensor:
    return out.logits


def _reader(network: nn.Module, missing: set[str], side: int) -> tuple[Callable[[Any], object], str]:
    """How features are read from a headless model's output, and that in words."""
    if _gives_pooler(network, side) and not any("pooler" in key for key in missing):
        return lambda out: out.pooler_output, "features are its pooler_output"
    names = [name for name, _ in network.named_parameters()]
    why = "features are the {} of its last hidden state" + (" (its file has no pooler)" if missing else "")
    if any(name.endswith(("cls_token", "class_embedding")) for name in names):
        return lambda out: out.last_hidden_state[:, 0], why.format("class token")

    def mean(out: Any) -> Tensor:
        hidden = out.last_hidden_state
        return hidden.mean(dim=1) if hidden.ndim == 3 else hidden.flatten(2).mean(dim=2)

    return mean, why.format("mean")


def _gives_pooler(network: nn.Module, side: int) -> bool:
    with torch.no_grad():
        out = network(torch.zeros(1, 3, side, side))
    if not hasattr(out, "last_hidden_state"):
        raise BadInput(
            f"{type(network).__name__} gives {', '.join(out) if isinstance(out, dict) else type(out).__name__}; name a "
            "vision model of transformers that gives hidden states or logits"
        )
    return getattr(out, "pooler_output", None) is not None


def _processor(transformers: ModuleType, asked: Asked) -> Any:
    """The source's image processor; None where it has none and the name says all that is needed."""
    try:
        return transformers.AutoImageProcessor.from_pretrained(asked.body, trust_remote_code=False)
    except Exception as error:  # of several kinds
        try:
            stated(asked, {}, "in its " + SETTINGS)
        except BadInput as missing:
            raise BadInput(f"{missing}; its image processor cannot be had ({first_words(error)})") from error
        return None


def _preprocessing(processor: Any, asked: Asked) -> Preprocessing:
    """The image processor in numbers, checked on an image of noise against the processor itself."""
    if processor is None:
        return stated(asked, {}, "in its " + SETTINGS)
    crop = _side(processor, "crop_size") if getattr(processor, "do_center_crop", None) else None
    wanted = dict(getattr(processor, "size", None) or {})
    wanted = {key: value for key, value in wanted.items() if value is not None}
    squash = "shortest_edge" not in wanted
    resize = wanted.get("shortest_edge") or _side(processor, "size")
    share = getattr(processor, "crop_pct", None)
    if crop is None and share and not squash:  # ConvNeXt's: below 384 px a central crop, from there on squashed
        crop, resize, squash = resize, resize if resize >= 384 else int(resize / share), resize >= 384
    size = crop or resize
    if not size or not resize:
        raise BadInput(f"the image processor of {asked.name} resizes to {wanted}; encoders take squares of one size")
    mean, std = _normalisation(processor)
    name = INTERPOLATIONS[int(getattr(processor, "resample", None) or 0)]
    source = f"all by {type(processor).__name__} of transformers in the source's {SETTINGS}"
    own = Preprocessing(size, resize, name, mean, std, source, squash=squash, floor=True)
    _check(processor, own, asked.name)
    return overridden(own, asked)


def _side(processor: Any, key: str) -> int | None:
    """The side of a square that an attribute names, or None."""
    value = dict(getattr(processor, key, None) or {})
    return value.get("height") if value.get("height") == value.get("width") else None


def _normalisation(processor: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and std for pixels in [0, 1], whatever the processor multiplies pixels in [0, 255] by before."""
    scale = 255 * processor.rescale_factor if getattr(processor, "do_rescale", True) else 255.0
    offset = 1.0 if getattr(processor, "rescale_offset", False) else 0.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if getattr(processor, "do_normalize", True):
        mean, std = tuple(processor.image_mean), tuple(processor.image_std)
    return tuple((m + offset) / scale for m in mean), tuple(s / scale for s in std)


def _check(processor: Any, ours: Preprocessing, name: str) -> None:
    """Refuse a processor that does something else than resize, crop and normalise; `ours` would feed other pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((411, 333), Image.Resampling.BICUBIC)  # smooth: backends differ at edges
    theirs = torch.as_tensor(np.asarray(processor(images=image, return_tensors="np")["pixel_values"][0]))
    mean, std = (torch.tensor(values)[:, None, None] for values in (ours.mean, ours.std))
    pixels = prepared(image, ours).float()
    if theirs.shape != pixels.shape or ((theirs * std + mean) * 255 - pixels).abs().max() > ROUNDING:
        raise BadInput(
            f"the image processor of {name} ({type(processor).__name__}) does more than resize, crop the centre and "
            f"normalise, so its pixels are not ours; state all of it behind the name (?size=...&resize=...&"
            "interpolation=...&mean=...&std=...)"
        )
