r"""Semantic segmentation with frozen features: what an image shows, pixel by pixel.

The features of a pixel are those of every stage whose map is no finer than a quarter of the image's side, brought
bilinearly to the finest of these maps and put one behind the other (hypercolumns, Hariharan et al. 2015, arXiv
1411.5752). At 32 px each encoder of `lib.models` for small images is so read at the same 8 x 8 positions. Two heads
read them, and their scores are brought bilinearly to the pixels:

- "linear", a 1x1 convolution: the standard probe of `lib.measures.probe`, with the pixels as its samples, run as
  far as single precision goes like everywhere else and free of a learning rate. A 1x1 convolution and bilinear
  interpolation commute,
  so it is fitted on the interpolated features of PIXELS random pixels of each training image. Neighbouring pixels
  say the same.
- "fcn", a 3x3 convolution, ReLU and a 1x1 convolution (after Long, Shelhamer and Darrell 2015, arXiv 1411.4038), which
  sees the neighbourhood too: AdamW on whole images with a fixed budget and seed, the same for every encoder.

Each takes the weight decay that does best on the validation images: the probe by the share of right pixels among
as many random ones of each, the FCN by mIoU. Where two decays are right about equally often, rounding may choose
between them, and a weak encoder's mIoU moves with it by more than its interval over images: random weights have 11.9 %
with one decay and 14.9 % with the next, which differ by four of 4,800 validation pixels.

.. math:: \mathrm{IoU}_c = \frac{\mathrm{TP}_c}{\mathrm{TP}_c + \mathrm{FP}_c + \mathrm{FN}_c}

with the pixels of all images counted together, as VOC (Everingham et al. 2010, section 4) and Cityscapes do; mIoU is
the mean over the classes that the truth has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lib import paths
from lib.errors import BadInput, one_of
from lib.images import scenes
from lib.images.segmentation import IGNORED, SEGMENTED, Segmented, segmented
from lib.inputs import check_images, check_labels, whole
from lib.measures import probe
from lib.measures.outcomes import keep, ratio
from lib.measures.probe import fit_probe
from lib.measures.rows import CLEAN, NO_LEVEL, as_rows, cell_of, number
from lib.measures.subject import Subject
from lib.memory import kept
from lib.precision import autocast, own_precision, with_gradients

PROTOCOL = f"{scenes.PROTOCOL}.{probe.PROTOCOL}.1"
STRIDE = 4  # pixels of an image to a position of the finest map that is read
PIXELS = 16  # of each image for the linear head
WIDTH, EPOCHS, BATCH, RATE = 64, 10, 50, 1e-3  # of the FCN head: channels, passes, images a step, learning rate
DECAYS = (0.01, 10.0)  # of the FCN head: over the steps of 1,000 images AdamW leaves 1/e of the weights with 10
RESAMPLES = 2000


@dataclass(frozen=True)
class Segmentation:
    """Metrics "mIoU" and "IoU of CLASS" in percent of two heads on frozen features, on images of `size` pixels.

    `dataset` is one of `lib.images.segmentation`: of scenes, whatever the encoder was trained on, every pixel is
    background or one of the ten shapes by the exact masks. `train`, `validation` and `test` are numbers of images, at
    most. Metrics are "linear mIoU", of a 1x1 convolution, and "fcn mIoU", of a small network, and "linear IoU" and "fcn
    IoU" of each class, which is their subset. Scores are counted at every pixel of the test images; standard errors are
    by bootstrap over these. A class that no test image has has no row. The features of all images are held at once: 4 D
    (size / 4)² bytes an image, where D counts the channels that are read.
    """

    dataset: str = "scenes"
    train: int = 1_000
    validation: int = 300
    test: int = 500
    size: int = 32

    def __post_init__(self) -> None:
        one_of(self.dataset, SEGMENTED, "segmentation set")
        for part, least in (("train", 2), ("validation", 1), ("test", 2)):
            object.__setattr__(self, part, whole(getattr(self, part), f"the number of {part} images", least))

    @property
    def identity(self) -> str:
        counts = f"train={self.train}, validation={self.validation}, test={self.test}"
        return f"segmentation(dataset={self.dataset}, {counts}, size={self.size})#{PROTOCOL}"

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        train, validation, test = (
            _part(self.dataset, part, getattr(self, part), self.size, subject.device, paths.data(), paths.cache())
            for part in ("train", "validation", "test")
        )
        features = pixel_features(subject, train.images)
        mean, std = features.mean(dim=(0, 2, 3), keepdim=True), features.std(dim=(0, 2, 3), keepdim=True)
        seen, chosen_on, asked = (
            (part - mean) / std.clamp(min=1e-6)
            for part in (features, *(pixel_features(subject, part.images) for part in (validation, test)))
        )
        rows = []
        for name, fit in (("linear", fit_linear), ("fcn", fit_fcn)):
            head = fit(seen, train.labels, chosen_on, validation.labels, len(train.classes))
            rows += head_rows(name, test.labels, predict(head, asked, self.size), train.classes)
        return as_rows(rows)


@kept
def _part(
    dataset: str, split: str, count: int, size: int, device: torch.device, _data: Path | None, _cache: Path
) -> Segmented:
    """A split, read once for all encoders."""
    return segmented(dataset, split, count, size, device)


@own_precision
@torch.no_grad()
def pixel_features(subject: Subject, images: Tensor) -> Tensor:
    """What the frozen encoder says of each place in uint8 `images` (N, 3, S, S): float32 (N, D, h, w).

    The maps of the stages that are no finer than S / STRIDE, or of the last where all are finer, at the finest of
    these, h x w. Raises BadInput for an encoder without maps.
    """
    check_images(images, "pixel_features", square=True)
    subject.encoder.eval()
    features = []
    with autocast(images.device, subject.precision):
        for batch in images.split(128):
            maps = subject.encoder.maps(batch.float().div(255))
            coarse = [part.float() for part in maps if part.shape[-1] <= images.shape[-1] // STRIDE] or maps[-1:]
            place = max((part.shape[-2:] for part in coarse), key=lambda shape: shape[0])
            features.append(torch.cat([_enlarged(part.float(), place) for part in coarse], dim=1))
    return torch.cat(features)


def _enlarged(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, h, w) -> (N, C, *size), bilinearly."""
    return maps if maps.shape[-2:] == size else F.interpolate(maps, size, mode="bilinear", align_corners=False)


Head = Callable[[Tensor], Tensor]  # features (N, D, h, w) -> scores (N, C, h, w)


@own_precision
def fit_linear(
    train: Tensor, labels: Tensor, validation: Tensor, validation_labels: Tensor, classes: int, seed: int = 0
) -> Head:
    """The standard probe on random pixels of features (N, D, h, w) with labels (N, S, S), IGNORED ones left out."""
    fitted = fit_probe(
        *_pixels(train, labels, torch.Generator().manual_seed(seed)),
        *_pixels(validation, validation_labels, torch.Generator().manual_seed(seed + 1)),
    )
    weight = fitted.weight / fitted.std
    bias = fitted.bias - weight @ fitted.mean
    unseen = classes - len(bias)  # the probe knows the classes up to the last that it saw
    weight, bias = F.pad(weight, (0, 0, 0, unseen)), F.pad(bias, (0, unseen), value=-1e9)  # never the largest
    return own_precision(lambda features: F.conv2d(features, weight[:, :, None, None], bias))


def _pixels(features: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Features (P, D) and labels (P,) of at most PIXELS labelled pixels of each image, drawn by `generator`."""
    size = labels.shape[-2:]
    order = torch.rand(len(labels), labels[0].numel(), generator=generator).to(labels.device)
    order = order.masked_fill(labels.flatten(1) == IGNORED, 2)  # behind all that have a class
    places = order.argsort(dim=1)[:, :PIXELS]
    sampled = []
    for maps, chosen in zip(features.split(100), places.split(100), strict=True):  # whole, they would fill the memory
        pixels = _enlarged(maps, size).flatten(2).transpose(1, 2)
        sampled.append(pixels.gather(1, chosen[:, :, None].expand(-1, -1, pixels.shape[2])).flatten(0, 1))
    drawn = labels.flatten(1).gather(1, places).flatten()
    known = drawn != IGNORED
    if not known.any():
        raise BadInput("no pixel of these images has a class; a head needs some that have")
    return torch.cat(sampled)[known], drawn[known]


@own_precision
@with_gradients
def fit_fcn(
    train: Tensor, labels: Tensor, validation: Tensor, validation_labels: Tensor, classes: int, seed: int = 0
) -> Head:
    """A small network on features (N, D, h, w) with labels (N, S, S): the decay of DECAYS with the best mIoU."""
    for part, what in ((labels, "labels"), (validation_labels, "validation labels")):
        check_labels(part[part != IGNORED], int((part != IGNORED).sum()), "fit_fcn", classes, what)
    best, best_score = None, -1.0
    for decay in DECAYS:
        head = _train_fcn(train, labels, classes, decay, seed)
        score = mean_iou(confusion(validation_labels, predict(head, validation, labels.shape[-1]), classes))
        if score > best_score:
            best, best_score = head, score
    return best  # type: ignore[return-value]


def _train_fcn(features: Tensor, labels: Tensor, classes: int, decay: float, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = nn.Sequential(nn.Conv2d(features.shape[1], WIDTH, 3, padding=1), nn.ReLU(), nn.Conv2d(WIDTH, classes, 1))
    head = head.to(features.device)
    generator = torch.Generator().manual_seed(seed)
    steps = EPOCHS * -(-len(features) // BATCH)
    optimiser = torch.optim.AdamW(head.parameters(), RATE, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(features), generator=generator).to(features.device).split(BATCH):
            known = labels[chosen]
            scores = _enlarged(head(features[chosen]), known.shape[-2:])
            loss = F.cross_entropy(scores, known, ignore_index=IGNORED, reduction="sum")
            loss = loss / (known != IGNORED).sum().clamp(min=1)  # a batch without a class teaches nothing
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return head.eval()


@own_precision
@torch.no_grad()
def predict(head: Head, features: Tensor, size: int) -> Tensor:
    """The class of each pixel, int64 (N, size, size), of features (N, D, h, w)."""
    parts = [_enlarged(head(part), (size, size)).argmax(dim=1) for part in features.split(128)]
    return torch.cat(parts)


def confusion(truth: Tensor, predicted: Tensor, classes: int) -> Tensor:
    """Pixels of true class i (row) that are predicted as j (column): int64 (C, C); where truth is IGNORED, none.

    `truth` and `predicted` are whole numbers of one shape. Raises BadInput for other shapes, and for a class that is
    not one of 0 to `classes` - 1.
    """
    if truth.shape != predicted.shape:
        raise BadInput(f"truth and prediction have one shape, not {tuple(truth.shape)} and {tuple(predicted.shape)}")
    known = truth != IGNORED
    truth, predicted = truth[known].long(), predicted[known].long()
    for labels in (truth, predicted):
        if len(labels) and (labels.min() < 0 or labels.max() >= classes):
            raise BadInput(
                f"classes are whole numbers from 0 to {classes - 1}, and {IGNORED} where the truth is not known, not "
                f"{labels.min()} to {labels.max()}"
            )
    return torch.bincount(truth * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_iou(counts: np.ndarray) -> np.ndarray:
    """Confusion (..., C, C) -> intersection over union of each class (..., C), NaN where the truth does not have it."""
    counts = np.asarray(counts, dtype=float)
    right, true = np.diagonal(counts, axis1=-2, axis2=-1), counts.sum(axis=-1)
    union = true + counts.sum(axis=-2) - right
    return np.divide(right, union, out=np.full_like(true, np.nan), where=true > 0)


def mean_iou(counts: Tensor | np.ndarray) -> float:
    """The mean intersection over union, in [0, 1], of the classes that the truth of the confusion (C, C) has.

    A class that is predicted but nowhere true counts by the pixels that it takes from others. NaN without a pixel.
    """
    return float(_mean(class_iou(_array(counts))))


def head_rows(name: str, truth: Tensor, predicted: Tensor, classes: tuple[str, ...]) -> list[tuple]:
    """Rows of `COLUMNS` of one head from labels (N, S, S); the standard errors are those of a bootstrap over images.

    A resample draws N images with replacement, counts their pixels together, and leaves out classes that it lacks.
    Outcomes of images are kept to first order, as those of a ratio of means.
    """
    images = torch.stack([confusion(t, p, len(classes)) for t, p in zip(truth, predicted, strict=True)])
    images = _array(images).astype(float)  # (N, C, C)
    count = len(images)
    times = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    drawn = class_iou((times @ images.reshape(count, -1)).reshape(RESAMPLES, *images.shape[1:]))  # (R, C)
    found = class_iou(images.sum(axis=0))
    error = 100 * float(_mean(drawn).std(ddof=1))
    rows = [number(CLEAN, f"{name} mIoU", 100 * float(_mean(found)), count, standard_error=error)]
    right = np.diagonal(images, axis1=1, axis2=2)
    union = images.sum(axis=2) + images.sum(axis=1) - right  # (N, C)
    of_images = {label: ratio(right[:, label], union[:, label]) for label in np.flatnonzero(~np.isnan(found))}
    keep(cell_of(CLEAN, "", *NO_LEVEL, f"{name} mIoU"), np.mean(list(of_images.values()), axis=0))
    for label, outcomes in of_images.items():
        keep(cell_of(CLEAN, classes[label], *NO_LEVEL, f"{name} IoU"), outcomes)
        value, error = (100 * float(part) for part in (found[label], np.nanstd(drawn[:, label], ddof=1)))
        rows.append(number(CLEAN, f"{name} IoU", value, count, subset=classes[label], standard_error=error))
    return rows


def _mean(ious: np.ndarray) -> np.ndarray:
    """(..., C) -> (...): the mean of those that are not NaN, NaN where all are."""
    there = ~np.isnan(ious)
    return np.divide(np.where(there, ious, 0).sum(axis=-1), there.sum(axis=-1),
                     out=np.full(ious.shape[:-1], np.nan), where=there.any(axis=-1))  # fmt: skip


def _array(counts: Tensor | np.ndarray) -> np.ndarray:
    return counts.cpu().numpy() if isinstance(counts, Tensor) else np.asarray(counts)
