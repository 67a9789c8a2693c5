r"""Where a frozen encoder with its linear probe looks, and whether corruption moves that place.

For residual networks, Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2): the last stage's maps
:math:`A^k`, each weighted by the mean gradient of the score :math:`y^c` of class c,

.. math:: \alpha^c_k = \frac{1}{Z} \sum_{ij} \frac{\partial y^c}{\partial A^k_{ij}}, \qquad
          L^c = \mathrm{ReLU}\Bigl(\sum_k \alpha^c_k A^k\Bigr).

The probe is linear and follows global average pooling, so this is the class activation map of Zhou et al. 2016 (arXiv
1512.04150) with its negative part cut off and divided by the number of positions Z.

For vision transformers, attention rollout (Abnar and Zuidema 2020, arXiv 2005.00928, section 3): how much of each
patch has reached the tokens behind the last layer, if every layer mixes tokens by half attention, half identity. It
depends on no class.

Map and prediction come from one forward pass in float32. The maps are as coarse as the grid behind them, whatever
size they are drawn at: 2 x 2 for `resnet10` and 4 x 4 for `resnet18` at 32 pixels, 8 x 8 for a transformer on patches
of 4 pixels.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib.errors import BadInput, one_of
from lib.inputs import check_images, check_labels, whole
from lib.measures import probe as linear_probe
from lib.measures.probe import Probe
from lib.measures.rows import CLEAN, SEVERITY, Level, as_rows, row
from lib.measures.subject import Subject
from lib.models import Encoder, ImageNetEncoder, ResNet, VisionTransformer
from lib.precision import own_precision, with_gradients
from lib.shifts.corruptions import CORRUPTIONS, SEVERITIES
from lib.shifts.corruptions import PROTOCOL as CORRUPTIONS_PROTOCOL

PROTOCOL = f"{CORRUPTIONS_PROTOCOL}.{linear_probe.PROTOCOL}.1"  # bump the last number when rows change otherwise
SIMILARITY = "attention similarity"
CONTROL = "attention similarity of other images"
BATCH = 64  # images at once: the graph of resnet50_224 takes about 100 MB an image
FLAT = 1e-5  # a map whose values differ by less than this share of the largest is constant except for rounding


@own_precision
def look(encoder: Encoder, probe: Probe, images: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Maps (N, H, W) in [0, 1] and the classes that the probe predicts (N,), for uint8 `images` (N, 3, H, W).

    Grad-CAM of `classes` for residual networks, attention rollout for `VisionTransformer`.
    """
    if isinstance(encoder, VisionTransformer):
        rolled = [_rollout_maps(encoder, batch) for batch in check_images(images, "look").split(BATCH)]
        return _joined([(maps, probe.predict(features)) for maps, features in rolled])
    return grad_cam(encoder, probe, images, classes)


@own_precision
@with_gradients
def grad_cam(encoder: Encoder, probe: Probe, images: Tensor, classes: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Grad-CAM of `classes` (N,), or of the predicted ones: maps (N, H, W) and predicted classes (N,).

    A map is 0 where nothing speaks for the class, 1 at the image's largest value; it is 0 everywhere if nothing does
    anywhere. `images` are uint8 (N, 3, H, W); the encoder is a ResNet, one of torchvision's or of `lib.models`.
    """
    check_images(images, "grad_cam")
    if classes is not None:
        check_labels(classes, len(images), "grad_cam", len(probe.bias), "classes")
    stage = _last_stage(encoder)
    encoder.eval()
    batches = images.split(BATCH)
    wanted = [None] * len(batches) if classes is None else classes.split(BATCH)
    return _joined([_class_maps(encoder, stage, probe, *pair) for pair in zip(batches, wanted, strict=True)])


def _class_maps(
    encoder: Encoder, stage: nn.Module, probe: Probe, images: Tensor, classes: Tensor | None
) -> tuple[Tensor, Tensor]:
    """`grad_cam` of one batch."""
    kept = []

    def cut(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        """The graph starts at the stage's output: no gradient is computed for what lies before it."""
        kept.append(output.detach().requires_grad_())
        return kept[0]

    with stage.register_forward_hook(cut), torch.enable_grad():
        scores = probe.scores(encoder(images.float().div(255)))
        predictions = scores.argmax(dim=1)
        chosen = scores.gather(1, (predictions if classes is None else classes)[:, None])
        (gradients,) = torch.autograd.grad(chosen.sum(), kept)  # images do not mix: each gets its own score's gradient
    activations = kept[0].detach()
    maps = F.relu((gradients.mean(dim=(2, 3), keepdim=True) * activations).sum(dim=1))
    return _scaled(_enlarged(maps, images.shape[-2:])), predictions


def _last_stage(encoder: Encoder) -> nn.Module:
    """The module whose output (N, C, h, w) global average pooling turns into the features."""
    if isinstance(encoder, ResNet):
        return encoder.stages
    if isinstance(encoder, ImageNetEncoder) and encoder.residual:
        return encoder.network.layer4  # type: ignore[return-value]
    network = type(encoder.network if isinstance(encoder, ImageNetEncoder) else encoder)
    raise BadInput(
        "attention maps are there for the ResNets of lib.models and torchvision (Grad-CAM) and for the "
        f"VisionTransformer of lib.models (rollout), not for {network.__name__} of {network.__module__.split('.')[0]}"
    )


@own_precision
def attention_rollout(encoder: VisionTransformer, images: Tensor) -> Tensor:
    """Maps (N, H, W) for uint8 `images` (N, 3, H, W): each image's smallest value is 0, its largest 1.

    The features are the mean of all tokens, so a patch counts by its mean share in all of them. Every patch reaches
    its own token by the residual connections; that common part is what the scale takes away. A map is 0 everywhere if
    all patches count alike.
    """
    if not isinstance(encoder, VisionTransformer):
        raise BadInput(f"attention rollout needs the VisionTransformer of lib.models, not {type(encoder).__name__}")
    batches = check_images(images, "attention_rollout").split(BATCH)
    return torch.cat([_rollout_maps(encoder, batch)[0] for batch in batches])


def _rollout_maps(encoder: VisionTransformer, images: Tensor) -> tuple[Tensor, Tensor]:
    """Maps (N, H, W) and features (N, D)."""
    features, weights = attention_weights(encoder, images)
    height, width = images.shape[-2:]
    shares = rollout(weights).mean(dim=1)  # (N, patches)
    shares = _enlarged(shares.unflatten(1, (height // encoder.patch, width // encoder.patch)), (height, width))
    maps = shares - shares.amin(dim=(1, 2), keepdim=True)
    flat = maps.amax(dim=(1, 2), keepdim=True) <= FLAT * shares.amax(dim=(1, 2), keepdim=True)
    return _scaled(maps.masked_fill(flat, 0)), features


@own_precision
@torch.no_grad()
def attention_weights(encoder: VisionTransformer, images: Tensor) -> tuple[Tensor, Tensor]:
    """Features (N, D) of uint8 `images` and every layer's attention (layers, N, heads, P, P) over P patches.

    Row i says from which tokens token i takes, and sums to 1. The encoder computes both itself: its layers are only
    asked for the weights that they throw away otherwise.
    """
    check_images(images, "attention_weights")
    encoder.eval()
    weights = []

    def ask(module: nn.Module, inputs: tuple, options: dict) -> tuple[tuple, dict]:
        return inputs, options | {"need_weights": True, "average_attn_weights": False}

    def keep(module: nn.Module, inputs: tuple, output: tuple[Tensor, Tensor]) -> None:
        weights.append(output[1])

    with ExitStack() as hooks:
        for layer in encoder.layers:
            hooks.enter_context(layer.self_attn.register_forward_pre_hook(ask, with_kwargs=True))
            hooks.enter_context(layer.self_attn.register_forward_hook(keep))
        features = encoder(images.float().div(255))
    return features, torch.stack(weights)


@own_precision
def rollout(weights: Tensor) -> Tensor:
    """Attention (layers, N, heads, P, P) -> shares (N, P, P): how much of patch j is in token i behind the last layer.

    Heads are averaged, half of each layer is the residual connection's identity; rows sum to 1, are renormalised
    against rounding, and layers multiply from the first to the last.
    """
    mixing = weights.mean(dim=2)
    mixing = 0.5 * mixing + 0.5 * torch.eye(mixing.shape[-1], device=mixing.device)
    mixing = mixing / mixing.sum(dim=-1, keepdim=True)
    shares = mixing[0]
    for layer in mixing[1:]:
        shares = layer @ shares
    return shares


def similarity(first: Tensor, second: Tensor) -> np.ndarray:
    """Pearson correlation of each pair of maps (N, H, W): float64 (N,) in [-1, 1], 0 where a map is constant."""
    first, second = (_centred(maps) for maps in (first, second))
    return (first * second).sum(dim=1).clamp(-1, 1).cpu().numpy()


def _centred(maps: Tensor) -> Tensor:
    """(N, H, W) -> (N, H W) with mean 0 and length 1; zeros for constant maps."""
    flattened = maps.double().flatten(1)
    centred = flattened - flattened.mean(dim=1, keepdim=True)
    constant = centred.abs().amax(dim=1) <= FLAT * flattened.abs().amax(dim=1)
    return F.normalize(centred, dim=1, eps=1e-300).masked_fill(constant[:, None], 0)


def _enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, h, w) -> (N, *size), bilinearly."""
    return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def _scaled(maps: Tensor) -> Tensor:
    """Each non-negative map (N, H, W) by its largest value; zeros stay zeros."""
    largest = maps.amax(dim=(1, 2), keepdim=True)
    return torch.where(largest > 0, maps / largest, 0)


def _joined(pairs: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    maps, predictions = zip(*pairs, strict=True)
    return torch.cat(maps), torch.cat(predictions)


@dataclass(frozen=True)
class AttentionShift:
    """How alike the maps of a clean and of a corrupted image are, on the first `images` test images.

    Metric "attention similarity": 100 x the Pearson correlation of the two maps of one image, both for the class
    predicted on the clean one. Metric "attention similarity of other images" is its control: the same between the
    clean maps of image i and of image i + 1, a different image (the last with the first), each for the class
    predicted on it. A network that looked at the middle of every image would score high on both; what corruption
    leaves is read between the control and 100. The control's standard error takes pairs as independent, although
    neighbours share an image.
    """

    images: int = 300
    corruptions: tuple[str, ...] = ("gaussian_noise", "glass_blur", "fog", "contrast")  # one a group

    def __post_init__(self) -> None:
        object.__setattr__(self, "images", whole(self.images, "the number of images, which are compared,", 2))
        for name in self.corruptions:
            one_of(name, CORRUPTIONS, "corruption")

    @property
    def identity(self) -> str:
        return f"attention_shift(images={self.images}, corruptions={' '.join(self.corruptions)})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        images = subject.split("test", self.images).images
        clean, classes = look(subject.encoder, subject.probe, images)
        rows = [row(CLEAN, CONTROL, similarity(clean, clean.roll(-1, dims=0)))]
        for name in self.corruptions:
            for severity in SEVERITIES:
                corrupted = subject.corrupted(name, severity, self.images)
                maps, _ = look(subject.encoder, subject.probe, corrupted, classes)
                rows.append(row(name, SIMILARITY, similarity(clean, maps), Level(severity, SEVERITY)))
        return as_rows(rows)
