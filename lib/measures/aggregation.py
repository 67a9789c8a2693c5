"""The probe of multi-patch methods: features of many crops of an image are averaged, and read together.

EMP-SSL (Tong et al., arXiv 2304.03977) evaluates so, and so do its robust variants (Ghofrani and Jamshidi, arXiv
2501.03507). What an adversary may touch decides what comes out: the image before it is cropped, or every crop by
itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor, nn

from lib.errors import one_of
from lib.inputs import whole
from lib.measures.probe import fit_probe
from lib.measures.robust_accuracy import AT, Classifier, batch_size, batches, fooling, outcome, pixels
from lib.measures.robust_accuracy import PROTOCOL as ROBUST_PROTOCOL
from lib.measures.rows import CLEAN, OF_255, Level, as_rows
from lib.measures.subject import Subject
from lib.precision import own_precision
from lib.shifts.adversary import cross_entropy, held, in_chunks, pgd
from lib.views import View, draw
from lib.views.operations import resized_crop

PROTOCOL = f"{ROBUST_PROTOCOL}.1"
PLURAL = {"patch": "patches", "crop": "crops"}
METRICS = {crop: f"accuracy of aggregated {plural}" for crop, plural in PLURAL.items()}
VIEWS = {
    "patch": View(crop_scale=(0.25, 0.25), crop_ratio=(1.0, 1.0), jitter=0.0, grey=0.0),
    "crop": View(crop_scale=(0.08, 1.0), jitter=0.0, grey=0.0),
}
VALIDATION_IMAGES = 500
STEPS = 10


class Average(nn.Module):
    """The mean features (N, D) of images from those of their crops, each image's one after the other: (N crops, D)."""

    def __init__(self, crops: int) -> None:
        super().__init__()
        self.crops = crops

    def forward(self, features: Tensor) -> Tensor:
        return features.unflatten(0, (-1, self.crops)).mean(dim=1)


def draw_boxes(view: View, count: int, crops: int, side: tuple[int, int], generator: torch.Generator) -> Tensor:
    """Boxes (count, crops, 5): top, left, height, width in pixels, and 1 where a crop is mirrored."""
    drawn = draw(view, count * crops, side, generator)
    numbers = (drawn.top, drawn.left, drawn.height, drawn.width, drawn.flip)
    return torch.stack([number.float() for number in numbers], dim=1).unflatten(0, (count, crops))


def cut(images: Tensor, boxes: Tensor) -> Tensor:
    """Crops of float images (N, 3, S, S), as large as these, by boxes (N, crops, 5): (N crops, 3, S, S).

    Linear in the images, whose gradient goes through.
    """
    top, left, height, width, flip = boxes.to(images.device).flatten(0, 1).unbind(dim=1)
    repeated = images.repeat_interleave(boxes.shape[1], dim=0)
    return resized_crop(repeated, top, left, height, width, images.shape[-1], flip.bool())


@dataclass(frozen=True)
class Aggregation:
    """A linear probe on features averaged over `crops` random crops, on the first `images` test images.

    Crops are a quarter of the image and square (`crop` "patch", as EMP-SSL has them) or between 8 % of the image and
    all of it ("crop"), enlarged to the image's size, mirrored one time in two, their colours untouched. The features
    are the encoder's. The probe is fitted on the first `train_images` training images, its decay chosen on 500
    validation images. Every image has crops of its own, drawn once, so that the read-out is a fixed function.

    Metric "accuracy of aggregated patches", or crops, of shifts

    - "none": no attack;
    - "pgd per view" at level 8: every crop is perturbed by up to 8/255 of its own after it was cut out, as the
      public code of robust EMP-SSL does. No one who changes an image can do that: overlapping crops would disagree;
    - "pgd through crops" at level 8: one perturbation of the image, by up to 8/255, with the gradient through crops
      and averaging. The adversary knows how crops are drawn but not which were: every step climbs the mean over
      `samples` new draws (expectation over transformations), and the result is tested on the fixed crops;
    - "pgd through known crops" at level 8: the same by an adversary who knows the fixed crops, as someone does who
      has the code and its seed.

    PGD of 10 steps of 2/255 from one random start.
    """

    images: int = 128
    crops: int = 16
    train_images: int = 2_000
    crop: str = "patch"
    samples: int = 4  # with one, a few images in a hundred stood that fall to four

    def __post_init__(self) -> None:
        one_of(self.crop, VIEWS, "crop")
        for name in ("images", "crops", "train_images", "samples"):
            object.__setattr__(self, name, whole(getattr(self, name), name))

    @property
    def identity(self) -> str:
        return (
            f"aggregation_of_{PLURAL[self.crop]}(images={self.images}, crops={self.crops}, "
            f"train_images={self.train_images}, samples={self.samples})#{PROTOCOL}"
        )

    @own_precision
    def rows(self, subject: Subject) -> pd.DataFrame:
        train, validation = subject.split("train"), subject.split("validation", VALIDATION_IMAGES)
        test = subject.split("test", self.images)
        parts = train.images[: self.train_images], validation.images, test.images
        boxes = [self._boxes(part, torch.Generator().manual_seed(place)) for place, part in enumerate(parts)]
        seen, chosen_on = (self._features(subject.encoder, *pair) for pair in zip(parts[:2], boxes[:2], strict=True))
        probe = fit_probe(seen, train.labels[: self.train_images], chosen_on, validation.labels)
        classifier = Classifier(subject.encoder, probe, Average(self.crops))
        fixed = boxes[2]

        def right(views: Tensor, chosen: Tensor) -> Tensor:
            with held(classifier), torch.no_grad():
                return classifier(views).argmax(dim=1) == test.labels[chosen]

        def untouched(chosen: Tensor, generator: torch.Generator) -> Tensor:
            return cut(pixels(test.images[chosen]), fixed[chosen])

        def per_view(chosen: Tensor, generator: torch.Generator) -> Tensor:
            labels = test.labels[chosen]
            return pgd(
                untouched(chosen, generator).clamp(0, 1),  # rounding in the weights of pixels may leave the range
                lambda views: fooling(classifier(views), labels).repeat_interleave(self.crops),
                AT / 255, AT / 4 / 255, STEPS, modules=classifier, generator=generator,
            )  # fmt: skip

        def through_crops(chosen: Tensor, generator: torch.Generator) -> Tensor:
            images, labels = test.images[chosen], test.labels[chosen]
            # The last point is kept: of losses of different draws the highest is that of the luckiest draw.
            adversarial = pgd(
                images, lambda x: cross_entropy(classifier(cut(x, self._boxes(x, generator))), labels),
                AT / 255, AT / 4 / 255, STEPS, modules=classifier, keep="last", samples=self.samples,
                generator=generator,
            )  # fmt: skip
            return cut(adversarial, fixed[chosen])

        def through_known_crops(chosen: Tensor, generator: torch.Generator) -> Tensor:
            images, labels = test.images[chosen], test.labels[chosen]
            adversarial = pgd(
                images, lambda x: fooling(classifier(cut(x, fixed[chosen])), labels),
                AT / 255, AT / 4 / 255, STEPS, modules=classifier, generator=generator,
            )  # fmt: skip
            return cut(adversarial, fixed[chosen])

        def standing(alive: Tensor, views: Callable[[Tensor, torch.Generator], Tensor]) -> Tensor:
            """Which of `alive` (N,) images `views` leaves right."""
            alive, generator = alive.clone(), torch.Generator().manual_seed(0)
            for chosen in batches(alive, self._batch(alive.device)):
                alive[chosen] = right(views(chosen, generator), chosen)
            return alive

        clean = standing(torch.ones_like(test.labels, dtype=torch.bool), untouched)
        metric, level = METRICS[self.crop], Level(AT, OF_255)
        rows = [
            outcome(CLEAN, metric, clean),
            outcome("pgd per view", metric, standing(clean, per_view), level),
            outcome("pgd through crops", metric, standing(clean, through_crops), level),
            outcome("pgd through known crops", metric, standing(clean, through_known_crops), level),
        ]
        return as_rows(rows)

    def _batch(self, device: torch.device) -> int:
        """Images at once, whose crops are what the encoder sees."""
        return max(1, batch_size(device) // self.crops)

    def _boxes(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return draw_boxes(VIEWS[self.crop], len(images), self.crops, tuple(images.shape[-2:]), generator)

    def _features(self, encoder: nn.Module, images: Tensor, boxes: Tensor) -> Tensor:
        """Averaged features (N, D)."""
        average = Average(self.crops)

        def of_some(images: Tensor, boxes: Tensor) -> Tensor:
            return average(encoder(cut(pixels(images), boxes)))

        with held(encoder), torch.no_grad():
            return in_chunks(of_some, images, boxes, batch_size=self._batch(images.device), progress=False)
